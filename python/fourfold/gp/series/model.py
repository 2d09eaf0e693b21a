"""Gaussian-process regression on a line in time linear in the number of observations."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fourfold.gp._info import PredictInfo
from fourfold.gp._inputs import as_array, checked_count, checked_number
from fourfold.gp._maximise import maximise
from fourfold.gp.kernels import Kernel
from fourfold.gp.kernels._parameters import Bounds, check_start, checked_bounds
from fourfold.gp.series._cuda_filter import SeriesThere
from fourfold.gp.series._inputs import checked_noise, checked_series, checked_times, components
from fourfold.gp.series._series import Series, rate

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
            Observations; B independent series share times and hyperparameters. A CUDA tensor stays on its GPU, and the
            series are filtered there, side by side; the kernel's state has at most 4 components then.
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
        NotImplementedError
            A CUDA tensor, and a kernel with a larger state, or an installation without CUDA kernels.
        """
        data = checked_series(t, y, observed, self.mean, self.noise)
        theta = self._theta(self.kernel, float(self.noise) if self._learns_noise else None)
        learns = self.max_iterations > 0 and theta.size > 0
        count = data.count
        if learns and not count:
            raise ValueError(
                f"y: nothing to learn from, none of {data.size} entries is observed; with max_iterations=0 the "
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
                count=count,
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
        array or tensor of float64, shape (m,) or (B, m), as t is (a list: as y was), or a tuple of what was asked for; if y
        was on a GPU, a tensor there

        Raises
        ------
        NotPositiveDefiniteError
            A variance is further below zero than rounding takes it.
        """
        data = self._fitted("predict")
        new = checked_times(t)
        noise = self.noise_ if data.noise is None else data.noise
        mean, deviation, zeroed = data.posterior(
            components(self.kernel_), noise, new, self.kernel_.variance_at_zero
        )
        mean = self.mean + mean
        if data.single:
            mean, deviation = mean[0], deviation[0]
        results: list[Any] = [data.in_kind(mean, t)]
        if return_std:
            results.append(data.in_kind(deviation, t))
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

    def _fitted(self, method: str) -> Series | SeriesThere:
        if not hasattr(self, "kernel_"):
            raise ValueError(f"{method}: call fit first")
        return self._data

    def _theta(self, kernel: Kernel, noise: float | None) -> Array:
        return np.append(kernel.theta, [] if noise is None else np.log(noise))

    def _likelihood(self, data: Series | SeriesThere, theta: Array) -> tuple[float, Array]:
        kernel_size = self.kernel.theta.size
        parts = components(self.kernel.with_theta(theta[:kernel_size]))
        if self._learns_noise:
            noise: float | Array = float(np.exp(theta[kernel_size]))
        else:
            noise = self.noise if data.noise is None else data.noise
        found = data.likelihood(parts, noise)
        gradient = []
        for part, by_rate, by_variance in zip(parts, found.by_rate, found.by_variance, strict=True):
            lengthscale_parameter, variance_parameter = part.parameters
            if lengthscale_parameter.free:
                gradient.append(-by_rate * rate(part))
            if variance_parameter.free:
                gradient.append(by_variance * part.variance)
        if self._learns_noise:
            gradient.append(found.by_log_noise)
        return found.value, np.array(gradient)
