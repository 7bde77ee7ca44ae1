"""Series that look back are given their past before an alert on them is armed, and at the start before the first tick.

It is read without holding anything up: the series keeps what comes meanwhile, and adopts the past between two frames.
Depends on hub.engine.past.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import nats.errors
import nats.js.errors

from hub.engine.board import Board
from hub.engine.lots import Holdings
from hub.engine.past import Past
from hub.engine.roster import refresh
from hub.frame import Position
from hub.history import HistoryTrouble
from hub.plugin import BadRequest
from hub.rules.lookback import Back
from hub.rules.nodes import Node
from hub.rules.roots import Root
from hub.rules.series import Portfolio
from hub.rules.spec import AlertSpec


class Engine(Protocol):
    """What is needed of the engine."""

    board: Board
    holdings: Holdings
    lock: asyncio.Lock

    @property
    def position(self) -> Position: ...


class Warmth:
    def __init__(self, engine: Engine, past: Past) -> None:
        self._engine = engine
        self._past = past
        self._one_at_a_time = asyncio.Lock()

    async def all(self) -> None:
        """At the start, when nothing else is under way."""
        graph = self._engine.board.graph
        if cold := graph.cold():
            twins = await self._past.twins(cold, self._engine.position)
            adopt(cold, twins)
        for node in sorted(graph.nodes.values(), key=lambda node: node.order):
            refresh(node)

    @asynccontextmanager
    async def of(self, spec: AlertSpec, owner_id: int) -> AsyncIterator[None]:
        """Within, the series of an alert that is to be armed are there and warm. BadRequest where they cannot be."""
        graph = self._engine.board.graph
        if any(isinstance(clause.series, Portfolio) for clause in spec.clauses):
            await self._engine.holdings.fetch([owner_id])
        nodes = self._used(spec, owner_id)
        try:
            async with self._one_at_a_time:
                cold = [each for node in nodes for each in _below(node) if isinstance(each, Back) and each.cold]
                if cold:
                    await self._warm(cold)
            yield
        finally:
            for node in nodes:
                graph.release(node)

    def _used(self, spec: AlertSpec, owner_id: int) -> list[Node]:
        maker = self._engine.board.maker
        nodes: list[Node] = []
        try:
            for clause in spec.clauses:
                if (node := maker.watched(clause.series, owner_id).node) is not None:
                    node.uses += 1
                    nodes.append(node)
        except BadRequest:
            for node in nodes:
                self._engine.board.graph.release(node)
            raise
        return nodes

    async def _warm(self, cold: Sequence[Back]) -> None:
        board = self._engine.board
        while True:
            async with self._engine.lock:
                place, splits = self._engine.position, board.splitting.count
                for node in cold:
                    node.keep_from_here()
            try:
                twins = await self._past.twins(cold, place)
            except (HistoryTrouble, nats.errors.Error, nats.js.errors.Error) as error:
                raise BadRequest(f"its past cannot be read now ({error}); try again") from error
            async with self._engine.lock:
                if splits != board.splitting.count:  # what was kept lies on both sides of one
                    continue
                adopt(cold, twins)
                above = {found for each in cold for root in each.roots for found in board.graph.above(root)}
                for found in sorted(above, key=lambda each: each.order):
                    refresh(found)
                return

    async def again(self, root: Root) -> None:
        """What looks back at this instrument is read anew: what it knew was in other shares. BadRequest where it cannot
        be."""
        async with self._one_at_a_time:
            async with self._engine.lock:
                cold = [node for node in self._engine.board.graph.above(root) if isinstance(node, Back)]
                for node in cold:
                    node.cold = True
            if cold:
                await self._warm(cold)


def adopt(cold: Sequence[Back], twins: dict[str, Back]) -> None:
    for node in cold:
        if node.cold:
            node.adopt(twins[node.key])


def _below(node: Node) -> list[Node]:
    return [*(each for one in node.inputs for each in _below(one)), node]
