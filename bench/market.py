"""Ticks and frames for the benchmarks: a seeded random walk over some instruments."""

import random

from hub.frame import Frame, empty
from hub.model import Kind, Tick, Verdict


def ticks(count: int, instruments: int, seed: int = 7) -> list[Tick]:
    """Quotes of I0 … as a feed emits them, a millisecond apart."""
    draw = random.Random(seed)
    prices = [1000.0 + i for i in range(instruments)]
    names = [f"I{i}" for i in range(instruments)]
    out = []
    for number in range(count):
        i = draw.randrange(instruments)
        prices[i] *= 1 + draw.gauss(0, 2e-5)
        bid = round(prices[i], 3)
        out.append(
            Tick(
                instrument=names[i],
                kind=Kind.QUOTE,
                bid=bid,
                ask=round(bid + 0.3, 3),
                venue_time=1_700_000_000_000_000 + number * 1000,
                number=number + 1,
            )
        )
    return out


def frames(some: list[Tick], size: int) -> list[Frame]:
    """The ticks in frames of that size, as ingest would publish them."""
    out = []
    for number, start in enumerate(range(0, len(some), size), 1):
        frame = empty(epoch=1, number=number, opened_at=1, clock=1)
        frame.sources, frame.natures = ["bench"], ["live"]
        index: dict[str, int] = {}
        for tick in some[start : start + size]:
            assert tick.bid is not None
            assert tick.ask is not None
            at = index.setdefault(tick.instrument, len(index))
            if at == len(frame.instruments):
                frame.instruments.append(tick.instrument)
            frame.instrument.append(at)
            frame.source.append(0)
            frame.kind.append(Kind.QUOTE)
            frame.verdict.append(Verdict.PRICE)
            frame.venue_time.append(tick.venue_time)
            frame.received_at.append(tick.venue_time or 0)
            frame.price.append((tick.bid + tick.ask) / 2)
            frame.bid.append(tick.bid)
            frame.ask.append(tick.ask)
            frame.volume.append(None)
            frame.vendor_number.append(tick.number)
        out.append(frame)
    return out
