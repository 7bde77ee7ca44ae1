"""`split`, as admins write it: over a real bus, ledger and history."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.history import Position
from hub.instruments import CATALOGUE
from hub.model import SECOND_US, Kind, Reply, Tick, Who
from hub.splits import in_effect
from hub.testing import check_reply, frame_of
from tests.test_commands import OPERATOR, STRANGER, Room, room

(APPLE,) = [each for each in CATALOGUE if each.id == "AAPL"]
AT = in_effect("2014-06-09", APPLE)
HOUR_US = 3_600 * SECOND_US


@pytest.fixture
async def here(nats_server: Any, tmp_path: Path) -> AsyncIterator[Room]:
    """Apple fell from 645 to 92 over that midnight."""
    async with room(nats_server, tmp_path / "hub", served=("AAPL", "XAU-USD")) as opened:
        ticks = [
            Tick(instrument="AAPL", kind=Kind.TRADE, price=price, venue_time=at, received_at=at, source="a")
            for at, price in ((AT - 50 * HOUR_US, 645.57), (AT + 10 * HOUR_US, 92.24))
        ]
        await opened.history.append([frame_of(ticks)], Position(stream="x", sequence=1, epoch=1, number=1))
        yield opened


async def said(here: Room, line: str, who: Who = OPERATOR, *, ok: bool = True) -> Reply:
    reply = await here.say(line, who)
    check_reply(reply)
    assert reply.ok is ok, reply.lines
    return reply


async def test_a_split_is_asked_about_then_told_then_listed(here: Room) -> None:
    assert (await said(here, "split")).title == "No split is known"
    reply = await said(here, "split apple 7-for-1 2014-06-09")
    assert reply.title == "Split AAPL?"
    assert "No alert names AAPL." in reply.lines
    assert "Prices around that day: 645.57 → 92.24, which is 7 to 1." in reply.lines
    (button,) = reply.buttons
    assert button.line == "split AAPL 7:1 2014-06-09 yes"
    assert (await said(here, "split")).title == "No split is known"
    assert (await said(here, button.line)).title == "AAPL is split 7:1 on 2014-06-09"
    assert (await said(here, "split AAPL")).table[1:] == (("AAPL", "7:1", "2014-06-09", "operator"),)
    assert "already" in (await said(here, button.line, ok=False)).lines[0]


async def test_a_ratio_that_prices_deny_is_questioned(here: Room) -> None:
    lines = (await said(here, "split AAPL 2:1 2014-06-09")).lines
    assert lines[-1] == "That does not look like this split: is the day right?"


async def test_a_split_that_nothing_has_moved_over_can_be_taken_back(here: Room) -> None:
    await said(here, "split AAPL 2:1 2030-06-09 yes")
    assert "AAPL 2:1, 2030-06-09" in (await said(here, "split AAPL remove 2030-06-09")).title
    assert (await said(here, "split")).title == "No split is known"
    assert "no split of" in (await said(here, "split AAPL remove 2030-06-09", ok=False)).lines[0]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("split AAPL 7:1", "write it like"),
        ("split AAPL 7:1 2014-06-09 please", "write it like"),
        ("split AAPL remove", "write it like"),
        ("split AAPL 7 2014-06-09", "is no split"),
        ("split AAPL 7:1 June", "is no day"),
        ("split gold 7:1 2014-06-09", "Gold is no stock"),
        ("split nothing 7:1 2014-06-09", "nothing"),
    ],
)
async def test_what_cannot_be_a_split_is_said(here: Room, line: str, sentence: str) -> None:
    assert sentence in " ".join((await said(here, line, ok=False)).lines)


async def test_only_admins_tell_of_splits(here: Room) -> None:
    await said(here, "split AAPL 7:1 2014-06-09 yes", STRANGER, ok=False)
    assert (await said(here, "split")).title == "No split is known"
