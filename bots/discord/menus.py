"""The hub's menu → Discord's slash commands, their completion, and back to the line; plain text → the line. Pure.

A command becomes a slash command with an option for each of its arguments, so one that is added later appears by
itself; `/tocsin` takes any line. `same` says whether what Discord has is what is wanted, so that nothing is written
where nothing changed (Discord allows 200 writes a day). Depends on hub.forms and the limits.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bots.discord import limits
from hub.forms import complete, line_of
from hub.model import Argument, Form, Instrument, Menu, MenuEntry
from hub.render import safe

ANY = "tocsin"
"""The command that takes any line."""
NAME = re.compile(r"[a-z0-9_-]{1,32}")
GUILD_INSTALL, USER_INSTALL = 0, 1
EVERYWHERE = [0, 1, 2]  # guild, the bot's own DM, other DMs and groups
STRING = 3
COMPLETED = ("instrument", "instruments", "span")
SPANS = ("1h", "24h", "7d", "30d", "3mo", "1y", "ytd", "max")
LOCALES = frozenset("""
    id da de en-GB en-US es-ES es-419 fr hr it lt hu nl no pl pt-BR ro fi sv-SE vi tr cs el bg ru uk hi th zh-CN ja
    zh-TW ko
""".split())  # fmt: skip  # noqa: SIM905
SHAPE: Mapping[str, Any] = {"required": False, "autocomplete": False, "choices": [], "options": []}
"""What Discord leaves out where it is so, in what it returns."""
SYMBOL = re.compile(r"(?<![\w$#])[$#]([A-Za-z][\w.-]{1,31})")
DETECTED = 5  # symbols of one message that are answered


def commands_of(menu: Menu) -> list[dict[str, Any]]:
    """All slash commands of a hub, in Discord's JSON."""
    entries = [entry for entry in menu.commands if NAME.fullmatch(entry.name) and entry.name != ANY]
    line = Argument(name="line", about="whatever one can write to the hub: gold > 2400", required=True)
    everything = _command(ANY, "Any line, as in a private chat", (line,))
    commands = [_command(entry.name, entry.summary, entry.arguments, entry.summaries) for entry in entries]
    return [*commands[: limits.COMMANDS - 1], everything]


def opens_form(arguments: Sequence[Argument]) -> bool:
    """Whether a command needs more than one thing: then its options may be left out, and what is missing is asked for
    in a form, where it can be seen together. One alone is asked for by Discord's own client, with completion."""
    return sum(argument.required for argument in arguments) > 1


def _command(
    name: str, about: str, arguments: Sequence[Argument], abouts: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """`abouts`: what it does, by language; Discord shows each person theirs."""
    command: dict[str, Any] = {
        "type": 1,
        "name": name,
        "description": _about(about) or name,
        "options": [_option(argument) for argument in _ordered(arguments)],
        "integration_types": [GUILD_INSTALL, USER_INSTALL],
        "contexts": EVERYWHERE,
    }
    if opens_form(arguments):
        command["options"] = [option | {"required": False} for option in command["options"]]
    told = {locale: _about(text) for language, text in (abouts or {}).items() for locale in _locales(language)}
    if told:
        command["description_localizations"] = told
    if _size(command) > limits.COMMAND_TOTAL:  # choices are a help; the text can be typed as well
        command["options"] = [{k: v for k, v in one.items() if k != "choices"} for one in command["options"]]
    return command


def _about(text: str) -> str:
    return limits.cut(safe(text), limits.COMMAND_ABOUT)


def _locales(language: str) -> list[str]:
    """Discord's names of a language: "pt" is "pt-BR" there."""
    return sorted(one for one in LOCALES if one == language or one.partition("-")[0] == language)


def _ordered(arguments: Sequence[Argument]) -> list[Argument]:
    """Discord wants required options first."""
    usable = [argument for argument in arguments if NAME.fullmatch(argument.name)]
    return sorted(usable, key=lambda argument: not argument.required)[: limits.OPTIONS]


def _option(argument: Argument) -> dict[str, Any]:
    about = f"{argument.about} ({argument.example})" if argument.example else argument.about
    option: dict[str, Any] = {
        "type": STRING,
        "name": argument.name,
        "description": _about(about) or argument.name,
        "required": argument.required,
    }
    if argument.kind == "choice" and argument.choices:
        fitting = [choice for choice in argument.choices if limits.length(choice) <= limits.CHOICE]
        option["choices"] = [{"name": choice, "value": choice} for choice in fitting[: limits.CHOICES]]
    elif argument.kind in COMPLETED:
        option["autocomplete"] = True
    return option


def _size(command: dict[str, Any]) -> int:
    options = command["options"]
    choices = [choice for option in options for choice in option.get("choices", ())]
    abouts = [command["description"], *command.get("description_localizations", {}).values()]
    texts = [command["name"], max(abouts, key=limits.length)]  # of the translations Discord counts the longest
    texts += [text for option in options for text in (option["name"], option["description"])]
    texts += [text for choice in choices for text in (choice["name"], choice["value"])]
    return sum(limits.length(text) for text in texts)


def same(wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Discord has just these commands. What it adds of its own (ids, versions, defaults) is left aside."""
    return _by_name(wanted) == _by_name(found)


def _by_name(commands: Sequence[Mapping[str, Any]]) -> dict[Any, Any]:
    return {command.get("name"): _plain(command) for command in commands}


def _plain(command: Mapping[str, Any]) -> dict[str, Any]:
    options = command.get("options") or []
    return {
        "type": command.get("type", 1),
        "description": command.get("description"),
        "description_localizations": command.get("description_localizations") or {},
        "contexts": sorted(command.get("contexts") or []),
        "integration_types": sorted(command.get("integration_types") or []),
        "options": [
            {key: option.get(key) or SHAPE.get(key) for key in ("type", "name", "description", *SHAPE)}
            | {"choices": [(choice["name"], choice["value"]) for choice in option.get("choices") or []]}
            for option in options
        ],
    }


# ------------------------------------------------------------------------------------------- back again


def line_from(menu: Menu, name: str, options: Mapping[str, str]) -> str:
    """The line that a slash command stands for, with what there is."""
    if name == ANY:
        return options.get("line", "")
    entry = entry_of(menu, name)
    if entry is None:  # the hub has forgotten it since; it says so itself
        return " ".join([name, *(" ".join(value.split()) for value in options.values())])
    loose = [msgspec.structs.replace(argument, required=False) for argument in entry.arguments]
    return line_of(name, loose, options)


def form_for(menu: Menu, name: str, options: Mapping[str, str]) -> Form | None:
    """What is asked for where options were left out that are needed; None where none were."""
    entry = entry_of(menu, name)
    if entry is None or all(argument.name in options for argument in entry.arguments if argument.required):
        return None
    return Form(title=entry.summary, command=name, arguments=entry.arguments, values=dict(options))


def entry_of(menu: Menu, name: str) -> MenuEntry | None:
    return next((entry for entry in menu.commands if entry.name == name), None)


def choices_for(menu: Menu, command: str, option: str, typed: str) -> list[tuple[str, str]]:
    """What somebody may be typing into an option: what is shown, and what it stands for."""
    entry = entry_of(menu, command)
    argument = next((one for one in entry.arguments if one.name == option), None) if entry else None
    if argument is None:
        return []
    if argument.kind == "span":
        return [(span, span) for span in complete(typed, SPANS, limits.CHOICES)]
    if argument.kind == "instruments":
        before, _, last = typed.rpartition(" ")
        found = instruments_for(menu.instruments, last)
        lead = f"{before} " if before else ""
        pairs = [(limits.cut(lead + shown, limits.CHOICE), lead + value) for shown, value in found]
        return [(shown, value) for shown, value in pairs if limits.length(value) <= limits.CHOICE][: limits.CHOICES]
    return instruments_for(menu.instruments, typed) if argument.kind == "instrument" else []


def instruments_for(instruments: Sequence[Instrument], typed: str) -> list[tuple[str, str]]:
    """By id, name or alias; each instrument once, the ones that begin so first."""
    words: dict[str, Instrument] = {}
    for instrument in instruments:
        for word in (instrument.id, instrument.name, *instrument.aliases):
            words.setdefault(word, instrument)
    found = {words[word].id: words[word] for word in complete(typed, list(words), len(words) or 1)}
    return [(limits.cut(f"{one.name} ({one.id})", limits.CHOICE), one.id) for one in found.values()][: limits.CHOICES]


# ---------------------------------------------------------------------------------------------- plain text


def without_mention(text: str, me: int) -> str:
    return re.sub(rf"<@!?{me}>", " ", text).strip()


def detected(text: str, menu: Menu) -> str:
    """ "price XAU-USD BTC-USDT" for the instruments in a text ("look at $gold"); empty where there is none."""
    known = {
        word.casefold(): instrument.id
        for instrument in menu.instruments
        for word in (instrument.id, instrument.name, *instrument.aliases)
    }
    found = [known.get(symbol.casefold().rstrip(".-")) for symbol in SYMBOL.findall(text)]
    named = list(dict.fromkeys(name for name in found if name))[:DETECTED]
    return f"price {' '.join(named)}" if named else ""
