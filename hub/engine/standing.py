"""What the engine keeps of each alert in memory. Depends on hub.rules."""

from collections import deque

import msgspec

from hub.i18n import later
from hub.ledger.alerts import StateChange
from hub.model import SECOND_US, State
from hub.rules.course import PENDING, Course, Memory, kept_of
from hub.rules.gates import Gate, Level
from hub.rules.nodes import Node
from hub.rules.roots import Book
from hub.rules.spec import AlertSpec

STORM_RINGS, STORM_US = 15, 180 * SECOND_US
"""What rings more often than that in so long is paused."""

COOLED_LINE = later("it has been silent long enough after it rang: it may ring again")
SILENCE_OVER = later("its silence is over: the next value sets its side")
MUTE_OVER = later("its mute is over; its snooze goes on")
EXPIRED = later("its time is over")
RAN_OUT = later("the second did not come in time: it waits for the first again")
HOLDS_OTHERS = later("what the portfolio holds has changed: the next value sets its side")
"""Lines of its history. They are kept in English, and translated where they are shown."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Memory).decode


class More(msgspec.Struct, gc=False):
    """What only some alerts need. Times are the stream's clock."""

    spec: AlertSpec | None = None  # of one whose line takes the grammar to read
    course: Course | None = None
    nodes: tuple[Node, ...] = ()  # that it uses
    at_most_us: int = 0
    cooling_until: int = 0
    missed: int = 0  # how often it would have rung since then
    expires_at: int | None = None
    rang: deque[int] = msgspec.field(default_factory=deque)  # when it rang, the newest last


class Standing(msgspec.Struct, gc=False):
    """An alert that can ring, or sleeps. `gates` stand in `books`, place by place, unless it sleeps."""

    owner_id: int
    instrument: str  # that it is listed under; empty for a portfolio
    text: str
    gates: tuple[Gate, ...]
    books: tuple[Book, ...]
    once: bool = True
    generation: int = 0  # how often it has rung
    armed_generation: int = 0  # and before it was armed last: what is for once rings once after that
    more: More | None = None

    @property
    def course(self) -> Course | None:
        return self.more.course if self.more is not None else None

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.more.nodes if self.more is not None else ()

    def follow(self, before: "Standing") -> None:
        """The same alert goes on: how often it rang, and how long it says nothing."""
        self.generation, self.armed_generation = before.generation, before.armed_generation
        if before.more is not None:
            self.more = self.more or More()
            self.more.cooling_until, self.more.rang = before.more.cooling_until, before.more.rang

    @property
    def done(self) -> bool:
        return self.once and self.generation > self.armed_generation

    @property
    def known(self) -> bool:
        """Whether it is known on which side the value stands."""
        course = self.course
        return course.known if course is not None else all(gate.known for gate in self.gates)

    def state(self, clock: int) -> State:
        """Of one that is awake."""
        if self.done:
            return State.DONE
        more, course = self.more, self.course
        if course is not None and PENDING in course.sides:
            return State.DWELLING
        if more is not None and more.cooling_until > clock:
            return State.COOLING
        if course is not None:
            return State.ARMED if course.waits else State.FIRED
        gate = self.gates[0]
        waits = not isinstance(gate, Level) or gate.up_armed or gate.down_armed or not gate.known
        return State.ARMED if waits else State.FIRED

    def change(self, alert_id: int, clock: int, state: State | None = None) -> StateChange:
        """Its row as it is now."""
        gate, more = self.gates[0], self.more
        level = gate if isinstance(gate, Level) else None
        return StateChange(
            id=alert_id,
            state=(state or self.state(clock)).value,
            generation=self.generation,
            up_armed=level.up_armed if level else None,
            down_armed=level.down_armed if level else None,
            last_fired_at=more.rang[-1] if more is not None and more.rang else None,
            memory=self.memory(),
            cooling_until=more.cooling_until or None if more is not None else None,
        )

    def memory(self) -> str | None:
        course = self.course
        if course is not None:
            return _encode(course.remember()).decode()
        if isinstance(self.gates[0], Level):
            return None
        return _encode(Memory(parts=(kept_of(self.gates[0]),))).decode()

    def forget(self) -> None:
        """Nothing is known of its sides any more."""
        if (course := self.course) is not None:
            course.forget()
        for gate in self.gates:
            gate.forget()


def read_memory(text: str | None) -> Memory | None:
    """None where there is none, or it is another version's."""
    if not text:
        return None
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None
