"""How a firing is worded: what rang, by which ticks, from which source, and what about it is not live. Pure.

Every notification carries its evidence: the level, the tick before and the tick that crossed, source and venue time.
"""

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
    """Some lines: the alert's own words, the two ticks, the source."""
    digits = instrument.decimals + 2
    at = rang.venue_time or rang.received_at
    lines = [f"alert {rang.alert_id}: {text}"]
    if rang.before_price is not None and rang.before_time is not None:
        before = (
            f"{amount(rang.before_price, digits, least=instrument.decimals)} at {moment(rang.before_time, at)}, then "
        )
    else:
        before = ""
    lines.append(f"{before}{amount(rang.price, digits, least=instrument.decimals)} at {moment(at)} UTC")
    kind = NOT_LIVE.get(rang.nature, "")
    lines.append(f"source {rang.source}{f' ({kind})' if kind else ''}")
    if rang.late:
        lines.append(f"crossed {moment(at)} UTC while I was offline or behind")
    if rang.note:
        lines.append(f"note: {rang.note}")
    return "\n".join(lines)


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
