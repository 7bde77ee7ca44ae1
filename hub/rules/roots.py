"""Roots: the instruments that series stand on, as their speaking sources show them. Pure.

A root's own price is the series that most alerts watch, so its book is the one that the engine's hot path fills. Time
in windows and candles is the venue's, or where that is more than SKEW_US off, the time of receipt (a vendor whose clock
is hours off must not stop a window); it never goes back. Depends on hub.rules.levels.
"""

from typing import TYPE_CHECKING, NamedTuple

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


class Root:
    """An instrument. `book` is that of its plain price; what stands on it is in order, inputs first."""

    __slots__ = (
        "aside_at", "asides", "ask", "bid", "book", "instrument", "last", "nodes", "others", "quotes",
        "received_at", "stale_since", "time", "volume",
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
        self.time = 0  # of the newest tick, and never back
        self.received_at = 0
        self.aside_at = 0  # newest venue_time of the other kind
        self.nodes: list[Node] = []  # that its price ticks move
        self.asides: list[Node] = []  # and those of its other kind
        self.others: dict[str, Other] | None = None  # by source; None: nobody asks for it

    def seen(self, venue_time: int | None, received_at: int) -> None:
        """The time of a tick."""
        at = received_at if venue_time is None or abs(venue_time - received_at) > SKEW_US else venue_time
        self.time = max(self.time, at)
        self.received_at = received_at

    @property
    def live(self) -> bool:
        return self.book.live


class Rate(NamedTuple):
    root: Root
    inverse: bool

    def value(self) -> float:
        price = self.root.book.value
        assert price is not None
        return 1 / price if self.inverse else price
