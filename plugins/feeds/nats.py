"""Ticks that other programs publish on NATS as JSON: any language, any process, no plugin needed.

    [feeds.desk]
    module = "nats"          # listens on feed.desk

A message is one object or a list of them; prices are numbers or numeric text, `time` is ISO 8601 or a number
since 1970 in seconds, milli-, micro- or nanoseconds by its size. Where programs write their own wall clock, as
MetaTrader does in both forms, `time_zone` says whose that is:

    {"instrument": "XAU-USD", "bid": 4389.05, "ask": 4389.71, "time": "2026-08-18T13:29:41.075Z"}
    [{"symbol": "btcusdt", "price": "61837.63", "volume": 0.02, "time": 1723161255342, "number": 3735683259}]

An object with a price is a trade, one with bid and ask a quote, one with all three is both. `v` is the version
of this form, 1 if absent. A message sent as a request is answered once the hub has taken it, with
{"accepted": 1, "refused": [{"reason": "no price"}]}: who needs certainty asks for it and gives each tick a
growing `number`, so that a repeat is known. Plain NATS may drop messages to a reader that is too slow.
"""

import time
from collections.abc import Mapping
from datetime import tzinfo
from typing import Annotated, Any

import msgspec

from hub import bus
from hub.model import Kind, Nature, Refused, Tick
from hub.normalize import price_of
from hub.plugin import Emit, GiveUp, Last, TryLater
from plugins.feeds.recordings import wall_us, zone_of

NATURE = Nature.LIVE
VERSION = 1
SAMPLE_CHARS = 200
MAX_WAITING = 65_536
"""Messages that may wait for the hub; nats-py drops what comes on top of them."""
PATIENCE_S = 3.0
BAD_JSON = (msgspec.MsgspecError, RecursionError, ValueError)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: str = ""  # where to listen; feed.<section> if empty
    time_zone: str = ""  # of times that name none, "Europe/Athens", "Etc/GMT+5"; UTC if empty
    bus_url: str = ""  # the hub's own bus if empty
    bus_token: str = ""


async def run(settings: Settings, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    """Emits what is published from now on. `symbols`, if there are any, are the only ones taken."""
    if not settings.subject or not settings.bus_url:
        raise GiveUp("the feed was started without a subject and a bus: write subject and bus_url in its section")
    instruments, zone = by_name(symbols), zone_of_setting(settings.time_zone)
    token = settings.bus_token or None
    async with bus.connect(settings.bus_url, token, settings.subject, patience_s=PATIENCE_S) as connection:
        subscription = await connection.client.subscribe(settings.subject, pending_msgs_limit=MAX_WAITING)
        try:
            async for message in subscription.messages:
                updates = parse(message.data, instruments, zone)
                for update in updates:
                    await emit(update)
                if message.reply:
                    await message.respond(answer(updates))
        finally:  # what waits here is not taken any more; the connection would drain it for seconds before it closes
            if not connection.client.is_closed:
                await subscription.unsubscribe()
    raise TryLater("the bus closed the connection")


def by_name(symbols: Mapping[str, str]) -> dict[str, str]:
    """Every name that a message may use → instrument id: the vendor's own, and ours."""
    return {**{name: name for name in symbols}, **{symbol: name for name, symbol in symbols.items() if symbol}}


def zone_of_setting(name: str) -> tzinfo | None:
    try:
        return zone_of(name) if name else None
    except ValueError as error:
        raise GiveUp(f'no time zone "{name}": write it like "America/New_York", "UTC+2" or "Etc/GMT+5"') from error


class Update(msgspec.Struct, kw_only=True):
    """One object of a message. Fields that are not known are ignored: publishers may have more to say."""

    v: int = VERSION
    instrument: str = ""
    symbol: str = ""
    price: float | None = None
    bid: float | None = None
    ask: float | None = None
    volume: float | None = None
    time: int | float | str | None = None
    number: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None


def parse(payload: bytes, instruments: Mapping[str, str], zone: tzinfo | None = None) -> list[Tick | Refused]:
    """One list entry per tick and per object that holds none. No `instruments`: names are taken as ids. `zone`: whose
    wall clock times are by."""
    try:
        message = msgspec.json.decode(payload)
    except BAD_JSON:
        return [_refused("broken JSON", payload)]
    updates: list[Tick | Refused] = []
    for item in message if isinstance(message, list) else [message]:
        updates += _read(item, instruments, zone)
    return updates


def _read(item: Any, instruments: Mapping[str, str], zone: tzinfo | None) -> list[Tick | Refused]:
    if isinstance(item, dict) and isinstance(version := item.get("v", VERSION), int) and version > VERSION:
        return [_refused("newer version", item)]
    try:
        update = msgspec.convert(item, Update, strict=False)
        venue_time = None if update.time is None else wall_us(update.time, zone)
    except (*BAD_JSON, OverflowError):
        return [_refused("broken message", item)]
    if update.v > VERSION:
        return [_refused("newer version", item)]
    name = update.instrument or update.symbol
    instrument = instruments.get(name) if instruments else name
    if not instrument:
        return [_refused("unknown symbol" if name else "no instrument", item)]
    return _ticks(update, instrument, venue_time) or [_refused("no price", item)]


def _ticks(update: Update, instrument: str, venue_time: int | None) -> list[Tick | Refused]:
    ticks: list[Tick | Refused] = []
    if update.price is not None:
        ticks.append(
            Tick(
                instrument=instrument,
                kind=Kind.TRADE,
                price=update.price,
                volume=update.volume,
                venue_time=venue_time,
                number=update.number,
            )
        )
    if update.bid is not None and update.ask is not None:
        ticks.append(
            Tick(
                instrument=instrument,
                kind=Kind.QUOTE,
                bid=update.bid,
                ask=update.ask,
                venue_time=venue_time,
                number=update.number,
            )
        )
    return ticks


def answer(updates: list[Tick | Refused]) -> bytes:
    reasons = [reason for update in updates if (reason := _reason(update))]
    refused = [{"reason": reason} for reason in reasons]
    return msgspec.json.encode({"accepted": len(updates) - len(refused), "refused": refused})


def _reason(update: Tick | Refused) -> str:
    """Why the hub will not take it; it is emitted all the same, so that it is counted where all refusals are."""
    if isinstance(update, Refused):
        return update.reason
    price = price_of(update, time.time_ns() // 1000)
    return price if isinstance(price, str) else ""


def _refused(reason: str, item: Any) -> Refused:
    text = item if isinstance(item, bytes) else msgspec.json.encode(item)
    return Refused(reason=reason, sample=text[:SAMPLE_CHARS].decode(errors="replace"))
