"""Which pieces of the candle ladder hold a span, so that together they say what all of its ticks say. Pure.

A span [start, end) is covered by the coarsest candles that lie whole in it, finer ones toward its edges, and ticks for
the minutes that an edge cuts. Where an edge falls into a candle that has nothing finer below it (ticks that retention
removed, bars that were imported), that candle is taken whole, and the cover says so: it is then wider than the span
that was asked for. A candle that is missing has none below it, since each rung is made from the one below or is all
that was imported. Depends on the ladder and hub.model.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from hub.history.ladder import RUNGS, floor, ladder_of, length_us
from hub.model import MOVES, Candle, Tick, Verdict

TICKS = "ticks"
"""What stands below the finest rung."""

FINEST, COARSEST = next(iter(RUNGS)), next(reversed(RUNGS))
BELOW: dict[str, str] = {coarser: finer for finer, coarser in pairwise((TICKS, *RUNGS))}


class Piece(NamedTuple):
    """What is to be read: the candles of a rung, or ticks, that start in [start, end)."""

    rung: str
    start_us: int
    end_us: int


class Part(NamedTuple):
    """A candle of a cover, and its rung; TICKS for the part of a minute, or one tick of it."""

    rung: str
    candle: Candle


class Cover(NamedTuple):
    """Parts in the order of time, and the span that they cover: the one asked for unless an edge had to be taken
    whole."""

    parts: list[Part]
    start_us: int
    end_us: int


def cover(start_us: int, end_us: int) -> tuple[Piece, ...]:
    """All that has to be read for [start, end), the coarsest first: the coarsest candles that touch it, and of each
    finer rung what lies below a candle that an edge cuts. At most two short reads a rung, however long the span."""
    length = length_us(COARSEST)
    pieces = [Piece(COARSEST, floor(start_us, length), ceil(end_us, length))]
    for rung in reversed(RUNGS):
        length = length_us(rung)
        cut = {floor(edge, length) for edge in (start_us, end_us) if edge % length}
        pieces += [Piece(BELOW[rung], start, start + length) for start in sorted(cut)]
    return tuple(pieces)


def ceil(time_us: int, length: int) -> int:
    return -floor(-time_us, length)


def assemble(candles: Mapping[str, Sequence[Candle]], ticks: Sequence[Tick], start_us: int, end_us: int) -> Cover:
    """The cover of [start, end) from what `cover` said to read: candles by rung and ticks, each by time."""
    minutes: dict[int, list[Tick]] = {}
    for tick in ticks:
        if counts(tick):
            minutes.setdefault(floor(time_of(tick), length_us(FINEST)), []).append(tick)
    parts: list[Part] = []

    def take(rung: str, candle: Candle) -> None:
        first, last = candle.start, candle.start + length_us(rung)
        if last <= start_us or first >= end_us:
            return
        if start_us <= first and last <= end_us:
            parts.append(Part(rung, candle))
        elif rung == FINEST:
            inside = minutes.get(first, [])
            if len(inside) == candle.count:
                parts.extend(of_ticks([tick for tick in inside if start_us <= time_of(tick) < end_us]))
            else:
                parts.append(Part(rung, candle))
        else:
            finer = [one for one in candles.get(BELOW[rung], ()) if first <= one.start < last]
            for one in finer:
                take(BELOW[rung], one)
            if not finer:
                parts.append(Part(rung, candle))

    for candle in candles.get(COARSEST, ()):
        take(COARSEST, candle)
    whole = [(part.candle.start, part.candle.start + length_us(part.rung)) for part in parts if part.rung != TICKS]
    return Cover(parts, min([start_us, *(first for first, _ in whole)]), max([end_us, *(last for _, last in whole)]))


def of_ticks(ticks: Sequence[Tick]) -> list[Part]:
    """The part of a minute as one candle, if there is any of it."""
    ordered = sorted(ticks, key=lambda tick: tick.verdict == Verdict.LATE)
    late = {index for index, tick in enumerate(ordered) if tick.verdict == Verdict.LATE}
    rows = [(time_of(tick), price_of(tick), tick.volume) for tick in ordered]
    return [Part(TICKS, candle) for candle in ladder_of(rows, FINEST, late)]


def one_by_one(ticks: Iterable[Tick]) -> list[Part]:
    """Each tick that counts as a candle of its own."""
    return [
        Part(TICKS, candle)
        for tick in ticks
        if counts(tick)
        for candle in ladder_of([(time_of(tick), price_of(tick), tick.volume)], FINEST)
    ]


def counts(tick: Tick) -> bool:
    """Whether it is in candles: it moved the price, or would have if it had not been late."""
    return tick.verdict < MOVES or tick.verdict == Verdict.LATE


def time_of(tick: Tick) -> int:
    at = tick.received_at if tick.venue_time is None else tick.venue_time
    if at is None:
        raise ValueError(f"a tick of {tick.instrument} in history has no time")
    return at


def price_of(tick: Tick) -> float:
    if tick.price is not None:
        return tick.price
    if tick.bid is None or tick.ask is None:
        raise ValueError(f"a tick of {tick.instrument} in history has no price")
    return (tick.bid + tick.ask) / 2
