"""The labels at the right edge: the last price, alert levels, what several lines came to; and the axis's numbers.

Labels that would cover each other are moved apart, each with a thin line to its place; a number of the axis gives way
to a label. Pure.
"""

from collections.abc import Sequence

import msgspec

from charts import scales
from charts.header import Width
from charts.panes import Pane
from charts.scene import Lines, Rect, Shape, Tag, Text
from charts.theme import Palette, Sheet

TAG_PAD = 4.0
LEADER = 7.0


class Label(msgspec.Struct, frozen=True):
    value: float
    text: str
    colour: str
    filled: bool


def height(sheet: Sheet) -> float:
    return sheet.axis * 1.4


def axis(pane: Pane, sheet: Sheet) -> tuple[list[float], int]:
    """The values that have a grid line, and their decimals."""
    return scales.ticks(pane.low, pane.high, max(2, int(pane.rect.height / (sheet.axis * 2.6))))


def room(labels: Sequence[str], sheet: Sheet, width: Width) -> float:
    """The width of the margin that holds the widest of these."""
    widest = max((width(text, sheet.axis, False) for text in labels), default=0.0)
    return LEADER + widest + 2 * TAG_PAD


def draw(
    pane: Pane,
    labels: Sequence[Label],
    numbers: Sequence[tuple[float, str]],
    palette: Palette,
    sheet: Sheet,
    width: Width,
    right: float,
) -> list[Shape]:
    """Between the pane and `right`."""
    tall = height(sheet)
    most = max(1, int(pane.rect.height // tall))
    labels = labels[:most]
    wanted = [pane.y(label.value) for label in labels]
    placed = scales.spread(wanted, [tall] * len(labels), pane.rect.bottom, pane.rect.top)
    shapes: list[Shape] = []
    for label, own, y in zip(labels, wanted, placed, strict=True):
        shapes += _label(pane, label, own, y, palette, sheet, right)
    for value, text in numbers:
        y = pane.y(value)
        free = all(abs(y - other) > tall * 0.95 for other in placed)
        if free and pane.rect.bottom + sheet.axis * 0.5 <= y <= pane.rect.top - sheet.axis * 0.2:
            shapes.append(_number(pane, text, y, palette.muted, sheet))
    return shapes


def _number(pane: Pane, text: str, y: float, colour: str, sheet: Sheet) -> Text:
    return Text(x=pane.rect.right + LEADER + TAG_PAD, y=y, text=text, size=sheet.axis, colour=colour, middle=True)


def _label(pane: Pane, label: Label, own: float, y: float, palette: Palette, sheet: Sheet, right: float) -> list[Shape]:
    left, half = pane.rect.right + LEADER, height(sheet) / 2 - 0.8
    leader = Lines(lines=(((pane.rect.right, own), (left, y)),), colour=label.colour, width=1)
    box = Rect(left, y - half, right, y + half)
    tag = Tag(rect=box, fill=label.colour if label.filled else palette.ground, edge=label.colour)
    colour = palette.on_colour if label.filled else label.colour
    return [leader, tag, _number(pane, label.text, y, colour, sheet)]
