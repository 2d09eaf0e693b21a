"""The progress bar of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fourfold._progress import Update, terminal_bar

__all__ = ["Report", "progress_bar"]


class Report:
    """Told of every sweep; draws nothing without a bar."""

    def __init__(self, update: Update | None) -> None:
        self._update = update

    def starts(self, share: float) -> None:
        """Share of the sweeps of the random starts that are done."""
        if self._update is not None:
            self._update(0, text=f"starts {100 * share:.0f} %")

    def sweep(self, done: int, bound: float) -> None:
        """The bound after one more sweep of the start that was kept."""
        if self._update is not None:
            self._update(done, now=True, text=f"lower bound {bound:.6g}")


@contextmanager
def progress_bar(wanted: bool, sweeps: int) -> Iterator[Report]:
    """Show a bar on standard error, if wanted and there is a terminal."""
    columns = (f"sweep {{task.completed:.0f}} / {sweeps}", "bar", "{task.fields[text]}")
    with terminal_bar(wanted, *columns, total=sweeps, text="") as update:
        yield Report(update)
