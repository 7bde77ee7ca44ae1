"""Recordings of several instruments at once, and alerts of every kind on them, for whole hubs to be held against the
reference (tests/reference.py): a synthetic evening, and the real day of the payrolls."""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hub.instruments import CATALOGUE
from hub.model import Verdict
from hub.rules.series import Difference, Indicator, Move, Price, Ratio, Spread, Volume
from hub.rules.spec import AlertSpec, Band
from tests import reference_days as days
from tests.recording import MIDNIGHT_US
from tests.reference_days import alert, when
from tests.reference_market import QUOTE, SECOND_US, TRADE, Tick

GOLD, SILVER, EURO, COIN = "XAU-USD", "XAG-USD", "EUR-USD", "BTC-USD"
GRID = {GOLD: (1300.0, 0.25), SILVER: (20.0, 1 / 64), EURO: (1.25, 1 / 1024), COIN: (60_000.0, 16.0)}
"""Instrument → the price that it stays around, and its steps: binary fractions, so that levels are touched exactly."""
INSTRUMENTS = {one.id: one for one in CATALOGUE if one.id in GRID}
BEGIN_US = MIDNIGHT_US - 195 * 60 * SECOND_US
"""A Thursday, 20:45 UTC: the hour in which metals are closed comes after fifteen minutes, midnight three hours on."""
LENGTH_S = 4 * 3600.0
BREAK_US = range(MIDNIGHT_US - 3 * 3600 * SECOND_US, MIDNIGHT_US - 2 * 3600 * SECOND_US)


# ---------------------------------------------------------------------------------------------- recordings


def write(path: Path, ticks: Iterable[Tick]) -> Path:
    """In the hub's own export's format, in this order."""
    with path.open("w") as file:
        for tick in ticks:
            told = {
                "instrument": tick.instrument, "kind": tick.kind, "price": tick.price if tick.kind == TRADE else None,
                "bid": tick.bid, "ask": tick.ask, "volume": tick.volume, "venue_time": tick.venue_time,
                "received_at": tick.received_at,
            }  # fmt: skip
            file.write(json.dumps({key: value for key, value in told.items() if value is not None}) + "\n")
    return path


@dataclass
class _Evening:
    chance: random.Random
    now: int = BEGIN_US
    at: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GRID, 0))
    silent_until: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GRID, 0))

    def ticks(self, count: int) -> Iterator[Tick]:
        chance = self.chance
        for _ in range(count):
            if chance.random() > 0.2:  # else in the same instant
                self.now += round(chance.expovariate(count * 0.8 / LENGTH_S) * SECOND_US)
            name = chance.choice((GOLD, GOLD, GOLD, SILVER, EURO, COIN, COIN))
            closed = name in (GOLD, SILVER) and self.now in BREAK_US
            if self.now < self.silent_until[name] or (closed and chance.random() < 0.9):
                continue
            if chance.random() < 0.002:  # long enough to be called stale
                self.silent_until[name] = self.now + chance.randrange(70, 300) * SECOND_US
            self.at[name] += chance.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2, 3)) - round(self.at[name] / 10)
            yield from self._told(name)

    def _told(self, name: str) -> Iterator[Tick]:
        """Now and then with an exact repeat, a late one, a bad print, or a price far off that is confirmed."""
        odd = self.chance.random()
        if odd < 0.004:
            yield self.tick(name, 1.25)
        elif odd < 0.006 and name != EURO:
            yield self.tick(name, 1.0625)
            yield self.tick(name, 1.0625)
        elif odd < 0.016:
            yield self.tick(name, late_us=5 * SECOND_US)
        elif odd < 0.026:
            yield self.tick(name)
        yield self.tick(name)

    def tick(self, name: str, times: float = 1.0, late_us: int = 0) -> Tick:
        base, step = GRID[name]
        price = (base + self.at[name] * step) * times
        venue = self.now - 50_000 - late_us
        if name == COIN and self.chance.random() < 0.7:
            size = self.chance.randrange(1, 9) / 4
            return Tick(name, 0, TRADE, price, None, None, size, venue if late_us else None, self.now, "")
        half = self.chance.choice((1, 1, 2, 4)) * step / 4
        return Tick(name, 0, QUOTE, price, price - half, price + half, None, venue, self.now, "")


def evening(count: int, seed: int) -> Iterator[Tick]:
    """About so many ticks of gold, silver, the euro (quotes) and bitcoin (trades with volume, and quotes)."""
    return _Evening(random.Random(seed)).ticks(count)


def payrolls() -> Iterator[Tick]:
    """Gold and the euro of that day, in the order of their times."""
    for each in days.payrolls():
        if isinstance(each, Tick) and each.verdict != Verdict.STANDBY:
            yield each


# -------------------------------------------------------------------------------------------------- alerts


def evening_alerts() -> list[AlertSpec]:
    """Every kind of condition on gold, and what takes several instruments, other sides, volumes."""
    gold, silver, euro, coin = (Price(instrument=name) for name in (GOLD, SILVER, EURO, COIN))
    gram = Price(instrument=GOLD, karat=22.0, currency="EUR", unit="gram")
    ratio = Ratio(over=gold, under=silver)
    gap = Difference(first=Price(instrument=GOLD, side="ask"), second=gold)
    minute, quarter = (Volume(instrument=COIN, window_us=span * SECOND_US) for span in (60, 900))
    seconds, hour = 30 * SECOND_US, 3_600 * SECOND_US
    strength = Indicator(name="rsi", of=gold, numbers=(7,), rung="1m", live=False)
    return [
        *days.alerts_on(GOLD, 1300.0, 1.0),
        alert(when(strength, "above", 60.0137)),
        alert(when(strength, "below", 45.0137), hold_us=120 * SECOND_US),
        alert(when(silver, "crosses", 20.0), hold_us=seconds),
        alert(when(silver, "above", 20.03125), at_most_us=300 * SECOND_US),
        alert(when(silver, "trails", 0.0625)),
        alert(when(euro, "crosses", 1.25), band=Band(0.0, False)),
        alert(when(coin, "crosses", 60_000.0)),
        alert(when(Price(instrument=COIN, side="bid"), "crosses", 60_004.0)),
        alert(when(Price(instrument=GOLD, side="bid"), "crosses", 1300.1)),
        alert(when(Spread(instrument=GOLD), "above", 0.25)),
        alert(when(Spread(instrument=COIN), "inside", 10.0, 20.0), hold_us=2 * SECOND_US),
        alert(when(gram, "crosses", 30.6487)),
        alert(when(gram, "trails", 0.1, percent=True)),
        alert(when(ratio, "outside", 64.9137, 65.0863), band=Band(0.1, True)),
        alert(when(ratio, "every", 0.137)),
        alert(when(Move(of=ratio, window_us=hour, way="either", percent=True), "above", 0.3137)),
        alert(when(gap, "above", 0.1), at_most_us=60 * SECOND_US),
        alert(when(minute, "above", 5.125)),
        alert(when(quarter, "crosses", 60.125)),
        alert(when(gold, "above", 1300.0), when(euro, "above", 1.25), join="and"),
        alert(when(gold, "above", 1300.0), when(silver, "below", 20.0), join="and", hold_us=seconds),
        alert(when(gold, "crosses", 1301.0), when(coin, "above", 60_048.0), join="or"),
        alert(when(silver, "above", 20.0), when(gold, "crosses", 1300.0), join="then", within_us=600 * SECOND_US),
        alert(when(minute, "above", 4.125), when(coin, "trails", 32.0), join="then", within_us=hour),
    ]


def payroll_alerts() -> list[AlertSpec]:
    """Those of the reference's day that one source can ring, and that may still be set: `until` is past by now."""
    return [spec for spec in days.payroll_alerts() if spec.sources == 1 and spec.until_us is None]
