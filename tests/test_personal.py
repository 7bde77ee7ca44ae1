"""What people keep, on both stores: lists, lots, digests; all of it read out and removed; and old ledgers that open."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from hub.config import Config, LedgerSection
from hub.ledger import Ledger, belongings, keeping, migrate, open_ledger, outbox, people, revision_of
from hub.ledger import tables as t
from hub.model import SECOND_US, Lot, Request, User, WatchList, Who
from hub.personal import MOST_DIGESTS, MOST_LISTS, MOST_LOTS, MOST_WATCHED, Personal
from hub.plugin import BadRequest

NOW = 1_800_000_000 * SECOND_US  # Friday 2027-01-15 08:00:00 UTC
HOUR_S = 3600
ANNA = Who(platform="console", id="anna", name="Anna-Xq7")
BEN = Who(platform="telegram", id="77", name="Ben")
SECRET = "ntfy://alerts.example.org/s3cret-topic"
NOT_PERSONAL = {"leases", "positions", "tries", "prices", "facts", "places", "splits", "split_marks"}


class Room:
    """A ledger with two people in it, and one clock."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = NOW
        self.personal = Personal(ledger, lambda: self.now)
        self.anna = self.ben = Request(name="", arguments="", user=User(id=0, name="", owner_id=0), who=ANNA)

    async def begin(self) -> None:
        self.anna, self.ben = [await self.request(who) for who in (ANNA, BEN)]

    async def request(self, who: Who) -> Request:
        user = await self.ledger.write(lambda c: people.user_of(c, who, NOW))
        return Request(name="", arguments="", user=user, who=who)

    async def execute(self, statement: Any) -> None:
        await self.ledger.write(lambda c: c.execute(statement))

    async def everything(self) -> str:
        """Every cell of every table, as text."""

        def read(c: sa.Connection) -> str:
            rows = [
                (table.name, tuple(row)) for table in t.metadata.sorted_tables for row in c.execute(sa.select(table))
            ]
            return "\n".join(map(str, rows))

        return await self.ledger.read(read)


@pytest.fixture(params=["sqlite", "postgres"])
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Room]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    async with open_ledger(Config(folder=tmp_path, ledger=LedgerSection(url=url))) as ledger:
        made = Room(ledger)
        await made.begin()
        yield made


# ------------------------------------------------------------------------------------------ watch lists


async def test_a_list_keeps_its_order_and_each_once(here: Room) -> None:
    """What is added goes behind, what is there stays where it is; lists are in the order of their making."""
    personal, anna = here.personal, here.anna
    await personal.watch(anna, "", ["XAU-USD", "BTC-USD"])
    await personal.watch(anna, "metals", ["XAG-USD"])
    again = await personal.watch(anna, "", ["XAG-USD", "XAU-USD"])
    assert again == WatchList(name="", instruments=("XAU-USD", "BTC-USD", "XAG-USD"))
    assert (await personal.unwatch(anna, "", ["BTC-USD"])).instruments == ("XAU-USD", "XAG-USD")
    assert [each.name for each in await personal.watchlists(anna)] == ["", "metals"]
    assert (await personal.drop_watchlist(anna, "metals")).instruments == ("XAG-USD",)
    assert [each.name for each in await personal.watchlists(anna)] == [""]


async def test_lists_have_limits_and_owners(here: Room) -> None:
    """Both are said; another person's list of the same name is another list."""
    personal, anna = here.personal, here.anna
    await personal.watch(anna, "metals", ["XAU-USD"])
    assert await personal.watchlists(here.ben) == []
    with pytest.raises(BadRequest, match="no list metals"):
        await personal.drop_watchlist(here.ben, "metals")
    with pytest.raises(BadRequest, match="not on that list"):
        await personal.unwatch(anna, "metals", ["BTC-USD"])
    with pytest.raises(BadRequest, match=f"{MOST_WATCHED} instruments at most"):
        await personal.watch(anna, "metals", [str(number) for number in range(MOST_WATCHED)])
    for number in range(MOST_LISTS - 1):
        await personal.watch(anna, f"list {number}", ["XAU-USD"])
    with pytest.raises(BadRequest, match=f"{MOST_LISTS} lists"):
        await personal.watch(anna, "another", ["XAU-USD"])


# ------------------------------------------------------------------------------------------------- lots

LOT = Lot(instrument="BTC-USD", quantity=0.5, wrote="0.5", cost=21_000.0, currency="USD", bought_on="2026-03-01")


def parts(lot: Lot) -> tuple[Lot, Lot]:
    sold = msgspec.structs.replace(
        lot,
        id=0,
        quantity=0.2,
        wrote="0.2",
        cost=8400.0,
        sold_on="2026-04-01",
        proceeds=9000.0,
        proceeds_currency="EUR",
    )
    return sold, msgspec.structs.replace(lot, quantity=0.3, wrote="0.3", cost=12_600.0)


async def test_a_lot_is_kept_sold_in_part_taken_back_and_removed(here: Room) -> None:
    """The rest keeps the number; a removed lot comes back as it was."""
    personal, anna = here.personal, here.anna
    made = await personal.add_lot(anna, LOT)
    assert await personal.lots(anna) == [made]
    sold, rest = parts(made)
    done = await personal.sell(anna, made, sold, rest)
    assert await personal.lots(anna) == [rest, done]
    assert (done.id, done.proceeds) == (made.id + 1, 9000.0)
    back = await personal.unsell(anna, done.id)
    assert (back.sold_on, back.proceeds, back.proceeds_currency, back.cost) == ("", None, "", 8400.0)
    with pytest.raises(BadRequest, match="not sold"):
        await personal.unsell(anna, done.id)
    await personal.remove_lot(anna, made.id)
    assert await personal.lots(anna) == [back]
    with pytest.raises(BadRequest, match="no lot"):
        await personal.remove_lot(anna, made.id)
    assert await personal.remove_lot(anna, made.id, undo=True) == rest
    whole = await personal.sell(anna, rest, msgspec.structs.replace(rest, sold_on="2026-05-01", proceeds=1.0), None)
    assert whole.id == rest.id


async def test_of_two_sales_at_once_one_is_refused(here: Room) -> None:
    """Both were worded on the lot as it was; nothing is sold twice."""
    made = await here.personal.add_lot(here.anna, LOT)
    sold, rest = parts(made)
    results = await asyncio.gather(
        *(here.personal.sell(here.anna, made, sold, rest) for _ in range(2)), return_exceptions=True
    )
    refused = [each for each in results if isinstance(each, BadRequest)]
    assert len(refused) == 1
    assert "changed meanwhile" in refused[0].text
    assert sum(each.quantity for each in await here.personal.lots(here.anna)) == 0.5


async def test_nobody_touches_another_persons_lots(here: Room) -> None:
    """Neither seen, nor sold, nor removed; and no one has more than there may be."""
    made = await here.personal.add_lot(here.anna, LOT)
    assert await here.personal.lots(here.ben) == []
    for attempt in (
        here.personal.lot(here.ben, made.id),
        here.personal.sell(here.ben, made, made, None),
        here.personal.unsell(here.ben, made.id),
        here.personal.remove_lot(here.ben, made.id),
    ):
        with pytest.raises(BadRequest, match="no lot"):
            await attempt
    row = {name: getattr(LOT, name) for name in keeping.LOT_COLUMNS} | {"owner_id": here.anna.user.owner_id}
    many = [row | {"created_at": NOW} for _ in range(MOST_LOTS - 1)]
    await here.ledger.write(lambda c: c.execute(t.lots.insert(), many))
    with pytest.raises(BadRequest, match=str(MOST_LOTS)):
        await here.personal.add_lot(here.anna, LOT)


# ---------------------------------------------------------------------------------------------- digests


async def plan(here: Room, at_s: int = 9 * HOUR_S, who: Request | None = None, **more: Any) -> Any:
    values = {"weekdays": "0123456", "about": "all", "destination_id": None} | more
    return await here.personal.set_digest(who or here.anna, at_s=at_s, **values)


async def test_a_digest_is_set_once_and_switched(here: Room) -> None:
    """The same plan again is the same digest; off and on again it skips what was due meanwhile."""
    made = await plan(here)
    assert (made.next_at, made.time_zone, made.enabled) == (NOW + HOUR_S * SECOND_US, "UTC", True)
    assert (await plan(here)).id == made.id
    assert (await plan(here, about="portfolio")).id != made.id
    off = await here.personal.switch_digests(here.anna, None, on=False)
    assert [each.enabled for each in off] == [False, False]
    here.now = NOW + 2 * HOUR_S * SECOND_US
    (on,) = await here.personal.switch_digests(here.anna, made.id, on=True)
    assert on.next_at == NOW + 25 * HOUR_S * SECOND_US
    await here.personal.remove_digest(here.anna, made.id)
    assert [each.about for each in await here.personal.digests(here.anna)] == ["portfolio"]


async def test_digests_have_limits_and_owners(here: Room) -> None:
    """Another person's digest or destination is not there."""
    made = await plan(here)
    assert await here.personal.digests(here.ben) == []
    for attempt in (
        here.personal.remove_digest(here.ben, made.id),
        here.personal.switch_digests(here.ben, made.id, on=False),
        here.personal.switch_digests(here.ben, None, on=False),
    ):
        with pytest.raises(BadRequest, match="no digest"):
            await attempt
    with pytest.raises(BadRequest, match="no destination 1"):
        await plan(here, who=here.ben, destination_id=1)
    for number in range(MOST_DIGESTS - 1):
        await plan(here, at_s=number * 60)
    with pytest.raises(BadRequest, match="no one can have more"):
        await plan(here, at_s=23 * HOUR_S)


# ------------------------------------------------------------------------------------------- all of it


async def furnished(here: Room, state: str = "deleted") -> None:
    """Something of Anna's in every table of people, and as much of Ben's."""
    for who in (here.anna, here.ben):
        own = who.user
        place = await here.ledger.write(
            lambda c, own=own: people.add_destination(c, own.owner_id, "push", f"{SECRET}-{own.id}", "", NOW)  # type: ignore[misc]
        )
        await here.personal.watch(who, "", ["XAU-USD"])
        await here.personal.add_lot(who, msgspec.structs.replace(LOT, note=f"note of {own.name}"))
        await plan(here, who=who, destination_id=place.id)
        number = 100 + own.id
        alert = {"id": number, "owner_id": own.owner_id, "user_id": own.id, "text": "XAU-USD > 2400", "series": "s",
                 "instrument": "XAU-USD", "state": state, "armed_at": NOW, "created_at": NOW}  # fmt: skip
        trigger = {"id": number, "alert_id": number, "generation": 1, "direction": "up", "level": 1.0, "price": 1.0,
                   "received_at": NOW, "source": "demo", "nature": "live", "late": False, "stream": "s", "sequence": 1,
                   "ticked_at": NOW, "created_at": NOW}  # fmt: skip
        note = {"key": f"k{number}", "destination_id": place.id, "alert_id": number, "trigger_id": number, "title": "t",
                "text": "x", "state": "sent", "due_at": NOW, "created_at": NOW}  # fmt: skip
        await here.execute(t.alerts.insert().values(alert))
        await here.execute(t.alert_events.insert().values(alert_id=number, at=NOW, text=f"created by {own.name}"))
        await here.execute(t.triggers.insert().values(trigger))
        await here.execute(t.notifications.insert().values(note))
        gap = {"owner_id": own.owner_id, "instrument": "XAU-USD", "since": NOW}
        await here.execute(t.gaps.insert().values(**gap))
        code = {"hash": f"s3cret-{number}", "user_id": own.id, "created_at": NOW, "expires_at": NOW}
        await here.execute(t.codes.insert().values(**code))


def test_every_table_is_somebodys_or_nobodys() -> None:
    """A new table has to say which it is before a person can be read out or forgotten without it."""
    assert {table.name for table in belongings.PERSONAL} | NOT_PERSONAL == set(t.metadata.tables)


async def test_all_that_is_known_of_a_person_is_read_out_without_secrets(here: Room) -> None:
    """Every table with their rows; no address; nothing of anybody else."""
    await furnished(here)
    rows, counts = await here.personal.belongings(here.anna)
    assert {name: len(each) for name, each in rows.items()} == dict(counts)
    assert all(counts.values())
    told = str(rows)
    assert "s3cret" not in told
    assert "push ntfy ale" in told
    assert "note of Anna-Xq7" in told
    assert "Ben" not in told


async def test_of_what_grows_by_itself_the_newest_are_read_out(here: Room) -> None:
    """And the counts say how many there are."""
    await furnished(here)
    rows = [{"alert_id": 100 + here.anna.user.id, "at": NOW + number, "text": str(number)} for number in range(5)]
    await here.ledger.write(lambda c: c.execute(t.alert_events.insert(), rows))
    read = await here.ledger.read(lambda c: belongings.read_out(c, here.anna.user, 2))
    assert [row["text"] for row in read["alert_events"]] == ["3", "4"]


async def test_a_person_is_forgotten_without_a_trace(here: Room) -> None:
    """No table has their numbers, their names, their addresses; everybody else's rows stay; they can come again."""
    await furnished(here)
    own, other = here.anna.user, here.ben.user
    _, before = await here.personal.belongings(here.ben)
    going = await here.personal.going(here.anna)
    gone = await here.personal.forget(here.anna, going.code)
    assert gone == going.counts
    assert all(gone.values())
    left = await here.everything()
    for trace in ("Anna-Xq7", "'anna'", f"{SECRET}-{own.id}", f"removed:{own.id}"):
        assert trace not in left
    assert await here.ledger.read(lambda c: belongings.counts(c, own)) == dict.fromkeys(gone, 0)
    assert await here.ledger.read(_dangling) == []
    _, after = await here.personal.belongings(here.ben)
    assert after == before
    assert f"{SECRET}-{other.id}" in left
    assert (await here.request(ANNA)).user.name == "Anna-Xq7"


def _dangling(c: sa.Connection) -> list[str]:
    """Rows that name a row which is not there."""
    found = []
    for table in t.metadata.sorted_tables:
        for key in table.foreign_keys:
            parent = key.column.table
            there = sa.select(key.column).where(key.column == key.parent)
            query = sa.select(sa.func.count()).select_from(table).where(key.parent.is_not(None), ~there.exists())
            if c.execute(query).scalar():
                found.append(f"{table.name}.{key.parent.name} → {parent.name}")
    return found


async def test_a_code_is_good_for_some_minutes_and_for_what_there_was(here: Room) -> None:
    """It ends with its time, and with whatever is added; nothing is removed by a wrong one."""
    await furnished(here)
    code = (await here.personal.going(here.anna)).code
    assert code != (await here.personal.going(here.ben)).code
    here.now = NOW + 299 * SECOND_US
    await here.personal.confirm(here.anna, code.upper())
    for wrong in ("", "000000", (await here.personal.going(here.ben)).code):
        with pytest.raises(BadRequest, match="Write forget for another"):
            await here.personal.forget(here.anna, wrong)
    here.now = NOW + 600 * SECOND_US
    with pytest.raises(BadRequest, match="some minutes"):
        await here.personal.confirm(here.anna, code)
    code = (await here.personal.going(here.anna)).code
    await here.personal.watch(here.anna, "new", ["XAU-USD"])
    with pytest.raises(BadRequest, match="as it was"):
        await here.personal.confirm(here.anna, code)
    _, counts = await here.personal.belongings(here.anna)
    assert all(counts.values())


async def test_who_has_an_alert_that_may_ring_is_not_forgotten(here: Room) -> None:
    """The engine holds it in memory; the destinations stay on."""
    await furnished(here, state="armed")
    code = (await here.personal.going(here.anna)).code
    with pytest.raises(BadRequest, match="1 of your alerts may still ring"):
        await here.personal.forget(here.anna, code)
    places = await here.ledger.read(lambda c: people.destinations_of(c, here.anna.user.owner_id))
    assert all(not place.disabled for place in places)


async def test_forgetting_waits_for_what_is_on_its_way(here: Room) -> None:
    """A message in a bot's hands is marked first; what only waits is given up at once."""
    await furnished(here)
    place = (await here.ledger.read(lambda c: people.destinations_of(c, here.anna.user.owner_id)))[-1]
    await here.ledger.write(lambda c: outbox.add_test(c, place.id, "in flight", "x", NOW))
    (due,) = await here.ledger.write(lambda c: outbox.claim(c, "w", NOW, 60 * SECOND_US, 10, lambda _: None))
    await here.ledger.write(lambda c: outbox.add_test(c, place.id, "waits", "x", NOW + 1))
    code = (await here.personal.going(here.anna)).code
    forgetting = asyncio.create_task(here.personal.forget(here.anna, code))
    while await here.ledger.read(lambda c: people.destinations_of(c, here.anna.user.owner_id)):
        await asyncio.sleep(0.005)
    assert not forgetting.done()
    marked = await here.ledger.write(lambda c: outbox.mark_sent(c, [due.notification.id], "w", "m", "r", NOW))
    assert marked == 1
    assert (await forgetting)["notifications"] == 3


# ------------------------------------------------------------------------------------------- quiet hours


async def test_what_is_held_follows_the_hours_and_the_clock_of_its_person(here: Room) -> None:
    """At once, and nobody else's; other settings leave it as it is, and so does what one hub thinks it is still."""
    places = {}
    for request in (here.anna, here.ben):
        owner_id = request.user.owner_id
        place = await here.ledger.write(
            lambda c, owner_id=owner_id: people.add_destination(c, owner_id, "push", SECRET, "", NOW)  # type: ignore[misc]
        )
        places[owner_id] = place.id
        row = {"key": f"n:{place.id}", "destination_id": place.id, "title": "x", "text": "x", "created_at": NOW}
        await here.execute(t.notifications.insert().values(state="held", due_at=NOW + 60 * SECOND_US, **row))

    async def ends() -> list[int]:
        n = t.notifications.c
        query = sa.select(n.destination_id, n.due_at).where(n.state == "held")
        found = {row[0]: row[1] for row in await here.ledger.read(lambda c: c.execute(query).all())}
        assert found[places[here.ben.user.owner_id]] == NOW + 60 * SECOND_US
        return [(at - NOW) // SECOND_US for place, at in found.items() if place == places[here.anna.user.owner_id]]

    await here.personal.settle(here.anna, "quiet", "07:00-09:00")
    assert await ends() == [HOUR_S]
    await here.personal.settle(here.anna, "theme", "dark")
    await here.personal.settle(here.anna, "time_zone", "Asia/Kolkata")  # half past one there: it is none of them
    assert await ends() == [0]
    await here.personal.settle(here.anna, "quiet", "13:00-14:30")
    assert await ends() == [HOUR_S]
    await here.personal.settle(here.anna, "quiet", "")
    assert await ends() == [0]


# ------------------------------------------------------------------------------------------- migration


def old_ledger(path: Path) -> None:
    """A ledger of the first revision, with a person, an alert that rang, and its message."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection, "0001")
        for line in (
            "INSERT INTO owners VALUES (1, 'user', 'anna', 1)",
            "INSERT INTO users (id, owner_id, name, role, time_zone, created_at)"
            " VALUES (1, 1, 'anna', 'member', 'Asia/Kolkata', 1)",
            "INSERT INTO identities VALUES ('console', 'anna', 1, 'anna')",
            "INSERT INTO destinations (id, owner_id, platform, address, label, created_at)"
            " VALUES (1, 1, 'console', 'anna', 'console', 1)",
            "INSERT INTO alerts (id, owner_id, user_id, text, instrument, series, state, armed_at, created_at)"
            " VALUES (1, 1, 1, 'XAU-USD > 2400', 'XAU-USD', 's', 'done', 1, 1)",
            "INSERT INTO notifications (id, key, destination_id, alert_id, title, text, state, due_at, created_at)"
            " VALUES (1, 'k', 1, 1, 'Gold rose', 'x', 'due', 1, 1)",
        ):
            connection.exec_driver_sql(line)
    engine.dispose()


async def test_a_ledger_of_the_first_revision_opens_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Its people have no tastes yet, and can keep lists."""
    old_ledger(tmp_path / "ledger.db")
    async with open_ledger(Config(folder=tmp_path)) as ledger:
        assert await ledger.read(revision_of) == t.REVISION
        user = await ledger.read(lambda c: people.find_user(c, Who(platform="console", id="anna")))
        assert user is not None
        assert (user.time_zone, user.currency, user.weight, user.theme) == ("Asia/Kolkata", "", "", "")
        assert (user.language, user.quiet) == ("", "")
        request = Request(name="", arguments="", user=user, who=ANNA)
        await Personal(ledger, lambda: NOW).watch(request, "", ["XAU-USD"])
        counts = await ledger.read(lambda c: belongings.counts(c, user))
        assert (counts["notifications"], counts["watchlists"]) == (1, 1)


async def test_a_migration_that_fails_leaves_the_old_ledger_as_it_was(tmp_path: Path) -> None:
    """Not half of it: with what was in the way gone, it opens."""
    path = tmp_path / "ledger.db"
    old_ledger(path)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE digests (in_the_way TEXT)")
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        async with open_ledger(Config(folder=tmp_path)):
            pass
    with closing(sqlite3.connect(path)) as raw, raw:
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {row[1] for row in raw.execute("PRAGMA table_info(users)")}
        assert "watchlists" not in tables
        assert "currency" not in columns
        raw.execute("DROP TABLE digests")
    raw.close()
    async with open_ledger(Config(folder=tmp_path)) as ledger:
        assert await ledger.read(revision_of) == t.REVISION


async def test_a_persons_tastes_are_read(tmp_path: Path) -> None:
    """Currency, weight and theme come with the person."""
    async with open_ledger(Config(folder=tmp_path)) as ledger:
        made = await ledger.write(lambda c: people.user_of(c, ANNA, NOW))
        tastes = {"currency": "INR", "weight": "tola", "theme": "dark red-up"}
        await ledger.write(lambda c: c.execute(t.users.update().values(**tastes)))
        found = await ledger.read(lambda c: people.find_user(c, ANNA))
        assert found == msgspec.structs.replace(made, **tastes)
        assert found == await ledger.read(lambda c: people.user(c, made.id))
        assert await ledger.read(lambda c: people.user(c, 99)) is None
