"""A Post into a chat: sent, edited in place, or whispered to one person in a group.

Text goes first: where a picture cannot be sent, its words go as a text. What is private goes to the asker alone: as an
ephemeral message where Telegram takes one (an answer to a pressed button or to an ephemeral command, or wherever the
bot is an administrator), else into their private talk, with a word in the group; never into the group itself. Depends
on bots.telegram.api.
"""

import structlog
from aiogram.methods import (
    EditEphemeralMessageText,
    EditMessageCaption,
    EditMessageMedia,
    EditMessageText,
    SendDocument,
    SendMessage,
    SendPhoto,
)
from aiogram.types import (
    BufferedInputFile,
    EphemeralMessageParameters,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    Message,
    ReplyParameters,
)

from bots.pace import Rank
from bots.telegram import limits
from bots.telegram.api import Api
from bots.telegram.lines import HELLO
from bots.telegram.people import Spot
from bots.telegram.render import Key, Post, Rows
from hub.plugin import GiveUp, Gone

log = structlog.get_logger("telegram")

WROTE = "I answered in our private chat."
OPEN_FIRST = "The answer is for you alone: open a private chat with me, then ask again."
NOBODY = "The answer is for one person alone, and you write in the name of this chat: ask me in a private chat."


def keyboard(rows: Rows) -> InlineKeyboardMarkup | None:
    buttons = [
        [InlineKeyboardButton(text=key.label, callback_data=key.data or None, url=key.url or None) for key in row]
        for row in rows
    ]
    return InlineKeyboardMarkup(inline_keyboard=buttons) if buttons else None


class Show:
    def __init__(self, api: Api) -> None:
        self._api = api

    # ---------------------------------------------------------------------------------------- sending

    async def send(self, post: Post, spot: Spot, rank: Rank = Rank.REPLY) -> Message | None:
        """What was sent first; None where it could only be whispered."""
        if spot.secret and spot.place:
            await self.whisper(post, spot)
            return None
        first = await self._picture(post, spot, rank) if post.image else None
        if first is None:
            first = await self._text(post, spot, rank)
        if post.file:
            document = BufferedInputFile(post.file.content, filename=post.file.name)
            await self._api.say(SendDocument(chat_id=spot.chat, message_thread_id=spot.thread, document=document), rank)
        return first

    async def _text(self, post: Post, spot: Spot, rank: Rank) -> Message:
        asks = ForceReply(selective=True, input_field_placeholder=post.ask or None) if post.ask is not None else None
        method = SendMessage(
            chat_id=spot.chat,
            message_thread_id=spot.thread,
            text=post.html,
            reply_markup=asks or keyboard(post.rows),
            reply_parameters=_to(spot),
        )
        return await self._api.say(method, rank)

    async def _picture(self, post: Post, spot: Spot, rank: Rank) -> Message | None:
        """None where the picture has to be left out."""
        assert post.image is not None
        if len(post.image) > limits.PHOTO_BYTES:
            log.warning("a picture was left out", reason="larger than Telegram takes", bytes=len(post.image))
            return None
        captioned = _short(post)
        if not captioned:
            await self._text(post, spot, rank)
        method = SendPhoto(
            chat_id=spot.chat,
            message_thread_id=spot.thread,
            photo=BufferedInputFile(post.image, filename="chart.png"),
            caption=post.html if captioned else None,
            reply_markup=keyboard(post.rows) if captioned else None,
            reply_parameters=_to(spot),
        )
        try:
            return await self._api.say(method, rank)
        except Gone:
            raise
        except GiveUp as error:
            log.warning("a picture was left out", reason=error.reason)
            return None

    # ---------------------------------------------------------------------------------------- editing

    async def edit(self, post: Post, message: Message, spot: Spot, rank: Rank = Rank.REPLY) -> bool:
        """In the place of a message of ours. False where Telegram does not let us, as with one that was deleted."""
        try:
            await self._edit(post, message, spot, rank)
        except Gone:
            raise
        except GiveUp as error:
            log.info("a message could not be edited", reason=error.reason)
            return False
        return True

    async def _edit(self, post: Post, message: Message, spot: Spot, rank: Rank) -> None:
        markup, chat, number = keyboard(post.rows), message.chat.id, message.message_id
        if message.ephemeral_message_id is not None:
            await self._api.call(
                EditEphemeralMessageText(
                    chat_id=message.chat.id, receiver_user_id=spot.person,
                    ephemeral_message_id=message.ephemeral_message_id, text=post.html, reply_markup=markup,
                )
            )  # fmt: skip
        elif post.image and _short(post):
            photo = InputMediaPhoto(media=BufferedInputFile(post.image, filename="chart.png"), caption=post.html,
                                    parse_mode="HTML")  # fmt: skip
            media = EditMessageMedia(chat_id=chat, message_id=number, media=photo, reply_markup=markup)
            await self._api.say(media, rank)
        elif message.photo:
            if not _short(post):
                raise GiveUp("too long under a picture")
            caption = EditMessageCaption(chat_id=chat, message_id=number, caption=post.html, reply_markup=markup)
            await self._api.say(caption, rank)
        else:
            text = EditMessageText(chat_id=chat, message_id=number, text=post.html, reply_markup=markup)
            await self._api.say(text, rank)

    # ------------------------------------------------------------------------------------- whispering

    async def whisper(self, post: Post, spot: Spot) -> None:
        """To the asker alone, though they asked in a group."""
        if not spot.person:
            await self._word(NOBODY, "Open", spot)
        elif post.file or post.image or not await self._ephemeral(post, spot):
            await self._in_private(post, spot)

    async def _ephemeral(self, post: Post, spot: Spot) -> bool:
        method = SendMessage(
            chat_id=spot.chat,
            message_thread_id=spot.thread,
            text=post.html,
            reply_markup=keyboard(post.rows),
            reply_parameters=ReplyParameters(ephemeral_message_id=spot.ephemeral) if spot.ephemeral else None,
            ephemeral_message_parameters=EphemeralMessageParameters(
                receiver_user_id=spot.person, callback_query_id=spot.callback or None
            ),
        )
        try:
            await self._api.say(method, Rank.REPLY)
        except GiveUp as error:
            log.debug("no ephemeral message there", reason=error.reason)
            return False
        return True

    async def _in_private(self, post: Post, spot: Spot) -> None:
        try:
            await self.send(post, Spot(chat=spot.person, person=spot.person))
        except Gone:
            await self._word(OPEN_FIRST, "Open", spot)
        else:
            await self._word(WROTE, "Show me", spot)

    async def _word(self, text: str, label: str, spot: Spot) -> None:
        """Short and without a secret, into the group."""
        rows = ((Key(label, url=f"https://t.me/{self._api.name}?start={HELLO}"),),)
        await self._text(Post(html=text, rows=rows), spot, Rank.REPLY)


def _short(post: Post) -> bool:
    """Whether it fits under a picture. Markup counts here, which Telegram does not count."""
    return limits.size(post.html) <= limits.CAPTION


def _to(spot: Spot) -> ReplyParameters | None:
    if spot.reply_to is None:
        return None
    return ReplyParameters(message_id=spot.reply_to, allow_sending_without_reply=True)
