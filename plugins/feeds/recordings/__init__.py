"""Recordings of a market: the file formats that `replay` reads, and how one is recognised.

`read` yields a file's ticks in the file's order, each numbered by its line (the header is line 1), times in
UTC microseconds, and a Refused for a line that does not parse; blank lines are passed over. It streams: a
line at a time from plain, gzip or zip, never the whole file. It raises GiveUp for a file that it cannot read
at all. Blocking, so for a thread. The formats are in the room `formats`, times in `times`.

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

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from hub.plugin import GiveUp
from plugins.feeds.recordings.formats import FORMATS, FORMATS_ARE, Facts, Updates, columns_of
from plugins.feeds.recordings.times import hours_of, moment_us

__all__ = ["FORMATS", "Facts", "Updates", "hours_of", "moment_us", "read", "recognise", "source_of"]

SUFFIXES = {".gz", ".zip", ".csv", ".txt", ".raw", ".json", ".jsonl", ".ndjson"}
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)


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
                raise GiveUp(f'no recording format "{chosen}": {FORMATS_ARE}')
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
        raise GiveUp(f"{name} holds bars, not ticks: give a recording of ticks, bars cannot be replayed")
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
    if columns_of(first) is not None:
        return "csv"
    raise GiveUp(f"{name} begins like no recording that is known: {FORMATS_ARE}")
