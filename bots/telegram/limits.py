"""What Telegram takes, and how a text is cut to it. Pure.

From the Bot API (sendMessage, sendPhoto, InlineKeyboardButton, setMyCommands, answerInlineQuery, answerCallbackQuery)
and its FAQ (pace). Lengths of texts are counted after the markup is taken away; here in UTF-16 units, which are never
fewer than what Telegram counts.
"""

import re

from bots.pace import Budget

TEXT = 4096
CAPTION = 1024
CALLBACK_BYTES = 64
COMMANDS = 100
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
DESCRIPTION = 256  # of a command
INLINE_RESULTS = 50
INLINE_QUERY = 256
TOAST = 200  # of an answer to a pressed button
PLACEHOLDER = 64
PHOTO_BYTES = 10_000_000
BUTTONS = 100
START = re.compile(r"[A-Za-z0-9_-]{1,64}")  # of a deep link's payload

OVERALL = (Budget(28, 1.1), Budget(3, 0.1))
PRIVATE = (Budget(1, 1.05),)
GROUP = (Budget(1, 1.05), Budget(20, 61.0))
"""A little slower than allowed (30 a second; 1 a second a chat; 20 a minute a group), and no burst at once: what leaves
evenly may arrive in bunches."""


def of_chat(chat: str) -> tuple[Budget, ...]:
    """Groups and channels have negative ids."""
    return GROUP if chat.startswith("-") else PRIVATE


def size(text: str) -> int:
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def cut(text: str, most: int) -> str:
    """At most so long, with … where something is missing."""
    if size(text) <= most:
        return text
    kept, room = [], most - 1
    for character in text:
        room -= 2 if ord(character) > 0xFFFF else 1
        if room < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…" if most > 0 else ""
