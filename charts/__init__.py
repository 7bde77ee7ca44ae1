"""Charts: candles → PNG."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hub.cache import Cache


@asynccontextmanager
async def open_renderer(cache: Cache, timeout_s: float) -> AsyncIterator[None]:
    yield None
