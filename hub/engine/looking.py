"""What alerts are waiting for, as the engine sees it at this moment: the answer to "look". Nothing is changed."""

from collections.abc import Iterable

from hub.engine.board import Board
from hub.engine.standing import Standing
from hub.model import Glance, Look
from hub.rules.gates import Gate, Ladder, Level, Trail, Zone
from hub.rules.nodes import Node
from hub.rules.roots import Book


def looks(board: Board, owner_id: int, alert_ids: Iterable[int]) -> tuple[Look, ...]:
    """Of those that are that owner's."""
    found = ((alert_id, board.standing.get(alert_id)) for alert_id in alert_ids)
    return tuple(look(board, alert_id, it) for alert_id, it in found if it is not None and it.owner_id == owner_id)


def look(board: Board, alert_id: int, standing: Standing) -> Look:
    course = standing.course
    return Look(
        alert_id=alert_id,
        parts=tuple(_glance(board, gate, book) for gate, book in zip(standing.gates, standing.books, strict=True)),
        holding_since=course.holding_since if course is not None else None,
        second_until=course.deadline if course is not None else None,
    )


def _glance(board: Board, gate: Gate, book: Book) -> Glance:
    node = board.graph.nodes.get(book.key)
    then = node.then() if node is not None else None
    rise, fall = _edges(gate)
    return Glance(
        value=book.value,
        live=book.live,
        received_at=book.received_at or None,
        rise=rise,
        fall=fall,
        true=book.value is not None and gate.true_at(book.value),
        then=then.value if then is not None else None,
        then_at=then.at if then is not None else None,
        quiet=_quiet(board, node, book),
    )


def _edges(gate: Gate) -> tuple[float | None, float | None]:
    """Where it would ring next."""
    match gate:
        case Level():
            return gate.rise if gate.up_armed else None, gate.fall if gate.down_armed else None
        case Zone(region=int(region)):
            return gate.true_from(region)
        case Trail() if gate.known:
            return (gate.level, None) if gate.rising else (None, gate.level)
        case Ladder() if gate.known:
            return gate.high, gate.low
    return None, None


def _quiet(board: Board, node: Node | None, book: Book) -> tuple[str, ...]:
    roots = node.roots if node is not None else (board.graph.root(book.instrument),)
    return tuple(root.instrument.id for root in roots if not root.live)
