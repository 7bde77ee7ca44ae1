"""What one of a currency costs in another: the way over the pairs, its age, and what is said where there is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import currencies
from hub.currencies import rate
from hub.instruments import Catalogue, build_catalogue
from hub.model import SECOND_US, Instrument, Nature, Quote, Rate
from hub.plugin import BadRequest

NOW = 1_800_000_000 * SECOND_US
PAIRS = ("EUR-USD", "GBP-USD", "USD-JPY", "USD-INR", "XAU-USD", "BTC-USDT")


def quote(instrument: str, price: float, *, age_s: float = 1, **more: Any) -> Quote:
    then = NOW - round(age_s * SECOND_US)
    day: dict[str, Any] = {
        "open": price,
        "high": price,
        "low": price,
        "source": "test",
        "time": then,
        "received_at": then,
    }
    return Quote(instrument=instrument, price=price, **(day | more))


def never(instrument: Instrument, quote: Quote) -> bool:
    return False


def stale(instrument: Instrument, quote: Quote) -> bool:
    return currencies.is_stale(instrument, quote, NOW)


def of(*quotes: Quote, source: str, target: str, served: tuple[str, ...] = PAIRS, extra: Any = None) -> Rate:
    catalogue = build_catalogue(extra or {}, served)
    return rate(source, target, {one.instrument: one for one in quotes}, catalogue, stale)


def test_a_pair_is_read_forwards_and_backwards() -> None:
    """EUR-USD is what a euro costs in dollars; the mid where bid and ask are known."""
    pair = quote("EUR-USD", 1.2, bid=1.24, ask=1.26)
    assert of(pair, source="EUR", target="USD").value == pytest.approx(1.25)
    assert of(pair, source="usd", target="eur").value == pytest.approx(0.8)
    assert of(quote("EUR-USD", 1.2), source="EUR", target="USD").value == 1.2


def test_the_way_over_the_fewest_pairs_is_taken() -> None:
    """With its legs in order, and the age of the oldest."""
    quotes = (quote("EUR-USD", 1.25, age_s=3), quote("USD-INR", 80.0, age_s=7))
    found = of(*quotes, source="EUR", target="INR")
    assert found == Rate(value=100.0, received_at=NOW - 7 * SECOND_US, legs=("EUR-USD", "USD-INR"))
    cross = {"EUR-INR": {"name": "Euro in rupees", "class": "fx", "currency": "INR"}}
    direct = of(*quotes, quote("EUR-INR", 101.0), source="EUR", target="INR", served=(*PAIRS, "EUR-INR"), extra=cross)
    assert (direct.value, direct.legs) == (101.0, ("EUR-INR",))


def test_a_fresh_way_is_better_than_a_short_stale_one() -> None:
    """And where only a stale one is left it is taken, and said."""
    cross = {"EUR-INR": {"name": "Euro in rupees", "class": "fx", "currency": "INR"}}
    old = quote("EUR-INR", 101.0, age_s=3600)
    quotes = (quote("EUR-USD", 1.25), quote("USD-INR", 80.0))
    served = (*PAIRS, "EUR-INR")
    assert of(old, *quotes, source="EUR", target="INR", served=served, extra=cross).legs == ("EUR-USD", "USD-INR")
    alone = of(old, source="EUR", target="INR", served=served, extra=cross)
    assert (alone.legs, alone.stale) == (("EUR-INR",), True)


def test_a_currency_in_itself_is_one() -> None:
    """By no price at all."""
    assert of(source="USD", target="usd") == Rate(value=1.0)


def test_only_served_currency_pairs_connect() -> None:
    """Not gold, not a coin, and not a pair that no feed serves now."""
    with pytest.raises(BadRequest, match=r"connects XAU and USD"):
        of(quote("XAU-USD", 2400.0), source="XAU", target="USD")
    with pytest.raises(BadRequest, match=r"connects EUR and USD: serve EUR-USD by a feed"):
        of(quote("EUR-USD", 1.2), source="EUR", target="USD", served=("XAU-USD",))


def test_tether_is_not_the_dollar() -> None:
    """Until a pair between them is served."""
    with pytest.raises(BadRequest, match=r"connects USDT and USD: serve USDT-USD by a feed"):
        of(quote("BTC-USDT", 61_000.0), quote("EUR-USD", 1.2), source="USDT", target="USD")
    pair = {"USDT-USD": {"name": "Tether", "class": "fx", "currency": "USD", "session": "24x7"}}
    found = of(
        quote("USDT-USD", 0.999), quote("EUR-USD", 1.25), source="USDT", target="EUR",
        served=(*PAIRS, "USDT-USD"), extra=pair,
    )  # fmt: skip
    assert found.value == pytest.approx(0.999 / 1.25)


@pytest.mark.parametrize(
    ("source", "target", "served", "said"),
    [
        ("USD", "INR", ("EUR-USD",), "no live price connects USD and INR: serve USD-INR by a feed"),
        ("EUR", "INR", ("EUR-USD",), "no live price connects EUR and INR: serve USD-INR by a feed"),
        ("GBP", "INR", ("EUR-USD",), "connects GBP and INR: serve GBP-USD and USD-INR by a feed"),
        ("EUR", "INR", ("EUR-USD", "USD-INR"), "connects EUR and INR: USD-INR has no price yet"),
        ("JPY", "USD", ("EUR-USD",), "serve USD-JPY by a feed"),
        ("USD", "ZZZ", ("EUR-USD",), "serve USD-ZZZ by a feed"),
    ],
)
def test_what_is_missing_is_named(source: str, target: str, served: tuple[str, ...], said: str) -> None:
    """The pairs that lack, as the catalogue calls them; EUR-USD has its price here."""
    with pytest.raises(BadRequest) as refused:
        of(quote("EUR-USD", 1.2), source=source, target=target, served=served)
    assert said in refused.value.text


def test_staleness_is_of_open_hours_and_live_prices() -> None:
    """A closed market's price is the last one there is, and a recording has no age."""
    euro = build_catalogue({}, PAIRS).find("EUR-USD")
    assert not currencies.is_stale(euro, quote("EUR-USD", 1.2), NOW)
    assert currencies.is_stale(euro, quote("EUR-USD", 1.2, age_s=61), NOW)
    assert currencies.is_stale(euro, quote("EUR-USD", 1.2, stale_since=NOW), NOW)
    assert not currencies.is_stale(euro, quote("EUR-USD", 1.2, age_s=61, market_open=False), NOW)
    assert not currencies.is_stale(euro, quote("EUR-USD", 1.2, age_s=61, nature=Nature.RECORDING), NOW)


def test_known_currencies_are_those_of_what_is_served() -> None:
    """What something is priced in, and both sides of a pair."""
    assert currencies.known(build_catalogue({}, ("EUR-USD", "BTC-USDT"))) == {"EUR", "USD", "USDT"}


PRICES = st.floats(1e-3, 1e3)


@given(st.tuples(PRICES, PRICES, PRICES, PRICES), st.permutations(("EUR", "GBP", "USD", "JPY", "INR")))
def test_there_and_back_is_nothing_won(prices: tuple[float, ...], order: list[str]) -> None:
    """The rate back is the inverse, and a third currency in between changes nothing."""
    quotes = [quote(pair, price) for pair, price in zip(PAIRS, prices, strict=False)]
    catalogue: Catalogue = build_catalogue({}, PAIRS)
    by_id = {one.instrument: one for one in quotes}
    one, other, between = order[:3]
    there = rate(one, other, by_id, catalogue, never).value
    assert there * rate(other, one, by_id, catalogue, never).value == pytest.approx(1)
    over = rate(one, between, by_id, catalogue, never).value * rate(between, other, by_id, catalogue, never).value
    assert over == pytest.approx(there)
