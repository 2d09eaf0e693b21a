"""Mass over many steps, time reversal, Galilean and scale symmetry."""

from __future__ import annotations

import numpy as np

from fourfold import nlse
from fourfold.reproduce.charts import axes, picture
from fourfold.reproduce.nlse.tools import relative_change
from fourfold.reproduce.record import Context, Section, at_most

__all__ = ["run"]


_TEXT = """
The equation keeps mass, momentum and energy, runs backwards under ψ → ψ*, and maps onto itself in
a moving frame and under ψ(x, t) → s ψ(s x, s² t). None of it is enforced: nothing is projected or
renormalised, so what is seen here is the method and round-off.
"""


def run(context: Context) -> Section:
    """Run the soliton for long, back in time, in a moving frame and on another scale."""
    section = Section(_TEXT)
    _many_steps(context, section)
    _time_reversal(context, section)
    _symmetries(context, section)
    return section


def _many_steps(context: Context, section: Section) -> None:
    count = 10_000 if context.effort == "quick" else 100_000
    context.say(f"{count} Strang steps")
    grid = nlse.Grid(n=1024, length=50.0)
    problem = nlse.Problem(grid)
    end = 20.0
    psi0 = nlse.soliton(grid, amplitude=2.0, center=-10.0, velocity=1.0)
    t = np.linspace(0.0, end, 201)
    solution = nlse.solve(problem, psi0, t, method="strang", step=end / count * (1 + 1e-12))
    drift = relative_change(solution.mass, solution.mass[0])
    section.checks.append(
        at_most(
            f"mass drift over {solution.stats.steps} steps",
            drift,
            1e-11,
            "Strang, single soliton, N = 1024: max over 201 saved times of |M(t)/M(0) − 1|",
            reference="0",
        )
    )
    figure, (axis,) = axes(height=3.0)
    change = (solution.mass / solution.mass[0] - 1) * 1e15
    steps = np.arange(len(t)) * solution.stats.steps / (len(t) - 1)
    axis.plot(steps, change, linewidth=1.2)
    axis.set_xlabel("steps")
    axis.set_ylabel("M / M(0) − 1   [1e-15]")
    section.figures.append(
        picture(
            figure,
            "Mass over the run, in units of 1e-15: the round-off of the transforms.",
        )
    )


def _time_reversal(context: Context, section: Section) -> None:
    context.say("time reversal")
    grid = nlse.Grid(n=512, length=50.0)
    problem = nlse.Problem(grid)
    psi0 = nlse.soliton(grid, amplitude=2.0, center=-10.0, velocity=1.0)
    for method, count in (("strang", 10_000), ("rkn6_14a", 1_000)):
        step = 20.0 / count * (1 + 1e-12)
        there = nlse.solve(problem, psi0, [0.0, 20.0], method=method, step=step)
        back = nlse.solve(problem, there.psi[-1].conj(), [0.0, 20.0], method=method, step=step)
        section.checks.append(
            at_most(
                f"time reversal, `{method}`",
                float(np.max(np.abs(back.psi[-1].conj() - psi0))),
                1e-9,
                f"single soliton, T = 20 there and back in {there.stats.steps} steps each: "
                "max |ψ_back − ψ₀|",
                reference="0",
            )
        )


def _symmetries(context: Context, section: Section) -> None:
    context.say("symmetries")
    # No closed form enters: a breathing state is solved twice, in two frames.
    grid = nlse.Grid(n=1024, length=50.0)
    x = grid.x
    psi0 = (np.sqrt(2) / np.cosh(x) * (1 + 0.5 * np.cos(x))).astype(np.complex128)
    end = 5.0
    at_rest = nlse.solve(nlse.Problem(grid), psi0, [0.0, end], rtol=1e-11, atol=1e-13).psi[-1]

    mode = 16
    v = 2 * np.pi * mode / grid.length
    boosted0 = psi0 * np.exp(1j * v * x)
    boosted = nlse.solve(nlse.Problem(grid), boosted0, [0.0, end], rtol=1e-11, atol=1e-13).psi[-1]
    # psi(x, t) -> psi(x - v t, t) exp(i (v x - v^2 t / 2)); the shift is exact in Fourier space.
    shifted = np.fft.ifft(np.fft.fft(at_rest) * np.exp(-1j * grid.k * v * end))
    truth = shifted * np.exp(1j * (v * x - v**2 * end / 2))
    section.checks.append(
        at_most(
            "Galilean symmetry",
            float(np.max(np.abs(boosted - truth))),
            1e-8,
            f"a breathing state, solved at rest and moving at v = 2π·{mode}/L, T = 5: "
            "max |ψ_moving − boosted ψ_rest|",
            reference="0",
        )
    )

    s = 2.0
    small = nlse.Grid(n=1024, length=50.0 / s)
    scaled = nlse.solve(
        nlse.Problem(small), s * psi0, [0.0, end / s**2], rtol=1e-11, atol=1e-13
    ).psi[-1]
    section.checks.append(
        at_most(
            "scale symmetry",
            float(np.max(np.abs(scaled - s * at_rest))),
            1e-8,
            "the same state at twice the amplitude, half the width and a quarter of the time: "
            "max |ψ_scaled − 2ψ|",
            reference="0",
        )
    )
