"""What the log says of the stream's events. Depends on hub.arbiter and hub.frame."""

import structlog

from hub.arbiter import Happened
from hub.frame import EventKind

log = structlog.get_logger("ingest")


def log_event(happened: Happened, instrument: str, *, quietly: bool) -> None:
    """What a person wants to know; in a recording, whose gaps are long past, it is detail."""
    say = log.debug if quietly else log.info
    warn = log.debug if quietly else log.warning
    match happened.kind:
        case EventKind.TAKEOVER if happened.text:
            warn("another source speaks", instrument=instrument, source=happened.source, before=happened.text)
        case EventKind.STALE:
            warn("an instrument is blind", instrument=instrument)
        case EventKind.FRESH:
            say("an instrument is seen again", instrument=instrument)
        case EventKind.OPENED | EventKind.CLOSED:
            say("a market turned", instrument=instrument, state=happened.kind.name.lower())
        case _:
            log.debug("event", kind=happened.kind.name, instrument=instrument, source=happened.source)
