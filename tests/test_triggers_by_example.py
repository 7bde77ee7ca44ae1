"""Small markets in which it is easy to ring wrongly: each says what rings, and the engine and its reference agree.

Most were found by tests/test_same_triggers.py. Prices are of the words of the alert language's semantics.
"""

from collections.abc import Sequence

import pytest

from hub.frame import EventKind
from hub.model import Verdict
from hub.rules.language import parse
from tests.reference import Beat, Happening, Reference, Told
from tests.reference_board import board_of, frames_of, new_board, play, with_deaths
from tests.reference_market import QUOTE, SECOND_US, TRADE, Tick
from tests.reference_worlds import INSTRUMENTS, MIDNIGHT_US

GOLD, SILVER, EURO, BITCOIN = "XAU-USD", "XAG-USD", "EUR-USD", "BTC-USD"
BASIS = {GOLD: QUOTE, SILVER: QUOTE, EURO: QUOTE, BITCOIN: TRADE}

Rang = tuple[int, float, str, float]
"""Alert, seconds, direction, level."""


def us(at_s: float) -> int:
    return MIDNIGHT_US + round(at_s * SECOND_US)


def tick(
    at_s: float,
    name: str,
    price: float,
    verdict: Verdict = Verdict.PRICE,
    source: str = "a",
    venue_s: float | None = None,
) -> Tick:
    """Of the kind of its price basis, an ASIDE of the other one. A quote has a spread of nothing."""
    kind = 1 - BASIS[name] if verdict == Verdict.ASIDE else BASIS[name]
    side = price if kind == QUOTE else None
    venue = us(at_s if venue_s is None else venue_s)
    return Tick(name, verdict, kind, price, side, side, None, venue, us(at_s), source)


def told(at_s: float, kind: EventKind, name: str) -> Told:
    return Told(kind, name, us(at_s))


def beat(at_s: float) -> Beat:
    return Beat(us(at_s))


def rings(lines: Sequence[str], happenings: Sequence[Happening], cuts: Sequence[int] = ()) -> list[Rang]:
    """What both ring; AssertionError where they do not agree."""
    find = new_board(INSTRUMENTS).catalogue.find
    specs = [parse(line, find) for line in lines]
    expected = Reference(specs, INSTRUMENTS).feed(happenings)
    got = play(board_of(specs, INSTRUMENTS), frames_of(happenings, set(cuts)))
    assert sorted(got) == sorted(expected)
    return [(ring.alert, (ring.at - MIDNIGHT_US) / SECOND_US, ring.direction, ring.level) for ring in expected]


# ------------------------------------------------------------------------------------------------- clocks


def test_what_has_lasted_but_is_not_confirmed_waits_without_turning() -> None:
    """Its time is over once; then only another source's price can make it ring."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1299.0),
        tick(1, GOLD, 1300.0),
        beat(4),
        tick(5, GOLD, 1300.5, Verdict.STANDBY, "b"),
    ]
    assert rings(["gold > 1300 for 2s confirm 2 sources"], happenings) == [(0, 5.0, "up", 1300.0)]


def test_the_clock_goes_on_when_the_last_indicator_is_gone() -> None:
    """An alert that ends takes what moves with the clock along; the others keep their time."""
    happenings: list[Happening] = [tick(0, GOLD, 1299.0), tick(1, GOLD, 1300.0), beat(2), tick(3, GOLD, 1305.0)]
    lines = ["sma(gold, 2, 1m) > 1350 or gold > 1300", "gold > 1305"]
    assert rings(lines, happenings) == [(0, 1.0, "up", 1300.0), (1, 3.0, "up", 1305.0)]


def test_a_tick_that_nobody_watches_moves_the_clock() -> None:
    """A tick that was held comes later than others that were received after it: what begins with it, begins now."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1299.0),
        tick(9, BITCOIN, 60_000.0),
        tick(8.5, GOLD, 1300.0, Verdict.CONFIRMED),
        tick(30, GOLD, 1300.0),
    ]
    assert rings(["bid(gold) > 1300 for 10s"], happenings) == [(0, 19.0, "up", 1300.0)]


@pytest.mark.parametrize("cuts", [(), (2,)])
def test_what_is_due_comes_before_an_event_that_is_later(cuts: tuple[int, ...]) -> None:
    """Also where the event is the last thing in its frame."""
    happenings: list[Happening] = [tick(0, GOLD, 1299.0), tick(1, GOLD, 1300.0), told(61, EventKind.STALE, GOLD)]
    assert rings(["gold > 1300 for 10s"], happenings, cuts) == [(0, 11.0, "up", 1300.0)]


def test_an_event_is_not_earlier_for_what_comes_behind_it() -> None:
    """A held tick behind it was received before."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1299.0),
        told(12, EventKind.OPENED, SILVER),
        tick(9, GOLD, 1300.0, Verdict.CONFIRMED),
    ]
    assert rings(["gold > 1300"], happenings) == [(0, 12.0, "up", 1300.0)]


def test_what_ends_at_a_moment_does_not_ring_at_it() -> None:
    """It had to last until then."""
    happenings: list[Happening] = [tick(-20, GOLD, 1299.0), tick(-10, GOLD, 1300.0), tick(5, GOLD, 1300.0)]
    assert rings(["gold > 1300 for 10s until 2023-11-15T00:00Z"], happenings) == []


# ------------------------------------------------------------------------------------------------ others


def test_an_alert_that_ends_takes_nothing_from_those_behind_it() -> None:
    """The series of one goes with its last alert, in the middle of a tick."""
    happenings: list[Happening] = [tick(0, GOLD, 1299.0), tick(1, GOLD, 1300.0)]
    lines = ["bid(gold) > 1300", "ask(gold) > 1300", "mid(gold) > 1300"]
    assert rings(lines, happenings) == [(number, 1.0, "up", 1300.0) for number in range(3)]


@pytest.mark.parametrize("others", [[], ["sma(gold, 2, 1m) > 1"]])
def test_what_came_before_an_instrument_was_live_is_no_value(others: list[str]) -> None:
    """Whatever else is watched: the first trade behind the first quote sets the side."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1290.0, Verdict.ASIDE),
        tick(1, GOLD, 1300.0),
        beat(70),
        tick(71, GOLD, 1299.0, Verdict.ASIDE),
    ]
    assert rings(["last(gold) > 1298", *others], happenings) == []


@pytest.mark.parametrize("others", [[], ["last(gold) > 1"]])
def test_the_time_of_a_series_is_that_of_its_own_ticks(others: list[str]) -> None:
    """Not of trades beside the quotes, whoever watches those."""
    happenings: list[Happening] = [
        tick(5, GOLD, 1301.0, Verdict.ASIDE),
        tick(6, GOLD, 1300.0, venue_s=1),
        tick(11.5, GOLD, 1300.0),
        tick(12, GOLD, 1320.0),
    ]
    assert rings(["change(gold, 10s) > 1%", *others], happenings) == [(0, 12.0, "up", 1.0)]


def test_a_price_that_is_late_for_its_candle_is_in_none() -> None:
    """The clock has closed it: an average that is live stays where it was."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1300.0),
        tick(61, GOLD, 1310.0),
        beat(126),
        tick(127, GOLD, 1400.0, venue_s=119),
    ]
    assert rings(["sma(gold, 2, 1m, live) > 1306"], happenings) == []


# ------------------------------------------------------------------------------------------ several parts


def test_a_part_that_is_behind_arms_both_though_the_other_is_stale() -> None:
    """That not all of them hold is known."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1301.0),
        tick(0, SILVER, 21.0),
        told(1, EventKind.STALE, SILVER),
        tick(2, GOLD, 1290.0),
        tick(3, GOLD, 1301.0),
        tick(4, SILVER, 21.0),
    ]
    found = rings(["gold > 1300 and silver > 20"], happenings)
    assert [ring[:2] for ring in found] == [(0, 4.0)]


def test_all_parts_settle_when_all_are_known_at_once() -> None:
    """What holds from the first moment at which it is known to hold waits for the next cross."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1301.0),
        told(1, EventKind.STALE, GOLD),
        tick(2, SILVER, 21.0),
        tick(3, GOLD, 1301.0),
    ]
    assert rings(["gold > 1300 and silver > 20"], happenings) == []


def test_the_newest_first_sets_the_side_of_the_second() -> None:
    """Gold was below its level, neither reached nor behind it, when silver rang again."""
    happenings: list[Happening] = [
        tick(0, SILVER, 19.0),
        tick(0, GOLD, 1301.0),
        tick(1, SILVER, 20.0),
        tick(2, GOLD, 1299.5),
        tick(3, SILVER, 19.0),
        tick(4, SILVER, 20.0),
        tick(5, GOLD, 1300.0),
    ]
    lines = ["silver > 20 then gold > 1300 within 1m band 0.1%"]
    assert rings(lines, happenings) == [(0, 5.0, "up", 1300.0)]


def test_a_trail_may_come_second() -> None:
    """It follows from the moment of the first."""
    happenings: list[Happening] = [
        tick(0, SILVER, 20.5),
        tick(0, GOLD, 1299.0),
        tick(1, SILVER, 21.0),
        tick(2, SILVER, 20.0),
        tick(3, GOLD, 1300.0),
        tick(4, SILVER, 19.75),
        tick(5, SILVER, 19.5),
    ]
    assert rings(["gold > 1300 then silver trails 0.5 within 1m"], happenings) == [(0, 5.0, "down", 19.5)]


def test_a_range_that_is_entered_from_above_says_so_though_it_has_to_last() -> None:
    """The edge that was passed, and the way."""
    happenings: list[Happening] = [tick(0, GOLD, 1310.0), tick(1, GOLD, 1304.0), tick(4, GOLD, 1303.0)]
    assert rings(["gold enters 1300..1305 for 2s"], happenings) == [(0, 3.0, "down", 1305.0)]


# ---------------------------------------------------------------------------------------- several sources


def test_the_half_that_is_confirmed_is_the_one_that_is_told() -> None:
    """At the very level both halves hold; other sources agree with one of them."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1290.0, source="c"),
        tick(100, GOLD, 1305.0, source="b"),
        tick(101, GOLD, 1300.0, source="a"),
    ]
    assert rings(["gold crosses 1300 confirm 2 sources"], happenings) == [(0, 101.0, "up", 1300.0)]


def test_sources_agree_in_the_unit_of_the_level() -> None:
    """Their prices are those of an ounce in dollars."""
    happenings: list[Happening] = [
        tick(0, EURO, 1.25),
        tick(0, GOLD, 1250.0),
        tick(1, GOLD, 1251.0, Verdict.STANDBY, "b"),
        tick(2, EURO, 1.0),
        tick(3, EURO, 2.0),
    ]
    assert rings(["gold in eur < 800 confirm 2 sources"], happenings) == [(0, 3.0, "down", 800.0)]


# ------------------------------------------------------------------------------------------------- deaths


def reborn(line: str, happenings: Sequence[Happening], cut: int) -> list[Rang]:
    """With a death behind the frame that ends there, which was committed."""
    specs = [parse(line, new_board(INSTRUMENTS).catalogue.find)]
    found = with_deaths(specs, INSTRUMENTS, frames_of(happenings, {cut}), [1], {1})
    assert found == Reference(specs, INSTRUMENTS).feed(happenings)
    return [(ring.alert, (ring.at - MIDNIGHT_US) / SECOND_US, ring.direction, ring.level) for ring in found]


def test_both_sides_of_a_quote_are_known_behind_a_death() -> None:
    """Gold does not tick again; silver does."""
    happenings: list[Happening] = [tick(0, GOLD, 1300.0), tick(0, SILVER, 20.0), tick(1, SILVER, 25.0)]
    assert reborn("bid(gold) / silver < 60", happenings, 1) == [(0, 1.0, "down", 60.0)]


def test_what_other_sources_said_is_known_behind_a_death() -> None:
    """It counts until it is too old."""
    happenings: list[Happening] = [
        tick(0, GOLD, 1299.0),
        tick(1, GOLD, 1301.0, Verdict.STANDBY, "b"),
        tick(2, GOLD, 1300.0),
    ]
    assert reborn("gold > 1300 confirm 2 sources", happenings, 1) == [(0, 2.0, "up", 1300.0)]
