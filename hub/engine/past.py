"""The past of series that look back (windows, records, sums, indicators), before their first tick is evaluated.

A twin of each cold series is made on a board of its own, without alerts, and is given what came before: the newest
frames from the stream, exactly as the engine took them, and what lies before those from history. The last frames that
the recorder may not have stored yet are always among the former, so there is neither a gap nor a tick of later. The
series adopts its twin's state, and then what it kept meanwhile.

How exact: windows are exact to the tick as far as MOST_TICKS reach back, and older than that by the highs and lows of
minutes, which are exact in value and a minute in time. Records of days come from candles, indicators from closes.
Depends on hub.history, hub.reader and the engine's board.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from typing import NamedTuple

from hub import reader
from hub.bus import Bus
from hub.engine.board import Board
from hub.frame import Frame, Position
from hub.history import Position as Recorded
from hub.history.adjusted import Adjusted, Reads
from hub.history.ladder import RUNGS as LADDER
from hub.history.ladder import floor
from hub.model import MOVES, SECOND_US, Candle, Kind, Tick, Verdict
from hub.rules.indicators import candles_for
from hub.rules.lookback import (
    Back,
    CandleNode,
    ChangeNode,
    DistanceNode,
    IndicatorNode,
    OfBase,
    VolumeNode,
    WindowNode,
)
from hub.rules.nodes import BaseNode, Node
from hub.rules.roots import SKEW_US, Root
from hub.rules.series import DAY_US, HOUR_US, MINUTE_US, RUNGS, Change, Distance, Indicator, Volume
from hub.splits import Splits

MOST_TICKS = 300_000
EXACT_US = 2 * HOUR_US
"""Where a window holds more ticks than that, so much of it is read tick by tick."""
MARGIN = 64
"""Frames that are read again though the recorder has stored them."""
AT_ONCE = 1_000
"""So many values are taken before others have their turn."""
BEFORE_US = 4 * DAY_US
"""So far before a window its last earlier value is looked for."""
FARTHEST_US = 366 * 40 * DAY_US


class Sample(NamedTuple):
    """A price of the past, or a volume."""

    at: int
    price: float
    tick: Tick | None = None


class Past:
    def __init__(self, bus: Bus, history: Reads | None, new_board: Callable[[], Board], splits: Splits) -> None:
        self._bus = bus
        self._history = history
        self._splits = splits
        self._new_board = new_board

    async def twins(self, nodes: Sequence[Back], place: Position) -> dict[str, Back]:
        """What each of these nodes would be now, by its key, had it been there all the time up to that place."""
        board = self._new_board()
        for node in nodes:
            board.graph.node(node.series).uses += 1
        made = {key: found for node in nodes if isinstance(found := board.graph.nodes.get(key := node.key), Back)}
        frames = await self._frames(place)
        cut = next((frame.received_at[0] for frame in frames if len(frame)), place.clock + 1)
        if self._history is not None:
            history = Adjusted(self._history, self._splits, lambda _: cut)
            for twin in board.graph.cold():
                await fill(history, twin, cut)
        for twin in board.graph.cold():
            twin.cold = False
        for each in sorted(board.graph.nodes.values(), key=lambda node: node.order):
            each.recompute()  # each twin has left what they share where its own past ended
        board.splitting.expect(self._splits.all())  # from here on the clock brings what is due, closes of candles too
        for sequence, frame in enumerate(frames):
            board.take(frame, sequence)
        return made

    async def _frames(self, place: Position) -> list[Frame]:
        """The newest up to that place, and all that history may lack."""
        if not place.sequence:
            return []
        state = await reader.stream_state(self._bus)
        recorded = await self._history.position() if self._history is not None else Recorded()
        stored = recorded.sequence if recorded.stream == place.stream else 0
        first = max(state.first, min(stored, place.sequence) + 1 - MARGIN, 1)
        return [frame async for frame in reader.frames_between(self._bus, first - 1, place.sequence)]


async def fill(history: Reads, twin: Back, cut: int) -> None:
    """What history has from before `cut`. The roots below it are left as they were then."""
    match twin:
        case WindowNode():
            since = cut - twin.window_us
            await _values(history, twin, await _exact(history, twin.roots, since, cut), since, cut)
        case ChangeNode(series=Change(window_us=window_us)):
            exact = await _exact(history, twin.roots, cut - window_us, cut)
            await _values(history, twin, exact, cut - window_us - BEFORE_US, cut)
        case DistanceNode(series=Distance(period=period)):
            days = {"day": 0, "52w": 363 * DAY_US, "all": FARTHEST_US}[period]
            await _values(history, twin, floor(cut, MINUTE_US), floor(cut, DAY_US) - days, cut, "1d")
        case VolumeNode(series=Volume(window_us=window_us)):
            await _volumes(history, twin, cut - window_us, cut)
        case CandleNode():
            start = floor(cut, twin.length_us)
            await _values(history, twin, floor(cut, MINUTE_US), start, cut)
        case IndicatorNode(series=Indicator() as series):
            await _closes(history, twin, series, cut)


async def _values(history: Reads, twin: OfBase, exact: int, since: int, cut: int, coarse: str = "1m") -> None:
    """The values of its base from `since` on: from candles, and from `exact` on from ticks."""
    base = twin.base
    legs = [await _leg(history, root, since, exact, cut, coarse) for root in base.roots]
    with _anew(base.roots):
        for root in base.roots if len(base.roots) > 1 else ():
            await _known_before(history, root, since)
        for count, (value, at) in enumerate(_of_base(base, legs), 1):
            twin.take(value, at)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)


@contextmanager
def _anew(roots: Sequence[Root], *, to_the_end: bool = True) -> Iterator[None]:
    """Twins share their instruments, which may have come to their newest prices already: within, nothing is known of
    them; behind it they are as new as before. `to_the_end`: within, they come to their newest prices."""
    before = [(root, root.book.value, root.book.live, root.bid, root.ask, root.last) for root in roots]
    for root in roots:
        root.book.value, root.book.live = None, False
        root.ends()
    yield
    for root, value, live, bid, ask, last in before:
        if root.book.value is None or (value is not None and not to_the_end):
            root.book.value, root.book.live = value, live
            root.bid, root.ask, root.last = bid, ask, last


async def _known_before(history: Reads, root: Root, since: int) -> None:
    """The last price of one leg from before that, which the first ticks of the others are held together with."""
    minute = floor(since, MINUTE_US)
    async for tick in _ticks(history, root, minute, since):
        if tick.price is not None and _speaks(tick):
            _see(root, Sample(_time_of(tick), tick.price, tick))
    for span in (HOUR_US, BEFORE_US) if root.book.value is None else ():
        if candles := await history.candles(root.instrument.id, "1m", minute - span, minute):
            root.book.value, root.book.live = candles[-1].close, True
            return


async def _leg(
    history: Reads, root: Root, since: int, exact: int, cut: int, coarse: str
) -> list[tuple[int, Root, Sample]]:
    samples: list[Sample] = []
    day, exact = floor(cut, DAY_US), floor(exact, MINUTE_US)  # of a minute that is read tick by tick no candle is read
    if coarse == "1d" and since < day:
        for candle in await history.candles(root.instrument.id, "1d", since, day):
            samples += path_of(candle, DAY_US)
    for candle in await history.candles(root.instrument.id, "1m", max(since, day) if coarse == "1d" else since, exact):
        samples += path_of(candle, MINUTE_US)
    async for tick in _ticks(history, root, max(since, exact), cut):
        if tick.price is not None and (_speaks(tick) or tick.verdict == Verdict.CLOSED):
            samples.append(Sample(_time_of(tick), tick.price, tick))
    return [(sample.at, root, sample) for sample in samples]


async def _ticks(history: Reads, root: Root, since: int, cut: int) -> AsyncIterator[Tick]:
    async for ticks in history.scan(root.instrument.id, since, cut + SKEW_US):
        for tick in ticks:
            if tick.received_at is not None and tick.received_at < cut:
                yield tick


def _speaks(tick: Tick) -> bool:
    """Whether it is of the speaking source, and in time."""
    return tick.verdict < MOVES or tick.verdict == Verdict.ASIDE


def _time_of(tick: Tick) -> int:
    received_at, venue_time = tick.received_at or 0, tick.venue_time
    return received_at if venue_time is None or abs(venue_time - received_at) > SKEW_US else venue_time


def path_of(candle: Candle, length_us: int) -> tuple[Sample, ...]:
    """The four prices of a candle, spread over its interval; of high and low the nearer to the open comes first."""
    low_first = candle.open - candle.low <= candle.high - candle.open
    inner = (candle.low, candle.high) if low_first else (candle.high, candle.low)
    start, step = candle.start, length_us // 3
    return (
        Sample(start, candle.open),
        Sample(start + step, inner[0]),
        Sample(start + 2 * step, inner[1]),
        Sample(start + length_us - 1, candle.close),
    )


def _of_base(base: BaseNode, legs: Iterable[Sequence[tuple[int, Root, Sample]]]) -> Iterable[tuple[float, int]]:
    """The values of a base as the prices of its legs came, while all of them are known: one whose market has closed is
    not, until its first price behind that."""
    order = sorted(_below(base), key=lambda node: node.order)
    for at, root, sample in merge(*legs, key=lambda each: each[0]):
        tick = sample.tick
        if tick is not None and tick.verdict == Verdict.CLOSED:
            root.book.live = False
            root.ends()
            continue
        _see(root, sample)
        for node in order:
            node.value = node.compute(False)
        if base.value is not None and (tick is None or _moves(base, root, tick)):
            yield base.value, at


def _see(root: Root, sample: Sample) -> None:
    tick = sample.tick
    if tick is None or tick.verdict < MOVES:
        root.book.value, root.book.live = sample.price, True
    if tick is not None and tick.kind == Kind.QUOTE:
        root.bid, root.ask = tick.bid, tick.ask
    elif tick is not None:
        root.last = tick.price


def _below(node: Node) -> list[Node]:
    return [node, *(each for one in node.inputs for each in _below(one))]


def _moves(base: BaseNode, root: Root, tick: Tick) -> bool:
    """Whether such a tick of that root is one of the base."""
    return root in (base.on_price if tick.verdict < MOVES else base.on_aside)


async def _exact(history: Reads, roots: Iterable[Root], since: int, cut: int) -> int:
    """From where on ticks are read one by one."""
    counted = 0
    for root in roots:
        counted += sum(candle.count for candle in await history.candles(root.instrument.id, "1h", since, cut))
    return since if counted <= MOST_TICKS else max(since, floor(cut - EXACT_US, MINUTE_US))


async def _volumes(history: Reads, twin: VolumeNode, since: int, cut: int) -> None:
    (root,) = twin.roots
    exact = await _exact(history, twin.roots, since, cut)
    if not root.quotes:
        for candle in await history.candles(root.instrument.id, "1m", since, exact):
            if candle.volume:
                twin.take(candle.volume, candle.start)
    async for tick in _ticks(history, root, exact, cut):
        if tick.kind == Kind.TRADE and _speaks(tick) and tick.volume:
            twin.take(tick.volume, _time_of(tick))


async def _closes(history: Reads, twin: IndicatorNode, series: Indicator, cut: int) -> None:
    """As many closes as it takes, of the candles before the one in which `cut` lies."""
    candles = twin.inputs[0]
    assert isinstance(candles, CandleNode)
    length_us, wanted = candles.length_us, candles_for(series.name, series.numbers)
    rung = max((name for name, seconds in LADDER.items() if RUNGS[series.rung] % seconds == 0), key=lambda r: LADDER[r])
    end = floor(cut, length_us)
    closes: list[float] = []
    for longer in (2, 8, 64):  # markets are closed for part of the time
        legs = []
        for root in candles.base.roots:
            found = await history.candles(root.instrument.id, rung, end - wanted * length_us * longer, end)
            last = LADDER[rung] * SECOND_US - 1
            legs.append([(one.start + last, root, Sample(one.start + last, one.close)) for one in found])
        with _anew(candles.base.roots, to_the_end=False):
            by_candle = {at // length_us: value for value, at in _of_base(candles.base, legs)}
        closes = list(by_candle.values())[-wanted:]
        if len(closes) >= wanted:
            break
    for close in closes:
        twin.study.close(close)
