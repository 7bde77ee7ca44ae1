"""The archive of a backup: a tar whose last member, `manifest.json`, names every other with its size and SHA-256.

What a tar names is never trusted: only parts of the manifest are read, under their own plain names, and nothing
is used before all of them were held against their checksums. Blocking. Depends on msgspec.
"""

import hashlib
import io
import re
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from hub.backup.stores import CHUNK
from hub.lock import HubProblem

FORMAT = 1
MANIFEST = "manifest.json"
PART = re.compile(r"(?:[a-z]+/)?[A-Za-z0-9_][A-Za-z0-9_.-]*")
DAMAGED = (tarfile.TarError, OSError, EOFError, ValueError)


class Part(msgspec.Struct, frozen=True):
    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`stores`: history and ledger → "sqlite" or "postgresql". `facts` are counts for people."""

    format: int
    tocsin: str
    created_at: int
    stores: dict[str, str]
    facts: dict[str, int]
    parts: tuple[Part, ...]


class Out:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._parts: list[Part] = []

    def add(self, path: Path, name: str) -> None:
        """A file that nobody else writes any more, hashed as it goes into the archive."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = path.stat().st_size, int(time.time()), 0o600
        with path.open("rb") as file:
            hashing = _Hashing(file)
            self._tar.addfile(info, hashing)
        self._parts.append(Part(name, info.size, hashing.digest.hexdigest()))

    def finish(self, *, tocsin: str, stores: dict[str, str], facts: dict[str, int]) -> Manifest:
        manifest = Manifest(
            format=FORMAT,
            tocsin=tocsin,
            created_at=time.time_ns() // 1000,
            stores=stores,
            facts=facts,
            parts=tuple(self._parts),
        )
        content = msgspec.json.format(msgspec.json.encode(manifest))
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mtime, info.mode = len(content), int(time.time()), 0o600
        self._tar.addfile(info, io.BytesIO(content))
        return manifest


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


@contextmanager
def writing(path: Path, *, packed: bool) -> Iterator[Out]:
    """Readable by this user only: addresses of destinations are in it."""
    path.touch(mode=0o600)
    with tarfile.open(path, "w:gz" if packed else "w") as tar:
        yield Out(tar)


def manifest_of(path: Path) -> Manifest:
    with _reading(path) as tar:
        try:
            member = tar.getmember(MANIFEST)
        except KeyError as error:
            raise HubProblem(
                f"{path} has no {MANIFEST} at its end: it is no backup of tocsin, or was cut off"
            ) from error
        file = tar.extractfile(member)
        if file is None:
            raise HubProblem(f"{path} is no backup of tocsin: its {MANIFEST} is no file")
        content = file.read()
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise HubProblem(f"{path} is no backup that this tocsin reads: {error}") from error
    if manifest.format > FORMAT:
        raise HubProblem(f"{path} was written by tocsin {manifest.tocsin}: restore it with that one, or a newer one")
    wrong = [part.name for part in manifest.parts if not PART.fullmatch(part.name)]
    if wrong:
        raise HubProblem(f"{path} names a part {wrong[0][:60]!r}: no backup of tocsin does")
    return manifest


def extract(path: Path, manifest: Manifest, folder: Path) -> None:
    """Every part into the folder, or HubProblem: one that is missing, cut or changed."""
    with _reading(path) as tar:
        for part in manifest.parts:
            target = folder / part.name
            target.parent.mkdir(exist_ok=True)
            try:
                file = tar.extractfile(part.name)
            except KeyError:
                file = None
            if file is None:
                raise HubProblem(f"{path} lacks its part {part.name}: take another copy of it")
            digest = _copy(file, target)
            if digest != part.sha256:
                raise HubProblem(f"{path} is damaged: the checksum of {part.name} is another; take another copy of it")


def _copy(file: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        target.chmod(0o600)
        while content := file.read(CHUNK):
            digest.update(content)
            out.write(content)
    return digest.hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:*") as tar:
            yield tar
    except FileNotFoundError as error:
        raise HubProblem(f"there is no file {path}") from error
    except tarfile.ReadError as error:
        if "\n" not in str(error):
            raise HubProblem(f"{path} cannot be read to its end ({error}): take another copy of it") from error
        raise HubProblem(f"{path} is no backup of tocsin: it is no archive at all") from error
    except DAMAGED as error:
        raise HubProblem(f"{path} cannot be read to its end ({error}): take another copy of it") from error
