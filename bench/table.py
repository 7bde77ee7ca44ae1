"""How figures are shown: medians with their spread, and ratios to something measured in the same run."""

import statistics
import time
from collections.abc import Callable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table


class Figure(msgspec.Struct, frozen=True):
    """Repeated measurements of one thing, in one unit."""

    name: str
    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        return f"{_number(min(self.values))} to {_number(max(self.values))}"


def timed(work: Callable[[], object], repeats: int = 5) -> list[float]:
    """Seconds of each of `repeats` runs, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return seconds


def show(title: str, figures: Sequence[Figure], *, beside: Figure, goal: str = "") -> None:
    """A table of medians, spreads and ratios to `beside`."""
    table = Table("", "median", "spread", f"ratio to {beside.name}", title=title, title_justify="left", box=None)
    for figure in figures:
        ratio = figure.median / beside.median if beside.median else 0.0
        table.add_row(figure.name, f"{_number(figure.median)} {figure.unit}", figure.spread, f"{ratio:.2f}")
    console = Console()
    console.print(table)
    if goal:
        console.print(f"[dim]goal: {goal}[/dim]")
    console.print()


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
