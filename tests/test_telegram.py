"""The Telegram bot as people meet it: what they say, press and type at a server that speaks the Bot API."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from functools import partial

import pytest
import structlog.testing

from bots.pace import Pace
from bots.telegram import Settings, open_bot
from bots.telegram.bot import Telegram as TelegramBot
from hub import load
from hub.model import Button, File, Menu, Reply
from hub.plugin import GiveUp, TryLater
from hub.testing import check_bot
from tests.fakes.telegram import PNG, TOKEN, Telegram
from tests.telegram_room import ANNA, BEN, OPS, Hub, chats, entry, running


@pytest.fixture
async def api() -> AsyncIterator[Telegram]:
    async with chats() as server:
        yield server


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def bot(api: Telegram, hub: Hub) -> AsyncIterator[TelegramBot]:
    async with running(api, hub) as opened:
        await api.until(lambda: "all_chat_administrators" in api.menus)
        yield opened


async def test_it_keeps_the_contract_of_a_bot() -> None:
    """Without a token it says at once where one comes from."""
    await check_bot(load.bot("telegram"))
    with pytest.raises(GiveUp, match="@BotFather"):
        await open_bot(Settings()).run(Hub())


async def test_the_menu_of_commands_is_published_by_scope(api: Telegram, bot: TelegramBot) -> None:
    """Everybody sees what everybody may run; administrators more; the operator's commands stand in no menu."""
    await api.until(lambda: len(api.menus) == 6)
    names = {scope: [one["command"] for one in commands] for scope, commands in api.menus.items()}
    everybody = ["alert", "alerts", "board", "help", "portfolio", "price", "watch"]
    assert names["all_private_chats"] == names["all_group_chats"] == everybody
    assert names["all_chat_administrators"] == sorted([*everybody, "role"])


async def test_the_menu_speaks_the_languages_of_the_hub(api: Telegram, bot: TelegramBot) -> None:
    """What has no other words there stands in English."""
    await api.until(lambda: len(api.menus) == 6)
    english, german = (
        {one["command"]: one["description"] for one in api.menus[scope]}
        for scope in ("all_private_chats", "all_private_chats/de")
    )
    assert (english["price"], german["price"]) == ("What price does.", "Was es kostet.")
    assert german["alerts"] == english["alerts"] == "What alerts does."


async def test_private_commands_are_ephemeral_in_groups_only(api: Telegram, bot: TelegramBot) -> None:
    """There nobody else sees that they were asked."""
    await api.until(lambda: len(api.menus) == 6)
    flagged = {scope: [one["command"] for one in menu if one.get("is_ephemeral")] for scope, menu in api.menus.items()}
    assert flagged["all_private_chats"] == [] and flagged["all_group_chats"] == ["portfolio"]


async def test_the_menu_follows_the_hub(api: Telegram, hub: Hub) -> None:
    """A command that is added while the bot runs stands in Telegram's menu a little later."""
    session = importlib.import_module("bots.telegram.session")
    made = session.Session(Settings(token=TOKEN, server=api.url), Pace((), lambda chat: ()), menu_every_s=0.02)
    task = asyncio.create_task(made.run(hub))
    await api.until(lambda: len(api.menus) == 6)
    hub.menu_now = Menu(commands=(*hub.menu_now.commands, entry("weather")), instruments=())
    await api.until(lambda: "weather" in [one["command"] for one in api.menus["all_group_chats/de"]])
    task.cancel()
    await asyncio.wait({task})
    await made.close()


def looked_at(api: Telegram, menus: int) -> bool:
    return sum(1 for name, _ in api.calls if name == "getMyCommands") == menus


async def test_menus_are_written_only_where_they_differ(api: Telegram, hub: Hub) -> None:
    """A second start reads them and writes nothing."""
    for times in (1, 2):
        async with running(api, hub):
            await api.until(partial(looked_at, api, 6 * times))
            await api.until(lambda: "all_chat_administrators/de" in api.menus)
    assert sum(1 for name, _ in api.calls if name == "setMyCommands") == 6


async def test_a_price_in_private(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """A command or plain words; the table stands in letters of one width."""
    api.say(ANNA, ANNA, "/price gold")
    shown = await api.shown(ANNA)
    assert shown["text"].startswith("Prices\n") and "2,411.20 USD" in shown["text"]
    assert {one["type"] for one in shown["entities"]} == {"bold", "pre"}
    who = hub.asked[0].who
    assert (who.platform, who.id, who.name, who.place, who.address, who.language) == (
        "telegram",
        "7",
        "Anna",
        "",
        "7",
        "de",
    )
    api.say(ANNA, ANNA, "price “gold”\n now")
    await api.shown(ANNA, 2)
    assert hub.said == ["price gold", 'price "gold" now']
    assert api.broken == []


async def test_start_and_deep_links(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """/start helps; /start TOKEN, copied or from a link, is the line `link TOKEN`."""
    hub.answers["link"] = Reply(title="Linked")
    for text in ("/start", "/start hello", "/start Ab_9-x", "/start@tocsin_bot Ab_9-x"):
        api.say(ANNA, ANNA, text)
    await api.shown(ANNA, 4)
    assert hub.said == ["help", "help", "link Ab_9-x", "link Ab_9-x"]


async def test_in_a_group_only_what_is_meant_for_the_bot_is_a_line(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Its own commands, commands that name it, and mentions; the rest of the talk is none of its business."""
    for text in (
        "good morning",
        "/weather",
        "/price@other_bot gold",
        "$gold to the moon",
        "mail@tocsin_bottle.example",
    ):
        api.say(OPS, BEN, text)
    for text in ("/price gold", "/odd@tocsin_bot x", "what is @Tocsin_Bot price gold", "@tocsin_bot"):
        api.say(OPS, BEN, text)
    await api.shown(OPS, 4)
    assert hub.said == ["place", "price gold", "odd x", "what is price gold", "help"]
    who = hub.asked[1].who
    assert (who.place, who.place_name, who.address, who.admin) == (str(OPS), "Desk", str(OPS), False)


async def test_symbols_are_answered_where_that_is_switched_on(api: Telegram, hub: Hub) -> None:
    """$GOLD and #silver in a sentence; what this hub does not know is passed over."""
    async with running(api, hub, detect=True):
        await api.until(lambda: api.menus)
        api.say(OPS, BEN, "is #Gold up? and $silver, $nothing #7")
        await api.shown(OPS)
    assert hub.said == ["price Gold silver"]


async def test_symbols_are_answered_where_the_group_has_said_so(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Asked once in the group's own name; from `place detect on` on it is known at once."""
    await api.until(lambda: len(api.menus) == 6)
    hub.answers["place"] = Reply(title="This place", facts={"detect": False})
    for _ in range(2):
        api.say(OPS, BEN, "is $gold up?")
    await api.until(lambda: hub.said)
    hub.answers["place detect on"] = Reply(title="This place is changed", facts={"detect": True})
    api.say(OPS, ANNA, "/place@tocsin_bot detect on")
    await api.shown(OPS)
    api.say(OPS, BEN, "is $gold up?")
    await api.shown(OPS, 2)
    assert hub.said == ["place", "place detect on", "price gold"]
    assert hub.asked[0].who.id == str(OPS), "nobody becomes a person of the hub by writing $gold"


async def test_its_address_takes_a_code_along(api: Telegram, bot: TelegramBot) -> None:
    """For `link`, asked on another platform."""
    await api.until(lambda: bot.invite)
    assert bot.invite == "https://t.me/tocsin_bot?start={code}"


async def test_topics_admins_and_whoever_speaks_as_the_group(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """The answer stays in the topic; the platform's administrators are said to be some, and asked for once."""
    api.say(OPS, ANNA, "/price gold", thread=5)
    shown = await api.shown(OPS)
    assert shown["message_thread_id"] == 5 and shown["answers"]
    api.say(OPS, ANNA, "/price gold")
    api.say(OPS, BEN, "/price gold", as_chat=True)
    await api.shown(OPS, 3)
    first, second, third = [line.who for line in hub.asked]
    assert (first.admin, first.address) == (True, f"{OPS}:5")
    assert (second.admin, second.address) == (True, str(OPS))
    assert (third.id, third.admin, third.name) == (str(OPS), True, "Desk")
    assert sum(1 for name, _ in api.calls if name == "getChatMember") == 1


async def test_hostile_text_is_shown_as_text(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Markup, entities, links and what turns a line around; and previews of links are off."""
    evil = "<b>bold</b> &lt; @everyone <a href='tg://x'>x</a> \u202eabc\u2066 https://evil.example"
    hub.answers["evil"] = Reply(
        title=evil, lines=(evil,), table=(("a",), (evil,)), buttons=(Button(label=evil, line="x"),)
    )
    api.say(ANNA, ANNA, "evil")
    shown = await api.shown(ANNA)
    assert "<b>bold</b> &lt; @everyone <a href='tg://x'>x</a> \\u202eabc\\u2066" in shown["text"]
    assert {one["type"] for one in shown["entities"]} == {"bold", "pre"}
    (sent,) = [fields for name, fields in api.calls if name == "sendMessage"]
    assert sent["link_preview_options"] == {"is_disabled": True}
    assert api.broken == []


async def test_a_button_carries_its_line_and_works_after_a_restart(api: Telegram, hub: Hub) -> None:
    """The line is the presser's own; what the bot knew before does not matter."""
    hub.answers["why 12"] = Reply(title="Why 12", lines=("It waits.",))
    async with running(api, hub):
        api.say(OPS, ANNA, "/alert gold > 2400")
        shown = await api.shown(OPS)
    async with running(api, hub):
        press = api.press(shown, "Why", BEN)
        await api.answered(press)
        assert (await api.shown(OPS, 2))["text"] == "Why 12\nIt waits."
    assert (hub.asked[-1].text, hub.asked[-1].who.id, hub.asked[-1].who.admin) == ("why 12", "8", False)


async def test_a_refusal_of_a_press_is_shown_to_who_pressed(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """As a notice of Telegram's own, and nothing is written into the group."""
    hub.answers["alerts"] = Reply(title="Alerts", buttons=(Button(label="Delete 12", line="delete 12"),))
    hub.answers["delete 12"] = Reply(ok=False, lines=("you have no alert 12",))
    api.say(OPS, ANNA, "/alerts")
    answer = await api.answered(api.press(await api.shown(OPS), "Delete 12", BEN))
    assert (answer["text"], answer["show_alert"]) == ("you have no alert 12", True)
    assert len(api.chats[OPS].messages) == 1


async def test_replies_that_replace_are_edited_in_place(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """The same again is fine as well: Telegram says "not modified", and nobody hears of it."""
    refresh = Button(label="Refresh", line="watch refresh")
    board = Reply(title="Watch list", lines=("gold 1",), buttons=(refresh,), replace=True)
    hub.answers["watch"] = board
    api.say(ANNA, ANNA, "watch")
    shown = await api.shown(ANNA)
    hub.answers["watch"] = Reply(title="Watch list", lines=("gold 2",), buttons=(refresh,), replace=True)
    await api.answered(api.press(shown, "Refresh", ANNA))
    await api.until(lambda: "gold 2" in shown["text"])
    await api.answered(api.press(shown, "Refresh", ANNA))
    await api.until(lambda: api.broken)
    assert [description[:36] for _, description in api.broken] == ["Bad Request: message is not modified"]
    assert len(api.chats[ANNA].messages) == 1


async def test_a_press_is_acknowledged_while_the_hub_still_works(
    api: Telegram, hub: Hub, bot: TelegramBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, before the deadline, and the answer comes as a message later."""
    monkeypatch.setattr("bots.telegram.conversation.ACK_S", 0.05)
    hub.answers["why 12"] = Reply(title="Why 12")
    api.say(ANNA, ANNA, "alert gold > 2400")
    shown = await api.shown(ANNA)
    hub.hold.clear()
    assert "text" not in await api.answered(api.press(shown, "Why", ANNA))
    hub.hold.set()
    assert (await api.shown(ANNA, 2))["text"] == "Why 12"
    assert api.broken == []


async def test_a_hub_that_is_away_is_said(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """In a message, and on a button as a notice."""
    api.say(ANNA, ANNA, "alert gold > 2400")
    shown = await api.shown(ANNA)
    hub.answers = {"price": TryLater("nobody answers"), "why": TryLater("nobody answers")}
    api.say(ANNA, ANNA, "price gold")
    assert "does not answer now" in (await api.shown(ANNA, 2))["text"]
    assert "does not answer now" in (await api.answered(api.press(shown, "Why", ANNA)))["text"]


async def test_charts_come_as_a_picture_with_its_words(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Changed in place by their buttons; where Telegram takes no picture, the words come alone."""
    week = Button(label="7 d", line="chart gold 7d")
    hub.answers["chart"] = lambda line: Reply(
        title=line.text, lines=("up",), image=PNG + b"1", buttons=(week,), replace=True
    )
    api.say(ANNA, ANNA, "/chart gold 24h")
    shown = await api.shown(ANNA)
    assert shown["photo"] and shown["caption"] == "chart gold 24h\nup"
    await api.answered(api.press(shown, "7 d", ANNA))
    await api.until(lambda: shown["caption"] == "chart gold 7d\nup")
    api.photos_refused = True
    api.say(ANNA, ANNA, "/chart gold 24h")
    assert (await api.shown(ANNA, 2))["text"] == "chart gold 24h\nup"


async def test_files_come_as_documents(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Behind the words."""
    file = File(name="me.json", media_type="application/json", content=b"{}")
    hub.answers["export"] = Reply(title="Your data", file=file)
    api.say(ANNA, ANNA, "/export")
    assert (await api.shown(ANNA, 2))["document"]["file_size"] == 2


async def test_what_is_private_never_stands_in_a_group(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """On a press it is whispered; on a command it goes to the private chat, with a word and a link in the group."""
    secret = Reply(
        title="Portfolio", lines=("12 oz of gold",), private=True, buttons=(Button(label="Again", line="portfolio"),)
    )
    hub.answers["portfolio"] = secret
    api.chats[ANNA].started = True
    api.say(OPS, ANNA, "/portfolio@tocsin_bot")
    note = await api.shown(OPS)
    assert "12 oz" in (await api.shown(ANNA))["text"] and "12 oz" not in note["text"]
    assert note["reply_markup"]["inline_keyboard"][0][0]["url"] == "https://t.me/tocsin_bot?start=hello"
    hub.answers["alerts"] = Reply(title="Alerts", buttons=(Button(label="Mine", line="portfolio"),))
    api.say(OPS, ANNA, "/alerts")
    await api.answered(api.press(await api.shown(OPS, 2), "Mine", ANNA))
    await api.until(lambda: api.chats[OPS].ephemeral)
    (whispered,) = api.chats[OPS].ephemeral
    assert whispered["receiver"] == ANNA and "12 oz" in whispered["text"]
    await api.answered(api.press(whispered, "Again", ANNA))
    await api.until(lambda: len(api.chats[OPS].ephemeral) == 2)
    assert not any("12 oz" in one.get("text", "") for one in api.chats[OPS].messages.values())


async def test_who_never_opened_a_private_chat_is_asked_to(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Telegram lets no bot begin; the group hears how, and no more. So does who writes as the group."""
    hub.answers["portfolio"] = Reply(title="Portfolio", lines=("12 oz of gold",), private=True)
    api.say(OPS, BEN, "/portfolio@tocsin_bot")
    assert "open a private chat" in (await api.shown(OPS))["text"]
    api.say(OPS, BEN, "/portfolio@tocsin_bot", as_chat=True)
    assert "in the name of this chat" in (await api.shown(OPS, 2))["text"]


async def test_an_ephemeral_command_gets_an_ephemeral_answer(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Nobody else saw the question, so nobody else sees the answer, private or not."""
    api.say(OPS, ANNA, "/price gold", ephemeral=900)
    await api.until(lambda: api.chats[OPS].ephemeral)
    assert api.chats[OPS].ephemeral[0]["receiver"] == ANNA and api.chats[OPS].messages == {}


async def test_a_channel_is_answered_in_its_own_name(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Only administrators can post there."""
    api.group(-1009, "News")
    api.chats[-1009].kind = "channel"
    api.say(-1009, ANNA, "/price gold", as_chat=True)
    await api.shown(-1009)
    assert (hub.asked[0].who.id, hub.asked[0].who.admin) == ("-1009", True)


async def test_a_group_is_told_how_the_bot_is_spoken_to(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """Once, when it is taken in; nothing is said where it is thrown out."""
    api.adds_bot(OPS, ANNA, now="kicked", before="member")
    api.adds_bot(OPS, ANNA)
    assert "/alert" in (await api.shown(OPS))["text"]
    api.say(OPS, ANNA, "/price gold")
    await api.shown(OPS, 2)
    assert len(api.chats[OPS].messages) == 2 and api.broken == []


async def test_a_bug_in_the_answer_stops_nothing(api: Telegram, hub: Hub, bot: TelegramBot) -> None:
    """It is logged without a word of what was said."""
    hub.answers["secret"] = RuntimeError("my secret words")
    with structlog.testing.capture_logs() as logs:
        api.say(ANNA, ANNA, "secret words")
        api.say(ANNA, ANNA, "price gold")
        await api.shown(ANNA)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a bug in handling an update"]
    assert "words" not in str(logs) and TOKEN not in str(logs)


async def test_what_is_under_way_at_the_end_is_finished(api: Telegram, hub: Hub) -> None:
    """The bot ends when it is told to, and the line that it has taken is answered first, once."""
    hub.hold.clear()
    async with running(api, hub):
        api.say(ANNA, ANNA, "price gold")
        while not hub.asked:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, hub.hold.set)
    assert len(api.chats[ANNA].messages) == 1
    async with running(api, hub):
        api.say(ANNA, ANNA, "help")
        await api.shown(ANNA, 2)
    assert hub.said == ["price gold", "help"]
