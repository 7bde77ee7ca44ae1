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
from hub.engine.new import check_room, check_time, check_words
from hub.engine.owner import Owner, by, changed, held, owned
from hub.engine.standing import Standing
from hub.ledger import alerts
from hub.model import Alert, AlertChange, Armed, State
from hub.plugin import BadRequest
from hub.rules.language import parse
from hub.rules.spec import AlertSpec, cost_of

UNSETTLED = {"up_armed": None, "down_armed": None, "memory": None}
FINISHED = (State.DONE, State.EXPIRED)
SNOOZABLE = (*alerts.AWAKE, State.SNOOZED, State.MUTED, *FINISHED)
Rearm = Callable[[AlertChange, str, State], Awaitable[Armed]]
"""How an alert in that state is armed again, with its side not known; the word is for its history."""


async def snooze(engine: Owner, change: AlertChange) -> Armed:
    """One that has rung and was meant to ring once watches again when the time is over."""
    if change.until is None:
        raise BadRequest("say until when: `snooze 12 2h`")
    until, board = change.until, engine.board
    before = await owned(engine, change, SNOOZABLE)
    spec = parse(before.text, board.catalogue.find)
    async with engine.warmth.of(spec, before.owner_id), engine.lock:
        alert = await owned(engine, change, SNOOZABLE)
        if alert.state in FINISHED:
            check_time(spec, alert, board.clock)
        muted = alert.state is State.MUTED
        values: dict[str, Any] = {"snoozed_until": until, **UNSETTLED}
        if not muted:
            values["state"] = State.SNOOZED.value
        check = _live_again(engine, spec, alert) if alert.state in FINISHED else _anything
        told = f"snoozed until {_day_and_time(until)} by {by(change)}"
        alert = await changed(engine, alert.id, values, told, check)
        mute = board.silences.get(alert.id)
        standing = _remade(engine, spec, alert) if alert.id not in board.standing else None
        if muted and mute is not None:
            board.sleep(alert.id, standing, mute.until, until)
        else:
            board.sleep(alert.id, standing, until)
    return Armed(alert=alert)


async def silent_again(engine: Owner, change: AlertChange, was: State) -> Armed | None:
    """After a deletion that is undone: silent as it was, for the rest of its time; None where that is over."""
    before = await owned(engine, change, (State.DELETED,))
    spec = parse(before.text, engine.board.catalogue.find)
    async with engine.warmth.of(spec, before.owner_id), engine.lock:
        alert = await owned(engine, change, (State.DELETED,))
        until = alert.muted_until if was is State.MUTED else alert.snoozed_until or 0
        if until is not None and until <= engine.now_us():
            return None
        values = {"state": was.value, "deleted_at": None, "resume_state": "", **UNSETTLED}
        told = f"restored by {by(change)}, still {was.value}"
        alert = await changed(engine, alert.id, values, told, _live_again(engine, spec, alert))
        then = (alert.snoozed_until or 0) if was is State.MUTED else 0
        engine.board.sleep(alert.id, _remade(engine, spec, alert), until, then)
    return Armed(alert=alert)


def _remade(engine: Owner, spec: AlertSpec, alert: Alert) -> Standing:
    """For an alert that is not in memory any more."""
    standing = engine.board.maker.made(spec, alert.text, alert.owner_id, alert.id)
    standing.generation = standing.armed_generation = alert.generation
    if standing.more is not None and (alert.cooling_until or 0) > engine.board.clock:
        standing.more.cooling_until = alert.cooling_until or 0
    return standing


def _live_again(engine: Owner, spec: AlertSpec, alert: Alert) -> Callable[[sa.Connection], None]:
    """What was over counts again."""

    def check(c: sa.Connection) -> None:
        check_words(c, alert.owner_id, alert.text, alert)
        check_room(c, alert.owner_id, cost_of(spec), engine.per_person, alert.id)

    return check


def _anything(_connection: sa.Connection) -> None:
    """Nothing to be checked."""


async def pause(engine: Owner, change: AlertChange) -> Armed:
    """Until somebody says so; what it would watch then is what it watches now."""
    async with engine.lock:
        alert = await owned(engine, change, (*alerts.AWAKE, State.SNOOZED, State.MUTED))
        values = {"state": State.PAUSED.value, "snoozed_until": None, "muted_until": None, **UNSETTLED}
        alert = await changed(engine, alert.id, values, f"paused by {by(change)}")
        engine.board.forget(alert.id)
    return Armed(alert=alert)


async def mute(engine: Owner, change: AlertChange) -> tuple[Alert, ...]:
    """All of the owner's alerts on `instrument`, until a time or until `unmute`. What is snoozed longer stays so."""
    now, until = engine.now_us(), change.until
    values = {"state": State.MUTED.value, "muted_until": until, **UNSETTLED}
    told = f"muted{f' until {_day_and_time(until)}' if until else ''} by {by(change)}"

    def transaction(c: sa.Connection) -> list[Alert]:
        there = alerts.of_instrument(c, change.owner_id, change.instrument, (*alerts.AWAKE, State.SNOOZED, State.MUTED))
        kept = [each for each in there if not _silent_longer(each, until)]
        for each in kept:
            alerts.update(c, each.id, values)
            alerts.tell(c, each.id, now, told)
        return [found for each in kept if (found := alerts.find(c, each.id))]

    async with engine.lock:
        muted = await held(engine, transaction)
        for each in muted:
            engine.board.sleep(each.id, None, until, each.snoozed_until or 0)
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
        engine.board.sleep(alert.id, None, until)
    return alert


def _day_and_time(time_us: int) -> str:
    return f"{wording.moment(time_us):%Y-%m-%d %H:%M} UTC"
