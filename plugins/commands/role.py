"""`role anna admin`: what people may do; alone it lists them. For operators and admins."""

from hub.i18n import _, later
from hub.model import Argument, Reply, Request, Role
from hub.plugin import BadRequest, Context

USAGE = "role [NAME|NUMBER operator|admin|member|guest]"
SUMMARY = later("Who uses this hub, and what each of them may do.")
EXAMPLES = ("role", "role anna admin", "role 3 guest")
ARGUMENTS = (
    Argument(name="person", about="a name or number; leave it out to list all", example="anna"),
    Argument(name="role", about="what they may do", kind="choice", choices=tuple(Role)),
)
ROLE = Role.ADMIN
PRIVATE = True

NAMES = {
    Role.OPERATOR: later("operator"),
    Role.ADMIN: later("admin"),
    Role.MEMBER: later("member"),
    Role.GUEST: later("guest"),
}
MAY = {
    Role.OPERATOR: later("everything; gives every role"),
    Role.ADMIN: later("makes members and guests of people, changes alerts of every group"),
    Role.MEMBER: later("sets alerts, keeps lists and lots"),
    Role.GUEST: later("looks at prices and charts"),
}
SHOWN = 50


async def run(context: Context, request: Request) -> Reply:
    words = request.arguments.split()
    if not words:
        return await listed(context, request)
    if len(words) < 2 or words[-1].lower() not in tuple(Role):
        raise BadRequest(_("write role NAME and one of: {roles}").format(roles=", ".join(Role)))
    role = Role(words[-1].lower())
    person = await context.people.set_role(request, " ".join(words[:-1]), role)
    return Reply(
        title=_("{name} is {role} now").format(name=person.name, role=_(NAMES[role])),
        lines=(_(MAY[role]),),
        private=True,
        facts={"id": person.id, "name": person.name, "role": role.value},
    )


async def listed(context: Context, request: Request) -> Reply:
    everyone = await context.people.everyone(request)
    rows = [
        (str(person.id), person.name, _(NAMES[person.role]), ", ".join(person.platforms)) for person in everyone[:SHOWN]
    ]
    lines = [f"{_(NAMES[role])}: {_(may)}" for role, may in MAY.items()]
    if len(everyone) > SHOWN:
        lines.insert(0, _("… and {count} more.").format(count=len(everyone) - SHOWN))
    return Reply(
        title=_("People of this hub"),
        table=((_("no."), _("name"), _("role"), _("known on")), *rows),
        lines=tuple(lines),
        private=True,
        facts={
            "people": [
                {"id": each.id, "name": each.name, "role": each.role.value, "platforms": list(each.platforms)}
                for each in everyone
            ]
        },
    )
