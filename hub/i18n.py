"""Languages: what is said to a person is looked up in the catalogue of theirs, in gettext's form.

`with speaking("de"):` sets the language for what runs within, in this task alone; `_("{name} is off")` is that text in
the language spoken, and `.format(name=…)` fills it. English is written in the code itself, so it is complete; a text
that a catalogue lacks stays English, and a test says which. Catalogues are `locale/<language>/LC_MESSAGES/tocsin.po`,
read at the first use: the same files that every translator's tool knows. Pure but for that reading. Depends on babel,
imported where another language than English is spoken first.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import c2py
from pathlib import Path

import msgspec

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
"""Each in its own words."""

DAYS = {"de": "%d.%m.%Y"}
"""How a day is written in figures, its year in full; in English as ISO 8601 has it."""

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "tocsin"


class Catalogue(msgspec.Struct, frozen=True):
    """`texts` maps what is written in the code to its translations: one, or one for each plural form."""

    texts: Mapping[str, tuple[str, ...]]
    plural: Callable[[int], int]


class Speech(msgspec.Struct, frozen=True):
    """A language as it is spoken: its texts, and the form of its numbers and days."""

    language: str
    catalogue: Catalogue
    thousands: str = ","
    point: str = "."
    day: str = "%Y-%m-%d"


def later(text: str) -> str:
    """Marks a text that is looked up where it is shown: a constant of a module."""
    return text


def _(text: str) -> str:
    """The text in the language that is spoken."""
    found = spoken().catalogue.texts.get(text)
    return found[0] if found else text


def several(one: str, many: str, count: int) -> str:
    """The form that goes with that count."""
    catalogue = spoken().catalogue
    found = catalogue.texts.get(one)
    if found:
        return found[min(catalogue.plural(count), len(found) - 1)]
    return one if count == 1 else many


def spoken() -> Speech:
    return _speech.get(NATIVE)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """What runs within speaks that language, or English where it is none of ours."""
    token = _speech.set(speech(known(language)))
    try:
        yield
    finally:
        _speech.reset(token)


def known(language: str) -> str:
    """Which of ours a client means by "de-AT" or "pt_BR"; English where we have none of it."""
    begins = re.split("[-_]", language.strip().lower())[0]
    return begins if begins in LANGUAGES else ENGLISH


@cache
def speech(language: str) -> Speech:
    if language == ENGLISH:
        return NATIVE
    from babel.numbers import get_decimal_symbol, get_group_symbol

    point, thousands = get_decimal_symbol(language), get_group_symbol(language)
    return Speech(language, catalogue_of(language), thousands=thousands, point=point, day=DAYS[language])


@cache
def catalogue_of(language: str) -> Catalogue:
    path = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if language == ENGLISH or not path.exists():
        return EMPTY
    return read_catalogue(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------------- catalogues


def read_catalogue(text: str) -> Catalogue:
    """A .po file. Entries that are fuzzy, obsolete or not translated are left out; ValueError for what is none."""
    from babel.messages.pofile import PoFileError, read_po

    try:
        held = read_po(io.BytesIO(text.encode()), abort_invalid=True)
    except (PoFileError, ValueError, IndexError) as error:
        raise ValueError(f"this is no catalogue: {error}") from error
    texts: dict[str, tuple[str, ...]] = {}
    for message in held:
        one = message.id[0] if isinstance(message.id, tuple | list) else message.id
        said = message.string if isinstance(message.string, tuple | list) else (message.string,)
        if one and not message.fuzzy and all(said):
            texts[one] = tuple(map(str, said))
    return Catalogue(texts, c2py(held.plural_expr))


def _as_english(count: int) -> int:
    return 0 if count == 1 else 1


EMPTY = Catalogue({}, _as_english)
NATIVE = Speech(ENGLISH, EMPTY)
_speech: ContextVar[Speech] = ContextVar("speech")
