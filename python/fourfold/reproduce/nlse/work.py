"""Fourier transforms against error, for every method with a fixed step."""

from __future__ import annotations

import numpy as np

from fourfold import nlse
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.nlse.ladder import FIXED_STEP, climb
from fourfold.reproduce.record import Context, Section, Table, number

__all__ = ["run"]

_TARGETS = (1e-6, 1e-8, 1e-10)

# Transforms that prototypes with FFTW needed for these errors.
_REFERENCE: dict[str, tuple[str, str, str]] = {
    "strang": ("> 90k", "–", "–"),
    "yoshida4": ("41k", "–", "–"),
    "rkn4_6b": ("11.1k", "18.8k", "–"),
    "rkn6_11b": ("11.4k", "25k", "42k"),
    "rkn6_14a": ("8.9k", "19k", "floor 3e-10"),
    "etdrk4": ("42k", "–", "–"),
    "rk4ip": ("54k", "–", "–"),
    "dop853": ("17k, adaptive", "30k, adaptive", "52k, adaptive"),
}

_TEXT = """
The single soliton (A = 2, v = 1, N = 1024, L = 50) from t = 0 to 20 with fixed steps, each ladder
from coarse to fine. Fourier transforms cost nearly all the time, and their number does not depend
on the machine. Nothing is judged here: the figures stand beside those of independent prototypes
with FFTW.
"""


def run(context: Context) -> Section:
    """Measure how many transforms each method needs for an error."""
    most = {"quick": 5e4, "default": 2e5, "full": 1e6}[context.effort]
    grid = nlse.Grid(n=1024, length=50.0)
    problem = nlse.Problem(grid)
    psi0 = nlse.soliton(grid, amplitude=2.0, center=-10.0, velocity=1.0)
    truth = nlse.soliton(grid, amplitude=2.0, center=-10.0, velocity=1.0, t=20.0)
    figure, (axis,) = axes(height=4.2)
    rows: list[tuple[str, ...]] = []
    for colour, method in zip(COLOURS, FIXED_STEP, strict=True):
        context.say(method)
        ladder = climb(
            problem, psi0, truth, end=20.0, method=method, first=100, enough=3e-11, most=most
        )
        axis.loglog(
            ladder.transforms, ladder.errors, ".-", color=colour, lw=1, markersize=4, label=method
        )
        row = [f"`{method}`"]
        for target, reference in zip(_TARGETS, _REFERENCE[method], strict=True):
            needed = ladder.transforms_for(target)
            row += ["not reached" if np.isnan(needed) else f"{needed:.0f}", reference]
        rows.append(tuple(row))
    axis.set_xlabel("Fourier transforms")
    axis.set_ylabel("max |ψ − closed form| at t = 20")
    axis.legend(frameon=False, fontsize=8)

    section = Section(_TEXT)
    section.tables.append(
        Table(
            f"Fourier transforms until the error is reached, with at most {most:.0f} of them.",
            ("method", *(word for t in _TARGETS for word in (f"to {number(t)}", "prototype"))),
            rows,
        )
    )
    section.figures.append(picture(figure, "Work against error."))
    return section
