"""`alerts`: all that you are waiting for, how far away it is, and what rang last."""

from typing import Any

import msgspec

from hub import wording
from hub.i18n import _, later
from hub.model import Argument, Nature, Reply, Request, State
from hub.plugin import AlertView, BadRequest, Context
from hub.rules.language import AlertSpec, parse
from hub.rules.series import measure
from hub.rules.words import describe, value_words

USAGE = "alerts [all]"
SUMMARY = later("Your alerts: how far each is, and when it rang; with all, also those that are over.")
EXAMPLES = ("alerts", "alerts all")
ARGUMENTS = (Argument(name="which", about="all: also those that are over", kind="choice", choices=("all",)),)

HEAD = (later("no."), later("alert"), later("state"), later("price"), later("away"), later("rang"))
STATES = {
    State.ARMED: later("waiting"),
    State.DWELLING: later("holding"),
    State.FIRED: later("rang, waits behind its band"),
    State.COOLING: later("rang, silent for now"),
    State.PAUSED: later("paused"),
    State.EXPIRED: later("its time is over"),
    State.DONE: later("done"),
}
SEEING = (State.ARMED, State.DWELLING, State.FIRED, State.COOLING)
SHOWN = 50


async def run(context: Context, request: Request) -> Reply:
    word = request.arguments.lower()
    if word not in ("", "all"):
        raise BadRequest(
            _('alerts takes no "{arguments}": write alerts, or alerts all').format(arguments=request.arguments)
        )
    views = list(await context.alerts(request, finished=word == "all"))
    if not views:
        return Reply(
            title=_("Your alerts"), lines=(_("You have none. Write for example: gold > 2400"),), facts={"alerts": []}
        )
    zone, now = request.user.time_zone, context.now()
    rows = [row(context, view, zone, now) for view in views[:SHOWN]]
    lines = (
        ()
        if len(views) <= SHOWN
        else (_("… and {count} more; why with a number shows any of them").format(count=len(views) - SHOWN),)
    )
    return Reply(
        title=_("Your alerts"),
        table=(tuple(map(_, HEAD)), *rows),
        lines=lines,
        facts={"alerts": [fact(context, view, zone, now) for view in views]},
    )


def row(context: Context, view: AlertView, zone: str, now: int) -> tuple[str, ...]:
    alert, spec = view.alert, spec_of(context, view)
    value, away = values(context, view, spec)
    return (
        str(alert.id),
        words(context, view, spec, zone),
        state(view, zone, now),
        value or _("no price yet"),
        wording.percent(away) if away is not None else "",
        rang(view, zone, now),
    )


def values(context: Context, view: AlertView, spec: AlertSpec | None) -> tuple[str, float | None]:
    """What it looks at, as it is now, and how far that has to go, as a share of it."""
    get, quote = context.catalogue.get, view.quote
    if spec is not None and view.look is not None and view.look.parts:
        clause, part = spec.first, view.look.parts[0]
        value = "" if part.value is None else value_words(clause.series, part.value, get)
        level = part.rise if part.rise is not None else part.fall
        by_share = part.value and level is not None and measure(clause.series) in ("price", "ratio")
        return value, level / part.value - 1 if by_share and level and part.value else None
    if quote is None:
        return "", None
    price = wording.price(quote.price, context.decimals_of(view.alert.instrument))
    return price, spec.first.level / quote.price - 1 if spec is not None and spec.plain else None


def spec_of(context: Context, view: AlertView) -> AlertSpec | None:
    """None where the line is not understood any more; its waits_for says so."""
    try:
        return parse(view.alert.text, context.catalogue.find)
    except BadRequest:
        return None


def words(context: Context, view: AlertView, spec: AlertSpec | None, zone: str) -> str:
    return describe(spec, context.catalogue.get, zone) if spec else view.alert.text


def state(view: AlertView, zone: str, now: int) -> str:
    alert = view.alert
    if alert.state == State.SNOOZED and alert.snoozed_until is not None:
        return _("silent until {clock}").format(clock=wording.clock(alert.snoozed_until, zone, now))
    if alert.state == State.MUTED:
        end = (
            _("until {clock}").format(clock=wording.clock(alert.muted_until, zone, now))
            if alert.muted_until
            else _("until mute {instrument} off").format(instrument=alert.instrument)
        )
        return _("muted {end}").format(end=end)
    if alert.blind_since is not None and alert.state in SEEING:
        return _("blind since {clock}").format(clock=wording.clock(alert.blind_since, zone, now))
    if alert.state == State.COOLING and alert.cooling_until is not None:
        return _("rang, silent until {clock}").format(clock=wording.clock(alert.cooling_until, zone, now))
    if alert.state == State.FIRED and not alert.generation:
        return _("held already, waits for the next cross")
    return _(STATES.get(alert.state, alert.state.value))


def rang(view: AlertView, zone: str, now: int) -> str:
    trigger = view.last_trigger
    if trigger is None:
        return _("never")
    when = wording.clock(trigger.venue_time or trigger.received_at, zone, now)
    times = _(" ({generation} times)").format(generation=trigger.generation) if trigger.generation > 1 else ""
    told = "" if trigger.nature == Nature.LIVE else f", {wording.nature(trigger.nature)}"
    return f"{when}{times}{told}"


def fact(context: Context, view: AlertView, zone: str, now: int) -> dict[str, Any]:
    spec, quote, look = spec_of(context, view), view.quote, view.look
    _value, away = values(context, view, spec)
    told: dict[str, Any] = msgspec.to_builtins(view.alert)
    return told | {
        "state": view.alert.state.value,
        "generation": view.alert.generation,
        "words": words(context, view, spec, zone),
        "level": spec.first.level if spec else None,
        "price": quote.price if quote else None,
        "value": look.parts[0].value if look and look.parts else quote.price if quote else None,
        "away_percent": None if away is None else round(away * 100, 4),
        "waits_for": view.waits_for,
        "rang": rang(view, zone, now),
        "last_trigger": msgspec.to_builtins(view.last_trigger) if view.last_trigger else None,
    }
