"""What people say and press → a line → the hub → what they see.

A press is answered within its deadline, also while the hub still works. What was done to an alert that rang is written
under it with who did it, and its evidence stays. Depends on the rooms beside it; see bots.telegram.
"""

import asyncio
import html

import msgspec
import structlog
from aiogram.methods import AnswerCallbackQuery, DeleteMessage, EditMessageText
from aiogram.types import CallbackQuery, Message, User

from bots.telegram import board, limits, lines, render, steps
from bots.telegram.alerts import whose
from bots.telegram.api import Api
from bots.telegram.board import Boards
from bots.telegram.menu import Known, refresh
from bots.telegram.people import People, Spot, spot_of, spot_of_press
from bots.telegram.render import Key, Post, Rows
from bots.telegram.show import Show, keyboard
from bots.telegram.steps import Draft
from hub.model import Argument, Line, Reply, Who
from hub.plugin import BadRequest, GiveUp, Hub, TryLater
from hub.render import safe

log = structlog.get_logger("telegram")

ACK_S = 3.0
BELL = "🔔"
STAMP = "— "
MOST_STAMPS = 5
EXTRA = "↩ "
"""In front of a button that came with what was done last."""
SILENT = "The hub does not answer now: try again in a moment."
PENDING = 5_000
PLACE_FOR_S = 300.0


class Conversation:
    def __init__(self, api: Api, hub: Hub, known: Known, boards: Boards, show: Show, *, detect: bool) -> None:
        self._api = api
        self._hub = hub
        self._known = known
        self._boards = boards
        self._show = show
        self._detect = detect
        self.people = People(api)
        self._detecting: dict[int, tuple[bool, float]] = {}  # by group, with the time until which it is believed
        self._asked: dict[int, Draft] = {}  # what is asked in a private chat, for an answer that is no reply

    # -------------------------------------------------------------------------------------- messages

    async def message(self, message: Message) -> None:
        if message.migrate_to_chat_id:
            await self._migrated(message.chat.id, message.migrate_to_chat_id)
            return
        text = message.text or message.caption
        writer = message.from_user
        if not text or (writer is not None and writer.is_bot and message.sender_chat is None):
            return
        spot = spot_of(message)
        await self._boards.look(spot.chat)
        draft = self._draft(message, text, spot)
        line = await self._line(text, spot) if draft is None else None
        if draft is None and line is None:
            return
        who = await self.people.who(None if message.sender_chat else writer, message.chat, spot, self._now())
        if draft is not None:
            await self._answered(draft, text, spot, who)
        elif line is not None:
            await self._run(line, spot, who)

    async def _migrated(self, old: int, new: int) -> None:
        """The hub knows a group of a new number by the address that it had; its alerts stay the group's own."""
        self._api.moved(old, new)
        try:
            await self._hub.ask(Line(text="place", who=whose(new, str(old))))
        except TryLater as error:
            log.warning("the hub could not be told that a group became a supergroup", reason=error.reason)

    async def _line(self, text: str, spot: Spot) -> str | None:
        line = lines.said(text, private=not spot.place, bot=self._api.name, commands=self._known.names)
        if line is not None or not spot.place:
            return line
        line = lines.symbols(text, self._known.is_instrument)
        return line if line is not None and await self._detects(spot) else None

    async def _detects(self, spot: Spot) -> bool:
        """Whether $BTC and #gold are answered there: everywhere by our own setting, else as `place` says."""
        known = self._detecting.get(spot.chat)
        if self._detect or (known and known[1] > self._now()):
            return self._detect or bool(known and known[0])
        try:
            reply = await self._hub.ask(Line(text="place", who=whose(spot.chat, spot.address)))
        except TryLater:
            return False
        self._hear_of_place(spot.chat, reply)
        return self._detecting.get(spot.chat, (False, 0.0))[0]

    def _hear_of_place(self, chat: int, reply: Reply) -> None:
        """What a reply to `place` says, whoever asked; a hub without it says no."""
        self._detecting[chat] = (reply.facts.get("detect") is True, self._now() + PLACE_FOR_S)
        while len(self._detecting) > PENDING:
            del self._detecting[next(iter(self._detecting))]

    def _draft(self, message: Message, text: str, spot: Spot) -> Draft | None:
        """The form that this answers: the one that it replies to, or in a private chat the one that was asked last."""
        if text.startswith("/"):
            self._asked.pop(spot.chat, None)
            return None
        replied = message.reply_to_message
        if replied and replied.from_user and self._api.me and replied.from_user.id == self._api.me.id:
            draft = steps.read(replied.text or "")
            if draft and draft.asking:
                return draft
        pending = None if spot.place else self._asked.pop(spot.chat, None)
        if pending is None or text.split()[0].lower() in self._known.names:
            return None
        return pending

    async def _run(self, line: str, spot: Spot, who: Who) -> None:
        name = board.asked(line)
        try:
            if name == "off":
                stopped = await self._boards.stop(spot.chat)
                await self._show.send(Post(html="The board ended." if stopped else "There is no board here."), spot)
            elif name is not None:
                await self._boards.start(self._hub, spot, who, name)
            else:
                await self._reply(await self._hub.ask(Line(text=line, who=who)), spot, who)
        except TryLater as error:
            log.warning("a line was not answered", reason=error.reason)
            await self._show.send(Post(html=SILENT), spot)

    async def _reply(self, reply: Reply, spot: Spot, who: Who) -> None:
        post = await self._post(reply, spot, who)
        if reply.private and spot.place:
            await self._show.whisper(post, spot)
        else:
            await self._show.send(post, spot)

    async def _post(self, reply: Reply, spot: Spot, who: Who) -> Post:
        if spot.place and "detect" in reply.facts:
            self._hear_of_place(spot.chat, reply)
        post = render.post(reply)
        if reply.form is None:
            return post
        form = await self._step(steps.draft(reply.form), reply.form.arguments, spot, who, above=post.html)
        return msgspec.structs.replace(form, image=post.image, file=post.file)

    # ----------------------------------------------------------------------------------------- forms

    async def _step(self, draft: Draft, arguments: tuple[Argument, ...], spot: Spot, who: Who, above: str = "") -> Post:
        """The message that asks next; in a private chat the next text is its answer, reply or not."""
        if draft.asking and not spot.place:
            self._asked[spot.chat] = draft
            while len(self._asked) > PENDING:
                del self._asked[next(iter(self._asked))]
        levels = await self._levels(draft, arguments, who)
        return steps.shown(draft, arguments, self._known.instruments, levels, above)

    async def _levels(self, draft: Draft, arguments: tuple[Argument, ...], who: Who) -> list[steps.Suggested]:
        """Around the price of the instrument that the form is about, where a number is asked."""
        asked = next((one for one in arguments if one.name == draft.asking and one.kind == "number"), None)
        about = next((draft.values[one.name] for one in arguments
                      if one.kind == "instrument" and one.name in draft.values), "")  # fmt: skip
        if asked is None or not about:
            return []
        try:
            reply = await self._hub.ask(Line(text=f"price {about}", who=who))
            quotes = reply.facts.get("quotes")
            quote = msgspec.convert(quotes, list[_Priced])[0]
        except (TryLater, msgspec.ValidationError, IndexError):
            return []
        decimals = next((one.decimals for one in self._known.instruments if one.id == quote.instrument), 2)
        return steps.suggested(quote.price, decimals)

    async def _arguments(self, command: str) -> tuple[Argument, ...]:
        """TryLater where the hub cannot be asked; BadRequest for a command that is there no more."""
        if self._known.entry(command) is None:
            await refresh(self._hub, self._known)
        entry = self._known.entry(command)
        if entry is None:
            raise BadRequest(f"{command} is not there any more: help says what can be asked")
        return entry.arguments

    async def _answered(self, draft: Draft, text: str, spot: Spot, who: Who) -> None:
        """A step answered in words."""
        self._asked.pop(spot.chat, None)
        if text.strip().lower() == "cancel":
            await self._show.send(Post(html="Cancelled."), spot)
            return
        try:
            arguments = await self._arguments(draft.command)
            draft, complete = steps.answered(draft, arguments, draft.asking, text)
            if complete:
                await self._run(steps.line(draft, arguments), spot, who)
            else:
                await self._show.send(await self._step(draft, arguments, spot, who), spot)
        except BadRequest as error:
            await self._show.send(Post(html=html.escape(error.text)), spot)
        except TryLater:
            await self._show.send(Post(html=SILENT), spot)

    async def _form_press(self, query: CallbackQuery, data: str, spot: Spot, who: Who) -> None:
        message = query.message if isinstance(query.message, Message) else None
        draft = steps.read(message.text or "") if message else None
        if message is None or draft is None:
            await self._answer(query, "That form is too old: begin anew.", alert=True)
            return
        await self._answer(query)
        try:
            await self._form_step(draft, data, message, spot, who)
        except BadRequest as error:
            await self._show.send(Post(html=html.escape(error.text)), spot)
        except TryLater:
            await self._show.send(Post(html=SILENT), spot)

    async def _form_step(self, draft: Draft, data: str, message: Message, spot: Spot, who: Who) -> None:
        self._asked.pop(spot.chat, None)
        if data == steps.CANCEL:
            await self._show.edit(Post(html="Cancelled."), message, spot)
            return
        arguments, complete = await self._arguments(draft.command), data == steps.SEND
        if data.startswith(steps.VALUE):
            name, _, value = data.removeprefix(steps.VALUE).partition(":")
            draft, complete = steps.answered(draft, arguments, name, value)
        elif data.startswith(steps.EDIT):
            draft = msgspec.structs.replace(draft, asking=data.removeprefix(steps.EDIT))
        if complete:
            line = steps.line(draft, arguments)
            reply = await self._hub.ask(Line(text=line, who=who))
            await self._instead(await self._post(reply, spot, who), message, spot)
        else:
            await self._instead(await self._step(draft, arguments, spot, who), message, spot)

    async def _instead(self, post: Post, message: Message, spot: Spot) -> None:
        """In the message's place; what wants an answer in words, or a picture, comes as a new one."""
        if post.ask is None and post.file is None and await self._show.edit(post, message, spot):
            return
        await self._show.send(post, spot)
        if post.ask is not None:
            try:
                await self._api.call(DeleteMessage(chat_id=message.chat.id, message_id=message.message_id))
            except (GiveUp, TryLater) as error:
                log.info("a message could not be deleted", reason=error.reason)

    # --------------------------------------------------------------------------------------- presses

    async def press(self, query: CallbackQuery) -> None:
        spot, data = spot_of_press(query), query.data or ""
        if spot is None:
            await self._inline_press(query, data)
            return
        await self._boards.look(spot.chat)
        chat = query.message.chat if query.message else None
        who = await self.people.who(query.from_user, chat, spot, self._now())
        if data.startswith("="):
            await self._form_press(query, data, spot, who)
            return
        try:
            reply, open_yet = await self._in_time(query, Line(text=board.line_of(data), who=who))
        except TryLater as error:
            log.warning("a press was not answered", reason=error.reason)
            await self._answer(query, SILENT, alert=True)
            return
        if not reply.ok and open_yet and reply.form is None:
            await self._answer(query, _toast(reply), alert=True)
            if len(_toast(reply)) < limits.TOAST:
                return
        elif open_yet:
            await self._answer(query, reply.title if _is_action(reply) else "")
        await self._pressed(query, data, reply, spot, who)

    async def _in_time(self, query: CallbackQuery, line: Line) -> tuple[Reply, bool]:
        """The reply, and whether the press is still to be answered: after a while it is, so that its button rests."""
        asking = asyncio.ensure_future(self._hub.ask(line))
        try:
            done, _ = await asyncio.wait({asking}, timeout=ACK_S)
            if not done:
                await self._answer(query)
            return await asking, bool(done)
        finally:
            asking.cancel()

    async def _pressed(self, query: CallbackQuery, data: str, reply: Reply, spot: Spot, who: Who) -> None:
        message = query.message if isinstance(query.message, Message) else None
        if message and reply.ok and _is_action(reply) and BELL in (message.text or ""):
            stamped = stamp(message, reply, query.from_user)
            if stamped and await self._show.edit(stamped, message, spot):
                return
        elif message and data.startswith(board.MARK) and reply.ok:
            await self._show.edit(board.board_post(reply, data), message, spot)
            return
        post = await self._post(reply, spot, who)
        if message and reply.replace and reply.ok and await self._show.edit(post, message, spot):
            return
        if reply.private and spot.place:
            await self._show.whisper(post, spot)
        else:
            await self._show.send(post, spot)

    async def _inline_press(self, query: CallbackQuery, data: str) -> None:
        """On a message that somebody sent through inline mode: only what asks for prices is shown there."""
        who = await self.people.who(query.from_user, None, Spot(chat=0), self._now())
        if data.split()[:1] not in (["price"], ["convert"]):
            await self._answer(query)
            return
        try:
            reply, open_yet = await self._in_time(query, Line(text=data, who=who))
        except TryLater:
            await self._answer(query, SILENT, alert=True)
            return
        if open_yet:
            await self._answer(query, "" if reply.ok else _toast(reply), alert=not reply.ok)
        if reply.ok:
            rows = ((Key("Refresh", data),),)
            await self._api.call(
                EditMessageText(
                    inline_message_id=query.inline_message_id, text=render.text(reply), reply_markup=keyboard(rows)
                )
            )

    async def _answer(self, query: CallbackQuery, text: str = "", *, alert: bool = False) -> None:
        """Once a press; one that Telegram holds for too old is let go."""
        method = AnswerCallbackQuery(
            callback_query_id=query.id, text=limits.cut(text, limits.TOAST) or None, show_alert=alert or None
        )
        try:
            await self._api.call(method)
        except GiveUp as error:
            log.info("a press was answered too late", reason=error.reason)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class _Priced(msgspec.Struct):
    """What is read of a price's facts."""

    instrument: str
    price: float


def _is_action(reply: Reply) -> bool:
    """It says what was done, and shows nothing else."""
    return bool(reply.title) and not reply.table and reply.image is None and reply.file is None and reply.form is None


def _toast(reply: Reply) -> str:
    return limits.cut(" ".join(filter(None, [safe(reply.title), *map(safe, reply.lines)])), limits.TOAST)


def stamp(message: Message, reply: Reply, user: User) -> Post | None:
    """The alert with what was done and by whom under it, the newest last; None where there is no room."""
    kept = message.html_text.split("\n")
    stamps = [line for line in kept if line.startswith(f"<i>{STAMP}")][1 - MOST_STAMPS :]
    text = [line for line in kept if not line.startswith(f"<i>{STAMP}")]
    name = safe(user.full_name)
    done = safe(reply.title) if name and name in reply.title else f"{safe(reply.title)} · {name}"
    stamps.append(f"<i>{STAMP}{html.escape(done, quote=False)}</i>")
    body = "\n".join([*text, *stamps])
    if limits.size(body) > limits.TEXT:
        return None
    return Post(html=body, rows=_rows_after(message, reply))


def _rows_after(message: Message, reply: Reply) -> Rows:
    """The alert's own buttons, behind those that came with what was done."""
    old = message.reply_markup.inline_keyboard if message.reply_markup else []
    own = tuple(
        tuple(Key(key.text, key.callback_data or "", key.url or "") for key in row)
        for row in old
        if not any(key.text.startswith(EXTRA) for key in row)
    )
    extra = tuple(tuple(Key(EXTRA + key.label, key.data) for key in row) for row in render.rows(reply.buttons))
    return (*extra, *own)
