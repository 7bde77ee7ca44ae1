"""What an alert watches: a part of the tree of a line → a series. Pure.

A currency and a weight come from the series' own words or from its level ("gold < 7000 inr/g"); where both say one they
have to agree. What is as the instrument has it anyway is left out of the value. Depends on hub.rules.language.line.
"""

import re
from typing import TYPE_CHECKING

import msgspec

from hub.i18n import _, later
from hub.model import SECOND_US, Instrument
from hub.rules.language import studies
from hub.rules.language.line import Line, nodes, place, start, tokens
from hub.rules.language.mistakes import Wrong
from hub.rules.language.money import UNSAID, Money, code, differ
from hub.rules.numbers import number, quoted_cut
from hub.rules.series import (
    LONGEST_WINDOW_US,
    Base,
    Change,
    Difference,
    Portfolio,
    Price,
    Ratio,
    Series,
    Side,
    Spread,
    Volume,
)
from hub.units import GRAMS, PURE_KARAT

if TYPE_CHECKING:
    from lark import Token

    from hub.rules.language.line import Node

MOST_SLASHES = 4
NO_CURRENCY_OF_RATIO = later("the ratio of two prices is in no currency: write the number alone")


def series(node: "Node", line: Line, money: Money = UNSAID, karat: "Token | None" = None) -> Series:
    """`money` is what the level is in, `karat` the fineness that stands in front of the name."""
    read: Series
    match str(node.data):
        case "spread":
            read = Spread(instrument=_plain(node, line, money))
        case "volume":
            read = Volume(instrument=_plain(node, line, UNSAID), window_us=_window(node, line))
        case "change":
            read = Change(of=_no_difference(base(nodes(node)[0], line), nodes(node)[0]), window_us=_window(node, line))
        case "indicator":
            read = studies.indicator(node, line, base(nodes(node)[0], line, money), money)
        case "portfolio":
            read = _portfolio(node, line, money)
        case _:
            return base(node, line, money, karat)
    if karat is not None:
        raise Wrong(_("karat stands behind the name of a metal: gold 22k"), place(karat))
    if money and isinstance(read, Volume | Change):
        raise Wrong(_("this number is in no currency: write it alone"), money.at)
    return read


def base(node: "Node", line: Line, money: Money = UNSAID, karat: "Token | None" = None) -> Base:
    if node.data == "price":
        return _price(node, line, money, karat)
    parts = nodes(node)
    first, second = _one(parts[0], line, UNSAID, karat), _one(parts[1], line, UNSAID, None)
    if node.data == "ratio":
        if money:
            raise Wrong(_(NO_CURRENCY_OF_RATIO), money.at)
        return Ratio(over=first, under=in_currency_of(first, second, line, start(parts[1])))
    if money:
        first, second = _one(parts[0], line, money, karat), _one(parts[1], line, money, None)
    return Difference(first=first, second=in_currency_of(first, second, line, start(parts[1])))


def in_currency_of(first: Price, second: Price, line: Line, at: int) -> Price:
    """The second in the currency of the first, so that the two can be held against each other."""
    currency, own = currency_in(first, line), line.names(second.instrument).currency
    if second.currency and second.currency != currency:
        reason = _("the two are in different currencies, {one} and {other}: leave the second one out")
        raise Wrong(reason.format(one=currency, other=second.currency), at)
    return msgspec.structs.replace(second, currency="" if currency == own else currency)


def currency_in(price: Price, line: Line) -> str:
    return price.currency or line.names(price.instrument).currency


# ------------------------------------------------------------------------------------------------- prices


def _one(node: "Node", line: Line, money: Money, karat: "Token | None") -> Price:
    read = _price(node, line, money, karat)
    if isinstance(read, Ratio):
        raise Wrong(_("two prices can be divided by each other, no more"), start(node))
    return read


def _price(node: "Node", line: Line, money: Money, karat: "Token | None") -> Price | Ratio:
    """ "gold 22k in inr/g"; "gold/silver" is one word to the grammar, and the name of an instrument wins."""
    words = [token for token in tokens(node) if token.type not in ("NAME", "TEXT")]
    name = next(token for token in tokens(node) if token.type in ("NAME", "TEXT"))
    word, at, before = unquoted(name), place(name), [karat] if karat is not None else []
    if name.type == "NAME" and "/" in word and not line.names.knows(word):
        over, under = _split(word, line)
        first = _dressed(over, at, before, line, UNSAID)
        second = _dressed(under, at + len(over) + 1, words, line, UNSAID)
        if money:
            raise Wrong(_(NO_CURRENCY_OF_RATIO), money.at)
        return Ratio(over=first, under=in_currency_of(first, second, line, at + len(over) + 1))
    return _dressed(word, at, [*before, *words], line, money)


def _split(word: str, line: Line) -> tuple[str, str]:
    """The word parted at a slash so that an instrument stands on either side, or at least on one of them."""
    cuts = [found.start() for found in re.finditer("/", word)][:MOST_SLASHES]
    pairs = [(word[:cut], word[cut + 1 :]) for cut in cuts]
    return max(pairs, key=lambda pair: sum(map(line.names.knows, pair)))


def _dressed(name: str, at: int, words: "list[Token]", line: Line, money: Money) -> Price:
    """The price of what is called so, with the words around it; each sort of them counts once."""
    instrument = line.instrument(name, at)
    said: dict[str, Token] = {}
    for token in words:
        kind = _KINDS[token.type]
        if kind in said:
            raise Wrong(_("that is said twice of {instrument}").format(instrument=instrument.name), place(token))
        said[kind] = token
    both = _agreed(line.money(words), money, instrument, line)
    karat = _karat(said["karat"], instrument, line) if "karat" in said else PURE_KARAT
    return Price(
        instrument=instrument.id,
        side=_side(said.get("side", "price")),
        karat=0.0 if karat == PURE_KARAT else karat,
        currency="" if both.currency == instrument.currency else both.currency,
        unit="" if both.unit == instrument.unit else both.unit,
    )


_KINDS = {
    "SIDE": "side",
    "SIDE_OF": "side",
    "KARAT": "karat",
    "KARAT_BEFORE": "karat",
    "MONEY": "currency",
    "SYMBOL": "currency",
    "UNIT": "unit",
}
_SIDES: tuple[Side, ...] = ("bid", "ask", "mid", "last")


def _side(word: str) -> Side:
    return next((side for side in _SIDES if re.match(side, word, re.IGNORECASE)), "price")


def _karat(token: "Token", instrument: Instrument, line: Line) -> float:
    if instrument.class_ != "metal":
        reason = _("only metals have karat, {instrument} has none").format(instrument=instrument.name)
        raise Wrong(reason, place(token), guess=False)
    written = re.match(r"[0-9.,]+", token)
    assert written is not None, f"the grammar lets {token} through"
    karat = line.judged(number, written[0], place(token))
    if not 0 < karat <= PURE_KARAT:
        reason = _("{written} is not between 0 and 24 karat: write 22k, 18k or 14k, say")
        raise Wrong(reason.format(written=quoted_cut(token)), place(token), guess=False)
    return karat


def _together(one: Money, other: Money) -> Money:
    return Money(
        one.currency or other.currency, one.unit or other.unit, other.at or one.at, one.unit_at or other.unit_at
    )


def _without_unit(line: Line, money: Money) -> str:
    head, tail = line.text[: money.unit_at], line.text[money.unit_at :]
    return re.sub(r"\s*(?:/|\b(?:per|an?))\s*$", "", head, flags=re.IGNORECASE) + re.sub(r"^(?:troy\s+)?\w+", "", tail)


def _agreed(said: Money, level: Money, instrument: Instrument, line: Line) -> Money:
    """What the words of the series and its level say together."""
    one = _together(said, level)
    for ours, theirs in ((said.currency, level.currency), (said.unit, level.unit)):
        if differ(ours, theirs):
            reason = _("{instrument} is in {one} there, and its level in {other}: write the same for both")
            raise Wrong(reason.format(instrument=instrument.name, one=code(ours), other=code(theirs)), level.at)
    if one.unit and (instrument.class_ != "metal" or instrument.unit not in GRAMS):
        reason = _("{instrument} has no weight: leave out per {unit}")
        raise Wrong(reason.format(instrument=instrument.name, unit=one.unit), one.unit_at, _without_unit(line, one))
    return one._replace(currency=code(one.currency, instrument.currency))


def unquoted(text: str) -> str:
    if text.startswith('"') and len(text) > 1:
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text[1:-1] if text[0] in "“„”«»'‘" and len(text) > 1 else text.strip("'‘’") or text


# -------------------------------------------------------------------------------------------- what is made


def _plain(node: "Node", line: Line, money: Money) -> str:
    """The id of an instrument that is taken as it is traded."""
    inner = nodes(node)[0]
    read = base(inner, line, money)
    if not isinstance(read, Price) or read != Price(instrument=read.instrument):
        name = _("the spread") if node.data == "spread" else _("the volume")
        at = money.at if money else start(inner)
        raise Wrong(_("{name} is that of one instrument as it is traded: write its name alone").format(name=name), at)
    return read.instrument


def _window(node: "Node", line: Line) -> int:
    token = next(token for token in tokens(node) if token.type in ("DURATION", "SPAN_OF"))
    return window(token, line)


def window(token: "Token", line: Line) -> int:
    reason = _("{written} is not between 1 second and 31 days: write 15m, 1h, 24h or 7d, say")
    return line.span(token, SECOND_US, LONGEST_WINDOW_US, reason)


def _no_difference(of: Base, node: "Node") -> Base:
    if isinstance(of, Difference):
        raise Wrong(_("a difference can be zero, so it has no change in percent: watch it itself"), start(node))
    return of


def _portfolio(node: "Node", line: Line, money: Money) -> Portfolio:
    name = next((unquoted(str(token)).strip() for token in tokens(node) if token.type == "TEXT"), "")
    said = line.money(tokens(node))
    if money.unit or differ(said.currency, money.currency):
        raise Wrong(_("the portfolio and its level are in one currency, and have no weight"), money.at)
    return Portfolio(name=name, currency=code(said.currency or money.currency))
