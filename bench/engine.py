"""engine: 1,000, 100,000 and 1,000,000 armed level alerts over 200 instruments, out of a real ledger: how long they
take to load, bytes an alert, ticks a second, beside a naive scan and a query a tick in the same run; and what a tick
costs that crosses nothing, and one that fires 10,000."""

import asyncio
import gc
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from bench.market import frames, ticks
from bench.table import Figure, show
from hub import reader
from hub.config import Config
from hub.engine import Engine
from hub.frame import Frame, Position
from hub.instruments import build_catalogue
from hub.ledger import Ledger, alerts, leases, open_ledger, people
from hub.ledger import tables as t
from hub.model import Kind, State, Tick, Who
from hub.rules.gates import Level

INSTRUMENTS = 200
COUNT = 200_000
REPEATS = 5
SIZES = (1_000, 100_000, 1_000_000)
FIRED, CROWDED = 10_000, "CROWDED"
SCANNED, QUERIED = 400, 40_000  # ticks: a scan and a query are too slow for all of them
CHUNK = 50_000
STREAM = "bench"
TICKS = "ticks/s"


async def measure() -> None:
    market = frames(ticks(COUNT, INSTRUMENTS), 500)
    rates, loads, sizes = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in SIZES:
            async with open_ledger(Config(folder=Path(folder) / str(count))) as ledger:
                await ledger.write(partial(_fill, count))
                gc.collect()
                before, begun = _rss(), time.perf_counter()
                engine = await _loaded(ledger)
                loads.append(Figure(f"{count:,} alerts", [time.perf_counter() - begun], "s"))
                gc.collect()
                sizes.append(f"{max(_rss() - before, 0) / len(engine.board.standing):,.0f} at {count:,}")
                gc.freeze()
                rates.append(
                    Figure(f"{count:,} alerts", [_rate(engine, market) for _ in range(REPEATS + 1)][1:], TICKS)
                )
                if count == SIZES[-1]:
                    beside = _compared(engine, market)
                    single = await _single(engine)
                del engine
                gc.unfreeze()
    goal = "1 M alerts: >= 500,000 ticks/s, and a tick at most 1.3 times as dear as with 1,000 (ratio >= 0.77)"
    title = f"engine: {COUNT:,} decoded ticks over {INSTRUMENTS} instruments; bytes an alert: {', '.join(sizes)}"
    show(title, [*rates, *beside], beside=rates[0], goal=goal)
    show("engine: loading, from a SQLite ledger to armed", loads, beside=loads[-1])
    show(f"engine: one frame of one tick among {SIZES[-1]:,} alerts", single, beside=single[0])


def _fill(count: int, connection: sa.Connection) -> None:
    """Somebody with one destination and alerts one to fifty percent away from the price, spread over all instruments;
    and FIRED more at the round prices of an instrument of their own."""
    draw = random.Random(3)

    def row(instrument: str, level: float, *, up: bool) -> dict[str, Any]:
        return {
            "owner_id": user.owner_id, "user_id": user.id, "text": f"{instrument} {'>' if up else '<'} {level:.3f}",
            "instrument": instrument, "series": f"price({instrument})", "state": State.ARMED,
            "up_armed": True if up else None, "down_armed": None if up else True, "armed_stream": STREAM,
            "armed_at": 1, "created_at": 1,
        }  # fmt: skip

    def spread(number: int) -> dict[str, Any]:
        i, up = number % INSTRUMENTS, draw.random() < 0.5
        return row(f"I{i}", (1000.0 + i) * (1 + draw.uniform(0.01, 0.5) * (1 if up else -1)), up=up)

    user = people.user_of(connection, Who(platform="bench", id="bench", name="bench"), 1)
    people.add_destination(connection, user.owner_id, "bench", "bench", "bench", 1)
    for start in range(0, count, CHUNK):
        connection.execute(t.alerts.insert(), [spread(number) for number in range(start, min(start + CHUNK, count))])
    connection.execute(t.alerts.insert(), [row(CROWDED, 2000.0, up=True) for _ in range(FIRED)])
    alerts.begin_position(connection, Position(stream=STREAM))


async def _loaded(ledger: Ledger) -> Engine:
    nothing = cast("Any", None)
    changes = {name: {"name": name, "session": "24x7"} for name in (CROWDED, *(f"I{i}" for i in range(INSTRUMENTS)))}
    epoch = await ledger.write(lambda c: leases.take(c, alerts.ENGINE, "bench", 1, 1 << 60, at_once=True))
    assert epoch is not None
    engine = Engine(
        cast("Any", _NoBus()), ledger, build_catalogue(changes, changes), reader.Tail(nothing), Position(stream=STREAM),
        leases={alerts.ENGINE: epoch}, band_percent=0.05, late_after_s=5, per_person=1 << 60,
    )  # fmt: skip
    await engine.load()
    return engine


class _NoBus:
    """Nobody is told that there are notifications."""

    class client:
        @staticmethod
        async def publish(_subject: str, _payload: bytes) -> None: ...


def _rate(engine: Engine, market: list[Frame]) -> float:
    begun = time.perf_counter()
    for sequence, frame in enumerate(market):
        engine.board.evaluate(frame, sequence)
    return COUNT / (time.perf_counter() - begun)


async def _single(engine: Engine) -> list[Figure]:
    """A frame that crosses nothing, one that fires FIRED alerts at once, and the commit of all that came of it."""
    board = engine.board
    (quiet,) = frames([_quote(1000.0 + i / 1000) for i in range(2)][:1], 1)
    (loud,) = frames([_quote(2001.0)], 1)
    board.take(quiet, 1)
    calm = []
    for sequence in range(2, 2002):
        begun = time.perf_counter()
        board.take(quiet, sequence)
        calm.append((time.perf_counter() - begun) * 1e6)
    begun = time.perf_counter()
    board.take(loud, 2002)
    fired = (time.perf_counter() - begun) * 1e6
    assert len(board.batch.fired) == FIRED
    begun = time.perf_counter()
    await engine.commit()
    committed = (time.perf_counter() - begun) * 1e6
    return [
        Figure("crosses nothing", calm, "µs"),
        Figure(f"fires {FIRED:,}", [fired], "µs"),
        Figure(f"a {FIRED:,}th of that", [fired / FIRED], "µs"),
        Figure(f"commits {FIRED:,} triggers and notifications", [committed], "µs"),
        Figure(f"a {FIRED:,}th of that", [committed / FIRED], "µs"),
    ]


def _quote(price: float) -> Tick:
    return Tick(instrument=CROWDED, kind=Kind.QUOTE, bid=price, ask=price, venue_time=2_000_000_000_000_000)


def _compared(engine: Engine, market: list[Frame]) -> list[Figure]:
    """The same alerts and ticks by other means: every level of the instrument looked at, and SQL asked for those that
    a tick reaches, in memory and with the best index there is."""
    rising: dict[str, list[float]] = {}
    falling: dict[str, list[float]] = {}
    rows = []
    for alert_id, standing in engine.board.standing.items():
        (gate,) = standing.gates
        assert isinstance(gate, Level)
        if gate.rise is not None:
            rising.setdefault(standing.instrument, []).append(gate.rise)
        if gate.fall is not None:
            falling.setdefault(standing.instrument, []).append(gate.fall)
        rows.append((alert_id, standing.instrument, gate.rise, gate.fall))
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE alerts (id INTEGER PRIMARY KEY, instrument TEXT, rise REAL, fall REAL)")
    database.executemany("INSERT INTO alerts VALUES (?, ?, ?, ?)", rows)
    database.execute("CREATE INDEX rises ON alerts (instrument, rise)")
    database.execute("CREATE INDEX falls ON alerts (instrument, fall)")
    ask = (
        "SELECT id FROM alerts WHERE instrument = ?1 AND rise <= ?2"
        " UNION ALL SELECT id FROM alerts WHERE instrument = ?1 AND fall >= ?2"
    )

    def scan(instrument: str, price: float) -> bool:
        return any(price >= level for level in rising[instrument]) or any(
            price <= level for level in falling[instrument]
        )

    def query(instrument: str, price: float) -> bool:
        return database.execute(ask, (instrument, price)).fetchone() is not None

    found = [
        Figure(f"a scan a tick, {SIZES[-1]:,}", [_each(scan, market, SCANNED) for _ in range(3)], TICKS),
        Figure(f"a query a tick, {SIZES[-1]:,}", [_each(query, market, QUERIED) for _ in range(3)], TICKS),
    ]
    database.close()
    return found


def _each(reached: Callable[[str, float], bool], market: list[Frame], most: int) -> float:
    prices = [
        (frame.instruments[at], price)
        for frame in market[: -(-most // len(market[0]))]
        for at, price in zip(frame.instrument, frame.price, strict=True)
    ][:most]
    begun = time.perf_counter()
    for instrument, price in prices:
        assert not reached(instrument, price)
    return len(prices) / (time.perf_counter() - begun)


def _rss() -> int:
    """Resident bytes of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    asyncio.run(measure())
