"""The Slack bot, met by people of a workspace that speaks Slack's wire: real slack_bolt and slack_sdk over sockets."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import structlog.testing

from bots.slack import Settings, Slack, parsed
from hub import outgoing
from hub.forms import line_of
from hub.model import (
    Argument,
    Button,
    Destination,
    File,
    Form,
    Instrument,
    Line,
    Menu,
    MenuEntry,
    Message,
    Nature,
    Notification,
    Reply,
    Role,
)
from hub.plugin import GiveUp, Gone, TryLater
from tests.fakes import slack as fakes
from tests.fakes.slack import labels, words

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
NOW = 1_800_000_000_000_000
INSTRUMENT = Argument(name="instrument", about="what to watch", kind="instrument", required=True, example="gold")
CONDITION = Argument(name="condition", about="how", kind="choice", choices=("above", "below"), required=True)
LEVEL = Argument(name="level", about="the price", kind="number", required=True, example="2400")
NOTE = Argument(name="note", about="what you want to be told", lead="note")
ALERT = (INSTRUMENT, CONDITION, LEVEL, NOTE)
SPAN = Argument(name="span", about="how long", kind="span", example="24h")


def entry(name: str, *arguments: Argument) -> MenuEntry:
    return MenuEntry(
        name=name, usage=name, summary=f"What {name} does.", examples=(name,), arguments=arguments, role=Role.MEMBER
    )


MENU = Menu(
    commands=(entry("alert", *ALERT), entry("alerts"), entry("chart", INSTRUMENT, SPAN), entry("help")),
    instruments=(
        Instrument(id="XAU-USD", name="Gold", aliases=("gold", "xau")),
        Instrument(id="XAG-USD", name="Silver", aliases=("silver",)),
        Instrument(id="BTC-USDT", name="Bitcoin", aliases=("btc",)),
    ),
)


class TestHub:
    """A hub whose alerts are a list; it answers what the commands answer, in their shape."""

    __test__ = False

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.menu_is = MENU
        self.alerts: list[dict[str, Any]] = []
        self.away = False
        self.slow = asyncio.Event()
        self.slow.set()

    async def menu(self) -> Menu:
        return self.menu_is

    async def publish(self, subject: str, payload: bytes) -> None:
        raise AssertionError("this bot publishes nothing")

    @property
    def said(self) -> list[str]:
        return [line.text for line in self.lines]

    async def ask(self, line: Line) -> Reply:
        self.lines.append(line)
        if self.away:
            raise TryLater("nobody answers on line")
        await self.slow.wait()
        word, _, rest = line.text.partition(" ")
        answers = {"price": self._price, "alerts": self._alerts, "alert": self._alert, "snooze": self._snooze,
                   "delete": self._delete, "chart": self._chart, "export": self._export}  # fmt: skip
        if word in answers:
            return answers[word](rest)
        return Reply(ok=False, lines=(f'there is no command "{line.text}"',))

    def _price(self, rest: str) -> Reply:
        return Reply(title=f"Price of {rest}", table=(("what", "price"), (rest, "2,411.20 USD")))

    def _alerts(self, rest: str) -> Reply:
        if not self.alerts:
            return Reply(title="Your alerts", lines=("You have none.",), facts={"alerts": []})
        return Reply(title="Your alerts", table=(("no.",), ("1",)), facts={"alerts": self.alerts})

    def _alert(self, rest: str) -> Reply:
        if "gold" not in rest.lower() and "XAU" not in rest:
            lines = ("Which instrument?",) if rest else ("An alert needs a condition.",)
            return Reply(ok=False, lines=lines, form=Form(title="New alert", command="alert", arguments=ALERT))
        number = len(self.alerts) + 1
        self.alerts.append(
            {
                "id": number,
                "words": rest,
                "state": "armed",
                "instrument": "XAU-USD",
                "price": 2411.2,
                "away_percent": -0.5,
            }
        )
        buttons = (Button(label="Why", line=f"why {number}"), Button(label="Delete", line=f"delete {number}"))
        return Reply(title=f"Alert {number} is set", lines=(rest,), buttons=buttons)

    def _snooze(self, rest: str) -> Reply:
        number, how = rest.split(" ", 1)
        for alert in self.alerts:
            if str(alert["id"]) == number:
                alert["state"] = "armed" if how == "off" else "snoozed"
        title = f"Alert {number} is awake" if how == "off" else f"Alert {number} is silent for {how}"
        return Reply(title=title, buttons=() if how == "off" else (Button(label="Wake", line=f"snooze {number} off"),))

    def _delete(self, rest: str) -> Reply:
        if rest.startswith("9"):
            return Reply(ok=False, lines=("you have no alert 9",))
        self.alerts = [alert for alert in self.alerts if str(alert["id"]) != rest]
        return Reply(title=f"Alert {rest} is deleted", buttons=(Button(label="Undo", line=f"delete {rest} undo"),))

    def _chart(self, rest: str) -> Reply:
        here = rest.endswith("here")
        buttons = (Button(label="7d", line="chart gold 7d here"),)
        return Reply(title=f"Chart of {rest}", lines=("It rose.",), image=PNG, buttons=buttons, replace=here)

    def _export(self, rest: str) -> Reply:
        file = File(name="me.json", media_type="application/json", content=b"{}")
        return Reply(title="All of you", file=file, private=True)


def jumping() -> Callable[[], float]:
    """A clock on which every look is two seconds later: nobody has to wait for a platform's pace."""
    count = itertools.count(0, 2)
    return lambda: float(next(count))


class Office:
    """A workspace with two people and a channel, and the bot in it."""

    def __init__(self, slack: fakes.Slack, hub: TestHub, bot: Slack, running: "asyncio.Task[None]") -> None:
        self.slack, self.hub, self.bot, self.running = slack, hub, bot, running
        self.anna = slack.person("UANNA", "Anna", is_admin=True, locale="de-DE")
        self.ben = slack.person("UBEN", "Ben")
        self.desk = slack.channel("CDESK", "desk", self.anna, self.ben)

    async def whispered(self, user: str) -> dict[str, Any]:
        found = await self.slack.wait(lambda: self.slack.whispered(user))
        return found[-1]

    async def said(self, channel: str, count: int = 1) -> dict[str, Any]:
        await self.slack.wait(lambda: len(self.slack.said(channel)) >= count)
        return self.slack.said(channel)[count - 1]

    async def view(self) -> dict[str, Any]:
        await self.slack.wait(lambda: self.slack.views)
        return self.slack.views[-1]

    async def home(self, user: str, *holding: str) -> dict[str, Any]:
        """The home, once it says all of that."""

        def find() -> dict[str, Any] | None:
            found = self.slack.homes.get(user)
            return found if found and all(each in words(found) for each in holding) else None

        return await self.slack.wait(find)


def settings(slack: fakes.Slack, **more: Any) -> Settings:
    values = {"token": fakes.BOT_TOKEN, "app_token": fakes.APP_TOKEN, "url": f"{slack.url}api/", **more}
    return Settings(**values)


@asynccontextmanager
async def at_work(
    slack: fakes.Slack, hub: TestHub, clock: Callable[[], float] | None = None, **more: Any
) -> AsyncIterator[Office]:
    bot = Slack(settings(slack, **more), clock=clock or jumping(), watch_s=0.05)
    running = asyncio.create_task(bot.run(hub))
    office = Office(slack, hub, bot, running)
    try:
        await slack.wait(lambda: slack.connections or running.done())
        if running.done():
            running.result()
        yield office
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, TryLater, GiveUp):
            await running


@pytest.fixture
async def slack() -> AsyncIterator[fakes.Slack]:
    async with fakes.workspace(jumping()) as made:
        yield made


@pytest.fixture
async def office(slack: fakes.Slack) -> AsyncIterator[Office]:
    async with at_work(slack, TestHub()) as made:
        yield made


def notification(number: int, **facts: Any) -> Notification:
    values: dict[str, Any] = {
        "id": number,
        "alert_id": number,
        "instrument": "XAU-USD",
        "title": f"Gold crossed above {number}",
        "text": f"2,399.90 → 2,400.10, evidence {number}",
        "created_at": NOW,
        "ticked_at": NOW,
    }
    return Notification(**(values | facts))


def message(address: str, *numbers: int, **facts: Any) -> Message:
    destination = Destination(id=1, owner_id=1, platform="slack", address=address, label="desk")
    return outgoing.message(destination, [notification(number, **facts) for number in numbers or (1,)])


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
    await office.slack.press(office.ben, before, "1 h", "alert:1:0")
    await office.slack.wait(lambda: "Alert 1 is silent for 1h · Ben" in words(alert))
    await office.slack.press(office.anna, before, "Delete", "alert:2:0")
    await office.slack.wait(lambda: "Alert 2 is deleted · Anna" in words(alert))
    assert "Alert 1 is silent for 1h · Ben" in words(alert)
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


async def test_an_alert_goes_into_a_thread(office: Office) -> None:
    """An address may name one."""
    await office.bot.send(message("CDESK:1700000000.000100", 1))
    assert (await office.said(office.desk))["thread_ts"] == "1700000000.000100"


# ------------------------------------------------------------------------------------------------ refusals


async def told(call: Awaitable[Any]) -> TryLater | GiveUp:
    with pytest.raises((TryLater, GiveUp)) as caught:
        await call
    assert isinstance(caught.value, TryLater | GiveUp)
    return caught.value


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
    assert isinstance(found, GiveUp) and "install it again" in found.reason.replace(
        "install the app again", "install it again"
    )


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
