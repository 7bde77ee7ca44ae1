"""The bot as bothost sees it. Light: aiogram, which costs seconds, is imported by the first call, in a thread."""

import asyncio
import importlib
from typing import TYPE_CHECKING

from bots.pace import Pace
from bots.telegram import Settings, limits
from hub.model import Destination, Message
from hub.plugin import GiveUp, Hub, TryLater

if TYPE_CHECKING:
    from bots.telegram.session import Session

NO_TOKEN = (
    "Telegram needs a token, which @BotFather gives (/newbot); set TOCSIN_BOTS__TELEGRAM__TOKEN, or name the file that"
    " holds it in TOCSIN_BOTS__TELEGRAM__TOKEN_FILE"
)


class Telegram:
    def __init__(self, settings: Settings, pace: Pace | None = None) -> None:
        self._settings = settings
        self._pace = pace or Pace(limits.OVERALL, limits.of_chat)
        self._session: Session | None = None
        self._opening = asyncio.Lock()

    @property
    def invite(self) -> str:
        """The address of a private talk with this bot, once Telegram has said its name."""
        name = self._session.api.name if self._session else ""
        return f"https://t.me/{name}?start={{code}}" if name else ""

    async def run(self, hub: Hub) -> None:
        """What is being sent goes on while this waits to be run again, so only its real end closes the connections."""
        session = await self._open()
        try:
            await session.run(hub)
        except TryLater:
            raise
        except BaseException:
            await session.close()
            raise

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, message: Message) -> str:
        return await (await self._open()).send(message)

    async def check(self, destination: Destination) -> None:
        await (await self._open()).check(destination)

    async def _open(self) -> "Session":
        """GiveUp without a token or without aiogram."""
        async with self._opening:
            if self._session is None:
                if not self._settings.token:
                    raise GiveUp(NO_TOKEN)
                try:
                    module = await asyncio.to_thread(importlib.import_module, "bots.telegram.session")
                except ImportError as error:
                    raise GiveUp(
                        f'the library {error.name} is not installed: pip install "tocsin[telegram]"'
                    ) from error
                self._session = module.Session(self._settings, self._pace)
            return self._session
