"""The functions of one mode: their prior, their posterior, and what is learnt of the prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.optimize

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.funbat._core_tensor import pair_weights
from fourfold.gp.funbat._kernel import Chain, Smoothed, smooth
from fourfold.gp.kernels import Matern

__all__ = ["Mode"]

Array = npt.NDArray[np.float64]

# A search for hyperparameters is worth its passes above this slope, in nats per unit of a logarithm,
# and makes at most so many iterations at a time: the messages change before the next one anyway.
_WORTH_A_SEARCH = 0.1
_ITERATIONS = 4


class Mode:
    """R independent functions ``u_r ~ GP(0, variance_r * Matern(lengthscale))`` seen through messages.

    Parameters
    ----------
    index : int
        Which mode, for messages of errors.
    kernel : Matern
        Start, and what is free (its bounds).
    rank : int
    length : ndarray, shape (T,)
        Time since the one before, 0 at the first.
    """

    def __init__(self, index: int, kernel: Matern, rank: int, length: Array) -> None:
        self.index = index
        self.rank = rank
        self.order = round(kernel.nu + 0.5)
        self.lengthscale = kernel.lengthscale
        self.variance: Array = np.full(rank, kernel.variance)
        self._lengthscale_free, self._variance_free = (p.free for p in kernel.parameters)
        self._bounds = np.log(
            [p.bounds if p.bounds is not None else (1.0, 1.0) for p in kernel.parameters]
        )
        self._length = length
        self._observed = np.ones(length.size, dtype=np.uint8)
        self._weights = pair_weights(rank)
        self.mean: Array = np.zeros((length.size, rank))
        self.second: Array = np.zeros((length.size, self._weights.size))
        self.covariance: Array = np.zeros_like(self.second)
        self.chain: Chain | None = None
        self.divergence = 0.0

    @property
    def rate(self) -> float:
        """``sqrt(2 nu) / lengthscale``."""
        return float(np.sqrt(2 * self.order - 1)) / self.lengthscale

    def start_at(self, mean: Array) -> None:
        """Take functions, shape (T, R), as if they were known."""
        rows, columns = np.triu_indices(self.rank)
        self.mean = np.ascontiguousarray(mean)
        self.second = np.ascontiguousarray(mean[:, rows] * mean[:, columns])
        self.covariance = np.zeros_like(self.second)

    def update(self, shift: Array, precision: Array, scale: float, *, learn: bool) -> None:
        """The posterior given new messages; with ``learn``, hyperparameters of larger evidence first."""
        chain = Chain(self.order, self._length, self._observed, precision, shift, scale)
        result = self._smoothed(chain, self.lengthscale, self.variance)
        theta = self._theta()
        if learn and theta.size > 0:
            slope = self._slope(result, self.lengthscale, self.variance)
            low, high = self._theta_bounds().T
            free = ((theta > low) | (slope > 0)) & ((theta < high) | (slope < 0))
            if (np.abs(slope[free]) > _WORTH_A_SEARCH).any():
                result = self._search(chain, result, theta)
        self.chain = chain
        self.mean, self.covariance, self.second = result.mean, result.covariance, result.second
        messages = float(np.sum(shift * self.mean)) - 0.5 * float(
            np.sum(precision * self.second, axis=0) @ self._weights
        )
        self.divergence = scale * messages - result.log_evidence

    def _smoothed(self, chain: Chain, lengthscale: float, variance: Array) -> Smoothed:
        result = smooth(chain, float(np.sqrt(2 * self.order - 1)) / lengthscale, variance)
        if isinstance(result, int):
            raise NotPositiveDefiniteError(
                f"mode {self.index}: the covariance of its functions is not positive definite at unique index "
                f"{result}; the noise is too small for double precision (give noise=, or a noise_prior of larger rate)",
                factor=self.index,
                pivot=result,
                smallest_eigenvalue=float("nan"),
            )
        return result

    def _theta(self) -> Array:
        parts: Sequence[Array] = [
            np.log([self.lengthscale]) if self._lengthscale_free else np.empty(0),
            np.log(self.variance) if self._variance_free else np.empty(0),
        ]
        return np.concatenate(parts)

    def _theta_bounds(self) -> Array:
        rows = [self._bounds[:1]] if self._lengthscale_free else []
        if self._variance_free:
            rows.append(np.repeat(self._bounds[1:], self.rank, axis=0))
        return np.concatenate(rows)

    def _values(self, theta: Array) -> tuple[float, Array]:
        lengthscale, variance = self.lengthscale, self.variance
        if self._lengthscale_free:
            lengthscale, theta = float(np.exp(theta[0])), theta[1:]
        if self._variance_free:
            variance = np.exp(theta)
        return lengthscale, variance

    def _slope(self, result: Smoothed, lengthscale: float, variance: Array) -> Array:
        rate = float(np.sqrt(2 * self.order - 1)) / lengthscale
        parts = [-result.by_rate * rate] if self._lengthscale_free else []
        if self._variance_free:
            parts.extend(result.by_variance * variance)
        return np.array(parts)

    def _search(self, chain: Chain, result: Smoothed, theta: Array) -> Smoothed:
        best, best_theta = result, theta

        def negative(at: Array) -> tuple[float, Array]:
            nonlocal best, best_theta
            lengthscale, variance = self._values(at)
            found = self._smoothed(chain, lengthscale, variance)
            if found.log_evidence > best.log_evidence:
                best, best_theta = found, at.copy()
            return -found.log_evidence, -self._slope(found, lengthscale, variance)

        scipy.optimize.minimize(
            negative,
            theta,
            jac=True,
            method="L-BFGS-B",
            bounds=self._theta_bounds(),
            options={"maxiter": _ITERATIONS, "maxfun": 3 * _ITERATIONS},
        )
        self.lengthscale, self.variance = self._values(best_theta)
        return best
