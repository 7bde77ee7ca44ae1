"""Languages: catalogues are whole and name the same fields, and a person is answered in theirs, whoever asks beside."""

import asyncio
import string
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import i18n, load, wording
from hub.commands import menu_of
from hub.i18n import LANGUAGES, LOCALE, _, catalogue_of, known, read_catalogue, several, speaking, spoken
from hub.instruments import build_catalogue
from hub.locale import HEAD, Text, texts, texts_in, written
from hub.model import SECOND_US, Nature, Who
from hub.rules.language import LanguageError, parse
from hub.rules.words import describe
from tests.people_room import ANNA, BEN, Room, in_group, room

FOREIGN = sorted(set(LANGUAGES) - {i18n.ENGLISH})
TEXTS = texts()
GERMAN = Who(platform="telegram", id="33", name="Uwe", address="33", language="de-AT")
CATALOGUE = build_catalogue({}, ["XAU-USD"])
FIND = CATALOGUE.find


@pytest.fixture
async def small(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


def fields(text: str) -> list[tuple[str, str | None, str | None]]:
    return sorted((name, form, conversion) for _text, name, form, conversion in string.Formatter().parse(text) if name)


# ------------------------------------------------------------------------------------------- catalogues


@pytest.mark.parametrize("language", FOREIGN)
def test_every_text_of_the_code_is_translated_and_nothing_else(language: str) -> None:
    """What is new in the code needs its translation; `python -m hub.locale` says which."""
    assert set(catalogue_of(language).texts) == set(TEXTS)


@pytest.mark.parametrize("language", FOREIGN)
def test_a_translation_names_the_fields_of_its_text(language: str) -> None:
    """The same ones, written in the same form: a translator's slip must not break a reply."""
    for one, said in catalogue_of(language).texts.items():
        assert len(said) == (2 if TEXTS[one].many else 1), one
        for each in said:
            assert fields(each) == fields(one), one


@pytest.mark.parametrize("language", FOREIGN)
def test_a_catalogue_is_as_the_update_writes_it(language: str) -> None:
    """So that a translator's tool and ours leave the same file."""
    path = LOCALE / language / "LC_MESSAGES" / "tocsin.po"
    assert path.read_text() == written(HEAD[language], TEXTS, catalogue_of(language))


def test_texts_are_read_from_the_sources() -> None:
    """Those that are marked, and what a command says of itself; what is looked up by a name is not one."""
    source = (
        'SUMMARY = "About it."\na = _("one {x}")\nb = several("a day", "days", 2)\nc = _(NAMES[a])\nd = later("e" "f")'
    )
    assert sorted(texts_in(source, "x.py"), key=lambda text: text.one) == [
        Text("About it.", "", "x.py"),
        Text("a day", "days", "x.py"),
        Text("ef", "", "x.py"),
        Text("one {x}", "", "x.py"),
    ]
    assert all(module.SUMMARY in TEXTS for module in load.commands())


def test_what_translators_left_open_stays_english() -> None:
    """Fuzzy, empty and obsolete entries are no translations."""
    catalogue = read_catalogue(
        'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n<5 ? 1 : 2);\\n"\n\n'
        '#, fuzzy\nmsgid "a"\nmsgstr "ä"\n\nmsgid "b"\nmsgstr ""\n\n#~ msgid "c"\n#~ msgstr "ç"\n\n'
        'msgid "day"\nmsgid_plural "days"\nmsgstr[0] "den"\nmsgstr[1] "dny"\nmsgstr[2] "dní"\n\n'
        'msgid "long "\n"text\\n"\nmsgstr ""\n"langer "\n"Text\\n"\n'
    )
    assert dict(catalogue.texts) == {"day": ("den", "dny", "dní"), "long text\n": ("langer Text\n",)}
    assert [catalogue.plural(count) for count in (1, 3, 9)] == [0, 1, 2]


@pytest.mark.parametrize("broken", ["hello", 'msgid "a"\nmsgfoo "b"'])
def test_a_broken_catalogue_is_told(broken: str) -> None:
    """And not read as less."""
    with pytest.raises(ValueError, match="is no catalogue"):
        read_catalogue(broken)


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=5))
def test_a_catalogue_that_was_written_reads_back(said: dict[str, str]) -> None:
    """Quotes, line breaks, anything."""
    known_texts = {one: Text(one, "", "x.py") for one in said}
    catalogue = i18n.Catalogue({one: (each,) for one, each in said.items()}, lambda count: 0)
    assert dict(read_catalogue(written(HEAD["de"], known_texts, catalogue)).texts) == dict(catalogue.texts)


# --------------------------------------------------------------------------------------------- speaking


@pytest.mark.parametrize(
    ("said", "language"),
    [("de", "de"), ("de-AT", "de"), ("DE_de", "de"), ("en-GB", "en"), ("pt-BR", "en"), ("", "en"), ("deutsch", "en")],
)
def test_a_client_s_language_is_one_of_ours_or_english(said: str, language: str) -> None:
    """By its beginning."""
    assert known(said) == language


async def test_two_who_are_answered_at_once_hear_their_own_language() -> None:
    """What one task speaks is no other's."""

    async def say(language: str) -> list[str]:
        heard = []
        with speaking(language):
            for _turn in range(3):
                heard.append(_("no price yet"))
                await asyncio.sleep(0)
        return heard

    german, english = await asyncio.gather(say("de"), say("en"))
    assert (set(german), set(english)) == ({"noch kein Preis"}, {"no price yet"})
    assert spoken().language == "en"


def test_numbers_days_and_words_have_the_person_s_form() -> None:
    """Prices, shares, ages, times; and English where nobody said anything."""
    now = 1_800_000_000 * SECOND_US
    with speaking("de"):
        assert wording.price(2411.2, 2) == "2.411,20"
        assert wording.percent(0.12345) == "+12,35 %"
        assert wording.age(5 * SECOND_US) == "vor 5 s"
        assert wording.clock(now - wording.DAY_US, "UTC", now) == "14.01.2027 08:00:00"
        assert wording.clock(now, "UTC", now) == "08:00:00"
        assert wording.nature(Nature.SIMULATED) == "simuliert"
        assert several(", {count} attempt", ", {count} attempts", 2).format(count=2) == ", 2 Versuche"
    assert wording.price(2411.2, 2) == "2,411.20"
    assert wording.clock(now - wording.DAY_US, "UTC", now) == "2027-01-14 08:00:00"


def test_an_alert_is_described_in_the_language_and_stored_in_none() -> None:
    """The canonical line is the same for all; a mistake is explained, and the line that is proposed reads."""
    spec = parse("gold > 2400.5 every time band 0.1%", FIND)
    with speaking("de"):
        assert describe(spec, CATALOGUE.get) == "Gold steigt auf 2.400,50 oder darüber, jedes Mal, Band 0,1 %"
        with pytest.raises(LanguageError) as wrong:
            parse("gold > 2400 every tiem", FIND)
        assert wrong.value.reason not in TEXTS
        assert parse(wrong.value.example, FIND).repeat == "every time"
        for line in ("gold", "gold >", "> 5", "gold > 5 note x", "gold > 5 via", "gold > -1", "gold trails 300%"):
            with pytest.raises(LanguageError) as wrong:
                parse(line, FIND)
            assert wrong.value.reason not in TEXTS


def test_the_menu_says_what_commands_do_in_every_language() -> None:
    """Of each command, where a platform has menus by language."""
    menu = menu_of(load.commands(), build_catalogue({}, []))
    for entry in menu.commands:
        assert set(entry.summaries) == set(FOREIGN), entry.name
        assert len(entry.summaries["de"]) <= 100, entry.name


# --------------------------------------------------------------------------------------------- replies


async def test_a_person_is_answered_in_the_language_of_their_app_until_they_choose(small: Room) -> None:
    """Their choice counts on every platform; refusals are in it as well, and the language of one is nobody else's."""
    await small.tell(2300)
    first = await small.done("alert gold > 2400", GERMAN)
    assert first.title == "Alarm 1 ist gesetzt"
    assert first.lines[:2] == (
        "Gold steigt auf 2.400,00 oder darüber, einmal",
        "Gold steht bei 2.300,00 USD: die Schwelle liegt 100,00 (4,35 %) über ihm.",
    )
    assert "Er geht an: telegram." in first.lines
    assert "kommen hierher" in first.lines[-1]
    assert "den Befehl" in await small.refused("nonsense", GERMAN)
    assert (await small.done("settings language en", GERMAN)).title == "Your language is set"
    assert (await small.done("alerts", GERMAN)).title == "Your alerts"
    assert (await small.done("settings language de", GERMAN)).title == "Gesetzt: Sprache"
    assert (await small.done("alerts", BEN)).title == "Your alerts"


async def test_the_whole_life_of_an_alert_is_told_in_german(small: Room) -> None:
    """List, why, snooze, delete and undo, with numbers in their form."""
    await small.tell(2300)
    await small.done("alert gold > 2400", GERMAN)
    assert (await small.done("alerts", GERMAN)).table[1][:3] == (
        "1", "Gold steigt auf 2.400,00 oder darüber, einmal", "wartet",
    )  # fmt: skip
    why = "\n".join((await small.done("why 1", GERMAN)).lines)
    assert "Er wartet auf: den ersten Preis von Gold." in why
    assert "gegen 2.300,00." in why
    assert (await small.done("snooze 1 2h", GERMAN)).title.startswith("Alarm 1 ist still bis ")
    assert (await small.done("snooze 1 off", GERMAN)).title == "Alarm 1 ist wach"
    assert (await small.done("delete 1", GERMAN)).buttons[0].label == "Rückgängig"
    assert (await small.done("delete 1 undo", GERMAN)).title == "Alarm 1 ist wieder da"
    await small.tell(2300, 2410)
    assert "Klingelte zuletzt" in "\n".join((await small.done("why 1", GERMAN)).lines)


async def test_a_group_answers_in_its_own_language(small: Room) -> None:
    """What is for one person's eyes stays in theirs."""
    await small.done("place language de", in_group(ANNA, admin=True))
    assert (await small.done("alerts", in_group(BEN))).title == "Deine Alarme"
    assert (await small.done("settings", in_group(BEN))).title == "Your settings"
    assert (await small.done("place language none", in_group(ANNA, admin=True))).facts["language"] == ""
