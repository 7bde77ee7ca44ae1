"""A Reply or the notifications of a Message as Telegram shows them: HTML within the limits, rows of buttons. Pure.

Promises: text from outside is text (escaped, with invisible characters written out); where something has to give way,
the title stays whole, then the words beside a table and its first rows; an alert's title is never left out. Depends on
hub.render for tables and safe text.
"""

import html
from collections.abc import Iterable, Sequence

import msgspec

from bots.telegram import limits
from hub import outgoing
from hub.model import Button, File, Message, Nature, Notification, Reply
from hub.render import safe, table_lines
from hub.wording import moment

WIDTH = 38  # letters of fixed width that a phone shows in a line
TITLE = 256
NOTE = 600
MORE = 100  # the title of several alerts; what is said beyond one's own words
ROOM = limits.TEXT - MORE - len(", continued") - 9
"""For the alerts of a message of several."""

SHARE = 3  # a third of a message is kept for words where a table does not fit
LABEL = 40
ROW_LABELS = 26  # letters of the labels in one row
SHORT_LABEL = 6


class Key(msgspec.Struct, frozen=True):
    """One button: it sends `data`, or opens `url`."""

    label: str
    data: str = ""
    url: str = ""


Rows = tuple[tuple[Key, ...], ...]


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it is to be shown. `html` is never empty."""

    html: str
    rows: Rows = ()
    image: bytes | None = None
    file: File | None = None
    ask: str | None = None  # wants an answer in words: the placeholder of its field


class Part(msgspec.Struct, frozen=True):
    text: str
    tag: str = ""


Told = tuple[Notification, list[Part]]


def size(parts: Iterable[Part]) -> int:
    return sum(limits.size(part.text) + 1 for part in parts)


def marked(parts: Iterable[Part]) -> str:
    """A line break stands between parts."""
    return "\n".join(
        f"<{part.tag}>{html.escape(part.text, quote=False)}</{part.tag}>"
        if part.tag and part.text
        else html.escape(part.text, quote=False)
        for part in parts
    )


# ---------------------------------------------------------------------------------------------- replies


def post(reply: Reply) -> Post:
    """Without the form: bots.telegram.steps shows that."""
    most = limits.CAPTION if reply.image is not None and fits(reply, limits.CAPTION) else limits.TEXT
    return Post(html=text(reply, most), rows=rows(reply.buttons), image=reply.image, file=reply.file)


def fits(reply: Reply, most: int) -> bool:
    return size([*_title(reply), *_table(reply, most), *_lines(reply, most)]) <= most


def text(reply: Reply, most: int = limits.TEXT) -> str:
    title, lines, table = _title(reply), _lines(reply, most), _table(reply, 10 * most)
    room = most - size(title)
    if size([*table, *lines]) > room and table:
        lines = _lines(reply, max(room // SHARE, room - size(table)))
        table = _table(reply, room - size(lines))
    elif size(lines) > room:
        lines = _lines(reply, room)
    parts = [*title, *table, *lines]
    return marked(parts) if any(part.text.strip() for part in parts) else "…"


def _title(reply: Reply) -> list[Part]:
    return [Part(limits.cut(safe(reply.title), TITLE), "b")] if reply.title else []


def _lines(reply: Reply, room: int) -> list[Part]:
    lines = [safe(part) for line in reply.lines for part in line.split("\n")]
    text = limits.cut("\n".join(lines), room - 1)
    return [Part(text)] if text else []


def _table(reply: Reply, room: int) -> list[Part]:
    """Whole lines from the top, and how many are missing."""
    lines = table_lines(reply.table, WIDTH) if reply.table else []
    kept, missing = list(lines), 0
    while kept and limits.size("\n".join(kept)) + (len(f"\n… {missing} more lines") if missing else 0) + 2 > room:
        kept.pop()
        missing += 1
    if not kept:
        return []
    return [Part("\n".join(kept), "pre"), *([Part(f"… {missing} more lines")] if missing else [])]


# ----------------------------------------------------------------------------------------------- alerts


def alerts(message: Message) -> list[Post]:
    """One message as a rule; more where the titles alone do not fit into one. Evidence gives way to titles."""
    if not message.notifications:
        return [Post(html=marked([Part(limits.cut(safe(message.title), TITLE), "b"), *_evidence(message.text, 3000)]))]
    if len(message.notifications) == 1:
        (only,) = message.notifications
        more = limits.cut(safe(" ".join(outgoing.added(message))), MORE)
        head = [*_head(only), *([Part(more)] if more else [])]
        body = _evidence(only.text, limits.TEXT - size(head))
        return [Post(html=marked([head[0], *body, *head[1:]]), rows=rows(outgoing.buttons(only)))]
    title = limits.cut(safe(message.title), MORE)
    heads = [_head(one, timed=outgoing.apart(message.notifications)) for one in message.notifications]
    return [
        Post(html=_page(title if number == 0 else f"{title}, continued", page),
             rows=_row_each([one for one, _ in page]))
        for number, page in enumerate(_pages(list(zip(message.notifications, heads, strict=True))))
    ]  # fmt: skip


def _head(notification: Notification, *, timed: bool = False) -> list[Part]:
    """What is never left out: the title, with its time where that is wanted, the note, and that prices are not live."""
    at = f"{moment(outgoing.rang_at(notification)):%H:%M:%S} " if timed else ""
    parts = [Part(limits.cut(f"🔔 {at}{safe(notification.title)}", TITLE), "b")]
    if notification.note and notification.note not in notification.text:
        parts.append(Part(limits.cut(safe(notification.note), NOTE), "i"))
    said = f"{notification.title} {notification.text}".lower()
    if notification.nature != Nature.LIVE and notification.nature.value not in said:
        parts.append(Part(f"These prices are {notification.nature.value}."))
    return parts


def _evidence(text: str, room: int) -> list[Part]:
    cut = limits.cut("\n".join(safe(line) for line in text.split("\n")), room - 1)
    return [Part(cut)] if cut else []


def _pages(told: Sequence[Told]) -> list[list[Told]]:
    pages: list[list[Told]] = [[]]
    room = ROOM
    for notification, head in told:
        needs = size(head) + 1
        if needs > room and pages[-1]:
            pages.append([])
            room = ROOM
        pages[-1].append((notification, head))
        room -= needs
    return pages


def _page(title: str, told: Sequence[Told]) -> str:
    """All heads, and evidence as far as it fits, the oldest first."""
    room = ROOM - sum(size(head) + 1 for _, head in told)
    parts = [Part(title, "b")]
    for notification, head in told:
        evidence = _evidence(notification.text, limits.TEXT)
        whole = size(evidence) <= room
        room -= size(evidence) if whole else 0
        parts += [Part(""), head[0], *(evidence if whole else []), *head[1:]]
    return marked(parts)


def _row_each(notifications: Sequence[Notification]) -> Rows:
    """For each of a few alerts what is wanted most."""
    rung = list(dict.fromkeys(one.alert_id for one in notifications if one.alert_id is not None))
    if len(rung) > 6:
        return ()
    return tuple(
        (Key(f"{number}: 1 h silent", f"snooze {number} 1h"), Key("Why", f"why {number}"),
         Key("Delete", f"delete {number}"))
        for number in rung
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- buttons


def rows(buttons: Sequence[Button]) -> Rows:
    """What belongs to one command stands together; two to four in a row. A line that does not fit is no button."""
    keys = [
        Key(limits.cut(safe(button.label).strip() or button.line, LABEL), button.line)
        for button in buttons
        if 0 < len(button.line.encode()) <= limits.CALLBACK_BYTES
    ][: limits.BUTTONS]
    runs: list[list[Key]] = []
    for key in keys:
        if runs and runs[-1][0].data.split()[0] == key.data.split()[0]:
            runs[-1].append(key)
        else:
            runs.append([key])
    together = [key for run in runs if len(run) == 1 for key in run]
    return tuple(row for run in [*(run for run in runs if len(run) > 1), together] for row in packed(run))


def packed(keys: Sequence[Key]) -> list[tuple[Key, ...]]:
    """Three a row, four short ones, fewer long ones."""
    packed: list[tuple[Key, ...]] = []
    row: list[Key] = []
    for key in keys:
        most = 4 if all(len(one.label) <= SHORT_LABEL for one in [*row, key]) else 3
        if row and (len(row) >= most or sum(len(one.label) for one in [*row, key]) > ROW_LABELS):
            packed.append(tuple(row))
            row = []
        row.append(key)
    return [*packed, tuple(row)] if row else packed
