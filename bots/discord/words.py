"""Text from outside as Discord shows it: as text. Pure.

Markdown, mentions, custom emoji, time stamps and links mean nothing any more, and what turns the direction of writing
or hides in a line is gone. Whoever sends it also says `allowed_mentions: none`; this is the second lock on that door.
"""

import re
from collections.abc import Sequence

from hub.render import safe, table_lines

MARKUP = re.compile(r"([\\*_~`|<>\[\]@])")
FIRST = re.compile(r"^(\s*)(#{1,3}|-#|[-+])(?=\s)")
"""A heading, small print or a list, at the start of a line."""
LINK = re.compile(r":(?=//)|(?<=discord)\.(?=gg/)", re.IGNORECASE)
"""Where a backslash keeps an address from being a link, and an invitation from being shown."""
TICKS = "`"
TICK = "\u02cb"  # looks like a backtick and ends no block
CELL = 200  # characters of a cell, and rows, beyond which nothing of a table is shown anyway
ROWS = 500
WIDTH = 44  # columns of a block that a phone shows without wrapping, in its usual font size


def escaped(text: str) -> str:
    """One line. Characters that reorder or hide text are written out ("\\u202e"), as in a terminal."""
    plain = FIRST.sub(r"\1\\\2", MARKUP.sub(r"\\\1", safe(text)))
    return LINK.sub(r"\\\g<0>", plain)


def lines_of(texts: Sequence[str]) -> list[str]:
    """Escaped lines; a text with line breaks is several."""
    return [escaped(line) for text in texts for line in text.split("\n")]


def block_lines(table: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table for a code block, in which only the backtick has a meaning."""
    short = [[cell if len(cell) <= CELL else cell[: CELL - 1] + "…" for cell in row] for row in table[:ROWS]]
    return [line.replace(TICKS, TICK) for line in table_lines(short, WIDTH)]
