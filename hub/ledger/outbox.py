"""The outbox: notifications on their way, one row per (alert, generation, destination), as functions of a connection.

The engine writes rows in its trigger's transaction. A worker claims rows for the length of a lease; a claim whose
lease has run out is anybody's. A mark applies only where the claim is still this worker's, so one that was paused
and wakes up changes nothing; each mark returns how many rows it changed.

Order holds per destination: a row is not claimed while an older one of its destination waits for its time or
lies with another worker. What is held through quiet hours (hub.ledger.quiet) is not in it before it is let go. Times
are wall time. Depends on hub.ledger.people, hub.ledger.tables and hub.model.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, cast

import msgspec
import sqlalchemy as sa

from hub.ledger.people import REMOVED
from hub.ledger.quiet import is_held
from hub.ledger.tables import alerts, destinations, notifications, triggers, users
from hub.model import Destination, Instrument, Nature, Notification, Trigger

PER_DESTINATION = 100
"""Rows of one destination claimed at once, so that a full one leaves room for the others."""
COUNTED = 100_000
"""A table that PostgreSQL takes for larger is not counted."""

Describe = Callable[[str], Instrument | None]


class Due(msgspec.Struct, frozen=True, kw_only=True):
    notification: Notification
    destination: Destination
    attempts: int
    due_at: int
    language: str = ""  # of whoever is told; empty: not known


# --------------------------------------------------------------------------------------------- claiming


def claim(
    connection: sa.Connection,
    worker: str,
    now: int,
    lease_us: int,
    limit: int,
    describe: Describe,
    *,
    skip: Collection[int] = (),
) -> list[Due]:
    """Claims what is due, the oldest first, but before all others what is for a destination that something urgent waits
    for. At most PER_DESTINATION a destination and none for those in `skip`, nor for those that another worker is
    claiming for at this moment."""
    ids = _claimable(connection, worker, now, limit, notifications.c.destination_id.not_in(skip))
    if ids and connection.dialect.name != "sqlite":
        ours = _lock_destinations(connection, ids)
        ids = _claimable(connection, worker, now, limit, notifications.c.destination_id.in_(ours))
    if not ids:
        return []
    claimed = connection.scalars(
        notifications.update()
        .where(notifications.c.id.in_(ids), notifications.c.claimed_until < now, _is_due(notifications))
        .values(claimed_by=worker, claimed_until=now + lease_us)
        .returning(notifications.c.id)
    )
    return load(connection, claimed.all(), describe)


def _claimable(
    connection: sa.Connection, worker: str, now: int, limit: int, among: sa.ColumnElement[bool]
) -> Sequence[int]:
    row, older = notifications, notifications.alias("older")
    blocked = (
        sa.select(older.c.destination_id, sa.func.min(older.c.id).label("first"))
        .where(_is_due(older), sa.or_(older.c.due_at > now, older.c.claimed_until >= now), ~_mine(older, worker, now))
        .group_by(older.c.destination_id)
        .subquery()
    )
    rank = sa.func.row_number().over(partition_by=row.c.destination_id, order_by=row.c.id)
    ranked = (
        sa.select(row.c.id, row.c.destination_id, rank.label("rank"))
        .join(destinations, destinations.c.id == row.c.destination_id)
        .outerjoin(blocked, blocked.c.destination_id == row.c.destination_id)
        .where(
            _is_due(row),
            row.c.due_at <= now,
            row.c.claimed_until < now,
            destinations.c.disabled == "",
            among,
            sa.or_(blocked.c.first.is_(None), row.c.id < blocked.c.first),
        )
        .subquery()
    )
    query = (
        sa.select(ranked.c.id)
        .where(ranked.c.rank <= PER_DESTINATION)
        .order_by(ranked.c.destination_id.not_in(_with_urgent()), ranked.c.id)
        .limit(limit)
    )
    return connection.scalars(query).all()


def _with_urgent() -> sa.Select[tuple[int]]:
    """Destinations for which something urgent waits."""
    row = notifications.alias("urgent")
    return (
        sa.select(row.c.destination_id).join(alerts, alerts.c.id == row.c.alert_id).where(_is_due(row), alerts.c.urgent)
    )


def _lock_destinations(connection: sa.Connection, ids: Sequence[int]) -> Sequence[int]:
    """Of these rows' destinations those that nobody else claims for now, locked until the transaction ends: two
    claims for one destination come one after the other, and the second sees what the first took. (Locks on the rows
    themselves would let the second one take younger rows than the first.) New rows may come in meanwhile."""
    wanted = sa.select(notifications.c.destination_id).where(notifications.c.id.in_(ids))
    query = (
        sa.select(destinations.c.id)
        .where(destinations.c.id.in_(wanted))
        .order_by(destinations.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return connection.scalars(query).all()


def load(connection: sa.Connection, ids: Sequence[int], describe: Describe) -> list[Due]:
    """Rows with all that a bot needs to word them, oldest first."""
    language = sa.select(users.c.language).where(users.c.owner_id == destinations.c.owner_id).limit(1).scalar_subquery()
    query = (
        sa.select(
            notifications,
            *_prefixed(destinations, "destination"),
            *_prefixed(triggers, "trigger"),
            alerts.c.instrument.label("alert_instrument"),
            alerts.c.note.label("alert_note"),
            alerts.c.urgent.label("alert_urgent"),
            language.label("language"),
        )
        .join(destinations, destinations.c.id == notifications.c.destination_id)
        .outerjoin(triggers, triggers.c.id == notifications.c.trigger_id)
        .outerjoin(alerts, alerts.c.id == notifications.c.alert_id)
        .where(notifications.c.id.in_(ids))
        .order_by(notifications.c.id)
    )
    return [_due(row, describe) for row in connection.execute(query).mappings()]


def next_due(connection: sa.Connection, worker: str, now: int, *, skip: Collection[int] = ()) -> int | None:
    """The earliest time at which `claim` finds something; None while nothing waits."""
    row = notifications
    heads = (
        sa.select(sa.func.min(row.c.id))
        .join(destinations, destinations.c.id == row.c.destination_id)
        .where(
            _is_due(row),
            destinations.c.disabled == "",
            row.c.destination_id.not_in(skip),
            ~_mine(row, worker, now),
        )
        .group_by(row.c.destination_id)
    )
    ready_at = sa.case((row.c.claimed_until >= row.c.due_at, row.c.claimed_until + 1), else_=row.c.due_at)
    earliest: int | None = connection.scalar(sa.select(sa.func.min(ready_at)).where(row.c.id.in_(heads)))
    return earliest


def backlog(connection: sa.Connection, worker: str, now: int, among: Collection[int] | None = None) -> frozenset[int]:
    """Destinations for which rows wait that are not this worker's; `among` those, or all."""
    row = notifications
    query = sa.select(row.c.destination_id).where(_is_due(row), ~_mine(row, worker, now)).distinct()
    if among is not None:
        query = query.where(row.c.destination_id.in_(among))
    return frozenset(connection.scalars(query))


def release(connection: sa.Connection, worker: str, ids: Sequence[int] | None = None) -> int:
    """Puts claimed rows back as they were, unsent and uncounted; all of this worker's without `ids`."""
    query = notifications.update().where(_is_due(notifications), notifications.c.claimed_by == worker)
    if ids is not None:
        query = query.where(notifications.c.id.in_(ids))
    return connection.execute(query.values(claimed_by="", claimed_until=0)).rowcount


def free_all(connection: sa.Connection, worker: str) -> int:
    """Ends the claims of all other workers: only for who knows that none of them lives, so never where the ledger is
    shared."""
    return connection.execute(
        notifications.update()
        .where(_is_due(notifications), notifications.c.claimed_by != worker, notifications.c.claimed_by != "")
        .values(claimed_by="", claimed_until=0)
    ).rowcount


# ---------------------------------------------------------------------------------------------- marking


def mark_sent(
    connection: sa.Connection, ids: Sequence[int], worker: str, message_id: str, receipt: str, now: int
) -> int:
    return _settle(connection, ids, worker, state="sent", message_id=message_id, receipt=receipt, settled_at=now)


def give_up(connection: sa.Connection, ids: Sequence[int], worker: str, reason: str, now: int) -> int:
    return _settle(connection, ids, worker, state="dead", reason=reason, settled_at=now)


def postpone(connection: sa.Connection, ids: Sequence[int], worker: str, due_at: int, reason: str) -> int:
    return _settle(connection, ids, worker, due_at=due_at, reason=reason)


def give_up_removed(connection: sa.Connection, now: int, *, claimed: bool = False) -> int:
    """Gives up what waits for destinations that were removed, or is held for them; with `claimed` also what a worker
    holds, which may be on its way at this moment."""
    gone = sa.select(destinations.c.id).where(destinations.c.disabled == REMOVED)
    row = notifications
    query = row.update().where(row.c.destination_id.in_(gone))
    waiting = query.where(_is_due(row)) if claimed else query.where(_is_due(row), row.c.claimed_until < now)
    values = {"state": "dead", "reason": REMOVED, "settled_at": now, "claimed_by": "", "claimed_until": 0}
    return sum(connection.execute(each.values(values)).rowcount for each in (waiting, query.where(is_held(row))))


def add_test(connection: sa.Connection, destination_id: int, title: str, text: str, now: int) -> int:
    """A notification that is of no alert; its number."""
    row = {
        "key": f"test:{destination_id}:{now}",
        "destination_id": destination_id,
        "title": title,
        "text": text,
        "state": "due",
        "due_at": now,
        "created_at": now,
    }
    key = connection.execute(notifications.insert().values(**row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def disable(connection: sa.Connection, destination_id: int, why: str) -> int:
    """Nothing is claimed for the destination from now on; what waits for it stays where it is."""
    return connection.execute(
        destinations.update().where(destinations.c.id == destination_id).values(disabled=why)
    ).rowcount


def _settle(connection: sa.Connection, ids: Sequence[int], worker: str, **values: object) -> int:
    return connection.execute(
        notifications.update()
        .where(notifications.c.id.in_(ids), notifications.c.claimed_by == worker, _is_due(notifications))
        .values(attempts=notifications.c.attempts + 1, claimed_by="", claimed_until=0, **values)
    ).rowcount


# ---------------------------------------------------------------------------------------------- looking


def waiting(connection: sa.Connection) -> dict[str, int | None]:
    """How many rows are in each state, and since when the oldest due one could have been sent. All but the few that
    wait or were given up were sent, or moved to where they were; so only those are looked at. What is held counts as
    sent here: quiet.count tells how many that is. On PostgreSQL the number of a large table is the server's own
    estimate."""
    row = notifications
    due, oldest = connection.execute(sa.select(sa.func.count(), sa.func.min(row.c.due_at)).where(_is_due(row))).one()
    dead = connection.scalar(sa.select(sa.func.count()).where(row.c.state == sa.literal_column("'dead'"))) or 0
    return {"due": due, "sent": max(_all_rows(connection) - due - dead, 0), "dead": dead, "oldest_due_at": oldest}


def _all_rows(connection: sa.Connection) -> int:
    if connection.dialect.name != "sqlite":
        estimate = connection.scalar(_ESTIMATE) or 0
        if estimate > COUNTED:
            return int(estimate)
    return connection.scalar(sa.select(sa.func.count()).select_from(notifications)) or 0


_ESTIMATE = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST('notifications' AS regclass)")


def state_of(connection: sa.Connection, notification_id: int) -> sa.Row[Any]:
    """The whole row of a notification."""
    return connection.execute(sa.select(notifications).where(notifications.c.id == notification_id)).one()


def head_of(connection: sa.Connection, destination_id: int) -> sa.Row[Any] | None:
    """As `state_of`, of the oldest notification that waits for a destination: the younger ones wait behind it."""
    row = notifications
    first = sa.select(sa.func.min(row.c.id)).where(_is_due(row), row.c.destination_id == destination_id)
    number = connection.scalar(first)
    return None if number is None else state_of(connection, number)


class News(NamedTuple):
    """Of a destination: its newest notification, how many wait, and how many are held through quiet hours."""

    newest: sa.Row[Any]
    waiting: int
    held: int


def news_of(connection: sa.Connection, destination_ids: Collection[int]) -> dict[int, News]:
    """By destination. Those that never had a notification are not in it."""
    row = notifications
    waiting, held = (sa.func.sum(sa.case((which, 1), else_=0)) for which in (_is_due(row), is_held(row)))
    of_each = (
        sa.select(
            row.c.destination_id, sa.func.max(row.c.id).label("newest"), waiting.label("waiting"), held.label("held")
        )
        .where(row.c.destination_id.in_(destination_ids))
        .group_by(row.c.destination_id)
        .subquery()
    )
    query = sa.select(row, of_each.c.waiting, of_each.c.held).join(of_each, of_each.c.newest == row.c.id)
    return {
        found.destination_id: News(found, int(found.waiting), int(found.held)) for found in connection.execute(query)
    }


def _is_due(rows: Any) -> sa.ColumnElement[bool]:
    """A literal, not a parameter: only so does SQLite use the partial index."""
    return cast("sa.ColumnElement[bool]", rows.c.state == sa.literal_column("'due'"))


def _mine(rows: Any, worker: str, now: int) -> sa.ColumnElement[bool]:
    return sa.and_(rows.c.claimed_by == worker, rows.c.claimed_until >= now)


def _prefixed(table: sa.Table, prefix: str) -> list[sa.Label[Any]]:
    return [column.label(f"{prefix}__{column.name}") for column in table.c]


def _due(row: sa.RowMapping, describe: Describe) -> Due:
    instrument_id = row["alert_instrument"] or ""
    instrument = describe(instrument_id) if instrument_id else None
    trigger = _trigger(row)
    return Due(
        notification=Notification(
            id=row["id"],
            alert_id=row["alert_id"],
            notice=row["alert_id"] is not None and trigger is None,
            trigger=trigger,
            instrument=instrument_id,
            instrument_name=instrument.name if instrument else instrument_id,
            currency=instrument.currency if instrument else "",
            unit=instrument.unit if instrument else "",
            decimals=instrument.decimals if instrument else 2,
            title=row["title"],
            text=row["text"],
            note=row["alert_note"] or "",
            urgent=bool(row["alert_urgent"]),
            nature=trigger.nature if trigger else Nature.LIVE,
            created_at=row["created_at"],
            ticked_at=row["trigger__ticked_at"] or None,
            held_until=row["held_until"],
        ),
        destination=Destination(
            id=row["destination__id"],
            owner_id=row["destination__owner_id"],
            platform=row["destination__platform"],
            address=row["destination__address"],
            label=row["destination__label"],
            disabled=row["destination__disabled"],
        ),
        attempts=row["attempts"],
        due_at=row["due_at"],
        language=row["language"] or "",
    )


def _trigger(row: sa.RowMapping) -> Trigger | None:
    if row["trigger__id"] is None:
        return None
    names = ("id", "alert_id", "generation", "direction", "level", "before_price", "before_time", "price",
             "venue_time", "received_at", "source", "late", "title", "detail", "sequence")  # fmt: skip
    return Trigger(**{name: row[f"trigger__{name}"] for name in names}, nature=Nature(row["trigger__nature"]))
