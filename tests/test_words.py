"""An alert in words: the sentence, the names of series, values with the right decimals and units, in two languages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.i18n import speaking
from hub.instruments import build_catalogue
from hub.model import SECOND_US, Instrument
from hub.rules.language import AlertSpec, Clock, parse
from hub.rules.series import Against, Move, Price, Series, Volume
from hub.rules.words import describe, level_words, series_words, span_words, unit_words, value_words
from tests.alert_specs import alerts
from tests.alert_specs import get as get_any

CATALOGUE = build_catalogue({}, ("XAU-USD", "XAG-USD", "BTC-USD", "ETH-USDT"))
find, get = CATALOGUE.find, CATALOGUE.get
CLOCK = Clock(now_us=1_800_000_000 * SECOND_US, zone="Europe/Berlin")


def series(line: str) -> Series:
    return parse(line, find).first.series


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gold > 2400", "Gold rises to 2,400.00 or above, once"),
        ("gold < 2400.125 every time", "Gold falls to 2,400.125 or below, every time"),
        ('gold crosses 2400 band 0.1% note "sell half"', 'Gold crosses 2,400.00, once, band 0.1 %, note "sell half"'),
        ("gold 22k < 7000 inr/g", "Gold 22k in INR per gram falls to 7,000.00 or below, once"),
        ("gold bid > 2400", "Gold bid rises to 2,400.00 or above, once"),
        ("gold/silver > 85", "Gold/Silver rises to 85 or above, once"),
        ("gold - platinum > -10", "Gold − Platinum rises to -10.00 or above, once"),
        ("gold spread > 0.5", "Spread of Gold rises to 0.50 or above, once"),
        ("btc volume in 1h > 500", "Volume of Bitcoin in 1 h rises to 500 or above, once"),
        ("change(btc, 24h) < -5%", "Change of Bitcoin in 1 d falls to -5 % or below, once"),
        ("silver -5% in 1h", "Silver falls 5 % in 1 h, once"),
        ("gold +20 in 90m", "Gold rises 20.00 USD in 1 h 30 min, once"),
        ("btc moves 2% in 15m", "Bitcoin moves 2 % in 15 min, once"),
        ("gold 5% below 52w high", "Gold is 5 % below its 52-week high, once"),
        ("gold 50 above day low", "Gold is 50.00 USD above its day low, once"),
        ("gold within 1% of ath", "Gold comes within 1 % of its all-time high, once"),
        ("gold new 52w low every time", "Gold reaches its 52-week low, every time"),
        ("gold enters 2300..2350", "Gold comes between 2,300.00 and 2,350.00, once"),
        ("gold leaves 2300..2350", "Gold leaves 2,300.00 to 2,350.00, once"),
        ("rsi(btc, 14, 1h) < 30", "RSI (14) of Bitcoin on 1h candles falls to 30 or below, once"),
        ("macd(btc, 1h) crosses 0", "MACD (12, 26, 9) of Bitcoin on 1h candles crosses 0, once"),
        ("gold > sma(gold, 200, 1d, live)", "Gold rises above SMA (200) of Gold on 1d candles, live, once"),
        ("gold crosses sma(gold, 50, 1d)", "Gold crosses SMA (50) of Gold on 1d candles, once"),
        ("gold < sma(gold, 50, 1d)", "Gold falls below SMA (50) of Gold on 1d candles, once"),
        ("gold trails 3%", "Gold falls 3 % below its highest since the alert was set, once"),
        ("gold trails +50", "Gold rises 50.00 above its lowest since the alert was set, once"),
        ("btc every 1000", "Bitcoin passes a multiple of 1,000.00, every time"),
        ("btc every 1% at most every 10m", "Bitcoin moves by another 1 %, at most every 10 min"),
        ('portfolio "savings" > 50k eur', 'Portfolio "savings" in EUR rises to 50,000.00 or above, once'),
        ("portfolio < 50k", "Portfolio falls to 50,000.00 or below, once"),
        ("gold > 2400 and silver > 30", "Gold rises to 2,400.00 or above and Silver rises to 30.000 or above, once"),
        ("gold > 2500 or < 2300", "Gold rises to 2,500.00 or above or Gold falls to 2,300.00 or below, once"),
        ("gold > 2400 then < 2350 within 2h",
         "Gold rises to 2,400.00 or above, then Gold falls to 2,350.00 or below within 2 h, once"),
        ("gold > 2400 for 30s until friday 18:00 confirm 2 band 2 urgent via push, telegram",
         "Gold rises to 2,400.00 or above, lasting 30 s, once, until 2027-01-15 18:00, confirmed by 2 sources, band 2,"
         " urgent, via push and telegram"),
        ("gold > 2400 until 2027-02-01T00:00:30Z", "Gold rises to 2,400.00 or above, once, until 2027-02-01 01:00:30"),
    ],
)  # fmt: skip
def test_an_alert_is_told_in_a_sentence(line: str, told: str) -> None:
    """With the instrument's decimals, no digit of a level lost, and times in the person's zone."""
    assert describe(parse(line, find, CLOCK), get, "Europe/Berlin") == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gold > 2400.5 every time band 0.1%", "Gold steigt auf 2.400,50 oder darüber, jedes Mal, Band 0,1 %"),
        ("gold 22k < 7000 inr/g", "Gold 22k in INR je Gramm fällt auf 7.000,00 oder darunter, einmal"),
        ("silver -5% in 1h", "Silver fällt um 5 % in 1 h, einmal"),
        ("gold 5% below 52w high", "Gold liegt 5 % unter dem 52-Wochen-Hoch, einmal"),
        ("bollinger_upper(btc, 20, 2.5, 1h) > 60000",
         "Oberes Bollinger-Band (20; 2,5) von Bitcoin auf 1h-Kerzen steigt auf 60.000,00 oder darüber, einmal"),
        ("gold > 2400 then < 2350 within 2h until 2027-02-01T00:00Z",
         "Gold steigt auf 2.400,00 oder darüber, danach: Gold fällt auf 2.350,00 oder darunter innerhalb von 2 h,"
         " einmal, bis 01.02.2027 00:00"),
    ],
)  # fmt: skip
def test_an_alert_is_told_in_german(line: str, told: str) -> None:
    """Words, numbers and days in its form."""
    with speaking("de"):
        assert describe(parse(line, find), get) == told


@pytest.mark.parametrize(
    ("line", "name", "value", "shown"),
    [
        ("gold > 1", "Gold", 2400.1234, "2,400.12 USD"),
        ("gold in inr per gram > 1", "Gold in INR per gram", 7012.4, "7,012.40 INR per gram"),
        ("gold per kg > 1", "Gold per kilogram", 77_000, "77,000.00 USD per kilogram"),
        ("doge-usd > 1", "Dogecoin", 0.1, "0.10000 USD"),
        ("btc > 1", "Bitcoin", 0.000123456, "0.00012 USD"),
        ("gold/silver > 1", "Gold/Silver", 86.3149, "86.31"),
        ("silver/gold > 1", "Silver/Gold", 0.0115859, "0.01159"),
        ("gold - platinum > 1", "Gold − Platinum", -3.456, "-3.46 USD"),
        ("gold spread > 1", "Spread of Gold", 0.3456, "0.35 USD"),
        ("btc volume in 90m > 1", "Volume of Bitcoin in 1 h 30 min", 1512.3456, "1,512.35"),
        ("change(btc, 24h) > 1", "Change of Bitcoin in 1 d", -5.0234, "-5.02 %"),
        ("silver -5% in 1h", "Move of Silver in 1 h", 5.0234, "5.02 %"),
        ("silver -5 in 1h", "Move of Silver in 1 h", 5.0234, "5.023 USD"),
        ("gold/silver +5 in 1h", "Move of Gold/Silver in 1 h", 5.0234, "5.023"),
        ("gold 5% above day low", "Distance of Gold from its day low", 0.0034, "0.003 %"),
        ("rsi(btc, 14, 1h) < 30", "RSI (14) of Bitcoin on 1h candles", 29.81, "29.8"),
        ("macd_histogram(btc, 1h) < 30", "MACD histogram (12, 26, 9) of Bitcoin on 1h candles", 0.0361, "0.036 USD"),
        ("sma(gold in eur, 50, 1d) < 30", "SMA (50) of Gold in EUR on 1d candles", 2000.119, "2,000.12 EUR"),
        ("sma(gold/silver, 50, 1d) < 30", "SMA (50) of Gold/Silver on 1d candles", 86.3149, "86.31"),
        ("portfolio < 30", "Portfolio", 1234.5, "1,234.50"),
        ("portfolio in eur < 30", "Portfolio in EUR", 1234.5, "1,234.50 EUR"),
        ("gold > sma(gold, 50, 1d)", "Gold against SMA (50) of Gold on 1d candles", -0.034, "-0.03 %"),
    ],
)  # fmt: skip
def test_a_series_and_its_values_have_words(line: str, name: str, value: float, shown: str) -> None:
    """As a name, and with as many decimals as one wants to see."""
    assert series_words(series(line), get) == name
    assert value_words(series(line), value, get) == shown


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gold > 2400", "2,400.00"), ("gold > 2400.1256", "2,400.1256"), ("rsi(btc, 1h) < 30", "30"),
        ("change(btc, 1h) > 2.5%", "2.5 %"), ("gold/silver > 85.25", "85.25"), ("gold - silver > 2000", "2,000.00"),
    ],
)  # fmt: skip
def test_a_level_keeps_all_its_digits(line: str, told: str) -> None:
    """And shows those that prices have."""
    clause = parse(line, find).first
    assert level_words(clause.series, clause.level, get) == told


def test_an_instrument_that_is_gone_stands_for_itself() -> None:
    """By its id."""

    def nothing(_id: str) -> Instrument | None:
        return None

    gone = Price(instrument="GONE-EUR")
    assert series_words(gone, nothing) == "GONE-EUR"
    assert value_words(gone, 3.0, nothing) == "3.00"
    assert unit_words(Volume(instrument="GONE-EUR", window_us=SECOND_US), nothing) == ""
    assert series_words(Against(first=gone, second=gone), nothing) == "GONE-EUR against GONE-EUR"
    assert unit_words(Move(of=gone, window_us=SECOND_US, way="up", percent=False), nothing) == ""


def test_a_span_is_told_whole() -> None:
    """An alert goes by all of it."""
    assert span_words(90_061 * SECOND_US) == "1 d 1 h 1 min 1 s"
    assert span_words(7 * 86_400 * SECOND_US) == "7 d"


@settings(max_examples=200, deadline=None)
@given(
    alert=alerts(),
    value=st.floats(allow_nan=False, allow_infinity=False, width=32),
    language=st.sampled_from(["en", "de"]),
)
def test_every_alert_has_words(alert: AlertSpec, value: float, language: str) -> None:
    """In every language, and so has every value."""
    with speaking(language):
        assert describe(alert, get_any).count("{") == alert.note.count("{") + str(alert.clauses).count("{")
        for clause in alert.clauses:
            assert series_words(clause.series, get_any)
            assert value_words(clause.series, value, get_any)
