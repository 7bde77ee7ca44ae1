"""Messages to channels and people by Discord's REST interface, at its pace, whether the gateway is there or not.

`send` repeats nothing that Discord has: each message carries a nonce that Discord enforces for some minutes. It sleeps
for nobody: where a limit is reached it says how long to wait. Depends on discord.py, bots.pace and `wire`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord

from bots.discord import limits, wire
from bots.discord.render import Card, without_files
from bots.pace import EVERYTHING, Budget, Pace, Rank, Turns
from hub.model import File
from hub.plugin import GiveUp, TryLater

OVERALL = (Budget(3, 0.1), Budget(30, 1.0))
"""Discord takes 50 requests a second. What leaves evenly arrives in clusters: some waits half a second on its way, and
what left behind it does not."""
OF_CHANNEL = (Budget(5, 5.0),)  # not promised by Discord, whose answers say it; so it was whenever one looked
PATIENCE_S = {Rank.ALERT: 1.0, Rank.REPLY: 8.0, Rank.BOARD: 8.0}
"""For one's turn. An alert is put back in the hub's own queue; nobody asks for a reply or a chart again."""
CALL_S = 10.0  # for Discord's answer; with the patience less than delivery waits for us
FILE_REFUSED = frozenset((40005, 50013))  # too large; or not allowed, where the text still may be


class Courier:
    """Open between `open` and `close`; before and after, TryLater."""

    def __init__(self, token: str) -> None:
        self.turns = Turns(Pace(OVERALL, lambda chat: OF_CHANNEL), time.monotonic)
        self._token = token
        self._client: discord.Client | None = None

    async def open(self) -> None:
        """Logs in. GiveUp for a token that Discord refuses; TryLater where it cannot be reached."""
        if self._client is not None:
            return
        client = wire.quick(lambda chat, pause_s: self.turns.pace.hold(chat, time.monotonic() + pause_s))
        try:
            async with asyncio.timeout(CALL_S):
                await client.login(self._token)
        except BaseException as error:
            await wire.shut(client)
            if isinstance(error, wire.EXPECTED):
                raise wire.trouble(error) from error
            raise
        self._client = client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await wire.shut(client)

    @property
    def client(self) -> discord.Client:
        if self._client is None:
            raise TryLater("the bot is not connected to Discord yet")
        return self._client

    @property
    def me(self) -> discord.ClientUser:
        user = self.client.user
        assert user is not None, "login tells who we are"
        return user

    async def send(
        self, address: str, card: Card, rank: Rank, *, nonce: str = "", answers: discord.Message | None = None
    ) -> tuple[int, int]:
        """The channel's and the message's id. TryLater, GiveUp, or Gone."""
        channel_id = await self.channel_of(address)
        try:
            return channel_id, await self._send(channel_id, card, rank, nonce, answers)
        except discord.HTTPException as error:
            if not card.files or not (error.status == 413 or error.code in FILE_REFUSED):
                raise wire.trouble(error) from error
            bare = without_files(card, "the picture could not be attached")
            return channel_id, await self.send_bare(channel_id, bare, rank, nonce, answers)

    async def send_bare(
        self, channel_id: int, card: Card, rank: Rank, nonce: str, answers: discord.Message | None
    ) -> int:
        try:
            return await self._send(channel_id, card, rank, nonce, answers)
        except discord.HTTPException as error:
            raise wire.trouble(error) from error

    async def _send(self, channel_id: int, card: Card, rank: Rank, nonce: str, answers: discord.Message | None) -> int:
        more: dict[str, Any] = {}
        if answers is not None:
            more["reference"] = answers.to_reference(fail_if_not_exists=False)
        if (view := wire.view_of(card)) is not None:
            more["view"] = view
        if nonce:
            more["nonce"] = nonce[: limits.NONCE]
        async with self._call(str(channel_id), rank):
            sent = await self.client.get_partial_messageable(channel_id).send(
                card.content or None,
                embeds=wire.embeds_of(card),
                files=wire.files_of(card),
                allowed_mentions=wire.NOBODY,
                **more,
            )
        return sent.id

    async def attach(self, channel_id: int, message_id: int, file: File) -> None:
        """Adds a file to a message that stands; its text and embeds stay as somebody may have changed them since."""
        message = self.client.get_partial_messageable(channel_id).get_partial_message(message_id)
        card = Card(files=(file,))
        try:
            async with self._call(f"{channel_id} edits", Rank.BOARD):
                await message.edit(attachments=wire.files_of(card))
        except discord.HTTPException as error:
            raise wire.trouble(error) from error

    async def channel_of(self, address: str) -> int:
        """The channel that an address means; a private one is opened where it is not yet."""
        kind, _, number = address.partition(":")
        if kind not in ("channel", "user") or not (number.isascii() and number.isdecimal()) or len(number) > 20:
            raise GiveUp("not an address of Discord: it is channel:<id> or user:<id>")
        if kind == "channel":
            return int(number)
        try:
            async with self._call(EVERYTHING, Rank.ALERT):
                return (await self.client.create_dm(discord.Object(int(number)))).id
        except discord.HTTPException as error:
            raise wire.trouble(error) from error

    async def look(self, channel_id: int) -> None:
        """Whether the bot sees that channel: Gone where it does not."""
        try:
            async with self._call(EVERYTHING, Rank.REPLY):
                await self.client.http.get_channel(channel_id)
        except discord.HTTPException as error:
            raise wire.trouble(error) from error

    @asynccontextmanager
    async def _call(self, chat: str, rank: Rank) -> AsyncIterator[None]:
        """One call at the platform's pace and within its time; HTTPException is left to whoever calls."""
        await self.turns.turn(chat, rank, PATIENCE_S[rank])
        try:
            async with asyncio.timeout(CALL_S):
                yield
        except discord.HTTPException:
            raise
        except wire.EXPECTED as error:
            told = wire.trouble(error)
            if isinstance(told, wire.Limited) and told.retry_after_s:
                held = EVERYTHING if told.everywhere else chat
                self.turns.pace.hold(held, time.monotonic() + told.retry_after_s)
            raise told from error
