"""What the Slack bot shows, held to Slack's limits whatever it is made of; its words, forms, buttons and manifest."""

import base64
import re
import zlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bots.pace import Pace, Rank
from bots.slack import forms, home, limits, listen, render, trouble
from bots.slack import text as words_of
from bots.slack.forms import Carried, Place
from bots.slack.pack import LARGEST, pack, unpack
from bots.slack.render import Shared
from hub import outgoing
from hub.model import (
    Argument,
    Button,
    Destination,
    Form,
    Instrument,
    Menu,
    MenuEntry,
    Message,
    Nature,
    Notification,
    Reply,
    Role,
)
from hub.plugin import BadRequest, GiveUp, Gone, TryLater
from tests.fakes.slack import SCOPES, labels, words
from tests.fakes.slack_blocks import Invalid, check_blocks, check_view

# Texts of thousands of characters would be made smaller for minutes where one fails.
fits = settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
DESK = Destination(id=1, owner_id=1, platform="slack", address="C1", label="desk")
anything = st.text(max_size=80) | st.sampled_from(["", " ", "\n", "<!channel>", "\u202e", "x" * 3_500, "é\n" * 1_800])
buttons = st.lists(
    st.builds(Button, label=st.text(min_size=1, max_size=90), line=st.text(min_size=1, max_size=64)), max_size=30
)
tables = st.lists(st.tuples(st.text(max_size=80), st.text(max_size=200)), max_size=40).map(tuple)
arguments = st.lists(
    st.builds(
        Argument,
        name=st.from_regex(r"[a-z]{1,20}", fullmatch=True),
        about=anything,
        kind=st.sampled_from(["instrument", "instruments", "number", "choice", "span", "alert", "text"]),
        choices=st.lists(st.text(min_size=1, max_size=40), max_size=25, unique=True).map(tuple),
        example=anything,
        required=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda argument: argument.name,
).map(tuple)


def notification(number: int, **facts: Any) -> Notification:
    values: dict[str, Any] = {
        "id": number,
        "alert_id": number,
        "instrument": "XAU-USD",
        "title": f"Gold {number}",
        "text": "evidence",
        "created_at": 1,
        "ticked_at": 1,
    }
    return Notification(**(values | facts))


# ------------------------------------------------------------------------------------------------- limits


@given(
    title=anything, lines=st.lists(anything, max_size=30).map(tuple), table=tables, pressed=buttons, share=st.booleans()
)
@fits
def test_any_reply_fits_into_a_message(
    title: str, lines: tuple[str, ...], table: tuple[tuple[str, ...], ...], pressed: list[Button], share: bool
) -> None:
    """Whatever a command says, Slack takes what we make of it, and the plain text is escaped."""
    answer = Reply(title=title, lines=lines, table=table, buttons=tuple(pressed))
    shown = render.reply(answer, "price gold", share=share, small="below")
    check_blocks(shown.blocks, "message")
    assert 0 < len(shown.text) <= limits.TEXT * 5
    assert not re.search("[<>]", shown.text)


@given(st.lists(st.tuples(anything, anything, anything, st.sampled_from(list(Nature))), min_size=1, max_size=60))
@fits
def test_any_alerts_fit_into_a_message(parts: list[tuple[str, str, str, Nature]]) -> None:
    """One, many, or more than a message holds."""
    made = [
        notification(number, title=title or "Gold", text=text, note=note, nature=nature)
        for number, (title, text, note, nature) in enumerate(parts)
    ]
    check_blocks(render.message(outgoing.message(DESK, made)).blocks, "message")


@given(arguments, st.dictionaries(st.sampled_from(["instrument", "level"]), anything), anything)
@fits
def test_any_form_fits_into_a_modal(taken: tuple[Argument, ...], values: dict[str, str], said: str) -> None:
    """Or it is not shown as one; a form without a field needs nothing."""
    form = Form(title="New alert for somebody", command="alert", arguments=taken, values=values)
    view = forms.modal(form, Place(channel="C1"), [said] if said.strip() else ["."])
    if view is not None:
        check_view(view)
        assert forms.carried(view) == Carried(
            form=Form(title=form.title, command="alert", arguments=taken), place=Place(channel="C1")
        )


@given(
    st.lists(st.dictionaries(st.sampled_from(["words", "waits_for", "rang", "note"]), anything), max_size=60), anything
)
@fits
def test_any_alerts_fit_into_a_home(facts: list[dict[str, str]], said: str) -> None:
    """With the answer to what was pressed on top."""
    alerts = Reply(facts={"alerts": [{"id": number, **fact} for number, fact in enumerate(facts)]})
    check_view(home.home(alerts, MENU, Reply(title=said, lines=(said,), buttons=(Button(label="Undo", line="x"),))))


def test_the_longest_reply_keeps_the_important_part_whole() -> None:
    """Title, first lines and every button stay; what is left out is counted."""
    answer = Reply(
        title="Alert 1 is set",
        lines=("The level is 4.10 away.", *("x" * 70 for _ in range(100))),
        buttons=tuple(Button(label=f"b{n}", line=f"why {n}") for n in range(11)),
    )
    shown = render.reply(answer, share=True)
    check_blocks(shown.blocks, "message")
    told = words({"blocks": shown.blocks})
    assert told.startswith("Alert 1 is set") and "The level is 4.10 away." in told
    assert re.search(r"… \d+ more lines", told)
    assert len(labels({"blocks": shown.blocks})) >= 11


def test_among_many_alerts_each_keeps_its_title() -> None:
    """Evidence gives way before a title does; as many as there is room for keep their buttons."""
    made = [notification(n, text="evidence " * 300, title=f"Gold crossed above {n:,}") for n in range(2_000, 2_048)]
    shown = render.message(outgoing.message(DESK, made))
    told = words({"blocks": shown.blocks})
    assert all(each.title in told for each in made)
    few = render.message(outgoing.message(DESK, made[:3]))
    assert labels({"blocks": few.blocks}).count("Delete") == 3


def test_what_piled_up_is_told_with_its_own_times() -> None:
    """Each with when it rang, where they did not ring together; one alone says that it is late."""
    start = 1_800_000_000_000_000
    made = [notification(n, created_at=start + n * 600_000_000) for n in range(3)]
    told = words({"blocks": render.message(outgoing.message(DESK, made)).blocks})
    assert [f"08:{n}0:00 Gold {n}" in told for n in range(3)] == [True] * 3
    at_once = words({"blocks": render.message(outgoing.message(DESK, [notification(1), notification(2)])).blocks})
    assert ":" not in at_once
    one = outgoing.message(DESK, [notification(1, note="sell")])
    late = msgspec.structs.replace(one, text=f"{one.text}\ntold 53 min after it rang")
    told = words({"blocks": render.message(late).blocks})
    assert told.count("told 53 min after it rang") == 1 and told.count("sell") == 1


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("BLOCKS", 50),
        ("VIEW_BLOCKS", 100),
        ("SECTION", 3_000),
        ("HEADER", 150),
        ("ELEMENTS", 25),
        ("BUTTON_TEXT", 75),
        ("VALUE", 2_000),
        ("ACTION_ID", 255),
        ("OPTION_TEXT", 75),
        ("OPTION_VALUE", 150),
        ("MENU_OPTIONS", 100),
        ("TITLE", 24),
        ("METADATA", 3_000),
        ("ACK_S", 3.0),
    ],
)
def test_the_limits_are_slacks(name: str, number: float) -> None:
    """As its reference says them."""
    assert getattr(limits, name) == number


def test_the_pace_is_a_message_a_second_a_channel_and_some_hundred_a_minute() -> None:
    """Ten thousand alerts to three hundred channels, thirty-four in a message, and again: in no window too many."""
    pace = Pace(limits.OVERALL, lambda _: limits.OF_CHANNEL)
    sent: list[tuple[float, str]] = []
    waiting = [(f"C{number % 300}", number) for number in range(900)]
    now = 0.0
    while waiting:
        left = []
        for channel, number in waiting:
            if pace.wait_s(channel, Rank.ALERT, now) <= 0:
                pace.take(channel, now)
                sent.append((now, channel))
            else:
                left.append((channel, number))
        waiting, now = left, now + 0.5
    assert len(sent) == 900
    by_channel: dict[str, list[float]] = {}
    for at, channel in sent:
        by_channel.setdefault(channel, []).append(at)
    assert all(b - a >= 1 for times in by_channel.values() for a, b in pairwise(times))
    times = [at for at, _ in sent]
    assert all(times[n + 300] - times[n] >= 60 for n in range(len(times) - 300))


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
        {"type": "header", "text": {"type": "plain_text", "text": ""}},
        {"type": "actions", "elements": []},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}]},
        {"type": "divider", "color": "red"},
        {"type": "input", "label": {}, "element": {}},
    ],
)
def test_the_fake_refuses_what_slack_refuses(block: dict[str, Any]) -> None:
    """So that a test against it says something."""
    with pytest.raises(Invalid):
        check_blocks([block], "message")
    with pytest.raises(Invalid):
        check_blocks([{"type": "divider"}] * 51, "message")


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

MENU = Menu(
    commands=(
        MenuEntry(name="alert", usage="alert", summary="Rings.", examples=("alert",), arguments=(), role=Role.MEMBER),
    ),
    instruments=(
        Instrument(id="XAU-USD", name="Gold", aliases=("xau",)),
        Instrument(id="GDX", name="Miners of gold"),
        *(Instrument(id=f"C{n}-USDT", name=f"Coin {n}") for n in range(150)),
    ),
)


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
        (200, {"error": "invalid_blocks"}, trouble.Refused),
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
