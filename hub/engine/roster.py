"""The alerts in memory: where each of them stands, and what the clock will bring it. No input, no output: what came of
them waits in `batch`. hub.engine.board moves them with the market. Depends on hub.rules.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import msgspec
import structlog

from hub.engine.batch import Batch
from hub.engine.failing import Failing
from hub.engine.making import Maker
from hub.engine.prices import instrument_of, price_of, sides_of
from hub.engine.silences import Silences
from hub.engine.standing import HOLDS_OTHERS, More, Standing
from hub.frame import Position
from hub.ledger.alerts import AlertRow, SeriesValue, StateChange, Told
from hub.model import State
from hub.plugin import BadRequest, Catalogue
from hub.rules.course import Course
from hub.rules.gates import Gate, Zone
from hub.rules.graph import Graph
from hub.rules.lookback import Back
from hub.rules.nodes import Node, PortfolioNode
from hub.rules.roots import Book, Root

log = structlog.get_logger("engine")
WOKEN = "woken"
NEVER = 1 << 62
ENDS, COOLED, COURSE = 0, 1, 2
"""What is due of an alert, in the order in which it is done: its time is over; it rang long enough ago; its course
turns."""


class Arming(NamedTuple):
    """An alert that is not heard yet. `at_value`: its side is the series' value at its place in the stream; an alert
    that was woken takes the first value after it instead."""

    alert_id: int
    at_value: bool


class Roster:
    def __init__(self, catalogue: Catalogue, band_percent: float) -> None:
        self.catalogue = catalogue
        self.graph = Graph(catalogue)
        self.maker = Maker(self.graph, band_percent)
        self.batch = Batch()
        self.standing: dict[int, Standing] = {}
        self.waiting: dict[int, list[Arming]] = {}  # by the sequence after which they hear
        self.silences = Silences()
        self.failing = Failing(self)
        self.clock = 0
        self.due = NEVER  # the clock time at which something happens without a tick
        self._timers: list[tuple[int, int, int]] = []  # (clock, alert, what)
        self._of_portfolios: set[int] = set()  # alerts on the value of one
        self._confirming: dict[str, set[int]] = {}  # by instrument, alerts that other sources confirm

    # ---------------------------------------------------------------------------------------------------------- loading

    def load_prices(self, values: Mapping[str, SeriesValue]) -> None:
        for key, value in values.items():
            root = self.graph.root(instrument_of(key))
            book = root.book
            book.value, book.at, book.live = value.value, value.venue_time, value.live
            book.received_at, book.source = value.received_at, value.source
            root.stale_since = value.stale_since
            if value.sides:
                root.recall(sides_of(value.sides), value.received_at)
            root.seen(value.venue_time, value.received_at)

    def load(self, rows: Iterable[AlertRow], position: Position, lately: Mapping[int, Sequence[int]]) -> None:
        """As committed at that position; `lately`: when they rang of late. An alert whose text cannot be read is told,
        and stops no other."""
        self.clock = max(self.clock, position.clock)
        gates: dict[str, tuple[Book, list[Gate]]] = {}
        for row in rows:
            try:
                standing = self.maker.recalled(row)
            except BadRequest as error:
                self.failing.unreadable(row, error.text)
                continue
            except Exception as error:
                log.exception("an alert cannot be loaded", alert=row.id)
                self.failing.unreadable(row, f"its rule failed ({type(error).__name__})")
                continue
            self.standing[row.id] = standing
            if standing.more is not None and standing.more.cooling_until <= position.clock:
                standing.more.cooling_until = 0  # its end was told
            if not standing.once and row.id in lately:
                standing.more = standing.more or More()
                standing.more.rang.extend(lately[row.id])
            if row.state == State.SNOOZED:
                self.silences.put(row.id, row.snoozed_until or 0)
            elif row.state == State.MUTED:
                self.silences.put(row.id, row.muted_until, row.snoozed_until or 0)
            elif row.armed_stream == position.stream and row.armed_sequence > position.sequence:
                self.waiting.setdefault(row.armed_sequence, []).append(Arming(row.id, row.resume_state != WOKEN))
            else:
                for book, gate in zip(standing.books, standing.gates, strict=True):
                    gates.setdefault(book.key, (book, []))[1].append(gate)
            self._plan(row.id, standing)
        for book, many in gates.values():
            book.add(many)
        self.set_due()

    # ------------------------------------------------------------------------------------------------------------ clock

    def plan(self, at: int, alert_id: int, what: int) -> None:
        heapq.heappush(self._timers, (at, alert_id, what))
        self.due = min(self.due, at)

    def plan_course(self, alert_id: int, course: Course) -> None:
        """When it is turned next without a tick."""
        next_at = course.next_at(self.clock)
        if next_at is not None and next_at != course.planned:
            self.plan(next_at, alert_id, COURSE)
        course.planned = next_at

    def next_due(self) -> int:
        return min(self._timers[0][0] if self._timers else NEVER, self.silences.next_end)

    def set_due(self) -> None:
        self.due = self.next_due()

    def passed(self, sequence: int) -> None:
        """The stream is read up to there: alerts that were bound to it or to an earlier place hear from now on."""
        for place in [place for place in self.waiting if place <= sequence] if self.waiting else ():
            for arming in self.waiting.pop(place):
                self._arm(arming)

    # ----------------------------------------------------------------------------------------------------------- alerts

    def settle(self, standing: Standing) -> bool:
        """Its sides from the newest values; whether all are known. Nothing rings."""
        for gate, book in zip(standing.gates, standing.books, strict=True):
            if book.value is not None:
                gate.settle(book.value)
        course = standing.course
        if course is not None:
            course.turn(self.clock, {}, lambda part: 0)
            for part, book in zip(course.parts, standing.books, strict=True):
                if isinstance(part, Zone) and not book.live:
                    part.forget()
        return standing.known

    def true(self, standing: Standing) -> bool:
        """Whether its condition holds at the newest values, so that only the next cross can ring."""
        values = [book.value for book in standing.books]
        held = [value is not None and gate.true_at(value) for gate, value in zip(standing.gates, values, strict=True)]
        course = standing.course
        if course is None:
            return held[0]
        ways = course.ways[: course.firsts or None]
        crosses = self.maker.spec_of(standing).first.condition == "crosses"
        return not crosses and any(all(held[part] for part in way) for way in ways)

    def stand(self, alert_id: int, standing: Standing, after: int | None) -> None:
        """Heard from now on, or once the stream is read up to `after`. Whatever had that number is gone."""
        self.forget(alert_id)
        self.standing[alert_id] = standing
        if after is not None:
            standing.forget()
            self.waiting.setdefault(after, []).append(Arming(alert_id, True))
        else:
            self._put(standing)
        self._plan(alert_id, standing)

    def stand_unsettled(self, alert_id: int, standing: Standing, after: int | None) -> None:
        """As `stand`, but the first value behind it sets the sides."""
        self.forget(alert_id)
        standing.forget()
        self.standing[alert_id] = standing
        if after is None:
            self._put(standing)
        else:
            self.waiting.setdefault(after, []).append(Arming(alert_id, False))
        self._plan(alert_id, standing)

    def sleep(self, alert_id: int, standing: Standing | None, until: int | None, then: int = 0) -> None:
        """Silent until that time, or until somebody says so; as `standing` if that is another than it was."""
        there = self.standing.get(alert_id)
        if standing is not None and standing is not there:
            self.forget(alert_id)
            self.standing[alert_id] = standing
        elif there is not None:
            self._take_out(alert_id, there)
            standing = there
        if standing is not None:
            standing.forget()
            self.silences.put(alert_id, until, then)
            self._plan(alert_id, standing)
            self.set_due()

    def forget(self, alert_id: int) -> Standing | None:
        """Takes the alert out of whatever would let it ring, and out of memory."""
        standing = self.standing.pop(alert_id, None)
        if standing is not None:
            self._take_out(alert_id, standing)
            self.silences.drop(alert_id)
            self.maker.dropped(standing)
            self._of_portfolios.discard(alert_id)
            for asking in self._confirming.values():
                asking.discard(alert_id)
            self.batch.moved.discard(alert_id)
            self.batch.changed.pop(alert_id, None)
        return standing

    def retire(self, alert_id: int, standing: Standing, state: State) -> None:
        """It is over, and its row says so."""
        change = standing.change(alert_id, self.clock, state)
        self.forget(alert_id)
        self.batch.changed[alert_id] = change

    def exchange(self, alert_id: int, made: Standing) -> None:
        """In the place of what it was: awake, silent, or not heard yet."""
        silence, change = self.silences.get(alert_id), self.batch.changed.get(alert_id)
        waits = next((each for each in self.waiting.items() if any(one.alert_id == alert_id for one in each[1])), None)
        arming = next((one for one in waits[1] if one.alert_id == alert_id), None) if waits is not None else None
        self.forget(alert_id)
        self.standing[alert_id] = made
        if silence is not None:
            made.forget()
            self.silences.put(alert_id, silence.until, silence.then)
        elif waits is not None and arming is not None:
            made.forget()
            waits[1].append(arming)
        else:
            self._put(made)
            self.batch.moved.add(alert_id)
        if change is not None:
            self.batch.changed[alert_id] = change
        self._plan(alert_id, made)
        self.set_due()

    def tell(self, alert_id: int, text: str) -> None:
        """A line of its history."""
        self.batch.told.append(Told(alert_id, self.clock, text))

    def alerts_on(self, root: Root) -> set[int]:
        """Those that need a price of it, and are awake."""
        found = root.book.alerts()
        for node in self.graph.above(root):
            if node.book is not None:
                found |= node.book.alerts()
        return found

    def portfolio_owners(self) -> set[int]:
        """Who has alerts on the value of a portfolio."""
        return {self.standing[alert_id].owner_id for alert_id in self._of_portfolios}

    def revalue(self, owner_ids: Collection[int]) -> None:
        """What these hold has changed: a value that the market has not made sets the sides anew."""
        changed = {
            alert_id: (standing, self.silences.get(alert_id))
            for alert_id in self._of_portfolios
            if (standing := self.standing[alert_id]).owner_id in owner_ids
        }
        nodes = (node for standing, _ in changed.values() for node in standing.nodes)
        kept = [node for node in nodes if not isinstance(node, PortfolioNode)]
        for node in kept:  # with all that it knows of the past
            node.uses += 1
        for alert_id in changed:
            self.forget(alert_id)
        for alert_id, (standing, silence) in changed.items():
            try:
                again = self.maker.made(self.maker.spec_of(standing), standing.text, standing.owner_id, alert_id)
            except BadRequest as error:
                self.standing[alert_id] = standing
                self.failing.alert(alert_id, error)
                continue
            again.follow(standing)
            self.standing[alert_id] = again
            self._plan(alert_id, again)
            if silence is not None:
                self.silences.put(alert_id, silence.until, silence.then)
                continue
            self._put(again)
            self.batch.moved.add(alert_id)
            self.tell(alert_id, HOLDS_OTHERS)
        for node in kept:
            self.graph.release(node)
        self.batch.urgent = True

    def absorb(self, other: Self) -> None:
        """All alerts of a board that stands at the same place in the stream. Series that this one has are the same
        there; of those that it has not, the past comes along."""
        for name, root in other.graph.roots.items():
            self.graph.root(name).adopt(root)
        there = set(self.graph.nodes)
        for alert_id, standing in other.standing.items():
            moved = self.maker.made(self.maker.spec_of(standing), standing.text, standing.owner_id, alert_id)
            standing.books = moved.books
            if standing.more is not None and moved.more is not None:
                standing.more.nodes = moved.more.nodes
            self.standing[alert_id] = standing
        for node in self.graph.cold():
            twin = other.graph.nodes.get(node.key)
            if isinstance(twin, Back):
                node.adopt(twin)
        for each in sorted(self.graph.nodes.values(), key=lambda node: node.order):
            if each.key not in there:
                refresh(each)
        heard_later = {arming.alert_id for armings in other.waiting.values() for arming in armings}
        for place, armings in other.waiting.items():
            self.waiting.setdefault(place, []).extend(armings)
        for alert_id, standing in other.standing.items():
            if (silence := other.silences.get(alert_id)) is not None:
                self.silences.put(alert_id, silence.until, silence.then)
            elif alert_id not in heard_later:
                self._put(standing)
            self._plan(alert_id, standing)

    def _take_out(self, alert_id: int, standing: Standing) -> None:
        if alert_id in self.silences:
            return
        for arming in self.waiting.values():
            for each in arming:
                if each.alert_id == alert_id:
                    arming.remove(each)
                    return
        for gate, book in zip(standing.gates, standing.books, strict=True):
            if not gate.over:
                book.remove(gate)

    def _put(self, standing: Standing) -> None:
        for gate, book in zip(standing.gates, standing.books, strict=True):
            book.add([gate])
        self.set_due()

    def _plan(self, alert_id: int, standing: Standing) -> None:
        """What the clock will bring it, and what it needs of its instruments."""
        more = standing.more
        if more is None:
            return
        if more.expires_at is not None:
            self.plan(more.expires_at, alert_id, ENDS)
        if more.cooling_until:
            self.plan(more.cooling_until, alert_id, COOLED)
        if any(isinstance(node, PortfolioNode) for node in more.nodes):
            self._of_portfolios.add(alert_id)
        if more.course is None:
            return
        more.course.planned = None
        self.plan_course(alert_id, more.course)
        if more.course.sources > 1:
            for book in standing.books:
                root = self.graph.root(book.instrument)
                root.others = root.others if root.others is not None else {}
                self._confirming.setdefault(book.instrument, set()).add(alert_id)

    def _arm(self, arming: Arming) -> None:
        """An alert whose place in the stream is reached."""
        standing = self.standing.get(arming.alert_id)
        if standing is None:
            return
        if arming.at_value and self.settle(standing):
            self.batch.armed[arming.alert_id] = standing.books[0].value
            self.batch.moved.add(arming.alert_id)
            self.batch.urgent = True
        self._put(standing)

    # -------------------------------------------------------------------------------------------------- what is written

    def changes(self) -> list[StateChange]:
        """The rows of all alerts that the batch has changed."""
        found = dict(self.batch.changed)
        for alert_id in self.batch.moved:
            if alert_id in self.standing and alert_id not in self.silences:
                found[alert_id] = self.standing[alert_id].change(alert_id, self.clock)
        for alert_id, price in self.batch.armed.items():
            if alert_id in found:
                found[alert_id] = msgspec.structs.replace(found[alert_id], armed_price=price)
        return list(found.values())

    def note_all(self) -> None:
        """The next commit writes the prices of all instruments, those too that have not moved."""
        self.batch.prices.update(self.graph.roots)

    def prices(self) -> list[SeriesValue]:
        """The newest prices of the instruments that moved."""
        roots = [self.graph.root(name) for name in self.batch.prices]
        return [price_of(root) for root in roots if root.book.value is not None]


def refresh(node: Node) -> None:
    """Its value by what is known now; no gate hears of it."""
    node.value = node.compute(False)
    if node.book is not None and node.value is not None:
        node.book.value, node.book.live = node.value, True
