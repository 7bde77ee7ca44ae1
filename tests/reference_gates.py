"""What the reference holds series against: conditions, and whole alerts made of them.

A gate is looked at again and again with the value of that moment; looking twice at the same changes nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from hub.rules.spec import AlertSpec, Clause, band_of

NOISE = 1e-9
"""Two ways of computing an average differ by less, relatively."""

Values = tuple[float | None, ...]
Agreed = Callable[[int, Callable[[float], bool]], bool]
"""Whether enough sources' prices are so, by the series of the clause of that index."""


class Fired(NamedTuple):
    direction: str
    level: float
    value: float


class Scale:
    """Compares values with levels. `close` once a value that may be computed in several ways came so near to a level
    that nobody can say on which side it is."""

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.close = False

    def least(self, value: float, level: float) -> bool:
        """Whether value >= level."""
        if not self.exact and abs(value - level) <= NOISE * max(1.0, abs(level)):
            self.close = True
        return value >= level

    def under(self, value: float, level: float) -> bool:
        return not self.least(value, level)

    def most(self, value: float, level: float) -> bool:
        return self.least(-value, -level)

    def over(self, value: float, level: float) -> bool:
        return not self.most(value, level)


# ------------------------------------------------------------------------------- what holds or does not


class State(ABC):
    """A condition that holds or does not hold at any moment, and has a place behind it."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    @abstractmethod
    def holds(self, value: float) -> bool: ...

    @abstractmethod
    def behind(self, value: float) -> bool: ...

    @abstractmethod
    def told(self, value: float) -> tuple[str, float]:
        """Direction and level of a ring at that value."""


class Above(State):
    def __init__(self, scale: Scale, level: float, band: float) -> None:
        super().__init__(scale)
        self.level, self.band = level, band

    def holds(self, value: float) -> bool:
        return self.scale.least(value, self.level)

    def behind(self, value: float) -> bool:
        return self.scale.most(value, self.level - self.band) and self.scale.under(value, self.level)

    def told(self, value: float) -> tuple[str, float]:
        return "up", self.level


class Below(Above):
    def holds(self, value: float) -> bool:
        return self.scale.most(value, self.level)

    def behind(self, value: float) -> bool:
        return self.scale.least(value, self.level + self.band) and self.scale.over(value, self.level)

    def told(self, value: float) -> tuple[str, float]:
        return "down", self.level


class Inside(State):
    def __init__(self, scale: Scale, low: float, high: float, low_band: float, high_band: float) -> None:
        super().__init__(scale)
        self.low, self.high, self.low_band, self.high_band = low, high, low_band, high_band
        self.came_from_above = False

    def note(self, value: float) -> None:
        if not self.holds(value):
            self.came_from_above = value > self.high

    def holds(self, value: float) -> bool:
        return self.scale.least(value, self.low) and self.scale.most(value, self.high)

    def behind(self, value: float) -> bool:
        far = self.scale.most(value, self.low - self.low_band) or self.scale.least(value, self.high + self.high_band)
        return far and not self.holds(value)

    def told(self, value: float) -> tuple[str, float]:
        return ("down", self.high) if self.came_from_above else ("up", self.low)


class Outside(State):
    """As one of several that have to hold: either of its edges is passed. Where the bands of both overlap, the middle
    of the range is behind them."""

    def __init__(self, scale: Scale, low: Below, high: Above) -> None:
        super().__init__(scale)
        self.low, self.high = low, high

    def holds(self, value: float) -> bool:
        return self.low.holds(value) or self.high.holds(value)

    def behind(self, value: float) -> bool:
        low, high = self.low.level + self.low.band, self.high.level - self.high.band
        if low > high:
            low = high = (self.low.level + self.high.level) / 2
        return self.scale.least(value, low) and self.scale.most(value, high) and not self.holds(value)

    def told(self, value: float) -> tuple[str, float]:
        return self.high.told(value) if self.high.holds(value) else self.low.told(value)


# ------------------------------------------------------------------------------------------------ gates


class Gate(ABC):
    """Fires when its condition comes true. `due`: when it wants to be looked at, whatever happens."""

    due: int | None = None

    @abstractmethod
    def look(self, values: Values, now: int, agreed: Agreed) -> Fired | None: ...


class All(Gate):
    """Armed until every state holds (for so long, and by so many sources), then until one is behind."""

    def __init__(self, states: Sequence[tuple[int, State]], hold_us: int) -> None:
        self.states, self.hold_us = states, hold_us
        self.settled = False  # once all are known at once
        self.armed = False
        self.since: int | None = None
        self.held: list[bool] = [False] * len(states)
        self.newest = 0

    def look(self, values: Values, now: int, agreed: Agreed) -> Fired | None:
        known = [(state, values[index]) for index, state in self.states]
        for state, value in known:
            if value is not None and isinstance(state, Inside):
                state.note(value)
        holds = [value is not None and state.holds(value) for state, value in known]
        self._note(holds)
        if not self.settled:
            self.settled = all(value is not None for _, value in known)
            self.armed = self.settled and not all(holds)
            return None
        if any(value is not None and state.behind(value) for state, value in known):
            self.armed = True
        if not self.armed or not all(holds):
            self.since = self.due = None
            return None
        if self.since is None:
            self.since = now
        self.due = self.since + self.hold_us if now < self.since + self.hold_us else None
        if self.due is not None or not all(agreed(index, state.holds) for index, state in self.states):
            return None
        self.armed, self.since = False, None
        state, value = known[self.newest]
        assert value is not None
        return Fired(*state.told(value), value)

    def _note(self, holds: list[bool]) -> None:
        """Which of them came true last."""
        for place, (before, now) in enumerate(zip(self.held, holds, strict=True)):
            if now and not before:
                self.newest = place
        self.held = holds


class Trail(Gate):
    def __init__(self, index: int, clause: Clause, scale: Scale) -> None:
        self.index, self.clause, self.scale = index, clause, scale
        self.peak: float | None = None

    def look(self, values: Values, now: int, agreed: Agreed) -> Fired | None:
        value, clause = values[self.index], self.clause
        if value is None:
            return None
        further = min if clause.rising else max
        self.peak = value if self.peak is None else further(self.peak, value)
        sign = 1 if clause.rising else -1
        level = self.peak * (1 + sign * clause.level / 100) if clause.percent else self.peak + sign * clause.level
        reached = self.scale.least(value, level) if clause.rising else self.scale.most(value, level)
        if not reached:
            return None
        self.peak = value
        return Fired("up" if clause.rising else "down", level, value)


class Ladder(Gate):
    def __init__(self, index: int, clause: Clause, scale: Scale) -> None:
        self.index, self.step, self.percent, self.scale = index, clause.level, clause.percent, scale
        self.anchor: float | None = None

    def look(self, values: Values, now: int, agreed: Agreed) -> Fired | None:
        value = values[self.index]
        if value is None:
            return None
        if self.anchor is None:
            self.anchor = value
        start = self.anchor
        while self.scale.least(value, rung := self._above(self.anchor)):
            self.anchor = rung
        if self.anchor == start:
            while self.scale.most(value, rung := self._below(self.anchor)):
                self.anchor = rung
        if self.anchor == start:
            return None
        return Fired("up" if self.anchor > start else "down", self.anchor, value)

    def _above(self, anchor: float) -> float:
        if self.percent:
            return anchor * (1 + self.step / 100)
        count = floor(anchor / self.step) - 1
        while self._rung(count) <= anchor:
            count += 1
        return self._rung(count)

    def _below(self, anchor: float) -> float:
        if self.percent:
            return anchor * (1 - self.step / 100)
        count = ceil(anchor / self.step) + 1
        while self._rung(count) >= anchor:
            count -= 1
        return self._rung(count)

    def _rung(self, count: int) -> float:
        """As its digits say: three steps of 0.1 are 0.3."""
        return float(count * Fraction(repr(self.step)))


def state_of(spec: AlertSpec, clause: Clause, scale: Scale, percent: float) -> list[State]:
    """Its halves; one of those that are not halves."""

    def band(level: float) -> float:
        return band_of(spec, clause, level, percent)

    level, high = clause.level, clause.high
    if clause.condition == "inside":
        assert high is not None
        return [Inside(scale, level, high, band(level), band(high))]
    if clause.condition == "outside":
        assert high is not None
        return [Above(scale, high, band(high)), Below(scale, level, band(level))]
    above, below = Above(scale, level, band(level)), Below(scale, level, band(level))
    if clause.condition == "crosses":
        return [above, below]
    return [above if clause.condition == "above" else below]


def gates_of(spec: AlertSpec, index: int, scale: Scale, percent: float) -> list[Gate]:
    clause = spec.clauses[index]
    if clause.condition == "trails":
        return [Trail(index, clause, scale)]
    if clause.condition == "every":
        return [Ladder(index, clause, scale)]
    return [All([(index, state)], spec.hold_us) for state in state_of(spec, clause, scale, percent)]


def gate_of_all(spec: AlertSpec, scales: Sequence[Scale], percent: float) -> Gate:
    """Of clauses that all have to hold."""
    states: list[tuple[int, State]] = []
    for index, clause in enumerate(spec.clauses):
        parts = state_of(spec, clause, scales[index], percent)
        if len(parts) == 2:
            high, low = parts
            assert isinstance(high, Above) and isinstance(low, Below)
            parts = [Outside(scales[index], low, high)]
        states.append((index, parts[0]))
    return All(states, spec.hold_us)
