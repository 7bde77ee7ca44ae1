"""`test`, and what the reply to a new alert says of the past: on a real bus, ledger and history."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.model import SECOND_US
from plugins.commands.test import split
from tests.past_market import quoted, stored
from tests.test_commands import ANNA, NOW, OPERATOR, Room, room

DAY_US = 86_400 * SECOND_US


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        yield opened


async def recorded(here: Room, *prices: float, days: float = 40) -> None:
    """Those prices of gold, spread evenly over so many days that end now."""
    step = round(days * DAY_US) // len(prices)
    start = NOW - step * len(prices)
    await stored(here.history, [quoted("XAU-USD", [(start + at * step, price) for at, price in enumerate(prices)])])


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("gold > 2400", ("gold > 2400", "30d")),
        ("gold > 2400 last 90d", ("gold > 2400", "90d")),
        ("btc -5% in 1h last 1d 12h", ("btc -5% in 1h", "1d 12h")),
        ("btc -5% in 1h over the last 3mo", ("btc -5% in 1h", "3mo")),
        ("btc -5% in 1h", ("btc -5% in 1h", "30d")),
        ("gold > 2400 in 2026-10", ("gold > 2400", "2026-10")),
        ("gold in eur > 2400 in 2026", ("gold in eur > 2400", "2026")),
        ("gold > 2400 on 2026-10-02", ("gold > 2400", "2026-10-02")),
        ("gold > 2400 in 2026-10-02 12:00..14:00", ("gold > 2400", "2026-10-02 12:00..14:00")),
        ("gold > 2400 until 2026-12-05", ("gold > 2400 until 2026-12-05", "30d")),
        ('gold > 2400 note "the last 30d"', ('gold > 2400 note "the last 30d"', "30d")),
        ("gold last > 2400", ("gold last > 2400", "30d")),
        ("silver > 30 yesterday", ("silver > 30", "yesterday")),
        ("12 last 7d", ("12", "7d")),
        ("", ("", "30d")),
    ],
)
def test_the_span_stands_behind_the_line(line: str, parts: tuple[str, str]) -> None:
    """Behind "last" or "in", so that no time of the alert's own is taken for it."""
    assert split(line) == parts


WAVE = (2390.0, 2405.0) * 5


async def test_a_new_alert_says_how_often_it_would_have_rung(here: Room) -> None:
    """In the last 30 days, exactly, on ticks."""
    await recorded(here, *WAVE)
    reply = await here.say("alert gold > 2400")
    assert "It would have rung 4 times in the last 30 days." in reply.lines
    assert reply.facts["backtest"]["count"] == 4  # type: ignore[index]
    assert reply.buttons[-1].line == f"test {reply.facts['id']}"
    never = await here.say("alert gold > 2500")
    assert "It would not have rung in the last 30 days." in never.lines
    assert "test" not in " ".join(button.line for button in never.buttons)


async def test_a_short_history_says_how_far_it_reaches(here: Room) -> None:
    """And of none nothing is said, but where somebody asks."""
    none = await here.say("alert gold > 2500")
    assert not any("rung" in line or "stored" in line for line in none.lines)
    asked = await here.say("test gold > 2500")
    assert "No prices are stored yet on which it could be tested." in asked.lines
    await recorded(here, *WAVE, days=2.5)
    lines = (await here.say("alert gold > 2400")).lines
    assert "It would have rung 5 times in the last 2 d 12 h." in lines or any(
        "in the last 2 d" in line for line in lines
    )
    assert any(line.startswith("Prices are stored since 2027-01-12 20:00:00") for line in lines)


async def test_what_takes_too_long_beside_a_reply_is_offered(here: Room) -> None:
    """The alert is set all the same."""
    await recorded(here, *WAVE)
    async with here.commands._context._backtests._running:  # type: ignore[attr-defined]
        reply = await here.say("alert gold > 2400")
    assert reply.ok and not any("would have rung" in line for line in reply.lines)
    assert reply.buttons[-1].line == f"test {reply.facts['id']}"


async def test_a_back_test_that_fails_costs_no_alert(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged and left out."""

    async def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(here.commands._context._backtests, "run", fails)
    reply = await here.say("alert gold > 2400")
    assert reply.ok
    assert reply.title.startswith("Alert ")


async def test_a_line_is_tested_with_its_rings(here: Room) -> None:
    """How often, the newest rings, on what; and one tap creates it. Nothing is set."""
    await recorded(here, *WAVE)
    reply = await here.say("test gold > 2400")
    assert reply.title == "Back-test: XAU-USD > 2400"
    assert "It would have rung 4 times in the last 30 days." in reply.lines
    assert "Tested tick by tick." in reply.lines
    assert "Counted as if it were armed again behind its band each time." in reply.lines
    assert reply.table[0] == ("rang at", "value")
    assert [row[1] for row in reply.table[1:]] == ["2,405.00 USD"] * 4
    assert reply.table[1][0] == "2027-01-11 08:00:00"
    assert [button.line for button in reply.buttons] == ["alert XAU-USD > 2400", "test XAU-USD > 2400 last 90d"]
    assert here.engine.changes == []
    assert not (await here.say("alerts")).facts["alerts"]


async def test_a_span_can_be_said(here: Room) -> None:
    """A length, a day, days; a longer one says since when prices are stored."""
    await recorded(here, *WAVE)
    assert (await here.say("test gold > 2400 last 7d")).facts["count"] == 1
    assert (await here.say("test gold > 2400 in 2027-01-11")).facts["count"] == 1
    between = await here.say("test gold > 2400 in 2027-01-01..2027-01-05")
    assert "It would have rung 1 time from 2027-01-01 00:00:00 to 2027-01-06 00:00:00." in between.lines
    whole = await here.say("test gold > 2400 last 90d")
    assert whole.facts["count"] == 5
    assert any(line.startswith("Prices are stored since 2026-12-06") for line in whole.lines)


async def test_an_alert_that_is_there_is_tested_by_its_number(here: Room) -> None:
    """Its owner's alone."""
    await recorded(here, *WAVE)
    number = (await here.say("gold > 2400 every time")).facts["id"]
    reply = await here.say(f"test {number}")
    assert (reply.facts["count"], [button.line for button in reply.buttons]) == (4, [f"test {number} last 90d"])
    assert not any("armed again" in line for line in reply.lines)
    assert not (await here.say(f"test {number}", ANNA)).ok


async def test_of_several_conditions_the_one_that_rang_is_told(here: Room) -> None:
    """A column more."""
    await recorded(here, *WAVE)
    reply = await here.say("test gold > 2400 or gold < 2395")
    assert reply.table[0] == ("rang at", "value", "condition")
    assert {row[2] for row in reply.table[1:]} == {
        "Gold rises to 2,400.00 or above", "Gold falls to 2,395.00 or below",
    }  # fmt: skip


async def test_only_the_newest_ten_are_listed(here: Room) -> None:
    """The count is of all."""
    await recorded(here, *(2390.0, 2405.0) * 30)
    reply = await here.say("test gold > 2400")
    assert len(reply.table) == 11
    assert int(str(reply.facts["count"])) > 10
    assert "The newest 10:" in reply.lines


async def test_a_test_on_candles_says_about(here: Room) -> None:
    """Where ticks are gone."""
    await recorded(here, *WAVE)
    await here.history.prune(NOW)
    reply = await here.say("test gold > 2400")
    assert "It would have rung about 4 times in the last 30 days." in reply.lines
    assert "Tested tick by tick where ticks are kept, else on candles of 1m." in reply.lines
    spread = await here.say("test gold spread > 1 last 90d")
    assert any("Only ticks can tell it" in line or "No prices" in line for line in spread.lines)


async def test_it_is_said_in_german(here: Room) -> None:
    """With its own forms."""
    await recorded(here, *WAVE)
    speaker = replace(OPERATOR, id="hans", language="de")
    lines = (await here.say("test gold > 2400", speaker)).lines
    assert "Er hätte in den letzten 30 Tagen 4-mal geklingelt." in lines
    assert "Er hätte in den letzten 30 Tagen nicht geklingelt." in (await here.say("gold > 2500", speaker)).lines


@pytest.mark.parametrize("line", ["test", "test gold", "test gold > 2400 last 5x", "test nothing > 5", "test 99"])
async def test_what_is_no_test_is_refused_in_words(line: str, here: Room) -> None:
    """Nobody is left with an error."""
    reply = await here.say(line)
    assert not reply.ok
    assert reply.lines and "failed" not in reply.lines[0]


async def test_a_portfolio_that_holds_nothing_is_told(here: Room) -> None:
    """In place of a count."""
    reply = await here.say("test portfolio > 5000")
    assert "The portfolio holds nothing of which prices are stored." in reply.lines
