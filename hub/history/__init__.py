"""History: every tick, the candle ladder above them, and how far the recorder has come. One contract, many stores.

`append` takes whole frames and the position behind them in one transaction: after any death either all of a batch is
there, with its candles, marks, counts and position, or nothing of it. Reads never wait for the writer and see only
what is committed. `check_history` in hub.testing holds a store to this contract. Depends on hub.model, hub.frame and
hub.config; the store itself is imported when it is opened.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from hub.config import Config
from hub.frame import Frame
from hub.model import Candle, Nature, Tick


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where the recorder stands, as committed with its last batch. All zero: a new store."""

    stream: str = ""  # the stream's id
    sequence: int = 0  # of the last message taken
    epoch: int = 0  # of the publisher, with `number` the last frame taken
    number: int = 0
    clock: int = 0  # the stream's clock behind that frame
    ticks: int = 0  # ticks stored since the store was made, counting those that retention has removed since


def held_to(behind: Position, stored: Sequence[object]) -> None:
    """HistoryMoved unless the stored (stream, sequence, epoch, number) is that of `behind`."""
    known = (behind.stream, behind.sequence, behind.epoch, behind.number)
    if tuple(stored) != known:
        raise HistoryMoved(f"another recorder stands at {tuple(stored)}, this one left off at {known}: it stops")


class HistoryTrouble(Exception):
    """The store cannot be written now. Nothing of the transaction was kept; the same call may be repeated."""

    def __init__(self, sentence: str, path: Path | None = None, free_bytes: int = 0) -> None:
        super().__init__(sentence)
        self.path = path
        self.free_bytes = free_bytes


class HistoryFull(HistoryTrouble):
    """The disk, or what the store may take of it, has no room."""


class HistoryMoved(Exception):
    """Another recorder has stored frames since: this one was taken over from, and must stop."""


class HistoryTooNew(Exception):
    """The store was written by a newer tocsin; this one leaves it as it is."""


class History(Protocol):
    """Times are microseconds UTC; ranges are [start, end). A tick's time is its venue_time, else received_at.
    What is asked of an unknown instrument is empty."""

    async def position(self) -> Position: ...

    async def append(self, frames: Sequence[Frame], position: Position, *, behind: Position | None = None) -> Position:
        """Stores all ticks of the frames in their order, with the ladder, the marks, the refusals, what is finished,
        and `position`; its `ticks` is counted here and returned. HistoryTrouble where it cannot be written;
        HistoryMoved where the stored position is no more the one that the caller stored last, `behind`."""
        ...

    async def fill(self, frames: Sequence[Frame]) -> int:
        """As `append`, for prices of the past that never were in the stream (imports, backfills), and returns how many
        ticks were stored. The position (but for its count of ticks) and the newest prices stay as they are. Where the
        1m rung has a candle already that is not of the same source's earlier `fill`, the ticks are stored as STANDBY:
        what was recorded wins. Above the 1m rung, intervals that were touched are built anew from the rung below, in
        the order of time; an interval that had a candle and none below it (a bar that was filled) stays as it was."""
        ...

    async def fill_candles(
        self, instrument: str, rung: str, candles: Sequence[Candle], *, source: str, nature: Nature, number: int
    ) -> int:
        """Bars of the past, where the rung has none; the rungs above as in `fill`. `number` becomes the mark of the
        source's lane "XAU-USD/bar", in the same transaction. Returns how many were new."""
        ...

    async def ticks(
        self, instrument: str, start_us: int, end_us: int, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Tick]:
        """By time, ticks of one time in stream order."""
        ...

    def scan(self, instrument: str, start_us: int, end_us: int) -> AsyncIterator[list[Tick]]:
        """As `ticks` in its order, some thousands at a time, for spans of any size. Each piece is read when it is
        asked for; ticks that come meanwhile may be in it or not."""
        ...

    async def reach(self, instrument: str) -> dict[str, tuple[int, int]]:
        """rung → the starts of its oldest and newest candle, for rungs that have one; and "ticks" → the times of the
        oldest and newest tick."""
        ...

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]:
        """The candles whose interval starts in the range, the oldest first. A rung is a name in ladder.RUNGS."""
        ...

    async def window(self, instrument: str, start_us: int, end_us: int, points: int) -> tuple[str, list[Candle]]:
        """The span for a chart of about so many points: the rung that `ladder.rung_for` names, and its candles from
        the one that holds `start_us` on. Where a coarser rung has candles of the span from before the first of that
        rung (bars that were imported), the finest rung that reaches as far back."""
        ...

    async def last_ticks(self) -> dict[str, Tick]:
        """The newest tick, in stream order, that moved the price of each instrument."""
        ...

    async def day(self, instrument: str, time_us: int) -> tuple[Candle | None, Candle | None]:
        """The candle of the UTC day that holds `time_us`, and the newest daily candle before it."""
        ...

    async def marks(self) -> dict[str, dict[str, int]]:
        """source → lane → the highest vendor number that was accepted or refused."""
        ...

    async def refusals(self) -> dict[str, dict[str, int]]:
        """source → reason → how many updates were refused for it."""
        ...

    async def finished(self) -> dict[str, int]:
        """source → what it read, of feeds that have nothing more to come."""
        ...

    async def tick_count(self, source: str = "") -> int:
        """Ticks that are stored now, of one source or of all."""
        ...

    async def natures(self) -> dict[str, Nature]:
        """What each source that ever ticked is: live, polled, simulated, a recording."""
        ...

    async def trying(self, sequence: int) -> int:
        """Commits that this message is about to be tried, and returns how often it was. An `append` that moves the
        position past it forgets it."""
        ...

    async def clear_tries(self) -> None: ...

    async def prune(self, before_us: int) -> int:
        """Removes ticks older than that and returns how many. Candles stay, and so does each instrument's newest
        price. Appends go on in between."""
        ...


@asynccontextmanager
async def open_history(config: Config) -> AsyncIterator[History]:
    """The store that the configuration names: PostgreSQL at `history.url`, else SQLite in the data folder."""
    if config.history.url:
        from hub.history.postgres import open_postgres

        async with open_postgres(config.history) as history:
            yield history
    else:
        from hub.history.sqlite import open_sqlite

        async with open_sqlite(config.folder / "history.db", config.history.synchronous) as lite:
            yield lite
