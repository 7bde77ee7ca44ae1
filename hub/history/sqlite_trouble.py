"""What SQLite says when it cannot write, in sentences with the cure. Depends on sqlite3 and hub.history."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.history import HistoryFull, HistoryTrouble


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What SQLite says of a disk, in a sentence with the cure. Other errors are bugs and pass as they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            raise _trouble(HistoryFull, path, error, "free some space, nothing is lost meanwhile") from error
        for start, cure in CURES.items():
            if name.startswith(start):
                raise _trouble(HistoryTrouble, path, error, cure) from error
        raise


CURES = {
    "SQLITE_BUSY": "another program holds the file, end it",
    "SQLITE_READONLY": "make the file and its folder writable",
    "SQLITE_CANTOPEN": "make the folder and the file readable and writable",
    "SQLITE_IOERR": "look at the disk and the system's log",
    "SQLITE_CORRUPT": "stop tocsin and restore the file from a copy, or move it away to begin a new one",
    "SQLITE_NOTADB": "this is no history of tocsin, move it away",
}


def _trouble(kind: type[HistoryTrouble], path: Path, error: Exception, cure: str) -> HistoryTrouble:
    free = shutil.disk_usage(path.parent).free
    return kind(f"the history {path} cannot be written ({error}; {free / 1e6:.1f} MB free): {cure}", path, free)
