"""engine: ticks a second and bytes an alert at 1 k, 100 k and 1 M armed level alerts, beside a naive scan."""

import gc
import random
import time
from pathlib import Path
from typing import Any, cast

from bench.market import frames, ticks
from bench.table import Figure, show
from hub.engine import Engine
from hub.engine.board import Standing, price_key
from hub.frame import Frame, Position
from hub.instruments import build_catalogue
from hub.reader import Tail
from hub.rules.levels import Level

INSTRUMENTS = 200
COUNT = 200_000
REPEATS = 5


def engine_with(alerts: int) -> Engine:
    """An engine in memory whose alerts lie one to fifty percent away from the price, spread over all instruments."""
    nothing = cast("Any", None)
    changes = {f"I{i}": {"name": f"I{i}"} for i in range(INSTRUMENTS)}
    engine = Engine(
        nothing, nothing, build_catalogue(changes, changes), Tail(nothing), Position(),
        lease_epoch=1, band_percent=0.05, late_after_s=5, per_person=1 << 60,
    )  # fmt: skip
    draw = random.Random(3)
    for i in range(INSTRUMENTS):
        key, price = price_key(f"I{i}"), 1000.0 + i
        book = engine.board.book(key, f"I{i}")
        levels = []
        for alert_id in range(i, alerts, INSTRUMENTS):
            up = draw.random() < 0.5
            level = price * (1 + draw.uniform(0.01, 0.5) * (1 if up else -1))
            levels.append(
                Level(alert_id, level, level * 0.0005, up, not up, True, True if up else None, None if up else True)
            )
            engine.board.standing[alert_id] = Standing(1, f"I{i}", key, f"I{i} > {level:.3f}", "")
        book.add(levels)
    return engine


def main() -> None:
    market = frames(ticks(COUNT, INSTRUMENTS), 500)
    figures, sizes = [], []
    for alerts in (1_000, 100_000, 1_000_000):
        gc.collect()
        before = _rss()
        engine = engine_with(alerts)
        gc.collect()
        used = max(_rss() - before, 0) / alerts
        gc.freeze()
        rates = [_rate(engine, market) for _ in range(REPEATS + 1)][1:]
        figures.append(Figure(f"{alerts:,} alerts", rates, "ticks/s"))
        sizes.append(f"{used:,.0f} at {alerts:,}")
        del engine
    scan = Figure("naive scan, 100,000 alerts", [_scan_rate(100_000, market) for _ in range(3)], "ticks/s")
    show(
        f"engine: {COUNT:,} decoded ticks over {INSTRUMENTS} instruments; bytes an alert: {', '.join(sizes)}",
        [*figures, scan],
        beside=figures[0],
        goal="1 M alerts: >= 500,000 ticks/s, and a tick at most 1.3 times as dear as with 1,000 (ratio >= 0.77)",
    )


def _rate(engine: Engine, market: list[Frame]) -> float:
    begun = time.perf_counter()
    for sequence, frame in enumerate(market):
        engine.board.evaluate(frame, sequence)
    return COUNT / (time.perf_counter() - begun)


def _scan_rate(alerts: int, market: list[Frame]) -> float:
    """Every alert of the instrument looked at on every tick."""
    levels: dict[str, list[float]] = {f"I{i}": [] for i in range(INSTRUMENTS)}
    for alert_id in range(alerts):
        levels[f"I{alert_id % INSTRUMENTS}"].append(5000.0 + alert_id)
    seen, begun = 0, time.perf_counter()
    for frame in market[:4]:
        for at, price in zip(frame.instrument, frame.price, strict=True):
            for level in levels[frame.instruments[at]]:
                if price >= level:
                    raise AssertionError
            seen += 1
    return seen / (time.perf_counter() - begun)


def _rss() -> int:
    """Resident bytes of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
