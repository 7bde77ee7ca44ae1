"""The supervision of feeds: each runs for ever, comes back with jittered back-off, and is restarted when it is mute.

One feed's failure touches no other. Depends on hub.clocks, hub.plugin and hub.retry; what a tick means is the caller's.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from hub import clocks
from hub.model import Nature
from hub.plugin import Emit, GiveUp, Last, TryLater
from hub.retry import backoff

log = structlog.get_logger("ingest")

FIRST_S = 0.5
CAP_S = 60.0
STOP_S = 5.0


class FeedRun:
    """A configured feed and what is told of it. `source` is how its ticks and refusals are counted. `paced`: it is a
    recording that keeps time by itself."""

    def __init__(self, name: str, module: Any, settings: Any, symbols: Mapping[str, str], mute_after_s: float) -> None:
        self.name = name
        self.module = module
        self.settings = settings
        self.symbols = symbols
        self.mute_after_s = mute_after_s
        self.nature: Nature = module.NATURE
        self.source: str = module.source(settings) if hasattr(module, "source") else name
        self.paced = bool(module.paced(settings)) if hasattr(module, "paced") else False
        self.state = "waiting"
        self.reason = ""
        self.seen = 0  # whatever it emitted
        self.repeats = 0
        self.refused: Counter[str] = Counter()
        self.last_tick_at: int | None = None
        self.restarts = 0
        self.lines: int | None = None  # what a recording held, at its end
        self.clocks: dict[tuple[str, str], clocks.Finding] = {}  # (source, lane) → what is wrong with its clock

    @property
    def takes_turns(self) -> bool:
        """With the other recordings, so that they come in the order of their times."""
        return self.nature is Nature.RECORDING and not self.paced

    @property
    def ticks(self) -> int:
        """Accepted since the start of this process."""
        return self.seen - self.repeats - self.refused.total()

    def is_live(self) -> None:
        """Something came from it."""
        if self.reason:
            log.info("a feed is back", feed=self.name, after=self.reason)
        self.state, self.reason = "live", ""

    def clock_found(self, source: str, lane: str, finding: clocks.Finding | None) -> None:
        """None: that clock is right. Told once for all instruments of a source, and when none is left."""
        before = self.clock_told()
        if finding is None:
            self.clocks.pop((source, lane), None)
        else:
            self.clocks[source, lane] = finding
        after = self.clock_told()
        for said in after:
            if said not in before:
                log.warning("a source's clock looks wrong", feed=self.name, source=source, reason=said)
        for said in before:
            if said not in after:
                log.info("a source's clock has changed", feed=self.name, source=source, before=said)

    def clock_told(self) -> list[str]:
        """A sentence for each source and sort of finding."""
        sorts = {(source, *one.sort): one for (source, _), one in reversed(self.clocks.items())}
        zone = getattr(self.settings, "time_zone", None)
        return [
            clocks.told(self.name if source == self.source else source, one, self.name, time_zone=zone)
            for (source, *_), one in reversed(sorts.items())
        ]

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source,
            "state": self.state,
            "reason": self.reason,
            "nature": self.nature.value,
            "clock": self.clock_told(),
            "ticks": self.ticks,
            "repeats": self.repeats,
            "refused": dict(self.refused),
            "last_tick_at": self.last_tick_at,
            "restarts": self.restarts,
            "lines": self.lines,
        }


async def supervise(
    feed: FeedRun, emit: Emit, last: Callable[[], Last], expected: Callable[[], bool], hint: str
) -> int | None:
    """Returns when a finite feed has ended, with what it counted, or None when it cannot go on at all. `last` gives
    the numbers settled so far at each start; `expected` whether silence means trouble now."""
    attempt = 0
    while True:
        feed.state, ticks_before = "connecting", feed.ticks
        retry_after_s = 0.0
        try:
            lines = await _run_once(feed, emit, last(), expected)
            if feed.nature is Nature.RECORDING or lines is not None:
                return lines or 0
            reason = "the source ended the connection"
        except TryLater as error:
            reason, retry_after_s = error.reason, error.retry_after_s or 0.0
        except GiveUp as error:
            feed.state, feed.reason = "failed", error.reason
            log.error("a feed cannot go on", feed=feed.name, reason=error.reason)
            return None
        except Exception as error:
            reason = f"a bug in the feed: {type(error).__name__}: {error}"
            log.exception("a feed crashed", feed=feed.name)
        attempt = 1 if feed.ticks > ticks_before else attempt + 1
        delay_s = max(retry_after_s, backoff(attempt, first_s=FIRST_S, cap_s=CAP_S))
        if reason != feed.reason:
            more = {"hint": hint} if "no network" in reason else {}
            log.warning(
                "a feed is down; trying again", feed=feed.name, reason=reason, next_in_s=round(delay_s, 1), **more
            )
        feed.state, feed.reason = "waiting", reason
        feed.restarts += 1
        await asyncio.sleep(delay_s)


async def _run_once(feed: FeedRun, emit: Emit, last: Last, expected: Callable[[], bool]) -> int | None:
    """One life of a feed; TryLater when it stays mute although it is expected to speak."""
    running = asyncio.ensure_future(feed.module.run(feed.settings, feed.symbols, emit, last))
    seen, heard_at = feed.seen, time.monotonic()
    try:
        while True:
            done, _ = await asyncio.wait({running}, timeout=min(1.0, feed.mute_after_s / 4))
            if done:
                if running.cancelled():
                    raise TryLater("it was cancelled from inside, by the library that it uses")
                result = running.result()
                return result if isinstance(result, int) else None
            if feed.seen != seen or not expected():
                seen, heard_at = feed.seen, time.monotonic()
            if time.monotonic() - heard_at > feed.mute_after_s:
                raise TryLater(f"connected but mute for {feed.mute_after_s:g} s")
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running}, timeout=STOP_S)
