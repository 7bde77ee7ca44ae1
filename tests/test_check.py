"""`tocsin check`: every problem of a file at once, and a line for each edge."""

import asyncio
import fcntl
import io
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import msgspec
import pytest

from hub import check as checks
from hub.bus import STATUS, connect
from hub.check import LOCK, check, clock, lock, port, reach, running, space
from hub.check.finding import Finding
from hub.config import Config
from hub.model import Nature
from hub.plugin import GiveUp

if TYPE_CHECKING:
    from tests.conftest import NatsServer


class Url(msgspec.Struct, frozen=True, kw_only=True):
    url: str = ""


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    fails: str = ""


async def run(*_: object) -> None:
    """Stands in the fakes where a plugin listens."""


def open_bot(settings: Nothing) -> object:
    """A bot that opens, or fails as it is told."""
    if settings.fails == "import":
        raise ModuleNotFoundError("No module named 'apprise'", name="apprise")
    if settings.fails == "refused":
        raise GiveUp("no such account")
    if settings.fails:
        raise ZeroDivisionError(settings.fails)
    return object()


def module(path: str, **content: object) -> ModuleType:
    made = ModuleType(path)
    vars(made).update(content)
    return made


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed with an address and a bot, found like any other."""
    for one in (
        module("plugins.feeds.prices", Settings=Url, NATURE=Nature.POLLED, run=run),
        module("bots.bell", Settings=Nothing, PLATFORMS=("bell", "whistle"), open_bot=open_bot),
    ):
        monkeypatch.setitem(sys.modules, one.__name__, one)


async def checked(
    folder: Path, text: str, environ: Mapping[str, str] | None = None, data: Path | None = None
) -> tuple[int, str]:
    path = folder / "config.toml"
    path.write_text(text)
    stream = io.StringIO()
    code = await check(path, data, environ=environ or {}, stream=stream)
    return code, stream.getvalue()


async def test_every_mistake_of_a_file_is_printed_at_once_with_its_line(tmp_path: Path) -> None:
    """Six mistakes are six problems, each with file:line and the line to change; secrets stay secret."""
    code, said = await checked(
        tmp_path,
        """\
[hub]
log_levl = "debug"
roles = ["ingest", "recrod"]
time_zone = 5
[bus]
port = 123456
token = "tok-5ecret"
[feeds.binnance]
""",
    )
    assert code == 1
    path = tmp_path / "config.toml"
    for place in ("2: hub.log_levl", "3: hub.roles", "4: hub.time_zone", "6: bus.port", "7: bus.token", "8: feeds.bin"):
        assert f"problem  {path}:{place}" in said
    for line in (
        '2 | log_levl = "debug"',
        '3 | roles = ["ingest", "recrod"]',
        "6 | port = 123456",
        '7 | token = "***"',
    ):
        assert line in said
    assert "6 problems in the configuration" in said
    assert "tok-5ecret" not in said
    assert "data folder" not in said


async def test_a_file_that_is_missing_is_one_problem(tmp_path: Path) -> None:
    """A wrong path is told as such."""
    stream = io.StringIO()
    assert await check(tmp_path / "absent.toml", None, environ={}, stream=stream) == 1
    assert "there is no such file" in stream.getvalue()
    assert "1 problem in the configuration" in stream.getvalue()


async def test_a_right_configuration_gets_a_line_for_each_edge(tmp_path: Path) -> None:
    """Everything opens: exit code 0, plain text, and nothing is left behind."""
    async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0) as server:
        number = server.sockets[0].getsockname()[1]
        code, said = await checked(
            tmp_path,
            f'[feeds.prices]\nurl = "https://127.0.0.1:{number}/x"\nsymbols = {{ XAU-USD = "a" }}\n[bots.bell]\n',
        )
    assert (code, said.splitlines()[-1]) == (0, "all is well")
    edges = [line[9:27].strip() for line in said.splitlines()[:-1]]
    assert edges == [
        "configuration",
        "data folder",
        "SQLite",
        "lock",
        "broker",
        "feed prices",
        "bot bell",
        "clock",
    ]
    assert "1 instrument, polled, 127.0.0.1 answers" in said
    assert "sends to bell and whistle" in said
    assert "\x1b[" not in said
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.toml"]


async def test_edges_that_fail_are_told_with_their_cure_and_the_others_still_looked_at(tmp_path: Path) -> None:
    """A dead feed, a taken port and a bot without its library are three problems in one run."""
    with socket.socket() as taken, socket.socket() as closed:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        code, said = await checked(
            tmp_path,
            f"[bus]\nport = {taken.getsockname()[1]}\n[feeds.prices]\n"
            f'url = "ws://127.0.0.1:{closed.getsockname()[1]}"\n[bots.bell]\nfails = "import"\n',
        )
    assert code == 1
    assert "3 problems" in said
    assert "set [bus] port = 0" in said
    assert "does not take connections" in said
    assert '→ pip install "tocsin[push]"' in said
    assert "ok       clock" in said


@pytest.mark.parametrize(("fails", "words"), [("refused", "no such account"), ("bug", "ZeroDivisionError: bug")])
async def test_a_bot_that_cannot_be_opened_is_a_problem(tmp_path: Path, fails: str, words: str) -> None:
    """What the bot says of itself is told; a bug in it stops nothing else."""
    code, said = await checked(tmp_path, f'[bots.bell]\nfails = "{fails}"\n')
    assert code == 1
    assert words in said
    assert "ok       clock" in said


async def test_a_hub_that_runs_on_the_data_folder_is_named(tmp_path: Path) -> None:
    """The lock that another process holds is a problem with its process id."""
    path = tmp_path / "data" / LOCK
    path.parent.mkdir()
    path.write_text(f"{os.getpid()} 1234567\n")
    assert lock(path).cure == ""
    with path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        code, said = await checked(tmp_path, "")
    assert code == 1
    assert f"another hub (process {os.getpid()}) is running on {path.parent}" in said
    assert lock(path).cure == ""


async def test_a_data_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    """Nothing can be kept in a file."""
    (tmp_path / "data").write_text("")
    code, said = await checked(tmp_path, "")
    assert code == 1
    assert f"{tmp_path / 'data'} is a file" in said


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, which even root cannot write")
async def test_a_data_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    """The cure names the setting."""
    code, said = await checked(tmp_path, "", data=Path("/proc/tocsin"))
    assert code == 1
    assert "/proc cannot be written" in said
    assert "[hub] data or --data" in said


def test_little_space_is_a_problem(tmp_path: Path) -> None:
    """A full disk stops a hub; better said before."""
    assert space(tmp_path, True, 255).cure
    assert not space(tmp_path, True, 256).cure
    assert "will be made" in space(tmp_path, False, 5_000).text


def test_a_port_is_free_or_taken() -> None:
    """The fixed port of the embedded server is tried."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert "cannot be had" in port(number).text
    assert not port(number).cure


async def test_a_name_that_cannot_be_resolved_is_said_plainly() -> None:
    """The reserved name .invalid resolves nowhere."""
    assert await reach("wss://feed.invalid/stream") == "no network: the name feed.invalid cannot be resolved"


async def test_a_host_that_says_nothing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look outside is bounded: a listener whose queue is full takes no more connections."""
    monkeypatch.setattr(checks, "LOOK_S", 0.05)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        assert "did not answer within 0.05 s" in await reach(f"http://127.0.0.1:{full.getsockname()[1]}")


def test_a_clock_that_went_back_is_a_problem() -> None:
    """The release and the newest stored file bound the clock from below."""
    now = checks.OLDEST_CLOCK_S + 1_000_000.0
    assert not clock(now, None).cure
    assert not clock(now, now + 1).cure
    assert "3,600 s before the newest file" in clock(now, now + 3_600).text
    assert clock(0.0, None).text == "1970-01-01 00:00:00 UTC is before this version was made"


async def test_a_bus_of_ones_own_that_does_not_answer_is_a_problem(tmp_path: Path) -> None:
    """The configured server is tried; the cure names the setting."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        code, said = await checked(tmp_path, f'[bus]\nurl = "nats://127.0.0.1:{closed.getsockname()[1]}"\n')
    assert code == 1
    assert "no NATS server at" in said
    assert "correct [bus] url" in said


async def test_a_bus_of_ones_own_is_reached_with_its_token(tmp_path: Path, nats_server: "NatsServer") -> None:
    """The right token is ok and the wrong one a problem; neither is printed."""
    text = f'[bus]\nurl = "{nats_server.url}"\n'
    code, said = await checked(tmp_path, text, {"TOCSIN_BUS_TOKEN": nats_server.token})
    assert code == 0
    assert "with JetStream" in said
    code, said = await checked(tmp_path, text, {"TOCSIN_BUS_TOKEN": "tok-5ecret"})
    assert code == 1
    assert "set TOCSIN_BUS_TOKEN" in said
    assert "tok-5ecret" not in said


async def test_what_a_running_hub_found_of_a_clock_is_a_problem_with_its_cure(
    tmp_path: Path, nats_server: "NatsServer"
) -> None:
    """Only ticks tell: a hub that does not run knows nothing of it."""
    said = 'fxcm\'s clock looks 5 h behind: set time_zone = "Etc/GMT+5" in [feeds.fxcm]'
    feeds = [{"name": "fxcm", "clock": [said]}, {"name": "oanda", "clock": []}, {"name": "of an older version"}]
    config = Config(folder=tmp_path)
    assert [found async for found in running.look(config)] == []
    address = {"pid": os.getpid(), "bus_url": nats_server.url, "bus_token": nats_server.token}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "hub.json").write_bytes(msgspec.json.encode(address))

    async def answer(_: bytes) -> bytes:
        return msgspec.json.encode({"service": "ingest", "feeds": feeds})

    async with connect(nats_server.url, nats_server.token, "test") as bus, bus.serve(STATUS, answer):
        await bus.client.flush()
        found = [one async for one in running.look(config)]
    assert found == [
        Finding("clock of fxcm", "fxcm's clock looks 5 h behind", 'set time_zone = "Etc/GMT+5" in [feeds.fxcm]')
    ]
