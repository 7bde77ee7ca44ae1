"""The tables of history in PostgreSQL, for us and for other programs that read them, and the steps from one version of
them to the next. With TimescaleDB the ticks and the 1m rung are hypertables; every statement of a reader is the same.

All rungs are tables that the recorder keeps, with TimescaleDB too, where continuous aggregates over the 1m rung would
offer themselves. They cannot keep our contract. A late tick behind their watermark is not in a real-time aggregate
until its next refresh (tried with 2.29), so a read would not see what was committed with it. Open and close of an
interval that was filled in go by time, those of a recorded one by the stream, which no aggregate of its minutes can
tell. And a sum of squares about the first open, moved there from sums about another origin, loses its digits where
moves are small. Nor is there much to gain: the rungs above 1m are little more than a quarter of it in all, and what
they add to a commit is merged in memory.

Depends on asyncpg and hub.history's postgres_trouble.
"""

from collections.abc import Sequence
from typing import Any, Literal

import asyncpg

from hub.history import HistoryTooNew, HistoryTrouble
from hub.history.postgres_trouble import said

CANDLES = ("1m", "5m", "15m", "1h", "1d")
DAY_US = 86_400_000_000

FIRST = """
CREATE TABLE instruments (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL UNIQUE);
CREATE TABLE sources (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL UNIQUE, nature text NOT NULL
);

-- Times are microseconds since 1970 UTC. `id` counts ticks in the order of the stream. `lag` is received_at - time;
-- where it is NULL the venue stamped no time, and `time` is received_at. `kind`: 0 trade, 1 quote (price is the mid).
-- `verdict`: 0 price, 1 confirmed, 2 aside, 3 standby, 4 late, 5 outlier, 6 closed; those below 2 moved the price.
CREATE TABLE ticks (
    time bigint NOT NULL, id bigint NOT NULL, lag bigint, number bigint, price double precision NOT NULL,
    bid double precision, ask double precision, volume double precision, instrument integer NOT NULL,
    source integer NOT NULL, kind smallint NOT NULL, verdict smallint NOT NULL,
    CONSTRAINT numbers CHECK (price > '-infinity' AND price < 'infinity' AND volume < 'infinity')
);
CREATE INDEX ticks_by_time ON ticks (instrument, time, id);

-- The newest tick that moved the price of each instrument, in the order of the stream.
CREATE TABLE newest (LIKE ticks, PRIMARY KEY (instrument));

-- How far the recorder has come; `ticks` is the last `id` given, `pruned` counts those removed by retention, `version`
-- the transactions that changed names or candles. Who writes holds this row's lock.
CREATE TABLE history_position (
    one integer PRIMARY KEY CHECK (one = 1), stream text NOT NULL, sequence bigint NOT NULL, epoch bigint NOT NULL,
    number bigint NOT NULL, clock bigint NOT NULL, ticks bigint NOT NULL, pruned bigint NOT NULL,
    version bigint NOT NULL
);
INSERT INTO history_position VALUES (1, '', 0, 0, 0, 0, 0, 0, 0);

-- The highest vendor number of each source and lane ("XAU-USD/quote").
CREATE TABLE history_marks (source text, lane text, number bigint NOT NULL, PRIMARY KEY (source, lane));
CREATE TABLE history_refusals (source text, reason text, count bigint NOT NULL, PRIMARY KEY (source, reason));
CREATE TABLE history_finished (source text PRIMARY KEY, lines bigint NOT NULL);
CREATE TABLE history_tries (sequence bigint PRIMARY KEY, count integer NOT NULL);
"""

# `sum` and `sum_squares` are of (price - open). `filled`: 0 for a bar that was given as it is; of a 1m candle also the
# id of the source whose fill made it; NULL if the recorder did, or added to it.
RUNG = """
CREATE TABLE candles_{rung} (
    instrument integer NOT NULL, start bigint NOT NULL, open double precision NOT NULL, high double precision NOT NULL,
    low double precision NOT NULL, close double precision NOT NULL, volume double precision NOT NULL,
    count bigint NOT NULL, sum double precision NOT NULL, sum_squares double precision NOT NULL, filled integer,
    PRIMARY KEY (instrument, start)
);
"""

MIGRATIONS = (FIRST + "".join(RUNG.format(rung=rung) for rung in CANDLES),)
"""The nth takes a database from version n to n + 1."""

TICKS_CHUNK_US = 7 * DAY_US
CANDLES_CHUNK_US = 90 * DAY_US

# What is older than a chunk is compressed (random prices to a sixth) and stays readable, writable and removable.
HYPERTABLES = f"""
CREATE OR REPLACE FUNCTION tocsin_now_us() RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT (extract(epoch FROM now()) * 1000000)::bigint';
SELECT create_hypertable('ticks', by_range('time', {TICKS_CHUNK_US}::bigint), create_default_indexes => false);
SELECT create_hypertable('candles_1m', by_range('start', {CANDLES_CHUNK_US}::bigint), create_default_indexes => false);
"""
COLUMNSTORE = """
SELECT set_integer_now_func('{table}', 'tocsin_now_us');
ALTER TABLE {table} SET (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'instrument', timescaledb.orderby = '{order}'
);
CALL add_columnstore_policy('{table}', after => {after}::bigint);
"""
COLUMNSTORES = "".join(
    COLUMNSTORE.format(table=table, order=order, after=after)
    for table, order, after in (("ticks", "time, id", TICKS_CHUNK_US), ("candles_1m", "start", CANDLES_CHUNK_US))
)

LOCK = 0x746F6373696E  # "tocsin"
Wish = Literal["auto", "yes", "no"]


async def migrate(connection: asyncpg.Connection, timescale: Wish, where: str) -> bool:
    """Each step is one transaction, so a death in between leaves a whole version; of several cores that start at once
    one makes the steps. Whether the ticks are a hypertable is settled when the tables are made, and returned."""
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS history_schema (version integer, timescale boolean)")
        row = await connection.fetchrow("SELECT version, timescale FROM history_schema")
        version, made_with = (row["version"], row["timescale"]) if row else (0, False)
        if version > len(MIGRATIONS):
            raise HistoryTooNew(
                f"the history in {where} has version {version}, this tocsin knows up to {len(MIGRATIONS)}: "
                "start the newer tocsin again, or give this one another database"
            )
        with_timescale = made_with if version else await _extension(connection, timescale, where)
        if timescale == "yes" and not with_timescale:
            raise HistoryTrouble(
                f'the tables in {where} were made without TimescaleDB, and [history] timescale is "yes": '
                'set it to "auto", or give this tocsin another database'
            )
        for number in range(version, len(MIGRATIONS)):
            await _step(connection, number, with_timescale)
        return with_timescale
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _step(connection: asyncpg.Connection, number: int, timescale: bool) -> None:
    async with connection.transaction():
        await connection.execute(MIGRATIONS[number])
        if number == 0:
            await connection.execute("INSERT INTO history_schema VALUES (0, $1)", timescale)
            if timescale:
                await connection.execute(HYPERTABLES)
                if await _columnstore(connection):
                    await connection.execute(COLUMNSTORES)
        await connection.execute("UPDATE history_schema SET version = $1", number + 1)


async def _extension(connection: asyncpg.Connection, timescale: Wish, where: str) -> bool:
    """Whether new tables are made with TimescaleDB: "auto" takes what the server is ready for and the user may use."""
    if timescale == "no":
        return False
    wanted = timescale == "yes"
    loaded = "SELECT current_setting('timescaledb.max_background_workers', true) IS NOT NULL"
    if not wanted and not await connection.fetchval(loaded):
        return False
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        lacks = "" if _numbers(version) >= OLDEST_TIMESCALE else f"{version} is older than 2.18"
    except asyncpg.PostgresError as error:
        lacks = said(error)
    if lacks and wanted:
        raise HistoryTrouble(
            f'{where} has no TimescaleDB for us ({lacks}) and [history] timescale is "yes": install it there and'
            ' preload it, or set timescale = "auto"'
        )
    return not lacks


OLDEST_TIMESCALE = (2, 18)  # the first with the columnstore under this name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split(".")[:2])


async def _columnstore(connection: asyncpg.Connection) -> bool:
    """It is not in the edition under the Apache licence."""
    return bool(await connection.fetchval("SELECT current_setting('timescaledb.license', true) = 'timescale'"))


async def chunks(connection: asyncpg.Connection, before_us: int) -> Sequence[Any]:
    """The whole chunks of ticks before that time in which no instrument has its newest price, the oldest first."""
    found: Sequence[Any] = await connection.fetch(
        "SELECT range_start_integer AS start, range_end_integer AS end FROM timescaledb_information.chunks"
        " WHERE hypertable_name = 'ticks' AND hypertable_schema = current_schema() AND range_end_integer <= $1"
        " AND NOT EXISTS (SELECT FROM newest WHERE time >= range_start_integer AND time < range_end_integer)"
        " ORDER BY 1",
        before_us,
    )
    return found
