"""The line that shows a long search, on terminals only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_line"]

Report = Callable[[int, int, float], None]
"""Called with the start, the iteration and the log marginal likelihood (and prior) reached."""


@contextmanager
def progress_line(wanted: bool, starts: int) -> Iterator[Report | None]:
    """Show where the search is, on standard error. Gives None where that is not wanted or there is no terminal."""
    if not wanted:
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not (console.is_interactive or console.is_jupyter):
        yield None
        return
    with console.status("fit: first evaluation") as status:

        def report(start: int, iteration: int, value: float) -> None:
            which = f"start {start + 1} of {starts}, " if starts > 1 else ""
            status.update(f"fit: {which}iteration {iteration}, log marginal likelihood {value:.6g}")

        yield report
