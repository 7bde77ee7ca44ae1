"""Gold in euros by two vendors' euros, one of whose clocks is five hours off: the alerts ring as a slow reference says,
before its time zone is configured and after, and the clock is said to be wrong before and not after.

The recordings go through `tocsin replay`; the unconfigured vendor's ticks come when they came, with the stamps that
they have. Played are a small market of our own, and the hour of US payrolls as OANDA and FXCM recorded it.
"""

import json
import random
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from heapq import merge
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest

from hub.instruments import CATALOGUE, build_catalogue
from hub.model import Verdict
from hub.rules.language import canonical, parse
from tests import reference_days as days
from tests.recording import DAY, MIDNIGHT_US, TOCSIN, Line, lines_of
from tests.reference import Happening, Reference
from tests.reference_market import QUOTE, SECOND_US, Tick

HOUR_US = 3_600 * SECOND_US
BEHIND_US = 5 * HOUR_US
FRESH_US = 15 * SECOND_US
NOON_US = MIDNIGHT_US + 12 * HOUR_US
ZONE = "Etc/GMT+5"
LATER = "gold", "fxcm", "oanda"
INSTRUMENTS = {one.id: one for one in CATALOGUE if one.id in ("XAU-USD", "EUR-USD")}


class Market(NamedTuple):
    """Three files of quotes of one hour, by the name of the vendor; the second's stamps are five hours behind."""

    files: Mapping[str, Path]
    alerts: Sequence[str]
    least: int  # rings


# ------------------------------------------------------------------------------------------- the markets


def synthetic(folder: Path, minutes: int = 12) -> Market:
    """Some minutes: gold and the euro walk, two vendors see the euro a little apart, one of them with pauses in which
    the other speaks."""
    chance = random.Random(20140502)
    quotes: dict[str, list[str]] = {name: [] for name in LATER}
    gold, euro = 1284.0, 1.387
    for tenth in range(minutes * 600):
        ms = 43_200_000 + tenth * 100 + chance.randrange(100)
        gold += chance.choice((-0.25, 0.0, 0.25)) + (1284 - gold) / 1_000 - (0.02 if 2_000 < tenth < 4_000 else 0.0)
        euro += chance.choice((-0.00004, 0.0, 0.00004)) + (1.387 - euro) / 1_000
        if chance.random() < 0.5:
            quotes["gold"].append(f"{ms},{gold - 0.15:.3f},{gold + 0.15:.3f}")
        if chance.random() < 0.4 and not 1_500 < tenth < 1_900:
            quotes["fxcm"].append(f"{ms - 18_000_000},{euro - 0.00001:.5f},{euro + 0.00002:.5f}")
        if chance.random() < 0.3:
            quotes["oanda"].append(f"{ms},{euro - 0.00006:.5f},{euro + 0.00008:.5f}")
    alerts = (
        "gold in eur > 925.137 every time", "gold -0.5% in 5m",
        "gold 22k in eur per gram crosses 27.263 every time band 0.03",
        "eur crosses 1.38713 every time", "eur moves 0.05% in 2m every time",
        "eur crosses 1.38713 every time confirm 2 sources", "sma(eur, 3, 1m) crosses 1.386137 every time",
        "gold/eur every 4",
    )  # fmt: skip
    return _written(folder, quotes, alerts, 12)


def payrolls(folder: Path) -> Market:
    """From noon to one o'clock UTC of 2014-05-02."""
    hour = range(43_200_000, 46_800_000)
    quotes = {
        "gold": _cut(days.PAYROLLS, hour),
        "fxcm": _cut(days.OTHER_EUROS, range(25_200_000, 28_800_000)),
        "oanda": _cut(days.EUROS, hour),
    }
    alerts = (
        "gold in eur > 925 every time", "gold -0.5% in 15m", "gold 22k in eur per gram crosses 27.2 every time",
        "gold in eur -0.3% in 15m every time", "eur crosses 1.3822 every time", "eur moves 0.1% in 5m every time",
        "eur crosses 1.3822 every time confirm 2 sources", "sma(eur, 3, 1m) crosses 1.382237 every time",
        "gold in eur crosses 926.137 every time at most every 5m",
    )  # fmt: skip
    return _written(folder, quotes, alerts, 20)


def _cut(path: Path, hour: range) -> list[str]:
    with ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).decode().split()
    return [line for line in lines if int(float(line.partition(",")[0])) in hour]


def _written(folder: Path, quotes: Mapping[str, Sequence[str]], alerts: Sequence[str], least: int) -> Market:
    files = {name: folder / f"{name}.csv" for name in LATER}
    for name, lines in quotes.items():
        files[name].write_text("\n".join(lines) + "\n")
    return Market(files, alerts, least)


# --------------------------------------------------------------------------------------- what has to ring


def happenings(market: Market) -> list[Happening]:
    """As all of it came, at its true times. FXCM is preferred: OANDA's euro is the price until FXCM speaks, and when
    that has been silent for too long."""
    gold = ((line, "XAU-USD", "gold", 0) for line in lines_of(market.files["gold"])[0])
    fxcm = ((line, "EUR-USD", "fxcm", BEHIND_US) for line in lines_of(market.files["fxcm"])[0])
    oanda = ((line, "EUR-USD", "oanda", 0) for line in lines_of(market.files["oanda"])[0])
    everything = merge(_timed(gold, 0), _timed(fxcm, 1), _timed(oanda, 2), key=lambda one: one[:2])
    return list(days.lived(_judged(everything)))


Timed = tuple[int, int, Line, str, str, int]


def _timed(lines: Iterable[tuple[Line, str, str, int]], place: int) -> Iterator[Timed]:
    for line, instrument, source, behind_us in lines:
        yield line.time_us + behind_us, place, line, instrument, source, behind_us


def _judged(everything: Iterable[Timed]) -> Iterator[Tick]:
    speaker, last = "", 0
    for at, _place, line, instrument, source, _ in everything:
        verdict = Verdict.PRICE if line.moves else Verdict.LATE if line.late else Verdict.OUTLIER
        if instrument == "EUR-USD":
            if (source == "fxcm" and line.moves) or not speaker or at - last > FRESH_US:
                speaker = source
            if source == speaker:
                last = at
            else:
                verdict = Verdict.STANDBY
        yield Tick(instrument, verdict, QUOTE, line.price, line.bid, line.ask, None, at, at, source)


class Rang(NamedTuple):
    alert: str
    at: int
    direction: str
    level: float
    value: float


def wanted(market: Market) -> list[Rang]:
    find = build_catalogue({}, ()).find
    specs = [parse(line, find) for line in market.alerts]
    reference = Reference(specs, INSTRUMENTS, thorough=False)
    rings = reference.feed(happenings(market))
    assert not any(alert.close for alert in reference.alerts), "a level lies where rounding decides: choose another"
    return [Rang(canonical(specs[one.alert]), *one[1:]) for one in rings]


# ------------------------------------------------------------------------------------------- what the hub does


class Replayed(NamedTuple):
    summary: Mapping[str, Any]
    folder: Path

    def rows(self, store: str, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / f"{store}.db")) as connection:
            return connection.execute(sql).fetchall()

    def rang(self) -> list[Rang]:
        sql = (
            "SELECT a.text, t.rang_at, t.direction, t.level, t.price FROM triggers t"
            " JOIN alerts a ON a.id = t.alert_id ORDER BY t.sequence, t.id"
        )
        return [Rang(*row) for row in self.rows("ledger", sql)]

    def warnings(self) -> list[str]:
        lines = (json.loads(line) for line in (self.folder / "replay.log").read_text().splitlines())
        return [line["reason"] for line in lines if line.get("event") == "a source's clock looks wrong"]


def command(market: Market, folder: Path, zones: str) -> list[str]:
    files = [str(market.files["gold"]), f"{market.files['fxcm']}{zones}", str(market.files["oanda"])]
    return [
        str(TOCSIN), "replay", *files, "--format", "lean-quote", "--date", DAY, "--json", "--data", str(folder),
        *(word for name in ("gold", "EUR-USD", "EUR-USD") for word in ("--instrument", name)),
        *(word for line in market.alerts for word in ("--alert", line)),
    ]  # fmt: skip


def replayed(market: Market, folder: Path, zones: str) -> Replayed:
    done = subprocess.run(command(market, folder, zones), capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return Replayed(json.loads(done.stdout), folder)


def hold(got: Sequence[Rang], expected: Sequence[Rang]) -> None:
    """The same rings, alert by alert; numbers to what adding in another order makes of them."""
    for alert in sorted({one.alert for one in expected} | {one.alert for one in got}):
        ours, theirs = ([one for one in rings if one.alert == alert] for rings in (got, expected))
        assert [one[:3] for one in ours] == [one[:3] for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert isclose(one.level, other.level, rel_tol=1e-9), (one, other)
            assert isclose(one.value, other.value, rel_tol=1e-9, abs_tol=1e-9), (one, other)


MARKETS = [
    pytest.param(synthetic, id="small"),
    pytest.param(
        payrolls,
        id="payrolls",
        marks=pytest.mark.skipif(not days.PAYROLLS.exists(), reason="the recorded days are not here (TOCSIN_DATA)"),
    ),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("make", MARKETS)
def test_alerts_ring_right_before_the_time_zone_is_configured_and_after(make: Any, tmp_path: Path) -> None:
    """And the clock is said to be wrong before, with the line that mends it, and not after."""
    market: Market = make(tmp_path)
    expected = wanted(market)
    assert len(expected) >= market.least
    assert {one.alert for one in expected} == {canonical(parse(a, build_catalogue({}, ()).find)) for a in market.alerts}

    before = replayed(market, tmp_path / "before", f"@UTC@{ZONE}")
    hold(before.rang(), expected)
    said = f'fxcm\'s clock looks 5 h behind: set time_zone = "{ZONE}" in [feeds.fxcm]'
    assert before.summary["clocks"] == [said]
    assert before.warnings() == [said]

    after = replayed(market, tmp_path / "after", f"@{ZONE}")
    hold(after.rang(), expected)
    assert after.summary["clocks"] == []
    assert after.warnings() == []
    assert before.summary["ticks_recorded"] == after.summary["ticks_recorded"]
    hold_the_candles(before, after)


def hold_the_candles(before: Replayed, after: Replayed) -> None:
    """All of the euro's candles are of that hour; unconfigured they go by the time at which its ticks came."""
    sql = (
        "SELECT c.start, c.open, c.high, c.low, c.close, c.count FROM candles c JOIN instruments i"
        " ON i.id = c.instrument WHERE i.name = 'EUR-USD' AND c.seconds = 60 ORDER BY c.start"
    )
    assert before.rows("history", sql) == after.rows("history", sql)
    assert {row[0] // HOUR_US for row in after.rows("history", sql)} == {NOON_US // HOUR_US}


@pytest.mark.timeout(300)
def test_recordings_that_were_killed_go_on_together(tmp_path: Path) -> None:
    """Each behind its own last line, in the order of their times, and whoever spoke speaks on."""
    market = synthetic(tmp_path, minutes=60)
    folder = tmp_path / "killed"
    run = subprocess.Popen(
        command(market, folder, f"@{ZONE}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    whole = sum(len(lines_of(file)[0]) for file in market.files.values())
    while (had := recorded(folder)) < whole // 5 and run.poll() is None:
        time.sleep(0.01)
    run.kill()
    run.wait()
    assert had < whole
    after = replayed(market, folder, f"@{ZONE}")
    hold(after.rang(), wanted(market))
    verdicts = "SELECT s.name, t.verdict, count(*) FROM ticks t JOIN sources s ON s.id = t.source GROUP BY 1, 2"
    judged = Counter((f"replay:{one.source}", int(one.verdict)) for one in happenings(market) if isinstance(one, Tick))
    assert {(name, verdict): count for name, verdict, count in after.rows("history", verdicts)} == judged


def recorded(folder: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{folder / 'history.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT ticks FROM position").fetchone()[0])
    except sqlite3.Error:  # not there yet
        return 0
