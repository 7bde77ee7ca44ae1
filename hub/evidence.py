"""How a firing is worded: what rang, by which ticks, from which source, and what about it is not live. Pure.

Every notification carries its evidence: the level, the tick before and the tick that crossed, source and venue time,
and what the value was measured against. Depends on hub.rules for the series and their words.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from hub.model import SECOND_US, Instrument, Nature
from hub.rules.series import Against, Distance, Move, Price
from hub.rules.spec import AlertSpec, Clause
from hub.rules.words import Get, clause_words, level_words, series_words, span_words, unit_words, value_words
from hub.wording import duration


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
    @property
    def detail(self) -> str: ...


NOT_LIVE = {
    Nature.SIMULATED.value: "simulated market, not a real price",
    Nature.RECORDING.value: "from a recording, not a live price",
    Nature.POLLED.value: "polled source",
}


NOTE = re.compile(r'\s+note "(?:[^"\\]|\\.)*"')
"""The note in an alert's line; the evidence says it in front."""


# ----------------------------------------------------------------------------------------------- headline


def headline(rang: Firing, spec: AlertSpec, clause: Clause, get: Get) -> str:
    """ "Gold rose to 2,400.12 USD (level 2,400.00)"; what is not live is said in front."""
    mark = {Nature.SIMULATED.value: "[simulated] ", Nature.RECORDING.value: "[recording] "}.get(rang.nature, "")
    late = ", late" if rang.late else ""
    return f"{mark}{_what(rang, clause, get)}{_joined(spec, clause, get)} ({_level(rang, clause, get)}{late})"


def _what(rang: Firing, clause: Clause, get: Get) -> str:
    series = clause.series
    if isinstance(series, Move):
        moved = "rose" if rang.direction == "up" and series.way != "down" else "fell"
        amount = value_words(series, rang.price, get)
        return f"{series_words(series.of, get)} {moved} {amount} in {span_words(series.window_us)}"
    if isinstance(series, Distance):
        side = "below" if series.edge == "high" else "above"
        name, edge = series_words(series.of, get), series_words(series, get).rpartition("from its ")[2]
        return f"{name} is {value_words(series, rang.price, get)} {side} its {edge}"
    if isinstance(series, Against):
        side = "above" if rang.direction == "up" else "below"
        moved = "rose" if rang.direction == "up" else "fell"
        return f"{series_words(series.first, get)} {moved} {side} {series_words(series.second, get)}"
    moved = "is at" if rang.before_price is None else "rose to" if rang.direction == "up" else "fell to"
    return f"{series_words(series, get)} {moved} {shown(clause, rang.price, rang.level, get)}"


def shown(clause: Clause, value: float, level: float, get: Get) -> str:
    """The value with its unit; rounding must not hide that it is beyond the level."""
    series = clause.series
    plain = plain_of(clause, get)
    if plain is None:
        written = value_words(series, value, get)
        hidden = value != level and written == value_words(series, level, get)
        return f"{amount(value, 9, least=2)} {unit_words(series, get)}".rstrip() if hidden else written
    price = amount(value, plain.decimals)
    if (
        price
        == amount(level, plain.decimals + 6, least=plain.decimals)
        != amount(value, plain.decimals + 6, least=plain.decimals)
    ):
        price = amount(value, plain.decimals + 3, least=plain.decimals)
    return f"{price} {plain.currency}"


def plain_of(clause: Clause, get: Get) -> Instrument | None:
    """The instrument whose own price the clause is about."""
    series = clause.series
    if not isinstance(series, Price) or series != Price(instrument=series.instrument):
        return None
    return get(series.instrument) or Instrument(id=series.instrument, name=series.instrument)


def _level(rang: Firing, clause: Clause, get: Get) -> str:
    series = clause.series
    match clause.condition:
        case "trails":
            by = f"{amount(clause.level, 6, least=0)}{' %' if clause.percent else ''}"
            return f"level {value_words(series, rang.level, get)}, trailing by {by}"
        case "every":
            return f"step {level_words(series, rang.level, get)}"
        case "inside" | "outside":
            low, high = level_words(series, clause.level, get), level_words(series, clause.high or 0.0, get)
            return f"range {low} to {high}"
    if isinstance(series, Against):
        return f"by {value_words(series, abs(rang.price), get)}"
    return f"level {level_words(series, rang.level, get)}"


def _joined(spec: AlertSpec, clause: Clause, get: Get) -> str:
    """What else had to be so."""
    said = ""
    if spec.hold_us:
        said += f", for {span_words(spec.hold_us)}"
    others = [each for each in spec.clauses if each is not clause]
    if spec.join == "and":
        said += "".join(f", and {clause_words(each, get)}" for each in others)
    elif spec.join == "then":
        said += f", within {span_words(spec.within_us)} after {clause_words(others[0], get)}"
    return said


# ----------------------------------------------------------------------------------------------- evidence


def evidence(rang: Firing, clause: Clause, text: str, get: Get) -> str:
    """Some lines: the note, the two ticks, what belongs to them, the source, and last the alert's own words."""
    at = rang.venue_time or rang.received_at
    kind = NOT_LIVE.get(rang.nature, "")
    lines = [f"note: {rang.note}"] if rang.note else []
    lines.append(_ticks(rang, clause, at, get))
    lines += rang.detail.splitlines()
    lines.append(f"source {rang.source}{f': {kind}' if kind else ''}")
    if rang.late:
        lines.append("told late: it crossed while I was offline or behind")
    lines.append(f"alert {rang.alert_id}: {NOTE.sub('', text) if rang.note else text}")
    return "\n".join(lines)


def _ticks(rang: Firing, clause: Clause, at: int, get: Get) -> str:
    """ "2,399.90 at 12:29:59.816, then 2,400.12 at 12:30:00.123 UTC, 2014-05-02"."""

    plain = plain_of(clause, get)

    def written(value: float) -> str:
        if plain is None:
            return value_words(clause.series, value, get)
        return amount(value, plain.decimals + 2, least=plain.decimals)

    crossed = f"{written(rang.price)} at {moment(at, at)} UTC, {moment(at)[:10]}"
    if rang.before_price is None or rang.before_time is None:
        return crossed
    return f"{written(rang.before_price)} at {moment(rang.before_time, at)}, then {crossed}"


def against(base: str, then: str, at: int, beside: int) -> str:
    """What a value is measured against: "28.41 USD, from 29.90 USD at 14:02:11.000 UTC, 20 min before"."""
    before = f", {duration(beside - at)} before" if beside - at >= SECOND_US else ""
    return f"{base}, from {then} at {moment(at, beside)} UTC{before}"


def sources(agreeing: Sequence[tuple[str, float]], instrument: Instrument) -> str:
    """ "confirmed by kraken 2,400.10, coinbase 2,400.30"."""
    least = instrument.decimals
    return "confirmed by " + ", ".join(f"{name} {amount(price, least + 2, least=least)}" for name, price in agreeing)


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
