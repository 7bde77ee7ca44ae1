"""The course of an alert whose condition takes more than one moment: parts that have to hold together, to last, to be
confirmed by several sources, or to follow one another. Pure.

Its parts are gates. Whatever moves one of them, `turn` looks at all of them at once and says what came of it; the board
calls it once for each tick that moved a part, and when `next_at` is reached on the stream's clock. A part of which it
is not known whether it holds (no value, a source that is stale, a closed market) ends a dwell and starts nothing; what
was armed or has fired stays so.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from hub.rules import gates
from hub.rules.gates import BEHIND, TRUE, Gate, Hit, Ladder, Level, Trail, Zone
from hub.rules.spec import AlertSpec, Clause, band_of

FIRED, ARMED, PENDING = 0, 1, 2
"""Sides of a way: waits behind its band; waits for its condition; its condition holds and has to last."""

Agree = Callable[[int], int]
"""How many sources' newest prices say that the part of that number holds."""


class What(StrEnum):
    """What happened to an alert."""

    RANG = "rang"
    HOLDING = "holding"  # the condition holds, and has to last or to be confirmed
    LET_GO = "let go"  # it held no longer before that
    REARMED = "armed again"
    FIRST = "first"  # of "then": the second has to come in time
    RAN_OUT = "ran out"  # it did not


class Turn(NamedTuple):
    what: What
    part: int  # that brought it
    hit: Hit | None = None


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a course, or of a gate that is more than a level, so that it goes on after a death."""

    parts: tuple[int | float | None, ...] = ()  # regions of zones, peaks of trails, anchors of ladders
    sides: tuple[int | None, ...] = ()
    since: tuple[int | None, ...] = ()
    stage: int = 0
    deadline: int | None = None
    above: tuple[bool, ...] = ()  # of zones that are ranges: whether the value was above before it came in


class Course(msgspec.Struct, gc=False):
    """`ways`: each is a set of parts that have to hold at once, and the alert rings by any of them. With `within_us`
    the first `stages` of them only open the time in which the others ring. Clock times are microseconds."""

    parts: tuple[Gate, ...]
    ways: tuple[tuple[int, ...], ...]
    hold_us: int = 0
    sources: int = 1
    within_us: int = 0
    firsts: int = 0
    sides: list[int | None] = []
    since: list[int | None] = []  # when each way began to hold
    stage: int = 0
    deadline: int | None = None
    planned: int | None = None  # the clock time at which it is turned without a tick

    def __post_init__(self) -> None:
        self.sides = self.sides or [None] * len(self.ways)
        self.since = self.since or [None] * len(self.ways)

    @property
    def known(self) -> bool:
        return None not in self.sides[: self.firsts or None]

    @property
    def holding_since(self) -> int | None:
        """Since when what has to last lasts."""
        return min((at for at in self.since if at is not None), default=None)

    @property
    def waits(self) -> bool:
        """Whether any way is armed: else it waits behind its band."""
        return self.stage > 0 or None in self.sides or ARMED in self.sides

    def next_at(self, clock: int) -> int | None:
        """The next clock time at which something happens without a tick."""
        times = [at + self.hold_us for at in self.since if at is not None and self.hold_us]
        if self.deadline is not None:
            times.append(self.deadline)
        return min((at for at in times if at > clock), default=None)

    def way_of(self, part: int) -> tuple[int, ...]:
        return next(way for way in self.ways if part in way)

    @property
    def seconds(self) -> tuple[int, ...]:
        """Of "then": the parts that have to come behind the first."""
        return tuple(part for way in self.ways[self.firsts :] for part in way) if self.within_us else ()

    def forget(self) -> None:
        """Nothing is known of it any more: the next values settle it."""
        for part in self.parts:
            part.forget()
        self.sides, self.since = [None] * len(self.ways), [None] * len(self.ways)
        self.stage, self.deadline = 0, None

    def turn(self, clock: int, hits: Mapping[int, Hit], agree: Agree) -> list[Turn]:
        """What came of parts that moved, or of the time. `hits` are of parts that ring by themselves. Of "then", the
        second comes before a first of the same moment, and takes it along."""
        turns: list[Turn] = []
        if self.deadline is not None and clock >= self.deadline:
            self.stage, self.deadline = 0, None
            turns.append(Turn(What.RAN_OUT, self.ways[self.firsts][0]))
        ways = list(range(len(self.ways)))
        if self.within_us:
            ways = [*(ways[self.firsts :] if self.stage else ()), *ways[: self.firsts]]
        for way in ways:
            turns += self._turn_way(way, clock, hits, agree)
        if self.within_us and any(turn.what is What.RANG for turn in turns):
            self.stage, self.deadline = 0, None
        return turns

    def _turn_way(self, way: int, clock: int, hits: Mapping[int, Hit], agree: Agree) -> list[Turn]:
        parts = self.ways[way]
        if not isinstance(self.parts[parts[0]], Zone):
            hit = hits.get(parts[0])
            if self.sides[way] is None and self.parts[parts[0]].known:
                self.sides[way] = ARMED
            return [self._struck(way, parts[0], clock, hit)] if hit is not None else []
        zones = [part.zone for index in parts if isinstance(part := self.parts[index], Zone)]
        if None in zones:
            if self.sides[way] == FIRED and BEHIND in zones:
                self.sides[way] = ARMED
                return [Turn(What.REARMED, parts[0])]
            return self._let_go(way)
        met, behind, side = all(zone == TRUE for zone in zones), BEHIND in zones, self.sides[way]
        if side is None:
            self.sides[way] = FIRED if met else ARMED
            return []
        if side == FIRED:
            if not behind:
                return []
            self.sides[way] = ARMED
            return [Turn(What.REARMED, parts[0])]
        if not met:
            return self._let_go(way)
        if side == ARMED and (self.hold_us or self.sources > 1):
            self.sides[way], self.since[way] = PENDING, clock
        if side == ARMED and not self._ripe(way, clock, agree):
            return [Turn(What.HOLDING, parts[-1])]
        if not self._ripe(way, clock, agree):
            return []
        return [self._struck(way, parts[-1], clock, None)]

    def _let_go(self, way: int) -> list[Turn]:
        if self.sides[way] != PENDING:
            return []
        self.sides[way], self.since[way] = ARMED, None
        return [Turn(What.LET_GO, self.ways[way][0])]

    def _ripe(self, way: int, clock: int, agree: Agree) -> bool:
        since = self.since[way]
        if since is None:
            return True
        if clock < since + self.hold_us:
            return False
        return self.sources < 2 or all(agree(part) >= self.sources for part in self.ways[way])

    def _struck(self, way: int, part: int, clock: int, hit: Hit | None) -> Turn:
        self.since[way] = None
        self.sides[way] = FIRED if isinstance(self.parts[part], Zone) else ARMED
        if not self.within_us:
            return Turn(What.RANG, part, hit)
        if way < self.firsts:
            self._begin_second()
            self.stage, self.deadline = 1, clock + self.within_us
            return Turn(What.FIRST, part, hit)
        self.stage, self.deadline = 0, None
        return Turn(What.RANG, part, hit)

    def _begin_second(self) -> None:
        """The second's side is that of this moment: where it holds already, it has to come anew. What follows a value
        is begun anew by whoever holds it (`seconds`)."""
        for way in range(self.firsts, len(self.ways)):
            part = self.parts[self.ways[way][0]]
            if isinstance(part, Zone):
                self.sides[way] = None if part.zone is None else FIRED if part.zone == TRUE else ARMED
            else:
                self.sides[way] = None

    # ------------------------------------------------------------------------------------------- memory

    def remember(self) -> Memory:
        above = tuple(isinstance(part, Zone) and part.above for part in self.parts)
        return Memory(
            parts=tuple(kept_of(part) for part in self.parts),
            sides=tuple(self.sides),
            since=tuple(self.since) if any(at is not None for at in self.since) else (),
            stage=self.stage,
            deadline=self.deadline,
            above=above if any(above) else (),
        )

    def recall(self, memory: Memory) -> None:
        """As it was remembered; nothing where that was another course."""
        if len(memory.parts) != len(self.parts) or len(memory.sides) != len(self.ways):
            return
        for part, kept in zip(self.parts, memory.parts, strict=True):
            recall_gate(part, kept)
        for part, above in zip(self.parts, memory.above or (False,) * len(self.parts), strict=True):
            if isinstance(part, Zone):
                part.above = above
        self.sides = list(memory.sides)
        self.since = list(memory.since) or [None] * len(self.ways)
        self.stage, self.deadline = memory.stage, memory.deadline


def kept_of(gate: Gate) -> int | float | None:
    match gate:
        case Zone():
            return gate.region
        case Trail():
            return gate.peak
        case Ladder():
            return gate.anchor
    return None


def recall_gate(gate: Gate, kept: int | float | None) -> None:
    match gate:
        case Zone():
            gate.region = int(kept) if kept is not None and 0 <= kept < len(gate.zones) else None
        case Trail():
            gate.peak = kept
        case Ladder():
            gate.anchor = kept


# --------------------------------------------------------------------------------------------- building


class Built(NamedTuple):
    """The gates of an alert, each with the clause that it is of, and its course where it has one."""

    gates: tuple[tuple[Clause, Gate], ...]
    course: Course | None


def build(spec: AlertSpec, alert_id: int, default_percent: float) -> Built:
    """`default_percent`: the band of prices that say none."""
    clause = spec.first
    if len(spec.clauses) == 1 and not spec.hold_us and spec.sources < 2 and clause.condition != "inside":
        return Built(((clause, _single(spec, clause, alert_id << gates.PARTS, default_percent)),), None)
    made: list[tuple[Clause, Gate]] = []
    ways: list[tuple[int, ...]] = []
    firsts = 0
    for each in spec.clauses:
        begun = len(made)
        made += [(each, gate) for gate in _parts(spec, each, (alert_id << gates.PARTS) + begun, default_percent)]
        ways += [(index,) for index in range(begun, len(made))]
        firsts = firsts or len(ways)
    if spec.join == "and":
        ways = [tuple(range(len(made)))]
    course = Course(
        parts=tuple(gate for _, gate in made),
        ways=tuple(ways),
        hold_us=spec.hold_us,
        sources=spec.sources,
        within_us=spec.within_us,
        firsts=firsts if spec.within_us else 0,
    )
    return Built(tuple(made), course)


def clause_of(spec: AlertSpec, part: int) -> Clause:
    """The clause that the gate of that number is of."""
    for clause in spec.clauses:
        count = 2 if clause.condition in ("crosses", "outside") and spec.join != "and" else 1
        if part < count:
            return clause
        part -= count
    return spec.clauses[-1]


def hit_at(clause: Clause, gate: Gate, value: float) -> Hit:
    """Which edge a value has reached that made the clause true, and which way."""
    low, high = clause.level, clause.level if clause.high is None else clause.high
    if clause.condition == "inside":
        return Hit("down", high) if isinstance(gate, Zone) and gate.above else Hit("up", low)
    if isinstance(gate, Zone) and gate.zones[0] != gate.zones[-1]:
        up = gate.zones[-1] == TRUE
    else:
        up = clause.condition != "below" and value >= high
    return Hit("up", high) if up else Hit("down", low)


def _single(spec: AlertSpec, clause: Clause, key: int, default_percent: float) -> Gate:
    if clause.condition == "trails":
        return Trail(key=key, amount=clause.level, percent=clause.percent, rising=clause.rising)
    if clause.condition == "every":
        return Ladder(key=key, size=clause.level, percent=clause.percent)
    low, high = clause.level, clause.level if clause.high is None else clause.high
    rises, falls = clause.condition != "below", clause.condition != "above"
    return Level(
        key=key,
        rise=high if rises else None,
        fall=low if falls else None,
        rise_back=gates.back_below(high, band_of(spec, clause, high, default_percent)) if rises else 0.0,
        fall_back=gates.back_above(low, band_of(spec, clause, low, default_percent)) if falls else 0.0,
        once=spec.repeat == "once",
    )


def _parts(spec: AlertSpec, clause: Clause, key: int, default_percent: float) -> Iterable[Gate]:
    """A crossing in both directions, and leaving a range at either edge, are two parts that ring each by itself; among
    conditions that have to hold at once leaving a range is one."""
    low, high = clause.level, clause.level if clause.high is None else clause.high
    bands = [band_of(spec, clause, edge, default_percent) for edge in (low, high)]
    match clause.condition:
        case "trails" | "every":
            yield _single(spec, clause, key, default_percent)
        case "inside":
            yield gates.inside(key, (low, high), bands)
        case "outside" if spec.join == "and":
            yield gates.outside(key, (low, high), bands)
        case "below":
            yield gates.below(key, low, bands[0])
        case "above":
            yield gates.above(key, low, bands[0])
        case _:
            yield gates.above(key, high, bands[1])
            yield gates.below(key + 1, low, bands[0])
