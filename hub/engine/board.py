"""What a frame does to the alerts in memory.

A tick first moves the gates on its instrument's own price, then those on every series above it; what needs more than
one gate (hub.rules.course) is turned once all of them have moved. What is due by the clock is done before the first
tick that is as late, so frames that are read again after a death, however they are cut, bring the same. Depends on
hub.rules and hub.frame.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Self

from hub.engine.blind import Blindness
from hub.engine.ringing import Evidence, Ringing, Touch
from hub.engine.roster import COOLED, COURSE, ENDS, NEVER, Roster
from hub.engine.sources import agreeing
from hub.engine.splitting import Splitting
from hub.engine.standing import MUTE_OVER, SILENCE_OVER, STORM_RINGS, Standing
from hub.frame import Event, EventKind, Frame, empty
from hub.model import MOVES, SECOND_US, Kind, State, Verdict
from hub.plugin import Catalogue
from hub.rules.course import PENDING, Course, What
from hub.rules.gates import PARTS, Gate, Hit, Level, Zone
from hub.rules.lookback import CandleNode
from hub.rules.nodes import Node
from hub.rules.roots import Book, Other, Root, is_late


class Board(Roster):
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
        super().__init__(catalogue, band_percent)
        self.ticks = 0
        self.frame = empty()
        self.sequence = 0
        self.natures: dict[str, str] = {}
        self._events: list[Event] = []  # of the frame that are still to come, the next one last
        self._second = 0  # the clock time at which clocked series move next
        self._touched: dict[int, dict[int, Touch]] = {}  # alerts with a course → their parts
        self.ringing = Ringing(self, late_after_us, storm_rings, now_us)
        self.blindness = Blindness(self)
        self.splitting = Splitting(self)

    def absorb(self, other: Self) -> None:
        super().absorb(other)
        self.natures |= other.natures
        self.blindness.absorb(other.blindness)
        self.set_due()

    # ----------------------------------------------------------------------------------------------------------- stream

    def take(self, frame: Frame, sequence: int) -> None:
        """One frame of the stream, up to its clock."""
        self.evaluate(frame, sequence)
        self._advance(frame.clock)

    def evaluate(self, frame: Frame, sequence: int) -> None:
        """Every tick of a frame against every gate. The loop is the engine's hot path: two comparisons a tick, and two
        for what comes before it."""
        self.frame, self.sequence = frame, sequence
        if not self.clock:
            self.splitting.begin(frame.received_at[0] if len(frame) else frame.clock)
        roots = [self.graph.root(instrument) for instrument in frame.instruments]
        sources = frame.sources
        self.natures.update(zip(sources, frame.natures, strict=True))
        self._events = frame.events[::-1]
        event, due, clock = frame.events[0].at if frame.events else NEVER, self.due, self.clock
        for i, (at, verdict, price, venue_time, received_at, source) in enumerate(
            zip(
                frame.instrument, frame.verdict, frame.price, frame.venue_time, frame.received_at, frame.source,
                strict=True,
            )
        ):  # fmt: skip
            if received_at >= due or i >= event:
                self.clock = clock
                event, due = self._before(i, received_at)
                clock = self.clock
            if received_at > clock:
                clock = received_at
            if verdict < MOVES:
                root = roots[at]
                book = root.book
                if root.nodes or root.others is not None:
                    self.clock = clock
                    self._tick(root, i)
                    due = self.due
                    continue
                if price >= book.high or price <= book.low:
                    self.clock = clock
                    self._cross(root, i)
                    due = self.due
                    continue
                book.value = price
                book.at = venue_time
                book.received_at = received_at
                book.source = sources[source]
                book.live = True
            elif roots[at].asides or roots[at].others is not None:
                self.clock = clock
                self._beside(roots[at], i)
                due = self.due
        self.clock = clock
        if self._events:
            self._before(NEVER, clock)
        self.batch.prices.update(frame.instruments)
        self.ticks += len(frame)

    def _before(self, i: int, received_at: int) -> tuple[int, int]:
        """What comes before the tick of that place: events of the frame, and what the clock brings. Where the next
        event stands, and what is due then."""
        while self._events and self._events[-1].at <= i:
            event = self._events.pop()
            self._advance(event.time)
            self._event(event)
        self._advance(received_at)
        return self._events[-1].at if self._events else NEVER, self.due

    def _cross(self, root: Root, i: int) -> None:
        """A price that moves gates, of an instrument that nothing else stands on."""
        frame = self.frame
        value, at, received_at = frame.price[i], frame.venue_time[i], frame.received_at[i]
        source = frame.sources[frame.source[i]]
        self._moved(root.book, None, value, at, received_at, source)
        _put(root.book, value, at, received_at, source)
        self._turn_touched()

    def _tick(self, root: Root, i: int) -> None:
        """A tick of an instrument that series stand on, or that several sources have to agree on."""
        frame, book = self.frame, root.book
        value, at, received_at = frame.price[i], frame.venue_time[i], frame.received_at[i]
        source = frame.sources[frame.source[i]]
        root.seen(at, received_at)
        if root.quotes:
            root.bid, root.ask, root.volume = frame.bid[i], frame.ask[i], 0.0
        else:
            root.last, root.volume = value, frame.volume[i] or 0.0
        if root.others is not None:
            root.others[source] = Other(value, received_at, at)
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
        if verdict == Verdict.STANDBY and root.others is not None and trade != root.quotes:
            if not is_late(root.others.get(source), at):
                root.others[source] = Other(frame.price[i], received_at, at)
                self._ask_others(root)
        elif verdict == Verdict.ASIDE and root.asides and (at is None or at >= root.aside_at):
            root.seen_aside(at, received_at)
            root.volume = frame.volume[i] or 0.0 if trade else 0.0
            if root.live and trade:
                root.last = frame.price[i]
            elif root.live:
                root.bid, root.ask = frame.bid[i], frame.ask[i]
            self._compute(root.asides, at, received_at, source)
        self._turn_touched()

    def _compute(self, nodes: Iterable[Node], at: int | None, received_at: int, source: str) -> None:
        for node in nodes:
            try:
                node.value = value = node.compute(True)
            except Exception as error:
                self.failing.node(node, error)
                continue
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
        settling = book.settling
        for gate, hit in book.cross(value):
            alert_id = gate.key >> PARTS
            standing = self.standing.get(alert_id)
            if standing is None:  # another gate of it has rung just now, and it was for once
                continue
            if isinstance(hit, Exception):
                self.failing.alert(alert_id, hit)
                continue
            if standing.course is not None:
                self._touch(gate, evidence, hit)
                continue
            self.batch.moved.add(alert_id)
            try:
                if hit is not None:
                    self.ringing.ring(alert_id, standing, gate.part, hit, evidence)
                elif isinstance(gate, Level):
                    self.ringing.sided(alert_id, standing, evidence, first=gate.key in settling)
            except Exception as error:
                self.failing.alert(alert_id, error)

    def _touch(self, gate: Gate, evidence: Evidence, hit: Hit | None) -> None:
        self._touched.setdefault(gate.key >> PARTS, {})[gate.part] = Touch(evidence, hit)

    def _turn_touched(self) -> None:
        if self._touched:
            touched, self._touched = self._touched, {}
            for alert_id, parts in touched.items():
                try:
                    self._turn(alert_id, parts)
                except Exception as error:
                    self.failing.alert(alert_id, error)

    def _turn(self, alert_id: int, parts: Mapping[int, Touch]) -> None:
        """What came of the parts of an alert that were moved, or of the time."""
        standing = self.standing.get(alert_id)
        course = standing.course if standing is not None else None
        if standing is None or course is None:
            return
        hits = {part: touch.hit for part, touch in parts.items() if touch.hit is not None}
        turns = course.turn(self.clock, hits, lambda part: len(agreeing(self, standing, part)))
        self.batch.moved.add(alert_id)
        if any(turn.what is What.FIRST for turn in turns):
            self._begin_second(standing, course)
        rung = False
        for turn in turns:
            if turn.what is What.RANG and rung:  # one tick rings it once
                continue
            rung = rung or turn.what is What.RANG
            part = turn.part  # of several that hold together, the one that was moved tells of it
            if part not in parts:
                part = next((each for each in course.way_of(part) if each in parts), part)
            evidence = parts[part].evidence if part in parts else Evidence.of(standing.books[part], None)
            self.ringing.turned(alert_id, standing, turn, part, evidence)
        if alert_id in self.standing:
            self.plan_course(alert_id, course)

    def _begin_second(self, standing: Standing, course: Course) -> None:
        """What follows a value follows it from this moment."""
        for part in course.seconds:
            gate, book = standing.gates[part], standing.books[part]
            if not isinstance(gate, Zone):
                book.restart(gate, book.value if book.live else None)

    def _ask_others(self, root: Root) -> None:
        """Alerts that wait for another source to agree look again."""
        for alert_id in self._confirming.get(root.instrument.id, ()):
            course = self.standing[alert_id].course
            if course is not None and PENDING in course.sides:
                self._touched.setdefault(alert_id, {})

    # ------------------------------------------------------------------------------------------------------------ clock

    def next_due(self) -> int:
        clocked = self._second if self.graph.clocked else NEVER
        return min(super().next_due(), self.splitting.due, self.blindness.due, clocked)

    def _advance(self, clock: int) -> None:
        """All that is due by then, in the order of time. What moves with the clock is looked at on its newest whole
        second, however many have passed."""
        second = clock - clock % SECOND_US
        while self.due <= clock:
            looks = bool(self.graph.clocked) and self._second <= clock
            now = min(super().next_due(), self.splitting.due, self.blindness.due, second if looks else NEVER)
            if now > clock:  # what was due is gone
                self.set_due()
                break
            self.clock = max(self.clock, now)
            self.splitting.bring(now)
            self._wake_due(now)
            self.blindness.tell(now)
            while self._timers and self._timers[0][0] <= now:
                timer = heapq.heappop(self._timers)
                try:
                    self._timer(*timer)
                except Exception as error:
                    self.failing.alert(timer[1], error)
            if looks and now >= second:
                self._second = second + SECOND_US
                self._move_clocked(now)
            self.set_due()
        self.clock = max(self.clock, clock)

    def _timer(self, at: int, alert_id: int, what: int) -> None:
        standing = self.standing.get(alert_id)
        if standing is None:
            return
        more, course = standing.more, standing.course
        if what == COURSE and course is not None and course.planned == at:
            course.planned = None
            if alert_id not in self.silences:
                self._turn(alert_id, {})
        elif what == COOLED and more is not None and more.cooling_until == at:
            if alert_id in self.silences:
                more.cooling_until = 0
            else:
                self.ringing.cooled(alert_id, more)
        elif what == ENDS and more is not None and more.expires_at is not None and more.expires_at <= self.clock:
            self.ringing.expire(alert_id, standing)

    def _move_clocked(self, now: int) -> None:
        """Candles that the clock closes, and portfolios that are due to be valued."""
        moved = [node for node in tuple(self.graph.clocked) if self._sound(node, partial(node.advance, now))]
        for node in moved:
            if not isinstance(node, CandleNode):
                self._compare_clocked(node)
        roots = dict.fromkeys(root for node in moved if isinstance(node, CandleNode) for root in node.roots)
        above = dict.fromkeys(each for root in roots for each in self.graph.above(root))
        for each in sorted(above, key=lambda node: node.order):
            if not isinstance(each, CandleNode) and self._sound(each, each.recompute):
                self._compare_clocked(each)
        self._turn_touched()

    def _sound(self, node: Node, work: Callable[[], bool]) -> bool:
        """What comes of a node's work; False where it fails."""
        try:
            return work()
        except Exception as error:
            self.failing.node(node, error)
            return False

    def _compare_clocked(self, node: Node) -> None:
        if node.book is not None:
            books = (root.book for root in node.roots)
            newest = max(books, key=lambda book: book.received_at, default=node.book)  # a portfolio may hold nothing
            self._compare(node.book, node, node.value, newest.at, newest.received_at, newest.source)

    def _wake_due(self, clock: int) -> None:
        """Silences that the stream's clock has passed: the next value sets the side and fires nothing."""
        for alert_id, snoozed_until in self.silences.ended(clock):
            standing = self.standing[alert_id]
            self.batch.urgent = True
            self.tell(alert_id, MUTE_OVER if snoozed_until else SILENCE_OVER)
            if snoozed_until:
                self.silences.put(alert_id, snoozed_until)
                self.batch.changed[alert_id] = standing.change(alert_id, clock, State.SNOOZED)
            else:
                self.batch.changed.pop(alert_id, None)
                self.batch.moved.add(alert_id)
                self._put(standing)

    # ----------------------------------------------------------------------------------------------------------- events

    def _event(self, event: Event) -> None:
        if event.kind not in (EventKind.STALE, EventKind.CLOSED, EventKind.FRESH):
            return
        root = self.graph.root(event.instrument)
        if event.kind == EventKind.STALE:
            silent_since = event.time - round(root.instrument.stale_after_s * SECOND_US)  # the opening, behind a night
            root.stale_since = root.stale_since or max(root.book.received_at, silent_since)
            self.blindness.begins(root, root.stale_since)
        else:
            root.stale_since = None
            self.blindness.ends(event.instrument, event.time)
        self.set_due()
        if event.kind == EventKind.FRESH:
            return
        self.batch.prices.add(event.instrument)
        root.ends()
        self._no_value(root.book, None)
        for node in self.graph.above(root):
            if self._sound(node, node.recompute) and node.book is not None and node.value is None:
                self._no_value(node.book, node)
        self._turn_touched()


def _put(book: Book, value: float, at: int | None, received_at: int, source: str) -> None:
    book.value, book.at, book.received_at, book.source, book.live = value, at, received_at, source, True
