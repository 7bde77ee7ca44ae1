"""A Form of the hub → a Discord modal, and what comes out of it → the line. Pure.

The modal carries all that is needed to make the line again (each input's custom_id holds its argument's place, name
and lead), so nothing is remembered between showing it and its answer, and a restart in between loses nothing.
Depends on hub.forms and the limits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from bots.discord import limits
from hub.forms import line_of
from hub.model import Argument, Form
from hub.plugin import BadRequest
from hub.render import safe

MODAL = "m:"


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a modal. With choices it is a menu, else a line of text."""

    custom_id: str
    label: str
    about: str = ""
    value: str = ""
    placeholder: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


class Modal(msgspec.Struct, frozen=True, kw_only=True):
    custom_id: str
    title: str
    inputs: tuple[Input, ...]
    text: str = ""  # shown above the inputs, where there is room for it


def modal_of(form: Form, text: str = "") -> Modal | None:
    """None where Discord cannot hold the form. It has five places: for the required arguments, then for those of which
    a value was understood, then for the first others. `text` says what was wrong; it takes the place of an argument
    that may be left out and of which nothing was understood."""

    def wanted(place: int) -> tuple[bool, bool]:
        argument = form.arguments[place]
        return not argument.required, not form.values.get(argument.name)

    places = [place for place, argument in enumerate(form.arguments) if limits.length(_key(place, argument)) <= 100]
    chosen = sorted(places, key=wanted)[: limits.INPUTS]
    if text and len(chosen) == limits.INPUTS and wanted(chosen[-1]) == (True, True):
        chosen.pop()
    custom_id = MODAL + form.command
    if not chosen or limits.length(custom_id) > limits.CUSTOM_ID:
        return None
    inputs = tuple(_input(place, form.arguments[place], form.values) for place in sorted(chosen))
    return Modal(
        custom_id=custom_id,
        title=limits.cut(safe(form.title), limits.MODAL_TITLE) or form.command,
        inputs=inputs,
        text=limits.cut(text, limits.CONTENT) if len(inputs) < limits.INPUTS else "",
    )


def _key(place: int, argument: Argument) -> str:
    return f"{place}|{argument.name}|{argument.lead}"


def _input(place: int, argument: Argument, values: Mapping[str, str]) -> Input:
    value = " ".join(values.get(argument.name, "").split())
    choices = tuple(choice for choice in argument.choices if limits.length(choice) <= limits.CHOICE)[: limits.CHOICES]
    if argument.kind != "choice" or (value and value not in choices):
        choices = ()  # what was understood is not among the choices: it can be seen and mended as text
    return Input(
        custom_id=_key(place, argument),
        label=limits.cut(safe(argument.name).capitalize(), limits.INPUT_LABEL),
        about=limits.cut(safe(argument.about), limits.INPUT_ABOUT),
        value=limits.cut(value, limits.INPUT_VALUE),
        placeholder=limits.cut(safe(argument.example), limits.INPUT_ABOUT),
        required=argument.required,
        choices=choices,
    )


def line_from(custom_id: str, components: Sequence[Mapping[str, Any]]) -> str:
    """The line of a modal that was sent. BadRequest where it is none of ours, or something required is missing."""
    command = custom_id.removeprefix(MODAL)
    if command == custom_id or not command:
        raise BadRequest("that form is none of this hub's")
    found: dict[int, tuple[Argument, str]] = {}
    for component in _inputs(components):
        place, _, rest = str(component.get("custom_id", "")).partition("|")
        name, separator, lead = rest.partition("|")
        if not (place.isdecimal() and separator):
            raise BadRequest("that form is of another version of this hub: open it anew")
        values = component.get("values") or [component.get("value") or ""]
        found[int(place)] = (Argument(name=name, about="", lead=lead), str(values[0]))
    ordered = [found[place] for place in sorted(found)]
    return line_of(command, [argument for argument, _ in ordered], {one.name: value for one, value in ordered})


def _inputs(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Within labels (18) and rows (1); texts (10) hold nothing."""
    for component in components:
        inner = component.get("component")
        if isinstance(inner, Mapping):
            yield inner
        elif isinstance(component.get("components"), Sequence):
            yield from _inputs(component["components"])
        elif component.get("type") in (3, 4):
            yield component
