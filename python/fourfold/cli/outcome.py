"""How a command ends: exit statuses, and what is printed when it cannot go on.

====== =========================================================================================
status meaning
====== =========================================================================================
0      done, everything asked for is on the disk
1      the computation failed (blow-up, step at its floor, a failed check in a report, full disk)
2      refused before any work: bad option, file that does not validate, missing extra
130    stopped by Ctrl-C; nothing half-written is left behind, but what --resume goes on from
====== =========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import typer
from rich.text import Text

from fourfold.cli.console import stderr
from fourfold.errors import FourfoldError, MissingExtraError, RunInterrupted

FAILED = 1
REFUSED = 2
INTERRUPTED = 130

_EXTRAS = {
    "data": ("sklearn", "PIL"),
    "images": ("PIL",),
    "io": ("xarray", "netCDF4"),
    "plot": ("matplotlib",),
    "table": ("pyarrow",),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the file or option, the key in it, and what is allowed."""

    where: str
    key: str
    message: str


class Refusal(Exception):
    """Input that is refused before any work, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.where}: {p.key}: {p.message}" for p in problems))
        self.problems = tuple(problems)


def require(purpose: str, *extras: str) -> None:
    """Raise `MissingExtraError` (status 2, with the pip line) unless the extras are installed."""
    missing = {
        extra: [package for package in _EXTRAS[extra] if find_spec(package) is None]
        for extra in extras
    }
    packages = [package for names in missing.values() for package in names]
    if packages:
        needed = ",".join(extra for extra, names in missing.items() if names)
        raise MissingExtraError(needed, " and ".join(packages), purpose)


@contextmanager
def exit_status() -> Iterator[None]:
    """Turn what a command raises into a message on standard error and its exit status."""
    try:
        yield
    except Refusal as refusal:
        for problem in refusal.problems:
            _print_line(problem)
        raise typer.Exit(REFUSED) from None
    except MissingExtraError as error:
        stderr().print(Text(str(error)), soft_wrap=True)
        raise typer.Exit(REFUSED) from None
    except (FourfoldError, OSError) as error:
        _print_failure(error)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt as stop:
        stderr().print("[yellow]stopped[/]")
        if isinstance(stop, RunInterrupted) and stop.path is not None:
            line = f"{len(stop.solution.t)} times are in {stop.path}; the same command goes on"
            stderr().print(Text(line), soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _print_line(problem: Problem) -> None:
    # Text objects, not markup: a key or a path may hold square brackets.
    line = Text.assemble(
        (problem.where, "bold"), ": ", (problem.key, "bold red"), ": ", problem.message
    )
    stderr().print(line, soft_wrap=True)


def _print_failure(error: Exception) -> None:
    line = Text.assemble((type(error).__name__, "bold red"), ": ", str(error))
    stderr().print(line, soft_wrap=True)
