"""Lines as people type them: each is what they mean, or asked about with what they may have meant, and quickly."""

import time
from pathlib import Path

import pytest

from hub.instruments import build_catalogue
from hub.model import SECOND_US
from hub.rules.language import LONGEST_LINE, AlertSpec, Clock, LanguageError, canonical, parse

LINES = [line for line in Path(__file__).with_name("lines_of_people.txt").read_text().splitlines() if line[:1] != "#"]
READ = [tuple(line.split(" -> ")) for line in LINES if " -> " in line and " ?? " not in line]
ASKED = [tuple(map(str.strip, f"{line} ".split(" ?? "))) for line in LINES if " ?? " in f"{line} "]
CLOCK = Clock(now_us=1_800_000_000 * SECOND_US, zone="Europe/Berlin")
find = build_catalogue({}, ("XAU-USD", "XAG-USD", "BTC-USDT", "ETH-USDT")).find


def read(line: str) -> AlertSpec | LanguageError:
    try:
        return parse(line, find, CLOCK)
    except LanguageError as error:
        return error


@pytest.mark.parametrize(("line", "written"), READ)
def test_what_people_type_is_what_they_mean(line: str, written: str) -> None:
    """However they write it."""
    assert canonical(parse(line, find, CLOCK)) == written


@pytest.mark.parametrize(("line", "example"), ASKED)
def test_what_is_not_understood_is_asked_about(line: str, example: str) -> None:
    """With a line that reads, where one is meant."""
    error = read(line)
    assert isinstance(error, LanguageError)
    assert error.example == example
    assert not example or isinstance(read(example), AlertSpec)


def test_there_are_lines_of_both_sorts() -> None:
    """The file is read."""
    assert len(READ) > 120
    assert len(ASKED) > 60


UNITS = (
    '"', "\\", "1,", "1_", "gold ", "> ", "gold/", "note ", "every ", "2,400", "(", "%", "＞", " ", "and ", "or ", "-",
    "- ", "rsi(", "sma(gold, ", "gold - ", "gold / ", "1h ", "5% below 52w high ", "in ", "in 1h ", "per ", "a/", "a.",
    "x", "é", "gold > 5 and ", "gold > 5 or ", "within ", "no ", "until ", "until friday ", "abc, ", "22k ", "22k",
    "the ", "a new ", "high ", "day high ", "1 d ", "1d", "1 and ", "for 1s ", "'", "‘", "1'1", "is ", "rises ", "0",
    "is not ", "0 0 ", "€", "€1", "$", "usd ", "portfolio ", 'portfolio "a" ', "gold then ", "bid(", "))", "+", "±",
    "..", ".", "…", "to ", "12 karat ", "at most ", "once ", "band ", "confirm ", "1M ", "1m and 1", "rsi ", "a to ",
    "bid ", "trailing stop ", "more than ", "#", "$a ", "tell me when ", "a:", "a, ", "a-a", "zzzzzzzzzz ",
)  # fmt: skip
BEGINNINGS = ("", "gold > 1 ", "gold ", "gold > ", "rsi(gold, ", "gold -5% in ", "gold > 5 until ", "gold > 5 note ")


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_the_worst_lines_are_answered_quickly(begin: str) -> None:
    """Nothing that a pattern, a nesting or a proposal could run wild on takes longer than a tenth of a second."""
    read("gold >> 1 once")
    for unit in UNITS:
        line = (begin + unit * LONGEST_LINE)[:LONGEST_LINE]
        before = time.process_time()
        read(line)
        assert time.process_time() - before < 0.1, unit
