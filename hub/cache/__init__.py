"""The cache: what may be lost at any time, in one process (`memory`) or shared by several (`redis`).

Values are bytes; times to live are seconds. A key that was evicted reads as absent, a counter or board that was
evicted begins anew: nothing that must be right stands here. No call fails because the cache is away. The names of the
keys are in `keys`. `hub.testing.check_cache` holds every implementation to this contract.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from hub.config import CacheSection


class Cache(Protocol):
    @property
    def trouble(self) -> str:
        """Why it is not there now; empty while it is. Calls go on meanwhile: they find nothing and keep nothing, and
        counters count in this process."""
        ...

    async def get(self, key: str) -> bytes | None: ...

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """As `get`, for all at once, in that order."""
        ...

    async def set_many(self, values: Mapping[str, bytes], ttl_s: float | None = None) -> None:
        """As `set`, for all at once; others may see some of them before the rest."""
        ...

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        """Replaces value and time to live; None keeps it until it is evicted."""
        ...

    async def delete(self, key: str) -> None: ...

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        """Adds to a counter and returns it. The time to live is set when the counter begins, and not prolonged:
        a window, not a silence. A value without an end that is counted on gets one."""
        ...

    async def rank(self, board: str, member: str, score: float) -> None:
        """Sets the member's score on the board."""
        ...

    async def rank_many(self, board: str, scores: Mapping[str, float]) -> None: ...

    async def unrank(self, board: str, member: str) -> None: ...

    async def top(self, board: str, count: int, *, lowest: bool = False) -> list[tuple[str, float]]:
        """The `count` highest, highest first, or the lowest, lowest first; equal scores by name."""
        ...


@asynccontextmanager
async def open_cache(section: CacheSection) -> AsyncIterator[Cache]:
    """Redis at the URL, else a cache in this process."""
    if section.url:
        from hub.cache.redis import open_redis

        async with open_redis(section.url, section.password) as shared:
            yield shared
    else:
        from hub.cache.memory import MemoryCache

        yield MemoryCache()
