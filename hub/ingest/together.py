"""Recordings that are played together take turns, so that their ticks enter the stream in the order of their times.

One of them goes at a time, up to the time of the next tick of another. Equal times go in the order of the feeds. A
recording that has not said its next time yet is waited for; one that has ended, or cannot go on, leaves. Depends on
nothing.
"""

import asyncio

BEFORE = -(1 << 62)
NEVER = 1 << 62


class Together:
    """`turn` before each tick; `leave` at the end."""

    def __init__(self, count: int) -> None:
        self._next = dict.fromkeys(range(count), BEFORE)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._going = -1
        self._until = BEFORE  # it may go so far, and so far only

    async def turn(self, place: int, at: int) -> None:
        """Returns when no other recording has anything before `at`."""
        if place == self._going and at < self._until:
            return
        self._next[place] = at
        while (first := self._first()) != place:
            self._wake(first)
            future = self._waiting[place] = asyncio.get_running_loop().create_future()
            try:
                await future
            finally:
                self._waiting.pop(place, None)
        self._going = place
        self._until = min((time for other, time in self._next.items() if other != place), default=NEVER)

    def leave(self, place: int) -> None:
        """It has nothing more to come."""
        self._next.pop(place, None)
        if self._next:
            self._wake(self._first())

    def _first(self) -> int:
        return min(self._next, key=lambda place: (self._next[place], place))

    def _wake(self, place: int) -> None:
        future = self._waiting.get(place)
        if future is not None and not future.done():
            future.set_result(None)
