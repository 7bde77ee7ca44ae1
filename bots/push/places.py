"""How many services are sent to at the same time: dead ones hold no place that a live one needs.

AT_ONCE sends go to services that answer quickly, SLOW more to those that do not. A service is taken for slow from the
time that it was, until it answers quickly again.
"""

import asyncio
from collections import OrderedDict

from hub.plugin import TryLater

QUICK_S = 2.0
AT_ONCE = 16
SLOW = 48
REMEMBERED = 1_000  # services that were slow


class Place:
    """Where a send stands until its thread ends: among the quick or among the slow."""

    def __init__(self, places: "Places", address: str, quick: bool) -> None:
        self.address = address
        self.quick = quick
        self._places = places

    def leave(self) -> None:
        self._places.left(self)


class Places:
    def __init__(self, quick_s: float) -> None:
        self.quick_s = quick_s
        self._quick = asyncio.Semaphore(AT_ONCE)
        self._free = SLOW
        self._was_slow: OrderedDict[str, None] = OrderedDict()

    async def take(self, address: str, patience_s: float) -> Place:
        if address in self._was_slow:
            if not self._free:
                raise TryLater("too many services hang at once")
            self._free -= 1
            return Place(self, address, quick=False)
        try:
            await asyncio.wait_for(self._quick.acquire(), patience_s)
        except TimeoutError:
            raise TryLater("too many services hang at once") from None
        return Place(self, address, quick=True)

    def slow(self, place: Place) -> None:
        """It has taken longer than quick ones take: others may have its place, while there is one for it elsewhere."""
        self._was_slow[place.address] = None
        self._was_slow.move_to_end(place.address)
        while len(self._was_slow) > REMEMBERED:
            self._was_slow.popitem(last=False)
        if place.quick and self._free:
            place.quick = False
            self._free -= 1
            self._quick.release()

    def left(self, place: Place) -> None:
        if place.quick:
            self._quick.release()
        else:
            self._free += 1

    def answered(self, address: str) -> None:
        self._was_slow.pop(address, None)
