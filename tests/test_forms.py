"""Values of a form to the line that a person would have written."""

import pytest

from hub.forms import complete, line_of
from hub.model import Argument
from hub.plugin import BadRequest

CHART = (
    Argument(name="instrument", about="what to draw", kind="instrument", required=True),
    Argument(name="span", about="how far back", kind="span"),
    Argument(name="against", about="what to compare with", kind="instrument", lead="vs"),
)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"instrument": "gold"}, "chart gold"),
        ({"instrument": "gold", "against": "silver", "span": "7d"}, "chart gold 7d vs silver"),
        ({"instrument": " gold\n", "against": "  "}, "chart gold"),
        ({"instrument": "gold", "unknown": "x"}, "chart gold"),
    ],
)
def test_values_become_one_line_in_the_order_of_the_arguments(values: dict[str, str], line: str) -> None:
    """Leads stand before their values; what is empty is left out, and a line break is a space."""
    assert line_of("chart", CHART, values) == line


def test_a_note_stands_in_quotation_marks() -> None:
    """What is in it cannot end it."""
    note = Argument(name="note", about="to remind you", lead="note", quoted=True)
    assert line_of("alert", (note,), {"note": 'sell "half" \\'}) == r'alert note "sell \"half\" \\"'


def test_a_required_value_that_is_missing_is_named() -> None:
    """The sentence says what it is for."""
    with pytest.raises(BadRequest, match="instrument is missing: what to draw"):
        line_of("chart", CHART, {"span": "7d"})


def test_words_that_begin_so_come_before_words_that_hold_it() -> None:
    """At most so many, as a platform's list has its limit."""
    words = ["gold", "silver", "old gold", "goldman"]
    assert complete("Gol", words) == ["gold", "goldman", "old gold"]
    assert complete("", words, most=2) == ["gold", "silver"]
