"""Reading the stream TICKS: one tail a process, decoded once, shared by its readers.

A reader (recorder, engine) owns its position: stream id, sequence, and the (epoch, number) of the last frame it
took. It commits that with its effects and starts again behind it, so nothing is lost or taken twice by any death.
There is no acknowledgement to the broker. In any doubt about the stream (made anew, came back shorter, rewritten)
the tail reads from its first frame and (epoch, number) tells what is new; each such case is said aloud. A frame that
cannot be decoded goes to the quarantine and is passed on as None, so that positions move past it; one of a newer
version stops the reader. Depends on hub.bus and hub.frame.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from nats.js import api
from nats.js.kv import KeyValue

from hub import bus as names
from hub.bus import Bus
from hub.frame import RUNNING, BadFrame, Frame, NewerFrame, Position, decode
from hub.plugin import GiveUp

log = structlog.get_logger("reader")

BATCH = 64
"""Frames asked for, and frames a reader takes into one transaction, at most."""
QUEUE = 2 * BATCH
NO_STORAGE = 10047
"""JetStream's error code for a stream that asks for more than the server may store (nats-server errors.json)."""
STATUS_WAIT_S = 5.0
STUCK_S = 5.0
"""So long a full queue holds up the other readers before its reader is left behind."""
QUIET_S = 1.5
"""So long without a frame, and the tail asks whether the stream has one that did not come."""


class StreamChanged(Exception):
    """The stream is not what was being read: gone, made anew, or without its newest frames. Readers start again from
    their stored positions (`settle_start`)."""


class Read(msgspec.Struct, frozen=True):
    """One message of the stream; `frame` is None where its bytes are no frame and lie in quarantine."""

    sequence: int
    frame: Frame | None


class StreamState(msgspec.Struct, frozen=True):
    id: str
    first: int
    last: int


async def ensure_streams(bus: Bus, new_id: Callable[[], str], max_bytes: int) -> StreamState:
    """Makes the streams where they are missing. The id lies in the stream's metadata and names its epoch."""
    ticks = api.StreamConfig(
        name=names.TICKS,
        subjects=[names.TICKS_SUBJECT],
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.NEW,
        max_bytes=max_bytes,
        allow_direct=True,
        metadata={"tocsin": new_id()},
    )
    quarantine = api.StreamConfig(
        name=names.QUARANTINE,
        subjects=[names.QUARANTINE_SUBJECT],
        storage=api.StorageType.FILE,
        max_bytes=min(64_000_000, max_bytes // 16),  # the server's limit is for both together
        duplicate_window=3600,
    )
    for config in (ticks, quarantine):
        await _ensure(bus, config)
    await _resize(bus, max_bytes)
    return await stream_state(bus)


async def _ensure(bus: Bus, config: api.StreamConfig) -> None:
    try:
        await bus.steady(bus.js.stream_info(config.name or ""))
    except nats.js.errors.NotFoundError:
        try:
            await bus.steady(bus.js.add_stream(config))
        except nats.js.errors.BadRequestError:
            return  # another core was faster
        except nats.js.errors.ServerError as error:
            if error.err_code != NO_STORAGE:
                raise
            raise GiveUp(
                f"the NATS server keeps less than the {(config.max_bytes or 0) / 1e6:,.0f} MB that the stream"
                f" {config.name} may take: give its JetStream more (max_file), or lower [bus] max_mb"
            ) from error


async def _resize(bus: Bus, max_bytes: int) -> None:
    """The configured size, where the stream was made with another."""
    info = await bus.steady(bus.js.stream_info(names.TICKS))
    if info.config.max_bytes == max_bytes:
        return
    try:
        await bus.steady(bus.js.update_stream(info.config.evolve(max_bytes=max_bytes)))
        log.info("the stream's size was changed", max_mb=max_bytes // 1_000_000)
    except nats.js.errors.APIError as error:
        log.warning("the stream's size cannot be changed", max_mb=max_bytes // 1_000_000, reason=error.description)


async def stream_state(bus: Bus) -> StreamState:
    info = await bus.steady(bus.js.stream_info(names.TICKS))
    metadata = info.config.metadata or {}
    return StreamState(metadata.get("tocsin", ""), info.state.first_seq, info.state.last_seq)


async def settle_start(bus: Bus, reader: str, position: Position, state: StreamState) -> Position:
    """The position to go on from, after holding the stored one against the stream as it is now."""
    if position.stream != state.id:
        if position.stream:
            log.warning("the stream was made anew: reading it from its start", reader=reader, was=position.sequence)
        return Position(stream=state.id, sequence=max(state.first - 1, 0))
    from_start = Position(
        stream=state.id, sequence=max(state.first - 1, 0), epoch=position.epoch, number=position.number
    )
    if state.last < position.sequence:
        log.warning(
            "the stream ends before the stored position: the broker lost its newest frames",
            reader=reader,
            stored=position.sequence,
            ends=state.last,
        )
        return from_start
    if state.first > position.sequence + 1:
        log.error(
            "frames were purged before they were read",
            reader=reader,
            first_lost=position.sequence + 1,
            last_lost=state.first - 1,
        )
        return from_start
    if position.sequence and position.sequence >= state.first:
        found = await frame_at(bus, position.sequence)
        if found is not None and (found.epoch, found.number) != (position.epoch, position.number):
            log.warning("the stream was rewritten: reading it from its start", reader=reader)
            return from_start
    return position


async def frame_at(bus: Bus, sequence: int) -> Frame | None:
    """The frame stored under that sequence; None if there is none or it is no frame."""
    try:
        message = await bus.steady(bus.js.get_msg(names.TICKS, sequence, direct=True))
        return decode(message.data or b"")
    except (nats.js.errors.NotFoundError, BadFrame):
        return None


async def is_there(bus: Bus, sequence: int) -> bool:
    try:
        await bus.steady(bus.js.get_msg(names.TICKS, sequence, direct=True))
    except nats.js.errors.NotFoundError:
        return False
    return True


class Tail:
    """Follows the stream from a sequence on and hands each frame to every reader's queue (bounded: the slowest
    holds the others, and so the broker is asked for no more)."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._queues: list[asyncio.Queue[Read]] = []
        self._starts: list[int] = []
        self.sequence = 0
        self._id = ""
        self._newest: tuple[int, int] | None = None  # (epoch, number) of the frame at `sequence`
        self._alone: set[int] = set()  # readers that fell behind and are served by a tail of their own
        self._own: asyncio.TaskGroup
        self.quarantined = 0

    def reader(self, after: int) -> asyncio.Queue[Read]:
        """A queue of what comes after that sequence. Ask for all before `run`."""
        queue: asyncio.Queue[Read] = asyncio.Queue(QUEUE)
        self._queues.append(queue)
        self._starts.append(after)
        return queue

    async def run(self) -> None:
        """For ever. NewerFrame when the stream holds what this version cannot read."""
        self.sequence = min(self._starts)
        try:
            async with asyncio.TaskGroup() as self._own:
                while True:
                    try:
                        await self._recognise()
                        await self._count_quarantined()
                        await self._follow()
                    except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
                        log.info("the stream is out of reach", error=str(error) or type(error).__name__)
                        await asyncio.sleep(0.2)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _follow(self) -> None:
        inbox = self.bus.client.new_inbox()
        arrived: asyncio.Queue[Msg] = asyncio.Queue()  # holds at most one pull of BATCH messages
        subscription = await self.bus.client.subscribe(inbox, cb=arrived.put)
        consumer = await self.bus.steady(
            self.bus.js.add_consumer(
                names.TICKS,
                api.ConsumerConfig(
                    deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=self.sequence + 1,
                    ack_policy=api.AckPolicy.NONE,
                    inactive_threshold=60,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
        )
        try:
            while await self._pull(consumer.name, inbox, arrived):
                pass
        finally:
            if not self.bus.client.is_closed:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()
                with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                    if self.bus.client.is_connected:
                        await self.bus.steady(self.bus.js.delete_consumer(names.TICKS, consumer.name))

    async def _recognise(self) -> None:
        """StreamChanged unless the stream still holds, in its place, the frame that was handed out last."""
        try:
            state = await stream_state(self.bus)
        except nats.js.errors.NotFoundError as error:
            raise StreamChanged("the stream is gone") from error
        if self._id not in ("", state.id):
            raise StreamChanged("the stream was made anew")
        self._id = state.id
        if state.last < self.sequence:
            raise StreamChanged(f"the stream ends at {state.last}, {self.sequence} was read")
        if self._newest is not None:
            found = await frame_at(self.bus, self.sequence)
            if found is not None and (found.epoch, found.number) != self._newest:
                raise StreamChanged(f"the stream was rewritten at {self.sequence}")

    async def _pull(self, consumer: str, inbox: str, arrived: asyncio.Queue[Msg]) -> bool:
        """One pull: up to BATCH frames, or as many as come in a while. False: a new consumer is needed."""
        ask = {"batch": BATCH, "expires": int(STATUS_WAIT_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{names.TICKS}.{consumer}"
        await self.bus.client.publish(subject, msgspec.json.encode(ask), reply=inbox)
        got = 0
        waited_s = 0.0
        while got < BATCH:
            try:
                async with asyncio.timeout(QUIET_S):
                    message = await arrived.get()
            except TimeoutError:
                waited_s += QUIET_S
                if waited_s > STATUS_WAIT_S + 2 or (await stream_state(self.bus)).last > self.sequence:
                    return False
                continue
            if message.headers and "Status" in message.headers and not message.reply:
                return message.headers["Status"] == "408"  # the pull ran out; anything else: the consumer is gone
            sequence = int(message.reply.split(".")[5])
            if sequence <= self.sequence:
                continue
            if sequence != self.sequence + 1 and self.sequence:
                if await self._any_there(self.sequence + 1, sequence - 1):
                    return False  # a gap on the way: read again from where we are
                log.error("frames were removed before they were read", first_lost=self.sequence + 1, to=sequence - 1)
            got += 1
            await self._hand_out(Read(sequence, await self._decoded(sequence, message.data)))
        return True

    async def _any_there(self, first: int, last: int) -> bool:
        """Whether the stream still holds one of these: purged frames lie below its first, removed ones anywhere."""
        for sequence in range(max(first, (await stream_state(self.bus)).first), last + 1):
            if await is_there(self.bus, sequence):
                return True
        return False

    async def _decoded(self, sequence: int, payload: bytes) -> Frame | None:
        try:
            return decode(payload)
        except NewerFrame:
            raise
        except BadFrame as error:
            await self.quarantine(sequence, payload, str(error))
            return None

    async def quarantine(self, sequence: int, payload: bytes, reason: str) -> None:
        """Sets a frame aside where a person can look at it."""
        await self.bus.steady(
            self.bus.js.publish(
                names.QUARANTINE_SUBJECT,
                payload,
                headers={
                    "Nats-Msg-Id": f"{names.TICKS}-{sequence}",
                    "Tocsin-Sequence": str(sequence),
                    "Reason": reason,
                },
            )
        )
        await self._count_quarantined()
        log.error("a frame was set aside in quarantine", sequence=sequence, reason=reason, bytes=len(payload))

    async def _count_quarantined(self) -> None:
        """As the stream has them, so that the count outlives this process and a frame set aside twice counts once."""
        info = await self.bus.steady(self.bus.js.stream_info(names.QUARANTINE))
        self.quarantined = info.state.messages

    async def _hand_out(self, read: Read) -> None:
        self.sequence = read.sequence
        self._newest = None if read.frame is None else (read.frame.epoch, read.frame.number)
        for at, (queue, start) in enumerate(zip(self._queues, self._starts, strict=True)):
            if read.sequence <= start or at in self._alone:
                continue
            if not queue.full():
                queue.put_nowait(read)
            elif len(self._queues) - len(self._alone) == 1 or not await self._in_time(queue, read):
                await self._leave_behind(at, queue, read)

    async def _in_time(self, queue: asyncio.Queue[Read], read: Read) -> bool:
        try:
            async with asyncio.timeout(STUCK_S):
                await queue.put(read)
        except TimeoutError:
            return False
        return True

    async def _leave_behind(self, at: int, queue: asyncio.Queue[Read], read: Read) -> None:
        """A reader that is stuck holds up nobody else: from here on it has a tail of its own."""
        if len(self._queues) - len(self._alone) == 1:
            await queue.put(read)
            return
        log.warning("a reader is stuck; the others go on without it", sequence=read.sequence)
        self._alone.add(at)
        own = Tail(self.bus)
        own._queues, own._starts = [queue], [read.sequence - 1]
        self._own.create_task(own.run())


Mark = Callable[[int], Awaitable[int]]


class Batches:
    """A reader's batches from its queue. A frame that kills its reader is found out: a mark that only an orderly end
    takes away tells that the run before died. Then the first BATCH frames come one by one, each marked in the store
    before it is tried, and a mark beyond TRIES sets the frame aside. Whoever took a frame that was `marked` commits
    behind it at once: otherwise deaths that have nothing to do with it count against it. Whoever is cancelled calls
    `forget`: it was something else that failed."""

    TRIES = 3

    def __init__(
        self, tail: Tail, queue: asyncio.Queue[Read], mark: Mark, forget: Callable[[], Awaitable[None]]
    ) -> None:
        self.tail = tail
        self.queue = queue
        self.mark = mark
        self._forget = forget
        self.marked = False  # what `next` gave last
        self._careful: int | None = None  # so many frames more; None before the first

    async def next(self) -> list[Read]:
        reads = [await self.queue.get()]
        if self._careful is None:
            self._careful = BATCH if await self.mark(RUNNING) > 1 else 0
        self.marked = self._careful > 0
        if self.marked:
            self._careful -= 1
            return [await self._marked(reads[0])]
        while len(reads) < BATCH and not self.queue.empty():
            reads.append(self.queue.get_nowait())
        return reads

    async def _marked(self, read: Read) -> Read:
        if await self.mark(read.sequence) <= self.TRIES or read.frame is None:
            return read
        message = await self.tail.bus.steady(self.tail.bus.js.get_msg(names.TICKS, read.sequence, direct=True))
        await self.tail.quarantine(read.sequence, message.data or b"", "its reader died over it three times")
        return Read(read.sequence, None)

    async def forget(self) -> None:
        """For an orderly end; bounded, since the store may be away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._forget()


async def report(bus: Bus, reader: str, sequence: int) -> None:
    """Tells ingest how far a reader has committed, so that it can purge below the slowest."""
    bucket = await bus.steady(_bucket(bus))
    await bus.steady(bucket.put(reader, str(sequence).encode()))


async def report_quietly(bus: Bus, reader: str, sequence: int) -> None:
    """The same where a bus that is away just means: later."""
    with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
        await report(bus, reader, sequence)


async def slowest(bus: Bus) -> int | None:
    """The lowest reported position; None while no reader has reported."""
    bucket = await bus.steady(_bucket(bus))
    try:
        keys = await bus.steady(bucket.keys())
    except nats.js.errors.NoKeysError:
        return None
    return min([int((await bus.steady(bucket.get(key))).value or b"0") for key in keys])


async def _bucket(bus: Bus) -> KeyValue:
    try:
        return await bus.js.key_value(names.READERS)
    except nats.js.errors.NotFoundError:
        return await bus.js.create_key_value(bucket=names.READERS, history=1)


async def frames_between(bus: Bus, after: int, last: int) -> AsyncIterator[Frame]:
    """What the stream holds behind `after` up to `last`, once; for a service that catches up before it starts."""
    async for read in reads_between(bus, after, last):
        if read.frame is not None:
            yield read.frame


async def reads_between(bus: Bus, after: int, last: int) -> AsyncIterator[Read]:
    """The same with their sequences, and with what is no frame."""
    while last > after and not await is_there(bus, last):
        last -= 1  # somebody removed it: it will never come
    tail = Tail(bus)
    queue = tail.reader(after)
    following = asyncio.ensure_future(tail.run())
    try:
        sequence = after
        while sequence < last:
            getting = asyncio.ensure_future(queue.get())
            await asyncio.wait({getting, following}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                following.result()
            read = getting.result()
            sequence = read.sequence
            yield read
    finally:
        following.cancel()
        await asyncio.wait({following})


async def gone(bus: Bus, reader: str) -> None:
    """A reader of that name is no more: nothing is kept in the stream for it."""
    with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
        bucket = await bus.steady(_bucket(bus))
        await bus.steady(bucket.delete(reader))
