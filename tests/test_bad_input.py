"""Bad input on the running program: each a sentence with the value and the cure, nothing lost, and an exit code."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub import broker, talk
from hub import bus as names
from hub.app import core
from hub.bus import Bus
from hub.config import BusSection, Config, FeedSection
from hub.frame import VERSION, Event, EventKind, NewerFrame, empty, encode
from hub.history import open_history
from hub.plugin import GiveUp, TryLater
from hub.supervise import Supervisor
from tests.conftest import NatsServer
from tests.waiting import until_true

ROLES = ("ingest", "record", "alert", "deliver", "commands")
GOLD = "XAU-USD"
KILLER = encode(
    msgspec.structs.replace(empty(1, 1 << 40, 1, 1), events=[Event(0, EventKind.FINISHED, 1, "", "x", "not a number")])
)
"""A frame that is whole, and that no recorder can take: it says that a recording of "not a number" lines has ended."""
NEWER = msgspec.msgpack.encode([VERSION + 1, "whatever a later version has to say"])


def config(folder: Path, **more: Any) -> Config:
    bus = BusSection(max_mb=16)  # the least that there is, and it must do
    return Config(**{"folder": folder, "bus": bus, "feeds": (FeedSection(name="desk", module="nats"),), **more})


@asynccontextmanager
async def hub(folder: Path, server: NatsServer) -> AsyncIterator[tuple[Bus, "asyncio.Future[None]"]]:
    """A core in this process on a broker of the test's own: as it dies, nobody starts it again."""
    async with core(config(folder), server.url, server.token) as running:
        async with names.connect(server.url, server.token, "test") as bus:
            await until_true(lambda: listens(bus), within_s=10)
            yield bus, running


async def listens(bus: Bus) -> bool:
    return bool((await status(bus)).get("ingest")) and await feed(bus, []) is not None


async def status(bus: Bus) -> dict[str, Any]:
    answers = [msgspec.json.decode(raw) for raw in await bus.scatter(names.STATUS, b"", 0.05)]
    return {answer["service"]: answer for answer in answers}


async def feed(bus: Bus, message: object) -> dict[str, Any] | None:
    """What the hub answers to ticks from outside; None where nobody listens yet."""
    body = message if isinstance(message, bytes) else msgspec.json.encode(message)
    try:
        return await bus.request(names.feed("desk"), body, dict, 2)
    except TryLater:
        return None


def gold(number: int, price: float = 2400.0) -> dict[str, Any]:
    return {"instrument": GOLD, "bid": price, "ask": price + 1, "number": number}


async def recorded(bus: Bus, ticks: int) -> dict[str, Any]:
    async def all_of_them() -> dict[str, Any] | None:
        told = (await status(bus)).get("recorder", {})
        return told if told.get("ticks") == ticks else None

    told: dict[str, Any] = await until_true(all_of_them, within_s=20)
    return told


async def numbers(folder: Path) -> list[int | None]:
    async with open_history(config(folder)) as history:
        return [tick.number for tick in await history.ticks(GOLD, 0, 1 << 60)]


# ------------------------------------------------------------------------------------------ prices and words


async def test_impossible_prices_are_refused_with_the_reason_and_never_become_a_price(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """The sender is told at once, status counts them by reason, and history holds the one good tick."""
    wrong = {
        "bid above ask": {"instrument": GOLD, "bid": 2401, "ask": 2400},
        "price not a positive number": {"instrument": GOLD, "price": -5},
        "no price": {"instrument": GOLD},
        "broken JSON": b'{"instrument": "XAU-USD", "price": NaN}',
        "broken message": {"instrument": GOLD, "price": "a lot"},
        "newer version": {"instrument": GOLD, "price": 2400, "v": 9},
        "impossible time": {"instrument": GOLD, "price": 2400, "time": "2199-01-01T00:00:00Z"},
    }
    async with hub(tmp_path, nats_server) as (bus, _):
        for reason, message in wrong.items():
            assert await feed(bus, message) == {"accepted": 0, "refused": [{"reason": reason}]}
        for absurd in (0, 1e12, "inf", "nan"):
            answer = await feed(bus, {"instrument": GOLD, "price": absurd})
            assert answer == {"accepted": 0, "refused": [{"reason": "price not a positive number"}]}, absurd
        await feed(bus, {"instrument": "NO-SUCH", "price": 1})
        assert await feed(bus, gold(1)) == {"accepted": 1, "refused": []}
        await recorded(bus, 1)
        (told,) = (await status(bus))["ingest"]["feeds"]
        assert told["refused"] == dict.fromkeys(wrong, 1) | {"price not a positive number": 5, "unknown instrument": 1}
        said = await talk.say(bus, "status", "operator")
        assert any("unknown instrument 1" in cell for row in said.table for cell in row)
        async with open_history(config(tmp_path)) as history:
            assert (await history.refusals())["desk"] == told["refused"]
            assert await history.tick_count() == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("price unobtanium", ['"unobtanium" is not an instrument known here', '"price" lists what is served']),
        ("alert unobtanium > 5", ['"unobtanium" is not an instrument known here', '"price" lists what is served']),
        ("alert gold > nan", ['"nan" is not an instrument known here', "Try: gold > 2400"]),
        ("alert gold > -5", ['"-5" has a sign', "Try: gold > 5"]),
        ("alert gold > 1e13", ['"1e13" is no number', "Try: gold > 2400"]),
    ],
)
async def test_what_a_person_asks_wrongly_is_answered_with_the_value_and_the_cure(
    tmp_path: Path, nats_server: NatsServer, line: str, words: list[str]
) -> None:
    """No trace and no alert: what was not understood, and how to say it."""
    async with hub(tmp_path, nats_server) as (bus, _):
        reply = await talk.say(bus, line, "operator")
        said = "\n".join(reply.lines)
        assert not reply.ok
        assert all(each in said for each in words), said
        assert not any((await status(bus))["engine"]["alerts"].values())


# ------------------------------------------------------------------------------------------------ the stream


async def test_garbage_in_the_stream_is_set_aside_and_told(tmp_path: Path, nats_server: NatsServer) -> None:
    """The bytes lie in quarantine with the reason, status counts them, also after a restart, and ticks go on."""
    async with hub(tmp_path, nats_server) as (bus, _):
        await feed(bus, gold(1))
        await recorded(bus, 1)
    async with names.connect(nats_server.url, nats_server.token, "test") as bus:
        await bus.js.publish(names.TICKS_SUBJECT, b"\x00garbage")
    for number in (2, 3):
        async with hub(tmp_path, nats_server) as (bus, running):
            await feed(bus, gold(number))
            told = await recorded(bus, number)
            assert told["quarantined"] == 1
            aside = await bus.js.get_msg(names.QUARANTINE, 1)
            assert aside.data == b"\x00garbage"
            assert aside.headers is not None and aside.headers["Reason"].startswith("not msgpack")
            said = await talk.say(bus, "status", "operator")
            assert any("1 broken frame set aside in quarantine" in line for line in said.lines)
            assert not running.done()
    assert await numbers(tmp_path) == [1, 2, 3]


async def test_a_frame_that_kills_its_reader_is_set_aside_at_the_fourth_start(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """Three deaths, then the hub goes on without it; what came before and after is recorded."""
    async with hub(tmp_path, nats_server) as (bus, _):
        await feed(bus, gold(1))
        await recorded(bus, 1)
    async with names.connect(nats_server.url, nats_server.token, "test") as bus:
        await bus.js.publish(names.TICKS_SUBJECT, KILLER)
    deaths = 0
    while True:
        async with core(config(tmp_path), nats_server.url, nats_server.token) as running:
            async with names.connect(nats_server.url, nats_server.token, "test") as bus:
                if not await _dies(bus, running):
                    await until_true(lambda: listens(bus), within_s=10)
                    await feed(bus, gold(2))
                    assert (await recorded(bus, 2))["quarantined"] == 1
                    aside = await bus.js.get_msg(names.QUARANTINE, 1)
                    assert (aside.data, (aside.headers or {})["Reason"]) == (
                        KILLER,
                        "its reader died over it three times",
                    )
                    break
        deaths += 1
        assert deaths <= 5, "the frame kills for ever"
        with pytest.raises(BaseExceptionGroup):
            running.result()
    assert 3 <= deaths <= 4
    assert await numbers(tmp_path) == [1, 2]


async def _dies(bus: Bus, running: "asyncio.Future[None]") -> bool:
    async def either() -> str:
        if running.done():
            return "dead"
        return "alive" if (await status(bus)).get("recorder", {}).get("quarantined") else ""

    return await until_true(either, within_s=10) == "dead"


async def test_a_frame_of_a_newer_version_stops_the_hub_and_nothing_moves(tmp_path: Path) -> None:
    """Exit code 2 with the sentence; behind it everything waits, and once it is gone everything is recorded."""
    first = Supervisor(config(tmp_path), roles=ROLES, log_to=tmp_path / "hub.log")
    await first.start()
    async with names.connect(first.bus_url, first.bus_token, "test") as bus:
        await until_true(lambda: listens(bus), within_s=10)
        await feed(bus, gold(1))
        before = (await recorded(bus, 1))["sequence"]
        newer = (await bus.js.publish(names.TICKS_SUBJECT, NEWER)).seq
        assert await asyncio.wait_for(first.wait(), 20) == 2
    sentence = f"the stream holds a frame of version {VERSION + 1}, this tocsin reads up to {VERSION}: start the newer"
    assert first.problem.startswith(sentence)
    async with open_history(config(tmp_path)) as history:
        stands = await history.position()
        assert before <= stands.sequence < newer
        assert stands.ticks == 1
    alone = await broker.start(BusSection(), tmp_path)
    try:
        with pytest.raises(NewerFrame):
            async with core(config(tmp_path), alone.url, alone.token):
                pass
        async with names.connect(alone.url, alone.token, "test") as bus:
            await bus.js.delete_msg(names.TICKS, newer)
            async with core(config(tmp_path), alone.url, alone.token):
                await until_true(lambda: listens(bus), within_s=10)
                await feed(bus, gold(2))
                await recorded(bus, 2)
    finally:
        await alone.stop()
    assert await numbers(tmp_path) == [1, 2]


async def test_a_server_with_too_little_storage_is_told(tmp_path: Path, nats_server: NatsServer) -> None:
    """A NATS of one's own that keeps less than [bus] max_mb asks for: the figure and both cures."""
    asks = config(tmp_path, bus=BusSection(max_mb=4096))
    with pytest.raises(GiveUp, match=r"less than the 3,277 MB that the stream TICKS may take: .* lower \[bus\] max_mb"):
        async with core(asks, nats_server.url, nats_server.token):
            pass


# ------------------------------------------------------------------------------------------------- starting


def tocsin(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The command as a person runs it, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "hub", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "200", **environ},
        check=False,
    )


def written(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text)
    return str(path)


FIVE_MISTAKES = """\
[hub]
log_levl = "info"
roles = ["recrod"]
[bus]
port = 123456
[feeds.desk]
module = "natz"
[alerts]
band_percent = "wide"
"""


@pytest.mark.parametrize(("command", "code"), [("check", 1), ("run", 2)])
def test_five_mistakes_are_five_sentences_with_their_lines(tmp_path: Path, command: str, code: int) -> None:
    """All of them at once, each with file, line and key; no trace, and no data folder was begun."""
    path = written(tmp_path, FIVE_MISTAKES)
    done = tocsin(command, "--config", path)
    assert done.returncode == code
    said = done.stdout + done.stderr
    for place in ("2: hub.log_levl", "3: hub.roles", "5: bus.port", "7: feeds.desk", "9: alerts.band_percent"):
        assert f"{path}:{place}" in said
    assert "Traceback" not in said
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.toml"]


def test_a_busy_port_is_told_with_its_number(tmp_path: Path) -> None:
    """Another program listens where the broker should: exit code 2, the port and the setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tocsin("run", "--config", written(tmp_path, f"[bus]\nport = {port}\n[feeds.desk]\nmodule = 'nats'\n"))
    assert done.returncode == 2
    assert (
        f"tocsin: port {port} on 127.0.0.1 is in use by another program: set [bus] port in config.toml" in done.stderr
    )
    assert "Traceback" not in done.stderr


async def test_a_second_hub_on_the_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    """`tocsin run` twice: the second ends with the first one's process id and what to do instead."""
    path = written(tmp_path, "[bus]\nmax_mb = 16\n[feeds.desk]\nmodule = 'nats'\n")
    first = Supervisor(config(tmp_path / "data"), roles=ROLES, log_to=tmp_path / "hub.log")
    await first.start()
    try:
        done = await asyncio.to_thread(tocsin, "run", "--config", path)
        assert done.returncode == 2
        expected = f"data folder {tmp_path / 'data'} is in use by the hub with process id {os.getpid()}: stop it,"
        assert (
            f"tocsin: {expected} ask it with `tocsin ask`, or start this one with --data another-folder" in done.stderr
        )
        asked = await asyncio.to_thread(tocsin, "ask", "price", "--config", path)
        assert asked.returncode == 0
    finally:
        await first.stop()


def test_a_data_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Not a trace out of SQLite, but the folder and the two cures. (A file in its place stands for all of them.)"""
    file = tmp_path / "data"
    file.write_text("not a folder")
    done = tocsin("run", "--data", str(file), "--config", written(tmp_path, "[feeds.desk]\nmodule = 'nats'\n"))
    assert done.returncode == 2
    assert f"data folder {file} cannot be used" in done.stderr
    assert "choose one with --data another-folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("file", ["history.db", "ledger.db"])
def test_a_database_that_cannot_be_opened_is_told_and_not_tried_for_ever(tmp_path: Path, file: str) -> None:
    """Something else lies in its place: exit code 2, which file and what to do, and no trace."""
    (tmp_path / "data" / file).mkdir(parents=True)
    done = tocsin("run", "--config", written(tmp_path, "[bus]\nmax_mb = 16\n[feeds.desk]\nmodule = 'nats'\n"))
    assert done.returncode == 2
    assert f"{tmp_path / 'data' / file} cannot be written (unable to open database file; " in done.stderr
    assert "readable and writable" in done.stderr
    assert "Traceback" not in done.stderr


SIMULATED = "[bus]\nmax_mb = 16\n[feeds.demo]\nsymbols = { XAU-USD = 'XAU-USD' }\n"


async def test_a_simulated_market_is_refused_on_a_folder_of_live_prices(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """Old alerts would ring on invented prices: exit code 2, both natures named, and the live ticks untouched."""
    data = tmp_path / "data"
    async with hub(data, nats_server) as (bus, _):
        await feed(bus, gold(1))
        await recorded(bus, 1)
    done = await asyncio.to_thread(tocsin, "run", "--config", written(tmp_path, SIMULATED))
    assert done.returncode == 2
    assert f"the data folder {data} holds live prices, and this hub would add simulated ones" in done.stderr
    assert "choose another folder with --data" in done.stderr
    assert await numbers(data) == [1]


# ------------------------------------------------------------------------------------------------ a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB of its own, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or os.geteuid():
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_a_full_disk_is_told_and_waited_out_and_nothing_is_lost(small_disk: Path) -> None:
    """Ticks wait with the hub, a person hears why, and once there is room every one of them is recorded, once."""
    data = small_disk / "data"
    log = small_disk.parent / "hub.log"
    running = Supervisor(config(data), roles=ROLES, log_to=log)
    await running.start()
    try:
        async with names.connect(running.bus_url, running.bus_token, "test") as bus:
            await until_true(lambda: listens(bus), within_s=10)
            await feed(bus, [gold(number) for number in range(1, 101)])
            await recorded(bus, 100)
            assert (await talk.say(bus, "status", "operator")).ok
            filler = small_disk / "filler"
            fill(filler)
            sent = 100
            while await held_back(bus) is None:
                await feed(bus, [gold(number) for number in range(sent + 1, sent + 201)])
                sent += 200
                assert sent < 20_000, "the disk is not full"
            said = await talk.say(bus, "status", "operator")
            assert any(line.startswith("Feeds are held back: ") for line in said.lines)
            refused = await talk.say(bus, "alert gold > 9000", "operator")
            assert not refused.ok
            assert "free some space, the hub goes on by itself" in "\n".join(refused.lines)
            filler.unlink()
            await recorded(bus, sent)
            assert (await talk.say(bus, "alert gold > 9000", "operator")).ok
    finally:
        await running.stop()
    assert await numbers(data) == list(range(1, sent + 1))
    told = log.read_text()
    assert "publishing waits; feeds are held back" in told
    assert "publishing goes on" in told


async def held_back(bus: Bus) -> str | None:
    return (await status(bus)).get("ingest", {}).get("error") or None


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))
