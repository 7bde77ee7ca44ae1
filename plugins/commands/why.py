"""`why 12`: what an alert is waiting for, what rang last with its evidence, and what became of the messages."""

import re

import msgspec

from hub import wording
from hub.evidence import amount
from hub.model import Instrument, Nature, Quote, Reply, Request, Trigger
from hub.plugin import AlertView, BadRequest, Context
from hub.rules.language import describe, parse

USAGE = "why NUMBER"
SUMMARY = "Why an alert rang, or why it did not."
EXAMPLES = ("why 12",)

NUMBER = re.compile(r"#?([0-9]{1,15})")


async def run(context: Context, request: Request) -> Reply:
    found = NUMBER.fullmatch(request.arguments.strip())
    if not found:
        raise BadRequest("which alert? Write its number: why 12 (alerts shows the numbers)")
    view = await context.alert(request, int(found[1]))
    alert, zone, now = view.alert, request.user.time_zone, context.now()
    instrument = context.catalogue.get(alert.instrument)
    lines = [words(context, view, instrument), f"It waits for: {view.waits_for}."]
    if instrument:
        lines.append(market(instrument, view.quote, zone, now))
    lines += armed(view, instrument, zone, now)
    if view.last_trigger:
        lines.append(evidence(view.last_trigger, context.decimals_of(alert.instrument), zone, now))
    lines += section("Delivered", view.deliveries)
    lines += section("Its life", view.history)
    return Reply(
        title=f"Alert {alert.id}",
        lines=tuple(lines),
        facts={"view": msgspec.to_builtins(view), "text": alert.text, "waits_for": view.waits_for},
    )


def words(context: Context, view: AlertView, instrument: Instrument | None) -> str:
    try:
        spec = parse(view.alert.text, context.catalogue.find)
    except BadRequest:
        return view.alert.text
    return describe(spec, instrument) if instrument else view.alert.text


def market(instrument: Instrument, quote: Quote | None, zone: str, now: int) -> str:
    """The last tick, its source, and whether anything should be coming."""
    if quote is None:
        return f"No price of {instrument.name} has come yet."
    when = wording.clock(quote.time, zone, now)
    age = "" if quote.nature == Nature.RECORDING else f", {wording.age(now - quote.received_at)}"
    origin = quote.source if quote.nature == Nature.LIVE else f"{quote.source}, {quote.nature.value}"
    price = f"{wording.price(quote.price, instrument.decimals)} {instrument.currency}"
    told = f"Last price: {price} at {when}{age} ({origin})."
    if not quote.market_open:
        return f"{told} The market is closed."
    if quote.stale_since is not None:
        return f"{told} It is stale since {wording.clock(quote.stale_since, zone, now)}."
    return told


def armed(view: AlertView, instrument: Instrument | None, zone: str, now: int) -> list[str]:
    alert = view.alert
    if alert.armed_price is None:
        return []
    price = wording.price(alert.armed_price, instrument.decimals if instrument else 2)
    return [f"Armed {wording.clock(alert.armed_at, zone, now)} against {price}."]


def evidence(trigger: Trigger, decimals: int, zone: str, now: int) -> str:
    """The tick that crossed and the one before it, in full: rounding must not hide the crossing."""
    when = wording.clock(trigger.venue_time or trigger.received_at, zone, now)
    price, level = (amount(value, decimals + 3, least=decimals) for value in (trigger.price, trigger.level))
    before = (
        "" if trigger.before_price is None else f" after {amount(trigger.before_price, decimals + 3, least=decimals)}"
    )
    told = f"Rang last {when}: {price}{before} went {trigger.direction} through {level} ({trigger.source}"
    nature = "" if trigger.nature == Nature.LIVE else f", {trigger.nature.value}"
    late = ", told late: the hub was not running then" if trigger.late else ""
    times = f", {trigger.generation} times so far" if trigger.generation > 1 else ""
    return f"{told}{nature}{late}{times})."


def section(name: str, entries: tuple[str, ...]) -> list[str]:
    return [f"{name}:", *(f"  {entry}" for entry in entries)] if entries else []
