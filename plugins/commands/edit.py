"""`edit 12 gold > 2450 every time`: other words for an alert; `edit 12` shows the form with those that it has."""

import msgspec

from hub.model import Button, Form, Reply, Request
from hub.plugin import Context
from hub.rules.language import AlertSpec, LanguageError, canonical, parse
from plugins.commands.acting import ALERT, number_and_rest, said
from plugins.commands.alert import ARGUMENTS as WORDS
from plugins.commands.alert import against, clock, doubts, facts, form, values_of

USAGE = 'edit NUMBER gold > 2450 [every time] [band 0.1%] [note "…"]'
SUMMARY = "Gives an alert other words; alone it shows a form with those that it has."
EXAMPLES = ("edit 12", "edit 12 gold > 2450 every time")
KEEP = "keep "
"""In front of the words: the band, the urgency and the places that they do not say stay as they are."""
ARGUMENTS = (ALERT, *(msgspec.structs.replace(each, required=False) for each in WORDS))


async def run(context: Context, request: Request) -> Reply:
    alert_id, line = number_and_rest(request.arguments, EXAMPLES[1])
    text = (await context.alert(request, alert_id)).alert.text
    if not line:
        return asked(context, alert_id, text)
    keep, line = line.lower().startswith(KEEP), line.removeprefix(KEEP)
    try:
        wanted = parse(line, context.catalogue.find, clock(context, request))
    except LanguageError as error:
        return form(context, error, line, title=f"Alert {alert_id}", command=f"edit {alert_id} {KEEP}".rstrip())
    if keep:
        wanted = kept(wanted, parse(text, context.catalogue.find))
    armed = await context.edit_alert(request, alert_id, canonical(wanted), was=text)
    spec = parse(armed.alert.text, context.catalogue.find)
    return Reply(
        title=f"Alert {alert_id} says {'that already' if armed.existed else 'something else now'}",
        lines=(
            *await said(context, request, armed.alert),
            *against(armed, spec, context, request),
            *doubts(armed, spec, context),
        ),
        buttons=(Button(label="Why", line=f"why {alert_id}"), Button(label="Delete", line=f"delete {alert_id}")),
        replace=True,
        facts=facts(armed, spec),
    )


def kept(wanted: AlertSpec, before: AlertSpec) -> AlertSpec:
    """With what a form has no room for as it was."""
    return msgspec.structs.replace(
        wanted,
        band=wanted.band or before.band,
        urgent=wanted.urgent or before.urgent,
        via=wanted.via or before.via,
    )


def asked(context: Context, alert_id: int, text: str) -> Reply:
    spec: AlertSpec = parse(text, context.catalogue.find)
    command = f"edit {alert_id} {KEEP}".rstrip()
    values = values_of(spec)
    shown = Form(title=f"Alert {alert_id}", command=command, arguments=WORDS, values=values) if values else None
    line = f"Write what it shall say behind its number: edit {alert_id} {text}"
    return Reply(title=f"Alert {alert_id}", lines=(text, line), form=shown, facts={"id": alert_id, "text": text})
