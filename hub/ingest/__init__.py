"""Ingest: supervises feeds and turns what they emit into the one ordered stream.

`emit` normalises a tick, asks the arbiter and appends it to the pending frames (`pending`); the publisher (`publish`)
moves them into the stream, one in flight. Recordings take turns (`together`). A clock that is found wrong (hub.clocks)
stamps nothing: such ticks have no venue_time. Full means that `emit` waits, and so the vendor's socket. Accepted means
acknowledged by the stream. Also from here: a Quote on core NATS for whoever wants the newest only, and a heartbeat
frame each second, which is the clock of all readers. Depends on hub.bus, hub.arbiter and hub.normalize; what was
accepted before it is told as `Start`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hub.arbiter import PRICE, Desk, Happened, Judged
from hub.bus import Bus
from hub.clocks import Watch
from hub.frame import EventKind, Refusal, lane
from hub.ingest.day import Day
from hub.ingest.events import log_event
from hub.ingest.feeds import FeedRun, supervise
from hub.ingest.newest import Newest
from hub.ingest.pending import Behind, Lane, Pending
from hub.ingest.publish import Fenced, Publisher
from hub.ingest.start import Start
from hub.ingest.together import Together
from hub.model import MOVES, SECOND_US, Nature, Refused, Tick, Verdict
from hub.normalize import price_of
from hub.plugin import Catalogue, Emit
from hub.sessions import SESSIONS, hours_at

log = structlog.get_logger("ingest")

YIELD_EVERY = 512
"""A feed that never waits (a recording at full speed) lets the loop go on after so many ticks."""
BEAT_S = 1.0
DRAIN_S = 3.0
CLOCK_BACK_US = 10 * SECOND_US
MOST_BEHIND = 1000
"""What may wait behind one held tick."""
HINT = "`make demo` shows the hub on a simulated market meanwhile"


class Ingest:
    """`run` until cancelled. `now_us` is the wall clock, which also moves the stream's clock; in a hub that plays a
    recording, the recording's own times do."""

    def __init__(
        self,
        bus: Bus,
        catalogue: Catalogue,
        feeds: Sequence[FeedRun],
        start: Start,
        *,
        prefer: Mapping[str, Sequence[str]],
        fresh_for_s: Mapping[str, float],
        hold_file: Path | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.bus = bus
        self.catalogue = catalogue
        self.feeds = feeds
        self.now_us = now_us
        self.clock = start.clock
        self._start = start
        self._hold_file = hold_file
        self._prefer = prefer
        self._fresh_for_us = {name: round(seconds * SECOND_US) for name, seconds in fresh_for_s.items()}
        self._source_of = {feed.name: feed.source for feed in feeds}
        for name, source in self._source_of.items():  # whoever spoke before a restart is known by its source
            self._fresh_for_us.setdefault(source, self._fresh_for_us.get(name, 0))
        self._marks = start.marks
        self._desks: dict[str, Desk] = {}
        self._lanes: dict[tuple[str, str, int], Lane] = {}
        self._natures: dict[str, Nature] = {}
        self._recording = any(feed.nature is Nature.RECORDING for feed in feeds)
        self._places = {feed.name: place for place, feed in enumerate(each for each in feeds if each.takes_turns)}
        self._together = Together(len(self._places)) if len(self._places) > 1 else None
        self._pending = Pending(self._natures, lambda: self.clock)
        self._publisher = Publisher(bus, self._pending, start.epoch, start.last_sequence, now_us)
        self._newest = Newest(bus, self._natures)

    # ------------------------------------------------------------------------------------------- services

    async def run(self) -> None:
        """Feeds, publisher, clock and quotes. On cancellation feeds stop first and what is pending still goes out."""
        async with asyncio.TaskGroup() as services:
            services.create_task(self._publisher.run())
            services.create_task(self._publisher.purge())
            services.create_task(self._newest.run())
            services.create_task(self._beat_for_ever())
            try:
                async with asyncio.TaskGroup() as feeds:
                    for feed in self.feeds:
                        feeds.create_task(self._keep(feed))
                await asyncio.Event().wait()  # every feed has ended; the clock goes on
            except asyncio.CancelledError:
                await self._drain()
                raise

    async def _keep(self, feed: FeedRun) -> None:
        while self._hold_file is not None and self._hold_file.exists():
            feed.state, feed.reason = "waiting", "held back until it is let go"
            await asyncio.sleep(0.02)
        feed.reason = ""
        lines = await supervise(
            feed, self._emit_of(feed), lambda: self._settled(feed), lambda: self._expected(feed), HINT
        )
        if self._together is not None and feed.name in self._places:
            self._together.leave(self._places[feed.name])
        if lines is not None:
            self._finish(feed, lines)

    def _emit_of(self, feed: FeedRun) -> Emit:
        room, count = self._pending.room, 0

        async def emit(item: Tick | Refused) -> None:
            nonlocal count
            self._accept(feed, item)
            count += 1
            if count >= YIELD_EVERY:
                count = 0
                await asyncio.sleep(0)
            if not room.is_set():
                await room.wait()

        together, place = self._together, self._places.get(feed.name)
        if together is None or place is None:
            return emit

        async def emit_in_turn(item: Tick | Refused) -> None:
            if isinstance(item, Tick) and item.received_at is not None:
                await together.turn(place, item.received_at)
            await emit(item)

        return emit_in_turn

    def _settled(self, feed: FeedRun) -> dict[str, int]:
        """The vendor numbers last accepted or refused from it, by lane."""
        settled = dict(self._marks.get(feed.source, {}))
        for known in self._lanes.values():
            if known.source == feed.source and known.number >= 0:
                settled[known.name] = known.number
        return settled

    def _expected(self, feed: FeedRun) -> bool:
        """Whether silence means trouble: not from a recording, not while it is held back, and not while every market
        of the feed is closed. A feed without symbols (programs that publish when they like) may always be silent."""
        if feed.nature is Nature.RECORDING or not self._pending.room.is_set():
            return False
        return any(desk.open for symbol in feed.symbols if (desk := self._desk(symbol)) is not None)

    def _finish(self, feed: FeedRun, lines: int) -> None:
        for desk in self._desks.values():
            if desk.held is not None and desk.held.source == feed.source:
                self._let_go(desk, None)
        feed.state, feed.reason, feed.lines = "finished", "", lines
        self._pending.event(Happened(EventKind.FINISHED, self.clock, feed.name, str(lines)), "")
        log.info("a recording has ended", feed=feed.name, lines=lines)

    async def _drain(self) -> None:
        """What is pending goes out. A held tick goes as an outlier, but for a recording's, which is read again."""
        if not self._recording:
            for desk in self._desks.values():
                self._let_go(desk, None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self._idle:
                    await asyncio.sleep(0.01)

    async def _beat_for_ever(self) -> None:
        """The clock of all readers: one frame a second at least. In a recording its own time stands still between
        ticks; everywhere else the wall clock moves it."""
        while True:
            await asyncio.sleep(BEAT_S)
            if not self._recording:
                self._set_clock(self.now_us())
                for name, desk in self._desks.items():
                    for happened in desk.advance(self.clock):
                        self._event(happened, name)
                        self._newest.again(name)
                    self._let_go(desk, self.clock)
            self._pending.wake()

    def _set_clock(self, now: int) -> None:
        """Forward with the wall clock. A wall clock that jumped ahead and was set right again is followed back, once
        and aloud: else nothing would ever be stale until it had caught up."""
        if now < self.clock - CLOCK_BACK_US:
            log.warning("the clock was set back; staleness counts from now", by_s=(self.clock - now) // SECOND_US)
            for desk in self._desks.values():
                desk.last_at = min(desk.last_at, now)
                desk.open_until = 0
            self.clock = now
        self.clock = max(self.clock, now)

    # --------------------------------------------------------------------------------------------- intake

    def _accept(self, feed: FeedRun, item: Tick | Refused) -> None:
        """The hot path of intake: one look-up, one judgement, one row."""
        now = self.now_us()
        feed.seen += 1
        if feed.state != "live":
            feed.is_live()
        if isinstance(item, Refused):
            self._refuse(feed, feed.source, "", item.reason, item.number, item.sample)
            return
        source = item.source or feed.source
        received_at = item.received_at
        if received_at is None:
            received_at = now if now > self.clock else self.clock
        key = (source, item.instrument, item.kind)
        known = self._lanes.get(key) or self._lane(feed, key)
        if known is None:  # counted under no lane: names are the vendor's, and there is no end to them
            self._refuse(feed, source, "", "unknown instrument", item.number, repr(item))
            return
        price = price_of(item, now if now > received_at else received_at)
        if isinstance(price, str):
            self._refuse(feed, source, known.name, price, item.number, repr(item))
            return
        number = item.number
        if number is not None:
            if number <= known.number:
                feed.repeats += 1
                return
            known.number = number
        if received_at > self.clock:
            self.clock = received_at
        feed.last_tick_at = now
        if received_at >= known.look_at and item.venue_time is not None:
            item = self._look_at_clock(feed, known, item, item.venue_time, received_at)
        judged = known.desk.judge(None, source, item.kind, price, item.venue_time, received_at)
        if judged is PRICE:
            self._append(item, known, price, received_at, Verdict.PRICE, now)
        else:
            self._append_judged(judged, item, known, price, received_at)

    def _look_at_clock(self, feed: FeedRun, known: Lane, item: Tick, venue_time: int, received_at: int) -> Tick:
        """What a wrong clock has stamped goes on without a stamp. What a market shows while it is closed says
        nothing."""
        watch = known.watch
        if received_at >= watch.look_at and known.desk.open and watch.see(venue_time, received_at):
            known.desk.forget_stamps(known.source)
            feed.clock_found(known.source, known.name, watch.finding)
        if not watch.believes(venue_time, received_at):
            known.look_at = 0
            return msgspec.structs.replace(item, venue_time=None)
        known.look_at = watch.next_look(received_at)
        return item

    def _append_judged(self, judged: Judged, item: Tick, known: Lane, price: float, received_at: int) -> None:
        """Anything but the ordinary: first what the arbiter says beside its verdict, then the tick, unless it is held
        or comes behind one of its lane that is (its number must not be in the stream before the held one's)."""
        for happened in judged.events:
            self._event(happened, item.instrument)
        if judged.released is not None:
            self._append_released(judged.released)
        if judged.verdict is None:
            assert known.desk.held is not None
            known.desk.held.tick = (item, known, price, received_at)
        elif _holds(known):
            self._put_behind(known, (item, price, received_at, judged.verdict))
        else:
            self._append(item, known, price, received_at, judged.verdict, self.now_us())

    def _put_behind(self, known: Lane, what: Behind) -> None:
        """Bounded: a held tick that so much came behind is let go."""
        known.behind.append(what)
        if len(known.behind) >= MOST_BEHIND:
            self._let_go(known.desk, None)

    def _append(self, tick: Tick, known: Lane, price: float, received_at: int, verdict: Verdict, now: int) -> None:
        self._pending.tick(tick, known, price, received_at, verdict, now)
        if verdict < MOVES:
            known.day.see(price, tick.venue_time or received_at)
            known.tick, known.price = tick, price
            if not known.changed:
                self._newest.moved(known)

    def _append_released(self, released: tuple[Any, Verdict]) -> None:
        (tick, known, price, received_at), verdict = released
        now = self.now_us()
        self._append(tick, known, price, received_at, verdict, now)
        behind, known.behind = known.behind, []
        for each in behind:
            if isinstance(each, Refusal):
                self._pending.refusal(each.source, each.lane, each.reason, each.number)
            else:
                late, its_price, its_arrival, its_verdict = each
                self._append(late, known, its_price, its_arrival, its_verdict, now)

    def _let_go(self, desk: Desk, now: int | None) -> None:
        if (released := desk.let_go(now)) is not None:
            self._append_released(released)

    def _refuse(self, feed: FeedRun, source: str, name: str, reason: str, number: int | None, sample: str) -> None:
        """Counted by reason, in the stream too, so that the count survives; told at the first of its kind."""
        if number is not None and not self._is_new(feed, source, name, number):
            return
        if not feed.refused[reason]:
            log.warning("a feed sends what is refused", feed=feed.name, reason=reason, sample=sample[:160])
        feed.refused[reason] += 1
        known = self._lane_of(source, name)
        if known is not None and _holds(known):
            self._put_behind(known, Refusal(source, name, reason, 1, number or 0))
        else:
            self._pending.refusal(source, name, reason, number or 0)

    def _lane_of(self, source: str, name: str) -> Lane | None:
        """For what is refused, which is rare."""
        return next((each for each in self._lanes.values() if each.name == name and each.source == source), None)

    def _is_new(self, feed: FeedRun, source: str, name: str, number: int) -> bool:
        """By the vendor's number."""
        known = self._lane_of(source, name)
        marks = self._marks.setdefault(source, {})
        if number <= (known.number if known is not None else marks.get(name, -1)):
            feed.repeats += 1
            return False
        if known is not None:
            known.number = number
        marks[name] = number
        return True

    def _event(self, happened: Happened, instrument: str) -> None:
        self._pending.event(happened, instrument)
        log_event(happened, instrument, quietly=self._recording)

    # ---------------------------------------------------------------------------------- desks, lanes

    def _desk(self, instrument_id: str) -> Desk | None:
        """None where the catalogue has no such instrument."""
        desk = self._desks.get(instrument_id)
        if desk is not None:
            return desk
        instrument = self.catalogue.get(instrument_id)
        if instrument is None:
            return None
        session = SESSIONS[instrument.session]

        def hours(at: int) -> tuple[bool, int]:
            found = hours_at(session, at)
            return found.open, found.until_us if found.until_us is not None else 1 << 62

        preferred = self._prefer.get(instrument_id) or self._source_of
        order = [self._source_of.get(name, name) for name in preferred]
        desk = self._desks[instrument_id] = Desk(instrument, order, self._fresh_for_us, hours)
        if (seen := self._start.prices.get(instrument_id)) is not None and seen.price is not None:
            desk.seed(seen.price, seen.received_at or 0, seen.source, self._start.stamps.get(instrument_id, {}))
        return desk

    def _lane(self, feed: FeedRun, key: tuple[str, str, int]) -> Lane | None:
        source, instrument, kind = key
        desk = self._desk(instrument)
        if desk is None:
            return None
        self._natures.setdefault(source, feed.nature)
        self._fresh_for_us.setdefault(source, self._fresh_for_us.get(feed.name, 0))
        name = lane(instrument, kind)
        number = self._marks.get(source, {}).get(name, -1)
        day, watch = self._start.day(instrument), Watch(streams=feed.nature is not Nature.POLLED)
        found = self._lanes[key] = Lane(name, source, instrument, desk, day, number, watch)
        return found

    @property
    def _idle(self) -> bool:
        """Whether the stream has all that was accepted."""
        return self._pending.idle and not self._publisher.busy

    def status(self) -> dict[str, Any]:
        publisher = self._publisher
        return {
            "service": "ingest",
            "epoch": publisher.epoch,
            "feeds": [feed.told() for feed in self.feeds],
            "frames": publisher.frames,
            "ticks": publisher.ticks,
            "sequence": publisher.sequence,
            "pending": len(self._pending),
            "idle": self._idle,
            "sources": {name: desk.speaker for name, desk in self._desks.items() if desk.speaker},
            "stale": sorted(name for name, desk in self._desks.items() if desk.stale_since is not None),
            "error": publisher.trouble,
        }


def _holds(known: Lane) -> bool:
    """Whether the arbiter holds a tick of this lane."""
    held = known.desk.held
    return held is not None and held.tick[1] is known


__all__ = ["Day", "FeedRun", "Fenced", "Ingest", "Start"]
