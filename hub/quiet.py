"""Quiet hours: whether an instant lies in the hours in which a person wants to be left alone, and when they end. Pure.

They begin when the person's clock first shows their start and end when it has last shown their end, so a clock that is
set back within them makes them longer and never breaks them in two. A start or an end that the clock skips is at the
instant of the jump. Depends on hub.wording.
"""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub import wording

HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def quiet_until(hours: str, zone_name: str, at_us: int) -> int | None:
    """The end of the quiet hours that the instant lies in; None where it lies in none. `hours` are "22:00-07:00", from
    the first to before the last; what is no such text is none."""
    found = HOURS.fullmatch(hours)
    if found is None:
        return None
    start, end = (60 * int(found[part]) + int(found[part + 1]) for part in (1, 3))
    if start == end:
        return None
    zone = wording.zone(zone_name)
    until = None
    while (next_end := _end_of(at_us if until is None else until, start, end, zone)) is not None:
        until = next_end  # whole days that a zone skips put one night's end on the next one's start
    return until


def _end_of(at_us: int, start: int, end: int, zone: ZoneInfo) -> int | None:
    """Of one night. `start` and `end` are minutes of the day."""
    today = wording.moment(at_us).astimezone(zone).date()
    for days in (-1, 0, 1):
        first = today + timedelta(days=days)
        last = first + timedelta(days=end < start)
        until_us = _shown(last, end, zone, fold=1)
        if _shown(first, start, zone, fold=0) <= at_us < until_us:
            return until_us
    return None


def _shown(day: date, minute: int, zone: ZoneInfo, *, fold: int) -> int:
    """When the clock shows that time: first (fold 0), or last where it shows it twice (fold 1)."""
    return wording.shown_at(datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute), zone, fold=fold)
