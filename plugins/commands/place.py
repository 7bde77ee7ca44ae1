"""`place`: what holds in a group or channel: who sets its alerts, whether $GOLD is answered, time zone, language."""

from hub import wording
from hub.i18n import LANGUAGES, _, later
from hub.model import Argument, Button, Place, Reply, Request, Role, User
from hub.plugin import BadRequest, Context
from plugins.commands.settings import language_of, zone_of

USAGE = "place [admins | everyone | detect on|off | zone Europe/Berlin | language de | here]"
SUMMARY = later("Of a group: who sets its alerts, whether $GOLD is answered, its time zone and language.")
EXAMPLES = ("place", "place everyone", "place detect on", "place zone Europe/Berlin", "place language de")
ARGUMENTS = (
    Argument(
        name="setting",
        about="what to change; leave it out to see how it is",
        kind="choice",
        choices=("admins", "everyone", "detect", "zone", "language", "here"),
    ),
    Argument(name="value", about="on or off, a time zone, a language", example="on"),
)
ROLE = Role.GUEST

WHO = {"admins": later("its admins, and those of the hub"), "everyone": later("everyone in it")}


async def run(context: Context, request: Request) -> Reply:
    if request.place is None:
        raise BadRequest(_("this is no group or channel: place says how it is there. settings is for you alone"))
    word, _space, rest = request.arguments.strip().partition(" ")
    word, rest = word.lower(), rest.strip()
    if not word:
        return shown(_("This place"), context, request, request.place, request.user)
    if word == "here" and not rest:
        place = await context.people.place_here(request)
        return shown(_("Alerts of this place go here from now on"), context, request, place, request.user)
    if word in WHO and not rest:
        place, keeper = await context.people.settle_place(request, "who_may", word)
    elif word == "detect" and rest.lower() in ("on", "off"):
        place, keeper = await context.people.settle_place(request, "detect", rest.lower() == "on")
    elif word == "zone" and rest:
        place, keeper = await context.people.settle_place(request, "time_zone", zone_of(rest))
    elif word == "language" and rest:
        place, keeper = await context.people.settle_place(request, "language", language_of(rest))
    else:
        raise BadRequest(_("write {usage}").format(usage=USAGE))
    return shown(_("This place is changed"), context, request, place, keeper)


def shown(title: str, context: Context, request: Request, place: Place, keeper: User) -> Reply:
    now, zone = context.now(), keeper.time_zone
    on = _("on") if place.detect else _("off")
    rows = (
        (_("who sets alerts"), _(WHO[place.who_may])),
        (_("$GOLD and #gold are answered"), on),
        (_("time zone"), f"{zone} ({wording.clock(now, zone, now)})"),
        (_("language"), LANGUAGES.get(keeper.language, _("that of whoever asks"))),
    )
    other = "everyone" if place.who_may == "admins" else "admins"
    return Reply(
        title=title,
        table=((_("setting"), _("is")), *rows),
        lines=(_("Alerts that are set here are this place's own, and ring here."),),
        buttons=(
            Button(
                label=_("Everyone sets alerts") if other == "everyone" else _("Admins set alerts"),
                line=f"place {other}",
            ),
            Button(
                label=_("Answer $GOLD") if not place.detect else _("Leave $GOLD alone"),
                line=f"place detect {'off' if place.detect else 'on'}",
            ),
        ),
        replace=True,
        facts={
            "owner_id": place.owner_id,
            "who_may": place.who_may,
            "detect": place.detect,
            "time_zone": zone,
            "language": keeper.language,
            "may_change": request.may_change,
        },
    )
