"""Prices of the past, as `fill` and `fill_candles` put them under what was recorded. Pure: what every store shares.

A minute belongs to whoever made its 1m candle: nobody yet, the source that filled it, or RECORDED (the recorder, or a
bar that was given). Only its owner's ticks count in it; what others say of it is kept as STANDBY. So a store does, in
one transaction:

    owners = who made the 1m candles in minutes(frames)         # it keeps the filling source beside each 1m candle
    settled = settle(frames, owners)
    the ticks of settled.frames, counted on in the position; their marks, refusals and finished, as `append` does
    1m: aggregate them as `append` does, merge into the candle that is there, its owner is settled.owners[minute]
    for finer, coarser in steps_above("1m"): of every interval that was touched and holds no bar,
        (candle,) = above(its candles on the finer rung in the order of time, coarser)

When the recorder adds to a minute that was filled, the minute is RECORDED from then on. A bar that was given stays a
bar on its rung for ever: nothing that is filled later changes it, while the recorder's ticks are merged into it.
Depends on hub.frame and hub.history's ladder.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

import msgspec

from hub.frame import Frame
from hub.history.ladder import MINUTE_US, RUNGS, floor, length_us, merge
from hub.model import MOVES, Candle, Verdict

Minute = tuple[str, int]
"""An instrument's id and the start of the minute."""

RECORDED = ""
"""The owner of minutes that no source filled. (A source has a name.)"""


class Settled(NamedTuple):
    frames: list[Frame]
    owners: dict[Minute, str]  # of the minutes that ticks of the frames count in


def minutes(frames: Iterable[Frame]) -> set[Minute]:
    """Those that ticks of the frames would count in."""
    return {(frame.instruments[instrument], start) for frame in frames for _, instrument, start in _spoken(frame)}


def settle(frames: Sequence[Frame], owners: Mapping[Minute, str]) -> Settled:
    """The frames with the verdict STANDBY wherever a tick would count in a minute of another owner. A minute that is
    nobody's becomes that of the first source that has a tick in it."""
    known = dict(owners)
    settled: list[Frame] = []
    touched: dict[Minute, str] = {}
    for frame in frames:
        strangers: set[tuple[int, int, int]] = set()
        for source, instrument, start in _spoken(frame):
            minute = (frame.instruments[instrument], start)
            if known.setdefault(minute, frame.sources[source]) == frame.sources[source]:
                touched[minute] = frame.sources[source]
            else:
                strangers.add((source, instrument, start))
        settled.append(_aside(frame, strangers) if strangers else frame)
    return Settled(settled, touched)


def _aside(frame: Frame, strangers: set[tuple[int, int, int]]) -> Frame:
    verdicts = [
        Verdict.STANDBY if _counts(verdict) and key in strangers else verdict
        for verdict, key in zip(frame.verdict, _keys(frame), strict=True)
    ]
    return msgspec.structs.replace(frame, verdict=verdicts)


def _spoken(frame: Frame) -> Iterable[tuple[int, int, int]]:
    """(source, instrument, minute) of the ticks that count, each once and in their order."""
    keys = dict.fromkeys(_keys(frame))
    if max(frame.verdict, default=0) < MOVES:
        return keys
    return dict.fromkeys(key for key, verdict in zip(_keys(frame), frame.verdict, strict=True) if _counts(verdict))


def _keys(frame: Frame) -> Iterator[tuple[int, int, int]]:
    starts = [
        floor(received if venue is None else venue, MINUTE_US)
        for venue, received in zip(frame.venue_time, frame.received_at, strict=True)
    ]
    return zip(frame.source, frame.instrument, starts, strict=True)


def _counts(verdict: int) -> bool:
    return verdict < MOVES or verdict == Verdict.LATE


# ---------------------------------------------------------------------------------------- the rungs above


def steps_above(rung: str) -> list[tuple[str, str]]:
    """(finer, coarser) from that rung up."""
    rungs = list(RUNGS)
    return list(pairwise(rungs[rungs.index(rung) :]))


def above(children: Iterable[Candle], rung: str) -> list[Candle]:
    """The candles of that rung, from those of a finer one of one instrument in the order of time."""
    length = length_us(rung)
    built: dict[int, Candle] = {}
    for child in children:
        start = floor(child.start, length)
        built[start] = (
            merge(built[start], child) if start in built else msgspec.structs.replace(child, start=start)
        )  # fmt: skip
    return list(built.values())


def spans(starts: Iterable[int], rung: str, apart: int = 64) -> list[tuple[int, int]]:
    """[start, end) ranges that hold all intervals of that rung which begin at `starts`, for reads by range: what lies
    further apart than so many intervals is not read in one."""
    length = length_us(rung)
    ranges: list[tuple[int, int]] = []
    for start in sorted(starts):
        if ranges and start - ranges[-1][1] <= apart * length:
            ranges[-1] = (ranges[-1][0], start + length)
        else:
            ranges.append((start, start + length))
    return ranges


# --------------------------------------------------------------------------------------------------- bars


def bar_lane(instrument: str) -> str:
    """The lane under which an importer's bars are counted: "XAU-USD/bar"."""
    return f"{instrument}/bar"


def check_bars(rung: str, bars: Iterable[Candle]) -> None:
    """ValueError for what cannot be a candle of that rung."""
    length = length_us(rung)
    for bar in bars:
        if bar.start % length:
            raise ValueError(f"a bar of {rung} starts at {bar.start} µs: that is no multiple of {rung} in UTC")
        if bar.count < 1:
            raise ValueError(f"the bar at {bar.start} µs counts {bar.count} ticks: a candle has at least 1")
        numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.sum, bar.sum_squares)
        if not all(map(isfinite, numbers)):
            raise ValueError(f"the bar at {bar.start} µs has a number that is none: {numbers}")


def new_bars(bars: Iterable[Candle], taken: Collection[int]) -> list[Candle]:
    """The bars whose start is not taken, by start; of several with one start the first."""
    fresh: dict[int, Candle] = {}
    for bar in bars:
        if bar.start not in taken:
            fresh.setdefault(bar.start, bar)
    return [fresh[start] for start in sorted(fresh)]
