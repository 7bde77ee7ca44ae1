"""What came of some frames, until it is committed. Depends on hub.ledger."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from hub.ledger import gaps, quiet
from hub.ledger.alerts import StateChange, Told
from hub.ledger.rings import Rang

if TYPE_CHECKING:
    from hub.engine.splitting import Over


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner is to know of their alerts beside what rings. `key` makes it one, whoever writes it."""

    owner_id: int
    key: str
    title: str
    text: str
    alert_id: int | None = None
    urgent: bool = False


class Batch(msgspec.Struct):
    fired: list[Rang] = []
    moved: set[int] = set()  # alerts whose rows are written as they stand at the commit
    changed: dict[int, StateChange] = {}  # rows of alerts that are gone from memory, or asleep
    armed: dict[int, float | None] = {}  # what an alert was armed against
    told: list[Told] = []
    notices: list[Notice] = []
    gaps_begun: list[tuple[str, int, tuple[int, ...]]] = []  # instrument, since when, owners of alerts on it
    gaps_told: list[tuple[str, int, tuple[int, ...]]] = []  # instrument, since when, alerts that are blind
    gaps_ended: list[tuple[str, int, int]] = []  # instrument, since when, until when
    splits: list["Over"] = []
    reworded: dict[int, tuple[str, float]] = {}  # lines behind a split, and by how much the armed price counts
    prices: set[str] = set()  # instruments whose price moved
    urgent: bool = False  # something that a person may look at has changed: it is committed at once

    @property
    def news(self) -> bool:
        return self.urgent or bool(self.fired or self.notices)


def save_gaps(c: sa.Connection, batch: Batch) -> None:
    """In the order in which they can follow each other."""
    for instrument, since, owner_ids in batch.gaps_begun:
        gaps.begin(c, instrument, since, owner_ids)
    for instrument, since, alert_ids in batch.gaps_told:
        gaps.tell(c, instrument, since, alert_ids)
    for instrument, since, until in batch.gaps_ended:
        gaps.end(c, instrument, since, until)


def save_notices(c: sa.Connection, notices: Sequence[Notice], now: int, clock: int) -> None:
    for each in notices:
        quiet.notices(
            c, each.owner_id, each.key, each.title, each.text, now,
            alert_id=each.alert_id, urgent=each.urgent, clock=clock,
        )  # fmt: skip
