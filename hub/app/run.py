"""How the services of a core run beside each other, and how they end. Depends on nothing but msgspec."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hub.held import INGEST

STANDBY = "standby"
SETTLE_S = 2.0
Service = Callable[[], Awaitable[None]]
Told = Callable[[], Any]
Settled = Callable[[], bool]
Part = tuple[list[tuple[str, Service]], list[Told], Settled]
"""Services, what tells how they are, and whether its readers have taken all that its ingest has published."""


async def run_all(services: list[tuple[str, Service]], settled: Callable[[], bool]) -> None:
    """Until one fails or all are cancelled. Ingest ends first, and the readers take what it published last."""
    async with asyncio.TaskGroup() as rest:
        for name, run in services:
            if name not in (INGEST, STANDBY):
                rest.create_task(_for_ever(name, run), name=name)
        try:
            async with asyncio.TaskGroup() as ingest:
                for name, run in services:
                    if name in (INGEST, STANDBY):
                        ingest.create_task(_for_ever(name, run), name=name)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    while not settled():
                        await asyncio.sleep(0.02)
            raise


async def _for_ever(name: str, run: Service) -> None:
    """A service that returns has failed as much as one that raises."""
    try:
        await run()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError(f"the service {name} was cancelled from inside") from None
    raise RuntimeError(f"the service {name} returned")


async def answer_status(tell: Told, _: bytes) -> bytes:
    told = tell()
    if isinstance(told, Awaitable):
        told = await told
    return msgspec.json.encode(told)
