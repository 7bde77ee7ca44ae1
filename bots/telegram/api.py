"""Calls to the Bot API: their pace, and what their failures mean for who called.

TryLater: Telegram or the network asks to wait. Gone: that chat is closed to us for good. Refused (a GiveUp): this call
will never work as it is. A chat that became a supergroup is written to under its new number at once. A message that is
as it should be already counts as edited. Reasons hold no token and nothing of what was said. Depends on aiogram.
"""

import asyncio
import re
from typing import TypeVar

import structlog
from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetMe, TelegramMethod
from aiogram.types import LinkPreviewOptions, User
from aiogram.utils.token import TokenValidationError

from bots.pace import EVERYTHING, Pace, Rank, Turns
from hub.plugin import GiveUp, Gone, TryLater

log = structlog.get_logger("telegram")
T = TypeVar("T")

CALL_S = 15
PATIENCE_S = {Rank.ALERT: 10.0, Rank.REPLY: 60.0, Rank.BOARD: 5.0}
AWAY_S = 60.0
"""How long to wait with alerts where the token is refused: the operator has to act."""
TOKEN = (
    "Telegram refuses the token. Ask @BotFather for it (/mybots, API Token) and set TOCSIN_BOTS__TELEGRAM__TOKEN,"
    " or name the file that holds it in TOCSIN_BOTS__TELEGRAM__TOKEN_FILE"
)
GONE = re.compile(
    r"chat not found|chat was deactivated|group chat was upgraded|message thread not found|topic_deleted|topic_closed"
    r"|peer_id_invalid|have no rights to send|not enough rights to send|chat_\w*forbidden|user not found"
    r"|need administrator rights"
    r"|chat_restricted|channel_private|bot was kicked|user is deactivated",
    re.IGNORECASE,
)
RIGHTS = re.compile(r"rights|forbidden|restricted", re.IGNORECASE)
UNCHANGED = "message is not modified"


class Refused(GiveUp):
    """Telegram will not do this as asked. `description` is its own word."""

    def __init__(self, description: str) -> None:
        super().__init__(f"Telegram refused: {description[:200]}")
        self.description = description


class Api:
    """One bot at one server. `me` is known once `begin` has returned."""

    def __init__(self, token: str, server: str, pace: Pace) -> None:
        session = AiohttpSession(api=TelegramAPIServer.from_base(server), timeout=CALL_S)
        default = DefaultBotProperties(parse_mode="HTML", link_preview=LinkPreviewOptions(is_disabled=True))
        try:
            self.bot = Bot(token, session=session, default=default)
        except TokenValidationError:
            raise GiveUp(TOKEN) from None
        self.me: User | None = None
        self.turns = Turns(pace, asyncio.get_running_loop().time)
        self._moved: dict[int, int] = {}

    @property
    def name(self) -> str:
        return (self.me.username if self.me else None) or ""

    async def begin(self) -> User:
        """Who we are; GiveUp where the token is no good."""
        self.me = await self.call(GetMe())
        return self.me

    async def close(self) -> None:
        await self.bot.session.close()

    def moved(self, old: int, new: int) -> None:
        """That group is a supergroup now, under a new number."""
        if self._moved.get(old) != new:
            log.info("a group became a supergroup: its messages go there")
        self._moved[old] = new

    async def say(self, method: TelegramMethod[T], rank: Rank, *, follow: bool = True) -> T:
        """A call that shows something in a chat: within the pace, the more urgent first. Where the chat has a new
        number it goes there; with `follow` off, Moved says so."""
        chat = self._now(method)
        await self.turns.turn("" if chat is None else str(chat), rank, PATIENCE_S[rank])
        try:
            return await self.call(method)
        except Moved as error:
            self.moved(int(chat or 0), error.chat)
            if not follow:
                raise
            await self.turns.turn(str(error.chat), rank, PATIENCE_S[rank])
            return await self.call(method)

    def now_at(self, chat: int) -> int:
        """The number of a chat as far as we have heard."""
        return self._moved.get(chat, chat)

    def _now(self, method: TelegramMethod[T]) -> int | None:
        chat: int | None = getattr(method, "chat_id", None)
        return None if chat is None else self.now_at(chat)

    async def call(self, method: TelegramMethod[T], timeout_s: int = CALL_S) -> T:
        """A call that shows nothing, at once."""
        chat = self._now(method)
        if chat is not None and chat != getattr(method, "chat_id", None):
            method = method.model_copy(update={"chat_id": chat})
        try:
            return await self.bot(method, request_timeout=timeout_s)
        except TelegramRetryAfter as error:
            held = EVERYTHING if chat is None else str(chat)
            self.turns.pace.hold(held, asyncio.get_running_loop().time() + error.retry_after)
            raise TryLater("Telegram asks to wait", float(error.retry_after)) from None
        except TelegramMigrateToChat as error:
            raise Moved(error.migrate_to_chat_id) from None
        except (TelegramAPIError, ClientDecodeError, OSError, ValueError) as error:
            said = failure(error)
            if said is None:
                return True  # type: ignore[return-value]  # an edit that changes nothing is done
            raise said from None


class Moved(TryLater):
    """That group is a supergroup now, under the number `chat`."""

    def __init__(self, chat: int) -> None:
        super().__init__("that group became a supergroup", 1.0)
        self.chat = chat


def failure(error: Exception) -> TryLater | GiveUp | None:
    """What a failed call means. None: it was not needed."""
    description = error.message if isinstance(error, TelegramAPIError) else ""
    if isinstance(error, TelegramUnauthorizedError | TelegramNotFound):
        return BadToken(TOKEN, AWAY_S)
    if isinstance(error, TelegramConflictError):
        return Elsewhere(
            "another program asks Telegram for the messages of this bot: stop it, or give each its own token", AWAY_S
        )
    if isinstance(error, TelegramForbiddenError):
        return Gone(f"gone: Telegram says {plain(description)}")
    if isinstance(error, TelegramEntityTooLarge):
        return Refused("too large")
    if isinstance(error, TelegramBadRequest):
        if UNCHANGED in description:
            return None
        if GONE.search(description):
            cure = ": give the bot the right to write there" if RIGHTS.search(description) else ""
            return Gone(f"gone: Telegram says {plain(description)}{cure}")
        return Refused(plain(description))
    if isinstance(error, TelegramServerError):
        return TryLater("Telegram has trouble of its own")
    if isinstance(error, TelegramNetworkError | OSError):
        return TryLater("no connection to Telegram, or no answer in time")
    if isinstance(error, ClientDecodeError):
        return TryLater("Telegram answered what is not understood")
    return Refused(plain(description) or type(error).__name__)


class BadToken(TryLater):
    """For a message: the operator has to act, so it waits. The listening side gives up over it."""


class Elsewhere(TryLater):
    """Somebody else polls with our token."""


def plain(description: str) -> str:
    """Telegram's description without its class in front of it."""
    return re.sub(r"^(Bad Request|Forbidden): ", "", description).split("\n")[0][:200]
