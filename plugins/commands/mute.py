"""`mute gold 2h`: all alerts on something are silent, for a while or until `mute gold off`."""

from collections.abc import Sequence

from hub import wording
from hub.i18n import _, later
from hub.model import Alert, Argument, Button, Reply, Request
from hub.plugin import BadRequest, Context
from plugins.commands.acting import by, words
from plugins.commands.snooze import until_of

USAGE = "mute gold [2h | until tomorrow | off]"
SUMMARY = later("Keeps all of your alerts on something silent; off lets them speak.")
EXAMPLES = ("mute gold 2h", "mute gold", "mute gold until friday", "mute gold off")
ARGUMENTS = (
    Argument(name="instrument", about="whose alerts", kind="instrument", required=True, example="gold"),
    Argument(name="time", about="how long; without it until off", example="2h"),
)
SHOWN = 20


async def run(context: Context, request: Request) -> Reply:
    name, when = split(request.arguments)
    instrument = context.catalogue.find(name)
    zone, now = request.user.time_zone, context.now()
    until = until_of(when, zone, now) if when else None
    off = bool(when) and until is None
    changed = await context.mute(request, instrument.id, until, off=off)
    facts: dict[str, object] = {
        "instrument": instrument.id,
        "alerts": [alert.id for alert in changed],
        "muted_until": wording.iso(until),
    }
    lines = (*listed(context, changed, zone), by(request))
    if not changed:
        idle = _("is muted") if off else _("could ring before that, so there is nothing to mute")
        return Reply(
            title=instrument.name,
            lines=(_("No alert of yours on {instrument} {idle}.").format(instrument=instrument.name, idle=idle),),
            facts=facts,
        )
    if off:
        title = _("Your alerts on {instrument} are heard again").format(instrument=instrument.name)
        told = _("They watch from where the price is now; what happened meanwhile does not ring.")
        return Reply(title=title, lines=(*lines, told), replace=True, facts=facts)
    end = (
        _("until {clock} ({zone})").format(clock=wording.clock(until, zone, now), zone=zone)
        if until
        else _("until mute {name} off").format(name=name)
    )
    return Reply(
        title=_("Your alerts on {instrument} are muted {end}").format(instrument=instrument.name, end=end),
        lines=lines,
        buttons=(Button(label=_("Let them speak"), line=f"mute {instrument.id} off"),),
        replace=True,
        facts=facts,
    )


def split(arguments: str) -> tuple[str, str]:
    """What is muted, and for how long: "swiss franc until friday 18:00"."""
    all_words = arguments.split()
    if not all_words:
        raise BadRequest(_("what shall be silent? Write {examples}").format(examples=EXAMPLES[0]))
    for place, word in enumerate(all_words[1:], 1):
        if word.lower() in ("until", "for", "off") or word[0].isdigit():
            return " ".join(all_words[:place]), " ".join(all_words[place:])
    return " ".join(all_words), ""


def listed(context: Context, alerts: Sequence[Alert], zone: str) -> list[str]:
    told = [f"{alert.id}: {words(context, alert, zone)}" for alert in alerts[:SHOWN]]
    return told + ([_("… and {count} more").format(count=len(alerts) - SHOWN)] if len(alerts) > SHOWN else [])
