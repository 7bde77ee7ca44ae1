"""`resume 12`: an alert that was paused goes on, from where the price is now."""

from hub.i18n import _, later
from hub.model import Button, Reply, Request
from hub.plugin import Context
from plugins.commands.acting import ALERT, only_number, said

USAGE = "resume NUMBER"
SUMMARY = later("Lets an alert go on that was paused, or rang too often.")
EXAMPLES = ("resume 12",)
ARGUMENTS = (ALERT,)


async def run(context: Context, request: Request) -> Reply:
    alert = await context.pause(request, only_number(request.arguments, EXAMPLES[0]), off=True)
    watches = _("It watches again from where the price is now; what happened meanwhile does not ring.")
    return Reply(
        title=_("Alert {id} goes on").format(id=alert.id),
        lines=(*await said(context, request, alert), watches),
        buttons=(
            Button(label=_("Pause"), line=f"pause {alert.id}"),
            Button(label=_("Why"), line=f"why {alert.id}"),
        ),
        replace=True,
        facts={"id": alert.id, "state": alert.state.value},
    )
