"""The order of convergence of every method, and the transforms that an error costs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold import nlse
from fourfold.errors import BlowUpError, OrderWarning
from fourfold.nlse.methods import METHODS
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.record import Context, Section, Table, close_to

__all__ = ["run"]

Float64 = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

# A fit uses errors between these: below is round-off, above the asymptotic regime is not reached.
_FLOOR, _CEILING = 3e-11, 1e-4
_TOLERANCE = 0.35

# Transforms that prototypes with FFTW needed for these errors: soliton, N = 1024, T = 20.
_REFERENCE_WORK: dict[str, tuple[str, str, str]] = {
    "strang": ("> 90k", "–", "–"),
    "yoshida4": ("41k", "–", "–"),
    "rkn4_6b": ("11.1k", "18.8k", "–"),
    "rkn6_11b": ("11.4k", "25k", "42k"),
    "rkn6_14a": ("8.9k", "19k", "floor 3e-10"),
    "etdrk4": ("42k", "–", "–"),
    "rk4ip": ("54k", "–", "–"),
    "dop853": ("17k (adaptive)", "30k (adaptive)", "52k (adaptive)"),
}
_FIXED = tuple(method.name for method in METHODS.values() if method.fixed_step)
_TARGETS = (1e-6, 1e-8, 1e-10)


@dataclass(frozen=True)
class _Equation:
    title: str
    options: dict[str, Any]


_EQUATIONS = (
    _Equation("plain", {}),
    _Equation("loss 0.2", {"loss": 0.2}),
    _Equation("third-order dispersion 0.1", {"dispersion": {2: 0.5, 3: 0.1}}),
)


def run(context: Context) -> Section:
    """Fit orders from a ladder of steps, then measure work against error."""
    section = Section(
        "Orders: a soliton (A = 2, v = 1, N = 256, L = 30, T = 2) is solved with steps that shrink "
        "by √2, and the order is the slope of a straight line through log error against log step, "
        f"over the errors between {_FLOOR:.0e} and {_CEILING:.0e}. The truth of the plain equation is "
        "the closed form; with loss or third-order dispersion it is `dop853` at `rtol = 1e-14`, and "
        "for `dop853` itself `rkn4_6b` at a very small step. The "
        "sixth-order Nyström splittings are claimed to fall to order 4 there, and have to. Method "
        "`published` chooses its own steps and has no order to fit.\n\n"
        "Work: Fourier transforms, which cost nearly all the time, against error on the single "
        "soliton at N = 1024, T = 20, fixed steps."
    )
    _orders(context, section)
    _work(context, section)
    return section


def _orders(context: Context, section: Section) -> None:
    grid = nlse.Grid(n=256, length=30.0)
    psi0 = nlse.soliton(grid, amplitude=2.0, velocity=1.0)
    end = 2.0
    figure, panels = axes(1, 3, height=3.7, width=10.0)
    for equation, axis in zip(_EQUATIONS, panels, strict=True):
        problem = nlse.Problem(grid, **equation.options)
        by_dop853 = nlse.solve(problem, psi0, [0.0, end], method="dop853", rtol=1e-14, atol=1e-16)
        by_splitting = nlse.solve(problem, psi0, [0.0, end], method="rkn4_6b", step=end / 20_000)
        for colour, name in zip(COLOURS, _FIXED, strict=True):
            context.say(f"{equation.title}, {name}")
            if equation.options:
                truth = (by_splitting if name == "dop853" else by_dop853).psi[-1]
            else:
                truth = nlse.soliton(grid, amplitude=2.0, velocity=1.0, t=end)
            ladder = _climb(
                problem,
                psi0,
                truth,
                end=end,
                method=name,
                first=8,
                enough=_FLOOR,
                most=1e6,
            )
            steps = ladder.steps[ladder.fitted]
            section.checks.append(
                close_to(
                    f"{equation.title}: order of `{name}`",
                    ladder.order(),
                    problem.order(name),
                    _TOLERANCE,
                    f"slope over {steps.size} steps, from {steps.max(initial=0.0):.2g} to "
                    f"{steps.min(initial=end):.2g}",
                    origin="claimed",
                )
            )
            axis.loglog(
                ladder.steps,
                ladder.errors,
                ".-",
                color=colour,
                linewidth=1,
                markersize=4,
                label=name,
            )
        axis.set_title(equation.title, fontsize=10)
        axis.set_xlabel("step")
        axis.set_ylim(1e-13, 1e0)
    panels[0].set_ylabel("max |ψ − truth| at T = 2")
    panels[-1].legend(frameon=False, fontsize=7, loc="lower right")
    section.figures.append(
        picture(figure, "Error against step for every method with a fixed step.")
    )


@dataclass(frozen=True)
class _Ladder:
    """Steps from coarse to fine, the error at the end and the transforms of each run."""

    steps: Float64
    errors: Float64
    transforms: Float64

    @property
    def fitted(self) -> npt.NDArray[np.bool_]:
        """Which of them the order is fitted to."""
        return (self.errors > _FLOOR) & (self.errors < _CEILING)

    def order(self) -> float:
        """Return the slope of log error against log step, NaN with fewer than three points."""
        some = self.fitted
        if some.sum() < 3:
            return float("nan")
        slope, _ = np.polyfit(np.log(self.steps[some]), np.log(self.errors[some]), 1)
        return float(slope)

    def transforms_for(self, error: float) -> float:
        """Return the transforms at which the error is reached, between two runs by power law."""
        below = np.flatnonzero(self.errors <= error)
        if below.size == 0 or below[0] == 0:
            return float("nan")
        pair = slice(below[0] - 1, below[0] + 1)
        share = np.interp(-np.log(error), -np.log(self.errors[pair]), np.log(self.transforms[pair]))
        return float(np.exp(share))


def _climb(
    problem: nlse.Problem,
    psi0: Complex,
    truth: Complex,
    *,
    end: float,
    method: str,
    first: int,
    enough: float,
    most: float,
) -> _Ladder:
    """Refine the step by sqrt(2) until the error is below ``enough`` or ``most`` transforms done."""
    runs: list[tuple[float, float, float]] = []
    count = float(first)
    while not runs or (runs[-1][1] > enough and np.sqrt(2) * runs[-1][2] <= most):
        step = end / round(count)
        count *= np.sqrt(2)
        try:
            with warnings.catch_warnings():
                # That a method loses order here is what is being measured.
                warnings.simplefilter("ignore", OrderWarning)
                solution = nlse.solve(problem, psi0, [0.0, end], method=method, step=step)
        except BlowUpError:
            continue  # too coarse for this method
        error = float(np.max(np.abs(solution.psi[-1] - truth)))
        runs.append((step, error, float(solution.stats.transforms)))
    steps, errors, transforms = np.array(runs).T
    return _Ladder(steps, errors, transforms)


def _work(context: Context, section: Section) -> None:
    grid = nlse.Grid(n=1024, length=50.0)
    problem = nlse.Problem(grid)
    shape = {"amplitude": 2.0, "center": -10.0, "velocity": 1.0}
    psi0 = nlse.soliton(grid, **shape)
    truth = nlse.soliton(grid, **shape, t=20.0)
    most = {"quick": 5e4, "default": 2e5, "full": 1e6}[context.effort]
    figure, (axis,) = axes(height=4.2)
    rows = []
    for colour, method in zip(COLOURS, _FIXED, strict=True):
        context.say(f"work of {method}")
        ladder = _climb(
            problem,
            psi0,
            truth,
            end=20.0,
            method=method,
            first=100,
            enough=3e-11,
            most=most,
        )
        axis.loglog(
            ladder.transforms,
            ladder.errors,
            ".-",
            color=colour,
            linewidth=1,
            markersize=4,
            label=method,
        )
        row = [f"`{method}`"]
        for target, published in zip(_TARGETS, _REFERENCE_WORK[method], strict=True):
            needed = ladder.transforms_for(target)
            row += [f"> {most:.0f}" if np.isnan(needed) else f"{needed:.0f}", published]
        rows.append(tuple(row))
    axis.set_xlabel("Fourier transforms")
    axis.set_ylabel("max |ψ − closed form| at T = 20")
    axis.legend(frameon=False, fontsize=8)
    section.tables.append(
        Table(
            "Fourier transforms until the error on the single soliton is reached, beside those that "
            "prototypes with FFTW needed (reference figures of the project, N = 1024). "
            f"Runs stop at {most:.0f} transforms.",
            (
                "method",
                *(f"{title} {t:.0e}" for t in _TARGETS for title in ("to", "reference")),
            ),
            rows,
        )
    )
    section.figures.append(picture(figure, "Work against error, fixed steps, single soliton."))
