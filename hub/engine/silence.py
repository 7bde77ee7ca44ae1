"""Alerts that say nothing for a while: snoozed one by one, or muted with all of their instrument.

The requests that begin and end a silence; each writes what it changes in one transaction of the ledger. Whatever an
alert's silence ends by, the first value after it sets its side and fires nothing. A snooze goes on beneath a mute, and
is what an alert goes back to. Depends on hub.ledger.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from hub import wording
from hub.engine.owner import Owner, by, changed, held, owned
from hub.engine.silences import FOREVER
from hub.ledger import alerts
from hub.model import Alert, AlertChange, Armed, State
from hub.plugin import BadRequest
from hub.rules.language import parse

LIVE = (State.ARMED, State.FIRED, State.DWELLING)


Rearm = Callable[[AlertChange, str, State], Awaitable[Armed]]
"""How an alert in that state is armed again, with its side not known; the word is for its history."""


async def snooze(engine: Owner, change: AlertChange) -> Armed:
    """One that has rung and was meant to ring once watches again when the time is over."""
    if change.until is None:
        raise BadRequest("say until when: `snooze 12 2h`")
    until, board = change.until, engine.board
    async with engine.lock:
        alert = await owned(engine, change, (*LIVE, State.SNOOZED, State.MUTED, State.DONE, State.EXPIRED))
        muted = alert.state is State.MUTED
        values: dict[str, Any] = {"snoozed_until": until, "up_armed": None, "down_armed": None}
        if not muted:
            values["state"] = State.SNOOZED.value
        alert = await changed(engine, alert.id, values, f"snoozed until {_day_and_time(until)} by {by(change)}")
        before = board.silences.get(alert.id)
        level = board.forget(alert.id) or (before.level if before else None)
        if level is None:
            spec = parse(alert.text, board.catalogue.find)
            level = board.level_of(spec, alert.id, generation=alert.generation)
            board.stand_silent(alert, spec.series.key)
        if muted and before is not None:
            board.silences.put(level, before.until, until)
        else:
            board.silences.put(level, until)
    return Armed(alert=alert)


async def mute(engine: Owner, change: AlertChange) -> tuple[Alert, ...]:
    """All of the owner's alerts on `instrument`, until a time or until `unmute`. What is snoozed longer stays so."""
    now, until = engine.now_us(), change.until
    values = {"state": State.MUTED.value, "muted_until": until, "up_armed": None, "down_armed": None}
    told = f"muted{f' until {_day_and_time(until)}' if until else ''} by {by(change)}"

    def transaction(c: sa.Connection) -> list[Alert]:
        there = alerts.of_instrument(c, change.owner_id, change.instrument, (*LIVE, State.SNOOZED, State.MUTED))
        kept = [each for each in there if not _silent_longer(each, until)]
        for each in kept:
            alerts.update(c, each.id, values)
            alerts.tell(c, each.id, now, told)
        return [found for each in kept if (found := alerts.find(c, each.id))]

    async with engine.lock:
        muted = await held(engine, transaction)
        for each in muted:
            silence = engine.board.silences.get(each.id)
            level = engine.board.forget(each.id) or (silence.level if silence else None)
            if level is not None:
                engine.board.silences.put(level, until or FOREVER, each.snoozed_until or 0)
    return tuple(muted)


def _silent_longer(alert: Alert, until: int | None) -> bool:
    return alert.state is State.SNOOZED and until is not None and (alert.snoozed_until or 0) >= until


async def unmute(engine: Owner, rearm: Rearm, change: AlertChange) -> tuple[Alert, ...]:
    """Those that were snoozed beneath it are so again, the others watch from where the price is."""
    muted = await engine.ledger.read(
        lambda c: alerts.of_instrument(c, change.owner_id, change.instrument, (State.MUTED,))
    )
    return tuple([await _unmuted(engine, rearm, change, each) for each in muted])


async def _unmuted(engine: Owner, rearm: Rearm, change: AlertChange, alert: Alert) -> Alert:
    one = msgspec.structs.replace(change, alert_id=alert.id)
    until = alert.snoozed_until or 0
    if until <= engine.now_us():
        return (await rearm(one, "unmuted", State.MUTED)).alert
    async with engine.lock:
        values = {"state": State.SNOOZED.value, "muted_until": None}
        alert = await changed(engine, alert.id, values, f"unmuted by {by(change)}, still snoozed")
        silence = engine.board.silences.get(alert.id)
        if silence is not None:
            engine.board.silences.put(silence.level, until)
    return alert


def _day_and_time(time_us: int) -> str:
    return f"{wording.moment(time_us):%Y-%m-%d %H:%M} UTC"
