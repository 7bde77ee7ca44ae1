"""What came of some frames, until it is committed."""

import msgspec

from hub.ledger.alerts import Rang, StateChange, Told


class Batch(msgspec.Struct):
    fired: list[Rang] = []
    moved: set[int] = set()  # alerts whose rows are written as they stand at the commit
    changed: dict[int, StateChange] = {}  # rows of alerts that are gone from memory, or asleep
    armed: dict[int, float | None] = {}  # what an alert was armed against
    told: list[Told] = []
    prices: set[str] = set()  # instruments whose price moved
    urgent: bool = False  # something that a person may look at has changed: it is committed at once

    @property
    def news(self) -> bool:
        return self.urgent or bool(self.fired)
