"""Quiet hours by a person's clock, through its skips and its repetitions: by table and by property."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import wording
from hub.model import SECOND_US
from hub.quiet import quiet_until

HOUR_US = 3600 * SECOND_US
NIGHT = "22:00-07:00"


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """The instant at which a clock there shows that."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()) * SECOND_US


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "end"),
    [
        (NIGHT, "UTC", "2026-11-20 21:59:59", None),
        (NIGHT, "UTC", "2026-11-20 22:00", "2026-11-21 07:00"),
        (NIGHT, "UTC", "2026-11-21 00:00", "2026-11-21 07:00"),
        (NIGHT, "UTC", "2026-11-21 06:59:59", "2026-11-21 07:00"),
        (NIGHT, "UTC", "2026-11-21 07:00", None),
        ("13:00-15:00", "UTC", "2026-11-21 14:00", "2026-11-21 15:00"),
        ("13:00-15:00", "UTC", "2026-11-21 15:00", None),
        ("22:00-00:00", "UTC", "2026-11-21 23:59", "2026-11-22 00:00"),
        ("00:00-08:00", "UTC", "2026-11-21 00:00", "2026-11-21 08:00"),
        ("00:00-08:00", "UTC", "2026-11-21 23:59", None),
        (NIGHT, "Asia/Kolkata", "2026-11-20 23:10", "2026-11-21 07:00"),
        (NIGHT, "Europe/Berlin", "2026-03-28 23:00", "2026-03-29 07:00"),  # an hour shorter
        (NIGHT, "Europe/Berlin", "2026-10-24 23:00", "2026-10-25 07:00"),  # and an hour longer
        ("22:00-02:30", "Europe/Berlin", "2026-03-29 01:59", "2026-03-29 03:00"),  # 02:30 is skipped
        ("02:30-08:00", "Europe/Berlin", "2026-03-29 03:00", "2026-03-29 08:00"),
        (NIGHT, "Pacific/Apia", "2011-12-29 23:00", "2011-12-31 07:00"),  # a whole day is skipped
        ("22:00-00:30", "America/Sao_Paulo", "2018-11-03 23:00", "2018-11-04 01:00"),  # midnight is
        ("", "UTC", "2026-11-20 23:00", None),
        ("22:00-22:00", "UTC", "2026-11-20 23:00", None),
        ("at night", "UTC", "2026-11-20 23:00", None),
        (NIGHT, "Nowhere/At_All", "2026-11-20 23:00", "2026-11-21 07:00"),  # as everywhere: UTC then
    ],
)
def test_an_instant_lies_in_the_hours_or_not(hours: str, zone: str, moment: str, end: str | None) -> None:
    """From the start to before the end, over midnight too, by the clock of the place."""
    known = zone if zone in available_timezones() else "UTC"
    assert quiet_until(hours, zone, at(moment, known)) == (None if end is None else at(end, known))


def test_a_clock_that_is_set_back_does_not_break_them_in_two() -> None:
    """Berlin shows 02:00 to 03:00 twice: what began stays, what has not ended for the last time goes on."""
    last = at("2026-10-25 02:30", "Europe/Berlin", fold=1)
    for fold, moment in ((0, "02:10"), (0, "02:40"), (1, "02:10")):
        assert quiet_until("22:00-02:30", "Europe/Berlin", at(f"2026-10-25 {moment}", "Europe/Berlin", fold)) == last
    assert quiet_until("22:00-02:30", "Europe/Berlin", last) is None
    morning = at("2026-10-25 08:00", "Europe/Berlin")
    assert quiet_until("02:30-08:00", "Europe/Berlin", at("2026-10-25 02:10", "Europe/Berlin", fold=0)) is None
    assert quiet_until("02:30-08:00", "Europe/Berlin", at("2026-10-25 02:10", "Europe/Berlin", fold=1)) == morning


MINUTES = st.integers(0, 24 * 60 - 1)
ZONES = st.sampled_from(sorted(available_timezones()))
INSTANTS = st.integers(0, 4_000_000_000).map(lambda second: second * SECOND_US)


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def shown(at_us: int, zone: str) -> datetime:
    return wording.moment(at_us).astimezone(ZoneInfo(zone))


def says_quiet(at_us: int, start: int, end: int, zone: str) -> bool:
    """Whether the clock shows a time within the hours."""
    local = shown(at_us, zone)
    second = 3600 * local.hour + 60 * local.minute + local.second
    return start * 60 <= second < end * 60 if start < end else not end * 60 <= second < start * 60


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[str, int]:
    """A zone, and an instant within some hours of a change of its clock where it has one that year."""
    zone, year = draw(ZONES), draw(st.integers(1970, 2036))
    first = datetime(year, 1, 1, tzinfo=UTC)
    days = [first + timedelta(days=day) for day in range(366)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    changes = [day for day, one, other in zip(days, offsets, offsets[1:], strict=False) if one != other]
    day = draw(st.sampled_from(changes or days))
    return zone, round(day.timestamp()) * SECOND_US + draw(st.integers(-12 * 60, 36 * 60)) * 60 * SECOND_US


@given(st.one_of(st.tuples(ZONES, INSTANTS), near_a_change()), MINUTES, MINUTES)
def test_it_is_quiet_while_the_clock_says_so(where: tuple[str, int], start: int, end: int) -> None:
    """And else only where a clock that was set back shows a time again; the end is one, and behind it it is over."""
    zone, at_us = where
    hours = f"{clock(start)}-{clock(end)}"
    until = quiet_until(hours, zone, at_us)
    if start == end:
        assert until is None
        return
    quiet = says_quiet(at_us, start, end, zone)
    if until is None:
        assert not quiet
        return
    offsets = {shown(at_us + step * HOUR_US, zone).utcoffset() for step in range(-25, 26)}
    assert quiet or len(offsets) > 1
    assert at_us < until <= at_us + (24 if len(offsets) == 1 else 50) * HOUR_US
    assert not says_quiet(until, start, end, zone)
    assert quiet_until(hours, zone, until) is None
    assert quiet_until(hours, zone, until - 1) == until
    assert quiet_until(hours, zone, (at_us + until) // 2) == until
