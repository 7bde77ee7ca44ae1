"""Replies and alerts as Block Kit, cut to Slack's limits with what matters whole. Pure.

A reply: its title, its lines, its table in fixed width, its buttons. An alert: its title as a heading, the evidence,
the note as a quote, what is not live said, and what one can do about it; several of them one behind the other, with
the buttons as a menu. `acted` puts who did what into the place of an alert's buttons; title and evidence stay.
Depends on hub.model, hub.outgoing, hub.render and hub.wording.
"""

from collections.abc import Sequence

import msgspec

from bots.slack import blocks as kit
from bots.slack import limits
from bots.slack.blocks import Block
from bots.slack.pack import pack
from bots.slack.text import escaped, shown
from hub import outgoing
from hub.model import Button, Form, Message, Nature, Notification, Reply
from hub.render import table_lines
from hub.wording import moment

ALERT = "alert"  # block ids of what can be done about one begin so
SHARE = "share"
FORM = "form"
TABLE_CELLS = 72  # wide; a phone scrolls sideways
FIRST_BUTTONS = 4  # of each alert where there are several; the rest is in a menu
LEAST = 60  # characters that an alert keeps among many


class Shared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the share button carries: a reply as it was, or the line that is asked again because of its picture."""

    title: str = ""
    lines: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    line: str = ""


class Rendered(msgspec.Struct, frozen=True):
    text: str  # escaped: for notifications and old clients
    blocks: list[Block]


# ---------------------------------------------------------------------------------------------- replies


def reply(answer: Reply, line: str = "", *, share: bool = False, small: str = "") -> Rendered:
    """`line` is what was asked. `share` offers to show it to the channel; `small` stands below."""
    parts: list[Block] = []
    title = answer.title if answer.ok or not answer.title else f"⚠ {answer.title}"
    if title:
        parts.append(kit.rich(kit.paragraph([title], bold_first=True, most=limits.HEADER * 2)))
    words = "\n".join(answer.lines)
    if answer.table:
        parts.append(kit.rich(kit.preformatted(table_lines(answer.table, TABLE_CELLS))))
    parts += [kit.rich(kit.paragraph(words.split("\n"), most=limits.SECTION))] if words else []
    if small:
        parts.append(kit.context(small))
    parts += _rows(answer, line, share)
    if not parts:
        parts.append(kit.rich(kit.paragraph(["(nothing to show)"])))
    fallback = "\n".join([title, *answer.lines] if title else answer.lines) or "an answer"
    return Rendered(_fallback(fallback), parts[: limits.BLOCKS])


def _rows(answer: Reply, line: str, share: bool) -> list[Block]:
    """Buttons, no more than five in a row, so that a phone shows them; then what concerns the answer as a whole."""
    elements = kit.line_buttons(answer.buttons[: limits.ELEMENTS])
    if answer.form is not None and (value := form_value(answer.form)):
        elements.append(kit.button("Fill in…", value, FORM, style="primary"))
    carried = shared(answer, line) if share else ""
    if carried:
        elements.append(kit.button("Share to channel", carried, SHARE))
    return [kit.actions(elements[start : start + 5]) for start in range(0, len(elements), 5)]


def shared(answer: Reply, line: str) -> str:
    """The share button's value; empty where there is nothing to share. Only a picture makes us ask once more: pictures
    are looked at, so asking twice changes nothing."""
    if answer.private or not answer.ok or answer.form is not None:
        return ""
    if answer.image is not None:
        return pack(Shared(line=line), limits.VALUE) if line else ""
    return pack(Shared(title=answer.title, lines=answer.lines, table=answer.table), limits.VALUE)


def note(text: str, elements: Sequence[Block] = ()) -> Rendered:
    """A short word of our own."""
    parts = [kit.rich(kit.paragraph([text]))]
    return Rendered(_fallback(text), [*parts, kit.actions(elements)] if elements else parts)


def _fallback(text: str) -> str:
    return escaped("\n".join(limits.cut_lines(shown(text), limits.TEXT // 2)))


# ----------------------------------------------------------------------------------------------- alerts


def message(going: Message) -> Rendered:
    """All of a message within one of Slack's."""
    notifications = going.notifications
    if not notifications:
        parts = [kit.header(going.title), kit.rich(kit.paragraph(going.text.split("\n")))]
        return Rendered(_fallback(f"{going.title}\n{going.text}"), parts)
    if len(notifications) == 1:
        (one,) = notifications
        return Rendered(_fallback(f"{one.title}\n{going.text}"), _alone(one, " ".join(outgoing.added(going))))
    titles = [going.title, *(each.title for each in notifications)]
    return Rendered(_fallback("\n".join(titles)), _together(going))


def _alone(one: Notification, more: str) -> list[Block]:
    parts = [kit.header(one.title), kit.rich(*_told(one, [], limits.SECTION))]
    parts += [kit.context(said) for said in (unsaid(one), more) if said]
    buttons = outgoing.buttons(one)
    for start in range(0, len(buttons), 4):
        parts.append(kit.actions(kit.line_buttons(buttons[start : start + 4], start), f"{ALERT}:{one.id}:{start}"))
    return parts


def _together(going: Message) -> list[Block]:
    """A block each, the oldest first; as many as there is room for get their buttons. The head says how many there are,
    and what does not fit is counted."""
    room = limits.BLOCKS - 2  # for the head, and for the count of the rest
    told = going.notifications[:room]
    acting = room - len(told)
    most = min(limits.SECTION - LEAST, max(LEAST, limits.MESSAGE // len(told) - 100))
    parts = [kit.header(going.title)]
    apart = outgoing.apart(told)
    for one in told:
        said = unsaid(one)
        head = f"{moment(outgoing.rang_at(one)):%H:%M:%S} {one.title}" if apart else one.title
        parts.append(kit.rich(*_told(one, [head, *filter(None, [said])], most)))
        buttons = outgoing.buttons(one)
        if buttons and acting > 0:
            acting -= 1
            row = kit.line_buttons(buttons[:FIRST_BUTTONS])
            parts.append(kit.actions([*row, kit.more(buttons[FIRST_BUTTONS:])], f"{ALERT}:{one.id}:0"))
    rest = len(going.notifications) - len(told)
    return [*parts, kit.context(f"… and {rest} more: /tocsin alerts shows them")] if rest else parts


def _told(one: Notification, head: Sequence[str], most: int) -> list[Block]:
    """Head and evidence, and the note as a quote where there is room. A long head leaves none for the rest."""
    evidence = one.text.split("\n") if one.text else []
    if len("\n".join(head)) > most - LEAST:
        return [kit.paragraph(head, bold_first=bool(head), most=most)]
    parts = [kit.paragraph([*head, *evidence] or [one.title], bold_first=bool(head), most=most)]
    if one.note and one.note not in one.text:
        parts.append(kit.quote(one.note, max(most - len("\n".join([*head, *evidence])), LEAST)))
    return parts


def unsaid(one: Notification) -> str:
    """That a price is not live, should its words not say so already."""
    if one.nature == Nature.LIVE or one.nature.value in f"{one.title} {one.text}".lower():
        return ""
    return f"These prices are {one.nature.value}."


# ------------------------------------------------------------------------------------------- after a press


def of_alert(block_id: str) -> bool:
    return block_id.startswith(f"{ALERT}:")


def acted(
    shown_blocks: Sequence[Block], block_id: str, did: str, who: str, next_buttons: Sequence[Button]
) -> list[Block]:
    """The message with who did what instead of that alert's buttons, and what can be done next. The same press told
    again changes nothing more."""
    group = ":".join(block_id.split(":")[:2])
    said = [kit.context(f"✓ {did} · {who}", f"did:{group}")]
    if next_buttons:
        said.append(kit.actions(kit.line_buttons(next_buttons[:5]), f"{group}:next"))
    parts: list[Block] = []
    for block in shown_blocks:
        if _group(block) != group:
            parts.append(clean(block))
        elif said:
            parts, said = [*parts, *said], []
    return parts[: limits.BLOCKS]


def clean(block: Block) -> Block:
    """A block as Slack sent it back is taken as it is, but for what it adds to images."""
    return {key: value for key, value in block.items() if key not in ("image_width", "image_height", "image_bytes")}


def _group(block: Block) -> str:
    """Of an alert's buttons, and of what was said of them before."""
    block_id = str(block.get("block_id", "")).removeprefix("did:")
    return ":".join(block_id.split(":")[:2]) if of_alert(block_id) else ""


def form_value(form: Form) -> str:
    """What a button that opens this form carries; without its values where they are too much, empty where even so."""
    return pack(form, limits.VALUE) or pack(msgspec.structs.replace(form, values={}), limits.VALUE)
