"""A lane of the ledger: one connection in a thread of its own, and what a caller is told when it cannot be used.

`run(fn)` is one transaction, all or nothing, in one hop to the thread. LedgerTrouble promises that nothing of it was
kept, so the same call may be repeated. `SqliteLane` is here, PostgreSQL's is `hub.ledger.postgres`. Depends on
SQLAlchemy.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

T = TypeVar("T")


class LedgerTrouble(Exception):
    """The ledger cannot be read or written now. Nothing of the transaction was kept; it can be tried again."""


class LedgerFull(LedgerTrouble):
    """There is no room for it on its disk."""


class LedgerAway(LedgerTrouble):
    """The server does not answer, or lost the connection."""


class LedgerUnsure(Exception):
    """Whether a transaction was kept is not known, and cannot be asked. What is in memory may be behind the ledger:
    whoever gets this must stop and begin again from what is stored. Every later write of the lane raises it too."""


class Lane(Protocol):
    async def run(self, fn: Callable[[sa.Connection], T]) -> T: ...

    def close(self) -> None:
        """Waits for what runs, then closes the connection."""
        ...


class Thread:
    """The thread of a lane. Who is cancelled while it waits finds the transaction whole or not at all."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"ledger-{name}")

    async def run(self, work: Callable[[], T]) -> T:
        """In the caller's context: what is worded in there is worded in the language that the caller speaks."""
        work_here = partial(copy_context().run, work)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work_here)

    def close(self, last: Callable[[], None]) -> None:
        self._pool.submit(last).result()
        self._pool.shutdown()


CURES = {
    "is full": (LedgerFull, "free some space, the hub goes on by itself"),
    "disk I/O": (LedgerFull, "free some space, or look at the disk and the system's log; the hub goes on by itself"),
    "readonly": (LedgerTrouble, "make the file and its folder writable"),
    "unable to open": (LedgerTrouble, "make the file and its folder readable and writable"),
}
"""What SQLite says of a file that it cannot write → what that is, and what a person can do."""


class SqliteLane:
    def __init__(self, path: Path, synchronous: str, name: str) -> None:
        self.path = path
        self._thread = Thread(name)
        self._engine = sa.create_engine(
            f"sqlite:///{path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "timeout": 30},
            hide_parameters=True,  # addresses are secret
        )
        sa.event.listen(self._engine, "connect", lambda raw, _: _tune(raw, synchronous))
        self._connection: sa.Connection | None = None  # opened in the thread, kept until the end

    async def run(self, fn: Callable[[sa.Connection], T]) -> T:
        return await self._thread.run(lambda: self._transaction(fn))

    def _transaction(self, fn: Callable[[sa.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._connection.begin():
                return fn(self._connection)
        except sa.exc.OperationalError as error:
            said = str(error.orig)
            for words, (kind, cure) in CURES.items():
                if words in said:
                    free_mb = shutil.disk_usage(self.path.parent).free / 1e6
                    raise kind(
                        f"the ledger {self.path} cannot be written ({said}; {free_mb:.1f} MB free): {cure}"
                    ) from error
            raise

    def close(self) -> None:
        self._thread.close(self._end)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _tune(raw: sqlite3.Connection, synchronous: str) -> None:
    for pragma in (
        "journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "busy_timeout=30000", "secure_delete=ON",
    ):  # fmt: skip
        raw.execute(f"PRAGMA {pragma}")
