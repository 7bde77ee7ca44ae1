"""`tocsin migrate`: the same answers on PostgreSQL afterwards, nothing half done, and alerts that go on ringing."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from hub import bus as names
from hub import lock, talk
from hub.app import core
from hub.bus import Bus
from hub.config import BusSection, Config, FeedSection, HistorySection, LedgerSection
from hub.frame import Event, EventKind, Refusal
from hub.history import History, open_history
from hub.history.ladder import RUNGS
from hub.ledger import open_ledger, people
from hub.ledger import tables as t
from hub.lock import FolderBusy, HubProblem
from hub.migrate import Copied, _copy_all, _prepare, _stores, migrate
from hub.migrate.copying import Stopped
from hub.model import Candle, Message, Nature, Receipt, Verdict, Who
from hub.testing.frames import DAY_US, EVER, NOON_US, frame_of, store, trade, walk
from tests.conftest import NatsServer
from tests.servers import PostgresServer
from tests.test_bad_input import GOLD, feed, listens, recorded, status
from tests.waiting import until_true

ANNA = Who(platform="telegram", id="77", name="anna")


def on_sqlite(folder: Path, **more: Any) -> Config:
    return Config(folder=folder, **more)


def on_postgres(folder: Path, url: str, ledger_url: str | None = None, **more: Any) -> Config:
    ledger = LedgerSection(url=url if ledger_url is None else ledger_url)
    return Config(folder=folder, history=HistorySection(url=url), ledger=ledger, **more)


# --------------------------------------------------------------------------------------- what is in a hub


async def fill_history(history: History) -> None:
    """Something in every table: ticks of all verdicts, late ones, bars, prices of the past, marks, counts, a try."""
    for number, name in enumerate(("AAA-USD", "BBB-USD"), 1):
        ticks = [msgspec.structs.replace(one, number=at) for at, one in enumerate(walk(name, 1200), 1)]
        await store(history, *ticks)
        late = trade(name, NOON_US + 5, 1.5, 0.25, verdict=Verdict.LATE, number=number)
        unstamped = trade(name, NOON_US + 3 * DAY_US, 1299.5, venue_time=None, source="other")
        await store(history, late, unstamped)
    await history.fill([frame_of(walk("CCC-USD", 50), nature=Nature.LIVE)])
    bar = Candle(start=NOON_US - NOON_US % DAY_US - DAY_US, open=1.0, high=3.0, low=0.5, close=2.0, volume=7.0, count=1,
                 sum=0.0, sum_squares=0.0)  # fmt: skip
    await history.fill_candles("AAA-USD", "1d", [bar], source="bars", nature=Nature.LIVE, number=3)
    stands = await history.position()
    frame = msgspec.structs.replace(
        frame_of([], number=stands.number + 1, epoch=stands.epoch),
        refused=[Refusal(source="check", reason="bid above ask", count=4, lane="AAA-USD/trade", number=9_000)],
        events=[Event(0, EventKind.FINISHED, 1, "", "check", "1200")],
    )
    after = msgspec.structs.replace(stands, sequence=stands.sequence + 1, number=stands.number + 1)
    await history.append([frame], after)
    await history.trying(after.sequence + 1)


async def everything(history: History) -> list[object]:
    instruments = ("AAA-USD", "BBB-USD", "CCC-USD", "DDD-USD")
    seen: list[object] = [await history.position(), await history.tick_count(), await history.last_ticks()]
    seen += [await history.marks(), await history.refusals(), await history.finished(), await history.natures()]
    seen += [await history.ticks(name, *EVER) for name in instruments]
    seen += [await history.candles(name, rung, *EVER) for name in instruments for rung in RUNGS]
    seen += [await history.window(name, NOON_US, NOON_US + DAY_US, 100) for name in instruments]
    seen += [await history.reach(name) for name in instruments]
    return seen


def fill_ledger(connection: sa.Connection) -> None:
    user = people.user_of(connection, ANNA, 1, time_zone="Asia/Kolkata")
    place = people.add_destination(connection, user.owner_id, "push", "json://secret/ü", "a 'label'\twith\\signs", 2)
    alert = {"owner_id": user.owner_id, "user_id": user.id, "text": "gold > 2400", "instrument": GOLD, "series": "x"}
    armed = {"state": "armed", "up_armed": True, "down_armed": False, "armed_price": 2399.1, "armed_at": 3}
    connection.execute(t.alerts.insert().values(id=41, **alert, **armed, created_at=3))
    connection.execute(t.alerts.insert().values(id=42, **alert, state="armed", armed_at=3, created_at=3))
    row = {"destination_id": place.id, "title": "t", "text": "b", "due_at": 4, "created_at": 4, "key": "k"}
    connection.execute(
        t.notifications.insert().values(id=9, **row, state="due", claimed_by="dead", claimed_until=1 << 60)
    )
    connection.execute(t.facts.insert().values(name="nature", value="live"))
    connection.execute(t.leases.insert().values(name="engine", holder="dead", epoch=7, until=1 << 60))


def ledger_rows(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
        for table in t.metadata.sorted_tables
    }


@pytest.fixture
async def source(tmp_path: Path) -> Config:
    """A hub's folder on SQLite with something in every table of history and in most of the ledger."""
    config = on_sqlite(tmp_path / "data")
    async with open_history(config) as history, open_ledger(config) as ledger:
        await fill_history(history)
        await ledger.write(fill_ledger)
    return config


async def nothing_in(target: Config) -> bool:
    async with open_history(target) as history, open_ledger(target) as ledger:
        rows = await ledger.read(ledger_rows)
        return await history.tick_count() == 0 and not any(rows.values()) and await history.marks() == {}


# ------------------------------------------------------------------------------------------------ all of it


async def test_history_gives_the_same_answers_afterwards_and_goes_on_in_the_same_way(
    source: Config, postgres_url: str
) -> None:
    """Every tick, candle, mark and count; and what is appended next continues ids, names and candles."""
    target = on_postgres(source.folder, postgres_url)
    copied = await migrate(source, target)
    assert [one.name for one in copied] == ["history", "ledger"]
    assert copied[0].rows["ticks"] == 2 * 1202 + 50
    async with open_history(source) as here, open_history(target) as there:
        assert await everything(there) == await everything(here)
        for history in (here, there):
            await store(history, trade("AAA-USD", NOON_US + 1200 * 97_000_000, 1400.0, 2.0, number=1201))
            await store(history, trade("DDD-USD", NOON_US, 1.0, source="new"))
            await history.fill([frame_of(walk("CCC-USD", 60)[50:])])
        assert await everything(there) == await everything(here)


async def test_the_ledger_is_the_same_row_by_row_and_its_numbers_go_on(source: Config, postgres_url: str) -> None:
    """But for what a hub holds while it lives: nobody waits for claims and leases of the dead."""
    target = on_postgres(source.folder, postgres_url)
    await migrate(source, target)
    async with open_ledger(source) as here, open_ledger(target) as there:
        ours, theirs = await here.read(ledger_rows), await there.read(ledger_rows)
        assert {name: rows for name, rows in ours.items() if name not in ("leases", "notifications")} == {
            name: rows for name, rows in theirs.items() if name not in ("leases", "notifications")
        }
        assert ours["alerts"]
        assert theirs["leases"] == [("engine", "dead", 7, 0)]
        (row,) = await there.read(lambda c: c.execute(sa.select(t.notifications)).all())
        assert (row.id, row.key, row.state, row.claimed_by, row.claimed_until) == (9, "k", "due", "", 0)
        bob = Who(platform="telegram", id="78", name="bob")
        again, new = await there.write(lambda c: (people.user_of(c, ANNA, 5), people.user_of(c, bob, 5)))
        assert (again.id, new.id, again.time_zone) == (1, 2, "Asia/Kolkata")


async def test_an_empty_hub_can_be_moved_as_well(tmp_path: Path, postgres_url: str) -> None:
    """Its schema is made, and the first user there is number 1."""
    source, target = on_sqlite(tmp_path), on_postgres(tmp_path, postgres_url)
    async with open_history(source), open_ledger(source):
        pass
    await migrate(source, target)
    async with open_ledger(target) as ledger:
        assert (await ledger.write(lambda c: people.user_of(c, ANNA, 1))).id == 1


# -------------------------------------------------------------------------------------------- all or nothing


async def test_a_target_that_holds_something_else_is_refused_and_left_as_it_is(
    source: Config, postgres_url: str
) -> None:
    """The sentence says what is in it."""
    target = on_postgres(source.folder, postgres_url)
    async with open_ledger(target) as ledger:
        await ledger.write(lambda c: c.execute(t.facts.insert().values(name="nature", value="simulated")))
    with pytest.raises(HubProblem, match=r"the ledger at .* is not empty \(rows in facts\)"):
        await migrate(source, target)
    async with open_history(target) as history:
        assert await history.tick_count() == 0


async def test_a_copy_that_fails_in_the_second_store_keeps_nothing_of_the_first(
    source: Config, postgres: PostgresServer, postgres_url: str
) -> None:
    """And can be started again once the reason is gone."""
    target = on_postgres(source.folder, postgres_url)
    await _prepare(source, target)
    database = postgres_url.rpartition("/")[2]
    postgres.psql("ALTER TABLE identities ADD CONSTRAINT nobody CHECK (name <> 'anna')", database)
    with pytest.raises(HubProblem, match="could not be copied") as refused:
        await migrate(source, target)
    assert "anna" not in str(refused.value)
    assert await nothing_in(target)
    postgres.psql("ALTER TABLE identities DROP CONSTRAINT nobody", database)
    await migrate(source, target)
    assert not await nothing_in(target)


async def test_what_arrives_otherwise_than_it_was_sent_is_noticed_before_it_is_kept(
    source: Config, postgres: PostgresServer, postgres_url: str
) -> None:
    """Counts are equal, the checksum is not."""
    target = on_postgres(source.folder, postgres_url)
    await _prepare(source, target)
    database = postgres_url.rpartition("/")[2]
    postgres.psql(
        "CREATE FUNCTION off() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF NEW.id = 700 THEN NEW.price := NEW.price + 0.0001; END IF; RETURN NEW; END';"
        " CREATE TRIGGER off BEFORE INSERT ON ticks FOR EACH ROW EXECUTE FUNCTION off()",
        database,
    )
    with pytest.raises(HubProblem, match="is not what was written there: ticks"):
        await migrate(source, target)
    assert await nothing_in(target)


async def test_a_machine_that_died_between_the_two_commits_is_no_trouble(source: Config, postgres_url: str) -> None:
    """The next run finds the history there, compares it, and copies the ledger alone."""
    target = on_postgres(source.folder, postgres_url)
    await _prepare(source, target)
    await asyncio.to_thread(_copy_all, _stores(source, target)[:1], threading.Event())
    copied = await migrate(source, target)
    assert [(one.name, one.was_there) for one in copied] == [("history", True), ("ledger", False)]
    again: list[Copied] = await migrate(source, target)
    assert [one.was_there for one in again] == [True, True]
    assert [one.rows for one in again] == [one.rows for one in copied]


async def test_a_copy_that_is_stopped_keeps_nothing(source: Config, postgres_url: str) -> None:
    """It ends within a batch, and the folder is free again."""
    target = on_postgres(source.folder, postgres_url)
    await _prepare(source, target)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        await asyncio.to_thread(_copy_all, _stores(source, target), stop)
    work = asyncio.ensure_future(migrate(source, target))
    while not work.done():
        work.cancel()
        await asyncio.sleep(0.01)
    assert work.cancelled()
    assert await nothing_in(target)
    await migrate(source, target)


async def test_a_folder_that_a_hub_runs_on_is_not_copied(source: Config, postgres_url: str) -> None:
    """Half of what it writes would be missing."""
    held = await lock.take(source.folder, lambda *_, **__: None)
    try:
        with pytest.raises(FolderBusy, match=str(os.getpid())):
            await migrate(source, on_postgres(source.folder, postgres_url))
    finally:
        os.close(held)


async def test_two_databases_are_as_good_as_one(source: Config, postgres: PostgresServer) -> None:
    """History here, ledger there."""
    target = on_postgres(source.folder, postgres.database(), postgres.database())
    await migrate(source, target)
    async with open_ledger(target) as ledger, open_history(target) as history:
        assert (await history.position()).ticks == 2 * 1202 + 50
        assert await ledger.read(lambda c: c.scalar(sa.select(t.users.c.name))) == "anna"


@pytest.mark.parametrize(
    ("source_url", "target_urls", "words"),
    [
        ("", ("", ""), "names no PostgreSQL"),
        ("postgresql://a@h/d", ("postgresql://a@h/d", ""), "keeps its history in PostgreSQL already"),
        ("", ("postgresql://a@h/d", ""), "keeps its ledger in SQLite"),
        ("", ("postgresql://a@h/d", "postgresql://a@h/d"), "there is no"),
    ],
)
async def test_what_cannot_be_moved_is_said_before_anything_is_touched(
    tmp_path: Path, source_url: str, target_urls: tuple[str, str], words: str
) -> None:
    """A sentence, and no file is made."""
    source = Config(folder=tmp_path / "data", history=HistorySection(url=source_url))
    target = on_postgres(tmp_path / "other", *target_urls)
    with pytest.raises(HubProblem, match=words):
        await migrate(source, target)
    assert list(tmp_path.iterdir()) == []


async def test_the_files_stay_as_they_were(source: Config, postgres_url: str) -> None:
    """Whoever regrets it starts the old configuration again."""

    def content() -> list[Any]:
        with closing(sqlite3.connect(source.folder / "history.db")) as file, file:
            return file.execute("SELECT count(*), sum(price), sum(id) FROM ticks").fetchall()

    before = content()
    await migrate(source, on_postgres(source.folder, postgres_url))
    assert content() == before
    async with open_ledger(source) as ledger:
        assert await ledger.read(lambda c: c.scalar(sa.select(t.leases.c.epoch))) == 7


# ------------------------------------------------------------------------------------------------ the whole way


@asynccontextmanager
async def running(config: Config, server: NatsServer) -> AsyncIterator[Bus]:
    async with core(config, server.url, server.token):
        async with names.connect(server.url, server.token, "test") as bus:
            await until_true(lambda: listens(bus), within_s=15)
            yield bus


def coin(number: int, price: float = 2400.0) -> dict[str, Any]:
    """Of a market that never closes."""
    return {"instrument": "BTC-USD", "price": price, "number": number}


async def test_alerts_that_were_armed_on_sqlite_ring_on_postgres_and_each_once(
    tmp_path: Path, nats_server: NatsServer, postgres_url: str
) -> None:
    """One rang before and stays silent, one is crossed by the first tick afterwards, one waits on; a vendor's resend
    is recognised by the marks that came along."""
    more: dict[str, Any] = {
        "bus": BusSection(max_mb=16),
        "feeds": (FeedSection(name="desk", module="nats"),),
    }
    source, target = on_sqlite(tmp_path, **more), on_postgres(tmp_path, postgres_url, **more)
    heard: list[str] = []

    async def heard_one() -> bool:
        return len(heard) == 1

    async def heard_two() -> bool:
        return len(heard) == 2

    async def bot(raw: bytes) -> bytes:
        message = msgspec.json.decode(raw, type=Message)
        heard.extend(one.title for one in message.notifications)
        return msgspec.json.encode(Receipt(outcome="sent"))

    async with names.connect(nats_server.url, nats_server.token, "bot") as own:
        async with own.serve(names.send("console"), bot):
            async with running(source, nats_server) as bus:
                await feed(bus, coin(1))
                await recorded(bus, 1)
                for line in ("alert BTC-USD > 2410", "alert BTC-USD > 2430", "alert BTC-USD > 2450"):
                    assert (await talk.say(bus, line, "operator")).ok, line
                await feed(bus, coin(2, 2420.0))
                await until_true(heard_one, within_s=10)
            await migrate(source, target)
            async with running(target, nats_server) as bus:
                assert await feed(bus, coin(2, 2420.0)) is not None
                await feed(bus, coin(3, 2440.0))
                await until_true(heard_two, within_s=10)
                told = await recorded(bus, 3)
                assert told["ticks"] == 3
                listed = await talk.say(bus, "alerts", "operator")
                assert (await status(bus))["engine"]["triggers"] == 1
    assert len(heard) == 2
    assert "2,410" in heard[0]
    assert "2,430" in heard[1]
    assert any("2,450" in cell for row in listed.table for cell in row)
