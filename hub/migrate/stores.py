"""What history and ledger are made of, table by table: the SELECT in SQLite and where it goes in PostgreSQL.

History's tables have other names there, its candles a table a rung, and the newest tick of each instrument is kept
whole. Depends on hub.history's schemas and hub.ledger's tables.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa

from hub.history.ladder import RUNGS
from hub.ledger.tables import metadata
from hub.migrate.copying import Row, Table

TICK = (
    "instrument", "time", "id", "lag", "kind", "price", "bid", "ask", "volume", "source", "number", "verdict",
)  # fmt: skip
CANDLE = (
    "instrument", "start", "open", "high", "low", "close", "volume", "count", "sum", "sum_squares", "filled",
)  # fmt: skip
POSITION = ("stream", "sequence", "epoch", "number", "clock", "ticks", "pruned")
"""Of the recorder; one row, which is there from the start."""

HELD: dict[str, dict[str, Any]] = {
    "leases": {"until": 0},
    "notifications": {"claimed_by": "", "claimed_until": 0},
}
"""What a hub holds while it lives. None runs while its ledger is copied, so nobody has to wait until it runs out."""


def history_tables() -> list[Table]:
    """All but the position. Ticks come by instrument and time, as SQLite has them and as PostgreSQL's index wants."""
    tick_of_newest = ", ".join(f"t.{name}" for name in TICK)
    return [
        _alike("instruments", ("id", "name"), identity="id"),
        _alike("sources", ("id", "name", "nature"), identity="id"),
        _alike("ticks", TICK),
        Table(
            "newest",
            TICK,
            f"SELECT {tick_of_newest} FROM newest n CROSS JOIN ticks t"
            " ON t.instrument = n.instrument AND t.time = n.time AND t.id = n.id",
        ),
        *(
            Table(f"candles_{rung}", CANDLE, f"SELECT {_listed(CANDLE)} FROM candles WHERE seconds = {seconds}")
            for rung, seconds in RUNGS.items()
        ),
        _alike("history_marks", ("source", "lane", "number"), "marks"),
        _alike("history_refusals", ("source", "reason", "count"), "refusals"),
        _alike("history_finished", ("source", "lines"), "finished"),
        _alike("history_tries", ("sequence", "count"), "tries"),
    ]


def ledger_tables() -> list[Table]:
    """In the order of their references."""
    return [_ledger_table(table) for table in metadata.sorted_tables]


def _ledger_table(table: sa.Table) -> Table:
    columns = tuple(column.name for column in table.columns)
    types = {sa.Boolean: bool, sa.Float: float}
    typed = {
        at: make
        for at, column in enumerate(table.columns)
        for kind, make in types.items()
        if isinstance(column.type, kind)
    }
    held = {columns.index(name): nothing for name, nothing in HELD.get(table.name, {}).items()}
    convert = partial(_converted, typed, held) if typed or held else None
    return _alike(table.name, columns, convert=convert, identity="id" if "id" in columns else "")


def _converted(typed: Mapping[int, Callable[[Any], Any]], held: Mapping[int, Any], row: Row) -> Row:
    values = list(row)
    for at, make in typed.items():
        values[at] = None if values[at] is None else make(values[at])
    for at, nothing in held.items():
        values[at] = nothing
    return values


def _alike(
    name: str,
    columns: tuple[str, ...],
    there: str = "",
    *,
    convert: Callable[[Row], Row] | None = None,
    identity: str = "",
) -> Table:
    return Table(name, columns, f'SELECT {_listed(columns)} FROM "{there or name}"', convert, identity)


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
