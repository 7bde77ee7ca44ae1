"""`alert gold > 2400`: rings once the price gets there. The reply says against which price it was armed."""

import re
from collections.abc import Sequence
from contextlib import suppress

from hub import wording
from hub.i18n import _, later
from hub.model import Alert, Argument, Armed, Button, Form, Instrument, Reply, Request, State
from hub.plugin import BadRequest, Context
from hub.rules.language import AlertSpec, LanguageError, describe, parse, understood
from hub.rules.numbers import digits

USAGE = 'alert gold > 2400 [once | every time] [band 0.1%] [urgent] [via telegram, push] [note "…"] [now]'
SUMMARY = later("Tells you when a price gets where you are waiting for it.")
EXAMPLES = ("alert gold > 2400", "alert btc < 60k every time", 'alert silver crosses 30 band 0.5% note "sell half"')

ARGUMENTS = (
    Argument(name="instrument", about="what to watch", kind="instrument", required=True, example="gold"),
    Argument(
        name="condition",
        about="when it rings",
        kind="choice",
        choices=("above", "below", "crosses"),
        required=True,
        example="above",
    ),
    Argument(name="level", about="at which price", kind="number", required=True, example="2400"),
    Argument(name="repeat", about="how often it rings", kind="choice", choices=("once", "every time")),
    Argument(name="note", about="what it shall remind you of", lead="note", quoted=True, example="sell half"),
)
NOW = re.compile(r"\s+now\s*$", re.IGNORECASE)
FAR = 5.0
NEAR = 0.001
LONGEST_BUTTON_BYTES = 64


async def run(context: Context, request: Request) -> Reply:
    if not request.arguments:
        return empty()
    line = NOW.sub("", request.arguments)
    try:
        parse(line, context.catalogue.find)
    except LanguageError as error:
        return form(context, error, line)
    armed = await context.create_alert(request, request.arguments)
    alert = armed.alert
    spec = parse(alert.text, context.catalogue.find)
    instrument = context.catalogue.get(alert.instrument)
    assert instrument is not None, f"{alert.instrument} was understood, so it is in the catalogue"
    on = [each for each in await context.destinations(request) if not each.disabled]
    reachable = [each for each in on if each.platform in spec.via] or on
    lines = [describe(spec, instrument), *against(armed, spec, instrument)]
    lines += doubts(armed, spec, instrument)
    lines += near(armed, spec, [view.alert for view in await context.alerts(request)], context)
    if request.arguments.lower().endswith(" now") and not armed.already_true:
        lines.append(_("Its condition does not hold now, so nothing rang yet."))
    if armed.behind:
        lines.append(
            _("The alert engine is {behind:,} frames behind; the alert hears what comes after them.").format(
                behind=armed.behind
            )
        )
    if reachable:
        lines.append(_("It goes to: {names}.").format(names=", ".join(each.label for each in reachable)))
    else:
        lines.append(_("You have nowhere that it could ring: open tocsin chat on this machine, or push add URL."))
    return Reply(
        title=_("You have this alert already: {id}").format(id=alert.id)
        if armed.existed
        else _("Alert {id} is set").format(id=alert.id),
        lines=tuple(lines),
        buttons=buttons(armed, spec),
        facts=facts(armed, spec),
    )


def empty() -> Reply:
    """What is still to be said is everything."""
    told = (_("What shall ring when? Write it in a line, as in {examples}.").format(examples=EXAMPLES[0]),)
    shown = Form(title=_("A new alert"), command="alert", arguments=ARGUMENTS)
    return Reply(title=_("A new alert"), lines=told, form=shown, ok=False)


def form(
    context: Context, error: LanguageError, line: str, *, title: str = _("A new alert"), command: str = "alert"
) -> Reply:
    """What is wrong with the line, and beside it the form with what was understood of it."""
    shown = Form(title=title, command=command, arguments=ARGUMENTS, values=understood(line, context.catalogue.find))
    return Reply(lines=tuple(error.text.splitlines()), form=shown, ok=False)


def values_of(spec: AlertSpec) -> dict[str, str]:
    """What the form holds for this alert."""
    told = {
        "instrument": spec.series.instruments[0],
        "condition": spec.condition,
        "level": digits(spec.level),
        "repeat": spec.repeat,
        "note": spec.note,
    }
    return {name: value for name, value in told.items() if value}


def against(armed: Armed, spec: AlertSpec, instrument: Instrument) -> list[str]:
    """The price it stands against, how far that is, and what happens where the condition holds already."""
    if armed.price is None:
        return [
            _("There is no price of {instrument} yet: the first one says from which side it waits.").format(
                instrument=instrument.name
            )
        ]
    side = _("above") if spec.level >= armed.price else _("below")
    share = wording.percent(abs(distance(armed.price, spec.level)), signed=False)
    away = wording.price(abs(spec.level - armed.price), instrument.decimals)
    told = [
        _("{instrument} is at {price} {currency}: the level is {away} ({share}) {side} it.").format(
            instrument=instrument.name,
            price=wording.price(armed.price, instrument.decimals),
            currency=instrument.currency,
            away=away,
            share=share,
            side=side,
        )
    ]
    if armed.already_true and armed.alert.generation:
        told.append(_("That holds already: it rings now."))
    elif armed.already_true:
        told.append(_("That holds already: it rings on the next cross, once the price has been on the other side."))
    return told


def doubts(armed: Armed, spec: AlertSpec, instrument: Instrument) -> list[str]:
    """A level five times away is rather a slip of the pen than a wish; it is set, and asked about."""
    if armed.price is None or 1 / FAR < spec.level / armed.price < FAR:
        return []
    level = wording.price(spec.level, instrument.decimals)
    return [
        _("Is {level} what you meant? The price is {price}. delete {id} takes it back.").format(
            level=level, price=wording.price(armed.price, instrument.decimals), id=armed.alert.id
        )
    ]


def near(armed: Armed, spec: AlertSpec, others: Sequence[Alert], context: Context) -> list[str]:
    """Points out another alert for nearly the same level: two bells for one event."""
    told = []
    for other in others:
        if other.id == armed.alert.id or other.instrument != armed.alert.instrument:
            continue
        with suppress(BadRequest):  # one that is not understood any more says so in `alerts`
            spec_there = parse(other.text, context.catalogue.find)
            same_way = spec_there.condition == spec.condition and spec_there.series == spec.series
            if same_way and abs(spec_there.level / spec.level - 1) < NEAR:
                told.append(_("Alert {id} is nearly the same: {other}").format(id=other.id, other=other.text))
    return told


def distance(price: float, level: float) -> float:
    """How far the price has to go, as a share of it."""
    return level / price - 1


def buttons(armed: Armed, spec: AlertSpec) -> tuple[Button, ...]:
    alert = armed.alert
    offered = []
    fire = f"alert {alert.text} now"
    if armed.already_true and not alert.generation and len(fire.encode()) <= LONGEST_BUTTON_BYTES:
        offered.append(Button(label=_("Fire now"), line=fire))
    if alert.state != State.DELETED:
        offered.append(Button(label=_("Why"), line=f"why {alert.id}"))
        offered.append(Button(label=_("Delete"), line=f"delete {alert.id}"))
    return tuple(offered)


def facts(armed: Armed, spec: AlertSpec) -> dict[str, object]:
    alert = armed.alert
    return {
        "id": alert.id,
        "text": alert.text,
        "instrument": alert.instrument,
        "state": alert.state.value,
        "condition": spec.condition,
        "level": spec.level,
        "price": armed.price,
        "away_percent": None if armed.price is None else round(distance(armed.price, spec.level) * 100, 4),
        "already_true": armed.already_true,
        "existed": armed.existed,
        "behind_frames": armed.behind,
    }
