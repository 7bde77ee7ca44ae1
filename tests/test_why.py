"""What `why`, `history` and `alerts` say of an alert in each of its states, in plain words, also in German."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.frame import Event, EventKind
from hub.model import SECOND_US, Quote, Who
from tests.people_room import ANNA, Room, room
from tests.streams import GOLD, START, frame
from tests.test_engine import through

UWE = Who(platform="telegram", id="33", name="Uwe", address="33", language="de")


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    async with room(nats_server, tmp_path / "hub") as opened:
        opened.engine.per_person = 100
        yield opened


async def seen(here: Room, price: float, **more: Any) -> None:
    """The market is there, and the quote of it."""
    await here.tell(price)
    at = START + (here.stream.number * 1000) * SECOND_US
    here.quotes.known[GOLD] = msgspec.structs.replace(
        Quote(instrument=GOLD, price=price, time=at, received_at=at, source="test", open=price, high=price, low=price),
        **more,
    )


async def waits(here: Room, number: int, who: Who = ANNA) -> str:
    reply = await here.done(f"why {number}", who)
    start = "It waits for: " if who is ANNA else "Er wartet auf: "
    (line,) = (line for line in reply.lines if line.startswith(start))
    return line.removeprefix(start)


async def listed(here: Room, number: int) -> str:
    """Its state as `alerts all` says it."""
    (row,) = (row for row in (await here.done("alerts all", ANNA)).table if row[0] == str(number))
    return row[2]


async def life(here: Room, number: int) -> list[str]:
    """The oldest line first, without times of day."""
    told = (await here.done(f"history {number}", ANNA)).facts["history"]
    assert isinstance(told, list)
    return [line.split(" ", 2 if line[4] == "-" else 1)[-1] for line in told[::-1]]


async def test_each_state_says_what_it_waits_for(here: Room) -> None:
    """From its first price to its deletion."""
    number = int(str((await here.done("alert gold > 2400 at most every 15m", ANNA)).facts["id"]))
    assert await waits(here, number) == "the first price of Gold."
    await seen(here, 2390)
    assert (await waits(here, number), await listed(here, number)) == (
        "Gold to rise by 0.42 % to 2,400.00.", "waiting",
    )  # fmt: skip
    await seen(here, 2400)
    behind = "Gold to fall to 2,398.80 first, then to rise to 2,400.00"
    assert await waits(here, number) == f"the end of its pause at 23:01:40; then {behind}."
    assert await listed(here, number) == "rang, silent until 23:01:40"
    await seen(here, 2401)
    assert (await waits(here, number), await listed(here, number)) == (f"{behind}.", "rang, waits behind its band")
    await seen(here, 2390, market_open=False)
    assert (await waits(here, number)).endswith("; the market is closed now.")
    await seen(here, 2390, stale_since=START)
    assert (await waits(here, number)).endswith("; no price has come since 22:13:20.")
    await here.done(f"snooze {number} 2h", ANNA)
    assert await waits(here, number) == (
        "the end of its silence at 2023-11-15 00:13:20; then it watches from where the price is."
    )
    assert await listed(here, number) == "silent until 2023-11-15 00:13:20"
    await here.done("mute gold", ANNA)
    assert await waits(here, number) == "the end of its mute; mute XAU-USD off ends it now."
    assert await listed(here, number) == "muted until mute XAU-USD off"
    await here.done("mute gold off", ANNA)
    assert (await listed(here, number)).startswith("silent until")
    await here.done(f"pause {number}", ANNA)
    assert (await waits(here, number), await listed(here, number)) == (
        f"somebody to let it go on: resume {number}.", "paused",
    )  # fmt: skip
    undone = await here.done(f"delete {number}", ANNA)
    assert await waits(here, number) == f"nothing: it is deleted; delete {number} undo brings it back."
    undone = await here.done(undone.buttons[0].line, ANNA)
    assert (undone.facts["state"], undone.lines[-1]) == (
        "paused", f"It says nothing, as before: why {number} tells for how long.",
    )  # fmt: skip
    await here.done(f"resume {number}", ANNA)
    assert await life(here, number) == [
        "created by Anna: XAU-USD > 2400 at most every 15m",
        "takes its side from 2,390.00 USD",
        "rang: Gold rose to 2,400.00 USD (level 2,400.00)",
        "it has been silent long enough after it rang: it may ring again",
        "armed again at 2,390.00 USD",
        "snoozed until 2023-11-15 00:13 UTC by Anna",
        "muted by Anna",
        "unmuted by Anna, still snoozed",
        "paused by Anna",
        "deleted by Anna",
        "restored by Anna",
        "woken by Anna",
    ]


async def test_what_is_over_says_so(here: Room) -> None:
    """Done, expired, dwelling and blind."""
    await seen(here, 2390)
    lines = ("gold > 2400", "gold > 2500 until 22:50", "gold > 2395 for 1h")
    once, ends, holds = [int(str((await here.done(f"alert {line}", ANNA)).facts["id"])) for line in lines]
    await seen(here, 2400)
    assert await waits(here, once) == "nothing: it has rung and was meant to ring once."
    assert (await waits(here, holds)).startswith("its condition, which holds since 22:46:40, to last for 1 h:")
    assert await listed(here, holds) == "holding"
    await seen(here, 2400)
    assert (await waits(here, ends), await listed(here, ends)) == ("nothing: its time is over.", "its time is over")
    blind = frame(4, [])
    blind.events = [Event(0, EventKind.STALE, START + 3_060 * SECOND_US, GOLD)]
    here.stream.number = 4
    await through(here.engine, await here.stream.send(blind))
    assert await listed(here, holds) == "blind since 23:03:20"
    assert (await life(here, holds))[-2:] == [
        "its condition held no longer, at 2,400.00 USD", "blind: no price of Gold since 23:03:20.000 UTC",
    ]  # fmt: skip


async def test_lines_without_figures_are_said_in_the_language_of_who_asks(here: Room) -> None:
    """They are kept in English, as what the log says."""
    await seen(here, 2390)
    number = int(str((await here.done("alert gold > 2400 at most every 15m", UWE)).facts["id"]))
    await seen(here, 2400)
    await seen(here, 2390)
    assert await waits(here, number, UWE) == "dass Gold um 0,42 % auf 2.400,00 steigt."
    (newest, *_) = (await here.done(f"history {number}", UWE)).lines[1:]
    assert newest.endswith("armed again at 2,390.00 USD")
    lines = (await here.done(f"history {number}", UWE)).lines
    assert any(line.endswith("er hat nach dem Läuten lange genug geschwiegen: er darf wieder läuten") for line in lines)
