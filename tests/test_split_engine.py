"""A stock's split through the real engine, stream and ledger: what is moved with it, once, whenever it is told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from hub import reader
from hub.bus import Bus, connect
from hub.config import Config, LedgerSection
from hub.engine import Engine
from hub.frame import encode
from hub.instruments import CATALOGUE
from hub.ledger import Ledger, alerts, keeping, open_ledger, people, splits
from hub.ledger import tables as t
from hub.model import SECOND_US, Lot, Verdict, Who
from hub.splits import in_effect
from tests.reference_board import frames_of
from tests.reference_market import TRADE, Tick
from tests.test_engine import HOUR_US, ask, through
from tests.test_engine import running as running_engine

if TYPE_CHECKING:
    from tests.conftest import NatsServer

(APPLE,) = [each for each in CATALOGUE if each.id == "AAPL"]
DAY = "2014-06-09"
MIDNIGHT_US = in_effect(DAY, APPLE)
FRIDAY_US = MIDNIGHT_US - 60 * HOUR_US
MONDAY_US = MIDNIGHT_US + 9 * HOUR_US


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        await reader.ensure_streams(opened, lambda: "first", 100_000_000)
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    section = LedgerSection()
    if request.param == "postgres":
        section = LedgerSection(url=request.getfixturevalue("postgres_url"))
    async with open_ledger(Config(folder=tmp_path / "data", ledger=section)) as opened:
        yield opened


@pytest.fixture
async def owner(ledger: Ledger) -> int:
    user = await ledger.write(lambda c: people.user_of(c, Who(platform="console", id="operator"), 1))
    return user.owner_id


class Market:
    """Trades of Apple, a frame each."""

    def __init__(self, bus: Bus) -> None:
        self.bus, self.last, self.number = bus, 0, 0

    async def trades(self, start_us: int, prices: Sequence[float]) -> int:
        ticks = [
            Tick("AAPL", Verdict.PRICE, TRADE, price, None, None, 100.0, at, at, "a")
            for at, price in ((start_us + i * SECOND_US, price) for i, price in enumerate(prices))
        ]
        self.number += 1
        (frame,) = frames_of(ticks, set())
        frame.number = self.number
        self.last = await self.bus.append(encode(frame), self.last, 5)
        return self.last


@asynccontextmanager
async def running(bus: Bus, ledger: Ledger, now: int) -> AsyncIterator[Engine]:
    async with running_engine(bus, ledger, now=now, served="AAPL", per_person=1_000, late_after_s=1e12) as engine:
        yield engine


async def tell(ledger: Ledger, ratio: tuple[int, int] = (7, 1)) -> None:
    assert await ledger.write(lambda c: splits.add(c, "AAPL", DAY, *ratio, "anna", 1))


async def rows(ledger: Ledger) -> dict[int, tuple[str, str]]:
    a = t.alerts.c
    query = sa.select(a.id, a.text, a.state).order_by(a.id)
    return await ledger.read(lambda c: {row.id: (row.text, row.state) for row in c.execute(query)})


async def rang(ledger: Ledger) -> list[tuple[int, float]]:
    query = sa.select(t.triggers.c.alert_id, t.triggers.c.price).order_by(t.triggers.c.id)
    return await ledger.read(lambda c: [(row.alert_id, round(row.price, 2)) for row in c.execute(query)])


async def column(ledger: Ledger, query: sa.Select[Any]) -> list[Any]:
    return await ledger.read(lambda c: list(c.scalars(query)))


async def test_a_split_that_is_known_moves_everything_at_midnight(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Armed, silent, paused and done alerts, lots, and what windows remember; a death behind it moves nothing again,
    and a real fall rings."""
    market = Market(bus)
    lot = Lot(id=0, portfolio="", instrument="AAPL", quantity=3.0, wrote="3", cost=1_900.0, currency="USD",
              bought_on="2014-01-02", note="")  # fmt: skip
    late = Lot(id=0, portfolio="", instrument="AAPL", quantity=5.0, wrote="5", cost=460.0, currency="USD",
               bought_on="2014-06-10", note="")  # fmt: skip
    await ledger.write(lambda c: [keeping.add_lot(c, owner, each, 1) for each in (lot, late)])
    await tell(ledger)
    async with running(bus, ledger, FRIDAY_US) as engine:
        await through(engine, await market.trades(FRIDAY_US, [647.5, 645.57]))
        lines = ["AAPL < 600", "AAPL -7% in 5d", "AAPL trails 10%", "AAPL > 700", "AAPL > 660", "AAPL crosses 650"]
        made = [(await ask(engine, owner, line=line)).alert.id for line in lines]
        await ask(engine, owner, "snooze", alert_id=made[3], until=MIDNIGHT_US + 24 * HOUR_US)
        await ask(engine, owner, "pause", alert_id=made[4])
        await through(engine, await market.trades(FRIDAY_US + HOUR_US, [651.0, 645.57]))
        assert await rang(ledger) == [(6, 651.0)]
        await through(engine, await market.trades(MONDAY_US, [92.5, 93.0]))
    assert await rang(ledger) == [(6, 651.0)]
    assert await rows(ledger) == {
        1: ("AAPL < 85.714286", "armed"),
        2: ("AAPL -7% in 5d", "armed"),
        3: ("AAPL trails 10%", "armed"),
        4: ("AAPL > 100", "snoozed"),
        5: ("AAPL > 94.285714", "paused"),
        6: ("AAPL crosses 92.857143", "done"),
    }
    assert await column(ledger, sa.select(t.lots.c.quantity).order_by(t.lots.c.id)) == [21.0, 5.0]
    assert await column(ledger, sa.select(t.lots.c.wrote).order_by(t.lots.c.id)) == ["21", "5"]
    titles = await column(ledger, sa.select(t.notifications.c.title).where(t.notifications.c.key.startswith("split:")))
    assert titles == ["Apple was split 7:1: your levels have followed"]
    told = sa.select(t.alert_events.c.text).where(t.alert_events.c.text.contains("was split"))
    assert len(await column(ledger, told)) == 4

    async with running(bus, ledger, MONDAY_US) as engine:
        await engine.split_watch.look()
        assert (await rows(ledger))[1] == ("AAPL < 85.714286", "armed")
        await through(engine, await market.trades(MONDAY_US + HOUR_US, [87.0, 86.4, 85.0, 83.0]))
    # 7 % under 651/7 of Friday = 93.0 is 86.49; the trail's peak is 93.0 too, 10 % under it 83.7
    assert await rang(ledger) == [(6, 651.0), (2, 7.1), (1, 85.0), (3, 83.0)]


async def test_a_split_that_is_told_late_moves_what_was_armed_before_it(bus: Bus, ledger: Ledger, owner: int) -> None:
    """What rang by it has rung; sides are those of now, and what looks back is read anew."""
    market = Market(bus)
    async with running(bus, ledger, FRIDAY_US) as engine:
        await through(engine, await market.trades(FRIDAY_US, [647.5, 645.57]))
        for line in ("AAPL < 600 every time", "AAPL -7% in 5d every time", "AAPL > 660"):
            await ask(engine, owner, line=line)
        await through(engine, await market.trades(MONDAY_US, [92.5, 93.0]))
        assert await rang(ledger) == [(1, 92.5), (2, 85.71)]
        engine.now_us = lambda: MONDAY_US
        await ask(engine, owner, line="AAPL > 95")
        await tell(ledger)
        await engine.split_watch.look()
        assert await rows(ledger) == {
            1: ("AAPL < 85.714286 every time", "armed"),
            2: ("AAPL -7% in 5d every time", "armed"),
            3: ("AAPL > 94.285714", "armed"),
            4: ("AAPL > 95", "armed"),
        }
        await engine.split_watch.look()
        await through(engine, await market.trades(MONDAY_US + HOUR_US, [87.0, 86.0, 85.0, 94.5]))
    assert (await rang(ledger))[2:] == [(2, 7.53), (1, 85.0), (3, 94.5)]
    assert await column(ledger, sa.select(sa.func.count()).select_from(t.split_marks)) == [
        len(alerts.groups(shared=ledger.shared))
    ]


async def test_groups_of_a_ledger_that_was_one_engines_are_behind_what_that_moved(ledger: Ledger) -> None:
    """`tocsin migrate` brings its marks along."""
    await tell(ledger)
    (number,) = [row[0] for row in await ledger.read(splits.rows)]
    await ledger.write(lambda c: splits.mark(c, number, [alerts.ENGINE]))
    groups = alerts.groups(shared=True)
    assert await ledger.read(lambda c: splits.marks(c, groups)) == {group: {number} for group in groups}


async def test_a_split_that_moved_nothing_yet_can_be_taken_back(bus: Bus, ledger: Ledger, owner: int) -> None:
    market = Market(bus)
    await tell(ledger, (3, 1))
    async with running(bus, ledger, FRIDAY_US) as engine:
        await through(engine, await market.trades(FRIDAY_US, [645.57]))
        await ask(engine, owner, line="AAPL < 600")
        (number,) = [row[0] for row in await ledger.read(splits.rows)]
        assert await ledger.write(lambda c: splits.remove(c, number))
        await engine.split_watch.look()
        await tell(ledger)
        await engine.split_watch.look()
        await through(engine, await market.trades(MONDAY_US, [92.5]))
        assert (await rows(ledger))[1] == ("AAPL < 85.714286", "armed")
    (number,) = [row[0] for row in await ledger.read(splits.rows)]
    assert not await ledger.write(lambda c: splits.remove(c, number))
