"""What happened while an instrument had no price: told once it is back, through deaths, and never rung.

The engine, its ledger, the history and who finds out are the real ones; the minutes come from a server that answers as
Binance's documentation says.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from hub import reader
from hub.bus import Bus, connect
from hub.config import Config, FeedSection
from hub.engine import Engine
from hub.frame import Event, EventKind, empty
from hub.history import History, open_history
from hub.ledger import Ledger, alerts, gaps, open_ledger, people
from hub.ledger import tables as t
from hub.ledger.gaps import Gap
from hub.model import SECOND_US, Candle, Instrument, Kind, Who
from hub.recovery import Crossed, Known, Recovery, Seen, worded
from tests.streams import START, Stream, frame
from tests.test_backfill import Exchange, exchange
from tests.test_engine import ask, history, rung, running, through

if TYPE_CHECKING:
    from tests.conftest import NatsServer

__all__ = ["exchange"]
from tests.test_blindness import CATALOGUE, at

# --------------------------------------------------------------------------------------- deaths, and being back


class Hub:
    """A stream of Bitcoin in thousands of seconds, an engine, a ledger, a history, and who finds out what was lost."""

    def __init__(self, bus: Bus, ledger: Ledger, history: History, owner: int) -> None:
        self.bus, self.ledger, self.history, self.owner = bus, ledger, history, owner
        self.stream = Stream(bus)
        self.config = Config()
        self.engine: Engine

    async def price(self, kilo_s: int, price: float, *events: tuple[float, EventKind]) -> None:
        """A trade at that time, behind events at theirs, all of them seconds from START."""
        made = frame(kilo_s, [price])
        made.instruments = [BTC]
        made.kind = [Kind.TRADE]
        made.events = [Event(0, kind, START + round(at_s * SECOND_US), BTC) for at_s, kind in events]
        await through(self.engine, await self.stream.send(made))

    async def clock(self, kilo_s: int, at_s: float, *events: tuple[float, EventKind]) -> None:
        """Nothing but events, and time. `kilo_s` numbers the frame."""
        made = empty(epoch=1, number=kilo_s)
        made.events = [Event(0, kind, START + round(when_s * SECOND_US), BTC) for when_s, kind in events]
        made.clock = made.opened_at = START + round(at_s * SECOND_US)
        await through(self.engine, await self.stream.send(made))

    async def look(self, now_s: float) -> None:
        now = START + round(now_s * SECOND_US)
        await Recovery(self.ledger, self.history, self.history, CATALOGUE, self.config, self.bus, lambda: now).look()

    async def told(self) -> list[tuple[str, str]]:
        n = t.notifications.c
        rows = await self.ledger.read(lambda c: c.execute(sa.select(n.title, n.text).order_by(n.id)).all())
        return [(row.title, row.text) for row in rows]

    async def titles(self) -> list[str]:
        return [title for title, _ in await self.told()]

    async def blind(self) -> list[int | None]:
        rows = await self.ledger.read(
            lambda c: c.execute(sa.select(t.alerts.c.blind_since).order_by(t.alerts.c.id)).all()
        )
        return [row.blind_since for row in rows]


BTC = "BTC-USDT"
BLIND = "No price of Bitcoin (USDT) since 22:30:00.000 UTC: your 2 alerts on it are blind"


@asynccontextmanager
async def opened(server: "NatsServer", folder: Path) -> AsyncIterator[Hub]:
    config = Config(folder=folder / "data")
    async with (
        open_ledger(config) as ledger,
        open_history(config) as history,
        connect(server.url, server.token, "test") as bus,
    ):
        await reader.ensure_streams(bus, lambda: "first", 100_000_000)
        user = await ledger.write(lambda c: people.user_of(c, Who(platform="console", id="operator"), 1))
        yield Hub(bus, ledger, history, user.owner_id)


@pytest.fixture
async def hub(nats_server: "NatsServer", tmp_path: Path) -> AsyncIterator[Hub]:
    async with opened(nats_server, tmp_path) as made, running(made.bus, made.ledger) as made.engine:
        await made.price(1, 53_000.0)
        await ask(made.engine, made.owner, line=f"{BTC} > 53380 every time")
        await ask(made.engine, made.owner, line=f"{BTC} > 53500 every time")
        yield made


async def test_a_death_in_the_middle_of_blindness_tells_nothing_twice(hub: Hub) -> None:
    """Neither that it is blind nor that it is back; and an engine that died before the grace was over tells it."""
    await hub.clock(2, 1_060, (1_060, EventKind.STALE))
    async with running(hub.bus, hub.ledger) as hub.engine:
        await hub.clock(3, 1_100)
        assert await hub.titles() == []
    async with running(hub.bus, hub.ledger) as hub.engine:
        await hub.clock(4, 1_400)
        assert await hub.titles() == [BLIND]
        assert await hub.blind() == [START + 1_000 * SECOND_US] * 2
    async with running(hub.bus, hub.ledger) as hub.engine:
        await hub.clock(5, 1_900)
        await hub.clock(6, 2_500, (2_400, EventKind.STALE))
        assert await hub.titles() == [BLIND]
        await hub.price(7, 53_000.0, (7_000, EventKind.FRESH))
    assert await hub.blind() == [None, None]
    await hub.look(7_006)
    async with running(hub.bus, hub.ledger) as hub.engine:
        await hub.price(8, 53_000.0)
    await hub.look(7_900)
    assert await hub.titles() == [BLIND, "Bitcoin (USDT) has a price again since 00:10:00 UTC"]


async def test_a_frame_of_blindness_that_was_read_but_not_committed_is_read_again(hub: Hub) -> None:
    """As kill -9 leaves it: the engine has taken it, the ledger does not know of it."""
    made = empty(epoch=1, number=2)
    made.events = [Event(0, EventKind.STALE, START + 1_060 * SECOND_US, BTC)]
    made.clock = START + 1_200 * SECOND_US
    async with hub.engine.lock:  # it cannot commit any more
        await hub.stream.send(made)
        async with asyncio.timeout(5):
            while hub.engine.tail.sequence < hub.stream.last:
                await asyncio.sleep(0.005)
        assert await hub.titles() == []
        async with running(hub.bus, hub.ledger) as hub.engine:
            await through(hub.engine, hub.stream.last)
            assert await hub.titles() == [BLIND]


async def test_what_is_back_says_what_was_crossed_meanwhile_by_the_minutes_of_a_feed(
    hub: Hub, exchange: Exchange
) -> None:
    """Once; it never rings, and what was not looked at is said."""
    settings = {"rest_url": exchange.settings.rest_url}
    feed = FeedSection(name="binance", module="binance", symbols={BTC: "btcusdt"}, settings=settings)
    hub.config = Config(feeds=(feed,))
    third = await ask(hub.engine, hub.owner, line=f"{BTC} last > 60000")
    late = await ask(hub.engine, hub.owner, line=f"{BTC} > 53390")
    await hub.ledger.write(lambda c: alerts.update(c, late.alert.id, {"armed_at": START + 2_000 * SECOND_US}))
    await hub.clock(2, 1_200, (1_060, EventKind.STALE))
    assert (await hub.titles())[0].endswith("your 4 alerts on it are blind")
    await hub.price(4, 53_000.0, (4_000, EventKind.FRESH))
    await hub.look(4_000)  # the last minute of the gap is not over yet
    assert len(await hub.told()) == 1
    await hub.look(4_076)
    await hub.look(4_080)
    title, text = (await hub.told())[1]
    assert title == "Bitcoin (USDT) has a price again: a level of yours was crossed meanwhile"
    assert text.splitlines() == [
        "No price from 2023-11-14 22:30:00 to 23:20:00 UTC (50 min).",
        "alert 1 (BTC-USDT > 53380 every time) was crossed at 22:55 UTC, high 53,380.00",
        "By the minutes of binance; the price came back, so nothing rang.",
        "Of an alert on more than its price it is not known.",
    ]
    assert await rung(hub.ledger) == []
    assert (await history(hub.ledger, 1))[-1].startswith("while it was blind: alert 1 (")
    assert not (await history(hub.ledger, third.alert.id))[-1].startswith("while")
    assert len(await hub.told()) == 2


async def test_what_rang_when_the_price_came_back_is_not_told_as_missed(hub: Hub, exchange: Exchange) -> None:
    """It was heard already, with its own evidence."""
    settings = {"rest_url": exchange.settings.rest_url}
    feed = FeedSection(name="binance", module="binance", symbols={BTC: "btcusdt"}, settings=settings)
    hub.config = Config(feeds=(feed,))
    await hub.clock(2, 1_200, (1_060, EventKind.STALE))
    await hub.price(4, 53_390.0, (4_000, EventKind.FRESH))
    await hub.price(5, 53_000.0)
    assert await rung(hub.ledger) == [(1, 1, 53_390.0)]
    await hub.look(5_100)
    assert (await hub.told())[-1][1].splitlines()[1:] == [
        "None of your levels was crossed meanwhile, by the minutes of binance."
    ]


async def test_what_fell_silent_at_one_moment_comes_back_one_by_one(hub: Hub) -> None:
    """Alerts on the second are blind until it is back itself."""

    def fell(c: sa.Connection) -> None:
        alerts.update(c, 2, {"instrument": "ETH-USDT"})
        for alert_id, name in enumerate((BTC, "ETH-USDT"), 1):
            gaps.begin(c, name, START, [hub.owner])
            gaps.tell(c, name, START, [alert_id])
        gaps.end(c, BTC, START, START + 1)

    await hub.ledger.write(fell)
    assert await hub.blind() == [None, START]
    await hub.ledger.write(lambda c: gaps.end(c, "ETH-USDT", START, START + 2))
    assert await hub.blind() == [None, None]


# ------------------------------------------------------------------------------------------------- wording


def gap(instrument: Instrument, since: int, until: int) -> Gap:
    return Gap(id=1, owner_id=1, instrument=instrument.id, since=since, until=until, told=True)


def test_a_gap_that_ends_with_the_market_does_not_say_that_there_is_a_price() -> None:
    """What is beyond its level at the opening rings then."""
    gold = CATALOGUE.find("gold")
    since, close = at("2024-05-10T16:10"), at("2024-05-10T17:00")
    candle = Candle(
        start=at("2024-05-10T16:30"), open=2390, high=2401, low=2389, close=2390, count=1, sum=0.0, sum_squares=0.0
    )
    crossed = Crossed(7, "XAU-USD > 2400", False, candle, rose=True)
    title, text = worded(gold, gap(gold, since, close), Seen([crossed], 0), Known([candle], "binance"))
    assert title == (
        "The market of Gold has closed without a price since 2024-05-10 20:10:00 UTC: a level of yours was crossed"
        " meanwhile"
    )
    assert text.splitlines() == [
        "No price from 2024-05-10 20:10:00 to the close at 21:00:00 UTC (50 min).",
        "alert 7 (XAU-USD > 2400) was crossed at 20:30 UTC, high 2,401.00",
        "By the minutes of binance; what is beyond its level when the market opens rings then.",
    ]
    title, text = worded(gold, gap(gold, since, close), Seen([], 2), Known((), ""))
    assert title == "The market of Gold has closed without a price since 2024-05-10 20:10:00 UTC"
    assert text.splitlines()[1:] == [
        "What it did meanwhile is not known: no source of it keeps history.",
        "Of 2 alerts on more than its price it is not known.",
    ]
    assert worded(gold, gap(gold, since, close - 1), Seen([], 0), Known((), ""))[0].startswith("Gold has a price again")
