"""Functional Bayesian Tucker and CP decomposition."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ConvergenceWarning
from fourfold.gp._info import PredictInfo
from fourfold.gp._inputs import (
    check_magnitude,
    checked_count,
    checked_number,
    finite_vector,
    in_kind_of,
    kind_is_torch,
)
from fourfold.gp.funbat._entries import sorted_entries
from fourfold.gp.funbat._inputs import (
    checked_indices,
    checked_kernels,
    checked_noise_prior,
    checked_rank,
    checked_values,
    starting_kernels,
)
from fourfold.gp.funbat._posterior import Noise
from fourfold.gp.funbat._prediction import Fitted
from fourfold.gp.funbat._progress import progress_bar
from fourfold.gp.funbat._start import SMALL_NOISE, best_start, settled
from fourfold.gp.kernels import Matern

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FunBaT"]

Array = npt.NDArray[np.float64]


class FunBaT:
    r"""A tensor with continuous indices, decomposed into Gaussian processes of one index each.

    An entry at the indices ``x_1, ..., x_K`` is

    .. math:: y = \mathrm{mean} + \sum_{r_1 \ldots r_K} w_{r_1 \ldots r_K}
              u^1_{r_1}(x_1) \cdots u^K_{r_K}(x_K) + \mathrm{noise}

    (Tucker, one rank for each mode), or ``sum_r u^1_r(x_1) ... u^K_r(x_K)`` (CP, one rank for all). Every function is
    a Gaussian process with a Matern covariance, the core ``w`` is Gaussian, the noise has a Gamma prior on its
    precision (Fang et al. 2023, "Functional Bayesian Tucker Decomposition for Continuous-indexed Tensor Data").

    The posterior is approximated by ``q(U^1) ... q(U^K) q(w) q(noise)``, each factor in turn replaced by its optimum
    given the others: messages from the entries, and a Kalman filter and smoother over the unique indices of a mode.
    So the evidence lower bound never decreases. Length-scales and variances maximise it too. What a mean-field
    posterior leaves out are correlations between modes: its standard deviations are those given the other modes, as
    uncertain as these are, and somewhat too small.

    Parameters
    ----------
    rank : int or sequence of int
        One number: CP of that rank. One for each mode: Tucker. At most 32 each, and 512 entries of the core.
    kernel : Matern or sequence of Matern, optional
        Covariance of the functions of all modes, or of each; where length-scales and variances start, and, by their
        bounds, whether they are learnt (None: fixed). Length-scales are a mode's, variances a function's. By default
        Matern-3/2 with the length-scale 0.2 of the span of a mode's indices, learnt.
    noise : float, optional
        Variance of the noise, if it is known.
    noise_prior : (float, float), optional
        Shape and rate of the Gamma prior of the noise's precision; by default 1e-6 and 1e-6 times the mean square of
        the values, which says nothing.
    mean : float
        What the decomposition is added to.
    restarts : int
        Number of random starts; half of them are given up after every six sweeps.
    max_sweeps : int
        Largest number of sweeps of the last start.
    tolerance : float
        Sweeps end where the lower bound grows by less than that much per entry, in nats.
    seed : int
        Of the starts.

    Examples
    --------
    >>> import numpy as np
    >>> from fourfold import gp
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=(400, 2))
    >>> y = np.sin(6 * x[:, 0]) * np.exp(-x[:, 1]) + 0.05 * rng.normal(size=400)
    >>> model = gp.FunBaT(1).fit(x, y)
    >>> mean, std = model.predict([[0.2, 0.7]], return_std=True)
    """

    def __init__(
        self,
        rank: int | Sequence[int],
        *,
        kernel: Matern | Sequence[Matern] | None = None,
        noise: float | None = None,
        noise_prior: tuple[float, float] | None = None,
        mean: float = 0.0,
        restarts: int = 8,
        max_sweeps: int = 1000,
        tolerance: float = 2e-5,
        seed: int = 0,
    ) -> None:
        self.rank = checked_rank(rank)
        self.kernel = checked_kernels(kernel)
        self.noise = None if noise is None else checked_number("noise", noise, positive=True)
        self.noise_prior = checked_noise_prior(noise_prior)
        self.mean = checked_number("mean", mean)
        self.restarts = checked_count("restarts", restarts, 1)
        self.max_sweeps = checked_count("max_sweeps", max_sweeps, 1)
        self.tolerance = checked_number("tolerance", tolerance, 0)
        self.seed = checked_count("seed", seed)
        if self.noise is not None and self.noise_prior is not None:
            raise ValueError("noise_prior: expected None where noise is given")

    @property
    def is_tucker(self) -> bool:
        """Whether there is a core; otherwise CP."""
        return len(self.rank) > 1

    def fit(self, indices: Any, values: Any, *, progress: bool = False) -> FunBaT:
        """Find the posterior of the functions, the core and the noise.

        Parameters
        ----------
        indices : array_like or tensor, shape (N, K)
            Indices of the observed entries, in any units, in any order; they may be irregular and repeat. What is
            missing is left out.
        values : array_like or tensor, shape (N,)
        progress : bool
            Show a bar on a terminal.

        Returns
        -------
        FunBaT
            Itself.

        Raises
        ------
        ValueError, TypeError
            Shapes that do not fit, NaN, infinities, values that all equal ``mean``.
        NotPositiveDefiniteError
            The noise became too small for double precision.

        Warns
        -----
        ConvergenceWarning
            ``max_sweeps`` was reached first; the posterior of the last sweep is kept.
        """
        x = checked_indices(indices, len(self.rank) if self.is_tucker else None)
        y = checked_values(values, x.shape[0], self.mean)
        modes = x.shape[1]
        entries = sorted_entries(x, y)
        mean_square = entries.sum_of_squares / entries.count
        variance = 1.0 if self.is_tucker else (mean_square / self.rank[0]) ** (1 / modes)
        kernels = starting_kernels(self.kernel, x, variance)
        if self.noise is not None:
            noise = Noise(None, 1.0, self.noise)
        else:
            prior = self.noise_prior or (1e-6, 1e-6 * mean_square)
            noise = Noise(prior, 1.0, SMALL_NOISE * mean_square)
        with progress_bar(progress, self.max_sweeps) as report:
            posterior = best_start(
                lambda start: settled(
                    entries, kernels, self.rank, noise, np.random.default_rng([self.seed, start])
                ),
                self.restarts,
                report.starts,
            )
            history: list[float] = []
            converged = False
            while len(history) < self.max_sweeps and not converged:
                history.append(posterior.sweep(learn=True))
                converged = (
                    len(history) > 1 and history[-1] - history[-2] < self.tolerance * entries.count
                )
                report.sweep(len(history), history[-1])
        self._fitted = Fitted.of(posterior, np.array(history), converged)
        if not converged:
            last = history[-1] - history[-2] if len(history) > 1 else np.inf
            warnings.warn(
                f"fit: the lower bound still grew by {last:.3g} nats in the last of {len(history)} sweeps "
                f"(tolerance {self.tolerance * entries.count:.3g}); raise max_sweeps or tolerance",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def predict(self, indices: Any, *, return_std: bool = False, return_info: bool = False) -> Any:
        """Mean and standard deviation of the entries (without noise) at any indices.

        Parameters
        ----------
        indices : array_like or tensor, shape (M, K)
            Inside or outside the range of those given to `fit`: far outside, the functions go back to their prior
            mean, zero, and the standard deviation to the prior's.
        return_std : bool
            Whether to return standard deviations, too.
        return_info : bool
            Whether to return a `PredictInfo`, too: it counts the variances that rounding had taken below zero.

        Returns
        -------
        ndarray of float64 (tensor, if indices are one), shape (M,), or a tuple of what was asked for

        Raises
        ------
        NotPositiveDefiniteError
            A variance is further below zero than rounding takes it: the noise is too small for double precision.
        """
        fitted = self._after_fit("predict")
        mean, variance, zeroed = fitted.predict(checked_indices(indices, len(fitted.modes)))
        tensor = kind_is_torch(indices)
        results: list[Any] = [in_kind_of(mean + self.mean, tensor)]
        if return_std:
            results.append(in_kind_of(np.sqrt(variance), tensor))
        if return_info:
            results.append(PredictInfo(("kalman smoother",), zeroed))
        return results[0] if len(results) == 1 else tuple(results)

    def factors(self, mode: int, t: Any, *, return_std: bool = False) -> Any:
        """Mean and standard deviation of the functions of one mode.

        Parameters
        ----------
        mode : int
            From 0 to K - 1.
        t : array_like or tensor, shape (m,)
            Indices of that mode, anywhere.
        return_std : bool
            Whether to return standard deviations, too.

        Returns
        -------
        ndarray of float64 (tensor, if t is one), shape (m, R), or two of them
            Signs, scales and the order of the functions are arbitrary.
        """
        fitted = self._after_fit("factors")
        if checked_count("mode", mode) >= len(fitted.modes):
            raise ValueError(f"mode: expected 0 to {len(fitted.modes) - 1}, got {mode!r}")
        times = finite_vector("t", t)
        check_magnitude("t", times)
        mean, std = fitted.functions(mode, times + 0.0)
        tensor = kind_is_torch(t)
        return (
            (in_kind_of(mean, tensor), in_kind_of(std, tensor))
            if return_std
            else in_kind_of(mean, tensor)
        )

    def plot(self) -> Figure:
        """The functions of every mode with bands of two standard deviations.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        from fourfold.gp.funbat._figure import mode_functions

        return mode_functions(self._after_fit("plot"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, fitted or not, to a file of plain arrays (``.npz``).

        The file is written beside its place and then renamed.
        """
        from fourfold.gp.funbat._files import write

        write(self, getattr(self, "_fitted", None), Path(path))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> FunBaT:
        """Read a model that `save` wrote; it predicts bit for bit as the one that was saved.

        Raises
        ------
        DamagedFileError
            If the file is no such file, is cut off or was changed.
        OSError
            If it cannot be read.
        """
        from fourfold.gp.funbat._files import read

        arguments, fitted = read(Path(path))
        model = FunBaT(**arguments)
        if fitted is not None:
            model._fitted = fitted
        return model

    @property
    def lower_bound_(self) -> float:
        """Evidence lower bound in nats: at most ``log p(values)``. Compare ranks by it."""
        return float(self.history_[-1])

    @property
    def history_(self) -> Array:
        """The bound after each sweep of the start that was kept, shape (sweeps,)."""
        return self._after_fit("history_", AttributeError).history

    @property
    def converged_(self) -> bool:
        """Whether the bound stopped growing before ``max_sweeps``."""
        return self._after_fit("converged_", AttributeError).converged

    @property
    def noise_(self) -> float:
        """Variance of the noise: the inverse of its expected precision."""
        return 1 / self._after_fit("noise_", AttributeError).noise_precision

    @property
    def lengthscales_(self) -> Array:
        """Length-scale of each mode, shape (K,)."""
        modes = self._after_fit("lengthscales_", AttributeError).modes
        return np.array([mode.lengthscale for mode in modes])

    @property
    def variances_(self) -> tuple[Array, ...]:
        """For each mode the prior variances of its functions, shape (R,); superfluous ones go to zero."""
        modes = self._after_fit("variances_", AttributeError).modes
        return tuple(mode.variance.copy() for mode in modes)

    @property
    def core_(self) -> Array:
        """Mean of the core, of the shape of the ranks; of CP a vector of ones."""
        return self._after_fit("core_", AttributeError).core_mean.reshape(self.rank)

    def _after_fit(self, name: str, error: type[Exception] = ValueError) -> Fitted:
        fitted: Fitted | None = getattr(self, "_fitted", None)
        if fitted is None:
            raise error(f"{name}: call fit first")
        return fitted
