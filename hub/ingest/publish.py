"""Frames into the stream, each once, one after the other.

Each publish names the sequence that it expects to be the stream's last. So one that is repeated after a lost
acknowledgement is stored once, and one by an ingest whose lease was taken is refused by the broker itself. Depends on
hub.bus and hub.reader.
"""

import asyncio
import contextlib
from collections.abc import Callable

import nats.errors
import nats.js.errors
import structlog

from hub import bus as names
from hub.bus import Bus, StreamRefused
from hub.frame import BadFrame, decode, encode
from hub.ingest.pending import Pending
from hub.reader import slowest

log = structlog.get_logger("ingest")

ACK_S = 2.0
KEEP_FRAMES = 20_000
"""Frames that stay in the stream below the slowest reader, for windows to be rebuilt from."""
PURGE_EVERY_S = 30.0
WRONG_LAST_SEQUENCE = 10071
"""JetStream's error code for an expected last sequence that does not match (nats-server errors.json)."""


class Fenced(Exception):
    """Another ingest has published with a later lease; this one stops."""


class Publisher:
    """`run` for ever. `trouble` says why publishing waits, while it does."""

    def __init__(
        self,
        bus: Bus,
        pending: Pending,
        epoch: int,
        last_sequence: int,
        now_us: Callable[[], int],
    ) -> None:
        self.bus = bus
        self.epoch = epoch
        self.sequence = last_sequence
        self.frames = 0
        self.ticks = 0
        self.trouble = ""
        self.busy = False  # a frame is not acknowledged yet
        self._pending = pending
        self._now_us = now_us
        self._number = 0
        self._full = asyncio.Event()

    async def run(self) -> None:
        while True:
            frame = await self._pending.take()
            self.busy = True
            self._number += 1
            frame.epoch, frame.number = self.epoch, self._number
            frame.opened_at = frame.opened_at or self._now_us()
            await self._store(encode(frame))
            self.busy = False
            self.frames += 1
            self.ticks += len(frame)

    async def _store(self, payload: bytes) -> None:
        """Until the stream has it, once. Fenced when another ingest is at work."""
        attempt = 0
        while True:
            try:
                self.sequence = await self.bus.append(payload, self.sequence, ACK_S)
                break
            except StreamRefused as error:
                if error.err_code == WRONG_LAST_SEQUENCE:
                    if await self._is_newest():
                        break
                    continue
                trouble = f"the stream refuses frames: {error}"
                self._full.set()
            except nats.errors.NoRespondersError:
                trouble = "the stream is gone"
            except (nats.errors.Error, TimeoutError, OSError) as error:
                trouble = f"the bus does not acknowledge ({type(error).__name__})"
            if trouble != self.trouble:
                log.warning("publishing waits; feeds are held back", reason=trouble)
                self.trouble = trouble
            attempt += 1
            await asyncio.sleep(min(0.05 * 2**attempt, 1.0))
        if self.trouble:
            log.info("publishing goes on", after=self.trouble)
            self.trouble = ""

    async def _is_newest(self) -> bool:
        """After a refused sequence: True if the newest frame is the one at hand (its acknowledgement was lost)."""
        try:
            state = await self.bus.steady(self.bus.js.stream_info(names.TICKS))
            self.sequence = state.state.last_seq
            if not state.state.messages:
                return False
            message = await self.bus.steady(self.bus.js.get_msg(names.TICKS, self.sequence, direct=True))
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
            await asyncio.sleep(0.1)
            return False
        try:
            newest = decode(message.data or b"")
        except BadFrame:  # something else was put on the subject; the readers set it aside, we go on behind it
            return False
        if newest.epoch > self.epoch:
            raise Fenced(f"an ingest with lease {newest.epoch} publishes now; this one had lease {self.epoch}")
        return (newest.epoch, newest.number) == (self.epoch, self._number)

    async def purge(self) -> None:
        """For ever: what every reader has taken goes, but for a margin."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PURGE_EVERY_S):
                    await self._full.wait()
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                await self._purge()
            if self._full.is_set():
                self._full.clear()
                await asyncio.sleep(1)

    async def _purge(self) -> None:
        """Keeps the margin in frames, and at most half the room in bytes; never what a reader has not taken."""
        read = await slowest(self.bus)
        if read is None:
            return
        info = await self.bus.steady(self.bus.js.stream_info(names.TICKS))
        held = max(info.state.messages, 1)
        room = (info.config.max_bytes or 0) // 2
        keep = min(KEEP_FRAMES, room * held // max(info.state.bytes, 1)) if room > 0 else KEEP_FRAMES
        if read - keep > info.state.first_seq:
            await self.bus.steady(self.bus.js.purge_stream(names.TICKS, seq=read - keep))
