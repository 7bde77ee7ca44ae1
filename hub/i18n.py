"""Languages: what is said to a person is looked up in the catalogue of theirs, in gettext's form.

`with speaking("de"):` sets the language for what runs within, in this task alone; `_("{name} is off")` is that text in
the language spoken, and `.format(name=…)` fills it. English is written in the code itself, so it is complete; a text
that a catalogue lacks stays English, and a test says which. Catalogues are `locale/<language>/LC_MESSAGES/tocsin.po`,
read at the first use: the same files that every translator's tool knows. Pure but for that reading.
"""

import ast
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
    catalogue = catalogue_of(language)
    if language == "de":
        return Speech(language, catalogue, thousands=".", point=",", day="%d.%m.%Y")
    return Speech(language, catalogue)


@cache
def catalogue_of(language: str) -> Catalogue:
    path = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if language == ENGLISH or not path.exists():
        return EMPTY
    return read_catalogue(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------------- catalogues

KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)?\s*(".*")')
PLURAL = re.compile(r"^Plural-Forms:.*?plural=(.*?);?$", re.MULTILINE)


def read_catalogue(text: str) -> Catalogue:
    """A .po file. Entries that are fuzzy, obsolete or not translated are left out; ValueError for what is none."""
    texts: dict[str, tuple[str, ...]] = {}
    for entry in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        fields = _fields(entry)
        said = tuple(value for name, value in sorted(fields.items()) if name.startswith("msgstr"))
        if said and all(said) and not re.search(r"^#,.*\bfuzzy\b", entry, re.MULTILINE):
            texts[fields.get("msgid", "")] = said
    found = PLURAL.search(texts.pop("", ("",))[0])
    return Catalogue(texts, c2py(found[1]) if found else _as_english)


def _fields(entry: str) -> dict[str, str]:
    """What an entry holds by keyword; strings over several lines are one."""
    fields: dict[str, str] = {}
    name = ""
    for line in entry.split("\n"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = KEYWORD.fullmatch(line)
        if not found or not (found[1] or name):
            raise ValueError(f"{line[:80]!r} is no line of a catalogue")
        name = found[1] or name
        fields[name] = fields.get(name, "") + str(ast.literal_eval(found[2]))
    return fields


def _as_english(count: int) -> int:
    return 0 if count == 1 else 1


EMPTY = Catalogue({}, _as_english)
NATIVE = Speech(ENGLISH, EMPTY)
_speech: ContextVar[Speech] = ContextVar("speech")
