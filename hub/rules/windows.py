"""What a series did lately: its extremes in a window, its sum, its value then, its record of a period. Pure.

Each is given values with times that never go back (hub.rules.graph sees to that), and knows at any moment what an exact
look at all of them would say. Bounded in memory:

- Extremes: monotonic deques, which hold only values that may still become the extreme, none of them twice. Beyond
  MOST_KEPT those that lie nearest to each other become one, and the extreme may be off by so little as that.
- Sums and Past: one entry for each 1/BUCKETS of the window.
- Record: one entry a day.
"""

from collections import deque
from typing import NamedTuple

from hub.rules.series import DAY_US

MOST_KEPT = 65_536
BUCKETS = 3_600
RECORD_DAYS = {"day": 1, "52w": 364, "all": 0}
"""Days of a period, the one of now included; 0: all there are."""


class Then(NamedTuple):
    """A value, and the time that it is of."""

    value: float
    at: int


class Extreme:
    """The highest (`sign` 1) or lowest (-1) value of [t - window, t], t the time of the newest value."""

    __slots__ = ("_kept", "_most", "sign", "window_us")

    def __init__(self, window_us: int, sign: int, most: int = MOST_KEPT) -> None:
        self.window_us = window_us
        self.sign = sign
        self._most = most
        self._kept: deque[tuple[float, int]] = deque()  # (sign x value, time), the best first, each later one worse

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, value: float, at: int) -> Then:
        kept, score = self._kept, self.sign * value
        while kept and kept[-1][0] <= score:
            kept.pop()
        kept.append((score, at))
        return self.expire(at)

    def expire(self, at: int) -> Then:
        """What is older is gone; there has to be a value that is not."""
        kept, since = self._kept, at - self.window_us
        while kept[0][1] < since:
            kept.popleft()
        if len(kept) > self._most:
            self._thin()
        score, time = kept[0]
        return Then(self.sign * score, time)

    def scale(self, factor: float) -> None:
        """All values so far, as after a split."""
        self._kept = deque((score * factor, at) for score, at in self._kept)

    def _thin(self) -> None:
        """Of neighbours that are nearly alike the later one stays, with the better one's value: an eighth goes."""
        kept = list(self._kept)
        gaps = sorted(kept[i][0] - kept[i + 1][0] for i in range(len(kept) - 1))
        least = gaps[len(gaps) // 8]
        thinned = [kept[0]]
        for score, at in kept[1:]:
            best, _ = thinned[-1]
            thinned[-1:] = [(best, at)] if len(thinned) > 1 and best - score <= least else [thinned[-1], (score, at)]
        self._kept = deque(thinned)


class Sum:
    """The sum of what was added in the last `window_us`, to 1/BUCKETS of the window."""

    __slots__ = ("_bucket_us", "_kept", "_total", "window_us")

    def __init__(self, window_us: int) -> None:
        self.window_us = window_us
        self._bucket_us = max(window_us // BUCKETS, 1)
        self._kept: deque[list[float]] = deque()  # [number of the bucket, sum]
        self._total = 0.0

    def add(self, amount: float, at: int) -> float:
        bucket = at // self._bucket_us
        if self._kept and self._kept[-1][0] == bucket:
            self._kept[-1][1] += amount
        else:
            self._kept.append([bucket, amount])
        self._total += amount
        return self.at(at)

    def at(self, at: int) -> float:
        oldest = (at - self.window_us) // self._bucket_us
        while self._kept and self._kept[0][0] < oldest:
            self._total -= self._kept.popleft()[1]
        if len(self._kept) <= 1:  # what was lost in adding and taking away is lost no longer
            self._total = self._kept[0][1] if self._kept else 0.0
        return self._total

    def scale(self, factor: float) -> None:
        for entry in self._kept:
            entry[1] *= factor
        self._total *= factor


class Past:
    """The newest value that is at least `window_us` old, to 1/BUCKETS of the window."""

    __slots__ = ("_bucket_us", "_kept", "window_us")

    def __init__(self, window_us: int) -> None:
        self.window_us = window_us
        self._bucket_us = max(window_us // BUCKETS, 1)
        self._kept: deque[tuple[int, Then]] = deque()

    def add(self, value: float, at: int) -> Then | None:
        """None where nothing is so old."""
        bucket = at // self._bucket_us
        if self._kept and self._kept[-1][0] == bucket:
            self._kept[-1] = (bucket, Then(value, at))
        else:
            self._kept.append((bucket, Then(value, at)))
        return self.at(at)

    def at(self, at: int) -> Then | None:
        since = at - self.window_us
        while len(self._kept) > 1 and self._kept[1][1].at <= since:
            self._kept.popleft()
        return self._kept[0][1] if self._kept[0][1].at <= since else None

    def scale(self, factor: float) -> None:
        self._kept = deque((bucket, Then(then.value * factor, then.at)) for bucket, then in self._kept)


class Record:
    """The highest or lowest value of a period that still goes on: of this UTC day, of so many days, of all."""

    __slots__ = ("_days", "_kept", "sign")

    def __init__(self, days: int, sign: int) -> None:
        self.sign = sign
        self._days = days  # 0: all
        self._kept: deque[tuple[int, float, int]] = deque()  # (day, sign x value, time), each later one worse

    def add(self, value: float, at: int) -> Then:
        kept, score, day = self._kept, self.sign * value, at // DAY_US
        while kept and kept[-1][1] < score:
            kept.pop()
        if not kept or (self._days and kept[-1][0] != day):
            kept.append((day, score, at))
        while self._days and kept[0][0] <= day - self._days:
            kept.popleft()
        _, best, time = kept[0]
        return Then(self.sign * best, time)

    def scale(self, factor: float) -> None:
        self._kept = deque((day, score * factor, at) for day, score, at in self._kept)
