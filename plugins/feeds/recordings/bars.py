"""The formats of bars, a function each: numbered lines → bars, and a Refused for a line that holds none.

A bar counts as its four prices; one of our own export as what it counted. Its start is what the file states, whatever
its length. Depends on the room `tables` for headers.
"""

import re
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from hub.model import Candle
from hub.normalize import bar_of
from hub.plugin import Bar, GiveUp
from plugins.feeds.recordings.facts import BROKEN, Bars, Facts, Lines, broken, refused
from plugins.feeds.recordings.formats import EXPIRY, HISTDATA_ZONE
from plugins.feeds.recordings.tables import Columns, columns
from plugins.feeds.recordings.times import hours_of, moment_us

HOUR_MS = 3_600_000
IMPOSSIBLE = "impossible bar"
PRICES = ("open", "high", "low", "close")


# ------------------------------------------------------------------------------------------ with a header

NAMES = {
    **{name: name for name in PRICES},
    "instrument": "instrument",
    "symbol": "instrument",
    "volume": "volume",
    "vol": "volume",
    "tickvol": "ticks",
    "rung": "rung",
    "count": "count",
    "sum": "sum",
    "sum_squares": "sum_squares",
}
OWN = ("time", "instrument", "rung", *PRICES, "volume", "count", "sum", "sum_squares")
OWN_HEADER = ",".join(OWN)


def bar_columns(header: bytes) -> Columns | None:
    """None if this is no header of a table of bars."""
    found = columns(header, NAMES)
    if "time" not in found.at and "date" in found.at:  # a day is a time too, where it stands alone
        found.at["time"] = found.at.pop("date")
    return found if {"time", *PRICES} <= found.at.keys() else None


def table(lines: Lines, facts: Facts) -> Bars:
    rows = iter(lines)
    known = bar_columns(next(rows, (1, b""))[1])
    if known is None:
        raise GiveUp(f"{facts.name} needs a header line with time, open, high, low and close")
    zone, instrument_of = facts.zone(known.zone or "UTC"), facts.instrument_of()
    only = "" if "instrument" in known.at else facts.only_instrument()
    exact = {"count", "sum", "sum_squares"} <= known.at.keys()
    places = [known.at[name] for name in PRICES]
    volume_at = known.at.get("volume")
    for number, line in rows:
        try:
            row = known.cells(line)
            start = moment_us(known.time(row), zone)
            instrument = only or instrument_of(row[known.at["instrument"]].strip())
            volume = row[volume_at].strip() if volume_at is not None else ""
            candle = bar_of(start, [float(row[at]) for at in places], float(volume or 0.0))
            if candle and exact:
                candle = _exact(candle, row, known.at)
        except BROKEN:
            yield from broken(number, line)
            continue
        if instrument is None:
            yield refused("unknown symbol", number, line)
        elif candle is None:
            yield refused(IMPOSSIBLE, number, line)
        else:
            yield Bar(instrument=instrument, candle=candle, number=number)


def _exact(candle: Candle, row: Sequence[str], at: dict[str, int]) -> Candle | None:
    count = int(row[at["count"]])
    if count < 1:
        return None
    return msgspec.structs.replace(
        candle, count=count, sum=float(row[at["sum"]]), sum_squares=float(row[at["sum_squares"]])
    )


class OwnBar(msgspec.Struct, frozen=True, kw_only=True):
    """A line of our own export as JSON."""

    instrument: str
    rung: str
    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    count: int
    sum: float
    sum_squares: float


def own_json(lines: Lines, facts: Facts) -> Bars:
    instrument_of = facts.instrument_of()
    decode = msgspec.json.Decoder(OwnBar).decode
    for number, line in lines:
        try:
            one = decode(line)
        except BROKEN:
            yield from broken(number, line)
            continue
        instrument = instrument_of(one.instrument)
        candle = bar_of(one.start, (one.open, one.high, one.low, one.close), one.volume)
        if instrument is None or candle is None or one.count < 1:
            yield refused("unknown symbol" if instrument is None else IMPOSSIBLE, number, line)
            continue
        exact = msgspec.structs.replace(candle, count=one.count, sum=one.sum, sum_squares=one.sum_squares)
        yield Bar(instrument=instrument, candle=exact, number=number)


def price_columns(header: bytes) -> Columns | None:
    """None if this is no header of a list of prices, each of a day or a month."""
    found = columns(header, {"price": "price", "close": "price", "value": "price", "rate": "price"})
    return found if found.at.keys() == {"date", "price"} else None


def prices(lines: Lines, facts: Facts) -> Bars:
    """A price for a day or a month is a bar that did not move."""
    rows = iter(lines)
    known = price_columns(next(rows, (1, b""))[1])
    if known is None:
        raise GiveUp(f"{facts.name} needs a header line with date and price")
    instrument = facts.only_instrument()
    for number, line in rows:
        try:
            row = known.cells(line)
            price = float(row[known.at["price"]])
            candle = bar_of(moment_us(row[known.at["date"]].strip()), (price,) * 4)
        except BROKEN:
            yield from broken(number, line)
            continue
        one = candle and msgspec.structs.replace(candle, count=1)
        yield Bar(instrument=instrument, candle=one, number=number) if one else refused(IMPOSSIBLE, number, line)


# --------------------------------------------------------------------------------------- without a header

Cut = Callable[[list[bytes]], tuple[int, Sequence[float], float]]
"""The cells of a line → the start, the four prices, the volume."""


def _plain(lines: Lines, facts: Facts, delimiter: bytes, cut: Cut) -> Bars:
    instrument = facts.only_instrument()
    for number, line in lines:
        try:
            start, four, volume = cut(line.rstrip().split(delimiter))
            candle = bar_of(start, four, volume)
        except BROKEN:
            yield from broken(number, line)
            continue
        yield (
            Bar(instrument=instrument, candle=candle, number=number) if candle else refused(IMPOSSIBLE, number, line)
        )  # fmt: skip


def metatrader4(lines: Lines, facts: Facts) -> Bars:
    zone = facts.zone("UTC")

    def cut(cells: list[bytes]) -> tuple[int, Sequence[float], float]:
        start = moment_us(f"{cells[0].decode()} {cells[1].decode()}", zone)
        return start, [float(cell) for cell in cells[2:6]], 0.0  # the last cell counts ticks

    return _plain(lines, facts, b",", cut)


def histdata(lines: Lines, facts: Facts) -> Bars:
    zone = facts.zone(HISTDATA_ZONE)

    def cut(cells: list[bytes]) -> tuple[int, Sequence[float], float]:
        return moment_us(cells[0].decode(), zone), [float(cell) for cell in cells[1:5]], float(cells[5])

    return _plain(lines, facts, b";", cut)


QUOTE_BAR = 11
"""Columns of Lean's quote bars: time, then open, high, low, close and size of bid and ask."""
LOOKED_AT = 50  # lines, for how prices are written
SCALE = 10_000.0


def lean(lines: Lines, facts: Facts) -> Bars:
    """Lean's bars of trades, and of quotes by their mids. Stocks are in New York and have their prices times 10,000,
    which whole numbers throughout tell."""
    rows = iter(lines)
    first = list(islice(rows, LOOKED_AT))
    cells = first[0][1].rstrip().split(b",") if first else []
    scale = SCALE if _scaled(first, facts.name) else 1.0
    zone = facts.zone("America/New_York" if scale != 1.0 else "UTC")
    start_of = _dated(zone) if cells and b" " in cells[0] else _of_day(facts, zone)

    def cut(cells: list[bytes]) -> tuple[int, Sequence[float], float]:
        start = start_of(cells[0])
        if len(cells) == QUOTE_BAR:
            pairs = zip(cells[1:5], cells[6:10], strict=True)
            return start, [(float(bid) + float(ask)) / 2 for bid, ask in pairs], 0.0
        return start, [float(cell) / scale for cell in cells[1:5]], float(cells[5])

    return _plain(chain(first, rows), facts, b",", cut)


def _scaled(lines: Sequence[tuple[int, bytes]], name: str) -> bool:
    cells = [cell for _, line in lines for cell in line.split(b",")[1:5]]
    bars = all(len(line.split(b",")) == 6 for _, line in lines)
    return bars and not EXPIRY.search(name) and all(cell.isdigit() and int(cell) >= SCALE / 10 for cell in cells)


def _dated(zone: Any) -> Callable[[bytes], int]:
    return lambda cell: moment_us(cell.decode(), zone)


def _of_day(facts: Facts, zone: Any) -> Callable[[bytes], int]:
    hours = hours_of(facts.day(), zone)

    def start_of(cell: bytes) -> int:
        ms = float(cell)
        if ms < 0:
            raise ValueError(ms)
        return hours[int(ms) // HOUR_MS] + round(ms * 1000)

    return start_of


# ------------------------------------------------------------------------------------------- recognising

_PLAIN_BARS = re.compile(rb"[-+0-9.]+")


def recognise_bars(name: str, first: bytes) -> str:
    """The format of bars by the member's name and the first line; "" for none."""
    cells = first.split(b",")
    if first.startswith(b"{") and b'"rung"' in first:
        return "tocsin-bars"
    if re.match(rb"\d{4}\.\d\d\.\d\d,\d\d:\d\d,", first) and len(cells) >= 6:
        return "mt4"
    if re.match(rb"\d{8} \d{6};", first) and first.count(b";") == 5:
        return "histdata-bars"
    if re.search(r"_(minute|hour|second|daily)_", name, re.IGNORECASE) and _PLAIN_BARS.match(first):
        return "lean-bars"
    if re.match(rb"\d{8} \d\d:\d\d,", first) and len(cells) in (6, QUOTE_BAR):
        return "lean-bars"
    if len(cells) == QUOTE_BAR and _PLAIN_BARS.fullmatch(cells[0]):
        return "lean-bars"
    if bar_columns(first) is not None:
        return "bars"
    return "prices" if price_columns(first) is not None else ""


BARS: dict[str, Callable[[Lines, Facts], Bars]] = {
    "bars": table,
    "prices": prices,
    "mt4": metatrader4,
    "histdata-bars": histdata,
    "lean-bars": lean,
    "tocsin-bars": own_json,
}
