"""What people keep beside alerts, in the ledger: watch lists, lots, digests. Functions of a connection.

Every function that takes `owner_id` sees that owner's things and nobody else's. A lot that was removed stays as a row,
so that its owner can take that back. `claim` is how a digest is told once, whoever tells it. Depends on
hub.ledger.tables and hub.model.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from hub.ledger.tables import destinations, digests, lots, notifications, users, watchlists
from hub.model import Digest, Lot, WatchList

# ------------------------------------------------------------------------------------------ watch lists


def watchlists_of(connection: sa.Connection, owner_id: int) -> list[WatchList]:
    """In the order in which they were made."""
    query = sa.select(watchlists).where(watchlists.c.owner_id == owner_id).order_by(watchlists.c.id)
    return [_watchlist(row) for row in connection.execute(query)]


def watchlist_of(connection: sa.Connection, owner_id: int, name: str) -> WatchList | None:
    row = connection.execute(sa.select(watchlists).where(_named(owner_id, name)).with_for_update()).first()
    return None if row is None else _watchlist(row)


def save_watchlist(connection: sa.Connection, owner_id: int, wanted: WatchList, now: int) -> None:
    joined = " ".join(wanted.instruments)
    update = watchlists.update().where(_named(owner_id, wanted.name)).values(instruments=joined)
    if not connection.execute(update).rowcount:
        values = {"owner_id": owner_id, "name": wanted.name, "instruments": joined, "created_at": now}
        connection.execute(watchlists.insert().values(**values))


def delete_watchlist(connection: sa.Connection, owner_id: int, name: str) -> None:
    connection.execute(watchlists.delete().where(_named(owner_id, name)))


def _named(owner_id: int, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(watchlists.c.owner_id == owner_id, watchlists.c.name == name)


def _watchlist(row: sa.Row[Any]) -> WatchList:
    return WatchList(name=row.name, instruments=tuple(row.instruments.split()))


# ------------------------------------------------------------------------------------------------- lots

LOT_COLUMNS = tuple(field for field in Lot.__struct_fields__ if field != "id")


def lots_of(connection: sa.Connection, owner_id: int) -> list[Lot]:
    """Held and sold, the oldest number first; without those that were removed."""
    query = sa.select(lots).where(lots.c.owner_id == owner_id, lots.c.removed_at.is_(None)).order_by(lots.c.id)
    return [_lot(row) for row in connection.execute(query)]


def lot_of(connection: sa.Connection, owner_id: int, lot_id: int, *, removed: bool = False) -> Lot | None:
    """One that is there, or with `removed` one that was taken away."""
    gone = lots.c.removed_at.is_not(None) if removed else lots.c.removed_at.is_(None)
    mine = sa.select(lots).where(lots.c.owner_id == owner_id, lots.c.id == lot_id, gone).with_for_update()
    row = connection.execute(mine).first()
    return None if row is None else _lot(row)


def count_lots(connection: sa.Connection, owner_id: int) -> int:
    """Also those that were removed."""
    return int(connection.execute(sa.select(sa.func.count()).where(lots.c.owner_id == owner_id)).scalar_one())


def add_lot(connection: sa.Connection, owner_id: int, lot: Lot, now: int) -> int:
    values = {name: getattr(lot, name) for name in LOT_COLUMNS}
    query = lots.insert().values(owner_id=owner_id, created_at=now, **values).returning(lots.c.id)
    return int(connection.execute(query).scalar_one())


def change_lot(connection: sa.Connection, lot_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(lots.update().where(lots.c.id == lot_id).values(**values))


def _lot(row: sa.Row[Any]) -> Lot:
    return Lot(id=row.id, **{name: getattr(row, name) for name in LOT_COLUMNS})


# ---------------------------------------------------------------------------------------------- digests

DIGEST_COLUMNS = tuple(field for field in Digest.__struct_fields__ if field != "id")


def digests_of(connection: sa.Connection, owner_id: int) -> list[Digest]:
    query = sa.select(digests).where(digests.c.owner_id == owner_id).order_by(digests.c.at_s, digests.c.id)
    return [_digest(row) for row in connection.execute(query)]


def add_digest(connection: sa.Connection, digest: Digest, now: int) -> int:
    values = {name: getattr(digest, name) for name in DIGEST_COLUMNS}
    return int(
        connection.execute(digests.insert().values(created_at=now, **values).returning(digests.c.id)).scalar_one()
    )


def change_digest(connection: sa.Connection, digest_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(digests.update().where(digests.c.id == digest_id).values(**values))


def delete_digest(connection: sa.Connection, digest_id: int) -> None:
    connection.execute(digests.delete().where(digests.c.id == digest_id))


def due_digests(connection: sa.Connection, now: int) -> list[Digest]:
    query = sa.select(digests).where(digests.c.enabled, digests.c.next_at <= now).order_by(digests.c.next_at)
    return [_digest(row) for row in connection.execute(query)]


def next_digest_at(connection: sa.Connection) -> int | None:
    at: int | None = connection.execute(sa.select(sa.func.min(digests.c.next_at)).where(digests.c.enabled)).scalar()
    return at


def strayed(connection: sa.Connection) -> list[tuple[Digest, str]]:
    """Digests whose person lives by another clock now than the one that they were reckoned by, with that clock."""
    query = (
        sa.select(digests, users.c.time_zone.label("lives_in"))
        .join(users, users.c.id == digests.c.user_id)
        .where(users.c.time_zone != digests.c.time_zone)
    )
    return [(_digest(row), row.lives_in) for row in connection.execute(query)]


def claim(connection: sa.Connection, digest: Digest, values: Mapping[str, Any]) -> bool:
    """Moves a due digest on, for one of all who try: False where another was first, or its owner changed it."""
    same = (digests.c.id == digest.id, digests.c.next_at == digest.next_at, digests.c.enabled)
    return bool(connection.execute(digests.update().where(*same).values(**values)).rowcount)


def post(connection: sa.Connection, digest: Digest, key: str, title: str, text: str, now: int) -> list[int]:
    """A notification for each destination that is on, or for the one that was chosen; the numbers of those that are
    new. One of the same key is there once."""
    row = destinations.c
    wanted = sa.select(row.id).where(row.owner_id == digest.owner_id, row.disabled == "").order_by(row.id)
    if digest.destination_id is not None:
        wanted = wanted.where(row.id == digest.destination_id)
    posted = []
    for destination_id in connection.scalars(wanted).all():
        own_key = f"{key}:{destination_id}"
        if connection.execute(sa.select(notifications.c.id).where(notifications.c.key == own_key)).first() is None:
            values = {
                "key": own_key,
                "destination_id": destination_id,
                "title": title,
                "text": text,
                "state": "due",
                "due_at": now,
                "created_at": now,
            }
            inserted = connection.execute(notifications.insert().values(**values).returning(notifications.c.id))
            posted.append(int(inserted.scalar_one()))
    return posted


def _digest(row: sa.Row[Any]) -> Digest:
    return Digest(id=row.id, **{name: getattr(row, name) for name in DIGEST_COLUMNS})
