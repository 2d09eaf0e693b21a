"""The two-dimensional problems of GP-HM, solved with the defaults."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp import pde
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.gp.line import distinct
from fourfold.reproduce.record import Context, Figure, Section, Table, at_most

__all__ = ["run"]

Array = npt.NDArray[np.float64]

_TEXT = """
The same on squares, one of them space and time: `gp.pde.solve(problem)` expands the process in products of the
eigenfunctions of each axis' kernel and conditions their weights by least squares. Errors are relative, L2, on 300 x 300
random points off the grid. Sizes are the published ones in the full report; the others use fewer points of the equation.

The kernels start at the peaks of the spectra of source and conditions, and stay there: the second table sets the
strongest that lie apart beside the frequencies of the solution.
"""

_PUBLISHED = "1e-3 to 1e-7, Fang et al. 2024"


@dataclass(frozen=True)
class Case:
    """A problem with its points per axis in the quick, default and full report, and angular frequencies of each axis."""

    name: str
    make: Callable[[int], pde.Problem]
    bound: float
    points: tuple[int, int, int]
    angular: tuple[tuple[float, ...], tuple[float, ...]]
    efforts: tuple[str, ...] = ("default", "full")
    names: str = "xy"


_CASES = (
    Case(
        "Poisson, sin 6x cos 20x + sin 6y cos 20y",
        lambda n: pde.problems.poisson_2d("sin_add_cos", n),
        1e-5,
        (64, 80, 200),
        ((14, 26), (14, 26)),
    ),
    Case(
        "Advection, sin(x - 200t)",
        pde.problems.advection,
        1e-3,
        (100, 100, 200),
        ((1,), (200,)),
        ("quick", "default", "full"),
        "xt",
    ),
    Case(
        "Poisson, sin 100x sin 100y",
        lambda n: pde.problems.poisson_2d("sin_sin", n),
        1e-5,
        (240, 240, 400),
        ((100,), (100,)),
        ("full",),
    ),
    Case(
        "Allen-Cahn, q(x) q(y), q = sin x + 0.1 sin 20x + cos 100x",
        pde.problems.allencahn_2d,
        1e-3,
        (80, 80, 400),
        ((100, 20, 1), (100, 20, 1)),
        ("full",),
    ),
)


def run(context: Context) -> Section:
    """Solve those of the effort."""
    section = Section(_TEXT)
    rows: list[tuple[str, ...]] = []
    frequencies: list[tuple[str, ...]] = []
    for case in _CASES:
        if context.effort not in case.efforts:
            continue
        context.say(case.name)
        problem = case.make(case.points[("quick", "default", "full").index(context.effort)])
        clock = time.perf_counter()
        solution = pde.solve(problem)
        seconds = time.perf_counter() - clock
        error = _error(solution)
        size = " x ".join(str(n) for n in problem.shape)
        section.checks.append(
            at_most(
                f"{case.name}, relative L2 error",
                error,
                case.bound,
                f"{size} points of the equation, defaults, {seconds:.1f} s",
                reference=_PUBLISHED,
            )
        )
        rows.append((case.name, size, str(solution.features), f"{error:.1e}", f"{seconds:.1f}"))
        for axis, true in enumerate(case.angular):
            found = _strongest(solution, axis)
            low, high = problem.box[axis]
            missed = max(float(np.abs(found - w).min()) for w in true[:1]) / (2 * np.pi)
            section.checks.append(
                at_most(
                    f"{case.name}, strongest frequency of axis {axis} missed by (1/length)",
                    missed * (high - low),
                    0.5,
                    "a Fourier series of this side has steps of 1",
                )
            )
            frequencies.append(
                (
                    case.name,
                    case.names[axis],
                    ", ".join(f"{w:g}" for w in true),
                    ", ".join(f"{w:.2f}" for w in found[: len(true)]),
                )
            )
        if not section.figures:
            section.figures += _figures(case, solution)
    columns = ("solution", "grid", "functions", "relative L2 error", "seconds")
    section.tables.append(Table("One default call each, on this machine", columns, rows))
    section.tables.append(
        Table(
            "Angular frequencies of the solution, and the strongest of the kernels",
            ("solution", "axis", "true", "found"),
            frequencies,
        )
    )
    return section


def _error(solution: pde.BoxSolution) -> float:
    problem, rng = solution.problem, np.random.default_rng(0)
    assert problem.exact is not None
    at = [np.sort(rng.uniform(*ends, 300)) for ends in problem.box]
    truth = np.asarray(problem.exact(*np.meshgrid(*at, indexing="ij")))
    return float(np.linalg.norm(solution.on_grid(at) - truth) / np.linalg.norm(truth))


def _strongest(solution: pde.BoxSolution, axis: int) -> Array:
    """The angular frequencies of a kernel's waves, the strongest first; those of its smooth parts, 0, last."""
    low, high = solution.problem.box[axis]
    angular, weights = 2 * np.pi * solution.frequencies[axis], solution.weights[axis]
    order = np.lexsort((-weights, angular == 0))
    return distinct(angular[order], np.pi / (high - low))


def _figures(case: Case, solution: pde.BoxSolution) -> list[Figure]:
    from matplotlib.colors import LogNorm

    problem = solution.problem
    assert problem.exact is not None
    at = [np.linspace(*ends, 241) for ends in problem.box]
    mesh = np.meshgrid(*at, indexing="ij")
    found = solution.on_grid(at)
    error = np.abs(found - np.asarray(problem.exact(*mesh)))
    coarse = [x[::10] for x in at]
    points = np.stack([m.reshape(-1) for m in np.meshgrid(*coarse, indexing="ij")], axis=1)
    std = solution.std(points).reshape(len(coarse[0]), -1)
    figure, panels = axes(1, 3, width=11.0, height=3.4)
    top = float(np.abs(found).max())
    floor = float(max(error.max() * 1e-4, 1e-16))
    shown = (
        (found, "u", {"cmap": "RdBu_r", "vmin": -top, "vmax": top}),
        (np.maximum(error, floor), "|error|", {"cmap": "viridis", "norm": LogNorm(floor)}),
        (2 * std, "two standard deviations", {"cmap": "viridis", "norm": LogNorm()}),
    )
    box = (*problem.box[0], *problem.box[1])
    for panel, (data, title, how) in zip(panels, shown, strict=True):
        panel.grid(False)
        options: dict[str, Any] = dict(how)
        image = panel.imshow(
            data.T,
            origin="lower",
            extent=box,
            aspect="auto",
            interpolation="bilinear",
            **options,
        )
        panel.set(title=title, xlabel=case.names[0], ylabel=case.names[1])
        figure.colorbar(image, ax=panel, shrink=0.9)
    first = picture(figure, f"{case.name}: solution, error, and the process' own uncertainty.")
    spectrum, (panel,) = axes(height=2.8)
    for axis in (0, 1):
        angular = 2 * np.pi * solution.frequencies[axis]
        # Hollow, and one inside the other, where both axes have the same frequency.
        colour, size = COLOURS[2 * axis], (9, 4)[axis]
        panel.vlines(angular, 1e-4, solution.weights[axis], color=colour, lw=(3, 1)[axis])
        panel.plot(
            angular,
            solution.weights[axis],
            "os"[axis],
            color=colour,
            markerfacecolor="white",
            ms=size,
            label=f"components along {case.names[axis]}",
        )
    for index, true in enumerate(sorted({*case.angular[0], *case.angular[1]})):
        panel.axvline(
            true,
            color=COLOURS[1],
            ls="--",
            lw=1,
            label=None if index else "frequencies of the solution",
        )
    panel.set(
        yscale="log",
        ylim=(1e-4, 4),
        xlabel="angular frequency",
        ylabel="weight",
        title="Spectrum of the kernels",
    )
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return [
        first,
        picture(spectrum, f"{case.name}: the peaks that the kernels of both axes start from."),
    ]
