"""Alerts as people read them: what rang last, what became of it, and their life so far.

Functions of a connection, for `Ledger.read`; nothing here writes (the engine is the only writer of alerts).
Every function that takes `owner_id` shows that owner's alerts and nobody else's.
"""

from typing import Any, cast

import msgspec
import sqlalchemy as sa

from hub import wording
from hub.i18n import _, several
from hub.ledger.alerts import alert_of as alert_of_row
from hub.ledger.quiet import HELD
from hub.ledger.tables import alert_events, alerts, destinations, notifications, triggers
from hub.model import Alert, Nature, State, Trigger

FINISHED = (State.DONE, State.EXPIRED, State.DELETED)
LINES = 20
"""Of a list that grows by itself, unless more are asked for."""


class StoredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """`up_armed` and `down_armed` say which halves wait to fire: False waits behind its band first, None is
    not known before the first price."""

    alert: Alert
    up_armed: bool | None = None
    down_armed: bool | None = None
    last_trigger: Trigger | None = None


def alerts_of(connection: sa.Connection, owner_id: int, *, finished: bool = False) -> list[StoredAlert]:
    """An owner's alerts in the order they were made; with `finished` also those, behind the others."""
    query = sa.select(alerts).where(alerts.c.owner_id == owner_id)
    if not finished:
        query = query.where(alerts.c.state.not_in(FINISHED))
    rows = connection.execute(query.order_by(alerts.c.state.in_(FINISHED), alerts.c.id)).all()
    last = last_triggers(connection, owner_id)
    return [_stored(row, last.get(row.id)) for row in rows]


def alert_of(connection: sa.Connection, owner_id: int, alert_id: int) -> StoredAlert | None:
    row = connection.execute(sa.select(alerts).where(alerts.c.id == alert_id, alerts.c.owner_id == owner_id)).first()
    return _stored(row, last_triggers(connection, owner_id, alert_id).get(alert_id)) if row else None


def last_triggers(connection: sa.Connection, owner_id: int, alert_id: int | None = None) -> dict[int, Trigger]:
    """The newest trigger of each alert of the owner that ever rang."""
    newest = (
        sa.select(sa.func.max(triggers.c.id))
        .join(alerts, alerts.c.id == triggers.c.alert_id)
        .where(alerts.c.owner_id == owner_id)
        .group_by(triggers.c.alert_id)
    )
    if alert_id is not None:
        newest = newest.where(triggers.c.alert_id == alert_id)
    rows = connection.execute(sa.select(triggers).where(triggers.c.id.in_(newest)))
    return {row.alert_id: _trigger(row) for row in rows}


def history_of(connection: sa.Connection, alert_id: int, zone: str, now: int, most: int = LINES) -> tuple[str, ...]:
    """The alert's life, the newest first: "14:02:11 snoozed until 16:00 by anna". Lines without figures are said in the
    reader's language, the others in English."""
    rows = connection.execute(
        sa.select(alert_events.c.at, alert_events.c.text)
        .where(alert_events.c.alert_id == alert_id)
        .order_by(alert_events.c.id.desc())
        .limit(most)
    )
    return tuple(f"{wording.clock(row.at, zone, now)} {_(row.text)}" for row in rows)


def deliveries_of(connection: sa.Connection, alert_id: int, zone: str, now: int) -> tuple[str, ...]:
    """What became of the alert's notifications, the newest first: "console: sent 14:02:11"."""
    rows = connection.execute(
        sa.select(
            destinations.c.label,
            notifications.c.state,
            notifications.c.attempts,
            notifications.c.due_at,
            notifications.c.reason,
            notifications.c.settled_at,
            notifications.c.created_at,
        )
        .join(destinations, destinations.c.id == notifications.c.destination_id)
        .where(notifications.c.alert_id == alert_id)
        .order_by(notifications.c.id.desc())
        .limit(LINES)
    )
    return tuple(f"{row.label}: {became(row, zone, now)}" for row in rows)


def became(row: Any, zone: str, now: int) -> str:
    """What became of a notification, in plain words."""
    tries = (
        several(", {count} attempt", ", {count} attempts", row.attempts).format(count=row.attempts)
        if row.attempts
        else ""
    )
    why = f": {row.reason}" if row.reason else ""
    if row.state == "sent":
        return _("sent {clock}").format(clock=wording.clock(row.settled_at or row.created_at, zone, now))
    if row.state == HELD:
        return _("held until {clock}, your quiet hours").format(clock=wording.clock(row.due_at, zone, now))
    if row.state == "moved":
        return f"{row.reason} ({wording.clock(row.settled_at or row.created_at, zone, now)})"
    if row.state == "dead":
        return _("given up {clock}{tries}{why}").format(
            clock=wording.clock(row.settled_at or row.created_at, zone, now), tries=tries, why=why
        )
    again = _(", again at {clock}").format(clock=wording.clock(row.due_at, zone, now)) if row.due_at > now else ""
    return _("waiting since {clock}{tries}{again}{why}").format(
        clock=wording.clock(row.created_at, zone, now), tries=tries, again=again, why=why
    )


def _stored(row: Any, trigger: Trigger | None) -> StoredAlert:
    return StoredAlert(alert=alert_of_row(row), up_armed=row.up_armed, down_armed=row.down_armed, last_trigger=trigger)


def _trigger(row: Any) -> Trigger:
    names = (field for field in Trigger.__struct_fields__ if field != "nature")
    return Trigger(nature=Nature(row.nature), **cast(dict[str, Any], {name: getattr(row, name) for name in names}))
