"""Weights and karat."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.plugin import BadRequest
from hub.units import GRAMS, WORDS, grams, per, purity, unit_of


@pytest.mark.parametrize(
    ("word", "weight_g"),
    [
        ("troy ounce", 31.1034768), ("oz", 31.1034768), (" Troy  Ounces ", 31.1034768), ("g", 1.0), ("GRAM", 1.0),
        ("kg", 1000.0), ("kilo", 1000.0), ("tola", 11.6638038), ("tolas", 11.6638038), ("tael", 37.4290),
    ],
)  # fmt: skip
def test_a_weight_is_known_by_the_words_people_write(word: str, weight_g: float) -> None:
    """In any case and plural, in grams."""
    assert grams(word) == weight_g


def test_an_ounce_and_a_tola_are_exact_in_grains() -> None:
    """480 and 180 grains of 64.79891 mg."""
    assert math.isclose(GRAMS["troy ounce"], 480 * 0.06479891, rel_tol=1e-15)
    assert math.isclose(GRAMS["tola"], 180 * 0.06479891, rel_tol=1e-15)


def test_every_word_names_a_unit_and_hides_none() -> None:
    """No word points nowhere, and no unit's own name means another."""
    assert set(WORDS.values()) <= set(GRAMS)
    assert all(unit_of(name) == name for name in GRAMS)


def test_a_price_per_gram_of_22_karat() -> None:
    """2,400 an ounce is 77.16 a gram, and 70.73 a gram of 22 karat."""
    assert round(per(2400.0, "gram"), 2) == 77.16
    assert round(per(2400.0, "g", 22), 2) == 70.73


@given(price=st.floats(0.01, 1e9), unit=st.sampled_from(sorted(GRAMS)), karat=st.floats(1, 24))
def test_units_agree_with_each_other(price: float, unit: str, karat: float) -> None:
    """A unit costs as many grams as it weighs; an ounce of 24 karat costs what it did."""
    assert math.isclose(per(price, unit, karat), per(price, "gram", karat) * GRAMS[unit], rel_tol=1e-12)
    assert math.isclose(per(price, unit, karat), per(price, unit) * karat / 24, rel_tol=1e-12)
    assert per(price, "troy ounce") == price


@pytest.mark.parametrize("word", ["", "pound", "stone", "oz oz", "x" * 500])
def test_an_unknown_weight_is_refused_with_those_there_are(word: str) -> None:
    """The answer names the weights that can be written, and stays short."""
    with pytest.raises(BadRequest, match="troy ounce, gram, kilogram, tola, tael") as refused:
        unit_of(word)
    assert len(refused.value.text) < 200


@pytest.mark.parametrize("karat", [0, -1, 24.5, math.inf, math.nan])
def test_what_is_no_karat_is_refused(karat: float) -> None:
    """Above 0 and up to 24, finite."""
    with pytest.raises(BadRequest, match="karat"):
        purity(karat)
