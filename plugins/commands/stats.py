"""`stats gold 7d`: what a price did in a span, its habits by hour and weekday, how two of them move together.

Everything is computed from all ticks of the span, through the candle ladder (hub.history.statistics).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hub import wording
from hub.history import statistics as of
from hub.history.ladder import RUNGS
from hub.model import Argument, Button, Candle, Instrument, Reply, Request, Role, Summary
from hub.plugin import BadRequest, Context
from hub.spans import Span, find_span, parse_span

USAGE = "stats gold [7d | 2014-05-02 | …] [by hour | by weekday] [vs silver]"
SUMMARY = "What a price did: mean, range, volatility, drawdown; by hour or weekday; how two move together."
EXAMPLES = ("stats gold", "stats gold 7d", "stats gold by hour", "stats gold by weekday 1y", "stats gold vs silver 30d")
ARGUMENTS = (
    Argument(name="instrument", about="of what", kind="instrument", required=True, example="gold"),
    Argument(name="span", about="how far back", kind="span", example="7d"),
    Argument(name="by", about="its habits", kind="choice", choices=("hour", "weekday"), lead="by"),
    Argument(name="against", about="what it moves together with", kind="instrument", lead="vs", example="silver"),
)
ROLE = Role.GUEST

SPANS = ("1h", "24h", "7d", "30d", "1y")
SEASON, SEASON_MOST_US = {"hour": "30d", "weekday": "1y"}, 3 * 366 * wording.DAY_US
TOGETHER = "30d"
LONGEST_CLOSED_US = 4 * wording.DAY_US
"""A weekend with holidays: a newest price that is older is told."""
BY = re.compile(r"(?<!\S)by\s+(hours?|weekdays?|days?)(?!\S)", re.IGNORECASE)
VS = re.compile(r"\s+(?:vs\.?|versus|against|and)\s+", re.IGNORECASE)
YEAR = re.compile(r"(.*\S)\s+((?:1[789]|20)[0-9]{2})")
NOTHING = "-"


async def run(context: Context, request: Request) -> Reply:
    line, season = without_season(request.arguments)
    span, words = find_span(line)
    if not span and (found := YEAR.fullmatch(words.strip())):
        words, span = found[1], found[2]
    names = [name for name in VS.split(words.strip()) if name]
    if not names:
        raise BadRequest("of what? Write stats gold, stats gold 7d, stats gold by hour or stats gold vs silver")
    instruments = [context.catalogue.find(name) for name in names]
    if season:
        if len(instruments) > 1:
            raise BadRequest(f"by {season} is of one instrument: write stats {names[0]} by {season}")
        return await habits(context, request, instruments[0], season, span)
    if len(instruments) == 1:
        return await alone(context, request, instruments[0], span)
    if len(instruments) == 2:
        return await together(context, request, instruments, span)
    raise BadRequest("two can be compared: write stats gold vs silver 30d")


def without_season(arguments: str) -> tuple[str, str]:
    """The line without "by hour" or "by weekday", and which of them it was."""
    found = BY.search(arguments)
    if not found:
        return arguments, ""
    rest = f"{arguments[: found.start()]} {arguments[found.end() :]}"
    return rest, "hour" if found[1].lower().startswith("hour") else "weekday"


async def spans_of(context: Context, request: Request, instrument: Instrument, texts: Sequence[str]) -> list[Span]:
    """All of them end at the same now, or before it."""
    reach = await context.market.reach(instrument.id)
    if reach is None:
        raise BadRequest(f"no price of {instrument.name} has been recorded yet")
    now, zone = context.market.now(instrument.id), request.user.time_zone
    return [parse_span(text, now, zone, oldest_us=reach[0]) for text in texts]


# ------------------------------------------------------------------------------------------------ alone


async def alone(context: Context, request: Request, instrument: Instrument, text: str) -> Reply:
    """One table: a column for each span."""
    heads = (text,) if text else SPANS
    spans = await spans_of(context, request, instrument, heads)
    found = [await context.market.summary(instrument.id, each.start_us, each.end_us) for each in spans]
    title = f"{instrument.name} ({instrument.id}){', ' + spans[0].label if text else ''}"
    if not any(found):
        nothing = f"Nothing moved the price of {instrument.name} in that time."
        lines = [nothing, await ended(context, request, instrument, spans)]
        return Reply(title=title, lines=tuple(filter(None, lines)))
    rungs = [(await context.market.window(instrument.id, *each, of.VOLATILITY_POINTS))[0] for each in ends(spans)]
    lines = [
        unit(instrument),
        *edges(context, request, spans, found, bool(text)),
        await young(context, request, instrument, dict(zip(heads, spans, strict=True))),
        await ended(context, request, instrument, spans),
        yearly(dict(zip(heads, rungs, strict=True)), found),
    ]
    return Reply(
        title=title,
        table=table(instrument, ("value",) if text else heads, found),
        lines=tuple(filter(None, lines)),
        buttons=buttons(instrument, text),
        facts={
            "instrument": instrument.id,
            "currency": instrument.currency,
            "unit": instrument.unit,
            "volatility": "yearly: stddev of log returns of candle closes x sqrt(candles in a year of open hours)",
            "spans": [fact(head, one) for head, one in zip(heads, found, strict=True)],
        },
    )


def ends(spans: Sequence[Span]) -> list[tuple[int, int]]:
    return [(each.start_us, each.end_us) for each in spans]


def table(instrument: Instrument, heads: Sequence[str], found: Sequence[Summary | None]) -> tuple[tuple[str, ...], ...]:
    def price(value: float) -> str:
        return wording.price(value, instrument.decimals)

    rows: list[tuple[str, Callable[[Summary], str]]] = [
        ("change", lambda one: wording.percent(one.change)),
        ("open", lambda one: price(one.open)),
        ("close", lambda one: price(one.close)),
        ("low", lambda one: price(one.low)),
        ("high", lambda one: price(one.high)),
        ("mean", lambda one: price(one.mean)),
        ("stddev", lambda one: price(one.stddev)),
        ("drawdown", lambda one: wording.percent(one.drawdown, signed=False)),
        (
            "volatility",
            lambda one: NOTHING if one.volatility is None else wording.percent(one.volatility, signed=False),
        ),
        ("volume", lambda one: wording.own(f"{one.volume:,.2f}")),
        ("ticks", lambda one: f"{one.count:,}"),
    ]
    if not any(one and one.volume for one in found):
        rows = [row for row in rows if row[0] != "volume"]
    return (("", *heads), *((name, *(write(one) if one else NOTHING for one in found)) for name, write in rows))


def unit(instrument: Instrument) -> str:
    return f"In {instrument.currency}{f' for one {instrument.unit}' if instrument.unit else ''}."


def edges(
    context: Context, request: Request, spans: Sequence[Span], found: Sequence[Summary | None], single: bool
) -> list[str]:
    """From when to when, of one span; and whether it had to be rounded to candles."""
    zone, said = request.user.time_zone, []
    if single:
        said.append(
            f"From {when(context, spans[0].start_us, zone)} to {when(context, spans[0].end_us, zone)} ({zone})."
        )
    for span, one in zip(spans, found, strict=True):
        if one and (one.start < span.start_us or one.end > span.end_us):
            first, last = when(context, one.start, zone), when(context, one.end, zone)
            said.append(f"{span.label}: counted from {first} to {last}, as finer prices are not kept.")
    return said


def when(context: Context, time_us: int, zone: str) -> str:
    now = context.now()
    return "now" if abs(now - time_us) < wording.MINUTE_US else wording.clock(time_us, zone, now)


async def young(context: Context, request: Request, instrument: Instrument, spans: Mapping[str, Span]) -> str:
    """What begins before history does holds less than its name says."""
    reach = await context.market.reach(instrument.id)
    longer = [name for name, span in spans.items() if reach and span.start_us < reach[0]]
    if reach is None or not longer:
        return ""
    since = f"Prices are known since {wording.clock(reach[0], request.user.time_zone, context.now())}"
    return f"{since}." if len(spans) == 1 else f"{since}: {', '.join(longer)} hold what there is."


async def ended(context: Context, request: Request, instrument: Instrument, spans: Sequence[Span]) -> str:
    """So does what goes on long after the newest price."""
    reach = await context.market.reach(instrument.id)
    if reach is None or not any(span.end_us - reach[1] > LONGEST_CLOSED_US for span in spans):
        return ""
    return f"The newest price is of {wording.clock(reach[1], request.user.time_zone, context.now())}."


def yearly(rungs: Mapping[str, str], found: Sequence[Summary | None]) -> str:
    if not any(one and one.volatility is not None for one in found):
        return ""
    each = (
        ", ".join(f"{rung} for {name}" for name, rung in rungs.items()) if len(rungs) > 1 else "".join(rungs.values())
    )
    return (
        f"Volatility is yearly: the standard deviation of log returns from candle to candle ({each}) times the root of"
        " how many such candles a year of open hours has."
    )


def buttons(instrument: Instrument, text: str) -> tuple[Button, ...]:
    found = [("By hour", f"stats {instrument.id} by hour"), ("By weekday", f"stats {instrument.id} by weekday")]
    chart = f"chart {instrument.id} {text or '24h'}"
    return tuple(
        Button(label=label, line=line) for label, line in (*found, ("Chart", chart)) if len(line.encode()) <= 64
    )


def fact(head: str, one: Summary | None) -> dict[str, Any]:
    if one is None:
        return {"span": head, "count": 0}
    told: dict[str, Any] = msgspec.to_builtins(one)
    return {
        "span": head,
        **told,
        "start": wording.iso(one.start),
        "end": wording.iso(one.end),
        "volatility": one.volatility,
    }


# ----------------------------------------------------------------------------------------------- habits

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


async def habits(context: Context, request: Request, instrument: Instrument, season: str, text: str) -> Reply:
    """The mean change and the share of rises by local hour or weekday."""
    (span,) = await spans_of(context, request, instrument, [text or SEASON[season]])
    if span.end_us - span.start_us > SEASON_MOST_US:
        raise BadRequest(f"by {season} looks at three years at most: write stats {instrument.id} by {season} 1y")
    zone, rung = request.user.time_zone, season_rung(request.user.time_zone, span)
    candles = await context.market.candles(instrument.id, rung, span.start_us, span.end_us)
    if not candles and season == "weekday":
        zone, rung = "UTC", "1d"
        candles = await context.market.candles(instrument.id, rung, span.start_us, span.end_us)
    title = f"{instrument.name} ({instrument.id}) by {season}, {span.label}"
    if not candles:
        return Reply(title=title, lines=(f"There are no {rung} candles of {instrument.name} in that time.",))
    found = (of.by_hour if season == "hour" else of.by_weekday)(candles, zone)
    rows = [(name_of(season, one.key), fine(one.change), f"{one.rises * 100:.0f} %", f"{one.count:,}") for one in found]
    return Reply(
        title=title,
        table=((season, "mean change", "rises", "hours" if season == "hour" else "days"), *rows),
        lines=(f"From close to close, in {zone} time; the first {season} after a closed market holds the gap.",),
        facts={
            "instrument": instrument.id, "by": season, "time_zone": zone, "rung": rung,
            "start": wording.iso(span.start_us), "end": wording.iso(span.end_us),
            "seasons": [msgspec.to_builtins(one) for one in found],
        },
    )  # fmt: skip


def season_rung(zone: str, span: Span) -> str:
    """Hourly candles, or where the zone's clock stands at half or quarter hours those of 15 minutes."""
    here: ZoneInfo = wording.zone(zone)
    offsets = [wording.moment(edge).astimezone(here).utcoffset() for edge in (span.start_us, span.end_us)]
    whole = all(offset is not None and offset.total_seconds() % RUNGS["1h"] == 0 for offset in offsets)
    return "1h" if whole else "15m"


def fine(share: float) -> str:
    """A mean change of an hour is small: three decimals, and no sign where they are all nothing."""
    shown = round(share * 100, 3) + 0.0
    return wording.own(f"{shown:+.3f} %" if shown else "0.000 %")


def name_of(season: str, key: int) -> str:
    return f"{key:02d}:00" if season == "hour" else DAYS[key]


# --------------------------------------------------------------------------------------------- together


async def together(context: Context, request: Request, instruments: Sequence[Instrument], text: str) -> Reply:
    """How the returns of two of them go along."""
    one, other = instruments
    if one.id == other.id:
        raise BadRequest(f"{one.name} moves like itself: name two, as in stats gold vs silver 30d")
    (span,) = await spans_of(context, request, one, [text or TOGETHER])
    rung, series = await shared(context, instruments, span)
    found = of.correlation(*series)
    title = f"{one.name} vs {other.name}, {span.label}"
    if found is None:
        line = f"They share too few {rung} candles in that time to be compared, or one of them did not move."
        return Reply(title=title, lines=(line,), facts={"instruments": [one.id, other.id], "correlation": None})
    changes = [candles[-1].close / candles[0].open - 1 for candles in series]
    rows = [
        (f"{each.name} ({each.id})", wording.percent(change)) for each, change in zip(instruments, changes, strict=True)
    ]
    said = f"Correlation {found.value:+.2f}: {in_words(found.value)}."
    return Reply(
        title=title,
        table=(("instrument", "change"), *rows),
        lines=(said, f"Of {found.count:,} log returns over the {rung} candles that both have."),
        facts={
            "instruments": [one.id, other.id], "correlation": found.value, "returns": found.count, "rung": rung,
            "start": wording.iso(span.start_us), "end": wording.iso(span.end_us), "changes": changes,
        },
    )  # fmt: skip


async def shared(
    context: Context, instruments: Sequence[Instrument], span: Span
) -> tuple[str, tuple[Sequence[Candle], Sequence[Candle]]]:
    """Candles of one rung: the coarser one, where one of them has no finer ones so far back."""
    windows = [
        await context.market.window(each.id, span.start_us, span.end_us, of.VOLATILITY_POINTS) for each in instruments
    ]
    rung = max((rung for rung, _ in windows), key=list(RUNGS).index)
    one, other = [
        candles if own == rung else await context.market.candles(each.id, rung, span.start_us, span.end_us)
        for each, (own, candles) in zip(instruments, windows, strict=True)
    ]
    return rung, (one, other)


def in_words(value: float) -> str:
    strength = abs(value)
    if strength < 0.2:
        return "they hardly go along"
    way = "together" if value > 0 else "against each other"
    return f"they move {way} {'strongly' if strength >= 0.7 else 'to some degree' if strength >= 0.4 else 'weakly'}"
