"""What looks back, after a death: windows, highs, sums and averages rebuilt from a real history and the rest of the
stream ring what they would have rung without it.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.bus import Bus
from hub.config import Config
from hub.engine.board import Board
from hub.engine.past import Past
from hub.engine.roster import refresh
from hub.engine.warmth import adopt
from hub.frame import Frame, Position
from hub.history import History, open_history
from hub.history import Position as Recorded
from hub.ledger.alerts import HELD
from hub.model import State
from hub.rules.language import parse
from hub.rules.spec import AlertSpec
from hub.splits import Splits
from tests.board_stage import BITCOIN, EURO, GOLD, SILVER, beat, tick
from tests.reference import Happening, Ring
from tests.reference_board import Store, board_of, differences, frames_of, new_board, play, with_deaths
from tests.reference_market import TRADE
from tests.reference_worlds import GRID, INSTRUMENTS

WORLDS = max(int(os.environ.get("TOCSIN_WORLDS") or 250) // 25, 1)
LINES = (
    "gold -0.15% in 30m every time",
    "gold moves 2.5 in 10m every time",
    "gold/silver +0.3% in 20m every time",
    "gold in eur moves 0.3% in 40m every time",
    "bid(gold) -2 in 15m every time",
    "change(btc, 1h) < -0.2% every time",
    "change(gold/silver, 30m) > 0.2% every time",
    "btc volume in 30m > 12 every time",
    "gold 0.2% below day high every time",
    "gold 0.2% above 52w low every time",
    "btc within 0.1% of all-time high every time",
    "gold crosses sma(gold, 4, 5m) every time",
    "rsi(btc, 6, 1m) < 30 every time",
    "ema(gold, 3, 5m) crosses above ema(gold, 8, 5m) every time",
    "gold < bollinger_lower(gold, 8, 2, 1m, live) every time",
    "macd_histogram(silver, 12, 26, 9, 1m) crosses 0 every time",
    "gold -0.1% in 10m and silver -0.1% in 10m every time",
)


def market(seed: int, count: int = 800) -> list[Happening]:
    """Hours around midnight, four instruments, no two ticks at the same time; the clock beats in between."""
    dice, at_s = random.Random(seed), -5_400.0
    steps = dict.fromkeys((GOLD, SILVER, BITCOIN, EURO), 0.0)
    found: list[Happening] = []
    for name in steps:
        at_s += 1
        found.append(tick(at_s, name, GRID[name][0]))
    for _ in range(count):
        at_s += dice.choice((0.25, 1, 2, 5, 13, 30, 45))
        name = dice.choice((GOLD, GOLD, SILVER, BITCOIN, BITCOIN, EURO))
        steps[name] += dice.choice((-1.0, -0.5, -0.25, 0.25, 0.5, 1.0))
        base, unit = GRID[name]
        one = tick(at_s, name, base + steps[name] * unit)
        if one.kind == TRADE:
            one = one._replace(volume=dice.choice((0.25, 0.5, 1.0)))
        found.append(one)
        if dice.random() < 0.2:
            at_s += dice.choice((0.5, 3, 65))
            found.append(beat(at_s))
    return found


class Purged(Past):
    """What the stream still has is the newest `keep` frames; before that there is history."""

    def __init__(self, history: History, frames: Sequence[Frame], keep: int) -> None:
        super().__init__(cast(Bus, None), history, lambda: new_board(INSTRUMENTS), Splits(()))
        self.frames, self.keep = frames, keep

    async def _frames(self, place: Position) -> list[Frame]:
        return list(self.frames[max(place.sequence - self.keep, 0) : place.sequence])


async def begun_anew(store: Store, past: Past) -> Board:
    """As the engine loads it."""
    board = new_board(INSTRUMENTS)
    board.load_prices(store.prices)
    board.load([row for row in store.rows.values() if State(row.state) in HELD], store.place, {})
    if cold := board.graph.cold():
        adopt(cold, await past.twins(cold, store.place))
    for node in sorted(board.graph.nodes.values(), key=lambda node: node.order):
        refresh(node)
    return board


async def lived(
    specs: Sequence[AlertSpec], frames: Sequence[Frame], deaths: Sequence[int], keep: int, ahead: int, folder: Path
) -> list[Ring]:
    """Dies behind each of those frames. The recorder is `ahead` frames further than the engine, as far as there are."""
    store = Store(specs, ())
    async with open_history(Config(folder=folder)) as history:
        recorded = 0
        for end in (*deaths, len(frames)):
            board = await begun_anew(store, Purged(history, frames, keep))
            for sequence in range(store.place.sequence + 1, end + 1):
                board.take(frames[sequence - 1], sequence)
                board.passed(sequence)
                if board.batch.news or sequence == end:
                    store.commit(board, frames[sequence - 1], sequence)
            until = min(end + ahead, len(frames))
            place = Recorded(stream="s", sequence=until, epoch=1, number=until, clock=frames[until - 1].clock)
            await history.append(frames[recorded:until], place)
            recorded = until
    return store.rings


@settings(max_examples=WORLDS, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    deaths=st.lists(st.integers(1, 180), min_size=1, max_size=3, unique=True).map(sorted),
    keep=st.sampled_from((1, 2, 7, 40)),
    ahead=st.sampled_from((0, 0, 1, 5)),
)
def test_what_looks_back_rings_the_same_after_a_death(seed: int, deaths: list[int], keep: int, ahead: int) -> None:
    """From a history that has all but the newest frames of the stream, and may have some of later."""
    find = new_board(INSTRUMENTS).catalogue.find
    specs = [parse(line, find) for line in LINES]
    happenings = market(seed)
    frames = frames_of(happenings, {place for place in range(len(happenings)) if place % 11 == 0})
    dies = [place * len(frames) // 181 for place in deaths if place * len(frames) // 181]
    wanted = play(board_of(specs, INSTRUMENTS), frames)
    with TemporaryDirectory() as folder:
        got = asyncio.run(lived(specs, frames, dies, keep, ahead, Path(folder)))
    for index, spec in enumerate(specs):
        assert (LINES[index], differences(spec, index, wanted, got)) == (LINES[index], [])
    assert len(wanted) > 20


def test_every_one_of_these_alerts_rings_somewhere() -> None:
    """Else it would be tested in name only."""
    find = new_board(INSTRUMENTS).catalogue.find
    specs = [parse(line, find) for line in LINES]
    rang = {
        ring.alert for seed in range(8) for ring in play(board_of(specs, INSTRUMENTS), frames_of(market(seed), set()))
    }
    assert [line for index, line in enumerate(LINES) if index not in rang] == []


def test_candles_of_a_rebuilt_past_are_closed_by_the_clock() -> None:
    """Not only by the tick that comes next: an average would lack its last close, and ring at the next tick."""
    find = new_board(INSTRUMENTS).catalogue.find
    lines = ["sma(silver, 2, 1m) > silver or gold > 1300", "gold > 1 until 2023-11-15T00:02Z"]
    happenings: list[Happening] = [
        tick(0, SILVER, 20.0),
        tick(190, SILVER, 20.3125),
        beat(400),
        tick(400, GOLD, 1200.0),
    ]
    specs = [parse(line, find) for line in lines]
    frames = frames_of(happenings, set())
    wanted = play(board_of(specs, INSTRUMENTS), frames)
    assert wanted == []
    assert with_deaths(specs, INSTRUMENTS, frames, [1], {1}) == wanted
