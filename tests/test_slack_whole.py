"""From a press in Slack to the ledger and back: the bot in its host, a real bus, real commands, real delivery."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bots.slack import limits
from hub import bothost
from hub.config import BotSection, Config
from tests.fakes import slack as fakes
from tests.fakes.slack import labels, words
from tests.slack_room import jumping
from tests.test_commands import reached

# apprise's mail module imports one that Python 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@asynccontextmanager
async def hosted(slack: fakes.Slack, server: Any) -> AsyncIterator[None]:
    """The bot as its process runs it; it ends in order."""
    settings = {"token": fakes.BOT_TOKEN, "app_token": fakes.APP_TOKEN, "url": f"{slack.url}api/"}
    config = Config(bots=(BotSection(name="slack", module="slack", settings=settings),))
    stop = asyncio.Event()
    running = asyncio.create_task(bothost.main("slack", config, server.url, server.token, stop))
    try:
        await slack.wait(lambda: slack.connections, 20)
        yield
    finally:
        stop.set()
        assert await running == 0


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[fakes.Slack]:
    """Without Slack's pace, which has its own tests."""
    monkeypatch.setattr(limits, "OVERALL", ())
    monkeypatch.setattr(limits, "OF_CHANNEL", ())
    async with fakes.workspace(jumping()) as made:
        made.person("UANNA", "Anna", is_admin=True)
        made.channel("CDESK", "desk", "UANNA")
        yield made


async def whispered(slack: fakes.Slack, *parts: str) -> dict[str, Any]:
    """The newest ephemeral answer that says all of that."""

    def find() -> dict[str, Any] | None:
        return next((e for e in reversed(slack.ephemerals) if all(part in words(e) for part in parts)), None)

    return await slack.wait(find, 15)


async def test_from_the_first_word_to_an_alert_that_rings(slack: fakes.Slack, nats_server: Any, tmp_path: Path) -> None:
    """A price, a form filled in, the list in the home, a press of its buttons, and a message that is delivered."""
    async with reached(nats_server, tmp_path / "hub"), hosted(slack, nats_server):
        await slack.command("UANNA", slack.dm("UANNA"), "price gold")
        await whispered(slack, "2,411.20 USD")

        await slack.command("UANNA", slack.dm("UANNA"), "alert")
        await slack.wait(lambda: slack.views)
        view = slack.views[-1]
        assert await slack.search("UANNA", view, "instrument.instrument", "gol") == ["XAU-USD", "gol"]
        filled: dict[str, str | list[str]] = {"instrument": "XAU-USD", "condition": "above", "level": "nonsense"}
        objected = await slack.submit("UANNA", view, filled)
        assert objected["response_action"] in ("errors", "update")
        assert await slack.submit("UANNA", view, {**filled, "level": "2500", "note": "sell half"}) == {}
        await slack.wait(lambda: [m for m in slack.said("DUANNA") if "Alert 1 is set" in words(m)], 15)

        await slack.open_home("UANNA")
        home = await slack.wait(lambda: slack.homes.get("UANNA"), 15)
        assert "1 ·" in words(home) and "sell half" in words(home)
        for label, told in (("1 h", "Alert 1 is silent"), ("Delete", "Alert 1 is deleted")):
            await slack.press("UANNA", home, label, "home:1")
            await slack.wait(lambda told=told: told in words(slack.homes["UANNA"]), 15)  # type: ignore[misc]
            home = slack.homes["UANNA"]
        assert "Undo" in labels(home)

        await slack.write("UANNA", "push")
        listed = await slack.wait(
            lambda: next((m for m in slack.said("DUANNA") if "Where your alerts go" in words(m)), None), 15
        )
        (number,) = re.findall(r"^\s*(\d+)\b.*slack", words(listed), re.MULTILINE)
        await slack.write("UANNA", f"push test {number}")
        await slack.wait(lambda: [m for m in slack.said("DUANNA") if "A test that Anna asked for" in words(m)], 15)


async def test_a_channel_owns_its_alerts_and_its_admins_decide(
    slack: fakes.Slack, nats_server: Any, tmp_path: Path
) -> None:
    """Ben is refused until Anna, an admin of the workspace, lets everyone; both see the same list."""
    slack.person("UBEN", "Ben")
    slack.channel("CDESK", "desk", "UANNA", "UBEN")
    async with reached(nats_server, tmp_path / "hub"), hosted(slack, nats_server):
        await slack.command("UANNA", "CDESK", "alert gold > 2500")
        await whispered(slack, "Alert 1 is set")
        await slack.command("UBEN", "CDESK", "alert gold > 2600")
        refused = (await slack.wait(lambda: slack.whispered("UBEN"), 15))[-1]
        assert "is set" not in words(refused)
        await slack.command("UANNA", "CDESK", "place everyone")
        await whispered(slack, "everyone")
        await slack.command("UBEN", "CDESK", "alert gold > 2600")
        await whispered(slack, "Alert 2 is set")
        await slack.command("UBEN", "CDESK", "alerts")
        await whispered(slack, "2,500", "2,600")
        await slack.command("UBEN", slack.dm("UBEN"), "alerts")
        await whispered(slack, "You have none")


async def test_a_slack_that_is_away_for_a_while_gets_everything_once(
    slack: fakes.Slack, nats_server: Any, tmp_path: Path
) -> None:
    """Refused at first and told when to come again: the hub does, and the message is there one time."""
    async with reached(nats_server, tmp_path / "hub"), hosted(slack, nats_server):
        await slack.write("UANNA", "push")
        listed = await slack.wait(
            lambda: next((m for m in slack.said("DUANNA") if "Where your alerts go" in words(m)), None), 15
        )
        (number,) = re.findall(r"^\s*(\d+)\b.*slack", words(listed), re.MULTILINE)
        slack.fail("chat.postMessage", "ratelimited", 429, retry_after=1)
        slack.fail("chat.postMessage", "service_unavailable", 503)
        await slack.command("UANNA", "CDESK", f"push test {number}")

        def rung() -> list[Any]:
            return [m for m in slack.said("DUANNA") if "A test that Anna asked for" in words(m)]

        await slack.wait(rung, 20)
        assert len(rung()) == 1
