"""The figures of `fourfold.nlse.plot` that lay what was measured over or beside a map of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fourfold.nlse import analysis
from fourfold.nlse._densities import abs2
from fourfold.nlse._drawing import (
    BLUE,
    COHERENCE_MAP,
    COLOURS,
    NORMAL,
    draw_map,
    new_figure,
    time_axis,
)
from fourfold.nlse._members import Index, caption, check_realisation, member
from fourfold.nlse.analysis import Tracks
from fourfold.nlse.solution import Solution
from fourfold.nlse.statistics import EnsembleStatistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["coherence", "trajectories"]

Float64 = npt.NDArray[np.float64]


def coherence(solution: Solution) -> Figure:
    """The first-order coherence ``|g12|`` of an ensemble, in space and of the spectrum, over time.

    Above, maps over position and over wavenumber; below, the mean over position weighted by the
    mean intensity. (That over wavenumber, weighted by the mean spectrum, is the same by Parseval's
    theorem, but for the noise of independent fields.)

    Parameters
    ----------
    solution : Solution
        Of at least two realisations; the statistics are enough (see `EnsembleStatistics`).

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    ValueError
        If there are fewer than two realisations.
    """
    check_realisation(solution, None)
    statistics = solution.statistics
    if statistics is None:
        raise ValueError("solution must have at least two realisations for a coherence, got 1")
    figure, axes = new_figure("coherence", 2, 2, height=5.2)
    order = np.argsort(solution.grid.k)
    k = solution.grid.k[order]
    maps = (
        (axes[0], solution.x, statistics.coherence, "position $x$"),
        (axes[1], k, statistics.spectral_coherence[:, order], "wavenumber $k$"),
    )
    for ax, across, values, label in maps:
        # One bar for both maps.
        name = r"coherence $|g_{12}|$" if ax is axes[1] else None
        draw_map(figure, ax, across, solution.t, values, name, COHERENCE_MAP).set_clim(0, 1)
        ax.set_xlabel(label)
    axes[0].set_ylabel("time $t$")
    axes[1].sharey(axes[0])
    axes[1].tick_params(labelleft=False)
    axes[3].remove()
    specification = axes[2].get_subplotspec()
    assert specification is not None  # it comes from a grid of subplots
    axes[2].set_subplotspec(specification.get_gridspec()[1, :])
    axes[2].plot(solution.t, _overall(statistics), color=BLUE)
    time_axis(axes[2], solution.t)
    axes[2].set_ylim(0, 1.02)
    axes[2].set_ylabel(r"mean $|g_{12}|$")
    axes[0].set_title(f"{statistics.count} realisations", loc="left", fontsize=NORMAL)
    return figure


def trajectories(
    solution: Solution, tracks: Tracks | None = None, *, realisation: Index = None
) -> Figure:
    """Where solitons go: their tracks on the map of ``|psi|^2``, with amplitude and velocity.

    Parameters
    ----------
    solution : Solution
        With its fields.
    tracks : Tracks, optional
        What `fourfold.nlse.analysis.track_solitons` gave; if left out it is called with its
        defaults.
    realisation : int or tuple of int, optional
        Which member of an ensemble; needed where there are several.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    TypeError, ValueError
        If `realisation` does not name a member whose fields were stored, or `tracks` are of other
        times.
    """
    field = member(solution, realisation)
    if tracks is None:
        tracks = analysis.track_solitons(solution, realisation=realisation)
    elif not isinstance(tracks, Tracks):
        raise TypeError(f"tracks must be Tracks, got {type(tracks).__name__}")
    elif not np.array_equal(tracks.t, solution.t):
        raise ValueError("tracks must be of the saved times of the solution")
    figure, axes = new_figure("trajectories", 2, 2, height=4.4)
    left, right, lower = axes[0], axes[1], axes[3]
    axes[2].remove()
    specification = left.get_subplotspec()
    assert specification is not None  # it comes from a grid of subplots
    grid = specification.get_gridspec()
    left.set_subplotspec(grid[:, 0])
    draw_map(figure, left, solution.x, solution.t, abs2(field), r"$|\psi|^2$")
    left.set_xlim(*_ends(solution))
    right.sharex(lower)
    right.tick_params(labelbottom=False)
    for i in range(len(tracks)):
        color = COLOURS[i % len(COLOURS)]
        x, t = _broken(tracks.position[:, i], solution.t, solution.grid.length)
        # On the map a white line with a coloured core is seen on bright and dark alike.
        left.plot(x, t, color="white", linewidth=3, solid_capstyle="round")
        left.plot(x, t, color=color, linewidth=1.8, solid_capstyle="round")
        right.plot(solution.t, tracks.amplitude[:, i], color=color)
        lower.plot(solution.t, tracks.velocity[:, i], color=color)
    time_axis(lower, solution.t)
    left.set_xlabel("position $x$")
    left.set_ylabel("time $t$")
    right.set_ylabel("amplitude")
    lower.set_ylabel("velocity")
    left.set_title(caption(solution, realisation), loc="left", fontsize=NORMAL)
    return figure


def _overall(statistics: EnsembleStatistics) -> Float64:
    """The mean over x of the coherence, weighted by the mean intensity; NaN in the dark."""
    weight = statistics.intensity
    total = weight.sum(axis=1)
    sums = np.where(weight > 0, statistics.coherence, 0.0) * weight
    mean = np.full(total.shape, np.nan)
    np.divide(sums.sum(axis=1), total, out=mean, where=total > 0)
    return mean


def _ends(solution: Solution) -> tuple[float, float]:
    half = solution.grid.length / 2
    return -half, half


def _broken(position: Float64, t: Float64, length: float) -> tuple[Float64, Float64]:
    """A track folded into the box, broken where it passes an end."""
    lap = np.floor(position / length + 0.5)
    folded = position - length * lap
    step = np.flatnonzero(np.abs(np.diff(lap)) > 0) + 1
    return np.insert(folded, step, np.nan), np.insert(t, step, np.nan)
