"""`tocsin replay`: recordings through the whole real hub, in a data folder of its own, as a back-test and a proof.

Broker, history, engine and delivery are the real ones, as children of a supervisor in this process. The feeds are
held back until the alerts stand, then let go; the end is reached when every tick is recorded, every frame is through
the engine and no notification waits. A run that was killed goes on where it stopped when it is started again on the
same folder: alerts that are there already are not made twice. The summary is read from the stores, not counted along.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from hub import bus as names
from hub import logs, talk
from hub.bus import Bus
from hub.config import Config
from hub.instruments import build_catalogue
from hub.ledger import open_ledger, people
from hub.ledger import splits as stored
from hub.ledger import tables as t
from hub.model import Line, Reply, Who
from hub.plugin import BadRequest, GiveUp, TryLater
from hub.replay.asked import GIVE_UP_AFTER_HOURS, ROLES, Asked, config_of, recordings, split_of
from hub.replay.summary import show, summary
from hub.rules.language import canonical, parse
from hub.supervise import Supervisor

WHO = Who(platform=talk.CONSOLE, id=talk.OPERATOR, name=talk.OPERATOR)
MADE = f"created by {WHO.name}: "
"""So the history of an alert begins, whose line a split may have changed since."""
POLL_S = 0.05
LOOKS = 2
"""So many looks in a row must find that all is done: the parts answer one after the other, and what one still had to
hand over may not have been counted by the next yet."""
ANSWER_S = 4.0
SET_WITHIN_S = 30.0


async def main(asked: Asked, supervisor: Callable[..., Supervisor] = Supervisor) -> int:
    """The exit code: 0 when everything was recorded and delivered, 1 when something was not."""
    if asked.data is not None:
        return await _replay(asked, asked.data.absolute(), supervisor)
    with tempfile.TemporaryDirectory(prefix="tocsin-replay-") as folder:
        return await _replay(asked, Path(folder), supervisor)


async def _replay(asked: Asked, folder: Path, supervisor: Callable[..., Supervisor]) -> int:
    config = config_of(asked, recordings(asked), folder)
    missing = await _prepare(asked, config)
    hold = folder / "hold"
    hold.parent.mkdir(parents=True, exist_ok=True)
    hold.touch()
    log = folder / "replay.log"
    with log.open("a") as stream:
        logs.setup("json", "info", process="supervise", stream=stream)
        feeds, elapsed_s = await _play(supervisor(config, roles=ROLES, log_to=log), hold, missing, asked)
    did = await summary(config, feeds, elapsed_s)
    show(did, as_json=asked.as_json, folder=None if asked.data is None else folder)
    whole = did["ticks_read"] == did["ticks_recorded"] + sum(did["refused"].values())
    return 0 if whole and not did["notifications_given_up"] else 1


async def _play(
    hub: Supervisor, hold: Path, missing: Sequence[str], asked: Asked
) -> tuple[list[dict[str, Any]], float]:
    """Runs the hub through the recordings; what the feeds say of themselves at their end, and how long it took."""
    await hub.start()
    try:
        async with names.connect(hub.bus_url, hub.bus_token or None, "tocsin replay") as bus:
            for line in missing:
                await _set(bus, hub, f"alert {line}")
            begun = time.monotonic()
            hold.unlink(missing_ok=True)
            feeds = await _until_done(bus, hub, asked)
            return feeds, time.monotonic() - begun
    finally:
        hold.unlink(missing_ok=True)
        await hub.stop()


async def _prepare(asked: Asked, config: Config) -> list[str]:
    """Makes the person and the places to notify; the alert lines that are not in the ledger yet."""
    catalogue = build_catalogue(config.instruments, {symbol for feed in config.feeds for symbol in feed.symbols})
    wanted = [canonical(parse(line, catalogue.find)) for line in asked.alerts]
    splits = [split_of(text, catalogue) for text in asked.splits]
    now = time.time_ns() // 1000
    async with open_ledger(config) as ledger:

        def settle(connection: sa.Connection) -> set[str]:
            user = people.user_of(connection, WHO, now)
            for instrument, day, shares in splits:
                stored.add(connection, instrument, day, *shares, WHO.name, now)
            if asked.notify:
                console = t.destinations.c.platform == talk.CONSOLE
                said = t.destinations.update().where(console, t.destinations.c.owner_id == user.owner_id)
                connection.execute(said.values(disabled="the recording was played with --notify"))
            for url in asked.notify:
                platform = "webhook" if urlsplit(url).scheme in ("http", "https") else "push"
                label = people.label_of(platform, url)
                people.add_destination(connection, user.owner_id, platform, url, label, now)
            query = sa.select(t.alerts.c.text).where(
                t.alerts.c.owner_id == user.owner_id, t.alerts.c.deleted_at.is_(None)
            )
            made = sa.select(t.alert_events.c.text).where(t.alert_events.c.text.startswith(MADE))
            return {*connection.scalars(query), *(text.removeprefix(MADE) for text in connection.scalars(made))}

        there = await ledger.write(settle)
    return [line for line in dict.fromkeys(wanted) if line not in there]


async def _set(bus: Bus, hub: Supervisor, text: str) -> None:
    """An alert is set once, however often it is said, so a core that dies over it is asked again."""
    deadline = time.monotonic() + SET_WITHIN_S
    while True:
        try:
            await _say(bus, text)
            return
        except TryLater:
            if hub.problem or time.monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_S)


async def _say(bus: Bus, text: str) -> Reply:
    reply = await bus.request(names.LINE, Line(text=text, who=WHO), Reply, ANSWER_S)
    if not reply.ok:
        raise BadRequest("\n".join((reply.title, *reply.lines)).strip())
    return reply


async def _until_done(bus: Bus, hub: Supervisor, asked: Asked) -> list[dict[str, Any]]:
    """Waits for feeds, recorder, engine and delivery; what the feeds say of themselves at their end. A part that
    dies is started again meanwhile and simply does not answer for a moment."""
    looks = 0
    async with _progress(asked) as show:
        while True:
            if hub.problem:
                raise GiveUp(hub.problem)
            told = await _status(bus)
            ingest, recorder = told.get("ingest"), told.get("recorder")
            engine, delivery = told.get("engine"), told.get("delivery")
            if not (ingest and recorder and engine and delivery):
                looks = 0
                continue
            feeds: list[dict[str, Any]] = ingest["feeds"]
            for feed in feeds:
                if feed["state"] == "failed":
                    raise GiveUp(feed["reason"])
            played = all(feed["state"] == "finished" for feed in feeds)
            reasons = (feed["reason"] for feed in feeds)
            trouble = "; ".join(filter(None, delivery["errors"].values() if played and delivery["due"] else reasons))
            show(recorder["ticks"], engine["triggers"], delivery["due"] if played else 0, trouble)
            looks = looks + 1 if done(ingest, recorder, engine, delivery) else 0
            if looks >= LOOKS:
                return feeds


def done(
    ingest: Mapping[str, Any], recorder: Mapping[str, Any], engine: Mapping[str, Any], delivery: Mapping[str, Any]
) -> bool:
    """Whether nothing is on its way any more, by what each part says of itself."""
    through = ingest["sequence"]
    return bool(
        all(feed["state"] == "finished" for feed in ingest["feeds"])
        and ingest["idle"]
        and recorder["sequence"] >= through
        and engine["committed"] >= through
        and delivery["due"] == 0
    )


async def _status(bus: Bus) -> dict[str, dict[str, Any]]:
    answers = [msgspec.json.decode(raw) for raw in await bus.scatter(names.STATUS, b"", POLL_S)]
    return {answer["service"]: answer for answer in answers}


@asynccontextmanager
async def _progress(asked: Asked) -> AsyncIterator[Any]:
    """A live line on a terminal; elsewhere a line only where notifications cannot be sent."""
    if asked.as_json or not sys.stderr.isatty():
        yield _once_aloud()
        return
    from rich.console import Console

    with Console(stderr=True).status("replaying") as line:

        def show(ticks: int, triggers: int, due: int, reason: str) -> None:
            waits = f", {due} notifications wait" if due else ""
            line.update(f"{ticks:,} ticks recorded, {triggers:,} triggers{waits}{f' ({reason})' if reason else ''}")

        yield show


def _once_aloud() -> Callable[[int, int, int, str], None]:
    """Without a terminal only trouble is said, each sort once: why the end does not come."""
    said: set[str] = set()

    def show(_ticks: int, _triggers: int, due: int, trouble: str) -> None:
        if due and trouble and trouble not in said:
            said.add(trouble)
            minutes = GIVE_UP_AFTER_HOURS * 60
            print(f"{due} notifications wait: {trouble}; tried again for {minutes:g} minutes", file=sys.stderr)

    return show
