"""An alert's line → what the engine keeps of it: its gates, and the series that they stand on. Depends on hub.rules."""

from collections.abc import Callable
from typing import NamedTuple

from hub.engine.standing import More, Standing, read_memory
from hub.ledger.alerts import AlertRow
from hub.rules import series as of
from hub.rules.course import build, recall_gate
from hub.rules.gates import PARTS, Level
from hub.rules.graph import Graph, Lots
from hub.rules.language import parse
from hub.rules.nodes import Node
from hub.rules.roots import Book
from hub.rules.series import Portfolio, Price, Series
from hub.rules.spec import AlertSpec

Held = Callable[[int, Portfolio], Lots]
"""What an owner's portfolio holds."""


class Watched(NamedTuple):
    book: Book
    node: Node | None  # None: an instrument's own price


class Maker:
    def __init__(self, graph: Graph, band_percent: float) -> None:
        self.graph = graph
        self.band_percent = band_percent
        self.held: Held = lambda owner_id, portfolio: Lots(())

    def made(self, spec: AlertSpec, text: str, owner_id: int, alert_id: int = 0) -> Standing:
        """Of which nothing is known yet. BadRequest where a series cannot be computed here. Its nodes are in use then:
        whoever drops it calls `dropped`."""
        built = build(spec, alert_id, self.band_percent)
        watched = [self.watched(clause.series, owner_id) for clause, _ in built.gates]
        nodes = tuple(each.node for each in watched if each.node is not None)
        for node in nodes:
            node.uses += 1
        keep = spec.plain is None
        more = None
        if keep or nodes or built.course or spec.at_most_us or spec.until_us is not None:
            more = More(
                spec=spec if keep else None,
                course=built.course,
                nodes=nodes,
                at_most_us=spec.at_most_us,
                expires_at=spec.until_us,
            )
        return Standing(
            owner_id=owner_id,
            instrument=next(iter(spec.instruments), ""),
            text=text,
            gates=tuple(gate for _, gate in built.gates),
            books=watched[0].book.alone if len(watched) == 1 else tuple(each.book for each in watched),
            once=spec.repeat == "once",
            more=more,
        )

    def recalled(self, row: AlertRow) -> Standing:
        """As its row says."""
        spec = parse(row.text, self.graph.catalogue.find)
        standing = self.made(spec, row.text, row.owner_id, row.id)
        standing.generation = standing.armed_generation = row.generation
        if standing.more is not None:
            standing.more.cooling_until = row.cooling_until or 0
        memory, gate = read_memory(row.memory), standing.gates[0]
        if standing.course is not None:
            if memory is not None:
                standing.course.recall(memory)
        elif isinstance(gate, Level):
            gate.up_armed, gate.down_armed = row.up_armed, row.down_armed
        elif memory is not None and memory.parts:
            recall_gate(gate, memory.parts[0])
        return standing

    def spec_of(self, standing: Standing) -> AlertSpec:
        more = standing.more
        return more.spec if more is not None and more.spec else parse(standing.text, self.graph.catalogue.find)

    def watched(self, series: Series, owner_id: int) -> Watched:
        """The book of a series; of an instrument's own price it is there as soon as the instrument is."""
        if isinstance(series, Price) and series.plain:
            return Watched(self.graph.root(series.instrument).book, None)
        portfolio = series if isinstance(series, Portfolio) else None
        node = self.graph.node(series, owner_id, lambda: self.held(owner_id, portfolio) if portfolio else Lots(()))
        if node.book is None:
            node.book = Book(node.key, next(iter(of.instruments(series)), ""))
            node.book.value, node.book.live = node.value, node.value is not None
        return Watched(node.book, node)

    def dropped(self, standing: Standing) -> None:
        for node in standing.nodes:
            self.graph.release(node)

    def named(self, standing: Standing, alert_id: int) -> None:
        """Its number, once it has one."""
        for part, gate in enumerate(standing.gates):
            gate.key = (alert_id << PARTS) + part
