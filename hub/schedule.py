"""When something rings by a person's clock: a time of day on some weekdays in a time zone. Pure.

A time that the clock skips (summer time begins) rings behind the gap, as late as it would have been by the clock from
before it; one that the clock repeats rings at its first passing only; a day that a zone leaves out altogether has
none. This is RFC 5545, section 3.3.5. Depends on hub.wording.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from hub import wording
from hub.model import SECOND_US

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY, WORKING_DAYS, WEEKEND = "0123456", "01234", "56"
SETS = {
    **dict.fromkeys(("daily", "everyday", "always"), EVERY_DAY),
    **dict.fromkeys(("weekdays", "workdays"), WORKING_DAYS),
    **dict.fromkeys(("weekend", "weekends"), WEEKEND),
}
CLOCK = re.compile(r"([01]?[0-9]|2[0-3])[:.]([0-5][0-9])")
LOOKAHEAD_DAYS = 16  # a weekday can be left out once by its zone
LOOKBACK_US = 9 * wording.DAY_US


class Due(msgspec.Struct, frozen=True):
    """An instant, and the local day that it belongs to: its own, or behind a gap at midnight the one before."""

    at_us: int
    day: date


def due_at(at_s: int, weekdays: str, zone_name: str, after_us: int) -> Due:
    """The first time behind that instant. `at_s` are seconds of the local day, `weekdays` digits (Monday is 0)."""
    return next(due for due in _dues(at_s, weekdays, wording.zone(zone_name), after_us) if due.at_us > after_us)


def latest_due(at_s: int, weekdays: str, zone_name: str, since_us: int, now_us: int) -> Due | None:
    """The last time from `since_us` to `now_us`, both included; None if there was none, or not within nine days."""
    start_us = max(since_us, now_us - LOOKBACK_US)
    latest = None
    for due in _dues(at_s, weekdays, wording.zone(zone_name), start_us):
        if due.at_us > now_us:
            break
        if due.at_us >= start_us:
            latest = due
    return latest


def _dues(at_s: int, weekdays: str, zone: ZoneInfo, around_us: int) -> Iterator[Due]:
    """In order, from the day before."""
    first = wording.moment(around_us).astimezone(zone).date() - timedelta(days=1)
    for days in range(LOOKAHEAD_DAYS):
        day = first + timedelta(days=days)
        if str(day.weekday()) in weekdays and _exists(day, zone):
            yield Due(_instant(day, at_s, zone), day)


def _instant(day: date, at_s: int, zone: ZoneInfo) -> int:
    """With fold 0: the first of two passings, and in a gap the offset from before it."""
    minutes, second = divmod(at_s, 60)
    local = datetime.combine(day, time(minutes // 60, minutes % 60, second), zone)
    return round(local.timestamp()) * SECOND_US


def _exists(day: date, zone: ZoneInfo) -> bool:
    noon = datetime.combine(day, time(12), zone)
    return noon.astimezone(UTC).astimezone(zone).date() == day


def read_clock(text: str) -> int | None:
    """Seconds of the day of "08:00"; None for what is no time of day."""
    found = CLOCK.fullmatch(text)
    return int(found[1]) * 3600 + int(found[2]) * 60 if found else None


def read_weekdays(text: str) -> str | None:
    """ "mon-fri", "sat,sun", "weekends", "fri-mon" → digits; None for what names no days."""
    if text in SETS:
        return SETS[text]
    chosen: set[int] = set()
    for part in text.split(","):
        ends = [_day(word) for word in part.split("-")]
        if None in ends or not 1 <= len(ends) <= 2:
            return None
        first, last = ends[0] or 0, ends[-1] or 0
        chosen |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    return "".join(map(str, sorted(chosen)))


def _day(word: str) -> int | None:
    found = next((index for index, day in enumerate(DAYS) if word.startswith(day)), None)
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return found if found is not None and names[found].startswith(word.removesuffix("s") or word) else None


def words(at_s: int, weekdays: str) -> str:
    """ "08:00 mon-fri"."""
    clock = f"{at_s // 3600:02d}:{at_s // 60 % 60:02d}"
    if weekdays == EVERY_DAY:
        return f"{clock} every day"
    if len(weekdays) > 1 and weekdays in EVERY_DAY:
        return f"{clock} {DAYS[int(weekdays[0])]}-{DAYS[int(weekdays[-1])]}"
    return f"{clock} {','.join(DAYS[int(day)] for day in weekdays)}"
