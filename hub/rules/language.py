"""The alert language: one line of text → an AlertSpec, and back into its one canonical line. Pure.

    gold > 2400          gold crosses 2,400.50 every time          btc below 60k band 0.1% note "buy some"

The grammar is alert.lark beside this file. Whatever the text, `parse` returns an AlertSpec or raises a
LanguageError that shows the place and, where the rest of the line allows it, a corrected line that does parse.
`parse(canonical(spec))` is `spec`. The parser is built at the first use (about 60 ms with the library's import).
Depends on lark, hub.model and hub.plugin.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from hub.model import Instrument
from hub.plugin import BadRequest

if TYPE_CHECKING:
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

LONGEST_LINE = 500
LOWEST, HIGHEST = 1e-12, 1e12
"""Levels lie from LOWEST up to, not including, HIGHEST, in the instrument's currency."""

Condition = Literal["above", "below", "crosses"]
Repeat = Literal["once", "every time"]
Find = Callable[[str], Instrument]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A named function of ticks. Alerts with the same `key` look at the same numbers."""

    kind: Literal["price"] = "price"
    instruments: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.kind}({','.join(self.instruments)})"


class Band(msgspec.Struct, frozen=True):
    """How far the value has to come back before the alert is armed again: absolute, or in percent of the level."""

    value: float
    percent: bool


class AlertSpec(msgspec.Struct, frozen=True, kw_only=True):
    series: Series
    condition: Condition
    level: float
    band: Band | None = None  # None: the hub's default
    repeat: Repeat = "once"
    note: str = ""


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


# --------------------------------------------------------------------------------------- reading a line


def parse(line: str, find: Find) -> AlertSpec:
    """`find` names the instrument that a word means, or raises BadRequest. Raises LanguageError only."""
    text = _one_line(line)
    try:
        return _read(text, find)
    except _Wrong as wrong:
        example = _first_that_parses(wrong.meant, find) or (_example(text, find) if wrong.guess else "")
        raise LanguageError(wrong.reason, text, wrong.at, example) from None


class _Wrong(Exception):
    """`meant` are lines that the person may have meant, the best first; `guess`: others may be made from what is
    understood of this one."""

    def __init__(self, reason: str, at: int, *meant: str, guess: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at
        self.meant = meant
        self.guess = guess


def _one_line(line: str) -> str:
    """The line with plain spaces where it broke; characters that steer a terminal are refused."""
    if len(line) > LONGEST_LINE:
        raise LanguageError(
            f"the line has {len(line)} characters; an alert has {LONGEST_LINE} at most: shorten its note"
        )
    text = "".join(" " if character in "\t\n\r\v\f\u2028\u2029" else character for character in line)
    shown = "".join("?" if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
    for at, (character, instead) in enumerate(zip(text, shown, strict=True)):
        if character != instead:
            reason = f"the character U+{ord(character):04X} cannot be shown: write the line without it"
            raise LanguageError(reason, shown, at)
    return text


def _read(text: str, find: Find) -> AlertSpec:
    from lark.exceptions import UnexpectedInput

    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        raise _syntax(text, error) from None
    return _spec(tree, text, find)


@cache
def _grammar() -> "Lark":
    from lark import Lark

    grammar = Path(__file__).with_name("alert.lark").read_text(encoding="utf-8")
    return Lark(grammar, start="alert", parser="lalr", lexer="contextual", maybe_placeholders=True)


def _spec(tree: "Tree[Token]", text: str, find: Find) -> AlertSpec:
    series, condition, level, *options = (child for child in tree.children if not isinstance(child, str))
    price = _level(_token(level), text)
    read = _Options(price, text)
    instrument = _instrument(_token(series), text, find)
    for option in options:
        read.take(option)
    spec = AlertSpec(
        series=Series(instruments=(instrument.id,)),
        condition=msgspec.convert(condition.data, Condition),
        level=price,
        band=read.band,
        repeat=read.repeat or "once",
        note=read.note,
    )
    if (length := len(canonical(spec))) > LONGEST_LINE:  # it is stored so, and has to be read again
        reason = f"written out it has {length} characters, {LONGEST_LINE} at most can be kept: shorten the note"
        raise _Wrong(reason, read.note_at)
    return spec


class _Options:
    """What stands behind the level, each at most once."""

    def __init__(self, level: float, text: str) -> None:
        self._level = level
        self._text = text
        self._seen: set[str] = set()
        self.band: Band | None = None
        self.repeat: Repeat | None = None
        self.note = ""
        self.note_at = 0

    def take(self, option: "Tree[Token]") -> None:
        name, token = str(option.data), _token(option)
        kind = "repeat" if name in ("once", "every_time") else name
        if kind in self._seen:
            what = "how often it rings" if kind == "repeat" else f"the {kind}"
            raise _Wrong(f"{what} is said twice: say it once", token.start_pos or 0)
        self._seen.add(kind)
        if name == "band":
            self.band = _band(option, self._level, self._text)
        elif name == "note":
            self.note = _unquoted(str(option.children[-1]))
            self.note_at = token.start_pos or 0
        else:
            self.repeat = "once" if name == "once" else "every time"


def _token(tree: "Tree[Token]") -> "Token":
    from lark import Token

    token = tree.children[0]
    assert isinstance(token, Token)
    return token


def _instrument(token: "Token", text: str, find: Find) -> Instrument:
    at = token.start_pos or 0
    word = _unquoted(str(token))
    try:
        return find(word)
    except BadRequest as error:
        if planned := _planned(text, at):
            raise planned from None
        if "/" in word:
            raise _not_yet(word, "the ratio of two instruments", at, guess=False) from None
        raise _Wrong(error.text, at) from None


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text[1:-1] if text[0] in "“„”" else text.strip("'‘’") or text


# ---------------------------------------------------------------------------------------------- numbers

_PLAIN = r"[0-9]+|[0-9]{1,3}(?:_[0-9]{3})+"
_THOUSANDS = r"[1-9][0-9]{0,2}(?:,[0-9]{3})+"
_LAKHS = r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"
_NUMBER = re.compile(rf"(?P<whole>{_PLAIN}|{_THOUSANDS}|{_LAKHS})?(?P<part>\.[0-9]+)?(?P<kilo>[kK])?")


class NoNumber(ValueError):
    """`meant` is the likely number, written plainly; empty if there is none."""

    def __init__(self, reason: str, meant: str = "") -> None:
        super().__init__(reason)
        self.meant = meant


def number(text: str) -> float:
    """ "2400.5", "2,400.50", "2,00,000", "60_000", "60k"; NoNumber for what can be read in two ways or in none."""
    found = _NUMBER.fullmatch(text)
    if found and (found["whole"] or found["part"]):
        digits = Decimal(re.sub("[,_]", "", found["whole"] or "0") + (found["part"] or ""))
        return float(digits * 1000 if found["kilo"] else digits)
    raise _no_number(text)


def _no_number(text: str) -> NoNumber:
    shown = _quoted_cut(text)
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        whole, part = text.split(",")
        return NoNumber(
            f"{shown} can be read in two ways: write {whole}.{part} with a point, or {whole}{part} without the comma",
            f"{whole}.{part}",
        )
    if re.fullmatch(r"[0-9]{1,3}(?:[.'’][0-9]{3})+(?:,[0-9]+)?", text):
        plain = re.sub("[.'’]", "", text).replace(",", ".")
        return NoNumber(f"{shown} can be read in two ways: write {plain}", plain)
    bare = text[1:]
    if text[0] in "-+−":
        return NoNumber(f"{shown} has a sign: a number here is above zero and has none", bare)
    if text[0] in "$€£¥₹":
        return NoNumber(f"{shown} names a currency: write the number alone, in the instrument's own currency", bare)
    if re.fullmatch(r"[0-9.,_]+%", text):
        return NoNumber(f"{shown} is a percentage: a level is a price")
    return NoNumber(f"{shown} is no number: write it like 2400.5, 2,400.50 or 60k")


def _level(token: "Token", text: str) -> float:
    at = token.start_pos or 0
    value = _number_at(token, at, text)
    if not LOWEST <= value < HIGHEST:
        raise _Wrong(f"a level is above zero and under {_digits(HIGHEST)}; {_quoted_cut(token)} is not", at)
    return value


def _number_at(written: str, at: int, text: str) -> float:
    try:
        return number(written)
    except NoNumber as error:
        meant = (text[:at] + error.meant + text[at + len(written) :],) if error.meant else ()
        raise _Wrong(str(error), at, *meant) from None


def _band(option: "Tree[Token]", level: float, text: str) -> Band:
    token, sign = (str(child) if child else "" for child in option.children[1:])
    at = getattr(option.children[1], "start_pos", None) or 0
    percent = token.endswith("%") or bool(sign)
    value = _number_at(token.removesuffix("%") or token, at, text)
    if value and not LOWEST <= value < (100 if percent else level):
        of_what = "100 %" if percent else "the level itself"
        raise _Wrong(f"a band is zero or more and less than {of_what}, or the alert would never be armed again", at)
    return Band(value, percent)


# ------------------------------------------------------------------------------------------------ errors

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
    (r"via\b", "choosing where one alert goes"),
    (r"urgent\b", "urgency"),
    (rf"{_CURRENCY_OR_UNIT}\b", "a currency or unit of its own"),
)
"""Words of the language that are not built yet, as patterns at the place where the line is not understood."""

_PLANNED = tuple((re.compile(pattern, re.IGNORECASE), what) for pattern, what in PLANNED)


def _planned(text: str, at: int, *, behind_level: bool = False) -> _Wrong | None:
    """Only what is left out behind a level leaves an alert of the same meaning; a currency does not."""
    for pattern, what in _PLANNED:
        if found := pattern.match(text, at):
            guess = behind_level and re.match(_CURRENCY_OR_UNIT, found[0], re.IGNORECASE) is None
            return _not_yet(found[0], what, at, guess=guess)
    return None


def _not_yet(word: str, what: str, at: int, *, guess: bool) -> _Wrong:
    return _Wrong(f"{_quoted_cut(word)} ({what}) is not understood yet", at, guess=guess)


def _syntax(text: str, error: "UnexpectedInput") -> _Wrong:
    """What is missing or too much at the first place that fits no alert."""
    from lark.exceptions import UnexpectedCharacters

    ended = getattr(getattr(error, "token", None), "type", "") == "$END"
    at = len(text.rstrip()) if ended else max(0, error.pos_in_stream or 0)
    wanted: set[str] = set(getattr(error, "accepts", None) or getattr(error, "allowed", None) or ())
    start = len(text) - len(text.lstrip())
    planned = _planned(text, at, behind_level="ONCE" in wanted) or _planned(text, start)
    if planned:
        return planned
    rest = text[at:].strip()
    if isinstance(error, UnexpectedCharacters) and rest[:1] in _QUOTES:
        closed = f'{text[:at]}"{_bare(rest)}"'
        return _Wrong("this quotation mark is not closed, or is closed by another kind", at, closed)
    return _Wrong(_wants(text, at, wanted), at, *_missing(text, at, wanted))


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
    behind = f", not {_quoted_cut(got[0].strip(_QUOTES))}" if got else ""
    if "NAME" in wanted:
        return f"an alert begins with an instrument, as in gold > 2400{behind}"
    if "NUMBER" in wanted:
        return f"a number is missing here{behind}"
    if "CROSSES" in wanted:
        return f"after the instrument comes >, <, above, below or crosses{behind}"
    if wanted == {"TIME"}:
        return f'after "every" comes "time"{behind}'
    if wanted == {"TEXT"}:
        return f"a note stands in quotation marks{behind}"
    return f'after the level comes nothing, or once, every time, band 0.1% or note "…"{behind}'


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


def _quoted_cut(text: str, room: int = 40) -> str:
    return f'"{text}"' if len(text) <= room else f'"{text[: room - 1]}…"'


# ------------------------------------------------------------------------------------ a corrected example

_OPERATOR = re.compile(
    r"(?P<crosses>cross(?:es|ed|ing)?\b(?!\s*(?:above|over|below|under|[<>≥≤]))|=(?![<>])|hits\b|reaches\b)"
    r"|(?P<above>[>≥]|=>|\b(?:above|over|exceeds|more\s+than|greater\s+than|rises|tops)\b)"
    r"|(?P<below>[<≤]|=<|\b(?:below|under|less\s+than|falls|drops)\b)",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?<![\w.,])[0-9][0-9.,_]*[kK]?(?![\w%])")
_SIGNS = {"above": ">", "below": "<", "crosses": "crosses"}


def _example(text: str, find: Find) -> str:
    """The line that was probably meant, from the parts of this one that are understood; empty if too few are."""
    return _first_that_parses(_guesses(text, find), find)


def _first_that_parses(lines: Iterable[str], find: Find) -> str:
    for line in lines:
        try:
            _read(line, find)
        except _Wrong:
            continue
        return line
    return ""


def _guesses(text: str, find: Find) -> Iterator[str]:
    operator = _OPERATOR.search(text)
    sign = _SIGNS[operator.lastgroup or "above"] if operator else ">"
    level = next(_levels(text[operator.end() :] if operator else text), "2400")
    note = re.search(r'"[^"\\]+"|[“„”][^"“”„]+[“”]', text[operator.end() :] if operator else "")
    options = " every time" if re.search(r"\bevery\b", text, re.IGNORECASE) else ""
    options += f" note {note[0]}" if note else ""
    for name in _subjects(text[: operator.start()] if operator else text, find):
        yield f"{name} {sign} {level}{options}"
        yield f"{name} {sign} {level}"


def _levels(text: str) -> Iterator[str]:
    for digits in _DIGITS.findall(text):
        plain = digits.rstrip(".,_")
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


# ---------------------------------------------------------------------------------------- writing a line


def canonical(spec: AlertSpec) -> str:
    """The one line for it: `XAU-USD > 2400 every time band 0.1% note "sell half"`."""
    parts = [*spec.series.instruments, _SIGNS[spec.condition], _digits(spec.level)]
    if spec.repeat != "once":
        parts.append(spec.repeat)
    if spec.band is not None:
        parts.append(f"band {_digits(spec.band.value)}{'%' if spec.band.percent else ''}")
    if spec.note:
        parts.append('note "' + spec.note.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return " ".join(parts)


def _digits(value: float) -> str:
    """The shortest digits that read back as the same number, never with an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def band_of(spec: AlertSpec, default_percent: float) -> float:
    """How far behind its level it is armed again, in the instrument's currency."""
    band = spec.band or Band(default_percent, percent=True)
    return spec.level * band.value / 100 if band.percent else band.value


def describe(spec: AlertSpec, instrument: Instrument) -> str:
    """For people: "Gold rises to 2,400.00 or above, once"."""
    level = _price(spec.level, instrument.decimals)
    happens = {
        "above": f"rises to {level} or above",
        "below": f"falls to {level} or below",
        "crosses": f"crosses {level}",
    }[spec.condition]
    parts = [f"{instrument.name} {happens}", spec.repeat]
    if spec.band is not None:
        parts.append(f"band {_digits(spec.band.value)}{' %' if spec.band.percent else ''}")
    if spec.note:
        parts.append(f'note "{spec.note}"')
    return ", ".join(parts)


def _price(value: float, decimals: int) -> str:
    """With the instrument's decimals, or more where the level has more."""
    written = _digits(value)
    own = len(written.partition(".")[2])
    return f"{Decimal(written):,.{max(decimals, own)}f}"
