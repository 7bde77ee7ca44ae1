"""The ledger on PostgreSQL: lost servers and lost answers, two cores at once, and nothing secret in what it says."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from hub.config import Config, LedgerSection
from hub.frame import Position
from hub.ledger import Ledger, LedgerAway, LedgerTrouble, LedgerUnsure, alerts, leases, open_ledger, outbox, people
from hub.ledger import tables as t
from hub.ledger.alerts import SeriesValue
from hub.ledger.leases import LeaseLost
from hub.ledger.postgres import PostgresLane
from hub.model import Who
from tests.servers import PostgresServer
from tests.test_outbox import LEASE, NOW, describe, row
from tests.test_outbox import people as two_destinations

PASSWORD = "correct-horse"


def at(url: str, password: str = "") -> Config:
    return Config(ledger=LedgerSection(url=url, password=password))


@pytest.fixture
async def two(postgres_url: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two cores on one ledger."""
    async with open_ledger(at(postgres_url)) as one, open_ledger(at(postgres_url)) as other:
        yield one, other


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that a test may kill."""
    own = PostgresServer()
    try:
        own.start()
        yield own
    finally:
        own.remove()


class Proxy:
    """Stands between the ledger and its server. With `lose` set, the next COMMIT is passed on or not, and its answer
    never comes: the connection ends."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self.lose: str = ""  # "answer" or "question"
        self.refuses = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{self._target.port}/", f":{self._listener.getsockname()[1]}/")
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            server = socket.create_connection((self._target.hostname, self._target.port))
            for source, sink, asks in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, asks), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        try:
            while piece := source.recv(65536):
                if asks and self.lose and b"COMMIT\x00" in piece:
                    lose, self.lose = self.lose, ""
                    source.shutdown(socket.SHUT_RDWR)  # the client hears no more
                    if lose == "answer":
                        sink.sendall(piece)
                        sink.settimeout(5)
                        sink.recv(65536)  # committed by now
                    break
                sink.sendall(piece)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                end.close()


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    between = Proxy(postgres_url)
    try:
        yield between
    finally:
        between.close()


def add(name: str) -> Callable[[sa.Connection], object]:
    return lambda c: c.execute(t.facts.insert().values(name=name, value="1"))


async def names(ledger: Ledger) -> list[str]:
    return await ledger.read(lambda c: list(c.scalars(sa.select(t.facts.c.name).order_by(t.facts.c.name))))


# ------------------------------------------------------------------------------------------- lost servers


async def test_a_server_that_is_away_is_told_with_its_place_and_without_the_password(postgres_url: str) -> None:
    """And so is a database that is not there, which does not mend by itself."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    with pytest.raises(LedgerAway) as away:
        async with open_ledger(at(f"postgresql://anna@127.0.0.1:{nobody}/tocsin", PASSWORD)):
            pass
    assert f"127.0.0.1:{nobody}/tocsin" in str(away.value)
    missing = postgres_url.rpartition("/")[0] + "/nowhere"
    with pytest.raises(LedgerTrouble, match="nowhere") as refused:
        async with open_ledger(at(missing, PASSWORD)):
            pass
    assert not isinstance(refused.value, LedgerAway)
    for error in (away.value, refused.value):
        assert PASSWORD not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"


async def test_a_server_that_is_too_old_is_told(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made in it."""
    monkeypatch.setattr("hub.ledger.OLDEST_POSTGRES", (99,))
    with pytest.raises(LedgerTrouble, match="has to be 99 or newer"):
        async with open_ledger(at(postgres_url)):
            pass


async def test_a_killed_server_is_trouble_until_it_is_back_and_nothing_is_lost(server: PostgresServer) -> None:
    """What was committed stays, what was refused can be tried again, and nobody has to open the ledger anew."""
    async with open_ledger(at(server.database())) as ledger:
        await ledger.write(add("before"))
        assert await names(ledger) == ["before"]
        server.kill()
        with pytest.raises(LedgerAway):
            await ledger.write(add("after"))
        with pytest.raises(LedgerAway):
            await names(ledger)
        server.start()
        await ledger.write(add("after"))
        assert await names(ledger) == ["after", "before"]


async def test_a_connection_that_died_while_it_rested_is_not_noticed(postgres_url: str) -> None:
    """Nothing of the transaction was kept when it broke, so it is run once more at once."""
    async with open_ledger(at(postgres_url)) as ledger, open_ledger(at(postgres_url)) as other:
        await ledger.write(add("before"))
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin ledger reader'"
        await names(ledger)
        await other.write(lambda c: c.execute(sa.text(ended)))
        assert await names(ledger) == ["before"]


async def test_a_commit_whose_answer_was_lost_is_neither_lost_nor_repeated(proxy: Proxy) -> None:
    """The server is asked what became of it: the caller hears of success."""
    async with open_ledger(at(proxy.url)) as ledger:
        proxy.lose = "answer"
        runs: list[int] = []

        def write(connection: sa.Connection) -> str:
            runs.append(1)
            add("kept")(connection)
            return "done"

        assert await ledger.write(write) == "done"
        assert len(runs) == 1
        assert await names(ledger) == ["kept"]


async def test_a_commit_that_never_arrived_is_trouble_and_kept_nothing(proxy: Proxy) -> None:
    """So the same call may be repeated."""
    async with open_ledger(at(proxy.url)) as ledger:
        proxy.lose = "question"
        with pytest.raises(LedgerAway):
            await ledger.write(add("once"))
        assert await names(ledger) == []
        await ledger.write(add("once"))
        assert await names(ledger) == ["once"]


async def test_a_commit_that_nobody_can_be_asked_about_stops_every_later_write(proxy: Proxy) -> None:
    """Memory may be behind the ledger by now; only a new start knows."""
    async with open_ledger(at(proxy.url)):
        pass
    lane = PostgresLane(proxy.url, "", "writer", settle_s=0.3)
    try:
        await lane.run(lambda c: c.execute(sa.text("SELECT 1")))
        proxy.lose, proxy.refuses = "answer", True
        with pytest.raises(LedgerUnsure):
            await lane.run(add("unsure"))
        proxy.refuses = False
        with pytest.raises(LedgerUnsure):
            await lane.run(add("later"))
    finally:
        lane.close()


async def test_what_the_server_says_of_a_row_is_not_passed_on(two: tuple[Ledger, Ledger]) -> None:
    """Its DETAIL quotes values, and an address is secret."""
    await two[0].write(two_destinations)

    def again(connection: sa.Connection) -> None:
        row = {
            "id": 99,
            "owner_id": 1,
            "platform": "push",
            "address": "json://secret/1",
            "label": "push",
            "created_at": NOW,
        }
        connection.execute(t.destinations.insert().values(**row))

    with pytest.raises(sa.exc.IntegrityError) as refused:
        await two[0].write(again)
    assert "secret" not in str(refused.value)
    assert "uq_destinations_owner_id" in str(refused.value)


# ---------------------------------------------------------------------------------------- two cores at once


async def test_two_cores_that_start_at_once_make_one_schema(postgres_url: str) -> None:
    """One makes the tables, the other waits and finds them."""
    async with AsyncExitStack() as stack:
        opened = [stack.enter_async_context(open_ledger(at(postgres_url))) for _ in range(4)]
        ledgers = await asyncio.gather(*opened)
        await ledgers[0].write(add("a"))
        assert [await names(ledger) for ledger in ledgers] == [["a"]] * 4


async def waiting_for_locks(ledger: Ledger) -> None:
    """Until some transaction of this database waits for another one."""
    blocked = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(10):
        while not await ledger.read(lambda c: c.scalar(blocked)):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def uncommitted(ledger: Ledger, fn: Callable[[sa.Connection], object]) -> AsyncIterator[None]:
    """`fn` has run, and is committed when the block ends."""
    ran, release = threading.Event(), threading.Event()

    def held(connection: sa.Connection) -> None:
        fn(connection)
        ran.set()
        release.wait(10)

    writing = asyncio.ensure_future(ledger.write(held))
    await asyncio.to_thread(ran.wait, 10)
    try:
        yield
    finally:
        release.set()
        await writing


async def test_a_person_who_writes_to_two_cores_at_once_is_one_person(two: tuple[Ledger, Ledger]) -> None:
    """The second core finds nobody, is refused by the key, and finds who the first one made."""
    one, other = two
    anna = Who(platform="telegram", id="77", name="anna")
    runs: list[int] = []

    def find_or_make(connection: sa.Connection) -> int:
        runs.append(1)
        return people.user_of(connection, anna, NOW).id

    async with uncommitted(one, find_or_make):
        second = asyncio.ensure_future(other.write(find_or_make))
        await waiting_for_locks(one)
    number = await second
    assert len(runs) == 3
    assert await one.read(lambda c: list(c.scalars(sa.select(t.users.c.id)))) == [number]
    assert await one.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(t.owners))) == 1


async def test_a_read_sees_one_state_from_its_first_statement_to_its_last(two: tuple[Ledger, Ledger]) -> None:
    """Whatever another core commits meanwhile."""
    one, other = two
    looked, written = threading.Event(), threading.Event()

    def count_twice(connection: sa.Connection) -> tuple[int, int]:
        count = sa.select(sa.func.count()).select_from(t.facts)
        before = connection.scalar(count) or 0
        looked.set()
        written.wait(10)
        return before, connection.scalar(count) or 0

    reading = asyncio.ensure_future(one.read(count_twice))
    await asyncio.to_thread(looked.wait, 10)
    await other.write(add("meanwhile"))
    written.set()
    assert await reading == (0, 0)
    assert await names(one) == ["meanwhile"]


async def test_of_two_that_take_a_lease_at_once_one_gets_it(two: tuple[Ledger, Ledger]) -> None:
    """Also where it never was before; and the epochs grow from holder to holder."""
    now, last = NOW, 0

    def take(who: str, now: int) -> Callable[[sa.Connection], int | None]:
        return lambda c: leases.take(c, "engine", who, now, 50, at_once=False)

    for _ in range(10):
        now += 100
        taken = await asyncio.gather(*(ledger.write(take(who, now)) for who, ledger in zip("ab", two, strict=True)))
        (epoch,) = [one for one in taken if one is not None]
        assert epoch > last
        last = epoch


async def test_nobody_takes_a_lease_over_in_the_middle_of_its_holders_commit(two: tuple[Ledger, Ledger]) -> None:
    """Who takes over loads what the old holder did; what the old holder tries afterwards is refused."""
    one, other = two
    place = Position(stream="s", sequence=5, epoch=1, number=5, clock=NOW)

    def begin(connection: sa.Connection) -> int | None:
        alerts.begin_position(connection, Position(stream="s"))
        return leases.take(connection, alerts.ENGINE, "a", NOW, 10, at_once=False)

    assert await one.write(begin) == 1
    async with uncommitted(one, lambda c: alerts.save_position(c, place, {alerts.ENGINE: 1})):
        takes = asyncio.ensure_future(
            other.write(lambda c: leases.take(c, alerts.ENGINE, "b", NOW + 11, 10, at_once=False))
        )
        await waiting_for_locks(one)
        assert not takes.done()
    assert await takes == 2
    assert await other.read(alerts.position) == place
    with pytest.raises(LeaseLost):
        await one.write(lambda c: alerts.save_position(c, place, {alerts.ENGINE: 1}))


async def test_a_lease_under_which_its_holder_commits_holds_nobody_up_who_does_not_wait(
    two: tuple[Ledger, Ledger],
) -> None:
    """An engine that was paused in the middle of a commit keeps its groups; what the others have goes on."""
    one, other = two

    def begin(connection: sa.Connection) -> None:
        for name in ("engine-1", "engine-2"):
            alerts.begin_position(connection, Position(stream="s"), reader=name)
            leases.take(connection, name, "a", NOW, 10, at_once=False)

    def take(connection: sa.Connection) -> list[int | None]:
        names = ("engine-1", "engine-2", "engine-3")
        return [leases.take(connection, name, "b", NOW + 11, 10, at_once=False, waits=False) for name in names]

    await one.write(begin)
    async with uncommitted(one, lambda c: alerts.save_position(c, Position(stream="s"), {"engine-1": 1})):
        async with asyncio.timeout(5):
            assert await other.write(take) == [None, 2, 1]
    assert await other.write(lambda c: leases.take(c, "engine-1", "b", NOW + 11, 10, at_once=False, waits=False)) == 2


async def test_an_engine_that_stands_still_in_a_commit_loses_it(two: tuple[Ledger, Ledger]) -> None:
    """Also where the server waits for the rest of what it had begun to send (PostgreSQL 17 and later)."""
    one, _ = two
    if await one.read(lambda c: (c.dialect.server_version_info or (0,)) < (17,)):
        pytest.skip("this PostgreSQL cannot limit a transaction")

    def stands_still(connection: sa.Connection) -> None:
        leases.assert_all(connection, {"engine-1": 1}, within_s=1)
        time.sleep(2)
        connection.execute(sa.text("SELECT 1"))

    await one.write(lambda c: leases.take(c, "engine-1", "a", NOW, 10, at_once=False))
    with pytest.raises(LedgerTrouble):
        await one.write(stands_still)
    assert await one.read(lambda c: leases.holders(c, ["engine-1"])) == {"a"}


async def test_engines_that_stand_at_different_places_keep_their_prices_apart(two: tuple[Ledger, Ledger]) -> None:
    """Whoever takes a group over finds the prices at its place, not those that another engine has seen since."""
    one, other = two

    def price(value: float) -> list[SeriesValue]:
        return [SeriesValue(key="price(XAU-USD)", value=value, venue_time=None, received_at=NOW, source="s")]

    def commit(connection: sa.Connection, book: str, epochs: dict[str, int], value: float) -> None:
        alerts.save_position(connection, Position(stream="s", sequence=round(value)), epochs, book)
        alerts.save_prices(connection, price(value), book)

    def begin(connection: sa.Connection) -> None:
        for name, holder in (("engine-1", "a"), ("engine-2", "b"), ("engine-3", "b")):
            alerts.begin_position(connection, Position(stream="s"), reader=name)
            leases.take(connection, name, holder, NOW, 10, at_once=False)

    def found(connection: sa.Connection) -> dict[str, tuple[int, float]]:
        return {
            group: (alerts.position(connection, group).sequence, *(each.value for each in prices.values()))  # type: ignore[misc]
            for group in ("engine-1", "engine-2", "engine-3")
            if (prices := alerts.load_prices(connection, alerts.book(connection, group)))
        }

    await one.write(begin)
    await one.write(lambda c: commit(c, "a/1", {"engine-1": 1}, 1300))
    await other.write(lambda c: commit(c, "b/1", {"engine-2": 1, "engine-3": 1}, 1310))
    assert await one.read(found) == {"engine-1": (1300, 1300), "engine-2": (1310, 1310), "engine-3": (1310, 1310)}

    await other.write(lambda c: alerts.copy_book(c, "b/1", ["engine-2"]))  # it lets go of that one
    await other.write(lambda c: commit(c, "b/1", {"engine-3": 1}, 1320))
    assert await one.read(found) == {"engine-1": (1300, 1300), "engine-2": (1310, 1310), "engine-3": (1320, 1320)}

    await one.write(lambda c: commit(c, "a/2", {"engine-1": 1}, 1330))
    await one.write(alerts.forget_books)
    books = await one.read(lambda c: set(c.execute(sa.text("SELECT book FROM prices")).scalars()))
    assert books == {"a/2", "b/1", "engine-2"}


# ------------------------------------------------------------------------------------------------ the outbox


def older_elsewhere(connection: sa.Connection, worker: str, claimed: list[outbox.Due]) -> list[int]:
    """Rows that wait or lie with others, although younger ones of their destination were claimed."""
    n = t.notifications.c
    found: list[int] = []
    for place in {due.destination.id for due in claimed}:
        youngest = max(due.notification.id for due in claimed if due.destination.id == place)
        query = sa.select(n.id).where(
            n.destination_id == place, n.id < youngest, n.state == "due", n.claimed_by != worker
        )
        found += connection.scalars(query)
    return found


async def test_two_workers_claim_no_row_twice_and_keep_the_order_of_each_destination(
    two: tuple[Ledger, Ledger],
) -> None:
    """Each takes small bites of the same ten destinations until all is sent."""

    def fill(connection: sa.Connection) -> None:
        two_destinations(connection, 10)
        for id in range(1, 401):
            row(connection, id, destination=id % 10 + 1)

    await two[0].write(fill)
    sent: list[int] = []

    async def work(worker: str, ledger: Ledger) -> None:
        def bite(connection: sa.Connection) -> tuple[list[outbox.Due], list[int]]:
            dues = outbox.claim(connection, worker, NOW, LEASE, 7, describe)
            return dues, older_elsewhere(connection, worker, dues)

        while len(sent) < 400:
            dues, overtaken = await ledger.write(bite)
            assert overtaken == []
            ids = [due.notification.id for due in dues]
            marked = await ledger.write(
                lambda c, ids=ids: outbox.mark_sent(c, ids, worker, "m", "r", NOW)  # type: ignore[misc]
            )
            assert marked == len(ids)
            sent.extend(ids)

    async with asyncio.timeout(60):
        await asyncio.gather(work("a", two[0]), work("b", two[1]))
    assert sorted(sent) == list(range(1, 401))


async def test_a_destination_that_another_worker_claims_for_is_left_to_it(two: tuple[Ledger, Ledger]) -> None:
    """Its younger rows wait too; other destinations do not; and new rows may be written meanwhile."""
    one, other = two

    def fill(connection: sa.Connection) -> None:
        two_destinations(connection, 2)
        for id in range(1, 7):
            row(connection, id, destination=1 if id < 5 else 2)

    await one.write(fill)

    def claim(worker: str, limit: int) -> Callable[[sa.Connection], list[int]]:
        return lambda c: [due.notification.id for due in outbox.claim(c, worker, NOW, LEASE, limit, describe)]

    async with uncommitted(one, claim("a", 2)):
        assert await other.write(claim("b", 100)) == [5, 6]
        async with open_ledger_again(other) as third:
            await third.write(lambda c: row(c, 7, destination=1))
    assert await other.write(claim("b", 100)) == []
    assert await one.write(claim("a", 100)) == [3, 4, 7]


@asynccontextmanager
async def open_ledger_again(ledger: Ledger) -> AsyncIterator[Ledger]:
    """A third connection to the same database."""
    url = await ledger.read(lambda c: c.engine.url.render_as_string().replace("postgresql+psycopg", "postgresql"))
    async with open_ledger(at(url)) as opened:
        yield opened


async def test_the_claim_and_the_counts_read_no_row_that_was_sent(two: tuple[Ledger, Ledger]) -> None:
    """A table of sent rows costs them nothing: no step of their plans scans it."""
    statements: list[tuple[str, object]] = []

    def fill(connection: sa.Connection) -> None:
        two_destinations(connection, 2)
        connection.exec_driver_sql(
            "INSERT INTO notifications (key, destination_id, title, text, state, due_at, created_at)"
            " SELECT 'sent:' || n, 1, 't', 't', 'sent', 1, 1 FROM generate_series(1, 120000) AS n"
        )
        row(connection, 1_000_000)
        row(connection, 1_000_001, state="dead")

    def run(connection: sa.Connection) -> dict[str, int | None]:
        def note(_c: object, _cur: object, statement: str, parameters: object, _x: object, _m: object) -> None:
            statements.append((statement, parameters))

        sa.event.listen(connection, "before_cursor_execute", note)
        counts = outbox.waiting(connection)
        outbox.claim(connection, "a", NOW, LEASE, 10, describe)
        outbox.next_due(connection, "a", NOW)
        sa.event.remove(connection, "before_cursor_execute", note)
        return counts

    def plans(connection: sa.Connection) -> list[str]:
        return [
            step
            for statement, parameters in statements
            for (step,) in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)  # type: ignore[arg-type]
        ]

    await two[0].write(fill)
    await two[0].write(lambda c: c.execute(sa.text("ANALYZE notifications")))
    assert await two[0].write(run) == {"due": 1, "sent": 120_000, "dead": 1, "oldest_due_at": NOW}
    steps = await two[0].read(plans)
    assert len(steps) > 10
    assert [step for step in steps if "Seq Scan on notifications" in step] == []
