"""The gallery: each kind of chart, drawn from real prices. `python -m charts.gallery`, or `make gallery`.

Reads the market data at TOCSIN_DATA, by default shared/data beside this repository; writes docs/gallery/*.png and the
page docs/gallery.md around them. The same data makes the same pictures.
"""

import csv
import gzip
import io
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from charts import combine, paint
from charts.chart import Average, Chart, Colours, Ground, Level, Mark, Series, Theme
from charts.layout import layout
from hub.history.ladder import ladder_of
from hub.model import SECOND_US, Candle, Nature
from hub.units import TROY_OUNCE_G

ROOT = Path(__file__).parent.parent
MINUTE_US = 60 * SECOND_US
HOUR_US, DAY_US = 60 * MINUTE_US, 24 * 60 * MINUTE_US
BROKER = ZoneInfo("Europe/Athens")  # the bars' own time is UTC+2, in summer UTC+3
COLOURS = 96
GROUNDS: tuple[Ground, ...] = ("light", "dark")


class Picture(msgspec.Struct, frozen=True):
    name: str
    caption: str
    chart: Chart


# ------------------------------------------------------------------------------------------ real prices


def moment(text: str, zone: Any = UTC) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * SECOND_US


def bars(path: Path) -> tuple[Candle, ...]:
    """`time,open,high,low,close`, quarters of an hour."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return tuple(_bar(moment(row[0], BROKER), *map(float, row[1:5])) for row in rows)


def days(path: Path) -> tuple[Candle, ...]:
    """`day, bid open, high, low, close, size, ask …`: the middle of the two."""
    return tuple(
        _bar(
            moment(row[0][:8]),
            *((float(row[place]) + float(row[place + 5])) / 2 for place in range(1, 5)),
        )
        for row in _rows(path)
    )


def quotes(path: Path, day: str) -> tuple[Candle, ...]:
    """`ms since midnight UTC, bid, ask` → candles of a minute."""
    begin = moment(day)
    ticks = ((begin + int(float(row[0]) * 1000), (float(row[1]) + float(row[2])) / 2, None) for row in _rows(path))
    return tuple(ladder_of(ticks, "1m"))


def trades(path: Path, day: str, member: str) -> tuple[Candle, ...]:
    """`ms since midnight in New York, price, size, …` → candles of a minute with their volumes."""
    begin = moment(day, ZoneInfo("America/New_York"))
    ticks = ((begin + int(row[0]) * 1000, float(row[1]), float(row[2])) for row in _rows(path, member))
    return tuple(ladder_of(ticks, "1m"))


def _rows(path: Path, member: str = "") -> Iterator[list[str]]:
    with zipfile.ZipFile(path) as archive:
        (name,) = [one for one in archive.namelist() if member in one]
        with archive.open(name) as file:
            yield from csv.reader(io.TextIOWrapper(file))


def _bar(start: int, first: float, high: float, low: float, close: float) -> Candle:
    return Candle(
        start=start, open=first, high=high, low=low, close=close, count=1, sum=close - first,
        sum_squares=(close - first) ** 2,
    )  # fmt: skip


# --------------------------------------------------------------------------------------------- pictures


def pictures(data: Path) -> Iterator[Picture]:
    payrolls = quotes(data / "gold" / "xauusd-oanda-ticks-20140502.zip", "2014-05-02")
    gold, silver, euro, bitcoin = (
        bars(data / place / f"{name}-mt5-m15-2025-2026.csv.gz")
        for place, name in (("gold", "xauusd"), ("silver", "xagusd"), ("fx", "eurusd"), ("crypto", "btcusd"))
    )
    yield from _payrolls(payrolls)
    yield from _kinds(gold, silver, euro, bitcoin)
    yield from _tastes(gold, euro)
    future = trades(data / "gold" / "gc-comex-ticks-20131009.zip", "2013-10-09", "201312")
    span = (moment("2013-10-09T06:00"), moment("2013-10-09T21:00"))
    yield from both(
        "volume", "Volumes below the price: COMEX gold, the December contract, New York time",
        [series("Gold future", future, 10)], span, "9 Oct 2013", volume=True, time_zone="America/New_York",
    )  # fmt: skip
    daily = days(data / "gold" / "xauusd-oanda-daily-2006-2019.zip")
    yield one(
        "years", "Thirteen years on a desktop's width", "light", [series("Gold", daily, 7 * 1440)],
        (daily[0].start, daily[-1].start + DAY_US), "all prices", kind="area", size="desktop",
    )  # fmt: skip


def _payrolls(payrolls: Sequence[Candle]) -> Iterator[Picture]:
    """The day of the American payrolls, with alerts."""
    span = (moment("2014-05-02T06:00"), moment("2014-05-02T21:00"))
    levels = (Level(price=1280.0, rising=False), Level(price=1300.0, rising=True), Level(price=1302.5, rising=True))
    marks = tuple(_crossings(payrolls, levels, span))
    yield from both(
        "candles", "Candles of ten minutes on the day of the US payrolls, 2 May 2014, from 265,015 ticks: three alert "
        "levels, and triangles where they rang", [series("Gold", payrolls, 10)], span, "2 May 2014",
        levels=levels, marks=marks,
    )  # fmt: skip
    many = tuple(Level(price=1262.0 + place * 0.25) for place in range(200))
    yield one(
        "levels", "Two hundred alerts: the nearest are drawn, the others counted", "light",
        [series("Gold", payrolls, 10)], span, "2 May 2014", levels=many, nature=Nature.RECORDING,
    )  # fmt: skip
    yield one(
        "empty", "A span without prices says so, and when there was one", "light", [series("Gold", (), 10)],
        (moment("2014-05-03"), moment("2014-05-04")), "3 May 2014", newest=payrolls[-1].start,
    )  # fmt: skip


def _crossings(candles: Sequence[Candle], levels: Sequence[Level], span: tuple[int, int]) -> Iterator[Mark]:
    """The first close beyond each level in the span."""
    inside = [candle for candle in candles if span[0] <= candle.start < span[1]]
    for level in levels:
        way = 1 if level.rising else -1
        for before, after in pairwise(inside):
            if before.close * way < level.price * way <= after.close * way:
                yield Mark(time=after.start, price=level.price, rising=way > 0)
                break


def _kinds(
    gold: Sequence[Candle], silver: Sequence[Candle], euro: Sequence[Candle], bitcoin: Sequence[Candle]
) -> Iterator[Picture]:
    end = moment("2026-06-12T20:00")
    day, month, year = (end - DAY_US, end), (end - 30 * DAY_US, end), (end - 364 * DAY_US, end)
    yield from both(
        "line", "A line of closes: the euro in dollars", [series("Euro", euro, 15, 5, "")], day, "24 hours", kind="line"
    )
    yield from both(
        "area",
        "An area: bitcoin over 30 days",
        [series("Bitcoin", bitcoin, 120, unit="")],
        month,
        "30 days",
        kind="area",
    )
    yield from both(
        "indicators", "Two moving averages, Bollinger bands and RSI on a desktop's width; weekends take no room",
        [series("Gold", gold, 120)], (end - 14 * DAY_US, end), "14 days", size="desktop",
        averages=(Average(length=10), Average(kind="ema", length=50)), bollinger=20, rsi=14,
    )  # fmt: skip
    yield from both(
        "compare", "Three prices in percent of their common start",
        [series("Gold", gold, 120), series("Silver", silver, 120, 3), series("Bitcoin", bitcoin, 120, unit="")],
        month, "30 days", kind="compare",
    )  # fmt: skip
    yield from both(
        "ratio", "How many ounces of silver one of gold costs, over a year",
        [series("Gold", gold, 1440), series("Silver", silver, 1440, 3)], year, "1 year", kind="ratio",
        averages=(Average(length=50),),
    )  # fmt: skip
    for ground in GROUNDS:
        yield one(
            f"spark-{ground}", "A spark for a table's cell", ground, [series("Gold", gold, 30)], day, "", kind="spark"
        )


def _tastes(gold: Sequence[Candle], euro: Sequence[Candle]) -> Iterator[Picture]:
    end = moment("2026-06-12T20:00")
    day = (end - DAY_US, end)
    for name, colours, caption in TASTES:
        yield one(name, caption, "dark", [series("Gold", gold, 15)], day, "24 hours", colours=colours)
    inside = [candle for candle in gold if day[0] <= candle.start < day[1]]
    rates = combine.rates_at(euro, [candle.start for candle in inside], inverse=True) or []
    grams = combine.scaled(inside, [rate / TROY_OUNCE_G for rate in rates])
    yield one(
        "currency", "In euros by the gram, at each time's own rate, on the clocks of Kolkata", "light",
        [series("Gold", grams, 15, currency="EUR", unit="gram")], day, "24 hours", time_zone="Asia/Kolkata",
    )  # fmt: skip


TASTES: tuple[tuple[str, Colours, str], ...] = (
    ("red-up", "red-up", "Red for what rises, as in East Asia"),
    ("blue-up", "blue-up", "Blue and orange, which every eye tells apart; what rose is hollow in every theme"),
)


def both(
    name: str, caption: str, drawn: list[Series], span: tuple[int, int], label: str, **more: Any
) -> Iterator[Picture]:
    for ground in GROUNDS:
        yield one(f"{name}-{ground}", caption, ground, drawn, span, label, **more)


def one(
    name: str,
    caption: str,
    ground: Ground,
    drawn: list[Series],
    span: tuple[int, int],
    label: str,
    *,
    colours: Colours = "green-up",
    **more: Any,
) -> Picture:
    theme = Theme(ground=ground, colours=colours)
    chart = Chart(series=tuple(drawn), start=span[0], end=span[1], label=label, theme=theme, **more)
    return Picture(name, caption, chart)


def series(
    name: str,
    candles: Iterable[Candle],
    minutes: int,
    decimals: int = 2,
    unit: str = "troy ounce",
    currency: str = "USD",
) -> Series:
    step_us = minutes * MINUTE_US
    return Series(
        name=name,
        candles=combine.merged(candles, step_us),
        decimals=decimals,
        currency=currency,
        unit=unit,
        candle_us=step_us,
    )


# ------------------------------------------------------------------------------------------------- page

HEAD = """\
# Gallery

What the commands `chart`, `compare` and `ratio` draw, from real prices. `make gallery` draws these pictures again;
`charts/gallery.py` says what each is made of. Beside the themes seen here each comes in light and dark, with green or
red for what rises or in blue and orange, for phones (as most of these) and for desktops, in any time zone and currency.
"""
CREDIT = """
## Where the prices come from

| prices | source | licence |
| --- | --- | --- |
| gold, quotes of 2 May 2014 and days of 2006 to 2019 (OANDA); gold future, trades of 9 October 2013 (COMEX) | \
QuantConnect, Lean | Apache-2.0 |
| gold, silver, euro and bitcoin, bars of 15 minutes of 2025 and 2026 | zcrphke, Quanthack | MIT |
"""


def page(made: Sequence[Picture]) -> str:
    """One heading a caption, with its pictures."""
    parts, last = [HEAD], ""
    for picture in made:
        if picture.caption != last:
            parts.append(f"\n## {picture.caption}\n")
            last = picture.caption
        parts.append(f"\n![{picture.name}](gallery/{picture.name}.png)\n")
    return "".join([*parts, CREDIT])


def make(data: Path, docs: Path) -> list[Picture]:
    """Writes the page and its pictures."""
    (docs / "gallery").mkdir(parents=True, exist_ok=True)
    made = list(pictures(data))
    for picture in made:
        content = paint.png(layout(picture.chart, paint.width_of), colours=COLOURS)
        (docs / "gallery" / f"{picture.name}.png").write_bytes(content)
    (docs / "gallery.md").write_text(page(made))
    return made


def data_folder() -> Path:
    return Path(os.environ.get("TOCSIN_DATA") or ROOT.parent / "shared" / "data")


def main() -> int:
    data = data_folder()
    if not data.is_dir():
        print(f"there is no market data at {data}: name its folder in TOCSIN_DATA", file=sys.stderr)
        return 1
    for picture in make(data, ROOT / "docs"):
        size = (ROOT / "docs" / "gallery" / f"{picture.name}.png").stat().st_size
        print(f"{picture.name}.png  {size / 1000:.1f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
