"""People in the ledger: who wrote a line, what they may do, and where their alerts go.

Functions of a connection, to be run by `Ledger.write` or `Ledger.read`. A person is made at the first line that
they write: an owner, a user and an identity; their private talk with a bot is a destination by itself, so that an
alert rings somewhere. A person may have several identities. Addresses are secret; a label is what may be shown.
"""

from typing import Any, Literal
from urllib.parse import urlsplit

import sqlalchemy as sa

from hub.ledger import insert_or_ignore
from hub.ledger.tables import destinations, digests, identities, owners, users
from hub.model import Destination, Role, User, Who
from hub.plugin import Identity, Person

CONSOLE = "console"
OPERATOR = "operator"
PERSON = "user"
SHOWN_HOST = 3
LONGEST_ID = 255
LONGEST_NAME = 64
OFF = "switched off by its owner"
REMOVED = "removed by its owner"
GONE = "gone: "
"""Why a destination is disabled; behind GONE stands why nobody is reached there any more. A removed one stays as a row
without its address: what was sent there names it."""


def user_of(
    connection: sa.Connection,
    who: Who,
    now: int,
    *,
    default_role: Role = Role.MEMBER,
    time_zone: str = "UTC",
    local_name: str = "",
) -> User:
    """The user behind an identity, made if there is none. `local_name` is the name of the hub's own account on
    this machine: on the console it counts as the operator's, for as long as there is no other operator."""
    found = find_user(connection, who)
    if found:
        return found
    address = private_address(who)
    role = role_of(who, default_role, local_name, has_operator(connection))
    name = (who.name or who.id)[:LONGEST_NAME]
    owner_id = inserted(connection, owners, kind=PERSON, name=name, created_at=now)
    values = {"owner_id": owner_id, "name": name, "role": role, "time_zone": time_zone, "language": ""}
    user_id = inserted(connection, users, created_at=now, **values)
    key = {"platform": who.platform, "external_id": who.id[:LONGEST_ID]}
    connection.execute(identities.insert().values(**key, user_id=user_id, name=name, address=address))
    if address:
        add_destination(connection, owner_id, who.platform, address, who.platform, now)
    return User(id=user_id, name=name, role=role, owner_id=owner_id, time_zone=time_zone)


def find_user(connection: sa.Connection, who: Who) -> User | None:
    row = connection.execute(
        sa.select(users)
        .join(identities, identities.c.user_id == users.c.id)
        .where(identities.c.platform == who.platform, identities.c.external_id == who.id[:LONGEST_ID])
    ).first()
    return None if row is None else _user(row)


def private_address(who: Who) -> str:
    """Where this person is reached by themselves; empty where that is not known."""
    if who.place:
        return ""
    return who.address or (who.id if who.platform == CONSOLE else "")


def meeting(connection: sa.Connection, user: User, who: Who) -> Literal["known", "new", "again"]:
    """Whether the talk that this line is written in is a destination of theirs: one already, not yet, or one that was
    given up because nobody could be reached there."""
    address = private_address(who)
    if not address:
        return "known"
    row = connection.execute(
        sa.select(destinations.c.disabled).where(_at(user.owner_id, who.platform, address))
    ).first()
    if row is None:
        return "new"
    return "again" if row.disabled.startswith(GONE) else "known"


def settle_talk(connection: sa.Connection, user: User, who: Who, now: int) -> None:
    """Makes this private talk a destination of theirs that is on."""
    address = private_address(who)
    connection.execute(identities.update().where(_identity(who.platform, who.id)).values(address=address))
    place = add_destination(connection, user.owner_id, who.platform, address, who.platform, now)
    if place.disabled.startswith(GONE):
        switch(connection, place.id, "")


def identities_of(connection: sa.Connection, user_id: int) -> list[Identity]:
    query = sa.select(identities).where(identities.c.user_id == user_id)
    rows = connection.execute(query.order_by(identities.c.platform, identities.c.external_id))
    return [Identity(platform=row.platform, id=row.external_id, name=row.name) for row in rows]


def part(connection: sa.Connection, user: User, identity: Identity) -> None:
    """Takes an identity from its person, and closes the talk that came with it: what waits for it is for
    outbox.give_up_removed."""
    which = _identity(identity.platform, identity.id)
    address = connection.execute(sa.select(identities.c.address).where(which)).scalar() or ""
    connection.execute(identities.delete().where(which))
    talk = _at(user.owner_id, identity.platform, address)
    for destination_id in connection.scalars(sa.select(destinations.c.id).where(talk)).all() if address else ():
        forget(connection, destination_id)
        bound = digests.update().where(digests.c.destination_id == destination_id)
        connection.execute(bound.values(destination_id=None))  # to all that are left, rather than to nobody


def everyone(connection: sa.Connection) -> list[Person]:
    """All people, those who may most first."""
    query = (
        sa.select(users.c.id, users.c.name, users.c.role, identities.c.platform)
        .join(identities, identities.c.user_id == users.c.id)
        .order_by(users.c.id, identities.c.platform)
    )
    found: dict[int, Person] = {}
    for row in connection.execute(query):
        before = found.get(row.id)
        platforms = (*before.platforms, row.platform) if before else (row.platform,)
        found[row.id] = Person(id=row.id, name=row.name, role=Role(row.role), platforms=platforms)
    return sorted(found.values(), key=lambda person: (list(Role).index(person.role), person.id))


def user(connection: sa.Connection, user_id: int) -> User | None:
    row = connection.execute(sa.select(users).where(users.c.id == user_id)).first()
    return None if row is None else _user(row)


def settle(connection: sa.Connection, user_id: int, field: str, value: str) -> None:
    """What this person settles: how things are shown to them, their quiet hours, their role."""
    connection.execute(users.update().where(users.c.id == user_id).values({field: value}))


def role_of(who: Who, default: Role, local_name: str, operator_exists: bool) -> Role:
    """The console means access to this machine, so its default name is the operator; other names are not."""
    if who.platform != CONSOLE:
        return default
    if who.id == OPERATOR or (local_name and who.id == local_name and not operator_exists):
        return Role.OPERATOR
    return default


def has_operator(connection: sa.Connection) -> bool:
    return connection.execute(sa.select(users.c.id).where(users.c.role == Role.OPERATOR).limit(1)).first() is not None


def destinations_of(connection: sa.Connection, owner_id: int) -> list[Destination]:
    """All of an owner's destinations, also those that are switched off, the oldest first."""
    rows = connection.execute(sa.select(destinations).where(_owned_by(owner_id)).order_by(destinations.c.id))
    return [_destination(row) for row in rows]


def destination_of(connection: sa.Connection, owner_id: int, destination_id: int) -> Destination | None:
    """None if there is none of that number, or it is somebody else's."""
    row = connection.execute(
        sa.select(destinations).where(_owned_by(owner_id), destinations.c.id == destination_id)
    ).first()
    return None if row is None else _destination(row)


def switch(connection: sa.Connection, destination_id: int, why: str) -> None:
    """Off with a reason, or on with none. What waits for it stays where it is."""
    connection.execute(destinations.update().where(destinations.c.id == destination_id).values(disabled=why))


def forget(connection: sa.Connection, destination_id: int) -> None:
    """Removes a destination: nothing is sent there any more, and its address is gone. What waits for it is for
    outbox.give_up_removed."""
    connection.execute(
        destinations.update()
        .where(destinations.c.id == destination_id)
        .values(disabled=REMOVED, address=f"removed:{destination_id}")
    )


def add_destination(
    connection: sa.Connection, owner_id: int, platform: str, address: str, label: str, now: int
) -> Destination:
    """The destination, added unless the owner has it. An empty label is made from the address."""
    label = label or label_of(platform, address)
    values = {"owner_id": owner_id, "platform": platform, "address": address, "label": label, "created_at": now}
    insert_or_ignore(connection, destinations, [values])
    row = connection.execute(
        sa.select(destinations).where(
            destinations.c.owner_id == owner_id,
            destinations.c.platform == platform,
            destinations.c.address == address,
        )
    ).one()
    return _destination(row)


def label_of(platform: str, address: str) -> str:
    """How a destination is shown. In an apprise URL even the host may be a token ("tgram://token/chat"), so
    only its beginning is shown, to tell two of a kind apart; a webhook's host is an ordinary one."""
    try:
        url = urlsplit(address)
        host = url.hostname or ""
    except ValueError:
        return platform
    if platform == "webhook":
        return f"webhook {host}" if host else platform
    if platform == "push" and url.scheme:
        return f"push {url.scheme} {host[:SHOWN_HOST]}…" if len(host) > 2 * SHOWN_HOST else f"push {url.scheme}"
    return platform


def _identity(platform: str, external_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(identities.c.platform == platform, identities.c.external_id == external_id[:LONGEST_ID])


def _at(owner_id: int, platform: str, address: str) -> sa.ColumnElement[bool]:
    row = destinations.c
    return sa.and_(row.owner_id == owner_id, row.platform == platform, row.address == address)


def _owned_by(owner_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(destinations.c.owner_id == owner_id, destinations.c.disabled != REMOVED)


def inserted(connection: sa.Connection, table: sa.Table, **values: object) -> int:
    key = connection.execute(table.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _user(row: sa.Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        owner_id=row.owner_id,
        time_zone=row.time_zone,
        currency=row.currency,
        weight=row.weight,
        theme=row.theme,
        language=row.language,
        quiet=row.quiet,
    )


def _destination(row: sa.Row[tuple[object, ...]]) -> Destination:
    return Destination(
        id=row.id,
        owner_id=row.owner_id,
        platform=row.platform,
        address=row.address,
        label=row.label,
        disabled=row.disabled,
    )
