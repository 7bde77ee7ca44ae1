"""What a command may use: quotes, its person's alerts and destinations, changes through the engine, the hub's status.

Everything is for the request's person: another person's alerts and destinations are not there. Depends on the bus and
the ledger.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from hub import bus as subjects
from hub.bus import Bus
from hub.config import Config
from hub.context.alerts import Alerts, Backtests, Quotes
from hub.context.places import Places
from hub.context.splits import StockSplits
from hub.ledger import Ledger
from hub.model import Quote
from hub.plugin import Catalogue, Command, Market, People, Personal
from hub.rules.language import AlertSpec

STATUS_WAIT_S = 0.25
log = structlog.get_logger("commands")


class HubContext(Alerts, Places, StockSplits):
    """Implements hub.plugin.Context."""

    def __init__(
        self,
        *,
        bus: Bus,
        ledger: Ledger,
        quotes: Quotes,
        catalogue: Catalogue,
        config: Config,
        modules: Sequence[Command],
        market: Market,
        personal: Personal,
        people: People,
        backtests: Backtests,
        clock: Callable[[], int],
    ) -> None:
        self.market = market
        self.personal = personal
        self.people = people
        self.catalogue = catalogue
        self.now = clock
        self.decimals_of: Callable[[str], int] = self._decimals_of
        self.theme = config.charts.theme
        self._bus = bus
        self._ledger = ledger
        self._quotes = quotes
        self._config = config
        self._modules = modules
        self._backtests = backtests
        self._specs: dict[str, AlertSpec] = {}

    def _decimals_of(self, instrument_id: str) -> int:
        instrument = self.catalogue.get(instrument_id)
        return instrument.decimals if instrument else 2

    def commands(self) -> Sequence[Command]:
        return self._modules

    async def quote(self, instrument_id: str) -> Quote | None:
        return self._quotes.get(instrument_id)

    async def quotes(self) -> Sequence[Quote]:
        return list(self._quotes.all())

    async def status(self) -> Mapping[str, Any]:
        """By service name; where several answer to one name, a list. `children` is what the supervisor wrote."""
        told: dict[str, Any] = {}
        for answer in await self._bus.scatter(subjects.STATUS, b"", STATUS_WAIT_S):
            try:
                said = msgspec.json.decode(answer, type=dict[str, Any])
            except msgspec.MsgspecError:
                log.warning("a service's status could not be read", length=len(answer))
                continue
            name = str(said.get("service", "unnamed"))
            if name not in told:
                told[name] = said
            elif isinstance(told[name], list):
                told[name].append(said)
            else:
                told[name] = [told[name], said]
        children = await asyncio.to_thread(self._children)
        return {**told, "children": children} if children else told

    def _children(self) -> Any:
        try:
            return msgspec.json.decode((self._config.folder / "run" / "children.json").read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None  # no supervisor of ours, or it is just writing
