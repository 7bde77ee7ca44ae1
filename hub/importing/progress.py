"""How far a long work on stored data is: a bar on a terminal with rate and time left, and silence elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[float, int], None]
"""`show(share, count)`: how much of the work is done, as a share, and how many were taken."""


@contextmanager
def progress(title: str, noun: str, *, visible: bool | None = None) -> Iterator[Show]:
    """On stderr. `visible`: where both stdout and stderr are a terminal, if not said."""
    if not (sys.stderr.isatty() and sys.stdout.isatty() if visible is None else visible):
        yield lambda share, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: "object") -> Text:
            count = task.fields["count"]  # type: ignore[attr-defined]
            elapsed = task.elapsed or 0.0  # type: ignore[attr-defined]
            rate = f", {count / elapsed:,.0f}/s" if elapsed > 1 else ""
            return Text(f"{count:,} {noun}{rate}")

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0, count=0)

        def show(share: float, count: int) -> None:
            bar.update(task, completed=min(share, 1.0), count=count)

        yield show
