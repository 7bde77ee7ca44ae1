"""A vendor's clock that is hours off: nothing rings wrongly by it, its stamps are used for nothing, and it is said."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hub import reader
from hub.app import begin
from hub.bus import Bus, connect
from hub.ingest.feeds import FeedRun
from hub.model import SECOND_US, Kind, Tick, Verdict
from tests.streams import GOLD, START
from tests.test_ingest import accepted, feed, gold, ingesting, plays

if TYPE_CHECKING:
    from hub.model import Refused
    from tests.conftest import NatsServer

HOUR_US = 3_600 * SECOND_US


@pytest.fixture
async def bus(nats_server: "NatsServer") -> AsyncIterator[Bus]:
    async with connect(nats_server.url, nats_server.token, "test") as opened:
        await reader.ensure_streams(opened, lambda: "first", 100_000_000)
        yield opened


class Zoned(msgspec.Struct):
    time_zone: str = ""


def came(count: int, by_us: int, first: int = 0, every_us: int = SECOND_US) -> list["Tick | Refused"]:
    """Ticks by a clock that is so far behind."""
    times = [START + (first + place) * every_us for place in range(count)]
    return [gold(2000 + at % 3, received_at=at, venue_time=at - by_us) for at in times]


def stamps(frames: Sequence[Any]) -> list[int | None]:
    return [tick.venue_time for each in frames for tick in each.ticks()]


def zoned(*items: "Tick | Refused") -> FeedRun:
    made = feed(plays(*items))
    made.settings = Zoned()
    return made


@pytest.mark.parametrize("hours", [5, -2])
async def test_a_clock_that_is_hours_off_stamps_nothing(bus: Bus, hours: int) -> None:
    """From the first one on its ticks go by the time at which they are received, none of them is late, and `status`
    says what to do."""
    count = 200
    async with ingesting(bus, zoned(*came(count, hours * HOUR_US))) as ingest:
        frames = await accepted(bus, count)
        (told,) = ingest.status()["feeds"][0]["clock"]
    assert set(stamps(frames)) == {None}
    assert {tick.verdict for each in frames for tick in each.ticks()} == {Verdict.PRICE}
    side, name = ("behind", "Etc/GMT+5") if hours > 0 else ("ahead", "Etc/GMT-2")
    assert told == f'test\'s clock looks {abs(hours)} h {side}: set time_zone = "{name}" in [feeds.test]'


async def test_a_clock_that_is_right_again_stamps_again(bus: Bus) -> None:
    """And what it stamped before makes nothing late: a clock that was ahead would be mute for hours."""
    items = [*came(100, -HOUR_US), *came(100, 0, first=100)]
    async with ingesting(bus, zoned(*items)) as ingest:
        frames = await accepted(bus, len(items))
        assert ingest.status()["feeds"][0]["clock"] == []
    found = stamps(frames)
    assert found[-20:] == [item.venue_time for item in items[-20:] if isinstance(item, Tick)]
    assert {tick.verdict for each in frames for tick in each.ticks()} == {Verdict.PRICE}


async def test_a_clock_that_goes_back_an_hour_silences_its_prices_for_a_minute_only(bus: Bus) -> None:
    """A broker's clock in autumn: late against what it stamped before, until it is seen that all of it is so."""
    items = [*came(100, 0), *came(200, HOUR_US, first=100)]
    async with ingesting(bus, zoned(*items)):
        frames = await accepted(bus, len(items))
    verdicts = [tick.verdict for each in frames for tick in each.ticks()]
    assert set(verdicts[:100]) == {Verdict.PRICE}
    assert set(verdicts[100:110]) == {Verdict.LATE}
    assert set(verdicts[170:]) == {Verdict.PRICE}


async def test_prices_that_are_twenty_minutes_old_are_said_and_keep_their_times(bus: Bus) -> None:
    """Vendors sell those: their candles are where they belong."""
    async with ingesting(bus, zoned(*came(100, 1_200 * SECOND_US))) as ingest:
        frames = await accepted(bus, 100)
        (told,) = ingest.status()["feeds"][0]["clock"]
    assert None not in stamps(frames)
    assert told == "test's prices come 20 min after their own times: they are delayed, or its clock is behind"


def test_a_stamp_from_the_future_makes_nothing_late_at_the_next_start() -> None:
    """What a wrong clock stamped before it was found stands in history."""
    known: dict[str, dict[tuple[str, int], int]] = {}
    for by_us in (-2 * HOUR_US, 0, SECOND_US):
        at = START
        tick = Tick(instrument=GOLD, kind=Kind.QUOTE, source="s", received_at=at, venue_time=at - by_us)
        begin._stamp(known, tick)
    assert known == {GOLD: {("s", Kind.QUOTE): START}}
