"""The hot state: the newest Quote of each instrument, in the process that asks.

`start` fills from the cache while a living ingest keeps it (hub.hot), and from history what the cache lacks, so that a
price is known before the first tick; then it follows `quote.*`. Those messages may be dropped, so a quote is never
newer than the stream and may be a little older; its age is computed when it is read, against the clock, and tells also
of an ingest that fell silent. What is malformed is refused and counted. Depends on hub.bus, a history and the
catalogue.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub import bus as names
from hub.bus import Bus
from hub.cache import Cache, keys
from hub.history.adjusted import AsOf, scaled_quote
from hub.logs import Repeats
from hub.model import SECOND_US, Candle, Instrument, Nature, Quote, Refused, Tick
from hub.sessions import SESSIONS, is_open
from hub.splits import Splits

log = structlog.get_logger("quotes")
_decode = msgspec.json.Decoder(Quote).decode
_decode_names = msgspec.json.Decoder(list[str]).decode


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
    def __init__(
        self,
        bus: Bus,
        history: Past,
        catalogue: Known,
        *,
        cache: Cache | None = None,
        clock: Callable[[], int] = now_us,
        splits: Splits | None = None,
        as_of: AsOf | None = None,
    ) -> None:
        """`splits`: over which a price that is held counts differently; `as_of` is the clock of that history then."""
        self.refused: Counter[str] = Counter()
        self._splits = splits or Splits()
        self._as_of = as_of or AsOf()
        self._bus = bus
        self._history = history
        self._catalogue = catalogue
        self._cache = cache
        self._clock = clock
        self._quotes: dict[str, Quote] = {}
        self._subscription: Subscription | None = None
        self._troubles = Repeats(log)

    async def start(self) -> None:
        """Returns once it follows the bus and every instrument that ever ticked has its last price. While the cache
        has them all nothing is asked of history."""
        self._subscription = await self._bus.client.subscribe("quote.*", cb=self._heard)
        kept = await cached(self._cache, self._catalogue) if self._cache is not None else None
        for quote in kept.quotes.values() if kept else ():
            self._take(quote)
        if kept is None or kept.lacking:
            await self._fill(kept.lacking if kept else None)

    async def stop(self) -> None:
        if self._subscription is not None and not self._bus.client.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    def get(self, instrument_id: str) -> Quote | None:
        quote = self._quotes.get(instrument_id)
        return None if quote is None else self._today(quote)

    def all(self) -> Sequence[Quote]:
        """By instrument id."""
        return [self._today(self._quotes[id]) for id in sorted(self._quotes)]

    def _today(self, quote: Quote) -> Quote:
        """A price from before a split, until one comes from behind it. A recording's time is that of its prices."""
        if quote.nature is Nature.RECORDING:
            return quote
        by = self._splits.factor(quote.instrument, quote.received_at, self._clock())
        return quote if by == 1.0 else scaled_quote(quote, by)

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

    async def _fill(self, wanted: Collection[str] | None) -> None:
        """From history: these, or all that it knows."""
        ticks, natures = await self._history.last_ticks(), await self._history.natures()
        asked = [tick for name, tick in ticks.items() if wanted is None or name in wanted]
        self._as_of.at.update({tick.instrument: tick.received_at or 0 for tick in asked})
        found = await asyncio.gather(
            *(
                remembered(self._history, self._catalogue, tick, natures.get(tick.source, Nature.LIVE), self._clock())
                for tick in asked
            )
        )
        for quote in found:
            if quote is not None:
                self._take(quote)

    async def _heard(self, message: Msg) -> None:
        quote = read(message.subject, message.data, self._catalogue)
        if isinstance(quote, Refused):
            self._refuse(quote.reason, message.subject, quote.sample)
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


# ---------------------------------------------------------------------------------------------- reading


def read(subject: str, payload: bytes, catalogue: Known) -> Quote | Refused:
    """A message of `quote.*`, or why it is none."""
    try:
        quote = _decode(payload)
    except msgspec.MsgspecError as error:
        return Refused(reason="malformed", sample=str(error))
    if names.quote(quote.instrument) != subject:
        return Refused(reason="another instrument's subject", sample=quote.instrument[:64])
    if catalogue.get(quote.instrument) is None:
        return Refused(reason="unknown instrument", sample=quote.instrument[:64])
    return quote


class Kept(NamedTuple):
    """What the cache has: quotes by instrument, and which instruments it should have and lacks."""

    quotes: dict[str, Quote]
    lacking: set[str]


async def cached(cache: Cache, catalogue: Known) -> Kept | None:
    """None where no living ingest keeps the cache, so that old prices in it count for nothing. A price that cannot be
    read counts as lacking."""
    listed = await cache.get(keys.PRICES)
    if listed is None:
        return None
    try:
        instruments = [one for one in _decode_names(listed) if catalogue.get(one) is not None]
    except msgspec.MsgspecError:
        return None
    quotes: dict[str, Quote] = {}
    payloads = await cache.get_many([keys.price(one) for one in instruments])
    for instrument, payload in zip(instruments, payloads, strict=True):
        quote = None if payload is None else read(names.quote(instrument), payload, catalogue)
        if isinstance(quote, Quote):
            quotes[instrument] = quote
    return Kept(quotes, set(instruments) - set(quotes))


async def remembered(history: Past, catalogue: Known, tick: Tick, nature: Nature, now: int) -> Quote | None:
    """The quote of an instrument's last tick, with its day; None where the catalogue has no such instrument. Whether
    its market is open is as of `now`, or in a recording as of the tick."""
    price, received_at, instrument = tick_price(tick), tick.received_at, catalogue.get(tick.instrument)
    if price is None or received_at is None or instrument is None:
        return None
    time_us = tick.venue_time or received_at
    today, before = await history.day(tick.instrument, time_us)
    return Quote(
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
        market_open=is_open(SESSIONS[instrument.session], received_at if nature is Nature.RECORDING else now),
    )


def tick_price(tick: Tick) -> float | None:
    if tick.price is not None:
        return tick.price
    return (tick.bid + tick.ask) / 2 if tick.bid is not None and tick.ask is not None else None
