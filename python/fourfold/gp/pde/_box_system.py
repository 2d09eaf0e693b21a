"""Equation and conditions on a box as rows of a least-squares problem for the weights of an expansion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde._expansion import Expansion, mode_products
from fourfold.gp.pde._rows import Rows, Table, Term, separable_term
from fourfold.gp.pde.conditions import Condition, Periodic
from fourfold.gp.pde.problem import Order, Problem

__all__ = ["BoxSystem", "Linear"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """``sum_r coefficients[r](x) d^r u(x) = source(x)``, all as values on the grid."""

    coefficients: dict[Order, Array]
    source: Array


class BoxSystem:
    """The functionals of a problem, applied to an expansion; the equation linearised wherever wanted."""

    def __init__(self, problem: Problem, expansion: Expansion) -> None:
        self.problem, self.expansion = problem, expansion
        self._tables: dict[tuple[int, int], Table] = {}
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
        if self.problem.nonlinear is None:
            return Rows(self.expansion, self._linear, self._source)
        rows = self.rows_of(self.linearised(z), self._scale)
        self._scale = rows.scale
        return rows

    def linearised(self, z: Array | None = None) -> Linear:
        """The equation linearised at the weights z; None: at u = 0."""
        coefficients, source = dict(self._coefficients), self._source
        term = self.problem.nonlinear
        if term is not None:
            parts = self.parts(np.zeros(self.expansion.size) if z is None else z)
            source = source - term.value(parts)
            for order, part, slope in zip(term.orders, parts, term.slope(parts), strict=True):
                before = coefficients.get(order, np.zeros(self.problem.shape))
                coefficients[order] = before + slope
                source = source + slope * part
        return Linear(coefficients, source)

    def rows_of(self, equation: Linear, scale: float | None = None) -> Rows:
        """A linear equation on the grid."""
        terms = [separable_term(c, self._on_grid(r)) for r, c in equation.coefficients.items()]
        return Rows(self.expansion, terms, equation.source, scale)

    def parts(self, z: Array) -> list[Array]:
        """The derivatives of u that the nonlinear term takes, on the grid."""
        assert self.problem.nonlinear is not None
        full = self.expansion.scatter(z)
        return [
            mode_products(full, [table.values for table in self._on_grid(o)])
            for o in self.problem.nonlinear.orders
        ]

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

    def _on_grid(self, order: Order) -> list[Table]:
        return [self._table(axis, r) for axis, r in enumerate(order)]

    def _table(self, axis: int, order: int) -> Table:
        if (axis, order) not in self._tables:
            self._tables[axis, order] = self._at(axis, self.problem.axes[axis], order)
        return self._tables[axis, order]

    def _at(self, axis: int, points: Array, order: int) -> Table:
        return Table(self.expansion.functions(axis, points, order), points, order)

    def _condition_rows(self, condition: Condition | Periodic) -> list[Rows]:
        problem, axis = self.problem, condition.axis
        tables = self._on_grid((0,) * problem.dimension)
        if isinstance(condition, Condition):
            tables[axis] = self._at(axis, np.array([condition.x]), condition.order)
            return [Rows(self.expansion, [Term(tables)], problem.condition_at(condition))]
        found = []
        for order in range(max(problem.highest_order(axis), 1)):
            ends = self._at(axis, np.array(problem.box[axis]), order)
            tables = list(tables)
            difference = ends.values[:1] - ends.values[1:]
            tables[axis] = Table(difference, ends.points, order, np.array([[1.0, -1.0]]))
            shape = [1 if a == axis else n for a, n in enumerate(problem.shape)]
            found.append(Rows(self.expansion, [Term(tables)], np.zeros(shape)))
        return found
