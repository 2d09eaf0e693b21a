"""Gaussian-process regression on a line in time linear in the number of observations."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from fourfold.gp._info import PredictInfo
from fourfold.gp._maximise import maximise
from fourfold.gp._variance import checked_variance
from fourfold.gp.kernels import Kernel, Matern, Sum
from fourfold.gp.kernels._parameters import Bounds, checked_bounds
from fourfold.gp.series._filter import Pass, run_filter

__all__ = ["StateSpaceGP"]

Array = npt.NDArray[np.float64]

_LARGEST_STATE = 12


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
        self.kernel = kernel
        self.noise: Array = np.array(noise, dtype=np.float64)
        self.noise_bounds = checked_bounds("noise", noise_bounds, positive=True)
        self.mean = float(mean)
        self.max_iterations = int(max_iterations)
        _components(kernel)
        if self.noise.ndim > 1 or not (np.isfinite(self.noise) & (self.noise >= 0)).all():
            raise ValueError(
                "noise: expected a number or a vector of finite numbers of at least 0, got "
                f"shape {self.noise.shape}, smallest entry {self.noise.min(initial=np.inf):.3g}"
            )
        if self._learns_noise and float(self.noise) <= 0:
            raise ValueError("noise: expected a positive number (or noise_bounds=None), got 0")

    @property
    def _learns_noise(self) -> bool:
        return self.noise.ndim == 0 and self.noise_bounds is not None

    def fit(
        self,
        t: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        observed: npt.ArrayLike | None = None,
    ) -> StateSpaceGP:
        """Find the hyperparameters of largest marginal likelihood and keep the data for `predict`.

        Parameters
        ----------
        t : array_like of float, shape (T,)
            Times in any order; they may repeat.
        y : array_like of float, shape (T,) or (B, T)
            Observations; B independent series share times and hyperparameters.
        observed : array_like of bool, shape of ``y``, optional
            False where ``y`` is missing (whatever it holds there).

        Returns
        -------
        StateSpaceGP
            Itself.

        Raises
        ------
        ValueError
            Shapes that do not fit, or NaN in what is observed.
        ConvergenceError
            L-BFGS-B stopped before it converged; a line search that fails counts as convergence only where no more than
            rounding is to be gained.
        NotPositiveDefiniteError
            Two observations at one time without noise.
        """
        self._time, self._value, self._observed, self._noise_of = self._checked(t, y, observed)
        theta = self._theta(self.kernel, float(self.noise) if self._learns_noise else None)
        if self.max_iterations > 0 and theta.size > 0:
            bounds = self.kernel.theta_bounds
            if self.noise_bounds is not None and self._learns_noise:
                bounds = np.concatenate([bounds, np.log([self.noise_bounds])])
            found = maximise(
                self._likelihood,
                theta,
                bounds,
                count=int(self._observed.sum()),
                max_iterations=self.max_iterations,
            )
            theta = found.theta
        self._set(theta)
        return self

    @overload
    def predict(
        self,
        t: npt.ArrayLike,
        *,
        return_std: Literal[False] = False,
        return_info: Literal[False] = False,
    ) -> Array: ...
    @overload
    def predict(
        self, t: npt.ArrayLike, *, return_std: Literal[True], return_info: Literal[False] = False
    ) -> tuple[Array, Array]: ...
    @overload
    def predict(
        self, t: npt.ArrayLike, *, return_std: bool = False, return_info: Literal[True]
    ) -> tuple[Any, ...]: ...

    def predict(
        self, t: npt.ArrayLike, *, return_std: bool = False, return_info: bool = False
    ) -> Array | tuple[Any, ...]:
        """Mean and standard deviation of ``mean + f`` given the observations.

        Parameters
        ----------
        t : array_like of float, shape (m,)
            Times in any order, inside or outside the observed span.
        return_std : bool
            Whether to return standard deviations (of f, without the noise), too.
        return_info : bool
            Whether to return a `PredictInfo`, too: it counts the variances that rounding had taken below zero.

        Returns
        -------
        ndarray of float64, shape (m,) or (B, m), or a tuple of what was asked for

        Raises
        ------
        NotPositiveDefiniteError
            A variance is further below zero than rounding takes it.
        """
        if not hasattr(self, "kernel_"):
            raise ValueError("predict: call fit first")
        new = np.asarray(t, dtype=np.float64)
        if new.ndim != 1 or not np.isfinite(new).all():
            raise ValueError(f"t: expected a vector of finite numbers, got shape {new.shape}")
        times = np.concatenate([self._time, new])
        order = np.argsort(times, kind="stable")
        count, series = new.size, self._value.shape[0]
        empty = np.zeros((series, count))
        value = np.concatenate([self._value, empty], axis=1)[:, order]
        noise = np.concatenate([self._noise_rows(), empty], axis=1)[:, order]
        observed = np.concatenate([self._observed, empty.astype(bool)], axis=1)[:, order]
        result = self._run(self.kernel_, times[order], value, noise, observed, backward=True)
        assert result.mean is not None
        assert result.variance is not None
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        mean = self.mean + result.mean[:, back[self._time.size :]]
        variance, zeroed = checked_variance(
            result.variance[:, back[self._time.size :]], self.kernel_.variance_at_zero
        )
        if self._single:
            mean, variance = mean[0], variance[0]
        results = (mean, np.sqrt(variance)) if return_std else (mean,)
        if return_info:
            return (*results, PredictInfo(("kalman smoother",), zeroed))
        return results if return_std else mean

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
        return self._likelihood(np.asarray(theta, dtype=np.float64))

    def _theta(self, kernel: Kernel, noise: float | None) -> Array:
        return np.append(kernel.theta, [] if noise is None else np.log(noise))

    def _set(self, theta: Array) -> None:
        kernel_size = self.kernel.theta.size
        self.kernel_ = self.kernel.with_theta(theta[:kernel_size])
        self.noise_ = np.exp(theta[kernel_size]) if self._learns_noise else self.noise
        self.log_marginal_likelihood_ = self._likelihood(theta)[0]

    def _noise_rows(self) -> Array:
        noise = np.full(self._time.size, self.noise_) if self._noise_of is None else self._noise_of
        return np.ascontiguousarray(np.broadcast_to(noise, self._value.shape))

    def _likelihood(self, theta: Array) -> tuple[float, Array]:
        kernel_size = self.kernel.theta.size
        kernel = self.kernel.with_theta(theta[:kernel_size])
        if self._learns_noise:
            noise = np.full_like(self._value, np.exp(theta[kernel_size]))
        else:
            row = self.noise if self._noise_of is None else self._noise_of
            noise = np.ascontiguousarray(np.broadcast_to(row, self._value.shape))
        result = self._run(kernel, self._time, self._value, noise, self._observed, backward=True)
        assert result.by_rate is not None
        assert result.by_variance is not None
        assert result.by_noise is not None
        by_rate, by_variance = result.by_rate.sum(0), result.by_variance.sum(0)
        gradient = []
        for part, rate, variance in zip(_components(kernel), by_rate, by_variance, strict=True):
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
        parts = _components(kernel)
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

    def _checked(
        self, t: npt.ArrayLike, y: npt.ArrayLike, observed: npt.ArrayLike | None
    ) -> tuple[Array, Array, npt.NDArray[np.bool_], Array | None]:
        time = np.asarray(t, dtype=np.float64)
        if time.ndim != 1 or not np.isfinite(time).all():
            raise ValueError(f"t: expected a vector of finite numbers, got shape {time.shape}")
        value = np.asarray(y, dtype=np.float64)
        if value.ndim not in (1, 2) or value.shape[-1] != time.size:
            raise ValueError(
                f"y: expected shape ({time.size},) or (B, {time.size}), got {value.shape}"
            )
        self._single = value.ndim == 1
        value = np.atleast_2d(value)
        seen = (
            np.ones(value.shape, bool) if observed is None else np.atleast_2d(np.asarray(observed))
        )
        if seen.dtype != np.bool_ or seen.shape != value.shape:
            raise ValueError(
                f"observed: expected bool of the shape of y, got {seen.dtype} of shape {seen.shape}"
            )
        bad = ~np.isfinite(value) & seen
        if bad.any():
            raise ValueError(
                f"y: {int(bad.sum())} observed entries are NaN or infinite; say observed= where they are missing"
            )
        order = np.argsort(time, kind="stable")
        noise = None
        if self.noise.ndim == 1:
            if self.noise.size != time.size:
                raise ValueError(
                    f"noise: expected a number or shape ({time.size},), got {self.noise.shape}"
                )
            noise = self.noise[order]
        centred = np.where(seen, value - self.mean, 0.0)[:, order]
        return time[order], centred, np.ascontiguousarray(seen[:, order]), noise


def _components(kernel: Kernel) -> list[Matern]:
    """The Matern kernels that ``kernel`` is the sum of, in the order of its parameters."""
    if isinstance(kernel, Matern):
        return [kernel]
    if not isinstance(kernel, Sum):
        raise ValueError(f"kernel: expected a Matern kernel or a sum of them, got {kernel!r}")
    parts = [*_components(kernel.first), *_components(kernel.second)]
    size = sum(round(part.nu + 0.5) for part in parts)
    if size > _LARGEST_STATE:
        raise ValueError(
            f"kernel: its state has {size} components (1, 2, 3 for each Matern-1/2, 3/2, 5/2), at most "
            f"{_LARGEST_STATE} are supported"
        )
    return parts


def _rate(part: Matern) -> float:
    return float(np.sqrt(2 * part.nu)) / part.lengthscale
