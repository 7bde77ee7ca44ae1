"""What delivery writes into the ledger: many small marks as few transactions, tried again while the ledger is away.

Natural batching: what comes while a transaction runs goes together as the next one. A mark returns only once it is
committed, however long the ledger is full or away. Depends on hub.ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import sqlalchemy as sa

from hub.ledger import Ledger, LedgerTrouble
from hub.logs import Repeats
from hub.retry import backoff

T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Marks:
    def __init__(self, ledger: Ledger, troubles: Repeats, spawn: Spawn) -> None:
        self._ledger = ledger
        self._troubles = troubles
        self._spawn = spawn
        self._waiting: list[tuple[Callable[[sa.Connection], Any], asyncio.Future[Any]]] = []
        self._writing = False

    async def write(self, fn: Callable[[sa.Connection], T]) -> T:
        """In one transaction with whatever else is to be written by then."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((fn, future))
        if not self._writing:
            self._writing = True
            self._spawn(self._write_all())
        return await future

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                results = await self.alone(lambda c, batch=batch: [fn(c) for fn, _ in batch])  # type: ignore[misc]
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        finally:
            self._writing = False

    async def alone(self, fn: Callable[[sa.Connection], T]) -> T:
        """In a transaction of its own."""
        return await self._patiently(self._ledger.write, fn)

    async def read(self, fn: Callable[[sa.Connection], T]) -> T:
        return await self._patiently(self._ledger.read, fn)

    async def _patiently(
        self, run: Callable[[Callable[[sa.Connection], T]], Awaitable[T]], fn: Callable[[sa.Connection], T]
    ) -> T:
        attempt = 0
        while True:
            try:
                result = await run(fn)
            except LedgerTrouble as error:
                attempt += 1
                self._troubles.log("ledger", "the ledger cannot be used, marks wait", reason=str(error))
                await asyncio.sleep(backoff(attempt, first_s=0.2, cap_s=5.0))
            else:
                self._troubles.over("ledger", "the ledger can be used again")
                return result
