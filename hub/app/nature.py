"""What sort of prices a data folder holds: live ones, a simulated market, or recordings; never two of them.

Depends on the ledger, where the sort is kept.
"""

from pathlib import Path

import sqlalchemy as sa

from hub import load
from hub.config import Config
from hub.ledger import Ledger
from hub.ledger import tables as t
from hub.model import Nature
from hub.plugin import GiveUp


def recording(config: Config) -> str:
    """The names of the files that are played, if any are."""
    played = [str((feed.settings or {}).get("file", "")) for feed in config.feeds if feed.module == "replay"]
    return ", ".join(Path(file).name for file in played)


async def stored_nature(ledger: Ledger) -> str:
    return await ledger.read(_read_nature) or Nature.LIVE.value


def _read_nature(connection: sa.Connection) -> str | None:
    return connection.execute(sa.select(t.facts.c.value).where(t.facts.c.name == "nature")).scalar()


async def settled_nature(config: Config, ledger: Ledger) -> str:
    """A data folder holds real prices, a simulated market or recordings: never two of them, or old alerts of one
    would ring on prices of the other."""
    natures = {load.feed(feed.module).NATURE for feed in config.feeds if feed.enabled}
    wanted = next((n for n in (Nature.RECORDING, Nature.SIMULATED) if n in natures), Nature.LIVE).value
    if wanted != Nature.LIVE.value and len(natures) > 1:
        raise GiveUp(
            f"a {wanted} source cannot run beside others ({', '.join(sorted(natures))}):"
            " give it a data folder and a configuration of its own"
        )
    if not natures:
        return await stored_nature(ledger)

    def settle(connection: sa.Connection) -> str | None:
        found = _read_nature(connection)
        if found is None:
            connection.execute(t.facts.insert().values(name="nature", value=wanted))
        return found

    found = await ledger.write(settle)
    if found not in (None, wanted):
        raise GiveUp(
            f"the data folder {config.folder} holds {found} prices, and this hub would add {wanted} ones:"
            " choose another folder with --data or [hub] data"
        )
    return wanted
