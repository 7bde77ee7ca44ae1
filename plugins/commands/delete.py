"""`delete 12`: takes an alert away; `delete 12 undo` brings it back."""

from hub.i18n import _, later
from hub.model import Argument, Button, Reply, Request, State
from hub.plugin import BadRequest, Context
from plugins.commands.acting import ALERT, number_and_rest, said

USAGE = "delete NUMBER [undo]"
SUMMARY = later("Takes an alert away; undo brings it back.")
EXAMPLES = ("delete 12", "delete 12 undo")
OVER, SILENT = (State.DONE, State.EXPIRED), (State.PAUSED, State.SNOOZED, State.MUTED)
ARGUMENTS = (ALERT, Argument(name="undo", about="brings it back", kind="choice", choices=("undo",)))


async def run(context: Context, request: Request) -> Reply:
    alert_id, word = number_and_rest(request.arguments, "delete 12, or delete 12 undo")
    if word.lower() not in ("", "undo"):
        raise BadRequest(
            _('"{word}" says nothing here: write delete {alert_id}, or delete {alert_id} undo').format(
                word=word, alert_id=alert_id
            )
        )
    undo = bool(word)
    alert = await context.delete(request, alert_id, undo=undo)
    facts: dict[str, object] = {"id": alert.id, "text": alert.text, "state": alert.state.value}
    lines = await said(context, request, alert)
    if undo:
        over = _("It is {state}, as it was: again {id} arms it.").format(state=alert.state.value, id=alert.id)
        watches = _("It watches again from where the price is now; what happened meanwhile does not ring.")
        still = _("It says nothing, as before: why {id} tells for how long.").format(id=alert.id)
        line = over if alert.state in OVER else still if alert.state in SILENT else watches
        return Reply(title=_("Alert {id} is back").format(id=alert.id), lines=(*lines, line), replace=True, facts=facts)
    return Reply(
        title=_("Alert {id} is deleted").format(id=alert.id),
        lines=lines,
        buttons=(Button(label=_("Undo"), line=f"delete {alert.id} undo"),),
        replace=True,
        facts=facts,
    )
