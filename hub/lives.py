"""The lives of alerts do not grow for ever: now and then all but the newest lines of each are removed.

Of several hubs on one ledger each may do it; nothing is lost by that. Depends on hub.ledger.
"""

import asyncio
from functools import partial

import structlog

from hub.ledger import Ledger, LedgerTrouble, lives

SHORTEN_EVERY_S = 900.0
log = structlog.get_logger("lives")


async def keep_short(ledger: Ledger) -> None:
    """For ever."""
    while True:
        try:
            removed = await shorten_all(ledger)
        except LedgerTrouble as error:
            log.warning("old lines of alerts cannot be removed now", reason=str(error))
        else:
            if removed:
                log.info("old lines of alerts were removed", lines=removed)
        await asyncio.sleep(SHORTEN_EVERY_S)


async def shorten_all(ledger: Ledger, lines: int = lives.LINES) -> int:
    """How many lines were removed."""
    removed, after = 0, 0
    while alert_ids := await ledger.read(partial(lives.longer, after=after, lines=lines)):
        for alert_id in alert_ids:
            while count := await ledger.write(partial(lives.shorten, alert_id=alert_id, lines=lines)):
                removed += count
        after = alert_ids[-1]
    return removed
