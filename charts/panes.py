"""What is drawn inside a pane: candles, lines, areas, bands, volumes, levels, marks. Pure.

A pane is a rectangle and the range of values that it shows; places along it go by candle.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from charts.chart import Mark
from charts.scene import Fade, Lines, Point, Rect, Rects, Shape, Shapes
from charts.theme import Palette, Sheet
from hub.model import Candle

WIDEST_BODY = 15.0
HOLLOW_FROM = 2.4  # points of a body's width from which one can see that it is hollow
BREAKS = 14  # closed sessions are marked where there are at most so many


class Pane(msgspec.Struct, frozen=True):
    rect: Rect
    low: float
    high: float
    count: int  # of candles along it
    grain: float  # a device pixel, in points

    def x(self, place: float) -> float:
        return self.rect.left + (place + 0.5) * self.slot

    def y(self, value: float) -> float:
        return self.rect.bottom + (value - self.low) / (self.high - self.low) * self.rect.height

    @property
    def slot(self) -> float:
        return self.rect.width / max(self.count, 1)

    def snap(self, length: float) -> float:
        """To whole device pixels, for edges that are sharp."""
        return round(length / self.grain) * self.grain


def candles(pane: Pane, shown: Sequence[Candle], palette: Palette) -> list[Shape]:
    """Wicks under bodies. What rose since its open is hollow, what fell is filled."""
    body = max(min(pane.slot * 0.68, WIDEST_BODY), pane.grain)
    edge = max(pane.snap(min(body * 0.3, 1.2)), pane.grain)
    shapes: list[Shape] = []
    for rising, colour in ((True, palette.up), (False, palette.down)):
        chosen = [place for place, candle in enumerate(shown) if (candle.close >= candle.open) == rising]
        if not chosen:
            continue
        wicks = tuple(line for place in chosen for line in _wicks(pane, place, shown[place]))
        rects = tuple(_body(pane, place, shown[place], body) for place in chosen)
        hollow = rising and body >= HOLLOW_FROM
        if wicks:
            shapes.append(Lines(lines=wicks, colour=colour, width=edge, clip=pane.rect))
        fill = palette.ground if hollow else colour
        shapes.append(Rects(rects=rects, fill=fill, edge=colour, width=edge, clip=pane.rect))
    return shapes


def _wicks(pane: Pane, place: int, candle: Candle) -> Iterator[tuple[Point, ...]]:
    x = pane.x(place)
    top, bottom = max(candle.open, candle.close), min(candle.open, candle.close)
    if candle.high > top:
        yield (x, pane.y(top)), (x, pane.y(candle.high))
    if candle.low < bottom:
        yield (x, pane.y(candle.low)), (x, pane.y(bottom))


def _body(pane: Pane, place: int, candle: Candle, width: float) -> Rect:
    x, bottom, top = pane.x(place), pane.y(min(candle.open, candle.close)), pane.y(max(candle.open, candle.close))
    if top - bottom < pane.grain:  # it closed where it opened: a stroke
        middle = (top + bottom) / 2
        bottom, top = middle - pane.grain / 2, middle + pane.grain / 2
    return Rect(x - width / 2, bottom, x + width / 2, top)


def curve(pane: Pane, values: Sequence[float | None], colour: str, width: float) -> list[Shape]:
    """A line over the places that have a value; a dot where one stands alone."""
    runs = list(_runs(pane, values))
    lines = tuple(tuple(run) for run in runs if len(run) > 1)
    dots = tuple(_dot(run[0], width * 1.6) for run in runs if len(run) == 1)
    shapes: list[Shape] = [Lines(lines=lines, colour=colour, width=width, clip=pane.rect)] if lines else []
    return [*shapes, Shapes(polygons=dots, fill=colour, edge=colour)] if dots else shapes


def _runs(pane: Pane, values: Sequence[float | None]) -> Iterator[list[Point]]:
    run: list[Point] = []
    for place, value in enumerate(values):
        if value is not None:
            run.append((pane.x(place), pane.y(value)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _dot(at: Point, radius: float) -> tuple[Point, ...]:
    x, y = at
    half = radius * 0.7071
    return (
        (x + radius, y), (x + half, y + half), (x, y + radius), (x - half, y + half),
        (x - radius, y), (x - half, y - half), (x, y - radius), (x + half, y - half),
    )  # fmt: skip


def area(pane: Pane, values: Sequence[float], colour: str, width: float) -> list[Shape]:
    line = tuple((pane.x(place), pane.y(value)) for place, value in enumerate(values))
    shapes = curve(pane, values, colour, width)
    under = len(line) > 1 and max(y for _, y in line) > pane.rect.bottom
    return [Fade(line=line, floor=pane.rect.bottom, colour=colour, opacity=0.42), *shapes] if under else shapes


def band(pane: Pane, lower: Sequence[float | None], upper: Sequence[float | None], colour: str) -> list[Shape]:
    below = [point for run in _runs(pane, lower) for point in run]
    above = [point for run in _runs(pane, upper) for point in run]
    if len(below) < 2:
        return []
    edges = Lines(lines=(tuple(below), tuple(above)), colour=colour, width=1, opacity=0.75, clip=pane.rect)
    inside = Shapes(
        polygons=((*below, *reversed(above)),), fill=colour, edge="none", width=0, opacity=0.12, clip=pane.rect
    )
    return [inside, edges]


def volumes(pane: Pane, shown: Sequence[Candle], palette: Palette) -> list[Shape]:
    width = max(min(pane.slot * 0.68, WIDEST_BODY), pane.grain)
    shapes: list[Shape] = []
    for rising, colour in ((True, palette.up), (False, palette.down)):
        rects = tuple(
            Rect(pane.x(place) - width / 2, pane.rect.bottom, pane.x(place) + width / 2, pane.y(candle.volume))
            for place, candle in enumerate(shown)
            if candle.volume > 0 and (candle.close >= candle.open) == rising
        )
        if rects:
            shapes.append(Rects(rects=rects, fill=colour, opacity=0.55))
    return shapes


def across(pane: Pane, value: float, colour: str, sheet: Sheet, dash: tuple[float, float] | None) -> Shape:
    y = pane.snap(pane.y(value))
    return Lines(
        lines=(((pane.rect.left, y), (pane.rect.right, y)),), colour=colour, width=sheet.stroke * 0.75, dash=dash
    )


def breaks(pane: Pane, times: Sequence[int], candle_us: int) -> list[Shape]:
    """Places between candles where time was left out, for a faint line each; none where there are too many of them
    to say anything."""
    usual = candle_us or min((after - before for before, after in pairwise(times)), default=0)
    found = [place for place in range(1, len(times)) if times[place] - times[place - 1] > 4 * usual]
    return [_break(pane, place) for place in found] if len(found) <= BREAKS else []


def _break(pane: Pane, place: int) -> Lines:
    x = pane.snap(pane.x(place - 0.5))
    return Lines(
        lines=(((x, pane.rect.bottom), (x, pane.rect.top)),), colour="#8a93a3", width=0.8, dash=(2, 3), opacity=0.7
    )


def marks(pane: Pane, rang: Sequence[Mark], times: Sequence[int], palette: Palette) -> list[Shape]:
    """A triangle that points at the price where an alert rang: from below on the way up, from above on the way
    down."""
    polygons = []
    for mark in rang:
        if not (times[0] <= mark.time and pane.low <= mark.price <= pane.high):
            continue
        place = max(place for place, time_us in enumerate(times) if time_us <= mark.time)
        x, y, way = pane.x(place), pane.y(mark.price), -1 if mark.rising else 1
        polygons.append(((x, y + way * 1.5), (x - 6, y + way * 11.5), (x + 6, y + way * 11.5)))
    if not polygons:
        return []
    return [Shapes(polygons=tuple(polygons), fill=palette.level, edge=palette.ground, width=1.2)]
