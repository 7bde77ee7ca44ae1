"""What a replay did, from its stores, and how it is printed. Depends on hub.history and hub.ledger."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.config import Config
from hub.evidence import moment
from hub.history import open_history
from hub.ledger import open_ledger
from hub.ledger import tables as t
from hub.model import SECOND_US


async def summary(config: Config, feeds: Sequence[Mapping[str, Any]], elapsed_s: float) -> dict[str, Any]:
    """From the stores, for these recordings."""
    recorded, refused = 0, Counter[str]()
    async with open_history(config) as history, open_ledger(config) as ledger:
        refusals = await history.refusals()
        for feed in feeds:
            recorded += await history.tick_count(source=feed["source"])
            refused.update(refusals.get(feed["source"], {}))
        triggers = await ledger.read(_triggers)
        sent, messages, given_up = await ledger.read(_sent)
    return {
        "ticks_read": sum(feed["lines"] for feed in feeds),
        "ticks_recorded": recorded,
        "refused": dict(sorted(refused.items())),
        "clocks": [said for feed in feeds for said in feed["clock"]],
        "triggers": triggers,
        "notifications_sent": sent,
        "messages_sent": messages,
        "notifications_given_up": given_up,
        "elapsed_s": round(elapsed_s, 3),
        "ticks_per_s": round(recorded / elapsed_s) if elapsed_s else 0,
    }


def _triggers(connection: sa.Connection) -> list[dict[str, Any]]:
    query = (
        sa.select(t.triggers, t.alerts.c.text)
        .join(t.alerts, t.alerts.c.id == t.triggers.c.alert_id)
        .order_by(t.triggers.c.sequence, t.triggers.c.id)
    )
    return [_trigger(row) for row in connection.execute(query)]


def _trigger(row: Any) -> dict[str, Any]:
    at = row.venue_time if row.venue_time is not None else row.received_at
    before = None if row.before_price is None else {"price": row.before_price, "time_us": row.before_time}
    return {
        "alert": row.text,
        "alert_id": row.alert_id,
        "generation": row.generation,
        "direction": row.direction,
        "level": row.level,
        "tick_before": before,
        "tick": {"price": row.price, "time_us": at},
        "venue_time": f"{moment(at).replace(' ', 'T')[:-4]}.{at % SECOND_US:06d}Z",
        "source": row.source,
        "late": bool(row.late),
    }


def _sent(connection: sa.Connection) -> tuple[int, int, int]:
    n = t.notifications.c
    sent = connection.execute(sa.select(sa.func.count()).where(n.state == "sent")).scalar_one()
    messages = connection.execute(
        sa.select(sa.func.count(sa.distinct(n.message_id))).where(n.state == "sent")
    ).scalar_one()
    dead = connection.execute(sa.select(sa.func.count()).where(n.state == "dead")).scalar_one()
    return int(sent), int(messages), int(dead)


def show(summary: Mapping[str, Any], *, as_json: bool, folder: Path | None) -> None:
    """`folder`: the one that is kept."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False)
    if summary["triggers"]:
        table = Table("venue time (UTC)", "alert", "tick before", "tick that crossed", box=None, pad_edge=False)
        for each in summary["triggers"]:
            before = f"{each['tick_before']['price']:,.4f}" if each["tick_before"] else "-"
            table.add_row(
                each["venue_time"][:-4].replace("T", " "), each["alert"], before, f"{each['tick']['price']:,.4f}"
            )
        out.print(table)
    refused = ", ".join(f"{count:,} {reason}" for reason, count in summary["refused"].items()) or "none"
    out.print(f"ticks: {summary['ticks_read']:,} read, {summary['ticks_recorded']:,} recorded, refused: {refused}")
    given_up = f", {summary['notifications_given_up']} given up" if summary["notifications_given_up"] else ""
    out.print(
        f"triggers: {len(summary['triggers']):,}; notifications: {summary['notifications_sent']:,} sent"
        f" in {summary['messages_sent']:,} messages{given_up}"
    )
    out.print(f"{summary['elapsed_s']:.2f} s, {summary['ticks_per_s']:,} ticks/s")
    for said in summary["clocks"]:
        out.print(said, markup=False)
    if folder is not None:
        out.print(f"ask it: tocsin ask --data {folder} alerts all")
