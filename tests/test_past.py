"""The past of series that look back, as history tells it, without a stream."""

from collections.abc import AsyncIterator
from typing import Any, cast

from hub.bus import Bus
from hub.engine.past import Past
from hub.frame import Position
from hub.model import Candle, Kind, Tick, Verdict
from hub.rules.lookback import WindowNode
from hub.rules.series import HOUR_US, Move, Price, Ratio
from hub.splits import Splits
from tests.markets import GOLD, INSTRUMENTS, SILVER
from tests.reference_board import board_of, new_board
from tests.reference_days import alert, when
from tests.reference_market import SECOND_US

BEGIN = 1_700_006_400 * SECOND_US


class Stored:
    """Ticks, and no candles."""

    def __init__(self, ticks: list[Tick]) -> None:
        self.ticks = ticks

    async def scan(self, instrument: str, start_us: int, end_us: int) -> AsyncIterator[list[Tick]]:
        yield [one for one in self.ticks if one.instrument == instrument and start_us <= (one.venue_time or 0) < end_us]

    async def candles(self, *_: Any) -> list[Candle]:
        return []


def tick(second: int, instrument: str, price: float, verdict: Verdict = Verdict.PRICE) -> Tick:
    at = BEGIN + second * SECOND_US
    return Tick(
        instrument=instrument, kind=Kind.QUOTE, price=price, bid=price, ask=price, venue_time=at, received_at=at,
        source="s", verdict=verdict,
    )  # fmt: skip


async def test_a_ratio_of_the_past_has_no_value_while_the_market_of_a_leg_was_closed() -> None:
    """Behind the break, gold's spike against silver's price of before it is a ratio that never was."""
    history = Stored(
        [
            tick(0, GOLD, 1300.0),
            tick(0, SILVER, 20.0),
            tick(10, GOLD, 1301.0, Verdict.CLOSED),
            tick(11, SILVER, 20.0, Verdict.CLOSED),
            tick(20, GOLD, 1400.0),
            tick(30, GOLD, 1300.0),
            tick(40, SILVER, 20.0),
        ]
    )
    ratio = Ratio(over=Price(instrument=GOLD), under=Price(instrument=SILVER))
    asked = alert(when(Move(of=ratio, window_us=HOUR_US, way="down", percent=False), "above", 1.0))
    nodes = [each for each in board_of([asked], INSTRUMENTS).graph.nodes.values() if isinstance(each, WindowNode)]
    past = Past(cast(Bus, None), cast(Any, history), lambda: new_board(INSTRUMENTS), Splits(()))
    (twin,) = (await past.twins(nodes, Position(clock=BEGIN + 50 * SECOND_US))).values()
    assert isinstance(twin, WindowNode)
    assert (twin.highest.value, twin.lowest.value) == (65.0, 65.0)
