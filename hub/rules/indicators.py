"""Indicators on closes: moving averages, RSI, MACD, Bollinger's bands. Pure.

A Study takes closes one after the other and tells the newest value. Of a candle that is still open the newest price may
stand as its close (`open`), as often as one likes, until `close` says what it was. The formulas are talipp's:
exponential averages (they begin with the simple one of their period), RSI by Wilder's smoothing, MACD of exponential
averages. A simple average and Bollinger's bands (of the population's deviation) are taken anew from their closes each
time: what is added and taken away for ever drifts, and a touch would ring late.
Depends on talipp, which is imported at the first use.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

MOST_CLOSES = 8_192
"""So many are held before all but the newest NEWEST go."""
NEWEST = 6_144
SETTLED = {"ema": 12, "rsi": 26, "macd": 12}
"""Periods after which what a smoothed value began with counts for less than 1e-10 of it: an exponential average forgets
2/(n+1) with each close, Wilder's smoothing 1/n."""


def candles_for(name: str, numbers: tuple[float, ...]) -> int:
    """How many closes an indicator needs before its value is what it would be with all of them."""
    longest = int(numbers[0] if len(numbers) < 3 else max(numbers[:2]) + numbers[2])
    return longest * SETTLED.get(name.partition("_")[0], 1)


class Study:
    """`value` is None while there are too few closes; a candle that is open counts in it."""

    __slots__ = ("_closes",)

    def __init__(self, kept: int) -> None:
        self._closes: deque[float] = deque(maxlen=kept)

    @property
    def value(self) -> float | None:
        raise AssertionError(type(self).__name__)

    def open(self, price: float) -> float | None:
        """The value, with that as the newest close until `close` says what it was."""
        raise AssertionError(type(self).__name__)

    def close(self, price: float) -> None:
        self._closes.append(price)

    def scale(self, factor: float) -> None:
        """As if all closes had been `factor` times what they were."""
        closes = [close * factor for close in self._closes]
        self._begin()
        for close in closes:
            self.close(close)

    def _begin(self) -> None:
        self._closes.clear()


def study(name: str, numbers: tuple[float, ...]) -> Study:
    return Simple(name, numbers) if name.partition("_")[0] in ("sma", "bollinger") else Smoothed(name, numbers)


class Simple(Study):
    """The average of the newest closes, or a band so many deviations from it."""

    __slots__ = ("_away", "_open", "_period")

    def __init__(self, name: str, numbers: tuple[float, ...]) -> None:
        self._period = int(numbers[0])
        super().__init__(self._period)
        self._open: float | None = None
        self._away = {"bollinger_upper": 1, "bollinger_lower": -1}.get(name, 0) * (numbers[1:] or (0.0,))[0]

    @property
    def value(self) -> float | None:
        return self._of(self._closes if self._open is None else [*self._closes, self._open][-self._period :])

    def open(self, price: float) -> float | None:
        self._open = price
        return self.value

    def close(self, price: float) -> None:
        super().close(price)
        self._open = None

    def _of(self, closes: Sequence[float]) -> float | None:
        if len(closes) < self._period:
            return None
        mean = sum(closes) / self._period
        if not self._away:
            return mean
        return mean + self._away * sqrt(sum((close - mean) ** 2 for close in closes) / self._period)


class Smoothed(Study):
    """What counts each close for less than the one behind it."""

    __slots__ = ("_is_open", "_make", "_of", "_read")

    def __init__(self, name: str, numbers: tuple[float, ...]) -> None:
        super().__init__(candles_for(name, numbers))
        self._make, self._read = _talipp(name, numbers)
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self._of = self._make()
        self._is_open = False

    @property
    def value(self) -> float | None:
        if not len(self._of) or (newest := self._of[-1]) is None:
            return None
        found = self._read(newest)
        return None if found is None else float(found)

    def open(self, price: float) -> float | None:
        if self._is_open:
            self._of.update(price)
        else:
            self._of.add(price)
            self._is_open = True
        return self.value

    def close(self, price: float) -> None:
        super().close(price)
        if self._is_open:
            self._of.update(price)
            self._is_open = False
        else:
            self._of.add(price)
        if len(self._of) > MOST_CLOSES:
            self._of.purge_oldest(len(self._of) - NEWEST)


def _talipp(name: str, numbers: tuple[float, ...]) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """What makes the indicator, and what reads one of its values."""
    from talipp.indicators import EMA, MACD, RSI

    periods = [int(number) for number in numbers]
    match name.partition("_"):
        case ("ema", _, _):
            return lambda: EMA(periods[0]), _itself
        case ("rsi", _, _):
            return lambda: RSI(periods[0]), _itself
        case ("macd", _, part):
            return lambda: MACD(*periods), lambda found: getattr(found, part or "macd")
    raise AssertionError(f"{name} is no indicator")


def _itself(value: Any) -> Any:
    return value
