"""Currencies, weights and karat as people write them: words → names, or nothing. Pure.

"$" is a dollar as on every page of prices, and "¥" is two currencies and asked about. Depends on hub.units for
weights.
"""

from typing import NamedTuple

from hub import units
from hub.i18n import _
from hub.plugin import BadRequest

_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
    "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON "
    "RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH "
    "UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG USDT USDC"
)
CODES = frozenset(_CODES.split())
"""ISO 4217, and the two dollars of crypto markets."""
WORDS = {
    **dict.fromkeys(("us$", "dollar", "dollars", "bucks"), "USD"),
    **dict.fromkeys(("€", "euro", "euros"), "EUR"),
    **dict.fromkeys(("£", "pound", "pounds", "sterling"), "GBP"),
    **dict.fromkeys(("₹", "rs", "rupee", "rupees"), "INR"),
    **dict.fromkeys(("franc", "francs"), "CHF"),
    "yen": "JPY",
}
YEN_OR_YUAN, DOLLAR = "¥", "$"
DOLLARS = ("USD", "USDT", "USDC")
"""What "$" may be: an instrument's own dollar where it has one of these, else the US dollar. "usd" is never another."""


class Money(NamedTuple):
    """What a number is in. Each is empty where nothing is said of it; `at` and `unit_at` are places in the line."""

    currency: str = ""
    unit: str = ""
    at: int = 0
    unit_at: int = 0

    def __bool__(self) -> bool:
        return bool(self.currency or self.unit)


UNSAID = Money()


def currency_of(word: str) -> str:
    """The code of the currency that a word or sign means, "$" for that; empty if it is none."""
    if word == DOLLAR:
        return DOLLAR
    plain = word.lower().rstrip(".")
    return WORDS.get(plain) or (plain.upper() if plain.upper() in CODES else "")


def code(currency: str, own: str = "") -> str:
    """The code that is kept, beside an instrument's own currency."""
    if currency != DOLLAR:
        return currency
    return own if own in DOLLARS else "USD"


def differ(one: str, other: str) -> bool:
    """Whether both say something, and not the same."""
    return bool(one and other) and code(one) != code(other)


def weight_of(word: str) -> str:
    """The name of a weight in hub.units.GRAMS; empty if it is none."""
    try:
        return units.unit_of(word)
    except BadRequest:
        return ""


def no_weight(word: str) -> str:
    return _("{word} is no weight known here: write oz, gram, kg, tola or tael").format(word=word)
