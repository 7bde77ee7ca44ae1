"""Instruments that have no price in open hours: their owners hear once that their alerts are blind.

An instrument that is stale for GRACE_US more is told, so that a hub that was just started, or a night in which little
is traded, worries nobody (gold is silent for two minutes now and then). What happened meanwhile is found out once a
price is back (hub.recovery), also where nothing was told. No input, no output: what is to be written waits in the
board's batch.
"""

from typing import TYPE_CHECKING

import msgspec

from hub.engine.batch import Notice
from hub.evidence import moment
from hub.model import SECOND_US
from hub.rules.roots import Root

if TYPE_CHECKING:
    from hub.engine.board import Board

GRACE_US = 120 * SECOND_US
SHOWN = 10
NEVER = 1 << 62


class Blind(msgspec.Struct):
    since: int
    tell_at: int  # the stream's clock; NEVER: its owners know
    owners: set[int] = set()  # who will hear when it is back


class Blindness:
    def __init__(self, board: "Board") -> None:
        self._board = board
        self._blind: dict[str, Blind] = {}

    @property
    def due(self) -> int:
        return min((blind.tell_at for blind in self._blind.values()), default=NEVER)

    def recall(self, instrument: str, since: int, owner_id: int, *, told: bool, clock: int) -> None:
        """As it was committed, of one of its owners after the other."""
        blind = self._blind.setdefault(instrument, Blind(since, NEVER if told else clock + GRACE_US))
        blind.owners.add(owner_id)

    def absorb(self, other: "Blindness") -> None:
        """Of a board that stands at the same place: whoever has not heard yet hears."""
        for instrument, blind in other._blind.items():
            mine = self._blind.setdefault(instrument, blind)
            mine.tell_at = min(mine.tell_at, blind.tell_at)
            mine.owners |= blind.owners

    def begins(self, root: Root, since: int) -> None:
        instrument, board = root.instrument.id, self._board
        if instrument in self._blind:
            return
        owners = {board.standing[alert_id].owner_id for alert_id in board.alerts_on(root)}
        self._blind[instrument] = Blind(since, board.clock + GRACE_US, owners)
        if owners:
            board.batch.gaps_begun.append((instrument, since, tuple(sorted(owners))))

    def ends(self, instrument: str, until: int) -> None:
        blind = self._blind.pop(instrument, None)
        if blind is not None:
            self._board.batch.gaps_ended.append((instrument, blind.since, until))
            self._board.batch.urgent = True

    def tell(self, clock: int) -> None:
        """What is due by then."""
        for instrument, blind in self._blind.items():
            if blind.tell_at <= clock:
                blind.tell_at = NEVER
                self._tell(self._board.graph.root(instrument), blind)

    def _tell(self, root: Root, blind: Blind) -> None:
        """Also who has set an alert on it since it fell silent."""
        board, instrument, since = self._board, root.instrument, blind.since
        by_owner: dict[int, list[int]] = {}
        for alert_id in sorted(board.alerts_on(root)):
            by_owner.setdefault(board.standing[alert_id].owner_id, []).append(alert_id)
        if late := by_owner.keys() - blind.owners:
            board.batch.gaps_begun.append((instrument.id, since, tuple(sorted(late))))
            blind.owners |= late
        if not by_owner:
            return
        when = moment(since, board.clock)
        for owner_id, alert_ids in by_owner.items():
            board.batch.notices.append(
                Notice(
                    owner_id=owner_id,
                    key=f"blind:{instrument.id}:{since}",
                    title=f"No price of {instrument.name} since {when} UTC: {_blind(len(alert_ids))}",
                    text=f"{_listed(alert_ids)}: without a price nothing can ring.\n"
                    "You hear when it is back, and whether a level was crossed meanwhile.",
                    urgent=any(board.maker.spec_of(board.standing[each]).urgent for each in alert_ids[:SHOWN]),
                )
            )
            for alert_id in alert_ids:
                board.tell(alert_id, f"blind: no price of {instrument.name} since {when} UTC")
        told = [alert_id for alert_ids in by_owner.values() for alert_id in alert_ids]
        board.batch.gaps_told.append((instrument.id, since, tuple(told)))
        board.batch.urgent = True


def _blind(count: int) -> str:
    return "your alert on it is blind" if count == 1 else f"your {count} alerts on it are blind"


def _listed(alert_ids: list[int]) -> str:
    shown = ", ".join(map(str, alert_ids[:SHOWN]))
    more = f" and {len(alert_ids) - SHOWN} more" if len(alert_ids) > SHOWN else ""
    return f"alert{'s' if len(alert_ids) > 1 else ''} {shown}{more}"
