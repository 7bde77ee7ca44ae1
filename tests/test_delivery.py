"""Delivery on a real broker and a real ledger, with a bot that does what the test says."""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa
import structlog.testing

from hub import bus as names
from hub import outgoing
from hub.bothost import Sender
from hub.bus import Bus, connect
from hub.config import Config, DeliverySection
from hub.delivery import A_MESSAGE, AT_ONCE, Delivery, latency_ms, now_us
from hub.ledger import Ledger, LedgerFull, open_ledger, outbox, quiet
from hub.ledger.outbox import PER_DESTINATION, Due
from hub.ledger.people import forget
from hub.ledger.tables import alerts, destinations, notifications, owners, triggers, users
from hub.model import Destination, Instrument, Message, Notification
from hub.plugin import GiveUp, Gone, Hub, TryLater

if TYPE_CHECKING:
    from tests.conftest import NatsServer

S = 1_000_000
LEASE = 60 * S


class Catalogue:
    def get(self, instrument_id: str) -> Instrument | None:
        return None

    def find(self, word: str) -> Instrument:
        raise AssertionError("delivery finds nothing")

    def served(self) -> list[Instrument]:
        return []


class Phone:
    """A bot whose answers are scripted: a text, an exception, or the default text for ever."""

    def __init__(self) -> None:
        self.script: list[str | Exception] = []
        self.got: list[list[int]] = []
        self.addresses: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, hub: Hub) -> None:
        await asyncio.Event().wait()

    async def send(self, message: Message) -> str:
        self.got.append([n.id for n in message.notifications])
        self.addresses.append(message.address)
        await self.gate.wait()
        step = self.script.pop(0) if self.script else "ok"
        if isinstance(step, Exception):
            raise step
        return step


class House:
    """A ledger and a broker with people in it."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self.bus = bus
        self.ledger = ledger
        self.next_id = 1

    def delivery(self, worker: str = "w", *, config: DeliverySection | None = None, **more: Any) -> Delivery:
        return Delivery(self.bus, self.ledger, Catalogue(), config or DeliverySection(), worker, **more)

    async def due(self, count: int = 1, destination: int = 1, **values: Any) -> list[int]:
        """Rows that a sweep has to find."""
        ids = list(range(self.next_id, self.next_id + count))
        self.next_id += count
        now = now_us()
        rows = [
            {
                "id": id, "key": f"alert:{id}:1:{destination}", "destination_id": destination,
                "title": f"title {id}", "text": "why",
                "state": "due", "due_at": now, "created_at": now, **values,
            }
            for id in ids
        ]  # fmt: skip
        await self.ledger.write(lambda c: c.execute(notifications.insert(), rows))
        return ids

    async def offered(self, delivery: Delivery, count: int = 1, destination: int = 1, **values: Any) -> list[int]:
        """Rows as the engine writes them: claimed in its own transaction, offered after it."""
        claim = {"claimed_by": delivery.worker, "claimed_until": now_us() + delivery.lease_us}
        ids = await self.due(count, destination, **claim, **values)
        delivery.offer(await self.ledger.read(lambda c: outbox.load(c, ids, Catalogue().get)))
        return ids

    async def rang(self, ticked_at: int) -> dict[str, Any]:
        """What the rows of an alert have that rang by a tick of that time."""

        def ring(connection: sa.Connection) -> int:
            if connection.execute(sa.select(alerts.c.id)).scalar() is None:
                _an_alert(connection)
            generation = connection.execute(sa.select(sa.func.count()).select_from(triggers)).scalar_one()
            made = triggers.insert().values(
                alert_id=1, generation=generation, direction="up", level=1.0, price=2.0, received_at=1, source="demo",
                nature="simulated", late=False, stream="s", sequence=1, ticked_at=ticked_at, created_at=1,
            )  # fmt: skip
            (number,) = connection.execute(made).inserted_primary_key or (0,)
            return int(number)

        return {"alert_id": 1, "trigger_id": await self.ledger.write(ring)}

    async def rows(self) -> dict[int, tuple[str, int, str]]:
        """State, attempts and reason by number."""
        n = notifications.c
        query = sa.select(n.id, n.state, n.attempts, n.reason)
        return {r[0]: (r[1], r[2], r[3]) for r in await self.ledger.read(lambda c: c.execute(query).all())}

    async def until(self, true: Callable[[dict[int, tuple[str, int, str]]], bool]) -> None:
        async with asyncio.timeout(15):
            while not true(await self.rows()):
                await asyncio.sleep(0.01)

    async def all_sent(self) -> None:
        await self.until(lambda rows: all(state == "sent" for state, _, _ in rows.values()))


@pytest.fixture
async def house(nats_server: "NatsServer", tmp_path: Path) -> AsyncIterator[House]:
    def people(connection: sa.Connection) -> None:
        connection.execute(owners.insert().values(id=1, kind="user", name="anna", created_at=0))
        for id in range(1, 61):
            connection.execute(
                destinations.insert().values(
                    id=id, owner_id=1, platform="push", address=f"json://secret/{id}", label="phone", created_at=0
                )
            )

    async with open_ledger(Config(folder=tmp_path)) as ledger, connect(nats_server.url, nats_server.token, "t") as bus:
        await ledger.write(people)
        yield House(bus, ledger)


@contextlib.asynccontextmanager
async def hosted(house: House, sender: Sender) -> AsyncIterator[None]:
    """The sender on the bus, as a bot's process serves it."""

    async def answer(payload: bytes) -> bytes:
        return msgspec.json.encode(await sender.send(msgspec.json.decode(payload, type=Message)))

    async with house.bus.serve(names.send("push"), answer, queue="bots"):
        await house.bus.client.flush()
        yield


@contextlib.asynccontextmanager
async def running(delivery: Delivery) -> AsyncIterator[asyncio.Task[None]]:
    """Until the block ends; what run() raises by itself is raised here."""
    task = asyncio.create_task(delivery.run())
    while not delivery._running and not task.done():
        await asyncio.sleep(0.001)
    try:
        yield task
    finally:
        if not task.cancelling():  # a second one would cut its ending short
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_is_offered_and_what_lies_in_the_table_is_sent(house: House) -> None:
    """An offer goes out at once, older rows with the first sweep, and each is marked with its receipt."""
    phone, delivery = Phone(), house.delivery()
    waiting = await house.due(2)
    async with hosted(house, Sender(phone)), running(delivery):
        await house.all_sent()
        offered = await house.offered(delivery)
        await house.all_sent()
    assert phone.got == [waiting, offered]
    row = (await house.ledger.read(lambda c: c.execute(sa.select(notifications)).mappings().all()))[0]
    assert (row["receipt"], row["claimed_by"], row["attempts"]) == ("ok", "", 1)
    assert row["message_id"] and row["settled_at"] >= row["created_at"]


async def test_an_offer_needs_no_sweep(house: House) -> None:
    """The request leaves though nothing nudges and no timer ends: the ledger is not asked in between."""
    phone, delivery = Phone(), house.delivery()
    async with hosted(house, Sender(phone)), running(delivery):
        reads: list[object] = []
        rang = await house.rang(now_us())
        delivery._ledger = _Watched(house.ledger, reads)  # type: ignore[assignment]
        await house.offered(delivery, **rang)
        async with asyncio.timeout(2):
            while not phone.got:
                await asyncio.sleep(0)
        assert reads == []
        await house.all_sent()
        status = await delivery.status()
    assert status["since_start"] == {"sent": 1, "later": 0, "dead": 0, "moved": 0}
    assert status["latency_ms"]["p50"] >= 0  # type: ignore[index]


class _Watched:
    """A ledger that notes each read."""

    def __init__(self, ledger: Ledger, reads: list[object]) -> None:
        self.write = ledger.write
        self._ledger = ledger
        self._reads = reads

    async def read(self, fn: Callable[[sa.Connection], Any]) -> Any:
        self._reads.append(fn)
        return await self._ledger.read(fn)


async def test_what_comes_while_one_is_in_flight_goes_as_the_next_message(house: House) -> None:
    """One message a destination at a time, the rest together, in order; other destinations do not wait."""
    phone, delivery = Phone(), house.delivery()
    phone.gate.clear()
    async with hosted(house, Sender(phone)), running(delivery):
        first = await house.offered(delivery)
        rest = [(await house.offered(delivery))[0] for _ in range(3)]
        other = await house.offered(delivery, destination=2)
        async with asyncio.timeout(5):
            while len(phone.got) < 2:
                await asyncio.sleep(0.01)
        assert phone.got == [first, other]
        phone.gate.set()
        await house.all_sent()
    assert phone.got == [first, other, rest]


async def test_a_message_holds_no_more_than_fifty_and_no_row_is_lost(house: House) -> None:
    """Far more than memory holds for one destination: all are sent once, in order."""
    phone, delivery = Phone(), house.delivery()
    async with hosted(house, Sender(phone)), running(delivery):
        ids = await house.due(3 * PER_DESTINATION + 7)
        ids += await house.offered(delivery, 2 * PER_DESTINATION)
        await house.bus.client.publish(names.OUTBOX, b"")
        await house.all_sent()
    assert [id for got in phone.got for id in got if id <= 307] == ids[:307]
    assert sorted(id for got in phone.got for id in got) == ids
    assert max(map(len, phone.got)) <= A_MESSAGE
    assert delivery._until == {} and delivery._lanes == {} and delivery._to_release == []


async def test_a_platforms_time_is_kept_and_nothing_overtakes(house: House) -> None:
    """While the first message waits for its time, newer ones of that destination wait too and then come behind."""
    phone, delivery = Phone(), house.delivery()
    phone.script = [TryLater("slow down", 0.6)]
    async with hosted(house, Sender(phone)), running(delivery):
        started = asyncio.get_running_loop().time()
        first = await house.offered(delivery)
        await house.until(lambda rows: rows[first[0]][1] == 1)
        second = await house.offered(delivery)
        other = await house.offered(delivery, destination=2)
        await house.until(lambda rows: rows[other[0]][0] == "sent")
        assert (await house.rows())[second[0]] == ("due", 0, "")
        assert (await house.rows())[first[0]] == ("due", 1, "slow down")
        await house.all_sent()
        assert asyncio.get_running_loop().time() - started >= 0.6
    assert [id for got in phone.got for id in got] == [*first, *other, *first, *second]
    assert (await house.rows())[second[0]][1] == 1


async def test_an_absent_bot_is_waited_for(house: House) -> None:
    """No responder: later, said once with the reason; when the bot is there, everything comes in order."""
    phone, delivery = Phone(), house.delivery()
    with structlog.testing.capture_logs() as logs:
        async with running(delivery):
            ids = await house.offered(delivery, 2)
            await house.until(lambda rows: rows[ids[0]][1] == 1)
            assert (await house.rows())[ids[0]][2] == "the push bot is not running"
            assert (await delivery.status())["errors"] == {"push": "the push bot is not running"}
            async with hosted(house, Sender(phone)):
                await house.all_sent()
    assert [id for got in phone.got for id in got] == ids
    told = [(line["log_level"], line["event"]) for line in logs if line.get("destination")]
    assert told == [("warning", "a destination fails"), ("info", "a destination works again")]
    assert "secret" not in str(logs)


async def test_a_refusal_ends_a_notification_and_says_so(house: House) -> None:
    """Dead with its reason, told as an error with the numbers and without the address; the next goes on."""
    phone, delivery = Phone(), house.delivery()
    phone.script = [GiveUp("blocked by the user")]
    with structlog.testing.capture_logs() as logs:
        async with hosted(house, Sender(phone)), running(delivery):
            (dead,) = await house.offered(delivery)
            await house.until(lambda rows: rows[dead][0] == "dead")
            (sent,) = await house.offered(delivery)
            await house.until(lambda rows: rows[sent][0] == "sent")
            status = await delivery.status()
    assert (await house.rows())[dead] == ("dead", 1, "blocked by the user")
    assert (status["sent"], status["dead"], status["due"]) == (1, 1, 0)
    (error,) = [line for line in logs if line["log_level"] == "error"]
    assert error["notifications"] == [dead] and "secret" not in str(logs)


async def test_what_a_killed_removal_left_behind_is_given_up_at_the_start(house: House) -> None:
    """A row that a dead worker held while its destination was removed does not wait for ever."""
    (left,) = await house.due(claimed_by="dead", claimed_until=now_us() + LEASE)
    (other,) = await house.due(destination=2)
    await house.ledger.write(lambda c: forget(c, 1))
    phone = Phone()
    async with hosted(house, Sender(phone)), running(house.delivery()):
        await house.until(lambda rows: rows[other][0] == "sent")
    assert (await house.rows())[left] == ("dead", 0, "removed by its owner")
    assert phone.got == [[other]]


async def test_age_ends_the_old_and_not_the_young(house: House) -> None:
    """In one failing message only what is past the limit is given up."""
    phone = Phone()
    phone.script = [TryLater("busy", 0.1)]
    delivery = house.delivery(config=DeliverySection(give_up_after_hours=1))
    (old,) = await house.due(created_at=now_us() - 3601 * S)
    (young,) = await house.due()
    async with hosted(house, Sender(phone)), running(delivery):
        await house.until(lambda rows: rows[young][0] == "sent")
    assert phone.got == [[old, young], [young]]
    assert (await house.rows())[old] == ("dead", 1, "not sent within 1 h: busy")


async def test_dying_between_send_and_mark_repeats_nothing(house: House) -> None:
    """The next start asks again and the bot answers from its memory."""
    phone = Phone()
    sender = Sender(phone)
    first = house.delivery("first")
    async with hosted(house, sender):
        ids = await house.due(2, claimed_by="first", claimed_until=now_us() + LEASE)
        dues = await house.ledger.read(lambda c: outbox.load(c, ids, Catalogue().get))
        receipt, answered = await first._hand_over(dues[0].destination, dues)  # and then it died
        assert (receipt.outcome, answered) == ("sent", True)
        async with running(house.delivery("second")):
            await house.all_sent()
    assert phone.got == [ids]


async def test_a_worker_that_lost_its_claim_changes_nothing_and_says_so(house: House) -> None:
    """Paused during its send, it wakes up to rows that are another's."""
    phone, delivery = Phone(), house.delivery()
    phone.gate.clear()
    with structlog.testing.capture_logs() as logs:
        async with hosted(house, Sender(phone)), running(delivery):
            (id,) = await house.offered(delivery)
            async with asyncio.timeout(5):
                while not phone.got:
                    await asyncio.sleep(0.01)
            theirs = notifications.update().values(claimed_by="other", claimed_until=now_us() + LEASE)
            await house.ledger.write(lambda c: c.execute(theirs))
            phone.gate.set()
            async with asyncio.timeout(5):
                while not any(line["event"].startswith("a claim was lost") for line in logs):
                    await asyncio.sleep(0.01)
    assert (await house.rows())[id] == ("due", 0, "")


async def test_a_claim_that_may_be_over_is_not_sent_on(house: House) -> None:
    """An offer that came too late goes back to the table and is claimed anew."""
    phone, delivery = Phone(), house.delivery()
    async with hosted(house, Sender(phone)), running(delivery):
        ids = await house.due(due_at=now_us() - 200 * S, claimed_by="w", claimed_until=now_us() - 80 * S)
        stale: list[Due] = await house.ledger.read(lambda c: outbox.load(c, ids, Catalogue().get))
        delivery.offer(stale)
        await house.all_sent()
    assert phone.got == [ids]


async def test_stopping_finishes_what_is_in_flight_and_puts_the_rest_back(house: House) -> None:
    """The message under way is marked, what waits behind it is free for the next worker."""
    phone, delivery = Phone(), house.delivery()
    phone.gate.clear()
    async with hosted(house, Sender(phone)):
        async with running(delivery) as task:
            (first,) = await house.offered(delivery)
            async with asyncio.timeout(5):
                while not phone.got:
                    await asyncio.sleep(0.01)
            (second,) = await house.offered(delivery)
            task.cancel()
            await asyncio.sleep(0.02)
            phone.gate.set()
        rows = await house.rows()
        assert (rows[first][0], rows[second]) == ("sent", ("due", 0, ""))
        claims = await house.ledger.read(lambda c: c.scalars(sa.select(notifications.c.claimed_by)).all())
        assert list(claims) == ["", ""]
        async with running(house.delivery("next")):
            await house.all_sent()
    assert phone.got == [[first], [second]]


async def test_a_full_disk_delays_the_mark_and_is_told_once(house: House) -> None:
    """The message is sent once; its mark is tried until there is room."""

    class Full:
        def __init__(self, ledger: Ledger) -> None:
            self.read = ledger.read
            self._ledger = ledger
            self.refusals = 2

        async def write(self, fn: Callable[[sa.Connection], Any]) -> Any:
            if self.refusals:
                self.refusals -= 1
                raise LedgerFull("no room")
            return await self._ledger.write(fn)

    phone, delivery = Phone(), house.delivery()
    with structlog.testing.capture_logs() as logs:
        async with hosted(house, Sender(phone)), running(delivery):
            delivery._marks._ledger = Full(house.ledger)  # type: ignore[assignment]
            ids = await house.offered(delivery)
            await house.all_sent()
            await asyncio.sleep(0)
    assert phone.got == [ids]
    assert [line["event"] for line in logs].count("the ledger cannot be used, marks wait") == 1


async def test_many_destinations_are_served_side_by_side(house: House) -> None:
    """Sixty destinations, one slow: the others do not wait for it."""
    phone, delivery = Phone(), house.delivery()
    phone.gate.clear()
    async with hosted(house, Sender(phone)), running(delivery):
        await house.offered(delivery)
        async with asyncio.timeout(5):
            while not phone.got:
                await asyncio.sleep(0.01)
        slow, phone.gate = phone.gate, asyncio.Event()
        phone.gate.set()
        for destination in range(2, 61):
            await house.offered(delivery, destination=destination)
        await house.until(lambda rows: sum(state == "sent" for state, _, _ in rows.values()) == 59)
        slow.set()
        await house.all_sent()
    assert len(set(phone.addresses)) == 60


async def test_an_answer_that_is_no_receipt_is_asked_for_again(house: House) -> None:
    """A broken bot loses no notification."""

    async def nonsense(_: bytes) -> bytes:
        return b"[]"

    delivery = house.delivery()
    async with house.bus.serve(names.send("push"), nonsense), running(delivery):
        await house.bus.client.flush()
        (id,) = await house.offered(delivery)
        await house.until(lambda rows: rows[id][1] == 1)
    state, _, reason = (await house.rows())[id]
    assert state == "due" and "no receipt" in reason


async def test_waiting_for_more_groups_what_fires_close_together(house: House) -> None:
    """With group_for_ms the first one waits for the next."""
    phone, delivery = Phone(), house.delivery(config=DeliverySection(group_for_ms=200))
    async with hosted(house, Sender(phone)), running(delivery):
        ids = [(await house.offered(delivery))[0] for _ in range(3)]
        await house.all_sent()
    assert phone.got == [ids]


@pytest.mark.parametrize("seed", range(4))
async def test_order_holds_through_failures_and_floods(house: House, seed: int) -> None:
    """Offers, rows of other processes and a bot that fails at random: each is sent once, in order per destination."""
    chance = random.Random(seed)
    sent: dict[str, list[int]] = {}

    class Moody(Phone):
        async def send(self, message: Message) -> str:
            await asyncio.sleep(chance.random() * 0.003)
            if chance.random() < 0.3:
                raise TryLater("moody", chance.random() * 0.05)
            sent.setdefault(message.address, []).extend(n.id for n in message.notifications)
            return "ok"

    delivery = house.delivery()
    expected: dict[str, list[int]] = {}

    async def add(way: Callable[..., Awaitable[list[int]]], *arguments: Any, destination: int) -> None:
        ids = await way(*arguments, chance.choice((1, 1, 2, 60, 130)), destination)
        expected.setdefault(f"json://secret/{destination}", []).extend(ids)

    async with hosted(house, Sender(Moody())):
        await add(house.due, destination=1)
        await add(house.offered, delivery, destination=1)  # before run() has begun
        async with running(delivery):
            for _ in range(40):
                destination = chance.choice((1, 2, 3))
                if destination == 1:  # its owner's engine runs elsewhere: nothing is offered
                    await add(house.due, destination=destination)
                    await house.bus.client.publish(names.OUTBOX, b"")
                else:
                    await add(house.offered, delivery, destination=destination)
                await asyncio.sleep(chance.random() * 0.005)
            await house.all_sent()
            async with asyncio.timeout(5):  # the marks are visible a moment before their writer has heard of it
                while delivery._until or delivery._to_release:
                    await asyncio.sleep(0.001)
    assert sent == expected


async def test_a_message_tells_how_long_its_tick_took_at_the_hand_over_that_succeeds(house: House) -> None:
    """So does `status`: one that was tried again took all that time, whoever was at fault. What no tick brought (a ring
    that somebody asked for, a notice) is in neither."""
    phone, delivery = Phone(), house.delivery()
    texts = heard_by(phone)
    phone.script = [TryLater("busy", 1.2), "ok"]
    async with hosted(house, Sender(phone)), running(delivery):
        told = "alert 1: gold"
        ids = await house.offered(delivery, text=f"1 then 2\nsource demo\n{told}", **await house.rang(now_us()))
        await house.all_sent()
        await house.offered(delivery, text=f"source demo\n{told}", **await house.rang(0))
        await house.offered(delivery, text="you are told", alert_id=1)
        await house.all_sent()
        status = await delivery.status()
    first, second, *others = (text for _, text in texts)
    assert re.fullmatch(rf"1 then 2\nsource demo · \d+ ms after the tick\n{told}", first)
    assert re.fullmatch(rf"1 then 2\nsource demo · [1-9]\.\d s after the tick\n{told}", second)
    assert "tick" not in " ".join(others)
    assert (len(delivery._outcomes.latencies_us), status["latency_ms"]["p50"] > 1_200) == (1, True)  # type: ignore[index]
    assert phone.got[:2] == [ids, ids]


async def test_who_is_told_hears_it_in_their_language(house: House) -> None:
    """What is worded as it goes out; the evidence is the engine's."""
    rang = await house.rang(now_us() - 2_500_000)
    await house.ledger.write(lambda c: c.execute(users.update().values(language="de")))
    phone, delivery = Phone(), house.delivery()
    texts = heard_by(phone)
    async with hosted(house, Sender(phone)), running(delivery):
        await house.offered(delivery, text="source demo", **rang)
        await house.all_sent()
        await house.due(2, **await house.rang(now_us()))
        await house.bus.client.publish(names.OUTBOX, b"")
        await house.all_sent()
    assert re.fullmatch(r"source demo · 2,\d s nach dem Tick", texts[0][1])
    assert texts[1][0] == "2 Alarme"


def test_latencies_are_told_as_shares() -> None:
    """Median and tail in milliseconds; nothing before the first."""
    assert latency_ms([]) == {}
    assert latency_ms(range(0, 101_000, 1000)) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


# ----------------------------------------------------------------------- elsewhere, urgent first, grouped


async def test_a_place_that_is_gone_is_switched_off_and_what_waited_arrives_at_the_next(house: House) -> None:
    """All of it, in order, with the reason; and nobody asks that place again."""
    phone, delivery = Phone(), house.delivery()
    phone.gate.clear()
    phone.script = [Gone("blocked by the user")]
    with structlog.testing.capture_logs() as logs:
        async with hosted(house, Sender(phone)), running(delivery):
            ids = await house.offered(delivery, A_MESSAGE + 5)
            phone.gate.set()
            await house.until(lambda rows: [s for s, _, _ in rows.values()].count("sent") == len(ids) + 1)
    assert phone.addresses[0] == "json://secret/1"
    assert set(phone.addresses[1:]) == {"json://secret/2"}
    rows = await house.rows()
    assert {rows[id][0] for id in ids} == {"moved"}
    assert rows[ids[0]][2] == "moved to phone: phone takes nothing any more: blocked by the user"
    again = [id for numbers in phone.got[1:] for id in numbers]
    assert again == sorted(again) and len(again) == len(ids) + 1
    disabled = sa.select(destinations.c.disabled).where(destinations.c.id == 1)
    assert await house.ledger.read(lambda c: c.scalar(disabled)) == "gone: blocked by the user"
    assert [line["moved"] for line in logs if line["event"] == "a destination is gone and switched off"] == [len(ids)]
    assert "secret" not in str(logs)


async def test_a_place_that_moved_is_followed_at_once(house: House) -> None:
    """The same rows go to its new address; nothing is lost and nothing told."""
    phone, delivery = Phone(), house.delivery()
    phone.script = [Gone("upgraded to a supergroup", moved_to="json://secret/new")]
    async with hosted(house, Sender(phone)), running(delivery):
        ids = await house.due(3)
        await house.all_sent()
    assert phone.got == [ids, ids]
    assert phone.addresses == ["json://secret/1", "json://secret/new"]


async def test_an_alert_that_one_destination_refuses_is_told_by_the_next(house: House) -> None:
    """What is of no alert is given up."""
    await house.ledger.write(_an_alert)
    phone, delivery = Phone(), house.delivery()
    phone.script = [GiveUp("too long")]
    (plain,) = await house.due(1, key="test:1:5")
    (of_alert,) = await house.due(1, alert_id=1, key="alert:1:1:1")
    async with hosted(house, Sender(phone)), running(delivery):
        await house.until(lambda rows: rows[of_alert][0] == "moved" and rows[max(rows)][0] == "sent")
    rows = await house.rows()
    assert (rows[plain][0], rows[plain][2]) == ("dead", "too long")
    assert phone.addresses == ["json://secret/1", "json://secret/2"]
    assert "moved to phone: phone refused it: too long" in rows[of_alert][2]


async def test_destinations_with_something_urgent_have_the_next_turn(house: House) -> None:
    """Of those that wait for a turn; in its own destination it stays behind what was there before it."""
    await house.ledger.write(_an_alert)
    phone, delivery = Phone(), house.delivery()
    phone.gate.clear()
    async with hosted(house, Sender(phone)), running(delivery):
        for destination in range(1, 51):
            await house.offered(delivery, 1, destination)
        async with asyncio.timeout(5):
            while len(phone.got) < AT_ONCE:
                await asyncio.sleep(0.01)
        claim = {"claimed_by": delivery.worker, "claimed_until": now_us() + delivery.lease_us}
        ids = await house.due(1, 50, alert_id=1, **claim)
        delivery.offer(await house.ledger.read(lambda c: outbox.load(c, ids, Catalogue().get)))
        phone.gate.set()
        await house.all_sent()
    assert phone.got[AT_ONCE] == [50, *ids]


def _an_alert(connection: sa.Connection) -> None:
    connection.execute(users.insert().values(id=1, owner_id=1, name="anna", role="member", created_at=0))
    connection.execute(
        alerts.insert().values(
            id=1, owner_id=1, user_id=1, text="XAU-USD > 1 urgent", instrument="XAU-USD", series="price(XAU-USD)",
            state="armed", armed_at=1, created_at=1, urgent=True,
        )
    )  # fmt: skip


async def test_what_piled_up_comes_as_a_few_messages_with_its_own_times(house: House) -> None:
    """An hour of alerts while no bot was there: in order, each line with its time, each once."""
    phone, delivery = Phone(), house.delivery()
    now = now_us()
    ids = [(await house.due(1, created_at=now - (3600 - 60 * minute) * S, due_at=now))[0] for minute in range(60)]
    texts: list[tuple[str, str]] = []
    send = phone.send

    async def kept(message: Message) -> str:
        texts.append((message.title, message.text))
        return await send(message)

    phone.send = kept  # type: ignore[method-assign]
    async with hosted(house, Sender(phone)), running(delivery):
        await house.all_sent()
    assert [len(numbers) for numbers in phone.got] == [A_MESSAGE, A_MESSAGE, 60 - 2 * A_MESSAGE]
    assert [id for numbers in phone.got for id in numbers] == ids
    assert all(re.fullmatch(r"\d+ messages, .* to .* UTC", title) for title, _ in texts)
    assert [len(text.splitlines()) for _, text in texts] == [len(numbers) for numbers in phone.got]
    first = f"{datetime.fromtimestamp((now - 3600 * S) // S, UTC):%H:%M:%S}"
    assert texts[0][1].splitlines()[0] == f"{first} title 1"
    assert max(len(text) for _, text in texts) < 4096


def test_a_message_that_was_late_says_by_how_much() -> None:
    """Beside its evidence; several that rang together are told in full and without a span."""
    made = [Notification(id=n, alert_id=n, title=f"t{n}", text="why", created_at=0, ticked_at=0) for n in (1, 2)]
    assert outgoing.worded(made[:1], 53 * 60 * S) == ("t1", "why\ntold 53 min after it rang")
    assert outgoing.worded(made[:1], S) == ("t1", "why")
    assert outgoing.worded(made, S) == ("2 alerts", "t1\nwhy\n\nt2\nwhy")
    later = [msgspec.structs.replace(made[0], id=n, created_at=n * 3600 * S) for n in range(7)]
    title, text = outgoing.worded(later)
    assert title == "7 alerts, 00:00 to 06:00 UTC"
    assert text.splitlines()[3] == "03:00:00 t1"
    assert outgoing.worded([later[0], msgspec.structs.replace(made[0], created_at=86_400 * S)])[0] == (
        "2 alerts, 01 Jan 00:00 to 02 Jan 00:00 UTC"
    )


# ------------------------------------------------------------------------------- held through quiet hours


def heard_by(phone: Phone) -> list[tuple[str, str]]:
    """Title and text of each message that the phone gets from now on."""
    texts: list[tuple[str, str]] = []
    send = phone.send

    async def kept(message: Message) -> str:
        texts.append((message.title, message.text))
        return await send(message)

    phone.send = kept  # type: ignore[method-assign]
    return texts


async def test_what_is_held_comes_as_one_message_when_its_quiet_hours_end(house: House) -> None:
    """The sweep wakes for their end, and the message says that they were; before that only what is urgent came."""
    await house.ledger.write(_an_alert)
    phone, delivery = Phone(), house.delivery()
    texts = heard_by(phone)
    async with hosted(house, Sender(phone)), running(delivery):
        now = now_us()
        end = now + 3 * S // 2
        rang = [now - hours * 3600 * S for hours in range(7, 0, -1)]
        ids = [(await house.due(state="held", due_at=end, created_at=at, alert_id=1))[0] for at in rang]
        await house.bus.client.publish(names.OUTBOX, b"")
        (urgent,) = await house.due(1, key="alert:1:9:1", **await house.rang(now_us()))
        await house.bus.client.publish(names.OUTBOX, b"")
        await house.until(lambda rows: rows[urgent][0] == "sent")
        status = await delivery.status()
        assert (status["held"], status["sent"], status["due"], status["in_memory"]) == (7, 1, 0, 0)
        await house.all_sent()
        assert end <= now_us() < end + 3 * S
    assert phone.got == [[urgent], ids]
    spans = [datetime.fromtimestamp(at // S, UTC) for at in rang]
    (_, (title, text)) = texts
    assert re.fullmatch(r"7 alerts in your quiet hours, .*\d\d:\d\d to .*\d\d:\d\d UTC", title)
    assert text.splitlines() == [f"{at:%H:%M:%S} title {id}" for at, id in zip(spans, ids, strict=True)]
    assert delivery._outcomes.latencies_us and max(delivery._outcomes.latencies_us) < 60 * S


async def test_what_is_offered_as_quiet_hours_end_goes_behind_what_was_held(house: House) -> None:
    """Also what lies in memory already, behind a message on its way."""
    phone, delivery = Phone(), house.delivery()
    phone.gate.clear()
    async with hosted(house, Sender(phone)), running(delivery):
        held = await house.due(2, state="held", due_at=now_us() + S // 2)
        first = await house.offered(delivery)
        second = await house.offered(delivery)
        async with asyncio.timeout(10):
            while await house.ledger.read(quiet.count):
                await asyncio.sleep(0.01)
        third = await house.offered(delivery)
        phone.gate.set()
        await house.all_sent()
    assert [id for got in phone.got for id in got] == [*first, *held, *second, *third]


async def test_what_was_held_while_no_hub_ran_comes_with_its_start(house: House) -> None:
    """In order, with what waits besides; nothing is told to have been late for it."""
    phone = Phone()
    texts = heard_by(phone)
    now = now_us()
    held = await house.due(1, state="held", due_at=now - 10 * S, created_at=now - 8 * 3600 * S)
    other = await house.due(1, state="held", due_at=now + 3600 * S)
    plain = await house.due(1, created_at=now)
    async with hosted(house, Sender(phone)), running(house.delivery()):
        await house.until(lambda rows: rows[plain[0]][0] == rows[held[0]][0] == "sent")
    assert (await house.rows())[other[0]][0] == "held"
    assert [id for got in phone.got for id in got] == [*held, *plain]
    assert "held through your quiet hours" in texts[0][1] and "after it rang" not in texts[0][1]


async def test_the_age_of_what_was_held_counts_from_the_end_of_its_quiet_hours(house: House) -> None:
    """A night is no reason to give up in the morning."""
    phone = Phone()
    phone.script = [TryLater("busy", 0.1), TryLater("busy", 0.1)]
    delivery = house.delivery(config=DeliverySection(give_up_after_hours=1))
    rang = now_us() - 9 * 3600 * S
    (fresh,) = await house.due(1, 1, state="held", due_at=now_us() - S, created_at=rang)
    (old,) = await house.due(1, 2, state="held", due_at=now_us() - 3601 * S, created_at=rang)
    async with hosted(house, Sender(phone)), running(delivery):
        await house.until(lambda rows: rows[fresh][0] == "sent" and rows[old][0] == "dead")
    assert (await house.rows())[old][2] == "not sent within 1 h: busy"


def test_what_was_held_is_told_as_that() -> None:
    """One speaks for itself; of several the title counts them, and among others each is marked."""
    end = 8 * 3600 * S
    one = Notification(id=1, alert_id=1, title="t", text="why", created_at=0, ticked_at=0, held_until=end)
    assert outgoing.worded([one], end + S) == ("t", "why\nheld through your quiet hours")
    assert outgoing.worded([one], end + 600 * S) == (
        "t", "why\nheld through your quiet hours\ntold 10 min after your quiet hours ended"
    )  # fmt: skip
    both = [one, msgspec.structs.replace(one, id=2, created_at=3600 * S)]
    assert outgoing.worded(both, end + S) == (
        "2 alerts in your quiet hours, 00:00 to 01:00 UTC", "t\nwhy\n\nt\nwhy"
    )  # fmt: skip
    awake = msgspec.structs.replace(one, id=3, created_at=end, held_until=None)
    assert outgoing.worded([*both, awake], end + S) == (
        "3 alerts, 2 of them in your quiet hours, 00:00 to 08:00 UTC",
        "\n\n".join(["t\nwhy\nheld through your quiet hours"] * 2 + ["t\nwhy"]),
    )
    notices = [msgspec.structs.replace(each, alert_id=None) for each in both]
    assert outgoing.worded(notices, end)[0].startswith("2 messages in your quiet hours")
    place = Destination(id=1, owner_id=1, platform="push", address="x", label="x")
    assert outgoing.added(outgoing.message(place, [one], end + S)) == ["held through your quiet hours"]
