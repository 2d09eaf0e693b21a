"""`GridGP`: Gaussian-process regression on a grid of any number of dimensions."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fourfold.gp._inputs import as_array, checked_count
from fourfold.gp.grid import _file, _stored
from fourfold.gp.grid._data import Data
from fourfold.gp.grid._hyperparameters import Hyperparameters, checked_priors
from fourfold.gp.grid._likelihood import Likelihood
from fourfold.gp.grid._mean import mean_of
from fourfold.gp.grid._posterior import Posterior
from fourfold.gp.grid._predictions import Predictions
from fourfold.gp.grid._progress import progress_line
from fourfold.gp.grid._results import FitInfo
from fourfold.gp.grid._search import search
from fourfold.gp.grid._state import State
from fourfold.gp.grid._targets import Product
from fourfold.gp.kernels import Kernel
from fourfold.gp.kernels._parameters import Bounds, checked_bounds
from fourfold.gp.priors import Prior

__all__ = ["GridGP"]

Array = npt.NDArray[np.float64]


class GridGP(Predictions):
    r"""A Gaussian process ``y = mean(x) + f(x) + noise`` observed on a grid.

    The grid is the product of d vectors, and the covariance of f a product of one kernel a dimension,
    ``k(x, x') = k_1(x_1 - x'_1) ... k_d(x_d - x'_d)``: its matrix is a Kronecker product, and everything is exact at
    the cost of ``sum n_k^3 + N sum n_k`` for ``N = n_1 ... n_d`` points. On evenly spaced vectors a kernel is
    evaluated at n_k lags only. Points may be missing. All computations are in float64.

    Parameters
    ----------
    kernels : sequence of Kernel, or Kernel
        One a dimension: where the search for hyperparameters begins. Bounds of their parameters hold (None: fixed).
        One kernel alone is the start of every dimension. The kernels' variances enter by their product only.
    noise : float or array of the shape of the grid
        Variance of the noise. A number is learnt within ``noise_bounds``; an array (a variance for every point) is
        taken as it is. 0 with ``noise_bounds=None`` interpolates.
    noise_bounds : (float, float) or None
        None holds the noise fixed.
    mean : number, "constant", "linear" or list of callables
        A known number; or functions whose coefficients are integrated out under a flat prior: a constant, a constant
        and all coordinates, or functions that take points (m, d) and give (m,).
    normalize_y : bool
        Shift and scale every output to mean 0 and variance 1 (of what was observed) first, as scikit-learn does.
        Kernels, noise and `log_marginal_likelihood_` are those of the scaled outputs; predictions are in the units of y.
    priors : mapping of str to `gp.priors.Prior`, optional
        By the names of `theta_names`, ``"kernels[0].lengthscale"`` say, or ``"noise"``; densities of the values
        themselves. The search then maximises likelihood times priors.
    restarts : int
        Further starts of the search, drawn around the first one.
    seed : int
        Of restarts and of the random vectors of stochastic log-determinants.
    max_iterations : int
        Of L-BFGS-B, from each start; 0 takes the hyperparameters as they are.

    Attributes
    ----------
    kernels_ : list of Kernel
        The covariances that `fit` found.
    noise_ : float or ndarray
    theta_ : ndarray, shape (P,)
        All free hyperparameters, positive ones as logarithms; named by `theta_names`.
    log_marginal_likelihood_ : float
        ``log p(y)``, summed over the outputs. With a mean of p functions: of the N - p contrasts that do not depend
        on its coefficients (restricted likelihood; Rasmussen and Williams 2006, section 2.7).
    mean_coefficients_ : ndarray, shape (\*batch, p)
        Posterior means of the coefficients, in the scaled units with ``normalize_y``.
    info_ : FitInfo
        How the search went, and whether the likelihood is exact.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import gp
    >>> x, t = np.linspace(0, 1, 30), np.linspace(0, 2, 40)
    >>> y = np.sin(6 * x)[:, None] * np.cos(3 * t)
    >>> model = gp.GridGP([gp.kernels.Matern(0.5), gp.kernels.SquaredExponential(0.5)]).fit([x, t], y)
    >>> mean, std = model.predict([[0.51, 0.33]], return_std=True)
    """

    _info: FitInfo
    _value: float | None

    def __init__(
        self,
        kernels: Sequence[Kernel] | Kernel,
        noise: Any = 1e-2,
        *,
        noise_bounds: Bounds = (1e-10, 1e6),
        mean: Any = 0.0,
        normalize_y: bool = False,
        priors: Mapping[str, Prior] | None = None,
        restarts: int = 0,
        seed: int = 0,
        max_iterations: int = 200,
    ) -> None:
        given: Any = kernels
        if not isinstance(given, Kernel) and not (
            isinstance(given, Sequence) and given and all(isinstance(k, Kernel) for k in given)
        ):
            raise TypeError(
                f"kernels: expected a list of kernels, one a dimension, got {kernels!r}"
            )
        self.kernels = kernels if isinstance(kernels, Kernel) else list(kernels)
        self.noise: Array = as_array("noise", noise).copy()
        self.noise_bounds = checked_bounds("noise", noise_bounds, positive=True)
        if self.noise.ndim == 0:
            if not (np.isfinite(self.noise) and self.noise >= 0):
                raise ValueError(
                    f"noise: expected a finite variance of at least 0, got {self.noise}"
                )
            if self.noise == 0 and self.noise_bounds is not None:
                raise ValueError("noise: expected a positive number (or noise_bounds=None), got 0")
        self.mean = mean
        self._basis = mean_of(mean)
        if not isinstance(normalize_y, (bool, np.bool_)):
            raise ValueError(f"normalize_y: expected True or False, got {normalize_y!r}")
        self.normalize_y = bool(normalize_y)
        if self.normalize_y and (self.noise.ndim > 0 or self._basis.known != 0):
            raise ValueError(
                "normalize_y: goes with one number as noise and no known mean; scale y yourself"
            )
        self.priors = checked_priors(priors)
        self.restarts = checked_count("restarts", restarts)
        self.seed = checked_count("seed", seed)
        self.max_iterations = checked_count("max_iterations", max_iterations)

    # --- fitting ---------------------------------------------------------------------------------------------------

    def fit(
        self, grids: Sequence[Any], y: Any, mask: Any = None, *, progress: bool = False
    ) -> Self:
        r"""Find the hyperparameters of largest marginal likelihood and condition the process on y.

        Parameters
        ----------
        grids : sequence of d array_like of float, shapes (n_1,), ..., (n_d,)
            Strictly increasing coordinates, evenly spaced or not.
        y : array_like or tensor of float, shape (\*batch, n_1, ..., n_d)
            Observations; outputs of a batch share hyperparameters and are independent else.
        mask : array_like or tensor of bool, shape of the grid or of y, optional
            True where y was observed; y is not looked at elsewhere. Learning is exact up to 3000 observed points, and
            with one mask up to 1 % or 2000 missing ones, whichever is less; beyond that log-determinants are
            estimated with the same random vectors throughout, and `info_` says how well.
        progress : bool
            Whether to show a line about the search on a terminal.

        Returns
        -------
        GridGP
            Itself.

        Raises
        ------
        ValueError, TypeError
            Grids that are not sorted or do not fit y, NaN in what is observed, nothing observed.
        NotPositiveDefiniteError
            The covariance is singular to rounding at the start: more noise is needed, or other kernels.
        ConvergenceError
            The search stopped before it converged, from all starts.
        """
        data = Data(
            grids, y, mask, normalize=self.normalize_y, known_mean=self._basis.known_at([0])
        )
        d = len(data.sizes)
        kernels = [self.kernels] * d if isinstance(self.kernels, Kernel) else self.kernels
        if len(kernels) != d:
            raise ValueError(
                f"grids: expected {len(kernels)} vectors as there are kernels, got {d}"
            )
        likelihood = self._prepared(data, kernels, self._noise_for(data))
        hyperparameters = likelihood.hyperparameters
        with progress_line(progress, 1 + self.restarts) as report:
            theta, info = search(
                likelihood,
                hyperparameters,
                count=data.observations,
                max_iterations=self.max_iterations,
                restarts=self.restarts,
                seed=self.seed,
                report=report,
            )
        self._condition(likelihood, theta, info, None)
        return self

    @property
    def log_marginal_likelihood_(self) -> float:
        """``log p(y)`` at the hyperparameters found; computed when it is first asked for."""
        return self._evaluated()[0]

    @property
    def info_(self) -> FitInfo:
        """How the search went, and how the likelihood is computed."""
        return self._evaluated()[1]

    def _evaluated(self) -> tuple[float, FitInfo]:
        """Stochastic likelihoods of large grids cost more than predictions, which do not need them."""
        self._fitted("log_marginal_likelihood_ and info_", AttributeError)
        if self._value is None:
            self._value = self._likelihood.value(self.theta_)
            ways, interval = self._likelihood.ways, self._likelihood.interval
            self._info = dataclasses.replace(self._info, ways=ways, interval=interval)
        return self._value, self._info

    def log_marginal_likelihood(self, theta: npt.ArrayLike) -> tuple[float, Array]:
        """``log p(y)`` and its gradient at other hyperparameters, for the data given to `fit`; without priors.

        Parameters
        ----------
        theta : array_like of float, shape (P,)
            As `theta_`.

        Returns
        -------
        float, ndarray of shape (P,)
        """
        self._fitted("log_marginal_likelihood")
        vector = as_array("theta", theta)
        if vector.shape != self.theta_.shape:
            raise ValueError(f"theta: expected shape {self.theta_.shape}, got {vector.shape}")
        return self._likelihood.marginal(vector)

    def _prepared(self, data: Data, kernels: Sequence[Kernel], noise: float | Array) -> Likelihood:
        """The likelihood as a function of theta."""
        none = [0] * len(data.axes)
        basis = self._basis.at(Product([a.points for a in data.axes]).points(), none)
        for group in data.groups:
            if group.count(data.total) <= len(basis):
                raise ValueError(
                    f"mean: {len(basis)} functions need more observations than {group.count(data.total)}"
                )
        spans = [axis.span for axis in data.axes]
        hyperparameters = Hyperparameters(kernels, noise, self.noise_bounds, self.priors, spans)
        return Likelihood(data, basis, hyperparameters, self.seed)

    def _noise_for(self, data: Data) -> float | Array:
        if self.noise.ndim == 0:
            return float(self.noise)
        if self.noise.shape != data.sizes:
            raise ValueError(
                f"noise: expected a number or the shape of the grid {data.sizes}, got {self.noise.shape}"
            )
        seen = data.observed.any(axis=0)
        flat = self.noise.reshape(-1)
        if not (np.isfinite(flat[seen]) & (flat[seen] >= 0)).all():
            raise ValueError(
                "noise: expected finite variances of at least 0 at the observed points"
            )
        return np.where(seen, flat, 0.0)

    def _condition(
        self, likelihood: Likelihood, theta: Array, info: FitInfo, value: float | None
    ) -> None:
        """Keep hyperparameters and posterior, if there is one: a model keeps what it had if a fit fails."""
        data = likelihood.data
        kernels, noise = likelihood.hyperparameters.unpack(theta)
        posterior = Posterior(data, self._basis, State(data.axes, kernels, noise), self.seed)
        self._posterior, self._likelihood = posterior, likelihood
        self.theta_, self.theta_names = theta, likelihood.hyperparameters.names
        self.kernels_ = kernels
        self.noise_ = noise if isinstance(noise, float) else noise.reshape(data.sizes)
        self._info, self._value = info, value
        coefficients = posterior.coefficients
        self.mean_coefficients_ = coefficients.reshape(*data.batch_shape, coefficients.shape[-1])

    # --- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model and its data to a file: NumPy's ``.npz`` with plain arrays, whatever its name.

        Raises
        ------
        NotSavableError
            The mean has functions, or a kernel or prior is not fourfold's.
        """
        self._fitted("save")
        _file.write(path, *_stored.store(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The fitted model that `save` wrote; it predicts the same to the last bit on the same machine.

        Raises
        ------
        DamagedFileError
            The file is not what `save` wrote.
        """
        model: Self = _stored.restore(cls, path, *_file.read(path))
        return model
