"""From a person's slash command to the ledger and back: the bot in its host, real commands, engine and delivery."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub import bothost
from hub.config import BotSection, Config, DeliverySection
from hub.delivery import Delivery
from hub.ledger import tables as t
from tests.discord_room import ADMIN, ANNA, GOLD
from tests.fakes import discord_parts as parts
from tests.fakes.discord import FakeDiscord, served
from tests.fakes.discord_rest import Asked
from tests.people_room import OPERATOR, Room, room
from tests.streams import START
from tests.waiting import until_true

# libraries import ones that Python 3.13 no longer has
pytestmark = [
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]

HIDDEN = 64


@asynccontextmanager
async def hosted(fake: FakeDiscord, server: Any) -> AsyncIterator[None]:
    """The bot as its process runs it; it ends in order."""
    settings = {"token": fake.token, "charts_with_alerts": False}
    config = Config(bots=(BotSection(name="discord", module="discord", settings=settings),))
    stop = asyncio.Event()
    fake.connected.clear()
    running = asyncio.create_task(bothost.main("discord", config, server.url, server.token, stop))

    async def ready() -> bool:
        if running.done():
            running.result()
        return fake.connected.is_set() and bool(fake.commands)

    await until_true(ready, 20)
    try:
        yield
    finally:
        stop.set()
        assert await running == 0


@pytest.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with served() as made:
        yield made


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        began = time.monotonic_ns()
        clock = lambda: START + (time.monotonic_ns() - began) // 1000  # noqa: E731  # the room's own day
        catalogue = opened.commands.catalogue
        delivery = Delivery(opened.bus, opened.ledger, catalogue, DeliverySection(), "w", clock=clock)
        running = asyncio.create_task(delivery.run())
        yield opened
        running.cancel()
        await asyncio.wait({running})


async def alerts(here: Room) -> list[tuple[str, str]]:
    return await here.rows(sa.select(t.alerts.c.state, t.alerts.c.text).order_by(t.alerts.c.id))


def text(asked: Asked) -> str:
    assert asked.shown is not None, "a message was to be shown"
    return parts.text_of(asked.shown)


async def test_from_the_menu_to_the_bell(fake: FakeDiscord, nats_server: Any, here: Room) -> None:
    """Every command is there; a form makes the alert, it rings with its buttons, and one of them says what it did."""
    await here.tell(2300)
    private = fake.private(ANNA)
    async with hosted(fake, nats_server):
        assert {"price", "chart", "alert", "alerts", "snooze", "link", "tocsin"} <= {
            one["name"] for one in fake.commands
        }
        form = await (await fake.slash(private, ANNA, "alert")).answered()
        values = {"instrument": "gold", "condition": "above", "level": "2400"}
        made = await (await fake.submit(form, ANNA, **values)).answered()
        assert "Alert 1 is set" in text(made), text(made)
        assert [state for state, _ in await alerts(here)] == ["armed"]
        before = len(fake.messages[private])
        await here.tell(2410)
        rung = (await fake.until(private, before + 1, 15))[before]
        assert "2,400" in parts.text_of(rung) and "2,410" in parts.text_of(rung)
        await (await fake.press(rung, ANNA, "Delete")).answered()
        assert "User 5" in parts.text_of(rung).splitlines()[-1] and "2,410" in parts.text_of(rung)
        assert (await alerts(here))[0][0] == "deleted"
        await (await fake.press(rung, ANNA, "Undo")).answered()
        assert (await alerts(here))[0][0] != "deleted"
    assert not fake.limited


async def test_a_channel_its_rights_and_its_bell(fake: FakeDiscord, nats_server: Any, here: Room) -> None:
    """Who manages the channel sets its alerts, others are refused for their own eyes; it rings there."""
    await here.tell(2300)
    async with hosted(fake, nats_server):
        refused = await (await fake.slash(GOLD, ANNA, "tocsin", line="alert gold > 2500")).answered()
        assert refused.shown is not None and refused.shown["flags"] & HIDDEN and await alerts(here) == []
        made = await (await fake.slash(GOLD, ADMIN, "tocsin", line="alert gold > 2500")).answered()
        assert "is set" in text(made) and len(await alerts(here)) == 1
        before = len(fake.messages[GOLD])
        await here.tell(2510)
        rung = (await fake.until(GOLD, before + 1, 15))[before]
        assert "2,500" in parts.text_of(rung) and not rung["pings"]


async def test_a_person_is_answered_in_their_own_language(fake: FakeDiscord, nats_server: Any, here: Room) -> None:
    """Discord says which one their client speaks; slash commands say what they do in it."""
    fake.locale = "de"
    await here.tell(2300)
    async with hosted(fake, nats_server):
        made = await (await fake.slash(fake.private(ANNA), ANNA, "tocsin", line="gold > 2500")).answered()
        assert "Alarm 1 ist gesetzt" in text(made) and "2.500,00" in text(made)
        assert any("de" in one.get("description_localizations", {}) for one in fake.commands)


async def test_a_code_from_elsewhere_joins_two_identities(fake: FakeDiscord, nats_server: Any, here: Room) -> None:
    """One person, one book of alerts."""
    async with hosted(fake, nats_server):
        code = await here.code(OPERATOR)
        joined = await (await fake.slash(fake.private(ANNA), ANNA, "tocsin", line=f"link {code}")).answered()
        assert "operator" in text(joined)
        assert len(await here.rows(sa.select(t.users.c.id))) == 1


async def test_who_blocks_the_bot_is_switched_off(fake: FakeDiscord, nats_server: Any, here: Room) -> None:
    """The destination says why."""
    await here.tell(2300)
    async with hosted(fake, nats_server):
        await (await fake.slash(fake.private(ANNA), ANNA, "tocsin", line="gold > 2400")).answered()
        fake.refusing[ANNA] = (403, 50007)
        await here.tell(2410)

        async def off() -> str:
            return str((await here.rows(sa.select(t.destinations.c.disabled)))[0][0] or "")

        assert "50007" in await until_true(off, 15)


async def test_a_discord_that_is_down_delays_alerts_and_loses_none(
    fake: FakeDiscord, nats_server: Any, here: Room
) -> None:
    """They arrive once it is back, each once."""
    await here.tell(2300)
    async with hosted(fake, nats_server):
        private = fake.private(ANNA)
        for level in (2400, 2410, 2420):
            await (await fake.slash(private, ANNA, "tocsin", line=f"gold > {level}")).answered()
        before = len(fake.messages[private])
        fake.down = True
        await here.tell(2405, 2415, 2425)
        async with asyncio.timeout(10):
            while not any(request.endswith(("/messages", "/@me/channels")) for request in fake.requests):
                await asyncio.sleep(0.02)
        fake.down = False

        async def sent() -> bool:
            told = [parts.text_of(one) for one in fake.messages[private][before:]]
            return all(any(f"level 2,4{n}0.00" in one for one in told) for n in (0, 1, 2))

        await until_true(sent, 30)
        told = "\n".join(one["embeds"][n].get("title", "") for one in fake.messages[private][before:]
                         for n in range(len(one["embeds"])))  # fmt: skip
        assert [told.count(f"level 2,4{n}0.00") for n in (0, 1, 2)] == [1, 1, 1]


async def test_a_button_outlives_the_bots_process(fake: FakeDiscord, nats_server: Any, here: Room) -> None:
    """The next process reads its line from it."""
    async with hosted(fake, nats_server):
        made = await (await fake.slash(fake.private(ANNA), ANNA, "tocsin", line="gold > 2500")).answered()
    async with hosted(fake, nats_server):
        assert made.shown is not None
        pressed = await (await fake.press(made.shown, ANNA, "Delete")).answered()
        assert "deleted" in text(pressed)
    assert [state for state, _ in await alerts(here)] == ["deleted"]
