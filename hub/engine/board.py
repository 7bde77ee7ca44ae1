"""The alerts in memory, and what a frame does to them. No input, no output: what came of it waits in `batch`.

Depends on hub.rules and hub.evidence. Evaluating the same frames from the same committed state gives the same batch,
which is why frames may be read again after any death.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec
import structlog

from hub.engine.silences import FOREVER, Silences
from hub.evidence import evidence, headline
from hub.frame import Frame, Position
from hub.ledger.alerts import AlertRow, Rang, SeriesValue, StateChange
from hub.model import MOVES, Alert, Instrument, Nature, State
from hub.plugin import BadRequest, Catalogue
from hub.rules.language import AlertSpec, band_of, parse
from hub.rules.levels import Fired, Level, Levels

log = structlog.get_logger("engine")
WOKEN = "woken"


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


class Board:
    """All live alerts by series. `now_us` is the wall clock, which tells only whether a crossing is told late."""

    def __init__(
        self, catalogue: Catalogue, *, band_percent: float, late_after_us: int, now_us: Callable[[], int]
    ) -> None:
        self.catalogue = catalogue
        self.batch = Batch([], {}, set())
        self.books: dict[str, Book] = {}
        self.standing: dict[int, Standing] = {}
        self.waiting: dict[int, list[Arming]] = {}  # by the sequence after which they hear
        self.silences = Silences()
        self.ticks = 0
        self._band_percent = band_percent
        self._late_after_us = late_after_us
        self._now_us = now_us
        self._natures: dict[str, str] = {}

    def load(self, rows: Iterable[AlertRow], values: Mapping[str, SeriesValue], position: Position) -> None:
        """As committed at that position. An alert whose text cannot be read is told, and stops no other."""
        for value in values.values():
            book = self.book(value.key, _instrument_of(value.key))
            book.value, book.at = value.value, value.venue_time
            book.received_at, book.source = value.received_at, value.source
        levels: dict[str, list[Level]] = {}
        for row in rows:
            try:
                spec = parse(row.text, self.catalogue.find)
            except BadRequest as error:
                log.error("an alert cannot be read", alert=row.id, text=row.text, reason=error.text)
                continue
            level = self.level_of(spec, row.id, row.up_armed, row.down_armed, row.generation)
            self.standing[row.id] = Standing(row.owner_id, row.instrument, row.series, row.text, row.note)
            if row.state == State.SNOOZED:
                self.silences.put(level, row.snoozed_until or 0)
            elif row.state == State.MUTED:
                self.silences.put(level, row.muted_until or FOREVER, row.snoozed_until or 0)
            elif row.armed_stream == position.stream and row.armed_sequence > position.sequence:
                self.waiting.setdefault(row.armed_sequence, []).append(Arming(level, row.resume_state != WOKEN))
            else:
                levels.setdefault(row.series, []).append(level)
        for key, many in levels.items():
            self.book(key, _instrument_of(key)).add(many)

    # ---------------------------------------------------------------------------------------------- stream

    def take(self, frame: Frame, sequence: int) -> None:
        """One frame of the stream: its clock first, then its ticks."""
        if frame.clock >= self.silences.next_end:
            self._wake_due(frame.clock)
        self.evaluate(frame, sequence)

    def passed(self, sequence: int) -> None:
        """The stream is read up to there: alerts that were bound to it or to an earlier place hear from now on."""
        for place in [place for place in self.waiting if place <= sequence] if self.waiting else ():
            for arming in self.waiting.pop(place):
                self._arm(arming)

    def evaluate(self, frame: Frame, sequence: int) -> None:
        """Every tick of a frame against every level. The loop is the engine's hot path: two comparisons a tick."""
        books = [self.book(price_key(instrument), instrument) for instrument in frame.instruments]
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
        self.batch.moved.update(book.key for book in books)
        self.ticks += len(frame)

    def _cross(
        self, book: Book, frame: Frame, sequence: int, price: float, at: int | None, received_at: int, source: int
    ) -> None:
        fired, changed = book.cross(price)
        last_fired = {each.alert.id for each in fired}
        for each in fired:
            self.batch.fired.append(self._rang(each, book, frame, sequence, price, at, received_at, source))
        for level in changed:
            self.batch.changed[level.id] = self.state_of(level, received_at if level.id in last_fired else None)
            if level.id in last_fired and level.once:
                self.standing.pop(level.id, None)

    def state_of(self, level: Level, fired_at: int | None, alert_id: int | None = None) -> StateChange:
        if level.once and level.generation > level.armed_generation:
            state = State.DONE
        elif level.up_armed or level.down_armed or not level.known:
            state = State.ARMED
        else:
            state = State.FIRED
        before = self.batch.changed.get(level.id)
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
        standing = self.standing[each.alert.id]
        late = self._now_us() - frame.opened_at > self._late_after_us
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
        spec = parse(standing.text, self.catalogue.find)
        return msgspec.structs.replace(
            rang,
            title=headline(rang, instrument),
            text=evidence(rang, instrument, standing.text),
            urgent=spec.urgent,
            via=spec.via,
        )

    def values(self) -> list[SeriesValue]:
        """The newest values of the series that moved."""
        moved = [self.books[key] for key in self.batch.moved]
        return [_value_of(book) for book in moved if book.value is not None]

    # ---------------------------------------------------------------------------------------------- alerts

    def book(self, key: str, instrument: str) -> Book:
        book = self.books.get(key)
        if book is None:
            book = self.books[key] = Book(key, instrument)
        return book

    def level_of(
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
            armed_generation=generation,
        )

    def rang_now(self, alert_id: int, level: Level, book: Book, standing: Standing, sequence: int, now: int) -> Rang:
        """The trigger of an alert whose maker wanted to hear at once that it holds already."""
        assert book.value is not None
        rang = Rang(
            alert_id=alert_id,
            owner_id=standing.owner_id,
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
            sequence=sequence,
            ticked_at=now,
            instrument=book.instrument,
            title="",
            text="",
            note=standing.note,
        )
        return self._worded(rang, standing)

    def stand(self, alert: Alert, series: str, level: Level, after: int | None) -> None:
        """A new alert: heard from now on, or once the stream is read up to `after`. Where one of the very same words
        was there already, this one takes its place."""
        self.forget(alert.id)
        if alert.state is State.DONE:
            self.standing.pop(alert.id, None)
            return
        self.standing[alert.id] = Standing(alert.owner_id, alert.instrument, series, alert.text, alert.note)
        if after is not None:
            self.waiting.setdefault(after, []).append(Arming(level, True))
        else:
            self.book(series, alert.instrument).add([level])

    def forget(self, alert_id: int) -> Level | None:
        """Takes the alert out of whatever would let it fire."""
        standing = self.standing.get(alert_id)
        if standing is not None and standing.series in self.books:
            level = self.books[standing.series].remove(alert_id)
            if level is not None:
                return level
        for arming in self.waiting.values():
            for each in arming:
                if each.level.id == alert_id:
                    arming.remove(each)
                    return each.level
        return None

    def _arm(self, arming: Arming) -> None:
        """An alert whose place in the stream is reached."""
        level = arming.level
        standing = self.standing.get(level.id)
        if standing is None:
            return
        book = self.book(standing.series, standing.instrument)
        if arming.at_value and book.value is not None:
            level.settle(book.value)
            change = self.state_of(level, None)
            self.batch.changed[level.id] = msgspec.structs.replace(change, armed_price=book.value)
        book.add([level])

    def arm_unsettled(self, alert: Alert, after: int | None) -> None:
        """`after`: a place in the stream that is not reached yet, behind which it hears."""
        spec = parse(alert.text, self.catalogue.find)
        self.standing[alert.id] = Standing(alert.owner_id, alert.instrument, spec.series.key, alert.text, alert.note)
        book = self.book(spec.series.key, alert.instrument)
        level = self.level_of(spec, alert.id, generation=alert.generation)
        if after is None:
            book.add([level])
        else:
            self.waiting.setdefault(after, []).append(Arming(level, False))

    def stand_silent(self, alert: Alert, series: str) -> None:
        """An alert that is to be put among the silences."""
        self.standing[alert.id] = Standing(alert.owner_id, alert.instrument, series, alert.text, alert.note)

    def unsnooze(self, alert_id: int) -> None:
        self.silences.drop(alert_id)

    def _wake_due(self, clock: int) -> None:
        """Silences that the stream's clock has passed: the next value sets the side and fires nothing."""
        for level, snoozed_until in self.silences.ended(clock):
            change = self.state_of(level, None)
            if snoozed_until:
                self.silences.put(level, snoozed_until)
                change = msgspec.structs.replace(change, state=State.SNOOZED.value)
            else:
                standing = self.standing[level.id]
                self.book(standing.series, standing.instrument).add([level])
            self.batch.changed[level.id] = change


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
