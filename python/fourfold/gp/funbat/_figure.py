"""A figure of the functions of every mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fourfold.errors import MissingExtraError
from fourfold.gp.funbat._prediction import Fitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["mode_functions"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676")
_POINTS = 400


def mode_functions(fitted: Fitted) -> Figure:
    """One panel a mode: means, bands of two standard deviations, and where the indices are."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("plot", "matplotlib", "FunBaT.plot") from None
    count = len(fitted.modes)
    figure = Figure(figsize=(8, 2.2 * count), dpi=150, layout="constrained")
    for k, (mode, ax) in enumerate(
        zip(fitted.modes, figure.subplots(count, 1, squeeze=False).flat, strict=True)
    ):
        low, high = float(mode.times[0]), float(mode.times[-1])
        margin = 0.05 * (high - low) if high > low else 1.0
        t = np.linspace(low - margin, high + margin, _POINTS)
        mean, std = fitted.functions(k, t)
        for r in range(mean.shape[1]):
            colour = _COLOURS[r % len(_COLOURS)]
            ax.plot(t, mean[:, r], color=colour, linewidth=1.4, label=f"function {r + 1}")
            ax.fill_between(
                t,
                mean[:, r] - 2 * std[:, r],
                mean[:, r] + 2 * std[:, r],
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
        # Ticks along the bottom edge: where there are entries.
        at = ax.get_xaxis_transform()
        ax.plot(mode.times, np.zeros_like(mode.times), "|", color="0.4", markersize=6, transform=at)
        ax.set_xlim(t[0], t[-1])
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_ylabel(f"mode {k}")
        ax.set_xlabel(f"index {k}")
    figure.axes[0].legend(
        frameon=False, fontsize="small", ncols=5, loc="lower right", bbox_to_anchor=(1, 1)
    )
    return figure
