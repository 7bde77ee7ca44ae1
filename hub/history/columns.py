"""Frames → the columns that a store inserts, and the vendors' numbers among them. Pure; no object is made for a tick.
Depends on hub.frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from hub.frame import Frame, lane


class Batch:
    """The ticks of some frames in columns, with the store's ids in place of the frames' own."""

    def __init__(self) -> None:
        self.instrument: list[int] = []
        self.source: list[int] = []
        self.time: list[int] = []
        self.lag: list[int | None] = []
        self.kind: list[int] = []
        self.price: list[float] = []
        self.bid: list[float | None] = []
        self.ask: list[float | None] = []
        self.volume: list[float | None] = []
        self.number: list[int | None] = []
        self.verdict: list[int] = []

    def add(self, frame: Frame, instruments: Sequence[int], sources: Sequence[int]) -> None:
        self.instrument += map(instruments.__getitem__, frame.instrument)
        self.source += map(sources.__getitem__, frame.source)
        stamps = list(zip(frame.venue_time, frame.received_at, strict=True))
        self.time += [received if venue is None else venue for venue, received in stamps]
        self.lag += [None if venue is None else received - venue for venue, received in stamps]
        self.kind += frame.kind
        self.price += frame.price
        self.bid += frame.bid
        self.ask += frame.ask
        self.volume += frame.volume
        self.number += frame.vendor_number
        self.verdict += frame.verdict

    def rows(self, first_id: int) -> Iterator[Any]:
        """Flat, in the order of the table's columns."""
        ids = range(first_id, first_id + len(self.price))
        columns = (
            self.instrument, self.time, ids, self.lag, self.kind, self.price, self.bid, self.ask, self.volume,
            self.source, self.number, self.verdict,
        )  # fmt: skip
        return chain.from_iterable(zip(*columns, strict=True))


Marks = dict[tuple[str, str], int]


def marks_of(frames: Iterable[Frame]) -> Marks:
    """(source, lane) → the highest vendor number in the frames."""
    marks: Marks = {}
    for frame in frames:
        highest: dict[tuple[int, int, int], int] = {}
        if frame.vendor_number.count(None) < len(frame):
            lanes = zip(frame.source, frame.instrument, frame.kind, strict=True)
            for key, number in zip(lanes, frame.vendor_number, strict=True):
                if number is not None and number > highest.get(key, -1):
                    highest[key] = number
        for (source, instrument, kind), number in highest.items():
            _raise(marks, (frame.sources[source], lane(frame.instruments[instrument], kind)), number)
        for refusal in frame.refused:
            if refusal.number:
                _raise(marks, (refusal.source, refusal.lane), refusal.number)
    return marks


def _raise(marks: Marks, key: tuple[str, str], number: int) -> None:
    marks[key] = max(marks.get(key, number), number)
