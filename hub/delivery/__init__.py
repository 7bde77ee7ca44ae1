"""Delivery: what the engine committed to the outbox is handed to the bots, until it is sent or given up with a reason.

`offer` takes rows that the engine claimed for this worker in its own commit, so nothing but one request stands
between a trigger and its bell; the sweep (at start, on a nudge, on a timer) claims whatever else is due. One message
a destination is in flight; what comes meanwhile waits together and goes as the next one, oldest first.

A destination that is gone is switched off and its owner told elsewhere; what waits too long for one that fails goes to
the next one of its owner (hub.ledger.fallback). Among destinations, those for which something urgent waits go first.
What is held through its owner's quiet hours is let go by the sweep, which wakes for their end (hub.ledger.quiet).

Promises: at least once (a message is sent twice only if an answer was lost or we died before marking it, and a bot
remembers what it sent); order per destination, also through failures: behind a message that waits for its time,
nothing of that destination goes out. Bounded: MAX_HELD notifications in memory, PER_DESTINATION a destination, the
rest stays in the table: an offer beyond that is put back unsent and comes round with the sweep. While the ledger is
full or away, marks are tried again until it is not; that destination waits so long, and dying then repeats its message.

On SQLite there is one core to a ledger, so at its start the claims of others belong to the dead and are freed at
once. Elsewhere a claim ends with its lease. Depends on hub.bus, hub.ledger, hub.outgoing and hub.retry.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog
from nats.aio.msg import Msg

from hub import bus as names
from hub import outgoing
from hub.bus import Bus
from hub.config import DeliverySection
from hub.delivery.lanes import Lane, Turns
from hub.delivery.marks import Marks
from hub.delivery.outcomes import Outcomes, latency_ms
from hub.i18n import speaking
from hub.ledger import Ledger, LedgerTrouble, outbox, quiet
from hub.ledger.outbox import PER_DESTINATION, Due
from hub.logs import Repeats
from hub.model import SECOND_US, Destination, Receipt
from hub.plugin import Catalogue, TryLater

__all__ = ["AT_ONCE", "A_MESSAGE", "Delivery", "latency_ms", "now_us"]

log = structlog.get_logger("delivery")

ANSWER_S = 20.0
LEASE_US = 120 * SECOND_US
MARGIN_US = 10 * SECOND_US
"""A message is not begun when its claim could end before its answer and so much more."""
A_MESSAGE = 25  # so that the titles of all of them have room on every platform
MAX_HELD = 5_000
URGENT_ROOM = 500  # beyond that, for what is urgent
AT_ONCE = 32  # destinations that are sent to at the same time
SWEEP_S = 5.0
ENDING_S = 5.0


def now_us() -> int:
    return time.time_ns() // 1000


class Delivery:
    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        catalogue: Catalogue,
        config: DeliverySection,
        worker: str,
        *,
        clock: Callable[[], int] = now_us,
        answer_s: float = ANSWER_S,
        lease_us: int = LEASE_US,
    ) -> None:
        self.worker = worker
        self.lease_us = lease_us
        self._bus = bus
        self._ledger = ledger
        self._catalogue = catalogue
        self._config = config
        self._clock = clock
        self._answer_s = answer_s
        self._lanes: dict[int, Lane] = {}
        self._until: dict[int, int] = {}  # every notification in memory → when its claim is as good as over
        self._to_release: list[int] = []
        self._turns = defaultdict[str, Turns](lambda: Turns(AT_ONCE))  # by platform
        self._nudge = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spills = 0
        self._crowded = False  # the last sweep left rows in the table for want of room
        self._bug: BaseException | None = None
        self._running = False
        self._troubles = Repeats(log)
        self._marks = Marks(ledger, self._troubles, self._spawn)
        self._outcomes = Outcomes(self._marks, self._troubles, config, worker, clock)

    # ------------------------------------------------------------------------------------------ taking

    def offer(self, dues: Sequence[Due]) -> None:
        """Takes rows that were committed as claimed by `worker` until then + `lease_us`, oldest first. Returns at
        once; where nothing is in the way, the request leaves within the next turn of the loop."""
        now = self._clock()
        for due in dues:
            lane = self._lane(due.destination)
            room = MAX_HELD + (URGENT_ROOM if due.notification.urgent else 0)
            if lane.spilled or len(lane.waiting) >= PER_DESTINATION or len(self._until) >= room:
                self._turn_away(lane, due)
            else:
                self._take(lane, due, min(now, due.due_at))
        self._start_lanes(due.destination.id for due in dues)

    def _lane(self, destination: Destination) -> Lane:
        lane = self._lanes.get(destination.id)
        if lane is None:
            lane = self._lanes[destination.id] = Lane(destination)
        lane.destination = destination
        return lane

    def _take(self, lane: Lane, due: Due, claimed_at: int) -> None:
        if due.notification.id not in self._until:
            lane.waiting.append(due)
            if due.notification.urgent:
                self._turns[lane.destination.platform].hurry(lane.destination.id)
            self._until[due.notification.id] = claimed_at + self.lease_us - MARGIN_US - int(self._answer_s * 1e6)

    def _turn_away(self, lane: Lane, due: Due) -> None:
        """To the table, behind what is there and in memory."""
        lane.spilled = True
        self._to_release.append(due.notification.id)
        self._nudge.set()

    def _spill(self, lane: Lane) -> None:
        """All that waits in memory goes back to the table; so must what a sweep is fetching at this moment, which
        is younger."""
        self._spills += 1
        lane.spilled, lane.spilled_at = True, self._spills
        for due in lane.waiting:
            self._to_release.append(due.notification.id)
            del self._until[due.notification.id]
        lane.waiting.clear()
        self._nudge.set()

    # ---------------------------------------------------------------------------------------- sweeping

    async def run(self) -> None:
        """Until cancelled; then what is in flight is finished (ENDING_S at most) and every claim put back."""

        async def nudged(_: Msg) -> None:
            self._nudge.set()

        subscription = await self._bus.client.subscribe(names.OUTBOX, cb=nudged)
        try:
            await self._begin()
            while True:
                wait_s = await self._sweep()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._nudge.wait()
                self._nudge.clear()
                if self._bug is not None:
                    raise self._bug
        finally:
            self._running = False
            if not self._bus.client.is_closed:
                await subscription.unsubscribe()
            await self._end()

    async def _begin(self) -> None:
        def look(connection: sa.Connection) -> frozenset[int]:
            if connection.dialect.name == "sqlite":
                outbox.free_all(connection, self.worker)
            outbox.give_up_removed(connection, self._clock())
            quiet.let_go(connection, self._clock())
            return outbox.backlog(connection, self.worker, self._clock())

        behind = await self._marks.alone(look)
        self._behind(behind)
        self._running = True
        self._start_lanes(list(self._lanes))

    def _behind(self, destinations: frozenset[int]) -> None:
        for destination_id in destinations:
            lane = self._lanes.get(destination_id)
            if lane is None:
                unknown = Destination(id=destination_id, owner_id=0, platform="", address="", label="")
                lane = self._lanes[destination_id] = Lane(unknown)
            self._spill(lane)

    async def _sweep(self) -> float:
        """Claims what is due and there is room for; the seconds until there can be more."""
        await self._outcomes.fall_back()
        now, spills = self._clock(), self._spills
        full = frozenset(id for id, lane in self._lanes.items() if lane.failing or len(lane.waiting) >= PER_DESTINATION)
        room = max(MAX_HELD - len(self._until), 0)
        spilled = frozenset(id for id, lane in self._lanes.items() if lane.spilled and not lane.failing)
        released, self._to_release = self._to_release, []
        self._crowded = bool(full) or not room

        def look(connection: sa.Connection) -> tuple[int | None, frozenset[int], int | None]:
            behind = outbox.backlog(connection, self.worker, now, spilled) if spilled else frozenset()
            return outbox.next_due(connection, self.worker, now, skip=full), behind, quiet.next_end(connection)

        def fetch(connection: sa.Connection) -> tuple[list[Due], int | None, frozenset[int], int | None]:
            outbox.release(connection, self.worker, released)
            dues = outbox.claim(connection, self.worker, now, self.lease_us, room, self._catalogue.get, skip=full)
            return dues, *look(connection)

        dues: list[Due] = []
        next_due, behind, quiet_ends = await self._marks.read(look)
        if released or (room and next_due is not None and next_due <= now):
            dues, next_due, behind, quiet_ends = await self._marks.alone(fetch)
        for due in dues:
            lane = self._lane(due.destination)
            if lane.spilled_at > spills:
                self._turn_away(lane, due)
            else:
                self._take(lane, due, now)
        self._unspill(id for id in spilled - behind if self._lanes[id].spilled_at <= spills)
        self._start_lanes({due.destination.id for due in dues})
        if quiet_ends is not None and quiet_ends <= now:
            if await self._end_quiet(now):
                return 0.0
            quiet_ends = None  # another deliverer is at it
        return _wait_s(now, next_due if room else None, quiet_ends)

    async def _end_quiet(self, now: int) -> bool:
        """Lets go what was held; whether the next sweep has to fetch it. What is offered meanwhile goes behind it."""
        freed = await self._marks.alone(lambda c: quiet.let_go(c, now))
        self._behind(freed)
        return bool(freed)

    def _unspill(self, fetched: Iterable[int]) -> None:
        """Their rows are all in memory now, unless an offer was turned away meanwhile."""
        for destination_id in () if self._to_release else fetched:
            lane = self._lanes[destination_id]
            lane.spilled = False
            if not lane.busy and not lane.waiting:
                del self._lanes[destination_id]

    # ----------------------------------------------------------------------------------------- sending

    def _start_lanes(self, destination_ids: Iterable[int]) -> None:
        if not self._running:
            return
        for destination_id in destination_ids:
            lane = self._lanes.get(destination_id)
            if lane is not None and lane.waiting and not lane.busy:
                lane.busy = True
                self._spawn(self._drain(lane))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._bug = self._bug or task.exception()
            self._nudge.set()

    async def _drain(self, lane: Lane) -> None:
        """Message after message until nothing waits. A bug in here stops the service (see `run`)."""
        while lane.waiting and self._running:
            if self._config.group_for_ms:
                await asyncio.sleep(self._config.group_for_ms / 1000)
            async with self._turns[lane.destination.platform].turn(lane.destination.id, lane.urgent):
                batch = self._next_batch(lane)
                if not batch:
                    break
                receipt, answered = await self._hand_over(lane.destination, batch)
            await self._settle(lane, batch, receipt, answered)
        lane.busy = False
        if lane.spilled or self._crowded:
            self._nudge.set()
        if not lane.spilled and not lane.waiting:
            self._lanes.pop(lane.destination.id, None)

    def _next_batch(self, lane: Lane) -> list[Due]:
        """Nothing once a claim may be over: the rows go back, and are claimed anew if nobody else has them."""
        now = self._clock()
        if not self._running or not lane.waiting:
            return []
        if any(self._until[due.notification.id] < now for due in lane.waiting):
            self._spill(lane)
            return []
        return [lane.waiting.popleft() for _ in range(min(len(lane.waiting), A_MESSAGE))]

    async def _hand_over(self, destination: Destination, batch: Sequence[Due]) -> tuple[Receipt, bool]:
        """The receipt, and whether it is the bot's own."""
        now = self._clock()
        with speaking(batch[0].language):
            message = outgoing.message(destination, [due.notification for due in batch], now)
        bot = f"the {destination.platform} bot"
        try:
            receipt = await self._bus.request(names.send(destination.platform), message, Receipt, self._answer_s)
            if receipt.outcome == "sent":
                self._outcomes.handed_over(batch, now)
            return receipt, True
        except TryLater as error:
            absent = isinstance(error.__cause__, nats.errors.NoRespondersError)
            return Receipt(outcome="later", text=f"{bot} is not running" if absent else error.reason), False
        except msgspec.MsgspecError as error:
            return Receipt(outcome="later", text=f"{bot} answers what is no receipt: {error}"), False
        except nats.errors.MaxPayloadError:
            return Receipt(outcome="never", text="the message is larger than the bus carries"), False
        except nats.errors.Error as error:
            return Receipt(outcome="later", text=f"the bus failed: {error or type(error).__name__}"), False

    async def _settle(self, lane: Lane, batch: Sequence[Due], receipt: Receipt, answered: bool) -> None:
        """Marked in the ledger. Where it was not sent, what waits behind it goes back to the table too, so that nothing
        overtakes; for a place that is gone the ledger has seen to all of it."""
        outcomes, place = self._outcomes, lane.destination
        if receipt.outcome == "sent":
            await outcomes.sent(place, batch, receipt.text)
        elif receipt.outcome == "gone":
            lane.failing = True
            self._let_go(lane)
            await outcomes.gone(place, receipt)
        elif (again := await outcomes.given_up(place, batch, receipt, answered)).dues:
            lane.failing = True
            self._spill(lane)
            await outcomes.postponed(place, again)
        lane.failing = False
        for due in batch:
            self._until.pop(due.notification.id, None)
        if receipt.outcome != "sent":
            self._nudge.set()

    def _let_go(self, lane: Lane) -> None:
        """Forgets what waits in memory, claimed as it is."""
        for due in lane.waiting:
            self._until.pop(due.notification.id, None)
        lane.waiting.clear()
        self._spill(lane)

    # ------------------------------------------------------------------------------------------ ending

    async def _end(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ENDING_S)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            await self._ledger.write(lambda c: outbox.release(c, self.worker))
        except LedgerTrouble as error:
            log.warning("claims were not put back, they end with their lease", reason=str(error))

    # ----------------------------------------------------------------------------------------- telling

    async def status(self) -> dict[str, object]:
        """Rows by state, and since this start: notifications sent, postponed and given up."""
        counts, errors = self._outcomes.counts, dict(self._outcomes.errors)
        try:
            rows, held = await self._ledger.read(lambda c: (outbox.waiting(c), quiet.count(c)))
            rows = {**rows, "held": held, "sent": max((rows["sent"] or 0) - held, 0)}
        except LedgerTrouble as error:
            rows = {}
            errors["ledger"] = str(error)
        return {
            "service": "delivery",
            **rows,  # "held" among them: through quiet hours
            "later": counts["later"],
            "since_start": {name: counts[name] for name in ("sent", "later", "dead", "moved")},
            "in_memory": len(self._until),
            "latency_ms": latency_ms(self._outcomes.latencies_us),
            "errors": errors,
        }


def _wait_s(now: int, *times: int | None) -> float:
    """Until the first of these that is still to come, SWEEP_S at most."""
    return min([SWEEP_S, *(max((time - now) / SECOND_US, 0.0) for time in times if time is not None)])
