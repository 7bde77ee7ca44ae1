"""The cache in this process: dictionaries, each with a bound on its keys, values with one on their bytes as well; least
recently used out first.

Nothing here waits, so every call is atomic on the loop. `clock` returns seconds and never goes back.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_KEYS = 100_000
MAX_BYTES = 64 * 1024 * 1024  # of keys and values together; a rendered chart has about 100 kB
MAX_BOARDS = 1_000
MAX_MEMBERS = 100_000  # of one board


class _Bounded(Generic[V]):
    """The newest used of a mapping, up to `size` keys."""

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
        while self._full():
            self.drop(next(iter(self._kept)))

    def drop(self, key: str) -> None:
        self._kept.pop(key, None)

    def items(self) -> list[tuple[str, V]]:
        return list(self._kept.items())

    def _full(self) -> bool:
        return len(self._kept) > self._size


class _Values(_Bounded[tuple[bytes | int, float | None]]):
    """Value or count, and when it ends."""

    def __init__(self, size: int, max_bytes: int) -> None:
        super().__init__(size)
        self._max_bytes = max_bytes
        self.bytes = 0

    def put(self, key: str, value: tuple[bytes | int, float | None]) -> None:
        self.drop(key)
        if (size := _bytes(key, value[0])) <= self._max_bytes:
            self.bytes += size
            super().put(key, value)

    def drop(self, key: str) -> None:
        if (entry := self._kept.pop(key, None)) is not None:
            self.bytes -= _bytes(key, entry[0])

    def _full(self) -> bool:
        return super()._full() or self.bytes > self._max_bytes


def _bytes(key: str, value: bytes | int) -> int:
    return len(key) + (len(value) if isinstance(value, bytes) else 8)


class MemoryCache:
    """A value that is larger than `max_bytes` is not kept."""

    trouble = ""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS, max_bytes: int = MAX_BYTES
    ) -> None:
        self._clock = clock
        self._values = _Values(max_keys, max_bytes)
        self._boards: _Bounded[_Bounded[float]] = _Bounded(MAX_BOARDS)

    async def get(self, key: str) -> bytes | None:
        return self._get(key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    async def set(self, key: str, value: bytes, ttl_s: float | None = None) -> None:
        await self.set_many({key: value}, ttl_s)

    async def set_many(self, values: Mapping[str, bytes], ttl_s: float | None = None) -> None:
        ends_at = None if ttl_s is None else self._clock() + ttl_s
        for key, value in values.items():
            self._values.put(key, (value, ends_at))

    async def delete(self, key: str) -> None:
        self._values.drop(key)

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        value, ends_at = self._entry(key) or (0, None)
        total = int(value) + amount
        self._values.put(key, (total, self._clock() + ttl_s if ends_at is None else ends_at))
        return total

    async def rank(self, board: str, member: str, score: float) -> None:
        await self.rank_many(board, {member: score})

    async def rank_many(self, board: str, scores: Mapping[str, float]) -> None:
        members = self._boards.get(board) or _Bounded(MAX_MEMBERS)
        for member, score in scores.items():
            members.put(member, score)
        if len(members):
            self._boards.put(board, members)

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

    def _get(self, key: str) -> bytes | None:
        entry = self._entry(key)
        if entry is None:
            return None
        value = entry[0]
        return value if isinstance(value, bytes) else str(value).encode()

    def _entry(self, key: str) -> tuple[bytes | int, float | None] | None:
        entry = self._values.get(key)
        if entry is not None and entry[1] is not None and entry[1] <= self._clock():
            self._values.drop(key)
            return None
        return entry
