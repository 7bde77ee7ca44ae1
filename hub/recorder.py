"""The recorder: frames → ticks and candles, with its position, exactly once.

Each batch of frames and the position behind it are one transaction of the history. A disk that is full or a store
that is away stops nothing else: the batch is tried again, said once, and the stream holds what comes meanwhile.
Depends on hub.reader and hub.history.
"""

import asyncio
import contextlib
import time
from typing import Any

import structlog

from hub import reader
from hub.bus import Bus
from hub.frame import Frame
from hub.history import History, HistoryTrouble, Position
from hub.model import SECOND_US

log = structlog.get_logger("recorder")
RETRY_S = 2.0
REPORT_EVERY_S = 2.0
PRUNE_EVERY_S = 3600.0
DAY_US = 86_400 * SECOND_US


class Recorder:
    """`position`: where it goes on. `stored`: what the history holds, where that is another (the stream was made
    anew); it tells a recorder that was taken over from, so that nothing is stored twice."""

    def __init__(
        self, bus: Bus, history: History, tail: reader.Tail, position: Position, stored: Position | None = None
    ) -> None:
        self._stored = stored or position
        self.bus = bus
        self.history = history
        self.tail = tail
        self.position = position
        self.trouble = ""
        self._batches = reader.Batches(tail, tail.reader(position.sequence), self._mark, self._forget)
        self._reported_at = 0.0

    async def run(self) -> None:
        try:
            while True:
                await self._record(await self._batches.next())
                if time.monotonic() - self._reported_at > REPORT_EVERY_S:
                    self._reported_at = time.monotonic()
                    await reader.report_quietly(self.bus, "recorder", self.position.sequence)
        except asyncio.CancelledError:
            await self._batches.forget()
            raise

    async def _record(self, reads: list[reader.Read]) -> None:
        """One transaction for the batch; a frame that came before (by epoch and number) only moves the sequence."""
        fresh: list[Frame] = []
        place = (self.position.epoch, self.position.number)
        clock = self.position.clock
        for read in reads:
            if read.frame is not None and (read.frame.epoch, read.frame.number) > place:
                place, clock = (read.frame.epoch, read.frame.number), max(clock, read.frame.clock)
                fresh.append(read.frame)
        after = Position(
            stream=self.position.stream,
            sequence=reads[-1].sequence,
            epoch=place[0],
            number=place[1],
            clock=clock,
            ticks=self.position.ticks,
        )
        while True:
            try:
                self.position = await self.history.append(fresh, after, behind=self._stored)
                self._stored = self.position
                break
            except HistoryTrouble as error:
                await self._wait(error)
        if self.trouble:
            log.info("ticks are stored again", sequence=self.position.sequence)
            self.trouble = ""

    async def _mark(self, sequence: int) -> int:
        while True:
            try:
                return await self.history.trying(sequence)
            except HistoryTrouble as error:
                await self._wait(error)

    async def _forget(self) -> None:
        with contextlib.suppress(HistoryTrouble):
            await self.history.clear_tries()

    async def _wait(self, error: HistoryTrouble) -> None:
        if not self.trouble:
            log.error("ticks cannot be stored; they wait in the stream", reason=str(error))
        self.trouble = str(error)
        await asyncio.sleep(RETRY_S)

    def status(self) -> dict[str, Any]:
        return {
            "service": "recorder",
            "sequence": self.position.sequence,
            "ticks": self.position.ticks,
            "lag_frames": max(self.tail.sequence - self.position.sequence, 0),
            "quarantined": self.tail.quarantined,
            "error": self.trouble,
        }


async def keep_for(history: History, days: int) -> None:
    """For ever removes ticks that are older than so many days, by the stream's clock: in a recording, its own."""
    while True:
        try:
            removed = await history.prune((await history.position()).clock - days * DAY_US)
        except HistoryTrouble as error:
            log.warning("old ticks cannot be removed now", reason=str(error))
        else:
            if removed:
                log.info("old ticks were removed", ticks=removed, older_than_days=days)
        await asyncio.sleep(PRUNE_EVERY_S)
