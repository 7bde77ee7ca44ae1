"""Labels along the axis of time, in somebody's time zone. Pure.

The axis goes by candle, not by time, so that closed sessions take no room. A label stands at the first candle at or
behind a round local time; the finest steps that leave room between labels are taken, but for a few that stand too near
(the Sunday evening that a week begins with); the beginning of a day, a month or a year is named as such.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from hub import wording

MINUTE, HOUR, DAY = 60, 3_600, 86_400
STEPS_S = (
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 4, 6, 12)),
    *(days * DAY for days in (1, 2, 7)),
)
MOST_THINNED, KEPT_SHARE = 40, 0.8
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)
NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
EPOCH = datetime(1970, 1, 5, tzinfo=UTC).replace(tzinfo=None)  # a Monday, so that steps of a week begin on one


class Tick(msgspec.Struct, frozen=True):
    place: int  # of the candle
    text: str
    rank: int  # 0 a time of day, 1 a day, 2 a month, 3 a year


def local_times(times_us: Sequence[int], zone: str) -> list[datetime]:
    """Local clock times without a zone."""
    here: tzinfo = wording.zone(zone)
    return [wording.moment(time_us).astimezone(here).replace(tzinfo=None) for time_us in times_us]


def ticks(local: Sequence[datetime], room: Callable[[Sequence[Tick]], bool]) -> list[Tick]:
    """The labels of the finest step that `room` says yes to; those of the coarsest step that has any, else. Where no
    round time is reached, the first candle's own."""
    if not local:
        return []
    best: list[Tick] = []
    for bucket, by_month in _buckets():
        found = _at_changes(local, bucket, by_month)
        if not found:
            break
        best = found
        if room(found):
            return found
        if len(found) <= MOST_THINNED and len(kept := _thinned(found, room)) > KEPT_SHARE * len(found):
            return kept
    return _thinned(best, room) if best else [_first(local[0])]


def _first(local: datetime) -> Tick:
    midnight = local.hour == local.minute == 0
    return Tick(0, f"{local.day} {NAMES[local.month - 1]}", 1) if midnight else Tick(0, f"{local:%H:%M}", 0)


def _thinned(found: Sequence[Tick], room: Callable[[Sequence[Tick]], bool]) -> list[Tick]:
    """The more important first, each that still fits."""
    kept: list[Tick] = []
    for tick in sorted(found, key=lambda tick: (-tick.rank, tick.place)):
        trial = sorted([*kept, tick], key=lambda tick: tick.place)
        if room(trial):
            kept = trial
    return kept


Bucket = Callable[[datetime], int]


def _buckets() -> list[tuple[Bucket, bool]]:
    """Numberings of local time, the finest first, each with whether it goes by month."""
    by_time = [(_of_seconds(step), False) for step in STEPS_S]
    return [*by_time, *((_of_months(months), True) for months in MONTHS)]


def _of_seconds(step: int) -> Bucket:
    return lambda local: int((local - EPOCH) // timedelta(seconds=step))


def _of_months(months: int) -> Bucket:
    return lambda local: (local.year * 12 + local.month - 1) // months


def _at_changes(local: Sequence[datetime], bucket: Bucket, by_month: bool) -> list[Tick]:
    """One label at each candle that begins another bucket than the one before it."""
    numbers = [bucket(each) for each in local]
    return [
        _tick(place, local[place - 1], local[place], by_month)
        for place in range(1, len(local))
        if numbers[place] != numbers[place - 1]
    ]


def _tick(place: int, before: datetime, here: datetime, by_month: bool) -> Tick:
    if here.year != before.year:
        return Tick(place, str(here.year), 3)
    if by_month:
        return Tick(place, NAMES[here.month - 1], 2)
    if here.date() != before.date():
        return Tick(place, f"{here.day} {NAMES[here.month - 1]}", 2 if here.month != before.month else 1)
    return Tick(place, f"{here:%H:%M}", 0)


def spanned(start: datetime, end: datetime) -> str:
    """ "2 May 2014, 08:00 – 17:00": what the axis covers, in words; whole days without the time."""
    if (start.hour, start.minute, end.hour, end.minute) == (0, 0, 0, 0) and end > start:
        last = end - timedelta(days=1)
        return _day(start) if last.date() <= start.date() else f"{_day(start, last)} – {_day(last)}"
    if start.date() == end.date():
        return f"{_day(start)}, {start:%H:%M} – {end:%H:%M}"
    if end - start > timedelta(days=14):
        return f"{_day(start, end)} – {_day(end)}"
    return f"{_day(start, end)} {start:%H:%M} – {_day(end)} {end:%H:%M}"


def moment(local: datetime) -> str:
    """ "2 May 2014, 20:59"."""
    return f"{_day(local)}, {local:%H:%M}"


def _day(one: datetime, other: datetime | None = None) -> str:
    """With its year, unless the other one's stands behind it."""
    year = "" if other and other.year == one.year else f" {one.year}"
    return f"{one.day} {NAMES[one.month - 1]}{year}"


def zone_name(zone: str) -> str:
    """ "New York" of America/New_York; UTC stays."""
    return wording.zone(zone).key.rpartition("/")[2].replace("_", " ")


def length(candle_us: int) -> str:
    """ "5-minute", "1-hour", "1-day"."""
    seconds = candle_us // 1_000_000
    for size, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}-{name}"
    return ""
