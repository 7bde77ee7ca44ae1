"""The engine: runs the rules on the stream and is the sole writer of live alert state.

A batch of frames is evaluated in memory; what came of it (alert states, triggers, notifications) and the position
behind it are one transaction of the ledger, so every crossing rings exactly once through any death. A batch that
changed nothing commits its position once a second only: reading it again changes nothing either. Changes of alerts
arrive as requests and are bound to the stream's last sequence at that moment: the alert's side is the series' value
there, and it hears what comes after. Depends on hub.reader, hub.rules, hub.ledger and, to wake delivery, hub.bus.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog

from hub import bus as names
from hub import reader
from hub.bus import Bus
from hub.evidence import evidence, headline
from hub.frame import Frame, Position
from hub.ledger import Ledger, LedgerFull, alerts, leases
from hub.ledger.alerts import AlertRow, Rang, SeriesValue, StateChange
from hub.ledger.outbox import Due
from hub.model import (
    MOVES,
    SECOND_US,
    Alert,
    AlertAnswer,
    AlertChange,
    Armed,
    Instrument,
    Nature,
    State,
)
from hub.plugin import BadRequest, Catalogue
from hub.rules.language import AlertSpec, band_of, canonical, parse
from hub.rules.levels import Fired, Level, Levels

log = structlog.get_logger("engine")
COMMIT_EVERY_S = 1.0
RETRY_S = 2.0
WOKEN = "woken"
ARM_WAIT_S = 2.0
"""So long a new alert waits for the engine to reach its place in the stream before the answer says "behind"."""


class Deliverer(Protocol):
    """The deliverer in the same process, if there is one: rows are claimed for it in the trigger's transaction."""

    worker: str
    lease_us: int

    def offer(self, dues: Sequence[Due]) -> None: ...


class Book(Levels):
    """The level alerts of one series, and its newest value with what evidence needs."""

    __slots__ = ("at", "instrument", "key", "received_at", "source", "value")

    def __init__(self, key: str, instrument: str) -> None:
        super().__init__()
        self.key = key
        self.instrument = instrument
        self.value: float | None = None
        self.at: int | None = None  # venue_time
        self.received_at = 0
        self.source = ""


class Standing(msgspec.Struct, gc=False):
    """What the engine keeps of an alert beside its Level."""

    owner_id: int
    instrument: str
    series: str
    text: str
    note: str


class Arming(msgspec.Struct, frozen=True, gc=False):
    """An alert that is not heard yet. `at_value`: its side is the series' value at its place in the stream; an alert
    that was woken takes the first value after it instead."""

    level: Level
    at_value: bool


class Batch(msgspec.Struct):
    """What came of some frames, until it is committed."""

    fired: list[Rang]
    changed: dict[int, StateChange]
    moved: set[str]  # series whose value changed since the last commit


class Engine:
    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        catalogue: Catalogue,
        tail: reader.Tail,
        position: Position,
        *,
        lease_epoch: int,
        band_percent: float,
        late_after_s: float,
        per_person: int,
        deliverer: Deliverer | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.bus = bus
        self.ledger = ledger
        self.catalogue = catalogue
        self.tail = tail
        self.position = position
        self.lease_epoch = lease_epoch
        self.now_us = now_us
        self._band_percent = band_percent
        self._late_after_us = round(late_after_s * SECOND_US)
        self._per_person = per_person
        self._deliverer = deliverer
        self._books: dict[str, Book] = {}
        self._standing: dict[int, Standing] = {}
        self._waiting: dict[int, list[Arming]] = {}  # by the sequence after which they hear
        self._snoozed: dict[int, tuple[int, Level]] = {}  # alert id → when it wakes, and as what
        self._natures: dict[str, str] = {}
        self._wakes_at: int | None = None
        self._batch = Batch([], {}, set())
        self._lock = asyncio.Lock()  # one transaction of the engine at a time
        self._passed = asyncio.Condition()
        self._batches = reader.Batches(tail, tail.reader(position.sequence), self._mark, self._forget_tries)
        self._committed = position
        self._committed_at = time.monotonic()
        self._reported_at = 0.0
        self.ticks = 0
        self.triggers = 0
        self.trouble = ""

    # ----------------------------------------------------------------------------------------------- start

    async def load(self) -> None:
        """Alerts and series as they were committed. Windows are rebuilt from the stream as it is read."""
        rows, values = await self.ledger.read(lambda c: (alerts.load(c), alerts.load_series(c)))
        for value in values.values():
            book = self._book(value.key, _instrument_of(value.key))
            book.value, book.at = value.value, value.venue_time
            book.received_at, book.source = value.received_at, value.source
        levels: dict[str, list[Level]] = {}
        for row in rows:
            try:
                level = self._level(row)
            except BadRequest as error:
                log.error("an alert cannot be read", alert=row.id, text=row.text, reason=error.text)
                continue
            self._standing[row.id] = Standing(row.owner_id, row.instrument, row.series, row.text, row.note)
            if row.state == State.SNOOZED:
                self._snooze_in_memory(level, row.snoozed_until or 0)
            elif row.armed_stream == self.position.stream and row.armed_sequence > self.position.sequence:
                arming = Arming(level, row.resume_state != WOKEN)
                self._waiting.setdefault(row.armed_sequence, []).append(arming)
            else:
                levels.setdefault(row.series, []).append(level)
        for key, many in levels.items():
            self._book(key, _instrument_of(key)).add(many)
        log.info("alerts loaded", alerts=len(self._standing), sequence=self.position.sequence)

    def _level(self, row: AlertRow) -> Level:
        spec = parse(row.text, self.catalogue.find)
        return self._level_of(spec, row.id, row.up_armed, row.down_armed, row.generation)

    def _level_of(
        self, spec: AlertSpec, alert_id: int, up: bool | None = None, down: bool | None = None, generation: int = 0
    ) -> Level:
        return Level(
            id=alert_id,
            level=spec.level,
            band=band_of(spec, self._band_percent),
            rises=spec.condition != "below",
            falls=spec.condition != "above",
            once=spec.repeat == "once",
            up_armed=up,
            down_armed=down,
            generation=generation,
        )

    def _book(self, key: str, instrument: str) -> Book:
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = Book(key, instrument)
        return book

    # ---------------------------------------------------------------------------------------------- stream

    async def run(self) -> None:
        try:
            while True:
                await self._take_batch(await self._batches.next())
        except asyncio.CancelledError:
            await self._batches.forget()
            raise

    async def _take_batch(self, reads: Sequence[reader.Read]) -> None:
        async with self._lock:
            for read in reads:
                self._take(read)
            if self._batch.fired or self._batch.changed or self._batches.marked or self._due():
                await self._commit()
        async with self._passed:
            self._passed.notify_all()
        if time.monotonic() - self._reported_at > COMMIT_EVERY_S * 2:
            self._reported_at = time.monotonic()
            await reader.report_quietly(self.bus, alerts.ENGINE, self._committed.sequence)

    def _due(self) -> bool:
        return time.monotonic() - self._committed_at >= COMMIT_EVERY_S

    def _take(self, read: reader.Read) -> None:
        """One message of the stream; a frame that came before only moves the sequence."""
        frame, place = read.frame, self.position
        clock = place.clock
        if frame is not None and (frame.epoch, frame.number) > (place.epoch, place.number):
            if self._wakes_at is not None and frame.clock >= self._wakes_at:
                self._wake_due(frame.clock)
            self.evaluate(frame, read.sequence)
            place, clock = msgspec.structs.replace(place, epoch=frame.epoch, number=frame.number), frame.clock
        self.position = msgspec.structs.replace(place, sequence=read.sequence, clock=max(clock, place.clock))
        if self._waiting and (arming := self._waiting.pop(read.sequence, None)):
            for each in arming:
                self._arm(each)

    def evaluate(self, frame: Frame, sequence: int) -> None:
        """Every tick of a frame against every level. The loop is the engine's hot path: two comparisons a tick."""
        books = [self._book(price_key(instrument), instrument) for instrument in frame.instruments]
        sources = frame.sources
        for at, verdict, price, venue_time, received_at, source in zip(
            frame.instrument, frame.verdict, frame.price, frame.venue_time, frame.received_at, frame.source, strict=True
        ):
            if verdict < MOVES:
                book = books[at]
                if price >= book.high or price <= book.low:
                    self._cross(book, frame, sequence, price, venue_time, received_at, source)
                book.value = price
                book.at = venue_time
                book.received_at = received_at
                book.source = sources[source]
        self._natures.update(zip(sources, frame.natures, strict=True))
        self._batch.moved.update(book.key for book in books)
        self.ticks += len(frame)

    def _cross(
        self, book: Book, frame: Frame, sequence: int, price: float, at: int | None, received_at: int, source: int
    ) -> None:
        fired, changed = book.cross(price)
        last_fired = {each.alert.id for each in fired}
        for each in fired:
            self._batch.fired.append(self._rang(each, book, frame, sequence, price, at, received_at, source))
        for level in changed:
            self._batch.changed[level.id] = self._state_of(level, received_at if level.id in last_fired else None)
            if level.id in last_fired and level.once:
                self._standing.pop(level.id, None)

    def _state_of(self, level: Level, fired_at: int | None, alert_id: int | None = None) -> StateChange:
        if level.once and level.generation:
            state = State.DONE
        elif level.up_armed or level.down_armed or not level.known:
            state = State.ARMED
        else:
            state = State.FIRED
        before = self._batch.changed.get(level.id)
        return StateChange(
            id=level.id if alert_id is None else alert_id,
            state=state.value,
            generation=level.generation,
            up_armed=level.up_armed,
            down_armed=level.down_armed,
            last_fired_at=fired_at if fired_at is not None else (before.last_fired_at if before else None),
        )

    def _rang(
        self,
        each: Fired,
        book: Book,
        frame: Frame,
        sequence: int,
        price: float,
        at: int | None,
        received_at: int,
        source: int,
    ) -> Rang:
        standing = self._standing[each.alert.id]
        late = self.now_us() - frame.opened_at > self._late_after_us
        rang = Rang(
            alert_id=each.alert.id,
            owner_id=standing.owner_id,
            generation=each.alert.generation,
            direction=each.direction,
            level=each.alert.level,
            before_price=book.value,
            before_time=(book.at or book.received_at) if book.value is not None else None,
            price=price,
            venue_time=at,
            received_at=received_at,
            source=frame.sources[source],
            nature=frame.natures[source],
            late=late,
            sequence=sequence,
            ticked_at=frame.opened_at,
            instrument=book.instrument,
            title="",
            text="",
            note=standing.note,
        )
        return self._worded(rang, standing)

    def _worded(self, rang: Rang, standing: Standing) -> Rang:
        instrument = self.catalogue.get(rang.instrument) or Instrument(id=rang.instrument, name=rang.instrument)
        return msgspec.structs.replace(
            rang, title=headline(rang, instrument), text=evidence(rang, instrument, standing.text)
        )

    # ---------------------------------------------------------------------------------------------- commit

    async def _commit(self) -> None:
        """State, triggers, outbox and position together; tried again for ever while the disk is full."""
        batch, place = self._batch, self.position
        values = [_value_of(self._books[key]) for key in batch.moved if self._books[key].value is not None]
        outgoing: list[Due] = []
        while True:
            now = self.now_us()
            worker, claimed_until = "", 0
            if self._deliverer is not None:
                worker, claimed_until = self._deliverer.worker, now + self._deliverer.lease_us

            def transaction(
                c: sa.Connection, now: int = now, worker: str = worker, claimed_until: int = claimed_until
            ) -> list[Due]:
                alerts.save_position(c, place, self.lease_epoch)
                alerts.save_states(c, list(batch.changed.values()))
                alerts.save_series(c, values)
                return alerts.save_rang(c, batch.fired, place.stream, now, worker, claimed_until, self.catalogue.get)

            try:
                outgoing = await self.ledger.write(transaction)
                break
            except LedgerFull as error:
                await self._wait(error)
        if self.trouble:
            log.info("alerts are committed again")
            self.trouble = ""
        self._batch = Batch([], {}, set())
        self._committed = place
        self._committed_at = time.monotonic()
        await self._told(batch, outgoing)

    async def _told(self, batch: Batch, outgoing: Sequence[Due]) -> None:
        if not batch.fired:
            return
        self.triggers += len(batch.fired)
        if self._deliverer is not None:
            self._deliverer.offer(outgoing)
        elif outgoing:
            try:
                await self.bus.client.publish(names.OUTBOX, b"")
            except nats.errors.Error:
                log.debug("nudge not sent; the sweep finds the rows")
        for rang in batch.fired:
            log.info(
                "an alert fired", alert=rang.alert_id, title=rang.title, generation=rang.generation, late=rang.late
            )

    async def _mark(self, sequence: int) -> int:
        while True:
            try:
                return await self.ledger.write(lambda c: alerts.mark_try(c, sequence))
            except LedgerFull as error:
                await self._wait(error)

    async def _wait(self, error: LedgerFull) -> None:
        if not self.trouble:
            log.error("alerts cannot be committed; the stream waits", reason=str(error))
        self.trouble = str(error)
        await asyncio.sleep(RETRY_S)

    async def _forget_tries(self) -> None:
        with contextlib.suppress(LedgerFull):
            await self.ledger.write(alerts.forget_tries)

    # -------------------------------------------------------------------------------------------- requests

    async def answer(self, payload: bytes) -> bytes:
        """An AlertChange → an AlertAnswer; what cannot be done is a sentence in it."""
        try:
            change = msgspec.json.decode(payload, type=AlertChange)
            armed = await self._change(change)
            return msgspec.json.encode(AlertAnswer(armed=armed))
        except msgspec.MsgspecError as error:
            return msgspec.json.encode(AlertAnswer(error=f"not a change of an alert: {error}"))
        except BadRequest as error:
            return msgspec.json.encode(AlertAnswer(error=error.text))
        except LedgerFull as error:
            return msgspec.json.encode(AlertAnswer(error=str(error)))

    async def _change(self, change: AlertChange) -> Armed:
        match change.action:
            case "create":
                return await self._create(change)
            case "snooze":
                return await self._snooze(change)
            case "wake":
                return await self._rearm(change, "woken", (State.SNOOZED,))
            case "delete":
                return await self._delete(change)
            case "restore":
                return await self._rearm(change, "restored", (State.DELETED,))

    async def _create(self, change: AlertChange) -> Armed:
        spec = parse(change.line, self.catalogue.find)
        text = canonical(spec)
        instrument = spec.series.instruments[0]
        state = await reader.stream_state(self.bus)
        if change.fire_now:  # whether it holds now is known only where the stream is read up to now
            await self._until(state.last)
        now = self.now_us()
        async with self._lock:
            sequence = max(state.last, self.position.sequence)
            book = self._book(spec.series.key, instrument)
            level = self._level_of(spec, 0)
            here = sequence == self.position.sequence and book.value is not None
            if here and book.value is not None:
                level.settle(book.value)
            already = here and book.value is not None and level.true_at(book.value)
            fires = bool(already and change.fire_now)
            rang: Rang | None = None
            if fires:
                level.generation = 1
            values = {
                "owner_id": change.owner_id,
                "user_id": change.user_id,
                "text": text,
                "instrument": instrument,
                "series": spec.series.key,
                "note": spec.note,
                "state": self._first_state(level, fires),
                "generation": level.generation,
                "up_armed": level.up_armed,
                "down_armed": level.down_armed,
                "armed_stream": state.id,
                "armed_sequence": sequence,
                "armed_at": now,
                "armed_price": book.value if here else None,
                "created_at": now,
            }

            def transaction(c: sa.Connection) -> tuple[Alert, bool, list[Due]]:
                leases.assert_held(c, alerts.ENGINE, self.lease_epoch)
                old = alerts.same(c, change.owner_id, text)
                if old is not None and not fires:
                    return old, True, []
                if old is None and alerts.count_live(c, change.owner_id) >= self._per_person:
                    raise BadRequest(
                        f"{self._per_person} alerts are the limit for one person: `delete` some, then try again"
                    )
                alert_id = alerts.insert(c, values) if old is None else old.id
                if old is None:
                    alerts.tell(c, alert_id, now, f"created by {change.user_name or 'somebody'}: {text}")
                outgoing: list[Due] = []
                if fires:
                    nonlocal rang
                    level.generation = 1 if old is None else old.generation + 1
                    rang = self._rang_now(alert_id, level, book, change.owner_id, text, spec.note, now)
                    worker, until = self._claim(now)
                    outgoing = alerts.save_rang(c, [rang], state.id, now, worker, until, self.catalogue.get)
                    alerts.save_states(c, [self._state_of(level, book.received_at, alert_id)])
                alert = alerts.find(c, alert_id)
                assert alert is not None
                return alert, False, outgoing

            alert, existed, outgoing = await self.ledger.write(transaction)
            if existed:
                return Armed(alert=alert, price=book.value, existed=True)
            level.id = alert.id
            self._forget_level(alert)  # where one of these very words was there already, this one takes its place
            if alert.state is State.DONE:
                self._standing.pop(alert.id, None)
            else:
                self._standing[alert.id] = Standing(change.owner_id, instrument, spec.series.key, text, spec.note)
                if sequence > self.position.sequence:
                    self._waiting.setdefault(sequence, []).append(Arming(level, True))
                else:
                    book.add([level])
            if rang is not None:
                await self._told(Batch([rang], {}, set()), outgoing)
        log.info("an alert was created", alert=alert.id, text=text, sequence=sequence)
        behind = await self._until(sequence)
        price = book.value if behind == 0 else None
        if not here and behind == 0 and price is not None:
            already = level.true_at(price)
        return Armed(alert=alert, price=price, already_true=already, behind=behind)

    def _first_state(self, level: Level, fires: bool) -> str:
        if fires and level.once:
            return State.DONE.value
        if level.known and not (level.up_armed or level.down_armed):
            return State.FIRED.value
        return State.ARMED.value

    def _claim(self, now: int) -> tuple[str, int]:
        return (self._deliverer.worker, now + self._deliverer.lease_us) if self._deliverer else ("", 0)

    def _rang_now(self, alert_id: int, level: Level, book: Book, owner_id: int, text: str, note: str, now: int) -> Rang:
        """The trigger of an alert whose maker wanted to hear at once that it holds already."""
        assert book.value is not None
        rang = Rang(
            alert_id=alert_id,
            owner_id=owner_id,
            generation=level.generation,
            direction="up" if level.rises else "down",
            level=level.level,
            before_price=None,
            before_time=None,
            price=book.value,
            venue_time=book.at,
            received_at=book.received_at,
            source=book.source,
            nature=self._natures.get(book.source, Nature.LIVE.value),
            late=False,
            sequence=self.position.sequence,
            ticked_at=now,
            instrument=book.instrument,
            title="",
            text="",
            note=note,
        )
        return self._worded(rang, Standing(owner_id, book.instrument, book.key, text, note))

    async def _until(self, sequence: int) -> int:
        """Waits until the engine has read that far; how many frames it lacks if that takes too long."""
        try:
            async with asyncio.timeout(ARM_WAIT_S), self._passed:
                await self._passed.wait_for(lambda: self.position.sequence >= sequence)
        except TimeoutError:
            return max(sequence - self.position.sequence, 0)
        return 0

    async def _owned(self, change: AlertChange, states: Sequence[State] | None = None) -> Alert:
        alert = await self.ledger.read(lambda c: alerts.find(c, change.alert_id))
        if alert is None or alert.owner_id != change.owner_id:
            raise BadRequest(f"there is no alert {change.alert_id} of yours: `alerts` lists them")
        if states is not None and alert.state not in states:
            raise BadRequest(f"alert {alert.id} is {alert.state.value}; that cannot be done to it now")
        return alert

    async def _snooze(self, change: AlertChange) -> Armed:
        if change.until is None:
            raise BadRequest("say until when: `snooze 12 2h`")
        until = change.until
        async with self._lock:
            alert = await self._owned(change, (State.ARMED, State.FIRED, State.SNOOZED))
            alert = await self._write_state(
                change, {"state": State.SNOOZED.value, "snoozed_until": until}, "snoozed until {until}", until
            )
            level = self._forget_level(alert) or self._snoozed[alert.id][1]
            self._snooze_in_memory(level, until)
        return Armed(alert=alert)

    async def _delete(self, change: AlertChange) -> Armed:
        async with self._lock:
            alert = await self._owned(change)
            if alert.state is State.DELETED:
                raise BadRequest(f"alert {alert.id} is deleted already: `delete {alert.id} undo` brings it back")
            alert = await self._write_state(
                change, {"state": State.DELETED.value, "deleted_at": self.now_us()}, "deleted"
            )
            self._forget_level(alert)
            self._unsnooze(alert.id)
            self._standing.pop(alert.id, None)
        return Armed(alert=alert)

    async def _rearm(self, change: AlertChange, word: str, states: Sequence[State]) -> Armed:
        """Live again: the first value after this sets the side and fires nothing."""
        async with self._lock:
            alert = await self._owned(change, states)
            done = alert.generation > 0 and parse(alert.text, self.catalogue.find).repeat == "once"
            if done and alert.state is State.DELETED:
                return Armed(alert=await self._write_state(change, {"state": "done", "deleted_at": None}, word))
            alert = await self._write_state(
                change,
                {
                    "state": State.ARMED.value,
                    "snoozed_until": None,
                    "deleted_at": None,
                    "up_armed": None,
                    "down_armed": None,
                    "armed_stream": self.position.stream,
                    "armed_sequence": self.position.sequence,
                    "armed_at": self.now_us(),
                    "resume_state": WOKEN,
                },
                word,
            )
            self._unsnooze(alert.id)
            self._arm_unsettled(alert)
        return Armed(alert=alert)

    async def _write_state(
        self, change: AlertChange, values: dict[str, Any], word: str, until: int | None = None
    ) -> Alert:
        now = self.now_us()
        if until is not None:
            word = word.format(until=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(until / SECOND_US)))

        def transaction(c: sa.Connection) -> Alert:
            leases.assert_held(c, alerts.ENGINE, self.lease_epoch)
            alerts.update(c, change.alert_id, values)
            alerts.tell(c, change.alert_id, now, f"{word} by {change.user_name or 'somebody'}")
            found = alerts.find(c, change.alert_id)
            assert found is not None
            return found

        return await self.ledger.write(transaction)

    def _forget_level(self, alert: Alert) -> Level | None:
        """Takes the alert out of whatever would let it fire."""
        standing = self._standing.get(alert.id)
        if standing is not None and standing.series in self._books:
            level = self._books[standing.series].remove(alert.id)
            if level is not None:
                return level
        for arming in self._waiting.values():
            for each in arming:
                if each.level.id == alert.id:
                    arming.remove(each)
                    return each.level
        return None

    # ----------------------------------------------------------------------------------------- time and arming

    def _arm(self, arming: Arming) -> None:
        """An alert whose place in the stream is reached."""
        level = arming.level
        standing = self._standing.get(level.id)
        if standing is None:
            return
        book = self._book(standing.series, standing.instrument)
        if arming.at_value and book.value is not None:
            level.settle(book.value)
            change = self._state_of(level, None)
            self._batch.changed[level.id] = msgspec.structs.replace(change, armed_price=book.value)
        book.add([level])

    def _arm_unsettled(self, alert: Alert) -> None:
        spec = parse(alert.text, self.catalogue.find)
        self._standing[alert.id] = Standing(alert.owner_id, alert.instrument, spec.series.key, alert.text, alert.note)
        book = self._book(spec.series.key, alert.instrument)
        book.add([self._level_of(spec, alert.id, generation=alert.generation)])

    def _snooze_in_memory(self, level: Level, until: int) -> None:
        level.up_armed = level.down_armed = None
        self._snoozed[level.id] = (until, level)
        self._wakes_at = min(until for until, _ in self._snoozed.values())

    def _unsnooze(self, alert_id: int) -> None:
        self._snoozed.pop(alert_id, None)
        self._wakes_at = min((until for until, _ in self._snoozed.values()), default=None)

    def _wake_due(self, clock: int) -> None:
        """Snoozes that the stream's clock has passed: the next value sets the side and fires nothing."""
        for alert_id, level in [(key, level) for key, (until, level) in self._snoozed.items() if until <= clock]:
            self._unsnooze(alert_id)
            standing = self._standing[alert_id]
            self._book(standing.series, standing.instrument).add([level])
            self._batch.changed[alert_id] = self._state_of(level, None)

    def _settled(self) -> int:
        """Up to which frame everything that came of it is committed."""
        clean = not (self._lock.locked() or self._batch.fired or self._batch.changed)
        return self.position.sequence if clean else self._committed.sequence

    def status(self) -> dict[str, Any]:
        return {
            "service": "engine",
            "sequence": self.position.sequence,
            "committed": self._settled(),
            "clock": self.position.clock,
            "lag_frames": max(self.tail.sequence - self.position.sequence, 0),
            "alerts": {"live": len(self._standing) - len(self._snoozed), "snoozed": len(self._snoozed)},
            "series": len(self._books),
            "ticks": self.ticks,
            "triggers": self.triggers,
            "error": self.trouble,
        }


def price_key(instrument: str) -> str:
    """The key of the series "price of that instrument"; the same as hub.rules.language.Series.key."""
    return f"price({instrument})"


def _instrument_of(key: str) -> str:
    return key.partition("(")[2].rstrip(")")


def _value_of(book: Book) -> SeriesValue:
    assert book.value is not None
    return SeriesValue(
        key=book.key, value=book.value, venue_time=book.at, received_at=book.received_at, source=book.source
    )
