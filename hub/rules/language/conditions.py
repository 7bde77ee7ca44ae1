"""When a clause rings: the part of a line's tree that holds its condition → a clause. Pure.

A condition is a function of the grammar's name for it. Which numbers there can be is said in hub.rules.language.limits.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from hub.i18n import _
from hub.rules.language import limits, subjects
from hub.rules.language.line import Figure, Line, nodes, place, start, tokens
from hub.rules.language.mistakes import Wrong
from hub.rules.language.money import UNSAID, Money, code, differ
from hub.rules.series import Against, Base, Difference, Distance, Edge, Indicator, Move, Period, Price, Ratio
from hub.rules.spec import Clause, Condition

if TYPE_CHECKING:
    from lark import Token

    from hub.rules.language.line import Node


class Subject:
    """What a clause watches; read once more with the currency of its level."""

    def __init__(self, node: "Node", line: Line, karat: "Token | None" = None, money: Money = UNSAID) -> None:
        self.node, self.line, self.karat, self.money = node, line, karat, money
        self.series = subjects.series(node, line, money, karat)

    @property
    def at(self) -> int:
        return place(self.karat) if self.karat is not None else start(self.node)

    def priced(self, money: Money) -> "Subject":
        """In that currency and weight; what `money` leaves open stays as a clause before has said it."""
        if not money:
            return self
        whole = money._replace(currency=money.currency or self.money.currency, unit=money.unit or self.money.unit)
        return Subject(self.node, self.line, self.karat, whole)

    def base(self, reason: str) -> Base:
        if not isinstance(self.series, Price | Ratio | Difference):
            raise Wrong(reason, self.at)
        return self.series


def clause(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    """And its subject as the level has made it, for a clause behind that leaves its own out."""
    return CONDITIONS[str(node.data)](subject, node, line)


def _level(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    sign, amount = nodes(node)
    figure = line.figure(amount)
    subject = subject.priced(figure.money)
    limits.level(subject.series, figure, line)
    return Clause(series=subject.series, condition=_sign(sign), level=figure.value), subject


def _sign(node: "Node") -> Condition:
    kinds = [token.type for token in tokens(node)]
    return "above" if "ABOVE" in kinds else "below" if "BELOW" in kinds else "crosses"


def _range(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    low, high = (line.figure(amount) for amount in nodes(node))
    low, high = _alike(low, high)
    subject = subject.priced(low.money)
    for figure in (low, high):
        limits.level(subject.series, figure, line)
    if low.value >= high.value:
        reason = _("a range goes from its lower end to its upper one, and they differ")
        raise Wrong(reason, low.at, _turned(line.text, low, high))
    kind = next(tokens(node)).type
    condition: Condition = "outside" if kind == "OUTSIDE" else "inside"
    return Clause(series=subject.series, condition=condition, level=low.value, high=high.value), subject


def _alike(low: Figure, high: Figure) -> tuple[Figure, Figure]:
    """Both ends in one currency and unit: what one of them says holds for both."""
    one, other = low.money, high.money
    for ours, theirs in ((one.currency, other.currency), (one.unit, other.unit)):
        if differ(ours, theirs):
            reason = _("the ends of the range are in {one} and {other}: write the same for both")
            raise Wrong(reason.format(one=code(ours), other=code(theirs)), other.at)
    money = Money(one.currency or other.currency, one.unit or other.unit, other.at if other else one.at)
    return low._replace(money=money), high._replace(money=money)


def _turned(text: str, low: Figure, high: Figure) -> str:
    first, second = text[low.at : low.end], text[high.at : high.end]
    return f"{text[: low.at]}{second}{text[low.end : high.at]}{first}{text[high.end :]}"


# ----------------------------------------------------------------------------------- moves and distances


def _move(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    way, *__, span = tokens(node)
    figure = line.figure(nodes(node)[0])
    subject = subject.priced(figure.money)
    of = subject.base(_("a move is that of a price, a ratio or a difference"))
    limits.no_percent_of_difference(of, figure)
    series = Move(of=of, window_us=subjects.window(span, line), way=_WAYS[way.type], percent=figure.percent)
    limits.move(series, figure)
    return Clause(series=series, condition="above", level=figure.value), subject


_WAYS: dict[str, Any] = {"PLUS": "up", "UP": "up", "MINUS": "down", "DOWN": "down", "EITHER": "either"}


def _away(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    """ "5% below 52w high": at least so far from it."""
    figure = line.figure(nodes(node)[0])
    *words, edge_token = tokens(node)
    period, edge = _edge(edge_token, line)
    side = next(token for token in words if token.type in ("BELOW", "ABOVE", "FROM"))
    if side.type == ("ABOVE" if edge == "high" else "BELOW"):
        raise _beyond(side, edge, line)
    return _distance(subject, figure, period, edge, "above")


def _beyond(side: "Token", edge: Edge, line: Line) -> Wrong:
    reason = (
        _("a price is never above the high of a time that it is in: write below")
        if edge == "high"
        else _("a price is never below the low of a time that it is in: write above")
    )
    return Wrong(reason, place(side), line.put(place(side), str(side), "below" if edge == "high" else "above"))


def _near(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    period, edge = _edge([*tokens(node)][-1], line)
    return _distance(subject, line.figure(nodes(node)[0]), period, edge, "below")


def _at(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    """ "at 52w high", "makes a new all-time low": nothing away from it."""
    *words, edge_token = tokens(node)
    period, edge = _edge(edge_token, line)
    wrong_way = "BELOW" if edge == "high" else "ABOVE"
    if any(token.type == wrong_way for token in words):
        reason = _("how far {side} it? Write 5% {side} {edge}, say")
        side, named = ("below", "52w high") if edge == "high" else ("above", "52w low")
        at = place(words[-1])
        raise Wrong(
            reason.format(side=side, edge=named), at, f"{line.text[:at]}5% {side} {line.text[place(edge_token) :]}"
        )
    figure = Figure(0.0, True, UNSAID, place(edge_token), place(edge_token))
    return _distance(subject, figure, period, edge, "below")


def _distance(
    subject: Subject, figure: Figure, period: Period, edge: Edge, condition: Condition
) -> tuple[Clause, Subject]:
    subject = subject.priced(figure.money)
    of = subject.base(_("a high or low is that of a price, a ratio or a difference"))
    limits.no_percent_of_difference(of, figure)
    series = Distance(of=of, edge=edge, period=period, percent=figure.percent)
    limits.distance(series, figure, near=condition == "below")
    return Clause(series=series, condition=condition, level=figure.value), subject


_EDGE = re.compile(r"(?:(?:a|an|the|its|new)\s+)*(?P<period>.*?)[\s-]*(?P<edge>high|low|ath|atl)", re.IGNORECASE)
_PERIODS: tuple[tuple[Period, re.Pattern[str]], ...] = (
    ("day", re.compile(r"day(?:['’]?s)?|today(?:['’]?s)?|daily|intraday|session|1\s?d(?:ay)?", re.IGNORECASE)),
    ("52w", re.compile(r"52[\s-]*w(?:(?:ee)?ks?)?|1[\s-]*y(?:ea)?r?|year(?:['’]?s|ly)?|annual", re.IGNORECASE)),
    ("all", re.compile(r"all([\s-]*time)?|ever|record", re.IGNORECASE)),
)  # fmt: skip


def _edge(token: "Token", line: Line) -> tuple[Period, Edge]:
    found = _EDGE.fullmatch(token)
    assert found is not None, f"the grammar lets {token} through"
    edge: Edge = "high" if found["edge"].lower().endswith("h") else "low"
    if found["edge"][0] in "aA":  # ath, atl
        return "all", edge
    for period, pattern in _PERIODS:
        if pattern.fullmatch(found["period"]):
            return period, edge
    at = place(token) + found.start("period")
    written = token[found.start("period") :]
    reason = _("the {edge} of which time? There are day {edge}, 52w {edge} and all-time {edge}").format(edge=edge)
    raise Wrong(reason, at, line.put(at, written, f"52w {edge}"))


# ------------------------------------------------------------------------------ two series, trails, ladders


def _against(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    sign, other = nodes(node)
    first, second = subject.series, subjects.series(other, line)
    if not isinstance(first, Base | Indicator) or not isinstance(second, Base | Indicator):
        at = subject.at if not isinstance(first, Base | Indicator) else start(other)
        raise Wrong(_("only prices and indicators can be held against each other; here comes a number"), at)
    second = _comparable(first, second, line, start(other))
    if first == second:
        raise Wrong(_("that is the same twice: it never crosses itself"), start(other), guess=False)
    return Clause(series=Against(first=first, second=second), condition=_sign(sign)), subject


def _comparable(first: Base | Indicator, second: Base | Indicator, line: Line, at: int) -> Base | Indicator:
    """The second in the currency of the first; what is no number of the same sort is refused."""
    if limits.sort(first) != limits.sort(second):
        reason = _("{one} and {other} are no numbers of the same sort, so they cannot cross")
        raise Wrong(reason.format(one=limits.sort_words(first), other=limits.sort_words(second)), at)
    if limits.sort(first)[0] == "index" or isinstance(_base(second), Ratio):
        return second
    return _in_currency(second, _priced(_base(first)), line, at)


def _base(series: Base | Indicator) -> Base:
    return series.of if isinstance(series, Indicator) else series


def _priced(of: Base) -> Price:
    """A price whose currency is that of the whole."""
    return of if isinstance(of, Price) else of.first if isinstance(of, Difference) else of.over


def _in_currency(series: Base | Indicator, first: Price, line: Line, at: int) -> Base | Indicator:
    match series:
        case Price():
            return subjects.in_currency_of(first, series, line, at)
        case Difference():
            return Difference(
                first=subjects.in_currency_of(first, series.first, line, at),
                second=subjects.in_currency_of(first, series.second, line, at),
            )
        case Indicator():
            of = _in_currency(series.of, first, line, at)
            assert not isinstance(of, Indicator)
            return msgspec.structs.replace(series, of=of)
        case _:
            return series


def _trail(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    figure = line.figure(nodes(node)[0])
    rising = any(token.type == "PLUS" for token in node.children if isinstance(token, str))
    subject = subject.priced(figure.money)
    limits.trail(subject.series, figure, subject.at)
    trail = Clause(series=subject.series, condition="trails", level=figure.value, percent=figure.percent, rising=rising)
    return trail, subject


def _ladder(subject: Subject, node: "Node", line: Line) -> tuple[Clause, Subject]:
    figure = line.figure(nodes(node)[0])
    subject = subject.priced(figure.money)
    limits.ladder(subject.series, figure, subject.at)
    return Clause(series=subject.series, condition="every", level=figure.value, percent=figure.percent), subject


CONDITIONS: dict[str, Callable[[Subject, "Node", Line], tuple[Clause, Subject]]] = {
    "level": _level,
    "range": _range,
    "move": _move,
    "away": _away,
    "near": _near,
    "at": _at,
    "against": _against,
    "trail": _trail,
    "ladder": _ladder,
}
