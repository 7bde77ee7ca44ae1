"""What an alert's line says, as a value; and that value as its one canonical line. Pure.

An alert has one clause or several. A clause is a series and a condition on it; hub.rules.series says what there is to
watch. `describe` in hub.rules.words puts the value in words for people. Depends on hub.rules.series.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from hub.rules import series as of
from hub.rules.numbers import digits
from hub.rules.series import (
    Against,
    Change,
    Distance,
    Indicator,
    Move,
    Portfolio,
    Price,
    Series,
    Volume,
    measure,
    quoted,
    span,
)

Condition = Literal["above", "below", "crosses", "inside", "outside", "trails", "every"]
Join = Literal["", "and", "or", "then"]
Repeat = Literal["once", "every time"]

SIGNS: dict[Condition, str] = {
    "above": ">",
    "below": "<",
    "crosses": "crosses",
    "inside": "enters",
    "outside": "leaves",
}
"""Conditions at a level, and at a range, as they stand in a line."""
MOST_CLAUSES = 4
LEAST_BAND_POINTS = 0.05
"""Of a series in percent: its band is a tenth of the level, and this at least."""
AGAINST_BAND_POINTS = 0.05
RSI_BAND = 1.0
BACK, OWN = 5, 10
"""What an alert counts whose series looks back, and one that has a state of its own beside its sides."""


class Band(msgspec.Struct, frozen=True):
    """How far the value has to come back before the alert is armed again: absolute, or in percent of the level. Of a
    series that is in percent itself both are points."""

    value: float
    percent: bool


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """`level` is that of a crossing, the lower edge of a range, how far a trail follows behind, or the step of a
    ladder."""

    series: Series
    condition: Condition
    level: float = 0.0
    high: float | None = None  # the upper edge of a range
    percent: bool = False  # of a trail and of a ladder: in percent of the value, not in its own unit
    rising: bool = False  # of a trail: it follows the lowest value, and rings above it

    @property
    def states(self) -> bool:
        """Whether it holds or does not hold at any moment, so that it can be one of several that all have to."""
        return self.condition in ("above", "below", "inside", "outside")


class AlertSpec(msgspec.Struct, frozen=True, kw_only=True):
    clauses: tuple[Clause, ...]
    join: Join = ""  # of several clauses
    within_us: int = 0  # of "then": so long after the first the second counts
    hold_us: int = 0  # the condition has to last so long
    repeat: Repeat = "once"
    at_most_us: int = 0  # with "every time": so long after it rang it is silent
    until_us: int | None = None  # it ends then
    sources: int = 1  # whose prices have to agree
    band: Band | None = None  # None: the default of each clause's series
    urgent: bool = False  # sent before all that is not
    via: tuple[str, ...] = ()  # the platforms that it goes to; none: all of its owner's destinations
    note: str = ""

    @property
    def first(self) -> Clause:
        return self.clauses[0]

    @property
    def plain(self) -> Clause | None:
        """The one clause of an alert that waits for the plain price of an instrument to reach a level."""
        clause = self.clauses[0]
        if len(self.clauses) > 1 or clause.condition not in ("above", "below", "crosses"):
            return None
        return clause if isinstance(clause.series, Price) and clause.series.plain else None

    @property
    def instruments(self) -> tuple[str, ...]:
        """All that its clauses name; the first one is what it is listed and muted under. None for a portfolio."""
        if len(self.clauses) == 1:
            return of.instruments(self.clauses[0].series)
        return tuple(dict.fromkeys(each for clause in self.clauses for each in of.instruments(clause.series)))


# ------------------------------------------------------------------------------------------ canonical line


def canonical(spec: AlertSpec) -> str:
    """The one line for it: `XAU-USD > 2400 every time band 0.1% note "sell half"`."""
    clauses = [clause_text(clause) for clause in spec.clauses]
    parts = [clauses[0] if spec.plain else f" {spec.join} ".join(map(of.behind_sign, clauses))]
    if spec.within_us:
        parts.append(f"within {span(spec.within_us)}")
    if spec.hold_us:
        parts.append(f"for {span(spec.hold_us)}")
    if spec.at_most_us:
        parts.append(f"at most every {span(spec.at_most_us)}")
    elif spec.repeat != "once" and spec.first.condition != "every":
        parts.append(spec.repeat)
    if spec.until_us is not None:
        parts.append(f"until {until_text(spec.until_us)}")
    if spec.sources > 1:
        parts.append(f"confirm {spec.sources} sources")
    if spec.band is not None:
        parts.append(f"band {digits(spec.band.value)}{'%' if spec.band.percent else ''}")
    if spec.urgent:
        parts.append("urgent")
    if spec.via:
        parts.append(f"via {', '.join(spec.via)}")
    if spec.note:
        parts.append(f'note "{quoted(spec.note)}"')
    return " ".join(parts)


def clause_text(clause: Clause) -> str:
    series, level = clause.series, digits(clause.level)
    sign = SIGNS.get(clause.condition, clause.condition)
    if isinstance(series, Move):
        way = {"down": "-", "up": "+", "either": "moves "}[series.way]
        return f"{of.text(series.of)} {way}{level}{_percent(series.percent)} in {span(series.window_us)}"
    if isinstance(series, Distance):
        edge = f"{of.PERIODS[series.period]} {series.edge}"
        if clause.condition == "below":
            return f"{of.text(series.of)} within {level}{_percent(series.percent)} of {edge}"
        side = "below" if series.edge == "high" else "above"
        return f"{of.text(series.of)} {level}{_percent(series.percent)} {side} {edge}"
    if isinstance(series, Against):
        return f"{of.text(series.first)} {sign} {of.behind_sign(of.text(series.second))}"
    name = of.text(series)
    if clause.condition in ("trails", "every"):
        return f"{name} {clause.condition} {'+' if clause.rising else ''}{level}{_percent(clause.percent)}"
    unit = _percent(measure(series) == "percent")
    if clause.high is not None:
        return f"{name} {sign} {level}{unit}..{digits(clause.high)}{unit}"
    return f"{name} {sign} {level}{unit}"


def _percent(percent: bool) -> str:
    return "%" if percent else ""


def until_text(time_us: int) -> str:
    """ "2026-12-05T00:00Z", in UTC; with seconds where there are any."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    return moment.strftime("%Y-%m-%dT%H:%MZ" if moment.second == 0 else "%Y-%m-%dT%H:%M:%SZ")


# ------------------------------------------------------------------------------------------------- bands


def band_of(spec: AlertSpec, clause: Clause, level: float, default_percent: float) -> float:
    """How far behind `level` (of a clause, or an edge of its range) it is armed again, in the series' own unit."""
    if spec.band is not None:
        points = measure(clause.series) == "percent"
        return abs(level) * spec.band.value / 100 if spec.band.percent and not points else spec.band.value
    return default_band(clause.series, level, default_percent)


def cost_of(spec: AlertSpec) -> int:
    """What it counts against its owner's limit: a level on a series that many may share is one alert."""
    return sum(_cost(clause) for clause in spec.clauses)


def _cost(clause: Clause) -> int:
    series = clause.series
    if isinstance(series, Portfolio) or clause.condition in ("trails", "every"):
        return OWN
    parts = (series.first, series.second) if isinstance(series, Against) else (series,)
    return BACK if any(isinstance(part, Change | Distance | Indicator | Move | Volume) for part in parts) else 1


def default_band(series: Series, level: float, default_percent: float) -> float:
    """`default_percent` of the level of a price or a ratio; what its nature suggests for all others."""
    if isinstance(series, Against):
        return AGAINST_BAND_POINTS if series.relative else 0.0
    match measure(series):
        case "percent":
            return max(abs(level) / 10, LEAST_BAND_POINTS)
        case "index":
            return RSI_BAND
        case "volume" | "spread":
            return abs(level) / 10
        case "signed":
            return 0.0
        case _:
            return abs(level) * default_percent / 100
