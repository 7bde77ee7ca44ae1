"""How values are written for people: prices, percentages, ages, times and durations; the same on every surface.

Time and time zone are arguments; words and the form of numbers and days are those of the language that is spoken
(hub.i18n). Durations that people write ("2h", "1d 12h") are read here too, strictly, and the same in every language.
Depends on hub.i18n and hub.plugin's BadRequest.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.i18n import Speech, _, later, spoken
from hub.model import SECOND_US, Nature
from hub.plugin import BadRequest

MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
LONGEST_US = 366 * DAY_US

UNITS_US = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US, "w": 7 * DAY_US}
NATURES = {
    Nature.LIVE: later("live"),
    Nature.POLLED: later("polled"),
    Nature.SIMULATED: later("simulated"),
    Nature.RECORDING: later("recording"),
}
SPARKS = "▁▂▃▄▅▆▇█"
PART = re.compile(r"([0-9]{1,6})([smhdw])")
MORNING = "09:00"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")


def price(value: float, decimals: int) -> str:
    """ "2,411.20", or "2.411,20" where that is the form."""
    return own(f"{value:,.{decimals}f}")


def percent(share: float, *, signed: bool = True) -> str:
    """ "+0.31 %" of the share 0.0031. What rounds to nothing has no sign."""
    shown = round(share * 100, 2) + 0.0
    return own(f"{shown:+,.2f} %" if signed and shown else f"{shown:,.2f} %")


def own(number: str, speech: Speech | None = None) -> str:
    """A number in English form as the language that is spoken writes it."""
    form = speech or spoken()
    if (form.thousands, form.point) == (",", "."):
        return number
    return number.translate({ord(","): form.thousands, ord("."): form.point})


def nature(of: Nature) -> str:
    """What a price is that is not live, in a word."""
    return _(NATURES[of])


def spark(values: Sequence[float], width: int = 12) -> str:
    """ "▁▂▅▇": a line of prices for a cell of a table, oldest first, in at most `width` characters. Each is the mean
    of its share of the values; all equal is a line in the middle, none is nothing."""
    if not values:
        return ""
    count = min(width, len(values))
    edges = [index * len(values) // count for index in range(count + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, high = min(means), max(means)
    if high == low:
        return SPARKS[3] * count
    return "".join(SPARKS[round((value - low) / (high - low) * (len(SPARKS) - 1))] for value in means)


def duration(span_us: int) -> str:
    """The two largest units: "2 h 5 min", "3 d", "45 s"."""
    if span_us < SECOND_US:
        return f"{max(0, span_us) / 1000:.0f} ms"
    left, parts = span_us // SECOND_US, []
    for seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def age(span_us: int) -> str:
    """ "2 s ago", with one unit, as ages are glanced at."""
    if span_us < SECOND_US:
        return _("just now")
    for unit_us, unit in ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min")):
        if span_us >= unit_us:
            return _("{count} {unit} ago").format(count=span_us // unit_us, unit=unit)
    return _("{count} {unit} ago").format(count=span_us // SECOND_US, unit="s")


def zone(name: str) -> ZoneInfo:
    """The time zone of that name; UTC where there is none such."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def clock(time_us: int, zone_name: str, now_us: int) -> str:
    """ "14:02:11" on the day of `now_us`, else "2026-11-20 14:02:11" or as that language writes a day, in that time
    zone."""
    local = moment(time_us).astimezone(zone(zone_name))
    same_day = local.date() == moment(now_us).astimezone(zone(zone_name)).date()
    return local.strftime("%H:%M:%S" if same_day else f"{spoken().day} %H:%M:%S")


def iso(time_us: int | None) -> str | None:
    """ "2026-11-20T14:02:11.120000Z"."""
    return None if time_us is None else moment(time_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(time_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)


def shown_at(local: datetime, there: tzinfo, *, fold: int = 0) -> int:
    """When the clock there shows that time: first (fold 0), or last where it shows it twice (fold 1). A time that it
    skips is at the instant of the jump."""
    at_s = _seconds(local, there, fold)
    if moment(at_s * SECOND_US).astimezone(there).replace(tzinfo=None) != local:
        at_s = _jump(_seconds(local, there, 1), _seconds(local, there, 0), there)
    return at_s * SECOND_US


def _seconds(local: datetime, there: tzinfo, fold: int) -> int:
    return round(local.replace(tzinfo=there, fold=fold).timestamp())


def _jump(before: int, behind: int, there: tzinfo) -> int:
    """The first second of the new offset between the two, of which one lies on either side (PEP 495: in a gap the two
    folds reckon with the offset of the other side)."""
    old = _offset(before, there)
    while behind - before > 1:
        middle = (before + behind) // 2
        before, behind = (middle, behind) if _offset(middle, there) == old else (before, middle)
    return behind


def _offset(at_s: int, there: tzinfo) -> timedelta | None:
    return moment(at_s * SECOND_US).astimezone(there).utcoffset()


def read_duration(text: str) -> int:
    """Microseconds of "30s", "15m", "2h", "1d 12h"; BadRequest for anything else."""
    joined = "".join(text.lower().split())
    parts = PART.findall(joined)
    if not parts or "".join(number + unit for number, unit in parts) != joined:
        raise BadRequest(_('"{text}" is not a duration: write 30s, 15m, 2h or 1d').format(text=text))
    span_us = sum(int(number) * UNITS_US[unit] for number, unit in parts)
    if not 0 < span_us <= LONGEST_US:
        raise BadRequest(_('"{text}" is not between one second and a year: write 30s, 15m, 2h or 1d').format(text=text))
    return span_us


def read_clock(text: str, zone_name: str, now_us: int) -> int:
    """The next time that it is "14:00" there, or "tomorrow", "friday 18:00", "today 23:00": a day without a time begins
    at MORNING. BadRequest for anything else."""
    words = text.lower().split()
    day = _day_of(words[0]) if words else None
    clock_text = " ".join(words if day is None else words[1:]) or (MORNING if day is not None else "")
    found = CLOCK.fullmatch(clock_text)
    if not found:
        raise BadRequest(_('"{text}" is not a time: write 14:00, tomorrow or friday 18:00').format(text=text))
    hour, minute, second = (int(part or 0) for part in found.groups())
    here = zone(zone_name)
    today = moment(now_us).astimezone(here).date()
    for days in range(9):
        date = today + timedelta(days=days)
        if day is not None and not day(days, date.weekday()):
            continue
        time_us = shown_at(datetime.combine(date, time(hour, minute, second)), here)
        if time_us > now_us:
            return time_us
    raise BadRequest(_('"{text}" is over: write a time that is still to come').format(text=text))


def _day_of(word: str) -> Callable[[int, int], bool] | None:
    """Whether a day is meant by the word, by its distance from today and its weekday; None where no day is."""
    if word in ("today", "tomorrow"):
        wanted = ("today", "tomorrow").index(word)
        return lambda days, _weekday: days == wanted
    if len(word) >= 3:
        for number, name in enumerate(WEEKDAYS):
            if name.startswith(word):
                return lambda _days, weekday: weekday == number
    return None
