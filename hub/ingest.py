"""Ingest: supervises feeds and turns what they emit into the one ordered stream.

`emit` normalises a tick, asks the arbiter, and appends it to the pending frame; while one publish is unacknowledged
the next ticks wait together and go as the next frame. No timers, no batching delay. The pending list is bounded: full
means that `emit` waits. Each publish names the stream's expected last sequence, so a publish repeated after a lost
acknowledgement is stored once, and one by an ingest that was taken over is refused by the broker itself. Accepted
means acknowledged by the stream. Also from here: a Quote on core NATS for whoever wants the newest only, and a
heartbeat frame each second, which is the clock of all readers. Depends on hub.bus, hub.history (what was accepted
last), hub.arbiter and hub.normalize.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import nats.errors
import nats.js.errors
import structlog

from hub import bus as names
from hub.arbiter import PRICE, Desk, Happened, Judged
from hub.bus import Bus, StreamRefused
from hub.frame import MAX_TICKS, Event, EventKind, Frame, Refusal, decode, empty, encode, lane
from hub.model import MOVES, SECOND_US, Candle, Nature, Quote, Refused, Tick, Verdict
from hub.normalize import price_of
from hub.plugin import Catalogue, GiveUp, TryLater
from hub.retry import backoff
from hub.sessions import SESSIONS, hours_at

log = structlog.get_logger("ingest")

PENDING_FRAMES = 3
YIELD_EVERY = 512
"""A feed that never waits (a recording at full speed) lets the loop go on after so many ticks."""
BEAT_S = 1.0
QUOTES_EVERY_S = 0.1
KEEP_FRAMES = 20_000
"""Frames that stay in the stream below the slowest reader, for windows to be rebuilt from."""
PURGE_EVERY_S = 30.0
DAY_US = 86_400 * SECOND_US
WRONG_LAST_SEQUENCE = 10071
"""JetStream's error code for an expected last sequence that does not match (nats-server errors.json)."""


class Fenced(Exception):
    """Another ingest has published with a later lease; this one stops."""


class FeedRun:
    """A configured feed and what is told of it."""

    def __init__(self, name: str, module: Any, settings: Any, symbols: Mapping[str, str], mute_after_s: float) -> None:
        self.name = name
        self.module = module
        self.settings = settings
        self.symbols = symbols
        self.mute_after_s = mute_after_s
        self.nature: Nature = module.NATURE
        self.source: str = module.source(settings) if hasattr(module, "source") else name
        self.state = "waiting"
        self.reason = ""
        self.seen = 0
        self.repeats = 0
        self.refused: Counter[str] = Counter()
        self.last_tick_at: int | None = None
        self.restarts = 0
        self.lines: int | None = None

    @property
    def ticks(self) -> int:
        """Accepted since the start of this process."""
        return self.seen - self.repeats - self.refused.total()

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source,
            "state": self.state,
            "reason": self.reason,
            "nature": self.nature.value,
            "ticks": self.ticks,
            "repeats": self.repeats,
            "refused": dict(self.refused),
            "last_tick_at": self.last_tick_at,
            "restarts": self.restarts,
            "lines": self.lines,
        }


class Day:
    """The UTC day's figures of one instrument, for its Quote."""

    __slots__ = ("close", "day", "high", "low", "open", "previous")

    def __init__(self, today: Candle | None, before: Candle | None) -> None:
        self.day = today.start // DAY_US if today else -1
        self.open, self.high, self.low = (today.open, today.high, today.low) if today else (0.0, 0.0, 0.0)
        self.close: float | None = today.close if today else None
        self.previous = before.close if before else None

    def see(self, price: float, at: int) -> None:
        day = at // DAY_US
        if day > self.day:
            self.previous = self.close if self.close is not None else self.previous
            self.day, self.open, self.high, self.low = day, price, price, price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price


class Lane:
    """What ingest keeps of one (source, instrument, kind), so that a tick costs one look-up."""

    __slots__ = (
        "changed", "day", "desk", "frame", "instrument", "instrument_at", "name", "number", "price", "source",
        "source_at", "tick",
    )  # fmt: skip

    def __init__(self, name: str, source: str, instrument: str, desk: Desk, day: Day, number: int) -> None:
        self.name = name
        self.source = source
        self.instrument = instrument
        self.desk = desk
        self.day = day
        self.number = number  # the vendor number last accepted or refused; -1 for none
        self.tick: Tick | None = None  # the newest that moved the price
        self.price = 0.0
        self.changed = False  # since the last quote went out
        self.frame: Frame | None = None  # in which ...
        self.instrument_at = self.source_at = 0  # ... these are its places in the tables


Row = tuple[int, int, int, int, int | None, int, float, float | None, float | None, float | None, int | None]
"""A tick on its way into a frame, in the order of the frame's columns."""


class Start(msgspec.Struct, kw_only=True):
    """What ingest must know of the past: from history, and from the frames that history has not read yet."""

    epoch: int
    last_sequence: int
    marks: dict[str, dict[str, int]]
    prices: dict[str, Tick]
    days: dict[str, Day]
    clock: int = 0


class Ingest:
    """`run` until cancelled. `now_us` is the wall clock; a hub that plays a recording takes its stream clock from the
    recording's own times (`recording=True`)."""

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
        make_demo_hint: str = "`make demo` shows the hub on a simulated market meanwhile",
    ) -> None:
        self.bus = bus
        self.catalogue = catalogue
        self.feeds = feeds
        self.epoch = start.epoch
        self.now_us = now_us
        self._hint = make_demo_hint
        self._hold_file = hold_file
        self._prefer = prefer
        self._fresh_for_us = {name: round(seconds * SECOND_US) for name, seconds in fresh_for_s.items()}
        self._marks = start.marks
        self._start = start
        self._desks: dict[str, Desk] = {}
        self._days: dict[str, Day] = {}
        self._lanes: dict[tuple[str, str, int], Lane] = {}
        self._natures: dict[str, Nature] = {}
        self._recording = any(feed.nature is Nature.RECORDING for feed in feeds)
        self.clock = start.clock
        self._last_sequence = start.last_sequence
        self._number = 0
        self._pending: deque[Frame] = deque([empty()])
        self._rows: list[Row] = []  # of the last pending frame, until it is full or published
        self._work = asyncio.Event()
        self._working = False  # the same, for the hot path
        self._room = asyncio.Event()
        self._room.set()
        self._since_yield = 0
        self._instrument_index: dict[str, int] = {}
        self._source_index: dict[str, int] = {}
        self._changed: dict[str, Lane] = {}
        self._latest: dict[str, Lane] = {}
        self._quotes_due = asyncio.Event()
        self.frames = 0
        self.ticks = 0
        self.trouble = ""

    # ------------------------------------------------------------------------------------------- services

    async def run(self) -> None:
        """Feeds, publisher, clock and quotes. On cancellation feeds stop first and what is pending still goes out."""
        async with asyncio.TaskGroup() as services:
            services.create_task(self._publish_for_ever())
            services.create_task(self._publish_quotes())
            services.create_task(self._purge_for_ever())
            beat = services.create_task(self._beat_for_ever())
            try:
                async with asyncio.TaskGroup() as feeds:
                    for feed in self.feeds:
                        feeds.create_task(self._supervise(feed))
                    feeds.create_task(beat_holder(beat))
            except asyncio.CancelledError:
                await self._drain()
                raise

    async def _drain(self) -> None:
        for desk in self._desks.values():
            self._let_go(desk, None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while self._rows or len(self._pending) > 1 or not _blank(self._pending[0]):
                    await asyncio.sleep(0.01)

    async def _supervise(self, feed: FeedRun) -> None:
        """Runs a feed for ever: back-off with jitter after trouble, a watchdog for a socket that is mute."""
        while self._hold_file is not None and self._hold_file.exists():
            feed.state, feed.reason = "waiting", "held back until it is let go"
            await asyncio.sleep(0.02)
        attempt = 0
        while True:
            feed.state, ticks_before = "connecting", feed.ticks
            retry_after_s: float | None = None
            try:
                lines = await self._run_once(feed)
                if feed.nature is Nature.RECORDING or lines is not None:
                    self._finish(feed, lines or 0)
                    return
                reason = "the source ended the connection"
            except TryLater as error:
                reason, retry_after_s = error.reason, error.retry_after_s
            except GiveUp as error:
                feed.state, feed.reason = "failed", error.reason
                log.error("a feed cannot go on", feed=feed.name, reason=error.reason)
                return
            except Exception as error:
                reason = f"a bug in the feed: {type(error).__name__}: {error}"
                log.exception("a feed crashed", feed=feed.name)
            attempt = 1 if feed.ticks > ticks_before else attempt + 1
            delay_s = max(retry_after_s or 0.0, backoff(attempt, first_s=0.5, cap_s=60.0))
            if reason != feed.reason:
                hint = {"hint": self._hint} if "no network" in reason else {}
                log.warning(
                    "a feed is down; trying again", feed=feed.name, reason=reason, next_in_s=round(delay_s, 1), **hint
                )
            feed.state, feed.reason = "waiting", reason
            feed.restarts += 1
            await asyncio.sleep(delay_s)

    async def _run_once(self, feed: FeedRun) -> int | None:
        """One life of a feed; TryLater when it stays mute in open hours."""
        last = dict(self._marks.get(feed.source, {}))
        for (source, _, _), known in self._lanes.items():
            if source == feed.source and known.number >= 0:
                last[known.name] = known.number

        async def emit(item: Tick | Refused) -> None:
            self._accept(feed, item)
            self._since_yield += 1
            if self._since_yield >= YIELD_EVERY:
                self._since_yield = 0
                await asyncio.sleep(0)
            if not self._room.is_set():
                await self._room.wait()

        running = asyncio.ensure_future(feed.module.run(feed.settings, feed.symbols, emit, last))
        seen, heard_at = feed.seen, time.monotonic()
        try:
            while True:
                done, _ = await asyncio.wait({running}, timeout=min(1.0, feed.mute_after_s / 4))
                if done:
                    result = running.result()
                    return result if isinstance(result, int) else None
                if feed.seen != seen or not self._room.is_set() or not self._expected(feed):
                    seen, heard_at = feed.seen, time.monotonic()
                if time.monotonic() - heard_at > feed.mute_after_s:
                    feed.state = "muted"
                    raise TryLater(f"connected but mute for {feed.mute_after_s:g} s")
        finally:
            if not running.done():
                running.cancel()
                await asyncio.wait({running}, timeout=5)

    def _expected(self, feed: FeedRun) -> bool:
        """Whether silence means trouble: not from a recording, and not while every market of the feed is closed. A
        feed without symbols (programs that publish when they like) is never expected to speak."""
        if feed.nature is Nature.RECORDING:
            return False
        return any(desk.open for symbol in feed.symbols if (desk := self._desk(symbol)) is not None)

    def _finish(self, feed: FeedRun, lines: int) -> None:
        for desk in self._desks.values():
            self._let_go(desk, None)
        feed.state, feed.reason, feed.lines = "finished", "", lines
        self._event(Happened(EventKind.FINISHED, self.clock, feed.name, str(lines)), "")
        log.info("a recording has ended", feed=feed.name, lines=lines)

    # --------------------------------------------------------------------------------------------- intake

    def _accept(self, feed: FeedRun, item: Tick | Refused) -> None:
        """The hot path of intake: one look-up, one judgement, one row."""
        now = self.now_us()
        feed.seen += 1
        if feed.state != "live":
            self._is_live(feed)
        if isinstance(item, Refused):
            self._refuse(feed, feed.source, "", item.reason, item.number, item.sample)
            return
        source = item.source or feed.source
        received_at = item.received_at
        if received_at is None:
            received_at = now if now > self.clock else self.clock
        key = (source, item.instrument, item.kind)
        known = self._lanes.get(key) or self._lane(feed, key)
        if known is None:
            self._refuse(feed, source, lane(item.instrument, item.kind), "unknown instrument", item.number, repr(item))
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
        judged = known.desk.judge(None, source, item.kind, price, item.venue_time, received_at)
        if judged is not PRICE:
            self._note(judged, item, known, price, received_at)
        if judged.verdict is not None:
            self._append(item, known, price, received_at, judged.verdict, now)

    def _note(self, judged: Judged, item: Tick, known: Lane, price: float, received_at: int) -> None:
        """What the arbiter has to say beside its verdict, which goes into the stream before the tick."""
        for happened in judged.events:
            self._event(happened, item.instrument)
        if judged.released is not None:
            self._append_released(judged.released)
        if judged.verdict is None and known.desk.held is not None:
            known.desk.held.tick = (item, known, price, received_at)

    def _is_live(self, feed: FeedRun) -> None:
        if feed.reason:
            log.info("a feed is back", feed=feed.name, after=feed.reason)
        feed.state, feed.reason = "live", ""

    def _lane(self, feed: FeedRun, key: tuple[str, str, int]) -> Lane | None:
        """None where the catalogue has no such instrument."""
        source, instrument, kind = key
        desk = self._desk(instrument)
        if desk is None:
            return None
        self._natures.setdefault(source, feed.nature)
        name = lane(instrument, kind)
        number = self._marks.get(source, {}).get(name, -1)
        found = self._lanes[key] = Lane(name, source, instrument, desk, self._days[instrument], number)
        return found

    def _is_new(self, feed: FeedRun, source: str, name: str, number: int) -> bool:
        """By the number; for what is refused, which is rare."""
        known = next((each for each in self._lanes.values() if each.name == name and each.source == source), None)
        marks = self._marks.setdefault(source, {})
        newest = known.number if known is not None else marks.get(name, -1)
        if number <= newest:
            feed.repeats += 1
            return False
        if known is not None:
            known.number = number
        marks[name] = number
        return True

    def _refuse(self, feed: FeedRun, source: str, name: str, reason: str, number: int | None, sample: str) -> None:
        """Counted by reason, in the stream too, so that the count survives; told at the first of its kind."""
        if number is not None and not self._is_new(feed, source, name, number):
            return
        if not feed.refused[reason]:
            log.warning("a feed sends what is refused", feed=feed.name, reason=reason, sample=sample[:160])
        feed.refused[reason] += 1
        refused = self._frame().refused
        for i, old in enumerate(refused):
            if old.source == source and old.lane == name and old.reason == reason:
                refused[i] = Refusal(source, name, reason, old.count + 1, max(old.number, number or 0))
                break
        else:
            refused.append(Refusal(source, name, reason, 1, number or 0))
        self._wake()

    def _desk(self, instrument_id: str) -> Desk | None:
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

        order = list(self._prefer.get(instrument_id, ())) or [feed.source for feed in self.feeds]
        desk = Desk(instrument, order, self._fresh_for_us, hours)
        if (seen := self._start.prices.get(instrument_id)) is not None and seen.price is not None:
            desk.seed(seen.price, seen.received_at or 0)
        self._desks[instrument_id] = desk
        self._days[instrument_id] = self._start.days.get(instrument_id) or Day(None, None)
        return desk

    # -------------------------------------------------------------------------------------------- pending

    def _frame(self) -> Frame:
        """The frame that is being filled."""
        if len(self._rows) >= MAX_TICKS:
            self._close_frame()
            self._pending.append(empty())
            if len(self._pending) > PENDING_FRAMES:
                self._room.clear()
        return self._pending[-1]

    def _close_frame(self) -> None:
        """Turns the rows of the last frame into its columns."""
        frame, rows = self._pending[-1], self._rows
        if rows:
            (
                frame.instrument, frame.source, frame.kind, frame.verdict, frame.venue_time, frame.received_at,
                frame.price, frame.bid, frame.ask, frame.volume, frame.vendor_number,
            ) = map(list, zip(*rows, strict=True))  # fmt: skip
        self._rows = []
        self._instrument_index.clear()
        self._source_index.clear()

    def _append(self, tick: Tick, known: Lane, price: float, received_at: int, verdict: Verdict, now: int) -> None:
        frame = self._pending[-1] if len(self._rows) < MAX_TICKS else self._frame()
        if known.frame is not frame:
            self._place(known, frame, now)
        self._rows.append(
            (
                known.instrument_at, known.source_at, tick.kind, verdict, tick.venue_time, received_at,
                price, tick.bid, tick.ask, tick.volume, tick.number,
            )
        )  # fmt: skip
        if verdict < MOVES:
            known.day.see(price, tick.venue_time or received_at)
            known.tick, known.price = tick, price
            if not known.changed:
                known.changed = True
                self._changed[known.instrument] = known
                self._quotes_due.set()
        if not self._working:
            self._working = True
            self._work.set()

    def _place(self, known: Lane, frame: Frame, now: int) -> None:
        """Finds the lane's places in the frame's tables, at its first tick in it."""
        known.frame = frame
        frame.opened_at = frame.opened_at or now
        known.instrument_at = self._instrument_index.setdefault(known.instrument, len(frame.instruments))
        if known.instrument_at == len(frame.instruments):
            frame.instruments.append(known.instrument)
        known.source_at = self._source_index.setdefault(known.source, len(frame.sources))
        if known.source_at == len(frame.sources):
            frame.sources.append(known.source)
            frame.natures.append(self._natures[known.source].value)

    def _append_released(self, released: tuple[Any, Verdict]) -> None:
        (tick, known, price, received_at), verdict = released
        self._append(tick, known, price, received_at, verdict, self.now_us())

    def _let_go(self, desk: Desk, now: int | None) -> None:
        if (released := desk.let_go(now)) is not None:
            self._append_released(released)

    def _event(self, happened: Happened, instrument: str) -> None:
        frame = self._frame()
        frame.events.append(
            Event(len(self._rows), happened.kind, happened.time, instrument, happened.source, happened.text)
        )
        if instrument:
            _log_event(happened, instrument, quietly=self._recording)
        self._wake()

    def _wake(self) -> None:
        self._working = True
        self._work.set()

    # ------------------------------------------------------------------------------------------ publishing

    async def _publish_for_ever(self) -> None:
        while True:
            await self._work.wait()
            if len(self._pending) == 1:
                self._close_frame()
                self._pending.append(empty())
                self._work.clear()
                self._working = False
            frame = self._pending.popleft()
            self._number += 1
            frame.epoch, frame.number, frame.clock = self.epoch, self._number, self.clock
            frame.opened_at = frame.opened_at or self.now_us()
            await self._publish(encode(frame))
            self.frames += 1
            self.ticks += len(frame)
            if len(self._pending) <= PENDING_FRAMES:
                self._room.set()

    async def _publish(self, payload: bytes) -> None:
        """Until the stream has it, once. Fenced when another ingest is at work."""
        attempt = 0
        while True:
            try:
                self._last_sequence = await self.bus.append(payload, self._last_sequence, 2.0)
                break
            except StreamRefused as error:
                if error.err_code == WRONG_LAST_SEQUENCE:
                    if await self._already_there():
                        break
                    continue
                trouble = f"the stream refuses frames: {error}"
            except nats.errors.NoRespondersError:
                trouble = "the stream is gone"
            except (nats.errors.Error, TimeoutError, OSError) as error:
                trouble = f"the bus does not acknowledge ({type(error).__name__})"
            if trouble != self.trouble:
                log.warning("publishing waits; feeds are held back", reason=trouble)
                self.trouble = trouble
            attempt += 1
            await asyncio.sleep(min(0.05 * 2**attempt, 1.0))
        if self.trouble:
            log.info("publishing goes on", after=self.trouble)
            self.trouble = ""

    async def _already_there(self) -> bool:
        """After a refused sequence: True if the newest frame is the one at hand (its acknowledgement was lost)."""
        try:
            state = await self.bus.steady(self.bus.js.stream_info(names.TICKS))
            self._last_sequence = state.state.last_seq
            if not state.state.messages:
                return False
            message = await self.bus.steady(self.bus.js.get_msg(names.TICKS, self._last_sequence, direct=True))
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
            await asyncio.sleep(0.1)
            return False
        newest = decode(message.data or b"")
        if newest.epoch > self.epoch:
            raise Fenced(f"an ingest with lease {newest.epoch} publishes now; this one had lease {self.epoch}")
        return (newest.epoch, newest.number) == (self.epoch, self._number)

    async def _beat_for_ever(self) -> None:
        """The clock of all readers: one frame a second at least. In a recording its own time stands still between
        ticks; everywhere else the wall clock moves it."""
        while True:
            await asyncio.sleep(BEAT_S)
            if not self._recording:
                self.clock = max(self.clock, self.now_us())
                for name, desk in self._desks.items():
                    for happened in desk.advance(self.clock):
                        self._event(happened, name)
                        self._quote_again(name)
                    self._let_go(desk, self.clock)
            self._wake()

    async def _purge_for_ever(self) -> None:
        from hub.reader import slowest

        while True:
            await asyncio.sleep(PURGE_EVERY_S)
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                read = await slowest(self.bus)
                if read is not None and read > KEEP_FRAMES:
                    await self.bus.steady(self.bus.js.purge_stream(names.TICKS, seq=read - KEEP_FRAMES))

    # --------------------------------------------------------------------------------------------- quotes

    async def _publish_quotes(self) -> None:
        """Newest only: what changed within a tenth of a second goes out as one."""
        while True:
            await self._quotes_due.wait()
            self._quotes_due.clear()
            changed, self._changed = self._changed, {}
            for instrument, known in changed.items():
                known.changed = False
                with contextlib.suppress(nats.errors.Error):
                    await self.bus.client.publish(names.quote(instrument), msgspec.json.encode(self._quote(known)))
            self._latest.update(changed)
            await asyncio.sleep(QUOTES_EVERY_S)

    def _quote(self, known: Lane) -> Quote:
        day, desk, tick = known.day, known.desk, known.tick
        assert tick is not None
        at = tick.received_at or desk.last_at
        return Quote(
            instrument=known.instrument,
            price=known.price,
            bid=tick.bid,
            ask=tick.ask,
            time=tick.venue_time or at,
            received_at=at,
            source=known.source,
            nature=self._natures[known.source],
            open=day.open,
            high=day.high,
            low=day.low,
            previous=day.previous,
            market_open=desk.open,
            stale_since=desk.stale_since,
        )

    def _quote_again(self, instrument: str) -> None:
        """Its market opened, closed or went blind: viewers hear of it without a new price."""
        seen = self._latest.get(instrument)
        if seen is not None and instrument not in self._changed:
            self._changed[instrument] = seen
            self._quotes_due.set()

    def status(self) -> dict[str, Any]:
        return {
            "service": "ingest",
            "epoch": self.epoch,
            "feeds": [feed.told() for feed in self.feeds],
            "frames": self.frames,
            "ticks": self.ticks,
            "sequence": self._last_sequence,
            "pending": len(self._rows) + sum(len(frame) for frame in self._pending),
            "sources": {name: desk.speaker for name, desk in self._desks.items() if desk.speaker},
            "stale": sorted(name for name, desk in self._desks.items() if desk.stale_since is not None),
            "error": self.trouble,
        }


async def beat_holder(beat: "asyncio.Task[None]") -> None:
    """Keeps the group of feeds open when every feed has ended: the clock goes on."""
    await asyncio.wait({beat})


def _blank(frame: Frame) -> bool:
    return not (frame.price or frame.events or frame.refused)


def _log_event(happened: Happened, instrument: str, *, quietly: bool) -> None:
    """What a person wants to know; in a recording, whose gaps are long past, it is detail."""
    say = log.debug if quietly else log.info
    warn = log.debug if quietly else log.warning
    match happened.kind:
        case EventKind.TAKEOVER if happened.text:
            warn("another source speaks", instrument=instrument, source=happened.source, before=happened.text)
        case EventKind.STALE:
            warn("an instrument is blind", instrument=instrument)
        case EventKind.FRESH:
            say("an instrument is seen again", instrument=instrument)
        case EventKind.OPENED | EventKind.CLOSED:
            say("a market turned", instrument=instrument, state=happened.kind.name.lower())
        case _:
            log.debug("event", kind=happened.kind.name, instrument=instrument, source=happened.source)
