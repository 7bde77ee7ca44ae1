"""Blindness: an instrument without a price in open hours is told once; a closed market never.

The desk of ingest and the board are the real ones; what follows is in tests/test_recovery.py.
"""

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from hub.arbiter import Desk, Happened
from hub.frame import EventKind
from hub.instruments import build_catalogue
from hub.model import SECOND_US, Kind
from hub.sessions import SESSIONS, hours_at
from tests.board_stage import EURO, GOLD, SILVER, Stage, tick
from tests.reference import Beat, Happening, Told
from tests.reference_market import Tick

if TYPE_CHECKING:
    pass

NEW_YORK = ZoneInfo("America/New_York")
CATALOGUE = build_catalogue({}, (GOLD, "AAPL"))


def at(text: str) -> int:
    """New York's clock."""
    return round(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND_US


class Floor:
    """An instrument's desk, as ingest has it, before a board with alerts: what is judged there comes as frames."""

    def __init__(self, instrument: str, *lines: str) -> None:
        self.stage = Stage(*lines)
        found = CATALOGUE.get(instrument)
        assert found is not None
        self.instrument = found
        self.kind = Kind.QUOTE if found.basis == "mid" else Kind.TRADE
        session = SESSIONS[found.session]

        def hours(time_us: int) -> tuple[bool, int]:
            there = hours_at(session, time_us)
            return there.open, there.until_us if there.until_us is not None else 1 << 62

        self.desk = Desk(found, ["a"], {"a": 15 * SECOND_US}, hours)

    def price(self, time_us: int, price: float = 1290.0) -> None:
        judged = self.desk.judge(None, "a", self.kind, price, time_us, time_us)
        side = price if self.kind == Kind.QUOTE else None
        assert judged.verdict is not None
        one = Tick(self.instrument.id, judged.verdict, self.kind, price, side, side, None, time_us, time_us, "a")
        self.stage.play(*self._told(judged.events), one)

    def clock(self, time_us: int) -> None:
        self.stage.play(*self._told(self.desk.advance(time_us)), Beat(time_us))

    def wait(self, since_us: int, until_us: int, step_s: int = 60) -> None:
        for time_us in range(since_us, until_us, step_s * SECOND_US):
            self.clock(time_us)

    def _told(self, events: tuple[Happened, ...]) -> list[Happening]:
        return [Told(event.kind, self.instrument.id, event.time) for event in events]

    @property
    def titles(self) -> list[str]:
        return [title for _, title in self.stage.notices()]


# ------------------------------------------------------------------------------------- open, closed, holidays


@pytest.mark.parametrize(
    ("friday", "sunday", "utc"),
    [
        ("2024-03-08", "2024-03-10", "22:00:00"),  # New York goes to summer time in between
        ("2024-11-01", "2024-11-03", "23:00:00"),  # and back
        ("2024-05-10", "2024-05-12", "22:00:00"),
    ],
)
def test_a_weekend_is_no_blindness_and_the_silence_behind_it_counts_from_the_opening(
    friday: str, sunday: str, utc: str
) -> None:
    """By the session's own clock, over its daylight saving; the grace is on top of the minute that gold may rest."""
    floor = Floor(GOLD, "gold > 1300")
    last = at(f"{friday}T16:59:50")
    floor.price(last)
    opening = at(f"{sunday}T18:00")
    floor.wait(last + 10 * SECOND_US, opening, 600)
    assert (floor.titles, floor.stage.board.batch.gaps_begun) == ([], [])
    floor.wait(opening, opening + 179 * SECOND_US, 1)
    assert floor.titles == []
    assert floor.stage.board.batch.gaps_begun == [(GOLD, opening, (1,))]
    floor.wait(opening + 179 * SECOND_US, opening + 183 * SECOND_US, 1)
    assert floor.titles == [f"No price of Gold since {utc}.000 UTC: your alert on it is blind"]


def test_the_hour_in_which_metals_rest_is_no_blindness() -> None:
    """Nor is the minute before the rest, of which nobody heard."""
    floor = Floor(GOLD, "gold > 1300")
    floor.price(at("2024-05-08T16:58:30"))
    floor.wait(at("2024-05-08T16:58:40"), at("2024-05-08T18:00:30"), 10)
    floor.price(at("2024-05-08T18:00:30"))
    floor.wait(at("2024-05-08T18:00:40"), at("2024-05-08T18:01:30"), 10)
    assert floor.titles == []


def test_a_holiday_is_no_blindness() -> None:
    """Thanksgiving; the morning after it is one."""
    floor = Floor("AAPL", "aapl > 200")
    floor.price(at("2024-11-27T15:59:59"), 190.0)
    floor.wait(at("2024-11-27T16:00"), at("2024-11-29T09:30"), 600)
    assert floor.titles == []
    floor.wait(at("2024-11-29T09:30"), at("2024-11-29T09:35"), 10)
    assert floor.titles == ["No price of Apple since 14:30:00.000 UTC: your alert on it is blind"]


def test_a_market_that_closes_ends_a_blindness() -> None:
    """No price came back; that is what its owners hear, see the wording below."""
    floor = Floor(GOLD, "gold > 1300")
    floor.price(at("2024-05-10T16:50"))
    floor.wait(at("2024-05-10T16:50:10"), at("2024-05-10T17:05"), 10)
    assert len(floor.titles) == 1
    assert floor.stage.board.batch.gaps_ended == [(GOLD, at("2024-05-10T16:50"), at("2024-05-10T17:00"))]


# ---------------------------------------------------------------------------------------- whom, when, how many


def test_nobody_hears_of_a_silence_that_is_over_before_the_grace_is() -> None:
    """But it is known: what was crossed in it is looked for."""
    stage = Stage("gold > 1300")
    stage.prices(0, 1290)
    stage.event(60, EventKind.STALE)
    stage.beat(179)
    stage.event(179.9, EventKind.FRESH)
    stage.beat(900)
    assert stage.notices() == []
    batch = stage.board.batch
    assert (len(batch.gaps_begun), batch.gaps_told, len(batch.gaps_ended)) == (1, [], 1)


def test_each_owner_hears_once_of_all_alerts_that_are_blind() -> None:
    """Also of a ratio and of a conversion that stand on it; not of what says nothing anyway."""
    lines = ("gold > 1300", "gold < 1200", "gold/silver > 90", "silver > 30", "gold > 1400", "gold in eur > 1250")
    stage = Stage(*lines, owners=(1, 1, 2, 3, 1, 2))
    stage.prices(0, 1290)
    stage.play(tick(1, SILVER, 20.0), tick(1, EURO, 1.25))
    stage.board.sleep(5, None, None)
    stage.event(60, EventKind.STALE)
    stage.beat(300)
    stage.beat(900)
    since = "No price of Gold since 00:00:00.000 UTC: your 2 alerts on it are blind"
    assert stage.notices() == [(1, since), (2, since)]
    assert stage.board.batch.notices[0].text.startswith("alerts 1, 2: without a price nothing can ring.")
    assert stage.board.batch.gaps_told[0][2] == (1, 2, 3, 6)
    assert stage.life(4) == ["takes its side from 20.000 USD"]
    stage.event(1000, EventKind.FRESH)
    stage.event(1060, EventKind.STALE)
    stage.beat(1300)
    assert len(stage.notices()) == 4


def test_a_currency_that_is_blind_blinds_what_is_converted() -> None:
    """The price in dollars goes on."""
    stage = Stage("gold in eur > 1250", "gold > 1300")
    stage.play(tick(0, GOLD, 1290.0), tick(0, EURO, 1.25))
    stage.event(60, EventKind.STALE, EURO)
    stage.beat(300)
    assert stage.notices() == [(1, "No price of Euro since 00:00:00.000 UTC: your alert on it is blind")]
    assert stage.prices(301, 1310) == [1310]


def test_what_is_blind_is_one_thing_for_engines_that_become_one() -> None:
    """The owner who has not heard yet still hears."""
    first, second = Stage("gold > 1300"), Stage("silver > 30")
    for stage in (first, second):
        stage.prices(0, 1290)
        stage.event(60, EventKind.STALE)
    second.board.absorb(first.board)
    second.beat(300)
    assert [owner for owner, _ in second.notices()] == [1]


def test_a_value_is_none_while_it_is_stale() -> None:
    """A dwell ends, a side stays: the price that is back beyond the level rings."""
    stage = Stage("gold > 1300", "gold > 1280 for 70s")
    stage.prices(0, 1270, 1290)
    stage.event(61, EventKind.STALE)
    stage.beat(80)
    assert stage.prices(500, 1310) == [1310]
    assert stage.beat(569) == []
    assert stage.beat(570) == [(2, 1310)]


def test_who_sets_an_alert_in_a_silence_hears_of_it_and_of_its_end_too() -> None:
    """Within the grace; whoever sets one later is told in the answer."""
    stage = Stage("gold > 1300")
    stage.prices(0, 1290)
    stage.event(60, EventKind.STALE)
    stage.add(2, "gold > 1400", 2)
    stage.beat(300)
    assert [owner for owner, _ in stage.notices()] == [1, 2]
    assert [owners for _, _, owners in stage.board.batch.gaps_begun] == [(1,), (2,)]


def test_nobody_hears_of_an_instrument_that_nobody_watches() -> None:
    """But the first who sets an alert on it within the grace does."""
    stage = Stage()
    stage.prices(0, 1290)
    stage.event(60, EventKind.STALE)
    stage.beat(300)
    assert (stage.notices(), stage.board.batch.gaps_begun, stage.board.batch.gaps_told) == ([], [], [])
    stage.event(301, EventKind.FRESH)
    stage.event(400, EventKind.STALE)
    stage.add(1, "gold > 1400", 1)
    stage.beat(700)
    assert len(stage.notices()) == 1
