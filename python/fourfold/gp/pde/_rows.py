"""Linear functionals of an expansion on a grid: values, adjoint, and the matrix of the normal equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde._expansion import Expansion, mode_products

__all__ = ["Rows", "Term", "separable_term"]

Array = npt.NDArray[np.float64]


@dataclass
class Table:
    """``mix @ functions``, (q, r): derivatives of the functions of one axis at points (p,), and sums of them.

    ``mix`` is (q, p), a vector that stands for its diagonal matrix, or None, the identity.
    """

    values: Array
    points: Array
    order: int
    mix: Array | None = None

    def times(self, line: Array) -> Table:
        """With another factor for each point; there are no sums yet."""
        return Table(line[:, None] * self.values, self.points, self.order, line)

    def by_functions(self, cotangent: Array) -> Array:
        """Cotangent of the functions, (p, r), from that of the values."""
        if self.mix is None:
            return cotangent
        found: Array = (
            self.mix[:, None] * cotangent if self.mix.ndim == 1 else self.mix.T @ cotangent
        )
        return found


@dataclass
class Term:
    """``weight(x, y, ...) sum_ij.. z_ij.. tables[0](x)_i tables[1](y)_j ...``; a weight of None is 1."""

    origins: list[Table]
    weight: Array | None = None

    @property
    def tables(self) -> list[Array]:
        """The values of the tables."""
        return [table.values for table in self.origins]


def separable_term(coefficient: Array, tables: list[Table]) -> Term:
    """A term whose coefficient, if it is a product of functions of one variable each, is in the tables."""
    peak = np.unravel_index(np.abs(coefficient).argmax(), coefficient.shape)
    top = coefficient[peak]
    if top == 0:
        return Term([tables[0].times(np.zeros(coefficient.shape[0])), *tables[1:]])
    lines = []
    for axis in range(coefficient.ndim):
        at = tuple(slice(None) if a == axis else peak[a] for a in range(coefficient.ndim))
        lines.append(coefficient[at] / top)
    product = top
    for line in lines:
        product = np.multiply.outer(product, line)
    if np.abs(product - coefficient).max() > 1e-15 * abs(top):
        return Term(tables, coefficient)
    lines[0] = top * lines[0]
    return Term([table.times(line) for line, table in zip(lines, tables, strict=True)])


class Rows:
    """A sum of terms on one grid, divided by ``scale``, with the right-hand side.

    ``scale`` is the largest prior standard deviation of the sum on the grid, so that the noise that jitter stands for
    is relative to it. ``peak`` is where on the grid it is found, None if ``scale`` was given or no sample has any.
    """

    def __init__(
        self, expansion: Expansion, terms: Sequence[Term], y: Array, scale: float | None = None
    ) -> None:
        self.expansion, self.terms = expansion, list(terms)
        self.peak: tuple[int, ...] | None = None
        if scale is None:
            variance = self._variance()
            scale = float(np.sqrt(variance.max()))
            if scale > 0:
                self.peak = tuple(map(int, np.unravel_index(variance.argmax(), variance.shape)))
            else:  # No sample of the process breaks such a condition (a periodic process, say).
                scale = 1.0
        self.scale = scale
        self.y = y / scale

    def _variance(self) -> Array:
        variance = np.zeros(())
        for one in self.terms:
            for other in self.terms:
                product = np.ones(())
                for a, b in zip(one.tables, other.tables, strict=True):
                    product = np.multiply.outer(product, np.sum(a * b, axis=1))
                for term in (one, other):
                    product = product if term.weight is None else product * term.weight
                variance = variance + product
        return variance

    def apply(self, z: Array) -> Array:
        """The functionals of the expansion with weights z."""
        full, found = self.expansion.scatter(z), np.zeros(self.y.shape)
        for term in self.terms:
            part = mode_products(full, term.tables)
            found += part if term.weight is None else part * term.weight
        return found / self.scale

    def adjoint(self, rows: Array) -> Array:
        """The transpose of `apply`."""
        found = np.zeros(self.expansion.size)
        for term in self.terms:
            part = rows if term.weight is None else rows * term.weight
            part = mode_products(part, [table.T for table in term.tables])
            found += part[tuple(self.expansion.index)]
        return found / self.scale

    def add_normal_matrix(self, matrix: Array) -> None:
        """Add ``A' A`` to ``matrix`` (R, R), A the matrix of `apply`.

        Two terms without weights give a product of one small matrix for each axis, picked at the index; others are
        summed over the grid.
        """
        index = self.expansion.index
        for i, one in enumerate(self.terms):
            for other in self.terms[i:]:
                if one.weight is None and other.weight is None:
                    part = _picked_product(one.tables, other.tables, index)
                else:
                    weight = np.ones(())
                    for term in (one, other):
                        weight = weight if term.weight is None else weight * term.weight
                    part = np.empty((index.shape[1], index.shape[1]))
                    _weighted(
                        weight, one.tables, other.tables, index, np.arange(index.shape[1]), part
                    )
                part /= self.scale**2
                matrix += part
                if other is not one:
                    matrix += part.T


def _picked_product(one: list[Array], other: list[Array], index: npt.NDArray[np.intp]) -> Array:
    product: Array | None = None
    for a, b, at in zip(one, other, index, strict=True):
        picked = (a.T @ b)[at].take(at, axis=1)
        if product is None:
            product = picked
        else:
            product *= picked
    assert product is not None
    return product


def _weighted(
    weight: Array,
    one: list[Array],
    other: list[Array],
    index: npt.NDArray[np.intp],
    rows: npt.NDArray[np.intp],
    out: Array,
) -> None:
    """``out[R, S] = sum_x weight(x) prod_a one[a](x_a)_{index[a, R]} other[a](x_a)_{index[a, S]}`` for R in rows.

    One axis after the other: ``weight`` has the sizes of the axes that are left, then the functions of ``other`` of
    those that are done.
    """
    axis = index.shape[0] - len(one)
    done = weight.shape[len(one) :]
    a, b = one[0], other[0]
    if len(one) == 1:
        flat = weight.reshape(a.shape[0], -1).T
        functions = a[:, index[axis, rows]].T
        # (rows, done, grid) times (grid, functions).
        tables = (functions[:, None, :] * flat).reshape(-1, a.shape[0]) @ b
        full = tables.reshape(rows.size, *done, b.shape[1])
        out[rows] = full[(slice(None), *index)]
        return
    used = index[axis, rows]
    for i in np.unique(used):
        # The axis is summed over; its functions of ``other`` come last.
        inner = np.tensordot(weight, a[:, i, None] * b, axes=(0, 0))
        _weighted(inner, one[1:], other[1:], index, rows[used == i], out)
