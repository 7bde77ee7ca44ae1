"""History in one SQLite file, `history.db`, in WAL mode: what a hub on one machine has.

The writer is one connection in a thread of its own, and a whole append is one hop to it (a hop a statement waits for
the busy loop at each): BEGIN, the rows in statements of many rows each (sqlite3 takes the GIL back after every step,
so a step a row waits for the busy loop at each row), the candles, the position, COMMIT. Whoever is cancelled while
waiting for an append finds it whole or not at all. Reads go over a second, read-only connection of aiosqlite and never
wait for the writer. Other programs may write to the file too, an import beside the hub: each transaction waits for the
other's, up to 30 seconds.

A quote takes about 64 bytes. Depends on aiosqlite and hub.history's ladder, sqlite_rows and sqlite_writer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from hub.frame import Frame
from hub.history import Position
from hub.history.ladder import RUNGS, Steps, farthest, floor, length_us, reaches_back, rung_for, sought
from hub.history.rows import candle, nested, on_day, tick
from hub.history.sqlite_rows import (
    FIRSTS,
    REACH,
    READ_CANDLES,
    READ_NEWEST,
    READ_TICKS,
    SCAN_TICKS,
    with_rows,
)
from hub.history.sqlite_writer import Writer
from hub.model import SECOND_US, Candle, Nature, Tick

T = TypeVar("T")

PRUNE_ROWS = 10_000  # removed in one transaction, so that no append waits longer than for one of these
SCAN_ROWS = 5_000  # ticks in one piece of a scan
LAST_ID = (1 << 63) - 1


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

    async def append(self, frames: Sequence[Frame], position: Position, *, behind: Position | None = None) -> Position:
        return await self._write(self._writer.append, frames, position, behind)

    async def fill(self, frames: Sequence[Frame]) -> int:
        return await self._write(self._writer.fill, frames)

    async def fill_candles(
        self, instrument: str, rung: str, candles: Sequence[Candle], *, source: str, nature: Nature, number: int
    ) -> int:
        return await self._write(self._writer.fill_candles, instrument, rung, candles, source, nature, number)

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
        sql = f"{READ_TICKS} ORDER BY t.time {order}, t.id {order} LIMIT ?"
        rows = await self._read(sql, instrument, start_us, end_us, -1 if limit is None else limit)
        return [tick(row) for row in rows]

    async def scan(self, instrument: str, start_us: int, end_us: int) -> AsyncIterator[list[Tick]]:
        after = start_us - 1, LAST_ID
        while rows := await self._read(SCAN_TICKS, instrument, *after, end_us, SCAN_ROWS):
            last_id, last_time, *_ = rows[-1]
            after = last_time, last_id
            yield [tick(row) for _, *row in rows]

    async def reach(self, instrument: str) -> dict[str, tuple[int, int]]:
        names = {seconds: name for name, seconds in RUNGS.items()} | {0: "ticks"}
        found = await self._read(REACH, instrument)
        return {names[seconds]: (oldest, newest) for seconds, oldest, newest in found if oldest is not None}

    async def last_ticks(self) -> dict[str, Tick]:
        found = [tick(row) for row in await self._read(READ_NEWEST)]
        return {one.instrument: one for one in found}

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        seconds = length_us(rung) // SECOND_US
        sql = f"{READ_CANDLES} AND start >= ? AND start < ? ORDER BY start"
        return [candle(row) for row in await self._read(sql, seconds, instrument, start_us, end_us)]

    async def window(self, instrument: str, start_us: int, end_us: int, points: int) -> tuple[str, list[Candle]]:
        rung = rung_for(end_us - start_us, points)
        found = await self._from(instrument, rung, start_us, end_us)
        if found and reaches_back(rung, start_us, found[0].start):
            return rung, found
        reaching = farthest(rung, await self._firsts(instrument, sought(rung, start_us), end_us))
        return reaching, found if reaching == rung else await self._from(instrument, reaching, start_us, end_us)

    async def _from(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        return await self.candles(instrument, rung, floor(start_us, length_us(rung)), end_us)

    async def _firsts(self, instrument: str, places: dict[Steps, int], end_us: int) -> dict[Steps, int | None]:
        values = [value for (_, finer), since in places.items() for value in (RUNGS[finer], since, end_us)]
        rows = await self._read(with_rows(FIRSTS, 3, len(places)), *values, instrument)
        known = {(seconds, since): first for seconds, since, first in rows}
        return {pair: known.get((RUNGS[pair[1]], since)) for pair, since in places.items()}

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        today = floor(time_us, length_us("1d"))
        sql = f"{READ_CANDLES} AND start <= ? ORDER BY start DESC LIMIT 2"
        found = [candle(row) for row in await self._read(sql, RUNGS["1d"], instrument, today)]
        return on_day(found, today)

    async def marks(self) -> dict[str, dict[str, int]]:
        return nested(await self._read("SELECT source, lane, number FROM marks"))

    async def refusals(self) -> dict[str, dict[str, int]]:
        return nested(await self._read("SELECT source, reason, count FROM refusals"))

    async def finished(self) -> dict[str, int]:
        return dict(await self._read("SELECT source, lines FROM finished"))


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
