"""Indicators in a line: their name, their numbers in a fixed order, the candles that they stand on. Pure.

"rsi(btc, 14, 1h)": numbers that are left out are the usual ones, candles are always said. What is not there is named.
"""

from typing import TYPE_CHECKING

from hub.i18n import _
from hub.model import SECOND_US
from hub.rules.language.line import Line, place, tokens
from hub.rules.language.mistakes import Wrong
from hub.rules.language.money import Money
from hub.rules.language.times import NoTime, duration
from hub.rules.numbers import NoNumber, digits, number, quoted_cut
from hub.rules.series import INDICATORS, MOST_CANDLES, RUNGS, Base, Indicator

if TYPE_CHECKING:
    from lark import Token

    from hub.rules.language.line import Node

LEAST_PERIOD = 2
MOST_DEVIATIONS = 100


def indicator(node: "Node", line: Line, of: Base, money: Money) -> Indicator:
    """`of` is what it is computed of, `money` what its level is in."""
    first, *others = tokens(node)
    arguments = [token for token in others if token.type == "ARGUMENT"]
    name = _named(first, next((token for token in others if token.type == "LINE"), None), line)
    if money and name == "rsi":
        raise Wrong(_("an RSI is a number from 0 to 100 without a currency: write it alone"), money.at)
    live = _take_basis(arguments)
    rung = _take_rung(arguments, name, line, node)
    return Indicator(name=name, of=of, numbers=_numbers(arguments, name, line), rung=rung, live=live)


def _named(token: "Token", behind: "Token | None", line: Line) -> str:
    """ "bollinger_upper", from "bollinger(…) upper" too."""
    name = f"{token.lower()}_{behind.lower()}" if behind is not None else token.lower()
    if name in INDICATORS:
        return name
    parts = [each for each in INDICATORS if each.startswith(f"{name}_")]
    known = parts or [each for each in INDICATORS if each.startswith(name.split("_")[0])] or list(INDICATORS)
    reason = _("which {name}? There are {names}") if parts else _("there is no {name}: write {names}")
    at = place(behind) if behind is not None else place(token)
    meant = () if behind is not None else tuple(line.put(at, str(token), each) for each in known)
    raise Wrong(reason.format(name=quoted_cut(name), names=", ".join(known)), at, *meant)


def _take_basis(arguments: "list[Token]") -> bool:
    """Whether the last argument says "live"; it or "close" is taken away."""
    if arguments and arguments[-1].lower() in ("live", "close"):
        return arguments.pop().lower() == "live"
    return False


def _take_rung(arguments: "list[Token]", name: str, line: Line, node: "Node") -> str:
    if not arguments or arguments[-1].replace(".", "").isdigit():
        raise _no_rung(arguments, name, line, node)
    token = arguments.pop()
    try:
        seconds = duration(str(token)) // SECOND_US
    except NoTime as error:
        meant = (line.put(place(token), str(token), error.meant),) if error.meant else ()
        raise Wrong(_no_rung_words(quoted_cut(token)), place(token), *meant) from None
    found = [rung for rung, length_s in RUNGS.items() if length_s == seconds]
    if not found:
        near = min(RUNGS, key=lambda rung: abs(RUNGS[rung] - seconds))
        raise Wrong(_no_rung_words(quoted_cut(token)), place(token), line.put(place(token), str(token), near))
    return found[0]


def _no_rung(arguments: "list[Token]", name: str, line: Line, node: "Node") -> Wrong:
    last = [token for token in tokens(node) if token.type != "LINE"][-1]
    end = line.text.find(")", place(last) + len(last))
    end = end + 1 if line.text[end + 1 :].lstrip().startswith(")") else end  # "rsi(bid(gold))"
    reason = _("on which candles? The last number of {name} says it: 1m, 5m, 15m, 30m, 1h, 4h or 1d")
    return Wrong(reason.format(name=name), end, f"{line.text[:end]}, 1h{line.text[end:]}")


def _no_rung_words(written: str) -> str:
    return _("{written} is no length of a candle here: write 1m, 5m, 15m, 30m, 1h, 4h or 1d").format(written=written)


def _numbers(arguments: "list[Token]", name: str, line: Line) -> tuple[float, ...]:
    usual = INDICATORS[name]
    if len(arguments) > len(usual):
        example = f"{name}(gold, {', '.join(map(digits, usual))}, 1h)"
        reason = _("that is too much for {name}: write it like {example}").format(name=name, example=example)
        raise Wrong(reason, place(arguments[len(usual)]))
    read = [_number(token, name, index) for index, token in enumerate(arguments)]
    whole = (*read, *usual[len(read) :])
    if name.startswith("macd") and whole[0] >= whole[1]:
        raise Wrong(_("the first period of MACD is the shorter one: 12, 26, 9"), place(arguments[0]))
    return whole


def _number(token: "Token", name: str, index: int) -> float:
    try:
        value = number(str(token))
    except NoNumber as error:
        raise Wrong(str(error), place(token)) from None
    if name.startswith("bollinger") and index == 1:
        if not 0 < value <= MOST_DEVIATIONS:
            reason = _("{written} is no number of deviations: write 2, say").format(written=quoted_cut(token))
            raise Wrong(reason, place(token))
        return value
    least = 1 if name.startswith("macd") else LEAST_PERIOD
    if not least <= value <= MOST_CANDLES or value != int(value):
        reason = _("{written} is no period of {name}: write a whole number of candles from {least} to {most}")
        raise Wrong(reason.format(written=quoted_cut(token), name=name, least=least, most=MOST_CANDLES), place(token))
    return value
