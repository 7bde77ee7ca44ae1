"""The hot state in the cache: prices as they come, boards as the ladder says, everything again after a loss."""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import msgspec
import pytest
import structlog

from hub.bus import Bus, connect
from hub.cache import Cache, keys
from hub.cache.memory import MemoryCache
from hub.cache.redis import PAUSE_S, RedisCache, open_redis
from hub.history import HistoryTrouble, Position
from hub.history.sqlite import SqliteHistory, open_sqlite
from hub.hot import SPANS, Hot
from hub.model import Candle, Instrument, Kind, Nature, Quote, Tick, Verdict
from hub.quotes import Quotes
from hub.testing import frame_of
from tests.test_cache import Clock
from tests.test_quotes import Untouched
from tests.waiting import until_true

if TYPE_CHECKING:
    from tests.conftest import NatsServer
    from tests.servers import RedisServer

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
GOLD = DATA / "gold" / "xauusd-oanda-ticks-20140502.zip"
S = 1_000_000
MINUTE, HOUR, DAY = 60 * S, 3_600 * S, 86_400 * S
NOW = 1_399_032_000 * S  # 2014-05-02 12:00 UTC, a Friday
SATURDAY = NOW + DAY


class Catalogue:
    def __init__(self) -> None:
        self.instruments = {
            "XAU-USD": Instrument(id="XAU-USD", name="Gold", session="metals-otc"),
            "BTC-USD": Instrument(id="BTC-USD", name="Bitcoin"),
            "ETH-USD": Instrument(id="ETH-USD", name="Ether"),
        }

    def get(self, instrument_id: str) -> Instrument | None:
        return self.instruments.get(instrument_id)


class Empty:
    """A history of a new hub."""

    async def natures(self) -> dict[str, Nature]:
        return {}

    async def last_ticks(self) -> dict[str, Tick]:
        return {}

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        return None, None

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        return []


def quote(**facts: Any) -> Quote:
    return Quote(
        **{
            "instrument": "BTC-USD", "price": 110.0, "time": NOW, "received_at": NOW, "source": "demo",
            "open": 100.0, "high": 120.0, "low": 90.0, **facts,
        }
    )  # fmt: skip


def tick(instrument: str, time_us: int, price: float, **more: Any) -> Tick:
    facts = {
        "kind": Kind.TRADE,
        "price": price,
        "venue_time": time_us,
        "received_at": time_us,
        "source": "demo",
        **more,
    }
    return Tick(instrument=instrument, **facts)


def walk(minutes_back: int, scale: float = 1.0) -> Callable[[int], float]:
    """A price for each minute before NOW."""
    return lambda minute: 100.0 + scale * (3 * math.sin(minute / 170) + math.cos(minute * 0.61) + minute / minutes_back)


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    async with open_sqlite(tmp_path / "history.db", "normal") as opened:
        yield opened


async def store(history: SqliteHistory, ticks: Iterable[Tick], nature: Nature = Nature.LIVE) -> None:
    stands = await history.position()
    frame = frame_of(ticks, number=stands.number + 1, nature=nature)
    await history.append([frame], Position(stream="s", sequence=stands.sequence + 1, epoch=1, number=frame.number))


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        yield opened


@pytest.fixture
def no_bus() -> Any:
    """`refresh` and `write` need none."""
    return None


async def tell(hot: Hot, *told: Quote) -> None:
    """As the bus would."""
    for one in told:
        await hot._hear(Heard(f"quote.{one.instrument}", msgspec.json.encode(one)))  # type: ignore[arg-type]


class Heard(msgspec.Struct):
    subject: str
    data: bytes


async def boards(cache: Cache) -> dict[str, dict[str, float]]:
    names = [keys.volatile("24h"), *(keys.movers(span) for span in SPANS)]
    return {name: dict(await cache.top(name, 100)) for name in names}


async def price_in(cache: Cache, instrument: str = "BTC-USD") -> Quote | None:
    payload = await cache.get(keys.price(instrument))
    return None if payload is None else msgspec.json.decode(payload, type=Quote)


@contextlib.asynccontextmanager
async def running(hot: Hot) -> AsyncIterator[None]:
    task = asyncio.ensure_future(hot.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), task.exception()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.002)


# ------------------------------------------------------------------------------------------------ prices


async def test_what_the_bus_says_stands_in_the_cache(bus: Bus) -> None:
    """The newest of each instrument as a Quote encodes itself; what is malformed is refused and counted."""
    cache = MemoryCache()
    hot = Hot(bus, Empty(), cache, Catalogue(), clock=lambda: NOW)
    async with running(hot):
        await until(lambda: hot.status()["ranked_at"] == NOW)
        for subject, payload in [
            ("quote.BTC-USD", msgspec.json.encode(quote())),
            ("quote.ETH-USD", b"{"),
            ("quote.ETH-USD", msgspec.json.encode(quote())),
            ("quote.NEW", msgspec.json.encode(quote(instrument="NEW"))),
            ("quote.XAU-USD", b" " + msgspec.json.encode(quote(instrument="XAU-USD"))),
        ]:
            heard = hot.heard
            await bus.client.publish(subject, payload)
            await until(lambda heard=heard: hot.heard > heard and not hot._waiting)  # type: ignore[misc]
    assert await cache.get("price:BTC-USD") == msgspec.json.encode(quote())
    assert await cache.get("price:XAU-USD") == msgspec.json.encode(quote(instrument="XAU-USD"))
    assert await cache.get(keys.PRICES) == b'["BTC-USD","XAU-USD"]'
    assert await cache.get("price:ETH-USD") is None and await cache.get("price:NEW") is None
    assert hot.status() == {
        "service": "hot",
        "instruments": 2,
        "quotes": 5,
        "writes": 2,
        "refused": {"malformed": 1, "another instrument's subject": 1, "unknown instrument": 1},
        "boards": {"volatile:24h": 0, "movers:1h": 0, "movers:24h": 0, "movers:7d": 0},
        "ranked_at": NOW,
        "error": "",
    }


class Slow(MemoryCache):
    """Writes wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.written: list[Mapping[str, bytes]] = []

    async def set_many(self, values: Mapping[str, bytes], ttl_s: float | None = None) -> None:
        self.written.append(values)
        await self.free.wait()
        await super().set_many(values, ttl_s)

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        await super().set_many({key: value}, ttl_s)


async def test_a_burst_costs_two_writes(bus: Bus) -> None:
    """While one is under way the newest of each instrument waits, and goes out with the next."""
    cache = Slow()
    hot = Hot(bus, Empty(), cache, Catalogue(), clock=lambda: NOW)
    async with running(hot):
        await until(lambda: hot.status()["ranked_at"] == NOW)
        for number in range(1000):
            for name in ("BTC-USD", "ETH-USD"):
                told = quote(instrument=name, price=1.0 + number, received_at=NOW + number)
                await bus.client.publish(f"quote.{name}", msgspec.json.encode(told))
        await until(lambda: hot.heard == 2000)
        cache.free.set()
        await until(lambda: len(cache.written) == 2 and not hot._writing.locked())
    assert [one.price for name in ("BTC-USD", "ETH-USD") if (one := await price_in(cache, name))] == [1000.0, 1000.0]


async def test_one_write_at_a_time(no_bus: Any) -> None:
    """Else the minute's writing of everything might land behind a newer price, with an older one."""
    cache = Slow()
    hot = Hot(no_bus, Empty(), cache, Catalogue(), clock=lambda: NOW)
    await tell(hot, quote(price=1.0))
    everything = asyncio.ensure_future(hot.write(everything=True))
    await asyncio.sleep(0)
    await tell(hot, quote(price=2.0))
    newer = asyncio.ensure_future(hot.write())
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(cache.written) == 1
    cache.free.set()
    await asyncio.gather(everything, newer)
    assert await price_in(cache) == quote(price=2.0)


async def test_prices_are_there_before_the_first_tick(history: SqliteHistory, no_bus: Any) -> None:
    """From history: with the day, and with the market as it is now; what the catalogue lost is left out."""
    await store(history, [tick("XAU-USD", NOW - DAY, 1290.0), tick("OLD", NOW, 1.0)])
    await store(history, [tick("XAU-USD", NOW - 60 * S, 1300.0), tick("XAU-USD", NOW, 1299.0)])
    cache = MemoryCache()
    await Hot(no_bus, history, cache, Catalogue(), clock=lambda: SATURDAY).refresh()
    gold = await price_in(cache, "XAU-USD")
    assert gold is not None
    assert (gold.price, gold.open, gold.high, gold.previous, gold.market_open) == (
        1299.0,
        1300.0,
        1300.0,
        1290.0,
        False,
    )
    assert await cache.get(keys.PRICES) == b'["XAU-USD"]'


async def test_the_newer_of_cache_and_history_counts(history: SqliteHistory, no_bus: Any) -> None:
    """A recorder may be behind what an ingest before this one had put into the cache, or the other way round."""
    await store(history, [tick("BTC-USD", NOW - MINUTE, 1.0), tick("ETH-USD", NOW, 2.0)])
    cache = MemoryCache()
    await cache.set(keys.PRICES, b'["BTC-USD","ETH-USD","OLD"]')
    older, newer = quote(price=3.0), quote(instrument="ETH-USD", price=4.0, received_at=NOW - MINUTE)
    await cache.set_many({keys.price(one.instrument): msgspec.json.encode(one) for one in (older, newer)})
    await Hot(no_bus, history, cache, Catalogue(), clock=lambda: NOW).refresh()
    found = [await price_in(cache, name) for name in ("BTC-USD", "ETH-USD")]
    assert [one.price for one in found if one] == [3.0, 2.0]


async def test_what_was_heard_counts_more_than_what_was_known(history: SqliteHistory, no_bus: Any) -> None:
    """A tick that comes while history is read is not overwritten, nor are instruments listed before all are known."""
    await store(history, [tick("BTC-USD", NOW, 1.0), tick("ETH-USD", NOW, 1.0)])
    cache = MemoryCache()
    hot = Hot(no_bus, history, cache, Catalogue(), clock=lambda: NOW)
    await tell(hot, quote(price=5.0))
    await hot.write()
    assert await cache.get(keys.PRICES) is None
    await hot.refresh()
    assert (await price_in(cache)) == quote(price=5.0)
    assert await cache.get(keys.PRICES) == b'["BTC-USD","ETH-USD"]'


# ------------------------------------------------------------------------------------------------ boards


async def test_the_boards_say_what_the_ticks_say(history: SqliteHistory, no_bus: Any) -> None:
    """Change from the price an hour, a day and a week ago, and volatility by its definition, computed from ticks."""
    week = 8 * 24 * 60
    prices = {"BTC-USD": walk(week), "ETH-USD": walk(week, -2.0)}
    for name, price in prices.items():
        await store(history, [tick(name, NOW - ago * MINUTE, price(-ago)) for ago in range(week, -1, -1)])
    cache = MemoryCache()
    await Hot(no_bus, history, cache, Catalogue(), clock=lambda: NOW).refresh()
    found = await boards(cache)
    for name, price in prices.items():
        for span, minutes in (("1h", 60), ("24h", 24 * 60), ("7d", 7 * 24 * 60)):
            assert found[keys.movers(span)][name] == pytest.approx(price(0) / price(-minutes) - 1, rel=1e-12)
        closes = [price(-ago) for ago in range(24 * 60 - 4, 0, -5)] + [price(0)]
        steps = [math.log(after / before) for before, after in pairwise(closes)]
        mean = sum(steps) / len(steps)
        deviation = math.sqrt(sum((step - mean) ** 2 for step in steps) / (len(steps) - 1))
        yearly = deviation * math.sqrt(52.1775 * 7 * 24 * 12)
        assert found["volatile:24h"][name] == pytest.approx(yearly, rel=1e-9)
    assert (await cache.top("movers:24h", 1, lowest=True))[0][0] == min(
        prices, key=lambda name: found["movers:24h"][name]
    )


@pytest.mark.skipif(not GOLD.exists(), reason="the recorded gold day is not here (TOCSIN_DATA)")
async def test_the_hour_of_payrolls_moved_gold_as_its_ticks_say(history: SqliteHistory, no_bus: Any) -> None:
    """At 12:35, from real quotes read without the hub: from the first mid of the hour's first whole minute on."""
    with ZipFile(GOLD) as archive:
        rows = [line.split(",") for line in archive.read(archive.namelist()[0]).decode().splitlines()]
    midnight, end_ms = NOW - 12 * HOUR, 12 * 3_600_000 + 35 * 60_000 + 1_234
    quoted = [(float(ms), (float(bid) + float(ask)) / 2) for ms, bid, ask in rows if float(ms) <= end_ms]
    recent = [(ms, mid) for ms, mid in quoted if ms > end_ms - 3 * 3_600_000]
    await store(history, [tick("XAU-USD", midnight + round(ms * 1000), mid) for ms, mid in recent], Nature.RECORDING)
    cache = MemoryCache()
    await Hot(no_bus, history, cache, Catalogue(), clock=lambda: 0).refresh()
    hour_ago = recent[-1][0] - 3_600_000
    first = next(mid for ms, mid in recent if ms >= math.ceil(hour_ago / 60_000) * 60_000)
    expected = recent[-1][1] / first - 1
    assert abs(expected) > 0.005, "payrolls moved gold"
    assert (await boards(cache))["movers:1h"] == {"XAU-USD": pytest.approx(expected, rel=1e-12)}


async def test_the_newest_price_counts_before_it_is_recorded(history: SqliteHistory, no_bus: Any) -> None:
    """The recorder may be behind by a moment."""
    await store(history, [tick("BTC-USD", NOW - 30 * MINUTE, 100.0)])
    cache = MemoryCache()
    hot = Hot(no_bus, history, cache, Catalogue(), clock=lambda: NOW)
    await tell(hot, quote(price=125.0))
    await hot.refresh()
    assert await cache.top("movers:1h", 1) == [("BTC-USD", 0.25)]


async def test_only_what_has_ticked_is_asked_for(history: SqliteHistory, no_bus: Any) -> None:
    """Nothing moved, nothing is read: a quiet market costs the database nothing."""
    await store(history, [tick("BTC-USD", NOW, 100.0), tick("ETH-USD", NOW, 100.0)])
    counting = Counting(history)
    hot = Hot(no_bus, counting, MemoryCache(), Catalogue(), clock=lambda: NOW)
    await hot.refresh()
    assert counting.asked == ["BTC-USD"] * 3 + ["ETH-USD"] * 3
    counting.asked.clear()
    await hot.refresh()
    assert counting.asked == []
    await tell(hot, quote())
    await hot.refresh()
    assert counting.asked == ["BTC-USD"] * 3


class Counting:
    def __init__(self, history: SqliteHistory) -> None:
        self._history = history
        self.asked: list[str] = []
        self.natures, self.last_ticks, self.day = history.natures, history.last_ticks, history.day

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        self.asked.append(instrument)
        return await self._history.candles(instrument, rung, start_us, end_us)


async def test_a_closed_market_keeps_its_place_and_a_silent_one_loses_it(history: SqliteHistory, no_bus: Any) -> None:
    """On Saturday gold's last hour is Friday's; bitcoin, which trades, was silent for longer than an hour."""
    for name in ("XAU-USD", "BTC-USD"):
        await store(history, [tick(name, NOW - 10 * MINUTE, 100.0), tick(name, NOW, 110.0)])
    now = NOW
    cache = MemoryCache()
    hot = Hot(no_bus, history, cache, Catalogue(), clock=lambda: now)
    await hot.refresh()
    assert {name: set(members) for name, members in (await boards(cache)).items()} == {
        "volatile:24h": set(),
        "movers:1h": {"XAU-USD", "BTC-USD"},
        "movers:24h": {"XAU-USD", "BTC-USD"},
        "movers:7d": {"XAU-USD", "BTC-USD"},
    }
    now = SATURDAY
    await hot.refresh()
    found = await boards(cache)
    assert found["movers:1h"] == {"XAU-USD": pytest.approx(0.1)} == found["movers:24h"]
    assert set(found["movers:7d"]) == {"XAU-USD", "BTC-USD"}
    now = SATURDAY + 7 * DAY + HOUR
    await hot.refresh()
    assert set((await boards(cache))["movers:7d"]) == {"XAU-USD"}
    await tell(hot, quote(time=now, received_at=now, price=121.0))
    await store(history, [tick("BTC-USD", now, 121.0)])
    await hot.refresh()
    assert (await boards(cache))["movers:1h"] == {"XAU-USD": pytest.approx(0.1), "BTC-USD": 0.0}


async def test_a_gap_in_the_span_is_no_price_before_it(history: SqliteHistory, no_bus: Any) -> None:
    """The first price in the span counts, however long after the span's beginning it came."""
    await store(history, [tick("BTC-USD", NOW - 2 * HOUR, 50.0), tick("BTC-USD", NOW - MINUTE, 100.0)])
    await store(history, [tick("BTC-USD", NOW - MINUTE, 1.0, verdict=Verdict.OUTLIER), tick("BTC-USD", NOW, 102.0)])
    cache = MemoryCache()
    await Hot(no_bus, history, cache, Catalogue(), clock=lambda: NOW).refresh()
    found = await boards(cache)
    assert found["movers:1h"]["BTC-USD"] == pytest.approx(0.02)
    assert found["movers:24h"]["BTC-USD"] == pytest.approx(1.04)


async def test_who_is_gone_is_taken_off_the_boards(no_bus: Any) -> None:
    """Members of an earlier configuration, or of a copy that Redis was restored from."""
    cache = MemoryCache()
    await cache.rank_many("movers:1h", {"GONE": 9.0, "BTC-USD": 1.0})
    await Hot(no_bus, Empty(), cache, Catalogue(), clock=lambda: NOW).refresh()
    assert await cache.top("movers:1h", 9) == []


async def test_in_a_recording_the_clock_is_the_newest_price(history: SqliteHistory, no_bus: Any) -> None:
    """A recording of years ago is not silent, and what fell silent in it is."""
    await store(history, [tick("BTC-USD", NOW, 100.0)], Nature.RECORDING)
    await store(history, [tick("ETH-USD", NOW - 2 * HOUR, 100.0)], Nature.RECORDING)
    cache = MemoryCache()
    hot = Hot(no_bus, history, cache, Catalogue(), clock=lambda: NOW + 4_000 * DAY)
    await hot.refresh()
    assert set((await boards(cache))["movers:1h"]) == {"BTC-USD"}
    assert hot.status()["ranked_at"] == NOW


async def test_it_is_ranked_again_after_a_minute_of_the_quotes_time(bus: Bus) -> None:
    """However little time has gone by here: a recording plays its minutes in moments."""
    hot = Hot(bus, Empty(), MemoryCache(), Catalogue(), every_s=60, pause_s=0, clock=lambda: NOW + 4_000 * DAY)
    async with running(hot):
        await until(lambda: hot.status()["ranked_at"] > 0)
        for minute in range(1, 4):
            told = quote(nature=Nature.RECORDING, time=NOW + minute * MINUTE, received_at=NOW)
            await bus.client.publish("quote.BTC-USD", msgspec.json.encode(told))
            await until(lambda told=told: hot.status()["ranked_at"] == told.time)  # type: ignore[misc]
            ranked = hot.status()["ranked_at"]
            soon = msgspec.structs.replace(told, time=told.time + MINUTE - 1)
            writes = hot.writes
            await bus.client.publish("quote.BTC-USD", msgspec.json.encode(soon))
            await until(lambda writes=writes: hot.writes > writes)  # type: ignore[misc]
            assert hot.status()["ranked_at"] == ranked


# ------------------------------------------------------------------------------------------------ losses


async def test_a_cache_that_lost_everything_has_it_again_at_the_next_ranking(
    redis_server: "RedisServer", history: SqliteHistory, no_bus: Any
) -> None:
    """A real server, killed and started empty: prices and boards, also of what has not ticked since."""
    await store(history, [tick("BTC-USD", NOW - MINUTE, 100.0), tick("BTC-USD", NOW, 110.0)])
    await store(history, [tick("ETH-USD", NOW, 110.0)])
    clock = Clock()
    async with open_redis(redis_server.url, redis_server.password, clock=clock) as cache:
        hot = Hot(no_bus, history, cache, Catalogue(), clock=lambda: NOW)
        await hot.refresh()
        before = await everything_in(cache)
        assert [len(board) for board in before[1].values()] == [0, 2, 2, 2]
        redis_server.kill()
        await tell(hot, quote(instrument="ETH-USD", price=7.0))
        await hot.write()
        await hot.refresh()
        assert "Error" in hot.status()["error"]
        redis_server.start()
        await clock.go_on(PAUSE_S)
        assert await cache.get_many([keys.PRICES, "price:BTC-USD"]) == [None, None]
        await hot.refresh()
        after = await everything_in(cache)
    assert after[0]["BTC-USD"] == before[0]["BTC-USD"]
    assert after[0]["ETH-USD"] == quote(instrument="ETH-USD", price=7.0)
    assert {name: set(board) for name, board in after[1].items()} == {
        name: set(board) for name, board in before[1].items()
    }
    assert hot.status()["error"] == ""


async def everything_in(cache: RedisCache) -> tuple[dict[str, Quote | None], dict[str, dict[str, float]]]:
    listed = msgspec.json.decode(await cache.get(keys.PRICES) or b"[]", type=list[str])
    return {name: await price_in(cache, name) for name in listed}, await boards(cache)


async def test_a_cache_that_comes_back_is_filled_at_once(
    redis_server: "RedisServer", bus: Bus, history: SqliteHistory
) -> None:
    """With the next price, however long the ranking's turn is; and so is a ranking with an instrument that is new."""
    await store(history, [tick("BTC-USD", NOW, 100.0), tick("ETH-USD", NOW, 100.0)])
    clock = Clock()
    async with open_redis(redis_server.url, redis_server.password, clock=clock) as cache:
        hot = Hot(bus, history, cache, Catalogue(), every_s=1e6, pause_s=0, clock=lambda: NOW)
        async with running(hot):
            await until(lambda: hot.status()["ranked_at"] == NOW)
            await store(history, [tick("XAU-USD", NOW, 100.0)])
            await bus.client.publish("quote.XAU-USD", msgspec.json.encode(quote(instrument="XAU-USD")))
            await until(lambda: hot.status()["boards"]["movers:1h"] == 3)
            redis_server.kill()
            await bus.client.publish("quote.BTC-USD", msgspec.json.encode(quote(price=1.0)))
            await until(lambda: cache.trouble != "")
            redis_server.start()
            await clock.go_on(PAUSE_S)

            async def everything() -> bool:
                await bus.client.publish("quote.BTC-USD", msgspec.json.encode(quote(price=2.0)))
                prices, found = await everything_in(cache)
                return len(prices) == 3 and [len(board) for board in found.values()] == [0, 3, 3, 3]

            assert await until_true(everything, 5)
            assert [one.price for name in Catalogue().instruments if (one := await price_in(cache, name))] == [
                110.0,
                2.0,
                100.0,
            ]


async def test_a_process_that_may_ask_no_database_knows_every_price(
    redis_server: "RedisServer", bus: Bus, history: SqliteHistory
) -> None:
    """A split hub: one process keeps the cache from its history and the bus, another one fills its quotes from it and
    has only the bus beside."""
    await store(history, [tick("BTC-USD", NOW - MINUTE, 100.0), tick("XAU-USD", NOW, 1300.0)])
    async with (
        open_redis(redis_server.url, redis_server.password) as ours,
        open_redis(redis_server.url, redis_server.password) as theirs,
    ):
        hot = Hot(bus, history, ours, Catalogue(), clock=lambda: NOW)
        async with running(hot):
            await until(lambda: hot.status()["ranked_at"] == NOW)
            await bus.client.publish("quote.ETH-USD", msgspec.json.encode(quote(instrument="ETH-USD")))
            await until(lambda: hot.writes == 2)
            quotes = Quotes(bus, Untouched(), Catalogue(), cache=theirs, clock=lambda: NOW)
            await quotes.start()
            assert [(one.instrument, one.price) for one in quotes.all()] == [
                ("BTC-USD", 100.0),
                ("ETH-USD", 110.0),
                ("XAU-USD", 1300.0),
            ]
            await bus.client.publish("quote.BTC-USD", msgspec.json.encode(quote()))
            await until(lambda: quotes.get("BTC-USD") == quote())
            await quotes.stop()
        assert [name for name, _ in await theirs.top("movers:1h", 9)] == ["BTC-USD", "XAU-USD"]


class Broken(Empty):
    """Its database is away, until it is back."""

    def __init__(self) -> None:
        self.away = True

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        if self.away:
            raise HistoryTrouble("the database is away")
        return [Candle(start=start_us, open=100.0, high=1.0, low=1.0, close=1.0, count=1, sum=0.0, sum_squares=0.0)]


async def test_a_history_that_is_away_stops_nothing(bus: Bus) -> None:
    """Prices go on, it is said once, and what had moved is ranked when it is back."""
    cache, history = MemoryCache(), Broken()
    hot = Hot(bus, history, cache, Catalogue(), every_s=0.01, pause_s=0, clock=lambda: NOW)
    with structlog.testing.capture_logs() as said:
        async with running(hot):
            await until(lambda: hot.status()["ranked_at"] == NOW)
            await bus.client.publish("quote.BTC-USD", msgspec.json.encode(quote()))
            await until(lambda: hot.status()["error"] == "the database is away")
            assert await price_in(cache) == quote()
            history.away = False
            await until(lambda: hot.status()["boards"].get("movers:1h") == 1)
            await until(lambda: hot.status()["error"] == "")
    assert (await boards(cache))["movers:1h"] == {"BTC-USD": pytest.approx(0.1)}
    assert [line["event"] for line in said] == ["the boards are not ranked now", "the boards are ranked again"]
