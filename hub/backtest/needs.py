"""What an alert needs of the past to be tested on it: how fine its prices have to be, and from when on. Pure.

A candle tells that its high was reached, not when within it: so it stands in for ticks only where it is short beside
the times that the alert looks at. Depends on hub.rules.
"""

from typing import NamedTuple

from hub.history.ladder import RUNGS as LADDER
from hub.history.ladder import length_us
from hub.model import SECOND_US
from hub.plugin import Catalogue
from hub.rules.series import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    RUNGS,
    Against,
    Change,
    Distance,
    Indicator,
    Move,
    Portfolio,
    Price,
    Series,
    Spread,
    Volume,
    prices,
)
from hub.rules.spec import AlertSpec

PARTS = 5
"""Into so many candles at least a time has to fall that the alert looks at (of an indicator's candles into one)."""

LIVE = 5
"""An indicator that is computed anew with every tick."""
SETTLES_US = 10 * MINUTE_US
"""So long before the span it is begun, that all instruments below an alert have a value when that is armed."""


class Needs(NamedTuple):
    rungs: tuple[str, ...]  # of the candle ladder, whose candles can tell what no tick tells; the finest first
    choices: int  # so many of these may be taken although there are finer prices
    before_us: int  # so long before the span its windows begin, its values are all known
    lots: bool  # it is of what somebody holds
    closes: bool  # nothing but the closes of its indicators' candles moves it
    weight: int  # so many times as much as the price itself each value of it takes


def needs_of(spec: AlertSpec, catalogue: Catalogue) -> Needs:
    series = [each for clause in spec.clauses for each in _parts(clause.series)]
    grain_us = min([DAY_US, *(_grain_us(each) for each in series), *_spans(spec)])
    patience_us = min([*(_patience_us(each) for each in series), grain_us])
    on_ticks = spec.sources > 1 or any(_on_ticks(each, catalogue) for each in series)
    rungs = () if on_ticks else tuple(rung for rung in LADDER if length_us(rung) <= grain_us)
    return Needs(
        rungs=rungs,
        choices=sum(length_us(rung) <= patience_us for rung in rungs),
        before_us=max(SETTLES_US, *map(_before_us, series)),
        lots=any(isinstance(each, Portfolio) for each in series),
        closes=all(isinstance(each, Indicator) and not each.live for each in series) and not spec.hold_us,
        weight=LIVE if any(isinstance(each, Indicator) and each.live for each in series) else 1,
    )


def _parts(series: Series) -> tuple[Series, ...]:
    return (series.first, series.second) if isinstance(series, Against) else (series,)


def _spans(spec: AlertSpec) -> list[int]:
    return [span_us // PARTS for span_us in (spec.hold_us, spec.within_us) if span_us]


def _grain_us(series: Series) -> int:
    match series:
        case Change() | Move() | Volume():
            return series.window_us // PARTS
        case Indicator():
            return RUNGS[series.rung] * SECOND_US // (PARTS if series.live else 1)
        case Distance(period="day"):
            return HOUR_US
    return DAY_US


def _patience_us(series: Series) -> int:
    """How long candles may be before they hide more of its crossings than is worth telling: a level that a price goes
    back and forth over was found to ring half as often on 15 minutes as on ticks, and nearly as often on five."""
    match series:
        case Change() | Move() | Volume() | Distance():
            return 15 * MINUTE_US
        case Indicator(live=False):
            return DAY_US
    return 5 * MINUTE_US


def _before_us(series: Series) -> int:
    match series:
        case Change() | Move() | Volume():
            return series.window_us
        case Indicator():
            return RUNGS[series.rung] * SECOND_US
    return 0


def _on_ticks(series: Series, catalogue: Catalogue) -> bool:
    """Whether it is of what candles do not hold: they are of the price alone, and of the volumes of its ticks."""
    if isinstance(series, Spread):
        return True
    return any(not _in_candles(price, series, catalogue) for price in prices(series))


def _in_candles(price: Price, series: Series, catalogue: Catalogue) -> bool:
    instrument = catalogue.get(price.instrument)
    basis = instrument.basis if instrument is not None else "last"
    return basis == "last" if isinstance(series, Volume) else price.side in ("price", basis)
