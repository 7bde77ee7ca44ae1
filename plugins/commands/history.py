"""`history 12`: the whole life of an alert, line by line."""

from hub.i18n import _, later
from hub.model import Button, Reply, Request
from hub.plugin import Context
from plugins.commands.acting import ALERT, only_number, words

USAGE = "history NUMBER"
SUMMARY = later("All that happened to an alert, the newest first.")
EXAMPLES = ("history 12",)
ARGUMENTS = (ALERT,)


async def run(context: Context, request: Request) -> Reply:
    alert_id = only_number(request.arguments, EXAMPLES[0])
    alert = (await context.alert(request, alert_id)).alert
    lines = await context.life(request, alert_id)
    return Reply(
        title=_("The life of alert {id}").format(id=alert_id),
        lines=(words(context, alert, request.user.time_zone), *lines),
        buttons=(Button(label=_("Why"), line=f"why {alert_id}"),),
        facts={"id": alert_id, "history": list(lines)},
    )
