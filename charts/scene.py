"""A picture as shapes in points, from the lower left corner up, in the order in which they cover each other.

What stands where is decided here in plain values (charts.layout); charts.paint only carries it out. Depends on msgspec.
"""

from typing import Literal

import msgspec

Point = tuple[float, float]


class Rect(msgspec.Struct, frozen=True):
    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """`x`, `y` is the baseline's start, middle or end; with `middle` y is the middle of the letters' height."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    bold: bool = False
    align: Literal["left", "center", "right"] = "left"
    middle: bool = False


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    lines: tuple[tuple[Point, ...], ...]
    colour: str
    width: float
    dash: tuple[float, float] | None = None
    clip: Rect | None = None
    opacity: float = 1.0


class Rects(msgspec.Struct, frozen=True, kw_only=True):
    rects: tuple[Rect, ...]
    fill: str
    edge: str = ""
    width: float = 0.0
    opacity: float = 1.0
    clip: Rect | None = None


class Fade(msgspec.Struct, frozen=True, kw_only=True):
    """What lies under a line, fading towards `floor`."""

    line: tuple[Point, ...]
    floor: float
    colour: str
    opacity: float


class Shapes(msgspec.Struct, frozen=True, kw_only=True):
    polygons: tuple[tuple[Point, ...], ...]
    fill: str
    edge: str
    width: float = 1.0
    opacity: float = 1.0
    clip: Rect | None = None


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A box with round corners behind a label."""

    rect: Rect
    fill: str
    edge: str


Shape = Text | Lines | Rects | Fade | Shapes | Tag


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    width: float
    height: float
    scale: float  # device pixels a point
    ground: str
    shapes: tuple[Shape, ...]
