"""What people do in Slack → Talk: commands, presses, forms, shortcuts, mentions, direct messages, the App Home.

Socket Mode: Slack's events come over a websocket that we open, so the hub needs no address on the internet. Each is
acknowledged first and worked on in a task of its own, AT_ONCE at a time; what comes twice (Slack repeats events that it
thinks lost) is worked on once. Depends on slack_bolt, imported when listening begins.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog

from bots.slack import forms, home, limits, render
from bots.slack.talk import Asked, Talk
from bots.slack.text import typed
from bots.slack.wire import Wire, library_log
from hub.model import Form, Reply
from hub.plugin import BadRequest, GiveUp, TryLater

AT_ONCE = 32
WAITING = 1_000
REMEMBERED = 2_000
CONNECT_S = 20.0
NEW_ALERT = "new_alert"  # the global shortcut
ASK = "ask"  # the message shortcut
ENDINGS = {
    "tokens_revoked": "the bot token was revoked: install the app again under OAuth & Permissions and copy the new one",
    "app_uninstalled": "the app was removed from the workspace: install it again under OAuth & Permissions",
}

log = structlog.get_logger("slack")
Body = dict[str, Any]


class Listener:
    def __init__(self, talk: Talk, bot_user: str) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._talk = talk
        self._bot_user = bot_user
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: OrderedDict[str, None] = OrderedDict()

    def listen_to(self, app: Any) -> None:
        """Registers everything with a slack_bolt AsyncApp; the first that matches is called."""
        everything = re.compile(".*", re.DOTALL)
        app.command(everything)(self.command)
        app.action(re.compile(r"^line\.\d+$"))(self.line)
        app.action("more")(self.line)
        app.action(render.SHARE)(self.share)
        app.action(render.FORM)(self.form)
        app.action(home.NEW)(self.new)
        app.action(home.REFRESH)(self.refresh)
        app.action(home.COMMAND)(self.chosen)
        app.action(everything)(self.nothing)
        app.options(everything)(self.options)
        app.view(forms.FORM)(self.submitted)
        app.shortcut(NEW_ALERT)(self.shortcut)
        app.shortcut(ASK)(self.message_shortcut)
        app.event("app_mention")(self.mention)
        app.event("message")(self.message)
        app.event("app_home_opened")(self.home_opened)
        app.event("member_joined_channel")(self.joined)
        for name in ENDINGS:
            app.event(name)(self.ending)
        app.event(everything)(self.nothing)

    async def connection(self, _: Any, message: Body, __: Any) -> None:
        """A new connection says hello: what can be asked may be another by now."""
        if message.get("type") == "hello":
            self._talk.menus.forget()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def begin(self, work: Awaitable[None]) -> None:
        if len(self._tasks) >= WAITING:
            log.warning("too much is asked at once: something was left out", waiting=WAITING)
            asyncio.ensure_future(work).cancel()
            return
        task = asyncio.create_task(self._work(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, work: Awaitable[None]) -> None:
        async with self._slots:
            try:
                await work
            except (TryLater, GiveUp) as error:
                log.warning("an answer could not be shown", reason=error.reason)
            except Exception:
                log.exception("a bug in the bot", platform="slack")

    # ------------------------------------------------------------------------------------- commands and presses

    async def command(self, ack: Callable[..., Awaitable[Any]], command: Body) -> None:
        await ack()
        asked = Asked(
            user=command["user_id"],
            channel=command["channel_id"],
            channel_name=command.get("channel_name", ""),
            response_url=command["response_url"],
            trigger=command["trigger_id"],
        )
        self.begin(self._talk.line(asked, typed(command.get("text", "")) or "help"))

    async def line(self, ack: Callable[..., Awaitable[Any]], body: Body, action: Body) -> None:
        await ack()
        line = str((action.get("selected_option") or action)["value"])
        if _in_view(body):
            self.begin(self._talk.at_home(asked_by(body), line))
        else:
            message = None if _for_one(body) else body.get("message")
            self.begin(self._talk.pressed(asked_by(body), line, str(action.get("block_id", "")), message))

    async def share(self, ack: Callable[..., Awaitable[Any]], body: Body, action: Body) -> None:
        await ack()
        self.begin(self._talk.share(asked_by(body), str(action["value"])))

    async def form(self, ack: Callable[..., Awaitable[Any]], body: Body, action: Body) -> None:
        await ack()
        self.begin(self._talk.opened(asked_by(body), str(action["value"])))

    async def new(self, ack: Callable[..., Awaitable[Any]], body: Body, action: Body) -> None:
        await ack()
        self.begin(self._talk.form_of(asked_by(body), str(action["value"]), home=_in_view(body)))

    async def chosen(self, ack: Callable[..., Awaitable[Any]], body: Body, action: Body) -> None:
        await ack()
        command = str(action["selected_option"]["value"])
        self.begin(self._talk.form_of(asked_by(body), command, home=_in_view(body)))

    async def refresh(self, ack: Callable[..., Awaitable[Any]], body: Body) -> None:
        await ack()
        self.begin(self._talk.publish(body["user"]["id"]))

    async def nothing(self, ack: Callable[..., Awaitable[Any]]) -> None:
        """What an older version of ours left behind, or what we asked Slack not to send."""
        await ack()

    # ------------------------------------------------------------------------------------- forms and shortcuts

    async def options(self, ack: Callable[..., Awaitable[Any]], body: Body) -> None:
        menu = await self._talk.menus.get()
        await ack(options=forms.options(menu, str(body.get("value", ""))))

    async def submitted(self, ack: Callable[..., Awaitable[Any]], body: Body, view: Body) -> None:
        """The form stays open with the hub's objection where that comes in time; else the answer follows."""
        carried = forms.carried(view)
        if carried is None:
            await ack(response_action="errors", errors={forms.first_field(view): "This form is too old: open it anew."})
            return
        try:
            line = forms.line(carried.form, forms.values_of(view))
        except BadRequest as error:
            await ack(response_action="errors", errors={forms.first_field(view): error.text})
            return
        place = carried.place
        asked = Asked(user=body["user"]["id"], channel=place.channel, channel_name=place.name, thread=place.thread)
        asking = asyncio.ensure_future(self._talk.ask(asked, line))
        await asyncio.wait({asking}, timeout=limits.ERROR_IN_FORM_S)
        if asking.done() and not asking.result().ok:
            await self._object(ack, view, carried, asking.result())
            return
        await ack()
        self.begin(self._finish(asked, line, asking, at_home=place.home))

    async def _object(
        self, ack: Callable[..., Awaitable[Any]], view: Body, carried: forms.Carried, reply: Reply
    ) -> None:
        """A form of the hub's own, with what it understood, takes the place of this one."""
        better: Form | None = reply.form
        updated = forms.modal(better, carried.place, reply.lines) if better else None
        if updated is not None:
            await ack(response_action="update", view=updated)
            return
        text = " ".join(filter(None, (reply.title, *reply.lines)))
        await ack(response_action="errors", errors={forms.first_field(view): limits.cut(text, limits.LABEL)})

    async def _finish(self, asked: Asked, line: str, asking: "asyncio.Future[Reply]", *, at_home: bool) -> None:
        reply = await asking
        if at_home:
            await self._talk.shown_at_home(asked, line, reply)
        else:
            await self._talk.answer(asked, line, reply)

    async def shortcut(self, ack: Callable[..., Awaitable[Any]], body: Body) -> None:
        await ack()
        self.begin(self._talk.form_of(asked_by(body), home.ALERT))

    async def message_shortcut(self, ack: Callable[..., Awaitable[Any]], body: Body) -> None:
        """A message's words are shown before they are sent: they may be somebody else's."""
        await ack()
        words = limits.cut(typed(str(body["message"].get("text", "")), self._bot_user), 500)
        form = msgspec.structs.replace(forms.ASK, values={forms.LINE.name: words})
        self.begin(self._open(asked_by(body), form))

    async def _open(self, asked: Asked, form: Form) -> None:
        await self._talk.form(asked, form)

    # ---------------------------------------------------------------------------------------------- events

    async def mention(self, body: Body, event: Body) -> None:
        """Answered in its thread. Where it was written in one, what concerns this place goes there too."""
        if self._new(body) and "bot_id" not in event:
            thread = str(event.get("thread_ts", ""))
            asked = Asked(
                user=event["user"],
                channel=event["channel"],
                thread=thread or event["ts"],
                thread_of=thread,
                public=True,
            )
            self.begin(self._talk.line(asked, typed(event.get("text", ""), self._bot_user) or "help"))

    async def message(self, body: Body, event: Body) -> None:
        """Direct messages are lines; in channels, prices are named where people speak of them. Edits, joins and what
        bots write have a subtype or a bot_id; a mention of ours comes as one."""
        if "bot_id" in event or event.get("subtype") or not self._new(body):
            return
        text, thread = str(event.get("text", "")), str(event.get("thread_ts", ""))
        if event.get("channel_type") == "im":
            asked = Asked(user=event["user"], channel=event["channel"], thread=thread, public=True)
            self.begin(self._talk.line(asked, typed(text, self._bot_user) or "help"))
        elif f"<@{self._bot_user}" not in text:
            asked = Asked(
                user=event["user"],
                channel=event["channel"],
                thread=thread or event["ts"],
                thread_of=thread,
                public=True,
            )
            self.begin(self._talk.overheard(asked, typed(text)))

    async def home_opened(self, body: Body, event: Body) -> None:
        if event.get("tab") == "home" and self._new(body):
            self.begin(self._talk.publish(event["user"]))

    async def joined(self, body: Body, event: Body) -> None:
        if event.get("user") == self._bot_user and self._new(body):
            self.begin(self._talk.welcome(event["channel"]))

    async def ending(self, event: Body) -> None:
        if event["type"] == "tokens_revoked" and not event.get("tokens", {}).get("bot"):
            return  # a person's own token, which we have none of
        if not self.ended.done():
            self.ended.set_exception(GiveUp(ENDINGS[event["type"]]))

    def _new(self, body: Body) -> bool:
        event_id = str(body.get("event_id", ""))
        if event_id in self._seen:
            return False
        self._seen[event_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True


def asked_by(body: Body) -> Asked:
    """Of a press or a shortcut."""
    container = body.get("container", {})
    message = body.get("message") or {}
    channel = body.get("channel") or {}
    channel_id = str(channel.get("id") or container.get("channel_id", ""))
    direct = channel_id.startswith("D")
    thread = str(message.get("thread_ts") or container.get("thread_ts") or "")
    below = str(message.get("ts", "")) if _is_alert(body) and not direct else ""
    return Asked(
        user=body["user"]["id"],
        channel=channel_id,
        channel_name=str(channel.get("name", "")),
        thread=thread or below,
        thread_of=thread,
        response_url=str(body.get("response_url", "")),
        trigger=str(body.get("trigger_id", "")),
        public=not _for_one(body) and (direct or _is_alert(body)),
        pressed=container.get("type") == "message",
    )


def _is_alert(body: Body) -> bool:
    return any(render.of_alert(str(action.get("block_id", ""))) for action in body.get("actions", ()))


def _for_one(body: Body) -> bool:
    """Pressed on what only one person sees."""
    return bool(body.get("container", {}).get("is_ephemeral")) or "message" not in body


def _in_view(body: Body) -> bool:
    return bool(body.get("container", {}).get("type") == "view")


# ------------------------------------------------------------------------------------------------ socket


@asynccontextmanager
async def connected(wire: Wire, listener: Listener, app_token: str) -> AsyncIterator[Any]:
    """The open websocket; Slack's own client follows where Slack sends it to another one. TryLater where none comes
    about in CONNECT_S."""
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
    from slack_bolt.async_app import AsyncApp

    url = await wire.socket_url()
    app = AsyncApp(client=wire.client, logger=library_log(), name="tocsin")
    listener.listen_to(app)
    handler = AsyncSocketModeHandler(app, app_token, logger=library_log(), web_client=wire.client)
    handler.client.wss_uri = url
    handler.client.message_listeners.append(listener.connection)
    try:
        async with asyncio.timeout(CONNECT_S):
            await handler.client.connect()  # type: ignore[no-untyped-call]  # the library ships none here
        yield handler.client
    except TimeoutError:
        raise TryLater("slack: the websocket does not open") from None
    finally:
        await handler.client.close()  # type: ignore[no-untyped-call]
        await listener.close()


async def until_lost(client: Any, listener: Listener, watch_s: float) -> None:
    """TryLater once the connection was away at two looks in a row; GiveUp when Slack says that it is over."""
    lost = 0
    while True:
        await asyncio.wait({listener.ended}, timeout=watch_s)
        if listener.ended.done():
            listener.ended.result()
        lost = 0 if await client.is_connected() else lost + 1
        if lost >= 2:
            raise TryLater("slack: the connection broke")
