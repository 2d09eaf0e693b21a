"""Modulation instability in its nonlinear stage: what an ensemble keeps, and its coherence."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from fourfold import nlse
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.nlse.noisy_waves import GRID, POINTS, REALISATIONS, SEED, noisy_waves
from fourfold.reproduce.nlse.tools import relative_change
from fourfold.reproduce.record import Context, Section, at_most, close_to, for_information, number

__all__ = ["run"]

Float64 = npt.NDArray[np.float64]

_NOISE = 1e-2

_TEXT = f"""
The same {REALISATIONS} × {POINTS} plane waves with noise of relative size {_NOISE:g} (seed
{SEED}), far into the stage where the modulation is as large as the wave. Only running statistics
over the realisations are kept. There is no closed form here; judged are the conservation in every
realisation, the coherence at the start, and that a realisation solved alone is the same bit for
bit.

The noise fills the spectrum up to the grid's largest wavenumber. The sixth-order splittings keep
their order on resolved fields only, so `rkn4_6b` is the better choice here.
"""


def run(context: Context) -> Section:
    """Follow the noisy plane waves far into the nonlinear stage."""
    section = Section(_TEXT)
    end = {"quick": 12.0, "default": 20.0, "full": 100.0}[context.effort]
    problem = nlse.Problem(GRID)
    psi0 = noisy_waves(_NOISE)
    t = np.linspace(0.0, end, 81)
    rtol = 1e-8 if context.effort == "full" else 1e-6
    solve = partial(nlse.solve, problem, method="rkn4_6b", rtol=rtol, atol=rtol / 100)
    solution = solve(psi0, t, store="statistics")
    statistics = solution.statistics
    assert statistics is not None
    alone = solve(psi0[100], t[:6])
    together = solve(psi0[99:102], t[:6])

    scatter = 2 * _NOISE**2 / np.sqrt(REALISATIONS * POINTS)
    coherence = statistics.coherence
    mean_coherence = coherence.mean(axis=-1)
    rate = solution.stats.steps / solution.stats.wall_seconds
    section.checks += [
        at_most(
            "mass drift, worst realisation",
            relative_change(solution.mass, solution.mass[0]),
            1e-11,
            f"up to t = {end:g}, max over 81 times and {REALISATIONS} realisations",
            reference="0",
        ),
        at_most(
            "energy drift, worst realisation",
            relative_change(solution.energy, solution.energy[0]),
            1e-5,
            f"`{solution.stats.method}`, `rtol = {number(rtol)}`, same maximum",
            reference="0",
        ),
        close_to(
            "coherence at t = 0",
            float(mean_coherence[0]),
            1 / (1 + _NOISE**2),
            2e-6,
            "|g₁₂| averaged over x; its scatter over realisations and points is about "
            f"{number(scatter)}",
            origin="= 1/(1 + 1e-4)",
        ),
        at_most(
            "a realisation alone and in an ensemble",
            float(np.max(np.abs(alone.psi - together.psi[:, 1]))),
            0.0,
            "number 100 solved alone and among others: max |difference|, which has to be 0 exactly",
            reference="0",
        ),
        for_information(
            "coherence at the end",
            float(mean_coherence[-1]),
            f"|g₁₂| averaged over x at t = {end:g}; independent fields give about "
            f"{1 / REALISATIONS:.2g}",
        ),
        for_information(
            "steps of one realisation per second",
            rate,
            f"`{solution.stats.method}`, {solution.stats.threads} threads, statistics included; "
            f"{solution.stats.transforms / solution.stats.steps:.3g} transforms a step",
            unit="1/s",
        ),
    ]
    _draw_statistics(section, t, mean_coherence, statistics.spectrum)
    return section


def _draw_statistics(section: Section, t: Float64, coherence: Float64, spectrum: Float64) -> None:
    figure, (left, right) = axes(1, 2, height=3.6)
    left.plot(t, coherence, color=COLOURS[0])
    left.axhline(1 / REALISATIONS, color="black", linewidth=0.8, linestyle=":")
    left.set_xlabel("t")
    left.set_ylabel(r"coherence $|g_{12}|$, mean over $x$")
    left.set_ylim(0, 1.05)
    order = np.argsort(GRID.k)
    for index in (0, 10, 20, 40, 80):
        right.semilogy(
            GRID.k[order],
            spectrum[index][order],
            linewidth=1,
            label=f"t = {t[index]:g}",
        )
    right.set_xlim(-12, 12)
    right.set_xlabel("K")
    right.set_ylabel(r"$\langle|c_K|^2\rangle$")
    right.legend(frameon=False, fontsize=8)
    section.figures.append(
        picture(
            figure,
            "Left: coherence between realisations (dotted: 1/256, what independent "
            "fields would give). Right: mean spectrum; the modulation fills the band |K| < 2 and "
            "then its harmonics.",
        )
    )
