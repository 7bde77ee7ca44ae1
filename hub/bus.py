"""NATS: every subject, stream and bucket in one table, and the one connection of a process.

| name | kind | what it carries |
| --- | --- | --- |
| `TICKS` / `tocsin.ticks` | JetStream stream | frames (hub.frame), one order, durable |
| `QUARANTINE` / `tocsin.quarantine` | JetStream stream | frames that no reader could take, with the reason |
| `readers` | key-value bucket | how far each reader has committed; the stream is purged below the slowest |
| `quote.<INSTRUMENT>` | core | the newest Quote (JSON); may be dropped |
| `feed.<name>` | core, request | ticks as JSON from programs outside (plugins.feeds.nats) |
| `line` | request, queue | Line → Reply: whatever a person can do |
| `menu` | request, queue | → Menu: what can be asked, for platforms' own menus |
| `command.<name>` | request, queue | Request → Reply |
| `alerts.<group>` | request | changes of alerts → the engine of that group of owners, their live state's only writer |
| `yield.<group>` | request | an engine asks the one that holds the group to let it go |
| `outbox` | core | nudge: rows were committed for these destinations |
| `send.<platform>` | request, queue | Message → Receipt, answered by the bot |
| `check.<platform>` | request, queue | Destination → Checked: whether the bot would send there; nothing is sent |
| `console.<name>` | core | what the console bot passes on to open chats of that person |
| `status` | request, scattered | every service of every process answers with what it says of itself |

Promises: `publish` to the stream is by hub.ingest alone; readers use hub.reader. Connections retry for ever
and say when the bus is away and back. Depends on nats-py.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from hub.plugin import TryLater

TICKS = "TICKS"
TICKS_SUBJECT = "tocsin.ticks"
QUARANTINE = "QUARANTINE"
QUARANTINE_SUBJECT = "tocsin.quarantine"
READERS = "readers"
LINE = "line"
MENU = "menu"
OUTBOX = "outbox"
STATUS = "status"

log = structlog.get_logger("bus")
T = TypeVar("T")
Handler = Callable[[bytes], Awaitable[bytes | None]]


def alerts(group: str) -> str:
    return f"alerts.{token(group)}"


def yields(group: str) -> str:
    return f"yield.{token(group)}"


def quote(instrument: str) -> str:
    return f"quote.{token(instrument)}"


def feed(name: str) -> str:
    return f"feed.{token(name)}"


def command(name: str) -> str:
    return f"command.{token(name)}"


def send(platform: str) -> str:
    return f"send.{token(platform)}"


def check(platform: str) -> str:
    return f"check.{token(platform)}"


def console(name: str) -> str:
    return f"console.{token(name)}"


def token(text: str) -> str:
    """`text` as one token of a subject: nats-py sends "a.*" or "a b" as they are, so they are made harmless."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"={ord(c):x}=" for c in text)
    return safe or "="


class StreamRefused(Exception):
    """JetStream answered with an error; `err_code` as in nats-server's errors.json."""

    def __init__(self, description: str, err_code: int) -> None:
        super().__init__(f"{description} ({err_code})")
        self.err_code = err_code


class _Ack(msgspec.Struct):
    """JetStream's answer to a publish (NATS docs, "JetStream wire API")."""

    seq: int = 0
    error: dict[str, Any] | None = None


class Bus:
    """One connection. `request` and `serve` move structs as JSON; what does not parse is answered, not raised.

    Until Python 3.12 `asyncio.wait_for`, which nats-py awaits its answers with, can swallow a cancellation that comes
    together with the answer, and a service that lost its cancellation never stops. So requests are made here with one
    inbox and plain futures, and nats-py's own calls go through `steady`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=5)
        self._inbox = client.new_inbox()
        self._asked: dict[str, asyncio.Future[Msg]] = {}
        self._count = 0

    async def listen(self) -> None:
        """Opens the inbox for answers; `connect` has done it."""

        async def answered(message: Msg) -> None:
            future = self._asked.pop(message.subject.rpartition(".")[2], None)
            if future is not None and not future.done():
                future.set_result(message)

        await self.client.subscribe(f"{self._inbox}.*", cb=answered)

    def lost(self) -> None:
        """The connection broke: what is asked now may never be answered, so whoever asks again need not wait."""
        for future in self._asked.values():
            if not future.done():
                future.set_exception(nats.errors.ConnectionClosedError())

    async def steady(self, call: Awaitable[T]) -> T:
        """The call's result; a cancellation always reaches the caller (the call ends by its own time limit)."""
        return await asyncio.shield(asyncio.ensure_future(call))

    async def call(self, subject: str, payload: bytes, timeout_s: float, headers: dict[str, str] | None = None) -> Msg:
        """One request, one answer. TimeoutError, NoRespondersError, or what the connection raises."""
        self._count += 1
        key = f"{self._count:x}"
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._asked[key] = future
        try:
            async with asyncio.timeout(timeout_s):
                await self.client.publish(subject, payload, reply=f"{self._inbox}.{key}", headers=headers)
                answer = await future
        finally:
            self._asked.pop(key, None)
        if not answer.data and answer.headers and answer.headers.get("Status") == "503":
            raise nats.errors.NoRespondersError
        return answer

    async def append(self, payload: bytes, after: int, timeout_s: float) -> int:
        """Stores a frame in TICKS as the one behind `after`; its sequence. StreamRefused, or as `call`."""
        headers = {"Nats-Expected-Last-Sequence": str(after)}
        answer = await self.call(TICKS_SUBJECT, payload, timeout_s, headers)
        ack = msgspec.json.decode(answer.data, type=_Ack)
        if ack.error is not None:
            raise StreamRefused(str(ack.error.get("description")), int(ack.error.get("err_code", 0)))
        return ack.seq

    async def request(self, subject: str, payload: msgspec.Struct | bytes, answer: type[T], timeout_s: float) -> T:
        """The answer; TryLater when nobody listens on the subject or none comes in time."""
        body = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        try:
            reply = await self.call(subject, body, timeout_s)
        except nats.errors.NoRespondersError as error:
            raise TryLater(f"nobody answers on {subject}") from error
        except (nats.errors.TimeoutError, TimeoutError) as error:
            raise TryLater(f"no answer on {subject} within {timeout_s:g} s") from error
        except (nats.errors.ConnectionClosedError, nats.errors.OutboundBufferLimitError) as error:
            raise TryLater("the bus is away") from error
        return msgspec.json.decode(reply.data, type=answer)

    async def scatter(self, subject: str, payload: bytes, wait_s: float) -> list[bytes]:
        """Every answer that comes within `wait_s`."""
        inbox = self.client.new_inbox()
        answers: list[bytes] = []

        async def collect(message: Msg) -> None:
            if message.data or not message.headers:  # a "no responders" status has headers and no body
                answers.append(message.data)

        subscription = await self.client.subscribe(inbox, cb=collect)
        try:
            await self.client.publish(subject, payload, reply=inbox)
            await asyncio.sleep(wait_s)
        finally:
            await subscription.unsubscribe()
        return answers

    @asynccontextmanager
    async def serve(self, subject: str, handler: Handler, queue: str = "") -> AsyncIterator[None]:
        """Answers requests on `subject`, each in a task of its own, at most 64 at a time: more wait. An
        exception in `handler` is a bug: it is logged with its trace and the asker times out."""
        limit = asyncio.Semaphore(64)
        tasks: set[asyncio.Task[None]] = set()

        async def answer(message: Msg) -> None:
            try:
                reply = await handler(message.data)
                if message.reply and reply is not None:
                    await message.respond(reply)
            except Exception:
                log.exception("a request failed", subject=message.subject)
            finally:
                limit.release()

        async def take(message: Msg) -> None:
            await limit.acquire()
            task = asyncio.create_task(answer(message))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        subscription = await self.client.subscribe(subject, queue=queue, cb=take)
        try:
            yield
        finally:
            if not self.client.is_closed:
                await subscription.unsubscribe()
            if tasks:
                await asyncio.wait(tasks, timeout=5)


def servers(url: str) -> list[str]:
    return [part.strip() for part in url.split(",") if part.strip()]


@asynccontextmanager
async def connect(url: str, token: str | None, name: str, *, patience_s: float = 10.0) -> AsyncIterator[Bus]:
    """A connection that comes back by itself. TryLater if the first connect does not work in `patience_s`:
    nats-py alone would try for ever and print traces (FACTS §2)."""
    away = leaving = False

    async def on_error(error: Exception) -> None:
        log.debug("bus error", error=str(error) or type(error).__name__)

    async def on_away() -> None:
        nonlocal away
        bus.lost()
        if not away and not leaving:
            away = True
            log.warning("the bus is away")

    async def on_back() -> None:
        nonlocal away
        away = False
        log.info("the bus is back")

    options: dict[str, Any] = {
        "servers": servers(url),
        "name": name,
        "token": token,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.1,
        "ping_interval": 10,
        "max_outstanding_pings": 2,
        "error_cb": on_error,
        "disconnected_cb": on_away,
        "reconnected_cb": on_back,
        "allow_reconnect": True,
    }
    client = Client()
    bus = Bus(client)
    try:
        async with asyncio.timeout(patience_s):
            await client.connect(**options)
    except (TimeoutError, OSError, nats.errors.Error) as error:
        leaving = True
        await client.close()
        raise TryLater(f"no NATS server at {shown(url)}: {error or 'no answer'}") from error
    except BaseException:
        leaving = True
        await client.close()
        raise
    await bus.listen()
    try:
        yield bus
    finally:
        leaving = True
        try:
            async with asyncio.timeout(5):
                await (client.drain() if client.is_connected else client.close())
        except (TimeoutError, nats.errors.Error):
            await client.close()


def shown(url: str) -> str:
    """The URL without what may be secret in it."""
    return ", ".join(part.rsplit("@", 1)[-1] if "@" in part else part for part in servers(url))
