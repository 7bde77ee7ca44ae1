"""`tocsin backfill`: the minutes that are missing, from a server that answers as Binance's documentation says."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub import importing
from hub.config import Config
from hub.history import open_history
from hub.history.ladder import MINUTE_US
from hub.importing.backfill import holes, joined, missing, open_parts
from hub.instruments import build_catalogue
from hub.ledger import open_ledger
from hub.ledger import splits as stored
from hub.model import Candle, Nature
from hub.normalize import bar_of
from hub.plugin import BadRequest, GiveUp, TryLater
from plugins.feeds import binance

CATALOGUE = build_catalogue({}, ())
NOW_US = time.time_ns() // 1000
DAY_US = 1440 * MINUTE_US
SYMBOLS = {"BTC-USDT": "btcusdt"}


def kline(open_ms: int, *, trades: int = 9) -> list[Any]:
    """As the vendor's page shows one; the price tells the minute."""
    price = open_ms // 60_000 % 10_000 + 50_000
    return [
        open_ms, f"{price}.00000000", f"{price + 5}.00000000", f"{price - 5}.00000000", f"{price + 1}.00000000",
        "1.50000000", open_ms + 59_999, "2434.19055334", trades, "0.7", "28.4", "0",
    ]  # fmt: skip


class Exchange:
    """GET /api/v3/klines: up to `limit` minutes that open in [startTime, endTime]."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.settings = binance.Settings()
        self.refuse: Callable[[int], web.Response | None] = lambda count: None
        self.quiet: Callable[[int], bool] = lambda open_ms: False

    async def klines(self, request: web.Request) -> web.Response:
        query = {name: request.query[name] for name in ("symbol", "interval", "startTime", "endTime", "limit")}
        start, end = int(query["startTime"]), int(query["endTime"])
        self.asked.append((start, end))
        if (refusal := self.refuse(len(self.asked))) is not None:
            return refusal
        if query["symbol"] != "BTCUSDT":
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        assert (query["interval"], query["limit"]) == ("1m", "1000")
        opens = range(-(-start // 60_000) * 60_000, end + 1, 60_000)[:1000]
        return web.json_response([kline(ms, trades=0 if self.quiet(ms) else 9) for ms in opens])


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    one = Exchange()
    app = web.Application()
    app.router.add_get("/api/v3/klines", one.klines)
    async with TestServer(app, host="127.0.0.1") as server:
        one.settings = binance.Settings(rest_url=str(server.make_url("")))
        yield one


@asynccontextmanager
async def configured(folder: Path, exchange: Exchange, symbols: str = 'BTC-USDT = "btcusdt"') -> AsyncIterator[Path]:
    file = folder / "hub.toml"
    file.write_text(
        f'[hub]\ndata = "data"\n[feeds.binance]\nsymbols = {{ {symbols} }}\n'
        f'rest_url = "{exchange.settings.rest_url}"\n'
        '[feeds.swissquote]\nsymbols = { XAU-USD = "XAU/USD" }\n[bots.console]\n'
    )
    yield file


# ---------------------------------------------------------------------------------------------- the feed


async def test_every_minute_of_the_range_comes_once_from_the_oldest_on(exchange: Exchange) -> None:
    """A thousand an answer; a minute without a trade has no candle."""
    exchange.quiet = lambda ms: ms // 60_000 % 100 == 0
    start = NOW_US // MINUTE_US * MINUTE_US - 2_500 * MINUTE_US
    got: list[Candle] = []

    async def emit(instrument: str, rung: str, candles: Any) -> None:
        assert (instrument, rung) == ("BTC-USDT", "1m")
        got.extend(candles)

    await binance.backfill(exchange.settings, SYMBOLS, start, start + 2_400 * MINUTE_US, emit)
    wanted = [start + n * MINUTE_US for n in range(2_400)]
    assert [one.start for one in got] == [at for at in wanted if at // MINUTE_US % 100]
    assert got[0].volume == 1.5 and got[0].count == 4 and got[0].high == got[0].open + 5
    assert len(exchange.asked) == 3


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (web.json_response, TryLater, "answered something else than candles"),
        (lambda _: web.Response(status=503), TryLater, "HTTP 503: its servers have trouble"),
        (lambda _: web.Response(status=429, headers={"Retry-After": "7"}), TryLater, "asked too often"),
        (lambda _: web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400), GiveUp, "Invalid symbol"),
    ],
)
async def test_what_is_no_answer_is_later_or_never(exchange: Exchange, answer: Any, error: Any, words: str) -> None:
    """With the vendor's waiting time and its own words."""
    exchange.refuse = lambda count: answer({"no": "list"}) if answer is web.json_response else answer(None)

    async def emit(*_: Any) -> None:
        raise AssertionError("nothing came")

    with pytest.raises(error, match=words) as caught:
        await binance.backfill(exchange.settings, SYMBOLS, NOW_US - DAY_US, NOW_US, emit)
    if "too often" in words:
        assert caught.value.retry_after_s == 7.0


async def test_nobody_there_is_later() -> None:
    """A refused connection is a sentence with the host."""

    async def emit(*_: Any) -> None:
        raise AssertionError("nothing came")

    with pytest.raises(TryLater, match=r"cannot connect to 127\.0\.0\.1"):
        settings = binance.Settings(rest_url="http://127.0.0.1:1")
        await binance.backfill(settings, SYMBOLS, NOW_US - DAY_US, NOW_US, emit)


# ------------------------------------------------------------------------------------------- the command


async def test_only_what_is_missing_is_asked_for_and_what_is_there_stays(
    tmp_path: Path, exchange: Exchange, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hole in the middle of what was recorded is filled; a second run asks for the newest minutes at most."""
    minute = time.time_ns() // 1000 // MINUTE_US * MINUTE_US  # of now: the suite may run for minutes
    mine = bar_of(minute, (1.0, 1.0, 1.0, 1.0))
    assert mine
    there = [_at(mine, minute - n * MINUTE_US) for n in range(2880, 0, -1) if not 1000 < n <= 1300]
    async with open_history(Config(folder=tmp_path / "data")) as history:
        await history.fill_candles("BTC-USDT", "1m", there, source="x", nature=Nature.RECORDING, number=1)
    async with configured(tmp_path, exchange) as file:
        assert await importing.backfill("1d", "", "", file, None) == 0
        assert "BTC-USDT: 300 candles from binance" in capsys.readouterr().out
        assert await importing.backfill("1d", "", "", file, None) == 0
        assert "BTC-USDT: nothing is missing" in capsys.readouterr().out
    assert exchange.asked == [((minute - 1300 * MINUTE_US) // 1000, (minute - 1000 * MINUTE_US) // 1000 - 1)]
    async with open_history(Config(folder=tmp_path / "data")) as history:
        stored = await history.candles("BTC-USDT", "1m", 0, minute + MINUTE_US)
        assert len(stored) == 2880
        assert sum(one.open == 1.0 for one in stored) == 2580
        assert await history.last_ticks() == {}
        assert await history.tick_count() == 0
        assert (await history.natures())["backfill:binance"] is Nature.RECORDING


async def test_a_vendor_that_says_later_is_waited_for_and_nothing_is_asked_twice(
    tmp_path: Path, exchange: Exchange
) -> None:
    """The second answer is a refusal for no time at all; it goes on behind what is stored."""
    exchange.refuse = lambda count: web.Response(status=429, headers={"Retry-After": "0"}) if count == 2 else None
    async with configured(tmp_path, exchange) as file:
        assert await importing.backfill("2d", "binance", "BTC-USDT", file, None) == 0
    starts = [start for start, _ in exchange.asked]
    assert starts[2] == starts[1] == starts[0] + 1000 * 60_000
    async with open_history(Config(folder=tmp_path / "data")) as history:
        stored = await history.candles("BTC-USDT", "1m", 0, NOW_US + DAY_US)
    assert len(stored) >= 2870
    assert all(after.start - before.start == MINUTE_US for before, after in pairwise(stored))
    assert stored[-1].start <= time.time_ns() // 1000 - 4 * MINUTE_US


async def test_a_source_that_never_will_is_told_and_the_others_go_on(
    tmp_path: Path, exchange: Exchange, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says that something is missing."""
    async with configured(tmp_path, exchange, 'ETH-USDT = "nonsense", BTC-USDT = "btcusdt"') as file:
        assert await importing.backfill("3h", "", "", file, None) == 1
    told = capsys.readouterr()
    assert "binance: ETH-USDT could not be filled to the end" in told.err and "Invalid symbol." in told.err
    assert "BTC-USDT: 17" in told.out


async def test_what_cannot_be_asked_is_a_sentence(tmp_path: Path, exchange: Exchange) -> None:
    """A feed that is not there, one that keeps no history, a span that is none."""
    async with configured(tmp_path, exchange) as file:
        for arguments, words in (
            (("1d", "bynance", ""), 'did you mean "binance"'),
            (("1d", "swissquote", ""), "swissquote keeps no history to fill from; binance can"),
            (("soon", "", ""), '"soon" is no span of time'),
            (("1d", "", "glod"), "did you mean gold"),
        ):
            with pytest.raises(BadRequest) as caught:
                await importing.backfill(*arguments, file, None)
            assert words in str(caught.value)


# -------------------------------------------------------------------------------------------------- gaps


async def test_closed_hours_are_no_gap(tmp_path: Path) -> None:
    """A week of gold without a candle is missing in its open hours only."""
    monday = 1_398_643_200_000_000  # 2014-04-28 UTC
    gold = CATALOGUE.find("gold")
    async with open_history(Config(folder=tmp_path)) as history:
        gaps = await missing(history, gold, (monday, monday + 7 * DAY_US))
    assert sum(end - start for start, end in gaps) == 5 * 23 * 60 * MINUTE_US
    assert open_parts(CATALOGUE.find("BTC-USD"), 0, DAY_US) == [(0, DAY_US)]


def test_gaps_are_found_by_the_minute_and_near_ones_are_one_request() -> None:
    """Minutes 0 and 3 are there of six."""
    gaps = holes({0, 3 * MINUTE_US}, 0, 6 * MINUTE_US)
    assert gaps == [(MINUTE_US, 3 * MINUTE_US), (4 * MINUTE_US, 6 * MINUTE_US)]
    assert joined(gaps) == [(MINUTE_US, 6 * MINUTE_US)]
    far = (DAY_US, DAY_US + MINUTE_US)
    assert joined([*gaps, far]) == [(MINUTE_US, 6 * MINUTE_US), far]


def _at(candle: Candle, start: int) -> Candle:
    return msgspec.structs.replace(candle, start=start)


async def test_splits_that_a_source_knows_are_told_once(
    tmp_path: Path, exchange: Exchange, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a source that cannot say them now does not keep its minutes from coming."""
    asked: list[tuple[dict[str, str], int]] = []

    async def splits(settings: Any, symbols: dict[str, str], start_us: int, end_us: int) -> list[Any]:
        asked.append((symbols, end_us - start_us))
        if len(asked) == 3:
            raise TryLater("too many requests")
        return [("BTC-USDT", "2026-11-20", 7, 1), ("AAPL-OTHER", "2026-11-20", 2, 1)]

    monkeypatch.setattr(binance, "splits", splits, raising=False)
    async with configured(tmp_path, exchange) as file:
        assert await importing.backfill("10m", "", "", file, None) == 0
        assert "BTC-USDT: split 7:1 on 2026-11-20, from binance" in capsys.readouterr().out
        assert await importing.backfill("10m", "", "", file, None) == 0
        assert "split" not in capsys.readouterr().out
        assert await importing.backfill("10m", "", "", file, None) == 0
        assert "its splits could not be asked for: too many requests" in capsys.readouterr().err
    async with open_ledger(Config(folder=tmp_path / "data")) as ledger:
        (row,) = await ledger.read(stored.rows)
        assert row[1:] == ("BTC-USDT", "2026-11-20", 7, 1, "binance")
    assert asked[0] == (SYMBOLS, asked[0][1])
