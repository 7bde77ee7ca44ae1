"""Times as recordings write them → microseconds UTC. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_us(text: str | float, zone: ZoneInfo | None = None) -> int:
    """A time as people and machines write it → microseconds UTC. A number is seconds, milliseconds,
    microseconds or nanoseconds since 1970 by its size (seconds until the year 5138); text else is ISO 8601,
    in `zone` (UTC if none) where it names none. ValueError for anything else."""
    number = _number(text)
    if number is None:
        moment = datetime.fromisoformat(str(text).strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone or UTC)
        return (moment - EPOCH) // timedelta(microseconds=1)
    size = abs(number)
    if size < 1e11:
        return round(number * 1_000_000)
    if size < 1e14:
        return round(number * 1000)
    return round(number) if size < 1e17 else int(number) // 1000


def _number(text: str | float) -> int | float | None:
    if not isinstance(text, str):
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def hours_of(day: date, zone: ZoneInfo) -> tuple[int, ...]:
    """For each hour of the wall clock of `day`: what to add to microseconds since midnight to get UTC. A
    clock change moves it within the day."""
    midnight = datetime.combine(day, time(), UTC)
    start = (midnight - EPOCH) // timedelta(microseconds=1)
    walls = (datetime.combine(day, time(hour), zone) for hour in range(24))
    return tuple(start - (wall.utcoffset() or timedelta()) // timedelta(microseconds=1) for wall in walls)
