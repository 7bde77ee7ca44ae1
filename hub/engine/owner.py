"""What every request to the engine needs: the engine itself, the alert that is meant, and a commit under its lease.

Depends on hub.ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa

from hub.bus import Bus
from hub.frame import Position
from hub.ledger import Ledger, alerts, leases
from hub.ledger.outbox import Due
from hub.ledger.rings import Rang
from hub.model import Alert, AlertChange, State
from hub.plugin import BadRequest

if TYPE_CHECKING:
    from hub.engine.board import Board
    from hub.engine.warmth import Warmth

T = TypeVar("T")


class Owner(Protocol):
    """What is needed of the engine."""

    bus: Bus
    ledger: Ledger
    board: "Board"
    warmth: "Warmth"
    lock: asyncio.Lock
    leases: dict[str, int]  # of the groups of owners that it works for, with their epochs
    per_person: int  # alerts that one owner can have
    now_us: Callable[[], int]

    @property
    def position(self) -> Position: ...
    async def until(self, sequence: int) -> int:
        """Waits until the engine has read that far; how many frames it lacks if that takes too long."""
        ...

    def claim(self, now: int) -> tuple[str, int]:
        """Who rows of the outbox are claimed for at once, and until when."""
        ...

    @property
    def bring(self) -> Callable[[int], Awaitable[bool]]:
        """Has the engine work for that owner as well; False where it cannot now."""
        ...

    async def told(self, rang: Sequence[Rang], dues: Sequence[Due]) -> None: ...


def by(change: AlertChange) -> str:
    return change.user_name or "somebody"


async def owned(engine: Owner, change: AlertChange, states: Sequence[State] | None = None) -> Alert:
    """BadRequest where it is not that owner's, or in none of these states."""
    alert = await engine.ledger.read(lambda c: alerts.find(c, change.alert_id))
    if alert is None or alert.owner_id != change.owner_id:
        raise BadRequest(f"there is no alert {change.alert_id} of yours: `alerts` lists them")
    if states is not None and alert.state not in states:
        raise BadRequest(f"alert {alert.id} is {alert.state.value}; that cannot be done to it now{_cure(alert)}")
    return alert


def _cure(alert: Alert) -> str:
    return {
        State.DELETED: f": `delete {alert.id} undo` brings it back",
        State.MUTED: f": `mute {alert.instrument} off` lets it speak",
        State.DONE: f": `again {alert.id}` arms it again",
    }.get(alert.state, "")


async def held(engine: Owner, work: Callable[[sa.Connection], T]) -> T:
    """One transaction, in which the engine's leases are its own."""

    def transaction(c: sa.Connection) -> T:
        leases.assert_all(c, engine.leases)
        return work(c)

    return await engine.ledger.write(transaction)


async def changed(
    engine: Owner,
    alert_id: int,
    values: dict[str, Any],
    told: str,
    check: Callable[[sa.Connection], None] = lambda c: None,
) -> Alert:
    """The alert with those columns, and a line more of its history; nothing where `check` raises."""
    now = engine.now_us()

    def work(c: sa.Connection) -> Alert:
        check(c)
        alerts.update(c, alert_id, values)
        alerts.tell(c, alert_id, now, told)
        alert = alerts.find(c, alert_id)
        assert alert is not None
        return alert

    return await held(engine, work)
