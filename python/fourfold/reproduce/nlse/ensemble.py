"""Modulation instability: an ensemble of noisy plane waves against linear theory."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from fourfold import nlse
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.nlse.tools import relative_change
from fourfold.reproduce.record import (
    Context,
    Section,
    at_least,
    at_most,
    close_to,
    for_information,
)

__all__ = ["run"]

Float64 = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

_REALISATIONS = 256
_POINTS = 1024
_SEED = 20250911
# 32 modes lie in the unstable band 0 < K < 2; the last of them exactly at its edge.
_GRID = nlse.Grid(n=_POINTS, length=32 * np.pi)
_FAINT = 1e-9
_STRONG = 1e-2
# The stretch of time over which growth is measured.
_FROM, _TO = 4.0, 8.0


def run(context: Context) -> Section:
    """Measure the gain in the linear stage, then conservation and coherence in the nonlinear one."""
    section = Section(
        f"{_REALISATIONS} realisations of the plane wave ψ = 1 on {_POINTS} points, L = 32π, each "
        f"with white noise of its own (seed {_SEED}). A modulation of wavenumber K grows as "
        "exp(σt) with σ = ½ K √(4 − K²).\n\n"
        f"Linear stage: noise of relative size 1e-9 up to t = {_TO:g}, where it is still small. The "
        "real part u of ψ e^{−it} − 1 obeys u″ = σ²u mode by mode, which gives two measurements. "
        "(1) As in a laboratory: half the logarithmic slope of the ensemble's spectrum "
        f"⟨|u_K|²⟩ between t = {_FROM:g} and {_TO:g}, with its standard error by jackknife over "
        "realisations; its truth is linear theory from white noise over the same times, as slow "
        "modes are not yet exponential. (2) Free of that: u(t+τ) + u(t−τ) = 2 cosh(στ) u(t) with "
        "τ = 2, averaged over realisations and ±K.\n\n"
        "Nonlinear stage: noise of relative size 1e-2, kept as running statistics only. Here there "
        "is no closed form; what is judged is conservation in every realisation, the coherence at "
        "the start, and that a realisation solved alone is the same bit for bit."
    )
    _linear_stage(context, section)
    _nonlinear_stage(context, section)
    return section


def _ensemble(relative: float) -> Complex:
    psi0 = np.tile(nlse.plane_wave(_GRID), (_REALISATIONS, 1))
    return nlse.add_noise(psi0, relative=relative, rng=np.random.default_rng(_SEED))


def _linear_stage(context: Context, section: Section) -> None:
    context.say("linear stage")
    problem = nlse.Problem(_GRID)
    times = np.array([0.0, _FROM, (_FROM + _TO) / 2, _TO])
    # A fixed step: tolerances would only see the plane wave, which every splitting follows exactly.
    solution = nlse.solve(problem, _ensemble(_FAINT), times, method="rkn6_14a", step=0.025)
    turned = solution.psi * np.exp(-1j * times)[:, None, None]
    # rfft of the real part joins K and -K: u_{-K} = u_K*.
    u = np.fft.rfft(turned.real - 1, axis=-1, norm="forward")
    half = _GRID.n // 2
    k = _GRID.k[:half].copy()
    band = np.flatnonzero((k > 0) & (k < 2 - 1e-9))
    k, u = k[band], u[:, :, band]
    gain = np.asarray(nlse.modulation_gain(k))

    power = np.abs(u) ** 2
    slope, deviation = _jackknife_slope(power[1], power[3], _TO - _FROM)
    expected = np.log(_growth(k, gain, _TO) / _growth(k, gain, _FROM)) / (2 * (_TO - _FROM))
    tau = (_TO - _FROM) / 2
    inner = np.sum((u[2].conj() * (u[1] + u[3])).real, axis=0) / np.sum(power[2], axis=0)
    measured = np.arccosh(np.maximum(inner / 2, 1.0)) / tau

    within = np.abs(slope - expected) <= 3 * deviation + 1e-4
    fastest = int(np.argmax(measured))
    section.checks += [
        at_most(
            "(1) gain from the spectrum, farthest from linear theory",
            float(np.max(np.abs(slope - expected))),
            2e-3,
            f"max over the {len(k)} unstable modes; the mean standard error is "
            f"{float(np.mean(deviation)):.1g}",
            reference="0",
        ),
        at_least(
            "(1) share of the modes within three standard errors",
            float(np.mean(within)),
            0.95,
            "three standard errors of the jackknife, or 1e-4 where that is more",
            reference="0.997 for normal errors",
        ),
        at_most(
            "(2) gain from three times, farthest from ½ K √(4 − K²)",
            float(np.max(np.abs(measured - gain))),
            1e-4,
            f"max over the {len(k)} unstable modes; what is left is nonlinear, of the order of the "
            "modulation's size squared",
            reference="0",
        ),
        close_to(
            "(2) greatest gain",
            float(measured[fastest]),
            1.0,
            2e-3,
            f"at K = {k[fastest]:.4f}; modes lie {2 * np.pi / _GRID.length:.4f} apart",
            origin="at K = √2",
        ),
        at_most(
            "mass drift, worst realisation",
            relative_change(solution.mass, solution.mass[0]),
            1e-11,
            "max over times and realisations of |M(t)/M(0) − 1|, linear stage",
            reference="0",
        ),
    ]
    _draw_gain(section, k, slope, deviation, expected, measured)


def _growth(k: Float64, gain: Float64, t: float) -> Float64:
    """Return E|u_K(t)|^2 / E|u_K(0)|^2 of linear theory for white noise.

    ``u' = (K^2/2) v``, ``v' = (2 - K^2/2) u`` with E|u|^2 = E|v|^2 and no correlation at t = 0.
    """
    return np.asarray(np.cosh(gain * t) ** 2 + (k**2 / 2 * np.sinh(gain * t) / gain) ** 2)


def _jackknife_slope(early: Float64, late: Float64, time: float) -> tuple[Float64, Float64]:
    """Return ln(<late>/<early>)/(2 time) and its standard error, over axis 0."""
    count = early.shape[0]
    slope = np.log(late.sum(axis=0) / early.sum(axis=0)) / (2 * time)
    left_out = np.log((late.sum(axis=0) - late) / (early.sum(axis=0) - early)) / (2 * time)
    spread = left_out - left_out.mean(axis=0)
    return slope, np.sqrt((count - 1) / count * np.sum(spread**2, axis=0))


def _draw_gain(
    section: Section,
    k: Float64,
    slope: Float64,
    deviation: Float64,
    expected: Float64,
    measured: Float64,
) -> None:
    figure, (left, right) = axes(1, 2, height=3.6)
    fine = np.linspace(0, 2, 400)
    left.plot(
        fine,
        nlse.modulation_gain(fine),
        color="black",
        linewidth=1,
        label="½ K √(4 − K²)",
    )
    left.plot(
        k,
        expected,
        color=COLOURS[0],
        linewidth=1,
        linestyle="--",
        label="linear theory of (1)",
    )
    left.errorbar(
        k,
        slope,
        yerr=deviation,
        fmt="o",
        markersize=3.5,
        color=COLOURS[0],
        capsize=2,
        label="(1)",
    )
    left.plot(k, measured, "x", markersize=5, color=COLOURS[1], label="(2)")
    left.set_xlabel("K")
    left.set_ylabel("gain σ")
    left.legend(frameon=False, fontsize=8)
    right.semilogy(
        k,
        np.abs(measured - nlse.modulation_gain(k)),
        "x",
        color=COLOURS[1],
        label="(2)",
    )
    right.semilogy(k, np.abs(slope - expected), "o", markersize=3.5, color=COLOURS[0], label="(1)")
    right.semilogy(k, deviation, color=COLOURS[0], linewidth=1, label="standard error of (1)")
    right.set_xlabel("K")
    right.set_ylabel("|measured − theory|")
    right.legend(frameon=False, fontsize=8)
    section.figures.append(
        picture(
            figure,
            "Left: gain measured in both ways, the bars being one standard error, and theory. "
            "Right: distance from theory.",
        )
    )


def _nonlinear_stage(context: Context, section: Section) -> None:
    context.say("nonlinear stage")
    end = {"quick": 12.0, "default": 40.0, "full": 100.0}[context.effort]
    problem = nlse.Problem(_GRID)
    psi0 = _ensemble(_STRONG)
    t = np.linspace(0.0, end, 81)
    rtol = {"quick": 1e-6, "default": 1e-7, "full": 1e-8}[context.effort]
    # The noise fills the spectrum up to the grid's largest wavenumber. The sixth-order splittings
    # keep their order on resolved fields only; this one is the cheapest here for its energy drift.
    solve = partial(nlse.solve, problem, method="rkn4_6b", rtol=rtol, atol=rtol / 100)
    solution = solve(psi0, t, store="statistics")
    statistics = solution.statistics
    assert statistics is not None
    alone = solve(psi0[100], t[:6])
    together = solve(psi0[99:102], t[:6])

    coherence = statistics.coherence
    mean_coherence = coherence.mean(axis=-1)
    rate = solution.stats.steps / solution.stats.wall_seconds
    section.checks += [
        at_most(
            "nonlinear stage: mass drift, worst realisation",
            relative_change(solution.mass, solution.mass[0]),
            1e-11,
            f"up to t = {end:g}, max over 81 times and {_REALISATIONS} realisations",
            reference="0",
        ),
        at_most(
            "nonlinear stage: energy drift, worst realisation",
            relative_change(solution.energy, solution.energy[0]),
            1e-5,
            f"`{solution.stats.method}`, `rtol = {rtol:.0e}`, same maximum",
            reference="0",
        ),
        close_to(
            "coherence at t = 0",
            float(mean_coherence[0]),
            1 / (1 + _STRONG**2),
            2e-6,
            "|g₁₂| averaged over x; its scatter over realisations and points is about "
            f"{_STRONG**2 / np.sqrt(_REALISATIONS * _POINTS) * 2:.0e}",
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
            f"{1 / _REALISATIONS:.2g}",
        ),
        for_information(
            "steps of one realisation per second",
            rate,
            f"`{solution.stats.method}`, {solution.stats.threads} threads, "
            f"{solution.stats.transforms / solution.stats.steps:.3g} transforms a step, statistics included",
            unit="1/s",
        ),
    ]
    _draw_statistics(section, t, mean_coherence, statistics.spectrum)


def _draw_statistics(section: Section, t: Float64, coherence: Float64, spectrum: Float64) -> None:
    figure, (left, right) = axes(1, 2, height=3.6)
    left.plot(t, coherence, color=COLOURS[0])
    left.axhline(1 / _REALISATIONS, color="black", linewidth=0.8, linestyle=":")
    left.set_xlabel("t")
    left.set_ylabel("coherence |g₁₂|, mean over x")
    left.set_ylim(0, 1.05)
    order = np.argsort(_GRID.k)
    for index in (0, 10, 20, 40, 80):
        right.semilogy(
            _GRID.k[order],
            spectrum[index][order],
            linewidth=1,
            label=f"t = {t[index]:g}",
        )
    right.set_xlim(-12, 12)
    right.set_xlabel("K")
    right.set_ylabel("⟨|c_K|²⟩")
    right.legend(frameon=False, fontsize=8)
    section.figures.append(
        picture(
            figure,
            "Nonlinear stage. Left: coherence between realisations (dotted: 1/256, what independent "
            "fields would give). Right: mean spectrum; the modulation fills the band |K| < 2 and "
            "then its harmonics.",
        )
    )
