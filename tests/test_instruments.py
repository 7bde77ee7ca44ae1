"""The catalogue: which instrument a word means, and what the configuration may change."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.instruments import CATALOGUE, ID, Catalogue, build_catalogue
from hub.model import Instrument
from hub.plugin import BadRequest
from hub.sessions import SESSIONS

WORDS = tuple(word for one in CATALOGUE for word in (one.id, one.name, *one.aliases))
SHIPPED = ("XAU-USD", "XAG-USD", "BTC-USDT", "ETH-USDT")


@pytest.fixture
def catalogue() -> Catalogue:
    return build_catalogue({}, SHIPPED)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("gold", "XAU-USD"), ("GOLD", "XAU-USD"), (" Gold ", "XAU-USD"), ("oro", "XAU-USD"), ("altın", "XAU-USD"),
        ("黄金", "XAU-USD"), ("xau", "XAU-USD"), ("xau-usd", "XAU-USD"), ("XAUUSD", "XAU-USD"), ("xau/usd", "XAU-USD"),
        ("silver", "XAG-USD"), ("btc", "BTC-USDT"), ("bitcoin", "BTC-USDT"), ("btc-usd", "BTC-USD"),
        ("btcusdt", "BTC-USDT"), ("eur", "EUR-USD"), ("yen", "USD-JPY"), ("apple", "AAPL"), ("aapl", "AAPL"),
        ("gc", "GC"), ("gold future", "GC"), ("pax gold", "PAXG-USD or PAXG-USDT"), ("paxg-usdt", "PAXG-USDT"),
    ],
)  # fmt: skip
def test_a_word_means_what_people_mean_by_it(catalogue: Catalogue, word: str, meant: str) -> None:
    """Ids, names, aliases and bases in any case; what is served wins; what is left open is asked."""
    if " or " in meant:
        with pytest.raises(BadRequest, match=f"could be {meant}: say which"):
            catalogue.find(word)
    else:
        assert catalogue.find(word).id == meant


def test_a_word_for_two_served_instruments_is_asked_about() -> None:
    """Two bitcoin prices are two prices."""
    both = build_catalogue({}, ["BTC-USD", "BTC-USDT"])
    with pytest.raises(BadRequest) as asked:
        both.find("btc")
    assert asked.value.text == '"btc" could be BTC-USD or BTC-USDT: say which'
    assert both.find("BTC-USD").id == "BTC-USD"


def test_an_alias_from_the_configuration_settles_an_open_word() -> None:
    """What an operator names outranks what the id begins with."""
    settled = build_catalogue({"BTC-USDT": {"aliases": ["btc"]}}, ["BTC-USD", "BTC-USDT"])
    assert settled.find("btc").id == "BTC-USDT"


@pytest.mark.parametrize(("word", "nearest"), [("glod", "gold"), ("slver", "silver"), ("bitcon", "bitcoin")])
def test_an_unknown_word_gets_its_nearest_names_and_help(catalogue: Catalogue, word: str, nearest: str) -> None:
    """The answer holds the word, what was probably meant, and where to look."""
    with pytest.raises(BadRequest) as refused:
        catalogue.find(word)
    assert f'"{word}"' in refused.value.text
    assert nearest in refused.value.text
    assert '"price" lists' in refused.value.text


@pytest.mark.parametrize("word", ["", "   ", "zzzzzz", "a" * 10_000, "\x1b[31mgold", "-", "\ud800"])
def test_any_other_word_is_refused_shortly_and_safely(catalogue: Catalogue, word: str) -> None:
    """No control characters come back, and no long text."""
    with pytest.raises(BadRequest) as refused:
        catalogue.find(word)
    assert refused.value.text.isprintable()
    assert len(refused.value.text) < 200


@given(word=st.text(max_size=60) | st.sampled_from(WORDS).map(lambda word: f" {word.upper()} "))
def test_any_text_is_an_instrument_or_a_question(word: str) -> None:
    """Nothing else comes out of a look-up."""
    try:
        found, text = build_catalogue({}, SHIPPED).find(word), ""
    except BadRequest as refused:
        found, text = None, refused.text
    assert found in CATALOGUE if found else text.isprintable()


def test_built_in_instruments_are_sound() -> None:
    """Ids follow the rule and are unique; sessions exist; metals are in ounces, and metals and currencies by mid."""
    assert len({one.id for one in CATALOGUE}) == len(CATALOGUE)
    for one in CATALOGUE:
        assert ID.fullmatch(one.id), one.id
        assert one.session in SESSIONS, one.id
        assert (one.unit == "troy ounce") is (one.class_ == "metal"), one.id
        assert one.class_ == "stock" or "-" not in one.id or one.currency == one.id.split("-")[1], one.id
    spot = [one for one in CATALOGUE if one.class_ in ("metal", "fx") and "-" in one.id]
    assert {one.basis for one in spot} == {"mid"}


def test_built_in_words_mean_one_thing() -> None:
    """Two instruments share a name or alias only if they are the same thing in two currencies."""

    def words(one: Instrument) -> set[str]:
        return {"".join(word.casefold().split()) for word in (one.id, one.id.split("-")[0], one.name, *one.aliases)}

    for one, other in combinations(CATALOGUE, 2):
        if one.id.split("-")[0] != other.id.split("-")[0]:
            assert not words(one) & words(other), (one.id, other.id)


def test_every_instrument_is_found_by_its_id_whatever_is_served() -> None:
    """An id is never a question."""
    for served in ([], SHIPPED, [one.id for one in CATALOGUE]):
        catalogue = build_catalogue({}, served)
        for one in CATALOGUE:
            assert catalogue.find(one.id.lower()) == catalogue.get(one.id) == one


def test_served_lists_what_feeds_serve_and_nothing_else(catalogue: Catalogue) -> None:
    """In the catalogue's order."""
    assert [one.id for one in catalogue.served()] == list(SHIPPED)
    assert catalogue.get("NO-SUCH") is None


def test_completion_offers_served_words_first_and_only_clear_ones(catalogue: Catalogue) -> None:
    """Each offered word is one word, begins so and finds one instrument."""
    assert catalogue.complete("GOL") == ["gold"]
    assert catalogue.complete("xa") == ["XAG-USD", "XAU-USD", "xag", "xau"]
    assert catalogue.complete("btc") == ["BTC-USDT", "btc", "BTC-USD"]
    assert catalogue.complete("nosuch") == []
    served = {one.id for one in catalogue.served()}
    found = [catalogue.find(word).id in served for word in catalogue.complete("")]
    assert found == sorted(found, reverse=True)
    assert all(found[:4])


def test_the_configuration_changes_single_settings() -> None:
    """What it does not name stays as built in."""
    changed = build_catalogue({"XAU-USD": {"stale_after_s": 5, "aliases": ["goud"], "class": "other"}}, [])
    gold = changed.find("goud")
    assert (gold.id, gold.stale_after_s, gold.class_, gold.basis) == ("XAU-USD", 5.0, "other", "mid")


def test_the_configuration_adds_instruments() -> None:
    """With the defaults of Instrument, and its id as a name if it has none."""
    added = build_catalogue(
        {"SAP.DE": {"currency": "EUR", "class": "stock"}, "0700.HK": {"name": "Tencent"}}, ["SAP.DE"]
    )
    assert added.find("sap.de").name == "SAP.DE"
    assert added.find("tencent").id == "0700.HK"
    assert [one.id for one in added.served()] == ["SAP.DE"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"XAU-USD": {"alias": ["x"]}},
            r"instruments\.XAU-USD\.alias: there is no such setting; did you mean aliases\?",
        ),
        ({"XAU-USD": {"class_": "metal"}}, r"XAU-USD\.class_: there is no such setting; did you mean class\?"),
        ({"XAU-USD": {"id": "GOLD"}}, r"XAU-USD\.id: there is no such setting"),
        ({"xau-usd": {}}, r'"xau-usd" is no instrument id: write capitals'),
        ({"": {}}, "is no instrument id"),
        ({"XAU USD": {}}, "is no instrument id"),
        ({"XAU-USD": {"session": "comax"}}, r"XAU-USD\.session: 'comax' cannot be; write one of 24x7, metals-otc"),
        ({"XAU-USD": {"decimals": 99}}, r"XAU-USD\.decimals: 99 cannot be; write 0 to 12"),
        ({"XAU-USD": {"outlier": 0}}, r"XAU-USD\.outlier: 0\.0 cannot be"),
        ({"XAU-USD": {"stale_after_s": float("nan")}}, r"XAU-USD\.stale_after_s: nan cannot be"),
        ({"XAU-USD": {"name": " "}}, r"XAU-USD\.name: ' ' cannot be"),
        ({"XAU-USD": {"basis": "bid"}}, r"XAU-USD: invalid enum value 'bid'"),
        ({"XAU-USD": {"decimals": "two"}}, r"XAU-USD: expected `int`, got `str`"),
    ],
)
def test_what_the_configuration_cannot_mean_is_refused_by_name(changes: dict[str, Any], sentence: str) -> None:
    """A sentence that names the key and what to write instead."""
    with pytest.raises(ValueError, match=sentence):
        build_catalogue(changes, [])


def test_a_served_instrument_that_nobody_described_is_refused() -> None:
    """Else a feed's every tick would be refused, one by one."""
    with pytest.raises(ValueError, match=r'a feed serves "SAP.DE".*add \[instruments.SAP.DE\]'):
        build_catalogue({}, ["SAP.DE"])
