"""Times as recordings write them → microseconds UTC. Pure."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_US = timedelta(microseconds=1)
MOST_HOURS = 15
"""Of an offset: no zone is further from UTC."""

# ------------------------------------------------------------------------------------------------- zones


class Shifted(tzinfo):
    """A clock that runs some hours ahead of another zone's, whose clock changes it follows: that of brokers whose day
    ends when New York's trading day does is "America/New_York+7"."""

    def __init__(self, zone: ZoneInfo, ahead: timedelta) -> None:
        self._zone = zone
        self._ahead = ahead

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        if moment is None:
            return None
        there = (moment.replace(tzinfo=None) - self._ahead).replace(tzinfo=self._zone, fold=moment.fold)
        return (there.utcoffset() or timedelta()) + self._ahead

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None


_OFFSET = re.compile(r"(?:UTC|GMT|Z)?([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_NAMED = re.compile(r"([A-Za-z_]+(?:/[A-Za-z_+-]+)*)([+-]\d{1,2})")


def zone_of(name: str) -> tzinfo:
    """ "Europe/Athens", "UTC+2", "-05:00", or "America/New_York+7"; ValueError for what is no zone."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if offset := _OFFSET.fullmatch(name):
        return timezone(_length(offset[1] + offset[2], int(offset[3] or 0)))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        shifted = _NAMED.fullmatch(name)
    if shifted is None:
        raise ValueError(name)
    try:
        return Shifted(ZoneInfo(shifted[1]), _length(shifted[2], 0))
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(name) from error


def _length(hours: str, minutes: int) -> timedelta:
    length = timedelta(hours=abs(int(hours)), minutes=minutes)
    if length > timedelta(hours=MOST_HOURS) or minutes > 59:
        raise ValueError(hours)
    return -length if hours.startswith("-") else length


# ----------------------------------------------------------------------------------------------- moments


def moment_us(text: str | float, zone: tzinfo | None = None) -> int:
    """A time as people and machines write it → microseconds UTC. A number is seconds, milliseconds,
    microseconds or nanoseconds since 1970 by its size (seconds until the year 5138), eight digits are a day; text else
    is ISO 8601 or one of the forms of `_rewritten`, in `zone` (UTC if none) where it names none. ValueError for
    anything else."""
    number = _number(text)
    if number is None:
        moment = _moment(str(text).strip())
        return ((moment if moment.tzinfo else moment.replace(tzinfo=zone or UTC)) - EPOCH) // ONE_US
    size = abs(number)
    if size < 1e11:
        return round(number * 1_000_000)
    if size < 1e14:
        return round(number * 1000)
    return round(number) if size < 1e17 else int(number) // 1000


def wall_us(text: str | float, zone: tzinfo | None) -> int:
    """The same where numbers too count a wall clock of that zone since 1970, as MetaTrader's do."""
    at = moment_us(text, zone)
    if zone is None or _number(text) is None:
        return at
    wall = EPOCH.replace(tzinfo=None) + at * ONE_US
    return (wall.replace(tzinfo=zone) - EPOCH) // ONE_US


def says_zone(text: str) -> bool:
    """Whether a time is one instant wherever it was written."""
    return _number(text) is not None or _moment(text.strip()).tzinfo is not None


def is_day(text: str) -> bool:
    """Whether it is a day or a month, without a clock."""
    return bool(_DAY.fullmatch(text.strip()))


_DAY = re.compile(r"\d{4}([-./])\d\d(\1\d\d)?|\d{2}\.\d\d\.\d{4}|\d{8}")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(_rewritten(text))


_DAY_FIRST = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})(?!\d)(.*)")
_YEAR_FIRST = re.compile(r"(\d{4})[./](\d{2})[./](\d{2})(?!\d)(.*)")
_PACKED = re.compile(r"(\d{4})(\d{2})(\d{2})(?: (\d{2}):?(\d{2})(?::?(\d{2})(\d{3})?)?)?")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_TAIL = re.compile(r"\s*(?:UTC|GMT)(?=$|[+-])", re.IGNORECASE)


def _rewritten(text: str) -> str:
    """As ISO 8601: "02.05.2014 00:00:00.123 GMT+0200" (Dukascopy), "2014.05.02 00:00" (MetaTrader),
    "20140502 000000123" (HistData), "2014-05"."""
    if packed := _PACKED.fullmatch(text):
        year, month, day, hour, minute, second, ms = packed.groups()
        clock = f"{hour}:{minute}:{second or '00'}.{ms or '000'}" if hour else "00:00"
        return f"{year}-{month}-{day} {clock}"
    if found := _MONTH.fullmatch(text):
        return f"{text}-01"
    named = _TAIL.search(text)
    text = (text[: named.start()] + (text[named.end() :] or "+00:00")) if named else text
    if found := _DAY_FIRST.fullmatch(text):
        day, month, year, rest = found.groups()
        return f"{year}-{month}-{day}{rest}"
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day, rest = found.groups()
        return f"{year}-{month}-{day}{rest}"
    return text


def _number(text: str | float) -> int | float | None:
    if not isinstance(text, str):
        return text
    try:
        return None if len(text) == 8 and text.isdigit() else int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def hours_of(day: date, zone: tzinfo) -> tuple[int, ...]:
    """For each hour of the wall clock of `day`: what to add to microseconds since midnight to get UTC. A
    clock change moves it within the day."""
    midnight = datetime.combine(day, time(), UTC)
    start = (midnight - EPOCH) // ONE_US
    walls = (datetime.combine(day, time(hour), zone) for hour in range(24))
    return tuple(start - (wall.utcoffset() or timedelta()) // ONE_US for wall in walls)
