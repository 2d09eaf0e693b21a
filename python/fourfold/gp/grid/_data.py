"""What `fit` takes, checked: grids, outputs, masks; and the units in which the model works."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fourfold.gp._inputs import as_array, as_mask, check_magnitude, finite_vector
from fourfold.gp.grid._axis import Axis

__all__ = ["Data", "Group", "checked_grids"]

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """Outputs that were observed at the same points.

    Attributes
    ----------
    members : ndarray of int
        Their flat indices in the batch.
    mask : ndarray of bool, shape (N,), or None
        True where observed; None: everywhere.
    """

    members: npt.NDArray[np.intp]
    mask: Bools | None

    def count(self, total: int) -> int:
        """Observations of one output."""
        return total if self.mask is None else int(self.mask.sum())


class Data:
    """Observations on a grid, in the model's units: ``rows = (y - offset)/scale``, 0 where missing.

    Attributes
    ----------
    axes : list of Axis
    batch_shape : tuple of int
    rows : ndarray, shape (B, N)
    offset, scale : ndarray, shape (B,)
    groups : list of Group
    torch : bool
        Whether y is a tensor.
    """

    def __init__(
        self, grids: Any, y: Any, mask: Any, *, normalize: bool, known_mean: float
    ) -> None:
        self.axes = [Axis(vector) for vector in checked_grids("grids", grids)]
        sizes = self.sizes
        d = len(sizes)
        values = as_array("y", y)
        if values.ndim < d or values.shape[values.ndim - d :] != sizes:
            raise ValueError(
                f"y: expected shape (..., {', '.join(map(str, sizes))}) as the grids, got {values.shape}"
            )
        self.torch = isinstance(y, Tensor)
        self.batch_shape = values.shape[: values.ndim - d]
        if math.prod(self.batch_shape) == 0:
            raise ValueError(f"y: expected at least one output, got shape {values.shape}")
        rows = values.reshape(-1, self.total)
        seen = _checked_mask(mask, values.shape, sizes).reshape(-1, self.total)
        seen = np.broadcast_to(seen, rows.shape)
        bad = ~np.isfinite(rows) & seen
        if bad.any():
            raise ValueError(
                f"y: {int(bad.sum())} entries are NaN or infinite; give mask= (True where observed) if these were "
                "not observed"
            )
        check_magnitude("y", np.where(seen, rows, 0.0))
        if not seen.any(axis=1).all():
            which = np.flatnonzero(~seen.any(axis=1))
            raise ValueError(
                "mask: no point is observed" + (f" of output {which[0]}" if len(rows) > 1 else "")
            )
        self.groups = _grouped(seen)
        self.offset = np.full(len(rows), known_mean)
        self.scale = np.ones(len(rows))
        if normalize:
            counts = seen.sum(axis=1)
            self.offset = np.sum(rows, axis=1, where=seen) / counts
            squares = np.sum((rows - self.offset[:, None]) ** 2, axis=1, where=seen)
            # As scikit-learn: outputs that do not vary keep their scale.
            self.scale = np.sqrt(squares / counts)
            self.scale[self.scale == 0] = 1.0
        scaled = (rows - self.offset[:, None]) / self.scale[:, None]
        self.rows: Array = np.where(seen, scaled, 0.0)
        self.observations = int(seen.sum())

    @classmethod
    def restored(
        cls,
        axes: list[Axis],
        batch_shape: tuple[int, ...],
        rows: Array,
        observed: Bools,
        units: tuple[Array, Array],
        *,
        torch: bool,
    ) -> Data:
        """The data of a file; ``units`` are offset and scale."""
        data = cls.__new__(cls)
        data.axes, data.batch_shape, data.rows, data.torch = axes, batch_shape, rows, torch
        data.offset, data.scale = units
        data.groups = _grouped(observed)
        data.observations = int(observed.sum())
        if rows.shape != (math.prod(batch_shape), data.total) or observed.shape != rows.shape:
            raise ValueError(f"rows of shape {rows.shape}, observed {observed.shape}")
        return data

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_1, ..., n_d."""
        return tuple(axis.size for axis in self.axes)

    @property
    def total(self) -> int:
        """N."""
        return math.prod(self.sizes)

    @property
    def observed(self) -> Bools:
        """Which entries of `rows` were observed, (B, N)."""
        seen = np.ones(self.rows.shape, dtype=bool)
        for group in self.groups:
            if group.mask is not None:
                seen[group.members] = group.mask
        return seen


def checked_grids(name: str, grids: Any) -> list[Array]:
    """Vectors of strictly increasing finite numbers."""
    if isinstance(grids, (np.ndarray, Tensor, str)) or not isinstance(grids, Sequence):
        raise TypeError(
            f"{name}: expected a list of vectors, one a dimension, got {type(grids).__name__}; "
            "in one dimension [x]"
        )
    if len(grids) == 0:
        raise ValueError(f"{name}: expected at least one vector, got none")
    vectors = []
    for k, grid in enumerate(grids):
        # A copy is kept: what the caller does to it later is nothing to us.
        vector = finite_vector(f"{name}[{k}]", grid, least=1).copy()
        steps = np.diff(vector)
        if (steps <= 0).any():
            at = int(np.argmax(steps <= 0))
            kind = "repeats" if steps[at] == 0 else "decreases at"
            raise ValueError(
                f"{name}[{k}]: expected strictly increasing numbers, but it {kind} entry {at + 1} "
                f"({vector[at]:.6g}, {vector[at + 1]:.6g}); sort it (and y along this axis)"
            )
        vectors.append(vector)
    return vectors


def _checked_mask(mask: Any, shape: tuple[int, ...], sizes: tuple[int, ...]) -> Bools:
    if mask is None:
        return np.ones(sizes, dtype=bool)
    given = as_mask("mask", mask)
    if given.shape not in (sizes, shape):
        raise ValueError(
            f"mask: expected the shape of the grid {sizes} or of y {shape}, got {given.shape}"
        )
    return given


def _grouped(seen: Bools) -> list[Group]:
    masks, inverse = np.unique(seen, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    return [
        Group(np.flatnonzero(inverse == i), None if mask.all() else mask.copy())
        for i, mask in enumerate(masks)
    ]
