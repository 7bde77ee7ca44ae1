"""`again 12`: arms an alert that has rung, against the price of now."""

from hub.model import Button, Reply, Request
from hub.plugin import Context
from hub.rules.language import parse
from plugins.commands.acting import ALERT, only_number, said
from plugins.commands.alert import against, facts

USAGE = "again NUMBER"
SUMMARY = "Arms an alert again that has rung."
EXAMPLES = ("again 12",)
ARGUMENTS = (ALERT,)


async def run(context: Context, request: Request) -> Reply:
    alert_id = only_number(request.arguments, EXAMPLES[0])
    armed = await context.again(request, alert_id)
    alert = armed.alert
    spec = parse(alert.text, context.catalogue.find)
    instrument = context.catalogue.find(alert.instrument)
    return Reply(
        title=f"Alert {alert.id} is armed {'already' if armed.existed else 'again'}",
        lines=(*await said(context, request, alert), *against(armed, spec, instrument)),
        buttons=(
            Button(label="Why", line=f"why {alert.id}"),
            Button(label="Snooze 1 h", line=f"snooze {alert.id} 1h"),
            Button(label="Delete", line=f"delete {alert.id}"),
        ),
        replace=True,
        facts=facts(armed, spec),
    )
