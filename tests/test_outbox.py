"""The outbox's promises on a real ledger: who may claim what, in which order, and whose marks count."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.config import Config, LedgerSection
from hub.ledger import Ledger, open_ledger, outbox
from hub.ledger.people import forget
from hub.ledger.tables import alerts, destinations, notifications, owners, triggers, users
from hub.model import Instrument

S = 1_000_000
NOW = 1_800_000_000 * S
LEASE = 60 * S
GOLD = Instrument(id="XAU-USD", name="Gold", unit="troy ounce", decimals=2)


def describe(instrument: str) -> Instrument | None:
    return GOLD if instrument == GOLD.id else None


def people(connection: sa.Connection, count: int = 2) -> None:
    """An owner with destinations 1 .. count."""
    connection.execute(owners.insert().values(id=1, kind="user", name="anna", created_at=NOW))
    connection.execute(users.insert().values(id=1, owner_id=1, name="anna", role="member", created_at=NOW))
    for number in range(1, count + 1):
        connection.execute(
            destinations.insert().values(
                id=number, owner_id=1, platform="push", address=f"json://secret/{number}", label="push", created_at=NOW
            )
        )


def row(connection: sa.Connection, id: int, destination: int = 1, **values: object) -> None:
    connection.execute(
        notifications.insert().values(
            **{
                "id": id,
                "key": f"alert:{id}",
                "destination_id": destination,
                "title": f"title {id}",
                "text": "text",
                "state": "due",
                "due_at": NOW,
                "created_at": NOW,
                **values,
            }
        )
    )


@pytest.fixture(params=["sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    async with open_ledger(Config(folder=tmp_path, ledger=LedgerSection(url=url))) as opened:
        await opened.write(people)
        yield opened


def claimed(
    connection: sa.Connection, worker: str = "a", now: int = NOW, limit: int = 1000, **more: object
) -> list[int]:
    dues = outbox.claim(connection, worker, now, LEASE, limit, describe, **more)  # type: ignore[arg-type]
    return [due.notification.id for due in dues]


async def test_a_claimed_row_is_nobody_elses_until_its_lease_ends(ledger: Ledger) -> None:
    """Two workers never hold one row; a dead worker's row is free after its lease."""
    await ledger.write(lambda c: row(c, 1))
    assert await ledger.write(claimed) == [1]
    assert await ledger.write(lambda c: claimed(c, "b", NOW + LEASE)) == []
    assert await ledger.write(lambda c: claimed(c, "b", NOW + LEASE + 1)) == [1]


async def test_the_mark_of_a_worker_that_lost_its_claim_changes_nothing(ledger: Ledger) -> None:
    """Fencing: neither sent, postponed, given up nor released by a worker that was paused too long."""
    await ledger.write(lambda c: row(c, 1))
    await ledger.write(claimed)
    await ledger.write(lambda c: claimed(c, "b", NOW + LEASE + 1))
    late = NOW + LEASE + 2
    assert await ledger.write(lambda c: outbox.mark_sent(c, [1], "a", "m", "r", late)) == 0
    assert await ledger.write(lambda c: outbox.postpone(c, [1], "a", late, "x")) == 0
    assert await ledger.write(lambda c: outbox.give_up(c, [1], "a", "x", late)) == 0
    assert await ledger.write(lambda c: outbox.release(c, "a", [1])) == 0
    assert await ledger.write(lambda c: outbox.mark_sent(c, [1], "b", "m", "r", late)) == 1
    assert await ledger.write(lambda c: outbox.mark_sent(c, [1], "b", "m", "r", late)) == 0
    assert await ledger.read(outbox.waiting) == {"due": 0, "sent": 1, "dead": 0, "oldest_due_at": None}


async def test_nothing_overtakes_an_older_row_of_its_destination(ledger: Ledger) -> None:
    """While an older row waits for its time or lies with somebody else, the newer ones of that destination wait."""

    def fill(connection: sa.Connection) -> None:
        row(connection, 1, due_at=NOW + 5 * S)
        row(connection, 2)
        row(connection, 3, destination=2)
        row(connection, 4, destination=2, claimed_by="b", claimed_until=NOW + 9 * S)
        row(connection, 5, destination=2)

    await ledger.write(fill)
    assert await ledger.read(lambda c: outbox.next_due(c, "a", NOW)) == NOW
    assert await ledger.write(claimed) == [3]
    assert await ledger.read(lambda c: outbox.next_due(c, "a", NOW)) == NOW + 5 * S
    assert await ledger.write(lambda c: claimed(c, "a", NOW + 5 * S)) == [1, 2]
    assert await ledger.read(lambda c: outbox.next_due(c, "a", NOW + 5 * S)) == NOW + 9 * S + 1
    assert await ledger.write(lambda c: claimed(c, "a", NOW + 9 * S + 1)) == [4, 5]


async def test_a_row_behind_my_own_claim_can_be_claimed(ledger: Ledger) -> None:
    """What comes while this worker sends joins its next message."""
    await ledger.write(lambda c: row(c, 1, claimed_by="a", claimed_until=NOW + LEASE))
    await ledger.write(lambda c: row(c, 2))
    assert await ledger.write(claimed) == [2]
    assert await ledger.read(lambda c: outbox.next_due(c, "a", NOW)) is None


async def test_postponing_counts_the_attempt_and_frees_the_row(ledger: Ledger) -> None:
    """A postponed row comes again at its time, with its attempts, its reason kept."""
    await ledger.write(lambda c: row(c, 1))
    await ledger.write(claimed)
    assert await ledger.write(lambda c: outbox.postpone(c, [1], "a", NOW + 7 * S, "no answer")) == 1
    assert await ledger.write(lambda c: claimed(c, "b", NOW + 7 * S - 1)) == []
    again = await ledger.write(lambda c: outbox.claim(c, "b", NOW + 7 * S, LEASE, 10, describe))
    assert [(due.notification.id, due.attempts) for due in again] == [(1, 1)]
    assert await ledger.read(lambda c: c.scalar(sa.select(notifications.c.reason))) == "no answer"


async def test_releasing_counts_no_attempt(ledger: Ledger) -> None:
    """What was put back unsent is as it was."""
    await ledger.write(lambda c: row(c, 1))
    await ledger.write(claimed)
    assert await ledger.write(lambda c: outbox.release(c, "a")) == 1
    again = await ledger.write(lambda c: outbox.claim(c, "b", NOW, LEASE, 10, describe))
    assert [due.attempts for due in again] == [0]


async def test_a_disabled_destination_gets_nothing_and_keeps_what_waits(ledger: Ledger) -> None:
    """Switching a destination off loses none of its rows."""
    await ledger.write(lambda c: row(c, 1))
    await ledger.write(lambda c: outbox.disable(c, 1, "gone"))
    assert await ledger.write(claimed) == []
    assert await ledger.read(lambda c: outbox.next_due(c, "a", NOW)) is None
    assert (await ledger.read(outbox.waiting))["due"] == 1


async def test_a_full_destination_leaves_room_for_the_others(ledger: Ledger) -> None:
    """At most PER_DESTINATION of one at once, none of those that are skipped, never more than the limit."""

    def fill(connection: sa.Connection) -> None:
        for id in range(1, 151):
            row(connection, id)
        row(connection, 151, destination=2)

    await ledger.write(fill)
    assert await ledger.write(lambda c: claimed(c, limit=1, skip={1})) == [151]
    assert await ledger.write(lambda c: claimed(c, limit=30)) == list(range(1, 31))
    assert await ledger.write(claimed) == list(range(31, 131))
    assert await ledger.read(lambda c: outbox.backlog(c, "a", NOW)) == {1}
    assert await ledger.write(claimed) == list(range(131, 151))
    assert await ledger.read(lambda c: outbox.backlog(c, "a", NOW)) == frozenset()


async def test_a_due_row_brings_its_evidence(ledger: Ledger) -> None:
    """The trigger, the alert's note and how its instrument is shown travel with the notification."""

    def fill(connection: sa.Connection) -> None:
        connection.execute(
            alerts.insert().values(
                id=7,
                owner_id=1,
                user_id=1,
                text="XAU-USD > 2400",
                instrument="XAU-USD",
                series="price:XAU-USD",
                note="sell half",
                state="done",
                armed_at=NOW,
                created_at=NOW,
            )
        )
        connection.execute(
            triggers.insert().values(
                id=9,
                alert_id=7,
                generation=1,
                direction="up",
                level=2400.0,
                before_price=2399.5,
                before_time=NOW - S,
                price=2400.5,
                venue_time=NOW,
                received_at=NOW,
                source="demo",
                nature="simulated",
                late=False,
                stream="s",
                sequence=3,
                ticked_at=NOW - 5,
                created_at=NOW,
            )
        )
        row(connection, 1, alert_id=7, trigger_id=9)
        row(connection, 2)

    await ledger.write(fill)
    with_trigger, plain = await ledger.write(lambda c: outbox.claim(c, "a", NOW, LEASE, 10, describe))
    told = with_trigger.notification
    assert told.trigger is not None and (told.trigger.price, told.trigger.before_price) == (2400.5, 2399.5)
    assert (told.instrument_name, told.unit, told.note, told.nature) == ("Gold", "troy ounce", "sell half", "simulated")
    assert told.ticked_at == NOW - 5
    assert with_trigger.destination.address == "json://secret/1"
    assert plain.notification.trigger is None and plain.notification.ticked_at is None


async def test_a_new_start_frees_what_dead_workers_held(ledger: Ledger) -> None:
    """Where one knows to be alone, no lease is waited for."""
    await ledger.write(lambda c: row(c, 1, claimed_by="dead", claimed_until=NOW + LEASE))
    await ledger.write(lambda c: row(c, 2, claimed_by="a", claimed_until=NOW + LEASE))
    assert await ledger.write(lambda c: outbox.free_all(c, "a")) == 1
    assert await ledger.write(claimed) == [1]


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
async def test_the_claim_reads_the_index_of_what_waits(ledger: Ledger) -> None:
    """A million sent rows cost a claim nothing, and the counts next to it: no step of their plans scans them."""
    statements: list[tuple[str, object]] = []

    def run(connection: sa.Connection) -> None:
        def note(_c: object, _cur: object, statement: str, parameters: object, _x: object, _m: object) -> None:
            statements.append((statement, parameters))

        sa.event.listen(connection, "before_cursor_execute", note)
        outbox.claim(connection, "a", NOW, LEASE, 10, describe)
        outbox.next_due(connection, "a", NOW)
        outbox.backlog(connection, "a", NOW)
        outbox.waiting(connection)
        sa.event.remove(connection, "before_cursor_execute", note)

    await ledger.write(run)
    assert len(statements) == 6
    assert "WHERE" not in statements.pop()[0]  # how many rows there are, of the leaves of an index only

    def plans(connection: sa.Connection) -> list[str]:
        return [
            step[3]
            for statement, parameters in statements
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
        ]

    steps = await ledger.read(plans)
    scans = [
        s
        for s in steps
        if s.startswith(("SCAN notifications", "SCAN older"))
        and not any(index in s for index in ("ix_notifications_waiting", "ix_notifications_dead"))
    ]
    assert scans == [], steps


async def test_what_waits_for_a_removed_destination_is_given_up(ledger: Ledger) -> None:
    """What a worker holds is left to it unless that is asked for; other destinations and what was sent stay."""

    def prepare(connection: sa.Connection) -> None:
        row(connection, 1)
        row(connection, 2, state="sent")
        row(connection, 3, destination=2)
        row(connection, 4, claimed_by="a", claimed_until=NOW + LEASE)
        forget(connection, 1)

    def states(connection: sa.Connection) -> list[tuple[str, str]]:
        n = notifications.c
        return [(each.state, each.reason) for each in connection.execute(sa.select(n.state, n.reason).order_by(n.id))]

    await ledger.write(prepare)
    assert await ledger.write(lambda c: outbox.give_up_removed(c, NOW)) == 1
    gone = ("dead", "removed by its owner")
    assert await ledger.read(states) == [gone, ("sent", ""), ("due", ""), ("due", "")]
    assert await ledger.write(lambda c: outbox.give_up_removed(c, NOW, claimed=True)) == 1
    assert await ledger.read(states) == [gone, ("sent", ""), ("due", ""), gone]
    assert await ledger.write(lambda c: outbox.mark_sent(c, [4], "a", "m", "r", NOW)) == 0
