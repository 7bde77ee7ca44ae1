"""Two real days for the reference and the hub: gold and the euro on a day of US payrolls, and a day of COMEX trades."""

import csv
import os
from collections.abc import Iterable, Iterator
from functools import partial
from heapq import merge
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from hub.frame import EventKind
from hub.instruments import CATALOGUE
from hub.model import Verdict
from hub.rules import series as of
from hub.rules.series import Against, Change, Difference, Distance, Indicator, Move, Price, Ratio, Spread, Volume
from hub.rules.spec import AlertSpec, Band, Clause
from tests.recording import MIDNIGHT_US, lines_of
from tests.reference import Beat, Happening, Told
from tests.reference_market import QUOTE, SECOND_US, TRADE, Tick

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
PAYROLLS = DATA / "gold" / "xauusd-oanda-ticks-20140502.zip"
EUROS = DATA / "fx" / "eurusd-oanda-ticks-20140502.zip"
OTHER_EUROS = DATA / "fx" / "eurusd-fxcm-ticks-20140502.zip"
COMEX = DATA / "gold" / "gc-comex-ticks-20131009.zip"
COMEX_MIDNIGHT_US = 1_381_276_800 * SECOND_US
HALF_PAST_TWELVE_US = MIDNIGHT_US + 45_000 * SECOND_US
HOUR_US = 3_600 * SECOND_US
FXCM_BEHIND_US = 5 * HOUR_US
"""That vendor's file is in a time five hours behind UTC."""
INSTRUMENTS = {one.id: one for one in CATALOGUE if one.id in ("XAU-USD", "EUR-USD", "GC")}


# ------------------------------------------------------------------------------------------------ ticks


def payrolls() -> list[Happening]:
    """Gold and the euro as one vendor shows them, and the euro as another does, who stands by."""
    gold = _quotes(PAYROLLS, "XAU-USD", "oanda")
    euros = _quotes(EUROS, "EUR-USD", "oanda")
    others = _quotes(OTHER_EUROS, "EUR-USD", "fxcm", Verdict.STANDBY, FXCM_BEHIND_US)
    return list(lived(merge(gold, euros, others, key=lambda tick: tick.received_at)))


def _quotes(path: Path, name: str, source: str, verdict: Verdict = Verdict.PRICE, behind_us: int = 0) -> Iterator[Tick]:
    newest = 0
    for line in lines_of(path)[0]:
        at = line.time_us + behind_us
        newest = max(newest, at)
        judged = verdict if line.moves else Verdict.LATE if line.late else Verdict.OUTLIER
        yield Tick(name, judged, QUOTE, line.price, line.bid, line.ask, None, at, newest, source)


def comex() -> list[Happening]:
    """The contract that was traded most."""
    with ZipFile(COMEX) as archive:
        text = archive.read("20131009_gc_tick_trade_201312.csv").decode()
    return list(lived(_trades(text)))


def _trades(text: str) -> Iterator[Tick]:
    newest = 0
    for ms, price, size, *_ in csv.reader(text.splitlines()):
        at = COMEX_MIDNIGHT_US + int(ms) * 1_000
        verdict = Verdict.LATE if at < newest else Verdict.PRICE
        newest = max(newest, at)
        yield Tick("GC", verdict, TRADE, float(price), None, None, float(size) or None, at, newest, "comex")


def lived(ticks: Iterable[Tick], beat_us: int = 5 * SECOND_US) -> Iterator[Happening]:
    """With what the hub adds: it says when an instrument is silent for too long, and its clock goes on by itself."""
    moved: dict[str, int] = {}
    clock = 0
    for tick in ticks:
        while clock and clock + beat_us < tick.received_at:
            clock += beat_us
            for name, at in list(moved.items()):
                if clock > (stale := at + round(INSTRUMENTS[name].stale_after_s * SECOND_US)):
                    del moved[name]
                    yield Told(EventKind.STALE, name, stale)
            yield Beat(clock)
        clock = max(clock, tick.received_at)
        if tick.verdict == Verdict.PRICE:
            moved[tick.instrument] = tick.received_at
        yield tick


# ----------------------------------------------------------------------------------------------- alerts

TIMES: dict[str, Any] = {"repeat": "every time"}
at_most = partial(dict[str, Any], repeat="every time")


def alert(*clauses: Clause, **options: Any) -> AlertSpec:
    return AlertSpec(clauses=clauses, **{**TIMES, **options})


def when(series: of.Series, condition: Any, level: float, high: float | None = None, **more: Any) -> Clause:
    return Clause(series=series, condition=condition, level=level, high=high, **more)


def alerts_on(name: str, level: float, step: float) -> list[AlertSpec]:
    """Every kind of condition on one instrument that moves about a level; `step` is what it moves in a minute or so."""
    price = Price(instrument=name)
    mid = level + step
    found = [
        alert(when(price, "above", level)),
        alert(when(price, "below", level), band=Band(0.0, False)),
        alert(when(price, "crosses", mid), band=Band(step / 10, False)),
        alert(when(price, "crosses", mid), at_most_us=600 * SECOND_US),
        alert(when(price, "above", mid), repeat="once"),
        alert(when(price, "above", mid), hold_us=10 * SECOND_US),
        alert(when(price, "crosses", level), hold_us=60 * SECOND_US, band=Band(0.0, False)),
        alert(when(price, "inside", level, mid), band=Band(step / 10, False)),
        alert(when(price, "inside", level, mid), hold_us=5 * SECOND_US),
        alert(when(price, "outside", level, mid), band=Band(step / 4, False)),
        alert(when(price, "trails", step)),
        alert(when(price, "trails", 0.1, percent=True, rising=True)),
        alert(when(price, "every", step)),
        alert(when(price, "every", 0.05, percent=True), at_most_us=60 * SECOND_US),
    ]
    for window in (60, 900, 7_200):
        found += [
            alert(when(Move(of=price, window_us=window * SECOND_US, way=way, percent=True), "above", 0.1))
            for way in ("down", "up", "either")
        ]
        found.append(alert(when(Change(of=price, window_us=window * SECOND_US), "crosses", 0.05)))
    found.append(alert(when(Move(of=price, window_us=HOUR_US, way="down", percent=False), "above", step)))
    for edge in ("high", "low"):
        for period in ("day", "52w", "all"):
            far = Distance(of=price, edge=edge, period=period, percent=period != "all")
            found.append(alert(when(far, "above", 0.15 if period != "all" else step)))
            found.append(alert(when(far, "below", 0.0213 if period != "all" else step / 5)))
    return found + _indicated(price, level, step)


def _indicated(price: Price, level: float, step: float) -> list[AlertSpec]:
    def indicator(name: str, *numbers: float, rung: str = "1m", live: bool = False) -> Indicator:
        return Indicator(name=name, of=price, numbers=numbers, rung=rung, live=live)

    off = step * 0.137
    slow = indicator("sma", 20)
    return [
        alert(when(slow, "crosses", level + off)),
        alert(when(indicator("ema", 12, rung="5m"), "above", level + off), band=Band(0.0, False)),
        alert(when(indicator("sma", 3, rung="15m", live=True), "crosses", level + off)),
        alert(when(indicator("rsi", 14), "above", 70.0137)),
        alert(when(indicator("rsi", 14), "below", 30.0137), hold_us=120 * SECOND_US),
        alert(when(indicator("rsi", 5, rung="5m", live=True), "outside", 25.0137, 75.0137)),
        alert(when(indicator("macd", 12, 26, 9), "crosses", off / 10)),
        alert(when(indicator("macd_signal", 12, 26, 9), "crosses", off / 10)),
        alert(when(indicator("macd_histogram", 5, 13, 4, rung="5m"), "crosses", off / 10)),
        alert(when(Against(first=price, second=indicator("bollinger_upper", 20, 2)), "above", 0.0)),
        alert(when(Against(first=price, second=indicator("bollinger_lower", 20, 2)), "below", 0.0)),
        alert(when(Against(first=indicator("sma", 5), second=slow), "crosses", 0.0), band=Band(0.0, False)),
        alert(when(Against(first=indicator("ema", 4, rung="15m", live=True), second=slow), "crosses", 0.0)),
        alert(when(price, "above", level), when(indicator("rsi", 14), "above", 55.0137), join="and"),
        alert(when(price, "below", level), when(slow, "above", level - off), join="and", hold_us=30 * SECOND_US),
        alert(when(price, "crosses", level), when(price, "trails", step), join="or"),
        alert(when(price, "above", level), when(price, "below", level - step), join="then", within_us=HOUR_US),
        alert(when(price, "below", level), when(price, "crosses", level + step), join="then", within_us=HOUR_US),
    ]


def payroll_alerts() -> list[AlertSpec]:
    gold, euro = Price(instrument="XAU-USD"), Price(instrument="EUR-USD")
    gram = Price(instrument="XAU-USD", karat=22.0, currency="EUR", unit="gram")
    ratio = Ratio(over=gold, under=euro)
    gap = Difference(first=Price(instrument="XAU-USD", side="ask"), second=gold)
    last = 46_800 * SECOND_US + MIDNIGHT_US
    return [
        *alerts_on("XAU-USD", 1284.0, 1.0),
        alert(when(Spread(instrument="XAU-USD"), "above", 0.5)),
        alert(when(Spread(instrument="XAU-USD"), "inside", 0.3, 0.4), hold_us=2 * SECOND_US),
        alert(when(Price(instrument="XAU-USD", side="bid"), "crosses", 1284.1)),
        alert(when(gram, "crosses", 27.2837)),
        alert(when(gram, "trails", 0.1, percent=True)),
        alert(when(ratio, "outside", 924.2, 926.3), band=Band(0.1, True)),
        alert(when(ratio, "every", 0.5)),
        alert(when(gap, "above", 0.25), at_most_us=60 * SECOND_US),
        alert(when(gold, "above", 1284.0), when(euro, "above", 1.387), join="and"),
        alert(when(gold, "outside", 1282.0, 1285.0), when(Spread(instrument="EUR-USD"), "below", 0.00014), join="and"),
        alert(when(euro, "crosses", 1.387), sources=2, band=Band(0.0, False)),
        alert(when(euro, "above", 1.3868), sources=2, hold_us=2 * SECOND_US, band=Band(0.00005, False)),
        alert(when(gold, "crosses", 1284.0), until_us=last),
        alert(when(Move(of=ratio, window_us=HOUR_US, way="either", percent=True), "above", 0.1)),
    ]


def comex_alerts() -> list[AlertSpec]:
    gold = Price(instrument="GC")
    minute, hour = (Volume(instrument="GC", window_us=span) for span in (60 * SECOND_US, HOUR_US))
    return [
        *alerts_on("GC", 1306.0, 1.0),
        alert(when(minute, "above", 300)),
        alert(when(minute, "outside", 20, 500), hold_us=5 * SECOND_US),
        alert(when(hour, "crosses", 8_000)),
        alert(when(gold, "above", 1306.0), when(minute, "above", 200), join="and"),
        alert(when(minute, "above", 300), when(gold, "trails", 0.5), join="then", within_us=300 * SECOND_US),
    ]
