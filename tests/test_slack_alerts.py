"""Alerts in Slack: what one can do about them, what Slack refuses, and a connection that breaks."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog.testing

from bots.slack import Slack, parsed
from hub import outgoing
from hub.model import (
    Destination,
    Nature,
)
from hub.plugin import GiveUp, Gone, TryLater
from tests.fakes import slack as fakes
from tests.fakes.slack import labels, words
from tests.slack_room import PNG, Office, TestHub, at_work, jumping, message, notification, settings, told


@pytest.fixture
async def slack() -> AsyncIterator[fakes.Slack]:
    async with fakes.workspace(jumping()) as made:
        yield made


@pytest.fixture
async def office(slack: fakes.Slack) -> AsyncIterator[Office]:
    async with at_work(slack, TestHub()) as made:
        yield made


# ------------------------------------------------------------------------------------------------- alerts


async def test_an_alert_is_something_one_can_act_on(office: Office) -> None:
    """Title, evidence, note, nature and buttons; after a press the buttons give way to who did what."""
    receipt = await office.bot.send(message(office.desk, 12, note="sell half", nature=Nature.SIMULATED))
    alert = await office.said(office.desk)
    assert receipt == f"{office.desk}:{alert['ts']}"
    for part in ("Gold crossed above 12", "evidence 12", "sell half", "These prices are simulated."):
        assert part in words(alert)
    assert labels(alert) == [each.label for each in outgoing.buttons(notification(12))]
    await office.slack.press(office.ben, alert, "1 h")
    await office.slack.wait(lambda: "Alert 12 is silent for 1h · Ben" in words(alert))
    assert "evidence 12" in words(alert) and labels(alert) == ["Wake"]
    assert office.hub.lines[-1].who.id == office.ben
    await office.slack.press(office.anna, alert, "Wake")
    await office.slack.wait(lambda: "Alert 12 is awake · Anna" in words(alert))
    assert labels(alert) == [] and "evidence 12" in words(alert)


async def test_an_alert_that_was_held_says_so(office: Office) -> None:
    """Below its evidence; several say it in their heading, each with its own time."""
    await office.bot.send(message(office.desk, 12, held_until=2))
    assert "held through your quiet hours" in words(await office.said(office.desk))
    rang = [notification(n, held_until=2, created_at=n * 3_600_000_000) for n in (1, 2, 3)]
    place = Destination(id=1, owner_id=1, platform="slack", address=office.desk, label="desk")
    await office.bot.send(outgoing.message(place, rang))
    shown = words(await office.said(office.desk, 2))
    assert "3 alerts in your quiet hours, 01:00 to 03:00 UTC" in shown and "02:00:00 Gold crossed above 2" in shown


async def test_a_press_works_after_a_restart(slack: fakes.Slack) -> None:
    """The line lies in the button and the message in Slack: a bot that never saw it edits it all the same."""
    async with at_work(slack, TestHub(), charts_with_alerts=False) as first:
        await first.bot.send(message(first.desk, 12))
        alert = await first.said(first.desk)
    async with at_work(slack, TestHub(), charts_with_alerts=False) as second:
        await second.slack.press(second.ben, alert, "Tomorrow")
        await slack.wait(lambda: "silent for until tomorrow · Ben" in words(alert))


async def test_several_alerts_in_one_message_are_acted_on_one_by_one(office: Office) -> None:
    """Two people press at the same time: both lines stand, and the third alert keeps its buttons."""
    await office.bot.send(message(office.desk, 1, 2, 3))
    alert = await office.said(office.desk)
    assert words(alert).startswith("3 alerts")
    before = {**alert, "blocks": list(alert["blocks"])}
    await asyncio.gather(
        office.slack.press(office.ben, before, "1 h", "alert:1:0"),
        office.slack.press(office.anna, before, "Delete", "alert:2:0"),
    )
    await office.slack.wait(lambda: "Alert 1 is silent for 1h · Ben" in words(alert) and "2 is deleted" in words(alert))
    assert "Alert 2 is deleted · Anna" in words(alert)
    assert labels(alert).count("1 h") == 1


async def test_who_may_not_is_told_alone_and_the_message_stays(office: Office) -> None:
    """The hub refuses; nobody else sees it."""
    await office.bot.send(message(office.desk, 9))
    alert = await office.said(office.desk)
    await office.slack.press(office.ben, alert, "Delete")
    assert "you have no alert 9" in words(await office.whispered(office.ben))
    assert "Delete" in labels(alert)


async def test_a_chart_follows_an_alert_in_its_thread(office: Office) -> None:
    """Asked for as whom the alert went to; a chart that fails is only logged."""
    await office.bot.send(message(office.ben, 12))
    alert = await office.said("DUBEN")
    (file,) = await office.slack.wait(lambda: office.slack.files)
    assert (file["channel"], file["thread_ts"], file["content"]) == ("DUBEN", alert["ts"], PNG)
    assert (office.hub.said, office.hub.lines[0].who.id) == (["chart XAU-USD 24h"], office.ben)
    await office.slack.press(office.ben, alert, "Chart")
    await office.slack.wait(lambda: len(office.slack.files) == 2)
    assert "Delete" in labels(alert)


async def test_a_button_of_a_picture_changes_it_in_place(office: Office) -> None:
    """The text with the buttons is replaced; the new picture follows."""
    await office.slack.command(office.ben, office.desk, "chart gold 24h")
    answer = await office.whispered(office.ben)
    await office.slack.press(office.ben, answer, "7d")
    await office.slack.wait(lambda: "Chart of gold 7d here" in words(answer))
    await office.slack.wait(lambda: len(office.slack.files) == 2)


async def test_fifty_alerts_make_one_message_within_the_limits(office: Office) -> None:
    """Every one that fits is told with its title, and the rest is counted; the fake refuses what Slack would."""
    long = "evidence " * 60
    await office.bot.send(message(office.desk, *range(1, 51), text=long, note="n" * 200))
    told = words(await office.said(office.desk))
    assert "Gold crossed above 48" in told and "and 2 more" in told


async def test_ten_thousand_alerts_to_three_hundred_channels_arrive_in_slacks_pace() -> None:
    """By the wall's clock against a Slack that refuses a second message within a second: all of them, in their order,
    and nobody is refused."""
    async with (
        fakes.workspace() as slack,
        at_work(slack, TestHub(), time.monotonic, charts_with_alerts=False) as office,
    ):
        places = [slack.channel(f"C{number:03}", f"place{number}", office.ben) for number in range(298)]
        places += [office.desk, office.ben]
        numbers = iter(range(1, 10_001))
        work = [(place, list(itertools.islice(numbers, 34))) for place in places]
        waiting = [message(place, *some) for place, some in work if some]
        for start in range(0, len(waiting), 32):  # delivery sends to so many at the same time
            await asyncio.gather(*(office.bot.send(each) for each in waiting[start : start + 32]))
        shown = [[int(found) for found in re.findall(r"above (\d+)", words(one))] for one in slack.messages]
        assert sorted(number for some in shown for number in some) == list(range(1, 10_001))
        assert all(some == sorted(some) for some in shown)
        for place in places[len(waiting) :]:
            await office.bot.send(message(place, 1))
        later = await told(office.bot.send(message(places[0], 1)))
        assert isinstance(later, TryLater) and 0 < (later.retry_after_s or 0) <= 60
        assert (len(slack.messages), slack.limited) == (300, [])


async def test_an_alert_goes_into_a_thread(office: Office) -> None:
    """An address may name one."""
    await office.bot.send(message("CDESK:1700000000.000100", 1))
    assert (await office.said(office.desk))["thread_ts"] == "1700000000.000100"


# ------------------------------------------------------------------------------------------------ refusals


async def test_what_is_gone_for_good_is_told_apart(office: Office) -> None:
    """Kicked, archived, unknown, or somebody who left."""
    office.slack.channel("CKICKED", "kicked", bot=False)
    office.slack.channel("COLD", "old", is_archived=True)
    office.slack.person("ULEFT", "Left", deleted=True)
    for address in ("CKICKED", "COLD", "CNONE", "UNONE", "ULEFT"):
        assert isinstance(await told(office.bot.send(message(address))), Gone), address
    assert not isinstance(await told(office.bot.send(message("not an address"))), Gone)


async def test_whether_an_address_would_be_sent_to_is_known_beforehand(office: Office) -> None:
    """Nothing is sent to find out."""

    def destination(address: str) -> Destination:
        return Destination(id=1, owner_id=1, platform="slack", address=address, label="x")

    office.slack.channel("CKICKED", "kicked", bot=False)
    office.slack.channel("COLD", "old", is_archived=True)
    office.slack.person("ULEFT", "Left", deleted=True)
    for address in (office.desk, office.ben, office.slack.dm(office.ben), "CDESK:1.1"):
        await office.bot.check(destination(address))
    for address in ("CKICKED", "COLD", "CNONE", "ULEFT"):
        assert isinstance(await told(office.bot.check(destination(address))), Gone), address
    office.slack.fail("users.info", "internal_error", 500)
    assert isinstance(await told(office.bot.check(destination(office.ben))), TryLater)
    assert office.slack.messages == []


@pytest.mark.parametrize(
    ("error", "status", "more", "kind", "wait_s"),
    [
        ("ratelimited", 429, {"retry_after": 17}, TryLater, 17.0),
        ("internal_error", 500, {}, TryLater, None),
        ("service_unavailable", 503, {}, TryLater, None),
        ("<html>Bad Gateway</html>", 502, {}, TryLater, None),
        ("token_revoked", 200, {}, TryLater, None),
        ("missing_scope", 200, {"needed": "chat:write"}, TryLater, None),
        ("messages_tab_disabled", 200, {}, TryLater, None),
        ("restricted_action", 200, {}, GiveUp, None),
    ],
)
async def test_a_refusal_is_for_now_or_for_good(
    office: Office, error: str, status: int, more: dict[str, Any], kind: type[Exception], wait_s: float | None
) -> None:
    """Slack's time is passed on; what can be repaired in its console is worth waiting for."""
    office.slack.fail("chat.postMessage", error, status, **more)
    found = await told(office.bot.send(message(office.desk)))
    assert type(found) is kind or (kind is GiveUp and isinstance(found, GiveUp) and not isinstance(found, Gone))
    assert getattr(found, "retry_after_s", None) == wait_s
    assert error in found.reason or status == 429 or status >= 500


async def test_what_slack_asks_to_wait_is_held_for_that_channel_alone(slack: fakes.Slack) -> None:
    """The next message there is put off without asking Slack; others go."""
    now = [1000.0]
    async with at_work(slack, TestHub(), clock=lambda: now[0], charts_with_alerts=False) as office:
        slack.fail("chat.postMessage", "ratelimited", 429, retry_after=30)
        first = await told(office.bot.send(message(office.desk, 1)))
        asked = len(slack.calls)
        second = await told(office.bot.send(message(office.desk, 2)))
        assert isinstance(first, TryLater) and isinstance(second, TryLater)
        assert (first.retry_after_s, second.retry_after_s) == (30.0, 30.0)
        assert len(slack.calls) == asked
        await office.bot.send(message(office.ben, 3))
        now[0] += 30.5
        await office.bot.send(message(office.desk, 1))
        assert len(slack.said(office.desk)) == 1


async def test_a_platform_that_cannot_be_reached_is_tried_later(slack: fakes.Slack) -> None:
    """No connection is no refusal."""
    bot = Slack(settings(slack, url="http://127.0.0.1:9/api/"), clock=jumping())
    assert isinstance(await told(bot.send(message("CDESK"))), TryLater)
    assert isinstance(await told(bot.run(TestHub())), TryLater)


@pytest.mark.parametrize(
    ("tokens", "word"),
    [
        ({"token": ""}, "set TOCSIN_BOTS__SLACK__TOKEN"),
        ({"app_token": ""}, "set TOCSIN_BOTS__SLACK__APP_TOKEN"),
        ({"token": fakes.APP_TOKEN}, "begins with xoxb-"),
        ({"token": "xoxb-wrong-token-of-nobody"}, "OAuth & Permissions"),
        ({"app_token": "xapp-wrong-token-of-nobody"}, "App-Level Tokens"),
    ],
)
async def test_a_token_that_does_not_work_is_one_clear_line(
    slack: fakes.Slack, tokens: dict[str, str], word: str
) -> None:
    """It says what to change and where, and holds no token."""
    found = await told(Slack(settings(slack, **tokens)).run(TestHub()))
    assert isinstance(found, GiveUp) and word in found.reason
    assert "nobody" not in found.reason and fakes.APP_TOKEN not in found.reason


async def test_socket_mode_that_is_off_is_one_clear_line(slack: fakes.Slack) -> None:
    """With the place of the switch."""
    slack.socket_mode = False
    found = await told(Slack(settings(slack)).run(TestHub()))
    assert isinstance(found, GiveUp) and "switch it on" in found.reason


@pytest.mark.parametrize(
    "event", [{"type": "tokens_revoked", "tokens": {"bot": ["UBOT"]}}, {"type": "app_uninstalled"}]
)
async def test_an_app_that_is_thrown_out_gives_up_and_says_so(office: Office, event: dict[str, Any]) -> None:
    """As Slack tells it while we listen."""
    await office.slack.event(event)
    found = await told(asyncio.wait_for(office.running, 5))
    assert isinstance(found, GiveUp) and "OAuth & Permissions" in found.reason


async def test_names_that_slack_does_not_tell_hold_no_answer_back(office: Office) -> None:
    """Without the scope the id stands for the name, nobody administers, and the log says what is missing."""
    office.slack.scopes -= {"users:read", "channels:read"}
    with structlog.testing.capture_logs() as logs:
        await office.slack.command(office.anna, office.desk, "price gold")
        await office.whispered(office.anna)
    assert (office.hub.lines[0].who.name, office.hub.lines[0].who.admin) == (office.anna, False)
    assert "users:read" in str(logs)


# --------------------------------------------------------------------------------------------- connection


async def test_slack_sends_the_bot_to_another_connection(office: Office) -> None:
    """As it does every few hours; the next command is answered over the new one."""
    await office.slack.disconnect()
    await office.slack.wait(lambda: [call for call, _ in office.slack.calls].count("apps.connections.open") == 2)
    await office.slack.wait(lambda: office.slack.connections == 1)
    await office.slack.command(office.anna, office.desk, "price gold")
    await office.whispered(office.anna)


async def test_a_connection_that_breaks_ends_the_listening_and_sending_goes_on(office: Office) -> None:
    """TryLater: the bot's process begins it anew."""
    office.slack.socket_mode = False  # so that the library cannot come back by itself
    await office.slack.cut()
    assert isinstance(await told(asyncio.wait_for(office.running, 5)), TryLater)
    await office.bot.send(message(office.desk, 1))


async def test_no_secret_and_no_word_of_a_chat_reaches_the_log(office: Office) -> None:
    """Whatever goes wrong."""
    office.slack.fail("files.getUploadURLExternal", "internal_error", 500)
    office.slack.fail("users.info", "fatal_error", 500)
    with structlog.testing.capture_logs() as logs:
        await office.slack.command(office.ben, office.desk, "chart gold 24h")
        await office.slack.wait(lambda: len(logs) >= 2)
    for secret in (fakes.BOT_TOKEN, fakes.APP_TOKEN, "response/", "chart gold"):
        assert secret not in str(logs)


def test_an_address_is_a_channel_a_person_or_a_thread() -> None:
    """Anything else is refused before Slack is asked."""
    assert parsed("C0123ABC") == ("C0123ABC", "")
    assert parsed("U0123ABC") == ("U0123ABC", "")
    assert parsed("C0123ABC:1700000000.000100") == ("C0123ABC", "1700000000.000100")
    for wrong in ("", "general", "#general", "c0123abc", "C0123ABC:", "C0123ABC:now", "X0123ABC"):
        with pytest.raises(GiveUp):
            parsed(wrong)
