"""Gaussian-process regression on a line in time linear in the number of observations."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fourfold.gp._info import PredictInfo
from fourfold.gp._inputs import (
    as_array,
    checked_count,
    checked_number,
    in_kind_of,
    kind_is_torch,
)
from fourfold.gp._maximise import maximise
from fourfold.gp._variance import checked_variance
from fourfold.gp.kernels import Kernel, Matern
from fourfold.gp.kernels._parameters import Bounds, check_start, checked_bounds
from fourfold.gp.series._filter import Pass, run_filter
from fourfold.gp.series._inputs import (
    Series,
    checked_noise,
    checked_series,
    checked_times,
    components,
)

__all__ = ["StateSpaceGP"]

Array = npt.NDArray[np.float64]


class StateSpaceGP:
    r"""A Gaussian process ``y(t) = mean + f(t) + noise`` with a Matern covariance or a sum of them.

    Such an ``f`` solves a linear stochastic differential equation (Hartikainen and Sarkka 2010), so a Kalman filter
    and a smoother give what dense linear algebra gives, to rounding, in O(T) instead of O(T^3). Times may be
    irregular and may repeat.

    Parameters
    ----------
    kernel : Matern or a sum of Matern kernels
        Start of the search for hyperparameters; bounds of its parameters hold (None: fixed).
    noise : float or array_like of float, shape (T,)
        Variance of the observations' noise. One number is optimised within ``noise_bounds``; an array (one entry per
        observation, as given to `fit`) is taken as it is.
    noise_bounds : (float, float) or None
        None holds the noise fixed.
    mean : float
        What f is added to.
    max_iterations : int
        Of L-BFGS-B; 0 takes the hyperparameters as they are.

    Attributes
    ----------
    kernel_ : Kernel
        The covariance that `fit` found.
    noise_ : float or ndarray
        The noise variance that `fit` found, or the array that was given.
    log_marginal_likelihood_ : float
        ``log p(y | t)`` at ``kernel_`` and ``noise_``, summed over the series.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import gp
    >>> t = np.sort(np.random.default_rng(0).uniform(0, 10, 500))
    >>> model = gp.StateSpaceGP(gp.kernels.Matern(1.0, nu=1.5), noise=0.1).fit(t, np.sin(t))
    >>> mean, std = model.predict([2.5], return_std=True)
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        noise: npt.ArrayLike = 1e-2,
        noise_bounds: Bounds = (1e-10, 1e6),
        mean: float = 0.0,
        max_iterations: int = 200,
    ) -> None:
        components(kernel)
        self.kernel = kernel
        self.noise = checked_noise(noise)
        self.noise_bounds = checked_bounds("noise", noise_bounds, positive=True)
        self.mean = checked_number("mean", mean)
        self.max_iterations = checked_count("max_iterations", max_iterations)
        if self._learns_noise and float(self.noise) <= 0:
            raise ValueError("noise: expected a positive number (or noise_bounds=None), got 0")

    @property
    def _learns_noise(self) -> bool:
        return self.noise.ndim == 0 and self.noise_bounds is not None

    def fit(self, t: Any, y: Any, *, observed: Any = None) -> Self:
        """Find the hyperparameters of largest marginal likelihood and keep the data for `predict`.

        Parameters
        ----------
        t : array_like or tensor of float, shape (T,)
            Times in any order; they may repeat.
        y : array_like or tensor of float, shape (T,) or (B, T)
            Observations; B independent series share times and hyperparameters.
        observed : array_like or tensor of bool, shape of ``y``, optional
            False where ``y`` is missing (whatever it holds there).

        Returns
        -------
        StateSpaceGP
            Itself.

        Raises
        ------
        ValueError, TypeError
            Shapes that do not fit, NaN in what is observed, or hyperparameters to learn and nothing observed
            (``max_iterations=0`` takes them as they are, and gives the prior).
        ConvergenceError
            L-BFGS-B stopped before it converged; a line search that fails counts as convergence only where no more than
            rounding is to be gained.
        NotPositiveDefiniteError
            Two observations at one time without noise.
        """
        data = checked_series(t, y, observed, self.mean, self.noise)
        theta = self._theta(self.kernel, float(self.noise) if self._learns_noise else None)
        learns = self.max_iterations > 0 and theta.size > 0
        if learns and not data.observed.any():
            raise ValueError(
                f"y: nothing to learn from, none of {data.value.size} entries is observed; with max_iterations=0 the "
                "prior is predicted"
            )
        if learns:
            bounds = self.kernel.theta_bounds
            if self.noise_bounds is not None and self._learns_noise:
                bounds = np.concatenate([bounds, np.log([self.noise_bounds])])
            names = [*self.kernel.theta_names, *(["noise"] if self._learns_noise else [])]
            check_start(names, theta, bounds)
            found = maximise(
                lambda at: self._likelihood(data, at),
                theta,
                bounds,
                count=int(data.observed.sum()),
                max_iterations=self.max_iterations,
            )
            theta = found.theta
        value = self._likelihood(data, theta)[0]
        # From here on nothing fails: a model keeps what it had if a fit does.
        size = self.kernel.theta.size
        self._data = data
        self.kernel_ = self.kernel.with_theta(theta[:size])
        self.noise_ = float(np.exp(theta[size])) if self._learns_noise else self.noise
        self.log_marginal_likelihood_ = value
        return self

    def predict(self, t: Any, *, return_std: bool = False, return_info: bool = False) -> Any:
        """Mean and standard deviation of ``mean + f`` given the observations.

        Parameters
        ----------
        t : array_like or tensor of float, shape (m,)
            Times in any order, inside or outside the observed span.
        return_std : bool
            Whether to return standard deviations (of f, without the noise), too.
        return_info : bool
            Whether to return a `PredictInfo`, too: it counts the variances that rounding had taken below zero.

        Returns
        -------
        array or tensor of float64, shape (m,) or (B, m), as t is (a list: as y was), or a tuple of what was asked for

        Raises
        ------
        NotPositiveDefiniteError
            A variance is further below zero than rounding takes it.
        """
        data = self._fitted("predict")
        new = checked_times(t)
        times = np.concatenate([data.time, new])
        order = np.argsort(times, kind="stable")
        empty = np.zeros((data.value.shape[0], new.size))
        value = np.concatenate([data.value, empty], axis=1)[:, order]
        noise = np.concatenate([self._noise_rows(), empty], axis=1)[:, order]
        observed = np.concatenate([data.observed, empty.astype(bool)], axis=1)[:, order]
        result = self._run(self.kernel_, times[order], value, noise, observed, backward=True)
        assert result.mean is not None
        assert result.variance is not None
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        mean = self.mean + result.mean[:, back[data.time.size :]]
        variance, zeroed = checked_variance(
            result.variance[:, back[data.time.size :]], self.kernel_.variance_at_zero
        )
        if data.single:
            mean, variance = mean[0], variance[0]
        tensor = kind_is_torch(t, data.torch)
        results: list[Any] = [in_kind_of(mean, tensor)]
        if return_std:
            results.append(in_kind_of(np.sqrt(variance), tensor))
        if return_info:
            results.append(PredictInfo(("kalman smoother",), zeroed))
        return results[0] if len(results) == 1 else tuple(results)

    def log_marginal_likelihood(self, theta: npt.ArrayLike) -> tuple[float, Array]:
        """``log p(y | t)`` and its gradient at other hyperparameters, for the data given to `fit`.

        Parameters
        ----------
        theta : array_like of float, shape (P,)
            The kernel's ``theta``, then the logarithm of the noise if it is learnt.

        Returns
        -------
        float, ndarray of shape (P,)
        """
        data = self._fitted("log_marginal_likelihood")
        vector = as_array("theta", theta)
        size = self.kernel.theta.size + self._learns_noise
        if vector.shape != (size,):
            raise ValueError(f"theta: expected shape {(size,)}, got {vector.shape}")
        return self._likelihood(data, vector)

    def _fitted(self, method: str) -> Series:
        if not hasattr(self, "kernel_"):
            raise ValueError(f"{method}: call fit first")
        return self._data

    def _theta(self, kernel: Kernel, noise: float | None) -> Array:
        return np.append(kernel.theta, [] if noise is None else np.log(noise))

    def _noise_rows(self) -> Array:
        data = self._data
        noise = np.full(data.time.size, self.noise_) if data.noise is None else data.noise
        return np.ascontiguousarray(np.broadcast_to(noise, data.value.shape))

    def _likelihood(self, data: Series, theta: Array) -> tuple[float, Array]:
        kernel_size = self.kernel.theta.size
        kernel = self.kernel.with_theta(theta[:kernel_size])
        if self._learns_noise:
            noise = np.full_like(data.value, np.exp(theta[kernel_size]))
        else:
            row = self.noise if data.noise is None else data.noise
            noise = np.ascontiguousarray(np.broadcast_to(row, data.value.shape))
        result = self._run(kernel, data.time, data.value, noise, data.observed, backward=True)
        assert result.by_rate is not None
        assert result.by_variance is not None
        assert result.by_noise is not None
        by_rate, by_variance = result.by_rate.sum(0), result.by_variance.sum(0)
        gradient = []
        for part, rate, variance in zip(components(kernel), by_rate, by_variance, strict=True):
            lengthscale_parameter, variance_parameter = part.parameters
            if lengthscale_parameter.free:
                gradient.append(-rate * _rate(part))
            if variance_parameter.free:
                gradient.append(variance * part.variance)
        if self._learns_noise:
            gradient.append(float(np.sum(result.by_noise * noise)))
        return float(result.log_likelihood.sum()), np.array(gradient)

    def _run(
        self,
        kernel: Kernel,
        time: Array,
        value: Array,
        noise: Array,
        observed: npt.NDArray[np.bool_],
        *,
        backward: bool,
    ) -> Pass:
        parts = components(kernel)
        return run_filter(
            [round(part.nu + 0.5) for part in parts],
            np.array([_rate(part) for part in parts]),
            np.array([part.variance for part in parts]),
            np.ascontiguousarray(time),
            np.ascontiguousarray(value),
            np.ascontiguousarray(noise),
            np.ascontiguousarray(observed),
            backward=backward,
        )


def _rate(part: Matern) -> float:
    return float(np.sqrt(2 * part.nu)) / part.lengthscale
