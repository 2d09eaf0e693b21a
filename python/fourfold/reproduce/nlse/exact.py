"""Solutions in closed form, followed from their first to their last time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fourfold import nlse
from fourfold.reproduce.charts import axes, picture
from fourfold.reproduce.nlse.tools import relative_change
from fourfold.reproduce.record import Context, Section, Table, at_most, number

__all__ = ["run"]

Float64 = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class _Truth:
    """A closed form, where to follow it, how exactly, and why not closer."""

    name: str
    n: int
    length: float
    start: float
    end: float
    bound: float
    limit: str
    psi: Callable[..., Complex]
    arguments: dict[str, object] = field(default_factory=dict)
    nonlinearity: float = 1.0
    # Compare at |x| up to this only; None: everywhere.
    within: float | None = None


def _truths() -> list[_Truth]:
    round_off = "round-off"
    background = "the background is unstable: round-off grows as e^t"
    return [
        _Truth(
            "soliton",
            512,
            50.0,
            0.0,
            20.0,
            1e-9,
            round_off,
            nlse.soliton,
            {"amplitude": 2.0, "center": -10.0, "velocity": 1.0},
        ),
        _Truth(
            "two solitons, one collision",
            2048,
            80.0,
            0.0,
            10.0,
            1e-9,
            round_off,
            nlse.two_soliton,
            {
                "amplitudes": (2.0, 1.5),
                "centers": (-10.0, 10.0),
                "velocities": (2.0, -2.0),
            },
        ),
        _Truth(
            "Akhmediev breather, a = 1/4",
            256,
            nlse.akhmediev_length(0.25, 4),
            -5.0,
            5.0,
            1e-8,
            background,
            nlse.akhmediev,
            {"a": 0.25},
        ),
        _Truth(
            "Peregrine breather",
            4096,
            400.0,
            -5.0,
            5.0,
            1e-6,
            "it decays as 1/x² only, so the periodic box differs from the line",
            nlse.peregrine,
            within=10.0,
        ),
        _Truth(
            "Kuznetsov–Ma breather, a = 1",
            1024,
            40.0,
            0.0,
            4 * np.pi / np.sqrt(8),
            1e-8,
            background,
            nlse.kuznetsov_ma,
            {"a": 1.0},
        ),
        _Truth(
            "plane wave, mode 3",
            128,
            20.0,
            0.0,
            5.0,
            1e-10,
            background,
            nlse.plane_wave,
            {"amplitude": 1.0, "mode": 3},
        ),
        _Truth(
            "dark pair, one collision",
            512,
            80.0,
            -20.0,
            20.0,
            1e-9,
            round_off,
            nlse.dark_soliton_collision,
            {"background": 1.0, "velocity": 0.5},
            nonlinearity=-1.0,
        ),
    ]


_TEXT = """
Each solution starts from its closed form and is compared with it at 101 times. The checks use the
default method at `rtol = 1e-11`; the table shows what the default tolerance gives. The bound of
each is set by what keeps the comparison from going lower, which its line names.
"""


def run(context: Context) -> Section:
    """Follow every closed form with the default method."""
    section = Section(_TEXT)
    rows: list[tuple[str, ...]] = []
    figure, (axis,) = axes(height=3.8)
    for truth in _truths():
        context.say(truth.name)
        grid = nlse.Grid(n=truth.n, length=truth.length)
        problem = nlse.Problem(grid, nonlinearity=truth.nonlinearity)
        t = np.linspace(truth.start, truth.end, 101)
        psi0 = truth.psi(grid, t=truth.start, **truth.arguments)
        tight = nlse.solve(problem, psi0, t, rtol=1e-11, atol=1e-13)
        usual = nlse.solve(problem, psi0, t)
        errors = _errors(tight, truth)
        where = "" if truth.within is None else f" at |x| ≤ {truth.within:g}"
        section.checks.append(
            at_most(
                truth.name,
                float(errors.max()),
                truth.bound,
                f"N = {truth.n}, L = {truth.length:.4g}, t = {truth.start:g} … {truth.end:.4g}: "
                f"max |ψ − closed form|{where}. Limited by: {truth.limit}.",
                reference="0, closed form",
            )
        )
        axis.semilogy((t - t[0]) / (t[-1] - t[0]), np.maximum(errors, 1e-17), label=truth.name)
        rows.append(
            (
                truth.name,
                number(float(_errors(usual, truth).max())),
                str(usual.stats.steps),
                number(float(errors.max())),
                str(tight.stats.steps),
                number(relative_change(tight.mass, tight.mass[0])),
            )
        )
    axis.set_xlabel("time, as a share of the run")
    axis.set_ylabel("max |ψ − closed form|")
    axis.legend(frameon=False, fontsize=8, ncols=2)
    section.tables.append(
        Table(
            "Default method at two tolerances: error and steps, and mass drift at the tighter one.",
            (
                "solution",
                "error, default",
                "steps",
                "error, 1e-11",
                "steps",
                "mass drift",
            ),
            rows,
        )
    )
    section.figures.append(
        picture(figure, "Error against the closed form over each run, rtol = 1e-11.")
    )
    return section


def _errors(solution: nlse.Solution, truth: _Truth) -> Float64:
    reach = np.inf if truth.within is None else truth.within
    near = np.abs(solution.x) <= reach
    exact = truth.psi(solution.grid, t=solution.t, **truth.arguments)
    distance: Float64 = np.abs(solution.fields_as_numpy() - exact)[:, near].max(axis=-1)
    return distance
