"""What the published method found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde._expansion import mode_products
from fourfold.gp.pde._hm_axis import Mixture, kernel_at
from fourfold.gp.pde._hm_objective import Objective, State
from fourfold.gp.pde._points import checked_axes, checked_orders, checked_points
from fourfold.gp.pde.problem import Problem

__all__ = ["GPHMSolution"]

Array = npt.NDArray[np.float64]

_CHUNK = 1024


class GPHMSolution:
    """A solution by GP-HM: values on the grid, interpolated by the kernels that were found with them.

    It has no standard deviation: u on the grid is a point estimate.

    Attributes
    ----------
    problem : Problem
    kernels : list of SpectralMixture or StudentTMixture
        One for each axis.
    u_grid : ndarray
        u on the grid.
    tau, v : float
        The precisions of the conditions and of the equation at the end.
    objective : float
        The negative of what is maximised, at the end.
    equation_misfit, condition_misfit : float
        Root mean squares of ``P[u] - f`` on the grid and of ``u - g`` on the faces.
    history : list of dict
        ``stage`` "adam": ``step``, ``objective``, about 100 entries; "u" and "all" (L-BFGS): ``iterations``,
        ``failures``, ``objective`` for each choice of coordinates.
    """

    def __init__(
        self, problem: Problem, objective: Objective, state: State, history: list[dict[str, Any]]
    ) -> None:
        self.problem, self.history = problem, history
        self.kernels: list[Mixture] = [
            kernel_at(k, values)
            for k, values in zip(objective.kernels, state.parameters, strict=True)
        ]
        self.u_grid = state.u.copy()
        self.tau, self.v = float(np.exp(state.log_tau)), float(np.exp(state.log_v))
        self.objective, _ = objective.value_and_gradient(state)
        self.equation_misfit, self.condition_misfit = objective.misfits(state)
        weights = state.u
        for a, axis in enumerate(objective.axes(state)):
            weights = axis.solve(weights, a)
        self._weights = weights

    @property
    def frequencies(self) -> list[Array]:
        """Of the components, (Q,) for each axis."""
        return [np.asarray(k.frequencies) for k in self.kernels]

    @property
    def weights(self) -> list[Array]:
        """Of the components, (Q,) for each axis."""
        return [np.asarray(k.weights) for k in self.kernels]

    def u(self, points: npt.ArrayLike) -> Array:
        """u at points, (n,) in 1-D and (n, d) on a box: ``k(x, grid) K^-1 u``."""
        return self.derivative(points, (0,) * self.problem.dimension)

    def derivative(self, points: npt.ArrayLike, orders: int | Sequence[int]) -> Array:
        """A derivative of u at points; an order 0, 1 or 2 for each axis."""
        checked = checked_orders(self.problem, (orders,) if isinstance(orders, int) else orders)
        x = checked_points(self.problem, points)
        pieces = []
        for at in range(0, x.shape[0], _CHUNK):
            found = self._weights
            for a, order in enumerate(checked):
                table = self._table(a, x[at : at + _CHUNK, a], order)
                if a == 0:
                    found = np.tensordot(table, found, axes=1)
                else:
                    found = np.einsum("pi...,pi->p...", found, table)
            pieces.append(found)
        return np.concatenate([np.empty(0), *pieces])

    def on_grid(
        self, axes: Sequence[npt.ArrayLike] | None = None, orders: Sequence[int] | None = None
    ) -> Array:
        """u, or a derivative, on the grid that vectors of coordinates span; without them on the problem's own."""
        dimension = self.problem.dimension
        checked = checked_orders(self.problem, (0,) * dimension if orders is None else orders)
        vectors = checked_axes(self.problem, axes)
        tables = [
            self._table(a, x, order)
            for a, (x, order) in enumerate(zip(vectors, checked, strict=True))
        ]
        return mode_products(self._weights, tables)

    def residual(self, points: npt.ArrayLike) -> Array:
        """``sum_r c_r d^r u + N(u, ...) - source`` at points."""
        x = checked_points(self.problem, points)
        coordinates = list(x.T)
        given = np.asarray(points, dtype=np.float64)
        found = -self.problem.source_at(*coordinates)
        for order, c in self.problem.coefficients(*coordinates).items():
            found += c * self.derivative(given, order)
        term = self.problem.nonlinear
        if term is not None:
            found += term.value([self.derivative(given, order) for order in term.orders])
        return found

    def _table(self, axis: int, points: Array, order: int) -> Array:
        """``k^(order)(x - grid)``: the weights hold ``(K + jitter)^-1``."""
        lags = points[:, None] - self.problem.axes[axis]
        table: Array = self.kernels[axis].jet(lags, [order])[0]
        return table
