"""The formats of ticks that have no header, a function each: numbered lines → ticks, and a Refused for a line that does
not parse.

What they look like and where they are from stands in the package. A format raises GiveUp for a file that it cannot
read at all. Depends on plugins.feeds.binance for that exchange's messages.
"""

import re

import msgspec

from hub.model import Kind, Refused, Tick, Verdict
from hub.plugin import GiveUp, TryLater
from plugins.feeds import binance
from plugins.feeds.recordings.facts import BROKEN, Facts, Lines, Updates, broken, refused
from plugins.feeds.recordings.times import hours_of, moment_us

HOUR_MS = 3_600_000
HISTDATA_ZONE = "Etc/GMT+5"
"""Eastern standard time the whole year, as HistData says of its files."""

# -------------------------------------------------------------------------------------- each with its own layout

BAR_COLUMNS = 11
"""Of Lean's quote bars: time, then open, high, low, close and size of bid and ask."""


def lean_quote(lines: Lines, facts: Facts) -> Updates:
    instrument, source, quote = facts.only_instrument(), facts.source, Kind.QUOTE
    hours = hours_of(facts.day(), facts.zone("UTC"))
    for number, line in lines:
        try:
            cells = line.split(b",")
            if len(cells) == BAR_COLUMNS:  # its first cells would pass for a quote
                raise GiveUp(f"{facts.name} holds bars, not ticks: line {number} has {BAR_COLUMNS} columns")
            if len(cells) == 3:
                ms, bid, ask = float(cells[0]), float(cells[1]), float(cells[2])
            else:
                ms, bid, ask = float(cells[0]), float(cells[1]), float(cells[3])
                float(cells[4])  # the ask's size: a line without it is cut short
            at = hours[_hour(ms)] + round(ms * 1000)
        except BROKEN:
            yield from broken(number, line)
            continue
        yield Tick(
            instrument=instrument,
            kind=quote,
            bid=bid,
            ask=ask,
            venue_time=at,
            received_at=at,
            source=source,
            number=number,
        )


EXPIRY = re.compile(r"_\d{6}(\.csv)?$")
"""Futures have a file per expiry, in UTC; stocks are in New York (Lean's market hours database, `dataTimeZone`)."""


def lean_trade(lines: Lines, facts: Facts) -> Updates:
    instrument, source = facts.only_instrument(), facts.source
    hours = hours_of(facts.day(), facts.zone("UTC" if EXPIRY.search(facts.name) else "America/New_York"))
    for number, line in lines:
        try:
            cells = line.split(b",")
            ms, price, size = float(cells[0]), float(cells[1]), float(cells[2])
            at = hours[_hour(ms)] + round(ms * 1000)
        except BROKEN:
            yield from broken(number, line)
            continue
        if len(cells) > 5 and cells[5].strip() == b"1":
            yield refused("marked as suspicious", number, line)
            continue
        yield Tick(
            instrument=instrument,
            kind=Kind.TRADE,
            price=price,
            volume=size,
            venue_time=at,
            received_at=at,
            source=source,
            number=number,
        )


def _hour(ms: float) -> int:
    if ms < 0:
        raise ValueError(ms)
    return int(ms) // HOUR_MS


def binance_raw(lines: Lines, facts: Facts) -> Updates:
    instrument_of = facts.instrument_of()
    for number, line in lines:
        stamp, _, frame = line.partition(b" ")
        try:
            at = int(stamp) // 1000
        except ValueError:
            yield from broken(number, line)
            continue
        try:
            updates = binance.parse(frame.rstrip(), instrument_of)
        except TryLater:  # the exchange's good-bye: what follows was recorded on the next connection
            continue
        for update in updates:
            if isinstance(update, Refused):
                yield Refused(reason=update.reason, sample=update.sample, number=number)
            else:
                yield msgspec.structs.replace(update, source=facts.source, received_at=at, number=number)


def binance_trades_csv(lines: Lines, facts: Facts) -> Updates:
    instrument, source = facts.only_instrument(), facts.source
    for number, line in lines:
        if number == 1:
            continue
        try:
            received_ns, _, trade_ms, _, price, size, _ = line.split(b",")
            yield Tick(
                instrument=instrument,
                kind=Kind.TRADE,
                price=float(price),
                volume=float(size),
                venue_time=int(trade_ms) * 1000,
                received_at=int(received_ns) // 1000,
                source=source,
                number=number,
            )
        except BROKEN:
            yield from broken(number, line)


def tocsin(lines: Lines, facts: Facts) -> Updates:
    instrument_of = facts.instrument_of()
    decode = msgspec.json.Decoder(Tick).decode
    for number, line in lines:
        try:
            tick = decode(line)
        except BROKEN:
            yield from broken(number, line)
            continue
        instrument = instrument_of(tick.instrument)
        received_at = tick.received_at if tick.received_at is not None else tick.venue_time
        if instrument is None or received_at is None:
            yield refused("unknown symbol" if instrument is None else "no time", number, line)
            continue
        yield msgspec.structs.replace(
            tick,
            instrument=instrument,
            received_at=received_at,
            source=facts.source,
            number=number,
            verdict=tick.verdict if facts.verdicts else Verdict.PRICE,
        )


def histdata_ticks(lines: Lines, facts: Facts) -> Updates:
    instrument, source, zone = facts.only_instrument(), facts.source, facts.zone(HISTDATA_ZONE)
    for number, line in lines:
        try:
            time, bid, ask = line.decode().split(",")[:3]
            at = moment_us(time, zone)
            yield Tick(
                instrument=instrument, kind=Kind.QUOTE, bid=float(bid), ask=float(ask), venue_time=at, received_at=at,
                source=source, number=number,
            )  # fmt: skip
        except BROKEN:
            yield from broken(number, line)
