"""What cannot arrive goes to its owner's next destination, once: on a real ledger in both stores."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.config import Config, LedgerSection
from hub.ledger import Ledger, fallback, open_ledger, outbox
from hub.ledger.tables import alerts, destinations, notifications, owners, users
from hub.model import Destination

S = 1_000_000
NOW = 1_800_000_000 * S
MINUTE = 60 * S
HALF_AN_HOUR = 30 * MINUTE


def people(connection: sa.Connection) -> None:
    """Anna with the destinations 1 to 3, ben with 4."""
    for owner, name in ((1, "anna"), (2, "ben")):
        connection.execute(owners.insert().values(id=owner, kind="user", name=name, created_at=NOW))
        connection.execute(users.insert().values(id=owner, owner_id=owner, name=name, role="member", created_at=NOW))
    for number in (1, 2, 3, 4):
        connection.execute(
            destinations.insert().values(
                id=number, owner_id=1 if number < 4 else 2, platform="telegram", address=f"chat {number}",
                label=f"place {number}", created_at=NOW,
            )
        )  # fmt: skip
    connection.execute(
        alerts.insert().values(
            id=1, owner_id=1, user_id=1, text="XAU-USD > 1", instrument="XAU-USD", series="price(XAU-USD)",
            state="armed", armed_at=NOW, created_at=NOW,
        )
    )  # fmt: skip


def row(connection: sa.Connection, id: int, destination: int, key: str = "", **values: object) -> int:
    """The rows of a test count from 1, in the order in which they are written."""
    plain = {
        "key": key or f"alert:1:{id}:{destination}", "destination_id": destination, "alert_id": 1,
        "title": f"title {id}", "text": "why", "state": "due", "due_at": NOW, "created_at": NOW,
    }  # fmt: skip
    key_of = connection.execute(notifications.insert().values(**{**plain, **values})).inserted_primary_key
    assert key_of is not None
    assert key_of[0] == id
    return id


@pytest.fixture(params=["sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    async with open_ledger(Config(folder=tmp_path, ledger=LedgerSection(url=url))) as opened:
        await opened.write(people)
        yield opened


async def place(ledger: Ledger, number: int) -> Destination:
    query = sa.select(destinations).where(destinations.c.id == number)
    found = await ledger.read(lambda c: c.execute(query).one())
    return Destination(id=found.id, owner_id=found.owner_id, platform=found.platform, address=found.address,
                       label=found.label, disabled=found.disabled)  # fmt: skip


async def rows(ledger: Ledger) -> list[tuple[str, str]]:
    """Key and state, in order."""
    query = sa.select(notifications.c.key, notifications.c.state).order_by(notifications.c.id)
    return [(key, state) for key, state in await ledger.read(lambda c: c.execute(query).all())]


async def test_what_waits_for_a_place_that_is_gone_goes_to_the_next_one_with_the_reason(ledger: Ledger) -> None:
    """Also what this worker had claimed; the place is off, and a notification of its own says so."""
    gone = await place(ledger, 2)
    claim: dict[str, object] = {"claimed_by": "w", "claimed_until": NOW + MINUTE}
    await ledger.write(lambda c: (row(c, 1, 2, "", **claim), row(c, 2, 2)))
    moved = await ledger.write(lambda c: fallback.close(c, gone, "w", "blocked by the user", NOW))
    assert (moved.to, moved.moved, moved.given_up) == (await place(ledger, 3), 2, 0)
    assert (await place(ledger, 2)).disabled == "gone: blocked by the user"
    assert await rows(ledger) == [
        ("alert:1:1:2", "moved"), ("alert:1:2:2", "moved"), ("alert:1:1:3", "due"), ("alert:1:2:3", "due"),
        (f"gone:2:{NOW}:3", "due"),
    ]  # fmt: skip
    dues = await ledger.write(lambda c: outbox.claim(c, "w", NOW, MINUTE, 10, lambda _: None))
    assert [due.notification.title for due in dues] == ["title 1", "title 2", "place 2 is switched off"]
    assert "here because place 2 takes nothing any more: blocked by the user" in dues[0].notification.text
    assert "push on 2" in dues[2].notification.text


async def test_after_the_last_destination_comes_the_first_and_nobody_else_s(ledger: Ledger) -> None:
    """Those that are off are passed over; where there is none, what waits is given up with the reason."""
    last, bens = await place(ledger, 3), await place(ledger, 4)
    await ledger.write(lambda c: outbox.disable(c, 1, "off"))
    assert (await ledger.read(lambda c: fallback.next_of(c, last))) == await place(ledger, 2)
    assert await ledger.read(lambda c: fallback.next_of(c, bens)) is None
    await ledger.write(lambda c: row(c, 1, 4))
    moved = await ledger.write(lambda c: fallback.close(c, bens, "w", "kicked", NOW))
    assert (moved.to, moved.moved, moved.given_up) == (None, 0, 1)
    assert await rows(ledger) == [("alert:1:1:4", "dead")]


async def test_what_another_destination_gets_anyway_is_not_told_twice(ledger: Ledger) -> None:
    """Sent there or on its way there; what failed there as well is moved on. Tests are for their place only."""
    gone = await place(ledger, 1)

    def write(c: sa.Connection) -> None:
        row(c, 1, 1), row(c, 2, 2, "alert:1:1:2", state="sent")
        row(c, 3, 1), row(c, 4, 3, "alert:1:3:3")
        row(c, 5, 1), row(c, 6, 3, "alert:1:5:3", state="dead")
        row(c, 7, 1, "test:1:5", alert_id=None)
        row(c, 8, 1, "digest:5:2027-01-15:1", alert_id=None)

    await ledger.write(write)
    moved = await ledger.write(lambda c: fallback.close(c, gone, "w", "blocked", NOW))
    assert (moved.moved, moved.given_up) == (2, 3)
    assert dict(await rows(ledger)) | {} == {
        "alert:1:1:1": "dead", "alert:1:1:2": "sent", "alert:1:3:1": "dead", "alert:1:3:3": "due",
        "alert:1:5:1": "moved", "alert:1:5:3": "dead", "alert:1:5:2": "due", "test:1:5": "dead",
        "digest:5:2027-01-15:1": "moved", "digest:5:2027-01-15:2": "due", f"gone:1:{NOW}:2": "due",
    }  # fmt: skip


async def test_a_place_that_moved_keeps_what_waits_for_it(ledger: Ledger) -> None:
    """At once, under its new address; where its owner has that one already, the old one is closed."""
    old = await place(ledger, 1)
    await ledger.write(lambda c: row(c, 1, 1, due_at=NOW + MINUTE, claimed_by="w", claimed_until=NOW + MINUTE))
    assert await ledger.write(lambda c: fallback.follow(c, old, "w", "-100", "upgraded", NOW))
    dues = await ledger.write(lambda c: outbox.claim(c, "w", NOW, MINUTE, 10, lambda _: None))
    assert [(due.destination.address, due.notification.id) for due in dues] == [("-100", 1)]
    assert not await ledger.write(lambda c: fallback.follow(c, old, "w", "chat 2", "upgraded", NOW))
    assert (await place(ledger, 1)).disabled == "gone: upgraded"
    assert ("alert:1:1:2", "due") in await rows(ledger)


async def test_what_waits_too_long_for_a_place_that_fails_goes_elsewhere_once(ledger: Ledger) -> None:
    """Only what is older than the limit, behind a failure, and held by nobody; what is younger goes on waiting."""

    def write(c: sa.Connection) -> None:
        row(c, 1, 1, attempts=3, reason="no route", created_at=NOW - HALF_AN_HOUR - S, due_at=NOW + MINUTE)
        row(c, 2, 1, created_at=NOW - HALF_AN_HOUR - S)
        row(c, 3, 1, created_at=NOW - MINUTE)
        row(c, 4, 2, "alert:2:4:2", created_at=NOW - 2 * HALF_AN_HOUR)  # not tried yet: a queue, no failure

    await ledger.write(write)
    ((failing, moved),) = await ledger.write(lambda c: fallback.fall_back(c, NOW, HALF_AN_HOUR))
    assert (failing.id, moved.moved, moved.to) == (1, 2, await place(ledger, 2))
    assert await ledger.write(lambda c: fallback.fall_back(c, NOW, HALF_AN_HOUR)) == []
    found = dict(await rows(ledger))
    assert [key for key, state in found.items() if state == "moved"] == ["alert:1:1:1", "alert:1:2:1"]
    assert (found["alert:1:1:2"], found["alert:1:2:2"], found["alert:1:3:1"]) == ("due", "due", "due")
    text = (await ledger.read(lambda c: c.execute(sa.select(notifications).order_by(notifications.c.id)).all()))[
        -2
    ].text
    assert "here because place 1 was not reached for 30 minutes: no route" in text


async def test_what_fails_everywhere_stays_where_it_is(ledger: Ledger) -> None:
    """And so does everything, where a fallback is not wanted, or a worker holds it."""

    def write(c: sa.Connection) -> None:
        for destination in (1, 2, 3):
            row(c, destination, destination, attempts=1, created_at=NOW - 2 * HALF_AN_HOUR)

    await ledger.write(write)
    assert await ledger.write(lambda c: fallback.fall_back(c, NOW, HALF_AN_HOUR)) == []
    assert await ledger.write(lambda c: fallback.fall_back(c, NOW, 0)) == []
    await ledger.write(lambda c: c.execute(notifications.update().values(claimed_by="w", claimed_until=NOW + S)))
    await ledger.write(lambda c: c.execute(notifications.update().where(notifications.c.id == 2).values(attempts=0)))
    assert await ledger.write(lambda c: fallback.fall_back(c, NOW, HALF_AN_HOUR)) == []


async def test_a_row_that_came_while_its_place_was_closed_is_found(ledger: Ledger) -> None:
    """The engine had chosen the destination just before."""
    await ledger.write(lambda c: (outbox.disable(c, 1, "gone: blocked"), row(c, 1, 1)))
    ((closed, moved),) = await ledger.write(lambda c: fallback.fall_back(c, NOW, 0))
    assert (closed.id, moved.moved) == (1, 1)


async def test_an_alert_that_every_destination_refuses_is_given_up_in_the_end(ledger: Ledger) -> None:
    """It goes round once, and never to the same one twice."""
    await ledger.write(lambda c: row(c, 1, 1, claimed_by="w", claimed_until=NOW + MINUTE))
    visited = []
    for _ in range(5):
        dues = await ledger.read(lambda c: outbox.load(c, _claimed(c), lambda _: None))
        if not dues:
            break
        place_, number = dues[0].destination, dues[0].notification.id
        visited.append(place_.id)
        passed = await ledger.write(
            partial(fallback.pass_on, place=place_, ids=[number], worker="w", reason="too long", now=NOW)
        )
        if not passed:
            await ledger.write(partial(outbox.give_up, ids=[number], worker="w", reason="too long", now=NOW))
        await ledger.write(lambda c: outbox.claim(c, "w", NOW, MINUTE, 10, lambda _: None))
    assert visited == [1, 2, 3]
    assert [state for _, state in await rows(ledger)] == ["moved", "moved", "dead"]


def _claimed(connection: sa.Connection) -> list[int]:
    query = sa.select(notifications.c.id).where(notifications.c.state == "due", notifications.c.claimed_by == "w")
    return list(connection.scalars(query))


async def test_what_something_urgent_waits_for_is_claimed_first_with_what_is_before_it(ledger: Ledger) -> None:
    """Among destinations; within one the order stays."""

    def write(c: sa.Connection) -> None:
        c.execute(alerts.update().values(urgent=False))
        values = dict(c.execute(sa.select(alerts)).mappings().one())
        c.execute(alerts.insert().values({**values, "id": 2, "text": "XAU-USD > 2 urgent", "urgent": True}))
        row(c, 1, 1), row(c, 2, 2), row(c, 3, 3), row(c, 4, 3, alert_id=2), row(c, 5, 4)

    await ledger.write(write)
    dues = await ledger.write(lambda c: outbox.claim(c, "w", NOW, MINUTE, 2, lambda _: None))
    assert [(due.notification.id, due.notification.urgent) for due in dues] == [(3, False), (4, True)]


# --------------------------------------------------------------------------- held through quiet hours


async def held(ledger: Ledger) -> list[tuple[str, str, int]]:
    query = sa.select(notifications.c.key, notifications.c.state, notifications.c.due_at).order_by(notifications.c.id)
    return [(key, state, at) for key, state, at in await ledger.read(lambda c: c.execute(query).all())]


async def test_what_is_held_for_a_place_that_is_gone_is_held_by_the_next_one(ledger: Ledger) -> None:
    """Until the same end; beside what waits, and where another one holds it too it is not told twice."""
    gone, end = await place(ledger, 1), NOW + 6 * 60 * MINUTE

    def write(c: sa.Connection) -> None:
        row(c, 1, 1, state="held", due_at=end), row(c, 2, 1)
        row(c, 3, 1, state="held", due_at=end), row(c, 4, 3, "alert:1:3:3", state="held", due_at=end)

    await ledger.write(write)
    moved = await ledger.write(lambda c: fallback.close(c, gone, "w", "blocked", NOW))
    assert (moved.to, moved.moved, moved.given_up) == (await place(ledger, 2), 2, 1)
    assert await held(ledger) == [
        ("alert:1:1:1", "moved", end), ("alert:1:2:1", "moved", NOW), ("alert:1:3:1", "dead", end),
        ("alert:1:3:3", "held", end), ("alert:1:1:2", "held", end), ("alert:1:2:2", "due", NOW),
        (f"gone:1:{NOW}:2", "due", NOW),
    ]  # fmt: skip


async def test_what_was_held_for_a_place_as_it_was_closed_is_found(ledger: Ledger) -> None:
    """The engine had chosen the destination just before, in its owner's quiet hours."""
    await ledger.write(lambda c: (outbox.disable(c, 1, "gone: blocked"), row(c, 1, 1, state="held", due_at=NOW + S)))
    ((closed, moved),) = await ledger.write(lambda c: fallback.fall_back(c, NOW, 0))
    assert (closed.id, moved.moved) == (1, 1)
    assert await held(ledger) == [("alert:1:1:1", "moved", NOW + S), ("alert:1:1:2", "held", NOW + S)]


async def test_quiet_hours_are_no_failure_and_do_not_count_as_waiting(ledger: Ledger) -> None:
    """What is held stays; what was held goes elsewhere only once it was tried in vain for long enough behind them."""
    end = NOW - HALF_AN_HOUR + MINUTE

    def write(c: sa.Connection) -> None:
        long_ago = NOW - 12 * HALF_AN_HOUR
        row(c, 1, 1, attempts=2, created_at=long_ago, held_until=end, due_at=NOW + S, reason="no route")
        row(c, 2, 1, state="held", created_at=long_ago, due_at=NOW + HALF_AN_HOUR)

    await ledger.write(write)
    assert await ledger.write(lambda c: fallback.fall_back(c, NOW, HALF_AN_HOUR)) == []
    ((_, moved),) = await ledger.write(lambda c: fallback.fall_back(c, NOW + 2 * MINUTE, HALF_AN_HOUR))
    assert moved.moved == 1
    assert await rows(ledger) == [("alert:1:1:1", "moved"), ("alert:1:2:1", "held"), ("alert:1:1:2", "due")]
    (copy,) = await ledger.write(lambda c: outbox.claim(c, "w", NOW + 2 * MINUTE, MINUTE, 10, lambda _: None))
    assert (copy.notification.held_until, copy.destination.id) == (end, 2)


async def test_a_place_that_moved_keeps_what_is_held_for_it_held(ledger: Ledger) -> None:
    """Only what waits for it goes at once."""
    old, end = await place(ledger, 1), NOW + 60 * MINUTE
    await ledger.write(lambda c: (row(c, 1, 1, due_at=NOW + S), row(c, 2, 1, state="held", due_at=end)))
    assert await ledger.write(lambda c: fallback.follow(c, old, "w", "-100", "upgraded", NOW))
    assert await held(ledger) == [("alert:1:1:1", "due", NOW), ("alert:1:2:1", "held", end)]
