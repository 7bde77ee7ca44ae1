"""A Discord on this machine with the bot in it, and a hub that answers by script: what the tests of the bot share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bots import discord as package
from hub.model import Argument, Button, Form, Instrument, Line, Menu, MenuEntry, Message, Notification, Reply, Role
from hub.outgoing import message_id, worded
from tests.fakes.discord import FakeDiscord, served
from tests.fakes.discord_rest import Asked
from tests.waiting import until_true

if TYPE_CHECKING:
    from bots.discord.bot import DiscordBot

ANNA, ADMIN, GOLD = 5, 77, 4000
NOW = 1_800_000_000_000_000
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100

ALERT = (
    Argument(name="instrument", about="what to watch", kind="instrument", required=True, example="gold"),
    Argument(name="condition", about="when", kind="choice", choices=(">", "<", "crosses"), required=True),
    Argument(name="level", about="the price", kind="number", required=True, example="2400"),
    Argument(name="repeat", about="how often", kind="choice", choices=("once", "every time")),
    Argument(name="note", about="what to tell you", lead="note"),
)


def entry(name: str, *arguments: Argument, **more: Any) -> MenuEntry:
    facts: dict[str, Any] = {"usage": name, "summary": f"What {name} does.", "examples": (name,), "role": Role.GUEST}
    return MenuEntry(name=name, arguments=arguments, **(facts | more))


MENU = Menu(
    commands=(
        entry("price", Argument(name="instruments", about="which", kind="instruments", required=True)),
        entry(
            "chart",
            Argument(name="instrument", about="which", kind="instrument", required=True),
            Argument(name="span", about="how long", kind="span", example="24h"),
        ),
        entry("alert", *ALERT),
        entry(
            "move",
            Argument(name="alert", about="its number", kind="alert", required=True),
            Argument(name="level", about="where to", kind="number", required=True),
        ),
        entry("alerts"),
    ),
    instruments=(
        Instrument(id="XAU-USD", name="Gold", aliases=("gold", "xau", "oro")),
        Instrument(id="XAG-USD", name="Silver", aliases=("silver", "xag")),
        Instrument(id="BTC-USDT", name="Bitcoin", aliases=("btc",)),
    ),
)


class ScriptedHub:
    """Answers what it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.replies: dict[str, Reply | Exception | Callable[[Line], Reply]] = {}
        self.told_menu: Menu | Exception = MENU
        self.slow: dict[str, asyncio.Event] = {}

    async def ask(self, line: Line) -> Reply:
        self.lines.append(line)
        if line.text in self.slow:
            await self.slow[line.text].wait()
        reply = self.replies.get(line.text, Reply(lines=(f"you said {line.text}",)))
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Reply) else reply(line)

    async def menu(self) -> Menu:
        if isinstance(self.told_menu, Exception):
            raise self.told_menu
        return self.told_menu

    async def publish(self, subject: str, payload: bytes) -> None:
        raise AssertionError("the bot publishes nothing")

    def asked(self, text: str) -> Line:
        return next(line for line in reversed(self.lines) if line.text == text)


class Room:
    def __init__(self, fake: FakeDiscord, hub: ScriptedHub, settings: package.Settings) -> None:
        self.fake, self.hub, self.settings = fake, hub, settings
        self.bot: DiscordBot
        self.running: asyncio.Task[None]

    async def open(self) -> None:
        """Until the gateway is there and the commands are written."""
        self.bot = package.open_bot(self.settings)
        self.running = asyncio.create_task(self.bot.run(self.hub))

        async def ready() -> bool:
            if self.running.done():
                self.running.result()
            return self.fake.connected.is_set() and bool(self.fake.commands)

        await until_true(ready, 5)

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    async def restart(self) -> None:
        await self.close()
        self.fake.connected.clear()
        await self.open()

    async def slash(self, text: str, user: int = ANNA, channel: int = GOLD, **options: str) -> Asked:
        return await (await self.fake.slash(channel, user, text, **options)).answered()

    async def press(self, message: dict[str, Any], label: str, user: int = ANNA) -> Asked:
        return await (await self.fake.press(message, user, label)).answered()


@asynccontextmanager
async def room(**settings: Any) -> AsyncIterator[Room]:
    async with served() as fake:
        made = Room(fake, ScriptedHub(), package.Settings(token=fake.token, **settings))
        await made.open()
        try:
            yield made
        finally:
            await made.close()


def notification(number: int, **facts: Any) -> Notification:
    values: dict[str, Any] = {
        "id": number,
        "alert_id": number,
        "instrument": "XAU-USD",
        "title": f"Gold rose to 2,40{number}.12 USD (level 2,400.00)",
        "text": "2,399.90 at 12:29:59.816, then 2,400.12 at 12:30:00.123 UTC\nsource demo",
        "created_at": NOW,
        "ticked_at": NOW,
    }
    return Notification(**(values | facts))


def message(address: str, *notifications: Notification) -> Message:
    title, text = worded(notifications)
    identity = message_id(notifications)
    return Message(
        id=identity, platform="discord", address=address, title=title, text=text, notifications=notifications
    )


def form(**values: str) -> Form:
    return Form(title="A new alert", command="alert", arguments=ALERT, values=values)


def snoozed(line: Line) -> Reply:
    wake = Button(label="Wake", line=f"snooze {line.text.split()[1]} off")
    return Reply(title="Alert 1 is silent for 1 h", buttons=(wake,), replace=True)
