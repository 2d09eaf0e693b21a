"""Pictures of circuits and of images. Each function returns a figure of its own, apart from pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import MissingExtraError
from fourfold.pc.circuit import Circuit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["images", "tree"]

_RESOLUTION = 150


def _new_figure(purpose: str, width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("plot", "matplotlib", purpose) from error
    return Figure(figsize=(width, height), dpi=_RESOLUTION, layout="constrained")


def tree(model: Circuit) -> Figure:
    """The tree over the pixels of an image: a line for each edge, wider and darker near the root.

    Parameters
    ----------
    model : Circuit
        With one variable at each node and observations of shape (height, width), or
        (height, width, channels), whose channels are drawn at one place.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the observations are no images, or a node has not exactly one variable.
    MissingExtraError
        Without matplotlib.
    """
    structure = model.structure
    if len(model.event_shape) not in (2, 3):
        raise ValueError(
            f"model: expected observations of shape (height, width), got {model.event_shape}"
        )
    if any(len(variables) != 1 for variables in structure.leaves):
        raise ValueError("model: expected one observed variable at each latent node")
    figure = _new_figure("fourfold.pc.plot", 5.0, 5.0 * model.event_shape[0] / model.event_shape[1])
    from matplotlib.collections import LineCollection

    place = np.stack(
        np.unravel_index(np.arange(structure.num_variables), model.event_shape), axis=1
    )
    of_node = np.empty((structure.num_nodes, 2))
    of_node[structure.leaf_node] = place[:, 1::-1]
    depth = np.zeros(structure.num_nodes)
    for v in range(1, structure.num_nodes):
        depth[v] = depth[structure.parent[v]] + 1
    nearness = 1 - depth[1:] / max(depth.max(), 1)
    axes = figure.subplots()
    lines = np.stack([of_node[1:], of_node[structure.parent[1:]]], axis=1)
    collection = LineCollection(
        list(lines), linewidths=0.3 + 2.5 * nearness, cmap="viridis_r", array=nearness
    )
    collection.set_clim(0, 1.15)
    axes.add_collection(collection)
    axes.plot(*of_node[0], "o", color="#D55E00", markersize=7, label="root")
    axes.set_xlim(-1, model.event_shape[1])
    axes.set_ylim(model.event_shape[0], -1)
    axes.set_aspect("equal")
    axes.set_xlabel("column")
    axes.set_ylabel("row")
    axes.legend(loc="lower right", fontsize=8)
    axes.set_title(f"{structure.num_variables} pixels, depth {structure.depth}", fontsize=9)
    return figure


def images(pictures: npt.ArrayLike, *, columns: int = 8, largest: float | None = None) -> Figure:
    """Images side by side.

    Parameters
    ----------
    pictures : (n, height, width) or (n, height, width, 3) array
    columns : int
        Images in a row.
    largest : float, optional
        The value that is white. Default: the largest of them all.

    Returns
    -------
    matplotlib.figure.Figure
    """
    array: npt.NDArray[Any] = np.asarray(pictures)
    if array.ndim not in (3, 4) or len(array) == 0:
        raise ValueError(f"pictures: expected shape (n, height, width), got {array.shape}")
    if columns < 1:
        raise ValueError(f"columns: expected at least 1, got {columns}")
    columns = min(columns, len(array))
    rows = -(-len(array) // columns)
    figure = _new_figure("fourfold.pc.plot", 0.8 * columns, 0.8 * rows)
    if largest is None:
        largest = float(array.max())
    grid = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes in grid:
        axes.set_axis_off()
    for axes, picture in zip(grid, array, strict=False):
        shown = np.minimum(picture / largest, 1.0) if largest > 0 else picture
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return figure
