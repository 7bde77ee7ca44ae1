"""kill -9 of the engine in the middle of a market, with alerts of every kind: each rings as the reference does, once.

What the reference (tests/reference.py) is fed with is what the hub has published, read from its stream afterwards. The
short form is an evening of four instruments; TOCSIN_KILLS (`make kill`) also plays the real day of the payrolls, gold
and the euro, with so many kills in all at random moments of it.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hub.rules.spec import AlertSpec, canonical
from tests import markets
from tests import reference_days as days
from tests.recording import Replay, Sink, expected_at, hold_the_outbox, repeated, told_by_hook, told_by_push
from tests.reference_market import Tick
from tests.reference_stream import (
    Expected,
    frames_in,
    happenings_of,
    hold_the_rings,
    hold_the_ticks,
    keep_all,
    triggers_in,
)
from tests.test_kill import BOT, BROKER, CORE, SEED, SUPERVISOR, Killer, hold_the_repeats

KILLS = int(os.environ.get("TOCSIN_KILLS") or 0)
ROOT = Path(__file__).parents[1]
EVENING_TICKS = 3_000
EVENING_S = 9.0
"""How long the evening plays where nothing is killed."""
PAYROLL_INSTRUMENTS = (markets.GOLD, markets.EURO)
DAY_S = 30.0
KILLS_A_DAY = 50
AGAIN = 0.25
"""So often the next life is killed as well, at a random moment of its start."""
START_S = 4.0


class MarketReplay(Replay):
    """A recording of several instruments with these alerts; what dies is started again at once."""

    def __init__(
        self,
        recording: Path,
        folder: Path,
        instruments: Collection[str],
        specs: Sequence[AlertSpec],
        targets: Sequence[str],
        speed: float,
    ) -> None:
        super().__init__(recording, folder, (), targets)
        asked = {
            "files": [str(recording)], "formats": ["tocsin"], "instruments": [",".join(instruments)],
            "speed": f"{speed:g}" if speed else "max", "alerts": [canonical(spec) for spec in specs],
            "notify": list(targets), "data": str(folder), "as_json": True,
        }  # fmt: skip
        self._command = [sys.executable, "-m", "tests.quick_replay", json.dumps(asked)]

    def start(self) -> None:
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )

    def keep_all(self) -> None:
        """From the first moment on at which there is a broker."""
        while self.running():
            try:
                hub = json.loads((self.folder / "run" / "hub.json").read_bytes())
                asyncio.run(keep_all(hub["bus_url"], hub["bus_token"]))
                return
            except Exception:  # not yet
                time.sleep(0.05)

    def clock(self) -> int:
        """Up to where the engine has committed."""
        try:
            with closing(sqlite3.connect(f"file:{self.folder / 'ledger.db'}?mode=ro", uri=True, timeout=1)) as ledger:
                found = ledger.execute("SELECT clock FROM positions WHERE reader = 'engine'").fetchone()
        except sqlite3.OperationalError:
            return 0
        return int(found[0]) if found else 0


@contextmanager
def playing(
    recording: Path,
    folder: Path,
    instruments: Collection[str],
    specs: Sequence[AlertSpec],
    targets: Sequence[str],
    speed: float,
) -> Iterator[MarketReplay]:
    run = MarketReplay(recording, folder, instruments, specs, targets, speed)
    run.start()
    try:
        yield run
    finally:
        run.end()


@contextmanager
def told_how_to_repeat(seed: int) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(f"again with: TOCSIN_SEED={seed}")
        raise


# -------------------------------------------------------------------------------------------- an evening


@pytest.mark.timeout(240)
def test_alerts_of_every_kind_ring_as_the_reference_through_kills_of_the_engine(tmp_path: Path) -> None:
    """Four instruments, an hour in which metals are closed, stale prices, bad prints; and what rang arrives."""
    chance = random.Random(SEED)
    written = list(markets.evening(EVENING_TICKS, SEED))
    recording = markets.write(tmp_path / "evening.jsonl", written)
    specs, folder = markets.evening_alerts(), tmp_path / "hub"
    parts = [CORE, CORE, CORE, CORE, BROKER, chance.choice((SUPERVISOR, BOT))]
    chance.shuffle(parts)
    sink = Sink()
    with (
        told_how_to_repeat(SEED),
        playing(recording, folder, markets.INSTRUMENTS, specs, sink.targets, markets.LENGTH_S / EVENING_S) as run,
    ):
        killer = Killer(run, chance)
        for part in parts:
            if not killer.kill(part):
                break
        summary = run.finish(150)
    sink.close()
    print(f"seed {SEED}: {', '.join(killer.done)}")
    with told_how_to_repeat(SEED):
        assert len(killer.done) >= 3, "the evening was over before it was disturbed"
        happenings = happenings_of(frames_in(folder))
        hold_the_ticks(happenings, written)
        expected = Expected(specs, markets.INSTRUMENTS).of(happenings)
        hold_the_rings(specs, expected, triggers_in(folder), 1_000)
        hold_the_outbox(folder, summary, destinations=2)
        repeats = {
            "push": repeated([told_by_push(body) for body in sink.of("/push")], expected_at(folder, "push")),
            "hook": repeated([told_by_hook(body) for body in sink.of("/hook")], expected_at(folder, "webhook")),
        }
        hold_the_repeats(killer.done, repeats)


# ------------------------------------------------------------------------------------------- a real day


@pytest.mark.skipif(not KILLS, reason="takes many minutes: `make kill` plays it")
@pytest.mark.skipif(not days.EUROS.exists(), reason="the recorded days are not here (TOCSIN_DATA)")
@pytest.mark.timeout(600 + KILLS * 30)
def test_the_day_of_the_payrolls_rings_as_the_reference_through_kills_at_random_moments(tmp_path: Path) -> None:
    """Gold's 265,015 ticks and the euro's 49,341, played again and again until the engine was killed so often."""
    written = list(markets.payrolls())
    recording = markets.write(tmp_path / "payrolls.jsonl", written)
    specs = markets.payroll_alerts()
    expected = Expected(specs, days.INSTRUMENTS)
    killed, rang, seed = 0, 0, SEED
    while killed < KILLS:
        begun = time.monotonic()
        with told_how_to_repeat(seed):
            kills = min(KILLS - killed, KILLS_A_DAY)
            done, count = play_the_day(tmp_path / f"day-{seed}", recording, written, specs, expected, seed, kills)
        killed, rang, seed = killed + done, rang + count, seed + 1
        took_s = time.monotonic() - begun
        print(f"seed {seed - 1}: {done} kills, {count} triggers as expected, {took_s:.0f} s", flush=True)
    print(f"the engine was killed {killed} times; {rang} triggers in all, none lost, none twice")


def play_the_day(
    folder: Path,
    recording: Path,
    written: Sequence[Tick],
    specs: Sequence[AlertSpec],
    expected: Expected,
    seed: int,
    kills: int,
) -> tuple[int, int]:
    """One day with its kills; how many there were, and how many triggers were held. The moments are random among the
    ticks: where there are many, there are many deaths."""
    chance = random.Random(seed)
    moments = sorted(chance.sample([tick.received_at for tick in written], kills))
    sink = Sink()
    begun, done = time.monotonic(), 0
    with playing(recording, folder, PAYROLL_INSTRUMENTS, specs, sink.targets[1:], 86_400 / DAY_S) as run:
        run.keep_all()
        while moments and kill_at(run, moments.pop(0), chance):
            done += 1
            if moments and chance.random() < AGAIN and kill_in_its_start(run, chance):
                moments.pop(chance.randrange(len(moments)))
                done += 1
        summary = run.finish(300)
    sink.close()
    print(f"seed {seed}: the day was played in {time.monotonic() - begun:.0f} s with {done} kills", flush=True)
    happenings = happenings_of(frames_in(folder))
    hold_the_ticks(happenings, written)
    count = hold_the_rings(specs, expected.of(happenings), triggers_in(folder), 3_000)
    hold_the_outbox(folder, summary, destinations=1)
    repeats = repeated([told_by_hook(body) for body in sink.of("/hook")], expected_at(folder, "webhook"))
    assert repeats <= done
    return done, count


def kill_at(run: MarketReplay, moment: int, chance: random.Random) -> bool:
    """Once the engine has come so far. False: the day was over before."""
    while run.clock() < moment:
        if not run.running():
            return False
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.3))
    return kill_core(run)


def kill_in_its_start(run: MarketReplay, chance: random.Random) -> bool:
    time.sleep(chance.uniform(0, START_S))
    return kill_core(run)


def kill_core(run: MarketReplay) -> bool:
    """The one that runs, or the next one if there is none at the moment."""
    deadline = time.monotonic() + 60
    while run.running():
        pid = run.children().get(CORE)
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
                return True
            except ProcessLookupError:
                pass
        assert time.monotonic() < deadline, f"the core did not come back\n{run.said()}"
        time.sleep(0.01)
    return False
