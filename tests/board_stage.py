"""A board with a few alerts and a market to play by hand: prices, events and the clock, in seconds from midnight."""

from collections.abc import Sequence

from hub.engine.board import Board
from hub.frame import EventKind
from hub.instruments import CATALOGUE, Catalogue
from hub.model import SECOND_US, Instrument, Verdict
from hub.rules.language import parse
from hub.rules.spec import canonical
from tests.reference import Happening
from tests.reference_board import frames_of
from tests.reference_worlds import INSTRUMENTS
from tests.test_triggers_by_example import BITCOIN, EURO, GOLD, SILVER, beat, tick, told, us

__all__ = ["BITCOIN", "EURO", "GOLD", "SILVER", "Stage", "beat", "tick", "told", "us"]


class Stage:
    """Alerts have the numbers 1, 2, …; `owners` are theirs, place by place, else 1."""

    def __init__(
        self,
        *lines: str,
        owners: Sequence[int] = (),
        instruments: Sequence[Instrument] = (),
        now_us: int = 0,
        late_after_us: int = 1 << 62,
        storm_rings: int = 15,
    ) -> None:
        known = {each.id: each for each in CATALOGUE} | {each.id: each for each in instruments}
        catalogue = Catalogue(tuple(known.values()), [*INSTRUMENTS, *(each.id for each in instruments)])
        self.board = Board(
            catalogue,
            band_percent=0.05,
            late_after_us=late_after_us,
            now_us=lambda: now_us,
            storm_rings=storm_rings,
        )
        self.sequence = 0
        for number, line in enumerate(lines, 1):
            self.add(number, line, owners[number - 1] if owners else 1)

    def add(self, number: int, line: str, owner: int = 1) -> None:
        spec = parse(line, self.board.catalogue.find)
        self.board.stand(number, self.board.maker.made(spec, canonical(spec), owner, number), None)
        for node in self.board.graph.cold():
            node.cold = False

    def play(self, *happenings: Happening) -> list[tuple[int, float]]:
        """All in one frame (but for beats, which end theirs): what rings, (alert, value)."""
        before = len(self.board.batch.fired)
        for frame in frames_of(happenings, set()):
            self.sequence += 1
            frame.number = self.sequence
            self.board.take(frame, self.sequence)
            self.board.passed(self.sequence)
        return [(rang.alert_id, rang.price) for rang in self.board.batch.fired[before:]]

    def prices(self, at_s: float, *prices: float, name: str = GOLD, verdict: Verdict = Verdict.PRICE) -> list[float]:
        """A second apart; the values at which something rang."""
        ticks = [tick(at_s + place, name, price, verdict) for place, price in enumerate(prices)]
        return [value for _, value in self.play(*ticks)]

    def event(self, at_s: float, kind: EventKind, name: str = GOLD) -> None:
        self.play(told(at_s, kind, name))

    def beat(self, at_s: float) -> list[tuple[int, float]]:
        return self.play(beat(at_s))

    def life(self, alert: int = 1) -> list[str]:
        """The lines of its history so far, the newest last."""
        return [line.text for line in self.board.batch.told if line.alert_id == alert]

    def notices(self) -> list[tuple[int, str]]:
        """(owner, title) of each, in order."""
        return [(notice.owner_id, notice.title) for notice in self.board.batch.notices]


HOUR_US = 3600 * SECOND_US
