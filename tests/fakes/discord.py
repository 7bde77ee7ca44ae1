"""A Discord on this machine: REST, gateway and the people who use it, as strict as the real one.

The real library talks to it over sockets (`target` says how it is pointed here). It refuses what Discord refuses
(sizes, unknown channels, missing rights, a second answer to an interaction, an answer after three seconds, a privileged
intent that is not granted) and counts who runs into its rate limits. Tests act as people do: `slash`, `complete`,
`press`, `submit`, `say`, and look at what stands in a channel.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import yarl
from aiohttp import WSMsgType, web

from tests.fakes.discord_parts import (
    APP,
    GUILD,
    ME,
    WRITER,
    filled_in,
    guild,
    member,
    message_of,
    plain,
    user,
)
from tests.fakes.discord_rest import LARGEST, Asked, Rest

CONTENT_INTENT = 1 << 15
PRIVILEGED = CONTENT_INTENT | 1 << 1 | 1 << 8


class FakeDiscord(Rest):
    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self.locale = "en-US"  # of everybody's client
        self.granted = 0  # privileged intents that the console grants
        self.connected = asyncio.Event()
        self.identified: list[int] = []  # intents of each session
        self.resumed = 0
        self._sockets: dict[web.WebSocketResponse, tuple[Any, int]] = {}
        self._sequence = 0

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_get("/gw/", self._gateway)
        return app

    # ----------------------------------------------------------------------------------------- gateway

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert request.query["compress"] == "zlib-stream" and request.query["v"] == "10"
        squeeze = zlib.compressobj()
        await push(socket, squeeze, {"op": 10, "d": {"heartbeat_interval": 41250}})
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._frame(socket, squeeze, json.loads(message.data))
        finally:
            self._sockets.pop(socket, None)
        return socket

    async def _frame(self, socket: web.WebSocketResponse, squeeze: Any, frame: dict[str, Any]) -> None:
        operation, content = frame["op"], frame["d"]
        if operation == 1:
            await push(socket, squeeze, {"op": 11})
        elif operation in (2, 6) and content["token"] != self.token:
            await socket.close(code=4004, message=b"Authentication failed.")
        elif operation == 2:
            if content["intents"] & PRIVILEGED & ~self.granted:
                await socket.close(code=4014, message=b"Disallowed intent(s).")
                return
            self.identified.append(content["intents"])
            self._sockets[socket] = (squeeze, content["intents"])
            await self._ready(socket, squeeze)
        elif operation == 6:
            self.resumed += 1
            self._sockets[socket] = (squeeze, self.identified[-1])
            await self._dispatch(socket, squeeze, "RESUMED", {})
            self.connected.set()

    async def _ready(self, socket: web.WebSocketResponse, squeeze: Any) -> None:
        ready = {
            "v": 10, "user": user(ME, "Tocsin", bot=True), "guilds": [{"id": str(GUILD), "unavailable": True}],
            "session_id": "session", "resume_gateway_url": f"ws://127.0.0.1:{self.port}/gw/", "shard": [0, 1],
            "application": {"id": str(APP), "flags": 0},
        }  # fmt: skip
        await self._dispatch(socket, squeeze, "READY", ready)
        await self._dispatch(socket, squeeze, "GUILD_CREATE", guild(self.channels.values()))
        self.connected.set()

    async def _dispatch(self, socket: web.WebSocketResponse, squeeze: Any, event: str, content: Any) -> None:
        self._sequence += 1
        await push(socket, squeeze, {"op": 0, "t": event, "s": self._sequence, "d": content})

    async def tell(self, event: str, content: Any) -> None:
        """To every open session."""
        for socket, (squeeze, _) in list(self._sockets.items()):
            await self._dispatch(socket, squeeze, event, content)

    async def cut(self, code: int = 1012) -> None:
        """Ends all sessions, as a restart of theirs does."""
        self.connected.clear()
        for socket in list(self._sockets):
            await socket.close(code=code)

    # ------------------------------------------------------------------------------- what people do

    async def say(self, channel_id: int, user_id: int, text: str, **author: Any) -> None:
        """Somebody writes; what the bot gets of it follows from its intents."""
        channel = self.channels[channel_id]
        message = message_of(next(self._ids), channel_id, user(user_id, **author))
        mentioned = f"<@{ME}>" in text
        message |= {"content": text, "mentions": [user(ME, "Tocsin", bot=True)] if mentioned else []}
        if channel["type"] != 1:
            message |= {"guild_id": str(GUILD), "member": member(user_id)}
        for socket, (squeeze, intents) in list(self._sockets.items()):
            if not intents & (1 << 12 if channel["type"] == 1 else 1 << 9):
                continue
            hidden = channel["type"] != 1 and not mentioned and not intents & CONTENT_INTENT
            await self._dispatch(socket, squeeze, "MESSAGE_CREATE", {**message, "content": "" if hidden else text})

    async def slash(self, channel_id: int, user_id: int, name: str, **options: str) -> Asked:
        """A slash command as Discord's client lets one send it."""
        command = next(one for one in self.commands if one["name"] == name)
        known = {option["name"]: option for option in command.get("options", ())}
        for required in (option["name"] for option in known.values() if option.get("required")):
            assert required in options, f"the client asks for {required}"
        for option, value in options.items():
            choices = [choice["value"] for choice in known[option].get("choices", ())]
            assert not choices or value in choices, f"the client offers {choices}"
        given = [{"name": option, "type": 3, "value": value} for option, value in options.items()]
        return await self._ask(channel_id, user_id, 2, {"id": "1", "name": name, "type": 1, "options": given})

    async def complete(self, channel_id: int, user_id: int, name: str, option: str, typed: str) -> list[dict[str, Any]]:
        command = next(one for one in self.commands if one["name"] == name)
        assert next(one for one in command["options"] if one["name"] == option).get("autocomplete")
        focused = {"name": option, "type": 3, "value": typed, "focused": True}
        asked = await self._ask(channel_id, user_id, 4, {"id": "1", "name": name, "type": 1, "options": [focused]})
        found = (await asked.answered()).choices
        assert found is not None
        return found

    async def press(self, message: dict[str, Any], user_id: int, label: str) -> Asked:
        button = next(one for row in message["components"] for one in row["components"] if one["label"] == label)
        content = {"custom_id": button["custom_id"], "component_type": 2}
        return await self._ask(int(message["channel_id"]), user_id, 3, content, message)

    async def submit(self, asked: Asked, user_id: int, **values: str) -> Asked:
        """Fills in a modal: what is not named stays as it was shown. Labels are given in lower case."""
        modal = asked.modal
        assert modal is not None, "no form was opened"
        filled = [filled_in(part, values) for part in modal["components"]]
        content = {"custom_id": modal["custom_id"], "components": filled}
        return await self._ask(asked.channel_id, user_id, 5, content, asked.message)

    async def _ask(
        self, channel_id: int, user_id: int, kind: int, content: dict[str, Any], message: dict[str, Any] | None = None
    ) -> Asked:
        channel = self.channels[channel_id]
        identity = next(self._ids)
        payload: dict[str, Any] = {
            "id": str(identity), "application_id": str(APP), "type": kind, "data": content, "token": f"t{identity}",
            "version": 1, "locale": self.locale, "channel": channel, "channel_id": str(channel_id), "entitlements": [],
            "attachment_size_limit": LARGEST, "app_permissions": str(self.rights.get(channel_id, WRITER)),
        }  # fmt: skip
        if channel.get("guild_id") == str(GUILD):
            payload |= {"guild_id": str(GUILD), "context": 0, "member": member(user_id)}
            payload["authorizing_integration_owners"] = {"0": str(GUILD)}
        elif "guild_id" in channel:  # somebody brought the bot along on their own account
            payload |= {"guild_id": channel["guild_id"], "context": 0, "member": member(user_id)}
            payload["authorizing_integration_owners"] = {"1": str(user_id)}
        else:
            payload |= {"user": user(user_id), "context": 1, "authorizing_integration_owners": {"0": "0"}}
        if message is not None:
            payload["message"] = plain(message)
        asked = Asked(payload, message)
        self._asked[asked.token] = asked
        assert self._sockets, "the bot is not connected to the gateway: Discord shows that it does not respond"
        await self.tell("INTERACTION_CREATE", payload)
        return asked


async def push(socket: web.WebSocketResponse, squeeze: Any, frame: dict[str, Any]) -> None:
    if not socket.closed:
        raw = squeeze.compress(json.dumps(frame).encode()) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        await socket.send_bytes(raw)


# ---------------------------------------------------------------------------------------------- serving


@asynccontextmanager
async def served() -> AsyncIterator[FakeDiscord]:
    fake = FakeDiscord()
    runner = web.AppRunner(fake.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.port = runner.addresses[0][1]
    try:
        with target(fake.port):
            yield fake
    finally:
        await fake.cut()
        await runner.cleanup()


@contextmanager
def target(port: int) -> Iterator[None]:
    """Points the library at a port of this machine: its two addresses are globals of it."""
    from discord import gateway, http  # late, as the bot does: importing it costs half a second

    before = http.Route.BASE, gateway.DiscordWebSocket.DEFAULT_GATEWAY
    http.Route.BASE = f"http://127.0.0.1:{port}/api/v10"
    gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws://127.0.0.1:{port}/gw/")
    try:
        yield
    finally:
        http.Route.BASE, gateway.DiscordWebSocket.DEFAULT_GATEWAY = before
