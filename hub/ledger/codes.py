"""Codes that can be used once: to join an identity to whoever made the code, or to become the operator of a hub.

Functions of a connection. Only a code's hash is kept. A person has one code at a time; a code of nobody's is the hub's
own, for its operator. Depends on hub.ledger.tables.
"""

import hashlib
import secrets

import msgspec
import sqlalchemy as sa

from hub.ledger.tables import codes

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without those that are taken for one another (0 O, 1 I L). Eight of them are 8 * 10^11 codes."""
LENGTH = 8


class Code(msgspec.Struct, frozen=True):
    """`user_id` is who made it; None: the hub, for its operator."""

    user_id: int | None
    expires_at: int


def new() -> str:
    """ "K7QM-2XPT"."""
    drawn = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    return f"{drawn[: LENGTH // 2]}-{drawn[LENGTH // 2 :]}"


def keep(connection: sa.Connection, text: str, code: Code, now: int) -> None:
    """In the place of the person's earlier one. What has run out goes as well."""
    if code.user_id is not None:
        connection.execute(codes.delete().where(codes.c.user_id == code.user_id))
    connection.execute(codes.delete().where(codes.c.expires_at <= now))
    connection.execute(codes.insert().values(hash=_hashed(text), created_at=now, **msgspec.structs.asdict(code)))


def look(connection: sa.Connection, text: str, now: int) -> Code | None:
    """The code, if it is good still."""
    row = connection.execute(sa.select(codes).where(codes.c.hash == _hashed(text), codes.c.expires_at > now)).first()
    return None if row is None else Code(row.user_id, row.expires_at)


def take(connection: sa.Connection, text: str, now: int) -> bool:
    """Uses it up; False where it is not good any more. With one code of the hub all of them are used."""
    found = look(connection, text, now)
    if found is None or not connection.execute(codes.delete().where(codes.c.hash == _hashed(text))).rowcount:
        return False
    if found.user_id is None:
        void(connection)
    return True


def void(connection: sa.Connection) -> None:
    """The hub's own codes are good no more: somebody operates it."""
    connection.execute(codes.delete().where(codes.c.user_id.is_(None)))


def _hashed(text: str) -> str:
    plain = "".join(text.split()).replace("-", "").upper()
    return hashlib.sha256(f"tocsin code {plain}".encode()).hexdigest()
