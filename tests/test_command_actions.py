"""What one does about an alert that is there or is to be: again, move, mute, edit, and the forms of every command."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hub import bus as subjects
from hub import load, outgoing
from hub.forms import line_of
from hub.instruments import build_catalogue
from hub.model import SECOND_US, Argument, Menu, Notification
from hub.plugin import BadRequest
from plugins.commands.move import moved
from tests.test_commands import ANNA, NOW, Room, room

GOLD = build_catalogue({}, ("XAU-USD",)).find("gold")


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


# ---------------------------------------------------------------------------------------------- actions


async def test_every_button_of_an_alert_message_is_a_line_that_works(here: Room) -> None:
    """Within 64 bytes, answered in the message's place, with whose hand it was."""
    number = (await here.say("gold > 2500 every time")).facts["id"]
    told = Notification(
        id=1, alert_id=int(str(number)), instrument="XAU-USD", title="t", text="t", created_at=NOW, ticked_at=NOW
    )
    lines = [button.line for button in outgoing.buttons(told)]
    assert lines[-1] == f"delete {number}"
    for line in lines:
        assert len(line.encode()) <= 64
        if line.startswith("chart"):
            continue  # there is no worker here that draws
        reply = await here.say(line)
        assert (reply.ok, reply.replace) == (True, True), (line, reply.lines)
        assert "By operator." in reply.lines, line


async def test_an_alert_is_moved_by_a_share_an_amount_or_to_a_level(here: Room) -> None:
    """The rest of it stays; the reply says against which price, and how to take it back."""
    number = (await here.say('gold > 2500 every time band 0.1% note "a"')).facts["id"]
    reply = await here.say(f"move {number} +1%")
    assert reply.title == f"Alert {number} is at 2525 now"
    assert reply.facts["text"] == 'XAU-USD > 2525 every time band 0.1% note "a"'
    assert f"move {number} 2500" in [button.line for button in reply.buttons]
    assert (await here.say(f"move {number} -25")).facts["level"] == 2500
    assert (await here.say(f"move {number} 2,450.50")).facts["level"] == 2450.5
    changes = here.engine.changes[1:]
    assert [change.action for change in changes] == ["edit"] * 3
    assert changes[0].was == 'XAU-USD > 2500 every time band 0.1% note "a"'


@pytest.mark.parametrize(
    ("level", "wish", "is_then"),
    [
        (2400.0, "+1%", 2424.0),
        (2400.0, "−5 %", 2280.0),
        (2400.0, "+ 10", 2410.0),
        (0.00001, "+1%", 0.0000101),
        (2399.995, "-1%", 2375.995),
        (2400.0, "60k", 60_000.0),
    ],
)
def test_a_moved_level_has_the_decimals_that_prices_have(level: float, wish: str, is_then: float) -> None:
    """More only where it would be the same level else."""
    assert moved(level, wish, GOLD.decimals) == is_then


@pytest.mark.parametrize("wish", ["-100%", "-2400", "+x", "1%", "0", "1e12", "+1%%"])
def test_a_level_that_cannot_be_is_no_move(wish: str) -> None:
    """Each refused in a sentence."""
    with pytest.raises(BadRequest):
        moved(2400.0, wish, 2)


async def test_all_alerts_on_something_can_be_muted_and_heard_again(here: Room) -> None:
    """For a time, or until it is taken back; each is named, and the list and why tell it."""
    number = (await here.say("gold > 2500")).facts["id"]
    assert not (await here.say("mute gold", ANNA)).facts["alerts"]
    reply = await here.say("mute gold until tomorrow")
    assert reply.title == "Your alerts on Gold are muted until 2027-01-16 09:00:00 (UTC)"
    assert reply.facts["alerts"] == [number]
    assert "muted until 2027-01-16 09:00:00" in (await here.say("alerts")).table[1][2]
    assert any("mute XAU-USD off" in line for line in (await here.say(f"why {number}")).lines)
    assert (await here.say("mute gold")).title.endswith("until mute gold off")
    assert (await here.say("mute gold off")).facts["alerts"] == [number]
    assert [change.until for change in here.engine.changes[2:]] == [NOW + 90_000 * SECOND_US, None, None]
    assert not (await here.say("mute")).ok
    assert not (await here.say("mute nonsense 2h")).ok


async def test_an_alert_is_given_other_words_by_line_or_by_form(here: Room) -> None:
    """The form holds what it says, and what it has no room for stays as it was."""
    number = (await here.say('gold > 2500 every time band 0.1% urgent note "sell half"')).facts["id"]
    asked = (await here.say(f"edit {number}")).form
    assert asked is not None
    assert asked.values == {
        "instrument": "XAU-USD", "condition": "above", "level": "2500", "repeat": "every time", "note": "sell half",
    }  # fmt: skip
    line = line_of(asked.command, asked.arguments, {**asked.values, "level": "2600", "note": 'sell "all"'})
    assert (await here.say(line)).facts["text"] == (r'XAU-USD > 2600 every time band 0.1% urgent note "sell \"all\""')
    assert (await here.say(f"edit {number} silver < 30")).facts["text"] == "XAG-USD < 30"
    wrong = await here.say(f"edit {number} keep silver << 30")
    assert wrong.form is not None
    assert (wrong.ok, wrong.form.command) == (False, f"edit {number} keep")


async def test_an_alert_says_where_it_goes(here: Room) -> None:
    """To what it names; to everything where it names nothing."""
    number = (await here.say("push add https://hook.example/a")).facts["id"]
    assert number
    assert "It goes to: console, webhook hook.example." in (await here.say("gold > 2500")).lines
    assert "It goes to: webhook hook.example." in (await here.say("gold > 2501 via webhook")).lines


# ---------------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("alert", {}),
        ("alert gold", {"instrument": "gold"}),
        ("alert gold 2400", {"instrument": "gold", "level": "2400"}),
        ("gold => 2 every time", {"instrument": "gold", "condition": "above", "level": "2", "repeat": "every time"}),
        ("silver is below", {"instrument": "silver", "condition": "below"}),
        ('btc falls under 60k "buy"', {"instrument": "btc", "condition": "below", "level": "60k", "note": "buy"}),
    ],
)  # fmt: skip
async def test_a_line_that_is_no_alert_offers_a_form_with_what_was_understood(
    line: str, values: dict[str, str], here: Room
) -> None:
    """Beside the sentence that says what is wrong; nothing is set."""
    reply = await here.say(line)
    assert reply.form is not None
    assert (reply.ok, reply.form.values) == (False, values)
    assert reply.lines
    assert here.engine.changes == []


async def test_a_filled_form_sets_an_alert(here: Room) -> None:
    """The line that comes of it is one that a person could have written."""
    form = (await here.say("alert gold")).form
    assert form is not None
    line = line_of(form.command, form.arguments, {**form.values, "condition": "below", "level": "2,300", "note": "a"})
    assert line == 'alert gold below 2,300 note "a"'
    assert (await here.say(line)).facts["text"] == 'XAU-USD < 2300 note "a"'


FORMS: Sequence[tuple[str, dict[str, str], str]] = (
    ("price", {"instruments": "gold silver btc"}, "price gold silver btc"),
    ("price", {}, "price"),
    ("alert", {"instrument": "gold", "condition": ">", "level": "2400"}, "alert gold > 2400"),
    ("alert", {"instrument": "btc", "condition": "<", "level": "60k", "repeat": "every time"},
     "alert btc < 60k every time"),
    ("alerts", {"which": "all"}, "alerts all"),
    ("snooze", {"alert": "12", "time": "2h"}, "snooze 12 2h"),
    ("snooze", {"alert": "12", "time": "until tomorrow"}, "snooze 12 until tomorrow"),
    ("again", {"alert": "12"}, "again 12"),
    ("move", {"alert": "12", "level": "+1%"}, "move 12 +1%"),
    ("mute", {"instrument": "gold", "time": "2h"}, "mute gold 2h"),
    ("mute", {"instrument": "gold"}, "mute gold"),
    ("edit", {"alert": "12", "instrument": "gold", "condition": ">", "level": "2450", "repeat": "every time"},
     "edit 12 gold > 2450 every time"),
    ("edit", {"alert": "12"}, "edit 12"),
    ("delete", {"alert": "12", "undo": "undo"}, "delete 12 undo"),
    ("why", {"alert": "12"}, "why 12"),
    ("help", {"command": "alert"}, "help alert"),
    ("chart", {"instrument": "gold", "span": "7d", "indicators": "ma20 ema50"}, "chart gold 7d ma20 ema50"),
    ("chart", {"instrument": "btc", "span": "24h", "kind": "area", "theme": "dark"}, "chart btc 24h area dark"),
    ("chart", {"instrument": "gold", "span": "30d", "against": "silver"}, "chart gold 30d vs silver"),
    ("compare", {"instruments": "gold silver btc", "span": "30d"}, "compare gold silver btc 30d"),
    ("ratio", {"instrument": "gold", "other": "silver", "span": "90d", "indicators": "ma20"},
     "ratio gold silver 90d ma20"),
    ("stats", {"instrument": "gold", "by": "hour"}, "stats gold by hour"),
    ("stats", {"instrument": "gold", "span": "30d", "against": "silver"}, "stats gold 30d vs silver"),
    ("movers", {"span": "1h", "by": "down"}, "movers 1h down"),
    ("convert", {"amount": "1000", "source": "usd", "target": "g gold"}, "convert 1000 usd to g gold"),
    ("watch", {"instruments": "gold silver btc"}, "watch gold silver btc"),
    ("digest", {"time": "07:30", "days": "weekends", "about": "portfolio"}, "digest 07:30 weekends portfolio"),
    ("digest", {"time": "08:00", "to": "1"}, "digest 08:00 to 1"),
    ("portfolio", {"action": "add", "what": "0.5 btc at 42000"}, "portfolio add 0.5 btc at 42000"),
    ("portfolio", {"action": "chart", "what": "90d"}, "portfolio chart 90d"),
    ("push", {"action": "add", "destination": "ntfy://your-topic"}, "push add ntfy://your-topic"),
    ("push", {"action": "off", "destination": "1"}, "push off 1"),
    ("test", {"condition": "gold > 2400"}, "test gold > 2400"),
    ("test", {"condition": "gold -5% in 1h", "span": "90d"}, "test gold -5% in 1h last 90d"),
    ("forget", {"code": "x"}, "forget yes x"),
    ("settings", {"setting": "zone", "value": "Asia/Kolkata"}, "settings zone Asia/Kolkata"),
)  # fmt: skip
PLAIN = ("is not understood", "is no option", "says nothing", "takes no", "which alert", "failed", "write USAGE")
"""What a line is told that its command cannot read."""


def arguments_of(name: str) -> tuple[Argument, ...]:
    return tuple(getattr(load.command(name), "ARGUMENTS", ()))


@pytest.mark.parametrize(("name", "values", "line"), FORMS)
async def test_the_values_of_a_form_make_a_line_that_its_command_reads(
    name: str, values: dict[str, str], line: str, here: Room
) -> None:
    """Alert 12 may not be there, and no worker draws here; but no line is one that is not understood."""
    arguments = arguments_of(name)
    assert set(values) <= {argument.name for argument in arguments}
    assert line_of(name, arguments, values) == line
    reply = await here.say(line)
    told = " ".join(reply.lines)
    assert not any(words in told for words in PLAIN), told
    assert reply.form is None or line == "edit 12"


def test_every_command_that_takes_something_says_what() -> None:
    """So platforms offer it in their own menus; every argument is in a form that is tried here or in the command's own
    tests, names are words, and no list of choices is longer than a platform takes."""
    for name in load.names(load.COMMANDS):
        command, arguments = load.command(name), arguments_of(name)
        assert bool(arguments) == (" " in command.USAGE), name
        assert len({argument.name for argument in arguments}) == len(arguments), name
        for argument in arguments:
            assert argument.name.isidentifier() and argument.name.islower(), (name, argument.name)
            assert 0 < len(argument.about) <= 100, (name, argument.name)
            assert (argument.kind == "choice") == bool(argument.choices), (name, argument.name)
            assert len(argument.choices) <= 25, (name, argument.name)
        required = [argument.required for argument in arguments]
        assert required == sorted(required, reverse=True), f"{name}: what is required stands first"


async def test_the_menu_can_be_asked_for(here: Room) -> None:
    """With every command, its arguments and what is served."""
    menu = await here.bus.request(subjects.MENU, b"", Menu, 5)
    assert {entry.name for entry in menu.commands} == set(load.names(load.COMMANDS))
    assert next(entry for entry in menu.commands if entry.name == "delete").arguments == arguments_of("delete")
    assert [one.id for one in menu.instruments]
