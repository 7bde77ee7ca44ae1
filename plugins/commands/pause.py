"""`pause 12`: an alert says nothing until `resume 12`."""

from hub.i18n import _, later
from hub.model import Button, Reply, Request
from hub.plugin import Context
from plugins.commands.acting import ALERT, only_number, said

USAGE = "pause NUMBER"
SUMMARY = later("Keeps an alert silent until you let it go on.")
EXAMPLES = ("pause 12",)
ARGUMENTS = (ALERT,)


async def run(context: Context, request: Request) -> Reply:
    alert = await context.pause(request, only_number(request.arguments, EXAMPLES[0]))
    return Reply(
        title=_("Alert {id} is paused").format(id=alert.id),
        lines=(*await said(context, request, alert), _("It says nothing until you let it go on.")),
        buttons=(
            Button(label=_("Go on"), line=f"resume {alert.id}"),
            Button(label=_("Delete"), line=f"delete {alert.id}"),
        ),
        replace=True,
        facts={"id": alert.id, "state": alert.state.value},
    )
