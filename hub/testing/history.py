"""The contract check of histories.

Instruments, times and sources of the checks are their own, so a store needs nothing but to be empty at first.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from hub.frame import Event, EventKind, Frame, Refusal
from hub.history import History, HistoryMoved, Position
from hub.history.ladder import RUNGS, ladder_of
from hub.model import MOVES, Candle, Kind, Tick, Verdict
from hub.testing.filling import check_filling
from hub.testing.frames import (
    DAY_US,
    EVER,
    MINUTE_US,
    NOON_US,
    frame_of,
    price_of,
    same_candles,
    store,
    time_of,
    trade,
    walk,
)

OpenHistory = Callable[[], AbstractAsyncContextManager[History]]


async def check_history(open_: OpenHistory) -> None:
    """A store kept to the contract of hub.history. `open_` opens the same store each time, empty at first."""
    async with open_() as history:
        await _check_empty(history)
        await _check_ticks_come_back(history)
        await _check_ranges(history)
        await _check_ladder(history)
        await _check_late_ticks(history)
        await _check_stream_order(history)
        await _check_counts(history)
        await _check_all_or_nothing(history)
        await _check_taken_over(history)
        await _check_reads_during_writes(history)
        await check_filling(history)
        await _check_tries(history)
        before = await _everything(history)
    async with open_() as history:
        assert await _everything(history) == before, "opened again, the store says something else"
        await _check_goes_on_after_opening(history)
        await _check_prune(history)


async def _check_empty(history: History) -> None:
    assert await history.position() == Position()
    assert await history.tick_count() == 0
    assert await history.last_ticks() == {}
    assert await history.marks() == {}
    assert await history.refusals() == {}
    assert await history.finished() == {}
    assert await history.ticks("NO-SUCH", *EVER) == []
    assert await history.candles("NO-SUCH", "1m", *EVER) == []
    assert await history.window("NO-SUCH", 0, DAY_US, 100) == ("15m", [])
    assert await history.day("NO-SUCH", NOON_US) == (None, None)
    assert await history.prune(EVER[1]) == 0


async def _check_ticks_come_back(history: History) -> None:
    """Every field of every tick, bit by bit, in stream order where the times are equal."""
    stored = [
        trade("BACK", NOON_US, 0.1 + 0.2, 1e-8, number=2**52, received_at=NOON_US + 1_234),
        trade("BACK", NOON_US, 5e-324, None, received_at=NOON_US - 1),
        trade("BACK", NOON_US, 5e-324, None, received_at=NOON_US - 1),
        Tick(instrument="BACK", kind=Kind.QUOTE, price=1299.5, bid=1299.0, ask=1300.0, received_at=NOON_US + 1),
        *(trade("BACK", NOON_US + 2 + one, 7.0, verdict=one, source="another") for one in Verdict),
    ]
    before = await history.position()
    after = await store(history, *stored)
    assert after == await history.position()
    assert after.ticks == before.ticks + len(stored)
    assert await history.ticks("BACK", *EVER) == stored
    assert await history.ticks("BACK", *EVER, newest_first=True) == stored[::-1]
    assert await history.ticks("BACK", *EVER, limit=2) == stored[:2]
    assert await history.ticks("BACK", *EVER, limit=2, newest_first=True) == stored[:-3:-1]
    assert await history.ticks("BACK", *EVER, limit=0) == []


async def _check_ranges(history: History) -> None:
    """[start, end), by ticks and by the starts of candles."""
    minutes = [NOON_US + minute * MINUTE_US for minute in range(4)]
    await store(history, *(trade("RANGE", time_us, 1.0 + place) for place, time_us in enumerate(minutes)))
    assert [one.venue_time for one in await history.ticks("RANGE", minutes[1], minutes[3])] == minutes[1:3]
    assert [one.start for one in await history.candles("RANGE", "1m", minutes[1], minutes[3])] == minutes[1:3]
    assert await history.ticks("RANGE", minutes[2], minutes[2]) == []
    assert await history.ticks("RANGE", minutes[3], minutes[0]) == []
    rung, within = await history.window("RANGE", minutes[1] + 1, minutes[3] + 1, 100)
    assert (rung, [one.start for one in within]) == ("1m", minutes[1:])
    rung, within = await history.window("RANGE", minutes[0], minutes[0] + 400 * DAY_US, 400)
    assert (rung, [one.count for one in within]) == ("1d", [4])


async def _check_ladder(history: History) -> None:
    """Each rung is what its ticks make, over batches that end within intervals, across midnight, with two
    instruments in one frame and with ticks that do not count."""
    made = {"LADDER-A": walk("LADDER-A", 700), "LADDER-B": walk("LADDER-B", 500)}
    both = [one for pair in zip(*made.values(), strict=False) for one in pair] + made["LADDER-A"][500:]
    for start in range(0, len(both), 37):
        await store(history, *both[start : start + 37])
    for instrument, ticks in made.items():
        for rung in RUNGS:
            expected = ladder_of(
                ((time_of(one), price_of(one), one.volume) for one in ticks if one.verdict < MOVES), rung
            )
            same_candles(await history.candles(instrument, rung, *EVER), expected)
    midnight = NOON_US + DAY_US // 2
    first, second = await history.candles("LADDER-A", "1d", *EVER)
    assert await history.day("LADDER-A", midnight) == (second, first)
    assert await history.day("LADDER-A", midnight - 1) == (first, None)
    assert await history.day("LADDER-A", midnight + DAY_US) == (None, second)


async def _check_late_ticks(history: History) -> None:
    """They correct their candle and neither its open and close nor the newest price; an empty interval is theirs."""
    late = Verdict.LATE
    on_time = trade("LATE", NOON_US + 10, 10.0, 1.0), trade("LATE", NOON_US + MINUTE_US, 11.0, 1.0)
    await store(history, *on_time)
    await store(history, trade("LATE", NOON_US + 5, 15.0, 2.0, verdict=late))
    await store(history, trade("LATE", NOON_US - MINUTE_US, 9.0, verdict=late))
    stored = [*on_time, *(await history.ticks("LATE", NOON_US + 5, NOON_US + 6))]
    stored += await history.ticks("LATE", NOON_US - MINUTE_US, NOON_US)
    values = [(time_of(one), price_of(one), one.volume) for one in stored]
    for rung in RUNGS:
        same_candles(await history.candles("LATE", rung, *EVER), ladder_of(values, rung, late={2, 3}))
    before, noon, after = await history.candles("LATE", "1m", *EVER)
    assert (before.open, before.close, before.count) == (9.0, 9.0, 1)
    assert (noon.open, noon.high, noon.close, noon.volume, noon.count) == (10.0, 15.0, 10.0, 3.0, 2)
    assert after.count == 1
    assert (await history.last_ticks())["LATE"] == on_time[1]


async def _check_stream_order(history: History) -> None:
    """Open, close and the newest price go by the order of the stream, not by the venues' clocks."""
    ticks = [trade("ORDER", NOON_US + minute * MINUTE_US, price) for minute, price in ((2, 1.0), (0, 2.0), (1, 3.0))]
    ticks += [trade("ORDER", NOON_US + 2 * MINUTE_US, 4.0), trade("ORDER", NOON_US, 5.0)]
    ticks += [trade("ORDER", NOON_US + 9 * MINUTE_US, 6.0, verdict=Verdict.STANDBY)]
    await store(history, *ticks)
    (candle,) = await history.candles("ORDER", "1h", *EVER)
    assert (candle.open, candle.close, candle.count) == (1.0, 5.0, 5)
    assert (await history.last_ticks())["ORDER"] == ticks[4]


async def _check_counts(history: History) -> None:
    """Marks are the highest number of each lane, refusals add up, and what is finished says so."""
    stands = await history.position()
    numbers = (3, 9, 4, None)
    frame = frame_of([trade("MARK", NOON_US + at, 1.0, number=number) for at, number in enumerate(numbers)])
    frame.refused.append(Refusal("marks", "MARK/trade", "bid above ask", 2, 12))
    frame.refused.append(Refusal("marks", "", "broken JSON", 1, 0))
    frame.events.append(Event(1, EventKind.FINISHED, NOON_US, "", "marks", "1234"))
    frame.events.append(Event(1, EventKind.STALE, NOON_US, "MARK", "marks", "not a number"))
    frame.number = stands.number + 1
    after = Position(stream="check", sequence=stands.sequence + 1, epoch=1, number=frame.number)
    assert await history.append([frame, frame], after) == await history.position()
    assert (await history.marks())["check"]["MARK/trade"] == 9
    assert (await history.marks())["marks"] == {"MARK/trade": 12}
    assert (await history.refusals())["marks"] == {"bid above ask": 4, "broken JSON": 2}
    assert await history.finished() == {"marks": 1234}
    await store(history, trade("MARK", NOON_US, 1.0, number=8))
    assert (await history.marks())["check"]["MARK/trade"] == 9


async def _check_all_or_nothing(history: History) -> None:
    """A batch that cannot be stored leaves nothing, and what comes after is stored as if it had not been."""
    await store(history, trade("WHOLE", NOON_US, 5.0))
    before = await _everything(history)
    no_price, no_count = frame_of([trade("WHOLE", NOON_US + 2, 1.0)]), frame_of([trade("WHOLE", NOON_US + 2, 1.0)])
    no_price.price = [math.nan]
    no_count.events.append(Event(1, EventKind.FINISHED, NOON_US, "", "fresh", "not a number"))
    for broken in (no_price, no_count):
        broken.refused.append(Refusal("fresh", "", "broken JSON", 1, 0))
        good = frame_of([trade("WHOLE", NOON_US + 1, 99.0), trade("FRESH", NOON_US, 1.0, number=1, source="fresh")])
        assert await _is_refused(history, [good, broken]), "what is no number was stored"
        assert await _everything(history) == before
    await store(history, trade("WHOLE", NOON_US + 3, 6.0), trade("FRESH-TOO", NOON_US, 2.0))
    (candle,) = await history.candles("WHOLE", "1m", *EVER)
    assert (candle.high, candle.close, candle.count) == (6.0, 6.0, 2)
    assert await history.ticks("FRESH", *EVER) == []
    await store(history, trade("FRESH", NOON_US, 3.0, source="fresh"))
    for name, price in (("FRESH", 3.0), ("FRESH-TOO", 2.0)):
        assert [one.price for one in await history.ticks(name, *EVER)] == [price]
        assert [one.count for one in await history.candles(name, "1d", *EVER)] == [1]


async def _check_taken_over(history: History) -> None:
    """Who stored the position last may store the next one; who was taken over from meanwhile stores nothing."""
    first = await store(history, trade("TAKEN", NOON_US, 1.0))
    second = await store(history, trade("TAKEN", NOON_US + 1, 2.0))
    before = await _everything(history)
    frame = frame_of([trade("TAKEN", NOON_US + 1, 2.0)], number=second.number)
    try:
        await history.append([frame], second, behind=first)
    except HistoryMoved:
        pass
    else:
        raise AssertionError("a recorder that was taken over from stored a frame again")
    assert await _everything(history) == before
    third = msgspec.structs.replace(second, sequence=second.sequence + 1, number=second.number + 1)
    frame = frame_of([trade("TAKEN", NOON_US + 2, 3.0)], number=third.number)
    assert (await history.append([frame], third, behind=second)).number == third.number


async def _is_refused(history: History, frames: list[Frame]) -> bool:
    try:
        await history.append(frames, Position(stream="check", sequence=10**6))
    except Exception:
        return True
    return False


async def _check_reads_during_writes(history: History) -> None:
    """A reader never sees a tick without its candle or its position, whatever is being written."""
    before = (await history.position()).ticks
    for start in range(0, 200, 20):
        ticks = [trade("BOTH", NOON_US + start + one, 1.0) for one in range(20)]
        _, rows, (candle,) = await asyncio.gather(
            store(history, *ticks), history.ticks("BOTH", *EVER), _or_none(history.candles("BOTH", "1d", *EVER))
        )
        assert len(rows) % 20 == 0
        assert candle is None or candle.count % 20 == 0
    assert (await history.position()).ticks == before + 200


async def _or_none(candles: Awaitable[list[Candle]]) -> list[Candle | None]:
    return list(await candles) or [None]


async def _check_tries(history: History) -> None:
    stands = await history.position()
    assert await history.trying(stands.sequence + 1) == 1
    assert await history.trying(stands.sequence + 1) == 2
    assert await history.trying(stands.sequence + 2) == 1
    await store(history, trade("TRY", NOON_US, 1.0))
    assert await history.trying(stands.sequence + 2) == 2, "passing one message forgot another's tries"
    await history.clear_tries()
    assert await history.trying(stands.sequence + 2) == 1
    assert await history.position() != stands


async def _everything(history: History) -> list[object]:
    """All that the contract lets one read of the instruments that are checked."""
    names = ("BACK", "RANGE", "LADDER-A", "LATE", "ORDER", "MARK", "WHOLE", "FRESH", "FRESH-TOO", "BOTH", "TRY")
    seen: list[object] = [await history.position(), await history.tick_count(), await history.last_ticks()]
    seen += [await history.marks(), await history.refusals(), await history.finished()]
    seen += [await history.ticks(name, *EVER) for name in names]
    seen += [await history.candles(name, rung, *EVER) for name in names for rung in RUNGS]
    return seen


async def _check_goes_on_after_opening(history: History) -> None:
    """Candles begun before the store was opened are continued, not begun anew."""
    stands = await history.position()
    assert await history.trying(stands.sequence + 1) == 2, "tries were lost with the process"
    (was,) = await history.candles("WHOLE", "1d", *EVER)
    assert (await store(history, trade("WHOLE", NOON_US + 4, 4.0))).ticks == stands.ticks + 1
    (now,) = await history.candles("WHOLE", "1d", *EVER)
    assert (now.open, now.low, now.close, now.count) == (was.open, 4.0, 4.0, was.count + 1)


async def _check_prune(history: History) -> None:
    """Ticks before the time go, but for each instrument's newest price; candles and what is younger stay."""
    await store(history, trade("YOUNG", NOON_US + 900 * DAY_US, 1.0), trade("YOUNG", NOON_US + 901 * DAY_US, 2.0))
    before = await history.position(), await history.last_ticks(), await history.candles("LADDER-A", "1m", *EVER)
    count = await history.tick_count()
    removed = await history.prune(NOON_US + 900 * DAY_US)
    assert (await history.position(), await history.last_ticks()) == before[:2]
    assert await history.candles("LADDER-A", "1m", *EVER) == before[2]
    kept = len(before[1]) - 1  # all but YOUNG, which has nothing so old
    assert await history.tick_count() == count - removed == kept + 2
    assert len(await history.ticks("LADDER-A", *EVER)) == 1
    assert len(await history.ticks("YOUNG", *EVER)) == 2
