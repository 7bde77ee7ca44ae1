"""Nodes that look back over time: windows, records, sums, candles and indicators on them. Pure.

Each is `cold` until it has adopted the past that it needs; meanwhile it keeps what comes, and has no value.
Depends on hub.rules.windows and hub.rules.indicators.
"""

from collections.abc import Iterable

from hub.model import SECOND_US
from hub.rules import windows
from hub.rules.indicators import study
from hub.rules.nodes import BaseNode, Node
from hub.rules.rescale import factor_of
from hub.rules.roots import Root
from hub.rules.series import RUNGS, Change, Distance, Indicator, Move, Series, Volume
from hub.rules.windows import RECORD_DAYS, Extreme, Past, Record, Then

CLOSE_AFTER_US = 5 * SECOND_US
"""Behind its end by the stream's clock a candle is closed, also where no later tick has come."""
NEVER = 1 << 62


class Back(Node):
    """What looks back. `cold`: it waits for `adopt`, which gives it what was before its first tick."""

    __slots__ = ("_kept", "cold")

    def __init__(self, series: Series, key: str, on_price: Iterable[Root], on_aside: Iterable[Root] = ()) -> None:
        super().__init__(series, key, on_price, on_aside)
        self.cold = True
        self._kept: list[Then] = []

    def adopt(self, twin: "Back") -> None:
        """The state of a twin that has seen the past up to where the first tick of this one came."""
        for name in self.STATE:
            setattr(self, name, getattr(twin, name))
        self.cold = False
        kept, self._kept = self._kept, []
        for value, at in kept:
            self.take(value, at)

    STATE: tuple[str, ...] = ()

    def keep_from_here(self) -> None:
        """What it is to adopt reaches up to now."""
        self._kept = []

    def keep(self, value: float, at: int) -> None:
        if self.cold:
            self._kept.append(Then(value, at))
        else:
            self.take(value, at)

    def take(self, value: float, at: int) -> None:
        """A value, at its time."""
        raise AssertionError(self.key)


class VolumeNode(Back):
    __slots__ = ("_root", "sum")
    STATE = ("sum", "time")

    def __init__(self, series: Volume, key: str, root: Root) -> None:
        super().__init__(series, key, [root], [root])
        self._root = root
        self.sum = windows.Sum(series.window_us)

    def take(self, value: float, at: int) -> None:
        self.time = max(self.time, at)
        self.sum.add(value, self.time)

    def compute(self, tick: bool) -> float | None:
        if tick and self._root.volume:
            self.keep(self._root.volume, self.now())
        return self.sum.at(self.now()) if self._root.live and not self.cold else None

    def scale(self, instrument: str, factor: float) -> None:
        self.sum.scale(1 / factor)


class OfBase(Back):
    """What looks at the values of one base over time."""

    __slots__ = ("base", "inputs")

    def __init__(self, series: Series, key: str, base: BaseNode) -> None:
        super().__init__(series, key, base.on_price, base.on_aside)
        self.base = base
        self.inputs = (base,)

    def compute(self, tick: bool) -> float | None:
        value = self.base.value
        if value is None:
            return None
        if tick:
            self.keep(value, self.now())
        return None if self.cold else self.read(value)

    def read(self, value: float) -> float | None:
        """Of the newest value of the base."""
        raise AssertionError(self.key)

    def scale(self, instrument: str, factor: float) -> None:
        by = factor_of(self.base.series, instrument, factor)
        if by is not None:
            self.scale_by(by)

    def scale_by(self, factor: float) -> None:
        raise AssertionError(self.key)


class WindowNode(OfBase):
    """The extremes of a window, for all moves in it."""

    __slots__ = ("high", "highest", "low", "lowest", "window_us")
    STATE = ("high", "highest", "low", "lowest", "time")

    def __init__(self, series: Series, key: str, base: BaseNode, window_us: int) -> None:
        super().__init__(series, key, base)
        self.window_us = window_us
        self.high, self.low = Extreme(window_us, 1), Extreme(window_us, -1)
        self.highest = self.lowest = Then(0.0, 0)

    def take(self, value: float, at: int) -> None:
        self.time = max(self.time, at)
        self.highest, self.lowest = self.high.add(value, self.time), self.low.add(value, self.time)

    def read(self, value: float) -> float | None:
        return value if len(self.high) else None

    def scale_by(self, factor: float) -> None:
        self.high.scale(factor)
        self.low.scale(factor)
        self.highest = Then(self.highest.value * factor, self.highest.at)
        self.lowest = Then(self.lowest.value * factor, self.lowest.at)


class MoveNode(Node):
    __slots__ = ("_percent", "_way", "_window", "inputs")

    def __init__(self, series: Move, key: str, window: WindowNode) -> None:
        super().__init__(series, key, window.on_price, window.on_aside)
        self._window, self._way, self._percent = window, series.way, series.percent
        self.inputs = (window,)

    def compute(self, tick: bool) -> float | None:
        value = self._window.value
        if value is None:
            return None
        if self._way == "down":
            return self._down(value)
        if self._way == "up":
            return self._up(value)
        return max(self._down(value), self._up(value))

    def _down(self, value: float) -> float:
        high = self._window.highest.value
        return (high - value) / abs(high) * 100 if self._percent and high else high - value

    def _up(self, value: float) -> float:
        low = self._window.lowest.value
        return (value - low) / abs(low) * 100 if self._percent and low else value - low

    @property
    def falls(self) -> bool:
        """Which way it went."""
        value = self._window.value
        if self._way != "either" or value is None:
            return self._way == "down"
        return self._down(value) >= self._up(value)

    def then(self) -> Then | None:
        return self._window.highest if self.falls else self._window.lowest


class ChangeNode(OfBase):
    __slots__ = ("_then", "past")
    STATE = ("_then", "past", "time")

    def __init__(self, series: Change, key: str, base: BaseNode) -> None:
        super().__init__(series, key, base)
        self.past = Past(series.window_us)
        self._then: Then | None = None

    def take(self, value: float, at: int) -> None:
        self.time = max(self.time, at)
        self._then = self.past.add(value, self.time)

    def read(self, value: float) -> float | None:
        then = self._then
        return None if then is None or not then.value else (value - then.value) / abs(then.value) * 100

    def then(self) -> Then | None:
        return self._then

    def scale_by(self, factor: float) -> None:
        self.past.scale(factor)
        self._then = self._then and Then(self._then.value * factor, self._then.at)


class DistanceNode(OfBase):
    __slots__ = ("_percent", "_sign", "extreme", "record")
    STATE = ("extreme", "record", "time")

    def __init__(self, series: Distance, key: str, base: BaseNode) -> None:
        super().__init__(series, key, base)
        self._sign = 1 if series.edge == "high" else -1
        self._percent = series.percent
        self.record = Record(RECORD_DAYS[series.period], self._sign)
        self.extreme: Then | None = None

    def take(self, value: float, at: int) -> None:
        self.time = max(self.time, at)
        self.extreme = self.record.add(value, self.time)

    def read(self, value: float) -> float | None:
        if self.extreme is None:
            return None
        away = self._sign * (self.extreme.value - value)
        return away / abs(self.extreme.value) * 100 if self._percent and self.extreme.value else away

    def then(self) -> Then | None:
        return self.extreme

    def scale_by(self, factor: float) -> None:
        self.record.scale(factor)
        self.extreme = self.extreme and Then(self.extreme.value * factor, self.extreme.at)


class CandleNode(OfBase):
    """Candles of a rung, for every indicator on them. `closed` are the closes that the newest value, or the clock, has
    brought; a value that comes for a candle that the clock has closed is not in it."""

    __slots__ = ("_lag_us", "_start", "closed", "is_open", "last", "length_us")
    STATE = ("_lag_us", "_start", "is_open", "last", "time")

    def __init__(self, series: Series, key: str, base: BaseNode, rung: str) -> None:
        super().__init__(series, key, base)
        self.length_us = RUNGS[rung] * SECOND_US
        self._start = -NEVER  # of the newest candle
        self.is_open = False
        self._lag_us = 0  # how late values come
        self.last = 0.0
        self.closed: list[float] = []

    def take(self, value: float, at: int) -> None:
        self.time = max(self.time, at)
        start = self.time - self.time % self.length_us
        if start > self._start:
            if self.is_open:
                self.closed.append(self.last)
            self._start, self.is_open = start, True
        if self.is_open:
            self.last = value

    def compute(self, tick: bool) -> float | None:
        self.closed = []
        if tick:
            lags = [root.received_at - root.time for root in self.on_price]
            self._lag_us = max(0, *lags, *(root.aside_received_at - root.aside_time for root in self.on_aside))
        return super().compute(tick)

    def read(self, value: float) -> float | None:
        return value

    def advance(self, clock: int) -> bool:
        """Whether the clock closes the candle that is open; a value of a later one opens the next."""
        self.closed = []
        if self.cold or not self.is_open or clock < self._start + self.length_us + CLOSE_AFTER_US + self._lag_us:
            return False
        self.closed.append(self.last)
        self.is_open = False
        return True

    def scale_by(self, factor: float) -> None:
        self.last *= factor


class IndicatorNode(Back):
    __slots__ = ("_candles", "_live", "inputs", "study")
    STATE = ("study", "time")

    def __init__(self, series: Indicator, key: str, candles: CandleNode) -> None:
        super().__init__(series, key, candles.on_price, candles.on_aside)
        self._candles, self._live = candles, series.live
        self.study = study(series.name, series.numbers)
        self.inputs = (candles,)

    def take(self, value: float, at: int) -> None:
        """The close of a candle."""
        self.study.close(value)

    def compute(self, tick: bool) -> float | None:
        for close in self._candles.closed:
            self.keep(close, 0)
        if self._candles.value is None or self.cold:
            return None
        candles = self._candles
        return self.study.open(candles.last) if self._live and tick and candles.is_open else self.study.value

    def scale(self, instrument: str, factor: float) -> None:
        by = factor_of(self._candles.base.series, instrument, factor)
        if by is not None:
            self.study.scale(by)
