"""`tocsin import`: prices of the past from a file into history, and what was missed from the feeds that keep history.

No alert rings: nothing goes through the stream, only into the store (History.fill and fill_candles), where what was
recorded wins over what a file says. What looks wrong is questioned before anything is stored. A batch and the number of
its last line are one transaction: an import that was killed goes on where it was when the same command runs again, and
a file that is whole in history is not taken twice, whatever its name. It works beside a running hub.
Rooms: `plan`, `doubts`, `batches` (pure), `questions`, `progress`, `backfill`. Depends on hub.history and, for the
formats, on what hub.load brings.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from hub import config as configuration
from hub import load
from hub.frame import Frame
from hub.history import History, HistoryTrouble, open_history
from hub.importing import questions
from hub.importing.backfill import backfill
from hub.importing.batches import BrokenLine, Filled, Judge, Refusals, bars_of, frames_of, last_frame
from hub.importing.plan import PREFIX, Asked, Plan, make
from hub.importing.progress import Show, progress
from hub.instruments import build_catalogue
from hub.model import Nature
from hub.plugin import BadRequest, TryLater
from hub.render import safe

__all__ = ["Asked", "backfill", "main"]

T = TypeVar("T")


async def main(asked: Asked, config_path: Path | None, data: Path | None) -> int:
    """The exit code: 0 when all of the file is in history. BadRequest for what has to be said or mended first."""
    config = configuration.load(config_path, data=data)
    catalogue = build_catalogue(config.instruments, {symbol for feed in config.feeds for symbol in feed.symbols})
    recordings = load.recordings()
    survey = await in_thread(lambda: recordings.look(asked.file, asked.format, asked.member))
    plan = await in_thread(lambda: make(asked, survey, catalogue, recordings))
    try:
        async with open_history(config) as history:
            marks, finished = await history.marks(), await history.finished()
            source = _same({*marks, *finished}, plan) or plan.source
            if source in finished:
                print(f"{asked.file.name} is in history already, as {source}: nothing was stored")
                return 0
            if not asked.sure and source not in marks:
                questions.question(
                    [
                        *await questions.other_nature(config),
                        *questions.read_before(marks, plan),
                        *await questions.of_prices(plan, asked, history, catalogue, recordings),
                    ]
                )
            for note in plan.notes:
                print(safe(note), file=sys.stderr)
            return await _Import(asked, plan, source, history, recordings).run(marks.get(source, {}))
    except HistoryTrouble as error:
        raise TryLater(f"{error}; the same command goes on where this one stopped") from error


async def in_thread(work: Callable[[], T]) -> T:
    """Off the loop."""
    return await to_its_end(asyncio.to_thread(work))


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Whoever is cancelled meanwhile waits until it is done: a thread has let go of its file, a batch is counted."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


def _same(sources: set[str], plan: Plan) -> str | None:
    """The name under which this content, read in this way, was taken before."""
    end = f"@{plan.content}-{plan.reading}"
    return next((name for name in sources if name.startswith(PREFIX) and name.endswith(end)), None)


# -------------------------------------------------------------------------------------------- the import


class _Import:
    """One file on its way into history."""

    def __init__(self, asked: Asked, plan: Plan, source: str, history: History, recordings: ModuleType) -> None:
        self.asked = asked
        self.plan = plan
        self.source = source
        self.history = history
        self.recordings = recordings
        self.judge = None if plan.own else Judge(plan.instruments.get, plan.speaks)
        self.stored = 0
        self.read = 0

    @property
    def noun(self) -> str:
        return "bars" if self.plan.rung else "ticks"

    async def run(self, marks: dict[str, int]) -> int:
        refusals = Refusals(self.recordings.BROKEN_LINE, self.asked.skip_broken, marks.get("", 0))
        begun = time.monotonic()
        if marks:
            print(f"taken up behind line {max(marks.values()):,}", file=sys.stderr)
        try:
            with (
                self.recordings.updates(self.asked.file, self.plan.survey, self.plan.facts) as (updates, share),
                progress(self.asked.file.name, self.noun) as show,
            ):
                if self.plan.rung:
                    await self._bars(bars_of(updates, self.plan.rung, marks, refusals, by_day=self.plan.by_day),
                                     share, show)  # fmt: skip
                else:
                    await self._ticks(frames_of(updates, self.source, marks, refusals, self.judge, now_us()),
                                      share, show)  # fmt: skip
                await self.history.fill([last_frame(self.source, refusals.take(self.source), self.plan.survey.lines)])
        except BrokenLine as broken:
            raise BadRequest(self._broken(broken)) from broken
        except asyncio.CancelledError:
            print(f"stopped: {self._so_far()}; the same command goes on from there", file=sys.stderr)
            raise
        self._tell(refusals, time.monotonic() - begun)
        return 0

    async def _ticks(self, frames: Iterator[Frame], share: Callable[[], float], show: Show) -> None:
        while (frame := await in_thread(lambda: next(frames, None))) is not None:
            await to_its_end(self._store(frame))
            show(share(), self.stored)

    async def _store(self, frame: Frame) -> None:
        self.stored += await self.history.fill([frame])

    async def _bars(self, batches: Iterator[list[Filled]], share: Callable[[], float], show: Show) -> None:
        while (batch := await in_thread(lambda: next(batches, None))) is not None:
            for one in batch:
                await to_its_end(self._store_bars(one))
            show(share(), self.read)

    async def _store_bars(self, one: Filled) -> None:
        self.read += len(one.candles)
        self.stored += await self.history.fill_candles(
            one.instrument,
            self.plan.rung,
            one.candles,
            source=self.source,
            nature=Nature.RECORDING,
            number=one.number,
        )

    def _so_far(self) -> str:
        if not self.plan.rung:
            return are_stored(self.stored, "tick")
        there = self.read - self.stored
        return are_stored(self.stored, "candle", f" of {self.plan.rung}") + (
            f" ({there:,} {'was' if there == 1 else 'were'} there already)" if there else ""
        )

    def _broken(self, broken: BrokenLine) -> str:
        return (
            f'{self.asked.file.name} is broken in line {broken.number}: "{broken.sample[:80]}"\n'
            f"{self._so_far()}, from the lines before it; the same command with --broken skip goes on behind it"
        )

    def _tell(self, refusals: Refusals, elapsed_s: float) -> None:
        for line in refusals.shown:
            print(safe(line), file=sys.stderr)
        if self.judge and self.judge.lone:
            print(
                f"{self.judge.lone:,} of the prices stood alone, far from those before and behind: kept as outliers, in"
                " no candle",
                file=sys.stderr,
            )
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in sorted(refusals.counts.items()))
        names = ", ".join(self.plan.instruments)
        rate = f" in {elapsed_s:.1f} s" if elapsed_s >= 0.05 else ""
        print(f"{names}: {self._so_far()}{rate}" + (f"; left out: {left_out}" if left_out else ""))


def are_stored(count: int, noun: str, of: str = "") -> str:
    return f"{count:,} {noun}{of} is stored" if count == 1 else f"{count:,} {noun}s{of} are stored"


def now_us() -> int:
    return time.time_ns() // 1000
