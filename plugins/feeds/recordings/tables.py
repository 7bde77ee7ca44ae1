"""Tables of ticks: CSV with a header that names its columns, in any order. Our own export is one of them.

Commas, semicolons and tabs part the cells. MetaTrader's export leaves a bid or ask empty that did not change: the last
one is meant. Depends on the room `facts`.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hub.model import Kind, Tick, Verdict
from hub.plugin import GiveUp
from plugins.feeds.recordings.facts import BROKEN, Facts, Lines, Updates, broken, refused
from plugins.feeds.recordings.times import moment_us

TIMES = {
    "time": "",
    "timestamp": "",
    "datetime": "",
    "date time": "",
    "local time": "",
    "gmt time": "UTC",
    "utc time": "UTC",
    "time (utc)": "UTC",
    "time (gmt)": "UTC",
    "time (eet)": "EET",
    "etc/utc time": "UTC",
}
"""How a column of times is called → the zone that this says."""

PRICES = {
    "price": "price",
    "last": "price",
    "bid": "bid",
    "ask": "ask",
    "volume": "volume",
    "instrument": "instrument",
    "symbol": "instrument",
}


class Columns(msgspec.Struct, frozen=True):
    """Which cell holds what. `at["date"]` is there where date and clock have a column each."""

    delimiter: str
    at: dict[str, int]
    zone: str = ""  # as the header says
    carries: bool = False  # an empty bid or ask is the last one

    def cells(self, line: bytes) -> list[str]:
        text = line.decode("utf-8-sig").rstrip("\r\n")
        return next(csv.reader([text], delimiter=self.delimiter), []) if '"' in text else text.split(self.delimiter)

    def time(self, row: Sequence[str]) -> str:
        text = row[self.at["time"]].strip()
        return f"{row[self.at['date']].strip()} {text}" if "date" in self.at else text


def columns(header: bytes, known: Mapping[str, str]) -> Columns:
    """The columns of a header whose names are known; the first of two of one name."""
    text = header.decode("utf-8-sig", errors="replace").strip().lower()
    delimiter = max(",;\t", key=text.count)
    at: dict[str, int] = {}
    zone = ""
    for index, cell in enumerate(next(csv.reader([text], delimiter=delimiter), [])):
        name = cell.strip().strip("<>").strip()
        if name in TIMES:
            at.setdefault("time", index)
            zone = zone or TIMES[name]
        elif name == "date":
            at.setdefault("date", index)
        elif name in known:
            at.setdefault(known[name], index)
    return Columns(delimiter, at, zone, carries="<" in text)


def columns_of(header: bytes) -> Columns | None:
    """None if this is no header of a table of ticks."""
    found = columns(header, PRICES)
    priced = "price" in found.at or {"bid", "ask"} <= found.at.keys()
    return found if "time" in found.at and priced else None


def table(lines: Lines, facts: Facts) -> Updates:
    """Any CSV with a header that names its columns. A row with a price and with a bid and an ask is a trade
    and a quote."""
    rows = iter(lines)
    known = columns_of(next(rows, (1, b""))[1])
    if known is None:
        raise GiveUp(f"{facts.name} needs a header line with time, and price or bid and ask")
    zone, instrument_of = facts.zone(known.zone or "UTC"), facts.instrument_of()
    only = "" if "instrument" in known.at else facts.only_instrument()
    sides: dict[str, str] = {}
    for number, line in rows:
        try:
            row = known.cells(line)
            cell = {name: row[index].strip() for name, index in known.at.items()}
            at = moment_us(known.time(row), zone)
            instrument = only or instrument_of(cell["instrument"])
            if instrument is None:
                yield refused("unknown symbol", number, line)
                continue
            if known.carries:
                _carry(cell, sides)
            ticks = list(_row(cell, instrument, at, facts.source, number))
        except BROKEN:
            ticks = []
        if ticks:
            yield from ticks
        else:
            yield from broken(number, line)


def _carry(cell: dict[str, str], sides: dict[str, str]) -> None:
    changed = bool(cell.get("bid") or cell.get("ask"))
    for side in ("bid", "ask"):
        if cell.get(side):
            sides[side] = cell[side]
        elif changed and side in sides:
            cell[side] = sides[side]


def _row(cell: Mapping[str, str], instrument: str, at: int, source: str, number: int) -> Iterator[Tick]:
    price, bid, ask = cell.get("price"), cell.get("bid"), cell.get("ask")
    if price:
        volume = cell.get("volume")
        yield Tick(
            instrument=instrument, kind=Kind.TRADE, price=float(price), volume=float(volume) if volume else None,
            venue_time=at, received_at=at, source=source, number=number,
        )  # fmt: skip
    if bid and ask:
        yield Tick(
            instrument=instrument, kind=Kind.QUOTE, bid=float(bid), ask=float(ask),
            venue_time=at, received_at=at, source=source, number=number,
        )  # fmt: skip


# --------------------------------------------------------------------------------------------- our own

OWN = ("time", "received_at", "instrument", "kind", "price", "bid", "ask", "volume", "source", "verdict")
OWN_HEADER = ",".join(OWN)
KINDS = {"trade": Kind.TRADE, "quote": Kind.QUOTE}
VERDICTS = {verdict.name.lower(): verdict for verdict in Verdict}


def own_table(lines: Lines, facts: Facts) -> Updates:
    """What `tocsin export` writes: `time` is the venue's, and empty where it stamped none."""
    instrument_of = facts.instrument_of()
    ids: dict[str, str | None] = {}
    for number, line in lines:
        if number == 1:
            continue
        try:
            time, received, name, kind, price, bid, ask, volume, _, verdict = line.decode().rstrip("\r\n").split(",")
            if name not in ids:
                ids[name] = instrument_of(name)
            if (instrument := ids[name]) is None:
                yield refused("unknown symbol", number, line)
                continue
            yield Tick(
                instrument=instrument,
                kind=KINDS[kind],
                price=float(price),
                bid=float(bid) if bid else None,
                ask=float(ask) if ask else None,
                volume=float(volume) if volume else None,
                venue_time=moment_us(time) if time else None,
                received_at=moment_us(received),
                source=facts.source,
                number=number,
                verdict=VERDICTS[verdict] if facts.verdicts else Verdict.PRICE,
            )
        except (*BROKEN, KeyError):
            yield from broken(number, line)
