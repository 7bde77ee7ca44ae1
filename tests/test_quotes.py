"""The newest quotes: filled from the past, kept by the bus, never by what is malformed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hub import bus as names
from hub.bus import Bus, connect
from hub.cache.memory import MemoryCache
from hub.model import Candle, Instrument, Kind, Nature, Quote, Tick
from hub.quotes import Quotes, remembered

if TYPE_CHECKING:
    from tests.conftest import NatsServer

S = 1_000_000
NOW = 1_800_000_000 * S


class Catalogue:
    def __init__(self) -> None:
        self.instruments = {
            "XAU-USD": Instrument(id="XAU-USD", name="Gold", basis="mid", stale_after_s=30),
            "BTC-USD": Instrument(id="BTC-USD", name="Bitcoin", stale_after_s=30),
        }

    def get(self, instrument_id: str) -> Instrument | None:
        return self.instruments.get(instrument_id)


def candle(**facts: float) -> Candle:
    return Candle(
        **{"start": 0, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "count": 1, "sum": 0.0, "sum_squares": 0.0}
        | facts  # type: ignore[arg-type]
    )


class Past:
    """A history that knows two instruments, one of them no longer in the catalogue."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def natures(self) -> dict[str, Nature]:
        return {"demo": Nature.SIMULATED}

    async def last_ticks(self) -> dict[str, Tick]:
        gold = Tick(instrument="XAU-USD", kind=Kind.QUOTE, bid=2400.0, ask=2401.0, venue_time=NOW - 5 * S,
                    received_at=NOW - 4 * S, source="demo")  # fmt: skip
        return {"XAU-USD": gold, "OLD": msgspec.structs.replace(gold, instrument="OLD")}

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        self.asked.append((instrument, time_us))
        return candle(open=2390.0, high=2400.0, low=2380.0), candle(close=2385.0)


def quote(**facts: Any) -> Quote:
    return Quote(
        **{
            "instrument": "XAU-USD", "price": 2402.0, "time": NOW, "received_at": NOW, "source": "demo",
            "open": 2390.0, "high": 2402.0, "low": 2380.0, **facts,
        }
    )  # fmt: skip


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        yield opened


@pytest.fixture
async def quotes(bus: Bus) -> AsyncIterator[Quotes]:
    made = Quotes(bus, Past(), Catalogue(), clock=lambda: NOW)
    await made.start()
    await bus.client.flush()
    yield made
    await made.stop()


async def publish(bus: Bus, subject: str, payload: bytes, until: Callable[[], bool]) -> None:
    await bus.client.publish(subject, payload)
    async with asyncio.timeout(5):
        while not until():
            await asyncio.sleep(0.002)


async def test_a_price_is_known_before_the_first_tick(quotes: Quotes) -> None:
    """The last tick's mid with its day, the high widened by it; an instrument that is no longer known is left out."""
    (gold,) = quotes.all()
    assert (gold.price, gold.open, gold.high, gold.low, gold.previous) == (2400.5, 2390.0, 2400.5, 2380.0, 2385.0)
    assert (gold.time, gold.received_at) == (NOW - 5 * S, NOW - 4 * S)
    assert quotes.get("XAU-USD") is gold and quotes.get("OLD") is None


async def test_the_bus_brings_the_newest(bus: Bus, quotes: Quotes) -> None:
    """By instrument, and none goes backwards."""
    await publish(bus, "quote.BTC-USD", msgspec.json.encode(quote(instrument="BTC-USD", price=60000.0)),
                  lambda: quotes.get("BTC-USD") is not None)  # fmt: skip
    await publish(bus, "quote.XAU-USD", msgspec.json.encode(quote(received_at=NOW - 60 * S, price=1.0)), lambda: True)
    await publish(bus, "quote.XAU-USD", msgspec.json.encode(quote()), lambda: quotes.get("XAU-USD") == quote())
    assert [q.instrument for q in quotes.all()] == ["BTC-USD", "XAU-USD"]


@pytest.mark.parametrize(
    ("subject", "payload", "reason"),
    [
        ("quote.XAU-USD", b"{", "malformed"),
        ("quote.XAU-USD", b'{"price": null}', "malformed"),
        ("quote.XAU-USD", msgspec.json.encode(quote()).replace(b"2402.0", b"NaN", 1), "malformed"),
        (names.quote("NEW"), msgspec.json.encode(quote(instrument="NEW")), "unknown instrument"),
        ("quote.XAU-USD", msgspec.json.encode(quote(instrument="BTC-USD")), "another instrument's subject"),
    ],
)
async def test_what_is_malformed_is_refused_and_counted(
    bus: Bus, quotes: Quotes, subject: str, payload: bytes, reason: str
) -> None:
    """Nothing of it is shown, and the next good one is."""
    before = quotes.all()
    await publish(bus, subject, payload, lambda: quotes.refused[reason] == 1)
    assert quotes.all() == before
    await publish(bus, "quote.XAU-USD", msgspec.json.encode(quote()), lambda: quotes.get("XAU-USD") == quote())


async def test_age_and_staleness_are_computed_when_they_are_read(bus: Bus) -> None:
    """A silent ingest shows: old in open hours is stale, old in a closed market is not, and what ingest says counts."""
    quotes = Quotes(bus, Past(), Catalogue(), clock=lambda: NOW)
    assert quotes.age_s(quote(received_at=NOW - 20 * S)) == 20.0
    assert quotes.age_s(quote(received_at=NOW + 5 * S)) == 0.0
    assert not quotes.stale(quote(received_at=NOW - 30 * S))
    assert quotes.stale(quote(received_at=NOW - 31 * S))
    assert not quotes.stale(quote(received_at=NOW - 31 * S, market_open=False))
    assert quotes.stale(quote(stale_since=NOW - S))


# ---------------------------------------------------------------------------------------------- the cache


class Untouched:
    """A history that nobody may ask."""

    async def natures(self) -> dict[str, Nature]:
        raise AssertionError("history was asked for what the cache has")

    async def last_ticks(self) -> dict[str, Tick]:
        raise AssertionError("history was asked for what the cache has")

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        raise AssertionError(f"history was asked for {instrument}, which the cache has")


class Both(Past):
    """A history that knows bitcoin as well, at an older price."""

    async def last_ticks(self) -> dict[str, Tick]:
        bitcoin = Tick(instrument="BTC-USD", kind=Kind.TRADE, price=1.0, received_at=NOW - 60 * S, source="demo")
        return {**await super().last_ticks(), "BTC-USD": bitcoin}


BITCOIN = quote(instrument="BTC-USD", price=60000.0, received_at=NOW - S)


async def filled(bus: Bus, history: Any, values: dict[str, bytes]) -> Quotes:
    cache = MemoryCache()
    await cache.set_many(values)
    made = Quotes(bus, history, Catalogue(), cache=cache, clock=lambda: NOW)
    await made.start()
    await made.stop()
    return made


def kept(*quotes: Quote, listed: bytes | None = None) -> dict[str, bytes]:
    listed = listed or msgspec.json.encode([one.instrument for one in quotes])
    return {"prices": listed} | {f"price:{one.instrument}": msgspec.json.encode(one) for one in quotes}


async def test_nobody_asks_the_database_for_what_the_cache_has(bus: Bus) -> None:
    """All prices that ingest keeps, in one read; what the catalogue lost is left out."""
    quotes = await filled(bus, Untouched(), kept(quote(), BITCOIN, quote(instrument="OLD")))
    assert quotes.all() == [BITCOIN, quote()]


@pytest.mark.parametrize("payload", [b"{", b"", msgspec.json.encode(BITCOIN), None])
async def test_what_the_cache_lacks_comes_from_history(bus: Bus, payload: bytes | None) -> None:
    """One price was evicted, or is broken, or another's: that one is asked for, and no other."""
    past = Both()
    values = kept(quote(), BITCOIN) | {"price:XAU-USD": payload or b""}
    if payload is None:
        del values["price:XAU-USD"]
    quotes = await filled(bus, past, values)
    assert [name for name, _ in past.asked] == ["XAU-USD"]
    assert [one.price for one in quotes.all()] == [60000.0, 2400.5]


@pytest.mark.parametrize("listed", [None, b"{", b"[1]"])
async def test_prices_that_nobody_keeps_any_more_count_for_nothing(bus: Bus, listed: bytes | None) -> None:
    """The list of prices ends soon after the ingest that writes it; what else stands there may be of last week."""
    values = kept(quote(price=1.0, received_at=NOW), listed=listed)
    if listed is None:
        del values["prices"]
    (gold,) = (await filled(bus, Past(), values)).all()
    assert gold.price == 2400.5


async def test_a_new_hub_has_nothing_to_ask_for(bus: Bus) -> None:
    """An empty list is an answer."""
    assert (await filled(bus, Untouched(), {"prices": b"[]"})).all() == []


async def test_what_history_remembers_knows_whether_its_market_is_open() -> None:
    """At a weekend gold is closed and not blind; a recording's market is as it was."""
    catalogue = Catalogue()
    catalogue.instruments["XAU-USD"] = Instrument(id="XAU-USD", name="Gold", session="metals-otc")
    friday = 1_399_032_000 * S
    tick = Tick(instrument="XAU-USD", kind=Kind.TRADE, price=1.0, received_at=friday, source="demo")
    for nature, now, open_ in [
        (Nature.LIVE, friday, True),
        (Nature.LIVE, friday + 86_400 * S, False),
        (Nature.RECORDING, friday + 86_400 * S, True),
    ]:
        found = await remembered(Past(), catalogue, tick, nature, now)
        assert found is not None and found.market_open is open_
