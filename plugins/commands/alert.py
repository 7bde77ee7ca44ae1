"""`alert gold > 2400`: rings once the price gets there. The reply says against which price it was armed."""

from collections.abc import Sequence
from contextlib import suppress

from hub import wording
from hub.model import Alert, Armed, Button, Instrument, Reply, Request, State
from hub.plugin import BadRequest, Context
from hub.rules.language import AlertSpec, describe, parse

USAGE = 'alert gold > 2400 [once | every time] [band 0.1%] [note "…"] [now]'
SUMMARY = "Tells you when a price gets where you are waiting for it."
EXAMPLES = ("alert gold > 2400", "alert btc < 60k every time", 'alert silver crosses 30 band 0.5% note "sell half"')

FAR = 5.0
NEAR = 0.001
LONGEST_BUTTON_BYTES = 64


async def run(context: Context, request: Request) -> Reply:
    if not request.arguments:
        raise BadRequest(f"an alert needs a condition: {EXAMPLES[0]}")
    armed = await context.create_alert(request, request.arguments)
    alert = armed.alert
    spec = parse(alert.text, context.catalogue.find)
    instrument = context.catalogue.get(alert.instrument)
    assert instrument is not None, f"{alert.instrument} was understood, so it is in the catalogue"
    reachable = [each for each in await context.destinations(request) if not each.disabled]
    lines = [describe(spec, instrument), *against(armed, spec, instrument)]
    lines += doubts(armed, spec, instrument)
    lines += near(armed, spec, [view.alert for view in await context.alerts(request)], context)
    if request.arguments.lower().endswith(" now") and not armed.already_true:
        lines.append("Its condition does not hold now, so nothing rang yet.")
    if armed.behind:
        lines.append(f"The alert engine is {armed.behind:,} frames behind; the alert hears what comes after them.")
    if reachable:
        lines.append(f"It goes to: {', '.join(each.label for each in reachable)}.")
    else:
        lines.append("You have nowhere that it could ring: open tocsin chat on this machine, or push add URL.")
    return Reply(
        title=f"You have this alert already: {alert.id}" if armed.existed else f"Alert {alert.id} is set",
        lines=tuple(lines),
        buttons=buttons(armed, spec),
        facts=facts(armed, spec),
    )


def against(armed: Armed, spec: AlertSpec, instrument: Instrument) -> list[str]:
    """The price it stands against, how far that is, and what happens where the condition holds already."""
    if armed.price is None:
        return [f"There is no price of {instrument.name} yet: the first one says from which side it waits."]
    side = "above" if spec.level >= armed.price else "below"
    share = wording.percent(abs(distance(armed.price, spec.level)), signed=False)
    away = wording.price(abs(spec.level - armed.price), instrument.decimals)
    told = [
        f"{instrument.name} is at {wording.price(armed.price, instrument.decimals)} {instrument.currency}:"
        f" the level is {away} ({share}) {side} it."
    ]
    if armed.already_true and armed.alert.generation:
        told.append("That holds already: it rings now.")
    elif armed.already_true:
        told.append("That holds already: it rings on the next cross, once the price has been on the other side.")
    return told


def doubts(armed: Armed, spec: AlertSpec, instrument: Instrument) -> list[str]:
    """A level five times away is rather a slip of the pen than a wish; it is set, and asked about."""
    if armed.price is None or 1 / FAR < spec.level / armed.price < FAR:
        return []
    level = wording.price(spec.level, instrument.decimals)
    return [
        f"Is {level} what you meant? The price is {wording.price(armed.price, instrument.decimals)}."
        f" delete {armed.alert.id} takes it back."
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
                told.append(f"Alert {other.id} is nearly the same: {other.text}")
    return told


def distance(price: float, level: float) -> float:
    """How far the price has to go, as a share of it."""
    return level / price - 1


def buttons(armed: Armed, spec: AlertSpec) -> tuple[Button, ...]:
    alert = armed.alert
    offered = []
    fire = f"alert {alert.text} now"
    if armed.already_true and not alert.generation and len(fire.encode()) <= LONGEST_BUTTON_BYTES:
        offered.append(Button(label="Fire now", line=fire))
    if alert.state != State.DELETED:
        offered.append(Button(label="Why", line=f"why {alert.id}"))
        offered.append(Button(label="Delete", line=f"delete {alert.id}"))
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
