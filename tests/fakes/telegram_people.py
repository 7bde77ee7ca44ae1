"""The people of tests.fakes.telegram: what they say, press and type, and what they see in their chats."""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Fields = dict[str, Any]
KICKED: dict[str, Fields] = {"kicked": {"until_date": 0}}


class Chat:
    def __init__(self, id: int, kind: str, title: str) -> None:
        self.id, self.kind, self.title = id, kind, title
        self.started = kind != "private"
        self.closed = ""  # the answer to whoever writes there
        self.moved_to = 0
        self.topics: set[int] = set()
        self.admins: set[int] = set()
        self.may_pin = True
        self.messages: dict[int, Fields] = {}
        self.ephemeral: list[Fields] = []
        self.pinned: int | None = None
        self.times: list[float] = []

    def json(self) -> Fields:
        name = {"first_name": self.title} if self.kind == "private" else {"title": self.title}
        return {"id": self.id, "type": self.kind, **name}


class People:
    """The chats of a server, as those see them who are in them."""

    me: Fields

    def __init__(self) -> None:
        self.chats: dict[int, Chat] = {}
        self.users: dict[int, Fields] = {}
        self.answers: dict[str, Fields] = {}
        self.open_presses: dict[str, float] = {}
        self.inline: dict[str, Fields] = {}
        self.inline_messages: dict[str, Fields] = {}
        self._updates: list[Fields] = []
        self._new = asyncio.Event()
        self._changed = asyncio.Event()
        self._ids = itertools.count(100)

    def person(self, id: int, name: str, language: str = "en") -> int:
        self.users[id] = {"id": id, "is_bot": False, "first_name": name, "language_code": language}
        self.chats[id] = Chat(id, "private", name)
        return id

    def group(self, id: int, title: str, *, admins: tuple[int, ...] = (), topics: tuple[int, ...] = ()) -> int:
        chat = self.chats[id] = Chat(id, "supergroup", title)
        chat.admins, chat.topics = set(admins), set(topics)
        return id

    def say(self, chat: int, person: int, text: str, *, thread: int | None = None, reply_to: Fields | None = None,
            as_chat: bool = False, ephemeral: int | None = None) -> Fields:  # fmt: skip
        here = self.chats[chat]
        here.started = True
        message = {"message_id": 0 if ephemeral else next(self._ids), "date": int(time.time()), "chat": here.json(),
                   "from": self.users[person], "text": text}  # fmt: skip
        if thread is not None:
            message |= {"message_thread_id": thread, "is_topic_message": True}
        if reply_to is not None:
            message["reply_to_message"] = {key: value for key, value in reply_to.items() if key != "reply_to_message"}
        if as_chat:
            message["sender_chat"] = here.json()
        if ephemeral:
            message["ephemeral_message_id"] = ephemeral
        self.update("channel_post" if here.kind == "channel" else "message", message)
        return message

    def migrates(self, old: int, new: int) -> None:
        """A group becomes a supergroup, and says so in the old chat."""
        here = self.chats[old].json()
        self.chats[old].moved_to = new
        service = {"message_id": next(self._ids), "date": int(time.time()), "chat": here, "migrate_to_chat_id": new}
        self.update("message", service | {"from": {"id": 1, "is_bot": False, "first_name": "Group"}})

    def adds_bot(self, chat: int, person: int, *, now: str = "member", before: str = "left") -> None:
        """Somebody takes the bot into a group, or throws it out."""
        members = [{"user": self.me, "status": status} | KICKED.get(status, {}) for status in (before, now)]
        change = {"chat": self.chats[chat].json(), "from": self.users[person], "date": int(time.time())}
        self.update("my_chat_member", change | {"old_chat_member": members[0], "new_chat_member": members[1]})

    def press(self, message: Fields, label: str, person: int) -> str:
        """The id of the press; `answered` waits for what became of it."""
        keys = [key for row in message["reply_markup"]["inline_keyboard"] for key in row]
        (data,) = [key["callback_data"] for key in keys if key["text"] == label]
        return self.press_data(message, data, person)

    def press_data(self, message: Fields, data: str, person: int) -> str:
        number = str(next(self._ids))
        self.open_presses[number] = time.monotonic()
        where = {"inline_message_id": message["inline"]} if "inline" in message else {"message": message}
        self.update(
            "callback_query", {"id": number, "from": self.users[person], "chat_instance": "1", "data": data} | where
        )
        return number

    def type_inline(self, person: int, text: str) -> str:
        number = str(next(self._ids))
        self.update("inline_query", {"id": number, "from": self.users[person], "query": text, "offset": ""})
        return number

    def choose(self, answer: Fields, number: int = 0) -> Fields:
        """Sends an inline result into some chat; what others see there."""
        key = f"inline{next(self._ids)}"
        result = answer["results"][number]
        self.inline_messages[key] = {"inline": key, **result["shown"], "reply_markup": result.get("reply_markup")}
        return self.inline_messages[key]

    def update(self, kind: str, content: Fields) -> None:
        self._updates.append({"update_id": next(self._ids), kind: content})
        self._new.set()

    async def answered(self, number: str, within_s: float = 5.0) -> Fields:
        answer: Fields = await self.until(lambda: self.answers.get(number) or self.inline.get(number), within_s)
        return answer

    async def shown(self, chat: int, count: int = 1, within_s: float = 5.0) -> Fields:
        """The newest message of ours there, once there are so many."""
        there = self.chats[chat].messages
        ours: list[Fields] = await self.until(lambda: _at_least(list(there.values()), count), within_s)
        return ours[-1]

    async def until(self, look: Callable[[], Any], within_s: float = 5.0) -> Any:
        async with asyncio.timeout(within_s):
            while not (found := look()):
                self._changed.clear()
                with suppress(TimeoutError):  # what is looked for may change elsewhere
                    await asyncio.wait_for(self._changed.wait(), 0.02)
        return found


def _at_least(messages: list[Fields], count: int) -> list[Fields]:
    return messages if len(messages) >= count else []
