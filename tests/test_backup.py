"""Backup and restore: equal stores, while the hub writes; damaged archives and full folders are refused whole."""

import asyncio
import io
import json
import tarfile
from pathlib import Path

import pytest

from hub import backup
from hub.config import Config, load
from hub.history import Position, open_history
from hub.ledger import open_ledger, people
from hub.lock import HubProblem
from hub.model import Kind, Tick, Who
from hub.testing import EVER, MINUTE_US, NOON_US, frame_of
from tests.servers import PostgresServer

ANNA = Who(platform="console", id="anna", name="Anna")
BERT = Who(platform="console", id="bert", name="Bert")


def trade(number: int) -> Tick:
    at = NOON_US + number * MINUTE_US // 7
    return Tick(
        instrument="XAU-USD", kind=Kind.TRADE, price=1300.0 + number % 17, venue_time=at, received_at=at, source="s",
        number=number,
    )  # fmt: skip


async def fill(folder: Path, stop: asyncio.Event, ready: asyncio.Event) -> int:
    """A hub that writes until it is told to stop; the count of ticks."""
    number = 0
    config = Config(folder=folder)
    async with open_history(config) as history, open_ledger(config) as ledger:
        await ledger.write(lambda connection: people.user_of(connection, ANNA, 1))
        while not stop.is_set():
            number += 1
            frame = frame_of([trade(number * 10 + one) for one in range(10)], number=number)
            await history.append([frame], Position(stream="s", sequence=number, epoch=1, number=number))
            if number == 20:
                ready.set()
    return number * 10


def configured(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('[hub]\ndata = "data"\n[feeds.demo]\nsymbols = { XAU-USD = "gold" }\n')
    return path


async def backed_up(tmp_path: Path, name: str = "copy.tar") -> Path:
    """An archive that was made while a hub wrote to the folder."""
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.ensure_future(fill(tmp_path / "data", stop, ready))
    await ready.wait()
    assert await backup.main(tmp_path / name, configured(tmp_path), None) == 0
    stop.set()
    await running
    return tmp_path / name


@pytest.mark.parametrize("name", ["copy.tar", "copy.tar.gz"])
async def test_what_is_restored_is_one_moment_of_what_was_there(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ticks, candles and position agree, the person is there, and all of it was so at one time."""
    archive = await backed_up(tmp_path, name)
    assert await backup.restore(archive, configured(tmp_path), tmp_path / "new") == 0
    new, old = Config(folder=tmp_path / "new"), Config(folder=tmp_path / "data")
    async with open_history(new) as restored, open_history(old) as original, open_ledger(new) as ledger:
        position = await restored.position()
        ticks = await restored.ticks("XAU-USD", *EVER)
        assert position.ticks == len(ticks) == position.number * 10 >= 200
        assert ticks == await original.ticks("XAU-USD", *EVER, limit=len(ticks))
        assert sum(one.count for one in await restored.candles("XAU-USD", "1d", *EVER)) == len(ticks)
        assert await ledger.read(lambda connection: people.find_user(connection, ANNA)) is not None
    assert (tmp_path / "new" / "config.restored.toml").read_bytes() == (tmp_path / "config.toml").read_bytes()
    assert "0 alerts, 1 person, as of" in capsys.readouterr().out
    assert archive.stat().st_mode & 0o077 == 0, "others may read the archive"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "something was left behind"


async def test_stores_in_postgresql_come_back_the_same(tmp_path: Path, postgres: PostgresServer) -> None:
    """From one database into another; new alerts and ticks get numbers behind those that came back."""
    configs = []
    for name in ("old", "new"):
        url = postgres.database()
        path = tmp_path / f"{name}.toml"
        path.write_text(f'[hub]\ndata = "{name}"\n[history]\nurl = "{url}"\n[ledger]\nurl = "{url}"\n')
        configs.append((path, load(path, environ={})))
    (old_path, old), (new_path, new) = configs
    frames = [frame_of([trade(number * 10 + one) for one in range(10)], number=number) for number in range(1, 30)]
    async with open_history(old) as history, open_ledger(old) as ledger:
        await history.append(frames, Position(stream="s", sequence=29, epoch=1, number=29))
        await ledger.write(lambda connection: people.user_of(connection, ANNA, 1))
    assert await backup.main(tmp_path / "copy.tar.gz", old_path, None) == 0
    with pytest.raises(HubProblem, match="is not empty"):
        await backup.restore(tmp_path / "copy.tar.gz", old_path, None)
    assert await backup.restore(tmp_path / "copy.tar.gz", new_path, None) == 0
    async with open_history(old) as then, open_history(new) as now, open_ledger(new) as ledger:
        assert await now.position() == await then.position()
        assert await now.ticks("XAU-USD", *EVER) == await then.ticks("XAU-USD", *EVER)
        assert await now.candles("XAU-USD", "15m", *EVER) == await then.candles("XAU-USD", "15m", *EVER)
        anna = await ledger.read(lambda connection: people.find_user(connection, ANNA))
        bert = await ledger.write(lambda connection: people.user_of(connection, BERT, 2))
        assert anna is not None
        assert bert.id > anna.id
        more = frame_of([trade(500)], number=30)
        more.instruments = ["XAG-USD"]
        await now.append([more], Position(stream="s", sequence=30, epoch=1, number=30))
        assert len(await now.ticks("XAG-USD", *EVER)) == 1


async def test_an_archive_of_files_is_not_poured_into_a_server(tmp_path: Path, postgres_url: str) -> None:
    """The sentence names the way round."""
    archive = await backed_up(tmp_path)
    path = tmp_path / "server.toml"
    path.write_text(f'[history]\nurl = "{postgres_url}"\n[ledger]\nurl = "{postgres_url}"\n')
    with pytest.raises(HubProblem, match="tocsin migrate"):
        await backup.restore(archive, path, tmp_path / "new")


async def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    """Neither an archive nor a folder that holds a store."""
    archive = await backed_up(tmp_path)
    before = archive.read_bytes()
    with pytest.raises(HubProblem, match="is there already"):
        await backup.main(archive, configured(tmp_path), None)
    with pytest.raises(HubProblem, match=r"history.db is there already.*--data"):
        await backup.restore(archive, configured(tmp_path), None)
    assert archive.read_bytes() == before


async def test_a_log_that_was_left_behind_is_not_played_into_what_is_restored(tmp_path: Path) -> None:
    """Somebody removed history.db and not history.db-wal: SQLite would mix the two."""
    archive = await backed_up(tmp_path)
    left = tmp_path / "new" / "history.db-wal"
    left.parent.mkdir()
    left.write_bytes(b"of another file")
    with pytest.raises(HubProblem, match=r"history.db-wal is there already.*--data"):
        await backup.restore(archive, configured(tmp_path), left.parent)
    assert left.read_bytes() == b"of another file"


def changed(archive: Path, how: str) -> None:
    content = bytearray(archive.read_bytes())
    if how == "a byte":
        content[len(content) // 3] ^= 1
    elif how == "cut off":
        del content[len(content) // 2 :]
    elif how == "no archive":
        content = bytearray(b"something else" * 100)
    archive.write_bytes(bytes(content))


@pytest.mark.parametrize("how", ["a byte", "cut off", "no archive"])
async def test_a_damaged_archive_is_refused_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    """The sentence says what to do, and the folder is as it was."""
    archive = await backed_up(tmp_path)
    changed(archive, how)
    with pytest.raises(HubProblem, match=r"another copy|no backup of tocsin") as refused:
        await backup.restore(archive, configured(tmp_path), tmp_path / "new")
    assert "\n" not in str(refused.value)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["hub.lock"]


@pytest.mark.parametrize("name", ["../out.db", "/tmp/out.db", "history/../../out.db"])
async def test_an_archive_writes_only_under_plain_names(tmp_path: Path, name: str) -> None:
    """A manifest that names a path elsewhere is refused before anything is read."""
    archive = tmp_path / "bad.tar"
    part = {"name": name, "size": 3, "sha256": ""}
    manifest = {"format": 1, "tocsin": "1", "created_at": 1, "stores": {}, "facts": {}, "parts": [part]}
    with tarfile.open(archive, "w") as tar:
        for member, content in ((name, b"out"), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(HubProblem, match="no backup of tocsin does"):
        await backup.restore(archive, configured(tmp_path), tmp_path / "new")
    assert not (tmp_path / "out.db").exists()


async def test_a_folder_without_a_store_is_named(tmp_path: Path) -> None:
    """Nobody believes to have a backup of an empty folder."""
    with pytest.raises(HubProblem, match="nothing to back up"):
        await backup.main(tmp_path / "copy.tar", configured(tmp_path), tmp_path / "empty")
    assert not (tmp_path / "copy.tar").exists()
