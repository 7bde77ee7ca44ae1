"""What an alert is said to wait for: where it would ring, and nothing else that moves inside it."""

import pytest

from hub.engine.looking import look
from hub.rules.language import parse
from hub.waiting import part_words
from tests.reference_board import board_of, frames_of, new_board, play
from tests.reference_worlds import INSTRUMENTS
from tests.test_triggers_by_example import tick


def waits(line: str, *prices: float) -> list[str]:
    """Part by part, behind these prices of gold; silver stands at 20."""
    catalogue = new_board(INSTRUMENTS).catalogue
    spec = parse(line, catalogue.find)
    board = board_of([spec], INSTRUMENTS)
    ticks = [tick(0, "XAG-USD", 20.0), *(tick(1 + at, "XAU-USD", price) for at, price in enumerate(prices))]
    play(board, frames_of(ticks, set()))
    clauses = spec.clauses * len(board.standing[1].gates)
    parts = look(board, 1, board.standing[1]).parts
    return [part_words(clause, part, catalogue.get, "UTC", 0) for clause, part in zip(clauses, parts, strict=False)]


@pytest.mark.parametrize(
    ("line", "prices", "said"),
    [
        ("gold trails 10", [1300.0, 1310.0], ["Gold at 1,300.00 USD or below, now 1,310.00 USD"]),
        ("gold trails +10", [1300.0, 1290.0], ["Gold at 1,300.00 USD or above, now 1,290.00 USD"]),
        ("gold > 1310 for 30s", [1300.0, 1309.9], ["Gold at 1,310.00 USD or above, now 1,309.90 USD"]),
        ("gold > 1310 for 30s", [1320.0], ["Gold (holds already, at 1,320.00 USD)"]),
        (
            "gold > 1310 and silver > 15", [1300.0],
            ["Gold at 1,310.00 USD or above, now 1,300.00 USD", "Silver (holds already, at 20.000 USD)"],
        ),
        ("gold enters 1310..1320", [1330.0], ["Gold at 1,320.00 USD or below, now 1,330.00 USD"]),
        ("gold every 10", [1304.0], ["Gold at 1,310.00 USD or above or at 1,300.00 USD or below, now 1,304.00 USD"]),
    ],
)  # fmt: skip
def test_the_levels_that_are_said_are_those_that_ring(line: str, prices: list[float], said: list[str]) -> None:
    assert waits(line, *prices) == said
