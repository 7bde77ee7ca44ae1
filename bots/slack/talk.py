"""A line from somebody in Slack → the hub's reply, shown where it belongs.

What was typed as a command or pressed is answered for that person's eyes, with a button that shares it; a mention is
answered in its thread, a direct message where it stands. Text goes first, pictures and files follow: into the place if
everybody may see them, else into the person's own talk with the bot, since Slack has no pictures for one pair of eyes.
After what may have changed alerts, the App Home of who has opened it is brought up to date.
Depends on bots.slack.wire, people, menus, render, forms and home.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from bots.slack import forms, render
from bots.slack import home as homes
from bots.slack.blocks import Block
from bots.slack.detection import Detection, line_in
from bots.slack.forms import Place
from bots.slack.menus import Menus
from bots.slack.pack import unpack
from bots.slack.people import People, is_direct
from bots.slack.render import Rendered, Shared
from bots.slack.wire import Wire
from hub.model import Form, Line, Reply, Who
from hub.plugin import GiveUp, Hub, TryLater

REMEMBERED = 2_000
NOT_HERE = "I am not in this channel, so no alert can ring here: /invite me."
WELCOME = "Tocsin is here. /tocsin gold asks for a price, /tocsin gold > 2400 sets an alert for this channel."
NOT_DETECTED = Reply(facts={"detect": False})
SENT_APART = "The picture is in your direct messages with me."

log = structlog.get_logger("slack")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Where a line came from. `public`: the answer is for everybody there. `trigger` opens a form for ACK_S."""

    user: str
    channel: str = ""
    channel_name: str = ""
    thread: str = ""  # that the answer goes to
    thread_of: str = ""  # that what concerns this place goes to
    response_url: str = ""
    trigger: str = ""
    public: bool = False
    pressed: bool = False  # on a message, which an answer may take the place of

    def place(self, *, home: bool = False) -> Place:
        return Place(channel=self.channel, thread=self.thread, name=self.channel_name, home=home)


class Talk:
    def __init__(
        self, hub: Hub, wire: Wire, people: People, menus: Menus, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.menus = menus
        self._clock = clock
        self._detection = Detection()
        self._hub, self._wire, self._people = hub, wire, people
        self._homes: OrderedDict[str, None] = OrderedDict()  # who has opened theirs
        self._refreshing: set[str] = set()
        self._edited: OrderedDict[tuple[str, str], list[Block]] = OrderedDict()

    # ---------------------------------------------------------------------------------------------- lines

    async def line(self, asked: Asked, line: str) -> None:
        """A line that was typed."""
        await self.answer(asked, line, await self.ask(asked, line))

    async def overheard(self, asked: Asked, text: str) -> None:
        """`$gold` in a talk between people, where the place wants it answered."""
        line = line_in(text, await self.menus.get())
        if not line:
            return
        on = self._detection.of(asked.channel, self._clock())
        if on is None:
            self._detection.heard(asked.channel, NOT_DETECTED, self._clock())  # until the hub says otherwise
            await self.ask(asked, "place")
            on = self._detection.of(asked.channel, self._clock())
        if on:
            await self.line(asked, line)

    async def ask(self, asked: Asked, line: str) -> Reply:
        who = await self._who(asked)
        try:
            reply = await self._hub.ask(Line(text=line, who=who))
            self._detection.heard(who.place, reply, self._clock())
            return reply
        except TryLater as error:
            return Reply(ok=False, lines=(f"The hub does not answer now ({error.reason}); ask again in a moment.",))

    async def answer(self, asked: Asked, line: str, reply: Reply) -> None:
        if reply.form is not None and await self.form(asked, reply.form, reply.lines) and not _holds_more(reply):
            return
        public = asked.public and (is_direct(asked.channel) or not reply.private)
        share = not public and not is_direct(asked.channel)
        shown = reply
        if reply.image is not None and not public and not is_direct(asked.channel):
            shown = msgspec.structs.replace(reply, lines=(*reply.lines, SENT_APART))
        small = "" if _holds_more(reply) or await self.reached(asked) else NOT_HERE
        await self._show(
            asked,
            render.reply(shown, line, share=share, small=small),
            public=public,
            instead=reply.replace and asked.pressed,
        )
        await self._attach(asked, reply, public=public)
        await self.changed(asked.user, reply)

    async def _who(self, asked: Asked) -> Who:
        return await self._people.who(asked.user, asked.channel, asked.thread_of, asked.channel_name)

    async def reached(self, asked: Asked) -> bool:
        return bool((await self._who(asked)).address)

    async def welcome(self, channel: str) -> None:
        """The bot was invited."""
        self._people.forget(channel)
        await self._wire.post(channel, "", render.note(WELCOME, homes.top(await self.menus.get())))

    async def _show(self, asked: Asked, shown: Rendered, *, public: bool, instead: bool = False) -> None:
        """Where it cannot be shown in the place, the person's own talk with the bot takes it."""
        try:
            if asked.response_url and (instead or not public):
                return await self._wire.respond(asked.response_url, shown, instead=instead)
            if public:
                await self._wire.post(asked.channel, asked.thread, shown)
                return None
            if not is_direct(asked.channel):
                return await self._wire.whisper(asked.channel, asked.thread, asked.user, shown)
        except GiveUp as error:
            log.debug("an answer went to the person instead", reason=error.reason)
        await self._wire.post(asked.user, "", shown)
        return None

    async def _attach(self, asked: Asked, reply: Reply, *, public: bool) -> None:
        """A failure holds nothing back: the text is there."""
        files = [("chart.png", reply.image)] if reply.image is not None else []
        files += [(reply.file.name, reply.file.content)] if reply.file is not None else []
        if not files:
            return
        try:
            channel, thread = (asked.channel, asked.thread) if public else (await self._wire.direct(asked.user), "")
            for name, content in files:
                await self._wire.upload(channel, thread, name, content, reply.title or name)
        except (TryLater, GiveUp) as error:
            log.warning("a picture or file could not be sent", reason=error.reason)

    # -------------------------------------------------------------------------------------------- presses

    async def pressed(self, asked: Asked, line: str, block_id: str, message: dict[str, Any] | None) -> None:
        """A button with a line. Below an alert, what was done stands where the buttons were."""
        reply = await self.ask(asked, line)
        done = reply.ok and reply.form is None and not _holds_more(reply)
        if message is not None and render.of_alert(block_id) and done:
            await self._acted(asked, reply, block_id, message)
            await self.changed(asked.user, reply)
            return
        if not reply.ok:
            asked = msgspec.structs.replace(asked, public=False)
        await self.answer(asked, line, reply)

    async def _acted(self, asked: Asked, reply: Reply, block_id: str, message: dict[str, Any]) -> None:
        """What Slack says that the message looks like may be older than our last edit of it."""
        ts = str(message["ts"])
        key = (asked.channel, ts)
        who = await self._who(asked)
        now = self._edited.get(key) or list(message.get("blocks", ()))
        did = reply.title or " ".join(reply.lines) or "done"
        blocks = render.acted(now, block_id, did, who.name, reply.buttons)
        self._edited[key] = blocks
        self._edited.move_to_end(key)
        if len(self._edited) > REMEMBERED:
            self._edited.popitem(last=False)
        try:
            await self._wire.update(asked.channel, ts, Rendered(str(message.get("text", "")), blocks))
        except (TryLater, GiveUp) as error:
            log.info("an alert's message could not be edited", reason=error.reason)
            self._edited.pop(key, None)
            await self._show(asked, render.reply(reply), public=False)

    async def share(self, asked: Asked, value: str) -> None:
        """What only one person saw, shown to the channel. A picture is asked for once more, as whoever shares it."""
        carried = unpack(value, Shared)
        if carried is None:
            await self._show(asked, render.note("That can no longer be shared: ask once more."), public=False)
            return
        reply = Reply(title=carried.title, lines=carried.lines, table=carried.table)
        if carried.line:
            reply = await self.ask(asked, carried.line)
        if not reply.ok:
            await self._show(asked, render.reply(reply), public=False)
            return
        who = await self._who(asked)
        shown = render.reply(msgspec.structs.replace(reply, buttons=(), form=None), small=f"shared by {who.name}")
        try:
            await self._wire.post(asked.channel, asked.thread, shown)
        except GiveUp:  # the bot is not in that channel: the address that came with the press still reaches it
            await self._wire.respond(asked.response_url, shown, public=True)
        await self._wire.respond(asked.response_url, None)
        await self._attach(asked, reply, public=True)

    # ---------------------------------------------------------------------------------------------- forms

    async def form(self, asked: Asked, form: Form, said: Sequence[str] = (), *, home: bool = False) -> bool:
        """Whether it could be opened: Slack allows that for three seconds after what a person did."""
        view = forms.modal(form, asked.place(home=home), said)
        if not asked.trigger or view is None:
            return False
        try:
            await self._wire.open_view(asked.trigger, view)
        except (TryLater, GiveUp) as error:
            log.info("a form could not be opened", reason=error.reason)
            return False
        return True

    async def form_of(self, asked: Asked, command: str, *, home: bool = False) -> None:
        """The form of a command; one that takes nothing is run."""
        entry = homes.entry_of(await self.menus.get(), command)
        language = (await self._who(asked)).language
        if entry is None:
            reply = Reply(ok=False, lines=("The hub cannot say now what can be asked; try again in a moment.",))
            await (self.publish(asked.user, reply) if home else self.answer(asked, command, reply))
        elif not entry.arguments:
            await (self.at_home(asked, command) if home else self.line(asked, command))
        elif not await self.form(asked, forms.of_command(entry), [homes.summary(entry, language)], home=home):
            form = Reply(title=entry.usage, lines=(homes.summary(entry, language),), form=forms.of_command(entry))
            await self._show(asked, render.reply(form), public=False)

    async def opened(self, asked: Asked, value: str) -> None:
        """The button that carries a form."""
        form = unpack(value, Form)
        if form is None or not await self.form(asked, form):
            await self._show(asked, render.note("That form is too old: ask once more."), public=False)

    # ----------------------------------------------------------------------------------------------- home

    async def at_home(self, asked: Asked, line: str) -> None:
        reply = await self.ask(asked, line)
        await self.shown_at_home(asked, line, reply)

    async def shown_at_home(self, asked: Asked, line: str, reply: Reply) -> None:
        """Short answers on top of the home, long ones in the direct messages."""
        if _holds_more(reply) or reply.form is not None:
            await self.answer(asked, line, reply)
            if reply.form is None:
                words = reply.title or "The answer"
                await self.publish(asked.user, Reply(lines=(f"{words}: it is in your direct messages with me.",)))
            return
        await self.publish(asked.user, reply)

    async def publish(self, user: str, notice: Reply | None = None) -> None:
        self._homes[user] = None
        self._homes.move_to_end(user)
        if len(self._homes) > REMEMBERED:
            self._homes.popitem(last=False)
        asked = Asked(user=user)
        alerts = await self.ask(asked, "alerts")
        language = (await self._who(asked)).language
        await self._wire.publish(user, homes.home(alerts, await self.menus.get(), notice, language))

    async def changed(self, user: str, reply: Reply | None = None) -> None:
        """Brings the home up to date, where the person has opened it. What shows a picture or a table is looked at and
        changed nothing."""
        looked = reply is not None and (not reply.ok or _holds_more(reply))
        if user not in self._homes or looked or user in self._refreshing:
            return
        self._refreshing.add(user)
        try:
            await self.publish(user)
        finally:
            self._refreshing.discard(user)


def _holds_more(reply: Reply) -> bool:
    return reply.image is not None or reply.file is not None or bool(reply.table)
