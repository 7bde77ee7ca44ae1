"""A chart → a scene: which panes there are, how high, what is in each of them. Pure but for the width of letters.

From the top down: name, price, legend; the prices; below them volumes and RSI if asked for; the axis of time; where
the prices come from. All room is used: a pane that has nothing to show is not there.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from charts import edge, panes, scales, times
from charts.chart import Chart, Level
from charts.edge import Label
from charts.header import Entry, Width, empty, footer, header
from charts.panes import Pane
from charts.scene import Lines, Rect, Scene, Shape, Text
from charts.subject import BAND, Subject, subject_of
from charts.theme import SPARK, Palette, Sheet, palette, sheet

VOLUME_SHARE, RSI_SHARE = 0.19, 0.24
PANE_GAP = 9.0
REACH = 0.4  # an alert's level so many ranges away is still drawn; the others are counted
OVERBOUGHT, OVERSOLD = 70.0, 30.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the rooms of a picture share."""

    chart: Chart
    subject: Subject
    colours: Palette
    sheet: Sheet
    width: Width


def layout(chart: Chart, width: Width) -> Scene:
    if chart.kind == "spark":
        return _spark(chart)
    plan = Plan(
        chart=chart, subject=subject_of(chart), colours=palette(chart.theme), sheet=sheet(chart.size), width=width
    )
    levels, unseen = _levels(plan)
    top = header(chart, plan.subject, _legend(plan, unseen), plan.colours, plan.sheet, width)
    below = plan.sheet.pad * 0.75
    foot = footer(chart, plan.subject, plan.colours, plan.sheet, width, below)
    if plan.subject.times:
        shapes = _panes(plan, levels, below + plan.sheet.small * 1.5, top.bottom)
    else:
        area = Rect(plan.sheet.pad, below + plan.sheet.small * 2, plan.sheet.width - plan.sheet.pad, top.bottom)
        shapes = empty(chart, plan.subject, plan.colours, plan.sheet, width, area)
    return _scene(plan.sheet, plan.colours.ground, [*shapes, *top.shapes, *foot])


def _scene(sheet: Sheet, ground: str, shapes: Sequence[Shape]) -> Scene:
    return Scene(width=sheet.width, height=sheet.height, scale=sheet.scale, ground=ground, shapes=tuple(shapes))


# ----------------------------------------------------------------------------------------------- panes


def _panes(plan: Plan, levels: Sequence[Level], bottom: float, top: float) -> list[Shape]:
    subject, sheet = plan.subject, plan.sheet
    low, high = _range(subject, levels)
    time_height = sheet.axis * 1.6
    plain = Pane(
        Rect(sheet.pad, bottom + time_height, sheet.width, top), low, high, len(subject.times), 1 / sheet.scale
    )
    values, decimals = edge.axis(plain, sheet)
    labels = _labels(plan, levels)
    numbers = [(value, _axis_number(subject, value, decimals)) for value in values]
    has_volume = plan.chart.volume and any(candle.volume > 0 for candle in subject.candles)
    rsi = [value for value in subject.rsi if value is not None]
    written = [*(text for _, text in numbers), *(label.text for label in labels)]
    if has_volume:
        written.append(scales.short(max(candle.volume for candle in subject.candles)))
    margin = edge.room(written, sheet, plan.width)
    right = sheet.width - sheet.pad * 0.5
    rects = _split(
        Rect(sheet.pad, bottom + time_height, right - margin, top),
        [VOLUME_SHARE] * has_volume + [RSI_SHARE] * bool(rsi),
    )
    price = Pane(rects[0], low, high, len(subject.times), 1 / sheet.scale)
    values, decimals = edge.axis(price, sheet)
    numbers = [(value, _axis_number(subject, value, decimals)) for value in values]
    marks = _time_ticks(plan, price)
    shapes = _grid(plan, price, [value for value, _ in numbers], [tick.place for tick in marks])
    shapes += panes.breaks(price, subject.times, subject.candle_us)
    shapes += _content(plan, price, levels)
    shapes += edge.draw(price, labels, numbers, plan.colours, sheet, plan.width, right)
    if has_volume:
        shapes += _volume_pane(plan, rects[1], [tick.place for tick in marks], right)
    if rsi:
        shapes += _rsi_pane(plan, rects[-1], [tick.place for tick in marks], right)
    return [*shapes, *_time_axis(plan, price, marks, bottom + sheet.axis * 0.42)]


def _split(area: Rect, shares: Sequence[float]) -> list[Rect]:
    """The area from the top down: what is left over, then a pane for each share."""
    heights = [share * area.height - PANE_GAP for share in shares]
    main = area.height - sum(heights) - PANE_GAP * len(heights)
    rects = [Rect(area.left, area.top - main, area.right, area.top)]
    for height in heights:
        top = rects[-1].bottom - PANE_GAP
        rects.append(Rect(area.left, top - height, area.right, top))
    return rects


def _range(subject: Subject, levels: Sequence[Level]) -> tuple[float, float]:
    low, high = subject.extent()
    prices = [level.price for level in levels]
    decimals = 2 if subject.percent else subject.decimals
    return scales.bounds(min([low, *prices]), max([high, *prices]), decimals)


def _axis_number(subject: Subject, value: float, decimals: int) -> str:
    return scales.percent(value, decimals) if subject.percent else scales.number(value, decimals)


def _grid(plan: Plan, pane: Pane, values: Sequence[float], places: Sequence[int]) -> list[Shape]:
    rect = pane.rect
    across = [((rect.left, pane.snap(pane.y(value))), (rect.right, pane.snap(pane.y(value)))) for value in values]
    return [
        *([Lines(lines=tuple(across), colour=plan.colours.grid, width=1)] if across else []),
        *_verticals(plan, pane, places),
        Lines(lines=(((rect.left, rect.bottom), (rect.right, rect.bottom)),), colour=plan.colours.frame, width=1),
    ]


def _verticals(plan: Plan, pane: Pane, places: Sequence[int]) -> list[Shape]:
    xs = [pane.snap(pane.x(place)) for place in places]
    lines = tuple(((x, pane.rect.bottom), (x, pane.rect.top)) for x in xs)
    return [Lines(lines=lines, colour=plan.colours.grid, width=1)] if lines else []


def _content(plan: Plan, pane: Pane, levels: Sequence[Level]) -> list[Shape]:
    subject, colours, sheet, kind = plan.subject, plan.colours, plan.sheet, plan.chart.kind
    shapes: list[Shape] = []
    if subject.percent and pane.low < 0 < pane.high:
        shapes.append(panes.across(pane, 0.0, colours.muted, sheet, (1.5, 3)))
    if subject.band:
        shapes += panes.band(pane, *subject.band, colours.lines[BAND])
    closes = [candle.close for candle in subject.candles]
    if kind == "candles":
        shapes += panes.candles(pane, subject.candles, colours)
    elif kind == "area":
        shapes += panes.area(pane, closes, _last_colour(plan), sheet.stroke)
    elif closes:
        shapes += panes.curve(pane, closes, _last_colour(plan), sheet.stroke)
    for curve in subject.curves:
        width = sheet.stroke if subject.percent else sheet.stroke * 0.85
        shapes += panes.curve(pane, curve.values, colours.lines[curve.colour % len(colours.lines)], width)
    for level in levels:
        shapes.append(panes.across(pane, level.price, colours.level, sheet, (5, 3)))
    if closes:
        shapes.append(panes.across(pane, closes[-1], _last_colour(plan), sheet, (1.2, 2.4)))
        shapes += panes.marks(pane, plan.chart.marks, subject.times, colours)
    return shapes


def _last_colour(plan: Plan) -> str:
    change = plan.subject.change or 0.0
    colours = plan.colours
    if plan.chart.kind == "ratio":
        return colours.accent
    return colours.up if change > 0 else colours.down if change < 0 else colours.still


def _labels(plan: Plan, levels: Sequence[Level]) -> list[Label]:
    """The most important first: where there is no room for all, the last give way."""
    subject, colours = plan.subject, plan.colours
    if subject.percent:
        return [
            Label(value, subject.write(value), colours.lines[curve.colour % len(colours.lines)], True)
            for curve in subject.curves
            if (value := curve.values[-1]) is not None
        ]
    last = Label(subject.last, subject.write(subject.last), _last_colour(plan), True)
    by_distance = sorted(levels, key=lambda level: abs(level.price - subject.last))
    return [last, *(Label(level.price, subject.write(level.price), colours.level, False) for level in by_distance)]


def _volume_pane(plan: Plan, rect: Rect, places: Sequence[int], right: float) -> list[Shape]:
    shown = plan.subject.candles
    most = max(candle.volume for candle in shown)
    pane = Pane(rect, 0.0, most * 1.05, len(shown), 1 / plan.sheet.scale)
    below_top = pane.high * (1 - plan.sheet.axis * 0.6 / rect.height)
    number = edge.draw(pane, [], [(below_top, scales.short(most))], plan.colours, plan.sheet, plan.width, right)
    return [*_grid(plan, pane, [], places), *panes.volumes(pane, shown, plan.colours), *number]


def _rsi_pane(plan: Plan, rect: Rect, places: Sequence[int], right: float) -> list[Shape]:
    known = [value for value in plan.subject.rsi if value is not None]
    low, high = min(*known, OVERSOLD - 10), max(*known, OVERBOUGHT + 10)
    pane = Pane(rect, low - 4, high + 4, len(plan.subject.times), 1 / plan.sheet.scale)
    limits = (OVERSOLD, OVERBOUGHT)
    lines = [panes.across(pane, limit, plan.colours.muted, plan.sheet, (2, 3)) for limit in limits]
    numbers = [(limit, f"{limit:.0f}") for limit in limits]
    return [
        *_grid(plan, pane, [], places),
        *lines,
        *panes.curve(pane, plan.subject.rsi, plan.colours.accent, plan.sheet.stroke * 0.85),
        *edge.draw(pane, [], numbers, plan.colours, plan.sheet, plan.width, right),
    ]


# ------------------------------------------------------------------------------------------ axis of time


def _time_ticks(plan: Plan, pane: Pane) -> list[times.Tick]:
    local = times.local_times(plan.subject.times, plan.chart.time_zone)
    gap = plan.sheet.axis * 1.1

    def room(found: Sequence[times.Tick]) -> bool:
        if len(found) * gap > pane.rect.width:
            return False
        spans = [_extent(plan, pane, tick) for tick in found]
        return all(before[1] + gap <= after[0] for before, after in pairwise(spans))

    return [tick for tick in times.ticks(local, room) if _inside(plan, _extent(plan, pane, tick))]


def _extent(plan: Plan, pane: Pane, tick: times.Tick) -> tuple[float, float]:
    half = plan.width(tick.text, plan.sheet.axis, tick.rank > 0) / 2
    return pane.x(tick.place) - half, pane.x(tick.place) + half


def _inside(plan: Plan, extent: tuple[float, float]) -> bool:
    return extent[0] >= plan.sheet.pad * 0.5 and extent[1] <= plan.sheet.width - plan.sheet.pad * 0.5


def _time_axis(plan: Plan, pane: Pane, found: Sequence[times.Tick], y: float) -> list[Shape]:
    return [
        Text(
            x=pane.x(tick.place),
            y=y,
            text=tick.text,
            size=plan.sheet.axis,
            colour=plan.colours.text if tick.rank else plan.colours.muted,
            bold=tick.rank > 0,
            align="center",
        )
        for tick in found
    ]


# ------------------------------------------------------------------------------------- legend and levels


def _legend(plan: Plan, unseen: str) -> list[Entry]:
    subject, lines = plan.subject, plan.colours.lines
    entries = [Entry(unseen)] if unseen else []  # first, so that it is never what has no room
    for curve in subject.curves:
        last = curve.values[-1] if curve.values else None
        told = "too few candles" if last is None else subject.write(last)
        entries.append(Entry(f"{curve.name}  {told}", lines[curve.colour % len(lines)]))
    if plan.chart.rsi and subject.times:
        last = subject.rsi[-1] if subject.rsi else None
        told = "too few candles" if last is None else f"{last:.1f}"
        entries.append(Entry(f"RSI {plan.chart.rsi}  {told}", plan.colours.accent))
    if plan.chart.volume and subject.times and not any(candle.volume > 0 for candle in subject.candles):
        entries.append(Entry("no volumes stated"))
    return entries


def _levels(plan: Plan) -> tuple[list[Level], str]:
    """The levels that are drawn, and what is said of the others."""
    subject, levels = plan.subject, plan.chart.levels
    if not subject.candles or not levels:
        return [], ""
    low, high = subject.extent()
    reach = max(high - low, abs(high) * 0.002) * REACH
    near = [level for level in levels if low - reach <= level.price <= high + reach]
    chosen = scales.nearest([level.price for level in near], subject.last, plan.sheet.levels)
    shown = [near[place] for place in chosen]
    return shown, _unseen([level for level in levels if level not in shown], subject.last)


def _unseen(levels: Sequence[Level], price: float) -> str:
    if not levels:
        return ""
    above = sum(level.price > price for level in levels)
    sides = (f"{above} above" if above else "", f"{len(levels) - above} below" if above < len(levels) else "")
    return f"{len(levels)} more alert{'s' if len(levels) > 1 else ''}: {', '.join(filter(None, sides))}"


# ------------------------------------------------------------------------------------------------- spark


def _spark(chart: Chart) -> Scene:
    """The line alone, coloured by its direction."""
    subject, colours, size = subject_of(chart), palette(chart.theme), SPARK
    closes = [candle.close for candle in subject.candles]
    if not closes:
        return _scene(size, colours.ground, [])
    low, high = scales.bounds(min(closes), max(closes), subject.decimals)
    rect = Rect(size.pad, size.pad, size.width - size.pad, size.height - size.pad)
    pane = Pane(rect, low, high, len(closes), 1 / size.scale)
    change = closes[-1] - closes[0]
    colour = colours.up if change > 0 else colours.down if change < 0 else colours.still
    return _scene(size, colours.ground, panes.area(pane, closes, colour, size.stroke))
