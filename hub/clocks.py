"""Whether a vendor's clock is right: how far its stamps lie from the times at which its ticks are received. Pure.

A `Watch` of one source and instrument takes a sample now and then (the hot path pays one comparison a tick), and
judges by the median of SAMPLES of them. It says nothing unless the vendor's clock runs as fast as ours over all of
them: what a vendor catches up on, repeats or fills in after a gap shows any distance, but not a steady one. What it
finds stands until as many samples say otherwise. Times are microseconds UTC. Depends on hub.model and hub.wording.
"""

from collections import deque
from typing import NamedTuple

from hub.model import SECOND_US
from hub.wording import HOUR_US, MINUTE_US, duration

SAMPLES = 61
EVERY_US = SECOND_US // 2
SELDOM_US = 5 * SECOND_US
"""Between two samples; of a clock that was found right."""
BELIEVED_US = 50_000
"""So long a stamp that looks right stands for those behind it, while its clock is not known yet."""
LONGEST_US = 2 * HOUR_US
"""Samples that took longer to come say nothing: a daily fixing is stamped hours before it comes, day after day."""
JUDGE_EVERY = 10
DRIFT_US = 5 * SECOND_US
DRIFT_SHARE = 0.1
"""A steady distance changes by no more than that, and that share of the time it was looked at."""

HALF_HOUR_US = 30 * MINUTE_US
LEAST_HALVES, MOST_HALVES = 2, 28
"""From one hour (no place is less from UTC) to fourteen."""
NEAR_US = 10 * MINUTE_US
"""To a whole or half number of hours: a time zone's difference, and some minutes beside."""
AHEAD_US = MINUTE_US
LATE_US = 15 * MINUTE_US
"""From there on windows do not go by a stamp either (hub.rules.roots)."""

NEVER = 1 << 62
UTC = ("", "UTC", "GMT", "Z", "Etc/UTC")
"""How a feed says that its stamps are in UTC: most by saying nothing."""


class Finding(NamedTuple):
    """What is wrong with a clock. `by_us`: received less stamped, the median; above 0 the clock is behind. `zone_us`:
    the whole or half hours that look like a wrong time zone, else 0."""

    by_us: int
    zone_us: int

    @property
    def sort(self) -> tuple[int, bool, bool]:
        """Findings of one sort are the same: some seconds more are no news."""
        return self.zone_us, self.by_us > 0, self.distrusted

    @property
    def distrusted(self) -> bool:
        """Whether its stamps are no times of anything. What is merely late is stamped rightly, as far as one can know:
        vendors sell prices that are 15 or 20 minutes old."""
        return self.zone_us != 0 or self.by_us < -LATE_US


def judge(by_us: int) -> Finding | None:
    """What such a steady distance means; None for a clock that is right."""
    halves = (abs(by_us) + HALF_HOUR_US // 2) // HALF_HOUR_US
    if LEAST_HALVES <= halves <= MOST_HALVES and abs(abs(by_us) - halves * HALF_HOUR_US) <= NEAR_US:
        return Finding(by_us, halves * HALF_HOUR_US * (1 if by_us > 0 else -1))
    return Finding(by_us, 0) if by_us < -AHEAD_US or by_us > LATE_US else None


class Watch:
    """Give it a tick's times once `received_at` has reached `look_at`. While there is `doubt`, ask it of every stamp
    whether to believe it."""

    __slots__ = ("_new", "_samples", "_settled", "_stamp", "doubt", "finding", "look_at")

    def __init__(self, *, streams: bool = True) -> None:
        """`streams`: its ticks come as they are made, and not, as fixings do, whenever somebody asks."""
        self.look_at = 0
        self.doubt = streams
        self.finding: Finding | None = None
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)  # received_at, received less stamped
        self._new = 0  # since it was judged last
        self._stamp = -NEVER
        self._settled: int | None = None  # the distance that was found last

    def see(self, venue_time: int, received_at: int) -> bool:
        """Whether the finding is another one now. A stamp that comes again says nothing."""
        self.look_at = received_at + (EVERY_US if self.finding or self._settled is None else SELDOM_US)
        if venue_time == self._stamp:
            return False
        self._stamp, by_us = venue_time, received_at - venue_time
        if self._settled is not None and abs(by_us - self._settled) > LATE_US:  # look closely, and at nothing older
            self._settled, self._new = None, 0
            self._samples.clear()
        self._samples.append((received_at, by_us))
        self._new += 1
        if len(self._samples) < SAMPLES or self._new < JUDGE_EVERY:
            return False
        self._new = 0
        return self._judge()

    def believes(self, venue_time: int, received_at: int) -> bool:
        """Whether a stamp is used. Of a clock that is not known yet: unless it alone would speak against it, so that
        the first minute of a start leaves no candles hours away either."""
        if not self.doubt:
            return True
        if self.finding is not None:
            return False
        found = judge(received_at - venue_time)
        return found is None or not found.distrusted

    def next_look(self, received_at: int) -> int:
        """From when on it wants to see a tick again, behind one that it believes: of a clock that is right seldom."""
        return min(self.look_at, received_at + BELIEVED_US) if self.doubt else max(self.look_at, received_at + 1)

    def _judge(self) -> bool:
        took_us = self._samples[-1][0] - self._samples[0][0]
        apart = [by_us for _, by_us in self._samples]
        third = SAMPLES // 3
        drift = abs(_median(apart[-third:]) - _median(apart[:third]))
        middle = sorted(apart)[SAMPLES // 4 : -(SAMPLES // 4)]
        if took_us > LONGEST_US or max(drift, middle[-1] - middle[0]) > DRIFT_US + took_us * DRIFT_SHARE:
            return False
        was, self._settled = self.finding, _median(apart)
        found = judge(self._settled)
        self.doubt = found is not None and found.distrusted
        if found is not None and was is not None and found.sort == was.sort:
            return False
        self.finding = found
        return found != was


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


# ------------------------------------------------------------------------------------------------ words


def told(source: str, finding: Finding, feed: str, *, time_zone: str | None) -> str:
    """A sentence for the log and for `status`, with what is to be done. `time_zone`: the feed's own setting, "" where
    it is not set, None where it has none."""
    side = "behind" if finding.by_us > 0 else "ahead"
    if finding.zone_us:
        looks = f"{source}'s clock looks {duration(abs(finding.zone_us))} {side}"
        if time_zone is None:
            return f"{looks}: its stamps are not used until that is right"
        if time_zone not in UTC:
            return f'{looks}: time_zone = "{time_zone}" in [feeds.{feed}] is not the zone of its stamps'
        return f'{looks}: set time_zone = "{zone_behind(finding.zone_us)}" in [feeds.{feed}]'
    if side == "ahead":
        return f"{source}'s clock looks {duration(_rounded(-finding.by_us))} ahead: is this machine's clock right?"
    late = duration(_rounded(finding.by_us))
    return f"{source}'s prices come {late} after their own times: they are delayed, or its clock is behind"


def zone_behind(by_us: int) -> str:
    """The name of the zone that is so far behind UTC. (Those of Etc count the other way round, from -14 to +12.)"""
    minutes = by_us // MINUTE_US
    hours, rest = divmod(abs(minutes), 60)
    if rest or minutes > 12 * 60:
        return f"UTC{'-' if minutes > 0 else '+'}{hours}{f':{rest:02d}' if rest else ''}"
    return f"Etc/GMT{'+' if minutes > 0 else '-'}{hours}"


def _rounded(span_us: int) -> int:
    return (span_us + MINUTE_US // 2) // MINUTE_US * MINUTE_US
