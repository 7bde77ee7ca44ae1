"""Spans of time as people write them, over daylight saving, calendars and nonsense."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model import SECOND_US
from hub.plugin import BadRequest
from hub.spans import find_span, parse_span

HOUR_US = 3_600 * SECOND_US
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana")


def at(text: str) -> int:
    """Microseconds of an instant in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_US


NOW = at("2014-10-26 12:00")  # Berlin set its clock back that night


def edges(text: str, zone: str = "UTC", now_us: int = NOW) -> tuple[int, int]:
    span = parse_span(text, now_us, zone, oldest_us=7)
    return span.start_us, span.end_us


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("90m", "2014-10-26 10:30", "2014-10-26 12:00"),
        ("24h", "2014-10-25 12:00", "2014-10-26 12:00"),
        ("24 Hours", "2014-10-25 12:00", "2014-10-26 12:00"),
        ("7d", "2014-10-19 12:00", "2014-10-26 12:00"),
        ("2w", "2014-10-12 12:00", "2014-10-26 12:00"),
        ("1d 12h", "2014-10-25 00:00", "2014-10-26 12:00"),
        ("3mo", "2014-07-26 12:00", "2014-10-26 12:00"),
        ("1y", "2013-10-26 12:00", "2014-10-26 12:00"),
        ("2014-05-02", "2014-05-02 00:00", "2014-05-03 00:00"),
        ("2014-05-01..2014-05-03", "2014-05-01 00:00", "2014-05-04 00:00"),
        ("2014-05-02 12:00..2014-05-02 14:00", "2014-05-02 12:00", "2014-05-02 14:00"),
        ("2014-05-02T12:00 .. 14:00", "2014-05-02 12:00", "2014-05-02 14:00"),
        ("2014-05-02 22:00..24:00", "2014-05-02 22:00", "2014-05-03 00:00"),
        ("2014-05-02..", "2014-05-02 00:00", "2014-10-26 12:00"),
        ("2014-05-02 13:30", "2014-05-02 13:30", "2014-10-26 12:00"),
        ("2014-02", "2014-02-01 00:00", "2014-03-01 00:00"),
        ("2013-12", "2013-12-01 00:00", "2014-01-01 00:00"),
        ("2013", "2013-01-01 00:00", "2014-01-01 00:00"),
        ("today", "2014-10-26 00:00", "2014-10-26 12:00"),
        ("yesterday", "2014-10-25 00:00", "2014-10-26 00:00"),
        ("week", "2014-10-20 00:00", "2014-10-26 12:00"),
        ("month", "2014-10-01 00:00", "2014-10-26 12:00"),
        ("ytd", "2014-01-01 00:00", "2014-10-26 12:00"),
    ],
)
def test_a_span_is_what_a_person_means(text: str, start: str, end: str) -> None:
    """Lengths end now, dates are whole days, nothing ends later than now."""
    assert edges(text) == (at(start), at(end))


def test_max_begins_at_the_oldest_price() -> None:
    """And is refused where there is none."""
    assert edges("max") == edges("all") == (7, NOW)
    with pytest.raises(BadRequest, match="no price yet"):
        parse_span("max", NOW, "UTC")


def test_days_are_as_long_as_the_zone_makes_them() -> None:
    """25 hours where the clock was set back, 23 where it was set ahead; a "1d" stays 24."""
    start, end = edges("2014-10-26", "Europe/Berlin", at("2014-10-28 00:00"))
    assert (start, end - start) == (at("2014-10-25 22:00"), 25 * HOUR_US)
    start, end = edges("2014-03-30", "Europe/Berlin")
    assert end - start == 23 * HOUR_US
    start, end = edges("1d", "Europe/Berlin")
    assert end - start == 24 * HOUR_US


def test_an_hour_that_comes_twice_is_in_the_span_twice() -> None:
    """From its first turn to its last; one that the clock skips is nobody's."""
    assert edges("2014-10-26 02:30..02:31", "Europe/Berlin") == (at("2014-10-26 00:30"), at("2014-10-26 01:31"))
    assert edges("2014-03-30 01:00..03:00", "Europe/Berlin") == (at("2014-03-30 00:00"), at("2014-03-30 01:00"))


def test_a_day_whose_midnight_is_skipped_begins_at_the_jump() -> None:
    """Havana set its clock from 0:00 to 1:00 on 2014-03-09."""
    start, end = edges("2014-03-09", "America/Havana")
    assert (start, end - start) == (at("2014-03-09 05:00"), 23 * HOUR_US)


def test_months_keep_the_clock_and_the_last_day() -> None:
    """A month before the 31st of March is the 28th of February; summer time does not move the hour."""
    assert edges("1mo", now_us=at("2014-03-31 09:00"))[0] == at("2014-02-28 09:00")
    assert edges("3mo", "Europe/Berlin")[0] == at("2014-07-26 11:00")  # 13:00 on both days


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no span of time"),
        ("gold", "write 90m, 24h"),
        ("5", "no span of time"),
        ("3M", "3m or 3mo"),
        ("0m", "no time at all"),
        ("2014-02-30", "no span of time"),
        ("2014-13", "no span of time"),
        ("0000-01-01", "no span of time"),
        ("9999-12-31", "no span of time"),
        ("2015-01-01", "not begun"),
        ("2014-05-03..2014-05-01", "earlier time first"),
        ("2014-05-02 14:00..12:00", "earlier time first"),
        ("2014-05-02 25:00..", "no span of time"),
        ("999999y", "longer than 300 years"),
        ("\x1b[2Jx" * 30, "no span of time"),
    ],
)
def test_nonsense_is_refused_with_examples(text: str, said: str) -> None:
    """In a sentence that shows no control character."""
    with pytest.raises(BadRequest, match=said) as refused:
        parse_span(text, NOW, "Europe/Berlin", oldest_us=0)
    assert refused.value.text.isprintable()


@given(st.text(max_size=60), st.sampled_from(ZONES))
def test_any_text_is_a_span_or_is_refused(text: str, zone: str) -> None:
    """Nothing else is raised."""
    try:
        span = parse_span(text, NOW, zone, oldest_us=0)
    except BadRequest:
        return
    assert span.start_us < span.end_us <= NOW


@given(st.dates(date(1900, 1, 2), date(2014, 10, 24)), st.sampled_from(ZONES))
def test_days_follow_one_another_without_a_gap(day: date, zone: str) -> None:
    """Yesterday's end is where today begins, in every zone and year."""
    start, end = edges(f"{day}", zone)
    assert edges(f"{day + timedelta(days=1)}", zone)[0] == end
    assert 22 * HOUR_US <= end - start <= 26 * HOUR_US


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gold 7d candles", ("7d", "gold candles")),
        ("gold vs silver 2014-05-02 12:00..14:00 dark", ("2014-05-02 12:00..14:00", "gold vs silver dark")),
        ("gold 1 week line", ("1 week", "gold line")),
        ("YTD gold", ("YTD", "gold")),
        ("gold 2014-05", ("2014-05", "gold")),
        ("gold", ("", "gold")),
        ("gold > 2400", ("", "gold > 2400")),
        ("gold 22k inr", ("", "gold 22k inr")),
        ("maxcoin", ("", "maxcoin")),
    ],
)
def test_a_span_is_found_in_a_line(line: str, found: tuple[str, str]) -> None:
    """With what is left of the line."""
    assert find_span(line) == found
