"""hub.clocks: a vendor's clock is found wrong by what is steady about its stamps, and by nothing else."""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.clocks import AHEAD_US, JUDGE_EVERY, LATE_US, NEAR_US, SAMPLES, SELDOM_US, Finding, Watch, judge, told
from hub.clocks import zone_behind as zone
from hub.model import SECOND_US
from plugins.feeds.recordings import zone_of

HOUR_US = 3_600 * SECOND_US
MINUTE_US = 60 * SECOND_US
NOON = 1_772_366_400 * SECOND_US


def seen(watch: Watch, ticks: Iterable[tuple[int, int]]) -> list[Finding | None]:
    """(venue_time, received_at) as ingest shows them; every finding that is another one than before."""
    found = []
    for venue_time, received_at in ticks:
        if received_at >= watch.look_at and watch.see(venue_time, received_at):
            found.append(watch.finding)
    return found


def live(
    by_us: int, *, count: int = 400, every_us: int = SECOND_US, start: int = NOON, seed: int = 1
) -> list[tuple[int, int]]:
    """A vendor's ticks, each on its way for up to 300 ms, by a clock that is so far behind."""
    chance = random.Random(seed)
    came = (start + place * every_us + chance.randrange(300_000) for place in range(count))
    return [(received_at - by_us - chance.randrange(300_000), received_at) for received_at in came]


# ------------------------------------------------------------------------------------------------ the rule


@given(hours=st.integers(1, 14), ahead=st.booleans(), beside=st.integers(-NEAR_US, NEAR_US))
def test_a_distance_near_a_whole_number_of_hours_is_a_time_zone(hours: int, ahead: bool, beside: int) -> None:
    """Whatever some minutes beside it come from."""
    whole = hours * HOUR_US * (-1 if ahead else 1)
    found = judge(whole + beside)
    assert found is not None
    assert (found.zone_us, found.distrusted) == (whole, True)


@given(by_us=st.integers(-AHEAD_US, LATE_US))
def test_a_clock_that_is_nearly_right_is_right(by_us: int) -> None:
    """A slow vendor is late by seconds, this machine's clock may be off by some."""
    assert judge(by_us) is None


@pytest.mark.parametrize(
    ("minutes", "zone_minutes", "distrusted"),
    [
        (5 * 60 + 30, 330, True), (90, 90, True), (-150, -150, True), (20, 0, False), (16, 0, False), (30, 0, False),
        (-2, 0, False), (-20, 0, True), (16 * 60, 0, False), (-20 * 60, 0, True), (3 * 1440, 0, False),
    ],
)  # fmt: skip
def test_other_distances(minutes: int, zone_minutes: int, distrusted: bool) -> None:
    """Half hours are zones too. Late alone is not a wrong clock: vendors sell old prices, and fixings are of their
    day. What is from the future is no time of anything."""
    found = judge(minutes * MINUTE_US)
    assert found is not None
    assert (found.zone_us, found.distrusted) == (zone_minutes * MINUTE_US, distrusted)


# ------------------------------------------------------------------------------------------------ over time


@given(hours=st.integers(-14, 14), seed=st.integers(0, 1000), every_ms=st.integers(20, 60_000))
def test_a_steady_clock_is_found_and_said_once(hours: int, seed: int, every_ms: int) -> None:
    """From a minute between two ticks to fifty a second."""
    count = max(400, SAMPLES * 1_000 // every_ms)
    ticks = live(hours * HOUR_US, count=count, every_us=every_ms * 1_000, seed=seed)
    assert [one and one.zone_us for one in seen(Watch(), ticks)] == ([hours * HOUR_US] if hours else [])


def test_it_is_found_within_a_minute_of_a_busy_market_and_cleared_again() -> None:
    """And forgotten as fast once the vendor, or its zone, is right."""
    watch = Watch()
    wrong = live(5 * HOUR_US, count=600, every_us=100_000)
    assert [one and one.zone_us for one in seen(watch, wrong)] == [5 * HOUR_US]
    again = live(0, count=600, every_us=100_000, start=NOON + HOUR_US)
    assert seen(watch, again) == [None]


def test_one_sort_of_wrong_may_become_another() -> None:
    """Late prices, then a clock that is ahead, then a time zone; some seconds more or less are no news."""
    watch = Watch()
    ticks = [
        each
        for place, by_us in enumerate((20 * MINUTE_US, 22 * MINUTE_US, -2 * MINUTE_US, -20 * MINUTE_US, HOUR_US, 0))
        for each in live(by_us, count=200, start=NOON + place * 600 * SECOND_US)
    ]
    found = seen(watch, ticks)
    assert [one and (one.by_us > 0, one.zone_us) for one in found] == [
        (True, 0), (False, 0), (False, 0), (True, HOUR_US), None
    ]  # fmt: skip


def test_a_clock_that_was_right_for_long_is_looked_at_seldom_and_closely_when_it_jumps() -> None:
    """A broker's clock goes back an hour in autumn: known a minute later."""
    watch = Watch()
    assert seen(watch, live(0, count=3_600)) == []
    assert watch.look_at > NOON + 3_600 * SECOND_US
    jumped = live(HOUR_US, count=90, start=NOON + HOUR_US)
    assert [one and one.zone_us for one in seen(watch, jumped)] == [HOUR_US]
    assert watch.look_at - jumped[-1][1] < SELDOM_US


@given(bad=st.integers(1, SAMPLES // 5), seed=st.integers(0, 1000))
def test_single_odd_stamps_say_nothing(bad: int, seed: int) -> None:
    """Late trades of the hour before among those of now."""
    chance = random.Random(seed)
    ticks = live(0, count=SAMPLES + JUDGE_EVERY, seed=seed)
    for place in chance.sample(range(len(ticks)), bad):
        venue_time, received_at = ticks[place]
        ticks[place] = (venue_time - HOUR_US, received_at)
    assert seen(Watch(), ticks) == []


@given(times=st.integers(2, 1000), hours=st.integers(1, 14), seed=st.integers(0, 100))
def test_what_a_vendor_catches_up_on_is_no_clock(times: int, hours: int, seed: int) -> None:
    """After a gap it sends what was missed, faster than it was, until it is at now."""
    chance = random.Random(seed)
    ticks: list[tuple[int, int]] = []
    received_at, behind = NOON, hours * HOUR_US
    while behind > 0 and len(ticks) < 5_000:
        received_at += (step := chance.randrange(1, SECOND_US))
        behind -= step * (times - 1)
        ticks.append((received_at - max(behind, 0), received_at))
    assert seen(Watch(), ticks) == []


def test_a_price_that_is_shown_again_and_again_says_nothing() -> None:
    """A polled source behind the close, whose stamp stands still."""
    assert seen(Watch(), [(NOON, NOON + 5 * HOUR_US + second * SECOND_US) for second in range(600)]) == []


def test_fixings_and_what_is_as_rare_say_nothing() -> None:
    """A day's rate is stamped at midnight and comes in the afternoon, always at the same time."""
    assert seen(Watch(), [(NOON + day * 24 * HOUR_US, NOON + (day * 24 + 4) * HOUR_US) for day in range(500)]) == []


def test_stamps_at_random_say_nothing() -> None:
    """Whatever a broken vendor sends, it has no steady distance."""
    chance = random.Random(7)
    ticks = [(NOON + chance.randrange(24) * HOUR_US, NOON + second * SECOND_US) for second in range(3_000)]
    assert seen(Watch(), ticks) == []


# -------------------------------------------------------------------------------------------------- words


@given(halves=st.integers(-28, 28))
def test_the_zone_that_is_named_is_the_right_one(halves: int) -> None:
    """Read by what reads `time_zone`, it puts the stamps where they belong."""
    offset = datetime(2026, 1, 1, tzinfo=zone_of(zone(halves * 30 * MINUTE_US))).utcoffset()
    assert offset == timedelta(minutes=-30 * halves)


@pytest.mark.parametrize(
    ("by", "time_zone", "said"),
    [
        (5 * 60, "", 'fxcm\'s clock looks 5 h behind: set time_zone = "Etc/GMT+5" in [feeds.fxcm]'),
        (-121, "UTC", 'fxcm\'s clock looks 2 h ahead: set time_zone = "Etc/GMT-2" in [feeds.fxcm]'),
        (330, "", 'fxcm\'s clock looks 5 h 30 min behind: set time_zone = "UTC-5:30" in [feeds.fxcm]'),
        (60, "Europe/Athens", 'time_zone = "Europe/Athens" in [feeds.fxcm] is not the zone of its stamps'),
        (60, None, "fxcm's clock looks 1 h behind: its stamps are not used until that is right"),
        (-3, "", "fxcm's clock looks 3 min ahead: is this machine's clock right?"),
        (20, "", "fxcm's prices come 20 min after their own times"),
    ],
)
def test_what_is_said_names_what_is_to_be_done(by: int, time_zone: str | None, said: str) -> None:
    found = judge(by * MINUTE_US)
    assert found is not None
    assert said in told("fxcm", found, "fxcm", time_zone=time_zone)
