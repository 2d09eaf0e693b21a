"""The Gram matrix of a linear equation and its conditions, and the likelihood of their right-hand sides."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.gp.kernels import Kernel
from fourfold.gp.pde.problem import Condition

__all__ = ["Factor", "System"]

Array = npt.NDArray[np.float64]


class System:
    """Linear functionals of u: the conditions first, then ``sum_r c_r(x_i) u^(r)(x_i)`` on a uniform grid.

    The derivatives of the kernel on the grid are Toeplitz matrices, so that n lags are evaluated for each order; the
    coefficients multiply rows and columns afterwards. Variable coefficients thus cost no kernel evaluation.
    """

    def __init__(
        self,
        conditions: tuple[Condition, ...],
        grid: Array,
        coefficients: dict[int, Array],
        source: Array,
    ) -> None:
        self.grid, self.coefficients = grid, coefficients
        self.ends = np.array([c.x for c in conditions])
        self.end_orders = np.array([c.order for c in conditions], dtype=np.intp)
        self.y = np.concatenate([[c.value for c in conditions], source])
        self.size = self.y.size
        n = grid.size
        self._lag = grid - grid[0]
        self._diagonal = (np.arange(n)[:, None] - np.arange(n) + n - 1).reshape(-1)
        self._pairs = [(r, s) for r in coefficients for s in coefficients]
        self._inner_orders = sorted({r + s for r, s in self._pairs})

    def gram(self, kernel: Kernel) -> Array:
        """The covariance of the functionals, (size, size)."""
        m = self.ends.size
        matrix = np.zeros((self.size, self.size))
        inner = matrix[m:, m:]
        for p, t in zip(self._inner_orders, kernel.jet(self._lag, self._inner_orders), strict=True):
            toeplitz = scipy.linalg.toeplitz(t, -t if p % 2 else t)
            for r, s in self._pairs:
                if r + s == p:
                    sign = -1.0 if s % 2 else 1.0
                    inner += (
                        (sign * self.coefficients[r])[:, None] * toeplitz * self.coefficients[s]
                    )
        for i in range(m):
            row = self.cross(kernel, self.ends[i : i + 1], int(self.end_orders[i]))[0]
            matrix[i] = row
            matrix[m:, i] = row[m:]
        return matrix

    def cross(self, kernel: Kernel, points: Array, order: int) -> Array:
        """Covariance of ``u^(order)`` at points (p,) with the functionals, (p, size)."""
        columns = []
        for end, s in zip(self.ends, self.end_orders, strict=True):
            column = kernel.jet(points - end, [order + int(s)])[0]
            columns.append((-column if s % 2 else column)[:, None])
        orders = [order + s for s in self.coefficients]
        jet = kernel.jet(points[:, None] - self.grid, orders)
        inner = np.zeros(jet.shape[1:])
        for part, (s, c) in zip(jet, self.coefficients.items(), strict=True):
            inner += part * (-c if s % 2 else c)
        return np.concatenate([*columns, inner], axis=1)

    def pull_back(self, kernel: Kernel, cotangent: Array) -> Array:
        """Gradient of ``sum(cotangent * gram(kernel))`` with respect to theta; ``cotangent`` is symmetric."""
        m, n = self.ends.size, self.grid.size
        by_lag = np.zeros((len(self._inner_orders), n))
        for r, s in self._pairs:
            sign = -1.0 if s % 2 else 1.0
            weights = (sign * self.coefficients[r])[:, None] * cotangent[m:, m:]
            weights = weights * self.coefficients[s]
            sums = np.bincount(self._diagonal, weights.reshape(-1), 2 * n - 1)
            by_lag[self._inner_orders.index(r + s)] += sums[n - 1 :]
            # Above the diagonal the lag is negative: odd derivatives change sign.
            upper = sums[n - 2 :: -1] if n > 1 else sums[:0]
            by_lag[self._inner_orders.index(r + s), 1:] += -upper if (r + s) % 2 else upper
        gradient = kernel.pull_back(self._lag, self._inner_orders, by_lag)
        for i in range(m):
            r = int(self.end_orders[i])
            for j in range(m):
                s = int(self.end_orders[j])
                weight = -cotangent[i, j] if s % 2 else cotangent[i, j]
                gradient += kernel.pull_back(
                    self.ends[i : i + 1] - self.ends[j], [r + s], [[weight]]
                )
            rows = [
                2 * cotangent[i, m:] * (-c if s % 2 else c) for s, c in self.coefficients.items()
            ]
            orders = [r + s for s in self.coefficients]
            gradient += kernel.pull_back(self.ends[i] - self.grid, orders, np.stack(rows))
        return gradient


class Factor:
    """Cholesky factor of the Gram matrix scaled to unit diagonal plus ``jitter`` times the identity.

    Raises ``scipy.linalg.LinAlgError`` where the matrix is not positive definite.
    """

    def __init__(self, system: System, kernel: Kernel, jitter: float) -> None:
        self.system, self.kernel, self.jitter = system, kernel, jitter
        gram = system.gram(kernel)
        self.scale = np.sqrt(np.diag(gram))
        gram /= self.scale[:, None]
        gram /= self.scale
        gram[np.diag_indices(system.size)] += jitter
        self.lower = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
        y = system.y / self.scale
        self.scaled_weights = scipy.linalg.cho_solve((self.lower, True), y, check_finite=False)
        self.quadratic = float(y @ self.scaled_weights)
        # The amplitude of the process that the data make most likely; 0 for data that are all 0.
        self.variance = self.quadratic / system.size

    @property
    def weights(self) -> Array:
        """Of the functionals: ``u(x) = cross(x) @ weights``."""
        weights: Array = self.scaled_weights / self.scale
        return weights

    @property
    def log_marginal_likelihood(self) -> float:
        """``log p(y)`` at the most likely amplitude."""
        n = self.system.size
        logdet = 2 * float(np.log(np.diag(self.lower)).sum() + np.log(self.scale).sum())
        with np.errstate(divide="ignore"):
            return -0.5 * float(n * np.log(2 * np.pi * self.variance) + logdet + n)

    def gradient(self) -> Array:
        """Gradient of `log_marginal_likelihood` with respect to theta."""
        n = self.system.size
        inverse, _ = scipy.linalg.lapack.dpotri(self.lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        a = self.scaled_weights
        cotangent = inverse - (n / self.quadratic) * np.outer(a, a)
        cotangent /= self.scale[:, None]
        cotangent /= self.scale
        # The jitter is relative to the diagonal of the Gram matrix, and moves with it.
        cotangent[np.diag_indices(n)] *= 1 + self.jitter
        gradient: Array = -0.5 * self.system.pull_back(self.kernel, cotangent)
        return gradient
