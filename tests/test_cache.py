"""The cache in this process."""

import time

from hub.cache import open_cache
from hub.cache.memory import MemoryCache
from hub.config import CacheSection
from hub.testing import check_cache


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    async def go_on(self, seconds: float) -> None:
        self.now_s += seconds


async def test_it_keeps_the_contract() -> None:
    """Everything that any cache of the hub promises."""
    clock = Clock()
    await check_cache(MemoryCache(clock=clock), clock.go_on)


async def test_without_a_url_the_cache_is_in_the_process() -> None:
    """What is configured by saying nothing."""
    async with open_cache(CacheSection()) as cache:
        assert isinstance(cache, MemoryCache)


async def test_what_was_not_used_longest_goes_first() -> None:
    """The bound holds, and reading counts as use."""
    cache = MemoryCache(max_keys=3)
    for key in ("a", "b", "c"):
        await cache.set(key, key.encode())
    assert await cache.get("a") == b"a"
    await cache.set("d", b"d")
    assert [await cache.get(key) for key in ("a", "b", "c", "d")] == [b"a", None, b"c", b"d"]


async def test_large_values_are_bound_by_their_bytes() -> None:
    """A few charts push out the oldest ones, long before there are many keys; what was replaced does not count."""
    cache = MemoryCache(max_bytes=1000)
    for _ in range(5):
        await cache.set("a", bytes(300))
    await cache.set("b", bytes(300))
    await cache.set("c", bytes(300))
    assert [await cache.get(key) is not None for key in ("a", "b", "c")] == [True, True, True]
    await cache.set("d", bytes(500))
    assert [await cache.get(key) is not None for key in ("a", "b", "c", "d")] == [False, False, True, True]
    await cache.delete("d")
    await cache.set("e", bytes(600))
    assert [await cache.get(key) is not None for key in ("c", "e")] == [True, True]
    assert cache._values.bytes == 300 + 600 + 2


async def test_a_value_larger_than_the_whole_cache_pushes_nothing_out() -> None:
    """It is not kept, and what stood under its key is gone."""
    cache = MemoryCache(max_bytes=1000)
    await cache.set("small", b"small")
    await cache.set("large", b"before")
    await cache.set("large", bytes(2000))
    assert await cache.get_many(["small", "large"]) == [b"small", None]


async def test_values_that_ended_leave_no_bytes_behind() -> None:
    """What is read after its end is taken out."""
    clock = Clock()
    cache = MemoryCache(clock=clock)
    await cache.set("chart", bytes(100_000), 10)
    await clock.go_on(11)
    assert await cache.get("chart") is None
    assert cache._values.bytes == 0


async def test_counters_count_toward_the_bound() -> None:
    """A flood of names cannot fill the memory."""
    cache = MemoryCache(max_keys=10)
    for number in range(1000):
        await cache.add(f"line:{number}", 1, 60)
    assert len(cache._values) == 10


async def test_it_is_quick_with_everything_in_it() -> None:
    """Being full costs a call nothing: a hundred thousand charts in turn, all but the newest pushed out."""
    cache, chart = MemoryCache(max_bytes=1_000_000), bytes(10_000)
    begun = time.perf_counter()
    for number in range(100_000):
        await cache.set(f"chart:{number}", chart)
    assert time.perf_counter() - begun < 10
    assert len(cache._values) == 99
