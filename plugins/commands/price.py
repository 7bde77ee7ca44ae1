"""`price gold silver`: what things cost now, with their day, their age, and whatever makes a price doubtful."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hub import wording
from hub.i18n import _, later
from hub.model import SECOND_US, Argument, Instrument, Nature, Quote, Reply, Request, Role
from hub.plugin import Context
from plugins.commands.status import all_of

USAGE = "price [gold silver …]"
SUMMARY = later("What things cost now; without a name, everything that this hub follows.")
EXAMPLES = ("price", "price gold", "price gold silver btc")
ARGUMENTS = (Argument(name="instruments", about="what to look at; without it, everything", kind="instruments"),)
ROLE = Role.GUEST

HEAD = (later("instrument"), later("price"), later("day"), later("low"), later("high"), later("age"), "")


async def run(context: Context, request: Request) -> Reply:
    words = request.arguments.replace(",", " ").split()
    found = {instrument.id: instrument for instrument in (context.catalogue.find(word) for word in words)}
    instruments = list(found.values()) or sorted(context.catalogue.served(), key=lambda instrument: instrument.name)
    if not instruments:
        return Reply(
            title=_("Prices"), lines=(_("This hub follows nothing yet: name a feed and its symbols in config.toml."),)
        )
    served = {instrument.id for instrument in context.catalogue.served()}
    rows, facts, without, waiting = [], [], [], False
    for instrument in instruments:
        quote = await context.quote(instrument.id)
        if quote is None:
            without.append(absent(instrument, instrument.id in served))
            waiting = waiting or instrument.id in served
        else:
            rows.append(row(instrument, quote, request.user.time_zone, context.now()))
            facts.append(fact(instrument, quote, context.now()))
    if waiting:
        without += reasons(await context.status())
    table = (tuple(map(_, HEAD)), *rows) if rows else ()
    return Reply(title=_("Prices"), table=table, lines=tuple(without), facts={"quotes": facts})


def row(instrument: Instrument, quote: Quote, zone: str, now: int) -> tuple[str, ...]:
    decimals = instrument.decimals
    return (
        f"{instrument.name} ({instrument.id})",
        f"{wording.price(quote.price, decimals)} {instrument.currency}",
        wording.percent(change(quote)),
        wording.price(quote.low, decimals),
        wording.price(quote.high, decimals),
        # a recording has its own time: an age in years would say nothing
        wording.clock(quote.time, zone, now)
        if quote.nature == Nature.RECORDING
        else wording.age(now - quote.received_at),
        ", ".join(remarks(instrument, quote, now)),
    )


def change(quote: Quote) -> float:
    """The day's change as a share: since the previous close where it is known, else since the day's open."""
    since = quote.previous or quote.open
    return quote.price / since - 1


def remarks(instrument: Instrument, quote: Quote, now: int) -> Sequence[str]:
    """Whatever a reader should know before trusting the price."""
    said = [] if quote.nature == Nature.LIVE else [wording.nature(quote.nature)]
    if not quote.market_open:
        said.append(_("market closed"))
    elif is_stale(instrument, quote, now):
        said.append(_("stale"))
    return said


def is_stale(instrument: Instrument, quote: Quote, now: int) -> bool:
    if quote.stale_since is not None:
        return True
    silent_us = now - quote.received_at
    return quote.nature != Nature.RECORDING and silent_us > instrument.stale_after_s * SECOND_US


def fact(instrument: Instrument, quote: Quote, now: int) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(quote)
    return told | {
        "name": instrument.name,
        "currency": instrument.currency,
        "unit": instrument.unit,
        "decimals": instrument.decimals,
        "nature": quote.nature.value,
        "time": wording.iso(quote.time),
        "received_at": wording.iso(quote.received_at),
        "stale_since": wording.iso(quote.stale_since),
        "market_open": quote.market_open,
        "stale": quote.market_open and is_stale(instrument, quote, now),
        "change_percent": round(change(quote) * 100, 4),
        "change_since": "previous close" if quote.previous else "open",
    }


def absent(instrument: Instrument, is_served: bool) -> str:
    if is_served:
        return _("{instrument} ({id}): no price yet").format(instrument=instrument.name, id=instrument.id)
    return _("{instrument} ({id}): no feed of this hub serves it; add it to one in config.toml").format(
        instrument=instrument.name, id=instrument.id
    )


def reasons(told: Mapping[str, Any]) -> list[str]:
    """Why a price that should be there is not: feeds that are down, or that nobody runs."""
    ingests = all_of(told, "ingest")
    if not ingests:
        return [_("No feed runs in this hub now, so no price comes: tocsin run starts them.")]
    down = [feed for ingest in ingests for feed in ingest.get("feeds", ()) if feed.get("reason")]
    lines = [
        _("The feed {name} is down, and tries again: {reason}.").format(name=feed.get("name"), reason=feed["reason"])
        for feed in down
    ]
    if any("network" in str(feed["reason"]) for feed in down):
        lines.append(_("Meanwhile make demo shows the hub on a simulated market."))
    return lines
