"""The engine's side of the ledger: alerts as it loads and changes them, and where it stands.

Functions of a SQLAlchemy connection, all called by hub.engine, the only writer of live alert state: what rang
(hub.ledger.rings), states and position are the caller's one transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from hub.frame import RUNNING, Position
from hub.ledger import quiet
from hub.ledger import tables as t
from hub.ledger.leases import WITHIN_S, LeaseLost, assert_all
from hub.model import Alert, Destination, State

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
