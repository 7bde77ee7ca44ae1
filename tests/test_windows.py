"""What a series did lately, against a look at all of its values."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules import windows
from hub.rules.indicators import Smoothed, candles_for
from hub.rules.indicators import study as study_of
from hub.rules.series import DAY_US
from hub.rules.windows import Extreme, Past, Record, Sum

STEPS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40).map(lambda n: n / 4)), min_size=1, max_size=80)


def timed(steps: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """(time, value), the times from the distances between them."""
    at, found = 1_000_000, []
    for step, value in steps:
        at += step
        found.append((at, value))
    return found


@settings(max_examples=300)
@given(steps=STEPS, window=st.integers(1, 2_000), sign=st.sampled_from([1, -1]))
def test_the_extreme_of_a_window_is_that_of_all_its_values(
    steps: list[tuple[int, float]], window: int, sign: int
) -> None:
    """Both ends of the window included, and of equal values the newest."""
    extreme, seen = Extreme(window, sign), []
    for at, value in timed(steps):
        seen.append((at, value))
        inside = [(sign * v, t) for t, v in seen if t >= at - window]
        best = max(inside)
        assert extreme.add(value, at) == (sign * best[0], best[1])


def test_a_window_of_ever_better_values_is_held_in_bounded_memory() -> None:
    """Beyond its bound it is off by less than neighbours lie apart, and never by more."""
    extreme, seen, draw = Extreme(100_000, 1, most=500), [], random.Random(4)
    value = 10_000.0
    for at in range(20_000):
        value -= draw.random() * 0.1
        seen.append(value)
        found = extreme.add(value, at)
        assert len(extreme) <= 501
        assert found.value >= value
    assert extreme.add(value, 20_000).value == pytest.approx(max(seen), abs=1.0)


@given(steps=STEPS, window=st.integers(1, 20_000))
def test_a_sum_is_that_of_the_window_to_one_bucket(steps: list[tuple[int, float]], window: int) -> None:
    """Whole buckets of a 3600th of it."""
    total, seen = Sum(window), []
    size = max(window // windows.BUCKETS, 1)
    for at, value in timed(steps):
        seen.append((at, value))
        expected = sum(v for t, v in seen if t // size >= (at - window) // size)
        assert total.add(value, at) == pytest.approx(expected)


@given(steps=STEPS, window=st.integers(1, 3_600))
def test_the_value_of_then_is_the_newest_that_is_old_enough(steps: list[tuple[int, float]], window: int) -> None:
    """Exact where a bucket is one microsecond."""
    past, seen = Past(window), []
    for at, value in timed(steps):
        seen.append((value, at))
        old = [each for each in seen if each[1] <= at - window]
        assert past.add(value, at) == (old[-1] if old else None)


@given(steps=STEPS, days=st.sampled_from([0, 1, 3]), sign=st.sampled_from([1, -1]))
def test_a_record_counts_whole_days(steps: list[tuple[int, float]], days: int, sign: int) -> None:
    """This UTC day and those before it that the period has."""
    record, seen = Record(days, sign), []
    for at, value in timed([(step * DAY_US // 300, value) for step, value in steps]):
        seen.append((at, value))
        inside = [sign * v for t, v in seen if not days or t // DAY_US > at // DAY_US - days]
        assert record.add(value, at).value == sign * max(inside)


@pytest.mark.parametrize("name", ["sma", "ema", "rsi", "macd", "macd_signal", "macd_histogram",
                                  "bollinger_upper", "bollinger_middle", "bollinger_lower"])  # fmt: skip
def test_an_indicator_is_the_same_whatever_stood_as_its_open_close(name: str) -> None:
    """And from as many closes as it is given after a start it is what it was with all of them."""
    numbers = {"sma": (20,), "ema": (20,), "rsi": (14,)}.get(name, (12, 26, 9) if "macd" in name else (20, 2))
    draw, closes = random.Random(name), [100.0]
    for _ in range(1_500):
        closes.append(closes[-1] * (1 + draw.gauss(0, 1e-3)))
    whole, opened, begun = study_of(name, numbers), study_of(name, numbers), study_of(name, numbers)
    for close in closes:
        whole.close(close)
        opened.open(close * 1.01)
        opened.open(close * 0.99)
        opened.close(close)
    for close in closes[-candles_for(name, numbers) :]:
        begun.close(close)
    assert whole.value is not None
    assert opened.value == pytest.approx(whole.value, rel=1e-9, abs=1e-9)
    assert begun.value == pytest.approx(whole.value, rel=1e-8, abs=1e-8)


def test_an_indicator_forgets_what_it_does_not_need() -> None:
    """Its memory does not grow with the years."""
    study, other = study_of("ema", (20,)), study_of("ema", (20,))
    for i in range(20_000):
        study.close(100.0 + i % 7)
    for i in range(19_000, 20_000):
        other.close(100.0 + i % 7)
    assert isinstance(study, Smoothed)
    assert len(study._of) <= 8_192
    assert study.value == pytest.approx(other.value)
