"""Waiting for what another process does: asked again and again, never for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until_true(what: Callable[[], Awaitable[T | None]], within_s: float) -> T:
    """The first answer that is something."""
    deadline = time.monotonic() + within_s
    while not (found := await what()):
        assert time.monotonic() < deadline, f"{what.__name__}: not within {within_s:g} s"
        await asyncio.sleep(0.02)
    return found
