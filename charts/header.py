"""The words above and below a picture: name, price, change, legend, what the axis covers. Nothing runs out of it.

What has no room is shortened with an ellipsis, or left out, least important first. Pure but for the width of letters,
which `charts.paint.width_of` measures and which is an argument here.
"""

from collections.abc import Callable, Sequence

import msgspec

from charts import scales, times
from charts.chart import Chart
from charts.scene import Lines, Rect, Shape, Text
from charts.subject import Subject
from charts.theme import Palette, Sheet
from hub import render
from hub.model import Nature

Width = Callable[[str, float, bool], float]
LINE = 1.42  # a line of text's height, as a multiple of its letters' size
SWATCH = 14.0
GAP = 9.0
MOST_LEGEND_LINES = 2
DOUBTS = {
    Nature.LIVE: "",
    Nature.POLLED: "polled prices",
    Nature.SIMULATED: "simulated prices",
    Nature.RECORDING: "prices of a recording",
}


class Entry(msgspec.Struct, frozen=True):
    """One of the legend; without a colour it is a remark."""

    text: str
    colour: str = ""


class Header(msgspec.Struct, frozen=True):
    shapes: tuple[Shape, ...]
    bottom: float


def header(
    chart: Chart, subject: Subject, entries: Sequence[Entry], palette: Palette, sheet: Sheet, width: Width
) -> Header:
    """From the top down; the panes begin at `bottom`."""
    shapes: list[Shape] = []
    left, right = sheet.pad, sheet.width - sheet.pad
    y = sheet.height - sheet.pad * 0.6 - sheet.name * 1.05
    told = cut(render.safe(chart.label), sheet.small + 1, False, (right - left) * 0.4, width)
    shapes.append(
        Text(x=right, y=y, text=told, size=sheet.small + 1, colour=palette.muted, align="right"),
    )
    room = right - left - (width(told, sheet.small + 1, False) + GAP if told else 0)
    name = cut(subject.name, sheet.name, True, room, width)
    shapes.append(Text(x=left, y=y, text=name, size=sheet.name, colour=palette.text, bold=True))
    if subject.candles:
        y -= sheet.price * LINE * 0.95
        shapes += _price_line(subject, palette, sheet, width, y)
    for line in flow(entries, right - left, sheet.small, width):
        y -= sheet.small * LINE * 1.15
        shapes += _legend_line(line, palette, sheet, width, y)
    return Header(tuple(shapes), y - sheet.small * 0.85)


def _price_line(subject: Subject, palette: Palette, sheet: Sheet, width: Width, y: float) -> list[Shape]:
    """The price, its money, its change: the money gives way where there is no room."""
    price = subject.write(subject.last)
    x, right = sheet.pad, sheet.width - sheet.pad
    shapes: list[Shape] = []
    room = right - x
    size = sheet.price
    while size > sheet.small and width(price, size, True) > room * 0.75:
        size -= 1
    shapes.append(Text(x=x, y=y, text=price, size=size, colour=palette.text, bold=True))
    x += width(price, size, True)
    change = subject.change
    told = "" if change is None else f"{arrow(change)} {scales.percent(change * 100)}"
    needed = width(told, sheet.change, True) + GAP * 1.4 if told else 0
    if subject.money and right - x - needed - GAP * 0.6 > 30:
        money = cut(subject.money, sheet.small, False, right - x - needed - GAP * 0.6, width)
        shapes.append(Text(x=x + GAP * 0.6, y=y, text=money, size=sheet.small, colour=palette.muted))
        x += GAP * 0.6 + width(money, sheet.small, False)
    if told and right - x >= needed:
        colour = direction(change or 0.0, palette)
        shapes.append(Text(x=x + GAP * 1.4, y=y, text=told, size=sheet.change, colour=colour, bold=True))
    return shapes


def arrow(change: float) -> str:
    shown = round(change * 100, 2)
    return "▲" if shown > 0 else "▼" if shown < 0 else "="


def direction(change: float, palette: Palette) -> str:
    shown = round(change * 100, 2)
    return palette.up if shown > 0 else palette.down if shown < 0 else palette.still


def flow(entries: Sequence[Entry], room: float, size: float, width: Width) -> list[list[Entry]]:
    """Entries in as many lines as there may be; what is left over is counted at the end of the last."""
    lines: list[list[Entry]] = []
    entries = [Entry(cut(entry.text, size, False, room * 0.6, width), entry.colour) for entry in entries]
    for place, entry in enumerate(entries):
        more = len(entries) - place - 1
        reserve = width(f"+{more} more", size, False) + GAP if more and len(lines) == MOST_LEGEND_LINES else 0
        if lines and _length([*lines[-1], entry], size, width) + reserve <= room:
            lines[-1].append(entry)
        elif len(lines) < MOST_LEGEND_LINES:
            lines.append([entry])
        else:
            lines[-1].append(Entry(f"+{more + 1} more"))
            break
    return lines


def _length(entries: Sequence[Entry], size: float, width: Width) -> float:
    told = sum(width(entry.text, size, False) + (SWATCH + 4 if entry.colour else 0) for entry in entries)
    return told + GAP * 1.3 * (len(entries) - 1)


def _legend_line(line: Sequence[Entry], palette: Palette, sheet: Sheet, width: Width, y: float) -> list[Shape]:
    shapes: list[Shape] = []
    x = sheet.pad
    for entry in line:
        if entry.colour:
            middle = y + sheet.small * 0.36
            shapes.append(Lines(lines=(((x, middle), (x + SWATCH, middle)),), colour=entry.colour, width=3))
            x += SWATCH + 4
        shapes.append(Text(x=x, y=y, text=entry.text, size=sheet.small, colour=palette.muted))
        x += width(entry.text, sheet.small, False) + GAP * 1.3
    return shapes


def footer(chart: Chart, subject: Subject, palette: Palette, sheet: Sheet, width: Width, y: float) -> list[Shape]:
    """Where the prices come from if that makes them doubtful, then what the axis covers, then how."""
    doubt = " · ".join(part for part in (DOUBTS[chart.nature], render.safe(chart.remark)) if part)
    start, end = times.local_times([chart.start, chart.end], chart.time_zone)
    candle = times.length(subject.candle_us)
    facts = [
        times.spanned(start, end),
        times.zone_name(chart.time_zone),
        f"{candle} candles" if candle and chart.kind == "candles" else f"{candle} closes" if candle else "",
    ]
    x, room = sheet.pad, sheet.width - 2 * sheet.pad
    shapes: list[Shape] = []
    if doubt:
        doubt = cut(doubt, sheet.small, True, room, width)
        shapes.append(Text(x=x, y=y, text=doubt, size=sheet.small, colour=palette.remark, bold=True))
        used = width(doubt, sheet.small, True) + GAP
        x, room = x + used, room - used
    facts = [fact for fact in facts if fact]
    while facts and width(" · ".join(facts), sheet.small, False) > room:
        facts.pop()
    if facts:
        shapes.append(Text(x=x, y=y, text=" · ".join(facts), size=sheet.small, colour=palette.muted))
    return shapes


def cut(text: str, size: float, bold: bool, room: float, width: Width) -> str:
    """The text, or as much of its beginning as there is room for, with an ellipsis."""
    if not text or width(text, size, bold) <= room:
        return text
    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle].rstrip() + "…", size, bold) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def empty(chart: Chart, subject: Subject, palette: Palette, sheet: Sheet, width: Width, area: Rect) -> list[Shape]:
    """An honest picture of nothing: which span holds no price, and when there was one."""
    start, end = times.local_times([chart.start, chart.end], chart.time_zone)
    whose = f" of {' and '.join(subject.missing)}" if subject.missing and len(chart.series) > 1 else ""
    told = [f"No prices{whose} in this span:", times.spanned(start, end)]
    if chart.newest is not None:
        (newest,) = times.local_times([chart.newest], chart.time_zone)
        told += ["", f"The newest is of {times.moment(newest)}."]
    middle = (area.left + area.right) / 2
    top = (area.bottom + area.top) / 2 + len(told) * sheet.small * LINE / 2
    return [
        Text(
            x=middle,
            y=top - place * sheet.small * LINE,
            text=cut(line, sheet.small + 1, False, area.width, width),
            size=sheet.small + 1,
            colour=palette.text if place == 0 else palette.muted,
            align="center",
        )
        for place, line in enumerate(told)
        if line
    ]
