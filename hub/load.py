"""Feeds, commands and bots by name, and a plain table into a struct with every wrong field named at once.

A name is looked for in `plugins/feeds`, `plugins/commands` or `bots` first, then among the entry points
`tocsin.feeds`, `tocsin.commands` and `tocsin.bots`. A name is an identifier, never a path. What is missing or
does not keep its contract (hub.plugin) raises PluginProblem with a sentence that says so. Depends on nothing
but the standard library, msgspec and structlog; imports the module that was asked for and no other.
"""

import importlib
import keyword
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

import msgspec
import structlog

from hub.plugin import BotModule, Command, Feed

log = structlog.get_logger("load")
S = TypeVar("S", bound=msgspec.Struct)

SHOWN_LENGTH = 60


class Shelf(msgspec.Struct, frozen=True):
    """Where one sort of plugin stands, and what each of them must have."""

    noun: str
    package: str
    group: str
    contract: tuple[str, ...]


FEEDS = Shelf("feed", "plugins.feeds", "tocsin.feeds", ("Settings", "NATURE", "run"))
COMMANDS = Shelf("command", "plugins.commands", "tocsin.commands", ("USAGE", "SUMMARY", "EXAMPLES", "run"))
BOTS = Shelf("bot", "bots", "tocsin.bots", ("Settings", "PLATFORMS", "open_bot"))

EXTRAS = {
    "apprise": "push",
    "aiogram": "telegram",
    "discord": "discord",
    "slack_bolt": "slack",
    "slack_sdk": "slack",
    "matplotlib": "charts",
    "redis": "redis",
    "asyncpg": "postgres",
    "psycopg": "postgres",
}
"""The library that a platform needs → the optional extra that brings it."""


class PluginProblem(Exception):
    """A plugin is missing, cannot be imported, or does not keep its contract."""


class FieldProblem(msgspec.Struct, frozen=True):
    key: str
    text: str


class SettingsProblems(Exception):
    """Every wrong field of one struct."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{problem.key}: {problem.text}" for problem in problems))
        self.problems = problems


# ---------------------------------------------------------------------------------------------- modules


def feed(name: str) -> Feed:
    return cast(Feed, load(FEEDS, name))


def bot(name: str) -> BotModule:
    return cast(BotModule, load(BOTS, name))


def command(name: str) -> Command:
    module = load(COMMANDS, name)
    if not hasattr(module, "NAME"):
        module.NAME = name  # type: ignore[attr-defined]  # the contract's default
    return cast(Command, module)


def charts() -> ModuleType | None:
    """The package that draws; None where the library that it draws with is not installed."""
    if find_spec("matplotlib") is None:
        return None
    return importlib.import_module("charts")


def recordings() -> ModuleType:
    """The package that knows the formats of files with prices."""
    return importlib.import_module("plugins.feeds.recordings")


def commands() -> list[Command]:
    """Every command there is, by name. One that cannot be loaded is told and left out: the others answer."""
    found = []
    for name in names(COMMANDS):
        try:
            found.append(command(name))
        except PluginProblem as problem:
            log.error("a command cannot be loaded", command=name, reason=str(problem))
    return found


def names(shelf: Shelf) -> list[str]:
    """The names that can be asked for: files with the contract's function, and entry points."""
    package = importlib.import_module(shelf.package)
    own = {
        path.parent.name if path.name == "__init__.py" else path.stem
        for folder in package.__path__
        for path in (*Path(folder).glob("*.py"), *Path(folder).glob("*/__init__.py"))
        if re.search(rf"^(async )?def {shelf.contract[-1]}\b", path.read_text(), re.MULTILINE)
    }
    return sorted(own | {point.name for point in entry_points(group=shelf.group)})


def load(shelf: Shelf, name: str) -> ModuleType:
    """The module `name` of that shelf, or PluginProblem."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise PluginProblem(
            f"{shown(name)} cannot be the name of a {shelf.noun} module: use letters, digits and _, not a path"
        )
    module = _own(shelf, name) or _installed(shelf, name)
    if module is None:
        raise PluginProblem(_absent(shelf, name))
    missing = [word for word in shelf.contract if not hasattr(module, word)]
    if missing:
        raise PluginProblem(
            f"{module.__name__} is no {shelf.noun}: it lacks {listed(missing)}; hub/plugin.py says what each is"
        )
    return module


def missing_library(error: ImportError) -> str:
    """The cure for an import that failed: which extra brings the library."""
    library = (error.name or "").partition(".")[0]
    if library in EXTRAS:
        return f'the library {library} is not installed: pip install "tocsin[{EXTRAS[library]}]"'
    if library and isinstance(error, ModuleNotFoundError):
        return f"the library {library} is not installed"
    return str(error)


def _own(shelf: Shelf, name: str) -> ModuleType | None:
    path = f"{shelf.package}.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name == path:
            return None
        raise PluginProblem(f"{path} cannot be imported: {missing_library(error)}") from error
    except Exception as error:
        raise PluginProblem(f"{path} cannot be imported: {_reason(error)}") from error


def _installed(shelf: Shelf, name: str) -> ModuleType | None:
    points: list[EntryPoint] = list(entry_points(group=shelf.group, name=name))
    if not points:
        return None
    try:
        module = points[0].load()
    except Exception as error:
        raise PluginProblem(
            f"the entry point {shelf.group}:{name} ({points[0].value}) cannot be loaded: {_reason(error)}"
        ) from error
    if not isinstance(module, ModuleType):
        raise PluginProblem(
            f"the entry point {shelf.group}:{name} ({points[0].value}) names a {type(module).__name__}; "
            f"it has to name a module"
        )
    return module


def _reason(error: Exception) -> str:
    return missing_library(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"


def _absent(shelf: Shelf, name: str) -> str:
    available = names(shelf)
    return (
        f"there is no {shelf.noun} module {shown(name)}{did_you_mean(name, available)}; "
        f"there {'are' if len(available) > 1 else 'is'} {listed(available) or 'none'}"
    )


# --------------------------------------------------------------------------------------------- settings


def settings_of(module: object, raw: object) -> Any:
    """The module's own Settings from a plain table, or SettingsProblems with every wrong field. What is a
    Settings already is returned as it is."""
    kind: type[msgspec.Struct] = module.Settings  # type: ignore[attr-defined]
    if isinstance(raw, kind):
        return raw
    return struct(kind, cast(Mapping[str, object], raw or {}))


def struct(kind: type[S], raw: Mapping[str, object], *, as_text: Collection[str] = (), also: Collection[str] = ()) -> S:
    """`raw` as a `kind`, or SettingsProblems. Fields named in `as_text` hold text from the environment and are
    read as their type; `also` are further keys that a person may have meant."""
    values, problems = fields(kind, raw, as_text=as_text, also=also)
    if not problems:
        try:
            return kind(**values)
        except (TypeError, ValueError) as error:  # what its own __post_init__ refused
            problems = [FieldProblem("", str(error))]
    raise SettingsProblems(problems)


def fields(
    kind: type[msgspec.Struct],
    raw: Mapping[str, object],
    *,
    as_text: Collection[str] = (),
    also: Collection[str] = (),
) -> tuple[dict[str, Any], list[FieldProblem]]:
    """The good fields by their Python names, and what is wrong with the others."""
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for key, value in raw.items():
        if key not in known:
            problems.append(FieldProblem(key, unknown("setting", key, [*known, *also])))
            continue
        try:
            values[known[key].name] = read(value, known[key].type, key in as_text)
        except msgspec.ValidationError as error:
            problems.append(FieldProblem(key, f"{shown(value)} is not {expected(known[key].type, str(error))}"))
    for key, field in known.items():
        if field.required and key not in raw:
            problems.append(FieldProblem(key, f"is missing: set it to {expected(field.type, 'a value')}"))
    return values, problems


def read(value: object, kind: Any, as_text: bool) -> Any:
    """One value as its type; text from the environment may be "8080", "true", "a,b" or "a=b,c=d"."""
    if as_text and isinstance(value, str):
        if get_origin(kind) in (tuple, list, set, frozenset):
            value = [part.strip() for part in value.split(",") if part.strip()]
        elif get_origin(kind) is dict:
            pairs = [part.partition("=") for part in value.split(",") if part.strip()]
            value = {key.strip(): tail.strip() for key, _, tail in pairs}
    return msgspec.convert(value, kind, strict=not as_text)


# ------------------------------------------------------------------------------------------------ words


def unknown(noun: str, key: str, known: Iterable[str]) -> str:
    """What to say of a name that is not there."""
    known = sorted(set(known))
    guess = did_you_mean(key, known)
    return f"there is no {noun} {shown(key)}{guess or f'; there is {listed(known)}' if known else ''}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean "binance"?)', or nothing where nothing is close."""
    folded = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f' (did you mean "{folded[close[0]]}"?)' if close else ""


def expected(kind: Any, otherwise: str) -> str:
    """A type in the words of somebody who writes a configuration file."""
    if get_origin(kind) is Literal:
        return listed([shown(value) for value in get_args(kind)], "or")
    words = {
        str: 'a text in quotes, like "this"',
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        tuple[str, ...]: 'a list of texts, like ["a", "b"]',
        list[str]: 'a list of texts, like ["a", "b"]',
        dict[str, str]: 'a table of texts, like { a = "b" }',
    }
    return words.get(kind) or f"what is needed ({otherwise[:1].lower()}{otherwise[1:]})"


def listed(words: Iterable[str], last: str = "and") -> str:
    words = list(words)
    return f" {last} ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def shown(value: object) -> str:
    """A value as it would stand in the file, cut to a length one can read."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError):
        text = str(value)
    if isinstance(value, float) and text == "null":
        text = str(value)  # JSON has no nan and no inf
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "…"
