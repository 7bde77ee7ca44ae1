"""`tocsin replay` whose parts come back at once each time they die: for hundreds of kills in a few minutes.

    python -m tests.quick_replay '{"files": ["…"], "data": …}'

The keys are those of hub.replay.asked.Asked.
"""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

from hub import replay
from hub.replay.asked import Asked
from hub.supervise import FIRST_RETRY_S, Supervisor


def at_once(_failures: int, _chance: float) -> float:
    return FIRST_RETRY_S


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    asked = Asked(**{**told, "data": Path(told["data"])})
    sys.exit(asyncio.run(replay.main(asked, partial(Supervisor, back_off=at_once))))
