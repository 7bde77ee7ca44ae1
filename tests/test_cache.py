"""The cache in this process."""

from hub.cache.memory import MemoryCache
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


async def test_what_was_not_used_longest_goes_first() -> None:
    """The bound holds, and reading counts as use."""
    cache = MemoryCache(max_keys=3)
    for key in ("a", "b", "c"):
        await cache.set(key, key.encode())
    assert await cache.get("a") == b"a"
    await cache.set("d", b"d")
    assert [await cache.get(key) for key in ("a", "b", "c", "d")] == [b"a", None, b"c", b"d"]


async def test_counters_count_toward_the_bound() -> None:
    """A flood of names cannot fill the memory."""
    cache = MemoryCache(max_keys=10)
    for number in range(1000):
        await cache.add(f"line:{number}", 1, 60)
    assert len(cache._values) == 10


async def test_a_counter_reads_as_its_digits() -> None:
    """As every shared cache shows it."""
    cache = MemoryCache()
    await cache.add("count", 41, 60)
    await cache.add("count", 1, 60)
    assert await cache.get("count") == b"42"


async def test_a_value_of_digits_can_be_counted_on() -> None:
    """Set, then added to."""
    cache = MemoryCache()
    await cache.set("count", b"40", 60)
    assert await cache.add("count", 2, 60) == 42
