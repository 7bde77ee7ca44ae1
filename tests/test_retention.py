"""`[history] ticks_for`: a running hub removes what is older, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hub import app
from hub.config import BusSection, Config, HistorySection, HubSection
from hub.history import Position, open_history
from hub.model import SECOND_US, Kind, Tick
from hub.testing import frame_of
from tests.conftest import NatsServer  # pytest reads it

if TYPE_CHECKING:
    from pathlib import Path

DAY_US = 86_400 * SECOND_US
LAST_US = 1_400_000_000 * SECOND_US  # in 2014: the stream's clock counts, not the wall's


def days_before(days: float) -> Tick:
    at = LAST_US - round(days * DAY_US)
    return Tick(instrument="XAU-USD", kind=Kind.TRADE, price=1300.0, venue_time=at, received_at=at, source="desk")


async def test_ticks_that_are_older_than_the_setting_are_removed(tmp_path: Path, nats_server: NatsServer) -> None:
    """By the clock of the stream; candles stay."""
    config = Config(
        hub=HubSection(roles=("record",)),
        bus=BusSection(max_mb=64),
        history=HistorySection(ticks_for=2),
        folder=tmp_path / "data",
    )
    config.folder.mkdir()
    frame = frame_of([days_before(days) for days in (9, 2.5, 1.5, 0)])
    async with open_history(config) as history:
        await history.append([frame], Position(stream="old", sequence=1, epoch=1, number=1, clock=frame.clock))
        candles = await history.candles("XAU-USD", "1d", 0, LAST_US + DAY_US)
    async with app.core(config, nats_server.url, nats_server.token), open_history(config) as history:
        async with asyncio.timeout(10):
            while await history.tick_count() > 2:
                await asyncio.sleep(0.01)
        kept = await history.ticks("XAU-USD", 0, LAST_US + DAY_US)
        assert kept == [days_before(1.5), days_before(0)]
        assert await history.candles("XAU-USD", "1d", 0, LAST_US + DAY_US) == candles
