"""How long it took from tick to hand-over: worded as a notification goes out, in what every platform shows."""

import json
from typing import Any

import pytest

from bots.discord import render as discord
from bots.slack import render as slack
from bots.telegram import render as telegram
from hub import outgoing
from hub.i18n import speaking
from hub.model import SECOND_US, Destination, Message, Nature, Notification, Trigger
from hub.outgoing import IN_FULL

NOW = 1_772_366_400 * SECOND_US
MS = 1_000
EVIDENCE = (
    "2,399.90 at 12:29:59.816, then 2,400.12 at 12:30:00.123 UTC, 2014-05-02\n"
    "source kraken: polled source\nalert 1: gold > 2400"
)


def rang(number: int = 1, *, took_us: int = 40 * MS, **facts: Any) -> Notification:
    trigger = Trigger(
        id=number, alert_id=number, generation=1, direction="up", level=2400.0, price=2400.12, venue_time=NOW,
        received_at=NOW, source="kraken", nature=Nature.POLLED, sequence=1,
    )  # fmt: skip
    values: dict[str, Any] = {
        "id": number, "alert_id": number, "trigger": trigger, "instrument": "XAU-USD", "nature": Nature.POLLED,
        "title": "Gold rose to 2,400.12 USD (level 2,400.00)", "text": EVIDENCE, "created_at": NOW - took_us,
        "ticked_at": NOW - took_us,
    }  # fmt: skip
    return Notification(**(values | facts))


def message(*notifications: Notification, platform: str = "push") -> Message:
    return outgoing.message(
        Destination(id=1, owner_id=1, platform=platform, address="x", label="x"), notifications, NOW
    )


@pytest.mark.parametrize(
    ("took_us", "said"),
    [
        (300, "0 ms"), (4 * MS, "4 ms"), (999 * MS, "999 ms"), (1_340 * MS, "1.3 s"), (59 * SECOND_US, "59.0 s"),
        (125 * SECOND_US, "2 min 5 s"), (-5 * MS, "0 ms"),
    ],
)  # fmt: skip
def test_it_stands_behind_the_source(took_us: int, said: str) -> None:
    """A clock that was set back in between makes it no less than nothing."""
    (_, source, last, *_) = message(rang(took_us=took_us)).text.split("\n")
    assert source == f"source kraken: polled source · {said} after the tick"
    assert last == "alert 1: gold > 2400"


def test_it_stands_in_the_notification_too_and_is_never_there_twice() -> None:
    """Platforms word alerts by their notifications; a bot that has sent one of them words the rest again."""
    going = message(rang(1), rang(2, took_us=2 * SECOND_US))
    assert [one.text.count(" after the tick") for one in going.notifications] == [1, 1]
    assert going.text.count(" after the tick") == 2
    assert outgoing.worded(going.notifications[1:])[1].count("2.0 s after the tick") == 1
    assert outgoing.added(message(rang())) == []


def test_many_have_it_at_the_end_of_their_lines() -> None:
    """Where alerts have a line each."""
    lines = message(*(rang(number, took_us=number * 10 * MS) for number in range(1, IN_FULL + 2))).text.split("\n")
    assert [line.rpartition(" · ")[2] for line in lines] == ["10 ms", "20 ms", "30 ms", "40 ms", "50 ms", "60 ms"]


@pytest.mark.parametrize(
    "facts",
    [{"ticked_at": None}, {"trigger": None, "notice": True}, {"held_until": NOW - SECOND_US}],
    ids=["asked for", "a notice", "held"],
)
def test_what_no_tick_brought_and_what_was_held_has_none(facts: dict[str, Any]) -> None:
    """The one has no tick, the other says why it comes now."""
    assert " after the tick" not in message(rang(**facts)).text


def test_evidence_without_a_source_has_it_at_its_end() -> None:
    """Of an older version, say; and where there is no evidence at all it is all there is."""
    assert message(rang(text="one\ntwo")).text == "one\ntwo · 40 ms after the tick"
    assert message(rang(text="")).text == "40 ms after the tick"


def test_it_is_in_the_language_of_who_is_told() -> None:
    """With the form of its numbers."""
    with speaking("de"):
        assert "source kraken: polled source · 1,3 s nach dem Tick" in message(rang(took_us=1_340 * MS)).text
        assert message(rang(1), rang(2)).title == "2 Alarme"


@pytest.mark.parametrize("count", [1, 2])
def test_every_platform_shows_it(count: int) -> None:
    """Alone and beside others."""
    going = message(*(rang(number + 1) for number in range(count)))
    shown = {
        "telegram": " ".join(post.html for post in telegram.alerts(going)),
        "discord": json.dumps(discord.alert_card(going).embeds, ensure_ascii=False),
        "slack": json.dumps(slack.message(going).blocks, ensure_ascii=False, default=str),
        "console, push, webhooks": going.text,
    }
    assert {name: text.count("40 ms after the tick") for name, text in shown.items()} == dict.fromkeys(shown, count)
