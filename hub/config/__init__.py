"""`config.toml` and the environment → typed structs, or every problem at once.

The file is read first, then `TOCSIN_<SECTION>__<KEY>` (`TOCSIN_FEEDS__<NAME>__<KEY>`) replaces single settings.
Secrets (`token`, `password`, ...) come from the environment only, as `TOCSIN_BUS_TOKEN` or from the file that
`TOCSIN_BUS_TOKEN_FILE` names; for a feed or a bot as `TOCSIN_BOTS__<NAME>__TOKEN` or the same with `_FILE`. What a
feed or a bot has of its own is read by its module's `Settings` (hub.load), so loading imports those modules.
Without a file the hub has the settings of the shipped `config.toml`.

Rooms: `sections` holds the structs, `reading` the checks, `lines` finds the place of a key. Depends on hub.instruments,
hub.load and hub.model.
"""

import copy
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hub.config.lines import lines_of
from hub.config.reading import PREFIX, SECRET, Problem, Reading, settings_in, table_at
from hub.config.sections import (
    BUILT_IN_SOURCE,
    ROLES,
    SECTIONS,
    TABLES,
    AlertsSection,
    BotSection,
    BusSection,
    CacheSection,
    ChartsSection,
    Config,
    DeliverySection,
    FeedSection,
    HistorySection,
    HubSection,
    LedgerSection,
    Section,
)

__all__ = [
    "BUILT_IN",
    "BUILT_IN_SOURCE",
    "ROLES",
    "SECTIONS",
    "AlertsSection",
    "BotSection",
    "BusSection",
    "CacheSection",
    "ChartsSection",
    "Config",
    "ConfigProblems",
    "DeliverySection",
    "FeedSection",
    "HistorySection",
    "HubSection",
    "LedgerSection",
    "Problem",
    "Reading",
    "Section",
    "dump",
    "lines_of",
    "load",
    "parse_dump",
]

BUILT_IN: dict[str, Any] = {
    "feeds": {
        "swissquote": {"symbols": {"XAU-USD": "XAU/USD", "XAG-USD": "XAG/USD"}},
        "binance": {"symbols": {"BTC-USDT": "btcusdt", "ETH-USDT": "ethusdt"}},
    },
    "bots": {
        "console": {},
        "discord": {"enabled": False},
        "push": {},
        "slack": {"enabled": False},
        "telegram": {"enabled": False},
    },
}
"""What the shipped config.toml switches on, for a hub without a file."""


class ConfigProblems(Exception):
    """All that has to change before the hub can start, in the order of the file."""

    def __init__(self, problems: list[Problem], path: Path | None = None) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.line is None, problem.line or 0))
        self.path = path
        super().__init__("\n".join(self.where(problem) + problem.text for problem in self.problems))

    def where(self, problem: Problem) -> str:
        """ "config.toml:12: bus.port: ", as far as it is known."""
        if problem.key.startswith(PREFIX):
            return f"environment: {problem.key}: "
        file = str(self.path or BUILT_IN_SOURCE) + (f":{problem.line}" if problem.line else "")
        return f"{file}: {problem.key}: " if problem.key else f"{file}: "


def load(path: Path | None = None, *, data: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration in `path`, else in ./config.toml, else the built-in one; or ConfigProblems."""
    found = path or (Path("config.toml") if Path("config.toml").is_file() else None)
    text, raw = _parsed(found)
    reading = Reading(raw, lines_of(text), environ)
    source = str(found.resolve()) if found else BUILT_IN_SOURCE
    config = reading.config(found.resolve().parent if found else Path.cwd(), data, source)
    if reading.problems:
        raise ConfigProblems(reading.problems, found)
    return config


def _parsed(path: Path | None) -> tuple[str, dict[str, Any]]:
    """Its text and its tables; a file that cannot be read or parsed is one problem."""
    if path is None:
        return "", copy.deepcopy(BUILT_IN)
    try:
        text = path.read_bytes().decode()
        return text, tomllib.loads(text)
    except FileNotFoundError:
        reason, line = "there is no such file; give the path of a config.toml, or none for the built-in settings", None
    except UnicodeDecodeError as error:
        reason, line = f"the file is not UTF-8 text (byte {error.start}); save it as UTF-8", None
    except OSError as error:
        reason, line = f"the file cannot be read: {error.strerror}", None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        reason = f"this is not TOML: {error}; texts stand in quotes, lists in [ ], tables under [name]"
    raise ConfigProblems([Problem(line, "", reason)], path)


def dump(config: Config) -> bytes:
    """The effective configuration as JSON for child processes, without secrets: a child takes those from its
    own environment."""
    tree: dict[str, Any] = {name: msgspec.to_builtins(getattr(config, name)) for name in (*SECTIONS, *TABLES)}
    for table in ("feeds", "bots"):
        tree[table] = {one.pop("name"): {**(one.pop("settings") or {}), **one} for one in tree[table]}
    for key in list(settings_in(tree)):
        if SECRET.search(key[-1]):
            table_at(tree, key[:-1]).pop(key[-1])
    return msgspec.json.encode({"folder": str(config.folder), "source": config.source, "config": tree})


def parse_dump(raw: bytes, environ: Mapping[str, str] = os.environ) -> Config:
    """What `dump` wrote, checked again, with the secrets of this process's environment."""
    content = msgspec.json.decode(raw, type=dict[str, Any])
    secrets = {name: text for name, text in environ.items() if SECRET.search(name.lower().removesuffix("_file"))}
    reading = Reading(content["config"], {}, secrets)
    folder = Path(content["folder"])
    config = reading.config(folder, folder, content["source"])
    if reading.problems:
        raise ConfigProblems(reading.problems)
    return config
