"""One axis of the published objective: the covariance of the grid, its derivatives, and the way back to its parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.gp.kernels import SpectralMixture, StudentTMixture

__all__ = ["Axis", "Mixture", "kernel_at", "parameters", "parameters_bounds"]

Array = npt.NDArray[np.float64]
Mixture = SpectralMixture | StudentTMixture


def _slope(kernel: Mixture) -> float:
    """``d log(lengthscale) / ds``: GP-HM has ``exp(-z^2 e^s)`` and ``sqrt(5) e^s |z|``."""
    return -0.5 if isinstance(kernel, SpectralMixture) else -1.0


def _offset(kernel: Mixture) -> float:
    """``log(lengthscale)`` where s = 0."""
    return -0.5 * float(np.log(2)) if isinstance(kernel, SpectralMixture) else 0.0


def parameters(kernel: Mixture) -> Array:
    """(log w, s, f), in the coordinates of the paper, (3 Q,)."""
    s = (np.log(kernel.lengthscales) - _offset(kernel)) / _slope(kernel)
    return np.concatenate([np.log(kernel.weights), s, kernel.frequencies])


def parameters_bounds(kernel: Mixture) -> Array:
    """The kernel's bounds in the same coordinates, (3 Q, 2); what is fixed has its value twice."""
    count, here = kernel.weights.size, parameters(kernel)
    bounds = np.stack([here, here], axis=1)
    weights, lengthscales, frequencies = kernel.parameters
    if weights.bounds is not None:
        bounds[:count] = np.log(weights.bounds)
    if lengthscales.bounds is not None:
        ends = (np.log(lengthscales.bounds) - _offset(kernel)) / _slope(kernel)
        bounds[count : 2 * count] = ends[::-1]
    if frequencies.bounds is not None:
        bounds[2 * count :] = frequencies.bounds
    return bounds


def kernel_at(kernel: Mixture, values: Array) -> Mixture:
    """The kernel with other parameters, as `parameters` orders them."""
    log_weights, s, frequencies = values.reshape(3, -1)
    made: Mixture = kernel._with_values(
        [np.exp(log_weights), np.exp(_slope(kernel) * s + _offset(kernel)), frequencies]
    )
    return made


class Axis:
    """``K + jitter`` on the n points of an axis, decomposed, and the derivatives ``K_r``, with what pulls gradients back.

    Raises ``scipy.linalg.LinAlgError`` where ``K + jitter`` is not positive definite.
    """

    def __init__(self, kernel: Mixture, grid: Array, orders: Sequence[int], jitter: float) -> None:
        self.kernel, self.size = kernel, grid.size
        self._lag = grid - grid[0]
        self._orders = sorted({0, *orders})
        jets = kernel.jet(self._lag, self._orders)
        self._matrices: dict[int, Array] = {
            r: scipy.linalg.toeplitz(jet, -jet if r % 2 else jet)
            for r, jet in zip(self._orders, jets, strict=True)
        }
        self._matrices[0][np.diag_indices(self.size)] += jitter
        self._lower = scipy.linalg.cholesky(self._matrices[0], lower=True, check_finite=False)
        self.logdet = 2 * float(np.log(np.diag(self._lower)).sum())
        self._cotangents = dict.fromkeys(self._orders, np.zeros(()))

    def matrix(self, order: int) -> Array:
        """``K_r``; order 0 with its jitter."""
        return self._matrices[order]

    def solve(self, tensor: Array, axis: int) -> Array:
        """``(K + jitter)^-1`` along one axis of a tensor."""
        moved = np.moveaxis(tensor, axis, 0)
        solved: Array = scipy.linalg.cho_solve(
            (self._lower, True), moved.reshape(self.size, -1), check_finite=False
        )
        return np.moveaxis(solved.reshape(moved.shape), 0, axis)

    def apply(self, order: int, tensor: Array, axis: int) -> Array:
        """``K_r`` along one axis of a tensor."""
        found = np.tensordot(self._matrices[order], tensor, axes=(1, axis))
        return np.moveaxis(found, 0, axis)

    def transposed(self, order: int, tensor: Array, axis: int) -> Array:
        """``K_r'`` along one axis of a tensor."""
        found = self.apply(order, tensor, axis)
        return -found if order % 2 else found

    def collect(self, order: int, left: Array, right: Array, axis: int) -> None:
        """Add ``left_(axis) right_(axis)'`` to the gradient with respect to ``K_r``."""
        rest = [a for a in range(left.ndim) if a != axis]
        part = np.tensordot(left, right, axes=(rest, rest))
        self._cotangents[order] = self._cotangents[order] + part

    def collect_logdet(self, factor: float) -> None:
        """Add ``factor (K + jitter)^-1``, the gradient of ``factor * logdet``."""
        inverse, _ = scipy.linalg.lapack.dpotri(self._lower, lower=1)
        # Only sums along diagonals, added over both triangles, are ever used.
        inverse = 2 * np.tril(inverse, -1) + np.diag(np.diag(inverse))
        self._cotangents[0] = self._cotangents[0] + factor * inverse

    def gradient(self) -> Array:
        """Of all that was collected, with respect to `parameters`."""
        n = self.size
        by_lag = np.stack([self._by_lag(r, self._cotangents[r]) for r in self._orders])
        by_value = self.kernel._pull_back(self._lag, self._orders, by_lag)
        weights, lengthscales, frequencies = by_value
        assert by_lag.shape == (len(self._orders), n)
        return np.concatenate(
            [
                weights * self.kernel.weights,
                lengthscales * self.kernel.lengthscales * _slope(self.kernel),
                frequencies,
            ]
        )

    def _by_lag(self, order: int, cotangent: Array) -> Array:
        """Sums over the diagonals of a Toeplitz matrix whose upper half has the sign ``(-1)^order``."""
        n = self.size
        if cotangent.ndim == 0:
            return np.zeros(n)
        # Row i shifted by i: diagonals become columns.
        padded = np.zeros((n, 2 * n))
        padded[:, :n] = cotangent[:, ::-1]
        sums: Array = padded.reshape(-1)[: n * (2 * n - 1)].reshape(n, 2 * n - 1).sum(axis=0)
        lower, upper = sums[n - 1 :], sums[n - 1 :: -1]
        found: Array = lower + (-upper if order % 2 else upper)
        found[0] = sums[n - 1]
        return found
