"""The ledger: its schema by migration and by table are one, its transactions are whole, its leases fence."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hub.config import Config, LedgerSection
from hub.ledger import LedgerFull, LedgerTooNew, leases, migrate, open_ledger, revision_of
from hub.ledger import tables as t
from hub.ledger.leases import LeaseLost


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Config(folder=tmp_path, ledger=LedgerSection(url=url))


def test_migrations_and_tables_say_the_same(config: Config) -> None:
    """What was migrated from the start has exactly the schema of a new one."""
    url = config.ledger.url.replace("postgresql:", "postgresql+psycopg:") or "sqlite://"
    engine = sa.create_engine(url, poolclass=sa.pool.StaticPool)
    try:
        with engine.begin() as connection:
            migrate(connection)
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, t.metadata) == []
            assert revision_of(connection) == t.REVISION
    finally:
        engine.dispose()


async def test_a_ledger_opens_again_with_what_was_in_it(config: Config) -> None:
    """And its revision stands in it."""
    async with open_ledger(config) as ledger:
        await ledger.write(lambda c: c.execute(t.facts.insert().values(name="a", value="1")))
    async with open_ledger(config) as ledger:
        assert await ledger.read(lambda c: c.execute(sa.select(t.facts.c.value)).scalar()) == "1"
        assert await ledger.read(revision_of) == t.REVISION


async def test_a_ledger_of_a_newer_version_is_left_alone(config: Config) -> None:
    """The sentence says what to start."""
    async with open_ledger(config) as ledger:
        await ledger.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(LedgerTooNew, match="9999"):
        async with open_ledger(config):
            pass


async def test_a_transaction_that_fails_leaves_nothing(config: Config) -> None:
    """Whatever it wrote before."""
    async with open_ledger(config) as ledger:

        def half(connection: sa.Connection) -> None:
            connection.execute(t.facts.insert().values(name="a", value="1"))
            raise ValueError("in the middle")

        with pytest.raises(ValueError, match="in the middle"):
            await ledger.write(half)
        assert await ledger.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(t.facts)).scalar()) == 0


async def test_a_full_disk_is_a_sentence_and_the_transaction_can_be_tried_again(tmp_path: Path) -> None:
    """Nothing of it was kept."""
    async with open_ledger(Config(folder=tmp_path)) as ledger:
        size = await ledger.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        await ledger.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={size}"))
        big = {"name": "big", "value": "x" * 100_000}
        with pytest.raises(LedgerFull, match="free some space"):
            await ledger.write(lambda c: c.execute(t.facts.insert(), big))
        await ledger.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1000000"))
        await ledger.write(lambda c: c.execute(t.facts.insert(), big))
        assert await ledger.read(lambda c: c.execute(sa.select(t.facts.c.name)).scalars().all()) == ["big"]


async def test_a_lease_has_one_holder_and_its_epoch_fences_the_one_before(config: Config) -> None:
    """It passes on when it ran out, or at once where something else keeps the others away."""
    async with open_ledger(config) as ledger:

        async def taken(holder: str, now: int, *, at_once: bool = False) -> int | None:
            return await ledger.write(lambda c: leases.take(c, "engine", holder, now, 100, at_once=at_once))

        assert await taken("a", 0) == 1
        assert await taken("b", 50) is None
        await ledger.write(lambda c: leases.renew(c, "engine", 1, 250))
        assert await taken("b", 200) is None
        assert await taken("b", 260) == 2
        with pytest.raises(LeaseLost):
            await ledger.write(lambda c: leases.assert_held(c, "engine", 1))
        with pytest.raises(LeaseLost):
            await ledger.write(lambda c: leases.renew(c, "engine", 1, 999))
        await ledger.write(lambda c: leases.assert_held(c, "engine", 2))
        assert await taken("c", 261, at_once=True) == 3
