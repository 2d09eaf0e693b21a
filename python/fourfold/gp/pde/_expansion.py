"""A Gaussian process on a box as a sum of products of functions of one variable with independent weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.kernels import Kernel

__all__ = ["AxisBasis", "Expansion"]

Array = npt.NDArray[np.float64]

# Eigenvalues below this share of the largest are rounding: a covariance matrix in float64 holds no more.
_ROUNDING = 1e-15


class AxisBasis:
    r"""Functions ``phi_i`` with ``k(x, y) = sum_i phi_i(x) phi_i(y)`` on an interval.

    With nodes X, weights w and ``w^(1/2) K w^(1/2) = Q diag(l) Q'``: ``phi(x) = k(x, X) w^(1/2) Q l^(-1/2)``, for the
    eigenvalues above rounding. Their number r does not grow with the nodes once these resolve the kernel. The nodes
    are Chebyshev's, twice as many as the grid has points: dense at the ends, where derivatives of u on
    the grid would otherwise ask for functions that the nodes do not have.
    """

    def __init__(self, kernel: Kernel, grid: Array) -> None:
        self.kernel = kernel
        count = 2 * grid.size
        angle = (np.arange(count) + 0.5) * np.pi / count
        middle, half = 0.5 * (grid[-1] + grid[0]), 0.5 * (grid[-1] - grid[0])
        self.nodes = middle - half * np.cos(angle)
        root = np.sqrt(np.sin(angle))
        matrix = root[:, None] * kernel.jet(self.nodes[:, None] - self.nodes, [0])[0] * root
        values, vectors = scipy.linalg.eigh(matrix)
        if not values[-1] > 0:
            raise NotPositiveDefiniteError(
                f"the covariance matrix of {type(kernel).__name__} has no positive eigenvalue",
                smallest_eigenvalue=float(values[0]),
            )
        keep = values > _ROUNDING * values[-1]
        self.values: Array = values[keep][::-1]
        self.whitening = root[:, None] * (vectors[:, keep] / np.sqrt(values[keep]))[:, ::-1]

    def functions(self, points: Array, order: int) -> Array:
        """Derivatives ``phi_i^(order)`` at points, (p, r)."""
        found: Array = self.kernel.jet(points[:, None] - self.nodes, [order])[0] @ self.whitening
        return found

    def pull_back(self, parts: Sequence[tuple[Array, int, Array]]) -> Array:
        """Gradient with respect to the kernel's theta of ``sum(cotangent * functions(points, order))``.

        ``parts`` has (points, order, cotangent) of each. Meant for what depends on sums over all functions
        (``phi phi'``) alone: such sums change as with ``d phi = dk(x, X) W - phi (W' dK W) / 2``, W the factor of
        k(x, X) here, K its matrix on the nodes. Eigenvectors themselves, which may be equal, are not differentiated.
        """
        found = np.zeros(self.kernel.theta.size)
        inner = np.zeros((self.values.size, self.values.size))
        for points, order, cotangent in parts:
            lag = points[:, None] - self.nodes
            inner += self.functions(points, order).T @ cotangent
            found += self.kernel.pull_back(lag, [order], (cotangent @ self.whitening.T)[None])
        lag = self.nodes[:, None] - self.nodes
        change = self.whitening @ inner @ self.whitening.T
        found -= 0.5 * self.kernel.pull_back(lag, [0], change[None])
        return found


class Expansion:
    """``u(x) = sum_R z_R phi_{i_R}(x_1) psi_{j_R}(x_2) ...`` with z independent and standard normal.

    Kept are the products whose mean variance is at least `truncation` times the largest, at most ``most``.

    Attributes
    ----------
    index : ndarray of intp, (d, R)
        The function of each axis in each product, in lexicographic order.
    truncation : float
        Raised above the one asked for if there would be more than ``most`` products.
    """

    def __init__(
        self, kernels: Sequence[Kernel], axes: Sequence[Array], truncation: float, most: int
    ) -> None:
        self.bases = [AxisBasis(k, x) for k, x in zip(kernels, axes, strict=True)]
        variance = self.bases[0].values
        for basis in self.bases[1:]:
            variance = np.multiply.outer(variance, basis.values)
        share = variance / variance.max()
        kept = np.count_nonzero(share >= truncation)
        if kept > most:
            truncation = float(np.partition(share.reshape(-1), share.size - most)[-most])
        self.truncation = truncation
        self.shape = share.shape
        self.index = np.stack(np.nonzero(share >= truncation))
        self.size = self.index.shape[1]

    def functions(self, axis: int, points: Array, order: int) -> Array:
        """Of one axis, (p, r)."""
        return self.bases[axis].functions(points, order)

    def scatter(self, z: Array) -> Array:
        """Weights as a full tensor, one axis for each coordinate."""
        full = np.zeros(self.shape)
        full[tuple(self.index)] = z
        return full

    def rows(self, points: Array, orders: Sequence[int]) -> Array:
        """The products' derivatives at points (p, d), (p, R)."""
        found = np.ones((points.shape[0], self.size))
        for axis, order in enumerate(orders):
            found *= self.functions(axis, points[:, axis], order)[:, self.index[axis]]
        return found

    def at(self, z: Array, points: Array, orders: Sequence[int]) -> Array:
        """``d^orders u`` at scattered points (p, d)."""
        found = self.scatter(z)
        for axis, order in enumerate(orders):
            table = self.functions(axis, points[:, axis], order)
            if axis == 0:
                found = np.tensordot(table, found, axes=1)
            else:
                found = np.einsum("pi...,pi->p...", found, table)
        return found

    def on(self, z: Array, axes: Sequence[Array], orders: Sequence[int]) -> Array:
        """``d^orders u`` on the grid that the axes span."""
        tables = [
            self.functions(a, x, r) for a, (x, r) in enumerate(zip(axes, orders, strict=True))
        ]
        return mode_products(self.scatter(z), tables)


def mode_products(tensor: Array, tables: Sequence[Array]) -> Array:
    """``sum_ij.. tensor_ij.. tables[0]_xi tables[1]_yj ...``."""
    for axis, table in enumerate(tables):
        tensor = np.moveaxis(np.tensordot(table, tensor, axes=(1, axis)), 0, axis)
    return tensor
