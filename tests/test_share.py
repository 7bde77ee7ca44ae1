"""Engines that share the owners, as processes on a NATS server and a PostgreSQL: whoever joins, dies or is paused in
the middle of a market, every alert rings what the reference rings, once.

The market is the evening of tests/markets.py; its alerts lie with a dozen owners, so that each engine has some.
TOCSIN_KILLS (`make kill`) plays it longer, with several deaths and pauses.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub import bus as names
from hub.bus import Bus, connect
from hub.config import BusSection, Config, LedgerSection
from hub.ledger import Ledger, alerts, open_ledger, people
from hub.model import AlertAnswer, AlertChange, Who
from hub.plugin import TryLater
from hub.rules.spec import AlertSpec, canonical
from tests import markets
from tests.conftest import NatsServer
from tests.recording import children_of
from tests.reference_stream import (
    TRIGGERS,
    Expected,
    Trigger,
    frames_at,
    happenings_of,
    hold_the_rings,
    hold_the_ticks,
    keep_all,
)
from tests.test_kill import SEED
from tests.test_kill_alerts import told_how_to_repeat
from tests.test_split import Deployment
from tests.waiting import until_true

LONG = bool(os.environ.get("TOCSIN_KILLS"))
ROUNDS = 5 if LONG else 1
TICKS = 6_000 if LONG else 2_000
PLAYED_S = 110.0 if LONG else 18.0
OWNERS = 12
TAKEN_OVER_S = 45.0
"""A first lease runs for thirty seconds, later ones for ten."""
SETTINGS = """
[hub]
log = "json"
[bus]
max_mb = 256
[alerts]
storm_rings = 0
[feeds.replay]
module = "replay"
file = "{file}"
format = "tocsin"
speed = {speed}
mute_after_s = 86400
symbols = {symbols}
"""
MARKET = "market"


class Sharing:
    """A market's process and engines, each a supervisor with its core."""

    def __init__(self, folder: Path, urls: dict[str, str], recording: Path) -> None:
        self.deployment = Deployment(folder, urls)
        symbols = "{ " + ", ".join(f'{name} = "{name}"' for name in markets.INSTRUMENTS) + " }"
        speed = markets.LENGTH_S / PLAYED_S
        (folder / "config.toml").write_text(SETTINGS.format(file=recording, speed=speed, symbols=symbols))
        self.engines: list[str] = []
        self.hold = folder / MARKET / "hold"
        self.hold.parent.mkdir()
        self.hold.touch()

    def start(self, name: str) -> None:
        self.deployment.start(name, "ingest,record" if name == MARKET else "alert")
        if name != MARKET:
            self.engines.append(name)

    def kill(self, name: str) -> None:
        self.engines.remove(name)
        self.deployment.kill(name)

    def core(self, name: str) -> int:
        return children_of(self.deployment.folder / name)["core"]

    def pause(self, name: str) -> int:
        """Its core's process, which hears and does nothing until it goes on."""
        pid = self.core(name)
        os.kill(pid, signal.SIGSTOP)
        return pid

    def said(self) -> str:
        return "\n".join(f"{log.name}\n{log.read_text()[-3000:]}" for log in self.deployment.folder.glob("*.log"))


async def told(bus: Bus, service: str) -> list[dict[str, Any]]:
    answers = [json.loads(raw) for raw in await bus.scatter(names.STATUS, b"", 0.3)]
    return [one for one in answers if one["service"] == service]


async def parts(bus: Bus) -> list[int]:
    """How many groups of owners each engine has that answers."""
    return sorted(int(one["groups"].split()[0]) for one in await told(bus, alerts.ENGINE))


async def are_shared(bus: Bus, engines: int) -> bool:
    found = await parts(bus)
    return len(found) == engines and sum(found) == alerts.GROUPS and max(found) - min(found) <= 2


async def have_all(bus: Bus) -> bool:
    return sum(await parts(bus)) == alerts.GROUPS


async def is_over(bus: Bus) -> bool:
    """Whether the recording has ended and every engine has committed all that it published."""
    ingest = await told(bus, "ingest")
    engines = await told(bus, alerts.ENGINE)
    if not ingest or ingest[0]["feeds"][0]["state"] != "finished" or not ingest[0]["idle"]:
        return False
    whole = sum(int(one["groups"].split()[0]) for one in engines) == alerts.GROUPS
    return whole and all(one["committed"] >= ingest[0]["sequence"] for one in engines if one["sequence"])


def owners(c: sa.Connection) -> list[int]:
    """A dozen people, each of whom is told on a console of their own."""
    everybody = [f"person {number}" for number in range(OWNERS)]
    return [people.user_of(c, Who(platform="console", id=name, name=name), 1).owner_id for name in everybody]


async def give(bus: Bus, owner_ids: Sequence[int], specs: Sequence[AlertSpec]) -> dict[int, list[AlertSpec]]:
    """Each alert to two of the owners."""
    given: dict[int, list[AlertSpec]] = {owner: [] for owner in owner_ids}
    for index, spec in enumerate(specs):
        for which in (index, index * 5 + 3):
            owner = owner_ids[which % len(owner_ids)]
            if spec not in given[owner]:
                given[owner].append(spec)
                change = AlertChange(action="create", owner_id=owner, user_id=1, line=canonical(spec))
                await until_true(partial(is_set, bus, change), TAKEN_OVER_S)
    return given


async def is_set(bus: Bus, change: AlertChange) -> bool:
    """False while its group goes from one engine to another; the same words are one alert, however often they come."""
    subject = names.alerts(alerts.group_of(change.owner_id, shared=True))
    try:
        answer = await bus.request(subject, change, AlertAnswer, 15)
    except TryLater:
        return False
    assert answer.armed is not None, answer.error
    return True


async def triggers_of(ledger: Ledger) -> list[Trigger]:
    return [Trigger(*row) for row in await ledger.read(lambda c: c.execute(sa.text(TRIGGERS)).all())]


async def told_of(ledger: Ledger) -> list[tuple[int, int]]:
    """How many notifications each trigger has, and of how many triggers that is so."""
    sums = sa.text(
        "SELECT told, count(*) FROM (SELECT count(n.id) AS told FROM triggers r LEFT JOIN notifications n"
        " ON n.trigger_id = r.id GROUP BY r.id) AS each GROUP BY told"
    )
    return [(row[0], row[1]) for row in await ledger.read(lambda c: c.execute(sums).all())]


@pytest.mark.timeout(120 + 120 * ROUNDS)
async def test_engines_that_join_die_and_pause_lose_no_crossing_and_ring_none_twice(
    tmp_path: Path, nats_server: NatsServer, postgres_url: str
) -> None:
    """Three share; in the middle of the market one is killed and one is paused until it was taken over; it wakes up,
    changes nothing, and begins anew. Then another one joins."""
    chance = random.Random(SEED)
    written = list(markets.evening(TICKS, SEED))
    recording = markets.write(tmp_path / "evening.jsonl", written)
    urls = {
        "TOCSIN_BUS__URL": nats_server.url,
        "TOCSIN_BUS_TOKEN": nats_server.token,
        "TOCSIN_HISTORY__URL": postgres_url,
        "TOCSIN_LEDGER__URL": postgres_url,
    }
    sharing = Sharing(tmp_path, urls, recording)
    specs = markets.evening_alerts()
    settings = Config(folder=tmp_path, bus=BusSection(max_mb=256), ledger=LedgerSection(url=postgres_url))
    try:
        async with open_ledger(settings) as ledger, connect(nats_server.url, nats_server.token, "test") as bus:
            owner_ids = await ledger.write(owners)
            sharing.start(MARKET)
            await sharing.deployment.serving(MARKET)
            await keep_all(nats_server.url, nats_server.token)
            for name in ("a", "b"):
                sharing.start(name)
            await until_true(lambda: are_shared(bus, 2), TAKEN_OVER_S)
            given = await give(bus, owner_ids, specs)
            sharing.start("c")
            await until_true(lambda: are_shared(bus, 3), TAKEN_OVER_S)
            sharing.hold.unlink()
            for round_ in range(ROUNDS):
                await disturb(bus, sharing, chance, f"d{round_}")
            await until_true(lambda: is_over(bus), PLAYED_S + TAKEN_OVER_S)
            happenings = happenings_of(await frames_at(nats_server.url, nats_server.token))
            triggers = await triggers_of(ledger)
            assert await told_of(ledger) == [(1, len(triggers))]
    except BaseException:
        print(sharing.said())
        raise
    finally:
        sharing.deployment.stop()
    with told_how_to_repeat(SEED):
        hold_the_ticks(happenings, written)
        expected, rang = Expected(specs, markets.INSTRUMENTS).of(happenings), 0
        for owner, some in given.items():
            rang += hold_the_rings(specs, expected, [one for one in triggers if one.owner == owner], only=some)
        assert rang == len(triggers) >= 1_000
    print(f"seed {SEED}: {rang} triggers of {OWNERS} owners as expected")


async def disturb(bus: Bus, sharing: Sharing, chance: random.Random, joins: str) -> None:
    """One is killed, one is paused for longer than its leases run, a third goes on; another one joins."""
    await asyncio.sleep(chance.uniform(3.1, 5.0))  # leases that were renewed run out sooner
    dies, sleeps, lives = chance.sample(sharing.engines, 3)
    begun = time.monotonic()
    sleeper = sharing.pause(sleeps)
    try:
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        sharing.kill(dies)
        await until_true(lambda: have_all(bus), TAKEN_OVER_S)
        print(f"{lives} took over from {dies} and {sleeps} in {time.monotonic() - begun:.1f} s")
    finally:
        os.kill(sleeper, signal.SIGCONT)
    sharing.start(joins)
    await until_true(lambda: are_shared(bus, 3), TAKEN_OVER_S)
    print(f"{sleeps} and {joins} joined after {time.monotonic() - begun:.1f} s")
