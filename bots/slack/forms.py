"""Forms as modals: a Form → a view with live search of instruments, what was filled in → a line, and the options that
a search offers. Pure.

A modal carries its Form and where the answer goes in its private metadata, so a form that is open while the bot is
started anew still works. Depends on hub.forms and hub.model.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from bots.slack import blocks as kit
from bots.slack import limits
from bots.slack.blocks import Block
from bots.slack.pack import pack, unpack
from hub.forms import line_of
from hub.model import Argument, Form, Instrument, Menu, MenuEntry

FORM = "form"  # the modal's callback id
VALUE = "value"
INSTRUMENT = "instrument"  # action ids of the searching fields begin so
LINE = Argument(name="line", about="a line, as you would write it", required=True, example="gold > 2400")
ASK = Form(title="Ask Tocsin", command="", arguments=(LINE,))
"""Any line at all: what a message shortcut opens with the message's own words, so that nobody's words run unread."""


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where somebody was when they opened a form. `home`: in the App Home."""

    channel: str = ""
    thread: str = ""
    name: str = ""
    home: bool = False


class Carried(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    form: Form
    place: Place


# ------------------------------------------------------------------------------------------------- view


def modal(form: Form, place: Place, said: Sequence[str] = ()) -> dict[str, Any] | None:
    """None where the form is too large to be carried. `said` stands above the fields."""
    metadata = pack(Carried(form=msgspec.structs.replace(form, values={}), place=place), limits.METADATA)
    if not metadata:
        return None
    parts: list[Block] = [kit.rich(kit.paragraph(said))] if any(said) else []
    room = limits.VIEW_BLOCKS - len(parts)
    parts += [_input(argument, form.values.get(argument.name, "")) for argument in form.arguments[:room]]
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": metadata,
        "title": kit.plain(form.title, limits.TITLE),
        "submit": kit.plain("Send", limits.TITLE),
        "close": kit.plain("Cancel", limits.TITLE),
        "blocks": parts,
    }


def of_command(entry: MenuEntry, values: Mapping[str, str] | None = None) -> Form:
    return Form(title=entry.name, command=entry.name, arguments=entry.arguments, values=dict(values or {}))


def _input(argument: Argument, value: str) -> Block:
    block: Block = {
        "type": "input",
        "block_id": argument.name,
        "label": kit.plain(argument.name.replace("_", " ").capitalize(), limits.LABEL),
        "element": _element(argument, value),
        "optional": not argument.required,
    }
    hint = argument.about
    return block | ({"hint": kit.plain(hint, limits.LABEL)} if hint else {})


def _element(argument: Argument, value: str) -> Block:
    if argument.kind == "instrument":
        return _search("external_select", argument, [value] if value else [], "initial_option")
    if argument.kind == "instruments":
        words = [word.strip() for word in value.replace(",", " ").split()]
        return _search("multi_external_select", argument, words, "initial_options")
    if argument.kind == "choice" and argument.choices:
        return _choice(argument, value)
    element: Block = {"type": "plain_text_input", "action_id": VALUE, "max_length": limits.INPUT}
    if argument.example:
        element["placeholder"] = kit.plain(argument.example, limits.PLACEHOLDER)
    return element | ({"initial_value": limits.cut(value, limits.INPUT)} if value else {})


def _search(kind: str, argument: Argument, values: Sequence[str], field: str) -> Block:
    """Options come from the catalogue as one types."""
    element: Block = {
        "type": kind,
        "action_id": f"{INSTRUMENT}.{argument.name}"[: limits.ACTION_ID],
        "min_query_length": 0,
        "placeholder": kit.plain(argument.example or "type a name", limits.PLACEHOLDER),
    }
    if values:
        chosen = [kit.option(value, value) for value in values]
        element[field] = chosen if field == "initial_options" else chosen[0]
    return element


def _choice(argument: Argument, value: str) -> Block:
    options = [kit.option(choice, choice) for choice in argument.choices[: limits.MENU_OPTIONS]]
    element: Block = {"type": "static_select", "action_id": VALUE, "options": options}
    chosen = [each for each in options if each["value"] == value]
    return element | ({"initial_option": chosen[0]} if chosen else {})


# ----------------------------------------------------------------------------------------------- answer


def carried(view: Mapping[str, Any]) -> Carried | None:
    return unpack(str(view.get("private_metadata", "")), Carried)


def values_of(view: Mapping[str, Any]) -> dict[str, str]:
    """What was filled in, by the argument's name."""
    state = view.get("state", {}).get("values", {})
    return {name: _value(field) for name, fields in state.items() for field in fields.values()}


def _value(field: Mapping[str, Any]) -> str:
    if field.get("selected_options"):
        return " ".join(str(each["value"]) for each in field["selected_options"])
    if field.get("selected_option"):
        return str(field["selected_option"]["value"])
    return str(field.get("value") or "")


def line(form: Form, values: Mapping[str, str]) -> str:
    """BadRequest for what is missing."""
    return line_of(form.command, form.arguments, values).strip()


def first_field(view: Mapping[str, Any]) -> str:
    """The block that the hub's objection to the whole is shown at."""
    return next((str(each["block_id"]) for each in view["blocks"] if each["type"] == "input"), "")


# ---------------------------------------------------------------------------------------------- options


def options(menu: Menu, query: str) -> list[Block]:
    """Instruments whose name, id or other names begin with what was typed, then those that hold it. Last, what was
    typed itself, since a person may mean more than the catalogue says ("gold 22k")."""
    typed = " ".join(query.split())
    word = typed.casefold()
    begin = [each for each in menu.instruments if any(name.startswith(word) for name in _names(each))]
    hold = [each for each in menu.instruments if each not in begin and any(word in name for name in _names(each))]
    found = [kit.option(f"{each.name} ({each.id})", each.id) for each in (*begin, *hold)][: limits.MENU_OPTIONS - 1]
    exact = any(word in _names(each) for each in begin)
    if typed and not exact and len(typed) <= limits.OPTION_TEXT - 2:
        found.append(kit.option(f"“{typed}”", typed))
    return found


def _names(instrument: Instrument) -> Iterator[str]:
    yield from (name.casefold() for name in (instrument.name, instrument.id, *instrument.aliases))
