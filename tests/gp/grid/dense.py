"""The same process by dense linear algebra, point by point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels import Kernel

Array = npt.NDArray[np.float64]


def points_of(grids: Sequence[Array]) -> Array:
    """All points of a grid, (N, d), the last coordinate running fastest."""
    return np.stack([m.reshape(-1) for m in np.meshgrid(*grids, indexing="ij")], axis=-1)


def covariance(
    kernels: Sequence[Kernel],
    x: Array,
    y: Array,
    left: Sequence[int] | None = None,
    right: Sequence[int] | None = None,
) -> Array:
    """Covariance of derivatives of f, of orders left at x (m, d) and right at y (n, d)."""
    d = len(kernels)
    left, right = left or [0] * d, right or [0] * d
    result = np.ones((len(x), len(y)))
    for k, kernel in enumerate(kernels):
        result *= kernel(x[:, k], y[:, k], derivative=(left[k], right[k]))
    return result


class Dense:
    """Observations y (n,) at points (n, d), noise a number or (n,), functions of the mean (p, n)."""

    def __init__(
        self,
        kernels: Sequence[Kernel],
        points: Array,
        y: Array,
        noise: float | Array,
        functions: Array | None = None,
    ) -> None:
        self.kernels, self.points, self.y = kernels, points, y
        n = len(points)
        self.a = covariance(kernels, points, points) + noise * np.eye(n)
        self.inverse = np.linalg.inv(self.a)
        self.h = np.zeros((0, n)) if functions is None else functions
        self.g = self.h @ self.inverse @ self.h.T
        self.b = np.linalg.solve(self.g, self.h @ self.inverse @ y)
        self.alpha = self.inverse @ (y - self.h.T @ self.b)

    @property
    def log_likelihood(self) -> float:
        n, p = len(self.y), len(self.h)
        logs = np.linalg.slogdet(self.a)[1] + np.linalg.slogdet(self.g)[1]
        return float(-0.5 * (self.y @ self.alpha + logs + (n - p) * np.log(2 * np.pi)))

    def predict(
        self, new: Array, functions: Array | None = None, orders: Sequence[int] | None = None
    ) -> tuple[Array, Array]:
        """Mean and covariance matrix at points (m, d); functions of the mean there (p, m)."""
        cross = covariance(self.kernels, new, self.points, orders)
        prior = covariance(self.kernels, new, new, orders, orders)
        h = np.zeros((0, len(new))) if functions is None else functions
        left = h - self.h @ self.inverse @ cross.T
        mean = cross @ self.alpha + h.T @ self.b
        both = prior - cross @ self.inverse @ cross.T + left.T @ np.linalg.solve(self.g, left)
        return mean, both
