"""Updates by long polling, each in a task of its own; those of one chat one after the other.

A batch is confirmed with the next poll, which goes out as soon as its handlers run: a line is handled at most once,
and what is under way at the end is finished (ENDING_S at most). Bounded: with AT_ONCE handlers at work, polling waits
and Telegram keeps the rest. One handler that fails takes nothing else with it. Depends on bots.telegram.api.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiogram.methods import DeleteWebhook, GetUpdates, GetWebhookInfo
from aiogram.types import Update

from bots.telegram.api import Api
from hub.plugin import GiveUp, TryLater

log = structlog.get_logger("telegram")

ALLOWED = ["message", "channel_post", "callback_query", "inline_query", "my_chat_member", "chat_member"]
POLL_S = 30
AT_ONCE = 64
ENDING_S = 3.0


class Listener:
    def __init__(self, api: Api, handle: Callable[[Update], Awaitable[None]]) -> None:
        self._api = api
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._lanes: dict[int, tuple[asyncio.Lock, int]] = {}

    async def run(self) -> None:
        """Until cancelled. TryLater where Telegram cannot be asked."""
        await self._no_webhook()
        offset: int | None = None
        try:
            while True:
                method = GetUpdates(offset=offset, timeout=POLL_S, allowed_updates=ALLOWED)
                for update in await self._api.call(method, timeout_s=POLL_S + 10):
                    offset = update.update_id + 1
                    await self._places.acquire()
                    task = asyncio.get_running_loop().create_task(self._one(update))
                    self._tasks.add(task)
                    task.add_done_callback(self._done)
        finally:
            await self._end()

    async def _no_webhook(self) -> None:
        """Telegram gives updates to a webhook or to us, not to both."""
        if (await self._api.call(GetWebhookInfo())).url:
            log.warning("this bot had a webhook: it was removed, as its messages are asked for here")
            await self._api.call(DeleteWebhook())

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _one(self, update: Update) -> None:
        lane = lane_of(update)
        lock, users = self._lanes.get(lane, (asyncio.Lock(), 0))
        self._lanes[lane] = (lock, users + 1)
        try:
            async with lock:
                await self._handle(update)
        except (TryLater, GiveUp) as error:
            log.info("an answer could not be shown", reason=error.reason)
        except Exception as error:
            log.error(
                "a bug in handling an update", kind=update.event_type, error=type(error).__name__, where=_where(error)
            )
        finally:
            lock, users = self._lanes.pop(lane)
            if users > 1:
                self._lanes[lane] = (lock, users - 1)

    async def _end(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ENDING_S)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _where(error: Exception) -> str:
    """The place in the code; the text of an error could hold what somebody wrote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""


def lane_of(update: Update) -> int:
    """The chat, or the person where there is none."""
    if said := update.message or update.channel_post:
        return said.chat.id
    if press := update.callback_query:
        return press.message.chat.id if press.message else press.from_user.id
    return update.inline_query.from_user.id if update.inline_query else 0
