"""What lots are worth: sums of what is known, names of what is not, and the value over time."""

import pytest

from hub.instruments import build_catalogue
from hub.model import SECOND_US, Candle, Lot, Nature, Quote, Rate
from hub.plugin import BadRequest
from hub.portfolio import Holding, Portfolio, Series, bar, flows, over_time, own_currency, series_of, valued

NOW = 1_800_000_000 * SECOND_US
CATALOGUE = build_catalogue({}, ("XAU-USD", "BTC-USDT", "AAPL", "EUR-USD"))
DAY_US = 86_400 * SECOND_US


def quote(instrument: str, price: float, previous: float | None = None, age_s: int = 2, **more: object) -> Quote:
    values = {
        "time": NOW - age_s * SECOND_US,
        "received_at": NOW - age_s * SECOND_US,
        "source": "demo",
        "open": price,
        "high": price,
        "low": price,
        "previous": previous,
    }
    return Quote(instrument=instrument, price=price, **(values | more))  # type: ignore[arg-type]


def lot(number: int, instrument: str, quantity: float, cost: float | None, currency: str = "USD", **more: str) -> Lot:
    return Lot(
        id=number, instrument=instrument, quantity=quantity, wrote=f"{quantity:g}", cost=cost, currency=currency,
        bought_on="2026-01-01", **more,  # type: ignore[arg-type]
    )  # fmt: skip


def rate(source: str, target: str) -> Rate:
    known = {("USD", "EUR"): 0.8, ("EUR", "USD"): 1.25}
    if source == target:
        return Rate(value=1.0)
    if (source, target) not in known:
        raise BadRequest(f"no live price connects {source} and {target}")
    return Rate(value=known[source, target], stale=(source, target) == ("EUR", "USD"))


def worth(lots: list[Lot], quotes: list[Quote], currency: str = "USD") -> Portfolio:
    return valued(lots, {each.instrument: each for each in quotes}, CATALOGUE.get, rate, currency, NOW)


def test_lots_are_summed_in_one_currency() -> None:
    """Value, cost, profit, the day, and the shares with the largest first."""
    found = worth(
        [lot(1, "XAU-USD", 2, 3000.0, "EUR"), lot(2, "AAPL", 10, 1000.0), lot(3, "AAPL", 5, 1500.0)],
        [quote("XAU-USD", 2500.0, 2400.0), quote("AAPL", 200.0, 210.0)],
        "EUR",
    )
    assert (found.value, found.cost, found.profit) == (6400.0, 5000.0, 1400.0)
    assert found.profit_share == pytest.approx(0.28)
    assert found.day == pytest.approx(40.0)
    assert found.before == pytest.approx(6360.0)
    assert found.shares == (("XAU-USD", 4000.0, 0.625), ("AAPL", 2400.0, 0.375))
    assert (found.unvalued, found.doubts) == (0, ())


def test_what_has_no_price_is_named_and_not_counted() -> None:
    """Neither its value nor its cost is in a sum; a lot without a cost counts in the value alone."""
    found = worth(
        [
            lot(1, "XAU-USD", 1, None),
            lot(2, "AAPL", 10, 1000.0),
            lot(3, "BTC-USDT", 1, 5.0, "USDT"),
            lot(4, "GONE", 1, 9.0),
        ],
        [quote("XAU-USD", 2500.0), quote("BTC-USDT", 60_000.0)],
    )
    assert (found.value, found.cost, found.profit, found.unvalued) == (2500.0, 0, 0, 3)
    assert [each.why for each in found.lots] == ["", "no price", "no rate", "not known"]
    said = " / ".join(found.doubts)
    for words in ("Apple has no price", "connects USDT and USD", "GONE is not known", "1 lot has no cost"):
        assert words in said


@pytest.mark.parametrize(
    ("doubtful", "words"),
    [
        (quote("XAU-USD", 2500.0, age_s=3600), "Gold is stale: it is of 1 h ago"),
        (quote("XAU-USD", 2500.0, stale_since=NOW - SECOND_US), "Gold is stale"),
        (quote("XAU-USD", 2500.0, nature=Nature.SIMULATED), "Gold is simulated"),
    ],
)
def test_a_doubtful_price_counts_and_is_said(doubtful: Quote, words: str) -> None:
    """Old in open hours, or not real."""
    found = worth([lot(1, "XAU-USD", 1, 2000.0)], [doubtful])
    assert found.value == 2500.0
    assert words in found.doubts[0]


def test_a_closed_market_and_a_stale_rate() -> None:
    """The one is no doubt, the other is."""
    old = quote("XAU-USD", 2500.0, age_s=90_000, market_open=False)
    assert worth([lot(1, "XAU-USD", 1, 2000.0)], [old]).doubts == ()
    assert worth([lot(1, "XAU-USD", 1, 2000.0, "EUR")], [old]).doubts == ("the rate of EUR in USD is stale",)


def test_what_was_sold_is_realised_and_no_longer_held() -> None:
    """Proceeds less cost, each in its own currency."""
    gone = Lot(
        id=1, instrument="XAU-USD", quantity=1, wrote="1 oz", cost=1000.0, currency="EUR", bought_on="2026-01-01",
        sold_on="2026-02-01", proceeds=2000.0, proceeds_currency="USD",
    )  # fmt: skip
    found = worth([gone, lot(2, "AAPL", 1, 100.0)], [quote("AAPL", 150.0)])
    assert (found.realised, found.value, len(found.lots)) == (750.0, 150.0, 1)
    assert own_currency([gone], CATALOGUE.get) == "USD"
    assert own_currency([lot(1, "BTC-USDT", 1, 1.0), lot(2, "BTC-USDT", 1, 1.0), gone], CATALOGUE.get) == "USDT"


def test_nothing_is_worth_nothing() -> None:
    """No sum is divided by."""
    found = worth([], [])
    assert (found.value, found.profit_share, found.day_share, found.shares) == (0, None, None, ())


@pytest.mark.parametrize(
    ("share", "shown"), [(0, ""), (0.001, "▏"), (0.1, "█"), (0.0625, "▋"), (1, "█" * 10), (1.5, "█" * 10)]
)
def test_a_share_is_a_bar_in_eighths(share: float, shown: str) -> None:
    """What is there shows at least a little, and never more than all."""
    assert bar(share) == shown


# ------------------------------------------------------------------------------------------- over time


def candle(start: int, close: float) -> Candle:
    return Candle(start=start, open=close, high=close, low=close, close=close, count=1, sum=0, sum_squares=0)


def test_the_value_follows_what_was_held_and_its_price_then() -> None:
    """From the day it was bought to the day it was sold, by the last price known at each instant."""
    prices = {
        "A": series_of([candle(1, 10.0), candle(3, 12.0)]),
        "B": series_of([candle(2, 100.0), candle(4, 90.0)]),
    }
    holdings = [
        Holding(instrument="A", quantity=2, since_us=0, until_us=None),
        Holding(instrument="B", quantity=1, since_us=3, until_us=4),
    ]
    found = over_time(holdings, prices, {"A": 1.0, "B": Series(times=(0, 3), values=(1.0, 0.5))}, 2)
    assert found == ((2, 20.0), (3, 24.0 + 50.0), (4, 24.0))


def test_an_instant_without_a_price_of_all_that_is_held_has_no_value() -> None:
    """It is left out, neither nothing nor the rest alone; so is one at which nothing was held."""
    prices = {"A": Series(times=(1, 2, 3), values=(1.0, 1.0, 1.0)), "B": Series(times=(2, 3), values=(5.0, 6.0))}
    both = [Holding(instrument=name, quantity=1, since_us=0, until_us=3) for name in "AB"]
    assert over_time(both, prices, {"A": 1.0, "B": 1.0}, 0) == ((2, 6.0),)
    assert over_time([], prices, {"A": 1.0, "B": 1.0}, 0) == ()


def test_what_was_bought_and_sold_is_told_apart_from_what_prices_did() -> None:
    """By its worth at the point that first shows it; what was there before the first point is neither."""
    prices = {"A": Series(times=(1, 2, 3, 4), values=(10.0, 11.0, 12.0, 13.0))}
    holdings = [
        Holding(instrument="A", quantity=1, since_us=0, until_us=None),
        Holding(instrument="A", quantity=2, since_us=2, until_us=None),
        Holding(instrument="A", quantity=0.1, since_us=0, until_us=3),
        Holding(instrument="A", quantity=5, since_us=9, until_us=None),
    ]
    points = over_time(holdings, prices, {"A": 1.0}, 0)
    assert [value for _, value in points] == pytest.approx([11.0, 34.1, 36.0, 39.0])
    came, went = flows(holdings, prices, {"A": 1.0}, points)
    assert [came, went] == pytest.approx([22.0, 1.2])
    assert points[-1][1] - points[0][1] - came + went == pytest.approx(1 * 3 + 2 * 2 + 0.1 * 2)


def test_many_small_lots_that_are_all_sold_leave_nothing() -> None:
    """Not the rest that sums of fractions leave."""
    sold = [Holding(instrument="A", quantity=0.1, since_us=place, until_us=20 + place) for place in range(9)]
    prices = {"A": Series(times=(10, 40), values=(1.0, 1.0))}
    ((time, value),) = over_time(sold, prices, {"A": 1.0}, 0)
    assert (time, round(value, 9)) == (10, 0.9)
