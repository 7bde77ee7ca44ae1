"""The Discord bot sends: through the real library to a Discord on this machine that refuses what the real one does."""

import asyncio
import time
from typing import Any

import msgspec
import pytest
import structlog.testing

from bots import discord as package
from hub import load
from hub.bothost import Sender
from hub.model import Destination, Reply
from hub.plugin import GiveUp, Gone, TryLater
from hub.testing import check_bot
from tests.discord_room import ADMIN, ANNA, GOLD, MENU, PNG, Room, ScriptedHub, message, notification, room
from tests.fakes import discord_parts as parts
from tests.fakes.discord import served
from tests.waiting import until_true

# the library imports one that Python 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")

HERE = f"channel:{GOLD}"


def destination(address: str) -> Destination:
    return Destination(id=1, owner_id=1, platform="discord", address=address, label="discord")


# ----------------------------------------------------------------------------------------------- sending


@pytest.mark.parametrize("address", [HERE, f"user:{ANNA}"])
async def test_an_alert_arrives_with_its_evidence_and_its_buttons(address: str) -> None:
    """In a channel, and in a private talk that is opened for it; its receipt is Discord's own number."""
    async with room(charts_with_alerts=False) as here:
        receipt = await here.bot.send(message(address, notification(1)))
        channel = GOLD if address == HERE else here.fake.private(ANNA)
        (sent,) = here.fake.messages[channel]
        assert receipt == sent["id"]
        assert "Gold rose to 2,401.12" in sent["content"] and "2,399.90" in parts.text_of(sent)
        assert parts.labels(sent)[:2] == ["15 min", "1 h"] and not sent["pings"]


async def test_an_alert_reaches_a_thread() -> None:
    """A thread is a channel of its own."""
    async with served() as fake:
        fake.channel(4001, "btc", thread_of=GOLD)
        here = Room(fake, ScriptedHub(), package.Settings(token=fake.token, charts_with_alerts=False))
        await here.open()
        try:
            await here.bot.send(message("channel:4001", notification(1)))
            await here.bot.check(destination("channel:4001"))
            assert len(fake.messages[4001]) == 1
        finally:
            await here.close()


async def test_a_chart_follows_its_alert_and_leaves_the_text_as_it_is() -> None:
    """It is asked for as the person whose alert it is."""
    async with room() as here:
        here.hub.replies["chart XAU-USD 24h"] = Reply(title="Gold", image=PNG)
        await here.bot.send(message(f"user:{ANNA}", notification(1)))
        (sent,) = here.fake.messages[here.fake.private(ANNA)]
        text = parts.text_of(sent)

        async def drawn() -> bool:
            return bool(sent["attachments"])

        await until_true(drawn, 5)
        assert sent["attachments"][0]["_bytes"] == PNG and parts.text_of(sent) == text
        asker = here.hub.asked("chart XAU-USD 24h").who
        assert (asker.id, asker.place, asker.address) == (str(ANNA), "", f"user:{ANNA}")


@pytest.mark.parametrize("failure", [TryLater("the hub is away"), Reply(ok=False, lines=("no price yet",))])
async def test_an_alert_without_a_chart_stands_all_the_same(failure: Any) -> None:
    """And the next one still gets its own."""
    async with room() as here:
        here.hub.replies["chart XAU-USD 24h"] = failure
        await here.bot.send(message(HERE, notification(1)))
        here.hub.replies["chart BTC-USDT 24h"] = Reply(image=PNG)
        await here.bot.send(message(HERE, notification(2, instrument="BTC-USDT")))
        first, second = here.fake.messages[GOLD]

        async def drawn() -> bool:
            return bool(second["attachments"])

        await until_true(drawn, 5)
        assert first["attachments"] == []
        asker = here.hub.asked("chart BTC-USDT 24h").who
        assert (asker.id, asker.place) == (str(parts.ME), str(GOLD))


async def test_a_repeated_message_is_not_sent_twice() -> None:
    """The bot's process may die behind Discord's answer: the nonce is the message's own."""
    async with room(charts_with_alerts=False) as here:
        first = await here.bot.send(message(HERE, notification(1)))
        await here.restart()
        assert await here.bot.send(message(HERE, notification(1))) == first
        assert len(here.fake.messages[GOLD]) == 1


async def test_hostile_text_of_an_alert_pings_nobody() -> None:
    """Neither its mentions nor its links mean anything."""
    async with room(charts_with_alerts=False) as here:
        text = "@everyone <@5> https://evil.example **bold** \u202e" + "x" * 10_000
        await here.bot.send(message(HERE, notification(1, title=text, text=text, note=text)))
        (sent,) = here.fake.messages[GOLD]
        assert not sent["pings"] and "https://" not in sent["content"] and "\u202e" not in sent["content"]


# --------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "code", "gone"),
    [
        (404, 10003, True),
        (403, 50001, True),
        (403, 50013, True),
        (403, 50007, True),
        (403, 50278, True),
        (400, 50035, False),
    ],
)
async def test_a_place_that_takes_nothing_is_told_with_its_reason(status: int, code: int, gone: bool) -> None:
    """Gone switches it off; another refusal concerns the one message."""
    async with room() as here:
        here.fake.refusing[GOLD] = (status, code)
        with pytest.raises(GiveUp) as told:
            await here.bot.send(message(HERE, notification(1)))
        assert isinstance(told.value, Gone) == gone and str(code) in told.value.reason


async def test_a_person_who_blocked_the_bot_is_told_apart() -> None:
    """Sending to them is refused, whatever opening the talk said."""
    async with room() as here:
        here.fake.refusing[ANNA] = (403, 50007)
        with pytest.raises(Gone, match="does not take messages"):
            await here.bot.send(message(f"user:{ANNA}", notification(1)))


@pytest.mark.parametrize("address", ["", "4000", "channel:", "channel:x", "channel:²", "mail:1", "user:1/../2"])
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    """No request is made of it."""
    async with room() as here:
        before = list(here.fake.requests)
        with pytest.raises(GiveUp, match="not an address"):
            await here.bot.send(message(address, notification(1)))
        assert here.fake.requests == before


async def test_a_busy_channel_waits_and_nothing_is_refused_by_discord() -> None:
    """Five in five seconds go; the next is put back with the time that is missing, and nobody slept for it."""
    async with room(charts_with_alerts=False) as here:
        started = time.monotonic()
        for number in range(5):
            await here.bot.send(message(HERE, notification(number)))
        with pytest.raises(TryLater) as told:
            await here.bot.send(message(HERE, notification(6)))
        assert told.value.retry_after_s is not None and 2 < told.value.retry_after_s <= 5
        assert time.monotonic() - started < 3 and not here.fake.limited


async def test_a_flood_to_many_channels_arrives_in_order_and_breaks_no_limit() -> None:
    """180 alerts for 60 channels, each sent again when its time has come: the fake counts what is too much."""
    async with room(charts_with_alerts=False) as here:
        channels = [here.fake.channel(5000 + number, f"c{number}") for number in range(60)]

        async def fill(channel: int) -> None:
            waiting = [message(f"channel:{channel}", notification(number)) for number in range(3)]
            while waiting:
                try:
                    await here.bot.send(waiting[0])
                    waiting.pop(0)
                except TryLater as later:
                    await asyncio.sleep(later.retry_after_s or 1.0)

        async with asyncio.TaskGroup() as group:
            for channel in channels:
                group.create_task(fill(channel))
        titles = [[one["embeds"][0]["title"] for one in here.fake.messages[channel]] for channel in channels]
        assert titles == [[notification(number).title for number in range(3)]] * 60
        assert not here.fake.limited


async def test_a_429_is_put_back_with_its_time_and_holds_the_channel() -> None:
    """Discord's limits are its own affair and may be lower than usual; other channels go on."""
    async with room(charts_with_alerts=False) as here:
        here.fake.channel(4002, "silver")
        here.fake.limit = (1, 30.0)
        await here.bot.send(message(HERE, notification(1)))
        await here.restart()  # a bot that starts knows nothing of it
        started = time.monotonic()
        with pytest.raises(TryLater) as told:
            await here.bot.send(message(HERE, notification(2)))
        assert told.value.retry_after_s is not None and 20 < told.value.retry_after_s <= 31
        assert here.fake.limited == {GOLD: 1}
        with pytest.raises(TryLater):
            await here.bot.send(message(HERE, notification(2)))
        assert here.fake.limited == {GOLD: 1}, "it is not even asked again before its time"
        await here.bot.send(message("channel:4002", notification(3)))
        assert time.monotonic() - started < 3


async def test_discord_being_down_puts_everything_back_at_once() -> None:
    """Left to itself the library would sleep for 25 s."""
    async with room(charts_with_alerts=False) as here:
        here.fake.down = True
        started = time.monotonic()
        with pytest.raises(TryLater, match="503"):
            await here.bot.send(message(HERE, notification(1)))
        assert time.monotonic() - started < 2
        here.fake.down = False
        await here.bot.send(message(HERE, notification(1)))
        assert len(here.fake.messages[GOLD]) == 1


async def test_sending_goes_on_while_the_gateway_is_away() -> None:
    """And the gateway is opened again by itself, with what was missed."""
    async with room(charts_with_alerts=False) as here:
        await here.fake.cut()
        await here.bot.send(message(HERE, notification(1)))
        await asyncio.wait_for(here.fake.connected.wait(), 5)
        assert here.fake.resumed == 1
        asked = await here.slash("price", instruments="gold")
        assert asked.shown is not None


async def test_the_host_takes_what_the_bot_says() -> None:
    """The same alert again is answered from the host's memory; a place that is gone is told as such."""
    async with room(charts_with_alerts=False) as here:
        sender = Sender(here.bot)
        sent = [await sender.send(message(HERE, notification(1))) for _ in range(2)]
        assert [receipt.outcome for receipt in sent] == ["sent", "sent"] and len(here.fake.messages[GOLD]) == 1
        here.fake.refusing[GOLD] = (403, 50001)
        receipt = await sender.send(message(HERE, notification(2)))
        assert receipt.outcome == "gone" and "View Channel" in receipt.text


# ------------------------------------------------------------------------------------------------ checks


async def test_rights_are_looked_at_before_anything_is_sent() -> None:
    """A channel where the bot may not write is refused when a destination is made."""
    async with served() as fake:
        fake.channel(4003, "rules", rights=0x400)
        fake.channel(4004, "hidden", rights=0)
        here = Room(fake, ScriptedHub(), package.Settings(token=fake.token))
        await here.open()
        try:
            await here.bot.check(destination(HERE))
            await here.bot.check(destination(f"user:{ANNA}"))
            for channel, code in ((4003, "50013"), (4004, "50013"), (999, "10003")):
                with pytest.raises(Gone) as told:
                    await here.bot.check(destination(f"channel:{channel}"))
                assert code in told.value.reason or "may not write" in told.value.reason
            assert not any(request.endswith("/messages") for request in fake.requests)
        finally:
            await here.close()


# ----------------------------------------------------------------------------------- tokens and intents


async def test_a_wrong_token_is_said_with_its_cure() -> None:
    """One line that names the page and the variable, and no token."""
    async with served() as fake:
        bot = package.open_bot(package.Settings(token="x" * 24 + ".wrong.token"))
        with pytest.raises(GiveUp) as told:
            await bot.run(ScriptedHub())
        assert "Reset Token" in told.value.reason and "TOCSIN_BOTS__DISCORD__TOKEN" in told.value.reason
        assert "wrong" not in told.value.reason and fake.identified == []


async def test_no_token_is_said_with_its_cure() -> None:
    """Before anything is asked of Discord."""
    await check_bot(load.bot("discord"))
    with pytest.raises(GiveUp, match=r"has no token.*TOCSIN_BOTS__DISCORD__TOKEN"):
        await package.open_bot(package.Settings()).run(ScriptedHub())


async def test_a_token_that_is_taken_back_ends_the_bot_with_its_cure() -> None:
    """Discord closes the gateway with 4004."""
    async with room() as here:
        here.fake.token = "another"
        with pytest.raises(TryLater, match="refuses the token"):
            await here.bot.send(message(HERE, notification(1)))
        await here.fake.cut()
        with pytest.raises(GiveUp, match="Reset Token"):
            await asyncio.wait_for(here.running, 10)


async def test_an_intent_that_is_not_granted_is_said_once_and_the_bot_goes_on_without() -> None:
    """$gold is not seen then; everything else works."""
    with structlog.testing.capture_logs() as logs:
        async with room(read_channels=True) as here:
            assert here.fake.identified and not here.fake.identified[-1] & 1 << 15
            assert (await here.slash("price", instruments="gold")).shown is not None
    told = [log for log in logs if log["log_level"] == "warning"]
    assert len(told) == 1 and "Privileged Gateway Intents" in told[0]["reason"]


async def test_nothing_that_is_secret_or_private_is_logged() -> None:
    """Neither the token nor what people write, also when things fail."""
    with structlog.testing.capture_logs() as logs:
        async with room() as here:
            here.hub.replies["secret words"] = RuntimeError("bug")
            await here.fake.say(here.fake.private(ANNA), ANNA, "secret words")
            here.hub.replies["price secret"] = RuntimeError("bug")
            await here.slash("price", instruments="secret")
            here.fake.down = True
            with pytest.raises(TryLater):
                await here.bot.send(message(HERE, notification(1, title="secret title")))
    text = "".join(f"{key}{value}" for log in logs for key, value in log.items() if key != "exc_info")
    assert "secret" not in text and here.fake.token not in text and "a bug in the bot" in text


# -------------------------------------------------------------------------------------- slash commands


async def test_slash_commands_are_written_only_where_they_changed() -> None:
    """A start finds what it wrote before; a new command is written."""
    async with room() as here:
        assert here.fake.command_writes == 1
        await here.restart()
        await asyncio.sleep(0.1)
        assert here.fake.command_writes == 1
        more = msgspec.structs.replace(MENU.commands[0], name="stats")
        here.hub.told_menu = msgspec.structs.replace(MENU, commands=(*MENU.commands, more))
        await here.restart()

        async def written() -> bool:
            return here.fake.command_writes == 2

        await until_true(written, 5)
        assert "stats" in {command["name"] for command in here.fake.commands}


async def test_a_hub_that_is_away_at_the_start_is_asked_again() -> None:
    """Alerts are sent meanwhile."""
    async with served() as fake:
        here = Room(fake, ScriptedHub(), package.Settings(token=fake.token, charts_with_alerts=False))
        here.hub.told_menu = TryLater("nobody answers on menu")
        here.bot = package.open_bot(here.settings)
        here.running = asyncio.create_task(here.bot.run(here.hub))
        try:
            await asyncio.wait_for(fake.connected.wait(), 5)
            await here.bot.send(message(f"user:{ADMIN}", notification(1)))
            assert fake.command_writes == 0
        finally:
            await here.close()
