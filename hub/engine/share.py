"""Several engines on one ledger share the owners: which groups this one works for, and how that changes.

Owners fall into groups. A group belongs to one engine through a lease, whose epoch every commit asserts; each group has
its own position in the stream. Engines that live are counted by leases of their own, and each takes its fair part of
the groups: those that are free, or whose engine has died, and it lets go of what is too much. A group that is taken is
read from its own position up to where the engine's others stand, and joins them there, so no crossing is lost or told
twice, and what the engine had before waits for milliseconds only. Depends on hub.ledger and the engine.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import nats.errors
import nats.js.errors
import sqlalchemy as sa
import structlog

from hub import bus as names
from hub import reader
from hub.bus import Bus
from hub.engine import Engine
from hub.frame import Position
from hub.ledger import Ledger, LedgerTrouble, alerts, leases, outbox
from hub.model import SECOND_US

log = structlog.get_logger("engine")

LOOK_EVERY_S = 1.0
RENEW_EVERY_S = 3.0
LEASE_US = 10 * SECOND_US
FIRST_LEASE_US = 30 * SECOND_US
MEMBER = "member of engine: "
"""In front of an engine's holder: the lease that says that it lives."""
NEAR = 64
"""Frames that a group may be behind when the engine waits for it to join."""
TRIES = 20
TRY_EVERY_S = 0.1

Build = Callable[[dict[str, int], Position, str, str], Awaitable[Engine]]
"""A new engine for these leases, which stands at that position and has loaded what is theirs, with the prices of the
first book; it keeps those of its own in the second."""


def now_us() -> int:
    return time.time_ns() // 1000


def _begin(c: sa.Connection, *, place: Position, stored: Position, groups: Sequence[str]) -> None:
    for group in groups:
        alerts.begin_position(c, place, stored, group)


class Share:
    """`run` for ever; LeaseLost where another engine has taken what this one holds."""

    def __init__(
        self, bus: Bus, ledger: Ledger, build: Build, holder: str, *, clock: Callable[[], int] = now_us
    ) -> None:
        self.engine: Engine | None = None
        self.epochs: dict[str, int] = {}
        self._bus = bus
        self._ledger = ledger
        self._build = build
        self._holder = holder
        self._clock = clock
        self._groups = alerts.groups(shared=True)
        self._books = 0
        self._serving: dict[str, AsyncExitStack] = {}
        self._changing = asyncio.Lock()
        self._tasks: asyncio.TaskGroup

    async def run(self) -> None:
        await reader.gone(self._bus, alerts.ENGINE)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._keep())
                while True:
                    with suppress(LedgerTrouble):
                        await self.look()
                    await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await self._end()

    async def _keep(self) -> None:
        """For ever: what is held stays so, also while the engine is busy with something else."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            with suppress(LedgerTrouble):
                await self._ledger.write(self._renew)

    def _renew(self, c: sa.Connection) -> None:
        now = self._clock()
        leases.take(c, f"{MEMBER}{self._holder}", self._holder, now, LEASE_US, at_once=True)
        for group, epoch in sorted(self.epochs.items()):
            leases.renew(c, group, epoch, now + LEASE_US)

    async def look(self) -> None:
        """Takes or lets go of what makes the parts fair."""
        async with self._changing:
            members, free = await self._ledger.write(self._others)
            fair = math.ceil(len(self._groups) / members)
            surplus = len(self.epochs) - fair
            if surplus > 0:
                await self._let_go(sorted(self.epochs)[-surplus:])
            elif free and surplus < 0:
                await self._take(free[:-surplus])

    def _others(self, c: sa.Connection) -> tuple[int, list[str]]:
        """How many engines live, this one too, and the groups that nobody holds."""
        now = self._clock()
        leases.take(c, f"{MEMBER}{self._holder}", self._holder, now, LEASE_US, at_once=True)
        members = sum(lease.until > now for lease in leases.look(c, MEMBER))
        held = {lease.name for lease in leases.look(c, f"{alerts.ENGINE}-") if lease.until > now}
        return members, [group for group in self._groups if group not in held]

    # --------------------------------------------------------------------------------------------- taking

    async def _take(self, groups: Sequence[str]) -> None:
        epochs, places = await self._ledger.write(lambda c: self._claim(c, groups))
        if not epochs:
            return
        self.epochs |= epochs
        by_place: dict[tuple[Position, str], list[str]] = {}
        for group, place in places.items():
            by_place.setdefault(place, []).append(group)
        try:
            for (stored, book), some in sorted(by_place.items(), key=lambda each: -each[0][0].sequence):
                await self._join({group: epochs[group] for group in some}, stored, book)
                for group in some:
                    await self._serve(group)
            await self._ledger.write(alerts.forget_books)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            left = [group for group in epochs if group not in self._serving]
            log.warning("groups of owners could not be taken now", groups=left, reason=str(error))
            await self._drop(left)
            return
        log.info("an engine works for groups of owners", taken=sorted(epochs), of_all=len(self.epochs))

    def _claim(self, c: sa.Connection, groups: Sequence[str]) -> tuple[dict[str, int], dict[str, tuple[Position, str]]]:
        """Those that are still free, where they stand, and in which book their prices are. What their engine was about
        to send when it died is free as well."""
        now = self._clock()
        living = {lease.holder for lease in leases.look(c, MEMBER) if lease.until > now}
        before = leases.holders(c, groups) - living
        epochs = {}
        for group in sorted(groups):
            if (
                epoch := leases.take(c, group, self._holder, now, FIRST_LEASE_US, at_once=False, waits=False)
            ) is not None:
                epochs[group] = epoch
        for holder in sorted(before) if epochs else ():
            outbox.release(c, holder)
        return epochs, {group: (alerts.position(c, group), alerts.book(c, group)) for group in epochs}

    async def _join(self, epochs: dict[str, int], stored: Position, book: str) -> None:
        """Reads from where these groups stand up to where the others do."""
        state = await reader.stream_state(self._bus)
        place = await reader.settle_start(self._bus, min(epochs), stored, state)
        await self._ledger.write(partial(_begin, place=place, stored=stored, groups=sorted(epochs)))
        self._books += 1
        engine, running = await self._build(epochs, place, book, f"{self._holder}/{self._books}"), self.engine
        if running is None:
            self.engine = engine
            engine.bring = self.bring
            self._tasks.create_task(engine.tail.run())
            self._tasks.create_task(engine.run())
            self._tasks.create_task(engine.watch())
            return
        while running.position.sequence - engine.position.sequence > NEAR:
            await engine.read_to(running.position.sequence)
        await running.until(engine.position.sequence, patience_s=None)
        async with running.lock:
            await engine.read_to(running.position.sequence)
            await running.join(engine)

    async def _serve(self, group: str) -> None:
        assert self.engine is not None
        stack = self._serving[group] = AsyncExitStack()
        await stack.enter_async_context(self._bus.serve(names.alerts(group), self.engine.answer))
        await stack.enter_async_context(self._bus.serve(names.yields(group), partial(self._yield, group)))

    # --------------------------------------------------------------------------------------- letting go

    async def _let_go(self, groups: Collection[str]) -> None:
        assert self.engine is not None
        for group in groups:
            await self._serving.pop(group).aclose()
        await self.engine.part(groups)
        await self._drop(groups)
        log.info("an engine let go of groups of owners", gone=sorted(groups), left=len(self.epochs))

    async def _drop(self, groups: Collection[str]) -> None:
        epochs = {group: self.epochs.pop(group) for group in groups}

        def drop(c: sa.Connection) -> None:
            for group, epoch in sorted(epochs.items()):
                leases.drop(c, group, epoch)

        await self._ledger.write(drop)

    async def _yield(self, group: str, _: bytes) -> bytes:
        """Another engine has to have both of two people who become one."""

        async def let_go() -> None:
            async with self._changing:
                if group in self.epochs:
                    await self._let_go([group])

        self._tasks.create_task(let_go())  # not within the request: it ends the subscription that this came by
        return b""

    async def bring(self, owner_id: int) -> bool:
        """The group of that owner is worked for here too, taken from another engine where it has to be; False where it
        cannot be had now."""
        group = alerts.group_of(owner_id, shared=True)
        for _ in range(TRIES):
            async with self._changing:
                if group in self.epochs:
                    return True
                await self._take([group])
                if group in self.epochs:
                    return True
            with suppress(nats.errors.Error, TimeoutError):
                await self._bus.call(names.yields(group), b"", 2.0)
            await asyncio.sleep(TRY_EVERY_S)
        return False

    async def _end(self) -> None:
        """So that the others need not wait until the leases run out."""
        for stack in self._serving.values():
            with suppress(nats.errors.Error):
                await stack.aclose()

        def drop(c: sa.Connection) -> None:
            for group, epoch in sorted(self.epochs.items()):
                leases.drop(c, group, epoch)
            leases.forget(c, f"{MEMBER}{self._holder}")

        try:
            await self._ledger.write(drop)
        except LedgerTrouble as error:
            log.warning("the leases were not given up, they run out by themselves", reason=str(error))

    def status(self) -> dict[str, Any]:
        told = self.engine.status() if self.engine is not None else {"service": alerts.ENGINE, "sequence": 0}
        return {**told, "groups": f"{len(self.epochs)} of {len(self._groups)}"}
