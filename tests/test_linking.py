"""Accounts that become one person, and the operator: on both stores, with the real engine."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import structlog.testing

from hub import bothost
from hub import bus as subjects
from hub.ledger import belongings
from hub.ledger import tables as t
from hub.ledger.codes import LENGTH, LETTERS, new
from hub.model import SECOND_US, AlertAnswer, AlertChange, Who
from tests.people_room import ANNA, ANNA_ON_SLACK, BEN, OPERATOR, Room, in_group, room
from tests.test_engine import running, through

MINUTE_US = 60 * SECOND_US
MALLORY = Who(platform="telegram", id="99", name="Mallory", address="99")


@pytest.fixture(params=["sqlite", "postgres"])
async def here(request: pytest.FixtureRequest, nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    async with room(nats_server, tmp_path / "hub", url) as opened:
        yield opened


@pytest.fixture
async def small(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


async def furnished(here: Room, who: Who, level: int) -> None:
    """Something in every table that a person keeps."""
    await here.done(f"alert gold > {level}", who)
    await here.done("watch gold", who)
    await here.done("portfolio add 10 g gold for 700 usd 2023-01-02", who)
    await here.done("digest 08:00", who)
    await here.done("push add https://hooks.example.org/shared", who)


async def test_two_accounts_become_one_person_with_one_book_of_alerts(here: Room) -> None:
    """All that the joining one had is the other's: it is seen from both, rings in both chats, the old row goes."""
    await here.tell(2300)
    await furnished(here, ANNA, 2400)
    await furnished(here, ANNA_ON_SLACK, 2500)
    asked = await here.done(f"link {await here.code(ANNA)}", ANNA_ON_SLACK)
    assert asked.facts["moves"] == {"alerts": 1, "digests": 1, "lots": 1, "watchlists": 1}
    assert (await here.done(asked.buttons[0].line, ANNA_ON_SLACK)).facts["person"] == "Anna"

    assert "came along when anna and Anna became one" in "\n".join((await here.done("why 2", ANNA)).lines)
    for who in (ANNA, ANNA_ON_SLACK):
        assert [row[1] for row in (await here.done("alerts", who)).table[1:]] == [
            "Gold rises to 2,400.00 or above, once",
            "Gold rises to 2,500.00 or above, once",
        ]
    assert len(await here.rows(sa.select(t.users.c.id))) == 1 == len(await here.rows(sa.select(t.owners.c.id)))
    counts = {table.name: len(await here.rows(sa.select(table))) for table in (t.lots, t.watchlists, t.digests)}
    assert counts == {"lots": 2, "watchlists": 1, "digests": 1}
    places = await here.rows(sa.select(t.destinations.c.platform).order_by(t.destinations.c.id))
    assert sorted(places) == [("slack",), ("telegram",), ("webhook",)]

    await here.tell(2600)
    both = {("telegram", "11"), ("slack", "D1"), ("webhook", "https://hooks.example.org/shared")}
    assert set(await here.reached()) == both
    assert len(await here.reached()) == 2 * len(both)


async def test_an_engine_that_starts_again_knows_whose_the_alerts_are(small: Room) -> None:
    """What went over is committed as it is remembered."""
    await small.tell(2300)
    await small.done("alert gold > 2400", ANNA_ON_SLACK)
    await small.done(f"link {await small.code(ANNA)} yes", ANNA_ON_SLACK)
    async with running(small.bus, small.ledger) as second:
        await through(second, await small.stream.tell(2410))
    assert set(await small.reached()) == {("telegram", "11"), ("slack", "D1")}


async def test_of_two_alerts_in_the_same_words_one_rings(here: Room) -> None:
    """The other is deleted and says why; also a snoozed one does not come back."""
    await here.tell(2300)
    for who in (ANNA, ANNA_ON_SLACK):
        await here.done("alert gold > 2400", who)
    number = (await here.done("alerts", ANNA_ON_SLACK)).table[1][0]
    await here.done(f"snooze {number} 1h", ANNA_ON_SLACK)
    await here.done(f"link {await here.code(ANNA)} yes", ANNA_ON_SLACK)
    assert len((await here.done("alerts", ANNA)).table) == 2
    assert "has the same" in "\n".join((await here.done(f"why {number}", ANNA)).lines)
    await here.tell(2410)
    assert len(await here.rows(sa.select(t.triggers.c.id))) == 1


async def test_lists_of_one_name_become_one(small: Room) -> None:
    """With what both held."""
    await small.done("watch metals: gold silver", ANNA)
    await small.done("watch metals: silver platinum", ANNA_ON_SLACK)
    await small.done(f"link {await small.code(ANNA)} yes", ANNA_ON_SLACK)
    assert await small.rows(sa.select(t.watchlists.c.instruments)) == [("XAU-USD XAG-USD XPT-USD",)]


async def test_nothing_of_the_former_person_is_left(here: Room) -> None:
    """No row of any table names them."""
    await furnished(here, ANNA_ON_SLACK, 2500)
    (old,) = await here.rows(sa.select(t.users.c.id, t.users.c.owner_id))
    await here.done("price", ANNA)
    await here.done(f"link {await here.code(ANNA)} yes", ANNA_ON_SLACK)
    for table in belongings.PERSONAL:
        for column, number in (("user_id", old[0]), ("owner_id", old[1])):
            if column in table.c:
                assert await here.rows(sa.select(table).where(table.c[column] == number)) == [], table.name


async def test_somebody_who_only_just_came_joins_without_a_question(small: Room) -> None:
    """Their first line is the code, and their chat is a destination from then on."""
    await small.done("price", ANNA)
    joined = await small.done(f"link {(await small.code(ANNA)).lower().replace('-', '')}", ANNA_ON_SLACK)
    assert joined.title == "You are Anna here too"
    assert joined.private
    table = (await small.done("link", ANNA_ON_SLACK)).table
    assert table[1:] == (("Slack", "anna"), ("Telegram", "Anna"))


async def test_a_code_is_good_once_and_for_ten_minutes(here: Room) -> None:
    """And the newest of a person only; only its hash is kept."""
    await here.done("price", ANNA)
    first, second = await here.code(ANNA), await here.code(ANNA)
    assert "not good" in await here.refused(f"link {first}", ANNA_ON_SLACK)
    assert second not in str(await here.rows(sa.select(t.codes)))
    here.now += 10 * MINUTE_US
    assert "not good" in await here.refused(f"link {second}", ANNA_ON_SLACK)
    third = await here.code(ANNA)
    here.now += 9 * MINUTE_US
    await here.done(f"link {third}", ANNA_ON_SLACK)
    assert "not good" in await here.refused(f"link {third}", BEN)


async def test_wrong_codes_are_counted(small: Room) -> None:
    """After some of them even the right one has to wait, and so has who makes too many."""
    await small.done("price", ANNA)
    for _ in range(5):
        assert "not good" in await small.refused("link 2222-2222", MALLORY)
    assert "too many" in await small.refused("link 3333-3333", MALLORY)
    for _ in range(10):
        await small.code(ANNA)
    assert "too many" in await small.refused("link", ANNA)
    small.now += 10 * MINUTE_US
    await small.code(ANNA)


async def test_nobody_takes_an_operator_over_by_a_code(small: Room) -> None:
    """Whoever may more is not joined to whoever may less; one's own code joins nothing; no text is a code."""
    await small.done("price", OPERATOR)
    code = await small.code(MALLORY)
    assert "say that code over there" in await small.refused(f"link {code} yes", OPERATOR)
    assert "your own" in await small.refused(f"link {code}", MALLORY)
    assert "eight letters" in await small.refused("link me please", MALLORY)
    assert len(await small.rows(sa.select(t.users.c.id))) == 2


async def test_without_an_engine_nothing_is_joined_and_the_code_stays_good(nats_server: Any, tmp_path: Path) -> None:
    """The person hears that nothing was changed."""
    async with room(nats_server, tmp_path / "hub", engine=False) as here:
        await here.done("price", ANNA)
        code = await here.code(ANNA)
        assert "nothing was changed" in await here.refused(f"link {code}", ANNA_ON_SLACK)
        assert len(await here.rows(sa.select(t.users.c.id))) == 2
        async with running(here.bus, here.ledger) as engine, here.bus.serve(subjects.alerts("engine"), engine.answer):
            await here.done(f"link {code}", ANNA_ON_SLACK)


async def test_an_adoption_of_somebody_who_is_not_there_changes_nothing(small: Room) -> None:
    """As where the same request comes twice."""
    await small.done("price", ANNA)
    twice = AlertChange(action="adopt", owner_id=1, user_id=1, from_owner_id=7, from_user_id=7)
    answer = msgspec.json.decode(await small.engine.answer(msgspec.json.encode(twice)), type=AlertAnswer)
    assert "not there any more" in answer.error


def digest_to(c: sa.Connection, address: str) -> Any:
    """A digest of the only person that goes to that address alone."""
    place = c.execute(sa.select(t.destinations.c.id).where(t.destinations.c.address == address)).scalar_one()
    values = {"at_s": 0, "weekdays": "0", "about": "all", "time_zone": "UTC", "next_at": 0, "created_at": 0}
    return t.digests.insert().values(owner_id=1, user_id=1, destination_id=place, enabled=True, **values)


async def test_an_account_is_taken_away_again(here: Room) -> None:
    """Its chat gets nothing more, what is kept stays with the rest, and the next line makes somebody new."""
    await here.tell(2300)
    await here.done("alert gold > 2400", ANNA)
    assert "nothing to take apart" in await here.refused("unlink", ANNA)
    await here.done(f"link {await here.code(ANNA)}", ANNA_ON_SLACK)
    assert "not known on discord" in await here.refused("unlink discord", ANNA)
    await here.ledger.write(lambda c: c.execute(digest_to(c, "D1")))
    await here.done("unlink slack", ANNA)
    await here.tell(2410)
    assert await here.reached() == [("telegram", "11")]
    assert (await here.done("alerts", ANNA_ON_SLACK)).table == ()
    assert await here.rows(sa.select(t.digests.c.destination_id)) == [(None,)]
    assert "D1" not in str(await here.rows(sa.select(t.destinations).where(t.destinations.c.owner_id == 1)))


async def test_the_code_that_the_hub_prints_makes_the_operator(here: Room) -> None:
    """Once, for whoever sends it first; it is in `status` on this machine only, and gone when it was used."""
    with structlog.testing.capture_logs() as told:
        await here.commands._people.begin()
    (code,) = re.findall(r"link (\w+-\w+)", str(told))
    assert code in "\n".join((await here.done("status", Who(platform="console", id="eve"))).lines)
    assert code not in str(await here.done("status", ANNA))
    assert "operator" in (await here.done(f"link {code}", ANNA)).title
    assert (await here.done("role", ANNA)).table[1][2] == "operator"
    assert "not good" in await here.refused(f"link {code}", MALLORY)
    assert code not in str(await here.done("status", OPERATOR))
    with structlog.testing.capture_logs() as told:
        await here.commands._people.begin()
    assert told == []


async def test_the_hub_s_code_ends_once_somebody_operates_it_from_elsewhere(small: Room) -> None:
    """A console's operator who links their phone needs no code any more, and nobody else may use it."""
    with structlog.testing.capture_logs() as told:
        await small.commands._people.begin()
    (code,) = re.findall(r"link (\w+-\w+)", str(told))
    await small.done("price", OPERATOR)
    await small.done(f"link {await small.code(OPERATOR)}", ANNA)
    assert (await small.done("role", ANNA)).table[1][2] == "operator"
    assert "not good" in await small.refused(f"link {code}", MALLORY)


async def test_a_deep_link_carries_the_code_where_a_bot_says_its_address(small: Room) -> None:
    """As the bot's status says it."""

    async def status(_: bytes) -> bytes:
        return b'{"service": "bot.telegram", "invite": "https://t.me/our_bot?start={code}"}'

    async with small.bus.serve("status", status):
        reply = await small.done("link", ANNA)
    code = str(reply.facts["code"]).replace("-", "")
    assert f"Telegram: https://t.me/our_bot?start={code}" in reply.lines


async def test_a_bot_s_status_names_its_address_once_it_knows_it() -> None:
    """And nothing before that."""
    bot: Any = SimpleNamespace(invite="")
    tell = bothost._telling("telegram", ("telegram",), bothost.Sender(bot), bot)
    assert b"invite" not in (await tell(b"") or b"")
    bot.invite = "https://t.me/our_bot?start={code}"
    assert b'"invite":"https://t.me/our_bot?start={code}"' in (await tell(b"") or b"")


async def test_a_code_in_a_group_is_for_the_asker_alone(small: Room) -> None:
    """The answer is private, and it is about the person, not the group."""
    reply = await small.done("link", in_group(ANNA))
    assert reply.private
    assert reply.table[1:] == (("Telegram", "Anna"),)


def test_codes_are_drawn_from_letters_that_nobody_mistakes() -> None:
    """And none comes twice."""
    drawn = {new() for _ in range(1000)}
    assert len(drawn) == 1000
    assert all(re.fullmatch(rf"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", code) for code in drawn)
    assert len(LETTERS) ** LENGTH > 5e11
    assert not set("01OIL") & set(LETTERS)
