"""Quiet hours in the outbox: what is held, until when, and how it is let go.

A notification that comes in its owner's quiet hours is written as "held", due when they end; a deliverer's sweep makes
it "due" then. Held rows are nobody's claim and stand in nobody's way: the order of a destination is that of its due
rows. Functions of a connection; ends are wall time, and whether it is quiet is asked by the clock of who writes (the
engine's is the stream's). Depends on hub.quiet, hub.ledger.tables and hub.model.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
import sqlalchemy as sa

from hub.ledger import insert
from hub.ledger.tables import destinations, notifications, users
from hub.model import Destination
from hub.quiet import quiet_until

HELD = "held"
A_SWEEP = 1_000
"""Rows let go at once: where a whole country's night ends, the engine's commits come in between."""


class Reach(msgspec.Struct):
    """Where an owner is reached, the oldest first, and when they want to be left alone, by which clock."""

    hours: str
    time_zone: str
    places: list[Destination]

    def quiet_until(self, clock: int, now: int) -> int | None:
        """When the owner's quiet hours end that it is by `clock`; None where it is none of them, or they are over by
        wall time: what was late, or is a recording's, waits no more."""
        until = quiet_until(self.hours, self.time_zone, clock) if self.hours else None
        return until if until is not None and until > now else None


_REACHED = (
    sa.select(destinations, users.c.quiet, users.c.time_zone)
    .outerjoin(users, users.c.owner_id == destinations.c.owner_id)
    .where(destinations.c.owner_id.in_(sa.bindparam("owners", expanding=True)), destinations.c.disabled == "")
    .order_by(destinations.c.id)
)


def reached(connection: sa.Connection, owner_ids: Iterable[int]) -> dict[int, Reach]:
    """Of each owner that has a destination that is on. A group's or channel's hours are those of its keeper."""
    found: dict[int, Reach] = {}
    for row in connection.execute(_REACHED, {"owners": sorted(owner_ids)}):
        reach = found.setdefault(row.owner_id, Reach(row.quiet or "", row.time_zone or "UTC", []))
        place = Destination(
            id=row.id, owner_id=row.owner_id, platform=row.platform, address=row.address, label=row.label
        )
        if place not in reach.places[-1:]:  # nothing is told twice, should an owner ever have two users
            reach.places.append(place)
    return found


# ---------------------------------------------------------------------------------------------- letting go


def next_end(connection: sa.Connection) -> int | None:
    """When the first of what is held may go."""
    earliest: int | None = connection.scalar(sa.select(sa.func.min(notifications.c.due_at)).where(is_held()))
    return earliest


def let_go(connection: sa.Connection, now: int) -> frozenset[int]:
    """What has been held long enough is due from now on, the oldest first and A_SWEEP of it at most; its destinations.
    Its age counts from the end of its quiet hours. What another deliverer lets go at this moment is left to it."""
    row = notifications
    over = (
        sa.select(row.c.id)
        .where(is_held(), row.c.due_at <= now)
        .order_by(row.c.due_at, row.c.id)
        .limit(A_SWEEP)
        .with_for_update(skip_locked=True)
        .cte("over")  # else PostgreSQL may run it anew for each row, and find others each time
    )
    free = row.update().where(row.c.id.in_(sa.select(over.c.id)), is_held())
    freed = free.values(state="due", held_until=row.c.due_at).returning(row.c.destination_id)
    return frozenset(connection.scalars(freed))


def retime(connection: sa.Connection, owner_id: int, hours: str, time_zone: str, now: int) -> int:
    """What is held of this owner waits until their quiet hours as they are now end; where it is none of them, it may
    go at once. How many that are."""
    until = quiet_until(hours, time_zone, now)
    own = sa.select(destinations.c.id).where(destinations.c.owner_id == owner_id)
    query = notifications.update().where(is_held(), notifications.c.destination_id.in_(own))
    return connection.execute(query.values(due_at=now if until is None else until)).rowcount


def count(connection: sa.Connection) -> int:
    """How many are held."""
    return connection.scalar(sa.select(sa.func.count()).select_from(notifications).where(is_held())) or 0


def is_held(rows: Any = notifications) -> sa.ColumnElement[bool]:
    """A literal, as in outbox: only so is a partial index used."""
    return cast("sa.ColumnElement[bool]", rows.c.state == sa.literal_column("'held'"))


# ------------------------------------------------------------------------------------------------- notices


def notices(
    connection: sa.Connection,
    owner_id: int,
    key: str,
    title: str,
    text: str,
    now: int,
    *,
    alert_id: int | None = None,
    urgent: bool = False,
    clock: int | None = None,
) -> Sequence[int]:
    """What an owner is to know about their alerts, for each of their destinations that is on: held through quiet hours
    by `clock` (None: `now`) unless it is urgent. One of the same key is there once; the numbers of those that are new.
    `key` is what and when ("blind:XAU-USD:1700000000"), the destination comes behind it."""
    reach = reached(connection, [owner_id]).get(owner_id)
    if reach is None:
        return []
    until = None if urgent else reach.quiet_until(now if clock is None else clock, now)
    rows = [
        {
            "key": f"{key}:{place.id}",
            "destination_id": place.id,
            "alert_id": alert_id,
            "title": title,
            "text": text,
            "state": "due" if until is None else HELD,
            "due_at": now if until is None else until,
            "created_at": now,
        }
        for place in reach.places
    ]
    new = insert(connection, notifications).values(rows).on_conflict_do_nothing().returning(notifications.c.id)
    return connection.scalars(new).all()
