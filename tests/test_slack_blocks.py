"""What the Slack bot shows, held to Slack's limits whatever it is made of, and the fake that holds it to them."""

import re
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bots.pace import Pace, Rank
from bots.slack import forms, home, limits, render
from bots.slack.forms import Carried, Place
from hub import outgoing
from hub.model import (
    Argument,
    Button,
    Destination,
    Form,
    Instrument,
    Menu,
    MenuEntry,
    Nature,
    Notification,
    Reply,
    Role,
)
from tests.fakes.slack import labels, words
from tests.fakes.slack_blocks import Invalid, check_blocks, check_view

# Texts of thousands of characters would be made smaller for minutes where one fails.
fits = settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
DESK = Destination(id=1, owner_id=1, platform="slack", address="C1", label="desk")
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
