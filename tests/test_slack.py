"""The Slack bot, met by people of a workspace: commands, mentions, forms, and the App Home."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog.testing

from hub import load
from hub.forms import line_of
from hub.model import (
    Menu,
)
from hub.testing import check_bot
from tests.fakes import slack as fakes
from tests.fakes.slack import labels, words
from tests.slack_room import ALERT, LEVEL, MENU, PNG, Office, TestHub, at_work, entry, jumping

ROOT = Path(__file__).parent.parent


@pytest.fixture
async def slack() -> AsyncIterator[fakes.Slack]:
    async with fakes.workspace(jumping()) as made:
        yield made


@pytest.fixture
async def office(slack: fakes.Slack) -> AsyncIterator[Office]:
    async with at_work(slack, TestHub()) as made:
        yield made


async def test_the_bot_keeps_the_contract() -> None:
    """Without tokens it ends with a reason."""
    await check_bot(load.bot("slack"))


def test_slacks_libraries_are_imported_only_where_they_are_needed() -> None:
    """A look at the configuration stays quick."""
    code = "import sys, bots.slack as s; s.open_bot(s.Settings()); print([m for m in sys.modules if m[:6] == 'slack_'])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.strip() == "[]"


# --------------------------------------------------------------------------------------------- commands


async def test_a_command_is_answered_for_one_pair_of_eyes(office: Office) -> None:
    """The line arrives as it was typed, with who and where; the answer is ephemeral and can be shared."""
    await office.slack.command(office.anna, office.desk, "price gold & silver")
    answer = await office.whispered(office.anna)
    assert "2,411.20 USD" in words(answer)
    assert labels(answer) == ["Share to channel"]
    (line,) = office.hub.lines
    assert line.text == "price gold & silver"
    who = line.who
    assert (who.platform, who.id, who.name, who.place, who.place_name) == ("slack", "UANNA", "Anna", "CDESK", "desk")
    assert (who.address, who.admin, who.language) == ("CDESK", True, "de-DE")
    assert office.slack.messages == []


async def test_who_administers_a_place_is_what_slack_says(office: Office) -> None:
    """Admins of the workspace and the channel's creator; nobody administers a direct talk."""
    bens = office.slack.channel("CBENS", "bens", office.anna, office.ben, creator=office.ben)
    for channel in (office.desk, bens, office.slack.dm(office.ben)):
        await office.slack.command(office.ben, channel, "price gold")
    await office.slack.wait(lambda: len(office.hub.lines) == 3)
    by_place = {line.who.place: line.who for line in office.hub.lines}
    assert {place: who.admin for place, who in by_place.items()} == {"CDESK": False, "CBENS": True, "": False}
    assert by_place[""].address == office.ben


async def test_a_command_with_nothing_behind_it_asks_for_help(office: Office) -> None:
    """Somebody who knows nothing yet gets a start."""
    await office.slack.command(office.anna, office.desk, "  ")
    await office.whispered(office.anna)
    assert office.hub.said == ["help"]


async def test_an_answer_is_shared_with_its_content_and_without_asking_again(office: Office) -> None:
    """What the button carries is what everybody sees; the hub is not asked, so nothing happens twice."""
    await office.slack.command(office.ben, office.desk, "alert gold > 2400")
    answer = await office.whispered(office.ben)
    await office.slack.press(office.ben, answer, "Share to channel")
    shared = await office.said(office.desk)
    assert "Alert 1 is set" in words(shared) and "shared by Ben" in words(shared)
    await office.slack.wait(lambda: answer.get("deleted"))
    assert office.hub.said == ["alert gold > 2400"]


async def test_a_channel_that_the_bot_is_not_in_cannot_be_rung_in(office: Office) -> None:
    """No address, and a word on how to change that; invited, it says what it can do, and has an address at once."""
    away = office.slack.channel("CAWAY", "away", office.ben, bot=False)
    hidden = office.slack.channel("CHIDDEN", "hidden", office.ben, bot=False, is_private=True)
    for channel in (away, hidden):
        await office.slack.command(office.ben, channel, "alert gold > 2400")
        await office.slack.wait(lambda channel=channel: [e for e in office.slack.ephemerals if e["channel"] == channel])  # type: ignore[misc]
        assert "/invite me" in words(office.slack.ephemerals[-1])
    assert [line.who.address for line in office.hub.lines] == ["", ""]
    office.slack.channel("CAWAY", "away", office.ben)
    await office.slack.event({"type": "member_joined_channel", "user": fakes.BOT, "channel": away})
    welcome = await office.said(away)
    assert "/tocsin gold > 2400" in words(welcome) and "New alert" in labels(welcome)
    await office.slack.command(office.ben, away, "alert gold > 2500")
    await office.slack.wait(lambda: len(office.hub.lines) == 3)
    assert office.hub.lines[2].who.address == away


async def test_an_answer_is_shared_where_the_bot_is_no_member(office: Office) -> None:
    """The address that came with the press reaches the channel all the same."""
    away = office.slack.channel("CAWAY", "away", office.ben, bot=False)
    await office.slack.command(office.ben, away, "price gold")
    await office.slack.press(office.ben, await office.whispered(office.ben), "Share to channel")
    assert "shared by Ben" in words(await office.said(away))


async def test_a_picture_follows_the_text_and_is_shared_as_a_file(office: Office) -> None:
    """For one pair of eyes it goes into their direct messages; shared, into the channel, drawn for who shares it."""
    await office.slack.command(office.ben, office.desk, "chart gold 24h")
    answer = await office.whispered(office.ben)
    assert "in your direct messages" in words(answer)
    (file,) = await office.slack.wait(lambda: office.slack.files)
    assert (file["channel"], file["content"], file["title"]) == ("DUBEN", PNG, "Chart of gold 24h")
    await office.slack.press(office.ben, answer, "Share to channel")
    await office.slack.wait(lambda: len(office.slack.files) == 2)
    assert office.slack.files[1]["channel"] == office.desk
    assert office.hub.said == ["chart gold 24h", "chart gold 24h"]


async def test_a_picture_that_fails_holds_no_text_back(office: Office) -> None:
    """The answer is there; the log says why the picture is not."""
    office.slack.fail("files.getUploadURLExternal", "internal_error", 500)
    with structlog.testing.capture_logs() as logs:
        await office.slack.command(office.ben, office.desk, "chart gold 24h")
        assert "It rose." in words(await office.whispered(office.ben))
        await office.slack.wait(lambda: [one for one in logs if "picture" in one["event"]])
    assert office.slack.files == []


async def test_a_file_goes_to_its_person_alone(office: Office) -> None:
    """What is private is neither shown to the channel nor offered for it."""
    await office.slack.mention(office.ben, office.desk, "export")
    answer = await office.whispered(office.ben)
    assert labels(answer) == []
    (file,) = await office.slack.wait(lambda: office.slack.files)
    assert (file["channel"], file["name"], file["content"]) == ("DUBEN", "me.json", b"{}")
    assert office.slack.said(office.desk) == []


async def test_a_hub_that_is_away_is_said(office: Office) -> None:
    """In words, at once."""
    office.hub.away = True
    await office.slack.command(office.anna, office.desk, "price gold")
    assert "does not answer now" in words(await office.whispered(office.anna))


async def test_a_slow_hub_does_not_hold_the_acknowledgement(office: Office) -> None:
    """Slack's three seconds are kept whatever the hub does: the fake holds every envelope to them."""
    office.hub.slow.clear()
    await office.slack.command(office.anna, office.desk, "price gold")
    assert office.slack.ephemerals == []
    office.hub.slow.set()
    assert "2,411.20" in words(await office.whispered(office.anna))


# ------------------------------------------------------------------------------------- mentions and messages


async def test_a_mention_is_answered_in_its_thread(office: Office) -> None:
    """Plain text in a channel; where it stands in a thread, what concerns the place goes there as well."""
    asked = await office.slack.mention(office.ben, office.desk, "price gold")
    assert (await office.said(office.desk))["thread_ts"] == asked
    await office.slack.mention(office.ben, office.desk, "alert gold &gt; 2400", thread=asked)
    assert (await office.said(office.desk, 2))["thread_ts"] == asked
    first, second = (line.who.address for line in office.hub.lines)
    assert (first, second) == ("CDESK", f"CDESK:{asked}")
    assert office.hub.said[1] == "alert gold > 2400"


async def test_a_direct_message_is_a_line(office: Office) -> None:
    """Also with bent quotation marks and a link that Slack made; what bots say and edits are passed over."""
    await office.slack.write(office.ben, "alert gold &gt; 2400 note “see <http://x.org|x.org>”")
    assert "Alert 1 is set" in words(await office.said("DUBEN"))
    await office.slack.write(office.ben, "price gold", bot_id="B7")
    await office.slack.write(office.ben, "price gold", subtype="message_changed")
    await office.slack.write(office.ben, "price silver")
    await office.said("DUBEN", 2)
    assert office.hub.said == ['alert gold > 2400 note "see x.org"', "price silver"]
    assert office.hub.lines[0].who.place == ""


async def test_an_event_that_slack_repeats_is_answered_once(office: Office) -> None:
    """Slack sends again what it thinks was lost."""
    event = {"type": "app_mention", "text": "price gold", "user": office.ben, "channel": office.desk, "ts": "1.1"}
    await office.slack.event(event, "Ev-same")
    await office.slack.event(event, "Ev-same")
    await office.slack.mention(office.ben, office.desk, "price silver")
    await office.said(office.desk, 2)
    assert sorted(office.hub.said) == ["price gold", "price silver"]


async def test_a_price_that_people_speak_of_is_named_where_the_place_wants_it(office: Office) -> None:
    """Off until `place detect on`; the hub is asked once in a while, not at every message; answered in a thread."""
    await office.slack.chat(office.ben, office.desk, "I like $gold and $nothing")
    await office.slack.wait(lambda: office.hub.said == ["place"])
    await office.slack.chat(office.ben, office.desk, "costs $5 or #1")
    await office.slack.mention(office.anna, office.desk, "place detect on")
    await office.said(office.desk)
    asked = await office.slack.chat(office.ben, office.desk, "now $gold, $BTC &amp; $gold")
    await office.slack.chat(office.ben, office.desk, f"<@{fakes.BOT}> $gold")
    answer = await office.said(office.desk, 2)
    assert answer["thread_ts"] == asked
    assert office.hub.said == ["place", "place detect on", "price XAU-USD BTC-USDT"]


HOSTILE = "<!channel> <@UANNA> *bold* @everyone http://evil.example <script> \u202etxt.exe & co"


async def test_hostile_text_is_shown_as_text(office: Office) -> None:
    """Nothing of it is in a place that Slack parses; what turns text round is written out."""
    await office.slack.write(office.ben, HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    answer = await office.said("DUBEN")
    assert "<!channel> <@UANNA> *bold* @everyone" in words(answer) and "\\u202etxt.exe & co" in words(answer)
    assert "&lt;!channel&gt;" in answer["text"]
    assert {block["type"] for block in answer["blocks"]} == {"rich_text"}


async def test_ten_thousand_characters_are_taken_and_cut(office: Office) -> None:
    """The hub says what it says of such a line, and the answer stays within Slack's limits."""
    await office.slack.write(office.ben, "x" * 10_000)
    assert (await office.said("DUBEN"))["blocks"]


# -------------------------------------------------------------------------------------------------- forms


async def test_a_line_that_lacks_something_opens_a_form_with_live_search(office: Office) -> None:
    """`/tocsin alert` alone; names are found as one types; what comes out is a line."""
    await office.slack.command(office.ben, office.desk, "alert")
    view = await office.view()
    assert [block["block_id"] for block in view["blocks"] if block["type"] == "input"] == [
        "instrument", "condition", "level", "note",
    ]  # fmt: skip
    assert "An alert needs a condition." in words(view)
    assert await office.slack.search(office.ben, view, "instrument.instrument", "go") == ["XAU-USD", "go"]
    assert await office.slack.search(office.ben, view, "instrument.instrument", "gold") == ["XAU-USD"]
    assert await office.slack.search(office.ben, view, "instrument.instrument", "") == [
        "XAU-USD",
        "XAG-USD",
        "BTC-USDT",
    ]
    values: dict[str, str | list[str]] = {
        "instrument": "XAU-USD",
        "condition": "above",
        "level": "2400",
        "note": "sell",
    }
    assert await office.slack.submit(office.ben, view, values) == {}
    assert "Alert 1 is set" in words(await office.whispered(office.ben))
    assert office.hub.said[-1] == line_of("alert", ALERT, values) == "alert XAU-USD above 2400 note sell"  # type: ignore[arg-type]
    assert office.hub.lines[-1].who.place == office.desk


async def test_a_form_stays_open_with_the_hubs_objection(office: Office) -> None:
    """With a form of the hub's own in its place where it sends one, else with its words at the first field."""
    await office.slack.command(office.ben, office.desk, "alert")
    view = await office.view()
    answer = await office.slack.submit(office.ben, view, {"instrument": "lead", "condition": "above", "level": "2400"})
    assert answer["response_action"] == "update" and "Which instrument?" in words(answer["view"])
    office.hub.menu_is = Menu(commands=(entry("alert", *ALERT), entry("delete", LEVEL)), instruments=())
    office.bot._talk.menus.forget()  # type: ignore[union-attr]  # a new menu is heard of after minutes
    await office.slack.open_home(office.ben)
    home = await office.home(office.ben, "Your alerts")
    await office.slack.choose(office.ben, home, "command", "delete")
    await office.slack.wait(lambda: len(office.slack.views) == 2)
    answer = await office.slack.submit(office.ben, office.slack.views[1], {"level": "9"})
    assert answer == {"response_action": "errors", "errors": {"level": "you have no alert 9"}}


async def test_a_form_that_the_hub_is_slow_about_closes_and_is_answered_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack's three seconds are kept; the answer comes as a message."""
    monkeypatch.setattr("bots.slack.limits.ERROR_IN_FORM_S", 0.01)
    await office.slack.command(office.ben, office.desk, "alert")
    view = await office.view()
    office.hub.slow.clear()
    values: dict[str, str | list[str]] = {"instrument": "gold", "condition": "above", "level": "2400"}
    assert await office.slack.submit(office.ben, view, values) == {}
    office.hub.slow.set()
    assert "Alert 1 is set" in words(await office.whispered(office.ben))


async def test_where_no_form_can_be_opened_a_button_opens_it(office: Office) -> None:
    """Plain text comes without the right to open one, and a trigger may be too old; the button carries the form."""
    office.slack.fail("views.open", "expired_trigger_id")
    await office.slack.command(office.ben, office.desk, "alert")
    answer = await office.whispered(office.ben)
    assert labels(answer) == ["Fill in…"]
    await office.slack.press(office.ben, answer, "Fill in…")
    assert (await office.view())["title"]["text"] == "New alert"
    await office.slack.write(office.ben, "alert")
    assert labels(await office.said("DUBEN")) == ["Fill in…"]


async def test_the_global_shortcut_opens_the_form_of_a_new_alert(office: Office) -> None:
    """From anywhere in Slack; the answer goes to the direct messages."""
    await office.slack.shortcut(office.ben, "new_alert")
    view = await office.view()
    assert view["title"]["text"] == "alert"
    await office.slack.submit(office.ben, view, {"instrument": "gold", "condition": "below", "level": "2300"})
    assert "Alert 1 is set" in words(await office.said("DUBEN"))


async def test_a_message_shortcut_shows_the_words_before_it_sends_them(office: Office) -> None:
    """They may be somebody else's: nothing runs before the person pressed Send."""
    written = {"channel": office.desk, "ts": "1.2", "text": "delete 3 &amp; all"}
    await office.slack.shortcut(office.ben, "ask", written)
    view = await office.view()
    assert view["blocks"][0]["element"]["initial_value"] == "delete 3 & all"
    assert office.hub.said == []
    await office.slack.submit(office.ben, view, {"line": "price gold"})
    await office.whispered(office.ben)
    assert office.hub.said == ["price gold"]


# --------------------------------------------------------------------------------------------------- home


async def test_the_home_is_the_alert_manager(office: Office) -> None:
    """A new alert by form, snoozed and deleted by buttons, each shown at once."""
    await office.slack.open_home(office.ben)
    home = await office.home(office.ben, "You have none")
    await office.slack.press(office.ben, home, "New alert")
    view = await office.view()
    await office.slack.submit(office.ben, view, {"instrument": "gold", "condition": "above", "level": "2400"})
    home = await office.home(office.ben, "Alert 1 is set", "1 · gold above 2400", "2,411.2")
    await office.slack.press(office.ben, home, "1 h")
    home = await office.home(office.ben, "Alert 1 is silent for 1h")
    assert "Wake" in labels(home)
    await office.slack.press(office.ben, home, "Delete", "home:1")
    home = await office.home(office.ben, "Alert 1 is deleted", "You have none")
    assert "Undo" in labels(home)
    assert office.hub.lines[-1].who.place == ""


async def test_the_home_follows_what_was_done_elsewhere(office: Office) -> None:
    """Whoever has opened it sees an alert that they set in a channel; who never did is not asked about."""
    await office.slack.open_home(office.ben)
    await office.home(office.ben, "You have none")
    await office.slack.command(office.ben, office.desk, "alert gold > 2500")
    await office.home(office.ben, "1 · gold > 2500")
    await office.slack.command(office.anna, office.desk, "alert gold > 2600")
    await office.whispered(office.anna)
    assert office.anna not in office.slack.homes


async def test_a_command_that_is_added_later_is_in_the_home_by_itself(office: Office) -> None:
    """The menu is the hub's; one that takes nothing runs at once, its answer goes to the direct messages."""
    office.hub.menu_is = Menu(commands=(*MENU.commands, entry("export")), instruments=())
    await office.slack.open_home(office.ben)
    home = await office.home(office.ben, "Your alerts")
    await office.slack.choose(office.ben, home, "command", "export")
    await office.home(office.ben, "All of you: it is in your direct messages")
    assert "export" in office.hub.said and office.slack.files


async def test_ninety_alerts_fit_into_a_home(office: Office) -> None:
    """As many as Slack's hundred blocks hold, and how many more there are."""
    office.hub.alerts = [{"id": n, "words": f"gold > {n}", "state": "armed"} for n in range(1, 91)]
    await office.slack.open_home(office.ben)
    home = await office.home(office.ben, "1 · gold > 1", "more: /tocsin alerts")
    assert len(home["blocks"]) <= 100
