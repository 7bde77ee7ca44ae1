"""bell: tick emitted → notification handed to the bot, through the whole core, beside one NATS round trip plus one
commit. A bot in another process would add what its process adds; here it listens on a connection of its own."""

import asyncio
import statistics
import sys
import tempfile
import time
import types
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from bench.table import Figure, show
from hub import broker
from hub import bus as names
from hub.app import core, tune
from hub.bus import Bus
from hub.config import BusSection, Config, FeedSection, HubSection
from hub.ledger import Ledger, open_ledger, people
from hub.ledger import tables as t
from hub.model import AlertAnswer, AlertChange, Kind, Message, Nature, Receipt, Tick, Who
from hub.plugin import Emit

BELLS = 400
PACE_S = 0.01
"""Between two of anything measured here: a quiet market, in which nothing is warm from the one before."""
WHO = Who(platform="bench", id="bench", name="bench")


class Bell(types.ModuleType):
    """A feed whose ticks are emitted by the benchmark itself, in the core's process like any feed's."""

    Settings = type("Settings", (msgspec.Struct,), {})
    NATURE = Nature.LIVE
    emit: Emit

    def __init__(self) -> None:
        super().__init__("plugins.feeds.bell")
        self.started = asyncio.Event()

    async def run(self, _settings: object, _symbols: object, emit: Emit, _last: object) -> None:
        self.emit = emit
        self.started.set()
        await asyncio.Event().wait()

    async def tick(self, price: float) -> None:
        await self.emit(Tick(instrument="XAU-USD", kind=Kind.QUOTE, bid=price, ask=price))


async def measure() -> None:
    feed = Bell()
    sys.modules[feed.__name__] = feed
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            hub=HubSection(roles=("ingest", "record", "alert", "deliver", "commands")),
            feeds=(FeedSection(name="bell", module="bell", symbols={}),),
            instruments={"XAU-USD": {"session": "24x7"}},  # it rings at a weekend as well
            folder=Path(folder),
        )
        server = await broker.start(BusSection(), config.folder)
        try:
            owner = await _person(config)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(core(config, server.url, server.token))
                bus = await stack.enter_async_context(names.connect(server.url, server.token, "bench"))
                ledger = await stack.enter_async_context(open_ledger(Config(folder=config.folder / "other")))
                latencies = await _ring(feed, bus, owner, stack)
                trips, commits = await _round_trips(bus, stack), await _commits(ledger)
        finally:
            await server.stop()
    beside = Figure("round trip + commit", [a + b for a, b in zip(trips, commits, strict=True)], "ms")
    show(
        f"bell: {BELLS} ticks that ring, one after the other (p99 of the bell {_p99(latencies):.2f} ms)",
        [
            Figure("tick emitted → handed over", latencies, "ms"),
            Figure("NATS round trip", trips, "ms"),
            Figure("commit of one row", commits, "ms"),
            beside,
        ],
        beside=beside,
        goal="p50 within 3 times",
    )


async def _person(config: Config) -> int:
    """Somebody with one destination, and the owner id of their alerts."""
    async with open_ledger(config) as ledger:

        def settle(connection: Any) -> int:
            user = people.user_of(connection, WHO, 1)
            people.add_destination(connection, user.owner_id, "bench", "bench", "bench", 1)
            return user.owner_id

        return await ledger.write(settle)


async def _ring(feed: Bell, bus: Bus, owner: int, stack: AsyncExitStack) -> list[float]:
    """A price that jumps over the level and back; milliseconds from before the publish to the bot's request."""
    heard: asyncio.Queue[float] = asyncio.Queue()

    async def bot(payload: bytes) -> bytes:
        heard.put_nowait(time.perf_counter())
        msgspec.json.decode(payload, type=Message)
        return msgspec.json.encode(Receipt(outcome="sent", text="1"))

    await stack.enter_async_context(bus.serve(names.send("bench"), bot))
    await feed.started.wait()
    change = AlertChange(action="create", owner_id=owner, user_id=1, line="XAU-USD > 2000 every time band 0")
    answer = await bus.request(names.alerts("engine"), change, AlertAnswer, 5)
    assert answer.armed is not None, answer.error
    latencies = []
    for _ in range(BELLS):
        await feed.tick(1999.0)
        await asyncio.sleep(PACE_S)
        begun = time.perf_counter()
        await feed.tick(2001.0)
        async with asyncio.timeout(5):
            latencies.append((await heard.get() - begun) * 1e3)
    return latencies


async def _round_trips(bus: Bus, stack: AsyncExitStack) -> list[float]:
    async def echo(payload: bytes) -> bytes:
        return payload

    await stack.enter_async_context(bus.serve("echo", echo))
    out = []
    for _ in range(BELLS):
        await asyncio.sleep(PACE_S)
        begun = time.perf_counter()
        await bus.call("echo", b"x", 5)
        out.append((time.perf_counter() - begun) * 1e3)
    return out


async def _commits(ledger: Ledger) -> list[float]:
    out = []
    for i in range(BELLS):
        await asyncio.sleep(PACE_S)
        begun = time.perf_counter()
        await ledger.write(lambda c, i=i: c.execute(t.facts.insert().values(name=str(i), value="x")))  # type: ignore[misc]
        out.append((time.perf_counter() - begun) * 1e3)
    return out


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main() -> None:
    from hub.child import run_async

    async def run() -> int:
        tune()
        await measure()
        return 0

    run_async(run())
