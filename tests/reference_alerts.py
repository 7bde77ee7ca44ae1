"""Whole alerts of the reference: gates, how often they ring, and when they end."""

from collections.abc import Sequence

from hub.rules.spec import AlertSpec
from tests.reference_gates import Agreed, Fired, Gate, Scale, Values, gate_of_all, gates_of

STORM_RINGS, STORM_US = 15, 180_000_000
"""More rings than that in such a time pause an alert for good; 0: nothing does."""


class Alert:
    """One alert, looked at on every moment that anything happens."""

    def __init__(self, spec: AlertSpec, exact: Sequence[bool], percent: float, storm_rings: int = STORM_RINGS) -> None:
        self.spec, self.percent, self.storm_rings = spec, percent, storm_rings
        self.scales = [Scale(one) for one in exact]
        self.ended = self.paused = False
        self.rang: list[int] = []
        self.started: int | None = None  # when the first of "then" rang
        self.gates: list[Gate] = []  # that ring
        self.first: list[Gate] = []  # of "then"
        if spec.join == "and":
            self.gates = [gate_of_all(spec, self.scales, percent)]
        elif spec.join == "then":
            self.first = gates_of(spec, 0, self.scales[0], percent)
        else:
            self.gates = [gate for index in range(len(exact)) for gate in self._gates(index)]

    def _gates(self, index: int) -> list[Gate]:
        return gates_of(self.spec, index, self.scales[index], self.percent)

    @property
    def due(self) -> int | None:
        return None if self.ended else min((gate.due for gate in self.gates if gate.due is not None), default=None)

    @property
    def close(self) -> bool:
        return any(scale.close for scale in self.scales)

    def look(self, values: Values, now: int, agreed: Agreed) -> Fired | None:
        """At most one ring."""
        spec = self.spec
        if not self.ended and spec.until_us is not None and now >= spec.until_us:
            self.ended = True
        if self.ended:
            return None
        if self.started is not None and now >= self.started + spec.within_us:
            self.started, self.gates = None, []
        every = [gate.look(values, now, agreed) for gate in self.gates]
        fired = next((one for one in every if one), None)
        if spec.join == "then":
            self._chain(values, now, agreed, fired is not None)
        if fired is None or (self.rang and now < self.rang[-1] + spec.at_most_us):
            return None
        self.rang.append(now)
        lately = [at for at in self.rang if at >= now - STORM_US]
        once = spec.repeat == "once" and not any(clause.condition == "every" for clause in spec.clauses)
        self.paused = bool(self.storm_rings) and len(lately) > self.storm_rings
        self.ended = once or self.paused
        return fired

    def _chain(self, values: Values, now: int, agreed: Agreed, rang: bool) -> None:
        """The second's side is set when the first rings; once it has rung, it waits for the first again."""
        first = [gate.look(values, now, agreed) for gate in self.first]
        if rang:
            self.started, self.gates = None, []
        elif any(first):
            self.started, self.gates = now, self._gates(1)
            for gate in self.gates:
                gate.look(values, now, agreed)
