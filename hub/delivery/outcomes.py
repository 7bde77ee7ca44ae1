"""What becomes of a message that was handed over: marked as sent, put back for later, given up, or moved elsewhere.

Each outcome is a mark in the ledger, a count for the status, and a line in the log where it is news. An alert that a
destination refuses for good goes to its owner's next one; a destination that is gone is switched off, and one that
fails for too long is passed over (hub.ledger.fallback). Depends on hub.ledger and hub.retry.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

import msgspec
import sqlalchemy as sa
import structlog

from hub import outgoing
from hub.config import DeliverySection
from hub.delivery.marks import Marks
from hub.ledger import fallback, outbox
from hub.ledger.outbox import Due
from hub.logs import Repeats
from hub.model import SECOND_US, Destination, Receipt
from hub.retry import Dead, decide

log = structlog.get_logger("delivery")

CAP_S = 300.0  # longest back-off after a bot's answer
ABSENT_CAP_S = 60.0  # and where none came
URGENT_CAP_S = 15.0  # and where something urgent waits
LONGEST = 1_000  # characters of a reason or a receipt that are kept
REMEMBERED = 10_000  # hand-over latencies
FALL_BACK_EVERY_US = 15 * SECOND_US


class Again(msgspec.Struct, frozen=True):
    """What is to be tried again, all of it at the same time."""

    dues: tuple[Due, ...] = ()
    reason: str = ""
    due_at: int = 0


class Outcomes:
    def __init__(
        self, marks: Marks, troubles: Repeats, config: DeliverySection, worker: str, clock: Callable[[], int]
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: dict[str, str] = {}  # the newest by platform
        self.latencies_us: deque[int] = deque(maxlen=REMEMBERED)
        self._marks = marks
        self._troubles = troubles
        self._config = config
        self._worker = worker
        self._clock = clock
        self._fell_back_at = 0

    async def sent(self, place: Destination, batch: Sequence[Due], receipt: str) -> None:
        ids, now = ids_of(batch), self._clock()
        message_id = outgoing.message_id([due.notification for due in batch])
        self.counts["sent"] += len(ids)
        self.errors.pop(place.platform, None)
        self._troubles.over(str(place.id), "a destination works again", **named(place))
        await self._mark(
            place, ids, lambda c: outbox.mark_sent(c, ids, self._worker, message_id, receipt[:LONGEST], now)
        )

    def handed_over(self, batch: Sequence[Due], at: int) -> None:
        """The hand-over, at that time, that its bot has answered with "sent". What no tick brought, and what was held
        through quiet hours, is in no latency."""
        found = (due.notification for due in batch if due.notification.held_until is None)
        self.latencies_us += [at - one.ticked_at for one in found if one.ticked_at is not None]

    async def given_up(self, place: Destination, batch: Sequence[Due], receipt: Receipt, answered: bool) -> Again:
        """Marks what will not be tried again; the rest of the batch. Each notification by its own age, in which quiet
        hours do not count: an old one that dies takes no younger one with it."""
        now, chance = self._clock(), random.random()
        later: list[Due] = []
        dead: dict[str, list[Due]] = {}
        after_s, reason, urgent = 0.0, "", any(due.notification.urgent for due in batch)
        for due in batch:
            verdict = decide(
                receipt,
                attempt=batch[0].attempts + 1,
                age_s=(now - outgoing.ready_at(due.notification)) / SECOND_US,
                give_up_after_s=self._config.give_up_after_hours * 3600,
                cap_s=URGENT_CAP_S if urgent else CAP_S if answered else ABSENT_CAP_S,
                random=lambda: chance,
            )
            reason = verdict.reason[:LONGEST]
            if isinstance(verdict, Dead):
                dead.setdefault(reason, []).append(due)
            else:
                later.append(due)
                after_s = verdict.after_s
        self.errors[place.platform] = reason
        for why, dues in dead.items():
            await self._give_up(place, ids_of(dues), why, now, move=answered and receipt.outcome == "never")
        return Again(tuple(later), reason, now + round(after_s * SECOND_US))

    async def postponed(self, place: Destination, again: Again) -> None:
        ids = ids_of(again.dues)
        self.counts["later"] += len(ids)
        self._troubles.log(str(place.id), "a destination fails", reason=again.reason, **named(place))
        await self._mark(place, ids, lambda c: outbox.postpone(c, ids, self._worker, again.due_at, again.reason))

    async def gone(self, place: Destination, receipt: Receipt) -> None:
        """The place is somewhere else now, or takes nothing any more."""
        now, reason = self._clock(), receipt.text[:LONGEST] or "it does not say why"
        if receipt.moved_to:
            await self._marks.write(lambda c: fallback.follow(c, place, self._worker, receipt.moved_to, reason, now))
            log.warning("a destination has another address now", reason=reason, **named(place))
            return
        moved = await self._marks.write(lambda c: fallback.close(c, place, self._worker, reason, now))
        self.errors[place.platform] = reason
        log.error("a destination is gone and switched off", reason=reason, **self._counted(moved), **named(place))

    async def fall_back(self) -> None:
        """Looks from time to time for what waits for destinations that fail or are gone."""
        now = self._clock()
        if now - self._fell_back_at < FALL_BACK_EVERY_US:
            return
        self._fell_back_at = now
        after_us = round(self._config.fallback_after_minutes * 60 * SECOND_US)
        for place, moved in await self._marks.alone(lambda c: fallback.fall_back(c, now, after_us)):
            log.warning("what waited for a destination went elsewhere", **self._counted(moved), **named(place))

    async def _give_up(self, place: Destination, ids: list[int], reason: str, now: int, *, move: bool) -> None:
        def mark(c: sa.Connection) -> int:
            moved = fallback.pass_on(c, place, ids, self._worker, reason, now) if move else []
            self.counts["moved"] += len(moved)
            self.counts["dead"] += len(ids) - len(moved)
            return len(moved) + outbox.give_up(c, [id for id in ids if id not in moved], self._worker, reason, now)

        await self._mark(place, ids, mark)
        log.error("notifications were given up", notifications=ids, reason=reason, **named(place))

    def _counted(self, moved: fallback.Moved) -> dict[str, object]:
        self.counts["moved"] += moved.moved
        self.counts["dead"] += moved.given_up
        return {"moved": moved.moved, "given_up": moved.given_up, "to": moved.to.label if moved.to else "nowhere"}

    async def _mark(self, place: Destination, ids: Sequence[int], mark: Callable[[sa.Connection], int]) -> None:
        changed = await self._marks.write(mark)
        if changed != len(ids):
            log.warning(
                "a claim was lost before its mark, so the message may be repeated",
                notifications=list(ids), marked=changed, **named(place),
            )  # fmt: skip


def latency_ms(latencies_us: Iterable[int]) -> dict[str, float]:
    """Median and tail of tick → hand-over; empty before the first."""
    ordered = sorted(latencies_us)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {f"p{share}": ordered[round(last * share / 100)] / 1000 for share in (50, 95, 99)}


def ids_of(dues: Iterable[Due]) -> list[int]:
    return [due.notification.id for due in dues]


def named(place: Destination) -> dict[str, object]:
    """What may be logged of a destination: never its address."""
    return {"destination": place.id, "platform": place.platform, "label": place.label}
