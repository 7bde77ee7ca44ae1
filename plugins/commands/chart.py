"""`chart gold 24h`: a picture of what a price did, with your alerts in it, and buttons for other spans."""

import math
from collections.abc import Sequence

import msgspec

from charts import caption, combine, times, words
from charts.chart import Chart, Kind, Level, Mark, Series, Size, Theme, theme_of
from charts.subject import subject_of
from charts.words import Wanted
from hub import units, wording
from hub.history.ladder import length_us
from hub.model import Argument, Button, Instrument, Nature, Reply, Request, Role, State
from hub.plugin import AlertView, BadRequest, Context
from hub.rules.language import parse
from hub.spans import Span, parse_span

USAGE = "chart gold [24h] [candles|line|area] [vs silver] [ma20 ema50 bollinger rsi volume] [dark] [in eur] [levels]"
SUMMARY = "A picture of what a price did, with your alerts in it."
EXAMPLES = ("chart gold", "chart gold 7d ma20 ema50", "chart btc 24h area dark", "chart gold vs silver 30d")
ARGUMENTS = (
    Argument(name="instrument", about="what to draw", kind="instrument", required=True, example="gold"),
    Argument(name="span", about="how far back", kind="span", example="24h"),
    Argument(name="kind", about="how it is drawn", kind="choice", choices=("candles", "line", "area")),
    Argument(name="against", about="what to compare it with", kind="instrument", lead="vs", example="silver"),
    Argument(name="indicators", about="ma20 ema50 bollinger rsi volume levels", example="ma20 volume"),
    Argument(name="theme", about="its ground", kind="choice", choices=("light", "dark")),
)
ROLE = Role.GUEST

DEFAULT_SPAN = "24h"
RANGES = ("1h", "24h", "7d", "30d", "1y")
POINTS = 400  # asked of history; what is too fine for the picture is merged
MOST = {("candles", "phone"): 100, ("candles", "desktop"): 170, ("line", "phone"): 400, ("line", "desktop"): 800}
CONSOLE = "console"
WARM_UP = 3  # windows of the longest average before the span, so that it is settled within it
LEAD_US = 4 * wording.DAY_US  # of exchange rates: over a long weekend
OVER = frozenset({State.DONE, State.EXPIRED, State.DELETED, State.MUTED})


class Priced(msgspec.Struct, frozen=True):
    """One instrument's series, what its prices were multiplied by to get there, and what has to be said of that."""

    series: Series
    factor: float = 1.0  # at the end
    remark: str = ""


async def run(context: Context, request: Request) -> Reply:
    wanted = words.read(request.arguments, context.catalogue.find)
    kind: Kind = "compare" if len(wanted.instruments) > 1 else wanted.kind or "candles"
    return await drawn(context, request, wanted, kind, "chart")


async def drawn(context: Context, request: Request, wanted: Wanted, kind: Kind, command: str) -> Reply:
    """The reply of chart, compare and ratio."""
    span = await span_of(context, request, wanted)
    size: Size = wanted.size or ("desktop" if request.who.platform == CONSOLE else "phone")
    most = MOST["candles" if kind == "candles" else "line", size]
    priced = [await series_of(context, request, wanted, instrument, span, most) for instrument in wanted.instruments]
    newest = await newest_of(context, wanted.instruments)
    chart = Chart(
        kind=kind,
        series=tuple(each.series for each in priced),
        start=span.start_us,
        end=span.end_us,
        label=span.label,
        time_zone=request.user.time_zone,
        theme=theme(context, request, wanted),
        size=size,
        volume=wanted.volume and len(priced) == 1,
        averages=wanted.averages if kind != "compare" else (),
        bollinger=wanted.bollinger if kind != "compare" else 0,
        rsi=wanted.rsi if kind != "compare" else 0,
        nature=await nature_of(context, wanted.instruments),
        remark=next((each.remark for each in priced if each.remark), ""),
        newest=newest,
    )
    if kind in ("candles", "line", "area"):
        chart = await with_alerts(context, request, wanted, chart, priced[0].factor)
    subject = subject_of(chart)
    spans = {each: each for each in RANGES}
    if not subject.times:
        spans = newest_span(newest, request.user.time_zone) | spans
    here = request.who.platform != CONSOLE  # what a terminal shows stays where it is
    lines = {label: words.line_of(command, wanted, each, here=here) for label, each in spans.items()}
    said = [f"{each.series.name} is {each.remark}." for each in priced if each.remark]
    if kind == "compare" and of_one(wanted):
        said.append("Several prices are lines in percent; candles, indicators, volumes and levels are for one.")
    return Reply(
        title=f"{subject.name}, {span.label}",
        lines=(*caption.lines(chart, subject), *said, *caption.remarks(chart, subject)),
        image=await context.market.draw(chart),
        buttons=tuple(Button(label=label, line=line) for label, line in lines.items()),
        replace=wanted.here,
        facts={"instruments": [one.id for one in wanted.instruments], **caption.facts(chart, subject)},
    )


def of_one(wanted: Wanted) -> bool:
    """Whether something was asked for that only one price can have."""
    return bool(wanted.kind or wanted.averages or wanted.bollinger or wanted.rsi or wanted.volume or wanted.levels)


# ----------------------------------------------------------------------------------------- what is drawn


async def span_of(context: Context, request: Request, wanted: Wanted) -> Span:
    """It ends with the newest of the instruments' own times; "max" begins where the first of them does."""
    now = max(context.market.now(instrument.id) for instrument in wanted.instruments)
    oldest = None
    if wanted.span.casefold() in ("max", "all"):
        reaches = [await context.market.reach(instrument.id) for instrument in wanted.instruments]
        oldest = min((reach[0] for reach in reaches if reach), default=None)
    return parse_span(wanted.span or DEFAULT_SPAN, now, request.user.time_zone, oldest_us=oldest)


async def series_of(
    context: Context, request: Request, wanted: Wanted, instrument: Instrument, span: Span, most: int
) -> Priced:
    """At most so many candles, with what the indicators need before them, in the wanted currency and weight."""
    rung, found = await context.market.window(instrument.id, span.start_us, span.end_us, POINTS)
    step_us = combine.coarser(found, length_us(rung), most)
    longest = max([average.length for average in wanted.averages] + [wanted.bollinger, wanted.rsi * 2])
    if found and longest:
        reach_us = longest * WARM_UP * step_us + LEAD_US
        before = await context.market.candles(instrument.id, rung, found[0].start - reach_us, found[0].start)
        found = [*before, *found]
    candles = combine.merged(found, step_us)
    unit, weight = weight_of(request, instrument)
    money = Priced(
        Series(
            name=instrument.name,
            candles=candles,
            decimals=instrument.decimals,
            currency=instrument.currency,
            unit=unit,
            candle_us=step_us,
        )
    )
    if weight != 1.0:
        money = scaled(money, [weight] * len(candles), instrument.currency)
    return await in_currency(context, request, wanted, instrument, money, span)


def weight_of(request: Request, instrument: Instrument) -> tuple[str, float]:
    """The unit that this person wants metals in, and how much of the instrument's own unit that is."""
    if instrument.class_ != "metal" or not request.user.weight or instrument.unit not in units.GRAMS:
        return instrument.unit, 1.0
    return request.user.weight, units.grams(request.user.weight) / units.grams(instrument.unit)


async def in_currency(
    context: Context, request: Request, wanted: Wanted, instrument: Instrument, priced: Priced, span: Span
) -> Priced:
    """At each time's own exchange rate where history has it, else at today's, and said so. What a person has as the
    usual currency is left aside where nothing connects it; what was asked for is refused then."""
    usual = request.user.currency if instrument.class_ != "fx" else ""
    target = wanted.currency or usual
    if not target or target == instrument.currency or not priced.series.candles:
        return priced
    starts = [candle.start for candle in priced.series.candles]
    rates = await rates_of(context, instrument.currency, target, starts, span)
    if rates:
        return scaled(priced, rates, target)
    try:
        rate = context.market.rate(instrument.currency, target)
    except BadRequest:
        if wanted.currency:
            raise
        return priced
    told = f"in {target} at {'a stale' if rate.stale else 'the newest'} rate, {rate.value:.5g}"
    return scaled(priced, [rate.value] * len(starts), target, told)


async def rates_of(
    context: Context, source: str, target: str, times_us: Sequence[int], span: Span
) -> list[float] | None:
    """What one of `source` cost in `target` at those times; None where history holds no pair of the two."""
    for pair, inverse in ((f"{source}-{target}", False), (f"{target}-{source}", True)):
        if context.catalogue.get(pair):
            start_us = min(times_us[0], span.start_us) - LEAD_US
            _, found = await context.market.window(pair, start_us, span.end_us, POINTS)
            rates = combine.rates_at(found, times_us, inverse=inverse)
            if rates:
                return rates
    return None


def scaled(priced: Priced, rates: Sequence[float], currency: str, remark: str = "") -> Priced:
    series = priced.series
    decimals = series.decimals
    if rates and rates[-1] > 0:  # as many digits as before: a yen is not written with the dollar's decimals
        decimals = min(max(decimals - round(math.log10(rates[-1])), 0), 8)
    candles = combine.scaled(series.candles, rates)
    return Priced(
        msgspec.structs.replace(series, candles=candles, currency=currency, decimals=decimals),
        priced.factor * (rates[-1] if rates else 1.0),
        remark,
    )


def theme(context: Context, request: Request, wanted: Wanted) -> Theme:
    usual = theme_of(request.user.theme or context.theme)
    return Theme(ground=wanted.ground or usual.ground, colours=wanted.colours or usual.colours)


async def nature_of(context: Context, instruments: Sequence[Instrument]) -> Nature:
    """The one that makes the prices doubtful, if any."""
    quotes = [await context.quote(instrument.id) for instrument in instruments]
    return next((quote.nature for quote in quotes if quote and quote.nature is not Nature.LIVE), Nature.LIVE)


async def newest_of(context: Context, instruments: Sequence[Instrument]) -> int | None:
    """The newest time at which all of them had a price; BadRequest where one never had any."""
    newest = []
    for instrument in instruments:
        reach = await context.market.reach(instrument.id)
        if reach is None:
            raise BadRequest(f"{instrument.name} ({instrument.id}) has no price in this hub's history yet")
        newest.append(reach[1])
    return min(newest)


async def with_alerts(context: Context, request: Request, wanted: Wanted, chart: Chart, factor: float) -> Chart:
    """With the person's own levels and what rang; in a group only where they are asked for, as others look on."""
    shown = wanted.levels if wanted.levels is not None else not request.who.place
    if not shown:
        return chart
    (instrument,) = wanted.instruments
    views = [view for view in await context.alerts(request, finished=True) if view.alert.instrument == instrument.id]
    levels = [level for view in views if view.alert.state not in OVER and (level := level_of(context, view, factor))]
    marks = [
        Mark(time=when, price=trigger.price * factor, rising=trigger.direction == "up")
        for view in views
        if (trigger := view.last_trigger)
        and chart.start <= (when := trigger.venue_time or trigger.received_at) < chart.end
    ]
    return msgspec.structs.replace(chart, levels=tuple(levels), marks=tuple(marks))


def level_of(context: Context, view: AlertView, factor: float) -> Level | None:
    """None where the line is not understood any more, or is not about a price alone."""
    try:
        spec = parse(view.alert.text, context.catalogue.find)
    except BadRequest:
        return None
    clause = spec.plain
    if clause is None:
        return None
    rising = None if clause.condition == "crosses" else clause.condition == "above"
    return Level(price=clause.level * factor, rising=rising)


def newest_span(newest: int | None, zone: str) -> dict[str, str]:
    """Label and span of the day of the newest price, for who looks at a span without any."""
    if newest is None:
        return {}
    (local,) = times.local_times([newest], zone)
    return {f"{local.day} {times.NAMES[local.month - 1]} {local.year}": f"{local:%Y-%m-%d}"}
