"""Text between people and Slack: what they typed as a line, and what we show so that Slack reads nothing into it. Pure.

Slack writes what people type with `&amp;`, `&lt;` and `&gt;`, and puts links, people and channels into angle brackets;
phones and Macs bend quotation marks. What goes out stands in rich text blocks, whose text Slack does not parse; the
plain text beside them, which notifications show, is escaped. Depends on hub.render.
"""

import re

from hub.render import safe

BRACKETS = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
QUOTES = str.maketrans("“”„«»‘’‚", '"""""\'\'\'')


def typed(text: str, bot_user: str = "") -> str:
    """What a person wrote, as one line; without the mention of the bot."""

    def plain(found: re.Match[str]) -> str:
        inner, label = found[1], found[2]
        if bot_user and inner == f"@{bot_user}":
            return " "
        return label or inner.removeprefix("mailto:")

    text = BRACKETS.sub(plain, text)
    for entity, character in ENTITIES:
        text = text.replace(entity, character)
    return " ".join(text.translate(QUOTES).split())


def escaped(text: str) -> str:
    """For a field that Slack parses: no mention, no link, no channel comes of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shown(text: str) -> list[str]:
    """Its lines, each doing to a screen what it says: what reorders or hides text is written out."""
    return [safe(line) for line in text.split("\n")]
