"""How a firing is worded: what rang, by which ticks, from which source, and what about it is not live. Pure.

Every notification carries its evidence: the level, the tick before and the tick that crossed, source and venue time.
"""

import re
from datetime import UTC, datetime
from typing import Protocol

from hub.model import SECOND_US, Instrument, Nature


class Firing(Protocol):
    @property
    def direction(self) -> str: ...
    @property
    def alert_id(self) -> int: ...
    @property
    def level(self) -> float: ...
    @property
    def before_price(self) -> float | None: ...
    @property
    def before_time(self) -> int | None: ...
    @property
    def price(self) -> float: ...
    @property
    def venue_time(self) -> int | None: ...
    @property
    def received_at(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def nature(self) -> str: ...
    @property
    def late(self) -> bool: ...
    @property
    def note(self) -> str: ...


NOT_LIVE = {
    Nature.SIMULATED.value: "simulated market, not a real price",
    Nature.RECORDING.value: "from a recording, not a live price",
    Nature.POLLED.value: "polled source",
}


NOTE = re.compile(r'\s+note "(?:[^"\\]|\\.)*"')
"""The note in an alert's line; the evidence says it in front."""


def headline(rang: Firing, instrument: Instrument) -> str:
    """ "Gold rose to 2,400.12 (level 2,400.00)"; what is not live is said in front."""
    moved = "is at" if rang.before_price is None else "rose to" if rang.direction == "up" else "fell to"
    least = instrument.decimals
    price, level = amount(rang.price, least), amount(rang.level, least + 6, least=least)
    if price == level != amount(rang.price, least + 6, least=least):  # rounding must not hide the crossing
        price = amount(rang.price, least + 3, least=least)
    mark = {Nature.SIMULATED.value: "[simulated] ", Nature.RECORDING.value: "[recording] "}.get(rang.nature, "")
    late = ", late" if rang.late else ""
    return f"{mark}{instrument.name} {moved} {price} {instrument.currency} (level {level}{late})"


def evidence(rang: Firing, instrument: Instrument, text: str) -> str:
    """Some lines: the note, the two ticks, the source, and last the alert's own words."""
    at = rang.venue_time or rang.received_at
    kind = NOT_LIVE.get(rang.nature, "")
    lines = [f"note: {rang.note}"] if rang.note else []
    lines.append(_ticks(rang, instrument, at))
    lines.append(f"source {rang.source}{f': {kind}' if kind else ''}")
    if rang.late:
        lines.append("told late: it crossed while I was offline or behind")
    lines.append(f"alert {rang.alert_id}: {NOTE.sub('', text) if rang.note else text}")
    return "\n".join(lines)


def _ticks(rang: Firing, instrument: Instrument, at: int) -> str:
    """ "2,399.90 at 12:29:59.816, then 2,400.12 at 12:30:00.123 UTC, 2014-05-02"."""
    digits, least = instrument.decimals + 2, instrument.decimals
    crossed = f"{amount(rang.price, digits, least=least)} at {moment(at, at)} UTC, {moment(at)[:10]}"
    if rang.before_price is None or rang.before_time is None:
        return crossed
    return f"{amount(rang.before_price, digits, least=least)} at {moment(rang.before_time, at)}, then {crossed}"


def amount(value: float, decimals: int, least: int | None = None) -> str:
    """ "2,400.12": up to `decimals` places, trailing zeros cut back to `least`."""
    text = f"{value:,.{decimals}f}"
    if least is None:
        return text
    whole, _, part = text.partition(".")
    part = part[:least] + part[least:].rstrip("0")
    return f"{whole}.{part}" if part else whole


def moment(time_us: int, beside: int | None = None) -> str:
    """ "2014-05-02 12:30:00.123"; only the time of day beside a moment of the same day."""
    day, milliseconds = datetime.fromtimestamp(time_us // SECOND_US, UTC), time_us % SECOND_US // 1000
    same_day = beside is not None and day.date() == datetime.fromtimestamp(beside // SECOND_US, UTC).date()
    return f"{day:%H:%M:%S}.{milliseconds:03d}" if same_day else f"{day:%Y-%m-%d %H:%M:%S}.{milliseconds:03d}"
