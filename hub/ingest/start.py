"""What ingest must know of the past. Depends on hub.model and hub.splits."""

from functools import partial

import msgspec

from hub.ingest.day import Day
from hub.model import Tick
from hub.splits import Splits


class Start(msgspec.Struct, kw_only=True):
    """From history, and from the frames that history has not read yet."""

    epoch: int
    last_sequence: int
    marks: dict[str, dict[str, int]]
    prices: dict[str, Tick]
    days: dict[str, Day]
    stamps: dict[str, dict[tuple[str, int], int]] = {}  # instrument → (source, kind) → newest venue_time
    clock: int = 0
    splits: Splits = msgspec.field(default_factory=Splits)

    def day(self, instrument: str) -> Day:
        return self.days.setdefault(instrument, Day(None, None, partial(self.splits.factor, instrument)))
