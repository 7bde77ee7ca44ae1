"""Alerts whose rule fails: an exception in one alert, or in a series, stops nothing else.

What failed is paused, its owner is told, and the operator finds the trace in the log; the alerts beside it have not
noticed. An alert whose line cannot be read any more is left out, and told too. Depends on the board's roster.
"""

from typing import TYPE_CHECKING

import structlog

from hub.engine.batch import Notice
from hub.ledger.alerts import AlertRow, StateChange
from hub.model import State
from hub.rules.nodes import Node

if TYPE_CHECKING:
    from hub.engine.roster import Roster

log = structlog.get_logger("engine")


class Failing:
    def __init__(self, roster: "Roster") -> None:
        self.count = 0
        self._roster = roster

    def alert(self, alert_id: int, error: Exception) -> None:
        """Whatever its gates or its course raised."""
        roster, standing = self._roster, self._roster.standing.get(alert_id)
        if standing is None:
            return
        self.count += 1
        log.error("an alert failed and is paused", alert=alert_id, text=standing.text, exc_info=error)
        roster.tell(alert_id, f"paused: its rule failed ({type(error).__name__})")
        roster.forget(alert_id)
        roster.batch.changed[alert_id] = StateChange(
            id=alert_id,
            state=State.PAUSED.value,
            generation=standing.generation,
            up_armed=None,
            down_armed=None,
            last_fired_at=None,
        )
        roster.batch.notices.append(
            Notice(
                owner_id=standing.owner_id,
                key=f"failed:{alert_id}:{roster.clock}",
                title=f"Alert {alert_id} is paused: its rule failed",
                text=f"{standing.text}\nThat is an error of the hub ({type(error).__name__}), which was logged."
                f" Your other alerts go on. resume {alert_id} tries again.",
                alert_id=alert_id,
            )
        )

    def node(self, node: Node, error: Exception) -> None:
        """A series that cannot be computed: all alerts that stand on it."""
        roster = self._roster
        log.error("a series failed", series=node.key, exc_info=error)
        for alert_id, standing in list(roster.standing.items()):
            if any(_stands_on(each, node) for each in standing.nodes):
                self.alert(alert_id, error)
        roster.graph.drop(node)

    def unreadable(self, row: AlertRow, reason: str) -> None:
        """A line that was good once: its instrument has left the configuration, say."""
        self.count += 1
        log.error("an alert cannot be read", alert=row.id, text=row.text, reason=reason)
        self._roster.batch.notices.append(
            Notice(
                owner_id=row.owner_id,
                key=f"unreadable:{row.id}",
                title=f"Alert {row.id} watches nothing: its line is not understood any more",
                text=f"{row.text}\n{reason}\nedit {row.id} gives it other words, delete {row.id} takes it away.",
            )
        )


def _stands_on(node: Node, failed: Node) -> bool:
    return node is failed or any(_stands_on(each, failed) for each in node.inputs)
