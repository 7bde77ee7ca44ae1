"""The alerts in memory, and what a frame does to them. No input, no output: what came of it waits in `batch`.

A tick first moves the gates on its instrument's own price, then those on every series above it; what needs more than
one gate (hub.rules.course) is turned once all of them have moved. What is due by the clock is done before the first
tick that is as late, so frames that are read again after a death, however they are cut, bring the same. Depends on
hub.rules and hub.frame.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec
import structlog

from hub.engine.batch import Batch
from hub.engine.blind import Blindness
from hub.engine.making import Maker
from hub.engine.ringing import Evidence, Ringing
from hub.engine.silences import Silences
from hub.engine.standing import STORM_RINGS, Standing
from hub.frame import Event, EventKind, Frame, Position, empty
from hub.ledger.alerts import AlertRow, SeriesValue, StateChange
from hub.model import MOVES, SECOND_US, Kind, State, Verdict
from hub.plugin import BadRequest, Catalogue
from hub.rules.course import PENDING, What
from hub.rules.gates import PARTS, Gate, Hit, Level, Zone
from hub.rules.graph import Graph
from hub.rules.lookback import Back, CandleNode
from hub.rules.nodes import Node, PortfolioNode
from hub.rules.roots import Book, Other, Root

log = structlog.get_logger("engine")
WOKEN = "woken"
NEVER = 1 << 62
COURSE, COOLED, ENDS = 0, 1, 2
"""What is due of an alert: its course turns; it rang long enough ago; its time is over."""


class Arming(NamedTuple):
    """An alert that is not heard yet. `at_value`: its side is the series' value at its place in the stream; an alert
    that was woken takes the first value after it instead."""

    alert_id: int
    at_value: bool


class Touch(NamedTuple):
    """A part of a course that was moved."""

    evidence: Evidence
    hit: Hit | None


class Board:
    """`now_us` is the wall clock, which tells only whether a crossing is told late."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        band_percent: float,
        late_after_us: int,
        now_us: Callable[[], int],
        storm_rings: int = STORM_RINGS,
    ) -> None:
        self.catalogue = catalogue
        self.graph = Graph(catalogue)
        self.maker = Maker(self.graph, band_percent)
        self.batch = Batch()
        self.standing: dict[int, Standing] = {}
        self.waiting: dict[int, list[Arming]] = {}  # by the sequence after which they hear
        self.silences = Silences()
        self.clock = 0
        self.ticks = 0
        self.due = NEVER  # the clock time at which something happens without a tick
        self.frame = empty()
        self.sequence = 0
        self.natures: dict[str, str] = {}
        self._events: list[Event] = []  # of the frame that are still to come, the next one last
        self._timers: list[tuple[int, int, int]] = []  # (clock, alert, what)
        self._second = 0  # the clock time at which clocked series move next
        self._touched: dict[int, dict[int, Touch]] = {}  # alerts with a course → their parts
        self._confirming: dict[str, set[int]] = {}  # by instrument, alerts that other sources confirm
        self.ringing = Ringing(self, late_after_us, storm_rings, now_us)
        self.blindness = Blindness(self)

    # --------------------------------------------------------------------------------------------- loading

    def load_prices(self, values: Mapping[str, SeriesValue]) -> None:
        for key, value in values.items():
            root = self.graph.root(instrument_of(key))
            book = root.book
            book.value, book.at, book.live = value.value, value.venue_time, value.live
            book.received_at, book.source = value.received_at, value.source
            root.stale_since = value.stale_since
            root.seen(value.venue_time, value.received_at)

    def load(self, rows: Iterable[AlertRow], position: Position) -> None:
        """As committed at that position. An alert whose text cannot be read is told, and stops no other."""
        self.clock = max(self.clock, position.clock)
        gates: dict[str, tuple[Book, list[Gate]]] = {}
        for row in rows:
            try:
                standing = self.maker.recalled(row)
            except BadRequest as error:
                log.error("an alert cannot be read", alert=row.id, text=row.text, reason=error.text)
                continue
            self.standing[row.id] = standing
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

    # ---------------------------------------------------------------------------------------------- stream

    def take(self, frame: Frame, sequence: int) -> None:
        """One frame of the stream, up to its clock."""
        self.evaluate(frame, sequence)
        self._advance(frame.clock)

    def passed(self, sequence: int) -> None:
        """The stream is read up to there: alerts that were bound to it or to an earlier place hear from now on."""
        for place in [place for place in self.waiting if place <= sequence] if self.waiting else ():
            for arming in self.waiting.pop(place):
                self._arm(arming)

    def evaluate(self, frame: Frame, sequence: int) -> None:
        """Every tick of a frame against every gate. The loop is the engine's hot path: two comparisons a tick, and two
        for what comes before it."""
        self.frame, self.sequence = frame, sequence
        roots = [self.graph.root(instrument) for instrument in frame.instruments]
        sources = frame.sources
        self.natures.update(zip(sources, frame.natures, strict=True))
        self._events = frame.events[::-1]
        event, due = frame.events[0].at if frame.events else NEVER, self.due
        for i, (at, verdict, price, venue_time, received_at, source) in enumerate(
            zip(
                frame.instrument, frame.verdict, frame.price, frame.venue_time, frame.received_at, frame.source,
                strict=True,
            )
        ):  # fmt: skip
            if received_at >= due or i >= event:
                event, due = self._before(i, received_at)
            if verdict < MOVES:
                root = roots[at]
                book = root.book
                if root.nodes or root.others is not None:
                    self._tick(root, i)
                    due = self.due
                    continue
                if price >= book.high or price <= book.low:
                    self._cross(root, i)
                    due = self.due
                book.value = price
                book.at = venue_time
                book.received_at = received_at
                book.source = sources[source]
                book.live = True
            elif roots[at].asides or roots[at].others is not None:
                self._beside(roots[at], i)
                due = self.due
        if self._events:
            self._before(NEVER, self.clock)
        self.batch.prices.update(frame.instruments)
        self.ticks += len(frame)

    def _before(self, i: int, received_at: int) -> tuple[int, int]:
        """What comes before the tick of that place: events of the frame, and what the clock brings. Where the next
        event stands, and what is due then."""
        while self._events and self._events[-1].at <= i:
            event = self._events.pop()
            self._advance(min(event.time, max(received_at, self.clock)))
            self._event(event)
        self._advance(received_at)
        return self._events[-1].at if self._events else NEVER, self.due

    def _cross(self, root: Root, i: int) -> None:
        """A price that moves gates, of an instrument that nothing else stands on."""
        frame = self.frame
        self.clock = max(self.clock, frame.received_at[i])
        value, at, received_at = frame.price[i], frame.venue_time[i], frame.received_at[i]
        self._moved(root.book, None, value, at, received_at, frame.sources[frame.source[i]])
        if self._touched:
            self._turn_touched()

    def _tick(self, root: Root, i: int) -> None:
        """A tick of an instrument that series stand on, or that several sources have to agree on."""
        frame, book = self.frame, root.book
        value, at, received_at = frame.price[i], frame.venue_time[i], frame.received_at[i]
        source = frame.sources[frame.source[i]]
        self.clock = max(self.clock, received_at)
        root.seen(at, received_at)
        if root.quotes:
            root.bid, root.ask, root.volume = frame.bid[i], frame.ask[i], 0.0
        else:
            root.last, root.volume = value, frame.volume[i] or 0.0
        if root.others is not None:
            root.others[source] = Other(value, received_at)
            self._ask_others(root)
        if value >= book.high or value <= book.low:
            self._moved(book, None, value, at, received_at, source)
        _put(book, value, at, received_at, source)
        self._compute(root.nodes, at, received_at, source)
        self._turn_touched()

    def _beside(self, root: Root, i: int) -> None:
        """A tick that does not move the price: the speaking source's other kind, or a price of another source."""
        frame = self.frame
        verdict, at, received_at = frame.verdict[i], frame.venue_time[i], frame.received_at[i]
        trade, source = frame.kind[i] == Kind.TRADE, frame.sources[frame.source[i]]
        self.clock = max(self.clock, received_at)
        if verdict == Verdict.STANDBY and root.others is not None and trade != root.quotes:
            root.others[source] = Other(frame.price[i], received_at)
            self._ask_others(root)
        elif verdict == Verdict.ASIDE and root.asides and (at is None or at >= root.aside_at):
            root.aside_at = at or root.aside_at
            root.seen(at, received_at)
            if trade:
                root.last, root.volume = frame.price[i], frame.volume[i] or 0.0
            else:
                root.bid, root.ask, root.volume = frame.bid[i], frame.ask[i], 0.0
            self._compute(root.asides, at, received_at, source)
        self._turn_touched()

    def _compute(self, nodes: Iterable[Node], at: int | None, received_at: int, source: str) -> None:
        for node in nodes:
            node.value = value = node.compute(True)
            if node.book is not None:
                self._compare(node.book, node, value, at, received_at, source)

    def _compare(
        self, book: Book, node: Node, value: float | None, at: int | None, received_at: int, source: str
    ) -> None:
        if value is None:
            self._no_value(book, node)
            return
        if value >= book.high or value <= book.low:
            self._moved(book, node, value, at, received_at, source)
        _put(book, value, at, received_at, source)

    def _no_value(self, book: Book, node: Node | None) -> None:
        """What holds only as long as it is known holds no longer."""
        if not book.live:
            return
        book.live = False
        for zone in book.unsettle():
            self._touch(zone, Evidence.of(book, node), None)

    def _moved(
        self, book: Book, node: Node | None, value: float, at: int | None, received_at: int, source: str
    ) -> None:
        """Every gate that this value moves; the book still holds the value before."""
        evidence = Evidence(
            book, node, value, at, received_at, source, book.value, book.at if book.at is not None else book.received_at
        )
        for gate, hit in book.cross(value):
            alert_id = gate.key >> PARTS
            standing = self.standing.get(alert_id)
            if standing is None:  # another gate of it has rung just now, and it was for once
                continue
            if standing.course is not None:
                self._touch(gate, evidence, hit)
                continue
            self.batch.moved.add(alert_id)
            if hit is not None:
                self.ringing.ring(alert_id, standing, gate.part, hit, evidence)
            elif isinstance(gate, Level):
                self.ringing.sided(alert_id, standing, evidence)

    def _touch(self, gate: Gate, evidence: Evidence, hit: Hit | None) -> None:
        self._touched.setdefault(gate.key >> PARTS, {})[gate.part] = Touch(evidence, hit)

    def _turn_touched(self) -> None:
        if self._touched:
            touched, self._touched = self._touched, {}
            for alert_id, parts in touched.items():
                self._turn(alert_id, parts)

    def _turn(self, alert_id: int, parts: Mapping[int, Touch]) -> None:
        """What came of the parts of an alert that were moved, or of the time."""
        standing = self.standing.get(alert_id)
        course = standing.course if standing is not None else None
        if standing is None or course is None:
            return
        hits = {part: touch.hit for part, touch in parts.items() if touch.hit is not None}
        turns = course.turn(self.clock, hits, lambda part: len(self.agreeing(standing, part)))
        self.batch.moved.add(alert_id)
        rung = False
        for turn in turns:
            if turn.what is What.RANG and rung:  # one tick rings it once
                continue
            rung = rung or turn.what is What.RANG
            part = turn.part if turn.part in parts or not parts else next(iter(parts))
            evidence = parts[part].evidence if part in parts else Evidence.of(standing.books[part], None)
            self.ringing.turned(alert_id, standing, turn, part, evidence)
        if (next_at := course.next_at()) is not None and alert_id in self.standing:
            self.plan(next_at, alert_id, COURSE)

    # ------------------------------------------------------------------------------------- several sources

    def _ask_others(self, root: Root) -> None:
        """Alerts that wait for another source to agree look again."""
        for alert_id in self._confirming.get(root.instrument.id, ()):
            course = self.standing[alert_id].course
            if course is not None and PENDING in course.sides:
                self._touched.setdefault(alert_id, {})

    def agreeing(self, standing: Standing, part: int) -> list[tuple[str, float]]:
        """The sources whose newest prices say that the part holds."""
        root, gate = self.graph.root(standing.books[part].instrument), standing.gates[part]
        since = self.clock - round(root.instrument.stale_after_s * SECOND_US)
        others = (root.others or {}).items()
        return [(name, it.price) for name, it in others if it.received_at >= since and gate.true_at(it.price)]

    # ----------------------------------------------------------------------------------------------- clock

    def plan(self, at: int, alert_id: int, what: int) -> None:
        heapq.heappush(self._timers, (at, alert_id, what))
        self.due = min(self.due, at)

    def set_due(self) -> None:
        self.due = min(
            self._timers[0][0] if self._timers else NEVER,
            self.silences.next_end,
            self.blindness.due,
            self._second if self.graph.clocked else NEVER,
        )

    def _advance(self, clock: int) -> None:
        """All that is due by then, in the order of time. What moves with the clock is looked at on its newest whole
        second, however many have passed."""
        second = clock - clock % SECOND_US
        while self.due <= clock:
            looks = bool(self.graph.clocked) and self._second <= clock
            now = min(
                self._timers[0][0] if self._timers else NEVER,
                self.silences.next_end,
                self.blindness.due,
                second if looks else NEVER,
            )
            self.clock = max(self.clock, now)
            self._wake_due(now)
            self.blindness.tell(now)
            while self._timers and self._timers[0][0] <= now:
                _, alert_id, what = heapq.heappop(self._timers)
                self._timer(alert_id, what)
            if looks and now >= second:
                self._second = second + SECOND_US
                self._move_clocked(now)
            self.set_due()
        self.clock = max(self.clock, clock)

    def _timer(self, alert_id: int, what: int) -> None:
        standing = self.standing.get(alert_id)
        if standing is None:
            return
        more = standing.more
        if what == COURSE and alert_id not in self.silences:
            self._turn(alert_id, {})
        elif what == COOLED and more is not None and more.cooling_until <= self.clock:
            self.batch.moved.add(alert_id)
            self.batch.urgent = True
        elif what == ENDS and more is not None and more.expires_at is not None and more.expires_at <= self.clock:
            self.ringing.expire(alert_id, standing)

    def _move_clocked(self, now: int) -> None:
        """Candles that the clock closes, and portfolios that are due to be valued."""
        moved = [node for node in self.graph.clocked if node.advance(now)]
        for node in moved:
            if not isinstance(node, CandleNode):
                self._compare_clocked(node)
        roots = dict.fromkeys(root for node in moved if isinstance(node, CandleNode) for root in node.roots)
        above = dict.fromkeys(each for root in roots for each in self.graph.above(root))
        for each in sorted(above, key=lambda node: node.order):
            if not isinstance(each, CandleNode):
                each.value = each.compute(False)
                self._compare_clocked(each)
        self._turn_touched()

    def _compare_clocked(self, node: Node) -> None:
        newest = max(node.roots, key=lambda root: root.book.received_at).book
        if node.book is not None:
            self._compare(node.book, node, node.value, newest.at, newest.received_at, newest.source)

    def _wake_due(self, clock: int) -> None:
        """Silences that the stream's clock has passed: the next value sets the side and fires nothing."""
        for alert_id, snoozed_until in self.silences.ended(clock):
            standing = self.standing[alert_id]
            self.batch.urgent = True
            if snoozed_until:
                self.silences.put(alert_id, snoozed_until)
                self.batch.changed[alert_id] = standing.change(alert_id, clock, State.SNOOZED)
            else:
                self.batch.changed.pop(alert_id, None)
                self.batch.moved.add(alert_id)
                self._put(standing)

    # ---------------------------------------------------------------------------------------------- events

    def _event(self, event: Event) -> None:
        if event.kind not in (EventKind.STALE, EventKind.CLOSED, EventKind.FRESH):
            return
        root = self.graph.root(event.instrument)
        if event.kind == EventKind.STALE:
            root.stale_since = root.stale_since or root.book.received_at or event.time
            self.blindness.begins(root, root.stale_since)
        else:
            root.stale_since = None
            self.blindness.ends(event.instrument, event.time)
        self.set_due()
        if event.kind == EventKind.FRESH:
            return
        self.batch.prices.add(event.instrument)
        self._no_value(root.book, None)
        for node in self.graph.above(root):
            node.value = node.compute(False)
            if node.book is not None and node.value is None:
                self._no_value(node.book, node)
        self._turn_touched()

    def alerts_on(self, root: Root) -> set[int]:
        """Those that need a price of it, and are awake."""
        found = root.book.alerts()
        for node in self.graph.above(root):
            if node.book is not None:
                found |= node.book.alerts()
        return found

    # ---------------------------------------------------------------------------------------------- alerts

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

    def portfolio_owners(self) -> set[int]:
        """Who has alerts on the value of a portfolio."""
        return {each.owner_id for each in self.standing.values() if _has_portfolio(each)}

    def revalue(self, owner_ids: Collection[int]) -> None:
        """What these hold has changed: a value that the market has not made sets the sides anew."""
        changed = {
            alert_id: (standing, self.silences.get(alert_id))
            for alert_id, standing in self.standing.items()
            if standing.owner_id in owner_ids and _has_portfolio(standing)
        }
        for alert_id in changed:
            self.forget(alert_id)
        for alert_id, (standing, silence) in changed.items():
            try:
                again = self.maker.made(self.maker.spec_of(standing), standing.text, standing.owner_id, alert_id)
            except BadRequest as error:
                log.error("a portfolio has no value", alert=alert_id, reason=error.text)
                continue
            again.generation, again.armed_generation = standing.generation, standing.armed_generation
            self.standing[alert_id] = again
            self._plan(alert_id, again)
            if silence is not None:
                self.silences.put(alert_id, silence.until, silence.then)
                continue
            self._put(again)
            self.batch.moved.add(alert_id)
            self.ringing.tell(alert_id, "what the portfolio holds has changed: the next value sets its side")
        self.batch.urgent = True

    def absorb(self, other: "Board") -> None:
        """All alerts of a board that stands at the same place in the stream. Series that this one has are the same
        there; of those that it has not, the past comes along."""
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
        self.natures |= other.natures

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
        if more.course is None:
            return
        if (next_at := more.course.next_at()) is not None:
            self.plan(next_at, alert_id, COURSE)
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

    def prices(self) -> list[SeriesValue]:
        """The newest prices of the instruments that moved."""
        roots = [self.graph.root(name) for name in self.batch.prices]
        return [_price_of(root) for root in roots if root.book.value is not None]


def price_key(instrument: str) -> str:
    """The key of the series "price of that instrument"; the same as hub.rules.series.key."""
    return f"price({instrument})"


def instrument_of(key: str) -> str:
    return key.partition("(")[2].rstrip(")")


def refresh(node: Node) -> None:
    """Its value by what is known now; no gate hears of it."""
    node.value = node.compute(False)
    if node.book is not None and node.value is not None:
        node.book.value, node.book.live = node.value, True


def _has_portfolio(standing: Standing) -> bool:
    return standing.more is not None and any(isinstance(node, PortfolioNode) for node in standing.more.nodes)


def _put(book: Book, value: float, at: int | None, received_at: int, source: str) -> None:
    book.value, book.at, book.received_at, book.source, book.live = value, at, received_at, source, True


def _price_of(root: Root) -> SeriesValue:
    book = root.book
    assert book.value is not None
    return SeriesValue(
        key=book.key, value=book.value, venue_time=book.at, received_at=book.received_at, source=book.source,
        live=book.live, stale_since=root.stale_since,
    )  # fmt: skip
