"""The progress bar of a run, on terminals only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Report", "progress_bar"]

Report = Callable[[float, int], None]
"""Called with the time reached and the steps taken so far."""

# A redraw costs about as much as a short interval between saved times.
_SECONDS_BETWEEN_UPDATES = 0.1


@contextmanager
def progress_bar(
    wanted: bool, title: str, start: float, end: float, reached: float, steps: int
) -> Iterator[Report | None]:
    """Show a bar from ``start`` to ``end`` on standard error, which begins at ``reached``.

    ``steps`` have been taken before.

    Gives None where no bar is wanted or there is no terminal to draw it on.
    """
    if not wanted:
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not (console.is_interactive or console.is_jupyter):
        yield None
        return

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("t = {task.fields[reached]:.4g} / {task.fields[end]:.4g}"),
        TextColumn("{task.fields[rate]} steps/s"),
        TimeRemainingColumn(),
        console=console,
    )
    began = time.perf_counter()
    shown = -1.0
    task = bar.add_task(title, total=end - start, reached=reached, end=end, rate="-")
    bar.update(task, completed=reached - start)

    def report(reached: float, taken: int) -> None:
        nonlocal shown
        elapsed = time.perf_counter() - began
        if elapsed - shown < _SECONDS_BETWEEN_UPDATES and reached < end:
            return
        shown = elapsed
        rate = _rounded((taken - steps) / elapsed) if elapsed > 0 else "-"
        bar.update(task, completed=reached - start, reached=reached, rate=rate)

    with bar:
        yield report


def _rounded(rate: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if rate >= limit:
            return f"{rate / limit:.3g}{unit}"
    return f"{rate:.3g}"
