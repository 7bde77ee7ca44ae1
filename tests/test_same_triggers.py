"""The engine rings what a slow reference rings: on random markets, across deaths, and on two real days.

The reference (tests/reference.py) is written from the semantics alone and looks at everything whenever anything
happens. TOCSIN_WORLDS=n tries so many random markets, TOCSIN_DAYS=1 plays the real days whole (some minutes).
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.model import Verdict
from hub.rules.series import Difference, Indicator, Price
from hub.rules.spec import AlertSpec, Clause, canonical
from tests import reference_days as days
from tests.reference import Happening, Reference, Ring
from tests.reference_board import board_of, differences, frames_of, play, with_a_join, with_deaths
from tests.reference_market import QUOTE, TRADE, Tick
from tests.reference_wanted import alerts
from tests.reference_worlds import INSTRUMENTS, World, tick, worlds

WORLDS = int(os.environ.get("TOCSIN_WORLDS") or 250)
AROUND = 10_000
"""Happenings before and behind half past twelve, when the payrolls came, that are always played."""
slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
needs_data = pytest.mark.skipif(not days.PAYROLLS.exists(), reason="the recorded days are not here (TOCSIN_DATA)")
whole_days = pytest.mark.skipif(not os.environ.get("TOCSIN_DAYS"), reason="takes minutes: TOCSIN_DAYS=1 plays them")

tried: Counter[str] = Counter()
rang: Counter[str] = Counter()
"""Alerts of each kind in the worlds of this run, and those of them that rang."""


def hold(specs: Sequence[AlertSpec], reference: Reference, got: Sequence[Ring]) -> None:
    """AssertionError with the first alert that rang otherwise, pair by pair of reference and hub. Where a level was so
    near that rounding decides, an alert is left out."""
    for index, spec in enumerate(specs):
        if not reference.alerts[index].close:
            assert (canonical(spec), differences(spec, index, reference.rings, got)) == (canonical(spec), [])


def kinds(spec: AlertSpec) -> Iterator[str]:
    yield from (f"is {clause.condition}" for clause in spec.clauses)
    yield from (f"of {type(clause.series).__name__}" for clause in spec.clauses)
    yield f"joined by {spec.join!r}"
    yield spec.repeat
    for clause in spec.clauses:
        if isinstance(clause.series, Indicator):
            yield f"on {'live' if clause.series.live else 'closed'} {clause.series.name.partition('_')[0]}"
    for word, said in (
        ("lasting", spec.hold_us), ("seldom", spec.at_most_us), ("until", spec.until_us), ("banded", spec.band),
        ("confirmed", spec.sources > 1),
    ):  # fmt: skip
        if said:
            yield word


# ------------------------------------------------------------------------------------------ random markets


@pytest.mark.timeout(300, method="thread")  # an engine that turns for ever is stopped in its shrinking too
@settings(max_examples=WORLDS, deadline=None, suppress_health_check=slow)
@given(world=worlds(), specs=st.lists(alerts(), min_size=4, max_size=10))
def test_any_alerts_in_any_market_ring_as_the_reference_says(world: World, specs: list[AlertSpec]) -> None:
    """At the same moment of the stream's clock, at the same level, with the same value; however frames are cut."""
    reference = Reference(specs, INSTRUMENTS)
    rings = reference.feed(world.happenings)
    for index, spec in enumerate(specs):
        tried.update(set(kinds(spec)))
        if any(ring.alert == index for ring in rings):
            rang.update(set(kinds(spec)))
    hold(specs, reference, play(board_of(specs, INSTRUMENTS), frames_of(world.happenings, world.cuts)))


def test_every_kind_of_alert_rings_in_these_markets() -> None:
    """What never rings would be tested in name only. A kind that a run has tried a few times only says nothing."""
    often = {kind: count for kind, count in tried.items() if count >= 60}
    if len(often) < 20:
        pytest.skip("the markets were not played in this run")
    assert {kind: count for kind, count in often.items() if not rang[kind]} == {}


@pytest.mark.timeout(300, method="thread")  # an engine that turns for ever is stopped in its shrinking too
@settings(max_examples=max(WORLDS // 5, 1), deadline=None, suppress_health_check=slow)
@given(
    world=worlds(),
    specs=st.lists(alerts(), min_size=3, max_size=8),
    deaths=st.lists(st.integers(0, 250), min_size=1, max_size=4),
    commits=st.lists(st.integers(0, 250), max_size=8),
)
def test_a_death_at_any_frame_changes_nothing(
    world: World, specs: list[AlertSpec], deaths: list[int], commits: list[int]
) -> None:
    """A board that begins anew, from what was committed and the frames so far, rings on as if nothing had been."""
    frames = frames_of(world.happenings, world.cuts)
    reference = Reference(specs, INSTRUMENTS)
    reference.feed(world.happenings)
    dies, commits = (sorted({1 + place % max(len(frames), 1) for place in places}) for places in (deaths, commits))
    hold(specs, reference, with_deaths(specs, INSTRUMENTS, frames, dies, set(commits)))


@pytest.mark.timeout(300, method="thread")
@settings(max_examples=max(WORLDS // 5, 1), deadline=None, suppress_health_check=slow)
@given(
    world=worlds(),
    specs=st.lists(alerts(), min_size=3, max_size=8),
    parts=st.sets(st.integers(1, 8)),
    at=st.integers(0, 250),
)
def test_a_board_that_takes_over_the_alerts_of_another_changes_nothing(
    world: World, specs: list[AlertSpec], parts: set[int], at: int
) -> None:
    """As engines do that share the owners; what only the other one had asked of the market comes along."""
    frames = frames_of(world.happenings, world.cuts)
    reference = Reference(specs, INSTRUMENTS)
    reference.feed(world.happenings)
    hold(specs, reference, with_a_join(specs, INSTRUMENTS, frames, parts, at % max(len(frames), 1)))


def test_what_only_the_other_board_had_asked_of_an_instrument_comes_along() -> None:
    """The last trade of one whose price is of quotes: here stands something on its quotes only, there on its trades."""
    quotes, trades = (Price(instrument="EUR-USD", side=side) for side in ("mid", "last"))
    specs = [
        AlertSpec(clauses=(Clause(series=series, condition="crosses", level=1.26),), repeat="every time")
        for series in (quotes, trades)
    ]
    apart = Clause(
        series=Difference(first=trades, second=Price(instrument="XAU-USD")), condition="above", level=-1298.75
    )
    specs.append(AlertSpec(clauses=(apart,), repeat="every time"))
    world = [
        tick("EUR-USD", Verdict.PRICE, QUOTE, 0, 1, None, 1_000_000, "a"),
        tick("EUR-USD", Verdict.ASIDE, TRADE, 1, 1, None, 2_000_000, "a"),
        tick("XAU-USD", Verdict.PRICE, QUOTE, 2, 1, None, 3_000_000, "a"),
        tick("XAU-USD", Verdict.PRICE, QUOTE, 0, 1, None, 4_000_000, "a"),
        tick("EUR-USD", Verdict.ASIDE, TRADE, 5, 1, None, 5_000_000, "a"),
    ]
    frames = frames_of(world, set(range(len(world))))
    reference = Reference(specs, INSTRUMENTS)
    assert {ring.alert for ring in reference.feed(world)} == {1, 2}
    hold(specs, reference, with_a_join(specs, INSTRUMENTS, frames, {1}, 3))


# --------------------------------------------------------------------------------------------- real days


def hold_the_day(happenings: Sequence[Happening], specs: Sequence[AlertSpec], least: int) -> None:
    """With a frame now and then of many ticks, as in bursts; and so many rings at least."""
    reference = Reference(specs, days.INSTRUMENTS, thorough=False)
    rings = reference.feed(happenings)
    cuts = {place for place in range(0, len(happenings), 7) if place % 13 != 5}
    names = sorted({each.instrument for each in happenings if isinstance(each, Tick)})
    hold(specs, reference, play(board_of(specs, names), frames_of(happenings, cuts)))
    assert len(rings) >= least
    assert all(first.at <= second.at for first, second in pairwise(rings))


@needs_data
def test_the_payrolls_ring_the_same() -> None:
    """The minutes around half past twelve: gold jumps and comes back, the euro is told by two sources."""
    happenings = days.payrolls()
    place = next(
        place
        for place, each in enumerate(happenings)
        if isinstance(each, Tick) and each.received_at >= days.HALF_PAST_TWELVE_US
    )
    hold_the_day(happenings[place - AROUND : place + AROUND], days.payroll_alerts(), 200)


@needs_data
@whole_days
@pytest.mark.timeout(3600)
def test_the_whole_day_of_the_payrolls_rings_the_same() -> None:
    """265,015 ticks of gold, 49,341 of the euro and 96,406 of a source that stands by."""
    hold_the_day(days.payrolls(), days.payroll_alerts(), 3_000)


@needs_data
@whole_days
@pytest.mark.timeout(3600)
def test_a_day_of_trades_rings_the_same() -> None:
    """64,712 trades with their volumes."""
    hold_the_day(days.comex(), days.comex_alerts(), 3_000)
