"""The alert language: one line of text → an AlertSpec, and back into its one canonical line. Pure.

    gold > 2400         gold 22k < 7000 inr/g         silver -5% in 1h every time         rsi(btc, 14, 1h) < 30

The grammar is alert.lark beside this file. Whatever the text, `parse` returns an AlertSpec or raises a
LanguageError that shows the place and, where the rest of the line allows it, a corrected line that does parse.
`parse(canonical(spec))` is `spec`; for plain levels it takes microseconds, for other lines the parser is built at the
first use (about 0.2 s with the library's import and the patterns). The way of a line:

    text → alert.lark → a tree → reading: subjects, conditions, options → spec
         ↘ mistakes: why not, and where → repairs: what was meant

Depends on lark, hub.model and hub.plugin.
"""

import re
import unicodedata
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from hub.i18n import _
from hub.model import SECOND_US
from hub.plugin import BadRequest
from hub.rules.language import reading
from hub.rules.language.limits import MOST_PERCENT
from hub.rules.language.line import Line, Names
from hub.rules.language.mistakes import Find, LanguageError, Wrong, syntax
from hub.rules.language.options import LONGEST_HOLD_US, MOST_PLACES, MOST_SOURCES
from hub.rules.language.reading import LONGEST_LINE
from hub.rules.language.repairs import repaired, understood
from hub.rules.language.times import Clock, NoTime, duration, until
from hub.rules.numbers import HIGHEST, LOWEST, NoNumber, number
from hub.rules.series import LONGEST_WINDOW_US, Price
from hub.rules.spec import SIGNS, AlertSpec, Band, Clause, Condition, Repeat, band_of, canonical

if TYPE_CHECKING:
    from lark import Lark

__all__ = [
    "HIGHEST",
    "LONGEST_LINE",
    "LOWEST",
    "MOST_PERCENT",
    "AlertSpec",
    "Band",
    "Clause",
    "Clock",
    "Condition",
    "Find",
    "LanguageError",
    "NoNumber",
    "Repeat",
    "band_of",
    "canonical",
    "number",
    "parse",
    "understood",
]


# --------------------------------------------------------------------------------------- reading a line


def parse(line: str, find: Find, clock: Clock | None = None) -> AlertSpec:
    """`find` names the instrument that a word means, or raises BadRequest. `clock` is for times like "friday"; without
    one an end is read only as canonical lines have it. Raises LanguageError only."""
    if (spec := _quick(line, find, clock)) is not None:
        return spec
    text, names = _one_line(line), Names(find)
    try:
        return _read(text, names, clock)
    except Wrong as wrong:
        example = repaired(text, wrong, names, partial(_wrong, names=names, clock=clock))
        raise LanguageError(wrong.reason, text, wrong.at, example) from None


def _read(text: str, names: Names, clock: Clock | None = None) -> AlertSpec:
    from lark.exceptions import UnexpectedInput

    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        raise syntax(text, error) from None
    return reading.alert(tree, Line(text, names, clock))


@cache
def _grammar() -> "Lark":
    from lark import Lark

    grammar = Path(__file__).with_name("alert.lark").read_text(encoding="utf-8")
    return Lark(
        grammar, start="alert", parser="lalr", lexer="contextual", maybe_placeholders=False, g_regex_flags=re.IGNORECASE
    )


def _wrong(line: str, names: Names, clock: Clock | None) -> Wrong | None:
    """What is wrong with a line that is proposed; None where it is an alert."""
    if len(line) > LONGEST_LINE:
        return Wrong("", LONGEST_LINE, guess=False)
    try:
        _read(line, names, clock)
    except Wrong as wrong:
        return wrong
    return None


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


# ------------------------------------------------------------------------------------- the canonical line

_SPAN = r"[0-9]+[smhd]"
_CANONICAL = re.compile(
    r"(?P<name>[^\s\"“”„«»<>=≥≤(),'‘’/]+) (?P<sign>>|<|crosses) (?P<level>[0-9]+(?:\.[0-9]+)?)"
    rf"(?: for (?P<hold>{_SPAN}))?(?: at most every (?P<at_most>{_SPAN})|(?P<every> every time))?"
    r"(?: until (?P<until>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?Z))?"
    rf"(?: confirm (?P<sources>[2-{MOST_SOURCES}]) sources)?"
    r"(?: band (?P<band>[0-9]+(?:\.[0-9]+)?)(?P<percent>%)?)?(?P<urgent> urgent)?"
    r"(?: via (?P<via>[a-z][a-z0-9_-]*(?:, [a-z][a-z0-9_-]*)*))?(?: note \"(?P<note>(?:[^\"\\]|\\.)+)\")?"
)
_CONDITIONS: dict[str, Condition] = {SIGNS[each]: each for each in ("above", "below", "crosses")}


def _quick(line: str, find: Find, clock: Clock | None = None) -> AlertSpec | None:
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
        hold_us, at_most_us = _span(found["hold"], LONGEST_HOLD_US), _span(found["at_most"], LONGEST_WINDOW_US)
        until_us = until(found["until"], clock) if found["until"] else None
        instrument = find(found["name"]).id
    except (BadRequest, NoTime):
        return None
    if instrument != found["name"]:
        return None
    return AlertSpec(
        clauses=(Clause(series=Price(instrument=instrument), condition=_CONDITIONS[found["sign"]], level=level),),
        hold_us=hold_us,
        repeat="every time" if found["every"] or at_most_us else "once",
        at_most_us=at_most_us,
        until_us=until_us,
        sources=int(found["sources"] or 1),
        band=Band(band, bool(found["percent"])) if found["band"] else None,
        urgent=bool(found["urgent"]),
        via=places,
        note=re.sub(r"\\(.)", r"\1", found["note"]) if found["note"] else "",
    )


def _span(text: str | None, most_us: int) -> int:
    if text is None:
        return 0
    span_us = duration(text)
    if not SECOND_US <= span_us <= most_us:
        raise NoTime(text)
    return span_us


def _sound(places: tuple[str, ...]) -> bool:
    return len(set(places)) == len(places) <= MOST_PLACES
