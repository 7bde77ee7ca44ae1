"""The pending frames: what was accepted and waits for the stream's acknowledgement of what went before.

Natural batching: while one publish is unacknowledged, ticks wait here together and go as the next frame. Ticks lie as
rows until their frame is closed, then as columns. Bounded: `room` is cleared when too many frames wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from hub.arbiter import Desk, Happened
from hub.clocks import Watch
from hub.frame import MAX_TICKS, Event, Frame, Refusal, empty
from hub.ingest.day import Day
from hub.model import Nature, Tick, Verdict

FRAMES = 3
"""Full frames that may wait; behind them `emit` waits."""
Row = tuple[int, int, int, int, int | None, int, float, float | None, float | None, float | None, int | None]
"""A tick in the order of the frame's columns."""
RECEIVED_AT: Final = 5


Behind = tuple[Tick, float, int, Verdict] | Refusal
"""A judged tick (with price and received_at), or a refusal."""


class Lane:
    """What ingest keeps of one (source, instrument, kind), so that a tick costs one look-up."""

    __slots__ = (
        "behind", "changed", "day", "desk", "frame", "instrument", "instrument_at", "look_at", "name",
        "number", "price", "source", "source_at", "tick", "watch",
    )  # fmt: skip

    def __init__(
        self, name: str, source: str, instrument: str, desk: Desk, day: Day, number: int, watch: Watch
    ) -> None:
        self.name = name
        self.source = source
        self.instrument = instrument
        self.desk = desk
        self.day = day
        self.number = number  # the vendor number last accepted or refused; -1 for none
        self.behind: list[Behind] = []  # what came while a tick of this lane was held
        self.tick: Tick | None = None  # the newest that moved the price
        self.price = 0.0
        self.changed = False  # since the last quote went out
        self.watch = watch  # over the clock that stamps its ticks
        self.look_at = 0  # the received_at from which on it wants to see one
        self.frame = 0  # in which (counted, not held: a quiet lane must not keep a frame alive) ...
        self.instrument_at = self.source_at = 0  # ... these are its places in the tables


class Pending:
    """Filled by ingest, emptied by the publisher."""

    def __init__(self, natures: Mapping[str, Nature], clock: Callable[[], int]) -> None:
        self._natures = natures
        self._clock = clock
        self._frames: deque[Frame] = deque([empty()])
        self._rows: list[Row] = []  # of the last frame
        self._count = 1  # of frames begun
        self._instruments: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._work = asyncio.Event()
        self._working = False  # the same, for the hot path
        self.room = asyncio.Event()
        self.room.set()

    def __len__(self) -> int:
        """Ticks that wait."""
        return len(self._rows) + sum(len(frame) for frame in self._frames)

    @property
    def idle(self) -> bool:
        last = self._frames[-1]
        return not (self._rows or len(self._frames) > 1 or last.events or last.refused)

    def tick(self, tick: Tick, known: Lane, price: float, received_at: int, verdict: Verdict, now: int) -> None:
        frame = self._frames[-1] if len(self._rows) < MAX_TICKS else self._next()
        if known.frame != self._count:
            self._place(known, frame, now)
        self._rows.append(
            (
                known.instrument_at, known.source_at, tick.kind, verdict, tick.venue_time, received_at,
                price, tick.bid, tick.ask, tick.volume, tick.number,
            )
        )  # fmt: skip
        if not self._working:
            self.wake()

    def event(self, happened: Happened, instrument: str) -> None:
        """Stands before whatever tick comes next."""
        frame = self._open()
        at = len(self._rows)
        frame.events.append(Event(at, happened.kind, happened.time, instrument, happened.source, happened.text))
        self.wake()

    def refusal(self, source: str, lane: str, reason: str, number: int) -> None:
        """Counted per frame, so that a flood of them costs one entry."""
        refused = self._open().refused
        for i, old in enumerate(refused):
            if old.source == source and old.lane == lane and old.reason == reason:
                refused[i] = Refusal(source, lane, reason, old.count + 1, max(old.number, number))
                break
        else:
            refused.append(Refusal(source, lane, reason, 1, number))
        self.wake()

    def wake(self) -> None:
        """Something is to be published, if only the clock."""
        self._working = True
        self._work.set()

    async def take(self) -> Frame:
        """The oldest frame, as soon as there is anything to publish, with the clock as it was when it was closed: what
        came meanwhile waits in others. The rest of its head is the publisher's to fill."""
        await self._work.wait()
        if len(self._frames) == 1:
            self._close(self._clock())
            self._frames.append(empty())
            self._work.clear()
            self._working = False
        frame = self._frames.popleft()
        if len(self._frames) <= FRAMES:
            self.room.set()
        return frame

    def _open(self) -> Frame:
        return self._frames[-1] if len(self._rows) < MAX_TICKS else self._next()

    def _next(self) -> Frame:
        """Of a frame that is full the clock is that of its own ticks: by now the stream's is that of what waits."""
        self._close(max(row[RECEIVED_AT] for row in self._rows))
        self._frames.append(empty())
        if len(self._frames) > FRAMES:
            self.room.clear()
        return self._frames[-1]

    def _close(self, clock: int) -> None:
        """Turns the rows of the last frame into its columns."""
        frame, rows = self._frames[-1], self._rows
        if rows:
            (
                frame.instrument, frame.source, frame.kind, frame.verdict, frame.venue_time, frame.received_at,
                frame.price, frame.bid, frame.ask, frame.volume, frame.vendor_number,
            ) = map(list, zip(*rows, strict=True))  # fmt: skip
        frame.clock = clock
        self._rows = []
        self._count += 1
        self._instruments.clear()
        self._sources.clear()

    def _place(self, known: Lane, frame: Frame, now: int) -> None:
        """Finds the lane's places in the frame's tables, at its first tick in it."""
        known.frame = self._count
        frame.opened_at = frame.opened_at or now
        known.instrument_at = self._instruments.setdefault(known.instrument, len(frame.instruments))
        if known.instrument_at == len(frame.instruments):
            frame.instruments.append(known.instrument)
        known.source_at = self._sources.setdefault(known.source, len(frame.sources))
        if known.source_at == len(frame.sources):
            frame.sources.append(known.source)
            frame.natures.append(self._natures[known.source].value)
