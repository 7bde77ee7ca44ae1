"""When to try again, and when to stop trying: pure decisions for deliveries and for feeds.

Attempts count from 1. `decide` obeys a platform's own time exactly, never sooner; without one it doubles the wait
up to a cap, with jitter so that many that failed together do not come back together. Depends on hub.model only.
"""

import math
import random
from collections.abc import Callable

import msgspec

from hub.model import Receipt


class Again(msgspec.Struct, frozen=True):
    after_s: float
    reason: str


class Dead(msgspec.Struct, frozen=True):
    reason: str


def backoff(
    attempt: int,
    *,
    first_s: float = 1.0,
    cap_s: float = 300.0,
    jitter: float = 0.2,
    random: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait after the `attempt`-th failure in a row: doubling from `first_s`, spread by ± `jitter` of
    itself, never above `cap_s`. `random` returns a number in [0, 1)."""
    doublings = min(max(attempt, 1) - 1, 60)
    wait_s = min(first_s * 2.0**doublings, cap_s)
    return min(wait_s * (1.0 + jitter * (2.0 * random() - 1.0)), cap_s)


def decide(
    receipt: Receipt,
    *,
    attempt: int,
    age_s: float,
    give_up_after_s: float,
    cap_s: float = 300.0,
    random: Callable[[], float] = random.random,
) -> Again | Dead:
    """What follows a receipt that is not "sent". `age_s` is how long the oldest notification has waited."""
    if receipt.outcome in ("never", "gone"):
        return Dead(receipt.text or "refused without a reason")
    reason = receipt.text or "no reason given"
    asked_s = receipt.retry_after_s
    if age_s >= give_up_after_s:
        return Dead(f"not sent within {_hours(give_up_after_s)}: {reason}")
    if asked_s is None or not math.isfinite(asked_s) or asked_s <= 0:
        return Again(backoff(attempt, cap_s=cap_s, random=random), reason)
    if age_s + asked_s > give_up_after_s:
        return Dead(f"asked to wait {asked_s:g} s, past the limit of {_hours(give_up_after_s)}: {reason}")
    return Again(asked_s, reason)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h"
