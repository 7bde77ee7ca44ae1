"""Slack's side of the wire: the Web API, response addresses, uploads, and Socket Mode.

As strict as the real one about tokens, scopes, arguments and Block Kit (tests.fakes.slack_blocks), memberships, pace
(a message a second a channel, 429 with Retry-After), triggers (3 s, once), response addresses (five times), and
envelopes, each of which has to be acknowledged within 3 s. tests.fakes.slack adds the people.
"""

import asyncio
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from tests.fakes.slack_blocks import Invalid, check_blocks, check_view
from tests.fakes.slack_rules import NEEDS, NO_JSON, REQUIRED, SCOPES

BOT_TOKEN = "xoxb-1234-5678-notARealToken"
APP_TOKEN = "xapp-1-A1-1234-notARealToken"
BOT = "UBOT"
ACK_S = 3.0
SPACING_S = 0.9  # a second, less the way
RESPONSE = {"text", "blocks", "response_type", "replace_original", "delete_original", "unfurl_links", "unfurl_media",
            "parse", "link_names"}  # fmt: skip
Body = dict[str, Any]
T = TypeVar("T")


class Failure(Exception):
    def __init__(self, error: str, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.status, self.headers = status, headers or {}
        self.body = {"ok": False, "error": error, **more}


class Server:
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

    # --------------------------------------------------------------------------------------- envelopes

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
            if str(failure).startswith("<"):  # of something between us and Slack
                return web.Response(text=str(failure), status=failure.status, content_type="text/html")
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
        if not set(body) <= RESPONSE or body.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
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
