"""plugins.feeds.binance: the exchange's messages, and a socket that behaves like the exchange's."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer, unused_port

from hub.model import Kind, Refused, Tick
from hub.plugin import GiveUp, TryLater
from plugins.feeds import binance

TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    '"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
BOOK_TICKER = (
    '{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",'
    '"B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}'
)
AGG_TRADE = (
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255343,"s":"BTCUSDT","a":3111222333,'
    '"p":"61837.63000000","q":"0.06809000","f":3735683259,"l":3735683261,"T":1723161255342,"m":true,"M":true}}'
)
DEPTH = (
    '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":50093239203,'
    '"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.32332000"]]}}'
)
SNAPSHOT = '{"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}'
SYMBOLS = {"BTC-USDT": "btcusdt"}
BTC = {"BTCUSDT": "BTC-USDT"}.get

THE_TRADE = Tick(
    instrument="BTC-USDT",
    kind=Kind.TRADE,
    price=61837.63,
    volume=0.02,
    venue_time=1_723_161_255_342_000,
    number=3_735_683_259,
)
THE_QUOTE = Tick(instrument="BTC-USDT", kind=Kind.QUOTE, bid=61837.63, ask=61837.64, number=50_093_239_212)


def test_a_trade_is_numbered_by_its_trade_id_and_timed_by_the_exchange() -> None:
    """Price, size, time and id of one real message."""
    assert binance.parse(TRADE, BTC) == [THE_TRADE]


def test_a_book_ticker_is_a_quote_without_a_time() -> None:
    """Binance stamps none, so none is made up."""
    assert binance.parse(BOOK_TICKER.encode(), BTC) == [THE_QUOTE]


def test_an_aggregate_trade_is_numbered_by_its_own_id() -> None:
    """The id of the aggregate, not of the trades in it."""
    (tick,) = binance.parse(AGG_TRADE, BTC)
    assert isinstance(tick, Tick)
    assert (tick.number, tick.volume, tick.kind) == (3_111_222_333, 0.06809, Kind.TRADE)


@pytest.mark.parametrize("message", [TRADE, BOOK_TICKER, AGG_TRADE])
def test_an_event_without_its_envelope_is_the_same_event(message: str) -> None:
    """Single streams send the event by itself."""
    inner = message.partition('"data":')[2][:-1]
    assert binance.parse(inner, BTC) == binance.parse(message, BTC)


@pytest.mark.parametrize("message", [DEPTH, SNAPSHOT, '{"result":null,"id":1}'])
def test_order_books_and_answers_hold_no_tick_and_are_not_refused(message: str) -> None:
    """They are expected, and say nothing that the hub keeps."""
    assert binance.parse(message, BTC) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (TRADE[:-5], "broken JSON"),
        ("", "broken JSON"),
        (b"\xff\xfe{", "broken JSON"),
        ("[" * 100_000, "broken JSON"),
        ('{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","p":null}}', "broken message"),
        (TRADE.replace('"61837.63000000"', '"much"'), "broken message"),
        (TRADE.replace("BTCUSDT", "ETHUSDT"), "unknown symbol"),
        (BOOK_TICKER.replace("BTCUSDT", "ETHUSDT"), "unknown symbol"),
        ('{"stream":"btcusdt@kline_1m","data":{"e":"kline","s":"BTCUSDT"}}', "unknown event"),
        ('{"stream":"btcusdt@kline_1m","data":[1]}', "broken message"),
        ("{}", "unknown event"),
        ('{"e":"outboundAccountPosition"}', "unknown event"),
    ],
)
def test_what_is_no_tick_is_refused_with_a_reason(message: str | bytes, reason: str) -> None:
    """Each kind of trouble has its fixed phrase; the sample is short."""
    (refused,) = binance.parse(message, BTC)
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert len(refused.sample) <= binance.SAMPLE_CHARS


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('{"e":"serverShutdown","E":1770123456789}', "about to shut"),
        ('{"stream":"","data":{"e":"serverShutdown","E":1770123456789}}', "about to shut"),
        ('{"error":{"code":2,"msg":"Invalid request"},"id":1}', "Invalid request"),
    ],
)
def test_an_announced_end_or_an_error_is_try_later(message: str, words: str) -> None:
    """Ingest connects anew, with the reason in its log."""
    with pytest.raises(TryLater, match=words):
        binance.parse(message, BTC)


def test_the_url_names_every_stream_of_every_symbol() -> None:
    """The query is as the vendor writes it, with bare "@" and "/"."""
    instruments = binance.by_symbol({"BTC-USDT": "btcusdt", "PAXG-USDT": "PAXGUSDT"})
    assert str(binance.stream_url(binance.Settings(), instruments)) == (
        "wss://data-stream.binance.vision/stream?streams="
        "btcusdt@trade/btcusdt@bookTicker/paxgusdt@trade/paxgusdt@bookTicker"
    )


def test_settings_that_cannot_work_say_why() -> None:
    """No symbols, one symbol twice, trades twice, or more streams than a connection takes."""
    with pytest.raises(GiveUp, match="no symbols"):
        binance.by_symbol({})
    with pytest.raises(GiveUp, match="same symbol"):
        binance.by_symbol({"A": "btcusdt", "B": "BTCUSDT"})
    with pytest.raises(GiveUp, match="same trades"):
        binance.stream_url(binance.Settings(streams=("trade", "aggTrade")), {"BTCUSDT": "BTC-USDT"})
    with pytest.raises(GiveUp, match="1026 streams"):
        binance.stream_url(binance.Settings(), {f"S{n}": f"S{n}" for n in range(513)})


# ---------------------------------------------------------------------------------------------- a socket

Speak = Callable[[web.Request, web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def exchange(speak: Speak) -> AsyncIterator[binance.Settings]:
    """A WebSocket server on loopback that says what `speak` says."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(autoping=False)
        await answer.prepare(request)
        await speak(request, answer)
        return answer

    app = web.Application()
    app.router.add_get("/stream", handle)
    async with TestServer(app, host="127.0.0.1") as server:
        yield binance.Settings(url=str(server.make_url("")).replace("http", "ws", 1))


class Hub:
    def __init__(self) -> None:
        self.updates: list[Tick | Refused] = []

    async def emit(self, update: Tick | Refused) -> None:
        self.updates.append(update)


async def run(settings: binance.Settings, hub: Hub) -> None:
    async with asyncio.timeout(10):
        await binance.run(settings, SYMBOLS, hub.emit, {})


async def test_every_tick_is_emitted_in_order_and_pings_are_answered() -> None:
    """A burst with a ping in its middle: all of it, and the ping's payload comes back."""
    asked, pongs = [], []

    async def speak(request: web.Request, answer: web.WebSocketResponse) -> None:
        asked.append(request.query["streams"])
        for number in range(500):
            await answer.send_str(TRADE.replace("3735683259", str(number)))
        await answer.ping(b"1723161255")
        pongs.append(await answer.receive())
        await answer.send_str(BOOK_TICKER)
        await answer.close(code=1001)

    hub = Hub()
    async with exchange(speak) as settings:
        with pytest.raises(TryLater, match=r"127\.0\.0\.1 closed the connection \(code 1001\)"):
            await run(settings, hub)
    assert [update.number for update in hub.updates[:-1]] == list(range(500))
    assert hub.updates[-1] == THE_QUOTE
    assert asked == ["btcusdt@trade/btcusdt@bookTicker"]
    assert [(pong.type, bytes(pong.data)) for pong in pongs] == [(WSMsgType.PONG, b"1723161255")]


async def test_a_connection_cut_in_the_middle_is_try_later() -> None:
    """No good-bye, half a frame: what came whole was emitted."""

    async def speak(request: web.Request, answer: web.WebSocketResponse) -> None:
        await answer.send_str(TRADE)
        assert request.transport is not None
        request.transport.write(b"\x81\x7e\x10\x00half a frame")
        request.transport.close()

    hub = Hub()
    async with exchange(speak) as settings:
        with pytest.raises(TryLater, match="closed the connection"):
            await run(settings, hub)
    assert hub.updates == [THE_TRADE]


async def test_what_came_before_a_cut_is_emitted_though_its_pings_cannot_be_answered_any_more() -> None:
    """A hub that is behind reads a ping whose connection is gone: that is no bug, and no tick behind it is lost."""
    cut = asyncio.Event()

    async def speak(request: web.Request, answer: web.WebSocketResponse) -> None:
        for number in range(300):
            await answer.send_str(TRADE.replace("3735683259", str(number)))
            await answer.ping()
        assert request.transport is not None
        request.transport.close()
        cut.set()

    class BusyHub(Hub):
        async def emit(self, update: Tick | Refused) -> None:
            await cut.wait()
            await asyncio.sleep(0)
            await super().emit(update)

    hub = BusyHub()
    async with exchange(speak) as settings:
        with pytest.raises(TryLater, match="closed the connection"):
            await run(settings, hub)
    assert [update.number for update in hub.updates] == list(range(300))


async def test_a_message_larger_than_any_of_theirs_ends_the_connection() -> None:
    """Memory is bounded by the largest message that is taken."""

    async def speak(request: web.Request, answer: web.WebSocketResponse) -> None:
        await answer.send_str("x" * (binance.MAX_MESSAGE_BYTES + 1))
        await answer.receive()

    async with exchange(speak) as settings:
        with pytest.raises(TryLater, match="closed the connection"):
            await run(settings, Hub())


async def test_a_broken_message_is_refused_and_the_next_is_taken() -> None:
    """One bad frame costs nothing but itself."""

    async def speak(request: web.Request, answer: web.WebSocketResponse) -> None:
        await answer.send_str(TRADE[:-5])
        await answer.send_str(TRADE)
        await answer.close()

    hub = Hub()
    async with exchange(speak) as settings:
        with pytest.raises(TryLater):
            await run(settings, hub)
    assert [update.reason if isinstance(update, Refused) else "" for update in hub.updates] == ["broken JSON", ""]


async def test_a_silent_connection_is_waited_for_and_can_be_cancelled() -> None:
    """To notice silence is ingest's part."""
    connected = asyncio.Event()

    async def speak(request: web.Request, answer: web.WebSocketResponse) -> None:
        connected.set()
        await answer.receive()

    async with exchange(speak) as settings:
        running = asyncio.ensure_future(binance.run(settings, SYMBOLS, Hub().emit, {}))
        await asyncio.wait_for(connected.wait(), 5)
        done, _ = await asyncio.wait({running}, timeout=0.1)
        assert not done
        running.cancel()
        await asyncio.wait({running}, timeout=5)
        assert running.cancelled()


@pytest.mark.parametrize(("status", "words"), [(451, "does not serve this country"), (503, "HTTP 503")])
async def test_a_refused_handshake_says_its_status(status: int, words: str) -> None:
    """And how long to stay away, if the exchange says so."""

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7"})

    app = web.Application()
    app.router.add_get("/stream", refuse)
    async with TestServer(app, host="127.0.0.1") as server:
        with pytest.raises(TryLater, match=words) as caught:
            await run(binance.Settings(url=str(server.make_url("")).replace("http", "ws", 1)), Hub())
    assert caught.value.retry_after_s == 7.0


async def test_no_network_is_said_plainly() -> None:
    """A dead port and a name that does not resolve are two different sentences."""
    with pytest.raises(TryLater, match=r"no network: cannot connect to 127\.0\.0\.1"):
        await run(binance.Settings(url=f"ws://127.0.0.1:{unused_port()}"), Hub())
    with pytest.raises(TryLater, match=r"no network: cannot resolve exchange\.invalid"):
        await run(binance.Settings(url="wss://exchange.invalid"), Hub())


async def test_an_exchange_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    """The connect has its own limit."""

    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(TryLater, match="did not answer in time"):
            await run(binance.Settings(url=f"ws://127.0.0.1:{port}", connect_timeout_s=0.05), Hub())
