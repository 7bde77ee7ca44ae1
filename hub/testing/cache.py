"""The contract check of caches."""

import asyncio
from collections.abc import Awaitable, Callable

from hub.cache import Cache

PassTime = Callable[[float], Awaitable[None]]
MANY = 2_500
BIG = bytes(range(256)) * 4_000  # about 1 MB, with every byte


async def check_cache(cache: Cache, pass_time: PassTime) -> None:
    """`cache` is empty; `pass_time` lets so many seconds go by for it."""
    assert cache.trouble == "", "a cache that is there has no trouble"
    await _check_values(cache, pass_time)
    await _check_many_values(cache, pass_time)
    await _check_counters(cache, pass_time)
    await _check_boards(cache)
    await _check_many_scores(cache)


async def _check_values(cache: Cache, pass_time: PassTime) -> None:
    assert await cache.get("value") is None, "an absent key is None"
    await cache.set("value", b"\x00one", 10)
    assert await cache.get("value") == b"\x00one", "what was set is read"
    await pass_time(6)
    await cache.set("value", b"two", 10)
    await pass_time(6)
    assert await cache.get("value") == b"two", "setting again replaces the value and its time to live"
    await pass_time(6)
    assert await cache.get("value") is None, "a value ends with its time to live"
    await cache.set("kept", b"", 10)
    await cache.set("kept", b"")
    await pass_time(1000)
    assert await cache.get("kept") == b"", "without a time to live a value stays, also an empty one"
    await cache.set("kept", BIG)
    assert await cache.get("kept") == BIG, "a value of a megabyte comes back as it was"
    await cache.delete("kept")
    await cache.delete("kept")
    assert await cache.get("kept") is None, "what was deleted is gone; deleting it again is nothing"


async def _check_many_values(cache: Cache, pass_time: PassTime) -> None:
    assert await cache.get_many([]) == [], "nothing asked, nothing found"
    await cache.set_many({})
    await cache.set_many({"many:a": b"a", "many:b": b"b"}, 10)
    await cache.set_many({"many:b": b"\xff", "many:ü": b""})
    keys = ["many:ü", "many:absent", "many:b", "many:a", "many:b"]
    assert await cache.get_many(keys) == [b"", None, b"\xff", b"a", b"\xff"], "in the order asked, absent ones None"
    await pass_time(11)
    assert await cache.get_many(keys) == [b"", None, b"\xff", None, b"\xff"], "each with its own time to live"
    for ttl_s in (None, 10.0):
        crowd = {f"crowd:{number}": f"{number} for {ttl_s}".encode() for number in range(MANY)}
        await cache.set_many(crowd, ttl_s)
        assert await cache.get_many(list(crowd)) == list(crowd.values()), f"{MANY} values at once"
    await pass_time(11)
    assert set(await cache.get_many(list(crowd))) == {None}, "a time to live is for all of them"


async def _check_counters(cache: Cache, pass_time: PassTime) -> None:
    totals = await asyncio.gather(*(cache.add("count", 2, 10) for _ in range(20)))
    assert sorted(totals) == list(range(2, 41, 2)), "counting is atomic: each sees a total of its own"
    await pass_time(6)
    assert await cache.add("count", -1, 10) == 39, "a counter goes down as well"
    assert await cache.get("count") == b"39", "a counter reads as its digits"
    await pass_time(6)
    assert await cache.add("count", 5, 10) == 5, "a counter's window is not prolonged by counting"
    await cache.set("digits", b"40")
    assert await cache.add("digits", 2, 10) == 42, "a value of digits can be counted on"
    await pass_time(11)
    assert await cache.get("digits") is None, "counting on a value without an end gives it one"


async def _check_boards(cache: Cache) -> None:
    assert await cache.top("board", 3) == [], "an absent board is empty"
    assert await cache.top("board", 3, lowest=True) == [], "an absent board is empty"
    for member, score in (("b", 1.5), ("a", 1.5), ("c", -2.0), ("d", 9.0), ("e", 1.5)):
        await cache.rank("board", member, score)
    await cache.rank("board", "d", 0.0)
    assert await cache.top("board", 2) == [("a", 1.5), ("b", 1.5)], "highest first, equals by name"
    assert await cache.top("board", 4) == [("a", 1.5), ("b", 1.5), ("e", 1.5), ("d", 0.0)], "one score a member"
    lowest = [("c", -2.0), ("d", 0.0), ("a", 1.5)]
    assert await cache.top("board", 3, lowest=True) == lowest, "lowest first, equals by name"
    assert len(await cache.top("board", 10)) == 5, "asking for more than there is gets what there is"
    assert await cache.top("board", 0) == [] == await cache.top("board", -1), "asking for none gets none"
    assert await cache.top("other", 3) == [], "boards are separate"
    await cache.unrank("board", "a")
    await cache.unrank("board", "a")
    await cache.unrank("other", "a")
    assert await cache.top("board", 1) == [("b", 1.5)], "who is unranked is gone; unranking again is nothing"
    for member in ("b", "c", "d", "e"):
        await cache.unrank("board", member)
    assert await cache.top("board", 3) == [], "a board without members is empty"


async def _check_many_scores(cache: Cache) -> None:
    await cache.rank_many("scores", {})
    assert await cache.top("scores", 3) == [], "nothing ranked, nothing there"
    await cache.rank_many("scores", {"x": 5e-324, "y": 0.1 + 0.2, "z": -1e300})
    await cache.rank_many("scores", {"x": 0.1 + 0.2, "w": -0.5})
    expected = [("x", 0.1 + 0.2), ("y", 0.1 + 0.2), ("w", -0.5), ("z", -1e300)]
    assert await cache.top("scores", 9) == expected, "later scores replace, every bit of a score is kept"
    crowd = {f"{number:05d}": float(number // 10) for number in range(MANY)}
    await cache.rank_many("crowd", crowd)
    falling = sorted(crowd.items(), key=lambda pair: (-pair[1], pair[0]))
    assert await cache.top("crowd", MANY) == falling, f"{MANY} members, tens of equals"
    assert await cache.top("crowd", 7, lowest=True) == sorted(crowd.items())[:7], "the lowest of many"
