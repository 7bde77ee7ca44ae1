"""The cache in Redis, on a real server that is killed and started again."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from redis.asyncio import Redis

from hub.cache import open_cache
from hub.cache.redis import PAUSE_S, RedisCache, open_redis
from hub.config import CacheSection
from hub.plugin import GiveUp
from hub.testing import check_cache
from tests.test_cache import Clock

if TYPE_CHECKING:
    from tests.servers import RedisServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(redis_server: "RedisServer", clock: Clock) -> AsyncIterator[RedisCache]:
    async with open_redis(redis_server.url, redis_server.password, clock=clock) as opened:
        yield opened


@pytest.fixture
async def client(redis_server: "RedisServer") -> AsyncIterator[Redis]:
    """Another program beside the hub."""
    other = Redis.from_url(redis_server.url, password=redis_server.password)
    yield other
    await other.aclose()


async def age(client: Redis, seconds: float) -> None:
    """Makes every key so much older: as if that time had passed in Redis."""
    async for key in client.scan_iter(count=1000):
        left_ms = await client.pttl(key)
        if left_ms >= 0:
            await client.pexpire(key, left_ms - round(seconds * 1000))


async def test_it_keeps_the_contract(redis_server: "RedisServer", client: Redis) -> None:
    """As the cache in the process does, opened as a hub opens it."""
    section = CacheSection(url=redis_server.url, password=redis_server.password)
    async with open_cache(section) as cache:
        await check_cache(cache, lambda seconds: age(client, seconds))


async def test_other_programs_read_what_the_hub_wrote(cache: RedisCache, client: Redis) -> None:
    """Plain keys, plain values, plain sorted sets."""
    await cache.set_many({"price:XAU-USD": b'{"price":1}'}, 60)
    await cache.rank_many("movers:1h", {"XAU-USD": 0.25})
    assert await client.get("price:XAU-USD") == b'{"price":1}'
    assert await client.zrange("movers:1h", 0, -1, withscores=True) == [(b"XAU-USD", 0.25)]
    assert 50_000 < await client.pttl("price:XAU-USD") <= 60_000


async def test_no_counter_stays_for_ever(cache: RedisCache, client: Redis) -> None:
    """Each has its end from its first count on, and keeps it."""
    await asyncio.gather(*(cache.add(f"lines:{number % 7}:1", 1, 120) for number in range(70)))
    assert [await client.get(f"lines:{number}:1") for number in range(7)] == [b"10"] * 7
    await age(client, 100)
    await cache.add("lines:0:1", 1, 120)
    assert {0 < await client.pttl(f"lines:{number}:1") <= 20_000 for number in range(7)} == {True}


async def test_many_values_are_one_command(cache: RedisCache, client: Redis) -> None:
    """A round trip a thousand, with and without a time to live, for values, scores and reads."""
    values = {f"price:{number}": b"x" for number in range(1000)}
    await cache.set_many(values, 10)  # the script is loaded
    before = await calls(client)
    await cache.set_many(values, 10)
    await cache.set_many(values)
    await cache.get_many(list(values))
    await cache.rank_many("movers:1h", dict.fromkeys(values, 1.0))
    made = {name: count - before.get(name, 0) for name, count in (await calls(client)).items()}
    assert {name: made[name] for name in ("evalsha", "mset", "mget", "zadd")} == {
        "evalsha": 1, "mset": 1, "mget": 1, "zadd": 1,
    }  # fmt: skip


async def calls(client: Redis) -> dict[str, int]:
    stats = await client.info("commandstats")
    return {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}


async def test_a_server_that_dies_costs_no_call_and_comes_back_by_itself(
    redis_server: "RedisServer", cache: RedisCache, clock: Clock
) -> None:
    """Reads are None, writes are dropped and counted, it is said once; then everything works again and is said."""
    await cache.set("kept", b"1")
    redis_server.kill()
    with structlog.testing.capture_logs() as said:
        assert await cache.get("kept") is None
        assert "Error" in cache.trouble
        assert await cache.get_many(["kept", "other"]) == [None, None]
        await cache.set("new", b"1")
        await cache.set_many({"new": b"1"}, 10)
        await cache.delete("new")
        await cache.rank_many("board", {"a": 1.0})
        await cache.unrank("board", "a")
        assert await cache.top("board", 3) == [] == await cache.top("board", 3, lowest=True)
        assert cache.dropped == 9
        await clock.go_on(PAUSE_S)
        assert await cache.get("kept") is None, "it is tried again, and still away"
        redis_server.start()
        assert await cache.get("kept") is None, "nobody tries within the pause"
        await clock.go_on(PAUSE_S)
        await cache.set("kept", b"2")
        assert (await cache.get("kept"), cache.trouble) == (b"2", "")
    assert [(line["event"], line["log_level"]) for line in said] == [
        ("the cache is away; limits count in each process", "warning"),
        ("the cache is back", "info"),
    ]


async def test_after_a_failure_nobody_tries_for_a_while(
    redis_server: "RedisServer", cache: RedisCache, clock: Clock
) -> None:
    """Not even where it would work: a server that starts is not run over."""
    redis_server.kill()
    assert await cache.get("a") is None
    redis_server.start()
    await clock.go_on(PAUSE_S - 0.1)
    await cache.set("a", b"1")
    assert cache.trouble
    await clock.go_on(0.1)
    assert await cache.get("a") is None
    assert not cache.trouble


async def test_limits_hold_while_the_server_is_away(
    redis_server: "RedisServer", cache: RedisCache, clock: Clock
) -> None:
    """Counted in this process, with windows as they should be, and in Redis again afterwards."""
    assert await cache.add("lines", 1, 60) == 1
    redis_server.kill()
    assert [await cache.add("lines", 1, 60) for _ in range(3)] == [1, 2, 3]
    await clock.go_on(61)
    assert await cache.add("lines", 1, 60) == 1
    redis_server.start()
    await clock.go_on(PAUSE_S)
    assert await cache.add("lines", 1, 60) == 1
    assert await cache.get("lines") == b"1"


async def test_a_server_that_is_restarted_between_two_calls_is_not_noticed(
    redis_server: "RedisServer", cache: RedisCache
) -> None:
    """A connection that broke while nobody used it is made anew, and scripts are loaded again."""
    await cache.add("lines", 1, 60)
    await cache.top("board", 3)
    redis_server.kill()
    redis_server.start()
    assert await cache.add("lines", 1, 60) == 1
    assert await cache.top("board", 3) == []
    assert (cache.trouble, cache.dropped) == ("", 0)


async def test_a_hub_starts_without_its_redis(redis_server: "RedisServer", clock: Clock) -> None:
    """It says so at the start, goes on, and takes it when it comes."""
    redis_server.kill()
    with structlog.testing.capture_logs() as said:
        async with open_redis(redis_server.url, redis_server.password, clock=clock) as cache:
            assert [line["event"] for line in said] == ["the cache is away; limits count in each process"]
            redis_server.start()
            await clock.go_on(PAUSE_S)
            await cache.set("a", b"1")
            assert await cache.get("a") == b"1"


async def test_a_wrong_password_is_told_without_it(redis_server: "RedisServer") -> None:
    """The reason names what Redis says; nothing of the password is in it."""
    with structlog.testing.capture_logs() as said:
        async with open_redis(redis_server.url, "another-password") as cache:
            assert await cache.get("a") is None
    assert "invalid" in said[0]["reason"].lower()
    assert "another-password" not in str(said)


class Mute:
    """Takes connections and answers nothing, like a host behind a broken line."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"

    def close(self) -> None:
        self._socket.close()


async def test_a_server_that_answers_nothing_holds_one_call_for_a_moment(clock: Clock) -> None:
    """The others fail at once, and so do all of them until the pause is over."""
    mute = Mute()
    with contextlib.closing(mute):
        async with open_redis(mute.url, clock=clock, timeout_s=0.05) as cache:
            assert "Timeout" in cache.trouble
            await clock.go_on(PAUSE_S)
            begun = time.perf_counter()
            waiting = asyncio.ensure_future(cache.get("first"))
            await asyncio.sleep(0)
            assert await asyncio.gather(*(cache.get("another") for _ in range(100))) == [None] * 100
            assert not waiting.done(), "one call finds out for all"
            assert await waiting is None
            assert 0.04 < time.perf_counter() - begun < 2


async def test_a_call_that_is_cancelled_leaves_no_answer_for_the_next(cache: RedisCache) -> None:
    """Answers never go to another call, whenever the first was given up."""
    await cache.set("wrong", b"wrong")
    await cache.set("right", b"right")
    for steps in range(30):
        given_up = asyncio.ensure_future(cache.get("wrong"))
        for _ in range(steps):
            await asyncio.sleep(0)
        given_up.cancel()
        assert await cache.get("right") == b"right"
        await asyncio.gather(given_up, return_exceptions=True)


async def test_what_redis_refuses_is_dropped_counted_and_said_once(cache: RedisCache, client: Redis) -> None:
    """Another program's value under our key takes nothing else with it."""
    await client.rpush("theirs", "a list")
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            assert await cache.get("theirs") is None
            await cache.rank("theirs", "a", 1.0)
    assert [line["event"] for line in said] == ["the cache refuses"]
    assert (await cache.add("theirs", 1, 60), await cache.add("theirs", 1, 60)) == (1, 2)
    assert (cache.dropped, cache.trouble) == (8, "")
    await cache.set("ours", b"1")
    assert await cache.get("ours") == b"1"


async def test_more_callers_than_connections_wait_for_one(cache: RedisCache, client: Redis) -> None:
    """None of a crowd is turned away, and the server sees a few connections only."""
    await asyncio.gather(*(cache.add("count", 1, 60) for _ in range(2000)))
    assert await cache.get("count") == b"2000"
    assert cache.dropped == 0
    assert len(await client.client_list()) <= 16 + 1


@pytest.mark.parametrize("url", ["http://localhost", "redis://localhost:port"])
async def test_an_address_that_is_none_is_told(url: str) -> None:
    """A sentence, and nothing is tried."""
    with pytest.raises(GiveUp, match=r"cache\.url cannot be read"):
        async with open_redis(url):
            pass


async def test_rediss_is_tls_with_a_certificate_that_is_checked() -> None:
    """The scheme alone asks for it."""
    async with open_redis("rediss://127.0.0.1:1/3", "secret", timeout_s=0.05) as cache:
        pool: Any = cache._client.connection_pool
        connection = pool.make_connection()
        assert (connection.db, connection.password) == (3, "secret")
        assert connection.ssl_context.cert_reqs.name == "CERT_REQUIRED"
        assert "Error" in cache.trouble
