"""People in the ledger: who wrote a line, what they may do, and where their alerts go.

Functions of a connection, to be run by `Ledger.write` or `Ledger.read`. A person is made at the first line that
they write: an owner, a user and an identity, and on the console a destination, so that an alert rings somewhere.
Addresses are secret; a label is what may be shown.
"""

from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from hub.ledger import insert_or_ignore
from hub.ledger.tables import destinations, identities, owners, users
from hub.model import Destination, Role, User, Who

CONSOLE = "console"
OPERATOR = "operator"
SHOWN_HOST = 3
LONGEST_ID = 255
LONGEST_NAME = 64
OFF = "switched off by its owner"
REMOVED = "removed by its owner"
"""Why a destination is disabled. A removed one stays as a row without its address: what was sent there names it."""


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
    role = role_of(who, default_role, local_name, has_operator(connection))
    name = (who.name or who.id)[:LONGEST_NAME]
    owner_id = _inserted(connection, owners, kind="user", name=name, created_at=now)
    user_id = _inserted(connection, users, owner_id=owner_id, name=name, role=role, time_zone=time_zone, created_at=now)
    connection.execute(
        identities.insert().values(platform=who.platform, external_id=who.id[:LONGEST_ID], user_id=user_id, name=name)
    )
    if who.platform == CONSOLE:
        add_destination(connection, owner_id, CONSOLE, who.id, CONSOLE, now)
    return User(id=user_id, name=name, role=role, owner_id=owner_id, time_zone=time_zone)


def find_user(connection: sa.Connection, who: Who) -> User | None:
    row = connection.execute(
        sa.select(users)
        .join(identities, identities.c.user_id == users.c.id)
        .where(identities.c.platform == who.platform, identities.c.external_id == who.id[:LONGEST_ID])
    ).first()
    return None if row is None else _user(row)


def user(connection: sa.Connection, user_id: int) -> User | None:
    row = connection.execute(sa.select(users).where(users.c.id == user_id)).first()
    return None if row is None else _user(row)


def settle(connection: sa.Connection, user_id: int, field: str, value: str) -> None:
    """How this person wants things shown: time_zone, currency, weight or theme."""
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


def _owned_by(owner_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(destinations.c.owner_id == owner_id, destinations.c.disabled != REMOVED)


def _inserted(connection: sa.Connection, table: sa.Table, **values: object) -> int:
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
