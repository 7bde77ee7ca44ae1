"""Sorted levels: which gates of a series a new value wakes. Pure.

Every gate lies between two values in which nothing happens to it. All upper bounds of a series lie in one sorted list,
all lower ones in another, the nearest on either side cached in `low` and `high`: a value between them wakes nobody,
and that is two comparisons, however many alerts there are.
"""

from collections.abc import Collection, Iterable

from sortedcontainers import SortedList

from hub.rules.gates import INFINITY, PARTS, Gate, Hit, Zone

Watch = tuple[float, int, Gate]
"""(the bound, the gate's key, the gate)"""
Moved = tuple[Gate, Hit | Exception | None]
"""A gate and what came of it; an exception is an error of its rule: whoever asked takes it out."""


class Levels:
    """The gates of one series. `low` and `high` are the nearest bounds: only a value at or beyond one of them needs
    `cross`."""

    __slots__ = ("_falling", "_rising", "_unsettled", "_zones", "count", "high", "low")

    def __init__(self) -> None:
        self.count = 0
        self._rising: SortedList[Watch] = SortedList()
        self._falling: SortedList[Watch] = SortedList()
        self._unsettled: dict[int, Gate] = {}
        self._zones: dict[int, Zone] = {}
        self.low = -INFINITY
        self.high = INFINITY

    def __len__(self) -> int:
        return self.count

    def add(self, gates: Iterable[Gate]) -> None:
        """Many at once are sorted at once. Those of which it is not known where they stand take the next value."""
        rising: list[Watch] = []
        falling: list[Watch] = []
        for gate in gates:
            self.count += 1
            if isinstance(gate, Zone):
                self._zones[gate.key] = gate
            if not gate.known:
                self._unsettled[gate.key] = gate
                continue
            gate.place()
            if gate.high < INFINITY:
                rising.append((gate.high, gate.key, gate))
            if gate.low > -INFINITY:
                falling.append((gate.low, gate.key, gate))
        self._rising.update(rising)
        self._falling.update(falling)
        self._cache()

    def remove(self, gate: Gate) -> None:
        """A gate that is here."""
        self.count -= 1
        self._zones.pop(gate.key, None)
        if self._unsettled.pop(gate.key, None) is None:
            self._take_out(gate)
        self._cache()

    def restart(self, gate: Gate, value: float | None) -> None:
        """A gate that is here follows from this value on; None: from the next."""
        if self._unsettled.pop(gate.key, None) is None:
            self._take_out(gate)
        if value is None:
            gate.forget()
            self._unsettled[gate.key] = gate
        else:
            gate.settle(value)
            self._put(gate)
        self._cache()

    @property
    def settling(self) -> Collection[int]:
        """The keys of those that take the next value for their side."""
        return frozenset(self._unsettled)

    def alerts(self) -> set[int]:
        """The ids of all that have a gate here."""
        watches = (watch[1] for watches in (self._rising, self._falling) for watch in watches)
        return {key >> PARTS for key in (*watches, *self._unsettled)}

    def unsettle(self) -> list[Zone]:
        """The series has no value for now: of no zone it is known any more whether it holds. Those that this is news
        for."""
        news = [zone for zone in self._zones.values() if zone.region is not None]
        for zone in news:
            self._take_out(zone)
            zone.forget()
            self._unsettled[zone.key] = zone
        self._cache()
        return news

    def _take_out(self, gate: Gate) -> None:
        if gate.high < INFINITY:
            self._rising.discard((gate.high, gate.key, gate))
        if gate.low > -INFINITY:
            self._falling.discard((gate.low, gate.key, gate))

    def _put(self, gate: Gate) -> None:
        if gate.high < INFINITY:
            self._rising.add((gate.high, gate.key, gate))
        if gate.low > -INFINITY:
            self._falling.add((gate.low, gate.key, gate))

    def _cache(self) -> None:
        if self._unsettled:  # every value is news to them
            self.low, self.high = INFINITY, -INFINITY
            return
        self.high = self._rising[0][0] if self._rising else INFINITY
        self.low = self._falling[-1][0] if self._falling else -INFINITY

    def cross(self, value: float) -> list[Moved]:
        """Every gate that this value moves, nearest bound first, and what that brings. Those that are over are gone."""
        moved: list[Moved] = []
        for gate in self._reached(value):
            try:
                hit = gate.step(value)
            except Exception as error:
                moved.append((gate, error))
                continue
            moved.append((gate, hit))
            if gate.over:
                self.count -= 1
            else:
                self._put(gate)
        if self._unsettled:
            for gate in self._unsettled.values():
                try:
                    gate.settle(value)
                except Exception as error:
                    moved.append((gate, error))
                    continue
                moved.append((gate, None))
                self._put(gate)
            self._unsettled.clear()
        self._cache()
        return moved

    def _reached(self, value: float) -> list[Gate]:
        """Taken out of both lists. No gate is reached on both sides, since its bounds lie apart."""
        rising, falling = self._rising, self._falling
        risen: list[Gate] = []
        fallen: list[Gate] = []
        if rising and rising[0][0] <= value:
            end = rising.bisect_right((value, INFINITY))
            risen = [watch[2] for watch in rising.islice(0, end)]
            del rising[:end]
        if falling and falling[-1][0] >= value:
            start = falling.bisect_left((value, -1))
            fallen = [watch[2] for watch in falling.islice(start, reverse=True)]
            del falling[start:]
        for gate in risen:
            if gate.low > -INFINITY:
                falling.discard((gate.low, gate.key, gate))
        for gate in fallen:
            if gate.high < INFINITY:
                rising.discard((gate.high, gate.key, gate))
        return risen + fallen
