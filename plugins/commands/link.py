"""`link`: a code that makes another account of yours, on any platform, the same person; `link CODE` uses one.

The same line with the code that the hub prints at its start makes the operator.
"""

import re

from hub import wording
from hub.i18n import _, later
from hub.model import Argument, Button, Reply, Request, Role
from hub.plugin import BadRequest, Context, Joined
from plugins.commands.forget import NAMES

USAGE = "link [CODE]"
SUMMARY = later("Makes your accounts on several platforms one person, with one book of alerts.")
EXAMPLES = ("link", "link K7QM-2XPT")
ARGUMENTS = (Argument(name="code", about="what link gave you elsewhere; leave it out to get one", example="K7QM-2XPT"),)
ROLE = Role.GUEST
PRIVATE = True

CODE = re.compile(r"([0-9A-Za-z]{4}[- ]?[0-9A-Za-z]{4})(\s+yes)?", re.IGNORECASE)
TITLES = {"telegram": "Telegram", "discord": "Discord", "slack": "Slack", "console": "tocsin chat"}


async def run(context: Context, request: Request) -> Reply:
    text = request.arguments.strip()
    if not text:
        return await offered(context, request)
    found = CODE.fullmatch(text)
    if not found:
        raise BadRequest(_("a code has eight letters and digits, like K7QM-2XPT: link, on the other side, gives one"))
    code = found[1].upper()
    joined = await context.people.join(request, code, sure=found[2] is not None)
    if joined.operator:
        return Reply(
            title=_("You are the operator of this hub, {name}").format(name=joined.person),
            lines=(_("role lists the people whom it knows; role NAME admin gives one of them rights."),),
            facts={"operator": True},
        )
    return asked(joined, code) if joined.asks else done(joined)


async def offered(context: Context, request: Request) -> Reply:
    known = await context.people.identities(request)
    made = await context.people.link_code(request)
    until = wording.clock(made.until, request.user.time_zone, context.now())
    lines = [
        _("On the other platform, write to Tocsin:  link {code}").format(code=made.code),
        _("It is good once, until {until}, for whoever has it: keep it to yourself.").format(until=until),
        *(f"{TITLES.get(name, name)}: {way}" for name, way in made.ways.items()),
    ]
    return Reply(
        title=_("One person on several platforms"),
        table=(
            (_("known on"), _("as")),
            *((TITLES.get(each.platform, each.platform), each.name or each.id) for each in known),
        ),
        lines=tuple(lines),
        private=True,
        facts={"code": made.code, "until": wording.iso(made.until), "ways": dict(made.ways)},
    )


def asked(joined: Joined, code: str) -> Reply:
    """Whoever has the code of somebody else must not lose what is theirs by a slip."""
    return Reply(
        title=_("Become one person with {name}?").format(name=joined.person),
        lines=(
            _("What you have here would be theirs as well, and there is no way back for it:"),
            *counted(joined),
            _("Say yes only where {name} is you.").format(name=joined.person),
        ),
        buttons=(Button(label=_("Yes, that is me"), line=f"link {code} yes"),),
        private=True,
        facts={"person": joined.person, "asks": True, "moves": dict(joined.moves)},
    )


def done(joined: Joined) -> Reply:
    return Reply(
        title=_("You are {name} here too").format(name=joined.person),
        lines=(
            _("Alerts, lists, lots and settings are the same on both from now on; alerts ring in both chats."),
            *counted(joined),
            _("unlink takes this platform away again."),
        ),
        private=True,
        facts={"person": joined.person, "moved": dict(joined.moves)},
    )


def counted(joined: Joined) -> list[str]:
    return [f"  {_(NAMES[table])}: {count:,}" for table, count in joined.moves.items() if table in SHOWN]


SHOWN = ("alerts", "lots", "watchlists", "digests", "destinations")
