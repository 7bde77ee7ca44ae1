"""A slow and obvious engine of alerts, to hold the hub's against: it looks at everything whenever anything happens.

Happenings go in one by one, rings come out. Timers that are due happen before a happening, in the order of time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from hub.frame import EventKind
from hub.model import Instrument
from hub.rules import series as of
from hub.rules.spec import AlertSpec
from tests.reference_alerts import STORM_RINGS, Alert
from tests.reference_gates import Agreed, Values
from tests.reference_market import SECOND_US, Market, Tick
from tests.reference_series import (
    AgainstNode,
    ChangeNode,
    DifferenceNode,
    DistanceNode,
    IndicatorNode,
    MoveNode,
    Node,
    PriceNode,
    RatioNode,
    SpreadNode,
    VolumeNode,
)


class Told(NamedTuple):
    """STALE, FRESH, OPENED or CLOSED."""

    kind: int
    instrument: str
    time: int


class Beat(NamedTuple):
    """The clock alone."""

    clock: int


Happening = Tick | Told | Beat


class Ring(NamedTuple):
    alert: int
    at: int  # on the stream's clock
    direction: str
    level: float
    value: float


class Reference:
    def __init__(
        self,
        alerts: Sequence[AlertSpec],
        instruments: Mapping[str, Instrument],
        default_band_percent: float = 0.05,
        thorough: bool = True,
        storm_rings: int = STORM_RINGS,
    ) -> None:
        """Where not `thorough`, an alert is not looked at again with the same values: for long days."""
        self.market = Market(instruments)
        self.nodes: dict[object, Node] = {}  # what is made of another stands behind it
        self.watched = [tuple(self._node(clause.series) for clause in spec.clauses) for spec in alerts]
        self.legs = [{leg for node in nodes for leg in node.legs} for nodes in self.watched]
        self.alerts = [
            Alert(spec, [node.exact for node in nodes], default_band_percent, storm_rings)
            for spec, nodes in zip(alerts, self.watched, strict=True)
        ]
        self.thorough = thorough
        self.before: dict[int, Values] = {}
        self.patient = [index for index, spec in enumerate(alerts) if spec.hold_us]
        self.clock = self.looked = 0
        self.rings: list[Ring] = []

    def feed(self, happenings: Iterable[Happening]) -> list[Ring]:
        """All rings so far."""
        for happening in happenings:
            match happening:
                case Tick():
                    self._pass(happening.received_at)
                    self._take(happening)
                case Told():
                    self._pass(happening.time)
                    if happening.kind in (EventKind.STALE, EventKind.CLOSED):
                        self.market.end(happening.instrument)
                        for node in self.nodes.values():
                            node.end(happening.instrument)
                        self._look(range(len(self.alerts)))
                case Beat():
                    self._pass(happening.clock)
        return self.rings

    def _take(self, tick: Tick) -> None:
        if self.market.take(tick):
            for node in self.nodes.values():
                if node.stands_on(tick):
                    node.take(tick)
        self._look(index for index, legs in enumerate(self.legs) if tick.instrument in legs)

    def _pass(self, until: int) -> None:
        """Whatever is due up to then, the earliest first."""
        while True:
            dues = [due for index in self.patient if (due := self.alerts[index].due) is not None]
            second = until // SECOND_US * SECOND_US
            whole = [second] if second > self.looked else []
            due = min(dues + whole, default=until + 1)
            if due > until:
                break
            self.clock = max(self.clock, due)
            if due in dues:
                self._look((index for index in self.patient if self.alerts[index].due == due), due=True)
            else:
                self.looked = second
                for node in self.nodes.values():
                    node.look(second)
                self._look(range(len(self.alerts)))
        self.clock = max(self.clock, until)

    def _look(self, indexes: Iterable[int], due: bool = False) -> None:
        for index in list(indexes):
            alert, nodes = self.alerts[index], self.watched[index]
            values: Values = tuple([node.value for node in nodes])
            if not self.thorough and not due and self.before.get(index) == values and alert.spec.sources < 2:
                continue
            self.before[index] = values
            if (fired := alert.look(values, self.clock, self._agreed(alert.spec, nodes))) is not None:
                self.rings.append(Ring(index, self.clock, *fired))

    def _agreed(self, spec: AlertSpec, nodes: Sequence[Node]) -> Agreed:
        """Whether so many sources' newest prices are so. What is too old to count is as old as makes one stale."""

        def agreed(index: int, holds: Callable[[float], bool]) -> bool:
            node = nodes[index]
            assert isinstance(node, PriceNode)
            instrument = node.price.instrument
            oldest = self.clock - self.market.instruments[instrument].stale_after_s * SECOND_US
            prices = [price for price, at in self.market.seen[instrument].sources.values() if at >= oldest]
            return sum((value := node.worth(price)) is not None and holds(value) for price in prices) >= spec.sources

        return agreed if spec.sources > 1 else lambda index, holds: True

    def _node(self, series: of.Series, currency: str = "") -> Node:
        if (series, currency) not in self.nodes:
            made = self._made(series, currency)
            self.nodes[series, currency] = made
        return self.nodes[series, currency]

    def _made(self, series: of.Series, currency: str) -> Node:
        match series:
            case of.Price():
                return PriceNode(series, self.market, currency)
            case of.Ratio():
                return RatioNode((self._node(series.over), self._node(series.under)))
            case of.Difference():
                own = series.first.currency or self.market.instruments[series.first.instrument].currency
                return DifferenceNode((self._node(series.first), self._node(series.second, own)))
            case of.Spread():
                sides = [of.Price(instrument=series.instrument, side=side) for side in ("bid", "ask")]
                return SpreadNode([self._node(side) for side in sides])
            case of.Volume():
                price = of.Price(instrument=series.instrument)
                return VolumeNode(self._node(price), series.instrument, series.window_us)
            case of.Change():
                return ChangeNode(self._node(series.of), series.window_us)
            case of.Move():
                return MoveNode(self._node(series.of), series.window_us, series.way, series.percent)
            case of.Distance():
                return DistanceNode(self._node(series.of), series.edge, series.period, series.percent)
            case of.Indicator():
                return IndicatorNode(self._node(series.of), series)
            case of.Against():
                made = AgainstNode((self._node(series.first), self._node(series.second)))
                made.relative = series.relative
                return made
            case _:
                raise ValueError(f"no reference for {series}")
