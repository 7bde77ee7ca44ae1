"""The engine's side of splits: which the ledger has, and what they moved, written with it.

Which groups of owners are behind which split is committed with what it moved, so a split that somebody tells at any
time moves each alert once. Depends on hub.ledger and hub.splits.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa
import structlog

from hub.engine.batch import Batch
from hub.engine.splitting import by_of, told
from hub.ledger import Ledger, LedgerTrouble, alerts
from hub.ledger import splits as stored
from hub.ledger.alerts import Told
from hub.model import Split, State
from hub.plugin import BadRequest, Catalogue
from hub.rules.language import parse
from hub.rules.rescale import rescaled
from hub.rules.spec import canonical
from hub.splits import Splits, known

if TYPE_CHECKING:
    from hub.engine.board import Board
    from hub.engine.warmth import Warmth

log = structlog.get_logger("engine")
LOOK_EVERY_S = 5.0
OUT_OF_MEMORY = tuple(state.value for state in State if state not in alerts.HELD)


def save(c: sa.Connection, batch: Batch, held: Collection[str], catalogue: Catalogue, now: int) -> None:
    """What splits have moved: lines of alerts, also of those that are in no memory, lots, and who is behind them."""
    for alert_id, (text, factor) in batch.reworded.items():
        stored.reword(c, alert_id, text, factor)
    for over in batch.splits:
        split, groups = over.split, over.groups or tuple(held)
        for row in stored.silent_rows(c, split.instrument, groups, OUT_OF_MEMORY, over.before):
            after = _after(row.text, split, catalogue) if row.id not in over.seen else None
            if after is not None:
                stored.reword(c, row.id, *after)
                alerts.save_told(c, [Told(row.id, now, told(split, row.text, after[0]))])
        stored.scale_lots(c, split.instrument, split.day, split.numerator, split.denominator, groups)
        stored.mark(c, split.id, groups)


def _after(text: str, split: Split, catalogue: Catalogue) -> tuple[str, float] | None:
    """The line in new shares, and the factor of what it was armed against; None where nothing changes."""
    try:
        spec = parse(text, catalogue.find)
    except BadRequest:
        return None
    again = rescaled(spec, split.instrument, split.factor)
    if again is None or again == spec:
        return None
    return canonical(again), by_of(spec, 0, split)


class Engine(Protocol):
    """What is needed of the engine."""

    ledger: Ledger
    board: "Board"
    warmth: "Warmth"
    splits: Splits
    leases: dict[str, int]
    lock: asyncio.Lock

    async def commit(self) -> None: ...


class SplitWatch:
    """Finds splits that the ledger has and the engine has not heard of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def watch(self) -> None:
        """For ever."""
        while True:
            with contextlib.suppress(LedgerTrouble):
                await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def learn(self, c: sa.Connection) -> None:
        """At the start: what is to come by the stream's clock."""
        board = self._engine.board
        self._engine.splits.set(known(stored.rows(c), board.catalogue))

    def begin(self, clock: int) -> None:
        """Behind `learn`, with prices as they were stored."""
        self._engine.board.splitting.recall(self._engine.splits.all(), clock)

    async def look(self) -> None:
        engine, board = self._engine, self._engine.board
        rows = await engine.ledger.read(stored.rows)
        if not rows and not engine.splits.all():
            return
        async with engine.lock:
            if board.batch.splits:
                await engine.commit()
            groups = tuple(engine.leases)
            rows, marks = await engine.ledger.read(lambda c: (stored.rows(c), stored.marks(c, groups)))
            engine.splits.set(known(rows, board.catalogue))
            clock = board.clock
            board.splitting.expect(split for split in engine.splits.all() if split.at > clock)
        for split in sorted(engine.splits.all(), key=lambda each: each.at):
            behind = tuple(group for group in groups if split.id not in marks[group])
            if behind and 0 < split.at <= clock:
                await self._late(split, behind)

    async def _late(self, split: Split, groups: tuple[str, ...]) -> None:
        engine, board = self._engine, self._engine.board
        root = board.graph.root(split.instrument)
        ticked = root.book.received_at >= split.at
        if ticked:
            try:
                await engine.warmth.again(root)
            except BadRequest as error:
                log.error("a split waits", instrument=split.instrument, reason=error.text)
                return
        async with engine.lock:
            marks = await engine.ledger.read(lambda c: stored.marks(c, groups))
            groups = tuple(group for group in groups if group in engine.leases and split.id not in marks[group])
            if not groups:  # another engine had them meanwhile
                return
            shared = alerts.ENGINE not in groups
            ids = {
                each
                for each in board.splitting.concerned(split.instrument)
                if alerts.group_of(board.standing[each].owner_id, shared=shared) in groups
            }
            since = await engine.ledger.read(lambda c: stored.armed_since(c, ids, split.at))
            if not ticked:
                board.splitting.scale(split)
            board.splitting.move(split, ids - since, groups, split.at)
            await engine.commit()
        log.info(
            "levels have moved over a split", instrument=split.instrument, ratio=split.ratio, alerts=len(ids - since)
        )
