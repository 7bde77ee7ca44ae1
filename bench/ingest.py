"""ingest: ticks through the whole hub, emit → NATS → SQLite committed, beside bare `executemany` of the same rows into
the same table and beside one JetStream message a tick."""

import asyncio
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiosqlite
import msgspec

from bench.market import ticks
from bench.table import Figure, show
from hub import broker, reader
from hub import bus as names
from hub.bus import Bus
from hub.config import BusSection, Config
from hub.history import open_history
from hub.ingest import FeedRun, Ingest, Start
from hub.instruments import build_catalogue
from hub.model import Nature, Tick
from hub.recorder import Recorder

COUNT = 200_000
INSTRUMENTS = 20
REPEATS = 3


async def measure() -> None:
    some = ticks(COUNT, INSTRUMENTS)
    hub, bare, single = [], [], []
    for _ in range(REPEATS):
        hub.append(await through_the_hub(some))
        bare.append(await bare_executemany(some))
        single.append(await one_message_a_tick(some[: COUNT // 20]))
    beside = Figure("bare executemany", bare, "ticks/s")
    show(
        f"ingest: {COUNT:,} ticks of {INSTRUMENTS} instruments, emit → NATS → SQLite committed",
        [Figure("through the hub", hub, "ticks/s"), beside, Figure("one message a tick, bus only", single, "ticks/s")],
        beside=beside,
        goal=">= 0.5 of bare executemany",
    )


async def through_the_hub(some: list[Tick]) -> float:
    """Ticks a second from the first emit to the last commit, with broker, ingest, tail, recorder and SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(folder=Path(folder))
        server = await broker.start(BusSection(), config.folder)
        try:
            async with names.connect(server.url, server.token, "bench") as bus, open_history(config) as history:
                state = await reader.ensure_streams(bus, lambda: "bench", 1_000_000_000)
                tail = reader.Tail(bus)
                stored = await history.position()
                recorder = Recorder(bus, history, tail, msgspec.structs.replace(stored, stream="bench"), stored)
                ingest = _ingest(bus, some, state.last)
                begun = time.perf_counter()
                async with asyncio.TaskGroup() as group:
                    services = [group.create_task(run()) for run in (tail.run, recorder.run, ingest.run)]
                    while recorder.position.ticks < len(some):
                        await asyncio.sleep(0.002)
                    seconds = time.perf_counter() - begun
                    for service in services:
                        service.cancel()
                return len(some) / seconds
        finally:
            await server.stop()


def _ingest(bus: Bus, some: list[Tick], last: int) -> Ingest:
    async def run(_settings: object, _symbols: object, emit: Any, _last: object) -> None:
        for tick in some:
            await emit(tick)
        await asyncio.sleep(3600)

    changes: dict[str, dict[str, Any]] = {f"I{i}": {"name": f"I{i}", "basis": "mid"} for i in range(INSTRUMENTS)}
    module = SimpleNamespace(run=run, NATURE=Nature.LIVE)
    start = Start(epoch=1, last_sequence=last, marks={}, prices={}, days={})
    feed = FeedRun("bench", module, None, {}, 60.0)
    return Ingest(bus, build_catalogue(changes, changes), [feed], start, prefer={}, fresh_for_s={"bench": 15})


async def bare_executemany(some: list[Tick]) -> float:
    """The same rows into the same table, 2,000 a transaction, nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(folder=Path(folder))
        async with open_history(config):
            pass  # the schema as the hub makes it
        async with aiosqlite.connect(config.folder / "history.db") as db:
            await db.execute("PRAGMA journal_mode=WAL")
            await db.execute("PRAGMA synchronous=NORMAL")
            columns = [row[1] async for row in await db.execute("PRAGMA table_info(ticks)")]
            rows = [_row(i, tick, columns) for i, tick in enumerate(some)]
            marks = ", ".join("?" * len(columns))
            begun = time.perf_counter()
            for start in range(0, len(rows), 2000):
                await db.executemany(f"INSERT INTO ticks VALUES ({marks})", rows[start : start + 2000])
                await db.commit()
            return len(rows) / (time.perf_counter() - begun)


def _row(i: int, tick: Tick, columns: list[str]) -> tuple[Any, ...]:
    """A row of the ticks table by its column names, whatever their order."""
    assert tick.bid is not None
    assert tick.ask is not None
    values: dict[str, Any] = {
        "instrument": int(tick.instrument[1:]) + 1,
        "time": tick.venue_time,
        "id": i,
        "received_at": tick.venue_time,
        "kind": int(tick.kind),
        "price": (tick.bid + tick.ask) / 2,
        "bid": tick.bid,
        "ask": tick.ask,
        "volume": None,
        "source": 1,
        "number": tick.number,
        "verdict": 0,
    }
    return tuple(values.get(name, 0) for name in columns)


async def one_message_a_tick(some: list[Tick]) -> float:
    """Each tick published by itself, acknowledged one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        server = await broker.start(BusSection(), Path(folder))
        try:
            async with names.connect(server.url, server.token, "bench") as bus:
                await reader.ensure_streams(bus, lambda: "bench", 1_000_000_000)
                payloads = [msgspec.msgpack.encode(tick) for tick in some]
                begun = time.perf_counter()
                for payload in payloads:
                    await bus.js.publish(names.TICKS_SUBJECT, payload)
                return len(payloads) / (time.perf_counter() - begun)
        finally:
            await server.stop()


def main() -> None:
    from hub.app import tune
    from hub.child import run_async

    async def run() -> int:
        tune()  # as a core does at its start
        await measure()
        return 0

    run_async(run())
