"""Reading the stream: every frame once and in order, whatever becomes of broker, stream or reader."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from hub import bus as names
from hub import reader
from hub.bus import Bus, StreamRefused, connect
from hub.frame import NewerFrame, Position, encode
from tests.streams import Stream, frame

if TYPE_CHECKING:
    from tests.conftest import NatsServer


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        await reader.ensure_streams(opened, lambda: "first", 100_000_000)
        yield opened


@asynccontextmanager
async def following(bus: Bus, after: int = 0) -> AsyncIterator["asyncio.Queue[reader.Read]"]:
    tail = reader.Tail(bus)
    queue = tail.reader(after)
    task = asyncio.create_task(tail.run())
    try:
        yield queue
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def numbers(queue: "asyncio.Queue[reader.Read]", count: int) -> list[int]:
    async with asyncio.timeout(20):
        out: list[int] = []
        while len(out) < count:
            read = await queue.get()
            assert read.frame is not None
            out.append(read.frame.number)
        return out


async def test_a_tail_hands_out_every_frame_once_in_order_from_where_it_is_asked(bus: Bus) -> None:
    """What is there already and what comes while it follows, past the size of one pull."""
    stream = Stream(bus)
    for _ in range(100):
        await stream.tell(1.0)
    async with following(bus, after=40) as queue:
        assert await numbers(queue, 60) == list(range(41, 101))
        for _ in range(70):
            await stream.tell(1.0)
        assert await numbers(queue, 70) == list(range(101, 171))


async def test_a_tail_follows_through_the_death_of_the_broker(bus: Bus, nats_server: "NatsServer") -> None:
    """kill -9 and back on the same store: nothing is lost, nothing comes twice."""
    stream = Stream(bus)
    for _ in range(10):
        await stream.tell(1.0)
    async with following(bus) as queue:
        assert await numbers(queue, 10) == list(range(1, 11))
        nats_server.kill()
        nats_server.restart()
        async with asyncio.timeout(20):
            for _ in range(10):
                stream.number += 1
                payload = encode(frame(stream.number, [1.0]))
                while True:
                    try:
                        stream.last = await bus.append(payload, stream.last, 1)
                        break
                    except Exception as error:
                        if isinstance(error, StreamRefused):  # it is there; only the acknowledgement was lost
                            stream.last += 1
                            break
                        await asyncio.sleep(0.1)
        assert await numbers(queue, 10) == list(range(11, 21))


async def test_a_slow_reader_holds_the_others_and_loses_nothing(bus: Bus) -> None:
    """The queues are bounded; whoever reads later still gets all."""
    stream = Stream(bus)
    tail = reader.Tail(bus)
    fast, slow = tail.reader(0), tail.reader(0)
    task = asyncio.create_task(tail.run())
    for _ in range(reader.QUEUE + 50):
        await stream.tell(1.0)
    first = await numbers(fast, reader.QUEUE)
    assert slow.full()
    rest = asyncio.create_task(numbers(fast, 50))
    assert await numbers(slow, reader.QUEUE + 50) == first + await rest
    task.cancel()


async def test_bytes_that_are_no_frame_go_to_quarantine_and_the_position_moves_past_them(bus: Bus) -> None:
    """With the reason, for a person to look at."""
    stream = Stream(bus)
    await stream.tell(1.0)
    stream.last = await bus.append(b"garbage", stream.last, 5)
    await stream.tell(2.0)
    async with following(bus) as queue, asyncio.timeout(10):
        reads = [await queue.get() for _ in range(3)]
    assert [read.frame is None for read in reads] == [False, True, False]
    kept = await bus.js.get_msg(names.QUARANTINE, 1)
    assert kept.data == b"garbage"
    assert kept.headers is not None
    assert kept.headers["Tocsin-Sequence"] == "2"


async def test_a_frame_of_a_newer_version_stops_the_tail_where_it_is(bus: Bus) -> None:
    """What cannot be read must not be skipped."""
    stream = Stream(bus)
    newer = frame(1, [1.0])
    newer.version += 1
    await stream.send(newer)
    tail = reader.Tail(bus)
    tail.reader(0)
    with pytest.raises(NewerFrame, match="newer tocsin"):
        async with asyncio.timeout(10):
            await tail.run()
    assert tail.sequence == 0


class Marks:
    """A store of tries that outlives its readers."""

    def __init__(self) -> None:
        self.tries: dict[int, int] = {}

    async def mark(self, sequence: int) -> int:
        self.tries[sequence] = self.tries.get(sequence, 0) + 1
        return self.tries[sequence]

    async def forget(self) -> None:
        self.tries.clear()


async def test_a_frame_that_kills_its_reader_three_times_is_set_aside_and_no_other(bus: Bus) -> None:
    """Found among its neighbours, although the first death took a whole batch with it."""
    stream = Stream(bus)
    for _ in range(6):
        await stream.tell(1.0)
    marks, position, killer, deaths = Marks(), 0, 4, 0
    taken: list[int] = []
    while position < 6:
        async with following(bus, after=position) as queue:
            batches = reader.Batches(reader.Tail(bus), queue, marks.mark, marks.forget)
            while position < 6:
                async with asyncio.timeout(10):
                    reads = await batches.next()
                if any(read.sequence == killer and read.frame is not None for read in reads):
                    deaths += 1
                    break  # nothing of the batch is committed
                position = reads[-1].sequence
                taken += [read.sequence for read in reads if read.frame is not None]
                for sequence in [known for known in marks.tries if known <= position]:
                    del marks.tries[sequence]
        assert deaths < 10, "it was never set aside"
    assert taken == [1, 2, 3, 5, 6]
    assert deaths >= 3
    assert (await bus.js.get_msg(names.QUARANTINE, 1)).headers is not None


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (Position(), Position(stream="first", sequence=0)),
        (
            Position(stream="first", sequence=3, epoch=1, number=3),
            Position(stream="first", sequence=3, epoch=1, number=3),
        ),
        (Position(stream="other", sequence=3, epoch=1, number=3), Position(stream="first", sequence=0)),
        (
            Position(stream="first", sequence=9, epoch=1, number=9),
            Position(stream="first", sequence=0, epoch=1, number=9),
        ),
        (
            Position(stream="first", sequence=3, epoch=1, number=7),
            Position(stream="first", sequence=0, epoch=1, number=7),
        ),
    ],
    ids=["new reader", "as it was", "stream made anew", "stream came back shorter", "stream was rewritten"],
)
async def test_a_position_is_held_against_the_stream_as_it_is(bus: Bus, stored: Position, expected: Position) -> None:
    """In any doubt reading starts at the first frame, and (epoch, number) tells what is new; a stream made anew has
    nothing that could be known already."""
    stream = Stream(bus)
    for _ in range(5):
        await stream.tell(1.0)
    assert await reader.settle_start(bus, "test", stored, await reader.stream_state(bus)) == expected


async def test_what_was_purged_before_it_was_read_is_told(bus: Bus, capsys: pytest.CaptureFixture[str]) -> None:
    """And reading goes on with what is left."""
    stream = Stream(bus)
    for _ in range(5):
        await stream.tell(1.0)
    await bus.js.purge_stream(names.TICKS, seq=4)
    stored = Position(stream="first", sequence=1, epoch=1, number=1)
    found = await reader.settle_start(bus, "test", stored, await reader.stream_state(bus))
    assert found.sequence == 3
    assert "purged before they were read" in "".join(capsys.readouterr())


async def test_only_the_publisher_that_knows_the_last_sequence_may_append(bus: Bus) -> None:
    """A repeated publish, or one by an ingest that was taken over, is refused by the broker itself."""
    stream = Stream(bus)
    await stream.tell(1.0)
    with pytest.raises(StreamRefused) as refused:
        await bus.append(encode(frame(9, [1.0])), 0, 5)
    assert refused.value.err_code == 10071
    assert (await reader.stream_state(bus)).last == 1
