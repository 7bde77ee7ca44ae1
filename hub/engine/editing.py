"""An alert that is armed again, or is given other words: the requests "again" and "edit".

Both are bound to the stream's last sequence at their moment, as a new alert is: the side is the series' value there.
What is silent stays silent with its new words. Each is one transaction of the ledger, and memory follows it.
"""

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from hub import reader
from hub.engine.looking import look
from hub.engine.new import New, check_places, check_room, check_time, check_words, columns, new, words
from hub.engine.owner import Owner, by, changed, owned
from hub.ledger import alerts
from hub.model import Alert, AlertChange, Armed, State
from hub.plugin import BadRequest
from hub.rules.gates import PARTS
from hub.rules.language import Find, parse
from hub.rules.numbers import digits
from hub.rules.spec import cost_of

FINISHED = (State.DONE, State.EXPIRED)
OVER = (*FINISHED, State.PAUSED)
SILENT = (State.SNOOZED, State.MUTED)


async def again(engine: Owner, change: AlertChange) -> Armed:
    """Armed against the price of now, also where it rang already and waits behind its band."""
    last = (await reader.stream_state(engine.bus)).last
    before = await owned(engine, change, (*OVER, *alerts.AWAKE, State.SNOOZED))
    spec = parse(before.text, engine.board.catalogue.find)
    async with engine.warmth.of(spec, before.owner_id), engine.lock:
        alert = await owned(engine, change, (*OVER, *alerts.AWAKE, State.SNOOZED))
        with new(engine, spec, alert.owner_id, last) as made:
            if alert.state is State.ARMED:
                engine.board.maker.dropped(made.standing)
                return Armed(alert=alert, price=made.book.value, existed=True)
            check_time(spec, alert, engine.board.clock)
            alert = await _armed(engine, alert, made, f"armed again by {by(change)}")
    return await answered(engine, alert, made)


async def edit(engine: Owner, change: AlertChange) -> Armed:
    """`line` in the place of what the alert said; refused where that was not `was`, if given."""
    spec = parse(change.line, engine.board.catalogue.find)
    last = (await reader.stream_state(engine.bus)).last
    async with engine.warmth.of(spec, change.owner_id), engine.lock:
        alert = await owned(engine, change, (*OVER, *alerts.AWAKE, *SILENT))
        if change.was and change.was != alert.text:
            raise BadRequest(f"alert {alert.id} was changed meanwhile, to {alert.text}: look, and say it again")
        with new(engine, spec, alert.owner_id, last) as made:
            if made.text == alert.text and alert.state in (*alerts.AWAKE, *SILENT):
                engine.board.maker.dropped(made.standing)
                return Armed(alert=alert, price=made.book.value, existed=True)
            told = f"{_what_changed(alert.text, made, engine.board.catalogue.find)} by {by(change)}"
            if alert.state in SILENT:
                return Armed(alert=await _reworded(engine, alert, made, told), price=made.book.value)
            alert = await _armed(engine, alert, made, told)
    return await answered(engine, alert, made)


def _what_changed(before: str, made: New, find: Find) -> str:
    """ "moved from 2400 to 2424" where only the level is another."""
    try:
        old = parse(before, find)
    except BadRequest:
        return f"changed to {made.text}"
    moved = msgspec.structs.replace(old.first, level=made.spec.first.level)
    if msgspec.structs.replace(old, clauses=(moved, *old.clauses[1:])) == made.spec:
        return f"moved from {digits(old.first.level)} to {digits(made.spec.first.level)}"
    return f"changed from {before} to {made.text}"


async def _armed(engine: Owner, alert: Alert, made: New, told: str) -> Alert:
    """Live from its place in the stream on; what it did before is its past."""
    place = engine.position
    continued(made, alert)
    values = {**columns(engine, made, place.stream, engine.now_us()), "snoozed_until": None}
    alert = await changed(engine, alert.id, values, told, _check(engine, alert, made))
    engine.board.stand(alert.id, made.standing, made.sequence if made.sequence > place.sequence else None)
    return alert


async def _reworded(engine: Owner, alert: Alert, made: New, told: str) -> Alert:
    """Silent as before."""
    continued(made, alert)
    values = {**words(made), "cooling_until": None}
    alert = await changed(engine, alert.id, values, told, _check(engine, alert, made))
    if (silence := engine.board.silences.get(alert.id)) is not None:
        engine.board.sleep(alert.id, made.standing, silence.until, silence.then)
    return alert


def continued(made: New, alert: Alert) -> None:
    """The same alert goes on: what it rang before does not count for `once`."""
    made.standing.generation = made.standing.armed_generation = alert.generation
    for part, gate in enumerate(made.standing.gates):
        gate.key = (alert.id << PARTS) + part


def _check(engine: Owner, alert: Alert, made: New) -> Callable[[sa.Connection], None]:
    def check(c: sa.Connection) -> None:
        check_words(c, alert.owner_id, made.text, alert)
        cost = cost_of(made.spec)
        if alert.state in FINISHED or cost > alert.cost:
            check_room(c, alert.owner_id, cost, engine.per_person, alert.id)
        check_places(c, alert.owner_id, made.spec)

    return check


async def answered(engine: Owner, alert: Alert, made: New) -> Armed:
    """What the person hears, once the engine has read up to its place, or it takes too long."""
    lacks = await engine.until(made.sequence)
    price = made.book.value if lacks == 0 else None
    true = made.true if made.known else lacks == 0 and price is not None and engine.board.true(made.standing)
    seen = None if made.spec.plain and made.standing.course is None else look(engine.board, alert.id, made.standing)
    return Armed(alert=alert, price=price, already_true=true, behind=lacks, look=seen)
