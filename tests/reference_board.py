"""The hub's engine as the reference is held against it: happenings cut into frames, and what its board rings."""

from collections.abc import Iterable, Sequence, Set
from itertools import zip_longest
from math import isclose

from hub.engine.board import Board
from hub.frame import Event, Frame, empty
from hub.instruments import CATALOGUE, Catalogue
from hub.model import Nature
from hub.rules.spec import AlertSpec, canonical
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


def board_of(alerts: Sequence[AlertSpec], instruments: Iterable[str]) -> Board:
    """Nothing has happened yet; the alert of index 0 has the number 1."""
    board = new_board(instruments)
    for number, spec in enumerate(alerts, 1):
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
