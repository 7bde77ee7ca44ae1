"""A whole hub on an exchange that pings, breaks off, repeats itself and falls silent: every tick once, none lost."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub import bus as names
from hub.config import Config, FeedSection
from hub.history import open_history
from hub.model import Candle, Kind, Quote, Tick
from hub.supervise import Supervisor
from tests.exchange import Exchange, capture, made, serving
from tests.waiting import until_true

INSTRUMENT = "BTC-USDT"
DAY_US = 86_400_000_000


class Read:
    """What an independent reading of the frames finds: plain json, no code of the hub."""

    def __init__(self, frames: list[str]) -> None:
        events = [json.loads(frame) for frame in frames]
        told = [(event.get("stream", ""), event.get("data", event)) for event in events]
        self.trades = [data for stream, data in told if stream.endswith("@trade")]
        self.books = [data for stream, data in told if stream.endswith("@bookTicker")]
        self.last = float(self.trades[-1]["p"])
        self.days: dict[int, list[float]] = {}
        for trade in self.trades:
            self.days.setdefault(trade["T"] * 1000 // DAY_US * DAY_US, []).append(float(trade["p"]))


def real_or_made(which: str) -> list[str]:
    if which == "made":
        return made()
    frames = capture()
    if frames is None:
        pytest.skip("the real capture is not at hand: set TOCSIN_DATA")
    return frames


@pytest.mark.parametrize("which", ["made", "capture"])
async def test_the_hub_follows_an_exchange_through_pings_cuts_repeats_and_silence(tmp_path: Path, which: str) -> None:
    """Every trade and every quote is recorded once, and price, open, high, low of each day are the file's."""
    frames = real_or_made(which)
    read = Read(frames)
    exchange = Exchange(
        frames, cuts=[len(frames) // 4], silences=[len(frames) // 2, len(frames) * 3 // 4], resend=300, ping_every=500
    )
    async with serving(exchange):
        config = _config(tmp_path, exchange.url)
        hub = Supervisor(config, log_to=tmp_path / "hub.log")
        await hub.start()
        try:
            async with names.connect(hub.bus_url, hub.bus_token, "test") as bus:
                quotes: list[bytes] = []

                async def heard(message: Any) -> None:
                    quotes.append(message.data)

                await bus.client.subscribe(names.quote(INSTRUMENT), cb=heard)
                wanted = len(read.trades) + len(read.books)

                async def all_recorded() -> dict[str, Any] | None:
                    told = await _status(bus)
                    return told if told.get("recorder", {}).get("ticks", 0) >= wanted else None

                told = await until_true(all_recorded, within_s=60)
                assert (await _until_repeated(bus))["recorder"]["ticks"] == wanted, "what was resent was stored again"
        finally:
            await hub.stop()
    feed = told["ingest"]["feeds"][0]
    assert (feed["restarts"], exchange.served) == (3, 4)
    assert feed["refused"] == {}
    assert feed["ticks"] == wanted
    assert exchange.sent > len(frames), "the exchange repeated nothing, so nothing was tried"
    assert exchange.pongs > len(frames) // 500
    assert exchange.dropped == 0
    assert set(exchange.streams) == {"btcusdt@trade/btcusdt@bookTicker"}
    quote = msgspec.json.decode(quotes[-1], type=Quote)
    today = read.days[max(read.days)]
    assert (quote.price, quote.open, quote.high, quote.low) == (read.last, today[0], max(today), min(today))
    await _check_stored(config, read)
    said = (tmp_path / "hub.log").read_text()
    reasons = [line["reason"] for line in map(json.loads, said.splitlines()) if "reason" in line]
    assert [reason.partition(" (")[0] for reason in reasons] == [
        "127.0.0.1 closed the connection",
        "connected but mute for 1 s",
        "connected but mute for 1 s",
    ]


async def _check_stored(config: Config, read: Read) -> None:
    async with open_history(config) as history:
        ticks = await history.ticks(INSTRUMENT, 0, 1 << 60)
        trades = [tick for tick in ticks if tick.kind is Kind.TRADE]
        books = [tick for tick in ticks if tick.kind is Kind.QUOTE]
        assert [_trade(tick) for tick in trades] == [
            (each["t"], float(each["p"]), float(each["q"]), each["T"] * 1000)
            for each in sorted(read.trades, key=lambda each: (each["T"], each["t"]))
        ]
        assert [(tick.number, tick.bid, tick.ask) for tick in sorted(books, key=lambda tick: tick.number or 0)] == [
            (each["u"], float(each["b"]), float(each["a"])) for each in read.books
        ]
        candles = await history.candles(INSTRUMENT, "1d", 0, 1 << 60)
        assert [_day(candle) for candle in candles] == [
            (start, prices[0], max(prices), min(prices), prices[-1], len(prices))
            for start, prices in sorted(read.days.items())
        ]
        assert await history.refusals() == {}


def _trade(tick: Tick) -> tuple[Any, ...]:
    return (tick.number, tick.price, tick.volume, tick.venue_time)


def _day(candle: Candle) -> tuple[Any, ...]:
    return (candle.start, candle.open, candle.high, candle.low, candle.close, candle.count)


def _config(folder: Path, url: str) -> Config:
    feed = FeedSection(
        name="binance",
        module="binance",
        symbols={INSTRUMENT: "btcusdt"},
        mute_after_s=1.0,
        settings={"url": url},
    )
    return Config(feeds=(feed,), folder=folder)


async def _status(bus: names.Bus) -> dict[str, Any]:
    answers = [msgspec.json.decode(raw) for raw in await bus.scatter(names.STATUS, b"", 0.05)]
    return {answer["service"]: answer for answer in answers}


async def _until_repeated(bus: names.Bus) -> dict[str, Any]:
    """The status after the exchange has resent its last frames once more."""
    before = (await _status(bus))["ingest"]["feeds"][0]["repeats"]

    async def repeated() -> dict[str, Any] | None:
        told = await _status(bus)
        return told if told["ingest"]["feeds"][0]["repeats"] > before else None

    told: dict[str, Any] = await until_true(repeated, within_s=10)
    return told
