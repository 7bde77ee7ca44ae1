"""Indicators over closes, one value a candle, None where there are too few candles before it. Pure.

Simple and exponential moving averages, Bollinger bands (John Bollinger: the simple average and twice the population's
standard deviation about it) and RSI (J. Welles Wilder, 1978: averages that take one part in `length` of what is new,
begun with the simple average of the first `length` moves).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

Curve = list[float | None]


def sma(values: Sequence[float], length: int) -> Curve:
    if length > len(values):
        return [None] * len(values)
    head: Curve = [None] * (length - 1)
    return head + [math.fsum(values[end - length : end]) / length for end in range(length, len(values) + 1)]


def ema(values: Sequence[float], length: int) -> Curve:
    """Begun with the simple average of the first `length`; then each value weighs 2 / (length + 1)."""
    if length > len(values):
        return [None] * len(values)
    weight, average = 2 / (length + 1), math.fsum(values[:length]) / length
    curve: Curve = [*[None] * (length - 1), average]
    for value in values[length:]:
        average += weight * (value - average)
        curve.append(average)
    return curve


def bollinger(values: Sequence[float], length: int, widths: float = 2.0) -> tuple[Curve, Curve, Curve]:
    """The lower band, the average and the upper band."""
    middle = sma(values, length)
    lower: Curve = []
    upper: Curve = []
    for index, mean in enumerate(middle):
        if mean is None:
            lower.append(None)
            upper.append(None)
        else:
            window = values[index + 1 - length : index + 1]
            spread = widths * math.sqrt(math.fsum((value - mean) ** 2 for value in window) / length)
            lower.append(mean - spread)
            upper.append(mean + spread)
    return lower, middle, upper


def rsi(values: Sequence[float], length: int) -> Curve:
    """Between 0 and 100; 50 where nothing moved."""
    if length >= len(values):
        return [None] * len(values)
    moves = [after - before for before, after in pairwise(values)]
    gain = math.fsum(max(move, 0.0) for move in moves[:length]) / length
    loss = math.fsum(max(-move, 0.0) for move in moves[:length]) / length
    curve: Curve = [*[None] * length, _strength(gain, loss)]
    for move in moves[length:]:
        gain += (max(move, 0.0) - gain) / length
        loss += (max(-move, 0.0) - loss) / length
        curve.append(_strength(gain, loss))
    return curve


def _strength(gain: float, loss: float) -> float:
    return 100 * (gain / (gain + loss)) if gain + loss > 0 else 50.0
