"""Everything that the ledger knows of one person: counted, read out, handed over, and erased.

Functions of a connection. `PERSONAL` is the one list of what is somebody's, in the order in which it can be removed;
all of these go by it, and a test holds it against the tables. Alerts are erased only once none of them can ring, and
handed over by the engine alone: it holds them in memory. Depends on hub.ledger.tables and hub.model.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.ledger import keeping
from hub.ledger import tables as t
from hub.ledger.alerts_view import FINISHED
from hub.ledger.people import REMOVED
from hub.model import SECOND_US, User

PERSONAL: tuple[sa.Table, ...] = (
    t.notifications, t.alert_events, t.triggers, t.alerts, t.gaps, t.digests, t.lots, t.watchlists, t.destinations,
    t.identities, t.codes, t.users, t.owners,
)  # fmt: skip
LONG = (t.notifications, t.alert_events, t.triggers)
"""What grows by itself: of these the newest are read out."""

HIDDEN = {
    t.destinations: {"address"},  # a secret: the label says which it is
    t.identities: {"address"},
    t.codes: {"hash"},
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
    if table in (t.identities, t.codes):
        return table.c.user_id == user.id
    return (table.c.id if table is t.owners else table.c.owner_id) == user.owner_id


def counts(connection: sa.Connection, user: User) -> dict[str, int]:
    """How many rows of each table are this person's; removed destinations count, for they are there."""
    return {table.name: counts_in(connection, table, user) for table in PERSONAL}


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


# --------------------------------------------------------------------------------------------- handing over


def kept(connection: sa.Connection, user: User) -> dict[str, int]:
    """What this person would take along to another, rows by table: empty for somebody who only just came."""
    found = {"alerts": live_alerts(connection, user)}
    for table in (t.digests, t.lots, t.watchlists):
        found[table.name] = counts_in(connection, table, user)
    return {name: count for name, count in found.items() if count}


def counts_in(connection: sa.Connection, table: sa.Table, user: User) -> int:
    return int(connection.execute(sa.select(sa.func.count()).where(of_person(table, user))).scalar_one())


def unfinished(connection: sa.Connection, user: User) -> list[int]:
    """The numbers of alerts that may still ring."""
    live = t.alerts.c.state.not_in(FINISHED)
    return list(connection.scalars(sa.select(t.alerts.c.id).where(of_person(t.alerts, user), live)))


def doubled(connection: sa.Connection, source: User, target: User) -> dict[int, int]:
    """Alerts that may ring of `source`, in the very words of one of `target`'s: theirs by number, with the other's."""
    theirs, own = t.alerts.alias(), t.alerts.alias()
    live = (theirs.c.state.not_in(FINISHED), own.c.state.not_in(FINISHED))
    query = (
        sa.select(theirs.c.id, own.c.id)
        .join(own, own.c.text == theirs.c.text)
        .where(theirs.c.owner_id == source.owner_id, own.c.owner_id == target.owner_id, *live)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def hand_over(connection: sa.Connection, source: User, target: User) -> dict[str, int]:
    """All that is `source`'s becomes `target`'s, and `source` is no more; what went, rows by table. What both have
    alike is there once then."""
    moved = {name: count for name, count in counts(connection, source).items() if count}
    _merge_lists(connection, source, target)
    _merge_destinations(connection, source, target)
    for table in (t.alerts, t.gaps, t.digests, t.lots, t.watchlists, t.destinations):
        own = table.update().where(table.c.owner_id == source.owner_id)
        connection.execute(own.values(owner_id=target.owner_id))
    for table in (t.alerts, t.digests, t.identities):
        connection.execute(table.update().where(table.c.user_id == source.id).values(user_id=target.id))
    _merge_digests(connection, target)
    connection.execute(t.codes.delete().where(t.codes.c.user_id == source.id))
    connection.execute(t.users.delete().where(t.users.c.id == source.id))
    connection.execute(t.owners.delete().where(t.owners.c.id == source.owner_id))
    return {name: count for name, count in moved.items() if name not in ("users", "owners", "codes")}


def _merge_lists(connection: sa.Connection, source: User, target: User) -> None:
    """Lists of one name become one: the target's, and behind it what only the other held."""
    for theirs in keeping.watchlists_of(connection, source.owner_id):
        own = keeping.watchlist_of(connection, target.owner_id, theirs.name)
        if own is not None:
            both = tuple(dict.fromkeys((*own.instruments, *theirs.instruments)))
            keeping.save_watchlist(connection, target.owner_id, msgspec.structs.replace(own, instruments=both), 0)
            keeping.delete_watchlist(connection, source.owner_id, theirs.name)


def _merge_destinations(connection: sa.Connection, source: User, target: User) -> None:
    """Of two that lead to the same address the target's stays, with what was sent and waits for the other."""
    theirs, own = t.destinations.alias(), t.destinations.alias()
    same = sa.and_(own.c.platform == theirs.c.platform, own.c.address == theirs.c.address)
    query = sa.select(theirs.c.id, own.c.id).join(own, same)
    query = query.where(theirs.c.owner_id == source.owner_id, own.c.owner_id == target.owner_id)
    for old, new in connection.execute(query).all():
        for table in (t.notifications, t.digests):
            there = table.update().where(table.c.destination_id == old)
            connection.execute(there.values(destination_id=new))
        connection.execute(t.destinations.delete().where(t.destinations.c.id == old))


def _merge_digests(connection: sa.Connection, target: User) -> None:
    """One of each plan is told, the older one."""
    seen: set[tuple[object, ...]] = set()
    for each in sorted(keeping.digests_of(connection, target.owner_id), key=lambda digest: digest.id):
        plan = (each.at_s, each.weekdays, each.about, each.destination_id)
        if plan in seen:
            keeping.delete_digest(connection, each.id)
        seen.add(plan)
