"""How much of the life of an alert is kept: its newest lines. Functions of a connection, each a piece of the work, so
that the engine's commits come in between. Depends on hub.ledger.tables.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from hub.ledger.tables import alert_events

LINES = 1_000
"""Lines kept of each alert: days of one that rings all the time, years of any other."""
ALERTS_AT_ONCE = 100
LINES_AT_ONCE = 5_000


def longer(connection: sa.Connection, after: int, lines: int = LINES) -> Sequence[int]:
    """The numbers of some alerts that have more lines than that, from behind `after` on."""
    c = alert_events.c
    query = sa.select(c.alert_id).where(c.alert_id > after).group_by(c.alert_id).having(sa.func.count() > lines)
    return connection.scalars(query.order_by(c.alert_id).limit(ALERTS_AT_ONCE)).all()


def shorten(connection: sa.Connection, alert_id: int, lines: int = LINES, most: int = LINES_AT_ONCE) -> int:
    """Removes the oldest lines that are too many, `most` at once; how many that were."""
    c = alert_events.c
    mine = sa.select(c.id).where(c.alert_id == alert_id)
    newest_gone = connection.scalar(mine.order_by(c.id.desc()).offset(lines).limit(1))
    if newest_gone is None:
        return 0
    oldest = mine.where(c.id <= newest_gone).order_by(c.id).limit(most)
    return connection.execute(alert_events.delete().where(c.id.in_(oldest))).rowcount
