"""A simulated market: gold, silver, bitcoin, ether, the euro and a stock, without a network.

    [feeds.demo]
    symbols = { XAU-USD = "XAU-USD", BTC-USD = "BTC-USD" }

Believable, not real, and marked SIMULATED wherever it is shown. The logarithm of a price moves like a random walk of
the profile's yearly volatility that stays near its start, through quiet times and bursts: in a burst ticks come
faster, move further and stand wider. Metals and currencies are quotes, coins and stocks trades. The market never
closes unless `sessions` is set.

A price is a function of the seed and the clock (`Path`), so a hub that starts again finds the market where it would
have gone meanwhile, not back at its start: no level is crossed that the market did not cross. When the ticks come is
random; `Market` is deterministic for a seed and a start.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Annotated

import msgspec

from hub.model import SECOND_US, Kind, Nature, Tick
from hub.plugin import Emit, GiveUp, Last

NATURE = Nature.SIMULATED

YEAR_S = 365.25 * 86_400
SLOT_S = 51.0  # each holds one burst somewhere
BURST_S, LONGEST_BURST_S = 6.0, 30.0  # on average, and at most
QUIET_TICKS_PER_S, BURST_TICKS_PER_S = 2.0, 9.0
BURST_MOVE = 3.0  # a burst's volatility, in quiet ones
BURST_SPREAD = 2.5
OCTAVES = 18  # waves of 1, 2, 4 s ... 36 h, which together move like a random walk
WAVE = 0.5  # one wave's share, such that a minute's moves have the profile's volatility
MAX_PAUSE_US = 5 * SECOND_US
SHORTEST_SLEEP_S = 0.005


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    start: float
    volatility: float  # a year's, as a share of the price
    decimals: int
    spread: float  # in quiet times, in the currency
    kind: Kind
    volume: float = 1.0  # the median trade's
    volume_decimals: int = 0
    session: str = "24x7"  # a name in hub.sessions, for `sessions = true`


PROFILES: dict[str, Profile] = {
    "XAU-USD": Profile(
        start=4165.0,
        volatility=0.18,
        decimals=2,
        spread=0.35,
        kind=Kind.QUOTE,
        session="metals-otc",
    ),
    "XAG-USD": Profile(
        start=51.5,
        volatility=0.32,
        decimals=3,
        spread=0.02,
        kind=Kind.QUOTE,
        session="metals-otc",
    ),
    "EUR-USD": Profile(
        start=1.158,
        volatility=0.075,
        decimals=5,
        spread=0.00008,
        kind=Kind.QUOTE,
        session="fx",
    ),
    "BTC-USD": Profile(
        start=91_500.0,
        volatility=0.5,
        decimals=2,
        spread=0.02,
        kind=Kind.TRADE,
        volume=0.02,
        volume_decimals=5,
    ),
    "ETH-USD": Profile(
        start=3050.0,
        volatility=0.65,
        decimals=2,
        spread=0.02,
        kind=Kind.TRADE,
        volume=0.4,
        volume_decimals=4,
    ),
    "AAPL": Profile(
        start=271.0,
        volatility=0.28,
        decimals=2,
        spread=0.02,
        kind=Kind.TRADE,
        volume=60.0,
        session="us-stocks",
    ),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: int = 0  # each seed is a market of its own, which the clock moves on also while no hub runs
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0  # times the ticks per second; the moves per hour stay
    start: dict[str, Annotated[float, msgspec.Meta(gt=0)]] = {}  # start prices by instrument, instead of the built-in
    sessions: bool = False  # true: silent while the instrument's market is closed


async def run(settings: Settings, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    """Never returns. After a pause (a full hub, a machine asleep) the market goes on from now."""
    profiles = profiles_of(symbols, settings.start)
    trades_at = opening_hours(profiles) if settings.sessions else _always
    market = Market(profiles, settings.seed, _now_us(), settings.speed)
    while True:
        for tick in market.step(_now_us()):
            if trades_at(tick.instrument, tick.venue_time or 0):
                await emit(tick)
        await asyncio.sleep(max(SHORTEST_SLEEP_S, (market.next_at - _now_us()) / SECOND_US))


def profiles_of(symbols: Mapping[str, str], start: Mapping[str, float]) -> dict[str, Profile]:
    """The profile of each instrument asked for, all of them if none is. `symbols` names them by what they move
    like: { GOLD = "XAU-USD" } is an instrument GOLD with the walk of gold."""
    wanted = dict(symbols) or {name: name for name in PROFILES}
    unknown = [like or name for name, like in wanted.items() if (like or name) not in PROFILES]
    if unknown:
        raise GiveUp(f"the demo market has no {', '.join(unknown)}; it has {', '.join(PROFILES)}")
    strange = [name for name in start if name not in wanted]
    if strange:
        raise GiveUp(f"start names {', '.join(strange)}, which the demo market does not serve")
    profiles = {name: PROFILES[like or name] for name, like in wanted.items()}
    return {name: msgspec.structs.replace(p, start=start.get(name, p.start)) for name, p in profiles.items()}


class Market:
    """All walks in one order of time. `step(now_us)` returns the ticks since the last step; the first step at
    the start holds one of each instrument. `next_at` is when the next tick is due."""

    def __init__(self, profiles: Mapping[str, Profile], seed: int, start_us: int, speed: float = 1.0) -> None:
        self._walks = []
        for name, profile in profiles.items():
            # A path and a generator for each, so that an instrument moves the same way whichever others there are.
            path, random = Path(f"{seed} {name}"), Random(f"{seed} {name} {start_us}")
            self._walks.append(Walk(name, profile, path, random, speed))
        self._due = [(start_us, index) for index in range(len(self._walks))]

    @property
    def next_at(self) -> int:
        return self._due[0][0]

    def step(self, now_us: int) -> list[Tick]:
        ticks = []
        while self._due[0][0] <= now_us:
            at, index = self._due[0]
            at = max(at, now_us - MAX_PAUSE_US)
            ticks.append(self._walks[index].tick(at))
            heapq.heapreplace(self._due, (at + self._walks[index].wait_us(), index))
        ticks.sort(key=lambda tick: tick.venue_time or 0)
        return ticks


class Path:
    """How far a market has moved by any moment, in moves of one second: waves of noise of many lengths, on a clock
    that runs faster in bursts. The same at every call; only the stretch around the last moment is kept."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waves: list[tuple[int, float, float]] = [(-1, 0.0, 0.0)] * OCTAVES
        self._slot = (-1, 0.0, 0.0)

    def at(self, time_us: int) -> float:
        market_s, moved = self._market_s(time_us / SECOND_US), 0.0
        for octave in range(OCTAVES):
            length_s = float(1 << octave)
            index = int(market_s / length_s)
            if self._waves[octave][0] != index:
                self._waves[octave] = (index, self._noise(octave, index), self._noise(octave, index + 1))
            _, left, right = self._waves[octave]
            moved += math.sqrt(length_s) * (left + (right - left) * (market_s / length_s - index))
        return WAVE * moved

    def in_burst(self, time_us: int) -> bool:
        _, start_s, length_s = self._slot_at(time_us / SECOND_US)
        return start_s <= time_us / SECOND_US % SLOT_S < start_s + length_s

    def _noise(self, octave: int, index: int) -> float:
        return Random(f"{self._name} {octave} {index}").gauss(0.0, 1.0)

    def _market_s(self, time_s: float) -> float:
        """The time that the market lived through: each slot's own length, most of it in its burst."""
        index, start_s, length_s = self._slot_at(time_s)
        passed_s = time_s - index * SLOT_S
        burst_s = min(max(passed_s - start_s, 0.0), length_s)
        share = SLOT_S / (SLOT_S + (BURST_MOVE**2 - 1) * length_s)
        return index * SLOT_S + share * (passed_s + (BURST_MOVE**2 - 1) * burst_s)

    def _slot_at(self, time_s: float) -> tuple[int, float, float]:
        """One slot's number, and when its burst begins and how long it is."""
        index = int(time_s // SLOT_S)
        if self._slot[0] != index:
            random = Random(f"{self._name} burst {index}")
            length_s = min(random.expovariate(1 / BURST_S), LONGEST_BURST_S)
            self._slot = (index, random.uniform(0.0, SLOT_S - length_s), length_s)
        return self._slot


class Walk:
    """One instrument's ticks along its path."""

    def __init__(self, instrument: str, profile: Profile, path: Path, random: Random, speed: float) -> None:
        self._instrument = instrument
        self._profile = profile
        self._path = path
        self._random = random
        self._speed = speed
        self._burst = False
        self._move = profile.volatility / math.sqrt(YEAR_S)

    def wait_us(self) -> int:
        rate = (BURST_TICKS_PER_S if self._burst else QUIET_TICKS_PER_S) * self._speed
        return max(1, round(self._random.expovariate(rate) * SECOND_US))

    def tick(self, at: int) -> Tick:
        self._burst = self._path.in_burst(at)
        return self._report(at, self._path.at(at) * self._move)

    def _report(self, at: int, moved: float) -> Tick:
        profile = self._profile
        step = 10.0**-profile.decimals
        middle = profile.start * math.exp(moved)
        half = profile.spread / 2 * (BURST_SPREAD if self._burst else 1.0)
        bid = max(step, round(middle - half, profile.decimals))
        ask = max(round(middle + half, profile.decimals), round(bid + step, profile.decimals))
        if profile.kind is Kind.QUOTE:
            return Tick(instrument=self._instrument, kind=Kind.QUOTE, bid=bid, ask=ask, venue_time=at)
        smallest = 10.0**-profile.volume_decimals
        volume = round(profile.volume * self._random.lognormvariate(0.0, 1.2), profile.volume_decimals)
        return Tick(
            instrument=self._instrument,
            kind=Kind.TRADE,
            price=self._random.choice((bid, ask)),
            volume=float(max(smallest, volume)),
            venue_time=at,
        )


def _now_us() -> int:
    return time.time_ns() // 1000


def opening_hours(profiles: Mapping[str, Profile]) -> Callable[[str, int], bool]:
    """Whether an instrument's market is open at a time; each answer is kept until its hours change."""
    from hub.sessions import SESSIONS, Hours, hours_at

    known: dict[str, Hours] = {}

    def open_at(instrument: str, at_us: int) -> bool:
        hours = known.get(instrument)
        if hours is None or (hours.until_us is not None and at_us >= hours.until_us):
            hours = known[instrument] = hours_at(SESSIONS[profiles[instrument].session], at_us)
        return hours.open

    return open_at


def _always(instrument: str, at_us: int) -> bool:
    return True
