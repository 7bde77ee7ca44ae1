"""What Discord is shown, without a Discord: limits, words, embeds, slash commands, completion and forms."""

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.discord import forms, limits, menus, render, words
from hub import commands, load
from hub.instruments import build_catalogue
from hub.model import Argument, Button, File, Form, Instrument, Menu, Message, Nature, Notification, Reply
from hub.plugin import BadRequest
from tests.discord_room import ALERT, MENU, entry, message, notification
from tests.fakes import discord_parts as parts
from tests.fakes import discord_rules as rules

HOSTILE = (
    "@everyone <@5> <#4000> <:x:1> **b** ~~s~~ ||s|| `c` [a](https://evil.example) # \u202egnp.exe https://evil.example"
)


def payload(card: render.Card) -> dict[str, Any]:
    rows = [
        {"type": 1, "components": [{"type": 2, "style": 2, "label": c.label, "custom_id": c.custom_id} for c in row]}
        for row in card.rows
    ]
    return {"content": card.content, "embeds": list(card.embeds), "components": rows}


def refused(card: render.Card) -> list[tuple[str, str]]:
    return rules.wrong_message(payload(card), {file.name: file.content for file in card.files}, False)


# ---------------------------------------------------------------------------------------------- shadows


def test_the_library_and_our_package_are_two() -> None:
    """`import discord` is the library, wherever in our package it stands; and the package alone does not import it."""
    program = (
        "import sys, bots.discord as ours; assert 'discord' not in sys.modules; "
        "import discord, bots.discord.bot; assert discord.__title__ == 'discord' and ours.PLATFORMS == ('discord',); "
        "assert bots.discord.bot.discord is discord is not ours"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# ----------------------------------------------------------------------------------------------- limits


@given(st.text(max_size=200), st.integers(1, 50))
def test_a_cut_text_keeps_to_its_length(text: str, most: int) -> None:
    """In the units that Discord's clients count; what fits stays as it is."""
    assert limits.length(limits.cut(text, most)) <= most
    if limits.length(text) <= most:
        assert limits.cut(text, most) == text


@given(
    st.lists(st.text(alphabet=st.characters(exclude_characters="\n"), max_size=60), min_size=1, max_size=30),
    st.integers(40, 400),
)
def test_cut_lines_keep_the_first_ones_whole_and_count_the_rest(lines: list[str], most: int) -> None:
    """A line is there whole, or it is counted among the missing; only a first line that fits nowhere is cut."""
    shown = limits.cut_lines(lines, most)
    assert limits.length(shown) <= most
    if limits.length("\n".join(lines)) <= most:
        assert shown == "\n".join(lines)
    elif shown.startswith(lines[0]):
        kept = shown.split("\n")[:-1]
        assert kept == lines[: len(kept)] and f"{len(lines) - len(kept)} more line" in shown


def test_the_limits_are_those_of_discord() -> None:
    """One table, as in the developer documentation."""
    assert (limits.CONTENT, limits.EMBED_TOTAL, limits.TITLE, limits.DESCRIPTION) == (2000, 6000, 256, 4096)
    assert (limits.FIELDS, limits.CHOICES, limits.ROWS, limits.ROW_BUTTONS, limits.CUSTOM_ID) == (25, 25, 5, 5, 100)
    assert (limits.COMMANDS, limits.INPUTS, limits.MODAL_TITLE, limits.NONCE) == (100, 5, 45, 25)


# ------------------------------------------------------------------------------------------------ words


def test_hostile_text_is_shown_as_text() -> None:
    """Markup, mentions and links lose their meaning, and what turns the direction of writing is written out."""
    shown = words.escaped(HOSTILE)
    for harmful in (" <@", " <#", " <:", " **b**", " ~~s", " ||s", " `c`", " [a]", "https://", "\u202e"):
        assert harmful not in shown, harmful
    assert "\\\\u202e" in shown
    assert (
        parts.unescaped(words.escaped("2,400.12 USD (level 2,400.00), 12:30")) == "2,400.12 USD (level 2,400.00), 12:30"
    )


@pytest.mark.parametrize("line", ["# big", "### less big", "-# small", "- item", "+ item", "> quote", ">>> quote"])
def test_a_line_is_never_a_heading_a_list_or_a_quote(line: str) -> None:
    """What Discord reads at the start of a line."""
    assert words.escaped(line).startswith("\\") and parts.unescaped(words.escaped(line)) == line


@given(st.text(max_size=100))
def test_escaping_loses_no_character(text: str) -> None:
    """What a person reads is what a terminal would show."""
    from hub.render import safe

    assert parts.unescaped(words.escaped(text)) == parts.unescaped(safe(text)) or "\\" in safe(text)


def test_a_table_ends_no_block() -> None:
    """Three backticks in a cell would."""
    (line,) = words.block_lines([("```", "a")])
    assert "`" not in line


# ----------------------------------------------------------------------------------------------- replies


def test_a_reply_becomes_an_embed_with_buttons_that_carry_their_line() -> None:
    """Title, table as a block, lines, picture, and each button with its line."""
    reply = Reply(
        title="Gold",
        lines=("from demo",),
        table=(("instrument", "price"), ("Gold", "2,400.12")),
        image=b"png",
        buttons=(Button(label="7d", line="chart gold 7d"),),
    )
    card = render.card_of(reply)
    (embed,) = card.embeds
    assert embed["title"] == "Gold" and embed["image"] == {"url": "attachment://chart.png"}
    assert embed["description"].startswith("```\ninstrument") and embed["description"].endswith("from demo")
    assert card.rows == ((render.Control("7d", "l:chart gold 7d"),),)
    assert [file.name for file in card.files] == ["chart.png"] and refused(card) == []


def test_the_longest_reply_is_cut_and_its_first_lines_stay() -> None:
    """Ten thousand characters, a table of 500 rows, 40 buttons."""
    table = (("instrument", "price"), *((f"metal {number}", f"{number},000.00") for number in range(500)))
    lines = ("the price is 2,400.12", *(f"line {number} " + "x" * 200 for number in range(50)))
    buttons = tuple(Button(label=f"b{number}", line=f"price {number}") for number in range(40))
    card = render.card_of(Reply(title="T" * 400, lines=lines, table=table, buttons=buttons))
    assert refused(card) == []
    description = card.embeds[0]["description"]
    assert "metal 0" in description and "the price is 2,400.12" in description and "more lines" in description
    assert sum(map(len, card.rows)) == 25


REPLIES = st.builds(
    Reply,
    title=st.text(max_size=400),
    lines=st.lists(st.text(max_size=3000), max_size=6).map(tuple),
    table=st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5).map(tuple),
    buttons=st.lists(st.builds(Button, label=st.text(max_size=90), line=st.text(max_size=64)), max_size=30).map(tuple),
)


@given(REPLIES)
def test_no_reply_breaks_a_limit(reply: Reply) -> None:
    """Whatever a command answers, Discord takes it."""
    assert refused(render.card_of(reply, "a line")) == []


def test_a_file_that_is_too_large_is_said_to_be() -> None:
    """And the text goes without it."""
    reply = Reply(lines=("your data",), file=File(name="all.csv", media_type="text/csv", content=b"x" * 2000))
    card = render.card_of(reply, largest=1000)
    assert card.files == () and "all.csv is too large" in parts.unescaped(card.embeds[0]["description"])


def test_a_button_whose_line_does_not_fit_is_left_out() -> None:
    """A custom_id holds 100 characters; half a line would mean something else."""
    buttons = (Button(label="fits", line="x" * 98), Button(label="does not", line="x" * 99))
    assert [control.label for row in render.card_of(Reply(buttons=buttons)).rows for control in row] == ["fits"]


# ------------------------------------------------------------------------------------------------ alerts


def test_an_alert_has_its_evidence_and_its_buttons() -> None:
    """The title stands in the content, which a phone shows, and in the embed."""
    card = render.alert_card(message("user:5", notification(1, note="sell half")))
    (embed,) = card.embeds
    assert parts.unescaped(card.content) == f"**{notification(1).title}**"
    assert embed["description"].startswith("sell half\n2,399.90")
    labels = [control.label for row in card.rows for control in row]
    assert labels[:4] == ["15 min", "1 h", "Tomorrow", "Again"] and "Delete" in labels
    assert all(control.custom_id.startswith("a:") for row in card.rows for control in row)
    assert refused(card) == []


def test_an_alert_that_is_not_live_says_so_first() -> None:
    """Unless its own text does."""
    silent = render.alert_card(message("user:5", notification(1, nature=Nature.RECORDING)))
    assert silent.embeds[0]["description"].startswith("This price is recording.")
    telling = render.alert_card(message("user:5", notification(1, title="[recording] Gold", nature=Nature.RECORDING)))
    assert "This price" not in telling.embeds[0]["description"]


def test_an_alert_that_was_held_says_so() -> None:
    """In front of its evidence, behind the note; several say it in what the phone shows."""
    one = render.alert_card(message("user:5", notification(1, note="sell half", held_until=2)))
    assert one.embeds[0]["description"].startswith("sell half\nheld through your quiet hours\n2,399.90")
    three = render.alert_card(message("user:5", *(notification(n, held_until=2) for n in (1, 2, 3))))
    assert parts.unescaped(three.content) == "**3 alerts in your quiet hours**"


@pytest.mark.parametrize("count", [2, 10, 11, 50])
def test_many_alerts_stand_in_one_message_with_every_title_whole(count: int) -> None:
    """A block each up to ten; then a list."""
    many = [notification(n, text="evidence " * 300, title=f"Gold rose to {n:04}") for n in range(count)]
    card = render.alert_card(message("user:5", *many))
    text = parts.text_of({"content": card.content, "embeds": list(card.embeds)})
    assert all(f"Gold rose to {n:04}" in text for n in range(count)) and f"{count} alerts" in text
    assert len(card.embeds) == (count if count <= 10 else 1) and refused(card) == []


NOTIFICATIONS = st.builds(
    Notification,
    id=st.integers(1, 10**9),
    alert_id=st.one_of(st.none(), st.integers(1, 10**9)),
    instrument=st.just("XAU-USD"),
    title=st.text(max_size=600),
    text=st.text(max_size=5000),
    note=st.text(max_size=500),
    nature=st.sampled_from(Nature),
    created_at=st.just(1),
    ticked_at=st.just(1),
)


@given(st.lists(NOTIFICATIONS, min_size=1, max_size=50))
def test_no_alert_breaks_a_limit(notifications: list[Notification]) -> None:
    """Nor what is added when somebody has pressed a button of it."""
    card = render.alert_card(message("user:5", *notifications))
    assert refused(card) == []
    done = render.done_about(card.embeds, Reply(title="x" * 500, lines=("y",)), "n" * 200)
    if len(notifications) == 1:
        assert refused(render.Card(content=card.content, embeds=done)) == []


def test_a_message_without_notifications_is_shown_as_text() -> None:
    """A digest, or a word of the hub's own."""
    card = render.alert_card(
        Message(id="1", platform="discord", address="user:5", title="Your day", text="Gold\nSilver", notifications=())
    )
    assert parts.text_of({"content": card.content, "embeds": list(card.embeds)}) == "**Your day**\nGold\nSilver"


def test_what_was_done_is_said_once_and_the_evidence_stays() -> None:
    """A second press takes the first one's place."""
    card = render.alert_card(message("user:5", notification(1)))
    once = render.done_about(card.embeds, Reply(title="snoozed 1 h"), "Anna")
    twice = render.done_about(once, Reply(title="snoozed 15 min"), "*Bob*")
    assert [field["value"] for field in twice[0]["fields"]] == ["snoozed 15 min · \\*Bob\\*"]
    assert twice[0]["description"] == card.embeds[0]["description"]


# ---------------------------------------------------------------------------------------- slash commands


def test_every_command_of_the_hub_is_a_slash_command_that_discord_takes() -> None:
    """Built from the modules themselves, with one more for any line."""
    modules = load.commands()
    menu = commands.menu_of(modules, build_catalogue({}, ()))
    made = menus.commands_of(menu)
    assert rules.wrong_commands(made) == []
    assert {one["name"] for one in made} == {module.NAME for module in modules} | {"tocsin"}
    assert all(one["contexts"] == [0, 1, 2] and one["integration_types"] == [0, 1] for one in made)


def test_a_menu_of_any_size_is_cut_to_what_discord_takes() -> None:
    """200 commands with 30 arguments each, and names that are none for Discord."""
    arguments = tuple(
        Argument(
            name=f"a{n}",
            about="x" * 300,
            kind="choice",
            choices=tuple(f"{c}" * 90 for c in range(9)),
            required=n % 2 == 0,
        )
        for n in range(30)
    )
    menu = Menu(commands=tuple(entry(f"c{n}", *arguments, summary="y" * 300) for n in range(200)), instruments=())
    made = menus.commands_of(menu)
    assert rules.wrong_commands(made) == [] and len(made) == 100 and made[-1]["name"] == "tocsin"


def test_commands_are_the_same_as_discord_returns_them() -> None:
    """With ids and versions, without what is at its default; and any change is seen."""
    made = menus.commands_of(MENU)
    stored = [parts.stored_command(one, number) for number, one in enumerate(made)]
    assert menus.same(made, stored) and menus.same(made, stored[::-1])
    other = [*stored[:-1], {**stored[-1], "description": "else"}]
    assert not menus.same(made, other) and not menus.same(made, stored[1:])


def test_a_command_says_what_it_does_in_the_language_of_whoever_looks() -> None:
    """By Discord's own names of languages; one that Discord does not have is left out."""
    told = {"de": "Ein Preis.", "pt": "Um preço.", "tlh": "Huch."}
    (made, _) = menus.commands_of(Menu(commands=(entry("price", summaries=told),), instruments=()))
    assert made["description_localizations"] == {"de": "Ein Preis.", "pt-BR": "Um preço."}
    stored = parts.stored_command(made, 1)
    assert menus.same([made], [stored]) and not menus.same([made], [{**stored, "description_localizations": {}}])


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("price", {"instruments": "XAU-USD  btc"}, "price XAU-USD btc"),
        ("chart", {"span": "7d", "instrument": "gold"}, "chart gold 7d"),
        ("alert", {"level": "9", "instrument": "xau", "condition": ">", "note": "a\nb"}, "alert xau > 9 note a b"),
        ("alert", {}, "alert"),
        ("tocsin", {"line": "gold > 2400"}, "gold > 2400"),
        ("gone", {"text": "x"}, "gone x"),
    ],
)  # fmt: skip
def test_options_become_the_line(name: str, options: dict[str, str], line: str) -> None:
    """In the order of the arguments, each behind its lead."""
    assert menus.line_from(MENU, name, options) == line


def test_options_are_required_where_one_thing_alone_is_needed() -> None:
    """Discord's client asks for one; several are asked for in a form, so the command alone has to be possible."""
    made = {one["name"]: [option["required"] for option in one["options"]] for one in menus.commands_of(MENU)}
    assert made["chart"] == [True, False] and not any(made["alert"]) and made["tocsin"] == [True]
    assert menus.form_for(MENU, "chart", {"instrument": "gold"}) is None
    form = menus.form_for(MENU, "alert", {"instrument": "gold"})
    assert form is not None and form.values == {"instrument": "gold"} and form.arguments == ALERT


def test_completion_knows_ids_names_and_aliases_and_offers_each_instrument_once() -> None:
    """First those that begin so."""
    assert menus.choices_for(MENU, "chart", "instrument", "xa") == [
        ("Gold (XAU-USD)", "XAU-USD"), ("Silver (XAG-USD)", "XAG-USD"),
    ]  # fmt: skip
    assert menus.choices_for(MENU, "chart", "instrument", "ORO") == [("Gold (XAU-USD)", "XAU-USD")]
    assert menus.choices_for(MENU, "price", "instruments", "gold bit") == [("gold Bitcoin (BTC-USDT)", "gold BTC-USDT")]
    assert menus.choices_for(MENU, "chart", "span", "1")[0] == ("1h", "1h")
    assert menus.choices_for(MENU, "alert", "note", "x") == menus.choices_for(MENU, "no", "x", "y") == []


@given(st.text(max_size=40), st.integers(0, 60))
def test_completion_never_offers_more_than_25(typed: str, count: int) -> None:
    """Nor choices that are too long, whatever is typed."""
    instruments = tuple(Instrument(id=f"I{n}", name="x" * 150, aliases=(f"alias {n}",)) for n in range(count))
    menu = msgspec.structs.replace(MENU, instruments=instruments)
    for option, command in (("instrument", "chart"), ("instruments", "price")):
        found = [{"name": shown, "value": value} for shown, value in menus.choices_for(menu, command, option, typed)]
        assert rules.wrong_choices(found) == []


# ------------------------------------------------------------------------------------------------- forms


def submitted(modal: forms.Modal, **values: str) -> list[dict[str, Any]]:
    """As Discord sends it: menus in labels by their choice, texts by their value."""
    filled = []
    for field in modal.inputs:
        value = values.get(field.label.lower(), field.value)
        inner = {"values": [value] if value else []} if field.choices else {"value": value}
        filled.append(
            {"type": 18, "component": {"type": 3 if field.choices else 4, "custom_id": field.custom_id, **inner}}
        )
    return [{"type": 10}, *filled]


def test_a_form_comes_back_as_the_line_without_any_memory() -> None:
    """What was understood is filled in; the inputs themselves hold what the line is made of."""
    modal = forms.modal_of(Form(title="A new alert", command="alert", arguments=ALERT, values={"instrument": "gold"}))
    assert modal is not None and [field.label for field in modal.inputs][:2] == ["Instrument", "Condition"]
    back = submitted(modal, condition=">", level="2400", note="sell half")
    assert forms.line_from(modal.custom_id, back) == "alert gold > 2400 note sell half"


def test_a_form_of_seven_arguments_keeps_the_required_and_the_understood_ones() -> None:
    """Five places; a sentence takes the place of what may be left out."""
    arguments = tuple(Argument(name=f"a{n}", about="x", required=n == 6) for n in range(7))
    form = Form(title="t", command="c", arguments=arguments, values={"a5": "known"})
    modal = forms.modal_of(form)
    assert modal is not None and [field.label for field in modal.inputs] == ["A0", "A1", "A2", "A5", "A6"]
    told = forms.modal_of(form, "that is no price")
    assert told is not None and told.text and [field.label for field in told.inputs] == ["A0", "A1", "A5", "A6"]


def test_what_was_understood_and_is_no_choice_can_be_mended_as_text() -> None:
    """A menu could not show it."""
    modal = forms.modal_of(Form(title="t", command="alert", arguments=ALERT, values={"condition": "over"}))
    assert modal is not None and modal.inputs[1].choices == () and modal.inputs[1].value == "over"


@pytest.mark.parametrize("custom_id", ["", "m:", "l:price gold"])
def test_a_form_of_somebody_elses_is_refused(custom_id: str) -> None:
    """Nothing is run from it."""
    with pytest.raises(BadRequest):
        forms.line_from(custom_id, [])


# --------------------------------------------------------------------------------------------- plain text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("look at $gold and #BTC!", "price XAU-USD BTC-USDT"),
        ("$GOLD $xau twice", "price XAU-USD"),
        ("it costs $2400, in gold", ""),
        ("a$gold word#btc", ""),
        ("$nothing", ""),
        ("$gold.", "price XAU-USD"),
    ],
)
def test_symbols_are_seen_in_a_text(text: str, line: str) -> None:
    """Only instruments of this hub, each once."""
    assert menus.detected(text, MENU) == line
