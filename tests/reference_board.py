"""The hub's engine as the reference is held against it: happenings cut into frames, and what its board rings."""

import asyncio
from collections.abc import Container, Iterable, Sequence, Set
from itertools import zip_longest
from math import isclose
from typing import cast

from msgspec.structs import replace

from hub.bus import Bus
from hub.engine.batch import Batch
from hub.engine.board import Board
from hub.engine.past import Past
from hub.engine.roster import refresh
from hub.engine.warmth import adopt
from hub.frame import Event, Frame, Position, empty
from hub.instruments import CATALOGUE, Catalogue
from hub.ledger.alerts import HELD, AlertRow, SeriesValue
from hub.model import Nature, Split, State
from hub.rules.spec import AlertSpec, canonical
from hub.splits import Splits
from tests.reference import Beat, Happening, Ring, Told
from tests.reference_market import Tick

RANG = "rang: "


def frames_of(happenings: Sequence[Happening], cuts: Set[int]) -> list[Frame]:
    """A frame ends behind each of `cuts`, and where the clock moves by itself."""
    frames: list[Frame] = []
    frame, clock = empty(), 0
    for place, happening in enumerate(happenings):
        match happening:
            case Tick():
                _add(frame, happening)
                clock = max(clock, happening.received_at)
            case Told():
                frame.events.append(Event(len(frame), happening.kind, happening.time, happening.instrument))
                clock = max(clock, happening.time)
            case Beat():
                clock = max(clock, happening.clock)
        frame.clock = clock
        if place in cuts or isinstance(happening, Beat) or place + 1 == len(happenings):
            frames.append(frame)
            frame = empty()
    for number, each in enumerate(frames, 1):
        each.epoch, each.number = 1, number
    return frames


def _add(frame: Frame, tick: Tick) -> None:
    for table, name in ((frame.instruments, tick.instrument), (frame.sources, tick.source)):
        if name not in table:
            table.append(name)
    frame.natures = [Nature.LIVE.value] * len(frame.sources)
    frame.instrument.append(frame.instruments.index(tick.instrument))
    frame.source.append(frame.sources.index(tick.source))
    frame.vendor_number.append(None)
    for column in ("kind", "verdict", "venue_time", "received_at", "price", "bid", "ask", "volume"):
        getattr(frame, column).append(getattr(tick, column))


def new_board(instruments: Iterable[str]) -> Board:
    catalogue = Catalogue(CATALOGUE, list(instruments))
    return Board(catalogue, band_percent=0.05, late_after_us=1 << 62, now_us=lambda: 0)


def board_of(alerts: Sequence[AlertSpec], instruments: Iterable[str], only: Container[int] | None = None) -> Board:
    """Nothing has happened yet; the alert of index 0 has the number 1. `only`: those with these numbers."""
    board = new_board(instruments)
    for number, spec in enumerate(alerts, 1):
        if only is not None and number not in only:
            continue
        board.stand(number, board.maker.made(spec, canonical(spec), 1, number), None)
    for node in board.graph.cold():
        node.cold = False
    return board


def play(board: Board, frames: Sequence[Frame], first: int = 1) -> list[Ring]:
    """What it rings from there on."""
    before = len(board.batch.fired), len(board.batch.told)
    for sequence, frame in enumerate(frames, first):
        board.take(frame, sequence)
        board.passed(sequence)
    return rings_of(board, *before)


def rings_of(board: Board, fired: int = 0, told: int = 0) -> list[Ring]:
    times = [one.at for one in board.batch.told[told:] if one.text.startswith(RANG)]
    return [
        Ring(rang.alert_id - 1, at, rang.direction, rang.level, rang.price)
        for rang, at in zip(board.batch.fired[fired:], times, strict=True)
    ]


def same(spec: AlertSpec, first: Ring, second: Ring) -> bool:
    """Numbers to what adding in another order makes of them. Which of its clauses a ring of "and" tells is its own
    choice."""
    if first[:2] != second[:2]:
        return False
    if spec.join == "and":
        return True
    return (
        first.direction == second.direction
        and isclose(first.level, second.level, rel_tol=1e-9, abs_tol=1e-9)
        and isclose(first.value, second.value, rel_tol=1e-9, abs_tol=1e-9)
    )


def differences(
    spec: AlertSpec, alert: int, expected: Sequence[Ring], got: Sequence[Ring]
) -> list[tuple[Ring | None, Ring | None]]:
    """The rings of one alert that are not the same, pair by pair."""
    ours, theirs = ([ring for ring in rings if ring.alert == alert] for rings in (expected, got))
    pairs = zip_longest(ours, theirs)
    return [(one, other) for one, other in pairs if one is None or other is None or not same(spec, one, other)]


def with_a_join(
    alerts: Sequence[AlertSpec], instruments: Iterable[str], frames: Sequence[Frame], parts: Set[int], at: int
) -> list[Ring]:
    """What rings where two boards share the alerts until the one, behind so many frames, takes over the other's."""
    names = tuple(instruments)
    one, other = board_of(alerts, names, parts), board_of(alerts, names, set(range(1, len(alerts) + 1)) - parts)
    rings = [*play(one, frames[:at]), *play(other, frames[:at])]
    one.absorb(other)
    rings += play(one, frames[at:], at + 1)
    return rings


# ------------------------------------------------------------------------------------------------ deaths


class Known(Past):
    """A past that is all in the stream."""

    def __init__(self, frames: Sequence[Frame], instruments: Iterable[str], splits: Sequence[Split]) -> None:
        names = tuple(instruments)
        super().__init__(cast(Bus, None), None, lambda: new_board(names), Splits(splits))
        self.frames = frames

    async def _frames(self, place: Position) -> list[Frame]:
        return list(self.frames[: place.sequence])


class Store:
    """What the ledger would hold."""

    def __init__(self, alerts: Sequence[AlertSpec], splits: Sequence[Split]) -> None:
        self.splits = splits
        self.place = Position(stream="s")
        self.rows = {number: _row(number, spec) for number, spec in enumerate(alerts, 1)}
        self.prices: dict[str, SeriesValue] = {}
        self.rings: list[Ring] = []

    def commit(self, board: Board, frame: Frame, sequence: int) -> None:
        self.rings += rings_of(board)
        for change in board.changes():
            row = self.rows[change.id]
            self.rows[change.id] = replace(
                row,
                state=change.state,
                generation=change.generation,
                up_armed=change.up_armed,
                down_armed=change.down_armed,
                memory=change.memory,
                cooling_until=change.cooling_until,
                last_fired_at=row.last_fired_at if change.last_fired_at is None else change.last_fired_at,
            )
        for number, (text, _) in board.batch.reworded.items():
            self.rows[number] = replace(self.rows[number], text=text)
        self.prices |= {each.key: each for each in board.prices()}
        clock = max(frame.clock, self.place.clock)
        self.place = Position(stream="s", sequence=sequence, epoch=frame.epoch, number=frame.number, clock=clock)
        board.batch = Batch()

    def board(self, frames: Sequence[Frame], instruments: Iterable[str]) -> Board:
        """A new one, as the engine loads it."""
        names = tuple(instruments)
        board = new_board(names)
        board.load_prices(self.prices)
        board.splitting.recall(self.splits, self.place.clock)
        lately = {row: [ring.at for ring in self.rings if ring.alert == row - 1] for row in self.rows}
        board.load([row for row in self.rows.values() if State(row.state) in HELD], self.place, lately)
        if cold := board.graph.cold():
            adopt(cold, asyncio.run(Known(frames, names, self.splits).twins(cold, self.place)))
        for node in sorted(board.graph.nodes.values(), key=lambda node: node.order):
            refresh(node)
        return board


def _row(number: int, spec: AlertSpec) -> AlertRow:
    text, nothing = canonical(spec), None
    return AlertRow(
        number, 1, text, spec.instruments[0], "", "", State.ARMED.value, 0, nothing, nothing, "s", 0, "", nothing,
        nothing, nothing, nothing, spec.until_us, nothing,
    )  # fmt: skip


def with_deaths(
    alerts: Sequence[AlertSpec],
    instruments: Iterable[str],
    frames: Sequence[Frame],
    deaths: Sequence[int],
    commits: Set[int],
    splits: Sequence[Split] = (),
) -> list[Ring]:
    """What rings where the board dies behind each of those frames, and what is committed is what was news, or what had
    come by the end of one of `commits`. Frames behind the last commit are read again."""
    names = tuple(instruments)
    store = Store(alerts, splits)
    for end in (*deaths, len(frames)):
        board = store.board(frames, names)
        for sequence in range(store.place.sequence + 1, min(end, len(frames)) + 1):
            frame = frames[sequence - 1]
            board.take(frame, sequence)
            board.passed(sequence)
            if board.batch.news or sequence in commits or end == len(frames) == sequence:
                store.commit(board, frame, sequence)
    return store.rings
