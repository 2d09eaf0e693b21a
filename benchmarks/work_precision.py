"""Error against work for every method of `fourfold.nlse`: which one to take.

    python benchmarks/work_precision.py             prints, writes benchmarks/results
    python benchmarks/work_precision.py --markdown docs/nlse/methods.md --figures docs/figures

Work is counted in Fourier transforms, which no load on the machine changes, and in seconds on one
thread (the best of a few turns). The truth of the solitons is their closed form; with loss and with
third-order dispersion it is a run of dop853 at a tiny tolerance that agrees with a run of rkn4_6b
with a tiny step. Needs `pip install "fourfold[all]" threadpoolctl`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from contest import ROOT, Results, ResultTable, error, machine, one_cpu, text
from numpy.typing import NDArray
from work_precision_figure import draw

import fourfold
from fourfold import nlse
from fourfold.errors import OrderWarning
from fourfold.nlse.methods import METHODS

TARGETS = (1e-6, 1e-8, 1e-10)
MOST_TRANSFORMS = 120_000


@dataclass(frozen=True)
class Case:
    """A problem, its initial state, how long, and the truth at the end."""

    name: str
    problem: nlse.Problem
    psi0: NDArray[np.complex128]
    t: float
    exact: NDArray[np.complex128] | None = None

    def truth(self) -> NDArray[np.complex128]:
        """The closed form, or else what two unrelated methods agree on.

        Raises
        ------
        AssertionError
            They do not agree.
        """
        if self.exact is not None:
            return self.exact
        tight = self.run("dop853", rtol=1e-13, atol=1e-15).psi[-1]
        other = self.run("rkn4_6b", step=1e-3).psi[-1]
        off = float(np.abs(tight - other).max())
        if not off < 1e-10:
            raise AssertionError(f"{self.name}: dop853 and rkn4_6b are {off:.1e} apart")
        print(f"{self.name}: truth good to about {off:.0e}")
        return np.asarray(tight)

    def run(self, method: str, **control: float) -> nlse.Solution:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OrderWarning)  # to see it is the purpose here
            return nlse.solve(self.problem, self.psi0, [0, self.t], method=method, **control)  # type: ignore[arg-type]


def cases() -> list[Case]:
    box = nlse.Grid(1024, 50.0)
    # The collision is narrower than the solitons: with 1024 points its spectrum ends at 1e-10.
    wide = nlse.Grid(1280, 80.0)
    still = nlse.soliton(box, amplitude=2.0)
    return [
        Case(
            "one soliton",
            nlse.Problem(box),
            nlse.soliton(box, amplitude=2.0, center=-10.0, velocity=1.0),
            20.0,
            nlse.soliton(box, amplitude=2.0, center=-10.0, velocity=1.0, t=20.0),
        ),
        Case(
            "two solitons",
            nlse.Problem(wide),
            nlse.two_soliton(wide),
            10.0,
            nlse.two_soliton(wide, t=10.0),
        ),
        Case("loss", nlse.Problem(box, loss=0.2), still, 10.0),
        Case(
            "third-order dispersion",
            nlse.Problem(box, dispersion={2: 0.5, 3: 0.1}),
            still,
            10.0,
        ),
    ]


@dataclass(frozen=True)
class Point:
    """One run: how it was controlled, what it cost and how far off it was."""

    case: str
    method: str
    adaptive: bool
    control: float
    transforms: int
    seconds: float
    error: float


def points_of(case: Case, quick: bool) -> Iterator[Point]:
    truth = case.truth()
    for method in METHODS.values():
        if method.fixed_step:
            # From coarse to fine by factors of sqrt 2, to a limit on the work.
            steps = 0.4 * 2.0 ** (-0.5 * np.arange(40))
            control = ({"step": float(h)} for h in (steps[::2] if quick else steps))
            yield from _curve(case, truth, method.name, False, control, quick)
        if method.adaptive:
            tolerances = 10.0 ** -np.arange(3.0, 12.3, 1.0 if quick else 0.5)
            control = ({"rtol": float(r), "atol": float(r) / 100} for r in tolerances)
            yield from _curve(case, truth, method.name, True, control, quick)


def _curve(
    case: Case,
    truth: NDArray[np.complex128],
    method: str,
    adaptive: bool,
    controls: Iterator[dict[str, float]],
    quick: bool,
) -> Iterator[Point]:
    for control in controls:
        best = np.inf
        for _ in range(1 if quick else 3):
            start = time.perf_counter()
            try:
                solution = case.run(method, **control)
            except fourfold.errors.BlowUpError:
                break  # a step far too long
            best = min(best, time.perf_counter() - start)
        else:
            off = float(np.abs(solution.psi[-1] - truth).max())
            work = solution.stats.transforms
            value = next(iter(control.values()))
            yield Point(case.name, method, adaptive, value, work, best, off)
            if work > (MOST_TRANSFORMS / 4 if quick else MOST_TRANSFORMS):
                return


def work_to_reach(points: list[Point], target: float) -> float | None:
    """FFTs from which on the error stays below the target (but for the rise of round-off at the end),
    between two runs on a straight line in the logarithms; None if it never gets there."""
    points = sorted(points, key=lambda p: p.transforms)
    best = min(range(len(points)), key=lambda i: points[i].error, default=0)
    if not points or points[best].error > target:
        return None
    first = best
    while first > 0 and points[first - 1].error <= target:
        first -= 1
    if first == 0:
        return points[0].transforms
    above, below = points[first - 1], points[first]
    share = np.log(above.error / target) / np.log(above.error / below.error)
    return float(above.transforms * (below.transforms / above.transforms) ** share)


def table(case: str, points: list[Point]) -> ResultTable:
    """FFTs to reach an error: a row for each method, with fixed and with adaptive steps."""
    rows: list[dict[str, Any]] = []
    for method in METHODS:
        row: dict[str, Any] = {"method": method}
        for adaptive in (False, True):
            curve = [p for p in points if (p.method, p.adaptive) == (method, adaptive)]
            for target in TARGETS:
                row[_column(adaptive, target)] = work_to_reach(curve, target)
        rows.append(row)
    columns = {"method": text} | {name: _thousands for name in rows[0] if name != "method"}
    return ResultTable(case.replace(" ", "_"), f"FFTs to an error: {case}", columns, rows)


def _column(adaptive: bool, target: float) -> str:
    return f"{'adaptive' if adaptive else 'fixed step'} {target:.0e}".replace("e-0", "e-")


def _thousands(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:.1f}k"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "benchmarks" / "results" / "work_precision.json"
    )
    parser.add_argument("--markdown", type=Path, help="page to put the tables into")
    parser.add_argument("--figures", type=Path, help="folder for the figures")
    arguments = parser.parse_args()

    fourfold.set_num_threads(1)
    results = Results("work_precision", 0, machine("numpy"))
    points: list[Point] = []
    with one_cpu():
        for case in cases():
            points += points_of(case, arguments.quick)
    for name in dict.fromkeys(p.case for p in points):
        results.add(table(name, [p for p in points if p.case == name]))
    everything = ResultTable(
        "points", "All runs", {"case": text, "error": error}, [vars(p) for p in points]
    )
    results.tables.append(everything)  # for the file only: too long for the screen
    results.write_json(arguments.output)
    results.tables.remove(everything)
    if arguments.figures is not None:
        by_ffts, by_time = draw(points, arguments.figures)
        results.add_figure("figure", "Error against the number of FFTs", by_ffts)
        results.add_figure("time", "Error against the time on one thread", by_time)
    if arguments.markdown is not None:
        results.write_markdown(arguments.markdown)


if __name__ == "__main__":
    main()
