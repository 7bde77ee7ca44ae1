"""`tocsin export`: stored ticks or candles as CSV or JSON lines, which `tocsin import` reads again, to the last bit.

It streams: a file of any size takes the memory of some thousand rows. A file is written beside its place and moved
there when it is whole, so what stands under its name is never half an export. Floats are written with the digits that
bring them back (repr), times in UTC to the microsecond. Depends on hub.history and, for the headers, on what hub.load
brings.
"""

import gzip
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, cast

import msgspec

from hub import config as configuration
from hub import load
from hub.history import History, HistoryTrouble, open_history
from hub.history.ladder import RUNGS, length_us
from hub.importing import in_thread
from hub.importing.progress import Show, progress
from hub.instruments import ID, Catalogue, build_catalogue
from hub.model import SECOND_US, Candle, Tick
from hub.plugin import BadRequest, TryLater
from hub.sessions import EPOCH
from hub.spans import parse_span

CANDLES = 5_000  # read at once
PACKING = 6
Piece = Sequence[Tick] | Sequence[Candle]
Pieces = AsyncGenerator[tuple[int, Piece], None]
"""A time that the export has come to, and what is written next."""
Rows = Callable[[Piece], bytes]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    instrument: str
    span: str = "all"
    what: str = "ticks"
    format: Literal["csv", "jsonl"] = "csv"
    output: Path | None = None

    @property
    def to_stdout(self) -> bool:
        return self.output is None or str(self.output) == "-"


async def main(asked: Asked, config_path: Path | None, data: Path | None) -> int:
    """0 when all of it is written; BadRequest where there is nothing to write."""
    if asked.what != "ticks" and asked.what not in RUNGS:
        raise BadRequest(f'--what "{asked.what}" is not stored: write ticks, or one of {", ".join(RUNGS)}')
    config = configuration.load(config_path, data=data)
    catalogue = build_catalogue(config.instruments, {symbol for feed in config.feeds for symbol in feed.symbols})
    try:
        async with open_history(config) as history:
            name = await _instrument(asked.instrument, catalogue, history)
            start, end = await _span(asked, name, history, config.hub.time_zone)
            visible = sys.stderr.isatty() and not (asked.to_stdout and sys.stdout.isatty())
            noun = "ticks" if asked.what == "ticks" else "candles"
            with _output(asked) as file, progress(name, noun, visible=visible) as show:
                count = await _write(asked, history, name, start, end, file, show)
    except HistoryTrouble as error:
        raise TryLater(str(error)) from error
    if not asked.to_stdout:
        print(f"{asked.output}: {count:,} {noun} of {name}")
    return 0


async def _instrument(word: str, catalogue: Catalogue, history: History) -> str:
    """Also one that has left the configuration, by its id."""
    try:
        return catalogue.find(word).id
    except BadRequest:
        if ID.fullmatch(word) and await history.reach(word):
            return word
        raise


async def _span(asked: Asked, name: str, history: History, zone: str) -> tuple[int, int]:
    """What is asked for, cut to what is stored."""
    reach = await history.reach(name)
    if asked.what not in reach:
        there = f"; there are {load.listed(sorted(reach))}" if reach else ""
        noun = "ticks" if asked.what == "ticks" else f"candles of {asked.what}"
        raise BadRequest(f"history has no {noun} of {name}{there}")
    oldest, newest = reach[asked.what]
    if asked.span in ("all", "max"):
        return oldest, newest + 1
    span = parse_span(asked.span, time.time_ns() // 1000, zone, oldest_us=oldest)
    if span.end_us <= oldest or span.start_us > newest:
        raise BadRequest(f"{name} has nothing in {asked.span}: it reaches from {stamp(oldest)} to {stamp(newest)}")
    return max(span.start_us, oldest), min(span.end_us, newest + 1)


async def _write(asked: Asked, history: History, name: str, start: int, end: int, file: IO[bytes], show: Show) -> int:
    count = 0
    rows, header = _rows(asked, name)
    file.write(header)
    pieces = _ticks(history, name, start, end) if asked.what == "ticks" else _candles(
        history, name, asked.what, start, end)  # fmt: skip
    async with aclosing(pieces) as read:
        async for at, piece in read:
            await in_thread(lambda piece=piece: file.write(rows(piece)))  # type: ignore[misc]
            count += len(piece)
            show((at - start) / max(end - start, 1), count)
    file.flush()
    return count


async def _ticks(history: History, name: str, start: int, end: int) -> Pieces:
    async for piece in history.scan(name, start, end):
        if piece:
            last = piece[-1]
            yield (last.venue_time if last.venue_time is not None else last.received_at or 0), piece


async def _candles(history: History, name: str, rung: str, start: int, end: int) -> Pieces:
    step = CANDLES * length_us(rung)
    for at in range(start, end, step):
        yield at, await history.candles(name, rung, at, min(at + step, end))


# -------------------------------------------------------------------------------------------------- rows


def _rows(asked: Asked, name: str) -> tuple[Rows, bytes]:
    """What writes a piece, and what stands before the first."""
    recordings = load.recordings()
    if asked.what == "ticks":
        if asked.format == "jsonl":
            return cast(Rows, tick_lines), b""
        return cast(Rows, tick_rows), f"{recordings.OWN_HEADER}\n".encode()
    if asked.format == "jsonl":
        return cast(Rows, lambda candles: candle_lines(name, asked.what, candles)), b""
    header = f"{recordings.OWN_BARS_HEADER}\n".encode()
    return cast(Rows, lambda candles: candle_rows(name, asked.what, candles)), header


KINDS = ("trade", "quote")
VERDICTS = ("price", "confirmed", "aside", "standby", "late", "outlier", "closed")


def tick_rows(ticks: Sequence[Tick]) -> bytes:
    return "".join(
        f"{stamp(tick.venue_time)},{stamp(tick.received_at)},{tick.instrument},{KINDS[tick.kind]},{_number(tick.price)},"
        f"{_number(tick.bid)},{_number(tick.ask)},{_number(tick.volume)},{_plain(tick.source)},{VERDICTS[tick.verdict]}\n"
        for tick in ticks
    ).encode()


def tick_lines(ticks: Sequence[Tick]) -> bytes:
    return b"".join(_json(tick) + b"\n" for tick in ticks)


def candle_rows(name: str, rung: str, candles: Sequence[Candle]) -> bytes:
    return "".join(
        f"{stamp(one.start)},{name},{rung},{one.open!r},{one.high!r},{one.low!r},{one.close!r},{one.volume!r},"
        f"{one.count},{one.sum!r},{one.sum_squares!r}\n"
        for one in candles
    ).encode()


def candle_lines(name: str, rung: str, candles: Sequence[Candle]) -> bytes:
    """Every field, also those that are at their default."""
    return b"".join(_json({"instrument": name, "rung": rung, **msgspec.structs.asdict(one)}) + b"\n" for one in candles)


_json = msgspec.json.Encoder().encode


def stamp(time_us: int | None) -> str:
    """ "2014-05-02T00:00:00.046204Z"; nothing for no time."""
    if time_us is None:
        return ""
    return f"{_second(time_us // SECOND_US)}.{time_us % SECOND_US:06d}Z"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


@lru_cache(maxsize=256)
def _plain(source: str) -> str:
    """A source without what parts cells."""
    return source.replace(",", ";").replace('"', "'")


# ------------------------------------------------------------------------------------------------ output


@contextmanager
def _output(asked: Asked) -> Iterator[IO[bytes]]:
    if asked.to_stdout or asked.output is None:
        yield sys.stdout.buffer
        return
    path = asked.output
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", PACKING, raw, mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                yield raw
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BadRequest(f"{path} cannot be written: {error.strerror or error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
