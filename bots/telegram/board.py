"""Live boards: a watch list pinned in a chat and edited in place, at most once in so many seconds.

`board`, `board metals`, `board off`. A board is the reply to `watch`, brought up to date with the line of its Refresh
button as the person who asked for it. Its state stands in the pin: the button's data names that person and the line,
so after a restart a board goes on as soon as anything is heard from its chat. Edits are of the lowest rank, and what
has not changed is not sent. Depends on bots.telegram.api and show.
"""

import asyncio
from collections import OrderedDict

import msgspec
import structlog
from aiogram.methods import GetChat, PinChatMessage, UnpinChatMessage
from aiogram.types import Message

from bots.pace import Rank
from bots.telegram import limits, render
from bots.telegram.api import Api
from bots.telegram.people import PLATFORM, Spot, address_of
from bots.telegram.render import Key, Post
from bots.telegram.show import Show
from hub.model import Line, Reply, Who
from hub.plugin import GiveUp, Hub, TryLater

log = structlog.get_logger("telegram")

MARK = "~"
MOST = 200  # boards; the one that was asked for longest ago ends
LOOKED_AT = 20_000  # chats whose pin was looked at
PIN_REFUSED = "I may not pin it here: make me an administrator with the right to pin messages."


class Board(msgspec.Struct, kw_only=True):
    message: Message
    spot: Spot
    who: Who
    line: str
    shown: str


class Boards:
    def __init__(self, api: Api, show: Show, every_s: float) -> None:
        self._api = api
        self._show = show
        self._every_s = every_s
        self._boards: OrderedDict[int, Board] = OrderedDict()
        self._looked_at: OrderedDict[int, None] = OrderedDict()

    async def run(self, hub: Hub) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            for board in tuple(self._boards.values()):
                await self._update(hub, board)

    # ---------------------------------------------------------------------------------------- starting

    async def start(self, hub: Hub, spot: Spot, who: Who, name: str) -> None:
        """In the place of the board that is there; a reply that is no board is shown as it is."""
        reply = await hub.ask(Line(text=f"watch {name}".strip(), who=who))
        line = next((button.line for button in reply.buttons if button.line.startswith("watch refresh")), "")
        data = f"{MARK}{who.id}:{line}"
        if not reply.ok or not line or len(data.encode()) > limits.CALLBACK_BYTES:
            await self._show.send(render.post(reply), spot)
            return
        await self.stop(spot.chat)
        post = board_post(reply, data)
        message = await self._show.send(post, msgspec.structs.replace(spot, reply_to=None))
        if message is None:
            return
        self._keep(Board(message=message, spot=spot, who=who, line=line, shown=post.html))
        try:
            await self._api.call(
                PinChatMessage(chat_id=spot.chat, message_id=message.message_id, disable_notification=True)
            )
        except GiveUp:
            await self._show.send(Post(html=PIN_REFUSED), spot)

    async def stop(self, chat: int) -> bool:
        """Whether there was one."""
        board = self._boards.pop(chat, None)
        if board is None:
            return False
        try:
            await self._api.call(UnpinChatMessage(chat_id=chat, message_id=board.message.message_id))
        except (GiveUp, TryLater) as error:
            log.info("a board could not be unpinned", reason=error.reason)
        return True

    async def look(self, chat: int) -> None:
        """Finds the board that was pinned in a chat before this start; once a chat."""
        if chat in self._looked_at or chat in self._boards:
            return
        self._looked_at[chat] = None
        while len(self._looked_at) > LOOKED_AT:
            self._looked_at.popitem(last=False)
        try:
            pinned = (await self._api.call(GetChat(chat_id=chat))).pinned_message
        except (GiveUp, TryLater):
            return
        if isinstance(pinned, Message) and pinned.from_user and self._api.me and pinned.from_user.id == self._api.me.id:
            self._resume(pinned)

    def _resume(self, pinned: Message) -> None:
        rows = pinned.reply_markup.inline_keyboard if pinned.reply_markup else []
        data = next(
            (key.callback_data for row in rows for key in row if (key.callback_data or "").startswith(MARK)), None
        )
        if data is None:
            return
        person, _, line = data.removeprefix(MARK).partition(":")
        chat = pinned.chat
        place = chat.type != "private"
        thread = pinned.message_thread_id if pinned.is_topic_message else None
        who = Who(platform=PLATFORM, id=person, place=str(chat.id) if place else "", place_name=chat.title or "",
                  address=address_of(chat.id, thread))  # fmt: skip
        spot = Spot(chat=chat.id, thread=thread, place=place)
        self._keep(Board(message=pinned, spot=spot, who=who, line=line, shown=""))

    def _keep(self, board: Board) -> None:
        self._boards[board.spot.chat] = board
        self._boards.move_to_end(board.spot.chat)
        while len(self._boards) > MOST:
            self._boards.popitem(last=False)

    # ---------------------------------------------------------------------------------------- updating

    async def _update(self, hub: Hub, board: Board) -> None:
        """One edit where anything changed; a board that cannot be edited any more ends."""
        try:
            reply = await hub.ask(Line(text=board.line, who=board.who))
            post = board_post(reply, f"{MARK}{board.who.id}:{board.line}")
            if reply.ok and post.html != board.shown:
                if await self._show.edit(post, board.message, board.spot, Rank.BOARD):
                    board.shown = post.html
                else:
                    self._end(board, "it cannot be edited any more")
        except TryLater as error:
            log.debug("a board waits", reason=error.reason)
        except GiveUp as error:
            self._end(board, error.reason)
        except Exception:
            log.exception("a bug in a board")
            self._end(board, "a bug")

    def _end(self, board: Board, reason: str) -> None:
        log.info("a board ended", reason=reason)
        if self._boards.get(board.spot.chat) is board:
            del self._boards[board.spot.chat]


def board_post(reply: Reply, data: str) -> Post:
    """The board with its one button, which names whose board it is."""
    post = render.post(reply)
    return msgspec.structs.replace(post, rows=((Key("Refresh", data),),), image=None, file=None)


def line_of(data: str) -> str:
    """The line of a button: a board's names its owner in front."""
    return data.partition(":")[2] if data.startswith(MARK) else data


def asked(line: str) -> str | None:
    """The name behind `board` or `watch board`: a list's, "off" or nothing. None: another line."""
    words = line.split()
    if words[:1] == ["board"]:
        return " ".join(words[1:])
    if words[:2] == ["watch", "board"]:
        return " ".join(words[2:])
    return None
