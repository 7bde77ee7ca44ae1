"""What every store does alike when prices of the past are filled in: who owns a minute, and the rungs above. Pure."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.frame import Frame
from hub.history.filling import (
    RECORDED,
    above,
    bar_lane,
    check_bars,
    minutes,
    new_bars,
    settle,
    spans,
    steps_above,
)
from hub.history.ladder import MINUTE_US, RUNGS, ladder_of, length_us
from hub.model import Candle, Kind, Tick, Verdict
from hub.testing import NOON_US, frame_of, same_candles

P, C, S, L = Verdict.PRICE, Verdict.CONFIRMED, Verdict.STANDBY, Verdict.LATE


def at(minute: int, source: str = "file", verdict: Verdict = P, instrument: str = "XAU-USD", second: int = 0) -> Tick:
    time_us = NOON_US + minute * MINUTE_US + second * 1_000_000
    return Tick(
        instrument=instrument, kind=Kind.TRADE, price=1.0, venue_time=time_us, received_at=time_us + 90_000_000,
        source=source, verdict=verdict,
    )  # fmt: skip


def noon(minute: int, instrument: str = "XAU-USD") -> tuple[str, int]:
    return instrument, NOON_US + minute * MINUTE_US


def verdicts(frames: list[Frame]) -> list[list[int]]:
    return [frame.verdict for frame in frames]


def test_ticks_of_a_minute_that_was_recorded_stand_by() -> None:
    """Those of free minutes and of minutes that the same source filled count."""
    frames = [frame_of([at(0), at(1), at(2), at(3)])]
    settled = settle(frames, {noon(1): RECORDED, noon(2): "file", noon(3): "other"})
    assert verdicts(settled.frames) == [[P, S, P, S]]
    assert settled.owners == {noon(0): "file", noon(2): "file"}
    assert verdicts(frames) == [[P, P, P, P]], "the frames that were handed in were changed"


def test_another_instrument_s_minute_is_another_minute() -> None:
    """Owners are by instrument and minute."""
    settled = settle([frame_of([at(0), at(0, instrument="XAG-USD")])], {noon(0): RECORDED})
    assert verdicts(settled.frames) == [[S, P]]
    assert settled.owners == {noon(0, "XAG-USD"): "file"}


def test_the_first_source_in_a_free_minute_has_it() -> None:
    """Over frames too: two files of one day in one call are not added up."""
    settled = settle([frame_of([at(0, "one"), at(0, "two"), at(1, "two")]), frame_of([at(1, "one"), at(0, "one")])], {})
    assert verdicts(settled.frames) == [[P, S, P], [S, P]]
    assert settled.owners == {noon(0): "one", noon(1): "two"}


def test_only_ticks_that_would_count_are_settled() -> None:
    """What stood aside or was an outlier keeps its verdict and claims no minute; a late tick counts."""
    every = [at(0, "one", verdict) for verdict in Verdict]
    settled = settle([frame_of(every)], {noon(0): RECORDED})
    expected = [S if verdict in (P, C, L) else verdict for verdict in Verdict]
    assert verdicts(settled.frames) == [expected]
    assert settled.owners == {}
    free = settle([frame_of([at(0, "one", Verdict.OUTLIER), at(0, "two"), at(5, "one", L)])], {})
    assert verdicts(free.frames) == [[Verdict.OUTLIER, P, L]]
    assert free.owners == {noon(0): "two", noon(5): "one"}
    assert minutes([frame_of([at(0, "one", Verdict.OUTLIER), at(0, "two"), at(5, "one", L)])]) == set(free.owners)


def test_a_frame_in_which_nothing_stands_by_is_handed_on_as_it_is() -> None:
    """Nothing is copied where nothing changes."""
    frame = frame_of([at(0), at(1)])
    (same,) = settle([frame], {noon(0): "file", noon(7): RECORDED}).frames
    assert same is frame


def test_a_tick_without_the_venue_s_time_is_in_the_minute_it_was_received() -> None:
    """As everywhere in history."""
    tick = Tick(instrument="A", kind=Kind.TRADE, price=1.0, received_at=NOON_US + MINUTE_US + 1, source="file")
    assert minutes([frame_of([tick])]) == {("A", NOON_US + MINUTE_US)}


prices = st.floats(min_value=0.01, max_value=1e6).map(lambda value: round(value, 4))


@given(st.lists(st.tuples(st.integers(-3 * 86_400, 3 * 86_400), prices, st.none() | st.floats(0, 1e6)), max_size=60))
def test_every_rung_above_is_that_of_the_ticks_in_the_order_of_time(
    made: list[tuple[int, float, float | None]],
) -> None:
    """Built from the rung below, each equals the reference over the ticks, before 1970 too."""
    ticks = sorted(((second * 1_000_000, price, volume) for second, price, volume in made), key=lambda one: one[0])
    candles = ladder_of(ticks, "1m")
    for finer, coarser in steps_above("1m"):
        assert length_us(coarser) % length_us(finer) == 0
        candles = above(candles, coarser)
        same_candles(candles, ladder_of(ticks, coarser))


def test_the_steps_go_from_a_rung_to_the_coarsest() -> None:
    """None above the last."""
    rungs = list(RUNGS)
    assert [step[0] for step in steps_above("1m")] == rungs[:-1]
    assert [step[1] for step in steps_above("1m")] == rungs[1:]
    assert steps_above("1h") == [("1h", "1d")]
    assert steps_above("1d") == []


@given(st.lists(st.integers(-5000, 5000), max_size=40), st.integers(1, 100))
def test_spans_hold_every_interval_and_little_more(numbers: list[int], apart: int) -> None:
    """In order, apart, each begins and ends with an interval that was asked for, without a large hole in it."""
    starts = {number * length_us("5m") for number in numbers}
    found = spans(starts, "5m", apart)
    assert found == sorted(found)
    for start in starts:
        assert sum(low <= start and start + length_us("5m") <= high for low, high in found) == 1
    for low, high in found:
        inside = sorted(start for start in starts if low <= start < high)
        assert (low, high) == (inside[0], inside[-1] + length_us("5m"))
        gaps = [later - earlier for earlier, later in pairwise(inside)]
        assert max(gaps, default=0) <= (apart + 1) * length_us("5m")


def bar(start: int, **more: object) -> Candle:
    fields = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "count": 1, "sum": 0.0, "sum_squares": 0.0, **more}
    return Candle(start=start, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (bar(NOON_US + MINUTE_US), "no multiple of 1h in UTC"),
        (bar(NOON_US, count=0), "counts 0 ticks: a candle has at least 1"),
        (bar(NOON_US, close=math.nan), "a number that is none"),
        (bar(NOON_US, volume=math.inf), "a number that is none"),
    ],
)
def test_what_is_no_candle_of_the_rung_is_refused(bad: Candle, sentence: str) -> None:
    """With the bar's time and what is wrong with it."""
    check_bars("1h", [bar(NOON_US)])
    with pytest.raises(ValueError, match=sentence):
        check_bars("1h", [bar(NOON_US), bad])


def test_bars_go_where_there_is_none() -> None:
    """By start, and of two of one start the first."""
    made = [bar(NOON_US + hour * length_us("1h"), open=float(place)) for place, hour in enumerate((3, 1, 2, 3, 0))]
    fresh = new_bars(made, {NOON_US + length_us("1h")})
    assert [one.start for one in fresh] == [NOON_US + hour * length_us("1h") for hour in (0, 2, 3)]
    assert [one.open for one in fresh] == [4.0, 2.0, 0.0]


def test_the_lane_of_bars_is_named_after_the_instrument() -> None:
    """Beside "XAU-USD/quote" and "XAU-USD/trade"."""
    assert bar_lane("XAU-USD") == "XAU-USD/bar"
