"""What is said of a line that is no alert: why, where, and a line that was probably meant and does read. Pure.

The reader of lines hands in how it reads one (`Reads`), so nothing is proposed that it would refuse.
Depends on lark, hub.model, hub.plugin and hub.rules.numbers.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from hub.model import Instrument
from hub.plugin import BadRequest
from hub.rules.numbers import HIGHEST, LOWEST, number, quoted_cut

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

Find = Callable[[str], Instrument]
"""The instrument that a word means, or BadRequest."""
Reads = Callable[[str], bool]
"""Whether a line is an alert."""
SIGNS = {"above": ">", "below": "<", "crosses": "crosses"}
"""Each condition as it stands in a line."""


class LanguageError(BadRequest):
    """Why a line is no alert: `reason` in a sentence, `at` the index in `line` where it went wrong, `example` a
    line that does parse, or empty. The text holds all three."""

    def __init__(self, reason: str, line: str = "", at: int = 0, example: str = "") -> None:
        place = "\n".join(_place(line, at)) if line else ""
        super().__init__("\n".join(part for part in (reason, place, f"Try: {example}" if example else "") if part))
        self.reason = reason
        self.line = line
        self.at = at
        self.example = example


class Wrong(Exception):
    """`meant` are lines that the person may have meant, the best first; `guess`: others may be made from what is
    understood of this one."""

    def __init__(self, reason: str, at: int, *meant: str, guess: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at
        self.meant = meant
        self.guess = guess


# ------------------------------------------------------------------------------------------ why and where

_QUOTES = '"“”„'
_CURRENCY_OR_UNIT = r"(?:[a-z]{3}/[a-z]+|in\s+[a-z]{3}|per\s+[a-z]+|usd|eur|gbp|inr|jpy|chf)"
_COMPARES = r"[<>≥≤]|\b(?:above|over|below|under|cross(?:es)?)\b"
PLANNED: tuple[tuple[str, str], ...] = (
    (r"(?:rsi|sma|ema|macd|bollinger)\b(?=\s*\()", "an indicator"),
    (r"(?:change|volume|high|low|drawdown|spread)\b(?=\s*\()", "a series other than the price"),
    (r"(?:bid|ask|volume|spread)\b(?!\s*(?:[<>≥≤]|$))", "a series other than the price"),
    (r"portfolio\b", "the value of a portfolio"),
    (r"/", "the ratio of two instruments"),
    (r"(?:[+-]\s*[0-9][0-9.,]*\s*%|moves\b)", "a move in percent over a time"),
    (rf"[0-9]{{1,2}}\s*(?:k|kt|ct|karat|carat)\b(?=.*(?:{_COMPARES}))", "karat"),
    (r"trails\b", "a level that trails the price"),
    (r"(?:enters|leaves|outside|inside|between)\b", "a range of prices"),
    (r"every\s+[0-9][0-9.,]*\w*", "ringing at steps"),
    (r"at\s+most\b", "ringing at most so often"),
    (r"(?:and|or|then|within)\b", "an alert of several conditions"),
    (r"for\s+[0-9]+\s*\w*", "a condition that has to last"),
    (r"until\b", "an end to an alert"),
    (rf"{_CURRENCY_OR_UNIT}\b", "a currency or unit of its own"),
)
"""Words of the language that are not built yet, as patterns at the place where the line is not understood."""

_PLANNED = tuple((re.compile(pattern, re.IGNORECASE), what) for pattern, what in PLANNED)


def planned(text: str, at: int, *, behind_level: bool = False) -> Wrong | None:
    """Only what is left out behind a level leaves an alert of the same meaning; a currency does not."""
    for pattern, what in _PLANNED:
        if found := pattern.match(text, at):
            guess = behind_level and re.match(_CURRENCY_OR_UNIT, found[0], re.IGNORECASE) is None
            return not_yet(found[0], what, at, guess=guess)
    return None


def not_yet(word: str, what: str, at: int, *, guess: bool) -> Wrong:
    return Wrong(f"{quoted_cut(word)} ({what}) is not understood yet", at, guess=guess)


def syntax(text: str, error: "UnexpectedInput") -> Wrong:
    """What is missing or too much at the first place that fits no alert."""
    from lark.exceptions import UnexpectedCharacters

    ended = getattr(getattr(error, "token", None), "type", "") == "$END"
    at = len(text.rstrip()) if ended else max(0, error.pos_in_stream or 0)
    wanted: set[str] = set(getattr(error, "accepts", None) or getattr(error, "allowed", None) or ())
    start = len(text) - len(text.lstrip())
    not_built = planned(text, at, behind_level="ONCE" in wanted) or planned(text, start)
    if not_built:
        return not_built
    rest = text[at:].strip()
    if isinstance(error, UnexpectedCharacters) and rest[:1] in _QUOTES:
        closed = f'{text[:at]}"{_bare(rest)}"'
        return Wrong("this quotation mark is not closed, or is closed by another kind", at, closed)
    return Wrong(_wants(text, at, wanted), at, *_missing(text, at, wanted))


def _missing(text: str, at: int, wanted: set[str]) -> Iterator[str]:
    """The line with what was left out."""
    rest = text[at:].strip()
    if wanted == {"TEXT"} and rest:
        yield f'{text[:at].rstrip()} "{_bare(rest)}"'
    elif "NOTE" in wanted and rest[:1] in _QUOTES:
        yield f"{text[:at]}note {text[at:]}"


def _bare(text: str) -> str:
    return re.sub(r'[\\"“”„]', "", text).strip()


def _wants(text: str, at: int, wanted: set[str]) -> str:
    got = re.match(r'"[^"]*"|\S+', text[at:].strip())
    behind = f", not {quoted_cut(got[0].strip(_QUOTES))}" if got else ""
    if "NAME" in wanted:
        return f"an alert begins with an instrument, as in gold > 2400{behind}"
    if "NUMBER" in wanted:
        return f"a number is missing here{behind}"
    if "CROSSES" in wanted:
        return f"after the instrument comes >, <, above, below or crosses{behind}"
    if wanted == {"TIME"}:
        return f'after "every" comes "time"{behind}'
    if wanted == {"PLACE"}:
        return f'after "via" comes where it goes, as in via telegram, push{behind}'
    if wanted == {"TEXT"}:
        return f"a note stands in quotation marks{behind}"
    return f'after the level comes nothing, or once, every time, band 0.1%, urgent, via push or note "…"{behind}'


def _place(line: str, at: int, room: int = 60) -> tuple[str, str]:
    """The line, cut around the place if it is long, and a caret under it."""
    first = max(0, at - room // 2) if len(line) > room else 0
    shown = line[first : first + room]
    before = ("…" if first else "") + shown[: at - first]
    columns = sum(_columns(character) for character in before)
    end = "…" if first + room < len(line) else ""
    return before + shown[at - first :] + end, " " * columns + "^"


def _columns(character: str) -> int:
    """Cells of a terminal that a character takes."""
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


# ------------------------------------------------------------------------------------ a corrected example

_OPERATOR = re.compile(
    r"(?P<crosses>cross(?:es|ed|ing)?\b(?!\s*(?:above|over|below|under|[<>≥≤]))|=(?![<>])|hits\b|reaches\b)"
    r"|(?P<above>[>≥]|=>|\b(?:above|over|exceeds|more\s+than|greater\s+than|rises|tops)\b)"
    r"|(?P<below>[<≤]|=<|\b(?:below|under|less\s+than|falls|drops)\b)",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?<![\w.,])[0-9][0-9.,_]*[kK]?(?![\w%])")


def likely_line(text: str, find: Find, reads: Reads) -> str:
    """The line that was probably meant, from the parts of this one that are understood; empty if too few are."""
    return first_that_reads(_guesses(text, find), reads)


def first_that_reads(lines: Iterable[str], reads: Reads) -> str:
    """Empty if none does."""
    return next((line for line in lines if reads(line)), "")


def _guesses(text: str, find: Find) -> Iterator[str]:
    operator = _OPERATOR.search(text)
    sign = SIGNS[operator.lastgroup or "above"] if operator else ">"
    level = next(_levels(text[operator.end() :] if operator else text), "2400")
    note = re.search(r'"[^"\\]+"|[“„”][^"“”„]+[“”]', text[operator.end() :] if operator else "")
    options = " every time" if re.search(r"\bevery\b", text, re.IGNORECASE) else ""
    options += f" note {note[0]}" if note else ""
    for name in _subjects(text[: operator.start()] if operator else text, find):
        yield f"{name} {sign} {level}{options}"
        yield f"{name} {sign} {level}"


def _levels(text: str) -> Iterator[str]:
    for written in _DIGITS.findall(text):
        plain = written.rstrip(".,_")
        try:
            value = number(plain)
        except ValueError:
            continue
        if LOWEST <= value < HIGHEST:
            yield plain


def _subjects(text: str, find: Find) -> Iterator[str]:
    """The words before the condition that name an instrument: all of them together, else the first that does."""
    words = re.findall(r'[^\s"“”„<>=≥≤(),/]+', text)[:8]
    for name in [" ".join(words), *words]:
        if name and _DIGITS.fullmatch(name) is None and _is_known(name, find):
            yield f'"{name}"' if " " in name else name


def _is_known(name: str, find: Find) -> bool:
    try:
        find(name)
    except BadRequest:
        return False
    return True
