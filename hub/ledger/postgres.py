"""The ledger's lanes on PostgreSQL, through psycopg: what several cores on several machines share.

A transaction that met another one (a key that the other inserted first, a deadlock) or a connection that had died
while it rested is run once more, so `fn` may run twice and must change nothing but the ledger. A commit whose answer
was lost is asked after by its transaction number, so LedgerAway means that nothing was kept, here as well; where the
server stays away too long to be asked it is LedgerUnsure. (PostgreSQL forgets commits only where an asynchronous
standby takes over; that is no ledger to trust.) What a server says may hold values, and so addresses: of errors that
are bugs only the first line is passed on. Depends on SQLAlchemy and psycopg.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from hub.ledger.lane import LedgerAway, LedgerFull, LedgerTrouble, LedgerUnsure, Thread

T = TypeVar("T")

CONNECT_S = 5
SETTLE_S = 30.0
"""So long the fate of a commit is asked for."""
UNNOTICED_S = 1.0
"""A commit takes no longer, but where the server waits for what we never sent."""
SILENT_S = 15
"""A server that acknowledges nothing for so long is lost."""
SESSION = "-c lock_timeout=30s -c idle_in_transaction_session_timeout=15s"
"""Whoever stands still in a transaction for longer holds up others: an engine that was paused, its groups."""
AGAIN = {"40001", "40P01"}  # serialization failure, deadlock
GONE = ("08", "57", "53", "58")  # classes: connection, shutdown, resources, system
READ_ONLY = "25006"  # a standby, or a primary that became one
FULL = "53100"
REFUSED = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
"""What does not mend by itself while a server is up."""


class PostgresLane:
    def __init__(self, url: str, password: str, name: str, *, reads: bool = False, settle_s: float = SETTLE_S) -> None:
        self._thread = Thread(name)
        self._where = address(url)
        self._reads = reads
        self._settle_s = settle_s
        self._engine = sa.create_engine(
            sa.make_url(url).set(drivername="postgresql+psycopg", password=password or None),
            poolclass=NullPool,
            isolation_level="REPEATABLE READ" if reads else "READ COMMITTED",
            hide_parameters=True,
            connect_args={
                "application_name": f"tocsin ledger {name}",
                "options": SESSION,
                "connect_timeout": CONNECT_S,
                "keepalives_idle": SILENT_S // 3,
                "keepalives_interval": SILENT_S // 3,
                "keepalives_count": 2,
                "tcp_user_timeout": SILENT_S * 1000,
            },
        )
        self._connection: sa.Connection | None = None
        self._closing = threading.Event()
        self._unsure = ""

    async def run(self, fn: Callable[[sa.Connection], T]) -> T:
        return await self._thread.run(lambda: self._run(fn))

    def close(self) -> None:
        self._closing.set()
        self._thread.close(self._drop)

    # ------------------------------------------------------------------------------------- in the thread

    def _run(self, fn: Callable[[sa.Connection], T]) -> T:
        if self._unsure:
            raise LedgerUnsure(self._unsure)
        try:
            return self._transaction(fn)
        except sa.exc.DBAPIError as error:
            if not _worth_repeating(error, self._connection):
                self._tell(error)
        try:
            return self._transaction(fn)
        except sa.exc.DBAPIError as error:
            self._tell(error)
            raise AssertionError from error

    def _transaction(self, fn: Callable[[sa.Connection], T]) -> T:
        """Any error that may have cost the connection drops it: the next call makes it anew."""
        try:
            connection = self._connected()
            transaction = connection.begin()
            try:
                result = fn(connection)
                number = None if self._reads else connection.scalar(_NUMBER)
            except BaseException:
                if not connection.invalidated:
                    transaction.rollback()
                raise
            self._commit(transaction, number)
            return result
        except sa.exc.DBAPIError as error:
            if _lost(error):
                self._drop()
            raise

    def _connected(self) -> sa.Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _commit(self, transaction: sa.Transaction, number: str | None) -> None:
        try:
            transaction.commit()
        except sa.exc.DBAPIError as error:
            if number is None or not _lost(error):
                raise
            self._drop()
            if not self._was_kept(number):
                raise

    def _was_kept(self, number: str) -> bool:
        """What became of a transaction whose commit was not answered. One that the server still runs, not having
        noticed that we are gone, is ended."""
        began = time.monotonic()
        deadline = began + self._settle_s
        while time.monotonic() < deadline and not self._closing.is_set():
            try:
                with self._engine.connect() as connection:
                    fate = connection.scalar(_FATE, {"number": number})
                    if fate == "in progress" and time.monotonic() > began + UNNOTICED_S:
                        connection.execute(_END, {"number": number})
            except sa.exc.DBAPIError as error:
                if _code(error) == "22023":  # a number that this server has not given yet
                    return False
                fate = None
            if fate in ("committed", "aborted"):
                return bool(fate == "committed")
            self._closing.wait(0.1)
        self._unsure = (
            f"the ledger at {self._where} was lost in the middle of a commit and did not come back within"
            f" {self._settle_s:g} s: whether it was kept is not known, so the core begins again from what is stored"
        )
        raise LedgerUnsure(self._unsure)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _tell(self, error: sa.exc.DBAPIError) -> None:
        """Raises what the caller shall hear."""
        said, code = _first_line(error), _code(error)
        if code == FULL:
            raise LedgerFull(
                f"the ledger at {self._where} has no room ({said}): free some space, the hub goes on by itself"
            ) from None
        if code == READ_ONLY:
            raise LedgerAway(
                f"the ledger at {self._where} can only be read ({said}): give [ledger] url the primary server"
            ) from None
        if any(words in said for words in REFUSED) and self._connection is None:
            raise LedgerTrouble(
                f"the ledger at {self._where} refuses this hub ({said}): look at [ledger] url and"
                " TOCSIN_LEDGER__PASSWORD, and whether the server has that user and database"
            ) from None
        if _lost(error) or code in AGAIN or code.startswith("55"):
            raise LedgerAway(f"the ledger at {self._where} does not answer ({said}): the hub tries again") from None
        kind = type(error)
        raise kind(error.statement, None, Exception(f"{said} ({code})"), hide_parameters=True) from None


_NUMBER = sa.text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")
_END = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_xid = CAST(CAST(:number AS xid8) AS xid)"
)
_FATE = sa.text("SELECT pg_xact_status(CAST(:number AS xid8))")


def address(url: str) -> str:
    """Where a PostgreSQL URL points, for people: never its user or password."""
    parts = sa.make_url(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.host or 'localhost'}{port}/{parts.database or ''}"


def _worth_repeating(error: sa.exc.DBAPIError, connection: sa.Connection | None) -> bool:
    """Once more at once: another transaction came first, or a connection that rested had died."""
    met_another = isinstance(error, sa.exc.IntegrityError) or _code(error) in AGAIN
    return met_another or (connection is None and _lost(error) and error.statement is not None)


def _lost(error: sa.exc.DBAPIError) -> bool:
    """Whether the connection is of no use any more."""
    code = _code(error)
    if error.connection_invalidated or code == READ_ONLY or code.startswith(GONE):
        return True
    return not code and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def _code(error: sa.exc.DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _first_line(error: sa.exc.DBAPIError) -> str:
    """Without the DETAIL, which quotes values. (What libpq says of a connection has its reason in the first line.)"""
    diagnosis: Any = getattr(error.orig, "diag", None)
    primary = getattr(diagnosis, "message_primary", None)
    lines = str(primary or error.orig).strip().splitlines()
    return lines[0].strip() if lines else type(error.orig).__name__
