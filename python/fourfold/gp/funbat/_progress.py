"""The progress bar of a fit, on terminals only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Report", "progress_bar"]


class Report:
    """Told of every sweep; draws nothing without a bar."""

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar = bar
        self._task = task

    def starts(self, share: float) -> None:
        """Share of the sweeps of the random starts that are done."""
        if self._bar is not None:
            self._bar.update(self._task, text=f"starts {100 * share:.0f} %")

    def sweep(self, done: int, bound: float) -> None:
        """The bound after one more sweep of the start that was kept."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, text=f"lower bound {bound:.6g}")


@contextmanager
def progress_bar(wanted: bool, sweeps: int) -> Iterator[Report]:
    """Show a bar on standard error, if wanted and there is a terminal."""
    if not wanted:
        yield Report()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not (console.is_interactive or console.is_jupyter):
        yield Report()
        return
    bar = Progress(
        TextColumn("sweep"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
    )
    task = bar.add_task("", total=sweeps, text="")
    with bar:
        yield Report(bar, task)
