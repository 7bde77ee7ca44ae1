"""A workspace that speaks Slack's wire, with people in it: real slack_bolt and slack_sdk talk to it over sockets.

The methods are what a person in the workspace does; `messages`, `ephemerals`, `homes`, `views` and `files` are what
they see. What Slack refuses is refused (tests.fakes.slack_server). Loopback only.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.fakes.slack_blocks import check_view
from tests.fakes.slack_rules import SCOPES
from tests.fakes.slack_server import APP_TOKEN, BOT, BOT_TOKEN, Body, Server

__all__ = ["APP_TOKEN", "BOT", "BOT_TOKEN", "SCOPES", "Slack", "labels", "words", "workspace"]


class Slack(Server):
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

    async def chat(self, user: str, channel: str, text: str, thread: str = "") -> str:
        """What people write to each other; the bot hears it where the app asks for it."""
        return await self._event({"type": "message", "channel_type": "channel", "text": text}, user, channel, thread)

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

    async def _event(self, event: Body, user: str, channel: str, thread: str = "") -> str:
        ts = self._ts()
        where = {"user": user, "channel": channel, "ts": ts, "event_ts": ts}
        await self.event(event | where | ({"thread_ts": thread} if thread else {}))
        return ts

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
    if value.get("type") == "rich_text":
        return "\n".join(map(_words, value["elements"]))
    text = value.get("text", "")
    own = text if isinstance(text, str) else _words(text)
    return own + _words(value.get("elements", [])) + _words(value.get("label", []))
