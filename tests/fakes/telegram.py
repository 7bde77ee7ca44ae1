"""The Bot API as a server of its own: strict about what the real one refuses, and a hand for the people in its chats.

Tests speak as people do (`say`, `press`, `type_inline`) and see what a chat shows (`shown`). What the server holds
bots to: the token, required fields, sizes, markup, keyboards; one poller at a time, offsets that confirm; 1 message a
second a chat, 20 a minute a group and 30 a second over all where `paced`; each press and inline query answered once;
edits that change nothing, chats that blocked, kicked, moved or closed a topic. `broken` is every call it refused.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from tests.fakes import telegram_rules as rules
from tests.fakes.telegram_people import Chat, Fields, People
from tests.fakes.telegram_rules import Bad

TOKEN = "42:" + "A" * 35
PNG = b"\x89PNG\r\n\x1a\n"


class Telegram(People):
    def __init__(self) -> None:
        super().__init__()
        self.me = {"id": 42, "is_bot": True, "first_name": "Tocsin", "username": "tocsin_bot", "can_join_groups": True,
                   "can_read_all_group_messages": False, "supports_inline_queries": True}  # fmt: skip
        self.token = TOKEN
        self.url = ""
        self.paced = False
        self.silent = asyncio.Event()  # while clear, answers hang
        self.silent.set()
        self.down: int | None = None  # an HTTP status for everything
        self.webhook = ""
        self.photos_refused = False
        self.markup_refused = False
        self.menus: dict[str, list[Fields]] = {}
        self.calls: list[tuple[str, Fields]] = []
        self.broken: list[tuple[str, str]] = []
        self.limited: dict[int, tuple[float, int]] = {}  # chat → until when, retry_after
        self._polling = 0
        self._times: list[float] = []

    # ------------------------------------------------------------------------------------------ server

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Telegram"]:
        app = web.Application(client_max_size=60_000_000)
        app.router.add_post("/bot{token}/{method}", self._serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.silent.set()
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        fields: Fields = {}
        for key, value in (await request.post()).items():
            fields[key] = value.file.read() if isinstance(value, web.FileField) else value
            if isinstance(value, str) and key not in ("text", "caption"):
                fields[key] = rules.decoded(value)
        self.calls.append((method, fields))
        await self.silent.wait()
        try:
            if self.down:
                raise Bad(self.down, "Bad Gateway")
            if request.match_info["token"] != self.token:
                raise Bad(401, "Unauthorized")
            handler = getattr(self, f"do_{method}", None)
            if handler is None:
                raise Bad(404, "Not Found: method not found")
            result = await handler(fields)
        except Bad as bad:
            self.broken.append((method, bad.description))
            answer = {"ok": False, "error_code": bad.status, "description": bad.description}
            return web.json_response(
                answer | ({"parameters": bad.parameters} if bad.parameters else {}), status=bad.status
            )
        finally:
            self._changed.set()
        return web.json_response({"ok": True, "result": result}, dumps=lambda value: json.dumps(value))

    async def do_getMe(self, _: Fields) -> Fields:
        return self.me

    async def do_getWebhookInfo(self, _: Fields) -> Fields:
        return {"url": self.webhook, "has_custom_certificate": False, "pending_update_count": 0}

    async def do_deleteWebhook(self, _: Fields) -> bool:
        self.webhook = ""
        return True

    async def do_getUpdates(self, fields: Fields) -> list[Fields]:
        if self.webhook:
            raise Bad(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first")
        self._polling += 1
        mine = self._polling
        self._new.set()  # whoever polled before is told that they are not alone
        offset = fields.get("offset", 0)
        self._updates = [one for one in self._updates if one["update_id"] >= offset]
        deadline = time.monotonic() + fields.get("timeout", 0)
        while True:
            wanted = fields.get("allowed_updates") or []
            found = [one for one in self._updates if not wanted or any(kind in one for kind in wanted)]
            if self._polling != mine:
                raise Bad(409, "Conflict: terminated by other getUpdates request; make sure that only one bot runs")
            if found or (left := deadline - time.monotonic()) <= 0:
                return found[:100]
            self._new.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._new.wait(), left)

    # ------------------------------------------------------------------------------------------ chats

    def _chat(self, fields: Fields) -> Chat:
        chat = self.chats.get(self._needed(fields, "chat_id"))
        if chat is None:
            raise Bad(400, "Bad Request: chat not found")
        if chat.moved_to:
            raise Bad(
                400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat.moved_to
            )
        if chat.closed:
            raise Bad(400 if chat.closed.startswith("Bad Request") else 403, chat.closed)
        return chat

    @staticmethod
    def _needed(fields: Fields, name: str) -> Any:
        if fields.get(name) in (None, ""):
            raise Bad(400, f"Bad Request: {name} is empty")
        return fields[name]

    def _writable(self, fields: Fields) -> Chat:
        chat = self._chat(fields)
        if not chat.started:
            raise Bad(403, "Forbidden: bot can't initiate conversation with a user")
        thread = fields.get("message_thread_id")
        if thread is not None and thread not in chat.topics:
            raise Bad(400, "Bad Request: message thread not found")
        self._pace(chat)
        return chat

    def _pace(self, chat: Chat) -> None:
        now = time.monotonic()
        until, retry_after = self.limited.get(chat.id, (0.0, 0))
        if now < until:
            raise Bad(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)
        if self.paced:
            over = [
                sum(1 for at in chat.times if at > now - 1) >= 1,
                chat.id < 0 and sum(1 for at in chat.times if at > now - 60) >= 20,
                sum(1 for at in self._times if at > now - 1) >= 30,
            ]
            if any(over):
                raise Bad(429, "Too Many Requests: retry after 3", retry_after=3)
        chat.times.append(now)
        self._times.append(now)

    def _sent(self, chat: Chat, fields: Fields, content: Fields) -> Fields:
        message = {
            "message_id": next(self._ids),
            "date": int(time.time()),
            "chat": chat.json(),
            "from": self.me,
            **content,
        }
        if markup := rules.keyboard(fields.get("reply_markup")):
            message["reply_markup"] = markup
        if "force_reply" in (fields.get("reply_markup") or {}):
            message["asks"] = True
        if thread := fields.get("message_thread_id"):
            message |= {"message_thread_id": thread, "is_topic_message": True}
        if fields.get("disable_notification"):
            message["quiet"] = True
        if answers := (fields.get("reply_parameters") or {}).get("message_id"):
            message["answers"] = answers
        if secret := fields.get("ephemeral_message_parameters"):
            self._whispered(chat, secret, fields)
            message |= {
                "message_id": 0,
                "ephemeral_message_id": next(self._ids),
                "receiver": secret["receiver_user_id"],
            }
            chat.ephemeral.append(message)
        else:
            chat.messages[message["message_id"]] = message
        return message

    def _whispered(self, chat: Chat, secret: Fields, fields: Fields) -> None:
        press = self.open_presses.get(str(secret.get("callback_query_id", "")), 0.0)
        asked = (fields.get("reply_parameters") or {}).get("ephemeral_message_id")
        recent = press and time.monotonic() - press < 15
        if chat.kind == "private" or not (recent or asked or 42 in chat.admins):
            raise Bad(400, "Bad Request: BOT_NOT_ADMIN")

    async def do_sendMessage(self, fields: Fields) -> Fields:
        content = rules.worded(str(self._needed(fields, "text")), fields.get("parse_mode"), rules.TEXT)
        if self.markup_refused and (fields.get("parse_mode") or fields.get("reply_markup")):
            raise Bad(400, "Bad Request: can't parse entities: what a new version may not like")
        return self._sent(self._writable(fields), fields, content)

    async def do_sendPhoto(self, fields: Fields) -> Fields:
        photo = self._file(fields, self._needed(fields, "photo"))
        if not photo.startswith(PNG) or self.photos_refused:
            raise Bad(400, "Bad Request: IMAGE_PROCESS_FAILED")
        return self._sent(self._writable(fields), fields, self._photo(fields.get("caption"), fields.get("parse_mode")))

    def _photo(self, caption: str | None, parse_mode: str | None) -> Fields:
        sizes = [{"file_id": "f", "file_unique_id": "u", "width": 90, "height": 90}]
        if not caption:
            return {"photo": sizes}
        words = rules.worded(str(caption), parse_mode, rules.CAPTION)
        return {"photo": sizes, "caption": words["text"], "caption_entities": words["entities"]}

    async def do_sendDocument(self, fields: Fields) -> Fields:
        content = self._file(fields, self._needed(fields, "document"))
        document = {"file_id": "f", "file_unique_id": "u", "file_size": len(content)}
        return self._sent(self._writable(fields), fields, {"document": document})

    def _file(self, fields: Fields, reference: Any) -> bytes:
        content = fields.get(str(reference).removeprefix("attach://"))
        if not isinstance(content, bytes) or not content:
            raise Bad(400, "Bad Request: there is no such file")
        return content

    def _message(self, fields: Fields) -> Fields:
        if "inline_message_id" in fields:
            return self.inline_messages[fields["inline_message_id"]]
        chat = self._chat(fields)
        message = chat.messages.get(self._needed(fields, "message_id"))
        if message is None or message["from"]["id"] != 42:
            raise Bad(400, "Bad Request: message to edit not found")
        self._pace(chat)
        return message

    def _changes(self, message: Fields, fields: Fields, content: Fields) -> Any:
        markup = rules.keyboard(fields.get("reply_markup"))
        before = json.dumps([message.get(key) for key in (*content, "reply_markup")], default=str)
        if before == json.dumps([*content.values(), markup], default=str) and "photo" not in content:
            raise Bad(400, "Bad Request: message is not modified: specified new message content and reply markup are"
                           " exactly the same as a current content and reply markup of the message")  # fmt: skip
        message |= content | {"edited": message.get("edited", 0) + 1}
        message.pop("reply_markup", None)
        if markup:
            message["reply_markup"] = markup
        return True if "inline" in message else message

    async def do_editMessageText(self, fields: Fields) -> Any:
        message = self._message(fields)
        if "photo" in message:
            raise Bad(400, "Bad Request: there is no text in the message to edit")
        return self._changes(message, fields, rules.worded(fields["text"], fields.get("parse_mode"), rules.TEXT))

    async def do_editMessageCaption(self, fields: Fields) -> Any:
        message = self._message(fields)
        words = self._photo(fields.get("caption"), fields.get("parse_mode"))
        return self._changes(message, fields, {key: value for key, value in words.items() if key != "photo"})

    async def do_editMessageMedia(self, fields: Fields) -> Any:
        media = self._needed(fields, "media")
        if not self._file(fields, media.get("media")).startswith(PNG):
            raise Bad(400, "Bad Request: IMAGE_PROCESS_FAILED")
        message = self._message(fields)
        message.pop("text", None)
        return self._changes(message, fields, self._photo(media.get("caption"), media.get("parse_mode")))

    async def do_editEphemeralMessageText(self, fields: Fields) -> bool:
        chat = self._chat(fields)
        number = (self._needed(fields, "ephemeral_message_id"), self._needed(fields, "receiver_user_id"))
        found = [one for one in chat.ephemeral if (one["ephemeral_message_id"], one["receiver"]) == number]
        if not found:
            raise Bad(400, "Bad Request: message to edit not found")
        self._changes(found[0], fields, rules.worded(fields["text"], fields.get("parse_mode"), rules.TEXT))
        return True

    async def do_deleteMessage(self, fields: Fields) -> bool:
        if self._chat(fields).messages.pop(self._needed(fields, "message_id"), None) is None:
            raise Bad(400, "Bad Request: message to delete not found")
        return True

    async def do_pinChatMessage(self, fields: Fields) -> bool:
        chat = self._chat(fields)
        if not chat.may_pin:
            raise Bad(400, "Bad Request: not enough rights to manage pinned messages in the chat")
        chat.pinned = self._needed(fields, "message_id")
        return True

    async def do_unpinChatMessage(self, fields: Fields) -> bool:
        self._chat(fields).pinned = None
        return True

    async def do_getChat(self, fields: Fields) -> Fields:
        chat = self._chat(fields)
        pinned = chat.messages.get(chat.pinned or 0)
        accepted = {"disallowed_gifts": False, "unlimited_gifts": False, "limited_gifts": False, "unique_gifts": False,
                    "premium_subscription": False, "gifts_from_channels": False}  # fmt: skip
        full = {"accent_color_id": 0, "max_reaction_count": 1, "accepted_gift_types": accepted}
        return chat.json() | full | ({"pinned_message": pinned} if pinned else {})

    async def do_getChatMember(self, fields: Fields) -> Fields:
        chat, user = self._chat(fields), self.users[self._needed(fields, "user_id")]
        if user["id"] not in chat.admins:
            return {"status": "member", "user": user}
        return {"status": "creator", "user": user, "is_anonymous": False}

    # ---------------------------------------------------------------------------------------- answers

    async def do_answerCallbackQuery(self, fields: Fields) -> bool:
        number = str(self._needed(fields, "callback_query_id"))
        if number in self.answers or time.monotonic() - self.open_presses.get(number, 0.0) > 15:
            raise Bad(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        if len(str(fields.get("text", ""))) > rules.TOAST:
            raise Bad(400, "Bad Request: MESSAGE_TOO_LONG")
        self.answers[number] = fields
        return True

    async def do_answerInlineQuery(self, fields: Fields) -> bool:
        number = str(self._needed(fields, "inline_query_id"))
        if number in self.inline:
            raise Bad(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self.inline[number] = fields | {"results": rules.results(fields.get("results", []))}
        return True

    async def do_getMyCommands(self, fields: Fields) -> list[Fields]:
        return self.menus.get(self._scope(fields), [])

    async def do_setMyCommands(self, fields: Fields) -> bool:
        self.menus[self._scope(fields)] = rules.commands(self._needed(fields, "commands"))
        return True

    @staticmethod
    def _scope(fields: Fields) -> str:
        return f"{(fields.get('scope') or {'type': 'default'})['type']}/{fields.get('language_code', '')}".rstrip("/")
