"""The cache in this process: dictionaries with a bound each, least recently used out first.

Nothing here waits, so every call is atomic on the loop. `clock` returns seconds and never goes back.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_KEYS = 100_000
MAX_BOARDS = 1_000
MAX_MEMBERS = 100_000  # of one board


class _Bounded(Generic[V]):
    """The newest used `size` of a mapping."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> V | None:
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: str, value: V) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def drop(self, key: str) -> None:
        self._kept.pop(key, None)

    def items(self) -> list[tuple[str, V]]:
        return list(self._kept.items())


class MemoryCache:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS) -> None:
        self._clock = clock
        self._values: _Bounded[tuple[bytes | int, float | None]] = _Bounded(max_keys)
        self._boards: _Bounded[_Bounded[float]] = _Bounded(MAX_BOARDS)

    async def get(self, key: str) -> bytes | None:
        entry = self._entry(key)
        if entry is None:
            return None
        value = entry[0]
        return value if isinstance(value, bytes) else str(value).encode()

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [await self.get(key) for key in keys]

    async def set_many(self, values: Mapping[str, bytes], ttl_s: float | None = None) -> None:
        for key, value in values.items():
            await self.set(key, value, ttl_s)

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        self._values.put(key, (value, None if ttl_s is None else self._clock() + ttl_s))

    async def delete(self, key: str) -> None:
        self._values.drop(key)

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        entry = self._entry(key)
        if entry is None:
            entry = (0, self._clock() + ttl_s)
        total = int(entry[0]) + amount
        self._values.put(key, (total, entry[1]))
        return total

    async def rank(self, board: str, member: str, score: float) -> None:
        members = self._boards.get(board)
        if members is None:
            members = _Bounded(MAX_MEMBERS)
            self._boards.put(board, members)
        members.put(member, score)

    async def rank_many(self, board: str, scores: Mapping[str, float]) -> None:
        for member, score in scores.items():
            await self.rank(board, member, score)

    async def unrank(self, board: str, member: str) -> None:
        members = self._boards.get(board)
        if members is not None:
            members.drop(member)

    async def top(self, board: str, count: int, *, lowest: bool = False) -> list[tuple[str, float]]:
        members = self._boards.get(board)
        if members is None:
            return []
        sign = 1 if lowest else -1
        return sorted(members.items(), key=lambda pair: (sign * pair[1], pair[0]))[: max(count, 0)]

    def _entry(self, key: str) -> tuple[bytes | int, float | None] | None:
        entry = self._values.get(key)
        if entry is not None and entry[1] is not None and entry[1] <= self._clock():
            self._values.drop(key)
            return None
        return entry
