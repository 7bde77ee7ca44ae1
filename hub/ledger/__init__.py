"""The ledger: users, identities, owners, destinations, alerts and their life, triggers, notifications, leases.

`Ledger.write(fn)` runs `fn(connection)` in one transaction, all or nothing; `Ledger.read(fn)` sees one
consistent state and never waits for the writer. `fn` is plain SQLAlchemy Core and runs in a thread of the
ledger's own in one hop (a hop a statement, as an async driver does it, costs the alert path five times as much).
It lies in SQLite in the data folder, or in a PostgreSQL that several cores share: `lane` and `postgres` are how.
Rooms: `people`, `alerts`, `outbox`, `leases` hold the queries by topic. Depends on SQLAlchemy and, where the
schema is older than this version, Alembic.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from hub.config import Config
from hub.ledger.lane import Lane, LedgerAway, LedgerFull, LedgerTrouble, LedgerUnsure, SqliteLane
from hub.ledger.tables import REVISION, metadata

__all__ = ["Ledger", "LedgerAway", "LedgerFull", "LedgerTooNew", "LedgerTrouble", "LedgerUnsure", "open_ledger"]

T = TypeVar("T")

SCHEMA_LOCK = 7_466_105_108_101_114
"""Of PostgreSQL: held while a core makes the tables or brings them up to date, so that one does and others wait."""

OLDEST_POSTGRES = (13,)
"""The first that tells what became of a transaction by the number that it tells."""


class LedgerTooNew(Exception):
    """It was written by a newer tocsin."""


class Ledger:
    """`shared`: other cores may use it at the same time."""

    def __init__(self, writer: Lane, reader: Lane, *, shared: bool) -> None:
        self.shared = shared
        self._writer = writer
        self._reader = reader

    async def write(self, fn: Callable[[sa.Connection], T]) -> T:
        """`fn` in one transaction; LedgerTrouble when it cannot be kept, and then nothing of it was. What `fn` raises
        rolls all of it back. `fn` may run twice, where another core's transaction came first."""
        return await self._writer.run(fn)

    async def read(self, fn: Callable[[sa.Connection], T]) -> T:
        return await self._reader.run(fn)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


@asynccontextmanager
async def open_ledger(config: Config) -> AsyncIterator[Ledger]:
    """The ledger of this configuration, its schema brought up to date. LedgerTooNew if it is ahead of us."""
    ledger = _ledger(config)
    try:
        await ledger.write(lambda connection: _bring_up_to_date(connection, name_of(config)))
        yield ledger
    finally:
        await asyncio.get_running_loop().run_in_executor(None, ledger.close)


def _ledger(config: Config) -> Ledger:
    url, password = config.ledger.url, config.ledger.password
    if url:
        if find_spec("psycopg") is None:
            raise LedgerTrouble(f'{name_of(config)} needs psycopg: install "tocsin[postgres]"')
        from hub.ledger.postgres import PostgresLane

        return Ledger(
            PostgresLane(url, password, "writer"), PostgresLane(url, password, "reader", reads=True), shared=True
        )
    path = config.folder / "ledger.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    synchronous = config.history.synchronous
    return Ledger(SqliteLane(path, synchronous, "writer"), SqliteLane(path, synchronous, "reader"), shared=False)


def name_of(config: Config) -> str:
    """The ledger of a configuration, for people."""
    if config.ledger.url:
        from hub.ledger.postgres import address

        return f"the ledger at {address(config.ledger.url)}"
    return f"the ledger {config.folder / 'ledger.db'}"


def _bring_up_to_date(connection: sa.Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        version = connection.dialect.server_version_info or ()
        if version < OLDEST_POSTGRES:
            raise LedgerTrouble(f"{name} is PostgreSQL {version[0]}: it has to be {OLDEST_POSTGRES[0]} or newer")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK)))
    found = revision_of(connection)
    if found == REVISION:
        return
    if found is None:
        metadata.create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})
        return
    if found > REVISION:
        raise LedgerTooNew(f"{name} is of revision {found}, this tocsin knows {REVISION}: start the newer tocsin")
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
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT in the server's own words: that which knows ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert as postgres_insert

    return postgres_insert(table)
