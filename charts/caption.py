"""A chart in words, for who cannot see it, and in facts, for programs. Pure."""

from charts import scales, times
from charts.chart import Chart
from charts.subject import Subject, average_name
from hub import wording
from hub.model import Nature

LATE_START = 0.1
"""A first price so far into the span, as a share, is worth a sentence."""
EARLY_END = 0.1
"""So is a last candle that ended so long before the span does, and longer ago than markets are closed."""
LONGEST_CLOSED_US = 4 * wording.DAY_US


def lines(chart: Chart, subject: Subject) -> list[str]:
    """In words what the picture shows."""
    start, end = times.local_times([chart.start, chart.end], chart.time_zone)
    spanned = f"{times.spanned(start, end)} ({times.zone_name(chart.time_zone)})"
    if not subject.times:
        return [nothing(chart, subject, spanned)]
    if subject.percent:
        changes = [f"{curve.name} {scales.percent(curve.values[-1] or 0.0)}" for curve in subject.curves]
        return [f"{', '.join(changes)} since their common start; {spanned}."]
    candles = subject.candles
    low, high = min(candle.low for candle in candles), max(candle.high for candle in candles)
    money = f" {subject.money}" if subject.money else ""
    change = "" if subject.change is None else f": {wording.percent(subject.change)}"
    first = f"Open {subject.write(candles[0].open)}, high {subject.write(high)}, low {subject.write(low)}, "
    length = times.length(subject.candle_us)
    how = f"; {length} {'candles' if chart.kind == 'candles' else 'closes'}" if length else ""
    return [f"{first}close {subject.write(subject.last)}{money}{change}.", f"{spanned}{how}."]


def nothing(chart: Chart, subject: Subject, spanned: str) -> str:
    whose = " and ".join(subject.missing) or subject.name
    told = f"{whose}: no prices in {spanned}"
    if chart.newest is None:
        return f"{told}."
    (newest,) = times.local_times([chart.newest], chart.time_zone)
    return f"{told}; the newest is of {times.moment(newest)}."


def remarks(chart: Chart, subject: Subject) -> list[str]:
    """Whatever a reader should know before trusting the picture."""
    said = []
    if chart.nature is not Nature.LIVE:
        said.append(f"These prices are {'of a recording' if chart.nature is Nature.RECORDING else chart.nature.value}.")
    if not subject.times:
        return said
    if subject.times[0] - chart.start > LATE_START * (chart.end - chart.start):
        (first,) = times.local_times([subject.times[0]], chart.time_zone)
        said.append(f"The first price {_whose(chart, subject)} is of {times.moment(first)}.")
    last = subject.times[-1] + subject.candle_us
    if chart.end - last > max(EARLY_END * (chart.end - chart.start), LONGEST_CLOSED_US):
        (ended,) = times.local_times([min(last, chart.newest or last)], chart.time_zone)
        said.append(f"The last price {_whose(chart, subject)} is of {times.moment(ended)}.")
    if chart.volume and not any(candle.volume > 0 for candle in subject.candles):
        said.append("Its sources state no volumes.")
    short = [curve.name for curve in subject.curves if curve.values and curve.values[-1] is None]
    if chart.rsi and (not subject.rsi or subject.rsi[-1] is None):
        short.append(f"RSI {chart.rsi}")
    if short:
        said.append(f"There are too few candles for {', '.join(short)}.")
    if chart.levels:
        many = len(chart.levels)
        said.append(f"{many} of your alerts {'is' if many == 1 else 'are'} on it; levels far away are counted only.")
    return said


def _whose(chart: Chart, subject: Subject) -> str:
    return "of all of them" if subject.percent or chart.kind == "ratio" else "in it"


def facts(chart: Chart, subject: Subject) -> dict[str, object]:
    """The same for programs."""
    told: dict[str, object] = {
        "kind": chart.kind,
        "start": wording.iso(chart.start),
        "end": wording.iso(chart.end),
        "newest": wording.iso(chart.newest),
        "candles": len(subject.times),
        "candle_s": subject.candle_us // 1_000_000,
        "nature": chart.nature.value,
        "averages": [average_name(average) for average in chart.averages],
    }
    if subject.percent:
        return told | {"changes_percent": {curve.name: curve.values[-1] for curve in subject.curves}}
    if not subject.candles:
        return told
    return told | {
        "open": subject.candles[0].open,
        "high": max(candle.high for candle in subject.candles),
        "low": min(candle.low for candle in subject.candles),
        "close": subject.last,
        "change_percent": None if subject.change is None else round(subject.change * 100, 4),
        "currency": chart.series[0].currency if chart.kind != "ratio" else None,
        "unit": chart.series[0].unit if chart.kind != "ratio" else None,
        "levels": [level.price for level in chart.levels],
    }
