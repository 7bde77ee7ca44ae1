"""The alerts that say nothing for a while, as the engine remembers them: until when, and what lies beneath. Pure."""

from collections.abc import Iterator

import msgspec

FOREVER = 1 << 62
"""Of a silence that ends only when somebody says so."""


class Silence(msgspec.Struct, frozen=True, gc=False):
    """`until` it says nothing; if that was a mute, a snooze may go on beneath it until `then`."""

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

    def __iter__(self) -> Iterator[int]:
        return iter(self._silent)

    def put(self, alert_id: int, until: int | None, then: int = 0) -> None:
        """None: until somebody says so."""
        end = FOREVER if until is None else until
        self._silent[alert_id] = Silence(end, then)
        self.next_end = min(self.next_end, end)

    def drop(self, alert_id: int) -> None:
        self._silent.pop(alert_id, None)

    def get(self, alert_id: int) -> Silence | None:
        return self._silent.get(alert_id)

    def ended(self, clock: int) -> list[tuple[int, int]]:
        """Those whose silence is over by then, taken out; and until when each is snoozed nevertheless, or 0."""
        if clock < self.next_end:
            return []
        over = [(alert_id, silence) for alert_id, silence in self._silent.items() if silence.until <= clock]
        for alert_id, _ in over:
            del self._silent[alert_id]
        self.next_end = min((silence.until for silence in self._silent.values()), default=FOREVER)
        return [(alert_id, silence.then if silence.then > clock else 0) for alert_id, silence in over]
