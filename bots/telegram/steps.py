"""A form, asked step by step: its whole state stands in the message that asks, so it survives a restart. Pure.

The message shows what is known ("• level: 2400") and what is asked ("→ level: …"). An answer comes as a button, whose
data begins with "=" and names the argument that it answers, or as a text in reply to the message. Once all that is
required is known, the line is made by hub.forms. Depends on hub.forms and hub.render.
"""

import html
import re
from collections.abc import Sequence

import msgspec

from bots.telegram import limits
from bots.telegram.render import Key, Post, Rows, packed
from hub.forms import line_of
from hub.model import Argument, Form, Instrument
from hub.render import safe

MARK = "✎ /"
KNOWN = re.compile(r"• ([a-z][\w-]*): (.*)")
ASKED = re.compile(r"→ ([a-z][\w-]*)\b")
VALUE, EDIT, SEND, CANCEL = "=v:", "=a:", "=go", "=x"
MOST_CHOICES = 12
LONGEST_VALUE = 400
STEPS_AWAY = (-0.05, -0.02, -0.01, 0.01, 0.02, 0.05)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A form that is being filled in. `asking` is empty where everything may be sent."""

    command: str
    values: dict[str, str]
    asking: str = ""


class Suggested(msgspec.Struct, frozen=True):
    label: str
    value: str


def draft(form: Form) -> Draft:
    known = {one.name for one in form.arguments}
    values = {name: one_line(value) for name, value in form.values.items() if name in known and one_line(value)}
    return asking(Draft(command=form.command, values=values), form.arguments)


def one_line(value: str) -> str:
    return limits.cut(" ".join(value.split()), LONGEST_VALUE)


def asking(draft: Draft, arguments: Sequence[Argument]) -> Draft:
    """The next that is required and not known."""
    missing = [one.name for one in arguments if one.required and not draft.values.get(one.name)]
    return msgspec.structs.replace(draft, asking=missing[0] if missing else "")


def answered(draft: Draft, arguments: Sequence[Argument], name: str, value: str) -> tuple[Draft, bool]:
    """The draft with that value, and whether it is complete by it and can be sent."""
    was_open = any(one.required and not draft.values.get(one.name) for one in arguments)
    filled = asking(msgspec.structs.replace(draft, values={**draft.values, name: one_line(value)}), arguments)
    return filled, was_open and not filled.asking


def line(draft: Draft, arguments: Sequence[Argument]) -> str:
    return line_of(draft.command, arguments, draft.values)


# ---------------------------------------------------------------------------------------------- showing


def shown(
    draft: Draft,
    arguments: Sequence[Argument],
    instruments: Sequence[Instrument],
    levels: Sequence[Suggested] = (),
    above: str = "",
) -> Post:
    """The message that asks; `above` is HTML that stands over it."""
    asked = next((one for one in arguments if one.name == draft.asking), None)
    said = [f"<b>{html.escape(MARK + draft.command)}</b>"]
    said += [f"• {name}: {html.escape(safe(value), quote=False)}" for name, value in draft.values.items()]
    if asked:
        about = f"{asked.about}, for example {asked.example}" if asked.example else asked.about
        said.append(f"→ <b>{asked.name}</b>: {html.escape(safe(about), quote=False)}")
    answers = _answers(asked, instruments, levels) if asked else []
    body = "\n".join([*([above, ""] if above else []), *said])
    if asked and not answers and asked.required:
        return Post(html=body, ask=limits.cut(asked.example or asked.about, limits.PLACEHOLDER))
    return Post(html=body, rows=(*packed(answers), *_others(draft, arguments)))


def _answers(asked: Argument, instruments: Sequence[Instrument], levels: Sequence[Suggested]) -> list[Key]:
    if asked.kind == "choice":
        offered = [Suggested(choice, choice) for choice in asked.choices]
    elif asked.kind in ("instrument", "instruments"):
        offered = [Suggested(one.name, one.id) for one in instruments[:MOST_CHOICES]]
    elif asked.kind == "number":
        offered = list(levels)
    else:
        offered = []
    keys = [Key(limits.cut(safe(one.label), 30), f"{VALUE}{asked.name}:{one.value}") for one in offered]
    return [key for key in keys if len(key.data.encode()) <= limits.CALLBACK_BYTES]


def _others(draft: Draft, arguments: Sequence[Argument]) -> Rows:
    """To send it, to say more, to change one's mind."""
    complete = all(draft.values.get(one.name) for one in arguments if one.required)
    asked = [
        Key(f"{one.name} ✎" if draft.values.get(one.name) else f"+ {one.name}", f"{EDIT}{one.name}")
        for one in arguments
        if one.name != draft.asking and (complete or not one.required or draft.values.get(one.name))
    ]
    end = [*([Key("Send ✓", SEND)] if complete else []), Key("Cancel", CANCEL)]
    return (*packed(asked), tuple(end))


def suggested(price: float, decimals: int) -> list[Suggested]:
    """Levels around a price, to be tapped."""
    levels = [(share, round(price * (1 + share), decimals)) for share in STEPS_AWAY]
    return [Suggested(f"{level:,.{decimals}f} ({share:+.0%})", f"{level:.{decimals}f}") for share, level in levels]


# ---------------------------------------------------------------------------------------------- reading


def read(text: str) -> Draft | None:
    """The draft in a message of ours; None where it is no form."""
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines) if line.startswith(MARK)), None)
    if start is None:
        return None
    command = lines[start].removeprefix(MARK).strip()
    values, asked = {}, ""
    for line in lines[start + 1 :]:
        if known := KNOWN.fullmatch(line):
            values[known[1]] = known[2]
        elif found := ASKED.match(line):
            asked = found[1]
    return Draft(command=command, values=values, asking=asked) if command else None
