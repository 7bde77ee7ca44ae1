"""Every alert that there can be, as hypothesis strategies: each kind of series, condition, join and option."""

from hypothesis import strategies as st

from hub.instruments import CATALOGUE, build_catalogue
from hub.model import SECOND_US
from hub.rules.language.money import CODES
from hub.rules.numbers import HIGHEST, LOWEST
from hub.rules.series import (
    INDICATORS,
    LONGEST_WINDOW_US,
    MOST_CANDLES,
    RUNGS,
    Against,
    Base,
    Change,
    Difference,
    Distance,
    Edge,
    Indicator,
    Move,
    Portfolio,
    Price,
    Ratio,
    Series,
    Spread,
    Volume,
    Way,
    measure,
)
from hub.rules.spec import AlertSpec, Band, Clause, Condition, Join
from hub.units import GRAMS

ODD = (
    "7203",
    "600519.SS",
    "LOW",
    "HIGH",
    "G",
    "KG",
    "A",
    "AT",
    "OR",
    "IN",
    "UP",
    "ATH",
    "TOP-USD",
    "OVER",
    "G-USD",
    "LOW.B",
    "DROP",
    "BRK.B",
    "1INCH-USD",
    "X_Y-",
)
"""Ids that look like a number or a word of the language."""
FOUND = build_catalogue({each: {"name": each} for each in ODD}, ("XAU-USD", "XAG-USD", "BTC-USDT", "ETH-USDT"))
find, get = FOUND.find, FOUND.get
INSTRUMENTS = [*CATALOGUE, *(find(each) for each in ODD)]
METALS = [each for each in CATALOGUE if each.class_ == "metal"]

seconds = st.integers(1, LONGEST_WINDOW_US // SECOND_US) | st.sampled_from([1, 60, 3600, 86_400, 7 * 86_400])
spans = seconds.map(lambda s: s * SECOND_US)
sizes = st.floats(LOWEST, HIGHEST, exclude_max=True) | st.integers(1, 10**6).map(float)
shares = st.floats(LOWEST, 100, exclude_max=True) | st.integers(1, 99).map(float)
rises = shares | st.floats(100, 1e6, exclude_max=True)
signed_sizes = st.just(0.0) | sizes | sizes.map(lambda size: -size)
note_characters = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
ids = st.sampled_from([each.id for each in INSTRUMENTS])


def currency_of(price: Price) -> str:
    instrument = get(price.instrument)
    assert instrument is not None
    return price.currency or instrument.currency


@st.composite
def prices(draw: st.DrawFn, currency: str = "") -> Price:
    """In `currency`, where one is given."""
    instrument = draw(st.sampled_from([*INSTRUMENTS, *METALS * 4]))
    wanted = currency or draw(st.just("") | st.sampled_from(sorted(CODES)))
    metal = instrument.class_ == "metal"
    weights = ["", *(set(GRAMS) - {instrument.unit})] if metal else [""]
    return Price(
        instrument=instrument.id,
        side=draw(st.sampled_from(["price", "price", "bid", "ask", "mid", "last"])),
        karat=draw(st.sampled_from([0.0, 22.0, 18.0, 14.5, 9.0])) if metal else 0.0,
        currency="" if wanted == instrument.currency else wanted,
        unit=draw(st.sampled_from(weights)),
    )


@st.composite
def ratios(draw: st.DrawFn) -> Ratio:
    over = draw(prices())
    return Ratio(over=over, under=draw(prices(currency_of(over))))


@st.composite
def differences(draw: st.DrawFn, currency: str = "") -> Difference:
    first = draw(prices(currency))
    return Difference(first=first, second=draw(prices(currency_of(first))))


bases = prices() | ratios() | differences()
positive = prices() | ratios()


@st.composite
def indicators(
    draw: st.DrawFn, of: st.SearchStrategy[Base] = bases, names: tuple[str, ...] = tuple(INDICATORS)
) -> Indicator:
    name = draw(st.sampled_from(names))
    numbers = [float(draw(st.integers(2, MOST_CANDLES))) for _ in INDICATORS[name]]
    if name.startswith("macd"):
        numbers = [*sorted(draw(st.sets(st.integers(1, MOST_CANDLES), min_size=2, max_size=2))), numbers[2]]
    if name.startswith("bollinger"):
        numbers[1] = draw(st.sampled_from([1.0, 2.0, 2.5, 0.125]))
    return Indicator(
        name=name,
        of=draw(of),
        numbers=tuple(map(float, numbers)),
        rung=draw(st.sampled_from(list(RUNGS))),
        live=draw(st.booleans()),
    )


portfolios = st.builds(
    Portfolio,
    name=st.just("") | st.text(note_characters, max_size=20).map(str.strip),
    currency=st.just("") | st.sampled_from(sorted(CODES)),
)
watched: st.SearchStrategy[Series] = (
    bases
    | st.builds(Spread, instrument=ids)
    | st.builds(Volume, instrument=ids, window_us=spans)
    | st.builds(Change, of=positive, window_us=spans)
    | indicators()
    | portfolios
)
"""What can stand at a level."""


@st.composite
def againsts(draw: st.DrawFn) -> Against:
    """Two that are numbers of the same sort, in one currency."""
    first: Base
    match draw(st.sampled_from(["price", "ratio", "difference", "rsi", "macd"])):
        case "price":
            first = draw(prices())
            others = prices(currency_of(first))
            averages = indicators(others, ("ema", "bollinger_upper"))
            return Against(
                first=draw(st.just(first) | indicators(st.just(first), ("sma", "bollinger_lower"))),
                second=draw(others.filter(lambda other: other != first) | averages),
            )
        case "ratio":
            first = draw(ratios())
            return Against(first=first, second=draw(indicators(ratios(), ("sma", "ema"))))
        case "difference":
            first = draw(differences())
            second = differences(currency_of(first.first))
            return Against(first=first, second=draw(second.filter(lambda other: other != first)))
        case "rsi":
            return Against(first=draw(indicators(prices(), ("rsi",))), second=draw(indicators(ratios(), ("rsi",))))
        case _:
            price = draw(prices())
            return Against(
                first=draw(indicators(st.just(price), ("macd",))),
                second=draw(indicators(prices(currency_of(price)), ("macd_signal",))),
            )


def levels(series: Series) -> st.SearchStrategy[float]:
    match measure(series):
        case "index":
            return st.floats(0, 100)
        case "percent":
            return st.floats(-100, 1e6, exclude_min=True, exclude_max=True).filter(lambda x: x == 0 or abs(x) > 1e-300)
        case "difference" | "signed":
            return signed_sizes
        case _:
            return sizes


# ------------------------------------------------------------------------------------------------ clauses


@st.composite
def crossings(draw: st.DrawFn, conditions: tuple[Condition, ...] = ("above", "below", "crosses")) -> Clause:
    series = draw(watched)
    return Clause(series=series, condition=draw(st.sampled_from(conditions)), level=draw(levels(series)))


@st.composite
def ranges(draw: st.DrawFn) -> Clause:
    series = draw(watched)
    low, high = sorted(draw(st.sets(levels(series), min_size=2, max_size=2)))
    condition: Condition = draw(st.sampled_from(["inside", "outside"]))
    return Clause(series=series, condition=condition, level=low, high=high)


@st.composite
def moves(draw: st.DrawFn) -> Clause:
    percent = draw(st.booleans())
    way: Way = draw(st.sampled_from(["down", "up", "either"]))
    of = draw(positive if percent else bases)
    amount = (shares if way == "down" else rises) if percent else sizes
    series = Move(of=of, window_us=draw(spans), way=way, percent=percent)
    return Clause(series=series, condition="above", level=draw(amount))


@st.composite
def distances(draw: st.DrawFn) -> Clause:
    percent = draw(st.booleans())
    edge: Edge = draw(st.sampled_from(["high", "low"]))
    condition: Condition = draw(st.sampled_from(["above", "below"]))
    of = draw(positive if percent else bases)
    amount = (shares if edge == "high" else rises) if percent else sizes
    series = Distance(of=of, edge=edge, period=draw(st.sampled_from(["day", "52w", "all"])), percent=percent)
    return Clause(
        series=series, condition=condition, level=draw(st.just(0.0) | amount if condition == "below" else amount)
    )


@st.composite
def crossings_of_two(draw: st.DrawFn, conditions: tuple[Condition, ...] = ("above", "below", "crosses")) -> Clause:
    return Clause(series=draw(againsts()), condition=draw(st.sampled_from(conditions)))


@st.composite
def trails(draw: st.DrawFn) -> Clause:
    percent = draw(st.booleans())
    of = draw((positive | portfolios) if percent else (bases | portfolios))
    level = draw(shares if percent else sizes)
    return Clause(series=of, condition="trails", level=level, percent=percent, rising=draw(st.booleans()))


@st.composite
def ladders(draw: st.DrawFn) -> Clause:
    percent = draw(st.booleans())
    of = draw((positive | portfolios) if percent else (bases | portfolios))
    return Clause(series=of, condition="every", level=draw(rises if percent else sizes), percent=percent)


stating = crossings(("above", "below")) | ranges() | moves() | distances() | crossings_of_two(("above", "below"))
single = crossings() | ranges() | moves() | distances() | crossings_of_two() | trails()

# ------------------------------------------------------------------------------------------------- alerts


@st.composite
def bands(draw: st.DrawFn, clauses: tuple[Clause, ...]) -> Band | None:
    if all(each.condition in ("trails", "every") for each in clauses) or draw(st.booleans()):
        return None
    percent = draw(st.booleans())
    small = min([abs(each.level) for each in clauses if each.level] or [1.0])
    value = draw(st.just(0.0) | st.sampled_from([small / 2, small / 3]))
    return Band(value if LOWEST <= value < (100 if percent else HIGHEST) else 0.0, percent)


@st.composite
def alerts(draw: st.DrawFn) -> AlertSpec:
    """Any, joined or not, with any options that go together with it."""
    join: Join = draw(st.sampled_from(["", "", "", "and", "or", "then"]))
    clauses = tuple(draw(_clauses(join)))
    conditions = {each.condition for each in clauses}
    ladder = "every" in conditions
    at_most_us = draw(st.just(0) | spans)
    holds = join != "then" and not conditions & {"trails", "every"}
    plain = all(isinstance(each.series, Price) and each.series.side == "price" for each in clauses)
    confirmed = plain and not conditions & {"trails", "every"}
    return AlertSpec(
        clauses=clauses,
        join=join,
        within_us=draw(spans) if join == "then" else 0,
        hold_us=draw(st.just(0) | st.integers(1, 7 * 86_400).map(lambda s: s * SECOND_US)) if holds else 0,
        repeat="every time" if ladder or at_most_us else draw(st.sampled_from(["once", "every time"])),
        at_most_us=at_most_us,
        until_us=draw(st.none() | st.integers(0, 4_000_000_000).map(lambda s: s * SECOND_US)),
        sources=draw(st.integers(1, 5)) if confirmed else 1,
        band=draw(bands(clauses)),
        urgent=draw(st.booleans()),
        via=tuple(draw(st.lists(st.sampled_from(["telegram", "push", "slack", "my-bot_2"]), max_size=3, unique=True))),
        note=draw(st.text(note_characters, max_size=40)),
    )


def _clauses(join: Join) -> st.SearchStrategy[list[Clause]]:
    if join == "then":
        return st.lists(single, min_size=2, max_size=2)
    if join == "and":
        return st.lists(stating, min_size=2, max_size=4)
    if join == "or":
        return st.lists(single, min_size=2, max_size=4)
    return st.lists(single | ladders(), min_size=1, max_size=1)
