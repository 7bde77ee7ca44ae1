"""`tocsin import`: files of prices into history, once, whole, and nothing that looks wrong without a question."""

import asyncio
import contextlib
import gzip
import math
import os
import random
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub import bus as names
from hub import importing, talk
from hub.app import core
from hub.bus import Bus
from hub.config import BusSection, Config, FeedSection
from hub.history import HistoryTrouble, open_history
from hub.history.ladder import RUNGS, ladder_of, length_us
from hub.importing import Asked, doubts
from hub.importing.batches import BrokenLine, Judge, Refusals, bars_of, frames_of, rung_for_bars, step_of
from hub.importing.doubts import Piece
from hub.instruments import build_catalogue
from hub.model import Candle, Kind, Refused, Tick, Verdict
from hub.normalize import bar_of
from hub.plugin import BadRequest, Bar, GiveUp, TryLater
from hub.sessions import EPOCH, SESSIONS
from tests.conftest import NatsServer
from tests.waiting import until_true

DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "gold").exists(), reason="the recordings of TOCSIN_DATA are not here")
TOCSIN = Path(sys.executable).with_name("tocsin")
MINUTE_US = 60_000_000
CATALOGUE = build_catalogue({}, ())
GOLD, SILVER, EURO, BITCOIN = (CATALOGUE.find(word) for word in ("gold", "silver", "euro", "BTC-USD"))


def at(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def lean_day(folder: Path, count: int, *, seed: int = 1, name: str = "20140502_xauusd_tick_quote.csv") -> Path:
    """A day of quotes as Lean writes them, 0:00 to 20:59 UTC, a walk around 1,300 in sixteenths."""
    chance = random.Random(seed)
    price = 1300.0
    lines = []
    for at_ms in sorted(chance.uniform(0, 75_595_000) for _ in range(count)):
        price += chance.randrange(-4, 5) / 16
        lines.append(f"{at_ms:.3f},{price},{price + 0.25}\n")
    path = folder / name
    path.write_text("".join(lines))
    return path


async def take(file: Path, folder: Path, instrument: str = "XAU-USD", **more: Any) -> int:
    return await importing.main(Asked(file=file, instrument=instrument, **more), None, folder)


async def refused(file: Path, folder: Path, instrument: str = "XAU-USD", **more: Any) -> str:
    with pytest.raises((BadRequest, GiveUp)) as caught:
        await take(file, folder, instrument, **more)
    return str(caught.value)


def rows(folder: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "history.db")) as connection:
        return connection.execute(sql).fetchall()


def ticks_in(folder: Path) -> list[Any]:
    return rows(folder, "SELECT number, time, kind, bid, ask, price, verdict FROM ticks ORDER BY id")


def candles_in(folder: Path) -> list[Any]:
    return rows(
        folder,
        "SELECT i.name, seconds, start, open, high, low, close, volume, count, sum, sum_squares FROM candles c"
        " JOIN instruments i ON i.id = c.instrument ORDER BY 1, 2, 3",
    )


def same_candles(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Equal but for the last bits of the sums."""
    return len(one) == len(other) and all(
        a[:9] == b[:9]
        and all(math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9) for x, y in zip(a[9:], b[9:], strict=True))
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in configuration, whatever stands where the tests were started."""
    monkeypatch.chdir(tmp_path)


# ------------------------------------------------------------------------------------------------- ticks


async def test_every_tick_is_stored_once_and_the_ladder_is_that_of_the_ticks(tmp_path: Path) -> None:
    """Held against a short loop over the file's lines, on every rung."""
    file, folder = lean_day(tmp_path, 3_000), tmp_path / "data"
    assert await take(file, folder, "gold") == 0
    lines = [line.split(",") for line in file.read_text().splitlines()]
    midnight = at("2014-05-02")
    expected = [
        (number, midnight + round(float(ms) * 1000), 1, float(bid), float(ask), (float(bid) + float(ask)) / 2, 0)
        for number, (ms, bid, ask) in enumerate(lines, 1)
    ]
    assert ticks_in(folder) == expected
    for rung, seconds in RUNGS.items():
        stored = [row[2:] for row in candles_in(folder) if row[1] == seconds]
        ladder = ladder_of([(row[1], row[5], None) for row in expected], rung)
        assert [row[:7] for row in stored] == [
            (one.start, one.open, one.high, one.low, one.close, 0.0, one.count) for one in ladder
        ]
        assert all(math.isclose(row[7], one.sum, abs_tol=1e-6) for row, one in zip(stored, ladder, strict=True))


async def test_the_same_content_is_taken_once_whatever_its_name_and_wrapping(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Again, renamed, packed as gzip and as zip: it is said, and nothing is stored."""
    file, folder = lean_day(tmp_path, 200), tmp_path / "data"
    await take(file, folder)
    before = ticks_in(folder)
    packed = tmp_path / "other-20140502.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    zipped = tmp_path / "third.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(file, file.name)
    capsys.readouterr()
    for again in (file, packed, zipped):
        assert await take(again, folder) == 0
        assert "is in history already, as import:20140502_xauusd_tick_quote@" in capsys.readouterr().out
    assert ticks_in(folder) == before


async def test_the_same_content_under_another_instrument_is_questioned(tmp_path: Path) -> None:
    """What was stored under the first stays there for good, so it is asked first."""
    file, folder = lean_day(tmp_path, 50, name="20140502_prices_tick_quote.csv"), tmp_path / "data"
    await take(file, folder)
    assert "this file was taken in before as import:" in await refused(file, folder, "GC")


async def test_trades_of_what_is_priced_by_quotes_stand_in_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a file of gold trades would make no candle; where both kinds are there, the basis speaks."""
    file = tmp_path / "trades.csv"
    file.write_text("time,price\n2014-05-02T10:00:00Z,1300\n2014-05-02T10:00:01Z,1301\n")
    await take(file, tmp_path / "one")
    assert "Gold is priced by quotes; the trades in this file stand in for them" in capsys.readouterr().err
    assert [row[-1] for row in ticks_in(tmp_path / "one")] == [Verdict.PRICE] * 2
    file.write_text("time,price,bid,ask\n2014-05-02T10:00:00Z,1300,1299,1300\n")
    await take(file, tmp_path / "two")
    assert [(row[2], row[-1]) for row in ticks_in(tmp_path / "two")] == [(0, Verdict.ASIDE), (1, Verdict.PRICE)]


async def test_a_table_of_several_instruments_is_taken_under_each_name(tmp_path: Path) -> None:
    """By the words of the file; with --instrument it is refused, or one price would stand for all."""
    file, folder = tmp_path / "both.csv", tmp_path / "data"
    file.write_text(
        "time,symbol,bid,ask\n2014-05-02T10:00:00Z,XAUUSD,1299,1300\n2014-05-02T10:00:01Z,silver,19.1,19.2\n"
        "2014-05-02T10:00:02Z,nonsense,5,6\n"
    )
    assert "holds prices of 3 instruments (XAUUSD, nonsense, silver): leave --instrument out" in await refused(
        file, folder
    )
    assert await take(file, folder, "") == 0
    names = rows(folder, "SELECT i.name, t.number FROM ticks t JOIN instruments i ON i.id = t.instrument ORDER BY 2")
    assert names == [("XAU-USD", 2), ("XAG-USD", 3)]
    assert rows(folder, "SELECT reason, count FROM refusals") == [("unknown symbol", 1)]


async def test_a_file_of_ticks_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    """The newest line first would make every close an open; bars are taken in any order."""
    file = tmp_path / "newest-first.csv"
    file.write_text("time,bid,ask\n" + "".join(f"2014-05-02T10:00:{59 - n:02}Z,1300,1301\n" for n in range(60)))
    assert "newest-first.csv runs backwards in time" in await refused(file, tmp_path / "data")


async def test_the_newest_price_and_the_position_of_the_recorder_stay(tmp_path: Path) -> None:
    """What is imported is the past, also where nothing newer is known: no source of a price becomes a recording."""
    await take(lean_day(tmp_path, 100), tmp_path / "data")
    async with open_history(Config(folder=tmp_path / "data")) as history:
        assert await history.last_ticks() == {}
        position = await history.position()
        assert (position.sequence, position.ticks) == (0, 100)


async def test_a_running_hub_goes_on_and_rings_nothing_while_a_file_is_taken_in(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """The file crosses the alert's level a hundred times; live ticks are recorded meanwhile, and their alert rings."""
    folder = tmp_path / "data"
    live = Config(folder=folder, bus=BusSection(max_mb=16), feeds=(FeedSection(name="desk", module="nats"),))
    file = lean_day(tmp_path, 60_000)
    prices = [float(line.split(",")[1]) for line in file.read_text().splitlines()]
    level = sorted(prices)[len(prices) // 2]
    assert sum((a < level) != (b < level) for a, b in pairwise(prices)) > 50
    async with (
        core(live, nats_server.url, nats_server.token),
        names.connect(nats_server.url, nats_server.token, "test") as bus,
    ):

        async def send(number: int, price: float) -> bool:
            tick = {"instrument": "BTC-USD", "price": price, "number": number}
            answer = await bus.request(names.feed("desk"), msgspec.json.encode(tick), dict, 5)
            return bool(answer.get("accepted") == 1)

        await until_true(lambda: talks(bus), within_s=15)
        assert await send(1, 100.0)
        for line in (f"alert gold crosses {level} every time", "alert BTC-USD > 150"):
            assert (await talk.say(bus, line, "operator")).ok, line
        running = asyncio.ensure_future(take(file, folder))
        number = 1
        while not running.done():
            number += 1
            assert await send(number, 100.0 + number % 2)
        assert await running == 0
        for price in (149.0, 160.0, 160.0):  # a leap is held until a second tick confirms it
            number += 1
            assert await send(number, price)
        await until_true(lambda: rang(folder), within_s=15)
        said = await talk.say(bus, "price gold", "operator")
        assert "recording" not in str(said).lower()
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        texts = ledger.execute("SELECT a.text FROM triggers t JOIN alerts a ON a.id = t.alert_id").fetchall()
    assert texts == [("BTC-USD > 150",)]
    by_source = rows(folder, "SELECT s.nature, count(*) FROM ticks t JOIN sources s ON s.id = t.source GROUP BY 1")
    assert by_source == [("live", number), ("recording", 60_000)]
    assert number > 10


async def talks(bus: Bus) -> bool:
    try:
        await bus.request(names.feed("desk"), b"[]", dict, 1)
        return (await talk.say(bus, "status", "operator")).ok
    except TryLater:
        return False


async def rang(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        return bool(ledger.execute("SELECT count(*) FROM triggers").fetchone()[0])


# ------------------------------------------------------------------------------------------------- stops


async def test_a_broken_line_stops_behind_what_came_before_and_skip_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named with its number; the end is as if all had been taken at once."""
    file = lean_day(tmp_path, 120)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:60], "x" * 200 + "\n", *lines[60:], "1,2\n"]))
    folder, whole = tmp_path / "data", tmp_path / "whole"
    said = await refused(file, folder)
    assert f'is broken in line 61: "{"x" * 80}"\n60 ticks are stored, from the lines before it' in said
    assert [row[0] for row in ticks_in(folder)] == list(range(1, 61))
    await take(file, folder, skip_broken=True)
    told = capsys.readouterr()
    assert "taken up behind line 60" in told.err
    assert "line 122: 1,2" in told.err
    assert "60 ticks are stored" in told.out and "left out: 2 broken line" in told.out
    await take(file, whole, skip_broken=True)
    assert ticks_in(folder) == ticks_in(whole)
    assert same_candles(candles_in(folder), candles_in(whole))
    assert rows(folder, "SELECT reason, count FROM refusals") == [("broken line", 2)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_an_import_that_was_killed_goes_on_to_the_same_end(tmp_path: Path, seed: int) -> None:
    """kill -9 in the middle, then the same command: history is that of an undisturbed run."""
    file = lean_day(tmp_path, 60_000, seed=seed)
    folder, whole = tmp_path / "data", tmp_path / "whole"
    command = [str(TOCSIN), "import", str(file), "--instrument", "gold", "--data", str(folder)]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet, cwd=tmp_path)
    try:
        async with asyncio.timeout(60):
            while not _some(folder) and process.returncode is None:
                await asyncio.sleep(0.005)
        await asyncio.sleep(random.Random(seed).uniform(0, 0.15))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert len(ticks_in(folder)) > 0
    assert await take(file, folder) == 0
    await take(file, whole)
    assert len(ticks_in(folder)) == 60_000
    assert ticks_in(folder) == ticks_in(whole)
    assert same_candles(candles_in(folder), candles_in(whole))


def _some(folder: Path) -> bool:
    try:
        return bool(rows(folder, "SELECT 1 FROM ticks LIMIT 1"))
    except sqlite3.Error:
        return False


async def test_a_stop_tells_what_is_stored_and_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C cancels the command; the next run makes it whole."""
    file, folder = lean_day(tmp_path, 60_000), tmp_path / "data"
    running = asyncio.ensure_future(take(file, folder))
    while not _some(folder):
        await asyncio.sleep(0.002)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    said = f"stopped: {len(ticks_in(folder)):,} ticks are stored; the same command goes on from there"
    assert said in capsys.readouterr().err
    assert await take(file, folder) == 0
    assert [row[0] for row in ticks_in(folder)] == list(range(1, 60_001))


async def test_a_store_that_cannot_be_written_is_a_sentence_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command can be run again."""
    file, folder = lean_day(tmp_path, 100), tmp_path / "data"
    folder.mkdir()
    (folder / "history.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(TryLater, match=r"no history of tocsin.*the same command goes on where this one stopped"):
        await take(file, folder)
    with pytest.raises(HistoryTrouble):
        async with open_history(Config(folder=folder)):
            pass


# ------------------------------------------------------------------------------------------- bad files


async def test_every_problem_with_a_file_is_a_sentence(tmp_path: Path) -> None:
    """Missing, empty, a folder, binary, cut short, without a day, an instrument or a price: each says which."""

    def made(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    quotes = lean_day(tmp_path, 2_000).read_bytes()
    wrong: list[tuple[Path, str, dict[str, Any]]] = [
        (tmp_path / "missing.csv", "there is no recording at", {}),
        (tmp_path, "is a folder: name a file in it", {}),
        (made("empty.csv", b""), "empty.csv is empty", {}),
        (made("photo.jpg", bytes(range(256)) * 50), "begins like no file of prices that is known", {}),
        (made("head.csv", b"time,price\n"), "holds a header and no prices", {}),
        (made("cut-20140502.csv.gz", gzip.compress(quotes)[:-500]), "cannot be read to its end", {}),
        (made("cut.zip", b"PK\x03\x04" + bytes(100)), "cannot be read to its end", {}),
        (made("wide.csv", "time,price\n".encode("utf-16")), "is text in UTF-16: save it as UTF-8", {}),
        (made("undated.csv", quotes), "or --date 2014-05-02", {}),
        (made("zone.csv", b"time,price\n2014-05-02 10:00,1\n"), 'no time zone "Mars"', {"time_zone": "Mars"}),
        (made("words.csv", b"time,price\nnever,1\n"), 'line 2 is "never,1" (broken line)', {"time_zone": "UTC"}),
        (made("one.csv", b"time,open,high,low,close\n2014-05-02T10:00Z,1,1,1,1\n"), "holds a single bar", {}),
        (made("a.csv", b"time,price\n1,1\n"), 'no format "word"', {"format": "word"}),
    ]
    for path, words, more in wrong:
        assert words in await refused(path, tmp_path / "data", **more), path.name
    assert "add --instrument XAU-USD" in await refused(
        tmp_path / "20140502_xauusd_tick_quote.csv", tmp_path / "data", ""
    )
    assert "glod" in await refused(tmp_path / "20140502_xauusd_tick_quote.csv", tmp_path / "data", "glod")
    async with open_history(Config(folder=tmp_path / "data")) as history:
        assert await history.tick_count() == 0


def test_the_command_says_it_without_a_trace(tmp_path: Path) -> None:
    """Exit code 1, one sentence on stderr, nothing on stdout."""
    command = [str(TOCSIN), "import", "missing.csv", "--instrument", "gold", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "tocsin: there is no recording at missing.csv\n"


def test_what_is_quoted_from_a_file_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    """Escapes and marks that turn the direction of text are written out, in the refusal and in what was skipped."""
    rows = [f"2026-05-04T10:{minute:02d}:00Z,3300.0,3300.5" for minute in range(40)]
    rows[20] = "\x1b]0;owned\x07\u202e,1,2"
    (tmp_path / "odd.csv").write_text("\n".join(["time,bid,ask", *rows]))
    command = [str(TOCSIN), "import", "odd.csv", "--instrument", "gold", "--data", str(tmp_path)]
    for broken in ("stop", "skip"):
        done = subprocess.run(
            [*command, "--broken", broken], capture_output=True, cwd=tmp_path, timeout=60, check=False
        )
        said = done.stderr.decode()
        assert "line 22: " in said and "\\x1b]0;owned\\x07\\u202e" in said
        assert not {"\x1b", "\x07", "\u202e"} & set(said + done.stdout.decode())


async def test_one_tick_is_told_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A count reads right for one of a kind."""
    file = tmp_path / "one.csv"
    file.write_text("time,bid,ask\n2026-05-04T10:00:00Z,3300.0,3300.5\n")
    assert await take(file, tmp_path / "data") == 0
    assert "XAU-USD: 1 tick is stored" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------- time zones


async def test_a_file_that_does_not_say_its_zone_is_asked_about_with_its_first_line(tmp_path: Path) -> None:
    """And with the zone that its hours fit."""
    file = tmp_path / "broker.csv"
    file.write_text(broker_bars("Europe/Athens"))
    said = await refused(file, tmp_path / "data")
    assert 'does not say in which time zone its times are ("2025-09-01 01:00:00,' in said
    assert "add --time-zone, with UTC, UTC+2, or a name" in said
    assert said.endswith("; its hours fit Europe/Athens best")


def broker_bars(zone: str, *, weeks: int = 20) -> str:
    """Hours of gold as a broker in that zone writes them, from September to January: both clock changes are in it."""
    from zoneinfo import ZoneInfo

    clock = doubts.Clock(SESSIONS[GOLD.session])
    lines = ["time,open,high,low,close\n"]
    for hour in range(weeks * 168):
        start = at("2025-08-31 22:00") + hour * 60 * MINUTE_US
        if clock.open(start // doubts.BUCKET_US):
            local = (EPOCH + timedelta(microseconds=start)).astimezone(ZoneInfo(zone))
            price = 3400 + hour % 24
            lines.append(f"{local:%Y-%m-%d %H:%M:%S},{price},{price + 2},{price - 2},{price + 1}\n")
    return "".join(lines)


@pytest.mark.parametrize("said", ["UTC", "UTC+2", "UTC+3", "America/New_York"])
async def test_a_wrong_zone_is_suspected_before_anything_is_stored(tmp_path: Path, said: str) -> None:
    """Also one that is an hour off in some months only; --yes stores it, and the right one is not asked about."""
    file, folder = tmp_path / "broker.csv", tmp_path / "data"
    file.write_text(broker_bars("Europe/Athens"))
    question = await refused(file, folder, time_zone=said)
    assert "the time zone looks wrong" in question and "try --time-zone Europe/Athens" in question
    assert "nothing was stored; --yes stores it all the same" in question
    assert candles_in(folder) == []
    assert await take(file, tmp_path / "sure", time_zone=said, sure=True) == 0
    assert candles_in(tmp_path / "sure")
    assert await take(file, folder, time_zone="EET") == 0
    assert candles_in(folder)[0][2] == at("2025-08-31 22:00")


async def test_prices_that_history_has_hours_away_betray_the_zone_around_the_clock_too(tmp_path: Path) -> None:
    """A market that never closes has no hours to fit; the minutes that are stored already tell."""
    chance = random.Random(4)
    price, true, file_lines = 60_000.0, ["time,price\n"], ["time,price\n"]
    for second in range(0, 4 * 3600, 20):
        price *= 1 + chance.gauss(0, 0.0005)
        moment = EPOCH + timedelta(microseconds=at("2024-08-08 10:00"), seconds=second)
        true.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{price}\n")
        file_lines.append(f"{moment + timedelta(hours=3, seconds=7):%Y-%m-%d %H:%M:%S},{price * 1.00001}\n")
    first, second_file = tmp_path / "one.csv", tmp_path / "two.csv"
    first.write_text("".join(true))
    second_file.write_text("".join(file_lines))
    await take(first, tmp_path / "data", "BTC-USD")
    said = await refused(second_file, tmp_path / "data", "BTC-USD", time_zone="UTC")
    assert "3 hours earlier; try --time-zone UTC+3" in said
    assert await take(second_file, tmp_path / "data", "BTC-USD", time_zone="UTC+3") == 0


@needs_data
async def test_the_two_euro_files_are_told_apart_by_their_hours_and_by_each_other(tmp_path: Path) -> None:
    """OANDA's day is in UTC, FXCM's in fixed UTC-5: each read as the other is questioned, also beside the other."""
    oanda, fxcm = (DATA / "fx" / f"eurusd-{name}-ticks-20140502.zip" for name in ("oanda", "fxcm"))
    folder = tmp_path / "data"
    said = await refused(fxcm, folder, "EUR-USD")
    assert "it is silent in 24% of the hours in which Euro is open; try --time-zone UTC-5" in said
    said = await refused(oanda, folder, "EUR-USD", time_zone="UTC-5")
    assert "14% of its ticks are in hours in which Euro is closed" in said and "try --time-zone UTC," in said
    assert await take(oanda, folder, "EUR-USD") == 0
    assert "5 hours later; try --time-zone UTC-5" in await refused(fxcm, folder, "EUR-USD")
    assert await take(fxcm, folder, "EUR-USD", time_zone="UTC-5") == 0


@needs_data
@pytest.mark.parametrize(
    ("file", "instrument", "wrong"),
    [
        ("gold/xauusd-mt5-m15-2025-2026.csv.gz", "XAU-USD", ["UTC", "UTC+2", "UTC+3"]),
        ("silver/xagusd-mt5-m15-2025-2026.csv.gz", "XAG-USD", ["UTC", "UTC+2", "UTC+3"]),
    ],
)
async def test_the_broker_of_the_shared_bars_follows_the_clock_of_athens(
    tmp_path: Path, file: str, instrument: str, wrong: list[str]
) -> None:
    """A year of quarters of an hour: every other zone is questioned, its own is not."""
    for zone in wrong:
        said = await refused(DATA / file, tmp_path / "data", instrument, time_zone=zone)
        assert "try --time-zone Europe/Athens" in said
    assert await take(DATA / file, tmp_path / "data", instrument, time_zone="Europe/Athens") == 0


async def test_a_file_of_the_wrong_day_is_questioned_though_no_zone_fits(tmp_path: Path) -> None:
    """A Friday of gold under the date of a Saturday."""
    file = lean_day(tmp_path, 2_000)
    said = await refused(file, tmp_path / "data", date="2014-05-03")
    assert (
        "100% of its ticks are in hours in which Gold is closed, and no time zone mends that: is the day right" in said
    )


def test_stock_bars_outside_of_the_session_are_no_sign_of_a_wrong_zone() -> None:
    """Trading before and after hours is in closed hours in every zone."""
    apple = CATALOGUE.find("AAPL")
    minutes = [at("2014-06-05 08:00") + n * MINUTE_US for n in range(16 * 60)]
    pieces = [Piece(minutes, [600.0] * len(minutes))]
    clock = doubts.Clock(SESSIONS[apple.session])
    now = doubts.fit(pieces, [], clock, lambda wall: wall)
    assert now.closed > 0.5
    assert doubts.zone_doubt(apple, now, now, "UTC", can_change=True) == ""


# ----------------------------------------------------------------------------------------------- labels


def bars(path: Path, start: str, prices: Sequence[float], step: timedelta = timedelta(hours=1)) -> Path:
    begin = datetime.fromisoformat(start)
    text = "".join(f"{begin + n * step:%Y-%m-%dT%H:%M:%SZ},{p},{p},{p},{p}\n" for n, p in enumerate(prices))
    path.write_text("time,open,high,low,close\n" + text)
    return path


async def test_silver_under_gold_is_questioned_where_history_knows_gold(tmp_path: Path) -> None:
    """By the price that lies nearest in time."""
    folder = tmp_path / "data"
    await take(bars(tmp_path / "a.csv", "2025-09-01 10:00", [3400, 3410, 3405]), folder)
    said = await refused(bars(tmp_path / "b.csv", "2025-09-02 10:00", [40, 41, 40.5]), folder)
    assert "these may not be prices of Gold: the file has 40.00 on 2025-09-02, history 3,405.00 on 2025-09-01" in said
    assert "times more" in said
    assert len([row for row in candles_in(folder) if row[1] == 3600]) == 3


async def test_silver_under_gold_is_questioned_where_only_silver_is_known(tmp_path: Path) -> None:
    """What is closer to another instrument's price is asked about, but not what is worth the same by its nature."""
    folder = tmp_path / "data"
    await take(bars(tmp_path / "a.csv", "2025-09-01 10:00", [40, 41, 40.5]), folder, "silver")
    said = await refused(bars(tmp_path / "b.csv", "2025-09-01 12:00", [40.2, 41, 40.5]), folder)
    assert "these may not be prices of Gold" in said and "Silver was 40.500" in said
    await take(bars(tmp_path / "c.csv", "2025-09-01 10:00", [3400, 3410]), folder, "gold")
    assert await take(bars(tmp_path / "d.csv", "2025-09-01 12:00", [3401, 3411]), folder, "GC") == 0


async def test_a_name_that_tells_of_another_instrument_is_questioned(tmp_path: Path) -> None:
    """Also in an empty history; a name that tells of nothing is not."""
    said = await refused(bars(tmp_path / "XAGUSD_H1.csv", "2025-09-01 10:00", [40, 41]), tmp_path / "data")
    assert "the name XAGUSD_H1.csv tells of Silver (XAG-USD), not of Gold (XAU-USD)" in said
    for name in ("meta_export.csv", "prices.csv", "xauusd.csv", "gold_h1.csv"):
        assert await take(bars(tmp_path / name, "2025-09-01 10:00", [3400, 3401]), tmp_path / name[:3]) == 0


def test_a_price_may_have_moved_further_in_years_than_in_days() -> None:
    """Gold of 2014 and of 2025 differ by three, silver under gold by seventeen."""
    old = doubts.Known(GOLD, at("2014-05-02"), 1299.0)
    assert doubts.label_doubt(GOLD, at("2025-12-17"), 4310.0, old, []) == ""
    assert "17.7 times more" in doubts.label_doubt(GOLD, at("2025-12-17"), 73.4, old, [])
    assert "3.3 times less" in doubts.label_doubt(GOLD, at("2014-05-03"), 4310.0, old, [])


async def test_a_folder_of_simulated_prices_is_no_place_for_real_ones(tmp_path: Path) -> None:
    """It is asked first, since commands would mix them; nothing is written to the ledger."""
    from hub.ledger import open_ledger
    from hub.ledger import tables as t

    folder = tmp_path / "data"
    async with open_ledger(Config(folder=folder)) as ledger:
        await ledger.write(lambda c: c.execute(t.facts.insert().values(name="nature", value="simulated")))
    assert "holds simulated prices, not those of a market" in await refused(lean_day(tmp_path, 50), folder)
    assert await take(lean_day(tmp_path, 50), folder, sure=True) == 0


# ------------------------------------------------------------------------------------------------- bars


async def test_bars_land_on_the_rung_of_their_length_and_count_their_four_prices(tmp_path: Path) -> None:
    """An hour of 3,400 to 3,410 counts four ticks; the day above is built from the hours."""
    file = tmp_path / "h1.csv"
    file.write_text(
        "time,open,high,low,close,volume\n2025-09-01T10:00Z,3400,3410,3395,3405,7\n2025-09-01T11:00Z,3405,3420,3400,3401,5\n"
        "2025-09-01T12:00Z,3401,3402,3400,3400,\n2025-09-01T13:00Z,3400,3390,3400,3400,1\n"
    )
    await take(file, tmp_path / "data")
    hours = [row for row in candles_in(tmp_path / "data") if row[1] == 3600]
    assert hours[0] == ("XAU-USD", 3600, at("2025-09-01 10:00"), 3400, 3410, 3395, 3405, 7, 4, 10.0, 150.0)
    assert len(hours) == 3
    (day,) = (row for row in candles_in(tmp_path / "data") if row[1] == 86_400)
    assert day[3:9] == (3400, 3420, 3395, 3400, 12, 12)
    assert rows(tmp_path / "data", "SELECT reason, count FROM refusals") == [("impossible bar", 1)]


@pytest.mark.parametrize(
    ("step", "rung"),
    [("30m", "1h"), ("10m", "1h"), ("4h", "1d"), ("1m", "1m"), ("5m", "5m"), ("7d", "1d"), ("30s", "1m")],
)
def test_bars_of_any_length_find_the_finest_rung_that_they_fill(step: str, rung: str) -> None:
    """What divides a rung without a rest is merged into it; what is longer than a day stands at its first."""
    units = {"s": 1_000_000, "m": MINUTE_US, "h": 60 * MINUTE_US, "d": 1440 * MINUTE_US}
    assert rung_for_bars(int(step[:-1]) * units[step[-1]], RUNGS) == rung
    assert rung_for_bars(7 * MINUTE_US, RUNGS) == ""
    assert step_of(iter([(0, 60), (60, 120), (120, 500)])) == 60


async def test_half_hours_are_merged_and_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the file runs backwards."""
    forth = bars(tmp_path / "a.csv", "2025-09-01 10:00", [3400, 3410, 3405, 3390], timedelta(minutes=30))
    await take(forth, tmp_path / "forth")
    assert "bars of 30m are merged into 1h" in capsys.readouterr().err
    header, *lines = forth.read_text().splitlines()
    back = tmp_path / "b.csv"
    back.write_text("\n".join([header, *reversed(lines)]) + "\n")
    await take(back, tmp_path / "back")
    hours = [row for row in candles_in(tmp_path / "forth") if row[1] == 3600]
    assert [row[3:7] for row in hours] == [(3400, 3410, 3400, 3410), (3405, 3405, 3390, 3390)]
    assert candles_in(tmp_path / "forth") == candles_in(tmp_path / "back")


async def test_days_stand_under_their_own_date_and_need_no_zone(tmp_path: Path) -> None:
    """A day's bar of a broker is that day's, wherever the broker is."""
    file = tmp_path / "daily.csv"
    file.write_text(
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n"
        "2025.09.01\t3400\t3410\t3395\t3405\t7\n2025.09.02\t3405\t3420\t3400\t3401\t5\n2025.09.03\t3401\t3402\t3400\t3400\t1\n"
    )
    await take(file, tmp_path / "data")
    assert [row[2] for row in candles_in(tmp_path / "data")] == [at(f"2025-09-0{day}") for day in (1, 2, 3)]


async def test_a_monthly_list_of_prices_reaches_back_to_before_1970(tmp_path: Path) -> None:
    """Each month is the candle of its first day."""
    file = tmp_path / "monthly.csv"
    file.write_text("Date,Price\n1833-01,18.93\n1833-02,18.93\n1833-03,18.95\n")
    await take(file, tmp_path / "data")
    assert [(row[2], row[6], row[8]) for row in candles_in(tmp_path / "data")] == [
        (at("1833-01-01"), 18.93, 1), (at("1833-02-01"), 18.93, 1), (at("1833-03-01"), 18.95, 1),
    ]  # fmt: skip


async def test_recorded_candles_win_over_bars_and_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the rung has a candle, the file's is not taken."""
    await take(lean_day(tmp_path, 500), tmp_path / "data")
    before = [row for row in candles_in(tmp_path / "data") if row[1] == 3600]
    capsys.readouterr()
    await take(bars(tmp_path / "h.csv", "2014-05-02 19:00", [1300, 1301, 1302, 1303]), tmp_path / "data", sure=True)
    assert "2 candles of 1h are stored (2 were there already)" in capsys.readouterr().out
    assert [row for row in candles_in(tmp_path / "data") if row[1] == 3600][: len(before)] == before


# ------------------------------------------------------------------------------------------- pure parts


def quote(number: int, time_us: int, price: float = 1300.0, **more: Any) -> Tick:
    return Tick(
        instrument="XAU-USD", kind=Kind.QUOTE, bid=price, ask=price, venue_time=time_us, received_at=time_us,
        number=number, **more,
    )  # fmt: skip


def frames(updates: Sequence[Tick | Refused], marks: dict[str, int] | None = None, **more: Any) -> list[Any]:
    judge = Judge(CATALOGUE.get, {})
    refusals = Refusals("broken line", more.pop("skip", True), (marks or {}).get("", 0))
    return list(frames_of(iter(updates), "import:x", marks or {}, refusals, judge, 1 << 60, **more))


def test_batches_end_with_a_minute() -> None:
    """So that what is taken up again never splits a candle."""
    start = at("2014-05-02 10:00")
    found = frames([quote(n, start + n * 20_000_000) for n in range(1, 20)], size=4)
    assert [len(one) for one in found] == [5, 6, 6, 2]
    minutes = [{time // MINUTE_US for time in one.venue_time} for one in found]
    assert all(not one & other for one, other in pairwise(minutes))


def test_what_is_settled_is_passed_over_but_still_makes_later_ticks_late() -> None:
    """A tick behind the mark that is older than one before it corrects its candle only."""
    start = at("2014-05-02 10:00")
    updates = [quote(1, start + 50), quote(2, start + 40), quote(3, start + 60)]
    (one,) = frames(updates, {"XAU-USD/quote": 1})
    assert (one.vendor_number, one.verdict) == ([2, 3], [Verdict.LATE, Verdict.PRICE])


@pytest.mark.parametrize("size", [2, 3, 100])
@pytest.mark.parametrize(
    ("prices", "outliers"),
    [
        ([1300, 13000, 1300, 1301], [2]),
        ([1300, 1301, 130, 1300.5, 13000, 1300], [3, 5]),
        ([1300, 1400, 1401, 1300, 1300], []),  # a second one confirms it
        ([13000, 1300, 1300], []),  # which of them is wrong cannot be told
        ([1300, 1300, 13000], []),
        ([1300, 1310, 1300], []),
    ],
)
def test_a_price_that_stands_alone_is_an_outlier(prices: list[float], outliers: list[int], size: int) -> None:
    """Also where a batch would end behind it."""
    start = at("2014-05-02 10:00")
    found = frames([quote(n, start + n * 40_000_000, price) for n, price in enumerate(prices, 1)], size=size)
    verdicts = {n: verdict for one in found for n, verdict in zip(one.vendor_number, one.verdict, strict=True)}
    assert [n for n, verdict in verdicts.items() if verdict == Verdict.OUTLIER] == outliers
    assert len(verdicts) == len(prices)


def test_where_prices_are_far_between_one_may_go_and_come_back() -> None:
    """Of trades an hour apart nobody can say so."""
    start = at("2014-05-02 10:00")
    found = frames([quote(n, start + n * 60 * MINUTE_US, price) for n, price in enumerate([1300, 1400, 1300])])
    assert all(verdict == Verdict.PRICE for one in found for verdict in one.verdict)


async def test_a_bad_print_is_told_and_in_no_candle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One price ten times too high in the middle of a file is kept for who looks for it."""
    rows = [f"2026-05-04T10:00:{second:02d}Z,3300.0,3300.5" for second in range(60)]
    rows[30] = rows[30].replace("3300", "33000")
    file = tmp_path / "fat.csv"
    file.write_text("\n".join(["time,bid,ask", *rows]))
    assert await take(file, tmp_path / "data") == 0
    assert "1 of the prices stood alone" in capsys.readouterr().err
    assert [row[0] for row in ticks_in(tmp_path / "data") if row[6] == Verdict.OUTLIER] == [32]
    assert {row[4] for row in candles_in(tmp_path / "data")} == {3300.25}


def test_ticks_of_closed_hours_move_nothing() -> None:
    """As live ones do."""
    saturday = at("2014-05-03 12:00")
    (one,) = frames([quote(1, at("2014-05-02 10:00")), quote(2, saturday), quote(3, at("2014-05-05 10:00"))])
    assert one.verdict == [Verdict.PRICE, Verdict.CLOSED, Verdict.PRICE]


def test_what_is_no_price_is_counted_by_its_reason_once() -> None:
    """Crossed quotes and broken lines; those that were counted before are not counted again."""
    start = at("2014-05-02 10:00")
    crossed = Tick(
        instrument="XAU-USD", kind=Kind.QUOTE, bid=2.0, ask=1.0, venue_time=start, received_at=start, number=3
    )
    updates: list[Tick | Refused] = [
        quote(1, start), Refused(reason="broken line", number=2), crossed, quote(4, start),
    ]  # fmt: skip
    (one,) = frames(updates)
    assert [(each.reason, each.count, each.number) for each in one.refused] == [
        ("broken line", 1, 2),
        ("bid above ask", 1, 3),
    ]
    (again,) = frames(updates, {"XAU-USD/quote": 1, "": 3})
    assert again.refused == [] and again.vendor_number == [4]
    with pytest.raises(BrokenLine):
        frames(updates, skip=False)
    assert frames(updates, {"XAU-USD/quote": 1, "": 3}, skip=False)[0].vendor_number == [4]


def test_an_hour_that_a_clock_repeats_counts_once() -> None:
    """Two bars with one start are not merged into a coarser candle twice."""
    candle = bar_of(at("2025-10-26 01:00"), (1, 3, 1, 2))
    assert isinstance(candle, Candle)
    updates = [Bar(instrument="X", candle=candle, number=n) for n in (1, 2)]
    ((filled,),) = bars_of(iter(updates), "1h", {}, Refusals("broken line", True, 0), by_day=False)
    assert (filled.candles, filled.number) == ([candle], 2)


def test_bars_of_one_interval_stay_in_one_batch() -> None:
    """Four quarters make an hour, whatever the size of a batch."""
    start = at("2025-10-26 01:00")
    made = [bar_of(start + n * 15 * MINUTE_US, (n + 1, n + 1, n + 1, n + 1)) for n in range(12)]
    updates = [Bar(instrument="X", candle=one, number=n) for n, one in enumerate(made, 1) if one]
    found = list(bars_of(iter(updates), "1h", {}, Refusals("broken line", True, 0), by_day=False, size=2))
    assert [[(one.open, one.close) for one in batch[0].candles] for batch in found] == [[(1, 4)], [(5, 8)], [(9, 12)]]
    assert [batch[0].number for batch in found] == [4, 8, 12]


# ---------------------------------------------------------------------------------------------- real data


@needs_data
async def test_the_gold_day_is_in_history_in_seconds_and_agrees_with_the_vendors_minutes(tmp_path: Path) -> None:
    """265,015 ticks; open and close of each minute by mids are those of OANDA's own bars."""
    begun = time.monotonic()
    assert await take(DATA / "gold" / "xauusd-oanda-ticks-20140502.zip", tmp_path / "ticks") == 0
    assert time.monotonic() - begun < 20
    assert len(ticks_in(tmp_path / "ticks")) == 265_015
    await take(DATA / "gold" / "xauusd-oanda-minutes-20140502.zip", tmp_path / "bars")
    ours, theirs = ([row for row in candles_in(tmp_path / name) if row[1] == 60] for name in ("ticks", "bars"))
    assert [row[2] for row in ours] == [row[2] for row in theirs]
    assert len(ours) == 1257
    assert all(abs(a[3] - b[3]) < 0.01 and abs(a[6] - b[6]) < 0.01 for a, b in zip(ours, theirs, strict=True))


@needs_data
@pytest.mark.parametrize(
    ("file", "instrument", "more", "rung", "count"),
    [
        ("gold/xauusd-oanda-daily-2006-2019.zip", "XAU-USD", {}, "1d", 3949),
        ("gold/gold-monthly-1833-2026.csv", "XAU-USD", {}, "1d", 2322),
        ("stocks/aapl-minutes-20140605.zip", "AAPL", {}, "1m", 686),
        ("crypto/btcusd-mt5-m15-2025-2026.csv.gz", "BTC-USD", {"time_zone": "EET"}, "15m", None),
    ],
)
async def test_the_shared_bars_are_taken(
    tmp_path: Path, file: str, instrument: str, more: dict[str, Any], rung: str, count: int | None
) -> None:
    """Each on its rung, whole."""
    assert await take(DATA / file, tmp_path / "data", instrument, **more) == 0
    stored = [row for row in candles_in(tmp_path / "data") if row[1] == RUNGS[rung]]
    assert len(stored) == count or (count is None and len(stored) > 35_000)
    assert all(row[2] % length_us(rung) == 0 for row in stored)


@needs_data
async def test_the_members_of_a_zip_are_told_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The largest expiry by default."""
    file = DATA / "gold" / "gc-comex-ticks-20131009.zip"
    await take(file, tmp_path / "data", "GC", member="201402")
    assert "20131009_gc_tick_trade_201402.csv is read" in capsys.readouterr().err
    assert 0 < len(ticks_in(tmp_path / "data")) < 1000
