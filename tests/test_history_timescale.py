"""History in PostgreSQL with TimescaleDB, where TOCSIN_TEST_TIMESCALE names a server that has it
("postgresql://user@host:5432/postgres"); each test makes a database of its own there and removes it."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from hub.config import HistorySection
from hub.history import Position
from hub.history.ladder import RUNGS, ladder_of
from hub.history.postgres import PostgresHistory, open_postgres
from hub.model import MOVES, SECOND_US, Kind, Nature, Tick, Verdict
from hub.testing import EVER, NOON_US, check_history, frame_of, same_candles

SERVER = os.environ.get("TOCSIN_TEST_TIMESCALE", "")
pytestmark = pytest.mark.skipif(not SERVER, reason="TOCSIN_TEST_TIMESCALE names no server with TimescaleDB")
DAY_US = 86_400 * SECOND_US


def sql(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def url() -> Iterator[str]:
    name = f"tocsin_{secrets.token_hex(6)}"
    sql(SERVER, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(SERVER)._replace(path=f"/{name}").geturl()
    finally:
        sql(SERVER, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def history(url: str) -> AsyncIterator[PostgresHistory]:
    async with open_postgres(HistorySection(url=url)) as opened:
        assert opened.timescale
        sql(url, "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs")
        yield opened


def trade(day: float, price: float, instrument: str = "A", **more: object) -> Tick:
    at = NOON_US + round(day * DAY_US)
    fields = {"venue_time": at, "received_at": at, "source": "test", **more}
    return Tick(instrument=instrument, kind=Kind.TRADE, price=price, **fields)  # type: ignore[arg-type]


def compress(url: str) -> int:
    """All chunks at once, where the policy would do it later."""
    packed = "SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('{}') c"
    return sum(len(sql(url, packed.format(table))) for table in ("ticks", "candles_1m"))


async def test_timescale_keeps_the_contract_of_history(url: str) -> None:
    """What hub.testing asks of every store."""
    await check_history(lambda: open_postgres(HistorySection(url=url, timescale="yes")))


async def test_ticks_and_minutes_are_hypertables_that_are_compressed_when_they_are_old(
    history: PostgresHistory, url: str
) -> None:
    """A policy of the columnstore on each, and nothing that would remove ticks behind our back."""
    tables = "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables ORDER BY 1"
    assert sql(url, tables) == [("candles_1m", True), ("ticks", True)]
    jobs = "SELECT proc_name, hypertable_name FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL"
    assert sorted(sql(url, jobs)) == [("policy_compression", "candles_1m"), ("policy_compression", "ticks")]


async def test_the_policies_compress_what_is_old_and_leave_the_rest(history: PostgresHistory, url: str) -> None:
    """They run without an error on times that are integers."""
    await history.append([frame_of([trade(day, 1.0) for day in range(0, 200, 3)])], Position(number=1))
    for (job,) in sql(url, "SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL"):
        sql(url, f"CALL run_job({job})")
    packed = "SELECT hypertable_name, bool_and(is_compressed) FROM timescaledb_information.chunks GROUP BY 1 ORDER BY 1"
    assert sql(url, packed) == [("candles_1m", True), ("ticks", True)]
    assert len(await history.ticks("A", *EVER)) == 67


async def test_compressed_history_takes_late_ticks_fills_and_bars(history: PostgresHistory, url: str) -> None:
    """Every rung is as if nothing had been compressed."""
    ticks = [trade(day / 10, 100 + day % 7) for day in range(300)]
    await history.append([frame_of(ticks)], Position(number=1))
    assert compress(url) > 4
    late = trade(1.0, 500.0, verdict=Verdict.LATE)
    await history.append([frame_of([late])], Position(number=2))
    assert await history.fill([frame_of([trade(2.02, 7.0, source="file"), trade(2.0, 8.0, source="file")])]) == 2
    rows = [(_time(one), one.price or 0.0, one.volume) for one in ticks]
    expected = {rung: ladder_of([*rows, (_time(late), 500.0, None)], rung, {300}) for rung in RUNGS}
    filled = await history.candles("A", "1m", _time(trade(2.02, 0)) - 60 * SECOND_US, _time(trade(2.02, 0)) + 1)
    assert [(one.open, one.count) for one in filled] == [(7.0, 1)]
    before = [one for one in await history.candles("A", "1m", *EVER) if one not in filled]
    same_candles(before, expected["1m"])
    (day,) = await history.candles("A", "1d", NOON_US + DAY_US // 2 + DAY_US, NOON_US + DAY_US // 2 + 2 * DAY_US)
    assert (day.low, day.count) == (7.0, 11)
    bars = await history.candles("A", "1h", *EVER)
    new = await history.fill_candles("B", "1h", bars, source="bars", nature=Nature.RECORDING, number=len(bars))
    assert new == len(bars)
    assert await history.candles("B", "1h", *EVER) == bars


def _time(one: Tick) -> int:
    assert one.venue_time is not None
    return one.venue_time


async def test_old_chunks_are_dropped_and_each_newest_price_stays(history: PostgresHistory, url: str) -> None:
    """One that lies in an old chunk keeps that chunk and nothing else in it; the counts are exact."""
    ticks = [trade(day, float(day), "LIVE") for day in range(100)] + [trade(day, 2.0, "DEAD") for day in range(50)]
    await history.append([frame_of(ticks)], Position(number=1))
    compress(url)
    before = await history.last_ticks(), await history.candles("DEAD", "1m", *EVER)
    chunks = len(sql(url, "SELECT show_chunks('ticks')"))
    assert await history.prune(NOON_US + 90 * DAY_US) == 90 + 49
    assert len(sql(url, "SELECT show_chunks('ticks')")) < chunks / 3
    assert await history.tick_count() == 11 == len(sql(url, "SELECT id FROM ticks"))
    assert [one.price for one in await history.ticks("LIVE", *EVER)] == [float(day) for day in range(90, 100)]
    assert [one.venue_time for one in await history.ticks("DEAD", *EVER)] == [NOON_US + 49 * DAY_US]
    assert (await history.last_ticks(), await history.candles("DEAD", "1m", *EVER)) == before
    assert await history.prune(NOON_US + 90 * DAY_US) == 0


async def test_hypertables_stay_what_they_are_when_timescale_is_wished_away(url: str) -> None:
    """Whether it is used is settled when the tables are made."""
    async with open_postgres(HistorySection(url=url)) as history:
        await history.append([frame_of([trade(0, 1.0)])], Position(number=1))
    async with open_postgres(HistorySection(url=url, timescale="no")) as history:
        assert history.timescale
        await history.append([frame_of([trade(1, 2.0)])], Position(number=2))
        assert await history.prune(NOON_US + DAY_US) == 1


async def test_a_random_stream_with_all_verdicts_makes_the_ladder_of_its_rows(history: PostgresHistory) -> None:
    """In many batches over many chunks, as on plain PostgreSQL."""
    verdicts = list(Verdict)
    ticks = [trade(one * 0.37 % 40, 90 + one * 7 % 23, verdict=verdicts[one * 5 % 7], volume=1.5) for one in range(600)]
    for start in range(0, 600, 83):
        await history.append([frame_of(ticks[start : start + 83])], Position(number=start))
    counted = [one for one in ticks if one.verdict < MOVES or one.verdict == Verdict.LATE]
    late = {at for at, one in enumerate(counted) if one.verdict == Verdict.LATE}
    for rung in RUNGS:
        rows = [(_time(one), one.price or 0.0, one.volume) for one in counted]
        same_candles(await history.candles("A", rung, *EVER), ladder_of(rows, rung, late))
