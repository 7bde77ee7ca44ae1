"""A Reply, an alert or a price as text for a terminal or a log: plain, or coloured with rich.

Promises: text from outside is shown as text. Control characters, right-to-left overrides and whatever else could
move a cursor or disguise a line are written out ("\\x1b"), and rich markup is never interpreted. Columns line up
also with wide characters. Pure; rich is imported when colour is asked for.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from hub.model import Message, Nature, Reply

if TYPE_CHECKING:
    from rich.text import Text

GAP = "  "
NUMERIC = frozenset("0123456789.,+-−%# ")

# Controls, and the invisible ones that reorder text or break a line: a name must not rewrite the line it is in.
HOSTILE = {
    *range(0x20),
    *range(0x7F, 0xA0),
    0x61C,
    0x200B,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
}


def safe(text: str) -> str:
    """One line that does to a terminal what it says. A tab or a line break becomes a space."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if character in "\t\n\r":
        return " "
    if code not in HOSTILE and not 0xD800 <= code < 0xE000 and not 0xE0000 <= code < 0xE0080:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain(reply: Reply) -> str:
    """The whole reply without colour, as `tocsin ask` prints it."""
    parts = [safe(reply.title)] if reply.title else []
    parts += table_lines(reply.table)
    parts += [safe(part) for line in reply.lines for part in line.split("\n")]
    parts += [button_line(reply)] if reply.buttons else []
    return "\n".join(parts)


def table_lines(table: Sequence[Sequence[str]]) -> list[str]:
    """Aligned rows; a column of numbers stands on the right."""
    cells = [[safe(cell) for cell in row] for row in table]
    columns = max((len(row) for row in cells), default=0)
    for row in cells:
        row += [""] * (columns - len(row))
    widths = [max(cell_len(row[column]) for row in cells) for column in range(columns)]
    right = [_is_numeric([row[column] for row in cells[1:]]) for column in range(columns)]
    return [
        GAP.join(_pad(cell, width, to_right) for cell, width, to_right in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]


def _is_numeric(cells: Sequence[str]) -> bool:
    """Numbers, perhaps with a currency behind them."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(
        set(cell.removesuffix(cell[-4:] if _has_currency(cell) else "")) <= NUMERIC for cell in filled
    )


def _has_currency(cell: str) -> bool:
    return len(cell) > 4 and cell[-4] == " " and cell[-3:].isalpha() and cell[-3:].isupper()


def _pad(cell: str, width: int, to_right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if to_right else cell + space


def button_line(reply: Reply) -> str:
    return GAP.join(f"[{safe(button.label)}: {safe(button.line)}]" for button in reply.buttons)


def rich_lines(reply: Reply) -> list["Text"]:
    """The same lines as `plain`, coloured: the title, the table's head, what rose and what fell."""
    from rich.text import Text

    lines = [Text(safe(reply.title), style="bold" if reply.ok else "bold red")] if reply.title else []
    for index, line in enumerate(table_lines(reply.table)):
        lines.append(Text(line, style="dim") if index == 0 else _directions(Text(line)))
    style = "" if reply.ok else "red"
    lines += [Text(safe(part), style=style) for line in reply.lines for part in line.split("\n")]
    if reply.buttons:
        lines.append(Text(button_line(reply), style="cyan"))
    return lines


def _directions(line: "Text") -> "Text":
    line.highlight_regex(r"(?<![\w.])\+[\d.,]+ %", "green")
    line.highlight_regex(r"(?<![\w.])-[\d.,]+ %", "red")
    line.highlight_regex(r"\b(?:stale|market closed|simulated|polled|recording|failed|muted)\b", "yellow")
    return line


def message_lines(message: Message) -> list[str]:
    """An alert that rings, as lines. What is not live says so, should its text not do so already."""
    lines = [message.title, *message.text.split("\n")]
    natures = {each.nature for each in message.notifications} - {Nature.LIVE}
    unsaid = [nature.value for nature in sorted(natures) if nature.value not in " ".join(lines).lower()]
    return [safe(line) for line in (*lines, *(f"These prices are {nature}." for nature in unsaid)) if line]


def ansi(lines: Sequence["Text"], width: int) -> str:
    """Coloured lines as a terminal takes them."""
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), force_terminal=True, color_system="standard", width=width, legacy_windows=False)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().rstrip("\n")
