"""One destination each: what waits for it, and its turn among those that want to send at the same time.

No input, no output. Within a destination the order is that of the outbox; among destinations those go first for which
something urgent waits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hub.ledger.outbox import Due
from hub.model import Destination


class Lane:
    """What waits for a destination, oldest first. `spilled`: older rows than the next offer are in the table, so
    offers go there too until a sweep has fetched them."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.waiting: deque[Due] = deque()
        self.spilled = False
        self.busy = False
        self.failing = False  # its failed message is being put back: nothing newer may be fetched before that is done
        self.spilled_at = 0  # of Delivery's count of spills

    @property
    def urgent(self) -> bool:
        return any(due.notification.urgent for due in self.waiting)


class Turns:
    """So many at the same time; who waits goes in the order of coming, the urgent before the others."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._urgent: dict[int, asyncio.Future[None]] = {}
        self._others: dict[int, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, number: int, urgent: bool) -> AsyncIterator[None]:
        """`number` is of who waits; one waits once."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(number, urgent)
        try:
            yield
        finally:
            self._pass_on()

    def hurry(self, number: int) -> None:
        """Something urgent came for one that may be waiting."""
        future = self._others.pop(number, None)
        if future is not None:
            self._urgent[number] = future

    async def _wait(self, number: int, urgent: bool) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._others)[number] = future
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._pass_on()
            self._urgent.pop(number, None)
            self._others.pop(number, None)
            raise

    def _pass_on(self) -> None:
        for waiting in (self._urgent, self._others):
            while waiting:
                future = waiting.pop(next(iter(waiting)))
                if not future.done():
                    future.set_result(None)
                    return
        self._free += 1
