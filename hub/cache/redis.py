"""The cache in Redis, shared by the processes of a hub and readable for other programs (docs/cache.md).

Each call is one round trip, or one a thousand keys, and each is atomic. Keys have no prefix: a hub has a database
number of its own, which stands in the URL.

A Redis that is away or refuses is no failure of the hub: reads are None, writes are dropped and counted, and counters
count in this process, so that limits hold for each process by itself. It is said when it begins and when it is over.
While it is away one call every `PAUSE_S` tries, and no other waits. Depends on redis-py.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError, ResponseError

from hub.cache.memory import MemoryCache
from hub.logs import Repeats
from hub.plugin import GiveUp

T = TypeVar("T")

TIMEOUT_S = 1.0
PAUSE_S = 2.0
CONNECTIONS = 16  # of this process at most; who finds none waits
AT_ONCE = 1000  # keys of one command, so that Redis is never held up for long

# The window begins with the counter; one that was there without an end gets one, so that none stays for ever.
ADD = """
local total = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return total
"""
SET_MANY = """
for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1]) end
"""
# ZREVRANGE has equal scores by name backwards: those of the last score that fits are taken again, by name.
TOP = """
local best = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
if #best == 0 then return {best, {}} end
local last = best[#best]
return {best, redis.call('ZRANGEBYSCORE', KEYS[1], last, last, 'WITHSCORES', 'LIMIT', 0, ARGV[1])}
"""

log = structlog.get_logger("cache")


class RedisCache:
    """`trouble` says why Redis is not used now; `dropped` counts calls that it did not serve."""

    def __init__(self, client: "Redis", *, clock: Callable[[], float] = time.monotonic) -> None:
        self.trouble = ""
        self.dropped = 0
        self._client = client
        self._clock = clock
        self._here = MemoryCache(clock=clock)
        self._again_at = 0.0
        self._says = Repeats(log)
        self._add = client.register_script(ADD)
        self._set_many = client.register_script(SET_MANY)
        self._top = client.register_script(TOP)

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self._ask(None, self._client.get, key)
        return found

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            found += await self._ask([None] * len(some), self._client.mget, some)
        return found

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        await self._ask(None, self._client.set, key, value, px=None if ttl_s is None else _ms(ttl_s))

    async def set_many(self, values: Mapping[str, bytes], ttl_s: float | None = None) -> None:
        for some in _cut(values):
            if ttl_s is None:
                await self._ask(None, self._client.mset, some)
            else:
                await self._ask(None, self._set_many, list(some), [_ms(ttl_s), *some.values()])

    async def delete(self, key: str) -> None:
        await self._ask(None, self._client.delete, key)

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        total: int | None = await self._ask(None, self._add, [key], [amount, _ms(ttl_s)])
        return await self._here.add(key, amount, ttl_s) if total is None else total

    async def rank(self, board: str, member: str, score: float) -> None:
        await self.rank_many(board, {member: score})

    async def rank_many(self, board: str, scores: Mapping[str, float]) -> None:
        for some in _cut(scores):
            await self._ask(None, self._client.zadd, board, some)

    async def unrank(self, board: str, member: str) -> None:
        await self._ask(None, self._client.zrem, board, member)

    async def top(self, board: str, count: int, *, lowest: bool = False) -> list[tuple[str, float]]:
        if count <= 0:
            return []
        if lowest:
            rising = await self._ask([], self._client.zrange, board, 0, count - 1, withscores=True)
            return [(member.decode(), float(score)) for member, score in rising]
        best, last = await self._ask(([], []), self._top, [board], [count])
        found = {**_scores(best), **_scores(last)}
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:count]

    async def ping(self) -> None:
        """Finds out whether it is there, and says so if it is not."""
        await self._ask(None, self._client.ping)

    async def _ask(self, otherwise: Any, command: Callable[..., Awaitable[Any]], *about: Any, **options: Any) -> Any:
        """The answer, or `otherwise` from a Redis that is away or refuses."""
        now_s = self._clock()
        if now_s < self._again_at:
            self.dropped += 1
            return otherwise
        if self.trouble:
            self._again_at = now_s + PAUSE_S  # this call finds out for all
        try:
            answer = await command(*about, **options)
        except ResponseError as error:  # it is there, and says no: a wrong kind of value, out of memory, read only
            self.dropped += 1
            self._says.log("refused", "the cache refuses", reason=str(error))
            return otherwise
        except (RedisError, OSError) as error:
            self.dropped += 1
            self.trouble = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._again_at = self._clock() + PAUSE_S
            self._says.log("away", "the cache is away; limits count in each process", reason=self.trouble)
            return otherwise
        if self.trouble:
            self.trouble, self._again_at = "", 0.0
            self._says.over("away", "the cache is back")
        return answer


def _ms(ttl_s: float) -> int:
    return max(round(ttl_s * 1000), 1)


def _cut(values: Mapping[str, T]) -> Iterator[dict[str, T]]:
    """In pieces of at most AT_ONCE keys."""
    keys = list(values)
    for start in range(0, len(keys), AT_ONCE):
        yield {key: values[key] for key in keys[start : start + AT_ONCE]}


def _scores(flat: Sequence[bytes]) -> dict[str, float]:
    """As a script answers: member, score, member, score."""
    return {flat[place].decode(): float(flat[place + 1]) for place in range(0, len(flat), 2)}


@asynccontextmanager
async def open_redis(
    url: str, password: str = "", *, clock: Callable[[], float] = time.monotonic, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[RedisCache]:
    """Whether it is there or not. "redis://host:6379/0", or "rediss://" for TLS with a certificate that is known here;
    a user's name may stand in the URL."""
    options: dict[str, Any] = {"password": password} if password else {}
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),  # once, over a connection that had broken
            **options,
        )
    except ValueError as error:
        raise GiveUp(f"cache.url cannot be read: {error}") from error
    client = Redis(connection_pool=pool)
    try:
        cache = RedisCache(client, clock=clock)
        await cache.ping()
        yield cache
    finally:
        await client.aclose()
        await pool.disconnect()
