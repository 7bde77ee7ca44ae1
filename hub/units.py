"""Weights that metals are priced in, and karat. Pure.

Troy ounce: exactly 31.1034768 g (480 grains of 64.79891 mg, international yard and pound agreement of 1959).
Tola: 180 grains, exactly 11.6638038 g. Tael: 37.4290 g, the one of Hong Kong's gold trade (Chinese Gold & Silver
Exchange); the taels of Taiwan (37.5 g) and China (50 g) are others. Karat: 24ths of pure metal by weight.
Depends on hub.plugin for BadRequest only.
"""

import math

from hub.plugin import BadRequest

TROY_OUNCE_G = 31.1034768
PURE_KARAT = 24

GRAMS: dict[str, float] = {
    "troy ounce": TROY_OUNCE_G,
    "gram": 1.0,
    "kilogram": 1000.0,
    "tola": 11.6638038,
    "tael": 37.4290,
}
WORDS: dict[str, str] = {
    **dict.fromkeys(("troy ounces", "ounce", "ounces", "oz", "ozt", "toz", "troy oz", "oz t"), "troy ounce"),
    **dict.fromkeys(("grams", "gramme", "grammes", "g", "gr", "gm"), "gram"),
    **dict.fromkeys(("kilograms", "kilo", "kilos", "kg"), "kilogram"),
    **dict.fromkeys(("tolas", "tolah"), "tola"),
    **dict.fromkeys(("taels",), "tael"),
}
"""What people write → the unit's name. An ounce of metal is a troy ounce."""


def unit_of(word: str) -> str:
    """The unit that a person means, as named in GRAMS; BadRequest if there is none such."""
    plain = " ".join(word.casefold().split())
    name = WORDS.get(plain, plain)
    if name not in GRAMS:
        raise BadRequest(f'"{word[:40]}" is no weight known here: write {", ".join(GRAMS)} (oz, g and kg will do)')
    return name


def grams(unit: str) -> float:
    return GRAMS[unit_of(unit)]


def per(price_per_troy_ounce: float, unit: str, karat: float = PURE_KARAT) -> float:
    """The price of one `unit` of that fineness, from the price of a troy ounce of pure metal, in its currency."""
    return price_per_troy_ounce * (grams(unit) / TROY_OUNCE_G) * purity(karat)


def purity(karat: float) -> float:
    """The share of pure metal: 22 karat is 22/24."""
    if not (math.isfinite(karat) and 0 < karat <= PURE_KARAT):
        raise BadRequest(f"{karat:g} karat is not between 0 and {PURE_KARAT}: write 24, 22, 18 or 14, say")
    return karat / PURE_KARAT
