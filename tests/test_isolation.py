"""An error in the rule of one alert, or in one series, stops nothing else, and is told.

The errors are real ones, from what the stream never holds: a price without end, a rate of zero, a line that cannot be
read.
"""

from math import inf

import pytest
import sqlalchemy as sa

from hub.bus import Bus
from hub.frame import EventKind
from hub.ledger import Ledger, alerts
from hub.ledger import tables as t
from hub.model import State
from tests.board_stage import EURO, GOLD, SILVER, Stage, tick
from tests.streams import Stream
from tests.test_engine import ask, bus, history, ledger, owner, rung, running, through

__all__ = ["bus", "ledger", "owner"]


def paused(stage: Stage) -> dict[int, State]:
    return {change.id: State(change.state) for change in stage.board.changes() if change.state == State.PAUSED}


def test_a_gate_that_fails_takes_no_other_along() -> None:
    """Alerts on the same tick ring, before it and behind it in their order; and it is out of every later tick."""
    lines = ("gold > 1300", "gold every 1000", "gold > 1400 every time", "gold < 1200")
    stage = Stage(*lines, owners=(1, 2, 3, 4))
    assert stage.prices(1, 1290, 1290) == []
    assert sorted(stage.play(tick(10, GOLD, inf))) == [(1, inf), (3, inf)]
    assert paused(stage) == {2: State.PAUSED}
    assert stage.life(2)[-1] == "paused: its rule failed (OverflowError)"
    assert stage.notices() == [(2, "Alert 2 is paused: its rule failed")]
    assert stage.prices(20, 1290, 5290, 1190) == [5290, 1190]
    assert (len(stage.notices()), stage.board.failing.count) == (1, 1)
    assert 2 not in stage.board.standing


def test_a_series_that_fails_pauses_what_stands_on_it_and_nothing_else() -> None:
    """Also what stands on it by way of others; it can be watched again once it is sound."""
    lines = ("gold > 1300", "gold in eur > 1000", "sma(gold in eur, 2, 1m) > 1", "euro > 2", "gold > 1400")
    stage = Stage(*lines, owners=(1, 2, 3, 4, 5))
    stage.play(tick(0, GOLD, 1290.0), tick(1, EURO, 1.25))
    assert stage.play(tick(2, EURO, 0.0), tick(3, GOLD, 1310.0)) == [(1, 1310.0)]
    assert paused(stage) == {2: State.PAUSED, 3: State.PAUSED}
    assert sorted(owner for owner, _ in stage.notices()) == [2, 3]
    assert stage.life(2)[-1] == "paused: its rule failed (ZeroDivisionError)"
    assert [key for key in stage.board.graph.nodes if "EUR" in key] == []
    stage.play(tick(4, EURO, 1.25))
    stage.add(2, "gold in eur > 1100", 2)
    assert stage.play(tick(5, EURO, 1.25), tick(6, GOLD, 1390.0), tick(7, GOLD, 1410.0)) == [(2, 1112.0), (5, 1410.0)]


def test_a_series_that_fails_when_a_market_closes_or_the_clock_moves_is_one_too() -> None:
    """Whatever asks it for its value."""
    stage = Stage("gold in eur > 1000", "gold > 1300")
    stage.play(tick(0, GOLD, 1290.0))
    stage.board.graph.root(EURO).book.value, stage.board.graph.root(EURO).book.live = 0.0, True
    stage.event(1, EventKind.STALE, SILVER)
    stage.event(2, EventKind.CLOSED, EURO)
    assert paused(stage) == {}  # of what is closed nobody asks
    stage.board.graph.root(EURO).book.live = True
    assert stage.prices(3, 1310) == [1310]
    assert paused(stage) == {1: State.PAUSED}


@pytest.mark.parametrize("line", ["gold > 1300", "gold > 1300 for 5s"])
def test_a_ring_that_cannot_be_worded_is_told_as_an_error(line: str) -> None:
    """By a tick or by the clock."""
    stage = Stage(line, "gold > 1301 for 5s")
    stage.prices(0, 1290)
    stage.board.standing[1].text = "NOPE > 1"
    stage.prices(1, 1310)
    assert stage.beat(7) == [(2, 1310.0)]
    assert paused(stage) == {1: State.PAUSED}
    assert stage.notices() == [(1, "Alert 1 is paused: its rule failed")]


async def test_what_failed_is_in_the_ledger_and_can_be_let_go_on(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Through a death; its owner has a message, and what rang beside it rang."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        engine.per_person = 20
        broken = (await ask(engine, owner, line="gold every 1000")).alert.id
        whole = (await ask(engine, owner, line="gold > 2400 every time")).alert.id
        await through(engine, await stream.tell(inf, 2390))
        assert engine.status()["failed"] == 1
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(3010))
        found = await ledger.read(lambda c: alerts.find(c, broken))
        assert found is not None and found.state is State.PAUSED
        await ask(engine, owner, "wake", alert_id=broken)
        await through(engine, await stream.tell(3010, 2390))
    assert await rung(ledger) == [(whole, 1, inf), (whole, 2, 3010), (broken, 1, 2390)]
    assert "paused: its rule failed (OverflowError)" in await history(ledger, broken)
    n = t.notifications.c
    told = await ledger.read(lambda c: c.scalars(sa.select(n.title).where(n.key.like("failed:%"))).all())
    assert list(told) == [f"Alert {broken} is paused: its rule failed"]


async def test_an_alert_that_is_not_understood_any_more_is_told_to_its_owner_once(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """However often the hub starts; the others run."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        lost = (await ask(engine, owner, line="gold > 2300")).alert.id
        whole = (await ask(engine, owner, line="gold > 2400 every time")).alert.id
    await ledger.write(lambda c: alerts.update(c, lost, {"text": "NOPE > 1"}))
    for _ in range(2):
        async with running(bus, ledger) as engine:
            await through(engine, await stream.tell(2290, 2410, 2290))
    assert await rung(ledger) == [(whole, 1, 2410), (whole, 2, 2410)]
    n = t.notifications.c
    told = await ledger.read(lambda c: c.execute(sa.select(n.title, n.text).where(n.key.like("unread%"))).all())
    assert [row.title for row in told] == [f"Alert {lost} watches nothing: its line is not understood any more"]
    assert told[0].text.startswith("NOPE > 1\n")
