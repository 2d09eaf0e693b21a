"""The Gram matrix of a linear equation and its conditions, and the likelihood of their right-hand sides."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._exact_lags import jets_on_grid
from fourfold.gp.pde.conditions import Periodic
from fourfold.gp.pde.problem import Problem

__all__ = ["Factor", "System", "end_functionals"]

Array = npt.NDArray[np.float64]
# A weighted sum of derivatives of u at points: (weight, x, order) of each.
Functional = list[tuple[float, float, int]]

# Of the scaled right-hand sides: what rounding may leave of the conditioned system.
_LARGEST_ROUNDING = 1e-6


def end_functionals(problem: Problem) -> tuple[list[Functional], Array]:
    """The conditions of a problem in 1-D as functionals of u, and their values."""
    functionals: list[Functional] = []
    values: list[float] = []
    low, high = problem.interval
    for c in problem.conditions:
        if isinstance(c, Periodic):
            for order in range(max(problem.highest_order(0), 1)):
                functionals.append([(1.0, low, order), (-1.0, high, order)])
                values.append(0.0)
        else:
            functionals.append([(1.0, c.x, c.order)])
            values.append(float(problem.condition_at(c)[0]))
    return functionals, np.array(values)


class System:
    """Linear functionals of u: the conditions first, then ``sum_r c_r(x_i) u^(r)(x_i)`` on a uniform grid.

    The derivatives of the kernel on the grid are Toeplitz matrices, so that n lags are evaluated for each order; the
    coefficients multiply rows and columns afterwards. Variable coefficients thus cost no kernel evaluation.
    """

    def __init__(
        self,
        ends: tuple[list[Functional], Array],
        grid: Array,
        coefficients: dict[int, Array],
        source: Array,
    ) -> None:
        self.grid, self.coefficients = grid, coefficients
        self.ends, values = ends
        self.y = np.concatenate([values, source])
        self.size = self.y.size
        n = grid.size
        self._lag = grid - grid[0]
        self._diagonal = (np.arange(n)[:, None] - np.arange(n) + n - 1).reshape(-1)
        self._pairs = [(r, s) for r in coefficients for s in coefficients]
        self._inner_orders = sorted({r + s for r, s in self._pairs})
        at_ends = {order for functional in self.ends for _, _, order in functional}
        self._all_orders = sorted(
            {*self._inner_orders, *(r + s for r in at_ends for s in {*coefficients, *at_ends})}
        )

    def gram(self, kernel: Kernel) -> Array:
        """The covariance of the functionals, (size, size)."""
        m, n = len(self.ends), self.grid.size
        low, high = float(self.grid[0]), float(self.grid[-1])
        jets: dict[int, Array] = dict(
            zip(
                self._all_orders,
                jets_on_grid(kernel, low, high, n, self._all_orders),
                strict=True,
            )
        )

        def from_end(x: float, order: int) -> Array:
            """``k^(order)(x - grid)``; x is an end of the grid."""
            jet = jets[order]
            if x == low:
                return -jet if order % 2 else jet
            reversed_jet: Array = jet[::-1]
            return reversed_jet

        matrix = np.zeros((self.size, self.size))
        inner = matrix[m:, m:]
        for p in self._inner_orders:
            toeplitz = scipy.linalg.toeplitz(jets[p], -jets[p] if p % 2 else jets[p])
            for r, s in self._pairs:
                if r + s == p:
                    sign = -1.0 if s % 2 else 1.0
                    inner += (
                        (sign * self.coefficients[r])[:, None] * toeplitz * self.coefficients[s]
                    )
        for i, functional in enumerate(self.ends):
            for weight, x, order in functional:
                for s, c in self.coefficients.items():
                    sign = -weight if s % 2 else weight
                    matrix[i, m:] += sign * c * from_end(x, order + s)
                for j, other in enumerate(self.ends):
                    for factor, at, s in other:
                        sign = -weight * factor if s % 2 else weight * factor
                        matrix[i, j] += sign * from_end(x, order + s)[0 if at == low else -1]
            matrix[m:, i] = matrix[i, m:]
        return matrix

    def rounding(self, kernel: Kernel) -> Array:
        """Variances below which a functional is 0 but for rounding.

        Every sample of a periodic process is periodic: such a condition has no variance, and no say.
        """
        bound = np.zeros(self.size)
        for i, functional in enumerate(self.ends):
            for weight, _, order in functional if len(functional) > 1 else []:
                bound[i] += weight**2 * abs(float(kernel.jet(0.0, [2 * order])[0]))
        return 100 * np.finfo(np.float64).eps * bound

    def cross(self, kernel: Kernel, points: Array, order: int) -> Array:
        """Covariance of ``u^(order)`` at points (p,) with the functionals, (p, size)."""
        columns = []
        for functional in self.ends:
            column = np.zeros(points.size)
            for weight, x, s in functional:
                sign = -weight if s % 2 else weight
                column += sign * kernel.jet(points - x, [order + s])[0]
            columns.append(column[:, None])
        orders = [order + s for s in self.coefficients]
        jet = kernel.jet(points[:, None] - self.grid, orders)
        inner = np.zeros(jet.shape[1:])
        for part, (s, c) in zip(jet, self.coefficients.items(), strict=True):
            inner += part * (-c if s % 2 else c)
        return np.concatenate([*columns, inner], axis=1)

    def pull_back(self, kernel: Kernel, cotangent: Array) -> Array:
        """Gradient of ``sum(cotangent * gram(kernel))`` with respect to theta; ``cotangent`` is symmetric."""
        m, n = len(self.ends), self.grid.size
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
        gradient: Array = kernel.pull_back(self._lag, self._inner_orders, by_lag)
        for i, functional in enumerate(self.ends):
            for weight, x, r in functional:
                for j, other in enumerate(self.ends):
                    for factor, at, s in other:
                        sign = -weight * factor if s % 2 else weight * factor
                        lag = np.array([x - at])
                        gradient += kernel.pull_back(lag, [r + s], [[sign * cotangent[i, j]]])
                rows = [
                    2 * weight * cotangent[i, m:] * (-c if s % 2 else c)
                    for s, c in self.coefficients.items()
                ]
                orders = [r + s for s in self.coefficients]
                gradient += kernel.pull_back(x - self.grid, orders, np.stack(rows))
        return gradient


class Factor:
    """Cholesky factor of the Gram matrix scaled to unit diagonal plus ``jitter`` times the identity.

    Raises ``scipy.linalg.LinAlgError`` where the matrix is not positive definite, and where it is so by rounding alone: the
    weights that solve the system are then so large that the equations which they should meet are not met.
    """

    def __init__(self, system: System, kernel: Kernel, jitter: float) -> None:
        self.system, self.kernel, self.jitter = system, kernel, jitter
        gram = system.gram(kernel)
        diagonal = np.diag(gram).copy()
        empty = diagonal <= system.rounding(kernel)
        gram[empty] = gram[:, empty] = 0.0
        self.scale = np.sqrt(np.where(empty, 1.0, diagonal))
        gram /= self.scale[:, None]
        gram /= self.scale
        gram[np.diag_indices(system.size)] += jitter
        self.lower = scipy.linalg.cholesky(gram, lower=True, check_finite=False)
        y = system.y / self.scale
        self.scaled_weights = scipy.linalg.cho_solve((self.lower, True), y, check_finite=False)
        length = float(np.linalg.norm(y))
        missing = y - gram @ self.scaled_weights
        if not np.linalg.norm(missing) <= _LARGEST_ROUNDING * length:
            raise scipy.linalg.LinAlgError("the equations are not met within rounding")
        noise = missing + jitter * self.scaled_weights
        self.misfit = float(np.linalg.norm(noise)) / length if length else 0.0
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
