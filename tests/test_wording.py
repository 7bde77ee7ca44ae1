"""How values are written, and how durations and times of day are read."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import wording
from hub.model import SECOND_US
from hub.plugin import BadRequest

NOW = 1_800_000_000 * SECOND_US  # 2027-01-15 08:00:00 UTC


def test_values_read_as_people_write_them() -> None:
    """Thousands apart, a sign where there is a change, no sign on nothing."""
    assert wording.price(2411.2, 2) == "2,411.20"
    assert wording.percent(0.0031) == "+0.31 %"
    assert wording.percent(-0.12) == "-12.00 %"
    assert wording.percent(-0.0000001) == "0.00 %"
    assert wording.percent(0.5, signed=False) == "50.00 %"


@pytest.mark.parametrize(
    ("span_s", "age", "duration"),
    [
        (0.2, "just now", "200 ms"),
        (59, "59 s ago", "59 s"),
        (60, "1 min ago", "1 min"),
        (7_500, "2 h ago", "2 h 5 min"),
        (90_061, "1 d ago", "1 d 1 h"),
        (86_401, "1 d ago", "1 d"),
    ],
)
def test_ages_and_durations(span_s: float, age: str, duration: str) -> None:
    """One unit at a glance, two where it is asked."""
    assert wording.age(int(span_s * SECOND_US)) == age
    assert wording.duration(int(span_s * SECOND_US)) == duration


def test_a_clock_says_the_day_when_it_is_another() -> None:
    """In the person's zone, not in UTC."""
    assert wording.clock(NOW, "UTC", NOW) == "08:00:00"
    assert wording.clock(NOW, "Asia/Tokyo", NOW) == "17:00:00"
    assert wording.clock(NOW - wording.DAY_US, "UTC", NOW) == "2027-01-14 08:00:00"
    assert wording.clock(NOW, "Not/A_Zone", NOW) == "08:00:00"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("2h", 7_200), ("1d 12h", 129_600), ("1W", 604_800)]
)
def test_durations_are_read(text: str, seconds: int) -> None:
    """Number and unit, any number of times."""
    assert wording.read_duration(text) == seconds * SECOND_US


@pytest.mark.parametrize("text", ["", "5", "h", "-2h", "2 hours", "2h!", "0s", "400d", "1.5h", "99999999h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nothing is guessed; the refusal shows how to write one."""
    with pytest.raises(BadRequest, match="15m"):
        wording.read_duration(text)


@given(st.text(max_size=40))
def test_any_text_is_a_duration_or_a_refusal(text: str) -> None:
    """Between a second and a year, or BadRequest."""
    with suppress(BadRequest):
        assert SECOND_US <= wording.read_duration(text) <= wording.LONGEST_US


def test_a_time_of_day_is_the_next_one_in_the_person_s_zone() -> None:
    """Later today, else tomorrow."""
    assert wording.read_clock("09:00", "UTC", NOW) == NOW + wording.HOUR_US
    assert wording.read_clock("8:00", "UTC", NOW) == NOW + wording.DAY_US
    assert wording.read_clock("18:00", "Asia/Tokyo", NOW) == NOW + wording.HOUR_US
    with pytest.raises(BadRequest, match="14:00"):
        wording.read_clock("25:00", "UTC", NOW)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("tomorrow", 25), ("Tomorrow 14:00", 30), ("today 23:00", 15), ("friday", 1), ("fri 07:00", 7 * 24 - 1),
        ("monday", 73), ("thu 8:30", 6 * 24 + 0.5),
    ],
)  # fmt: skip
def test_a_day_may_be_said_too(text: str, hours: float) -> None:
    """It is a Friday, eight o'clock; a day without a time begins at nine."""
    assert wording.read_clock(text, "UTC", NOW) == NOW + round(hours * wording.HOUR_US)


@pytest.mark.parametrize("text", ["", "today 07:00", "today", "morgen", "fr", "tomorrow 25:00", "friday friday"])
def test_what_is_no_time_or_is_over_is_refused(text: str) -> None:
    """At nine, "today" is over as a beginning of the day."""
    with pytest.raises(BadRequest):
        wording.read_clock(text, "UTC", NOW + 2 * wording.HOUR_US)


def test_a_time_of_day_survives_the_change_of_clocks() -> None:
    """The night Berlin sets its clocks forward has 23 hours."""
    evening = datetime(2027, 3, 27, 20, 0, tzinfo=UTC)
    until = wording.read_clock("21:00", "Europe/Berlin", round(evening.timestamp()) * SECOND_US)
    assert datetime.fromtimestamp(until // SECOND_US, UTC) == datetime(2027, 3, 28, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ((), 8, ""),
        ((5.0,), 8, "▄"),
        ((5.0, 5.0, 5.0), 8, "▄▄▄"),
        ((1.0, 2.0, 3.0), 8, "▁▅█"),
        ((1.0, 1.0, 9.0, 9.0), 2, "▁█"),
        ((-3.0, 4.0), 8, "▁█"),
    ],
)
def test_a_spark_goes_from_the_lowest_to_the_highest(values: tuple[float, ...], width: int, line: str) -> None:
    """Also of nothing, of one price and of one that never moved."""
    assert wording.spark(values, width) == line


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=300), st.integers(1, 40))
def test_a_spark_is_never_wider_than_its_cell(values: list[float], width: int) -> None:
    """Whatever the prices."""
    assert len(wording.spark(values, width)) == min(width, len(values))
