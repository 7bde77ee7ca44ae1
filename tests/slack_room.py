"""An office with the Slack bot at work in it, for its tests: a workspace, two people, a channel, a hub."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from bots.slack import Settings, Slack
from hub import outgoing
from hub.model import (
    Argument,
    Button,
    Destination,
    File,
    Form,
    Instrument,
    Line,
    Menu,
    MenuEntry,
    Message,
    Notification,
    Reply,
    Role,
)
from hub.plugin import GiveUp, TryLater
from tests.fakes import slack as fakes
from tests.fakes.slack import words

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
NOW = 1_800_000_000_000_000
INSTRUMENT = Argument(name="instrument", about="what to watch", kind="instrument", required=True, example="gold")
CONDITION = Argument(name="condition", about="how", kind="choice", choices=("above", "below"), required=True)
LEVEL = Argument(name="level", about="the price", kind="number", required=True, example="2400")
NOTE = Argument(name="note", about="what you want to be told", lead="note")
ALERT = (INSTRUMENT, CONDITION, LEVEL, NOTE)
SPAN = Argument(name="span", about="how long", kind="span", example="24h")


def entry(name: str, *arguments: Argument) -> MenuEntry:
    return MenuEntry(
        name=name, usage=name, summary=f"What {name} does.", examples=(name,), arguments=arguments, role=Role.MEMBER
    )


MENU = Menu(
    commands=(entry("alert", *ALERT), entry("alerts"), entry("chart", INSTRUMENT, SPAN), entry("help")),
    instruments=(
        Instrument(id="XAU-USD", name="Gold", aliases=("gold", "xau")),
        Instrument(id="XAG-USD", name="Silver", aliases=("silver",)),
        Instrument(id="BTC-USDT", name="Bitcoin", aliases=("btc",)),
    ),
)


class TestHub:
    """A hub whose alerts are a list; it answers what the commands answer, in their shape."""

    __test__ = False

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.menu_is = MENU
        self.alerts: list[dict[str, Any]] = []
        self.away = False
        self.detects = False
        self.slow = asyncio.Event()
        self.slow.set()

    async def menu(self) -> Menu:
        return self.menu_is

    async def publish(self, subject: str, payload: bytes) -> None:
        raise AssertionError("this bot publishes nothing")

    @property
    def said(self) -> list[str]:
        return [line.text for line in self.lines]

    async def ask(self, line: Line) -> Reply:
        self.lines.append(line)
        if self.away:
            raise TryLater("nobody answers on line")
        await self.slow.wait()
        word, _, rest = line.text.partition(" ")
        answers = {"price": self._price, "alerts": self._alerts, "alert": self._alert, "snooze": self._snooze,
                   "delete": self._delete, "chart": self._chart, "place": self._place,
                   "export": self._export}  # fmt: skip
        if word in answers:
            return answers[word](rest)
        return Reply(ok=False, lines=(f'there is no command "{line.text}"',))

    def _place(self, rest: str) -> Reply:
        if rest:
            self.detects = rest == "detect on"
        return Reply(title="This place", facts={"detect": self.detects})

    def _price(self, rest: str) -> Reply:
        return Reply(title=f"Price of {rest}", table=(("what", "price"), (rest, "2,411.20 USD")))

    def _alerts(self, rest: str) -> Reply:
        if not self.alerts:
            return Reply(title="Your alerts", lines=("You have none.",), facts={"alerts": []})
        return Reply(title="Your alerts", table=(("no.",), ("1",)), facts={"alerts": self.alerts})

    def _alert(self, rest: str) -> Reply:
        if "gold" not in rest.lower() and "XAU" not in rest:
            lines = ("Which instrument?",) if rest else ("An alert needs a condition.",)
            return Reply(ok=False, lines=lines, form=Form(title="New alert", command="alert", arguments=ALERT))
        number = len(self.alerts) + 1
        self.alerts.append(
            {
                "id": number,
                "words": rest,
                "state": "armed",
                "instrument": "XAU-USD",
                "price": 2411.2,
                "away_percent": -0.5,
            }
        )
        buttons = (Button(label="Why", line=f"why {number}"), Button(label="Delete", line=f"delete {number}"))
        return Reply(title=f"Alert {number} is set", lines=(rest,), buttons=buttons)

    def _snooze(self, rest: str) -> Reply:
        number, how = rest.split(" ", 1)
        for alert in self.alerts:
            if str(alert["id"]) == number:
                alert["state"] = "armed" if how == "off" else "snoozed"
        title = f"Alert {number} is awake" if how == "off" else f"Alert {number} is silent for {how}"
        return Reply(title=title, buttons=() if how == "off" else (Button(label="Wake", line=f"snooze {number} off"),))

    def _delete(self, rest: str) -> Reply:
        if rest.startswith("9"):
            return Reply(ok=False, lines=("you have no alert 9",))
        self.alerts = [alert for alert in self.alerts if str(alert["id"]) != rest]
        return Reply(title=f"Alert {rest} is deleted", buttons=(Button(label="Undo", line=f"delete {rest} undo"),))

    def _chart(self, rest: str) -> Reply:
        here = rest.endswith("here")
        buttons = (Button(label="7d", line="chart gold 7d here"),)
        return Reply(title=f"Chart of {rest}", lines=("It rose.",), image=PNG, buttons=buttons, replace=here)

    def _export(self, rest: str) -> Reply:
        file = File(name="me.json", media_type="application/json", content=b"{}")
        return Reply(title="All of you", file=file, private=True)


def jumping() -> Callable[[], float]:
    """A clock on which every look is two seconds later: nobody has to wait for a platform's pace."""
    count = itertools.count(0, 2)
    return lambda: float(next(count))


class Office:
    """A workspace with two people and a channel, and the bot in it."""

    def __init__(self, slack: fakes.Slack, hub: TestHub, bot: Slack, running: "asyncio.Task[None]") -> None:
        self.slack, self.hub, self.bot, self.running = slack, hub, bot, running
        self.anna = slack.person("UANNA", "Anna", is_admin=True, locale="de-DE")
        self.ben = slack.person("UBEN", "Ben")
        self.desk = slack.channel("CDESK", "desk", self.anna, self.ben)

    async def whispered(self, user: str) -> dict[str, Any]:
        found = await self.slack.wait(lambda: self.slack.whispered(user))
        return found[-1]

    async def said(self, channel: str, count: int = 1) -> dict[str, Any]:
        await self.slack.wait(lambda: len(self.slack.said(channel)) >= count)
        return self.slack.said(channel)[count - 1]

    async def view(self) -> dict[str, Any]:
        await self.slack.wait(lambda: self.slack.views)
        return self.slack.views[-1]

    async def home(self, user: str, *holding: str) -> dict[str, Any]:
        """The home, once it says all of that."""

        def find() -> dict[str, Any] | None:
            found = self.slack.homes.get(user)
            return found if found and all(each in words(found) for each in holding) else None

        return await self.slack.wait(find)


def settings(slack: fakes.Slack, **more: Any) -> Settings:
    values = {"token": fakes.BOT_TOKEN, "app_token": fakes.APP_TOKEN, "url": f"{slack.url}api/", **more}
    return Settings(**values)


@asynccontextmanager
async def at_work(
    slack: fakes.Slack, hub: TestHub, clock: Callable[[], float] | None = None, **more: Any
) -> AsyncIterator[Office]:
    bot = Slack(settings(slack, **more), clock=clock or jumping(), watch_s=0.05)
    running = asyncio.create_task(bot.run(hub))
    office = Office(slack, hub, bot, running)
    try:
        await slack.wait(lambda: slack.connections or running.done())
        if running.done():
            running.result()
        yield office
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, TryLater, GiveUp):
            await running


def notification(number: int, **facts: Any) -> Notification:
    values: dict[str, Any] = {
        "id": number,
        "alert_id": number,
        "instrument": "XAU-USD",
        "title": f"Gold crossed above {number}",
        "text": f"2,399.90 → 2,400.10, evidence {number}",
        "created_at": NOW,
        "ticked_at": NOW,
    }
    return Notification(**(values | facts))


def message(address: str, *numbers: int, **facts: Any) -> Message:
    destination = Destination(id=1, owner_id=1, platform="slack", address=address, label="desk")
    return outgoing.message(destination, [notification(number, **facts) for number in numbers or (1,)])


async def told(call: Awaitable[Any]) -> TryLater | GiveUp:
    with pytest.raises((TryLater, GiveUp)) as caught:
        await call
    assert isinstance(caught.value, TryLater | GiveUp)
    return caught.value
