"""Times in which an instrument had no price in open hours, of each owner who has alerts on it.

The engine opens and closes them in its commits; hub.recovery looks at those that are closed, and tells what happened
meanwhile. Functions of a connection; `since` and `until` are the stream's time of the prices on either side.
"""

from collections.abc import Collection, Iterable, Sequence

import msgspec
import sqlalchemy as sa

from hub.ledger.alerts import GROUPS
from hub.ledger.tables import alerts, gaps


class Gap(msgspec.Struct, frozen=True):
    id: int
    owner_id: int
    instrument: str
    since: int
    until: int | None
    told: bool  # its owner has heard that it is blind


def begin(connection: sa.Connection, instrument: str, since: int, owner_ids: Iterable[int]) -> None:
    rows = [{"instrument": instrument, "since": since, "owner_id": owner_id} for owner_id in owner_ids]
    if rows:
        connection.execute(gaps.insert(), rows)


def tell(connection: sa.Connection, instrument: str, since: int, alert_ids: Collection[int]) -> None:
    """Owners have heard of it, and their alerts show it."""
    connection.execute(gaps.update().where(_the(instrument, since)).values(told=True))
    blind = alerts.update().where(alerts.c.id == sa.bindparam("alert")).values(blind_since=since)
    if rows := [{"alert": alert_id} for alert_id in alert_ids]:
        connection.execute(blind, rows)


def end(connection: sa.Connection, instrument: str, since: int, until: int) -> None:
    """Alerts on it see again. Those that are listed under another instrument do once all are back that have been silent
    since that very moment: what came in one message fell silent in one."""
    connection.execute(gaps.update().where(_the(instrument, since)).values(until=until))
    others = sa.select(gaps.c.id).where(gaps.c.since == since, gaps.c.until.is_(None)).exists()
    blind = alerts.update().where(alerts.c.blind_since == since)
    connection.execute(blind.where(sa.or_(alerts.c.instrument == instrument, ~others)).values(blind_since=None))


def open_of(connection: sa.Connection, groups: Collection[str]) -> list[Gap]:
    """Those that go on, of the owners of these groups."""
    query = sa.select(gaps).where(gaps.c.until.is_(None))
    numbers = [int(name.rpartition("-")[2]) for name in groups if "-" in name]
    if numbers:
        query = query.where((gaps.c.owner_id % GROUPS).in_(numbers))
    return [_gap(row) for row in connection.execute(query.order_by(gaps.c.id))]


def to_look_at(connection: sa.Connection, most: int) -> list[Gap]:
    """Those that are over, and of which nobody has told yet what happened in them, the oldest first."""
    query = sa.select(gaps).where(gaps.c.until.is_not(None), gaps.c.looked_at.is_(None)).order_by(gaps.c.id)
    return [_gap(row) for row in connection.execute(query.limit(most))]


def looked_at(connection: sa.Connection, gap_ids: Sequence[int], now: int) -> bool:
    """False where somebody else was faster: then nothing is told."""
    mine = gaps.update().where(gaps.c.id.in_(gap_ids), gaps.c.looked_at.is_(None)).values(looked_at=now)
    return connection.execute(mine).rowcount == len(gap_ids)


def forget(connection: sa.Connection, before: int) -> None:
    """What was looked at long ago."""
    connection.execute(gaps.delete().where(gaps.c.looked_at < before))


def _the(instrument: str, since: int) -> sa.ColumnElement[bool]:
    return sa.and_(gaps.c.instrument == instrument, gaps.c.since == since, gaps.c.until.is_(None))


def _gap(row: sa.Row[tuple[object, ...]]) -> Gap:
    return Gap(row.id, row.owner_id, row.instrument, row.since, row.until, bool(row.told))
