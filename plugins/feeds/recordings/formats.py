"""The formats of recordings, a function each: numbered lines → ticks, and a Refused for a line that does not parse.

What they look like and where they are from stands in the package. A format raises GiveUp for a file that it cannot
read at all. Depends on plugins.feeds.binance for that exchange's messages.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hub.model import Kind, Refused, Tick, Verdict
from hub.plugin import GiveUp, TryLater
from plugins.feeds import binance
from plugins.feeds.recordings.times import hours_of, moment_us

HOUR_MS = 3_600_000
SAMPLE_BYTES = 120
BROKEN = (ValueError, IndexError, OverflowError, msgspec.MsgspecError, RecursionError)

Lines = Iterable[tuple[int, bytes]]
Updates = Iterator[Tick | Refused]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader of a format needs to know beside the lines."""

    source: str
    name: str = ""  # of the file, or of the member of a zip
    instrument: str = ""  # what the file is about, for formats that do not say
    symbols: Mapping[str, str] = {}
    date: str = ""  # "2014-05-02", instead of the one in the name
    time_zone: str = ""  # instead of the format's own

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
        if not self.symbols:
            return lambda name: name
        known = {symbol.upper(): instrument for instrument, symbol in self.symbols.items()}
        known.update({instrument.upper(): instrument for instrument in self.symbols})
        return lambda name: known.get(name.upper())

    def zone(self, default: str) -> ZoneInfo:
        name = self.time_zone or default
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise GiveUp(f'no time zone "{name}": write it like "America/New_York" or "Etc/GMT+5"') from error


# -------------------------------------------------------------------------------------- each with its own layout

BAR_COLUMNS = 11
"""Of Lean's quote bars: time, then open, high, low, close and size of bid and ask."""


def lean_quote(lines: Lines, facts: Facts) -> Updates:
    instrument, source, quote = facts.only_instrument(), facts.source, Kind.QUOTE
    hours = hours_of(_day(facts), facts.zone("UTC"))
    for number, line in lines:
        try:
            cells = line.split(b",")
            if len(cells) == BAR_COLUMNS:  # its first cells would pass for a quote
                raise GiveUp(f"{facts.name} holds bars, not ticks: line {number} has {BAR_COLUMNS} columns")
            if len(cells) == 3:
                ms, bid, ask = float(cells[0]), float(cells[1]), float(cells[2])
            else:
                ms, bid, ask = float(cells[0]), float(cells[1]), float(cells[3])
                float(cells[4])  # the ask's size: a line without it is cut short
            at = hours[_hour(ms)] + round(ms * 1000)
        except BROKEN:
            yield from _broken(number, line)
            continue
        yield Tick(
            instrument=instrument,
            kind=quote,
            bid=bid,
            ask=ask,
            venue_time=at,
            received_at=at,
            source=source,
            number=number,
        )


EXPIRY = re.compile(r"_\d{6}(\.csv)?$")
"""Futures have a file per expiry, in UTC; stocks are in New York (Lean's market hours database, `dataTimeZone`)."""


def lean_trade(lines: Lines, facts: Facts) -> Updates:
    instrument, source = facts.only_instrument(), facts.source
    hours = hours_of(_day(facts), facts.zone("UTC" if EXPIRY.search(facts.name) else "America/New_York"))
    for number, line in lines:
        try:
            cells = line.split(b",")
            ms, price, size = float(cells[0]), float(cells[1]), float(cells[2])
            at = hours[_hour(ms)] + round(ms * 1000)
        except BROKEN:
            yield from _broken(number, line)
            continue
        if len(cells) > 5 and cells[5].strip() == b"1":
            yield _refused("marked as suspicious", number, line)
            continue
        yield Tick(
            instrument=instrument,
            kind=Kind.TRADE,
            price=price,
            volume=size,
            venue_time=at,
            received_at=at,
            source=source,
            number=number,
        )


def _hour(ms: float) -> int:
    if ms < 0:
        raise ValueError(ms)
    return int(ms) // HOUR_MS


def binance_raw(lines: Lines, facts: Facts) -> Updates:
    instrument_of = facts.instrument_of()
    for number, line in lines:
        stamp, _, frame = line.partition(b" ")
        try:
            at = int(stamp) // 1000
        except ValueError:
            yield from _broken(number, line)
            continue
        try:
            updates = binance.parse(frame.rstrip(), instrument_of)
        except TryLater:  # the exchange's good-bye: what follows was recorded on the next connection
            continue
        for update in updates:
            if isinstance(update, Refused):
                yield Refused(reason=update.reason, sample=update.sample, number=number)
            else:
                yield msgspec.structs.replace(update, source=facts.source, received_at=at, number=number)


def binance_trades_csv(lines: Lines, facts: Facts) -> Updates:
    instrument, source = facts.only_instrument(), facts.source
    for number, line in lines:
        if number == 1:
            continue
        try:
            received_ns, _, trade_ms, _, price, size, _ = line.split(b",")
            yield Tick(
                instrument=instrument,
                kind=Kind.TRADE,
                price=float(price),
                volume=float(size),
                venue_time=int(trade_ms) * 1000,
                received_at=int(received_ns) // 1000,
                source=source,
                number=number,
            )
        except BROKEN:
            yield from _broken(number, line)


def tocsin(lines: Lines, facts: Facts) -> Updates:
    instrument_of = facts.instrument_of()
    decode = msgspec.json.Decoder(Tick).decode
    for number, line in lines:
        try:
            tick = decode(line)
        except BROKEN:
            yield from _broken(number, line)
            continue
        instrument = instrument_of(tick.instrument)
        received_at = tick.received_at if tick.received_at is not None else tick.venue_time
        if instrument is None or received_at is None:
            yield _refused("unknown symbol" if instrument is None else "no time", number, line)
            continue
        yield msgspec.structs.replace(
            tick,
            instrument=instrument,
            received_at=received_at,
            source=facts.source,
            number=number,
            verdict=Verdict.PRICE,
        )


# ------------------------------------------------------------------------------------------ any table

_NAMES = {
    "time": "time",
    "timestamp": "time",
    "datetime": "time",
    "price": "price",
    "last": "price",
    "bid": "bid",
    "ask": "ask",
    "volume": "volume",
    "instrument": "instrument",
    "symbol": "instrument",
}


class Columns(msgspec.Struct, frozen=True):
    delimiter: str
    at: dict[str, int]


def columns_of(header: bytes) -> Columns | None:
    """Which cell holds what; None if this is no header of a table of ticks."""
    text = header.decode("utf-8-sig", errors="replace").strip().lower()
    delimiter = max(",;\t", key=text.count)
    at: dict[str, int] = {}
    for index, cell in enumerate(next(csv.reader([text], delimiter=delimiter), [])):
        if name := _NAMES.get(cell.strip()):
            at.setdefault(name, index)
    priced = "price" in at or {"bid", "ask"} <= at.keys()
    return Columns(delimiter, at) if "time" in at and priced else None


def table(lines: Lines, facts: Facts) -> Updates:
    """Any CSV with a header that names its columns. A row with a price and with a bid and an ask is a trade
    and a quote."""
    rows = iter(lines)
    columns = columns_of(next(rows, (1, b""))[1])
    if columns is None:
        raise GiveUp(f"{facts.name} needs a header line with time, and price or bid and ask")
    zone, instrument_of = facts.zone("UTC"), facts.instrument_of()
    only = "" if "instrument" in columns.at else facts.only_instrument()
    for number, line in rows:
        try:
            cell = _cells(line, columns)
            at = moment_us(cell["time"], zone)
            instrument = only or instrument_of(cell["instrument"])
            if instrument is None:
                yield _refused("unknown symbol", number, line)
                continue
            ticks = list(_row(cell, instrument, at, facts.source, number))
        except BROKEN:
            ticks = []
        if ticks:
            yield from ticks
        else:
            yield from _broken(number, line)


def _cells(line: bytes, columns: Columns) -> dict[str, str]:
    row = next(csv.reader([line.decode("utf-8-sig")], delimiter=columns.delimiter), [])
    return {name: row[index].strip() for name, index in columns.at.items()}


def _row(cell: Mapping[str, str], instrument: str, at: int, source: str, number: int) -> Iterator[Tick]:
    tick = Tick(
        instrument=instrument,
        kind=Kind.TRADE,
        venue_time=at,
        received_at=at,
        source=source,
        number=number,
    )
    if price := cell.get("price"):
        volume = cell.get("volume")
        yield msgspec.structs.replace(tick, price=float(price), volume=float(volume) if volume else None)
    bid, ask = cell.get("bid"), cell.get("ask")
    if bid and ask:
        yield msgspec.structs.replace(tick, kind=Kind.QUOTE, bid=float(bid), ask=float(ask))


# ------------------------------------------------------------------------------------------- what they share


def _day(facts: Facts) -> date:
    text = facts.date
    if not text and (found := re.search(r"(?<!\d)\d{8}(?!\d)", facts.name)):
        text = found.group()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise GiveUp(f'{facts.name} does not say its day: add date = "2014-05-02", say, to the feed') from error


def _broken(number: int, line: bytes) -> Iterator[Refused]:
    if line.strip():
        yield _refused("broken line", number, line)


def _refused(reason: str, number: int, line: bytes) -> Refused:
    return Refused(reason=reason, sample=line[:SAMPLE_BYTES].decode(errors="replace").strip(), number=number)


FORMATS: dict[str, Callable[[Lines, Facts], Updates]] = {
    "lean-quote": lean_quote,
    "lean-trade": lean_trade,
    "binance-raw": binance_raw,
    "binance-trades-csv": binance_trades_csv,
    "csv": table,
    "tocsin": tocsin,
}
FORMATS_ARE = f"write format = one of {', '.join(FORMATS)}"
