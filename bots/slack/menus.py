"""The hub's menu as this bot last heard it: forms, options and the App Home are made from it.

Asked anew after FRESH_S and after `forget` (a new connection); while no hub answers, the last one stands. Depends on
hub.plugin.
"""

import time
from collections.abc import Callable

from hub.model import Menu
from hub.plugin import Hub, TryLater

FRESH_S = 180.0
NOTHING = Menu(commands=(), instruments=())


class Menus:
    def __init__(self, hub: Hub, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self._menu = NOTHING
        self._until = float("-inf")

    async def get(self) -> Menu:
        if self._clock() >= self._until:
            try:
                self._menu = await self._hub.menu()
            except TryLater:
                return self._menu
            self._until = self._clock() + FRESH_S
        return self._menu

    def forget(self) -> None:
        self._until = float("-inf")
