"""Alerts on the value of a portfolio: armed at once, valued once a second, and told when what it holds has changed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from hub import reader
from hub.bus import Bus, connect
from hub.config import Config
from hub.frame import EventKind
from hub.ledger import Ledger, keeping, open_ledger, people
from hub.ledger import tables as t
from hub.model import Lot, State, Who
from hub.rules.graph import Lots
from tests.board_stage import EURO, GOLD, SILVER, Stage, tick
from tests.streams import START, Stream
from tests.test_engine import ask, history, rung, running, through

if TYPE_CHECKING:
    from tests.conftest import NatsServer

HOLDS_OTHERS = "what the portfolio holds has changed: the next value sets its side"


def stage(held: dict[str, float], *lines: str) -> Stage:
    made = Stage()
    made.board.maker.held = lambda _owner, _portfolio: Lots(tuple(held.items()))
    for number, line in enumerate(lines, 1):
        made.add(number, line)
    return made


# ------------------------------------------------------------------------------------------------ its value


def test_it_is_valued_at_most_once_a_second() -> None:
    """On whole seconds of the stream's clock; a price in between that was not there at one is not its value."""
    made = stage({GOLD: 2.0, SILVER: 100.0}, "portfolio > 5000 every time")
    made.play(tick(0, GOLD, 1300.0), tick(0.1, SILVER, 20.0))
    assert made.play(tick(0.2, GOLD, 1600.0), tick(0.4, GOLD, 1300.0), tick(1.1, GOLD, 1300.0)) == []
    assert made.play(tick(1.2, GOLD, 1500.0), tick(1.3, GOLD, 1400.0), tick(1.9, GOLD, 1500.0)) == []
    assert made.play(tick(2.0, GOLD, 1300.0)) == [(1, 5000.0)]
    assert made.play(tick(2.5, GOLD, 1200.0), tick(3.1, GOLD, 1200.0), tick(3.2, GOLD, 1600.0)) == []
    assert made.beat(3.9) == []
    assert made.beat(4) == [(1, 5200.0)]


def test_a_currency_of_another_kind_is_converted_and_what_is_stale_leaves_it_without_a_value() -> None:
    """Nothing is guessed."""
    made = stage({GOLD: 2.0}, "portfolio > 2000 eur every time")
    made.play(tick(0, GOLD, 1200.0), tick(0, EURO, 1.25))
    made.beat(1)
    assert made.play(tick(1.5, GOLD, 1300.0), tick(2, GOLD, 1300.0)) == [(1, 2080.0)]
    made.play(tick(3, GOLD, 1200.0), tick(4, GOLD, 1200.0))
    made.event(70, EventKind.STALE, EURO)
    assert made.play(tick(71, GOLD, 1300.0), tick(73, GOLD, 1300.0)) == []
    made.event(74, EventKind.FRESH, EURO)
    assert made.play(tick(74.5, EURO, 1.25), tick(75, EURO, 1.25)) == [(1, 2080.0)]


def test_a_portfolio_that_holds_nothing_has_no_value_and_harms_nobody() -> None:
    """All was sold, or nothing bought yet."""
    made = stage({}, "portfolio < 100", "gold > 1300")
    made.play(tick(0, GOLD, 1290.0), tick(5, GOLD, 1290.0))
    made.beat(10)
    assert made.prices(11, 1310) == [1310]
    assert made.board.failing.count == 0


def test_what_it_holds_changes_and_the_alert_goes_on() -> None:
    """A value that no market made sets the side; a cooldown goes on, and what else it looks at keeps its past."""
    held = {GOLD: 1.0}
    line = "portfolio > 1500 and gold -1% in 1h at most every 1h"
    made = stage(held, "portfolio > 1500 at most every 1h", line)
    made.play(tick(0, GOLD, 1400.0), tick(1, GOLD, 1400.0), tick(2, GOLD, 1510.0))
    assert made.beat(3) == [(1, 1510.0)]
    made.play(tick(4, GOLD, 1450.0), tick(5, GOLD, 1450.0))
    held[GOLD] = 2.0
    made.board.revalue([2])
    assert HOLDS_OTHERS not in made.life()
    made.board.revalue([1])
    assert made.life()[-1] == made.life(2)[-1] == HOLDS_OTHERS
    assert made.play(tick(6, GOLD, 1450.0), tick(7, GOLD, 1450.0)) == []
    window = next(node for key, node in made.board.graph.nodes.items() if key.startswith("window"))
    assert window.value == 1450.0 and window.highest.value == 1510.0  # type: ignore[attr-defined]
    assert made.play(tick(8, GOLD, 700.0), tick(9, GOLD, 700.0), tick(10, GOLD, 800.0), tick(11, GOLD, 800.0)) == []
    for number in (1, 2):
        assert made.life(number)[-1].startswith("its condition came true again, not told")


# ------------------------------------------------------------------------------------------- with a ledger


class Purse:
    """A person with some gold, on a real ledger and stream."""

    def __init__(self, bus: Bus, ledger: Ledger, owner: int) -> None:
        self.bus, self.ledger, self.owner = bus, ledger, owner
        self.stream = Stream(bus)

    async def buys(self, ounces: float, name: str = "") -> int:
        lot = Lot(portfolio=name, instrument=GOLD, quantity=ounces, wrote="", currency="USD", bought_on="2023-01-01")
        return await self.ledger.write(lambda c: keeping.add_lot(c, self.owner, lot, START))

    async def sells(self, lot_id: int) -> None:
        await self.ledger.write(lambda c: keeping.change_lot(c, lot_id, {"sold_on": "2023-11-14"}))


@pytest.fixture
async def purse(nats_server: "NatsServer", tmp_path: Path) -> AsyncIterator[Purse]:
    async with (
        open_ledger(Config(folder=tmp_path / "data")) as ledger,
        connect(nats_server.url, nats_server.token, "test") as bus,
    ):
        await reader.ensure_streams(bus, lambda: "first", 100_000_000)
        user = await ledger.write(lambda c: people.user_of(c, Who(platform="console", id="operator"), 1))
        yield Purse(bus, ledger, user.owner_id)


async def test_it_is_armed_against_its_value_at_its_creation(purse: Purse) -> None:
    """As any other alert is; a crossing in the same second is heard."""
    await purse.buys(2)
    async with running(purse.bus, purse.ledger) as engine:
        engine.per_person = 100
        await through(engine, await purse.stream.tell(2390))
        armed = await ask(engine, purse.owner, line="portfolio > 4800 every time")
        assert (armed.price, armed.already_true) == (4780, False)
        true = await ask(engine, purse.owner, line="portfolio > 4700")
        assert (true.price, true.already_true) == (4780, True)
        await through(engine, await purse.stream.tell(2401))
    assert await rung(purse.ledger) == [(armed.alert.id, 1, 4802)]


async def test_lots_that_are_bought_or_sold_change_the_value_and_ring_nothing(purse: Purse) -> None:
    """Told in its life; the market rings it afterwards, through a death too."""
    first = await purse.buys(1)
    async with running(purse.bus, purse.ledger) as engine:
        engine.per_person = 100
        await through(engine, await purse.stream.tell(2390))
        alert = (await ask(engine, purse.owner, line="portfolio > 3000 every time")).alert.id
        await engine.holdings.look()
        assert HOLDS_OTHERS not in await history(purse.ledger, alert)
        second = await purse.buys(1)
        await engine.holdings.look()
        await through(engine, await purse.stream.tell(2390, 2391))
        assert await rung(purse.ledger) == []
        await purse.sells(first)
        await purse.sells(second)
        await engine.holdings.look()
        await through(engine, await purse.stream.tell(2390, 2391))
        await purse.buys(1)
    async with running(purse.bus, purse.ledger) as engine:
        await through(engine, await purse.stream.tell(2390, 3010, 3011))
        await engine.holdings.look()
    assert await rung(purse.ledger) == [(alert, 1, 3010)]
    assert (await history(purse.ledger, alert)).count(HOLDS_OTHERS) == 2
    query = sa.select(t.alerts.c.state).where(t.alerts.c.id == alert)
    assert await purse.ledger.read(lambda c: c.scalar(query)) == State.FIRED


async def test_a_crossing_of_a_portfolio_while_the_engine_was_down_rings(purse: Purse) -> None:
    """Its side was committed, its value is made again from the prices that were."""
    await purse.buys(2)
    async with running(purse.bus, purse.ledger) as engine:
        engine.per_person = 100
        await through(engine, await purse.stream.tell(2390))
        alert = (await ask(engine, purse.owner, line="portfolio > 4800")).alert.id
        await through(engine, await purse.stream.tell(2391))
    sequence = await purse.stream.tell(2395, 2405, 2405)
    async with running(purse.bus, purse.ledger) as engine:
        await through(engine, sequence)
    assert await rung(purse.ledger) == [(alert, 1, 4810)]
