"""An alert rings: its trigger with the evidence, and what follows for its own life (done, cooling, paused).

Depends on the board that hands it the alerts, and on hub.evidence for the words.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hub import evidence as words
from hub.engine.batch import Notice
from hub.engine.roster import COOLED
from hub.engine.sources import agreeing
from hub.engine.standing import COOLED_LINE, EXPIRED, RAN_OUT, STORM_US, More, Standing
from hub.frame import Frame
from hub.ledger.rings import Rang
from hub.model import Nature, State
from hub.rules.course import Turn, What, clause_of, hit_at
from hub.rules.gates import Hit
from hub.rules.nodes import Node
from hub.rules.roots import Book, Root
from hub.rules.series import base, key
from hub.rules.spec import AlertSpec
from hub.rules.words import series_words, span_words, value_words

if TYPE_CHECKING:
    from hub.engine.board import Board


NO_TICK = 0
"""As the time at which a tick entered the hub: it rang because somebody asked."""


class Evidence(NamedTuple):
    """A value of a series that moved something, and the one before."""

    book: Book
    node: Node | None  # None: an instrument's own price
    value: float
    at: int | None  # venue_time
    received_at: int
    source: str
    before: float | None
    before_at: int | None

    @classmethod
    def of(cls, book: Book, node: Node | None) -> "Evidence":
        """The newest value, where none has just come."""
        return cls(book, node, book.value or 0.0, book.at, book.received_at, book.source, None, None)


class Touch(NamedTuple):
    """A part of a course that was moved."""

    evidence: Evidence
    hit: Hit | None


class Ringing:
    """`now_us` is the wall clock, which tells only whether a crossing is told late."""

    def __init__(self, board: "Board", late_after_us: int, storm_rings: int, now_us: Callable[[], int]) -> None:
        self._board = board
        self._late_after_us = late_after_us
        self._storm_rings = storm_rings
        self._now_us = now_us

    def ring(self, alert_id: int, standing: Standing, part: int, hit: Hit, seen: Evidence) -> None:
        """It rings, unless it still says nothing after the last time."""
        board, more = self._board, standing.more
        if more is not None and more.cooling_until > board.clock:
            more.missed += 1
            if more.missed == 1:  # the others are counted: a price that wobbles must not write its life full
                until = words.moment(more.cooling_until, board.clock)
                board.tell(alert_id, f"its condition came true again, not told: silent until {until} UTC")
            return
        standing.generation += 1
        rang = self.worded(self._rang(alert_id, standing, hit, seen), standing, part, seen)
        board.batch.fired.append(rang)
        self._board.tell(alert_id, f"rang: {rang.title}")
        if standing.once:
            board.retire(alert_id, standing, State.DONE)
            return
        more = standing.more = more or More()
        more.rang.append(board.clock)
        if len(more.rang) > self._storm_rings + 1:
            more.rang.popleft()
        if more.at_most_us:
            more.cooling_until = board.clock + more.at_most_us
            board.plan(more.cooling_until, alert_id, COOLED)
        if 0 < self._storm_rings < len(more.rang) and board.clock - more.rang[0] <= STORM_US:
            self._pause(alert_id, standing)

    def _pause(self, alert_id: int, standing: Standing) -> None:
        """Whoever set it hears of it, with one tap to let it go on."""
        board, minutes = self._board, STORM_US // 60_000_000
        self._board.tell(alert_id, f"paused: it rang more than {self._storm_rings} times in {minutes} minutes")
        board.retire(alert_id, standing, State.PAUSED)
        board.batch.notices.append(
            Notice(
                owner_id=standing.owner_id,
                key=f"paused:{alert_id}:{standing.generation}",
                title=f"Alert {alert_id} is paused: it rang more than {self._storm_rings} times in {minutes} minutes",
                text=f"{standing.text}\nresume {alert_id} lets it go on; with a wider band it rings less often:"
                f" edit {alert_id}",
                alert_id=alert_id,
                urgent=self._spec(standing).urgent,
            )
        )

    def cooled(self, alert_id: int, more: More) -> None:
        """It may ring again."""
        if more.missed > 1:
            self._board.tell(alert_id, f"its condition came true {more.missed} times meanwhile")
        more.cooling_until = more.missed = 0
        self._board.tell(alert_id, COOLED_LINE)
        self._board.batch.moved.add(alert_id)
        self._board.batch.urgent = True

    def expire(self, alert_id: int, standing: Standing) -> None:
        """Its owner hears of it too: what rings no more does not just fall silent."""
        board, ends = self._board, standing.more.expires_at if standing.more is not None else None
        board.tell(alert_id, EXPIRED)
        board.retire(alert_id, standing, State.EXPIRED)
        rang = "It did not ring" if not standing.generation else f"It rang {standing.generation} times"
        board.batch.notices.append(
            Notice(
                owner_id=standing.owner_id,
                key=f"expired:{alert_id}:{ends}",
                title=f"Alert {alert_id} is over: it was to watch until {words.moment(ends or board.clock)[:19]} UTC",
                text=f"{standing.text}\n{rang if standing.generation != 1 else 'It rang once'}.\n"
                f"edit {alert_id} gives it more time.",
            )
        )

    def sided(self, alert_id: int, standing: Standing, seen: Evidence, *, first: bool) -> None:
        """A half was armed, or a first value has set the sides. Of one that may not ring yet the former is no news."""
        if not first and standing.more is not None and standing.more.cooling_until > self._board.clock:
            return
        value = self._shown(standing, 0, seen.value)
        armed = "armed again at" if standing.generation else "armed at"
        self._board.tell(alert_id, f"takes its side from {value}" if first else f"{armed} {value}")
        self._board.batch.urgent = True

    def turned(self, alert_id: int, standing: Standing, turn: Turn, part: int, seen: Evidence) -> None:
        """What came of a course."""
        self._board.batch.urgent = True
        value = self._shown(standing, part, seen.value)
        match turn.what:
            case What.RANG:
                self.ring(alert_id, standing, part, turn.hit or self._hit(standing, part, seen), seen)
            case What.HOLDING:
                self._board.tell(alert_id, f"its condition holds, at {value}")
            case What.LET_GO:
                self._board.tell(alert_id, f"its condition held no longer, at {value}")
            case What.REARMED:
                self._board.tell(alert_id, f"armed again at {value}")
            case What.FIRST:
                self._board.tell(alert_id, f"the first came true, at {value}; now the second may come")
            case What.RAN_OUT:
                self._board.tell(alert_id, RAN_OUT)

    def _hit(self, standing: Standing, part: int, seen: Evidence) -> Hit:
        return hit_at(clause_of(self._spec(standing), part), standing.gates[part], seen.value)

    def _spec(self, standing: Standing) -> AlertSpec:
        return self._board.maker.spec_of(standing)

    def _shown(self, standing: Standing, part: int, value: float) -> str:
        series = clause_of(self._spec(standing), part).series
        return value_words(series, value, self._board.catalogue.get)

    # --------------------------------------------------------------------------------------------- trigger

    def _rang(self, alert_id: int, standing: Standing, hit: Hit, seen: Evidence) -> Rang:
        board, frame = self._board, self._board.frame
        return Rang(
            alert_id=alert_id,
            owner_id=standing.owner_id,
            generation=standing.generation,
            direction=hit.direction,
            level=hit.level,
            before_price=seen.before,
            before_time=seen.before_at if seen.before is not None else None,
            price=seen.value,
            venue_time=seen.at,
            received_at=seen.received_at,
            rang_at=board.clock,
            source=seen.source,
            nature=board.natures.get(seen.source, Nature.LIVE.value),
            late=self._is_late(frame),
            sequence=board.sequence,
            ticked_at=frame.opened_at,
            instrument=standing.instrument,
            title="",
            text="",
            note="",
        )

    def _is_late(self, frame: Frame) -> bool:
        return self._now_us() - frame.opened_at > self._late_after_us

    def rang_now(self, alert_id: int, standing: Standing) -> Rang:
        """The trigger of an alert whose maker wanted to hear at once that it holds already."""
        seen = Evidence.of(standing.books[0], None)
        hit = self._hit(standing, 0, seen)
        rang = msgspec.structs.replace(self._rang(alert_id, standing, hit, seen), late=False, ticked_at=NO_TICK)
        return self.worded(rang, standing, 0, seen)

    def worded(self, rang: Rang, standing: Standing, part: int, seen: Evidence) -> Rang:
        spec, get = self._spec(standing), self._board.catalogue.get
        clause = clause_of(spec, part)
        rang = msgspec.structs.replace(
            rang, note=spec.note, detail="\n".join(self._details(standing, spec, part, seen, rang))
        )
        return msgspec.structs.replace(
            rang,
            title=words.headline(rang, spec, clause, get),
            text=words.evidence(rang, clause, standing.text, get),
            urgent=spec.urgent,
            via=spec.via,
        )

    def _details(self, standing: Standing, spec: AlertSpec, part: int, seen: Evidence, rang: Rang) -> list[str]:
        """What belongs to the evidence beside the two ticks."""
        board, get, at = self._board, self._board.catalogue.get, seen.at or seen.received_at
        node = board.graph.nodes.get(seen.book.key)
        lines = []
        then = node.then() if node is not None else None
        if node is not None and then is not None:
            of = base(node.series)
            below = board.graph.nodes.get(key(of))
            now = below.value if below is not None else seen.value
            lines.append(words.against(value_words(of, now or 0.0, get), value_words(of, then.value, get), then.at, at))
        named = {standing.instrument, seen.book.instrument}
        roots = node.roots if node is not None else ()
        lines += [_leg(root) for root in roots if root.instrument.id not in named]
        if spec.join == "and":
            for other, book in enumerate(standing.books):
                if other != part and book.value is not None:
                    what = series_words(clause_of(spec, other).series, get)
                    lines.append(f"{what} is at {self._shown(standing, other, book.value)}")
        if spec.hold_us:
            lines.append(f"it held for {span_words(spec.hold_us)}, to {words.moment(board.clock, at)} UTC")
        if spec.sources > 1:
            root = board.graph.root(seen.book.instrument)
            lines.append(words.sources(agreeing(board, standing, part), root.instrument))
        return lines


def _leg(root: Root) -> str:
    """The other price that goes into a value: "EUR-USD 1.08320 of 14:02:10.000 UTC"."""
    book = root.book
    value = (
        "?" if book.value is None else words.amount(book.value, root.instrument.decimals + 2, root.instrument.decimals)
    )
    return f"{root.instrument.id} {value} of {words.moment(book.at or book.received_at, book.at)} UTC"
