"""Statistics of candles one after another: totals, falls, volatility, correlation, habits of the clock. Pure.

Over the candles of a cover (hub.history.cover) count, open, high, low and close are those of all ticks of its span, and
mean, stddev and volume are so within rounding.

Yearly volatility is the sample standard deviation of the logarithms of close over the close before, over the candles
of one rung, times the square root of how many candles of that rung a year of the instrument's session has: 52.1775
weeks, holidays not taken out. The step from the last candle of one session to the first of the next is one return (the
series has no gaps), and so is one over intervals in which nothing moved the price. Depends on the ladder and
hub.sessions.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby, pairwise
from statistics import correlation as pearson
from statistics import fmean, stdev
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from hub import wording
from hub.history.ladder import RUNGS, floor, length_us
from hub.model import Candle, Session
from hub.sessions import DAY_S, hours_at, is_open

VOLATILITY_POINTS = 360
"""Of the window whose candles give a volatility: 1m candles for an hour, 5m for a day, 15m for a week, 1h for a month,
1d for a year."""

WEEKS_A_YEAR = 52.1775
LEAST_RETURNS = 5
"""Fewer returns have no volatility and no correlation worth the name."""

# --------------------------------------------------------------------------------------------- together


class Totals(msgspec.Struct, frozen=True):
    count: int
    open: float
    high: float
    low: float
    close: float
    mean: float
    stddev: float  # of the population
    volume: float


def total(candles: Sequence[Candle]) -> Totals:
    """Of candles one after another, at least one of them. As merging them would say; the sums are moved to the mean
    in one step and added without loss, so a long span loses nothing by its first price being far from the rest."""
    count, first = sum(one.count for one in candles), candles[0].open
    shift = math.fsum(part for one in candles for part in (one.count * (one.open - first), one.sum)) / count
    squares = math.fsum(part for one in candles for part in _squares_about(one, first + shift))
    return Totals(
        count=count,
        open=first,
        high=max(one.high for one in candles),
        low=min(one.low for one in candles),
        close=candles[-1].close,
        mean=first + shift,
        stddev=math.sqrt(max(squares / count, 0.0)),
        volume=math.fsum(one.volume for one in candles),
    )


def _squares_about(candle: Candle, mean: float) -> tuple[float, float]:
    """Σ(x-m)² = Σ(x-o)² + (o-m)(2Σ(x-o) + n(o-m)) for the open o."""
    away = candle.open - mean
    return candle.sum_squares, away * (2 * candle.sum + candle.count * away)


class Falls(NamedTuple):
    """`deepest` is the deepest fall below a peak before it that is certain, as a share of the peak. `hidden` holds
    the indices of the candles in which a deeper one may be: between their high and a low behind it."""

    deepest: float
    hidden: list[int]


def falls(candles: Sequence[Candle]) -> Falls:
    """Of a candle it is known that its open stands before its low and its high before its close; whether the high
    came before the low is not. So a low is held against the highest price of all candles before and its own open, a
    close against its own high too. Over single ticks `deepest` is the drawdown; over candles the drawdown lies
    between it and the deepest (high - low) / high of the hidden ones. A candle of late ticks is taken as it stands."""
    deepest, peak, possible = 0.0, -math.inf, []
    for index, one in enumerate(candles):
        peak = max(peak, one.open)
        deepest = max(deepest, 1 - one.low / peak)
        if one.high > peak:
            peak = one.high
            deepest = max(deepest, 1 - one.close / peak)
            possible.append((1 - one.low / peak, index))
    return Falls(deepest, [index for share, index in possible if share > deepest])


# ------------------------------------------------------------------------------------------- volatility


def yearly_volatility(candles: Sequence[Candle], rung: str, session: Session) -> float | None:
    """As a share; None where there are too few candles, or no session. See the top of this module."""
    moved = returns(candles)
    if len(moved) < LEAST_RETURNS:
        return None
    return stdev(moved) * math.sqrt(candles_a_year(rung, session))


def returns(candles: Sequence[Candle]) -> list[float]:
    """The logarithms of each close over the one before."""
    return [math.log(after.close / before.close) for before, after in pairwise(candles)]


@lru_cache(maxsize=256)
def candles_a_year(rung: str, session: Session) -> float:
    """How many intervals of the rung hold some open time, in a year of such weeks. A daily candle of a stock is one
    of five a week, however few hours its market is open."""
    length_s, week_s = RUNGS[rung], 7 * DAY_S
    if not session.windows:
        return week_s * WEEKS_A_YEAR / length_s
    offset = datetime(2024, 1, 8, tzinfo=ZoneInfo(session.time_zone)).utcoffset()
    ahead_s = 0 if offset is None else round(offset.total_seconds())
    touched = {
        at % week_s // length_s
        for day, start_s, end_s in session.windows
        for at in range(floor(day * DAY_S + start_s - ahead_s, length_s), day * DAY_S + end_s - ahead_s, length_s)
    }
    return len(touched) * WEEKS_A_YEAR


def gapless(candles: Iterable[Candle], rung: str, session: Session) -> list[tuple[int, Candle]]:
    """Candles that hold some open time, numbered one after another: an axis without closed hours. Candles of closed
    hours, as an import may bring them, are left out."""
    length = length_us(rung)
    return list(enumerate(one for one in candles if _opens(one.start, length, session)))


def _opens(start_us: int, length: int, session: Session) -> bool:
    if is_open(session, start_us):
        return True
    until = hours_at(session, start_us).until_us
    return until is not None and until < start_us + length


# --------------------------------------------------------------------------- two of them, and the clock


class Correlation(msgspec.Struct, frozen=True):
    value: float  # -1 to 1
    count: int  # of returns


def correlation(one: Sequence[Candle], other: Sequence[Candle]) -> Correlation | None:
    """Of the log returns of two instruments over the intervals of one rung that both have a candle of, each return
    from the shared interval before. None where they share too few, or one of them did not move."""
    theirs = {candle.start: candle for candle in other}
    shared = [(candle, theirs[candle.start]) for candle in one if candle.start in theirs]
    left, right = returns([pair[0] for pair in shared]), returns([pair[1] for pair in shared])
    if len(left) < LEAST_RETURNS or len(set(left)) == 1 or len(set(right)) == 1:
        return None
    return Correlation(max(-1.0, min(1.0, pearson(left, right))), len(left))


class Season(msgspec.Struct, frozen=True):
    """What the price did in one hour of the day, or on one day of the week."""

    key: int  # 0 to 23, or Monday = 0
    count: int  # how many such hours or days
    change: float  # the mean, as a share
    rises: float  # the share of them in which the price rose


def by_hour(candles: Sequence[Candle], zone: str) -> list[Season]:
    """By the hour of the local clock. An hour that the clock repeats is one hour."""
    return _seasons(candles, zone, lambda local: (local.date(), local.hour), lambda local: local.hour)


def by_weekday(candles: Sequence[Candle], zone: str) -> list[Season]:
    return _seasons(candles, zone, lambda local: local.date(), lambda local: local.weekday())


def _seasons(
    candles: Sequence[Candle], zone: str, same: Callable[[datetime], object], key: Callable[[datetime], int]
) -> list[Season]:
    """Each local hour or day counts once, from the close before it to its own close: a gap belongs to what it opens.
    The first one has none before it and goes from its open. Candles must not be longer than what they are grouped to,
    nor lie across its edge: hourly ones will do where the zone's offset is of whole hours."""
    here = wording.zone(zone)
    localised = [(wording.moment(one.start).astimezone(here), one) for one in candles]
    changes: dict[int, list[float]] = {}
    before = candles[0].open if candles else 0.0
    for _, group in groupby(localised, key=lambda pair: same(pair[0])):
        held = list(group)
        close = held[-1][1].close
        changes.setdefault(key(held[0][0]), []).append(close / before - 1)
        before = close
    return [
        Season(one, len(found), fmean(found), sum(change > 0 for change in found) / len(found))
        for one, found in sorted(changes.items())
    ]
