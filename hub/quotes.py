"""The hot state: the newest Quote of each instrument, in the process that asks.

`start` fills from history, so that a price is known before the first tick, then follows `quote.*`. Those messages
may be dropped, so a quote is never newer than the stream and may be a little older; its age is computed when it is
read, against the clock, and tells also of an ingest that fell silent. What is malformed is refused and counted.
Depends on hub.bus, a history and the catalogue.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub import bus as names
from hub.bus import Bus
from hub.logs import Repeats
from hub.model import SECOND_US, Candle, Instrument, Nature, Quote, Tick

log = structlog.get_logger("quotes")


class Past(Protocol):
    """What is needed of hub.history."""

    async def last_ticks(self) -> dict[str, Tick]: ...

    async def natures(self) -> dict[str, Nature]: ...

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        """The UTC day's candle so far, and the one of the day before."""
        ...


class Known(Protocol):
    """What is needed of the catalogue."""

    def get(self, instrument_id: str) -> Instrument | None: ...


def now_us() -> int:
    return time.time_ns() // 1000


class Quotes:
    def __init__(self, bus: Bus, history: Past, catalogue: Known, *, clock: Callable[[], int] = now_us) -> None:
        self.refused: Counter[str] = Counter()
        self._bus = bus
        self._history = history
        self._catalogue = catalogue
        self._clock = clock
        self._quotes: dict[str, Quote] = {}
        self._subscription: Subscription | None = None
        self._decode = msgspec.json.Decoder(Quote).decode
        self._troubles = Repeats(log)

    async def start(self) -> None:
        """Returns once it follows the bus and every instrument of history has its last price."""
        self._subscription = await self._bus.client.subscribe("quote.*", cb=self._heard)
        ticks, natures = await self._history.last_ticks(), await self._history.natures()
        await asyncio.gather(*(self._fill(tick, natures.get(tick.source, Nature.LIVE)) for tick in ticks.values()))

    async def stop(self) -> None:
        if self._subscription is not None and not self._bus.client.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    def get(self, instrument_id: str) -> Quote | None:
        return self._quotes.get(instrument_id)

    def all(self) -> Sequence[Quote]:
        """By instrument id."""
        return [self._quotes[id] for id in sorted(self._quotes)]

    def age_s(self, quote: Quote) -> float:
        """Since the price was received; never negative, whatever the clocks say."""
        return max((self._clock() - quote.received_at) / SECOND_US, 0.0)

    def stale(self, quote: Quote) -> bool:
        """Whether the instrument is blind: said by ingest, or in open hours silent for longer than it may be. A
        closed market is not stale."""
        if quote.stale_since is not None:
            return True
        instrument = self._catalogue.get(quote.instrument)
        return quote.market_open and instrument is not None and self.age_s(quote) > instrument.stale_after_s

    async def _fill(self, tick: Tick, nature: Nature) -> None:
        price, received_at = tick_price(tick), tick.received_at
        if price is None or received_at is None or self._catalogue.get(tick.instrument) is None:
            return
        time_us = tick.venue_time or received_at
        today, before = await self._history.day(tick.instrument, time_us)
        self._take(
            Quote(
                instrument=tick.instrument,
                price=price,
                bid=tick.bid,
                ask=tick.ask,
                time=time_us,
                received_at=received_at,
                source=tick.source,
                nature=nature,
                open=today.open if today else price,
                high=max(today.high, price) if today else price,
                low=min(today.low, price) if today else price,
                previous=before.close if before else None,
            )
        )

    async def _heard(self, message: Msg) -> None:
        try:
            quote = self._decode(message.data)
        except msgspec.MsgspecError as error:
            self._refuse("malformed", message.subject, str(error))
            return
        if names.quote(quote.instrument) != message.subject:
            self._refuse("another instrument's subject", message.subject, quote.instrument[:64])
        elif self._catalogue.get(quote.instrument) is None:
            self._refuse("unknown instrument", message.subject, quote.instrument[:64])
        else:
            self._take(quote)

    def _refuse(self, reason: str, subject: str, detail: str) -> None:
        self.refused[reason] += 1
        self._troubles.log(reason, "a quote was refused", reason=reason, subject=subject, detail=detail)

    def _take(self, quote: Quote) -> None:
        """Never backwards: what history knows is not put over what was heard meanwhile."""
        held = self._quotes.get(quote.instrument)
        if held is None or quote.received_at >= held.received_at:
            self._quotes[quote.instrument] = quote


def tick_price(tick: Tick) -> float | None:
    if tick.price is not None:
        return tick.price
    return (tick.bid + tick.ask) / 2 if tick.bid is not None and tick.ask is not None else None
