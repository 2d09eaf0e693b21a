"""Runs the families and keeps what each experiment found, or how it crashed."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from fourfold.reproduce.machine import Machine, describe
from fourfold.reproduce.record import Context, Effort, Family, Section

__all__ = ["FAMILIES", "Experiment", "FamilyResult", "Report", "run"]

# Name -> module that holds the FAMILY. A new family is one line here.
FAMILIES: dict[str, str] = {
    "nlse": "fourfold.reproduce.nlse",
    "gp": "fourfold.reproduce.gp",
    "kan": "fourfold.reproduce.kan",
    "pc": "fourfold.reproduce.pc",
}


@dataclass(frozen=True)
class Experiment:
    """One experiment after it ran: a section, or the traceback of its crash."""

    title: str
    seconds: float
    section: Section | None
    crash: str | None

    @property
    def passed(self) -> bool:
        """Whether it neither crashed nor failed a check."""
        return self.section is not None and all(c.passed is not False for c in self.section.checks)

    @property
    def mark(self) -> bool | None:
        """As `passed`, but None where nothing is judged."""
        if self.section is None:
            return False
        judged = [c.passed for c in self.section.checks if c.passed is not None]
        return all(judged) if judged else None


@dataclass(frozen=True)
class FamilyResult:
    """One family after it ran; ``crash`` is set if it could not even be loaded."""

    name: str
    title: str
    text: str
    experiments: list[Experiment]
    crash: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every experiment passed."""
        return self.crash is None and all(e.passed for e in self.experiments)


@dataclass(frozen=True)
class Report:
    """Everything that the report shows."""

    effort: Effort
    started: str
    seconds: float
    machine: Machine
    families: list[FamilyResult]

    @property
    def passed(self) -> bool:
        """Whether every family passed."""
        return all(family.passed for family in self.families)

    def count(self) -> tuple[int, int, int]:
        """Return how many checks passed, how many failed and how many experiments crashed."""
        experiments = [e for family in self.families for e in family.experiments]
        marks = [c.passed for e in experiments if e.section for c in e.section.checks]
        crashes = sum(e.crash is not None for e in experiments)
        crashes += sum(family.crash is not None for family in self.families)
        return marks.count(True), marks.count(False), crashes


def run(
    names: Sequence[str],
    effort: Effort,
    folder: Path,
    say: Callable[[str, float], None],
    data: Path | None = None,
) -> Report:
    """Run families and return the report.

    Parameters
    ----------
    names : sequence of str
        Keys of `FAMILIES`.
    effort : {"quick", "default", "full"}
    folder : Path
        Where the experiments write their data, in one folder a family.
    say : callable
        Takes a line for the progress display and the share of the experiments that are done.
    data : Path, optional
        A folder with data that no package ships.

    Notes
    -----
    An exception in an experiment is kept with its traceback and the next one runs;
    KeyboardInterrupt and SystemExit go through.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    clock = time.perf_counter()
    results: list[FamilyResult] = []
    for index, name in enumerate(names):
        place = (index, len(names))
        results.append(_run_family(name, effort, folder / name, say, place, data))
    return Report(effort, started, time.perf_counter() - clock, describe(), results)


def _run_family(
    name: str,
    effort: Effort,
    folder: Path,
    say: Callable[[str, float], None],
    place: tuple[int, int],
    data: Path | None,
) -> FamilyResult:
    try:
        family: Family = import_module(FAMILIES[name]).FAMILY
    except Exception:  # noqa: BLE001 (shown in the report)
        return FamilyResult(name, name, "", [], crash=traceback.format_exc())
    folder.mkdir(parents=True, exist_ok=True)
    experiments = []
    for number, (title, function) in enumerate(family.experiments):
        share = (place[0] + number / len(family.experiments)) / place[1]

        def tell(line: str, share: float = share, title: str = title) -> None:
            say(f"{name}: {title}" + (f": {line}" if line else ""), share)

        tell("")
        clock = time.perf_counter()
        section, crash = None, None
        try:
            section = function(Context(effort, folder, tell, data))
        except Exception:  # noqa: BLE001 (shown in the report)
            crash = traceback.format_exc()
        experiments.append(Experiment(title, time.perf_counter() - clock, section, crash))
    return FamilyResult(name, family.title, family.text, experiments)
