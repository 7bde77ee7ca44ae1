"""Block Kit's pieces as plain dictionaries, each within its limits. Pure.

Text from outside stands in `rich_text` and `plain_text` only: neither parses markup, mentions or links.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from bots.slack import limits
from bots.slack.text import shown
from hub.model import Button

Block = dict[str, Any]

LINE = "line"  # the action of a button that carries a line
MORE = "more"  # of a menu of such lines


def plain(text: str, most: int) -> Block:
    """A plain_text object; Slack refuses an empty one."""
    line = " ".join(shown(text)).strip() or "–"
    return {"type": "plain_text", "text": limits.cut(line, most), "emoji": False}


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text, limits.HEADER)}


def context(text: str, block_id: str = "") -> Block:
    block: Block = {"type": "context", "elements": [plain(text, limits.CONTEXT)]}
    return block | ({"block_id": block_id} if block_id else {})


def divider() -> Block:
    return {"type": "divider"}


def rich(*parts: Block) -> Block:
    return {"type": "rich_text", "elements": list(parts)}


def paragraph(lines: Sequence[str], *, bold_first: bool = False, most: int = limits.SECTION) -> Block:
    """Lines as they stand; the first one bold where it is a title."""
    kept = limits.cut_lines([part for line in lines for part in shown(line)] or [""], most)
    first, rest = kept[0], "\n".join(kept[1:])
    if not bold_first or not first:
        return {"type": "rich_text_section", "elements": [_text("\n".join(kept))]}
    return {"type": "rich_text_section", "elements": [_text(first, bold=True), *([_text(f"\n{rest}")] if rest else [])]}


def quote(text: str, most: int = limits.SECTION) -> Block:
    return {"type": "rich_text_quote", "elements": [_text("\n".join(limits.cut_lines(shown(text), most)))]}


def preformatted(lines: Sequence[str], most: int = limits.SECTION) -> Block:
    text = "\n".join(limits.cut_lines(list(lines), most))
    return {"type": "rich_text_preformatted", "elements": [_text(text)]}


def _text(text: str, *, bold: bool = False) -> Block:
    """Slack refuses an empty one."""
    element: Block = {"type": "text", "text": text or "–"}
    return element | ({"style": {"bold": True}} if bold else {})


def button(label: str, value: str, action_id: str, *, style: str = "") -> Block:
    assert len(value) <= limits.VALUE, f"a button's value of {len(value)} characters"
    made: Block = {"type": "button", "action_id": action_id, "text": plain(label, limits.BUTTON_TEXT), "value": value}
    return made | ({"style": style} if style else {})


def line_buttons(buttons: Iterable[Button], start: int = 0) -> list[Block]:
    """Their action ids differ, as Slack wants it; what they do is in their value."""
    return [
        button(each.label, each.line, f"{LINE}.{number}", style="danger" if each.label == "Delete" else "")
        for number, each in enumerate(buttons, start)
    ]


def option(text: str, value: str, about: str = "") -> Block:
    made: Block = {"text": plain(text, limits.OPTION_TEXT), "value": limits.cut(value, limits.OPTION_VALUE)}
    return made | ({"description": plain(about, limits.OPTION_TEXT)} if about else {})


def choose(options: Sequence[Block], action_id: str, placeholder: str) -> Block:
    return {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": plain(placeholder, limits.PLACEHOLDER),
        "options": list(options[: limits.MENU_OPTIONS]),
    }


def more(buttons: Sequence[Button]) -> Block:
    """A menu of lines, where buttons would take too much room."""
    return choose([option(each.label, each.line) for each in buttons], MORE, "More…")


def actions(elements: Sequence[Block], block_id: str = "") -> Block:
    block: Block = {"type": "actions", "elements": list(elements[: limits.ELEMENTS])}
    return block | ({"block_id": block_id} if block_id else {})
