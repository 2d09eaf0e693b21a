"""Where the commands print: results on standard output, all else on standard error."""

from __future__ import annotations

from rich.console import Console


def stdout() -> Console:
    """Return a console on the standard output of this moment (it may have been redirected)."""
    return Console(highlight=False)


def stderr() -> Console:
    """Return a console on the standard error of this moment."""
    return Console(stderr=True, highlight=False)
