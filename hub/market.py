"""The market as commands see it: candles, statistics, rankings, currencies and charts. Implements hub.plugin.Market.

A window of candles is kept in the cache under the times of the candles that it holds, so everybody who looks at "the
last day" within the same candle shares one read of the history. One that ends before the current candle changes only
by late ticks and imports, and is kept for a minute; one that reaches into it for two seconds. Whoever asks for what is
just being read waits for that. Statistics are read from the ladder as hub.history.cover lays it out, and are those
of all ticks. Depends on the history, the cache, and the quotes and catalogue that `app` hands it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol
from weakref import WeakValueDictionary

import msgspec

from hub import currencies
from hub.cache import Cache, keys
from hub.history import cover as covers
from hub.history import statistics as of
from hub.history.adjusted import Adjusted, Reads
from hub.history.ladder import RUNGS, floor, length_us, rung_for
from hub.hot import SPANS, VOLATILE
from hub.model import Candle, Instrument, Mover, Nature, Quote, Rate, Session, Summary
from hub.plugin import BadRequest, Catalogue
from hub.sessions import SESSIONS
from hub.splits import Splits

PAST_TTL_S, CURRENT_TTL_S = 60.0, 2.0
MOST_RANKED = 10_000
MOST_LOOKS = 200
"""Reads below the candles of a span for its exact drawdown; behind that it is the deepest that is certain."""

CACHED = msgspec.json.Decoder(tuple[str, str, list[Candle]])
"""The rung that was wanted, the rung that it became, and the candles."""


class Quotes(Protocol):
    """The newest quotes. See hub.quotes."""

    def get(self, instrument_id: str) -> Quote | None: ...
    def all(self) -> Sequence[Quote]: ...


class Draws(Protocol):
    """What turns a charts.Chart into a PNG. See charts."""

    async def draw(self, chart: Any) -> bytes: ...


def now_us() -> int:
    return time.time_ns() // 1000


class Market:
    def __init__(
        self,
        history: Reads,
        quotes: Quotes,
        catalogue: Catalogue,
        cache: Cache,
        charts: Draws | None = None,
        *,
        clock: Callable[[], int] = now_us,
        splits: Splits | None = None,
    ) -> None:
        self._history = Adjusted(history, splits or Splits(), self.now)
        self._quotes = quotes
        self._catalogue = catalogue
        self._cache = cache
        self._charts = charts
        self._clock = clock
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def now(self, instrument_id: str = "") -> int:
        """Where all prices are of a recording: just behind the newest, so that the span that ends now holds it."""
        quote = self._quotes.get(instrument_id)
        newest = [quote] if quote else list(self._quotes.all())
        if newest and all(one.nature is Nature.RECORDING for one in newest):
            return max(one.time for one in newest) + 1
        return self._clock()

    async def candles(self, instrument_id: str, rung: str, start_us: int, end_us: int) -> Sequence[Candle]:
        return await self._history.candles(instrument_id, rung, start_us, end_us)

    async def window(self, instrument_id: str, start_us: int, end_us: int, points: int) -> tuple[str, Sequence[Candle]]:
        wanted = rung_for(end_us - start_us, points)
        length = length_us(wanted)
        first, last = floor(start_us, length), covers.ceil(end_us, length)
        key = keys.window(instrument_id, first, last, points)
        lock = self._reading.setdefault(key, asyncio.Lock())
        async with lock:
            if (stored := await self._cache.get(key)) is not None:
                known, rung, candles = CACHED.decode(stored)
                if known == wanted:
                    return rung, candles
            rung, candles = await self._history.window(instrument_id, start_us, end_us, points)
            ttl_s = PAST_TTL_S if last <= floor(self.now(instrument_id), length) else CURRENT_TTL_S
            await self._cache.set(key, msgspec.json.encode((wanted, rung, candles)), ttl_s)
            return rung, candles

    async def reach(self, instrument_id: str) -> tuple[int, int] | None:
        spans = await self._history.reach(instrument_id)
        quote = self._quotes.get(instrument_id)
        newest = [last for _, last in spans.values()] + ([quote.time] if quote else [])
        if not newest:
            return None
        oldest = max(newest)
        for name in ("ticks", *RUNGS):  # a coarser interval reaches further back only if it ends before
            if name in spans and spans[name][0] + (0 if name == "ticks" else length_us(name)) <= oldest:
                oldest = spans[name][0]
        return oldest, max(newest)

    async def summary(self, instrument_id: str, start_us: int, end_us: int) -> Summary | None:
        held = await self._cover(instrument_id, start_us, end_us)
        if not held.parts:
            return None
        totals = of.total([part.candle for part in held.parts])
        rung, candles = await self.window(instrument_id, start_us, end_us, of.VOLATILITY_POINTS)
        begun = [one for one in candles if one.start >= start_us]
        return Summary(
            instrument=instrument_id,
            start=held.start_us,
            end=held.end_us,
            change=totals.close / totals.open - 1,
            drawdown=await self._drawdown(instrument_id, held),
            volatility=of.yearly_volatility(begun, rung, self._session(instrument_id)),
            **msgspec.structs.asdict(totals),
        )

    async def _cover(self, instrument_id: str, start_us: int, end_us: int) -> covers.Cover:
        """What is read while a tick lands may hold it in one rung and not yet in another: its minute is then taken
        whole, which at the end of now is the same."""
        pieces = covers.cover(start_us, end_us)
        ticks = [piece for piece in pieces if piece.rung == covers.TICKS]
        rungs = [piece for piece in pieces if piece.rung != covers.TICKS]
        found_ticks = await asyncio.gather(*(self._history.ticks(instrument_id, *piece[1:]) for piece in ticks))
        found = await asyncio.gather(*(self._history.candles(instrument_id, *piece) for piece in rungs))
        candles: dict[str, list[Candle]] = {}
        for piece, held in zip(rungs, found, strict=True):
            candles.setdefault(piece.rung, []).extend(held)
        cover = covers.assemble(candles, [tick for held in found_ticks for tick in held], start_us, end_us)
        return cover._replace(end_us=end_us) if end_us >= self.now(instrument_id) else cover

    async def _drawdown(self, instrument_id: str, held: covers.Cover) -> float:
        """Looks into the candles that may hide a deeper fall than is certain, until none is left."""
        parts, closed, looks = list(held.parts), set[tuple[str, int]](), 0
        while True:
            found = of.falls([part.candle for part in parts])
            hidden = [index for index in found.hidden if _place(parts[index]) not in closed]
            looks += len(hidden)
            if not hidden or looks > MOST_LOOKS:
                return found.deepest
            finer = await asyncio.gather(*(self._below(instrument_id, parts[index], held) for index in hidden))
            for index, below in reversed(list(zip(hidden, finer, strict=True))):
                closed.add(_place(parts[index]))
                if sum(part.candle.count for part in below) == parts[index].candle.count:
                    parts[index : index + 1] = below

    async def _below(self, instrument_id: str, part: covers.Part, held: covers.Cover) -> list[covers.Part]:
        start = part.candle.start
        if part.rung in (covers.TICKS, covers.FINEST):
            end = min(start + length_us(covers.FINEST), held.end_us)
            return covers.one_by_one(await self._history.ticks(instrument_id, max(start, held.start_us), end))
        rung = covers.BELOW[part.rung]
        candles = await self._history.candles(instrument_id, rung, start, start + length_us(part.rung))
        return [covers.Part(rung, one) for one in candles]

    async def movers(self, span: str, count: int, *, by: Literal["up", "down", "volatile"]) -> Sequence[Mover]:
        """Only what rose is "up", only what fell is "down"; volatility is over the last 24 hours, whatever the span."""
        if span not in SPANS:
            raise BadRequest(f'there is no ranking over "{span[:20]}": write {", ".join(SPANS)}')
        if by == "volatile":
            changes = dict(await self._cache.top(keys.movers(span), MOST_RANKED))
            ranked = await self._known(keys.volatile(VOLATILE), MOST_RANKED)
            return [
                Mover(instrument=one, change=changes[one], volatility=share) for one, share in ranked if one in changes
            ][:count]
        volatile = dict(await self._cache.top(keys.volatile(VOLATILE), MOST_RANKED))
        ranked = await self._known(keys.movers(span), MOST_RANKED, lowest=by == "down")
        return [
            Mover(instrument=one, change=change, volatility=volatile.get(one))
            for one, change in ranked
            if (change < 0 if by == "down" else change > 0)
        ][:count]

    async def _known(self, board: str, count: int, *, lowest: bool = False) -> list[tuple[str, float]]:
        """Without what stood on the board before the configuration changed."""
        served = {one.id for one in self._catalogue.served()}
        return [row for row in await self._cache.top(board, count, lowest=lowest) if row[0] in served]

    def rate(self, source: str, target: str) -> Rate:
        quotes = {one.instrument: one for one in self._quotes.all()}
        return currencies.rate(source, target, quotes, self._catalogue, self.is_stale)

    def is_stale(self, instrument: Instrument, quote: Quote) -> bool:
        return currencies.is_stale(instrument, quote, self._clock())

    def _session(self, instrument_id: str) -> Session:
        instrument = self._catalogue.get(instrument_id)
        return SESSIONS[instrument.session] if instrument else Session()

    async def draw(self, chart: msgspec.Struct) -> bytes:
        if self._charts is None:
            raise BadRequest('charts need matplotlib: pip install "tocsin[charts]"')
        return await self._charts.draw(chart)


def _place(part: covers.Part) -> tuple[str, int]:
    return part.rung, part.candle.start
