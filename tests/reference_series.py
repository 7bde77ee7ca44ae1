"""Every series of the alert language, computed by the reference from lists of all that went in.

Written from the words of the language's semantics, slowly on purpose. It shares the values of hub.rules.series with
the hub and computes nothing with the hub's code.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from math import inf

from hub.rules import series as of
from tests.reference_indicators import indicator
from tests.reference_market import MOVES, QUOTE, SECOND_US, TRADE, Market, Tick

STAMP_US = 900 * SECOND_US
"""A venue's time that is further from our own is not believed."""
GRACE_US = 5 * SECOND_US
GRAMS = {"troy ounce": 31.1034768, "gram": 1.0, "kilogram": 1000.0, "tola": 11.6638038, "tael": 37.429}


class Node:
    """A series. `legs` are the instruments that have to be live for it to have a value. `exact`: computed in the only
    possible way, so that a touch of a level is a touch."""

    exact = True

    def __init__(self, parts: Sequence["Node"]) -> None:
        self.parts = parts
        self.legs: tuple[str, ...] = tuple(dict.fromkeys(leg for part in parts for leg in part.legs))
        self.exact = type(self).exact and all(part.exact for part in parts)
        self.time = -(1 << 62)
        self.newest: dict[str, int] = {}  # of the newest tick of each leg
        self.lags: dict[str, int] = {}  # how late those came
        self.value: float | None = None
        self.market: Market = parts[0].market if parts else Market({})

    def stands_on(self, tick: Tick) -> bool:
        return any(part.stands_on(tick) for part in self.parts)

    def take(self, tick: Tick) -> None:
        stamp = tick.venue_time
        at = stamp if stamp is not None and abs(stamp - tick.received_at) <= STAMP_US else tick.received_at
        self.newest[tick.instrument] = max(self.newest.get(tick.instrument, at), at)
        self.lags[tick.instrument] = tick.received_at - self.newest[tick.instrument]
        self.time = max(self.time, at)
        self.compute(tick)

    def compute(self, tick: Tick) -> None:
        raise NotImplementedError

    def look(self, clock: int) -> None:
        """A whole second of the clock has passed."""

    def end(self, instrument: str) -> None:
        """It is stale or closed: what stands on it has no value until it ticks again."""
        if instrument in self.legs:
            self.value = None


class PriceNode(Node):
    def __init__(self, price: of.Price, market: Market, currency: str = "") -> None:
        super().__init__(())
        self.market, self.price = market, price
        instrument = market.instruments[price.instrument]
        self.pairs = market.pairs(instrument.currency, price.currency or currency or instrument.currency)
        self.legs = (price.instrument, *(pair for pair, _ in self.pairs))
        self.exact = not (self.pairs or price.unit or price.karat)
        self.factor = (price.karat / 24 if price.karat else 1.0) * (
            GRAMS[price.unit] / GRAMS[instrument.unit] if price.unit else 1.0
        )
        kinds = {"price": market.basis(price.instrument), "last": TRADE}
        self.kind = kinds.get(price.side, QUOTE)

    def stands_on(self, tick: Tick) -> bool:
        if tick.instrument == self.price.instrument and tick.kind == self.kind:
            return True
        return any(tick.instrument == pair and tick.verdict in MOVES for pair, _ in self.pairs)

    def compute(self, tick: Tick) -> None:
        price = self.market.side(self.price.instrument, self.price.side)
        self.value = None if price is None else self.worth(price)

    def worth(self, price: float) -> float | None:
        """Such a price in this weight, fineness and currency."""
        value = price * self.factor
        for pair, inverse in self.pairs:
            rate = self.market.side(pair, "price")
            if rate is None:
                return None
            value = value / rate if inverse else value * rate
        return value


class RatioNode(Node):
    def compute(self, tick: Tick) -> None:
        over, under = (part.value for part in self.parts)
        self.value = None if over is None or under is None else over / under


class DifferenceNode(Node):
    def compute(self, tick: Tick) -> None:
        first, second = (part.value for part in self.parts)
        self.value = None if first is None or second is None else first - second


class SpreadNode(Node):
    """Of bid and ask of one instrument."""

    def compute(self, tick: Tick) -> None:
        bid, ask = (part.value for part in self.parts)
        self.value = None if bid is None or ask is None else ask - bid


class AgainstNode(Node):
    relative = True

    def compute(self, tick: Tick) -> None:
        self._compute()

    def _compute(self) -> None:
        first, second = (part.value for part in self.parts)
        if first is None or second is None:
            self.value = None
        else:
            self.value = (first - second) / second * 100 if self.relative else first - second

    def look(self, clock: int) -> None:
        self._compute()


class VolumeNode(Node):
    def __init__(self, price: Node, instrument: str, window_us: int) -> None:
        super().__init__((price,))
        self.instrument, self.window_us = instrument, window_us
        self.bucket_us = max(window_us // 3600, 1)
        self.buckets: list[int] = []
        self.sums: list[float] = []

    def stands_on(self, tick: Tick) -> bool:
        return tick.instrument == self.instrument

    def compute(self, tick: Tick) -> None:
        if tick.kind == TRADE and tick.volume is not None:
            bucket = self.time // self.bucket_us
            if not self.buckets or self.buckets[-1] != bucket:
                self.buckets.append(bucket)
                self.sums.append(0.0)
            self.sums[-1] += tick.volume
        first = (self.time - self.window_us) // self.bucket_us
        total = float(sum(self.sums[bisect_left(self.buckets, first) :]))
        self.value = None if self.parts[0].value is None else total


class ChangeNode(Node):
    def __init__(self, of_: Node, window_us: int) -> None:
        super().__init__((of_,))
        self.window_us, self.bucket_us = window_us, max(window_us // 3600, 1)
        self.times: list[int] = []
        self.values: list[float] = []

    def compute(self, tick: Tick) -> None:
        value = self.parts[0].value
        self.value = None
        if value is None:
            return
        if self.times and self.times[-1] // self.bucket_us == self.time // self.bucket_us:
            self.times[-1], self.values[-1] = self.time, value
        else:
            self.times.append(self.time)
            self.values.append(value)
        if (at := bisect_right(self.times, self.time - self.window_us)) and (then := self.values[at - 1]):
            self.value = (value - then) / then * 100


class MoveNode(Node):
    """Its window is kept in order of time and in order of value."""

    def __init__(self, of_: Node, window_us: int, way: str, percent: bool) -> None:
        super().__init__((of_,))
        self.window_us, self.way, self.percent = window_us, way, percent
        self.window: list[tuple[int, float]] = []
        self.gone = 0
        self.sorted: list[float] = []

    def compute(self, tick: Tick) -> None:
        value = self.parts[0].value
        self.value = None
        if value is None:
            return
        self.window.append((self.time, value))
        insort(self.sorted, value)
        while self.window[self.gone][0] < self.time - self.window_us:
            del self.sorted[bisect_left(self.sorted, self.window[self.gone][1])]
            self.gone += 1
        high, low = self.sorted[-1], self.sorted[0]
        down, up = high - value, value - low
        if self.percent:
            down, up = down / high * 100, up / low * 100
        self.value = {"down": down, "up": up, "either": max(down, up)}[self.way]


class DistanceNode(Node):
    def __init__(self, of_: Node, edge: str, period: str, percent: bool) -> None:
        super().__init__((of_,))
        self.edge, self.period, self.percent = edge, period, percent
        self.days: dict[int, tuple[float, float]] = {}

    def compute(self, tick: Tick) -> None:
        value = self.parts[0].value
        self.value = None
        if value is None:
            return
        today = self.time // of.DAY_US
        low, high = self.days.get(today, (inf, -inf))
        self.days[today] = (min(low, value), max(high, value))
        first = {"day": today, "52w": today - 363, "all": -inf}[self.period]
        counted = [extremes for day, extremes in self.days.items() if day >= first]
        low, high = min(one[0] for one in counted), max(one[1] for one in counted)
        edge, distance = (high, high - value) if self.edge == "high" else (low, value - low)
        self.value = distance / edge * 100 if self.percent else distance


class IndicatorNode(Node):
    exact = False

    def __init__(self, of_: Node, wanted: of.Indicator) -> None:
        super().__init__((of_,))
        self.wanted, self.length = wanted, of.RUNGS[wanted.rung] * SECOND_US
        self.closes: list[float] = []
        self.open: tuple[int, float] | None = None  # start, newest value
        self.closed_to = -(1 << 62)
        self.seen: tuple[int, float | None] | None = None
        self.counted: float | None = None

    def compute(self, tick: Tick) -> None:
        value = self.parts[0].value
        if value is not None:
            start = self.time // self.length * self.length
            if self.open is not None and start > self.open[0]:
                self._close()
            if start >= self.closed_to:
                self.open = (start, value)
        self._compute()

    def look(self, clock: int) -> None:
        if self.open is not None and clock >= self.open[0] + self.length + GRACE_US + max(0, *self.lags.values()):
            self._close()
            self._compute()

    def _close(self) -> None:
        assert self.open is not None
        self.closes.append(self.open[1])
        self.closed_to = self.open[0] + self.length
        self.open = None

    def _compute(self) -> None:
        """Anew where a close is new."""
        last = self.open[1] if self.wanted.live and self.open else None
        if self.seen != (len(self.closes), last):
            self.seen = (len(self.closes), last)
            closes = self.closes if last is None else [*self.closes, last]
            self.counted = indicator(self.wanted.name, self.wanted.numbers, closes)
        self.value = None if self.parts[0].value is None else self.counted
