"""What stands behind the conditions of a line: how often it rings, how long, where. Pure.

Each option at most once, in any order; what does not go together is said with the place of the later one.
"""

import re
from typing import TYPE_CHECKING

from hub.i18n import _, later
from hub.model import SECOND_US
from hub.rules.language import limits
from hub.rules.language.line import Line, place, tokens
from hub.rules.language.mistakes import Wrong
from hub.rules.language.subjects import unquoted
from hub.rules.language.times import until
from hub.rules.numbers import number, quoted_cut
from hub.rules.series import LONGEST_WINDOW_US, Price
from hub.rules.spec import AlertSpec, Band, Clause, Condition, Join, Repeat
from hub.wording import DAY_US

if TYPE_CHECKING:
    from lark import Token

    from hub.rules.language.line import Node

MOST_PLACES = 8
MOST_SOURCES = 5
LONGEST_HOLD_US = 7 * DAY_US
CONFIRMED = ("above", "below", "crosses", "inside", "outside")
_SAID = {
    "repeat": later("how often it rings"),
    "at_most": later("how often it rings at most"),
    "within": later("the time between the two"),
    "hold": later("how long it has to last"),
    "until": later("when it ends"),
    "band": later("the band"),
    "confirm": later("how many sources have to agree"),
    "urgent": later("that it is urgent"),
    "via": later("where it goes"),
    "note": later("the note"),
}


class Options:
    """What the options of one line say; `at` holds the place of each that is there."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.at: dict[str, int] = {}
        self.repeat: Repeat = "once"
        self.at_most_us = self.within_us = self.hold_us = 0
        self.until_us: int | None = None
        self.sources = 1
        self.band: Band | None = None
        self.band_at = 0  # of its number
        self.urgent = False
        self.via: tuple[str, ...] = ()
        self.note = ""

    def take(self, node: "Node") -> None:
        name, (first, *rest) = str(node.data), tokens(node)
        kind = "repeat" if name in ("once", "every_time") else name
        if kind in self.at:
            raise Wrong(_("{what} is said twice: say it once").format(what=_(_SAID[kind])), place(first))
        self.at[kind] = place(first)
        last = rest[-1] if rest else first
        match name:
            case "every_time":
                self.repeat = "every time"
            case "at_most":
                reason = _("{written} is not between 1 second and 31 days: write at most every 10m, say")
                self.at_most_us = self._line.span(last, SECOND_US, LONGEST_WINDOW_US, reason)
            case "within":
                reason = _("{written} is not between 1 second and 31 days: write within 2h, say")
                self.within_us = self._line.span(last, SECOND_US, LONGEST_WINDOW_US, reason)
            case "hold":
                reason = _("{written} is not between 1 second and 7 days: write for 30s, say")
                self.hold_us = self._line.span(last, SECOND_US, LONGEST_HOLD_US, reason)
            case "until":
                self.until_us = self._line.judged(lambda text: until(text, self._line.clock), str(last), place(last))
            case "band":
                value = self._line.judged(number, str(rest[0]), place(rest[0]))
                self.band = Band(value, percent=last.type == "PERCENT")
                self.band_at = place(rest[0])
            case "confirm":
                self.sources = self._sources(rest[0])
            case "urgent":
                self.urgent = True
            case "via":
                self.via = _places(rest)
            case "note":
                self.note = unquoted(str(last))

    def _sources(self, token: "Token") -> int:
        count = self._line.judged(number, str(token), place(token))
        if count not in range(2, MOST_SOURCES + 1):
            reason = _("{written} is no number of sources that can agree: write 2 to {most}")
            raise Wrong(reason.format(written=quoted_cut(token), most=MOST_SOURCES), place(token))
        return int(count)


def _places(words: "list[Token]") -> tuple[str, ...]:
    for word in words:
        if word.type == "PLACE" and not word.isascii():  # the grammar's letters have more than one case: ı, ſ
            raise Wrong(_("{word} is no place that an alert goes to").format(word=quoted_cut(word)), place(word))
    places = tuple(dict.fromkeys(word.lower() for word in words if word.type == "PLACE"))
    if len(places) > MOST_PLACES:
        raise Wrong(
            _("via names {count} kinds of places, {most} at most can be").format(count=len(places), most=MOST_PLACES),
            place(words[0]),
            guess=False,
        )
    return places


# ------------------------------------------------------------------------------------- what goes together


def agree(clauses: tuple[Clause, ...], join: Join, said: Options, line: Line) -> None:
    """Raises Wrong for options that mean nothing with these conditions, or with each other."""
    conditions = {clause.condition for clause in clauses}
    _within(join, said, line)
    _often(conditions, said)
    if "hold" in said.at:
        _hold(conditions, join, said, line)
    if "confirm" in said.at:
        _confirmed(clauses, said)
    if said.band is not None:
        limits.band(said.band, clauses, said.band_at)


def _within(join: Join, said: Options, line: Line) -> None:
    if join == "then" and "within" not in said.at:
        end = min(said.at.values(), default=len(line.text.rstrip().rstrip(".!")))
        head, tail = line.text[:end].rstrip(), line.text[end:]
        reason = _('within which time does the second one have to follow? Write "within 2h" behind it')
        raise Wrong(reason, end, f"{head} within 2h {tail}".strip())
    if join != "then" and "within" in said.at:
        reason = _('"within" belongs to two conditions with "then" between them: gold > 2400 then < 2350 within 2h')
        at = said.at["within"]
        raise Wrong(reason, at, line.put(at, "within", "for"), without(line.text, at))


def _often(conditions: set[Condition], said: Options) -> None:
    if "at_most" in said.at and "repeat" in said.at and said.repeat == "once":
        at = max(said.at["at_most"], said.at["repeat"])
        raise Wrong(_("once, and at most every so often, are two wishes: write one of them"), at)
    if "every" in conditions and "repeat" in said.at and said.repeat == "once":
        raise Wrong(_("steps ring every time: leave out once"), said.at["repeat"])


def _hold(conditions: set[Condition], join: Join, said: Options, line: Line) -> None:
    for cannot, reason in (
        ("trails" in conditions, later("a trail has nothing that could last: leave out how long")),
        ("every" in conditions, later("a step is passed in a moment: leave out how long it has to last")),
        (join == "then", later("two conditions one after the other have nothing that could last: leave out how long")),
    ):
        if cannot:
            raise Wrong(_(reason), said.at["hold"], without(line.text, said.at["hold"]))


def _confirmed(clauses: tuple[Clause, ...], said: Options) -> None:
    for clause in clauses:
        plain = isinstance(clause.series, Price) and clause.series.side == "price"
        if not plain or clause.condition not in CONFIRMED:
            reason = _("only the price of an instrument at a level or a range can be confirmed by several sources")
            raise Wrong(reason, said.at["confirm"])


def without(text: str, at: int) -> str:
    """The line without the option that begins there and has a length of time behind it."""
    found = re.compile(r"[a-z]+(?:\s+at\s+least)?\s+[0-9][0-9.,]*\s*[a-z]+", re.IGNORECASE).match(text, at)
    return f"{text[:at].rstrip()} {text[found.end() :].lstrip()}".strip() if found else text


def spec(clauses: tuple[Clause, ...], join: Join, said: Options) -> AlertSpec:
    every_time = clauses[0].condition == "every" or "at_most" in said.at
    return AlertSpec(
        clauses=clauses,
        join=join,
        within_us=said.within_us,
        hold_us=said.hold_us,
        repeat="every time" if every_time else said.repeat,
        at_most_us=said.at_most_us,
        until_us=said.until_us,
        sources=said.sources,
        band=said.band,
        urgent=said.urgent,
        via=said.via,
        note=said.note,
    )
