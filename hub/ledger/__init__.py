"""The ledger: users, identities, owners, destinations, alerts and their life, triggers, notifications, leases.

`Ledger.write(fn)` runs `fn(connection)` in one transaction, all or nothing; `Ledger.read(fn)` sees one
consistent state and never waits for the writer. `fn` is plain SQLAlchemy Core and runs in a thread of the
ledger's own in one hop (a hop a statement, as an async driver does it, costs the alert path five times as much).
Rooms: `people`, `alerts`, `outbox`, `leases` hold the queries by topic. Depends on SQLAlchemy and, where the
file is older than this version, Alembic.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from hub.config import Config
from hub.ledger.tables import REVISION, metadata

T = TypeVar("T")


CURES = {
    "is full": "free some space, the hub goes on by itself",
    "disk I/O": "free some space, or look at the disk and the system's log; the hub goes on by itself",
    "readonly": "make the file and its folder writable",
    "unable to open": "make the file and its folder readable and writable",
}
"""What SQLite says of a file that it cannot write → what a person can do."""


class LedgerFull(Exception):
    """The disk has no room for the ledger, or does not let it be written. Nothing of the transaction was kept; it can
    be tried again."""


class LedgerTooNew(Exception):
    """The file was written by a newer tocsin."""


class _Lane:
    """One connection in a thread of its own."""

    def __init__(self, path: Path, synchronous: str, name: str) -> None:
        self.path = path
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"ledger-{name}")
        self.engine = sa.create_engine(
            f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False, "timeout": 30}
        )
        sa.event.listen(self.engine, "connect", lambda raw, _: _tune(raw, synchronous))
        self._connection: sa.Connection | None = None  # opened in the thread, kept until the end

    async def run(self, fn: Callable[[sa.Connection], T]) -> T:
        def in_thread() -> T:
            try:
                if self._connection is None:
                    self._connection = self.engine.connect()
                with self._connection.begin():
                    return fn(self._connection)
            except sa.exc.OperationalError as error:
                said = str(error.orig)
                if cure := next((cure for words, cure in CURES.items() if words in said), ""):
                    free_mb = shutil.disk_usage(self.path.parent).free / 1e6
                    raise LedgerFull(
                        f"the ledger {self.path} cannot be written ({said}; {free_mb:.1f} MB free): {cure}"
                    ) from error
                raise

        return await asyncio.get_running_loop().run_in_executor(self.thread, in_thread)

    def close(self) -> None:
        self.thread.submit(self._end).result()
        self.thread.shutdown()

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self.engine.dispose()


def _tune(raw: sqlite3.Connection, synchronous: str) -> None:
    for pragma in (
        "journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "busy_timeout=30000", "secure_delete=ON",
    ):  # fmt: skip
        raw.execute(f"PRAGMA {pragma}")


class Ledger:
    def __init__(self, path: Path, synchronous: str = "normal") -> None:
        self.path = path
        self._writer = _Lane(path, synchronous, "writer")
        self._reader = _Lane(path, synchronous, "reader")

    async def write(self, fn: Callable[[sa.Connection], T]) -> T:
        """`fn` in one transaction; LedgerFull when the disk is. What `fn` raises rolls all of it back."""
        return await self._writer.run(fn)

    async def read(self, fn: Callable[[sa.Connection], T]) -> T:
        return await self._reader.run(fn)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


@asynccontextmanager
async def open_ledger(config: Config) -> AsyncIterator[Ledger]:
    """The ledger of this data folder, its schema brought up to date. LedgerTooNew if it is ahead of us."""
    path = config.folder / "ledger.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(path, config.history.synchronous)
    try:
        await ledger._writer.run(lambda connection: _bring_up_to_date(connection, path))
        yield ledger
    finally:
        await asyncio.get_running_loop().run_in_executor(None, ledger.close)


def _bring_up_to_date(connection: sa.Connection, path: Path) -> None:
    found = revision_of(connection)
    if found == REVISION:
        return
    if found is None:
        metadata.create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})
        return
    if found > REVISION:
        raise LedgerTooNew(f"{path} is of revision {found}, this tocsin knows {REVISION}: start the newer tocsin")
    migrate(connection)


def revision_of(connection: sa.Connection) -> str | None:
    """The schema's revision; None for an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def migrate(connection: sa.Connection, target: str = "head") -> None:
    from alembic import command
    from alembic.config import Config as AlembicConfig

    settings = AlembicConfig()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    settings.attributes["connection"] = connection
    command.upgrade(settings, target)


def insert_or_ignore(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Rows whose key is there already are left as they are."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(sqlite_insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects.postgresql import insert as postgres_insert

        connection.execute(postgres_insert(table).on_conflict_do_nothing(), rows)
