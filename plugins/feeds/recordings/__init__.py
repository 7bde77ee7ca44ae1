"""Recordings of a market: the file formats that `replay` and `tocsin import` read, and how one is recognised.

`read` yields a file's ticks in the file's order, each numbered by its line (the header is line 1), times in
UTC microseconds, and a Refused for a line that does not parse; blank lines are passed over. It streams: a
line at a time from plain, gzip or zip, never the whole file. It raises GiveUp for a file that it cannot read
at all. `look` and `updates` are the same for `tocsin import`, which takes bars too. Blocking, so for a thread.
Rooms: `opening`, `facts`, `formats` (ticks without a header), `tables` (ticks with one), `bars`, `times`, `survey`.

| format | a line, and where it is from |
| --- | --- |
| `lean-quote` | `46.2042,1284.065,1284.405`: ms since midnight UTC, bid, ask (or bid, size, ask, size) |
| `lean-trade` | `7368558,1317.9,5,usa,,0`: ms (stocks in New York, futures in UTC), price, size, exchange, …, flag |
| `binance-raw` | `1723161254087896568 {"stream":…}`: receive time in ns, then the frame as it came |
| `binance-trades-csv` | header `recv_ns,event_ms,trade_ms,trade_id,price,qty,buyer_is_maker` |
| `histdata-ticks` | `20140502 000000123,1284.065,1284.405,0`: eastern standard time the whole year, bid, ask, volume |
| `csv` | header with time, and price or bid and ask; volume and instrument if you like: MetaTrader 5, Dukascopy … |
| `tocsin` | a hub.model.Tick as JSON: this hub's own export |
| `tocsin-csv` | the same as a table: `time,received_at,instrument,kind,price,bid,ask,volume,source,verdict` |

Bars, which cannot be replayed:

| format | a line, and where it is from |
| --- | --- |
| `bars` | header with time (or date, or both), open, high, low, close: MetaTrader 5, Dukascopy, this hub's own … |
| `prices` | header with date and price: a price for each day or month |
| `mt4` | `2025.06.02,00:00,3290.1,3291.0,3289.5,3290.8,120`: MetaTrader 4, in its broker's time |
| `histdata-bars` | `20140502 000000;1284.1;1284.4;1283.8;1283.9;0`: eastern standard time the whole year |
| `lean-bars` | ms of the day or `20140502 00:00`, then open, high, low, close, size (of quotes: of bid and of ask) |
| `tocsin-bars` | this hub's own export as JSON |

Lean is QuantConnect's: https://github.com/QuantConnect/Lean/tree/master/Data (readme.md of each asset class). The day
of its ticks and minutes stands in the file's name. HistData: https://www.histdata.com/f-a-q/data-files-detailed-specification
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hub.model import Refused, Tick
from hub.plugin import Bar, GiveUp
from plugins.feeds.recordings.bars import BARS, recognise_bars
from plugins.feeds.recordings.bars import OWN_HEADER as OWN_BARS_HEADER
from plugins.feeds.recordings.facts import BROKEN_LINE, Facts, Lines, Updates
from plugins.feeds.recordings.formats import (
    binance_raw,
    binance_trades_csv,
    histdata_ticks,
    lean_quote,
    lean_trade,
    tocsin,
)
from plugins.feeds.recordings.opening import opened
from plugins.feeds.recordings.survey import Survey, sample, survey
from plugins.feeds.recordings.tables import OWN_HEADER, columns_of, own_table, table
from plugins.feeds.recordings.times import hours_of, moment_us, wall_us, zone_of

__all__ = [
    "BARS",
    "BROKEN_LINE",
    "FORMATS",
    "OWN_BARS_HEADER",
    "OWN_HEADER",
    "Facts",
    "Survey",
    "Updates",
    "hours_of",
    "look",
    "moment_us",
    "read",
    "recognise",
    "sampled",
    "source_of",
    "stem",
    "updates",
    "wall_us",
    "zone_of",
]

SUFFIXES = {".gz", ".zip", ".csv", ".txt", ".raw", ".json", ".jsonl", ".ndjson"}

FORMATS: dict[str, Callable[[Lines, Facts], Updates]] = {
    "lean-quote": lean_quote,
    "lean-trade": lean_trade,
    "binance-raw": binance_raw,
    "binance-trades-csv": binance_trades_csv,
    "histdata-ticks": histdata_ticks,
    "csv": table,
    "tocsin": tocsin,
    "tocsin-csv": own_table,
}
FORMATS_ARE = f"write format = one of {', '.join(FORMATS)}"


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
    with opened(path, member) as file:
        chosen = recognise(file.name, file.stream.peek(8192)) if format == "auto" else format
        if chosen not in FORMATS:
            raise GiveUp(f'no recording format "{chosen}": {FORMATS_ARE}')
        facts = Facts(
            source=source_of(path, member),
            name=file.name,
            instrument=instrument,
            symbols=symbols or {},
            date=date,
            time_zone=time_zone,
        )
        yield from FORMATS[chosen](enumerate(file.stream, 1), facts)


def source_of(path: Path, member: str = "") -> str:
    """The name of the recording as a source of ticks: lines are counted per source, so another file is another."""
    return f"replay:{stem(path)}" + (f":{member}" if member else "")


def stem(path: Path) -> str:
    """The name of a file without what says how it is packed and written."""
    name = path.name
    while Path(name).suffix.lower() in SUFFIXES:
        name = Path(name).stem
    return name


# ---------------------------------------------------------------------------------------------- importing


def look(path: Path, format: str = "auto", member: str = "") -> Survey:
    """A first look at all of a file of ticks or bars."""
    return survey(path, format, member, _any_format)


def sampled(found: Survey, facts: Facts) -> list[list[object]]:
    """The ticks or bars, and refusals, in each block of the survey's sample."""
    return sample(found, _reader(found), facts)


@contextmanager
def updates(
    path: Path, found: Survey, facts: Facts
) -> Iterator[tuple[Iterator[Tick | Bar | Refused], Callable[[], float]]]:
    """All of them, and how much of the file was read so far, as a share."""
    with opened(path, found.name if found.members else "") as file:
        yield _reader(found)(enumerate(file.stream, 1), facts), file.share


def _reader(found: Survey) -> Callable[..., Iterator[Tick | Bar | Refused]]:
    return BARS[found.format] if found.holds_bars else FORMATS[found.format]


def _any_format(asked: str, name: str, head: bytes) -> str:
    if asked not in ("auto", *FORMATS, *BARS):
        raise GiveUp(f'no format "{asked}": write one of {", ".join((*FORMATS, *BARS))}')
    if asked != "auto":
        return asked
    try:
        return recognise_bars(name, _first(head)) or recognise(name, head)
    except GiveUp as error:
        every = ", ".join((*FORMATS, *BARS))
        raise GiveUp(
            f"{name} begins like no file of prices that is known; with --format it is read as {every}"
        ) from error


# ------------------------------------------------------------------------------------------- recognising

_BARS = re.compile(r"_(minute|hour|second|daily)_", re.IGNORECASE)
_NUMBERS = re.compile(rb"[-+0-9.eE]+(,[-+0-9.eE]+)*\s*")


def _first(head: bytes) -> bytes:
    return head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip()


def recognise(name: str, head: bytes) -> str:
    """The format of ticks by the name and the first bytes; GiveUp with the list of formats if none fits."""
    first = _first(head)
    cells = first.lower().split(b",")
    if _BARS.search(name) or recognise_bars(name, first):
        raise GiveUp(f"{name} holds bars, not ticks: give a recording of ticks, bars cannot be replayed, only imported")
    if first.startswith(b"{"):
        return "tocsin"
    if first.startswith(OWN_HEADER.encode()):
        return "tocsin-csv"
    if re.match(rb"\d{19} \{", first):
        return "binance-raw"
    if re.match(rb"\d{8} \d{9},", first):
        return "histdata-ticks"
    if cells[:2] == [b"recv_ns", b"event_ms"]:
        return "binance-trades-csv"
    if "_tick_quote" in name or (len(cells) in (3, 5) and _NUMBERS.fullmatch(first)):
        return "lean-quote"
    if "_tick_trade" in name or (len(cells) == 6 and _NUMBERS.fullmatch(cells[0])):
        return "lean-trade"
    if columns_of(first) is not None:
        return "csv"
    raise GiveUp(f"{name} begins like no recording that is known: {FORMATS_ARE}")
