"""The part of the contract check of histories that is about prices of the past, about spans of any size, and about how
far back a store reaches. Called by check_history."""

import asyncio
import math
from collections.abc import Iterable

from hub.history import History, Position
from hub.history.ladder import RUNGS, ladder_of, length_us
from hub.model import MOVES, Candle, Nature, Tick, Verdict
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

HOUR_US = 60 * MINUTE_US


async def check_filling(history: History) -> None:
    await _check_ladder_of_what_is_filled(history)
    await _check_what_was_recorded_wins(history)
    await _check_owners_of_minutes(history)
    await _check_bars(history)
    await _check_bars_that_are_none(history)
    await _check_fill_is_all_or_nothing(history)
    await _check_fills_beside_appends(history)
    await _check_scan(history)
    await _check_reach(history)
    await _check_window_reaches_back(history)


async def _fill(history: History, *ticks: Tick) -> int:
    """In two frames, as the parts of a file; what was stored is all of them."""
    before = await history.position()
    half = len(ticks) // 2
    frames = [frame_of(part, nature=Nature.RECORDING) for part in (ticks[:half], ticks[half:])]
    stored = await history.fill(frames)
    assert stored == len(ticks)
    assert await history.position() == _with_ticks(before, before.ticks + stored), (
        "a fill moved the recorder's position"
    )
    return stored


def _with_ticks(position: Position, ticks: int) -> Position:
    fields = {name: getattr(position, name) for name in Position.__struct_fields__}
    return Position(**{**fields, "ticks": ticks})


async def _is_ladder_of(history: History, instrument: str, ticks: Iterable[Tick], late: Iterable[int] = ()) -> None:
    values = [(time_of(one), price_of(one), one.volume) for one in ticks]
    for rung in RUNGS:
        same_candles(await history.candles(instrument, rung, *EVER), ladder_of(values, rung, set(late)))


def _numbered(ticks: Iterable[Tick], source: str) -> list[Tick]:
    return [
        trade(
            one.instrument, time_of(one), price_of(one), one.volume, verdict=one.verdict, source=source, number=number
        )
        for number, one in enumerate(ticks, start=1)
    ]


async def _check_ladder_of_what_is_filled(history: History) -> None:
    """Every field comes back, every rung is that of the ticks in the order of time, over calls that end within
    intervals; the numbers are marks; there is no newest price."""
    made = _numbered(walk("FILL", 700), "file")
    newest, count = await history.last_ticks(), await history.tick_count()
    for start in range(0, len(made), 61):
        part = made[start : start + 61]
        await _fill(history, *part)
        assert (await history.marks())["file"] == {"FILL/trade": part[-1].number}
    assert await history.ticks("FILL", *EVER) == made
    await _is_ladder_of(history, "FILL", [one for one in made if one.verdict < MOVES])
    assert await history.last_ticks() == newest, "a fill moved the newest prices"
    assert await history.tick_count() == count + len(made)
    assert await history.tick_count("file") == len(made)
    assert (await history.natures())["file"] is Nature.RECORDING
    assert await history.fill([]) == 0


async def _check_what_was_recorded_wins(history: History) -> None:
    """Ticks of minutes that were recorded stand by; the rungs above hold both; the recorder goes on from there."""
    recorded = [trade("WON", NOON_US + minute * MINUTE_US, 100.0 + minute, 1.0) for minute in (10, 11, 13)]
    filled = [
        trade("WON", NOON_US + second * 20_000_000, 50.0 + second, 2.0, source="file")
        for second in range(3 * 8, 3 * 20)
    ]
    minutes = {time_of(one) // MINUTE_US for one in recorded}
    counted = [one for one in filled if time_of(one) // MINUTE_US not in minutes]
    await store(history, *recorded)
    await _fill(history, *filled)
    found = {time_of(one): one for one in await history.ticks("WON", *EVER) if one.source == "file"}
    assert [one for one in found.values() if one.verdict is not Verdict.STANDBY] == counted
    assert len(found) == len(filled)
    await _is_ladder_of(history, "WON", sorted(recorded + counted, key=time_of))
    assert (await history.last_ticks())["WON"] == recorded[-1], "a fill moved the newest price"
    later = [trade("WON", NOON_US + 30 * MINUTE_US, 7.0, 1.0), trade("WON", NOON_US + 31 * MINUTE_US, 8.0)]
    await store(history, *later)
    await _is_ladder_of(history, "WON", [*sorted(recorded + counted, key=time_of), *later])
    assert (await history.last_ticks())["WON"] == later[-1]


async def _check_owners_of_minutes(history: History) -> None:
    """A minute that was filled is its source's until the recorder adds to it."""
    mine = [trade("OWNED", NOON_US + second, 10.0 + second, source="file") for second in range(3)]
    other = trade("OWNED", NOON_US + 10, 99.0, source="other file")
    late = trade("OWNED", NOON_US + MINUTE_US, 5.0, verdict=Verdict.LATE)
    more = trade("OWNED", NOON_US + MINUTE_US + 1, 6.0, source="file")
    await _fill(history, mine[0], trade("OWNED", NOON_US + MINUTE_US, 4.0, source="file"))
    await _fill(history, other, mine[1])
    await _fill(history, other, mine[2])
    (first, second) = await history.candles("OWNED", "1m", *EVER)
    assert (first.open, first.high, first.close, first.count) == (10.0, 12.0, 12.0, 3)
    assert second.count == 1
    await store(history, late)
    await _fill(history, more)
    (_, second) = await history.candles("OWNED", "1m", *EVER)
    assert (second.high, second.count) == (5.0, 2), "a fill went into a minute that the recorder had added to"
    stands_by = [one for one in await history.ticks("OWNED", *EVER) if one.verdict is Verdict.STANDBY]
    assert sorted(price_of(one) for one in stands_by) == [6.0, 99.0, 99.0]
    (day,) = await history.candles("OWNED", "1d", *EVER)
    assert day.count == 5


def _bar(start: int, price: float, count: int = 4) -> Candle:
    """Of a bar only open, high, low, close and volume are known: the sums are about a price between them."""
    return Candle(
        start=start, open=price, high=price + 2, low=price - 2, close=price + 1, volume=3.0, count=count,
        sum=count * 0.5, sum_squares=count * 1.25,
    )  # fmt: skip


async def _bars(history: History, instrument: str, rung: str, bars: list[Candle], number: int = 1) -> int:
    return await history.fill_candles(instrument, rung, bars, source="bars", nature=Nature.RECORDING, number=number)


async def _check_bars(history: History) -> None:
    """They are put where there is none, the rungs above are made of them, and they stay whatever is filled later; what
    is recorded is merged into them."""
    before = await history.position(), await history.last_ticks(), await history.tick_count()
    bars = [_bar(NOON_US + hour * HOUR_US, 100.0 + hour) for hour in range(3)]
    assert await _bars(history, "BAR", "1h", bars[:2], 7) == 2
    assert await _bars(history, "BAR", "1h", [_bar(bars[0].start, 1.0), *bars[1:]], 9) == 1
    assert await _bars(history, "BAR", "1h", [], 8) == 0
    assert await history.candles("BAR", "1h", *EVER) == bars
    assert (await history.marks())["bars"] == {"BAR/bar": 9}
    assert (await history.natures())["bars"] is Nature.RECORDING
    assert (await history.position(), await history.last_ticks(), await history.tick_count()) == before
    (day,) = await history.candles("BAR", "1d", *EVER)
    assert (day.open, day.high, day.low, day.close, day.volume, day.count) == (100.0, 104.0, 98.0, 103.0, 9.0, 12)
    same_sums = sum(one.count * (one.open - day.open) + one.sum for one in bars)
    assert math.isclose(day.sum, same_sums, rel_tol=1e-9)
    inside = [trade("BAR", NOON_US + minute * MINUTE_US, 500.0, source="file") for minute in (1, 2)]
    for one in inside:  # twice: a bar is one also when it has candles below it
        await _fill(history, one)
        assert await history.candles("BAR", "1h", *EVER) == bars
        assert await history.candles("BAR", "1d", *EVER) == [day]
    values = [(time_of(one), price_of(one), one.volume) for one in inside]
    same_candles(await history.candles("BAR", "15m", *EVER), ladder_of(values, "15m"))
    await store(history, trade("BAR", NOON_US + 5 * MINUTE_US, 600.0, 1.0))
    (merged, *rest) = await history.candles("BAR", "1h", *EVER)
    assert (merged.open, merged.high, merged.close, merged.volume, merged.count) == (100.0, 600.0, 600.0, 4.0, 5)
    assert rest == bars[1:]
    await _fill(history, trade("BAR", NOON_US + 6 * MINUTE_US, 700.0, source="file"))
    assert (await history.candles("BAR", "1h", *EVER))[0] == merged
    assert await _bars(history, "BAR", "1m", [_bar(NOON_US + 5 * MINUTE_US, 1.0)]) == 0, "a bar replaced a recording"


async def _check_bars_that_are_none(history: History) -> None:
    """What cannot be a candle of the rung is refused, and what came with it too."""
    good = _bar(NOON_US, 1.0)
    before = await _all_of(history, "NO-BAR")
    broken = _bar(NOON_US + HOUR_US, math.nan), _bar(NOON_US + MINUTE_US, 1.0), _bar(NOON_US + HOUR_US, 1.0, 0)
    for bar in broken:
        try:
            await _bars(history, "NO-BAR", "1h", [good, bar], 99)
        except ValueError:
            pass
        else:
            raise AssertionError(f"{bar} was stored")
        assert await _all_of(history, "NO-BAR") == before


async def _all_of(history: History, instrument: str) -> list[object]:
    seen: list[object] = [await history.position(), await history.last_ticks(), await history.tick_count()]
    seen += [await history.marks(), await history.ticks(instrument, *EVER), await history.reach(instrument)]
    return seen + [await history.candles(instrument, rung, *EVER) for rung in RUNGS]


async def _check_fill_is_all_or_nothing(history: History) -> None:
    """A fill that cannot be stored leaves nothing, its marks neither; then the recorder's minutes are its own."""
    before = await _all_of(history, "PART")
    good = frame_of([trade("PART", NOON_US, 1.0, number=5, source="part")])
    bad = frame_of([trade("PART", NOON_US + 1, 1.0, number=6, source="part")])
    bad.price = [math.nan]
    try:
        await history.fill([good, bad])
    except Exception:
        assert await _all_of(history, "PART") == before
    else:
        raise AssertionError("what is no number was stored")
    ticks = trade("PART", NOON_US, 2.0), trade("PART", NOON_US + 1, 3.0)
    await store(history, *ticks)
    await _is_ladder_of(history, "PART", ticks)


async def _check_fills_beside_appends(history: History) -> None:
    """Both go on at once, and neither loses anything to the other."""
    before = await history.position()
    old = [trade("BESIDE", NOON_US + place * 7_000_000, 10.0 + place % 13, source="file") for place in range(300)]
    new = [trade("BESIDE", NOON_US + DAY_US + place * 7_000_000, 20.0 + place % 11) for place in range(300)]

    async def append() -> None:
        for start in range(0, len(new), 30):
            await store(history, *new[start : start + 30])

    async def fill() -> None:
        for start in range(0, len(old), 30):
            assert await history.fill([frame_of(old[start : start + 30])]) == 30

    await asyncio.gather(append(), fill())
    assert (await history.position()).ticks == before.ticks + len(old) + len(new)
    assert await history.ticks("BESIDE", *EVER) == old + new
    await _is_ladder_of(history, "BESIDE", old + new)


async def _check_scan(history: History) -> None:
    """The same ticks in the same order as `ticks`, a few thousand at a time, many of one time among them."""
    many = [trade("SCAN", NOON_US + place // 2_900, float(place)) for place in range(14_000)]
    await store(history, *many)
    for start, end in (EVER, (NOON_US + 1, NOON_US + 4), (NOON_US + 4, NOON_US + 4), (NOON_US + 9, 1 << 60)):
        pieces = [piece async for piece in history.scan("SCAN", start, end)]
        assert [one for piece in pieces for one in piece] == [one for one in many if start <= time_of(one) < end]
        assert all(pieces), "an empty piece"
        assert all(len(piece) <= 10_000 for piece in pieces), "a piece is of some thousands"
    assert [one async for piece in history.scan("FILL", *EVER) for one in piece] == await history.ticks("FILL", *EVER)
    assert [piece async for piece in history.scan("NO-SUCH", *EVER)] == []


async def _check_reach(history: History) -> None:
    """Of rungs that have candles, the oldest and the newest; of ticks their times."""
    assert await history.reach("NO-SUCH") == {}
    for instrument in ("FILL", "WON", "BAR", "SCAN"):
        expected = {}
        for rung in RUNGS:
            candles = await history.candles(instrument, rung, *EVER)
            expected[rung] = candles[0].start, candles[-1].start
        ticks = await history.ticks(instrument, *EVER)
        expected["ticks"] = time_of(ticks[0]), time_of(ticks[-1])
        assert await history.reach(instrument) == expected
    assert await _bars(history, "DAILY", "1d", [_bar(NOON_US - NOON_US % DAY_US, 1.0)]) == 1
    assert await history.reach("DAILY") == {"1d": (NOON_US - NOON_US % DAY_US,) * 2}


async def _check_window_reaches_back(history: History) -> None:
    """Bars from before the first fine candle are shown, the finest that reach as far back; fine candles are not given
    up for a coarse one that is made of them."""
    midnight = NOON_US - NOON_US % DAY_US
    await _bars(history, "BACK-TO", "1d", [_bar(midnight - day * DAY_US, 50.0) for day in range(20, 9, -1)])
    await _bars(
        history, "BACK-TO", "15m", [_bar(midnight - 9 * DAY_US + at * length_us("15m"), 60.0) for at in range(8)]
    )
    recorded = [trade("BACK-TO", NOON_US + minute * MINUTE_US, 70.0) for minute in range(-60, 60)]
    await store(history, *recorded)
    points = 100_000  # of which every span here has fewer in minutes
    for since, rung, first in (
        (midnight - 30 * DAY_US, "1d", midnight - 20 * DAY_US),
        (midnight - 15 * DAY_US + 7, "1d", midnight - 15 * DAY_US),
        (midnight - 9 * DAY_US - 1, "1d", midnight - 10 * DAY_US),
        (midnight - 9 * DAY_US + 7, "15m", midnight - 9 * DAY_US),
        (midnight - 8 * DAY_US, "1m", NOON_US - HOUR_US),
        (NOON_US + 7 * MINUTE_US + 1, "1m", NOON_US + 7 * MINUTE_US),
        (NOON_US + 59 * MINUTE_US, "1m", NOON_US + 59 * MINUTE_US),
    ):
        found, candles = await history.window("BACK-TO", since, NOON_US + DAY_US, points)
        assert (found, candles[0].start) == (rung, first), (since, found)
        assert candles == await history.candles("BACK-TO", rung, first, NOON_US + DAY_US)
    # The hour and the day of the last minutes hold this span's start, and have nothing in it.
    assert await history.window("BACK-TO", NOON_US + 61 * MINUTE_US, NOON_US + DAY_US, points) == ("1m", [])
    # Asked for so few points that only days serve, there is no finer way.
    assert (await history.window("BACK-TO", midnight - 30 * DAY_US, NOON_US, 15))[0] == "1d"
