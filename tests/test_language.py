"""The alert language: what it means, how it is written back, and what it says to a line that is no alert."""

import re
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
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
    Condition,
    LanguageError,
    NoNumber,
    Series,
    band_of,
    canonical,
    describe,
    number,
    parse,
)

CATALOGUE_SERVED = build_catalogue({}, ("XAU-USD", "XAG-USD", "BTC-USDT", "ETH-USDT"))
find = CATALOGUE_SERVED.find
GOLD = find("gold")


def spec(
    instrument: str = "XAU-USD", condition: Condition = "above", level: float = 2400.0, **options: object
) -> AlertSpec:
    return AlertSpec(
        series=Series(instruments=(instrument,)), condition=condition, level=level, **options  # type: ignore[arg-type]
    )  # fmt: skip


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
        ("Gold CROSSES Over 2400", "above"), ("gold crosses > 2400", "above"),
        ("gold < 2400", "below"), ("gold <= 2400", "below"), ("gold below 2400", "below"),
        ("gold under 2400", "below"), ("gold crosses below 2400", "below"), ("GOLD BELOW 2400", "below"),
        ("gold crosses 2400", "crosses"), ("gold cross 2400", "crosses"),
        ("xau-usd > 2400", "above"), ('"gold" > 2400', "above"), ("“gold” > 2400", "above"), ("'gold' > 2400", "above"),
        ("\tgold\n>\u00a02400 ", "above"), ("gold > 2400 once", "above"),
    ],
)  # fmt: skip
def test_one_condition_has_many_spellings(line: str, condition: Condition) -> None:
    """Case, spaces and words do not matter; "above" and "crosses above" are one condition."""
    assert parse(line, find) == spec(condition=condition)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("btc > 60k", spec("BTC-USDT", level=60_000.0)),
        ("btc-usd < 2,00,000", spec("BTC-USD", "below", 200_000.0)),
        ('"comex gold" over 1_300', spec("GC", level=1300.0)),
        ("gold > 2400 every time", spec(repeat="every time")),
        ("gold > 2400 band 0", spec(band=Band(0.0, percent=False))),
        ("gold > 2400 band 2", spec(band=Band(2.0, percent=False))),
        ("gold > 2400 band 0.1%", spec(band=Band(0.1, percent=True))),
        ("gold > 2400 band 0.1 %", spec(band=Band(0.1, percent=True))),
        ('gold > 2400 note "sell half"', spec(note="sell half")),
        ("gold > 2400 note “sell half”", spec(note="sell half")),
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
        ("12,34,567", 1234567.0), ("60_000", 60000.0), ("2k", 2000.0), ("2.1k", 2100.0), ("60K", 60000.0),
        (".5", 0.5), ("0.00001", 0.00001), ("007", 7.0),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(text: str, value: float) -> None:
    """With a point, with thousands or lakhs separated, with k."""
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2,4", "write 2.4 with a point, or 24 without"), ("0,400", "can be read in two ways"),
        ("2400,50", "can be read in two ways"), ("2.400,50", "write 2400.50"), ("1.234.567", "write 1234567"),
        ("2'400", "write 2400"), ("2,40,0", "is no number"), ("1_0", "is no number"), ("1.2.3", "is no number"),
        ("5e3", "is no number"), ("2m", "is no number"), ("٣", "is no number"), ("-5", "has a sign"),
        ("$5", "names a currency"), ("5%", "is a percentage"), ("k", "is no number"), (".", "is no number"),
    ],
)  # fmt: skip
def test_a_number_in_doubt_is_refused_with_the_doubt(text: str, why: str) -> None:
    """Never a guess that is wrong by a thousand."""
    with pytest.raises(NoNumber, match=re.escape(why)):
        number(text)


@given(value=st.integers(0, 10**11), cents=st.integers(0, 99))
def test_a_separated_number_is_the_plain_one(value: int, cents: int) -> None:
    """Commas and underscores change nothing."""
    plain = float(f"{value}.{cents:02}")
    assert number(f"{value}.{cents:02}") == number(f"{value:,}.{cents:02}") == number(f"{value:_}.{cents:02}") == plain


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


levels = st.floats(LOWEST, HIGHEST, exclude_max=True)
note_characters = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))


@st.composite
def specs(draw: st.DrawFn) -> AlertSpec:
    level = draw(levels)
    percent = draw(st.booleans())
    most = 100 if percent else level
    value = draw(st.just(0.0) | st.floats(min(LOWEST, most / 2), most, exclude_max=True).filter(lambda x: x >= LOWEST))
    return AlertSpec(
        series=Series(instruments=(draw(st.sampled_from([one.id for one in CATALOGUE])),)),
        condition=draw(st.sampled_from(["above", "below", "crosses"])),
        level=level,
        band=draw(st.none() | st.just(Band(value, percent))),
        repeat=draw(st.sampled_from(["once", "every time"])),
        urgent=draw(st.booleans()),
        via=tuple(draw(st.lists(st.sampled_from(["telegram", "push", "slack", "my-bot_2"]), max_size=3, unique=True))),
        note=draw(st.text(note_characters, max_size=100)),
    )


@settings(max_examples=300)
@given(alert=specs())
def test_a_canonical_line_reads_back_as_the_same_alert(alert: AlertSpec) -> None:
    """Levels to the last bit, notes to the last character; and it is its own canonical line."""
    line = canonical(alert)
    assert parse(line, find) == alert
    assert canonical(parse(line, find)) == line


@settings(max_examples=300)
@given(
    alert=specs(), cut=st.integers(0, 60), put=st.sampled_from(["", " ", ",", '"', "\\", "0", "X", "urgent", " via"])
)
def test_the_short_way_reads_a_line_as_the_grammar_does(alert: AlertSpec, cut: int, put: str) -> None:
    """Canonical lines that can be printed go the short way; what else it takes, the grammar takes as the same."""
    line = canonical(alert)
    assert language._read(language._one_line(line), find) == alert
    assert language._quick(line, find) == (alert if line.isprintable() else None)
    other = line[:cut] + put + line[cut:]
    short = language._quick(other, find)
    assert short is None or short == language._read(language._one_line(other), find)


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("gold > 2400 urgent", spec(urgent=True)),
        ("gold > 2400 via Telegram,push", spec(via=("telegram", "push"))),
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
    assert parse("oro > 1", find).series.key == parse("xau/usd < 2", find).series.key == "price(XAU-USD)"


def test_a_band_is_absolute_where_it_is_used() -> None:
    """Its own, in percent of the level, or the hub's default."""
    assert band_of(spec(), 0.05) == pytest.approx(1.2)
    assert band_of(spec(band=Band(0.5, percent=True)), 0.05) == pytest.approx(12.0)
    assert band_of(spec(band=Band(3.0, percent=False)), 0.05) == 3.0
    assert band_of(spec(band=Band(0.0, percent=False)), 0.05) == 0.0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gold > 2400", "Gold rises to 2,400.00 or above, once"),
        ("gold < 2400.125 every time", "Gold falls to 2,400.125 or below, every time"),
        (
            'gold crosses 2400 band 0.1% note "sell half"',
            'Gold crosses 2,400.00, once, band 0.1 %, note "sell half"',
        ),
    ],
)
def test_an_alert_is_told_in_words(line: str, told: str) -> None:
    """With the instrument's decimals, and no digit of the level lost."""
    assert describe(parse(line, find), GOLD) == told


# ------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("line", "at", "reason", "example"),
    [
        ("gold >> 2400", 6, 'a number is missing here, not ">"', "gold > 2400"),
        ("gold => 2400", 5, 'after the instrument comes >, <, above, below or crosses, not "=>"', "gold > 2400"),
        ("gold = 2400", 5, "after the instrument comes", "gold crosses 2400"),
        ("gold 2400", 5, "after the instrument comes", "gold > 2400"),
        ("gold is under 2400", 5, "after the instrument comes", "gold < 2400"),
        ("gold >", 6, "a number is missing here", "gold > 2400"),
        ("comex gold > 2400", 6, "after the instrument comes", '"comex gold" > 2400'),
        ("gold > 2,4", 7, '"2,4" can be read in two ways', "gold > 2.4"),
        ("gold > 2.400,50 every time", 7, "can be read in two ways", "gold > 2400.50 every time"),
        ("gold > $2400", 7, "names a currency", "gold > 2400"),
        ("gold > abc", 7, 'a number is missing here, not "abc"', "gold > 2400"),
        ("gold > 0", 7, "a level is above zero and under 1000000000000", "gold > 2400"),
        ("gold > 1000000000000", 7, "a level is above zero and under 1000000000000", "gold > 2400"),
        ("gold > 2400%", 7, "is a percentage", "gold > 2400"),
        ("gold > 2400 soon", 12, "after the level comes nothing, or once", "gold > 2400"),
        ("gold > 2400 once every time", 17, "how often it rings is said twice", "gold > 2400 every time"),
        ("gold > 2400 band 1 band 2", 19, "the band is said twice", "gold > 2400"),
        ("gold > 2400 band 2400", 17, "less than the level itself", "gold > 2400"),
        ("gold > 2400 band 100%", 17, "less than 100 %", "gold > 2400"),
        ("gold > 2400 every", 17, 'after "every" comes "time"', "gold > 2400 every time"),
        ("gold < 2400 note sell half", 17, "a note stands in quotation marks", 'gold < 2400 note "sell half"'),
        ('gold < 2400 note "sell half', 17, "this quotation mark is not closed", 'gold < 2400 note "sell half"'),
        ('gold < 2400 "sell half"', 12, "after the level comes nothing", 'gold < 2400 note "sell half"'),
        ("glod > 2400", 0, "did you mean gold?", ""),
        ("> 2400", 0, "an alert begins with an instrument", ""),
        ("", 0, "an alert begins with an instrument", ""),
        ("gold > 24\x0000", 9, "the character U+0000 cannot be shown", ""),
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
    ("line", "word"),
    [
        ("silver -5% in 1h", "-5%"), ("btc +3% in 24h", "+3%"), ("eth moves 2% in 15m", "moves"),
        ("btc outside 60000..70000", "outside"), ("gold enters 2300..2350", "enters"),
        ("gold/silver > 85", "gold/silver"), ("gold / silver > 85", "/"), ("gold 22k < 7000 inr/g", "22k"),
        ("rsi(btc, 14, 1h) < 30", "rsi"), ("sma(gold, 50, 1d) crosses sma(gold, 200, 1d)", "sma"),
        ("gold crosses sma(gold, 50, 1d)", "sma"), ("gold trails 3%", "trails"), ("btc every 1000", "every 1000"),
        ("portfolio < 50000", "portfolio"), ("gold > 2400 for 30s", "for 30s"), ("gold > 2400 until friday", "until"),
        ("gold > 2400 at most every 10m", "at most"), ("gold > 2400 and silver > 30", "and"),
        ("gold > 2400 then gold < 2350 within 2h", "then"), ("gold > 2500 or gold < 2300", "or"),
        ("gold < 7000 inr/g", "inr/g"), ("gold > 2400 usd", "usd"),
    ],
)  # fmt: skip
def test_what_is_planned_is_said_to_be_not_understood_yet(line: str, word: str) -> None:
    """Every other form of the design's language, by the word that is not built."""
    error = refused(line)
    assert error.reason.startswith(f'"{word}" (')
    assert error.reason.endswith(") is not understood yet")


@pytest.mark.parametrize("line", ["gold 22k < 7000 inr/g", "gold < 7000 inr/g", "gold/silver > 85", "silver -5% in 1h"])
def test_no_example_is_offered_that_would_mean_something_else(line: str) -> None:
    """7,000 rupees a gram is not 7,000 dollars an ounce."""
    assert refused(line).example == ""


def test_what_is_left_out_behind_the_level_leaves_an_alert() -> None:
    """The part that works is offered, with its own condition."""
    assert refused("gold crosses below 2400 for 30s").example == "gold < 2400"


def test_no_name_of_an_instrument_is_a_word_of_the_language() -> None:
    """So that "or" stays free for conditions joined by it."""
    words = set(re.findall(r"[a-z]{2,}", Path(parse.__code__.co_filename).with_name("alert.lark").read_text()))
    taken = {"once", "every", "time", "band", "note", "above", "below", "over", "under", "crosses", "via", "urgent"}
    planned = {"and", "or", "then", "within", "until", "for", "trails", "enters", "outside", "moves"}
    assert taken <= words | {"crosses"}
    names = {name.casefold() for one in CATALOGUE for name in (one.name, one.id.split("-")[0], *one.aliases)}
    assert not names & (taken | planned)


# ------------------------------------------------------------------------------------------------ any text

PIECES = (
    "gold", "GOLD", "btc", "XAU-USD", "glod", "silver", ">", "<", ">=", "=>", "=", "==", "crosses", "above", "below",
    "over", "2400", "2,4", "2,400.5", "60k", "-5", "5%", "1e9", "%", "$1", "once", "every", "time", "band", "note",
    '"a"', '"a', "“b”", "\\", '\\"', "'x'", "(", ")", "/", ",", "rsi(", "for 30s", "and", "or", "until", "via",
    "22k", "\x00", "\u202e", "\ud800", "\udfff",
)  # fmt: skip
pieces = st.lists(st.sampled_from(PIECES), max_size=14)
lines = st.text(max_size=600) | pieces.map(" ".join) | pieces.map("".join)


@settings(max_examples=600, deadline=1000)
@example("x" * 10_000)
@example("9" * 490)
@example("gold > " + "9" * 480)
@example('gold > 1 note "' + "\\" * 480)
@example("(" * 500)
@example("gold > 1 note “" + "\\" * 480 + "”")
@example('gold>1 note"' + "n" * 487 + '"')
@example("“" * 499)
@given(line=lines)
def test_any_text_is_an_alert_or_an_error_that_helps(line: str) -> None:
    """In bounded time; an alert's canonical line reads back, an offered example parses, the place is in the line."""
    read = alert_or_error(line)
    if isinstance(read, AlertSpec):
        assert LOWEST <= read.level < HIGHEST
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
    assert (error.at, error.example) == (7, "gold > 1")


def test_the_worst_lines_are_refused_quickly() -> None:
    """Nothing that a pattern could run wild on takes longer than a tenth of a second."""
    parse("gold > 1", find)
    for unit in ('"', "\\", "1,", "1_", "gold ", "> ", "gold/", "note ", "every ", "2,400", "(", "%", "＞", " "):
        line = ("gold > 1 " + unit * LONGEST_LINE)[:LONGEST_LINE]
        before = time.perf_counter()
        read = alert_or_error(line)
        assert time.perf_counter() - before < 0.1, unit
        assert isinstance(read, LanguageError) is (unit != " "), unit


def test_an_instrument_that_cannot_be_found_is_told_in_the_catalogue_s_words() -> None:
    """A question stays a question, with the place."""

    def ask(word: str) -> None:
        raise BadRequest(f'"{word}" could be A or B: say which')

    with pytest.raises(LanguageError, match='"btc" could be A or B: say which') as error:
        parse("  btc > 1", ask)  # type: ignore[arg-type]
    assert error.value.at == 2
