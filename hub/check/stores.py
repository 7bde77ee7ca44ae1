"""Looks at the servers that a configuration names for its stores: PostgreSQL with its rights and extension, Redis.

Nothing is left there: tables are tried in a transaction that is rolled back. No password reaches a finding.
Depends on asyncpg and redis, imported where a URL is given.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from hub.check.finding import LOOK_S, Finding
from hub.config import Config
from hub.load import missing_library

OLDEST_POSTGRES = 14


async def look(config: Config) -> AsyncIterator[Finding]:
    """A finding for each URL; none where everything is in the data folder."""
    if config.history.url:
        yield await _postgres("history", config.history.url, config.history.password, config.history.timescale)
    if config.ledger.url:
        yield await _postgres("ledger", config.ledger.url, config.ledger.password, "no")
    if config.cache.url:
        yield await _redis(config.cache.url, config.cache.password)


def shown(url: str) -> str:
    """Host, port and database: what may be shown."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname}{port}{parts.path}"


async def _postgres(edge: str, url: str, password: str, timescale: str) -> Finding:
    try:
        import asyncpg
    except ImportError as error:
        return _library(edge, error)
    cure = f"start that server, correct [{edge}] url, or set TOCSIN_{edge.upper()}__PASSWORD"
    try:
        async with asyncio.timeout(LOOK_S):
            connection = await asyncpg.connect(url, password=password or None, timeout=LOOK_S)
            try:
                return await _inside(edge, connection, shown(url), timescale)
            finally:
                await connection.close(timeout=1)
    except TimeoutError:
        return Finding(edge, f"{shown(url)} did not answer within {LOOK_S:g} s", cure)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return Finding(edge, f"{shown(url)}: {str(error) or type(error).__name__}", cure)


async def _inside(edge: str, connection: Any, where: str, timescale: str) -> Finding:
    import asyncpg

    version = connection.get_server_version()
    if version.major < OLDEST_POSTGRES:
        return Finding(edge, f"{where} is PostgreSQL {version.major}", f"use {OLDEST_POSTGRES} or newer")
    probe = connection.transaction()
    await probe.start()
    try:
        await connection.execute("CREATE TABLE tocsin_probe (one integer)")
    except asyncpg.InsufficientPrivilegeError as error:
        return Finding(
            edge, f"{where}: {error}", "GRANT CREATE ON SCHEMA public to the user in [history] and [ledger] url"
        )
    finally:
        await probe.rollback()
    extension = "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    offered = await connection.fetchval(extension)
    if timescale == "yes" and not offered:
        return Finding(edge, f"{where} has no TimescaleDB", 'install the extension there, or set timescale = "auto"')
    with_ = f" with TimescaleDB {offered}" if offered and timescale != "no" else ""
    return Finding(edge, f"{where}, PostgreSQL {version.major}.{version.minor}{with_}")


async def _redis(url: str, password: str) -> Finding:
    try:
        import redis.asyncio as redis
        from redis.exceptions import RedisError
    except ImportError as error:
        return _library("cache", error)
    client = redis.Redis.from_url(
        url, password=password or None, socket_connect_timeout=LOOK_S, socket_timeout=LOOK_S, retry=None
    )
    begun = time.monotonic()
    try:
        async with asyncio.timeout(LOOK_S):
            await client.ping()
        return Finding("cache", f"{shown(url)} answers in {(time.monotonic() - begun) * 1000:.1f} ms")
    except (OSError, RedisError, TimeoutError) as error:
        cure = (
            "start that server, correct [cache] url, or set TOCSIN_CACHE__PASSWORD; without it the hub goes on, slower"
        )
        return Finding("cache", f"{shown(url)}: {str(error) or type(error).__name__}", cure)
    finally:
        await client.aclose()


def _library(edge: str, error: ImportError) -> Finding:
    fact, _, cure = missing_library(error).partition(": ")
    return Finding(edge, fact, cure or f"install it, or remove [{edge}] url")
