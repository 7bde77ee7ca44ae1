"""The contract of feeds: every feed keeps it, and the check finds out one that does not."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub import bus, load
from hub.model import Kind, Nature, Refused, Tick
from hub.testing import check_feed
from plugins.feeds import binance, nats, replay, swissquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.plugin import Emit, Last
    from tests.conftest import NatsServer

GOLD = {"XAU-USD": "XAU/USD"}
TICK = Tick(instrument="XAU-USD", kind=Kind.TRADE, price=2400.0)


async def test_the_simulated_market_keeps_the_contract() -> None:
    """The demo, as it is shipped."""
    await check_feed(load.feed("demo"), {"XAU-USD": "XAU-USD", "BTC-USD": "BTC-USD"}, updates=5)


async def test_a_recording_keeps_the_contract(tmp_path: Path) -> None:
    """Its refused line is one of the updates, under its number."""
    file = tmp_path / "gold.csv"
    file.write_text("time,bid,ask\n" + "".join(f"2026-11-20T10:00:{s:02},{2400 + s},2401\n" for s in (0, 1, 0, 1)))
    taken = await check_feed(load.feed("replay"), GOLD, replay.Settings(file=str(file), format="csv"), updates=3)
    assert [one.number for one in taken] == [2, 3, 4]


async def test_json_from_the_bus_keeps_the_contract(nats_server: NatsServer) -> None:
    """What another program publishes, read by a feed with a bus of its own."""
    settings = nats.Settings(subject="feed.desk", bus_url=nats_server.url, bus_token=nats_server.token)
    async with bus.connect(nats_server.url, nats_server.token, "a program") as program:

        async def publish() -> None:
            for number in count(1):
                one = {"instrument": "XAU-USD", "bid": 2400, "ask": 2401, "number": number}
                await program.client.publish("feed.desk", msgspec.json.encode(one))
                await asyncio.sleep(0.01)

        publishing = asyncio.ensure_future(publish())
        try:
            taken = await check_feed(load.feed("nats"), GOLD, settings)
        finally:
            publishing.cancel()
    assert all(isinstance(one, Tick) and one.bid == 2400 for one in taken)


async def test_the_polled_source_keeps_the_contract() -> None:
    """Swissquote's answer, newer at each request."""
    stamps = count(1_787_059_781_000, 1000)

    async def answer(_: web.Request) -> web.Response:
        prices = [{"spreadProfile": "standard", "bid": 4389.0, "ask": 4389.76}]
        book = {"topo": {"platform": "AT", "server": "AT"}, "spreadProfilePrices": prices, "ts": next(stamps)}
        return web.json_response([book])

    async with local("/{tail:.*}", answer) as url:
        settings = swissquote.Settings(url=url, every_s=1)
        taken = await check_feed(load.feed("swissquote"), GOLD, settings, updates=1)
    assert isinstance(taken[0], Tick) and taken[0].bid == 4389.0


async def test_the_streamed_source_keeps_the_contract() -> None:
    """Binance's trades, as its combined stream sends them."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)

        async def trade() -> None:
            for number in count(1):
                data = {"e": "trade", "E": 1723161255342, "s": "BTCUSDT", "t": number, "p": "61837.63", "q": "0.02",
                        "T": 1723161255341, "m": True, "M": True}  # fmt: skip
                await socket.send_json({"stream": "btcusdt@trade", "data": data})
                await asyncio.sleep(0.01)

        trading = asyncio.ensure_future(trade())
        async for _ in socket:  # until the client closes
            pass
        trading.cancel()
        await asyncio.wait({trading})
        return socket

    async with local("/{tail:.*}", stream) as url:
        settings = binance.Settings(url=url.replace("http", "ws"))
        taken = await check_feed(load.feed("binance"), {"BTC-USDT": "btcusdt"}, settings)
    assert [one.number for one in taken] == [1, 2, 3]


@contextlib.asynccontextmanager
async def local(path: str, handler: Any) -> Any:
    app = web.Application()
    app.router.add_get(path, handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


# ------------------------------------------------------------------------------- feeds that break it


def feed(run: Any, nature: object = Nature.LIVE) -> Any:
    return SimpleNamespace(NATURE=nature, Settings=type(None), run=run)


def always(*items: Tick | Refused) -> Any:
    async def run(settings: object, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
        while True:
            for item in items:
                await emit(item)

    return run


async def ends(settings: object, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    await emit(TICK)


async def crowds(settings: object, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(_endlessly(emit))


async def _endlessly(emit: Emit) -> None:
    while True:
        await emit(TICK)


async def clings(settings: object, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await always(TICK)(settings, symbols, emit, last)


async def is_mute(settings: object, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (feed(always(TICK), nature="live"), "NATURE"),
        (feed(always(msgspec.structs.replace(TICK, instrument="XAG-USD"))), "was not asked for"),
        (feed(always(msgspec.structs.replace(TICK, price=-1.0))), "no tick but a refusal"),
        (feed(always(msgspec.structs.replace(TICK, number=7))), "does not grow"),
        (feed(always(Refused(reason=" "))), "has a reason"),
        (feed(ends), r"ended after 1 updates"),
        (feed(crowds), "10 calls of emit wait"),
        (feed(clings), "with the cancellation"),
        (feed(is_mute), "0 updates came"),
    ],
)
async def test_a_feed_that_breaks_the_contract_is_found_out(broken: Any, why: str) -> None:
    """Each with the sentence that says which promise was broken."""
    with pytest.raises(AssertionError, match=why):
        await check_feed(broken, GOLD, settings=object(), within_s=0.3)
