"""`tocsin backup` and `tocsin restore`: everything a hub keeps, in one archive with checksums, also while it runs.

The archive is a tar (packed where its name ends in .gz or .tgz) of the stores as they are, the configuration, and
at its end `manifest.json` with the size and SHA-256 of each part. Each store is copied as of one moment, and the
hub goes on meanwhile; history and ledger are of moments that lie seconds apart, which is safe, as each holds its own
position. What was still waiting to be sent is sent again by the restored hub. Tokens are not in it: they are in the
environment. Rooms: `archive` writes and reads the tar, `stores` copies the stores. Depends on the stores and rich.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from hub import __version__, lock
from hub.backup import archive, stores
from hub.backup.archive import Manifest
from hub.config import Config, load
from hub.config.sections import BUILT_IN_SOURCE
from hub.history import open_history
from hub.ledger import open_ledger
from hub.wording import iso

ROOM = 1.02
"""So much more than the stores' own size has to be free."""
ONE = {"ticks": "tick", "candles": "candle", "alerts": "alert", "people": "person"}


async def main(file: Path, config: Path | None, data: Path | None) -> int:
    settings = load(config, data=data)
    manifest = await asyncio.to_thread(_backup, file, settings)
    size = file.stat().st_size
    print(f"{file}: {_megabytes(size)}, {_holds(manifest)}")
    return 0


def _backup(file: Path, config: Config) -> Manifest:
    if file.exists():
        raise lock.HubProblem(f"{file} is there already and is left as it is: give another name")
    if not file.parent.is_dir():
        raise lock.HubProblem(f"there is no folder {file.parent}: make it, or give another name")
    held = stores.of(config)
    if not any(store.exists() for store in held):
        raise lock.HubProblem(f"there is no history and no ledger in {config.folder}: nothing to back up")
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".tocsin-backup-") as name:
            room = Path(name)
            _need(room, sum(store.size() for store in held))
            with archive.writing(unfinished, packed=file.name.endswith((".gz", ".tgz"))) as out:
                for store in held:
                    if store.exists():
                        _say(f"copying the {store.name}")
                        for path in store.copy_to(room):
                            out.add(path, f"{store.name}/{path.name}")
                            path.unlink()
                if config.source != BUILT_IN_SOURCE:
                    out.add(Path(config.source), "config.toml")
                facts = {name: count for store in held for name, count in store.facts.items()}
                kinds = {store.name: store.kind for store in held}
                manifest = out.finish(tocsin=__version__, stores=kinds, facts=facts)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


async def restore(file: Path, config: Path | None, data: Path | None) -> int:
    settings = load(config, data=data)
    taken = await lock.take(settings.folder, lambda *_, **__: None)
    try:
        await _make_tables(settings)
        manifest = await asyncio.to_thread(_restore, file, settings)
    finally:
        os.close(taken)
    print(f"restored to {settings.folder}: {_holds(manifest)}")
    return 0


async def _make_tables(config: Config) -> None:
    """PostgreSQL takes rows back into the tables of this version; a SQLite file brings its own."""
    if config.history.url:
        async with open_history(config):
            pass
    if config.ledger.url:
        async with open_ledger(config):
            pass


def _restore(file: Path, config: Config) -> Manifest:
    manifest = archive.manifest_of(file)
    targets = {store.name: store for store in stores.of(config)}
    for name, kind in manifest.stores.items():
        if name not in targets or targets[name].kind != kind:
            raise lock.HubProblem(
                f"{file} holds the {name} of {kind}, and this configuration keeps it elsewhere: restore with a"
                " configuration that keeps it there, then move it with tocsin migrate"
            )
        targets[name].must_be_empty()
    with tempfile.TemporaryDirectory(dir=config.folder, prefix=".tocsin-restore-") as name:
        room = Path(name)
        _need(room, sum(part.size for part in manifest.parts))
        _say("reading the archive, every checksum is looked at first")
        archive.extract(file, manifest, room)
        files = {name: sorted((room / name).iterdir()) for name in manifest.stores if (room / name).is_dir()}
        for name in files:
            targets[name].look_through(files[name])
        for name in files:
            targets[name].bring_back(files[name])
        if (room / "config.toml").exists():
            aside = config.folder / "config.restored.toml"
            shutil.move(room / "config.toml", aside)
            _say(f"the settings of then are in {aside}, to compare with those of now")
    return manifest


def _need(room: Path, size: int) -> None:
    free = shutil.disk_usage(room).free
    if free < size * ROOM:
        raise lock.HubProblem(
            f"{_megabytes(int(size * ROOM))} are needed beside {room.parent}, {_megabytes(free)} are free:"
            " free some space, or choose another disk"
        )


def _holds(manifest: Manifest) -> str:
    facts = ", ".join(
        f"{count:,} {ONE.get(name, name) if count == 1 else name}" for name, count in manifest.facts.items()
    )
    return f"{facts}, as of {iso(manifest.created_at)}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
