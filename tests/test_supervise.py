"""The supervisor with a real broker and a tiny child in the place of the core: restarts, stops, deaths, the lock."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest

from hub import child, lock, supervise
from hub.config import BotSection, Config
from hub.supervise import FolderBusy, HubProblem, Supervisor

CORE = """
import asyncio, sys
from hub import child
async def main():
    what = child.given()
    stop = child.stop_event()
    child.ready(what.run)
    await stop.wait()
    (what.run.parent / "core.stopped").write_text(what.bus_url)
    return 0
sys.exit(asyncio.run(main()))
"""
STUBBORN = """
import signal, sys, time, pathlib
from hub import child
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child.ready(child.given().run)
time.sleep(60)
"""
REFUSING = """
import sys
from hub import child
sys.exit(child.cannot_go_on(child.given().run, "the stream holds a frame of version 9"))
"""
RUN = """
import asyncio, sys
from pathlib import Path
from hub.config import Config
from hub.supervise import supervise
async def ready():
    print("ready", flush=True)
core = (sys.executable, "-c", sys.argv[2])
config = Config(folder=Path(sys.argv[1]))
quiet = lambda *said, **fields: None
sys.exit(asyncio.run(supervise(config, roles=["record"], on_ready=ready, core_command=core, log=quiet)))
"""


def python(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


class Log:
    """What the supervisor said."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, level: str, event: str, **fields: Any) -> None:
        self.lines.append({"level": level, "event": event, **fields})

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@asynccontextmanager
async def running(folder: Path, core: str = CORE, **options: Any) -> AsyncIterator[Supervisor]:
    hub = Supervisor(Config(folder=folder), roles=["record"], core_command=python(core), **{"log": Log(), **options})
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


async def until(what: Callable[[], Any], within_s: float = 10.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s"
        await asyncio.sleep(0.01)
    return found


def children(folder: Path) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = json.loads((folder / "run" / "children.json").read_text())
    return told


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


async def other_pid(folder: Path, name: str, than: int) -> int:
    pid: int = await until(lambda: (pid := children(folder)[name]["pid"]) != than and pid)
    return pid


# ------------------------------------------------------------------------------------------ start and stop


async def test_a_running_hub_tells_how_to_reach_it_and_forgets_that_at_its_end(tmp_path: Path) -> None:
    """hub.json holds a bus that answers with its token, private to this user; after the stop it is gone."""
    async with running(tmp_path) as hub:
        path = tmp_path / "run" / "hub.json"
        told = json.loads(path.read_text())
        assert (told["pid"], told["roles"]) == (os.getpid(), ["record"])
        assert path.stat().st_mode & 0o077 == 0
        client = await nats.connect(told["bus_url"], token=told["bus_token"])
        await client.close()
        pids = [state["pid"] for state in children(tmp_path).values()]
        assert len(pids) == 2
    assert not path.exists()
    assert await hub.wait() == 0
    assert not any(alive(pid) for pid in pids)


async def test_the_core_is_stopped_in_order_while_the_broker_still_serves(tmp_path: Path) -> None:
    """The core ends by itself with exit code 0, and before the broker."""
    async with running(tmp_path) as hub:
        url = hub.bus_url
    assert (tmp_path / "core.stopped").read_text() == url
    told = children(tmp_path)
    assert (told["core"]["last_exit"], told["broker"]["last_exit"]) == ("exit code 0", "exit code 0")
    assert told["core"]["last_exit_at"] <= told["broker"]["last_exit_at"]


async def test_a_child_that_does_not_stop_is_killed_and_said(tmp_path: Path) -> None:
    """A stop is bounded: after its time the child is killed, aloud."""
    log = Log()
    async with running(tmp_path, STUBBORN, stop_within_s=0.2, log=log):
        pass
    assert children(tmp_path)["core"]["last_exit"] == "SIGKILL"
    assert log.of("a child was killed")[0]["why"] == "it did not stop within 0.2 s"


async def test_bots_run_as_children_of_their_own(tmp_path: Path) -> None:
    """Each enabled bot gets a process, named in children.json; a disabled one gets none."""
    bots = (BotSection(name="console", module="console"), BotSection(name="push", module="push", enabled=False))
    config = Config(folder=tmp_path, bots=bots)
    hub = Supervisor(
        config, roles=["record", "bots"], core_command=python(CORE), bot_command=python("input()"), log=Log()
    )
    await hub.start()
    try:
        await until(lambda: children(tmp_path).get("bot.console", {}).get("pid"))
        assert set(children(tmp_path)) == {"broker", "core", "bot.console"}
    finally:
        await hub.stop()


async def test_what_children_say_goes_to_a_file_when_asked(tmp_path: Path) -> None:
    """The demo's chat keeps its screen: stdout and stderr of children land in the log file."""
    speaking = "import sys; print('out'); print('err', file=sys.stderr)\n" + CORE
    async with running(tmp_path, speaking, log_to=tmp_path / "hub.log"):
        pass
    assert {"out", "err"} <= set((tmp_path / "hub.log").read_text().split())


# ------------------------------------------------------------------------------------------ deaths


async def test_a_killed_core_is_started_again_and_said(tmp_path: Path) -> None:
    """The core comes back at once under a new process id; log and children.json tell its end."""
    log = Log()
    async with running(tmp_path, log=log):
        first = children(tmp_path)["core"]["pid"]
        os.kill(first, signal.SIGKILL)
        await other_pid(tmp_path, "core", first)
        told = children(tmp_path)["core"]
        assert len(log.of("a child was started again")) == 1
        assert (told["restarts"], told["last_exit"]) == (1, "SIGKILL")
        assert log.of("a child ended")[0] == {
            "level": "warning", "event": "a child ended", "child": "core", "how": "SIGKILL", "next_try_s": 0.1,
        }  # fmt: skip


async def test_a_killed_broker_comes_back_on_its_port_with_its_token(tmp_path: Path) -> None:
    """A client that was connected just comes back, and the core lives on."""
    async with running(tmp_path) as hub:
        client = await nats.connect(
            hub.bus_url, token=hub.bus_token, reconnect_time_wait=0.05, max_reconnect_attempts=-1, error_cb=_quiet
        )
        try:
            before = children(tmp_path)
            os.kill(before["broker"]["pid"], signal.SIGKILL)
            await other_pid(tmp_path, "broker", before["broker"]["pid"])
            await until(lambda: client.stats["reconnects"] > 0 and client.is_connected)
            await client.flush()
            assert children(tmp_path)["core"]["pid"] == before["core"]["pid"]
        finally:
            await client.close()


async def _quiet(error: Exception) -> None:
    """nats-py would print it."""


async def test_a_core_that_cannot_go_on_ends_the_hub_with_its_reason(tmp_path: Path) -> None:
    """Exit code 2 is not tried again: everything stops, the lock is free, and the sentence is the core's own."""
    hub = Supervisor(Config(folder=tmp_path), roles=["record"], core_command=python(REFUSING), log=Log())
    with pytest.raises(HubProblem, match="the stream holds a frame of version 9"):
        await hub.start()
    assert await hub.wait() == 2
    os.close(await lock.take(tmp_path, Log()))


async def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """A core that never says that it serves: the sentence names the time, and nothing stays behind."""
    hub = Supervisor(Config(folder=tmp_path), roles=["record"], core_command=python("input()"), log=Log())
    with pytest.raises(HubProblem, match=r"did not serve within 0\.3 s"):
        await hub.start(patience_s=0.3)
    os.close(await lock.take(tmp_path, Log()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
async def test_kill_9_of_the_supervisor_leaves_no_orphan_and_a_free_lock(tmp_path: Path) -> None:
    """Children see the end of their stdin, the kernel tells the broker: within 5 s all are gone."""
    with started_hub(tmp_path, CORE) as hub:
        pids = [state["pid"] for state in children(tmp_path).values()]
        assert all(alive(pid) for pid in pids)
        hub.kill()
        hub.wait()
        await until(lambda: not any(alive(pid) for pid in pids), within_s=5)
    os.close(await lock.take(tmp_path, Log(), patience_s=0.5))


async def test_the_end_of_stdin_alone_stops_a_child(tmp_path: Path) -> None:
    """Where the kernel sends no signal (not Linux), the pipe does it."""
    async with running(tmp_path) as hub:
        environment = {**os.environ, child.CONFIG: str(hub.run / "config.json"), child.NAME: "core"}
        orphan = await asyncio.create_subprocess_exec(
            *python(CORE), stdin=subprocess.PIPE, env={**environment, child.BUS_URL: "nats://x"}
        )
        assert orphan.stdin is not None
        orphan.stdin.close()
        assert await asyncio.wait_for(orphan.wait(), 5) == 0


# ------------------------------------------------------------------------------------------ signals


def started_hub(folder: Path, core: str) -> "subprocess.Popen[bytes]":
    """`supervise` in a process of its own, once it serves."""
    hub = subprocess.Popen([*python(RUN), str(folder), core], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert hub.stdout is not None
    said = hub.stdout.readline()
    if said != b"ready\n":
        hub.kill()
    assert said == b"ready\n"
    return hub


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_the_hub_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, the core stopped by itself, and the hub's address forgotten."""
    with started_hub(tmp_path, CORE) as hub:
        hub.send_signal(number)
        assert await asyncio.to_thread(hub.wait, 10) == 0
    assert (tmp_path / "core.stopped").exists()
    assert not (tmp_path / "run" / "hub.json").exists()


async def test_the_end_is_the_last_thing_that_is_said(tmp_path: Path) -> None:
    """A log that ends without it is of a hub that was killed."""
    log = Log()
    hub = Supervisor(Config(folder=tmp_path), core_command=python(CORE), log=log)
    await hub.start()
    assert not log.of("the hub has stopped")
    assert await hub.stop() == 0
    assert log.lines[-1] == {"level": "info", "event": "the hub has stopped", "folder": str(tmp_path)}


async def test_a_second_interrupt_hurries_the_stop(tmp_path: Path) -> None:
    """Who presses Ctrl-C twice does not wait for a child that takes its time."""
    with started_hub(tmp_path, STUBBORN) as hub:
        begun = time.monotonic()
        hub.send_signal(signal.SIGINT)
        await asyncio.sleep(0.2)
        hub.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(hub.wait, 10) == 0
        assert time.monotonic() - begun < supervise.STOP_WITHIN_S / 2


# ------------------------------------------------------------------------------------------ the lock


async def test_a_second_hub_on_the_folder_is_refused_at_once(tmp_path: Path) -> None:
    """The sentence names the folder, the process and three ways on."""
    async with running(tmp_path):
        second = Supervisor(Config(folder=tmp_path), core_command=python(CORE), log=Log())
        with pytest.raises(FolderBusy) as caught:
            await second.start()
        assert json.loads((tmp_path / "run" / "hub.json").read_text())["pid"] == os.getpid()
    assert str(caught.value) == (
        f"data folder {tmp_path} is in use by the hub with process id {os.getpid()}: stop it,"
        " ask it with `tocsin ask`, or start this one with --data another-folder"
    )


HOLD = """
import asyncio, os, subprocess, sys
from pathlib import Path
from hub import lock
fd = asyncio.run(lock.take(Path(sys.argv[1]), print))
subprocess.Popen(["sleep", sys.argv[2]], pass_fds=(fd,), stdout=subprocess.DEVNULL)
"""


def hold(folder: Path, child_lives_s: float) -> None:
    """A hub took the lock and is gone; a child of it lives on for a while."""
    subprocess.run([*python(HOLD), str(folder), str(child_lives_s)], check=True)


async def test_what_a_dead_hub_left_running_is_waited_for_and_said(tmp_path: Path) -> None:
    """The holder is gone but its child has the lock still: the next hub waits until that one ends."""
    hold(tmp_path, 0.3)
    log = Log()
    os.close(await lock.take(tmp_path, log))
    assert len(log.of("waiting for what an earlier hub left running")) == 1


async def test_what_a_dead_hub_left_running_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """After its patience the next hub says what holds the folder and what to do."""
    hold(tmp_path, 2)
    with pytest.raises(FolderBusy, match=r"still held by processes of the hub with process id \d+, which is gone"):
        await lock.take(tmp_path, Log(), patience_s=0.1)


async def test_a_process_id_that_came_round_again_is_not_taken_for_the_hub(tmp_path: Path) -> None:
    """The recorded id lives, but was started at another time: it is somebody else."""
    hold(tmp_path, 0.3)
    (tmp_path / "hub.lock").write_text(f"{os.getpid()} 1\n")
    os.close(await lock.take(tmp_path, Log()))


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A data folder that is a file: a sentence with the cure, no trace."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HubProblem, match="choose one with --data another-folder"):
        await lock.take(file, Log())


# ------------------------------------------------------------------------------------------ decisions


def test_restarts_come_quickly_first_and_then_ever_slower() -> None:
    """At once, then doubling up to half a minute, however many failures there were."""
    waits = [supervise.next_try_s(failures, 0.0) for failures in (1, 2, 3, 4, 5, 6, 7, 8, 5000)]
    assert waits == [0.1, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert supervise.next_try_s(8, 1.0) == pytest.approx(24.0)


@pytest.mark.parametrize(
    ("code", "text"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "SIGKILL"), (-99, "signal 99")]
)
def test_an_exit_is_told_in_words(code: int, text: str) -> None:
    """People know signals by name."""
    assert supervise.exit_text(code) == text


def test_a_child_started_by_hand_says_what_to_start_instead() -> None:
    """Without a supervisor's environment a child cannot work."""
    with pytest.raises(child.NoSupervisor, match="start that instead"):
        child.given({})
