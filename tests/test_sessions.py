"""Sessions: the edges of the week, daylight saving, holidays, and the plain rule as a reference."""

import gzip
import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.model import SECOND_US, Session
from hub.sessions import FIRST_YEAR, SESSIONS, SPECIAL_CLOSINGS, hours_at, is_open, nyse_holidays

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
MARKET_HOURS = DATA / "lean-market-hours-database.json.gz"
MINUTE_US = 60 * SECOND_US
NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def utc(text: str) -> int:
    return us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def new_york(text: str) -> int:
    return us(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK))


def obviously_open(session: Session, time_us: int) -> bool:
    """The rule, read off the local clock, with nothing remembered."""
    local = (EPOCH + timedelta(microseconds=time_us)).astimezone(ZoneInfo(session.time_zone))
    seconds = local.hour * 3600 + local.minute * 60 + local.second
    in_window = not session.windows or any(
        day == local.weekday() and start <= seconds < end for day, start, end in session.windows
    )
    return in_window and local.date().isoformat() not in session.holidays


@pytest.mark.parametrize(
    ("session", "at", "is_open_then", "until"),
    [
        ("metals-otc", "2014-05-04 17:59:59", False, "2014-05-04 18:00:00"),
        ("metals-otc", "2014-05-04 18:00:00", True, "2014-05-05 17:00:00"),
        ("metals-otc", "2014-05-06 17:30:00", False, "2014-05-06 18:00:00"),
        ("metals-otc", "2014-05-02 16:59:59", True, "2014-05-02 17:00:00"),
        ("metals-otc", "2014-05-02 17:00:00", False, "2014-05-04 18:00:00"),
        ("fx", "2014-05-04 17:00:00", True, "2014-05-09 17:00:00"),
        ("fx", "2014-05-06 17:30:00", True, "2014-05-09 17:00:00"),
        ("fx", "2014-05-03 12:00:00", False, "2014-05-04 17:00:00"),
        ("us-stocks", "2014-06-09 09:30:00", True, "2014-06-09 16:00:00"),
        ("us-stocks", "2014-06-09 09:29:59", False, "2014-06-09 09:30:00"),
        ("us-stocks", "2014-07-03 16:00:00", False, "2014-07-07 09:30:00"),
        ("us-stocks-extended", "2014-06-06 20:00:00", False, "2014-06-09 04:00:00"),
    ],
)
def test_a_market_opens_and_closes_on_its_own_clock(session: str, at: str, is_open_then: bool, until: str) -> None:
    """An edge belongs to what begins there; weekends, breaks and holidays are slept through."""
    hours = hours_at(SESSIONS[session], new_york(at))
    assert (hours.open, hours.until_us) == (is_open_then, new_york(until))


def test_the_sunday_open_moves_in_utc_with_daylight_saving() -> None:
    """18:00 in New York is 23:00 UTC the week before the clocks change in March 2026, and 22:00 UTC after."""
    metals = SESSIONS["metals-otc"]
    assert hours_at(metals, utc("2026-02-28 12:00")).until_us == utc("2026-03-01 23:00")
    assert hours_at(metals, utc("2026-03-07 12:00")).until_us == utc("2026-03-08 22:00")
    assert hours_at(metals, utc("2026-10-31 12:00")).until_us == utc("2026-11-01 23:00")


def test_around_the_clock_is_for_ever() -> None:
    """A session without windows and holidays never changes."""
    hours = hours_at(SESSIONS["24x7"], utc("2026-01-01 00:00"))
    assert (hours.open, hours.until_us) == (True, None)


def test_a_session_that_never_opens_is_closed_for_ever() -> None:
    """A window of no length is no window, and the search for a change ends."""
    hours = hours_at(Session(windows=((0, 3600, 3600),)), utc("2026-01-01 00:00"))
    assert (hours.open, hours.until_us) == (False, None)


def test_holidays_close_a_market_that_is_otherwise_always_open() -> None:
    """From local midnight to local midnight, and after the last one it stays open for ever."""
    session = Session(time_zone="Asia/Kolkata", holidays=("2026-08-15",))
    before = hours_at(session, utc("2026-01-01 00:00"))
    assert (before.open, before.until_us) == (True, utc("2026-08-14 18:30"))
    during = hours_at(session, utc("2026-08-15 00:00"))
    assert (during.open, during.until_us) == (False, utc("2026-08-15 18:30"))
    assert hours_at(session, utc("2026-08-15 18:30")).until_us is None


CHANGES_OF_CLOCK = (
    ("America/New_York", "2026-03-07 12:00"),
    ("America/New_York", "2026-10-31 12:00"),
    ("Europe/London", "2026-03-28 12:00"),
    ("Africa/Cairo", "2026-04-23 12:00"),  # midnight is skipped
    ("Australia/Lord_Howe", "2026-04-04 00:00"),  # half an hour
    ("Pacific/Apia", "2011-12-29 00:00"),  # a whole day is skipped
)
SHAPES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "metals": SESSIONS["metals-otc"].windows,
    "fx": SESSIONS["fx"].windows,
    "across the jump": tuple((day, 5400, 9000) for day in range(7)),  # 01:30 to 02:30
    "inside the jump": tuple((day, 7800, 9600) for day in range(7)),  # 02:10 to 02:40
    "from midnight": tuple((day, 0, 1800) for day in range(7)),
}


@pytest.mark.parametrize(("zone", "start"), CHANGES_OF_CLOCK)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_minute_of_a_change_of_clock_agrees_with_the_plain_rule(zone: str, start: str, shape: str) -> None:
    """What callers keep until `until_us` is what the rule says at each minute of three days."""
    session = Session(time_zone=zone, windows=SHAPES[shape])
    at = utc(start)
    hours = hours_at(session, at)
    for time_us in range(at, at + 3 * 1440 * MINUTE_US, MINUTE_US):
        if hours.until_us is not None and time_us >= hours.until_us:
            hours = hours_at(session, time_us)
        assert hours.open is obviously_open(session, time_us), EPOCH + timedelta(microseconds=time_us)


windows = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1440), st.integers(0, 1440)).map(
        lambda window: (window[0], 60 * min(window[1:]), 60 * max(window[1:]))
    ),
    max_size=6,
).map(tuple)
sessions = st.builds(
    Session,
    time_zone=st.sampled_from(("UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe")),
    windows=windows,
    holidays=st.lists(st.dates(date(2026, 3, 1), date(2026, 4, 15)).map(date.isoformat), max_size=4).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(session=sessions, at=st.integers(utc("2026-02-20 00:00"), utc("2026-04-10 00:00")), data=st.data())
def test_until_is_the_first_change(session: Session, at: int, data: st.DataObject) -> None:
    """At `until_us` the rule says the opposite, a microsecond before it does not, nor anywhere between."""
    hours = hours_at(session, at)
    assert hours.open is obviously_open(session, at) is is_open(session, at)
    end = hours.until_us if hours.until_us is not None else at + 60 * 1440 * MINUTE_US
    between = data.draw(st.lists(st.integers(at, end - 1), min_size=50, max_size=50))
    assert all(obviously_open(session, time_us) is hours.open for time_us in (*between, end - 1))
    if hours.until_us is not None:
        assert hours.until_us > at
        assert obviously_open(session, hours.until_us) is not hours.open


def test_asking_is_quick() -> None:
    """Well under a millisecond on average, over a year of Sundays and holidays."""
    start = utc("2026-01-01 00:00")
    hours_at(SESSIONS["us-stocks"], start)
    before = time.perf_counter()
    for day in range(365):
        for session in SESSIONS.values():
            hours_at(session, start + day * 1440 * MINUTE_US)
    assert (time.perf_counter() - before) / (365 * len(SESSIONS)) < 0.001


def test_new_york_s_stock_holidays_of_2026() -> None:
    """As the exchange publishes them: Independence Day falls on a Saturday and is observed the day before."""
    assert nyse_holidays(2026) == (
        "2026-01-01", "2026-01-19", "2026-02-16", "2026-04-03", "2026-05-25",
        "2026-06-19", "2026-07-03", "2026-09-07", "2026-11-26", "2026-12-25",
    )  # fmt: skip


def test_new_year_on_a_saturday_closes_no_friday() -> None:
    """The last day of 2021 was traded."""
    assert not {"2021-12-31", "2022-01-01"} & set(SESSIONS["us-stocks"].holidays)


@pytest.mark.skipif(not MARKET_HOURS.exists(), reason="no market hours: set TOCSIN_DATA to the folder that has them")
def test_stock_holidays_agree_with_an_independent_list() -> None:
    """Every weekday that QuantConnect's database closes from 2000 to 2028 is closed here, and no other."""
    entries = json.loads(gzip.decompress(MARKET_HOURS.read_bytes()))["entries"]
    parts = [[int(part) for part in day.split("/")] for day in entries["Equity-usa-[*]"]["holidays"]]
    listed = {date(year, month, day) for month, day, year in parts}
    theirs = {day.isoformat() for day in listed if day.weekday() < 5 and FIRST_YEAR <= day.year <= 2028}
    ours = {day for year in range(FIRST_YEAR, 2029) for day in nyse_holidays(year)} | set(SPECIAL_CLOSINGS)
    assert theirs
    assert ours == theirs
