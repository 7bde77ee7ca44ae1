"""A store in PostgreSQL as a backup sees it: each table by COPY, in one read-only snapshot; back in one transaction.

The text format of COPY is the same over versions of the server. The version of the schema goes along, and only an
equal one takes the tables back. Blocking. Depends on psycopg.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from hub.backup.stores import CHUNK
from hub.lock import HubProblem

HISTORY = (
    "instruments", "sources", "ticks", "newest", "history_position", "history_marks", "history_refusals",
    "history_finished", "history_tries", "candles_1m", "candles_5m", "candles_15m", "candles_1h", "candles_1d",
)  # fmt: skip
VERSION = "version.json"
COUNTS = {
    "history": {"ticks": "SELECT ticks - pruned FROM history_position"},
    "ledger": {
        "alerts": "SELECT count(*) FROM alerts WHERE deleted_at IS NULL",
        "people": "SELECT count(*) FROM users",
    },
}
VERSIONS = {"history": "SELECT version FROM history_schema", "ledger": "SELECT version_num FROM alembic_version"}
EMPTY = {"history": "SELECT count(*) = 0 FROM instruments", "ledger": "SELECT count(*) = 0 FROM owners"}


def ledger_tables() -> tuple[str, ...]:
    """What refers to a row behind the row."""
    from hub.ledger.tables import metadata

    return tuple(table.name for table in metadata.sorted_tables)


class PostgresStore:
    kind = "postgresql"

    def __init__(self, name: str, url: str, password: str) -> None:
        self.name = name
        self.facts: dict[str, int] = {}
        self._url = url
        self._password = password
        self._tables: Callable[[], tuple[str, ...]] = ledger_tables if name == "ledger" else lambda: HISTORY

    def exists(self) -> bool:
        with self._connected() as connection:
            (table,) = _row(connection, f"SELECT to_regclass('{VERSIONS[self.name].split()[-1]}')")
            return table is not None

    def size(self) -> int:
        with self._connected() as connection:
            (size,) = _row(connection, "SELECT pg_database_size(current_database())")
            return int(size)

    def copy_to(self, folder: Path) -> Iterator[Path]:
        with self._connected() as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                self.facts = {name: int(_row(connection, query)[0]) for name, query in COUNTS[self.name].items()}
                about = folder / VERSION
                about.write_text(json.dumps({"version": str(_row(connection, VERSIONS[self.name])[0])}))
                yield about
                for table in self._tables():
                    yield self._copy_out(connection, table, folder / f"{table}.copy")

    def _copy_out(self, connection: psycopg.Connection[Any], table: str, path: Path) -> Path:
        statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(table))
        with path.open("wb") as file, connection.cursor().copy(statement) as copy:
            for piece in copy:
                file.write(piece)
        return path

    def must_be_empty(self) -> None:
        with self._connected() as connection:
            if not _row(connection, EMPTY[self.name])[0]:
                raise HubProblem(f"the {self.name} in {self._where} is not empty: restore into a database of its own")

    def look_through(self, files: Sequence[Path]) -> None:
        names = {file.name for file in files}
        missing = [table for table in self._tables() if f"{table}.copy" not in names]
        if missing or VERSION not in names:
            raise HubProblem(f"the archive lacks {', '.join(missing) or VERSION} of the {self.name}")
        (about,) = (file for file in files if file.name == VERSION)
        then = json.loads(about.read_text())["version"]
        with self._connected() as connection:
            now = str(_row(connection, VERSIONS[self.name])[0])
        if then != now:
            raise HubProblem(
                f"the {self.name} in the archive is of version {then}, this tocsin makes {now}: restore it with the"
                " tocsin that wrote it, then start this one on it"
            )

    def bring_back(self, files: Sequence[Path]) -> None:
        found = {file.stem: file for file in files}
        with self._connected() as connection, connection.transaction():
            for table in reversed(self._tables()):  # the row that a new store begins with
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            for table in self._tables():
                self._copy_in(connection, table, found[table])
            for table in self._tables():
                _continue_numbers(connection, table)

    def _copy_in(self, connection: psycopg.Connection[Any], table: str, path: Path) -> None:
        statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
        with path.open("rb") as file, connection.cursor().copy(statement) as copy:
            while piece := file.read(CHUNK):
                copy.write(piece)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with psycopg.connect(self._url, password=self._password or None, connect_timeout=10) as connection:
                yield connection
        except psycopg.Error as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise HubProblem(f"the {self.name} in {self._where} cannot be reached or read ({said})") from error

    @property
    def _where(self) -> str:
        return self._url.rpartition("@")[2]


def _row(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return tuple(row)


def _continue_numbers(connection: psycopg.Connection[Any], table: str) -> None:
    """New rows get numbers behind those that came back."""
    has_id = "SELECT count(*) FROM information_schema.columns WHERE table_name = %s AND column_name = 'id'"
    row = connection.execute(has_id, (table,)).fetchone()
    if row is None or not row[0]:
        return
    named = connection.execute("SELECT pg_get_serial_sequence(%s, 'id')", (table,)).fetchone()
    if named is not None and named[0] is not None:
        highest = sql.SQL("SELECT setval(%s, (SELECT max(id) FROM {})) ").format(sql.Identifier(table))
        there = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        if there is not None and there[0]:
            connection.execute(highest, (named[0],))
