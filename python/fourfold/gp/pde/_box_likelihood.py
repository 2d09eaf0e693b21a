"""The marginal likelihood of a linear problem on a box, and its gradient with respect to the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fourfold.gp.kernels import Kernel
from fourfold.gp.pde._box_system import BoxSystem, Linear
from fourfold.gp.pde._expansion import Expansion, mode_products
from fourfold.gp.pde._least_squares import Conditioned
from fourfold.gp.pde._rows import Rows
from fourfold.gp.pde._traces import add_trace
from fourfold.gp.pde.problem import Problem

__all__ = ["BoxLikelihood"]

Array = npt.NDArray[np.float64]


class BoxLikelihood:
    """``log p(y)`` of an equation and its conditions at the most likely amplitude.

    The rows ``A z`` (each block divided by its scale s) have the covariance ``C = A A' + jitter``. With
    ``a = C^-1 y = residual / jitter`` and ``B = (A' A + jitter)^-1``

        d log p = a' dA z / variance - tr(B A' dA) + what s adds

    where z is the mean. All of A is made of tables of the functions of one axis at points; the sums over the other axes
    give the gradient with respect to each table, and `AxisBasis.pull_back` takes it to the kernel. Eigenvectors are
    never differentiated.
    """

    def __init__(
        self,
        problem: Problem,
        kernels: Sequence[Kernel],
        equation: Linear,
        jitter: float,
        expansion: Expansion,
    ) -> None:
        self._kernels, self._expansion = list(kernels), expansion
        system = BoxSystem(problem, expansion)
        self._rows = [system.rows_of(equation), *system.conditions]
        self._conditioned = Conditioned(self._rows, jitter)

    @property
    def value(self) -> float:
        """``log p(y)``."""
        return self._conditioned.log_marginal_likelihood

    def gradient(self) -> Array:
        """With respect to theta of all kernels, one after the other."""
        conditioned, bases = self._conditioned, self._expansion.bases
        inverse = conditioned.normal_inverse()
        full = self._expansion.scatter(conditioned.mean)
        # One for each kernel: of its tables, as (points, order, cotangent of the functions there).
        gathered: list[list[tuple[Array, int, Array]]] = [[] for _ in bases]
        for rows, residual in zip(self._rows, conditioned.residual, strict=True):
            found = self._by_mean(rows, residual, full)
            traces = [[np.zeros_like(t) for t in term.tables] for term in rows.terms]
            add_trace(rows, self._expansion.index, inverse, traces)
            # tr(B A_b' A_b), for A is linear in the tables of any one axis.
            trace = sum(
                float(np.vdot(part[0], term.tables[0]))
                for part, term in zip(traces, rows.terms, strict=True)
            )
            by_scale = self._by_scale(rows, residual, trace)
            for term, one, other, third in zip(rows.terms, found, traces, by_scale, strict=True):
                for axis, table in enumerate(term.origins):
                    cotangent = table.by_functions(one[axis] - other[axis] + third[axis])
                    gathered[axis].append((table.points, table.order, cotangent))
        return np.concatenate(
            [basis.pull_back(parts) for basis, parts in zip(bases, gathered, strict=True)]
        )

    def _by_mean(self, rows: Rows, residual: Array, full: Array) -> list[list[Array]]:
        """Of ``a' A z / variance`` by the tables of each term."""
        a = residual / (self._conditioned.jitter * self._conditioned.variance * rows.scale)
        found = []
        for term in rows.terms:
            weighted = a if term.weight is None else a * term.weight
            parts = []
            for axis, table in enumerate(term.tables):
                tables = list(term.tables)
                tables[axis] = np.eye(table.shape[1])
                inner = mode_products(full, tables)
                rest = [b for b in range(len(tables)) if b != axis]
                parts.append(np.tensordot(weighted, inner, axes=(rest, rest)))
            found.append(parts)
        return found

    def _by_scale(self, rows: Rows, residual: Array, trace: float) -> list[list[Array]]:
        """Of what the scale does, the square root of the rows' largest prior variance, by the tables of each term.

        The noise is ``jitter s^2``: ``d log p = (|r|^2 / (jitter variance) - rows + trace) d log s^2 / 2``.
        """
        found = [[np.zeros_like(table) for table in term.tables] for term in rows.terms]
        if rows.peak is None:
            return found
        conditioned, peak = self._conditioned, rows.peak
        squares = float(np.vdot(residual, residual)) / (conditioned.jitter * conditioned.variance)
        factor = 0.5 * (squares - residual.size + trace) / rows.scale**2
        for parts, one in zip(found, rows.terms, strict=True):
            for other in rows.terms:
                weight = factor
                for term in (one, other):
                    weight *= 1.0 if term.weight is None else float(term.weight[peak])
                pairs = [
                    (t[i], u[i]) for t, u, i in zip(one.tables, other.tables, peak, strict=True)
                ]
                products = [float(t @ u) for t, u in pairs]
                for axis, (_, values) in enumerate(pairs):
                    rest = float(np.prod(np.delete(products, axis)))
                    parts[axis][peak[axis]] += 2 * weight * rest * values
        return found
