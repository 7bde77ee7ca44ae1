"""Splits of stocks: whatever would have rung without one rings with it, and nothing else does."""

import os
import re
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hub.engine.standing import Standing
from hub.instruments import CATALOGUE, build_catalogue
from hub.model import Split, Verdict
from hub.plugin import BadRequest
from hub.rules.language import parse
from hub.rules.rescale import rescaled
from hub.rules.spec import AlertSpec, canonical
from hub.splits import Splits, in_effect, parse_day, parse_ratio
from tests.reference import Happening, Ring, Told
from tests.reference_board import board_of, frames_of, new_board, play, with_deaths
from tests.reference_market import SECOND_US, TRADE, Tick
from tests.reference_wanted import alerts
from tests.reference_worlds import INSTRUMENTS, MIDNIGHT_US, World, worlds

NAME = "BTC-USD"
SPLITS = int(os.environ.get("TOCSIN_WORLDS") or 150)
slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def split_at(at: int, numerator: int = 4, denominator: int = 1, name: str = NAME) -> Split:
    return Split(id=1, instrument=name, day="2023-11-15", numerator=numerator, denominator=denominator, at=at)


def in_new_shares(happening: Happening, split: Split) -> Happening:
    """As it would have come behind the split."""
    if not isinstance(happening, Tick) or happening.instrument != split.instrument:
        return happening
    by = split.factor
    price, bid, ask = (None if each is None else each * by for each in (happening.price, happening.bid, happening.ask))
    assert price is not None
    volume = None if happening.volume is None else happening.volume / by
    return happening._replace(price=price, bid=bid, ask=ask, volume=volume)


def clock_of(happening: Happening) -> int:
    match happening:
        case Tick():
            return happening.received_at
        case Told():
            return happening.time
    return happening.clock


def exact(spec: AlertSpec, split: Split) -> bool:
    """Whether its levels are the same numbers in new shares, but for the factor."""
    there = rescaled(spec, split.instrument, split.factor)
    return there is not None and rescaled(there, split.instrument, 1 / split.factor) == spec


def told(rings: Sequence[Ring]) -> list[tuple[int, int, str]]:
    return sorted((ring.alert, ring.at, ring.direction) for ring in rings)


@pytest.mark.timeout(300, method="thread")
@settings(max_examples=SPLITS, deadline=None, suppress_health_check=slow)
@given(
    world=worlds(),
    wanted=st.lists(alerts(), min_size=4, max_size=10),
    when=st.integers(1, 90),
    deaths=st.lists(st.integers(1, 60), max_size=3),
)
def test_a_split_changes_nothing_of_what_rings(
    world: World, wanted: list[AlertSpec], when: int, deaths: list[int]
) -> None:
    """The same market with one of its instruments split at any moment rings at the same moments; also where the engine
    dies before it, behind it, or on it."""
    times = [each.received_at for each in world.happenings if isinstance(each, Tick)]
    split = split_at(times[len(times) * when // 100] if times else MIDNIGHT_US)
    assume(times and split.at > times[0])  # a stream that begins behind it is in new shares
    specs = [spec for spec in wanted if exact(spec, split)]
    clock, market = 0, []
    for each in world.happenings:
        clock = max(clock, clock_of(each))
        market.append(in_new_shares(each, split) if clock >= split.at else each)
    whole = play(board_of(specs, INSTRUMENTS), frames_of(world.happenings, world.cuts))
    board = board_of(specs, INSTRUMENTS)
    board.splitting.expect([split])
    frames = frames_of(market, world.cuts)
    assert told(play(board, frames)) == told(whole)
    if deaths:
        died = with_deaths(specs, INSTRUMENTS, frames, sorted(deaths), set(range(0, 400, 3)), [split])
        assert told(died) == told(whole)


# ------------------------------------------------------------------------------------------------- words


def line_behind(line: str, numerator: int = 7, name: str = "AAPL") -> str | None:
    catalogue = build_catalogue({}, ["AAPL", "XAU-USD", "BTC-USD"])
    spec = rescaled(parse(line, catalogue.find), name, 1 / numerator)
    return None if spec is None else canonical(spec)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("AAPL > 700", "AAPL > 100"),
        ("AAPL > 645.57", "AAPL > 92.224286"),
        ("AAPL enters 630..700 every time", "AAPL enters 90..100 every time"),
        ("AAPL > 700 band 7", "AAPL > 100 band 1"),
        ("AAPL > 700 band 1%", "AAPL > 100 band 1%"),
        ("AAPL -5% in 1h", "AAPL -5% in 1h"),
        ("AAPL -14 in 1h", "AAPL -2 in 1h"),
        ("AAPL trails 3%", "AAPL trails 3%"),
        ("AAPL trails 21", "AAPL trails 3"),
        ("AAPL every 70", "AAPL every 10"),
        ("AAPL every 1%", "AAPL every 1%"),
        ("AAPL / XAU-USD > 0.7", "AAPL / XAU-USD > 0.1"),
        ("XAU-USD / AAPL > 2", "XAU-USD / AAPL > 14"),
        ("volume(AAPL, 1h) > 1000", "volume(AAPL, 1h) > 7000"),
        ("sma(AAPL, 50, 1d) > 700", "sma(AAPL, 50, 1d) > 100"),
        ("rsi(AAPL, 14, 1h) < 30", "rsi(AAPL, 14, 1h) < 30"),
        ("AAPL 14 below 52w high", "AAPL 2 below 52w high"),
        ("AAPL 5% below 52w high", "AAPL 5% below 52w high"),
        ("AAPL > 700 and XAU-USD > 1300", "AAPL > 100 and XAU-USD > 1300"),
        ("sma(AAPL, 50, 1d) crosses sma(AAPL, 200, 1d)", "sma(AAPL, 50, 1d) crosses sma(AAPL, 200, 1d)"),
        ("XAU-USD > 1300", "XAU-USD > 1300"),
        ("AAPL - XAU-USD > 7", None),
        ("AAPL > 700 and XAU-USD > 1300 band 7", None),
    ],
)
def test_an_alert_says_the_same_in_new_shares(before: str, behind: str | None) -> None:
    plain = build_catalogue({}, ["AAPL", "XAU-USD", "BTC-USD"]).find
    assert line_behind(canonical(parse(before, plain))) == (behind and canonical(parse(behind, plain)))


@pytest.mark.parametrize("word", ["", "7", "7:0", "0:7", "1:1", "7:1:1", "-7:1", "seven", "999999:1", "7.5:1"])
def test_what_is_no_split_is_said(word: str) -> None:
    with pytest.raises(BadRequest):
        parse_ratio(word)


def test_ratios_and_days_as_people_write_them() -> None:
    assert [parse_ratio(word) for word in ("7:1", "7-for-1", "1:10", "3/2", "7 for 1")] == [
        (7, 1), (7, 1), (1, 10), (3, 2), (7, 1),
    ]  # fmt: skip
    assert parse_day("2014-06-09") == "2014-06-09"
    with pytest.raises(BadRequest, match="write it like"):
        parse_day("9 June")


def test_a_split_is_in_effect_from_midnight_at_the_exchange() -> None:
    (apple,) = [each for each in CATALOGUE if each.id == "AAPL"]
    midnight = in_effect("2014-06-09", apple)
    assert midnight == 1_402_286_400 * SECOND_US  # 04:00 UTC: New York had daylight saving
    assert in_effect("2014-01-09", apple) % (86_400 * SECOND_US) == 5 * 3_600 * SECOND_US
    known = Splits([split_at(midnight, 7, name="AAPL"), split_at(midnight + 10, 2, name="AAPL")])
    assert known.factor("AAPL", midnight - 1, midnight - 1) == 1.0
    assert known.factor("AAPL", midnight - 1, midnight) == 1 / 7
    assert known.factor("AAPL", midnight, midnight + 9) == 1.0
    assert known.factor("AAPL", midnight - 1, midnight + 10) == pytest.approx(1 / 14)
    assert known.factor("MSFT", 0, midnight) == 1.0


# ------------------------------------------------------------------------------------------------- told


def trade(at_s: float, price: float) -> Tick:
    at = MIDNIGHT_US + round(at_s * SECOND_US)
    return Tick(NAME, Verdict.PRICE, TRADE, price, None, None, None, at, at, "a")


def test_an_alert_that_cannot_be_moved_is_paused_and_keeps_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    find = new_board(INSTRUMENTS).catalogue.find
    board = board_of([parse(line, find) for line in ("BTC-USD < 60000", "BTC-USD < 50000")], INSTRUMENTS)
    board.splitting.expect([split_at(MIDNIGHT_US + 10 * SECOND_US)])
    made = board.maker.made

    def broken(spec: AlertSpec, text: str, owner_id: int, alert_id: int = 0) -> Standing:
        if alert_id == 1:
            raise ArithmeticError
        return made(spec, text, owner_id, alert_id)

    monkeypatch.setattr(board.maker, "made", broken)
    play(board, frames_of([trade(1, 64_000.0), trade(11, 16_100.0), trade(12, 12_400.0)], set()))
    assert board.batch.changed[1].state == "paused"
    assert [rang.alert_id for rang in board.batch.fired] == [2]


def test_owners_hear_once_what_became_of_their_alerts() -> None:
    find = new_board(INSTRUMENTS).catalogue.find
    lines = ["BTC-USD < 60000", "BTC-USD -5% in 1h", "BTC-USD - XAU-USD < 1000", "XAU-USD > 1400"]
    board = board_of([parse(line, find) for line in lines], INSTRUMENTS)
    board.splitting.expect([split_at(MIDNIGHT_US + 10 * SECOND_US)])
    play(board, frames_of([trade(1, 64_000.0), trade(11, 16_100.0), trade(12, 15_300.0)], set()))
    assert [rang.alert_id for rang in board.batch.fired] == []
    (notice,) = board.batch.notices
    assert re.search("split 4:1", notice.title)
    assert notice.text.splitlines() == [
        "1: BTC-USD < 60000 is now BTC-USD < 15000",
        "3: BTC-USD - XAU-USD < 1000: paused, since no level says the same in new shares",
    ]
    play(board, frames_of([trade(13, 15_290.0), trade(14, 15_200.0)], set()), 2)
    assert [rang.alert_id for rang in board.batch.fired] == [2]  # 5 % under the highest of the hour: 16,100
    play(board, frames_of([trade(15, 14_999.0)], set()), 3)
    assert [rang.alert_id for rang in board.batch.fired] == [2, 1]
