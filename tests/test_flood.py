"""10,000 notifications to 300 chats under each platform's limits, cut off for a while in between.

A bot that keeps a pace (bots.pace) stands before a platform that counts: whatever is sent beyond its limits is a fault.
The limits are the platforms' own, made FASTER times as quick unless TOCSIN_FLOOD is set (`make flood`).
"""

import asyncio
import os
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import sqlalchemy as sa

from bots.pace import Budget, Pace, Rank, Turns
from hub import bus as names
from hub.bothost import Sender
from hub.bus import connect
from hub.config import Config, DeliverySection
from hub.delivery import Delivery, now_us
from hub.ledger import open_ledger
from hub.ledger.tables import alerts, destinations, notifications, owners, users
from hub.model import Instrument, Message
from hub.plugin import Hub, TryLater

if TYPE_CHECKING:
    from tests.conftest import NatsServer

LONG = bool(os.environ.get("TOCSIN_FLOOD"))
FASTER = 1 if LONG else 8
CHATS = 300
NOTIFICATIONS = 10_000
URGENT_CHATS = range(271, 301)  # the last to be written, so that only their urgency brings them to the front
MARGIN_S = 0.08  # between a turn and its send, on a busy machine
CUT_OFF_S = 3.0 / FASTER
LIMITS = {
    "telegram": ([Budget(30, 1.0)], [Budget(1, 1.0), Budget(20, 60.0)]),
    "discord": ([Budget(50, 1.0)], [Budget(5, 5.0)]),
    "slack": ([Budget(50, 1.0)], [Budget(1, 1.0)]),
}
"""Of everything together, and of one chat."""


def quicker(budgets: Sequence[Budget]) -> list[Budget]:
    return [Budget(each.most, each.per_s / FASTER) for each in budgets]


class Platform:
    """Counts by sliding windows of its own. After `down_after` messages it cannot be reached for CUT_OFF_S."""

    def __init__(self, overall: Sequence[Budget], of_chat: Sequence[Budget]) -> None:
        self.down_after = CHATS
        self.down_until = float("inf")
        self.refused = 0
        self.broken: list[str] = []
        self.messages: list[tuple[str, list[int]]] = []
        self._budgets = {"": overall}
        self._of_chat = of_chat
        self._times: defaultdict[tuple[str, int], deque[float]] = defaultdict(deque)

    def take(self, message: Message) -> None:
        now = time.monotonic()
        if len(self.messages) == self.down_after:
            self.down_until = min(self.down_until, now + CUT_OFF_S)
        if len(self.messages) >= self.down_after and now < self.down_until:
            self.refused += 1
            raise TryLater("no route to the platform")
        for chat, budgets in (("", self._budgets[""]), (message.address, self._of_chat)):
            for number, budget in enumerate(budgets):
                times = self._times[chat, number]
                while times and times[0] <= now - budget.per_s:
                    times.popleft()
                times.append(now)
                if len(times) > budget.most:
                    self.broken.append(f"{chat or 'all'}: {len(times)} in {budget.per_s:g} s")
        self.messages.append((message.address, [each.id for each in message.notifications]))


class Bot:
    """Waits for its turn, then sends. A little slower than the platform allows: clocks are never quite the same."""

    def __init__(self, platform: Platform, overall: Sequence[Budget], of_chat: Sequence[Budget]) -> None:
        self._platform = platform
        slower = [Budget(each.most, each.per_s * 1.02 + MARGIN_S) for each in of_chat]
        overall = [Budget(each.most, each.per_s * 1.02 + MARGIN_S) for each in overall]
        self._turns = Turns(Pace(overall, lambda _: slower), time.monotonic)

    async def run(self, hub: Hub) -> None:
        await asyncio.Event().wait()

    async def send(self, message: Message) -> str:
        await self._turns.turn(message.address, Rank.ALERT, 10.0)
        self._platform.take(message)
        return "sent"


class Catalogue:
    def get(self, instrument_id: str) -> Instrument | None:
        return None

    def find(self, word: str) -> Instrument:
        raise AssertionError("delivery finds nothing")

    def served(self) -> list[Instrument]:
        return []


def chats(connection: sa.Connection, platform: str) -> None:
    """Each of another owner; alert 1 is an ordinary one, alert 2 is urgent."""
    numbers = range(1, CHATS + 1)
    connection.execute(
        owners.insert(), [{"id": each, "kind": "user", "name": f"p{each}", "created_at": 0} for each in numbers]
    )
    connection.execute(users.insert().values(id=1, owner_id=1, name="p1", role="member", created_at=0))
    connection.execute(
        destinations.insert(),
        [
            {"id": each, "owner_id": each, "platform": platform, "address": f"c{each}", "label": "x", "created_at": 0}
            for each in numbers
        ],
    )
    for number, urgent in ((1, False), (2, True)):
        connection.execute(
            alerts.insert().values(
                id=number, owner_id=1, user_id=1, text=f"XAU-USD > {number}", instrument="XAU-USD",
                series="price(XAU-USD)", state="armed", armed_at=0, created_at=0, urgent=urgent,
            )
        )  # fmt: skip


def flood(connection: sa.Connection) -> None:
    """In turn for each chat; the last one for an urgent chat is urgent."""
    now = now_us()
    rows = []
    for number in range(1, NOTIFICATIONS + 1):
        chat = (number - 1) % CHATS + 1
        urgent = chat in URGENT_CHATS and number > NOTIFICATIONS - CHATS
        rows.append(
            {
                "id": number, "key": f"alert:{number}:1:{chat}", "destination_id": chat, "alert_id": 2 if urgent else 1,
                "title": f"title {number}", "text": "why", "state": "due", "due_at": now, "created_at": now,
            }
        )  # fmt: skip
    connection.execute(notifications.insert(), rows)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("platform", LIMITS)
async def test_a_flood_arrives_whole_in_order_and_within_the_limits(
    platform: str, nats_server: "NatsServer", tmp_path: Path
) -> None:
    """Each notification once, urgent chats first, in order within a chat, and no limit broken; also where the platform
    is away for some time in the middle."""
    overall, of_chat = (quicker(budgets) for budgets in LIMITS[platform])
    there = Platform(overall, of_chat)
    sender = Sender(Bot(there, overall, of_chat), remembered=NOTIFICATIONS)

    async def answer(payload: bytes) -> bytes:
        return msgspec.json.encode(await sender.send(msgspec.json.decode(payload, type=Message)))

    async with open_ledger(Config(folder=tmp_path)) as ledger, connect(nats_server.url, nats_server.token, "t") as bus:
        await ledger.write(lambda c: chats(c, platform))
        await ledger.write(flood)
        delivery = Delivery(bus, ledger, Catalogue(), DeliverySection(), "w")
        async with bus.serve(names.send(platform), answer, queue="bots"):
            await bus.client.flush()
            begun = time.monotonic()
            task = asyncio.create_task(delivery.run())
            due = sa.select(sa.func.count()).where(notifications.c.state == "due")
            while await ledger.read(lambda c: c.scalar(due)):
                assert not task.done(), task.exception()
                await asyncio.sleep(0.1)
            took_s = time.monotonic() - begun
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        states = await ledger.read(lambda c: c.scalars(sa.select(notifications.c.state).distinct()).all())

    assert there.broken == []
    assert there.refused > 0
    assert states == ["sent"]
    by_chat: defaultdict[str, list[int]] = defaultdict(list)
    for chat, ids in there.messages:
        by_chat[chat] += ids
    assert sorted(number for ids in by_chat.values() for number in ids) == list(range(1, NOTIFICATIONS + 1))
    assert all(ids == sorted(ids) for ids in by_chat.values())
    whole = {chat: len([1 for at, _ in there.messages if at == chat]) for chat in by_chat}
    assert max(whole.values()) <= 4, "what piles up comes as a few messages"
    urgent = [at for at, (_, ids) in enumerate(there.messages) if any(number in _URGENT for number in ids)]
    assert len(urgent) == len(URGENT_CHATS)
    assert max(urgent) < len(there.messages) * 0.4, "urgent ones are among the first"
    print(f"\n{platform}: {len(there.messages)} messages in {took_s:.1f} s, urgent ones within {max(urgent) + 1}")


_URGENT = {
    number for number in range(NOTIFICATIONS - CHATS + 1, NOTIFICATIONS + 1) if (number - 1) % CHATS + 1 in URGENT_CHATS
}
