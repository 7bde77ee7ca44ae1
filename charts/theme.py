"""Colours and sizes of a picture. Pure.

Up and down differ in lightness as well as in hue, and a candle that rose is hollow where there is room to see it. The
colours of several lines are those of Okabe and Ito (2008), which people with any colour vision tell apart.
"""

import msgspec

from charts.chart import Size, Theme


class Palette(msgspec.Struct, frozen=True, kw_only=True):
    ground: str
    text: str
    muted: str
    grid: str
    frame: str
    up: str
    down: str
    still: str  # of a price that did not move
    accent: str  # of a line that has no direction
    level: str
    remark: str  # of what makes a price doubtful
    on_colour: str  # text on a label that is filled
    lines: tuple[str, ...]


LINES_LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b98500", "#2f9bd6", "#6b4fbb", "#5a6473")
LINES_DARK = ("#56b4e9", "#e69f00", "#2ec4a0", "#cc79a7", "#f0e442", "#d9793b", "#a892ee", "#aeb7c4")

LIGHT = Palette(
    ground="#ffffff", text="#131722", muted="#5d6472", grid="#e9ecf1", frame="#d3d8e0", up="#0b9a77", down="#c62d42",
    still="#5d6472", accent="#1f66d1", level="#7a3fb0", remark="#a45a00", on_colour="#ffffff", lines=LINES_LIGHT,
)  # fmt: skip
DARK = Palette(
    ground="#12161f", text="#eceff4", muted="#97a1b1", grid="#222938", frame="#323b4d", up="#2fd3a5", down="#f0506a",
    still="#97a1b1", accent="#6aa9ff", level="#c79bff", remark="#ffb44c", on_colour="#0b0e14", lines=LINES_DARK,
)  # fmt: skip
BLUE_UP = {"light": ("#2f7fd6", "#a84300"), "dark": ("#7cc0ff", "#e0762a")}


def palette(theme: Theme) -> Palette:
    base = DARK if theme.ground == "dark" else LIGHT
    match theme.colours:
        case "red-up":
            return msgspec.structs.replace(base, up=base.down, down=base.up)
        case "blue-up":
            up, down = BLUE_UP[theme.ground]
            return msgspec.structs.replace(base, up=up, down=down)
        case _:
            return base


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths are in points; `scale` device pixels make one. Seen 350 points wide, as in a chat bubble, the phone's
    letters are still about ten points high."""

    width: float
    height: float
    scale: float
    name: float  # sizes of letters
    price: float
    change: float
    small: float
    axis: float
    pad: float
    levels: int  # so many at most
    stroke: float


PHONE = Sheet(
    width=500, height=340, scale=2.4, name=18, price=22, change=15, small=12, axis=12.5, pad=12, levels=5, stroke=1.8
)
DESKTOP = Sheet(
    width=1000, height=560, scale=1.6, name=19, price=23, change=16, small=12.5, axis=12.5, pad=16, levels=12,
    stroke=1.5,
)  # fmt: skip
SPARK = Sheet(width=120, height=32, scale=2, name=0, price=0, change=0, small=0, axis=0, pad=2, levels=0, stroke=1.5)


def sheet(size: Size) -> Sheet:
    return DESKTOP if size == "desktop" else PHONE
