"""History in one SQLite file, `history.db`, in WAL mode: what a hub on one machine has.

The writer is one connection in a thread of its own, and a whole append is one hop to it (a hop a statement waits for
the busy loop at each): BEGIN, the rows in statements of many rows each (sqlite3 takes the GIL back after every step,
so a step a row waits for the busy loop at each row), the candles, the position, COMMIT. Whoever is cancelled while
waiting for an append finds it whole or not at all. Reads go over a second, read-only connection of aiosqlite and never
wait for the writer. What the writer keeps in memory (names, current candles, position) is forgotten when a transaction
fails or another program has written to the file, and read again: it is never ahead of the file.

A quote takes about 64 bytes. Depends on sqlite3, aiosqlite and hub.history's schema, columns and ladder.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import msgspec

from hub.frame import EventKind, Frame
from hub.history import HistoryFull, HistoryTrouble, Position
from hub.history.columns import Batch, marks_of
from hub.history.ladder import RUNGS, Partials, aggregate, climb, floor, length_us, merge, rung_for
from hub.history.schema import migrate
from hub.model import SECOND_US, Candle, Kind, Nature, Tick, Verdict

T = TypeVar("T")

# -------------------------------------------------------------------------------------------- statements

TICK = 12  # columns of a tick
CANDLE = 11
INSERT_TICKS = "INSERT INTO ticks VALUES {rows}"
UPSERT_CANDLES = "INSERT OR REPLACE INTO candles VALUES {rows}"
UPSERT_NEWEST = "INSERT OR REPLACE INTO newest VALUES {rows}"
UPSERT_MARKS = (
    "INSERT INTO marks VALUES {rows} ON CONFLICT DO UPDATE SET number = excluded.number WHERE excluded.number > number"
)
ADD_REFUSALS = "INSERT INTO refusals VALUES {rows} ON CONFLICT DO UPDATE SET count = count + excluded.count"
UPSERT_FINISHED = "INSERT OR REPLACE INTO finished VALUES {rows}"

STEP_ROWS = 1024
"""Rows in one statement at most: 12,288 values, where SQLite takes 32,766. (Measured: 128 to 1024 rows a step are alike
in an idle process; in a busy one each step is a wait for the GIL.)"""


def insert(connection: sqlite3.Connection, statement: str, width: int, values: Iterable[Any]) -> None:
    """Rows of `width` values each, given flat, in as few steps as go: full statements, then halves of halves (so that
    nine statements in all are prepared and kept, whatever the count)."""
    rest = iter(values)
    size = STEP_ROWS
    while step := list(islice(rest, STEP_ROWS * width)):
        done = 0
        while done < len(step):
            while size * width > len(step) - done:
                size //= 2
            connection.execute(_with_rows(statement, width, size), step[done : done + size * width])
            done += size * width


def _with_rows(statement: str, width: int, rows: int) -> str:
    key = (statement, rows)
    if key not in _statements:
        row = f"({','.join('?' * width)})"
        _statements[key] = statement.replace("{rows}", ",".join([row] * rows))
    return _statements[key]


_statements: dict[tuple[str, int], str] = {}

TICK_FIELDS = """
SELECT t.time, t.lag, t.kind, t.price, t.bid, t.ask, t.volume, s.name, t.number, t.verdict, i.name
"""
READ_TICKS = f"""
{TICK_FIELDS} FROM instruments i JOIN ticks t ON t.instrument = i.id JOIN sources s ON s.id = t.source
"""
# CROSS JOIN keeps SQLite to this order: it takes the small table for the large one and would read every tick.
READ_NEWEST = f"""
{TICK_FIELDS} FROM newest n CROSS JOIN ticks t ON t.instrument = n.instrument AND t.time = n.time AND t.id = n.id
JOIN instruments i ON i.id = n.instrument JOIN sources s ON s.id = t.source
"""
READ_CANDLES = """
SELECT start, open, high, low, close, volume, count, sum, sum_squares FROM candles
WHERE seconds = ? AND instrument = (SELECT id FROM instruments WHERE name = ?)
"""
KINDS = tuple(Kind)
VERDICTS = tuple(Verdict)


def tick(row: Sequence[Any]) -> Tick:
    time, lag, kind, price, bid, ask, volume, source, number, verdict, instrument = row
    return Tick(
        instrument=instrument,
        kind=KINDS[kind],
        price=price,
        bid=bid,
        ask=ask,
        volume=volume,
        venue_time=None if lag is None else time,
        received_at=time + (lag or 0),
        source=source,
        number=number,
        verdict=VERDICTS[verdict],
    )


def candle(row: Sequence[Any]) -> Candle:
    start, first, high, low, close, volume, count, total, squares = row
    return Candle(
        start=start, open=first, high=high, low=low, close=close, volume=volume, count=count, sum=total,
        sum_squares=squares,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ writer


class Memory:
    """What the writer knows of the file without reading it."""

    CANDLES = 16_384
    """Kept in memory, those touched last; others are read when they are needed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.version = data_version(connection)
        self.instruments: dict[str, int] = dict(connection.execute("SELECT name, id FROM instruments"))
        self.sources: dict[tuple[str, str], int] = {
            (name, nature): one for name, nature, one in connection.execute("SELECT name, nature, id FROM sources")
        }
        self.candles: dict[tuple[int, int, int], Candle] = {}
        (self.ticks,) = connection.execute("SELECT ticks FROM position").fetchone()
        self.tries = has_tries(connection)

    def instrument(self, name: str) -> int:
        if name not in self.instruments:
            (one,) = self.connection.execute(
                "INSERT INTO instruments (name) VALUES (?) RETURNING id", (name,)
            ).fetchone()
            self.instruments[name] = one
        return self.instruments[name]

    def source(self, name: str, nature: str) -> int:
        if (name, nature) not in self.sources:
            sql = "INSERT INTO sources (name, nature) VALUES (?, ?) ON CONFLICT DO UPDATE SET nature = excluded.nature"
            (self.sources[name, nature],) = self.connection.execute(sql + " RETURNING id", (name, nature)).fetchone()
        return self.sources[name, nature]

    def candle(self, seconds: int, instrument: int, start: int) -> Candle | None:
        known = self.candles.pop((seconds, instrument, start), None)  # it goes back to the end: touched last
        if known is not None:
            return known
        sql = (
            "SELECT start, open, high, low, close, volume, count, sum, sum_squares FROM candles"
            " WHERE seconds = ? AND instrument = ? AND start = ?"
        )
        row = self.connection.execute(sql, (seconds, instrument, start)).fetchone()
        return None if row is None else candle(row)

    def forget_old(self) -> None:
        for key in list(islice(self.candles, max(len(self.candles) - self.CANDLES, 0))):
            del self.candles[key]


def data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has written to the file."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


CACHE = -32_768  # KiB: a transaction over hundreds of instruments touches a page for each and each rung
CHECKPOINT_PAGES = 4_000  # of 4 KiB, so about 16 MB of WAL


def has_tries(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM tries LIMIT 1").fetchone() is not None


class Writer:
    """The connection that writes. Every method runs in the writer's thread."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self.path = path
        self._memory: Memory | None = None
        with told(path):
            self.connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                self.connection.execute(f"PRAGMA synchronous = {synchronous}")
                self.connection.execute(f"PRAGMA cache_size = {CACHE}")
                self.connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
                migrate(self.connection, path)
            except BaseException:
                self.connection.close()
                raise

    @contextmanager
    def transaction(self) -> Iterator[Memory]:
        """All or nothing, on the disk and in memory."""
        with told(self.path):
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                if self._memory is None or self._memory.version != data_version(self.connection):
                    self._memory = Memory(self.connection)
                yield self._memory
                self.connection.execute("COMMIT")
            except BaseException:
                self._memory = None
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def append(self, frames: Sequence[Frame], position: Position) -> Position:
        with self.transaction() as memory:
            batch = Batch()
            for frame in frames:
                if len(frame):
                    instruments = [memory.instrument(name) for name in frame.instruments]
                    sources = [memory.source(*one) for one in zip(frame.sources, frame.natures, strict=True)]
                    batch.add(frame, instruments, sources)
            if batch.price:
                self._insert_ticks(memory, batch)
            self._add_counts(frames)
            memory.ticks += len(batch.price)
            after = msgspec.structs.replace(position, ticks=memory.ticks)
            self.connection.execute(
                "UPDATE position SET stream = ?, sequence = ?, epoch = ?, number = ?, clock = ?, ticks = ?",
                msgspec.structs.astuple(after),
            )
            if memory.tries:
                self.connection.execute("DELETE FROM tries WHERE sequence <= ?", (after.sequence,))
                memory.tries = has_tries(self.connection)
        return after

    def _insert_ticks(self, memory: Memory, batch: Batch) -> None:
        insert(self.connection, INSERT_TICKS, TICK, batch.rows(memory.ticks + 1))
        partials = aggregate(batch.instrument, batch.time, batch.price, batch.volume, batch.verdict)
        newest: dict[int, int] = {}
        for (instrument, _), partial in partials.items():
            newest[instrument] = max(newest.get(instrument, -1), partial.closed)
        rows = [(one, batch.time[at], memory.ticks + 1 + at) for one, at in newest.items() if at >= 0]
        insert(self.connection, UPSERT_NEWEST, 3, chain.from_iterable(rows))
        self._merge_candles(memory, partials)

    def _merge_candles(self, memory: Memory, partials: Partials) -> None:
        values: list[Any] = []
        for rung, seconds in RUNGS.items():
            partials = climb(partials, rung) if seconds > RUNGS["1m"] else partials
            for (instrument, start), partial in partials.items():
                stored = memory.candle(seconds, instrument, start)
                whole = merge(stored, partial.candle, late=partial.closed < 0) if stored else partial.candle
                memory.candles[seconds, instrument, start] = whole
                values += (seconds, instrument, *msgspec.structs.astuple(whole))
        insert(self.connection, UPSERT_CANDLES, CANDLE, values)
        memory.forget_old()

    def _add_counts(self, frames: Sequence[Frame]) -> None:
        rows = ((*key, number) for key, number in marks_of(frames).items())
        insert(self.connection, UPSERT_MARKS, 3, chain.from_iterable(rows))
        refused = ((one.source, one.reason, one.count) for frame in frames for one in frame.refused)
        insert(self.connection, ADD_REFUSALS, 3, chain.from_iterable(refused))
        events = (one for frame in frames for one in frame.events if one.kind == EventKind.FINISHED)
        insert(self.connection, UPSERT_FINISHED, 2, chain.from_iterable((one.source, int(one.text)) for one in events))

    def trying(self, sequence: int) -> int:
        with self.transaction() as memory:
            memory.tries = True
            sql = "INSERT INTO tries VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"
            (count,) = self.connection.execute(sql, (sequence,)).fetchone()
        return int(count)

    def clear_tries(self) -> None:
        with self.transaction():
            self.connection.execute("DELETE FROM tries")

    def prune(self, before_us: int, limit: int) -> int:
        """Removes up to `limit` ticks of one instrument; 0: none is left to remove."""
        with self.transaction() as memory:
            for instrument in memory.instruments.values():
                removed = self.connection.execute(
                    "DELETE FROM ticks WHERE instrument = ?1 AND (time, id) IN (SELECT time, id FROM ticks"
                    " WHERE instrument = ?1 AND time < ?2 AND id <> ifnull((SELECT id FROM newest"
                    " WHERE instrument = ?1), 0) ORDER BY time, id LIMIT ?3)",
                    (instrument, before_us, limit),
                ).rowcount
                if removed:
                    self.connection.execute("UPDATE position SET pruned = pruned + ?", (removed,))
                    return removed
        return 0


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What SQLite says of a disk, in a sentence with the cure. Other errors are bugs and pass as they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            raise _trouble(HistoryFull, path, error, "free some space, nothing is lost meanwhile") from error
        for start, cure in CURES.items():
            if name.startswith(start):
                raise _trouble(HistoryTrouble, path, error, cure) from error
        raise


CURES = {
    "SQLITE_BUSY": "another program holds the file, end it",
    "SQLITE_READONLY": "make the file and its folder writable",
    "SQLITE_CANTOPEN": "make the folder and the file readable and writable",
    "SQLITE_IOERR": "look at the disk and the system's log",
    "SQLITE_CORRUPT": "stop tocsin and restore the file from a copy, or move it away to begin a new one",
    "SQLITE_NOTADB": "this is no history of tocsin, move it away",
}


def _trouble(kind: type[HistoryTrouble], path: Path, error: Exception, cure: str) -> HistoryTrouble:
    free = shutil.disk_usage(path.parent).free
    return kind(f"the history {path} cannot be written ({error}; {free / 1e6:.1f} MB free): {cure}", path, free)


# ------------------------------------------------------------------------------------------------- store

PRUNE_ROWS = 10_000  # removed in one transaction, so that no append waits longer than for one of these


class SqliteHistory:
    """See hub.history.History."""

    def __init__(self, writer: Writer, thread: ThreadPoolExecutor, reader: aiosqlite.Connection) -> None:
        self._writer = writer
        self._thread = thread
        self._reader = reader

    async def _write(self, fn: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, fn, *arguments)

    async def _read(self, sql: str, *values: Any) -> list[Any]:
        return list(await self._reader.execute_fetchall(sql, values))

    async def append(self, frames: Sequence[Frame], position: Position) -> Position:
        return await self._write(self._writer.append, frames, position)

    async def trying(self, sequence: int) -> int:
        return await self._write(self._writer.trying, sequence)

    async def clear_tries(self) -> None:
        await self._write(self._writer.clear_tries)

    async def prune(self, before_us: int) -> int:
        total = 0
        while removed := await self._write(self._writer.prune, before_us, PRUNE_ROWS):
            total += removed
        return total

    async def position(self) -> Position:
        ((*fields,),) = await self._read("SELECT stream, sequence, epoch, number, clock, ticks FROM position")
        return Position(**dict(zip(Position.__struct_fields__, fields, strict=True)))

    async def tick_count(self, source: str = "") -> int:
        if source:
            counted = "SELECT count(*) FROM ticks WHERE source = (SELECT id FROM sources WHERE name = ?)"
            ((count,),) = await self._read(counted, source)
        else:
            ((count,),) = await self._read("SELECT ticks - pruned FROM position")
        return int(count)

    async def natures(self) -> dict[str, Nature]:
        return {name: Nature(nature) for name, nature in await self._read("SELECT name, nature FROM sources")}

    async def ticks(
        self, instrument: str, start_us: int, end_us: int, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Tick]:
        order = "DESC" if newest_first else "ASC"
        by = f"ORDER BY t.time {order}, t.id {order} LIMIT ?"
        sql = f"{READ_TICKS} WHERE i.name = ? AND t.time >= ? AND t.time < ? {by}"
        rows = await self._read(sql, instrument, start_us, end_us, -1 if limit is None else limit)
        return [tick(row) for row in rows]

    async def last_ticks(self) -> dict[str, Tick]:
        found = [tick(row) for row in await self._read(READ_NEWEST)]
        return {one.instrument: one for one in found}

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        seconds = length_us(rung) // SECOND_US
        sql = f"{READ_CANDLES} AND start >= ? AND start < ? ORDER BY start"
        return [candle(row) for row in await self._read(sql, seconds, instrument, start_us, end_us)]

    async def window(self, instrument: str, start_us: int, end_us: int, points: int) -> tuple[str, list[Candle]]:
        rung = rung_for(end_us - start_us, points)
        return rung, await self.candles(instrument, rung, floor(start_us, length_us(rung)), end_us)

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        today = floor(time_us, length_us("1d"))
        sql = f"{READ_CANDLES} AND start <= ? ORDER BY start DESC LIMIT 2"
        found = [candle(row) for row in await self._read(sql, RUNGS["1d"], instrument, today)]
        this = found[0] if found and found[0].start == today else None
        before = [one for one in found if one.start < today]
        return this, before[0] if before else None

    async def marks(self) -> dict[str, dict[str, int]]:
        return _nested(await self._read("SELECT source, lane, number FROM marks"))

    async def refusals(self) -> dict[str, dict[str, int]]:
        return _nested(await self._read("SELECT source, reason, count FROM refusals"))

    async def finished(self) -> dict[str, int]:
        return dict(await self._read("SELECT source, lines FROM finished"))


def _nested(rows: Iterable[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    tree: dict[str, dict[str, int]] = {}
    for outer, inner, number in rows:
        tree.setdefault(outer, {})[inner] = number
    return tree


@asynccontextmanager
async def open_sqlite(path: Path, synchronous: str = "normal") -> AsyncIterator[SqliteHistory]:
    path.parent.mkdir(parents=True, exist_ok=True)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="history-writer") as thread:
        writer = await loop.run_in_executor(thread, Writer, path, synchronous)
        try:
            async with aiosqlite.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as reader:
                yield SqliteHistory(writer, thread, reader)
        finally:
            thread.submit(writer.connection.close)  # behind what is still being written; leaving the block waits
