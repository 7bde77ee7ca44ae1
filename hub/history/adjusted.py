"""History in today's shares: what is stored stays as it came, and is multiplied as it is read.

A price from before a split counts as much as `Splits.factor` says, a volume its inverse. A candle in whose interval a
split came into effect is put together anew from the minutes below; where there are none (a bar that was imported) it is
taken to be of the day that its interval begins with. Depends on hub.splits and the ladder.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Protocol

import msgspec

from hub.history import Position
from hub.history.ladder import RUNGS, length_us, merge
from hub.model import SECOND_US, Candle, Nature, Quote, Split, Tick
from hub.splits import Splits

FINEST = next(iter(RUNGS))


class Reads(Protocol):
    """The part of hub.history.History that reads prices."""

    async def position(self) -> Position: ...
    async def ticks(
        self, instrument: str, start_us: int, end_us: int, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Tick]: ...
    def scan(self, instrument: str, start_us: int, end_us: int) -> AsyncIterator[list[Tick]]: ...
    async def reach(self, instrument: str) -> dict[str, tuple[int, int]]: ...
    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]: ...
    async def window(self, instrument: str, start_us: int, end_us: int, points: int) -> tuple[str, list[Candle]]: ...
    async def last_ticks(self) -> dict[str, Tick]: ...
    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]: ...
    async def natures(self) -> dict[str, Nature]: ...


class AsOf:
    """A clock for Adjusted: of each instrument the moment that was named last. Before one was, it is as it came."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}

    def __call__(self, instrument: str) -> int:
        return self.at.get(instrument, 0)


class Adjusted:
    """Implements Reads. `clock`: as of when prices of an instrument are to count; only splits that are in effect by
    then do."""

    def __init__(self, history: Reads, splits: Splits, clock: Callable[[str], int]) -> None:
        self._history = history
        self._splits = splits
        self._clock = clock

    async def position(self) -> Position:
        return await self._history.position()

    async def natures(self) -> dict[str, Nature]:
        return await self._history.natures()

    async def reach(self, instrument: str) -> dict[str, tuple[int, int]]:
        return await self._history.reach(instrument)

    async def ticks(
        self, instrument: str, start_us: int, end_us: int, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Tick]:
        found = await self._history.ticks(instrument, start_us, end_us, limit=limit, newest_first=newest_first)
        return self._ticks(instrument, found)

    async def scan(self, instrument: str, start_us: int, end_us: int) -> AsyncIterator[list[Tick]]:
        async for piece in self._history.scan(instrument, start_us, end_us):
            yield self._ticks(instrument, piece)

    async def last_ticks(self) -> dict[str, Tick]:
        found = await self._history.last_ticks()
        return {name: self._ticks(name, [tick])[0] for name, tick in found.items()}

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        return await self._candles(instrument, rung, await self._history.candles(instrument, rung, start_us, end_us))

    async def window(self, instrument: str, start_us: int, end_us: int, points: int) -> tuple[str, list[Candle]]:
        rung, found = await self._history.window(instrument, start_us, end_us, points)
        return rung, await self._candles(instrument, rung, found)

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        pair = await self._history.day(instrument, time_us)
        both = await self._candles(instrument, "1d", [candle for candle in pair if candle is not None])
        found = {candle.start: candle for candle in both}
        today, before = (found[candle.start] if candle is not None else None for candle in pair)
        return today, before

    def _ticks(self, instrument: str, ticks: list[Tick]) -> list[Tick]:
        if not self._in_effect(instrument):
            return ticks
        return [self._tick(tick) for tick in ticks]

    def _tick(self, tick: Tick) -> Tick:
        at = tick.venue_time if tick.venue_time is not None else tick.received_at or 0
        by = self._splits.factor(tick.instrument, at, self._clock(tick.instrument))
        return tick if by == 1.0 else scaled_tick(tick, by)

    def _in_effect(self, instrument: str) -> Sequence[Split]:
        known = self._splits.of(instrument)
        return [split for split in known if split.at <= self._clock(instrument)] if known else ()

    async def _candles(self, instrument: str, rung: str, candles: list[Candle]) -> list[Candle]:
        splits = self._in_effect(instrument)
        if not splits or not candles or candles[0].start >= splits[-1].at:
            return candles
        length, now = length_us(rung), self._clock(instrument)
        found = []
        for candle in candles:
            within = [split for split in splits if candle.start < split.at < candle.start + length]
            if not within:
                found.append(scaled(candle, self._splits.factor(instrument, candle.start, now)))
                continue
            minutes = []
            if rung != FINEST:
                minutes = await self._history.candles(instrument, FINEST, candle.start, candle.start + length)
            parts = [scaled(one, self._splits.factor(instrument, one.start, now)) for one in minutes]
            if parts:
                found.append(msgspec.structs.replace(reduce(merge, parts), start=candle.start))
            else:
                found.append(scaled(candle, self._whole(instrument, candle, within, now)))
        return found

    def _whole(self, instrument: str, candle: Candle, within: Sequence[Split], now: int) -> float:
        """Of one that cannot be taken apart."""
        day = datetime.fromtimestamp(candle.start // SECOND_US, UTC).date().isoformat()
        behind = [split.at for split in within if day >= split.day]
        return self._splits.factor(instrument, max(behind, default=candle.start), now)


def scaled(candle: Candle, by: float) -> Candle:
    """In shares of which one price counts `by` times as much."""
    if by == 1.0:
        return candle
    return Candle(
        start=candle.start,
        open=candle.open * by,
        high=candle.high * by,
        low=candle.low * by,
        close=candle.close * by,
        volume=candle.volume / by,
        count=candle.count,
        sum=candle.sum * by,
        sum_squares=candle.sum_squares * by * by,
    )


def scaled_quote(quote: Quote, by: float) -> Quote:
    def times(price: float | None) -> float | None:
        return None if price is None else price * by

    return msgspec.structs.replace(
        quote,
        price=quote.price * by,
        bid=times(quote.bid),
        ask=times(quote.ask),
        open=quote.open * by,
        high=quote.high * by,
        low=quote.low * by,
        previous=times(quote.previous),
    )


def scaled_tick(tick: Tick, by: float) -> Tick:
    def times(price: float | None) -> float | None:
        return None if price is None else price * by

    return msgspec.structs.replace(
        tick,
        price=times(tick.price),
        bid=times(tick.bid),
        ask=times(tick.ask),
        volume=None if tick.volume is None else tick.volume / by,
    )
