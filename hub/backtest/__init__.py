"""Back-tests: how often an alert would have rung in a span of stored prices.

The engine's own board (hub.engine.board) is run over what history holds: ticks where they are kept, else the path of
candles, all instruments below the alert merged by time, with the windows and indicators that it would have had. It is
armed at the span's start against the price of then. What is for once is counted as if it were armed again each time
behind its band. Nothing is written and nothing rings.

It gives way: after some milliseconds of work everything else in the process has its turn, one back-test runs at a time,
and each has a budget. What a budget has no room for is told by coarser candles, as far as these can tell it, else the
span is cut; the answer says which. Depends on hub.history, hub.ledger and hub.engine's board.
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from hub.backtest.frames import Frames
from hub.backtest.near import can_skip, near
from hub.backtest.needs import Needs, needs_of
from hub.backtest.path import BEHIND_US, Leg, Wanted, received
from hub.backtest.plan import Plan, Stored, planned, whole
from hub.engine.batch import Batch
from hub.engine.board import Board
from hub.engine.lots import held_of
from hub.engine.past import fill
from hub.engine.ringing import Evidence, Ringing
from hub.engine.roster import refresh
from hub.engine.standing import Standing
from hub.engine.warmth import adopt
from hub.frame import Frame
from hub.history.adjusted import Reads
from hub.history.ladder import floor, length_us
from hub.ledger import Ledger, keeping
from hub.ledger.rings import Rang
from hub.model import Backtest, Instrument, Tick, WouldRing
from hub.plugin import Catalogue
from hub.rules.lookback import Back, ChangeNode, VolumeNode, WindowNode
from hub.rules.roots import Root
from hub.rules.series import DAY_US, MINUTE_US
from hub.rules.spec import AlertSpec, canonical

ALERT = 1
"""The number that the alert has on a board of its own."""
PIECE = 128
"""Ticks in a frame."""
WORK_S = 0.004
"""So long it works before others have their turn."""
BY_HOUR_US = 70 * DAY_US
"""Up to so much time prices are counted by the hour beforehand, and beyond that by the day."""
SHOWN = 10
NEVER_LATE = 1 << 62


class Backtests:
    def __init__(self, history: Reads, ledger: Ledger, catalogue: Catalogue, *, band_percent: float) -> None:
        self._history = history
        self._ledger = ledger
        self._catalogue = catalogue
        self._running = asyncio.Lock()
        self._new_board = partial(
            Board, catalogue, band_percent=band_percent, late_after_us=NEVER_LATE, now_us=lambda: 0, storm_rings=0
        )

    @property
    def busy(self) -> bool:
        return self._running.locked()

    async def run(
        self, spec: AlertSpec, owner_id: int, start_us: int, end_us: int, *, most: int, within_s: float, cut: bool
    ) -> Backtest | None:
        """None where it does not go into `most` prices and `within_s`; with `cut` a span that is too long begins later.
        BadRequest where the alert cannot be computed here."""
        until = time.monotonic() + within_s
        by_price = can_skip(spec)
        for skip, share in ((True, 0.5), (False, 1.0)) if by_price and cut else ((by_price, 1.0),):
            try:
                async with asyncio.timeout((until - time.monotonic()) * share):
                    async with self._running:
                        return await self._run(Asked(spec, owner_id, start_us, end_us, most, cut, skip))
            except TimeoutError:
                continue
        return None

    async def _run(self, asked: "Asked") -> Backtest | None:
        spec, end_us = asked.spec, asked.end_us
        needs = needs_of(spec, self._catalogue)
        board = self._new_board()
        if needs.lots:
            lots = await self._ledger.read(lambda c: keeping.lots_of(c, asked.owner_id))
            board.maker.held = lambda _, portfolio: held_of(lots, portfolio)
        rings = board.ringing = Rings(board)
        standing = board.maker.made(again(spec), canonical(again(spec)), asked.owner_id, ALERT)
        roots = roots_of(board, standing)
        stored = [await self._stored(root.instrument, asked, needs) for root in roots]
        if asked.skip:
            plan: Plan | None = whole(needs, stored[0], asked.start_us, end_us)
        else:
            plan = planned(needs, stored, asked.start_us, end_us, asked.most, cut=asked.cut)
        if plan is None:
            return None
        legs = [Leg(self._history, root.instrument, wanted(plan, spec, root)) for root in roots]
        if plan.start_us < end_us:
            if asked.skip:
                ticks = near(legs[0], roots[0].book, plan.rungs, plan.start_us, end_us)
                await self._play(board, standing, legs, plan.start_us, plan.start_us, end_us, ticks)
            else:
                begin_us = plan.start_us - needs.before_us
                ticks = pieces(legs, plan, begin_us, end_us)
                await self._play(board, standing, legs, begin_us, plan.start_us, end_us, ticks)
        candles: Counter[str] = sum((leg.candles for leg in legs), Counter())
        return Backtest(
            count=rings.count,
            rings=tuple(reversed(rings.newest)),
            asked=asked.start_us,
            start=min(plan.start_us, end_us),
            end=end_us,
            cut=plan.cut,
            ticks=sum(leg.ticks for leg in legs),
            candles=dict(candles),
            coarse=plan.coarse,
            closes=plan.closes,
            lots=needs.lots,
        )

    async def _stored(self, instrument: Instrument, asked: "Asked", needs: Needs) -> Stored:
        first = floor(asked.start_us - needs.before_us, DAY_US)
        rung = "1h" if asked.end_us - first <= BY_HOUR_US else "1d"
        candles = await self._history.candles(instrument.id, rung, first, asked.end_us)
        counts = {candle.start: candle.count for candle in candles}
        return Stored(await self._history.reach(instrument.id), counts, length_us(rung))

    async def _play(
        self,
        board: Board,
        standing: Standing,
        legs: Sequence[Leg],
        begin_us: int,
        start_us: int,
        end_us: int,
        pieces: AsyncIterator[list[Tick]],
    ) -> None:
        cold = [node for node in board.graph.cold() if not isinstance(node, WindowNode | ChangeNode | VolumeNode)]
        for window in board.graph.cold():
            window.cold = window in cold  # it fills from what is played before the span
        frames = Frames([leg.instrument for leg in legs], beats=legs[0].on_ticks and bool(board.graph.clocked))
        player = Player(board, frames)
        earlier = [tick for leg in legs for tick in await leg.before(begin_us)]
        await player.play(sorted(earlier, key=received))
        await self._warm(board, cold, begin_us)
        armed = begin_us == start_us
        if armed:
            player.arm(standing, start_us)
        async for ticks in pieces:
            place = 0
            if not armed:
                place = bisect_left(ticks, start_us, key=received)
                await player.play(ticks[:place])
                if place == len(ticks):
                    continue
                player.arm(standing, start_us)
                armed = True
            await player.play(ticks[place:])
        if not armed:
            player.arm(standing, start_us)
        player.take(frames.to(end_us - 1))

    async def _warm(self, board: Board, cold: Sequence[Back], begin_us: int) -> None:
        """What looks further back than what is played before the span reads it, as for the engine."""
        twins = self._new_board()
        for node in cold:
            twins.graph.node(node.series).uses += 1
        for twin in twins.graph.cold():
            await fill(self._history, twin, begin_us)
            twin.cold = False
        for node in cold:
            node.keep_from_here()
        adopt(cold, {key: twin for key, twin in twins.graph.nodes.items() if isinstance(twin, Back)})
        for each in sorted(board.graph.nodes.values(), key=lambda node: node.order):
            refresh(each)


class Asked(NamedTuple):
    spec: AlertSpec
    owner_id: int
    start_us: int
    end_us: int
    most: int
    cut: bool
    skip: bool  # what its price does where nothing can happen is passed over


class Rings(Ringing):
    """Counts what rings, and words nothing."""

    def __init__(self, board: Board) -> None:
        super().__init__(board, NEVER_LATE, 0, lambda: 0)
        self.count = 0
        self.newest: deque[WouldRing] = deque(maxlen=SHOWN)

    def worded(self, rang: Rang, standing: Standing, part: int, seen: Evidence) -> Rang:
        self.count += 1
        self.newest.append(
            WouldRing(at=rang.rang_at or 0, value=rang.price, level=rang.level, direction=rang.direction, part=part)
        )
        return rang

    def sided(self, alert_id: int, standing: Standing, seen: Evidence, *, first: bool) -> None:
        """Told to nobody."""


class Player:
    """Plays ticks to a board, and gives way."""

    def __init__(self, board: Board, frames: Frames) -> None:
        self._board = board
        self._frames = frames
        self._sequence = 0
        self._since = time.perf_counter()

    async def play(self, ticks: Sequence[Tick]) -> None:
        for start in range(0, len(ticks), PIECE):
            self.take(self._frames.of(ticks[start : start + PIECE]))
            if time.perf_counter() - self._since > WORK_S:
                await asyncio.sleep(0)
                self._since = time.perf_counter()

    def take(self, frame: Frame) -> None:
        self._sequence += 1
        self._board.take(frame, self._sequence)
        self._board.batch = Batch()

    def arm(self, standing: Standing, at: int) -> None:
        """Against the values of that moment."""
        self.take(self._frames.to(at))
        self._board.settle(standing)
        self._board.stand(ALERT, standing, None)


async def pieces(legs: Sequence[Leg], plan: Plan, begin_us: int, end_us: int) -> AsyncIterator[list[Tick]]:
    """All ticks that came in [begin, end), of all legs in their order."""
    margin = BEHIND_US if plan.ticks else 0
    chunk, at = plan.chunk_us, begin_us - margin
    at -= at % (chunk if not plan.ticks else MINUTE_US)
    while at < end_us + margin:
        until = min(at - at % chunk + chunk, end_us + margin)
        found: list[Tick] = []
        for leg in legs:
            found += await leg.until(at, until)
        if until >= end_us + margin:
            found += [tick for leg in legs for tick in leg.rest()]
        found.sort(key=received)
        yield [tick for tick in found if begin_us <= (tick.received_at or 0) < end_us]
        at = until


def again(spec: AlertSpec) -> AlertSpec:
    """As it is counted: whenever its condition comes true, whatever its own end is."""
    return replace(spec, repeat="every time", until_us=None)


def roots_of(board: Board, standing: Standing) -> list[Root]:
    """All instruments below it, each once."""
    nodes = standing.more.nodes if standing.more is not None else ()
    plain = [board.graph.root(book.instrument) for book in standing.books if book.instrument]
    return list(dict.fromkeys([*plain, *(root for node in nodes for root in node.roots)]))


def wanted(plan: Plan, spec: AlertSpec, root: Root) -> Wanted:
    return Wanted(plan.ticks, plan.rungs, aside=bool(root.asides), standby=spec.sources > 1)
