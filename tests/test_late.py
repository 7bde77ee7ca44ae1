"""What comes late, or is no price, moves no alert backwards: in any market it rings as if it had not come."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.arbiter import Desk
from hub.instruments import build_catalogue
from hub.model import SECOND_US, Kind, Verdict
from hub.rules.spec import AlertSpec, canonical
from tests.board_stage import GOLD, Stage, tick
from tests.reference import Beat, Happening
from tests.reference_board import board_of, differences, frames_of, play
from tests.reference_market import Tick
from tests.reference_wanted import alerts
from tests.reference_worlds import INSTRUMENTS, World, worlds

NO_PRICE = (Verdict.LATE, Verdict.OUTLIER, Verdict.CLOSED)
slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def without(happenings: list[Happening]) -> list[Happening]:
    """Only their time passes."""
    return [Beat(one.received_at) if isinstance(one, Tick) and one.verdict in NO_PRICE else one for one in happenings]


@settings(max_examples=50, deadline=None, suppress_health_check=slow)
@given(world=worlds(), specs=st.lists(alerts(), min_size=4, max_size=8))
def test_what_is_no_price_rings_nothing_and_keeps_nothing_from_ringing(world: World, specs: list[AlertSpec]) -> None:
    """Late, an outlier, or from outside the session."""
    got = play(board_of(specs, INSTRUMENTS), frames_of(world.happenings, world.cuts))
    wanted = play(board_of(specs, INSTRUMENTS), frames_of(without(world.happenings), set()))
    for index, spec in enumerate(specs):
        assert (canonical(spec), differences(spec, index, wanted, got)) == (canonical(spec), [])


def test_a_late_tick_moves_no_side_no_window_and_no_trail() -> None:
    """Each would have rung, or been armed again."""
    lines = ("gold > 1300 every time", "gold -1% in 1h", "gold trails 1%", "gold every 40", "sma(gold, 2, 1m) < 1290")
    stage = Stage(*lines)
    assert stage.prices(0, 1299, 1301) == [1301]
    rang = len(stage.board.batch.fired)
    late = [tick(100 + at, GOLD, price, Verdict.LATE, venue_s=1) for at, price in enumerate((1200.0, 1400.0, 1290.0))]
    assert stage.play(*late) == []
    stage.beat(300)
    assert (len(stage.board.batch.fired), stage.board.graph.root(GOLD).book.value) == (rang, 1301)
    assert stage.prices(301, 1302) == []
    assert stage.prices(302, 1299, 1300) == [1300]


def test_a_late_price_of_another_source_confirms_nothing() -> None:
    """What it said before is not what it says now."""
    stage = Stage("gold > 1300 confirm 2 sources")
    stage.prices(0, 1299)
    stage.play(tick(1, GOLD, 1299.0, Verdict.STANDBY, "b"))
    stage.prices(2, 1300)
    assert stage.play(tick(3, GOLD, 1301.0, Verdict.STANDBY, "b", venue_s=0.5)) == []
    assert stage.play(tick(4, GOLD, 1301.0, Verdict.STANDBY, "b", venue_s=1)) == [(1, 1300.0)]


def test_a_late_price_of_another_source_lets_no_outlier_through() -> None:
    """The desk of ingest: a held tick needs a price of now."""
    gold = build_catalogue({}, (GOLD,)).find("gold")
    desk = Desk(gold, ["a", "b"], {"a": 15 * SECOND_US, "b": 15 * SECOND_US}, lambda _: (True, 1 << 62))

    def quote(source: str, price: float, at_s: float, venue_s: float) -> Verdict | None:
        venue, at = round(venue_s * SECOND_US), round(at_s * SECOND_US)
        return desk.judge(None, source, Kind.QUOTE, price, venue, at).verdict

    quote("a", 1300.0, 1, 1)
    quote("b", 1300.0, 2, 2)
    assert quote("a", 1400.0, 3, 3) is None
    assert quote("b", 1400.0, 4, 1.5) is Verdict.STANDBY
    assert (desk.held is not None, desk.price) == (True, 1300.0)
    quote("b", 1400.0, 5, 5)
    assert (desk.held, desk.price) == (None, 1400.0)
