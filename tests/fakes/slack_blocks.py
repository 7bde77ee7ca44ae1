"""What Slack accepts as Block Kit: lengths, counts, required and unknown fields. Pure; after Slack's reference.

Rich text has no numbers there: it is held to those of a section.
"""

from collections.abc import Callable, Set
from typing import Any

Body = dict[str, Any]

WIDEST = 13_200
"""Characters of all blocks of a message: Slack names no number; people meet msg_blocks_too_long about here."""
FIELDS: dict[str, tuple[set[str], set[str]]] = {  # of a type: required, optional
    "header": ({"text"}, set()),
    "divider": (set(), set()),
    "context": ({"elements"}, set()),
    "actions": ({"elements"}, set()),
    "section": ({"text"}, {"accessory", "fields"}),
    "rich_text": ({"elements"}, set()),
    "input": ({"label", "element"}, {"hint", "optional", "dispatch_action"}),
    "button": ({"text", "action_id"}, {"value", "style", "url", "confirm"}),
    "overflow": ({"options", "action_id"}, {"confirm"}),
    "static_select": ({"options", "action_id"}, {"placeholder", "initial_option"}),
    "external_select": ({"action_id"}, {"placeholder", "initial_option", "min_query_length"}),
    "multi_external_select": ({"action_id"}, {"placeholder", "initial_options", "min_query_length"}),
    "plain_text_input": ({"action_id"}, {"placeholder", "initial_value", "max_length", "min_length", "multiline"}),
    "plain_text": ({"text"}, {"emoji"}),
    "mrkdwn": ({"text"}, {"verbatim"}),
    "rich_text_section": ({"elements"}, set()),
    "rich_text_quote": ({"elements"}, {"border"}),
    "rich_text_preformatted": ({"elements"}, {"border"}),
    "text": ({"text"}, {"style"}),
    "modal": ({"title", "blocks"}, {"submit", "close", "private_metadata", "callback_id"}),
    "home": ({"blocks"}, {"private_metadata", "callback_id"}),
}
ON = {
    "message": {"header", "divider", "context", "actions", "section", "rich_text"},
    "modal": {"header", "divider", "context", "actions", "section", "rich_text", "input"},
    "home": {"header", "divider", "context", "actions", "section", "rich_text", "input"},
}
INPUTS = {"plain_text_input", "static_select", "external_select", "multi_external_select"}
INTERACTIVE = {"button", "overflow", "static_select", "external_select"}


class Invalid(Exception):
    """What Slack would answer; the text is for whoever reads the test's failure."""

    def __init__(self, text: str, name: str = "invalid_blocks") -> None:
        super().__init__(text)
        self.name = name


def need(condition: object, text: str, name: str = "invalid_blocks") -> None:
    if not condition:
        raise Invalid(text, name)


def check_blocks(blocks: list[Body], surface: str) -> None:
    most = 50 if surface == "message" else 100
    need(isinstance(blocks, list), "blocks is a list")
    need(len(blocks) <= most, f"{len(blocks)} blocks, {most} is the most")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    need(len(ids) == len(set(ids)), "a block_id comes twice")
    for block in blocks:
        need(block.get("type") in ON[surface], f"{block.get('type')} is no block of a {surface}")
        need(len(block.get("block_id", "x")) in range(1, 256), "block_id has 1 to 255 characters")
        _fields(block, {"block_id"})
        CHECKS[block["type"]](block)
    if surface == "message":
        size = sum(map(_length, blocks))
        need(size <= WIDEST, f"{size} characters in all blocks", "msg_blocks_too_long")


def check_view(view: Body) -> None:
    need(view.get("type") in ("modal", "home"), "a view is a modal or a home", "invalid_arguments")
    _fields(view)
    need(view["blocks"], "a view has blocks")
    check_blocks(view["blocks"], view["type"])
    for name in ("title", "submit", "close"):
        if name in view:
            _plain(view[name], 24)
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    need(view["type"] == "home" or not inputs or "submit" in view, "a form needs a submit button")
    need(len(view.get("private_metadata", "")) <= 3_000, "private_metadata has 3,000 characters at most")
    need(len(view.get("callback_id", "")) <= 255, "callback_id has 255 characters at most")


def _fields(thing: Body, also: Set[str] = frozenset()) -> None:
    kind = thing.get("type", "")
    need(kind in FIELDS, f"there is no type {kind!r}")
    required, optional = FIELDS[kind]
    missing, unknown = required - set(thing), set(thing) - required - optional - also - {"type"}
    need(not missing, f"{kind} lacks {sorted(missing)}")
    need(not unknown, f"{kind} has no {sorted(unknown)}")


def _plain(text: Body, most: int) -> None:
    _fields(text)
    need(text["type"] == "plain_text", "this text is plain_text")
    need(0 < len(text["text"]) <= most, f"{len(text['text'])} characters, 1 to {most} are taken: {text['text'][:40]!r}")


def _option(option: Body) -> None:
    need(set(option) <= {"text", "value", "description"}, "an option has text, value and description")
    _plain(option["text"], 75)
    need(0 < len(option["value"]) <= 150, f"an option's value of {len(option['value'])} characters, 150 is the most")
    if "description" in option:
        _plain(option["description"], 75)


def _element(element: Body) -> None:
    _fields(element)
    need(0 < len(element["action_id"]) <= 255, "action_id has 1 to 255 characters")
    if "placeholder" in element:
        _plain(element["placeholder"], 150)
    if element["type"] == "button":
        _plain(element["text"], 75)
        need(len(element.get("value", "")) <= 2_000, "a button's value has 2,000 characters at most")
        need(element.get("style", "primary") in ("primary", "danger"), "a style is primary or danger")
    if "options" in element:
        most = 5 if element["type"] == "overflow" else 100
        need(0 < len(element["options"]) <= most, f"{len(element['options'])} options, 1 to {most} are taken")
        for option in element["options"]:
            _option(option)
    if "initial_option" in element:
        _option(element["initial_option"])
        choices = element.get("options")
        need(choices is None or element["initial_option"] in choices, "the initial option is one of the options")
    for option in element.get("initial_options", ()):
        _option(option)
    if element["type"] == "plain_text_input":
        most = element.get("max_length", 3_000)
        need(0 < most <= 3_000, "max_length is 1 to 3,000")
        need(len(element.get("initial_value", "")) <= most, "the initial value is longer than the field takes")


def _actions(block: Body) -> None:
    elements = block["elements"]
    need(0 < len(elements) <= 25, f"{len(elements)} elements, 1 to 25 are taken")
    ids = [element.get("action_id") for element in elements]
    need(len(ids) == len(set(ids)), f"an action_id comes twice: {ids}")
    for element in elements:
        need(element.get("type") in INTERACTIVE, f"{element.get('type')} does not stand among actions")
        _element(element)


def _context(block: Body) -> None:
    need(0 < len(block["elements"]) <= 10, "1 to 10 elements")
    for element in block["elements"]:
        _plain(element, 2_000)


def _rich(block: Body) -> None:
    need(block["elements"], "rich text has elements")
    for part in block["elements"]:
        _fields(part)
        need(part["type"].startswith("rich_text_"), f"{part['type']} is no part of rich text")
        need(part["elements"], f"{part['type']} has elements")
        for text in part["elements"]:
            _fields(text)
            need(text["text"], "a text is not empty")
    need(_length(block) <= 3_200, f"{_length(block)} characters of rich text")


def _input(block: Body) -> None:
    _plain(block["label"], 2_000)
    if "hint" in block:
        _plain(block["hint"], 2_000)
    need(block["element"].get("type") in INPUTS, f"{block['element'].get('type')} is no input")
    _element(block["element"])


def _section(block: Body) -> None:
    need(0 < len(block["text"]["text"]) <= 3_000, "a section has 1 to 3,000 characters")


def _length(value: Any) -> int:
    """Characters of all texts."""
    if isinstance(value, dict):
        return sum(
            len(each) if key == "text" and isinstance(each, str) else _length(each) for key, each in value.items()
        )
    return sum(map(_length, value)) if isinstance(value, list) else 0


CHECKS: dict[str, Callable[[Body], None]] = {
    "header": lambda block: _plain(block["text"], 150),
    "actions": _actions,
    "context": _context,
    "rich_text": _rich,
    "input": _input,
    "section": _section,
    "divider": lambda block: None,
}
