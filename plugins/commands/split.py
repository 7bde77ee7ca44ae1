"""`split AAPL 7:1 2014-06-09`: a stock's split, over which levels, lots, candles and charts move. For admins."""

from hub.i18n import _, later, several
from hub.model import Argument, Button, Reply, Request, Role, Split
from hub.plugin import BadRequest, Context
from hub.splits import parse_day, parse_ratio

USAGE = "split [INSTRUMENT [NEW:OLD DAY [yes]|remove DAY]]"
SUMMARY = later("Splits of stocks, over which levels and candles move.")
EXAMPLES = ("split", "split AAPL 7:1 2014-06-09", "split AAPL remove 2014-06-09")
ARGUMENTS = (
    Argument(name="instrument", about=later("the stock"), kind="instrument", example="AAPL"),
    Argument(name="ratio", about=later("new shares for old ones"), example="7:1"),
    Argument(name="day", about=later("the first day at the new price"), example="2014-06-09"),
)
ROLE = Role.ADMIN
SHOWN = 50
OFF = 0.2
"""Prices around that day may depart so far from the ratio; beyond it the question says so."""


async def run(context: Context, request: Request) -> Reply:
    words = request.arguments.split()
    if len(words) < 2:
        return await listed(context, words)
    instrument = context.catalogue.find(words[0])
    if words[1].lower() == "remove":
        if len(words) != 3:
            raise BadRequest(_("write it like {example}").format(example=EXAMPLES[2]))
        gone = await context.remove_split(instrument.id, parse_day(words[2]))
        return Reply(title=_("The split of {instrument} is not known any more").format(instrument=shown(gone)))
    if instrument.class_ not in ("stock", "other"):
        raise BadRequest(_("{name} is no stock: it is not split").format(name=instrument.name))
    sure = words[-1].lower() == "yes"
    if len(words) != (4 if sure else 3):
        raise BadRequest(_("write it like {example}").format(example=EXAMPLES[1]))
    (numerator, denominator), day = parse_ratio(words[1]), parse_day(words[2])
    line = f"split {instrument.id} {numerator}:{denominator} {day}"
    if not sure:
        return await asked(context, instrument.id, line, numerator / denominator, day)
    await context.add_split(request, instrument.id, day, numerator, denominator)
    return Reply(
        title=_("{instrument} is split {ratio} on {day}").format(
            instrument=instrument.id, ratio=f"{numerator}:{denominator}", day=day
        ),
        lines=(
            _("Levels move over it when that day begins at the exchange, or within seconds where it has begun."),
            _("Candles and charts show prices from before in new shares; what is stored stays as it came."),
        ),
        facts={"instrument": instrument.id, "numerator": numerator, "denominator": denominator, "day": day},
    )


async def asked(context: Context, instrument: str, line: str, ratio: float, day: str) -> Reply:
    """Nobody can take back what people were told of their levels, so it asks first."""
    alerts, owners = await context.split_alerts(instrument)
    lines = [
        _("A price from before {day} will count {factor} of what it was.").format(day=day, factor=f"{1 / ratio:.6g}"),
        named(alerts, owners, instrument),
    ]
    near = await context.around(instrument, day)
    if near is not None:
        was, became = near
        lines.append(
            _("Prices around that day: {was} → {became}, which is {ratio} to 1.").format(
                was=f"{was:.6g}", became=f"{became:.6g}", ratio=f"{was / became:.3g}"
            )
        )
        if abs(was / became / ratio - 1) > OFF:
            lines.append(_("That does not look like this split: is the day right?"))
    return Reply(
        title=_("Split {instrument}?").format(instrument=instrument),
        lines=tuple(lines),
        buttons=(Button(label=_("Yes, split it"), line=f"{line} yes"),),
        facts={"alerts": alerts, "owners": owners, "around": list(near) if near else None},
    )


def named(alerts: int, owners: int, instrument: str) -> str:
    if not alerts:
        return _("No alert names {instrument}.").format(instrument=instrument)
    told = several(
        "{alerts} alert of {owners} owner names {instrument}: its level moves, and they are told.",
        "{alerts} alerts of {owners} owners name {instrument}: their levels move, and they are told.",
        alerts,
    )
    return told.format(alerts=alerts, owners=owners, instrument=instrument)


async def listed(context: Context, words: list[str]) -> Reply:
    only = context.catalogue.find(words[0]).id if words else ""
    found = [each for each in await context.splits() if only in ("", each.instrument)]
    rows = [(each.instrument, each.ratio, each.day, each.told_by) for each in found[-SHOWN:]]
    if not rows:
        return Reply(
            title=_("No split is known"),
            lines=(_("An admin tells one: {example}").format(example=EXAMPLES[1]),),
            facts={"splits": []},
        )
    return Reply(
        title=_("Splits"),
        table=((_("stock"), _("new for old"), _("day"), _("told by")), *rows),
        facts={"splits": [{"instrument": each.instrument, "ratio": each.ratio, "day": each.day} for each in found]},
    )


def shown(split: Split) -> str:
    return f"{split.instrument} {split.ratio}, {split.day}"
