"""What happened while an instrument had no price: found out once it is back, and told to whom it matters.

The engine closes a gap in its commit. Here the minutes that are missing are asked of the feeds that keep history; then
each owner hears that the instrument is back, if they were told that it was blind, and which of their levels were
crossed meanwhile without ringing. Backfilled prices never ring an alert: they are told as what they are. Of several
hubs one tells. What is not known is said. Depends on the ledger, the history, and the feeds of the configuration.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import nats.errors
import sqlalchemy as sa
import structlog

from hub import bus as subjects
from hub import load
from hub.bus import Bus
from hub.config import Config, FeedSection
from hub.evidence import amount, moment
from hub.history import History, HistoryTrouble
from hub.history.adjusted import Reads
from hub.history.ladder import MINUTE_US, floor
from hub.importing.backfill import Filling, joined, missing
from hub.ledger import Ledger, LedgerTrouble, alerts, gaps, quiet
from hub.ledger.gaps import Gap
from hub.logs import Repeats
from hub.model import SECOND_US, Candle, Instrument
from hub.plugin import BadRequest, Catalogue
from hub.rules.language import parse
from hub.sessions import SESSIONS, is_open
from hub.wording import duration

LOOK_EVERY_S = 3.0
AT_ONCE = 5_000
AFTER_US = 5 * SECOND_US
"""Behind the first price a gap is looked at: the recorder has it by then."""
MINUTES_AFTER_US = 75 * SECOND_US
"""The same where a feed is asked: its last minute is over by then."""
PATIENCE_S = 60.0
KEEP_US = 30 * 86_400 * SECOND_US
SHOWN = 10
log = structlog.get_logger("recovery")


class Crossed(NamedTuple):
    """A level that was passed in a gap, and is not passed any more."""

    alert_id: int
    text: str
    urgent: bool
    candle: Candle
    rose: bool


class Known(NamedTuple):
    """What is known of the minutes of a gap."""

    candles: Sequence[Candle]
    source: str  # that the minutes came from; empty: nobody keeps them


class Seen(NamedTuple):
    """What a gap was for the alerts of an owner."""

    crossed: Sequence[Crossed]
    others: int  # that watch more than its price: what they would have seen is not known


class Recovery:
    def __init__(
        self,
        ledger: Ledger,
        history: History,
        past: Reads,
        catalogue: Catalogue,
        config: Config,
        bus: Bus,
        clock: Callable[[], int],
    ) -> None:
        self.told = 0
        self._ledger = ledger
        self._history = history
        self._past = past  # the same, in today's shares
        self._catalogue = catalogue
        self._feeds = [feed for feed in config.feeds if feed.enabled]
        self._bus = bus
        self._now = clock
        self._troubles = Repeats(log)

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except (LedgerTrouble, HistoryTrouble) as error:
                self._troubles.log("stores", "what happened in gaps cannot be told now", reason=str(error))
            else:
                self._troubles.over("stores", "what happened in gaps is told again")
            await asyncio.sleep(LOOK_EVERY_S)

    def status(self) -> dict[str, Any]:
        return {"service": "recovery", "told": self.told}

    async def look(self) -> None:
        """Every gap that is over and old enough."""
        now = self._now()
        found = await self._ledger.read(lambda c: gaps.to_look_at(c, AT_ONCE))
        same: dict[tuple[str, int, int], list[Gap]] = {}
        for gap in found:
            same.setdefault((gap.instrument, gap.since, gap.until or 0), []).append(gap)
        for (name, _, until), of_owners in same.items():
            sources = self._able(name)
            recorded = (await self._history.position()).clock
            wait_us = MINUTES_AFTER_US if sources else AFTER_US
            if max(now, recorded) >= until + wait_us:
                await self._look_at(name, of_owners, sources)
        if found:
            await self._ledger.write(lambda c: gaps.forget(c, now - KEEP_US))

    def _able(self, instrument: str) -> list[FeedSection]:
        """Feeds that serve it and keep its history."""
        serving = [feed for feed in self._feeds if instrument in feed.symbols]
        return [feed for feed in serving if hasattr(load.feed(feed.module), "backfill")]

    async def _look_at(self, name: str, same: Sequence[Gap], sources: Sequence[FeedSection]) -> None:
        instrument = self._catalogue.get(name) or Instrument(id=name, name=name)
        known = await self._known(instrument, same[0], sources)
        told = await self._ledger.write(lambda c: self._tell(c, instrument, same, known))
        self.told += told
        if told:
            with contextlib.suppress(nats.errors.Error):  # a sweep finds them too, a little later
                await self._bus.client.publish(subjects.OUTBOX, b"")

    # ------------------------------------------------------------------------------------------ finding out

    async def _known(self, instrument: Instrument, gap: Gap, sources: Sequence[FeedSection]) -> Known:
        """The minutes that lie whole in the gap, filled from the first source that has them."""
        start, end = floor(gap.since, MINUTE_US) + MINUTE_US, floor(gap.until or 0, MINUTE_US)
        if end <= start:
            return Known((), "")
        for feed in sources:
            if problem := await self._fill(instrument, feed, (start, end)):
                log.warning("a gap could not be filled", instrument=instrument.id, feed=feed.name, reason=problem)
            elif candles := await self._past.candles(instrument.id, "1m", start, end):
                return Known(candles, feed.name)
        return Known((), "")

    async def _fill(self, instrument: Instrument, feed: FeedSection, span: tuple[int, int]) -> str:
        """Why it cannot, or nothing."""
        module: Any = load.feed(feed.module)
        settings = load.settings_of(module, feed.settings)
        filling = Filling(self._history, f"backfill:{feed.name}", span)
        ask = partial(module.backfill, settings, {instrument.id: feed.symbols[instrument.id]})
        try:
            async with asyncio.timeout(PATIENCE_S):
                for part in joined(await missing(self._history, instrument, span)):
                    if problem := await filling.fetch(ask, part, lambda _share, _count: None):
                        return problem
        except TimeoutError:
            return f"no answer within {PATIENCE_S:g} s"
        return ""

    # ---------------------------------------------------------------------------------------------- telling

    def _tell(self, c: sa.Connection, instrument: Instrument, same: Sequence[Gap], known: Known) -> int:
        """Whoever has to hear of it; nobody where another hub was faster."""
        now = self._now()
        if not gaps.looked_at(c, [gap.id for gap in same], now):
            return 0
        told = 0
        for gap in same:
            seen = self._seen(c, gap, known.candles)
            if not seen.crossed and not gap.told:
                continue
            title, text = worded(instrument, gap, seen, known)
            key = f"back:{instrument.id}:{gap.since}"
            urgent = any(each.urgent for each in seen.crossed)
            quiet.notices(c, gap.owner_id, key, title, text, now, urgent=urgent)
            for each in seen.crossed:
                alerts.tell(c, each.alert_id, now, f"while it was blind: {_line(instrument, each)}")
            told += 1
        return told

    def _seen(self, c: sa.Connection, gap: Gap, candles: Sequence[Candle]) -> Seen:
        """Alerts on the instrument's own price that still wait for what was there meanwhile."""
        crossed, others = [], 0
        for row in alerts.waiting_on(c, gap.owner_id, gap.instrument, gap.since) if candles else ():
            try:
                clause = parse(row.text, self._catalogue.find).plain
            except BadRequest:
                continue
            if clause is None or (row.up_armed is None and row.down_armed is None):
                others += 1
            elif found := _crossing(row, clause.level, candles):
                crossed.append(found)
        return Seen(crossed, others)


def _crossing(row: Any, level: float, candles: Iterable[Candle]) -> Crossed | None:
    """The first minute that passed the level of a half that waits."""
    for candle in candles:
        rose = bool(row.up_armed) and candle.high >= level
        if rose or (bool(row.down_armed) and candle.low <= level):
            return Crossed(row.id, row.text, bool(row.urgent), candle, rose)
    return None


def worded(instrument: Instrument, gap: Gap, seen: Seen, known: Known) -> tuple[str, str]:
    """Title and text. A gap that ends in closed hours has ended with them."""
    until, crossed = gap.until or gap.since, seen.crossed
    back, closed = moment(until)[11:19], not is_open(SESSIONS[instrument.session], until)
    count = "a level of yours was" if len(crossed) == 1 else f"{len(crossed)} of your levels were"
    title = f"{instrument.name} has a price again since {back} UTC"
    if closed:
        title = f"The market of {instrument.name} has closed without a price since {moment(gap.since)[:19]} UTC"
    if crossed and closed:
        title += f": {count} crossed meanwhile"
    elif crossed:
        title = f"{instrument.name} has a price again: {count} crossed meanwhile"
    span = f"{moment(gap.since)[:19]} to {'the close at ' if closed else ''}{back} UTC"
    return title, "\n".join(
        [f"No price from {span} ({duration(until - gap.since)}).", *_found(instrument, seen, known, closed)]
    )


def _found(instrument: Instrument, seen: Seen, known: Known, closed: bool) -> Iterable[str]:
    """What is known of a gap, and what is not."""
    crossed = seen.crossed
    yield from (_line(instrument, each) for each in crossed[:SHOWN])
    if len(crossed) > SHOWN:
        yield f"and {len(crossed) - SHOWN} more; alerts lists all"
    if crossed and closed:
        yield f"By the minutes of {known.source}; what is beyond its level when the market opens rings then."
    elif crossed:
        yield f"By the minutes of {known.source}; the price came back, so nothing rang."
    elif known.source:
        yield f"None of your levels was crossed meanwhile, by the minutes of {known.source}."
    else:
        yield "What it did meanwhile is not known: no source of it keeps history."
    if seen.others:
        which = "an alert" if seen.others == 1 else f"{seen.others} alerts"
        yield f"Of {which} on more than its price it is not known."


def _line(instrument: Instrument, each: Crossed) -> str:
    start = moment(each.candle.start)[11:16]
    least = instrument.decimals
    edge, value = ("high", each.candle.high) if each.rose else ("low", each.candle.low)
    return f"alert {each.alert_id} ({each.text}) was crossed at {start} UTC, {edge} {amount(value, least + 2, least)}"
