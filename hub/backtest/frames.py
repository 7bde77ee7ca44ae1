"""Ticks of the past as the frames that the engine takes, with the events that ingest would have put between them.

History keeps no events: a market closes as its session says, a price is stale once nothing has come for its
instrument's patience in open hours, and fresh with the next one. What moves with the clock (candles that are closed,
portfolios) is looked at each second, as the heartbeat has it, for the first BEATS seconds of a silence. Pure.
"""

from collections.abc import Iterable, Sequence

from hub.backtest.path import silent_us
from hub.frame import Event, EventKind, Frame, empty
from hub.model import MOVES, SECOND_US, Instrument, Nature, Tick
from hub.sessions import SESSIONS, hours_at

BEATS = 90
NEVER = 1 << 62


class Market:
    """Of one instrument: since when it says nothing, and when its session turns."""

    __slots__ = ("_session", "instrument", "open", "stale", "stale_at", "turns_at")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._session = SESSIONS[instrument.session]
        self.open, self.stale = True, False
        self.stale_at = self.turns_at = NEVER  # nothing has come yet

    @property
    def due(self) -> int:
        return min(self.stale_at, self.turns_at)

    def begin(self, at: int) -> None:
        self._turn(at)

    def _turn(self, at: int) -> None:
        hours = hours_at(self._session, at)
        self.open, self.turns_at = hours.open, hours.until_us if hours.until_us is not None else NEVER

    def pass_by(self) -> EventKind:
        """What is due first; it has happened then."""
        at = self.due
        if self.turns_at > at:
            self.stale, self.stale_at = True, NEVER
            return EventKind.STALE
        self._turn(at)
        if self.open:
            return EventKind.OPENED
        self.stale, self.stale_at = False, NEVER
        return EventKind.CLOSED

    def moved(self, at: int, source: str) -> bool:
        """A price has come; whether it is back."""
        back, self.stale = self.stale, False
        self.stale_at = at + silent_us(self.instrument, source) + 1
        return back


class Frames:
    """`beats`: something moves with the clock."""

    def __init__(self, instruments: Sequence[Instrument], *, beats: bool) -> None:
        self._markets = {each.id: Market(each) for each in instruments}
        self._index = {each.id: index for index, each in enumerate(instruments)}
        self._sources: dict[str, int] = {}
        self._beats = beats
        self._clock = 0
        self._due = NEVER  # no event is before that

    def of(self, ticks: Iterable[Tick]) -> Frame:
        """One frame of them, which are in order."""
        frame = empty(clock=self._clock)
        for tick in ticks:
            at = tick.received_at or 0
            if self._clock == 0:
                self._begin(at)
            if at >= self._due or (self._beats and at - self._clock >= SECOND_US):
                self._pass(frame, at)
            self._clock = max(self._clock, at)
            if tick.verdict < MOVES:
                market = self._markets[tick.instrument]
                if market.moved(at, tick.source):
                    frame.events.append(Event(len(frame), EventKind.FRESH, at, tick.instrument))
                self._due = min(self._due, market.stale_at)
            self._add(frame, tick, at)
        return self._whole(frame)

    def to(self, clock: int) -> Frame:
        """Nothing but time."""
        frame = empty()
        if self._clock == 0:
            self._begin(clock)
        self._pass(frame, clock)
        self._clock = max(self._clock, clock)
        return self._whole(frame)

    def _begin(self, at: int) -> None:
        for market in self._markets.values():
            market.begin(at)
        self._due = min((market.due for market in self._markets.values()), default=NEVER)

    def _pass(self, frame: Frame, until: int) -> None:
        """All that happens before that moment, in the order of time."""
        place = len(frame)
        found: list[Event] = []
        for name, market in self._markets.items():
            while market.due <= until:
                at = market.due
                found.append(Event(place, market.pass_by(), at, name))
        if self._beats:
            first = self._clock - self._clock % SECOND_US + SECOND_US
            last = min(until + 1, first + BEATS * SECOND_US)
            found += [Event(place, EventKind.OPENED, second) for second in range(first, last, SECOND_US)]
        found.sort(key=lambda event: event.time)
        frame.events += found
        self._due = min((market.due for market in self._markets.values()), default=NEVER)

    def _add(self, frame: Frame, tick: Tick, at: int) -> None:
        assert tick.price is not None
        frame.instrument.append(self._index[tick.instrument])
        frame.source.append(self._sources.setdefault(tick.source, len(self._sources)))
        frame.kind.append(tick.kind)
        frame.verdict.append(tick.verdict)
        frame.venue_time.append(tick.venue_time)
        frame.received_at.append(at)
        frame.price.append(tick.price)
        frame.bid.append(tick.bid)
        frame.ask.append(tick.ask)
        frame.volume.append(tick.volume)
        frame.vendor_number.append(None)

    def _whole(self, frame: Frame) -> Frame:
        frame.instruments = list(self._index)
        frame.sources = list(self._sources)
        frame.natures = [Nature.LIVE.value] * len(frame.sources)
        frame.clock = frame.opened_at = self._clock
        return frame
