"""`forget`: what the hub keeps of you, counted; and with the code of that answer all of it is removed for good."""

from collections.abc import Mapping

from hub.i18n import later
from hub.model import Argument, Button, Reply, Request, Role
from hub.plugin import BadRequest, Context

USAGE = "forget [yes CODE]"
SUMMARY = "Removes everything that this hub keeps of you; asks first."
PRIVATE = True
EXAMPLES = ("forget",)
ARGUMENTS = (Argument(name="code", about="what the answer to forget says", lead="yes"),)

NAMES = {
    "alerts": later("alerts, counting those that are over"),
    "triggers": "times that they rang",
    "alert_events": "lines of their history",
    "notifications": "messages, sent or waiting",
    "destinations": later("places where you are reached, with their addresses"),
    "watchlists": later("watch lists"),
    "lots": later("lots of your portfolio"),
    "digests": later("digests"),
    "identities": "names under which platforms know you",
}


async def run(context: Context, request: Request) -> Reply:
    words = request.arguments.split()
    if not words:
        return await asked(context, request)
    if len(words) != 2 or words[0].lower() != "yes":
        raise BadRequest("write forget; its answer holds the code for forget yes CODE")
    code = words[1]
    await context.personal.confirm(request, code)
    for view in await context.alerts(request):
        await context.delete(request, view.alert.id)  # by the engine, so that none rings while the rest is removed
    gone = await context.personal.forget(request, code)
    lines = [f"{sum(gone.values()):,} rows of you were removed. Nothing of them can be brought back."]
    if request.user.role == Role.OPERATOR:
        lines.append("You were an operator: the next line on this machine's console makes a new one.")
    lines.append("The next line that you write makes you anew, as somebody whom this hub does not know.")
    return Reply(title="You are forgotten", lines=tuple(lines), private=True, facts={"removed": dict(gone)})


async def asked(context: Context, request: Request) -> Reply:
    going = await context.personal.going(request)
    lines = ["This would be removed, for good:", *counted(going.counts)]
    if request.user.role == Role.OPERATOR:
        lines.append("You are an operator. Another operator stays one; the next console line can make a new one.")
    lines += [
        "Prices and charts are nobody's and stay. Backups and exports that were made earlier are not reached.",
        f"export gives you all of it first. forget yes {going.code} removes it; the code is good for five minutes.",
    ]
    return Reply(
        title=f"Forget {request.user.name}?",
        lines=tuple(lines),
        buttons=(
            Button(label="Export first", line="export"),
            Button(label="Remove everything", line=f"forget yes {going.code}"),
        ),
        private=True,
        facts={"counts": dict(going.counts), "code": going.code},
    )


def counted(counts: Mapping[str, int]) -> list[str]:
    return [f"  {name}: {counts[table]:,}" for table, name in NAMES.items() if counts.get(table)]
