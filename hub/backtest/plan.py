"""How much of the past is gone through, and how finely, for an alert, a span and a number of prices. Pure.

Depends on hub.backtest.needs and the ladder.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from hub.backtest.needs import Needs
from hub.history.ladder import RUNGS, length_us
from hub.rules.series import DAY_US, MINUTE_US

Cut = Literal["", "history", "ticks", "room"]
PATH = 4
"""Prices that a candle tells."""
READ_AT_ONCE = 2_000
"""Ticks, about, that are read in one go; the same of candles is a day of the finest."""
MANY = 20_000
"""Prices; what only closes move is told by these where there are more."""
MINUTES = (1440, 720, 360, 180, 90, 45, 15, 5, 1)
TICKS = "ticks"


class Stored(NamedTuple):
    """What history has of one instrument: as hub.history.History.reach, and how many prices by interval."""

    reach: Mapping[str, tuple[int, int]]
    counts: Mapping[int, int]
    length_us: int  # of the intervals

    def since(self, names: Sequence[str]) -> int | None:
        """Where the oldest of these begins, "ticks" and rungs from the finest on; a candle of a coarser one reaches
        further back only where it ends before."""
        oldest: int | None = None
        for name in names:
            if name in self.reach:
                start = self.reach[name][0]
                length = 0 if name == TICKS else length_us(name)
                oldest = start if oldest is None or start + length <= oldest else oldest
        return oldest

    def ticks(self, start_us: int, end_us: int) -> float:
        """How many are kept of that span, about."""
        kept = self.reach.get(TICKS)
        if kept is None:
            return 0.0
        start_us = max(start_us, kept[0])
        total = 0.0
        for at, count in self.counts.items():
            share = min(end_us, at + self.length_us) - max(start_us, at)
            total += count * max(share, 0) / self.length_us
        return total

    def candles(self, rung: str, start_us: int, end_us: int) -> float:
        """No more than that."""
        since = self.since(tuple(RUNGS))
        return 0.0 if since is None else max(end_us - max(start_us, since), 0) / length_us(rung)


class Plan(NamedTuple):
    ticks: bool
    rungs: tuple[str, ...]  # whose candles tell what no tick tells, the finest first
    start_us: int
    cut: Cut
    coarse: bool
    chunk_us: int  # so much time is read at once
    closes: bool = False  # the candles' closes are all that counts


def planned(needs: Needs, stored: Sequence[Stored], start_us: int, end_us: int, most: int, *, cut: bool) -> Plan | None:
    """As fine as goes into `most` prices; None where nothing does, and the span must not be cut."""
    start, why = _since(needs, stored, start_us, end_us)
    most //= needs.weight
    levels = [(TICKS, *needs.rungs), *(needs.rungs[i:] for i in range(needs.choices))]
    costs = [cost(level, stored, start - needs.before_us, end_us) for level in levels]
    closes = needs.closes and costs[0] > MANY and bool(needs.rungs)
    place = len(levels) - 1 if closes else next((i for i, each in enumerate(costs) if each <= most), None)
    if place is None:
        if not cut:
            return None
        place = len(levels) - 1
        start, why = room(levels[place], stored, start, end_us, needs.before_us, most), "room"
        if start >= end_us - MINUTE_US:
            return None
    level = levels[place]
    kept = any(TICKS in one.reach and one.reach[TICKS][1] >= start for one in stored)
    coarse = not closes and (place > 1 or (place == 1 and kept))
    ticks = level[0] == TICKS and kept
    rungs = level[1:] if level[0] == TICKS else level
    return Plan(ticks, rungs, start, why, coarse, _chunk_us(stored, rungs, ticks=ticks), closes)


def _since(needs: Needs, stored: Sequence[Stored], start_us: int, end_us: int) -> tuple[int, Cut]:
    """Where what is stored of all of them begins, and why there."""
    began = [at for one in stored if (at := one.since((TICKS, *needs.rungs))) is not None]
    if not stored or len(began) < len(stored):
        return end_us, "history"
    start = max(start_us, *began)
    older = [one.since((TICKS, *RUNGS)) or 0 for one in stored]
    if start == start_us:
        return start, ""
    return start, "ticks" if max(older) < max(began) - DAY_US else "history"


def cost(level: Sequence[str], stored: Sequence[Stored], start_us: int, end_us: int) -> float:
    """How many prices that is, about."""
    total = 0.0
    for one in stored:
        until = end_us
        if level[0] == TICKS:
            total += one.ticks(start_us, end_us)
            kept = one.reach.get(TICKS)
            until = min(end_us, kept[0]) if kept else end_us
        rung = next((each for each in level if each != TICKS), None)
        if rung is not None and until > start_us:
            total += PATH * one.candles(rung, start_us, until)
    return total


def whole(needs: Needs, stored: Stored, start_us: int, end_us: int) -> Plan:
    """All of it, as fine as it is kept: for what is passed over where nothing can happen."""
    start, why = _since(needs, [stored], start_us, end_us)
    return Plan(TICKS in stored.reach, needs.rungs, start, why, False, DAY_US)


def room(level: Sequence[str], stored: Sequence[Stored], start_us: int, end_us: int, before_us: int, most: int) -> int:
    """The earliest minute from which on it does go, with the windows before it."""
    low, high = start_us, end_us
    while high - low > MINUTE_US:
        middle = (low + high) // 2
        if cost(level, stored, middle - before_us, end_us) <= most:
            high = middle
        else:
            low = middle
    return high


def _chunk_us(stored: Sequence[Stored], rungs: Sequence[str], *, ticks: bool) -> int:
    if not ticks:
        finest = length_us(rungs[0]) if rungs else MINUTE_US
        return DAY_US * max(finest // MINUTE_US // max(len(stored), 1), 1)
    a_minute = max((max(one.counts.values(), default=0) / one.length_us for one in stored), default=0) * MINUTE_US
    return MINUTE_US * next((each for each in MINUTES if a_minute * each <= READ_AT_ONCE), MINUTES[-1])
