"""Which source speaks for an instrument, what is an outlier, what is stale. Pure.

One Desk an instrument. Sources stand in order of preference; the first fresh one speaks, on its silence the next
takes over, and the change is an event. Only the speaker's ticks of the instrument's price basis move the price. A
price that leaves the recent range by more than the instrument's limit is held until a second tick or another source
confirms it; what nothing confirms is let go as an outlier. Time comes in with the ticks and with `advance`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.frame import EventKind
from hub.model import SECOND_US, Instrument, Kind, Verdict

HOLD_US = 300 * SECOND_US
"""A held tick that nothing confirms for so long is an outlier."""
RANGE_TICKS = 64
"""The recent range spans the last one to two times so many prices."""
FOREVER = 1 << 62
NEVER = -FOREVER


@dataclass(slots=True, frozen=True)
class Happened:
    """An event of the stream, to stand before the tick that is being judged."""

    kind: EventKind
    time: int
    source: str = ""
    text: str = ""


@dataclass(slots=True)
class Held:
    """A tick on probation: what ingest needs to publish it later, and the price to hold others against."""

    tick: Any
    price: float
    source: str
    since: int


@dataclass(slots=True, frozen=True)
class Judged:
    """`released` (with its verdict) goes into the stream before the tick at hand; `verdict` None: it is held."""

    verdict: Verdict | None
    released: tuple[Any, Verdict] | None = None
    events: tuple[Happened, ...] = ()


PRICE = Judged(Verdict.PRICE)
ASIDE = Judged(Verdict.ASIDE)
STANDBY = Judged(Verdict.STANDBY)
LATE = Judged(Verdict.LATE)

HoursAt = Callable[[int], tuple[bool, int]]
"""Whether the session is open at a time, and until when that stays so."""


class Desk:
    """What is decided for one instrument. Give every accepted tick to `judge`, in order, and the clock to
    `advance`; both may answer with events that belong into the stream before whatever comes next."""

    __slots__ = (
        "_basis", "_fresh_for", "_hours", "_last_of", "_limit", "_newest", "_rank", "_stale_after", "held", "high",
        "instrument", "last_at", "low", "older_high", "older_low", "open", "open_until", "price", "price_from",
        "price_to", "range_count", "rejected", "speaker", "stale_since", "stamped",
    )  # fmt: skip

    def __init__(
        self, instrument: Instrument, order: Sequence[str], fresh_for_us: Mapping[str, int], hours: HoursAt
    ) -> None:
        self.instrument = instrument
        self._basis = Kind.TRADE if instrument.basis == "last" else Kind.QUOTE
        self._rank = {source: rank for rank, source in enumerate(order)}
        self._fresh_for = fresh_for_us
        self._hours = hours
        self._stale_after = round(instrument.stale_after_s * SECOND_US)
        self._limit = instrument.outlier
        self._newest: dict[tuple[str, int], int] = {}  # newest venue_time by source and kind
        self._last_of: dict[str, int] = {}  # received_at of the newest basis tick by source
        self.speaker = ""
        self.price: float | None = None
        self.last_at = 0  # received_at of the newest price
        self.stale_since: int | None = None
        self.open = True
        self.open_until = 0
        self.held: Held | None = None
        self.rejected: float | None = None  # what was let go unconfirmed; a later tick may still agree with it
        self.low = self.older_low = float("inf")
        self.high = self.older_high = float("-inf")
        self.range_count = 0
        self.price_from, self.price_to = float("inf"), float("-inf")  # what fits the recent range
        self.stamped = NEVER  # newest venue_time of the speaker's basis ticks

    def seed(self, price: float, at: int, source: str, stamps: Mapping[tuple[str, int], int]) -> None:
        """What history knows: the last price, from which the recent range starts, so that a first bad print is held;
        who spoke; and the newest venue_time by source and kind."""
        self.price, self.last_at, self.speaker = price, at, source
        self._last_of[source] = at
        self._newest.update(stamps)
        self.stamped = self._newest.get((source, self._basis), NEVER)
        self._see(price)

    def judge(self, tick: Any, source: str, kind: int, price: float, venue_time: int | None, now: int) -> Judged:
        """The verdict on one tick with a sound price. `tick` is kept while it is held and handed back as it is."""
        if (  # the ordinary tick: the speaker's, in time, in range, with nothing else going on
            source == self.speaker
            and kind == self._basis
            and now < self.open_until
            and self.open
            and self.held is None
            and self.stale_since is None
            and self.price_from <= price <= self.price_to
            and now - self.last_at <= self._stale_after
            and (venue_time is None or venue_time >= self.stamped)
        ):
            if venue_time is not None:
                self.stamped = venue_time
            self.price, self.last_at = price, now
            self.range_count += 1
            if price < self.low or price > self.high or self.range_count >= RANGE_TICKS:
                self.range_count -= 1
                self._see(price)
            return PRICE
        return self._judge(tick, source, kind, price, venue_time, now)

    def _judge(self, tick: Any, source: str, kind: int, price: float, venue_time: int | None, now: int) -> Judged:
        if self.stamped != NEVER:
            self._newest[self.speaker, self._basis] = self.stamped
        judged = self._judge_slowly(tick, source, kind, price, venue_time, now)
        self.stamped = self._newest.get((self.speaker, self._basis), NEVER)
        return judged

    def _judge_slowly(
        self, tick: Any, source: str, kind: int, price: float, venue_time: int | None, now: int
    ) -> Judged:
        events = self.advance(now)
        if not self.open:
            return Judged(Verdict.CLOSED, None, events)
        late = False
        if venue_time is not None:
            lane = (source, kind)
            newest = self._newest.get(lane)
            if newest is None or venue_time >= newest:
                self._newest[lane] = venue_time
            else:
                late = True
        if kind != self._basis:
            return Judged(Verdict.ASIDE if source == self.speaker else Verdict.STANDBY, None, events)
        if source != self.speaker:
            if not late and self._may_speak(source, now):
                events = (*events, Happened(EventKind.TAKEOVER, now, source, self.speaker))
                self.speaker = source
            else:
                self._last_of[source] = now
                if late:  # what it said before confirms nothing now
                    return Judged(Verdict.STANDBY, None, events) if events else STANDBY
                return self._seconded(source, price, events)
        self._last_of[source] = now
        if late:
            return Judged(Verdict.LATE, None, events) if events else LATE
        if self.held is None and (self.price is None or self._fits(price)):
            return self._accept(price, now, None, events)
        return self._suspect(tick, source, price, now, events)

    def _accept(
        self, price: float, now: int, released: tuple[Any, Verdict] | None, events: tuple[Happened, ...]
    ) -> Judged:
        if self.stale_since is not None:
            events = (*events, Happened(EventKind.FRESH, now))
            self.stale_since = None
        self.price, self.last_at, self.rejected = price, now, None
        self._see(price)
        return Judged(Verdict.PRICE, released, events) if events or released else PRICE

    def _see(self, price: float) -> None:
        if price < self.low:
            self.low = price
        if price > self.high:
            self.high = price
        self.range_count += 1
        if self.range_count >= RANGE_TICKS:
            self.older_low, self.older_high = self.low, self.high
            self.low = self.high = price
            self.range_count = 0
        self._set_limits()

    def _set_limits(self) -> None:
        self.price_from = min(self.low, self.older_low) * (1 - self._limit)
        self.price_to = max(self.high, self.older_high) * (1 + self._limit)

    def _fits(self, price: float) -> bool:
        return self.price_from <= price <= self.price_to

    def _near(self, price: float, other: float) -> bool:
        return abs(price - other) <= self._limit * other

    def _suspect(self, tick: Any, source: str, price: float, now: int, events: tuple[Happened, ...]) -> Judged:
        """A tick beyond the recent range, or one that comes while another is held."""
        released = None
        if self.held is not None:
            held, self.held = self.held, None
            if self._near(price, held.price) and not self._fits(price):
                self._restart_range(held.price)
                return self._accept(price, now, (held.tick, Verdict.CONFIRMED), events)
            released = (held.tick, Verdict.OUTLIER)
        if self._fits(price):
            return self._accept(price, now, released, events)
        if self.rejected is not None and self._near(price, self.rejected):
            self._restart_range(price)
            return self._accept(price, now, released, events)
        self.held = Held(tick, price, source, now)
        return Judged(None, released, events)

    def _restart_range(self, price: float) -> None:
        self.older_low, self.older_high = float("inf"), float("-inf")
        self.low = self.high = price
        self.range_count = 0
        self._set_limits()

    def _seconded(self, source: str, price: float, events: tuple[Happened, ...]) -> Judged:
        """A standby source's price: it moves nothing, but it confirms the speaker's held tick."""
        held = self.held
        if held is not None and source != held.source and self._near(price, held.price):
            self.held = None
            self._restart_range(held.price)
            self.price, self.last_at = held.price, held.since
            return Judged(Verdict.STANDBY, (held.tick, Verdict.CONFIRMED), events)
        return Judged(Verdict.STANDBY, None, events) if events else STANDBY

    def _may_speak(self, source: str, now: int) -> bool:
        if not self.speaker:
            return True
        if self._rank.get(source, FOREVER) < self._rank.get(self.speaker, FOREVER):
            return True
        silent_for = now - max(self._last_of.get(self.speaker, 0), self.last_at)
        return silent_for > self._fresh_for.get(self.speaker, 0)

    def forget_stamps(self, source: str) -> None:
        """Its clock is another one from here on: what it has stamped makes nothing late any more."""
        for lane in [lane for lane in self._newest if lane[0] == source]:
            del self._newest[lane]
        if source == self.speaker:
            self.stamped = NEVER

    def advance(self, now: int) -> tuple[Happened, ...]:
        """What the clock alone brings: opening, closing, staleness. Cheap while nothing is due."""
        events: tuple[Happened, ...] = ()
        if now >= self.open_until:
            events = self._turn(now)
        if self.open and self.stale_since is None and self.price is not None and now - self.last_at > self._stale_after:
            self.stale_since = self.last_at
            events = (*events, Happened(EventKind.STALE, self.last_at + self._stale_after))
        return events

    def _turn(self, now: int) -> tuple[Happened, ...]:
        was, first = self.open, self.open_until == 0
        turned_at = self.open_until
        self.open, self.open_until = self._hours(now)
        if self.open == was and not (first and not self.open):
            return ()
        if self.open:
            self.last_at = now  # silence counts from the opening
            return (Happened(EventKind.OPENED, turned_at),)
        self.stale_since = None
        return (Happened(EventKind.CLOSED, now if first else turned_at),)

    def let_go(self, now: int | None = None) -> tuple[Any, Verdict] | None:
        """The held tick as an outlier: when it has waited too long (`now` given), or at the source's end."""
        if self.held is None or (now is not None and now - self.held.since < HOLD_US):
            return None
        held, self.held = self.held, None
        self.rejected = held.price
        return held.tick, Verdict.OUTLIER
