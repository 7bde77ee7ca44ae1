"""What Slack refuses, as numbers, and how a text is cut to fit. Pure.

From Slack's reference of Block Kit, of chat.postMessage and of views, and from its page on rate limits.
"""

from bots.pace import Budget

BLOCKS = 50  # of a message
VIEW_BLOCKS = 100  # of a modal or an App Home
SECTION = 3_000  # characters; Slack names no number for rich text, so this is held there too
HEADER = 150
TEXT = 4_000  # of a message's plain text; longer ones are split or cut at 40,000
MESSAGE = 12_000  # of all blocks of a message together: above about 13,000 it answers msg_blocks_too_long
CONTEXT = 2_000
ELEMENTS = 25  # of an actions block
BUTTON_TEXT = 75
VALUE = 2_000  # of a button
ACTION_ID = 255
OPTION_TEXT = 75
OPTION_VALUE = 150
MENU_OPTIONS = 100  # of a select menu, and of what a live search returns
TITLE = 24  # of a modal, and of what its buttons say
LABEL = 2_000
PLACEHOLDER = 150
INPUT = 3_000
METADATA = 3_000
FILE_NAME = 255

ACK_S = 3.0
"""Within which an envelope is acknowledged, and a trigger opens a modal."""
ERROR_IN_FORM_S = 2.0
"""So long a form stays open for the hub's word on it; the rest of ACK_S is for the way."""
OVERALL = (Budget(most=300, per_s=60.0),)
"""A workspace takes "several hundred messages a minute"."""
OF_CHANNEL = (Budget(most=1, per_s=1.0),)

CUT = "…"


def cut(text: str, most: int) -> str:
    """The beginning of it, which says what it is about."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def cut_lines(lines: list[str], most: int) -> list[str]:
    """Whole lines as far as they fit, then how many are left out; the first one is cut where it alone is too long."""
    if len("\n".join(lines)) <= most:
        return lines
    kept: list[str] = []
    for line in lines:
        left = _rest(len(lines) - len(kept))
        if len("\n".join([*kept, line, left])) > most:
            break
        kept.append(line)
    if not kept:
        return [cut(lines[0], most)]
    return [*kept, _rest(len(lines) - len(kept))]


def _rest(count: int) -> str:
    return f"{CUT} {count} more {'line' if count == 1 else 'lines'}"
