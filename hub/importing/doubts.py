"""What looks wrong about a file before any of it is stored: its time zone, and whose prices it holds. Pure.

A time zone is held against the instrument's session: prices in closed hours, and open hours in which the file is
silent, both speak against it. Read in the right zone a file has next to none of either; where another zone fits far
better, that is said. Where history knows the prices of those minutes, it is the better witness.
Depends on hub.sessions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, timedelta, tzinfo
from itertools import pairwise
from statistics import median

import msgspec

from hub.model import SECOND_US, Instrument, Session
from hub.sessions import EPOCH, is_open

HOUR_US = 3600 * SECOND_US
BUCKET_US = 900 * SECOND_US
"""Sessions open and close on quarters of an hour."""
GAP_US = 2 * BUCKET_US
LONGEST_GAP_US = 10 * 24 * HOUR_US
"""A longer one is a hole in the file and says nothing of its zone."""
SUSPECT = 0.03
"""Of the prices in closed hours, or the open hours without one."""
BETTER = 0.5
"""Of the misfit: another zone that leaves only so much of it is the right one; else (holidays fit no zone) one that has
"""
LESS = 0.015
"""less of it by so much, and at least half of that in prices in closed hours."""
HOPELESS = 0.3
NEARLY_ALL = 0.8
ENOUGH = 30
"""Minutes that file and history have in common."""
APART = 3.0
FACTOR = 3.0
FACTOR_A_YEAR = 0.5
YEAR_US = 365 * 24 * HOUR_US
LIKE = 0.1

ZONES = (
    "UTC",
    *(f"UTC{sign}{hours}" for hours in range(1, 13) for sign in "+-"),
    "Europe/London",
    "Europe/Athens",
    "America/New_York",
    "America/New_York+7",
)
"""What is tried, in this order: the fixed ones first, those of brokers and exchanges with clock changes last."""


class Piece(msgspec.Struct, frozen=True):
    """Prices of one instrument in the order of the file. `walls`: by the file's own clock, as if it were UTC. `joined`:
    nothing is left out between the piece before and this one."""

    walls: Sequence[int]
    prices: Sequence[float]
    joined: bool = False


class Fit(msgspec.Struct, frozen=True):
    """How a file lies in a session: the share of its prices in closed hours, and of the open hours without a price."""

    closed: float
    silent: float

    @property
    def misfit(self) -> float:
        return self.closed + self.silent


class Clock:
    """A session asked by quarters of an hour, each once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open: dict[int, bool] = {}

    def open(self, bucket: int) -> bool:
        known = self._open.get(bucket)
        if known is None:
            known = self._open[bucket] = is_open(self._session, bucket * BUCKET_US)
        return known


def gaps(pieces: Iterable[Piece], step_us: int, edges: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """The silent spans of a file by its own clock, those at its ends included where it is a whole day."""
    longest_step = max(GAP_US, 2 * step_us)
    found = [(start, end) for start, end in edges if end - start > longest_step]
    before: int | None = None
    for piece in pieces:
        walls = piece.walls if before is None or not piece.joined else [before, *piece.walls]
        found += [
            (start + step_us, end) for start, end in pairwise(walls) if longest_step < end - start < LONGEST_GAP_US
        ]
        before = piece.walls[-1] if piece.walls else before
    return found


def fit(pieces: Sequence[Piece], silent: Sequence[tuple[int, int]], clock: Clock, utc: Callable[[int], int]) -> Fit:
    """`utc`: the file's clock → UTC."""
    counts: dict[int, int] = {}
    for piece in pieces:
        for wall in piece.walls:
            bucket = wall // BUCKET_US
            counts[bucket] = counts.get(bucket, 0) + 1
    moved = {bucket: utc(bucket * BUCKET_US) // BUCKET_US for bucket in counts}
    closed = sum(count for bucket, count in counts.items() if not clock.open(moved[bucket]))
    quiet = [bucket for start, end in silent for bucket in _buckets(utc(start), utc(end))]
    mute = sum(map(clock.open, quiet))
    heard = sum(clock.open(bucket) for bucket in moved.values())
    return Fit(closed / max(sum(counts.values()), 1), mute / max(mute + heard, 1))


def _buckets(start_us: int, end_us: int) -> range:
    return range(-(-start_us // BUCKET_US), end_us // BUCKET_US)


def to_utc(zone: tzinfo) -> Callable[[int], int]:
    """A clock in that zone → UTC, in microseconds."""

    def utc(wall_us: int) -> int:
        wall = (EPOCH + timedelta(microseconds=wall_us)).replace(tzinfo=zone)
        return wall_us - (wall.utcoffset() or timedelta()) // timedelta(microseconds=1)

    return utc


def best_zone(
    pieces: Sequence[Piece],
    silent: Sequence[tuple[int, int]],
    session: Session,
    zones: Mapping[str, tzinfo],
) -> tuple[str, Fit]:
    """The first of the zones in which the file fits the session best."""
    clock = Clock(session)
    fits = {name: fit(pieces, silent, clock, to_utc(zone)) for name, zone in zones.items()}
    name = min(fits, key=lambda name: round(fits[name].misfit, 4))
    return name, fits[name]


def zone_doubt(
    instrument: Instrument, now: Fit, best: Fit, best_name: str, *, can_change: bool, what: str = "prices"
) -> str:
    """A sentence where another zone fits far better; "" where the one that was said stands."""
    half = now.misfit > SUSPECT and best.misfit <= BETTER * now.misfit
    less = now.misfit - best.misfit > LESS and now.closed - best.closed > LESS / 2
    if best.closed > HOPELESS or (best.misfit > HOPELESS and not half):
        return _hopeless(instrument, now, what)
    if not (half or less):
        return ""
    facts = []
    if now.closed > SUSPECT / 6:
        facts.append(f"{now.closed:.0%} of its {what} are in hours in which {instrument.name} is closed")
    if now.silent > SUSPECT / 6:
        facts.append(f"it is silent in {now.silent:.0%} of the hours in which {instrument.name} is open")
    cure = f"try --time-zone {best_name}" if can_change else f"they would fit as {best_name}"
    return f"the time zone looks wrong: {' and '.join(facts)}; {cure}, where that is {best.misfit:.1%} in all"


def _hopeless(instrument: Instrument, now: Fit, what: str) -> str:
    """No zone fits. Stocks are traded before and after hours too; what is never in open hours is of another day."""
    if now.closed < NEARLY_ALL:
        return ""
    closed = f"{now.closed:.0%} of its {what} are in hours in which {instrument.name} is closed"
    return f"{closed}, and no time zone mends that: is the day right, and the instrument?"


# ------------------------------------------------------------------------------- held against history


def shift_doubt(
    minutes: Mapping[int, float], stored: Mapping[int, float], name: str, said: Callable[[int], str]
) -> str:
    """A sentence where the file's prices by minute (µs UTC) lie far nearer to what history has some whole hours away.
    `said(hours)`: what to do about so many hours."""
    apart: dict[int, float] = {}
    for hours in range(-12, 15):
        by = hours * HOUR_US
        off = [abs(price / stored[at + by] - 1) for at, price in minutes.items() if at + by in stored]
        if len(off) >= ENOUGH:
            apart[hours] = median(off)
    if 0 not in apart:
        return ""
    best = min(apart, key=lambda hours: (apart[hours], abs(hours)))
    if not best or apart[0] <= APART * apart[best]:
        return ""
    return (
        f"the time zone looks wrong: history has {name} {apart[0]:.4%} away at these times, and {apart[best]:.4%}"
        f" {abs(best)} hours {'later' if best > 0 else 'earlier'}; {said(best)}"
    )


class Known(msgspec.Struct, frozen=True):
    """A stored price of an instrument."""

    instrument: Instrument
    time_us: int
    price: float


def label_doubt(instrument: Instrument, at_us: int, price: float, own: Known | None, others: Sequence[Known]) -> str:
    """A sentence where a file's price is far from the instrument's own, or where nothing of it is stored, that of
    another. `own` and `others`: what is stored nearest to that time."""
    here = f"{price:,.{instrument.decimals}f} on {day(at_us)}"
    near = [one for one in others if abs(price / one.price - 1) < LIKE and not alike(one.instrument, instrument)]
    like = min(near, key=lambda one: abs(price / one.price - 1), default=None)
    looks = f"; {like.instrument.name} was {_known(like)}" if like else ""
    if own is not None:
        factor = max(price / own.price, own.price / price)
        if factor <= factor_allowed(abs(at_us - own.time_us)):
            return ""
        return (
            f"these may not be prices of {instrument.name}: the file has {here}, history {_known(own)},"
            f" {factor:.1f} times {'less' if price > own.price else 'more'}{looks}"
        )
    return f"these may not be prices of {instrument.name}: the file has {here}{looks}" if like else ""


def factor_allowed(apart_us: int) -> float:
    """By how much a price may differ from one of another day: in years it moves further than in days."""
    return FACTOR + FACTOR_A_YEAR * apart_us / YEAR_US


def _known(one: Known) -> str:
    return f"{one.price:,.{one.instrument.decimals}f} on {day(one.time_us)}"


def alike(one: Instrument, other: Instrument) -> bool:
    """Whether two instruments are worth about the same by what they are: BTC-USD and BTC-USDT, gold and its future."""
    words = set(one.name.casefold().split()) & set(other.name.casefold().split())
    return one.id.split("-")[0] == other.id.split("-")[0] or bool(words)


def name_doubt(file: str, instrument: Instrument, named: Sequence[Instrument]) -> str:
    """A sentence where the file's name tells of another instrument. `named`: those that its words mean."""
    if not named or any(one.id == instrument.id or alike(one, instrument) for one in named):
        return ""
    return f"the name {file} tells of {named[0].name} ({named[0].id}), not of {instrument.name} ({instrument.id})"


def day(time_us: int) -> str:
    return (EPOCH + timedelta(microseconds=time_us)).astimezone(UTC).strftime("%Y-%m-%d")
