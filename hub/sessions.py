"""When a market is open: weekly windows in a time zone, holidays, and until when what holds now stays so. Pure.

A session is open at an instant whose local clock stands in one of its windows (`start <= clock < end`) on a day
that is no holiday. That is the whole rule, over daylight saving too: an hour that a zone skips is nobody's, an
hour that it repeats counts twice. Callers ask once and keep the answer until `until_us`.

Sources: metals and COMEX by CME Globex (Sunday 18:00 to Friday 17:00 New York, a break of an hour from 17:00);
currencies by the trading week of New York (Sunday 17:00 to Friday 17:00); stocks by NYSE rule 7.2 and its special
closings. Half days (13:00 after Thanksgiving) count as whole days. Metals and currencies have no holidays here:
venues differ, and a tick refused on a day that a venue did trade would be a missed alert.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from hub.model import SECOND_US, Session

DAY_S = 86_400
LOOKAHEAD_DAYS = 16
"""A weekly window can be missed once, by an hour that the zone skips; so a change comes within two weeks or never."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)


class Hours(msgspec.Struct, frozen=True):
    """Whether a session is open, and the first instant at which that is different; None: it stays so for ever."""

    open: bool
    until_us: int | None


def hours_at(session: Session, time_us: int) -> Hours:
    week = _week(session)
    now = is_open(session, time_us)
    for change_us in _changes(session, time_us):
        if change_us > time_us and week.open_at(change_us) is not now:
            return Hours(now, change_us)
    return Hours(now, None)


def is_open(session: Session, time_us: int) -> bool:
    return _week(session).open_at(time_us)


class _Week:
    """A session made ready for asking."""

    def __init__(self, session: Session) -> None:
        self.zone = ZoneInfo(session.time_zone)
        self.holidays = frozenset(date.fromisoformat(day) for day in session.holidays)
        windows = session.windows or tuple((day, 0, DAY_S) for day in range(7))
        self.windows = [[(start, end) for on, start, end in windows if on == day] for day in range(7)]
        self.edges_s = [
            sorted({0, *(edge for window in day for edge in window if edge < DAY_S)}) for day in self.windows
        ]
        self.last_holiday = max(self.holidays, default=date.min)

    def open_at(self, time_us: int) -> bool:
        local = _moment(time_us).astimezone(self.zone)
        clock_s = local.hour * 3600 + local.minute * 60 + local.second
        if local.date() in self.holidays:
            return False
        return any(start <= clock_s < end for start, end in self.windows[local.weekday()])


@lru_cache(maxsize=64)
def _week(session: Session) -> _Week:
    return _Week(session)


def _changes(session: Session, time_us: int) -> Iterator[int]:
    """Every instant from that day on at which the session may open or close, in order."""
    if not session.windows and not session.holidays:
        return
    week = _week(session)
    day = _moment(time_us).astimezone(week.zone).date()
    last = max(day, week.last_holiday) + timedelta(days=LOOKAHEAD_DAYS)
    while day <= last:
        yield from _changes_of_day(week, day)
        day += timedelta(days=1)


def _changes_of_day(week: _Week, day: date) -> list[int]:
    """The instants of one local day: window edges on the clock, and the jump of the clock where there is one."""
    found = set()
    for edge_s in week.edges_s[day.weekday()]:
        local = datetime(day.year, day.month, day.day, tzinfo=week.zone) + timedelta(seconds=edge_s)
        found |= {_micros(local.replace(fold=fold)) for fold in (0, 1)}
    start_s, end_s = (_midnight_s(week.zone, day + timedelta(days=days)) for days in (0, 1))
    return sorted(found | set(_jumps(week.zone, start_s, end_s)))


def _midnight_s(zone: ZoneInfo, day: date) -> int:
    return _micros(datetime(day.year, day.month, day.day, tzinfo=zone)) // SECOND_US


def _jumps(zone: ZoneInfo, start_s: int, end_s: int) -> Iterator[int]:
    """The instant in that span at which the zone's offset changes, to the second, if there is one."""
    before = _offset(zone, start_s)
    if _offset(zone, end_s) == before:
        return
    while end_s - start_s > 1:
        middle_s = (start_s + end_s) // 2
        if _offset(zone, middle_s) == before:
            start_s = middle_s
        else:
            end_s = middle_s
    yield end_s * SECOND_US


def _offset(zone: ZoneInfo, time_s: int) -> timedelta | None:
    return (EPOCH + timedelta(seconds=time_s)).astimezone(zone).utcoffset()


def _moment(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us)


def _micros(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


# ------------------------------------------------------------------------------------------ NYSE holidays

FIRST_YEAR, LAST_YEAR = 2000, 2040
SPECIAL_CLOSINGS = (
    "2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14",  # after the attacks
    "2004-06-11", "2007-01-02", "2018-12-05", "2025-01-09",  # mourning for presidents
    "2012-10-29", "2012-10-30",  # hurricane
)  # fmt: skip


def nyse_holidays(year: int) -> tuple[str, ...]:
    """The days of that year on which New York's stock exchanges stay closed by rule."""
    days = [
        _nth(year, 1, MONDAY, 3),  # Martin Luther King
        _nth(year, 2, MONDAY, 3),  # Washington
        _easter(year) - timedelta(days=2),
        _nth(year, 6, MONDAY, 1) - timedelta(days=7),  # Memorial: the last Monday of May
        _observed(date(year, 7, 4)),
        _nth(year, 9, MONDAY, 1),  # Labor
        _nth(year, 11, THURSDAY, 4),  # Thanksgiving
        _observed(date(year, 12, 25)),
    ]
    if date(year, 1, 1).weekday() != SATURDAY:  # else the Friday before belongs to the old year and is traded
        days.append(_observed(date(year, 1, 1)))
    if year >= 2022:
        days.append(_observed(date(year, 6, 19)))
    return tuple(sorted(day.isoformat() for day in days))


def _nth(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _observed(day: date) -> date:
    """On a Saturday the Friday before, on a Sunday the Monday after."""
    return day + timedelta(days={SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0))


def _easter(year: int) -> date:
    """Gregorian Easter Sunday, by the anonymous algorithm (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    rest = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * rest) // 451
    month, day = divmod(h + rest - 7 * m + 114, 31)
    return date(year, month, day + 1)


# ---------------------------------------------------------------------------------------------- sessions


def _at(hour: int, minute: int = 0) -> int:
    return hour * 3600 + minute * 60


NEW_YORK = "America/New_York"
WITH_DAILY_BREAK = (
    (SUNDAY, _at(18), DAY_S),
    *((day, *span) for day in range(MONDAY, FRIDAY) for span in ((0, _at(17)), (_at(18), DAY_S))),
    (FRIDAY, 0, _at(17)),
)
WEEK_THROUGH = (
    (SUNDAY, _at(17), DAY_S),
    *((day, 0, DAY_S) for day in range(MONDAY, FRIDAY)),
    (FRIDAY, 0, _at(17)),
)
NYSE_CLOSED = tuple(
    sorted({*SPECIAL_CLOSINGS, *(day for year in range(FIRST_YEAR, LAST_YEAR + 1) for day in nyse_holidays(year))})
)


def _stocks(start_s: int, end_s: int) -> Session:
    windows = tuple((day, start_s, end_s) for day in range(MONDAY, SATURDAY))
    return Session(time_zone=NEW_YORK, windows=windows, holidays=NYSE_CLOSED)


SESSIONS: dict[str, Session] = {
    "24x7": Session(),
    "metals-otc": Session(time_zone=NEW_YORK, windows=WITH_DAILY_BREAK),
    "comex": Session(time_zone=NEW_YORK, windows=WITH_DAILY_BREAK),
    "fx": Session(time_zone=NEW_YORK, windows=WEEK_THROUGH),
    "us-stocks": _stocks(_at(9, 30), _at(16)),
    "us-stocks-extended": _stocks(_at(4), _at(20)),
}
"""What `session` of an instrument may name."""
