"""One interaction with Discord, from its line to its answer.

Discord wants a first word within three seconds. The hub mostly answers sooner, and only then can a form be opened, a
pressed message be changed at once or an answer be shown to one person alone; so the hub is given DEFER_S, and after
that Discord is told to wait. Every way ends with an answer. Depends on discord.py, the hub and `render`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import discord
import msgspec
import structlog

from bots.discord import forms, render, who, wire, words
from bots.discord.render import Card
from hub.model import Form, Line, Reply
from hub.plugin import Hub, TryLater

log = structlog.get_logger("discord")
Interaction = discord.Interaction[discord.Client]

DEFER_S = 1.5
COMMAND = ""
"""Beside render's prefixes of buttons: what is answered is no button."""
NO_FILE = "what belongs to it could not be attached"


class Answering:
    """The answer to one interaction. `pressed` is what was pressed: render.LINE, ALERT, AFTER, FORM, or COMMAND. `form`
    is offered where the hub refuses the line and has no form of its own."""

    def __init__(
        self,
        ask: Callable[[Line], Awaitable[Reply]],
        interaction: Interaction,
        line: str,
        pressed: str = COMMAND,
        form: Form | None = None,
    ) -> None:
        self._ask = ask
        self._interaction = interaction
        self._line = line
        self._pressed = pressed
        self._form = form
        self._late = False

    async def run(self) -> None:
        asker = who.of_interaction(self._interaction)
        asked = asyncio.ensure_future(self._ask(Line(text=self._line, who=asker)))
        try:
            done, _ = await asyncio.wait({asked}, timeout=DEFER_S)
            if not done:
                await self._defer()
            reply = await asked
        finally:
            asked.cancel()
        if not reply.ok and reply.form is None:
            reply = msgspec.structs.replace(reply, form=self._form)
        if asker.place and not asker.address and reply.ok:
            reply = msgspec.structs.replace(reply, lines=(*reply.lines, who.RIGHTS))
        await self._show(reply)

    async def _defer(self) -> None:
        """A button's message stays as it is; all else shows that something is coming."""
        self._late = True
        await self._interaction.response.defer(thinking=not self._changes_its_message())

    def _changes_its_message(self) -> bool:
        return self._interaction.type is discord.InteractionType.component

    async def _show(self, reply: Reply) -> None:
        if reply.form is not None and not self._late and await self._open_form(reply):
            return
        if self._pressed in (render.ALERT, render.AFTER) and reply.ok and not (reply.image or reply.file or reply.form):
            await self._mark_done(reply)
            return
        card = render.card_of(reply, self._line, self._interaction.filesize_limit)
        show = self._replace if self._pressed == render.LINE and reply.replace and reply.ok else self._new(reply)
        await with_or_without_files(card, show)

    async def _open_form(self, reply: Reply) -> bool:
        """At the press of its own button, or where nothing else was to be said than what is missing. False: Discord
        cannot hold it, or it is the answer to a form already (a modal cannot open another)."""
        assert reply.form is not None
        if self._interaction.type is discord.InteractionType.modal_submit:
            return False
        told = "" if reply.ok else "\n".join(words.lines_of(reply.lines))
        modal = forms.modal_of(reply.form, told)
        if modal is None:
            return False
        await self._interaction.response.send_modal(wire.modal_object(modal))
        return True

    async def _mark_done(self, reply: Reply) -> None:
        """The alert's message says what was done and by whom; its evidence and its buttons stay."""
        message = self._interaction.message
        assert message is not None, "a button has its message"
        before = [attached(embed.to_dict(), message.attachments) for embed in message.embeds]
        embeds = render.done_about(before, reply, self._interaction.user.display_name)
        rows = render.rows_after(wire.controls_of(message), reply)
        await self._edit(Card(embeds=embeds, rows=rows), {})

    async def _replace(self, card: Card) -> None:
        await self._edit(card, {"attachments": wire.files_of(card)})

    async def _edit(self, card: Card, more: dict[str, Any]) -> None:
        """Without `attachments` the message keeps its own."""
        changes: dict[str, Any] = {"embeds": wire.embeds_of(card), "view": wire.view_of(card), **more}
        if self._late:
            await self._interaction.edit_original_response(**changes)
        else:
            await self._interaction.response.edit_message(**changes)

    def _new(self, reply: Reply) -> Callable[[Card], Awaitable[None]]:
        """A message of its own, for the asker's eyes only where others look on and the hub says so, or the hub is a
        guest there."""
        guest = not who.place_of(self._interaction)
        hidden = who.onlookers(self._interaction) and (reply.private or not reply.ok or guest)

        async def show(card: Card) -> None:
            message = content_of(card)
            if not self._late:
                await self._interaction.response.send_message(ephemeral=hidden, **message)
            elif self._changes_its_message():
                await self._interaction.followup.send(ephemeral=hidden, **message)
            elif hidden:  # the word "thinking" was public, and what takes its place would be too
                await self._interaction.delete_original_response()
                await self._interaction.followup.send(ephemeral=True, **message)
            else:
                message["attachments"] = message.pop("files")
                await self._interaction.edit_original_response(**message)

        return show


def content_of(card: Card) -> dict[str, Any]:
    content: dict[str, Any] = {
        "embeds": wire.embeds_of(card),
        "files": wire.files_of(card),
        "allowed_mentions": wire.NOBODY,
    }
    if (view := wire.view_of(card)) is not None:
        content["view"] = view
    return content


async def with_or_without_files(card: Card, show: Callable[[Card], Awaitable[None]]) -> None:
    """A picture that Discord does not take holds its text back from nobody."""
    try:
        await show(card)
    except discord.HTTPException as error:
        if not card.files or error.status == 404:
            raise
        log.warning("a file was refused; its text goes alone", status=error.status, code=error.code)
        await show(render.without_files(card, NO_FILE))


def attached(embed: Any, attachments: Sequence[discord.Attachment]) -> dict[str, Any]:
    """The embed with its picture named as the attachment that it is: by its address it would be shown twice."""
    image = embed.get("image")
    name = urlsplit(image.get("url", "")).path.rpartition("/")[2] if image else ""
    if name and name in {attachment.filename for attachment in attachments}:
        return {**embed, "image": {"url": f"attachment://{name}"}}
    return dict(embed)


async def asked_of(hub: Hub, line: Line) -> Reply:
    """The hub's reply, or that there is none."""
    try:
        return await hub.ask(line)
    except TryLater as error:
        log.warning("the hub did not answer", reason=error.reason)
        return Reply(ok=False, lines=("The hub does not answer now; try again in a moment.",))
