"""`tocsin check` on servers of stores: what is there, what is not, and no password in either."""

import pytest

from hub.check import stores
from hub.check.finding import Finding
from hub.config import CacheSection, Config, HistorySection, LedgerSection
from tests.servers import RedisServer

SECRET = "tok-5ecret"


async def findings(config: Config) -> list[Finding]:
    return [finding async for finding in stores.look(config)]


async def test_servers_that_answer_are_named_with_their_versions(postgres_url: str, redis_server: RedisServer) -> None:
    """Nothing is left in the database."""
    config = Config(
        history=HistorySection(url=postgres_url),
        ledger=LedgerSection(url=postgres_url),
        cache=CacheSection(url=redis_server.url, password=redis_server.password),
    )
    for _ in range(2):
        history, ledger, cache = await findings(config)
        assert "PostgreSQL" in history.text
        assert "answers in" in cache.text
        assert not any(finding.cure for finding in (history, ledger, cache))


async def test_servers_that_do_not_answer_come_with_the_setting_to_look_at(redis_server: RedisServer) -> None:
    """A closed port, a wrong password: a sentence each."""
    config = Config(
        history=HistorySection(url="postgresql://tocsin@127.0.0.1:1/there", password=SECRET),
        cache=CacheSection(url=redis_server.url, password=SECRET),
    )
    history, cache = await findings(config)
    assert "TOCSIN_HISTORY__PASSWORD" in history.cure
    assert "TOCSIN_CACHE__PASSWORD" in cache.cure
    assert SECRET not in str((history, cache))


async def test_a_missing_extension_is_told_where_it_is_wanted(postgres_url: str) -> None:
    """Where the server has it, there is nothing to cure."""
    (found,) = await findings(Config(history=HistorySection(url=postgres_url, timescale="yes")))
    if "with TimescaleDB" in found.text:
        pytest.skip("this server has TimescaleDB")
    assert "has no TimescaleDB" in found.text
    assert 'timescale = "auto"' in found.cure


async def test_stores_in_the_folder_need_no_look() -> None:
    """The embedded form has no servers."""
    assert await findings(Config()) == []
