"""stats, movers and convert on a real bus, with a history and rankings of their own."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cache import keys
from hub.history import Position
from hub.model import SECOND_US, Kind, Nature, Reply, Tick
from hub.plugin import BadRequest
from hub.testing import check_reply, frame_of
from hub.units import TROY_OUNCE_G
from plugins.commands import convert
from tests.test_commands import NOW, Room, quote, room

HOUR_US, DAY_US = 3_600 * SECOND_US, 86_400 * SECOND_US
SERVED = ("XAU-USD", "XAG-USD", "BTC-USDT", "EUR-USD", "USD-INR", "AAPL")
GOLD = 2411.2


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub", served=SERVED) as opened:
        for each in (quote("EUR-USD", 1.25), quote("USD-INR", 80.0, received_at=NOW - 5 * SECOND_US)):
            opened.quotes.by_id[each.instrument] = each
        yield opened


async def store(
    here: Room, instrument: str, prices: Sequence[float], step_us: int, volume: float | None = None, until: int = NOW
) -> None:
    """Ticks that end a second before now."""
    first = until - SECOND_US - (len(prices) - 1) * step_us
    ticks = [
        Tick(
            instrument=instrument, kind=Kind.TRADE, price=price, volume=volume, venue_time=first + at * step_us,
            received_at=first + at * step_us, source="test",
        )
        for at, price in enumerate(prices)
    ]  # fmt: skip
    stands = await here.history.position()
    frame = frame_of(ticks, number=stands.number + 1)
    after = Position(stream="test", sequence=stands.sequence + 1, epoch=1, number=frame.number, clock=frame.clock)
    await here.history.append([frame], after)


def wave(count: int, *, phase: float = 0.0, level: float = 2400.0) -> list[float]:
    return [round(level * (1 + 0.02 * math.sin(at / 7 + phase)), 2) for at in range(count)]


def cells(reply: Reply, name: str) -> tuple[str, ...]:
    (found,) = [row[1:] for row in reply.table if row[0] == name]
    return found


def text(reply: Reply) -> str:
    return "\n".join((reply.title, *reply.lines))


# ------------------------------------------------------------------------------------------------ stats


async def test_stats_tells_five_spans_in_one_table(here: Room) -> None:
    """With the instrument's decimals, and the same for programs."""
    prices = wave(20 * 24 * 4)
    await store(here, "XAU-USD", prices, HOUR_US // 4)
    reply = await here.say("stats gold")
    check_reply(reply)
    assert reply.table[0] == ("", "1h", "24h", "7d", "30d", "1y")
    day = prices[-96:]
    assert cells(reply, "high")[1] == f"{max(day):,.2f}"
    assert cells(reply, "mean")[1] == f"{math.fsum(day) / 96:,.2f}"
    assert cells(reply, "ticks") == ("4", "96", "672", "1,920", "1,920")
    assert cells(reply, "change")[1] == f"{(day[-1] / day[0] - 1) * 100:+.2f} %"
    assert cells(reply, "volatility")[0] == "-"  # four candles are too few
    assert all(cell.endswith(" %") for cell in cells(reply, "volatility")[1:])
    assert "volume" not in {row[0] for row in reply.table}
    assert "Prices are known since 2026-12-26" in text(reply)
    assert "30d, 1y hold what there is" in text(reply)
    assert "times the root" in text(reply)
    assert "15m for 7d" in text(reply)
    facts = cast(list[dict[str, Any]], reply.facts["spans"])
    assert [(one["span"], one["count"]) for one in facts][:2] == [("1h", 4), ("24h", 96)]
    assert facts[1]["mean"] == pytest.approx(math.fsum(day) / 96, rel=1e-12)
    assert facts[1]["end"] == "2027-01-15T08:00:00.000000Z"


async def test_stats_of_one_span_says_from_when_to_when(here: Room) -> None:
    """Any span that people write; with volume where ticks state it."""
    await store(here, "BTC-USDT", [60_000.0, 63_000.0, 61_000.0, 66_000.0], HOUR_US, 0.5)
    reply = await here.say("stats btc 2027-01-15")
    assert reply.title == "Bitcoin (USDT) (BTC-USDT), 2027-01-15"
    assert cells(reply, "volume") == ("2.00",)
    assert cells(reply, "drawdown") == ("3.17 %",)
    assert "From 00:00:00 to now (UTC)." in reply.lines
    assert "In USDT." in reply.lines
    assert cells(await here.say("stats btc 2027"), "ticks") == ("4",)
    nothing = await here.say("stats btc 2027-01-01..2027-01-02")
    assert nothing.ok
    assert "Nothing moved the price" in text(nothing)


async def test_stats_says_when_ticks_are_not_kept_any_more(here: Room) -> None:
    """The span is then counted in whole candles."""
    await store(here, "XAU-USD", wave(600), 20 * SECOND_US)
    await here.history.prune(NOW)
    reply = await here.say("stats gold 2027-01-15 07:00:30..07:30")
    assert ": counted from 07:00:00 to 07:30:00, as finer prices are not kept" in text(reply)


async def test_stats_says_since_when_prices_are_known_also_where_that_was_just_now(here: Room) -> None:
    """With the time, never "since now"."""
    await store(here, "XAU-USD", wave(2), 20 * SECOND_US)
    assert "Prices are known since 07:59:" in text(await here.say("stats gold 1h"))


async def test_stats_tells_the_newest_price_of_a_span_that_ends_long_after_it(here: Room) -> None:
    """Else "1y" would be taken for a year that goes on to now; a weekend is no such silence."""
    await store(here, "XAU-USD", wave(600), 20 * SECOND_US, until=NOW - 60 * DAY_US)
    await store(here, "XAG-USD", wave(600), 20 * SECOND_US, until=NOW - 3 * DAY_US)
    here.quotes.by_id.clear()
    for span in ("1y", "24h"):
        assert "The newest price is of 2026-11-16 07:59:59." in text(await here.say(f"stats gold {span}"))
    assert "The newest price" not in text(await here.say("stats gold 2026-11-16"))
    assert "The newest price" not in text(await here.say("stats silver 30d"))


async def test_two_spans_are_not_added_up(here: Room) -> None:
    """ "1h 24h" is no span of 25 hours; "1d 12h" is one of 36."""
    await store(here, "XAU-USD", wave(600), 20 * SECOND_US)
    assert "write one, like 24h" in text(await here.say("stats gold 1h 24h"))
    assert "1 day 12 hours" in text(await here.say("stats gold 1d 12h"))


async def test_stats_by_hour_and_by_weekday(here: Room) -> None:
    """Local hours and days, with the mean change and the share of rises."""
    rising = [round(1.001**at, 6) * 2000 for at in range(24 * 21)]
    await store(here, "XAU-USD", rising, HOUR_US)
    hours = await here.say("stats gold by hour 7d")
    assert hours.table[0] == ("hour", "mean change", "rises", "hours")
    assert len(hours.table) == 25
    assert hours.table[10] == ("09:00", "+0.100 %", "100 %", "7")
    days = await here.say("stats gold by weekday")
    assert days.table[1][0] == "Monday"
    assert {row[2] for row in days.table[1:]} == {"100 %"}
    assert cast(Any, days.facts["seasons"])[0]["count"] == 3
    refused = await here.say("stats gold by hour 20y")
    assert not refused.ok
    assert "three years at most" in text(refused)


async def test_stats_of_two_tell_how_they_move_together(here: Room) -> None:
    """By the returns over what both have."""
    await store(here, "XAU-USD", wave(200), HOUR_US)
    await store(here, "XAG-USD", wave(200, level=30.0), HOUR_US)
    reply = await here.say("stats gold vs silver 7d")
    assert "they move together strongly" in text(reply)
    assert cast(float, reply.facts["correlation"]) > 0.95
    assert [row[0] for row in reply.table[1:]] == ["Gold (XAU-USD)", "Silver (XAG-USD)"]
    few = await here.say("stats gold vs silver 2h")
    assert "too few" in text(few)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stats", "of what?"),
        ("stats 7d", "of what?"),
        ("stats silver", "no price of Silver has been recorded yet"),
        ("stats gold 3M", "minutes or months"),
        ("stats gold vs silver vs btc", "two can be compared"),
        ("stats gold vs gold", "moves like itself"),
        ("stats gold vs silver by hour", "of one instrument"),
        ("stats nonsuch 7d", "not an instrument"),
    ],
)
async def test_stats_refuses_in_words(line: str, said: str, here: Room) -> None:
    """What cannot be answered, with how to ask instead."""
    reply = await here.say(line)
    assert not reply.ok
    assert said in text(reply)


# ----------------------------------------------------------------------------------------------- movers


async def test_movers_lists_what_rose_and_what_fell(here: Room) -> None:
    """The highest first, the lowest last; from the boards, with the newest price."""
    await here.cache.rank_many(keys.movers("24h"), {"XAU-USD": 0.012, "BTC-USDT": -0.05, "EUR-USD": -0.001})
    await here.cache.rank_many(keys.volatile("24h"), {"BTC-USDT": 0.61, "XAU-USD": 0.15})
    reply = await here.say("movers")
    check_reply(reply)
    assert [row[:4] for row in reply.table[1:]] == [
        ("Gold (XAU-USD)", "+1.20 %", "2,411.20 USD", "15.00 %"),
        ("Euro (EUR-USD)", "-0.10 %", "1.25000 USD", ""),
        ("Bitcoin (USDT) (BTC-USDT)", "-5.00 %", "61,000.00 USDT", "61.00 %"),
    ]
    assert reply.table[3][4] == "simulated, market closed"
    down = await here.say("movers down 24h")
    assert [row[0] for row in down.table[1:]] == ["Bitcoin (USDT) (BTC-USDT)", "Euro (EUR-USD)"]
    volatile = await here.say("movers volatile")
    assert [row[3] for row in volatile.table[1:]] == ["61.00 %", "15.00 %"]
    assert cast(Any, volatile.facts["movers"])[0] == {"instrument": "BTC-USDT", "change": -0.05, "volatility": 0.61}


async def test_movers_of_a_young_hub_have_no_empty_column(here: Room) -> None:
    """There is no volatility yet."""
    await here.cache.rank_many(keys.movers("24h"), {"XAU-USD": 0.012})
    reply = await here.say("movers")
    assert reply.table[0][:3] == ("instrument", "change", "price") and "volatility" not in reply.table[0]
    assert "Volatility" not in text(reply)


async def test_movers_without_a_ranking_say_so(here: Room) -> None:
    """And a span or a word that there is none of is refused."""
    assert "No ranking over 7d" in text(await here.say("movers 7d up"))
    for line, said in (("movers 3y", "1h, 24h, 7d"), ("movers sideways", "not understood"), ("movers 1h 7d", "7d")):
        reply = await here.say(line)
        assert not reply.ok
        assert said in text(reply)


# ---------------------------------------------------------------------------------------------- convert


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("convert 10 g gold 22k inr", 10 * GOLD / TROY_OUNCE_G * 22 / 24 * 80),
        ("convert 10g 22 karat gold to inr", 10 * GOLD / TROY_OUNCE_G * 22 / 24 * 80),
        ("convert 1 tola of gold in ₹", GOLD / TROY_OUNCE_G * 11.6638038 * 80),
        ("convert 2 kg gold eur", 2 * GOLD / TROY_OUNCE_G * 1000 / 1.25),
        ("convert gold usd", GOLD),
        ("convert 1 troy ounce gold usd", GOLD),
        ("convert 500 eur usd", 625.0),
        ("convert $1,000 euros", 800.0),
        ("convert 2k rupees usd", 25.0),
        ("convert 1000 usd to g gold", 1000 / GOLD * TROY_OUNCE_G),
        ("convert 1000 usd gold 18k g", 1000 / GOLD * TROY_OUNCE_G / 0.75),
        ("convert 1 btc usdt", 61_000.0),
        ("convert 3 gold tola gold", 3 * TROY_OUNCE_G / 11.6638038),
        ("convert 5 usd usd", 5.0),
        ("convert 3 oz gold", 3 * GOLD),
    ],
)
async def test_anything_is_converted_into_anything(line: str, value: float, here: Room) -> None:
    """Weights and karat exactly, currencies through live pairs."""
    reply = await here.say(line)
    assert reply.ok, reply.lines
    assert reply.facts["value"] == pytest.approx(value, rel=1e-12)
    check_reply(reply)


async def test_a_conversion_names_its_prices_with_their_ages(here: Room) -> None:
    """And says which of them are stale or not live."""
    here.quotes.by_id["USD-INR"] = quote("USD-INR", 80.0, received_at=NOW - 3 * HOUR_US)
    reply = await here.say("convert 10 g gold 22k inr")
    assert reply.title == "10 g of 22k Gold (XAU-USD) = 56,849.38 INR"
    assert reply.lines == (
        "1 g of 22k Gold (XAU-USD) is 5,684.94 INR.",
        "Gold (XAU-USD) 2,411.20 USD, 2 s ago",
        "Dollar in rupees (USD-INR) 80.00000 INR, 3 h ago, stale",
    )
    assert reply.facts["stale"] is True
    simulated = await here.say("convert 1 btc usdt")
    assert simulated.lines[1].endswith("simulated, market closed")
    here.quotes.by_id["XAU-USD"] = quote("XAU-USD", GOLD, nature=Nature.RECORDING, time=NOW - DAY_US)
    assert "2027-01-14 08:00:00, recording" in text(await here.say("convert 1 gold usd"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("convert", "convert what?"),
        ("convert 10", "convert what?"),
        ("convert 10 g", "convert what?"),
        ("convert 10 g to inr", "of what?"),
        ("convert 10 eur", "into what?"),
        ("convert 1 btc gold", "connects USDT and USD: serve USDT-USD by a feed"),
        ("convert 5 gbp usd", "connects GBP and USD: serve GBP-USD by a feed"),
        ("convert 5 silver usd", "XAG-USD) has no price yet"),
        ("convert 5 platinum usd", "served by no feed"),
        ("convert 10 g btc usdt", "not sold by weight"),
        ("convert 10 g eur usd", "has no weight"),
        ("convert 10 g gold 25k usd", "not between 0 and 24"),
        ("convert 22k gold inr", "22,000 or 22 karat"),
        ("convert 1,5,0 eur usd", "no number"),
        ("convert -3 eur usd", "sign"),
        ("convert 0 eur usd", "not between"),
        ("convert 10 g kg gold usd", "two weights"),
        ("convert 10 nonsuch usd", "not an instrument"),
        ("convert 10 eur nonsuch", "not an instrument"),
    ],
)
async def test_convert_refuses_in_words(line: str, said: str, here: Room) -> None:
    """What is missing, and how to write it."""
    reply = await here.say(line)
    assert not reply.ok
    assert said in text(reply)


@given(st.text(max_size=60) | st.lists(st.sampled_from(["10", "g", "22k", "$", "1,000", "of", "k", "0"])).map(" ".join))
def test_any_amount_is_read_or_refused(arguments: str) -> None:
    """Above zero and no more than can be told; nothing else is raised."""
    with suppress(BadRequest):
        amount, words = convert.amount_and_words(arguments)
        assert 0 < amount <= convert.MOST
        assert all(words)
