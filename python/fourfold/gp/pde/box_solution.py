"""The solution of a problem on a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._expansion import Expansion
from fourfold.gp.pde._least_squares import Conditioned
from fourfold.gp.pde._points import checked_axes, checked_orders, checked_points
from fourfold.gp.pde.problem import Problem

__all__ = ["BoxSolution"]

Array = npt.NDArray[np.float64]

_CHUNK = 1024


class BoxSolution:
    """What `solve` found on a box.

    Attributes
    ----------
    problem : Problem
    kernels : list of Kernel
        One for each axis; the process has the product of their covariances times `variance`.
    variance : float
        The most likely amplitude.
    log_marginal_likelihood : float
        Of the right-hand sides (of the last linearisation, for nonlinear problems).
    jitter : float
        Variance of the noise on each block of equations, relative to the largest prior variance in it.
    shift : float
        What had to be added to the unit diagonal of the normal equations to factorise them, 0 mostly. The mean does not
        contain it; `std` does.
    misfit : float
        Norm of what the equations lack on the grid, relative to the right-hand sides, both in units of the
        prior's standard deviations.
    features : int
        Functions in the expansion of the process.
    truncation : float
        The smallest prior variance among them, relative to the largest. Above the default where the most that
        are allowed were not enough: then the kernels hold more than was used.
    history : list of dict
        One entry per step: ``stage`` is "condition" (``misfit``, ``refinements``), "newton" (``residual``, ``step``) or
        "learn" (``iterations``, ``failures``: how often the search left the positive definite region, and
        ``log_marginal_likelihood`` with the search's noise).
    """

    def __init__(
        self,
        problem: Problem,
        kernels: Sequence[Kernel],
        expansion: Expansion,
        conditioned: Conditioned,
        history: list[dict[str, Any]],
    ) -> None:
        self.problem, self.kernels, self.history = problem, list(kernels), history
        self.variance = conditioned.variance
        self.log_marginal_likelihood = conditioned.log_marginal_likelihood
        self.jitter, self.shift = conditioned.jitter, conditioned.shift
        self.misfit = conditioned.misfit
        self.features, self.truncation = expansion.size, expansion.truncation
        self._expansion, self._conditioned = expansion, conditioned

    @property
    def frequencies(self) -> list[Array]:
        """Of the mixture kernels' components, (Q,) for each axis; AttributeError for kernels without."""
        return [np.asarray(k.frequencies) for k in self.kernels]  # type: ignore[attr-defined]

    @property
    def weights(self) -> list[Array]:
        """Of the mixture kernels' components, (Q,) for each axis; AttributeError for kernels without."""
        return [np.asarray(k.weights) for k in self.kernels]  # type: ignore[attr-defined]

    def u(self, points: npt.ArrayLike) -> Array:
        """Posterior mean of u at points (n, d)."""
        return self.derivative(points, (0,) * self.problem.dimension)

    def derivative(self, points: npt.ArrayLike, orders: Sequence[int]) -> Array:
        """Posterior mean of a derivative of u at points (n, d); an order 0, 1 or 2 for each axis."""
        checked, x = checked_orders(self.problem, orders), checked_points(self.problem, points)
        mean = self._conditioned.mean
        pieces = [
            self._expansion.at(mean, x[at : at + _CHUNK], checked)
            for at in range(0, x.shape[0], _CHUNK)
        ]
        return np.concatenate([np.empty(0), *pieces])

    def on_grid(
        self, axes: Sequence[npt.ArrayLike] | None = None, orders: Sequence[int] | None = None
    ) -> Array:
        """Posterior mean of u, or of a derivative, on the grid that vectors of coordinates span.

        ``axes`` is the problem's own grid if left out. Much cheaper than as many scattered points.
        """
        dimension = self.problem.dimension
        checked = checked_orders(self.problem, (0,) * dimension if orders is None else orders)
        vectors = checked_axes(self.problem, axes)
        return self._expansion.on(self._conditioned.mean, vectors, checked)

    def residual(self, points: npt.ArrayLike) -> Array:
        """``sum_r c_r d^r u + N(u, ...) - source`` at points (n, d)."""
        x = checked_points(self.problem, points)
        coordinates = list(x.T)
        found = -self.problem.source_at(*coordinates)
        for order, c in self.problem.coefficients(*coordinates).items():
            found += c * self.derivative(x, order)
        term = self.problem.nonlinear
        if term is not None:
            found += term.value([self.derivative(x, order) for order in term.orders])
        return found

    def std(self, points: npt.ArrayLike) -> Array:
        """Posterior standard deviation of u at points (n, d).

        It is the uncertainty of the (last linearised) problem given the kernels, a root of a sum of squares.
        """
        x = checked_points(self.problem, points)
        orders = (0,) * self.problem.dimension
        pieces = [
            self._conditioned.deviations(self._expansion.rows(x[at : at + _CHUNK], orders))
            for at in range(0, x.shape[0], _CHUNK)
        ]
        return np.concatenate([np.empty(0), *pieces])
