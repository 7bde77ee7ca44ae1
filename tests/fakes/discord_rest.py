"""The REST half of a Discord on this machine: its channels, messages, slash commands, and answers to interactions.

Refuses what Discord refuses, and keeps its limits: 5 messages in 5 s a channel, 50 requests a second.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.fakes import discord_rules as rules
from tests.fakes.discord_parts import (
    EPHEMERAL,
    GUILD,
    ME,
    WRITER,
    application,
    attachment,
    message_of,
    pings,
    plain,
    resolved,
    stored_command,
    text_of,
    user,
)
from tests.fakes.discord_wire import Refusal, body_of, refuse, reply

TOKEN = "MTAwMDAwMDAwMDAwMDAwMDAwMA.GfakeX.not-a-real-token-of-anybody-0000"
DEADLINE_S = 3.0
LARGEST = 10_000_000
VALID = {2: {4, 5, 9}, 3: {4, 5, 6, 7, 9}, 4: {8}, 5: {4, 5, 6, 7}}
"""Which callbacks each type of interaction may have."""


class Asked:
    """One interaction and what came of it."""

    def __init__(self, payload: dict[str, Any], message: dict[str, Any] | None) -> None:
        self.id, self.token, self.type = int(payload["id"]), payload["token"], payload["type"]
        self.channel_id = int(payload["channel"]["id"])
        self.started = time.monotonic()
        self.message = message  # that was pressed
        self.original: dict[str, Any] | None = None
        self.callback: dict[str, Any] | None = None
        self.messages: list[dict[str, Any]] = []
        self.waiting = False  # deferred with "thinking", and nothing has come yet
        self.changed = asyncio.Event()

    @property
    def modal(self) -> dict[str, Any] | None:
        return self.callback["data"] if self.callback and self.callback["type"] == 9 else None

    @property
    def choices(self) -> list[dict[str, Any]] | None:
        return self.callback["data"]["choices"] if self.callback and self.callback["type"] == 8 else None

    @property
    def shown(self) -> dict[str, Any] | None:
        """The newest message that came of it, or the pressed one where that was changed."""
        return self.messages[-1] if self.messages else None

    async def answered(self, within_s: float = 5.0) -> "Asked":
        """Once there is something to see."""
        async with asyncio.timeout(within_s):
            while not (self.modal or self.choices is not None or (self.shown and not self.waiting)):
                self.changed.clear()
                await self.changed.wait()
        return self


class Rest:
    def __init__(self) -> None:
        self.token = TOKEN
        self.down = False
        self.commands: list[dict[str, Any]] = []
        self.command_writes = 0
        self.channels: dict[int, dict[str, Any]] = {}
        self.messages: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.refusing: dict[int, tuple[int, int]] = {}  # channel or user → status and code
        self.refuse_files: tuple[int, int] | None = None
        self.limit: tuple[int, float] = (5, 5.0)  # messages a channel in seconds
        self.limited = Counter[int]()  # requests that were answered 429, by channel
        self.requests: list[str] = []
        self.rights: dict[int, int] = {}  # of the bot, by channel
        self._ids = iter(range(10_000, 10_000_000))
        self._sent: dict[int, deque[float]] = defaultdict(deque)
        self._all: deque[float] = deque()
        self._asked: dict[str, Asked] = {}
        self._nonces: dict[tuple[int, str], dict[str, Any]] = {}
        self.channel(4000, "gold")

    # ---------------------------------------------------------------------------------- what there is

    def channel(self, channel_id: int, name: str, *, thread_of: int = 0, rights: int = WRITER) -> int:
        kind = {"type": 11, "parent_id": str(thread_of)} if thread_of else {"type": 0, "position": 1}
        self.channels[channel_id] = {
            "id": str(channel_id), "guild_id": str(GUILD), "name": name, "permission_overwrites": [], **kind,
        }  # fmt: skip
        if thread_of:
            self.channels[channel_id] |= {
                "owner_id": "1", "message_count": 0, "member_count": 1,
                "thread_metadata": {
                    "archived": False, "auto_archive_duration": 60, "archive_timestamp": "2027-01-15T08:00:00+00:00",
                    "locked": False,
                },
            }  # fmt: skip
        elif rights != WRITER:
            deny = str(WRITER & ~rights)
            self.channels[channel_id]["permission_overwrites"] = [
                {"id": str(ME), "type": 1, "allow": "0", "deny": deny}
            ]
        self.rights[channel_id] = rights
        return channel_id

    def private(self, user_id: int) -> int:
        """The channel of somebody's private messages."""
        for known in self.channels.values():
            if known["type"] == 1 and known["recipients"][0]["id"] == str(user_id):
                return int(known["id"])
        channel_id = next(self._ids)
        self.channels[channel_id] = {"id": str(channel_id), "type": 1, "recipients": [user(user_id)]}
        return channel_id

    def texts(self, channel_id: int) -> list[str]:
        """All that can be read in a channel, a message each."""
        return [text_of(message) for message in self.messages[channel_id] if not message["flags"] & EPHEMERAL]

    async def until(self, channel_id: int, count: int = 1, within_s: float = 5.0) -> list[dict[str, Any]]:
        deadline = time.monotonic() + within_s
        while len(self.messages[channel_id]) < count:
            assert time.monotonic() < deadline, f"{len(self.messages[channel_id])} of {count} messages came"
            await asyncio.sleep(0.01)
        return self.messages[channel_id]

    # -------------------------------------------------------------------------------------------- REST

    def application(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        for method, path, handler in (
            ("GET", "/users/@me", self._me),
            ("POST", "/users/@me/channels", self._open_private),
            ("GET", "/oauth2/applications/@me", self._application),
            ("GET", "/applications/{app}/commands", self._get_commands),
            ("PUT", "/applications/{app}/commands", self._put_commands),
            ("GET", "/channels/{channel}", self._get_channel),
            ("POST", "/channels/{channel}/messages", self._post),
            ("PATCH", "/channels/{channel}/messages/{message}", self._patch),
            ("POST", "/interactions/{id}/{token}/callback", self._callback),
            ("POST", "/webhooks/{app}/{token}", self._follow_up),
            ("PATCH", "/webhooks/{app}/{token}/messages/@original", self._patch_original),
            ("DELETE", "/webhooks/{app}/{token}/messages/@original", self._delete_original),
        ):
            app.router.add_route(method, f"/api/v10{path}", self._guarded(handler))
        return app

    def _guarded(self, handler: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            self.requests.append(f"{request.method} {request.path}")
            try:
                if self.down:
                    raise Refusal(503, 0, "upstream connect error")
                free = request.path.startswith(("/api/v10/interactions/", "/api/v10/webhooks/"))
                if not free:
                    if request.headers.get("Authorization") != f"Bot {self.token}":
                        raise Refusal(401, 0, "401: Unauthorized")
                    self._take(self._all, 50, 1.0, "global")
                status, body, headers = await handler(request)
                return reply(status, body, headers)
            except Refusal as refusal:
                if refusal.status == 429:
                    self.limited[int(request.match_info.get("channel", 0))] += 1
                    wait_s = refusal.body["retry_after"]
                    scope = "global" if refusal.body["global"] else "user"
                    headers = {"Retry-After": str(int(wait_s) + 1), "X-RateLimit-Scope": scope}
                    return reply(429, refusal.body, headers)
                return reply(refusal.status, refusal.body, {})

        return answer

    def _take(self, times: deque[float], most: int, per_s: float, scope: str) -> tuple[int, float]:
        """How many are left in this window and when it ends; 429 where none is."""
        now = time.monotonic()
        while times and times[0] <= now - per_s:
            times.popleft()
        left_s = times[0] + per_s - now if times else per_s
        if len(times) >= most:
            message = "You are being rate limited."
            raise Refusal(429, 0, message, retry_after=round(left_s, 3), **{"global": scope == "global"})
        times.append(now)
        return most - len(times), left_s

    async def _me(self, request: web.Request) -> Any:
        return 200, user(ME, "Tocsin", bot=True), {}

    async def _application(self, request: web.Request) -> Any:
        return 200, application(), {}

    async def _open_private(self, request: web.Request) -> Any:
        user_id = int((await request.json())["recipient_id"])
        if user_id in self.refusing and self.refusing[user_id][1] == 10013:
            raise Refusal(*self.refusing[user_id], "Unknown User")
        return 200, self.channels[self.private(user_id)], {}

    async def _get_commands(self, request: web.Request) -> Any:
        if request.query.get("with_localizations") == "true":
            return 200, self.commands, {}
        return 200, [{k: v for k, v in one.items() if not k.endswith("_localizations")} for one in self.commands], {}

    async def _put_commands(self, request: web.Request) -> Any:
        wanted = await request.json()
        refuse(rules.wrong_commands(wanted))
        self.command_writes += 1
        self.commands = [stored_command(command, next(self._ids)) for command in wanted]
        return 200, self.commands, {}

    def _known(self, request: web.Request) -> int:
        channel_id = int(request.match_info["channel"])
        channel = self.channels.get(channel_id)
        if channel is None:
            raise Refusal(404, 10003, "Unknown Channel")
        owner = int(channel["recipients"][0]["id"]) if channel["type"] == 1 else 0
        for one in (channel_id, owner):
            if one in self.refusing:
                raise Refusal(*self.refusing[one], "refused")
        if channel["type"] != 1 and not self.rights[channel_id] & 0x400:
            raise Refusal(403, 50001, "Missing Access")
        return channel_id

    async def _get_channel(self, request: web.Request) -> Any:
        return 200, self.channels[self._known(request)], {}

    async def _post(self, request: web.Request) -> Any:
        channel_id = self._known(request)
        remaining, reset_s = self._take(self._sent[channel_id], *self.limit, "user")
        payload, files = await body_of(request)
        self._check_files(files)
        if self.channels[channel_id]["type"] != 1 and not self.rights[channel_id] & 0x800:
            raise Refusal(403, 50013, "Missing Permissions")
        if files and self.channels[channel_id]["type"] != 1 and not self.rights[channel_id] & 0x8000:
            raise Refusal(403, 50013, "Missing Permissions")
        refuse(rules.wrong_message(payload, files, False))
        nonce = (channel_id, str(payload.get("nonce", "")))
        if payload.get("enforce_nonce") and nonce in self._nonces:
            message = self._nonces[nonce]
        else:
            message = self._store(channel_id, payload, files, user(ME, "Tocsin", bot=True))
            self._nonces[nonce] = message
        headers = {
            "X-RateLimit-Limit": str(self.limit[0]), "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": f"{time.time() + reset_s:.3f}", "X-RateLimit-Reset-After": f"{reset_s:.3f}",
            "X-RateLimit-Bucket": "messages",
        }  # fmt: skip
        return 200, plain(message), headers

    async def _patch(self, request: web.Request) -> Any:
        message = self._message(self._known(request), int(request.match_info["message"]))
        payload, files = await body_of(request)
        self._change(message, payload, files)
        return 200, plain(message), {}

    def _message(self, channel_id: int, message_id: int) -> dict[str, Any]:
        for message in self.messages[channel_id]:
            if message["id"] == str(message_id):
                return message
        raise Refusal(404, 10008, "Unknown Message")

    def _check_files(self, files: Mapping[str, bytes]) -> None:
        if files and self.refuse_files:
            raise Refusal(*self.refuse_files, "refused")
        if sum(map(len, files.values())) > LARGEST:
            raise Refusal(413, 40005, "Request entity too large")

    def _store(
        self, channel_id: int, payload: Mapping[str, Any], files: Mapping[str, bytes], author: dict[str, Any]
    ) -> dict[str, Any]:
        message = message_of(next(self._ids), channel_id, author)
        message["nonce"] = payload.get("nonce")
        message["reference"] = payload.get("message_reference")
        message["flags"] = payload.get("flags", 0)
        self._change(message, payload, files, new=True)
        self.messages[channel_id].append(message)
        return message

    def _change(
        self, message: dict[str, Any], payload: Mapping[str, Any], files: Mapping[str, bytes], *, new: bool = False
    ) -> None:
        """Parts that are not named stay; `attachments` names those that are kept beside the new ones."""
        self._check_files(files)
        kept = [] if new or "attachments" in payload else message["attachments"]
        known = {one["filename"]: one["_bytes"] for one in kept} | dict(files)
        refuse(rules.wrong_message(payload, known, not new))
        if message["flags"] & EPHEMERAL and payload.get("content") == "":
            raise Refusal(400, 50006, "Cannot send an empty message")
        for key in ("content", "embeds", "components", "allowed_mentions"):
            if key in payload:
                message[key] = payload[key] or ("" if key == "content" else [])
        message["attachments"] = [*kept, *(attachment(name, data, next(self._ids)) for name, data in files.items())]
        message["embeds"] = [resolved(embed, message["attachments"]) for embed in message["embeds"]]
        message["pings"] = pings(message)
        message["edits"] = message.get("edits", -1) + 1

    # ------------------------------------------------------------------------------------ interactions

    def _of_token(self, request: web.Request) -> Asked:
        asked = self._asked.get(request.match_info["token"])
        if asked is None or asked.callback is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        return asked

    async def _callback(self, request: web.Request) -> Any:
        asked = self._asked.get(request.match_info["token"])
        if asked is None or str(asked.id) != request.match_info["id"]:
            raise Refusal(404, 10062, "Unknown interaction")
        if time.monotonic() - asked.started > DEADLINE_S:
            raise Refusal(404, 10062, "Unknown interaction")
        if asked.callback is not None:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        payload, files = await body_of(request)
        kind, content = payload["type"], payload.get("data") or {}
        if kind not in VALID[asked.type] or (kind in (6, 7) and asked.message is None):
            raise Refusal(400, 50035, "Invalid Form Body", errors={"type": kind})
        message = self._called_back(asked, kind, content, files)
        asked.callback = {"type": kind, "data": content}
        asked.changed.set()
        resource: dict[str, Any] = {"type": kind}
        if message is not None:
            resource["message"] = plain(message)
        identity = {"id": str(asked.id), "type": asked.type}
        return 200, {"interaction": identity, "resource": resource}, {}

    def _called_back(
        self, asked: Asked, kind: int, content: dict[str, Any], files: Mapping[str, bytes]
    ) -> dict[str, Any] | None:
        if kind == 8:
            refuse(rules.wrong_choices(content["choices"]))
        elif kind == 9:
            refuse(rules.wrong_modal(content))
        elif kind == 4:
            asked.original = self._add(asked, content, files)
        elif kind == 5:
            asked.waiting = True
            asked.original = message_of(next(self._ids), asked.channel_id, user(ME, "Tocsin", bot=True))
            asked.original["flags"] = content.get("flags", 0)
        elif kind in (6, 7):
            assert asked.message is not None
            asked.original = asked.message
            if kind == 7:
                self._change(asked.message, content, files)
                asked.messages.append(asked.message)
        return asked.original

    def _add(self, asked: Asked, payload: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
        refuse(rules.wrong_message(payload, files, False))
        message = self._store(asked.channel_id, payload, files, user(ME, "Tocsin", bot=True))
        asked.messages.append(message)
        return message

    async def _follow_up(self, request: web.Request) -> Any:
        """The first one behind "thinking" takes its place, and is seen by whom that was seen."""
        asked = self._of_token(request)
        payload, files = await body_of(request)
        if asked.waiting and asked.original is not None:
            payload = {**payload, "flags": asked.original["flags"]}
            asked.waiting = False
        message = self._add(asked, payload, files)
        asked.changed.set()
        return 200, plain(message), {}

    async def _patch_original(self, request: web.Request) -> Any:
        asked = self._of_token(request)
        if asked.original is None:
            raise Refusal(404, 10008, "Unknown Message")
        payload, files = await body_of(request)
        self._change(asked.original, payload, files)
        if asked.waiting:
            self.messages[asked.channel_id].append(asked.original)
            asked.waiting = False
        asked.messages.append(asked.original)
        asked.changed.set()
        return 200, plain(asked.original), {}

    async def _delete_original(self, request: web.Request) -> Any:
        asked = self._of_token(request)
        if asked.original is None:
            raise Refusal(404, 10008, "Unknown Message")
        asked.original, asked.waiting = None, False
        return 204, None, {}
