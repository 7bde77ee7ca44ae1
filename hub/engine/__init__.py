"""The engine: runs the rules on the stream and is the sole writer of live alert state.

A batch of frames is evaluated in memory (`board`); what came of it (states, triggers, notifications, history) and
the position behind it are one transaction of the ledger, so every crossing rings exactly once through any death. One
that brought no news commits its position once a second only: reading it again brings none either. Changes of
alerts (`changes`) are bound to the stream's last sequence at their moment: the alert's side is the series' value
there, and it hears what comes after. Depends on hub.reader, hub.rules, hub.ledger and, to wake delivery, hub.bus.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog

from hub import bus as names
from hub import reader
from hub.bus import Bus
from hub.engine.batch import Batch, save_gaps, save_notices
from hub.engine.board import Board
from hub.engine.changes import Changes
from hub.engine.lots import Holdings
from hub.engine.past import Past
from hub.engine.split_watch import SplitWatch
from hub.engine.split_watch import save as save_splits
from hub.engine.standing import STORM_RINGS, STORM_US
from hub.engine.warmth import Warmth
from hub.frame import Position
from hub.history.adjusted import Reads
from hub.ledger import Ledger, LedgerTrouble, alerts, gaps, rings
from hub.ledger.alerts import AlertRow
from hub.ledger.outbox import Due
from hub.ledger.rings import Rang
from hub.model import SECOND_US
from hub.plugin import Catalogue
from hub.splits import Splits

log = structlog.get_logger("engine")
COMMIT_EVERY_S = 1.0
LOADED_AT_ONCE = 20_000
RETRY_S = 2.0
ARM_WAIT_S = 2.0
"""So long a new alert waits for the engine to reach its place in the stream before the answer says "behind"."""


class Deliverer(Protocol):
    """The deliverer in the same process, if there is one: rows are claimed for it in the trigger's transaction."""

    worker: str
    lease_us: int

    def offer(self, dues: Sequence[Due]) -> None: ...


class Engine:
    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        catalogue: Catalogue,
        tail: reader.Tail,
        position: Position,
        *,
        leases: Mapping[str, int],
        band_percent: float,
        late_after_s: float,
        per_person: int,
        storm_rings: int = STORM_RINGS,
        deliverer: Deliverer | None = None,
        history: Reads | None = None,
        book: str = alerts.ENGINE,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.bus = bus
        self.book = book  # in which it keeps the newest prices
        self.ledger = ledger
        self.tail = tail
        self.position = position
        self.leases = dict(leases)
        self.now_us = now_us
        self._name = min(leases)  # under which a frame that it dies over is found out
        new_board = partial(
            Board,
            catalogue,
            band_percent=band_percent,
            late_after_us=round(late_after_s * SECOND_US),
            storm_rings=storm_rings,
            now_us=now_us,
        )
        self.board = new_board()
        self.splits = Splits()
        self.holdings = Holdings(self)
        self.split_watch = SplitWatch(self)
        self.warmth = Warmth(self, Past(bus, history, new_board, self.splits))
        self.lock = asyncio.Lock()  # one transaction of the engine at a time
        self.per_person = per_person
        self._changes = Changes(self)
        self._catalogue = catalogue
        self._deliverer = deliverer
        self.bring: Callable[[int], Awaitable[bool]] = self._works_for
        self._passed = asyncio.Condition()
        self._queue = tail.reader(position.sequence)
        self._batches = reader.Batches(tail, self._queue, self._mark, self._forget_tries)
        self._committed = position
        self._committed_at = time.monotonic()
        self._reported_at = 0.0
        self.triggers = 0
        self.trouble = ""

    async def load(self, book: str = alerts.ENGINE) -> None:
        """Alerts as they were committed, and the prices in the book of whoever committed them."""
        groups = tuple(self.leases)
        values, blind, lately = await self.ledger.read(
            lambda c: (
                alerts.load_prices(c, book),
                gaps.open_of(c, groups),
                rings.rang_since(c, self.position.clock - STORM_US),
            )
        )
        self.board.load_prices(values)
        if self.book != book:
            self.board.note_all()
        await self.ledger.read(self.split_watch.learn)
        self.split_watch.begin(self.position.clock)
        for gap in blind:
            recall, clock = self.board.blindness.recall, self.position.clock
            recall(gap.instrument, gap.since, gap.owner_id, told=gap.told, clock=clock)
        async for rows in self._rows(groups):
            await self.holdings.fetch({row.owner_id for row in rows if "portfolio" in row.text})
            self.board.load(rows, self.position, lately)
        await self.warmth.all()
        log.info("alerts loaded", alerts=len(self.board.standing), sequence=self.position.sequence)

    async def _rows(self, groups: Collection[str]) -> AsyncIterator[list[AlertRow]]:
        """In pieces, so that the loop goes on and no more than one of them is held; under our lease none changes."""
        after = 0
        while rows := await self.ledger.read(partial(alerts.load, of_groups=groups, after=after, most=LOADED_AT_ONCE)):
            yield rows
            after = rows[-1].id

    async def watch(self) -> None:
        """For ever: what the ledger says that no stream brings."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.holdings.watch())
            tasks.create_task(self.split_watch.watch())

    async def answer(self, payload: bytes) -> bytes:
        """A request on `engine.alerts`."""
        return await self._changes.answer(payload)

    # ---------------------------------------------------------------------------------------------- stream

    async def run(self) -> None:
        try:
            while True:
                await self._take_batch(await self._batches.next())
        except asyncio.CancelledError:
            await self._batches.forget()
            raise

    async def read_to(self, sequence: int) -> None:
        """All frames up to there, without a tail: for an engine that is about to join another one."""
        async for read in reader.reads_between(self.bus, self.position.sequence, sequence):
            self._queue.put_nowait(read)
            if self._queue.qsize() >= reader.BATCH or read.sequence >= sequence:
                while not self._queue.empty():
                    await self._take_batch(await self._batches.next())

    async def join(self, other: "Engine") -> None:
        """Takes over all that the other one works for; both stand at the same place, and neither is running."""
        await other.commit()
        await self.commit()
        await other._batches.forget()
        self.leases |= other.leases
        self.board.absorb(other.board)
        self.board.note_all()
        await self.commit()

    async def part(self, groups: Collection[str]) -> None:
        """Lets go of these owners: what came of them so far is committed, with the prices at that place."""
        async with self.lock:
            await self.commit(groups)
            gone = [
                alert_id
                for alert_id, standing in self.board.standing.items()
                if alerts.group_of(standing.owner_id, shared=True) in groups
            ]
            for alert_id in gone:
                self.board.forget(alert_id)
            for group in groups:
                self.leases.pop(group, None)

    async def _take_batch(self, reads: Sequence[reader.Read]) -> None:
        async with self.lock:
            for read in reads:
                self._take(read)
            if self.board.batch.news or self._batches.marked or self._due():
                await self.commit()
        async with self._passed:
            self._passed.notify_all()
        if time.monotonic() - self._reported_at > COMMIT_EVERY_S * 2:
            self._reported_at = time.monotonic()
            for group in tuple(self.leases):
                await reader.report_quietly(self.bus, group, self._committed.sequence)

    def _due(self) -> bool:
        return time.monotonic() - self._committed_at >= COMMIT_EVERY_S

    def _take(self, read: reader.Read) -> None:
        """One message of the stream; a frame that came before only moves the sequence."""
        frame, place = read.frame, self.position
        if frame is not None and (frame.epoch, frame.number) > (place.epoch, place.number):
            self.board.take(frame, read.sequence)
            clock = max(frame.clock, place.clock)
            place = msgspec.structs.replace(place, epoch=frame.epoch, number=frame.number, clock=clock)
        self.position = msgspec.structs.replace(place, sequence=read.sequence)
        self.board.passed(read.sequence)

    async def until(self, sequence: int, patience_s: float | None = ARM_WAIT_S) -> int:
        """Waits until that frame is read; how many are lacking if that takes too long."""
        try:
            async with asyncio.timeout(patience_s), self._passed:
                await self._passed.wait_for(lambda: self.position.sequence >= sequence)
        except TimeoutError:
            return max(sequence - self.position.sequence, 0)
        return 0

    async def _works_for(self, _owner_id: int) -> bool:
        """Whether it works for that owner too: always, where no other engine does (hub.engine.share has its own)."""
        return True

    # ---------------------------------------------------------------------------------------------- commit

    async def commit(self, parting: Collection[str] = ()) -> None:
        """State, triggers, outbox, prices and position together; tried again for ever while the ledger is full or away.
        `parting`: groups that stay at this place."""
        batch, place, held = self.board.batch, self.position, dict(self.leases)
        changes, prices = self.board.changes(), self.board.prices()

        def transaction(c: sa.Connection) -> list[Due]:
            now = self.now_us()
            worker, until = self.claim(now)
            alerts.save_position(c, place, held, self.book, len(changes) + len(batch.fired))
            alerts.save_states(c, changes)
            alerts.save_prices(c, prices, self.book)
            if parting:
                alerts.copy_book(c, self.book, parting)
            alerts.save_told(c, batch.told)
            save_splits(c, batch, held, self._catalogue, place.clock)
            save_gaps(c, batch)
            save_notices(c, batch.notices, now, place.clock)
            describe = self._catalogue.get
            return rings.save_rang(c, batch.fired, place.stream, now, worker, until, describe, place.clock)

        while True:
            try:
                dues = await self.ledger.write(transaction)
                break
            except LedgerTrouble as error:
                await self._wait(error)
        if self.trouble:
            log.info("alerts are committed again")
            self.trouble = ""
        self.board.batch = Batch()
        self._committed = place
        self._committed_at = time.monotonic()
        self.holdings.carried(batch.splits)
        await self.told(batch.fired, dues)
        if batch.notices:
            await self._nudge()

    def claim(self, now: int) -> tuple[str, int]:
        return (self._deliverer.worker, now + self._deliverer.lease_us) if self._deliverer else ("", 0)

    async def told(self, rang: Sequence[Rang], dues: Sequence[Due]) -> None:
        """Committed: hands the notifications over, or tells whoever delivers that there are some."""
        if not rang:
            return
        self.triggers += len(rang)
        if self._deliverer is not None:
            self._deliverer.offer(dues)
        if self._deliverer is None or self.ledger.shared:  # there it may have left some for a sweep
            await self._nudge()
        for each in rang:
            log.info(
                "an alert fired", alert=each.alert_id, title=each.title, generation=each.generation, late=each.late
            )

    async def _nudge(self) -> None:
        try:
            await self.bus.client.publish(names.OUTBOX, b"")
        except nats.errors.Error:
            log.debug("nudge not sent; the sweep finds the rows")

    async def _mark(self, sequence: int) -> int:
        while True:
            try:
                return await self.ledger.write(lambda c: alerts.mark_try(c, sequence, self._name))
            except LedgerTrouble as error:
                await self._wait(error)

    async def _wait(self, error: LedgerTrouble) -> None:
        if not self.trouble:
            log.error("alerts cannot be committed; the stream waits", reason=str(error))
        self.trouble = str(error)
        await asyncio.sleep(RETRY_S)

    async def _forget_tries(self) -> None:
        """At the end only. Where it fails, the first frames are taken one by one the next time."""
        with contextlib.suppress(LedgerTrouble):
            await self.ledger.write(lambda c: alerts.forget_tries(c, self._name))

    # ---------------------------------------------------------------------------------------------- status

    def _settled(self) -> int:
        """Up to which frame everything that came of it is committed."""
        clean = not (self.lock.locked() or self.board.batch.news)
        return self.position.sequence if clean else self._committed.sequence

    def status(self) -> dict[str, Any]:
        board = self.board
        return {
            "service": "engine",
            "sequence": self.position.sequence,
            "committed": self._settled(),
            "clock": self.position.clock,
            "lag_frames": max(self.tail.sequence - self.position.sequence, 0),
            "alerts": {"live": len(board.standing) - len(board.silences), "silent": len(board.silences)},
            "series": len(board.graph.roots) + len(board.graph.nodes),
            "ticks": board.ticks,
            "triggers": self.triggers,
            "failed": board.failing.count,
            "error": self.trouble,
        }
