"""What a picture is decided from: round numbers, labels that keep apart, times, indicators, combinations, themes."""

import math
import statistics
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charts import combine, indicators, scales, times
from charts.chart import Theme, theme_of
from charts.theme import palette
from hub.model import SECOND_US, Candle
from hub.plugin import BadRequest

MINUTE_US = 60 * SECOND_US
PRICES = st.floats(1e-6, 1e9)


def candle(start: int, price: float, close: float | None = None) -> Candle:
    close = price if close is None else close
    high, low = max(price, close), min(price, close)
    return Candle(
        start=start,
        open=price,
        high=high,
        low=low,
        close=close,
        volume=1.0,
        count=1,
        sum=close - price,
        sum_squares=0.0,
    )


# ---------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("low", "high", "most", "values", "decimals"),
    [
        (0, 10, 6, [0, 2, 4, 6, 8, 10], 0),
        (1272.4, 1304.7, 7, [1275, 1280, 1285, 1290, 1295, 1300], 0),
        (1.3811, 1.3889, 5, [1.382, 1.384, 1.386, 1.388], 3),
        (-3, 3, 3, [-2, 0, 2], 0),
        (0.00001, 0.00009, 4, [0.00002, 0.00004, 0.00006, 0.00008], 5),
    ],
)
def test_an_axis_has_round_numbers(low: float, high: float, most: int, values: list[float], decimals: int) -> None:
    """As many as there is room for, with the decimals that they need."""
    found, shown = scales.ticks(low, high, most)
    assert found == pytest.approx(values)
    assert shown == decimals


@given(PRICES, st.floats(1e-9, 1.0), st.integers(1, 20))
def test_numbers_of_an_axis_are_in_it_and_tell_apart(low: float, share: float, most: int) -> None:
    """At every size of price."""
    high = low * (1 + share)
    found, decimals = scales.ticks(low, high, most)
    slack = (high - low) * 1e-6
    assert len(found) <= most
    assert all(low - slack <= value <= high + slack for value in found)
    texts = [scales.number(value, decimals) for value in found]
    assert len(set(texts)) == len(texts)


@given(PRICES, st.integers(0, 8))
def test_a_flat_price_stands_in_the_middle_of_its_axis(price: float, decimals: int) -> None:
    """With room on both sides."""
    low, high = scales.bounds(price, price, decimals)
    assert low < price < high
    assert (low + high) / 2 == pytest.approx(price)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (12, "12"), (999, "999"), (1200, "1.2 k"), (2_350_000, "2.35 M"), (4e9, "4 B")]
)
def test_volumes_are_short(value: float, text: str) -> None:
    """Three digits or so."""
    assert scales.short(value) == text


@pytest.mark.parametrize(("value", "decimals"), [(84.3, 3), (0.0123, 6), (64_000, 0), (1.0, 4), (0, 2), (math.nan, 2)])
def test_a_ratio_has_about_five_digits(value: float, decimals: int) -> None:
    """Whatever its size."""
    assert scales.decimals_for(value) == decimals


# ----------------------------------------------------------------------------------------------- labels


@given(st.lists(st.floats(-200, 400), min_size=1, max_size=25), st.floats(1, 8))
def test_labels_never_cover_each_other(centres: list[float], height: float) -> None:
    """They stay inside, keep their order, and one that is free stands where it wants to."""
    heights = [height] * len(centres)
    low, high = 0.0, 200.0
    placed = scales.spread(centres, heights, low, high)
    order = sorted(range(len(centres)), key=lambda index: (centres[index], index))
    for below, above in pairwise(order):
        assert placed[above] - placed[below] >= height - 1e-6
    assert all(low - 1e-6 <= y - height / 2 and y + height / 2 <= high + 1e-6 for y in placed)


@pytest.mark.parametrize(
    ("centres", "placed"),
    [
        ([10, 50, 90], [10, 50, 90]),
        ([50, 50], [45, 55]),
        ([50, 52, 90], [46, 56, 90]),
        ([-20, 300], [5, 95]),
        ([98, 99, 97], [85, 95, 75]),
    ],
)
def test_labels_move_as_little_as_they_can(centres: list[float], placed: list[float]) -> None:
    """Two that collide part evenly; what is outside comes to the edge."""
    assert scales.spread(centres, [10.0] * len(centres), 0, 100) == pytest.approx(placed)


def test_the_nearest_levels_are_taken() -> None:
    """In their own order."""
    assert scales.nearest([10, 1, 5, 100, 6], 5.4, 3) == [1, 2, 4]


# ------------------------------------------------------------------------------------------------ times


def starts(first: str, count: int, minutes: int) -> list[int]:
    begin = int(datetime.fromisoformat(first).timestamp()) * SECOND_US
    return [begin + place * minutes * MINUTE_US for place in range(count)]


def labels(moments: Sequence[int], zone: str, most: int) -> list[str]:
    found = times.ticks(times.local_times(moments, zone), lambda ticks: len(ticks) <= most)
    return [tick.text for tick in found]


@pytest.mark.parametrize(
    ("first", "count", "minutes", "zone", "most", "expected"),
    [
        ("2014-05-02T00:00+00:00", 96, 15, "UTC", 4, ["06:00", "12:00", "18:00"]),
        ("2014-05-02T12:00+00:00", 48, 30, "UTC", 4, ["18:00", "3 May", "06:00"]),
        ("2014-05-02T00:00+00:00", 96, 15, "Asia/Kolkata", 4, ["06:00", "12:00", "18:00", "3 May"]),
        ("2014-12-30T00:00+00:00", 5, 1440, "UTC", 8, ["31 Dec", "2015", "2 Jan", "3 Jan"]),
        ("2014-01-01T00:00+00:00", 365, 1440, "UTC", 4, ["Apr", "Jul", "Oct"]),
        ("2014-05-02T22:51+00:00", 1, 1, "UTC", 8, ["22:51"]),
        ("2014-05-02T00:00+00:00", 1, 1440, "UTC", 8, ["2 May"]),
        ("2006-01-01T00:00+00:00", 14 * 12, 43_800, "UTC", 3, ["2010", "2015"]),
    ],
)
def test_times_are_round_in_the_person_s_zone(
    first: str, count: int, minutes: int, zone: str, most: int, expected: list[str]
) -> None:
    """A day, a month and a year are named where they begin."""
    assert labels(starts(first, count, minutes), zone, most) == expected


def test_a_closed_session_takes_no_room_and_the_day_behind_it_is_named() -> None:
    """Friday's last candle stands beside Monday's first."""
    friday, monday = starts("2014-05-02T12:00+00:00", 8, 60), starts("2014-05-05T00:00+00:00", 8, 60)
    found = times.ticks(times.local_times([*friday, *monday], "UTC"), lambda ticks: len(ticks) <= 1)
    assert [(tick.place, tick.text) for tick in found] == [(8, "5 May")]


def test_clocks_that_change_make_no_label_twice() -> None:
    """The hour that comes twice in autumn is not a new day, and its labels are those of the clock on the wall."""
    found = labels(starts("2025-10-26T00:00+02:00", 26, 60), "Europe/Berlin", 30)
    assert found.count("02:00") <= 2 and "27 Oct" in found


@given(st.integers(2, 300), st.sampled_from([1, 5, 15, 60, 1440, 10_080]), st.integers(1, 9))
def test_there_are_never_more_times_than_have_room(count: int, minutes: int, most: int) -> None:
    """Whatever the length."""
    assert len(labels(starts("2024-02-27T21:07+00:00", count, minutes), "America/New_York", most)) <= most


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2014-05-02T00:00", "2014-05-03T00:00", "2 May 2014"),
        ("2014-05-02T00:00", "2014-05-05T00:00", "2 May – 4 May 2014"),
        ("2014-05-02T08:00", "2014-05-02T17:30", "2 May 2014, 08:00 – 17:30"),
        ("2014-12-31T20:00", "2015-01-01T20:00", "31 Dec 2014 20:00 – 1 Jan 2015 20:00"),
        ("2014-05-02T08:00", "2014-08-02T08:00", "2 May – 2 Aug 2014"),
    ],
)
def test_a_span_is_said_as_people_do(start: str, end: str, text: str) -> None:
    """Whole days without a time."""
    assert times.spanned(datetime.fromisoformat(start), datetime.fromisoformat(end)) == text


# ------------------------------------------------------------------------------------------- indicators


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=80), st.integers(2, 20))
def test_averages_and_bands_are_what_they_are_called(values: list[float], length: int) -> None:
    """Against the standard library, one window at a time."""
    lower, middle, upper = indicators.bollinger(values, length)
    assert middle == indicators.sma(values, length)
    for place in range(len(values)):
        window = values[max(0, place + 1 - length) : place + 1]
        if len(window) < length:
            assert middle[place] is lower[place] is upper[place] is None
            continue
        mean, deviation = statistics.fmean(window), statistics.pstdev(window)
        assert middle[place] == pytest.approx(mean, rel=1e-9)
        assert upper[place] == pytest.approx(mean + 2 * deviation, rel=1e-6, abs=1e-3)
        assert lower[place] == pytest.approx(mean - 2 * deviation, rel=1e-6, abs=1e-3)


def test_an_exponential_average_follows_its_rule() -> None:
    """Begun with the simple average, then two parts in length + 1 of what is new."""
    assert indicators.ema([2, 4, 6, 8, 4], 3) == [None, None, 4, 6, 5]
    assert indicators.ema([1.0, 2.0], 3) == [None, None]


def test_rsi_is_wilder_s() -> None:
    """The figures of the example that is commonly quoted for it (14 periods: 70.53, 66.32, 66.55)."""
    closes = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328,
        45.6140, 46.2820, 46.2820, 46.0028, 46.0328,
    ]  # fmt: skip
    curve = indicators.rsi(closes, 14)
    assert curve[:14] == [None] * 14
    assert [round(value, 2) for value in curve[14:] if value is not None] == [70.53, 66.32, 66.55]


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60), st.integers(2, 20))
def test_rsi_stays_between_its_ends(values: list[float], length: int) -> None:
    """Also where nothing moves, or all in one way."""
    assert all(0 <= value <= 100 for value in indicators.rsi(values, length) if value is not None)
    assert indicators.rsi([5.0] * 30, 14)[-1] == 50


# ----------------------------------------------------------------------------------------- combinations


def test_instruments_with_other_hours_are_put_on_one_line_of_time() -> None:
    """The last close stands while one is closed, and nothing begins before all have a price."""
    one = [candle(0, 1.0), candle(10, 2.0), candle(40, 4.0)]
    other = [candle(5, 10.0), candle(20, 20.0), candle(30, 30.0)]
    aligned = combine.align([one, other])
    assert aligned.times == (5, 10, 20, 30, 40)
    assert aligned.closes == ((1.0, 2.0, 2.0, 2.0, 4.0), (10.0, 10.0, 20.0, 30.0, 30.0))
    assert aligned.bases == (1.0, 10.0)
    assert combine.in_percent(aligned.closes[0], 1.0) == pytest.approx((0, 100, 100, 100, 300))
    moved = [candle(0, 1.0, 1.5), candle(10, 1.5, 3.0)]
    assert combine.align([moved, one]).bases == (1.0, 1.0)  # what the first candle did counts
    assert combine.align([one, []]).times == ()


def test_a_ratio_goes_from_close_to_close() -> None:
    """Its candles touch, and one over nothing is not drawn."""
    found = combine.ratio([candle(0, 8.0), candle(10, 9.0)], [candle(0, 2.0), candle(10, 3.0)])
    assert [(one.open, one.close) for one in found] == [(4.0, 4.0), (4.0, 3.0)]
    (moved,) = combine.ratio([candle(0, 8.0, 6.0)], [candle(0, 2.0, 3.0)])
    assert (moved.open, moved.close) == (4.0, 2.0)
    assert combine.ratio([candle(0, 8.0)], [candle(0, 0.0)]) == ()


def test_another_currency_uses_the_rate_of_each_time() -> None:
    """Its newest close by then; inverse pairs too; none where the pair begins too late."""
    pair = [candle(0, 2.0, 4.0), candle(10, 4.0, 5.0)]
    assert combine.rates_at(pair, [0, 9, 10, 50]) == [4.0, 4.0, 5.0, 5.0]
    assert combine.rates_at(pair, [0, 10], inverse=True) == [0.25, 0.2]
    assert combine.rates_at(pair, [-5, 10, 20]) == [2.0, 5.0, 5.0]
    assert combine.rates_at(pair, [-5, -4, 20]) is None
    assert combine.rates_at([], [1]) is None


@given(st.integers(1, 2000), st.integers(10, 400))
def test_merged_candles_hold_everything_and_are_few_enough(count: int, most: int) -> None:
    """Open, high, low, close and volume of the whole stay, and no finer length would be few enough."""
    every = [candle(place * MINUTE_US, 100 + place % 7, 100 + place % 11) for place in range(count)]
    step_us = combine.coarser(every, MINUTE_US, most)
    merged = combine.merged(every, step_us)
    assert len(merged) <= most
    assert step_us == MINUTE_US or len(merged) > most / 6
    assert (merged[0].open, merged[-1].close) == (every[0].open, every[-1].close)
    assert max(one.high for one in merged) == max(one.high for one in every)
    assert min(one.low for one in merged) == min(one.low for one in every)
    assert sum(one.volume for one in merged) == pytest.approx(count)


def test_weeks_begin_on_monday() -> None:
    """In UTC."""
    days = starts("2014-05-02T00:00+00:00", 11, 1440)
    merged = combine.merged([candle(day, 1.0) for day in days], 7 * 86_400 * SECOND_US)
    assert [local.strftime("%a %d") for local in times.local_times([one.start for one in merged], "UTC")] == [
        "Mon 28",
        "Mon 05",
        "Mon 12",
    ]


# ----------------------------------------------------------------------------------------------- themes


def luminance(colour: str) -> float:
    """Relative, as in WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("text", ["light", "dark", "light red-up", "dark red-up", "light blue-up", "dark blue-up"])
def test_every_theme_can_be_read(text: str) -> None:
    """Words stand out from their ground as WCAG asks (4.5), lines too (3); up and down differ in lightness."""
    colours = palette(theme_of(text))
    assert contrast(colours.text, colours.ground) >= 7
    for word in (colours.muted, colours.remark, colours.level):
        assert contrast(word, colours.ground) >= 4.5
    for line in (colours.up, colours.down, colours.accent):
        assert contrast(line, colours.ground) >= 3
        assert contrast(colours.on_colour, line) >= 3
    assert contrast(colours.up, colours.down) >= 1.3


def test_a_theme_is_read_from_words_in_any_order() -> None:
    """What is no theme is refused with what is."""
    assert theme_of("red-up dark") == theme_of("dark, red-up") == Theme(ground="dark", colours="red-up")
    assert theme_of("") == Theme()
    with pytest.raises(BadRequest, match="light or dark"):
        theme_of("pink")
    swapped = palette(theme_of("red-up"))
    assert (swapped.up, swapped.down) == (palette(Theme()).down, palette(Theme()).up)


def test_equal_charts_are_equal_bytes() -> None:
    """What the cache goes by."""
    assert msgspec.msgpack.encode(Theme()) == msgspec.msgpack.encode(theme_of("light"))
