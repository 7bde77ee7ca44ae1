"""`unlink telegram`: that account is no longer the same person. All that was kept stays with the rest."""

from hub.i18n import _, later
from hub.model import Argument, Reply, Request, Role
from hub.plugin import Context

USAGE = "unlink [PLATFORM]"
SUMMARY = later("Takes one of your accounts from you: it is somebody else's from then on.")
EXAMPLES = ("unlink", "unlink telegram")
ARGUMENTS = (
    Argument(name="platform", about="which of your accounts; this one where you leave it out", example="slack"),
)
ROLE = Role.GUEST
PRIVATE = True


async def run(context: Context, request: Request) -> Reply:
    identity = await context.people.part(request, request.arguments.strip())
    return Reply(
        title=_("{name} on {platform} is no longer you").format(
            name=identity.name or identity.id, platform=identity.platform
        ),
        lines=(
            _("Your alerts, lists and lots stay with your other accounts. Nothing of yours goes to that chat now."),
            _("The next line from there makes somebody new, whom this hub does not know."),
        ),
        private=True,
        facts={"platform": identity.platform},
    )
