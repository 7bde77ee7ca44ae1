"""`tocsin backfill`: the minutes that history has no candle of, fetched from the feeds that keep history.

Only what is missing in open hours is asked for, in ranges; what was recorded stays as it is (History.fill_candles). The
newest minutes are left to the recorder, which may still be writing them. A vendor that says "later" is waited for.
Depends on hub.history, hub.sessions and the feeds that hub.load brings.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hub import config as configuration
from hub import load
from hub.config import Config, FeedSection
from hub.history import History, HistoryTrouble, open_history
from hub.history.ladder import MINUTE_US, floor
from hub.importing.progress import Show, progress
from hub.instruments import Catalogue, build_catalogue
from hub.ledger import open_ledger
from hub.ledger import splits as stored
from hub.model import SECOND_US, Candle, Instrument, Nature
from hub.plugin import BadRequest, GiveUp, TryLater
from hub.sessions import SESSIONS, hours_at
from hub.spans import parse_span
from hub.splits import parse_day, parse_ratio

DAY_US = 86_400 * SECOND_US
MARGIN_US = 5 * MINUTE_US
"""Before now: what the recorder may still have to store."""
JOIN_US = 240 * MINUTE_US
"""Two gaps nearer than this are one request."""
TRIES = 5
WAIT_S = 5.0
LONGEST_WAIT_S = 120.0

Range = tuple[int, int]


async def backfill(span: str, feed: str, instrument: str, config_path: Path | None, data: Path | None) -> int:
    """The exit code: 0 when every source was asked to the end, 1 when one could not be."""
    config = configuration.load(config_path, data=data)
    catalogue = build_catalogue(config.instruments, {symbol for one in config.feeds for symbol in one.symbols})
    only = catalogue.find(instrument).id if instrument else ""
    feeds = [(one, load.feed(one.module)) for one in config.feeds if one.enabled]
    able = [(one, module) for one, module in feeds if hasattr(module, "backfill")]
    chosen = [(one, module) for one, module in able if feed in ("", one.name)]
    if not chosen:
        raise BadRequest(_none(feed, [one.name for one in config.feeds], [one.name for one, _ in able]))
    now = time.time_ns() // 1000
    wanted = parse_span(span, now, config.hub.time_zone)
    end = min(floor(wanted.end_us, MINUTE_US), floor(now - MARGIN_US, MINUTE_US))
    problems: list[str] = []
    await _splits(config, catalogue, chosen, only, wanted.start_us, end)
    try:
        async with open_history(config) as history:
            for section, module in chosen:
                for name, symbol in section.symbols.items():
                    if only in ("", name):
                        problems += await _one(
                            history, catalogue, section, module, name, symbol, (floor(wanted.start_us, MINUTE_US), end)
                        )
    except HistoryTrouble as error:
        raise TryLater(f"{error}; the same command goes on where this one stopped") from error
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


async def _splits(
    config: Config,
    catalogue: Catalogue,
    chosen: Iterable[tuple[FeedSection, Any]],
    only: str,
    start_us: int,
    end_us: int,
) -> None:
    """Splits of that span that sources know and the ledger does not; one that cannot be asked is not waited for."""
    able = [(section, module) for section, module in chosen if hasattr(module, "splits")]
    if not able:
        return
    now = time.time_ns() // 1000
    async with open_ledger(config) as ledger:
        for section, module in able:
            symbols = {name: symbol for name, symbol in section.symbols.items() if only in ("", name)}
            try:
                found = await module.splits(load.settings_of(module, section.settings), symbols, start_us, end_us)
            except (TryLater, GiveUp) as error:
                print(f"{section.name}: its splits could not be asked for: {error.reason}", file=sys.stderr)
                continue
            for name, day, new, old in found:
                shares, told_by = parse_ratio(f"{new}:{old}"), section.name
                if catalogue.get(name) is None:
                    continue
                add = partial(stored.add, instrument=name, day=parse_day(day), numerator=shares[0],
                              denominator=shares[1], told_by=told_by, now=now)  # fmt: skip
                if await ledger.write(add):
                    print(f"{name}: split {new}:{old} on {day}, from {section.name}")


def _none(feed: str, all_: Sequence[str], able: Sequence[str]) -> str:
    if not feed:
        return "no configured feed keeps history to fill from"
    if feed not in all_:
        return load.unknown("feed", feed, all_)
    return f"{feed} keeps no history to fill from{f'; {load.listed(able)} can' if able else ''}"


async def _one(
    history: History,
    catalogue: Catalogue,
    section: FeedSection,
    module: Any,
    name: str,
    symbol: str,
    span: Range,
) -> list[str]:
    """Fills the gaps of one instrument from one feed; what could not be fetched."""
    instrument = catalogue.get(name)
    assert instrument is not None
    ranges = joined(await missing(history, instrument, span))
    filled = Filling(history, f"backfill:{section.name}", span)
    settings = load.settings_of(module, section.settings)
    problem = ""
    with progress(f"{name} from {section.name}", "candles") as show:
        for gap in ranges:
            if problem := await filled.fetch(partial(module.backfill, settings, {name: symbol}), gap, show):
                break
    left = sum(1 for _ in _minutes(await missing(history, instrument, span))) if ranges else 0
    told = f"; the source has nothing for {left:,} open minutes" if left and not problem else ""
    print(f"{name}: {filled.stored:,} candles from {section.name}{told}" if ranges else f"{name}: nothing is missing")
    return [f"{section.name}: {name} could not be filled to the end: {problem}"] if problem else []


class Filling:
    """Takes what a feed emits and counts it."""

    def __init__(self, history: History, source: str, span: Range) -> None:
        self.stored = 0
        self._history = history
        self._source = source
        self._span = span

    async def fetch(self, backfill: Callable[..., Awaitable[None]], gap: Range, show: Show) -> str:
        """Asks until the range is there; why it is not."""
        start, end = gap

        async def emit(instrument: str, rung: str, candles: Sequence[Candle]) -> None:
            nonlocal start
            inside = [candle for candle in candles if gap[0] <= candle.start < end]
            if inside:
                self.stored += await self._history.fill_candles(
                    instrument, rung, inside, source=self._source, nature=Nature.RECORDING, number=inside[-1].start
                )
                start = max(start, inside[-1].start + MINUTE_US)
            show((start - self._span[0]) / max(self._span[1] - self._span[0], 1), self.stored)

        failed = 0
        while True:
            before = start
            try:
                await backfill(start, end, emit)
            except TryLater as error:
                failed = 1 if start > before else failed + 1
                if failed >= TRIES:
                    return error.reason
                await asyncio.sleep(min(error.retry_after_s or WAIT_S, LONGEST_WAIT_S))
            except GiveUp as error:
                return error.reason
            else:
                return ""


# -------------------------------------------------------------------------------------------------- gaps


async def missing(history: History, instrument: Instrument, span: Range) -> list[Range]:
    """The ranges of open minutes in which history has no candle."""
    gaps: list[Range] = []
    start, end = span
    while start < end:
        until = min(start + DAY_US, end)
        there = {candle.start for candle in await history.candles(instrument.id, "1m", start, until)}
        gaps += [gap for part in open_parts(instrument, start, until) for gap in holes(there, *part)]
        start = until
    return gaps


def open_parts(instrument: Instrument, start: int, end: int) -> list[Range]:
    """The parts of a span in which the instrument's session is open."""
    session = SESSIONS[instrument.session]
    parts: list[Range] = []
    while start < end:
        hours = hours_at(session, start)
        until = end if hours.until_us is None else min(hours.until_us, end)
        if hours.open:
            parts.append((start, until))
        start = until
    return parts


def holes(there: set[int], start: int, end: int) -> list[Range]:
    """The ranges of minutes that are not there."""
    found: list[Range] = []
    for minute in range(start, end, MINUTE_US):
        if minute in there:
            continue
        if found and found[-1][1] == minute:
            found[-1] = (found[-1][0], minute + MINUTE_US)
        else:
            found.append((minute, minute + MINUTE_US))
    return found


def joined(gaps: Iterable[Range]) -> list[Range]:
    """Fewer, longer ranges to ask for: what is near each other is asked for at once."""
    ranges: list[Range] = []
    for start, end in gaps:
        if ranges and start - ranges[-1][1] <= JOIN_US:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return ranges


def _minutes(gaps: Iterable[Range]) -> Iterable[int]:
    for start, end in gaps:
        yield from range(start, end, MINUTE_US)
