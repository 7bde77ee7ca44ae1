"""The hot state in the cache, so that nobody asks the database for it: the newest Quote of each instrument, the boards.

Runs beside ingest, one in a hub. Follows `quote.*` and keeps `price:<INSTRUMENT>`: while one write is under way the
newest of each instrument waits, so a burst costs a few round trips. Once a minute, on the quotes' own clock or the
wall's, whichever is there first, it ranks what has ticked by its change over SPANS and its volatility, and writes
everything anew, so that a cache that forgot has it again a minute later; and sooner where an instrument is new or the
cache came back.

A span ends at the instrument's newest price: one whose market is closed keeps its place. One that is silent in open
hours for longer than the span has none. Changes are from the first price in the span, to the width of a candle of the
rung that it is read from. Nothing here fails because the cache or history does: it is said, and tried again. Depends
on hub.bus, hub.cache, hub.quotes, a history and the catalogue.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog
from nats.aio.msg import Msg

from hub import quotes
from hub.bus import Bus
from hub.cache import Cache, keys
from hub.history import HistoryTrouble
from hub.history.adjusted import AsOf
from hub.history.statistics import yearly_volatility
from hub.logs import Repeats
from hub.model import SECOND_US, Candle, Nature, Quote, Refused
from hub.sessions import SESSIONS, is_open

log = structlog.get_logger("hot")

EVERY_S = 60.0
PAUSE_S = 5.0
"""Between two rankings at least, however quickly a recording's minutes go by."""
PRICE_TTL_S = 86_400.0
LISTED_FOR = 3
"""Rankings that may fail to come before `prices` ends, and with it the word that the cache is kept."""
MOST_MEMBERS = 100_000


class Span(NamedTuple):
    length_us: int
    rung: str  # of the candles that it is read from


SPANS = {
    "1h": Span(3_600 * SECOND_US, "1m"),
    "24h": Span(24 * 3_600 * SECOND_US, "5m"),
    "7d": Span(7 * 24 * 3_600 * SECOND_US, "1h"),
}
VOLATILE = "24h"
"""The span that volatility is over."""
BOARDS = {keys.volatile(VOLATILE): SPANS[VOLATILE], **{keys.movers(name): span for name, span in SPANS.items()}}


class Past(quotes.Past, Protocol):
    """What is needed of hub.history."""

    async def candles(self, instrument: str, rung: str, start_us: int, end_us: int) -> list[Candle]: ...


class Hot:
    """`run` until cancelled; `refresh` is one ranking."""

    def __init__(
        self,
        bus: Bus,
        history: Past,
        cache: Cache,
        catalogue: quotes.Known,
        *,
        every_s: float = EVERY_S,
        pause_s: float = PAUSE_S,
        clock: Callable[[], int] = quotes.now_us,
        as_of: AsOf | None = None,
    ) -> None:
        """`as_of`: the clock of that history where stocks are split: what is ranked counts as of its newest price."""
        self._as_of = as_of or AsOf()
        self.refused: Counter[str] = Counter()
        self.heard = 0
        self.writes = 0
        self._bus = bus
        self._history = history
        self._cache = cache
        self._catalogue = catalogue
        self._every_s = every_s
        self._pause_s = pause_s
        self._clock = clock
        self._waiting: dict[str, bytes] = {}  # subject → the newest message
        self._some = asyncio.Event()
        self._writing = asyncio.Lock()
        self._quotes: dict[str, Quote] = {}
        self._moved: set[str] = set()
        self._scores: dict[str, dict[str, float]] = {}  # instrument → board → score
        self._ranked: dict[str, int] = {}  # board → members
        self._ranked_at = 0
        self._due = asyncio.Event()
        self._due_at = 0  # on the quotes' clock
        self._newest = 0
        self._seeded = False
        self._missed = False  # the cache was away at a write
        self._trouble = ""
        self._says = Repeats(log)

    async def run(self) -> None:
        subscription = await self._bus.client.subscribe("quote.*", cb=self._hear)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._keep_prices())
                both.create_task(self._keep_boards())
        finally:
            if not self._bus.client.is_closed:
                await subscription.unsubscribe()

    def status(self) -> dict[str, Any]:
        return {
            "service": "hot",
            "instruments": len(self._quotes),
            "quotes": self.heard,
            "writes": self.writes,
            "refused": dict(self.refused),
            "boards": self._ranked,
            "ranked_at": self._ranked_at,
            "error": self._trouble or self._cache.trouble,
        }

    # -------------------------------------------------------------------------------------------- prices

    async def _hear(self, message: Msg) -> None:
        """On the loop of ingest, so as little as can be: what is replaced before it is written is never read."""
        self.heard += 1
        self._waiting[message.subject] = message.data
        self._some.set()

    async def _keep_prices(self) -> None:
        while True:
            await self._some.wait()
            await self.write()

    async def write(self, *, everything: bool = False) -> None:
        """What waits in one round trip, or all prices. One write at a time, so that none lands behind a newer one."""
        async with self._writing:
            self._some.clear()
            waiting, self._waiting = self._waiting, {}
            changed, known = self._take(waiting), len(self._quotes)
            self._quotes.update(changed)
            grown = len(self._quotes) > known
            chosen = self._quotes if everything else changed
            if chosen:
                prices = {keys.price(name): msgspec.json.encode(quote) for name, quote in chosen.items()}
                await self._cache.set_many(prices, PRICE_TTL_S)
                self.writes += 1
            if self._seeded and (everything or grown):
                listed = msgspec.json.encode(sorted(self._quotes))
                await self._cache.set(keys.PRICES, listed, LISTED_FOR * self._every_s)
            if grown or (self._missed and not self._cache.trouble):
                self._due.set()
            self._missed = bool(self._cache.trouble)

    def _take(self, waiting: dict[str, bytes]) -> dict[str, Quote]:
        taken: dict[str, Quote] = {}
        for subject, payload in waiting.items():
            quote = quotes.read(subject, payload, self._catalogue)
            if isinstance(quote, Refused):
                self.refused[quote.reason] += 1
                self._says.log(quote.reason, "a quote was refused", subject=subject, detail=quote.sample)
                continue
            taken[quote.instrument] = quote
            self._newest = max(self._newest, quote.time)
        self._moved.update(taken)
        if self._newest >= self._due_at:
            self._due.set()
        return taken

    # -------------------------------------------------------------------------------------------- boards

    async def _keep_boards(self) -> None:
        while True:
            try:
                await self.refresh()
            except HistoryTrouble as error:
                self._trouble = str(error)
                self._says.log("history", "the boards are not ranked now", reason=str(error))
            else:
                self._trouble = ""
                self._says.over("history", "the boards are ranked again")
            await asyncio.sleep(self._pause_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s - self._pause_s):
                    await self._due.wait()

    async def refresh(self) -> None:
        """Ranks what has moved, and writes all prices and boards. At the first time everything has moved, as far as
        the cache or history knows it."""
        if not self._seeded:
            await self._seed()
            self._seeded = True
        await self.write(everything=True)
        self._due.clear()
        self._due_at = self._newest + round(self._every_s * SECOND_US)
        moved, self._moved = self._moved, set()
        try:
            self._scores.update({name: await self._scores_of(self._quotes[name]) for name in sorted(moved)})
        except BaseException:
            self._moved |= moved
            raise
        now = self._now()
        for board, span in BOARDS.items():
            await self._put(board, self._board(board, span, now))
        self._missed = self._missed or bool(self._cache.trouble)
        self._ranked_at = now

    async def _seed(self) -> None:
        """The prices from before this process; what was heard meanwhile is newer."""
        ticks, natures = await self._history.last_ticks(), await self._history.natures()
        kept = await quotes.cached(self._cache, self._catalogue)
        before = dict(kept.quotes) if kept else {}
        for name, tick in ticks.items():
            held = before.get(name)
            if held is None or held.received_at < (tick.received_at or 0):
                nature = natures.get(tick.source, Nature.LIVE)
                self._as_of.at[name] = tick.received_at or 0
                quote = await quotes.remembered(self._history, self._catalogue, tick, nature, self._clock())
                if quote is not None:
                    before[name] = quote
        for name, quote in before.items():
            self._quotes.setdefault(name, quote)
            self._newest = max(self._newest, quote.time)
        self._moved.update(self._quotes)

    async def _scores_of(self, quote: Quote) -> dict[str, float]:
        scores: dict[str, float] = {}
        self._as_of.at[quote.instrument] = quote.received_at
        for name, (length_us, rung) in SPANS.items():
            candles = await self._history.candles(quote.instrument, rung, quote.time - length_us, quote.time + 1)
            if candles:
                scores[keys.movers(name)] = quote.price / candles[0].open - 1
            if name == VOLATILE:
                instrument = self._catalogue.get(quote.instrument)
                assert instrument is not None
                volatility = yearly_volatility(candles, rung, SESSIONS[instrument.session])
                if volatility is not None:
                    scores[keys.volatile(name)] = volatility
        return scores

    def _board(self, board: str, span: Span, now: int) -> dict[str, float]:
        return {
            name: scores[board]
            for name, scores in self._scores.items()
            if board in scores and not self._silent(self._quotes[name], span, now)
        }

    def _silent(self, quote: Quote, span: Span, now: int) -> bool:
        """Its market is open, and it has no price in the span that ends now."""
        instrument = self._catalogue.get(quote.instrument)
        assert instrument is not None
        return quote.time <= now - span.length_us and is_open(SESSIONS[instrument.session], now)

    async def _put(self, board: str, scores: dict[str, float]) -> None:
        """The whole board: who is on it and has no score any more is taken off."""
        for member, _ in await self._cache.top(board, MOST_MEMBERS):
            if member not in scores:
                await self._cache.unrank(board, member)
        await self._cache.rank_many(board, scores)
        self._ranked[board] = len(scores)

    def _now(self) -> int:
        """The wall clock, or where all prices are a recording's the time of the newest."""
        if self._quotes and all(quote.nature is Nature.RECORDING for quote in self._quotes.values()):
            return max(quote.time for quote in self._quotes.values())
        return self._clock()
