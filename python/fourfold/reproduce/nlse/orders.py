"""The order of convergence of every method, with and without loss or third-order dispersion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp

from fourfold import nlse
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.nlse.ladder import FIXED_STEP, FLOOR, climb
from fourfold.reproduce.record import Context, Section, at_least, number

__all__ = ["run"]

Complex = npt.NDArray[np.complex128]

# The share of its claimed order that a method has to show.
_LEAST_SHARE = 0.8
_END = 8.0


@dataclass(frozen=True)
class _Equation:
    title: str
    options: dict[str, Any]


_EQUATIONS = (
    _Equation("plain", {}),
    _Equation("loss 0.2", {"loss": 0.2}),
    _Equation("third-order dispersion 0.1", {"dispersion": {2: 0.5, 3: 0.1}}),
)

_TEXT = f"""
A soliton (A = 1, v = ½, N = 384, L = 60, T = {_END:g}) is solved with steps that shrink by √2.
The order is the slope of a straight line through log error against log step, over the finest
factor of four in the step whose errors are clear of round-off (above ten times the least error
seen, and above {number(FLOOR)}). The truth of the plain equation is the closed form; with loss or
third-order dispersion it is SciPy's own DOP853 on the interaction picture at `rtol = 3e-14`.

A method passes with at least four fifths of its claimed order. More is no fault: while the
highest waves leave resonance with the step, the error of the splittings falls faster than their
order for a while. The sixth-order Nyström splittings are claimed to keep order 4 with loss or
third-order dispersion. Method `published` chooses its own steps and has no order to fit.
"""


def run(context: Context) -> Section:
    """Fit the order of every method with a fixed step, on three equations."""
    section = Section(_TEXT)
    grid = nlse.Grid(n=384, length=60.0)
    psi0 = nlse.soliton(grid, velocity=0.5)
    figure, panels = axes(1, 3, height=3.7, width=10.0)
    for equation, axis in zip(_EQUATIONS, panels, strict=True):
        context.say(f"truth of {equation.title}")
        problem = nlse.Problem(grid, **equation.options)
        if equation.options:
            truth = _by_scipy(problem, psi0, _END)
        else:
            truth = nlse.soliton(grid, velocity=0.5, t=_END)
        for colour, name in zip(COLOURS, FIXED_STEP, strict=True):
            context.say(f"{equation.title}, {name}")
            ladder = climb(
                problem, psi0, truth, end=_END, method=name, first=8, enough=FLOOR, most=5e4
            )
            steps = ladder.steps[ladder.fitted]
            section.add(
                equation.title,
                at_least(
                    f"order of `{name}`",
                    ladder.order(),
                    problem.order(name) * _LEAST_SHARE,
                    f"slope over {steps.size} steps, from {steps.max(initial=0.0):.2g} to "
                    f"{steps.min(initial=_END):.2g}",
                    reference=f"{problem.order(name)} claimed",
                ),
            )
            axis.loglog(
                ladder.steps, ladder.errors, ".-", color=colour, lw=1, markersize=4, label=name
            )
        axis.set_title(equation.title, fontsize=10)
        axis.set_xlabel("step")
        axis.set_ylim(1e-13, 1e0)
    panels[0].set_ylabel(f"max |ψ − truth| at T = {_END:g}")
    panels[-1].legend(frameon=False, fontsize=7, loc="lower right")
    caption = "Error against step for every method with a fixed step."
    section.figures.append(picture(figure, caption))
    return section


def _by_scipy(problem: nlse.Problem, psi0: Complex, end: float) -> Complex:
    """Return psi(end) by SciPy's DOP853 on ``exp(i omega t) c``: of ours it takes omega alone."""
    omega = problem.omega
    loss = 0.0 if problem.loss is None else problem.loss

    def slope(t: float, a: Complex) -> Complex:
        psi = np.fft.ifft(np.exp(-1j * omega * t) * a, norm="forward")
        rotation = 1j * problem.nonlinearity * np.abs(psi) ** 2 - loss
        return np.asarray(np.exp(1j * omega * t) * np.fft.fft(rotation * psi, norm="forward"))

    start = np.fft.fft(psi0, norm="forward")
    solved = solve_ivp(slope, (0.0, end), start, method="DOP853", rtol=3e-14, atol=1e-17)
    return np.asarray(np.fft.ifft(np.exp(-1j * omega * end) * solved.y[:, -1], norm="forward"))
