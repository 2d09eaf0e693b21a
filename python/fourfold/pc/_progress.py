"""The progress bar of learning, on terminals only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Report", "progress_bar"]

Report = Callable[[float, float | None, float | None], None]
"""Called with the epochs done so far and, at the end of one, its bits per dimension."""

_SECONDS_BETWEEN_UPDATES = 0.1


@contextmanager
def progress_bar(wanted: bool, epochs: int, done: int) -> Iterator[Report | None]:
    """Show a bar on standard error; gives None where none is wanted or there is no terminal."""
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
        TextColumn("epoch {task.fields[epoch]} / {task.total:.0f}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[bits]}"),
        TimeRemainingColumn(),
        console=console,
    )
    task = bar.add_task("", total=epochs, completed=done, epoch=min(done + 1, epochs), bits="")
    shown = 0.0

    def report(epochs_done: float, bits: float | None, validation: float | None) -> None:
        nonlocal shown
        if bits is not None:
            text = f"{bits:.4f} bits/dim"
            if validation is not None:
                text += f", validation {validation:.4f}"
            bar.update(task, completed=epochs_done, bits=text)
            return
        if time.perf_counter() - shown < _SECONDS_BETWEEN_UPDATES:
            return
        shown = time.perf_counter()
        bar.update(task, completed=epochs_done, epoch=min(int(epochs_done) + 1, epochs))

    with bar:
        yield report
