"""The connection of PostgreSQL's writer: transactions one after the other, each whole or not at all and never twice.

Every transaction first takes the lock of the position's row, so writers of any number of processes come one after the
other. A server that goes away is HistoryTrouble, and the next call connects anew. Where a COMMIT was sent and its
answer did not come, the call is in doubt: when it is repeated, the server is asked what became of that transaction
(under the position's lock, so it has come to an end); if it was committed, its answer is given and nothing is written.

Depends on asyncpg and hub.history's postgres_rows and postgres_trouble.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import asyncpg

from hub.history.postgres_rows import LOCK_POSITION
from hub.history.postgres_trouble import broken, told

T = TypeVar("T")
Connect = Callable[[], Awaitable[asyncpg.Connection]]
Call = tuple[Any, ...]
"""What is done, with all its arguments: equal for a repeat."""

DOUBTS = 8
"""Calls in doubt that are remembered. One caller has one at most, and the hub has few that write."""
CLOSE_S = 5.0

_END_BEFORE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"
_MYSELF = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
# A server that was put in the place of the first may not have come as far; asked of the future it would complain.
_STATUS = "SELECT CASE WHEN $1::text::xid8 < pg_current_xact_id() THEN pg_xact_status($1::text::xid8) END"


class Doubt(NamedTuple):
    transaction: str  # its id on the server
    call: Call
    answer: Any


class Session:
    def __init__(self, connect: Connect, where: str, forget: Callable[[], None]) -> None:
        """`forget` is called when what a transaction did was not kept, or may not have been."""
        self._connect = connect
        self._where = where
        self._forget = forget
        self._lock = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None
        self._process: tuple[int, Any] | None = None  # of the server for our connection: pid and its start
        self._doubts: list[Doubt] = []

    async def once(self, call: Call, work: Callable[[asyncpg.Connection, Any], Awaitable[T]]) -> T:
        """`work` with the connection and the position's row, in one transaction."""
        with told(self._where):
            async with self._lock, self._connected() as connection:
                await connection.execute("BEGIN")
                row = await connection.fetchrow(LOCK_POSITION)
                doubt = next((one for one in self._doubts if one.call == call), None)
                if doubt is not None:
                    committed = await connection.fetchval(_STATUS, doubt.transaction) == "committed"
                    self._doubts.remove(doubt)
                    if committed:
                        await connection.execute("ROLLBACK")
                        return doubt.answer  # type: ignore[no-any-return]
                answer = await work(connection, row)
                doubt = Doubt(row["transaction"], call, answer)
                self._doubts = [*self._doubts, doubt][-DOUBTS:]
                await connection.execute("COMMIT")
                self._doubts.remove(doubt)
                return answer

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = self._connection = await self._begin()
        try:
            yield connection
        except BaseException as error:
            self._forget()
            if broken(error) or not isinstance(error, Exception) or connection.is_closed():
                connection.terminate()  # the server takes back what it was not told to commit
            else:
                await connection.execute("ROLLBACK")
            raise

    async def _begin(self) -> asyncpg.Connection:
        """The server may not have heard yet that the connection before is gone, and keep its lock for it."""
        self._forget()
        connection = await self._connect()
        try:
            if self._process is not None:
                await connection.execute(_END_BEFORE, *self._process)
            pid, begun = await connection.fetchrow(_MYSELF)
            self._process = (pid, begun)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        if self._connection is not None:
            await close(self._connection)


async def close(one: asyncpg.Connection | asyncpg.Pool) -> None:
    """In order, or at once where the server is away."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await one.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        one.terminate()
