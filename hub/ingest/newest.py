"""The newest quote of each instrument, on core NATS, for whoever wants nothing older: at most ten a second each.

What changed within a tenth of a second goes out as one; a quote that is lost is replaced by the next one. Depends on
hub.bus.
"""

import asyncio
import contextlib
from collections.abc import Mapping

import msgspec
import nats.errors

from hub import bus as names
from hub.bus import Bus
from hub.ingest.pending import Lane
from hub.model import Nature, Quote

EVERY_S = 0.1


class Newest:
    """`run` for ever. `natures`: of sources."""

    def __init__(self, bus: Bus, natures: Mapping[str, Nature]) -> None:
        self._bus = bus
        self._natures = natures
        self._changed: dict[str, Lane] = {}
        self._latest: dict[str, Lane] = {}
        self._due = asyncio.Event()

    def moved(self, known: Lane) -> None:
        """Its tick moved the price; told once until that went out."""
        known.changed = True
        if (other := self._changed.get(known.instrument)) is not None:
            other.changed = False  # another source spoke a moment ago; it may speak again
        self._changed[known.instrument] = known
        self._due.set()

    def again(self, instrument: str) -> None:
        """Its market opened, closed or went blind: viewers hear of it without a new price."""
        known = self._latest.get(instrument)
        if known is not None and instrument not in self._changed:
            self._changed[instrument] = known
            self._due.set()

    async def run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            changed, self._changed = self._changed, {}
            for known in changed.values():
                known.changed = False
                with contextlib.suppress(nats.errors.Error):
                    quote = msgspec.json.encode(self._quote(known))
                    await self._bus.client.publish(names.quote(known.instrument), quote)
            self._latest.update(changed)
            await asyncio.sleep(EVERY_S)

    def _quote(self, known: Lane) -> Quote:
        day, desk, tick = known.day, known.desk, known.tick
        assert tick is not None
        at = tick.received_at or desk.last_at
        return Quote(
            instrument=known.instrument,
            price=known.price,
            bid=tick.bid,
            ask=tick.ask,
            time=tick.venue_time or at,
            received_at=at,
            source=known.source,
            nature=self._natures[known.source],
            open=day.open,
            high=day.high,
            low=day.low,
            previous=day.previous,
            market_open=desk.open,
            stale_since=desk.stale_since,
        )
