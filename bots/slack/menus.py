"""The hub's menu as this bot last heard it: forms, options and the App Home are made from it.

Asked anew after FRESH_S and after `forget` (a new connection). Slack waits three seconds for options, so a hub that
does not answer within PATIENCE_S is asked again after AGAIN_S, and the last menu stands meanwhile. Depends on
hub.plugin.
"""

import asyncio
import time
from collections.abc import Callable

from hub.model import Menu
from hub.plugin import Hub, TryLater

FRESH_S = 180.0
PATIENCE_S = 1.5
AGAIN_S = 5.0
NOTHING = Menu(commands=(), instruments=())


class Menus:
    def __init__(self, hub: Hub, clock: Callable[[], float] = time.monotonic, patience_s: float = PATIENCE_S) -> None:
        self._hub = hub
        self._clock = clock
        self._patience_s = patience_s
        self._menu = NOTHING
        self._until = float("-inf")

    async def get(self) -> Menu:
        if self._clock() >= self._until:
            try:
                async with asyncio.timeout(self._patience_s):
                    self._menu = await self._hub.menu()
                self._until = self._clock() + FRESH_S
            except (TryLater, TimeoutError):
                self._until = self._clock() + AGAIN_S
        return self._menu

    def forget(self) -> None:
        self._until = float("-inf")
