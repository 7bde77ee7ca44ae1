"""Telegram, Discord and Slack on loopback, and a hub of real processes between them: what the trial of all platforms
works with.

`Served` is one platform's server that can be cut off and come back on its port, and that tells when it has taken a
message before anybody else knows. `House` is `tocsin run` with a bot for each platform, its tokens in the environment.
"""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from hub import bus as subjects
from hub.bus import Bus, connect
from hub.model import Line, Reply, Who
from tests.fakes import discord_parts
from tests.fakes import slack as slack_fakes
from tests.fakes import telegram as telegram_fakes
from tests.fakes.discord import FakeDiscord
from tests.waiting import until_true

PLATFORMS = ("telegram", "discord", "slack")
SENDS = re.compile(r"/sendMessage$|/channels/\d+/messages$|/chat\.postMessage$")
LEVEL = re.compile(r"\(level ([\d,]+)\.00\)")
STARTED_S = 60.0
OPERATOR = Who(platform="console", id="operator", name="operator")
CONFIG = """
[hub]
log = "json"
[alerts]
lines_per_minute = 1000
[feeds.desk]
module = "nats"
symbols = { BTC-USD = "BTC-USD" }
[instruments.BTC-USD]
outlier = 0.5
[bots.console]
show = false
[bots.telegram]
server = "http://127.0.0.1:%(telegram)d"
charts_with_alerts = false
[bots.discord]
api = "http://127.0.0.1:%(discord)d/api/v10"
gateway = "ws://127.0.0.1:%(discord)d/gw/"
charts_with_alerts = false
[bots.slack]
url = "http://127.0.0.1:%(slack)d/api/"
charts_with_alerts = false
"""


class Served:
    """An application on a port of its own. `shut`: nothing listens there, and every open connection is gone. `taken`:
    awaited once a message was taken, before whoever sent it is answered."""

    def __init__(self, app: web.Application) -> None:
        app.middlewares.append(self._between())
        self.port = 0
        self.taken: Callable[[], Awaitable[None]] | None = None
        self.ill = False  # every request is answered 503
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    def _between(self) -> Any:
        @web.middleware
        async def between(request: web.Request, handler: Any) -> web.StreamResponse:
            if self.ill:
                return web.Response(status=503, text="<html>upstream connect error</html>", content_type="text/html")
            response: web.StreamResponse = await handler(request)
            if self.taken is not None and request.method == "POST" and SENDS.search(request.path):
                taken, self.taken = self.taken, None
                await taken()
            return response

        return between

    async def __aenter__(self) -> "Served":
        await self._runner.setup()
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def open(self) -> None:
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def shut(self) -> None:
        for site in list(self._runner.sites):
            await site.stop()
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()


class World:
    """The three platforms with Anna on each."""

    def __init__(self) -> None:
        self.telegram = telegram_fakes.Telegram()
        self.discord = FakeDiscord()
        self.slack = slack_fakes.Slack()
        app = web.Application(client_max_size=60_000_000)
        app.router.add_post("/bot{token}/{method}", self.telegram._serve)
        apps = {"telegram": app, "discord": self.discord.application(), "slack": self.slack.app()}
        self.served = {name: Served(app) for name, app in apps.items()}
        self.telegram.person(7, "Anna")
        self.telegram.chats[7].started = True
        self.slack.person("UANNA", "Anna")
        self.private = self.discord.private(5)

    @property
    def tokens(self) -> dict[str, str]:
        return {
            "TOCSIN_BOTS__TELEGRAM__TOKEN": telegram_fakes.TOKEN,
            "TOCSIN_BOTS__DISCORD__TOKEN": self.discord.token,
            "TOCSIN_BOTS__SLACK__TOKEN": slack_fakes.BOT_TOKEN,
            "TOCSIN_BOTS__SLACK__APP_TOKEN": slack_fakes.APP_TOKEN,
        }

    def listening(self, name: str) -> bool:
        """Whether that platform's bot hears people now."""
        if name == "telegram":
            return any(method == "getUpdates" for method, _ in self.telegram.calls)
        if name == "discord":
            return bool(self.discord._sockets) and bool(self.discord.commands)
        return bool(self.slack.connections)

    async def say(self, name: str, line: str) -> None:
        """As Anna does it there: a plain line, and twice a slash command."""
        if name == "telegram":
            self.telegram.say(7, 7, line)
        elif name == "discord":
            await self.discord.slash(self.private, 5, "tocsin", line=line)
        else:
            await self.slack.command("UANNA", self.slack.dm("UANNA"), line)

    async def press(self, name: str, message: dict[str, Any], label: str) -> None:
        if name == "telegram":
            self.telegram.press(message, label, 7)
        elif name == "discord":
            await self.discord.press(message, 5, label)
        else:
            await self.slack.press("UANNA", message, label)

    def unbroken(self) -> None:
        """No platform refused anything."""
        assert (self.telegram.broken, dict(self.discord.limited), self.slack.limited) == ([], {}, [])

    def shown(self, name: str) -> list[dict[str, Any]]:
        """What Anna sees in her talk with the bot, oldest first."""
        if name == "telegram":
            return list(self.telegram.chats[7].messages.values())
        if name == "discord":
            return self.discord.messages[self.private]
        return sorted([*self.slack.said("DUANNA"), *self.slack.whispered("UANNA")], key=lambda one: str(one["ts"]))

    def texts(self, name: str) -> list[str]:
        return [words(name, message) for message in self.shown(name)]

    def rung(self, name: str) -> list[int]:
        """The level of every alert that Anna heard there, in the order in which she did."""
        return [level for message in self.shown(name) for level in levels(name, message)]

    async def heard(self, name: str, *parts: str, after: int = 0, within_s: float = 30.0) -> dict[str, Any]:
        """The first message there that says all of that, among those behind the first `after`."""

        async def find() -> dict[str, Any] | None:
            return next((m for m in self.shown(name)[after:] if all(part in words(name, m) for part in parts)), None)

        try:
            return await until_true(find, within_s)
        except AssertionError:
            raise AssertionError(f"{name} did not show {parts}; it showed {self.texts(name)[after:]}") from None


def words(name: str, message: dict[str, Any]) -> str:
    if name == "telegram":
        return str(message.get("text") or message.get("caption") or "")
    return discord_parts.text_of(message) if name == "discord" else slack_fakes.words(message)


def levels(name: str, message: dict[str, Any]) -> list[int]:
    """Of every alert that rang in it, in their order; Discord's bold line repeats what stands below."""
    body = words(name, {**message, "content": ""} if name == "discord" else message)
    return [int(found.replace(",", "")) for found in LEVEL.findall(body)]


def buttons(name: str, message: dict[str, Any]) -> list[str]:
    if name == "telegram":
        return [key["text"] for row in message.get("reply_markup", {}).get("inline_keyboard", ()) for key in row]
    if name == "discord":
        return [one["label"] for row in message["components"] for one in row["components"]]
    return slack_fakes.labels(message)


class House:
    """A hub of processes on the three platforms."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder, self.world = folder, world
        self.data = folder / "data"
        self.log = folder / "hub.log"
        self.bus: Bus
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0

    def start(self, tokens: dict[str, str]) -> None:
        ports = {name: served.port for name, served in self.world.served.items()}
        (self.folder / "config.toml").write_text(CONFIG % ports)
        command = [sys.executable, "-m", "hub", "run", "--config", str(self.folder / "config.toml")]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--data", str(self.data)],
                env={**os.environ, **tokens}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    async def stop(self) -> None:
        """In a thread: the platforms have to answer their bots' farewells."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 30)

    async def serving(self, bots: tuple[str, ...] = PLATFORMS) -> None:
        async def ready() -> bool:
            assert self._process is not None and self._process.poll() is None, self.said()
            served = (self.data / "run" / "core.ready").exists()
            return served and all(self.world.listening(name) for name in bots)

        await until_true(ready, STARTED_S)

    def said(self) -> str:
        return self.log.read_text()

    def events(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log that say that."""
        lines = (json.loads(line) for line in self.said().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == event]

    def children(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads((self.data / "run" / "children.json").read_bytes())
        return found

    def kill(self, child: str) -> int:
        """kill -9; the process id that it had."""
        pid = int(self.children()[child]["pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    async def back(self, child: str, before: int, within_s: float = 30.0) -> float:
        """Seconds until it is another process that serves its platform."""
        begun = time.monotonic()

        async def again() -> bool:
            pid = self.children()[child]["pid"]
            told = [json.loads(one) for one in await self.bus.scatter(subjects.STATUS, b"", 0.1)]
            return pid not in (None, before) and any(one.get("service") == child for one in told)

        await until_true(again, within_s)
        return time.monotonic() - begun

    async def ask(self, text: str, who: Who = OPERATOR) -> Reply:
        return await self.bus.request(subjects.LINE, Line(text=text, who=who), Reply, 15)

    async def price(self, price: float) -> datetime:
        """One trade that the hub has taken, and its time."""
        self._number += 1
        now = datetime.now(UTC)
        tick = {"instrument": "BTC-USD", "price": price, "number": self._number, "time": now.isoformat()}
        answer = await self.bus.call(subjects.feed("desk"), json.dumps(tick).encode(), 10)
        assert json.loads(answer.data)["accepted"] == 1, answer.data
        return now

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.data / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            return ledger.execute(query).fetchall()


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.served["telegram"], made.served["discord"], made.served["slack"]:
        made.telegram.url = f"http://127.0.0.1:{made.served['telegram'].port}"
        made.discord.port = made.served["discord"].port
        made.slack.url = f"http://127.0.0.1:{made.served['slack'].port}/"
        try:
            yield made
        finally:
            await asyncio.gather(made.discord.cut(), made.slack.cut())


@asynccontextmanager
async def house(folder: Path, made: World, *, without: str = "", **tokens: str) -> AsyncIterator[House]:
    """Once it serves on all platforms but that one; `tokens` are others than the right ones."""
    here = House(folder, made)
    here.start({**made.tokens, **tokens})
    try:
        await here.serving(tuple(name for name in PLATFORMS if name != without))
        found = json.loads((here.data / "run" / "hub.json").read_bytes())
        async with connect(found["bus_url"], found["bus_token"], "trial") as here.bus:
            yield here
    except BaseException:
        print(here.said()[-6000:])
        raise
    finally:
        await here.stop()
