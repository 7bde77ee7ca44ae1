"""Tables from an SQLite file to PostgreSQL: COPY in one transaction, read back and compared before it is committed.

The sum of a table is the sum of the hashes of its rows, so it depends on no order; it is made of what was read there
and of what is found here afterwards, in one process. Everything here blocks, for a thread. Depends on psycopg.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

BATCH = 5_000
MASK = (1 << 64) - 1
Row = Sequence[Any]
Step = Callable[[int], None]
"""Told of so many rows that are done."""


class Stopped(Exception):
    """Whoever waits for this has gone."""


class NotEmpty(Exception):
    """The target holds something else already."""


class Unlike(Exception):
    """What was read back is not what was written."""


class Table(NamedTuple):
    name: str  # in PostgreSQL
    columns: tuple[str, ...]
    query: str  # gives these columns from SQLite
    convert: Callable[[Row], Row] | None = None  # where SQLite keeps a value as another type
    identity: str = ""  # the column whose sequence goes on behind the copied rows


class Sum(NamedTuple):
    rows: int
    hashes: int


Sums = dict[str, Sum]


class Copy:
    """One store on its way: `fill` and `compare` within the transaction that `commit` ends."""

    def __init__(
        self,
        source: sqlite3.Connection,
        target: psycopg.Connection[Any],
        tables: Sequence[Table],
        step: Step,
        stop: threading.Event,
    ) -> None:
        self.source = source
        self.target = target
        self.tables = tables
        self._step = step
        self._stop = stop

    def lock(self) -> None:
        """No other writes there from now on until the end; a hub that starts on it waits."""
        names = sql.SQL(", ").join(sql.Identifier(table.name) for table in self.tables)
        self.target.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(names))

    def found(self) -> list[str]:
        """The tables there that hold rows."""
        asked = sql.SQL("SELECT EXISTS (SELECT FROM {})")
        return [table.name for table in self.tables if self._one(asked.format(sql.Identifier(table.name)))]

    def fill(self) -> Sums:
        return {table.name: self._fill(table) for table in self.tables}

    def _fill(self, table: Table) -> Sum:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
        with self.target.cursor() as cursor, cursor.copy(statement) as copy:

            def write(rows: Iterable[Row]) -> None:
                for row in rows:
                    copy.write_row(row)

            total = self._summed(self._read(table), write)
        if table.identity:
            self._go_on_behind(table)
        return total

    def _read(self, table: Table) -> Iterator[list[Row]]:
        cursor = self.source.execute(table.query)
        while rows := cursor.fetchmany(BATCH):
            yield [table.convert(row) for row in rows] if table.convert else rows

    def _go_on_behind(self, table: Table) -> None:
        name, column = sql.Identifier(table.name), sql.Identifier(table.identity)
        sequence = self._one(
            sql.SQL("SELECT pg_get_serial_sequence({}, {})").format(table.name, sql.Literal(table.identity))
        )
        self.target.execute(
            sql.SQL("SELECT setval({}, max({})) FROM {} HAVING max({}) IS NOT NULL").format(
                sql.Literal(sequence), column, name, column
            )
        )

    def sums_here(self) -> Sums:
        """Of the rows in SQLite."""
        return {table.name: self._summed(self._read(table)) for table in self.tables}

    def sums_there(self) -> Sums:
        """Of the rows in PostgreSQL, read back."""
        return {table.name: self._summed(self._read_back(table)) for table in self.tables}

    def _read_back(self, table: Table) -> Iterator[list[Row]]:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        with self.target.cursor(f"read {table.name}", binary=True) as cursor:
            cursor.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(table.name)))
            while rows := cursor.fetchmany(BATCH):
                yield rows

    def _summed(self, batches: Iterable[list[Row]], use: Callable[[Iterable[Row]], None] | None = None) -> Sum:
        count = hashes = 0
        for rows in batches:
            if self._stop.is_set():
                raise Stopped
            if use is not None:
                use(rows)
            count += len(rows)
            hashes = (hashes + sum(map(hash, map(tuple, rows)))) & MASK
            self._step(len(rows))
        return Sum(count, hashes)

    def _one(self, statement: sql.Composed) -> Any:
        row = self.target.execute(statement).fetchone()
        return row[0] if row else None


def compare(here: Sums, there: Sums) -> None:
    """Unlike, with every table that is."""
    wrong = [
        f"{name} ({here[name].rows:,} rows here, {there[name].rows:,} there)"
        for name in here
        if here[name] != there[name]
    ]
    if wrong:
        raise Unlike(", ".join(wrong))
