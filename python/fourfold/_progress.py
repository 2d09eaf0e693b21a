"""Progress bars of long work, on terminals only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Update", "terminal_bar"]

# A redraw costs about as much as a short piece of work.
_SECONDS_BETWEEN_UPDATES = 0.1


class Update(Protocol):
    """Shows how much is done, and new values of the fields, unless that was done just before."""

    def __call__(self, completed: float, *, now: bool = False, **fields: Any) -> None:
        """``now``: in any case."""


@contextmanager
def terminal_bar(
    wanted: bool,
    *columns: str,
    total: float,
    completed: float = 0.0,
    console: Console | None = None,
    transient: bool = False,
    **fields: Any,
) -> Iterator[Update | None]:
    """Show a bar; give None where none is wanted or there is no terminal to draw it on.

    Parameters
    ----------
    wanted : bool
        Whether to show it.
    *columns : str
        What stands beside each other: "bar", "percent", "elapsed" and "left" (times), or a template as
        "t = {task.fields[reached]:.4g}".
    total, completed : float
        How much there is to do, and how much of it has been done.
    console : Console, optional
        Where to draw; default: standard error.
    transient : bool
        Whether it goes away at the end.
    **fields
        First values of the fields of the templates.
    """
    if not wanted:
        yield None
        return
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True) if console is None else console
    if not (console.is_interactive or console.is_jupyter):
        yield None
        return
    known = {
        "bar": progress.BarColumn(bar_width=24),
        "percent": progress.TaskProgressColumn(),
        "elapsed": progress.TimeElapsedColumn(),
        "left": progress.TimeRemainingColumn(),
    }
    shown_columns = [
        known[column] if column in known else progress.TextColumn(column, markup=False)
        for column in columns
    ]
    bar = progress.Progress(*shown_columns, console=console, transient=transient)
    task = bar.add_task("", total=total, **fields)
    bar.update(task, completed=completed)
    shown = time.perf_counter()

    def update(completed: float, *, now: bool = False, **fields: Any) -> None:
        nonlocal shown
        if not now and time.perf_counter() - shown < _SECONDS_BETWEEN_UPDATES:
            return
        shown = time.perf_counter()
        bar.update(task, completed=completed, **fields)

    with bar:
        yield update
