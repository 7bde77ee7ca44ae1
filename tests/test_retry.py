"""When a delivery or a feed is tried again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model import Receipt
from hub.retry import Again, Dead, backoff, decide


def later(retry_after_s: float | None = None) -> Receipt:
    return Receipt(outcome="later", text="busy", retry_after_s=retry_after_s)


def decided(receipt: Receipt, attempt: int = 1, age_s: float = 0.0) -> Again | Dead:
    return decide(receipt, attempt=attempt, age_s=age_s, give_up_after_s=3600, random=lambda: 0.5)


def test_the_wait_doubles_up_to_its_cap() -> None:
    """Without jitter: 1, 2, 4 ... seconds and never more than the cap."""
    waits = [backoff(attempt, cap_s=60, random=lambda: 0.5) for attempt in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@given(
    attempt=st.integers(min_value=-3, max_value=10**9),
    first_s=st.floats(min_value=0.01, max_value=10),
    chance=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_a_wait_is_within_its_jitter_and_its_cap(attempt: int, first_s: float, chance: float) -> None:
    """However many attempts: at least 0.8 of the first wait, at most the cap."""
    assert 0.8 * first_s <= backoff(attempt, first_s=first_s, cap_s=60, random=lambda: chance) <= 60


def test_those_that_failed_together_do_not_come_back_together() -> None:
    """The default randomness spreads the same attempt."""
    assert len({backoff(3) for _ in range(20)}) > 10


def test_a_platforms_own_time_is_obeyed_exactly() -> None:
    """Never sooner, and no jitter on it."""
    assert decided(later(37.5), attempt=9) == Again(37.5, "busy")


@pytest.mark.parametrize("senseless", [None, 0.0, -5.0, math.nan, math.inf])
def test_a_senseless_time_is_replaced_by_our_own(senseless: float | None) -> None:
    """Nothing is asked in a hot loop because a platform said zero."""
    assert decided(later(senseless), attempt=3) == Again(4.0, "busy")


def test_a_refusal_is_the_end() -> None:
    """What a bot gives up on is given up, with its reason."""
    assert decided(Receipt(outcome="never", text="blocked by the user")) == Dead("blocked by the user")


def test_old_age_is_the_end() -> None:
    """What could not be sent within the limit is given up and says so."""
    assert decided(later(), age_s=3599) == Again(1.0, "busy")
    assert decided(later(), age_s=3600) == Dead("not sent within 1 h: busy")


def test_a_wait_past_the_limit_is_the_end_at_once() -> None:
    """Nobody is left believing in a message that cannot come in time."""
    assert decided(later(1800), age_s=1800) == Again(1800, "busy")
    assert decided(later(1801), age_s=1800) == Dead("asked to wait 1801 s, past the limit of 1 h: busy")
