"""`move 12 +1%`, `move 12 2450`: another level for an alert, which waits for that from now on."""

import re
from decimal import Decimal

import msgspec

from hub import wording
from hub.i18n import _, later
from hub.model import Argument, Button, Reply, Request
from hub.plugin import BadRequest, Context
from hub.rules.language import HIGHEST, LOWEST, AlertSpec, canonical, number, parse
from hub.rules.numbers import NoNumber, digits
from hub.rules.series import Against, measure, signed
from plugins.commands.acting import ALERT, number_and_rest, said
from plugins.commands.alert import against, doubts, facts

USAGE = "move NUMBER 2450 | +1% | -5% | +10"
SUMMARY = later("Gives an alert another level, or moves it by a share or an amount.")
EXAMPLES = ("move 12 2450", "move 12 +1%", "move 12 -5%", "move 12 +10")
ARGUMENTS = (ALERT, Argument(name="level", about="the new level, or by how much", required=True, example="+1%"))

BY = re.compile(r"([+\-−–])\s*([0-9][0-9.,_]*[kK]?)\s*(%?)")


async def run(context: Context, request: Request) -> Reply:
    alert_id, wish = number_and_rest(request.arguments, EXAMPLES[0])
    if not wish:
        raise BadRequest(
            _("where to? Write move {alert_id} 2450, move {alert_id} +1% or move {alert_id} -10").format(
                alert_id=alert_id
            )
        )
    before = (await context.alert(request, alert_id)).alert
    spec = parse(before.text, context.catalogue.find)
    was = spec.first.level
    line = canonical(elsewhere(spec, wish, alert_id, context.decimals_of(before.instrument)))
    armed = await context.edit_alert(request, alert_id, line, was=before.text)
    spec = parse(armed.alert.text, context.catalogue.find)
    return Reply(
        title=(_("Alert {id} is at {level} already") if armed.existed else _("Alert {id} is at {level} now")).format(
            id=alert_id, level=wording.own(digits(spec.first.level))
        ),
        lines=(
            *await said(context, request, armed.alert),
            *against(armed, spec, context, request),
            *doubts(armed, spec, context),
        ),
        buttons=(
            *(
                Button(label=f"{by[0].replace('-', '−')}{by[1]} %", line=f"move {alert_id} {by}")
                for by in ("-1%", "+1%")
            ),
            Button(label=_("Back"), line=f"move {alert_id} {digits(was)}"),
            Button(label=_("Why"), line=f"why {alert_id}"),
            Button(label=_("Delete"), line=f"delete {alert_id}"),
        ),
        replace=True,
        facts={**facts(armed, spec), "level_before": was},
    )


def elsewhere(spec: AlertSpec, wish: str, alert_id: int, decimals: int) -> AlertSpec:
    """The same alert at the other level; BadRequest for one that has more than one."""
    clause = spec.first
    if len(spec.clauses) > 1 or clause.high is not None or isinstance(clause.series, Against):
        raise BadRequest(
            _("alert {id} has more than one level, or none: edit {id} shows its words").format(id=alert_id)
        )
    if signed(clause.series) and BY.fullmatch(wish) is None:
        level = number(wish.lstrip("-−")) * (-1 if wish[:1] in "-−" else 1)
    else:
        level = moved(clause.level, wish, decimals if measure(clause.series) in ("price", "difference") else 0)
    return msgspec.structs.replace(spec, clauses=(msgspec.structs.replace(clause, level=level),))


def moved(level: float, wish: str, decimals: int) -> float:
    """The new level, with as many decimals as prices have, or the old one; more where it would be the same else."""
    found = BY.fullmatch(wish)
    try:
        if not found:
            return _sound(number(wish))
        step = Decimal(repr(number(found[2]))) * (-1 if found[1] != "+" else 1)
    except NoNumber as error:
        raise BadRequest(_("{error}; or write +1% or -10").format(error=error)) from None
    was = Decimal(digits(level))
    exact = was * (100 + step) / 100 if found[3] else was + step
    places = max(decimals, len(digits(level).partition(".")[2]))
    while round(exact, places) == was and places < 12:
        places += 1
    return _sound(float(round(exact, places)))


def _sound(level: float) -> float:
    if not LOWEST <= level < HIGHEST:
        raise BadRequest(
            _("a level is above zero and under {highest}; {written} is not").format(
                highest=digits(HIGHEST), written=f"{level:g}"
            )
        )
    return level
