"""The line that shows a long search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fourfold._progress import terminal_bar

__all__ = ["progress_line"]

Report = Callable[[int, int, float], None]
"""Called with the start, the iteration and the log marginal likelihood (and prior) reached."""


@contextmanager
def progress_line(wanted: bool, starts: int) -> Iterator[Report | None]:
    """Show where the search is, on standard error. Gives None where that is not wanted or there is no terminal."""
    columns = ("fit: {task.fields[at]}", "elapsed")  # nobody knows how many iterations it takes
    with terminal_bar(
        wanted, *columns, total=starts, transient=True, at="first evaluation"
    ) as update:
        if update is None:
            yield None
            return

        def report(start: int, iteration: int, value: float) -> None:
            which = f"start {start + 1} of {starts}, " if starts > 1 else ""
            update(start, at=f"{which}iteration {iteration}, log marginal likelihood {value:.6g}")

        yield report
