"""History in PostgreSQL, with TimescaleDB or without: what a hub of several processes or hosts has.

One connection writes (postgres_writer), a pool of `[history] connections` reads, so reads never wait for the writer
and see only what is committed. The tables are in the first schema of the user's search_path (postgres_schema), and
other programs may read them. A server that is away is HistoryTrouble for reads as for writes; both connect anew.

Depends on asyncpg and hub.history's ladder and postgres modules.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from hub.config import HistorySection
from hub.frame import Frame
from hub.history import Position
from hub.history.ladder import farthest, floor, length_us, rung_for, sought
from hub.history.postgres_rows import (
    REACH,
    READ_NEWEST,
    READ_TICKS,
    SCAN_TICKS,
    firsts,
    read_candles,
)
from hub.history.postgres_schema import migrate
from hub.history.postgres_session import close
from hub.history.postgres_trouble import shown, told
from hub.history.postgres_writer import Writer
from hub.history.rows import candle, nested, on_day, tick
from hub.model import Candle, Nature, Tick

PRUNE_ROWS = 10_000  # removed in one transaction, so that no append waits longer than for one of these
SCAN_ROWS = 5_000
CONNECT_S = 10.0
ANSWER_S = 60.0
"""So long a statement may take; a server that says nothing for so long is taken for gone."""
SETTINGS = {
    "application_name": "tocsin",
    "jit": "off",  # our statements are short, and compiling one takes longer than it does
    "lock_timeout": "20s",
    "tcp_keepalives_idle": "30",
    "idle_in_transaction_session_timeout": "60s",  # a writer that hangs must not keep the others waiting for ever
}


class PostgresHistory:
    """See hub.history.History."""

    def __init__(self, writer: Writer, pool: asyncpg.Pool, where: str, timescale: bool) -> None:
        self._writer = writer
        self._pool = pool
        self._where = where
        self.timescale = timescale

    async def _read(self, sql: str, *values: Any) -> list[Any]:
        with told(self._where):
            return list(await self._pool.fetch(sql, *values))

    async def append(self, frames: Sequence[Frame], position: Position, *, behind: Position | None = None) -> Position:
        return await self._writer.append(frames, position, behind)

    async def fill(self, frames: Sequence[Frame]) -> int:
        return await self._writer.fill(frames)

    async def fill_candles(
        self, instrument: str, rung: str, candles: Sequence[Candle], *, source: str, nature: Nature, number: int
    ) -> int:
        return await self._writer.fill_candles(instrument, rung, candles, source, nature, number)

    async def trying(self, sequence: int) -> int:
        return await self._writer.trying(sequence)

    async def clear_tries(self) -> None:
        await self._writer.clear_tries()

    async def prune(self, before_us: int) -> int:
        total = 0
        while self.timescale and (removed := await self._writer.drop_chunk(before_us)):
            total += removed
        for instrument in await self._writer.instruments():
            since: int | None = -(1 << 62)
            while since is not None:
                removed, since = await self._writer.prune(instrument, since, before_us, PRUNE_ROWS)
                total += removed
        return total

    async def position(self) -> Position:
        ((*fields,),) = await self._read("SELECT stream, sequence, epoch, number, clock, ticks FROM history_position")
        return Position(**dict(zip(Position.__struct_fields__, fields, strict=True)))

    async def tick_count(self, source: str = "") -> int:
        if source:
            counted = "SELECT count(*) FROM ticks WHERE source = (SELECT id FROM sources WHERE name = $1)"
            ((count,),) = await self._read(counted, source)
        else:
            ((count,),) = await self._read("SELECT ticks - pruned FROM history_position")
        return int(count)

    async def natures(self) -> dict[str, Nature]:
        return {name: Nature(nature) for name, nature in await self._read("SELECT name, nature FROM sources")}

    async def ticks(
        self, instrument: str, start_us: int, end_us: int, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Tick]:
        order = "DESC" if newest_first else "ASC"
        sql = f"{READ_TICKS} ORDER BY t.time {order}, t.id {order} LIMIT $4"
        return [tick(row) for row in await self._read(sql, instrument, start_us, end_us, limit)]

    async def scan(self, instrument: str, start_us: int, end_us: int) -> AsyncIterator[list[Tick]]:
        time_us, last = start_us, -1
        while rows := await self._read(SCAN_TICKS, instrument, time_us, last, end_us, SCAN_ROWS):
            yield [tick(row) for row in rows]
            time_us, last = rows[-1]["time"], rows[-1]["id"]

    async def last_ticks(self) -> dict[str, Tick]:
        found = [tick(row) for row in await self._read(READ_NEWEST)]
        return {one.instrument: one for one in found}

    async def reach(self, instrument: str) -> dict[str, tuple[int, int]]:
        rows = await self._read(REACH, instrument)
        return {name: (oldest, newest) for name, oldest, newest in rows if oldest is not None}

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        length_us(rung)
        sql = f"{read_candles(rung)} AND start >= $2 AND start < $3 ORDER BY start"
        return [candle(row) for row in await self._read(sql, instrument, start_us, end_us)]

    async def window(self, instrument: str, start_us: int, end_us: int, points: int) -> tuple[str, list[Candle]]:
        wanted = rung_for(end_us - start_us, points)
        asked = sought(wanted, start_us)
        (found,) = await self._read(firsts(finer for _, finer in asked), instrument, end_us, *asked.values())
        rung = farthest(wanted, dict(zip(asked, found, strict=True)))
        return rung, await self.candles(instrument, rung, floor(start_us, length_us(rung)), end_us)

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        today = floor(time_us, length_us("1d"))
        sql = f"{read_candles('1d')} AND start <= $2 ORDER BY start DESC LIMIT 2"
        found = [candle(row) for row in await self._read(sql, instrument, today)]
        return on_day(found, today)

    async def marks(self) -> dict[str, dict[str, int]]:
        return nested(await self._read("SELECT source, lane, number FROM history_marks"))

    async def refusals(self) -> dict[str, dict[str, int]]:
        return nested(await self._read("SELECT source, reason, count FROM history_refusals"))

    async def finished(self) -> dict[str, int]:
        return dict(await self._read("SELECT source, lines FROM history_finished"))


@asynccontextmanager
async def open_postgres(section: HistorySection) -> AsyncIterator[PostgresHistory]:
    """HistoryTrouble where the server is not there or refuses us, HistoryTooNew for tables of a newer tocsin."""
    where = shown(section.url)
    options: dict[str, Any] = {
        "password": section.password or None,
        "timeout": CONNECT_S,
        "command_timeout": ANSWER_S,
        "server_settings": SETTINGS,
    }

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(section.url, **options)

    with told(where):
        first = await connect()  # of its own: asyncpg remembers the types of columns, and the tables change here
        try:
            timescale = await migrate(first, section.timescale, where)
        finally:
            await close(first)
        pool = await asyncpg.create_pool(section.url, min_size=1, max_size=section.connections, **options)
    writer = Writer(connect, where)
    try:
        yield PostgresHistory(writer, pool, where, timescale)
    finally:
        await writer.close()
        await close(pool)
