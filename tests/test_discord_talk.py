"""People talk to the Discord bot: slash commands, completion, buttons, forms, plain text, through the real library."""

import asyncio
from typing import Any

import pytest
import structlog.testing

from bots import discord as package
from hub.model import Button, File, Reply
from hub.plugin import TryLater
from tests.discord_room import ADMIN, ANNA, GOLD, PNG, Room, ScriptedHub, form, message, notification, room, snoozed
from tests.fakes import discord_parts as parts
from tests.fakes.discord import CONTENT_INTENT, FakeDiscord, served
from tests.waiting import until_true

# the library imports one that Python 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")

HIDDEN = 64


async def elapsed(here: Room, text: str) -> None:
    """Until the hub was asked and the bot has told Discord to wait."""

    async def waits() -> bool:
        return any(asked.waiting or (asked.callback and asked.callback["type"] in (5, 6)) for asked in calls(here.fake))

    await until_true(waits, 5)
    here.hub.slow[text].set()


def calls(fake: FakeDiscord) -> list[Any]:
    return list(fake._asked.values())


# --------------------------------------------------------------------------------------- slash commands


async def test_a_slash_command_is_the_line_and_its_answer_an_embed() -> None:
    """With who asks, where, and in which language."""
    async with room() as here:
        here.fake.locale = "de"
        here.hub.replies["chart gold 7d"] = Reply(title="Gold, 7d", lines=("2,400.12",), image=PNG)
        asked = await here.slash("chart", instrument="gold", span="7d")
        assert asked.shown is not None and "Gold, 7d\n2,400.12" in parts.text_of(asked.shown)
        assert (
            asked.shown["attachments"][0]["_bytes"] == PNG and "chart.png" in asked.shown["embeds"][0]["image"]["url"]
        )
        who = here.hub.asked("chart gold 7d").who
        assert (who.platform, who.id, who.name, who.place) == ("discord", "5", "User 5", str(GOLD))
        assert (who.place_name, who.address, who.admin, who.language) == ("#gold", f"channel:{GOLD}", False, "de")


async def test_who_administers_a_place_is_told_to_the_hub() -> None:
    """By Discord's own rights."""
    async with room() as here:
        await here.slash("alerts", user=ADMIN)
        assert here.hub.asked("alerts").who.admin
        await here.fake.say(GOLD, ADMIN, f"<@{parts.ME}> status")
        await here.fake.until(GOLD, 2)
        assert here.hub.asked("status").who.admin


async def test_any_line_can_be_sent_by_one_command() -> None:
    """What has no command of its own."""
    async with room() as here:
        asked = await here.slash("tocsin", line="gold > 2400")
        assert asked.shown is not None and "you said gold > 2400" in parts.text_of(asked.shown)


async def test_instruments_are_completed_while_one_types() -> None:
    """From the hub's own catalogue."""
    async with room() as here:
        found = await here.fake.complete(GOLD, ANNA, "chart", "instrument", "sil")
        assert found == [{"name": "Silver (XAG-USD)", "value": "XAG-USD"}]
        assert here.hub.lines == []


async def test_a_slow_answer_is_waited_for() -> None:
    """Discord wants a word within three seconds, and gets it."""
    async with room() as here:
        here.hub.slow["chart gold"] = asyncio.Event()
        here.hub.replies["chart gold"] = Reply(
            title="Gold", image=PNG, buttons=(Button(label="7d", line="chart gold 7d"),)
        )
        asked = await here.fake.slash(GOLD, ANNA, "chart", instrument="gold")
        await elapsed(here, "chart gold")
        await asked.answered()
        assert asked.shown is not None and parts.labels(asked.shown) == ["7d"]
        assert asked.shown["attachments"][0]["_bytes"] == PNG and not asked.shown["flags"]


async def test_a_slow_answer_for_the_askers_eyes_is_seen_by_no_other() -> None:
    """Although everybody saw that something was asked."""
    async with room() as here:
        here.hub.slow["alerts"] = asyncio.Event()
        here.hub.replies["alerts"] = Reply(title="Your alerts", private=True)
        asked = await here.fake.slash(GOLD, ANNA, "alerts")
        await elapsed(here, "alerts")
        await asked.answered()
        assert asked.shown is not None and asked.shown["flags"] & HIDDEN and here.fake.texts(GOLD) == []


@pytest.mark.parametrize("reply", [Reply(title="Your alerts", private=True), Reply(ok=False, lines=("no such thing",))])
async def test_lists_and_refusals_are_for_the_askers_eyes(reply: Reply) -> None:
    """In a place; in a private talk there is nobody else."""
    async with room() as here:
        here.hub.replies["alerts"] = reply
        asked = await here.slash("alerts")
        assert asked.shown is not None and asked.shown["flags"] & HIDDEN
        private = await here.slash("alerts", channel=here.fake.private(ANNA))
        assert private.shown is not None and not private.shown["flags"]
        who = here.hub.lines[-1].who
        assert (who.place, who.address) == ("", f"user:{ANNA}")


async def test_a_bot_that_somebody_brought_along_is_a_guest() -> None:
    """In a server that does not have it, it answers its person alone, and sends to them in private."""
    async with room() as here:
        here.fake.channel(4010, "elsewhere")
        here.fake.channels[4010]["guild_id"] = "900000000000009000"
        asked = await here.slash("price", channel=4010, instruments="gold")
        assert asked.shown is not None and asked.shown["flags"] & HIDDEN
        who = here.hub.lines[-1].who
        assert (who.place, who.address) == ("", f"user:{ANNA}")


async def test_missing_rights_are_told_when_something_is_asked() -> None:
    """The hub learns that nothing can be sent there, and the person what to change."""
    async with room() as here:
        here.fake.channel(4011, "quiet", rights=0x400)
        asked = await here.slash("price", channel=4011, instruments="gold")
        assert asked.shown is not None and "Send Messages" in parts.text_of(asked.shown)
        assert here.hub.lines[-1].who.address == ""


async def test_a_picture_that_is_refused_holds_no_text_back() -> None:
    """The text goes alone and says so."""
    async with room() as here:
        here.fake.refuse_files = (413, 40005)
        here.hub.replies["chart gold"] = Reply(title="Gold", lines=("2,400.12",), image=PNG)
        with structlog.testing.capture_logs():
            asked = await here.slash("chart", instrument="gold")
        assert asked.shown is not None and "2,400.12\n(what belongs to it" in parts.text_of(asked.shown)
        here.hub.replies["chart btc"] = Reply(file=File(name="a.csv", media_type="text/csv", content=b"1"))
        await here.fake.say(GOLD, ANNA, f"<@{parts.ME}> chart btc")
        answered = (await here.fake.until(GOLD, 2))[-1]
        assert "could not be attached" in parts.text_of(answered)


async def test_a_hub_that_does_not_answer_is_told() -> None:
    """A sentence, not Discord's own failure."""
    async with room() as here:
        here.hub.replies["alerts"] = TryLater("nobody answers on line")
        with structlog.testing.capture_logs():
            asked = await here.slash("alerts")
        assert asked.shown is not None and "does not answer now" in parts.text_of(asked.shown)


async def test_a_bug_is_told_and_ends_nothing() -> None:
    """The next command is answered."""
    async with room() as here:
        here.hub.replies["alerts"] = RuntimeError("bug")
        with structlog.testing.capture_logs() as logs:
            asked = await here.slash("alerts")
        assert asked.shown is not None and "it was logged" in parts.text_of(asked.shown)
        assert any(log["event"] == "a bug in the bot" for log in logs)
        assert (await here.slash("price", instruments="gold")).shown is not None


# ----------------------------------------------------------------------------------------------- buttons


async def test_a_button_sends_its_line_as_whoever_pressed_it() -> None:
    """Rights are the hub's affair."""
    async with room() as here:
        here.hub.replies["price gold"] = Reply(title="Gold", buttons=(Button(label="Chart", line="chart gold"),))
        asked = await here.slash("price", instruments="gold")
        assert asked.shown is not None
        await here.press(asked.shown, "Chart", user=ADMIN)
        assert here.hub.asked("chart gold").who.id == str(ADMIN)


async def test_an_answer_in_its_place_changes_the_message() -> None:
    """Text, buttons and picture; the old picture is gone."""
    async with room() as here:
        day, week = Button(label="24h", line="chart gold 24h"), Button(label="7d", line="chart gold 7d")
        here.hub.replies["chart gold"] = Reply(title="Gold, 24h", image=PNG, buttons=(week,))
        here.hub.replies["chart gold 7d"] = Reply(title="Gold, 7d", image=PNG + b"7", buttons=(day,), replace=True)
        asked = await here.slash("chart", instrument="gold")
        assert asked.shown is not None
        await here.press(asked.shown, "7d")
        (shown,) = here.fake.messages[GOLD]
        assert "Gold, 7d" in parts.text_of(shown) and parts.labels(shown) == ["24h"]
        assert [one["_bytes"] for one in shown["attachments"]] == [PNG + b"7"]


async def test_a_slow_answer_changes_the_pressed_message_all_the_same() -> None:
    """Discord is told to wait; the message stays until then."""
    async with room() as here:
        again = Button(label="Refresh", line="watch board")
        here.hub.replies["price gold"] = Reply(title="old", buttons=(again,))
        here.hub.replies["watch board"] = Reply(title="new", replace=True)
        here.hub.slow["watch board"] = asyncio.Event()
        asked = await here.slash("price", instruments="gold")
        assert asked.shown is not None
        pressed = await here.fake.press(asked.shown, ANNA, "Refresh")
        await elapsed(here, "watch board")
        await pressed.answered()
        (shown,) = here.fake.messages[GOLD]
        assert parts.text_of(shown) == "new" and parts.labels(shown) == []


async def test_a_button_works_after_a_restart_of_the_bot() -> None:
    """It carries its line; nothing is remembered."""
    async with room(charts_with_alerts=False) as here:
        await here.bot.send(message(f"channel:{GOLD}", notification(1)))
        here.hub.replies["snooze 1 1h"] = snoozed
        await here.restart()
        await here.press(here.fake.messages[GOLD][0], "1 h")
        assert here.hub.asked("snooze 1 1h").who.id == str(ANNA)


@pytest.mark.parametrize(
    "label", ["15 min", "1 h", "Tomorrow", "Again", "−5 %", "−1 %", "+1 %", "+5 %", "Mute", "Delete"]
)
async def test_the_message_of_an_alert_says_what_was_done_by_whom_and_keeps_its_evidence(label: str) -> None:
    """Every button of it; what can be undone gets its button there."""
    async with room(charts_with_alerts=False) as here:
        await here.bot.send(message(f"channel:{GOLD}", notification(1)))
        (sent,) = here.fake.messages[GOLD]
        evidence, buttons = parts.text_of(sent), parts.labels(sent)
        line = next(one["custom_id"][2:] for one in parts.buttons(sent) if one["label"] == label)
        undo = (Button(label="Undo", line="undo 1"),)
        here.hub.replies[line] = Reply(title="Alert 1: done *so*", replace=True, buttons=undo)
        here.hub.replies["undo 1"] = Reply(title="Alert 1 is back")
        await here.press(sent, label)
        assert here.fake.messages[GOLD] == [sent]
        assert parts.text_of(sent) == f"{evidence}\nDone: Alert 1: done *so* · User 5"
        assert parts.labels(sent) == [*buttons, "Undo"]
        await here.press(sent, "Undo", user=ADMIN)
        assert parts.text_of(sent) == f"{evidence}\nDone: Alert 1 is back · User 77"
        assert parts.labels(sent) == buttons


async def test_what_may_not_be_done_changes_no_message() -> None:
    """The refusal is for whoever pressed."""
    async with room(charts_with_alerts=False) as here:
        await here.bot.send(message(f"channel:{GOLD}", notification(1)))
        (sent,) = here.fake.messages[GOLD]
        before = parts.text_of(sent)
        here.hub.replies["delete 1"] = Reply(ok=False, lines=("that alert is not yours",))
        pressed = await here.press(sent, "Delete")
        assert parts.text_of(sent) == before
        assert (
            pressed.shown is not None
            and pressed.shown["flags"] & HIDDEN
            and "not yours" in parts.text_of(pressed.shown)
        )


async def test_the_chart_of_an_alert_comes_behind_it() -> None:
    """A picture is a message of its own."""
    async with room(charts_with_alerts=False) as here:
        await here.bot.send(message(f"channel:{GOLD}", notification(1)))
        here.hub.replies["chart XAU-USD 24h"] = Reply(title="Gold, 24h", image=PNG)
        await here.press(here.fake.messages[GOLD][0], "Chart")
        assert here.fake.texts(GOLD)[1] == "Gold, 24h" and "Done" not in here.fake.texts(GOLD)[0]


async def test_a_chart_stays_in_its_place_when_a_button_is_pressed() -> None:
    """What an alert's message has attached is not lost by what is said below it."""
    async with room() as here:
        here.hub.replies["chart XAU-USD 24h"] = Reply(title="Gold", image=PNG)
        await here.bot.send(message(f"channel:{GOLD}", notification(1)))
        (sent,) = here.fake.messages[GOLD]

        async def drawn() -> bool:
            return bool(sent["attachments"])

        await until_true(drawn, 5)
        here.hub.replies["snooze 1 1h"] = snoozed
        await here.press(sent, "1 h")
        assert sent["attachments"][0]["_bytes"] == PNG and "Done: Alert 1 is silent" in parts.text_of(sent)


# ------------------------------------------------------------------------------------------------- forms


async def test_a_command_alone_opens_its_form_and_the_form_is_the_line() -> None:
    """Choices are menus; what is required is asked for."""
    async with room() as here:
        here.hub.replies["alert"] = Reply(ok=False, lines=("an alert needs a condition",), form=form())
        asked = await here.slash("alert")
        assert asked.modal is not None and asked.modal["title"] == "A new alert"
        sent = await here.fake.submit(asked, ANNA, instrument="gold", condition=">", level="2400", repeat="once")
        await sent.answered()
        assert here.hub.lines[-1].text == "alert gold > 2400 once"
        assert sent.shown is not None and "you said alert gold > 2400 once" in parts.text_of(sent.shown)


async def test_what_a_command_needs_and_did_not_get_is_asked_for_in_a_form() -> None:
    """Also where the hub has none of its own: the menu says what there is to fill in."""
    async with room() as here:
        here.hub.replies["move 12"] = Reply(ok=False, lines=("where to?",))
        asked = await here.slash("move", alert="12")
        assert asked.modal is not None
        sent = await (await here.fake.submit(asked, ANNA, level="2450")).answered()
        assert here.hub.lines[-1].text == "move 12 2450" and sent.shown is not None


async def test_a_form_shows_what_was_understood_and_what_was_wrong() -> None:
    """A line that does not parse ends in a form that is filled in already."""
    async with room() as here:
        wrong = Reply(ok=False, lines=("what is the level?",), form=form(instrument="gold", condition="<"))
        here.hub.replies["gold below"] = wrong
        asked = await here.slash("tocsin", line="gold below")
        assert asked.modal is not None and asked.modal["components"][0] == {"type": 10, "content": "what is the level?"}
        sent = await (await here.fake.submit(asked, ANNA, level="2300")).answered()
        assert here.hub.lines[-1].text == "alert gold < 2300" and sent.shown is not None


async def test_a_form_that_is_sent_after_a_restart_is_understood() -> None:
    """It holds all that its line is made of."""
    async with room() as here:
        here.hub.replies["alert"] = Reply(form=form(instrument="gold"))
        asked = await here.slash("alert")
        await here.restart()
        sent = await here.fake.submit(asked, ANNA, condition="crosses", level="2400", note="sell half")
        await sent.answered()
        assert here.hub.lines[-1].text == "alert gold crosses 2400 note sell half"


async def test_a_slow_form_is_behind_a_button() -> None:
    """Discord opens none once it was told to wait."""
    async with room() as here:
        here.hub.slow["alert"] = asyncio.Event()
        here.hub.replies["alert"] = Reply(lines=("say more",), form=form())
        asked = await here.fake.slash(GOLD, ANNA, "alert")
        await elapsed(here, "alert")
        await asked.answered()
        assert asked.shown is not None and parts.labels(asked.shown) == ["Fill in a form"]
        pressed = await here.press(asked.shown, "Fill in a form")
        assert pressed.modal is not None


async def test_a_form_whose_answer_is_a_form_again_offers_it_by_a_button() -> None:
    """Discord opens no form from a form; what is wrong is told."""
    async with room() as here:
        here.hub.replies["alert"] = Reply(form=form())
        here.hub.replies["alert gold > much"] = Reply(
            ok=False, lines=("much is no number",), form=form(instrument="gold", condition=">")
        )
        asked = await here.slash("alert")
        sent = await here.fake.submit(asked, ANNA, instrument="gold", condition=">", level="much")
        await sent.answered()
        assert sent.shown is not None and "much is no number" in parts.text_of(sent.shown)
        pressed = await here.press(sent.shown, "Fill in a form")
        assert pressed.modal is not None


async def test_a_button_of_another_version_is_told() -> None:
    """It runs nothing."""
    async with room() as here:
        await here.slash("price", instruments="gold")
        shown = here.fake.messages[GOLD][0]
        old = {"type": 2, "style": 2, "label": "Old", "custom_id": "zz:old"}
        shown["components"] = [{"type": 1, "components": [old]}]
        asked = await here.press(shown, "Old")
        assert asked.shown is not None and "another version" in parts.text_of(asked.shown)
        assert len(here.hub.lines) == 1


# -------------------------------------------------------------------------------------------- plain text


async def test_plain_text_is_a_line_in_private_and_where_the_bot_is_named() -> None:
    """Without any privileged intent; what is not meant for the bot it does not even read."""
    async with room() as here:
        private = here.fake.private(ANNA)
        await here.fake.say(private, ANNA, "gold > 2400")
        await here.fake.until(private)
        await here.fake.say(GOLD, ANNA, "what about gold?")
        await here.fake.say(GOLD, ANNA, f"<@{parts.ME}> price gold")
        (answer,) = await here.fake.until(GOLD)
        assert [line.text for line in here.hub.lines] == ["gold > 2400", "price gold"]
        assert here.hub.lines[0].who.address == f"user:{ANNA}" and here.hub.lines[1].who.place == str(GOLD)
        assert answer["reference"]["fail_if_not_exists"] is False and not answer["pings"]
        assert not here.fake.identified[-1] & (1 << 15 | 1 << 1 | 1 << 8)


async def test_an_answer_waits_for_its_turn_in_a_busy_channel() -> None:
    """Nobody would send it again; the alerts that made the channel busy are not refused by it."""
    async with room(charts_with_alerts=False) as here:
        for number in range(4):
            await here.bot.send(message(f"channel:{GOLD}", notification(number)))
        await here.fake.say(GOLD, ANNA, f"<@{parts.ME}> price gold")
        await here.fake.until(GOLD, 5, within_s=10)
        assert "you said price gold" in here.fake.texts(GOLD)[-1] and not here.fake.limited


async def test_other_bots_are_not_answered() -> None:
    """Two that answer each other never end."""
    async with room() as here:
        private = here.fake.private(ANNA)
        await here.fake.say(private, 6, "price gold", bot=True)
        await here.fake.say(private, ANNA, "price silver")
        await here.fake.until(private)
        assert [line.text for line in here.hub.lines] == ["price silver"]


async def test_symbols_are_answered_where_that_is_switched_on() -> None:
    """The hub says of each place whether it is, and is asked once in a while; a switch works at once."""
    async with served() as fake:
        fake.granted = CONTENT_INTENT
        fake.channel(4002, "silver")
        here = Room(fake, ScriptedHub(), package.Settings(token=fake.token, read_channels=True))
        here.hub.replies["place"] = lambda line: Reply(facts={"detect": line.who.place == str(GOLD)})
        await here.open()
        try:
            await fake.say(4002, ANNA, "look at $gold")
            await fake.say(4002, ANNA, "look at $gold again")
            await fake.say(GOLD, ANNA, "nothing here")
            await fake.say(GOLD, ANNA, "look at $gold and #btc")
            await fake.until(GOLD)
            assert [line.text for line in here.hub.lines] == ["place", "place", "price XAU-USD BTC-USDT"]
            here.hub.replies["place detect on"] = Reply(facts={"detect": True})
            await here.slash("tocsin", channel=4002, line="place detect on")
            await fake.say(4002, ANNA, "$silver")
            await fake.until(4002, 2)
            assert here.hub.lines[-1].text == "price XAG-USD"
        finally:
            await here.close()


async def test_a_secret_that_is_asked_for_in_a_channel_is_answered_in_private() -> None:
    """A text cannot be answered for one person's eyes alone; where they take no messages they are told how."""
    async with room() as here:
        here.hub.replies["export"] = Reply(title="All about you", private=True)
        await here.fake.say(GOLD, ANNA, f"<@{parts.ME}> export")
        (told,) = await here.fake.until(GOLD)
        assert here.fake.texts(here.fake.private(ANNA)) == ["All about you"]
        assert "in private" in parts.text_of(told) and "All about" not in parts.text_of(told)
        here.fake.refusing[ANNA] = (403, 50007)
        await here.fake.say(GOLD, ANNA, f"<@{parts.ME}> export")
        told = (await here.fake.until(GOLD, 2))[-1]
        assert "/ command" in parts.text_of(told)


async def test_hostile_answers_are_shown_as_text() -> None:
    """What another person wrote may be in any reply."""
    async with room() as here:
        hostile = "@everyone <@5> ||x|| [a](https://evil.example) " + "y" * 10_000
        here.hub.replies["alerts"] = Reply(title=hostile, lines=(hostile,) * 5, table=((hostile, "b"),) * 3)
        asked = await here.slash("alerts")
        assert asked.shown is not None and not asked.shown["pings"]
        embed = asked.shown["embeds"][0]
        assert "[a](" not in embed["title"] and embed["title"].startswith("\\@everyone \\<\\@5\\>")
