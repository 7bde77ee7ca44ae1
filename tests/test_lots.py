"""Lots as people write them: what is understood, what is asked about, what is refused, and what a sale leaves."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.instruments import build_catalogue
from hub.lots import amount_of, read_lot, read_sale
from hub.model import Instrument, Lot
from hub.plugin import BadRequest
from hub.units import TROY_OUNCE_G

CATALOGUE = build_catalogue({}, ("XAU-USD", "BTC-USDT", "AAPL", "USD-INR"))
TODAY = date(2026, 11, 20)
PRICES = {"XAU-USD": 4000.0, "AAPL": 250.0}
INR = 88.0


def unit_price(instrument: Instrument, currency: str) -> float | None:
    price = PRICES.get(instrument.id)
    return None if price is None else price * (INR if currency == "INR" else 1.0)


def read(text: str, **more: Any) -> Lot:
    return read_lot(
        text,
        find=CATALOGUE.find,
        is_currency=lambda word: word in ("USD", "INR", "EUR", "USDT"),
        unit_price=unit_price,
        today=TODAY,
        **more,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5 btc at 42000", ("BTC-USDT", 0.5, "0.5", 21_000.0, "USDT", "2026-11-20", "")),
        ("10 AAPL at 190 2024-03-01", ("AAPL", 10, "10", 1900.0, "USD", "2024-03-01", "")),
        ("10 AAPL for 1,900 on 2024-03-01", ("AAPL", 10, "10", 1900.0, "USD", "2024-03-01", "")),
        ("10 apple 190", ("AAPL", 10, "10", 1900.0, "USD", "2026-11-20", "")),  # near the price of one
        ("10 apple 1900 yesterday", ("AAPL", 10, "10", 1900.0, "USD", "2026-11-19", "")),  # near that of all
        ("10 AAPL 0.2k", ("AAPL", 10, "10", 2000.0, "USD", "2026-11-20", "")),  # k is karat of metals alone
        ("1 AAPL 7", ("AAPL", 1, "1", 7.0, "USD", "2026-11-20", "")),  # one of it: both are the same
        ("1 oz gold", ("XAU-USD", 1, "1 oz", None, "USD", "2026-11-20", "")),
        ("2 ozt gold at 4k", ("XAU-USD", 2, "2 oz", 8000.0, "USD", "2026-11-20", "")),
        ("2 troy ounces gold for 8k", ("XAU-USD", 2, "2 oz", 8000.0, "USD", "2026-11-20", "")),
        ("1kg gold for 60k", ("XAU-USD", 1000 / TROY_OUNCE_G, "1 kg", 60_000.0, "USD", "2026-11-20", "")),
        ("10 g gold at 4000 usd/oz", ("XAU-USD", 10 / TROY_OUNCE_G, "10 g", 40_000 / TROY_OUNCE_G, "USD",
                                      "2026-11-20", "")),
        ("10 g gold 22k 85000 inr 2024-03-01 note \"for R: wedding at home\"",
         ("XAU-USD", 10 / TROY_OUNCE_G * 22 / 24, "10 g 22k", 85_000.0, "INR", "2024-03-01", "for R: wedding at home")),
        ("10 g 22 karat gold at 8500inr", ("XAU-USD", 10 / TROY_OUNCE_G * 22 / 24, "10 g 22k", 85_000.0, "INR",
                                           "2026-11-20", "")),
        ("1 btc at 60k usdt note half", ("BTC-USDT", 1, "1", 60_000.0, "USDT", "2026-11-20", "half")),
        ("0.5 btc for 0", ("BTC-USDT", 0.5, "0.5", 0.0, "USDT", "2026-11-20", "")),
    ],
)  # fmt: skip
def test_what_a_person_writes_becomes_a_lot(text: str, expected: tuple[Any, ...]) -> None:
    """The pure weight in the instrument's unit, what it cost altogether, the day, the note."""
    lot = read(text)
    instrument, quantity, wrote, cost, currency, day, note = expected
    assert (lot.instrument, lot.wrote, lot.currency, lot.bought_on, lot.note) == (
        instrument,
        wrote,
        currency,
        day,
        note,
    )
    assert lot.quantity == pytest.approx(quantity, rel=1e-12)
    assert lot.cost == (None if cost is None else pytest.approx(cost, rel=1e-12))


def test_a_persons_own_weight_is_meant_where_they_name_none() -> None:
    """Who counts in tola need not say so."""
    assert read("2 gold for 100000 inr", weight="tola").wrote == "2 tola"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "how much of what"),
        ("gold", "write how much first"),
        ("10", "of what"),
        ("10 gold for 100", "of which weight"),
        ("-10 AAPL at 190", "has a sign"),
        ("0 AAPL at 190", "above zero"),
        ("10 AAPL at -190", "has a sign"),
        ("1e9 AAPL at 1", "1e9"),
        ("9999999999999 AAPL at 1", "more than can be"),
        ("10 AAPL at nan", "no number"),
        ("10 AAPL at", "a price is missing"),
        ("10 AAPL at 190 for 1900", "write one price"),
        ("10 AAPL at 190 dollars", "no currency"),
        ("10 AAPL at 190 usd usd", "not understood behind the price"),
        ("10 AAPL at $190", "usd"),
        ("10 AAPL at 190 usd/g", "has no weight"),
        ("10 g gold for 190 usd/g", "for is the price of all together"),
        ("10 g gold at 190 usd/stone", "no weight known"),
        ("10 g AAPL at 190", "neither weight nor karat"),
        ("10 stones gold for 100", "no weight known"),
        ("10 g gold 25k at 190", "25 karat"),
        ("10 g gold 0k at 190", "0 karat"),
        ("10 g unobtainium at 190", "not an instrument"),
        ("10 eth at 3000", "say which"),
        ("10 AAPL at 190 2024-02-30", "no day 2024-02-30"),
        ("10 AAPL at 190 2026-11-21", "in the future"),
        ("10 AAPL at 190 1899-12-31", "too early"),
        ("10 AAPL at 190 0000-01-01", "no day"),
        ("10 AAPL at 190 01.03.2024", "two ways"),
        ("10 AAPL at 190 2024-03-01 2024-03-02", "two days"),
        ("10 AAPL 500 2024-03-01 extra", "extra"),
        ("10 AAPL 20", "for each, or for all of it"),  # near neither
        ("2 AAPL 250", "for each, or for all of it"),  # near both
        ("2 btc 250", "for each, or for all of it"),  # nobody knows its price
        ("10 AAPL at 190 note " + "x" * 121, "121 characters"),
        ("10 AAPL at 190 " + "x" * 10_000, "300 is the most"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_sentence(text: str, said: str) -> None:
    """That names it, and what to write instead."""
    with pytest.raises(BadRequest) as refused:
        read(text)
    assert said in refused.value.text
    assert len(refused.value.text) < 300


@given(st.text(max_size=60))
def test_any_text_is_a_lot_or_a_sentence(text: str) -> None:
    """Nothing else comes out, and a lot holds something."""
    try:
        lot = read(text)
    except BadRequest:
        return
    assert lot.quantity > 0
    assert amount_of(lot).value > 0


LOT = Lot(
    id=3, instrument="XAU-USD", quantity=10 / TROY_OUNCE_G * 22 / 24, wrote="10 g 22k", cost=700.0, currency="USD",
    bought_on="2024-03-01", note="ring", portfolio="old",
)  # fmt: skip
GOLD = CATALOGUE.find("gold")


def sale(text: str, lot: Lot = LOT) -> tuple[Lot, Lot | None]:
    return read_sale(text, lot, GOLD, is_currency=lambda word: word in ("USD", "INR"), today=TODAY)


def test_a_whole_lot_is_sold() -> None:
    """With what it brought; nothing is left."""
    sold, rest = sale("at 80 2024-05-01")
    assert rest is None
    assert sold == msgspec.structs.replace(LOT, sold_on="2024-05-01", proceeds=800.0, proceeds_currency="USD")


@pytest.mark.parametrize("text", ["4 g 22k at 7000 inr", "4 at 7000 inr", "0.004 kg for 28000 inr"])
def test_a_part_that_is_sold_takes_its_share_of_the_cost(text: str) -> None:
    """In the lot's own unit or another; the rest keeps the number, the day and the note."""
    sold, rest = sale(text)
    assert rest is not None
    assert (sold.id, sold.wrote, sold.proceeds_currency) == (0, "4 g 22k", "INR")
    assert (rest.id, rest.wrote, rest.note) == (3, "6 g 22k", "ring")
    assert [sold.cost, rest.cost, sold.proceeds] == pytest.approx([280.0, 420.0, 28_000.0])
    assert sold.quantity + rest.quantity == pytest.approx(LOT.quantity, rel=1e-12)
    assert rest.sold_on == ""


@given(st.floats(0.001, 9.999))
def test_selling_a_part_loses_nothing(amount: float) -> None:
    """Weight and cost of both parts are those of the whole."""
    sold, rest = sale(f"{amount:.3f} g at 80")
    assert rest is not None
    assert sold.quantity + rest.quantity == pytest.approx(LOT.quantity, rel=1e-9)
    assert (sold.cost or 0) + (rest.cost or 0) == pytest.approx(700.0, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at what price"),
        ("11 g at 80", "lot 3 holds 10 g 22k"),
        ("0 at 80", "above zero"),
        ("5 stones at 80", "no weight"),
        ("at 80 2024-02-29", "bought on 2024-03-01"),
        ("at 80 2027-01-01", "in the future"),
    ],
)
def test_a_sale_that_cannot_be_is_a_sentence(text: str, said: str) -> None:
    """More than there is, before it was bought, after today."""
    with pytest.raises(BadRequest, match=said):
        sale(text)
