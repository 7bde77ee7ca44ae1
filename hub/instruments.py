"""The catalogue: which instruments there are, and which one a person means by a word. Pure.

`CATALOGUE` is built in; `[instruments]` of the configuration changes and adds. A word is an id ("XAU-USD",
"xauusd", "xau/usd"), a name or alias ("gold", "oro") or what stands before the first dash ("btc"). What this hub's
feeds serve wins over what nobody serves; between two that are left the person is asked, never guessed for.
Depends on hub.sessions for the names of sessions.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import msgspec

from hub.i18n import _
from hub.model import Instrument
from hub.plugin import BadRequest
from hub.sessions import SESSIONS

ID = re.compile(r"[A-Z0-9][A-Z0-9._-]*")
LONGEST_WORD = 40
"""Of a word that is compared with all names, and of what is repeated to the person who wrote it."""

# ---------------------------------------------------------------------------------------------- built in


def _metal(id: str, name: str, *aliases: str, decimals: int = 2) -> Instrument:
    return Instrument(
        id=id, name=name, aliases=aliases, class_="metal", currency=id.split("-")[1], unit="troy ounce",
        decimals=decimals, basis="mid", session="metals-otc", outlier=0.02, stale_after_s=60.0,
    )  # fmt: skip


def _fx(id: str, name: str, *aliases: str, decimals: int = 5) -> Instrument:
    return Instrument(
        id=id, name=name, aliases=aliases, class_="fx", currency=id.split("-")[1],
        decimals=decimals, basis="mid", session="fx", outlier=0.01, stale_after_s=60.0,
    )  # fmt: skip


def _crypto(
    base: str, name: str, *aliases: str, decimals: int = 2, stale_after_s: float = 60.0
) -> tuple[Instrument, Instrument]:
    """Against the dollar and against Tether's dollar, which are two prices: a word for both is asked about."""
    dollar, tether = (
        Instrument(
            id=f"{base}-{currency}", name=f"{name}{suffix}", aliases=(name.casefold(), *aliases), class_="crypto",
            currency=currency, decimals=decimals, basis="last", session="24x7", outlier=0.05,
            stale_after_s=stale_after_s,
        )
        for currency, suffix in (("USD", ""), ("USDT", " (USDT)"))
    )  # fmt: skip
    return dollar, tether


def _stock(id: str, name: str, *aliases: str) -> Instrument:
    return Instrument(
        id=id, name=name, aliases=aliases, class_="stock", basis="last", session="us-stocks",
        outlier=0.10, stale_after_s=120.0,
    )  # fmt: skip


CATALOGUE: tuple[Instrument, ...] = (
    _metal("XAU-USD", "Gold", "xau", "oro", "altın", "altin", "sona", "emas", "золото", "黄金"),
    _metal("XAG-USD", "Silver", "xag", "silber", "plata", "gümüş", "chandi", "perak", "серебро", decimals=3),
    _metal("XPT-USD", "Platinum", "xpt", "platin", "platino"),
    _metal("XPD-USD", "Palladium", "xpd", "paladio"),
    Instrument(
        id="GC", name="Gold future", aliases=("comex gold", "gc1"), class_="metal", unit="troy ounce",
        decimals=2, basis="last", session="comex", outlier=0.02, stale_after_s=300.0,
    ),
    *_crypto("BTC", "Bitcoin", "xbt"),
    *_crypto("ETH", "Ethereum", "ether"),
    *_crypto("SOL", "Solana", stale_after_s=120.0),
    *_crypto("BNB", "BNB", "binance coin", stale_after_s=120.0),
    *_crypto("XRP", "XRP", "ripple", decimals=4, stale_after_s=120.0),
    *_crypto("ADA", "Cardano", decimals=4, stale_after_s=120.0),
    *_crypto("DOGE", "Dogecoin", decimals=5, stale_after_s=120.0),
    *_crypto("PAXG", "PAX Gold", stale_after_s=300.0),
    _fx("EUR-USD", "Euro", "eurodollar"),
    _fx("GBP-USD", "Pound sterling", "pound", "sterling", "cable"),
    _fx("AUD-USD", "Australian dollar", "aussie"),
    _fx("NZD-USD", "New Zealand dollar", "kiwi"),
    _fx("USD-JPY", "Dollar in yen", "jpy", "yen", decimals=3),
    _fx("USD-CHF", "Dollar in Swiss francs", "chf", "franc"),
    _fx("USD-CAD", "Dollar in Canadian dollars", "cad", "loonie"),
    _fx("USD-INR", "Dollar in rupees", "inr", "rupee"),
    _stock("AAPL", "Apple"),
    _stock("MSFT", "Microsoft"),
    _stock("NVDA", "Nvidia"),
    _stock("TSLA", "Tesla"),
    _stock("AMZN", "Amazon"),
    _stock("GOOGL", "Alphabet", "google"),
    _stock("META", "Meta Platforms", "facebook"),
)  # fmt: skip


# --------------------------------------------------------------------------------------------- looking up


class Catalogue:
    """Implements hub.plugin.Catalogue."""

    def __init__(self, instruments: Iterable[Instrument], served: Collection[str]) -> None:
        self._by_id = {one.id: one for one in instruments}
        self._served = [one for one in self._by_id.values() if one.id in set(served)]
        self._unserved = [one for one in self._by_id.values() if one.id not in set(served)]
        self._names = _index(self._by_id.values(), _names)
        self._bases = _index(self._by_id.values(), _base)

    def get(self, instrument_id: str) -> Instrument | None:
        return self._by_id.get(instrument_id)

    def served(self) -> Sequence[Instrument]:
        return tuple(self._served)

    def find(self, word: str) -> Instrument:
        if exact := self._by_id.get(word.strip().upper()):
            return exact
        for offered in (self._served, self._unserved):
            for index in (self._names, self._bases):
                meant = [one for one in offered if one.id in index.get(_plain(word), ())]
                if len(meant) == 1:
                    return meant[0]
                if meant:
                    raise BadRequest(
                        _("{word} could be {either}: say which").format(
                            word=_shown(word), either=_either(one.id for one in meant)
                        )
                    )
        raise BadRequest(self._unknown(word))

    def complete(self, prefix: str) -> list[str]:
        """Ids and other words that begin so, as they are typed: what is served first, then by name. No word
        that would be asked about."""
        start = prefix.strip().casefold()
        return [word for word in self._completions if word.casefold().startswith(start)]

    @cached_property
    def _completions(self) -> tuple[str, ...]:
        words: dict[str, None] = {}
        for offered in (self._served, self._unserved):
            words |= dict.fromkeys(sorted(word for one in offered for word in _words(one) if self._means(word, one)))
        return tuple(words)

    def _means(self, word: str, instrument: Instrument) -> bool:
        try:
            return self.find(word) is instrument
        except BadRequest:
            return False

    def _unknown(self, word: str) -> str:
        if not word.strip():
            return _('an instrument is missing: write its name, like gold; "help" says more')
        near = get_close_matches(_plain(word)[:LONGEST_WORD], {*self._names, *self._bases}, n=3, cutoff=0.75)
        nearest = _("; did you mean {either}?").format(either=_either(near)) if near else ";"
        return _('{word} is not an instrument known here{nearest} "price" lists what is served').format(
            word=_shown(word), nearest=nearest
        )


def _index(instruments: Iterable[Instrument], words_of: Callable[[Instrument], tuple[str, ...]]) -> dict[str, set[str]]:
    index: dict[str, set[str]] = {}
    for instrument in instruments:
        for word in words_of(instrument):
            index.setdefault(_plain(word), set()).add(instrument.id)
    return index


def _names(instrument: Instrument) -> tuple[str, ...]:
    return (instrument.id, instrument.name, *instrument.aliases)


def _base(instrument: Instrument) -> tuple[str, ...]:
    return (instrument.id.split("-")[0],)


def _words(instrument: Instrument) -> set[str]:
    """What can be typed as one word."""
    words = {instrument.id, *(word.casefold() for word in (instrument.name, *instrument.aliases, *_base(instrument)))}
    return {word for word in words if " " not in word}


def _plain(word: str) -> str:
    """As words are compared: "Xau/Usd", "XAU-USD" and "xauusd" are one."""
    folded = word.casefold()
    return "".join(character for character in folded if character not in " -/_\t") or folded


def _shown(word: str) -> str:
    cut = word if len(word) <= LONGEST_WORD else word[: LONGEST_WORD - 1] + "…"
    return '"' + "".join(character if character.isprintable() else "?" for character in cut) + '"'


def _either(words: Iterable[str]) -> str:
    *others, last = sorted(words)
    return f"{', '.join(others)} or {last}" if others else last


# ---------------------------------------------------------------------------------------- configuration

KEYS = tuple(field.encode_name for field in msgspec.structs.fields(Instrument) if field.name != "id")


def build_catalogue(changes: Mapping[str, Mapping[str, Any]], served: Collection[str]) -> Catalogue:
    """The built-in list with the configuration's changes; ValueError with a sentence for what cannot be."""
    instruments = {one.id: one for one in CATALOGUE}
    for instrument_id, wanted in changes.items():
        instruments[instrument_id] = _changed(instrument_id, instruments.get(instrument_id), wanted)
    for instrument_id in served:
        if instrument_id not in instruments:
            raise ValueError(
                f"a feed serves {_shown(instrument_id)}, which is not an instrument known here: "
                f'add [instruments.{instrument_id}] with its name, class, session and basis ("last" or "mid")'
            )
    return Catalogue(instruments.values(), served)


def _changed(instrument_id: str, known: Instrument | None, wanted: Mapping[str, Any]) -> Instrument:
    if not ID.fullmatch(instrument_id):
        raise ValueError(
            f"instruments: {_shown(instrument_id)} is no instrument id: "
            'write capitals, digits, "-", "." and "_", like XAU-USD'
        )
    for key in wanted:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}"
            raise ValueError(f"instruments.{instrument_id}.{key[:LONGEST_WORD]}: there is no such setting; {hint}")
    before = msgspec.to_builtins(known or Instrument(id=instrument_id, name=instrument_id))
    try:
        instrument = msgspec.convert({**before, **wanted}, Instrument)
    except msgspec.ValidationError as error:
        raise ValueError(f"instruments.{instrument_id}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    _check(instrument)
    return instrument


def _check(instrument: Instrument) -> None:
    for key, holds, cure in (
        ("session", instrument.session in SESSIONS, f"write one of {', '.join(SESSIONS)}"),
        ("decimals", 0 <= instrument.decimals <= 12, "write 0 to 12"),
        ("outlier", 0 < instrument.outlier < float("inf"), "write a share above 0, like 0.05"),
        ("stale_after_s", 0 < instrument.stale_after_s < float("inf"), "write seconds above 0, like 60"),
        ("name", bool(instrument.name.strip()), "write the name that people read, like Gold"),
    ):
        if not holds:
            raise ValueError(f"instruments.{instrument.id}.{key}: {getattr(instrument, key)!r} cannot be; {cure}")
