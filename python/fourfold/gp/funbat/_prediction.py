"""What is kept of a posterior, and what it says at new indices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp._variance import checked_variance
from fourfold.gp.funbat._core_tensor import pair_weights
from fourfold.gp.funbat._kernel import Chain, evaluate_points, smooth
from fourfold.gp.funbat._posterior import Posterior

__all__ = ["Fitted", "FittedMode"]

Array = npt.NDArray[np.float64]

# Doubles of scratch that a pass over new indices may take.
_SCRATCH = 1 << 24


@dataclass(frozen=True)
class FittedMode:
    """Messages at the unique indices of a mode, and the prior of its functions."""

    times: Array  # (T,)
    order: int
    lengthscale: float
    variance: Array  # (R,)
    precision: Array  # (T, R (R+1)/2)
    shift: Array  # (T, R)
    scale: float

    def at(self, new: Array) -> tuple[Array, Array]:
        """Mean (m, R) and packed covariance of the functions at new, unique times."""
        every = np.union1d(self.times, new)
        own = np.searchsorted(every, self.times)
        observed = np.zeros(every.size, dtype=np.uint8)
        observed[own] = 1
        precision = np.zeros((every.size, self.precision.shape[1]))
        shift = np.zeros((every.size, self.variance.size))
        precision[own], shift[own] = self.precision, self.shift
        length = np.diff(every, prepend=every[:1])
        chain = Chain(self.order, length, observed, precision, shift, self.scale)
        rate = float(np.sqrt(2 * self.order - 1)) / self.lengthscale
        result = smooth(chain, rate, self.variance)
        if isinstance(result, int):
            raise NotPositiveDefiniteError(
                f"the covariance of the functions at {every[result]:.6g} is not positive definite; the noise is too "
                "small for double precision",
                pivot=result,
                smallest_eigenvalue=float("nan"),
            )
        places = np.searchsorted(every, new)
        return result.mean[places], result.covariance[places]


@dataclass(frozen=True)
class Fitted:
    """A posterior without the entries."""

    modes: tuple[FittedMode, ...]
    core_mean: Array
    core_covariance: Array | None
    noise_precision: float
    history: Array
    converged: bool

    @staticmethod
    def of(posterior: Posterior, history: Array, converged: bool) -> Fitted:
        """Keep what predictions need."""
        modes = []
        for own, mode in zip(posterior.entries.modes, posterior.modes, strict=True):
            assert mode.chain is not None
            modes.append(
                FittedMode(
                    own.times,
                    mode.order,
                    mode.lengthscale,
                    mode.variance,
                    mode.chain.precision,
                    mode.chain.shift,
                    mode.chain.scale,
                )
            )
        core = posterior.core
        return Fitted(
            tuple(modes),
            core.mean,
            core.covariance,
            posterior.noise.precision,
            history,
            converged,
        )

    def predict(self, x: Array) -> tuple[Array, Array, int]:
        """Mean and variance at points (M, K), and how many variances rounding had taken below zero."""
        mean, variance = np.empty(x.shape[0]), np.empty(x.shape[0])
        widest = max(mode.order * mode.variance.size for mode in self.modes)
        step = max(256, _SCRATCH // (widest * (widest + 1)))
        for begin in range(0, x.shape[0], step):
            part = slice(begin, begin + step)
            mean[part], variance[part] = self._predict_part(x[part])
        variance, zeroed = checked_variance(variance, self._prior_variance())
        return mean, variance, zeroed

    def functions(self, mode: int, times: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (m, R) of one mode's functions."""
        new, places = np.unique(times, return_inverse=True)
        fitted = self.modes[mode]
        mean, covariance = fitted.at(new)
        variance = covariance[:, pair_weights(fitted.variance.size) == 1.0]
        variance, _ = checked_variance(variance, float(fitted.variance.max()))
        return mean[places], np.sqrt(variance[places])

    def _predict_part(self, x: Array) -> tuple[Array, Array]:
        means, covariances, places = [], [], []
        for mode, column in zip(self.modes, x.T, strict=True):
            new, place = np.unique(column, return_inverse=True)
            mean, covariance = mode.at(new)
            means.append(np.ascontiguousarray(mean))
            covariances.append(np.ascontiguousarray(covariance))
            places.append(place.reshape(-1).astype(np.int32))
        return evaluate_points(
            np.ascontiguousarray(np.stack(places, axis=1)),
            means,
            covariances,
            self.core_mean,
            self.core_covariance,
        )

    def _prior_variance(self) -> float:
        if self.core_covariance is None:
            return float(np.sum(np.prod([mode.variance for mode in self.modes], axis=0)))
        largest = np.sum(self.core_mean**2) + np.trace(self.core_covariance)
        return float(largest * np.prod([mode.variance.max() for mode in self.modes]))
