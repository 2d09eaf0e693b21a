"""Where predictions are wanted: scattered points, or another grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fourfold.gp.grid._axis import Axis
from fourfold.gp.kronecker import Kronecker

__all__ = ["Product", "Scattered", "Target"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# Numbers in a buffer.
_CHUNK = 2**22


class Target(Protocol):
    """m points with coordinates in d vectors, (m,) or the size of an axis each."""

    coordinates: list[Array]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a result."""

    def points(self) -> Array:
        """(m, d)."""

    def outer(self, vectors: Sequence[Array]) -> Array:
        """Products of one number a dimension, (m,)."""

    def contract(self, tensors: Array, matrices: Sequence[Array]) -> Array:
        """``sum_i t[c, i_1..i_d] prod_k matrices[k][., i_k]``: (c, N) -> (c, m)."""

    def rows(self, matrices: Sequence[Array]) -> Iterator[Array]:
        """The matrix (m, N) that `contract` multiplies with, in chunks of rows."""


class Scattered:
    """Points (m, d)."""

    def __init__(self, points: Array) -> None:
        self.coordinates = list(np.ascontiguousarray(points.T))
        self._points = points

    @property
    def shape(self) -> tuple[int, ...]:
        """(m,)."""
        return self._points.shape[:1]

    def points(self) -> Array:
        """(m, d)."""
        return self._points

    def outer(self, vectors: Sequence[Array]) -> Array:
        """See `Target`."""
        result: Array = np.prod(vectors, axis=0)
        return result

    def contract(self, tensors: Array, matrices: Sequence[Array]) -> Array:
        """See `Target`."""
        m = self._points.shape[0]
        count, total = tensors.shape
        last = matrices[-1].shape[1]
        flat = tensors.reshape(-1, last)
        step = max(1, _CHUNK // max(1, count * total // last))
        out = np.empty((count, m))
        for start in range(0, m, step):
            some = slice(start, start + step)
            part = flat @ matrices[-1][some].T
            for matrix in reversed(matrices[:-1]):
                part = part.reshape(-1, matrix.shape[1], part.shape[-1])
                part = np.einsum("bim,mi->bm", part, matrix[some])
            out[:, some] = part.reshape(count, -1)
        return out

    def rows(self, matrices: Sequence[Array]) -> Iterator[Array]:
        """See `Target`."""
        step = max(1, _CHUNK // math.prod(matrix.shape[1] for matrix in matrices))
        for start in range(0, self._points.shape[0], step):
            yield _khatri_rao([matrix[start : start + step] for matrix in matrices])


class Product:
    """The grid of d vectors."""

    def __init__(self, grids: Sequence[Array]) -> None:
        self.coordinates = list(grids)

    @property
    def shape(self) -> tuple[int, ...]:
        """(m_1, ..., m_d)."""
        return tuple(grid.size for grid in self.coordinates)

    def points(self) -> Array:
        """(m, d)."""
        mesh = np.meshgrid(*self.coordinates, indexing="ij")
        return np.stack([axis.reshape(-1) for axis in mesh], axis=-1)

    def outer(self, vectors: Sequence[Array]) -> Array:
        """See `Target`."""
        result = vectors[0]
        for vector in vectors[1:]:
            result = np.multiply.outer(result, vector)
        return result.reshape(-1)

    def contract(self, tensors: Array, matrices: Sequence[Array]) -> Array:
        """See `Target`."""
        result: Array = Kronecker([np.ascontiguousarray(m) for m in matrices]).matvec(tensors)
        return result.reshape(len(tensors), -1)

    def rows(self, matrices: Sequence[Array]) -> Iterator[Array]:
        """See `Target`."""
        count = math.prod(self.shape)
        step = max(1, _CHUNK // math.prod(matrix.shape[1] for matrix in matrices))
        for start in range(0, count, step):
            at = np.unravel_index(np.arange(start, min(start + step, count)), self.shape)
            yield _khatri_rao([matrix[i] for matrix, i in zip(matrices, at, strict=True)])


def at_nodes(target: Target, axes: Sequence[Axis]) -> list[Indices]:
    """For each dimension the index of the node that a coordinate equals, -1 where none does."""
    return [axis.nodes(x) for axis, x in zip(axes, target.coordinates, strict=True)]


def _khatri_rao(matrices: Sequence[Array]) -> Array:
    result = matrices[0]
    for matrix in matrices[1:]:
        result = (result[:, :, None] * matrix[:, None, :]).reshape(len(matrix), -1)
    return result
