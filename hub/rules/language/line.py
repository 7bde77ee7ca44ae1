"""A line that is being read: its text, what its words name, and the numbers in it. Pure.

What is wrong with a number, a currency or a time is raised here with its place. Depends on hub.rules.numbers, money
and times.
"""

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hub.i18n import _
from hub.model import Instrument
from hub.plugin import BadRequest
from hub.rules.language.mistakes import Find, Wrong, behind_level
from hub.rules.language.money import CODES, UNSAID, YEN_OR_YUAN, Money, code, currency_of, differ, no_weight, weight_of
from hub.rules.language.times import Clock, NoTime, duration
from hub.rules.numbers import NoNumber, digits, number, quoted_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lark import Token, Tree

    Node = Tree[Token]

LENGTH_OF_A_CODE = 3
MOST_UNKNOWN = 12
"""So many words that name no instrument are looked up for one line: each costs a search for what is spelled alike."""
Read = TypeVar("Read")


class Figure(NamedTuple):
    """A number in a line, with what stands around it."""

    value: float
    percent: bool
    money: Money
    at: int
    end: int


class Names:
    """`find`, which is asked once for each word."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._known: dict[str, Instrument | BadRequest] = {}
        self.currencies = set(CODES)

    def __call__(self, word: str) -> Instrument:
        if word not in self._known:
            self._known[word] = self._looked_up(word)
        found = self._known[word]
        if isinstance(found, BadRequest):
            raise BadRequest(found.text)
        return found

    def knows(self, word: str) -> bool:
        try:
            self(word)
        except BadRequest:
            return False
        return True

    def _looked_up(self, word: str) -> Instrument | BadRequest:
        if sum(isinstance(each, BadRequest) for each in self._known.values()) >= MOST_UNKNOWN:
            return BadRequest(_("{word} is not an instrument known here").format(word=quoted_cut(word)))
        try:
            found = self._find(word)
        except BadRequest as error:
            return error
        self.currencies.add(found.currency)
        return found


class Line:
    def __init__(self, text: str, names: Names, clock: Clock | None) -> None:
        self.text = text
        self.names = names
        self.clock = clock

    def instrument(self, word: str, at: int) -> Instrument:
        try:
            return self.names(word)
        except BadRequest as error:
            raise Wrong(error.text, at) from None

    def put(self, at: int, written: str, meant: str) -> str:
        """The line with `meant` in the place of what stands there."""
        return self.text[:at] + meant + self.text[at + len(written) :]

    def judged(self, read: "Callable[[str], Read]", written: str, at: int) -> Read:
        """What is written there, as `read` understands it."""
        try:
            return read(written)
        except (NoNumber, NoTime) as error:
            meant = (self.put(at, written, error.meant),) if error.meant else ()
            raise Wrong(str(error), at, *meant) from None

    # ----------------------------------------------------------------------------------------- numbers

    def figure(self, node: "Node") -> Figure:
        """An amount too: its sign counts."""
        found = list(tokens(node))
        written = next(token for token in found if token.type == "NUMBER")
        value = self.judged(number, str(written), place(written))
        return Figure(
            value=-value if any(token.type == "MINUS" for token in found) else value,
            percent=any(token.type == "PERCENT" for token in found),
            money=self.money(found, value, str(written)),
            at=place(written),
            end=place(found[-1]) + len(found[-1]),
        )

    def money(self, found: "Iterable[Token]", value: float = 0.0, written: str = "") -> Money:
        """What of "$", "inr", "gram" is among them, beside a number."""
        money = UNSAID
        for token in found:
            if token.type == "UNIT":
                money = money._replace(
                    unit=self._unit(token, value, written), unit_at=place(token), at=money.at or place(token)
                )
            elif token.type in ("MONEY", "SYMBOL", "MONEY_BEFORE"):
                money = money._replace(currency=self._currency(token, money.currency), at=place(token))
        return money

    def span(self, token: "Token", low_us: int, high_us: int, reason: str) -> int:
        """A duration; `reason` is what is said of one that is out of bounds."""
        span_us = self.judged(duration, str(token), place(token))
        if not low_us <= span_us <= high_us:
            raise Wrong(reason.format(written=quoted_cut(token)), place(token))
        return span_us

    def _currency(self, token: "Token", before: str) -> str:
        word, at = str(token), place(token)
        if word == YEN_OR_YUAN:
            reason = _("¥ can be yen or yuan: write jpy or cny behind the number")
            raise Wrong(reason, at, *self._behind(at, "jpy"), self.put(at, word, "jpy"))
        found = currency_of(word) or word.upper()
        if code(found) not in self.names.currencies:
            raise self._no_currency(word, at)
        if differ(before, found):
            reason = _("one number has two currencies there, {one} and {other}: write one")
            raise Wrong(reason.format(one=code(before), other=found), at)
        return found

    def _behind(self, at: int, word: str) -> "Iterator[str]":
        """The line with that currency behind the number that the sign there stands in front of."""
        rest = self.text[at + 1 :].lstrip()
        count = len(rest) - len(rest.lstrip("0123456789.,'’_kK"))
        if count:
            yield f"{self.text[:at]}{rest[:count]} {word}{rest[count:]}"

    def _no_currency(self, word: str, at: int) -> Wrong:
        if weight := weight_of(word):
            reason = _("{word} is a weight: write per {weight} for the price of one").format(
                word=quoted_cut(word), weight=weight
            )
            return Wrong(reason, at, self.put(at, word, f"per {weight}"))
        if self.text[:at].rstrip().lower().endswith(" in") or len(word) == LENGTH_OF_A_CODE:
            reason = _("{word} is no currency known here: write one like usd, eur or inr").format(word=quoted_cut(word))
            return Wrong(reason, at, guess=False)
        return behind_level(self.text, at)

    def _unit(self, token: "Token", value: float = 0.0, written: str = "") -> str:
        """`value` is the number in front of it, as it is written."""
        if weight := weight_of(token):
            return weight
        bare = token.lstrip("0123456789 ")
        count, weight = float(token[: len(token) - len(bare)] or 0), weight_of(bare)
        if not count or not weight:
            raise Wrong(no_weight(quoted_cut(token)), place(token))
        one = self.put(place(token), token, weight)  # "70000 inr per 10 grams" is told per gram
        meant = (one.replace(written, digits(value / count), 1),) if written else ()
        reason = _("{written}: say the price of one {weight}").format(written=quoted_cut(token), weight=weight)
        raise Wrong(reason, place(token), *meant, guess=False)


# ------------------------------------------------------------------------------------------------ the tree


def place(token: "Token") -> int:
    return token.start_pos or 0


def tokens(node: "Node") -> "Iterator[Token]":
    """All in it, in the order of the line."""
    for child in node.children:
        if isinstance(child, str):
            yield child
        else:
            yield from tokens(child)


def nodes(node: "Node") -> "list[Node]":
    """The parts of it that have parts themselves."""
    return [child for child in node.children if not isinstance(child, str)]


def start(node: "Node") -> int:
    return next((place(token) for token in tokens(node)), 0)
