"""Levels move over a split of a stock, and so does what its series remember, at the instant from which it is in effect.

What an alert waits for is the same in new shares, on which side it stands stays, and nothing rings by it. A split that
is told after that instant moves what was armed before it; by then prices have ticked in new shares, so sides are those
of now, and what looks back is read anew from history (hub.engine.split_watch). No input, no output: what is to be
written waits in the board's batch. Depends on hub.splits and hub.rules.rescale.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from hub.engine.batch import Notice
from hub.engine.standing import Standing
from hub.model import Split, State
from hub.plugin import Catalogue
from hub.rules.course import clause_of, kept_of, recall_gate
from hub.rules.gates import Gate, Ladder, Level, Trail
from hub.rules.rescale import factor_of, rescaled
from hub.rules.spec import AlertSpec, canonical

if TYPE_CHECKING:
    from hub.engine.board import Board

log = structlog.get_logger("engine")
NEVER = 1 << 62
SHOWN = 10


class Over(NamedTuple):
    """A split that a batch has brought. `groups`: whose alerts it moved, None for all that the engine works for;
    `seen`: those of them that are in memory; `before`: only what was armed before that wall time was moved."""

    split: Split
    seen: frozenset[int]
    groups: tuple[str, ...] | None = None
    before: int = NEVER


class Splitting:
    """On the board: no input, no output."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._pending: list[Split] = []  # the soonest last
        self.count = 0  # how many it has brought

    @property
    def due(self) -> int:
        return self._pending[-1].at if self._pending else NEVER

    def expect(self, splits: Iterable[Split]) -> None:
        """All that are to come, by the stream's clock."""
        self._pending = sorted(splits, key=lambda split: -split.at)
        self._board.set_due()

    def recall(self, splits: Sequence[Split], clock: int) -> None:
        """At the start: prices as they were stored count as of that clock, where the engine stands."""
        for split in sorted(splits, key=lambda each: each.at):
            root = self._board.graph.root(split.instrument)
            if split.at <= clock and root.book.received_at < split.at:
                root.carry_over(split.factor, split.at)
                root.ends()
        self.expect(split for split in splits if split.at > clock)

    def begin(self, at: int) -> None:
        """The stream begins there: what was split before concerns no price of it."""
        self._pending = [split for split in self._pending if split.at > at]
        self._board.set_due()

    def bring(self, clock: int) -> None:
        """What is in effect by then."""
        while self._pending and self._pending[-1].at <= clock:
            split = self._pending.pop()
            self.scale(split)
            self.move(split, self.concerned(split.instrument))

    def concerned(self, instrument: str) -> set[int]:
        """Every alert in memory whose line names it, silent ones too."""
        board = self._board
        silent = [*board.silences, *(arming.alert_id for armings in board.waiting.values() for arming in armings)]
        found = {each for each in silent if each in board.standing and instrument in board.standing[each].text}
        return found | board.alerts_on(board.graph.root(instrument))

    def scale(self, split: Split) -> None:
        """The price, and what stands on it, as if it had always been in new shares."""
        self.count += 1
        board, root = self._board, self._board.graph.root(split.instrument)
        if root.book.received_at < split.at:
            root.carry_over(split.factor, split.at)
        board.batch.prices.add(split.instrument)
        for node in board.graph.above(root):
            node.scale(split.instrument, split.factor)
            node.value = node.compute(False)
            by = factor_of(node.series, split.instrument, split.factor)
            if node.book is not None and node.book.value is not None and by is not None:
                node.book.value *= by

    def move(
        self,
        split: Split,
        alert_ids: Collection[int],
        groups: tuple[str, ...] | None = None,
        before: int = NEVER,
    ) -> None:
        """These alerts wait for the same in new shares. `groups` and `before` are of one that was told late: sides are
        those of now."""
        board, moved = self._board, dict[int, list[str]]()
        for alert_id in sorted(alert_ids):
            owner_id = board.standing[alert_id].owner_id
            try:
                said = self._move(split, alert_id, late=groups is not None)
            except Exception as error:
                board.failing.alert(alert_id, error)
                continue
            if said:
                moved.setdefault(owner_id, []).append(f"{alert_id}: {said}")
        for owner_id, lines in moved.items():
            board.batch.notices.append(_notice(split, owner_id, lines, board.catalogue))
        board.batch.splits.append(Over(split, frozenset(alert_ids), groups, before))
        board.batch.urgent = True

    def _move(self, split: Split, alert_id: int, *, late: bool) -> str:
        """What its owner is to know of it, if anything."""
        board, standing = self._board, self._board.standing[alert_id]
        spec = board.maker.spec_of(standing)
        again = rescaled(spec, split.instrument, split.factor)
        if again is None:
            board.tell(alert_id, f"{split.instrument} was split {split.ratio}: paused")
            board.retire(alert_id, standing, State.PAUSED)
            return f"{standing.text}: paused, since no level says the same in new shares"
        if not late and again == spec and not any(isinstance(gate, Trail | Ladder) for gate in standing.gates):
            return ""
        made = self._made(split, alert_id, standing, spec, again, settle=late)
        if made.text == standing.text:
            return ""
        board.batch.reworded[alert_id] = (made.text, by_of(spec, 0, split))
        board.tell(alert_id, told(split, standing.text, made.text))
        return f"{standing.text} is now {made.text}"

    def _made(
        self, split: Split, alert_id: int, standing: Standing, spec: AlertSpec, again: AlertSpec, *, settle: bool
    ) -> Standing:
        board = self._board
        made = board.maker.made(again, canonical(again), standing.owner_id, alert_id)
        made.follow(standing)
        if settle:
            board.settle(made)
        else:
            _carry(standing, made, lambda part: by_of(spec, part, split))
        board.exchange(alert_id, made)
        return made


def by_of(spec: AlertSpec, part: int, split: Split) -> float:
    """By how much values of the series count that the part of that number waits on."""
    return factor_of(clause_of(spec, part).series, split.instrument, split.factor) or 1.0


def _carry(standing: Standing, made: Standing, factor: Callable[[int], float]) -> None:
    """The sides as they were; `factor` of the part of that number."""
    kept = [_scaled(gate, factor(part)) for part, gate in enumerate(standing.gates)]
    if standing.course is not None and made.course is not None:
        made.course.recall(msgspec.structs.replace(standing.course.remember(), parts=tuple(kept)))
        return
    for gate, was, value in zip(made.gates, standing.gates, kept, strict=True):
        if isinstance(gate, Level) and isinstance(was, Level):
            gate.up_armed, gate.down_armed, gate.fired = was.up_armed, was.down_armed, was.fired
        else:
            recall_gate(gate, value)


def _scaled(gate: Gate, by: float) -> int | float | None:
    kept = kept_of(gate)
    return kept * by if kept is not None and isinstance(gate, Trail | Ladder) else kept


def told(split: Split, before: str, after: str) -> str:
    return f"{split.instrument} was split {split.ratio}: {before} is now {after}"


def _notice(split: Split, owner_id: int, lines: Sequence[str], catalogue: Catalogue) -> Notice:
    instrument = catalogue.get(split.instrument)
    name = instrument.name if instrument is not None else split.instrument
    more = (f"… and {len(lines) - SHOWN} more",) if len(lines) > SHOWN else ()
    return Notice(
        owner_id=owner_id,
        key=f"split:{split.id}",
        title=f"{name} was split {split.ratio}: your levels have followed",
        text="\n".join((*lines[:SHOWN], *more)),
    )
