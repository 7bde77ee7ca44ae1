"""Discord's limits, and cutting to them so that what matters stays whole. Pure.

From the developer documentation, "Message Resource", "Embed Limits", "Application Commands" and "Component Reference".
Lengths are counted in UTF-16 units, as Discord's own clients count them: never fewer than what the API counts.
"""

import unicodedata
from collections.abc import Sequence

CONTENT = 2000
EMBEDS = 10
EMBED_TOTAL = 6000
"""Characters of all embeds of one message together."""
TITLE = 256
DESCRIPTION = 4096
FIELDS = 25
FIELD_NAME = 256
FIELD_VALUE = 1024
FOOTER = 2048
ROWS = 5
ROW_BUTTONS = 5
LABEL = 80
CUSTOM_ID = 100
COMMANDS = 100
OPTIONS = 25
CHOICES = 25
COMMAND_NAME = 32
COMMAND_ABOUT = 100
COMMAND_TOTAL = 8000
"""Characters of all names, descriptions and choices of one command."""
CHOICE = 100
INPUTS = 5
MODAL_TITLE = 45
INPUT_LABEL = 45
INPUT_ABOUT = 100
INPUT_VALUE = 4000
NONCE = 25
ATTACHMENT_BYTES = 10_000_000

MORE = "… "


def length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, most: int) -> str:
    """At most so long, at the end a "…" for what is missing; no character is torn apart."""
    if length(text) <= most:
        return text
    kept = text[: max(most - 1, 0)]
    while kept and (length(kept) > most - 1 or unicodedata.combining(text[len(kept)]) or kept.endswith("\\")):
        kept = kept[:-1]
    return kept + "…" if most > 0 else ""


def cut_lines(lines: Sequence[str], most: int) -> str:
    """Whole lines from the first on, and how many are missing; a first line that is too long is cut."""
    text = "\n".join(lines)
    if length(text) <= most:
        return text
    kept: list[str] = []
    used = 0
    for number, line in enumerate(lines):
        left = len(lines) - number - 1
        room = most - used - (len(_missing(left)) + 1 if left else 0)
        if length(line) > room:
            break
        kept.append(line)
        used += length(line) + 1
    if not kept:
        tail = f"\n{_missing(len(lines) - 1)}" if len(lines) > 1 else ""
        return cut(lines[0], most - len(tail)) + tail
    while kept and length("\n".join([*kept, _missing(len(lines) - len(kept))])) > most:
        kept.pop()
    return "\n".join([*kept, _missing(len(lines) - len(kept))])


def _missing(count: int) -> str:
    return f"{MORE}{count} more line{'' if count == 1 else 's'}"
