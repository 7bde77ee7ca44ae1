"""A simulated market: gold, silver, bitcoin, ether, the euro and a stock, without a network.

    [feeds.demo]
    symbols = { XAU-USD = "XAU-USD", BTC-USD = "BTC-USD" }

Believable, not real, and marked SIMULATED wherever it is shown. The logarithm of a price is a random walk of
the profile's yearly volatility, drawn back lightly to its start, through quiet times and bursts: in a burst
ticks come faster, move further and stand wider. Metals and currencies are quotes, coins and stocks trades.
The market never closes unless `sessions` is set. `Market` is deterministic for a seed and a start.
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
QUIET_S, BURST_S = 45.0, 6.0  # how long each lasts, on average
QUIET_TICKS_PER_S, BURST_TICKS_PER_S = 2.0, 9.0
BURST_MOVE = 3.0  # a burst's volatility, in quiet ones
BURST_SPREAD = 2.5
HALF_LIFE_S = 12 * 3600.0  # of the distance from the start price
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
    seed: int | None = None  # the same seed moves the same way; a new market at each start if unset
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0  # times the ticks per second; the moves per hour stay
    start: dict[str, Annotated[float, msgspec.Meta(gt=0)]] = {}  # start prices by instrument, instead of the built-in
    sessions: bool = False  # true: silent while the instrument's market is closed


async def run(settings: Settings, symbols: Mapping[str, str], emit: Emit, last: Last) -> None:
    """Never returns. After a pause (a full hub, a machine asleep) the market goes on from now."""
    profiles = profiles_of(symbols, settings.start)
    trades_at = opening_hours(profiles) if settings.sessions else _always
    market = Market(profiles, Random() if settings.seed is None else settings.seed, _now_us(), settings.speed)
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

    def __init__(self, profiles: Mapping[str, Profile], seed: int | Random, start_us: int, speed: float = 1.0) -> None:
        self._walks = []
        for name, profile in profiles.items():
            # A generator for each, so that an instrument moves the same way whichever others there are.
            random = Random(seed.getrandbits(64)) if isinstance(seed, Random) else Random(f"{seed} {name}")
            self._walks.append(Walk(name, profile, random, start_us, speed))
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


class Walk:
    """One instrument's price: volatile in clusters, drawn back to its start."""

    def __init__(self, instrument: str, profile: Profile, random: Random, start_us: int, speed: float) -> None:
        self._instrument = instrument
        self._profile = profile
        self._random = random
        self._speed = speed
        self._moved = 0.0  # the price's logarithm, from the start's
        self._at = start_us
        self._burst = False
        self._until = start_us + round(random.expovariate(1 / QUIET_S) * SECOND_US)
        self._quiet_move = quiet_move(profile.volatility)

    def wait_us(self) -> int:
        rate = (BURST_TICKS_PER_S if self._burst else QUIET_TICKS_PER_S) * self._speed
        return max(1, round(self._random.expovariate(rate) * SECOND_US))

    def tick(self, at: int) -> Tick:
        """Moves the price on to `at`, which must not go back, and reports it."""
        self._turn(at)
        passed_s = min(at - self._at, MAX_PAUSE_US) / SECOND_US
        self._at = at
        move = self._quiet_move * (BURST_MOVE if self._burst else 1.0)
        self._moved *= 0.5 ** (passed_s / HALF_LIFE_S)
        self._moved += move * math.sqrt(passed_s) * self._random.gauss(0.0, 1.0)
        return self._report(at)

    def _turn(self, at: int) -> None:
        while self._until <= at:
            self._burst = not self._burst
            lasts_s = self._random.expovariate(1 / (BURST_S if self._burst else QUIET_S))
            self._until += max(1, round(lasts_s * SECOND_US))

    def _report(self, at: int) -> Tick:
        profile = self._profile
        step = 10.0**-profile.decimals
        middle = profile.start * math.exp(self._moved)
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


def quiet_move(volatility: float) -> float:
    """The move of a quiet second, such that quiet and bursts together make `volatility` in a year."""
    variance_per_s = volatility**2 / YEAR_S
    share = (QUIET_S + BURST_S * BURST_MOVE**2) / (QUIET_S + BURST_S)
    return math.sqrt(variance_per_s / share)


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
