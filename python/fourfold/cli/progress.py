"""The progress of a long command, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fourfold.cli.console import stderr


@contextmanager
def progress_line() -> Iterator[Callable[[str, float], None]]:
    """Give a function that shows a line and the share done: a bar on a terminal, else lines."""
    console = stderr()
    if not console.is_terminal:
        shown = ""

        def print_line(line: str, share: float) -> None:
            nonlocal shown
            if line != shown:
                console.print(f"{share:4.0%}  {line}", markup=False, soft_wrap=True)
            shown = line

        yield print_line
        return

    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=1.0)

    def update(line: str, share: float) -> None:
        bar.update(task, completed=share, description=line)

    with bar:
        yield update
