"""What Discord refuses, as its documentation states it: limits of messages, commands and modals. Pure.

Each function returns what is wrong in Discord's own words, by path, or nothing. The numbers are written out again here,
not taken from the bot: a limit that the bot has wrong has to be found.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

COMMAND_NAME = re.compile(r"^[-_'\w]{1,32}$")
LOCALES = {
    "id", "da", "de", "en-GB", "en-US", "es-ES", "es-419", "fr", "hr", "it", "lt", "hu", "nl", "no", "pl", "pt-BR",
    "ro", "fi", "sv-SE", "vi", "tr", "cs", "el", "bg", "ru", "uk", "hi", "th", "zh-CN", "ja", "zh-TW", "ko",
}  # fmt: skip
Wrong = tuple[str, str]


def size(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def wrong_message(payload: Mapping[str, Any], files: Mapping[str, bytes], empty_is_fine: bool) -> list[Wrong]:
    return list(_message(payload, files, empty_is_fine))


def _message(payload: Mapping[str, Any], files: Mapping[str, bytes], empty_is_fine: bool) -> Iterator[Wrong]:
    content, embeds = payload.get("content") or "", payload.get("embeds") or []
    if size(content) > 2000:
        yield "content", "Must be 2000 or fewer in length."
    if len(embeds) > 10:
        yield "embeds", "Must be 10 or fewer in length."
    for number, embed in enumerate(embeds):
        yield from _embed(f"embeds.{number}", embed, files)
    if sum(embed_size(embed) for embed in embeds) > 6000:
        yield "embeds", "Embed size exceeds maximum size of 6000"
    yield from _components(payload.get("components") or [])
    described = [str(one.get("filename", "")) for one in payload.get("attachments") or [] if "filename" in one]
    if len(described) != len(set(described)):
        yield "attachments", "Filenames must be unique."
    if len(str(payload.get("nonce", ""))) > 25:
        yield "nonce", "Must be 25 or fewer in length."
    if not (content or embeds or files or payload.get("components") or empty_is_fine):
        yield "", "Cannot send an empty message"


def embed_size(embed: Mapping[str, Any]) -> int:
    texts = [embed.get("title"), embed.get("description"), embed.get("footer", {}).get("text")]
    texts += [embed.get("author", {}).get("name")]
    texts += [text for field in embed.get("fields", ()) for text in (field["name"], field["value"])]
    return sum(size(text) for text in texts if text)


def _embed(path: str, embed: Mapping[str, Any], files: Mapping[str, bytes]) -> Iterator[Wrong]:
    for key, most in (("title", 256), ("description", 4096)):
        if size(embed.get(key) or "") > most:
            yield f"{path}.{key}", f"Must be {most} or fewer in length."
    if len(embed.get("fields", ())) > 25:
        yield f"{path}.fields", "Must be 25 or fewer in length."
    for number, field in enumerate(embed.get("fields", ())):
        for key, most in (("name", 256), ("value", 1024)):
            if not 0 < size(field.get(key) or "") <= most:
                yield f"{path}.fields.{number}.{key}", f"Must be between 1 and {most} in length."
    if not any(embed.get(key) for key in ("title", "description", "fields", "image", "author", "footer")):
        yield path, "An embed needs something to show."
    url = embed.get("image", {}).get("url", "")
    if url.startswith("attachment://") and url.removeprefix("attachment://") not in files:
        yield f"{path}.image.url", "The referenced attachment does not exist."
    if url and not url.startswith(("attachment://", "http://", "https://")):
        yield f"{path}.image.url", "Scheme must be one of ('http', 'https')."


def _components(rows: Sequence[Mapping[str, Any]]) -> Iterator[Wrong]:
    if len(rows) > 5:
        yield "components", "Must be 5 or fewer in length."
    seen: set[str] = set()
    for number, row in enumerate(rows):
        path = f"components.{number}"
        children = row.get("components", ())
        if row.get("type") != 1 or not 1 <= len(children) <= 5:
            yield path, "An action row holds 1 to 5 buttons."
        for child in children:
            custom_id, label = child.get("custom_id") or "", child.get("label") or ""
            if child.get("type") != 2 or child.get("style") not in (1, 2, 3, 4):
                yield path, "Not a button."
            if not 1 <= size(custom_id) <= 100:
                yield f"{path}.custom_id", "Must be between 1 and 100 in length."
            if custom_id in seen:
                yield f"{path}.custom_id", "Component custom id cannot be duplicated"
            seen.add(custom_id)
            if not 1 <= size(label) <= 80:
                yield f"{path}.label", "Must be between 1 and 80 in length."


# --------------------------------------------------------------------------------------------- commands


def wrong_commands(commands: Sequence[Mapping[str, Any]]) -> list[Wrong]:
    return list(_commands(commands))


def _commands(commands: Sequence[Mapping[str, Any]]) -> Iterator[Wrong]:
    if len(commands) > 100:
        yield "", "Maximum number of application commands reached (100)."
    names = [command.get("name", "") for command in commands]
    if len(names) != len(set(names)):
        yield "", "Application command names must be unique"
    for number, command in enumerate(commands):
        yield from _named(str(number), command)
        options = command.get("options", [])
        if len(options) > 25:
            yield f"{number}.options", "Must be 25 or fewer in length."
        required = [bool(option.get("required")) for option in options]
        if required != sorted(required, reverse=True):
            yield f"{number}.options", "Required options must be placed before non-required options"
        for place, option in enumerate(options):
            yield from _option(f"{number}.options.{place}", option)
        if _command_size(command) > 8000:
            yield str(number), "Command exceeds maximum size (8000)"
        if not set(command.get("contexts", [0])) <= {0, 1, 2}:
            yield f"{number}.contexts", "Value must be one of {0, 1, 2}."
        if not set(command.get("integration_types", [0])) <= {0, 1}:
            yield f"{number}.integration_types", "Value must be one of {0, 1}."


def _named(path: str, thing: Mapping[str, Any]) -> Iterator[Wrong]:
    name = thing.get("name", "")
    if not COMMAND_NAME.match(name) or name != name.lower():
        yield f"{path}.name", "String value did not match validation regex."
    translated = (thing.get("description_localizations") or {}).items()
    for locale, text in translated:
        if locale not in LOCALES or not 1 <= size(text) <= 100:
            yield f"{path}.description_localizations.{locale}", "Not a locale, or not between 1 and 100 in length."
    if not 1 <= size(thing.get("description", "")) <= 100:
        yield f"{path}.description", "Must be between 1 and 100 in length."


def _option(path: str, option: Mapping[str, Any]) -> Iterator[Wrong]:
    yield from _named(path, option)
    if option.get("type") not in range(3, 12):
        yield f"{path}.type", "Not an option type."
    choices = option.get("choices", [])
    if len(choices) > 25:
        yield f"{path}.choices", "Must be 25 or fewer in length."
    if choices and option.get("autocomplete"):
        yield path, "autocomplete cannot be true if choices are present."
    for choice in choices:
        if not 1 <= size(choice["name"]) <= 100 or not 1 <= size(str(choice["value"])) <= 100:
            yield f"{path}.choices", "Must be between 1 and 100 in length."


def _command_size(command: Mapping[str, Any]) -> int:
    texts = [command["name"], command["description"]]
    for option in command.get("options", ()):
        texts += [option["name"], option["description"]]
        texts += [text for choice in option.get("choices", ()) for text in (choice["name"], str(choice["value"]))]
    return sum(size(text) for text in texts)


# ----------------------------------------------------------------------------------- modals and choices


def wrong_modal(modal: Mapping[str, Any]) -> list[Wrong]:
    return list(_modal(modal))


def _modal(modal: Mapping[str, Any]) -> Iterator[Wrong]:
    if not 1 <= size(modal.get("title") or "") <= 45:
        yield "title", "Must be between 1 and 45 in length."
    if not 1 <= size(modal.get("custom_id") or "") <= 100:
        yield "custom_id", "Must be between 1 and 100 in length."
    parts = modal.get("components", [])
    if not 1 <= len(parts) <= 5:
        yield "components", "Must be between 1 and 5 in length."
    seen: set[str] = set()
    for number, part in enumerate(parts):
        path = f"components.{number}"
        if part.get("type") == 10:
            if not part.get("content"):
                yield path, "This field is required"
            continue
        if part.get("type") != 18:
            yield path, "Value must be one of {10, 18}."
            continue
        if not 1 <= size(part.get("label") or "") <= 45 or size(part.get("description") or "") > 100:
            yield f"{path}.label", "Must be between 1 and 45 in length."
        inner = part.get("component", {})
        custom_id = inner.get("custom_id") or ""
        if not 1 <= size(custom_id) <= 100 or custom_id in seen:
            yield f"{path}.custom_id", "Must be unique and between 1 and 100 in length."
        seen.add(custom_id)
        yield from _input(path, inner)


def _input(path: str, inner: Mapping[str, Any]) -> Iterator[Wrong]:
    if inner.get("type") == 4:
        if size(inner.get("value") or "") > inner.get("max_length", 4000) or inner.get("max_length", 1) > 4000:
            yield f"{path}.value", "Must be max_length or fewer in length."
        if size(inner.get("placeholder") or "") > 100:
            yield f"{path}.placeholder", "Must be 100 or fewer in length."
    elif inner.get("type") == 3:
        options = inner.get("options", [])
        values = [option["value"] for option in options]
        if not 1 <= len(options) <= 25 or len(values) != len(set(values)):
            yield f"{path}.options", "Must be between 1 and 25 in length, and unique."
        if inner.get("required", True) and inner.get("min_values", 1) == 0:
            yield f"{path}.min_values", "A required menu needs at least one value."
        if sum(bool(option.get("default")) for option in options) > inner.get("max_values", 1):
            yield f"{path}.options", "Too many defaults."
    else:
        yield path, "Not an input."


def wrong_choices(choices: Sequence[Mapping[str, Any]]) -> list[Wrong]:
    if len(choices) > 25:
        return [("choices", "Must be 25 or fewer in length.")]
    return [
        ("choices", "Must be between 1 and 100 in length.")
        for choice in choices
        if not (1 <= size(choice["name"]) <= 100 and 1 <= size(str(choice["value"])) <= 100)
    ]
