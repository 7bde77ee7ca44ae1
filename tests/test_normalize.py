"""What is never a price."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import normalize
from hub.model import SECOND_US, Kind, Tick
from hub.normalize import price_of

NOW = 1_700_000_000 * SECOND_US


def trade(price: float | None, volume: float | None = None, at: int | None = None) -> Tick:
    return Tick(instrument="BTC-USDT", kind=Kind.TRADE, price=price, volume=volume, venue_time=at)


def quote(bid: float | None, ask: float | None) -> Tick:
    return Tick(instrument="XAU-USD", kind=Kind.QUOTE, bid=bid, ask=ask)


@pytest.mark.parametrize(
    ("tick", "reason"),
    [
        (trade(None), normalize.NO_PRICE),
        (trade(0.0), normalize.NOT_POSITIVE),
        (trade(-5.0), normalize.NOT_POSITIVE),
        (trade(math.nan), normalize.NOT_POSITIVE),
        (trade(math.inf), normalize.NOT_POSITIVE),
        (trade(1e13), normalize.NOT_POSITIVE),
        (quote(None, 5.0), normalize.ONE_SIDED),
        (quote(5.0, None), normalize.ONE_SIDED),
        (quote(math.nan, 5.0), normalize.NOT_POSITIVE),
        (quote(5.0, math.inf), normalize.NOT_POSITIVE),
        (quote(6.0, 5.0), normalize.CROSSED),
        (trade(5.0, volume=-1.0), normalize.BAD_VOLUME),
        (trade(5.0, volume=math.nan), normalize.BAD_VOLUME),
        (trade(5.0, at=NOW + 3 * 86_400 * SECOND_US), normalize.BAD_TIME),
        (trade(5.0, at=-(10**18)), normalize.BAD_TIME),
    ],
)
def test_what_is_no_price_is_refused_with_its_reason(tick: Tick, reason: str) -> None:
    """Each by the phrase under which it is counted."""
    assert price_of(tick, NOW) == reason


def test_a_quote_is_worth_its_mid_and_a_trade_its_price() -> None:
    """A quote whose sides are equal is fine."""
    assert price_of(quote(1284.065, 1284.405), NOW) == (1284.065 + 1284.405) / 2
    assert price_of(quote(5.0, 5.0), NOW) == 5.0
    assert price_of(trade(5.5, volume=0.0, at=NOW), NOW) == 5.5


@given(st.floats(), st.floats(), st.floats() | st.none())
def test_a_price_is_positive_and_finite_or_there_is_a_reason(bid: float, ask: float, volume: float | None) -> None:
    """For any floats at all."""
    for kind in Kind:
        tick = Tick(instrument="X", kind=kind, price=bid, bid=bid, ask=ask, volume=volume)
        found = price_of(tick, NOW)
        assert isinstance(found, str) or 0 < found < normalize.ABSURD
