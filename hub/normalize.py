"""Vendor's words → a price or the reason why there is none, and four prices → a candle. Pure.

Zero, negative, infinite, NaN, absent, crossed or absurd values are never a price; each is refused with one of
the fixed phrases below, under which it is counted.
"""

from collections.abc import Sequence

from hub.model import Candle, Kind, Tick

QUOTE = Kind.QUOTE  # looked up once: a tick's cost counts here

ABSURD = 1e12
EARLIEST_US = -5_000_000_000_000_000  # in 1811; older than any recording of prices
AHEAD_US = 86_400_000_000
"""A venue may stamp up to a day ahead of our clock; more is a broken time."""

NO_PRICE = "no price"
NOT_POSITIVE = "price not a positive number"
ONE_SIDED = "quote without bid or ask"
CROSSED = "bid above ask"
BAD_VOLUME = "impossible volume"
BAD_TIME = "impossible time"


def price_of(tick: Tick, now: int) -> float | str:
    """The tick's price (a quote's is its mid), or the phrase that says why it has none."""
    if tick.kind == QUOTE:
        bid, ask = tick.bid, tick.ask
        if bid is None or ask is None:
            return ONE_SIDED
        if not 0.0 < bid <= ask < ABSURD:
            return CROSSED if 0.0 < ask < bid < ABSURD else NOT_POSITIVE
        price = (bid + ask) / 2
    else:
        if tick.price is None:
            return NO_PRICE
        price = tick.price
        if not 0.0 < price < ABSURD:
            return NOT_POSITIVE
    volume, venue_time = tick.volume, tick.venue_time
    if volume is not None and not 0.0 <= volume < 1e18:
        return BAD_VOLUME
    if venue_time is not None and not EARLIEST_US < venue_time < now + AHEAD_US:
        return BAD_TIME
    return price


def bar_of(start: int, prices: Sequence[float], volume: float = 0.0) -> Candle | None:
    """The candle of a bar's open, high, low and close, which counts them as four ticks; None where they cannot be those
    of a bar."""
    first, high, low, last = prices
    if not 0.0 < low <= min(first, last) or not max(first, last) <= high < ABSURD or not 0.0 <= volume < 1e18:
        return None
    moved = (high - first, low - first, last - first)
    return Candle(
        start=start,
        open=first,
        high=high,
        low=low,
        close=last,
        volume=volume,
        count=4,
        sum=sum(moved),
        sum_squares=sum(one * one for one in moved),
    )
