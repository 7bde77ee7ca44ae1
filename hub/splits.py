"""Splits of stocks: by how much prices from before one count when it is in effect. Pure.

A split of 7:1 makes seven new shares of one old one: a price from before it counts a seventh, a volume sevenfold. It is
in effect from the midnight on with which its day begins where the instrument is traded (hub.sessions): nobody
trades then. Depends on hub.sessions for that zone.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.model import Instrument, Split
from hub.plugin import BadRequest, Catalogue
from hub.sessions import SESSIONS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RATIO = re.compile(r"(\d{1,6})\s*(?::|-?for-?|/)\s*(\d{1,6})", re.IGNORECASE)
LARGEST = 1_000


class Splits:
    """All that are known. Those who read prices share one, and whoever hears of others gives it them."""

    def __init__(self, known: Iterable[Split] = ()) -> None:
        self._of: dict[str, tuple[Split, ...]] = {}
        self.set(known)

    def set(self, known: Iterable[Split]) -> None:
        found: dict[str, list[Split]] = {}
        for split in known:
            found.setdefault(split.instrument, []).append(split)
        self._of = {name: tuple(sorted(some, key=lambda each: each.at)) for name, some in found.items()}

    def of(self, instrument: str) -> Sequence[Split]:
        """The oldest first."""
        return self._of.get(instrument, ())

    def all(self) -> list[Split]:
        return [split for some in self._of.values() for split in some]

    def factor(self, instrument: str, at: int, now: int) -> float:
        """By which a price of that instant counts `now`."""
        found = 1.0
        for split in self._of.get(instrument, ()):
            if at < split.at <= now:
                found *= split.factor
        return found


def in_effect(day: str, instrument: Instrument) -> int:
    """The instant from which on prices are those behind a split of that day, in microseconds."""
    zone = ZoneInfo(SESSIONS[instrument.session].time_zone)
    begins = datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=zone)
    return (begins.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def known(rows: Iterable[tuple[int, str, str, int, int, str]], catalogue: Catalogue) -> list[Split]:
    """Rows of (id, instrument, day, numerator, denominator, told by); those of instruments that are not served any more
    concern nobody."""
    found = []
    for number, name, day, numerator, denominator, told_by in rows:
        instrument = catalogue.get(name)
        if instrument is not None:
            found.append(
                Split(
                    id=number, instrument=name, day=day, numerator=numerator, denominator=denominator,
                    at=in_effect(day, instrument), told_by=told_by,
                )
            )  # fmt: skip
    return found


def parse_ratio(word: str) -> tuple[int, int]:
    """ "7:1", "7-for-1", "1:10" → new and old shares; BadRequest for what is none."""
    match = RATIO.fullmatch(word.strip())
    if match is None:
        raise BadRequest(f'"{word}" is no split: write 7:1 for seven new shares of each old one')
    numerator, denominator = int(match[1]), int(match[2])
    if not numerator or not denominator or numerator == denominator:
        raise BadRequest(f"{word} changes nothing: a split makes other many shares of the old ones, as 7:1 does")
    if max(numerator, denominator) > LARGEST * min(numerator, denominator):
        raise BadRequest(f"{word} is more than anything that was ever split")
    return numerator, denominator


def parse_day(word: str) -> str:
    try:
        return date.fromisoformat(word).isoformat()
    except ValueError:
        raise BadRequest(f'"{word}" is no day: write it like 2014-06-09') from None
