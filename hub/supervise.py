"""The parent of a hub on one machine: broker, core and bots as children.

Promises: one hub a data folder (`hub.lock`, inherited by every child, so that it is free only when the last of
them is dead); a child that dies is started again with back-off and said so, the broker on its old port with its
old token; on a stop the core and the bots go first, the broker after them, the lock last; no child outlives this
process, however it ends (end of their stdin, and SIGTERM by the kernel on Linux).

`<folder>/run/` while it runs: `config.json` (the effective configuration, for children), `hub.json` (how
`tocsin ask`, `chat` and `status` find the hub), `children.json` (each child's process id, restarts and last
exit), `core.ready` (made by the core once it serves), `<child>.fatal` (why a child cannot go on: hub.child).

Imports stay light: no NATS client, no HTTP, no database. Start it in the main thread: the kernel ties children to
the thread that started them.
"""

import asyncio
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from hub import broker, child, lock
from hub.config import Config, dump
from hub.lock import ChildState, FolderBusy, HubProblem, Log

STOP_WITHIN_S = 15.0
HEALTHY_AFTER_S = 60.0
FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 30.0
READY_POLL_S = 0.02
ROOM_POLL_S = 1.0

__all__ = ["ChildState", "FolderBusy", "HubProblem", "Supervisor", "supervise"]


# ------------------------------------------------------------------------------------------- decisions


def next_try_s(failures: int, chance: float) -> float:
    """The wait before the next start after so many failures in a row: 0.1 s, then 1, 2, 4 ... 30 s, each up to
    a fifth shorter by `chance` (0 to 1), so that children which died together do not come back together."""
    if failures <= 1:
        return FIRST_RETRY_S
    return min(LONGEST_RETRY_S, 2.0 ** min(failures - 2, 10)) * (1 - 0.2 * chance)


def exit_text(code: int) -> str:
    """ "exit code 1" or "SIGKILL"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def now_us() -> int:
    return time.time_ns() // 1000


# ------------------------------------------------------------------------------------------- children


class _Kept:
    """One child that is kept running: how it is started, and when it has to end."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Process]], stop: asyncio.Event) -> None:
        self.name = name
        self.start = start
        self.stop = stop
        self.state = ChildState()


class Supervisor:
    """A hub and its children. `start` returns once it serves; `wait` once it has ended, with the exit code:
    0 after a stop, 2 where it could not go on (`problem` says why)."""

    def __init__(
        self,
        config: Config,
        *,
        roles: Sequence[str] | None = None,
        log_to: Path | None = None,
        core_command: Sequence[str] = (sys.executable, "-m", "hub", "core"),
        bot_command: Sequence[str] = (sys.executable, "-m", "hub", "bot"),
        stop_within_s: float = STOP_WITHIN_S,
        back_off: Callable[[int, float], float] = next_try_s,
        log: Log | None = None,
    ) -> None:
        self.roles = tuple(config.hub.roles if roles is None else roles)
        hub = msgspec.structs.replace(config.hub, roles=self.roles)
        self.config = msgspec.structs.replace(config, hub=hub)
        self.folder = config.folder
        self.run = config.folder / "run"
        self.problem = ""
        self.bus_url = config.bus.url
        self.bus_token = config.bus.token
        self._log_to = log_to
        self._core_command = tuple(core_command)
        self._bot_command = tuple(bot_command)
        self._stop_within_s = stop_within_s
        self._back_off = back_off
        self._log = log or _structlog
        self._stop = asyncio.Event()  # the core and the bots
        self._stop_broker = asyncio.Event()
        self._hurry = asyncio.Event()
        self._ready = asyncio.Event()
        self._lock_fd: int | None = None
        self._broker: broker.Broker | None = None
        self._output: IO[bytes] | None = None
        self._kept: list[_Kept] = []
        self._running: asyncio.Task[None] | None = None

    async def start(self, patience_s: float | None = 30.0) -> None:
        """Returns once the core serves (or `ask_to_stop` was called meanwhile). HubProblem, FolderBusy or
        BrokerProblem where that cannot be; everything that was started is ended then. `patience_s` None waits
        for ever, through restarts."""
        begun = time.monotonic()
        self._lock_fd = await lock.take(self.folder, self._log)
        try:
            self._write_run_files()
            if not self.config.bus.url:
                self._broker = await broker.start(self.config.bus, self.folder, self._lock_fd)
                self.bus_url, self.bus_token = self._broker.url, self._broker.token
            self._write_hub()
            self._plan()
        except BaseException:
            if self._broker is not None:
                await self._broker.stop()
            self._clean_up()
            raise
        self._running = asyncio.create_task(self._keep_all(), name="supervisor")
        await self._until_ready(patience_s)
        if self._ready.is_set():
            self._log("info", "the hub serves", folder=str(self.folder), after_s=round(time.monotonic() - begun, 2))

    async def wait(self) -> int:
        """The exit code, once every child has ended."""
        if self._running is not None:
            await asyncio.shield(self._running)
        return child.CANNOT_GO_ON if self.problem else 0

    async def stop(self) -> int:
        """Stops everything in order and waits for it."""
        self.ask_to_stop()
        return await self.wait()

    def ask_to_stop(self) -> None:
        self._stop.set()

    def hurry(self) -> None:
        """Stops without waiting for anybody: children that have not ended are killed."""
        self._stop.set()
        self._hurry.set()

    # ------------------------------------------------------------------------------- keeping them running

    async def _keep_all(self) -> None:
        """The nesting is the order of the stop: core and bots, broker, lock."""
        try:
            async with asyncio.TaskGroup() as outer:
                for kept in self._kept:
                    if kept.stop is self._stop_broker:
                        outer.create_task(self._keep(kept), name=kept.name)
                        outer.create_task(self._watch_room(), name="room")
                try:
                    async with asyncio.TaskGroup() as inner:
                        for kept in self._kept:
                            if kept.stop is self._stop:
                                inner.create_task(self._keep(kept), name=kept.name)
                        inner.create_task(self._watch_ready(), name="ready")
                        await self._stop.wait()
                finally:
                    self._stop_broker.set()
        finally:
            self._clean_up()
            self._log("info", "the hub has stopped", folder=str(self.folder))

    async def _keep(self, kept: _Kept) -> None:
        """Starts the child, waits for its end, starts it again; until its stop is set, which ends it."""
        failures, reason, told, known = 0, "", "", False
        while not kept.stop.is_set():
            begun = time.monotonic()
            try:
                process = await kept.start()
            except (OSError, broker.BrokerProblem) as problem:
                ended, reason = str(problem), ""
            else:
                self._note(kept, pid=process.pid, started_at=now_us())
                if kept.state.restarts:
                    self._log(
                        "debug" if known else "info", "a child was started again", child=kept.name, pid=process.pid
                    )
                code = await self._until_end(kept, process)
                ended = exit_text(code)
                reason = self._reason(kept.name)
                self._note(kept, pid=None, last_exit=ended, last_exit_at=now_us(), reason=reason or None)
                if kept.name == "core" and code == child.CANNOT_GO_ON:
                    self._give_up(reason or "the core cannot go on and did not say why")
                ended += f": {reason}" if reason else ""
            if kept.stop.is_set():
                return
            healthy = time.monotonic() - begun > HEALTHY_AFTER_S
            failures = 1 if healthy else failures + 1
            wait_s = self._back_off(failures, random.random())
            known = reason != "" and ended == told and not healthy  # what keeps it from going on is said once
            told = ended
            self._log(
                "debug" if known else "warning",
                "a child ended",
                child=kept.name,
                how=ended,
                next_try_s=round(wait_s, 1),
            )
            await _happens(kept.stop, wait_s)
            kept.state.restarts += 1

    async def _until_end(self, kept: _Kept, process: Process) -> int:
        """The exit code; once its stop is set the child is asked to end, and made to when it does not."""
        end = asyncio.ensure_future(process.wait())
        stop = asyncio.ensure_future(kept.stop.wait())
        either: set[asyncio.Future[Any]] = {end, stop}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not end.done():
                await self._end(kept, process, end)
            return await end
        finally:
            stop.cancel()
            if process.returncode is None:  # cancelled: nothing of ours may stay behind
                _send(process, signal.SIGKILL)

    async def _end(self, kept: _Kept, process: Process, end: "asyncio.Future[int]") -> None:
        hurry = asyncio.ensure_future(self._hurry.wait())
        either: set[asyncio.Future[Any]] = {end, hurry}
        try:
            _send(process, signal.SIGTERM)
            await asyncio.wait(either, timeout=self._stop_within_s, return_when=asyncio.FIRST_COMPLETED)
            if not end.done() and hurry.done():  # the broker ends in milliseconds; killing it gains nothing
                await asyncio.wait({end}, timeout=1.0)
            if not end.done():
                why = "in a hurry" if hurry.done() else f"it did not stop within {self._stop_within_s:g} s"
                self._log("warning", "a child was killed", child=kept.name, why=why)
                _send(process, signal.SIGKILL)
        finally:
            hurry.cancel()

    def _give_up(self, reason: str) -> None:
        self.problem = reason
        self._log("error", "the hub cannot go on", why=reason)
        self._stop.set()

    # ------------------------------------------------------------------------------- starting each

    def _plan(self) -> None:
        if self._broker is not None:
            self._add("broker", self._start_broker, self._stop_broker)
        if set(self.roles) - {"bots"}:
            self._add("core", lambda: self._spawn("core", self._core_command), self._stop)
        if "bots" in self.roles:
            for bot in self.config.bots:
                if bot.enabled:
                    self._add(f"bot.{bot.name}", self._bot_starter(bot.name), self._stop)

    def _add(self, name: str, start: Callable[[], Awaitable[Process]], stop: asyncio.Event) -> None:
        self._kept.append(_Kept(name, start, stop))

    def _bot_starter(self, name: str) -> Callable[[], Awaitable[Process]]:
        return lambda: self._spawn(f"bot.{name}", (*self._bot_command, name))

    async def _start_broker(self) -> Process:
        """The server that `start` brought up, and later ones on its port, so that clients just come back."""
        current = self._broker
        assert current is not None
        if current.process.returncode is not None:
            current = self._broker = await broker.start(
                self.config.bus, self.folder, self._lock_fd, port=current.port, token=current.token
            )
        return current.process

    async def _spawn(self, name: str, command: Sequence[str]) -> Process:
        assert self._lock_fd is not None
        for stale in (self.run / f"{name}.ready", self.run / f"{name}.fatal"):
            stale.unlink(missing_ok=True)
        environment = {
            **os.environ,
            child.CONFIG: str(self.run / "config.json"),
            child.NAME: name,
            child.BUS_URL: self.bus_url,
            child.BUS_TOKEN: self.bus_token,
        }
        output = self._output or sys.stderr
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=(self._lock_fd,),
            preexec_fn=broker.dies_with_parent(),
            start_new_session=True,
        )

    async def _watch_room(self) -> None:
        """A broker that met a full disk stays deaf: it is started anew when there is room again (broker.Room)."""
        room = broker.Room(self.folder)
        while not await _happens(self._stop_broker, ROOM_POLL_S):
            told = room.was_full
            if room.look():
                if not told:
                    self._log(
                        "error",
                        "the disk is full: ticks wait with their feeds, nothing that was accepted is lost",
                        folder=str(self.folder),
                        cure="free some space, the hub goes on by itself",
                    )
            elif told and room.is_back() and self._broker is not None:
                self._log("info", "the disk has room again: the broker is started anew")
                room.was_full = False
                _send(self._broker.process, signal.SIGTERM)

    # ------------------------------------------------------------------------------- readiness

    async def _watch_ready(self) -> None:
        if set(self.roles) - {"bots"}:
            path = self.run / "core.ready"
            while not path.exists():
                if await _happens(self._stop, READY_POLL_S):
                    return
        self._ready.set()

    async def _until_ready(self, patience_s: float | None) -> None:
        assert self._running is not None
        ready = asyncio.ensure_future(self._ready.wait())
        stop = asyncio.ensure_future(self._stop.wait())
        ends: set[asyncio.Future[Any]] = {ready, stop, self._running}
        try:
            await asyncio.wait(ends, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            ready.cancel()
            stop.cancel()
        if self._ready.is_set() or (self._stop.is_set() and not self.problem):
            return
        await self.stop()
        where = f" in {self._log_to}" if self._log_to else " above"
        raise HubProblem(self.problem or f"the core did not serve within {patience_s:g} s: see its log{where}")

    # ------------------------------------------------------------------------------- run files

    def _write_run_files(self) -> None:
        try:
            self.run.mkdir(mode=0o700, exist_ok=True)
            for old in self.run.iterdir():
                if old.is_file():
                    old.unlink()
            broker.write_private(self.run / "config.json", dump(self.config))
            if self._log_to is not None:
                self._log_to.parent.mkdir(parents=True, exist_ok=True)
                self._output = self._log_to.open("ab")
        except OSError as error:
            raise HubProblem(
                f"{error.filename or self.run} cannot be written ({error.strerror}):"
                " make it writable for this user, or choose another folder with --data"
            ) from error

    def _write_hub(self) -> None:
        about = {
            "pid": os.getpid(),
            "bus_url": self.bus_url,
            "bus_token": self.bus_token,
            "started_at": now_us(),
            "roles": self.roles,
        }
        broker.write_private(self.run / "hub.json", msgspec.json.encode(about))

    def _note(self, kept: _Kept, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(kept.state, name, value)
        states = {one.name: one.state for one in self._kept}
        try:
            broker.write_private(self.run / "children.json", msgspec.json.encode(states))
        except OSError as error:  # a full disk must not end the children that run
            self._log("warning", "children.json cannot be written", why=str(error))

    def _reason(self, name: str) -> str:
        try:
            return (self.run / f"{name}.fatal").read_text().strip()
        except OSError:
            return ""

    def _clean_up(self) -> None:
        """Forgets the run and lets go of the lock. children.json stays: its last exits explain this run."""
        for name in ("hub.json", "config.json", "core.ready"):
            with suppress(OSError):
                (self.run / name).unlink(missing_ok=True)
        if self._output is not None:
            self._output.close()
            self._output = None
        if self._lock_fd is not None:
            with suppress(OSError):
                os.ftruncate(self._lock_fd, 0)
            os.close(self._lock_fd)
            self._lock_fd = None


async def supervise(
    config: Config,
    *,
    roles: Sequence[str] | None = None,
    on_ready: Callable[[], Awaitable[None]] | None = None,
    log_to: Path | None = None,
    core_command: Sequence[str] | None = None,
    log: Log | None = None,
) -> int:
    """`tocsin run`: a hub until SIGINT, SIGTERM or SIGHUP; a second SIGINT hurries it. The exit code is 0 after
    a stop and 2 where it could not go on; HubProblem and BrokerProblem where it cannot even start."""
    commands: Mapping[str, Any] = {} if core_command is None else {"core_command": core_command}
    hub = Supervisor(config, roles=roles, log_to=log_to, log=log, **commands)
    with _signals(hub):
        await hub.start(patience_s=None)
        if on_ready is not None and not hub._stop.is_set():
            await on_ready()
        return await hub.wait()


@contextmanager
def _signals(hub: Supervisor) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if hub._stop.is_set():
            hub.hurry()
        hub.ask_to_stop()

    wanted = {signal.SIGINT: interrupted, signal.SIGTERM: hub.ask_to_stop, signal.SIGHUP: hub.ask_to_stop}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # started by nohup
        del wanted[signal.SIGHUP]
    for number, react in wanted.items():
        loop.add_signal_handler(number, react)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), within_s)
    except TimeoutError:
        return False
    return True


def _structlog(level: str, event: str, **fields: Any) -> None:
    """Loaded at the first line: a start that says nothing yet does not wait for it."""
    import structlog

    getattr(structlog.get_logger("supervise"), level)(event, **fields)
