"""Numbers as people write them: text → float, or why not; and back, with digits that read back the same. Pure.

Every form is read that can mean one number only, whichever country it comes from: "2,400.50", "2.400,50", "2'400",
"12,34,567". A point alone stands before decimals ("2.400" is 2.4), and so does a comma that no three digits follow.
"""

import re
from decimal import Decimal

from hub.i18n import _

LOWEST, HIGHEST = 1e-12, 1e12
"""Levels lie from LOWEST up to, not including, HIGHEST, in the instrument's currency."""

SIGNIFICANT = 8
"""Digits of a level that was reckoned: no vendor's prices have more, and a line with them can still be read."""

_FORMS = tuple(
    (re.compile(pattern), thousands, point)
    for pattern, thousands, point in (
        (r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+", "", "."),  # 2400.5
        (r"[0-9]{1,3}(?:_[0-9]{3})+(?:\.[0-9]+)?", "_", "."),  # 60_000
        (r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?", ",", "."),  # 2,400.50
        (r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?", ",", "."),  # 12,34,567: lakhs
        (r"[1-9][0-9]{0,2}(?:['’][0-9]{3})+(?:[.,][0-9]+)?", "'’", ".,"),  # 2'400.50
        (r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}", ".", ","),  # 2.400,50
        (r"[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0,[0-9]+", "", ","),  # 2400,50
    )
)
"""How a number may be written, what stands between its thousands then, and what before its decimals."""


class NoNumber(ValueError):
    """`meant` is the likely number, written plainly; empty if there is none."""

    def __init__(self, reason: str, meant: str = "") -> None:
        super().__init__(reason)
        self.meant = meant


def number(text: str) -> float:
    """ "2400.5", "2,400.50", "2.400,50", "2,00,000", "60k"; NoNumber for what can be read in two ways or in none."""
    kilo = text[-1:] in ("k", "K")
    bare = text[:-1] if kilo else text
    for form, thousands, point in _FORMS:
        if form.fullmatch(bare):
            plain = Decimal(_plain(bare, thousands, point))
            return float(plain * 1000 if kilo else plain)
    raise _no_number(text)


def _plain(text: str, thousands: str, point: str) -> str:
    return "".join("." if each in point else each for each in text if each not in thousands)


def _no_number(text: str) -> NoNumber:
    shown = quoted_cut(text)
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        whole, part = text.split(",")
        return NoNumber(
            _(
                "{shown} can be read in two ways: write {whole}.{part} with a point, or {whole}{part} without the comma"
            ).format(shown=shown, whole=whole, part=part),
            f"{whole}.{part}",
        )
    if found := re.fullmatch(r"([0-9][0-9.,]*)\s*(m|mn|mio|mil|million|millions)", text, re.IGNORECASE):
        return _million(shown, found[1])
    if found := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)[eE]([+-]?[0-9]{1,2})", text):
        plain = digits(float(text))
        return NoNumber(_("{shown} is no number here: write {plain}").format(shown=shown, plain=plain), plain)
    if text[:1] in ("-", "+", "−", "–"):
        return NoNumber(_("{shown} has a sign: a number here is above zero and has none").format(shown=shown), text[1:])
    if text[:1] in ("$", "€", "£", "¥", "₹"):
        return NoNumber(
            _("{shown} names a currency: write the number alone, in the instrument's own currency").format(shown=shown),
            text[1:],
        )
    if re.fullmatch(r"[0-9.,_]+%", text):
        return NoNumber(_("{shown} is a percentage: a level is a price").format(shown=shown))
    return NoNumber(_("{shown} is no number: write it like 2400.5, 2,400.50 or 60k").format(shown=shown))


def _million(shown: str, count: str) -> NoNumber:
    try:
        written = digits(number(count) * 1_000_000)
    except NoNumber as error:
        return error
    return NoNumber(
        _("{shown} can be read in two ways: write {written} in full if m stands for million").format(
            shown=shown, written=written
        ),
        written,
    )


def digits(value: float) -> str:
    """The shortest digits that read back as the same number, never with an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT}g}")


def quoted_cut(text: str, room: int = 40) -> str:
    """As what somebody wrote stands in a sentence."""
    return f'"{text}"' if len(text) <= room else f'"{text[: room - 1]}…"'
