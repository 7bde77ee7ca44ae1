"""What a hub has published and what it rang, held against the reference: the stream's frames become the reference's
happenings, the ledger's triggers its rings."""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hub import reader
from hub.bus import connect
from hub.frame import Event, Frame
from hub.model import Instrument, Verdict
from hub.rules.spec import AlertSpec, canonical
from tests.conftest import NatsServer
from tests.recording import rows
from tests.reference import Beat, Happening, Reference, Ring, Told
from tests.reference_board import differences
from tests.reference_market import Tick

HELD = (Verdict.CONFIRMED, Verdict.OUTLIER)
"""What the arbiter held back is published later than others that came after it."""


# ------------------------------------------------------------------------------------------- the stream


def frames_in(folder: Path) -> list[Frame]:
    """All that a hub that has ended published: its broker's store is opened by a server of the test's own."""
    server = NatsServer(folder / "broker")
    server.start()
    try:
        return asyncio.run(frames_at(server.url, server.token))
    finally:
        server.stop()


async def frames_at(url: str, token: str) -> list[Frame]:
    """The same of a broker that runs. AssertionError where the first ones are gone."""
    async with connect(url, token, "reference") as bus:
        state = await reader.stream_state(bus)
        assert state.first <= 1, "the stream was purged: nobody knows any more what its first frames were"
        return [frame async for frame in reader.frames_between(bus, 0, state.last)]


async def keep_all(url: str, token: str) -> None:
    """Nothing is purged from this stream any more: a reader says that it has read nothing."""
    async with connect(url, token, "reference") as bus:
        await reader.report(bus, "reference", 0)


def happenings_of(frames: Iterable[Frame]) -> list[Happening]:
    """In stream order, each frame once. AssertionError for a clock that is ahead of what comes behind it."""
    found: list[Happening] = []
    newest, clock, last = (0, 0), 0, 0
    said: dict[str, int] = {}
    for frame in frames:
        if (frame.epoch, frame.number) <= newest:
            continue
        newest = (frame.epoch, frame.number)
        events = list(frame.events)
        for i, tick in enumerate(frame.ticks()):
            while events and events[0].at <= i:
                _tell(found, said, events.pop(0))
            assert tick.price is not None and tick.received_at is not None
            assert tick.received_at >= clock or tick.verdict in HELD, f"the clock stood at {clock} before {tick}"
            last = max(last, tick.received_at)
            found.append(
                Tick(
                    tick.instrument, tick.verdict, tick.kind, tick.price, tick.bid, tick.ask, tick.volume,
                    tick.venue_time, tick.received_at, tick.source,
                )
            )  # fmt: skip
        for event in events:
            _tell(found, said, event)
        clock = max(clock, frame.clock)
        if clock > last:  # what it came with is held back
            last = clock
            found.append(Beat(clock))
    return found


def _tell(found: list[Happening], said: dict[str, int], event: Event) -> None:
    """Unless it was the last thing that was said of the instrument: an ingest that begins anew says it again."""
    if said.get(event.instrument) != event.kind:
        found.append(Told(event.kind, event.instrument, event.time))
    said[event.instrument] = event.kind


def hold_the_ticks(happenings: Iterable[Happening], written: Iterable[Tick]) -> None:
    """Everything that was recorded was published once. In which order, and with which verdicts, is the hub's."""
    got = sorted(_facts(each) for each in happenings if isinstance(each, Tick))
    wanted = sorted(_facts(each) for each in written)
    other = [pair for pair in zip(got, wanted, strict=False) if pair[0] != pair[1]]
    assert len(got) == len(wanted) and not other, f"{len(got)} ticks of {len(wanted)}, first {other[:2]}"


def _facts(tick: Tick) -> tuple[object, ...]:
    return tick.received_at, tick.instrument, tick.kind, tick.price, tick.bid or 0, tick.ask or 0, tick.volume or 0


# ---------------------------------------------------------------------------------------------- the rings


class Trigger(NamedTuple):
    """A row of the ledger's."""

    owner: int
    text: str
    rang_at: int
    direction: str
    level: float
    price: float
    generation: int


TRIGGERS = (
    "SELECT a.owner_id, a.text, t.rang_at, t.direction, t.level, t.price, t.generation"
    " FROM triggers t JOIN alerts a ON a.id = t.alert_id ORDER BY t.id"
)


def triggers_in(folder: Path) -> list[Trigger]:
    return [Trigger(*row) for row in rows(folder / "ledger.db", TRIGGERS)]


class Expected:
    """What the reference rings in what was published; computed once for the same happenings."""

    def __init__(self, specs: Sequence[AlertSpec], instruments: Mapping[str, Instrument]) -> None:
        self.specs = specs
        self._instruments = instruments
        self._happenings: list[Happening] = []
        self._reference: Reference | None = None

    def of(self, happenings: list[Happening]) -> Reference:
        if self._reference is None or self._happenings != happenings:
            self._happenings = happenings
            self._reference = Reference(self.specs, self._instruments, thorough=False, storm_rings=0)
            self._reference.feed(happenings)
        return self._reference


def hold_the_rings(
    specs: Sequence[AlertSpec],
    reference: Reference,
    triggers: Iterable[Trigger],
    least: int = 1,
    only: Container[AlertSpec] | None = None,
) -> int:
    """How many were held; AssertionError with the first alert that rang otherwise, pair by pair of reference and hub.
    Where a level was so near that rounding decides, an alert is left out. Generations tell that none is twice. `only`:
    those of the reference's alerts that were given."""
    by_text = {canonical(spec): index for index, spec in enumerate(specs)}
    assert len(by_text) == len(specs), "two alerts of the same words"
    rang: dict[int, list[Trigger]] = {}
    for trigger in triggers:
        rang.setdefault(by_text[trigger.text], []).append(trigger)
    for index, spec in enumerate(specs):
        found = rang.get(index, [])
        generations = [each.generation for each in found]
        assert generations == list(range(1, len(found) + 1)), f"{canonical(spec)}: {generations}"
        if only is not None and spec not in only:
            assert not found, f"{canonical(spec)} rang and was not given"
            continue
        if reference.alerts[index].close:
            continue
        got = [Ring(index, each.rang_at, each.direction, each.level, each.price) for each in found]
        wrong = differences(spec, index, reference.rings, got)
        assert not wrong, f"{canonical(spec)}: {len(wrong)} of {len(found)} rings are others, first {wrong[:4]}"
    count = sum(map(len, rang.values()))
    assert count >= least
    return count
