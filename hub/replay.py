"""`tocsin replay`: a recording through the whole real hub, in a data folder of its own, as a back-test and a proof.

Broker, history, engine and delivery are the real ones, as children of a supervisor in this process. The feed is
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
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from hub import bus as names
from hub import load, logs, talk
from hub.bus import Bus
from hub.config import AlertsSection, BotSection, Config, DeliverySection, FeedSection, HubSection
from hub.evidence import moment
from hub.history import open_history
from hub.instruments import CATALOGUE, ID, build_catalogue
from hub.ledger import open_ledger, people
from hub.ledger import tables as t
from hub.model import SECOND_US, Kind, Line, Reply, Who
from hub.plugin import BadRequest, GiveUp, TryLater
from hub.rules.language import canonical, parse
from hub.supervise import Supervisor

WHO = Who(platform=talk.CONSOLE, id=talk.OPERATOR, name=talk.OPERATOR)
POLL_S = 0.05
LOOKS = 2
"""So many looks in a row must find that all is done: the parts answer one after the other, and what one still had to
hand over may not have been counted by the next yet."""
ANSWER_S = 4.0
SET_WITHIN_S = 30.0
GIVE_UP_AFTER_HOURS = 0.25
ROLES = ("ingest", "record", "alert", "deliver", "commands", "bots")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    file: Path
    format: str
    instrument: str
    date: str = ""
    speed: str = "max"
    times: Literal["kept", "shifted"] = "kept"
    alerts: Sequence[str] = ()
    notify: Sequence[str] = ()
    data: Path | None = None
    as_json: bool = False


async def main(asked: Asked) -> int:
    """The exit code: 0 when everything was recorded and delivered, 1 when something was not."""
    if not asked.file.is_file():
        raise GiveUp(f"there is no file {asked.file}")
    if asked.instrument:
        asked = msgspec.structs.replace(asked, instrument=_instrument(asked.instrument))
    if asked.data is not None:
        return await _replay(asked, asked.data.absolute())
    with tempfile.TemporaryDirectory(prefix="tocsin-replay-") as folder:
        return await _replay(asked, Path(folder))


def _instrument(word: str) -> str:
    """The id that a person means: a name of the catalogue, or a new id in capitals."""
    try:
        return build_catalogue({}, ()).find(word).id
    except BadRequest as error:
        if ID.fullmatch(word):
            return word
        raise BadRequest(f"--instrument {error.text.splitlines()[0]}") from error


async def _replay(asked: Asked, folder: Path) -> int:
    config = _config(asked, folder)
    missing = await _prepare(asked, config)
    hold = folder / "hold"
    hold.parent.mkdir(parents=True, exist_ok=True)
    hold.touch()
    log = folder / "replay.log"
    with log.open("a") as stream:
        logs.setup("json", "info", process="supervise", stream=stream)
        feed, elapsed_s = await _play(Supervisor(config, roles=ROLES, log_to=log), hold, missing, asked)
    summary = await _summary(config, feed, elapsed_s)
    _print(summary, asked, folder)
    whole = summary["ticks_read"] == summary["ticks_recorded"] + sum(summary["refused"].values())
    return 0 if whole and not summary["notifications_given_up"] else 1


async def _play(hub: Supervisor, hold: Path, missing: Sequence[str], asked: Asked) -> tuple[dict[str, Any], float]:
    """Runs the hub through the recording; what the feed says of itself at its end, and how long it took."""
    await hub.start()
    try:
        async with names.connect(hub.bus_url, hub.bus_token or None, "tocsin replay") as bus:
            for line in missing:
                await _set(bus, hub, f"alert {line}")
            begun = time.monotonic()
            hold.unlink(missing_ok=True)
            feed = await _until_done(bus, hub, asked)
            return feed, time.monotonic() - begun
    finally:
        hold.unlink(missing_ok=True)
        await hub.stop()


def _config(asked: Asked, folder: Path) -> Config:
    settings = {
        "file": str(asked.file.absolute()),
        "format": asked.format,
        "instrument": asked.instrument,
        "date": _date(asked.date),
        "speed": _speed(asked.speed),
        "times": asked.times,
    }
    bot = "push" if asked.notify else "console"
    known = {instrument.id for instrument in CATALOGUE}
    symbols = {asked.instrument: asked.instrument} if asked.instrument else {}
    changes: dict[str, Any] = {"basis": "last" if _trades(asked.format, settings, symbols) else "mid"}
    if asked.instrument and asked.instrument not in known:
        changes["name"] = asked.instrument
    return Config(
        hub=HubSection(data=str(folder), roles=ROLES),
        alerts=AlertsSection(storm_rings=0),  # all that would ring is wanted
        delivery=DeliverySection(allow_private=True, give_up_after_hours=GIVE_UP_AFTER_HOURS),
        instruments={asked.instrument: changes} if asked.instrument else {},
        feeds=(
            FeedSection(
                name="replay",
                module="replay",
                symbols=symbols,
                mute_after_s=86_400.0,
                settings=settings,
            ),
        ),
        bots=(BotSection(name=bot, module=bot),),
        folder=folder,
    )


def _speed(text: str) -> float:
    """0 is as fast as the hub can."""
    try:
        return 0.0 if text == "max" else float(text.removesuffix("x"))
    except ValueError:
        raise BadRequest(f'--speed "{text}" is no speed: write max, 1x or 60x') from None


def _date(text: str) -> str:
    try:
        return text and date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadRequest(f'--date "{text}" is no day: write it like 2014-05-02') from None


def _trades(recording: str, settings: dict[str, Any], symbols: dict[str, str]) -> bool:
    """Whether its prices are what was traded: by the format's name, else by the first tick. An alert on the other kind
    would never ring."""
    if recording not in ("csv", "tocsin", "auto"):
        return "trade" in recording or recording == "binance-raw"
    module: Any = load.feed("replay")
    first: Kind | None = module.kind(load.settings_of(module, settings), symbols)
    return first is Kind.TRADE


async def _prepare(asked: Asked, config: Config) -> list[str]:
    """Makes the person and the places to notify; the alert lines that are not in the ledger yet."""
    load.settings_of(load.feed("replay"), config.feeds[0].settings)
    catalogue = build_catalogue(config.instruments, {asked.instrument} if asked.instrument else set())
    wanted = [canonical(parse(line, catalogue.find)) for line in asked.alerts]
    now = time.time_ns() // 1000
    async with open_ledger(config) as ledger:

        def settle(connection: sa.Connection) -> set[str]:
            user = people.user_of(connection, WHO, now)
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
            return set(connection.scalars(query))

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


async def _until_done(bus: Bus, hub: Supervisor, asked: Asked) -> dict[str, Any]:
    """Waits for feed, recorder, engine and delivery; what the feed says of itself at its end. A part that dies is
    started again meanwhile and simply does not answer for a moment."""
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
            feed: dict[str, Any] = ingest["feeds"][0]
            if feed["state"] == "failed":
                raise GiveUp(feed["reason"])
            played = feed["state"] == "finished"
            trouble = "; ".join(delivery["errors"].values()) if played and delivery["due"] else feed["reason"]
            show(recorder["ticks"], engine["triggers"], delivery["due"] if played else 0, trouble)
            looks = looks + 1 if done(ingest, recorder, engine, delivery) else 0
            if looks >= LOOKS:
                return feed


def done(
    ingest: Mapping[str, Any], recorder: Mapping[str, Any], engine: Mapping[str, Any], delivery: Mapping[str, Any]
) -> bool:
    """Whether nothing is on its way any more, by what each part says of itself."""
    through = ingest["sequence"]
    return bool(
        ingest["feeds"][0]["state"] == "finished"
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


# ------------------------------------------------------------------------------------------------ summary


async def _summary(config: Config, feed: dict[str, Any], elapsed_s: float) -> dict[str, Any]:
    """From the stores, for this recording."""
    async with open_history(config) as history, open_ledger(config) as ledger:
        recorded = await history.tick_count(source=feed["source"])
        refused = (await history.refusals()).get(feed["source"], {})
        triggers = await ledger.read(_triggers)
        sent, messages, given_up = await ledger.read(_sent)
    return {
        "ticks_read": feed["lines"],
        "ticks_recorded": recorded,
        "refused": dict(sorted(refused.items())),
        "triggers": triggers,
        "notifications_sent": sent,
        "messages_sent": messages,
        "notifications_given_up": given_up,
        "elapsed_s": round(elapsed_s, 3),
        "ticks_per_s": round(recorded / elapsed_s) if elapsed_s else 0,
    }


def _triggers(connection: sa.Connection) -> list[dict[str, Any]]:
    query = (
        sa.select(t.triggers, t.alerts.c.text)
        .join(t.alerts, t.alerts.c.id == t.triggers.c.alert_id)
        .order_by(t.triggers.c.sequence, t.triggers.c.id)
    )
    return [_trigger(row) for row in connection.execute(query)]


def _trigger(row: Any) -> dict[str, Any]:
    at = row.venue_time if row.venue_time is not None else row.received_at
    before = None if row.before_price is None else {"price": row.before_price, "time_us": row.before_time}
    return {
        "alert": row.text,
        "alert_id": row.alert_id,
        "generation": row.generation,
        "direction": row.direction,
        "level": row.level,
        "tick_before": before,
        "tick": {"price": row.price, "time_us": at},
        "venue_time": f"{moment(at).replace(' ', 'T')[:-4]}.{at % SECOND_US:06d}Z",
        "source": row.source,
        "late": bool(row.late),
    }


def _sent(connection: sa.Connection) -> tuple[int, int, int]:
    n = t.notifications.c
    sent = connection.execute(sa.select(sa.func.count()).where(n.state == "sent")).scalar_one()
    messages = connection.execute(
        sa.select(sa.func.count(sa.distinct(n.message_id))).where(n.state == "sent")
    ).scalar_one()
    dead = connection.execute(sa.select(sa.func.count()).where(n.state == "dead")).scalar_one()
    return int(sent), int(messages), int(dead)


def _print(summary: dict[str, Any], asked: Asked, folder: Path) -> None:
    if asked.as_json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False)
    if summary["triggers"]:
        table = Table("venue time (UTC)", "alert", "tick before", "tick that crossed", box=None, pad_edge=False)
        for each in summary["triggers"]:
            before = f"{each['tick_before']['price']:,.4f}" if each["tick_before"] else "-"
            table.add_row(
                each["venue_time"][:-4].replace("T", " "), each["alert"], before, f"{each['tick']['price']:,.4f}"
            )
        out.print(table)
    refused = ", ".join(f"{count:,} {reason}" for reason, count in summary["refused"].items()) or "none"
    out.print(f"ticks: {summary['ticks_read']:,} read, {summary['ticks_recorded']:,} recorded, refused: {refused}")
    given_up = f", {summary['notifications_given_up']} given up" if summary["notifications_given_up"] else ""
    out.print(
        f"triggers: {len(summary['triggers']):,}; notifications: {summary['notifications_sent']:,} sent"
        f" in {summary['messages_sent']:,} messages{given_up}"
    )
    out.print(f"{summary['elapsed_s']:.2f} s, {summary['ticks_per_s']:,} ticks/s")
    if asked.data is not None:
        out.print(f"ask it: tocsin ask --data {folder} alerts all")
