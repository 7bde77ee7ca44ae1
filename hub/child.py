"""The supervisor's children: what each was given, when it has to stop, and how it tells what became of it.

A child (`python -m hub core`, `python -m hub bot NAME`) finds in its environment TOCSIN_RUN_CONFIG (the
effective configuration, `<folder>/run/config.json`), TOCSIN_RUN_NAME, TOCSIN_RUN_BUS_URL and
TOCSIN_RUN_BUS_TOKEN. Its stdin is a pipe that carries nothing: the end of it means that the supervisor is gone,
however it went. SIGTERM asks for the same: stop in order. Exit code 2 means "cannot go on", with the sentence
why in `<folder>/run/<name>.fatal`; anything else but 0 is a crash, and the child is started again.

Depends on msgspec; uvloop is used where it is installed.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hub.config import Config, ConfigProblems, parse_dump
from hub.frame import NewerFrame
from hub.load import PluginProblem
from hub.plugin import GiveUp, TryLater

CONFIG = "TOCSIN_RUN_CONFIG"
NAME = "TOCSIN_RUN_NAME"
BUS_URL = "TOCSIN_RUN_BUS_URL"
BUS_TOKEN = "TOCSIN_RUN_BUS_TOKEN"
CANNOT_GO_ON = 2
ORPHAN_GRACE_S = 8.0
"""How long a child may take to stop in order once its supervisor is gone; shorter than the next hub's patience."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor hands to a child. `run` is the folder of the run files."""

    name: str
    config: Config
    run: Path
    bus_url: str
    bus_token: str


class NoSupervisor(Exception):
    """The process was started by hand; the sentence says what to start instead."""


def given(environ: Mapping[str, str] = os.environ) -> Given:
    missing = [key for key in (CONFIG, NAME, BUS_URL) if key not in environ]
    if missing:
        raise NoSupervisor(f"{', '.join(missing)} not set: this is a child of `tocsin run`, start that instead")
    path = Path(environ[CONFIG])
    return Given(
        name=environ[NAME],
        config=parse_dump(path.read_bytes()),
        run=path.parent,
        bus_url=environ[BUS_URL],
        bus_token=environ.get(BUS_TOKEN, ""),
    )


def stop_event() -> asyncio.Event:
    """Set once this child has to stop: at SIGTERM, at SIGINT and at the end of its stdin. A child that does not
    manage to stop in ORPHAN_GRACE_S without its supervisor is ended, so that none is ever left behind.
    Call it on the running loop in the main thread, once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        try:
            loop.call_soon_threadsafe(stop.set)
        except RuntimeError:
            return  # the loop is closed: this process is ending already
        time.sleep(ORPHAN_GRACE_S)
        os._exit(1)

    # A thread, not a reader on the loop: it must work where the loop is blocked.
    threading.Thread(target=watch, name="orphan watch", daemon=True).start()
    return stop


def ready(run: Path, name: str = "core") -> None:
    """Tells the supervisor that this child serves."""
    (run / f"{name}.ready").touch()


def cannot_go_on(run: Path, reason: str, name: str = "core") -> int:
    """Leaves the sentence for the supervisor; the exit code to end with."""
    (run / f"{name}.fatal").write_text(reason)
    return CANNOT_GO_ON


def run_async(main: Coroutine[Any, Any, int]) -> int:
    """`asyncio.run`, on uvloop where it is installed."""
    try:
        import uvloop  # absent on Windows
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def main(arguments: list[str]) -> int:
    """`core` or `bot NAME`. Problems that we know end it with a sentence and exit code 2."""
    try:
        what = given()
    except NoSupervisor as problem:
        print(f"tocsin: {problem}", file=sys.stderr)
        return CANNOT_GO_ON
    match arguments:
        case ["core"]:
            return run_async(_core(what))
        case ["bot", name]:
            return run_async(_bot(what, name))
    print(f"tocsin: no such child: {' '.join(arguments)}", file=sys.stderr)
    return CANNOT_GO_ON


async def _core(what: Given) -> int:
    from hub import app  # a bot's process never pays for the core's imports

    try:
        return int(await app.main(what.run / "config.json"))
    except (ConfigProblems, PluginProblem, NewerFrame, GiveUp) as problem:
        return cannot_go_on(what.run, str(problem), what.name)


async def _bot(what: Given, name: str) -> int:
    from hub import bothost, logs  # the core's process never pays for a bot's imports

    logs.setup(what.config.hub.log, what.config.hub.log_level, process=what.name)
    try:
        return int(await bothost.main(name, what.config, what.bus_url, what.bus_token, stop_event()))
    except (ConfigProblems, PluginProblem, GiveUp, TryLater) as problem:
        return cannot_go_on(what.run, str(problem), what.name)
