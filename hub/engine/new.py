"""An alert that is about to be armed: what is known of it before it is written, and what has to be so.

Depends on hub.ledger and hub.rules.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.engine.owner import Owner
from hub.engine.standing import Standing
from hub.ledger import alerts
from hub.model import Alert
from hub.plugin import BadRequest
from hub.rules import series as of
from hub.rules.language import AlertSpec, canonical
from hub.rules.roots import Book
from hub.rules.spec import cost_of, until_text


class New(msgspec.Struct):
    """`known`: the engine stands at that place in the stream and its series have a value; `true`: the condition holds
    there."""

    spec: AlertSpec
    text: str
    standing: Standing
    sequence: int
    known: bool
    true: bool

    @property
    def book(self) -> Book:
        return self.standing.books[0]

    @property
    def price(self) -> float | None:
        """What its first series stood at."""
        return self.book.value if self.known else None


@contextmanager
def new(engine: Owner, spec: AlertSpec, owner_id: int, last: int) -> Iterator[New]:
    """Bound to the stream's last sequence, and its side is the series' value there, if the engine has read so far. The
    series are let go again where the body raises."""
    board, sequence = engine.board, max(last, engine.position.sequence)
    standing = board.maker.made(spec, canonical(spec), owner_id)
    try:
        known = sequence == engine.position.sequence and board.settle(standing)
        yield New(spec, standing.text, standing, sequence, known, known and board.true(standing))
    except BaseException:
        board.maker.dropped(standing)
        raise


def columns(engine: Owner, made: New, stream: str, now: int) -> dict[str, Any]:
    """What the row of an alert says that is armed so."""
    change = made.standing.change(0, engine.board.clock)
    return {
        **words(made),
        "state": change.state,
        "up_armed": change.up_armed if made.known else None,
        "down_armed": change.down_armed if made.known else None,
        "memory": change.memory if made.known else None,
        "cooling_until": None,
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
        "instrument": made.standing.instrument,
        "series": of.key(made.spec.first.series),
        "note": made.spec.note,
        "urgent": made.spec.urgent,
        "via": ",".join(made.spec.via),
        "expires_at": made.spec.until_us,
        "cost": cost_of(made.spec),
    }


def check_room(c: sa.Connection, owner_id: int, cost: int, per_person: int, alert_id: int = 0) -> None:
    """BadRequest where one more, or that one with what it is to be, would be one too many."""
    used = alerts.used(c, owner_id, alert_id)
    if used + cost > per_person:
        counts = f"; yours count {used}, this one {cost}" if used != per_person or cost > 1 else ""
        raise BadRequest(f"{per_person} alerts are the limit for one person{counts}: `delete` some, then try again")


def check_time(spec: AlertSpec, alert: Alert, clock: int) -> None:
    """BadRequest where an alert would be over before it began."""
    if spec.until_us is not None and spec.until_us <= clock:
        raise BadRequest(f"the time of alert {alert.id} is over ({until_text(spec.until_us)}): edit it to give it more")


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
