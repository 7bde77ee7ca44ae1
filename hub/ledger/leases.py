"""Leases: one holder of a name at a time, and an epoch that grows with each new one.

A holder asserts its epoch in every transaction, so one that was paused and wakes up can change nothing. Clocks that
differ between machines make a lease pass on too early or too late, and nothing worse. Functions of a SQLAlchemy
connection; times are wall times in microseconds.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from hub.ledger.tables import leases

WITHIN_S = 20.0
"""So long a transaction under leases may take, unless it has much to write."""


class LeaseLost(Exception):
    """Somebody else holds the lease now; whoever gets this must stop at once."""


def take(
    connection: sa.Connection,
    name: str,
    holder: str,
    now: int,
    for_us: int,
    *,
    at_once: bool,
    above: int = 0,
    waits: bool = True,
) -> int | None:
    """The new epoch; None while another holder's lease runs. `at_once` takes it from whoever had it: right only
    where something else (the lock of the data folder) already keeps all others out. Unless it `waits`, a lease under
    which somebody commits at this moment is taken for one that runs."""
    query = sa.select(leases).where(leases.c.name == name)
    row = connection.execute(query.with_for_update(skip_locked=not waits)).first()
    if row is None and not waits and connection.execute(query).first() is not None:
        return None
    if row is None:
        connection.execute(leases.insert().values(name=name, holder=holder, epoch=above + 1, until=now + for_us))
        return above + 1
    if row.holder != holder and row.until > now and not at_once:
        return None
    epoch = max(int(row.epoch), above) + 1
    connection.execute(
        leases.update().where(leases.c.name == name).values(holder=holder, epoch=epoch, until=now + for_us)
    )
    return epoch


def take_all(
    connection: sa.Connection, above: Mapping[str, int], holder: str, now: int, for_us: int, *, at_once: bool
) -> dict[str, int] | None:
    """All of these leases or none: name → the new epoch, which is above the one that is given with the name. None
    while another holder's lease on any of them runs; nothing was changed then."""
    names = sorted(above)  # in one order, so that two holders do not wait for each other
    if not at_once and any(_held_by_another(connection, name, holder, now) for name in names):
        return None
    epochs = {name: take(connection, name, holder, now, for_us, at_once=True, above=above[name]) for name in names}
    return {name: epoch for name, epoch in epochs.items() if epoch is not None}


def _held_by_another(connection: sa.Connection, name: str, holder: str, now: int) -> bool:
    row = connection.execute(sa.select(leases).where(leases.c.name == name).with_for_update()).first()
    return row is not None and row.holder != holder and row.until > now


def holders(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Who holds any of these, or held it last."""
    return set(connection.scalars(sa.select(leases.c.holder).where(leases.c.name.in_(names))))


def drop(connection: sa.Connection, name: str, epoch: int) -> None:
    """Gives it up, so that the next holder need not wait. The epoch stays: the next one is above it."""
    connection.execute(leases.update().where(leases.c.name == name, leases.c.epoch == epoch).values(until=0))


def renew(connection: sa.Connection, name: str, epoch: int, until: int) -> None:
    """LeaseLost if the epoch is no longer the current one."""
    held = connection.execute(
        leases.update().where(leases.c.name == name, leases.c.epoch == epoch).values(until=until)
    ).rowcount
    if not held:
        raise LeaseLost(f"the lease {name!r} of epoch {epoch} was taken over")


def assert_held(connection: sa.Connection, name: str, epoch: int) -> None:
    """LeaseLost if it is not; else nobody takes it over before the transaction ends."""
    query = sa.select(leases.c.epoch).where(leases.c.name == name).with_for_update(read=True)
    found = connection.execute(query).scalar()
    if found != epoch:
        raise LeaseLost(f"the lease {name!r} of epoch {epoch} was taken over by epoch {found}")


def assert_all(connection: sa.Connection, held: Mapping[str, int], within_s: float = WITHIN_S) -> None:
    """The same of several, by name and epoch, in one statement. Where the server can (PostgreSQL 17), it ends a
    transaction that takes longer than that: whoever was paused in it would keep others from its leases for ever."""
    limit = [sa.func.set_config("transaction_timeout", f"{within_s:.0f}s", True)] if _can_limit(connection) else []
    query = (
        sa.select(leases.c.name, leases.c.epoch, *limit)
        .where(leases.c.name.in_(held))
        .order_by(leases.c.name)
        .with_for_update(read=True)
    )
    found = {row.name: row.epoch for row in connection.execute(query)}
    if found != dict(held):
        lost = sorted(name for name, epoch in held.items() if found.get(name) != epoch)
        raise LeaseLost(f"the leases {', '.join(lost)} were taken over")


def _can_limit(connection: sa.Connection) -> bool:
    return (connection.dialect.server_version_info or (0,)) >= (17,)


class Lease(NamedTuple):
    name: str
    holder: str
    until: int


def look(connection: sa.Connection, prefix: str) -> list[Lease]:
    """Those whose name begins so."""
    query = sa.select(leases.c.name, leases.c.holder, leases.c.until).where(leases.c.name.startswith(prefix))
    return [Lease(*row) for row in connection.execute(query.order_by(leases.c.name))]


def forget(connection: sa.Connection, name: str) -> None:
    connection.execute(leases.delete().where(leases.c.name == name))
