"""Numbers along an axis, and labels that keep out of each other's way. Pure."""

import math
from collections.abc import Sequence

SHARES = (1.0, 2.0, 2.5, 5.0)
ROOM = 0.06  # of the range, above and below what is drawn


def bounds(low: float, high: float, decimals: int) -> tuple[float, float]:
    """The axis's ends for what lies between low and high. A price that never moved stands in the middle."""
    if high > low:
        room = (high - low) * ROOM
        return low - room, high + room
    room = max(abs(low) * 0.001, 5 * 10.0**-decimals)
    return low - room, high + room


def ticks(low: float, high: float, most: int) -> tuple[list[float], int]:
    """At most so many round numbers between two ends, and the decimals that tell them apart."""
    if not high > low or most < 1:
        return [], 0
    power = math.floor(math.log10((high - low) / most))
    for exponent in (power, power + 1, power + 2):
        for share in SHARES:
            step = share * 10.0**exponent
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if 0 < last - first + 1 <= most:
                return [index * step for index in range(first, last + 1)], _decimals(share, exponent)
    return [], 0


def _decimals(share: float, exponent: int) -> int:
    return max(0, -exponent + (1 if share == 2.5 else 0))


def number(value: float, decimals: int) -> str:
    """ "2,411.20"; what rounds to nothing has no sign."""
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def percent(value: float, decimals: int = 2) -> str:
    """ "+1.20 %" of 1.2."""
    shown = round(value, decimals) + 0.0
    return f"{shown:+,.{decimals}f} %" if shown else f"{shown:,.{decimals}f} %"


def decimals_for(value: float, digits: int = 5) -> int:
    """Decimals that show about so many digits of a number that brings none of its own, as a ratio."""
    if not math.isfinite(value) or value == 0:
        return 2
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), 10)


def short(value: float) -> str:
    """ "1.2 M": a volume, in three digits or so."""
    for size, letter in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def spread(centres: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Where labels of these heights go so that none covers another, each as near to its own place as the others let
    it, all between the two ends; in the order they were given. They fit: their heights together are at most
    high - low. (Pools of labels that push each other share the mean of what they want, as in isotonic regression.)"""
    order = sorted(range(len(centres)), key=lambda index: (centres[index], index))
    before, edges = 0.0, []
    for index in order:
        edges.append(before)
        before += heights[index]
    pools: list[tuple[float, int]] = []  # sum of the wanted lower ends of the stack, how many labels
    for place, index in enumerate(order):
        total, count = centres[index] - heights[index] / 2 - edges[place], 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            above = pools.pop()
            total, count = total + above[0], count + above[1]
        pools.append((total, count))
    placed = [0.0] * len(centres)
    starts = [total / count for total, count in pools for _ in range(count)]
    for place, index in enumerate(order):
        start = min(max(starts[place], low), max(low, high - before))
        placed[index] = start + edges[place] + heights[index] / 2
    return placed


def nearest(prices: Sequence[float], price: float, most: int) -> list[int]:
    """The places of the `most` prices that are nearest to one."""
    return sorted(sorted(range(len(prices)), key=lambda index: abs(prices[index] - price))[:most])
