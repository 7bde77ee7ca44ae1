"""A local WebSocket server that speaks like Binance's combined stream, from frames that it is given.

One market for all connections: a new one goes on where the last one ended, or a little before that (`resend`). It
pings as the exchange does and drops who does not answer. `cuts` and `silences` are places in the frames: at a cut the
connection breaks in the middle of a frame, at a silence it stays open and says nothing more but pings. At the end
the last frames come again and again.
"""

import asyncio
import contextlib
import gzip
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

CAPTURE = "wire/binance-spot-btcusdt-20240808.raw.gz"
PONG_WITHIN_S = 10.0
BREATH = 200
"""Frames between two turns of the loop, so that a server in the test's own process stays polite."""


class Exchange:
    """`served` counts connections, `sent` frames with the repeated ones, `dropped` those that left a ping open."""

    def __init__(
        self,
        frames: Sequence[str],
        *,
        cuts: Sequence[int] = (),
        silences: Sequence[int] = (),
        resend: int = 0,
        ping_every: int = 1000,
    ) -> None:
        self.frames = frames
        self.resend = resend
        self.ping_every = ping_every
        self.url = ""
        self.served = 0
        self.sent = 0
        self.pings = 0
        self.pongs = 0
        self.dropped = 0
        self.streams: list[str] = []
        self._unanswered: dict[web.WebSocketResponse, int] = {}
        self._cuts = set(cuts)
        self._silences = set(silences)
        self._at = 0

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.served += 1
        self.streams.append(request.query["streams"])
        talking = asyncio.ensure_future(self._talk(request, socket))
        try:
            await self._listen(socket)
        finally:
            talking.cancel()
            await asyncio.wait({talking})
        return socket

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        """Until the client is gone, or does not answer a ping in time."""
        while not socket.closed:
            waiting = self._unanswered.get(socket, 0)
            try:
                message = await socket.receive(timeout=PONG_WITHIN_S)
            except TimeoutError:
                if waiting:
                    self.dropped += 1
                    await socket.close(code=1008, message=b"no pong")
                continue
            if message.type is WSMsgType.PONG:
                self.pongs += 1
                self._unanswered[socket] -= 1
            elif message.type is not WSMsgType.PING:
                return

    async def _talk(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        if self.served > 1:
            self._at = max(self._at - self.resend, 0)
        with contextlib.suppress(ConnectionError):
            while self._at < len(self.frames):
                if self._at + self.resend // 2 in self._cuts:
                    await self._until_read(socket)
                if self._at in self._cuts:
                    self._cuts.discard(self._at)
                    assert request.transport is not None
                    request.transport.write(b"\x81\x7e\x10\x00half a frame")
                    request.transport.close()
                    return
                if self._at in self._silences:
                    self._silences.discard(self._at)
                    await self._say_nothing(socket)
                await self._send(socket, self.frames[self._at])
                self._at += 1
                if self._at % self.ping_every == 0:
                    await self._ping(socket)
            while True:
                await asyncio.sleep(0.2)
                for frame in self.frames[-3:]:
                    await self._send(socket, frame)

    async def _send(self, socket: web.WebSocketResponse, frame: str) -> None:
        await socket.send_str(frame)
        self.sent += 1
        if self.sent % BREATH == 0:
            await asyncio.sleep(0)

    async def _ping(self, socket: web.WebSocketResponse) -> None:
        self.pings += 1
        self._unanswered[socket] = self._unanswered.get(socket, 0) + 1
        await socket.ping(str(self.pings).encode())

    async def _until_read(self, socket: web.WebSocketResponse) -> None:
        """What is under way at a cut is lost with the connection, so no more than half of what is resent may be."""
        await self._ping(socket)
        while self._unanswered[socket]:
            await asyncio.sleep(0.001)

    async def _say_nothing(self, socket: web.WebSocketResponse) -> None:
        while True:
            await self._ping(socket)
            await asyncio.sleep(0.25)


@asynccontextmanager
async def serving(exchange: Exchange) -> AsyncIterator[Exchange]:
    """The exchange on a random port of loopback; its `url` is what the feed's settings take."""
    app = web.Application()
    app.router.add_get("/stream", exchange.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        exchange.url = str(server.make_url("")).replace("http", "ws", 1).rstrip("/")
        yield exchange


# ------------------------------------------------------------------------------------------------ frames


def capture() -> list[str] | None:
    """The frames of the real capture as the exchange sent them; None where the file is not at hand."""
    folder = Path(os.environ.get("TOCSIN_DATA") or Path(__file__).parents[2] / "shared" / "data")
    path = folder / CAPTURE
    if not path.is_file():
        return None
    with gzip.open(path, "rt") as lines:
        return [line.partition(" ")[2].rstrip("\n") for line in lines]


def made(count: int = 3000) -> list[str]:
    """A small market in the capture's shape: depth, book, trades, over the end of a day."""
    frames: list[str] = []
    start_ms = 1_723_161_599_000  # 2024-08-08 23:59:59 UTC
    for n in range(count):
        price = 61_800 + (n * 7919) % 400 / 4 + (150 if n == count // 3 else 0) - (90 if n == 2 * count // 3 else 0)
        book = {
            "u": 50_093_239_212 + 3 * n,
            "s": "BTCUSDT",
            "b": f"{price:.8f}",
            "B": "1.0",
            "a": f"{price + 0.01:.8f}",
        }
        frames.append(_wrapped("bookTicker", {**book, "A": "1.54698000"}))
        if n % 3 == 0:
            trade = {"e": "trade", "E": start_ms + n, "s": "BTCUSDT", "t": 3_735_683_259 + n, "p": f"{price:.8f}"}
            frames.append(_wrapped("trade", {**trade, "q": "0.02000000", "T": start_ms + n, "m": True, "M": True}))
        if n % 10 == 0:
            frames.append(
                _wrapped("depth@100ms", {"e": "depthUpdate", "s": "BTCUSDT", "U": n, "u": n, "b": [], "a": []})
            )
    return frames


def _wrapped(stream: str, event: dict[str, Any]) -> str:
    return json.dumps({"stream": f"btcusdt@{stream}", "data": event}, separators=(",", ":"))
