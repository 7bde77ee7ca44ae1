"""What the reference knows of a market: the newest of each instrument and of each source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.model import Instrument

SECOND_US = 1_000_000
TRADE, QUOTE = 0, 1
MOVES, ASIDE, STANDBY = (0, 1), 2, 3


class Tick(NamedTuple):
    instrument: str
    verdict: int
    kind: int
    price: float
    bid: float | None
    ask: float | None
    volume: float | None
    venue_time: int | None
    received_at: int
    source: str


@dataclass
class Seen:
    """What is known of an instrument."""

    live: bool = False
    last: float | None = None
    bid: float | None = None
    ask: float | None = None
    aside_time: int | None = None
    sources: dict[str, tuple[float, int]] = field(default_factory=dict)
    stamps: dict[str, int | None] = field(default_factory=dict)

    def later(self, tick: Tick) -> bool:
        """Whether something of later is known of its source."""
        stamp = self.stamps.get(tick.source)
        return stamp is not None and tick.venue_time is not None and tick.venue_time < stamp


class Market:
    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self.instruments = instruments
        self.seen = {name: Seen() for name in instruments}

    def basis(self, instrument: str) -> int:
        return TRADE if self.instruments[instrument].basis == "last" else QUOTE

    def take(self, tick: Tick) -> bool:
        """Whether series may stand on it. Ticks are values while their instrument is live, from its price on."""
        seen, basis = self.seen[tick.instrument], self.basis(tick.instrument)
        if tick.verdict in MOVES or (tick.verdict == STANDBY and tick.kind == basis and not seen.later(tick)):
            seen.sources[tick.source] = (tick.price, tick.received_at)
            seen.stamps[tick.source] = tick.venue_time
        if tick.verdict not in MOVES and tick.verdict != ASIDE:
            return False
        if tick.verdict == ASIDE and tick.venue_time is not None:
            if seen.aside_time is not None and tick.venue_time < seen.aside_time:
                return False
            seen.aside_time = tick.venue_time
        seen.live = seen.live or tick.verdict in MOVES
        if seen.live and tick.kind == TRADE:
            seen.last = tick.price
        elif seen.live:
            seen.bid, seen.ask = tick.bid, tick.ask
        return True

    def end(self, instrument: str) -> None:
        """It is stale or closed."""
        seen = self.seen[instrument]
        seen.live, seen.last, seen.bid, seen.ask = False, None, None, None

    def side(self, instrument: str, side: str) -> float | None:
        seen = self.seen[instrument]
        if side == "price":
            side = "last" if self.basis(instrument) == TRADE else "mid"
        if side == "mid":
            return None if seen.bid is None or seen.ask is None else (seen.bid + seen.ask) / 2
        return {"last": seen.last, "bid": seen.bid, "ask": seen.ask}[side]

    def pairs(self, source: str, target: str) -> list[tuple[str, bool]]:
        """The exchange rates between two currencies, each with whether it is to be divided by: one, or two."""
        if source == target:
            return []
        pairs = [name for name, one in self.instruments.items() if one.class_ == "fx"]
        steps = [tuple(name.split("-")) for name in pairs]
        steps += [(second, first) for first, second in steps]
        for way in ([(source, target)], *([(source, by), (by, target)] for _, by in steps)):
            if all(step in steps for step in way):
                return [
                    (one, False) if (one := "-".join(step)) in pairs else ("-".join(step[::-1]), True) for step in way
                ]
        raise ValueError(f"no pair connects {source} and {target}")
