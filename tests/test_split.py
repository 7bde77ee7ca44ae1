"""One hub over several processes, on a NATS server, a PostgreSQL and a Redis of their own: the same answers, a standby
that takes over from a core that was killed, every tick stored once and every crossing rung once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import redis.asyncio as redis
from aiohttp import web

from hub import bus as subjects
from hub.bus import Bus, connect
from hub.cache import keys
from hub.config import HistorySection
from hub.history.postgres import open_postgres
from hub.model import Line, Quote, Reply, Who
from hub.testing import EVER
from tests.waiting import until_true

if TYPE_CHECKING:
    from tests.conftest import NatsServer
    from tests.servers import RedisServer

SINGLE = "ingest,record,alert"
SHARED = "deliver,commands,bots"
STARTED_S = 30.0
TAKEN_OVER_S = 40.0
OPERATOR = Who(platform="console", id="operator", name="operator")
CONFIG = """
[hub]
log = "json"
[bus]
max_mb = 256
[delivery]
allow_private = true
[feeds.desk]
module = "nats"
symbols = { BTC-USD = "BTC-USD" }
[bots.push]
[instruments.BTC-USD]
outlier = 0.5
"""


class Deployment:
    """Processes by name, each with a data folder of its own and the servers' URLs in its environment."""

    def __init__(self, folder: Path, urls: dict[str, str]) -> None:
        self.folder = folder
        self.urls = urls
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "config.toml").write_text(CONFIG)

    def start(self, name: str, roles: str) -> None:
        command = [sys.executable, "-m", "hub", "run", "--config", str(self.folder / "config.toml")]
        command += ["--data", str(self.folder / name), "--roles", roles]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command, env={**os.environ, **self.urls}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def serving(self, name: str) -> None:
        async def ready() -> bool:
            assert self.running[name].poll() is None, (self.folder / f"{name}.log").read_text()
            return (self.folder / name / "run" / "core.ready").exists()

        await until_true(ready, STARTED_S)

    def kill(self, name: str) -> None:
        """kill -9 of its core and its supervisor: nothing is given up in order, leases have to run out."""
        process = self.running.pop(name)
        children = json.loads((self.folder / name / "run" / "children.json").read_bytes())
        process.send_signal(signal.SIGSTOP)  # or it would start the core again
        os.kill(children["core"]["pid"], signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(timeout=30)


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Its URL, and the notifications that arrived there."""
    heard: list[dict[str, Any]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.extend((await request.json())["notifications"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", heard
    finally:
        await runner.cleanup()


async def ask(bus: Bus, text: str) -> Reply:
    reply = await bus.request(subjects.LINE, Line(text=text, who=OPERATOR), Reply, 15)
    assert reply.ok, reply.lines
    return reply


async def publish(bus: Bus, number: int, price: float) -> None:
    """One trade, asked for until a hub has taken it; its number tells a repeat."""
    tick = json.dumps([{"instrument": "BTC-USD", "price": price, "number": number}]).encode()

    async def taken() -> bool:
        try:
            answer = await bus.call(subjects.feed("desk"), tick, 2)
        except Exception:  # nobody listens yet, or any more
            await asyncio.sleep(0.2)
            return False
        return bool(json.loads(answer.data)["accepted"])

    await until_true(taken, TAKEN_OVER_S)


@pytest.mark.timeout(240)
async def test_a_hub_over_three_processes_survives_the_death_of_the_one_that_rings(
    tmp_path: Path, nats_server: "NatsServer", postgres_url: str, redis_server: "RedisServer"
) -> None:
    """Ticks, crossings and the hot state, before a core is killed and after its standby took over."""
    deployment = Deployment(
        tmp_path,
        {
            "TOCSIN_BUS__URL": nats_server.url,
            "TOCSIN_BUS_TOKEN": nats_server.token,
            "TOCSIN_HISTORY__URL": postgres_url,
            "TOCSIN_LEDGER__URL": postgres_url,
            "TOCSIN_CACHE__URL": redis_server.url,
            "TOCSIN_CACHE__PASSWORD": redis_server.password,
        },
    )
    prices = [60_000.0, 61_500.0, 60_500.0, 61_800.0, 60_100.0]
    try:
        deployment.start("first", SINGLE)
        await deployment.serving("first")
        deployment.start("people", SHARED)
        deployment.start("standby", SINGLE)
        await deployment.serving("people")
        await deployment.serving("standby")
        async with (
            connect(nats_server.url, nats_server.token, "test") as bus,
            webhook() as (url, heard),
            open_postgres(HistorySection(url=postgres_url)) as history,
        ):

            async def stored(count: int) -> bool:
                return await history.tick_count() >= count

            async def rung(count: int) -> bool:
                return len(heard) >= count

            async def standing_by() -> bool:
                said = await bus.scatter(subjects.STATUS, b"", 0.3)
                told = [json.loads(one) for one in said]
                return any(one.get("service") == "hub" and one.get("standby") for one in told)

            await until_true(standing_by, STARTED_S)
            await publish(bus, 1, prices[0])
            await until_true(lambda: stored(1), 10)
            await ask(bus, f"push add {url}")
            await ask(bus, "btc-usd > 61000 every time band 100")
            await publish(bus, 2, prices[1])
            await until_true(lambda: rung(1), 15)
            await publish(bus, 3, prices[2])
            await until_true(lambda: stored(3), 10)

            deployment.kill("first")
            for number in (4, 5):
                await publish(bus, number, prices[number - 1])
            await until_true(lambda: rung(2), 15)
            await until_true(lambda: stored(5), 10)

            assert [tick.price for tick in await history.ticks("BTC-USD", *EVER)] == prices
            assert [one["trigger"]["price"] for one in heard] == [61_500.0, 61_800.0]

            async def shown() -> bool:
                return "60,100.00" in str((await ask(bus, "price btc-usd")).table)

            await until_true(shown, 5)
            client = redis.Redis.from_url(redis_server.url, password=redis_server.password)

            async def cached() -> bool:
                raw = await client.get(keys.price("BTC-USD"))
                return raw is not None and msgspec.json.decode(raw, type=Quote).price == prices[-1]

            await until_true(cached, 10)
            await client.aclose()
            await asyncio.sleep(0.5)
            assert len(heard) == 2, "something rang twice"
    except BaseException:
        for log in sorted(tmp_path.glob("*.log")):
            print(log.name, log.read_text()[-4000:], sep="\n")
        raise
    finally:
        deployment.stop()
