"""What a PostgreSQL server says when it cannot: a sentence with the cure and no password. Depends on asyncpg."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from hub.history import HistoryFull, HistoryTrouble

CURES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (asyncpg.InvalidAuthorizationSpecificationError,),
        "set TOCSIN_HISTORY__PASSWORD, or correct the user in [history] url",
    ),
    ((asyncpg.InvalidCatalogNameError,), "create that database, or correct [history] url"),
    ((asyncpg.InsufficientPrivilegeError,), "grant the user CREATE on the database's schema and its own tables"),
    ((asyncpg.TooManyConnectionsError,), "lower [history] connections, or raise max_connections of the server"),
    ((asyncpg.ReadOnlySQLTransactionError,), "this server is a standby, name the primary in [history] url"),
    ((asyncpg.LockNotAvailableError,), "another program holds the history's lock, end it"),
    ((asyncpg.SerializationError, asyncpg.DeadlockDetectedError), "it is tried again"),
    ((asyncpg.OutOfMemoryError,), "give the server more memory"),
    ((asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError), "it is tried again when the server is back"),
    # asyncpg says InternalClientError of a connection that broke within a COPY
    (
        (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError),
        "start that server, or correct [history] url",
    ),
)
TROUBLES = tuple(kind for kinds, _ in CURES for kind in kinds)


def shown(url: str) -> str:
    """Host, port and database: what may be shown."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname}{port}{parts.path}"


def said(error: Exception) -> str:
    """In one line: details and hints may hold rows."""
    return str(error).split("\n")[0] or type(error).__name__


def broken(error: BaseException) -> bool:
    """Whether it says that the server or the way to it is at fault; a value of a wrong type is a bug."""
    if isinstance(error, asyncpg.DataError | ValueError):
        return False
    return isinstance(error, (*TROUBLES, asyncpg.DiskFullError))


@contextmanager
def told(where: str) -> Iterator[None]:
    """HistoryFull or HistoryTrouble for the server's trouble. Other errors are bugs and pass as they are."""
    try:
        yield
    except HistoryTrouble:
        raise
    except Exception as error:
        if not broken(error):
            raise
        if isinstance(error, asyncpg.DiskFullError):
            cure = "free some space on the server, nothing is lost meanwhile"
            raise HistoryFull(f"the history in {where} cannot be written ({said(error)}): {cure}") from error
        cure = next(cure for kinds, cure in CURES if isinstance(error, kinds))
        raise HistoryTrouble(f"the history in {where} does not answer ({said(error)}): {cure}") from error
