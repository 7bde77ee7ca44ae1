"""Who wrote, and where an answer goes: Telegram's users and chats as Who and Spot.

In a group the place is the group and the address its topic. Who writes in the name of a group or channel is that chat
itself, and administers it. Whether a member does is asked of Telegram, and remembered for some minutes.
"""

from collections import OrderedDict

import msgspec
from aiogram.methods import GetChatMember
from aiogram.types import CallbackQuery, Chat, InaccessibleMessage, Message, User

from bots.telegram.api import Api
from hub.model import Who
from hub.plugin import GiveUp, TryLater

PLATFORM = "telegram"
ADMINS_FOR_S = 300.0
REMEMBERED = 10_000


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer belongs. `person` is 0 where nobody in particular wrote. `secret`: the question itself was for
    no other eyes, so the answer is not either."""

    chat: int
    thread: int | None = None
    reply_to: int | None = None
    person: int = 0
    place: bool = False
    callback: str = ""
    ephemeral: int | None = None
    secret: bool = False

    @property
    def address(self) -> str:
        return address_of(self.chat, self.thread)


def address_of(chat: int, thread: int | None) -> str:
    return str(chat) if thread is None else f"{chat}:{thread}"


def read_address(address: str) -> tuple[int, int | None]:
    """GiveUp for what is no address of a chat."""
    chat, _, thread = address.partition(":")
    try:
        return int(chat), int(thread) if thread else None
    except ValueError:
        raise GiveUp('a Telegram address is the number of a chat, or "chat:topic"') from None


def spot_of(message: Message) -> Spot:
    place = message.chat.type != "private"
    writer = message.from_user if message.sender_chat is None else None
    return Spot(
        chat=message.chat.id,
        thread=message.message_thread_id if message.is_topic_message else None,
        reply_to=message.message_id if place and message.message_id else None,
        person=writer.id if writer else 0,
        place=place,
        ephemeral=message.ephemeral_message_id,
        secret=message.ephemeral_message_id is not None,
    )


def spot_of_press(query: CallbackQuery) -> Spot | None:
    """None for a message that was sent through inline mode: it is in no chat that we know."""
    if query.message is None:
        return None
    place = query.message.chat.type != "private"
    seen = None if isinstance(query.message, InaccessibleMessage) else query.message
    secret = isinstance(seen, Message) and seen.ephemeral_message_id is not None
    return Spot(
        chat=query.message.chat.id,
        thread=seen.message_thread_id if isinstance(seen, Message) and seen.is_topic_message else None,
        reply_to=query.message.message_id if place and query.message.message_id else None,
        person=query.from_user.id,
        place=place,
        callback=query.id,
        secret=secret,
    )


class People:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._admins: OrderedDict[tuple[int, int], tuple[bool, float]] = OrderedDict()

    async def who(self, user: User | None, chat: Chat | None, spot: Spot, now_s: float) -> Who:
        """`user` None: the chat itself speaks."""
        if user is None:
            assert chat is not None, "somebody speaks"
            title = chat.title or chat.full_name
            return Who(platform=PLATFORM, id=str(chat.id), name=title, place=str(chat.id), place_name=title,
                       address=spot.address, admin=True)  # fmt: skip
        if chat is None or not spot.place:
            return Who(platform=PLATFORM, id=str(user.id), name=user.full_name, address="" if chat is None
                       else spot.address, language=user.language_code or "")  # fmt: skip
        return Who(
            platform=PLATFORM,
            id=str(user.id),
            name=user.full_name,
            place=str(chat.id),
            place_name=chat.title or "",
            address=spot.address,
            admin=await self._is_admin(chat.id, user.id, now_s),
            language=user.language_code or "",
        )

    async def _is_admin(self, chat: int, user: int, now_s: float) -> bool:
        """Nobody is while Telegram does not say so."""
        known = self._admins.get((chat, user))
        if known and known[1] > now_s:
            return known[0]
        try:
            member = await self._api.call(GetChatMember(chat_id=chat, user_id=user))
        except (TryLater, GiveUp):
            return False
        admin = member.status in ("creator", "administrator")
        self._admins[chat, user] = (admin, now_s + ADMINS_FOR_S)
        while len(self._admins) > REMEMBERED:
            self._admins.popitem(last=False)
        return admin

    def forget_admins(self, chat: int) -> None:
        """After Telegram said that somebody's rights changed there."""
        for key in [key for key in self._admins if key[0] == chat]:
            del self._admins[key]
