"""An alert that is about to be armed: what is known of it before it is written, and what has to be so.

Depends on hub.ledger and hub.rules.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from hub.engine.board import Book
from hub.engine.owner import Owner
from hub.ledger import alerts
from hub.model import Alert
from hub.plugin import BadRequest
from hub.rules.language import AlertSpec, canonical
from hub.rules.levels import Level


class New(msgspec.Struct):
    """`known`: the engine stands at that place in the stream and the series has a value; `true`: the condition holds
    there."""

    spec: AlertSpec
    text: str
    level: Level
    book: Book
    sequence: int
    known: bool
    true: bool

    @property
    def price(self) -> float | None:
        return self.book.value if self.known else None


def new(engine: Owner, spec: AlertSpec, last: int) -> New:
    """Bound to the stream's last sequence, and its side is the series' value there, if the engine has read so far."""
    board, sequence = engine.board, max(last, engine.position.sequence)
    book = board.book(spec.series.key, spec.series.instruments[0])
    level = board.level_of(spec, 0)
    known = sequence == engine.position.sequence and book.value is not None
    if known and book.value is not None:
        level.settle(book.value)
    true = known and book.value is not None and level.true_at(book.value)
    return New(spec, canonical(spec), level, book, sequence, known, true)


def columns(made: New, stream: str, now: int) -> dict[str, Any]:
    """What the row of an alert says that is armed so."""
    return {
        **words(made),
        "up_armed": made.level.up_armed,
        "down_armed": made.level.down_armed,
        "armed_stream": stream,
        "armed_sequence": made.sequence,
        "armed_at": now,
        "armed_price": made.price,
        "resume_state": "",
    }


def words(made: New) -> dict[str, Any]:
    """The columns that follow from an alert's words."""
    return {
        "text": made.text,
        "instrument": made.book.instrument,
        "series": made.book.key,
        "note": made.spec.note,
        "urgent": made.spec.urgent,
        "via": ",".join(made.spec.via),
    }


def check_room(c: sa.Connection, owner_id: int, per_person: int) -> None:
    """BadRequest where one more would be one too many."""
    if alerts.count_live(c, owner_id) >= per_person:
        raise BadRequest(f"{per_person} alerts are the limit for one person: `delete` some, then try again")


def check_words(c: sa.Connection, owner_id: int, text: str, alert: Alert | None = None) -> None:
    """BadRequest where another alert of the owner has those words."""
    same = alerts.same(c, owner_id, text)
    if same is not None and (alert is None or same.id != alert.id):
        raise BadRequest(f"you have this alert already: {same.id}")


def check_places(c: sa.Connection, owner_id: int, spec: AlertSpec) -> None:
    """BadRequest where `via` names what the owner has no destination for."""
    if not spec.via:
        return
    there = list(dict.fromkeys(place.platform for place in alerts.destinations(c, [owner_id]).get(owner_id, [])))
    missing = [platform for platform in spec.via if platform not in there]
    if missing:
        have = f"you have {', '.join(there)}" if there else "you have none that is on"
        raise BadRequest(f"via {missing[0]}: none of your destinations is of that kind ({have}); push lists them")
