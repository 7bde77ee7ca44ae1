"""`tocsin export`: what is stored as CSV and JSON lines, and back again, equal."""

import asyncio
import csv
import gzip
import json
import random
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hub import exporting, importing
from hub.config import Config
from hub.exporting import Asked, stamp
from hub.frame import Frame, empty
from hub.history import Position, open_history
from hub.model import Kind, Verdict
from hub.plugin import BadRequest

TOCSIN = Path(sys.executable).with_name("tocsin")
START = 1_398_988_800_000_000  # 2014-05-02 UTC, a Friday
DAY_TICKS = 3_000


def recorded(count: int, seed: int = 3) -> Frame:
    """Ticks as a hub records them: quotes and trades of two sources, every verdict, some late, some without a venue's
    time, prices that no short decimal is equal to."""
    chance = random.Random(seed)
    frame = empty()
    frame.instruments, frame.sources, frame.natures = ["XAU-USD", "BTC-USD"], ["oanda", "x,y"], ["live", "live"]
    clock, price = START, 1300.1
    for number in range(1, count + 1):
        clock += chance.randrange(1, 20_000_000)
        price *= 1 + chance.gauss(0, 0.0004)
        late = number > 50 and chance.random() < 0.05
        quote = chance.random() < 0.8
        frame.instrument.append(0 if chance.random() < 0.9 else 1)
        frame.source.append(chance.randrange(2))
        frame.kind.append(Kind.QUOTE if quote else Kind.TRADE)
        frame.verdict.append(Verdict.LATE if late else chance.choice([0] * 20 + [1, 2, 3, 5, 6]))
        frame.venue_time.append(None if chance.random() < 0.1 and not late else clock - 90_000_000 * late - 1_000)
        frame.received_at.append(clock)
        bid, ask = price / 1.0001, price * 1.0001
        frame.price.append((bid + ask) / 2 if quote else price)
        frame.bid.append(bid if quote else None)
        frame.ask.append(ask if quote else None)
        frame.volume.append(None if quote else chance.random() * 3)
        frame.vendor_number.append(number)
    return frame


async def history_of(folder: Path, count: int = DAY_TICKS) -> Path:
    async with open_history(Config(folder=folder)) as history:
        await history.append([recorded(count)], Position(stream="s", sequence=1, epoch=1, number=1))
    return folder


def rows(folder: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "history.db")) as connection:
        return connection.execute(sql).fetchall()


GOLD_TICKS = (
    "SELECT t.time, lag, kind, price, bid, ask, volume, verdict FROM ticks t JOIN instruments i ON i.id = t.instrument"
    " WHERE i.name = 'XAU-USD' ORDER BY t.time, t.id"
)
GOLD_CANDLES = (
    "SELECT seconds, start, open, high, low, close, count FROM candles c JOIN instruments i ON i.id = c.instrument"
    " WHERE i.name = 'XAU-USD' ORDER BY 1, 2"
)
SUMS = GOLD_CANDLES.replace("open, high, low, close, count", "volume, sum, sum_squares")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in configuration, whatever stands where the tests were started."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["gold.csv", "gold.jsonl", "gold.csv.gz", "gold.jsonl.gz"])
async def test_what_is_exported_and_imported_is_the_same_history(tmp_path: Path, name: str) -> None:
    """Every tick to the last bit with its times and verdict, and each rung of the ladder; of late ticks too."""
    here, there, file = await history_of(tmp_path / "here"), tmp_path / "there", tmp_path / name
    format = "jsonl" if "jsonl" in name else "csv"
    assert await exporting.main(Asked(instrument="gold", format=format, output=file), None, here) == 0  # type: ignore[arg-type]
    assert await importing.main(importing.Asked(file=file), None, there) == 0
    ticks = rows(here, GOLD_TICKS)
    assert len({row[-1] for row in ticks}) == len(Verdict)
    assert rows(there, GOLD_TICKS) == ticks
    assert rows(there, GOLD_CANDLES) == rows(here, GOLD_CANDLES)
    for ours, theirs in zip(rows(here, SUMS), rows(there, SUMS), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


async def test_a_history_moves_to_postgresql_and_back_by_way_of_files(tmp_path: Path, postgres_url: str) -> None:
    """Both stores take imports, and write the same file but for the names of the sources."""
    here, back = await history_of(tmp_path / "here"), tmp_path / "back"
    config = tmp_path / "postgres.toml"
    config.write_text(f'[hub]\ndata = "pg"\n[history]\nurl = "{postgres_url}"\n')
    files = [tmp_path / name for name in ("one.csv", "two.csv", "three.csv")]
    await exporting.main(Asked(instrument="gold", output=files[0]), None, here)
    assert await importing.main(importing.Asked(file=files[0]), config, None) == 0
    assert await importing.main(importing.Asked(file=files[0]), config, None) == 0
    await exporting.main(Asked(instrument="gold", output=files[1]), config, None)
    await importing.main(importing.Asked(file=files[1]), None, back)
    await exporting.main(Asked(instrument="gold", what="1m", output=files[2]), config, None)
    assert rows(back, GOLD_TICKS) == rows(here, GOLD_TICKS)
    assert rows(back, GOLD_CANDLES) == rows(here, GOLD_CANDLES)
    minutes = [row for row in rows(here, GOLD_CANDLES) if row[0] == 60]
    assert len(files[2].read_text().splitlines()) == 1 + len(minutes)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
@pytest.mark.parametrize("rung", ["1m", "1h", "1d"])
async def test_exported_candles_come_back_exactly(tmp_path: Path, format: Any, rung: str) -> None:
    """With their counts and sums; floats as they were."""
    here, there, file = await history_of(tmp_path / "here"), tmp_path / "there", tmp_path / f"c.{format}"
    await exporting.main(Asked(instrument="gold", what=rung, format=format, output=file), None, here)
    await importing.main(importing.Asked(file=file), None, there)
    seconds = {"1m": 60, "1h": 3600, "1d": 86_400}[rung]
    for sql in (GOLD_CANDLES, SUMS):
        wanted = [row for row in rows(here, sql) if row[0] == seconds]
        assert [row for row in rows(there, sql) if row[0] == seconds] == wanted


async def test_a_table_has_a_header_and_times_that_people_read(tmp_path: Path) -> None:
    """UTC with microseconds, kinds and verdicts as words, an absent time empty."""
    folder, file = await history_of(tmp_path / "data", 300), tmp_path / "gold.csv"
    await exporting.main(Asked(instrument="XAU-USD", output=file), None, folder)
    table = list(csv.DictReader(file.read_text().splitlines()))
    stored = rows(folder, GOLD_TICKS)
    assert len(table) == len(stored)
    for row, (time_us, lag, kind, price, *_) in zip(table, stored, strict=True):
        assert row["time"] == ("" if lag is None else stamp(time_us))
        assert row["received_at"] == stamp(time_us + (lag or 0))
        assert (row["instrument"], row["kind"], float(row["price"])) == ("XAU-USD", ("trade", "quote")[kind], price)
        assert row["source"] in ("oanda", "x;y")
    assert stamp(START + 46_204) == "2014-05-02T00:00:00.046204Z"
    assert stamp(-1) == "1969-12-31T23:59:59.999999Z"


async def test_a_span_cuts_what_is_written(tmp_path: Path) -> None:
    """A time of day, both ends as they are asked for."""
    folder, file = await history_of(tmp_path / "data"), tmp_path / "part.jsonl"
    asked = Asked(instrument="gold", span="2014-05-02 03:00..05:00", format="jsonl", output=file)
    await exporting.main(asked, None, folder)
    times = [one.get("venue_time", one["received_at"]) for one in map(json.loads, file.read_text().splitlines())]
    hour = 3_600_000_000
    assert times == [row[0] for row in rows(folder, GOLD_TICKS) if START + 3 * hour <= row[0] < START + 5 * hour]
    assert times


def test_stdout_holds_the_rows_and_nothing_else(tmp_path: Path) -> None:
    """Nobody who pipes it has to take words out."""
    asyncio.run(history_of(tmp_path / "data", 2_000))
    command = [str(TOCSIN), "export", "gold", "--what", "1h", "--data", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1 + len(
        [row for row in rows(tmp_path / "data", GOLD_CANDLES) if row[0] == 3600]
    )
    assert done.stdout.startswith("time,instrument,rung,open,")


async def test_what_cannot_be_written_is_a_sentence_and_leaves_no_half_file(tmp_path: Path) -> None:
    """No such rung, nothing stored, nothing in the span, no such folder, no such instrument."""
    folder = await history_of(tmp_path / "data", 100)
    file = tmp_path / "x.csv"
    file.write_text("what was here")
    wrong = [
        (Asked(instrument="gold", what="2m", output=file), '--what "2m" is not stored: write ticks, or one of 1m'),
        (Asked(instrument="silver", output=file), "history has no ticks of XAG-USD"),
        (Asked(instrument="gold", span="2013-01-01", output=file), "it reaches from 2014-05-02T00:00:"),
        (Asked(instrument="gold", span="soon", output=file), '"soon" is no span of time'),
        (Asked(instrument="glod", output=file), "did you mean gold"),
        (Asked(instrument="gold", output=tmp_path / "none" / "x.csv"), "cannot be written: No such file or directory"),
    ]
    for asked, words in wrong:
        with pytest.raises(BadRequest) as caught:
            await exporting.main(asked, None, folder)
        assert words in str(caught.value)
    assert file.read_text() == "what was here"
    assert list(tmp_path.glob("*.part")) == []


async def test_an_export_that_is_stopped_leaves_what_stood_there(tmp_path: Path) -> None:
    """The new file takes its place only when it is whole."""
    folder, file = await history_of(tmp_path / "data", 60_000), tmp_path / "x.csv.gz"
    file.write_bytes(gzip.compress(b"before"))
    running = asyncio.ensure_future(exporting.main(Asked(instrument="gold", output=file), None, folder))
    while not list(tmp_path.glob("*.part")):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gzip.decompress(file.read_bytes()) == b"before"
    assert list(tmp_path.glob("*.part")) == []


async def test_memory_does_not_grow_with_what_is_written(tmp_path: Path) -> None:
    """Eight times the ticks take about the same at their peak."""
    peaks = []
    for count in (20_000, 160_000):
        folder = await history_of(tmp_path / str(count), count)
        tracemalloc.start()
        await exporting.main(Asked(instrument="gold", output=tmp_path / "x.csv"), None, folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks
