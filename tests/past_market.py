"""A market as ingest tells it: ticks judged by the real arbiter, its events, and a heartbeat each second, as frames.

What a board rings on these frames is what it would have rung live; the same frames in a history are what a back-test
has of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hub.arbiter import Desk, Happened
from hub.backtest import ALERT, Rings, again
from hub.engine.board import Board
from hub.frame import Event, Frame, empty
from hub.history import History, Position
from hub.instruments import CATALOGUE, Catalogue
from hub.model import SECOND_US, Instrument, Kind, Nature
from hub.rules.spec import AlertSpec, canonical
from hub.sessions import SESSIONS, hours_at

FRESH_FOR_US = 10 * SECOND_US


class Came(NamedTuple):
    """A tick as it came; `price` of a quote is its mid."""

    instrument: str
    at: int  # received
    price: float
    kind: Kind
    half_spread: float = 0.0
    volume: float | None = None
    lag_us: int | None = 0  # received less the venue's time; None: the venue says none
    source: str = "a"


class Ingested:
    """Frames of what came, each instrument before its desk. A frame ends with each second."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._desks = {name: _desk(one) for name, one in instruments.items()}
        self._names = list(instruments)
        self._sources: list[str] = []
        self.frames: list[Frame] = []
        self._frame = empty()
        self._clock = 0

    def take(self, ticks: Iterable[Came], until_us: int) -> list[Frame]:
        for tick in ticks:
            self._beat(tick.at)
            self._clock = tick.at
            venue = None if tick.lag_us is None else tick.at - tick.lag_us
            judged = self._desks[tick.instrument].judge(tick, tick.source, tick.kind, tick.price, venue, tick.at)
            self._tell(tick.instrument, judged.events)
            assert judged.verdict is not None and judged.released is None, "nothing is to be an outlier here"
            self._add(tick, venue, judged.verdict)
        self._beat(until_us)
        return self.frames

    def _beat(self, until_us: int) -> None:
        """The heartbeats before that time."""
        while self._clock and (second := self._clock - self._clock % SECOND_US + SECOND_US) <= until_us:
            self._clock = second
            for name, desk in self._desks.items():
                self._tell(name, desk.advance(second))
            self._frame.clock = second
            self._frame.instruments, self._frame.sources = list(self._names), list(self._sources)
            self._frame.natures = [Nature.LIVE.value] * len(self._sources)
            self._frame.epoch, self._frame.number = 1, len(self.frames) + 1
            self.frames.append(self._frame)
            self._frame = empty()

    def _tell(self, name: str, events: Sequence[Happened]) -> None:
        place = len(self._frame)
        self._frame.events += [Event(place, one.kind, one.time, name, one.source, one.text) for one in events]

    def _add(self, tick: Came, venue: int | None, verdict: int) -> None:
        if tick.source not in self._sources:
            self._sources.append(tick.source)
        quoted, half = tick.kind == Kind.QUOTE, tick.half_spread
        frame = self._frame
        frame.instrument.append(self._names.index(tick.instrument))
        frame.source.append(self._sources.index(tick.source))
        frame.kind.append(tick.kind)
        frame.verdict.append(verdict)
        frame.venue_time.append(venue)
        frame.received_at.append(tick.at)
        frame.price.append(tick.price)
        frame.bid.append(tick.price - half if quoted else None)
        frame.ask.append(tick.price + half if quoted else None)
        frame.volume.append(None if quoted else tick.volume)
        frame.vendor_number.append(None)


def quoted(instrument: str, prices: Sequence[tuple[int, float]]) -> Frame:
    """One frame of quotes, in time, all of which move the price: for spans too long for a heartbeat each second."""
    frame = empty(epoch=1, number=1)
    frame.instruments, frame.sources, frame.natures = [instrument], ["a"], [Nature.LIVE.value]
    for at, price in prices:
        frame.instrument.append(0)
        frame.source.append(0)
        frame.kind.append(Kind.QUOTE)
        frame.verdict.append(0)
        frame.venue_time.append(at)
        frame.received_at.append(at)
        frame.price.append(price)
        frame.bid.append(price - 0.1)
        frame.ask.append(price + 0.1)
        frame.volume.append(None)
        frame.vendor_number.append(None)
        frame.clock = at
    return frame


def _desk(instrument: Instrument) -> Desk:
    session = SESSIONS[instrument.session]

    def hours(at: int) -> tuple[bool, int]:
        found = hours_at(session, at)
        return found.open, found.until_us if found.until_us is not None else 1 << 62

    return Desk(instrument, ["a", "b", "c"], dict.fromkeys("abc", FRESH_FOR_US), hours)


async def stored(history: History, frames: Sequence[Frame], sequence: int = 0) -> Position:
    """As the recorder stores them."""
    last = frames[-1]
    place = Position(stream="s", sequence=sequence + len(frames), epoch=1, number=last.number, clock=last.clock)
    return await history.append(frames, place)


def live(spec: AlertSpec, frames: Sequence[Frame], start_us: int, end_us: int) -> Rings:
    """What rings in [start, end) where the alert was set at `start`, every time; frames end with whole seconds, and so
    do these. Storms are let through."""
    names = {name for frame in frames for name in frame.instruments}
    board = Board(
        Catalogue(CATALOGUE, sorted(names)), band_percent=0.05, late_after_us=1 << 62, storm_rings=0, now_us=lambda: 0
    )
    rings = board.ringing = Rings(board)
    standing = board.maker.made(again(spec), canonical(again(spec)), 1, ALERT)
    for node in board.graph.cold():
        node.cold = False
    armed = False
    for sequence, frame in enumerate(frames, 1):
        if frame.clock > end_us:
            break
        if not armed and frame.clock > start_us:
            armed = True
            board.settle(standing)
            board.stand(ALERT, standing, None)
        board.take(frame, sequence)
    return rings
