"""Times of day in a time zone: each once a day, over both changes of the clock, and what people write for them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model import SECOND_US
from hub.schedule import EVERY_DAY, Due, due_at, latest_due, read_clock, read_weekdays, words

BERLIN = "Europe/Berlin"  # in 2026 forward on 29 March at 02:00, back on 25 October at 03:00
HOUR_S = 3600


def us(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND_US


def utc(due: Due) -> str:
    return datetime.fromtimestamp(due.at_us // SECOND_US, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("at_s", "weekdays", "zone", "after", "at", "day"),
    [
        (8 * HOUR_S, EVERY_DAY, "UTC", "2026-11-20 07:59", "2026-11-20 08:00", "2026-11-20"),
        (8 * HOUR_S, EVERY_DAY, "UTC", "2026-11-20 08:00", "2026-11-21 08:00", "2026-11-21"),
        (8 * HOUR_S, "01234", "UTC", "2026-11-20 08:00", "2026-11-23 08:00", "2026-11-23"),  # a Friday
        (8 * HOUR_S, "4", "UTC", "2026-11-20 08:00", "2026-11-27 08:00", "2026-11-27"),
        (8 * HOUR_S, EVERY_DAY, BERLIN, "2026-03-28 12:00", "2026-03-29 06:00", "2026-03-29"),
        (8 * HOUR_S, EVERY_DAY, BERLIN, "2026-10-24 12:00", "2026-10-25 07:00", "2026-10-25"),
        # 02:30 is skipped on 29 March: it rings at 03:30 summer time
        (9000, EVERY_DAY, BERLIN, "2026-03-28 12:00", "2026-03-29 01:30", "2026-03-29"),
        (9000, EVERY_DAY, BERLIN, "2026-03-29 01:30", "2026-03-30 00:30", "2026-03-30"),
        # 02:30 comes twice on 25 October: it rings at the first
        (9000, EVERY_DAY, BERLIN, "2026-10-24 12:00", "2026-10-25 00:30", "2026-10-25"),
        (9000, EVERY_DAY, BERLIN, "2026-10-25 00:30", "2026-10-26 01:30", "2026-10-26"),
        (9000, EVERY_DAY, BERLIN, "2026-10-25 01:00", "2026-10-26 01:30", "2026-10-26"),  # between the two
        # Apia left out 30 December 2011
        (8 * HOUR_S, EVERY_DAY, "Pacific/Apia", "2011-12-29 19:00", "2011-12-30 18:00", "2011-12-31"),
        # Toronto went from 23:30 to 00:30 on 30 March 1919: what was due between belongs to the day before
        (85_500, EVERY_DAY, "America/Toronto", "1919-03-30 12:00", "1919-03-31 04:45", "1919-03-30"),
        (85_500, EVERY_DAY, "America/Toronto", "1919-03-31 04:45", "1919-04-01 03:45", "1919-03-31"),
        (8 * HOUR_S, EVERY_DAY, "Nowhere/Such", "2026-11-20 07:00", "2026-11-20 08:00", "2026-11-20"),
    ],
)
def test_the_next_time_is_by_the_persons_clock(
    at_s: int, weekdays: str, zone: str, after: str, at: str, day: str
) -> None:
    """Also where the clock skips it, repeats it, or leaves out the day."""
    due = due_at(at_s, weekdays, zone, us(after))
    assert (utc(due), due.day) == (at, date.fromisoformat(day))


@given(
    st.integers(0, 86_399),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago"]),
    st.integers(us("2020-01-01"), us("2030-01-01")),
)
def test_every_day_has_one_time(at_s: int, zone: str, after: int) -> None:
    """Walking from time to time, each local day comes once, in order, and none is left out."""
    dues: list[Due] = []
    for _ in range(5):
        dues.append(due_at(at_s, EVERY_DAY, zone, after))
        assert dues[-1].at_us > after
        after = dues[-1].at_us
    assert [due.day - dues[0].day for due in dues] == [timedelta(days=days) for days in range(5)]


def test_the_latest_time_lies_between_what_was_told_and_now() -> None:
    """Of several that were missed the last; none where none was missed; and not one of long ago."""
    since, now = us("2026-11-17 08:00"), us("2026-11-20 09:00")
    latest = latest_due(8 * HOUR_S, EVERY_DAY, "UTC", since, now)
    assert latest is not None
    assert utc(latest) == "2026-11-20 08:00"
    assert latest_due(8 * HOUR_S, EVERY_DAY, "UTC", us("2026-11-20 08:00"), now) == latest
    assert latest_due(10 * HOUR_S, EVERY_DAY, "UTC", us("2026-11-20 10:00"), now) is None
    years_later = latest_due(8 * HOUR_S, "0", "UTC", 0, us("2026-11-20 09:00"))
    assert years_later is not None
    assert utc(years_later) == "2026-11-16 08:00"


@pytest.mark.parametrize(
    ("text", "weekdays"),
    [
        ("mon-fri", "01234"),
        ("weekdays", "01234"),
        ("weekends", "56"),
        ("sat,sun", "56"),
        ("fri-mon", "0456"),
        ("monday", "0"),
        ("tuesdays", "1"),
        ("tues,thurs", "13"),
        ("daily", "0123456"),
        ("mon-fri-sat", None),
        ("monk", None),
        ("mon,", None),
        ("-", None),
        ("portfolio", None),
        ("", None),
    ],
)
def test_days_are_read_as_people_write_them(text: str, weekdays: str | None) -> None:
    """Or are no days."""
    assert read_weekdays(text) == weekdays


@pytest.mark.parametrize(
    ("text", "at_s"),
    [("08:00", 28_800), ("8:00", 28_800), ("23.59", 86_340), ("0:00", 0), ("24:00", None), ("8", None), ("8:5", None)],
)
def test_a_time_of_day_is_read_or_is_none(text: str, at_s: int | None) -> None:
    """Hours and minutes."""
    assert read_clock(text) == at_s


@pytest.mark.parametrize(
    ("weekdays", "said"),
    [("0123456", "08:05 every day"), ("01234", "08:05 mon-fri"), ("56", "08:05 sat-sun"), ("024", "08:05 mon,wed,fri")],
)
def test_a_plan_is_said_as_it_can_be_written(weekdays: str, said: str) -> None:
    """In the words that are read."""
    assert words(8 * HOUR_S + 300, weekdays) == said
