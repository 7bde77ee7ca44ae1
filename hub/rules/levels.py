"""Sorted levels: which alerts a new value of a series crosses. Pure.

An alert has up to two halves: one that fires when the value rises to its level, one that fires when it falls to it.
A half is either armed (it waits for its level) or fired (it waits behind its band to be armed again); both are
watches in one of two sorted lists, those that wait for a rise and those that wait for a fall. The nearest watch on
either side is cached in `low` and `high`: a value between them crosses nothing, and that is two comparisons, however
many alerts there are.

The rules (docs/architecture.md, semantics 1 and 2): the rising half fires at the first `value >= level`, a touch
counts; it is armed again at `value <= level - band` and below the level. The falling half mirrors it. A first known
value only sets the sides: a half is armed if its condition is not met then.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
from sortedcontainers import SortedList

UP, DOWN = 0, 1
INFINITY = math.inf
Watch = tuple[float, int, int]
"""(the value that it waits for, alert id, half)"""


class Level(msgspec.Struct, gc=False):
    """One alert on a series. `armed` holds its halves: True armed, False fired, None no such half or not yet known."""

    id: int
    level: float
    band: float  # in the series' own unit
    rises: bool  # has a rising half
    falls: bool
    once: bool
    up_armed: bool | None = None
    down_armed: bool | None = None
    generation: int = 0  # how often it has fired
    armed_generation: int = 0  # and how often before it was armed last: what is for once fires once after that

    @property
    def known(self) -> bool:
        return not ((self.rises and self.up_armed is None) or (self.falls and self.down_armed is None))

    def settle(self, value: float) -> None:
        """Sets the sides from a first known value; nothing fires."""
        self.up_armed = value < self.level if self.rises else None
        self.down_armed = value > self.level if self.falls else None

    def true_at(self, value: float) -> bool:
        """Whether the condition holds at that value, so that only the next cross can ring."""
        return (self.rises and not self.falls and value >= self.level) or (
            self.falls and not self.rises and value <= self.level
        )

    def watches(self) -> Iterator[tuple[bool, Watch]]:
        """(waits for a rise, watch) of each half."""
        if self.up_armed is not None:
            yield self._watch(UP, self.up_armed)
        if self.down_armed is not None:
            yield self._watch(DOWN, self.down_armed)

    def _watch(self, half: int, armed: bool) -> tuple[bool, Watch]:
        if armed:
            return half == UP, (self.level, self.id, half)
        if half == UP:
            return False, (min(self.level - self.band, math.nextafter(self.level, -INFINITY)), self.id, half)
        return True, (max(self.level + self.band, math.nextafter(self.level, INFINITY)), self.id, half)


class Fired(msgspec.Struct, frozen=True, gc=False):
    alert: Level
    direction: Literal["up", "down"]


class Levels:
    """All level alerts of one series. `low` and `high` are the nearest watches: only a value at or beyond one of
    them needs `cross`."""

    __slots__ = ("_falling", "_rising", "_unsettled", "alerts", "high", "low")

    def __init__(self) -> None:
        self.alerts: dict[int, Level] = {}
        self._rising: SortedList[Watch] = SortedList()
        self._falling: SortedList[Watch] = SortedList()
        self._unsettled: set[int] = set()
        self.low = -INFINITY
        self.high = INFINITY

    def __len__(self) -> int:
        return len(self.alerts)

    def add(self, alerts: Iterable[Level]) -> None:
        """Many at once are sorted at once."""
        rising: list[Watch] = []
        falling: list[Watch] = []
        for alert in alerts:
            self.alerts[alert.id] = alert
            if not alert.known:
                self._unsettled.add(alert.id)
                continue
            for rise, watch in alert.watches():
                (rising if rise else falling).append(watch)
        self._rising.update(rising)
        self._falling.update(falling)
        self._cache()

    def remove(self, alert_id: int) -> Level | None:
        alert = self.alerts.pop(alert_id, None)
        if alert is None:
            return None
        if alert_id in self._unsettled:
            self._unsettled.discard(alert_id)
        else:
            for rise, watch in alert.watches():
                (self._rising if rise else self._falling).discard(watch)
        self._cache()
        return alert

    def _cache(self) -> None:
        if self._unsettled:  # every value is news to them
            self.low, self.high = INFINITY, -INFINITY
            return
        self.high = self._rising[0][0] if self._rising else INFINITY
        self.low = self._falling[-1][0] if self._falling else -INFINITY

    def cross(self, value: float) -> tuple[list[Fired], list[Level]]:
        """What fires at this value, nearest level first, and every alert whose state changed. Alerts that fire once
        leave the lists."""
        fired: list[Fired] = []
        changed: dict[int, Level] = {}
        again: list[tuple[bool, Watch]] = []
        while self._rising and self._rising[0][0] <= value:
            self._reached(self._rising.pop(0), fired, changed, again)
        while self._falling and self._falling[-1][0] >= value:
            self._reached(self._falling.pop(), fired, changed, again)
        for rise, watch in again:
            if watch[1] in self.alerts:
                (self._rising if rise else self._falling).add(watch)
        for alert_id in self._unsettled:
            alert = self.alerts[alert_id]
            alert.settle(value)
            changed[alert_id] = alert
            for rise, watch in alert.watches():
                (self._rising if rise else self._falling).add(watch)
        self._unsettled.clear()
        self._cache()
        return fired, list(changed.values())

    def _reached(
        self, watch: Watch, fired: list[Fired], changed: dict[int, Level], again: list[tuple[bool, Watch]]
    ) -> None:
        """One watch came true: an armed half fires, a fired one is armed again."""
        _, alert_id, half = watch
        alert = self.alerts.get(alert_id)
        if alert is None:  # its other half fired just now and it was for once
            return
        changed[alert_id] = alert
        armed = alert.up_armed if half == UP else alert.down_armed
        if half == UP:
            alert.up_armed = not armed
        else:
            alert.down_armed = not armed
        if armed:
            alert.generation += 1
            fired.append(Fired(alert, "up" if half == UP else "down"))
            if alert.once:
                self._retire(alert, half)
                return
        again.append(alert._watch(half, not armed))

    def _retire(self, alert: Level, fired_half: int) -> None:
        """An alert for once has fired: its other half, if it has one, waits no more."""
        del self.alerts[alert.id]
        other_armed = alert.down_armed if fired_half == UP else alert.up_armed
        if other_armed is not None:
            rise, watch = alert._watch(1 - fired_half, other_armed)
            (self._rising if rise else self._falling).discard(watch)
