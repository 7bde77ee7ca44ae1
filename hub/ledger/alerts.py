"""The engine's side of the ledger: alerts as it loads and changes them, what rang, and where it stands.

Functions of a SQLAlchemy connection, all called by hub.engine, the only writer of live alert state. `commit` is
the one that matters: states, triggers, outbox and position in the caller's one transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from hub.frame import RUNNING, Position
from hub.ledger import quiet
from hub.ledger import tables as t
from hub.ledger.leases import WITHIN_S, LeaseLost, assert_all
from hub.ledger.outbox import Describe, Due, backlog
from hub.model import Alert, Destination, Instrument, Nature, Notification, State, Trigger

ENGINE = "engine"
"""The lease, position and subject of the one engine of a ledger that no other core uses."""
GROUPS = 16
"""Owners fall into so many groups where several engines share them; each group is one engine's at a time."""
AWAKE = (State.ARMED, State.FIRED, State.DWELLING, State.COOLING)
HELD = (*AWAKE, State.SNOOZED, State.MUTED)
"""Alerts that can ring, or will be able to again by themselves."""
ROW_S = 0.01
"""So much longer a commit may take for each row that it writes."""
KEPT = (*HELD, State.PAUSED)
"""Those that are not over."""


class AlertRow(msgspec.Struct, frozen=True):
    """What the engine needs of an alert."""

    id: int
    owner_id: int
    text: str
    instrument: str
    series: str
    note: str
    state: str
    generation: int
    up_armed: bool | None
    down_armed: bool | None
    armed_stream: str
    armed_sequence: int
    resume_state: str
    snoozed_until: int | None
    muted_until: int | None
    memory: str | None
    cooling_until: int | None
    expires_at: int | None
    last_fired_at: int | None


class SeriesValue(msgspec.Struct, frozen=True, kw_only=True):
    """The newest price of an instrument, with what evidence needs of it."""

    key: str
    value: float
    venue_time: int | None
    received_at: int
    source: str
    live: bool = True  # its market is open, and it is not stale
    stale_since: int | None = None
    sides: str | None = None  # hub.rules.roots.Sides as JSON


class Rang(msgspec.Struct, frozen=True, kw_only=True):
    """One firing on its way into the ledger, already worded."""

    alert_id: int
    owner_id: int
    generation: int
    direction: Literal["up", "down"]
    level: float
    before_price: float | None
    before_time: int | None
    price: float
    venue_time: int | None
    received_at: int
    rang_at: int | None = None  # the stream's clock
    source: str
    nature: str
    late: bool
    sequence: int
    ticked_at: int
    instrument: str
    title: str
    text: str
    note: str
    detail: str = ""
    urgent: bool = False
    via: tuple[str, ...] = ()


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    state: str
    generation: int
    up_armed: bool | None
    down_armed: bool | None
    last_fired_at: int | None  # None: as it was
    armed_price: float | None = None  # None: as it was
    memory: str | None = None
    cooling_until: int | None = None


class Told(NamedTuple):
    """A line of an alert's history."""

    alert_id: int
    at: int  # stream time
    text: str


def groups(*, shared: bool) -> tuple[str, ...]:
    """All groups of owners, by the names of their leases."""
    return tuple(f"{ENGINE}-{number}" for number in range(GROUPS)) if shared else (ENGINE,)


def group_of(owner_id: int, *, shared: bool) -> str:
    return f"{ENGINE}-{owner_id % GROUPS}" if shared else ENGINE


def load(
    connection: sa.Connection, of_groups: Collection[str] = (ENGINE,), *, after: int = 0, most: int | None = None
) -> list[AlertRow]:
    """Every alert that the engine of these groups holds or may have to wake, by number, from behind `after` on."""
    columns = [t.alerts.c[name] for name in AlertRow.__struct_fields__]
    query = sa.select(*columns).where(t.alerts.c.state.in_(HELD), t.alerts.c.id > after)
    if ENGINE not in of_groups:
        query = query.where((t.alerts.c.owner_id % GROUPS).in_([int(name.rpartition("-")[2]) for name in of_groups]))
    return [AlertRow(*row) for row in connection.execute(query.order_by(t.alerts.c.id).limit(most))]


def rang_since(connection: sa.Connection, since: int) -> dict[int, list[int]]:
    """When each alert rang from that time of the stream's clock on, the newest last. What it rang before it was armed
    last counts no more: who lets it go on after a storm is not to hear at the next ring that it is one still."""
    rang, at, alert = t.triggers.c, t.triggers.c.rang_at, t.alerts.c
    query = (
        sa.select(rang.alert_id, at)
        .join(t.alerts, alert.id == rang.alert_id)
        .where(at >= since, sa.or_(alert.armed_stream != rang.stream, alert.armed_sequence < rang.sequence))
    )
    found: dict[int, list[int]] = {}
    for row in connection.execute(query.order_by(at)):
        found.setdefault(row.alert_id, []).append(row.rang_at)
    return found


def load_prices(connection: sa.Connection, book: str = ENGINE) -> dict[str, SeriesValue]:
    query = sa.select(*(t.prices.c[name] for name in SeriesValue.__struct_fields__)).where(t.prices.c.book == book)
    return {row.key: SeriesValue(**row._mapping) for row in connection.execute(query)}


def position(connection: sa.Connection, reader: str = ENGINE) -> Position:
    """Where it stands; a group that never stood alone stands where the one engine of all did."""
    for name in dict.fromkeys((reader, ENGINE)):
        row = connection.execute(sa.select(t.positions).where(t.positions.c.reader == name)).first()
        if row is not None:
            return Position(**{field: row._mapping[field] for field in Position.__struct_fields__})
    return Position()


def book(connection: sa.Connection, reader: str = ENGINE) -> str:
    """In which the newest prices at its position are."""
    where = t.positions.c.reader == reader
    return connection.execute(sa.select(t.positions.c.book).where(where)).scalar() or ENGINE


def newest_epoch(connection: sa.Connection) -> int:
    """The highest epoch of ingest that any engine has read."""
    return connection.execute(sa.select(sa.func.max(t.positions.c.epoch))).scalar() or 0


# The statements of a commit are built once: building one costs more than running it.

_SAVE_POSITION = sa.text(
    "UPDATE positions SET stream = :stream, sequence = :sequence, epoch = :epoch, number = :number, clock = :clock"
    " WHERE reader = :reader AND EXISTS (SELECT 1 FROM leases WHERE name = :reader AND epoch = :lease)"
)
_SAVE_PRICES = sa.text(
    "INSERT INTO prices (book, key, value, venue_time, received_at, source, live, stale_since, sides)"
    " VALUES (:book, :key, :value, :venue_time, :received_at, :source, :live, :stale_since, :sides)"
    " ON CONFLICT (book, key) DO UPDATE SET value = excluded.value, venue_time = excluded.venue_time,"
    " received_at = excluded.received_at, source = excluded.source, live = excluded.live,"
    " stale_since = excluded.stale_since, sides = coalesce(excluded.sides, prices.sides)"
)
_SAVE_STATES = sa.text(
    "UPDATE alerts SET state = :state, generation = :generation, up_armed = :up_armed, down_armed = :down_armed,"
    " last_fired_at = coalesce(:last_fired_at, last_fired_at), armed_price = coalesce(:armed_price, armed_price),"
    " memory = :memory, cooling_until = :cooling_until WHERE id = :id"
)
_SAVE_TOLD = sa.text("INSERT INTO alert_events (alert_id, at, text) VALUES (:alert_id, :at, :text)")
_TRIGGER_COLUMNS = tuple(column.name for column in t.triggers.columns if column.name != "id")
_NOTIFICATION_COLUMNS = (
    "key", "destination_id", "alert_id", "trigger_id", "title", "text", "state", "due_at", "created_at", "claimed_by",
    "claimed_until",
)  # fmt: skip


def _insert_returning(table: sa.Table, columns: Sequence[str]) -> sa.TextClause:
    values = ", ".join(f":{name}" for name in columns)
    return sa.text(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({values}) RETURNING id")


_INSERT_TRIGGER = _insert_returning(t.triggers, _TRIGGER_COLUMNS)
_INSERT_NOTIFICATION = _insert_returning(t.notifications, _NOTIFICATION_COLUMNS)


def begin_position(
    connection: sa.Connection, place: Position, was: Position | None = None, reader: str = ENGINE
) -> None:
    """The position that a reader starts from, so that `save_position` finds a row. Where it lies
    behind the one before, the stream lost frames: sequences say nothing any more of who was armed, sides do."""
    if was is not None and place.stream == was.stream and place.sequence < was.sequence:
        connection.execute(t.alerts.update().where(t.alerts.c.armed_stream == place.stream).values(armed_sequence=0))
    values = msgspec.structs.asdict(place)
    if not connection.execute(t.positions.update().where(t.positions.c.reader == reader).values(values)).rowcount:
        connection.execute(t.positions.insert().values(reader=reader, **values))


def save_position(
    connection: sa.Connection, place: Position, held: Mapping[str, int], book: str = ENGINE, rows: int = 0
) -> None:
    """Of these groups, whose prices are in that book, with the assertion that the leases are still ours; LeaseLost if
    not. SQLite has one writer at a time; elsewhere nobody may take a lease, and load what is there, while this
    transaction runs. `rows`: how much it is about to write, which takes its time."""
    if connection.dialect.name != "sqlite":
        assert_all(connection, held, WITHIN_S + rows * ROW_S)
        values = {**msgspec.structs.asdict(place), "book": book}
        found = connection.execute(t.positions.update().where(t.positions.c.reader.in_(held)).values(values)).rowcount
    else:
        values = msgspec.structs.asdict(place)
        each = [{**values, "reader": name, "lease": epoch} for name, epoch in held.items()]
        found = sum(connection.execute(_SAVE_POSITION, row).rowcount for row in each)
    if found != len(held):
        raise LeaseLost(f"a lease among {', '.join(held)} was taken over")


def save_prices(connection: sa.Connection, values: Iterable[SeriesValue], book: str = ENGINE) -> None:
    if rows := [{**msgspec.structs.asdict(value), "book": book} for value in values]:
        connection.execute(_SAVE_PRICES, rows)


def copy_book(connection: sa.Connection, book: str, groups: Collection[str]) -> None:
    """For groups that stay where they stand while the engine that had them goes on: a book each."""
    columns = SeriesValue.__struct_fields__
    connection.execute(t.prices.delete().where(t.prices.c.book.in_(groups)))
    for group in groups:
        rows = sa.select(sa.literal(group), *(t.prices.c[name] for name in columns)).where(t.prices.c.book == book)
        connection.execute(t.prices.insert().from_select(["book", *columns], rows))
        connection.execute(t.positions.update().where(t.positions.c.reader == group).values(book=group))


def forget_books(connection: sa.Connection) -> None:
    """Those that no position needs any more."""
    needed = sa.select(t.positions.c.book)
    connection.execute(t.prices.delete().where(t.prices.c.book != ENGINE, t.prices.c.book.not_in(needed)))


def save_states(connection: sa.Connection, changes: Sequence[StateChange]) -> None:
    if changes:
        connection.execute(_SAVE_STATES, [msgspec.structs.asdict(change) for change in changes])


def save_rang(
    connection: sa.Connection,
    rang: Sequence[Rang],
    stream: str,
    now: int,
    worker: str,
    claimed_until: int,
    describe: Describe,
    clock: int | None = None,
    *,
    asked: bool = False,
) -> list[Due]:
    """Triggers and their notifications, one per enabled destination of the owner, claimed for `worker` at once if
    there is one, so that no other commit stands between a trigger and its message. They wait for a sweep where older
    ones of that destination lie with another core's worker, and through the owner's quiet hours by `clock`, that of
    the stream (None: `now`), unless they are urgent or somebody `asked` to hear it at this moment."""
    reached = quiet.reached(connection, {each.owner_id for each in rang}) if rang else {}
    places = {owner_id: reach.places for owner_id, reach in reached.items()}
    ends = {owner_id: reach.quiet_until(now if clock is None else clock, now) for owner_id, reach in reached.items()}
    behind = _behind_others(connection, places, worker, now) if worker else frozenset()
    dues: list[Due] = []
    for each in rang:
        trigger_id = int(connection.execute(_INSERT_TRIGGER, _trigger_row(each, stream, now)).scalar_one())
        held_until = None if each.urgent or asked else ends.get(each.owner_id)
        for place in _chosen(places.get(each.owner_id, ()), each.via):
            at_once = held_until is None and place.id not in behind
            row = {
                "key": f"alert:{each.alert_id}:{each.generation}:{place.id}",
                "destination_id": place.id,
                "alert_id": each.alert_id,
                "trigger_id": trigger_id,
                "title": each.title,
                "text": each.text,
                "state": "due" if held_until is None else quiet.HELD,
                "due_at": now if held_until is None else held_until,
                "created_at": now,
                "claimed_by": worker if at_once else "",
                "claimed_until": claimed_until if at_once else 0,
            }
            notification_id = int(connection.execute(_INSERT_NOTIFICATION, row).scalar_one())
            if not at_once:
                continue
            notification = _notification(notification_id, each, trigger_id, now, describe)
            dues.append(Due(notification=notification, destination=place, attempts=0, due_at=now))
    return dues


def _chosen(places: Sequence[Destination], via: Sequence[str]) -> Sequence[Destination]:
    """Those that the alert names, or all where none of them is on: it is rather told elsewhere than not at all."""
    return [place for place in places if place.platform in via] or places


def _behind_others(
    connection: sa.Connection, places: Mapping[int, Sequence[Destination]], worker: str, now: int
) -> frozenset[int]:
    """Destinations whose older rows are not this worker's. On SQLite there is one worker."""
    if connection.dialect.name == "sqlite":
        return frozenset()
    return backlog(connection, worker, now, [place.id for found in places.values() for place in found])


def _trigger_row(each: Rang, stream: str, now: int) -> dict[str, Any]:
    row = msgspec.structs.asdict(each)
    for name in ("owner_id", "instrument", "text", "note", "urgent", "via"):
        del row[name]
    return {**row, "stream": stream, "created_at": now}


def _notification(notification_id: int, each: Rang, trigger_id: int, now: int, describe: Describe) -> Notification:
    instrument = describe(each.instrument) or Instrument(id=each.instrument, name=each.instrument)
    return Notification(
        id=notification_id,
        alert_id=each.alert_id,
        trigger=Trigger(
            id=trigger_id,
            alert_id=each.alert_id,
            generation=each.generation,
            direction=each.direction,
            level=each.level,
            before_price=each.before_price,
            before_time=each.before_time,
            price=each.price,
            venue_time=each.venue_time,
            received_at=each.received_at,
            source=each.source,
            nature=Nature(each.nature),
            late=each.late,
            title=each.title,
            detail=each.detail,
            sequence=each.sequence,
        ),
        instrument=each.instrument,
        instrument_name=instrument.name,
        currency=instrument.currency,
        unit=instrument.unit,
        decimals=instrument.decimals,
        title=each.title,
        text=each.text,
        note=each.note,
        urgent=each.urgent,
        nature=Nature(each.nature),
        created_at=now,
        ticked_at=each.ticked_at,
    )


def destinations(connection: sa.Connection, owner_ids: Iterable[int]) -> Mapping[int, list[Destination]]:
    """The enabled destinations of each owner, the oldest first."""
    return {owner_id: reach.places for owner_id, reach in quiet.reached(connection, owner_ids).items()}


def find(connection: sa.Connection, alert_id: int) -> Alert | None:
    row = connection.execute(sa.select(t.alerts).where(t.alerts.c.id == alert_id)).first()
    return None if row is None else alert_of(row)


def state_before(connection: sa.Connection, alert_id: int) -> State | None:
    """What a deleted alert was, where that was over or silent."""
    query = sa.select(t.alerts.c.resume_state).where(t.alerts.c.id == alert_id)
    was = connection.execute(query).scalar()
    return State(was) if was in [state.value for state in State] else None


def same(connection: sa.Connection, owner_id: int, text: str) -> Alert | None:
    """The owner's unfinished alert of the very same words."""
    row = connection.execute(
        sa.select(t.alerts).where(
            t.alerts.c.owner_id == owner_id,
            t.alerts.c.text == text,
            t.alerts.c.state.in_(KEPT),
        )
    ).first()
    return None if row is None else alert_of(row)


def alert_of(row: Any) -> Alert:
    values = row._mapping
    return Alert(**{name: values[name] for name in Alert.__struct_fields__ if name != "state"}, state=State(row.state))


def used(connection: sa.Connection, owner_id: int, but: int = 0) -> int:
    """What an owner's alerts that are not over count against their limit, all but that one."""
    c = t.alerts.c
    query = sa.select(sa.func.sum(c.cost)).where(c.owner_id == owner_id, c.state.in_(KEPT), c.id != but)
    return int(connection.execute(query).scalar() or 0)


def of_instrument(connection: sa.Connection, owner_id: int, instrument: str, states: Iterable[State]) -> list[Alert]:
    """The owner's alerts on it in those states, the oldest first."""
    rows = connection.execute(
        sa.select(t.alerts)
        .where(
            t.alerts.c.owner_id == owner_id,
            t.alerts.c.instrument == instrument,
            t.alerts.c.state.in_([state.value for state in states]),
        )
        .order_by(t.alerts.c.id)
    )
    return [alert_of(row) for row in rows]


def waiting_on(connection: sa.Connection, owner_id: int, instrument: str, since: int) -> Sequence[Any]:
    """The owner's alerts on it that are awake, were armed before that and have not rung since: id, text, urgent, and
    which halves wait."""
    c = t.alerts.c
    silent_since = sa.or_(c.last_fired_at.is_(None), c.last_fired_at < since)
    query = sa.select(c.id, c.text, c.urgent, c.up_armed, c.down_armed).where(
        c.owner_id == owner_id, c.instrument == instrument, c.state.in_(AWAKE), c.armed_at <= since, silent_since
    )
    return connection.execute(query.order_by(c.id)).all()


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> int:
    return int(connection.execute(t.alerts.insert().returning(t.alerts.c.id), values).scalar_one())


def update(connection: sa.Connection, alert_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(t.alerts.update().where(t.alerts.c.id == alert_id).values(values))


def tell(connection: sa.Connection, alert_id: int, now: int, text: str) -> None:
    """A line of the alert's history, in plain words."""
    save_told(connection, [Told(alert_id, now, text)])


def save_told(connection: sa.Connection, told: Sequence[Told]) -> None:
    if told:
        connection.execute(_SAVE_TOLD, [line._asdict() for line in told])


def mark_try(connection: sa.Connection, sequence: int, reader: str = ENGINE) -> int:
    """How often this frame has been tried, this time included."""
    if sequence != RUNNING:
        passed = (t.tries.c.sequence != sequence, t.tries.c.sequence != RUNNING)
        connection.execute(t.tries.delete().where(t.tries.c.reader == reader, *passed))
    where = (t.tries.c.reader == reader, t.tries.c.sequence == sequence)
    before = connection.execute(sa.select(t.tries.c.count).where(*where)).scalar()
    if before is None:
        connection.execute(t.tries.insert().values(reader=reader, sequence=sequence, count=1))
        return 1
    connection.execute(t.tries.update().where(*where).values(count=before + 1))
    return int(before) + 1


def forget_tries(connection: sa.Connection, reader: str = ENGINE) -> None:
    connection.execute(t.tries.delete().where(t.tries.c.reader == reader))
