"""Splits of stocks as operators and admins see and tell them. Depends on the ledger and history."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from hub.i18n import _
from hub.ledger import Ledger
from hub.ledger import splits as stored
from hub.model import Request, Split
from hub.plugin import BadRequest, Catalogue, Market
from hub.splits import in_effect, known

NEAR_US = 7 * 86_400_000_000
"""So far before and behind a split a price of its days is looked for."""


class StockSplits:
    """The part of hub.plugin.Context that is about splits."""

    catalogue: Catalogue
    market: Market
    now: Callable[[], int]
    _ledger: Ledger

    async def splits(self) -> Sequence[Split]:
        return known(await self._ledger.read(stored.rows), self.catalogue)

    async def split_alerts(self, instrument_id: str) -> tuple[int, int]:
        return await self._ledger.read(lambda c: stored.concerned(c, instrument_id))

    async def around(self, instrument_id: str, day: str) -> tuple[float, float] | None:
        instrument = self.catalogue.get(instrument_id)
        at = in_effect(day, instrument) if instrument is not None else 0
        before = await self.market.candles(instrument_id, "1h", at - NEAR_US, at)
        behind = await self.market.candles(instrument_id, "1h", at, at + NEAR_US)
        return (before[-1].close, behind[0].open) if before and behind else None

    async def add_split(self, request: Request, instrument_id: str, day: str, numerator: int, denominator: int) -> None:
        told_by, now = request.user.name, self.now()

        def write(c: sa.Connection) -> bool:
            return stored.add(c, instrument_id, day, numerator, denominator, told_by, now)

        if not await self._ledger.write(write):
            raise BadRequest(_("{instrument} has a split of that day already").format(instrument=instrument_id))

    async def remove_split(self, instrument_id: str, day: str) -> Split:
        found = next(
            (each for each in await self.splits() if (each.instrument, each.day) == (instrument_id, day)), None
        )
        if found is None:
            raise BadRequest(_("{instrument} has no split of {day}").format(instrument=instrument_id, day=day))
        if not await self._ledger.write(lambda c: stored.remove(c, found.id)):
            raise BadRequest(
                _("levels have moved over that split already, and their owners were told: they edit what is wrong")
            )
        return found
