"""Groups and channels in the ledger: each owns the alerts that are set in it, and has a destination of its own.

Functions of a connection. A place is made at the first line that is written in it: an owner, a destination, and a row
of `users` that is nobody's and holds the place's time zone and language. Depends on hub.ledger.people and hub.model.
"""

from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from hub.ledger.people import GONE, LONGEST_ID, LONGEST_NAME, add_destination, destinations_of, inserted, switch
from hub.ledger.tables import destinations, owners, places, users
from hub.model import Destination, Place, Role, Who

CHANNEL = "channel"


def find_place(connection: sa.Connection, who: Who) -> Place | None:
    row = connection.execute(sa.select(places).where(_named(who.platform, who.place))).first()
    return None if row is None else _place(row)


def place_of(connection: sa.Connection, who: Who, now: int, *, time_zone: str) -> Place:
    """The place that a line was written in, made if there is none. A group that has another number since is known by
    its address, which delivery keeps when it hears of that."""
    found = find_place(connection, who) or _renumbered(connection, who)
    name = (who.place_name or who.place)[:LONGEST_NAME]
    if found is None:
        owner_id = inserted(connection, owners, kind=CHANNEL, name=name, created_at=now)
        keeper = {"owner_id": owner_id, "name": name, "role": Role.GUEST, "time_zone": time_zone, "language": ""}
        user_id = inserted(connection, users, created_at=now, **keeper)
        found = Place(
            owner_id=owner_id, user_id=user_id, platform=who.platform, id=who.place[:LONGEST_ID], name=name
        )  # fmt: skip
        values = {"owner_id": owner_id, "user_id": user_id, "name": name, "created_at": now}
        connection.execute(places.insert().values(platform=found.platform, external_id=found.id, **values))
    elif who.place_name and found.name != name:
        settle_place(connection, found, "name", name)
    if not reachable(connection, who, found):  # who can write there can be answered there
        move_here(connection, found, who.address, now)
    return found


def _renumbered(connection: sa.Connection, who: Who) -> Place | None:
    there = (destinations.c.platform == who.platform, destinations.c.address == who.address)
    query = sa.select(places).join(destinations, destinations.c.owner_id == places.c.owner_id)
    row = connection.execute(query.where(places.c.platform == who.platform, *there).limit(1)).first()
    if row is None or not who.address:
        return None
    number = who.place[:LONGEST_ID]
    connection.execute(places.update().where(_named(row.platform, row.external_id)).values(external_id=number))
    return msgspec.structs.replace(_place(row), id=number)


def label_of(place: Place) -> str:
    return f"{place.platform}: {place.name}" if place.name and place.name != place.id else place.platform


def settle_place(connection: sa.Connection, place: Place, field: Literal["name", "who_may", "detect"], to: Any) -> None:
    connection.execute(places.update().where(_named(place.platform, place.id)).values({field: to}))


def reachable(connection: sa.Connection, who: Who, place: Place) -> bool:
    """Whether the place has a destination that was not given up, where the bot can send there at all."""
    there = _destination_of(connection, place)
    return not who.address or (there is not None and not there.disabled.startswith(GONE))


def move_here(connection: sa.Connection, place: Place, address: str, now: int) -> None:
    """What is for the place goes to this address from now on: another topic, or the group's new number."""
    there = _destination_of(connection, place)
    if there is None:
        add_destination(connection, place.owner_id, place.platform, address, label_of(place), now)
        return
    change = destinations.update().where(destinations.c.id == there.id)
    connection.execute(change.values(address=address, label=label_of(place)))
    switch(connection, there.id, "")


def _destination_of(connection: sa.Connection, place: Place) -> Destination | None:
    own = (each for each in destinations_of(connection, place.owner_id) if each.platform == place.platform)
    return next(own, None)


def _named(platform: str, external_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(places.c.platform == platform, places.c.external_id == external_id[:LONGEST_ID])


def _place(row: sa.Row[Any]) -> Place:
    return Place(
        owner_id=row.owner_id,
        user_id=row.user_id,
        platform=row.platform,
        id=row.external_id,
        name=row.name,
        who_may=row.who_may,
        detect=row.detect,
    )
