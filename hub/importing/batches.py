"""Updates of a file → what history takes in one transaction. Pure, but for the iterator that it reads.

A batch ends at the end of a minute (of bars: of an interval of their rung), so that an import that is taken up again
never splits a candle. What was settled before, by the marks of its lane, is read again and passed over: how late a
tick is depends on those before it. Depends on hub.frame, hub.normalize and hub.sessions.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import msgspec

from hub.arbiter import HOLD_US
from hub.frame import Event, EventKind, Frame, Refusal, empty, lane
from hub.history.filling import bar_lane
from hub.history.ladder import MINUTE_US, floor, length_us, merge
from hub.model import Candle, Instrument, Nature, Refused, Tick, Verdict
from hub.normalize import price_of
from hub.plugin import Bar
from hub.sessions import SESSIONS, hours_at

TICKS = 20_000
BARS = 5_000
MOST_TICKS = 200_000
"""In one batch, whatever the minute."""
MOST_SHOWN = 10

Updates = Iterator[Tick | Bar | Refused]
Marks = Mapping[str, int]


class BrokenLine(Exception):
    """The import ends here by the person's choice. What came before is in the batch that was given out last."""

    def __init__(self, number: int, sample: str) -> None:
        super().__init__(f"line {number}: {sample}")
        self.number = number
        self.sample = sample


class Refusals:
    """What is not taken, counted by reason; broken lines are named too."""

    def __init__(self, broken: str, skip: bool, settled: int) -> None:
        self.counts: Counter[str] = Counter()
        self.shown: list[str] = []
        self.fresh: dict[str, tuple[int, int]] = {}  # reason → how many since the last batch, the highest number
        self._broken = broken
        self._skip = skip
        self._settled = settled

    def add(self, reason: str, number: int, sample: str) -> None:
        if reason == self._broken:
            if not self._skip and number > self._settled:
                raise BrokenLine(number, sample)
            if len(self.shown) < MOST_SHOWN:
                self.shown.append(f"line {number}: {sample[:80]}")
        self.counts[reason] += 1
        if number > self._settled:
            self.fresh[reason] = (self.fresh.get(reason, (0, 0))[0] + 1, number)

    def take(self, source: str) -> list[Refusal]:
        taken = [Refusal(source, "", reason, count, number) for reason, (count, number) in self.fresh.items()]
        self.fresh.clear()
        return taken


class Judge:
    """The verdict on each tick, as ingest would give it: `speaks` says which kind moves an instrument's price."""

    def __init__(self, instruments: Callable[[str], Instrument | None], speaks: Mapping[tuple[str, int], bool]) -> None:
        self._instruments = instruments
        self._speaks = speaks
        self.lone = 0  # ticks that were outliers
        self._newest: dict[tuple[str, int], int] = {}
        self._believed: dict[tuple[str, int], tuple[float, int]] = {}  # the last price, and its time
        self._apart: dict[tuple[str, int], tuple[float, int]] = {}  # one behind it that no second has confirmed yet
        self._hours: dict[str, tuple[bool, int, int]] = {}

    def __call__(self, tick: Tick, at: int) -> Verdict:
        key = (tick.instrument, tick.kind)
        newest = self._newest.get(key, at)
        if at < newest:
            return Verdict.LATE
        self._newest[key] = at
        opened, since, until = self._hours.get(tick.instrument, (False, 0, 0))
        if not since <= at < until:
            opened, until = self._ask(tick.instrument, at)
        if not opened:
            return Verdict.CLOSED
        return Verdict.PRICE if self._speaks.get(key, True) else Verdict.ASIDE

    @property
    def waits(self) -> bool:
        """Whether the next tick may tell that the one before it was an outlier."""
        return bool(self._apart)

    def before_was_lone(self, tick: Tick, price: float, at: int) -> bool:
        """Given each tick that moves the price: whether the one before stood alone, beyond the instrument's limit from
        both its neighbours, which agree. In a dense market only: over minutes a price may go and come back."""
        key = (tick.instrument, tick.kind)
        before, apart = self._believed.get(key), self._apart.pop(key, None)
        if before and apart and at - apart[1] <= HOLD_US and self._near(tick.instrument, price, before[0]):
            self._believed[key] = (price, at)
            return True
        before = apart or before
        if before and at - before[1] <= HOLD_US and not self._near(tick.instrument, price, before[0]):
            self._believed[key], self._apart[key] = before, (price, at)
        else:
            self._believed[key] = (price, at)
        return False

    def _near(self, name: str, price: float, other: float) -> bool:
        instrument = self._instruments(name)
        return abs(price - other) <= (instrument.outlier if instrument else 1.0) * other

    def _ask(self, name: str, at: int) -> tuple[bool, int]:
        instrument = self._instruments(name)
        hours = hours_at(SESSIONS[instrument.session if instrument else "24x7"], at)
        until = 1 << 62 if hours.until_us is None else hours.until_us
        self._hours[name] = (hours.open, at, until)
        return hours.open, until


def frames_of(
    updates: Updates,
    source: str,
    marks: Marks,
    refusals: Refusals,
    judge: Judge | None,
    now: int,
    size: int = TICKS,
) -> Iterator[Frame]:
    """`judge`: None for our own export, whose verdicts and order within a minute (by `received_at`) stand."""
    ticks: list[Tick] = []
    prices: list[float] = []
    verdicts: list[int] = []
    minute = -1
    marked = dict(marks)
    lanes: dict[tuple[str, int], int] = {}
    places: dict[tuple[str, int], int] = {}  # in the batch, of the last tick that moved a price
    try:
        for update in updates:
            number = update.number or 0
            if isinstance(update, Refused):
                refusals.add(update.reason, number, update.sample)
                continue
            assert isinstance(update, Tick)
            at = update.venue_time if update.venue_time is not None else update.received_at or 0
            price = price_of(update, now)
            if isinstance(price, str):
                refusals.add(price, number, "")
                continue
            verdict = update.verdict if judge is None else judge(update, at)
            key = (update.instrument, update.kind)
            moves = judge is not None and verdict == Verdict.PRICE
            if judge and moves and judge.before_was_lone(update, price, at) and key in places:
                verdicts[places[key]] = Verdict.OUTLIER
                judge.lone += 1
            if key not in lanes:
                lanes[key] = marked.get(lane(*key), 0)
            if number <= lanes[key]:
                continue
            full = at // MINUTE_US != minute and not (judge and judge.waits)
            if len(ticks) >= size and (full or len(ticks) >= MOST_TICKS):
                yield _frame(ticks, prices, verdicts, source, refusals, judge is None)
                ticks, prices, verdicts, places = [], [], [], {}
            if moves:
                places[key] = len(ticks)
            minute = at // MINUTE_US
            ticks.append(update)
            prices.append(price)
            verdicts.append(verdict)
    except BrokenLine:
        if ticks or refusals.fresh:
            yield _frame(ticks, prices, verdicts, source, refusals, judge is None)
        raise
    if ticks or refusals.fresh:
        yield _frame(ticks, prices, verdicts, source, refusals, judge is None)


def _frame(
    ticks: list[Tick], prices: list[float], verdicts: list[int], source: str, refusals: Refusals, by_receipt: bool
) -> Frame:
    if by_receipt:
        order = sorted(range(len(ticks)), key=lambda at: (_time(ticks[at]) // MINUTE_US, ticks[at].received_at or 0))
        ticks, prices, verdicts = ([column[at] for at in order] for column in (ticks, prices, verdicts))  # type: ignore[assignment]
    frame = empty()
    names = {name: at for at, name in enumerate(dict.fromkeys(tick.instrument for tick in ticks))}
    frame.instruments = list(names)
    frame.sources, frame.natures = [source], [Nature.RECORDING.value]
    frame.instrument = [names[tick.instrument] for tick in ticks]
    frame.source = [0] * len(ticks)
    frame.kind = [int(tick.kind) for tick in ticks]
    frame.verdict = [int(verdict) for verdict in verdicts]
    frame.venue_time = [tick.venue_time for tick in ticks]
    frame.received_at = [_received(tick) for tick in ticks]
    frame.price = prices
    frame.bid = [tick.bid for tick in ticks]
    frame.ask = [tick.ask for tick in ticks]
    frame.volume = [tick.volume for tick in ticks]
    frame.vendor_number = [tick.number for tick in ticks]
    frame.refused = refusals.take(source)
    return frame


def _time(tick: Tick) -> int:
    return tick.venue_time if tick.venue_time is not None else tick.received_at or 0


def _received(tick: Tick) -> int:
    return tick.received_at if tick.received_at is not None else tick.venue_time or 0


def last_frame(source: str, refusals: list[Refusal], lines: int) -> Frame:
    """Says that the file was read to its end."""
    frame = empty()
    frame.sources, frame.natures = [source], [Nature.RECORDING.value]
    frame.refused = refusals
    frame.events = [Event(0, EventKind.FINISHED, 0, source=source, text=str(lines))]
    return frame


# -------------------------------------------------------------------------------------------------- bars


class Filled(msgspec.Struct, frozen=True):
    """Candles of one instrument for `fill_candles`, and the number of the last line in them."""

    instrument: str
    candles: list[Candle]
    number: int


def bars_of(
    updates: Updates, rung: str, marks: Marks, refusals: Refusals, *, by_day: bool, size: int = BARS
) -> Iterator[list[Filled]]:
    """Bars on a rung; several in one interval are merged. `by_day`: each is a day's or more, under the day that it
    begins nearest to."""
    length = length_us(rung)
    half = length // 2 if by_day else 0
    held: list[tuple[int, Bar]] = []
    interval = -1
    try:
        for update in updates:
            if isinstance(update, Refused):
                refusals.add(update.reason, update.number or 0, update.sample)
                continue
            assert isinstance(update, Bar)
            if update.number <= marks.get(bar_lane(update.instrument), 0):
                continue
            start = floor(update.candle.start + half, length)
            if len(held) >= size and start != interval:
                yield _filled(held)
                held = []
            interval = start
            held.append((start, update))
    except BrokenLine:
        if held:
            yield _filled(held)
        raise
    if held:
        yield _filled(held)


def _filled(held: list[tuple[int, Bar]]) -> list[Filled]:
    by_instrument: dict[str, dict[int, list[Candle]]] = {}
    last: dict[str, int] = {}
    for start, bar in held:
        by_instrument.setdefault(bar.instrument, {}).setdefault(start, []).append(bar.candle)
        last[bar.instrument] = bar.number
    return [
        Filled(name, [_merged(start, intervals[start]) for start in sorted(intervals)], last[name])
        for name, intervals in by_instrument.items()
    ]


def _merged(start: int, candles: list[Candle]) -> Candle:
    first, *rest = sorted(candles, key=lambda candle: candle.start)
    seen = first.start
    for candle in rest:
        if candle.start > seen:  # an hour that a clock repeats counts once
            first, seen = merge(first, candle), candle.start
    return msgspec.structs.replace(first, start=start)


def rung_for_bars(step_us: int, rungs: Mapping[str, int]) -> str:
    """The finest rung that bars of that length fill whole; days for longer ones."""
    for rung in rungs:
        if length_us(rung) % step_us == 0:
            return rung
    return list(rungs)[-1] if step_us > length_us(list(rungs)[-1]) else ""


def step_of(times: Iterator[tuple[int, int]]) -> int:
    """The most common distance of two neighbours; 0: there is none."""
    steps = Counter(abs(after - before) for before, after in times if after != before)
    return steps.most_common(1)[0][0] if steps else 0
