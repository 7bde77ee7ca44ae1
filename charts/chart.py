"""What is to be drawn, as plain values: all that a picture depends on, so that equal charts are equal pictures.

Prices are in each series' own currency for one of its unit; whoever asks has converted them (charts.combine).
Depends on hub.model and msgspec; matplotlib is imported by the worker only.
"""

from typing import Literal

import msgspec

from hub.model import Candle, Nature
from hub.plugin import BadRequest

Kind = Literal["candles", "line", "area", "compare", "ratio", "spark"]
Size = Literal["phone", "desktop"]
Ground = Literal["light", "dark"]
Colours = Literal["green-up", "red-up", "blue-up"]


class Drawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all parts of a chart are."""


class Series(Drawn, frozen=True, kw_only=True):
    """One instrument's candles in order of time. `candle_us` is the length of one; 0: not known."""

    name: str
    candles: tuple[Candle, ...] = ()
    decimals: int = 2
    currency: str = ""
    unit: str = ""
    candle_us: int = 0


class Level(Drawn, frozen=True, kw_only=True):
    """An alert's level, drawn as a line across with its price at the right edge."""

    price: float
    rising: bool | None = None  # rings on the way up, down, or (None) both


class Mark(Drawn, frozen=True, kw_only=True):
    """Where an alert rang."""

    time: int
    price: float
    rising: bool


class Average(Drawn, frozen=True, kw_only=True):
    """A moving average of closes over `length` candles."""

    kind: Literal["sma", "ema"] = "sma"
    length: int = 20


class Theme(Drawn, frozen=True, kw_only=True):
    """`green-up` and `red-up` are the two tastes; `blue-up` (blue and orange) suits every eye. In each of them a
    candle that rose is hollow and one that fell is filled."""

    ground: Ground = "light"
    colours: Colours = "green-up"


class Chart(Drawn, frozen=True, kw_only=True):
    """`compare` draws all series in percent of their common start, `ratio` the first over the second, `spark` a tiny
    line of the first without a word; the others draw the first. Times are microseconds UTC."""

    kind: Kind = "candles"
    series: tuple[Series, ...]
    start: int
    end: int
    label: str = ""  # the span in words: "24 h"
    time_zone: str = "UTC"
    theme: Theme = Theme()
    size: Size = "phone"
    volume: bool = False
    averages: tuple[Average, ...] = ()
    bollinger: int = 0  # candles in the band's window; 0: no band
    rsi: int = 0  # candles in its window; 0: no pane
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    nature: Nature = Nature.LIVE
    remark: str = ""  # a short one in the picture: "in euros at today's rate"
    newest: int | None = None  # the time of the newest price there is, told where the span holds none


def theme_of(text: str) -> Theme:
    """Of `charts.theme` in the configuration and of a person: "dark", "light red-up", "dark blue-up", in any order."""
    ground: Ground = "light"
    colours: Colours = "green-up"
    for word in text.casefold().replace(",", " ").split():
        match word:
            case "light" | "dark":
                ground = word
            case "green-up" | "red-up" | "blue-up":
                colours = word
            case _:
                raise BadRequest(f'"{word[:20]}" is no theme: write light or dark, and red-up, green-up or blue-up')
    return Theme(ground=ground, colours=colours)
