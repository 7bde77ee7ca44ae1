"""Changes of alerts: requests from people, answered by the one engine that may carry them out.

Each is bound to the stream's last sequence at its moment and is one transaction of the ledger; memory follows once it
is committed. What cannot be done is a sentence for the person who asked. Depends on hub.ledger and hub.reader.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
import structlog

from hub import reader
from hub.bus import Bus
from hub.engine.board import WOKEN, Board, Book, Standing
from hub.frame import Position
from hub.ledger import Ledger, LedgerTrouble, alerts, leases
from hub.ledger.alerts import Rang
from hub.ledger.outbox import Due
from hub.model import SECOND_US, Alert, AlertAnswer, AlertChange, Armed, State
from hub.plugin import BadRequest
from hub.rules.language import AlertSpec, canonical, parse
from hub.rules.levels import Level

log = structlog.get_logger("engine")


class Owner(Protocol):
    """What is needed of the engine itself."""

    bus: Bus
    ledger: Ledger
    board: Board
    lock: asyncio.Lock
    lease_epoch: int
    now_us: Callable[[], int]

    @property
    def position(self) -> Position: ...
    async def until(self, sequence: int) -> int:
        """Waits until the engine has read that far; how many frames it lacks if that takes too long."""
        ...

    def claim(self, now: int) -> tuple[str, int]:
        """Who rows of the outbox are claimed for at once, and until when."""
        ...

    async def told(self, rang: Sequence[Rang], dues: Sequence[Due]) -> None: ...


class New(msgspec.Struct):
    """An alert about to be made, with what is known of it before it has a number."""

    spec: AlertSpec
    text: str
    level: Level
    book: Book
    sequence: int
    known: bool  # the engine stands at that sequence and the series has a value
    true: bool  # and the condition holds there
    fires: bool


class Changes:
    def __init__(self, engine: Owner, per_person: int) -> None:
        self.engine = engine
        self.board = engine.board
        self._per_person = per_person

    async def answer(self, payload: bytes) -> bytes:
        """An AlertChange → an AlertAnswer."""
        try:
            armed = await self._change(msgspec.json.decode(payload, type=AlertChange))
            return msgspec.json.encode(AlertAnswer(armed=armed))
        except msgspec.MsgspecError as error:
            return msgspec.json.encode(AlertAnswer(error=f"not a change of an alert: {error}"))
        except BadRequest as error:
            return msgspec.json.encode(AlertAnswer(error=error.text))
        except LedgerTrouble as error:
            return msgspec.json.encode(AlertAnswer(error=str(error)))

    def _change(self, change: AlertChange) -> Awaitable[Armed]:
        match change.action:
            case "create":
                return self._create(change)
            case "snooze":
                return self._snooze(change)
            case "wake":
                return self._rearm(change, "woken", (State.SNOOZED,))
            case "delete":
                return self._delete(change)
            case "restore":
                return self._rearm(change, "restored", (State.DELETED,))

    # ------------------------------------------------------------------------------------------- creation

    async def _create(self, change: AlertChange) -> Armed:
        engine, spec = self.engine, parse(change.line, self.board.catalogue.find)
        state = await reader.stream_state(engine.bus)
        if change.fire_now:  # whether it holds now is known only where the stream is read up to now
            await engine.until(state.last)
        async with engine.lock:
            new = self._new(spec, change, max(state.last, engine.position.sequence))
            alert, existed, rang, dues = await engine.ledger.write(
                lambda c: self._insert(c, change, new, state.id, engine.now_us())
            )
            if existed:
                return Armed(alert=alert, price=new.book.value, existed=True)
            new.level.id = alert.id
            behind = new.sequence > engine.position.sequence
            self.board.stand(alert, spec.series.key, new.level, new.sequence if behind else None)
            await engine.told(rang, dues)
        log.info("an alert was created", alert=alert.id, text=new.text, sequence=new.sequence)
        lacks = await engine.until(new.sequence)
        price = new.book.value if lacks == 0 else None
        true = new.true if new.known else price is not None and new.level.true_at(price)
        return Armed(alert=alert, price=price, already_true=true, behind=lacks)

    def _new(self, spec: AlertSpec, change: AlertChange, sequence: int) -> New:
        book = self.board.book(spec.series.key, spec.series.instruments[0])
        level = self.board.level_of(spec, 0)
        known = sequence == self.engine.position.sequence and book.value is not None
        if known and book.value is not None:
            level.settle(book.value)
        true = known and book.value is not None and level.true_at(book.value)
        return New(spec, canonical(spec), level, book, sequence, known, true, true and change.fire_now)

    def _insert(
        self, c: sa.Connection, change: AlertChange, new: New, stream: str, now: int
    ) -> tuple[Alert, bool, list[Rang], list[Due]]:
        """The row, and its trigger where it shall ring at once; or the alert of these very words that is there."""
        leases.assert_held(c, alerts.ENGINE, self.engine.lease_epoch)
        old = alerts.same(c, change.owner_id, new.text)
        if old is not None and not new.fires:
            return old, True, [], []
        if old is None and alerts.count_live(c, change.owner_id) >= self._per_person:
            raise BadRequest(f"{self._per_person} alerts are the limit for one person: `delete` some, then try again")
        alert_id = alerts.insert(c, self._row(change, new, stream, now)) if old is None else old.id
        if old is None:
            alerts.tell(c, alert_id, now, f"created by {change.user_name or 'somebody'}: {new.text}")
        rang: list[Rang] = []
        dues: list[Due] = []
        if new.fires:
            new.level.generation = 1 if old is None else old.generation + 1
            standing = Standing(change.owner_id, new.book.instrument, new.book.key, new.text, new.spec.note)
            rang = [self.board.rang_now(alert_id, new.level, new.book, standing, self.engine.position.sequence, now)]
            worker, until = self.engine.claim(now)
            dues = alerts.save_rang(c, rang, stream, now, worker, until, self.board.catalogue.get)
            alerts.save_states(c, [self.board.state_of(new.level, new.book.received_at, alert_id)])
        alert = alerts.find(c, alert_id)
        assert alert is not None
        return alert, False, rang, dues

    def _row(self, change: AlertChange, new: New, stream: str, now: int) -> dict[str, Any]:
        return {
            "owner_id": change.owner_id,
            "user_id": change.user_id,
            "text": new.text,
            "instrument": new.book.instrument,
            "series": new.book.key,
            "note": new.spec.note,
            "state": self.board.state_of(new.level, None).state,
            "up_armed": new.level.up_armed,
            "down_armed": new.level.down_armed,
            "armed_stream": stream,
            "armed_sequence": new.sequence,
            "armed_at": now,
            "armed_price": new.book.value if new.known else None,
            "created_at": now,
        }

    # ---------------------------------------------------------------------------------------- later changes

    async def _owned(self, change: AlertChange, states: Sequence[State] | None = None) -> Alert:
        alert = await self.engine.ledger.read(lambda c: alerts.find(c, change.alert_id))
        if alert is None or alert.owner_id != change.owner_id:
            raise BadRequest(f"there is no alert {change.alert_id} of yours: `alerts` lists them")
        if states is not None and alert.state not in states:
            raise BadRequest(f"alert {alert.id} is {alert.state.value}; that cannot be done to it now")
        return alert

    async def _snooze(self, change: AlertChange) -> Armed:
        if change.until is None:
            raise BadRequest("say until when: `snooze 12 2h`")
        until = change.until
        async with self.engine.lock:
            alert = await self._owned(change, (State.ARMED, State.FIRED, State.SNOOZED))
            alert = await self._write_state(
                change, {"state": State.SNOOZED.value, "snoozed_until": until}, "snoozed until {until}", until
            )
            level = self.board.forget(alert.id) or self.board.snoozed[alert.id][1]
            self.board.snooze(level, until)
        return Armed(alert=alert)

    async def _delete(self, change: AlertChange) -> Armed:
        async with self.engine.lock:
            alert = await self._owned(change)
            if alert.state is State.DELETED:
                raise BadRequest(f"alert {alert.id} is deleted already: `delete {alert.id} undo` brings it back")
            alert = await self._write_state(
                change, {"state": State.DELETED.value, "deleted_at": self.engine.now_us()}, "deleted"
            )
            self.board.forget(alert.id)
            self.board.unsnooze(alert.id)
            self.board.standing.pop(alert.id, None)
        return Armed(alert=alert)

    async def _rearm(self, change: AlertChange, word: str, states: Sequence[State]) -> Armed:
        """Live again: the first value after this sets the side and fires nothing."""
        state = await reader.stream_state(self.engine.bus)
        async with self.engine.lock:
            sequence = max(state.last, self.engine.position.sequence)
            alert = await self._owned(change, states)
            done = alert.generation > 0 and parse(alert.text, self.board.catalogue.find).repeat == "once"
            if done and alert.state is State.DELETED:
                return Armed(alert=await self._write_state(change, {"state": "done", "deleted_at": None}, word))
            if alert.state is State.DELETED:
                await self.engine.ledger.read(lambda c: self._room_for(c, alert))
            alert = await self._write_state(
                change,
                {
                    "state": State.ARMED.value,
                    "snoozed_until": None,
                    "deleted_at": None,
                    "up_armed": None,
                    "down_armed": None,
                    "armed_stream": self.engine.position.stream,
                    "armed_sequence": sequence,
                    "armed_at": self.engine.now_us(),
                    "resume_state": WOKEN,
                },
                word,
            )
            self.board.unsnooze(alert.id)
            self.board.arm_unsettled(alert, sequence if sequence > self.engine.position.sequence else None)
        return Armed(alert=alert)

    def _room_for(self, c: sa.Connection, alert: Alert) -> None:
        if (same := alerts.same(c, alert.owner_id, alert.text)) is not None:
            raise BadRequest(f"you have this alert again already: {same.id}")
        if alerts.count_live(c, alert.owner_id) >= self._per_person:
            raise BadRequest(f"{self._per_person} alerts are the limit for one person: `delete` some, then try again")

    async def _write_state(
        self, change: AlertChange, values: dict[str, Any], word: str, until: int | None = None
    ) -> Alert:
        now = self.engine.now_us()
        if until is not None:
            word = word.format(until=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(until / SECOND_US)))

        def transaction(c: sa.Connection) -> Alert:
            leases.assert_held(c, alerts.ENGINE, self.engine.lease_epoch)
            alerts.update(c, change.alert_id, values)
            alerts.tell(c, change.alert_id, now, f"{word} by {change.user_name or 'somebody'}")
            found = alerts.find(c, change.alert_id)
            assert found is not None
            return found

        return await self.engine.ledger.write(transaction)
