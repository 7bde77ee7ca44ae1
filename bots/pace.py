"""How often a bot may speak: a platform's limits as sliding windows, and a queue that keeps them.

`Pace` is pure, with time as an argument: it says how long a chat has to wait, counts what was sent, and holds a chat
(or everything) until a platform's retry_after is over. In no window is there ever more than its budget allows, unlike
with a token bucket, whose burst may stand on both sides of a moment. `Turns` lets the waiting ones through in the
order alerts, replies, boards, and within a rank in the order they came; a share of each budget is kept free of the
lower ranks, so a board never makes an alert wait for a whole window. Nobody sleeps: who would have to wait longer than
they have patience is told how long (TryLater), and comes again. Depends on hub.plugin.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec

from hub.plugin import TryLater

EVERYTHING = ""
"""The chat of calls that belong to none; held, it holds all."""
CROWDED = 4_096  # chats in memory above which idle ones are forgotten


class Rank(IntEnum):
    ALERT = 0
    REPLY = 1
    BOARD = 2


class Budget(msgspec.Struct, frozen=True):
    """At most `most` in any `per_s` seconds."""

    most: int
    per_s: float

    def share(self, rank: Rank) -> int:
        """How much of it a rank may use: everything, four fifths, half; one at least."""
        return max(1, (self.most, self.most * 4 // 5, self.most // 2)[rank])


class _Window:
    """The times of what was sent lately, under one budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._times: deque[float] = deque(maxlen=budget.most)

    def free_at(self, rank: Rank) -> float:
        """Beginning of the time when one more fits in."""
        share = self.budget.share(rank)
        return self._times[-share] + self.budget.per_s if len(self._times) >= share else float("-inf")

    def take(self, now_s: float) -> None:
        self._times.append(now_s)

    def idle(self, now_s: float) -> bool:
        return not self._times or self._times[-1] + self.budget.per_s <= now_s


class Pace:
    """`overall` holds for everything together, `of_chat` names what holds for one chat."""

    def __init__(self, overall: Sequence[Budget], of_chat: Callable[[str], Sequence[Budget]]) -> None:
        self._overall = [_Window(budget) for budget in overall]
        self._of_chat = of_chat
        self._chats: dict[str, list[_Window]] = {}
        self._held: dict[str, float] = {}

    def wait_s(self, chat: str, rank: Rank, now_s: float) -> float:
        """Seconds until something may be sent there; 0: now."""
        held = max(self._held.get(EVERYTHING, now_s), self._held.get(chat, now_s))
        windows = [*self._overall, *self._chats.get(chat, ())]
        free_at: float = max([held, *(window.free_at(rank) for window in windows)])
        return free_at - now_s

    def take(self, chat: str, now_s: float) -> None:
        """Counts one that is sent now."""
        if chat and chat not in self._chats:
            self._forget_idle(now_s)
            self._chats[chat] = [_Window(budget) for budget in self._of_chat(chat)]
        for window in (*self._overall, *self._chats.get(chat, ())):
            window.take(now_s)

    def hold(self, chat: str, until_s: float) -> None:
        """Nothing there before that time: the platform said so. EVERYTHING holds all chats."""
        self._held[chat] = max(until_s, self._held.get(chat, until_s))

    def _forget_idle(self, now_s: float) -> None:
        self._held = {chat: until for chat, until in self._held.items() if until > now_s}
        if len(self._chats) >= CROWDED:
            self._chats = {
                chat: windows
                for chat, windows in self._chats.items()
                if not all(window.idle(now_s) for window in windows)
            }


class _Waiting(msgspec.Struct, frozen=True):
    rank: Rank
    number: int
    chat: str
    future: "asyncio.Future[None]"


class Turns:
    """A queue in front of a Pace. `clock` counts seconds; `admit` may be called at any time."""

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        self.pace = pace
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def turn(self, chat: str, rank: Rank, patience_s: float) -> None:
        """Returns when one may be sent there, and counts it. TryLater with the time that is missing, where it is
        known now that it takes longer than `patience_s`, or has taken so long."""
        wait_s = self.pace.wait_s(chat, rank, self._clock())
        if wait_s > patience_s:
            raise TryLater(f"the platform's pace: {wait_s:.0f} s to wait", wait_s)
        self._count += 1
        waiting = _Waiting(rank, self._count, chat, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting.sort(key=lambda one: (one.rank, one.number))
        self._pump()
        try:
            async with asyncio.timeout(patience_s):
                await waiting.future
        except TimeoutError:
            missing_s = self.pace.wait_s(chat, rank, self._clock())
            raise TryLater("the platform's pace: too many wait", max(missing_s, 1.0)) from None
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def admit(self) -> float | None:
        """Lets through whoever may go now; the seconds until the next may, None where nobody waits. Who waits for a
        chat stands behind those of its chat that came before, whatever their rank lets them do."""
        now_s = self._clock()
        left, soonest = [], None
        passed_over: set[str] = set()
        for one in self._waiting:
            if one.future.done():
                continue
            wait_s = self.pace.wait_s(one.chat, one.rank, now_s)
            if one.chat in passed_over:
                left.append(one)
            elif wait_s <= 0:
                self.pace.take(one.chat, now_s)
                one.future.set_result(None)
            else:
                passed_over |= {one.chat} - {EVERYTHING}
                left.append(one)
                soonest = wait_s if soonest is None else min(soonest, wait_s)
        self._waiting = left
        return soonest

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        wait_s = self.admit()
        loop = asyncio.get_running_loop()
        self._timer = None if wait_s is None else loop.call_later(max(wait_s, 0.001), self._pump)
