"""Alerts that ring too often, and too many of them: a storm is paused and told once, a person's room is counted, and
what rings together is one message.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from hub import bus as subjects
from hub import outgoing
from hub.config import DeliverySection
from hub.delivery import A_MESSAGE, Delivery
from hub.ledger import alerts, outbox
from hub.ledger import tables as t
from hub.model import SECOND_US, Message, Quote, State
from tests.board_stage import SILVER, Stage
from tests.people_room import ANNA, BEN, Room, room
from tests.streams import GOLD, START
from tests.test_engine import rung, running, through

CROSSES = "gold crosses 2400 every time band 0"
STORM = [2390.0, 2410.0] * 8


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


async def state(here: Room, alert_id: int) -> State:
    found = await here.ledger.read(lambda c: alerts.find(c, alert_id))
    assert found is not None
    return found.state


async def told(here: Room) -> list[str]:
    """The titles of notices, that is of what no trigger is behind."""
    n = t.notifications.c
    query = sa.select(n.title).where(n.trigger_id.is_(None)).order_by(n.id)
    return list(await here.ledger.read(lambda c: c.scalars(query).all()))


# ------------------------------------------------------------------------------------------------ storms


def test_the_sixteenth_ring_in_three_minutes_pauses_an_alert() -> None:
    """By the stream's clock; the ring itself is told, and nothing behind it."""
    stage = Stage("gold crosses 1300 every time band 0", "gold > 1400")
    assert len(stage.prices(0, *[1290, 1310] * 8)) == 15
    assert stage.notices() == []
    assert len(stage.prices(16, 1290, 1310, 1290)) == 1
    assert stage.notices() == [(1, "Alert 1 is paused: it rang more than 15 times in 3 minutes")]
    assert stage.life()[-1] == "paused: it rang more than 15 times in 3 minutes"
    assert [change.state for change in stage.board.changes() if change.id == 1] == ["paused"]
    assert stage.prices(30, 1410) == [1410]


def test_as_many_rings_in_a_longer_time_are_no_storm() -> None:
    """The oldest of sixteen has to lie within the three minutes."""
    stage = Stage("gold crosses 1300 every time band 0")
    stage.prices(0, 1290)
    for place in range(40):
        stage.prices(12.1 * (place + 1), 1310 if place % 2 == 0 else 1290)
    assert (len(stage.board.batch.fired), stage.notices()) == (40, [])


def test_a_storm_of_one_is_no_other_ones() -> None:
    """Each is counted by itself."""
    lines = ["gold crosses 1300 every time band 0", "silver crosses 20 every time band 0"]
    stage = Stage(*lines, owners=(1, 2))
    stage.prices(0, 19, 21, 19, name=SILVER)
    stage.prices(10, *STORM[:2], *[1290, 1310] * 12)
    assert [owner for owner, _ in stage.notices()] == [1]
    assert stage.prices(60, 21, name=SILVER) == [21]


async def test_a_storm_is_told_once_with_a_button_that_lets_it_go_on(here: Room) -> None:
    """And who lets it go on is not paused again by what it rang before, even after a death."""
    await here.tell(2390)
    number = int(str((await here.done(f"alert {CROSSES}", ANNA)).facts["id"]))
    await here.tell(*STORM, *STORM)
    assert (await state(here, number), len(await rung(here.ledger))) == (State.PAUSED, 16)
    assert await told(here) == [f"Alert {number} is paused: it rang more than 15 times in 3 minutes"]
    why = await here.done(f"why {number}", ANNA)
    assert f"It waits for: somebody to let it go on: resume {number}." in why.lines
    ids = await here.ledger.read(
        lambda c: c.scalars(sa.select(t.notifications.c.id).where(t.notifications.c.trigger_id.is_(None))).all()
    )
    (due,) = await here.ledger.read(lambda c: outbox.load(c, ids, lambda _: None))
    button = outgoing.buttons(due.notification)[0]
    assert (button.label, button.line) == ("Go on", f"resume {number}")
    assert "no alert" in await here.refused(button.line, BEN)
    assert (await here.done(button.line, ANNA)).title == f"Alert {number} goes on"
    async with running(here.bus, here.ledger) as engine:
        made = here.stream
        made.number -= 1  # within the same three minutes
        made.epoch = 2
        await through(engine, await made.tell(2390, 2410, 2390))
    assert (await state(here, number), len(await rung(here.ledger))) == (State.ARMED, 18)
    assert len(await told(here)) == 1


async def test_a_death_in_the_middle_of_a_storm_forgets_no_ring(here: Room) -> None:
    """Of those of the last three minutes."""
    await here.tell(2390)
    number = int(str((await here.done(f"alert {CROSSES}", ANNA)).facts["id"]))
    stream = here.stream
    await through(here.engine, await stream.tell(*STORM[:10]))
    for epoch in (2, 3):
        async with running(here.bus, here.ledger) as engine:
            stream.number, stream.epoch = 1, epoch  # the same seconds again, in another frame
            await through(engine, await stream.tell(*STORM[:4]))
    assert (await state(here, number), len(await rung(here.ledger))) == (State.PAUSED, 16)
    assert len(await told(here)) == 1


# ------------------------------------------------------------------------------------------------- groups


async def delivered(here: Room, count: int) -> list[Message]:
    """What a bot of Telegram is asked to send until so many notifications have come."""
    got: list[Message] = []

    async def send(payload: bytes) -> bytes:
        got.append(msgspec.json.decode(payload, type=Message))
        return msgspec.json.encode({"kind": "sent", "receipt": "1"})

    delivery = Delivery(here.bus, here.ledger, here.engine.board.catalogue, DeliverySection(), "w")
    async with here.bus.serve(subjects.send("telegram"), send):
        task = asyncio.create_task(delivery.run())
        try:
            async with asyncio.timeout(10):
                while sum(len(message.notifications) for message in got) < count:
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return got


async def test_a_storm_of_many_alerts_is_a_few_messages_for_each_destination(here: Room) -> None:
    """One tick over sixty levels of each of two people."""
    here.engine.per_person = 100
    await here.tell(2390)
    for who in (ANNA, BEN):
        for level in range(60):
            await here.done(f"alert gold > {2400 + level}", who)
    await here.tell(2460)
    got = await delivered(here, 120)
    counts = {who.address: [len(m.notifications) for m in got if m.address == who.address] for who in (ANNA, BEN)}
    assert counts == {"11": [A_MESSAGE, A_MESSAGE, 10], "22": [A_MESSAGE, A_MESSAGE, 10]}


# --------------------------------------------------------------------------------------------------- room


async def test_what_alerts_cost_is_said_before_the_room_is_full_and_then_refused(here: Room) -> None:
    """A level is one, what looks back five, a trail or a portfolio ten; what is over costs nothing."""
    here.engine.per_person = here.commands.config.alerts.per_person
    most = here.engine.per_person
    await here.tell(2390)
    assert "that one person can have" not in "\n".join((await here.done("alert gold > 2400", ANNA)).lines)
    costs = {"gold -5% in 1h": 5, "gold trails 3%": 10, "gold every 50": 10, "rsi(gold, 14, 1h) < 30": 5}
    used, owner = 1, 0
    for line, cost in costs.items():
        number = (await here.done(f"alert {line}", ANNA)).facts["id"]
        used += cost
        row = await here.ledger.read(lambda c, number=number: alerts.find(c, int(str(number))))  # type: ignore[misc]
        assert row is not None and row.cost == cost
        owner = row.owner_id
    assert await here.ledger.read(lambda c: alerts.used(c, owner)) == used
    await here.ledger.write(lambda c: alerts.update(c, 1, {"cost": most * 8 // 10 - used}))
    near = await here.done("alert gold > 2401", ANNA)
    limit = f"({most * 8 // 10} of the {most} alerts that one person can have)"
    assert near.lines[-1] == limit
    assert (await here.done(f"edit {near.facts['id']} gold > 2402", ANNA)).lines[-1] == limit
    await here.ledger.write(lambda c: alerts.update(c, 1, {"cost": most - used - 4}))
    said = await here.refused("alert gold trails 2%", ANNA)
    counts = f"yours count {most - 4}, this one 10"
    assert said == f"{most} alerts are the limit for one person; {counts}: `delete` some, then try again"
    await here.done(f"delete {number}", ANNA)
    await here.done("alert gold -4% in 1h", ANNA)
    await here.done("alert gold -5% in 2h", BEN)


# --------------------------------------------------------------------------------- near, far, closed and blind


async def test_a_new_alert_says_what_is_near_far_closed_or_blind(here: Room) -> None:
    """Semantics 12, and why nothing can ring now."""
    await here.tell(2390)
    first = (await here.done("alert gold > 2400", ANNA)).facts["id"]
    near = await here.done("alert gold > 2402", ANNA)
    assert f"Alert {first} is nearly the same: XAU-USD > 2400" in near.lines
    assert not any("nearly" in line for line in (await here.done("alert gold > 2402.5", BEN)).lines)
    assert any("Is 24,000" in line for line in (await here.done("alert gold > 24000", BEN)).lines)
    since = START - 600 * SECOND_US
    quote = Quote(
        instrument=GOLD, price=2390, time=since, received_at=since, source="demo", open=2390, high=2390, low=2390
    )
    here.quotes.known[GOLD] = quote
    assert not any("now" in line for line in (await here.done("alert gold > 2500", BEN)).lines)
    here.quotes.known[GOLD] = msgspec.structs.replace(quote, stale_since=since)
    blind = "It is blind now, no price has come since 22:03:20: nothing can ring until one does."
    assert blind in (await here.done("alert gold > 2600", BEN)).lines
    here.quotes.known[GOLD] = msgspec.structs.replace(quote, market_open=False)
    closed = "Its market is closed now: it watches on from the first price after the opening."
    assert closed in (await here.done("alert gold > 2700", BEN)).lines
