"""What the benchmarks share: fair timing, and tables that go to the screen, to JSON and to the docs.

A race runs its contestants in turns, so that whatever disturbs the machine disturbs all of them, and
compares them turn by turn: a ratio is the median of the ratios of neighbouring turns. What is measured while the host of
a virtual machine gives its CPUs to others is measured again, and each table says how often that did not help.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parent.parent

# Tries of a measurement before one is kept during which the host took time away.
TRIES = 8


@dataclass(frozen=True)
class Contestant:
    """Something to time; `work` is how many units (steps, transforms) one call does."""

    name: str
    run: Callable[[], object]
    work: float = 1.0


@dataclass(frozen=True)
class Race:
    """Seconds per unit of work of every contestant in every turn."""

    turns: Mapping[str, list[float]]

    def time(self, name: str) -> float:
        """Median over the turns, in seconds per unit of work."""
        return statistics.median(self.turns[name])

    def ratio(self, above: str, below: str) -> float:
        """How many times the time of `below` is the time of `above`."""
        pairs = zip(self.turns[above], self.turns[below], strict=True)
        return statistics.median(a / b for a, b in pairs)


def race(
    contestants: Sequence[Contestant],
    *,
    turns: int,
    seconds: float = 0.02,
    threads: int | None = None,
    pause: float = 0.0,
) -> Race:
    """Time the contestants in turns; each turn repeats a contestant for at least `seconds`.

    The first measurement is kept during which no CPU time was taken away, of at most `TRIES`.
    BLAS libraries and OpenMP runtimes get `threads` threads; without it BLAS gets one. `pause`: seconds before each
    turn in which the threads of the contestant before, which go on spinning for a while, fall asleep.
    """
    # Without `threads`, not those of OpenMP, which torch's other operations run on.
    limits = threadpool_limits(1, "blas") if threads is None else threadpool_limits(threads)
    with limits:
        repeats = {}
        for one in contestants:
            one.run()  # warm: plans, pools, page faults
            start = time.perf_counter()
            one.run()
            once = time.perf_counter() - start
            repeats[one.name] = max(1, math.ceil(seconds / max(once, 1e-9)))
        times: dict[str, list[float]] = {one.name: [] for one in contestants}
        for turn in range(turns):
            # Back and forth: none always follows the same one.
            for one in contestants if turn % 2 == 0 else reversed(contestants):
                count = repeats[one.name]
                elapsed = _undisturbed(one.run, count, pause)
                times[one.name].append(elapsed / (count * one.work))
    return Race(times)


@dataclass
class Disturbance:
    """How many measurements were made since the last table, and in how many the host took time."""

    measured: int = 0
    disturbed: int = 0

    def take(self) -> str:
        """A sentence about it, if there were any; counting begins anew."""
        share = f"{self.disturbed} of {self.measured} measurements"
        any_disturbed = self.disturbed > 0
        self.measured = self.disturbed = 0
        return f"The host took CPU time away during {share}." if any_disturbed else ""


DISTURBANCE = Disturbance()


def _undisturbed(run: Callable[[], object], count: int, pause: float) -> float:
    """Seconds of `count` calls."""
    for _ in range(TRIES):
        time.sleep(pause)
        before = _stolen()
        start = time.perf_counter()
        for _ in range(count):
            run()
        elapsed = time.perf_counter() - start
        disturbed = _stolen() != before
        if not disturbed:
            break
    DISTURBANCE.measured += 1
    DISTURBANCE.disturbed += disturbed
    return elapsed


def _stolen() -> int:
    """Hundredths of a second that the host has taken from this machine's CPUs; 0 where nobody counts."""
    try:
        with Path("/proc/stat").open() as lines:
            return int(lines.readline().split()[8])
    except (OSError, IndexError):
        return 0


@contextlib.contextmanager
def one_cpu() -> Iterator[None]:
    """Keep this process on one CPU, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def text(value: object) -> str:
    return "" if value is None else str(value)


def seconds(value: float | None) -> str:
    if value is None:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def times(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} x" if value >= 100 else f"{value:.3g} x"


def error(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}"


Format = Callable[[Any], str]


@dataclass(frozen=True)
class ResultTable:
    """One table: what its columns are called, how they are printed, and the bare values."""

    key: str
    title: str
    columns: Mapping[str, Format]
    rows: Sequence[Mapping[str, Any]]
    note: str = ""

    def cells(self) -> list[list[str]]:
        return [[show(row.get(name)) for name, show in self.columns.items()] for row in self.rows]

    def rich(self) -> Table:
        table = Table(title=self.title, title_justify="left", caption=self.note or None)
        for name, show in self.columns.items():
            table.add_column(name, justify="left" if show is text else "right")
        for row in self.cells():
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        heads = list(self.columns)
        rule = ["---" if show is text else "---:" for show in self.columns.values()]
        lines = ["| " + " | ".join(row) + " |" for row in (heads, rule, *self.cells())]
        return "\n".join(lines + (["", self.note] if self.note else []))


@dataclass
class Results:
    """All tables of one benchmark and the machine they were measured on."""

    benchmark: str
    seed: int
    machine: dict[str, Any]
    tables: list[ResultTable] = field(default_factory=list)
    figures: dict[str, tuple[str, Path]] = field(default_factory=dict)
    console: Console = field(default_factory=lambda: _console())

    def add(self, table: ResultTable) -> None:
        """Print the table and keep it."""
        table = replace(table, note=f"{table.note} {DISTURBANCE.take()}".strip())
        self.tables.append(table)
        self.console.print(table.rich())

    def add_figure(self, key: str, caption: str, path: Path) -> None:
        """Keep a figure that has been drawn, for `write_markdown`."""
        self.figures[key] = (caption, path)

    def write_json(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "benchmark": self.benchmark,
            "seed": self.seed,
            "machine": self.machine,
            "tables": {t.key: {"title": t.title, "rows": list(t.rows)} for t in self.tables},
        }
        _replace(path, json.dumps(data, indent=1) + "\n")

    def write_markdown(self, path: Path) -> None:
        """Put every table and figure between its two comment lines of a Markdown page; see `markers`.

        Raises
        ------
        ValueError
            The page has no such lines; nothing is written.
        """
        page = path.read_text(encoding="utf-8")
        blocks = {"machine": self.machine_markdown()} | {t.key: t.markdown() for t in self.tables}
        for key, (caption, figure) in self.figures.items():
            link = Path(os.path.relpath(figure, path.parent)).as_posix()
            blocks[key] = f"![{caption}]({link})"
        for key, content in blocks.items():
            begin, end = markers(f"{self.benchmark}.{key}")
            pattern = re.compile(re.escape(begin) + r"\n.*?" + re.escape(end), re.DOTALL)
            block = f"{begin}\n\n{content}\n\n{end}"
            page, found = pattern.subn(lambda _, block=block: block, page)  # type: ignore[misc]
            if found != 1:
                raise ValueError(
                    f"{path}: expected once the lines {begin} and {end}, found {found}"
                )
        _replace(path, page)

    def machine_markdown(self) -> str:
        return "\n".join(f"- {key}: {value}" for key, value in self.machine.items())


def markers(key: str) -> tuple[str, str]:
    """The comment lines between which a table stands in a Markdown page."""
    return f"<!-- begin {key} -->", f"<!-- end {key} -->"


def machine(*packages: str) -> dict[str, Any]:
    """What the figures depend on; the load tells whether the machine was quiet."""
    import fourfold
    from fourfold import _core

    facts: dict[str, Any] = {
        "command": " ".join(["python", _script(), *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "CPU": _cpu_model(),
        "CPUs for this process": _cpu_count(),
        "load average at the start": _load(),
        "fourfold": f"{fourfold.__version__}, ISA level {_core.isa_level()}",
        "Python": platform.python_version(),
    }
    for name in packages:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    return facts


def _console() -> Console:
    console = Console()
    # Into a file or a pipe the tables go unbroken.
    return console if console.is_terminal else Console(width=160)


def _script() -> str:
    path = Path(sys.argv[0]).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        found = re.search(r"^model name\s*: (.*)$", path.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _cpu_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def _replace(path: Path, content: str) -> None:
    """A reader finds the old file or the new one, nothing between."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)
