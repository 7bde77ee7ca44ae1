"""What every format of recordings shares: what its reader is told beside the lines, and what it says of a line that it
cannot read. Depends on hub.model and hub.plugin.
"""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from hub.model import Refused, Tick
from hub.plugin import Bar, GiveUp
from plugins.feeds.recordings.times import zone_of

SAMPLE_BYTES = 120
BROKEN = (ValueError, IndexError, OverflowError, msgspec.MsgspecError, RecursionError)
BROKEN_LINE = "broken line"

Lines = Iterable[tuple[int, bytes]]
Updates = Iterator[Tick | Refused]
Bars = Iterator[Bar | Refused]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader of a format needs to know beside the lines."""

    source: str
    name: str = ""  # of the file, or of the member of a zip
    instrument: str = ""  # what the file is about, for formats that do not say
    symbols: Mapping[str, str] = {}
    named: Callable[[str], str | None] | None = None  # instead of `symbols`: a file's own word → our id
    date: str = ""  # "2014-05-02", instead of the one in the name
    time_zone: str = ""  # instead of the format's own
    verdicts: bool = False  # those of our own export are kept

    def only_instrument(self) -> str:
        if self.instrument:
            return self.instrument
        if len(self.symbols) == 1:
            return next(iter(self.symbols))
        raise GiveUp(f'{self.name} does not say what it is about: add instrument = "XAU-USD", say, to the feed')

    def instrument_of(self) -> Callable[[str], str | None]:
        """For formats that do say: the vendor's name or our id → our id, None if it was not asked for."""
        if self.instrument:
            return lambda name: self.instrument
        if self.named:
            return self.named
        if not self.symbols:
            return lambda name: name
        known = {symbol.upper(): instrument for instrument, symbol in self.symbols.items()}
        known.update({instrument.upper(): instrument for instrument in self.symbols})
        return lambda name: known.get(name.upper())

    def zone(self, default: str) -> datetime.tzinfo:
        name = self.time_zone or default
        try:
            return zone_of(name)
        except ValueError as error:
            raise GiveUp(f'no time zone "{name}": write it like "America/New_York", "UTC+2" or "Etc/GMT+5"') from error

    def day(self) -> datetime.date:
        text = self.date
        if not text and (found := re.search(r"(?<!\d)\d{8}(?!\d)", self.name)):
            text = found.group()
        try:
            return datetime.date.fromisoformat(text)
        except ValueError as error:
            raise GiveUp(
                f'{self.name} does not say its day: add date = "2014-05-02", say, to the feed, or --date 2014-05-02'
            ) from error


def broken(number: int, line: bytes) -> Iterator[Refused]:
    """Nothing for a blank line."""
    if line.strip():
        yield refused(BROKEN_LINE, number, line)


def refused(reason: str, number: int, line: bytes) -> Refused:
    return Refused(reason=reason, sample=line[:SAMPLE_BYTES].decode(errors="replace").strip(), number=number)
