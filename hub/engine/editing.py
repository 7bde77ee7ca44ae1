"""An alert that is armed again, or is given other words: the requests "again" and "edit".

Both are bound to the stream's last sequence at their moment, as a new alert is: the side is the series' value there.
What is silent stays silent with its new words. Each is one transaction of the ledger, and memory follows it.
"""

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from hub import reader
from hub.engine.new import New, check_places, check_room, check_words, columns, new, words
from hub.engine.owner import Owner, by, changed, owned
from hub.model import Alert, AlertChange, Armed, State
from hub.plugin import BadRequest
from hub.rules.language import Find, parse
from hub.rules.numbers import digits

OVER = (State.DONE, State.EXPIRED)
SILENT = (State.SNOOZED, State.MUTED)
LIVE = (State.ARMED, State.FIRED, State.DWELLING)


async def again(engine: Owner, change: AlertChange) -> Armed:
    """Armed against the price of now, also where it rang already and waits behind its band."""
    last = (await reader.stream_state(engine.bus)).last
    async with engine.lock:
        alert = await owned(engine, change, (*OVER, *LIVE, State.SNOOZED))
        spec = parse(alert.text, engine.board.catalogue.find)
        if alert.state is State.ARMED:
            book = engine.board.book(spec.series.key, alert.instrument)
            return Armed(alert=alert, price=book.value, existed=True)
        made = new(engine, spec, last)
        alert = await _armed(engine, alert, made, f"armed again by {by(change)}")
    return await _answer(engine, alert, made)


async def edit(engine: Owner, change: AlertChange) -> Armed:
    """`line` in the place of what the alert said; refused where that was not `was`, if given."""
    spec = parse(change.line, engine.board.catalogue.find)
    last = (await reader.stream_state(engine.bus)).last
    async with engine.lock:
        alert = await owned(engine, change, (*OVER, *LIVE, *SILENT))
        if change.was and change.was != alert.text:
            raise BadRequest(f"alert {alert.id} was changed meanwhile, to {alert.text}: look, and say it again")
        made = new(engine, spec, last)
        if made.text == alert.text and alert.state in (*LIVE, *SILENT):
            return Armed(alert=alert, price=made.book.value, existed=True)
        told = f"{_what_changed(alert.text, made, engine.board.catalogue.find)} by {by(change)}"
        if alert.state in SILENT:
            return Armed(alert=await _reworded(engine, alert, made, told), price=made.book.value)
        alert = await _armed(engine, alert, made, told)
    return await _answer(engine, alert, made)


def _what_changed(before: str, made: New, find: Find) -> str:
    """ "moved from 2400 to 2424" where only the level is another."""
    try:
        old = parse(before, find)
    except BadRequest:
        return f"changed to {made.text}"
    if msgspec.structs.replace(old, level=made.spec.level) == made.spec:
        return f"moved from {digits(old.level)} to {digits(made.spec.level)}"
    return f"changed from {before} to {made.text}"


async def _armed(engine: Owner, alert: Alert, made: New, told: str) -> Alert:
    """Live from its place in the stream on; what it did before is its past."""
    board, place = engine.board, engine.position
    _continued(made, alert)
    state = board.state_of(made.level, None).state
    values = {**columns(made, place.stream, engine.now_us()), "state": state, "snoozed_until": None}
    alert = await changed(engine, alert.id, values, told, _check(engine, alert, made))
    board.unsnooze(alert.id)
    board.stand(alert, made.book.key, made.level, made.sequence if made.sequence > place.sequence else None)
    return alert


async def _reworded(engine: Owner, alert: Alert, made: New, told: str) -> Alert:
    """Silent as before."""
    silences = engine.board.silences
    _continued(made, alert)
    alert = await changed(engine, alert.id, words(made), told, _check(engine, alert, made))
    if (silence := silences.get(alert.id)) is not None:
        engine.board.stand_silent(alert, made.book.key)
        silences.put(made.level, silence.until, silence.then)
    return alert


def _continued(made: New, alert: Alert) -> None:
    """The same alert goes on: what it rang before does not count for `once`."""
    made.level.id = alert.id
    made.level.generation = made.level.armed_generation = alert.generation


def _check(engine: Owner, alert: Alert, made: New) -> Callable[[sa.Connection], None]:
    def check(c: sa.Connection) -> None:
        check_words(c, alert.owner_id, made.text, alert)
        if alert.state in OVER:
            check_room(c, alert.owner_id, engine.per_person)
        check_places(c, alert.owner_id, made.spec)

    return check


async def _answer(engine: Owner, alert: Alert, made: New) -> Armed:
    lacks = await engine.until(made.sequence)
    price = made.book.value if lacks == 0 else None
    true = made.true if made.known else price is not None and made.level.true_at(price)
    return Armed(alert=alert, price=price, already_true=true, behind=lacks)
