"""The leases of a core: all or none, waited for where the ledger is shared, and given up at the end."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.config import Config, LedgerSection
from hub.held import FIRST_LEASE_US, LEASE_US, Held
from hub.ledger import Ledger, leases, open_ledger, outbox
from hub.ledger.leases import LeaseLost
from tests.test_outbox import LEASE, NOW, describe, row
from tests.test_outbox import people as two_destinations

NAMES = ("recorder", "engine", "ingest")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now


def held(
    ledger: Ledger,
    holder: str,
    clock: Clock,
    wanted: tuple[str, ...] = NAMES,
    newest_epoch: Callable[[], Awaitable[int]] | None = None,
) -> Held:
    return Held(ledger, wanted, holder, newest_epoch, clock=clock)


@pytest.fixture
def shared(postgres_url: str) -> Config:
    return Config(ledger=LedgerSection(url=postgres_url))


async def test_on_a_folder_of_ones_own_a_dead_core_is_not_waited_for(tmp_path: Path) -> None:
    """The lock of the folder has kept all others out."""
    clock = Clock()
    async with open_ledger(Config(folder=tmp_path)) as ledger:
        assert await held(ledger, "dead", clock).take()
        after = held(ledger, "next", clock)
        assert await after.take()
        assert set(after.epochs.values()) == {2}


async def test_a_core_stands_by_until_the_leases_of_a_dead_one_run_out(shared: Config) -> None:
    """The first ones are long enough to start in; renewed ones run for ten seconds."""
    clock = Clock()
    async with open_ledger(shared) as ledger:
        first, standby = held(ledger, "a", clock), held(ledger, "b", clock)
        assert await first.take()
        assert (first.waits_for, standby.waits_for) == ([], list(NAMES))
        clock.now += FIRST_LEASE_US - 1
        assert not await standby.take()
        await first.renew()
        clock.now += LEASE_US - 1
        assert not await standby.take()
        clock.now += 2
        assert await standby.take()
        assert standby.epochs == {name: epoch + 1 for name, epoch in first.epochs.items()}


async def test_a_core_that_was_taken_over_hears_of_it_and_gives_up_nothing_of_the_other_ones(shared: Config) -> None:
    """It woke up too late: its renewal is refused, and its end leaves the new holder in peace."""
    clock = Clock()
    async with open_ledger(shared) as ledger:
        first, standby = held(ledger, "a", clock), held(ledger, "b", clock)
        assert await first.take()
        clock.now += FIRST_LEASE_US + 1
        assert await standby.take()
        with pytest.raises(LeaseLost, match="taken over"):
            await first.renew()
        await first.drop()
        await standby.renew()
        assert not await held(ledger, "c", clock).take()


async def test_a_core_that_ends_in_order_is_followed_at_once(shared: Config) -> None:
    """And the epochs go on growing."""
    clock = Clock()
    async with open_ledger(shared) as ledger:
        first, standby = held(ledger, "a", clock), held(ledger, "b", clock)
        assert await first.take()
        await first.drop()
        assert await standby.take()
        assert set(standby.epochs.values()) == {2}


async def test_what_a_dead_core_was_about_to_send_is_free_for_who_takes_over(shared: Config) -> None:
    """Nobody waits for its claims to run out; those of a core that lives are left to it."""

    def claims(connection: sa.Connection) -> None:
        two_destinations(connection, 3)
        for number, worker in enumerate(("dead", "alive"), 1):
            row(connection, number, destination=number, claimed_by=worker, claimed_until=1 << 60)

    clock = Clock()
    async with open_ledger(shared) as ledger:
        await ledger.write(claims)
        dead, standby = held(ledger, "dead", clock), held(ledger, "b", clock)
        assert await dead.take()
        assert not await standby.take()
        assert await ledger.write(lambda c: outbox.claim(c, "b", NOW, LEASE, 10, describe)) == []
        clock.now += FIRST_LEASE_US + 1
        assert await standby.take()
        claimed = await ledger.write(lambda c: outbox.claim(c, "b", NOW, LEASE, 10, describe))
        assert [due.notification.id for due in claimed] == [1]


async def test_leases_are_taken_all_or_none(shared: Config) -> None:
    """So two cores never hold one each and wait for the other."""
    clock = Clock()
    async with open_ledger(shared) as ledger:
        engine = held(ledger, "a", clock, ("engine",))
        assert await engine.take()
        everything = held(ledger, "b", clock)
        assert not await everything.take()
        assert everything.epochs == {}
        assert await held(ledger, "c", clock, ("ingest", "recorder")).take()


async def test_ingest_begins_above_every_epoch_that_was_seen(shared: Config) -> None:
    """Frames of a ledger that was made anew must not look old to readers that go on; the others need no such care."""

    async def newest() -> int:
        return 41

    async with open_ledger(shared) as ledger:
        core = held(ledger, "a", Clock(), newest_epoch=newest)
        assert await core.take()
        assert core.epochs == {"recorder": 1, "engine": 1, "ingest": 42}
        await ledger.write(lambda c: leases.assert_held(c, "ingest", 42))
