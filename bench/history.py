"""history: a store grown to 10,000,000 ticks (TOCSIN_BENCH_TICKS for another count), beside a bare writer that is grown
alike in the same run: `executemany` for SQLite, COPY for PostgreSQL (and for TimescaleDB where TOCSIN_TEST_TIMESCALE
names a server that has it). Insert rate, bytes a tick and the time of window
queries, at a tenth and at the end. It runs for minutes, and only when it is named: `make bench ARGS=history`."""

import os
import random
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.table import Table

from hub.config import HistorySection
from hub.frame import Frame, empty
from hub.history import History, Position
from hub.model import SECOND_US, Kind, Verdict
from tests.servers import PostgresServer

TICKS = int(os.environ.get("TOCSIN_BENCH_TICKS", "10_000_000"))
INSTRUMENTS = 10
DAYS = 30
FRAME = 2_000
FRAMES_A_COMMIT = 5
STEP_US = DAYS * 86_400 * SECOND_US // TICKS
START_US = 1_700_000_000 * SECOND_US
TIMESCALE = os.environ.get("TOCSIN_TEST_TIMESCALE", "")
MEASURED = 500_000
"""Ticks behind each mark over which the rates are taken, in turns of the two writers."""
SPANS_H = (1, 24, 7 * 24, 30 * 24)
QUERIES = 100
POINTS = 300

Row = tuple[Any, ...]


class Bare(Protocol):
    async def write(self, rows: list[dict[str, Any]]) -> None: ...


class Grown(msgspec.Struct, frozen=True):
    ticks: int
    store_rate: float  # ticks/s
    bare_rate: float
    bytes_a_tick: float
    windows_ms: dict[int, tuple[float, float]]  # hours → median and 99th percentile


def market(first: int, count: int) -> Iterator[list[Frame]]:
    """Ticks number `first` and on, in what one commit takes: all instruments in turn, prices that wander."""
    for start in range(first, first + count, FRAME * FRAMES_A_COMMIT):
        yield [_frame(start + FRAME * one) for one in range(FRAMES_A_COMMIT)]


def _frame(first: int) -> Frame:
    draw = random.Random(first)
    frame = empty(epoch=1, number=first // FRAME + 1, opened_at=1)
    frame.sources, frame.natures = ["bench"], ["live"]
    frame.instruments = [f"I{one}" for one in range(INSTRUMENTS)]
    numbers = range(first, first + FRAME)
    frame.instrument = [number % INSTRUMENTS for number in numbers]
    frame.source, frame.verdict = [0] * FRAME, [int(Verdict.PRICE)] * FRAME
    frame.kind = [int(Kind.QUOTE)] * FRAME
    frame.venue_time = [START_US + number * STEP_US for number in numbers]
    frame.received_at = [START_US + number * STEP_US + 20_000 for number in numbers]
    bids = [round(1000 + 40 * draw.random(), 3) for _ in numbers]
    frame.bid, frame.ask = list(bids), [bid + 0.3 for bid in bids]
    frame.price = [bid + 0.15 for bid in bids]
    frame.volume = [None] * FRAME
    frame.vendor_number = [number + 1 for number in numbers]
    frame.clock = frame.received_at[-1]
    return frame


def rows_of(frames: list[Frame]) -> list[dict[str, Any]]:
    """The same ticks as the rows of the table, by its columns' names."""
    return [
        {
            "instrument": frame.instrument[at] + 1,
            "time": frame.venue_time[at],
            "id": (frame.number - 1) * FRAME + at + 1,
            "lag": 20_000,
            "kind": frame.kind[at],
            "price": frame.price[at],
            "bid": frame.bid[at],
            "ask": frame.ask[at],
            "volume": None,
            "source": 1,
            "number": frame.vendor_number[at],
            "verdict": 0,
        }
        for frame in frames
        for at in range(FRAME)
    ]


# ------------------------------------------------------------------------------------------------ growing


async def grow(history: History, bare: Bare, size: Callable[[], int], marks: list[int]) -> list[Grown]:
    """Both stores to each mark; the last ticks before a mark are those that are timed."""
    done, found = 0, []
    for mark in marks:
        quiet = mark - MEASURED - done
        for frames in market(done, quiet):
            await _append(history, frames)
            await bare.write(rows_of(frames))
        seconds = {"store": 0.0, "bare": 0.0}
        for frames in market(mark - MEASURED, MEASURED):
            rows = rows_of(frames)
            begun = time.perf_counter()
            await _append(history, frames)
            middle = time.perf_counter()
            await bare.write(rows)
            seconds["store"] += middle - begun
            seconds["bare"] += time.perf_counter() - middle
        done = mark
        windows = {hours: await _windows(history, hours, mark) for hours in SPANS_H}
        rates = (MEASURED / seconds["store"], MEASURED / seconds["bare"])
        found.append(Grown(mark, *rates, size() / mark, windows))
    return found


async def _append(history: History, frames: list[Frame]) -> None:
    last = frames[-1]
    await history.append(
        frames, Position(stream="bench", sequence=last.number, epoch=1, number=last.number, clock=last.clock)
    )


async def _windows(history: History, hours: int, ticks: int) -> tuple[float, float]:
    """Milliseconds of a window of so many hours, at random places and of random instruments."""
    draw, span = random.Random(hours), hours * 3600 * SECOND_US
    reach = ticks * STEP_US
    taken = []
    for _ in range(QUERIES):
        start = START_US + round(draw.random() * max(reach - span, 0))
        begun = time.perf_counter()
        _, candles = await history.window(f"I{draw.randrange(INSTRUMENTS)}", start, start + span, POINTS)
        taken.append((time.perf_counter() - begun) * 1000)
        assert candles, "a window over stored ticks is empty"
    return statistics.median(taken), sorted(taken)[int(len(taken) * 0.99)]


# ------------------------------------------------------------------------------------------------ stores


class BareSqlite:
    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.columns = [row[1] for row in self.connection.execute("PRAGMA table_info(ticks)")]
        self.sql = f"INSERT INTO ticks VALUES ({','.join('?' * len(self.columns))})"

    async def write(self, rows: list[dict[str, Any]]) -> None:
        values = [tuple(row[name] for name in self.columns) for row in rows]
        with self.connection:
            self.connection.executemany(self.sql, values)


class BarePostgres:
    def __init__(self, connection: Any, columns: list[str]) -> None:
        self.connection = connection
        self.columns = columns

    async def write(self, rows: list[dict[str, Any]]) -> None:
        values = [tuple(row[name] for name in self.columns) for row in rows]
        await self.connection.copy_records_to_table("ticks", records=values, columns=self.columns)


@asynccontextmanager
async def sqlite_stores(folder: Path) -> AsyncIterator[tuple[History, Bare, Callable[[], int]]]:
    from hub.history.sqlite import open_sqlite

    async with open_sqlite(folder / "bare.db"):
        pass  # the schema as the hub makes it
    async with open_sqlite(folder / "history.db") as history:
        bare = BareSqlite(folder / "bare.db")
        yield history, bare, lambda: sum(file.stat().st_size for file in folder.glob("history.db*"))
        bare.connection.close()


@asynccontextmanager
async def postgres_stores(_: Path) -> AsyncIterator[tuple[History, Bare, Callable[[], int]]]:
    server = PostgresServer()
    try:
        server.start()
        async with _on_a_server(server.database(), server.database()) as opened:
            yield opened
    finally:
        server.remove()


@asynccontextmanager
async def timescale_stores(_: Path) -> AsyncIterator[tuple[History, Bare, Callable[[], int]]]:
    import psycopg

    names = [f"bench_{secrets.token_hex(6)}" for _ in range(2)]
    with psycopg.connect(TIMESCALE, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            bare_url, url = (urlsplit(TIMESCALE)._replace(path=f"/{name}").geturl() for name in names)
            async with _on_a_server(bare_url, url) as opened:
                yield opened
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@asynccontextmanager
async def _on_a_server(bare_url: str, url: str) -> AsyncIterator[tuple[History, Bare, Callable[[], int]]]:
    import asyncpg
    import psycopg

    from hub.history.postgres import open_postgres

    async with open_postgres(HistorySection(url=bare_url)):
        pass
    connection = await asyncpg.connect(bare_url)
    statement = (
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'ticks' ORDER BY ordinal_position"
    )
    columns = [row[0] for row in await connection.fetch(statement)]

    def size() -> int:
        with psycopg.connect(url) as looking:
            row = looking.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])

    async with open_postgres(HistorySection(url=url)) as history:
        yield history, BarePostgres(connection, columns), size
    await connection.close()


Stores = Callable[[Path], AbstractAsyncContextManager[tuple[History, Bare, Callable[[], int]]]]
STORES: dict[str, tuple[Stores, str]] = {
    "SQLite": (sqlite_stores, "executemany"),
    "PostgreSQL": (postgres_stores, "COPY"),
    **({"TimescaleDB": (timescale_stores, "COPY")} if TIMESCALE else {}),
}


async def measure() -> None:
    for name, (stores, beside) in STORES.items():
        with tempfile.TemporaryDirectory() as folder:
            async with stores(Path(folder)) as (history, bare, size):
                show(name, beside, await grow(history, bare, size, [TICKS // 10, TICKS]))


def show(name: str, beside: str, found: list[Grown]) -> None:
    title = f"history: {name} with ticks of {INSTRUMENTS} instruments over {DAYS} days"
    table = Table("", *(f"{one.ticks:,}" for one in found), title=title, title_justify="left", box=None)
    table.add_row("ticks/s, with ladder and position", *(f"{one.store_rate:,.0f}" for one in found))
    table.add_row(f"ticks/s, bare {beside}", *(f"{one.bare_rate:,.0f}" for one in found))
    table.add_row("ratio", *(f"{one.store_rate / one.bare_rate:.2f}" for one in found))
    table.add_row("bytes a tick, all tables", *(f"{one.bytes_a_tick:.0f}" for one in found))
    for hours in SPANS_H:
        cells = (f"{one.windows_ms[hours][0]:.2f} ms, p99 {one.windows_ms[hours][1]:.2f}" for one in found)
        table.add_row(f"window of {hours} h, {POINTS} points", *cells)
    console = Console()
    console.print(table)
    console.print("[dim]goal: >= 0.5 of the bare writer, windows under 5 ms[/dim]\n")


def main() -> None:
    from hub.app import tune
    from hub.child import run_async

    async def run() -> int:
        tune()  # as a core does at its start
        await measure()
        return 0

    run_async(run())
