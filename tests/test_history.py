"""History in SQLite: the contract, deaths, full disks, other programs on the file, and a real gold day."""

import asyncio
import csv
import io
import os
import random
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from hub.config import Config, HistorySection
from hub.frame import Frame
from hub.history import History, HistoryFull, HistoryTooNew, HistoryTrouble, Position, open_history
from hub.history.ladder import RUNGS, ladder_of
from hub.history.schema import MIGRATIONS
from hub.history.sqlite import SqliteHistory, open_sqlite
from hub.history.sqlite_rows import FIRSTS, REACH, READ_CANDLES, READ_NEWEST, SCAN_TICKS, with_rows
from hub.history.sqlite_writer import Memory
from hub.model import Kind, Nature, Tick, Verdict
from hub.testing import EVER, MINUTE_US, NOON_US, check_history, frame_of, same_candles

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
GOLD = DATA / "gold" / "xauusd-oanda-ticks-20140502.zip"


def trade(instrument: str, time_us: int, price: float, **more: object) -> Tick:
    fields = {"received_at": time_us, "venue_time": time_us, "source": "test", **more}
    return Tick(instrument=instrument, kind=Kind.TRADE, price=price, **fields)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.db"


@pytest.fixture
async def history(path: Path) -> AsyncIterator[SqliteHistory]:
    async with open_sqlite(path) as opened:
        yield opened


def sql(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


async def test_sqlite_keeps_the_contract_of_history(path: Path) -> None:
    """What hub.testing asks of every store."""
    await check_history(lambda: open_sqlite(path))


async def test_sqlite_keeps_the_contract_with_no_candles_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of current candles is a shortcut: without it, all are read from the file and are the same."""
    monkeypatch.setattr(Memory, "CANDLES", 0)
    await check_history(lambda: open_sqlite(path))


async def test_the_configuration_opens_a_file_in_the_data_folder(tmp_path: Path) -> None:
    """`history.db`, in WAL mode, with the safety that was asked for."""
    config = Config(folder=tmp_path / "new", history=HistorySection(synchronous="full"))
    async with open_history(config) as history:
        assert isinstance(history, SqliteHistory)
        assert history._writer.connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert sql(tmp_path / "new" / "history.db", "PRAGMA journal_mode") == [("wal",)]


async def test_a_store_of_a_newer_tocsin_is_left_as_it_is(path: Path) -> None:
    """The sentence names both versions and the cure."""
    async with open_sqlite(path):
        pass
    sql(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(HistoryTooNew, match=f"has version {len(MIGRATIONS) + 1}.*start the newer tocsin again"):
        async with open_sqlite(path):
            pass
    assert sql(path, "PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]


OLD_RUNGS = ("1m", "5m", "1h", "1d")


def walk_of(instrument: int) -> list[tuple[int, float, float | None]]:
    """(time, price, volume) in the order of time, over midnights, with holes; the first instrument's before 1970."""
    chance = random.Random(instrument)
    now = NOON_US if instrument > 1 else -3 * 86_400_000_000 - 7
    ticks = []
    for _ in range(600):
        now += chance.choice((5, 40, 100, 400, 4_000)) * 1_000_000
        ticks.append((now, round(chance.uniform(90, 110), 2), chance.choice((None, 1.5))))
    return ticks


def first_version(path: Path) -> None:
    """A file as the first version made and filled it: three instruments, the position, four rungs."""
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.executescript(MIGRATIONS[0])
    connection.execute("INSERT INTO sources VALUES (1, 'test', 'live')")
    for instrument in (1, 2, 3):
        walk = walk_of(instrument)
        connection.execute("INSERT INTO instruments VALUES (?, ?)", (instrument, f"I-{instrument}"))
        last_id = instrument * len(walk)
        rows = [
            (instrument, at, one, 0, 0, price, None, None, volume, 1, None, 0)
            for one, (at, price, volume) in enumerate(walk, start=last_id - len(walk) + 1)
        ]
        connection.executemany(f"INSERT INTO ticks VALUES ({','.join('?' * 12)})", rows)
        connection.execute("INSERT INTO newest VALUES (?, ?, ?)", (instrument, walk[-1][0], last_id))
        for rung in OLD_RUNGS:
            candles = [(RUNGS[rung], instrument, *msgspec.structs.astuple(one)) for one in ladder_of(walk, rung)]
            connection.executemany(f"INSERT INTO candles VALUES ({','.join('?' * 11)})", candles)
    connection.execute("UPDATE position SET stream = 's', number = 9, ticks = ?", (last_id,))
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


async def test_a_file_of_the_first_version_has_every_rung_after_the_upgrade(path: Path) -> None:
    """15 minutes are built from the 5, nothing else changes, and the recorder goes on in the intervals that it left."""
    first_version(path)
    ticks = sql(path, "SELECT * FROM ticks ORDER BY id")
    candles = sql(path, "SELECT * FROM candles ORDER BY 1, 2, 3")
    async with open_sqlite(path) as history:
        assert await history.position() == Position(stream="s", number=9, ticks=1800)
        assert len(sql(path, "SELECT 1 FROM candles WHERE seconds = 900")) > 100
        for instrument in (1, 2, 3):
            for rung in RUNGS:
                found = await history.candles(f"I-{instrument}", rung, -10 * 86_400_000_000, 1 << 60)
                same_candles(found, ladder_of(walk_of(instrument), rung))
        more = walk_of(3) + [(walk_of(3)[-1][0] + second, 500.0, None) for second in (1, 2, 3)]
        await history.append([frame_of(trade("I-3", at, price) for at, price, _ in more[-3:])], Position(number=10))
        for rung in RUNGS:
            same_candles(await history.candles("I-3", rung, *EVER), ladder_of(more, rung))
        assert await history.fill([frame_of([trade("I-1", NOON_US, 1.0, source="file")])]) == 1
    assert sql(path, "SELECT * FROM ticks WHERE id <= 1800 ORDER BY id") == ticks
    kept = "SELECT * FROM candles WHERE seconds <> 900 AND instrument = 2 ORDER BY 1, 2, 3"
    assert [row[:11] for row in sql(path, kept)] == [row for row in candles if row[1] == 2]
    assert sql(path, "SELECT max(filled) FROM candles WHERE instrument = 2") == [(None,)]
    assert sql(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


async def test_two_programs_that_open_an_old_file_at_once_take_its_steps_once(path: Path) -> None:
    """The one that comes second finds them taken."""
    first_version(path)
    async with AsyncExitStack() as stack:
        opened = await asyncio.gather(*(stack.enter_async_context(open_sqlite(path)) for _ in range(4)))
        found = [await one.candles("I-2", "15m", *EVER) for one in opened]
    assert found[0]
    assert all(one == found[0] for one in found)


async def test_a_step_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is one transaction; the next start takes it again."""
    first_version(path)
    before = sql(path, "SELECT * FROM candles ORDER BY 1, 2, 3")
    broken = MIGRATIONS[1] + "INSERT INTO no_such_table VALUES (1);\n"
    with monkeypatch.context() as patch:
        patch.setattr("hub.history.schema.MIGRATIONS", (MIGRATIONS[0], broken))
        with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
            async with open_sqlite(path):
                pass
    assert sql(path, "SELECT * FROM candles ORDER BY 1, 2, 3") == before
    assert sql(path, "PRAGMA user_version") == [(1,)]
    async with open_sqlite(path) as history:
        assert await history.candles("I-2", "15m", *EVER)


async def test_a_file_that_is_no_database_is_named_with_the_cure(path: Path) -> None:
    """It is not overwritten."""
    path.parent.mkdir()
    path.write_bytes(b"something else, and of some length" * 100)
    with pytest.raises(HistoryTrouble, match="this is no history of tocsin"):
        async with open_sqlite(path):
            pass
    assert path.read_bytes().startswith(b"something else")


def burst(number: int, count: int) -> Frame:
    """A frame of a walk over some instruments, some of it late; the same for the same number."""
    chance = random.Random(number)
    verdicts = [Verdict.PRICE, Verdict.PRICE, Verdict.LATE, Verdict.ASIDE]
    return frame_of(
        (
            trade(
                f"I-{chance.randrange(3)}",
                NOON_US + number * 7_000_000 + chance.randrange(400) * 1_000_000,
                round(chance.uniform(90, 110), 2),
                verdict=chance.choice(verdicts),
                number=number * count + one,
            )
            for one in range(count)
        ),
        number=number,
    )


def in_stream_order(path: Path) -> list[tuple[str, int, float, float | None, int]]:
    statement = (
        "SELECT i.name, t.time, t.price, t.volume, t.verdict FROM ticks t"
        " JOIN instruments i ON i.id = t.instrument ORDER BY t.id"
    )
    return sql(path, statement)  # type: ignore[return-value]


async def ladder_is_that_of_the_rows(history: History, path: Path) -> None:
    every = in_stream_order(path)
    for instrument in {row[0] for row in every}:
        mine = [row for row in every if row[0] == instrument and row[4] in (0, 1, Verdict.LATE)]
        late = {index for index, row in enumerate(mine) if row[4] == Verdict.LATE}
        for rung in RUNGS:
            expected = ladder_of([row[1:4] for row in mine], rung, late)
            same_candles(await history.candles(instrument, rung, *EVER), expected)


async def test_the_disk_s_end_leaves_the_batch_out_whole_and_goes_on_with_more_room(
    history: SqliteHistory, path: Path
) -> None:
    """HistoryFull says path, room and cure; nothing of the batch is there, in the file or in memory; then it is."""
    await history.append([burst(1, 50)], Position(number=1))
    connection = history._writer.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    before = in_stream_order(path), await history.position(), await history.candles("I-0", "1d", *EVER)
    frames = [burst(number, 500) for number in range(2, 8)]
    for _ in range(2):
        with pytest.raises(
            HistoryFull, match=r"history\.db cannot be written \(.*MB free\): free some space"
        ) as caught:
            await history.append(frames, Position(number=7))
        assert caught.value.path == path
        assert caught.value.free_bytes > 0
        assert (in_stream_order(path), await history.position()) == before[:2]
        assert await history.candles("I-0", "1d", *EVER) == before[2]
    connection.execute("PRAGMA max_page_count = 1000000")
    assert (await history.append(frames, Position(number=7))).ticks == 50 + 6 * 500
    await ladder_is_that_of_the_rows(history, path)


async def test_a_file_that_another_program_holds_is_trouble_and_not_a_bug(history: SqliteHistory, path: Path) -> None:
    """The caller may try again, and then it works."""
    history._writer.connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryTrouble, match="another program holds the file"):
        await history.append([burst(1, 5)], Position(number=1))
    other.execute("ROLLBACK")
    other.close()
    assert (await history.append([burst(1, 5)], Position(number=1))).ticks == 5


async def test_two_writers_on_one_file_keep_one_order_and_one_ladder(history: SqliteHistory, path: Path) -> None:
    """What another process has added since is seen before anything is merged, as an import beside a hub needs it."""
    async with open_sqlite(path) as other:
        for number in range(1, 9):
            writer = history if number % 2 else other
            await writer.append([burst(number, 40)], Position(number=number))
        assert await other.tick_count() == 8 * 40
    assert [row[0] for row in sql(path, "SELECT id FROM ticks ORDER BY id")] == list(range(1, 8 * 40 + 1))
    await ladder_is_that_of_the_rows(history, path)


async def test_an_import_and_the_recorder_write_to_one_file_at_once(history: SqliteHistory, path: Path) -> None:
    """Each from a program of its own, in turns that nobody chooses: every tick, mark and candle of both is there, and
    readers never see half of either."""
    old = [
        trade(
            f"I-{place % 3}",
            NOON_US - 86_400_000_000 + place * 1_000_000,
            50.0 + place % 17,
            source="file",
            number=place,
        )
        for place in range(1, 3_001)
    ]

    async def record() -> None:
        for number in range(1, 31):
            assert (await history.append([burst(number, 40)], Position(number=number))).number == number

    async def fill(other: SqliteHistory) -> None:
        for start in range(0, len(old), 100):
            assert await other.fill([frame_of(old[start : start + 100])]) == 100
            days = await history.candles("I-0", "1d", NOON_US - 3 * 86_400_000_000, NOON_US - 43_200_000_000)
            assert sum(day.count for day in days) == sum(one.instrument == "I-0" for one in old[: start + 100])

    async with open_sqlite(path) as other:
        await asyncio.gather(record(), fill(other))
    assert (await history.position()).number == 30
    assert (await history.position()).ticks == await history.tick_count() == 30 * 40 + len(old)
    assert [row[0] for row in sql(path, "SELECT id FROM ticks ORDER BY id")] == list(range(1, 4_201))
    assert (await history.marks())["file"] == {f"I-{one}/trade": 3_000 - (3 - one) % 3 for one in range(3)}
    assert {one.source for one in (await history.last_ticks()).values()} == {"test"}
    await ladder_is_that_of_the_rows(history, path)


async def test_a_fill_that_is_killed_by_the_disk_s_end_keeps_neither_ticks_nor_marks(
    history: SqliteHistory, path: Path
) -> None:
    """Then, with more room, the same call goes through."""
    await history.append([burst(1, 50)], Position(number=1))
    connection = history._writer.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    frames = [frame_of(trade("OLD", NOON_US + one, 1.0, source="file", number=one) for one in range(1, 2_001))]
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(HistoryFull):
        await history.fill(frames)
    assert await history.ticks("OLD", *EVER) == []
    assert "file" not in await history.marks()
    connection.execute("PRAGMA max_page_count = 1000000")
    assert await history.fill(frames) == 2_000
    assert (await history.marks())["file"] == {"OLD/trade": 2_000}
    await ladder_is_that_of_the_rows(history, path)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
async def test_a_scan_in_pieces_of_any_size_is_whole(
    history: SqliteHistory, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Many ticks of one time lie over the edges of pieces."""
    monkeypatch.setattr("hub.history.sqlite.SCAN_ROWS", rows)
    await history.append([frame_of(trade("A", NOON_US + one // 5, float(one)) for one in range(50))], Position())
    pieces = [piece async for piece in history.scan("A", *EVER)]
    assert [one for piece in pieces for one in piece] == await history.ticks("A", *EVER)
    assert [len(piece) for piece in pieces[:-1]] == [rows] * (len(pieces) - 1)


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (SCAN_TICKS, ["I-0", *EVER, 5, 10]),
        (REACH, ["I-0"]),
        (with_rows(FIRSTS, 3, 2), [60, *EVER, 300, *EVER, "I-0"]),
        (f"{READ_CANDLES} AND start >= ? AND start < ? ORDER BY start", [60, "I-0", *EVER]),
    ],
)
async def test_scans_and_edges_are_searches_by_the_key(
    history: SqliteHistory, path: Path, statement: str, values: list[object]
) -> None:
    """Nothing reads all ticks or all candles, and nothing is sorted, however much there is."""
    await history.append([burst(number, 400) for number in range(1, 6)], Position(number=5))
    plan = [str(step[3]) for step in sql(path, f"EXPLAIN QUERY PLAN {statement}", *values)]
    assert [step for step in plan if "SCAN" in step and any(name in step for name in ("ticks", " t", " c"))] == []
    assert [step for step in plan if "TEMP B-TREE" in step] == []
    assert [step for step in plan if "USING PRIMARY KEY (" in step]


async def test_a_cancelled_append_is_there_whole_or_not_at_all(history: SqliteHistory, path: Path) -> None:
    """Whoever stops waiting does not stop the transaction in its middle, and the next one joins on."""
    for number in range(1, 13):
        waiting = asyncio.create_task(history.append([burst(number, 300)] * 2, Position(number=number)))
        await asyncio.sleep(0.0005 * (number % 4))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    after = await history.append([burst(13, 10)], Position(number=13))
    assert after.ticks % 600 == 10
    assert len(in_stream_order(path)) == after.ticks == await history.tick_count()
    await ladder_is_that_of_the_rows(history, path)


async def test_the_nature_of_a_source_is_stored_and_follows_the_feed(history: SqliteHistory, path: Path) -> None:
    """A source that is a recording now was live before under the same name and keeps its id."""
    await history.append([frame_of([trade("A", NOON_US, 1.0)])], Position())
    await history.append([frame_of([trade("A", NOON_US, 1.0)], nature=Nature.RECORDING)], Position())
    assert sql(path, "SELECT id, name, nature FROM sources") == [(1, "test", "recording")]


async def test_the_newest_prices_are_found_without_reading_the_ticks(history: SqliteHistory, path: Path) -> None:
    """Each is one search by the whole key, however many ticks there are."""
    await history.append([burst(number, 400) for number in range(1, 6)], Position(number=5))
    plan = [str(step[3]) for step in sql(path, f"EXPLAIN QUERY PLAN {READ_NEWEST}")]
    assert "SEARCH t USING PRIMARY KEY (instrument=? AND time=? AND id=?)" in plan
    assert [step for step in plan if step.startswith("SCAN")] == ["SCAN n"]


async def test_other_programs_can_read_the_times(history: SqliteHistory, path: Path) -> None:
    """`time` is the venue's where it stamps one, and `lag` tells which."""
    ticks = [trade("A", NOON_US, 1.0, received_at=NOON_US + 5), trade("A", NOON_US, 1.0, venue_time=None)]
    await history.append([frame_of(ticks)], Position())
    assert sql(path, "SELECT time - ?1, lag FROM ticks ORDER BY id".replace("?1", str(NOON_US))) == [(0, 5), (0, None)]


async def test_pruning_goes_on_in_slices_while_ticks_arrive(
    history: SqliteHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appends are let in between, and each instrument keeps its newest price."""
    monkeypatch.setattr("hub.history.sqlite.PRUNE_ROWS", 50)
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


APPEND_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from hub.history import Position
from hub.history.sqlite import open_sqlite
from tests.test_history import burst

async def main():
    async with open_sqlite(Path(sys.argv[1])) as history:
        number = (await history.position()).number
        while True:
            batch = [burst(number + 1 + one, 150) for one in range(3)]
            number += 3
            await history.append(batch, Position(stream="s", sequence=number, epoch=1, number=number))
            print(number, flush=True)

asyncio.run(main())
"""


def append_until_killed(path: Path, batches: int, then_s: float) -> int:
    """The number of the last frame that the process told as stored."""
    command = [sys.executable, "-c", APPEND_FOR_EVER, str(path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(batches)]
        time.sleep(then_s)
        process.kill()
    return told[-1]


@pytest.mark.parametrize("seed", range(4))
async def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(path: Path, seed: int) -> None:
    """kill -9 in the middle of appending, again and again: what was told is there, whole, with its ladder."""
    chance = random.Random(seed)
    told = 0
    for _ in range(2):
        told = append_until_killed(path, chance.randrange(1, 8), chance.uniform(0, 0.01))
    async with open_sqlite(path) as history:
        position = await history.position()
        assert position.number >= told
        assert position.ticks == position.number * 150 == len(in_stream_order(path)) == await history.tick_count()
        expected = [one for number in range(1, position.number + 1) for one in burst(number, 150).price]
        assert [row[2] for row in in_stream_order(path)] == expected
        await ladder_is_that_of_the_rows(history, path)


def gold_frames() -> Iterator[Frame]:
    midnight = 1_398_988_800_000_000  # 2014-05-02
    with zipfile.ZipFile(GOLD) as archive, archive.open(archive.namelist()[0]) as file:
        ticks = [
            Tick(
                instrument="XAU-USD",
                kind=Kind.QUOTE,
                bid=float(bid),
                ask=float(ask),
                venue_time=midnight + round(float(ms) * 1000),
                received_at=midnight + round(float(ms) * 1000),
                source="oanda",
                number=line,
            )
            for line, (ms, bid, ask) in enumerate(csv.reader(io.TextIOWrapper(file)), start=1)
        ]
    sizes = random.Random(0)
    start = number = 0
    while start < len(ticks):
        number += 1
        size = sizes.choice((1, 7, 300, 2000))
        yield frame_of(ticks[start : start + size], number=number, nature=Nature.RECORDING)
        start += size


@pytest.mark.skipif(not GOLD.exists(), reason="the recorded gold day is not here (TOCSIN_DATA)")
async def test_a_real_gold_day_is_stored_whole_with_its_ladder(history: SqliteHistory) -> None:
    """265,015 quotes in frames of many sizes: every one comes back, and every rung is that of the mids."""
    frames = list(gold_frames())
    for start in range(0, len(frames), 5):
        await history.append(frames[start : start + 5], Position(number=start + 5))
    assert await history.tick_count() == 265_015
    mids = [price for frame in frames for price in frame.price]
    times = [stamp for frame in frames for stamp in frame.venue_time if stamp is not None]
    for rung in RUNGS:
        found = await history.candles("XAU-USD", rung, *EVER)
        same_candles(found, ladder_of([(stamp, mid, None) for stamp, mid in zip(times, mids, strict=True)], rung))
    assert [one.price for one in await history.ticks("XAU-USD", *EVER)] == mids
    assert (await history.last_ticks())["XAU-USD"] == list(frames[-1].ticks())[-1]
    assert await history.marks() == {"oanda": {"XAU-USD/quote": 265_015}}
