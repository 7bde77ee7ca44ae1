"""What delivery sends: alerts into a chat, and after the words a picture of their last day.

The words go first and alone; the picture is asked of the hub afterwards, in the name of the chat, at most once a
minute a chat, and whatever keeps it away is only logged. Where a message needs several parts, a second try goes on
behind those that are there. Depends on bots.telegram.api and render.
"""

import asyncio
import html
import re
from collections import OrderedDict

import structlog
from aiogram.methods import SendMessage, SendPhoto
from aiogram.types import BufferedInputFile, ReplyParameters

from bots.pace import Rank
from bots.telegram import limits, render
from bots.telegram.api import Api, Moved, Refused
from bots.telegram.people import PLATFORM, address_of, read_address
from bots.telegram.render import Post
from bots.telegram.show import keyboard
from hub.model import Line, Message, Who
from hub.plugin import GiveUp, Gone, Hub, TryLater

log = structlog.get_logger("telegram")

CHART_EVERY_S = 60.0
CHARTS_AT_ONCE = 10
REMEMBERED = 1_000
MOVED = "that group is a supergroup now"


class Alerts:
    def __init__(self, api: Api, *, charts: bool) -> None:
        self._api = api
        self._charts = charts
        self._begun: OrderedDict[tuple[str, str], list[int]] = OrderedDict()  # message → its parts that were sent
        self._charted: OrderedDict[str, float] = OrderedDict()
        self._drawing: set[asyncio.Task[None]] = set()

    async def send(self, message: Message, hub: Hub | None) -> str:
        """Telegram's number of its first part."""
        chat, thread = read_address(message.address)
        if (now_at := self._api.now_at(chat)) != chat:
            raise Gone(MOVED, moved_to=address_of(now_at, None))
        key = (message.address, message.id)
        sent = self._begun.setdefault(key, [])
        for post in render.alerts(message)[len(sent) :]:
            try:
                sent.append(await self._send(post, chat, thread))
            except Moved as error:
                raise Gone(MOVED, moved_to=address_of(error.chat, None)) from None
            except GiveUp:
                self._begun.pop(key, None)
                raise
        while len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)
        self._draw(message, sent[0], hub)
        return str(sent[0])

    async def _send(self, post: Post, chat: int, thread: int | None) -> int:
        """Should Telegram not take how it is worded, which is a bug, the bare words go: no bell is lost by it."""
        where = SendMessage(chat_id=chat, message_thread_id=thread, text=post.html)
        try:
            method = where.model_copy(update={"reply_markup": keyboard(post.rows)})
            return (await self._api.say(method, Rank.ALERT, follow=False)).message_id
        except Refused as error:
            log.error("a bug in wording an alert", reason=error.reason)
            bare = limits.cut(html.unescape(re.sub(r"</?(?:b|i|pre)>", "", post.html)), limits.TEXT)
            method = where.model_copy(update={"text": bare, "parse_mode": None})
            return (await self._api.say(method, Rank.ALERT, follow=False)).message_id

    # ---------------------------------------------------------------------------------------- pictures

    def _draw(self, message: Message, sent: int, hub: Hub | None) -> None:
        """In the background, unless there was one just now or too many are being drawn."""
        instruments = {one.instrument for one in message.notifications if one.alert_id is not None and one.instrument}
        now_s = asyncio.get_running_loop().time()
        last_s = self._charted.get(message.address, now_s - CHART_EVERY_S)
        if not self._charts or hub is None or len(instruments) != 1 or now_s - last_s < CHART_EVERY_S:
            return
        if len(self._drawing) >= CHARTS_AT_ONCE:
            return
        self._charted[message.address] = now_s
        self._charted.move_to_end(message.address)
        while len(self._charted) > REMEMBERED:
            self._charted.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._chart(message.address, instruments.pop(), sent, hub))
        self._drawing.add(task)
        task.add_done_callback(self._drawing.discard)

    async def _chart(self, address: str, instrument: str, sent: int, hub: Hub) -> None:
        chat, thread = read_address(address)
        try:
            reply = await hub.ask(Line(text=f"chart {instrument} 24h", who=whose(chat, address)))
            if reply.image is None or len(reply.image) > limits.PHOTO_BYTES:
                return
            method = SendPhoto(
                chat_id=chat,
                message_thread_id=thread,
                photo=BufferedInputFile(reply.image, filename="chart.png"),
                disable_notification=True,
                reply_parameters=ReplyParameters(message_id=sent, allow_sending_without_reply=True),
            )
            await self._api.say(method, Rank.BOARD)
        except (TryLater, GiveUp) as error:
            log.info("an alert stays without its picture", reason=error.reason)
        except Exception:
            log.exception("a bug in drawing for an alert")

    async def close(self) -> None:
        for task in tuple(self._drawing):
            task.cancel()
        if self._drawing:
            await asyncio.wait(self._drawing)


def whose(chat: int, address: str) -> Who:
    """The person of a private chat, or a group in its own name."""
    if chat > 0:
        return Who(platform=PLATFORM, id=str(chat), address=address)
    return Who(platform=PLATFORM, id=str(chat), place=str(chat), address=address)
