"""Ticks, frames and candles made by hand, for the checks of histories and for tests."""

import math
from collections.abc import Iterable

from hub.frame import Frame, empty
from hub.history import History, Position
from hub.model import SECOND_US, Candle, Kind, Nature, Tick, Verdict

MINUTE_US = 60 * SECOND_US
DAY_US = 86_400 * SECOND_US
EVER = (-DAY_US, 1 << 60)
NOON_US = 1_399_032_000 * SECOND_US  # 2014-05-02 12:00 UTC


def frame_of(ticks: Iterable[Tick], *, number: int = 1, epoch: int = 1, nature: Nature = Nature.LIVE) -> Frame:
    """The ticks as one frame. Each needs its received_at; a quote without a price has its mid."""
    frame = empty(epoch, number)
    for one in ticks:
        assert one.received_at is not None
        frame.instrument.append(_index(frame.instruments, one.instrument))
        frame.source.append(_index(frame.sources, one.source))
        frame.kind.append(one.kind)
        frame.verdict.append(one.verdict)
        frame.venue_time.append(one.venue_time)
        frame.received_at.append(one.received_at)
        frame.price.append(price_of(one))
        frame.bid.append(one.bid)
        frame.ask.append(one.ask)
        frame.volume.append(one.volume)
        frame.vendor_number.append(one.number)
    frame.natures = [nature.value] * len(frame.sources)
    frame.opened_at = frame.received_at[0] if frame.received_at else 0
    frame.clock = frame.received_at[-1] if frame.received_at else 0
    return frame


def _index(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def price_of(one: Tick) -> float:
    if one.price is not None:
        return one.price
    assert one.bid is not None
    assert one.ask is not None
    return (one.bid + one.ask) / 2


def trade(instrument: str, time_us: int, price: float, volume: float | None = None, **more: object) -> Tick:
    fields = {"received_at": time_us, "venue_time": time_us, "source": "check", **more}
    return Tick(instrument=instrument, kind=Kind.TRADE, price=price, volume=volume, **fields)  # type: ignore[arg-type]


def walk(instrument: str, count: int) -> list[Tick]:
    """A tick every 97 seconds from noon on, over more than a day's end; every seventh moves nothing."""
    verdicts = [Verdict.PRICE, Verdict.CONFIRMED, Verdict.PRICE, Verdict.ASIDE, Verdict.STANDBY]
    verdicts += [Verdict.OUTLIER, Verdict.CLOSED]
    return [
        trade(
            instrument,
            NOON_US + place * 97 * SECOND_US,
            1300 + 40 * math.sin(place * 0.7) + len(instrument) * place * 0.01,
            None if place % 3 else place * 0.25,
            verdict=verdicts[place * 5 % 7],
        )
        for place in range(count)
    ]


def time_of(one: Tick) -> int:
    time_us = one.received_at if one.venue_time is None else one.venue_time
    assert time_us is not None
    return time_us


def same_candles(found: list[Candle], expected: list[Candle]) -> None:
    """Everything exact but the sums, which depend on the order of adding: they agree to one in 10^9."""
    assert [_exact(one) for one in found] == [_exact(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        scale = one.count * max(one.high - one.low, 1e-9)
        assert math.isclose(one.volume, other.volume, rel_tol=1e-9), (one, other)
        assert math.isclose(one.sum, other.sum, rel_tol=1e-9, abs_tol=1e-9 * scale), (one, other)
        assert math.isclose(one.sum_squares, other.sum_squares, rel_tol=1e-9, abs_tol=1e-9 * scale), (one, other)


def _exact(one: Candle) -> tuple[int, float, float, float, float, int]:
    return (one.start, one.open, one.high, one.low, one.close, one.count)


async def store(history: History, *ticks: Tick) -> Position:
    """In one frame, the next of the stream."""
    stands = await history.position()
    frame = frame_of(ticks, number=stands.number + 1)
    after = Position(stream="check", sequence=stands.sequence + 1, epoch=1, number=frame.number, clock=frame.clock)
    return await history.append([frame], after)
