"""The stores as a backup sees them: how big, how to copy one as of one moment, how to bring it back. Blocking.

SQLite: a read transaction holds the moment still while SQLite's own online backup copies page by page; a writer in
another process goes on. Depends on sqlite3 and hub.config.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from hub.config import Config
from hub.lock import HubProblem

PAGES = 4096
"""Copied in one step, so that Ctrl-C is heard in between."""
CHUNK = 1 << 20


class Store(Protocol):
    name: str  # "history" or "ledger"
    kind: str  # "sqlite" or "postgresql"
    facts: dict[str, int]  # counts for people, of the moment that was copied

    def exists(self) -> bool: ...
    def size(self) -> int:
        """Bytes that a copy takes, at most."""
        ...

    def copy_to(self, folder: Path) -> Iterator[Path]:
        """The store as of one moment, a file at a time; each is the caller's once it is given."""
        ...

    def must_be_empty(self) -> None:
        """HubProblem if it holds something."""
        ...

    def look_through(self, files: Sequence[Path]) -> None:
        """HubProblem unless these are a whole store."""
        ...

    def bring_back(self, files: Sequence[Path]) -> None: ...


COUNTS = {
    "history": {"ticks": "SELECT ticks - pruned FROM position", "candles": "SELECT count(*) FROM candles"},
    "ledger": {
        "alerts": "SELECT count(*) FROM alerts WHERE deleted_at IS NULL",
        "people": "SELECT count(*) FROM users",
    },
}


class SqliteStore:
    kind = "sqlite"

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.facts: dict[str, int] = {}

    def exists(self) -> bool:
        return self.path.exists()

    def size(self) -> int:
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def copy_to(self, folder: Path) -> Iterator[Path]:
        target = folder / self.path.name
        with self._reading() as source:
            source.execute("BEGIN")
            counts = COUNTS[self.name].items()  # the transaction begins at its first read
            self.facts = {name: int(source.execute(sql).fetchone()[0]) for name, sql in counts}
            copy = sqlite3.connect(target)
            try:
                source.backup(copy, pages=PAGES)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            finally:
                copy.close()
        yield target

    def must_be_empty(self) -> None:
        """Its log alone too: SQLite would play that back into the file that is restored beside it."""
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            if path.exists():
                raise HubProblem(f"{path} is there already and is left as it is: restore to another folder with --data")

    def look_through(self, files: Sequence[Path]) -> None:
        (file,) = files
        connection = sqlite3.connect(file)
        try:
            (said,) = connection.execute("PRAGMA quick_check").fetchone()
        except sqlite3.DatabaseError as error:
            said = str(error)
        finally:
            connection.close()
        if said != "ok":
            raise HubProblem(f"the {self.name} in the archive is damaged ({said}): take another copy of it")

    def bring_back(self, files: Sequence[Path]) -> None:
        (file,) = files
        file.replace(self.path)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30
        )
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise HubProblem(f"the {self.name} {self.path} cannot be copied ({error})") from error
        finally:
            connection.close()


def of(config: Config) -> list[Store]:
    """The stores that the configuration names."""
    return [
        _store("history", config.folder, config.history.url, config.history.password),
        _store("ledger", config.folder, config.ledger.url, config.ledger.password),
    ]


def _store(name: str, folder: Path, url: str, password: str) -> Store:
    if not url:
        return SqliteStore(name, folder / f"{name}.db")
    from hub.backup.postgres import PostgresStore

    return PostgresStore(name, url, password)
