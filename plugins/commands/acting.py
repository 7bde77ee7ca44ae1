"""What the commands share that act on an alert: its number in their line, and what their replies tell of it."""

import re

from hub.i18n import _, later
from hub.model import Alert, Argument, Request
from hub.plugin import BadRequest, Context
from hub.rules.language import parse
from hub.rules.words import describe
from plugins.commands.why import evidence

NUMBER = re.compile(r"#?([0-9]{1,15})\b\s*(.*)", re.DOTALL)
ALERT = Argument(name="alert", about="the number of the alert", kind="alert", required=True, example="12")
NEEDS_NUMBER = later("which alert? Write its number: {example} (alerts shows the numbers)")


def number_and_rest(arguments: str, example: str) -> tuple[int, str]:
    found = NUMBER.fullmatch(arguments.strip())
    if not found:
        raise BadRequest(_(NEEDS_NUMBER).format(example=example))
    return int(found[1]), found[2].strip()


def only_number(arguments: str, example: str) -> int:
    number, rest = number_and_rest(arguments, example)
    if rest:
        raise BadRequest(_('"{rest}" says nothing here: write {example}').format(rest=rest, example=example))
    return number


async def said(context: Context, request: Request, alert: Alert) -> tuple[str, ...]:
    """The alert in words, what rang last, and whose hand it was: so much that it can stand in the place of the message
    whose button was pressed."""
    view = await context.alert(request, alert.id)
    lines = [words(context, alert, request.user.time_zone)]
    if view.last_trigger is not None:
        lines.append(evidence(context, alert, view.last_trigger, request.user.time_zone, context.now()))
    return (*lines, by(request))


def by(request: Request) -> str:
    return _("By {name}.").format(name=request.who.name or request.user.name)


def words(context: Context, alert: Alert, zone: str) -> str:
    """In words, or as it stands where it is not understood any more."""
    try:
        return describe(parse(alert.text, context.catalogue.find), context.catalogue.get, zone)
    except BadRequest:
        return alert.text
