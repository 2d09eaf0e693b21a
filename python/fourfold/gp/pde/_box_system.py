"""Equation and conditions on a box as rows of a least-squares problem for the weights of an expansion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde._expansion import Expansion, mode_products
from fourfold.gp.pde._rows import Rows, Term, separable_term
from fourfold.gp.pde.conditions import Condition, Periodic
from fourfold.gp.pde.problem import Order, Problem

__all__ = ["BoxSystem"]

Array = npt.NDArray[np.float64]


class BoxSystem:
    """The functionals of a problem, applied to an expansion; the equation linearised wherever wanted."""

    def __init__(self, problem: Problem, expansion: Expansion) -> None:
        self.problem, self.expansion = problem, expansion
        self._tables: dict[tuple[int, int], Array] = {}
        mesh = problem.mesh
        self._coefficients = problem.coefficients(*mesh)
        self._source = problem.source_at(*mesh)
        self._linear = [
            separable_term(c, self._on_grid(order)) for order, c in self._coefficients.items()
        ]
        self.conditions = [rows for c in problem.conditions for rows in self._condition_rows(c)]
        self._scale: float | None = None

    def equation(self, z: Array | None = None) -> Rows:
        """The equation linearised at the weights z; None: at u = 0. All have the scale of the first."""
        term = self.problem.nonlinear
        if term is None:
            return Rows(self.expansion, self._linear, self._source)
        parts = self.parts(np.zeros(self.expansion.size) if z is None else z)
        source = self._source - term.value(parts)
        merged = dict(self._coefficients)
        for order, part, slope in zip(term.orders, parts, term.slope(parts), strict=True):
            merged[order] = merged.get(order, np.zeros(self.problem.shape)) + slope
            source = source + slope * part
        terms = [separable_term(c, self._on_grid(order)) for order, c in merged.items()]
        rows = Rows(self.expansion, terms, source, self._scale)
        self._scale = rows.scale
        return rows

    def parts(self, z: Array) -> list[Array]:
        """The derivatives of u that the nonlinear term takes, on the grid."""
        assert self.problem.nonlinear is not None
        full = self.expansion.scatter(z)
        return [mode_products(full, self._on_grid(o)) for o in self.problem.nonlinear.orders]

    def misfits(self, z: Array) -> list[Array]:
        """What each block of scaled rows, the nonlinear equation first, lacks at weights z."""
        full = self.expansion.scatter(z)
        found = -self._source
        for term in self._linear:
            part = mode_products(full, term.tables)
            found = found + (part if term.weight is None else part * term.weight)
        if self.problem.nonlinear is not None:
            found = found + self.problem.nonlinear.value(self.parts(z))
        scale = self._scale if self._scale is not None else self.equation().scale
        return [found / scale, *(rows.apply(z) - rows.y for rows in self.conditions)]

    def _on_grid(self, order: Order) -> list[Array]:
        return [self._table(axis, r) for axis, r in enumerate(order)]

    def _table(self, axis: int, order: int) -> Array:
        if (axis, order) not in self._tables:
            table = self.expansion.functions(axis, self.problem.axes[axis], order)
            self._tables[axis, order] = table
        return self._tables[axis, order]

    def _condition_rows(self, condition: Condition | Periodic) -> list[Rows]:
        problem, axis = self.problem, condition.axis
        tables = self._on_grid((0,) * problem.dimension)
        if isinstance(condition, Condition):
            at = np.array([condition.x])
            tables[axis] = self.expansion.functions(axis, at, condition.order)
            return [Rows(self.expansion, [Term(tables)], problem.condition_at(condition))]
        found = []
        for order in range(max(problem.highest_order(axis), 1)):
            ends = self.expansion.functions(axis, np.array(problem.box[axis]), order)
            tables = list(tables)
            tables[axis] = ends[:1] - ends[1:]
            shape = [1 if a == axis else n for a, n in enumerate(problem.shape)]
            found.append(Rows(self.expansion, [Term(tables)], np.zeros(shape)))
        return found
