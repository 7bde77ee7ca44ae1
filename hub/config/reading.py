"""Tables and the environment → a Config, with every problem on the way named and placed.

`Reading` is one pass: it takes what the environment replaces, refuses secrets that stand in the file, checks each
section, and lets the modules of feeds and bots check what is their own. It collects problems and raises none.
Depends on hub.instruments, hub.load and hub.model.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from hub.config.lines import Key
from hub.config.sections import (
    ROLES,
    SECTIONS,
    TABLES,
    BotSection,
    BusSection,
    Config,
    FeedSection,
    HubSection,
    Section,
)
from hub.instruments import CATALOGUE, build_catalogue
from hub.load import (
    FieldProblem,
    PluginProblem,
    SettingsProblems,
    bot,
    did_you_mean,
    feed,
    fields,
    listed,
    shown,
    struct,
    unknown,
)
from hub.model import Instrument, Nature

RANGES: dict[Key, tuple[float, float, str]] = {
    ("bus", "port"): (0, 65_535, "0 (any free port) to 65535"),
    ("bus", "max_mb"): (16, 16_777_216, "16 or more"),
    ("history", "connections"): (1, 100, "1 to 100"),
    ("charts", "timeout_s"): (1, 300, "1 to 300"),
    ("history", "ticks_for"): (0, 36_525, "a number of days, 0 (for ever) or more"),
    ("alerts", "band_percent"): (0, 50, "0 to 50"),
    ("alerts", "late_after_s"): (0.001, 86_400, "more than 0 and at most a day"),
    ("alerts", "per_person"): (1, 10_000_000, "1 or more"),
    ("alerts", "storm_rings"): (0, 1_000, "0 to 1000"),
    ("alerts", "lines_per_minute"): (1, 100_000, "1 or more"),
    ("delivery", "group_for_ms"): (0, 60_000, "0 to 60000"),
    ("delivery", "give_up_after_hours"): (0.001, 8_784, "more than 0 and at most a year"),
    ("delivery", "fallback_after_minutes"): (0, 10_080, "0 (never) to 10080 (a week)"),
    ("feeds", "mute_after_s"): (0.1, 604_800, "0.1 or more, at most a week"),
    ("feeds", "fresh_for_s"): (0.1, 604_800, "0.1 or more, at most a week"),
}
STORE_SCHEMES = {
    "history": (("postgresql://", "postgres://"), "PostgreSQL", "postgresql://user@host:5432/database"),
    "ledger": (("postgresql://", "postgres://"), "PostgreSQL", "postgresql://user@host:5432/database"),
    "cache": (("redis://", "rediss://"), "Redis", "redis://host:6379/0"),
}
"""Section → what its URL may begin with, whose URL that is, and how it is written."""
THEMES = ("light", "dark", "light red-up", "dark red-up", "light blue-up", "dark blue-up")
BUS_SCHEMES = ("nats://", "tls://", "ws://", "wss://")
INSTRUMENT_ID = re.compile(r"[A-Z0-9][A-Z0-9._-]*")
PLUGIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
CATALOGUE_IDS = tuple(instrument.id for instrument in CATALOGUE)
SYNC = re.compile(r"always|[1-9][0-9]*(ms|s|m|h)")
SECRET = re.compile(r"(^|_)(token|secret|password|api_?key)$")
PREFIX = "TOCSIN_"


class Problem(msgspec.Struct, frozen=True):
    """One thing to change. `key` is dotted, or the name of the environment's variable; `line` counts from 1."""

    line: int | None
    key: str
    text: str


class Reading:
    """One pass over a configuration: what it says, where it says so, and the problems so far."""

    def __init__(self, raw: dict[str, Any], lines: Mapping[Key, int], environ: Mapping[str, str]) -> None:
        self.raw = raw
        self.lines = lines
        self.problems: list[Problem] = []
        self.variables: dict[Key, str] = {}  # settings that came from the environment → the variable
        self.refused: set[Key] = set()  # secrets that stood in the file
        self.recordings: list[Key] = []  # feeds that play a recording
        self._refuse_secrets()
        self._take(environ)

    def wrong(self, key: Key, text: str) -> None:
        variable = self.variables.get(key)
        if variable:
            self.problems.append(Problem(None, variable, text))
        else:
            self.problems.append(Problem(self._line(key), ".".join(key), text))

    def _line(self, key: Key) -> int | None:
        """Of the key itself, else of the first thing below it, else of what it stands in."""
        while key:
            below = [line for there, line in self.lines.items() if there[: len(key)] == key]
            if below:
                return self.lines.get(key, below[0])
            key = key[:-1]
        return None

    # the environment

    def _refuse_secrets(self) -> None:
        for key in list(settings_in(self.raw)):
            if SECRET.search(key[-1]):
                variable = _variable(key)
                self.refused.add(key)
                self.wrong(
                    key,
                    f"tokens belong in the environment, never in this file: remove the line and set {variable}, "
                    f"or {variable}_FILE to the path of a file that holds it",
                )
                table_at(self.raw, key[:-1]).pop(key[-1])

    def _take(self, environ: Mapping[str, str]) -> None:
        """Puts what the environment says in place, as text."""
        for variable, text in sorted(environ.items()):
            key = self._key(variable)
            if key is None:
                continue
            if key[-1].endswith("_file") and SECRET.search(key[-1].removesuffix("_file")):
                key = (*key[:-1], key[-1].removesuffix("_file"))
                try:
                    text = Path(text).read_text().strip()
                except (OSError, UnicodeDecodeError) as error:
                    self.problems.append(Problem(None, variable, f"{shown(text)} cannot be read: {error}"))
                    continue
            self.variables[key] = variable
            table_at(self.raw, key[:-1])[key[-1]] = text

    def _key(self, variable: str) -> Key | None:
        """The setting that a variable names. Other variables that begin with TOCSIN_ are not settings."""
        if variable in ("TOCSIN_BUS_TOKEN", "TOCSIN_BUS_TOKEN_FILE"):
            return ("bus", variable.removeprefix("TOCSIN_BUS_").lower())
        if not variable.startswith(PREFIX) or "__" not in variable:
            return None
        section, *rest = variable.removeprefix(PREFIX).split("__")
        parts = [section.lower(), *(part.lower() for part in rest)]
        if parts[0] in ("feeds", "bots") and len(parts) == 3:
            written = [name for name in self._table(parts[0]) if name.lower().replace("-", "_") == parts[1]]
            return (parts[0], written[0] if written else parts[1], parts[2])
        if parts[0] in SECTIONS and len(parts) == 2:
            return (parts[0], parts[1])
        forms = "TOCSIN_<SECTION>__<KEY>, TOCSIN_FEEDS__<NAME>__<KEY> or TOCSIN_BOTS__<NAME>__<KEY>"
        guess = did_you_mean(parts[0], [*SECTIONS, "feeds", "bots"])
        self.problems.append(Problem(None, variable, f"this names no setting{guess}; the forms are {forms}"))
        return None

    def _table(self, section: str) -> dict[str, Any]:
        table = self.raw.get(section, {})
        return table if isinstance(table, dict) else {}

    # the sections

    def config(self, folder: Path, data: Path | None, source: str) -> Config:
        for name in self.raw:
            if name not in SECTIONS and name not in TABLES:
                self.wrong((name,), unknown("section", name, [*SECTIONS, *TABLES]))
        sections: dict[str, Any] = {name: self._section(name, kind) for name, kind in SECTIONS.items()}
        self._meaning(sections["hub"], sections["bus"])
        for name in STORE_SCHEMES:
            self._store(name, sections[name].url)
        if sections["charts"].theme not in THEMES:
            self.wrong(("charts", "theme"), unknown("theme", sections["charts"].theme, THEMES))
        feeds = tuple(self._feeds())
        self._recording_alone(feeds)
        instruments = dict(self._instruments())
        self._served(feeds, instruments)
        return Config(
            **sections,
            instruments=instruments,
            prefer=dict(self._prefer([one.name for one in feeds])),
            feeds=feeds,
            bots=tuple(self._bots()),
            source=source,
            folder=(data.expanduser() if data else folder / Path(sections["hub"].data).expanduser()).resolve(),
        )

    def _section(self, name: str, kind: type[Section]) -> Section:
        table = self._plain((name,), self.raw.get(name, {}))
        return kind(**self._checked((name,), name, kind, table))

    def _plain(self, key: Key, value: object) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.wrong(key, f"{shown(value)} is not a table; write [{'.'.join(key)}] and its settings below")
        return {}

    def _checked(self, key: Key, ranges: str, kind: type[msgspec.Struct], table: Mapping[str, Any]) -> dict[str, Any]:
        """The good fields of one table; the others are named and have their defaults for the rest of the pass."""
        values, problems = fields(kind, table, as_text=self._as_text(key))
        self._add(key, problems)
        for field, value in list(values.items()):
            low, high, words = RANGES.get((ranges, field), (-math.inf, math.inf, "a number that is finite"))
            if isinstance(value, int | float) and not (low <= value <= high and math.isfinite(value)):
                self.wrong((*key, field), f"{shown(value)} is out of range; it has to be {words}")
                del values[field]
        return values

    def _add(self, key: Key, problems: list[FieldProblem]) -> None:
        for problem in problems:
            at = (*key, problem.key) if problem.key else key
            if not (SECRET.search(problem.key) and problem.text.startswith("is missing")):
                self.wrong(at, problem.text)
            elif at not in self.refused:  # else it was told already where it belongs
                variable = _variable(at)
                self.wrong(at, f"is missing: set {variable}, or {variable}_FILE to the path of a file that holds it")

    def _as_text(self, key: Key) -> list[str]:
        return [setting[-1] for setting in self.variables if setting[:-1] == key]

    def _meaning(self, hub: HubSection, bus: BusSection) -> None:
        for role in hub.roles:
            if role not in ROLES:
                self.wrong(("hub", "roles"), unknown("role", role, ROLES))
        if not hub.roles or len(set(hub.roles)) < len(hub.roles):
            self.wrong(("hub", "roles"), f"{shown(hub.roles)} has to name each role once, and one at least")
        if not hub.data.strip():
            self.wrong(("hub", "data"), 'the folder has no name; the default is "data"')
        if not _is_time_zone(hub.time_zone):
            self.wrong(("hub", "time_zone"), f'{shown(hub.time_zone)} is no time zone; write one like "Europe/Berlin"')
        if not SYNC.fullmatch(bus.sync):
            self.wrong(("bus", "sync"), f'{shown(bus.sync)} is neither "always" nor a time like "2m" or "500ms"')
        for url in (part.strip() for part in bus.url.split(",") if part.strip()):
            if not url.startswith(BUS_SCHEMES):
                self.wrong(
                    ("bus", "url"),
                    f'{shown(url.rpartition("@")[2])} is no NATS address; write it like "nats://host:4222"',
                )
            elif "@" in url:
                self.wrong(
                    ("bus", "url"), "holds a password or token: write the address alone and set TOCSIN_BUS_TOKEN"
                )

    def _store(self, name: str, url: str) -> None:
        schemes, whose, form = STORE_SCHEMES[name]
        if not url:
            return
        bare = url.rpartition("@")[2]
        try:
            parts = urlsplit(url)
            secret, whole = parts.password is not None, bool(parts.hostname) and parts.port != 0
        except ValueError:
            secret, whole = ":" in url.removesuffix(bare), False
        if secret:
            variable = _variable((name, "password"))
            self.wrong((name, "url"), f"holds a password: write the URL without it and set {variable}")
        elif not (url.startswith(schemes) and whole):
            self.wrong((name, "url"), f'{shown(bare)} is no {whose} URL; write it like "{form}"')

    def _feeds(self) -> Iterator[FeedSection]:
        for key, table in self._named("feeds"):
            values = self._generic(key, FeedSection, table)
            self._ids((*key, "symbols"), values.get("symbols", {}))
            yield FeedSection(**values, settings=self._own(key, values, table))

    def _bots(self) -> Iterator[BotSection]:
        for key, table in self._named("bots"):
            values = self._generic(key, BotSection, table)
            yield BotSection(**values, settings=self._own(key, values, table))

    def _generic(self, key: Key, kind: type[Section], table: dict[str, Any]) -> dict[str, Any]:
        """What every feed or bot has, taken out of its table."""
        given = {name: table.pop(name) for name in _generic_names(kind) if name in table}
        checked = self._checked(key, key[0], kind, {"module": key[1], **given, "name": key[1]})
        return {"module": key[1], **checked}

    def _own(self, key: Key, values: Mapping[str, Any], table: dict[str, Any]) -> dict[str, Any]:
        """What is the module's own, once its Settings take it. Of what is switched off nothing is asked."""
        if not values.get("enabled", True):
            return table
        try:
            module = feed(values["module"]) if key[0] == "feeds" else bot(values["module"])
        except PluginProblem as problem:
            self.wrong((*key, "module"), str(problem))
            return table
        if getattr(module, "NATURE", None) is Nature.RECORDING:
            self.recordings.append(key)
        generic = _generic_names(FeedSection if key[0] == "feeds" else BotSection)
        texts = self._as_text(key)
        try:
            settings = struct(module.Settings, table, as_text=texts, also=generic)
        except SettingsProblems as wrong:
            self._add(key, wrong.problems)
            return table
        typed = msgspec.json.decode(msgspec.json.encode(settings))
        return {name: typed.get(name, value) if name in texts else value for name, value in table.items()}

    def _named(self, section: str) -> Iterator[tuple[Key, dict[str, Any]]]:
        for name, table in self._plain((section,), self.raw.get(section, {})).items():
            if PLUGIN_NAME.fullmatch(name):
                yield (section, name), dict(self._plain((section, name), table))
            else:
                self.wrong((section, name), f"{shown(name)} is no name; use letters, digits, _ and -")

    def _instruments(self) -> Iterator[tuple[str, dict[str, Any]]]:
        table = self._plain(("instruments",), self.raw.get("instruments", {}))
        self._ids(("instruments",), table)
        for name, changes in table.items():
            key = ("instruments", name)
            plain = self._plain(key, changes)
            _, problems = fields(Instrument, {"name": name, **plain, "id": name})
            self._add(key, problems)
            if "id" in plain:
                self.wrong((*key, "id"), "the id is the section's name; remove this line")
            elif not problems and INSTRUMENT_ID.fullmatch(name):
                self._in_catalogue(key, plain)
            yield name, plain

    def _in_catalogue(self, key: Key, changes: dict[str, Any]) -> None:
        try:
            build_catalogue({key[1]: changes}, ())
        except ValueError as error:
            field, _, text = str(error).removeprefix(".".join(key)).removeprefix(".").partition(": ")
            self.wrong((*key, field) if field else key, text)

    def _served(self, feeds: tuple[FeedSection, ...], instruments: Mapping[str, object]) -> None:
        for one in feeds:
            for name in one.symbols:
                if INSTRUMENT_ID.fullmatch(name) and name not in CATALOGUE_IDS and name not in instruments:
                    self.wrong(
                        ("feeds", one.name, "symbols", name),
                        f"{shown(name)} is no instrument that this hub knows{did_you_mean(name, CATALOGUE_IDS)}; "
                        f"correct it, or add [instruments.{name}] with its name, class, session and basis",
                    )

    def _prefer(self, feeds: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        table = self._plain(("prefer",), self.raw.get("prefer", {}))
        self._ids(("prefer",), table)
        for name, wanted in table.items():
            if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
                self.wrong(("prefer", name), f'{shown(wanted)} is not a list of feeds, like ["binance", "swissquote"]')
                continue
            for one in wanted:
                if one not in feeds:
                    self.wrong(("prefer", name), unknown("feed", one, feeds) + "; add [feeds." + one + "] or remove it")
            yield name, tuple(dict.fromkeys(wanted))

    def _ids(self, key: Key, table: Mapping[str, object]) -> None:
        for name in table:
            if not INSTRUMENT_ID.fullmatch(name):
                self.wrong(
                    (*key, name),
                    f'{shown(name)} is no instrument id; write capitals, digits, "-", "." and "_", like "XAU-USD"',
                )

    def _recording_alone(self, feeds: tuple[FeedSection, ...]) -> None:
        """Recordings may be played together, but beside nothing else."""
        played = {key[1] for key in self.recordings}
        others = [one.name for one in feeds if one.enabled and one.name not in played]
        for key in self.recordings:
            if others:
                rest = listed(others)
                self.wrong(
                    key,
                    f"plays a recording beside {rest}: a recording must have a data folder of its own; give it its own "
                    f"configuration file and data folder, or set enabled = false on the others",
                )


def _generic_names(kind: type[Section]) -> list[str]:
    return [name for name in kind.__struct_fields__ if name not in ("name", "settings")]


def settings_in(table: Mapping[str, Any], above: Key = ()) -> Iterator[Key]:
    """Every key that holds a value."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from settings_in(value, (*above, name))
        else:
            yield (*above, name)


def table_at(raw: dict[str, Any], key: Key) -> dict[str, Any]:
    """The table at `key`, made where there is none. What stands there and is no table is replaced."""
    for part in key:
        if not isinstance(raw.get(part), dict):
            raw[part] = {}
        raw = raw[part]
    return raw


def _variable(key: Key) -> str:
    """The variable that sets a secret."""
    return "TOCSIN_BUS_TOKEN" if key == ("bus", "token") else PREFIX + "__".join(key).upper().replace("-", "_")


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
