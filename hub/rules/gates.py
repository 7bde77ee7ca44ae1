"""Gates: what one clause of an alert waits for on its series. Pure.

A gate says between which values nothing happens to it (`low` and `high`, both excluded); hub.rules.levels wakes it with
the first value beyond them. `step` then moves it on and returns what happened: a `Hit` where the clause rings by
itself. There are four: a Level (rising and falling halves, each armed by itself), a Zone (whether a condition holds,
for what looks at more than that one moment), a Trail behind the highest or lowest value, and a Ladder of steps.

The rules (docs/architecture.md, "Alerts"): a touch counts; a half that fired is armed again at its level less its band,
and behind the level; a first known value sets the sides and fires nothing.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

INFINITY = math.inf
PARTS = 3  # bits for the number of a part below its alert's id
MOST_PARTS = 1 << PARTS

BEHIND, BETWEEN, TRUE = 0, 1, 2
"""Of a Zone: behind its band; neither; the condition holds."""


def up_to(value: float) -> float:
    """The largest number below it."""
    return math.nextafter(value, -INFINITY)


def from_on(value: float) -> float:
    """The smallest number above it."""
    return math.nextafter(value, INFINITY)


class Hit(NamedTuple):
    direction: Literal["up", "down"]
    level: float


class Bounds(msgspec.Struct, gc=False, kw_only=True):
    """What all gates have. `key` is the alert's id with the number of the part below it; `low` and `high` are those
    under which it lies in its levels."""

    key: int
    low: float = -INFINITY
    high: float = INFINITY

    @property
    def id(self) -> int:
        return self.key >> PARTS

    @property
    def part(self) -> int:
        return self.key & (MOST_PARTS - 1)

    @property
    def over(self) -> bool:
        """Whether it waits for nothing any more."""
        return False

    def true_at(self, _value: float) -> bool:
        """Whether its condition holds at that value, so that only the next cross can ring."""
        return False


class Level(Bounds, gc=False, kw_only=True):
    """A level to rise to, one to fall to, or both. Of each half: True armed, False fired, None no such half or not yet
    known. With `once` the first that fires is the last."""

    rise: float | None = None
    fall: float | None = None
    rise_back: float = 0.0  # where the rising half is armed again
    fall_back: float = 0.0
    once: bool = False
    fired: bool = False  # of one for once
    up_armed: bool | None = None
    down_armed: bool | None = None

    @property
    def known(self) -> bool:
        return not (
            (self.rise is not None and self.up_armed is None) or (self.fall is not None and self.down_armed is None)
        )

    @property
    def over(self) -> bool:
        return self.fired

    def settle(self, value: float) -> None:
        self.up_armed = value < self.rise if self.rise is not None else None
        self.down_armed = value > self.fall if self.fall is not None else None
        self.place()

    def forget(self) -> None:
        self.up_armed = self.down_armed = None
        self.fired = False

    def place(self) -> None:
        """Its bounds, from its sides."""
        low, high = -INFINITY, INFINITY
        if self.rise is not None:
            if self.up_armed:
                high = self.rise
            else:
                low = self.rise_back
        if self.fall is not None:
            if self.down_armed:
                low = self.fall if self.fall > low else low
            else:
                high = self.fall_back if self.fall_back < high else high
        self.low, self.high = low, high

    def step(self, value: float) -> Hit | None:
        """One tick fires one half at most: where both are passed, the nearer level was passed long before."""
        hit: Hit | None = None
        if self.rise is not None:
            if self.up_armed:
                if value >= self.rise:
                    self.up_armed, hit = False, Hit("up", self.rise)
            elif value <= self.rise_back:
                self.up_armed = True
        if self.fall is not None:
            if self.down_armed:
                if value <= self.fall:
                    self.down_armed, hit = False, hit or Hit("down", self.fall)
            elif value >= self.fall_back:
                self.down_armed = True
        self.fired = self.once and hit is not None
        self.place()
        return hit

    def true_at(self, value: float) -> bool:
        """Of a crossing in both directions nothing holds."""
        if self.rise is not None and self.fall is not None and self.fall >= self.rise:
            return False
        rises = self.rise is not None and value >= self.rise
        return rises or (self.fall is not None and value <= self.fall)


class Zone(Bounds, gc=False, kw_only=True):
    """Regions of values between `cuts` (a cut belongs to the region above it), and which zone each of them is."""

    cuts: tuple[float, ...]
    zones: tuple[int, ...]
    region: int | None = None
    above: bool = False  # whether the newest value that was not in a range was above it

    @property
    def known(self) -> bool:
        return self.region is not None

    @property
    def zone(self) -> int | None:
        return None if self.region is None else self.zones[self.region]

    def settle(self, value: float) -> None:
        self.region = bisect_right(self.cuts, value)
        if self.zones[self.region] != TRUE:
            self.above = self.region > len(self.cuts) // 2
        self.place()

    def forget(self) -> None:
        self.region = None

    def place(self) -> None:
        region = self.region
        if region is None:
            self.low, self.high = -INFINITY, INFINITY
            return
        self.low = up_to(self.cuts[region - 1]) if region else -INFINITY
        self.high = self.cuts[region] if region < len(self.cuts) else INFINITY

    def true_from(self, region: int) -> tuple[float | None, float | None]:
        """From which values on upwards, and downwards, it would hold, seen from a region in which it does not."""
        if self.zones[region] == TRUE:
            return None, None
        above = next((at for at in range(region + 1, len(self.zones)) if self.zones[at] == TRUE), None)
        below = next((at for at in range(region - 1, -1, -1) if self.zones[at] == TRUE), None)
        return (
            None if above is None else self.cuts[above - 1],
            None if below is None else up_to(self.cuts[below]),
        )

    def step(self, value: float) -> Hit | None:
        self.settle(value)
        return None

    def true_at(self, value: float) -> bool:
        return self.zones[bisect_right(self.cuts, value)] == TRUE


class Trail(Bounds, gc=False, kw_only=True):
    """Follows the highest value and rings so far below it; `rising` mirrors it. Behind a ring it starts anew."""

    amount: float
    percent: bool
    rising: bool
    peak: float | None = None

    @property
    def known(self) -> bool:
        return self.peak is not None

    def settle(self, value: float) -> None:
        self.peak = value
        self.place()

    def forget(self) -> None:
        self.peak = None

    @property
    def level(self) -> float:
        """Where it rings, as the peak stands."""
        assert self.peak is not None
        by = abs(self.peak) * self.amount / 100 if self.percent else self.amount
        return self.peak + by if self.rising else self.peak - by

    def place(self) -> None:
        if self.peak is None:
            self.low, self.high = -INFINITY, INFINITY
        elif self.rising:
            self.low, self.high = up_to(self.peak), self.level
        else:
            self.low, self.high = self.level, from_on(self.peak)

    def step(self, value: float) -> Hit | None:
        level = self.level
        reached = value >= level if self.rising else value <= level
        self.settle(value)
        return Hit("up" if self.rising else "down", level) if reached else None


class Ladder(Bounds, gc=False, kw_only=True):
    """Rings at the next step above or below the last one that it rang at. Steps lie at the multiples of `size`, or
    `size` percent of the last one away from it."""

    size: float
    percent: bool
    anchor: float | None = None

    @property
    def known(self) -> bool:
        return self.anchor is not None

    def settle(self, value: float) -> None:
        self.anchor = value
        self.place()

    def forget(self) -> None:
        self.anchor = None

    def place(self) -> None:
        if self.anchor is None:
            self.low, self.high = -INFINITY, INFINITY
        else:
            self.low, self.high = self._next(self.anchor, -1), self._next(self.anchor, 1)

    def step(self, value: float) -> Hit | None:
        """The furthest step that is reached is the one that rings."""
        way = 1 if value >= self.high else -1
        level = self._furthest(self.high if way > 0 else self.low, value, way)
        self.settle(level)
        return Hit("up" if way > 0 else "down", level)

    def _furthest(self, level: float, value: float, way: int) -> float:
        if not self.percent:
            count = round(value / self.size)
            return multiple(count if way * multiple(count, self.size) <= way * value else count - way, self.size)
        while way * (beyond := self._next(level, way)) <= way * value and beyond != level:
            level = beyond
        return level

    def _next(self, anchor: float, way: int) -> float:
        if self.percent:
            return anchor * (1 + way * self.size / 100)
        count = math.floor(anchor / self.size) if way > 0 else math.ceil(anchor / self.size)
        while way * multiple(count, self.size) <= way * anchor:  # division may have rounded either way
            count += way
        return multiple(count, self.size)


def multiple(count: int, size: float) -> float:
    """As the digits of the size say: 3 times 0.1 is 0.3."""
    return float(count * Decimal(repr(size)))


Gate = Level | Zone | Trail | Ladder

# ---------------------------------------------------------------------------------------------- making them


def above(key: int, level: float, band: float) -> Zone:
    return Zone(key=key, cuts=(from_on(back_below(level, band)), level), zones=(BEHIND, BETWEEN, TRUE))


def below(key: int, level: float, band: float) -> Zone:
    return Zone(key=key, cuts=(from_on(level), back_above(level, band)), zones=(TRUE, BETWEEN, BEHIND))


def inside(key: int, edges: Sequence[float], bands: Sequence[float]) -> Zone:
    (low, high), (low_band, high_band) = edges, bands
    return Zone(
        key=key,
        cuts=(from_on(back_below(low, low_band)), low, from_on(high), back_above(high, high_band)),
        zones=(BEHIND, BETWEEN, TRUE, BETWEEN, BEHIND),
    )


def outside(key: int, edges: Sequence[float], bands: Sequence[float]) -> Zone:
    """Where the two bands meet, the middle of the range is behind both."""
    (low, high), (low_band, high_band) = edges, bands
    low_back, high_back = back_above(low, low_band), back_below(high, high_band)
    if low_back > high_back:
        low_back = high_back = (low + high) / 2
    return Zone(
        key=key,
        cuts=(from_on(low), low_back, from_on(high_back), high),
        zones=(TRUE, BETWEEN, BEHIND, BETWEEN, TRUE),
    )


def back_below(level: float, band: float) -> float:
    return min(level - band, up_to(level))


def back_above(level: float, band: float) -> float:
    return max(level + band, from_on(level))
