"""The alert language: one line of text → an AlertSpec, and back into its one canonical line. Pure.

    gold > 2400          gold crosses 2,400.50 every time          btc below 60k band 0.1% note "buy some"

The grammar is alert.lark beside this file. Whatever the text, `parse` returns an AlertSpec or raises a
LanguageError that shows the place and, where the rest of the line allows it, a corrected line that does parse.
`parse(canonical(spec))` is `spec`, and takes microseconds; for other lines the parser is built at the first use
(about 60 ms with the library's import). What a line says is hub.rules.spec, numbers are read by hub.rules.numbers,
what is said of a mistake is in hub.rules.mistakes. Depends on lark, hub.model and hub.plugin.
"""

import re
import unicodedata
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hub.i18n import _
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
    understood,
)
from hub.rules.numbers import HIGHEST, LOWEST, NoNumber, digits, number, quoted_cut
from hub.rules.spec import AlertSpec, Band, Condition, Repeat, Series, band_of, canonical, describe

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
    "understood",
]

LONGEST_LINE = 500
MOST_PLACES = 8


# --------------------------------------------------------------------------------------- reading a line


def parse(line: str, find: Find) -> AlertSpec:
    """`find` names the instrument that a word means, or raises BadRequest. Raises LanguageError only."""
    if (spec := _quick(line, find)) is not None:
        return spec
    text = _one_line(line)
    try:
        return _read(text, find)
    except Wrong as wrong:
        reads = partial(_reads, find=find)
        example = first_that_reads(wrong.meant, reads) or (likely_line(text, find, reads) if wrong.guess else "")
        raise LanguageError(wrong.reason, text, wrong.at, example) from None


_CANONICAL = re.compile(
    r"(?P<name>[^\s\"“”„<>=≥≤(),'‘’]+) (?P<sign>>|<|crosses) (?P<level>[0-9]+(?:\.[0-9]+)?)"
    r"(?P<every> every time)?(?: band (?P<band>[0-9]+(?:\.[0-9]+)?)(?P<percent>%)?)?(?P<urgent> urgent)?"
    r"(?: via (?P<via>[a-z][a-z0-9_-]*(?:, [a-z][a-z0-9_-]*)*))?(?: note \"(?P<note>(?:[^\"\\]|\\.)+)\")?"
)
_CONDITIONS = {sign: msgspec.convert(condition, Condition) for condition, sign in SIGNS.items()}


def _quick(line: str, find: Find) -> AlertSpec | None:
    """A line that is written as `canonical` writes it, without the grammar: the same spec in a twentieth of the time,
    since a hub reads all its alerts at each start. None for every other line, and for one with a mistake in it."""
    found = _CANONICAL.fullmatch(line) if len(line) <= LONGEST_LINE and line.isprintable() else None
    if found is None:
        return None
    level, band = float(found["level"]), float(found["band"] or 0)
    places = tuple(found["via"].split(", ")) if found["via"] else ()
    of_what = 100 if found["percent"] else level
    if not LOWEST <= level < HIGHEST or (band and not LOWEST <= band < of_what) or not _sound(places):
        return None
    try:
        instrument = find(found["name"]).id
    except BadRequest:
        return None
    if instrument != found["name"]:
        return None
    return AlertSpec(
        series=Series(instruments=(instrument,)),
        condition=_CONDITIONS[found["sign"]],
        level=level,
        band=Band(band, bool(found["percent"])) if found["band"] else None,
        repeat="every time" if found["every"] else "once",
        urgent=bool(found["urgent"]),
        via=places,
        note=re.sub(r"\\(.)", r"\1", found["note"] or ""),
    )


def _sound(places: tuple[str, ...]) -> bool:
    return len(set(places)) == len(places) <= MOST_PLACES


def _one_line(line: str) -> str:
    """The line with plain spaces where it broke; characters that steer a terminal are refused."""
    if len(line) > LONGEST_LINE:
        raise LanguageError(
            _("the line has {length} characters; an alert has {most} at most: shorten its note").format(
                length=len(line), most=LONGEST_LINE
            )
        )
    text = "".join(" " if character in "\t\n\r\v\f\u2028\u2029" else character for character in line)
    shown = "".join("?" if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
    for at, (character, instead) in enumerate(zip(text, shown, strict=True)):
        if character != instead:
            reason = _("the character U+{code:04X} cannot be shown: write the line without it").format(
                code=ord(character)
            )
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
        urgent=read.urgent,
        via=read.via,
        note=read.note,
    )
    if (length := len(canonical(spec))) > LONGEST_LINE:  # it is stored so, and has to be read again
        reason = _("written out it has {length} characters, {most} at most can be kept: shorten the note").format(
            length=length, most=LONGEST_LINE
        )
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
        self.urgent = False
        self.via: tuple[str, ...] = ()
        self.note = ""
        self.note_at = 0

    def take(self, option: "Tree[Token]") -> None:
        name, token = str(option.data), _token(option)
        kind = "repeat" if name in ("once", "every_time") else name
        if kind in self._seen:
            what = {"repeat": _("how often it rings"), "via": _("where it goes"), "urgent": _("that it is urgent")}.get(
                kind, _("the {kind}").format(kind=kind)
            )
            raise Wrong(_("{what} is said twice: say it once").format(what=what), token.start_pos or 0)
        self._seen.add(kind)
        if name == "band":
            self.band = _band(option, self._level, self._text)
        elif name == "urgent":
            self.urgent = True
        elif name == "via":
            self.via = _places(option)
        elif name == "note":
            self.note = _unquoted(str(option.children[-1]))
            self.note_at = token.start_pos or 0
        else:
            self.repeat = "once" if name == "once" else "every time"


def _places(option: "Tree[Token]") -> tuple[str, ...]:
    places = tuple(dict.fromkeys(str(child).lower() for child in option.children[1:]))
    if len(places) > MOST_PLACES:
        raise Wrong(
            _("via names {count} kinds of places, {most} at most can be").format(count=len(places), most=MOST_PLACES),
            0,
            guess=False,
        )
    return places


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
            raise not_yet(word, _("the ratio of two instruments"), at, guess=False) from None
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
        raise Wrong(
            _("a level is above zero and under {highest}; {written} is not").format(
                highest=digits(HIGHEST), written=quoted_cut(token)
            ),
            at,
        )
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
        of_what = "100 %" if percent else _("the level itself")
        raise Wrong(
            _("a band is zero or more and less than {of_what}, or the alert would never be armed again").format(
                of_what=of_what
            ),
            at,
        )
    return Band(value, percent)
