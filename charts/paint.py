"""A scene → a PNG, by matplotlib's Figure and Agg: no pyplot, no state that outlives a picture but the fonts.

Text is drawn as text: nothing in a name is taken for mathematics or markup. Depends on matplotlib (an import of half a
second and 56 MiB, which is why only the worker has it).
"""

import warnings
from functools import cache, lru_cache
from io import BytesIO

from matplotlib import colors
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.patches import FancyBboxPatch, Polygon
from matplotlib.text import Text as DrawnText
from matplotlib.transforms import Affine2D, Bbox, Transform, TransformedBbox
from PIL import Image

from charts.scene import Fade, Lines, Point, Rect, Rects, Scene, Shape, Shapes, Tag, Text

POINTS_PER_INCH = 72.0
FADE_STEPS = 24
WIDER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans", "Microsoft YaHei",
    "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji",
)  # fmt: skip
"""Asked for the letters that matplotlib's own font lacks, where the machine has one of them."""


@cache
def _fonts() -> list[str]:
    there = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in WIDER_FONTS if name in there)]


@cache
def _font(size: float, bold: bool) -> FontProperties:
    return FontProperties(family=_fonts(), size=size, weight="bold" if bold else "normal")


@cache
def _ruler() -> RendererAgg:
    return RendererAgg(16, 16, POINTS_PER_INCH * 4)  # type: ignore[no-untyped-call]  # matplotlib types it in part


@lru_cache(maxsize=4096)
def width_of(text: str, size: float, bold: bool = False) -> float:
    """In points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a glyph that no font here has: it is drawn as a box
        measured = _ruler().get_text_width_height_descent(text, _font(size, bold), False)  # type: ignore[no-untyped-call]
    return float(measured[0]) / 4


def png(scene: Scene, colours: int = 0) -> bytes:
    """In full colour, or with a palette of so many colours, which halves the file and takes as long again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        canvas = FigureCanvasAgg(figure_of(scene))
        canvas.draw()  # type: ignore[no-untyped-call]
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    image = Image.frombuffer("RGBA", canvas.get_width_height(), pixels, "raw", "RGBA", 0, 1).convert("RGB")
    if colours:
        image = image.quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    file = BytesIO()
    image.save(file, "png", compress_level=9 if colours else 3)
    return file.getvalue()


def figure_of(scene: Scene) -> Figure:
    figure = Figure(
        figsize=(scene.width / POINTS_PER_INCH, scene.height / POINTS_PER_INCH),
        dpi=POINTS_PER_INCH * scene.scale,
        facecolor=scene.ground,
    )
    points = Affine2D().scale(scene.scale)
    for order, shape in enumerate(scene.shapes):
        for artist in _artists(shape, points):
            artist.set_zorder(order)
            figure.add_artist(artist)
    return figure


def _artists(shape: Shape, points: Transform) -> list[Artist]:
    match shape:
        case Text():
            return [_text(shape, points)]
        case Lines():
            return [_lines(shape, points)]
        case Rects():
            corners = [_corners(rect) for rect in shape.rects]
            edge = shape.edge or "none"
            return [_polygons(corners, shape.fill, edge, shape.width, shape.opacity, shape.clip, points)]
        case Shapes():
            polygons = [list(polygon) for polygon in shape.polygons]
            return [_polygons(polygons, shape.fill, shape.edge, shape.width, shape.opacity, shape.clip, points)]
        case Fade():
            return _fade(shape, points)
        case Tag():
            return [_tag(shape, points)]


def _text(shape: Text, points: Transform) -> Artist:
    return DrawnText(
        shape.x,
        shape.y,
        shape.text,
        color=shape.colour,
        fontproperties=_font(shape.size, shape.bold),
        horizontalalignment=shape.align,
        verticalalignment="center_baseline" if shape.middle else "baseline",
        parse_math=False,
        transform=points,
    )


def _lines(shape: Lines, points: Transform) -> Artist:
    lines = LineCollection(
        [list(line) for line in shape.lines],
        colors=[colors.to_rgba(shape.colour, shape.opacity)],
        linewidths=shape.width,
        linestyles="solid" if shape.dash is None else [(0.0, shape.dash)],
        capstyle="round" if shape.dash is None else "butt",
        joinstyle="round",
        transform=points,
    )
    _clip(lines, shape.clip, points)
    return lines


def _polygons(
    polygons: list[list[Point]],
    fill: str,
    edge: str,
    width: float,
    opacity: float,
    clip: Rect | None,
    points: Transform,
) -> Artist:
    drawn = PolyCollection(
        polygons,
        facecolors=[colors.to_rgba(fill, opacity)],
        edgecolors="none" if edge == "none" else [colors.to_rgba(edge)],
        linewidths=width,
        transform=points,
    )
    _clip(drawn, clip, points)
    return drawn


def _fade(shape: Fade, points: Transform) -> list[Artist]:
    """Bands of growing opacity, clipped to what lies under the line."""
    first, last = shape.line[0], shape.line[-1]
    under = Polygon([*shape.line, (last[0], shape.floor), (first[0], shape.floor)], transform=points)
    top = max(y for _, y in shape.line)
    step = (top - shape.floor) / FADE_STEPS
    bands = [
        _corners(Rect(first[0], shape.floor + index * step, last[0], shape.floor + (index + 1) * step))
        for index in range(FADE_STEPS)
    ]
    shades = [colors.to_rgba(shape.colour, shape.opacity * (index + 1) / FADE_STEPS) for index in range(FADE_STEPS)]
    drawn = PolyCollection(bands, facecolors=shades, edgecolors="none", antialiaseds=False, transform=points)
    drawn.set_clip_path(under)
    return [drawn]


def _tag(shape: Tag, points: Transform) -> Artist:
    rect = shape.rect
    return FancyBboxPatch(
        (rect.left, rect.bottom),
        rect.width,
        rect.height,
        boxstyle="round,pad=0,rounding_size=3",
        facecolor=shape.fill,
        edgecolor=shape.edge,
        linewidth=1,
        transform=points,
    )


def _corners(rect: Rect) -> list[Point]:
    return [(rect.left, rect.bottom), (rect.right, rect.bottom), (rect.right, rect.top), (rect.left, rect.top)]


def _clip(artist: Artist, clip: Rect | None, points: Transform) -> None:
    if clip is not None:
        artist.set_clip_box(TransformedBbox(Bbox.from_extents(clip.left, clip.bottom, clip.right, clip.top), points))
