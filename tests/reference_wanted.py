"""Alerts for the reference and the hub to be held against each other, as hypothesis strategies.

They are whatever the language can say of a few instruments, with levels that the markets of reference_worlds visit.
"""

from functools import partial
from typing import Any, NamedTuple

import hypothesis.strategies as st

from hub.rules import series as of
from hub.rules.spec import AlertSpec, Band, Clause, Condition
from tests.reference_market import SECOND_US
from tests.reference_worlds import BEFORE, GRID, INSTRUMENTS, MIDNIGHT_US

# ------------------------------------------------------------------------------------------------ series


class Wanted(NamedTuple):
    """A series, the conditions that make sense with it, and levels that it visits."""

    series: of.Series
    conditions: tuple[Condition, ...]
    levels: st.SearchStrategy[float]
    step: float


CROSSINGS: tuple[Condition, ...] = ("above", "below", "crosses")
STATES: tuple[Condition, ...] = (*CROSSINGS, "inside", "outside")
ALL: tuple[Condition, ...] = (*STATES, "trails", "every")
STEP = st.integers(-6, 6)
WINDOWS = st.sampled_from([seconds * SECOND_US for seconds in (10, 60, 300, 3_600, 86_400)])
OFF = 0.1372
"""Of a step: levels of what may be computed in several ways stand off the grid."""

SIDES: tuple[of.Side, ...] = ("bid", "ask", "mid", "last")

names = st.sampled_from(("XAU-USD", "XAU-USD", "XAG-USD", "BTC-USD", "EUR-USD"))


def worth(price: of.Price, step: float) -> float:
    """What it is there, with its spread at half a step."""
    base, size = GRID[price.instrument]
    value = base + step * size + {"bid": -0.125 * size, "ask": 0.125 * size}.get(price.side, 0.0)
    value *= (price.karat or 24) / 24 * (of_ounce(price.unit) if price.unit else 1)
    return value / 1.25 if price.currency == "EUR" else value


def of_ounce(unit: str) -> float:
    return {"gram": 1.0, "tola": 11.6638038, "kilogram": 1000.0}[unit] / 31.1034768


@st.composite
def prices(draw: st.DrawFn, plain: bool = False) -> of.Price:
    name = draw(names)
    if plain or draw(st.booleans()):
        return of.Price(instrument=name)
    side = draw(st.sampled_from(SIDES))
    if draw(st.booleans()):
        return of.Price(instrument=name, side=side)
    metal = INSTRUMENTS[name].class_ == "metal"
    return of.Price(
        instrument=name,
        side=draw(st.sampled_from(("price", side))),
        karat=draw(st.sampled_from((0.0, 22.0))) if metal else 0.0,
        unit=draw(st.sampled_from(("gram", "", "tola"))) if metal else "",
        currency=draw(st.sampled_from(("EUR", ""))),
    )


@st.composite
def bases(draw: st.DrawFn) -> Wanted:
    """A price, a ratio or a difference."""
    kind = draw(st.sampled_from(("price", "price", "price", "ratio", "difference")))
    first = draw(prices(plain=kind == "ratio"))
    size = abs(worth(first, 1) - worth(first, 0))
    exact = not (first.karat or first.unit or first.currency)
    if kind == "price":
        off = 0.0 if exact else OFF
        return Wanted(first, ALL, STEP.map(lambda step: worth(first, step + off)), size)
    second = of.Price(instrument=draw(names.filter(lambda name: name != first.instrument)))
    pairs = st.tuples(STEP, STEP)
    if kind == "ratio":
        levels = pairs.map(lambda steps: worth(first, steps[0]) / worth(second, steps[1]))
        return Wanted(of.Ratio(over=first, under=second), ALL, levels, size / worth(second, 0))
    other = of.Price(instrument=second.instrument, currency=first.currency)
    levels = pairs.map(lambda steps: worth(first, steps[0] + (0 if exact else OFF)) - worth(other, steps[1]))
    return Wanted(of.Difference(first=first, second=other), ALL, levels, size)


@st.composite
def indicators(draw: st.DrawFn, over: Wanted | None = None) -> Wanted:
    base = over or draw(bases())
    name = draw(st.sampled_from(tuple(of.INDICATORS)))
    small = st.integers(2, 4)
    numbers: tuple[float, ...] = (draw(small),)
    if name.startswith("macd"):
        fast = draw(st.integers(1, 3))
        numbers = (fast, fast + draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    if name.startswith("bollinger"):
        numbers = (draw(small), draw(st.sampled_from((1.0, 2.0, 0.5))))
    series = of.Indicator(
        name=name,
        of=base.series,  # type: ignore[arg-type]
        numbers=numbers,
        rung=draw(st.sampled_from(("1m", "1m", "1m", "5m", "1h", "1d"))),
        live=draw(st.booleans()),
    )
    if name == "rsi":
        return Wanted(series, STATES, st.integers(2, 8).map(lambda ten: ten * 10 + OFF), 10.0)
    if name.startswith("macd"):
        return Wanted(series, STATES, st.integers(-2, 2).map(lambda step: (step + OFF) * base.step), base.step)
    return Wanted(series, ALL, base.levels.map(lambda level: level + OFF * base.step), base.step)


@st.composite
def compared(draw: st.DrawFn) -> Wanted:
    """One against another of its sort: level 0."""
    base = draw(bases())
    first = draw(st.one_of(st.just(base.series), indicators(base).map(lambda one: one.series)))
    second = draw(indicators(base).map(lambda one: one.series).filter(lambda one: one != first and _alike(one, first)))
    pair: tuple[Any, Any] = (first, second) if draw(st.booleans()) else (second, first)
    return Wanted(of.Against(first=pair[0], second=pair[1]), CROSSINGS, st.just(0.0), 0.05)


def _alike(one: of.Series, other: of.Series) -> bool:
    return of.measure(one) == of.measure(other)


@st.composite
def looks_back(draw: st.DrawFn) -> Wanted:
    """A change, a move or a distance."""
    kind = draw(st.sampled_from((of.Change, of.Move, of.Move, of.Distance, of.Distance)))
    base = draw(bases().filter(lambda one: kind != of.Change or of.measure(one.series) != "difference"))
    signed = of.measure(base.series) == "difference"
    percent = not signed and draw(st.booleans())
    pairs = st.tuples(base.levels, base.levels)
    shares = pairs.map(lambda pair: (pair[0] - pair[1]) / pair[1] * 100)
    sizes = st.integers(1, 8).map(lambda step: step * base.step)
    levels = shares.map(abs) if percent else sizes
    series: Any
    if kind == of.Change:
        series = of.Change(of=base.series, window_us=draw(WINDOWS))  # type: ignore[arg-type]
        return Wanted(series, STATES, shares, 0.1)
    if kind == of.Move:
        way = draw(st.sampled_from(("down", "up", "either")))
        series = of.Move(of=base.series, window_us=draw(WINDOWS), way=way, percent=percent)  # type: ignore[arg-type]
        return Wanted(series, ("above",), levels.filter(bool), base.step)
    edge, period = draw(st.sampled_from(("high", "low"))), draw(st.sampled_from(("day", "52w", "all")))
    series = of.Distance(of=base.series, edge=edge, period=period, percent=percent)  # type: ignore[arg-type]
    if percent and draw(st.integers(0, 4)) == 0:
        return Wanted(series, ("below",), st.just(0.0), base.step)
    return Wanted(series, ("above", "below"), levels.filter(bool), base.step)


@st.composite
def amounts(draw: st.DrawFn) -> Wanted:
    """A spread or a volume."""
    name = draw(names)
    if draw(st.booleans()):
        size = GRID[name][1]
        levels = st.sampled_from((0.25, 0.5, 1.0, 1.5)).map(lambda part: part * size)
        return Wanted(of.Spread(instrument=name), STATES, levels, size / 4)
    series = of.Volume(instrument=draw(st.sampled_from(("BTC-USD", name))), window_us=draw(WINDOWS))
    return Wanted(series, STATES, st.integers(1, 16).map(lambda quarters: quarters / 4), 0.25)


wanted = st.one_of(bases(), bases(), indicators(), compared(), looks_back(), looks_back(), amounts())


# ------------------------------------------------------------------------------------------------ alerts


@st.composite
def clauses(draw: st.DrawFn, among: tuple[Condition, ...] = ALL, simple: bool = False) -> Clause:
    one = draw(bases() if simple else wanted)
    condition = draw(st.sampled_from([each for each in one.conditions if each in among]))
    money = of.measure(one.series) in ("price", "ratio")
    level = draw(one.levels)
    clause = partial(Clause, series=one.series, condition=condition)
    if condition in ("inside", "outside"):
        other = draw(one.levels.filter(lambda high: high != level))
        return clause(level=min(level, other), high=max(level, other))
    if condition in ("trails", "every"):
        percent = money and draw(st.booleans())
        step = draw(st.integers(1, 4))
        rising = condition == "trails" and draw(st.booleans())
        return clause(level=step * (0.125 if percent else one.step), percent=percent, rising=rising)
    return clause(level=level)


SPANS = st.sampled_from([seconds * SECOND_US for seconds in (1, 2, 5, 10, 60, 600)])
BANDS = st.one_of(
    st.none(),
    st.none(),
    st.just(Band(0.0, False)),
    st.sampled_from((0.05, 0.1)).map(lambda percent: Band(percent, True)),
    st.sampled_from((0.0625, 1.0)).map(lambda value: Band(value, False)),
)


@st.composite
def alerts(draw: st.DrawFn) -> AlertSpec:
    join = draw(st.sampled_from(("", "", "", "and", "or", "then")))
    options: dict[str, Any] = {"join": join}
    if join == "and":
        among: tuple[Condition, ...] = ("above", "below", "inside", "outside")
    else:
        among = tuple(one for one in ALL if one != "every" or not join)
    count = draw(st.sampled_from((2, 2, 3))) if join in ("and", "or") else 2 if join else 1
    simple = draw(st.booleans())
    options["clauses"] = tuple(draw(clauses(among, simple)) for _ in range(count))
    every = draw(st.sampled_from(("once", "every time", "at most")))
    conditions = {clause.condition for clause in options["clauses"]}
    if every != "once" or "every" in conditions:
        options["repeat"] = "every time"
    if every == "at most":
        options["at_most_us"] = draw(SPANS)
    if conditions - FOLLOWING and _comes_back(options["clauses"], band := draw(BANDS)):
        options["band"] = band
    lasting = join != "then" and not conditions & FOLLOWING
    if lasting and draw(st.integers(0, 2)) == 0:
        options["hold_us"] = draw(SPANS)
    if join == "then":
        options["within_us"] = draw(SPANS)
    if draw(st.integers(0, 7)) == 0:
        options["until_us"] = MIDNIGHT_US + (draw(BEFORE) + draw(st.integers(0, 300))) * SECOND_US
    priced = all(isinstance(one.series, of.Price) and one.series.side == "price" for one in options["clauses"])
    if priced and not conditions & FOLLOWING:
        options["sources"] = draw(st.sampled_from((1, 1, 2, 3)))
    return AlertSpec(**options)


FOLLOWING: set[Condition] = {"trails", "every"}


def _comes_back(clauses: tuple[Clause, ...], band: Band | None) -> bool:
    """Whether values that are never below zero can come behind such a band."""
    for one in clauses:
        points = of.measure(one.series) == "percent" or (band is not None and not band.percent)
        if band is not None and points and not of.signed(one.series) and one.level <= band.value:
            return False
    return True
