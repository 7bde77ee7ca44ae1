"""Files of prices, opened: plain, gzip or a member of a zip, as a stream of bytes that is never held whole.

Every problem with a file is a GiveUp with a sentence. Blocking.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from hub.plugin import GiveUp

DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Opened(NamedTuple):
    """`name` is of the file, or of the member of a zip that was taken, one of `members`."""

    name: str
    stream: "io.BufferedReader[Any]"
    members: tuple[str, ...] = ()
    packed: IO[bytes] | None = None  # the file itself, with the bytes of it that hold the stream
    first_byte: int = 0
    length: int = 1

    def share(self) -> float:
        """How much of the file was read so far, as a share."""
        if self.packed is None or self.packed.closed:
            return 1.0
        return min(max((self.packed.tell() - self.first_byte) / max(self.length, 1), 0.0), 1.0)


@contextmanager
def opened(path: Path, member: str = "") -> Iterator[Opened]:
    """`member`: part of the name of a zip's member; the largest if empty. GiveUp, also from what is read inside."""
    try:
        with path.open("rb", buffering=0) as raw:
            length = raw.seek(0, io.SEEK_END)
            raw.seek(0)
            file = io.BufferedReader(raw, 1 << 16)
            start = file.peek(4)
            if not start:
                raise GiveUp(f"{path.name} is empty")
            if start.startswith(UTF16):
                raise GiveUp(f"{path.name} is text in UTF-16: save it as UTF-8")
            if start.startswith(b"\x1f\x8b"):
                with gzip.open(file) as unpacked:
                    stream = io.BufferedReader(cast(io.RawIOBase, unpacked), 1 << 16)
                    yield Opened(path.name, stream, packed=raw, length=length)
            elif start.startswith(b"PK"):
                with zipfile.ZipFile(file) as archive:
                    chosen = _member(archive, member, path)
                    names = tuple(info.filename for info in _members(archive))
                    with archive.open(chosen) as inside:
                        stream = io.BufferedReader(cast(io.RawIOBase, inside), 1 << 16)
                        yield Opened(chosen.filename, stream, names, raw, chosen.header_offset, chosen.compress_size)
            else:
                yield Opened(path.name, file, packed=raw, length=length)
    except FileNotFoundError as error:
        raise GiveUp(f"there is no recording at {path}") from error
    except IsADirectoryError as error:
        raise GiveUp(f"{path} is a folder: name a file in it") from error
    except PermissionError as error:
        raise GiveUp(f"{path} may not be read by this user") from error
    except DAMAGED as error:
        raise GiveUp(f"{path.name} cannot be read to its end: {error or type(error).__name__}") from error


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Without what macOS puts beside them."""
    return [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]


def _member(archive: zipfile.ZipFile, wanted: str, path: Path) -> zipfile.ZipInfo:
    members = _members(archive)
    matching = [info for info in members if wanted in info.filename]
    if not members:
        raise GiveUp(f"{path.name} holds no file")
    if not matching:
        held = ", ".join(info.filename for info in members[:12])
        raise GiveUp(f'{path.name} has no member with "{wanted}" in its name; it holds {held}')
    return max(matching, key=lambda info: info.file_size)
