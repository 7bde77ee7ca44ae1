"""Rows as a store returns them → ticks and candles, the same for every store. Pure; depends on hub.model."""

from collections.abc import Iterable, Sequence
from typing import Any

from hub.model import Candle, Kind, Tick, Verdict

KINDS = tuple(Kind)
VERDICTS = tuple(Verdict)


def tick(row: Sequence[Any]) -> Tick:
    time, lag, kind, price, bid, ask, volume, source, number, verdict, instrument, *_ = row
    return Tick(
        instrument=instrument,
        kind=KINDS[kind],
        price=price,
        bid=bid,
        ask=ask,
        volume=volume,
        venue_time=None if lag is None else time,
        received_at=time + (lag or 0),
        source=source,
        number=number,
        verdict=VERDICTS[verdict],
    )


def candle(row: Sequence[Any]) -> Candle:
    start, first, high, low, close, volume, count, total, squares = row
    return Candle(
        start=start, open=first, high=high, low=low, close=close, volume=volume, count=count, sum=total,
        sum_squares=squares,
    )  # fmt: skip


def on_day(found: Sequence[Candle], today: int) -> tuple[Candle | None, Candle | None]:
    """The candle that starts at `today` and the newest before it, among the newest two, the newest first."""
    this = found[0] if found and found[0].start == today else None
    before = [one for one in found if one.start < today]
    return this, before[0] if before else None


def nested(rows: Iterable[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    tree: dict[str, dict[str, int]] = {}
    for outer, inner, number in rows:
        tree.setdefault(outer, {})[inner] = number
    return tree
