"""The progress bar of learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fourfold._progress import terminal_bar

__all__ = ["Report", "progress_bar"]

Report = Callable[[float, float | None, float | None], None]
"""Called with the epochs done so far and, at the end of one, its bits per dimension."""


@contextmanager
def progress_bar(wanted: bool, epochs: int, done: int) -> Iterator[Report | None]:
    """Show a bar on standard error; gives None where none is wanted or there is no terminal."""
    bar = terminal_bar(
        wanted,
        f"epoch {{task.fields[epoch]}} / {epochs}",
        "bar",
        "percent",
        "{task.fields[bits]}",
        "left",
        total=epochs,
        completed=done,
        epoch=min(done + 1, epochs),
        bits="",
    )
    with bar as update:
        if update is None:
            yield None
            return

        def report(epochs_done: float, bits: float | None, validation: float | None) -> None:
            if bits is None:
                update(epochs_done, epoch=min(int(epochs_done) + 1, epochs))
                return
            text = f"{bits:.4f} bits/dim"
            if validation is not None:
                text += f", validation {validation:.4f}"
            update(epochs_done, now=True, bits=text)

        yield report
