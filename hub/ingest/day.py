"""The UTC day's figures of one instrument, for its Quote. Pure."""

from collections.abc import Callable

from hub.model import SECOND_US, Candle

DAY_US = 86_400 * SECOND_US


class Day:
    """Open, high, low of the day and the close of the one before, as far as history and ticks tell. `carry`: by which a
    price of the first instant counts at the second; what history told counts as of `at`."""

    __slots__ = ("_carry", "at", "close", "day", "high", "low", "open", "previous")

    def __init__(
        self,
        today: Candle | None,
        before: Candle | None,
        carry: Callable[[int, int], float] = lambda _was, _now: 1.0,
        at: int = 0,
    ) -> None:
        self._carry = carry
        self.at = at
        self.day = today.start // DAY_US if today else -1
        self.open, self.high, self.low = (today.open, today.high, today.low) if today else (0.0, 0.0, 0.0)
        self.close: float | None = today.close if today else None
        self.previous = before.close if before else None

    def see(self, price: float, at: int) -> None:
        day = at // DAY_US
        if day > self.day:
            previous = self.close if self.close is not None else self.previous
            self.previous = None if previous is None else previous * self._carry(self.at, at)
            self.day, self.open, self.high, self.low = day, price, price, price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close, self.at = price, at
