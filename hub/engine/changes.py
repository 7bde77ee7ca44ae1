"""Changes of alerts: requests from people, answered by the one engine that may carry them out.

Each is bound to the stream's last sequence at its moment and is one transaction of the ledger; memory follows once it
is committed. What cannot be done is a sentence for the person who asked. Here are creating, deleting and waking; words
and re-arming are in `editing`, silences in `silence`, one person becoming another in `adoption`. Depends on hub.ledger
and hub.reader.
"""

from collections.abc import Awaitable
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from hub import reader
from hub.engine.adoption import adopt
from hub.engine.editing import OVER, SILENT, again, answered, continued, edit
from hub.engine.looking import looks
from hub.engine.new import New, check_places, check_room, check_words, columns, new
from hub.engine.owner import Owner, by, changed, held, owned
from hub.engine.roster import WOKEN
from hub.engine.silence import mute, pause, silent_again, snooze, unmute
from hub.ledger import LedgerTrouble, alerts, rings
from hub.ledger.outbox import Due
from hub.ledger.rings import Rang
from hub.model import Alert, AlertAnswer, AlertChange, Armed, State
from hub.plugin import BadRequest
from hub.rules.language import parse
from hub.rules.spec import cost_of

log = structlog.get_logger("engine")
RESTS = (*OVER, *SILENT)
"""An alert that says nothing says nothing after a deletion that was undone either."""


class Changes:
    def __init__(self, engine: Owner) -> None:
        self.engine = engine
        self.board = engine.board

    async def answer(self, payload: bytes) -> bytes:
        """An AlertChange → an AlertAnswer."""
        try:
            answer = await self._answer(msgspec.json.decode(payload, type=AlertChange))
        except msgspec.MsgspecError as error:
            answer = AlertAnswer(error=f"not a change of an alert: {error}")
        except BadRequest as error:
            answer = AlertAnswer(error=error.text)
        except LedgerTrouble as error:
            answer = AlertAnswer(error=str(error))
        return msgspec.json.encode(answer)

    async def _answer(self, change: AlertChange) -> AlertAnswer:
        match change.action:
            case "adopt":
                if not await self.engine.bring(change.from_owner_id):
                    raise BadRequest("the alerts of the two could not be brought together now; try again")
                return AlertAnswer(moved=await adopt(self.engine, change))
            case "mute":
                return AlertAnswer(alerts=await mute(self.engine, change))
            case "look":
                return AlertAnswer(looks=looks(self.board, change.owner_id, change.alert_ids))
            case "unmute":
                return AlertAnswer(alerts=await unmute(self.engine, self.rearm, change))
        return AlertAnswer(armed=await self._one(change))

    def _one(self, change: AlertChange) -> Awaitable[Armed]:
        match change.action:
            case "create":
                return self._create(change)
            case "again":
                return again(self.engine, change)
            case "edit":
                return edit(self.engine, change)
            case "snooze":
                return snooze(self.engine, change)
            case "wake":
                return self.rearm(change, "woken", State.SNOOZED, State.MUTED, State.PAUSED)
            case "pause":
                return pause(self.engine, change)
            case "delete":
                return self._delete(change)
            case "restore":
                return self._restore(change)
        raise AssertionError(f"{change.action} is not of one alert")

    # ------------------------------------------------------------------------------------------- creation

    async def _create(self, change: AlertChange) -> Armed:
        engine, spec = self.engine, parse(change.line, self.board.catalogue.find)
        state = await reader.stream_state(engine.bus)
        if change.fire_now:  # whether it holds now is known only where the stream is read up to now
            await engine.until(state.last)
        async with engine.warmth.of(spec, change.owner_id), engine.lock:
            with new(engine, spec, change.owner_id, state.last) as made:
                alert, existed, rang, dues = await held(engine, lambda c: self._insert(c, change, made, state.id))
                self._stand(made, alert, existed)
            await engine.told(rang, dues)
        if existed:
            return Armed(alert=alert, price=made.book.value, existed=True)
        log.info("an alert was created", alert=alert.id, text=made.text, sequence=made.sequence)
        return await answered(engine, alert, made)

    def _stand(self, made: New, alert: Alert, existed: bool) -> None:
        """In memory, as its row is now. One that was there stays, unless it has rung now."""
        if existed or alert.state is State.DONE:
            self.board.maker.dropped(made.standing)
            if not existed:
                self.board.forget(alert.id)
            return
        self.board.maker.named(made.standing, alert.id)
        behind = made.sequence > self.engine.position.sequence
        self.board.stand(alert.id, made.standing, made.sequence if behind else None)

    def _insert(
        self, c: sa.Connection, change: AlertChange, made: New, stream: str
    ) -> tuple[Alert, bool, list[Rang], list[Due]]:
        """The row, and its trigger where it shall ring at once; or the alert of these very words that is there."""
        now, fires = self.engine.now_us(), made.true and change.fire_now
        old = alerts.same(c, change.owner_id, made.text)
        if old is not None and not fires:
            return old, True, [], []
        if old is None:
            check_room(c, change.owner_id, cost_of(made.spec), self.engine.per_person)
            check_places(c, change.owner_id, made.spec)
        alert_id = alerts.insert(c, self._row(change, made, stream, now)) if old is None else old.id
        if old is None:
            alerts.tell(c, alert_id, now, f"created by {by(change)}: {made.text}")
        rang: list[Rang] = []
        dues: list[Due] = []
        if fires:
            made.standing.generation = 1 if old is None else old.generation + 1
            made.standing.armed_generation = made.standing.generation - 1
            rang = [self.board.ringing.rang_now(alert_id, made.standing)]
            worker, until = self.engine.claim(now)
            dues = rings.save_rang(c, rang, stream, now, worker, until, self.board.catalogue.get, asked=True)
            fired = made.standing.change(alert_id, self.board.clock)
            alerts.save_states(c, [msgspec.structs.replace(fired, last_fired_at=made.book.received_at)])
            alerts.tell(c, alert_id, now, f"rang: {rang[0].title}")
        alert = alerts.find(c, alert_id)
        assert alert is not None
        return alert, False, rang, dues

    def _row(self, change: AlertChange, made: New, stream: str, now: int) -> dict[str, Any]:
        return {
            **columns(self.engine, made, stream, now),
            "owner_id": change.owner_id,
            "user_id": change.user_id,
            "created_at": now,
        }

    # ---------------------------------------------------------------------------------------- later changes

    async def _delete(self, change: AlertChange) -> Armed:
        async with self.engine.lock:
            alert = await owned(self.engine, change)
            if alert.state is State.DELETED:
                raise BadRequest(f"alert {alert.id} is deleted already: `delete {alert.id} undo` brings it back")
            values = {"state": State.DELETED.value, "deleted_at": self.engine.now_us()}
            resume = alert.state.value if alert.state in RESTS else ""
            alert = await changed(self.engine, alert.id, {**values, "resume_state": resume}, f"deleted by {by(change)}")
            self.board.forget(alert.id)
        return Armed(alert=alert)

    async def _restore(self, change: AlertChange) -> Armed:
        """As it was where it was over or silent, else live again."""
        was = await self.engine.ledger.read(lambda c: alerts.state_before(c, change.alert_id))
        if was in SILENT and (restored := await silent_again(self.engine, change, was)) is not None:
            return restored
        if was not in OVER:
            return await self.rearm(change, "restored", State.DELETED)
        async with self.engine.lock:
            alert = await owned(self.engine, change, (State.DELETED,))
            spec = parse(alert.text, self.board.catalogue.find)

            def check(c: sa.Connection) -> None:
                if was is State.PAUSED:
                    check_words(c, alert.owner_id, alert.text, alert)
                    check_room(c, alert.owner_id, cost_of(spec), self.engine.per_person, alert.id)

            values = {"state": was.value, "deleted_at": None, "resume_state": ""}
            return Armed(alert=await changed(self.engine, alert.id, values, f"restored by {by(change)}", check))

    async def rearm(self, change: AlertChange, word: str, *states: State) -> Armed:
        """Live again: the first value after this sets the side and fires nothing. What rings at most every so often
        goes on counting from when it rang last."""
        engine = self.engine
        last = (await reader.stream_state(engine.bus)).last
        before = await owned(engine, change, states)
        spec = parse(before.text, self.board.catalogue.find)
        async with engine.warmth.of(spec, before.owner_id), engine.lock:
            sequence = max(last, engine.position.sequence)
            alert = await owned(engine, change, states)
            cools = (alert.cooling_until or 0) > engine.board.clock
            values = {
                "state": State.COOLING.value if cools else State.ARMED.value,
                "snoozed_until": None,
                "muted_until": None,
                "deleted_at": None,
                "up_armed": None,
                "down_armed": None,
                "memory": None,
                "armed_stream": engine.position.stream,
                "armed_sequence": sequence,
                "armed_at": engine.now_us(),
                "resume_state": WOKEN,
            }

            def check(c: sa.Connection) -> None:
                if alert.state is State.DELETED:
                    check_words(c, alert.owner_id, alert.text)
                    check_room(c, alert.owner_id, cost_of(spec), engine.per_person, alert.id)

            with new(engine, spec, alert.owner_id, sequence) as made:
                alert = await changed(engine, alert.id, values, f"{word} by {by(change)}", check)
                continued(made, alert)
                if cools and made.standing.more is not None:
                    made.standing.more.cooling_until = alert.cooling_until or 0
                behind = sequence > engine.position.sequence
                self.board.stand_unsettled(alert.id, made.standing, sequence if behind else None)
        return Armed(alert=alert)
