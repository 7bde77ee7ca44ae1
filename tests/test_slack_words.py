"""The Slack bot's words, forms, packed buttons, refusals and manifest."""

import asyncio
import base64
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bots.slack import Settings, Slack, forms, limits, listen, render, trouble
from bots.slack import text as words_of
from bots.slack.forms import Place
from bots.slack.menus import Menus
from bots.slack.pack import LARGEST, pack, unpack
from bots.slack.render import Shared
from hub.logs import clean
from hub.model import (
    Argument,
    Form,
    Line,
    Menu,
    Message,
    Reply,
)
from hub.plugin import BadRequest, GiveUp, Gone, TryLater
from tests.fakes.slack import SCOPES, words
from tests.fakes.slack_blocks import check_blocks
from tests.test_slack_blocks import MENU

# -------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("gold &gt; 2400", "gold > 2400"),
        ("<@UBOT> price gold", "price gold"),
        ("<@UBOT|tocsin> price  gold\n", "price gold"),
        ("price gold <@UBEN|ben>", "price gold ben"),
        ("push add <https://x.org/a?b=1&amp;c=2>", "push add https://x.org/a?b=1&c=2"),
        ("push add <mailto:a@x.org|a@x.org>", "push add a@x.org"),
        ("in <#C1|desk>", "in desk"),
        ("note “sell half”", 'note "sell half"'),
        ("gold &amp;gt; 1", "gold &gt; 1"),
        ("", ""),
    ],
)
def test_what_slack_makes_of_a_line_is_undone(written: str, line: str) -> None:
    """Entities, links, mentions, and quotation marks that a phone bent."""
    assert words_of.typed(written, "UBOT") == line


@given(st.text(max_size=200))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    """And holds nothing that Slack parses."""
    escaped = words_of.escaped(text)
    assert not re.search("[<>]|&(?!amp;|lt;|gt;)", escaped)
    assert words_of.typed(escaped) == words_of.typed(text) or "<" in text or "&" in text


# --------------------------------------------------------------------------------------------------- forms


def values(options: list[dict[str, Any]]) -> list[str]:
    return [option["value"] for option in options]


def test_options_begin_with_what_begins_so() -> None:
    """Then what holds it; last the words themselves, unless they are a name already."""
    assert values(forms.options(MENU, "gol")) == ["XAU-USD", "GDX", "gol"]
    assert values(forms.options(MENU, "Gold")) == ["XAU-USD", "GDX"]
    assert values(forms.options(MENU, "gold 22k")) == ["gold 22k"]
    assert len(forms.options(MENU, "coin")) == limits.MENU_OPTIONS


def test_what_was_filled_in_becomes_the_line() -> None:
    """Every sort of field; what is optional and empty is left out."""
    state: Mapping[str, Any] = {
        "state": {
            "values": {
                "instrument": {"instrument.instrument": {"selected_option": {"value": "XAU-USD"}}},
                "others": {"instrument.others": {"selected_options": [{"value": "A"}, {"value": "B"}]}},
                "level": {"value": {"value": "2400"}},
                "note": {"value": {"value": None}},
            }
        }
    }
    found = forms.values_of(state)
    assert found == {"instrument": "XAU-USD", "others": "A B", "level": "2400", "note": ""}
    taken = tuple(Argument(name=name, about="", required=name == "level") for name in found)
    form = Form(title="x", command="alert", arguments=taken)
    assert forms.line(form, found) == "alert XAU-USD A B 2400"
    with pytest.raises(BadRequest):
        forms.line(form, {**found, "level": " "})
    assert forms.line(forms.ASK, {"line": "gold > 2400"}) == "gold > 2400"


class Slow:
    """A hub whose menu comes when it is let."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def menu(self) -> Menu:
        await self.free.wait()
        return MENU

    async def ask(self, line: Line) -> Reply:
        raise AssertionError("only the menu is asked for")

    async def publish(self, subject: str, payload: bytes) -> None:
        raise AssertionError("only the menu is asked for")


async def test_a_hub_that_is_slow_does_not_hold_a_list_of_options() -> None:
    """The last menu stands; the hub is asked again after some seconds, not at once, and a good menu lasts."""
    now, hub = 0.0, Slow()
    menus = Menus(hub, lambda: now, patience_s=0.01)
    assert (await menus.get()).commands == ()
    hub.free.set()
    assert (await menus.get()).commands == ()
    now += 6
    assert await menus.get() == MENU
    hub.free.clear()
    now += 60
    assert await menus.get() == MENU
    menus.forget()
    assert await menus.get() == MENU


# --------------------------------------------------------------------------------------------------- packs


@given(st.text(max_size=300), st.lists(st.text(max_size=50), max_size=10))
def test_a_pack_comes_back_as_it_was(title: str, lines: list[str]) -> None:
    """Or is empty, where it does not fit."""
    shared = Shared(title=title, lines=tuple(lines))
    packed = pack(shared, limits.VALUE)
    assert len(packed) <= limits.VALUE
    assert not packed or unpack(packed, Shared) == shared


def test_a_pack_of_somebody_else_is_nothing() -> None:
    """Neither broken ones, nor other types, nor bombs."""
    bomb = base64.urlsafe_b64encode(zlib.compress(b'{"title":"' + b"x" * LARGEST * 2 + b'"}')).decode()
    for text in ("", "x", "price gold", pack(Place(channel="C1"), 99) + "x", bomb, pack(Place(channel="C1"), 99)):
        assert unpack(text, Shared) is None


def test_only_a_picture_is_asked_for_again() -> None:
    """What changes something is shared with its words, so that sharing it changes nothing."""
    set_it = unpack(render.shared(Reply(title="Alert 1 is set"), "alert gold > 1"), Shared)
    drawn = unpack(render.shared(Reply(title="Gold", image=b"png"), "chart gold"), Shared)
    assert set_it == Shared(title="Alert 1 is set")
    assert drawn == Shared(line="chart gold")
    for kept in (Reply(private=True, title="x"), Reply(ok=False, lines=("no",)), Reply(title="y" * 9_000 + "ß" * 999)):
        assert render.shared(kept, "x") == "" or len(render.shared(kept, "x")) <= limits.VALUE
    assert (
        render.shared(Reply(private=True, title="x"), "x") == render.shared(Reply(ok=False, lines=("no",)), "x") == ""
    )


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {}, TryLater),
        (503, {}, TryLater),
        (200, {"error": "ratelimited"}, TryLater),
        (200, {"error": "invalid_auth"}, TryLater),
        (200, {"error": "channel_not_found"}, Gone),
        (200, {"error": "user_disabled"}, Gone),
        (200, {"error": "invalid_blocks"}, GiveUp),
        (200, {}, TryLater),
    ],
)
def test_a_refusal_says_whether_to_come_again(status: int, body: dict[str, Any], kind: type) -> None:
    """By its status and Slack's word."""
    assert type(trouble.of(status, {}, body)) is kind


def test_at_the_start_a_token_that_does_not_work_ends_it() -> None:
    """While sending, what a person can repair in the console is waited for."""
    for name in trouble.CONSOLE:
        assert isinstance(trouble.of_start(200, {}, {"error": name}), GiveUp)
    found = trouble.of_start(200, {}, {"error": "missing_scope", "needed": "connections:write"})
    assert isinstance(found, GiveUp) and "connections:write" in found.reason


def test_no_word_of_a_reason_is_masked_in_the_log() -> None:
    """What reads like a secret is blacked out there: these sentences must not."""
    reasons = [*trouble.CONSOLE.values(), *trouble.GONE.values(), *listen.ENDINGS.values(), trouble.scope({})]
    for token, app_token in (("", ""), ("xoxb-1", ""), ("x", ""), ("xoxb-1", "x")):
        with pytest.raises(GiveUp) as caught:
            Slack(Settings(token=token, app_token=app_token))._check_tokens()
        reasons.append(caught.value.reason)
    said = [f"the bot slack gave up: {reason}" for reason in reasons]
    assert [clean(each) for each in said] == said


@pytest.mark.parametrize(("header", "wait_s"), [("30", 30.0), (" 1 ", 1.0), (None, None), ("soon", None), ("-1", None)])
def test_retry_after_is_seconds(header: str | None, wait_s: float | None) -> None:
    """Anything else leaves the time to the hub."""
    assert trouble.seconds(header) == wait_s


# ------------------------------------------------------------------------------------------------ manifest


def test_the_manifest_has_what_the_bot_uses() -> None:
    """The shortcuts, events and scopes on the page that people paste are those of the code."""
    page = (Path(__file__).parent.parent / "docs" / "slack.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    manifest = yaml.safe_load(block)
    shortcuts = {each["callback_id"] for each in manifest["features"]["shortcuts"]}
    assert shortcuts == {listen.NEW_ALERT, listen.ASK}
    assert set(manifest["oauth_config"]["scopes"]["bot"]) >= SCOPES
    events = set(manifest["settings"]["event_subscriptions"]["bot_events"])
    assert events == {"app_mention", "message.im", "app_home_opened", "member_joined_channel", *listen.ENDINGS}
    assert manifest["settings"]["socket_mode_enabled"] and not manifest["settings"]["token_rotation_enabled"]
    assert manifest["features"]["app_home"]["messages_tab_enabled"]


def test_a_message_without_notifications_is_shown_as_it_is() -> None:
    """A summary, or a word of the hub's own."""
    going = Message(id="1", platform="slack", address="C1", title="Your morning", text="a\nb", notifications=())
    shown = render.message(going)
    check_blocks(shown.blocks, "message")
    assert words({"blocks": shown.blocks}) == "Your morning\na\nb"
