"""Figures for the report: one look, and PNG bytes out."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from fourfold.reproduce.record import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = ["COLOURS", "axes", "picture"]

# Okabe and Ito's colours, which people with colour-vision deficiencies tell apart, without yellow.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
    "#7F7F7F",
)


def axes(
    rows: int = 1, columns: int = 1, *, width: float = 9.0, height: float = 3.8
) -> tuple[MatplotlibFigure, list[Axes]]:
    """Return a figure (sizes in inches) and its axes, row by row, without touching pyplot."""
    from matplotlib.figure import Figure as MatplotlibFigure

    figure = MatplotlibFigure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    flat = [axis for row in grid for axis in row]
    for axis in flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(True, color="#e3e6ea", linewidth=0.7)
        axis.set_axisbelow(True)
        axis.set_prop_cycle(color=COLOURS)
    return figure, flat


def picture(
    figure: MatplotlibFigure, caption: str, *, dpi: int = 130, half_width: bool = False
) -> Figure:
    """Return the figure as PNG with its caption."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", bbox_inches="tight")
    return Figure(buffer.getvalue(), caption, half_width)
