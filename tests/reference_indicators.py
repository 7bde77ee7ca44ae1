"""Indicators by the textbook, each time over all closes."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt


def indicator(name: str, numbers: Sequence[float], closes: Sequence[float]) -> float | None:
    if name.startswith("macd"):
        return macd(name, int(numbers[0]), int(numbers[1]), int(numbers[2]), closes)
    n = int(numbers[0])
    if name == "rsi":
        return rsi(n, closes)
    if len(closes) < n:
        return None
    if name == "ema":
        return ema(n, closes)[-1]
    mean = sum(closes[-n:]) / n
    if name in ("sma", "bollinger_middle"):
        return mean
    deviation = sqrt(sum((close - mean) ** 2 for close in closes[-n:]) / n)
    return mean + numbers[1] * deviation * (1 if name == "bollinger_upper" else -1)


def ema(n: int, values: Sequence[float]) -> list[float]:
    """From the n-th value on."""
    if len(values) < n:
        return []
    averages, share = [sum(values[:n]) / n], 2 / (n + 1)
    for value in values[n:]:
        averages.append(value * share + averages[-1] * (1 - share))
    return averages


def macd(name: str, fast: int, slow: int, signal: int, closes: Sequence[float]) -> float | None:
    quick, steady = ema(fast, closes), ema(slow, closes)
    both = min(len(quick), len(steady))
    line = [one - other for one, other in zip(quick[-both:], steady[-both:], strict=True)] if both else []
    signals = ema(signal, line)
    if name == "macd":
        return line[-1] if line else None
    if not signals:
        return None
    return signals[-1] if name == "macd_signal" else line[-1] - signals[-1]


def rsi(n: int, closes: Sequence[float]) -> float | None:
    """By Wilder; the first averages are over the first n - 1 changes, the n-th is smoothed in."""
    if len(closes) < n + 1:
        return None
    changes = [after - before for before, after in pairwise(closes)]
    gain = sum(change for change in changes[: n - 1] if change > 0) / (n - 1)
    loss = sum(-change for change in changes[: n - 1] if change < 0) / (n - 1)
    for change in changes[n - 1 :]:
        gain = (gain * (n - 1) + max(change, 0.0)) / n
        loss = (loss * (n - 1) + max(-change, 0.0)) / n
    return 100.0 if loss == 0 else 100 - 100 / (1 + gain / loss)
