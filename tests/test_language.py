"""The alert language: what a line means, how it is written back, and what it says to a line that is no alert."""

import logging
import re
import unicodedata
from pathlib import Path

import lark
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hub.instruments import CATALOGUE, build_catalogue
from hub.plugin import BadRequest
from hub.rules import language
from hub.rules.language import (
    HIGHEST,
    LONGEST_LINE,
    LOWEST,
    AlertSpec,
    Band,
    Clause,
    Condition,
    LanguageError,
    NoNumber,
    band_of,
    canonical,
    number,
    parse,
    understood,
)
from hub.rules.language.line import Names
from hub.rules.series import Price, key
from hub.units import WORDS
from tests.alert_specs import alerts, note_characters
from tests.alert_specs import find as find_any

CATALOGUE_SERVED = build_catalogue({}, ("XAU-USD", "XAG-USD", "BTC-USDT", "ETH-USDT"))
find = CATALOGUE_SERVED.find
GRAMMAR = Path(language.__file__).with_name("alert.lark")


def spec(
    instrument: str = "XAU-USD", condition: Condition = "above", level: float = 2400.0, **options: object
) -> AlertSpec:
    clause = Clause(series=Price(instrument=instrument), condition=condition, level=level)
    return AlertSpec(clauses=(clause,), **options)  # type: ignore[arg-type]


def refused(line: str) -> LanguageError:
    with pytest.raises(LanguageError) as error:
        parse(line, find)
    return error.value


# ------------------------------------------------------------------------------------------ what it means


@pytest.mark.parametrize(
    ("line", "condition"),
    [
        ("gold > 2400", "above"), ("gold >= 2400", "above"), ("gold>2400", "above"), ("gold ≥ 2400", "above"),
        ("gold above 2400", "above"), ("gold over 2400", "above"), ("gold crosses above 2400", "above"),
        ("Gold CROSSES Over 2400", "above"), ("gold crosses > 2400", "above"), ("gold rises above 2400", "above"),
        ("gold rises to 2400", "above"), ("gold goes above 2400", "above"), ("gold exceeds 2400", "above"),
        ("gold tops 2400", "above"), ("gold is over 2400", "above"), ("gold ↑ 2400", "above"),
        ("gold ⬆️ 2400", "above"), ("gold is more than 2400", "above"), ("gold breaks above 2400", "above"),
        ("gold < 2400", "below"), ("gold <= 2400", "below"), ("gold below 2400", "below"),
        ("gold under 2400", "below"), ("gold crosses below 2400", "below"), ("GOLD BELOW 2400", "below"),
        ("gold falls below 2400", "below"), ("gold drops to 2400", "below"), ("gold dips under 2400", "below"),
        ("gold ↓ 2400", "below"), ("gold ⬇ 2400", "below"), ("gold is less than 2400", "below"),
        ("gold crosses 2400", "crosses"), ("gold cross 2400", "crosses"), ("gold hits 2400", "crosses"),
        ("gold reaches 2400", "crosses"), ("gold touches 2400", "crosses"), ("gold = 2400", "crosses"),
        ("gold ⇅ 2400", "crosses"),
        ("xau-usd > 2400", "above"), ('"gold" > 2400', "above"), ("“gold” > 2400", "above"), ("'gold' > 2400", "above"),
        ("\tgold\n>\u00a02400 ", "above"), ("gold > 2400 once", "above"), ("gold price > 2400", "above"),
        ("gold > 2400.", "above"), ("gold last price above 2400", "last"),
    ],
)  # fmt: skip
def test_one_condition_has_many_spellings(line: str, condition: Condition) -> None:
    """Case, spaces and words do not matter; "above" and "crosses above" are one condition."""
    if condition == "last":  # type: ignore[comparison-overlap]
        assert canonical(parse(line, find)) == "XAU-USD last > 2400"
    else:
        assert parse(line, find) == spec(condition=condition)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("btc > 60k", spec("BTC-USDT", level=60_000.0)),
        ("btc-usd < 2,00,000", spec("BTC-USD", "below", 200_000.0)),
        ('"comex gold" over 1_300', spec("GC", level=1300.0)),
        ("gold > 2.400,50", spec(level=2400.5)),
        ("gold > 2'400", spec()),
        ("gold > 2400 every time", spec(repeat="every time")),
        ("gold > 2400 band 0", spec(band=Band(0.0, percent=False))),
        ("gold > 2400 band 2", spec(band=Band(2.0, percent=False))),
        ("gold > 2400 band 0.1%", spec(band=Band(0.1, percent=True))),
        ("gold > 2400 band 0.1 %", spec(band=Band(0.1, percent=True))),
        ('gold > 2400 note "sell half"', spec(note="sell half")),
        ("gold > 2400 note “sell half”", spec(note="sell half")),
        ("gold > 2400 note «sell half»", spec(note="sell half")),
        ("gold > 2400 note 'sell half'", spec(note="sell half")),
        (r'gold > 2400 note "say \"now\" \\ go"', spec(note=r'say "now" \ go')),
        ('gold > 2400 note ""', spec()),
        ('gold > 2400 note "once band 2"', spec(note="once band 2")),
    ],
)
def test_a_line_means_its_parts(line: str, meant: AlertSpec) -> None:
    """Instrument, level and each option are read as written."""
    assert parse(line, find) == meant


@pytest.mark.parametrize(
    "options", ['every time band 2 note "x"', 'note "x" every time band 2', 'band 2 note "x" EVERY TIME']
)
def test_options_come_in_any_order(options: str) -> None:
    """Each at most once."""
    assert parse(f"gold > 2400 {options}", find) == spec(repeat="every time", band=Band(2.0, percent=False), note="x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2400", 2400.0), ("2400.5", 2400.5), ("2,400", 2400.0), ("2,400.50", 2400.5), ("1,234,567.8", 1234567.8),
        ("12,34,567", 1234567.0), ("1,00,000", 100000.0), ("60_000", 60000.0), ("2k", 2000.0), ("2.1k", 2100.0),
        ("2,1k", 2100.0), ("60K", 60000.0), (".5", 0.5), ("0.00001", 0.00001), ("007", 7.0),
        ("2.400,50", 2400.5), ("2.400,5", 2400.5), ("1.234.567", 1234567.0), ("1.234.567,8", 1234567.8),
        ("1.234,567", 1234.567), ("2'400", 2400.0), ("2’400.50", 2400.5), ("2'400,50", 2400.5),
        ("2400,50", 2400.5), ("2,4", 2.4), ("2,4567", 2.4567), ("0,400", 0.4), ("2.400", 2.4),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(text: str, value: float) -> None:
    """With a point or a comma, with thousands or lakhs separated, with k; a point alone stands before decimals."""
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "why", "meant"),
    [
        ("2400,500", "write 2400.500 with a point, or 2400500 without", "2400.500"),
        ("00,400", "can be read in two ways", "00.400"),
        ("1.5m", "write 1500000 in full if m stands for million", "1500000"),
        ("2 mio", "write 2000000 in full", "2000000"), ("5e3", "write 5000", "5000"),
        ("2,40,0", "is no number", ""), ("1_0", "is no number", ""), ("1.2.3", "is no number", ""),
        ("2.40.000", "is no number", ""), ("2b", "is no number", ""), ("٣", "is no number", ""),
        ("-5", "has a sign", "5"), ("$5", "names a currency", "5"), ("5%", "is a percentage", ""),
        ("k", "is no number", ""), (".", "is no number", ""), ("", "is no number", ""), (",5", "is no number", ""),
    ],
)  # fmt: skip
def test_a_number_in_doubt_is_refused_with_the_doubt(text: str, why: str, meant: str) -> None:
    """Never a guess that is wrong by a thousand."""
    with pytest.raises(NoNumber, match=re.escape(why)) as error:
        number(text)
    assert error.value.meant == meant


@given(value=st.integers(0, 10**11), cents=st.integers(0, 99))
def test_a_separated_number_is_the_plain_one(value: int, cents: int) -> None:
    """Whatever stands between thousands and before decimals."""
    plain, grouped = float(f"{value}.{cents:02}"), f"{value:,}.{cents:02}"
    continental = grouped.translate({ord(","): ".", ord("."): ","})
    swiss = grouped.replace(",", "'")
    for text in (f"{value}.{cents:02}", f"{value},{cents:02}", grouped, f"{value:_}.{cents:02}", continental, swiss):
        assert number(text) == plain


# -------------------------------------------------------------------------------------------- written back


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("gold crosses above 2,400.50", "XAU-USD > 2400.5"),
        ("btc under 60k every time", "BTC-USDT < 60000 every time"),
        (
            'gold crosses 2400 note "sell half" band 0.10% every time',
            'XAU-USD crosses 2400 every time band 0.1% note "sell half"',
        ),
        ("doge > 0.00001", "DOGE-USD > 0.00001"),
    ],
)
def test_an_alert_has_one_canonical_line(line: str, written: str) -> None:
    """With the instrument's id, the sign, plain digits and the options in one order."""
    served = build_catalogue({}, ("XAU-USD", "BTC-USDT", "DOGE-USD"))
    assert canonical(parse(line, served.find)) == written


@settings(max_examples=400, deadline=None)
@given(alert=alerts())
def test_a_canonical_line_reads_back_as_the_same_alert(alert: AlertSpec) -> None:
    """Every kind of series, condition, join and option; levels to the last bit, notes to the last character."""
    line = canonical(alert)
    assume(len(line) <= LONGEST_LINE)
    assert parse(line, find_any) == alert
    assert canonical(parse(line, find_any)) == line


@st.composite
def plain_specs(draw: st.DrawFn) -> AlertSpec:
    """Levels of plain prices, with any options."""
    level = draw(st.floats(LOWEST, HIGHEST, exclude_max=True))
    percent = draw(st.booleans())
    most = 100 if percent else level
    value = draw(st.just(0.0) | st.floats(min(LOWEST, most / 2), most, exclude_max=True).filter(lambda x: x >= LOWEST))
    at_most_s = draw(st.just(0) | st.integers(1, 31 * 86_400))
    return spec(
        draw(st.sampled_from([one.id for one in CATALOGUE])),
        draw(st.sampled_from(["above", "below", "crosses"])),
        level,
        hold_us=draw(st.just(0) | st.integers(1, 7 * 86_400)) * 1_000_000,
        repeat="every time" if at_most_s else draw(st.sampled_from(["once", "every time"])),
        at_most_us=at_most_s * 1_000_000,
        until_us=draw(st.none() | st.integers(0, 4_000_000_000).map(lambda second: second * 1_000_000)),
        sources=draw(st.integers(1, 5)),
        band=draw(st.none() | st.just(Band(value, percent))),
        urgent=draw(st.booleans()),
        via=tuple(draw(st.lists(st.sampled_from(["telegram", "push", "slack", "my-bot_2"]), max_size=3, unique=True))),
        note=draw(st.text(note_characters, max_size=100)),
    )


@settings(max_examples=300, deadline=None)
@given(
    alert=plain_specs(),
    cut=st.integers(0, 90),
    put=st.sampled_from(["", " ", ",", '"', "\\", "0", "X", "urgent", " via", "s", "M", " for 1s"]),
)
def test_the_short_way_reads_a_line_as_the_grammar_does(alert: AlertSpec, cut: int, put: str) -> None:
    """Canonical lines that can be printed go the short way; what else it takes, the grammar takes as the same."""
    line = canonical(alert)
    assert slowly(line) == alert
    assert language._quick(line, find) == (alert if line.isprintable() else None)
    other = line[:cut] + put + line[cut:]
    short = language._quick(other, find)
    assert short is None or short == slowly(other)


def slowly(line: str) -> AlertSpec:
    return language._read(language._one_line(line), Names(find))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("gold > 2400 urgent", spec(urgent=True)),
        ("gold > 2400 via Telegram,push", spec(via=("telegram", "push"))),
        ("gold > 2400 via telegram and push", spec(via=("telegram", "push"))),
        ("gold > 2400 via push, push urgent every time", spec(via=("push",), urgent=True, repeat="every time")),
        ('gold > 2400 via slack note "via push"', spec(via=("slack",), note="via push")),
    ],
)
def test_an_alert_says_how_urgent_it_is_and_where_it_goes(line: str, read: AlertSpec) -> None:
    """In any order, and written back in one."""
    assert parse(line, find) == read


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("gold > 2400 via", 'after "via" comes where it goes'),
        ("gold > 2400 via push,", 'after "via" comes where it goes'),
        ("gold > 2400 via push via slack", "where it goes is said twice"),
        ("gold > 2400 urgent urgent", "that it is urgent is said twice"),
        ("gold > 2400 via " + ", ".join("abcdefghi"), "via names 9 kinds of places"),
    ],
)
def test_a_place_that_is_missing_or_said_twice_is_told(line: str, reason: str) -> None:
    """Each in a sentence."""
    assert reason in refused(line).reason


def test_a_series_has_a_stable_key() -> None:
    """Alerts on the same numbers share it."""
    first, second = parse("oro > 1", find), parse("xau/usd < 2", find)
    assert key(first.first.series) == key(second.first.series) == "price(XAU-USD)"


def test_a_band_is_absolute_where_it_is_used() -> None:
    """Its own, in percent of the level, or the hub's default."""
    for band, width in (
        (None, 1.2),
        (Band(0.5, percent=True), 12.0),
        (Band(3.0, percent=False), 3.0),
        (Band(0.0, percent=False), 0.0),
    ):
        alert = spec(band=band)
        assert band_of(alert, alert.first, alert.first.level, 0.05) == pytest.approx(width)


# ------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("line", "at", "reason", "example"),
    [
        ("gold >> 2400", 6, 'a number is missing here, not ">"', "gold > 2400"),
        ("gold => 2400", 5, 'or every 100, not "=>"', "gold >= 2400"),
        ("gold 2400", 5, "after the instrument comes what it does", "gold > 2400"),
        ("gold at 2400", 8, "after the instrument comes what it does", "gold crosses 2400"),
        ("gold near 2400", 5, 'not "near"', "gold > 2400"),
        ("gold abvoe 2400", 5, 'not "abvoe"', "gold above 2400"),
        ("gold >", 6, "a number is missing here", "gold > 2400"),
        ("gold", 4, "after the instrument comes what it does", "gold > 2400"),
        ("comex gold > 2400", 6, "after the instrument comes", '"comex gold" > 2400'),
        ("comex gold > 2400 every time", 6, "after the instrument comes", '"comex gold" > 2400 every time'),
        ("gold > 2400,500 every time", 7, "can be read in two ways", "gold > 2400.500 every time"),
        ("gold > 2 400", 9, "after the level comes nothing, or and, or, once", "gold > 2400"),
        ("gold > 1.5m", 7, "if m stands for million", "gold > 1500000"),
        ("gold > 5e3", 7, "is no number here: write 5000", "gold > 5000"),
        ("gold > abc", 7, '"abc" is not an instrument known here', "gold > 2400"),
        ("gold > 0", 7, "a level is above zero and under 1000000000000", "gold > 2400"),
        ("gold > 1000000000000", 7, "a level is above zero and under 1000000000000", "gold > 2400"),
        ("gold > -5", 8, '"-5" has a sign', "gold > 5"),
        ("gold > 1e13", 7, '"1e13" is no number here', "gold > 2400"),
        ("gold > 2400%", 7, "is a percentage", "gold > 2400"),
        ("gold > 5%", 7, "a move says in which time", "gold +5% in 1d"),
        ("gold < 5 %", 7, "a move says in which time", "gold -5% in 1d"),
        ("gold > 2400 soon", 12, "after the level comes nothing, or and, or, once", "gold > 2400"),
        ("gold > 2400 evry time", 12, "after the level comes nothing", "gold > 2400 every time"),
        ("gold > 2400, every time", 11, "after the level comes nothing", "gold > 2400 every time"),
        ("gold > 2400 < 2500", 12, "after the level comes nothing", ""),
        ("gold > 2400 once every time", 23, "how often it rings is said twice", "gold > 2400 every time"),
        ("gold > 2400 band 1 band 2", 19, "the band is said twice", "gold > 2400 band 1"),
        ("gold > 2400 band 2400", 17, "less than the level itself", "gold > 2400"),
        ("gold > 2400 band 100%", 17, "less than 100 %", ""),
        ("gold > 2400 every", 17, 'after "every" comes "time"', "gold > 2400 every time"),
        ("gold > 2400 every 10m", 18, 'after "every" comes "time"', "gold > 2400 at most every 10m"),
        ("gold < 2400 note sell half", 17, "a note stands in quotation marks", 'gold < 2400 note "sell half"'),
        ('gold < 2400 note "sell half', 17, "this quotation mark is not closed", 'gold < 2400 note "sell half"'),
        ('gold < 2400 "sell half"', 12, "after the level comes nothing", 'gold < 2400 note "sell half"'),
        ("glod > 2400", 0, "did you mean gold?", ""),
        ("> 2400", 0, "an alert begins with an instrument", ""),
        ("2400 < gold", 0, "is not an instrument known here", "gold > 2400"),
        ("", 0, "an alert begins with an instrument", ""),
        ("gold > 24\x0000", 9, "the character U+0000 cannot be shown", ""),
        ("alert me when gold hits 2400", 6, "after the instrument comes", "gold hits 2400"),
        ("tell me if the price of gold is above 2400 every time", 5, "after the", "gold above 2400 every time"),
        ("remind me when gold falls 5%", 7, "after the", "gold falls 5% in 1h"),
        ("$btc > 60k", 0, "is not an instrument", "btc > 60k"),
    ],
)
def test_an_error_names_the_place_and_what_was_meant(line: str, at: int, reason: str, example: str) -> None:
    """The reason, the place in the line, and a line made of what was understood."""
    error = refused(line)
    assert reason in error.reason
    assert (error.at, error.example) == (at, example)


def test_an_error_is_told_in_three_lines() -> None:
    """The reason, the line with a caret under the place, the example."""
    assert refused("gold >> 2400").text.splitlines() == [
        'a number is missing here, not ">"',
        "gold >> 2400",
        "      ^",
        "Try: gold > 2400",
    ]


def test_the_caret_stands_under_the_place_in_long_and_wide_lines() -> None:
    """The line is cut around it, and wide characters count for two."""
    assert refused("黄金 >> 2400").text.splitlines()[1:3] == ["黄金 >> 2400", "      ^"]
    shown, caret = refused("gold > 2400 " + "every time " + 'note "' + "n" * 300 + '" soon').text.splitlines()[1:3]
    assert shown[caret.index("^") :].startswith("soon")
    assert len(shown) < 70


@pytest.mark.parametrize(
    "line",
    [
        "gold 25k < 7000 inr/g", "gold < 7000 xyz", "gold/silver > 85 inr", "btc 22k < 5", "glod -5% in 1h",
        "foo(gold, 14, 1h) < 30", "rsi(gold, 14, 1h) > gold", "gold - platinum > 5%", "gold > 2400 and silver",
        "sma(rsi(btc, 14, 1h), 5, 1h) > 5",
    ],
)  # fmt: skip
def test_no_example_is_offered_that_would_mean_something_else(line: str) -> None:
    """7,000 rupees a gram is not 7,000 dollars an ounce."""
    assert refused(line).example == ""


def test_what_is_understood_of_a_line_fills_a_form() -> None:
    """The parts that a form has."""
    assert understood('gold is under 2,400 every time note "sell"', find) == {
        "instrument": "gold",
        "condition": "below",
        "level": "2,400",
        "repeat": "every time",
        "note": "sell",
    }
    assert understood("gold < 7000 inr/g soon", find) == {"instrument": "gold"}
    assert understood("comex gold", find) == {"instrument": "comex gold"}
    assert understood("hello", find) == {}


def test_no_name_of_an_instrument_is_a_word_of_the_language() -> None:
    """So that what stands behind a name is not taken for a part of it."""
    words = set(re.findall(r"[a-z]{2,}", re.sub(r"//.*", "", GRAMMAR.read_text())))
    assert {"once", "every", "above", "cross", "and", "within", "portfolio", "karat"} <= words
    names = {name.casefold() for one in CATALOGUE for name in (one.name, one.id.split("-")[0], *one.aliases)}
    currencies = {"usd", "eur", "gbp", "inr", "chf", "jpy", "cad", "aud", "nzd", "yen"}
    assert not names & (words - currencies - {"gold", "btc", "silver"})


def test_the_grammar_is_without_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """One tree for each line, and no choice that the parser's maker made for us."""
    with caplog.at_level(logging.DEBUG, logger="lark"):
        lark.Lark(GRAMMAR.read_text(), start="alert", parser="lalr", lexer="contextual", g_regex_flags=re.I, debug=True)
    assert [record.message for record in caplog.records if "onflict" in record.message] == []


WORDS_OF_THE_GRAMMAR = {word.upper() for word in re.findall(r"[a-z]+", re.sub(r"//.*", "", GRAMMAR.read_text()))}


@pytest.mark.parametrize("place", ["{id} bid > 5", "{id} trails 3%", "{id} moves 5% in 1h", "{id} -5% in 1h",
                                   "{id} 5% below day high", "BTC-USD > 5 or {id} > 5",
                                   "BTC-USD > 5 and {id} 5% below day high", "BTC-USD / {id} > 5", "{id} / BTC-USD > 5",
                                   "BTC-USD - {id} > 5", "{id} - BTC-USD > 5", "BTC-USD > {id}", "{id} > BTC-USD",
                                   "sma({id}, 50, 1d) > 5", "volume({id}, 1h) > 5"])  # fmt: skip
def test_an_id_that_is_a_word_of_the_language_is_read_back(place: str) -> None:
    """Wherever it stands: in quotation marks where it would be taken for the word."""
    ids = sorted(
        WORDS_OF_THE_GRAMMAR | {f"{word}S" for word in WORDS_OF_THE_GRAMMAR} | {"22K", "7203", "IN-X", "LOW.B"}
    )
    named = build_catalogue({each: {"name": each} for each in ids}, ()).find
    for each in ids:
        alert = parse(place.format(id=f'"{each}"'), named)
        assert each in alert.instruments
        assert parse(canonical(alert), named) == alert


@pytest.mark.parametrize("weight", sorted({*WORDS, *WORDS.values()}))
def test_every_word_for_a_weight_is_known_behind_a_slash(weight: str) -> None:
    """The grammar tells "7000 inr/g" from the ratio of two prices by these words."""
    assert canonical(parse(f"gold < 7000 inr/{weight}", find)).startswith("XAU-USD in INR")
    assert canonical(parse(f"gold in inr/{weight} < 7000", find)).startswith("XAU-USD in INR")
    assert canonical(parse(f"gold per {weight} < 7000", find)).startswith("XAU-USD")


# ------------------------------------------------------------------------------------------------ any text

PIECES = (
    "gold", "GOLD", "btc", "XAU-USD", "glod", "silver", ">", "<", ">=", "=>", "=", "==", "crosses", "above", "below",
    "over", "2400", "2,4", "2,400.5", "60k", "-5", "5%", "1e9", "%", "$1", "once", "every", "time", "band", "note",
    '"a"', '"a', "“b”", "\\", '\\"', "'x'", "(", ")", "/", ",", "rsi(", "for 30s", "and", "or", "until", "via",
    "22k", "\x00", "\u202e", "\ud800", "\udfff", "-", "+3%", "in 1h", "in", "inr", "inr/g", "per gram", "bid", "then",
    "within 2h", "within", "trails", "every 10", "at most every 10m", "52w high", "day low", "low", "2300..2350", "to",
    "between", "enters", "leaves", "sma(gold, 50, 1d)", "change(btc, 24h)", "volume", "spread", "portfolio", "confirm",
    "until friday", "for", "€", "¥", "macd(btc, 1h)", "1M", "live", "is", "the", "when",
)  # fmt: skip
pieces = st.lists(st.sampled_from(PIECES), max_size=14)
lines = st.text(max_size=600) | pieces.map(" ".join) | pieces.map("".join)


@settings(max_examples=800, deadline=1000)
@example("x" * 10_000)
@example("9" * 490)
@example("gold > " + "9" * 480)
@example('gold > 1 note "' + "\\" * 480)
@example("(" * 500)
@example("gold > 1 note “" + "\\" * 480 + "”")
@example('gold>1 note"' + "n" * 487 + '"')
@example("“" * 499)
@example("gold trailing stop")
@example("sma(gold, " + "9" * 400 + ", 1h) > 5")
@example("gold > 5 for " + "9" * 400 + "d")
@example("gold > 5 until " + "9" * 400 + "d")
@example("gold > 5 confirm " + "9" * 400)
@example("gold > 5 band " + "9" * 400 + "%")
@example("gold moves " + "9" * 400 + "% in 1h")
@example("gold < " + "9" * 300 + " inr per " + "9" * 100 + " grams")
@example("gold 50 below day high")
@given(line=lines)
def test_any_text_is_an_alert_or_an_error_that_helps(line: str) -> None:
    """In bounded time; an alert's canonical line reads back, an offered example parses, the place is in the line."""
    read = alert_or_error(line)
    if isinstance(read, AlertSpec):
        assert parse(canonical(read), find) == read
        return
    assert len(read.text) < 1500
    assert {unicodedata.category(character) for character in read.text if character != "\n"}.isdisjoint({"Cc", "Cs"})
    assert 0 <= read.at <= len(read.line)
    assert not read.example or parse(read.example, find)


def alert_or_error(line: str) -> AlertSpec | LanguageError:
    try:
        return parse(line, find)
    except LanguageError as error:
        return error


@settings(max_examples=20, deadline=None)
@given(line=st.text(min_size=LONGEST_LINE + 1, max_size=10_000))
def test_a_line_that_is_too_long_is_refused_unread(line: str) -> None:
    """With its length, and without the line."""
    error = refused(line)
    assert f"{len(line)} characters" in error.reason
    assert line not in error.text


def test_a_note_that_could_be_kept_but_not_read_again_is_refused() -> None:
    """The stored line is the canonical one, which may be longer than what was typed."""
    error = refused('gold>1 note"' + "n" * 487 + '"')
    assert "shorten the note" in error.reason
    assert (error.at, error.example) == (7, "gold>1")


def test_an_instrument_that_cannot_be_found_is_told_in_the_catalogue_s_words() -> None:
    """A question stays a question, with the place."""

    def ask(word: str) -> None:
        raise BadRequest(f'"{word}" could be A or B: say which')

    with pytest.raises(LanguageError, match='"btc" could be A or B: say which') as error:
        parse("  btc > 1", ask)  # type: ignore[arg-type]
    assert error.value.at == 2
