"""Charts drawn by a worker process, cached, each once however many ask for it at the same time.

The worker starts at the first chart and ends with the hub. One that dies is started again, and what it was drawing is
tried once more; one that takes longer than it may is killed. Either way whoever asked gets the picture or a
BadRequest with a sentence, and the loop never waits for a drawing. At most WAITING charts wait; more are refused with
a word to ask again. Depends on the cache (hub.cache) and charts.worker.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from charts.chart import Chart
from charts.wire import DRAWN, LENGTH_BYTES, READY, framed
from hub.cache import Cache, keys
from hub.plugin import BadRequest

KEPT_FOR_S = 3600.0
MOST_KEPT_BYTES = 1_000_000
START_PATIENCE_S = 60.0  # matplotlib looks through a machine's fonts at its first start there
GRACE_S = 1.0
WAITING = 32

log = structlog.get_logger("charts")


class Died(Exception):
    """The worker ended before it answered."""


class Worker:
    """The process, and one question at a time."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def ask(self, payload: bytes, timeout_s: float) -> bytes:
        """The answer with its letter; TimeoutError or Died, and then there is no process any more."""
        try:
            if self._process is None:
                async with asyncio.timeout(START_PATIENCE_S):
                    await self._start()
            async with asyncio.timeout(timeout_s):
                await self._write(payload)
                return await self._read()
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as error:
            await self.stop(grace_s=0)
            if isinstance(error, TimeoutError):
                raise
            raise Died from error
        except BaseException:
            await self.stop(grace_s=0)
            raise

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        if await self._read() != READY:
            raise Died

    async def _write(self, payload: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(framed(payload))
        await self._process.stdin.drain()

    async def _read(self) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        length = int.from_bytes(await self._process.stdout.readexactly(LENGTH_BYTES))
        return await self._process.stdout.readexactly(length)

    async def stop(self, *, grace_s: float = GRACE_S) -> None:
        """By the end of its stdin, and by force where that is not enough."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Renderer:
    def __init__(self, cache: Cache, timeout_s: float, worker: Worker) -> None:
        self.drawn = 0
        self.worker = worker
        self._cache = cache
        self._timeout_s = timeout_s
        self._one_at_a_time = asyncio.Lock()
        self._under_way: dict[str, asyncio.Task[bytes | BadRequest]] = {}

    async def draw(self, chart: Chart) -> bytes:
        """A PNG; BadRequest where it cannot be drawn now, or not at all."""
        payload = msgspec.msgpack.encode(chart)
        key = keys.chart(hashlib.blake2b(payload, digest_size=16).hexdigest())
        task = self._under_way.get(key)
        if task is None:
            kept = await self._cache.get(key)
            if kept is not None:
                return kept
            task = self._under_way.get(key) or self._begin(key, payload)
        drawn = await asyncio.shield(task)  # one who gives up takes it from nobody else
        if isinstance(drawn, BadRequest):
            raise BadRequest(drawn.text)
        return drawn

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    async def stop(self) -> None:
        """Ends what is under way; whoever asked for it is cancelled too."""
        under_way = list(self._under_way.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self.worker.stop()

    def _begin(self, key: str, payload: bytes) -> "asyncio.Task[bytes | BadRequest]":
        if len(self._under_way) >= WAITING:
            raise BadRequest(f"{WAITING} charts are being drawn already: ask again in a moment")
        task = asyncio.create_task(self._make(key, payload), name="chart")  # who asks awaits it; `stop` ends it
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return task

    async def _make(self, key: str, payload: bytes) -> bytes | BadRequest:
        async with self._one_at_a_time:
            answer = await self._answer(payload)
        if isinstance(answer, BadRequest):
            return answer
        self.drawn += 1
        if len(answer) <= MOST_KEPT_BYTES:
            await self._cache.set(key, answer, KEPT_FOR_S)
        return answer

    async def _answer(self, payload: bytes) -> bytes | BadRequest:
        for _ in range(2):
            try:
                answer = await self.worker.ask(payload, self._timeout_s)
            except Died:
                log.warning("the chart worker died and is started again")
            except TimeoutError:
                log.error("a chart took too long; its worker was killed", limit_s=self._timeout_s)
                return BadRequest(
                    f"drawing that chart took longer than {self._timeout_s:g} s and was stopped: try a shorter span"
                )
            else:
                if answer[:1] == DRAWN:
                    return answer[1:]
                reason = answer[1:].decode(errors="replace")
                log.error("a chart could not be drawn", reason=reason)
                return BadRequest(f"that chart cannot be drawn ({reason}): it was logged")
        log.error("the chart worker died twice over one chart")
        return BadRequest("what draws charts died twice over that one: try another span, or ask the operator to look")


@asynccontextmanager
async def open_renderer(
    cache: Cache, timeout_s: float, *, command: tuple[str, ...] = (sys.executable, "-m", "charts.worker")
) -> AsyncIterator[Renderer]:
    """Nothing is started until the first chart. Leaving ends what is under way."""
    renderer = Renderer(cache, timeout_s, Worker(command))
    try:
        yield renderer
    finally:
        await renderer.stop()
