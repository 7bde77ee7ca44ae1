"""The candle ladder: ticks → 1m candles, and candles of one rung → those of the next. Pure.

Open and close are by stream order. A late tick corrects the high, low, volume, count and sums of its interval, and
its open and close only where it is the interval's first. Intervals start at multiples of their length in UTC. All
that is paid for each tick is one rung: the others are made by merging. Depends on hub.model.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress
from operator import mul
from typing import NamedTuple

from hub.model import MOVES, SECOND_US, Candle, Verdict

RUNGS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400}
"""Name → length in seconds, each a multiple of the one before."""

MINUTE_US = 60 * SECOND_US
_BITS = 32  # of an instrument's id, below the minute in one integer: such a key hashes twice as fast as a tuple
_MASK = (1 << _BITS) - 1


class Partial(NamedTuple):
    """What a batch adds to one interval. `opened` and `closed` are the places in the batch of its first tick and
    of its last one that was not late (-1: all were late)."""

    opened: int
    closed: int
    candle: Candle


Partials = dict[tuple[int, int], Partial]
"""(instrument, start of the interval) → what the batch adds to it."""


def aggregate(
    instruments: Sequence[int],
    times: Sequence[int],
    prices: Sequence[float],
    volumes: Sequence[float | None],
    verdicts: Sequence[int],
) -> Partials:
    """The 1m rung of a batch, given in columns. Ticks that neither move the price nor are late are not in it."""
    if max(verdicts, default=0) < MOVES:
        return _on_time(range(len(times)), instruments, times, prices, volumes)
    moving = [verdict < MOVES for verdict in verdicts]
    places = list(compress(range(len(moving)), moving))
    partials = _on_time(
        places,
        list(compress(instruments, moving)),
        list(compress(times, moving)),
        list(compress(prices, moving)),
        list(compress(volumes, moving)),
    )
    for place, verdict in enumerate(verdicts):
        if verdict == Verdict.LATE:
            start = floor(times[place], MINUTE_US)
            candle = _candle(start, [prices[place]], volumes[place] or 0.0)
            _add(partials, (instruments[place], start), Partial(place, -1, candle))
    return partials


def _on_time(
    places: Sequence[int],
    instruments: Sequence[int],
    times: Sequence[int],
    prices: Sequence[float],
    volumes: Sequence[float | None],
) -> Partials:
    keys = [time // MINUTE_US << _BITS | one for time, one in zip(times, instruments, strict=True)]
    grouped: defaultdict[int, list[float]] = defaultdict(list)
    for key, price in zip(keys, prices, strict=True):
        grouped[key].append(price)
    opened = dict(zip(reversed(keys), reversed(places), strict=True))
    closed = dict(zip(keys, places, strict=True))
    stated = _volumes(keys, volumes)
    partials: Partials = {}
    for key, group in grouped.items():
        start = (key >> _BITS) * MINUTE_US
        candle = _candle(start, group, stated.get(key, 0.0))
        partials[key & _MASK, start] = Partial(opened[key], closed[key], candle)
    return partials


def _volumes(keys: Sequence[int], volumes: Sequence[float | None]) -> dict[int, float]:
    stated: dict[int, float] = {}
    if volumes.count(None) < len(volumes):
        for key, volume in zip(keys, volumes, strict=True):
            if volume is not None:
                stated[key] = stated.get(key, 0.0) + volume
    return stated


def _candle(start: int, prices: list[float], volume: float) -> Candle:
    first = prices[0]
    moved = [price - first for price in prices]
    return Candle(
        start=start,
        open=first,
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=volume,
        count=len(prices),
        sum=sum(moved),
        sum_squares=sum(map(mul, moved, moved)),
    )


def climb(partials: Partials, rung: str) -> Partials:
    """The same batch on a coarser rung."""
    length = length_us(rung)
    above: Partials = {}
    for (instrument, below), partial in partials.items():
        start = floor(below, length)
        _add(above, (instrument, start), partial._replace(candle=_at(start, partial.candle)))
    return above


def _add(partials: Partials, key: tuple[int, int], partial: Partial) -> None:
    other = partials.get(key)
    partials[key] = partial if other is None else combine(other, partial)


def combine(one: Partial, other: Partial) -> Partial:
    """Two parts of one batch in one interval, in either order."""
    first, second = (one, other) if one.opened < other.opened else (other, one)
    candle = merge(first.candle, second.candle, late=second.closed < first.closed or second.closed < 0)
    return Partial(first.opened, max(first.closed, second.closed), candle)


def merge(earlier: Candle, later: Candle, *, late: bool = False) -> Candle:
    """Two candles of one interval, `later` behind in stream order, as one. `late`: the close of `later` is not
    behind that of `earlier`. Its sums are moved from one open to the other by algebra:
    Σ(x-a)² = Σ(x-b)² + 2(b-a)Σ(x-b) + n(b-a)²."""
    shift = later.open - earlier.open
    return Candle(
        start=earlier.start,
        open=earlier.open,
        high=max(earlier.high, later.high),
        low=min(earlier.low, later.low),
        close=earlier.close if late else later.close,
        volume=earlier.volume + later.volume,
        count=earlier.count + later.count,
        sum=earlier.sum + later.sum + later.count * shift,
        sum_squares=earlier.sum_squares + later.sum_squares + shift * (2 * later.sum + later.count * shift),
    )


def _at(start: int, candle: Candle) -> Candle:
    return Candle(
        start=start,
        open=candle.open,
        high=candle.high,
        low=candle.low,
        close=candle.close,
        volume=candle.volume,
        count=candle.count,
        sum=candle.sum,
        sum_squares=candle.sum_squares,
    )


def mean(candle: Candle) -> float:
    return candle.open + candle.sum / candle.count


def stddev(candle: Candle) -> float:
    """Of the population: every tick of the interval counts once."""
    moved = candle.sum / candle.count
    return math.sqrt(max(candle.sum_squares / candle.count - moved * moved, 0.0))


def floor(time_us: int, length: int) -> int:
    """The start of the interval that holds the time."""
    return time_us - time_us % length


def length_us(rung: str) -> int:
    if rung not in RUNGS:
        raise ValueError(f'"{rung}" is no rung of the candle ladder; the rungs are {", ".join(RUNGS)}')
    return RUNGS[rung] * SECOND_US


def rung_for(span_us: int, points: int) -> str:
    """The finest rung with at most twice `points` intervals in the span, or else the coarsest: a reader gets at
    most 2 x points + 1 candles of any span up to that many days."""
    for rung in RUNGS:
        if span_us <= 2 * points * length_us(rung):
            return rung
    return next(reversed(RUNGS))


def reaches_back(rung: str, start_us: int, first: int) -> bool:
    """Whether the first candle that the rung has of a span begins so near to the span's start that `farthest` would
    surely stay with it."""
    coarser = list(RUNGS)[list(RUNGS).index(rung) + 1 :][:1]
    return all(first < floor(start_us, length_us(one)) + length_us(one) for one in coarser)


Steps = tuple[str, str]
"""(coarser, finer): two rungs, which may be the same."""


def sought(rung: str, start_us: int) -> dict[Steps, int]:
    """Where `farthest` wants to know the first candle of the span: from which time on `finer` is to be searched, for
    all rungs from `rung` up."""
    rungs = list(RUNGS)[list(RUNGS).index(rung) :]
    return {
        (coarser, finer): floor(start_us, length_us(coarser))
        for place, coarser in enumerate(rungs)
        for finer in rungs[: place + 1]
    }


def farthest(rung: str, firsts: Mapping[Steps, int | None]) -> str:
    """`rung`, or where a coarser one has a candle of the span in whose interval it has none and before which it has
    none either, the finest of those that reach as far back. `firsts` answers `sought`: the start of that rung's first
    candle from there on, None where the span has none. (A candle that is made of finer ones is no such candle.)"""
    best = rung
    for coarser in list(RUNGS)[list(RUNGS).index(rung) + 1 :]:
        first, finer = firsts[coarser, coarser], firsts[coarser, best]
        if first is not None and (finer is None or first < floor(finer, length_us(coarser))):
            best = coarser
    return best


def ladder_of(ticks: Iterable[tuple[int, float, float | None]], rung: str, late: Collection[int] = ()) -> list[Candle]:
    """The reference that stores are held to: (time, price, volume) in stream order, one at a time, to candles by
    start. `late` holds the indices of late ticks. For tests and small repairs; `aggregate` is the quick way."""
    length = length_us(rung)
    intervals: dict[int, list[tuple[float, float | None]]] = {}
    closes: dict[int, float] = {}
    for index, (time_us, price, volume) in enumerate(ticks):
        start = floor(time_us, length)
        if index not in late or start not in closes:
            closes[start] = price
        intervals.setdefault(start, []).append((price, volume))
    return [_reference(start, intervals[start], closes[start]) for start in sorted(intervals)]


def _reference(start: int, ticks: list[tuple[float, float | None]], close: float) -> Candle:
    prices = [price for price, _ in ticks]
    return Candle(
        start=start,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=close,
        volume=math.fsum(volume for _, volume in ticks if volume is not None),
        count=len(prices),
        sum=math.fsum(price - prices[0] for price in prices),
        sum_squares=math.fsum((price - prices[0]) ** 2 for price in prices),
    )
