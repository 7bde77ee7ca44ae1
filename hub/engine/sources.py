"""Which sources say that a part of an alert holds, where more than one has to confirm it. Depends on hub.rules."""

from typing import TYPE_CHECKING

from hub.engine.standing import Standing
from hub.model import SECOND_US
from hub.rules.nodes import PriceNode

if TYPE_CHECKING:
    from hub.engine.roster import Roster


def agreeing(roster: "Roster", standing: Standing, part: int) -> list[tuple[str, float]]:
    """Those whose newest prices do, with these, in its unit and currency."""
    book, gate = standing.books[part], standing.gates[part]
    root, node = roster.graph.root(book.instrument), roster.graph.nodes.get(book.key)
    since = roster.clock - round(root.instrument.stale_after_s * SECOND_US)
    found = []
    for name, other in (root.others or {}).items():
        value = other.price if node is None else None
        if isinstance(node, PriceNode) and node.live():
            value = node.of(other.price)
        if other.received_at >= since and value is not None and gate.true_at(value):
            found.append((name, other.price))
    return found
