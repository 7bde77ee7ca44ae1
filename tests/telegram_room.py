"""A Telegram bot at work for tests: the people, the chats, a hub of fixed words, and the bot between them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bots.pace import Pace
from bots.telegram import Settings
from bots.telegram.bot import Telegram as TelegramBot
from hub.model import Argument, Button, Form, Instrument, Line, Menu, MenuEntry, Reply, Role
from hub.plugin import Hub as HubContract
from tests.fakes.telegram import TOKEN, Telegram
from tests.fakes.telegram_people import Fields

ANNA, BEN, OPS = 7, 8, -100123
GOLD = Instrument(id="XAU-USD", name="Gold", aliases=("gold", "xau"))
SILVER = Instrument(id="XAG-USD", name="Silver", aliases=("silver",))
ALERT = (
    Argument(name="instrument", about="what to watch", kind="instrument", required=True, example="gold"),
    Argument(name="condition", about="which way", kind="choice", choices=("above", "below"), required=True),
    Argument(name="level", about="at what price", kind="number", required=True, example="2400"),
    Argument(name="note", about="a word for yourself", lead="note", example="sell half"),
)
FORM = Form(title="New alert", command="alert", arguments=ALERT)


def entry(
    name: str, *arguments: Argument, role: Role = Role.MEMBER, german: str = "", private: bool = False
) -> MenuEntry:
    return MenuEntry(
        name=name,
        usage=name,
        summary=f"What {name} does.",
        summaries={"de": german} if german else {},
        examples=(name,),
        arguments=arguments,
        role=role,
        private=private,
    )


MENU = Menu(
    commands=(entry("price", german="Was es kostet."), entry("alert", *ALERT), entry("alerts"), entry("help"),
              entry("watch"),
              entry("portfolio", private=True), entry("role", role=Role.ADMIN), entry("backup", role=Role.OPERATOR)),
    instruments=(GOLD, SILVER),
)  # fmt: skip
PRICE = Reply(
    title="Prices",
    table=(("instrument", "price", "day"), ("Gold (XAU-USD)", "2,411.20 USD", "+1.00 %")),
    facts={"quotes": [{"instrument": "XAU-USD", "price": 2411.2}]},
)

Answer = Reply | Callable[[Line], Reply] | Exception


class Hub:
    """A hub of fixed words: what it was asked, and what it answers, by whole line or by first word."""

    def __init__(self) -> None:
        self.asked: list[Line] = []
        self.menu_now = MENU
        self.hold = asyncio.Event()
        self.hold.set()
        self.answers: dict[str, Answer] = {
            "price": PRICE,
            "alert": lambda line: Reply(
                title="Alert 12 is set", lines=(line.text,), buttons=(Button(label="Why", line="why 12"),)
            ),
            "help": Reply(title="Help", lines=("Ask for a price.",)),
        }

    async def ask(self, line: Line) -> Reply:
        self.asked.append(line)
        await self.hold.wait()
        answer = self.answers.get(line.text) or self.answers.get(line.text.split()[0])
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return Reply(ok=False, lines=(f'there is no command "{line.text}"',))
        return answer if isinstance(answer, Reply) else answer(line)

    async def menu(self) -> Menu:
        return self.menu_now

    async def publish(self, subject: str, payload: bytes) -> None:
        return

    @property
    def said(self) -> list[str]:
        return [line.text for line in self.asked]


@asynccontextmanager
async def chats() -> AsyncIterator[Telegram]:
    """Anna, Ben, and a group with topics that Anna administers."""
    async with Telegram().serving() as server:
        server.person(ANNA, "Anna", "de")
        server.person(BEN, "Ben <b>")
        server.group(OPS, "Desk", admins=(ANNA,), topics=(5,))
        yield server


@asynccontextmanager
async def running(
    api: Telegram, hub: HubContract, pace: Pace | None = None, **settings: Any
) -> AsyncIterator[TelegramBot]:
    """The bot at work: it is asking Telegram for updates."""
    chosen = Settings(**({"token": TOKEN, "server": api.url} | settings))
    bot = TelegramBot(chosen, pace or Pace((), lambda chat: ()))
    polled = len(api.calls)
    task = asyncio.create_task(bot.run(hub))
    try:
        async with asyncio.timeout(20):
            while not any(name == "getUpdates" for name, _ in api.calls[polled:]):
                if task.done():
                    await task
                await asyncio.sleep(0.005)
        yield bot
    finally:
        task.cancel()
        await asyncio.wait({task})
        await bot.close()


def labels(message: Fields) -> list[list[str]]:
    return [[key["text"] for key in row] for row in message.get("reply_markup", {}).get("inline_keyboard", [])]
