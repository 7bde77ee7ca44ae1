"""Nodes: how each kind of series is computed, tick by tick, from the roots and nodes that it stands on. Pure.

A node has a value only while every root below it is live: it has ticked since its market opened, and is not stale. What
looks back over time is in hub.rules.lookback. Depends on hub.rules.roots.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hub.model import SECOND_US
from hub.rules.roots import Book, Rate, Root
from hub.rules.series import Against, Difference, Portfolio, Price, Ratio, Series
from hub.rules.windows import Then

VALUE_EVERY_US = SECOND_US
"""A portfolio is valued at most so often."""


class Node:
    """A series above one or more roots. `compute` is called for every tick of a root that it is `on`: of the kind that
    is the root's price basis, or of its other kind."""

    __slots__ = ("book", "key", "on_aside", "on_price", "order", "roots", "series", "time", "uses", "value")

    inputs: tuple["Node", ...] = ()

    def __init__(self, series: Series, key: str, on_price: Iterable[Root], on_aside: Iterable[Root] = ()) -> None:
        self.series = series
        self.key = key
        self.on_price, self.on_aside = tuple(dict.fromkeys(on_price)), tuple(dict.fromkeys(on_aside))
        self.roots = tuple(dict.fromkeys((*self.on_price, *self.on_aside)))
        self.book: Book | None = None
        self.value: float | None = None  # now; None while any root is not live
        self.time = 0
        self.uses = 0  # alerts and nodes that need it
        self.order = 0  # in which nodes were made: inputs first

    def compute(self, tick: bool) -> float | None:
        """The value now. `tick`: one of the roots has just ticked, else only what is live has changed, or the time."""
        raise AssertionError(self.key)

    def recompute(self) -> bool:
        """After what is live has changed, or the time. True: it is done."""
        self.value = self.compute(False)
        return True

    def live(self) -> bool:
        return all(root.live for root in self.roots)

    def now(self) -> int:
        """The series' own time: of the newest tick that is one of its own."""
        for root in self.on_price:
            self.time = max(self.time, root.time)
        for root in self.on_aside:
            self.time = max(self.time, root.aside_time)
        return self.time

    def then(self) -> Then | None:
        """What the value is measured against, where it is against something of the past."""
        return None

    def scale(self, instrument: str, factor: float) -> None:
        """After a split: prices of that instrument so far count `factor` times as much. What stands on the difference
        of two of which one was split keeps what it knew; no alert on it goes on."""


class PriceNode(Node):
    __slots__ = ("_factor", "_rates", "_root", "_side")

    def __init__(self, series: Price, key: str, root: Root, factor: float, rates: Sequence[Rate]) -> None:
        aside = series.side != "price" and root.quotes == (series.side == "last")
        others = [rate.root for rate in rates]
        super().__init__(series, key, others if aside else [root, *others], [root] if aside else [])
        self._root, self._factor, self._rates, self._side = root, factor, rates, series.side

    def compute(self, tick: bool) -> float | None:
        return self.of(self._price()) if self.live() else None

    def _price(self) -> float | None:
        root = self._root
        match self._side:
            case "price":
                return root.book.value
            case "last":
                return root.last
            case "bid":
                return root.bid
            case "ask":
                return root.ask
        return None if root.bid is None or root.ask is None else (root.bid + root.ask) / 2

    def of(self, price: float | None) -> float | None:
        """That price in this unit and currency."""
        if price is None:
            return None
        value = price * self._factor
        for rate in self._rates:
            value *= rate.value()
        return value


def _on(*nodes: Node) -> tuple[list[Root], list[Root]]:
    """What ticks a node that stands on these."""
    return [root for node in nodes for root in node.on_price], [root for node in nodes for root in node.on_aside]


class RatioNode(Node):
    __slots__ = ("_over", "_under", "inputs")

    def __init__(self, series: Ratio, key: str, over: PriceNode, under: PriceNode) -> None:
        super().__init__(series, key, *_on(over, under))
        self._over, self._under = over, under
        self.inputs = (over, under)

    def compute(self, tick: bool) -> float | None:
        over, under = self._over.value, self._under.value
        return None if over is None or not under else over / under


class DifferenceNode(Node):
    __slots__ = ("_first", "_second", "inputs")

    def __init__(self, series: Difference, key: str, first: PriceNode, second: PriceNode) -> None:
        super().__init__(series, key, *_on(first, second))
        self._first, self._second = first, second
        self.inputs = (first, second)

    def compute(self, tick: bool) -> float | None:
        first, second = self._first.value, self._second.value
        return None if first is None or second is None else first - second


BaseNode = PriceNode | RatioNode | DifferenceNode


class SpreadNode(Node):
    __slots__ = ("_root",)

    def __init__(self, series: Series, key: str, root: Root) -> None:
        super().__init__(series, key, [root] if root.quotes else [], [] if root.quotes else [root])
        self._root = root

    def compute(self, tick: bool) -> float | None:
        root = self._root
        return root.ask - root.bid if root.live and root.bid is not None and root.ask is not None else None


class AgainstNode(Node):
    __slots__ = ("_first", "_relative", "_second", "inputs")

    def __init__(self, series: Against, key: str, first: Node, second: Node) -> None:
        super().__init__(series, key, *_on(first, second))
        self._first, self._second, self._relative = first, second, series.relative
        self.inputs = (first, second)

    def compute(self, tick: bool) -> float | None:
        first, second = self._first.value, self._second.value
        if first is None or second is None:
            return None
        return (first / second - 1) * 100 if self._relative and second else first - second


class Holding(NamedTuple):
    root: Root
    quantity: float
    rates: tuple[Rate, ...]


class PortfolioNode(Node):
    """Of one owner; valued at most once a second. A closed market's last price is its price; what is stale, or has no
    price or rate, leaves the whole without a value."""

    __slots__ = ("_dirty", "_due", "_holdings")

    def __init__(self, series: Portfolio, key: str, holdings: Sequence[Holding]) -> None:
        roots = [root for each in holdings for root in (each.root, *(rate.root for rate in each.rates))]
        super().__init__(series, key, roots)
        self._holdings = tuple(holdings)
        self._dirty = True
        self._due = 0
        self.value = self.worth()

    def live(self) -> bool:
        return bool(self.roots) and all(root.book.value is not None and root.stale_since is None for root in self.roots)

    def compute(self, tick: bool) -> float | None:
        self._dirty = self._dirty or tick
        return self.value if self.live() else None

    def advance(self, clock: int) -> bool:
        """Whether it was valued."""
        if clock < self._due or not self._dirty:
            return False
        self._due, self._dirty = clock + VALUE_EVERY_US, False
        self.value = self.worth()
        return True

    def scale(self, instrument: str, factor: float) -> None:
        self._holdings = tuple(
            each._replace(quantity=each.quantity / factor) if each.root.instrument.id == instrument else each
            for each in self._holdings
        )

    def worth(self) -> float | None:
        if not self.live():
            return None
        total = 0.0
        for holding in self._holdings:
            value = holding.root.book.value or 0.0
            for rate in holding.rates:
                value *= rate.value()
            total += holding.quantity * value
        return total
