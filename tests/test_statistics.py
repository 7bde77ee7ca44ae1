"""Statistics of any span from the ladder: against the ticks themselves, by hand and by property."""

import math
import statistics as standard
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.history.cover import TICKS, Cover, Part, Piece, assemble, cover, one_by_one, time_of
from hub.history.ladder import RUNGS, ladder_of, length_us
from hub.history.statistics import (
    LEAST_RETURNS,
    by_hour,
    by_weekday,
    candles_a_year,
    correlation,
    falls,
    gapless,
    returns,
    total,
    yearly_volatility,
)
from hub.model import SECOND_US, Candle, Kind, Session, Tick, Verdict
from hub.sessions import SESSIONS

MINUTE_US, HOUR_US, DAY_US = (seconds * SECOND_US for seconds in (60, 3_600, 86_400))
NOON_US = 1_399_032_000 * SECOND_US  # Friday 2014-05-02 12:00 UTC


def tick(time_us: int, price: float, volume: float | None = None, verdict: Verdict = Verdict.PRICE) -> Tick:
    return Tick(
        instrument="XAU-USD", kind=Kind.TRADE, price=price, volume=volume, venue_time=time_us, received_at=time_us,
        verdict=verdict,
    )  # fmt: skip


class Shelf:
    """A ladder in memory, read as `cover` says. `rungs` tells which rungs were kept, `ticks_from` how far back ticks
    were."""

    def __init__(self, ticks: Sequence[Tick], rungs: Sequence[str] = tuple(RUNGS), ticks_from: int | None = None):
        rows = [(time_of(one), one.price or 0.0, one.volume) for one in ticks if counted(one)]
        late = {at for at, one in enumerate(filter(counted, ticks)) if one.verdict == Verdict.LATE}
        self.candles = {rung: ladder_of(rows, rung, late) if rung in rungs else [] for rung in RUNGS}
        kept = [one for one in ticks if ticks_from is None or time_of(one) >= ticks_from]
        self.ticks = sorted(kept, key=time_of)
        self.read: list[Piece] = []

    def cover(self, start_us: int, end_us: int) -> Cover:
        candles: dict[str, list[Candle]] = {}
        ticks: list[Tick] = []
        for piece in cover(start_us, end_us):
            self.read.append(piece)
            if piece.rung == TICKS:
                ticks += [one for one in self.ticks if piece.start_us <= time_of(one) < piece.end_us]
            else:
                held = self.candles[piece.rung]
                candles.setdefault(piece.rung, []).extend(
                    one for one in held if piece.start_us <= one.start < piece.end_us
                )
        return assemble(candles, ticks, start_us, end_us)


def counted(one: Tick) -> bool:
    return one.verdict in (Verdict.PRICE, Verdict.CONFIRMED, Verdict.LATE)


def candles_of(prices: Sequence[float], rung: str = "1h", start_us: int = 0) -> list[Candle]:
    """One tick in each interval."""
    length = length_us(rung)
    return ladder_of([(start_us + at * length, price, None) for at, price in enumerate(prices)], rung)


def drawdown(prices: Sequence[float]) -> float:
    """By the book, over single prices."""
    peak, deepest = prices[0], 0.0
    for price in prices:
        peak = max(peak, price)
        deepest = max(deepest, 1 - price / peak)
    return deepest


# -------------------------------------------------------------------------------------------- the cover

prices = st.floats(0.01, 1e5).map(lambda value: round(value, 3))
moments = st.integers(-2 * DAY_US, 2 * DAY_US) | st.integers(-10 * MINUTE_US, 10 * MINUTE_US)
rows = st.tuples(moments, prices, st.none() | st.floats(0, 1e6), st.sampled_from(Verdict))
spans = st.tuples(moments, moments).filter(lambda pair: pair[0] != pair[1]).map(sorted)


@given(st.lists(rows, max_size=60), spans)
def test_a_cover_says_what_all_ticks_of_the_span_say(
    drawn: list[tuple[int, float, float | None, Verdict]], span: list[int]
) -> None:
    """Exact for count, first, last, highest and lowest; 1e-9 for the rest. No tick is missed and none counted twice."""
    start, end = span
    on_time = sorted((row for row in drawn if row[3] != Verdict.LATE), key=lambda row: row[0])
    ticks = [tick(*row) for row in on_time] + [tick(*row) for row in drawn if row[3] == Verdict.LATE]
    held = Shelf(ticks).cover(start, end)
    inside = [one for one in ticks if counted(one) and start <= time_of(one) < end]
    assert (held.start_us, held.end_us) == (start, end)
    assert bool(held.parts) == bool(inside)
    if not inside:
        return
    said, values = total([part.candle for part in held.parts]), [one.price or 0.0 for one in inside]
    late = {at for at, one in enumerate(inside) if one.verdict == Verdict.LATE}
    assert (said.count, said.high, said.low) == (len(values), max(values), min(values))
    prompt = [one for one in inside if one.verdict != Verdict.LATE]
    if not late:
        assert (said.open, said.close) == (values[0], values[-1])
    elif prompt:  # beside it only a late tick that no price on time stands before (or behind) may open (or close)
        first, last = prompt[0], prompt[-1]
        behind = [one for one in inside if one.verdict == Verdict.LATE]
        assert said.open in {first.price, *(one.price for one in behind if time_of(one) <= time_of(first))}
        assert said.close in {last.price, *(one.price for one in behind if time_of(one) >= time_of(last))}
    else:
        assert {said.open, said.close} <= set(values)
    assert said.mean == pytest.approx(standard.fmean(values), rel=1e-9)
    assert said.stddev == pytest.approx(standard.pstdev(values), rel=1e-9, abs=1e-7)
    assert said.volume == pytest.approx(math.fsum(one.volume or 0.0 for one in inside), rel=1e-9)


@given(st.lists(st.tuples(moments, prices), min_size=1, max_size=40), spans)
def test_a_span_of_on_time_ticks_opens_and_closes_with_them(drawn: list[tuple[int, float]], span: list[int]) -> None:
    """The first and the last of it, in stream order."""
    ticks = [tick(at, price) for at, price in sorted(drawn, key=lambda row: row[0])]
    inside = [one for one in ticks if span[0] <= time_of(one) < span[1]]
    parts = Shelf(ticks).cover(*span).parts
    if inside:
        said = total([part.candle for part in parts])
        assert (said.open, said.close) == (inside[0].price, inside[-1].price)


def test_the_middle_of_a_span_is_read_from_the_coarsest_candles() -> None:
    """Two months of ticks cost no more reads at the edges than an hour, and days in between."""
    shelf = Shelf([tick(at * HOUR_US, 100.0 + at % 7) for at in range(24 * 60)])
    held = shelf.cover(90 * SECOND_US, 59 * DAY_US + 90 * SECOND_US)
    assert len(shelf.read) == 1 + 2 * len(RUNGS)
    assert sum(part.rung == "1d" for part in held.parts) == 58
    days = [piece for piece in shelf.read if piece.rung == "1d"]
    assert days == [Piece("1d", 0, 60 * DAY_US)]
    assert shelf.cover(0, 60 * DAY_US).parts == [Part("1d", one) for one in shelf.candles["1d"]]


def test_bars_that_were_imported_on_one_rung_only_are_counted_whole() -> None:
    """Where an edge cuts one, the span that is covered is wider, and says so."""
    shelf = Shelf([tick(day * DAY_US + HOUR_US, 100.0 + day) for day in range(10)], rungs=("1d",))
    held = shelf.cover(2 * DAY_US, 5 * DAY_US)
    assert (held.start_us, held.end_us, len(held.parts)) == (2 * DAY_US, 5 * DAY_US, 3)
    held = shelf.cover(2 * DAY_US + 7, 5 * DAY_US + 7)
    assert (held.start_us, held.end_us, len(held.parts)) == (2 * DAY_US, 6 * DAY_US, 4)


def test_finer_candles_are_preferred_at_an_edge_where_there_are_some() -> None:
    """The day is cut at the hour, not taken whole."""
    shelf = Shelf([tick(hour * HOUR_US, 100.0 + hour) for hour in range(48)], rungs=("1h", "1d"))
    held = shelf.cover(6 * HOUR_US, 30 * HOUR_US)
    assert (held.start_us, held.end_us) == (6 * HOUR_US, 30 * HOUR_US)
    assert total([part.candle for part in held.parts]).count == 24


@pytest.mark.parametrize("ticks_from", [NOON_US + 10 * MINUTE_US, NOON_US + 30 * SECOND_US])
def test_a_minute_whose_ticks_were_pruned_is_taken_whole(ticks_from: int) -> None:
    """Also one that retention cut in its middle; with ticks it is exact."""
    ticks = [tick(NOON_US + at * SECOND_US, 100.0 + at) for at in range(0, 600, 5)]
    start, end = NOON_US + 17 * SECOND_US, NOON_US + 5 * MINUTE_US
    exact = Shelf(ticks).cover(start, end)
    assert exact.start_us == start
    assert total([part.candle for part in exact.parts]).count == 56
    rounded = Shelf(ticks, ticks_from=ticks_from).cover(start, end)
    assert (rounded.start_us, rounded.end_us) == (NOON_US, end)
    assert total([part.candle for part in rounded.parts]).count == 60


def test_a_long_way_from_the_first_price_costs_no_digits() -> None:
    """A billion to one between the first price and the spread of the rest."""
    values = [1e9, *(1.0 + at * 1e-3 for at in range(1000))]
    ticks = [tick(at * SECOND_US, value) for at, value in enumerate(values)]
    late_ones = Shelf(ticks).cover(MINUTE_US, 20 * MINUTE_US)
    said = total([part.candle for part in late_ones.parts])
    assert said.stddev == pytest.approx(standard.pstdev(values[60:]), rel=1e-9)
    flat = total(candles_of([0.1] * 1000))
    assert (flat.mean, flat.stddev) == (0.1, 0.0)


# ---------------------------------------------------------------------------------------------- falls


@given(st.lists(st.tuples(st.integers(0, 3 * HOUR_US), prices), min_size=1, max_size=60))
def test_a_drawdown_lies_between_what_is_certain_and_what_is_possible(drawn: list[tuple[int, float]]) -> None:
    """On every rung; over single ticks it is exact."""
    ticks = [tick(at, price) for at, price in sorted(drawn, key=lambda row: row[0])]
    true = drawdown([one.price or 0.0 for one in ticks])
    for rung in RUNGS:
        candles = Shelf(ticks).candles[rung]
        found = falls(candles)
        possible = max([found.deepest, *(1 - candles[at].low / candles[at].high for at in found.hidden)])
        assert found.deepest <= true <= possible
    assert falls([part.candle for part in one_by_one(ticks)]) == (true, [])


def test_what_a_candle_does_not_tell_is_hidden_in_it() -> None:
    """Up and then down, or down and then up: only the ticks know, and only such a candle is looked into."""
    up_first = ladder_of([(at, price, None) for at, price in enumerate((100.0, 120.0, 90.0, 110.0))], "1h")
    down_first = ladder_of([(at, price, None) for at, price in enumerate((100.0, 90.0, 120.0, 110.0))], "1h")
    assert falls(up_first) == falls(down_first)
    assert falls(up_first).deepest == pytest.approx(0.1)  # from the open to the low
    assert falls(up_first).hidden == [0]
    assert falls(candles_of([100.0, 110.0, 105.0, 120.0, 90.0])) == (0.25, [])


# ------------------------------------------------------------------------------------------- volatility


def test_volatility_is_the_spread_of_the_log_returns_over_a_year() -> None:
    """Against the formula by hand, for a market that never closes."""
    closes = [100.0, 101.0, 99.5, 100.2, 102.0, 101.1, 100.9]
    logs = [math.log(after / before) for before, after in pairwise(closes)]
    expected = standard.stdev(logs) * math.sqrt(365.2425 * 24)
    assert returns(candles_of(closes)) == logs
    assert yearly_volatility(candles_of(closes), "1h", SESSIONS["24x7"]) == pytest.approx(expected, rel=1e-6)
    assert yearly_volatility(candles_of([100.0] * 10), "1h", Session()) == 0


def test_a_closed_night_is_one_return() -> None:
    """The series has no gaps: the same closes with a weekend between them say the same."""
    closes = [100.0, 101.0, 99.5, 100.2, 102.0, 101.1, 100.9]
    apart = candles_of(closes[:3]) + candles_of(closes[3:], start_us=9 * DAY_US)
    metals = SESSIONS["metals-otc"]
    assert yearly_volatility(apart, "1h", metals) == yearly_volatility(candles_of(closes), "1h", metals)


def test_too_few_candles_have_no_volatility() -> None:
    """Rather than a wild one."""
    assert yearly_volatility(candles_of([1.0] * LEAST_RETURNS), "1h", Session()) is None
    assert yearly_volatility(candles_of([1.0] * (LEAST_RETURNS + 1)), "1h", Session()) is not None
    assert yearly_volatility([], "1h", Session()) is None


@pytest.mark.parametrize(
    ("session", "rung", "a_week"),
    [
        ("24x7", "1m", 7 * 1440),
        ("24x7", "1d", 7),
        ("metals-otc", "1h", 5 * 23),
        ("metals-otc", "1d", 6),  # in UTC the week begins on Sunday evening
        ("fx", "1h", 5 * 24),
        ("us-stocks", "1m", 5 * 390),
        ("us-stocks", "1h", 5 * 7),  # 9:30 to 16:00 touches seven hours
        ("us-stocks", "1d", 5),
    ],
)
def test_a_year_has_as_many_candles_as_its_weeks_have(session: str, rung: str, a_week: int) -> None:
    """Intervals that hold some open time, however little of it."""
    assert candles_a_year(rung, SESSIONS[session]) == pytest.approx(a_week * 52.1775)


def test_a_gapless_series_leaves_closed_hours_out() -> None:
    """Friday's last hour is followed by Sunday's first."""
    friday = candles_of([1.0] * 72, start_us=NOON_US)
    points = gapless(friday, "1h", SESSIONS["metals-otc"])
    assert [index for index, _ in points] == list(range(len(points)))
    starts = [(one.start - NOON_US) // HOUR_US for _, one in points]
    assert starts == [*range(9), *range(58, 72)]  # 12:00 to 21:00, then from Sunday 22:00 UTC
    assert len(gapless(friday, "1d", Session())) == 72


# ------------------------------------------------------------------------------------- two, and the clock


@given(st.lists(st.tuples(prices, prices), min_size=8, max_size=40))
def test_a_correlation_is_that_of_the_returns(drawn: list[tuple[float, float]]) -> None:
    """Within -1 and 1, the same both ways, and 1 with itself."""
    one, other = candles_of([pair[0] for pair in drawn]), candles_of([pair[1] for pair in drawn])
    found = correlation(one, other)
    if found is None:
        return
    left, right = returns(one), returns(other)
    assert found.count == len(left)
    assert found.value == pytest.approx(standard.correlation(left, right), abs=1e-9)
    back, same = correlation(other, one), correlation(one, one)
    assert back is not None
    assert same is not None
    assert back.value == pytest.approx(found.value)
    assert same.value == pytest.approx(1)


def test_a_correlation_is_over_shared_intervals_only() -> None:
    """What one of them lacks is left out of both; too little in common is none."""
    closes = [100.0, 103.0, 99.0, 101.0, 108.0, 104.0, 110.0, 111.0]
    whole, doubled = candles_of(closes), candles_of([2 * close for close in closes])
    gap = [one for at, one in enumerate(doubled) if at not in (2, 5)]
    found = correlation(whole, gap)
    assert found is not None
    assert (round(found.value, 9), found.count) == (1.0, 5)
    assert correlation(whole, gap[:4]) is None
    assert correlation(whole, candles_of([5.0] * 8)) is None
    mirrored = correlation(whole, candles_of([1 / close for close in closes]))
    assert mirrored is not None
    assert mirrored.value == pytest.approx(-1)


def test_seasons_are_of_the_local_clock() -> None:
    """By hour and by weekday, each from the close before it."""
    closes = [100.0 * 1.01**at for at in range(48)]
    hours = by_hour(candles_of(closes, start_us=NOON_US), "Europe/Berlin")
    assert [one.key for one in hours] == list(range(24))
    assert {one.key: one.count for one in hours} == dict.fromkeys(range(24), 2)
    assert hours[0].change == pytest.approx(0.01)
    assert (hours[0].rises, hours[14].rises) == (1.0, 0.5)  # the very first hour has no close before it
    days = by_weekday(candles_of(closes, start_us=NOON_US), "Europe/Berlin")
    assert [(one.key, one.count) for one in days] == [(4, 1), (5, 1), (6, 1)]  # Friday from 14:00, to Sunday 14:00
    assert days[1].change == pytest.approx(1.01**24 - 1)
    assert by_hour([], "UTC") == by_weekday([], "UTC") == []


def test_an_hour_that_comes_twice_is_one() -> None:
    """Berlin's 2 o'clock of 2014-10-26, UTC 0:00 and 1:00."""
    start = 1_414_278_000 * SECOND_US  # 2014-10-25 23:00 UTC
    hours = by_hour(candles_of([100.0, 110.0, 121.0, 121.0], start_us=start), "Europe/Berlin")
    assert [(one.key, one.count, round(one.change, 9)) for one in hours] == [(1, 1, 0.0), (2, 1, 0.21), (3, 1, 0.0)]
