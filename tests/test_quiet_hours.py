"""Quiet hours in the outbox, on a real ledger in both stores: what is held, what passes, and how it is let go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.config import Config, LedgerSection
from hub.ledger import Ledger, alerts_view, fallback, open_ledger, outbox, quiet, rings
from hub.ledger import tables as t
from hub.ledger.people import forget
from hub.ledger.rings import Rang
from hub.model import Nature
from tests.test_ledger_postgres import uncommitted

S = 1_000_000
MINUTE, HOUR = 60 * S, 3600 * S
NOON = 1_800_000_000 * S + 4 * HOUR  # 2027-01-15 12:00 UTC
NIGHT = NOON + 10 * HOUR + 10 * MINUTE  # 22:10 UTC, which is 23:10 in Berlin
MORNING = NOON + 18 * HOUR  # 06:00 UTC: 07:00 in Berlin
LEASE = 60 * S
ANNA, BEN, ROOM = 1, 2, 3
"""Owners. Anna in Berlin wants to be left alone from 22:00 to 07:00, and so does the room; Ben does not. Their alerts
have their numbers; Anna's 11 is urgent. Destinations: 1 and 4 are Anna's, 2 Ben's, 3 the room's."""


def people(connection: sa.Connection) -> None:
    for owner, kind, name, hours in (
        (ANNA, "user", "anna", "22:00-07:00"), (BEN, "user", "ben", ""), (ROOM, "channel", "room", "22:00-07:00"),
    ):  # fmt: skip
        connection.execute(t.owners.insert().values(id=owner, kind=kind, name=name, created_at=1))
        zone = {"time_zone": "Europe/Berlin", "quiet": hours}
        values = {"owner_id": owner, "name": name, "role": "member", "created_at": 1, **zone}
        connection.execute(t.users.insert().values(id=owner, **values))
        alert(connection, owner, owner)
    alert(connection, 11, ANNA, urgent=True)
    for number, owner, platform in ((1, ANNA, "telegram"), (2, BEN, "push"), (3, ROOM, "slack"), (4, ANNA, "push")):
        place = {"owner_id": owner, "platform": platform, "address": f"s3cret {number}", "label": f"place {number}"}
        connection.execute(t.destinations.insert().values(id=number, created_at=1, **place))


def alert(connection: sa.Connection, number: int, owner: int, *, urgent: bool = False) -> None:
    connection.execute(
        t.alerts.insert().values(
            id=number, owner_id=owner, user_id=owner, text="XAU-USD > 2400", instrument="XAU-USD", series="s",
            state="armed", armed_at=1, created_at=1, urgent=urgent,
        )
    )  # fmt: skip


def rang(number: int, owner: int, generation: int = 1, *, at: int = NIGHT, via: tuple[str, ...] = ()) -> Rang:
    return Rang(
        alert_id=number, owner_id=owner, generation=generation, direction="up", level=2400.0, before_price=2399.0,
        before_time=at - S, price=2400.5, venue_time=at, received_at=at, source="demo", nature=Nature.LIVE, late=False,
        sequence=1, ticked_at=at, instrument="XAU-USD", title=f"Gold rose {number}/{generation}", text="why", note="",
        urgent=number == 11, via=via,
    )  # fmt: skip


def ring(
    *which: Rang, now: int = NIGHT, clock: int | None = None, worker: str = "w", asked: bool = False
) -> Callable[[sa.Connection], list[outbox.Due]]:
    """As the engine commits them."""
    return lambda c: rings.save_rang(
        c, which, "stream", now, worker, now + LEASE if worker else 0, lambda _: None, clock, asked=asked
    )


async def rows(ledger: Ledger) -> list[tuple[str, str, int]]:
    """Key, state and time of each, in order."""
    n = t.notifications.c
    found = await ledger.read(lambda c: c.execute(sa.select(n.key, n.state, n.due_at).order_by(n.id)).all())
    return [(row.key, row.state, row.due_at) for row in found]


async def states(ledger: Ledger) -> list[str]:
    return [state for _, state, _ in await rows(ledger)]


@pytest.fixture(params=["sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    async with open_ledger(Config(folder=tmp_path, ledger=LedgerSection(url=url))) as opened:
        await opened.write(people)
        yield opened


# ---------------------------------------------------------------------------------------------- what is held


async def test_what_rings_in_quiet_hours_is_held_until_they_end(ledger: Ledger) -> None:
    """A person's, and by its keeper a room's; nobody has it as a claim, and nobody else waits for it."""
    dues = await ledger.write(ring(rang(ANNA, ANNA), rang(BEN, BEN), rang(ROOM, ROOM)))
    assert [due.notification.title for due in dues] == ["Gold rose 2/1"]
    assert await rows(ledger) == [
        ("alert:1:1:1", "held", MORNING), ("alert:1:1:4", "held", MORNING), ("alert:2:1:2", "due", NIGHT),
        ("alert:3:1:3", "held", MORNING),
    ]  # fmt: skip
    claims = sa.select(t.notifications.c.claimed_by).order_by(t.notifications.c.id)
    assert list(await ledger.read(lambda c: c.scalars(claims).all())) == ["", "", "w", ""]
    assert len(await ledger.read(lambda c: c.execute(sa.select(t.triggers)).all())) == 3


async def test_what_is_urgent_passes_and_waits_behind_nothing_that_is_held(ledger: Ledger) -> None:
    """It is claimed in its own commit, and by a sweep where no deliverer is in the engine's process."""
    assert await ledger.write(ring(rang(ANNA, ANNA))) == []
    dues = await ledger.write(ring(rang(11, ANNA)))
    assert [(due.destination.id, due.notification.urgent) for due in dues] == [(1, True), (4, True)]
    await ledger.write(ring(rang(11, ANNA, 2), worker=""))
    claimed = await ledger.write(lambda c: outbox.claim(c, "w", NIGHT, LEASE, 10, lambda _: None))
    assert [due.notification.title for due in claimed] == ["Gold rose 11/2"] * 2
    assert (await states(ledger)).count("held") == 2
    assert await ledger.read(lambda c: outbox.next_due(c, "w", NIGHT)) is None


async def test_the_streams_clock_decides_and_what_is_over_by_then_is_not_held(ledger: Ledger) -> None:
    """A recording's night holds nothing, and neither does one that was slept through with the hub off."""
    await ledger.write(ring(rang(ANNA, ANNA, 1, via=("push",)), now=NIGHT, clock=NOON))
    await ledger.write(ring(rang(ANNA, ANNA, 2, via=("push",)), now=NIGHT + MINUTE, clock=NIGHT))
    await ledger.write(ring(rang(ANNA, ANNA, 3, via=("push",)), now=MORNING, clock=NIGHT))
    await ledger.write(ring(rang(ANNA, ANNA, 4, via=("push",)), now=NIGHT, clock=NIGHT - 365 * 24 * HOUR))
    assert [(state, at) for _, state, at in await rows(ledger)] == [
        ("due", NIGHT), ("held", MORNING), ("due", MORNING), ("due", NIGHT)
    ]  # fmt: skip


async def test_what_somebody_asks_for_at_this_moment_passes(ledger: Ledger) -> None:
    """`gold > 2400 now` at night: the answer says that it rings now."""
    assert len(await ledger.write(ring(rang(ANNA, ANNA), asked=True))) == 2
    assert await states(ledger) == ["due", "due"]


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
async def test_the_bell_asks_the_ledger_no_more_often_for_it(ledger: Ledger) -> None:
    """One look for where it goes and whether it is quiet there, one row for the trigger, one for its message."""
    told: list[str] = []

    def run(connection: sa.Connection) -> None:
        def note(_c: object, _cur: object, statement: str, _p: object, _x: object, _m: object) -> None:
            told.append(statement.split()[0])

        sa.event.listen(connection, "before_cursor_execute", note)
        ring(rang(BEN, BEN))(connection)
        sa.event.remove(connection, "before_cursor_execute", note)

    await ledger.write(run)
    assert told == ["SELECT", "INSERT", "INSERT"]


# ---------------------------------------------------------------------------------------------- letting go


async def test_what_is_held_is_let_go_in_order_once_its_hours_are_over(ledger: Ledger) -> None:
    """Not before, not twice; it goes out behind nothing, and knows that it was held."""
    for generation in (1, 2):
        await ledger.write(ring(rang(ANNA, ANNA, generation, via=("push",)), now=NIGHT + generation))
    assert await ledger.read(quiet.next_end) == MORNING
    assert await ledger.write(lambda c: quiet.let_go(c, MORNING - 1)) == frozenset()
    assert await ledger.write(lambda c: quiet.let_go(c, MORNING + S)) == {4}
    assert await ledger.write(lambda c: quiet.let_go(c, MORNING + S)) == frozenset()
    assert await ledger.read(quiet.next_end) is None
    dues = await ledger.write(lambda c: outbox.claim(c, "w", MORNING + S, LEASE, 10, lambda _: None))
    told = [due.notification for due in dues]
    assert [(one.title, one.held_until, one.created_at) for one in told] == [
        ("Gold rose 1/1", MORNING, NIGHT + 1), ("Gold rose 1/2", MORNING, NIGHT + 2)
    ]  # fmt: skip
    await ledger.write(lambda c: outbox.postpone(c, [told[0].id], "w", MORNING + MINUTE, "busy"))
    (again,) = await ledger.read(lambda c: outbox.load(c, [told[0].id], lambda _: None))
    assert (again.notification.held_until, again.due_at) == (MORNING, MORNING + MINUTE)


async def test_a_long_night_is_let_go_in_steps_the_oldest_first(ledger: Ledger) -> None:
    """So that the engine's commits come in between."""

    def fill(connection: sa.Connection) -> None:
        row = {"destination_id": 1, "title": "x", "text": "x", "state": "held", "due_at": MORNING, "created_at": NIGHT}
        connection.execute(
            t.notifications.insert(), [{"key": f"n:{n}:1", **row} for n in range(quiet.A_SWEEP + 3)]
        )  # fmt: skip

    await ledger.write(fill)
    assert await ledger.write(lambda c: quiet.let_go(c, MORNING)) == {1}
    assert await states(ledger) == ["due"] * quiet.A_SWEEP + ["held"] * 3
    assert await ledger.write(lambda c: quiet.let_go(c, MORNING)) == {1}
    assert await ledger.read(quiet.count) == 0


async def test_of_two_deliverers_one_lets_it_go(postgres_url: str, tmp_path: Path) -> None:
    """The other neither waits for it nor does it again, and claims what there is once."""
    config = Config(folder=tmp_path, ledger=LedgerSection(url=postgres_url))
    async with open_ledger(config) as one, open_ledger(config) as other:
        await one.write(people)
        for generation in range(1, 11):
            await one.write(ring(rang(ANNA, ANNA, generation)))

        def let_go(connection: sa.Connection) -> frozenset[int]:
            return quiet.let_go(connection, MORNING)

        def claim(worker: str) -> Callable[[sa.Connection], list[int]]:
            return lambda c: [
                due.notification.id for due in outbox.claim(c, worker, MORNING, LEASE, 100, lambda _: None)
            ]

        async with uncommitted(one, let_go):
            assert await other.write(let_go) == frozenset()
            assert await other.write(claim("b")) == []
        assert await other.write(let_go) == frozenset()
        taken = await asyncio.gather(one.write(claim("a")), other.write(claim("b")))
        assert sorted([*taken[0], *taken[1]]) == list(range(1, 21))


async def test_other_hours_time_anew_what_is_held_and_none_lets_it_go(ledger: Ledger) -> None:
    """That of this owner only."""
    await ledger.write(ring(rang(ANNA, ANNA, via=("push",)), rang(ROOM, ROOM)))
    at = NIGHT + HOUR

    async def retimed(hours: str, zone: str = "Europe/Berlin") -> int:
        assert await ledger.write(lambda c: quiet.retime(c, ANNA, hours, zone, at)) == 1
        (anna, _, until), (_, _, other) = await rows(ledger)
        assert (anna, other) == ("alert:1:1:4", MORNING)
        return until

    assert await retimed("22:00-09:30") == MORNING + 2 * HOUR + 30 * MINUTE
    assert await retimed("22:00-07:00", "UTC") == MORNING + HOUR
    assert await retimed("03:00-07:00") == at
    assert await retimed("") == at
    assert await ledger.write(lambda c: quiet.let_go(c, at)) == {4}
    assert await ledger.write(lambda c: quiet.retime(c, ANNA, "22:00-07:00", "Europe/Berlin", at)) == 0
    assert await states(ledger) == ["due", "held"]


# ------------------------------------------------------------------------------------------------- notices


async def test_a_notice_about_alerts_is_held_too_and_is_there_once(ledger: Ledger) -> None:
    """For each destination that is on; an urgent one passes, and so do those of whoever is awake."""

    def notice(owner: int, key: str, **more: object) -> Callable[[sa.Connection], list[int]]:
        return lambda c: list(
            quiet.notices(c, owner, key, "Your 3 gold alerts are blind", "since 23:10", NIGHT, **more)  # type: ignore[arg-type]
        )

    assert await ledger.write(notice(ANNA, "blind:XAU-USD:1800000000")) == [1, 2]
    assert await ledger.write(notice(ANNA, "blind:XAU-USD:1800000000")) == []
    await ledger.write(lambda c: outbox.disable(c, 1, "gone: blocked"))
    urgent = await ledger.write(notice(ANNA, "blind:XAG-USD:1800000000", alert_id=11, urgent=True))
    awake = await ledger.write(notice(BEN, "blind:XAU-USD:1800000000", alert_id=BEN))
    by_day = await ledger.write(notice(ANNA, "split:AAPL:1800000000", clock=NOON))
    assert len(urgent) == len(awake) == len(by_day) == 1
    assert await ledger.write(notice(99, "blind:XAU-USD:1800000000")) == []
    assert await rows(ledger) == [
        ("blind:XAU-USD:1800000000:1", "held", MORNING), ("blind:XAU-USD:1800000000:4", "held", MORNING),
        ("blind:XAG-USD:1800000000:4", "due", NIGHT), ("blind:XAU-USD:1800000000:2", "due", NIGHT),
        ("split:AAPL:1800000000:4", "due", NIGHT),
    ]  # fmt: skip


# --------------------------------------------------------------------------------------- who else has to know


async def test_what_is_held_is_counted_and_told_of(ledger: Ledger) -> None:
    """By `why`, by `push`, and in the counts."""
    await ledger.write(ring(rang(ANNA, ANNA)))
    await ledger.write(ring(rang(11, ANNA, via=("push",))))
    told = await ledger.read(lambda c: alerts_view.deliveries_of(c, ANNA, "Europe/Berlin", NIGHT + HOUR))
    assert told[0] == "place 4: held until 07:00:00, your quiet hours"
    news = await ledger.read(lambda c: outbox.news_of(c, [1, 4]))
    assert [(number, each.waiting, each.held) for number, each in sorted(news.items())] == [(1, 0, 1), (4, 1, 1)]
    assert await ledger.read(quiet.count) == 2
    assert (await ledger.read(outbox.waiting))["due"] == 1


async def test_what_is_held_for_a_removed_destination_is_given_up(ledger: Ledger) -> None:
    """At once, and what is held for the others stays."""
    await ledger.write(ring(rang(ANNA, ANNA)))
    await ledger.write(lambda c: forget(c, 1))
    assert await ledger.write(lambda c: outbox.give_up_removed(c, NIGHT)) == 1
    assert await states(ledger) == ["dead", "held"]
    assert await ledger.read(lambda c: outbox.head_of(c, 1)) is None


async def test_what_is_held_for_a_destination_that_is_off_waits_for_it(ledger: Ledger) -> None:
    """As everything does that waits for one."""
    await ledger.write(ring(rang(BEN, BEN), rang(ANNA, ANNA, via=("push",)), worker=""))
    await ledger.write(lambda c: outbox.disable(c, 4, "switched off by its owner"))
    assert await ledger.write(lambda c: quiet.let_go(c, MORNING)) == {4}
    claimed = await ledger.write(lambda c: outbox.claim(c, "w", MORNING, LEASE, 10, lambda _: None))
    assert [due.destination.id for due in claimed] == [2]
    assert await states(ledger) == ["due", "due"]


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
async def test_looking_for_what_is_held_reads_no_row_that_was_sent(ledger: Ledger) -> None:
    """A million of them cost a sweep, the counts, other hours and a removal nothing."""
    statements: list[tuple[str, object]] = []

    def run(connection: sa.Connection) -> None:
        def note(_c: object, _cur: object, statement: str, parameters: object, _x: object, _m: object) -> None:
            statements.append((statement, parameters))

        sa.event.listen(connection, "before_cursor_execute", note)
        quiet.next_end(connection)
        quiet.count(connection)
        quiet.let_go(connection, MORNING)
        quiet.retime(connection, ANNA, "", "UTC", NIGHT)
        outbox.give_up_removed(connection, NIGHT)
        fallback.fall_back(connection, NIGHT, HOUR)
        sa.event.remove(connection, "before_cursor_execute", note)

    def plans(connection: sa.Connection) -> list[str]:
        return [
            step[3]
            for statement, parameters in statements
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
        ]

    await ledger.write(run)
    steps = await ledger.read(plans)
    assert len(steps) > 10
    assert [step for step in steps if step.startswith("SCAN notifications") and " USING " not in step] == []
