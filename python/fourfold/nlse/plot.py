"""Figures of a `Solution`, whether it comes from `solve` or from a file.

Every function returns a `matplotlib.figure.Figure` of its own, apart from pyplot's state: save it
with ``figure.savefig("map.png")``. Of an ensemble, ``realisation`` picks one member; without it the
averages over the ensemble are shown, which is all there is after ``store="statistics"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse._analysis_figures import entropies, entropy_complexity, phase_space
from fourfold.nlse._densities import abs2, power
from fourfold.nlse._drawing import (
    BLUE,
    COHERENCE_MAP,
    GREEN,
    GREY,
    NORMAL,
    ORANGE,
    SMALL,
    decibels,
    draw_map,
    new_figure,
    time_axis,
)
from fourfold.nlse._map_figures import coherence, trajectories
from fourfold.nlse._members import Index, caption, check_realisation, member, nearest
from fourfold.nlse.solution import Solution
from fourfold.nlse.statistics import EnsembleStatistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "coherence",
    "conservation",
    "entropies",
    "entropy_complexity",
    "phase_space",
    "snapshots",
    "space_time",
    "spectrum",
    "trajectories",
]

Float64 = npt.NDArray[np.float64]

# Depth of the spectral map in decibels; what is weaker has the darkest colour.
_DEPTH = 160.0


def space_time(solution: Solution, *, realisation: Index = None) -> Figure:
    """The intensity ``|psi|^2`` over space and time, as a map.

    Of an ensemble: the mean intensity, and beside it the coherence ``|g12|`` (see
    `EnsembleStatistics`).

    Parameters
    ----------
    solution : Solution
    realisation : int or tuple of int, optional
        Which member of an ensemble: an index for each leading dimension.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    TypeError, ValueError
        If `realisation` does not name a member whose fields were stored.
    """
    chosen = _choose(solution, realisation)
    panels = 1 if isinstance(chosen, np.ndarray) else 2
    figure, axes = new_figure("space_time", 1, panels, height=3.6)
    if isinstance(chosen, np.ndarray):
        draw_map(figure, axes[0], solution.x, solution.t, abs2(chosen), r"$|\psi|^2$")
    else:
        mean = chosen.intensity
        draw_map(figure, axes[0], solution.x, solution.t, mean, r"$\langle|\psi|^2\rangle$")
        image = draw_map(
            figure,
            axes[1],
            solution.x,
            solution.t,
            chosen.coherence,
            r"coherence $|g_{12}|$",
            COHERENCE_MAP,
        )
        image.set_clim(0, 1)
        axes[1].sharey(axes[0])
        axes[1].tick_params(labelleft=False)
    for ax in axes:
        ax.set_xlabel("position $x$")
    axes[0].set_ylabel("time $t$")
    axes[0].set_title(caption(solution, realisation), loc="left", fontsize=NORMAL)
    return figure


def snapshots(
    solution: Solution, times: Sequence[float] | None = None, *, realisation: Index = None
) -> Figure:
    """The intensity ``|psi|^2`` against ``x`` at a few saved times, one panel below the other.

    Of an ensemble: the mean intensity, with a band of one standard deviation to each side.

    Parameters
    ----------
    solution : Solution
    times : sequence of float, optional
        Times to show; the nearest saved ones are taken, and shown in the panels. Default: five of
        them, evenly spaced from the first to the last.
    realisation : int or tuple of int, optional
        Which member of an ensemble: an index for each leading dimension.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    TypeError, ValueError
        If `realisation` does not name a member whose fields were stored, or `times` is empty or
        reaches outside the saved ones.
    """
    chosen = _choose(solution, realisation)
    rows = nearest(solution.t, times, 5)
    figure, axes = new_figure(
        "snapshots", len(rows), 1, height=0.6 + 0.95 * len(rows), share_x=True, share_y=True
    )
    for ax, row in zip(axes, rows, strict=True):
        if isinstance(chosen, np.ndarray):
            values = abs2(chosen[row])
        else:
            values = chosen.intensity[row]
            deviation = np.sqrt(chosen.intensity_variance[row])
            ax.fill_between(
                solution.x,
                values - deviation,
                values + deviation,
                color=BLUE,
                alpha=0.25,
                linewidth=0,
            )
        ax.plot(solution.x, values, color=BLUE)
        ax.text(
            0.985,
            0.93,
            f"$t = {solution.t[row]:.4g}$",
            transform=ax.transAxes,
            ha="right",
            va="top",
            fontsize=SMALL,
        )
        ax.margins(x=0)
    # Once all panels are drawn, as they share their scale; with room above for the times.
    top = max(1.25 * axes[0].get_ylim()[1], np.finfo(float).tiny)
    axes[0].set_ylim(0, top)
    axes[0].set_title(caption(solution, realisation), loc="left", fontsize=NORMAL)
    axes[-1].set_xlabel("position $x$")
    is_mean = isinstance(chosen, EnsembleStatistics)
    figure.supylabel(r"$\langle|\psi|^2\rangle$" if is_mean else r"$|\psi|^2$", fontsize=NORMAL)
    return figure


def spectrum(solution: Solution, *, realisation: Index = None) -> Figure:
    """The spectrum ``|c_k|^2`` over time as a map, and at the first and the last time.

    The coefficients are ``c = fft(psi)/n``. The map is in decibels below the strongest coefficient
    of all. Of an ensemble: the mean spectrum, and below it the spectral coherence ``|g12|`` at the
    last time.

    Parameters
    ----------
    solution : Solution
    realisation : int or tuple of int, optional
        Which member of an ensemble: an index for each leading dimension.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    TypeError, ValueError
        If `realisation` does not name a member whose fields were stored.
    """
    chosen = _choose(solution, realisation)
    coherence: Float64 | None = None
    if isinstance(chosen, np.ndarray):
        values = power(chosen)
        symbol = r"$|c_k|^2$"
    else:
        values, coherence = chosen.spectrum, np.fft.fftshift(chosen.spectral_coherence[-1])
        symbol = r"$\langle|c_k|^2\rangle$"
    k = np.fft.fftshift(solution.grid.k)
    values = np.fft.fftshift(values, axes=-1)

    panels = 2 if coherence is None else 3
    figure, axes = new_figure("spectrum", panels, 1, height=1.2 + 1.7 * panels, share_x=True)
    levels = decibels(values)
    image = draw_map(figure, axes[0], k, solution.t, levels, f"{symbol} (dB)")
    image.set_clim(max(-_DEPTH, np.nanmin(levels, initial=-1.0)), 0)
    image.set_cmap(image.cmap.with_extremes(bad=image.cmap(0)))
    axes[0].set_ylabel("time $t$")
    axes[0].set_title(caption(solution, realisation), loc="left", fontsize=NORMAL)

    for row, color in ((0, GREY), (-1, BLUE)):
        shown = np.where(values[row] > 0, values[row], np.nan)
        axes[1].semilogy(k, shown, color=color, label=f"$t = {solution.t[row]:.4g}$")
    axes[1].set_ylabel(symbol)
    axes[1].legend(loc="upper right", frameon=False, fontsize=SMALL)
    if coherence is not None:
        axes[2].plot(k, coherence, color=GREEN)
        axes[2].set_ylim(0, 1.02)
        axes[2].set_ylabel(rf"$|g_{{12}}|$ at $t = {solution.t[-1]:.4g}$")
    for ax in axes[:-1]:
        ax.tick_params(labelbottom=False)
    axes[-1].set_xlabel("wavenumber $k$")
    return figure


def conservation(solution: Solution, *, realisation: Index = None) -> Figure:
    """By how much mass, momentum and energy have changed since the first time.

    The scale is logarithmic. Changes are relative to the first value ``M``, ``|P|`` and ``|E|``;
    but momentum to no less than ``M q`` and energy to no less than ``M q^2 / 2`` with the smallest
    wavenumber ``q = 2 pi / L``, because either may vanish. Of an ensemble the largest change among
    its members is shown. A change of exactly zero has no place on the scale.

    Parameters
    ----------
    solution : Solution
    realisation : int or tuple of int, optional
        Which member of an ensemble: an index for each leading dimension.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    TypeError, ValueError
        If `realisation` does not name a member.
    """
    index = check_realisation(solution, realisation)
    figure, axes = new_figure("conservation", 1, 1, height=3.2)
    (ax,) = axes
    smallest = 2 * np.pi / solution.grid.length
    mass = np.abs(solution.mass[0])
    scales = {
        "mass": mass,
        "momentum": np.maximum(np.abs(solution.momentum[0]), mass * smallest),
        "energy": np.maximum(np.abs(solution.energy[0]), mass * smallest**2 / 2),
    }
    styles = zip(scales.items(), (BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=True)
    for (name, scale), color, line in styles:
        values = getattr(solution, name)
        change = np.abs(values - values[0])
        relative = np.divide(change, scale, out=np.zeros_like(change), where=scale > 0)
        relative = relative.reshape(len(solution.t), -1)
        largest = relative[:, index] if index is not None else relative.max(axis=1)
        shown = np.where(largest > 0, largest, np.nan)
        ax.semilogy(solution.t, shown, color=color, linestyle=line, label=name)
    time_axis(ax, solution.t)
    ax.set_ylabel("relative change")
    ax.legend(frameon=False, fontsize=SMALL)
    text = caption(solution, realisation)
    ax.set_title(text.replace("mean over", "largest among"), loc="left", fontsize=NORMAL)
    return figure


def _choose(solution: Solution, realisation: Index) -> npt.NDArray[Any] | EnsembleStatistics:
    """The field (T, n) to show, or the statistics of the ensemble."""
    if check_realisation(solution, realisation) is None and solution.statistics is not None:
        return solution.statistics
    return member(solution, realisation)
