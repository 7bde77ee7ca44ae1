"""Notifications that cannot arrive where they were meant to go: moved to the next destination of their owner.

An owner's destinations have an order, that of their numbers; after the last comes the first. What another of them has
got anyway, or is about to get, is not told twice: then the row is given up, or goes on waiting. A row that was moved
stays as "moved" and is never sent, so that nothing arrives doubled when its first destination comes back. What is held
through quiet hours is held elsewhere too, and fails nowhere: it has not been tried. Functions of a connection; the
times are wall time. Depends on hub.ledger.tables, people, quiet and outbox.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.ledger.outbox import disable
from hub.ledger.people import GONE
from hub.ledger.quiet import HELD, is_held
from hub.ledger.tables import destinations, notifications
from hub.model import Destination


class Moved(msgspec.Struct, frozen=True):
    """What became of what waited: how many rows are elsewhere now, how many were given up."""

    to: Destination | None
    moved: int
    given_up: int


def close(connection: sa.Connection, place: Destination, worker: str, reason: str, now: int) -> Moved:
    """Switches off a destination that takes nothing any more. What waits for it goes to its owner's next one, with a
    notification that says why; where there is none it is given up."""
    disable(connection, place.id, f"{GONE}{reason}")
    target = next_of(connection, place)
    rows = _waiting(connection, place.id, worker, now, held=True)
    moved = _move(connection, rows, place, target, f"{place.label} takes nothing any more: {reason}", now)
    if target is not None:
        _tell(connection, place, target, reason, now)
    return moved


def follow(connection: sa.Connection, place: Destination, worker: str, address: str, reason: str, now: int) -> bool:
    """Gives a destination the address where its platform says that it is now, and what waits for it goes there. False
    where its owner has that address already: then it is closed instead."""
    same = sa.select(destinations.c.id).where(
        destinations.c.owner_id == place.owner_id,
        destinations.c.platform == place.platform,
        destinations.c.address == address,
        destinations.c.id != place.id,
    )
    if connection.execute(same).first() is not None:
        close(connection, place, worker, reason, now)
        return False
    connection.execute(destinations.update().where(destinations.c.id == place.id).values(address=address))
    connection.execute(
        notifications.update()
        .where(_due(), notifications.c.destination_id == place.id, _free(worker, now))
        .values(due_at=now, claimed_by="", claimed_until=0)
    )
    return True


def pass_on(
    connection: sa.Connection, place: Destination, ids: Collection[int], worker: str, reason: str, now: int
) -> list[int]:
    """Alerts that this destination refuses for good go to its owner's next one; the rows that did. The others, and what
    is of no alert, are for outbox.give_up."""
    target = next_of(connection, place)
    rows = [
        row
        for row in _waiting(connection, place.id, worker, now)
        if row.id in ids and row.alert_id is not None and not _told_elsewhere(connection, row, place.id)
    ]
    if target is None:
        return []
    why = f"{place.label} refused it: {reason}"
    copied = [row.id for row in rows if _copy(connection, row, place, target, why, now)]
    _settle(connection, copied, "moved", f"moved to {target.label}: {why}", now)
    return copied


def fall_back(connection: sa.Connection, now: int, after_us: int) -> list[tuple[Destination, Moved]]:
    """Moves what nobody holds now and has waited so long for a destination that fails (0: none), and what came for one
    that is gone at the very moment when it was closed."""
    found = []
    for place in _gone(connection):
        rows = _waiting(connection, place.id, "", now, held=True)
        found.append((place, _move(connection, rows, place, next_of(connection, place), place.disabled, now)))
    for place in _failing(connection, now - after_us) if after_us else ():
        target = next_of(connection, place, besides=_failing_ids(connection))
        if target is None:
            continue
        rows = [
            row
            for row in _waiting(connection, place.id, "", now)
            if _ready_at(row) < now - after_us and not _told_elsewhere(connection, row, place.id)
        ]
        if rows:
            why = f"{place.label} was not reached for {round(after_us / 60_000_000)} minutes: {rows[0].reason}"
            found.append((place, _move(connection, rows, place, target, why, now)))
    return [(place, moved) for place, moved in found if moved.moved or moved.given_up]


def next_of(connection: sa.Connection, place: Destination, besides: Collection[int] = ()) -> Destination | None:
    """The owner's next destination that is on, and not among `besides`."""
    query = (
        sa.select(destinations)
        .where(
            destinations.c.owner_id == place.owner_id,
            destinations.c.disabled == "",
            destinations.c.id != place.id,
            destinations.c.id.not_in(besides),
        )
        .order_by(destinations.c.id < place.id, destinations.c.id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _destination(row)


def _gone(connection: sa.Connection) -> list[Destination]:
    """Destinations that are gone and for which something waits nevertheless, or is held."""
    due, held = (sa.select(notifications.c.destination_id).where(which) for which in (_due(), is_held()))
    there = destinations.c.id.in_(due.union_all(held))
    query = sa.select(destinations).where(destinations.c.disabled.startswith(GONE), there)
    return [_destination(found) for found in connection.execute(query)]


def _failing(connection: sa.Connection, since: int) -> list[Destination]:
    """Destinations whose oldest waiting row was tried in vain and is older than that."""
    row = notifications
    heads = sa.select(sa.func.min(row.c.id)).where(_due()).group_by(row.c.destination_id)
    ready_at = sa.func.coalesce(row.c.held_until, row.c.created_at)
    query = (
        sa.select(destinations)
        .join(row, row.c.destination_id == destinations.c.id)
        .where(row.c.id.in_(heads), row.c.attempts > 0, ready_at < since, destinations.c.disabled == "")
        .order_by(destinations.c.id)
    )
    return [_destination(found) for found in connection.execute(query)]


def _failing_ids(connection: sa.Connection) -> frozenset[int]:
    row = notifications
    return frozenset(connection.scalars(sa.select(row.c.destination_id).where(_due(), row.c.attempts > 0).distinct()))


def _waiting(
    connection: sa.Connection, destination_id: int, worker: str, now: int, *, held: bool = False
) -> Sequence[sa.Row[Any]]:
    """The oldest first; what another worker holds may be on its way at this moment. With `held` also what waits for the
    end of quiet hours."""
    row = notifications
    query = sa.select(row).where(row.c.destination_id == destination_id)
    found = list(connection.execute(query.where(_due(), _free(worker, now))))
    if held:
        found += connection.execute(query.where(is_held()))
    return sorted(found, key=lambda each: int(each.id))


def _ready_at(row: sa.Row[Any]) -> int:
    """Since when it could be sent."""
    ready_at: int = row.created_at if row.held_until is None else row.held_until
    return ready_at


def _move(
    connection: sa.Connection,
    rows: Sequence[sa.Row[Any]],
    place: Destination,
    target: Destination | None,
    why: str,
    now: int,
) -> Moved:
    moved, given_up = [], []
    for row in rows:
        is_test = row.key.startswith("test:")
        told = is_test or _told_elsewhere(connection, row, place.id)
        if target is not None and not told and _copy(connection, row, place, target, why, now):
            moved.append(row.id)
        else:
            given_up.append(row.id)
    _settle(connection, moved, "moved", f"moved to {target.label}: {why}" if target else why, now)
    _settle(connection, given_up, "dead", why, now)
    return Moved(target, len(moved), len(given_up))


def _copy(
    connection: sa.Connection, row: sa.Row[Any], place: Destination, target: Destination, why: str, now: int
) -> bool:
    """A row for the other destination, with the age of the first, so that it is given up when its time is over wherever
    it goes, and held as that is. False where it was there before: what comes round ends."""
    held = row.state == HELD
    values = {
        "key": f"{_what(row.key, place.id)}{target.id}",
        "destination_id": target.id,
        "alert_id": row.alert_id,
        "trigger_id": row.trigger_id,
        "title": row.title,
        "text": f"{row.text}\nhere because {why}",
        "state": row.state,
        "due_at": row.due_at if held else now,
        "created_at": row.created_at,
        "held_until": row.held_until,
    }
    there = connection.execute(sa.select(notifications.c.id).where(notifications.c.key == values["key"])).first()
    if there is None:
        connection.execute(notifications.insert().values(values))
    return there is None


def _told_elsewhere(connection: sa.Connection, row: sa.Row[Any], destination_id: int) -> bool:
    """Whether another destination got the same, or is to get it and does not fail either. Keys of one notification
    differ in what stands behind the last colon."""
    what, other = _what(row.key, destination_id), notifications
    arrives = sa.or_(other.c.state.in_(("sent", HELD)), sa.and_(_due(), other.c.attempts == 0))
    query = sa.select(other.c.id).where(
        other.c.key > what, other.c.key < f"{what[:-1]};", other.c.destination_id != destination_id, arrives
    )
    return connection.execute(query.limit(1)).first() is not None


def _what(key: str, destination_id: int) -> str:
    """The key of a notification without its destination."""
    return key.removesuffix(str(destination_id)) if key.endswith(f":{destination_id}") else f"{key}:"


def _tell(connection: sa.Connection, place: Destination, target: Destination, reason: str, now: int) -> None:
    told = f"It takes nothing any more: {reason}.\nWhat waited for it comes here. push on {place.id} tries it again."
    row = {
        "key": f"gone:{place.id}:{now}:{target.id}",
        "destination_id": target.id,
        "title": f"{place.label} is switched off",
        "text": told,
        "state": "due",
        "due_at": now,
        "created_at": now,
    }
    connection.execute(notifications.insert().values(row))


def _settle(connection: sa.Connection, ids: Sequence[int], state: str, reason: str, now: int) -> None:
    for start in range(0, len(ids), 500):
        connection.execute(
            notifications.update()
            .where(notifications.c.id.in_(ids[start : start + 500]))
            .values(state=state, reason=reason[:1000], settled_at=now, claimed_by="", claimed_until=0)
        )


def _due() -> sa.ColumnElement[bool]:
    return notifications.c.state == sa.literal_column("'due'")


def _free(worker: str, now: int) -> sa.ColumnElement[bool]:
    """Held by nobody, or by that worker, which knows that it is not on its way."""
    mine = notifications.c.claimed_by == worker if worker else sa.false()
    return sa.or_(notifications.c.claimed_until < now, mine)


def _destination(row: Any) -> Destination:
    return Destination(
        id=row.id,
        owner_id=row.owner_id,
        platform=row.platform,
        address=row.address,
        label=row.label,
        disabled=row.disabled,
    )
