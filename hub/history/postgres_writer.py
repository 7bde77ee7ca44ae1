"""What writes history in PostgreSQL, and what it keeps in memory beside the server.

What is kept in memory (names, current candles) is forgotten when a transaction fails or another writer has been there
(the `version` of the position's row tells), and read again: it is never ahead of the server. Ticks go by COPY straight
into their table, everything else as one statement for many rows; one transaction a call, as postgres_session promises.

Depends on asyncpg and hub.history's columns, ladder, filling, postgres_rows, postgres_schema and postgres_session.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import asyncpg
import msgspec

from hub.frame import EventKind, Frame
from hub.history import Position, held_to
from hub.history.columns import Batch, marks_of
from hub.history.filling import (
    RECORDED,
    Minute,
    above,
    bar_lane,
    check_bars,
    minutes,
    new_bars,
    settle,
    spans,
    steps_above,
)
from hub.history.ladder import RUNGS, Partials, aggregate, climb, floor, length_us, merge
from hub.history.postgres_rows import (
    ADD_INSTRUMENT,
    ADD_PRUNED,
    ADD_REFUSALS,
    ADD_TICKS,
    BAR,
    CANDLE_COLUMNS,
    FIND_CANDLES,
    MOVE_POSITION,
    PRUNE,
    PRUNE_EDGE,
    READ_PLACE,
    SET_SOURCE,
    TICK_COLUMNS,
    TRY,
    UPSERT_CANDLES,
    UPSERT_FINISHED,
    UPSERT_MARKS,
    UPSERT_NEWEST,
    columns,
    put_candles,
    read_stored,
    records,
)
from hub.history.postgres_schema import chunks
from hub.history.postgres_session import Connect, Session
from hub.history.rows import candle
from hub.model import Candle, Nature

T = TypeVar("T")
Key = tuple[int, int, int]  # seconds of the rung, instrument, start
Filled = dict[int, list[tuple[Candle, int | None]]]
"""Instrument → candles by time, each with what its column `filled` is to say."""


class Memory:
    """What the writer knows of the tables without reading them."""

    CANDLES = 16_384
    """Kept in memory, those touched last; others are read when they are needed."""

    def __init__(self, version: int, instruments: Iterable[Any], sources: Iterable[Any]) -> None:
        self.version = version
        self.instruments: dict[str, int] = dict(instruments)
        self.sources: dict[tuple[str, str], int] = {(name, nature): one for name, nature, one in sources}
        self.candles: dict[Key, Candle] = {}

    def touch(self, candles: dict[Key, Candle]) -> None:
        for key in candles:
            self.candles.pop(key, None)  # it goes back to the end: touched last
        self.candles.update(candles)
        for key in list(islice(self.candles, max(len(self.candles) - self.CANDLES, 0))):
            del self.candles[key]

    def source_ids(self) -> dict[str, int]:
        return {name: one for (name, _), one in self.sources.items()}


class Stand(NamedTuple):
    ticks: int  # the last id given
    memory: Memory


class Writer:
    def __init__(self, connect: Connect, where: str) -> None:
        self._session = Session(connect, where, self._forget)
        self._memory: Memory | None = None

    def _forget(self) -> None:
        self._memory = None

    async def close(self) -> None:
        await self._session.close()

    async def _once(self, call: tuple[Any, ...], work: Callable[[asyncpg.Connection, Stand], Awaitable[T]]) -> T:
        async def with_memory(connection: asyncpg.Connection, row: Any) -> T:
            if self._memory is None or self._memory.version != row["version"]:
                self._memory = Memory(
                    row["version"],
                    await connection.fetch("SELECT name, id FROM instruments"),
                    await connection.fetch("SELECT name, nature, id FROM sources"),
                )
            return await work(connection, Stand(row["ticks"], self._memory))

        return await self._session.once(call, with_memory)

    # ------------------------------------------------------------------------------------------- append

    async def append(self, frames: Sequence[Frame], position: Position, behind: Position | None) -> Position:
        async def work(connection: asyncpg.Connection, stand: Stand) -> Position:
            if behind is not None:
                held_to(behind, await connection.fetchrow(READ_PLACE))
            batch = await self._batch(connection, stand.memory, frames)
            if batch.price:
                await self._copy(connection, batch, stand.ticks + 1)
                partials = _aggregate(batch)
                await self._newest(connection, batch, stand.ticks + 1, partials)
                await self._merge_candles(connection, stand.memory, partials)
            await _add_counts(connection, frames)
            after = msgspec.structs.replace(position, ticks=stand.ticks + len(batch.price))
            await connection.execute(MOVE_POSITION, *msgspec.structs.astuple(after))
            stand.memory.version += 1
            return after

        return await self._once(("append", list(frames), position), work)

    async def _batch(self, connection: asyncpg.Connection, memory: Memory, frames: Iterable[Frame]) -> Batch:
        batch = Batch()
        for frame in frames:
            if len(frame):
                instruments = [await self._instrument(connection, memory, name) for name in frame.instruments]
                sources = [
                    await self._source(connection, memory, *one)
                    for one in zip(frame.sources, frame.natures, strict=True)
                ]
                batch.add(frame, instruments, sources)
        return batch

    async def _instrument(self, connection: asyncpg.Connection, memory: Memory, name: str) -> int:
        if name not in memory.instruments:
            memory.instruments[name] = await connection.fetchval(ADD_INSTRUMENT, name)
        return memory.instruments[name]

    async def _source(self, connection: asyncpg.Connection, memory: Memory, name: str, nature: str) -> int:
        if (name, nature) not in memory.sources:
            memory.sources = {key: one for key, one in memory.sources.items() if key[0] != name}
            memory.sources[name, nature] = await connection.fetchval(SET_SOURCE, name, nature)
        return memory.sources[name, nature]

    async def _copy(self, connection: asyncpg.Connection, batch: Batch, first_id: int) -> None:
        await connection.copy_records_to_table(
            "ticks", records=zip(*records(batch, first_id), strict=True), columns=TICK_COLUMNS
        )

    async def _newest(self, connection: asyncpg.Connection, batch: Batch, first_id: int, partials: Partials) -> None:
        newest: dict[int, int] = {}
        for (instrument, _), partial in partials.items():
            newest[instrument] = max(newest.get(instrument, -1), partial.closed)
        places = [at for at in newest.values() if at >= 0]
        if places:
            rows = [[column[at] for at in places] for column in records(batch, first_id)]
            await connection.execute(UPSERT_NEWEST, *rows)

    async def _merge_candles(self, connection: asyncpg.Connection, memory: Memory, partials: Partials) -> None:
        added: dict[Key, tuple[Candle, bool]] = {}
        for rung, seconds in RUNGS.items():
            partials = climb(partials, rung) if seconds > RUNGS["1m"] else partials
            for (instrument, start), partial in partials.items():
                added[seconds, instrument, start] = (partial.candle, partial.closed < 0)
        await self._recall(connection, memory, added)
        whole = {
            key: merge(memory.candles[key], one, late=late) if key in memory.candles else one
            for key, (one, late) in added.items()
        }
        rows = [(seconds, instrument, *msgspec.structs.astuple(one)) for (seconds, instrument, _), one in whole.items()]
        await connection.execute(UPSERT_CANDLES, *columns(rows, 2 + len(CANDLE_COLUMNS)))
        memory.touch(whole)

    async def _recall(self, connection: asyncpg.Connection, memory: Memory, wanted: Collection[Key]) -> None:
        """Those that are stored and not in memory, in one trip."""
        missing = [key for key in wanted if key not in memory.candles]
        if missing:
            starts = [start for _, _, start in missing]
            for row in await connection.fetch(FIND_CANDLES, *columns(missing, 3), min(starts), max(starts)):
                seconds, instrument, *fields = row
                memory.candles[seconds, instrument, fields[0]] = candle(fields)

    # -------------------------------------------------------------------------------- prices of the past

    async def fill(self, frames: Sequence[Frame]) -> int:
        async def work(connection: asyncpg.Connection, stand: Stand) -> int:
            memory, ticks = stand.memory, stand.ticks
            there = await self._minutes_there(connection, memory, minutes(frames))
            names = {one: name for name, one in memory.source_ids().items()}
            settled = settle(frames, {minute: names.get(made or BAR, RECORDED) for minute, (_, made) in there.items()})
            batch = await self._batch(connection, memory, settled.frames)
            if batch.price:
                await self._copy(connection, batch, ticks + 1)
            await _add_counts(connection, frames)
            partials, ids = _aggregate(batch), memory.source_ids()
            filled: Filled = {}
            for (name, start), source in settled.owners.items():
                partial = partials[memory.instruments[name], start]
                before = there.get((name, start))
                whole = merge(before[0], partial.candle, late=partial.closed < 0) if before else partial.candle
                filled.setdefault(memory.instruments[name], []).append((whole, ids[source]))
            await self._fill_up(connection, stand, "1m", filled, ticks + len(batch.price))
            return len(batch.price)

        return await self._once(("fill", list(frames)), work)

    async def _minutes_there(
        self, connection: asyncpg.Connection, memory: Memory, wanted: Collection[Minute]
    ) -> dict[Minute, tuple[Candle, int | None]]:
        """The candles of those minutes, each with who made it."""
        starts: dict[str, set[int]] = {}
        for name, start in wanted:
            starts.setdefault(name, set()).add(start)
        return {
            (name, one.start): (one, made)
            for name, mine in starts.items()
            for one, made in await self._stored(connection, "1m", memory.instruments.get(name, 0), spans(mine, "1m"))
            if one.start in mine
        }

    async def fill_candles(
        self, instrument: str, rung: str, bars: Sequence[Candle], source: str, nature: Nature, number: int
    ) -> int:
        check_bars(rung, bars)

        async def work(connection: asyncpg.Connection, stand: Stand) -> int:
            await self._source(connection, stand.memory, source, nature)
            one = await self._instrument(connection, stand.memory, instrument)
            stored = await self._stored(connection, rung, one, spans({bar.start for bar in bars}, rung))
            fresh = new_bars(bars, {there.start for there, _ in stored})
            await connection.execute(UPSERT_MARKS, [source], [bar_lane(instrument)], [number])
            await self._fill_up(connection, stand, rung, {one: [(bar, BAR) for bar in fresh]}, stand.ticks)
            return len(fresh)

        return await self._once(("fill_candles", instrument, rung, list(bars), source, nature, number), work)

    async def _fill_up(
        self, connection: asyncpg.Connection, stand: Stand, rung: str, filled: Filled, ticks: int
    ) -> None:
        """Puts these candles on the rung and builds the intervals above them anew, but those that are bars."""
        await self._put(connection, stand.memory, rung, filled)
        for finer, coarser in steps_above(rung):
            built: Filled = {}
            for instrument, below in filled.items():
                starts = {floor(one.start, length_us(coarser)) for one, _ in below}
                ranges = spans(starts, coarser)
                bars = {
                    one.start
                    for one, made in await self._stored(connection, coarser, instrument, ranges)
                    if made == BAR
                }
                children = [one for one, _ in await self._stored(connection, finer, instrument, ranges)]
                built[instrument] = [(one, None) for one in above(children, coarser) if one.start in starts - bars]
            await self._put(connection, stand.memory, coarser, built)
            filled = built
        await connection.execute(ADD_TICKS, ticks)
        stand.memory.version += 1

    async def _stored(
        self, connection: asyncpg.Connection, rung: str, instrument: int, ranges: Iterable[tuple[int, int]]
    ) -> list[tuple[Candle, int | None]]:
        """In the order of time, each with what `filled` says of it."""
        return [
            (candle(fields), made)
            for low, high in ranges
            for *fields, made in await connection.fetch(read_stored(rung), instrument, low, high)
        ]

    async def _put(self, connection: asyncpg.Connection, memory: Memory, rung: str, filled: Filled) -> None:
        rows = []
        for instrument, candles in filled.items():
            for one, made in candles:
                memory.candles.pop((RUNGS[rung], instrument, one.start), None)
                rows.append((instrument, *msgspec.structs.astuple(one), made))
        if rows:
            await connection.execute(put_candles(rung), *columns(rows, len(rows[0])))

    # ------------------------------------------------------------------------------------ tries, retention

    async def trying(self, sequence: int) -> int:
        async def work(connection: asyncpg.Connection, _stand: Stand) -> int:
            return int(await connection.fetchval(TRY, sequence))

        return await self._once(("trying", sequence), work)

    async def clear_tries(self) -> None:
        async def work(connection: asyncpg.Connection, _stand: Stand) -> None:
            await connection.execute("DELETE FROM history_tries")

        await self._once(("clear_tries",), work)

    async def instruments(self) -> list[int]:
        async def work(_connection: asyncpg.Connection, stand: Stand) -> list[int]:
            return list(stand.memory.instruments.values())

        return await self._once(("instruments",), work)

    async def prune(self, instrument: int, since_us: int, before_us: int, limit: int) -> tuple[int, int | None]:
        """Removes up to `limit` ticks of an instrument in [since, before), the oldest first, and returns how many and
        from which time on there may be more."""

        async def work(connection: asyncpg.Connection, _stand: Stand) -> tuple[int, int | None]:
            edge = await connection.fetchrow(PRUNE_EDGE, instrument, since_us, before_us, limit)
            status = await connection.execute(PRUNE, instrument, since_us, *(edge or (before_us, 0)))
            removed = int(status.split()[1])
            await connection.execute(ADD_PRUNED, removed)
            return removed, edge["time"] if edge else None

        return await self._once(("prune", instrument, since_us, before_us), work)

    async def drop_chunk(self, before_us: int) -> int:
        """Removes the oldest whole chunk of ticks before that time in which no newest price is; 0: there is none."""

        async def work(connection: asyncpg.Connection, _stand: Stand) -> int:
            for one in await chunks(connection, before_us):
                within = "SELECT count(*) FROM ticks WHERE time >= $1 AND time < $2"
                removed = int(await connection.fetchval(within, one["start"], one["end"]))
                drop = "SELECT drop_chunks('ticks', older_than => $2::bigint, newer_than => $1::bigint)"
                await connection.fetch(drop, one["start"], one["end"])
                await connection.execute(ADD_PRUNED, removed)
                if removed:
                    return removed
            return 0

        return await self._once(("drop_chunk", before_us), work)


def _aggregate(batch: Batch) -> Partials:
    return aggregate(batch.instrument, batch.time, batch.price, batch.volume, batch.verdict)


async def _add_counts(connection: asyncpg.Connection, frames: Sequence[Frame]) -> None:
    marks = [(*key, number) for key, number in marks_of(frames).items()]
    refused: Counter[tuple[str, str]] = Counter()
    finished: dict[str, int] = {}
    for frame in frames:
        for refusal in frame.refused:
            refused[refusal.source, refusal.reason] += refusal.count
        finished |= {one.source: int(one.text) for one in frame.events if one.kind == EventKind.FINISHED}
    for statement, rows in (
        (UPSERT_MARKS, marks),
        (ADD_REFUSALS, [(*key, count) for key, count in refused.items()]),
        (UPSERT_FINISHED, list(finished.items())),
    ):
        if rows:
            await connection.execute(statement, *columns(rows, len(rows[0])))
