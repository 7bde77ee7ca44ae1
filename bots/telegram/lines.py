"""What somebody wrote → the line for the hub, or nothing: in a group most of what is said is not meant for us. Pure."""

import re
from collections.abc import Callable, Collection

from bots.telegram import limits

HELLO = "hello"
"""The payload of our own deep links, which only opens the talk."""
QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"})  # what phones make of quotes
COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{3,64}))?(?:\s+(.*))?", re.DOTALL)
SYMBOL = re.compile(r"(?<![\w$#&/])[$#]([A-Za-z][\w.-]{0,19})")
MOST_SYMBOLS = 5


def said(text: str, *, private: bool, bot: str, commands: Collection[str]) -> str | None:
    """The line in what was written. In a group: a command that is ours or names us, or whatever mentions us."""
    line = " ".join(text.translate(QUOTES).split())
    if command := COMMAND.fullmatch(line):
        name, meant, rest = command[1].lower(), (command[2] or bot).lower(), command[3] or ""
        if meant != bot.lower():
            return None
        if name == "start":
            return started(rest)
        name = name if name in commands or name.replace("_", "-") not in commands else name.replace("_", "-")
        return f"{name} {rest}".strip() if private or command[2] or name in commands else None
    if private:
        return line or None
    mention = re.compile(rf"@{re.escape(bot)}\b", re.IGNORECASE)
    if not bot or not mention.search(line):
        return None
    return " ".join(mention.sub(" ", line).split()) or "help"


def started(payload: str) -> str:
    """/start alone opens the talk; with a token it joins this account to a person."""
    if not payload or payload == HELLO or not limits.START.fullmatch(payload):
        return "help"
    return f"link {payload}"


def symbols(text: str, known: Callable[[str], bool]) -> str | None:
    """The prices of what a text names with $ or #, where this hub knows it."""
    found = dict.fromkeys(word for word in SYMBOL.findall(text) if known(word))
    return f"price {' '.join(list(found)[:MOST_SYMBOLS])}" if found else None
