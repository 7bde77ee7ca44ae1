"""The Discord bot: what is sent, what is heard, and the hub's menu as slash commands.

Sending stands on REST alone and goes on while the gateway is away. The gateway is opened again for ever, at most
RECONNECT_CAP_S apart; a token or an intent that Discord refuses is said with its cure. Slash commands are written only
where Discord has others. Charts follow their alerts, and nothing waits for them. Depends on discord.py and the hub.
"""

import asyncio
import logging
from typing import NoReturn

import discord
import msgspec
import structlog
from discord.http import Route

from bots.discord import NO_TOKEN, Settings, menus, render, who, wire
from bots.discord.courier import Courier
from bots.discord.detection import Detection
from bots.discord.listen import Listener
from bots.pace import Rank
from hub.logs import Repeats, hide
from hub.model import Destination, File, Line, Menu, Message, Who
from hub.plugin import GiveUp, Gone, Hub, TryLater
from hub.retry import backoff

log = structlog.get_logger("discord")

MENU_S = 300.0
MENU_AGAIN_S = 5.0
RECONNECT_CAP_S = 30.0
CHARTS_WAITING = 200
BAD_TOKEN, BAD_INTENTS, FORBIDDEN_INTENTS = 4004, 4013, 4014  # gateway close codes
NO_INTENT = (
    "Discord refuses the message content intent: switch it on under Bot, Privileged Gateway Intents at "
    "discord.com/developers/applications, or take read_channels away; until then $gold is not answered"
)


class _Chart(msgspec.Struct, frozen=True):
    asker: Who
    channel_id: int
    message_id: int
    instrument: str


class DiscordBot:
    def __init__(self, settings: Settings) -> None:
        hide(settings.token)
        wire.point(settings.api, settings.gateway)
        logging.getLogger("discord").setLevel(logging.ERROR)  # far below, it logs what people write
        logging.getLogger("discord.gateway").setLevel(logging.WARNING)
        self.courier = Courier(settings.token.strip())
        self._settings = settings
        self._menu = Menu(commands=(), instruments=())
        self._listener: Listener | None = None
        self._charts: asyncio.Queue[_Chart] = asyncio.Queue(CHARTS_WAITING)
        self._reads_all = settings.read_channels
        self._detection = Detection()
        self._troubles = Repeats(log)

    # ------------------------------------------------------------------------------------------- sending

    async def send(self, message: Message) -> str:
        """The id of the message on Discord. What Discord has already is not sent again: the nonce says so."""
        card = render.alert_card(message)
        channel_id, message_id = await self.courier.send(message.address, card, Rank.ALERT, nonce=message.id)
        self._want_chart(message, channel_id, message_id)
        return str(message_id)

    async def check(self, destination: Destination) -> None:
        """Whether alerts would arrive there: rights are asked of Discord anew, as they change behind our back."""
        channel_id = await self.courier.channel_of(destination.address)
        if not destination.address.startswith("channel:"):
            return
        channel = self._listener.get_channel(channel_id) if self._listener is not None else None
        if not isinstance(channel, discord.abc.GuildChannel | discord.Thread) or channel.guild.me is None:
            await self.courier.look(channel_id)
            return
        rights = channel.permissions_for(channel.guild.me)
        if not who.may_write(rights, thread=isinstance(channel, discord.Thread)):
            raise Gone(wire.GONE[50013])

    # ----------------------------------------------------------------------------------------- listening

    async def run(self, hub: Hub) -> None:
        if not self._settings.token.strip():
            raise GiveUp(NO_TOKEN)
        await self.courier.open()
        tasks = [asyncio.create_task(work) for work in (self._listen(hub), self._follow_menu(hub), self._draw(hub))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:  # each of them works for ever: whichever ended has ended the bot
            await _ended(tasks)
            await self.courier.close()

    async def _listen(self, hub: Hub) -> NoReturn:
        """The gateway for ever; GiveUp where Discord refuses us for good."""
        attempt = 0
        while True:
            listener = Listener(
                hub,
                self.courier,
                lambda: self._menu,
                self._detection,
                reads_all=self._reads_all,
                connected=self._connected,
            )
            self._listener = listener
            try:
                await listener.start(self._settings.token.strip(), reconnect=False)
                reason = "Discord closed the connection"
            except wire.EXPECTED as error:
                reason = self._refused(error)
            finally:
                self._listener = None
                await wire.shut(listener)
            attempt = 1 if listener.was_connected else attempt + 1
            self._troubles.log("gateway", "Discord's gateway is away", reason=reason)
            await asyncio.sleep(backoff(attempt, cap_s=RECONNECT_CAP_S))

    def _connected(self) -> None:
        if not self._troubles.over("gateway", "Discord's gateway is back"):
            log.info("connected to Discord's gateway")

    def _refused(self, error: BaseException) -> str:
        """Why the connection ended. GiveUp where trying again changes nothing."""
        if isinstance(error, discord.ConnectionClosed):
            if error.code == BAD_TOKEN:
                raise GiveUp(wire.UNAUTHORISED) from error
            if error.code in (BAD_INTENTS, FORBIDDEN_INTENTS):
                if not self._reads_all:
                    raise GiveUp(f"Discord refuses the bot's intents ({error.code})") from error
                self._reads_all = False
                return NO_INTENT
            return f"Discord closed the connection ({error.code})"
        told = wire.trouble(error)
        if isinstance(told, GiveUp):
            raise told from error
        return told.reason

    # -------------------------------------------------------------------------------------------- menu

    async def _follow_menu(self, hub: Hub) -> NoReturn:
        """The hub's menu, and Discord's slash commands after it. A hub that is away is asked again soon."""
        written: list[dict[str, object]] | None = None
        while True:
            wait_s = MENU_S
            try:
                self._menu = await hub.menu()
                wanted = menus.commands_of(self._menu)
                if wanted != written:
                    await self._write_commands(wanted)
                    written = wanted
                self._troubles.over("menu", "the slash commands can be brought up to date again")
            except wire.EXPECTED as error:
                told = wire.trouble(error)
                self._troubles.log("menu", "the slash commands could not be brought up to date", reason=told.reason)
                wait_s = MENU_AGAIN_S if isinstance(told, TryLater) else MENU_S
            await asyncio.sleep(wait_s)

    async def _write_commands(self, wanted: list[dict[str, object]]) -> None:
        client = self.courier.client
        application = client.application_id
        assert application is not None, "login tells it"
        route = Route("GET", "/applications/{application_id}/commands", application_id=application)
        found = await client.http.request(route, params={"with_localizations": "true"})
        if menus.same(wanted, found):
            return
        await client.http.bulk_upsert_global_commands(application, wanted)
        log.info("slash commands were written", commands=len(wanted))

    # ------------------------------------------------------------------------------------------- charts

    def _want_chart(self, message: Message, channel_id: int, message_id: int) -> None:
        """For one alert; several in a message have no room for theirs. Where too many wait, this one has none."""
        if not self._settings.charts_with_alerts or len(message.notifications) != 1:
            return
        (one,) = message.notifications
        if one.alert_id is None or not one.instrument or self._charts.full():
            return
        asker = self._owner_of(message.address, channel_id)
        self._charts.put_nowait(_Chart(asker, channel_id, message_id, one.instrument))

    def _owner_of(self, address: str, channel_id: int) -> Who:
        """The person of a private talk; in a place the bot itself, as nobody asked."""
        kind, _, number = address.partition(":")
        if kind == "user":
            return Who(platform=who.PLATFORM, id=number, address=address)
        me = self.courier.me
        return Who(platform=who.PLATFORM, id=str(me.id), name=me.name, place=str(channel_id), address=address)

    async def _draw(self, hub: Hub) -> NoReturn:
        while True:
            wanted = await self._charts.get()
            try:
                reply = await hub.ask(Line(text=f"chart {wanted.instrument} 24h", who=wanted.asker))
                if reply.image:
                    picture = File(name=render.CHART_NAME, media_type="image/png", content=reply.image)
                    await self.courier.attach(wanted.channel_id, wanted.message_id, picture)
            except wire.EXPECTED as error:
                log.info("an alert stays without a chart", reason=wire.trouble(error).reason)


async def _ended(tasks: "list[asyncio.Task[NoReturn]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
