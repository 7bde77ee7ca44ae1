"""Digests: told once a day and destination, in the person's time, whoever tells them and whatever dies meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import sqlalchemy as sa
import structlog.testing

from hub import bus as subjects
from hub.bus import Bus, connect
from hub.cache.memory import MemoryCache
from hub.config import Config, DeliverySection, LedgerSection
from hub.delivery import Delivery
from hub.digests import LOOK_EVERY_S, Digests
from hub.history import History, Position, open_history
from hub.instruments import build_catalogue
from hub.ledger import Ledger, LedgerFull, keeping, open_ledger, people
from hub.ledger import tables as t
from hub.market import Market
from hub.model import SECOND_US, Kind, Lot, Message, Nature, Quote, Receipt, Request, Tick, User, Who
from hub.personal import Personal
from hub.testing import frame_of
from tests.waiting import until_true

NOW = 1_800_000_000 * SECOND_US  # Friday 2027-01-15 08:00:00 UTC
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
NINE = 9 * 3600
ANNA = Who(platform="console", id="anna", name="Anna")
CATALOGUE = build_catalogue({}, ("XAU-USD", "XAG-USD", "BTC-USD"))
T = TypeVar("T")


class FakeQuotes:
    """The newest quotes, as the test sets them; `broken` names one that cannot be had."""

    def __init__(self) -> None:
        self.by_id: dict[str, Quote] = {}
        self.broken = ""

    def set(self, instrument: str, price: float, now: int, **more: Any) -> None:
        values: dict[str, Any] = {"time": now, "received_at": now, "source": "demo"}
        values |= {"open": price, "high": price, "low": price}
        self.by_id[instrument] = Quote(instrument=instrument, price=price, **(values | more))

    def get(self, instrument_id: str) -> Quote | None:
        if instrument_id == self.broken:
            raise ZeroDivisionError("a bug")
        return self.by_id.get(instrument_id)

    def all(self) -> Sequence[Quote]:
        return list(self.by_id.values())


class Room:
    """One person with digests, and as many services as a test wants to look after them."""

    def __init__(self, ledger: Ledger, history: History, bus: Bus) -> None:
        self.ledger, self.history, self.bus = ledger, history, bus
        self.now = NOW
        self.quotes = FakeQuotes()
        self.personal = Personal(ledger, lambda: self.now)
        self.digests = self.service()
        self.anna = Request(name="", arguments="", user=User(id=0, name="", owner_id=0), who=ANNA)

    def service(self, ledger: Ledger | None = None) -> Digests:
        market = Market(self.history, self.quotes, CATALOGUE, MemoryCache(), clock=lambda: self.now)
        return Digests(ledger or self.ledger, market, self.quotes, CATALOGUE, self.bus, lambda: self.now)

    async def person(self, who: Who = ANNA, zone: str = "UTC") -> Request:
        user = await self.ledger.write(lambda c: people.user_of(c, who, NOW, time_zone=zone))
        return Request(name="", arguments="", user=user, who=who)

    async def plan(self, who: Request | None = None, **more: Any) -> Any:
        values: dict[str, Any] = {"at_s": NINE, "weekdays": "0123456", "about": "all", "destination_id": None}
        return await self.personal.set_digest(who or self.anna, **(values | more))

    async def rows(self) -> list[Any]:
        query = sa.select(t.notifications).order_by(t.notifications.c.id)
        return list(await self.ledger.read(lambda c: c.execute(query).all()))


@pytest.fixture(params=["sqlite", "postgres"])
async def here(request: pytest.FixtureRequest, nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    config = Config(folder=tmp_path / "hub", ledger=LedgerSection(url=url))
    config.folder.mkdir()
    async with (
        open_ledger(config) as ledger,
        open_history(config) as history,
        connect(nats_server.url, nats_server.token, "test") as bus,
    ):
        made = Room(ledger, history, bus)
        made.anna = await made.person()
        yield made


def lines(row: Any) -> list[str]:
    return str(row.text).split("\n")


async def test_a_digest_is_one_row_for_each_destination_that_is_on(here: Room) -> None:
    """At its time and not before; the next one is tomorrow's, and looking again adds nothing."""
    owner_id = here.anna.user.owner_id
    for name in ("a", "b"):
        await here.ledger.write(
            lambda c, name=name: people.add_destination(c, owner_id, "push", f"ntfy://{name}", "", NOW)  # type: ignore[misc]
        )
    await here.ledger.write(lambda c: people.switch(c, 3, "off"))
    await here.personal.watch(here.anna, "", ["XAU-USD"])
    made = await here.plan()
    here.now = made.next_at - 1
    assert await here.digests.sweep() == 0.1
    assert await here.rows() == []
    here.now = made.next_at
    here.quotes.set("XAU-USD", 2411.2, here.now)
    assert await here.digests.sweep() == 5.0
    await here.digests.sweep()
    rows = await here.rows()
    assert [(row.key, row.destination_id, row.alert_id, row.state) for row in rows] == [
        (f"digest:{made.id}:2027-01-15:1", 1, None, "due"),
        (f"digest:{made.id}:2027-01-15:2", 2, None, "due"),
    ]
    assert {row.title for row in rows} == {"Your digest, Fri 15 Jan"}
    (kept,) = await here.personal.digests(here.anna)
    assert (kept.next_at, kept.last_at) == (made.next_at + DAY_US, made.next_at)
    assert (here.digests.status()["told"], here.digests.status()["next_at"]) == (1, kept.next_at)


async def test_a_digest_to_one_destination_goes_there_alone(here: Room) -> None:
    """And nowhere while that is off."""
    owner_id = here.anna.user.owner_id
    place = await here.ledger.write(lambda c: people.add_destination(c, owner_id, "push", "ntfy://a", "", NOW))
    await here.plan(destination_id=place.id)
    for day in range(2):
        here.now = NOW + HOUR_US + day * DAY_US
        await here.digests.sweep()
        await here.ledger.write(lambda c: people.switch(c, place.id, "off"))
    assert [row.destination_id for row in await here.rows()] == [place.id]


async def test_what_changed_is_since_the_last_digest(here: Room) -> None:
    """By the price that it told; before there was one, by that of a day ago."""
    await ticked(here, {NOW - 22 * HOUR_US: 2000.0, NOW - HOUR_US: 2200.0})
    await here.personal.watch(here.anna, "", ["XAU-USD", "XAG-USD"])
    await here.plan()
    here.now = NOW + HOUR_US
    here.quotes.set("XAU-USD", 2200.0, here.now)
    await here.digests.sweep()
    here.now += DAY_US
    here.quotes.set("XAU-USD", 2310.0, here.now)
    await here.digests.sweep()
    first, second = await here.rows()
    assert lines(first)[0] == "Gold 2,200.00 USD, +10.00 % in 24 h ▁█"
    assert lines(second)[0] == "Gold 2,310.00 USD, +5.00 % since Fri 09:00"
    assert lines(second)[1] == "Silver: no price"


async def ticked(here: Room, prices: dict[int, float]) -> None:
    """Gold at those times, in history."""
    ticks = [
        Tick(instrument="XAU-USD", kind=Kind.TRADE, price=price, received_at=at, venue_time=at, source="demo")
        for at, price in prices.items()
    ]
    frame = frame_of(ticks, number=1)
    await here.history.append([frame], Position(stream="s", sequence=1, epoch=1, number=1, clock=NOW))


async def test_nearest_alerts_and_the_portfolio_are_told(here: Room) -> None:
    """Three alerts at most, the nearest first; value and profit, and what has no price."""
    here.quotes.set("XAU-USD", 2400.0, NOW + HOUR_US)
    for number, level in enumerate((9000, 2490, 2300, 2405, 2600), start=1):
        own = here.anna.user
        values = {"id": number, "owner_id": own.owner_id, "user_id": own.id, "text": f"XAU-USD > {level}",
                  "instrument": "XAU-USD", "series": "s", "state": "armed", "armed_at": NOW,
                  "created_at": NOW}  # fmt: skip
        await here.ledger.write(lambda c, values=values: c.execute(t.alerts.insert().values(values)))  # type: ignore[misc]
    gold = Lot(instrument="XAU-USD", quantity=2, wrote="2 oz", cost=4000.0, currency="USD", bought_on="2026-01-01")
    await here.personal.add_lot(here.anna, gold)
    await here.personal.add_lot(here.anna, msgspec.structs.replace(gold, instrument="BTC-USD", wrote="2"))
    await here.plan()
    await here.plan(about="portfolio")
    await here.plan(about="watch")
    here.now = NOW + HOUR_US
    await here.digests.sweep()
    everything, portfolio, watch = [lines(row) for row in await here.rows()]
    assert everything == [
        "Gold 2,400.00 USD",
        "Nearest alerts:",
        "4: Gold rises to 2,405.00 or above, once, +0.21 % away",
        "2: Gold rises to 2,490.00 or above, once, +3.75 % away",
        "3: Gold rises to 2,300.00 or above, once, -4.17 % away",
        "Portfolio 4,800.00 USD, 0.00 % today, profit +800.00 (+20.00 %)",
        "Bitcoin has no price: it is not counted.",
    ]
    assert portfolio == everything[5:]
    assert watch == everything[:5]


async def test_a_doubtful_price_is_told_as_one(here: Room) -> None:
    """Simulated in the title; stale, closed and simulated behind the price; nothing at all is said too."""
    await here.plan()
    here.now = NOW + HOUR_US
    await here.digests.sweep()
    await here.personal.watch(here.anna, "", ["XAU-USD", "XAG-USD"])
    here.now += DAY_US
    here.quotes.set("XAU-USD", 2400.0, here.now - HOUR_US)
    here.quotes.set("XAG-USD", 30.0, here.now - DAY_US, nature=Nature.SIMULATED, market_open=False)
    await here.digests.sweep()
    empty, doubtful = await here.rows()
    assert lines(empty) == ["Your watch list is empty: watch gold silver fills it."]
    assert doubtful.title == "[simulated] Your digest, Sat 16 Jan"
    assert lines(doubtful) == [
        "Gold 2,400.00 USD (stale: of 1 h ago)",
        "Silver 30.000 USD (simulated, market closed)",
    ]


@pytest.mark.parametrize(
    ("down_for", "told", "late"),
    [
        (4 * MINUTE_US, ["2027-01-15"], False),
        (2 * HOUR_US, ["2027-01-15"], True),
        (5 * HOUR_US, [], False),
        (3 * DAY_US + HOUR_US, ["2027-01-18"], True),
        (3 * DAY_US + 5 * HOUR_US, [], False),
        (90 * DAY_US, ["2027-04-15"], False),
    ],
)
async def test_what_was_due_while_no_hub_ran(here: Room, down_for: int, told: list[str], late: bool) -> None:
    """Within some hours it is told late and says so; what is older is passed over; of many days the last alone."""
    made = await here.plan()
    here.now = made.next_at + down_for
    with structlog.testing.capture_logs() as logs:
        await here.digests.sweep()
    rows = await here.rows()
    assert [row.key.split(":")[2] for row in rows] == told
    assert [lines(row)[0].startswith("Late: it was due at ") for row in rows] == [late] * len(told)
    assert (here.digests.skipped, len(logs)) == ((0, 0) if told else (1, 1))
    (kept,) = await here.personal.digests(here.anna)
    assert kept.next_at > here.now


async def test_of_many_services_one_tells(here: Room, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """All look at the same moment; each destination has one row. On PostgreSQL each has connections of its own."""
    made = await here.plan()
    here.now = made.next_at
    ledgers = [here.ledger]
    if here.ledger.shared:
        url = request.getfixturevalue("postgres_url")
        other = open_ledger(Config(folder=tmp_path, ledger=LedgerSection(url=url)))
        ledgers.append(await other.__aenter__())
    services = [here.service(ledgers[number % len(ledgers)]) for number in range(6)]
    await asyncio.gather(*(service.sweep() for service in services))
    if here.ledger.shared:
        await other.__aexit__(None, None, None)
    assert sum(service.told for service in services) == 1
    assert len(await here.rows()) == 1


class Full:
    """A ledger that is full once it was written to, as often as said: nothing of those transactions is kept."""

    def __init__(self, ledger: Ledger, times: int) -> None:
        self._ledger, self._times = ledger, times

    async def read(self, fn: Callable[[sa.Connection], T]) -> T:
        return await self._ledger.read(fn)

    async def write(self, fn: Callable[[sa.Connection], T]) -> T:
        def then_full(c: sa.Connection) -> T:
            done = fn(c)
            if self._times:
                self._times -= 1
                raise LedgerFull("the disk is full")
            return done

        return await self._ledger.write(then_full)


async def test_a_transaction_that_is_lost_is_told_again(here: Room) -> None:
    """Neither the rows nor the next time were kept, so the next look tells it, once."""
    made = await here.plan()
    here.now = made.next_at
    service = here.service(Full(here.ledger, 2))  # type: ignore[arg-type]
    for expected in (0, 0, 1, 1):
        await service.sweep()
        assert len(await here.rows()) == expected


async def test_one_that_cannot_be_worded_keeps_no_other_waiting(here: Room) -> None:
    """It is counted, logged, and tried again in a minute."""
    ben = await here.person(Who(platform="console", id="ben", name="Ben"))
    for who, instrument in ((here.anna, "XAU-USD"), (ben, "XAG-USD")):
        await here.personal.watch(who, "", [instrument])
        await here.plan(who)
    here.quotes.broken = "XAU-USD"
    here.now = NOW + HOUR_US
    with structlog.testing.capture_logs() as logs:
        assert await here.digests.sweep() == LOOK_EVERY_S  # what stays due makes nobody run
        await here.digests.sweep()
    assert [line["event"] for line in logs] == ["a digest could not be told"]
    assert [lines(row) for row in await here.rows()] == [["Silver: no price"]]
    here.quotes.broken = ""
    here.now += MINUTE_US
    await here.digests.sweep()
    assert len(await here.rows()) == 2
    assert (here.digests.told, here.digests.failed) == (2, 1)


async def test_another_time_zone_moves_the_digest_and_repeats_no_day(here: Room) -> None:
    """Nine in Tokyo, then nine in New York: on the day on which it came already it does not come again."""
    tokyo = await here.person(Who(platform="console", id="kei", name="Kei"), zone="Asia/Tokyo")
    made = await here.plan(tokyo)
    assert made.next_at == NOW + 16 * HOUR_US  # Saturday 09:00 in Tokyo
    here.now = made.next_at
    await here.digests.sweep()
    await here.ledger.write(lambda c: c.execute(t.users.update().values(time_zone="America/New_York")))
    await here.digests.sweep()
    (moved,) = await here.personal.digests(tokyo)
    assert (moved.time_zone, moved.next_at) == ("America/New_York", NOW + 30 * HOUR_US)  # Saturday 09:00 there
    here.now = moved.next_at
    await here.digests.sweep()
    here.now += DAY_US
    await here.digests.sweep()
    assert [row.key.split(":")[2] for row in await here.rows()] == ["2027-01-16", "2027-01-17"]


async def test_one_that_is_off_or_whose_person_is_gone_is_not_told(here: Room) -> None:
    """And one that its person moved while it was worded is left to its new time."""
    made = await here.plan()
    await here.personal.switch_digests(here.anna, None, on=False)
    here.now = NOW + HOUR_US
    await here.digests.sweep()
    assert await here.rows() == []
    (on,) = await here.personal.switch_digests(here.anna, made.id, on=True)
    assert not await here.ledger.write(lambda c: keeping.claim(c, made, {"next_at": 0}))
    assert (await here.personal.digests(here.anna))[0] == on


async def test_a_digest_travels_to_its_bot(here: Room) -> None:
    """Through the outbox and delivery, as a message of no alert; the service runs until it is cancelled."""
    heard: list[Message] = []

    async def send(payload: bytes) -> bytes:
        heard.append(msgspec.json.decode(payload, type=Message))
        return msgspec.json.encode(Receipt(outcome="sent", text="ok"))

    await here.personal.watch(here.anna, "", ["XAU-USD"])
    here.quotes.set("XAU-USD", 2411.2, NOW)
    made = await here.plan()
    here.now = made.next_at
    delivery = Delivery(here.bus, here.ledger, CATALOGUE, DeliverySection(), "w", clock=lambda: here.now)
    async with here.bus.serve(subjects.send("console"), send):
        running = [asyncio.create_task(delivery.run()), asyncio.create_task(here.digests.run())]

        async def sent() -> bool:
            return [row.state for row in await here.rows()] == ["sent"]

        await until_true(sent, 10)
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    (message,) = heard
    assert message.title == "Your digest, Fri 15 Jan"
    assert message.text.startswith("Gold 2,411.20 USD")
    assert message.notifications[0].alert_id is None
