"""From a person's thumb to the ledger and back: the bot in its host, real commands, engine and delivery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bots.telegram import limits
from hub import bothost
from hub.config import BotSection, Config, DeliverySection
from hub.delivery import Delivery
from hub.ledger import tables as t
from tests.fakes.telegram import TOKEN, Telegram
from tests.fakes.telegram_people import Fields
from tests.people_room import OPERATOR, Room, room
from tests.telegram_room import ANNA, BEN, OPS, chats

# apprise's mail module imports one that Python 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@asynccontextmanager
async def hosted(api: Telegram, server: Any) -> AsyncIterator[asyncio.Event]:
    """The bot as its process runs it, until the event; it says that it ended in order."""
    settings = {"token": TOKEN, "server": api.url, "charts_with_alerts": False}
    config = Config(bots=(BotSection(name="telegram", module="telegram", settings=settings),))
    stop = asyncio.Event()
    running = asyncio.create_task(bothost.main("telegram", config, server.url, server.token, stop))
    try:
        await api.until(lambda: "all_chat_administrators" in api.menus, 20)
        yield stop
    finally:
        stop.set()
        assert await running == 0


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Telegram]:
    """Without Telegram's pace, which has its own tests: a talk of a minute takes a second."""
    monkeypatch.setattr(limits, "OVERALL", ())
    monkeypatch.setattr(limits, "of_chat", lambda chat: ())
    async with chats() as server:
        yield server


async def newest(api: Telegram, chat: int, text: str) -> Fields:
    """The newest message there, once one holds that text."""
    found: Fields = await api.until(
        lambda: next((m for m in reversed(api.chats[chat].messages.values()) if text in words(m)), None), 15
    )
    return found


def words(message: Fields) -> str:
    return str(message.get("text") or message.get("caption") or "")


@asynccontextmanager
async def delivering(here: Room) -> AsyncIterator[None]:
    delivery = Delivery(here.bus, here.ledger, here.commands.catalogue, DeliverySection(), "w")
    running = asyncio.create_task(delivery.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened, delivering(opened):
        yield opened


async def alerts(here: Room) -> list[tuple[str, str]]:
    return await here.rows(sa.select(t.alerts.c.state, t.alerts.c.text).order_by(t.alerts.c.id))


async def test_from_the_first_word_to_the_bell(api: Telegram, nats_server: Any, here: Room) -> None:
    """Start, an alert by taps and words, its ring with its buttons, and what one of them did written under it."""
    await here.tell(2300)
    async with hosted(api, nats_server):
        api.say(BEN, BEN, "/start")
        await newest(api, BEN, "What you can ask")
        api.say(BEN, BEN, "/alert")
        form = await newest(api, BEN, "→ instrument")
        await api.answered(api.press(form, "Gold", BEN))
        await api.until(lambda: "→ condition" in words(form))
        await api.answered(api.press(form, "above", BEN))
        await newest(api, BEN, "→ level")
        api.say(BEN, BEN, "2400")
        await newest(api, BEN, "Alert 1 is set")
        assert [state for state, _ in await alerts(here)] == ["armed"]
        await here.tell(2410)
        rung = await newest(api, BEN, "🔔")
        assert "2,400" in words(rung) and "2,410" in words(rung)
        await api.answered(api.press(rung, "Delete", BEN))
        await api.until(lambda: "· Ben <b>" in words(rung) or "Ben <b>" in words(rung).splitlines()[-1])
        assert words(rung).startswith("🔔")
    assert [state for state, _ in await alerts(here)] == ["deleted"]
    assert api.broken == []


async def test_a_group_its_rights_and_its_bell(api: Telegram, nats_server: Any, here: Room) -> None:
    """Administrators set a group's alerts, others are refused with the reason; it rings in the topic."""
    await here.tell(2300)
    async with hosted(api, nats_server):
        api.say(OPS, BEN, "/alert@tocsin_bot gold > 2500", thread=5)
        assert "is set" not in words(await api.shown(OPS))
        assert await alerts(here) == []
        api.say(OPS, ANNA, "/alert@tocsin_bot gold > 2500", thread=5)
        await api.until(lambda: len(api.chats[OPS].messages) == 2)
        assert len(await alerts(here)) == 1
        await here.tell(2510)
        assert (await newest(api, OPS, "🔔"))["message_thread_id"] == 5
    assert api.broken == []


async def test_a_group_that_becomes_a_supergroup_keeps_its_alerts(api: Telegram, nats_server: Any, here: Room) -> None:
    """They are listed there and ring there, though nothing was sent to the old number since."""
    api.group(-555, "Small", admins=(ANNA,))
    await here.tell(2300)
    async with hosted(api, nats_server):
        api.say(-555, ANNA, "/alert@tocsin_bot gold > 2400")
        await newest(api, -555, "1")
        api.migrates(-555, OPS)
        api.say(OPS, ANNA, "/alerts@tocsin_bot")
        assert "2.400,00" in words(await api.shown(OPS)), "in the language of who asks"
        await here.tell(2410)
        await newest(api, OPS, "🔔")
    assert len(await here.rows(sa.select(t.places))) == 1
    assert await here.rows(sa.select(t.destinations.c.address)) == [(str(OPS),)]


async def test_a_code_from_elsewhere_opens_the_bot_and_joins(api: Telegram, nats_server: Any, here: Room) -> None:
    """The address that `link` gives on another platform leads here, and its code makes both one person."""
    async with hosted(api, nats_server):
        offered = await here.done("link", OPERATOR)
        ways = offered.facts["ways"]
        assert isinstance(ways, dict) and ways["telegram"].startswith("https://t.me/tocsin_bot?start=")
        api.say(BEN, BEN, f"/start {ways['telegram'].partition('=')[2]}")
        await newest(api, BEN, "operator")
        assert len(await here.rows(sa.select(t.users.c.id))) == 1


async def test_who_blocks_the_bot_is_switched_off(api: Telegram, nats_server: Any, here: Room) -> None:
    """The destination says why, and nothing is tried there again."""
    await here.tell(2300)
    async with hosted(api, nats_server):
        api.say(BEN, BEN, "gold > 2400")
        await newest(api, BEN, "is set")
        api.chats[BEN].closed = "Forbidden: bot was blocked by the user"
        await here.tell(2410)
        await api.until(lambda: api.broken)
        async with asyncio.timeout(15):
            while not (off := (await here.rows(sa.select(t.destinations.c.disabled)))[0][0]):
                await asyncio.sleep(0.02)
    assert "blocked" in off


async def test_a_button_outlives_the_bots_process(api: Telegram, nats_server: Any, here: Room) -> None:
    """What was pressed while it was away is answered when it is back."""
    async with hosted(api, nats_server):
        api.say(BEN, BEN, "gold > 2500")
        shown = await newest(api, BEN, "is set")
    press = api.press(shown, "Delete", BEN)
    async with hosted(api, nats_server):
        await api.answered(press, 15)
        await newest(api, BEN, "is deleted")
