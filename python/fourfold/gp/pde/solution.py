"""The solution of a problem: a Gaussian process conditioned on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._points import checked_points
from fourfold.gp.pde._system import Factor
from fourfold.gp.pde.problem import Problem

__all__ = ["Solution"]

Array = npt.NDArray[np.float64]

_CHUNK = 1024


class Solution:
    """What `solve` found.

    Attributes
    ----------
    problem : Problem
    kernel : Kernel
        With its hyperparameters; the process has this covariance times `variance`.
    variance : float
        The most likely amplitude.
    log_marginal_likelihood : float
        Of the right-hand sides (of the last linearisation, for nonlinear problems).
    jitter : float
        What was added to the unit diagonal of the scaled Gram matrix.
    misfit : float
        Norm of what the equations on the grid and the conditions lack, relative to the right-hand sides, both in
        units of the prior's standard deviations. A large one means that the kernel has no room for u.
    history : list of dict
        One entry per step: ``stage`` is "learn" (``kernel``, ``iterations``, ``failures``, ``log_marginal_likelihood``) or
        "newton" (``residual``, ``step``). ``failures`` says how often the search met hyperparameters whose matrix
        is not positive definite.
    negative_variances : int
        How many variances of the last call of `std` came out below 0 within rounding and were returned as 0.
    """

    def __init__(self, problem: Problem, factor: Factor, history: list[dict[str, Any]]) -> None:
        self.problem = problem
        self.kernel: Kernel = factor.kernel
        self.variance = factor.variance
        self.log_marginal_likelihood = factor.log_marginal_likelihood
        self.jitter = factor.jitter
        self.misfit = factor.misfit
        self.history = history
        self.negative_variances = 0
        self._factor = factor
        self._weights = factor.weights

    @property
    def frequencies(self) -> Array:
        """Of the mixture kernel's components, (Q,); AttributeError for kernels without."""
        return np.asarray(self.kernel.frequencies)  # type: ignore[attr-defined]

    @property
    def weights(self) -> Array:
        """Of the mixture kernel's components times `variance`, (Q,); AttributeError for kernels without."""
        return np.asarray(self.kernel.weights) * self.variance  # type: ignore[attr-defined]

    def u(self, points: npt.ArrayLike) -> Array:
        """Posterior mean of u at points (n,)."""
        return self.derivative(points, 0)

    def derivative(self, points: npt.ArrayLike, order: int = 1) -> Array:
        """Posterior mean of ``u^(order)`` at points (n,), order 0, 1 or 2."""
        if order not in (0, 1, 2):
            raise ValueError(f"order: expected 0, 1 or 2, got {order}")
        x = checked_points(self.problem, points)[:, 0]
        system, kernel = self._factor.system, self.kernel
        pieces = [
            system.cross(kernel, x[at : at + _CHUNK], order) @ self._weights
            for at in range(0, x.size, _CHUNK)
        ]
        return np.concatenate([np.empty(0), *pieces])

    def residual(self, points: npt.ArrayLike) -> Array:
        """``sum_r c_r u^(r) + N(u, ...) - source`` at points (n,)."""
        x = checked_points(self.problem, points)[:, 0]
        found = -self.problem.source_at(x)
        for (r,), c in self.problem.coefficients(x).items():
            found += c * self.derivative(x, r)
        term = self.problem.nonlinear
        if term is not None:
            found += term.value([self.derivative(x, r) for (r,) in term.orders])
        return found

    def std(self, points: npt.ArrayLike) -> Array:
        """Posterior standard deviation of u at points (n,).

        It is the uncertainty of the (last linearised) problem given the kernel. The variance is a difference of
        numbers near ``k(0)``; a difference below 0 within rounding (100 eps k(0)) is returned as 0 and counted in
        `negative_variances`.

        Raises
        ------
        NotPositiveDefiniteError
            A variance below 0 by more than that.
        """
        x = checked_points(self.problem, points)[:, 0]
        factor, prior = self._factor, self.kernel.variance_at_zero
        found = np.empty(x.size)
        for at in range(0, x.size, _CHUNK):
            piece = slice(at, at + _CHUNK)
            cross = factor.system.cross(self.kernel, x[piece], 0) / factor.scale
            half = scipy.linalg.solve_triangular(factor.lower, cross.T, lower=True)
            found[piece] = prior - np.sum(half**2, axis=0)
        lowest = float(found.min(initial=0.0))
        if lowest < -100 * np.finfo(np.float64).eps * prior:
            raise NotPositiveDefiniteError(
                f"the posterior variance is {lowest:.3g} with k(0) = {prior:.3g}; raise jitter",
                smallest_eigenvalue=lowest,
            )
        self.negative_variances = int(np.count_nonzero(found < 0))
        return np.sqrt(self.variance * np.maximum(found, 0.0))
