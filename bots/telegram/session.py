"""One bot at work: who it is, its menus, its updates, its boards, and what it sends.

Depends on every room of bots.telegram; the only one that knows them all. It imports aiogram, so bots.telegram.bot
imports it late.
"""

import asyncio

import structlog
from aiogram.methods import GetChat
from aiogram.types import ChatMemberUpdated, Update

from bots.pace import Pace
from bots.telegram import Settings, inline, menu
from bots.telegram.alerts import Alerts
from bots.telegram.api import Api, BadToken
from bots.telegram.board import Boards
from bots.telegram.conversation import Conversation
from bots.telegram.listen import Listener
from bots.telegram.menu import Known
from bots.telegram.people import Spot, read_address
from bots.telegram.render import Post
from bots.telegram.show import Show
from hub.model import Destination, Message
from hub.plugin import GiveUp, Hub, TryLater

log = structlog.get_logger("telegram")

AWAY = ("left", "kicked")
GREETING = (
    "I ring when a price gets where you are waiting for it. Begin with /price, /chart or /alert; /help shows the rest."
    " Administrators of this group set its alerts; /place says so, and changes it."
)
MENU_EVERY_S = 300.0
MENU_SOON_S = 5.0


class Session:
    def __init__(self, settings: Settings, pace: Pace, menu_every_s: float = MENU_EVERY_S) -> None:
        self._settings = settings
        self._menu_every_s = menu_every_s
        self._hub: Hub | None = None
        self._known = Known()
        self.api = Api(settings.token, settings.server.rstrip("/"), pace)
        self._show = Show(self.api)
        self._boards = Boards(self.api, self._show, settings.board_every_s)
        self._alerts = Alerts(self.api, charts=settings.charts_with_alerts)
        self._conversation: Conversation | None = None

    async def run(self, hub: Hub) -> None:
        """Until cancelled. GiveUp over a token that is refused; TryLater where Telegram is away."""
        self._hub = hub
        self._conversation = Conversation(
            self.api, hub, self._known, self._boards, self._show, detect=self._settings.detect
        )
        trouble: TryLater | GiveUp | None = None
        try:
            me = await self.api.begin()
            log.info(
                "Telegram knows this bot", bot=me.username, sees_all_of_groups=bool(me.can_read_all_group_messages)
            )
            self._remark(inline_mode=bool(me.supports_inline_queries), all_seen=bool(me.can_read_all_group_messages))
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._keep_menus(hub)), group.create_task(self._boards.run(hub))]
                try:
                    await Listener(self.api, self._update).run()
                except (TryLater, GiveUp) as error:
                    trouble = error
                finally:
                    for task in beside:
                        task.cancel()
        except BadToken as error:
            trouble = error
        if isinstance(trouble, BadToken):
            raise GiveUp(trouble.reason)
        if trouble is not None:
            raise trouble

    def _remark(self, *, inline_mode: bool, all_seen: bool) -> None:
        """What is switched off at @BotFather and matters."""
        if not inline_mode:
            log.info("inline mode is off: /setinline at @BotFather switches it on")
        if self._settings.detect and not all_seen:
            log.warning("$BTC is heard only where the bot is an administrator: /setprivacy at @BotFather, Disable")

    async def _keep_menus(self, hub: Hub) -> None:
        """The hub's menu as Telegram's, for as long as this runs. Both may be away for a while."""
        published = False
        while True:
            wait_s = self._menu_every_s
            try:
                published = not await menu.refresh(hub, self._known) and published
                if not published:
                    await menu.publish(self.api, self._known.menu)
                    published = True
            except (TryLater, GiveUp) as error:
                log.info("the menu of commands waits", reason=error.reason)
                wait_s = min(error.retry_after_s or MENU_SOON_S, wait_s) if isinstance(error, TryLater) else wait_s
            await asyncio.sleep(wait_s)

    async def _update(self, update: Update) -> None:
        assert self._hub is not None and self._conversation is not None, "run has begun"
        if said := update.message or update.channel_post:
            await self._conversation.message(said)
        elif update.callback_query:
            await self._conversation.press(update.callback_query)
        elif update.inline_query:
            await inline.answer(self.api, self._hub, self._known, update.inline_query)
        elif changed := update.chat_member or update.my_chat_member:
            await self._changed(changed)

    async def _changed(self, changed: ChatMemberUpdated) -> None:
        """Somebody's rights in a chat, or our own. A group that we are new in is told how we are spoken to."""
        if self._conversation is not None:
            self._conversation.people.forget_admins(changed.chat.id)
        if self.api.me is None or changed.new_chat_member.user.id != self.api.me.id:
            return
        before, now = changed.old_chat_member.status, changed.new_chat_member.status
        log.info("our rights in a chat changed", chat=changed.chat.type, now=now)
        new_here = before in AWAY and now not in AWAY
        if new_here and changed.chat.type in ("group", "supergroup"):
            await self._show.send(Post(html=GREETING), Spot(chat=changed.chat.id, place=True))

    async def send(self, message: Message) -> str:
        return await self._alerts.send(message, self._hub)

    async def check(self, destination: Destination) -> None:
        """Whether that chat is open to us."""
        chat, _ = read_address(destination.address)
        await self.api.call(GetChat(chat_id=chat))

    async def close(self) -> None:
        await self._alerts.close()
        await self.api.close()
