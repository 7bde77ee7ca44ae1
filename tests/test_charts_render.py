"""Pictures, measured: no words run out of one or over each other, whatever is drawn; and something is drawn."""

import itertools
import math
import re
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.text import Text
from PIL import Image

from charts import paint
from charts.chart import Average, Chart, Level, Mark, Series, Theme
from charts.layout import layout
from charts.scene import Scene
from charts.scene import Text as Word
from hub.model import SECOND_US, Candle, Nature

pytestmark = pytest.mark.filterwarnings("ignore:Glyph .* missing from font")

START = 1_398_988_800 * SECOND_US  # 2014-05-02 00:00:00 UTC
M15 = 900 * SECOND_US
KINDS = ("candles", "line", "area", "compare", "ratio")
THEMES = (Theme(), Theme(ground="dark", colours="red-up"), Theme(ground="dark", colours="blue-up"))
SIZES = ("phone", "desktop")


def wave(count: int, price: float = 1300.0, swing: float = 0.01, *, gap_at: int = 0) -> tuple[Candle, ...]:
    """Prices that go up and down like a sine."""
    made, before = [], price
    for place in range(count):
        close = price * (1 + swing * math.sin(place / 5))
        high, low = max(before, close) * (1 + swing / 20), min(before, close) * (1 - swing / 20)
        start = START + (place + (200 if gap_at and place >= gap_at else 0)) * M15
        made.append(
            Candle(
                start=start, open=before, high=high, low=low, close=close, volume=float(place % 7) * 1e5, count=1,
                sum=0.0, sum_squares=0.0,
            )
        )  # fmt: skip
        before = close
    return tuple(made)


def series(name: str = "Gold", candles: tuple[Candle, ...] = (), **more: Any) -> Series:
    values: dict[str, Any] = {"decimals": 2, "currency": "USD", "unit": "troy ounce", "candle_us": M15} | more
    return Series(name=name, candles=candles, **values)


def chart(*drawn: Series, **more: Any) -> Chart:
    last = max((one.candles[-1].start for one in drawn if one.candles), default=START)
    values: dict[str, Any] = {"start": START, "end": last + M15, "label": "24 hours"} | more
    return Chart(series=drawn, **values)


LONG = "Ω" * 30 + " The $\\alpha_{price}$ of <b>everything</b> that was ever {dug} from a mine & sold " * 3
EXTREMES: dict[str, tuple[tuple[Series, Series], dict[str, Any]]] = {
    "usual": ((series("Gold", wave(96)), series("Silver", wave(96, 19.5), decimals=3)), {}),
    "one candle": ((series("Gold", wave(1)), series("Silver", wave(1, 19.5))), {}),
    "two candles": ((series("Gold", wave(2)), series("Silver", wave(2, 19.5))), {}),
    "flat": ((series("Gold", wave(60, swing=0)), series("Silver", wave(60, 19.5, 0))), {}),
    "tiny": ((series("Shiba", wave(60, 1.234e-7), decimals=10), series("Pepe", wave(60, 3e-9), decimals=12)), {}),
    "huge": ((series("Rial", wave(60, 4.5e11)), series("Lira", wave(60, 9e12))), {}),
    "none": ((series("Gold"), series("Silver")), {"newest": START - M15, "end": START + 96 * M15}),
    "dense": ((series("Gold", wave(800)), series("Silver", wave(800, 19.5))), {}),
    "a weekend": ((series("Gold", wave(96, gap_at=40)), series("Silver", wave(96, 19.5, gap_at=40))), {}),
    "long names": (
        (
            series(LONG, wave(96), currency="WWWWWWWWWW", unit="quartermaster's ounce " * 4),
            series(LONG[::-1], wave(96)),
        ),
        {"label": "between the days " * 9, "remark": "in a currency that is " * 9},
    ),
    "other letters": (
        (series("ذهب \u202egold\x1b[31m", wave(96)), series("黄金 золото सोना", wave(96))),
        {"label": "٢٤ ساعة"},
    ),
    "levels": (
        (series("Gold", wave(96)), series("Silver", wave(96))),
        {
            "levels": tuple(Level(price=1290 + place * 0.07) for place in range(300)),
            "marks": tuple(Mark(time=START + place * M15, price=1300, rising=place % 2 == 0) for place in range(96)),
        },
    ),
    "levels at the price": (
        (series("Gold", wave(96)), series("Silver", wave(96))),
        {"levels": tuple(Level(price=wave(96)[-1].close) for _ in range(9))},
    ),
}
ALL: dict[str, Any] = {
    "volume": True,
    "averages": (Average(length=20), Average(kind="ema", length=50), Average(length=200)),
    "bollinger": 20,
    "rsi": 14,
    "nature": Nature.SIMULATED,
}


@cache
def ruler(scale: float) -> RendererAgg:
    return RendererAgg(1, 1, paint.POINTS_PER_INCH * scale)  # type: ignore[no-untyped-call]  # matplotlib's types


def boxes(scene: Scene) -> list[tuple[str, float, float, float, float]]:
    """The words of a picture with where their ink is, in points."""
    found = []
    for text in paint.figure_of(scene).findobj(Text):
        assert isinstance(text, Text)
        if text.get_text():
            box, scale = text.get_window_extent(ruler(scene.scale)), scene.scale
            found.append((text.get_text(), box.x0 / scale, box.y0 / scale, box.x1 / scale, box.y1 / scale))
    return found


def check(asked: Chart) -> Scene:
    """Every word is inside the picture, and no two share a place."""
    scene = layout(asked, paint.width_of)
    words = boxes(scene)
    for text, left, bottom, right, top in words:
        assert left >= 0 and bottom >= 0 and right <= scene.width and top <= scene.height, f"{text!r} runs out"
    for one, other in itertools.combinations(words, 2):
        apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
        assert apart, f"{one[0]!r} and {other[0]!r} cover each other"
    return scene


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXTREMES)
def test_no_word_runs_out_or_covers_another(name: str, kind: str, size: str) -> None:
    """Every kind and size, with and without all there is, on extreme prices and names."""
    drawn, more = EXTREMES[name]
    used = drawn if kind in ("compare", "ratio") else drawn[:1]
    check(chart(*used, kind=kind, size=size, **more))
    check(chart(*used, kind=kind, size=size, **{**more, **ALL}))


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"])
def test_any_time_zone_has_its_own_times(zone: str) -> None:
    """Also those that are off by a quarter of an hour."""
    scene = check(chart(series("Gold", wave(96)), time_zone=zone))
    here = [shape.text for shape in scene.shapes if isinstance(shape, Word)]
    there = [shape.text for shape in check(chart(series("Gold", wave(96)))).shapes if isinstance(shape, Word)]
    assert here != there and zone.rpartition("/")[2].replace("_", " ") in " ".join(here)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=120),
    st.integers(0, 10),
    st.sampled_from(KINDS[:3]),
    st.lists(st.floats(1e-9, 1e12), max_size=30),
)
def test_any_prices_make_a_sound_picture(prices: list[float], decimals: int, kind: str, levels: list[float]) -> None:
    """From a billionth to a trillion in one picture."""
    made = tuple(
        Candle(
            start=START + place * M15, open=price, high=price * 1.01, low=price * 0.99, close=price * 1.005, count=1,
            sum=0.0, sum_squares=0.0,
        )
        for place, price in enumerate(prices)
    )  # fmt: skip
    asked = tuple(Level(price=level) for level in levels)
    check(chart(series("Gold", made, decimals=decimals), kind=kind, levels=asked, bollinger=5))


def test_eight_instruments_with_one_price_keep_their_labels_apart() -> None:
    """Their names too."""
    drawn = [series(f"Instrument number {place}", wave(60, 100 + place)) for place in range(8)]
    check(chart(*drawn, kind="compare"))


def test_a_name_is_never_read_as_mathematics() -> None:
    """A dollar sign, a backslash or a brace is shown as it is."""
    scene = layout(chart(series("$x^2$ \\frac{1}{0} $", wave(9))), paint.width_of)
    figure = paint.figure_of(scene)
    shown = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    assert "$x^2$ \\frac{1}{0} $" in [text.get_text() for text in shown]
    assert not any(text.get_parse_math() for text in shown)


def test_what_steers_a_terminal_or_turns_text_around_is_written_out() -> None:
    """Names come from outside."""
    scene = layout(chart(series("a\u202eb\x1b[2J\nc", wave(9))), paint.width_of)
    names = [shape.text for shape in scene.shapes if isinstance(shape, Word)]
    assert "a\\u202eb\\x1b[2J c" in names


def test_levels_that_are_not_drawn_are_counted() -> None:
    """The nearest are drawn, as many as can be read; where the others are is said."""
    levels = tuple(Level(price=1300 + place) for place in range(-60, 61))
    scene = check(chart(series("Gold", wave(96)), levels=levels))
    told = [shape.text for shape in scene.shapes if isinstance(shape, Word) and "more alert" in shape.text]
    (total, above, below) = map(int, re.findall(r"[0-9]+", told[0]))
    assert total == above + below == 116
    assert abs(above - sum(level.price > wave(96)[-1].close for level in levels)) <= 5
    check(chart(series("Gold", wave(96)), levels=levels[:1]))


def test_an_empty_span_says_when_there_was_a_price() -> None:
    """And no axis pretends that there are any."""
    scene = check(chart(series("Gold"), newest=START - M15, end=START + 96 * M15))
    words = [shape.text for shape in scene.shapes if isinstance(shape, Word)]
    assert "No prices in this span:" in words
    assert "The newest is of 1 May 2014, 23:45." in words
    assert not any(word.replace(",", "").replace(".", "").isdigit() for word in words)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: f"{theme.ground} {theme.colours}")
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_a_png_of_its_size_with_something_in_every_part(kind: str, theme: Theme) -> None:
    """No empty band: each eighth of its height and of its width has more than the ground in it."""
    asked = chart(series("Gold", wave(96)), series("Silver", wave(96, 19.5, 0.013)), kind=kind, theme=theme)
    image = Image.open(BytesIO(paint.png(layout(asked, paint.width_of)))).convert("RGB")
    assert image.size == (1200, 816)
    pixels = np.asarray(image)
    drawn = (pixels != pixels[1, 1]).any(axis=2)
    for part in range(8):
        assert drawn[part * 102 : (part + 1) * 102].sum() > 500
        assert drawn[:, part * 150 : (part + 1) * 150].sum() > 500


def test_candles_show_their_direction_without_colour() -> None:
    """What rose is hollow, what fell is filled: the ground is seen in the middle of the one only."""
    for rising in (True, False):
        price, close = (100.0, 110.0) if rising else (110.0, 100.0)
        made = (Candle(start=START, open=price, high=111, low=99, close=close, count=1, sum=0.0, sum_squares=0.0),)
        image = Image.open(BytesIO(paint.png(layout(chart(series("Gold", made)), paint.width_of)))).convert("RGB")
        width = image.width
        seen = {image.getpixel((x, 400)) for x in range(width // 4, width * 3 // 4)}
        dark = [x for x in range(width // 4, width * 3 // 4) if sum(image.getpixel((x, 400))) < 450]  # type: ignore[arg-type]
        assert len(seen) > 1
        assert (len(dark) < 12) is rising


def test_a_spark_is_tiny_and_has_no_word() -> None:
    """For a cell of a table."""
    asked = chart(series("Gold", wave(60)), kind="spark")
    scene = layout(asked, paint.width_of)
    assert not any(isinstance(shape, Word) for shape in scene.shapes)
    made = paint.png(scene)
    assert Image.open(BytesIO(made)).size == (240, 64)
    assert len(made) < 6_000
    assert layout(chart(series("Gold"), kind="spark"), paint.width_of).shapes == ()


def test_a_palette_makes_a_file_smaller_and_keeps_the_ground() -> None:
    """For pictures that are kept."""
    scene = layout(chart(series("Gold", wave(96)), kind="area"), paint.width_of)
    full, small = paint.png(scene), paint.png(scene, colours=64)
    assert len(small) < len(full) * 0.7
    assert Image.open(BytesIO(small)).convert("RGB").getpixel((1, 1)) == (255, 255, 255)
