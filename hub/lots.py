"""Lots as people write them: "10 g gold 22k for 85000 inr 2024-03-01" → a Lot, and what a sale makes of one. Pure.

    10 g gold 22k at 8500 inr        each gram of that fineness        0.5 btc for 21000        all together

`at` is the price of one unit as it was written, `for` that of the whole. A number with neither is read as the one of
the two that lies near today's price; where neither does, or both do, the person is asked, never guessed for. What
cannot be is a BadRequest with a line that can. Depends on hub.units, hub.rules.numbers and hub.model.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import msgspec

from hub import units
from hub.model import Instrument, Lot
from hub.plugin import BadRequest
from hub.rules.numbers import NoNumber, digits, number, quoted_cut

Find = Callable[[str], Instrument]
IsCurrency = Callable[[str], bool]
UnitPrice = Callable[[Instrument, str], float | None]
"""What one of an instrument's own unit costs now in a currency; None where nobody knows."""

LONGEST = 300
LONGEST_NOTE = 120
MOST = 1e12
NEAR = 3.0  # a bare number within this factor of today's price is that of one unit, or of all of them
OLDEST = date(1900, 1, 1)
SHORT = {"gram": "g", "troy ounce": "oz", "kilogram": "kg", "tola": "tola", "tael": "tael"}
KARAT = re.compile(r"([0-9]{1,2}(?:\.[0-9])?)(?:k|kt|ct|karat|carat)", re.IGNORECASE)
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
OTHER_DAY = re.compile(r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}")
NOTE = re.compile(r'(?:^|\s)note\s+("([^"]*)"|.*$)', re.IGNORECASE | re.DOTALL)
GLUED = re.compile(r"([0-9][0-9.,_]*)([a-z]+)", re.IGNORECASE)
EXAMPLE = "portfolio add 10 g gold 22k for 85000 inr 2024-03-01"


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What was written behind `at`, `for`, or nothing."""

    way: str  # "at", "for", "" for a bare number
    value: float
    currency: str  # empty: not said
    unit: str  # of "7000 inr/g"; empty: the one of the amount


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """How much, as a person counts it."""

    value: float
    unit: str = ""  # a name in units.GRAMS; empty for what has no weight
    karat: float | None = None

    def __str__(self) -> str:
        parts = [digits(self.value)]
        if self.unit:
            parts.append(SHORT[self.unit])
        if self.karat is not None:
            parts.append(f"{self.karat:g}k")
        return " ".join(parts)

    def own(self, instrument: Instrument) -> float:
        """In the instrument's own unit; of metals the pure weight."""
        if not self.unit:
            return self.value
        pure = 1.0 if self.karat is None else units.purity(self.karat)
        return self.value * units.grams(self.unit) / units.grams(instrument.unit) * pure


def amount_of(lot: Lot) -> Amount:
    value, *rest = lot.wrote.split()
    unit = units.unit_of(rest[0]) if rest else ""
    return Amount(value=float(value), unit=unit, karat=float(rest[1].removesuffix("k")) if len(rest) > 1 else None)


# --------------------------------------------------------------------------------------------- reading


def read_lot(
    text: str, *, find: Find, is_currency: IsCurrency, unit_price: UnitPrice, today: date, weight: str = ""
) -> Lot:
    """`weight` is the unit that the person counts metal in where they name none; empty: they have to."""
    words, note = _words(text)
    words, day = _without_day(words, today, OLDEST, "the hub keeps no days before 1900")
    left, price = _without_price(words, is_currency)
    value, left = _number_first(left)
    unit, left = _unit(left, find)
    karat, left = _karat(left)
    instrument, left = _instrument(left, find)
    if karat is None and instrument.unit in units.GRAMS:  # behind anything else "22k" is a number
        karat, left = _karat(left)
    if price is None and left:
        price, left = _price("", left, is_currency), []
    if left:
        raise BadRequest(f"{quoted_cut(left[0])} is not understood there: write for example {EXAMPLE}")
    amount = _amount(value, unit, karat, instrument, weight)
    currency = (price.currency if price else "") or instrument.currency
    cost = None if price is None else _total(price, amount, instrument, currency, unit_price)
    return Lot(
        instrument=instrument.id,
        quantity=amount.own(instrument),
        wrote=str(amount),
        cost=cost,
        currency=currency,
        bought_on=day.isoformat(),
        note=note,
    )


def read_sale(
    text: str, lot: Lot, instrument: Instrument, *, is_currency: IsCurrency, today: date
) -> tuple[Lot, Lot | None]:
    """What "5 g at 7200 inr 2024-05-01" makes of a lot: the part that is sold, and the rest, None where it was all."""
    words, _ = _words(text)
    words, day = _without_day(words, today, date.fromisoformat(lot.bought_on), f"it was bought on {lot.bought_on}")
    left, price = _without_price(words, is_currency)
    if price is None:
        raise BadRequest(f"at what price? Write portfolio sell {lot.id} at 100 (each), or for 1000 (all together)")
    had = amount_of(lot)
    sold = had
    if left:
        value, left = _number_first(left)
        sold = msgspec.structs.replace(had, value=_in_unit_of(had, value, left))
    if sold.value > had.value * (1 + 1e-12):
        raise BadRequest(f"lot {lot.id} holds {had}, which is less than {sold}")
    total = price.value if price.way == "for" else price.value * sold.value * _per(price, sold)
    proceeds = {"sold_on": day.isoformat(), "proceeds": total, "proceeds_currency": price.currency or lot.currency}
    if sold.value >= had.value:
        return msgspec.structs.replace(lot, **proceeds), None
    gone, rest = split(lot, sold, instrument)
    return msgspec.structs.replace(gone, **proceeds), rest


def split(lot: Lot, part: Amount, instrument: Instrument) -> tuple[Lot, Lot]:
    """That part as a lot without a number, and what is left under the old one; the cost goes by weight."""
    had = amount_of(lot)
    share = part.value / had.value
    rest = msgspec.structs.replace(had, value=float(digits(round(had.value - part.value, 12))))
    cost = None if lot.cost is None else lot.cost * share
    return (
        msgspec.structs.replace(lot, id=0, quantity=part.own(instrument), wrote=str(part), cost=cost),
        msgspec.structs.replace(
            lot,
            quantity=rest.own(instrument),
            wrote=str(rest),
            cost=None if lot.cost is None or cost is None else lot.cost - cost,
        ),
    )


# ----------------------------------------------------------------------------------------------- words


def _words(text: str) -> tuple[list[str], str]:
    """The words without the note, and the note."""
    if len(text) > LONGEST:
        raise BadRequest(f"that has {len(text):,} characters, {LONGEST} is the most: write for example {EXAMPLE}")
    found = NOTE.search(text)
    note = "" if found is None else (found[2] if found[2] is not None else found[1])
    note = " ".join("".join(each if each.isprintable() else " " for each in note).split())
    if len(note) > LONGEST_NOTE:
        raise BadRequest(f"that note has {len(note)} characters, {LONGEST_NOTE} is the most")
    rest = text if found is None else text[: found.start()] + text[found.end() :]
    return rest.split(), note


def _without_day(words: Sequence[str], today: date, earliest: date, why: str) -> tuple[list[str], date]:
    """The words without the day, and the day; today where none is named."""
    kept, named = [], []
    for word in words:
        if word.lower() in ("today", "yesterday"):
            named.append(today - timedelta(days=word.lower() == "yesterday"))
        elif ISO_DAY.fullmatch(word):
            named.append(_day(word))
        elif OTHER_DAY.fullmatch(word):
            raise BadRequest(f"{quoted_cut(word)} can be read in two ways: write the day like 2024-03-01")
        else:
            kept.append(word)
    if len(named) > 1:
        raise BadRequest("two days are named there: write one, like 2024-03-01")
    day = named[0] if named else today
    if day > today:
        raise BadRequest(f"{day} lies in the future: write the day on which it was, at the latest {today}")
    if day < earliest:
        raise BadRequest(f"{day} is too early, {why}: write a day from {earliest} on")
    return [word for word in kept if not (named and word.lower() == "on")], day


def _day(word: str) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise BadRequest(f"there is no day {word}: write one like 2024-03-01") from None


def _without_price(words: Sequence[str], is_currency: IsCurrency) -> tuple[list[str], Price | None]:
    places = [index for index, word in enumerate(words) if word.lower() in ("at", "for", "@")]
    if not places:
        return list(words), None
    if len(places) > 1:
        raise BadRequest("write one price: at and the price of each, or for and the price of all together")
    at = places[0]
    way = "for" if words[at].lower() == "for" else "at"
    return list(words[:at]), _price(way, words[at + 1 :], is_currency)


def _price(way: str, words: Sequence[str], is_currency: IsCurrency) -> Price:
    """ "85000 inr", "7000 inr/g", "190"."""
    if not words:
        raise BadRequest(f"a price is missing behind {way}: write for example {way} 85000 inr")
    first, *rest = words
    if first[0] in "$€£¥₹":
        raise BadRequest(f"{quoted_cut(first)}: write the currency behind the number, like {first[1:] or '85000'} usd")
    if (glued := GLUED.fullmatch(first)) and glued[2].lower() != "k":
        first, rest = glued[1], [glued[2], *rest]
    value = _read(first)
    currency, unit = "", ""
    if rest:
        written, _, unit = rest.pop(0).partition("/")
        currency = written.upper()
        if currency and not is_currency(currency):
            raise BadRequest(
                f"{quoted_cut(written)} is no currency that this hub knows: write one like usd, eur or inr behind the"
                " price, and a day like 2024-03-01"
            )
        if unit and way == "for":
            raise BadRequest(f"for is the price of all together: write at {first} {currency.lower()}/{unit}"[:160])
    if rest:
        raise BadRequest(f"{quoted_cut(rest[0])} is not understood behind the price: write for example {EXAMPLE}")
    return Price(way=way, value=value, currency=currency, unit=units.unit_of(unit) if unit else "")


def _read(word: str) -> float:
    try:
        value = number(word)
    except NoNumber as error:
        raise BadRequest(str(error)) from None
    if value >= MOST:
        raise BadRequest(f"{quoted_cut(word)} is more than can be: write a number under {digits(MOST)}")
    return value


def _number_first(words: Sequence[str]) -> tuple[float, list[str]]:
    if not words:
        raise BadRequest(f"how much of what? Write for example {EXAMPLE}")
    first, *rest = words
    glued = GLUED.fullmatch(first)
    if glued and glued[2].lower() != "k":
        first, rest = glued[1], [glued[2], *rest]
    try:
        value = _read(first)
    except BadRequest as error:
        if first[:1].isalpha():
            raise BadRequest(f"write how much first: {EXAMPLE}") from None
        raise error from None
    if value < 1e-12:
        raise BadRequest(f"{quoted_cut(first)} of it is nothing: write an amount above zero")
    return value, rest


def _unit(words: Sequence[str], find: Find) -> tuple[str, list[str]]:
    """The weight in front, if there is one; a word that is neither weight nor instrument, in front of one that is an
    instrument, was meant as a weight."""
    for count in (2, 1):
        try:
            return units.unit_of(" ".join(words[:count])), list(words[count:])
        except BadRequest as error:
            problem = error
    names = [_finds(name, find) for name in (*words[:2], " ".join(words[:2]))]
    if len(words) > 1 and words[0].isalpha() and names == [False, True, False]:
        raise problem
    return "", list(words)


def _karat(words: Sequence[str]) -> tuple[float | None, list[str]]:
    """The fineness that stands in front: "22k", "22 karat"."""
    if len(words) > 1 and words[0].isdigit() and words[1].lower() in ("karat", "carat", "kt"):
        return float(words[0]), list(words[2:])
    found = KARAT.fullmatch(words[0]) if words else None
    return (float(found[1]), list(words[1:])) if found else (None, list(words))


def _instrument(words: Sequence[str], find: Find) -> tuple[Instrument, list[str]]:
    """The longest run of words in front that names one."""
    for count in range(min(4, len(words)), 0, -1):
        if _finds(name := " ".join(words[:count]), find):
            return find(name), list(words[count:])
    if not words:
        raise BadRequest(f"of what? Write for example {EXAMPLE}")
    return find(words[0]), list(words[1:])


def _finds(word: str, find: Find) -> bool:
    try:
        find(word)
    except BadRequest:
        return False
    return True


# --------------------------------------------------------------------------------------------- amounts


def _amount(value: float, unit: str, karat: float | None, instrument: Instrument, weight: str) -> Amount:
    if instrument.unit in units.GRAMS:
        if not (unit or weight):
            shown = digits(value)
            raise BadRequest(
                f"{shown} of which weight? Write {shown} g, {shown} oz or {shown} tola of {instrument.name}"
            )
        if karat is not None:
            units.purity(karat)
        return Amount(value=value, unit=unit or weight, karat=karat)
    if unit or karat is not None:
        raise BadRequest(f"{instrument.name} has neither weight nor karat: write {digits(value)} {instrument.id}")
    return Amount(value=value)


def _in_unit_of(had: Amount, value: float, words: Sequence[str]) -> float:
    """An amount that is to be sold, in the unit of the lot; its fineness is that of the lot."""
    if not words:
        return value
    if not had.unit:
        raise BadRequest(
            f"{quoted_cut(words[0])} is not understood there: write the amount alone, then at and the price"
        )
    plain = [word for word in words if not (had.karat is not None and word.lower() == f"{had.karat:g}k")]
    unit = units.unit_of(" ".join(plain)) if plain else had.unit
    return value if unit == had.unit else value * units.grams(unit) / units.grams(had.unit)


def _per(price: Price, amount: Amount) -> float:
    """How many of the price's unit are in one of the amount's."""
    if not price.unit or price.unit == amount.unit:
        return 1.0
    if not amount.unit:
        raise BadRequest("that has no weight: write the price of one, like at 190 usd")
    return units.grams(amount.unit) / units.grams(price.unit)


def _total(price: Price, amount: Amount, instrument: Instrument, currency: str, unit_price: UnitPrice) -> float:
    each = price.value * amount.value * _per(price, amount)
    if price.way == "for" or (amount.value == 1 and not price.unit):
        return price.value
    if price.way == "at" or price.unit:
        return each
    known = unit_price(instrument, currency)
    if known is not None and known > 0:
        worth = known * amount.own(instrument)
        near = [total for total in (each, price.value) if worth / NEAR <= total <= worth * NEAR]
        if len(near) == 1:
            return near[0]
    shown, money = digits(price.value), currency.lower()
    raise BadRequest(
        f"is {shown} {money} for each, or for all of it? Write at {shown} {money} for the price of each of the"
        f" {digits(amount.value)}, or for {shown} {money} for all together"
    )
