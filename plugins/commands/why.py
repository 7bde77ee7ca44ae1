"""`why 12`: what an alert is waiting for, what rang last with its evidence, and what became of the messages."""

import re

import msgspec

from hub import wording
from hub.evidence import amount
from hub.i18n import _, later
from hub.model import Alert, Argument, Instrument, Nature, Quote, Reply, Request, Trigger
from hub.plugin import AlertView, BadRequest, Context
from hub.rules.language import parse
from hub.rules.words import describe

ARGUMENTS = (Argument(name="alert", about="the number of the alert", kind="alert", required=True, example="12"),)
USAGE = "why NUMBER"
SUMMARY = later("Why an alert rang, or why it did not.")
EXAMPLES = ("why 12",)

DIRECTIONS = {"up": later("up"), "down": later("down")}
NUMBER = re.compile(r"#?([0-9]{1,15})")


async def run(context: Context, request: Request) -> Reply:
    found = NUMBER.fullmatch(request.arguments.strip())
    if not found:
        raise BadRequest(_("which alert? Write its number: why 12 (alerts shows the numbers)"))
    view = await context.alert(request, int(found[1]))
    alert, zone, now = view.alert, request.user.time_zone, context.now()
    instrument = context.catalogue.get(alert.instrument)
    lines = [words(context, view, zone), _("It waits for: {waits_for}.").format(waits_for=view.waits_for)]
    if instrument:
        lines.append(market(instrument, view.quote, zone, now))
    lines += armed(view, instrument, zone, now)
    if view.last_trigger:
        lines.append(evidence(context, alert, view.last_trigger, zone, now))
    lines += section(_("Delivered"), view.deliveries)
    lines += section(_("Its life"), view.history)
    return Reply(
        title=_("Alert {id}").format(id=alert.id),
        lines=tuple(lines),
        facts={"view": msgspec.to_builtins(view), "text": alert.text, "waits_for": view.waits_for},
    )


def words(context: Context, view: AlertView, zone: str) -> str:
    try:
        return describe(parse(view.alert.text, context.catalogue.find), context.catalogue.get, zone)
    except BadRequest:
        return view.alert.text


def market(instrument: Instrument, quote: Quote | None, zone: str, now: int) -> str:
    """The last tick, its source, and whether anything should be coming."""
    if quote is None:
        return _("No price of {instrument} has come yet.").format(instrument=instrument.name)
    when = wording.clock(quote.time, zone, now)
    age = "" if quote.nature == Nature.RECORDING else f", {wording.age(now - quote.received_at)}"
    origin = quote.source if quote.nature == Nature.LIVE else f"{quote.source}, {wording.nature(quote.nature)}"
    price = f"{wording.price(quote.price, instrument.decimals)} {instrument.currency}"
    told = _("Last price: {price} at {when}{age} ({origin}).").format(price=price, when=when, age=age, origin=origin)
    if not quote.market_open:
        return _("{told} The market is closed.").format(told=told)
    if quote.stale_since is not None:
        return _("{told} It is stale since {clock}.").format(
            told=told, clock=wording.clock(quote.stale_since, zone, now)
        )
    return told


def armed(view: AlertView, instrument: Instrument | None, zone: str, now: int) -> list[str]:
    alert = view.alert
    if alert.armed_price is None:
        return []
    price = wording.price(alert.armed_price, instrument.decimals if instrument else 2)
    return [_("Armed {clock} against {price}.").format(clock=wording.clock(alert.armed_at, zone, now), price=price)]


def evidence(context: Context, alert: Alert, trigger: Trigger, zone: str, now: int) -> str:
    """The tick that crossed and the one before it, in full: rounding must not hide the crossing."""
    when = wording.clock(trigger.venue_time or trigger.received_at, zone, now)
    nature = "" if trigger.nature == Nature.LIVE else f", {wording.nature(trigger.nature)}"
    late = _(", told late: the hub was not running then") if trigger.late else ""
    times = _(", {generation} times so far").format(generation=trigger.generation) if trigger.generation > 1 else ""
    return f"{_rang(context, alert, trigger, when)} ({trigger.source}{nature}{late}{times})."


def _rang(context: Context, alert: Alert, trigger: Trigger, when: str) -> str:
    if trigger.title and not is_plain(context, alert):
        detail = "".join(f"; {line}" for line in trigger.detail.splitlines())
        return _("Rang last {when}: {title}").format(when=when, title=f"{trigger.title}{detail}")
    decimals = context.decimals_of(alert.instrument)
    price, level = (
        wording.own(amount(value, decimals + 3, least=decimals)) for value in (trigger.price, trigger.level)
    )
    before = (
        ""
        if trigger.before_price is None
        else _(" after {price}").format(price=wording.own(amount(trigger.before_price, decimals + 3, least=decimals)))
    )
    return _("Rang last {when}: {price}{before} went {direction} through {level}").format(
        when=when, price=price, before=before, direction=_(DIRECTIONS[trigger.direction]), level=level
    )


def is_plain(context: Context, alert: Alert) -> bool:
    try:
        return parse(alert.text, context.catalogue.find).plain is not None
    except BadRequest:
        return True


def section(name: str, entries: tuple[str, ...]) -> list[str]:
    return [f"{name}:", *(f"  {entry}" for entry in entries)] if entries else []
