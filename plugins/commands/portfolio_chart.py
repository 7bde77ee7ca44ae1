"""The value of a portfolio over time, for `portfolio chart 90d`: as it was held, lot by lot, day by day.

Only the instruments that were held in the span are read, and the currency pairs between them and the currency that is
shown. Instants are those at which something held has a candle, so closed markets leave no gap.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, time

import msgspec

from charts.chart import Chart, theme_of
from charts.chart import Series as Drawn
from charts.combine import line_of, rates_at
from hub import wording
from hub.model import SECOND_US, Button, Candle, Lot, Nature, Reply, Request
from hub.plugin import BadRequest, Context
from hub.portfolio import Holding, Series, flows, held, over_time, own_currency, series_of
from hub.spans import Span, parse_span

POINTS = 1200
LEAD_US = 5 * wording.DAY_US
"""Read before the span, so that a market that is closed at its start has a price there."""

MOST = 400
"""Points of the line."""

HERE = re.compile(r"\s*\bhere$")
"""What a button adds to its line, so that the picture changes in place."""

CONSOLE = "console"
BOUGHT = "Bought"
SPANS = ("7d", "30d", "90d", "1y")
LONGEST_SPAN = 60
LONGEST_BUTTON_BYTES = 64
Rates = dict[str, Series | float]


async def chart(context: Context, request: Request, lots: Sequence[Lot], name: str | None, wanted: str) -> Reply:
    if not lots:
        raise BadRequest("you have no lots yet: portfolio add 0.5 btc at 42000 makes one")
    if len(wanted) > LONGEST_SPAN:
        raise BadRequest("for how long? Write portfolio chart 90d, or 7d, 30d, 1y, max")
    wanted, here = HERE.subn("", wanted)
    zone = request.user.time_zone
    holdings = [holding(lot, zone) for lot in lots]
    oldest = min(each.since_us for each in holdings)
    span = parse_span(wanted or "90d", context.market.now(), zone, oldest_us=oldest)
    within = [
        each for each in holdings if each.since_us < span.end_us and (each.until_us or span.end_us) > span.start_us
    ]
    currency = request.user.currency or own_currency(held(lots) or lots, context.catalogue.get)
    read = {one: series_of(await candles(context, one, span)) for one in sorted({each.instrument for each in within})}
    rates, told = await rates_of(context, read, currency, span)
    counted = [each for each in within if each.instrument in rates]
    prices = {one: read[one] for one in rates}
    points = await asyncio.to_thread(over_time, counted, prices, rates, span.start_us)
    if not points:
        why = " ".join(told) or "Not everything that was held then has a price at any one time."
        raise BadRequest(f"the value of {span.label} is not known. {why if within else 'Nothing was held then.'}")
    told = [*moved(points, flows(counted, prices, rates, points), currency), *told]
    natures = {quote.nature for one in rates if (quote := await context.quote(one))} - {Nature.LIVE}
    picture = Chart(
        kind="line",
        series=(Drawn(name=name or "Portfolio", candles=line_of(thinned(points)), currency=currency),),
        start=span.start_us,
        end=span.end_us,
        label=span.label,
        time_zone=zone,
        theme=theme_of(request.user.theme or context.theme),
        size="desktop" if request.who.platform == CONSOLE else "phone",
        nature=min(natures) if natures else Nature.LIVE,
        remark=remark(told),
    )
    reply = await drawn(context, picture, name, told)
    return msgspec.structs.replace(reply, replace=bool(here))


def moved(points: Sequence[tuple[int, float]], flowed: tuple[float, float], currency: str) -> list[str]:
    """What the prices did of it, where the rest was bought or sold."""
    came, went = flowed
    if not (came or went):
        return []
    by_price = points[-1][1] - points[0][1] - came + went
    return [f"{BOUGHT} {came:,.2f}, sold {went:,.2f} {currency}; the prices did {by_price:+,.2f} of it."]


def remark(told: Sequence[str]) -> str:
    """What the picture has to say of itself, as it may be shown without the words."""
    parts = ["with what was bought and sold"] if any(each.startswith(BOUGHT) for each in told) else []
    return ", ".join(parts + ["not all of it"] * any("left out" in each for each in told))


def thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most MOST of them, evenly, the last among them."""
    return points[:: -(len(points) // MOST + 1)][::-1]


def holding(lot: Lot, zone: str) -> Holding:
    """From the midnight of the day on which it was bought to that of the day on which it was sold."""
    until = midnight(lot.sold_on, zone) if lot.sold_on else None
    return Holding(
        instrument=lot.instrument, quantity=lot.quantity, since_us=midnight(lot.bought_on, zone), until_us=until
    )


def midnight(day: str, zone: str) -> int:
    local = datetime.combine(datetime.fromisoformat(day).date(), time(), wording.zone(zone))
    return round(local.timestamp()) * SECOND_US


async def candles(context: Context, instrument_id: str, span: Span) -> Sequence[Candle]:
    length = span.end_us - span.start_us
    points = POINTS * (length + LEAD_US) // length if length > 0 else POINTS
    return (await context.market.window(instrument_id, span.start_us - LEAD_US, span.end_us, min(points, 2 * POINTS)))[
        1
    ]


async def rates_of(
    context: Context, prices: Mapping[str, Series], currency: str, span: Span
) -> tuple[Rates, list[str]]:
    """What turns each instrument's price into the currency that is shown: the pairs' own past where history has it,
    else the rate of now. In words: that, and what is left out for want of a price or a rate."""
    rates: Rates = {}
    told: dict[str, None] = {}
    for one, series in prices.items():
        instrument = context.catalogue.get(one)
        if instrument is None or not series.times:
            told[f"{instrument.name if instrument else one} is left out: history has no prices of it then."] = None
            continue
        try:
            now = context.market.rate(instrument.currency, currency)
        except BadRequest as error:
            told[f"{instrument.name} is left out: {error.text}."] = None
            continue
        past = await past_of(context, instrument.currency, now.legs, series.times, span)
        if past is None:
            told[f"{instrument.currency} in {currency} at today's rate: history has no prices of that pair then."] = (
                None
            )
        rates[one] = now.value if past is None else past
    return rates, list(told)


async def past_of(
    context: Context, source: str, legs: Sequence[str], times: Sequence[int], span: Span
) -> Series | float | None:
    """None where a leg has no candles for it."""
    if not legs or not times:
        return 1.0
    factors = [1.0] * len(times)
    here = source
    for leg in legs:
        pair = context.catalogue.get(leg)
        base = leg.split("-")[0]
        found = rates_at(await candles(context, leg, span), times, inverse=here != base)
        if pair is None or found is None:
            return None
        factors = [factor * rate for factor, rate in zip(factors, found, strict=True)]
        here = pair.currency if here == base else base
    return Series(times=tuple(times), values=tuple(factors))


def fitting(*buttons: Button) -> tuple[Button, ...]:
    """Those that a platform takes: a portfolio's name may be long."""
    return tuple(button for button in buttons if len(button.line.encode()) <= LONGEST_BUTTON_BYTES)


async def drawn(context: Context, picture: Chart, name: str | None, told: Sequence[str]) -> Reply:
    line, currency = picture.series[0].candles, picture.series[0].currency
    first, last = line[0].close, line[-1].close
    low, high = min(each.close for each in line), max(each.close for each in line)
    lines = [f"From {first:,.2f} to {last:,.2f} {currency}, between {low:,.2f} and {high:,.2f}.", *told]
    image = None
    try:
        image = await context.market.draw(picture)
    except BadRequest as error:
        lines.append(error.text)
    prefix = f"portfolio {f'{name}: ' if name else ''}chart"
    return Reply(
        title=f"{name or 'Your portfolio'}, {picture.label}",
        lines=tuple(lines),
        image=image,
        buttons=fitting(*(Button(label=each, line=f"{prefix} {each} here") for each in SPANS)),
        private=True,
        facts={
            "currency": currency,
            "first": first,
            "last": last,
            "low": low,
            "high": high,
            "points": [[each.start, each.close] for each in line],
        },
    )
