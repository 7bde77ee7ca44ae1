"""Numbers as people write them: text → float, or why not; and back, with digits that read back the same. Pure."""

import re
from decimal import Decimal

from hub.i18n import _

LOWEST, HIGHEST = 1e-12, 1e12
"""Levels lie from LOWEST up to, not including, HIGHEST, in the instrument's currency."""

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
        plain = Decimal(re.sub("[,_]", "", found["whole"] or "0") + (found["part"] or ""))
        return float(plain * 1000 if found["kilo"] else plain)
    raise _no_number(text)


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
    if re.fullmatch(r"[0-9]{1,3}(?:[.'’][0-9]{3})+(?:,[0-9]+)?", text):
        plain = re.sub("[.'’]", "", text).replace(",", ".")
        return NoNumber(_("{shown} can be read in two ways: write {plain}").format(shown=shown, plain=plain), plain)
    bare = text[1:]
    if text[0] in "-+−":
        return NoNumber(_("{shown} has a sign: a number here is above zero and has none").format(shown=shown), bare)
    if text[0] in "$€£¥₹":
        return NoNumber(
            _("{shown} names a currency: write the number alone, in the instrument's own currency").format(shown=shown),
            bare,
        )
    if re.fullmatch(r"[0-9.,_]+%", text):
        return NoNumber(_("{shown} is a percentage: a level is a price").format(shown=shown))
    return NoNumber(_("{shown} is no number: write it like 2400.5, 2,400.50 or 60k").format(shown=shown))


def digits(value: float) -> str:
    """The shortest digits that read back as the same number, never with an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def quoted_cut(text: str, room: int = 40) -> str:
    """As what somebody wrote stands in a sentence."""
    return f'"{text}"' if len(text) <= room else f'"{text[: room - 1]}…"'
