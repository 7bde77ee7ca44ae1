"""What one of a currency costs in another, over the newest live prices of currency pairs. Pure.

A pair "EUR-USD" says what one EUR costs in USD, and backwards. The way over the fewest pairs is taken, over fresh ones
alone where there is such a way. A price is the mid of bid and ask where both are known. Currencies are names and no
more: USDT is not USD, unless a pair between them is served. Depends on hub.model and hub.plugin.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol, TypeVar

from hub.model import SECOND_US, Instrument, Nature, Quote, Rate
from hub.plugin import BadRequest, Catalogue

PIVOT = "USD"
"""What most pairs are quoted against; used only to name a pair that is missing."""


class Onward(Protocol):
    @property
    def target(self) -> str: ...


Into = TypeVar("Into", bound=Onward)
IsStale = Callable[[Instrument, Quote], bool]


class Leg(NamedTuple):
    target: str
    factor: float
    instrument: Instrument
    quote: Quote


def rate(source: str, target: str, quotes: Mapping[str, Quote], catalogue: Catalogue, is_stale: IsStale) -> Rate:
    """What one of `source` costs in `target`. `quotes` are the newest by instrument; BadRequest names what is
    missing."""
    source, target = source.upper(), target.upper()
    if source == target:
        return Rate(value=1.0)
    every = _legs(quotes, catalogue)
    fresh = {at: [leg for leg in legs if not is_stale(leg.instrument, leg.quote)] for at, legs in every.items()}
    way = _shortest(source, target, fresh) or _shortest(source, target, every)
    if not way:
        raise BadRequest(f"no live price connects {source} and {target}: {_missing(source, target, catalogue, quotes)}")
    value = 1.0
    for leg in way:
        value *= leg.factor
    return Rate(
        value=value,
        received_at=min(leg.quote.received_at for leg in way),
        legs=tuple(leg.instrument.id for leg in way),
        stale=any(is_stale(leg.instrument, leg.quote) for leg in way),
    )


class Step(NamedTuple):
    """Into the currency `target` over the price of that pair, or over 1 by it."""

    target: str
    instrument: str
    inverse: bool


def way(source: str, target: str, catalogue: Catalogue) -> list[Step]:
    """The fewest served pairs between two currencies, whatever they cost now; none from one to itself. BadRequest names
    what is missing."""
    source, target = source.upper(), target.upper()
    if source == target:
        return []
    steps: dict[str, list[Step]] = {}
    for pair in catalogue.served():
        if pair.class_ == "fx":
            steps.setdefault(_base(pair), []).append(Step(pair.currency, pair.id, False))
            steps.setdefault(pair.currency, []).append(Step(_base(pair), pair.id, True))
    found = _shortest(source, target, steps)
    if not found:
        served = {one.id for one in catalogue.served()}
        raise BadRequest(f"no pair connects {source} and {target}: {_missing(source, target, catalogue, served)}")
    return found


def known(catalogue: Catalogue) -> set[str]:
    """The currencies that something served is priced in or exchanged for."""
    served = catalogue.served()
    return {one.currency for one in served} | {_base(one) for one in served if one.class_ == "fx"}


def mid(quote: Quote) -> float:
    return quote.price if quote.bid is None or quote.ask is None else (quote.bid + quote.ask) / 2


def is_stale(instrument: Instrument, quote: Quote, now_us: int) -> bool:
    """Whether a price should have been followed by another: not in closed hours, nor in a recording."""
    if not quote.market_open or quote.nature is Nature.RECORDING:
        return False
    return quote.stale_since is not None or now_us - quote.received_at > instrument.stale_after_s * SECOND_US


def _legs(quotes: Mapping[str, Quote], catalogue: Catalogue) -> dict[str, list[Leg]]:
    legs: dict[str, list[Leg]] = {}
    for instrument in catalogue.served():
        quote = quotes.get(instrument.id)
        if instrument.class_ == "fx" and quote is not None:
            base, price = _base(instrument), mid(quote)
            legs.setdefault(base, []).append(Leg(instrument.currency, price, instrument, quote))
            legs.setdefault(instrument.currency, []).append(Leg(base, 1 / price, instrument, quote))
    return legs


def _base(instrument: Instrument) -> str:
    return instrument.id.split("-")[0]


def _shortest(source: str, target: str, legs: Mapping[str, list[Into]]) -> list[Into]:
    """Breadth first; empty where there is no way."""
    ways: dict[str, list[Into]] = {source: []}
    waiting = deque([source])
    while waiting:
        here = waiting.popleft()
        if here == target:
            return ways[here]
        for leg in legs.get(here, ()):
            if leg.target not in ways:
                ways[leg.target] = [*ways[here], leg]
                waiting.append(leg.target)
    return []


def _missing(source: str, target: str, catalogue: Catalogue, priced: Collection[str]) -> str:
    """Which pairs would connect them, as the catalogue names them, and what each of them lacks."""
    steps = [(source, target)]
    if not _pair(source, target, catalogue) and PIVOT not in (source, target):
        steps = [(source, PIVOT), (PIVOT, target)]
    pairs = [_pair(one, other, catalogue) or f"{one}-{other}" for one, other in steps]
    served = {one.id for one in catalogue.served()}
    lacking = [pair for pair in pairs if pair not in served or pair not in priced]
    absent = " and ".join(pair for pair in lacking if pair not in served)
    waiting = [f"{pair} has no price yet" for pair in lacking if pair in served]
    return ", ".join([f"serve {absent} by a feed"] * bool(absent) + waiting)


def _pair(one: str, other: str, catalogue: Catalogue) -> str:
    for name in (f"{one}-{other}", f"{other}-{one}"):
        found = catalogue.get(name)
        if found and found.class_ == "fx":
            return name
    return ""
