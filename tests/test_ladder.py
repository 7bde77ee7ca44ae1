"""The candle ladder: against a vendor's own minute bars, and by property."""

import csv
import io
import math
import os
import statistics
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.history.ladder import (
    MINUTE_US,
    RUNGS,
    Partial,
    aggregate,
    climb,
    combine,
    farthest,
    ladder_of,
    length_us,
    mean,
    merge,
    reaches_back,
    rung_for,
    sought,
    stddev,
)
from hub.model import MOVES, Candle, Verdict
from hub.testing import same_candles

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
GOLD = DATA / "gold" / "xauusd-oanda-ticks-20140502.zip"
MINUTES = DATA / "gold" / "xauusd-oanda-minutes-20140502.zip"
DAY_US = 86_400_000_000

prices = st.floats(min_value=0.01, max_value=1e6).map(lambda value: round(value, 4))
ticks = st.tuples(
    st.integers(0, 2),  # instrument
    st.integers(-2 * DAY_US, 2 * DAY_US) | st.integers(0, 10 * MINUTE_US),
    prices,
    st.none() | st.floats(0, 1e6),
    st.sampled_from(Verdict),
)


def rows(path: Path) -> Iterator[list[float]]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        for row in csv.reader(io.TextIOWrapper(file)):
            yield [float(value) for value in row]


def candle(values: list[float]) -> Candle:
    (only,) = ladder_of([(0, value, None) for value in values], "1d")
    return only


@pytest.mark.skipif(not MINUTES.exists(), reason="the recorded gold day is not here (TOCSIN_DATA)")
@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_real_gold_day_has_the_vendor_s_own_minute_bars(side: str) -> None:
    """265,015 ticks give the open, high, low and close of every minute that the vendor published, exactly."""
    column, first = (1, 1) if side == "bid" else (2, 6)
    day = list(rows(GOLD))
    times = [round(row[0] * 1000) for row in day]
    side_prices = [row[column] for row in day]
    partials = aggregate([0] * len(day), times, side_prices, [None] * len(day), [0] * len(day))
    ours = {start // 1000: (c.open, c.high, c.low, c.close) for (_, start), (_, _, c) in partials.items()}
    vendors = {int(row[0]): tuple(row[first : first + 4]) for row in rows(MINUTES)}
    assert len(vendors) > 1000
    assert ours == vendors


@given(st.lists(ticks, max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_batches_of_any_cut_make_the_ladder_of_the_whole(
    made: list[tuple[int, int, float, float | None, Verdict]], cuts: list[int]
) -> None:
    """Aggregated in batches, climbed and merged, late and unordered ticks among them, every rung is the reference's."""
    stored: dict[tuple[str, int, int], Candle] = {}
    edges = sorted({0, len(made), *(cut for cut in cuts if cut < len(made))})
    for start, end in pairwise(edges):
        columns = [list(column) for column in zip(*made[start:end], strict=True)]
        partials = aggregate(*columns)
        for rung in RUNGS:
            partials = climb(partials, rung)
            for (instrument, at), partial in partials.items():
                assert partial.candle.start == at
                before = stored.get((rung, instrument, at))
                late = partial.closed < 0
                stored[rung, instrument, at] = merge(before, partial.candle, late=late) if before else partial.candle
    for instrument in range(3):
        mine = [one for one in made if one[0] == instrument and (one[4] < MOVES or one[4] == Verdict.LATE)]
        late_ones = {index for index, one in enumerate(mine) if one[4] == Verdict.LATE}
        for rung in RUNGS:
            found = [stored[key] for key in sorted(stored) if key[:2] == (rung, instrument)]
            same_candles(found, ladder_of([one[1:4] for one in mine], rung, late_ones))


def near(one: Candle, other: Candle) -> None:
    assert (one.open, one.high, one.low, one.close, one.count) == (
        other.open, other.high, other.low, other.close, other.count,
    )  # fmt: skip
    scale = max(abs(one.high - one.low), 1e-9)
    assert math.isclose(mean(one), mean(other), rel_tol=1e-9)
    assert math.isclose(one.sum, other.sum, rel_tol=1e-9, abs_tol=1e-9 * scale * one.count)
    assert math.isclose(one.sum_squares, other.sum_squares, rel_tol=1e-9, abs_tol=1e-9 * scale**2 * one.count)


some = st.lists(prices, min_size=1, max_size=20)


@given(some, some, some)
def test_merge_is_associative_and_the_same_as_all_at_once(
    one: list[float], two: list[float], three: list[float]
) -> None:
    """(a + b) + c, a + (b + c) and the candle of all ticks are one candle."""
    a, b, c = candle(one), candle(two), candle(three)
    left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    near(left, right)
    near(left, candle(one + two + three))


@given(some, some, st.booleans(), st.booleans())
def test_parts_of_a_batch_combine_alike_in_either_order(
    one: list[float], two: list[float], late: bool, other_late: bool
) -> None:
    """Whichever part is met first, open and close are by the places in the batch."""
    first = Partial(3, -1 if late else 9, candle(one))
    second = Partial(5, -1 if other_late else 7, candle(two))
    forth, back = combine(first, second), combine(second, first)
    assert forth == back
    assert forth.opened == 3
    assert forth.candle.open == one[0]
    assert forth.candle.close == (two[-1] if late and not other_late else one[-1])


@given(st.lists(prices, min_size=1, max_size=200))
def test_mean_and_deviation_are_those_of_the_ticks(values: list[float]) -> None:
    """Held to the standard library's exact arithmetic, within one in 10^9 of the prices' range."""
    whole = (
        merge(candle(values[: len(values) // 2]), candle(values[len(values) // 2 :]))
        if len(values) > 1
        else candle(values)
    )
    scale = max(values) - min(values)
    assert math.isclose(mean(whole), statistics.fmean(values), rel_tol=1e-9)
    assert math.isclose(stddev(whole) ** 2, statistics.pvariance(values), rel_tol=1e-9, abs_tol=1e-9 * scale**2)


def test_small_moves_of_a_large_price_keep_their_deviation() -> None:
    """Sums about the open do not cancel: a millionth on top of 10^8 is still seen."""
    values = [1e8, 1e8 + 1e-6, 1e8 + 2e-6, 1e8 - 1e-6]
    assert math.isclose(stddev(candle(values)), statistics.pstdev(values), rel_tol=1e-9)


@pytest.mark.parametrize(
    ("span_us", "points", "rung"),
    [
        (0, 1, "1m"),
        (600 * MINUTE_US, 300, "1m"),
        (600 * MINUTE_US + 1, 300, "5m"),
        (DAY_US, 300, "5m"),
        (3000 * MINUTE_US, 300, "5m"),
        (3000 * MINUTE_US + 1, 300, "15m"),
        (6 * DAY_US, 300, "15m"),
        (7 * DAY_US, 300, "1h"),
        (25 * DAY_US, 300, "1h"),
        (26 * DAY_US, 300, "1d"),
        (36_500 * DAY_US, 300, "1d"),
    ],
)
def test_a_span_gets_the_finest_rung_of_at_most_twice_the_points(span_us: int, points: int, rung: str) -> None:
    """The rule by its edges."""
    assert rung_for(span_us, points) == rung


def firsts(candles: dict[str, set[int]], rung: str, start_us: int, end_us: int) -> dict[tuple[str, str], int | None]:
    return {
        pair: min((start for start in candles.get(pair[1], ()) if since <= start < end_us), default=None)
        for pair, since in sought(rung, start_us).items()
    }


def climbed(minutes: set[int], bars: dict[str, set[int]]) -> dict[str, set[int]]:
    """Rung → starts of candles, each rung made of the one below, and bars."""
    below = {minute * MINUTE_US for minute in minutes}
    candles = {}
    for rung in RUNGS:
        length = length_us(rung)
        below = {start - start % length for start in below} | {one * length for one in bars.get(rung, ())}
        candles[rung] = below
    return candles


@pytest.mark.parametrize(
    ("minutes", "bars", "start", "rung", "farthest_rung"),
    [
        ({100, 101}, {}, 0, "1m", "1m"),  # a hole at the span's start, and nothing else
        ({100, 101}, {}, 0, "5m", "5m"),
        ({1500}, {"1d": {0}}, 0, "1m", "1d"),
        ({1500}, {"1d": {0}}, 0, "1h", "1d"),
        ({1500}, {"1d": {0}}, 1440, "1m", "1m"),  # the bar ends where the span begins
        ({1500}, {"1d": {0}}, 1439, "1m", "1d"),  # the bar holds its start
        ({1500}, {"1d": {0}, "15m": {40}}, 100, "1m", "15m"),  # the day begins no earlier than its quarters do
        ({1500}, {"1d": {0}, "15m": {40}}, 1, "1m", "15m"),
        ({3000}, {"1d": {0}, "15m": {97}}, 1, "1m", "1d"),
        ({3000}, {"1h": {49}}, 0, "1m", "1h"),
        ({3000}, {"1h": {50}}, 0, "1m", "1m"),  # behind the first minute: the bar is not from before it
        ({5, 3000}, {"15m": {1, 2}}, 20, "1m", "15m"),  # old minutes before the span do not hide its bars
        (set(), {"1h": {1}}, 0, "1m", "1h"),
        (set(), {}, 0, "1m", "1m"),
    ],
)
def test_the_rung_is_the_finest_of_those_that_reach_as_far_back(
    minutes: set[int], bars: dict[str, set[int]], start: int, rung: str, farthest_rung: str
) -> None:
    """By the case; times in minutes, bars in multiples of their length."""
    found = firsts(climbed(minutes, bars), rung, start * MINUTE_US, 10_000 * MINUTE_US)
    assert farthest(rung, found) == farthest_rung


@given(
    st.sets(st.integers(0, 6_000), max_size=4),
    st.fixed_dictionaries(
        {"15m": st.sets(st.integers(0, 400), max_size=2), "1d": st.sets(st.integers(0, 4), max_size=2)}
    ),
    st.integers(0, 6_000),
    st.sampled_from(list(RUNGS)),
)
def test_what_lies_at_the_span_s_start_is_never_reached_over(
    minutes: set[int], bars: dict[str, set[int]], start: int, rung: str
) -> None:
    """Where `reaches_back` says so, `farthest` need not be asked; and minutes alone are never given up."""
    candles, start_us, end_us = climbed(minutes, bars), start * MINUTE_US, 10_000 * MINUTE_US
    found = firsts(candles, rung, start_us, end_us)
    first = found[rung, rung]
    if first is not None and reaches_back(rung, start_us, first):
        assert farthest(rung, found) == rung
    assert farthest(rung, firsts(climbed(minutes, {}), rung, start_us, end_us)) == rung


def test_an_unknown_rung_is_refused_with_the_known_ones() -> None:
    """The sentence says what was asked and what there is."""
    with pytest.raises(ValueError, match='"2m" is no rung of the candle ladder; the rungs are 1m, 5m, 15m, 1h, 1d'):
        length_us("2m")
