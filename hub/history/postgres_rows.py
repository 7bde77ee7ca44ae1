"""The statements of history in PostgreSQL. Many rows go as one array for each column: a
statement a row would be a trip to the server a row. Depends on hub.model and hub.history's
columns and ladder.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from hub.history.columns import Batch
from hub.history.ladder import RUNGS

TICK_COLUMNS = (
    "instrument", "time", "id", "lag", "kind", "price", "bid", "ask", "volume", "source", "number", "verdict",
)  # fmt: skip
TICK_TYPES = ("int", "int8", "int8", "int8", "int2", *["float8"] * 4, "int", "int8", "int2")
CANDLE_COLUMNS = ("start", "open", "high", "low", "close", "volume", "count", "sum", "sum_squares")
CANDLE_TYPES = ("int8", *["float8"] * 5, "int8", "float8", "float8")
BAR = 0  # in `filled`


def records(batch: Batch, first_id: int) -> tuple[Sequence[Any], ...]:
    """The batch as TICK_COLUMNS."""
    return (
        batch.instrument, batch.time, range(first_id, first_id + len(batch.price)), batch.lag, batch.kind, batch.price,
        batch.bid, batch.ask, batch.volume, batch.source, batch.number, batch.verdict,
    )  # fmt: skip


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """One list for each column, also of no rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def _given(types: Sequence[str]) -> str:
    return "unnest(" + ", ".join(f"${at}::{one}[]" for at, one in enumerate(types, start=1)) + ")"


def _taken(names: Sequence[str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names)


LOCK_POSITION = "SELECT *, pg_current_xact_id()::text AS transaction FROM history_position FOR UPDATE"
READ_PLACE = "SELECT stream, sequence, epoch, number FROM history_position"
MOVE_POSITION = """
WITH gone AS (DELETE FROM history_tries WHERE sequence <= $2)
UPDATE history_position SET stream = $1, sequence = $2, epoch = $3, number = $4, clock = $5, ticks = $6,
    version = version + 1
"""
ADD_TICKS = "UPDATE history_position SET ticks = $1, version = version + 1"
ADD_PRUNED = "UPDATE history_position SET pruned = pruned + $1"

_CANDLE = ", ".join(CANDLE_COLUMNS)
_GIVEN_CANDLES = _given(("int", "int", *CANDLE_TYPES))


def _upsert(rung: str, filled: str) -> str:
    return (
        f"INSERT INTO candles_{rung} AS c (instrument, {_CANDLE}) SELECT instrument, {_CANDLE} FROM given"
        f" WHERE seconds = {RUNGS[rung]} ON CONFLICT (instrument, start) DO UPDATE SET {_taken(CANDLE_COLUMNS[1:])},"
        f" filled = {filled}"
    )


def _find(rung: str) -> str:
    """The range of starts leaves most chunks of a hypertable out."""
    return (
        f"SELECT {RUNGS[rung]} AS seconds, instrument, {_CANDLE} FROM given JOIN candles_{rung} c"
        f" USING (instrument, start) WHERE given.seconds = {RUNGS[rung]} AND c.start BETWEEN $4 AND $5"
    )


# All rungs in one trip. What the recorder adds to is the recorder's; a bar that was given stays one.
_KEPT = f"CASE c.filled WHEN {BAR} THEN {BAR} END"
_UPSERTS = ", ".join(f"into_{rung} AS ({_upsert(rung, _KEPT)})" for rung in RUNGS)
UPSERT_CANDLES = f"""
WITH given AS (SELECT * FROM {_GIVEN_CANDLES} AS g (seconds, instrument, {_CANDLE})), {_UPSERTS} SELECT
"""
_FOUND = " UNION ALL ".join(map(_find, RUNGS))
FIND_CANDLES = f"""
WITH given AS (SELECT * FROM {_given(("int", "int", "int8"))} AS g (seconds, instrument, start)) {_FOUND}
"""


def put_candles(rung: str) -> str:
    """Candles that were filled, in the place of what was there."""
    return (
        f"INSERT INTO candles_{rung} (instrument, {_CANDLE}, filled) SELECT * FROM"
        f" {_given(('int', *CANDLE_TYPES, 'int'))} ON CONFLICT (instrument, start) DO UPDATE SET"
        f" {_taken((*CANDLE_COLUMNS[1:], 'filled'))}"
    )


def read_stored(rung: str) -> str:
    """For the writer: each with what `filled` says of it."""
    return (
        f"SELECT {_CANDLE}, filled FROM candles_{rung} WHERE instrument = $1 AND start >= $2 AND start < $3"
        " ORDER BY start"
    )


UPSERT_NEWEST = f"""
INSERT INTO newest ({", ".join(TICK_COLUMNS)}) SELECT * FROM {_given(TICK_TYPES)}
ON CONFLICT (instrument) DO UPDATE SET {_taken(TICK_COLUMNS[1:])}
"""
UPSERT_MARKS = f"""
INSERT INTO history_marks AS m SELECT * FROM {_given(("text", "text", "int8"))}
ON CONFLICT (source, lane) DO UPDATE SET number = greatest(m.number, excluded.number)
"""
ADD_REFUSALS = f"""
INSERT INTO history_refusals AS r SELECT * FROM {_given(("text", "text", "int8"))}
ON CONFLICT (source, reason) DO UPDATE SET count = r.count + excluded.count
"""
UPSERT_FINISHED = f"""
INSERT INTO history_finished SELECT * FROM {_given(("text", "int8"))}
ON CONFLICT (source) DO UPDATE SET lines = excluded.lines
"""
ADD_INSTRUMENT = "INSERT INTO instruments (name) VALUES ($1) RETURNING id"
SET_SOURCE = """
INSERT INTO sources (name, nature) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET nature = excluded.nature
RETURNING id
"""
TRY = """
INSERT INTO history_tries AS t VALUES ($1, 1) ON CONFLICT (sequence) DO UPDATE SET count = t.count + 1 RETURNING count
"""
# By a range of the index, without a join: on tables that were never analysed the planner takes one that is quadratic.
# What was removed still has its place in the index for a while, so each step begins where the last one ended.
PRUNE_EDGE = """
SELECT time, id FROM ticks WHERE instrument = $1 AND time >= $2 AND time < $3 ORDER BY time, id OFFSET $4 LIMIT 1
"""
PRUNE = """
DELETE FROM ticks WHERE instrument = $1 AND time >= $2 AND (time, id) < ($3, $4)
AND id <> coalesce((SELECT id FROM newest WHERE instrument = $1), 0)
"""

# -------------------------------------------------------------------------------------------------- reads

_TICK_FIELDS = "t.time, t.lag, t.kind, t.price, t.bid, t.ask, t.volume, s.name, t.number, t.verdict"
_OF_TICKS = "FROM ticks t JOIN sources s ON s.id = t.source WHERE t.instrument = (SELECT id FROM instruments"
READ_TICKS = f"SELECT {_TICK_FIELDS}, $1::text {_OF_TICKS} WHERE name = $1) AND t.time >= $2 AND t.time < $3"
SCAN_TICKS = f"""
SELECT {_TICK_FIELDS}, $1::text, t.id {_OF_TICKS} WHERE name = $1)
AND t.time >= $2 AND (t.time, t.id) > ($2, $3) AND t.time < $4 ORDER BY t.time, t.id LIMIT $5
"""
READ_NEWEST = f"""
SELECT {_TICK_FIELDS}, i.name FROM newest t JOIN sources s ON s.id = t.source JOIN instruments i ON i.id = t.instrument
"""
_OF = "WHERE instrument = (SELECT id FROM instruments WHERE name = $1)"
REACH = " UNION ALL ".join(
    f"SELECT '{name}', min({at}), max({at}) FROM {table} {_OF}"
    for name, table, at in (*((rung, f"candles_{rung}", "start") for rung in RUNGS), ("ticks", "ticks", "time"))
)


def read_candles(rung: str) -> str:
    return f"SELECT {_CANDLE} FROM candles_{rung} {_OF}"


def firsts(sought: Iterable[str]) -> str:
    """The start of the first candle of each rung in [from, $2); the times from which on follow as $3 and on."""
    return "SELECT " + ", ".join(
        f"(SELECT min(start) FROM candles_{rung} {_OF} AND start >= ${at} AND start < $2)"
        for at, rung in enumerate(sought, start=3)
    )
