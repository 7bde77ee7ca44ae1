"""What a hub that runs on this configuration says of its feeds' clocks: only ticks tell whether those are right.

Nothing where none runs, or it does not answer. Depends on hub.bus and hub.talk, imported here only.
"""

from collections.abc import AsyncIterator

import msgspec

from hub.check.finding import LOOK_S, Finding
from hub.config import Config
from hub.plugin import TryLater

ANSWER_S = 0.5


async def look(config: Config) -> AsyncIterator[Finding]:
    from hub import bus as names
    from hub.talk import address_of

    address = address_of(config)
    if address is None:
        return
    try:
        async with names.connect(address.bus_url, address.bus_token or None, "tocsin-check", patience_s=LOOK_S) as bus:
            answers = [msgspec.json.decode(raw) for raw in await bus.scatter(names.STATUS, b"", ANSWER_S)]
    except TryLater:  # the bus has its own line
        return
    for feed in (feed for one in answers if one["service"] == "ingest" for feed in one["feeds"]):
        for said in feed.get("clock", ()):
            fact, _, cure = said.partition(": ")
            yield Finding(f"clock of {feed['name']}", fact, cure)
