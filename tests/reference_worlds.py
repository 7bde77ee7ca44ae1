"""Markets for the reference and the hub to be held against each other, as hypothesis strategies.

A happening is decoded from one integer, so that a world is made quickly and shrinks to a few plain ticks. Prices stand
on a coarse grid of binary fractions around one price each, so that levels on the same grid are touched exactly, passed
over, and visited again.
"""

from dataclasses import dataclass, field

import hypothesis.strategies as st

from hub.frame import EventKind
from hub.instruments import CATALOGUE
from hub.model import Instrument, Verdict
from tests.reference import Beat, Happening, Told
from tests.reference_market import QUOTE, SECOND_US, TRADE, Tick

GRID: dict[str, tuple[float, float]] = {
    "XAU-USD": (1300.0, 1.0),
    "XAG-USD": (20.0, 0.0625),
    "BTC-USD": (60_000.0, 128.0),
    "EUR-USD": (1.25, 1 / 256),
}
"""Instrument → the price that it stays around, and the steps that it goes in."""
INSTRUMENTS: dict[str, Instrument] = {one.id: one for one in CATALOGUE if one.id in GRID}
NAMES = tuple(GRID)
MIDNIGHT_US = 1_700_006_400 * SECOND_US
FURTHEST = 10
"""Steps from the price that an instrument stays around."""

STEPS = (0, 1, -1, 0, 1, -1, 2, -2, 0, 3, -3, 5, -5, 8, -8, 1)
GAPS_US = (
    0, 1_000_000, 500_000, 0, 1, 1_000, 100_000, 1_000_000, 2_000_000, 3_000_000, 5_000_000, 7_000_000, 0,
    300_000, 20_000_000, 61_000_000,
)  # fmt: skip
STAMPS_US: tuple[int | None, ...] = (0, 0, None, -200_000, -3_000_000, -70_000_000, -900_000_000, 1_000_000)
"""A venue's time less our own."""
WORDS = 1 << 24
"""Up to here hypothesis draws integers evenly."""


@dataclass
class World:
    """Happenings, and those behind which a frame ends."""

    happenings: list[Happening]
    cuts: set[int]


@dataclass
class _Maker:
    clock: int
    pace: float
    stamped: bool
    names: tuple[str, ...]
    at: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    closed: set[str] = field(default_factory=set)
    happenings: list[Happening] = field(default_factory=list)
    cuts: set[int] = field(default_factory=set)

    def take(self, word: int) -> None:
        word, action = divmod(word, 32)
        word, which = divmod(word, 4)
        word, step = divmod(word, 16)
        word, gap = divmod(word, 16)
        word, stamp = divmod(word, 8)
        word, source = divmod(word, 4)
        word, size = divmod(word, 4)
        name = self.names[which % len(self.names)]
        self.clock += round(GAPS_US[gap] * self.pace)
        if action >= 30:
            self.happenings.append(Beat(self.clock))
        elif action >= 28:
            self._told(name, EventKind.STALE if action == 28 else EventKind.CLOSED)
        elif action:
            self._tick(name, _verdict(action, source), STEPS[step], STAMPS_US[stamp], source, size)
        if word == 1:
            self.cuts.add(len(self.happenings) - 1)

    def _told(self, name: str, kind: EventKind) -> None:
        if kind == EventKind.CLOSED:
            self.closed.add(name)
        self.happenings.append(Told(kind, name, self.clock))

    def _tick(self, name: str, verdict: Verdict, step: int, stamp: int | None, source: int, size: int) -> None:
        if name in self.closed and source:
            self.closed.discard(name)
            self.happenings.append(Told(EventKind.OPENED, name, self.clock))
        if name in self.closed:
            verdict = Verdict.CLOSED
        basis = TRADE if INSTRUMENTS[name].basis == "last" else QUOTE
        kind = 1 - basis if verdict == Verdict.ASIDE or (verdict == Verdict.STANDBY and size == 3) else basis
        at = self.at[name] + step
        at = at if abs(at) <= FURTHEST else self.at[name] - step
        if verdict in (Verdict.PRICE, Verdict.CONFIRMED):
            self.at[name] = at
        received = self.clock - (1_500_000 if verdict == Verdict.CONFIRMED else 0)
        venue = None if stamp is None else received + (stamp if self.stamped else 0)
        speaks = verdict != Verdict.STANDBY
        who = ("a" if source < 3 else "b") if speaks else ("b" if source < 2 else "c")
        self.happenings.append(tick(name, verdict, kind, at, size, venue, received, who))


def _verdict(action: int, which: int) -> Verdict:
    if action < 20:
        return Verdict.PRICE
    if action == 27:
        return (Verdict.LATE, Verdict.OUTLIER, Verdict.CLOSED, Verdict.CONFIRMED)[which]
    return Verdict.CONFIRMED if action == 20 else Verdict.ASIDE if action < 24 else Verdict.STANDBY


def tick(name: str, verdict: int, kind: int, step: int, size: int, venue: int | None, at: int, source: str) -> Tick:
    """Of a trade of so many quarters, of none that is told where it is 0; or of a quote with a spread by that."""
    base, unit = GRID[name]
    price, half = base + step * unit, (1, 2, 4, 8)[size] * unit / 8
    if kind == TRADE:
        return Tick(name, verdict, kind, price, None, None, size / 4 or None, venue, at, source)
    return Tick(name, verdict, kind, price, price - half, price + half, None, venue, at, source)


BEFORE = st.sampled_from((-3_600, 0, -30, -300))
"""Seconds from midnight to the beginning."""


@st.composite
def worlds(draw: st.DrawFn, names: tuple[str, ...] = NAMES, least: int = 100, most: int = 250) -> World:
    before = draw(BEFORE) * SECOND_US
    maker = _Maker(
        MIDNIGHT_US + before + draw(st.sampled_from((0, 250_000))),
        draw(st.sampled_from((1.0, 0.1, 5.0, 30.0))),
        draw(st.booleans()),
        names,
    )
    for word in draw(st.lists(st.integers(0, WORDS - 1), min_size=least, max_size=most)):
        maker.take(word)
    return World(maker.happenings, maker.cuts)
