"""Spans of time as people write them: "24h", "3mo", "yesterday", "2014-05-02 12:00..14:00" → [start, end). Pure.

Minutes to weeks are lengths (a day is 24 hours, on the day that a zone changes its clock too), months and years are
of the calendar: the same clock time as now, on the last day of a month that has no such day. Dates are whole days of
the person's time zone, from midnight to midnight however long that is, and "A..B" holds both days. An hour that the
clock repeats is in the span with both its turns. No span ends later than now.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from hub import wording
from hub.plugin import BadRequest

EXAMPLES = "write 90m, 24h, 7d, 3mo, 1y, today, yesterday, ytd, max, 2014-05-02 or 2014-05-01..2014-05-03"
LONGEST_YEARS = 300
FIRST_YEAR, LAST_YEAR = 1700, 9998
SHOWN = 40  # characters of what could not be read

_UNITS = {
    "minute": ("m", "min", "mins", "minute", "minutes"),
    "hour": ("h", "hr", "hrs", "hour", "hours"),
    "day": ("d", "day", "days"),
    "week": ("w", "wk", "week", "weeks"),
    "month": ("mo", "mon", "month", "months"),
    "year": ("y", "yr", "yrs", "year", "years"),
}
UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
FIXED_US = {
    "minute": wording.MINUTE_US,
    "hour": wording.HOUR_US,
    "day": wording.DAY_US,
    "week": 7 * wording.DAY_US,
}
_EITHER = "|".join(sorted(UNIT_OF, key=len, reverse=True))
_PART = rf"[0-9]{{1,6}}\s*(?:{_EITHER})(?![a-z])"
_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_MOMENT = rf"{_DATE}(?:[ t]+{_CLOCK})?"
_WORDS = "today|yesterday|week|month|year|ytd|max|all"

PART = re.compile(rf"([0-9]{{1,6}})\s*({_EITHER})(?![a-z])")
LENGTH = re.compile(rf"{_PART}(?:\s*{_PART})*")
MOMENT = re.compile(rf"({_DATE})(?:[ t]+({_CLOCK}))?")
CALENDAR = re.compile(r"([0-9]{4})(?:-([0-9]{1,2}))?")
RANGE = re.compile(rf"({_MOMENT})\s*\.\.\s*({_MOMENT}|{_CLOCK})?")
ANY = re.compile(
    rf"(?<![\w.-])(?:{RANGE.pattern}|{_MOMENT}|{LENGTH.pattern}|[0-9]{{4}}-[0-9]{{1,2}}|{_WORDS})(?![\w.:-])",
    re.IGNORECASE,
)


class Span(msgspec.Struct, frozen=True):
    """[start, end) in microseconds UTC, and how it is called in a title."""

    start_us: int
    end_us: int
    label: str


def parse_span(text: str, now_us: int, zone: str, *, oldest_us: int | None = None) -> Span:
    """What a person means; BadRequest with examples for anything else. `zone` is the person's time zone by name,
    `oldest_us` is where "max" begins."""
    if re.fullmatch(r"\s*[0-9]{1,6}\s*M\s*", text):
        count = text.strip()[:-1].strip()
        raise BadRequest(f'"{count}M" could be minutes or months: write {count}m or {count}mo')
    plain = re.sub(r"(?<=[0-9])t(?=[0-9])", " ", " ".join(text.lower().split()))
    here = wording.zone(zone)
    try:
        span = _named(plain, now_us, here, oldest_us) or _length(plain, now_us, here) or _dates(plain, now_us, here)
    except (ValueError, OverflowError):  # the 30th of February, the year 0
        span = None
    if span is None:
        raise BadRequest(f'"{_shown(text)}" is no span of time: {EXAMPLES}')
    if span.start_us >= now_us:
        raise BadRequest(f'"{_shown(text)}" has not begun yet: {EXAMPLES}')
    if span.start_us >= span.end_us:
        raise BadRequest(f'"{_shown(text)}" ends before it begins: write the earlier time first')
    return msgspec.structs.replace(span, end_us=min(span.end_us, now_us))


def find_span(text: str) -> tuple[str, str]:
    """The first span that is written in a line, and the line without it; ("", the line) where there is none. A year
    alone ("2014") is not looked for: in a line it may be a price."""
    found = ANY.search(text)
    if not found:
        return "", text
    return found[0], f"{text[: found.start()].rstrip()} {text[found.end() :].lstrip()}".strip()


def _named(plain: str, now_us: int, here: ZoneInfo, oldest_us: int | None) -> Span | None:
    if plain in ("max", "all"):
        if oldest_us is None:
            raise BadRequest(f'there is no price yet that "{plain}" could begin at')
        return Span(oldest_us, now_us, "all prices")
    today = _local(now_us, here).date()
    if plain == "yesterday":
        return Span(_midnight(today - timedelta(days=1), here), _midnight(today, here), "yesterday")
    begins: dict[str, tuple[Callable[[], date], str]] = {
        "today": (lambda: today, "today"),
        "week": (lambda: today - timedelta(days=today.weekday()), "this week"),
        "month": (lambda: today.replace(day=1), "this month"),
        "year": (lambda: today.replace(month=1, day=1), "this year"),
        "ytd": (lambda: today.replace(month=1, day=1), "this year"),
    }
    if plain not in begins:
        return None
    begin, label = begins[plain]
    return Span(_midnight(begin(), here), now_us, label)


def _length(plain: str, now_us: int, here: ZoneInfo) -> Span | None:
    if not LENGTH.fullmatch(plain):
        return None
    parts = [(int(number), UNIT_OF[word]) for number, word in PART.findall(plain)]
    sizes = [list(_UNITS).index(unit) for _, unit in parts]
    if sizes != sorted(set(sizes), reverse=True):
        raise BadRequest(f'"{_shown(plain)}" is more than one span: write one, like 24h or 1d 12h')
    months = sum(count * (12 if unit == "year" else 1) for count, unit in parts if unit in ("month", "year"))
    fixed_us = sum(count * FIXED_US[unit] for count, unit in parts if unit in FIXED_US)
    if months > 12 * LONGEST_YEARS or fixed_us > 366 * LONGEST_YEARS * wording.DAY_US:
        raise BadRequest(f'"{_shown(plain)}" is longer than {LONGEST_YEARS} years: max is all that there is')
    if not months and not fixed_us:
        raise BadRequest(f'"{_shown(plain)}" is no time at all: {EXAMPLES}')
    begin_us = _months_before(now_us, months, here) if months else now_us
    label = " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts)
    return Span(begin_us - fixed_us, now_us, label)


def _dates(plain: str, now_us: int, here: ZoneInfo) -> Span | None:
    if found := RANGE.fullmatch(plain):
        first, last = found.group(1, 2)
        if last is None:
            return Span(_edges(first, here)[0], now_us, f"since {first}")
        last = last if "-" in last else f"{first.split()[0]} {last}"
        return Span(_edges(first, here)[0], _edges(last, here)[1], f"{first} to {last}")
    if MOMENT.fullmatch(plain):
        start_us, end_us = _edges(plain, here)
        return Span(start_us, now_us if ":" in plain else end_us, f"since {plain}" if ":" in plain else plain)
    if found := CALENDAR.fullmatch(plain):
        return _calendar(int(found[1]), int(found[2]) if found[2] else None, here)
    return None


def _calendar(year: int, month: int | None, here: ZoneInfo) -> Span:
    if month is None:
        return Span(_midnight(date(_year(year), 1, 1), here), _midnight(date(year + 1, 1, 1), here), f"{year}")
    first = date(_year(year), month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    return Span(_midnight(first, here), _midnight(after, here), f"{year}-{month:02d}")


def _edges(text: str, here: ZoneInfo) -> tuple[int, int]:
    """The first and the last instant that a date or a date with a clock time may mean, the last one exclusive."""
    found = MOMENT.fullmatch(text)
    if not found:
        raise ValueError(text)
    year, month, day = map(int, found[1].split("-"))
    on = date(_year(year), month, day)
    if found[2] is None:
        return _midnight(on, here), _midnight(on + timedelta(days=1), here)
    hour, minute, second = (*map(int, found[2].split(":")), 0)[:3]
    if (hour, minute, second) == (24, 0, 0):
        after = _midnight(on + timedelta(days=1), here)
        return after, after
    local = datetime(year, month, day, hour, minute, second, tzinfo=here)
    first, second_turn = (_micros(local.replace(fold=fold)) for fold in (0, 1))
    return min(first, second_turn), max(first, second_turn)


def _year(year: int) -> int:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(year)
    return year


def _months_before(now_us: int, months: int, here: ZoneInfo) -> int:
    local = _local(now_us, here)
    years, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    day = min(local.day, monthrange(years, month + 1)[1])
    return _micros(local.replace(year=years, month=month + 1, day=day))


def _midnight(day: date, here: ZoneInfo) -> int:
    """Where the clock skips midnight, the day begins at the jump."""
    return _micros(datetime(day.year, day.month, day.day, tzinfo=here))


def _local(time_us: int, here: ZoneInfo) -> datetime:
    return wording.moment(time_us).astimezone(here)


def _micros(local: datetime) -> int:
    return (local.astimezone(UTC) - wording.moment(0)) // timedelta(microseconds=1)


def _shown(text: str) -> str:
    cut = text.strip()
    cut = cut if len(cut) <= SHOWN else cut[: SHOWN - 1] + "…"
    return "".join(character if character.isprintable() else "?" for character in cut)
