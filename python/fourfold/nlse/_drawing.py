"""What the figures of `fourfold.nlse.plot` have in common: style, maps, scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fourfold.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

Float64 = npt.NDArray[np.float64]

_WIDTH = 6.4  # inches
_RESOLUTION = 150  # dots per inch
SMALL, NORMAL = 8, 9  # points

# Perceptually uniform; the second one for quantities between 0 and 1.
INTENSITY_MAP = "inferno"
COHERENCE_MAP = "viridis"

# Colours that people with any colour vision tell apart (Okabe & Ito).
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY)


def new_figure(
    name: str,
    rows: int,
    columns: int,
    *,
    height: float,
    share_x: bool = False,
    share_y: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with ``rows`` x ``columns`` axes, styled without touching matplotlib's settings.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed; it says that ``nlse.plot.<name>`` needs it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        purpose = "Solution.animate" if name == "animate" else f"nlse.plot.{name}"
        raise MissingExtraError("plot", "matplotlib", purpose) from None
    figure = Figure(figsize=(_WIDTH, height), dpi=_RESOLUTION, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y).flat)
    for ax in axes:
        _style(ax)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _style(ax: Axes) -> None:
    ax.tick_params(labelsize=SMALL)
    ax.xaxis.label.set_fontsize(NORMAL)
    ax.yaxis.label.set_fontsize(NORMAL)


def draw_map(
    figure: Figure,
    ax: Axes,
    across: Float64,
    upwards: Float64,
    values: Float64,
    label: str | None,
    colors: str = INTENSITY_MAP,
) -> ScalarMappable:
    """A map of ``values`` (len(upwards), len(across)), with a colour bar unless it has no label."""
    image = ax.pcolorfast(edges(across), edges(upwards), values, cmap=colors)
    if label is not None:
        bar = figure.colorbar(image, ax=ax, label=label, pad=0.02)
        bar.outline.set_visible(False)
        _style(bar.ax)
    ax.spines[:].set_visible(False)
    if len(upwards) > 1:
        ax.set_ylim(upwards[0], upwards[-1])
    return image


def time_axis(ax: Axes, t: Float64) -> None:
    """Saved times along x."""
    if len(t) > 1:
        ax.set_xlim(t[0], t[-1])
    ax.set_xlabel("time $t$")


def edges(centers: Float64) -> Float64:
    """The edges of cells around increasing ``centers``: halfway between neighbours."""
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    inner = (centers[1:] + centers[:-1]) / 2
    first, last = 2 * centers[0] - inner[0], 2 * centers[-1] - inner[-1]
    return np.concatenate([[first], inner, [last]])


def decibels(values: Float64) -> Float64:
    """Decibels below the largest value; NaN for zeros."""
    levels = np.full(values.shape, np.nan)
    largest = values.max()
    np.log10(values / largest if largest > 0 else values, out=levels, where=values > 0)
    return 10 * levels
