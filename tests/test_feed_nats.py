"""plugins.feeds.nats: what other programs publish, on a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from nats.errors import NoRespondersError

from hub import bus
from hub.model import Kind, Refused, Tick
from hub.plugin import GiveUp, TryLater
from plugins.feeds import nats

if TYPE_CHECKING:
    from tests.conftest import NatsServer

QUOTE = b'{"instrument": "XAU-USD", "bid": 4389.05, "ask": 4389.71, "time": "2026-08-18T13:29:41.075Z"}'
TRADES = (
    b'[{"symbol": "btcusdt", "price": "61837.63", "volume": 0.02, "time": 1723161255342, "number": 3735683259},'
    b' {"symbol": "btcusdt", "price": 61837.64, "number": 3735683260, "maker": true}]'
)
THE_QUOTE = Tick(instrument="XAU-USD", kind=Kind.QUOTE, bid=4389.05, ask=4389.71, venue_time=1_787_059_781_075_000)


@pytest.mark.parametrize(
    ("time", "zone", "utc"),
    [
        ('"2026-08-18T13:29:41.075Z"', "Europe/Athens", "2026-08-18T13:29:41.075+00:00"),
        ('"2026-08-18T13:29:41.075"', "Europe/Athens", "2026-08-18T10:29:41.075+00:00"),
        ('"2026.01.18 13:29"', "Europe/Athens", "2026-01-18T11:29:00.000+00:00"),
        ('"2026.01.18 13:29"', "", "2026-01-18T13:29:00.000+00:00"),
        ("1787059781075", "Europe/Athens", "2026-08-18T10:29:41.075+00:00"),
        ("1787059781", "Etc/GMT+5", "2026-08-18T18:29:41.000+00:00"),
        ("1787059781", "", "2026-08-18T13:29:41.000+00:00"),
    ],
)
def test_times_are_by_the_clock_of_the_time_zone_that_is_set(time: str, zone: str, utc: str) -> None:
    """Numbers too: MetaTrader counts its broker's wall clock. What names its zone is meant so."""
    message = b'{"instrument":"X","price":1,"time":%s}' % time.encode()
    (tick,) = nats.parse(message, {}, nats.zone_of_setting(zone))
    assert isinstance(tick, Tick)
    since_1970 = datetime.fromisoformat(utc) - datetime(1970, 1, 1, tzinfo=UTC)
    assert tick.venue_time == since_1970 // timedelta(microseconds=1)


def test_a_time_zone_that_there_is_none_of_is_said() -> None:
    """With how one is written, before anything is read by it."""
    with pytest.raises(GiveUp, match='no time zone "Mars"'):
        nats.zone_of_setting("Mars")


def reasons(updates: list[Tick | Refused]) -> list[str]:
    return [update.reason for update in updates if isinstance(update, Refused)]


# ---------------------------------------------------------------------------------------------- parsing


def test_one_object_is_one_quote() -> None:
    """Without symbols the instrument's id is taken as it is."""
    assert nats.parse(QUOTE, {}) == [THE_QUOTE]


def test_a_list_is_taken_object_by_object() -> None:
    """The vendor's name is mapped; prices may be text; fields that are not known are ignored."""
    first, second = nats.parse(TRADES, nats.by_name({"BTC-USDT": "btcusdt"}))
    assert first == Tick(
        instrument="BTC-USDT",
        kind=Kind.TRADE,
        price=61837.63,
        volume=0.02,
        venue_time=1_723_161_255_342_000,
        number=3_735_683_259,
    )
    assert second == Tick(instrument="BTC-USDT", kind=Kind.TRADE, price=61837.64, number=3_735_683_260)


def test_an_object_with_a_price_and_a_quote_is_both() -> None:
    """So that it counts whichever the instrument's price is made of."""
    both = nats.parse(b'{"instrument":"X","price":2,"bid":1,"ask":3,"number":7}', {})
    assert [(tick.kind, tick.number) for tick in both if isinstance(tick, Tick)] == [(Kind.TRADE, 7), (Kind.QUOTE, 7)]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b'{"instrument":"X","price":', "broken JSON"),
        (b"", "broken JSON"),
        (b"\xff", "broken JSON"),
        (b"[" * 100_000, "broken JSON"),
        (b"7", "broken message"),
        (b'{"instrument":"X","price":[1]}', "broken message"),
        (b'{"instrument":"X","price":1,"time":"yesterday"}', "broken message"),
        (b'{"instrument":"X","price":1,"time":1e400}', "broken JSON"),
        (b'{"instrument":"X"}', "no price"),
        (b'{"instrument":"X","bid":1}', "no price"),
        (b'{"price":1}', "no instrument"),
        (b'{"v":2,"instrument":"X","price":1}', "newer version"),
        (b'{"v":2,"instrument":{"id":"X"}}', "newer version"),
        (b'{"v":"2","instrument":"X","price":1}', "newer version"),
    ],
)
def test_what_is_no_tick_is_refused_with_a_reason(message: bytes, reason: str) -> None:
    """Each kind of trouble has its fixed phrase; the sample is short."""
    (refused,) = nats.parse(message, {})
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert len(refused.sample) <= nats.SAMPLE_CHARS


def test_one_bad_object_costs_its_list_nothing_else() -> None:
    """The good ones around it are ticks."""
    updates = nats.parse(b'[{"instrument":"X","price":1},{"instrument":"X"},{"instrument":"X","price":2}]', {})
    assert [isinstance(update, Tick) for update in updates] == [True, False, True]


def test_with_symbols_only_those_are_taken_by_either_name() -> None:
    """A section that names its symbols takes nothing else."""
    known = nats.by_name({"BTC-USDT": "btcusdt", "XAU-USD": ""})
    assert reasons(nats.parse(QUOTE, known)) == []
    assert reasons(nats.parse(b'{"instrument":"BTC-USDT","price":1}', known)) == []
    assert reasons(nats.parse(b'{"symbol":"ethusdt","price":1}', known)) == ["unknown symbol"]


# --------------------------------------------------------------------------------------------- listening


class Hub:
    def __init__(self) -> None:
        self.updates: list[Tick | Refused] = []

    async def emit(self, update: Tick | Refused) -> None:
        self.updates.append(update)


@asynccontextmanager
async def listening(
    server: NatsServer, hub: Hub, symbols: dict[str, str] | None = None
) -> AsyncIterator[tuple[bus.Bus, asyncio.Future[None]]]:
    """A publisher's connection, once the feed listens on feed.desk."""
    settings = nats.Settings(subject=bus.feed("desk"), bus_url=server.url, bus_token=server.token)
    running = asyncio.ensure_future(nats.run(settings, symbols or {}, hub.emit, {}))
    try:
        async with bus.connect(server.url, server.token, "publisher") as publisher:
            await answered(publisher, b"[]")
            yield publisher, running
    finally:
        running.cancel()
        await asyncio.wait({running}, timeout=10)


async def answered(publisher: bus.Bus, payload: bytes) -> dict[str, object]:
    """The feed's answer, once it listens."""
    for _ in range(500):
        try:
            reply = await publisher.client.request("feed.desk", payload, timeout=1)
        except (NoRespondersError, TimeoutError):
            await asyncio.sleep(0.01)
            continue
        return msgspec.json.decode(reply.data, type=dict[str, object])
    raise AssertionError("the feed did not listen within 5 s")


async def test_what_is_published_is_emitted_in_order(nats_server: NatsServer) -> None:
    """A thousand plain messages, and the answer to a last request says that they were taken."""
    hub = Hub()
    async with listening(nats_server, hub) as (publisher, _):
        for number in range(1000):
            await publisher.client.publish("feed.desk", b'{"instrument":"X","price":1,"number":%d}' % number)
        assert await answered(publisher, QUOTE) == {"accepted": 1, "refused": []}
    assert [update.number for update in hub.updates[:-1]] == list(range(1000))
    assert hub.updates[-1] == THE_QUOTE


async def test_a_request_is_answered_after_its_ticks_were_emitted(nats_server: NatsServer) -> None:
    """Accepted and refused are told apart, with the reason."""
    hub = Hub()
    async with listening(nats_server, hub, {"BTC-USDT": "btcusdt"}) as (publisher, _):
        assert await answered(publisher, TRADES) == {"accepted": 2, "refused": []}
        assert len(hub.updates) == 2
        assert await answered(publisher, QUOTE) == {"accepted": 0, "refused": [{"reason": "unknown symbol"}]}
        assert await answered(publisher, b"{") == {"accepted": 0, "refused": [{"reason": "broken JSON"}]}


async def test_the_feed_goes_on_when_the_server_comes_back(nats_server: NatsServer) -> None:
    """The connection comes back by itself; nothing needs to be restarted."""
    hub = Hub()
    async with listening(nats_server, hub) as (publisher, running):
        nats_server.restart()
        assert await answered(publisher, QUOTE) == {"accepted": 1, "refused": []}
        assert not running.done()
    assert hub.updates[-1] == THE_QUOTE


async def test_a_cancelled_feed_ends_and_leaves_nothing_behind(nats_server: NatsServer) -> None:
    """After its end nobody listens on the subject."""
    async with listening(nats_server, Hub()) as (publisher, running):
        running.cancel()
        await asyncio.wait({running}, timeout=10)
        assert running.cancelled()
        with pytest.raises(NoRespondersError):
            await publisher.client.request("feed.desk", QUOTE, timeout=2)


async def test_a_wrong_token_is_try_later_and_is_not_shown(nats_server: NatsServer) -> None:
    """The reason names the server, never the token."""
    settings = nats.Settings(subject="feed.desk", bus_url=nats_server.url, bus_token="not-the-secret")
    with pytest.raises(TryLater, match="no NATS server at nats://127") as caught:
        async with asyncio.timeout(15):
            await nats.run(settings, {}, Hub().emit, {})
    assert "not-the-secret" not in caught.value.reason


async def test_without_a_subject_or_a_bus_it_says_what_to_write() -> None:
    """Ingest fills both in; by itself the feed cannot guess them."""
    with pytest.raises(GiveUp, match="subject and bus_url"):
        await nats.run(nats.Settings(), {}, Hub().emit, {})
