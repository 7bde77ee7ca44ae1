"""A hub as people meet it: commands on a real bus and ledger, and the real engine on a real stream."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from hub import bus as subjects
from hub import load, reader
from hub.bus import Bus, connect
from hub.commands import Commands
from hub.config import Config, HubSection, LedgerSection
from hub.engine import Engine
from hub.instruments import build_catalogue
from hub.ledger import Ledger, alerts, open_ledger
from hub.ledger import tables as t
from hub.model import Line, Quote, Reply, Who
from hub.personal import Personal
from tests.streams import GOLD, START, Stream
from tests.test_engine import running, through

OPERATOR = Who(platform="console", id="operator", name="operator")
ANNA = Who(platform="telegram", id="11", name="Anna", address="11")
ANNA_ON_SLACK = Who(platform="slack", id="U1", name="anna", address="D1")
BEN = Who(platform="telegram", id="22", name="Ben", address="22")


def in_group(who: Who, *, admin: bool = False, place: str = "-100", name: str = "Gold traders") -> Who:
    return Who(
        platform=who.platform, id=who.id, name=who.name, place=place, place_name=name, address=place, admin=admin
    )


class Quotes:
    """What a test puts into it."""

    def __init__(self) -> None:
        self.known: dict[str, Quote] = {}

    def get(self, instrument_id: str) -> Quote | None:
        return self.known.get(instrument_id)

    def all(self) -> list[Quote]:
        return list(self.known.values())


class NoBacktests:
    """There is no history here."""

    busy = True

    async def run(self, *_: Any, **__: Any) -> None:
        return None


class Counted:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    async def add(self, key: str, amount: int, ttl_s: float) -> int:
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]


class Room:
    def __init__(self, bus: Bus, ledger: Ledger, folder: Path, role: Any) -> None:
        self.bus, self.ledger, self.stream = bus, ledger, Stream(bus)
        self.now, self.quotes = START, Quotes()
        self.engine = cast(Engine, None)
        catalogue = build_catalogue({}, [GOLD])
        self.commands = Commands(
            bus=bus,
            ledger=ledger,
            quotes=self.quotes,
            catalogue=catalogue,
            config=Config(folder=folder, hub=HubSection(default_role=role)),
            modules=load.commands(),
            market=cast(Any, None),
            personal=Personal(ledger, lambda: self.now),
            backtests=NoBacktests(),
            counters=Counted(),
            clock=lambda: self.now,
        )

    async def say(self, text: str, who: Who) -> Reply:
        return await self.bus.request(subjects.LINE, Line(text=text, who=who), Reply, 15)

    async def done(self, text: str, who: Who) -> Reply:
        """What is done without a refusal."""
        reply = await self.say(text, who)
        assert reply.ok, reply.lines
        return reply

    async def refused(self, text: str, who: Who) -> str:
        reply = await self.say(text, who)
        assert not reply.ok, (reply.title, reply.lines)
        return "\n".join(reply.lines)

    async def code(self, who: Who) -> str:
        return str((await self.done("link", who)).facts["code"])

    async def tell(self, *prices: float) -> None:
        await through(self.engine, await self.stream.tell(*prices))

    async def rows(self, query: Any) -> list[Any]:
        return await self.ledger.read(lambda c: [tuple(row) for row in c.execute(query)])

    async def reached(self) -> list[tuple[str, str]]:
        """(platform, address) of every notification, in order."""
        columns = (t.destinations.c.platform, t.destinations.c.address)
        query = sa.select(*columns).join(t.notifications, t.notifications.c.destination_id == t.destinations.c.id)
        return await self.rows(query.order_by(t.notifications.c.id))


@asynccontextmanager
async def room(
    server: Any, folder: Path, url: str = "", *, role: str = "member", engine: bool = True
) -> AsyncIterator[Room]:
    async with (
        open_ledger(Config(folder=folder, ledger=LedgerSection(url=url))) as ledger,
        connect(server.url, server.token, "test") as bus,
    ):
        await reader.ensure_streams(bus, lambda: "first", 100_000_000)
        made = Room(bus, ledger, folder, role)
        async with AsyncExitStack() as stack:
            if engine:
                made.engine = await stack.enter_async_context(running(bus, ledger))
                for group in alerts.groups(shared=ledger.shared):
                    await stack.enter_async_context(bus.serve(subjects.alerts(group), made.engine.answer))
            await stack.enter_async_context(made.commands.serving())
            yield made
