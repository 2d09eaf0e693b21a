"""Pictures of Kolmogorov-Arnold networks and of what selectable layers selected.

Every function returns a `matplotlib.figure.Figure` of its own, apart from pyplot's state: save it
with ``figure.savefig("network.png")``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from fourfold.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fourfold.kan.network import KAN

__all__ = ["network", "selection"]

_WIDTH = 6.4  # inches
_RESOLUTION = 150  # dots per inch
_SMALL, _NORMAL = 8, 9  # points
# Colours that people with any colour vision tell apart (Okabe & Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#767676")
_POINTS = 200


@torch.no_grad()
def network(model: KAN, x: Tensor) -> Figure:
    """As `KAN.plot`."""
    figure = _new_figure("kan.KAN.plot", _WIDTH, 0.4 + 2.1 * len(model.layers))
    canvas = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    canvas.set_xlim(0, 1)
    levels = len(model.layers)
    bottom, rise = 0.1, 0.8 / levels
    canvas.set_ylim(0, 1)
    canvas.axis("off")
    inputs = model.activations(x)
    for index in range(levels):
        size = model.edges(index, inputs[index]).std(dim=0)
        strength = size / size.max().clamp(min=1e-30)
        kept = [
            (i, o)
            for i in range(model.widths[index])
            for o in range(model.widths[index + 1])
            if model.fixed_name(index, i, o) != "0"
        ]
        y0 = bottom + index * rise
        slot = 0.94 / max(1, len(kept))
        box_width = min(0.8 * slot, 0.16)
        height = 0.36 * rise
        for place, (i, o) in enumerate(kept):
            centre = 0.03 + slot * (place + 0.5)
            alpha = 0.15 + 0.85 * float(strength[i, o])
            line: dict[str, Any] = {"color": "black", "alpha": alpha, "linewidth": 0.8, "zorder": 1}
            middle = y0 + 0.5 * rise
            start, end = _node(model, index, i), _node(model, index + 1, o)
            canvas.plot([start, centre], [y0, middle - height / 2], **line)
            canvas.plot([centre, end], [middle + height / 2, y0 + rise], **line)
            ax = figure.add_axes((centre - box_width / 2, middle - height / 2, box_width, height))
            _draw_edge(ax, model, index, i, o, inputs[index][..., i], alpha)
    for level, width in enumerate(model.widths):
        for node in range(width):
            canvas.plot(
                _node(model, level, node),
                bottom + level * rise,
                "o",
                color="black",
                markersize=4,
                zorder=2,
            )
            if level in (0, levels):
                name = f"$x_{{{node + 1}}}$" if level == 0 else f"$y_{{{node + 1}}}$"
                offset = -0.02 if level == 0 else 0.02
                canvas.text(
                    _node(model, level, node),
                    bottom + level * rise + offset,
                    name,
                    ha="center",
                    va="top" if level == 0 else "bottom",
                    fontsize=_NORMAL,
                )
    return figure


def selection(model: nn.Module) -> Figure:
    """What every selectable layer of a model has selected: the nodes' weights of each basis.

    Parameters
    ----------
    model : nn.Module
        With `SelectableKANLinear` or `SelectableKANConv2d` layers.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per layer. Each column is a node, ordered by its choice; its weights add up to 1.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    ValueError
        If the model has no such layer.
    """
    from fourfold.kan.selectable import selectable_layers

    layers = list(selectable_layers(model))
    if not layers:
        raise ValueError("model: it has no selectable layer")
    figure = _new_figure("kan.plot.selection", _WIDTH, 0.9 + 1.5 * len(layers), constrained=True)
    axes = figure.subplots(len(layers), 1, squeeze=False)[:, 0]
    names = list(dict.fromkeys(name for _, layer in layers for name in layer.pool))
    for ax, (name, layer) in zip(axes, layers, strict=True):
        report = layer.report()
        largest = report.weights.max(dim=0).values
        order = np.lexsort((-largest.numpy(), report.choice.numpy()))
        below = np.zeros(len(order))
        for basis, weights in zip(report.pool, report.weights.numpy()[:, order], strict=True):
            colour = COLOURS[names.index(basis) % len(COLOURS)]
            ax.bar(
                np.arange(len(order)),
                weights,
                bottom=below,
                width=1.0,
                color=colour,
                label=f"{basis} ({report.counts[basis]})",
            )
            below += weights
        ax.set_xlim(-0.5, len(order) - 0.5)
        ax.set_ylim(0, 1)
        ax.set_ylabel("weight", fontsize=_NORMAL)
        ax.set_title(
            f"{name or type(layer).__name__}, {report.stage}", loc="left", fontsize=_NORMAL
        )
        ax.tick_params(labelsize=_SMALL)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=_SMALL, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[-1].set_xlabel("node", fontsize=_NORMAL)
    return figure


def _new_figure(name: str, width: float, height: float, constrained: bool = False) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("plot", "matplotlib", name) from None
    return Figure(
        figsize=(width, height), dpi=_RESOLUTION, layout="constrained" if constrained else None
    )


def _node(model: KAN, level: int, node: int) -> float:
    width = model.widths[level]
    return 0.03 + 0.94 * (node + 0.5) / width


def _draw_edge(
    ax: Any, model: KAN, layer: int, i: int, o: int, inputs: Tensor, alpha: float
) -> None:
    low, high = float(inputs.min()), float(inputs.max())
    across = torch.linspace(low, high, _POINTS, dtype=inputs.dtype, device=inputs.device)
    at = across[:, None].repeat(1, model.widths[layer])
    values = model.edges(layer, at)[:, i, o]
    ax.plot(across.cpu(), values.cpu(), color=COLOURS[0], linewidth=1.4, alpha=alpha)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set(linewidth=0.6, alpha=alpha)
    if (name := model.fixed_name(layer, i, o)) is not None:
        ax.text(
            0.04,
            0.94,
            name,
            transform=ax.transAxes,
            ha="left",
            va="top",
            fontsize=_SMALL,
            color=COLOURS[1],
        )
