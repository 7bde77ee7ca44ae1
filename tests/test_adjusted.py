"""History in today's shares, from a real store: what is read of a stock that was split."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from hub.config import Config
from hub.history import History, open_history
from hub.history.adjusted import Adjusted, AsOf, scaled
from hub.history.ladder import RUNGS, ladder_of
from hub.hot import Hot
from hub.ingest.day import DAY_US, Day
from hub.instruments import CATALOGUE, build_catalogue
from hub.model import SECOND_US, Candle, Kind, Nature, Quote, Split, Tick
from hub.quotes import Quotes
from hub.splits import Splits, in_effect
from hub.testing.frames import store

(APPLE,) = [each for each in CATALOGUE if each.id == "AAPL"]
DAY = "2014-06-09"
AT = in_effect(DAY, APPLE)  # four hours into the UTC day
HOUR_US, MINUTE_US = 3_600 * SECOND_US, 60 * SECOND_US
FRIDAY, MONDAY = AT - 60 * HOUR_US, AT + 9 * HOUR_US
EVER = (0, AT + 400 * DAY_US)
SPLIT = Split(id=1, instrument="AAPL", day=DAY, numerator=7, denominator=1, at=AT)


def trade(at: int, price: float, name: str = "AAPL") -> Tick:
    return Tick(instrument=name, kind=Kind.TRADE, price=price, volume=70.0, venue_time=at, received_at=at, source="a")


TICKS = [
    *(trade(FRIDAY + i * 40 * SECOND_US, 644.0 + i % 7) for i in range(200)),
    trade(AT - 1, 644.0),  # nobody trades at midnight, but a candle may hold both sides of it
    trade(AT, 92.0),
    *(trade(MONDAY + i * 40 * SECOND_US, 92.0 + i % 7 / 7) for i in range(200)),
]


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    async with open_history(Config(folder=tmp_path)) as opened:
        yield opened


def close_to(one: Candle, other: Candle) -> None:
    for name in Candle.__struct_fields__:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-6), name


async def test_candles_of_every_rung_are_those_of_prices_in_new_shares(history: History) -> None:
    """Also the one in whose interval the split came into effect."""
    await store(history, *TICKS)
    adjusted = Adjusted(history, Splits([SPLIT]), lambda _: EVER[1])
    new = [
        (tick.venue_time or 0, (tick.price or 0.0) / (7 if (tick.venue_time or 0) < AT else 1),
         (tick.volume or 0.0) * (7 if (tick.venue_time or 0) < AT else 1))
        for tick in TICKS
    ]  # fmt: skip
    for rung in RUNGS:
        found, wanted = await adjusted.candles("AAPL", rung, *EVER), ladder_of(new, rung)
        assert [each.start for each in found] == [each.start for each in wanted]
        for one, other in zip(found, wanted, strict=True):
            close_to(one, other)
    ticks = await adjusted.ticks("AAPL", *EVER)
    assert [tick.price for tick in ticks] == pytest.approx([price for _, price, _ in new])
    assert [tick.volume for tick in ticks] == pytest.approx([volume for _, _, volume in new])
    assert [tick async for piece in adjusted.scan("AAPL", *EVER) for tick in piece] == ticks


async def test_as_of_an_earlier_moment_the_split_is_not_known(history: History) -> None:
    await store(history, *TICKS[:200], trade(FRIDAY, 5.0, "MSFT"))
    now = AT - 1
    adjusted = Adjusted(history, Splits([SPLIT]), lambda _: now)
    assert await adjusted.candles("AAPL", "1h", *EVER) == await history.candles("AAPL", "1h", *EVER)
    assert await adjusted.last_ticks() == await history.last_ticks()
    now = AT
    assert (await adjusted.last_ticks())["AAPL"].price == pytest.approx((TICKS[199].price or 0.0) / 7)
    assert (await adjusted.last_ticks())["MSFT"].price == 5.0
    rung, candles = await adjusted.window("AAPL", FRIDAY, FRIDAY + HOUR_US, 60)
    assert candles == [scaled(each, 1 / 7) for each in (await history.window("AAPL", FRIDAY, FRIDAY + HOUR_US, 60))[1]]
    assert rung == "1m"


async def test_a_daily_bar_that_was_imported_is_of_the_day_that_it_is_named_for(history: History) -> None:
    """There are no minutes to take it apart by; New York's midnight lies four hours into its interval."""
    bars = [
        Candle(start=AT - 4 * HOUR_US + day * DAY_US, open=price, high=price, low=price, close=price, count=1, sum=0.0,
               sum_squares=0.0)
        for day, price in ((-3, 644.0), (0, 93.0), (1, 94.0))
    ]  # fmt: skip
    await history.fill_candles("AAPL", "1d", bars, source="bars", nature=Nature.RECORDING, number=3)
    adjusted = Adjusted(history, Splits([SPLIT]), lambda _: EVER[1])
    assert [each.close for each in await adjusted.candles("AAPL", "1d", *EVER)] == [644.0 / 7, 93.0, 94.0]
    today, before = await adjusted.day("AAPL", AT + HOUR_US)
    assert (today and today.close, before and before.close) == (93.0, 644.0 / 7)


def test_the_change_of_the_day_is_against_the_close_in_new_shares() -> None:
    """In an ingest that runs through the weekend, and in one that starts on it."""
    splits = Splits([SPLIT])
    through = Day(None, None, lambda was, now: splits.factor("AAPL", was, now))
    through.see(645.57, FRIDAY)
    through.see(93.7, MONDAY)
    assert through.previous == pytest.approx(645.57 / 7)
    through.see(94.25, MONDAY + DAY_US)
    assert through.previous == 93.7
    friday = Candle(start=FRIDAY - FRIDAY % DAY_US, open=92.0, high=93.0, low=91.0, close=92.2, count=1, sum=0.0,
                    sum_squares=0.0)  # fmt: skip
    begun = Day(friday, None, lambda was, now: splits.factor("AAPL", was, now), AT + HOUR_US)
    begun.see(93.7, MONDAY)
    assert begun.previous == 92.2


def test_scaling_back_and_forth_is_the_same_candle() -> None:
    candle = ladder_of([(0, 644.0, 3.0), (1, 650.5, None), (2, 640.25, 1.0)], "1m")[0]
    close_to(scaled(scaled(candle, 1 / 7), 7.0), candle)
    assert scaled(candle, 1.0) is candle
    assert msgspec.structs.asdict(scaled(candle, 0.5))["count"] == candle.count


async def test_the_newest_price_is_in_new_shares_before_anybody_trades(history: History) -> None:
    """From the midnight on, as are lots; one from behind the split is told as it came, with its day's change."""
    await store(history, *TICKS[:200])
    now, as_of = AT - 1, AsOf()
    catalogue = build_catalogue({}, ["AAPL"])
    splits = Splits([SPLIT])

    def begun() -> Quotes:
        adjusted = Adjusted(history, splits, as_of)
        return Quotes(cast(Any, None), adjusted, catalogue, clock=lambda: now, splits=splits, as_of=as_of)

    quotes = begun()
    await quotes._fill(None)
    raw = quotes.get("AAPL")
    assert raw is not None
    assert raw.price == TICKS[199].price
    now = AT
    for each in (quotes, begun()):  # one that runs through the night, and one that starts in it
        await each._fill(None)
        today = each.get("AAPL")
        assert today is not None
        seven = pytest.approx((raw.price / 7, raw.open / 7, raw.high / 7))
        assert (today.price, today.open, today.high) == seven
        assert each.all() == [today]
    await store(history, *TICKS[202:])
    now, quotes = MONDAY + HOUR_US, begun()
    await quotes._fill(None)
    monday = quotes.get("AAPL")
    assert monday is not None
    assert monday.price == TICKS[-1].price
    assert monday.previous == pytest.approx(raw.price / 7)


async def test_what_moved_most_is_not_what_was_split(history: History) -> None:
    await store(history, *TICKS[:200], *TICKS[202:])
    as_of = AsOf()
    hot = Hot(
        cast(Any, None), Adjusted(history, Splits([SPLIT]), as_of), cast(Any, None), build_catalogue({}, ["AAPL"]),
        as_of=as_of,
    )  # fmt: skip
    friday, monday = (
        Quote(
            instrument="AAPL", price=tick.price or 0.0, time=tick.venue_time or 0, received_at=tick.received_at or 0,
            source="a", open=1.0, high=1.0, low=1.0,
        )
        for tick in (TICKS[199], TICKS[-1])
    )  # fmt: skip
    for quote in (friday, monday, friday):
        scores = await hot._scores_of(quote)
        changes = [share for board, share in scores.items() if board.startswith("movers")]
        assert changes
        assert all(abs(share) < 0.05 for share in changes)
