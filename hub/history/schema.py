"""The tables of history in SQLite, for us and for other programs that read the file, and the steps from one version of
them to the next. Depends on sqlite3.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from hub.history import HistoryTooNew

FIRST = """
CREATE TABLE instruments (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, nature TEXT NOT NULL);

-- Times are microseconds since 1970 UTC. `id` counts ticks in the order of the stream. `lag` is received_at - time;
-- where it is NULL the venue stamped no time, and `time` is received_at. `kind`: 0 trade, 1 quote (price is the mid).
-- `verdict`: 0 price, 1 confirmed, 2 aside, 3 standby, 4 late, 5 outlier, 6 closed; those below 2 moved the price.
CREATE TABLE ticks (
    instrument INTEGER NOT NULL, time INTEGER NOT NULL, id INTEGER NOT NULL, lag INTEGER, kind INTEGER NOT NULL,
    price REAL NOT NULL, bid REAL, ask REAL, volume REAL, source INTEGER NOT NULL, number INTEGER,
    verdict INTEGER NOT NULL, PRIMARY KEY (instrument, time, id)
) WITHOUT ROWID;

-- `seconds` is the rung: 60, 300, 3600 or 86400. `sum` and `sum_squares` are of (price - open).
CREATE TABLE candles (
    seconds INTEGER NOT NULL, instrument INTEGER NOT NULL, start INTEGER NOT NULL, open REAL NOT NULL,
    high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL, count INTEGER NOT NULL,
    sum REAL NOT NULL, sum_squares REAL NOT NULL, PRIMARY KEY (seconds, instrument, start)
) WITHOUT ROWID;

-- The newest tick that moved the price of each instrument, in the order of the stream.
CREATE TABLE newest (instrument INTEGER PRIMARY KEY, time INTEGER NOT NULL, id INTEGER NOT NULL);

-- How far the recorder has come; `ticks` is the last `id` given, `pruned` counts those removed by retention.
CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1), stream TEXT NOT NULL, sequence INTEGER NOT NULL, epoch INTEGER NOT NULL,
    number INTEGER NOT NULL, clock INTEGER NOT NULL, ticks INTEGER NOT NULL, pruned INTEGER NOT NULL
);
INSERT INTO position VALUES (1, '', 0, 0, 0, 0, 0, 0);

-- The highest vendor number of each source and lane ("XAU-USD/quote").
CREATE TABLE marks (
    source TEXT NOT NULL, lane TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (source, lane)
) WITHOUT ROWID;
CREATE TABLE refusals (
    source TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (source, reason)
) WITHOUT ROWID;
CREATE TABLE finished (source TEXT PRIMARY KEY, lines INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tries (sequence INTEGER PRIMARY KEY, count INTEGER NOT NULL);
"""

# 15m candles are built from the 5m ones. Their sums move to the first open by the algebra of ladder.merge; % takes the
# sign of the time in SQLite, so times before 1970 need it twice.
SECOND = """
-- `filled`: 0 for a bar that was given as it is, on any rung. Of a 1m candle also the id of the source whose `fill`
-- made it; NULL if the recorder did, or added to it.
ALTER TABLE candles ADD COLUMN filled INTEGER;

-- The rung of 900 seconds.
INSERT INTO candles
SELECT 900, instrument, at, first, max(high), min(low), last, sum(volume), sum(count),
    sum(sum + count * (open - first)),
    sum(sum_squares + (open - first) * (2 * sum + count * (open - first))), NULL
FROM (
    SELECT *, first_value(open) OVER parts AS first, last_value(close) OVER parts AS last
    FROM (
        SELECT *, start - (start % 900000000 + 900000000) % 900000000 AS at FROM candles WHERE seconds = 300
    )
    WINDOW parts AS (
        PARTITION BY instrument, at ORDER BY start ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
)
GROUP BY instrument, at;
"""

MIGRATIONS = (FIRST, SECOND)
"""The nth takes a file from user_version n to n + 1."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Each step is one transaction, so a death in between leaves a whole version; of several programs that open an old
    file one takes the step."""
    while (version := _version(connection, path)) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection, path) == version:
            for statement in statements(MIGRATIONS[version]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise HistoryTooNew(
            f"the history {path} has version {version}, this tocsin knows up to {len(MIGRATIONS)}: "
            "start the newer tocsin again, or give this one another data folder"
        )
    return int(version)


def statements(script: str) -> Iterator[str]:
    """Each ends at the end of a line. (executescript would commit before it begins.)"""
    lines: list[str] = []
    for line in script.splitlines():
        lines.append(line)
        if sqlite3.complete_statement("\n".join(lines)):
            yield "\n".join(lines)
            lines = []
