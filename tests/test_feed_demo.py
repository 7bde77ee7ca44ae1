"""plugins.feeds.demo: the simulated market is deterministic, believable and never silent."""

import asyncio
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import demo as demo_hub
from hub.instruments import build_catalogue
from hub.model import SECOND_US, Kind, Refused, Tick
from hub.plugin import GiveUp
from plugins.feeds import demo

START = 1_792_000_000_000_000
DAY_S = 86_400


def walk(symbol: str, seed: int, seconds: int, *, profiles: Mapping[str, demo.Profile] = demo.PROFILES) -> list[Tick]:
    market = demo.Market({symbol: profiles[symbol]}, seed, START)
    return [tick for second in range(seconds + 1) for tick in market.step(START + second * SECOND_US)]


def price(tick: Tick) -> float:
    if tick.price is not None:
        return tick.price
    assert tick.bid is not None
    assert tick.ask is not None
    return (tick.bid + tick.ask) / 2


def test_the_same_seed_makes_the_same_market_and_another_seed_another() -> None:
    """A seed and a start fix every tick, however the steps are cut."""
    once = demo.Market(demo.PROFILES, 7, START)
    again = demo.Market(demo.PROFILES, 7, START)
    whole = once.step(START + 4 * SECOND_US)
    parts = [tick for tenth in range(41) for tick in again.step(START + tenth * SECOND_US // 10)]
    assert whole == parts
    assert whole != demo.Market(demo.PROFILES, 8, START).step(START + 4 * SECOND_US)


def test_an_instrument_moves_the_same_way_whichever_others_there_are() -> None:
    """Adding an instrument to a seeded demo changes no other."""
    alone = walk("XAU-USD", 3, 60)
    market = demo.Market(demo.PROFILES, 3, START)
    among = [t for s in range(61) for t in market.step(START + s * SECOND_US) if t.instrument == "XAU-USD"]
    assert alone == among


def test_the_first_step_holds_one_tick_of_each_instrument_near_its_start_price() -> None:
    """Nobody waits for the first price."""
    ticks = demo.Market(demo.PROFILES, 1, START).step(START)
    assert {tick.instrument for tick in ticks} == set(demo.PROFILES)
    for tick in ticks:
        assert price(tick) == pytest.approx(demo.PROFILES[tick.instrument].start, rel=0.15)
        assert tick.venue_time == START


@pytest.mark.parametrize("symbol", sorted(demo.PROFILES))
def test_prices_are_positive_whole_steps_and_bid_is_below_ask(symbol: str) -> None:
    """An hour holds nothing that a market could not show, and a few ticks a second."""
    profile, ticks = demo.PROFILES[symbol], walk(symbol, 5, 3600)
    assert 1.0 < len(ticks) / 3600 < 6.0
    for before, tick in pairwise(ticks):
        assert (before.venue_time or 0) < (tick.venue_time or 0)
    for tick in ticks:
        assert tick.kind is profile.kind
        assert tick.number is None
        if profile.kind is Kind.QUOTE:
            assert tick.bid is not None
            assert tick.ask is not None
            assert 0 < tick.bid < tick.ask
            assert round(tick.bid, profile.decimals) == tick.bid
        else:
            assert tick.price is not None
            assert tick.price > 0
            assert round(tick.price, profile.decimals) == tick.price
            assert tick.volume is not None
            assert tick.volume > 0


@pytest.mark.parametrize("symbol", ["XAU-USD", "BTC-USD"])
def test_a_days_volatility_is_the_profiles(symbol: str) -> None:
    """The yearly volatility measured on minutes of a simulated day is near the profile's."""
    minutes: dict[int, float] = {}
    for tick in walk(symbol, 11, DAY_S):
        minutes[(tick.venue_time or 0) // (60 * SECOND_US)] = math.log(price(tick))
    moves = [after - before for before, after in pairwise(minutes.values())]
    variance_per_s = sum(move**2 for move in moves) / DAY_S
    measured = math.sqrt(variance_per_s * demo.YEAR_S)
    assert 0.7 < measured / demo.PROFILES[symbol].volatility < 1.4


@pytest.mark.parametrize("symbol", sorted(demo.PROFILES))
def test_a_market_that_starts_again_goes_on_where_the_clock_says(symbol: str) -> None:
    """A restart is no jump: the new market is at the price of one that never stopped, within spread and rounding."""
    profile, running = {symbol: demo.PROFILES[symbol]}, walk(symbol, 6, 900)
    at = running[-1].venue_time or 0
    again = demo.Market(profile, 6, at).step(at)[0]
    assert price(again) == pytest.approx(price(running[-1]), abs=3 * profile[symbol].spread)
    assert again != walk(symbol, 7, 900)[-1]


@given(at_s=st.integers(1_500_000_000, 2_500_000_000), name=st.text(max_size=5))
def test_a_path_has_no_jump_anywhere_and_stays_near_its_start(at_s: int, name: str) -> None:
    """Across the ends of seconds, bursts and slots a millisecond moves it by less than a burst's second can."""
    path = demo.Path(name)
    near = [path.at(at_s * SECOND_US + edge) for edge in (-1000, 0, 1000)]
    assert max(abs(after - before) for before, after in pairwise(near)) < 1.0
    assert abs(near[0]) < 2000
    assert near == [demo.Path(name).at(at_s * SECOND_US + edge) for edge in (-1000, 0, 1000)]


def test_bursts_are_faster_and_wider_than_quiet_times() -> None:
    """Ticks cluster: some seconds hold many, and the spread of those is wider."""
    ticks = walk("XAU-USD", 2, 3600)
    seconds: dict[int, list[float]] = {}
    for tick in ticks:
        seconds.setdefault((tick.venue_time or 0) // SECOND_US, []).append((tick.ask or 0) - (tick.bid or 0))
    busy = [spread for spreads in seconds.values() if len(spreads) >= 8 for spread in spreads]
    calm = [spread for spreads in seconds.values() if len(spreads) <= 2 for spread in spreads]
    assert len(busy) > 100
    assert sum(busy) / len(busy) > 1.5 * sum(calm) / len(calm)


def test_after_a_pause_the_market_goes_on_from_now_and_catches_nothing_up() -> None:
    """A machine that slept for an hour does not emit an hour of ticks."""
    market = demo.Market(demo.PROFILES, 1, START)
    market.step(START)
    later = START + 3600 * SECOND_US
    ticks = market.step(later)
    assert 0 < len(ticks) < 600
    assert min(tick.venue_time or 0 for tick in ticks) >= later - demo.MAX_PAUSE_US
    assert market.next_at > later


def test_speed_multiplies_the_ticks_and_not_the_moves() -> None:
    """Ten times the ticks an hour; the volatility of the same order."""
    fast = demo.Market({"BTC-USD": demo.PROFILES["BTC-USD"]}, 4, START, speed=10.0)
    ticks = [tick for second in range(601) for tick in fast.step(START + second * SECOND_US)]
    assert 10.0 < len(ticks) / 600 < 60.0
    assert abs(math.log(price(ticks[-1]) / price(ticks[0]))) < 0.05


def test_instruments_can_be_named_otherwise_and_started_elsewhere() -> None:
    """The vendor's name says whose walk it is; start prices are by instrument."""
    profiles = demo.profiles_of({"GOLD": "XAU-USD", "AAPL": ""}, {"GOLD": 2400.0})
    assert profiles["GOLD"].start == 2400.0
    assert profiles["GOLD"].kind is Kind.QUOTE
    assert profiles["AAPL"] == demo.PROFILES["AAPL"]
    assert demo.profiles_of({}, {}) == demo.PROFILES


@pytest.mark.parametrize(("symbols", "start"), [({"X": "PLUTO"}, {}), ({"AAPL": "AAPL"}, {"XAU-USD": 1.0})])
def test_what_the_demo_does_not_have_is_named(symbols: dict[str, str], start: dict[str, float]) -> None:
    """A wrong instrument is a sentence with its name, not an empty market."""
    with pytest.raises(GiveUp, match=r"PLUTO|XAU-USD"):
        demo.profiles_of(symbols, start)


def test_with_sessions_a_stock_is_silent_on_a_sunday_and_a_coin_is_not() -> None:
    """`sessions = true` honours the market's hours: 2026-11-15 was a Sunday, 2026-11-16 a Monday."""
    open_at = demo.opening_hours(demo.PROFILES)
    sunday_noon, monday_noon = 1_794_762_000_000_000, 1_794_848_400_000_000  # in New York
    assert not open_at("AAPL", sunday_noon)
    assert open_at("BTC-USD", sunday_noon)
    assert open_at("AAPL", monday_noon)
    assert open_at("XAU-USD", monday_noon)


async def test_run_emits_every_instrument_at_once_and_goes_on() -> None:
    """The first ticks of all instruments come before anything is waited for."""
    got: list[Tick] = []

    async def emit(update: Tick | Refused) -> None:
        assert isinstance(update, Tick)
        got.append(update)

    running = asyncio.ensure_future(demo.run(demo.Settings(seed=1, speed=50.0), {}, emit, {}))
    try:
        await asyncio.sleep(0.01)
        assert {tick.instrument for tick in got} == set(demo.PROFILES)
        first = len(got)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if len(got) > first + 20:
                break
        assert len(got) > first + 20
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert running.cancelled()


def test_the_demo_moves_at_any_hour_of_every_day() -> None:
    """Its instruments have no closing time, so that nobody meets a hub without prices at the weekend."""
    config = demo_hub.config(Path("somewhere"))
    catalogue = build_catalogue(config.instruments, config.feeds[0].symbols)
    sessions = {instrument.id: instrument.session for instrument in catalogue.served()}
    assert sessions == dict.fromkeys(demo_hub.SYMBOLS, "24x7")
