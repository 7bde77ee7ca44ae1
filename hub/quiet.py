"""Quiet hours: whether an instant lies in the hours in which a person wants to be left alone, and when they end. Pure.

They begin when the person's clock first shows their start and end when it has last shown their end, so a clock that is
set back within them makes them longer and never breaks them in two. A start or an end that the clock skips is at the
instant of the jump. Depends on hub.wording.
"""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub import wording
from hub.model import SECOND_US

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
    local = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    at_s = _seconds(local, zone, fold)
    if wording.moment(at_s * SECOND_US).astimezone(zone).replace(tzinfo=None) != local:
        at_s = _jump(_seconds(local, zone, 1), _seconds(local, zone, 0), zone)
    return at_s * SECOND_US


def _seconds(local: datetime, zone: ZoneInfo, fold: int) -> int:
    return round(local.replace(tzinfo=zone, fold=fold).timestamp())


def _jump(before: int, behind: int, zone: ZoneInfo) -> int:
    """The first second of the new offset between the two, of which one lies on either side (PEP 495: in a gap the two
    folds reckon with the offset of the other side)."""
    old = _offset(before, zone)
    while behind - before > 1:
        middle = (before + behind) // 2
        before, behind = (middle, behind) if _offset(middle, zone) == old else (before, middle)
    return behind


def _offset(at_s: int, zone: ZoneInfo) -> timedelta | None:
    return wording.moment(at_s * SECOND_US).astimezone(zone).utcoffset()
