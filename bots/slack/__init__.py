"""Slack: `/tocsin`, an App Home, forms with live search, mentions and direct messages, alerts with buttons.

The bot speaks Socket Mode, so it needs no address on the internet, but two tokens: the bot's (xoxb-…) and the app's
(xapp-…). An address is a channel or person ("C123", "U123", "D123") or a thread in a channel ("C123:1700000000.1234").

From the platform inwards: wire (calls, pace) and trouble (refusals), listen (what people do), talk (a line and its
answer), people (who they are), forms, home and render over blocks (Block Kit), text, pack and limits. docs/slack.md
says how the app is made.
"""

import asyncio
import re
import time
from collections.abc import Callable

import msgspec
import structlog

from bots.pace import Rank
from bots.slack import render
from bots.slack.listen import Listener, connected, until_lost
from bots.slack.menus import Menus
from bots.slack.people import PLATFORM, People
from bots.slack.talk import Talk
from bots.slack.wire import Wire
from hub.logs import hide
from hub.model import Destination, Line, Message, Notification, Who
from hub.plugin import GiveUp, Gone, Hub, TryLater

PLATFORMS = (PLATFORM,)

WATCH_S = 5.0
CHARTS = 100  # that are on their way at once; an alert beyond goes without
ADDRESS = re.compile(r"([CGDUW][A-Z0-9]{2,30})(?::([0-9]{1,12}\.[0-9]{1,8}))?")

log = structlog.get_logger("slack")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token: str = ""  # of the bot, xoxb-…: TOCSIN_BOTS__SLACK__TOKEN
    app_token: str = ""  # of the app, xapp-…: TOCSIN_BOTS__SLACK__APP_TOKEN
    charts_with_alerts: bool = True  # a chart of the last day follows below an alert
    url: str = "https://slack.com/api/"  # of the Web API; "https://slack-gov.com/api/" for GovSlack


class Slack:
    def __init__(
        self, settings: Settings, *, clock: Callable[[], float] = time.monotonic, watch_s: float = WATCH_S
    ) -> None:
        self._settings = settings
        self._watch_s = watch_s
        self._wire = Wire(settings.token, settings.app_token, f"{settings.url.rstrip('/')}/", clock)
        self._people = People(self._wire, clock)
        self._clock = clock
        self._hub: Hub | None = None
        self._talk: Talk | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        for secret in (settings.token, settings.app_token):
            hide(secret)

    async def run(self, hub: Hub) -> None:
        self._check_tokens()
        me = await self._wire.whoami()
        self._hub = hub
        menus = Menus(hub, self._clock)
        self._talk = Talk(hub, self._wire, self._people, menus, self._clock)
        listener = Listener(self._talk, str(me.get("user_id", "")))
        async with connected(self._wire, listener, self._settings.app_token) as client:
            log.info("connected", platform=PLATFORM, workspace=str(me.get("team", "")))
            await until_lost(client, listener, self._watch_s)

    def _check_tokens(self) -> None:
        wanted = (
            ("token", "xoxb-", "the app's page OAuth & Permissions"),
            ("app_token", "xapp-", "App-Level Tokens on the app's first page"),
        )
        for name, begins, where in wanted:
            value = getattr(self._settings, name)
            variable = f"TOCSIN_BOTS__SLACK__{name.upper()}"
            if not value:
                raise GiveUp(f"set {variable} in the environment, it stands under {where}")
            if not value.startswith(begins):
                raise GiveUp(f"{variable} begins with {begins}: take it from {where}")

    # -------------------------------------------------------------------------------------------- sending

    async def send(self, message: Message) -> str:
        channel, thread = parsed(message.address)
        posted, ts = await self._wire.post(channel, thread, render.message(message), Rank.ALERT)
        self._afterwards(message, posted, thread or ts)
        return f"{posted}:{ts}"

    async def check(self, destination: Destination) -> None:
        """Whether the bot could post there; a person is there unless they left the workspace."""
        channel, _ = parsed(destination.address)
        if channel[0] in "UW":
            if (await self._wire.person(channel)).get("deleted"):
                raise Gone("slack: that person left the workspace")
            return
        about = await self._wire.channel(channel)
        if about.get("is_archived"):
            raise Gone("slack: the channel is archived")
        if not about.get("is_im") and about.get("is_member") is False:
            raise Gone("slack: the bot is not in that channel: /invite it there")

    def _afterwards(self, message: Message, channel: str, thread: str) -> None:
        """What an alert brings along, while its receipt is on its way."""
        if len(self._tasks) >= CHARTS or self._hub is None:
            return
        task = asyncio.create_task(self._follow(self._hub, message, channel, thread))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, hub: Hub, message: Message, channel: str, thread: str) -> None:
        try:
            if self._talk is not None and message.address[0] in "UW":
                await self._talk.changed(message.address)
            charted = chart_of(message)
            if charted is not None and self._settings.charts_with_alerts:
                await self._chart(hub, charted, message.address, channel, thread)
        except (TryLater, GiveUp) as error:
            log.warning("what follows an alert could not be sent", reason=error.reason)
        except Exception:
            log.exception("a bug in the bot", platform=PLATFORM)

    async def _chart(self, hub: Hub, one: Notification, address: str, channel: str, thread: str) -> None:
        """Asked as whom the alert went to, below the alert."""
        name, _ = parsed(address)
        place = "" if name[0] in "UWD" else name
        who = Who(platform=PLATFORM, id=name, place=place, address=address)
        reply = await hub.ask(Line(text=f"chart {one.instrument} 24h", who=who))
        if reply.image is not None:
            await self._wire.upload(channel, thread, f"{one.instrument}.png", reply.image, reply.title or one.title)


def parsed(address: str) -> tuple[str, str]:
    """Channel or person, and thread."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise GiveUp("slack: that is no address of Slack's: C…, D… or U…, with :<thread> behind it if wanted")
    return found[1], found[2] or ""


def chart_of(message: Message) -> Notification | None:
    """The alert that a chart says more of; several would be a flood of pictures."""
    alone = message.notifications[0] if len(message.notifications) == 1 else None
    return alone if alone is not None and alone.alert_id is not None and alone.instrument else None


def open_bot(settings: Settings) -> Slack:
    return Slack(settings)
