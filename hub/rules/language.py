"""The alert language: one line of text → an AlertSpec, and back into its one canonical line. Pure.

    gold > 2400          gold crosses 2,400.50 every time          btc below 60k band 0.1% note "buy some"

The grammar is alert.lark beside this file. Whatever the text, `parse` returns an AlertSpec or raises a
LanguageError that shows the place and, where the rest of the line allows it, a corrected line that does parse.
`parse(canonical(spec))` is `spec`. The parser is built at the first use (about 60 ms with the library's import).
Numbers are read by hub.rules.numbers, what is said of a mistake is in hub.rules.mistakes. Depends on lark,
hub.model and hub.plugin.
"""

import re
import unicodedata
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from hub.model import Instrument
from hub.plugin import BadRequest
from hub.rules.mistakes import (
    SIGNS,
    Find,
    LanguageError,
    Wrong,
    first_that_reads,
    likely_line,
    not_yet,
    planned,
    syntax,
)
from hub.rules.numbers import HIGHEST, LOWEST, NoNumber, digits, number, quoted_cut

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

__all__ = [
    "HIGHEST",
    "LONGEST_LINE",
    "LOWEST",
    "AlertSpec",
    "Band",
    "Condition",
    "Find",
    "LanguageError",
    "NoNumber",
    "Repeat",
    "Series",
    "band_of",
    "canonical",
    "describe",
    "number",
    "parse",
]

LONGEST_LINE = 500
Condition = Literal["above", "below", "crosses"]
Repeat = Literal["once", "every time"]


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


# --------------------------------------------------------------------------------------- reading a line


def parse(line: str, find: Find) -> AlertSpec:
    """`find` names the instrument that a word means, or raises BadRequest. Raises LanguageError only."""
    text = _one_line(line)
    try:
        return _read(text, find)
    except Wrong as wrong:
        reads = partial(_reads, find=find)
        example = first_that_reads(wrong.meant, reads) or (likely_line(text, find, reads) if wrong.guess else "")
        raise LanguageError(wrong.reason, text, wrong.at, example) from None


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


def _reads(line: str, find: Find) -> bool:
    try:
        _read(line, find)
    except Wrong:
        return False
    return True


def _read(text: str, find: Find) -> AlertSpec:
    from lark.exceptions import UnexpectedInput

    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        raise syntax(text, error) from None
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
        raise Wrong(reason, read.note_at)
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
            raise Wrong(f"{what} is said twice: say it once", token.start_pos or 0)
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
        if not_built := planned(text, at):
            raise not_built from None
        if "/" in word:
            raise not_yet(word, "the ratio of two instruments", at, guess=False) from None
        raise Wrong(error.text, at) from None


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text[1:-1] if text[0] in "“„”" else text.strip("'‘’") or text


# ---------------------------------------------------------------------------------------------- numbers


def _level(token: "Token", text: str) -> float:
    at = token.start_pos or 0
    value = _number_at(token, at, text)
    if not LOWEST <= value < HIGHEST:
        raise Wrong(f"a level is above zero and under {digits(HIGHEST)}; {quoted_cut(token)} is not", at)
    return value


def _number_at(written: str, at: int, text: str) -> float:
    try:
        return number(written)
    except NoNumber as error:
        meant = (text[:at] + error.meant + text[at + len(written) :],) if error.meant else ()
        raise Wrong(str(error), at, *meant) from None


def _band(option: "Tree[Token]", level: float, text: str) -> Band:
    token, sign = (str(child) if child else "" for child in option.children[1:])
    at = getattr(option.children[1], "start_pos", None) or 0
    percent = token.endswith("%") or bool(sign)
    value = _number_at(token.removesuffix("%") or token, at, text)
    if value and not LOWEST <= value < (100 if percent else level):
        of_what = "100 %" if percent else "the level itself"
        raise Wrong(f"a band is zero or more and less than {of_what}, or the alert would never be armed again", at)
    return Band(value, percent)


# ---------------------------------------------------------------------------------------- writing a line


def canonical(spec: AlertSpec) -> str:
    """The one line for it: `XAU-USD > 2400 every time band 0.1% note "sell half"`."""
    parts = [*spec.series.instruments, SIGNS[spec.condition], digits(spec.level)]
    if spec.repeat != "once":
        parts.append(spec.repeat)
    if spec.band is not None:
        parts.append(f"band {digits(spec.band.value)}{'%' if spec.band.percent else ''}")
    if spec.note:
        parts.append('note "' + spec.note.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return " ".join(parts)


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
        parts.append(f"band {digits(spec.band.value)}{' %' if spec.band.percent else ''}")
    if spec.note:
        parts.append(f'note "{spec.note}"')
    return ", ".join(parts)


def _price(value: float, decimals: int) -> str:
    """With the instrument's decimals, or more where the level has more."""
    written = digits(value)
    own = len(written.partition(".")[2])
    return f"{Decimal(written):,.{max(decimals, own)}f}"
