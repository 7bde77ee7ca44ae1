"""What owners hold, for alerts on the value of their portfolio.

It lies in the ledger, where commands change it; the engine looks every LOOK_EVERY_S whether it did. Where it has, the
portfolio has another value that no market made: its alerts take their side from the next value, and fire nothing.
Depends on hub.ledger.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Protocol

from hub.engine.board import Board
from hub.ledger import Ledger, LedgerTrouble, keeping
from hub.model import Lot
from hub.rules.graph import Lots
from hub.rules.series import Portfolio

LOOK_EVERY_S = 5.0


class Engine(Protocol):
    """What is needed of the engine."""

    ledger: Ledger
    board: Board
    lock: asyncio.Lock


class Holdings:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lots: dict[int, tuple[Lot, ...]] = {}
        engine.board.maker.held = self.held

    def held(self, owner_id: int, portfolio: Portfolio) -> Lots:
        """Quantities by instrument, in the order of the lots."""
        found: dict[str, float] = {}
        for lot in self._lots.get(owner_id, ()):
            if lot.portfolio == portfolio.name and not lot.sold_on:
                found[lot.instrument] = found.get(lot.instrument, 0.0) + lot.quantity
        return Lots(tuple(found.items()))

    async def fetch(self, owner_ids: Collection[int]) -> set[int]:
        """As the ledger has them now; whose are others than before."""
        if not owner_ids:
            return set()
        rows = await self._engine.ledger.read(
            lambda c: {owner_id: tuple(keeping.lots_of(c, owner_id)) for owner_id in owner_ids}
        )
        changed = {owner_id for owner_id, lots in rows.items() if self._lots.get(owner_id) != lots}
        self._lots.update(rows)
        return changed

    async def watch(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(LedgerTrouble):
                await self.look()

    async def look(self) -> None:
        owners = self._engine.board.portfolio_owners()
        for forgotten in self._lots.keys() - owners:
            del self._lots[forgotten]
        changed = await self.fetch(owners)
        if changed:
            async with self._engine.lock:
                self._engine.board.revalue(changed)
