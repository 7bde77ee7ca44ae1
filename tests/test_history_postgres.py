"""History in PostgreSQL: the contract, servers and networks that die, several writers, a real gold day."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hub.config import Config, HistorySection
from hub.frame import Frame
from hub.history import History, HistoryFull, HistoryTooNew, HistoryTrouble, Position, open_history
from hub.history.ladder import RUNGS, ladder_of
from hub.history.postgres import SETTINGS, PostgresHistory, open_postgres
from hub.history.postgres_schema import MIGRATIONS
from hub.history.postgres_writer import Memory
from hub.model import MOVES, Candle, Nature, Verdict
from hub.testing import EVER, MINUTE_US, NOON_US, check_history, frame_of, same_candles
from tests.proxy import Proxy
from tests.servers import PostgresServer
from tests.test_history import GOLD, burst, gold_frames, trade

Rows = list[tuple[Any, ...]]


def plain(url: str) -> HistorySection:
    return HistorySection(url=url, timescale="no")


def sql(url: str, statement: str) -> Rows:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
async def history(postgres_url: str) -> AsyncIterator[PostgresHistory]:
    async with open_postgres(plain(postgres_url)) as opened:
        yield opened


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """That a test may kill."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def proxy(postgres: PostgresServer) -> AsyncIterator[Proxy]:
    async with Proxy(postgres.port) as between:
        yield between


def through(proxy: Proxy, url: str) -> HistorySection:
    return plain(url.replace(f":{proxy.target}/", f":{proxy.port}/"))


def in_stream_order(url: str) -> Rows:
    return sql(
        url,
        "SELECT i.name, t.time, t.price, t.volume, t.verdict FROM ticks t"
        " JOIN instruments i ON i.id = t.instrument ORDER BY t.id",
    )


async def ladder_is_that_of_the_rows(history: History, url: str) -> None:
    every = in_stream_order(url)
    for instrument in {row[0] for row in every}:
        mine = [row for row in every if row[0] == instrument and (row[4] < MOVES or row[4] == Verdict.LATE)]
        late = {index for index, row in enumerate(mine) if row[4] == Verdict.LATE}
        for rung in RUNGS:
            same_candles(
                await history.candles(instrument, rung, *EVER), ladder_of([row[1:4] for row in mine], rung, late)
            )


# ------------------------------------------------------------------------------------ contract and schema


async def test_postgres_keeps_the_contract_of_history(postgres_url: str) -> None:
    """What hub.testing asks of every store."""
    await check_history(lambda: open_postgres(plain(postgres_url)))


async def test_postgres_keeps_the_contract_with_no_candles_in_memory(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of current candles is a shortcut: without it, all are read from the server and are the same."""
    monkeypatch.setattr(Memory, "CANDLES", 0)
    await check_history(lambda: open_postgres(plain(postgres_url)))


async def test_the_configuration_opens_the_server_that_it_names(postgres_url: str, tmp_path: Path) -> None:
    """Beside the ledger's tables, and nothing is written into the data folder."""
    config = Config(folder=tmp_path / "new", history=HistorySection(url=postgres_url))
    async with open_history(config) as history:
        assert isinstance(history, PostgresHistory)
        assert not history.timescale
    assert not config.folder.exists()


async def test_tables_of_a_newer_tocsin_are_left_as_they_are(postgres_url: str) -> None:
    """The sentence names both versions and the cure."""
    async with open_postgres(plain(postgres_url)):
        pass
    sql(postgres_url, f"UPDATE history_schema SET version = {len(MIGRATIONS) + 1}")
    with pytest.raises(HistoryTooNew, match=f"has version {len(MIGRATIONS) + 1}.*start the newer tocsin again"):
        async with open_postgres(plain(postgres_url)):
            pass
    assert sql(postgres_url, "SELECT version FROM history_schema") == [(len(MIGRATIONS) + 1,)]


async def test_cores_that_start_at_once_make_the_tables_once(postgres_url: str) -> None:
    """One makes them, the others wait for it."""

    async def core(number: int) -> None:
        async with open_postgres(plain(postgres_url)) as history:
            await history.append([burst(number, 20)], Position(number=number))

    await asyncio.gather(*(core(number) for number in range(1, 6)))
    assert sql(postgres_url, "SELECT version FROM history_schema") == [(len(MIGRATIONS),)]
    assert sql(postgres_url, "SELECT count(*), max(id) FROM ticks") == [(100, 100)]


async def test_a_wish_for_timescale_that_the_server_cannot_grant_is_said(postgres_url: str) -> None:
    """With "auto" the same database is used without it."""
    with pytest.raises(HistoryTrouble, match=r'has no TimescaleDB for us.*timescale = "auto"'):
        async with open_postgres(HistorySection(url=postgres_url, timescale="yes")):
            pass
    async with open_postgres(HistorySection(url=postgres_url)) as history:
        assert await history.position() == Position()
    with pytest.raises(HistoryTrouble, match=r'made without TimescaleDB.*set it to "auto"'):
        async with open_postgres(HistorySection(url=postgres_url, timescale="yes")):
            pass


async def test_a_database_that_is_not_there_is_named_without_the_password(postgres: PostgresServer) -> None:
    """So is a server; each with its cure."""
    cases = {postgres.url("nowhere"): "create that database", "postgresql://u@127.0.0.1:1/d": "start that server"}
    for url, cure in cases.items():
        with pytest.raises(HistoryTrouble, match=cure) as caught:
            async with open_postgres(HistorySection(url=url, password="s3cret-of-mine")):
                pass
        assert url.split("@")[1] in str(caught.value)
        assert "s3cret" not in str(caught.value)


# --------------------------------------------------------------------------------- servers that go away


async def test_a_server_that_was_killed_is_trouble_and_then_goes_on(own_server: PostgresServer) -> None:
    """Nothing is lost and nothing is there twice; reads and writes come back by themselves."""
    url = own_server.database()
    async with open_postgres(plain(url)) as history:
        await history.append([burst(1, 50)], Position(number=1))
        assert await history.tick_count() == 50
        own_server.kill()
        for _ in range(2):
            with pytest.raises(HistoryTrouble, match=r"the history in 127\.0\.0\.1:\d+/test1 does not answer"):
                await history.append([burst(2, 50)], Position(number=2))
        with pytest.raises(HistoryTrouble):
            await history.tick_count()
        own_server.start()
        assert (await history.append([burst(2, 50)], Position(number=2))).ticks == 100
        assert await history.tick_count() == 100
        await ladder_is_that_of_the_rows(history, url)


async def test_a_store_closes_while_its_server_is_away(own_server: PostgresServer) -> None:
    """Stopping a hub does not wait for a server that does not come."""
    async with open_postgres(plain(own_server.database())) as history:
        await history.append([burst(1, 5)], Position(number=1))
        own_server.kill()


BARS = [Candle(start=NOON_US + at * 3_600_000_000, open=1, high=2, low=1, close=2, count=1, sum=0, sum_squares=0)
        for at in range(3)]  # fmt: skip
CALLS: dict[str, Callable[[History], Awaitable[object]]] = {
    "append": lambda history: history.append([burst(number, 600) for number in (2, 3)], Position(number=3)),
    "fill": lambda history: history.fill([burst(number, 600) for number in (2, 3)]),
    "fill_candles": lambda history: history.fill_candles(
        "BARS", "1h", BARS, source="file", nature=Nature.RECORDING, number=3
    ),
}
ANSWERS = {"append": Position(number=3, ticks=1250), "fill": 1200, "fill_candles": 3}


async def everything(history: History, url: str) -> list[object]:
    seen: list[object] = [await history.position(), await history.tick_count(), await history.marks()]
    seen += [await history.last_ticks(), await history.natures(), in_stream_order(url)]
    return [*seen, *[await history.candles(name, "1h", *EVER) for name in ("I-0", "I-1", "BARS")]]


@pytest.mark.parametrize("call", CALLS)
async def test_a_commit_whose_answer_was_lost_is_not_done_twice(proxy: Proxy, postgres_url: str, call: str) -> None:
    """The call says trouble, although all is stored; its repeat says what the first would have said."""
    async with open_postgres(through(proxy, postgres_url)) as history:
        await history.append([burst(1, 50)], Position(number=1))
        proxy.cut(b"COMMIT", answered=True)
        with pytest.raises(HistoryTrouble):
            await CALLS[call](history)
        stored = await everything(history, postgres_url)
        await history.prune(0)  # the retention comes in between
        assert await CALLS[call](history) == ANSWERS[call]
        assert await everything(history, postgres_url) == stored
        assert proxy.snapped == 1
        await history.append([burst(4, 50)], Position(number=4))
        assert await history.tick_count() == 100 + (0 if call == "fill_candles" else 1200)


@pytest.mark.parametrize("call", CALLS)
async def test_a_commit_that_never_arrived_is_done_by_the_repeat(proxy: Proxy, postgres_url: str, call: str) -> None:
    """What was not committed is not taken for committed."""
    async with open_postgres(through(proxy, postgres_url)) as history:
        await history.append([burst(1, 50)], Position(number=1))
        before = await everything(history, postgres_url)
        proxy.cut(b"COMMIT")
        with pytest.raises(HistoryTrouble):
            await CALLS[call](history)
        assert await everything(history, postgres_url) == before
        assert await CALLS[call](history) == ANSWERS[call]
        assert await everything(history, postgres_url) != before
        if call == "append":
            await ladder_is_that_of_the_rows(history, postgres_url)


@pytest.mark.parametrize("call", ["append", "fill"])
async def test_a_network_that_is_cut_within_a_copy_leaves_nothing_of_it(
    proxy: Proxy, postgres_url: str, call: str
) -> None:
    """In the middle of the rows of a batch."""
    async with open_postgres(through(proxy, postgres_url)) as history:
        await history.append([burst(1, 50)], Position(number=1))
        before = await everything(history, postgres_url)
        proxy.cut(b"COPY", after_bytes=30_000)
        with pytest.raises(HistoryTrouble):
            await CALLS[call](history)
        assert proxy.snapped == 1
        assert await everything(history, postgres_url) == before
        assert await CALLS[call](history) == ANSWERS[call]
        assert len(in_stream_order(postgres_url)) == 1250
        if call == "append":
            await ladder_is_that_of_the_rows(history, postgres_url)


async def test_a_network_that_falls_silent_does_not_leave_the_lock_with_the_dead(
    proxy: Proxy, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server still waits for the rest of the COPY; the next connection ends that process."""
    monkeypatch.setattr("hub.history.postgres.ANSWER_S", 0.5)
    async with open_postgres(through(proxy, postgres_url)) as history:
        await history.append([burst(1, 50)], Position(number=1))
        proxy.hush(b"COPY", after_bytes=30_000)
        with pytest.raises(HistoryTrouble):
            await CALLS["append"](history)
        assert await CALLS["append"](history) == ANSWERS["append"]
        await ladder_is_that_of_the_rows(history, postgres_url)


async def test_a_full_disk_of_the_server_leaves_the_batch_out_whole(
    history: PostgresHistory, postgres_url: str
) -> None:
    """HistoryFull with the cure; with room again the same batch is stored."""
    await history.append([burst(1, 50)], Position(number=1))
    sql(
        postgres_url,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no space left on device' USING ERRCODE = 'disk_full'; END $$;"
        " CREATE TRIGGER full_disk BEFORE UPDATE ON history_position EXECUTE FUNCTION full_disk()",
    )
    with pytest.raises(HistoryFull, match=r"no space left on device\): free some space on the server"):
        await CALLS["append"](history)
    assert len(in_stream_order(postgres_url)) == 50
    sql(postgres_url, "DROP TRIGGER full_disk ON history_position")
    assert await CALLS["append"](history) == ANSWERS["append"]
    await ladder_is_that_of_the_rows(history, postgres_url)


async def test_a_lock_that_another_program_keeps_is_trouble_and_no_endless_wait(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what to end; reads go on meanwhile."""
    monkeypatch.setitem(SETTINGS, "lock_timeout", "100ms")
    async with open_postgres(plain(postgres_url)) as history:
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT FROM history_position FOR UPDATE")
            with pytest.raises(HistoryTrouble, match="another program holds the history's lock"):
                await history.append([burst(1, 5)], Position(number=1))
            assert await history.position() == Position()
        assert (await history.append([burst(1, 5)], Position(number=1))).ticks == 5


# ------------------------------------------------------------------------------------- several at once


async def test_two_writers_keep_one_order_and_one_ladder(history: PostgresHistory, postgres_url: str) -> None:
    """At the same time, as an import in a process of its own beside a hub."""
    async with open_postgres(plain(postgres_url)) as other:
        for number in range(1, 12, 2):
            await asyncio.gather(
                history.append([burst(number, 40)], Position(number=number)),
                other.append([burst(number + 1, 40)], Position(number=number + 1)),
            )
        assert await other.tick_count() == 12 * 40
    assert sql(postgres_url, "SELECT id FROM ticks ORDER BY id") == [(one,) for one in range(1, 12 * 40 + 1)]
    await ladder_is_that_of_the_rows(history, postgres_url)


async def test_a_fill_of_another_process_is_seen_before_the_next_tick_is_merged(
    history: PostgresHistory, postgres_url: str
) -> None:
    """Its minutes are in the hour that the recorder goes on with."""
    await history.append([frame_of([trade("A", NOON_US + 30 * MINUTE_US, 5.0)])], Position(number=1))
    async with open_postgres(plain(postgres_url)) as other:
        await other.fill([frame_of([trade("A", NOON_US, 9.0, source="file")])])
    await history.append([frame_of([trade("A", NOON_US + 31 * MINUTE_US, 4.0)])], Position(number=2))
    (hour,) = await history.candles("A", "1h", *EVER)
    assert (hour.open, hour.high, hour.low, hour.close, hour.count) == (9.0, 9.0, 4.0, 4.0, 3)


async def test_a_cancelled_append_is_there_whole_or_not_at_all(history: PostgresHistory, postgres_url: str) -> None:
    """Wherever it is stopped, the next one joins on."""
    for number in range(1, 13):
        waiting = asyncio.create_task(history.append([burst(number, 300)] * 2, Position(number=number)))
        await asyncio.sleep(0.002 * (number % 6))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    after = await history.append([burst(13, 10)], Position(number=13))
    assert after.ticks % 600 == 10
    assert len(in_stream_order(postgres_url)) == after.ticks == await history.tick_count()
    await ladder_is_that_of_the_rows(history, postgres_url)


async def test_pruning_goes_on_in_slices_while_ticks_arrive(
    history: PostgresHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appends are let in between, and each instrument keeps its newest price."""
    monkeypatch.setattr("hub.history.postgres.PRUNE_ROWS", 50)
    await history.append([burst(number, 100) for number in range(1, 6)], Position(number=5))
    newest = await history.last_ticks()
    new = frame_of([trade("NEW", NOON_US + 10_000 * MINUTE_US, 1.0)])
    removed, after = await asyncio.gather(
        history.prune(NOON_US + 9_000 * MINUTE_US), history.append([new], Position(number=6))
    )
    assert removed == 500 - len(newest)
    assert after.ticks == 501
    assert await history.tick_count() == len(newest) + 1
    assert {name: one for name, one in (await history.last_ticks()).items() if name != "NEW"} == newest
    assert [len(await history.ticks(name, *EVER)) for name in newest] == [1] * len(newest)


async def test_a_scan_goes_over_pieces_and_ticks_of_one_time(
    history: PostgresHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tick is left out or read twice where a piece ends within many of one time."""
    monkeypatch.setattr("hub.history.postgres.SCAN_ROWS", 7)
    ticks = [trade("S", NOON_US + one // 5, float(one)) for one in range(40)]
    await history.append([frame_of(ticks)], Position(number=1))
    pieces = [piece async for piece in history.scan("S", NOON_US, NOON_US + 8)]
    assert [len(piece) for piece in pieces] == [7, 7, 7, 7, 7, 5]
    assert [one for piece in pieces for one in piece] == ticks


APPEND_FOR_EVER = """
import asyncio, sys
from hub.config import HistorySection
from hub.history import Position
from hub.history.postgres import open_postgres
from tests.test_history import burst

async def main():
    async with open_postgres(HistorySection(url=sys.argv[1], timescale="no")) as history:
        number = (await history.position()).number
        while True:
            batch = [burst(number + 1 + one, 150) for one in range(3)]
            number += 3
            await history.append(batch, Position(stream="s", sequence=number, epoch=1, number=number))
            print(number, flush=True)

asyncio.run(main())
"""


def append_until_killed(url: str, batches: int, then_s: float) -> int:
    """The number of the last frame that the process told as stored."""
    command = [sys.executable, "-c", APPEND_FOR_EVER, url]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(batches)]
        time.sleep(then_s)
        process.kill()
    return told[-1]


@pytest.mark.parametrize("seed", range(2))
async def test_a_kill_of_the_writer_at_any_moment_loses_nothing_and_repeats_nothing(
    postgres_url: str, seed: int
) -> None:
    """kill -9 in the middle of appending, again and again: what was told is there, whole, with its ladder."""
    chance = random.Random(seed)
    told = 0
    for _ in range(2):
        told = append_until_killed(postgres_url, chance.randrange(1, 8), chance.uniform(0, 0.01))
    async with open_postgres(plain(postgres_url)) as history:
        await history.trying(1)  # behind whatever the dead one had begun
        position = await history.position()
        assert position.number >= told
        assert position.ticks == position.number * 150 == len(in_stream_order(postgres_url))
        expected = [one for number in range(1, position.number + 1) for one in burst(number, 150).price]
        assert [row[2] for row in in_stream_order(postgres_url)] == expected
        await ladder_is_that_of_the_rows(history, postgres_url)


@pytest.mark.skipif(not GOLD.exists(), reason="the recorded gold day is not here (TOCSIN_DATA)")
async def test_a_real_gold_day_is_stored_whole_with_its_ladder(history: PostgresHistory) -> None:
    """265,015 quotes in frames of many sizes: every one comes back, and every rung is that of the mids."""
    frames: list[Frame] = list(gold_frames())
    for start in range(0, len(frames), 20):
        await history.append(frames[start : start + 20], Position(number=start + 20))
    assert await history.tick_count() == 265_015
    mids = [price for frame in frames for price in frame.price]
    times = [stamp for frame in frames for stamp in frame.venue_time if stamp is not None]
    for rung in RUNGS:
        found = await history.candles("XAU-USD", rung, *EVER)
        same_candles(found, ladder_of([(stamp, mid, None) for stamp, mid in zip(times, mids, strict=True)], rung))
    assert [one.price for one in await history.ticks("XAU-USD", *EVER)] == mids
    assert (await history.last_ticks())["XAU-USD"] == list(frames[-1].ticks())[-1]
    assert await history.marks() == {"oanda": {"XAU-USD/quote": 265_015}}
