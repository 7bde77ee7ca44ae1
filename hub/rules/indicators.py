"""Indicators on closes: moving averages, RSI, MACD, Bollinger's bands. Pure.

A Study takes closes one after the other and tells the newest value. Of a candle that is still open the newest price may
stand as its close (`open`), as often as one likes, until `close` says what it was. The formulas are talipp's: simple
and exponential averages (the latter begin with the simple one of their period), RSI by Wilder's smoothing, MACD of
exponential averages, bands of the population's deviation. Depends on talipp, which is imported at the first use.
"""

from collections.abc import Callable
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
    __slots__ = ("_of", "_open", "_read")

    def __init__(self, name: str, numbers: tuple[float, ...]) -> None:
        make, self._read = _talipp(name, numbers)
        self._of = make()
        self._open = False

    @property
    def value(self) -> float | None:
        """None while there are too few closes."""
        if not len(self._of) or (newest := self._of[-1]) is None:
            return None
        found = self._read(newest)
        return None if found is None else float(found)

    def open(self, price: float) -> float | None:
        if self._open:
            self._of.update(price)
        else:
            self._of.add(price)
            self._open = True
        return self.value

    def close(self, price: float) -> float | None:
        if self._open:
            self._of.update(price)
            self._open = False
        else:
            self._of.add(price)
        if len(self._of) > MOST_CLOSES:
            self._of.purge_oldest(len(self._of) - NEWEST)
        return self.value


def _talipp(name: str, numbers: tuple[float, ...]) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """What makes the indicator, and what reads one of its values."""
    from talipp.indicators import BB, EMA, MACD, RSI, SMA

    periods = [int(number) for number in numbers]
    match name.partition("_"):
        case ("sma", _, _):
            return lambda: SMA(periods[0]), _itself
        case ("ema", _, _):
            return lambda: EMA(periods[0]), _itself
        case ("rsi", _, _):
            return lambda: RSI(periods[0]), _itself
        case ("macd", _, part):
            return lambda: MACD(*periods), lambda found: getattr(found, part or "macd")
        case ("bollinger", _, part):
            field = {"upper": "ub", "middle": "cb", "lower": "lb"}[part]
            return lambda: BB(periods[0], numbers[1]), lambda found: getattr(found, field)
    raise AssertionError(f"{name} is no indicator")


def _itself(value: Any) -> Any:
    return value
