"""`snooze 12 2h`: silence for an alert, for a while or until a time of day; `off` ends it."""

import re

from hub import wording
from hub.model import Button, Reply, Request
from hub.plugin import BadRequest, Context

USAGE = "snooze NUMBER 30s|15m|2h|1d | until 14:00 | off"
SUMMARY = "Keeps an alert silent for a while; off wakes it."
EXAMPLES = ("snooze 12 2h", "snooze 12 until 14:00", "snooze 12 off")

NUMBER = re.compile(r"#?([0-9]{1,15})\b\s*(.*)", re.DOTALL)


async def run(context: Context, request: Request) -> Reply:
    alert_id, rest = number_and_rest(request.arguments)
    until = until_of(rest, request.user.time_zone, context.now())
    alert = await context.snooze(request, alert_id, until)
    facts: dict[str, object] = {"id": alert.id, "state": alert.state.value, "snoozed_until": wording.iso(until)}
    if until is None:
        line = "It watches again from where the price is now; what happened meanwhile does not ring."
        return Reply(title=f"Alert {alert.id} is awake", lines=(line,), facts=facts)
    shown = wording.clock(until, request.user.time_zone, context.now())
    return Reply(
        title=f"Alert {alert.id} is silent until {shown} ({request.user.time_zone})",
        lines=(alert.text,),
        buttons=(Button(label="Wake", line=f"snooze {alert.id} off"),),
        facts=facts,
    )


def number_and_rest(arguments: str) -> tuple[int, str]:
    found = NUMBER.fullmatch(arguments.strip())
    if not found:
        raise BadRequest("which alert? Write its number: snooze 12 2h (alerts shows the numbers)")
    return int(found[1]), found[2].strip()


def until_of(text: str, zone: str, now: int) -> int | None:
    """The wall time until which it is silent; None for "off"."""
    word = " ".join(text.lower().split())
    if word in ("off", "wake"):
        return None
    if not word:
        raise BadRequest("for how long? Write 30s, 15m, 2h, 1d, until 14:00, or off")
    if word.startswith("until "):
        return wording.read_clock(word.removeprefix("until "), zone, now)
    return now + wording.read_duration(word.removeprefix("for "))
