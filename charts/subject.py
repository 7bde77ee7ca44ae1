"""What a chart is about, in numbers: the candles or curves that are in its span, their range, how they are written.

Candles before the span are not drawn; moving averages, bands and RSI use them to be there from its first candle on.
Pure; depends on charts.combine and charts.indicators.
"""

from collections.abc import Iterable, Sequence

import msgspec

from charts import combine, indicators, scales
from charts.chart import Average, Chart, Series
from hub import render
from hub.model import Candle

MOST_COMPARED = 8
WIDENED = 0.25
AVERAGES, BAND = (4, 0, 3, 6), 7
"""Places in the palette's lines that are like neither rising nor falling."""


class Curve(msgspec.Struct, frozen=True):
    """A line over the candles, one value each. `colour` is a place in the palette's lines."""

    name: str
    values: tuple[float | None, ...]
    colour: int


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`change` is a share of the first price. A comparison has curves and no candles; its numbers are percent."""

    name: str
    times: tuple[int, ...] = ()
    candles: tuple[Candle, ...] = ()
    curves: tuple[Curve, ...] = ()
    band: tuple[tuple[float | None, ...], tuple[float | None, ...]] | None = None
    rsi: tuple[float | None, ...] = ()
    decimals: int = 2
    money: str = ""  # "USD / troy ounce"
    candle_us: int = 0
    percent: bool = False
    missing: tuple[str, ...] = ()  # names of what has no price in the span

    @property
    def last(self) -> float:
        return self.candles[-1].close

    @property
    def change(self) -> float | None:
        first = self.candles[0].open
        return self.last / first - 1 if first else None

    def write(self, value: float) -> str:
        return scales.percent(value) if self.percent else scales.number(value, self.decimals)

    def extent(self) -> tuple[float, float]:
        """The lowest and the highest of what is drawn. Averages and bands may widen what the candles take by a
        quarter on either side; what is farther away says nothing of them and is cut off."""
        values = [value for curve in self.curves for value in curve.values if value is not None]
        values += [value for edge in self.band or () for value in edge if value is not None]
        if not self.candles:
            return min(values), max(values)
        low, high = min(candle.low for candle in self.candles), max(candle.high for candle in self.candles)
        room = (high - low) * WIDENED
        return max(min([low, *values]), low - room), min(max([high, *values]), high + room)


def subject_of(chart: Chart) -> Subject:
    match chart.kind:
        case "compare":
            return _compared(chart)
        case "ratio":
            return _ratio(chart)
        case _:
            return _priced(chart, chart.series[0])


def _priced(chart: Chart, series: Series) -> Subject:
    per = f" / {series.unit}" if series.unit else ""
    return _with_indicators(
        chart, series.candles, series.candle_us, render.safe(series.name), series.decimals, f"{series.currency}{per}"
    )


def _ratio(chart: Chart) -> Subject:
    first, second = chart.series[:2]
    candles = combine.ratio(first.candles, second.candles)
    decimals = scales.decimals_for(candles[-1].close) if candles else 2
    name = f"{render.safe(first.name)} / {render.safe(second.name)}"
    subject = _with_indicators(chart, candles, max(first.candle_us, second.candle_us), name, decimals, "")
    missing = tuple(render.safe(one.name) for one in (first, second) if not one.candles)
    return msgspec.structs.replace(subject, missing=missing)


def _compared(chart: Chart) -> Subject:
    series = chart.series[:MOST_COMPARED]
    names = [render.safe(one.name) for one in series]
    aligned = combine.align([_shown(one.candles, chart, one.candle_us) for one in series])
    curves = tuple(
        Curve(name, combine.in_percent(closes, base), place)
        for place, (name, closes, base) in enumerate(zip(names, aligned.closes, aligned.bases, strict=False))
        if base
    )
    return Subject(
        name=" vs ".join(names),
        times=aligned.times,
        curves=curves,
        candle_us=max(one.candle_us for one in series),
        percent=True,
        missing=tuple(render.safe(one.name) for one in series if not _shown(one.candles, chart, one.candle_us)),
    )


def _with_indicators(
    chart: Chart, candles: Sequence[Candle], candle_us: int, name: str, decimals: int, money: str
) -> Subject:
    shown = _shown(candles, chart, candle_us)
    first = next((place for place, candle in enumerate(candles) if shown and candle is shown[0]), 0)
    known = candles[: first + len(shown)]
    closes = [candle.close for candle in known]
    curves = [
        Curve(average_name(average), tuple(_average(closes, average)[first:]), AVERAGES[place % len(AVERAGES)])
        for place, average in enumerate(chart.averages)
    ]
    band = None
    if chart.bollinger:
        lower, middle, upper = (tuple(curve[first:]) for curve in indicators.bollinger(closes, chart.bollinger))
        band = (lower, upper)
        curves.append(Curve(f"Bollinger {chart.bollinger}", middle, BAND))
    return Subject(
        name=name,
        times=tuple(candle.start for candle in shown),
        candles=tuple(shown),
        curves=tuple(curves),
        band=band,
        rsi=tuple(indicators.rsi(closes, chart.rsi)[first:]) if chart.rsi else (),
        decimals=decimals,
        money=money,
        candle_us=candle_us,
    )


def _shown(candles: Iterable[Candle], chart: Chart, candle_us: int) -> list[Candle]:
    """Those that lie in the span, the one that holds its start among them."""
    return [candle for candle in candles if chart.start < candle.start + max(candle_us, 1) and candle.start < chart.end]


def _average(closes: Sequence[float], average: Average) -> indicators.Curve:
    return (indicators.sma if average.kind == "sma" else indicators.ema)(closes, average.length)


def average_name(average: Average) -> str:
    return f"{average.kind.upper()} {average.length}"
