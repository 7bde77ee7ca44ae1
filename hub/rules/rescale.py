"""An alert behind a split: the same condition in new shares. Pure.

Levels, steps and trails in a price's own unit follow it; what is in percent, and what has two prices of the same
instrument in it, stays as it is. Where no single number carries the condition over (the difference of two stocks, one
of which was split) there is none. Depends on hub.rules.spec.
"""

import msgspec

from hub.rules.numbers import rounded
from hub.rules.series import (
    Against,
    Change,
    Difference,
    Distance,
    Indicator,
    Move,
    Price,
    Ratio,
    Series,
    Spread,
    Volume,
    instruments,
    measure,
)
from hub.rules.spec import AlertSpec, Band, Clause


def factor_of(series: Series, instrument: str, factor: float) -> float | None:
    """By how much values of the series from before count, where prices of the instrument count `factor` times as much;
    None where no number says it."""
    if instrument not in instruments(series):
        return 1.0
    match series:
        case Price() | Spread():
            return factor
        case Volume():
            return 1 / factor
        case Ratio():
            over, under = (factor_of(each, instrument, factor) for each in (series.over, series.under))
            return None if over is None or not under else over / under
        case Difference():
            first, second = (factor_of(each, instrument, factor) for each in (series.first, series.second))
            return first if first == second else None
        case Change():
            return None if factor_of(series.of, instrument, factor) is None else 1.0
        case Move() | Distance():
            of = factor_of(series.of, instrument, factor)
            return 1.0 if of is not None and series.percent else of
        case Indicator():
            of = factor_of(series.of, instrument, factor)
            return 1.0 if of is not None and measure(series) == "index" else of
        case Against():
            first, second = (factor_of(each, instrument, factor) for each in (series.first, series.second))
            return 1.0 if first is not None and first == second else None
    return None


def rescaled(spec: AlertSpec, instrument: str, factor: float) -> AlertSpec | None:
    """None where the condition cannot be carried over."""
    clauses, factors = [], []
    for clause in spec.clauses:
        by = factor_of(clause.series, instrument, factor)
        if by is None:
            return None
        factors.append(by)
        clauses.append(_rescaled(clause, by))
    band = spec.band
    if band is not None and not (band.percent or all(measure(each.series) == "percent" for each in spec.clauses)):
        if len(set(factors)) > 1:  # one number for clauses that move apart
            return None
        band = Band(rounded(band.value * factors[0]), percent=False)
    return msgspec.structs.replace(spec, clauses=tuple(clauses), band=band)


def _rescaled(clause: Clause, by: float) -> Clause:
    if by == 1.0 or clause.percent:
        return clause
    high = None if clause.high is None else rounded(clause.high * by)
    return msgspec.structs.replace(clause, level=rounded(clause.level * by), high=high)
