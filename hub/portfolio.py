"""What lots are worth: now, and over the past. Pure.

`valued` prices each lot by its instrument's newest quote and turns it into one currency. What has no price, or no rate
into that currency, is named and left out of every sum; it never counts as nothing. A profit is the value less the cost,
of the lots of which both are known. `over_time` is the value that was held at each instant. Depends on hub.model,
hub.currencies, hub.wording and hub.plugin's BadRequest.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from hub import wording
from hub.currencies import is_stale
from hub.model import Candle, Instrument, Lot, Nature, Quote, Rate
from hub.plugin import BadRequest

RateOf = Callable[[str, str], Rate]
BLOCKS = "▏▎▍▌▋▊▉█"
BAR_WIDTH = 10


class ValuedLot(msgspec.Struct, frozen=True, kw_only=True):
    """One held lot in the currency of the whole; None: not known."""

    lot: Lot
    value: float | None = None
    why: str = ""  # there is no value: "no price", "no rate"
    before: float | None = None  # at the end of the day before
    cost: float | None = None

    @property
    def profit(self) -> float | None:
        return None if self.value is None or self.cost is None else self.value - self.cost


class Portfolio(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    lots: tuple[ValuedLot, ...]
    value: float  # of the lots that have one
    cost: float  # of the lots of which value and cost are known, as `profit`
    profit: float
    day: float  # what the value changed since the day before
    before: float  # the value that `day` is a change of
    shares: tuple[tuple[str, float, float], ...]  # instrument, value, share of the value; the largest first
    realised: float  # proceeds less cost of what was sold, at today's rates
    doubts: tuple[str, ...]  # in words: what is not priced, stale, or has no cost

    @property
    def profit_share(self) -> float | None:
        return self.profit / self.cost if self.cost else None

    @property
    def day_share(self) -> float | None:
        return self.day / self.before if self.before else None

    @property
    def unvalued(self) -> int:
        """How many lots have no value."""
        return sum(each.value is None for each in self.lots)


def held(lots: Sequence[Lot]) -> list[Lot]:
    return [lot for lot in lots if not lot.sold_on]


def own_currency(lots: Sequence[Lot], instrument: Callable[[str], Instrument | None]) -> str:
    """The one that most of the lots are priced in; between equals the first."""
    priced = [found.currency for lot in lots if (found := instrument(lot.instrument))]
    return Counter(priced).most_common(1)[0][0] if priced else "USD"


def valued(
    lots: Sequence[Lot],
    quotes: Mapping[str, Quote],
    instrument: Callable[[str], Instrument | None],
    rate: RateOf,
    currency: str,
    now: int,
) -> Portfolio:
    doubts: dict[str, None] = {}
    turn = _Turn(rate, currency, doubts)
    each = [_valued(lot, quotes.get(lot.instrument), instrument(lot.instrument), turn, now) for lot in held(lots)]
    known = [(one, one.value, one.before) for one in each if one.value is not None]
    both = [(one.profit, one.cost) for one in each if one.profit is not None and one.cost is not None]
    value = sum(worth for _, worth, _ in known)
    before = sum(was for _, _, was in known if was is not None)
    if uncosted := sum(one.lot.cost is None for one in each):
        told = f"{uncosted} lots have no cost" if uncosted > 1 else "1 lot has no cost"
        doubts[f"{told}: the profit leaves that out"] = None
    return Portfolio(
        currency=currency,
        lots=tuple(each),
        value=value,
        cost=sum(cost for _, cost in both),
        profit=sum(profit for profit, _ in both),
        day=sum(worth - was for _, worth, was in known if was is not None),
        before=before,
        shares=_shares(known, value),
        realised=sum(_realised(lot, turn) for lot in lots if lot.sold_on),
        doubts=tuple(doubts),
    )


class _Turn:
    """Money into the currency of the whole; what cannot be turned is a doubt, once."""

    def __init__(self, rate: RateOf, currency: str, doubts: dict[str, None]) -> None:
        self._rate, self._currency, self.doubts = rate, currency, doubts

    def __call__(self, money: float | None, currency: str) -> float | None:
        if money is None or currency == self._currency:
            return money
        try:
            rate = self._rate(currency, self._currency)
        except BadRequest as error:
            self.doubts[error.text.splitlines()[0]] = None
            return None
        if rate.stale:
            self.doubts[f"the rate of {currency} in {self._currency} is stale"] = None
        return money * rate.value


def _valued(lot: Lot, quote: Quote | None, instrument: Instrument | None, turn: _Turn, now: int) -> ValuedLot:
    cost = turn(lot.cost, lot.currency)
    if instrument is None:
        turn.doubts[f"{lot.instrument} is not known to this hub any more: lot {lot.id} is not counted"] = None
        return ValuedLot(lot=lot, cost=cost, why="not known")
    if quote is None:
        turn.doubts[f"{instrument.name} has no price: it is not counted"] = None
        return ValuedLot(lot=lot, cost=cost, why="no price")
    if is_stale(instrument, quote, now):
        turn.doubts[f"the price of {instrument.name} is stale: it is of {wording.age(now - quote.received_at)}"] = None
    if quote.nature is not Nature.LIVE:
        turn.doubts[f"the price of {instrument.name} is {quote.nature.value}"] = None
    value = turn(lot.quantity * quote.price, instrument.currency)
    before = turn(lot.quantity * (quote.previous or quote.open), instrument.currency)
    return ValuedLot(lot=lot, value=value, why="no rate" if value is None else "", before=before, cost=cost)


def _shares(
    known: Sequence[tuple[ValuedLot, float, float | None]], value: float
) -> tuple[tuple[str, float, float], ...]:
    of_each: Counter[str] = Counter()
    for one, worth, _ in known:
        of_each[one.lot.instrument] += worth  # type: ignore[assignment]  # a Counter counts in floats as well
    return tuple((name, worth, worth / value if value else 0.0) for name, worth in of_each.most_common())


def _realised(lot: Lot, turn: _Turn) -> float:
    proceeds, cost = turn(lot.proceeds, lot.proceeds_currency), turn(lot.cost, lot.currency)
    return 0.0 if proceeds is None or cost is None else proceeds - cost


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """ "███▌" of a share of one, in eighths of a character; what is there shows at least a little."""
    eighths = max(round(min(max(share, 0.0), 1.0) * width * 8), 1 if share > 0 else 0)
    full, rest = divmod(eighths, 8)
    return "█" * full + (BLOCKS[rest - 1] if rest else "")


# ------------------------------------------------------------------------------------------- over time


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one instrument, or a rate, by time; before its first it has none."""

    times: tuple[int, ...]
    values: tuple[float, ...]

    def at(self, time_us: int) -> float | None:
        place = bisect_right(self.times, time_us)
        return self.values[place - 1] if place else None


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """So much of an instrument from one instant to another; `until_us` is None while it is held."""

    instrument: str
    quantity: float
    since_us: int
    until_us: int | None


def series_of(candles: Sequence[Candle]) -> Series:
    return Series(times=tuple(one.start for one in candles), values=tuple(one.close for one in candles))


def over_time(
    holdings: Sequence[Holding], prices: Mapping[str, Series], rates: Mapping[str, Series | float], start_us: int
) -> tuple[tuple[int, float], ...]:
    """Instants and the value then, at each instant from `start_us` on that has a price of something. `rates` turn each
    instrument's price into the currency of the whole. Where something held has no price yet, there is no value."""
    amounts = _amounts(holdings)
    instants = sorted({time for name in amounts for time in prices[name].times if time >= start_us})
    found = ((time, _value_at(time, amounts, prices, rates)) for time in instants)
    return tuple((time, value) for time, value in found if value is not None)


def flows(
    holdings: Sequence[Holding],
    prices: Mapping[str, Series],
    rates: Mapping[str, Series | float],
    points: Sequence[tuple[int, float]],
) -> tuple[float, float]:
    """What came in and what went out between the first and the last of these points, each worth what it was at the
    point that first shows it: the rest of what the line moved is the prices' doing."""
    times = [time for time, _ in points]
    came = went = 0.0
    for each in holdings:
        for at, sign in ((each.since_us, 1), (each.until_us, -1)):
            place = bisect_left(times, at) if at is not None else 0
            if 0 < place < len(times):
                worth = _worth(each.instrument, each.quantity, times[place], prices, rates) or 0.0
                came, went = (came + worth, went) if sign > 0 else (came, went + worth)
    return came, went


def _amounts(holdings: Sequence[Holding]) -> dict[str, Series]:
    """How much of each instrument was held from when on; exactly nothing where nothing was."""
    changes: dict[str, list[tuple[int, float, int]]] = {}
    for each in holdings:
        of_it = changes.setdefault(each.instrument, [])
        of_it.append((each.since_us, each.quantity, 1))
        if each.until_us is not None:
            of_it.append((each.until_us, -each.quantity, -1))
    return {name: _summed(sorted(of_it)) for name, of_it in changes.items()}


def _summed(changes: Sequence[tuple[int, float, int]]) -> Series:
    total, count = 0.0, 0
    summed: dict[int, float] = {}
    for time, quantity, step in changes:
        total, count = total + quantity, count + step
        summed[time] = total if count else 0.0
    return Series(times=tuple(summed), values=tuple(summed.values()))


def _value_at(
    time: int, amounts: Mapping[str, Series], prices: Mapping[str, Series], rates: Mapping[str, Series | float]
) -> float | None:
    """None where nothing was held, or a price of what was is not known."""
    then = [(name, amount) for name, series in amounts.items() if (amount := series.at(time))]
    total = 0.0
    for name, amount in then:
        worth = _worth(name, amount, time, prices, rates)
        if worth is None:
            return None
        total += worth
    return total if then else None


def _worth(
    name: str, amount: float, time: int, prices: Mapping[str, Series], rates: Mapping[str, Series | float]
) -> float | None:
    price, rate = prices[name].at(time), rates[name]
    factor = rate if isinstance(rate, float) else rate.at(time)
    return None if price is None or factor is None else amount * price * factor
