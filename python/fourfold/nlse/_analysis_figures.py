"""The figures of `fourfold.nlse.plot` that show what `fourfold.nlse.analysis` computes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold.nlse import analysis
from fourfold.nlse._drawing import (
    BLUE,
    COLOURS,
    GREY,
    NORMAL,
    SMALL,
    new_figure,
    time_axis,
)
from fourfold.nlse._members import Index, caption, check_realisation, member, nearest
from fourfold.nlse.analysis import EntropyComplexity
from fourfold.nlse.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["entropies", "entropy_complexity", "phase_space"]

Float64 = npt.NDArray[np.float64]

_MARKERS = "osD^v"


def entropies(solution: Solution, *, realisation: Index = None) -> Figure:
    """Entropies of the field over time, and the published statistical complexity below them.

    Shannon's in space and of the spectrum, Renyi's of order 2 and infinity in space. Of an
    ensemble: the means over its members, with bands of one standard deviation to each side.

    Parameters
    ----------
    solution : Solution
        With its fields.
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
        If `realisation` does not name a member, only the statistics were stored, or a field is
        zero everywhere.
    """
    fields = _fields(solution, realisation)
    figure, (top, bottom) = new_figure("entropies", 2, 1, height=4.6, share_x=True)
    curves = (
        ("Shannon", analysis.shannon_entropy(fields), "-"),
        ("Shannon, of the spectrum", analysis.shannon_entropy(fields, spectral=True), "--"),
        ("Rényi of order 2", analysis.renyi_entropy(fields, 2), "-."),
        ("Rényi of order ∞", analysis.renyi_entropy(fields, math.inf), ":"),
    )
    for (name, values, style), color in zip(curves, COLOURS, strict=False):
        _curve(top, solution.t, values, color, name, style)
    _curve(bottom, solution.t, analysis.statistical_complexity(fields), BLUE, "", "-")
    top.set_ylabel("entropy (nats)")
    top.legend(frameon=False, fontsize=SMALL, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    bottom.set_ylabel("complexity $C$")
    time_axis(bottom, solution.t)
    top.set_title(caption(solution, realisation), loc="right", fontsize=NORMAL)
    return figure


def phase_space(
    solution: Solution, times: Sequence[float] | None = None, *, realisation: Index = None
) -> Figure:
    """The field as a curve in the plane of its real and imaginary part, at a few saved times.

    Dots are the points of the grid, joined in the order of x. All panels share their scale.

    Parameters
    ----------
    solution : Solution
        With its fields.
    times : sequence of float, optional
        Times to show; the nearest saved ones are taken. Default: three of them, the first, the
        middle and the last.
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
        If `realisation` does not name a member whose fields were stored, or `times` is empty or
        reaches outside the saved ones.
    """
    field = member(solution, realisation)
    rows = nearest(solution.t, times, 3)
    columns = min(3, len(rows))
    lines = math.ceil(len(rows) / columns)
    height = 0.55 + (5.8 / columns + 0.3) * lines
    figure, axes = new_figure(
        "phase_space", lines, columns, height=height, share_x=True, share_y=True
    )
    reach = max(1.08 * float(np.abs(field[rows]).max()), np.finfo(float).tiny)
    for ax, row in zip(axes, rows, strict=False):
        ring = np.append(field[row], field[row, 0])  # the box is periodic
        ax.axhline(0, color="black", linewidth=0.5, alpha=0.4)
        ax.axvline(0, color="black", linewidth=0.5, alpha=0.4)
        ax.plot(ring.real, ring.imag, color=BLUE, linewidth=0.6, alpha=0.5)
        ax.plot(field[row].real, field[row].imag, ".", color=BLUE, markersize=2.5)
        ax.set_title(f"$t = {solution.t[row]:.4g}$", fontsize=NORMAL)
        ax.set_aspect("equal")
    axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    for i, ax in enumerate(axes):
        # The lowest of a column that is seen carries the label.
        if i + columns >= len(rows):
            ax.set_xlabel(r"$\mathrm{Re}\,\psi$")
            ax.tick_params(labelbottom=True)
        if i % columns == 0:
            ax.set_ylabel(r"$\mathrm{Im}\,\psi$")
        ax.set_visible(i < len(rows))
    text = caption(solution, realisation)
    if text:
        figure.suptitle(text, fontsize=NORMAL, x=0.02, ha="left")
    return figure


def entropy_complexity(
    points: EntropyComplexity | Mapping[str, EntropyComplexity], *, order: int
) -> Figure:
    """Series in the plane of permutation entropy H and Jensen-Shannon complexity C.

    The area between the limits is where series can lie (`fourfold.nlse.analysis.plane_limits`);
    the dotted lines are the least and the greatest entropy of slow periodic series.

    Parameters
    ----------
    points : EntropyComplexity, or mapping of str to EntropyComplexity
        What `fourfold.nlse.analysis.complexity_entropy` gave, of any shape; several by name.
    order : int
        The order they were computed with, 3 to 7: the limits depend on it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    TypeError, ValueError
        If an argument is not what is said above.
    """
    lower, upper = analysis.plane_limits(order, 2000)
    groups = points if isinstance(points, Mapping) else {"": points}
    for place in groups.values():
        if not isinstance(place, EntropyComplexity):
            raise TypeError(
                f"points must be EntropyComplexity or a mapping to it, got {type(place).__name__}"
            )
    figure, (ax,) = new_figure("entropy_complexity", 1, 1, height=4.2)
    h = np.linspace(0, 1, 1001)
    below = np.interp(h, lower.entropy, lower.complexity)
    above = np.interp(h, upper.entropy, upper.complexity)
    ax.fill_between(h, below, above, color=GREY, alpha=0.12, linewidth=0)
    for curve in (lower, upper):
        ax.plot(curve.entropy, curve.complexity, color=GREY, linewidth=1)
    for limit in analysis.periodic_limits(order):
        bottom, top = (float(np.interp(limit, h, edge)) for edge in (below, above))
        ax.plot([limit, limit], [bottom, top], color=GREY, linewidth=1, linestyle=":")
    for i, (name, place) in enumerate(groups.items()):
        ax.plot(
            np.ravel(place.entropy),
            np.ravel(place.complexity),
            _MARKERS[i % len(_MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            markersize=4,
            alpha=0.8,
            markeredgewidth=0,
            clip_on=False,  # noise lies in the corner
            label=name,
        )
    if any(groups):
        ax.legend(frameon=False, fontsize=SMALL, loc="upper right")
    ax.set(xlim=(0, 1), ylim=(0, 1.08 * float(np.max(upper.complexity))))
    ax.set_xlabel("permutation entropy $H$")
    ax.set_ylabel("complexity $C$")
    ax.set_title(f"order {order}", loc="left", fontsize=NORMAL)
    return figure


def _fields(solution: Solution, realisation: Index) -> npt.NDArray[Any]:
    """The fields (T, members, n) to take the mean over."""
    if check_realisation(solution, realisation) is None and solution.has_fields:
        return solution.fields_as_numpy().reshape(len(solution.t), -1, solution.grid.n)
    return member(solution, realisation)[:, None]


def _curve(ax: Axes, t: Float64, values: Float64, color: str, label: str, style: str) -> None:
    """The mean over the members of (T, members), and a band of one standard deviation."""
    mean, deviation = values.mean(axis=1), values.std(axis=1)
    if values.shape[1] > 1:
        ax.fill_between(t, mean - deviation, mean + deviation, color=color, alpha=0.2, linewidth=0)
    ax.plot(t, mean, style, color=color, label=label)
