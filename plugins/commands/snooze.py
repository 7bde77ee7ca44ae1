"""`snooze 12 2h`: silence for an alert, for a while or until a time; `off` ends it."""

from hub import wording
from hub.i18n import _, later
from hub.model import Argument, Button, Reply, Request
from hub.plugin import BadRequest, Context
from plugins.commands.acting import ALERT, number_and_rest, said

USAGE = "snooze NUMBER 30s|15m|2h|1d | until 14:00|tomorrow|friday 18:00 | off"
SUMMARY = later("Keeps an alert silent for a while; off wakes it.")
EXAMPLES = ("snooze 12 2h", "snooze 12 until 14:00", "snooze 12 until tomorrow", "snooze 12 off")
ARGUMENTS = (
    ALERT,
    Argument(name="time", about="how long, or until when; off wakes it", required=True, example="2h"),
)


async def run(context: Context, request: Request) -> Reply:
    alert_id, rest = number_and_rest(request.arguments, EXAMPLES[0])
    zone, now = request.user.time_zone, context.now()
    until = until_of(rest, zone, now)
    alert = await context.snooze(request, alert_id, until)
    facts: dict[str, object] = {"id": alert.id, "state": alert.state.value, "snoozed_until": wording.iso(until)}
    lines = await said(context, request, alert)
    if until is None:
        line = _("It watches again from where the price is now; what happened meanwhile does not ring.")
        return Reply(
            title=_("Alert {id} is awake").format(id=alert.id), lines=(*lines, line), replace=True, facts=facts
        )
    return Reply(
        title=_("Alert {id} is silent until {clock} ({zone})").format(
            id=alert.id, clock=wording.clock(until, zone, now), zone=zone
        ),
        lines=lines,
        buttons=(
            Button(label=_("Wake"), line=f"snooze {alert.id} off"),
            Button(label=_("Why"), line=f"why {alert.id}"),
        ),
        replace=True,
        facts=facts,
    )


def until_of(text: str, zone: str, now: int) -> int | None:
    """The wall time until which it is silent; None for "off"."""
    word = " ".join(text.lower().split())
    if word in ("off", "wake"):
        return None
    if not word:
        raise BadRequest(_("for how long? Write 30s, 15m, 2h, 1d, until 14:00, until tomorrow, or off"))
    if word.startswith("until "):
        return wording.read_clock(word.removeprefix("until "), zone, now)
    return now + wording.read_duration(word.removeprefix("for "))
