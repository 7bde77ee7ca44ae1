"""Alerts as people read them: their state, what rang last, what became of it, and their life so far.

Functions of a connection, for `Ledger.read`; nothing here writes (the engine is the only writer of alerts).
Every function that takes `owner_id` shows that owner's alerts and nobody else's.
"""

from typing import Any, cast

import msgspec
import sqlalchemy as sa

from hub import wording
from hub.i18n import _, later, several
from hub.ledger.alerts import alert_of as alert_of_row
from hub.ledger.quiet import HELD
from hub.ledger.tables import alert_events, alerts, destinations, notifications, triggers
from hub.model import Alert, Instrument, Nature, Quote, State, Trigger
from hub.rules.language import AlertSpec

FINISHED = (State.DONE, State.EXPIRED, State.DELETED)
LINES = 20
ENDED = {
    State.DONE: later("nothing: it has rung and was meant to ring once"),
    State.EXPIRED: later("nothing: its time is over"),
    State.DELETED: later("nothing: it is deleted; delete {id} undo brings it back"),
}


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


def unfinished(connection: sa.Connection, owner_id: int) -> int:
    """How many alerts count against the owner's limit."""
    query = sa.select(sa.func.count()).where(alerts.c.owner_id == owner_id, alerts.c.state.not_in(FINISHED))
    return int(connection.execute(query).scalar_one())


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


def history_of(connection: sa.Connection, alert_id: int, zone: str, now: int) -> tuple[str, ...]:
    """The alert's life, the newest first: "14:02:11 snoozed until 16:00 by anna"."""
    rows = connection.execute(
        sa.select(alert_events.c.at, alert_events.c.text)
        .where(alert_events.c.alert_id == alert_id)
        .order_by(alert_events.c.id.desc())
        .limit(LINES)
    )
    return tuple(f"{wording.clock(row.at, zone, now)} {row.text}" for row in rows)


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


def waits_for(
    stored: StoredAlert,
    spec: AlertSpec,
    instrument: Instrument,
    quote: Quote | None,
    *,
    band: float,
    zone: str,
    now: int,
) -> str:
    """What has to happen for the alert to ring, in plain words. Pure; `band` is in the price's own units."""
    alert = stored.alert
    if alert.state in FINISHED:
        return _(ENDED[alert.state]).format(id=alert.id)
    if alert.state == State.SNOOZED and alert.snoozed_until is not None:
        until = wording.clock(alert.snoozed_until, zone, now)
        return _("the end of its silence at {until}; then it watches from where the price is").format(until=until)
    if alert.state == State.MUTED:
        end = f" at {wording.clock(alert.muted_until, zone, now)}" if alert.muted_until else ""
        return _("the end of its mute{end}; mute {instrument} off ends it now").format(
            end=end, instrument=alert.instrument
        )
    if quote is None:
        return _("the first price of {instrument}").format(instrument=instrument.name)
    half = _half_words(spec, stored, quote.price, band, instrument)
    if not quote.market_open:
        return _("{half}; the market is closed now").format(half=half)
    if quote.stale_since is not None:
        return _("{half}; no price has come since {clock}").format(
            half=half, clock=wording.clock(quote.stale_since, zone, now)
        )
    return half


def _half_words(spec: AlertSpec, stored: StoredAlert, price: float, band: float, instrument: Instrument) -> str:
    """Which way the price has to go, for the halves that are armed; else the way out of the band first."""

    decimals = instrument.decimals
    while band and decimals < 12 and round(spec.level - band, decimals) == round(spec.level, decimals):
        decimals += 1  # a level far below the usual prices: its band shows only with more digits

    def shown(value: float) -> str:
        return wording.price(value, decimals if value != spec.level else instrument.decimals)

    up = stored.up_armed if stored.up_armed is not None else price < spec.level
    down = stored.down_armed if stored.down_armed is not None else price > spec.level
    away = wording.percent(abs(spec.level / price - 1), signed=False)
    ways = []
    if spec.condition in ("above", "crosses") and up:
        ways.append(
            _("rise by {away} to {level}").format(away=away, level=shown(spec.level))
            if price < spec.level
            else _("rise over {level}").format(level=shown(spec.level))
        )
    if spec.condition in ("below", "crosses") and down:
        ways.append(
            _("fall by {away} to {level}").format(away=away, level=shown(spec.level))
            if price > spec.level
            else _("fall under {level}").format(level=shown(spec.level))
        )
    if ways:
        return _("{instrument} to {ways}").format(instrument=instrument.name, ways=_(" or ").join(ways))
    if spec.condition == "above":
        return _("{instrument} to fall to {edge} first, then to rise to {level}").format(
            instrument=instrument.name, edge=shown(spec.level - band), level=shown(spec.level)
        )
    if spec.condition == "below":
        return _("{instrument} to rise to {edge} first, then to fall to {level}").format(
            instrument=instrument.name, edge=shown(spec.level + band), level=shown(spec.level)
        )
    return _("{instrument} to leave {low} to {high} first, then to cross it").format(
        instrument=instrument.name, low=shown(spec.level - band), high=shown(spec.level + band)
    )
