"""Binance spot: trades and the best bid and ask, over one combined WebSocket stream, without a key.

    [feeds.binance]
    symbols = { BTC-USDT = "btcusdt", PAXG-USDT = "paxgusdt" }

Emits a trade tick per trade, numbered by its trade id, and a quote tick per change of the best bid or ask,
numbered by the order book's update id. A quote has no venue_time: Binance stamps none. Whatever ends the
connection is TryLater, after all that came before its end was emitted; one that stays silent is ingest's to notice.
`parse` is pure and serves recordings of the same stream too (plugins.feeds.recordings). `backfill` fetches candles of
the past; minutes without a trade have none.

The vendor's pages: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

import aiohttp
import msgspec
from yarl import URL

from hub.model import SECOND_US, Candle, Kind, Nature, Refused, Tick
from hub.normalize import bar_of
from hub.plugin import Emit, EmitCandles, GiveUp, Last, TryLater
from plugins.feeds.network import NETWORK_ERRORS, refusal, retry_after_s, why

NATURE = Nature.LIVE
MAX_STREAMS = 1024  # of one connection, by the vendor's page
MAX_MESSAGE_BYTES = 1 << 20
SAMPLE_CHARS = 200
KLINES = 1000  # of one answer, by the vendor's page
MINUTE_US = 60 * SECOND_US
BAD_JSON = (msgspec.MsgspecError, RecursionError, ValueError)

Stream = Literal["trade", "aggTrade", "bookTicker"]
InstrumentOf = Callable[[str], str | None]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = "wss://data-stream.binance.vision"  # "wss://stream.binance.com:9443" serves the same
    streams: tuple[Stream, ...] = ("trade", "bookTicker")  # "aggTrade" instead of "trade": one per taker order
    connect_timeout_s: float = 10.0
    rest_url: str = "https://data-api.binance.vision"  # for `tocsin backfill`


async def run(settings: Settings, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    """Emits until the connection ends. The stream starts at now and resends nothing, so `last` is unused."""
    instruments = by_symbol(symbols)
    url = stream_url(settings, instruments)
    host = url.host or settings.url
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                socket = await session.ws_connect(url, max_msg_size=MAX_MESSAGE_BYTES, autoping=False)
        except aiohttp.WSServerHandshakeError as error:
            raise TryLater(why(error, host), retry_after_s(error.headers or {}, datetime.now(UTC))) from error
        except NETWORK_ERRORS as error:
            raise TryLater(why(error, host)) from error
        async with socket:
            await _read(socket, host, instruments.get, emit)


async def _read(socket: aiohttp.ClientWebSocketResponse, host: str, instrument_of: InstrumentOf, emit: Emit) -> None:
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.PING:
            # Once the connection is cut there may still be much to read behind this ping, and nobody to answer.
            with contextlib.suppress(ConnectionError):
                await socket.pong(message.data)
            continue
        if message.type is aiohttp.WSMsgType.PONG:
            continue
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            how = str(message.data) if message.type is aiohttp.WSMsgType.ERROR else f"code {socket.close_code}"
            raise TryLater(f"{host} closed the connection ({how})")
        for update in parse(message.data, instrument_of):
            await emit(update)


def by_symbol(symbols: Mapping[str, str]) -> dict[str, str]:
    """Binance's symbol as its messages write it ("BTCUSDT") → instrument id."""
    instruments = {symbol.upper(): instrument for instrument, symbol in symbols.items()}
    if not instruments:
        raise GiveUp('no symbols: name some in the feed\'s section, like symbols = { BTC-USDT = "btcusdt" }')
    if len(instruments) < len(symbols):
        raise GiveUp("two instruments name the same symbol: give each symbol to one instrument")
    return instruments


def stream_url(settings: Settings, instruments: Mapping[str, str]) -> URL:
    if {"trade", "aggTrade"} <= set(settings.streams):
        raise GiveUp('streams has "trade" and "aggTrade", which report the same trades: choose one of them')
    names = [f"{symbol.lower()}@{stream}" for symbol in instruments for stream in settings.streams]
    if not 0 < len(names) <= MAX_STREAMS:
        raise GiveUp(f"{len(names)} streams asked for; one connection takes 1 to {MAX_STREAMS}: use several feeds")
    # The stream names stand in the query as the vendor writes them, "@" and "/" unescaped.
    return URL(f"{settings.url.rstrip('/')}/stream?streams={'/'.join(names)}", encoded=True)


# ---------------------------------------------------------------------------------------------- messages


class _Envelope(msgspec.Struct):
    """{"stream":"btcusdt@trade","data":{…}}, or an event by itself, or the answer to a request."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    u: msgspec.Raw = msgspec.Raw(b"")  # with "a" as text: a bookTicker, which names no event
    lastUpdateId: int | None = None  # a snapshot of the order book
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class _Trade(msgspec.Struct):
    """{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",
    "T":1723161255342,"m":true,"M":true}"""

    s: str
    t: int
    p: str
    q: str
    T: int


class _AggTrade(msgspec.Struct):
    """{"e":"aggTrade","E":1723161255343,"s":"BTCUSDT","a":3111222333,"p":"61837.63000000","q":"0.06809000",
    "f":3735683259,"l":3735683261,"T":1723161255342,"m":true,"M":true}"""

    s: str
    a: int
    p: str
    q: str
    T: int


class _BookTicker(msgspec.Struct):
    """{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}"""

    u: int
    s: str
    b: str
    a: str


_envelope = msgspec.json.Decoder(_Envelope).decode
_trade = msgspec.json.Decoder(_Trade).decode
_agg_trade = msgspec.json.Decoder(_AggTrade).decode
_book_ticker = msgspec.json.Decoder(_BookTicker).decode


def parse(raw: bytes | str, instrument_of: InstrumentOf) -> list[Tick | Refused]:
    """The ticks of one message. Order book messages and answers to requests hold none. TryLater when the
    exchange announces that it is about to shut down (ten minutes ahead), or reports an error."""
    try:
        envelope = _envelope(raw)
    except BAD_JSON:
        return [_refused("broken JSON", raw)]
    kind = envelope.stream.partition("@")[2] or envelope.e or ("bookTicker" if envelope.u else "")
    event = bytes(envelope.data) if envelope.data else raw
    read = _READ.get(kind)
    try:
        return [read(event, instrument_of)] if read else _other(kind, envelope, event)
    except BAD_JSON:
        return [_refused("broken message", raw)]


def _read_trade(event: bytes | str, instrument_of: InstrumentOf) -> Tick | Refused:
    trade = _trade(event)
    return _traded(trade, trade.t, instrument_of)


def _read_agg_trade(event: bytes | str, instrument_of: InstrumentOf) -> Tick | Refused:
    trade = _agg_trade(event)
    return _traded(trade, trade.a, instrument_of)


def _traded(trade: _Trade | _AggTrade, number: int, instrument_of: InstrumentOf) -> Tick | Refused:
    instrument = instrument_of(trade.s)
    if instrument is None:
        return _refused("unknown symbol", trade.s)
    return Tick(
        instrument=instrument,
        kind=Kind.TRADE,
        price=float(trade.p),
        volume=float(trade.q),
        venue_time=trade.T * 1000,
        number=number,
    )


def _read_book_ticker(event: bytes | str, instrument_of: InstrumentOf) -> Tick | Refused:
    book = _book_ticker(event)
    instrument = instrument_of(book.s)
    if instrument is None:
        return _refused("unknown symbol", book.s)
    return Tick(instrument=instrument, kind=Kind.QUOTE, bid=float(book.b), ask=float(book.a), number=book.u)


_READ = {"trade": _read_trade, "aggTrade": _read_agg_trade, "bookTicker": _read_book_ticker}


def _other(kind: str, envelope: _Envelope, event: bytes | str) -> list[Tick | Refused]:
    """What is no tick: an order book, an answer, an announcement, or something this parser does not know."""
    if envelope.error:
        raise TryLater(f"the exchange answered with an error: {_sample(bytes(envelope.error))}")
    if envelope.result or envelope.lastUpdateId is not None or kind.startswith("depth"):
        return []
    name = _envelope(event).e if envelope.data else kind
    if name == "serverShutdown":
        raise TryLater("the exchange is about to shut this connection down", retry_after_s=0.0)
    return [_refused("unknown event", event)]


def _refused(reason: str, raw: bytes | str) -> Refused:
    return Refused(reason=reason, sample=_sample(raw))


def _sample(raw: bytes | str) -> str:
    text = raw if isinstance(raw, str) else raw[: 4 * SAMPLE_CHARS].decode(errors="replace")
    return text[:SAMPLE_CHARS]


# ---------------------------------------------------------------------------------------------- the past


class _Kline(msgspec.Struct, array_like=True):
    """[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,
    "2434.19055334",308,"1756.87402397","28.46694368","0"]"""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_ms: int
    quote_volume: str
    trades: int


class _Problem(msgspec.Struct):
    """{"code":-1121,"msg":"Invalid symbol."}"""

    code: int
    msg: str


_klines = msgspec.json.Decoder(list[_Kline]).decode


async def backfill(
    settings: Settings, symbols: Mapping[str, str], start_us: int, end_us: int, emit: EmitCandles
) -> None:
    """Emits the minutes that start in that range, a thousand at a time; TryLater or GiveUp where they do not come."""
    url = URL(settings.rest_url.rstrip("/")) / "api/v3/klines"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=settings.connect_timeout_s)) as session:
        for instrument, symbol in symbols.items():
            at = start_us
            while at < end_us:
                klines = await _ask(session, url, symbol, at, end_us)
                if candles := [candle for kline in klines if (candle := _candle(kline))]:
                    await emit(instrument, "1m", candles)
                if len(klines) < KLINES:
                    break
                at = klines[-1].open_ms * 1000 + MINUTE_US


async def _ask(session: aiohttp.ClientSession, url: URL, symbol: str, start_us: int, end_us: int) -> list[_Kline]:
    query: dict[str, str | int] = {
        "symbol": symbol.upper(),
        "interval": "1m",
        "startTime": -(-start_us // 1000),
        "endTime": -(-end_us // 1000) - 1,  # the vendor's range holds its end
        "limit": KLINES,
    }
    host = url.host or str(url)
    try:
        async with session.get(url, params=query) as answer:
            body = await answer.read()
    except NETWORK_ERRORS as error:
        raise TryLater(why(error, host)) from error
    if answer.status == 400:
        raise GiveUp(f"{host} refuses {symbol}: {_why_not(body)}")
    if answer.status != 200:
        raise TryLater(refusal(answer.status, host), retry_after_s(answer.headers, datetime.now(UTC)))
    try:
        return _klines(body)
    except BAD_JSON as error:
        raise TryLater(f"{host} answered something else than candles: {_sample(body)}") from error


def _candle(kline: _Kline) -> Candle | None:
    """None for a minute without a trade, whose prices are those of the minute before."""
    if not kline.trades:
        return None
    try:
        prices = [float(price) for price in (kline.open, kline.high, kline.low, kline.close)]
        return bar_of(kline.open_ms * 1000, prices, float(kline.volume))
    except ValueError as error:
        raise TryLater(f"a candle is broken: {kline}") from error


def _why_not(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Problem).msg
    except BAD_JSON:
        return _sample(body)
