"""The progress of a long command, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fourfold._progress import terminal_bar
from fourfold.cli.console import stderr


@contextmanager
def progress_line() -> Iterator[Callable[[str, float], None]]:
    """Give a function that shows a line and the share done: a bar on a terminal, else lines."""
    console = stderr()
    bar = terminal_bar(
        True,
        "bar",
        "percent",
        "elapsed",
        "{task.fields[line]}",
        total=1.0,
        console=console,
        transient=True,
        line="",
    )
    with bar as update:
        if update is not None:
            yield lambda line, share: update(share, now=True, line=line)
            return
        shown = ""

        def print_line(line: str, share: float) -> None:
            nonlocal shown
            if line != shown:
                console.print(f"{share:4.0%}  {line}", markup=False, soft_wrap=True)
            shown = line

        yield print_line
