"""The cache: what may be lost at any time, in one process (`memory`) or shared by several.

Values are bytes; times to live are seconds. A key that was evicted reads as absent, a counter or board that was
evicted begins anew: nothing that must be right stands here. `hub.testing.check_cache` holds every implementation to it.
"""

from typing import Protocol


class Cache(Protocol):
    async def get(self, key: str) -> bytes | None: ...

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        """Replaces value and time to live; None keeps it until it is evicted."""
        ...

    async def delete(self, key: str) -> None: ...

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        """Adds to a counter and returns it. The time to live is set when the counter begins, and not prolonged:
        a window, not a silence."""
        ...

    async def rank(self, board: str, member: str, score: float) -> None:
        """Sets the member's score on the board."""
        ...

    async def top(self, board: str, count: int) -> list[tuple[str, float]]:
        """The `count` highest, highest first; equal scores by name."""
        ...
