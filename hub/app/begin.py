"""Where ingest goes on: what was accepted so far, by history and by the frames that the recorder has not read yet.

Depends on the stream, history and the ledger.
"""

from functools import partial

from hub import bus as names
from hub import load, reader
from hub.bus import Bus
from hub.clocks import LATE_US
from hub.config import FeedSection
from hub.frame import lane
from hub.history import History
from hub.history.adjusted import Adjusted
from hub.ingest import Day, FeedRun, Start
from hub.ledger import Ledger, alerts
from hub.model import MOVES, Tick
from hub.splits import Splits

FOREVER_US = 1 << 62
STAMPS = 200
"""Newest ticks of an instrument that are looked at for the newest stamp of each of its sources."""


def feed_run(feed: FeedSection, bus_url: str, bus_token: str) -> FeedRun:
    module = load.feed(feed.module)
    raw = dict(feed.settings or {})
    own_bus = {"bus_url": bus_url, "bus_token": bus_token, "subject": names.feed(feed.name)}
    for name, value in own_bus.items():
        if name in module.Settings.__struct_fields__:
            raw.setdefault(name, value)
    return FeedRun(feed.name, module, load.settings_of(module, raw), feed.symbols, feed.mute_after_s)


async def start_of_ingest(bus: Bus, history: History, epoch: int, splits: Splits) -> Start:
    """What was accepted so far: what history has, and the frames that the recorder has not read yet."""
    state = await reader.stream_state(bus)
    place = await history.position()
    marks = {source: dict(lanes) for source, lanes in (await history.marks()).items()}
    prices = await history.last_ticks()
    days: dict[str, Day] = {}
    adjusted = Adjusted(history, splits, lambda _: place.clock)
    stamps: dict[str, dict[tuple[str, int], int]] = {}
    for name, tick in prices.items():
        today = await adjusted.day(name, tick.venue_time or tick.received_at or 0)
        days[name] = Day(*today, partial(splits.factor, name), place.clock)
        for recent in await history.ticks(name, -FOREVER_US, FOREVER_US, limit=STAMPS, newest_first=True):
            _stamp(stamps, recent)
    clock = place.clock
    after = place.sequence if place.stream == state.id and place.sequence <= state.last else state.first - 1
    async for frame in reader.frames_between(bus, max(after, state.first - 1, 0), state.last):
        clock = max(clock, frame.clock)
        for refusal in frame.refused:
            lanes = marks.setdefault(refusal.source, {})
            lanes[refusal.lane] = max(lanes.get(refusal.lane, 0), refusal.number)
        for tick in frame.ticks():
            _stamp(stamps, tick)
            if tick.number is not None:
                lanes = marks.setdefault(tick.source, {})
                where = lane(tick.instrument, tick.kind)
                lanes[where] = max(lanes.get(where, 0), tick.number)
            if tick.verdict < MOVES and tick.price is not None:
                prices[tick.instrument] = tick
                day = days.setdefault(tick.instrument, Day(None, None, partial(splits.factor, tick.instrument)))
                day.see(tick.price, tick.venue_time or tick.received_at or 0)
    return Start(
        epoch=epoch, last_sequence=state.last, marks=marks, prices=prices, days=days, stamps=stamps, clock=clock
    )


def _stamp(stamps: dict[str, dict[tuple[str, int], int]], tick: Tick) -> None:
    """A stamp from well after its tick was received is of a wrong clock, and would make late whatever comes."""
    if tick.venue_time is not None and (tick.received_at is None or tick.venue_time <= tick.received_at + LATE_US):
        known = stamps.setdefault(tick.instrument, {})
        known[tick.source, tick.kind] = max(known.get((tick.source, tick.kind), tick.venue_time), tick.venue_time)


async def newest_epoch(bus: Bus, history: History, ledger: Ledger) -> int:
    """The highest epoch that any reader or the stream has seen: a ledger that was restored or made anew must not
    publish under an older one, which readers take for what they have already."""
    state = await reader.stream_state(bus)
    newest = await reader.frame_at(bus, state.last) if state.last >= state.first > 0 else None
    read = await ledger.read(alerts.newest_epoch)
    return max((await history.position()).epoch, read, newest.epoch if newest else 0)
