"""What writes history in SQLite: the connection in the writer's thread, and what it keeps in memory.

What is kept in memory (names, current candles, position) is forgotten when a transaction fails or another program has
written to the file, and read again: it is never ahead of the file. Depends on sqlite3, and on hub.history's schema,
columns, ladder, filling, sqlite_rows and sqlite_trouble.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

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
from hub.history.rows import candle
from hub.history.schema import migrate
from hub.history.sqlite_rows import (
    ADD_REFUSALS,
    BAR,
    CANDLE,
    CANDLE_FIELDS,
    FILL_CANDLES,
    INSERT_TICKS,
    READ_PLACE,
    TICK,
    UPSERT_CANDLES,
    UPSERT_FINISHED,
    UPSERT_MARKS,
    UPSERT_NEWEST,
    insert,
)
from hub.history.sqlite_trouble import told
from hub.model import Candle, Nature

Filled = dict[int, list[tuple[Candle, int | None]]]
"""Instrument → candles by time, each with what its column `filled` is to say."""


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
        sql = f"SELECT {CANDLE_FIELDS} FROM candles WHERE seconds = ? AND instrument = ? AND start = ?"
        row = self.connection.execute(sql, (seconds, instrument, start)).fetchone()
        return None if row is None else candle(row)

    def forget_old(self) -> None:
        for key in list(islice(self.candles, max(len(self.candles) - self.CANDLES, 0))):
            del self.candles[key]


def data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has written to the file."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _batch(memory: Memory, frames: Iterable[Frame]) -> Batch:
    batch = Batch()
    for frame in frames:
        if len(frame):
            instruments = [memory.instrument(name) for name in frame.instruments]
            sources = [memory.source(*one) for one in zip(frame.sources, frame.natures, strict=True)]
            batch.add(frame, instruments, sources)
    return batch


def _aggregate(batch: Batch) -> Partials:
    return aggregate(batch.instrument, batch.time, batch.price, batch.volume, batch.verdict)


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

    def append(self, frames: Sequence[Frame], position: Position, behind: Position | None) -> Position:
        with self.transaction() as memory:
            if behind is not None:
                held_to(behind, self.connection.execute(READ_PLACE).fetchone())
            batch = _batch(memory, frames)
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
        partials = _aggregate(batch)
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

    # ------------------------------------------------------------------------------- prices of the past

    def fill(self, frames: Sequence[Frame]) -> int:
        with self.transaction() as memory:
            there = self._minutes_there(memory, minutes(frames))
            names = {one: name for (name, _), one in memory.sources.items()}
            settled = settle(frames, {minute: names.get(made or BAR, RECORDED) for minute, (_, made) in there.items()})
            batch = _batch(memory, settled.frames)
            insert(self.connection, INSERT_TICKS, TICK, batch.rows(memory.ticks + 1))
            memory.ticks += len(batch.price)
            self.connection.execute("UPDATE position SET ticks = ?", (memory.ticks,))
            self._add_counts(frames)
            partials = _aggregate(batch)
            ids = {name: one for (name, _), one in memory.sources.items()}
            filled: Filled = {}
            for (name, start), source in settled.owners.items():
                partial = partials[memory.instruments[name], start]
                before = there.get((name, start))
                whole = merge(before[0], partial.candle, late=partial.closed < 0) if before else partial.candle
                filled.setdefault(memory.instruments[name], []).append((whole, ids[source]))
            self._fill_candles(memory, "1m", filled)
        return len(batch.price)

    def _minutes_there(self, memory: Memory, wanted: Collection[Minute]) -> dict[Minute, tuple[Candle, int | None]]:
        """The candles of those minutes, each with who made it."""
        starts: dict[str, set[int]] = {}
        for name, start in wanted:
            starts.setdefault(name, set()).add(start)
        return {
            (name, one.start): (one, made)
            for name, mine in starts.items()
            for one, made in self._stored("1m", memory.instruments.get(name, 0), spans(mine, "1m"))
            if one.start in mine
        }

    def fill_candles(
        self, instrument: str, rung: str, bars: Sequence[Candle], source: str, nature: Nature, number: int
    ) -> int:
        check_bars(rung, bars)
        with self.transaction() as memory:
            memory.source(source, nature)
            one = memory.instrument(instrument)
            ranges = spans({bar.start for bar in bars}, rung)
            fresh = new_bars(bars, {stored.start for stored, _ in self._stored(rung, one, ranges)})
            self._fill_candles(memory, rung, {one: [(bar, BAR) for bar in fresh]})
            insert(self.connection, UPSERT_MARKS, 3, (source, bar_lane(instrument), number))
        return len(fresh)

    def _fill_candles(self, memory: Memory, rung: str, filled: Filled) -> None:
        """Puts these candles on the rung and builds the intervals above them anew, but those that are bars."""
        self._put(memory, rung, filled)
        for finer, coarser in steps_above(rung):
            built: Filled = {}
            for instrument, below in filled.items():
                starts = {floor(one.start, length_us(coarser)) for one, _ in below}
                ranges = spans(starts, coarser)
                bars = {one.start for one, made in self._stored(coarser, instrument, ranges) if made == BAR}
                children = (one for one, _ in self._stored(finer, instrument, ranges))
                built[instrument] = [(one, None) for one in above(children, coarser) if one.start in starts - bars]
            self._put(memory, coarser, built)
            filled = built

    def _stored(
        self, rung: str, instrument: int, ranges: Iterable[tuple[int, int]]
    ) -> Iterator[tuple[Candle, int | None]]:
        """In the order of time, each with what `filled` says of it."""
        sql = (
            f"SELECT {CANDLE_FIELDS}, filled FROM candles"
            " WHERE seconds = ? AND instrument = ? AND start >= ? AND start < ? ORDER BY start"
        )
        for low, high in ranges:
            for *fields, made in self.connection.execute(sql, (RUNGS[rung], instrument, low, high)):
                yield candle(fields), made

    def _put(self, memory: Memory, rung: str, filled: Filled) -> None:
        seconds = RUNGS[rung]
        values: list[Any] = []
        for instrument, candles in filled.items():
            for one, made in candles:
                memory.candles.pop((seconds, instrument, one.start), None)
                values += (seconds, instrument, *msgspec.structs.astuple(one), made)
        insert(self.connection, FILL_CANDLES, CANDLE + 1, values)

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
