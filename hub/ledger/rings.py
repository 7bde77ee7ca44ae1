"""What rang, on its way into the ledger: triggers with their notifications, in the caller's one transaction.

Functions of a SQLAlchemy connection, called by hub.engine. Depends on hub.ledger's quiet hours and outbox.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from hub.ledger import quiet
from hub.ledger import tables as t
from hub.ledger.outbox import Describe, Due, backlog
from hub.model import Destination, Instrument, Nature, Notification, Trigger


class Rang(msgspec.Struct, frozen=True, kw_only=True):
    """One firing on its way into the ledger, already worded."""

    alert_id: int
    owner_id: int
    generation: int
    direction: Literal["up", "down"]
    level: float
    before_price: float | None
    before_time: int | None
    price: float
    venue_time: int | None
    received_at: int
    rang_at: int | None = None  # the stream's clock
    source: str
    nature: str
    late: bool
    sequence: int
    ticked_at: int
    instrument: str
    title: str
    text: str
    note: str
    detail: str = ""
    urgent: bool = False
    via: tuple[str, ...] = ()


def rang_since(connection: sa.Connection, since: int) -> dict[int, list[int]]:
    """When each alert rang from that time of the stream's clock on, the newest last. What it rang before it was armed
    last counts no more: who lets it go on after a storm is not to hear at the next ring that it is one still."""
    rang, at, alert = t.triggers.c, t.triggers.c.rang_at, t.alerts.c
    query = (
        sa.select(rang.alert_id, at)
        .join(t.alerts, alert.id == rang.alert_id)
        .where(at >= since, sa.or_(alert.armed_stream != rang.stream, alert.armed_sequence < rang.sequence))
    )
    found: dict[int, list[int]] = {}
    for row in connection.execute(query.order_by(at)):
        found.setdefault(row.alert_id, []).append(row.rang_at)
    return found


# Statements are built once: building one costs more than running it.

_TRIGGER_COLUMNS = tuple(column.name for column in t.triggers.columns if column.name != "id")
_NOTIFICATION_COLUMNS = (
    "key", "destination_id", "alert_id", "trigger_id", "title", "text", "state", "due_at", "created_at", "claimed_by",
    "claimed_until",
)  # fmt: skip


def _insert_returning(table: sa.Table, columns: Sequence[str]) -> sa.TextClause:
    values = ", ".join(f":{name}" for name in columns)
    return sa.text(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({values}) RETURNING id")


_INSERT_TRIGGER = _insert_returning(t.triggers, _TRIGGER_COLUMNS)
_INSERT_NOTIFICATION = _insert_returning(t.notifications, _NOTIFICATION_COLUMNS)


def save_rang(
    connection: sa.Connection,
    rang: Sequence[Rang],
    stream: str,
    now: int,
    worker: str,
    claimed_until: int,
    describe: Describe,
    clock: int | None = None,
    *,
    asked: bool = False,
) -> list[Due]:
    """Triggers and their notifications, one per enabled destination of the owner, claimed for `worker` at once if
    there is one, so that no other commit stands between a trigger and its message. They wait for a sweep where older
    ones of that destination lie with another core's worker, and through the owner's quiet hours by `clock`, that of
    the stream (None: `now`), unless they are urgent or somebody `asked` to hear it at this moment."""
    reached = quiet.reached(connection, {each.owner_id for each in rang}) if rang else {}
    places = {owner_id: reach.places for owner_id, reach in reached.items()}
    ends = {owner_id: reach.quiet_until(now if clock is None else clock, now) for owner_id, reach in reached.items()}
    behind = _behind_others(connection, places, worker, now) if worker else frozenset()
    dues: list[Due] = []
    for each in rang:
        trigger_id = int(connection.execute(_INSERT_TRIGGER, _trigger_row(each, stream, now)).scalar_one())
        held_until = None if each.urgent or asked else ends.get(each.owner_id)
        for place in _chosen(places.get(each.owner_id, ()), each.via):
            at_once = held_until is None and place.id not in behind
            row = {
                "key": f"alert:{each.alert_id}:{each.generation}:{place.id}",
                "destination_id": place.id,
                "alert_id": each.alert_id,
                "trigger_id": trigger_id,
                "title": each.title,
                "text": each.text,
                "state": "due" if held_until is None else quiet.HELD,
                "due_at": now if held_until is None else held_until,
                "created_at": now,
                "claimed_by": worker if at_once else "",
                "claimed_until": claimed_until if at_once else 0,
            }
            notification_id = int(connection.execute(_INSERT_NOTIFICATION, row).scalar_one())
            if not at_once:
                continue
            notification = _notification(notification_id, each, trigger_id, now, describe)
            dues.append(Due(notification=notification, destination=place, attempts=0, due_at=now))
    return dues


def _chosen(places: Sequence[Destination], via: Sequence[str]) -> Sequence[Destination]:
    """Those that the alert names, or all where none of them is on: it is rather told elsewhere than not at all."""
    return [place for place in places if place.platform in via] or places


def _behind_others(
    connection: sa.Connection, places: Mapping[int, Sequence[Destination]], worker: str, now: int
) -> frozenset[int]:
    """Destinations whose older rows are not this worker's. On SQLite there is one worker."""
    if connection.dialect.name == "sqlite":
        return frozenset()
    return backlog(connection, worker, now, [place.id for found in places.values() for place in found])


def _trigger_row(each: Rang, stream: str, now: int) -> dict[str, Any]:
    row = msgspec.structs.asdict(each)
    for name in ("owner_id", "instrument", "text", "note", "urgent", "via"):
        del row[name]
    return {**row, "stream": stream, "created_at": now}


def _notification(notification_id: int, each: Rang, trigger_id: int, now: int, describe: Describe) -> Notification:
    instrument = describe(each.instrument) or Instrument(id=each.instrument, name=each.instrument)
    return Notification(
        id=notification_id,
        alert_id=each.alert_id,
        trigger=Trigger(
            id=trigger_id,
            alert_id=each.alert_id,
            generation=each.generation,
            direction=each.direction,
            level=each.level,
            before_price=each.before_price,
            before_time=each.before_time,
            price=each.price,
            venue_time=each.venue_time,
            received_at=each.received_at,
            source=each.source,
            nature=Nature(each.nature),
            late=each.late,
            title=each.title,
            detail=each.detail,
            sequence=each.sequence,
        ),
        instrument=each.instrument,
        instrument_name=instrument.name,
        currency=instrument.currency,
        unit=instrument.unit,
        decimals=instrument.decimals,
        title=each.title,
        text=each.text,
        note=each.note,
        urgent=each.urgent,
        nature=Nature(each.nature),
        created_at=now,
        ticked_at=each.ticked_at,
    )
