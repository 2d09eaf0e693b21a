"""The one-dimensional problems of GP-HM, solved with the defaults."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold.gp import pde
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.record import (
    Context,
    Figure,
    Section,
    Table,
    at_most,
)

__all__ = ["run"]

Array = npt.NDArray[np.float64]

_TEXT = """
Problems with solutions of high frequency and several scales, from Fang et al. (2024): `gp.pde.solve(problem, learn=True)`, with
nothing chosen for any of them. Errors are relative, L2, on 300 random points off the grid, at the end of the
computation; those that the paper reports, the best of about 20 looks at the true solution, lie between 1e-3 and 1e-7.

The kernel is a mixture of Gaussians in frequency, started from the spectrum of the equation's right-hand side and fitted
by marginal likelihood. The table sets the strongest frequencies that it found beside those of the solution; the
smooth parts of solutions (x², a slow sine) are below what an interval of that length can tell from 0.
"""

_PUBLISHED = "1e-3 to 1e-7, Fang et al. 2024"


@dataclass(frozen=True)
class Case:
    """A problem, the error to stay below, and the angular frequencies of its solution, the strongest first."""

    name: str
    make: Callable[[], pde.Problem]
    bound: float
    angular: tuple[float, ...]
    quick: bool = False


_CASES = (
    Case("sin 6x cos 100x", pde.problems.sin_cos, 1e-6, (94, 106), quick=True),
    Case("sin 100x", pde.problems.single_sin, 1e-6, (100,)),
    Case("sin 500x - 2(x - 1/2)²", pde.problems.x2_add_sinx, 1e-5, (500,)),
    Case("x sin 200x", pde.problems.x_time_sinx, 1e-5, (200,)),
    Case("sin x + 0.1 sin 20x + 0.05 cos 100x", pde.problems.mix_sin, 1e-8, (100, 20, 1)),
    Case("Allen-Cahn, sin 100x", lambda: pde.problems.allencahn_1d("single_sin"), 1e-5, (100,)),
    Case(
        "Allen-Cahn, sin 6x cos 100x", lambda: pde.problems.allencahn_1d("sin_cos"), 1e-5, (94, 106)
    ),
)


def run(context: Context) -> Section:
    """Solve them, one in the quick report."""
    section = Section(_TEXT)
    rows: list[tuple[str, ...]] = []
    frequencies: list[tuple[str, ...]] = []
    for case in _CASES:
        if context.effort == "quick" and not case.quick:
            continue
        context.say(case.name)
        problem = case.make()
        clock = time.perf_counter()
        solution = pde.solve(problem, learn=True)
        seconds = time.perf_counter() - clock
        x = np.sort(np.random.default_rng(0).uniform(*problem.interval, 300))
        assert problem.exact is not None
        truth = np.asarray(problem.exact(x))
        error = float(np.linalg.norm(solution.u(x) - truth) / np.linalg.norm(truth))
        how = f"{problem.shape[0]} points of the equation, defaults, {seconds:.1f} s"
        section.checks.append(
            at_most(f"{case.name}, relative L2 error", error, case.bound, how, reference=_PUBLISHED)
        )
        rows.append((case.name, f"{error:.1e}", f"{seconds:.1f}", f"{solution.jitter:.0e}"))
        found, missed = _strongest(solution, case)
        span = problem.interval[1] - problem.interval[0]
        section.checks.append(
            at_most(
                f"{case.name}, strongest frequency missed by (1/length)",
                missed * span,
                0.5,
                "a Fourier series of this interval has steps of 1",
            )
        )
        frequencies.append(
            (
                case.name,
                ", ".join(f"{w:g}" for w in case.angular),
                ", ".join(f"{w:.2f}" for w in found),
            )
        )
        if not section.figures:
            section.figures += _figures(case, solution)
    columns = ("solution", "relative L2 error", "seconds", "jitter used")
    section.tables.append(Table("One default call each, on this machine", columns, rows))
    section.tables.append(
        Table(
            "Angular frequencies: those of the solution, and the strongest of the learnt kernel",
            ("solution", "true", "found"),
            frequencies,
        )
    )
    return section


def _strongest(solution: pde.Solution, case: Case) -> tuple[Array, float]:
    """The strongest angular frequencies of the kernel, and how far the first true one is from the next, in 1/unit."""
    low, high = solution.problem.interval
    angular = 2 * np.pi * solution.frequencies
    found = distinct(angular[np.argsort(-_shares(solution))], np.pi / (high - low))
    found = found[: len(case.angular)]
    return found, float(np.abs(found - case.angular[0]).min() / (2 * np.pi))


def distinct(values: Array, apart: float) -> Array:
    """In their order, without those that are nearer than ``apart`` to one before."""
    kept: list[float] = []
    for value in values:
        if all(abs(value - other) >= apart for other in kept):
            kept.append(float(value))
    return np.array(kept)


def _shares(solution: pde.Solution) -> Array:
    """What each component adds to the variance of u'', which is what the data are; the largest is 1."""
    shares: Array = solution.weights * (2 * np.pi * solution.frequencies) ** 4
    relative: Array = shares / shares.max()
    return relative


def _figures(case: Case, solution: pde.Solution) -> list[Figure]:
    problem = solution.problem
    low, high = problem.interval
    figure, (left, right) = axes(1, 2, height=3.5)
    near = np.linspace(low, low + 0.08 * (high - low), 600)
    assert problem.exact is not None
    left.plot(
        near, np.asarray(problem.exact(near)), color=COLOURS[7], lw=3, alpha=0.5, label="exact"
    )
    left.plot(near, solution.u(near), color=COLOURS[0], lw=1.2, label="found")
    nodes = problem.grid[problem.grid <= near[-1]]
    left.plot(nodes, solution.u(nodes), ".", color=COLOURS[1], ms=5, label="equation imposed")
    left.set(xlabel="x", ylabel="u", title="Solution, the first 8 % of the interval")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, frameon=False)
    x = np.linspace(low, high, 1201)[1:-1]
    error = np.abs(solution.u(x) - np.asarray(problem.exact(x)))
    right.semilogy(x, error, color=COLOURS[0], lw=0.7, label="error")
    right.semilogy(
        x, 2 * solution.std(x), color=COLOURS[1], lw=1.2, label="two standard deviations"
    )
    right.set(xlabel="x", title="Error and the process' own uncertainty")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)
    first = picture(figure, f"{case.name}: solution and error.")
    figure, (axis,) = axes(height=2.8)
    angular, strength = 2 * np.pi * solution.frequencies, _shares(solution)
    axis.vlines(angular, 1e-6, strength, color=COLOURS[0], lw=1.5)
    axis.plot(angular, strength, "o", color=COLOURS[0], ms=4, label="components of the kernel")
    for index, true in enumerate(case.angular):
        axis.axvline(
            true,
            color=COLOURS[1],
            ls="--",
            lw=1,
            label=None if index else "frequencies of the solution",
        )
    axis.set(
        yscale="log",
        ylim=(1e-6, 4),
        xlabel="angular frequency",
        ylabel="share of u''",
        title="Spectrum of the learnt kernel",
    )
    axis.legend(loc="center left", framealpha=0.9)
    return [
        first,
        picture(
            figure,
            f"{case.name}: the frequencies that the likelihood found, each with its share of the right-hand side's variance.",
        ),
    ]
