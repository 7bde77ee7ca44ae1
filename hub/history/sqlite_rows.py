"""The statements of history in SQLite, rows many at a time. Depends on sqlite3, hub.model
and hub.history's ladder.
"""

import sqlite3
from collections.abc import Iterable
from itertools import islice
from typing import Any

from hub.history.ladder import RUNGS

TICK = 12  # columns of a tick
CANDLE = 11  # without `filled`
INSERT_TICKS = "INSERT INTO ticks VALUES {rows}"
# What the recorder adds to is the recorder's; a bar that was given stays one.
UPSERT_CANDLES = """
INSERT INTO candles (seconds, instrument, start, open, high, low, close, volume, count, sum, sum_squares) VALUES {rows}
ON CONFLICT DO UPDATE SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
volume = excluded.volume, count = excluded.count, sum = excluded.sum, sum_squares = excluded.sum_squares,
filled = CASE filled WHEN 0 THEN 0 END
"""
FILL_CANDLES = "INSERT OR REPLACE INTO candles VALUES {rows}"
BAR = 0  # in `filled`
READ_PLACE = "SELECT stream, sequence, epoch, number FROM position"
UPSERT_NEWEST = "INSERT OR REPLACE INTO newest VALUES {rows}"
UPSERT_MARKS = (
    "INSERT INTO marks VALUES {rows} ON CONFLICT DO UPDATE SET number = excluded.number WHERE excluded.number > number"
)
ADD_REFUSALS = "INSERT INTO refusals VALUES {rows} ON CONFLICT DO UPDATE SET count = count + excluded.count"
UPSERT_FINISHED = "INSERT OR REPLACE INTO finished VALUES {rows}"

STEP_ROWS = 1024
"""Rows in one statement at most: 12,288 values, where SQLite takes 32,766. (Measured: 128 to 1024 rows a step are alike
in an idle process; in a busy one each step is a wait for the GIL.)"""


def insert(connection: sqlite3.Connection, statement: str, width: int, values: Iterable[Any]) -> None:
    """Rows of `width` values each, given flat, in as few steps as go: full statements, then halves of halves (so that
    nine statements in all are prepared and kept, whatever the count)."""
    rest = iter(values)
    size = STEP_ROWS
    while step := list(islice(rest, STEP_ROWS * width)):
        done = 0
        while done < len(step):
            while size * width > len(step) - done:
                size //= 2
            connection.execute(with_rows(statement, width, size), step[done : done + size * width])
            done += size * width


def with_rows(statement: str, width: int, rows: int) -> str:
    key = (statement, rows)
    if key not in _statements:
        row = f"({','.join('?' * width)})"
        _statements[key] = statement.replace("{rows}", ",".join([row] * rows))
    return _statements[key]


_statements: dict[tuple[str, int], str] = {}

TICK_FIELDS = """
t.time, t.lag, t.kind, t.price, t.bid, t.ask, t.volume, s.name, t.number, t.verdict, i.name
"""
FROM_TICKS = "FROM instruments i JOIN ticks t ON t.instrument = i.id JOIN sources s ON s.id = t.source"
READ_TICKS = f"SELECT {TICK_FIELDS} {FROM_TICKS} WHERE i.name = ? AND t.time >= ? AND t.time < ?"
SCAN_TICKS = f"""
SELECT t.id, {TICK_FIELDS} {FROM_TICKS}
WHERE i.name = ? AND (t.time, t.id) > (?, ?) AND t.time < ? ORDER BY t.time, t.id LIMIT ?
"""
# CROSS JOIN keeps SQLite to this order: it takes the small table for the large one and would read every tick.
READ_NEWEST = f"""
SELECT {TICK_FIELDS} FROM newest n CROSS JOIN ticks t ON t.instrument = n.instrument AND t.time = n.time AND t.id = n.id
JOIN instruments i ON i.id = n.instrument JOIN sources s ON s.id = t.source
"""
CANDLE_FIELDS = "start, open, high, low, close, volume, count, sum, sum_squares"
READ_CANDLES = f"""
SELECT {CANDLE_FIELDS} FROM candles
WHERE seconds = ? AND instrument = (SELECT id FROM instruments WHERE name = ?)
"""
REACH = f"""
WITH rungs (seconds) AS (VALUES {", ".join(f"({seconds})" for seconds in RUNGS.values())})
SELECT seconds,
    (SELECT min(start) FROM candles c WHERE c.seconds = r.seconds AND c.instrument = i.id),
    (SELECT max(start) FROM candles c WHERE c.seconds = r.seconds AND c.instrument = i.id)
FROM instruments i, rungs r WHERE i.name = ?1
UNION ALL
SELECT 0, (SELECT min(time) FROM ticks WHERE instrument = i.id), (SELECT max(time) FROM ticks WHERE instrument = i.id)
FROM instruments i WHERE i.name = ?1
"""
# The start of the first candle of a rung in [from, end), None where there is none, for each of (rung, from, end).
FIRSTS = """
WITH sought (seconds, since, until) AS (VALUES {rows})
SELECT seconds, since, (
    SELECT min(start) FROM candles c WHERE c.seconds = s.seconds AND c.instrument = i.id
    AND c.start >= s.since AND c.start < s.until
) FROM sought s, instruments i WHERE i.name = ?
"""
