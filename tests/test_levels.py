"""Sorted levels and the gates in them against slow, obvious loops, and some of the semantics by name."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules import gates
from hub.rules.gates import PARTS, TRUE, Gate, Hit, Ladder, Level, Trail, back_above, back_below
from hub.rules.levels import Levels


class Obvious:
    """One alert, looked at on every value: the rule as it is written, and nothing clever."""

    def __init__(self, condition: str, level: float, band: float, once: bool) -> None:
        self.level, self.band, self.once = level, band, once
        self.halves = {"above": ["up"], "below": ["down"], "crosses": ["up", "down"]}[condition]
        self.armed: dict[str, bool] | None = None
        self.done = False

    def see(self, value: float) -> list[str]:
        """The directions that fire at this value."""
        if self.done:
            return []
        if self.armed is None:
            self.armed = {half: value < self.level if half == "up" else value > self.level for half in self.halves}
            return []
        fired = []
        for half in self.halves:
            reached = value >= self.level if half == "up" else value <= self.level
            behind = (
                value <= self.level - self.band and value < self.level
                if half == "up"
                else value >= self.level + self.band and value > self.level
            )
            if self.armed[half] and reached:
                self.armed[half] = False
                fired.append(half)
                if self.once:
                    self.done = True
                    break
            elif not self.armed[half] and behind:
                self.armed[half] = True
        return fired


def level(id_: int, condition: str, at: float, band: float = 0.0, once: bool = False) -> Level:
    return Level(
        key=id_ << PARTS,
        rise=at if condition != "below" else None,
        fall=at if condition != "above" else None,
        rise_back=back_below(at, band),
        fall_back=back_above(at, band),
        once=once,
    )


def rung(levels: Levels, value: float) -> list[tuple[int, str]]:
    """What fires, as the engine asks: only beyond the nearest bound."""
    if levels.low < value < levels.high:
        return []
    return [(gate.id, hit.direction) for gate, hit in levels.cross(value) if isinstance(hit, Hit)]


PRICES = st.integers(0, 40).map(lambda n: n / 4)
ALERTS = st.tuples(
    st.sampled_from(["above", "below", "crosses"]),
    PRICES,
    st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]),
    st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(ALERTS, max_size=12), st.lists(PRICES, max_size=60), st.integers(0, 30))
def test_any_alerts_on_any_prices_fire_as_the_obvious_loop_says(
    alerts: list[tuple[str, float, float, bool]], prices: list[float], later: int
) -> None:
    """Some alerts are there from the start and some are added in the middle; touches and repeats included."""
    levels = Levels()
    obvious: dict[int, Obvious] = {}
    first, second = alerts[::2], alerts[1::2]

    def add(some: list[tuple[str, float, float, bool]], base: int) -> None:
        levels.add(level(base + i, *each) for i, each in enumerate(some))
        obvious.update({base + i: Obvious(*each) for i, each in enumerate(some)})

    add(first, 0)
    for i, price in enumerate(prices):
        if i == later:
            add(second, 100)
        expected = sorted((key, half) for key, each in obvious.items() for half in each.see(price))
        assert sorted(rung(levels, price)) == expected


@given(st.lists(ALERTS, min_size=1, max_size=8), st.lists(PRICES, min_size=1, max_size=30), st.data())
def test_a_removed_alert_never_fires_again_and_leaves_nothing_behind(
    alerts: list[tuple[str, float, float, bool]], prices: list[float], data: st.DataObject
) -> None:
    """Whatever state it was in."""
    levels = Levels()
    there: list[Gate] = [level(i, *each) for i, each in enumerate(alerts)]
    levels.add(there)
    cut = data.draw(st.integers(0, len(prices)))
    for price in prices[:cut]:
        rung(levels, price)
    for gate in there:
        if not gate.over:
            levels.remove(gate)
    assert (levels.low, levels.high, len(levels)) == (-math.inf, math.inf, 0)
    assert [rung(levels, price) for price in prices[cut:]] == [[] for _ in prices[cut:]]


def test_a_touch_counts_and_a_wobble_inside_the_band_fires_once() -> None:
    """Semantics 1 and 6."""
    levels = Levels()
    levels.add([level(1, "above", 100.0, band=0.5)])
    values = [99.0, 100.0, 99.6, 100.2, 99.51, 101.0, 99.5, 99.9, 100.0]
    assert [len(rung(levels, value)) for value in values] == [0, 1, 0, 0, 0, 0, 0, 0, 1]


def test_what_is_true_already_waits_for_the_next_cross() -> None:
    """Semantics 2, equality included."""
    for start in (100.0, 130.0):
        levels = Levels()
        levels.add([level(1, "above", 100.0, band=0.0)])
        assert [len(rung(levels, value)) for value in (start, 140.0, 99.99, 100.0)] == [0, 0, 0, 1]


def test_crosses_fires_both_ways_and_each_way_is_armed_by_itself() -> None:
    """Semantics 1: a fall back to the level inside the band is not news."""
    levels = Levels()
    levels.add([level(1, "crosses", 100.0, band=1.0)])
    walk = [99.0, 100.0, 100.5, 99.5, 101.0, 100.0, 99.0, 100.1]
    assert [[d for _, d in rung(levels, v)] for v in walk] == [[], ["up"], [], [], [], ["down"], [], ["up"]]


def test_one_value_over_several_levels_fires_each_once_nearest_first() -> None:
    """Semantics 5."""
    levels = Levels()
    levels.add(level(i, "above", 100.0 + i) for i in (3, 1, 2))
    rung(levels, 99.0)
    assert rung(levels, 105.0) == [(1, "up"), (2, "up"), (3, "up")]


def test_a_value_between_the_nearest_levels_needs_no_look() -> None:
    """The two comparisons are enough: nothing is due between low and high."""
    levels = Levels()
    levels.add([level(1, "above", 110.0), level(2, "below", 90.0)])
    rung(levels, 100.0)
    assert (levels.low, levels.high) == (90.0, 110.0)


# ---------------------------------------------------------------------------------------------- other gates


def through(gate: Gate, values: list[float]) -> list[tuple[float, str, float]]:
    """(value, direction, level) of each hit, by way of the sorted lists."""
    levels = Levels()
    hits: list[tuple[float, str, float]] = []
    levels.add([gate])
    for value in values:
        if not levels.low < value < levels.high:
            hits += [(value, hit.direction, hit.level) for _, hit in levels.cross(value) if isinstance(hit, Hit)]
    return hits


EDGES = st.tuples(PRICES, st.integers(1, 12).map(lambda n: n / 4)).map(lambda each: (each[0], each[0] + each[1]))


@pytest.mark.parametrize("kind", ["above", "below", "inside", "outside"])
@given(edges=EDGES, band=st.sampled_from([0.0, 0.25, 0.5]), values=st.lists(PRICES, min_size=1, max_size=40))
def test_a_zone_is_what_its_condition_says_of_the_newest_value(
    kind: str, edges: tuple[float, float], band: float, values: list[float]
) -> None:
    """True at a touch; behind only beyond the band, and strictly on the other side."""
    low, high = edges
    make = {"above": gates.above, "below": gates.below}
    if kind in make:
        zone = make[kind](8, low, band)
    else:
        zone = (gates.inside if kind == "inside" else gates.outside)(8, edges, (band, band))
    levels = Levels()
    levels.add([zone])
    for value in values:
        if not levels.low < value < levels.high:
            levels.cross(value)
        true, behind = {
            "above": (value >= low, value <= low - band and value < low),
            "below": (value <= low, value >= low + band and value > low),
            "inside": (low <= value <= high, value <= low - band or value >= high + band),
            "outside": (value <= low or value >= high, low + band <= value <= high - band),
        }[kind]
        behind = behind and not true
        if kind == "outside" and low + band > high - band:
            behind = value == (low + high) / 2
        assert zone.zone == (gates.TRUE if true else gates.BEHIND if behind else gates.BETWEEN)
        assert zone.true_at(value) is true


@given(
    values=st.lists(PRICES.filter(lambda price: price > 0), min_size=1, max_size=60),
    amount=st.sampled_from([0.25, 1.0, 10.0]),
    percent=st.booleans(),
    rising=st.booleans(),
)
def test_a_trail_follows_the_extreme_and_starts_anew_where_it_rang(
    values: list[float], amount: float, percent: bool, rising: bool
) -> None:
    """Held against a loop that keeps all values since it began."""
    expected: list[tuple[float, str, float]] = []
    since: list[float] = []
    for value in values:
        peak = (min if rising else max)([*since, value])
        by = abs(peak) * amount / 100 if percent else amount
        reached = value >= peak + by if rising else value <= peak - by
        if since and reached:
            expected.append((value, "up" if rising else "down", peak + by if rising else peak - by))
            since = [value]
        else:
            since.append(value)
    assert through(Trail(key=8, amount=amount, percent=percent, rising=rising), values) == expected


def test_a_ladder_rings_at_each_step_once_and_a_wobble_around_one_rings_nothing() -> None:
    """The furthest step that a jump reaches is the one that is told; steps lie at multiples."""
    walk = [
        60_400.0,
        60_999.0,
        61_000.0,
        60_990.0,
        61_010.0,
        61_999.0,
        63_200.0,
        63_000.0,
        62_500.0,
        62_000.0,
        59_900.0,
    ]
    assert through(Ladder(key=8, size=1_000.0, percent=False), walk) == [
        (61_000.0, "up", 61_000.0), (63_200.0, "up", 63_000.0), (62_000.0, "down", 62_000.0),
        (59_900.0, "down", 60_000.0),
    ]  # fmt: skip


def test_steps_of_a_tenth_are_exact_and_steps_in_percent_lie_above_each_other() -> None:
    """0.3 is the third step of 0.1, whatever 3 times 0.1 is in binary."""
    assert through(Ladder(key=8, size=0.1, percent=False), [0.2, 0.3, 0.1]) == [(0.3, "up", 0.3), (0.1, "down", 0.1)]
    hits = through(Ladder(key=8, size=1.0, percent=True), [100.0, 101.0, 103.1, 101.0])
    assert [(value, direction) for value, direction, _ in hits] == [(101.0, "up"), (103.1, "up"), (101.0, "down")]
    assert [level for _, _, level in hits] == pytest.approx([101.0, 103.0301, 101.999799])


@given(
    size=st.sampled_from([0.25, 0.1, 1.0, 7.5]),
    values=st.lists(PRICES.filter(lambda p: p > 0), min_size=2, max_size=60),
)
def test_a_ladder_rings_whenever_a_step_was_reached_that_is_not_the_last_one(size: float, values: list[float]) -> None:
    """Against a walk over all steps between."""
    anchor, expected = values[0], []
    steps = [gates.multiple(count, size) for count in range(round(12 / size) + 1)]
    for value in values[1:]:
        above = [step for step in steps if anchor < step <= value]
        below = [step for step in steps if value <= step < anchor]
        if above or below:
            anchor = above[-1] if above else below[0]
            expected.append((value, "up" if above else "down", anchor))
    assert through(Ladder(key=8, size=size, percent=False), values) == expected


def test_a_series_without_a_value_leaves_no_zone_known_and_every_other_gate_as_it_was() -> None:
    """The next value settles the zone again."""
    levels, zone, plain = Levels(), gates.above(8, 100.0, 1.0), level(2, "above", 100.0)
    levels.add([zone, plain])
    levels.cross(101.0)
    assert zone.zone == TRUE
    assert levels.unsettle() == [zone]
    assert zone.zone is None and plain.up_armed is False
    assert levels.unsettle() == []
    levels.cross(99.0)
    assert zone.zone == gates.BEHIND and plain.up_armed is True
    assert levels.cross(100.0)[0][0] in (zone, plain)
