"""The alerts that say nothing for a while, as the engine remembers them: until when, and what lies beneath. Pure."""

import msgspec

from hub.rules.levels import Level

FOREVER = 2**62
"""Of a silence that ends only when somebody says so."""


class Silence(msgspec.Struct, frozen=True, gc=False):
    """`until` it says nothing; if that was a mute, a snooze may go on beneath it until `then`."""

    level: Level
    until: int
    then: int = 0


class Silences:
    """The silent alerts by number."""

    def __init__(self) -> None:
        self._silent: dict[int, Silence] = {}
        self.next_end = FOREVER  # may be early: then a look finds nothing

    def __len__(self) -> int:
        return len(self._silent)

    def __contains__(self, alert_id: int) -> bool:
        return alert_id in self._silent

    def put(self, level: Level, until: int, then: int = 0) -> None:
        level.up_armed = level.down_armed = None
        self._silent[level.id] = Silence(level, until, then)
        self.next_end = min(self.next_end, until)

    def drop(self, alert_id: int) -> Level | None:
        silence = self._silent.pop(alert_id, None)
        return silence.level if silence else None

    def get(self, alert_id: int) -> Silence | None:
        return self._silent.get(alert_id)

    def ended(self, clock: int) -> list[tuple[Level, int]]:
        """Those whose silence is over by then, taken out; and until when each is snoozed nevertheless, or 0."""
        if clock < self.next_end:
            return []
        over = [silence for silence in self._silent.values() if silence.until <= clock]
        for silence in over:
            del self._silent[silence.level.id]
        self.next_end = min((silence.until for silence in self._silent.values()), default=FOREVER)
        return [(silence.level, silence.then if silence.then > clock else 0) for silence in over]
