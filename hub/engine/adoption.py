"""One person becomes another: all that they keep is handed over, and the alerts in memory follow.

One transaction of the ledger, carried out by the engine because it alone may change live alerts. Of two alerts in the
very same words one stays. Depends on hub.ledger and the engine's board.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import sqlalchemy as sa

from hub.engine.board import Board
from hub.ledger import Ledger, alerts, belongings, leases, people
from hub.model import AlertChange, State, User
from hub.plugin import BadRequest


class Owner(Protocol):
    """What is needed of the engine itself."""

    ledger: Ledger
    board: Board
    lock: asyncio.Lock
    leases: dict[str, int]
    now_us: Callable[[], int]


async def adopt(engine: Owner, change: AlertChange) -> dict[str, int]:
    """What went from `from_owner_id` to `owner_id`, rows by table."""

    def transaction(c: sa.Connection) -> tuple[dict[str, int], dict[int, int]]:
        leases.assert_all(c, engine.leases)
        source, target = _both(c, change)
        now, doubled = engine.now_us(), belongings.doubled(c, source, target)
        for alert_id, same in doubled.items():
            alerts.update(c, alert_id, {"state": State.DELETED.value, "deleted_at": now})
            alerts.tell(c, alert_id, now, f"deleted: {target.name} has the same, {same}, since two became one")
        for alert_id in belongings.unfinished(c, source):
            alerts.tell(c, alert_id, now, f"came along when {source.name} and {target.name} became one")
        return belongings.hand_over(c, source, target), doubled

    async with engine.lock:
        moved, doubled = await engine.ledger.write(transaction)
        board = engine.board
        for alert_id in doubled:
            board.forget(alert_id)
        for standing in board.standing.values():
            if standing.owner_id == change.from_owner_id:
                standing.owner_id = change.owner_id
    return moved


def _both(c: sa.Connection, change: AlertChange) -> tuple[User, User]:
    source, target = people.user(c, change.from_user_id), people.user(c, change.user_id)
    if source is None or target is None or source.id == target.id:
        raise BadRequest("one of the two is not there any more: write link for another code")
    if (source.owner_id, target.owner_id) != (change.from_owner_id, change.owner_id):
        raise BadRequest("one of the two has changed meanwhile: write link for another code")
    return source, target
