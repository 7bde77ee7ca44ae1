"""What owners hold, for alerts on the value of their portfolio.

It lies in the ledger, where commands change it; the engine looks every LOOK_EVERY_S whether it did. Where it has, the
portfolio has another value that no market made: its alerts take their side from the next value, and fire nothing.
Depends on hub.ledger.
"""

import asyncio
import contextlib
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from hub.engine.board import Board
from hub.engine.splitting import Over
from hub.ledger import Ledger, LedgerTrouble, keeping
from hub.model import Lot
from hub.rules.graph import Lots
from hub.rules.series import Portfolio

LOOK_EVERY_S = 5.0
Held = dict[tuple[str, str], float]
"""(portfolio, instrument) → how much of it"""


class Engine(Protocol):
    """What is needed of the engine."""

    ledger: Ledger
    board: Board
    lock: asyncio.Lock


class Holdings:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: dict[int, Held] = {}
        engine.board.maker.held = self.held

    def held(self, owner_id: int, portfolio: Portfolio) -> Lots:
        return _of(self._held.get(owner_id, {}), portfolio)

    def carried(self, over: Sequence[Over]) -> None:
        """Committed: the ledger's lots are in new shares, and so are the portfolios on the board."""
        for split in (each.split for each in over if each.groups is None):
            for held in self._held.values():
                for place in [place for place in held if place[1] == split.instrument]:
                    held[place] /= split.factor

    async def fetch(self, owner_ids: Collection[int]) -> set[int]:
        """As the ledger has them now; whose are others than before."""
        if not owner_ids:
            return set()
        rows = await self._engine.ledger.read(
            lambda c: {owner_id: _held(keeping.lots_of(c, owner_id)) for owner_id in owner_ids}
        )
        changed = {owner_id for owner_id, held in rows.items() if not _same(self._held.get(owner_id), held)}
        self._held.update({owner_id: rows[owner_id] for owner_id in changed})
        return changed

    async def watch(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(LedgerTrouble):
                await self.look()

    async def look(self) -> None:
        owners = self._engine.board.portfolio_owners()
        for forgotten in self._held.keys() - owners:
            del self._held[forgotten]
        changed = await self.fetch(owners)
        if changed:
            async with self._engine.lock:
                self._engine.board.revalue(changed)


def _held(lots: Iterable[Lot]) -> Held:
    found: Held = {}
    for lot in lots:
        if not lot.sold_on:
            place = (lot.portfolio, lot.instrument)
            found[place] = found.get(place, 0.0) + lot.quantity
    return found


def held_of(lots: Iterable[Lot], portfolio: Portfolio) -> Lots:
    """What of these lots is held in that portfolio."""
    return _of(_held(lots), portfolio)


def _of(held: Held, portfolio: Portfolio) -> Lots:
    """Quantities by instrument, in the order of the lots."""
    return Lots(tuple((name, count) for (of, name), count in held.items() if of == portfolio.name))


def _same(one: Held | None, other: Held) -> bool:
    """A split multiplies here and in the ledger, each in its own order."""
    return one is not None and list(one) == list(other) and all(map(math.isclose, one.values(), other.values()))
