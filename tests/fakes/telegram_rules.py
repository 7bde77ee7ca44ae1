"""What the Bot API refuses: markup, sizes, keyboards, commands. For tests.fakes.telegram; raises what it answers."""

import json
import re
from html import unescape
from typing import Any

TAGS = {
    "b": "bold",
    "i": "italic",
    "u": "underline",
    "s": "strikethrough",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
}
TAG = re.compile(r"<(/?)([a-z-]+)((?:\s+[a-z-]+=\"[^\"]*\")*)>")
ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")
TEXT, CAPTION, CALLBACK, BUTTONS, TOAST = 4096, 1024, 64, 100, 200


class Bad(Exception):
    """An answer that is no success: the HTTP status, Telegram's description, its parameters."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def parsed(markup: str) -> tuple[str, list[dict[str, Any]]]:
    """HTML → text and entities; Bad where Telegram's parser would stop."""
    text, at = "", 0
    entities: list[dict[str, Any]] = []
    opened: list[tuple[str, int]] = []
    while at < len(markup):
        character = markup[at]
        if character == "<":
            tag = TAG.match(markup, at)
            if not tag or tag[2] not in TAGS:
                raise Bad(400, f"Bad Request: can't parse entities: Unsupported start tag at byte offset {at}")
            if tag[1]:
                if not opened or opened[-1][0] != tag[2]:
                    raise Bad(400, f"Bad Request: can't parse entities: Unmatched end tag at byte offset {at}")
                _, start = opened.pop()
                if units(text) > start:
                    entities.append({"type": TAGS[tag[2]], "offset": start, "length": units(text) - start})
            else:
                opened.append((tag[2], units(text)))
            at = tag.end()
        elif character == "&" and (entity := ENTITY.match(markup, at)):
            text += unescape(entity[0])
            at = entity.end()
        else:
            text += character
            at += 1
    if opened:
        raise Bad(400, "Bad Request: can't parse entities: Can't find end tag")
    return text, sorted(entities, key=lambda one: one["offset"])


def worded(markup: str, parse_mode: str | None, most: int, *, may_be_empty: bool = False) -> dict[str, Any]:
    text, entities = parsed(markup) if parse_mode == "HTML" else (markup, [])
    stripped = text.strip("\n ")
    if not stripped and not may_be_empty:
        raise Bad(400, "Bad Request: message text is empty")
    if units(text) > most:
        raise Bad(
            400, "Bad Request: message is too long" if most == TEXT else "Bad Request: message caption is too long"
        )
    return {"text": text, "entities": entities}


def keyboard(markup: Any) -> dict[str, Any] | None:
    """An inline keyboard or a forced reply, as the API takes it."""
    if markup is None:
        return None
    if "force_reply" in markup:
        if len(markup.get("input_field_placeholder", "x")) not in range(1, 65):
            raise Bad(400, "Bad Request: wrong input field placeholder")
        return None
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise Bad(400, "Bad Request: object expected as reply markup")
    if sum(map(len, rows)) > BUTTONS or any(len(row) > 8 or not row for row in rows):
        raise Bad(400, "Bad Request: reply markup is too long")
    for key in (key for row in rows for key in row):
        if not key.get("text"):
            raise Bad(400, "Bad Request: can't parse inline keyboard button: text must be non-empty")
        data, url = key.get("callback_data"), key.get("url")
        if (data is None) == (url is None):
            raise Bad(400, "Bad Request: inline keyboard button must have exactly one of its optional fields")
        if data is not None and not 1 <= len(data.encode()) <= CALLBACK:
            raise Bad(400, "Bad Request: BUTTON_DATA_INVALID")
        if url is not None and not url.startswith(("https://", "http://", "tg://")):
            raise Bad(400, "Bad Request: inline keyboard button URL is invalid")
    return {"inline_keyboard": rows}


def commands(listed: Any) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or len(listed) > 100:
        raise Bad(400, "Bad Request: BOT_COMMANDS_TOO_MUCH")
    for one in listed:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", one.get("command", "")):
            raise Bad(400, "Bad Request: BOT_COMMAND_INVALID")
        if not 1 <= len(one.get("description", "")) <= 256:
            raise Bad(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
    kept = ("command", "description", "is_ephemeral")
    return [{key: value for key, value in one.items() if key in kept} for one in listed]


def results(listed: Any) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or len(listed) > 50:
        raise Bad(400, "Bad Request: RESULTS_TOO_MUCH")
    ids = [one.get("id", "") for one in listed]
    if len(set(ids)) < len(ids) or not all(1 <= len(one.encode()) <= 64 for one in ids):
        raise Bad(400, "Bad Request: RESULT_ID_INVALID")
    for one in listed:
        if one.get("type") != "article" or not one.get("title"):
            raise Bad(400, "Bad Request: can't parse inline query result")
        content = one.get("input_message_content") or {}
        one["shown"] = worded(content.get("message_text", ""), content.get("parse_mode"), TEXT)
        keyboard(one.get("reply_markup"))
    return listed


def decoded(value: str) -> Any:
    """A form's field: JSON where it is some."""
    if value[:1] in "[{" or value in ("true", "false") or re.fullmatch(r"-?\d{1,18}", value):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
