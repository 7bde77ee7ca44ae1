"""kill -9 of every part of the hub in the middle of a recording: nothing lost, nothing twice.

The moments are random from a seed that a failure shows. TOCSIN_KILLS (`make kill`) says how many kills; the short form
is for every run of the suite.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import time
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats
import nats.errors
import pytest

from hub.bus import connect
from hub.model import Receipt
from hub.plugin import TryLater
from tests.recording import (
    TOCSIN,
    Replay,
    Sink,
    Wanted,
    alive,
    canonical,
    children_of,
    expected_at,
    hold_the_history,
    hold_the_ladder,
    hold_the_outbox,
    hold_the_triggers,
    lines_of,
    repeated,
    replaying,
    rows,
    synthetic,
    told_by_hook,
    told_by_push,
)
from tests.waiting import until_true

if TYPE_CHECKING:
    from tests.conftest import NatsServer

KILLS = int(os.environ.get("TOCSIN_KILLS") or 6)
SEED = int(os.environ.get("TOCSIN_SEED") or 0) or random.SystemRandom().randrange(1, 1_000_000)
KILLS_A_RUN = 6
FEED_S = 6.0
"""How long the recording plays where nothing is killed."""
SECONDS = 9_000.0
SUPERVISOR, CORE, BROKER, BOT = "supervisor", "core", "broker", "bot.push"
GONE_WITHIN_S = 10.0
ALERTS = (
    Wanted("gold > 1301.5", "above", 1301.5, 1301.5 * 0.05 / 100, True),
    Wanted("gold crosses 1300", "crosses", 1300.0, 1300.0 * 0.05 / 100, True),
    Wanted("gold > 1301 every time", "above", 1301.0, 1301 * 0.05 / 100, False),
    Wanted("gold < 1299 every time band 0.1%", "below", 1299.0, 1299 * 0.1 / 100, False),
    Wanted("gold crosses 1300 every time", "crosses", 1300.0, 1300 * 0.05 / 100, False),
    Wanted("gold crosses 1300.25 every time band 0", "crosses", 1300.25, 0.0, False),
)


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink(slow_s=0.01)
    yield sink
    sink.close()


class Killer:
    """Kills what it is told to, a supervisor together with its start again."""

    def __init__(self, run: Replay, chance: random.Random) -> None:
        self.run = run
        self.chance = chance
        self.done: list[str] = []

    def kill(self, name: str) -> bool:
        """False: the replay ended before."""
        pid = self._pid(name)
        time.sleep(self.chance.uniform(0.0, 0.8))
        if pid is None or not self.run.running():
            return False
        self.done.append(name)
        if name == SUPERVISOR:
            had = self.run.kill()
            wait_until_gone(had)
            self.run.start()
        else:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it was between two lives
                self.done.pop()
        return True

    def _pid(self, name: str) -> int | None:
        """Once it runs: a child that was killed comes back by itself."""
        deadline = time.monotonic() + 45
        while self.run.running():
            children = self.run.children()
            if name == SUPERVISOR and children:
                assert self.run.process is not None
                return self.run.process.pid
            if name in children:
                return children[name]
            assert time.monotonic() < deadline, f"{name} did not come back\n{self.run.said()}"
            time.sleep(0.01)
        return None


def wait_until_gone(children: dict[str, int]) -> None:
    """The children of a supervisor that was killed end by themselves."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while left := {name: pid for name, pid in children.items() if alive(pid)}:
        assert time.monotonic() < deadline, f"{left} outlived their supervisor by {GONE_WITHIN_S:g} s"
        time.sleep(0.01)


def plan(chance: random.Random, kills: int) -> list[str]:
    """Each of the four about as often as the others, in any order."""
    parts = [SUPERVISOR, CORE, BROKER, BOT] * (kills // 4 + 1)
    chance.shuffle(parts)
    return parts[:kills]


def play(folder: Path, sink: Sink, seed: int, kills: int) -> tuple[list[str], dict[str, int]]:
    """One recording with its kills, held against the loop; who was killed, and messages repeated at each target."""
    chance = random.Random(seed)
    recording = synthetic(folder.with_suffix(".csv"), 9_000, seed=seed, seconds=SECONDS)
    lines, refused = lines_of(recording)
    with replaying(recording, folder, ALERTS, sink.targets, speed=f"{SECONDS / FEED_S:g}") as run:
        killer = Killer(run, chance)
        for name in plan(chance, kills):
            if not killer.kill(name):
                break
        summary = run.finish(150)

    assert summary["ticks_read"] == len(lines) + refused.total()
    assert summary["refused"] == dict(refused)
    hold_the_history(folder, lines, refused)
    hold_the_ladder(folder, lines)
    hold_the_triggers(summary, lines, ALERTS)
    hold_the_outbox(folder, summary, destinations=2)
    pushed = repeated([told_by_push(body) for body in sink.of("/push")], expected_at(folder, "push"))
    hooked = repeated([told_by_hook(body) for body in sink.of("/hook")], expected_at(folder, "webhook"))
    return killer.done, {"push": pushed, "hook": hooked}


def hold_the_repeats(killed: Sequence[str], repeats: dict[str, int]) -> None:
    """A message may come again where its receipt died together with the bot's memory of it: one a target and kill at
    most, and none where every bot lived on."""
    forgotten = sum(name in (SUPERVISOR, BOT) for name in killed)
    assert all(count <= forgotten for count in repeats.values()), (killed, repeats)


@pytest.mark.timeout(240 + KILLS * 40)
def test_nothing_is_lost_and_nothing_is_twice_through_kills_of_every_part(tmp_path: Path) -> None:
    """Core, broker, bot and supervisor, each with kill -9 at random moments, under a recording at a fixed speed."""
    left, seed = KILLS, SEED
    killed: Counter[str] = Counter()
    repeats: Counter[str] = Counter()
    while left > 0:
        sink = Sink(slow_s=0.01)
        begun = time.monotonic()
        try:
            done, again = play(tmp_path / f"hub-{seed}", sink, seed, min(left, KILLS_A_RUN))
            hold_the_repeats(done, again)
        except AssertionError as error:
            error.add_note(f"again with: TOCSIN_SEED={seed} TOCSIN_KILLS={min(left, KILLS_A_RUN)}")
            raise
        finally:
            sink.close()
        print(f"seed {seed}: {', '.join(done)} in {time.monotonic() - begun:.1f} s; repeated {again}")
        assert len(done) >= min(left, KILLS_A_RUN) // 2, f"the recording ended before it was disturbed: {done}"
        killed.update(done)
        repeats.update(again)
        left -= KILLS_A_RUN
        seed += 1
    print(f"kills: {dict(killed)}; messages repeated: {dict(repeats)}")


# -------------------------------------------------------------------------------------- chosen moments


STEADY = [f"{1_000 * second},{1299 + second % 3},{1299.5 + second % 3}" for second in range(1, 61)]
AFTER = [f"{1_000 * second},{1299 + second % 3},{1299.5 + second % 3}" for second in range(120, 132)]
HELD = ["61000,1699.0,1699.5", "61000,1301.0,1300.0"]
"""A bad print, and a line that is refused while the print waits to be confirmed."""
LATE = ["119000,1301.0,1300.0", "55000,1309.0,1309.5"]
"""A refused line, and one that is older than what was read before the silence."""


@pytest.mark.parametrize(("before", "after"), [(HELD, []), ([], LATE)], ids=["a held tick", "a late tick"])
def test_a_core_that_dies_in_a_silence_judges_what_comes_as_if_it_had_lived(
    tmp_path: Path, sink: Sink, before: list[str], after: list[str]
) -> None:
    """A tick that was held when it died is held again; what is late against a tick from before its death is late."""
    recording = tmp_path / "silence.csv"
    recording.write_text("\n".join([*STEADY, *before, *after, *AFTER]) + "\n")
    lines, refused = lines_of(recording)
    alerts = (Wanted("gold > 1305 every time", "above", 1305.0, 1305 * 0.05 / 100, False),)
    folder = tmp_path / "hub"
    with replaying(recording, folder, alerts, sink.targets, speed="30") as run:
        wait_until_recorded(run, len(STEADY))
        time.sleep(0.7)  # into the silence of two seconds
        os.kill(run.children()[CORE], signal.SIGKILL)
        summary = run.finish()
    hold_the_history(folder, lines, refused)
    hold_the_ladder(folder, lines)
    hold_the_triggers(summary, lines, alerts)
    assert summary["triggers"] == []


def wait_until_recorded(run: Replay, ticks: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with suppress(sqlite3.OperationalError):  # no history yet
            if rows(run.folder / "history.db", "SELECT count(*) FROM ticks") == [(ticks,)]:
                return
        assert time.monotonic() < deadline and run.running(), run.said()
        time.sleep(0.02)


def test_a_core_that_dies_while_the_alerts_are_set_leaves_each_of_them_set_once(tmp_path: Path) -> None:
    """`tocsin replay` says again what was not answered, and nothing plays before all of them stand."""
    recording = synthetic(tmp_path / "walk.csv", 1_000, seed=3, seconds=1_000)
    lines, refused = lines_of(recording)
    folder = tmp_path / "hub"
    with replaying(recording, folder, ALERTS, ()) as run:
        deadline = time.monotonic() + 20
        while not (folder / "run" / "core.ready").exists():
            assert time.monotonic() < deadline, run.said()
            time.sleep(0.005)
        time.sleep(0.05)
        os.kill(run.children()[CORE], signal.SIGKILL)
        summary = run.finish()
    assert rows(folder / "ledger.db", "SELECT text FROM alerts ORDER BY id") == [(canonical(a.text),) for a in ALERTS]
    hold_the_history(folder, lines, refused)
    hold_the_triggers(summary, lines, ALERTS)


async def test_what_is_asked_when_the_broker_dies_is_told_at_once_that_it_may_be_asked_again(
    nats_server: "NatsServer",
) -> None:
    """An answer that died with the broker holds no destination back for the whole time it was given to come."""
    asked = asyncio.Event()

    async def mute(_: bytes) -> None:
        asked.set()

    async with connect(nats_server.url, nats_server.token, "test") as bus, bus.serve("mute", mute):
        asking = asyncio.create_task(bus.request("mute", b"", Receipt, 60))
        await asked.wait()
        nats_server.kill()
        with pytest.raises(TryLater, match="the bus is away"):
            async with asyncio.timeout(5):
                await asking
        nats_server.start()
        async with bus.serve("alive", answers):
            async with asyncio.timeout(5):
                assert (await bus.request("alive", b"", Receipt, 60)).outcome == "sent"


async def answers(_: bytes) -> bytes:
    return b'{"outcome": "sent"}'


DESK = """
[feeds.desk]
module = "nats"
[bots.console]
"""


async def test_a_frame_that_was_only_read_when_its_core_was_killed_is_not_taken_for_its_killer(tmp_path: Path) -> None:
    """A core that is killed from outside soon after each start reads the same frame each time, and keeps it."""
    (tmp_path / "config.toml").write_text(DESK)
    folder = tmp_path / "hub"
    command = [str(TOCSIN), "run", "--config", str(tmp_path / "config.toml"), "--data", str(folder)]
    with (tmp_path / "hub.log").open("wb") as log:
        for life in range(5):
            process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=log, stderr=log)
            try:
                await until_true(partial(serves, folder), 20)
                if life == 0:
                    await publish(folder, {"instrument": "BTC-USD", "price": 61_000.0, "number": 1})
                await asyncio.sleep(0.3)
                os.kill(children_of(folder)[CORE], signal.SIGKILL)
            finally:
                process.kill()  # and with it the wait before the next life
                await process.wait()
            wait_until_gone(children_of(folder))
            (folder / "run" / "core.ready").unlink()
    assert "quarantine" not in (tmp_path / "hub.log").read_text()
    assert rows(folder / "history.db", "SELECT number, price FROM ticks") == [(1, 61_000.0)]


async def serves(folder: Path) -> bool:
    return (folder / "run" / "core.ready").exists()


async def publish(folder: Path, tick: dict[str, Any]) -> None:
    """Until the hub says that it has taken it."""
    hub = json.loads((folder / "run" / "hub.json").read_text())
    client = await nats.connect(hub["bus_url"], token=hub["bus_token"])

    async def taken() -> bool:
        try:
            answer = await client.request("feed.desk", json.dumps(tick).encode(), timeout=1)
        except nats.errors.NoRespondersError:
            return False
        assert json.loads(answer.data)["accepted"] == 1
        return True

    await until_true(taken, 10)
    await client.close()
