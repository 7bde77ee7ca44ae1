"""Splits of stocks in the ledger, and which groups of owners have moved their levels over them.

Functions of a SQLAlchemy connection.
"""

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from hub.ledger import tables as t
from hub.ledger.alerts import ENGINE, GROUPS, KEPT

Row = tuple[int, str, str, int, int, str]
"""As hub.splits.known takes them."""


def rows(c: sa.Connection) -> list[Row]:
    s = t.splits.c
    query = sa.select(s.id, s.instrument, s.day, s.numerator, s.denominator, s.told_by).order_by(s.day, s.id)
    return [(*row,) for row in c.execute(query)]


def add(c: sa.Connection, instrument: str, day: str, numerator: int, denominator: int, told_by: str, now: int) -> bool:
    """False where the instrument has a split of that day already."""
    s = t.splits.c
    if c.execute(sa.select(s.id).where(s.instrument == instrument, s.day == day)).first() is not None:
        return False
    c.execute(
        t.splits.insert().values(
            instrument=instrument, day=day, numerator=numerator, denominator=denominator, told_by=told_by,
            created_at=now,
        )
    )  # fmt: skip
    return True


def concerned(c: sa.Connection, instrument: str) -> tuple[int, int]:
    """How many alerts that are not over name the instrument, and of how many owners they are."""
    a = t.alerts.c
    query = sa.select(sa.func.count(), sa.func.count(a.owner_id.distinct())).where(
        a.state.in_(KEPT), a.text.contains(instrument, autoescape=True)
    )
    count, owners = c.execute(query).one()
    return int(count), int(owners)


def remove(c: sa.Connection, split_id: int) -> bool:
    """False where levels have moved over it already: those of other people cannot be moved back unseen."""
    if c.execute(sa.select(t.split_marks.c.split_id).where(t.split_marks.c.split_id == split_id)).first() is not None:
        return False
    c.execute(t.splits.delete().where(t.splits.c.id == split_id))
    return True


def marks(c: sa.Connection, groups: Collection[str]) -> dict[str, set[int]]:
    """By group, the splits that its levels are behind; what the one engine of all had moved, before a ledger was
    shared, is behind them in each."""
    m = t.split_marks.c
    found: dict[str, set[int]] = {group: set() for group in (*groups, ENGINE)}
    for row in c.execute(sa.select(m.reader, m.split_id).where(m.reader.in_(found))):
        found[row.reader].add(row.split_id)
    return {group: found[group] | found[ENGINE] for group in groups}


def mark(c: sa.Connection, split_id: int, groups: Iterable[str]) -> None:
    c.execute(t.split_marks.insert(), [{"reader": group, "split_id": split_id} for group in groups])


def of_groups(owner_id: sa.ColumnElement[int], groups: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether an owner is one of these groups'."""
    if ENGINE in groups:
        return sa.true()
    return (owner_id % GROUPS).in_([int(name.rpartition("-")[2]) for name in groups])


def scale_lots(
    c: sa.Connection, instrument: str, day: str, numerator: int, denominator: int, groups: Collection[str]
) -> None:
    """What these groups' owners bought before that day and still hold is worth the same in other many shares."""
    lots = t.lots.c
    held = sa.select(lots.id, lots.quantity).where(
        lots.instrument == instrument, lots.sold_on == "", lots.bought_on < day, of_groups(lots.owner_id, groups)
    )
    for lot_id, quantity in c.execute(held).all():
        count = quantity * numerator / denominator
        c.execute(t.lots.update().where(lots.id == lot_id).values(quantity=count, wrote=f"{count:.10g}"))


def silent_rows(
    c: sa.Connection, instrument: str, groups: Collection[str], states: Collection[str], before: int
) -> list[Any]:
    """Alerts of these groups' owners that no engine holds in memory, and whose line names the instrument: id, owner_id
    and text. Armed before that wall time."""
    a = t.alerts.c
    query = sa.select(a.id, a.owner_id, a.text).where(
        a.state.in_(states), a.text.contains(instrument, autoescape=True), a.armed_at < before,
        of_groups(a.owner_id, groups),
    )  # fmt: skip
    return list(c.execute(query.order_by(a.id)))


def reword(c: sa.Connection, alert_id: int, text: str, factor: float) -> None:
    """The line of an alert behind a split, and what it was armed against."""
    a = t.alerts.c
    c.execute(t.alerts.update().where(a.id == alert_id).values(text=text, armed_price=a.armed_price * factor))


def armed_since(c: sa.Connection, alert_ids: Collection[int], since: int) -> set[int]:
    """Those of them that were armed at that wall time or later."""
    a, found, ids = t.alerts.c, set[int](), sorted(alert_ids)
    for start in range(0, len(ids), 500):
        query = sa.select(a.id).where(a.id.in_(ids[start : start + 500]), a.armed_at >= since)
        found.update(c.scalars(query))
    return found
