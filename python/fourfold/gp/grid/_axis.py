"""One vector of the grid: its covariance matrix, the gradient's way back, covariances with other points."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fourfold.gp.kernels import Kernel
from fourfold.gp.toeplitz import Toeplitz

__all__ = ["Axis"]

Array = npt.NDArray[np.float64]

# Steps of a grid that numpy.linspace or arange made differ by a few roundings of its largest coordinate.
_UNIFORM = 8 * np.finfo(np.float64).eps


class Axis:
    """Strictly increasing coordinates of one dimension.

    Parameters
    ----------
    points : ndarray of float64, shape (n,)

    Attributes
    ----------
    uniform : bool
        Whether the points are evenly spaced to rounding; then n lags describe the covariance.
    """

    def __init__(self, points: Array) -> None:
        self.points = points
        n = points.size
        step = (points[-1] - points[0]) / max(1, n - 1)
        even = points[0] + step * np.arange(n)
        self.uniform = bool(
            np.abs(points - even).max() <= _UNIFORM * max(abs(points[0]), abs(points[-1]))
        )
        self._lag: Array = step * np.arange(n) if self.uniform else points[:, None] - points

    @property
    def size(self) -> int:
        """n."""
        return int(self.points.size)

    @property
    def span(self) -> float:
        """Length of the interval that the points cover."""
        return float(self.points[-1] - self.points[0])

    def covariance(self, kernel: Kernel) -> torch.Tensor:
        """The first column (n,) if uniform, else the matrix (n, n)."""
        return torch.from_numpy(kernel.jet(self._lag)[0])

    def factor(self, covariance: torch.Tensor) -> Any:
        """What `Kronecker` takes, of what `covariance` gave."""
        return Toeplitz(covariance) if self.uniform else covariance

    def pull_back(self, kernel: Kernel, gradient: Array) -> Array:
        """Gradient with respect to the kernel's theta from that of `covariance`, or of the matrix (n, n)."""
        if self.uniform and gradient.ndim == 2:
            gradient = _diagonal_sums(gradient)
        return kernel.pull_back(self._lag, [0], gradient[None])

    def cross(self, kernel: Kernel, new: Array, order: int = 0) -> Array:
        """``d^order k(x, x_j)/dx^order`` at new points, (m, n)."""
        return kernel(new, self.points, derivative=(order, 0))

    def nodes(self, new: Array) -> npt.NDArray[np.intp]:
        """Index of the point that equals each of the new ones, -1 where none does."""
        at = np.clip(np.searchsorted(self.points, new), 0, self.size - 1)
        return np.where(self.points[at] == new, at, -1)


def _diagonal_sums(matrix: Array) -> Array:
    """Sums of ``m_ij`` over ``|i - j| = l`` for l = 0..n-1."""
    n = len(matrix)
    index = np.arange(n)
    lags = np.abs(index[:, None] - index)
    return np.asarray(np.bincount(lags.reshape(-1), matrix.reshape(-1), n), dtype=np.float64)
