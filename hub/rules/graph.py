"""The graph: each series that somebody watches, computed once a tick, from the instruments that it stands on. Pure.

A Root is an instrument, a Node a series. A tick of a root computes the nodes above it, inputs first. Nodes are shared:
each is made for the first alert that needs it and goes with the last. Depends on hub.currencies, hub.units, hub.rules.
"""

from collections.abc import Callable
from typing import NamedTuple

from hub import currencies, units
from hub.model import Instrument
from hub.plugin import BadRequest, Catalogue
from hub.rules import series as of
from hub.rules.lookback import (
    Back,
    CandleNode,
    ChangeNode,
    DistanceNode,
    IndicatorNode,
    MoveNode,
    VolumeNode,
    WindowNode,
)
from hub.rules.nodes import (
    AgainstNode,
    BaseNode,
    DifferenceNode,
    Holding,
    Node,
    PortfolioNode,
    PriceNode,
    RatioNode,
    SpreadNode,
)
from hub.rules.roots import Rate, Root
from hub.rules.series import (
    Against,
    Change,
    Difference,
    Distance,
    Indicator,
    Move,
    Portfolio,
    Price,
    Ratio,
    Series,
    Spread,
    Volume,
)


class Lots(NamedTuple):
    """What a portfolio holds: quantities by instrument, in the unit and currency of each."""

    held: tuple[tuple[str, float], ...]


class Graph:
    """All roots and nodes. `held` tells what the portfolio of an owner and a name holds."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.roots: dict[str, Root] = {}
        self.nodes: dict[str, Node] = {}
        self.clocked: list[CandleNode | PortfolioNode] = []  # what moves with the clock
        self._made_so_far = 0

    def root(self, instrument_id: str) -> Root:
        root = self.roots.get(instrument_id)
        if root is None:
            known = self.catalogue.get(instrument_id) or Instrument(id=instrument_id, name=instrument_id)
            root = self.roots[instrument_id] = Root(known)
        return root

    def node(self, series: Series, owner_id: int = 0, held: Callable[[], Lots] | None = None) -> Node:
        """The node of a series, made where there is none; BadRequest where it cannot be computed here. Whoever keeps it
        says so with `use`."""
        key = node_key(series, owner_id)
        found = self.nodes.get(key)
        return found if found is not None else self._add(self._made(series, key, held))

    def _add(self, node: Node) -> Node:
        self._made_so_far += 1
        node.order = self._made_so_far
        self.nodes[node.key] = node
        for root in node.on_price:
            root.nodes.append(node)
        for root in node.on_aside:
            root.asides.append(node)
        for each in node.inputs:
            each.uses += 1
        if isinstance(node, CandleNode | PortfolioNode):
            self.clocked.append(node)
        node.value = node.compute(False)
        return node

    def cold(self) -> list[Back]:
        """What waits for its past."""
        return [node for node in self.nodes.values() if isinstance(node, Back) and node.cold]

    def above(self, root: Root) -> list[Node]:
        """All that stands on it, in order."""
        return sorted({*root.nodes, *root.asides}, key=lambda node: node.order)

    def release(self, node: Node) -> None:
        """One use less; the last one takes it and what it stood on out of every tick."""
        node.uses -= 1
        if node.uses > 0 or self.nodes.get(node.key) is not node:
            return
        self.drop(node)

    def drop(self, node: Node) -> None:
        """Out of every tick, whoever still needs it."""
        if self.nodes.get(node.key) is not node:
            return
        del self.nodes[node.key]
        for root in node.on_price:  # another list: the old one may just be gone through
            root.nodes = [each for each in root.nodes if each is not node]
        for root in node.on_aside:
            root.asides = [each for each in root.asides if each is not node]
        if isinstance(node, CandleNode | PortfolioNode):
            self.clocked.remove(node)
        for each in node.inputs:
            self.release(each)

    def _made(self, series: Series, key: str, held: Callable[[], Lots] | None) -> Node:
        match series:
            case Price():
                return self._price(series, key)
            case Ratio():
                return RatioNode(series, key, self._base(series.over), self._base(series.under))
            case Difference():
                return DifferenceNode(series, key, self._base(series.first), self._base(series.second))
            case Spread():
                return SpreadNode(series, key, self.root(series.instrument))
            case Volume():
                return VolumeNode(series, key, self.root(series.instrument))
            case Move():
                return MoveNode(series, key, self._window(series))
            case Change():
                return ChangeNode(series, key, self._base_of(series.of))
            case Distance():
                return DistanceNode(series, key, self._base_of(series.of))
            case Indicator():
                return IndicatorNode(series, key, self._candles(series))
            case Against():
                return AgainstNode(series, key, self.node(series.first), self.node(series.second))
            case Portfolio():
                return self._portfolio(series, key, held() if held else Lots(()))

    def _price(self, series: Price, key: str) -> PriceNode:
        root = self.root(series.instrument)
        known = root.instrument
        factor = 1.0
        if series.unit or series.karat:
            factor = units.per(1.0, series.unit or known.unit, series.karat or units.PURE_KARAT)
            factor /= units.per(1.0, known.unit)
        return PriceNode(series, key, root, factor, self._rates(known.currency, series.currency))

    def _rates(self, source: str, target: str) -> tuple[Rate, ...]:
        way = currencies.way(source, target, self.catalogue) if target else ()
        return tuple(Rate(self.root(step.instrument), step.inverse) for step in way)

    def _base(self, series: Price) -> PriceNode:
        node = self.node(series)
        assert isinstance(node, PriceNode)
        return node

    def _base_of(self, series: of.Base) -> BaseNode:
        node = self.node(series)
        assert isinstance(node, PriceNode | RatioNode | DifferenceNode)
        return node

    def _window(self, series: Move) -> WindowNode:
        key = f"window({of.text(series.of)}, {of.span(series.window_us)})"
        node = self.nodes.get(key) or self._add(WindowNode(series, key, self._base_of(series.of), series.window_us))
        assert isinstance(node, WindowNode)
        return node

    def _candles(self, series: Indicator) -> CandleNode:
        key = f"candles({of.text(series.of)}, {series.rung})"
        node = self.nodes.get(key) or self._add(CandleNode(series, key, self._base_of(series.of), series.rung))
        assert isinstance(node, CandleNode)
        return node

    def _portfolio(self, series: Portfolio, key: str, lots: Lots) -> PortfolioNode:
        holdings = []
        for instrument_id, quantity in lots.held:
            if self.catalogue.get(instrument_id) is None:
                raise BadRequest(f"{instrument_id} is not known to this hub any more: the portfolio has no value")
            root = self.root(instrument_id)
            holdings.append(Holding(root, quantity, self._rates(root.instrument.currency, series.currency)))
        return PortfolioNode(series, key, holdings)


def node_key(series: Series, owner_id: int = 0) -> str:
    """As `series.key`; what is one owner's own is theirs by name."""
    key = of.key(series)
    return f"{key} of {owner_id}" if isinstance(series, Portfolio) else key
