"""A Reply, an alert or a price as text for a terminal or a log: plain, or coloured with rich.

Promises: text from outside is shown as text. Control characters, right-to-left overrides and whatever else could
move a cursor or disguise a line are written out ("\\x1b"), and rich markup is never interpreted. Columns line up
also with wide characters, and a table fits the width it is given: long cells are wrapped at words, and where even
that is too narrow each row is written below the other. Pure; rich is imported when colour is asked for.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len

from hub.model import Message, Nature, Reply

if TYPE_CHECKING:
    from rich.text import Text

GAP = "  "
BETWEEN = " · "
LEAST_COLUMN = 14  # cells that a column of text keeps when a table is narrowed
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


def plain(reply: Reply, width: int | None = None) -> str:
    """The whole reply without colour, as `tocsin ask` prints it. Within a width lines are wrapped at words; without
    one a row is a line, for programs."""
    lines = [safe(part) for line in reply.lines for part in line.split("\n")]
    parts = [
        *([safe(reply.title)] if reply.title else []),
        *table_lines(reply.table, width),
        *(line for whole in lines for line in (_wrapped(whole, width) if width else [whole])),
        *(_button_lines(reply, width) if reply.buttons else []),
    ]
    return "\n".join(parts)


def table_lines(table: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Aligned rows; a column of numbers stands on the right."""
    head, rows = _table(table, width)
    return [*head, *rows]


def _table(table: Sequence[Sequence[str]], width: int | None) -> tuple[list[str], list[str]]:
    """The lines of the head and of the rows; no head where the rows name their own columns."""
    cells = [[safe(cell) for cell in row] for row in table]
    columns = max((len(row) for row in cells), default=0) or 1
    for row in cells:
        row += [""] * (columns - len(row))
    right = [_is_numeric([row[column] for row in cells[1:]]) for column in range(columns)]
    widths = _fitted(
        [max((cell_len(row[column]) for row in cells), default=0) for column in range(columns)], right, width
    )
    if widths is None:
        return [], _stacked(cells, width or 0)
    lines = [list(_row_lines(row, widths, right)) for row in cells]
    return (lines[0] if lines else []), [line for row in lines[1:] for line in row]


def _row_lines(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    wrapped = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=""):
        padded = (_pad(part, width, to_right) for part, width, to_right in zip(parts, widths, right, strict=True))
        yield GAP.join(padded).rstrip()


def _fitted(natural: Sequence[int], numeric: Sequence[bool], width: int | None) -> list[int] | None:
    """The columns' widths within `width`: the widest text gives way first. None where it would be torn apart."""
    widths = list(natural)
    excess = 0 if width is None else sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0:
        wide = [column for column, space in enumerate(widths) if not numeric[column] and space > LEAST_COLUMN]
        if not wide:
            return None
        widths[max(wide, key=lambda column: widths[column])] -= 1
        excess -= 1
    return widths


def _stacked(cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Each row as lines of its own: its first cell, then the others with their heads, as many as fit on a line."""
    lines = []
    head, *rows = cells
    for first, *rest in rows:
        lines += _wrapped(first, width)
        line = ""
        for told in [f"{name} {cell}".strip() for name, cell in zip(head[1:], rest, strict=True) if cell]:
            if line and cell_len(line) + len(BETWEEN) + cell_len(told) > width - len(GAP):
                lines += [GAP + part for part in _wrapped(line, width - len(GAP))]
                line = ""
            line = f"{line}{BETWEEN}{told}" if line else told
        lines += [GAP + part for part in _wrapped(line, width - len(GAP))] if line else []
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """At words; a longer word is cut."""
    if cell_len(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while cell_len(line) > width:
            most = min(len(line), width + 1)  # characters without a width of their own may make it a little shorter
            cut = next(n for n in range(most, 0, -1) if n == 1 or cell_len(line[:n]) <= width)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line]


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
    """What can be said next; a label that says more than its line stands behind it."""
    return "Next: " + "   ".join(_buttons(reply))


def _button_lines(reply: Reply, width: int | None) -> list[str]:
    """The same within a width: no button is torn apart that fits on a line."""
    if width is None or cell_len(button_line(reply)) <= width:
        return [button_line(reply)]
    lines = ["Next:"]
    for button in _buttons(reply):
        if cell_len(lines[-1]) + 3 + cell_len(button) > width and lines[-1] != "Next:":
            lines.append("     ")
        lines[-1] += f" {button}" if lines[-1] in ("Next:", "     ") else f"   {button}"
    return lines


def _buttons(reply: Reply) -> list[str]:
    return [
        safe(button.line if button.line.lower().startswith(button.label.lower()) else f"{button.line} ({button.label})")
        for button in reply.buttons
    ]


def rich_lines(reply: Reply, width: int | None = None) -> list["Text"]:
    """The same lines as `plain`, coloured: the title, the table's head, what rose and what fell."""
    from rich.text import Text

    lines = [Text(safe(reply.title), style="bold" if reply.ok else "bold red")] if reply.title else []
    head, rows = _table(reply.table, width)
    lines += [Text(line, style="dim") for line in head]
    lines += [_directions(Text(line)) for line in rows]
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
        console.print(line, highlight=False, markup=False, emoji=False)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().rstrip("\n")
