"""A recording played back as a feed: every line once, from where it stopped, and then it ends.

    [feeds.replay]
    file = "xauusd-20140502.zip"
    symbols = { XAU-USD = "XAU-USD" }

Several recordings, each in a section of its own with `module = "replay"`, are played together in the order of their
times. `time_zone` is that of the file's stamps. A vendor's clock that is wrong can be played as it would be met live:
`received_in` is then the zone in which the ticks really came, while their stamps are read in `time_zone`.

Emits in the file's order. A tick's number is its line, so `last` tells which lines are settled and a restart
goes on behind them, each exactly once. Its source names the file: another recording is counted by itself.
The formats are in plugins.feeds.recordings; reading and parsing run in a thread, a batch at a time.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hub.frame import lane
from hub.model import SECOND_US, Nature, Refused, Tick
from hub.plugin import Emit, Last
from plugins.feeds.recordings import moment_us, read, source_of

NATURE = Nature.RECORDING
BATCH = 1000


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file: str  # plain, .gz or .zip
    format: str = "auto"  # or one of those in plugins.feeds.recordings
    member: str = ""  # part of the name of a zip's member; the largest by default
    date: str = ""  # the day of a recording whose name does not tell it, "2014-05-02"
    instrument: str = ""  # what it is about, if neither the file nor `symbols` says so
    speed: Annotated[float, msgspec.Meta(ge=0)] = (
        0.0  # 0 = as fast as the hub takes it, 1 = as recorded, 10 = ten times
    )
    times: Literal["kept", "shifted"] = "kept"  # shifted: moved so that the first tick is now; meant for speed 1
    time_zone: str = ""  # of a recording that is not in its format's usual one, "Etc/GMT+5"
    received_in: str = ""  # the zone in which its ticks really came, if their stamps are read in another
    begins: str = ""  # when its clock starts, "2014-05-02 12:00"; for several at a speed. Its first tick by default


async def run(settings: Settings, symbols: Mapping[str, str], emit: Emit, last: Last) -> int:
    """How many ticks and refusals the recording holds, settled ones included, once its end is reached."""
    updates = _updates(settings, symbols)
    begins_us = moment_us(settings.begins) if settings.begins and not last else None  # what is resumed goes on at once
    clock = Clock(settings.speed, settings.times == "shifted", begins_us)
    count = 0
    while batch := await asyncio.to_thread(_take, updates):
        for update in batch:
            count += 1
            if not settled(update, last):
                await emit(await clock.wait(update))
    return count


def source(settings: Settings) -> str:
    """The source that the ticks of this recording will have, for whoever looks up their last number."""
    return source_of(Path(settings.file), settings.member)


def paced(settings: Settings) -> bool:
    """Whether it keeps time by itself; else ingest keeps it in the order of the others."""
    return settings.speed > 0


def first(settings: Settings, symbols: Mapping[str, str]) -> Tick | None:
    """The recording's first tick; None where it holds none. Blocking."""
    return next((update for update in _updates(settings, symbols) if isinstance(update, Tick)), None)


def settled(update: Tick | Refused, last: Last) -> bool:
    name = lane(update.instrument, update.kind) if isinstance(update, Tick) else ""
    return (update.number or 0) <= last.get(name, 0)


def _updates(settings: Settings, symbols: Mapping[str, str]) -> Iterator[Tick | Refused]:
    stamped = _read(settings, symbols, settings.time_zone)
    if not settings.received_in:
        return stamped
    came = _read(settings, symbols, settings.received_in)
    return (_received_as(*both) for both in zip(stamped, came, strict=True))


def _received_as(stamped: Tick | Refused, came: Tick | Refused) -> Tick | Refused:
    if isinstance(stamped, Tick) and isinstance(came, Tick):
        return msgspec.structs.replace(stamped, received_at=came.received_at)
    return stamped


def _read(settings: Settings, symbols: Mapping[str, str], time_zone: str) -> Iterator[Tick | Refused]:
    return read(
        Path(settings.file).expanduser(),
        settings.format,
        instrument=settings.instrument,
        symbols=symbols,
        date=settings.date,
        time_zone=time_zone,
        member=settings.member,
    )


def _take(updates: Iterator[Tick | Refused]) -> list[Tick | Refused]:
    return list(islice(updates, BATCH))


class Clock:
    """Holds each tick until it is due and moves its times, counted from `begins_us` or the first one. Due times are
    absolute, so a late wake-up delays nothing after it."""

    def __init__(self, speed: float, shifts: bool, begins_us: int | None = None) -> None:
        self._speed = speed
        self._shifts = shifts
        self._begins_us = begins_us
        self._first_us: int | None = None
        self._start_s = 0.0
        self._by_us = 0

    async def wait(self, update: Tick | Refused) -> Tick | Refused:
        if isinstance(update, Refused) or update.received_at is None:
            return update
        if self._first_us is None:
            self._first_us = update.received_at if self._begins_us is None else self._begins_us
            self._start_s = time.monotonic()
            self._by_us = time.time_ns() // 1000 - self._first_us if self._shifts else 0
        if self._speed:
            due_s = self._start_s + (update.received_at - self._first_us) / SECOND_US / self._speed
            if (left_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(left_s)
        return shifted(update, self._by_us) if self._by_us else update


def shifted(tick: Tick, by_us: int) -> Tick:
    return msgspec.structs.replace(
        tick,
        venue_time=None if tick.venue_time is None else tick.venue_time + by_us,
        received_at=None if tick.received_at is None else tick.received_at + by_us,
    )
