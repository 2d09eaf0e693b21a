"""The progress bar of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fourfold._progress import terminal_bar

__all__ = ["Report", "progress_bar"]

Report = Callable[[float, int], None]
"""Called with the time reached and the steps taken so far."""


@contextmanager
def progress_bar(
    wanted: bool, title: str, start: float, end: float, reached: float, steps: int
) -> Iterator[Report | None]:
    """Show a bar from ``start`` to ``end`` on standard error, which begins at ``reached``.

    ``steps`` have been taken before. Gives None where no bar is wanted or there is no terminal.
    """
    began = time.perf_counter()
    bar = terminal_bar(
        wanted,
        title,
        "bar",
        "percent",
        f"t = {{task.fields[reached]:.4g}} / {end:.4g}",
        "{task.fields[rate]} steps/s",
        "left",
        total=end - start,
        completed=reached - start,
        reached=reached,
        rate="-",
    )
    with bar as update:
        if update is None:
            yield None
            return

        def report(reached: float, taken: int) -> None:
            elapsed = time.perf_counter() - began
            rate = _rounded((taken - steps) / elapsed) if elapsed > 0 else "-"
            update(reached - start, now=reached >= end, reached=reached, rate=rate)

        yield report


def _rounded(rate: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if rate >= limit:
            return f"{rate / limit:.3g}{unit}"
    return f"{rate:.3g}"
