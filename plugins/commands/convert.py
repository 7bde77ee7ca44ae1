"""`convert 10 g gold 22k inr`: what an amount of anything costs in anything else, by the newest prices.

A side of it is a currency or an instrument; a metal may have a weight and a karat. What metals cost is reckoned
through their weight, what has a price in another currency through the pairs of hub.currencies. Every price that was
used is named with its age, and what makes it doubtful.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hub import currencies, units, wording
from hub.model import Argument, Instrument, Nature, Quote, Reply, Request, Role
from hub.plugin import BadRequest, Context
from hub.rules.numbers import NoNumber, number
from plugins.commands.price import remarks

USAGE = "convert AMOUNT [g|oz|kg|tola|tael] THING [22k] [to] THING"
SUMMARY = "What an amount of a metal, coin, stock or currency is in any other."
EXAMPLES = ("convert 10 g gold 22k inr", "convert 500 eur usd", "convert 1 btc gold", "convert 1000 usd to g gold")
ARGUMENTS = (
    Argument(name="amount", about="how much", kind="number", required=True, example="10"),
    Argument(name="source", about="of what, with its weight and karat", required=True, example="g gold 22k"),
    Argument(name="target", about="into what", lead="to", example="inr"),
)
ROLE = Role.GUEST

MOST = 1e15
BETWEEN = frozenset(("to", "in", "into", "as", "=", "->", "→"))
FILLERS = frozenset(("of",))
SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "₹": "INR", "¥": "JPY"}
NAMES = {
    **dict.fromkeys(("dollar", "dollars"), "USD"),
    **dict.fromkeys(("euro", "euros"), "EUR"),
    **dict.fromkeys(("pound", "pounds"), "GBP"),
    **dict.fromkeys(("rupee", "rupees", "rs"), "INR"),
    **dict.fromkeys(("yen",), "JPY"),
    **dict.fromkeys(("franc", "francs"), "CHF"),
}
KARAT = re.compile(r"([0-9]{1,2}(?:\.[0-9]+)?)(?:k|kt|karat|carat)")
AMOUNT = re.compile(r"[0-9.][0-9.,_]*k?")
JOINED = re.compile(r"([0-9.][0-9.,_]*)([a-z]+)")
SHORT = {"gram": "g", "kilogram": "kg", "troy ounce": "troy oz"}
ASK = "write convert 10 g gold 22k inr, convert 500 eur usd or convert 1 btc gold"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A thing, as it was written: a currency, or an instrument with its weight and karat."""

    currency: str = ""
    instrument: Instrument | None = None
    unit: str = ""  # a name in units.GRAMS; empty: the instrument's own
    karat: float = units.PURE_KARAT


class Used(msgspec.Struct, frozen=True):
    """A price that an answer stands on."""

    instrument: Instrument
    quote: Quote


async def run(context: Context, request: Request) -> Reply:
    amount, words = amount_and_words(request.arguments)
    source, target = sides(context, words, request)
    unambiguous(request.arguments, source)
    value, used = await worth(context, source, target)
    result = amount * value
    now = context.now()
    lines = [
        f"1 {named(source)} is {shown(value)} {named(target)}.",
        *(leg(each, request.user.time_zone, now) for each in used),
    ]
    return Reply(
        title=f"{shown(amount)} {named(source)} = {shown(result)} {named(target)}",
        lines=tuple(lines),
        facts={
            "amount": amount, "source": fact(source), "target": fact(target), "value": result, "rate": value,
            "prices": [used_fact(each, now) for each in used],
            "stale": any(stale(each, now) for each in used),
        },
    )  # fmt: skip


# ---------------------------------------------------------------------------------------- what was asked


def amount_and_words(arguments: str) -> tuple[float, list[str]]:
    """The number in front (1 where there is none), and the words behind it."""
    plain = re.sub(r"\btroy[ -]?(?:oz|ounces?)\b", "oz", arguments.lower())
    plain = re.sub(r"([0-9])\s+(?=(?:kt|karat|carat)\b)", r"\1", plain)
    plain = re.sub(rf"([{''.join(SIGNS)}])\s*([0-9.][0-9.,_]*)", r"\2 \1", plain)
    words = [word for word in plain.replace("$", " $ ").split() if word not in FILLERS]
    if words and (found := JOINED.fullmatch(words[0])) and found[2] != "k" and not KARAT.fullmatch(words[0]):
        words[:1] = [found[1], found[2]]
    if not words:
        raise BadRequest(f"convert what? {ASK[0].upper()}{ASK[1:]}")
    if not words[0][0].isdigit() and words[0][0] not in ".-+−":
        return 1.0, words
    try:
        amount = number(words[0])
    except NoNumber as error:
        raise BadRequest(f"{error}") from error
    if not 0 < amount <= MOST:
        raise BadRequest(f"{words[0][:20]} is not between 0 and {MOST:g}")
    return amount, words[1:]


def sides(context: Context, words: list[str], request: Request) -> tuple[Side, Side]:
    """What stands before and behind "to"; without it, behind the first thing."""
    cuts = [at for at, word in enumerate(words) if word in BETWEEN]
    if cuts:
        return side(context, words[: cuts[0]]), side(
            context, [word for word in words[cuts[0] :] if word not in BETWEEN]
        )
    things = [at for at, word in enumerate(words) if not qualifies(word)]
    if not things:
        raise BadRequest(f"convert what? {ASK[0].upper()}{ASK[1:]}")
    cut = things[0] + 1
    while cut < len(words) and KARAT.fullmatch(words[cut]):
        cut += 1
    source = side(context, words[:cut])
    if cut < len(words):
        return source, side(context, words[cut:])
    own = request.user.currency or (source.instrument.currency if source.instrument else "")
    if not own or own == source.currency:
        raise BadRequest(f"{named(source)} into what? {ASK[0].upper()}{ASK[1:]}")
    return source, Side(currency=own)


def unambiguous(arguments: str, source: Side) -> None:
    """ "22k gold" may be 22,000 of it: asked about, never guessed."""
    first = arguments.split()[0].lower()
    found = KARAT.fullmatch(first)
    weighed = source.instrument is not None and source.unit in units.GRAMS
    if found and weighed and float(found[1]) <= units.PURE_KARAT:
        name = source.instrument.name.lower() if source.instrument else ""
        raise BadRequest(
            f'"{first}" could be {found[1]},000 or {found[1]} karat: write {found[1]}000 {name}, or 1 oz {name} {first}'
        )


def qualifies(word: str) -> bool:
    """Whether it says how much or how fine, and not what."""
    return word in units.WORDS or word in units.GRAMS or bool(KARAT.fullmatch(word))


def side(context: Context, words: Sequence[str]) -> Side:
    things = [word for word in words if not qualifies(word)]
    weights = [units.unit_of(word) for word in words if word in units.WORDS or word in units.GRAMS]
    karats = [float(found[1]) for word in words if (found := KARAT.fullmatch(word))]
    if not things:
        raise BadRequest(f"{' '.join(words) or 'nothing'} of what? {ASK[0].upper()}{ASK[1:]}")
    if len(weights) > 1 or len(karats) > 1:
        raise BadRequest(f'"{" ".join(words)[:60]}" names two weights or two karats: {ASK}')
    if currency := currency_of(context, " ".join(things)):
        if weights or karats:
            raise BadRequest(f"{currency} is a currency: it has no weight and no karat")
        return Side(currency=currency)
    instrument = context.catalogue.find(" ".join(things))
    if (weights or karats) and instrument.unit not in units.GRAMS:
        raise BadRequest(f"{instrument.name} ({instrument.id}) is not sold by weight: leave the unit and the karat out")
    karat = karats[0] if karats else float(units.PURE_KARAT)
    units.purity(karat)
    return Side(instrument=instrument, unit=weights[0] if weights else instrument.unit, karat=karat)


def currency_of(context: Context, text: str) -> str:
    """The currency that is meant, as "eur", "€" or "yen"; empty where it is none."""
    code = (SIGNS | NAMES).get(text, text.upper())
    if code in currencies.known(context.catalogue) or code == currencies.PIVOT:
        return code
    pairs = (context.catalogue.get(f"{code}-{currencies.PIVOT}"), context.catalogue.get(f"{currencies.PIVOT}-{code}"))
    return code if any(pair and pair.class_ == "fx" for pair in pairs) else ""


# ------------------------------------------------------------------------------------------------ worth


async def worth(context: Context, source: Side, target: Side) -> tuple[float, list[Used]]:
    """What one of `source` is in `target`, and the prices that say so."""
    used: list[Used] = []
    value, own = await price_of(context, source, used)
    per, wanted = await price_of(context, target, used)
    rate = context.market.rate(own, wanted)
    for name in rate.legs:
        instrument, quote = context.catalogue.get(name), await context.quote(name)
        if instrument and quote:
            used.append(Used(instrument, quote))
    return value * rate.value / per, used


async def price_of(context: Context, side: Side, used: list[Used]) -> tuple[float, str]:
    """What one of it costs, and in which currency."""
    if side.instrument is None:
        return 1.0, side.currency
    quote = await context.quote(side.instrument.id)
    if quote is None:
        served = side.instrument.id in {one.id for one in context.catalogue.served()}
        why = "has no price yet" if served else "is served by no feed of this hub"
        raise BadRequest(f"{side.instrument.name} ({side.instrument.id}) {why}, so it cannot be converted")
    if side.instrument.id not in {each.instrument.id for each in used}:
        used.append(Used(side.instrument, quote))
    price = currencies.mid(quote) if side.instrument.basis == "mid" else quote.price
    if side.unit in units.GRAMS:
        price = units.per(price, side.unit, side.karat) * (units.TROY_OUNCE_G / units.grams(side.instrument.unit))
    return price, side.instrument.currency


# ----------------------------------------------------------------------------------------------- wording


def named(side: Side) -> str:
    """ "g of 22k Gold", "EUR", "Bitcoin"."""
    if side.instrument is None:
        return side.currency
    fine = "" if side.karat == units.PURE_KARAT else f"{side.karat:g}k "
    name = f"{side.instrument.name} ({side.instrument.id})"
    return f"{SHORT.get(side.unit, side.unit)} of {fine}{name}" if side.unit in units.GRAMS else name


def shown(value: float) -> str:
    """Two decimals for what is large, six digits for what is small: neither hides the number."""
    if value == 0 or value >= 1000:
        return wording.own(f"{value:,.2f}".removesuffix(".00"))
    text = f"{value:.6g}"
    return wording.own(text if "e" not in text else f"{value:.15f}".rstrip("0").rstrip("."))


def leg(used: Used, zone: str, now: int) -> str:
    instrument, quote = used.instrument, used.quote
    told = (
        f"{instrument.name} ({instrument.id}) {wording.price(quote.price, instrument.decimals)} {instrument.currency}"
    )
    then = wording.clock(quote.time, zone, now)
    age = then if quote.nature is Nature.RECORDING else wording.age(now - quote.received_at)
    return ", ".join([f"{told}, {age}", *remarks(instrument, quote, now)])


def stale(used: Used, now: int) -> bool:
    return currencies.is_stale(used.instrument, used.quote, now)


def fact(side: Side) -> dict[str, Any]:
    if side.instrument is None:
        return {"currency": side.currency}
    return {"instrument": side.instrument.id, "unit": side.unit, "karat": side.karat if side.unit else None}


def used_fact(used: Used, now: int) -> dict[str, Any]:
    quote = used.quote
    return {
        "instrument": quote.instrument, "price": quote.price, "received_at": wording.iso(quote.received_at),
        "nature": quote.nature.value, "market_open": quote.market_open, "stale": stale(used, now),
    }  # fmt: skip
