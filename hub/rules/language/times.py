"""Durations and moments as people write them in an alert's line: text → microseconds, or why not. Pure.

A duration has seconds to weeks ("90min", "1 hour", "1d 12h"), and "1M" is asked about. A moment is read by a person's
clock and time zone; a day without a time lasts until its end there. Without a clock only what is the same instant for
everybody is read: "2026-12-04T23:00Z", as canonical lines have it. Depends on hub.wording for zones and weekdays.
"""

import math
import re
from datetime import date, datetime, timedelta
from datetime import time as time_of_day

import msgspec

from hub import wording
from hub.i18n import _
from hub.model import SECOND_US
from hub.rules.numbers import NoNumber, number, quoted_cut
from hub.rules.spec import until_text

LONGEST_YEARS = 10
"""Until when an alert may be told to last."""
_LENGTHS: tuple[tuple[str, int], ...] = (
    ("s sec secs second seconds", SECOND_US),
    ("m min mins minute minutes", wording.MINUTE_US),
    ("h hr hrs hour hours", wording.HOUR_US),
    ("d day days", wording.DAY_US),
    ("w wk wks week weeks", 7 * wording.DAY_US),
)
_UNITS_US = {word: length_us for words, length_us in _LENGTHS for word in words.split()}
_PART = re.compile(r"([0-9]+(?:[.,][0-9]+)?|an?\b|one\b|(?=minute|hour|day|week))\s*([^\W\d_]+)\s*")
_ABSOLUTE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[t ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)z")
_DAY = re.compile(r"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})(?:(?:t|\s+(?:at\s+)?)(.+))?")
_OTHER_DAY = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})[./-]([0-9]{4})(.*)")
_CLOCK = re.compile(r"([0-9]{1,2})(?::([0-9]{2})(?::([0-9]{2}))?)?\s*(am|pm)?")


class Clock(msgspec.Struct, frozen=True):
    """Now, and the time zone of who wrote the line, by its name."""

    now_us: int
    zone: str


class NoTime(ValueError):
    """`meant` is what was probably meant; empty if that is not known."""

    def __init__(self, reason: str, meant: str = "") -> None:
        super().__init__(reason)
        self.meant = meant


# ---------------------------------------------------------------------------------------------- durations


def duration(text: str) -> int:
    """ "30s", "90min", "1 hour", "2 weeks", "1h 30m", "an hour"; NoTime for anything else."""
    if found := re.fullmatch(r"([0-9]+)\s*M", text.strip()):
        reason = _("{shown} can be minutes or months: write {minutes} for minutes; months are longer than can be")
        raise NoTime(reason.format(shown=quoted_cut(text), minutes=f"{found[1]}m"), f"{found[1]}m")
    plain, total_us, at, before_us = text.lower().strip(), 0.0, 0, math.inf
    while found := _PART.match(plain, at):
        length_us = _UNITS_US.get(found[2], before_us)
        if length_us >= before_us:  # "30s 5m" is two durations, or a slip
            break
        total_us += _count(found[1]) * length_us
        at, before_us = found.end(), length_us
    if at < len(plain) or not plain:
        raise NoTime(_("{shown} is no length of time: write 30s, 15m, 2h or 1d").format(shown=quoted_cut(text)))
    if total_us % SECOND_US:
        raise NoTime(
            _("{shown} is no whole number of seconds: write 30s, 15m, 2h or 1d").format(shown=quoted_cut(text))
        )
    return int(total_us)


def _count(written: str) -> float:
    try:
        return number(written) if written[:1].isdigit() else 1.0
    except NoNumber as error:
        raise NoTime(str(error)) from None


# ------------------------------------------------------------------------------------------------ moments


def until(text: str, clock: Clock | None) -> int:
    """The instant up to which an alert lasts; NoTime for what is no time, is over, or is too far away."""
    plain = " ".join(text.lower().rstrip(".!").split())
    if found := _ABSOLUTE.fullmatch(plain):
        at_us = _instant(_date(found[1]), found[2], "UTC")
    elif clock is None:
        reason = _("{shown} needs a clock to be understood: write it like 2026-12-04T23:00Z")
        raise NoTime(reason.format(shown=quoted_cut(text)))
    else:
        at_us = _by_clock(plain, text, clock)
    if clock is not None:
        _check_ahead(at_us, text, clock)
    return at_us


def _by_clock(plain: str, text: str, clock: Clock) -> int:
    today = wording.moment(clock.now_us).astimezone(wording.zone(clock.zone)).date()
    if found := _DAY.fullmatch(plain):
        return _day_and_time(_date(found[1]), found[2], clock)
    if found := _OTHER_DAY.fullmatch(plain):
        raise _other_day(text, found)
    first, __, rest = plain.partition(" ")
    if (days := _days_ahead(first, today)) is not None:
        return _day_and_time(today + timedelta(days=days), rest.removeprefix("at ").strip(), clock)
    if re.fullmatch(r"[0-9]{1,2}:.*|[0-9]{1,2}\s*[ap]m", plain):
        return _next_time(plain, today, clock)
    if re.match(r"[0-9]|an?\b|one\b", plain):
        whole_s = -(-clock.now_us // SECOND_US)
        return whole_s * SECOND_US + duration(text)
    raise NoTime(
        _("{shown} is no time: write friday, tomorrow, 18:00, friday 18:00, 2026-12-31 or 2h").format(
            shown=quoted_cut(text)
        )
    )


def _days_ahead(word: str, today: date) -> int | None:
    """How far away the day of that name is; today's own name is today."""
    if word in ("today", "tomorrow"):
        return ("today", "tomorrow").index(word)
    for weekday, name in enumerate(wording.WEEKDAYS):
        if len(word) >= 3 and name.startswith(word):
            return (weekday - today.weekday()) % 7
    return None


def _day_and_time(day: date, time: str | None, clock: Clock) -> int:
    """Without a time: to the end of that day in the person's zone."""
    return _instant(day, time, clock.zone) if time else _instant(day + timedelta(days=1), "00:00", clock.zone)


def _next_time(time: str, today: date, clock: Clock) -> int:
    at_us = _instant(today, time, clock.zone)
    return at_us if at_us > clock.now_us else _instant(today + timedelta(days=1), time, clock.zone)


def _instant(day: date, time: str, zone: str) -> int:
    found = _CLOCK.fullmatch(time)
    hour, minute, second = (int(part or 0) for part in found.groups()[:3]) if found else (99, 0, 0)
    if found and found[4]:
        hour = hour % 12 + 12 * (found[4] == "pm") if 1 <= hour <= 12 else 99
    elif found and found[2] is None:
        hour = 99
    if hour > 23 or minute > 59 or second > 59:
        raise NoTime(_("{shown} is no time of day: write it like 18:00").format(shown=quoted_cut(time)))
    return wording.shown_at(datetime.combine(day, time_of_day(hour, minute, second)), wording.zone(zone))


def _date(text: str) -> date:
    try:
        day = date(*map(int, text.split("-")))
    except ValueError:
        raise NoTime(_("there is no day {shown}: write one like 2026-12-31").format(shown=text)) from None
    if not 1970 <= day.year <= 9998:
        raise NoTime(_("there is no day {shown}: write one like 2026-12-31").format(shown=text))
    return day


def _other_day(text: str, found: re.Match[str]) -> NoTime:
    """ "31.12.2026" is the day before the month everywhere; with a slash that is so where one of them says it."""
    first, second = int(found[1]), int(found[3])
    day, month = (second, first) if found[2] == "/" and first <= 12 else (first, second)
    meant = f"{found[4]}-{month:02d}-{day:02d}"
    both = found[2] != "." and first <= 12 and second <= 12 and first != second
    if both:
        reason = _("{shown} can be read in two ways: write the year first, like {meant}")
    else:
        reason = _("{shown} is not how a day is written here: write the year first, like {meant}")
    return NoTime(reason.format(shown=quoted_cut(text), meant=meant), f"{meant}{found[5]}")


def _check_ahead(at_us: int, text: str, clock: Clock) -> None:
    if at_us <= clock.now_us:
        raise NoTime(
            _("{shown} is over ({moment}): write a time that is still to come").format(
                shown=quoted_cut(text), moment=until_text(at_us)
            )
        )
    if at_us > clock.now_us + LONGEST_YEARS * 366 * wording.DAY_US:
        reason = _("{shown} is more than {years} years away: leave it out for an alert without an end")
        raise NoTime(reason.format(shown=quoted_cut(text), years=LONGEST_YEARS))
