"""`delete 12`: takes an alert away; `delete 12 undo` brings it back."""

import re

from hub.model import Button, Reply, Request
from hub.plugin import BadRequest, Context

USAGE = "delete NUMBER [undo]"
SUMMARY = "Takes an alert away; undo brings it back."
EXAMPLES = ("delete 12", "delete 12 undo")

ARGUMENTS = re.compile(r"#?([0-9]{1,15})(\s+undo)?", re.IGNORECASE)


async def run(context: Context, request: Request) -> Reply:
    found = ARGUMENTS.fullmatch(request.arguments.strip())
    if not found:
        raise BadRequest("which alert? Write its number: delete 12, or delete 12 undo (alerts shows the numbers)")
    undo = found[2] is not None
    alert = await context.delete(request, int(found[1]), undo=undo)
    facts: dict[str, object] = {"id": alert.id, "text": alert.text, "state": alert.state.value}
    if undo:
        line = "It watches again from where the price is now; what happened meanwhile does not ring."
        return Reply(title=f"Alert {alert.id} is back", lines=(alert.text, line), facts=facts)
    return Reply(
        title=f"Alert {alert.id} is deleted",
        lines=(alert.text,),
        buttons=(Button(label="Undo", line=f"delete {alert.id} undo"),),
        facts=facts,
    )
