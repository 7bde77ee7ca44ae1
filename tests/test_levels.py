"""Sorted levels against a slow, obvious loop, and the semantics of docs/architecture.md by name."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules.levels import Level, Levels


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
        id=id_, level=at, band=band, rises=condition != "below", falls=condition != "above", once=once
    )  # fmt: skip


def rung(levels: Levels, value: float) -> list[tuple[int, str]]:
    """What fires, as the engine asks: only beyond the nearest watch."""
    if levels.low < value < levels.high:
        return []
    return [(fired.alert.id, fired.direction) for fired in levels.cross(value)[0]]


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
    levels.add(level(i, *each) for i, each in enumerate(alerts))
    cut = data.draw(st.integers(0, len(prices)))
    for price in prices[:cut]:
        rung(levels, price)
    for key in list(levels.alerts):
        levels.remove(key)
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
