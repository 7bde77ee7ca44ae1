"""`again 12`: arms an alert that has rung, against the price of now."""

from hub.i18n import _, later
from hub.model import Button, Reply, Request
from hub.plugin import Context
from hub.rules.language import parse
from plugins.commands.acting import ALERT, only_number, said
from plugins.commands.alert import against, facts

USAGE = "again NUMBER"
SUMMARY = later("Arms an alert again that has rung.")
EXAMPLES = ("again 12",)
ARGUMENTS = (ALERT,)


async def run(context: Context, request: Request) -> Reply:
    alert_id = only_number(request.arguments, EXAMPLES[0])
    armed = await context.again(request, alert_id)
    alert = armed.alert
    spec = parse(alert.text, context.catalogue.find)
    return Reply(
        title=(_("Alert {id} is armed already") if armed.existed else _("Alert {id} is armed again")).format(
            id=alert.id
        ),
        lines=(*await said(context, request, alert), *against(armed, spec, context, request)),
        buttons=(
            Button(label=_("Why"), line=f"why {alert.id}"),
            Button(label=_("Snooze 1 h"), line=f"snooze {alert.id} 1h"),
            Button(label=_("Delete"), line=f"delete {alert.id}"),
        ),
        replace=True,
        facts=facts(armed, spec),
    )
