"""Series: the numbers that alerts watch, as values. Alerts with the same `key` look at the same numbers. Pure.

A series names what is computed, of what, over which span; hub.rules.graph computes it. `text` is how it stands in an
alert's canonical line, `measure` what sort of number it is: that says which levels make sense, what the default band
is, and how the number is shown. Depends on hub.units for the words of weights.
"""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from hub.model import SECOND_US
from hub.rules.numbers import digits

Side = Literal["price", "bid", "ask", "mid", "last"]
Way = Literal["down", "up", "either"]
Edge = Literal["high", "low"]
Period = Literal["day", "52w", "all"]
Measure = Literal["price", "ratio", "difference", "spread", "volume", "percent", "index", "signed"]

MINUTE_US, HOUR_US, DAY_US = 60 * SECOND_US, 3_600 * SECOND_US, 86_400 * SECOND_US
RUNGS: dict[str, int] = {"1m": 60, "5m": 300, "15m": 900, "30m": 1_800, "1h": 3_600, "4h": 14_400, "1d": 86_400}
"""The candles that an indicator may stand on → their length in seconds."""
LONGEST_WINDOW_US = 31 * DAY_US
INDICATORS: dict[str, tuple[float, ...]] = {
    "sma": (20,),
    "ema": (20,),
    "rsi": (14,),
    "macd": (12, 26, 9),
    "macd_signal": (12, 26, 9),
    "macd_histogram": (12, 26, 9),
    "bollinger_upper": (20, 2),
    "bollinger_middle": (20, 2),
    "bollinger_lower": (20, 2),
}
"""Name → its numbers where a line says none: periods in candles, and for Bollinger's bands the deviations."""
MOST_CANDLES = 500
"""The longest period of an indicator."""
PERIODS: dict[Period, str] = {"day": "day", "52w": "52w", "all": "all-time"}
"""As they stand in a line: "5% below 52w high"."""


class Of(msgspec.Struct, frozen=True, kw_only=True):
    """A series. Frozen and comparable; two that are equal are the same series."""


class Price(Of, frozen=True, kw_only=True):
    """What an instrument costs: its price, or one side of it; of metals also of a fineness, weight and currency."""

    instrument: str
    side: Side = "price"  # price: as the instrument's price basis says
    karat: float = 0.0  # 0: as it is traded
    currency: str = ""  # empty: the instrument's own
    unit: str = ""  # a name in hub.units.GRAMS; empty: the instrument's own

    @property
    def plain(self) -> bool:
        """Whether it is the instrument's price as it is served."""
        return self.side == "price" and not (self.karat or self.currency or self.unit)


class Ratio(Of, frozen=True, kw_only=True):
    over: Price
    under: Price


class Difference(Of, frozen=True, kw_only=True):
    """first - second, both in the currency of the first."""

    first: Price
    second: Price


Base = Price | Ratio | Difference


class Spread(Of, frozen=True, kw_only=True):
    """Ask less bid."""

    instrument: str


class Volume(Of, frozen=True, kw_only=True):
    """What was traded in the last `window_us`, by the volumes that the speaking source's trades state."""

    instrument: str
    window_us: int


class Change(Of, frozen=True, kw_only=True):
    """In percent, against the value of `window_us` ago; signed."""

    of: Base
    window_us: int


class Move(Of, frozen=True, kw_only=True):
    """How far below the highest value of the last `window_us` (down), above the lowest (up), or the greater of the two;
    never negative."""

    of: Base
    window_us: int
    way: Way
    percent: bool


class Distance(Of, frozen=True, kw_only=True):
    """How far below the high, or above the low, of a period that is still going on; never negative."""

    of: Base
    edge: Edge
    period: Period
    percent: bool


class Indicator(Of, frozen=True, kw_only=True):
    """On candles of `rung`, counted at their close, or `live` with the candle that is not closed yet."""

    name: str  # one of INDICATORS
    of: Base
    numbers: tuple[float, ...]
    rung: str  # one of RUNGS
    live: bool = False


class Portfolio(Of, frozen=True, kw_only=True):
    """What the owner of the alert holds is worth; at most once a second. `name` "" is the portfolio that needs none."""

    name: str = ""
    currency: str = ""  # empty: the owner's own, which is filled in when the alert is made


class Against(Of, frozen=True, kw_only=True):
    """How far the first stands above the second: in percent of the second where both are above zero by nature, else
    the plain difference."""

    first: Base | Indicator
    second: Base | Indicator

    @property
    def relative(self) -> bool:
        return measure(self.first) in ("price", "ratio") and measure(self.second) in ("price", "ratio")


Series = Price | Ratio | Difference | Spread | Volume | Change | Move | Distance | Indicator | Portfolio | Against


def measure(series: Series) -> Measure:
    match series:
        case Price() | Portfolio():
            return "price"
        case Ratio():
            return "ratio"
        case Difference():
            return "difference"
        case Spread():
            return "spread"
        case Volume():
            return "volume"
        case Change():
            return "percent"
        case Move() | Distance():
            return "percent" if series.percent else "spread"
        case Indicator():
            if series.name == "rsi":
                return "index"
            return "signed" if series.name.startswith("macd") else measure(series.of)
        case Against():
            return "percent" if series.relative else "signed"


SIGNED: tuple[Measure, ...] = ("difference", "signed")
"""Measures of which a level may be zero or below; so may a change's."""


def signed(series: Series) -> bool:
    return measure(series) in SIGNED or isinstance(series, Change)


def key(series: Series) -> str:
    """Its name among all series; a plain price's is as it always was."""
    if isinstance(series, Price) and series.plain:
        return f"price({text(series)})"
    return text(series)


def instruments(series: Series) -> tuple[str, ...]:
    """Those that it names, each once, in their order; currencies come on top where one is converted."""
    if isinstance(series, Price):
        return (series.instrument,)
    return tuple(dict.fromkeys(price.instrument for price in prices(series)))


def prices(series: Series) -> Iterator[Price]:
    """Every price that goes into it."""
    match series:
        case Price():
            yield series
        case Ratio():
            yield from (series.over, series.under)
        case Difference():
            yield from (series.first, series.second)
        case Spread() | Volume():
            yield Price(instrument=series.instrument)
        case Against():
            yield from prices(series.first)
            yield from prices(series.second)
        case Portfolio():
            return
        case _:
            yield from prices(series.of)


def base(series: Series) -> Series:
    """What its numbers are made of: the price or ratio that moves, falls or is averaged."""
    return series.of if isinstance(series, Change | Move | Distance | Indicator) else series


# ------------------------------------------------------------------------------------------------ as text


def text(series: Series) -> str:
    """As it stands in a canonical line. A Move and a Distance are said together with their level: here they have a
    name of their own, which no line holds."""
    match series:
        case Price():
            return _price(series)
        case Ratio():
            return f"{_price(series.over)} / {behind_sign(_price(series.under))}"
        case Difference():
            return f"{_price(series.first)} - {behind_sign(_price(series.second))}"
        case Spread():
            return f"spread({series.instrument})"
        case Volume():
            return f"volume({series.instrument}, {span(series.window_us)})"
        case Change():
            return f"change({text(series.of)}, {span(series.window_us)})"
        case Move():
            return f"move({text(series.of)}, {series.way}, {span(series.window_us)}{_unit(series.percent)})"
        case Distance():
            return f"distance({text(series.of)}, {series.period} {series.edge}{_unit(series.percent)})"
        case Indicator():
            numbers = "".join(f", {digits(number)}" for number in series.numbers)
            return f"{series.name}({text(series.of)}{numbers}, {series.rung}{', live' if series.live else ''})"
        case Portfolio():
            name = f' "{quoted(series.name)}"' if series.name else ""
            return f"portfolio{name}{f' in {series.currency}' if series.currency else ''}"
        case Against():
            return f"{text(series.first)} against {text(series.second)}"


_READ_OTHERWISE = re.compile(
    r"(?:[0-9]|(?:ABOVE|AT|ATH|ATL|BELOW|BETWEEN|BREAKS?|CLIMBS?|COMES|CROSS|CROSSES|DIPS?|DROPS?|ENTERS|EQUALS?|EXCEEDS?"
    r"|EXITS|FALLS?|G|GM|GR|GRAMM?E?S?|GETS?|GOE?S?|HIGH|HITS?|IN|INSIDE|INTO|IS|JUMPS?|KG|KILOS?|KILOGRAMS?|LEAVES|LOW"
    r"|MOVES?|OUNCES?|OUT|OUTSIDE|OVER|OZ|OZT|PORTFOLIO|REACH|REACHES|RISES?|SINKS?|STAYS?|TAELS?|THEN|TOLA[HS]?|TOPS?"
    r"|TOUCH|TOUCHES|TOZ|TROY|UNDER|WITHIN)(?![A-Z0-9]))\S*"
)
"""Ids that would be taken for a number, a weight, a high or a condition, where one could stand as well."""


def behind_sign(written: str) -> str:
    """What stands behind a sign or begins a clause: its first word in quotation marks if it would be read otherwise."""
    found = _READ_OTHERWISE.match(written)
    return f'"{found[0]}"{written[found.end() :]}' if found else written


def _price(price: Price) -> str:
    parts = [price.instrument]
    if price.karat:
        parts.append(f"{digits(price.karat)}k")
    if price.side != "price":
        parts.append(price.side)
    if price.currency:
        parts.append(f"in {price.currency}")
    if price.unit:
        parts.append(f"per {_UNITS.get(price.unit, price.unit)}")
    return " ".join(parts)


_UNITS = {"troy ounce": "oz", "kilogram": "kg"}
"""Units in one short word."""


def _unit(percent: bool) -> str:
    return ", percent" if percent else ""


def span(span_us: int) -> str:
    """ "1h", "90m", "7d": in the largest unit that it is a whole number of."""
    for unit_us, unit in ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "m")):
        if span_us % unit_us == 0:
            return f"{span_us // unit_us}{unit}"
    return f"{span_us // SECOND_US}s"


def quoted(note: str) -> str:
    """What stands between quotation marks."""
    return note.replace("\\", "\\\\").replace('"', '\\"')
