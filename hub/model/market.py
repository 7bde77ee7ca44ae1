"""Markets: instruments, what ticks of them, and what is told of their prices."""

from enum import IntEnum, StrEnum
from typing import Literal

import msgspec

from hub.model.base import Noun


class Kind(IntEnum):
    """What a tick reports: something that was traded, or what somebody offers to trade at."""

    TRADE = 0
    QUOTE = 1


class Verdict(IntEnum):
    """What the arbiter said of a tick. Only ticks below `MOVES` move the price; all are stored."""

    PRICE = 0  # from the speaking source, of the instrument's price basis
    CONFIRMED = 1  # was held as an outlier and then confirmed; moves the price when it is let go
    ASIDE = 2  # the speaking source's other kind (a trade where the basis is mid, a quote where it is last)
    STANDBY = 3  # from a source that does not speak for the instrument now
    LATE = 4  # older than the newest stamped tick of its source and kind; corrects its candle only
    OUTLIER = 5  # left the recent range and nothing confirmed it
    CLOSED = 6  # arrived while the instrument's session is closed


MOVES = 2
"""Verdicts below this one move the price, the Quote and the ladder."""


class Nature(StrEnum):
    """Where a source's prices come from; whatever is not live is said wherever it is shown."""

    LIVE = "live"
    POLLED = "polled"
    SIMULATED = "simulated"
    RECORDING = "recording"


class Tick(Noun, frozen=True, kw_only=True, gc=False):
    """One update of one instrument by one source, as a feed emits it and as history returns it.

    A trade has `price`; a quote has `bid` and `ask`, and its price is their mid. `venue_time` is absent
    where the vendor stamps none. `number` is the vendor's own growing number (trade id, update id, line of
    a recording), counted per (source, instrument, kind); ingest drops what it already has by it, so set
    it only where the vendor promises that it grows. `received_at` is stamped by ingest, unless the feed is
    a recording that keeps its own times. `source` is the feed's name unless the feed sets it.
    """

    instrument: str
    kind: Kind
    price: float | None = None
    bid: float | None = None
    ask: float | None = None
    volume: float | None = None
    venue_time: int | None = None
    received_at: int | None = None
    source: str = ""
    number: int | None = None
    verdict: Verdict = Verdict.PRICE


class Refused(Noun, frozen=True, kw_only=True, gc=False):
    """What a feed got and could not take as a tick. `reason` is a short fixed phrase that is counted
    ("broken JSON", "bid above ask"); `sample` is for the log, cut to what is safe to show. `number` is as
    on Tick, for feeds that resume (lane: instrument "" and kind absent)."""

    reason: str
    sample: str = ""
    number: int | None = None
    instrument: str = ""


class Session(Noun, frozen=True, kw_only=True):
    """Weekly open windows in a time zone. `windows` holds (weekday Monday=0, start, end) in seconds of the
    local day, end 86,400 = midnight; no windows = open around the clock. `holidays` are local ISO dates."""

    time_zone: str = "UTC"
    windows: tuple[tuple[int, int, int], ...] = ()
    holidays: tuple[str, ...] = ()


class Instrument(Noun, frozen=True, kw_only=True):
    id: str  # "XAU-USD", "AAPL": upper case letters, digits, "-", "." and "_"
    name: str  # "Gold"
    aliases: tuple[str, ...] = ()
    class_: Literal["metal", "crypto", "fx", "stock", "other"] = msgspec.field(default="other", name="class")
    currency: str = "USD"
    unit: str = ""  # "troy ounce" for metals
    decimals: int = 2  # of a displayed price
    basis: Literal["last", "mid"] = "last"
    session: str = "24x7"  # a name in instruments.SESSIONS
    outlier: float = 0.05  # share of the recent range's edge beyond which a tick is held
    stale_after_s: float = 60.0  # silence in open hours after which the instrument is blind


class Quote(Noun, frozen=True, kw_only=True):
    """The newest price of an instrument with its day (the UTC day). Published on core NATS; may be dropped."""

    instrument: str
    price: float
    bid: float | None = None
    ask: float | None = None
    time: int  # venue_time of the tick that set the price, else its received_at
    received_at: int
    source: str
    nature: Nature = Nature.LIVE
    open: float
    high: float
    low: float
    previous: float | None = None  # the previous day's close, where history knows it
    market_open: bool = True
    stale_since: int | None = None


class Candle(Noun, frozen=True, kw_only=True, gc=False):
    """One interval of an instrument's price. `sum` and `sum_squares` are of (price - open), so that mean and
    standard deviation come from candles without cancellation. `volume` is the sum of what ticks stated."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    count: int
    sum: float
    sum_squares: float


class Summary(Noun, frozen=True, kw_only=True):
    """What the price of an instrument did in [start, end), over every tick that moved it. `open` and `close` are the
    first and last such price in it. Shares are of one: 0.02 is 2 %."""

    instrument: str
    start: int
    end: int
    count: int
    open: float
    high: float
    low: float
    close: float
    mean: float  # of the ticks, each counting once
    stddev: float  # of the ticks, of the population
    volume: float  # what the ticks stated; 0 where no source states volumes
    change: float  # close - open, as a share of the open
    drawdown: float  # the deepest fall below a peak before it, as a share of the peak; 0 or more
    volatility: float | None = None  # yearly; hub.history.statistics says how. Absent where there are too few candles


class Mover(Noun, frozen=True, kw_only=True):
    """How much an instrument moved, for rankings."""

    instrument: str
    change: float  # as a share
    volatility: float | None = None  # as in Summary


class Rate(Noun, frozen=True, kw_only=True):
    """What one of a currency costs in another, by live prices. `received_at` is of the oldest price in it, `legs` are
    the instruments that it came from; none for a currency in itself."""

    value: float
    received_at: int | None = None
    legs: tuple[str, ...] = ()
    stale: bool = False  # one of the legs is


class Split(Noun, frozen=True, kw_only=True):
    """Of a stock: `numerator` new shares for `denominator` old ones, from the instant `at` on. `day` is that day where
    the instrument is traded; `told_by` who said so, a person or a feed."""

    id: int
    instrument: str
    day: str
    numerator: int
    denominator: int
    at: int
    told_by: str = ""

    @property
    def factor(self) -> float:
        """By which a price from before it counts."""
        return self.denominator / self.numerator

    @property
    def ratio(self) -> str:
        return f"{self.numerator}:{self.denominator}"
