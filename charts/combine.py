"""Several instruments in one picture: on one line of time, in percent, as a ratio, in another currency. Pure.

Instruments are open at different hours. Where one has no candle its last close stands, and nothing is drawn before all
of them have a price. Depends on hub.model and on hub.history.ladder.merge.
"""

from collections.abc import Iterable, Sequence

import msgspec

from hub.history.ladder import merge
from hub.model import SECOND_US, Candle

STEPS_S = (
    60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400,
    28 * 86_400, 84 * 86_400, 364 * 86_400,
)  # fmt: skip
MONDAY_US = 4 * 86_400 * SECOND_US  # 5 January 1970


class Aligned(msgspec.Struct, frozen=True):
    """Closes of several instruments at the same times; one row an instrument. `bases` are their prices where the first
    of these times begins, before its candle moved them."""

    times: tuple[int, ...]
    closes: tuple[tuple[float, ...], ...]
    bases: tuple[float, ...] = ()


def align(series: Sequence[Sequence[Candle]]) -> Aligned:
    """From the first time at which all have a price; empty where there is none such."""
    if not series or not all(series):
        return Aligned((), tuple(() for _ in series))
    begin = max(candles[0].start for candles in series)
    times = sorted({candle.start for candles in series for candle in candles if candle.start >= begin})
    closes = tuple(tuple(_closes_at(candles, times)) for candles in series)
    return Aligned(tuple(times), closes, tuple(_base(candles, begin) for candles in series))


def _base(candles: Sequence[Candle], begin: int) -> float:
    """The open of the candle that begins then, else the last close before."""
    newest = max((candle for candle in candles if candle.start <= begin), key=lambda candle: candle.start)
    return newest.open if newest.start == begin else newest.close


def _closes_at(candles: Sequence[Candle], times: Sequence[int]) -> list[float]:
    """The close of the newest candle that began by each time; there is one."""
    closes, place = [], 0
    for time_us in times:
        while place + 1 < len(candles) and candles[place + 1].start <= time_us:
            place += 1
        closes.append(candles[place].close)
    return closes


def in_percent(closes: Sequence[float], base: float) -> tuple[float, ...]:
    """2.0 is two percent above the base."""
    return tuple((close / base - 1) * 100 for close in closes)


def ratio(first: Sequence[Candle], second: Sequence[Candle]) -> tuple[Candle, ...]:
    """How many of the second one of the first costs, at closes: what the price was between them in either is not known
    at the same moment, so a candle spans from one close to the next. Nothing where the second was ever free."""
    aligned = align([first, second])
    if not aligned.times or not all((*aligned.closes[1], aligned.bases[1])):
        return ()
    values = [one / other for one, other in zip(*aligned.closes, strict=True)]
    before = [aligned.bases[0] / aligned.bases[1], *values]
    return tuple(_line(*step) for step in zip(aligned.times, before, values, strict=False))


def _line(start: int, before: float, value: float) -> Candle:
    """A candle that only moved from one value to the other."""
    return Candle(
        start=start,
        open=before,
        high=max(before, value),
        low=min(before, value),
        close=value,
        count=1,
        sum=value - before,
        sum_squares=(value - before) ** 2,
    )


def line_of(points: Sequence[tuple[int, float]]) -> tuple[Candle, ...]:
    """Values over time, as candles that a line or an area can be drawn of."""
    values = [value for _, value in points]
    starts = [time_us for time_us, _ in points]
    return tuple(_line(*step) for step in zip(starts, values[:1] + values, values, strict=False))


def scaled(candles: Sequence[Candle], rates: Sequence[float]) -> tuple[Candle, ...]:
    """Each candle times its rate; its volume is of the instrument and stays."""
    return tuple(
        Candle(
            start=candle.start,
            open=candle.open * rate,
            high=candle.high * rate,
            low=candle.low * rate,
            close=candle.close * rate,
            volume=candle.volume,
            count=candle.count,
            sum=candle.sum * rate,
            sum_squares=candle.sum_squares * rate * rate,
        )
        for candle, rate in zip(candles, rates, strict=True)
    )


def rates_at(candles: Sequence[Candle], times: Sequence[int], *, inverse: bool = False) -> list[float] | None:
    """The rate at each of those times, by a currency pair's closes; before its first candle, its first open. None
    where the pair has no candle, or its first begins behind the middle of the times: that would be a guess."""
    if not candles or not times or candles[0].start > times[len(times) // 2]:
        return None
    first = candles[0]
    known = [_line(min(first.start, times[0]), first.open, first.open), *candles]
    rates = _closes_at(known, times)
    return [1 / rate for rate in rates] if inverse else rates


def coarser(candles: Sequence[Candle], candle_us: int, most: int) -> int:
    """The length of candles that are at most so many, and as many as can be; `candle_us` where they are few already."""
    for seconds in STEPS_S:
        step_us = seconds * SECOND_US
        if step_us % candle_us == 0 and len({_floor(candle.start, step_us) for candle in candles}) <= most:
            return step_us
    return max(candle_us, STEPS_S[-1] * SECOND_US)


def merged(candles: Iterable[Candle], step_us: int) -> tuple[Candle, ...]:
    """Candles of that length, in UTC; those of weeks begin on a Monday."""
    merged: list[Candle] = []
    for candle in candles:
        start = _floor(candle.start, step_us)
        if merged and merged[-1].start == start:
            merged[-1] = merge(merged[-1], candle)
        else:
            merged.append(msgspec.structs.replace(candle, start=start))
    return tuple(merged)


def _floor(time_us: int, step_us: int) -> int:
    return time_us - (time_us - MONDAY_US) % step_us
