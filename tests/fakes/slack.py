"""A workspace that speaks Slack's wire: the Web API, response addresses, uploads, and Socket Mode.

As strict as the real one about tokens, scopes, arguments and Block Kit (tests.fakes.slack_blocks), memberships, pace
(a message a second a channel, 429 with Retry-After), triggers (3 s, once), response addresses (five times), and
envelopes, each of which has to be acknowledged within 3 s. The methods without an underscore are what a person in the
workspace does; `messages`, `ephemerals`, `homes`, `views` and `files` are what they see. Loopback only.
"""

import asyncio
import itertools
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from tests.fakes.slack_blocks import Invalid, check_blocks, check_view

BOT_TOKEN = "xoxb-1234-5678-notARealToken"
APP_TOKEN = "xapp-1-A1-1234-notARealToken"
BOT = "UBOT"
ACK_S = 3.0
SPACING_S = 0.9  # a second, less the way
SCOPES = frozenset(
    ("chat:write", "commands", "users:read", "channels:read", "groups:read", "im:write", "im:history", "files:write",
     "app_mentions:read")
)  # fmt: skip
NEEDS = {
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "users.info": "users:read",
    "conversations.info": "channels:read",
    "conversations.open": "im:write",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
}
REQUIRED = {
    "chat.postMessage": ("channel",),
    "chat.postEphemeral": ("channel", "user"),
    "chat.update": ("channel", "ts"),
    "views.open": ("trigger_id", "view"),
    "views.publish": ("user_id", "view"),
    "users.info": ("user",),
    "conversations.info": ("channel",),
    "conversations.open": ("users",),
    "files.getUploadURLExternal": ("filename", "length"),
    "files.completeUploadExternal": ("files",),
}
NO_JSON = frozenset(("users.info", "conversations.info", "files.getUploadURLExternal", "files.completeUploadExternal"))
"""Methods that read their arguments from a form only; JSON is passed over, and then they are missing."""

QUIET = {"unfurl_links", "unfurl_media", "parse", "link_names"}
Body = dict[str, Any]
T = TypeVar("T")


class Failure(Exception):
    def __init__(self, error: str, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.status, self.headers = status, headers or {}
        self.body = {"ok": False, "error": error, **more}


class Slack:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.url = ""
        self.scopes = set(SCOPES)
        self.users: dict[str, Body] = {BOT: {"id": BOT, "name": "tocsin", "is_bot": True}}
        self.channels: dict[str, Body] = {}
        self.messages: list[Body] = []
        self.ephemerals: list[Body] = []
        self.homes: dict[str, Body] = {}
        self.views: list[Body] = []
        self.files: list[Body] = []
        self.calls: list[tuple[str, Body]] = []
        self.limited: list[str] = []  # channels that a 429 was given for
        self.socket_mode = True
        self._failures: dict[str, list[Failure]] = defaultdict(list)
        self._sockets: list[web.WebSocketResponse] = []
        self._acks: dict[str, asyncio.Future[Body]] = {}
        self._tickets: set[str] = set()
        self._triggers: dict[str, float] = {}
        self._responses: dict[str, Body] = {}
        self._uploads: dict[str, Body] = {}
        self._last: dict[str, float] = {}
        self._count = itertools.count(1)

    # ------------------------------------------------------------------------------------- the workspace

    def person(self, user: str, name: str, **facts: Any) -> str:
        self.users[user] = {"id": user, "name": name, "profile": {"display_name": name}, "locale": "en-US", **facts}
        return user

    def channel(self, channel: str, name: str, *members: str, creator: str = "U0", **facts: Any) -> str:
        """`members` beside the bot, who is one unless `bot=False`."""
        bot = facts.pop("bot", True)
        self.channels[channel] = {
            "id": channel,
            "name": name,
            "creator": creator,
            "is_member": bot,
            "members": {*members, *([BOT] if bot else [])},
            **facts,
        }
        return channel

    def dm(self, user: str) -> str:
        """The bot's own talk with a person."""
        channel = f"D{user}"
        if channel not in self.channels:
            self.channel(channel, "directmessage", user, is_im=True, user=user)
        return channel

    def fail(self, method: str, error: str, status: int = 200, times: int = 1, **more: Any) -> None:
        """The next calls of a method are answered so."""
        headers = {"Retry-After": str(more.pop("retry_after"))} if "retry_after" in more else {}
        self._failures[method] += [Failure(error, status, headers, **more)] * times

    def said(self, channel: str) -> list[Body]:
        return [one for one in self.messages if one["channel"] == channel]

    def whispered(self, user: str) -> list[Body]:
        return [one for one in self.ephemerals if one["user"] == user and not one.get("deleted")]

    async def wait(self, find: Callable[[], T | None], within_s: float = 5.0) -> T:
        """The first thing found; asked again and again while the bot works."""
        deadline = time.monotonic() + within_s
        while not (found := find()):
            assert time.monotonic() < deadline, (
                f"nothing within {within_s:g} s; the bot's last calls: {self.calls[-4:]}"
            )
            await asyncio.sleep(0.01)
        return found

    # --------------------------------------------------------------------------------- what a person does

    async def command(self, user: str, channel: str, text: str, command: str = "/tocsin") -> None:
        """Slack escapes what was typed."""
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        await self._envelope(
            "slash_commands",
            {
                "command": command,
                "text": escaped,
                "user_id": user,
                "user_name": self.users[user]["name"],
                "channel_id": channel,
                "channel_name": self._channel_name(channel),
                "team_id": "T1",
                "team_domain": "tests",
                "api_app_id": "A1",
                "trigger_id": self._trigger(),
                "response_url": self._response_url(user, channel),
            },
        )

    async def press(self, user: str, where: Body, label: str, block_id: str = "") -> None:
        """A button, or an entry of a menu, on a message, an ephemeral one, or a home."""
        action = self._element(where, label, block_id)
        await self._envelope("interactive", self._actions(user, where, action))

    async def choose(self, user: str, where: Body, action_id: str, value: str) -> None:
        """An entry of a select menu, by its value."""
        block, element = next(
            (block, element)
            for block in where["blocks"]
            for element in block.get("elements", ())
            if element.get("action_id") == action_id
        )
        option = next(each for each in element["options"] if each["value"] == value)
        action = {
            "type": element["type"],
            "action_id": action_id,
            "block_id": block["block_id"],
            "selected_option": option,
            "action_ts": "1",
        }
        await self._envelope("interactive", self._actions(user, where, action))

    async def replay_press(self, user: str, where: Body, value: str, action_id: str = "line.0") -> None:
        """A button of a message that is no longer as it was."""
        action = {"type": "button", "action_id": action_id, "block_id": "old", "value": value, "action_ts": "1"}
        await self._envelope("interactive", self._actions(user, where, action))

    async def search(self, user: str, view: Body, action_id: str, typed: str) -> list[str]:
        """The values that a live search offers."""
        payload = {
            "type": "block_suggestion",
            "user": {"id": user, "team_id": "T1"},
            "team": {"id": "T1", "domain": "tests"},
            "api_app_id": "A1",
            "token": "legacy",
            "view": view,
            "container": {"type": "view", "view_id": view["id"]},
            "action_id": action_id,
            "block_id": "instrument",
            "value": typed,
        }
        answer = await self._envelope("interactive", payload)
        options = answer["options"]
        assert len(options) <= 100
        for option in options:
            assert 0 < len(option["text"]["text"]) <= 75
            assert 0 < len(option["value"]) <= 150
        return [option["value"] for option in options]

    async def submit(self, user: str, view: Body, values: dict[str, str | list[str]]) -> Body:
        """Fills a form in and sends it; what the bot objects, or {}."""
        state: Body = {}
        for block in view["blocks"]:
            if block["type"] != "input":
                continue
            element, name = block["element"], block["block_id"]
            value = values.get(name, element.get("initial_value") or element.get("initial_option", {}).get("value"))
            assert value or block["optional"], f"Slack does not send a form whose {name} is empty"
            state[name] = {element["action_id"]: self._state(element, value)}
        sent = {**view, "state": {"values": state}}
        payload = {
            "type": "view_submission",
            "user": {"id": user, "name": self.users[user]["name"], "team_id": "T1"},
            "team": {"id": "T1", "domain": "tests"},
            "api_app_id": "A1",
            "token": "legacy",
            "trigger_id": self._trigger(),
            "view": sent,
            "response_urls": [],
        }
        answer = await self._envelope("interactive", payload)
        if answer.get("response_action") == "errors":
            fields = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
            assert set(answer["errors"]) <= fields, "an error names a field of the form"
        if answer.get("response_action") == "update":
            check_view(answer["view"])
        return answer

    async def shortcut(self, user: str, callback_id: str, message: Body | None = None) -> None:
        payload: Body = {
            "type": "message_action" if message else "shortcut",
            "callback_id": callback_id,
            "trigger_id": self._trigger(),
            "user": {"id": user, "name": self.users[user]["name"], "team_id": "T1"},
            "team": {"id": "T1", "domain": "tests"},
            "token": "legacy",
            "action_ts": "1",
        }
        if message:
            channel = message["channel"]
            payload |= {
                "message": message,
                "message_ts": message["ts"],
                "channel": {"id": channel, "name": self._channel_name(channel)},
                "response_url": self._response_url(user, channel),
            }
        await self._envelope("interactive", payload)

    async def mention(self, user: str, channel: str, text: str, thread: str = "") -> str:
        return await self._event({"type": "app_mention", "text": f"<@{BOT}> {text}"}, user, channel, thread)

    async def write(self, user: str, text: str, **more: Any) -> str:
        """A direct message to the bot."""
        event = {"type": "message", "channel_type": "im", "text": text, **more}
        return await self._event(event, user, self.dm(user))

    async def open_home(self, user: str) -> None:
        await self._event({"type": "app_home_opened", "tab": "home"}, user, self.dm(user))

    async def event(self, event: Body, event_id: str = "") -> None:
        payload = {
            "type": "event_callback",
            "team_id": "T1",
            "api_app_id": "A1",
            "event_id": event_id or f"Ev{next(self._count)}",
            "event_time": 1,
            "event": event,
        }
        await self._envelope("events_api", payload)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """As Slack does every few hours: the client has to come back by a new address."""
        for socket in list(self._sockets):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})

    async def cut(self) -> None:
        """The line is dead, without a word."""
        for socket in list(self._sockets):
            await socket.close()

    @property
    def connections(self) -> int:
        return len(self._sockets)

    # --------------------------------------------------------------------------------------- envelopes

    async def _event(self, event: Body, user: str, channel: str, thread: str = "") -> str:
        ts = self._ts()
        where = {"user": user, "channel": channel, "ts": ts, "event_ts": ts}
        await self.event(event | where | ({"thread_ts": thread} if thread else {}))
        return ts

    async def _envelope(self, kind: str, payload: Body) -> Body:
        """Sends one and holds the bot to its deadline; the payload of its acknowledgement."""
        assert self._sockets, "the bot is not connected"
        envelope_id = f"env-{next(self._count)}"
        self._acks[envelope_id] = asyncio.get_running_loop().create_future()
        accepts = kind != "events_api"
        envelope = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts,
        }
        await self._sockets[-1].send_json(envelope)
        answer = await asyncio.wait_for(self._acks[envelope_id], ACK_S)
        assert accepts or not answer, "an event's acknowledgement carries nothing"
        return answer

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPForbidden(text="an address is good for one connection")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}})
        self._sockets.append(socket)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._acknowledged(json.loads(message.data))
        finally:
            self._sockets.remove(socket)
        return socket

    def _acknowledged(self, answer: Body) -> None:
        future = self._acks.pop(answer["envelope_id"])
        future.set_result(answer.get("payload") or {})

    # ----------------------------------------------------------------------------------------- payloads

    def _actions(self, user: str, where: Body, action: Body) -> Body:
        payload: Body = {
            "type": "block_actions",
            "user": {"id": user, "name": self.users[user]["name"], "team_id": "T1"},
            "team": {"id": "T1", "domain": "tests"},
            "api_app_id": "A1",
            "token": "legacy",
            "trigger_id": self._trigger(),
            "actions": [action],
        }
        if "channel" not in where:
            return payload | {"view": where, "container": {"type": "view", "view_id": where["id"]}}
        ephemeral = "user" in where and where in self.ephemerals
        container = {"type": "message", "message_ts": where["ts"], "channel_id": where["channel"]}
        payload |= {
            "container": container | {"is_ephemeral": ephemeral},
            "channel": {"id": where["channel"], "name": self._channel_name(where["channel"])},
            "response_url": self._response_url(user, where["channel"], where),
        }
        return payload if ephemeral else payload | {"message": dict(where)}

    def _element(self, where: Body, label: str, block_id: str) -> Body:
        for block in where["blocks"]:
            if block_id and block.get("block_id") != block_id:
                continue
            for element in block.get("elements", ()):
                base = {"action_id": element.get("action_id"), "block_id": block["block_id"], "action_ts": "1"}
                if element.get("type") == "button" and element["text"]["text"] == label:
                    return base | {"type": "button", "value": element.get("value"), "text": element["text"]}
                for option in element.get("options", ()):
                    if option["text"]["text"] == label:
                        return base | {"type": element["type"], "selected_option": option}
        raise AssertionError(f"there is no button {label!r}; there are {labels(where)}")

    def _state(self, element: Body, value: Any) -> Body:
        kind = element["type"]
        if kind == "plain_text_input":
            return {"type": kind, "value": value or None}
        if kind.startswith("multi_"):
            chosen = [value] if isinstance(value, str) else value or []
            return {"type": kind, "selected_options": [{"text": {"text": each}, "value": each} for each in chosen]}
        option = {"text": {"text": value}, "value": value} if value else None
        if kind == "static_select" and value:
            assert value in [each["value"] for each in element["options"]]
        return {"type": kind, "selected_option": option}

    def _trigger(self) -> str:
        trigger = f"trigger.{next(self._count)}"
        self._triggers[trigger] = time.monotonic() + ACK_S
        return trigger

    def _response_url(self, user: str, channel: str, message: Body | None = None) -> str:
        key = str(next(self._count))
        self._responses[key] = {"user": user, "channel": channel, "message": message, "left": 5}
        return f"{self.url}response/{key}"

    def _channel_name(self, channel: str) -> str:
        known = self.channels.get(channel, {})
        return "directmessage" if channel.startswith("D") else str(known.get("name", "privategroup"))

    def _ts(self) -> str:
        number = next(self._count)
        return f"{1_700_000_000 + number}.{number:06d}"

    # ------------------------------------------------------------------------------------------- Web API

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        try:
            arguments = await self._arguments(method, request)
            self.calls.append((method, arguments))
            if self._failures[method]:
                raise self._failures[method].pop(0)
            self._authorise(method, request, arguments)
            for name in REQUIRED.get(method, ()):
                if not arguments.get(name):
                    raise Failure("invalid_arguments", response_metadata={"messages": [f"missing: {name}"]})
            handler = getattr(self, "_" + method.replace(".", "_"), None)
            if handler is None:
                raise Failure("unknown_method")
            return web.json_response({"ok": True, **handler(arguments)})
        except Invalid as error:
            return web.json_response({"ok": False, "error": error.name, "errors": [str(error)]})
        except Failure as failure:
            return web.json_response(failure.body, status=failure.status, headers=failure.headers)

    async def _arguments(self, method: str, request: web.Request) -> Body:
        if request.content_type == "application/json":
            return {} if method in NO_JSON else dict(await request.json())
        found = {**request.query, **(await request.post())}
        return {key: value for key, value in found.items() if isinstance(value, str)}

    def _authorise(self, method: str, request: web.Request, arguments: Body) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or arguments.get("token", "")
        if not token:
            raise Failure("not_authed")
        if token not in (BOT_TOKEN, APP_TOKEN):
            raise Failure("invalid_auth")
        if (method == "apps.connections.open") != (token == APP_TOKEN):
            raise Failure("not_allowed_token_type")
        needed = NEEDS.get(method)
        if needed and needed not in self.scopes:
            raise Failure("missing_scope", needed=needed, provided=",".join(sorted(self.scopes)))

    def _auth_test(self, _: Body) -> Body:
        return {"url": self.url, "team": "Tests", "team_id": "T1", "user": "tocsin", "user_id": BOT, "bot_id": "B1"}

    def _apps_connections_open(self, _: Body) -> Body:
        if not self.socket_mode:
            raise Failure("socket_mode_not_enabled")
        ticket = f"ticket{next(self._count)}"
        self._tickets.add(ticket)
        return {"url": f"{self.url.replace('http', 'ws')}socket?ticket={ticket}"}

    def _chat_postMessage(self, arguments: Body) -> Body:
        channel = self._into(arguments["channel"])
        self._within_pace(channel)
        self._checked(arguments)
        assert arguments.get("unfurl_links") is False, "previews of links are off"
        assert arguments.get("unfurl_media") is False
        assert not arguments.get("link_names"), "no names are looked for in a text"
        message = self._message(channel, arguments)
        self.messages.append(message)
        return {"channel": channel, "ts": message["ts"], "message": message}

    def _chat_postEphemeral(self, arguments: Body) -> Body:
        channel = self._into(arguments["channel"])
        if arguments["user"] not in self.channels[channel]["members"]:
            raise Failure("user_not_in_channel")
        self._checked(arguments)
        message = self._message(channel, arguments) | {"user": arguments["user"]}
        self.ephemerals.append(message)
        return {"message_ts": message["ts"]}

    def _chat_update(self, arguments: Body) -> Body:
        found = [one for one in self.said(arguments["channel"]) if one["ts"] == arguments["ts"]]
        if not found:
            raise Failure("message_not_found")
        self._checked(arguments)
        found[0] |= {"text": arguments.get("text", ""), "blocks": self._named(arguments.get("blocks", []))}
        return {"channel": arguments["channel"], "ts": arguments["ts"], "text": found[0]["text"]}

    def _views_open(self, arguments: Body) -> Body:
        until = self._triggers.pop(arguments["trigger_id"], None)
        if until is None:
            raise Failure("invalid_trigger_id")
        if until < time.monotonic():
            raise Failure("expired_trigger_id")
        check_view(arguments["view"])
        assert arguments["view"]["type"] == "modal"
        view = {**arguments["view"], "id": f"V{next(self._count)}"}
        self.views.append(view)
        return {"view": view}

    def _views_publish(self, arguments: Body) -> Body:
        check_view(arguments["view"])
        assert arguments["view"]["type"] == "home"
        view = {**arguments["view"], "id": f"V{next(self._count)}", "blocks": self._named(arguments["view"]["blocks"])}
        self.homes[arguments["user_id"]] = view
        return {"view": view}

    def _users_info(self, arguments: Body) -> Body:
        if arguments["user"] not in self.users:
            raise Failure("user_not_found")
        return {"user": self.users[arguments["user"]]}

    def _conversations_info(self, arguments: Body) -> Body:
        known = self.channels.get(arguments["channel"])
        if known is None or (known.get("is_private") and not known["is_member"]):
            raise Failure("channel_not_found")
        return {"channel": {key: value for key, value in known.items() if key != "members"}}

    def _conversations_open(self, arguments: Body) -> Body:
        if arguments["users"] not in self.users:
            raise Failure("user_not_found")
        return {"channel": {"id": self.dm(arguments["users"])}}

    def _files_getUploadURLExternal(self, arguments: Body) -> Body:
        file_id = f"F{next(self._count)}"
        self._uploads[file_id] = {"name": arguments["filename"], "length": int(arguments["length"])}
        return {"upload_url": f"{self.url}upload/{file_id}", "file_id": file_id}

    def _files_completeUploadExternal(self, arguments: Body) -> Body:
        done = []
        for one in json.loads(arguments["files"]):
            upload = self._uploads.pop(one["id"], None)
            if upload is None or "content" not in upload:
                raise Failure("file_not_found")
            done.append({"id": one["id"], "title": one["title"], **upload})
        channel = arguments.get("channel_id", "")
        if channel:
            if channel[0] in "UW" or channel not in self.channels:
                raise Failure("channel_not_found")  # a person's id is no channel here
            self._into(channel)
        self.files += [each | {"channel": channel, "thread_ts": arguments.get("thread_ts", "")} for each in done]
        return {"files": [{"id": each["id"], "title": each["title"]} for each in done]}

    # ------------------------------------------------------------------------------------- what they need

    def _into(self, channel: str) -> str:
        """The channel that is written into: a person's id leads to the bot's talk with them."""
        if channel in self.users:
            if self.users[channel].get("deleted"):
                raise Failure("user_disabled")
            return self.dm(channel)
        known = self.channels.get(channel)
        if known is None or (known.get("is_private") and not known["is_member"]):
            raise Failure("channel_not_found")
        if known.get("is_archived"):
            raise Failure("is_archived")
        if BOT not in known["members"]:
            raise Failure("not_in_channel")
        return channel

    def _within_pace(self, channel: str) -> None:
        now = self.clock()
        if now - self._last.get(channel, float("-inf")) < SPACING_S:
            self.limited.append(channel)
            raise Failure("ratelimited", 429, {"Retry-After": "1"})
        self._last[channel] = now

    def _checked(self, arguments: Body) -> None:
        if not arguments.get("text") and not arguments.get("blocks"):
            raise Failure("no_text")
        text = arguments.get("text", "")
        if len(text) > 40_000:
            raise Failure("msg_too_long")
        assert "<" not in text and ">" not in text, "a text that Slack parses is escaped"
        if "blocks" in arguments:
            check_blocks(arguments["blocks"], "message")

    def _message(self, channel: str, arguments: Body) -> Body:
        thread = arguments.get("thread_ts")
        message = {
            "type": "message",
            "bot_id": "B1",
            "ts": self._ts(),
            "channel": channel,
            "text": arguments.get("text", ""),
            "blocks": self._named(arguments.get("blocks", [])),
        }
        return message | ({"thread_ts": thread} if thread else {})

    def _named(self, blocks: list[Body]) -> list[Body]:
        """Slack gives every block an id."""
        return [{"block_id": f"b{next(self._count)}", **block} for block in blocks]

    async def _response(self, request: web.Request) -> web.Response:
        known = self._responses.get(request.match_info["key"])
        if known is None or not known["left"]:
            return web.Response(status=404, text="used_url")
        known["left"] -= 1
        body = await request.json()
        allowed = QUIET | {"text", "blocks", "response_type", "replace_original", "delete_original"}
        if not set(body) <= allowed or body.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
            return web.Response(status=400, text="invalid_payload")
        self.calls.append(("response_url", body))
        original = known["message"]
        if body.get("delete_original"):
            original["deleted"] = True
            return web.Response(text="ok")
        try:
            self._checked(body)
        except (Failure, Invalid) as error:
            return web.Response(status=400, text=str(error))
        if body.get("replace_original") and original is not None:
            original |= {"text": body["text"], "blocks": self._named(body["blocks"]), "replaced": True}
            return web.Response(text="ok")
        message = self._message(known["channel"], body)
        if body.get("response_type") == "in_channel":
            self.messages.append(message)
        else:
            self.ephemerals.append(message | {"user": known["user"]})
        return web.Response(text="ok")

    async def _upload(self, request: web.Request) -> web.Response:
        upload = self._uploads[request.match_info["file"]]
        content = await request.read()
        if len(content) != upload["length"]:
            return web.Response(status=400, text="the length is another one")
        upload["content"] = content
        return web.Response(text=f"OK - {len(content)}")

    def app(self) -> web.Application:
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/socket", self._socket)
        app.router.add_post("/response/{key}", self._response)
        app.router.add_post("/upload/{file}", self._upload)
        return app


@asynccontextmanager
async def workspace(clock: Callable[[], float] = time.monotonic) -> AsyncIterator[Slack]:
    """A running one, on a port of its own."""
    fake = Slack(clock)
    runner = web.AppRunner(fake.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield fake
    finally:
        await fake.cut()
        await runner.cleanup()


# ------------------------------------------------------------------------------------------- what one reads


def labels(where: Body) -> list[str]:
    """What can be pressed."""
    found = []
    for block in where["blocks"]:
        for element in block.get("elements", ()):
            if element.get("type") == "button":
                found.append(element["text"]["text"])
            found += [option["text"]["text"] for option in element.get("options", ())]
    return found


def words(where: Body) -> str:
    """All that one reads in the blocks of a message or view, but for the buttons."""
    return "\n".join(filter(None, (_words(block) for block in where["blocks"] if block["type"] != "actions")))


def _words(value: Any) -> str:
    if isinstance(value, list):
        return "".join(_words(each) for each in value)
    if not isinstance(value, dict):
        return ""
    text = value.get("text", "")
    own = text if isinstance(text, str) else _words(text)
    return own + _words(value.get("elements", [])) + _words(value.get("label", []))
