"""A TCP proxy on loopback that cuts, hushes and keeps answers back, where a test says so."""

import asyncio
import contextlib
from types import TracebackType

import msgspec


class Trap(msgspec.Struct):
    """Waits for these bytes from a client; so many bytes behind them it snaps, once."""

    seen: bytes
    after_bytes: int
    answered: bool = False
    hush: bool = False


class Line(msgspec.Struct):
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    dropping: bool = False  # the next answer is kept back, and then it is cut
    hushed: bool = False  # both sides stay open and hear nothing any more

    def cut(self) -> None:
        for side in (self.client, self.server):
            side.transport.abort()


class Proxy:
    """`cut`: both sides lose their connection. `cut(answered=True)`: only once the server has answered, and its answer
    is kept back. `hush`: the connection stands and nothing passes. Lines that are made later are sound."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.snapped = 0
        self._trap: Trap | None = None
        self._lines: set[asyncio.Task[None]] = set()

    def cut(self, seen: bytes, *, after_bytes: int = 0, answered: bool = False) -> None:
        self._trap = Trap(seen, after_bytes, answered=answered)

    def hush(self, seen: bytes, *, after_bytes: int = 0) -> None:
        self._trap = Trap(seen, after_bytes, hush=True)

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.close()
        for task in self._lines:
            task.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _connected(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        server_in, server_out = await asyncio.open_connection("127.0.0.1", self.target)
        line = Line(client_out, server_out)
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(self._up(line, client_in), self._down(line, server_in))
        finally:
            line.cut()
            self._lines.discard(task)

    async def _up(self, line: Line, reader: asyncio.StreamReader) -> None:
        while piece := await reader.read(1 << 14):
            if not line.hushed:
                self._watch(line, piece)
            if not line.hushed:
                line.server.write(piece)
                await line.server.drain()
        if not line.hushed:
            line.cut()

    def _watch(self, line: Line, piece: bytes) -> None:
        trap = self._trap
        if trap is None or (trap.seen and trap.seen not in piece):
            return
        trap.seen = b""
        trap.after_bytes -= len(piece)
        if trap.after_bytes > 0:
            return
        self._trap = None
        self.snapped += 1
        line.hushed, line.dropping = trap.hush, trap.answered
        if not trap.hush and not trap.answered:
            line.cut()

    async def _down(self, line: Line, reader: asyncio.StreamReader) -> None:
        while piece := await reader.read(1 << 14):
            if line.dropping:
                line.cut()
            if not line.hushed:
                line.client.write(piece)
                await line.client.drain()
        if not line.hushed:
            line.cut()
