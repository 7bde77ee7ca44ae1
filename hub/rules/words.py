"""An alert in words for people, in the language that is spoken: its series, its numbers, and all of it. Pure.

Names and decimals are those of the instruments; `get` gives one by its id, and an id that it does not know stands for
itself. Depends on hub.i18n and hub.wording.
"""

import math
from collections.abc import Callable
from decimal import Decimal

from hub.i18n import _, later, spoken
from hub.model import SECOND_US, Instrument
from hub.rules.numbers import digits
from hub.rules.series import (
    Against,
    Change,
    Difference,
    Distance,
    Edge,
    Indicator,
    Move,
    Period,
    Portfolio,
    Price,
    Ratio,
    Series,
    Side,
    Spread,
    Volume,
    Way,
    measure,
    prices,
)
from hub.rules.spec import AlertSpec, Band, Clause
from hub.wording import DAY_US, HOUR_US, MINUTE_US, moment, own, zone

Get = Callable[[str], Instrument | None]

MOST_DECIMALS = 12
RATIO_DIGITS = 4
"""Digits that a ratio shows at least; a price has its instrument's decimals."""
REPEATS = {"once": later("once"), "every time": later("every time")}
SIDES: dict[Side, str] = {
    "bid": later("{instrument} bid"),
    "ask": later("{instrument} ask"),
    "mid": later("{instrument} mid"),
    "last": later("{instrument} last"),
}
WEIGHTS = {
    "troy ounce": later("per ounce"),
    "gram": later("per gram"),
    "kilogram": later("per kilogram"),
    "tola": later("per tola"),
    "tael": later("per tael"),
}
INDICATOR_NAMES = {
    "sma": "SMA",
    "ema": "EMA",
    "rsi": "RSI",
    "macd": "MACD",
    "macd_signal": later("MACD signal line"),
    "macd_histogram": later("MACD histogram"),
    "bollinger_upper": later("Upper Bollinger band"),
    "bollinger_middle": later("Middle Bollinger band"),
    "bollinger_lower": later("Lower Bollinger band"),
}
EDGES: dict[tuple[Period, Edge], str] = {
    ("day", "high"): later("day high"),
    ("day", "low"): later("day low"),
    ("52w", "high"): later("52-week high"),
    ("52w", "low"): later("52-week low"),
    ("all", "high"): later("all-time high"),
    ("all", "low"): later("all-time low"),
}
MOVES: dict[Way, str] = {
    "down": later("{what} falls {level} in {span}"),
    "up": later("{what} rises {level} in {span}"),
    "either": later("{what} moves {level} in {span}"),
}

# -------------------------------------------------------------------------------------------- the sentence


def describe(spec: AlertSpec, get: Get, zone: str = "UTC") -> str:
    """ "Gold rises to 2,400.00 or above, once"; `zone` is the time zone in which its end is told."""
    parts = [_joined(spec, [clause_words(clause, get) for clause in spec.clauses])]
    if spec.hold_us:
        parts.append(_("lasting {span}").format(span=span_words(spec.hold_us)))
    if spec.at_most_us:
        parts.append(_("at most every {span}").format(span=span_words(spec.at_most_us)))
    else:
        parts.append(_(REPEATS[spec.repeat]))
    if spec.until_us is not None:
        parts.append(_("until {moment}").format(moment=_moment(spec.until_us, zone)))
    if spec.sources > 1:
        parts.append(_("confirmed by {count} sources").format(count=spec.sources))
    if spec.band is not None:
        parts.append(_("band {band}").format(band=_band(spec.band)))
    if spec.urgent:
        parts.append(_("urgent"))
    if spec.via:
        parts.append(_("via {places}").format(places=_(" and ").join(spec.via)))
    if spec.note:
        parts.append(_('note "{note}"').format(note=spec.note))
    return ", ".join(parts)


def _joined(spec: AlertSpec, said: list[str]) -> str:
    if spec.join == "then":
        first, second = said
        return _("{first}, then {second} within {span}").format(
            first=first, second=second, span=span_words(spec.within_us)
        )
    return (_(" or ") if spec.join == "or" else _(" and ")).join(said)


def _moment(time_us: int, zone_name: str) -> str:
    local = moment(time_us).astimezone(zone(zone_name))
    return local.strftime(f"{spoken().day} %H:%M:%S" if local.second else f"{spoken().day} %H:%M")


def span_words(span_us: int) -> str:
    """ "1 d 12 h": all of it, since an alert goes by all of it."""
    parts, left_us = [], span_us
    for length_us, unit in ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min"), (SECOND_US, "s")):
        count, left_us = divmod(left_us, length_us)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)


def _band(band: Band) -> str:
    return _share(band.value) if band.percent else own(digits(band.value))


# --------------------------------------------------------------------------------------------- one clause


def clause_words(clause: Clause, get: Get) -> str:
    """ "Silver falls 5 % in 1 h"."""
    series = clause.series
    if isinstance(series, Move):
        what, span = series_words(series.of, get), span_words(series.window_us)
        return _(MOVES[series.way]).format(what=what, level=_amount(series, clause.level, get), span=span)
    if isinstance(series, Distance):
        return _distance(series, clause, get)
    if isinstance(series, Against):
        return _against(series, clause, get)
    what, level = series_words(series, get), level_words(series, clause.level, get)
    match clause.condition:
        case "above":
            return _("{what} rises to {level} or above").format(what=what, level=level)
        case "below":
            return _("{what} falls to {level} or below").format(what=what, level=level)
        case "crosses":
            return _("{what} crosses {level}").format(what=what, level=level)
        case "trails" | "every":
            return _step(clause, what, get)
        case _:
            return _range(clause, what, level, get)


def _range(clause: Clause, what: str, low: str, get: Get) -> str:
    high = level_words(clause.series, clause.high or 0.0, get)
    if clause.condition == "inside":
        return _("{what} comes between {low} and {high}").format(what=what, low=low, high=high)
    return _("{what} leaves {low} to {high}").format(what=what, low=low, high=high)


def _step(clause: Clause, what: str, get: Get) -> str:
    level = _share(clause.level) if clause.percent else level_words(clause.series, clause.level, get)
    if clause.condition == "every" and clause.percent:
        return _("{what} moves by another {level}").format(what=what, level=level)
    if clause.condition == "every":
        return _("{what} passes a multiple of {level}").format(what=what, level=level)
    if clause.rising:
        return _("{what} rises {level} above its lowest since the alert was set").format(what=what, level=level)
    return _("{what} falls {level} below its highest since the alert was set").format(what=what, level=level)


def _distance(series: Distance, clause: Clause, get: Get) -> str:
    what, level = series_words(series.of, get), _amount(series, clause.level, get)
    edge = _(EDGES[series.period, series.edge])
    if clause.condition == "below" and not clause.level:
        return _("{what} reaches its {edge}").format(what=what, edge=edge)
    if clause.condition == "below":
        return _("{what} comes within {level} of its {edge}").format(what=what, level=level, edge=edge)
    if series.edge == "high":
        return _("{what} is {level} below its {edge}").format(what=what, level=level, edge=edge)
    return _("{what} is {level} above its {edge}").format(what=what, level=level, edge=edge)


def _against(series: Against, clause: Clause, get: Get) -> str:
    first, second = series_words(series.first, get), series_words(series.second, get)
    if clause.condition == "above":
        return _("{first} rises above {second}").format(first=first, second=second)
    if clause.condition == "below":
        return _("{first} falls below {second}").format(first=first, second=second)
    return _("{first} crosses {second}").format(first=first, second=second)


# ------------------------------------------------------------------------------------------------- series


def series_words(series: Series, get: Get) -> str:
    """ "Gold 22k in INR per gram", "Gold/Silver", "RSI (14) of Bitcoin on 1h candles": a name, anywhere in a line."""
    match series:
        case Price():
            return _price(series, get)
        case Ratio():
            return f"{_price(series.over, get)}/{_price(series.under, get)}"
        case Difference():
            return f"{_price(series.first, get)} − {_price(series.second, get)}"
        case Spread():
            return _("Spread of {instrument}").format(instrument=_name(series.instrument, get))
        case Volume():
            return _("Volume of {instrument} in {span}").format(
                instrument=_name(series.instrument, get), span=span_words(series.window_us)
            )
        case Change():
            return _("Change of {what} in {span}").format(
                what=series_words(series.of, get), span=span_words(series.window_us)
            )
        case Move():
            return _("Move of {what} in {span}").format(
                what=series_words(series.of, get), span=span_words(series.window_us)
            )
        case Distance():
            edge = _(EDGES[series.period, series.edge])
            return _("Distance of {what} from its {edge}").format(what=series_words(series.of, get), edge=edge)
        case Indicator():
            return _indicator(series, get)
        case Portfolio():
            return _portfolio(series)
        case Against():
            return _("{first} against {second}").format(
                first=series_words(series.first, get), second=series_words(series.second, get)
            )


def _price(price: Price, get: Get) -> str:
    name = _name(price.instrument, get)
    parts = [f"{name} {digits(price.karat)}k" if price.karat else name]
    if price.side != "price":
        parts = [_(SIDES[price.side]).format(instrument=parts[0])]
    if price.currency:
        parts.append(_("in {currency}").format(currency=price.currency))
    if price.unit:
        parts.append(_(WEIGHTS[price.unit]))
    return " ".join(parts)


def _name(instrument_id: str, get: Get) -> str:
    instrument = get(instrument_id)
    return instrument.name if instrument else instrument_id


def _indicator(series: Indicator, get: Get) -> str:
    said = _("{name} ({numbers}) of {what} on {rung} candles").format(
        name=_(INDICATOR_NAMES[series.name]),
        numbers=(", " if spoken().point == "." else "; ").join(own(digits(number)) for number in series.numbers),
        what=series_words(series.of, get),
        rung=series.rung,
    )
    return _("{series}, live").format(series=said) if series.live else said


def _portfolio(series: Portfolio) -> str:
    said = _('Portfolio "{name}"').format(name=series.name) if series.name else _("Portfolio")
    return f"{said} {_('in {currency}').format(currency=series.currency)}" if series.currency else said


# ------------------------------------------------------------------------------------------------- values


def value_words(series: Series, value: float, get: Get) -> str:
    """A value of that series with its unit, as far as it is of interest: "2,400.12 USD", "5.02 %", "86.31", "29.8"."""
    shown = own(f"{value:,.{_places(series, value, get)}f}")
    unit = unit_words(series, get)
    return f"{shown} {unit}" if unit else shown


def level_words(series: Series, level: float, get: Get) -> str:
    """A level with all its digits, and those that prices have: "2,400.00", "2,400.125", "5 %", "30". The series' words
    say its currency."""
    least = _decimals(series, get) if measure(series) in ("price", "difference", "spread") else 0
    shown = _exact(level, least)
    return f"{shown} %" if measure(series) == "percent" else shown


def unit_words(series: Series, get: Get) -> str:
    """ "USD", "INR per gram", "%"; empty for what is a number alone."""
    if measure(series) == "percent":
        return "%"
    if isinstance(series, Portfolio):
        return series.currency
    price = next(prices(series), None)
    if measure(series) in ("ratio", "index", "volume") or price is None or _of_ratio(series):
        return ""
    instrument = get(price.instrument)
    currency = price.currency or (instrument.currency if instrument else "")
    return f"{currency} {_(WEIGHTS[price.unit])}".strip() if price.unit else currency


def _amount(series: Move | Distance, level: float, get: Get) -> str:
    """How far something goes: "5 %", or with its unit "20.00 USD"."""
    if series.percent:
        return _share(level)
    return f"{_exact(level, 0 if _of_ratio(series) else _decimals(series, get))} {unit_words(series, get)}".strip()


def _of_ratio(series: Series) -> bool:
    of = getattr(series, "of", None) or getattr(series, "first", series)
    return isinstance(getattr(of, "of", of), Ratio)


def _decimals(series: Series, get: Get) -> int:
    price = next(prices(series), None)
    instrument = get(price.instrument) if price else None
    return instrument.decimals if instrument else 2


def _places(series: Series, value: float, get: Get) -> int:
    """How many decimals a value shows: small ones more, so that something of them is seen."""
    whole = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    match measure(series):
        case "percent":
            least, seen = 2, 1
        case "index":
            least, seen = 1, 1
        case "ratio" | "volume":
            least, seen = 2, RATIO_DIGITS
        case _:
            least, seen = (2, RATIO_DIGITS) if _of_ratio(series) else (_decimals(series, get), 2)
    return min(MOST_DECIMALS, max(least, seen - 1 - whole))


def _share(percent: float) -> str:
    return f"{own(digits(percent))} %"


def _exact(value: float, least: int) -> str:
    """With all its digits, and `least` decimals."""
    written = digits(value)
    places = len(written.partition(".")[2])
    return own(f"{Decimal(written):,.{max(least, places)}f}")
