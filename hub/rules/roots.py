"""Roots: the instruments that series stand on, as their speaking sources show them. Pure.

A root's own price is the series that most alerts watch, so its book is the one that the engine's hot path fills. Time
in windows and candles is the venue's, or where that is more than SKEW_US off, the time of receipt (a vendor whose clock
is hours off must not stop a window); it never goes back. Depends on hub.rules.levels.
"""

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hub.model import SECOND_US, Instrument
from hub.rules import series as of
from hub.rules.levels import Levels
from hub.rules.series import Price

if TYPE_CHECKING:
    from hub.rules.nodes import Node

SKEW_US = 900 * SECOND_US


class Book(Levels):
    """The gates on one series, and its newest value with what evidence needs. `live`: that is its value now."""

    __slots__ = ("alone", "at", "instrument", "key", "live", "received_at", "source", "value")

    def __init__(self, key: str, instrument: str) -> None:
        super().__init__()
        self.key = key
        self.instrument = instrument
        self.live = False
        self.value: float | None = None
        self.at: int | None = None  # venue_time
        self.received_at = 0
        self.source = ""
        self.alone = (self,)  # as most alerts keep it


class Other(NamedTuple):
    """The newest price of a source, whether it speaks or not."""

    price: float
    received_at: int
    at: int | None = None  # venue_time


def is_late(known: Other | None, at: int | None) -> bool:
    """Whether a price of that venue_time is older than the one that is known of its source."""
    return known is not None and known.at is not None and at is not None and at < known.at


class Sides(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of an instrument beside its price, so that it is known behind a death. `at`: when the newest of it
    was received."""

    at: int
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    aside_at: int = 0
    others: dict[str, Other] = {}


class Root:
    """An instrument. `book` is that of its plain price; what stands on it is in order, inputs first."""

    __slots__ = (
        "aside_at", "aside_received_at", "aside_time", "asides", "ask", "bid", "book", "instrument", "last", "nodes",
        "others", "quotes", "received_at", "stale_since", "time", "volume",
    )  # fmt: skip

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.quotes = instrument.basis == "mid"  # whether its price basis is of quotes
        self.book = Book(of.key(Price(instrument=instrument.id)), instrument.id)
        self.bid: float | None = None
        self.ask: float | None = None
        self.last: float | None = None
        self.volume = 0.0  # that the tick at hand states, if it is a trade
        self.stale_since: int | None = None
        self.time = 0  # of the newest tick of its price, and never back
        self.received_at = 0
        self.aside_time = 0  # the same of its other kind
        self.aside_received_at = 0
        self.aside_at = 0  # newest venue_time of that
        self.nodes: list[Node] = []  # that its price ticks move
        self.asides: list[Node] = []  # and those of its other kind
        self.others: dict[str, Other] | None = None  # by source; None: nobody asks for it

    def seen(self, venue_time: int | None, received_at: int) -> None:
        """The time of a tick of its price."""
        self.time = max(self.time, time_of(venue_time, received_at))
        self.received_at = received_at

    def seen_aside(self, venue_time: int | None, received_at: int) -> None:
        """And of its other kind."""
        self.aside_at = venue_time or self.aside_at
        self.aside_time = max(self.aside_time, time_of(venue_time, received_at))
        self.aside_received_at = received_at

    def ends(self) -> None:
        """It is stale, or its market has closed: what it said before is no value when it is back."""
        self.bid = self.ask = self.last = None

    def carry_over(self, factor: float, at: int) -> None:
        """Prices from before that instant count `factor` times as much, and as of then."""
        book = self.book
        book.value = None if book.value is None else book.value * factor
        book.received_at = at
        self.bid, self.ask, self.last = (
            None if price is None else price * factor for price in (self.bid, self.ask, self.last)
        )
        if self.others is not None:
            self.others = {name: Other(one.price * factor, one.received_at) for name, one in self.others.items()}

    @property
    def live(self) -> bool:
        return self.book.live

    def remember(self) -> Sides | None:
        """None where nobody asks for it."""
        if not (self.nodes or self.asides or self.others):
            return None
        at = max(self.received_at, self.aside_received_at)
        return Sides(at, self.bid, self.ask, self.last, self.aside_at, self.others or {})

    def recall(self, sides: Sides, received_at: int) -> None:
        """`received_at`: of its price; what is much older than that was not kept of late."""
        if sides.at >= received_at - SKEW_US:
            self.bid, self.ask, self.last, self.aside_at = sides.bid, sides.ask, sides.last, sides.aside_at
            self.others = dict(sides.others) or None

    def adopt(self, twin: "Root") -> None:
        """What a root of the same instrument, at the same place in the stream, knows and this one was not asked for."""
        if self.book.value is None:
            book, known = self.book, twin.book
            book.value, book.at, book.live = known.value, known.at, known.live
            book.received_at, book.source = known.received_at, known.source
            self.stale_since = twin.stale_since
            self.time, self.received_at = twin.time, twin.received_at
        if not (self.nodes if self.quotes else self.asides):
            self.bid, self.ask = twin.bid, twin.ask
        if not (self.asides if self.quotes else self.nodes):
            self.last = twin.last
        if not self.asides:
            self.aside_time, self.aside_received_at, self.aside_at = (
                twin.aside_time, twin.aside_received_at, twin.aside_at,
            )  # fmt: skip
        if not self.others and twin.others:
            self.others = dict(twin.others)


def time_of(venue_time: int | None, received_at: int) -> int:
    return received_at if venue_time is None or abs(venue_time - received_at) > SKEW_US else venue_time


class Rate(NamedTuple):
    root: Root
    inverse: bool

    def value(self) -> float:
        price = self.root.book.value
        assert price is not None
        return 1 / price if self.inverse else price
