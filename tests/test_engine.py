"""The engine on a real stream and a real ledger: what rings, what survives its death, and what changes an alert."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa

from hub import bus as names
from hub import reader
from hub.bus import Bus, connect
from hub.config import Config
from hub.engine import Engine
from hub.instruments import build_catalogue
from hub.ledger import Ledger, alerts, leases, open_ledger, people
from hub.ledger import tables as t
from hub.ledger.leases import LeaseLost
from hub.ledger.outbox import Due
from hub.model import SECOND_US, AlertAnswer, AlertChange, Armed, State, Who
from tests.streams import GOLD, START, Stream

if TYPE_CHECKING:
    from tests.conftest import NatsServer

HOUR_US = 3600 * SECOND_US


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        await reader.ensure_streams(opened, lambda: "first", 100_000_000)
        yield opened


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(Config(folder=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
async def owner(ledger: Ledger) -> int:
    user = await ledger.write(lambda c: people.user_of(c, Who(platform="console", id="operator"), 1))
    return user.owner_id


class Deliverer:
    """Takes what the engine offers."""

    worker = "here"
    lease_us = 60 * SECOND_US

    def __init__(self) -> None:
        self.dues: list[Due] = []

    def offer(self, dues: Any) -> None:
        self.dues += dues


@asynccontextmanager
async def running(
    bus: Bus,
    ledger: Ledger,
    *,
    now: int = START,
    deliverer: Any = None,
    served: str = GOLD,
    per_person: int = 5,
    late_after_s: float = 5,
) -> AsyncIterator[Engine]:
    """An engine from its committed position on; leaving it is a death: nothing is committed in the end."""
    groups = dict.fromkeys(alerts.groups(shared=ledger.shared), 0)
    epochs = await ledger.write(lambda c: leases.take_all(c, groups, "test", now, HOUR_US, at_once=True))
    assert epochs is not None
    tail = reader.Tail(bus)
    stored = await ledger.read(lambda c: alerts.position(c, min(groups)))
    position = await reader.settle_start(bus, "engine", stored, await reader.stream_state(bus))
    for group in groups:
        await ledger.write(lambda c, group=group: alerts.begin_position(c, position, None, group))  # type: ignore[misc]
    engine = Engine(
        bus, ledger, build_catalogue({}, [served]), tail, position,
        leases=epochs, band_percent=0.05, late_after_s=late_after_s, per_person=per_person, deliverer=deliverer,
        now_us=lambda: now,
    )  # fmt: skip
    await engine.load()
    tasks = [asyncio.create_task(tail.run()), asyncio.create_task(engine.run())]
    try:
        yield engine
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def through(engine: Engine, sequence: int) -> None:
    """Until everything up to that frame is committed."""
    async with asyncio.timeout(10):
        while engine.status()["committed"] < sequence:
            await asyncio.sleep(0.005)


async def ask(engine: Engine, owner: int, action: Any = "create", **more: Any) -> Armed:
    change = AlertChange(action=action, owner_id=owner, user_id=1, user_name="anna", **more)
    answer = msgspec.json.decode(await engine.answer(msgspec.json.encode(change)), type=AlertAnswer)
    assert answer.armed is not None, answer.error
    return answer.armed


async def refused(engine: Engine, owner: int, action: Any = "create", **more: Any) -> str:
    change = AlertChange(action=action, owner_id=owner, user_id=1, **more)
    return msgspec.json.decode(await engine.answer(msgspec.json.encode(change)), type=AlertAnswer).error


async def rung(ledger: Ledger) -> list[tuple[int, int, float]]:
    """(alert, generation, price) of every trigger, in order."""
    c = t.triggers.c
    query = sa.select(c.alert_id, c.generation, c.price).order_by(c.id)
    return [(row[0], row[1], row[2]) for row in await ledger.read(lambda x: x.execute(query).all())]


async def test_an_alert_is_armed_against_the_price_of_its_moment_and_hears_what_comes_after(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """The crossing before it is not its own; the one after rings once, and `once` is done then."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390, 2410, 2395))
        armed = await ask(engine, owner, line="gold > 2400")
        assert (armed.price, armed.already_true, armed.alert.state) == (2395, False, State.ARMED)
        await through(engine, await stream.tell(2399, 2400, 2380, 2420))
    assert await rung(ledger) == [(armed.alert.id, 1, 2400)]
    found = await ledger.read(lambda c: alerts.find(c, armed.alert.id))
    assert found is not None
    assert (found.state, found.generation) == (State.DONE, 1)


async def test_what_is_true_already_says_so_and_rings_at_once_only_if_asked(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """Semantics 2; the same words again are the same alert, also when it shall ring now."""
    stream, deliverer = Stream(bus), Deliverer()
    async with running(bus, ledger, deliverer=deliverer) as engine:
        await through(engine, await stream.tell(2410))
        armed = await ask(engine, owner, line="gold > 2400 every time")
        assert (armed.already_true, armed.alert.state, deliverer.dues) == (True, State.FIRED, [])
        again = await ask(engine, owner, line="gold > 2400 every time", fire_now=True)
        assert again.alert.id == armed.alert.id
        assert [due.notification.alert_id for due in deliverer.dues] == [armed.alert.id]
        await through(engine, await stream.tell(2412, 2390, 2401))
    assert await rung(ledger) == [(armed.alert.id, 1, 2410), (armed.alert.id, 2, 2401)]


async def test_a_first_known_value_sets_the_side_and_fires_nothing(bus: Bus, ledger: Ledger, owner: int) -> None:
    """An alert made before any price."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line="gold > 2400 every time")
        assert armed.price is None
        await through(engine, await stream.tell(2410, 2420, 2390, 2400))
    assert await rung(ledger) == [(armed.alert.id, 1, 2400)]


async def test_a_crossing_while_the_engine_was_down_fires_once_late_and_with_its_own_time(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """Semantics 3: the committed side counts."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line="gold > 2400")
        await through(engine, await stream.tell(2390))
    sequence = await stream.tell(2395, 2405, 2390, 2410, opened_at=START)
    async with running(bus, ledger, now=START + HOUR_US) as engine:
        await through(engine, sequence)
    (row,) = await ledger.read(lambda c: c.execute(sa.select(t.triggers)).all())
    assert (row.alert_id, row.price, row.before_price, row.late) == (armed.alert.id, 2405, 2395, True)
    assert row.venue_time == START + 2001 * SECOND_US


async def test_frames_that_are_read_again_after_a_death_ring_nothing_again(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """Every death in between, the position is where the effects are."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line="gold crosses 2400 every time band 0")
    prices = [2390.0, 2401.0, 2399.0, 2402.0, 2398.0, 2403.0]
    for price in prices:
        sequence = await stream.tell(price)
        async with running(bus, ledger) as engine:
            await through(engine, sequence)
    expected = [(armed.alert.id, i, price) for i, price in enumerate(prices[1:], 1)]
    assert await rung(ledger) == expected


async def test_an_alert_never_hears_ticks_from_before_its_place_even_when_they_are_read_again(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """The engine died after making it and before committing its own position, so it reads them again."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        last = await stream.tell(2390, 2410, 2395)
        async with asyncio.timeout(5):
            while engine.position.sequence < last:
                await asyncio.sleep(0.005)
        armed = await ask(engine, owner, line="gold > 2400 every time")
        assert armed.price == 2395
        await ledger.write(lambda c: c.execute(t.positions.update().values(sequence=0, number=0, epoch=0)))
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2405))
    assert await rung(ledger) == [(armed.alert.id, 1, 2405)]


async def test_a_snoozed_alert_is_silent_and_wakes_without_ringing(bus: Bus, ledger: Ledger, owner: int) -> None:
    """By the stream's clock or by hand; the first value after it sets the side, whatever it crossed meanwhile."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        armed = await ask(engine, owner, line="gold > 2400 every time")
        until = START + 2500 * SECOND_US
        snoozed = await ask(engine, owner, "snooze", alert_id=armed.alert.id, until=until)
        assert snoozed.alert.state is State.SNOOZED
        await through(engine, await stream.tell(2390, 2410))
        stream.number = 2
        await through(engine, await stream.tell(2420, 2390, 2400))
        assert await rung(ledger) == [(armed.alert.id, 1, 2400)]
        await ask(engine, owner, "snooze", alert_id=armed.alert.id, until=START + HOUR_US * 9)
        await ask(engine, owner, "wake", alert_id=armed.alert.id)
        await through(engine, await stream.tell(2390, 2401))
    assert await rung(ledger) == [(armed.alert.id, 1, 2400), (armed.alert.id, 2, 2401)]


async def test_a_snooze_survives_a_death(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Its end lies in the row."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        armed = await ask(engine, owner, line="gold > 2400 every time")
        await ask(engine, owner, "snooze", alert_id=armed.alert.id, until=START + 3500 * SECOND_US)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390, 2410))
        stream.number = 3
        await through(engine, await stream.tell(2390, 2405))
    assert await rung(ledger) == [(armed.alert.id, 1, 2405)]


async def test_a_deleted_alert_never_rings_and_comes_back_when_restored(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Nobody else may touch it."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        armed = await ask(engine, owner, line="gold > 2400 every time")
        assert "no alert" in await refused(engine, owner + 1, "delete", alert_id=armed.alert.id)
        await ask(engine, owner, "delete", alert_id=armed.alert.id)
        await through(engine, await stream.tell(2410, 2390))
        assert await rung(ledger) == []
        assert "deleted already" in await refused(engine, owner, "delete", alert_id=armed.alert.id)
        await ask(engine, owner, "restore", alert_id=armed.alert.id)
        await through(engine, await stream.tell(2390, 2402))
    assert await rung(ledger) == [(armed.alert.id, 1, 2402)]


async def test_the_same_words_twice_are_one_alert_and_there_is_a_limit_for_one_person(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """Said each time."""
    async with running(bus, ledger) as engine:
        first = await ask(engine, owner, line="gold > 2400")
        second = await ask(engine, owner, line="XAU-USD above 2400 once")
        assert (second.existed, second.alert.id) == (True, first.alert.id)
        for level in range(1, 5):
            await ask(engine, owner, line=f"gold > {level}")
        assert "limit" in await refused(engine, owner, line="gold > 99")


async def test_every_destination_gets_its_row_in_the_triggers_own_commit(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Claimed for the deliverer beside the engine; a destination that is switched off gets none."""
    stream, deliverer = Stream(bus), Deliverer()

    def places(connection: sa.Connection) -> None:
        people.add_destination(connection, owner, "webhook", "http://a.example/", "a", 1)
        off = people.add_destination(connection, owner, "webhook", "http://b.example/", "b", 1)
        connection.execute(t.destinations.update().where(t.destinations.c.id == off.id).values(disabled="gone"))

    await ledger.write(places)
    async with running(bus, ledger, deliverer=deliverer) as engine:
        await ask(engine, owner, line='gold > 2400 note "sell half"')
        await through(engine, await stream.tell(2390, 2405))
    assert [due.destination.platform for due in deliverer.dues] == ["console", "webhook"]
    rows = await ledger.read(lambda c: c.execute(sa.select(t.notifications)).all())
    assert [(row.state, row.claimed_by, row.key) for row in rows] == [
        ("due", "here", f"alert:1:1:{due.destination.id}") for due in deliverer.dues
    ]
    told = deliverer.dues[0].notification
    assert told.trigger is not None
    assert (told.trigger.before_price, told.trigger.price, told.note) == (2390, 2405, "sell half")
    assert "2,400" in told.title
    assert "sell half" in told.text


async def test_what_rings_in_quiet_hours_by_the_streams_clock_is_held_in_the_triggers_own_commit(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """Wall time is 22:13, the stream's is 22:30 and its owner's quiet hours begin at 22:20; what is urgent passes, and
    so does what somebody asks for at this moment."""
    stream, deliverer = Stream(bus), Deliverer()
    settled = t.users.update().where(t.users.c.owner_id == owner).values(quiet="22:20-07:00", time_zone="UTC")
    await ledger.write(lambda c: c.execute(settled))
    async with running(bus, ledger, deliverer=deliverer) as engine:
        calm = await ask(engine, owner, line="gold > 2400")
        loud = await ask(engine, owner, line="gold > 2401 urgent")
        await through(engine, await stream.tell(2390, 2405))
        assert [due.notification.alert_id for due in deliverer.dues] == [loud.alert.id]
        asked = await ask(engine, owner, line="gold > 2402", fire_now=True)
        assert [due.notification.alert_id for due in deliverer.dues] == [loud.alert.id, asked.alert.id]
    assert [alert for alert, _, _ in await rung(ledger)] == [calm.alert.id, loud.alert.id, asked.alert.id]
    n = t.notifications.c
    rows = await ledger.read(lambda c: c.execute(sa.select(n.state, n.due_at, n.claimed_by).order_by(n.id)).all())
    seven = START + (24 * 3600 - (22 * 3600 + 13 * 60 + 20) + 7 * 3600) * SECOND_US
    assert [tuple(row) for row in rows] == [("held", seven, ""), ("due", START, "here"), ("due", START, "here")]


async def test_an_engine_whose_lease_was_taken_can_change_nothing(bus: Bus, ledger: Ledger, owner: int) -> None:
    """A paused owner that wakes up: its commit is refused as a whole."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await ask(engine, owner, line="gold > 2400")
        await through(engine, await stream.tell(2390))
        await ledger.write(lambda c: leases.take(c, alerts.ENGINE, "other", START, HOUR_US, at_once=True))
        read = reader.Read(stream.last + 1, (await _frame_of(bus, await stream.tell(2410))))
        with pytest.raises(LeaseLost):
            await engine._take_batch([read])
    assert await rung(ledger) == []


async def _frame_of(bus: Bus, sequence: int) -> Any:
    return await reader.frame_at(bus, sequence)


async def test_a_stream_made_anew_is_read_from_its_start_and_armed_sides_stand(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """The broker's store was lost: what was committed counts, nothing rings twice, nothing is "already seen"."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line="gold > 2400 every time")
        await through(engine, await stream.tell(2390, 2401, 2395))
    await bus.js.delete_stream(names.TICKS)
    await reader.ensure_streams(bus, lambda: "second", 100_000_000)
    again = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await again.tell(2397, 2390, 2403))
    assert await rung(ledger) == [(armed.alert.id, 1, 2401), (armed.alert.id, 2, 2403)]


async def test_an_alert_that_cannot_be_read_is_told_and_stops_no_other(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Semantics 8: an instrument that left the catalogue, say."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        broken = await ask(engine, owner, line="gold > 2300")
        whole = await ask(engine, owner, line="gold > 2400")
    await ledger.write(
        lambda c: c.execute(t.alerts.update().where(t.alerts.c.id == broken.alert.id).values(text="NOPE > 1"))
    )
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2290, 2410))
    assert await rung(ledger) == [(whole.alert.id, 1, 2410)]


async def test_requests_that_make_no_sense_are_answered_with_a_sentence(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Never with silence."""
    async with running(bus, ledger) as engine:
        assert "not a change" in msgspec.json.decode(await engine.answer(b"{"), type=AlertAnswer).error
        assert await refused(engine, owner, line="gold >> 2400")
        assert "no alert" in await refused(engine, owner, "snooze", alert_id=77, until=START)
        assert "until when" in await refused(engine, owner, "snooze", alert_id=77)


# ------------------------------------------------------------------------------------- actions on an alert


async def history(ledger: Ledger, alert_id: int) -> list[str]:
    """The alert's life, the newest line last."""
    c = t.alert_events.c
    query = sa.select(c.text).where(c.alert_id == alert_id).order_by(c.id)
    return list(await ledger.read(lambda x: x.scalars(query).all()))


async def test_an_alert_that_is_done_can_be_armed_again_also_through_a_death(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """Against the price of now; it rings once more and is done again, and every ring has a number of its own."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line="gold > 2400")
        await through(engine, await stream.tell(2390, 2405, 2395))
        again = await ask(engine, owner, "again", alert_id=armed.alert.id)
        assert (again.alert.state, again.price, again.alert.armed_price) == (State.ARMED, 2395, 2395)
        assert (await ask(engine, owner, "again", alert_id=armed.alert.id)).existed
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2399, 2401, 2390, 2402))
        found = await ledger.read(lambda c: alerts.find(c, armed.alert.id))
        assert found is not None
        assert (found.state, found.generation) == (State.DONE, 2)
        await ask(engine, owner, "delete", alert_id=armed.alert.id)
        assert "brings it back" in await refused(engine, owner, "again", alert_id=armed.alert.id)
        assert (await ask(engine, owner, "restore", alert_id=armed.alert.id)).alert.state is State.DONE
    assert await rung(ledger) == [(armed.alert.id, 1, 2405), (armed.alert.id, 2, 2401)]
    assert "armed again by anna" in await history(ledger, armed.alert.id)


async def test_an_alert_behind_its_band_can_be_armed_again_at_once(bus: Bus, ledger: Ledger, owner: int) -> None:
    """It is told that the condition holds, and rings at the next cross although the price never left its band."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line="gold > 2400 every time band 50")
        await through(engine, await stream.tell(2390, 2405, 2399, 2404))
        assert await rung(ledger) == [(armed.alert.id, 1, 2405)]
        await through(engine, await stream.tell(2399))
        again = await ask(engine, owner, "again", alert_id=armed.alert.id)
        assert (again.alert.state, again.already_true) == (State.ARMED, False)
        await through(engine, await stream.tell(2401))
    assert await rung(ledger) == [(armed.alert.id, 1, 2405), (armed.alert.id, 2, 2401)]


async def test_a_level_that_is_moved_is_held_against_the_price_of_now(bus: Bus, ledger: Ledger, owner: int) -> None:
    """The old level rings no more, the new one does, after a death too; the history says who moved it."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line='gold > 2400 every time note "a"')
        await through(engine, await stream.tell(2390))
        moved = await ask(
            engine, owner, "edit", alert_id=armed.alert.id, line='gold > 2424 every time note "a"', was=armed.alert.text
        )
        assert (moved.alert.text, moved.price) == ('XAU-USD > 2424 every time note "a"', 2390)
        stale = await refused(engine, owner, "edit", alert_id=armed.alert.id, line="gold > 2500", was=armed.alert.text)
        assert "changed meanwhile" in stale
        await through(engine, await stream.tell(2410))
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2420, 2424))
        assert (await ask(engine, owner, "edit", alert_id=armed.alert.id, line=moved.alert.text)).existed
        held = await ask(engine, owner, "edit", alert_id=armed.alert.id, line="gold > 2300 every time")
        assert (held.already_true, held.alert.state) == (True, State.FIRED)
    assert await rung(ledger) == [(armed.alert.id, 1, 2424)]
    told = await history(ledger, armed.alert.id)
    assert [line for line in told if "from 2400" in line] == ["moved from 2400 to 2424 by anna"]
    assert [line for line in told if line.startswith("changed from XAU-USD > 2424 every time note")]


async def test_an_edit_can_change_every_word_and_arms_what_was_done(bus: Bus, ledger: Ledger, owner: int) -> None:
    """Another condition, another instrument; never into another alert's words."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        other = await ask(engine, owner, line="gold < 2300")
        armed = await ask(engine, owner, line="gold > 2400")
        await through(engine, await stream.tell(2390, 2405))
        assert "already: 1" in await refused(engine, owner, "edit", alert_id=armed.alert.id, line="gold < 2300")
        await ask(engine, owner, "edit", alert_id=other.alert.id, line="silver < 30")
        edited = await ask(engine, owner, "edit", alert_id=armed.alert.id, line="gold < 2350 every time")
        assert (edited.alert.state, edited.alert.generation) == (State.ARMED, 1)
        await through(engine, await stream.tell(2299))
    assert await rung(ledger) == [(armed.alert.id, 1, 2405), (armed.alert.id, 2, 2299)]
    assert (await ledger.read(lambda c: alerts.find(c, other.alert.id))).instrument == "XAG-USD"  # type: ignore[union-attr]


async def test_a_muted_instrument_is_silent_until_it_is_let_speak(bus: Bus, ledger: Ledger, owner: int) -> None:
    """All alerts on it and no other; for ever through a death, or until a time of the stream."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        one = (await ask(engine, owner, line="gold > 2400 every time")).alert.id
        two = (await ask(engine, owner, line="gold < 2380 every time")).alert.id
        await ask(engine, owner, line="silver > 30")
        assert await muted(engine, owner, "mute") == {one: "muted", two: "muted"}
        await through(engine, await stream.tell(2410, 2370, 2390))
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2410, 2370, 2390))
        assert await rung(ledger) == []
        assert await muted(engine, owner, "unmute") == {one: "armed", two: "armed"}
        await through(engine, await stream.tell(2390, 2401))
        assert await rung(ledger) == [(one, 1, 2401)]
        stream.number = 10
        until = START + 10_500 * SECOND_US
        assert await muted(engine, owner, "mute", until=until) == {one: "muted", two: "muted"}
        stream.number = 9
        await through(engine, await stream.tell(2350, 2410))
        await through(engine, await stream.tell(2390, 2379))
    assert await rung(ledger) == [(one, 1, 2401), (two, 1, 2379)]
    assert "muted by anna" in await history(ledger, one)


async def muted(engine: Engine, owner: int, action: Any, **more: Any) -> dict[int, str]:
    change = AlertChange(action=action, owner_id=owner, user_id=1, user_name="anna", instrument=GOLD, **more)
    answer = msgspec.json.decode(await engine.answer(msgspec.json.encode(change)), type=AlertAnswer)
    assert answer.alerts is not None, answer.error
    return {alert.id: alert.state.value for alert in answer.alerts}


async def test_a_snooze_goes_on_beneath_a_mute(bus: Bus, ledger: Ledger, owner: int) -> None:
    """What is snoozed longer is left alone; what a mute ends before is snoozed again, by the clock or by hand."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390))
        armed = await ask(engine, owner, line="gold > 2400 every time")
        await ask(engine, owner, "snooze", alert_id=armed.alert.id, until=START + 4500 * SECOND_US)
        assert await muted(engine, owner, "mute", until=START + 2500 * SECOND_US) == {}
        assert await muted(engine, owner, "mute") == {armed.alert.id: "muted"}
        assert await muted(engine, owner, "unmute") == {armed.alert.id: "snoozed"}
        await muted(engine, owner, "mute")
        await ask(engine, owner, "snooze", alert_id=armed.alert.id, until=START + 3500 * SECOND_US)
    async with running(bus, ledger) as engine:
        assert await muted(engine, owner, "unmute") == {armed.alert.id: "snoozed"}
        await through(engine, await stream.tell(2390, 2410))
        stream.number = 3
        await through(engine, await stream.tell(2390, 2411))
    assert await rung(ledger) == [(armed.alert.id, 1, 2411)]


async def test_what_rang_once_can_be_snoozed_and_watches_again_after_it(bus: Bus, ledger: Ledger, owner: int) -> None:
    """As an alarm clock does; a level that is moved meanwhile is the one that it watches then."""
    stream = Stream(bus)
    async with running(bus, ledger) as engine:
        armed = await ask(engine, owner, line="gold > 2400")
        await through(engine, await stream.tell(2390, 2405))
        await ask(engine, owner, "snooze", alert_id=armed.alert.id, until=START + 2500 * SECOND_US)
        moved = await ask(engine, owner, "edit", alert_id=armed.alert.id, line="gold > 2450")
        assert moved.alert.state is State.SNOOZED
    async with running(bus, ledger) as engine:
        await through(engine, await stream.tell(2390, 2460))
        stream.number = 3
        await through(engine, await stream.tell(2440, 2449, 2450))
    assert await rung(ledger) == [(armed.alert.id, 1, 2405), (armed.alert.id, 2, 2450)]


async def test_an_alert_goes_where_it_says_and_elsewhere_rather_than_nowhere(
    bus: Bus, ledger: Ledger, owner: int
) -> None:
    """`via` is held against the destinations that there are; where none of them is on any more, the others get it."""
    stream, deliverer = Stream(bus), Deliverer()
    add = people.add_destination
    place = await ledger.write(lambda c: add(c, owner, "webhook", "http://a.example/", "a", 1))
    async with running(bus, ledger, deliverer=deliverer) as engine:
        assert "via slack" in await refused(engine, owner, line="gold > 2400 via slack")
        await ask(engine, owner, line="gold > 2400 every time band 0 via webhook urgent")
        await through(engine, await stream.tell(2390, 2405))
        told = [(due.destination.platform, due.notification.urgent) for due in deliverer.dues]
        assert told == [("webhook", True)]
        await ledger.write(lambda c: people.switch(c, place.id, "off"))
        await through(engine, await stream.tell(2390, 2406))
    assert [due.destination.platform for due in deliverer.dues] == ["webhook", "console"]
