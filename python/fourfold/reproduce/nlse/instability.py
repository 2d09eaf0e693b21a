"""Modulation instability in its linear stage: the gain of an ensemble against linear theory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold import nlse
from fourfold.nlse import analysis
from fourfold.reproduce.charts import COLOURS, axes, picture
from fourfold.reproduce.nlse.noisy_waves import GRID, POINTS, REALISATIONS, SEED, noisy_waves
from fourfold.reproduce.nlse.tools import relative_change
from fourfold.reproduce.record import Context, Section, at_least, at_most, close_to, number

__all__ = ["run"]

Float64 = npt.NDArray[np.float64]

_NOISE = 1e-9
# The stretch of time over which growth is measured.
_FROM, _TO = 4.0, 8.0

_TEXT = f"""
{REALISATIONS} realisations of the plane wave ψ = 1 on {POINTS} points, L = 32π, each with white
noise of its own of relative size {number(_NOISE)} (seed {SEED}), up to t = {_TO:g}, where it is
still small. A modulation of wavenumber K grows as exp(σt) with σ = ½ K √(4 − K²); the real part u
of ψ e^(−it) − 1 obeys u″ = σ²u mode by mode. That gives two measurements.

(1) As in a laboratory: half the logarithmic slope of the ensemble's spectrum ⟨|u_K|²⟩ between t =
{_FROM:g} and {_TO:g}, with its standard error by jackknife over the realisations. Its truth is
linear theory from white noise over the same times, as slow modes are not yet exponential.

(2) Free of that: y(t+τ) + y(t−τ) = 2 cosh(στ) y(t), with τ = {(_TO - _FROM) / 2:g}, for each mode y
of ψ e^(−it), by least squares over the realisations (`nlse.analysis.growth_rates`).
"""


def run(context: Context) -> Section:
    """Measure the gain of every unstable mode in two ways."""
    section = Section(_TEXT)
    problem = nlse.Problem(GRID)
    times = np.array([0.0, _FROM, (_FROM + _TO) / 2, _TO])
    # A fixed step: tolerances would only see the plane wave, which every splitting follows exactly.
    solution = nlse.solve(problem, noisy_waves(_NOISE), times, method="rkn6_14a", step=0.025)
    turned = solution.psi * np.exp(-1j * times)[:, None, None]
    # rfft of the real part joins K and -K: u_{-K} = u_K*.
    u = np.fft.rfft(turned.real - 1, axis=-1, norm="forward")
    half = GRID.n // 2
    k = GRID.k[:half].copy()
    band = np.flatnonzero((k > 0) & (k < 2 - 1e-9))
    k, u = k[band], u[:, :, band]
    gain = np.asarray(nlse.modulation_gain(k))

    power = np.abs(u) ** 2
    slope, deviation = _jackknife_slope(power[1], power[3], _TO - _FROM)
    expected = np.log(_growth(k, gain, _TO) / _growth(k, gain, _FROM)) / (2 * (_TO - _FROM))
    rates = analysis.growth_rates(solution, between=(_FROM, _TO), method="recurrence").rate
    measured = rates[band]

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
            f"at K = {k[fastest]:.4f}; modes lie {2 * np.pi / GRID.length:.4f} apart",
            origin="at K = √2",
        ),
        at_most(
            "mass drift, worst realisation",
            relative_change(solution.mass, solution.mass[0]),
            1e-11,
            "max over times and realisations of |M(t)/M(0) − 1|",
            reference="0",
        ),
    ]
    _draw_gain(section, k, slope, deviation, expected, measured)
    return section


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
