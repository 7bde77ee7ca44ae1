"""The market as commands see it: candles, statistics, rankings, currencies and charts. Implements hub.plugin.Market."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from hub.cache import Cache
from hub.history import History
from hub.model import Candle, Mover, Nature, Quote, Rate, Summary
from hub.plugin import BadRequest, Catalogue


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
        history: History,
        quotes: Quotes,
        catalogue: Catalogue,
        cache: Cache,
        charts: Draws | None = None,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._history = history
        self._quotes = quotes
        self._catalogue = catalogue
        self._cache = cache
        self._charts = charts
        self._clock = clock

    def now(self, instrument_id: str = "") -> int:
        quote = self._quotes.get(instrument_id)
        newest = [quote] if quote else list(self._quotes.all())
        if newest and all(one.nature is Nature.RECORDING for one in newest):
            return max(one.time for one in newest)
        return self._clock()

    async def candles(self, instrument_id: str, rung: str, start_us: int, end_us: int) -> Sequence[Candle]:
        return await self._history.candles(instrument_id, rung, start_us, end_us)

    async def window(self, instrument_id: str, start_us: int, end_us: int, points: int) -> tuple[str, Sequence[Candle]]:
        return await self._history.window(instrument_id, start_us, end_us, points)

    async def reach(self, instrument_id: str) -> tuple[int, int] | None:
        raise NotImplementedError

    async def summary(self, instrument_id: str, start_us: int, end_us: int) -> Summary | None:
        raise NotImplementedError

    async def movers(self, span: str, count: int, *, by: Literal["up", "down", "volatile"]) -> Sequence[Mover]:
        raise NotImplementedError

    def rate(self, source: str, target: str) -> Rate:
        raise NotImplementedError

    async def draw(self, chart: msgspec.Struct) -> bytes:
        if self._charts is None:
            raise BadRequest('charts need matplotlib: pip install "tocsin[charts]"')
        return await self._charts.draw(chart)
