"""Recordings of a market: the file formats that `replay` reads, and how one is recognised.

`read` yields a file's ticks in the file's order, each numbered by its line (the header is line 1), times in
UTC microseconds, and a Refused for a line that does not parse; blank lines are passed over. It streams: a
line at a time from plain, gzip or zip, never the whole file. It raises GiveUp for a file that it cannot read
at all. Blocking, so for a thread. Depends on plugins.feeds.binance for that exchange's messages.

| format | a line, and where it is from |
| --- | --- |
| `lean-quote` | `46.2042,1284.065,1284.405`: ms since midnight UTC, bid, ask (or bid, size, ask, size) |
| `lean-trade` | `7368558,1317.9,5,usa,,0`: ms (stocks in New York, futures in UTC), price, size, exchange, …, flag |
| `binance-raw` | `1723161254087896568 {"stream":…}`: receive time in ns, then the frame as it came |
| `binance-trades-csv` | header `recv_ns,event_ms,trade_ms,trade_id,price,qty,buyer_is_maker` |
| `csv` | header with time, and price or bid and ask; volume and instrument if you like |
| `tocsin` | a hub.model.Tick as JSON: this hub's own export |

Lean is QuantConnect's: https://github.com/QuantConnect/Lean/tree/master/Data (readme.md of each asset class).
The day stands in the file's name. Its stock files hold prices times 10,000 and its minute files hold bars:
neither is read here.
"""

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import IO, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hub.model import Kind, Refused, Tick, Verdict
from hub.plugin import GiveUp, TryLater
from plugins.feeds import binance

HOUR_MS = 3_600_000
SAMPLE_BYTES = 120
SUFFIXES = {".gz", ".zip", ".csv", ".txt", ".raw", ".json", ".jsonl", ".ndjson"}
BROKEN = (ValueError, IndexError, OverflowError, msgspec.MsgspecError, RecursionError)
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)

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


def read(
    path: Path,
    format: str = "auto",
    *,
    instrument: str = "",
    symbols: Mapping[str, str] | None = None,
    date: str = "",
    time_zone: str = "",
    member: str = "",
) -> Updates:
    """The recording's ticks and refusals. `member`: part of the name of a zip's member; the largest if empty."""
    try:
        with _opened(path, member) as (name, stream):
            chosen = recognise(name, stream.peek(8192)) if format == "auto" else format
            if chosen not in FORMATS:
                raise GiveUp(f'no recording format "{chosen}": {_FORMATS_ARE}')
            facts = Facts(
                source=source_of(path, member),
                name=name,
                instrument=instrument,
                symbols=symbols or {},
                date=date,
                time_zone=time_zone,
            )
            yield from FORMATS[chosen](enumerate(stream, 1), facts)
    except FileNotFoundError as error:
        raise GiveUp(f"there is no recording at {path}") from error
    except DAMAGED as error:
        raise GiveUp(f"{path.name} cannot be read to its end: {error or type(error).__name__}") from error


def source_of(path: Path, member: str = "") -> str:
    """The name of the recording as a source of ticks: lines are counted per source, so another file is another."""
    name = path.name
    while Path(name).suffix.lower() in SUFFIXES:
        name = Path(name).stem
    return f"replay:{name}" + (f":{member}" if member else "")


@contextmanager
def _opened(path: Path, member: str) -> Iterator[tuple[str, io.BufferedReader]]:
    with path.open("rb") as file:
        start = file.peek(4)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(file) as unpacked:
                yield path.name, io.BufferedReader(cast(io.RawIOBase, unpacked), 1 << 16)
        elif start.startswith(b"PK"):
            with zipfile.ZipFile(file) as archive:
                chosen = _member(archive, member, path)
                with archive.open(chosen) as unpacked:
                    yield chosen.filename, _buffered(unpacked)
        else:
            yield path.name, file


def _buffered(stream: IO[bytes]) -> io.BufferedReader:
    return io.BufferedReader(cast(io.RawIOBase, stream), 1 << 16)


def _member(archive: zipfile.ZipFile, wanted: str, path: Path) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if not info.is_dir()]
    matching = [info for info in members if wanted in info.filename]
    if not matching:
        held = ", ".join(info.filename for info in members[:12]) or "nothing"
        raise GiveUp(f'{path.name} has no member with "{wanted}" in its name; it holds {held}')
    return max(matching, key=lambda info: info.file_size)


# ------------------------------------------------------------------------------------------- recognising

_BARS = re.compile(r"_(minute|hour|second|daily)_", re.IGNORECASE)
_NUMBERS = re.compile(rb"[-+0-9.eE]+(,[-+0-9.eE]+)*\s*")


def recognise(name: str, head: bytes) -> str:
    """The format by the name and the first bytes; GiveUp with the list of formats if none fits."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip()
    cells = first.lower().split(b",")
    if _BARS.search(name):
        raise GiveUp(f"{name} holds bars, not ticks: `tocsin import` reads it")
    if first.startswith(b"{"):
        return "tocsin"
    if re.match(rb"\d{19} \{", first):
        return "binance-raw"
    if cells[:2] == [b"recv_ns", b"event_ms"]:
        return "binance-trades-csv"
    if "_tick_quote" in name or (len(cells) in (3, 5) and _NUMBERS.fullmatch(first)):
        return "lean-quote"
    if "_tick_trade" in name or (len(cells) == 6 and _NUMBERS.fullmatch(cells[0])):
        return "lean-trade"
    if _columns(first) is not None:
        return "csv"
    raise GiveUp(f"{name} begins like no recording that is known: {_FORMATS_ARE}")


# ------------------------------------------------------------------------------------------------- times


def moment_us(text: str | float, zone: ZoneInfo | None = None) -> int:
    """A time as people and machines write it → microseconds UTC. A number is seconds, milliseconds,
    microseconds or nanoseconds since 1970 by its size (seconds until the year 5138); text else is ISO 8601,
    in `zone` (UTC if none) where it names none. ValueError for anything else."""
    number = _number(text)
    if number is None:
        moment = datetime.fromisoformat(str(text).strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone or UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    size = abs(number)
    if size < 1e11:
        return round(number * 1_000_000)
    if size < 1e14:
        return round(number * 1000)
    return round(number) if size < 1e17 else int(number) // 1000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _number(text: str | float) -> int | float | None:
    if not isinstance(text, str):
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def hours_of(day: date, zone: ZoneInfo) -> tuple[int, ...]:
    """For each hour of the wall clock of `day`: what to add to microseconds since midnight to get UTC. A
    clock change moves it within the day."""
    midnight = datetime.combine(day, time(), UTC)
    start = (midnight - _EPOCH) // timedelta(microseconds=1)
    walls = (datetime.combine(day, time(hour), zone) for hour in range(24))
    return tuple(start - (wall.utcoffset() or timedelta()) // timedelta(microseconds=1) for wall in walls)


def _day(facts: Facts) -> date:
    text = facts.date
    if not text and (found := re.search(r"(?<!\d)\d{8}(?!\d)", facts.name)):
        text = found.group()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise GiveUp(f'{facts.name} does not say its day: add date = "2014-05-02", say, to the feed') from error


# ----------------------------------------------------------------------------------------------- formats


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


class _Columns(msgspec.Struct, frozen=True):
    delimiter: str
    at: dict[str, int]


def _columns(header: bytes) -> _Columns | None:
    """Which cell holds what; None if this is no header of a table of ticks."""
    text = header.decode("utf-8-sig", errors="replace").strip().lower()
    delimiter = max(",;\t", key=text.count)
    at: dict[str, int] = {}
    for index, cell in enumerate(next(csv.reader([text], delimiter=delimiter), [])):
        if name := _NAMES.get(cell.strip()):
            at.setdefault(name, index)
    priced = "price" in at or {"bid", "ask"} <= at.keys()
    return _Columns(delimiter, at) if "time" in at and priced else None


def table(lines: Lines, facts: Facts) -> Updates:
    """Any CSV with a header that names its columns. A row with a price and with a bid and an ask is a trade
    and a quote."""
    rows = iter(lines)
    columns = _columns(next(rows, (1, b""))[1])
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


def _cells(line: bytes, columns: _Columns) -> dict[str, str]:
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
_FORMATS_ARE = f"write format = one of {', '.join(FORMATS)}"
