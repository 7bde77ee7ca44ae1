"""Ingest on a real broker: what is accepted is in the stream once, what is refused is counted, feeds come back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hub import reader
from hub.bus import Bus, connect
from hub.frame import MAX_TICKS, EventKind, Frame
from hub.ingest import Fenced, Ingest, Start
from hub.ingest.feeds import FeedRun, supervise
from hub.ingest.pending import FRAMES, Pending
from hub.ingest.publish import Publisher
from hub.instruments import build_catalogue
from hub.model import SECOND_US, Kind, Nature, Refused, Tick, Verdict
from hub.plugin import Emit, GiveUp, Last, TryLater
from tests.streams import GOLD, START, frame

if TYPE_CHECKING:
    from tests.conftest import NatsServer

Run = Callable[[Any, Mapping[str, str], Emit, Last], Awaitable[int | None]]


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        await reader.ensure_streams(opened, lambda: "first", 100_000_000)
        yield opened


def gold(price: float, number: int | None = None, **more: Any) -> Tick:
    return Tick(instrument=GOLD, kind=Kind.QUOTE, bid=price, ask=price, number=number, **more)


def feed(run: Run, *, nature: Nature = Nature.LIVE, mute_after_s: float = 60.0) -> FeedRun:
    return FeedRun("test", SimpleNamespace(run=run, NATURE=nature), None, {GOLD: "gold"}, mute_after_s)


def plays(*items: Tick | Refused) -> Run:
    """A feed that emits these and then stays connected."""

    async def run(_settings: Any, _symbols: Any, emit: Emit, _last: Last) -> int | None:
        for item in items:
            await emit(item)
        await asyncio.Event().wait()
        return None

    return run


def start(marks: dict[str, dict[str, int]] | None = None) -> Start:
    return Start(epoch=1, last_sequence=0, marks=marks or {}, prices={}, days={})


@asynccontextmanager
async def ingesting(bus: Bus, *feeds: FeedRun, begin: Start | None = None) -> AsyncIterator[Ingest]:
    catalogue = build_catalogue({GOLD: {"session": "24x7"}}, [GOLD])
    ingest = Ingest(bus, catalogue, feeds, begin or start(), prefer={}, fresh_for_s={"test": 15}, now_us=lambda: START)
    task = asyncio.create_task(ingest.run())
    try:
        yield ingest
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def accepted(bus: Bus, ticks: int) -> list[Frame]:
    """The frames of the stream, once they hold so many ticks."""
    async with asyncio.timeout(10):
        while True:
            state = await reader.stream_state(bus)
            frames = [found async for found in reader.frames_between(bus, 0, state.last)]
            if sum(map(len, frames)) >= ticks:
                return frames
            await asyncio.sleep(0.02)


async def test_what_a_feed_emits_is_in_the_stream_once_in_its_order(bus: Bus) -> None:
    """Across several full frames, each numbered in turn."""
    count = 3 * MAX_TICKS + 7
    async with ingesting(bus, feed(plays(*(gold(2000 + i % 5, i) for i in range(count))))):
        frames = await accepted(bus, count)
    assert [tick.number for each in frames for tick in each.ticks()] == list(range(count))
    assert [each.number for each in frames] == list(range(1, len(frames) + 1))
    assert max(map(len, frames)) <= MAX_TICKS


async def test_a_frame_s_clock_is_not_ahead_of_what_comes_behind_it(bus: Bus) -> None:
    """Frames that wait together each have the clock of their own end: else what is due by it would be done before
    ticks that are older, and a recording at full speed would ring otherwise in each run."""
    count = 3 * MAX_TICKS + 7
    ticks = (gold(2000, i, received_at=START + i * SECOND_US) for i in range(count))
    async with ingesting(bus, feed(plays(*ticks))):
        frames = await accepted(bus, count)
    full = [each for each in frames if len(each)]
    assert len(full) > 3
    for each, behind in pairwise(full):
        assert each.received_at[-1] <= each.clock <= behind.received_at[0]


async def test_what_a_vendor_sends_again_is_dropped_by_its_number_and_never_by_its_value(bus: Bus) -> None:
    """Exact repeats are real ticks; a number that was had, in this life or the one before, is not."""
    begin = start(marks={"test": {f"{GOLD}/quote": 10}})
    items = [gold(2000, 9), gold(2000, 10), gold(2000, 11), gold(2000, 12), gold(2000, 12), gold(2000), gold(2000)]
    async with ingesting(bus, feed(plays(*items)), begin=begin) as ingest:
        frames = await accepted(bus, 4)
        assert [tick.number for each in frames for tick in each.ticks()] == [11, 12, None, None]
        assert ingest.status()["feeds"][0]["repeats"] == 3


async def test_a_feed_is_told_the_last_number_accepted_from_it(bus: Bus) -> None:
    """At its first start from the past, at a restart from what it has emitted since."""
    told: list[dict[str, int]] = []

    async def run(_settings: Any, _symbols: Any, emit: Emit, last: Last) -> int | None:
        told.append(dict(last))
        await emit(gold(2000, 20 + len(told)))
        if len(told) > 1:
            await asyncio.Event().wait()
        raise TryLater("again", 0.0)

    begin = start(marks={"test": {f"{GOLD}/quote": 10}, "other": {f"{GOLD}/quote": 99}})
    async with ingesting(bus, feed(run), begin=begin):
        await accepted(bus, 2)
    assert told == [{f"{GOLD}/quote": 10}, {f"{GOLD}/quote": 21}]


async def test_who_spoke_before_a_restart_speaks_on_though_another_is_heard_first(bus: Bus) -> None:
    """Also where its ticks bear another name than its feed, as a recording's do."""

    def recording(name: str, *items: Tick | Refused) -> FeedRun:
        module = SimpleNamespace(
            run=plays(*items), NATURE=Nature.RECORDING, source=lambda _: f"replay:{name}", paced=lambda _: True
        )
        return FeedRun(name, module, None, {GOLD: "gold"}, 60.0)

    before = msgspec.structs.replace(gold(2000, 7, received_at=START, source="replay:second"), price=2000.0)
    begin = start()
    begin.prices, begin.clock = {GOLD: before}, START
    heard = recording("first", gold(2000, received_at=START + SECOND_US))
    catalogue = build_catalogue({GOLD: {"session": "24x7"}}, [GOLD])
    ingest = Ingest(
        bus, catalogue, [heard, recording("second")], begin, prefer={GOLD: ("second", "first")},
        fresh_for_s={"first": 15, "second": 15}, now_us=lambda: START,
    )  # fmt: skip
    task = asyncio.create_task(ingest.run())
    (found,) = [tick for each in await accepted(bus, 1) for tick in each.ticks()]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (found.source, found.verdict) == ("replay:first", Verdict.STANDBY)


async def test_what_is_no_price_is_counted_by_its_reason_in_the_stream_too(bus: Bus) -> None:
    """So that the count survives; a sound tick behind it is not held up."""
    items: list[Tick | Refused] = [
        gold(-1), gold(float("nan")), Refused(reason="broken JSON", sample="{"), Refused(reason="broken JSON"),
        Tick(instrument="NO-SUCH", kind=Kind.TRADE, price=1.0), gold(2000),
    ]  # fmt: skip
    async with ingesting(bus, feed(plays(*items))) as ingest:
        frames = await accepted(bus, 1)
        told = ingest.status()["feeds"][0]
    assert told["refused"] == {"price not a positive number": 2, "broken JSON": 2, "unknown instrument": 1}
    assert (told["ticks"], told["state"]) == (1, "live")
    counted = {(each.reason, each.count) for one in frames for each in one.refused}
    assert counted == {("price not a positive number", 2), ("broken JSON", 2), ("unknown instrument", 1)}


async def test_a_bad_print_is_published_after_its_verdict_and_before_the_tick_that_gave_it(bus: Bus) -> None:
    """The stream's order is the order in which things were decided."""
    prices = [2000, 2001, 4000, 2002, 4100, 4101]
    async with ingesting(bus, feed(plays(*(gold(each, i) for i, each in enumerate(prices))))):
        frames = await accepted(bus, 6)
    seen = [(tick.price, tick.verdict) for each in frames for tick in each.ticks()]
    price, outlier, confirmed = Verdict.PRICE, Verdict.OUTLIER, Verdict.CONFIRMED
    assert seen == [
        (2000, price), (2001, price), (4000, outlier), (2002, price), (4100, confirmed), (4101, price),
    ]  # fmt: skip


async def test_the_stream_has_a_heartbeat_and_an_end_of_a_recording_is_told(bus: Bus) -> None:
    """The clock of all readers, also when every feed has ended."""

    async def run(_settings: Any, _symbols: Any, emit: Emit, _last: Last) -> int | None:
        await emit(gold(2000, 1, received_at=START - 5 * SECOND_US))
        return 1

    async with ingesting(bus, feed(run, nature=Nature.RECORDING)) as ingest, asyncio.timeout(10):
        while ingest.status()["frames"] < 3:
            await asyncio.sleep(0.05)
        frames = await accepted(bus, 1)
        assert ingest.status()["feeds"][0]["state"] == "finished"
    assert frames[-1].clock == START - 5 * SECOND_US
    ends = [event for each in frames for event in each.events if event.kind == EventKind.FINISHED]
    assert [(event.source, event.text) for event in ends] == [("test", "1")]


async def test_what_is_pending_goes_out_when_ingest_is_stopped(bus: Bus) -> None:
    """A tick that was held on probation too, as an outlier: it was received, and every tick is recorded."""
    async with ingesting(bus, feed(plays(gold(2000, 1), gold(4000, 2)))):
        await accepted(bus, 1)
    frames = await accepted(bus, 2)
    assert [tick.verdict for each in frames for tick in each.ticks()] == [Verdict.PRICE, Verdict.OUTLIER]


async def test_a_publish_that_was_stored_but_not_acknowledged_is_not_stored_again(bus: Bus) -> None:
    """The repeat is refused by the broker, and recognised by epoch and number."""
    pending = Pending({}, lambda: START)
    publisher = Publisher(bus, pending, 1, 0, lambda: START)
    await bus.append(_encoded(frame(1, [2000.0])), 0, 5)  # as the first of epoch 1, whose answer was lost
    pending.wake()
    task = asyncio.create_task(publisher.run())
    async with asyncio.timeout(5):
        while publisher.frames < 1:
            await asyncio.sleep(0.01)
    task.cancel()
    assert (await reader.stream_state(bus)).last == 1


async def test_what_others_put_on_the_subject_holds_nothing_up(bus: Bus) -> None:
    """The readers set it aside; the next frame goes behind it."""
    await bus.append(b"garbage", 0, 5)
    pending = Pending({}, lambda: START)
    publisher = Publisher(bus, pending, 1, 0, lambda: START)
    pending.wake()
    task = asyncio.create_task(publisher.run())
    async with asyncio.timeout(5):
        while publisher.frames < 1:
            await asyncio.sleep(0.01)
    task.cancel()
    assert (await reader.stream_state(bus)).last == 2


async def test_an_ingest_that_was_taken_over_can_publish_nothing(bus: Bus) -> None:
    """A later lease has published: the broker refuses, and this one stops."""
    await bus.append(_encoded(frame(1, [2000.0], epoch=2)), 0, 5)
    pending = Pending({}, lambda: START)
    publisher = Publisher(bus, pending, 1, 0, lambda: START)
    pending.wake()
    with pytest.raises(Fenced, match="lease 2"):
        async with asyncio.timeout(5):
            await publisher.run()
    assert (await reader.stream_state(bus)).last == 1


def _encoded(made: Frame) -> bytes:
    from hub.frame import encode

    return encode(made)


async def test_a_full_pending_list_makes_emit_wait_until_the_bus_is_back(bus: Bus, nats_server: "NatsServer") -> None:
    """The vendor is held by the socket's own back-pressure; nothing is dropped."""
    count = (FRAMES + 4) * MAX_TICKS
    emitted = 0

    async def run(_settings: Any, _symbols: Any, emit: Emit, _last: Last) -> int | None:
        nonlocal emitted
        for i in range(count):
            await emit(gold(2000, i))
            emitted += 1
        await asyncio.Event().wait()
        return None

    nats_server.kill()
    async with ingesting(bus, feed(run)) as ingest:
        async with asyncio.timeout(10):
            while ingest._pending.room.is_set() or not ingest.status()["error"]:
                await asyncio.sleep(0.01)
        assert emitted < count
        nats_server.restart()
        frames = await accepted(bus, count)
    assert [tick.number for each in frames for tick in each.ticks()] == list(range(count))


async def test_the_clock_of_a_frame_is_not_ahead_of_the_ticks_that_wait_behind_it(
    bus: Bus, nats_server: "NatsServer"
) -> None:
    """A condition that has to last must hear what broke it before its time is over, also where full frames wait."""
    count = 3 * MAX_TICKS
    ticks = [gold(2000, i, received_at=START + i * SECOND_US) for i in range(count)]
    nats_server.kill()
    async with ingesting(bus, feed(plays(*ticks), nature=Nature.RECORDING)) as ingest:
        async with asyncio.timeout(10):
            while len(ingest._pending) <= 2 * MAX_TICKS or not ingest.status()["error"]:
                await asyncio.sleep(0.01)
        nats_server.restart()
        frames = [each for each in await accepted(bus, count) if len(each)]
    assert len(frames) >= 3
    assert [each.clock for each in frames] == [each.received_at[-1] for each in frames]


# ------------------------------------------------------------------------------------------- supervision


async def supervised(run: Run, *, expected: bool = True, mute_after_s: float = 60.0, lives: int = 3) -> FeedRun:
    """A feed under supervision until it has been restarted so often, or has ended."""
    one = feed(run, mute_after_s=mute_after_s)

    async def emit(_: Tick | Refused) -> None:
        one.seen += 1

    task = asyncio.create_task(supervise(one, emit, dict, lambda: expected, "hint"))
    async with asyncio.timeout(20):
        while one.restarts < lives - 1 and not task.done():
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return one


@pytest.mark.parametrize("error", [TryLater("no network"), ValueError("a bug"), None], ids=["later", "bug", "returned"])
async def test_a_feed_that_fails_or_returns_is_started_again(error: Exception | None) -> None:
    """A bug in it too: it stops nothing else, and is told."""

    async def run(_settings: Any, _symbols: Any, _emit: Emit, _last: Last) -> int | None:
        if error is not None:
            raise error
        return None

    one = await supervised(run, lives=2)
    assert (one.state, one.restarts) == ("waiting", 1)
    assert one.reason


async def test_a_feed_that_gives_up_is_told_and_left_alone() -> None:
    """A setting that cannot work."""

    async def run(_settings: Any, _symbols: Any, _emit: Emit, _last: Last) -> int | None:
        raise GiveUp("no such file")

    one = await supervised(run)
    assert (one.state, one.reason, one.restarts) == ("failed", "no such file", 0)


async def test_a_socket_that_is_connected_but_mute_is_started_again() -> None:
    """Unless silence is expected: a closed market, a recording."""
    one = await supervised(plays(), mute_after_s=0.1, lives=2)
    assert "mute" in one.reason
    quiet = feed(plays(), mute_after_s=0.05)

    async def emit(_: Tick | Refused) -> None:
        raise AssertionError

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await supervise(quiet, emit, dict, lambda: False, "hint")
    assert quiet.restarts == 0
