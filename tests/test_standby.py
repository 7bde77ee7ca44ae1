"""Cores on one NATS and one PostgreSQL: one works and another stands by; and what happens when the database dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub import bus as names
from hub import talk
from hub.app import core
from hub.bus import Bus
from hub.config import BusSection, Config, FeedSection, HistorySection, LedgerSection
from hub.held import FIRST_LEASE_US
from hub.history import open_history
from hub.ledger import leases, open_ledger
from hub.ledger.leases import LeaseLost
from hub.model import Message, Receipt
from tests.conftest import NatsServer
from tests.servers import PostgresServer
from tests.test_bad_input import feed, listens, recorded
from tests.waiting import until_true


def config(folder: Path, url: str) -> Config:
    return Config(
        folder=folder,
        bus=BusSection(max_mb=16),
        history=HistorySection(url=url),
        ledger=LedgerSection(url=url),
        feeds=(FeedSection(name="desk", module="nats"),),
    )


def coin(number: int, price: float) -> dict[str, Any]:
    return {"instrument": "BTC-USD", "price": price, "number": number}


@asynccontextmanager
async def bell(server: NatsServer) -> AsyncIterator[tuple[Bus, list[str]]]:
    """A connection, and what the console's bot was asked to say."""
    heard: list[str] = []

    async def bot(raw: bytes) -> bytes:
        heard.extend(one.title for one in msgspec.json.decode(raw, type=Message).notifications)
        return msgspec.json.encode(Receipt(outcome="sent"))

    async with names.connect(server.url, server.token, "test") as bus, bus.serve(names.send("console"), bot):
        yield bus, heard


def waits(bus: Bus, expected: list[list[str]]) -> Any:
    """What each core waits for, the one that works first."""

    async def as_expected() -> bool:
        answers = [msgspec.json.decode(raw) for raw in await bus.scatter(names.STATUS, b"", 0.1)]
        return sorted((one["standby"] for one in answers if one["service"] == "hub"), key=len) == expected

    return as_expected


async def test_a_standby_takes_over_at_the_position_of_a_core_that_ended(
    tmp_path: Path, nats_server: NatsServer, postgres_url: str
) -> None:
    """Every tick is stored once, every crossing rings once, and an alert may be made of the second core as of the
    first."""
    async with bell(nats_server) as (bus, heard), AsyncExitStack() as second, AsyncExitStack() as first:
        start = (nats_server.url, nats_server.token)
        await first.enter_async_context(core(config(tmp_path / "a", postgres_url), *start))
        await until_true(lambda: listens(bus), within_s=15)
        await second.enter_async_context(core(config(tmp_path / "b", postgres_url), *start))
        await until_true(waits(bus, [[], ["recorder", "ingest"]]), within_s=10)

        await feed(bus, coin(1, 2400.0))
        await recorded(bus, 1)
        assert (await talk.say(bus, "alert BTC-USD > 2410", "operator")).ok
        assert (await talk.say(bus, "alert BTC-USD > 2430", "operator")).ok
        await feed(bus, coin(2, 2420.0))
        await until_true(said(heard, 1), within_s=10)

        await first.aclose()
        await until_true(lambda: listens(bus), within_s=15)
        await until_true(waits(bus, [[]]), within_s=10)
        await feed(bus, coin(2, 2420.0))
        await feed(bus, coin(3, 2440.0))
        await until_true(said(heard, 2), within_s=10)
        assert (await recorded(bus, 3))["ticks"] == 3
        assert ["2,410" in heard[0], "2,430" in heard[1], len(heard)] == [True, True, 2]
    async with open_history(config(tmp_path, postgres_url)) as history:
        assert [tick.number for tick in await history.ticks("BTC-USD", 0, 1 << 60)] == [1, 2, 3]


def said(heard: list[str], count: int) -> Any:
    async def so_many() -> bool:
        return len(heard) == count

    return so_many


async def test_a_core_whose_leases_were_taken_ends_with_the_reason(
    tmp_path: Path, nats_server: NatsServer, postgres_url: str
) -> None:
    """It was paused for too long, say; it must not go on beside the one that took over."""
    settings = config(tmp_path, postgres_url)
    async with core(settings, nats_server.url, nats_server.token) as running, open_ledger(settings) as ledger:
        for name in ("recorder", "engine-3", "ingest"):
            await ledger.write(
                lambda c, name=name: leases.take(c, name, "other", 1 << 60, FIRST_LEASE_US, at_once=True)  # type: ignore[misc]
            )
        with pytest.raises(ExceptionGroup) as ended:
            async with asyncio.timeout(15):
                await asyncio.shield(running)
    lost = ended.value.subgroup(LeaseLost)
    assert lost is not None
    assert "taken over" in repr(lost)


async def test_a_database_that_dies_and_comes_back_costs_no_tick_and_no_bell(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """The core goes on by itself: what came meanwhile waited in the stream, and rings once."""
    database = PostgresServer()
    try:
        database.start()
        settings = config(tmp_path, database.database())
        async with bell(nats_server) as (bus, heard):
            async with core(settings, nats_server.url, nats_server.token) as running:
                await until_true(lambda: listens(bus), within_s=15)
                await feed(bus, coin(1, 2400.0))
                await recorded(bus, 1)
                assert (await talk.say(bus, "alert BTC-USD > 2410", "operator")).ok
                database.kill()
                assert (await feed(bus, coin(2, 2420.0))) == {"accepted": 1, "refused": []}
                refused = await talk.say(bus, "alerts", "operator")
                assert not refused.ok and "does not answer" in " ".join(refused.lines)
                database.start()
                await until_true(said(heard, 1), within_s=20)
                await feed(bus, coin(3, 2421.0))
                assert (await recorded(bus, 3))["ticks"] == 3
                assert not running.done()
        assert len(heard) == 1
    finally:
        database.remove()
