"""What is said of a line that is no alert: why, where, and a line that was probably meant and does read. Pure.

The reader of lines hands in how it reads one (`Reads`), so nothing is proposed that it would refuse.
Depends on lark, hub.model, hub.plugin and hub.rules.numbers.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from hub.i18n import _, later
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
        super().__init__(
            "\n".join(
                part for part in (reason, place, _("Try: {example}").format(example=example) if example else "") if part
            )
        )
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
    (r"(?:rsi|sma|ema|macd|bollinger)\b(?=\s*\()", later("an indicator")),
    (r"(?:change|volume|high|low|drawdown|spread)\b(?=\s*\()", later("a series other than the price")),
    (r"(?:bid|ask|volume|spread)\b(?!\s*(?:[<>≥≤]|$))", later("a series other than the price")),
    (r"portfolio\b", later("the value of a portfolio")),
    (r"/", later("the ratio of two instruments")),
    (r"(?:[+-]\s*[0-9][0-9.,]*\s*%|moves\b)", later("a move in percent over a time")),
    (rf"[0-9]{{1,2}}\s*(?:k|kt|ct|karat|carat)\b(?=.*(?:{_COMPARES}))", later("karat")),
    (r"trails\b", later("a level that trails the price")),
    (r"(?:enters|leaves|outside|inside|between)\b", later("a range of prices")),
    (r"every\s+[0-9][0-9.,]*\w*", later("ringing at steps")),
    (r"at\s+most\b", later("ringing at most so often")),
    (r"(?:and|or|then|within)\b", later("an alert of several conditions")),
    (r"for\s+[0-9]+\s*\w*", later("a condition that has to last")),
    (r"until\b", later("an end to an alert")),
    (rf"{_CURRENCY_OR_UNIT}\b", later("a currency or unit of its own")),
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
    return Wrong(
        _("{word} ({what}) is not understood yet").format(word=quoted_cut(word), what=_(what)), at, guess=guess
    )


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
        return Wrong(_("this quotation mark is not closed, or is closed by another kind"), at, closed)
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
    behind = _(", not {word}").format(word=quoted_cut(got[0].strip(_QUOTES))) if got else ""
    if "NAME" in wanted:
        return _("an alert begins with an instrument, as in gold > 2400{behind}").format(behind=behind)
    if "NUMBER" in wanted:
        return _("a number is missing here{behind}").format(behind=behind)
    if "CROSSES" in wanted:
        return _("after the instrument comes >, <, above, below or crosses{behind}").format(behind=behind)
    if wanted == {"TIME"}:
        return _('after "every" comes "time"{behind}').format(behind=behind)
    if wanted == {"PLACE"}:
        return _('after "via" comes where it goes, as in via telegram, push{behind}').format(behind=behind)
    if wanted == {"TEXT"}:
        return _("a note stands in quotation marks{behind}").format(behind=behind)
    return _(
        'after the level comes nothing, or once, every time, band 0.1%, urgent, via push or note "…"{behind}'
    ).format(behind=behind)


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


def understood(text: str, find: Find) -> dict[str, str]:
    """What a line that is no alert says nevertheless, as the values of a form: instrument, condition, level, repeat,
    note; those that are in it."""
    operator = _OPERATOR.search(text)
    behind = text[operator.end() :] if operator else text
    note = re.search(r'"(?P<straight>[^"\\]+)"|[“„”](?P<bent>[^"“”„]+)[“”]', behind)
    found = {
        "instrument": next(_subjects(text[: operator.start()] if operator else text, find), "").strip('"'),
        "condition": (operator.lastgroup or "") if operator else "",
        "level": next(_levels(behind), ""),
        "repeat": "every time" if re.search(r"\bevery\s+time\b", behind, re.IGNORECASE) else "",
        "note": (note["straight"] or note["bent"]) if note else "",
    }
    return {name: value for name, value in found.items() if value}


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
