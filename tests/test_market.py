"""The market that commands see, over a real store and cache: summaries, windows, rankings, rates."""

import asyncio
import csv
import io
import math
import os
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.cache import keys
from hub.cache.memory import MemoryCache
from hub.config import Config, HistorySection
from hub.history import History, Position, open_history
from hub.history.statistics import yearly_volatility
from hub.instruments import build_catalogue
from hub.market import Market
from hub.model import SECOND_US, Candle, Kind, Mover, Nature, Quote, Tick
from hub.plugin import BadRequest
from hub.sessions import SESSIONS
from hub.testing import frame_of

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
PAYROLLS = DATA / "gold" / "xauusd-oanda-ticks-20140502.zip"
MIDNIGHT_US = 1_398_988_800 * SECOND_US  # 2014-05-02 00:00 UTC
MINUTE_US, HOUR_US, DAY_US = (seconds * SECOND_US for seconds in (60, 3_600, 86_400))
NOW = MIDNIGHT_US + 30 * DAY_US
SERVED = ("XAU-USD", "XAG-USD", "EUR-USD", "USD-INR", "BTC-USDT")


class FakeQuotes:
    def __init__(self) -> None:
        self.by_id: dict[str, Quote] = {}

    def get(self, instrument_id: str) -> Quote | None:
        return self.by_id.get(instrument_id)

    def all(self) -> Sequence[Quote]:
        return list(self.by_id.values())

    def put(self, instrument: str, price: float, time: int = NOW, **more: Any) -> None:
        self.by_id[instrument] = Quote(
            instrument=instrument, price=price, time=time, received_at=time, source="test", open=price, high=price,
            low=price, **more,
        )  # fmt: skip


class CountedHistory:
    """A real store, with its reads of windows counted."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.windows = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._history, name)

    async def window(self, *arguments: Any) -> tuple[str, list[Candle]]:
        self.windows += 1
        return await self._history.window(*arguments)


class Here:
    def __init__(self, history: History) -> None:
        self.history, self.quotes, self.seconds = CountedHistory(history), FakeQuotes(), 0.0
        self.cache = MemoryCache(clock=lambda: self.seconds)
        self.now_us = NOW
        counted: Any = self.history
        self.market = Market(counted, self.quotes, build_catalogue({}, SERVED), self.cache, clock=lambda: self.now_us)

    async def store(self, ticks: Sequence[Tick]) -> None:
        stands = await self.history.position()
        frame = frame_of(ticks, number=stands.number + 1)
        after = Position(stream="test", sequence=stands.sequence + 1, epoch=1, number=frame.number, clock=frame.clock)
        await self.history.append([frame], after)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with open_history(Config(folder=tmp_path)) as history:
        yield Here(history)


def trades(prices: Sequence[float], *, start_us: int = MIDNIGHT_US, step_us: int = 7 * SECOND_US) -> list[Tick]:
    return [
        Tick(
            instrument="XAU-USD", kind=Kind.TRADE, price=price, volume=1.5, venue_time=start_us + at * step_us,
            received_at=start_us + at * step_us, source="test",
        )
        for at, price in enumerate(prices)
    ]  # fmt: skip


def wave(count: int) -> list[float]:
    """Up and down at several speeds, with falls at every rung."""
    return [
        round(1300 + 40 * math.sin(at / 900) + 9 * math.sin(at / 41) + 3 * math.sin(at / 3), 2) for at in range(count)
    ]


def worst_fall(prices: Any) -> float:
    peaks = np.maximum.accumulate(prices)
    return float(np.max(1 - prices / peaks))


async def compare(here: Here, times: Any, prices: Any, volumes: Any, start: int, end: int) -> None:
    """A summary beside numpy over the ticks themselves."""
    inside = (times >= start) & (times < end)
    held, said = prices[inside], await here.market.summary("XAU-USD", start, end)
    if not held.size:
        assert said is None
        return
    assert said is not None
    assert (said.start, said.end) == (start, end)
    assert (said.count, said.open, said.close) == (held.size, held[0], held[-1])
    assert (said.high, said.low) == (held.max(), held.min())
    assert said.mean == pytest.approx(held.mean(), rel=1e-9)
    assert said.stddev == pytest.approx(held.std(), rel=1e-9, abs=1e-9)
    assert said.volume == pytest.approx(volumes[inside].sum(), rel=1e-9)
    assert said.change == pytest.approx(held[-1] / held[0] - 1, abs=1e-12)
    assert said.drawdown == pytest.approx(worst_fall(held), rel=1e-12, abs=1e-12)


# ---------------------------------------------------------------------------------------------- summary


async def test_a_summary_is_that_of_all_ticks(here: Here) -> None:
    """Over whole days, parts of minutes, and spans in which nothing happened; the drawdown too is exact."""
    await check_summaries(here)


async def test_a_summary_is_the_same_from_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """The ladder is read alike from every store."""
    config = Config(folder=tmp_path, history=HistorySection(url=postgres_url, timescale="no"))
    async with open_history(config) as history:
        await check_summaries(Here(history))


async def check_summaries(here: Here) -> None:
    ticks = trades(wave(30_000))
    await here.store(ticks)
    times, prices, volumes = (
        np.array([getattr(one, name) for one in ticks]) for name in ("venue_time", "price", "volume")
    )
    for start, length in (
        (0, 3 * DAY_US),
        (0, DAY_US),
        (1, DAY_US),
        (5 * HOUR_US + 7 * SECOND_US + 1, 26 * HOUR_US),
        (90 * SECOND_US, 20 * SECOND_US),
        (HOUR_US, 61 * MINUTE_US),
        (10 * DAY_US, DAY_US),
        (-DAY_US, DAY_US + 1),
    ):
        await compare(here, times, prices, volumes, MIDNIGHT_US + start, MIDNIGHT_US + start + length)


@pytest.mark.skipif(not PAYROLLS.exists(), reason="the recorded gold day is not here (TOCSIN_DATA)")
async def test_the_statistics_of_payrolls_day_are_those_of_numpy(here: Here) -> None:
    """265,015 ticks of gold, in spans around the minute of the news and over the day."""
    with zipfile.ZipFile(PAYROLLS) as archive, archive.open(archive.namelist()[0]) as file:
        rows = [
            (round(float(row[0]) * 1000), float(row[1]), float(row[2])) for row in csv.reader(io.TextIOWrapper(file))
        ]
    ticks = [
        Tick(
            instrument="XAU-USD", kind=Kind.QUOTE, bid=bid, ask=ask, price=(bid + ask) / 2, source="test",
            venue_time=MIDNIGHT_US + at, received_at=MIDNIGHT_US + at,
        )
        for at, bid, ask in rows
    ]  # fmt: skip
    await here.store(ticks)
    times = np.array([one.venue_time for one in ticks])
    prices = np.array([one.price for one in ticks])
    news = MIDNIGHT_US + 12 * HOUR_US + 30 * MINUTE_US
    for start, end in (
        (MIDNIGHT_US, MIDNIGHT_US + DAY_US),
        (news - 12_345_678, news + 4 * HOUR_US + 1),
        (news, news + 1_500_000),
        (news + SECOND_US, news + HOUR_US + SECOND_US),
        (MIDNIGHT_US + 7, news),
    ):
        await compare(here, times, prices, np.zeros(len(ticks)), start, end)


async def test_a_summary_tells_the_volatility_of_its_candles(here: Here) -> None:
    """Those of the window's rung that begin in the span; none where there are too few."""
    await here.store(trades(wave(20_000)))
    day = await here.market.summary("XAU-USD", MIDNIGHT_US, MIDNIGHT_US + DAY_US)
    fives = await here.market.candles("XAU-USD", "5m", MIDNIGHT_US, MIDNIGHT_US + DAY_US)
    assert day is not None
    assert day.volatility == yearly_volatility(fives, "5m", SESSIONS["metals-otc"])
    short = await here.market.summary("XAU-USD", MIDNIGHT_US, MIDNIGHT_US + 3 * MINUTE_US)
    assert short is not None
    assert short.volatility is None


async def test_a_summary_without_ticks_says_which_minutes_it_took_whole(here: Here) -> None:
    """After retention the candles stay: the first minute is then in the span from its beginning."""
    await here.store(trades(wave(2_000)))
    exact = await here.market.summary("XAU-USD", MIDNIGHT_US + 90 * SECOND_US, MIDNIGHT_US + HOUR_US)
    await here.history.prune(MIDNIGHT_US + 2 * HOUR_US)
    rounded = await here.market.summary("XAU-USD", MIDNIGHT_US + 90 * SECOND_US, MIDNIGHT_US + HOUR_US)
    assert exact is not None
    assert rounded is not None
    assert (exact.start, rounded.start) == (MIDNIGHT_US + 90 * SECOND_US, MIDNIGHT_US + 60 * SECOND_US)
    assert 0 < rounded.count - exact.count < 9
    assert rounded.drawdown <= worst_fall(np.array(wave(2_000)[8:515]))


# --------------------------------------------------------------------------------------- times, windows


async def test_now_is_the_end_of_a_recording(here: Here) -> None:
    """Just behind its newest price; with any live price it is the wall clock."""
    assert here.market.now() == NOW
    here.quotes.put("XAU-USD", 1300.0, MIDNIGHT_US, nature=Nature.RECORDING)
    assert here.market.now() == here.market.now("XAU-USD") == MIDNIGHT_US + 1
    here.quotes.put("EUR-USD", 1.2)
    assert (here.market.now(), here.market.now("XAU-USD")) == (NOW, MIDNIGHT_US + 1)


async def test_reach_is_from_the_oldest_candle_to_the_newest_price(here: Here) -> None:
    """The quote may be newer than what is recorded; a coarse candle that begins before the first tick reaches no
    further back, one that ends before it does."""
    assert await here.market.reach("XAU-USD") is None
    first_us = MIDNIGHT_US + HOUR_US
    await here.store(trades([1300.0, 1301.0], start_us=first_us, step_us=MINUTE_US))
    assert await here.market.reach("XAU-USD") == (first_us, first_us + MINUTE_US)
    here.quotes.put("XAU-USD", 1302.0, NOW)
    assert await here.market.reach("XAU-USD") == (first_us, NOW)
    await here.store(trades([1299.0], start_us=MIDNIGHT_US - 30 * HOUR_US))
    await here.history.prune(MIDNIGHT_US)
    oldest = await here.market.reach("XAU-USD")
    assert oldest is not None
    assert oldest[0] == MIDNIGHT_US - 30 * HOUR_US


async def test_a_window_is_read_once_by_all_who_look_at_the_same_candles(here: Here) -> None:
    """Also while it is just being read; the answer is the store's own."""
    await here.store(trades(wave(5_000)))
    span = ("XAU-USD", MIDNIGHT_US + 5, MIDNIGHT_US + 9 * HOUR_US, 500)
    answers = await asyncio.gather(*(here.market.window(*span) for _ in range(20)))
    again = await here.market.window("XAU-USD", MIDNIGHT_US + 30, MIDNIGHT_US + 9 * HOUR_US - 7, 500)
    assert here.history.windows == 1
    assert all(answer == again for answer in answers)
    assert again == await here.history.window(*span)
    assert again[0] == "1m"


async def test_a_window_of_the_past_is_kept_for_a_minute_and_the_current_one_for_two_seconds(here: Here) -> None:
    """A late tick or an import may still change the past; the current candle changes with every tick."""
    here.now_us = MIDNIGHT_US + 2 * HOUR_US + 1
    await here.store(trades(wave(1_000)))
    past, current = (MIDNIGHT_US, MIDNIGHT_US + HOUR_US), (MIDNIGHT_US, here.now_us)
    reads = []
    for seconds in (0.0, 1.5, 3.0, 59.0, 61.0):
        here.seconds = seconds
        before = here.history.windows
        await here.market.window("XAU-USD", *past, 60)
        between = here.history.windows
        await here.market.window("XAU-USD", *current, 120)
        reads.append((between - before, here.history.windows - between))
    assert reads == [(1, 1), (0, 0), (0, 1), (0, 1), (1, 1)]


async def test_a_window_that_another_program_wrote_over_is_read_again(here: Here) -> None:
    """A value of another rung under the key is none of ours."""
    await here.store(trades(wave(1_000)))
    span = (MIDNIGHT_US, MIDNIGHT_US + HOUR_US)
    await here.cache.set(keys.window("XAU-USD", *span, 60), b'["1d","1d",[]]')
    assert len((await here.market.window("XAU-USD", *span, 60))[1]) == 60


# ------------------------------------------------------------------------------------- rankings, rates


async def test_movers_come_from_the_boards(here: Here) -> None:
    """Only what rose is up and only what fell is down; what is no longer served is left out."""
    changes = {"XAU-USD": 0.02, "XAG-USD": -0.03, "EUR-USD": 0.0, "USD-INR": 0.001, "OLD": 0.5}
    await here.cache.rank_many(keys.movers("24h"), changes)
    await here.cache.rank_many(keys.volatile("24h"), {"XAG-USD": 0.4, "XAU-USD": 0.2, "OLD": 9.0})
    up = await here.market.movers("24h", 5, by="up")
    assert up == [
        Mover(instrument="XAU-USD", change=0.02, volatility=0.2),
        Mover(instrument="USD-INR", change=0.001),
    ]
    assert await here.market.movers("24h", 5, by="down") == [Mover(instrument="XAG-USD", change=-0.03, volatility=0.4)]
    volatile = await here.market.movers("24h", 1, by="volatile")
    assert volatile == [Mover(instrument="XAG-USD", change=-0.03, volatility=0.4)]
    assert await here.market.movers("1h", 5, by="up") == []
    with pytest.raises(BadRequest, match="1h, 24h, 7d"):
        await here.market.movers("3y", 5, by="up")


async def test_a_rate_is_of_the_newest_prices(here: Here) -> None:
    """With its age and legs, stale where one of them is; refused where no price connects."""
    here.quotes.put("EUR-USD", 1.25, NOW - 5 * SECOND_US)
    here.quotes.put("USD-INR", 80.0, NOW - 300 * SECOND_US)
    found = here.market.rate("EUR", "INR")
    assert (found.value, found.legs, found.stale) == (100.0, ("EUR-USD", "USD-INR"), True)
    assert found.received_at == NOW - 300 * SECOND_US
    with pytest.raises(BadRequest, match="GBP-USD"):
        here.market.rate("GBP", "INR")


async def test_without_charts_drawing_is_refused(here: Here) -> None:
    """With what to install."""
    with pytest.raises(BadRequest, match="matplotlib"):
        await here.market.draw(Mover(instrument="XAU-USD", change=0.0))
