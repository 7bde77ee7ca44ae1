"""What an alert may watch, and when it rings: every series and condition of the language, and what it says of each."""

import pytest

from hub.instruments import build_catalogue
from hub.model import SECOND_US
from hub.rules.language import AlertSpec, Clause, LanguageError, canonical, parse
from hub.rules.series import (
    DAY_US,
    HOUR_US,
    Against,
    Change,
    Difference,
    Distance,
    Indicator,
    Move,
    Portfolio,
    Price,
    Ratio,
    Series,
    Spread,
    Volume,
)

find = build_catalogue(
    {"SAP": {"name": "SAP", "class": "stock", "currency": "EUR"}, "ODD": {"name": "Odd", "currency": "XTS"}},
    ("XAU-USD", "XAG-USD", "XPT-USD", "BTC-USDT", "ETH-USDT"),
).find
GOLD, SILVER, BTC = Price(instrument="XAU-USD"), Price(instrument="XAG-USD"), Price(instrument="BTC-USDT")
GRAM_IN_RUPEES = Price(instrument="XAU-USD", karat=22.0, currency="INR", unit="gram")


def only(line: str) -> Clause:
    (clause,) = parse(line, find).clauses
    return clause


def refused(line: str) -> LanguageError:
    with pytest.raises(LanguageError) as error:
        parse(line, find)
    return error.value


def check(line: str, at: str, reason: str, example: str) -> None:
    """The error stands at the first `at` in the line."""
    error = refused(line)
    assert reason in error.reason
    assert (error.at, error.example) == (line.rindex(at), example)


# ------------------------------------------------------------------------------------------------- prices


@pytest.mark.parametrize(
    ("line", "price", "level"),
    [
        ("gold bid > 2400", Price(instrument="XAU-USD", side="bid"), 2400),
        ("bid(gold) > 2400", Price(instrument="XAU-USD", side="bid"), 2400),
        ("gold ask price > 2400", Price(instrument="XAU-USD", side="ask"), 2400),
        ("MID(gold) > 2400", Price(instrument="XAU-USD", side="mid"), 2400),
        ("gold 22k < 7000 inr/g", GRAM_IN_RUPEES, 7000),
        ("gold 22k < 7000inr/g", GRAM_IN_RUPEES, 7000),
        ("gold 22kt below 7,000 rs per gram", GRAM_IN_RUPEES, 7000),
        ("22 karat gold < ₹7000/g", GRAM_IN_RUPEES, 7000),
        ("gold 22 karat in inr/g < 7000", GRAM_IN_RUPEES, 7000),
        ("gold 22K in INR per gram < 7000 rupees", GRAM_IN_RUPEES, 7000),
        ("gold 22k below 7000 inr a gram", GRAM_IN_RUPEES, 7000),
        ("gold 22k in inr per g < 7000 inr/g", GRAM_IN_RUPEES, 7000),
        ("gold > 60 eur/g", Price(instrument="XAU-USD", currency="EUR", unit="gram"), 60),
        ("gold > €60/g", Price(instrument="XAU-USD", currency="EUR", unit="gram"), 60),
        ("gold > 60€/g", Price(instrument="XAU-USD", currency="EUR", unit="gram"), 60),
        ("gold per gram > 60 eur", Price(instrument="XAU-USD", currency="EUR", unit="gram"), 60),
        ("gold < 1900 eur", Price(instrument="XAU-USD", currency="EUR"), 1900),
        ("gold < eur 1900", Price(instrument="XAU-USD", currency="EUR"), 1900),
        ("gold in € < 1900", Price(instrument="XAU-USD", currency="EUR"), 1900),
        ("gold < 70 usd per gram", Price(instrument="XAU-USD", unit="gram"), 70),
        ("gold > 60/g", Price(instrument="XAU-USD", unit="gram"), 60),
        ("gold per tola > 900", Price(instrument="XAU-USD", unit="tola"), 900),
        ("gold > 2400 usd", GOLD, 2400),
        ("gold > $2,400", GOLD, 2400),
        ("gold > us$2400", GOLD, 2400),
        ("btc > $60k", BTC, 60_000),
        ("btc > 60k usd", Price(instrument="BTC-USDT", currency="USD"), 60_000),
        ("sap > $100", Price(instrument="SAP", currency="USD"), 100),
        ("gold > 2400 usd/oz", GOLD, 2400),
        ("gold in usd per troy ounce > 2400", GOLD, 2400),
        ("gold 24k > 2400", GOLD, 2400),
        ("btc < 50000 eur", Price(instrument="BTC-USDT", currency="EUR"), 50000),
        ("odd > 5 xts", Price(instrument="ODD"), 5),
    ],
)
def test_a_price_has_a_side_a_fineness_a_currency_and_a_weight(line: str, price: Price, level: float) -> None:
    """In the series' words or with its level; what the instrument has by itself is not kept."""
    assert only(line) == Clause(
        series=price, condition="below" if "<" in line or "below" in line else "above", level=level
    )


@pytest.mark.parametrize(
    ("line", "at", "reason", "example"),
    [
        ("btc 22k < 5", "22k", "only metals have karat", ""),
        ("gold 25k < 5", "25k", "is not between 0 and 24 karat", ""),
        ("gold 0k < 5", "0k", "is not between 0 and 24 karat", ""),
        ("gold 22k 18k < 5", "18k", "that is said twice of Gold", ""),
        ("gold bid ask < 5", "ask", "that is said twice of Gold", ""),
        ("btc < 7000 inr/g", "g", "has no weight: leave out per gram", "btc < 7000 inr"),
        ("gold in usd < 60 eur", "eur", "Gold is in USD there, and its level in EUR", ""),
        ("gold per gram < 60 eur/oz", "eur", "Gold is in gram there, and its level in troy ounce", ""),
        ("gold > ¥2400", "¥", "yen or yuan", "gold > 2400 jpy"),
        ("gold > 2400 ¥", "¥", "yen or yuan", "gold > 2400 jpy"),
        ("gold > $60 eur", "eur", "has two currencies there, USD and EUR", ""),
        ("gold in xyz > 5", "xyz", "is no currency known here", ""),
        ("gold > 5 xyz", "xyz", "is no currency known here", ""),
        ("gold > 70 grams", "grams", "is a weight: write per gram", "gold > 70 per gram"),
        ("gold > 70 per litre", "litre", "is no weight known here", ""),
        ("gold < 70,000 inr per 10 grams", "10 grams", "say the price of one gram", "gold < 7000 inr per gram"),
        ("gold/silver > 85 usd", "usd", "is in no currency: write the number alone", ""),
        ("rsi(gold, 14, 1h) < 30 usd", "usd", "without a currency", ""),
        ("btc volume in 1h > 5 usd", "usd", "is in no currency", ""),
        ("gold spread > 5 eur", "eur", "that of one instrument as it is traded", ""),
        ("spread(gold 22k) > 5", "gold 22k", "that of one instrument as it is traded", ""),
        ("volume(gold/silver, 1h) > 5", "gold/silver", "that of one instrument as it is traded", ""),
        ("22k rsi(gold, 14, 1h) < 5", "22k", "karat stands behind the name of a metal", ""),
    ],
)
def test_what_does_not_go_with_an_instrument_is_said(line: str, at: str, reason: str, example: str) -> None:
    """Karat and weights are those of metals; what is in doubt is asked about."""
    check(line, at, reason, example)


@pytest.mark.parametrize(
    ("line", "series"),
    [
        ("gold/silver > 85", Ratio(over=GOLD, under=SILVER)),
        ("gold / silver > 85", Ratio(over=GOLD, under=SILVER)),
        ("gold /silver > 85", Ratio(over=GOLD, under=SILVER)),
        ("ratio(gold, silver) > 85", Ratio(over=GOLD, under=SILVER)),
        ("xau/usd / xag/usd > 85", Ratio(over=GOLD, under=SILVER)),
        ("xau/usd/xag/usd > 85", Ratio(over=GOLD, under=SILVER)),
        ("gold 22k / silver > 85", Ratio(over=Price(instrument="XAU-USD", karat=22.0), under=SILVER)),
        ("22k gold/silver bid > 85", Ratio(over=Price(instrument="XAU-USD", karat=22.0),
                                           under=Price(instrument="XAG-USD", side="bid"))),
        ("sap/gold > 85", Ratio(over=Price(instrument="SAP"), under=Price(instrument="XAU-USD", currency="EUR"))),
        ("gold/sap > 85", Ratio(over=GOLD, under=Price(instrument="SAP", currency="USD"))),
        ("gold in eur / sap > 85", Ratio(over=Price(instrument="XAU-USD", currency="EUR"),
                                         under=Price(instrument="SAP"))),
        ("gold - silver > 85", Difference(first=GOLD, second=SILVER)),
        ("gold minus silver > 85", Difference(first=GOLD, second=SILVER)),
        ("difference(gold, silver) > 85", Difference(first=GOLD, second=SILVER)),
        ("gold — sap > 85", Difference(first=GOLD, second=Price(instrument="SAP", currency="USD"))),
        ("gold - silver > 85 eur/g", Difference(
            first=Price(instrument="XAU-USD", currency="EUR", unit="gram"),
            second=Price(instrument="XAG-USD", currency="EUR", unit="gram"))),
        ("xau/usd > 85", GOLD),
        ("gold spread > 85", Spread(instrument="XAU-USD")),
        ("spread(gold) > 85", Spread(instrument="XAU-USD")),
        ("spread(gold) > 85 usd", Spread(instrument="XAU-USD")),
        ("volume(btc, 1h) > 85", Volume(instrument="BTC-USDT", window_us=HOUR_US)),
        ("btc volume in 1h > 85", Volume(instrument="BTC-USDT", window_us=HOUR_US)),
        ("btc 24h volume > 85", Volume(instrument="BTC-USDT", window_us=DAY_US)),
        ("portfolio > 85", Portfolio()),
        ("my portfolio > 85", Portfolio()),
        ('portfolio "savings" > 85', Portfolio(name="savings")),
        ("portfolio ‘savings’ in eur > 85", Portfolio(name="savings", currency="EUR")),
        ("portfolio > 85 €", Portfolio(currency="EUR")),
        ("rsi(btc, 14, 1h) > 85", Indicator(name="rsi", of=BTC, numbers=(14.0,), rung="1h")),
        ("RSI(btc,1h) > 85", Indicator(name="rsi", of=BTC, numbers=(14.0,), rung="1h")),
        ("rsi(btc, 14, 60m, close) > 85", Indicator(name="rsi", of=BTC, numbers=(14.0,), rung="1h")),
        ("rsi(btc, 14, 24h, live) > 85", Indicator(name="rsi", of=BTC, numbers=(14.0,), rung="1d", live=True)),
        ("sma(gold/silver, 50, 1d) > 85", Indicator(
            name="sma", of=Ratio(over=GOLD, under=SILVER), numbers=(50.0,), rung="1d")),
        ("sma(gold, 50, 1d) > 85 eur", Indicator(
            name="sma", of=Price(instrument="XAU-USD", currency="EUR"), numbers=(50.0,), rung="1d")),
        ("ema(bid(gold), 5m) > 85", Indicator(
            name="ema", of=Price(instrument="XAU-USD", side="bid"), numbers=(20.0,), rung="5m")),
        ("macd(btc, 1h) > 85", Indicator(name="macd", of=BTC, numbers=(12.0, 26.0, 9.0), rung="1h")),
        ("macd(btc, 5, 35, 5, 1h) signal > 85", Indicator(
            name="macd_signal", of=BTC, numbers=(5.0, 35.0, 5.0), rung="1h")),
        ("macd_histogram(btc, 5, 1h) > 85", Indicator(
            name="macd_histogram", of=BTC, numbers=(5.0, 26.0, 9.0), rung="1h")),
        ("bollinger_upper(btc, 20, 2, 1h) > 85", Indicator(
            name="bollinger_upper", of=BTC, numbers=(20.0, 2.0), rung="1h")),
        ("bollinger(btc, 20, 2.5, 4h) lower > 85", Indicator(
            name="bollinger_lower", of=BTC, numbers=(20.0, 2.5), rung="4h")),
    ],
)  # fmt: skip
def test_a_level_may_be_that_of_every_series(line: str, series: Series) -> None:
    """In natural words or as a function; a name with a slash is an instrument first."""
    assert only(line) == Clause(series=series, condition="above", level=85.0)


@pytest.mark.parametrize(
    "line", ["change(btc, 24h) > 5%", "btc change in 1d > 5%", "btc 24h change > 5", "change(btc, 1d) above 5 percent"]
)
def test_a_change_is_in_percent(line: str) -> None:
    """Whether its level says so or not."""
    assert only(line) == Clause(series=Change(of=BTC, window_us=DAY_US), condition="above", level=5.0)


@pytest.mark.parametrize(
    ("line", "at", "reason", "example"),
    [
        ("foo/bar > 5", "foo", '"foo" is not an instrument', ""),
        ("gold/foo > 5", "foo", '"foo" is not an instrument', ""),
        ("gold/silver/platinum > 5", "silver/platinum", '"silver/platinum" is not an instrument', ""),
        ("gold/silver / platinum > 5", "gold", "two prices can be divided by each other, no more", ""),
        ("gold in eur / silver in inr > 5", "silver", "in different currencies, EUR and INR", ""),
        ("gold - silver in inr > 5", "silver", "in different currencies, USD and INR", ""),
        ("change(gold - silver, 1h) > 5%", "gold", "a difference can be zero", ""),
        ("gold - silver -5% in 1h", "5%", "there is no percentage of it: write an amount", ""),
        ("gold - silver 5% below 52w high", "5%", "there is no percentage of it", ""),
        ("gold - silver trails 5%", "5%", "there is no percentage of it", ""),
        ("change(btc, 24h) < -100%", "100%", "a change goes from -100 %", ""),
        ("btc change > 5%", ">", "in which time? Write \"in 1h\" behind it", "btc change in 1h > 5%"),
        ("btc volume > 5", ">", "in which time?", "btc volume in 1h > 5"),
        ("volume(btc) > 5", ")", "here comes a comma", "volume(btc, 1h) > 5"),
        ("volume(btc, 40d) > 5", "40d", "is not between 1 second and 31 days", ""),
        ("rsi(btc) < 30", ")", "on which candles?", "rsi(btc, 1h) < 30"),
        ("rsi(btc, 14) < 30", ")", "on which candles?", "rsi(btc, 14, 1h) < 30"),
        ("rsi(bid(btc)) < 30", ") <", "on which candles?", "rsi(bid(btc), 1h) < 30"),
        ("rsi(btc, 14, 2h) < 30", "2h", "is no length of a candle here", "rsi(btc, 14, 1h) < 30"),
        ("rsi(btc, 14, hourly) < 30", "hourly", "is no length of a candle here", ""),
        ("rsi(btc, 14, 1M) < 30", "1M", "is no length of a candle here", "rsi(btc, 14, 1m) < 30"),
        ("rsi(btc, 14, 7, 1h) < 30", "7", "that is too much for rsi: write it like rsi(gold, 14, 1h)", ""),
        ("rsi(btc, 1, 1h) < 30", "1,", "a whole number of candles from 2 to 500", ""),
        ("rsi(btc, 501, 1h) < 30", "501", "a whole number of candles from 2 to 500", ""),
        ("rsi(btc, 14.5, 1h) < 30", "14.5", "a whole number of candles", ""),
        ("rsi(btc, x, 1h) < 30", "x", "is no number", ""),
        ("macd(btc, 26, 12, 9, 1h) < 30", "26", "is the shorter one", ""),
        ("macd(btc, 30, 1h) < 30", "30, 1", "is the shorter one", ""),
        ("bollinger_upper(btc, 20, 0, 1h) < 30", "0, 1h", "is no number of deviations", ""),
        ("bollinger(btc, 20, 2, 1h) < 30", "bollinger", "which \"bollinger\"? There are bollinger_upper",
         "bollinger_upper(btc, 20, 2, 1h) < 30"),
        ("bollinger(btc, 20, 2, 1h) signal < 30", "signal", "there is no \"bollinger_signal\"", ""),
        ("bolinger_upper(btc, 20, 2, 1h) < 30", "bolinger", "is nothing that is computed here",
         "bollinger_upper(btc, 20, 2, 1h) < 30"),
        ("rsi_fast(btc, 14, 1h) < 30", "rsi_fast", "there is no \"rsi_fast\"", "rsi(btc, 14, 1h) < 30"),
        ("foo(btc, 14) < 30", "foo", "is nothing that is computed here", ""),
        ("sma(rsi(btc, 14, 1h), 5, 1h) > 5", "rsi", "not on something computed", ""),
        ("rsi(btc 14 1h) < 30", "14", "a bracket is not closed here", "rsi(btc, 14, 1h) < 30"),
        ("rsi(btc, 14, 1h < 30", "<", "a bracket is not closed here", "rsi(btc, 14, 1h) < 30"),
        ("rsi(btc, 14, 1h) < 130", "130", "an RSI goes from 0 to 100", ""),
        ("rsi(btc, 14, 1h) < 30%", "30%", "is a percentage: write the number alone", "rsi(btc, 14, 1h) < 30"),
        ("portfolio savings > 5", "savings", "after the instrument comes", 'portfolio "savings" > 5'),
        ("portfolio in eur > 5 usd", "usd", "are in one currency", ""),
        ("portfolio > 5 usd/g", "usd", "and have no weight", ""),
    ],
)  # fmt: skip
def test_a_series_that_cannot_be_is_told_why(line: str, at: str, reason: str, example: str) -> None:
    """With what is there instead, and a line that reads where one is meant."""
    check(line, at, reason, example)


# --------------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("line", "low", "high", "condition"),
    [
        ("gold enters 2300..2350", 2300, 2350, "inside"),
        ("gold enters 2300 to 2350", 2300, 2350, "inside"),
        ("gold between 2,300 and 2,350", 2300, 2350, "inside"),
        ("gold is between 2300 and 2350", 2300, 2350, "inside"),
        ("gold in 2300..2350", 2300, 2350, "inside"),
        ("gold in 2300 - 2350", 2300, 2350, "inside"),
        ("gold inside 2300…2350", 2300, 2350, "inside"),
        ("gold within 2300..2350", 2300, 2350, "inside"),
        ("gold in 2300-2350", 2300, 2350, "inside"),
        ("gold leaves 60k..70k", 60_000, 70_000, "outside"),
        ("gold outside 60000..70000 usd", 60_000, 70_000, "outside"),
        ("gold outside of 60000 to 70000", 60_000, 70_000, "outside"),
        ("change(gold, 1d) outside -5%..5%", -5, 5, "outside"),
        ("gold - silver between -10 and 10", -10, 10, "inside"),
        ("rsi(gold, 14, 1h) leaves 30..70", 30, 70, "outside"),
    ],
)
def test_a_range_has_two_ends(line: str, low: float, high: float, condition: str) -> None:
    """However they are parted."""
    clause = only(line)
    assert (clause.level, clause.high, clause.condition) == (low, high, condition)


def test_the_ends_of_a_range_are_in_one_currency() -> None:
    """What one of them says holds for both."""
    meant = Price(instrument="XAU-USD", currency="EUR", unit="gram")
    assert only("gold in 60..65 eur/g").series == meant
    assert only("gold in 60 eur/g to 65").series == meant
    assert only("gold in €60/g to €65/g").series == meant
    assert "are in EUR and USD" in refused("gold in 60 eur to 65 usd").reason


@pytest.mark.parametrize(
    ("line", "way", "level", "percent", "window_us"),
    [
        ("silver -5% in 1h", "down", 5, True, HOUR_US),
        ("silver - 5 % in 1h", "down", 5, True, HOUR_US),
        ("silver −5% in 1 hour", "down", 5, True, HOUR_US),
        ("silver drops 5% in 1h", "down", 5, True, HOUR_US),
        ("silver falls by 5 percent in an hour", "down", 5, True, HOUR_US),
        ("silver falls more than 5% in the last hour", "down", 5, True, HOUR_US),
        ("silver down 5% within 1h", "down", 5, True, HOUR_US),
        ("silver is down 5% in 60 min", "down", 5, True, HOUR_US),
        ("silver +3% in 24h", "up", 3, True, DAY_US),
        ("silver up 3% in 24 hours", "up", 3, True, DAY_US),
        ("silver +20 in 1h", "up", 20, False, HOUR_US),
        ("silver rises 20 in 1h", "up", 20, False, HOUR_US),
        ("silver gains $20 in 1h", "up", 20, False, HOUR_US),
        ("silver moves 2% in 15m", "either", 2, True, HOUR_US // 4),
        ("silver changes 2% in 15m", "either", 2, True, HOUR_US // 4),
        ("silver ±2% in 15m", "either", 2, True, HOUR_US // 4),
        ("silver moves 2% in 1d 12h", "either", 2, True, 36 * HOUR_US),
    ],
)  # fmt: skip
def test_a_move_says_how_far_and_in_which_time(
    line: str, way: str, level: float, percent: bool, window_us: int
) -> None:
    """With a sign or in words, in percent or not."""
    series = Move(of=SILVER, window_us=window_us, way=way, percent=percent)  # type: ignore[arg-type]
    assert only(line) == Clause(series=series, condition="above", level=level)


def test_a_move_may_be_in_another_currency() -> None:
    """Its amount says which."""
    series = only("gold +5 eur/g in 1h").series
    assert series == Move(
        of=Price(instrument="XAU-USD", currency="EUR", unit="gram"), window_us=HOUR_US, way="up", percent=False
    )


@pytest.mark.parametrize(
    ("line", "edge", "period", "level", "percent", "condition"),
    [
        ("gold 5% below 52w high", "high", "52w", 5, True, "above"),
        ("gold is 5% below its 52-week high", "high", "52w", 5, True, "above"),
        ("gold 5% off 52 week high", "high", "52w", 5, True, "above"),
        ("gold drops 5% from its all-time high", "high", "all", 5, True, "above"),
        ("gold 10% above day low", "low", "day", 10, True, "above"),
        ("gold 10% above today's low", "low", "day", 10, True, "above"),
        ("gold up 10% from 1y low", "low", "52w", 10, True, "above"),
        ("gold 50 below day high", "high", "day", 50, False, "above"),
        ("gold 2k below ath", "high", "all", 2000, False, "above"),
        ("gold within 1% of all-time high", "high", "all", 1, True, "below"),
        ("gold comes within 20 of the day low", "low", "day", 20, False, "below"),
        ("gold at 52w high", "high", "52w", 0, True, "below"),
        ("gold at ath", "high", "all", 0, True, "below"),
        ("gold hits atl", "low", "all", 0, True, "below"),
        ("gold new all-time high", "high", "all", 0, True, "below"),
        ("gold makes a new 52w low", "low", "52w", 0, True, "below"),
        ("gold hits a new 52-week high", "high", "52w", 0, True, "below"),
        ("gold above day high", "high", "day", 0, True, "below"),
    ],
)  # fmt: skip
def test_a_distance_is_from_a_high_or_a_low(
    line: str, edge: str, period: str, level: float, percent: bool, condition: str
) -> None:
    """At least so far away, at most so far away, or there."""
    series = Distance(of=GOLD, edge=edge, period=period, percent=percent)  # type: ignore[arg-type]
    assert only(line) == Clause(series=series, condition=condition, level=level)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "first", "condition", "second"),
    [
        ("sma(gold,50,1d) crosses sma(gold,200,1d)", "sma(XAU-USD, 50, 1d)", "crosses", "sma(XAU-USD, 200, 1d)"),
        ("sma(gold,50,1d) crosses above sma(gold,200,1d)", "sma(XAU-USD, 50, 1d)", "above", "sma(XAU-USD, 200, 1d)"),
        ("gold > sma(gold, 200, 1d)", "XAU-USD", "above", "sma(XAU-USD, 200, 1d)"),
        ("gold < silver", "XAU-USD", "below", "XAG-USD"),
        ("gold/silver > sma(gold/silver, 1d)", "XAU-USD / XAG-USD", "above", "sma(XAU-USD / XAG-USD, 20, 1d)"),
        ("macd(btc, 1h) crosses macd_signal(btc, 1h)", "macd(BTC-USDT, 12, 26, 9, 1h)", "crosses",
         "macd_signal(BTC-USDT, 12, 26, 9, 1h)"),
        ("rsi(gold, 1h) > rsi(silver, 1h)", "rsi(XAU-USD, 14, 1h)", "above", "rsi(XAG-USD, 14, 1h)"),
        ("gold in eur > sma(gold, 1d)", "XAU-USD in EUR", "above", "sma(XAU-USD in EUR, 20, 1d)"),
        ("gold > sap", "XAU-USD", "above", "SAP in USD"),
    ],
)  # fmt: skip
def test_two_series_are_held_against_each_other(line: str, first: str, condition: str, second: str) -> None:
    """The second in the currency of the first."""
    clause = only(line)
    sign = {"above": ">", "below": "<"}.get(condition, condition)
    assert isinstance(clause.series, Against)
    assert (clause.condition, clause.level) == (condition, 0)
    assert canonical(parse(line, find)) == f"{first} {sign} {second}"


@pytest.mark.parametrize(
    ("line", "level", "percent", "rising"),
    [
        ("gold trails 3%", 3, True, False), ("gold trails 50", 50, False, False), ("gold trails +3%", 3, True, True),
        ("gold trails -3%", 3, True, False), ("gold trailing stop 3%", 3, True, False),
        ("gold trails by $50", 50, False, False),
    ],
)  # fmt: skip
def test_a_trail_follows_behind(line: str, level: float, percent: bool, rising: bool) -> None:
    """Below the highest, or with a plus above the lowest."""
    assert only(line) == Clause(series=GOLD, condition="trails", level=level, percent=percent, rising=rising)


@pytest.mark.parametrize(
    ("line", "level", "percent"),
    [
        ("btc every 1000", 1000, False),
        ("btc every $1,000 every time", 1000, False),
        ("btc every 1%", 1, True),
        ("btc each 1 %", 1, True),
    ],
)
def test_steps_ring_every_time(line: str, level: float, percent: bool) -> None:
    """By themselves."""
    clause = Clause(series=BTC, condition="every", level=level, percent=percent)
    assert parse(line, find) == AlertSpec(clauses=(clause,), repeat="every time")


@pytest.mark.parametrize(
    ("line", "at", "reason", "example"),
    [
        ("gold enters 2350..2300", "2350", "from its lower end to its upper one", "gold enters 2300..2350"),
        ("gold enters 2300..2300", "2300..", "and they differ", ""),
        ("gold enters 2300", "", "a range has two ends", ""),
        ("gold between 2300", "", "a range has two ends", ""),
        ("gold enters 5%..6%", "5%", "is a percentage", ""),
        ("gold -5%", "", "in which time? Write \"in 1h\" behind it", "gold -5% in 1h"),
        ("gold falls 5%", "", "in which time?", "gold falls 5% in 1h"),
        ("gold 5%", "5%", "after the instrument comes what it does", "gold moves 5% in 1d"),
        ("gold -100% in 1h", "100%", "above zero and under 100 %", ""),
        ("gold +0% in 1h", "0%", "above zero", ""),
        ("gold -5% in 32d", "32d", "is not between 1 second and 31 days", ""),
        ("gold -5% in", "", "a length of time is missing here", "gold -5% in 1h"),
        ("gold -5% in 1M", "1M", "can be minutes or months", "gold -5% in 1m"),
        ("gold -5% in 3 moons", "3 moons", "is no length of time", ""),
        ("gold spread -5% in 1h", "gold", "a move is that of a price, a ratio or a difference", ""),
        ("rsi(gold, 1h) 5 below 52w high", "rsi", "a high or low is that of a price", ""),
        ("gold 5% above 52w high", "above", "never above the high of a time that it is in", "gold 5% below 52w high"),
        ("gold 5% below day low", "below", "never below the low of a time that it is in", "gold 5% above day low"),
        ("gold below 52w high", "below", "how far below it?", "gold 5% below 52w high"),
        ("gold 5% below", "", "of which high or low?", "gold 5% below 52w high"),
        ("gold within 1%", "", "of which high or low?", "gold within 1% of 52w high"),
        ("gold 5% below 30d high", "30d high", "the high of which time?", "gold 5% below 52w high"),
        ("gold new high", "high", "the high of which time?", "gold new 52w high"),
        ("gold 0% below 52w high", "0%", "above zero", ""),
        ("gold 100% below 52w high", "100%", "under 100 %", ""),
        ("gold > gold", "gold", "the same twice", ""),
        ("rsi(gold, 1h) > gold", "gold", "an RSI and a price are no numbers of the same sort", ""),
        ("gold > gold/silver", "gold/silver", "a price and a ratio are no numbers of the same sort", ""),
        ("macd(gold, 1h) > macd(gold/silver, 1h)", "macd", "a MACD of a price and a MACD of a ratio", ""),
        ("spread(gold) > gold", "spread", "only prices and indicators can be held against each other", ""),
        ("gold trails", "", "a number is missing here", ""),
        ("gold trails 100%", "100%", "under 100 %", ""),
        ("rsi(gold, 1h) trails 3", "rsi", "a trail follows a price, a ratio or a difference", ""),
        ("btc every 0", "0", "above zero", ""),
        ("change(btc, 1h) every 1%", "change", "steps are those of a price", ""),
        ("btc every 1000 once", "once", "steps ring every time: leave out once", "btc every 1000"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_is_told_why(line: str, at: str, reason: str, example: str) -> None:
    """With the bounds or what is missing, and a line that reads where one is meant."""
    check(line, at or "\0", reason, example) if at else _check_end(line, reason, example)


def _check_end(line: str, reason: str, example: str) -> None:
    error = refused(line)
    assert reason in error.reason
    assert (error.at, error.example) == (len(line), example)


def test_no_word_is_read_twice_in_a_second() -> None:
    """Seconds are the smallest window."""
    assert only("gold -5% in 1s").series == Move(of=GOLD, window_us=SECOND_US, way="down", percent=True)
