"""Coordinates in which the objective of GP-HM is better conditioned."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.gp.pde._expansion import mode_products
from fourfold.gp.pde._hm_objective import Objective, State

__all__ = ["MOST_DENSE", "Coordinates"]

MOST_DENSE = 1600

Array = npt.NDArray[np.float64]


class Coordinates:
    r"""``u = u_0 + (L_1 (x) ... (x) L_d) d^(-1/2) R^-T z`` around a state.

    ``L = Q l^(1/2)`` by the eigenvectors and eigenvalues of each axis' K, so that the prior of z would be white without d
    and R; d is the diagonal of the (Gauss-Newton) Hessian of the objective in the coordinates L, at that state. On grids
    of at most `MOST_DENSE` points R is the Cholesky factor of that Hessian scaled by d: for given kernels and precisions
    a linear problem is then solved by one step. On larger ones R is the identity.
    """

    def __init__(self, objective: Objective, state: State) -> None:
        self.origin = state
        problem, axes = objective.problem, objective.axes(state)
        self._maps: list[Array] = []
        self._derivatives: list[Array] = []
        for axis in axes:
            values, vectors = scipy.linalg.eigh(axis.matrix(0))
            root = np.sqrt(np.maximum(values, objective.jitter))
            self._maps.append(vectors * root)
            self._derivatives.append(vectors / root)
        tables: dict[tuple[int, int], Array] = {}

        def table(a: int, order: int) -> Array:
            """``K_r K^-1 L``."""
            if (a, order) not in tables:
                found = (
                    self._maps[a] if order == 0 else axes[a].matrix(order) @ self._derivatives[a]
                )
                tables[a, order] = found
            return tables[a, order]

        _, slopes = objective.linearised(axes, state.u)
        equation = np.zeros(problem.shape)
        for one, c in slopes.items():
            for other, d in slopes.items():
                pair = [
                    (table(a, r) * table(a, s)).T
                    for a, (r, s) in enumerate(zip(one, other, strict=True))
                ]
                equation += mode_products(c * d, pair)
        boundary = np.zeros(problem.shape)
        for condition in objective.conditions:
            at = 0 if condition.x == problem.box[condition.axis][0] else -1
            factors = [
                table(a, condition.order)[at] ** 2
                if a == condition.axis
                else np.sum(table(a, 0) ** 2, axis=0)
                for a in range(problem.dimension)
            ]
            boundary += functools.reduce(np.multiply.outer, factors)
        total = problem.source_at(*problem.mesh).size
        self._prior = (equation.sum() / total, boundary.sum() / max(objective.boundary_count, 1))
        values_given = np.concatenate([np.zeros(0), *(v.reshape(-1) for v in objective.values)])
        self._data = (
            float(np.mean(objective.source**2)),
            float(np.mean(values_given**2)) if values_given.size else 0.0,
        )
        tau, v = np.exp(state.log_tau), np.exp(state.log_v)
        weight = objective.boundary_weight * tau
        self._root = np.sqrt(1 + v * equation + weight * boundary)
        self._factor: Array | None = None
        if total <= MOST_DENSE:
            rows = np.zeros((total, total))
            for order, c in slopes.items():
                rows += c.reshape(-1, 1) * _kron([table(a, r) for a, r in enumerate(order)])
            hessian = np.eye(total) + v * (rows.T @ rows)
            for condition in objective.conditions:
                at = 0 if condition.x == problem.box[condition.axis][0] else -1
                parts = [
                    table(a, condition.order)[[at]] if a == condition.axis else table(a, 0)
                    for a in range(problem.dimension)
                ]
                face = _kron(parts)
                hessian += weight * (face.T @ face)
            root = self._root.reshape(-1)
            hessian /= root[:, None] * root
            # The prior's share may vanish beside the others in rounding.
            hessian[np.diag_indices(total)] += 100 * np.finfo(np.float64).eps * total
            self._factor = scipy.linalg.cholesky(hessian, lower=True, check_finite=False)

    def highest_precisions(self, finest: float) -> tuple[float, float]:
        """Bounds of log tau and log v: a relative accuracy of ``finest`` of data, or of the prior where that is larger."""
        equation, boundary = (
            -np.log(finest**2 * max(prior, data, np.finfo(np.float64).tiny))
            for prior, data in zip(self._prior, self._data, strict=True)
        )
        return float(boundary), float(equation)

    def start(self) -> Array:
        """The point of the state around which these coordinates were made."""
        vector = self.origin.packed()
        vector[: self.origin.u.size] = 0.0
        return vector

    def state(self, point: Array) -> State:
        """The state at a point."""
        found = self.origin.like(point)
        z = found.u
        if self._factor is not None:
            flat = scipy.linalg.solve_triangular(
                self._factor, z.reshape(-1), lower=True, trans="T", check_finite=False
            )
            z = flat.reshape(z.shape)
        found.u = self.origin.u + mode_products(z / self._root, self._maps)
        return found

    def value_and_gradient(self, objective: Objective, point: Array) -> tuple[float, Array]:
        """Of the objective, with respect to the coordinates."""
        value, gradient = objective.value_and_gradient(self.state(point))
        size = self.origin.u.size
        by_u = gradient[:size].reshape(self.origin.u.shape)
        by_z = mode_products(by_u, [m.T for m in self._maps]) / self._root
        gradient[:size] = by_z.reshape(-1)
        if self._factor is not None:
            gradient[:size] = scipy.linalg.solve_triangular(
                self._factor, gradient[:size], lower=True, check_finite=False
            )
        return value, gradient


def _kron(tables: list[Array]) -> Array:
    product = tables[0]
    for table in tables[1:]:
        product = np.asarray(np.kron(product, table), dtype=np.float64)
    return product
