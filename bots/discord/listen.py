"""Discord's gateway: slash commands, completion, buttons, forms, and what is written to the bot → lines.

Everything becomes a line for the hub (`answers` shows its reply). Plain text is read in private messages and where the
bot is mentioned, which takes no privileged intent; in channels where `$gold` is to be answered Discord must grant the
message content intent. Depends on discord.py and the hub.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import discord
import structlog
from discord.app_commands import Choice

from bots.discord import forms, menus, render, who, wire
from bots.discord.answers import COMMAND, Answering, Interaction, asked_of
from bots.discord.courier import Courier
from bots.discord.detection import Detection
from bots.pace import Rank
from hub.model import Line, Menu, Reply, Who
from hub.plugin import BadRequest, GiveUp, Hub, TryLater

log = structlog.get_logger("discord")

PRIVATELY = "I answered you in private."
NO_PRIVATELY = "That answer is for you alone, and I cannot write to you in private: ask again with a / command."


class Listener(discord.Client):
    """One connection to the gateway; a new one is made for each attempt. `menu` is the newest that the hub told."""

    def __init__(
        self,
        hub: Hub,
        courier: Courier,
        menu: Callable[[], Menu],
        detection: Detection,
        *,
        reads_all: bool,
        connected: Callable[[], None],
    ) -> None:
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=reads_all)
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
        )
        self.was_connected = False
        self._connected = connected
        self._hub = hub
        self._courier = courier
        self._menu = menu
        self._detection = detection
        self._reads_all = reads_all

    async def on_connect(self) -> None:
        self.was_connected = True
        self._connected()

    # ------------------------------------------------------------------------------------- interactions

    async def on_interaction(self, interaction: Interaction) -> None:
        """An edge: what fails here is told and ends here."""
        try:
            await self._heard(interaction)
        except BadRequest as error:
            await _said(interaction, error.text)
        except wire.EXPECTED as error:
            log.warning("an answer did not reach Discord", reason=wire.trouble(error).reason)
        except Exception:
            log.exception("a bug in the bot", interaction=interaction.type.name)
            await _said(interaction, "That failed inside the bot: it was logged.")

    async def _heard(self, interaction: Interaction) -> None:
        told: Mapping[str, Any] = interaction.data or {}
        custom_id = str(told.get("custom_id", ""))
        if interaction.type is discord.InteractionType.autocomplete:
            await self._complete(interaction, told)
        elif interaction.type is discord.InteractionType.application_command:
            values = {option["name"]: str(option.get("value", "")) for option in told.get("options", ())}
            line = menus.line_from(self._menu(), str(told["name"]), values)
            form = menus.form_for(self._menu(), str(told["name"]), values)
            await Answering(self._asked, interaction, line, COMMAND, form).run()
        elif interaction.type is discord.InteractionType.modal_submit:
            line = forms.line_from(custom_id, told.get("components", ()))
            await Answering(self._asked, interaction, line, COMMAND).run()
        elif custom_id[:2] in (render.LINE, render.ALERT, render.AFTER, render.FORM):
            await Answering(self._asked, interaction, custom_id[2:], custom_id[:2]).run()
        elif interaction.type is discord.InteractionType.component:
            raise BadRequest("That button is of another version of this hub.")

    async def _asked(self, line: Line) -> Reply:
        reply = await asked_of(self._hub, line)
        self._detection.heard(line.who.place, reply, time.monotonic())
        return reply

    async def _complete(self, interaction: Interaction, told: Mapping[str, Any]) -> None:
        focused = next((option for option in told.get("options", ()) if option.get("focused")), None)
        if focused is None:
            return
        typed = str(focused.get("value", ""))
        found = menus.choices_for(self._menu(), str(told["name"]), str(focused["name"]), typed)
        await interaction.response.autocomplete([Choice(name=shown, value=value) for shown, value in found])

    # ------------------------------------------------------------------------------------------ messages

    async def on_message(self, message: discord.Message) -> None:
        """An edge, as above. Other bots are never answered, so that no two talk for ever."""
        if message.author.bot or message.webhook_id is not None:
            return
        asker = who.of_message(message)
        try:
            text = self._said_to_us(message) or await self._detected(message, asker)
            if not text:
                return
            reply = await asked_of(self._hub, Line(text=text, who=asker))
            self._detection.heard(asker.place, reply, time.monotonic())
            await self._answer(message, reply, text)
        except (TryLater, GiveUp) as error:
            log.warning("an answer did not reach Discord", reason=error.reason)
        except Exception:
            log.exception("a bug in the bot", message="text")

    def _said_to_us(self, message: discord.Message) -> str:
        """The line in a message, empty where it is not meant for us."""
        assert self.user is not None, "messages come behind READY"
        if message.guild is None:
            return menus.without_mention(message.content, self.user.id)
        if self.user.id in message.raw_mentions:
            return menus.without_mention(message.content, self.user.id) or "help"
        return ""

    async def _detected(self, message: discord.Message, asker: Who) -> str:
        """The line for the symbols in a message, where the place wants that."""
        line = menus.detected(message.content, self._menu()) if self._reads_all and asker.place else ""
        if not line:
            return ""
        now_s = time.monotonic()
        on = self._detection.of(asker.place, now_s)
        if on is None:
            self._detection.refused(asker.place, now_s)
            self._detection.heard(asker.place, await asked_of(self._hub, Line(text="place", who=asker)), now_s)
            on = self._detection.of(asker.place, now_s)
        return line if on else ""

    async def _answer(self, message: discord.Message, reply: Reply, line: str) -> None:
        card = render.card_of(reply, line)
        here = f"channel:{message.channel.id}"
        if message.guild is not None and reply.private:
            try:
                await self._courier.send(f"user:{message.author.id}", card, Rank.REPLY)
                card = render.card_of(Reply(lines=(PRIVATELY,)))
            except GiveUp:
                card = render.card_of(Reply(ok=False, lines=(NO_PRIVATELY,)))
        await self._courier.send(here, card, Rank.REPLY, answers=message)


async def _said(interaction: Interaction, text: str) -> None:
    """A sentence to the asker alone, whatever was answered before; a Discord that is away cannot be told."""
    embed = discord.Embed.from_dict(render.card_of(Reply(ok=False, lines=(text,))).embeds[0])
    try:
        if interaction.type is discord.InteractionType.autocomplete:
            return
        if interaction.response.is_done():
            await interaction.followup.send(embed=embed, ephemeral=True)
        else:
            await interaction.response.send_message(embed=embed, ephemeral=True)
    except wire.EXPECTED as error:
        log.warning("an answer did not reach Discord", reason=wire.trouble(error).reason)
