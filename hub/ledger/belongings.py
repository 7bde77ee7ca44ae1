"""Everything that the ledger knows of one person: counted, read out, and erased. Functions of a connection.

`PERSONAL` is the one list of what is somebody's, in the order in which it can be removed; counting, reading out and
erasing go by it, and a test holds it against the tables. Alerts are erased only once none of them can ring: the engine
holds them in memory. Depends on hub.ledger.tables and hub.model.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hub.ledger import tables as t
from hub.ledger.alerts_view import FINISHED
from hub.ledger.people import REMOVED
from hub.model import SECOND_US, User

PERSONAL: tuple[sa.Table, ...] = (
    t.notifications, t.alert_events, t.triggers, t.alerts, t.digests, t.lots, t.watchlists, t.destinations,
    t.identities, t.users, t.owners,
)  # fmt: skip
LONG = (t.notifications, t.alert_events, t.triggers)
"""What grows by itself: of these the newest are read out."""

HIDDEN = {
    t.destinations: {"address"},  # a secret: the label says which it is
    t.notifications: {"claimed_by", "claimed_until"},
}
WINDOW_US = 300 * SECOND_US
CODE_LENGTH = 6


def of_person(table: sa.Table, user: User) -> sa.ColumnElement[bool]:
    """Which rows of a table are this person's."""
    own_alerts = sa.select(t.alerts.c.id).where(t.alerts.c.owner_id == user.owner_id)
    if table is t.notifications:
        places = sa.select(t.destinations.c.id).where(t.destinations.c.owner_id == user.owner_id)
        return sa.or_(table.c.destination_id.in_(places), table.c.alert_id.in_(own_alerts))
    if table in (t.alert_events, t.triggers):
        return table.c.alert_id.in_(own_alerts)
    if table is t.identities:
        return table.c.user_id == user.id
    return (table.c.id if table is t.owners else table.c.owner_id) == user.owner_id


def counts(connection: sa.Connection, user: User) -> dict[str, int]:
    """How many rows of each table are this person's; removed destinations count, for they are there."""
    return {
        table.name: int(connection.execute(sa.select(sa.func.count()).where(of_person(table, user))).scalar_one())
        for table in PERSONAL
    }


def codes(connection: sa.Connection, user: User, now: int) -> tuple[str, str]:
    """What confirms that this person wants to be forgotten, as they are now: for these five minutes, and for the five
    before. Whatever they add or remove meanwhile makes another."""
    made = [
        connection.execute(sa.select(sa.func.count(), sa.func.max(table.c.id)).where(of_person(table, user))).one()
        for table in (t.alerts, t.digests, t.lots, t.watchlists)
    ]
    born = connection.execute(sa.select(t.users.c.created_at).where(t.users.c.id == user.id)).scalar()
    state = f"{user.id}:{born}:{[tuple(row) for row in made]}"
    window = now // WINDOW_US
    newest, before = (hashlib.sha256(f"{state}:{each}".encode()).hexdigest() for each in (window, window - 1))
    return newest[:CODE_LENGTH], before[:CODE_LENGTH]


def read_out(connection: sa.Connection, user: User, most: int) -> dict[str, list[dict[str, Any]]]:
    """By table, the oldest first; of what grows by itself the newest `most`. Addresses of destinations are left out."""
    told: dict[str, list[dict[str, Any]]] = {}
    for table in PERSONAL:
        columns = [column for column in table.c if column.name not in HIDDEN.get(table, ())]
        query = sa.select(*columns).where(of_person(table, user))
        if table in LONG:
            rows: Sequence[sa.RowMapping] = (
                connection.execute(query.order_by(table.c.id.desc()).limit(most)).mappings().all()[::-1]
            )
        else:
            rows = connection.execute(query.order_by(*table.primary_key.columns)).mappings().all()
        told[table.name] = [dict(row) for row in rows]
    return told


def live_alerts(connection: sa.Connection, user: User) -> int:
    """Alerts that may still ring."""
    query = sa.select(sa.func.count()).where(of_person(t.alerts, user), t.alerts.c.state.not_in(FINISHED))
    return int(connection.execute(query).scalar_one())


def silence(connection: sa.Connection, user: User) -> None:
    """Nothing is sent to this person from now on, but what is on its way."""
    connection.execute(t.destinations.update().where(of_person(t.destinations, user)).values(disabled=REMOVED))
    connection.execute(t.digests.update().where(of_person(t.digests, user)).values(enabled=False))


def on_the_way(connection: sa.Connection, user: User) -> bool:
    """Whether a notification of theirs may be in some bot's hands."""
    due = t.notifications.c.state == sa.literal_column("'due'")
    query = sa.select(t.notifications.c.id).where(due, of_person(t.notifications, user)).limit(1)
    return connection.execute(query).first() is not None


def erase(connection: sa.Connection, user: User) -> dict[str, int]:
    """Removes every row; how many of each table."""
    return {table.name: connection.execute(table.delete().where(of_person(table, user))).rowcount for table in PERSONAL}
