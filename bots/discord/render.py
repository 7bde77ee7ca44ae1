"""What the hub says → what Discord shows, as plain values. Pure.

A Reply and a Message become a Card: embeds as Discord's JSON, buttons that carry their line, at most one file. Where it
is too long, evidence and tables are cut, from the end; titles, first lines and what is not live stay whole.
Depends on hub.model, hub.outgoing and the limits.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from bots.discord import limits, words
from hub import outgoing
from hub.model import Button, File, Message, Nature, Notification, Reply
from hub.render import safe

LINE, ALERT, AFTER, FORM = "l:", "a:", "u:", "f:"
"""In front of the line in a button's custom_id: a button of any reply; one of an alert that rang; one that came to such
an alert with what was done about it (undo); one that opens a form."""

CALM, RANG, REFUSED = 0x3B6EA5, 0xD9A400, 0xB3423A
DONE = "Done"
"""The name of the field that says what was done about an alert, and by whom."""
FIELD_ROOM = 300  # characters of an alert's embed that are kept for that
OPEN_FORM = "Fill in a form"
NOTHING = "(nothing to show)"
CHART_NAME = "chart.png"


class Control(msgspec.Struct, frozen=True):
    label: str
    custom_id: str


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `content` is what a phone's notification shows; empty where the embed is enough."""

    content: str = ""
    embeds: tuple[dict[str, Any], ...] = ()
    rows: tuple[tuple[Control, ...], ...] = ()
    files: tuple[File, ...] = ()


# ---------------------------------------------------------------------------------------------- replies


def card_of(reply: Reply, line: str = "", largest: int = limits.ATTACHMENT_BYTES) -> Card:
    """`line` is what was asked: it opens the reply's form again. Pictures and files over `largest` bytes are left out,
    and said to be."""
    files, told = _files(reply, largest)
    embed: dict[str, Any] = {"color": CALM if reply.ok else REFUSED}
    if reply.title:
        embed["title"] = limits.cut(words.escaped(reply.title), limits.TITLE)
    description = _description(reply, told)
    if description:
        embed["description"] = description
    if any(file.name == CHART_NAME for file in files):
        embed["image"] = {"url": f"attachment://{CHART_NAME}"}
    if not reply.title and not description:
        embed["description"] = NOTHING
    return Card(embeds=(embed,), rows=_rows(_controls(reply, line)), files=files)


def without_files(card: Card, why: str) -> Card:
    """The same text where what was attached could not be sent."""
    embed = {key: value for key, value in card.embeds[0].items() if key != "image"}
    lines = [embed.get("description", ""), words.escaped(f"({why})")]
    embed["description"] = limits.cut("\n".join(line for line in lines if line), limits.DESCRIPTION)
    return msgspec.structs.replace(card, embeds=(embed, *card.embeds[1:]), files=())


def _files(reply: Reply, largest: int) -> tuple[tuple[File, ...], list[str]]:
    wanted = [File(name=CHART_NAME, media_type="image/png", content=reply.image)] if reply.image else []
    wanted += [reply.file] if reply.file else []
    fitting = tuple(file for file in wanted if len(file.content) <= largest)
    told = [f"({file.name} is too large for Discord)" for file in wanted if file not in fitting]
    return fitting, told


def _description(reply: Reply, told: Sequence[str]) -> str:
    """The table gives way first, then the later lines. Half the room is the lines' own."""
    lines = words.lines_of([*reply.lines, *told])
    block = words.block_lines(reply.table) if reply.table else []
    if not block:
        return limits.cut_lines(lines, limits.DESCRIPTION) if lines else ""
    text = limits.cut_lines(lines, limits.DESCRIPTION // 2) if lines else ""
    room = limits.DESCRIPTION - limits.length(text) - len("```\n\n```\n")
    return "\n".join(part for part in (f"```\n{limits.cut_lines(block, room)}\n```", text) if part)


def _controls(reply: Reply, line: str) -> list[Control]:
    controls = [_control(LINE, button) for button in reply.buttons]
    if reply.form is not None:
        opened = FORM + line
        controls.insert(0, Control(OPEN_FORM, opened if fits(opened) else FORM + reply.form.command))
    return [control for control in controls if fits(control.custom_id)]


def _control(prefix: str, button: Button) -> Control:
    return Control(limits.cut(safe(button.label), limits.LABEL) or "…", prefix + button.line)


def fits(custom_id: str) -> bool:
    return 0 < limits.length(custom_id) <= limits.CUSTOM_ID


def _rows(controls: Sequence[Control]) -> tuple[tuple[Control, ...], ...]:
    """Full rows. Discord refuses two of one custom_id in a message: the first stays."""
    unique = list({control.custom_id: control for control in reversed(controls)}.values())[::-1]
    most = unique[: limits.ROWS * limits.ROW_BUTTONS]
    width = limits.ROW_BUTTONS
    return tuple(tuple(most[start : start + width]) for start in range(0, len(most), width))


# --------------------------------------------------------------------------------------------- messages


def alert_card(message: Message) -> Card:
    """What rang. One alert has its buttons; several stand in a block each, or where they are too many for that, as a
    list in which every title is whole."""
    notifications = message.notifications
    title = f"**{limits.cut(words.escaped(message.title), limits.CONTENT - 4)}**" if message.title else ""
    if len(notifications) == 1:
        (one,) = notifications
        controls = [_control(ALERT, button) for button in outgoing.buttons(one)]
        block = _block(one, limits.EMBED_TOTAL - FIELD_ROOM, outgoing.added(message))
        return Card(content=title, embeds=(block,), rows=_rows(controls))
    if 1 < len(notifications) <= limits.EMBEDS:
        room = limits.EMBED_TOTAL // len(notifications)
        return Card(content=title, embeds=tuple(_block(one, room=room) for one in notifications))
    if notifications:
        return Card(content=title, embeds=(_list(message),))
    text = limits.cut_lines(words.lines_of([message.text]), limits.DESCRIPTION)
    return Card(content=title, embeds=({"color": RANG, "description": text},) if text else ())


def _block(one: Notification, room: int, more: Sequence[str] = ()) -> dict[str, Any]:
    title = limits.cut(words.escaped(one.title), limits.TITLE)
    most = min(room - limits.length(title), limits.DESCRIPTION)
    text = limits.cut_lines(_evidence(one, more), most)
    return {"color": RANG, "title": title, "description": text if title or text else NOTHING}


def _evidence(one: Notification, more: Sequence[str]) -> list[str]:
    """The note, what is not live and why it is told only now in front: they are never cut."""
    first = []
    if one.note and one.note not in one.text:
        first.append(one.note)
    if one.nature is not Nature.LIVE and one.nature.value not in f"{one.title} {one.text}".lower():
        first.append(f"This price is {one.nature.value}.")
    return words.lines_of([*first, *more, *one.text.split("\n")])


def _list(message: Message) -> dict[str, Any]:
    """As the hub words so many: a line each, with its own time."""
    lines = [limits.cut(line, limits.TITLE) for line in words.lines_of([message.text])]
    return {"color": RANG, "description": limits.cut_lines(lines, limits.DESCRIPTION)}


# -------------------------------------------------------------------------------------- what was done


def done_about(embeds: Sequence[dict[str, Any]], reply: Reply, name: str) -> tuple[dict[str, Any], ...]:
    """The embeds of an alert's message with what was done about it, and by whom; its evidence stays. What was done
    before gives way, it is in the alert's history."""
    said = reply.title or (reply.lines[0] if reply.lines else "done")
    by = f" · {limits.cut(words.escaped(name), 100)}"
    value = limits.cut(words.escaped(said), FIELD_ROOM - len(DONE) - limits.length(by)) + by
    first, *rest = embeds or ({"color": RANG},)
    fields = [field for field in first.get("fields", ()) if field.get("name") != DONE]
    return ({**first, "fields": [*fields, {"name": DONE, "value": value}]}, *rest)


def rows_after(controls: Sequence[Control], reply: Reply) -> tuple[tuple[Control, ...], ...]:
    """The alert's own buttons, and behind them what can be done about what was just done."""
    own = [control for control in controls if control.custom_id.startswith(ALERT)]
    new = [_control(AFTER, button) for button in reply.buttons]
    known = {control.custom_id[len(ALERT) :] for control in own}
    return _rows([*own, *(one for one in new if fits(one.custom_id) and one.custom_id[len(AFTER) :] not in known)])
