"""Groups and channels that own their alerts, private chats that are destinations, roles: on both stores."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from hub.callers import Callers
from hub.config import Config, LedgerSection
from hub.ledger import open_ledger
from hub.ledger import tables as t
from hub.model import Who
from tests.people_room import ANNA, BEN, OPERATOR, Room, in_group, room
from tests.streams import START

GROUP_ADMIN = in_group(ANNA, admin=True)
IN_GROUP = in_group(BEN)


@pytest.fixture(params=["sqlite", "postgres"])
async def here(request: pytest.FixtureRequest, nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    async with room(nats_server, tmp_path / "hub", url) as opened:
        yield opened


@pytest.fixture
async def small(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


# ---------------------------------------------------------------------------------------------- private


async def test_a_private_chat_is_a_destination_from_the_first_line_on(here: Room) -> None:
    """It is said once, and an alert rings there."""
    first = await here.done("price", ANNA)
    assert "Alerts that you set go here" in first.lines[-1]
    assert "go here" not in str(await here.done("price", ANNA))
    await here.tell(2300)
    assert "It goes to: telegram." in (await here.done("alert gold > 2400", ANNA)).lines
    await here.tell(2410)
    assert await here.reached() == [("telegram", "11")]


async def test_a_first_line_that_is_refused_tells_it_as_well(small: Room) -> None:
    """What is said once must not be lost."""
    reply = await small.say("alert gold > ", ANNA)
    assert not reply.ok
    assert "Alerts that you set go here" in reply.lines[-1]


async def test_a_chat_that_was_given_up_is_reached_again_once_its_person_writes(small: Room) -> None:
    """One that they switched off themselves stays off."""
    await small.done("price", ANNA)
    change = t.destinations.update().where(t.destinations.c.address == "11")
    await small.ledger.write(lambda c: c.execute(change.values(disabled="gone: blocked by its owner")))
    assert "reached again" in (await small.done("price", ANNA)).lines[-1]
    (number,) = (await small.rows(sa.select(t.destinations.c.id)))[0]
    await small.done(f"push off {number}", ANNA)
    await small.done("price", ANNA)
    assert (await small.rows(sa.select(t.destinations.c.disabled)))[0] == ("switched off by its owner",)


async def test_who_comes_from_a_group_first_has_their_chat_later(small: Room) -> None:
    """A group is nobody's private chat."""
    await small.done("price", IN_GROUP)
    assert await small.rows(sa.select(t.destinations.c.address)) == [("-100",)]
    assert "go here" in (await small.done("price", BEN)).lines[-1]


# ----------------------------------------------------------------------------------------------- groups


async def test_a_group_owns_its_alerts_and_they_ring_in_it(here: Room) -> None:
    """Everybody in it sees them, nobody has them elsewhere, and they belong to no person."""
    await here.tell(2300)
    set_ = await here.done("alert gold > 2400", GROUP_ADMIN)
    assert "It goes to: telegram: Gold traders." in set_.lines
    assert len((await here.done("alerts", IN_GROUP)).table) == 2
    assert (await here.done("alerts", ANNA)).table == ()
    assert "created by Anna" in "\n".join((await here.done(f"why {set_.facts['id']}", IN_GROUP)).lines)
    await here.tell(2410)
    assert await here.reached() == [("telegram", "-100")]
    going = await here.done("forget", ANNA)
    await here.done(going.buttons[1].line, ANNA)
    assert len((await here.done("alerts all", IN_GROUP)).table) == 2


@pytest.mark.parametrize("line", ["alert gold > 2400", "delete 1", "snooze 1 1h", "watch gold", "digest 08:00"])
async def test_in_a_group_only_its_admins_change_what_is_its(line: str, small: Room) -> None:
    """Until they let everyone; looking is for all."""
    await small.tell(2300)
    await small.done("alert gold > 2300", GROUP_ADMIN)
    assert "its admins set alerts" in await small.refused(line, IN_GROUP)
    for look in ("alerts", "why 1", "price gold", "place", "watch", "digest"):
        await small.done(look, IN_GROUP)
    assert "only the admins" in await small.refused("place everyone", IN_GROUP)
    await small.done("place everyone", GROUP_ADMIN)
    await small.done(line, IN_GROUP)
    await small.done("place admins", GROUP_ADMIN)
    assert "its admins set alerts" in await small.refused(line, IN_GROUP)


async def test_an_admin_of_the_hub_may_in_every_group(small: Room) -> None:
    """Also where the platform knows them as nobody."""
    await small.done("price", OPERATOR)
    await small.done("price", BEN)
    await small.done("role ben admin", OPERATOR)
    await small.done("place everyone", IN_GROUP)
    await small.done("place admins", IN_GROUP)
    await small.done("alert gold > 2400", IN_GROUP)


async def test_a_person_s_own_things_stay_theirs_in_a_group(small: Room) -> None:
    """Portfolio, destinations, settings: about the person, for their eyes; the group's own are not touched."""
    await small.done("portfolio add 10 g gold for 700 usd 2023-01-02", BEN)
    for line in ("portfolio", "push", "settings", "export", "forget", "link"):
        reply = await small.say(line, IN_GROUP)
        assert reply.private, line
        assert "lists" not in reply.title
    shown = await small.done("settings zone Asia/Kolkata", IN_GROUP)
    assert shown.facts["time_zone"] == "Asia/Kolkata"
    assert (await small.done("settings", BEN)).facts["time_zone"] == "Asia/Kolkata"
    assert (await small.done("place", IN_GROUP)).facts["time_zone"] == "UTC"
    assert [row[2] for row in (await small.done("push", IN_GROUP)).table[1:]] == ["telegram"]


async def test_a_group_has_its_own_time_zone_language_and_ear(here: Room) -> None:
    """Its replies go by them, whoever asks; detection is what a bot reads of the place."""
    await here.done("place zone Asia/Kolkata", GROUP_ADMIN)
    assert (await here.done("place detect on", GROUP_ADMIN)).facts["detect"] is True
    told = (await here.done("place", IN_GROUP)).facts
    assert (told["time_zone"], told["detect"], told["who_may"]) == ("Asia/Kolkata", True, "admins")
    await here.done("place language de", GROUP_ADMIN)
    assert (await here.done("place", IN_GROUP)).title == "Dieser Ort"
    assert (await here.done("settings", IN_GROUP)).title == "Your settings"
    await here.done("digest 08:00", GROUP_ADMIN)
    assert await here.rows(sa.select(t.digests.c.time_zone)) == [("Asia/Kolkata",)]


async def test_a_group_that_is_renamed_or_has_topics_stays_the_same(small: Room) -> None:
    """One destination, which moves only where an admin says so."""
    await small.done("alert gold > 2400", GROUP_ADMIN)
    topic = msgspec.structs.replace(GROUP_ADMIN, place_name="Silver traders", address="-100:7")
    await small.done("place", topic)
    assert await small.rows(sa.select(t.places.c.name)) == [("Silver traders",)]
    assert await small.rows(sa.select(t.destinations.c.address).where(t.destinations.c.address != "11")) == [("-100",)]
    assert "only the admins" in await small.refused("place here", msgspec.structs.replace(topic, id="22", admin=False))
    await small.done("place here", topic)
    assert ("-100:7",) in await small.rows(sa.select(t.destinations.c.address))
    assert len((await small.done("alerts", topic)).table) == 2


async def test_a_group_that_threw_the_bot_out_is_reached_again_once_it_is_back(small: Room) -> None:
    """Somebody writes to it there."""
    await small.done("alert gold > 2400", GROUP_ADMIN)
    change = t.destinations.update().where(t.destinations.c.address == "-100").values(disabled="gone: kicked")
    await small.ledger.write(lambda c: c.execute(change))
    await small.done("price", IN_GROUP)
    where = t.destinations.c.address == "-100"
    assert await small.rows(sa.select(t.destinations.c.disabled).where(where)) == [("",)]


async def test_a_group_that_got_another_number_keeps_its_alerts(here: Room) -> None:
    """As where a platform makes a large one of a small one: delivery keeps the new address, and by it it is known."""
    await here.done("alert gold > 2400", GROUP_ADMIN)
    change = t.destinations.update().where(t.destinations.c.address == "-100").values(address="-1009")
    await here.ledger.write(lambda c: c.execute(change))
    grown = in_group(ANNA, admin=True, place="-1009")
    assert len((await here.done("alerts", grown)).table) == 2
    assert await here.rows(sa.select(t.places.c.external_id)) == [("-1009",)]
    nowhere = msgspec.structs.replace(in_group(ANNA, place="-3"), address="")
    assert (await here.done("alerts", nowhere)).table == ()


@pytest.mark.parametrize("line", ["place loud", "place detect maybe", "place zone Atlantis", "place language klingon"])
async def test_what_a_place_cannot_be_is_explained(line: str, small: Room) -> None:
    """And in a private chat there is no place."""
    assert await small.refused(line, GROUP_ADMIN)
    assert "no group" in await small.refused("place", ANNA)


async def test_places_of_two_platforms_are_two(small: Room) -> None:
    """Also under one number."""
    await small.done("alert gold > 2400", GROUP_ADMIN)
    elsewhere = Who(platform="discord", id="5", place="-100", address="channel:-100", admin=True)
    assert (await small.done("alerts", elsewhere)).table == ()


# ------------------------------------------------------------------------------------------------ roles


async def test_roles_are_given_by_who_may(here: Room) -> None:
    """An operator gives all of them, an admin those below, a member none; the last operator stays."""
    await here.done("price", OPERATOR)
    await here.done("price", ANNA)
    await here.done("price", BEN)
    assert "not for the role member" in await here.refused("role", ANNA)
    await here.done("role anna admin", OPERATOR)
    people = {row[1]: row[2] for row in (await here.done("role", ANNA)).table[1:]}
    assert people == {"operator": "operator", "Anna": "admin", "Ben": "member"}
    await here.done("role Ben guest", ANNA)
    assert "not for the role guest" in await here.refused("alerts", BEN)
    for line in ("role ben admin", "role operator guest", "role anna operator"):
        assert "only an operator" in await here.refused(line, ANNA)
    assert "only operator" in await here.refused("role operator member", OPERATOR)
    assert "nobody" in await here.refused("role zoe admin", OPERATOR)
    assert "one of: operator" in await here.refused("role anna king", OPERATOR)
    number = (await here.done("role ben operator", OPERATOR)).facts["id"]
    await here.done("role operator member", BEN)
    assert (await here.done("role", BEN)).table[1][0] == str(number)


async def test_people_of_one_name_are_told_apart_by_number(small: Room) -> None:
    """A name alone is not guessed."""
    await small.done("price", OPERATOR)
    await small.done("price", ANNA)
    await small.done("price", msgspec.structs.replace(ANNA, id="12", address="12"))
    assert "are several" in await small.refused("role Anna admin", OPERATOR)
    assert (await small.done("role 3 admin", OPERATOR)).facts["id"] == 3


async def test_where_strangers_are_guests_they_only_look(nats_server: Any, tmp_path: Path) -> None:
    """`[hub] default_role`; also in a group that they administer."""
    async with room(nats_server, tmp_path / "hub", role="guest") as here:
        await here.done("price", ANNA)
        assert "not for the role guest" in await here.refused("alert gold > 2400", ANNA)
        assert "not for the role guest" in await here.refused("alert gold > 2400", GROUP_ADMIN)
        await here.done("link", ANNA)


async def test_two_cores_that_meet_somebody_at_once_make_one_person_and_one_place(
    postgres_url: str, tmp_path: Path
) -> None:
    """Two messages of one person, answered side by side."""
    config = Config(folder=tmp_path, ledger=LedgerSection(url=postgres_url))
    async with open_ledger(config) as one, open_ledger(config) as other:
        callers = [Callers(ledger, config, lambda: START, lambda: "") for ledger in (one, other)]
        for number in range(10):
            who = in_group(Who(platform="telegram", id=f"7{number}", name="Zoe"), place=f"-5{number}")
            met = await asyncio.gather(*(each.meet(who) for each in callers))
            assert met[0].person == met[1].person
            assert met[0].place == met[1].place
        count = await one.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(t.identities)).scalar())
        assert count == 10
