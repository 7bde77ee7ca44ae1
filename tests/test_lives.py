"""Of the life of each alert the newest lines are kept, on both ledgers, and removed in pieces."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.config import Config, LedgerSection
from hub.ledger import Ledger, alerts, lives, open_ledger
from hub.ledger import tables as t
from hub.lives import shorten_all
from tests.test_quiet_hours import ANNA, BEN, people


@pytest.fixture(params=["sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    async with open_ledger(Config(folder=tmp_path, ledger=LedgerSection(url=url))) as opened:
        await opened.write(people)
        yield opened


async def tell(ledger: Ledger, alert_id: int, *, first: int = 0, count: int) -> None:
    lines = [alerts.Told(alert_id, at, f"line {at}") for at in range(first, first + count)]
    await ledger.write(lambda c: alerts.save_told(c, lines))


async def lines(ledger: Ledger, alert_id: int) -> list[str]:
    query = sa.select(t.alert_events.c.text).where(t.alert_events.c.alert_id == alert_id).order_by(t.alert_events.c.id)
    return list(await ledger.read(lambda c: c.scalars(query).all()))


async def test_the_newest_lines_are_kept_of_each(ledger: Ledger) -> None:
    """Also where those of two alerts came in turns; who has fewer loses none."""
    for first in range(0, 30, 10):
        await tell(ledger, ANNA, first=first, count=10)
        await tell(ledger, BEN, first=first, count=4)
    assert await shorten_all(ledger, 20) == 10
    assert await lines(ledger, ANNA) == [f"line {at}" for at in range(10, 30)]
    assert len(await lines(ledger, BEN)) == 12
    assert await shorten_all(ledger, 20) == 0


async def test_a_long_life_is_shortened_in_pieces(ledger: Ledger) -> None:
    """No transaction of it is long, so that the engine's commits come in between; the oldest go first."""
    await tell(ledger, ANNA, count=30)
    await tell(ledger, BEN, count=30)
    assert await ledger.write(lambda c: lives.shorten(c, ANNA, 10, most=7)) == 7
    assert (await lines(ledger, ANNA))[0] == "line 7"
    assert await shorten_all(ledger, 10) == 33
    assert [len(await lines(ledger, owner)) for owner in (ANNA, BEN)] == [10, 10]


async def test_a_thousand_lines_are_kept_of_an_alert_that_rings_all_the_time(ledger: Ledger) -> None:
    """What `history` shows at most is a part of it."""
    await tell(ledger, ANNA, count=lives.LINES + 1_500)
    assert await shorten_all(ledger) == 1_500
    assert len(await lines(ledger, ANNA)) == 1_000
