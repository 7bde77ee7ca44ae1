"""One instrument's own price, gone through tick by tick only where something can happen.

An alert on it says between which two values nothing happens (hub.rules.levels); a candle that stays between them is
passed over, one that does not is looked into, down to its ticks. What rings is the same, and a month takes as long as
its crossings. Depends on hub.backtest.path.
"""

from collections.abc import AsyncIterator, Sequence

from hub.backtest.path import Leg, Told
from hub.history.ladder import floor, length_us
from hub.model import Tick
from hub.rules.roots import Book
from hub.rules.series import DAY_US, HOUR_US, Price
from hub.rules.spec import AlertSpec

HOURS = 60 * DAY_US
"""So much is read at once as hours."""


def can_skip(spec: AlertSpec) -> bool:
    """Whether nothing but the crossings of one price counts: neither what else moves, nor how long something lasts."""
    plain = all(isinstance(clause.series, Price) and clause.series.plain for clause in spec.clauses)
    return plain and len(spec.instruments) == 1 and not (spec.hold_us or spec.within_us) and spec.sources == 1


async def near(leg: Leg, book: Book, rungs: Sequence[str], start_us: int, end_us: int) -> AsyncIterator[list[Tick]]:
    """The ticks of [start, end) that matter, a few at a time; what came before has moved the book when more is asked
    for."""
    fine = [rung for rung in rungs if length_us(rung) <= HOUR_US]
    coarse = [rung for rung in rungs if length_us(rung) >= HOUR_US]
    quiet: Told | None = None
    for at in range(floor(start_us, DAY_US), end_us, HOURS):
        for hour in await leg.layers(coarse, at, min(at + HOURS, end_us)):
            if stays(hour, book):
                quiet = hour
                continue
            if hour.length_us > HOUR_US:
                minutes = [hour]
            else:
                minutes = await leg.layers(fine, hour.candle.start, hour.candle.start + HOUR_US)
            for minute in minutes:
                if stays(minute, book):
                    quiet = minute
                    continue
                found = await leg.inside(minute)
                if quiet is not None:
                    found, quiet = [leg.close_of(quiet), *found], None
                yield [tick for tick in found if start_us <= (tick.received_at or 0) < end_us]


def stays(told: Told, book: Book) -> bool:
    return book.low < told.candle.low and told.candle.high < book.high
