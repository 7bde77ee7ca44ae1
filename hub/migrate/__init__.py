"""`tocsin migrate`: history and ledger from SQLite to the PostgreSQL of another configuration, in one go.

All or nothing: each store is copied in one transaction, read back there, its counts and checksums held against what
was read here, and only when both are right are they committed, history first. If the machine dies between these two
commits, the next run finds the history there already, compares it, and copies the ledger alone. A target that holds
anything else is refused. The SQLite files stay as they are (an older one is first brought up to date).

Positions, marks, lease epochs and the nature of the prices come along, so feeds resume and alerts go on where they
were. No hub may run on the folder meanwhile; one that starts on the target waits until the copy is done. Depends on
hub.history, hub.ledger, hub.lock and psycopg.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from hub import lock
from hub.config import Config, load
from hub.history import HistoryTooNew, HistoryTrouble, open_history
from hub.importing.progress import progress
from hub.ledger import LedgerTooNew, LedgerTrouble, open_ledger
from hub.lock import HubProblem

BUSY_S = 1.0
LOCK_S = 10
"""So long it waits for others who write to the target."""


class Store(NamedTuple):
    """One of the two, where it comes from and where it goes."""

    name: str
    file: Path
    url: str
    password: str


class Copied(NamedTuple):
    name: str
    where: str
    rows: dict[str, int]  # by table
    was_there: bool  # by an earlier run


async def main(to: Path, config: Path | None, data: Path | None) -> int:
    source, target = load(config, data=data), load(to)
    copied = await migrate(source, target)
    for one in copied:
        print(_told(one))
    print(_what_next(source, target, to))
    return 0


async def migrate(source: Config, target: Config) -> list[Copied]:
    """HubProblem with the reason where it cannot be; nothing is kept then."""
    stores = _stores(source, target)
    held = await lock.take(source.folder, lambda *_, **__: None, BUSY_S)
    try:
        try:
            await _prepare(source, target)
        except (HistoryTrouble, HistoryTooNew, LedgerTrouble, LedgerTooNew) as error:
            raise HubProblem(str(error)) from error
        return await _in_thread(stores)
    finally:
        os.close(held)


def _stores(source: Config, target: Config) -> list[Store]:
    """What is to be copied: what the target keeps in PostgreSQL."""
    if source.history.url or source.ledger.url:
        raise HubProblem(
            f"{source.source} keeps its {'history' if source.history.url else 'ledger'} in PostgreSQL already: name the"
            " configuration of the hub on SQLite with --config, and unset TOCSIN_HISTORY__URL and TOCSIN_LEDGER__URL"
        )
    both = [
        Store("history", source.folder / "history.db", target.history.url, target.history.password),
        Store("ledger", source.folder / "ledger.db", target.ledger.url, target.ledger.password),
    ]
    stores = [store for store in both if store.url]
    if not stores:
        raise HubProblem(f"{target.source} names no PostgreSQL: give it [history] url and [ledger] url")
    if len(stores) == 1 and target.folder != source.folder:
        stays = "ledger" if target.history.url else "history"
        raise HubProblem(
            f"{target.source} keeps its {stays} in SQLite in {target.folder}, which is not {source.folder}:"
            f" give it [{stays}] url, or the same [hub] data"
        )
    for store in stores:
        if not store.file.exists():
            raise HubProblem(f"there is no {store.file} to copy: name the folder of a hub with --data")
    return stores


async def _prepare(source: Config, target: Config) -> None:
    """Both sides up to date, the tables of the target made."""
    for config in (source, target):
        async with open_history(config), open_ledger(config):
            pass


async def _in_thread(stores: Sequence[Store]) -> list[Copied]:
    """A cancelled copy ends within a batch, before anything is committed."""
    stop = threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(_copy_all, stores, stop))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


def _copy_all(stores: Sequence[Store], stop: threading.Event) -> list[Copied]:
    import psycopg

    from hub.migrate.copying import NotEmpty, Unlike

    store = stores[0]
    try:
        with ExitStack() as stack:
            connections = [_connect(each, stack) for each in stores]
            copied = []
            for store, (here, there) in zip(stores, connections, strict=True):
                copied.append(_copy(store, here, there, stop))
            for _, there in connections:
                there.commit()
            for _, there in connections:
                there.execute("ANALYZE")  # or the first queries would be planned for empty tables
                there.commit()
            return copied
    except NotEmpty as error:
        raise HubProblem(
            f"the {store.name} at {_where(store)} is not empty ({error}): give an empty database; nothing was changed"
        ) from None
    except Unlike as error:
        raise HubProblem(
            f"the {store.name} at {_where(store)} is not what was written there: {error}; nothing was kept"
        ) from None
    except psycopg.Error as error:
        said = (error.diag.message_primary or str(error)).strip().splitlines()[0]
        raise HubProblem(
            f"the {store.name} could not be copied to {_where(store)} ({said}): nothing was kept, start it again"
        ) from None


def _connect(store: Store, stack: ExitStack) -> tuple[sqlite3.Connection, Any]:
    import psycopg

    here = stack.enter_context(closing(sqlite3.connect(f"{store.file.as_uri()}?mode=ro", uri=True)))
    here.execute("BEGIN")
    there = stack.enter_context(
        closing(
            psycopg.connect(
                store.url,
                password=store.password or None,
                application_name="tocsin migrate",
                options=f"-c lock_timeout={LOCK_S}s",
            )
        )
    )
    return here, there


def _copy(store: Store, here: sqlite3.Connection, there: Any, stop: threading.Event) -> Copied:
    """Not committed yet, but where it was there already."""
    from hub.migrate import copying, stores

    tables = stores.history_tables() if store.name == "history" else stores.ledger_tables()
    rows = sum(here.execute(f"SELECT count(*) FROM ({table.query})").fetchone()[0] for table in tables)
    done = 0
    with progress(f"{store.name} → {_where(store)}", "rows") as show:

        def step(count: int) -> None:
            nonlocal done
            done += count
            show(done / max(2 * rows, 1), done // 2)

        copy = copying.Copy(here, there, tables, step, stop)
        copy.lock()
        found = copy.found()
        sums = copy.sums_here() if found else copy.fill()
        if store.name == "history" and not found:
            _copy_position(here, there)
        try:
            copying.compare(sums, copy.sums_there())
            if store.name == "history":
                _compare_positions(here, there)
        except copying.Unlike:
            if found:
                raise copying.NotEmpty(f"rows in {', '.join(found)}") from None
            raise
    return Copied(store.name, _where(store), {name: one.rows for name, one in sums.items()}, bool(found))


def _copy_position(here: sqlite3.Connection, there: Any) -> None:
    from hub.migrate.stores import POSITION

    values = here.execute(f"SELECT {', '.join(POSITION)} FROM position").fetchone()
    sets = ", ".join(f"{name} = %s" for name in POSITION)
    there.execute(f"UPDATE history_position SET {sets}, version = version + 1", values)


def _compare_positions(here: sqlite3.Connection, there: Any) -> None:
    from hub.migrate.copying import Unlike
    from hub.migrate.stores import POSITION

    ours = here.execute(f"SELECT {', '.join(POSITION)} FROM position").fetchone()
    theirs = there.execute(f"SELECT {', '.join(POSITION)} FROM history_position").fetchone()
    if tuple(ours) != tuple(theirs or ()):
        raise Unlike("the recorder's position")


def _where(store: Store) -> str:
    from hub.ledger.postgres import address

    return address(store.url)


def _told(one: Copied) -> str:
    rows = sum(one.rows.values())
    of_these = f", {one.rows['ticks']:,} of them ticks" if "ticks" in one.rows else ""
    done = "was there already" if one.was_there else "copied"
    return f"{one.name}: {rows:,} rows in {len(one.rows)} tables{of_these}: {done}, counts and checksums are right"


def _what_next(source: Config, target: Config, to: Path) -> str:
    lines = [f"now: tocsin run --config {to}; the files in {source.folder} are as they were"]
    if (target.folder, target.bus.url) != (source.folder, source.bus.url):
        lines.append(
            f"its stream is another one than that in {source.folder}: feeds that can resume do so at their last tick,"
            " and what the old hub had accepted but not yet read when it was killed stays behind"
        )
    return "\n".join(lines)
