"""The leases of a core: taken together, renewed together, and given up together at its end.

On SQLite the lock of the data folder keeps every other core out, so they are taken at once from whoever had them. A
ledger that several cores share gives them out when they are free or have run out; until then the core stands by.
Depends on hub.ledger.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa
import structlog

from hub.ledger import Ledger, LedgerTrouble, LedgerUnsure, leases, outbox
from hub.model import SECOND_US

log = structlog.get_logger("app")
INGEST = "ingest"
LEASE_US = 10 * SECOND_US
FIRST_LEASE_US = 30 * SECOND_US
"""So long a core may take from having the leases to its services."""
RENEW_EVERY_S = 3.0


def now_us() -> int:
    return time.time_ns() // 1000


class Held:
    """`epochs`: what is held, by name. `holder` is also the name under which the core claims notifications.
    `newest_epoch`: that the one of ingest has to be above."""

    def __init__(
        self,
        ledger: Ledger,
        wanted: Sequence[str],
        holder: str,
        newest_epoch: Callable[[], Awaitable[int]] | None = None,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self.epochs: dict[str, int] = {}
        self._ledger = ledger
        self._wanted = wanted
        self._holder = holder
        self._newest_epoch = newest_epoch
        self._clock = clock

    @property
    def waits_for(self) -> list[str]:
        return [name for name in self._wanted if name not in self.epochs]

    async def take(self) -> bool:
        """All or none of them. What the cores before had claimed of the outbox is free then: they are gone, or will
        find themselves fenced."""
        newest = await self._newest_epoch() if self._newest_epoch is not None else 0
        above = {name: newest if name == INGEST else 0 for name in self._wanted}
        at_once = not self._ledger.shared

        def all_or_none(connection: sa.Connection) -> dict[str, int] | None:
            before = leases.holders(connection, self._wanted) - {self._holder}
            now = self._clock()
            epochs = leases.take_all(connection, above, self._holder, now, FIRST_LEASE_US, at_once=at_once)
            for holder in sorted(before) if epochs is not None else ():
                outbox.release(connection, holder)
            return epochs

        epochs = await self._ledger.write(all_or_none)
        self.epochs = epochs or {}
        return epochs is not None

    async def run(self) -> None:
        """Renews them for ever. LeaseLost once another core has one."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            with contextlib.suppress(LedgerTrouble):
                await self.renew()

    async def renew(self) -> None:
        def all_of_them(connection: sa.Connection) -> None:
            until = self._clock() + LEASE_US
            for name, epoch in sorted(self.epochs.items()):
                leases.renew(connection, name, epoch, until)

        await self._ledger.write(all_of_them)

    async def drop(self) -> None:
        """At the end, so that a standby need not wait until they run out. What another core has by now stays its."""

        def all_of_them(connection: sa.Connection) -> None:
            for name, epoch in sorted(self.epochs.items()):
                leases.drop(connection, name, epoch)

        try:
            await self._ledger.write(all_of_them)
        except (LedgerTrouble, LedgerUnsure) as error:
            log.warning("the leases were not given up, they run out by themselves", reason=str(error))
