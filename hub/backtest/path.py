"""What history holds of one instrument in a span, as ticks in the order in which they came.

Ticks where they are kept. A minute without any, or all of it where they are too many, is told by its candle: as the
four prices of its path. Where a rung has no candle and a coarser one has (bars that were imported), that one tells.
Ticks come by their time of receipt, which is the stream's order but for those that were held as outliers; what was
received at the same microsecond comes by the venue's time. Depends on hub.history and hub.engine.past.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec

from hub.engine.past import path_of
from hub.history.adjusted import Reads
from hub.history.ladder import floor, length_us
from hub.model import MOVES, SECOND_US, Candle, Instrument, Kind, Tick, Verdict
from hub.rules.series import DAY_US, HOUR_US, MINUTE_US

BEHIND_US = 60 * SECOND_US
"""So much later than it was received a tick may be stamped and still come in its place among those of others."""
BEFORE_US = 4 * DAY_US
"""So far before a span its last earlier price is looked for."""
LOOKED_AT = 256
"""Ticks among which that price is looked for, before it is taken from a candle."""
CANDLES = " candles"
"""Behind a rung: the source of what a candle tells."""
received = attrgetter("received_at")


class Wanted(NamedTuple):
    """What is read of every leg of an alert."""

    ticks: bool
    rungs: tuple[str, ...]  # whose candles tell what no tick tells, the finest first
    aside: bool  # ticks of the other kind than the price's
    standby: bool  # and those of sources that do not speak


class Leg:
    """One instrument; `until` is called for one piece of time after the other."""

    def __init__(self, history: Reads, instrument: Instrument, wanted: Wanted) -> None:
        self.instrument = instrument
        self.ticks = 0  # that moved the price
        self.candles: Counter[str] = Counter()
        self._history = history
        self._wanted = wanted
        self._kind = Kind.QUOTE if instrument.basis == "mid" else Kind.TRADE
        self._most = Verdict.STANDBY if wanted.standby else Verdict.ASIDE if wanted.aside else Verdict.CONFIRMED
        self._held: list[Tick] = []
        self._day: list[Told] = []  # by candles, of `_day_until` and what is before
        self._day_until = 0

    @property
    def on_ticks(self) -> bool:
        return self._wanted.ticks

    async def before(self, start_us: int) -> list[Tick]:
        """The newest price before that, and what its other kind said last."""
        name, history = self.instrument.id, self._history
        found: list[Tick] = []
        if self._wanted.ticks:
            newest = await history.ticks(name, start_us - BEFORE_US, start_us, limit=LOOKED_AT, newest_first=True)
            newest = [tick for tick in map(_received, newest) if (tick.received_at or 0) < start_us]
            moved = next((tick for tick in newest if tick.verdict < MOVES), None)
            beside = next((tick for tick in newest if tick.verdict == Verdict.ASIDE), None)
            found = [tick for tick in (moved, beside) if tick is not None]
            if moved is not None:
                return sorted(found, key=received)
        if self._wanted.rungs:
            hour = floor(start_us, HOUR_US)
            candles = await history.candles(name, "1m", hour, start_us - MINUTE_US + 1)
            length = MINUTE_US
            if not candles:
                candles, length = await history.candles(name, "1h", hour - BEFORE_US, hour - HOUR_US + 1), HOUR_US
            if candles:
                newest_one = candles[-1]
                found.append(self._tick(newest_one.start + length - 1, newest_one.close, None, "1h"))
        return found

    async def until(self, start_us: int, end_us: int) -> list[Tick]:
        """All in [start, end) and what the last piece kept, by their time of receipt; the last BEHIND_US of ticks are
        kept for the next piece."""
        if not self._wanted.ticks:
            return [tick for told in await self._told(start_us, end_us, set()) for tick in self._path(told)]
        told: list[Tick] = []
        minutes: set[int] = set()
        async for ticks in self._history.scan(self.instrument.id, start_us, end_us):
            for tick in ticks:
                if tick.verdict < MOVES or tick.verdict == Verdict.LATE:
                    minutes.add(floor(tick.venue_time or tick.received_at or 0, MINUTE_US))
                    self.ticks += tick.verdict < MOVES
                if tick.verdict <= self._most and tick.price is not None:
                    told.append(_received(tick))
        for candle in await self._told(start_us, end_us, minutes):
            told += self._path(candle)
        self._held += told
        self._held.sort(key=received)
        return self._let_go(end_us - BEHIND_US)

    def rest(self) -> list[Tick]:
        """What was kept for a next piece."""
        held, self._held = self._held, []
        return held

    def _let_go(self, before_us: int) -> list[Tick]:
        count = bisect_left(self._held, before_us, key=received)
        found, self._held = self._held[:count], self._held[count:]
        return found

    async def _told(self, start_us: int, end_us: int, minutes: set[int]) -> "list[Told]":
        """By candles, of minutes that no tick tells of."""
        if not self._wanted.rungs:
            return []
        if self._wanted.ticks and start_us >= self._day_until:
            self._day = await self.layers(self._wanted.rungs, floor(start_us, DAY_US), floor(start_us, DAY_US) + DAY_US)
            self._day_until = floor(start_us, DAY_US) + DAY_US
        elif not self._wanted.ticks:
            self._day = await self.layers(self._wanted.rungs, start_us, end_us)
        return [
            told
            for told in self._day
            if start_us <= told.candle.start < end_us
            and (told.length_us > MINUTE_US or told.candle.start not in minutes)
        ]

    async def layers(self, rungs: Sequence[str], start_us: int, end_us: int) -> "list[Told]":
        """The finest candles of each time."""
        found: list[Told] = []
        for rung in rungs:
            length = length_us(rung)
            candles = await self._history.candles(self.instrument.id, rung, start_us, end_us)
            below = {floor(told.candle.start, length) for told in found}
            found += [Told(one, rung, length) for one in candles if one.start not in below]
        return sorted(found, key=lambda told: told.candle.start)

    async def inside(self, told: "Told") -> list[Tick]:
        """What is kept of a candle: its ticks, or where there are none its path."""
        found: list[Tick] = []
        if self._wanted.ticks:
            start_us = told.candle.start
            async for ticks in self._history.scan(self.instrument.id, start_us, start_us + told.length_us):
                found += [_received(tick) for tick in ticks if tick.verdict < MOVES and tick.price is not None]
        self.ticks += len(found)
        return sorted(found, key=received) if found else self._path(told)

    def close_of(self, told: "Told") -> Tick:
        """Its last price, as a tick."""
        return self._tick(told.candle.start + told.length_us - 1, told.candle.close, None, told.rung)

    def _path(self, told: "Told") -> list[Tick]:
        candle, rung = told.candle, told.rung
        self.candles[rung] += 1
        volume = candle.volume / 4 if self._kind is Kind.TRADE and candle.volume else None
        return [self._tick(at, price, volume, rung) for at, price, _ in path_of(candle, told.length_us)]

    def _tick(self, at: int, price: float, volume: float | None, rung: str) -> Tick:
        return Tick(
            instrument=self.instrument.id,
            kind=self._kind,
            price=price,
            volume=volume,
            venue_time=at,
            received_at=at,
            source=rung + CANDLES,
        )


class Told(NamedTuple):
    candle: Candle
    rung: str
    length_us: int


def _received(tick: Tick) -> Tick:
    """One whose time of receipt is known."""
    if tick.received_at is not None:
        return tick
    return msgspec.structs.replace(tick, received_at=tick.venue_time or 0)


def silent_us(instrument: Instrument, source: str) -> int:
    """So long after a price of that source nothing is known any more: its own patience, and where candles tell, as long
    as their prices lie apart."""
    patience = round(instrument.stale_after_s * SECOND_US)
    if not source.endswith(CANDLES):
        return patience
    return max(patience, length_us(source.removesuffix(CANDLES)) // 3 + SECOND_US)
