"""`tocsin replay` as a back-test on small tables: what is asked about is what the recording holds."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

TOCSIN = Path(sys.executable).with_name("tocsin")
TRADES = "time,price\n2026-11-20T10:00:00Z,99\n2026-11-20T10:00:01Z,100.5\n2026-11-20T10:00:02Z,99.2\n"
QUOTES = "time,bid,ask\n2026-11-20T10:00:00Z,98,100\n2026-11-20T10:00:01Z,100,101\n2026-11-20T10:00:02Z,99.1,99.3\n"


def replayed(file: Path, instrument: str, *more: str) -> dict[str, Any]:
    words = [str(TOCSIN), "replay", str(file), "--format", "csv", "--instrument", instrument, "--json", *more]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.mark.parametrize(("table", "instrument"), [(TRADES, "XAU-USD"), (QUOTES, "BTC-USD")], ids=["trades", "quotes"])
def test_an_alert_rings_on_the_prices_that_a_table_holds(table: str, instrument: str, tmp_path: Path) -> None:
    """Also where the instrument's live price is of the other kind: gold by trades, bitcoin by quotes."""
    file = tmp_path / "table.csv"
    file.write_text(table)
    summary = replayed(file, instrument, "--alert", f"{instrument} > 100")
    assert [(each["tick_before"]["price"], each["tick"]["price"]) for each in summary["triggers"]] == [(99.0, 100.5)]
    assert (summary["ticks_recorded"], summary["notifications_sent"]) == (3, 1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--instrument", "glod"), '"glod" is not an instrument known here; did you mean gold?'),
        (("--instrument", "A B"), '"A B" is not an instrument'),
        (("--instrument", "gold", "--alert", "gold >"), "a number is missing here"),
        (("--instrument", "gold", "--speed", "banana"), "banana"),
        (("--instrument", "gold", "--speed", "-1"), "-1"),
        (("--instrument", "gold", "--date", "yesterday"), "yesterday"),
    ],
    ids=["instrument", "no id", "alert", "speed", "negative", "date"],
)
def test_what_is_written_wrong_is_a_sentence(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    """With an exit code that is not 0, no answer on stdout and no trace."""
    file = tmp_path / "table.csv"
    file.write_text(TRADES)
    command = [str(TOCSIN), "replay", str(file), "--format", "csv", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_several_recordings_play_as_one_market(tmp_path: Path) -> None:
    """Each with its own instrument and format, in the order of their times; an alert may need both."""
    gold, euro = tmp_path / "gold@desk.csv", tmp_path / "euro.csv"
    gold.write_text("time,price\n2026-11-20T10:00:00Z,2500\n2026-11-20T10:00:02Z,2504\n2026-11-20T10:00:04Z,2510\n")
    euro.write_text("36001000,1.25,1.25\n36003000,1.245,1.245\n36005000,1.25,1.25\n")
    words = [
        str(TOCSIN), "replay", str(gold), f"{euro}@UTC", "--format", "csv", "--format", "lean-quote", "--instrument",
        "gold", "--instrument", "EUR-USD", "--date", "2026-11-20", "--json", "--alert", "gold in eur > 2010",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    (rang,) = summary["triggers"]
    assert rang["venue_time"] == "2026-11-20T10:00:03.000000Z"
    assert rang["tick"]["price"] == pytest.approx(2504 / 1.245)
    assert (summary["ticks_read"], summary["ticks_recorded"], summary["clocks"]) == (6, 6, [])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("one.csv", "two.csv", "--instrument", "gold", "--instrument", "silver", "--instrument", "btc"),
            "each of the 2",
        ),
        (("one.csv", "two.csv", "--instrument", "gold", "--format", "csv"), "each of the 2"),
        (("one.csv", "one.csv", "--instrument", "gold"), "two of the recordings are named one"),
        (("one.csv@Mars", "--instrument", "gold"), 'no time zone "Mars"'),
        (("three.csv@UTC", "--instrument", "gold"), "there is no file three.csv@UTC"),
        (("--instrument", "gold"), "no recording is named"),
    ],
    ids=["instruments", "formats", "twice", "zone", "no file", "none"],
)
def test_what_is_written_wrong_of_several_is_a_sentence(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    """Before anything is started."""
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(QUOTES)
    extra = (
        ("--format", "csv", "--format", "csv", "--format", "csv") if words.count("--format") else ("--format", "csv")
    )
    command = [str(TOCSIN), "replay", *words, *extra]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (done.returncode == 0, done.stdout) == (False, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_instrument_may_be_named_as_people_do(tmp_path: Path) -> None:
    """`--instrument gold` is XAU-USD, and so are its alerts."""
    file = tmp_path / "table.csv"
    file.write_text(TRADES)
    summary = replayed(file, "gold", "--alert", "gold > 100")
    assert summary["ticks_recorded"] == 3
    assert [each["alert"] for each in summary["triggers"]] == ["XAU-USD > 100"]


SPLIT_DAY = "time,price\n2014-06-06T19:59:00Z,650\n2014-06-09T13:30:00Z,93\n2014-06-09T13:31:00Z,93.5\n"


def test_a_split_rings_nobody_and_a_fall_behind_it_does(tmp_path: Path) -> None:
    """And an alert that is set again on the same folder, whose line the split has changed, is there already."""
    file = tmp_path / "apple.csv"
    file.write_text(SPLIT_DAY + "2014-06-09T15:00:00Z,86\n2014-06-09T15:00:01Z,86\n")
    asked = ("--split", "AAPL 7:1 2014-06-09", "--alert", "AAPL < 610", "--alert", "AAPL -7% in 5d")
    kept = ("--data", str(tmp_path / "data"))
    summary = replayed(file, "AAPL", *asked, *kept)
    assert sorted((each["alert"], each["venue_time"][:19]) for each in summary["triggers"]) == [
        ("AAPL -7% in 5d", "2014-06-09T15:00:00"),
        ("AAPL < 87.142857", "2014-06-09T15:00:00"),
    ]
    assert len(replayed(file, "AAPL", *asked, *kept)["triggers"]) == 2
    crashed = replayed(file, "AAPL", *asked[2:])
    assert {each["venue_time"][:19] for each in crashed["triggers"]} == {"2014-06-09T13:30:00"}
    ask = [str(TOCSIN), "ask", *kept, "test AAPL -50% in 5d"]
    told = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "It would not have rung" in told  # a back-test goes by new shares too, as of the recording's own day


DATA = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data") / "stocks"
NEW_YORK = ZoneInfo("America/New_York")


def minutes(day: str) -> Iterator[tuple[datetime, float]]:
    """The four prices of each of Apple's minutes of that day, the nearer of high and low to the open first."""
    with zipfile.ZipFile(DATA / f"aapl-minutes-{day.replace('-', '')}.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode()
    for line in text.split():
        ms, *cells = line.split(",")
        start = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK) + timedelta(milliseconds=int(ms))
        first, high, low, last = (int(cell) / 10_000 for cell in cells[:4])
        inner = (low, high) if first - low <= high - first else (high, low)
        for place, price in enumerate((first, *inner, last)):
            yield start.astimezone(UTC) + timedelta(seconds=19 * place), price


@pytest.mark.skipif(not DATA.exists(), reason="the recorded days are not here (TOCSIN_DATA)")
def test_apple_across_its_split_of_2014_rings_no_crash_and_a_fall_on_the_next_day_does(tmp_path: Path) -> None:
    """Three recorded days; the fall is the first of them in new shares, 8 % lower by its end, since none of them fell
    so far."""
    rows = [each for day in ("2014-06-05", "2014-06-06", "2014-06-09") for each in minutes(day)]
    calm = list(minutes("2014-06-05"))
    falling = [
        (at + timedelta(days=5), price / 7 * (1 - 0.08 * place / len(calm))) for place, (at, price) in enumerate(calm)
    ]
    file = tmp_path / "apple.csv"
    text = (f"{at:%Y-%m-%dT%H:%M:%SZ},{price:.4f}\n" for at, price in rows + falling)
    file.write_text("time,price\n" + "".join(text))
    lines = ("AAPL < 610", "AAPL -7% in 5d", "AAPL trails 6%", "AAPL -40 in 1d", "AAPL 7% below 52w high")
    alerts = [word for line in lines for word in ("--alert", line)]
    triggers = replayed(file, "AAPL", "--split", "AAPL 7:1 2014-06-09", *alerts)["triggers"]
    assert {each["venue_time"][:10] for each in triggers} == {"2014-06-10"}
    assert {each["alert"] for each in triggers} == {
        "AAPL < 87.142857", "AAPL -7% in 5d", "AAPL trails 6%", "AAPL -5.7142857 in 1d", "AAPL 7% below 52w high"
    }  # fmt: skip
    crashed = replayed(file, "AAPL", *alerts)["triggers"]
    assert {each["venue_time"][:19] for each in crashed} == {"2014-06-09T13:30:00"}
