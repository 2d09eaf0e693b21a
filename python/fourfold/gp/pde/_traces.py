"""``tr(B A' dA)`` for rows that are products of tables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde._rows import Rows, Term

__all__ = ["add_trace"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


def add_trace(rows: Rows, index: Index, matrix: Array, found: list[list[Array]]) -> None:
    """Add the gradient of ``tr(matrix A' dA)`` by the tables of each term, A and dA the rows.

    ``matrix`` (R, R) is symmetric, ``index`` (d, R) says which function of each axis a column of A has.

    For two terms without weights, the sum over the points of all axes but one is a product of small matrices picked at
    the index; multiplied with ``matrix`` and summed over the columns that share a function of that axis it leaves (r,
    r). With weights it is a matrix for each point of the axis.
    """
    for parts, one in zip(found, rows.terms, strict=True):
        for other in rows.terms:
            weight = None
            for term in (one, other):
                if term.weight is not None:
                    weight = term.weight if weight is None else weight * term.weight
            for axis, part in enumerate(parts):
                if weight is None:
                    part += _plain(one, other, axis, index, matrix) / rows.scale**2
                else:
                    part += _weighted(one, other, axis, index, matrix, weight) / rows.scale**2


def _plain(one: Term, other: Term, axis: int, index: Index, matrix: Array) -> Array:
    product = matrix
    for b, (t, u, at) in enumerate(zip(one.tables, other.tables, index, strict=True)):
        if b != axis:
            product = product * (u.T @ t)[at].take(at, axis=1)
    at, count = index[axis], one.tables[axis].shape[1]
    order = np.argsort(at, kind="stable")
    present, begins = np.unique(at[order], return_index=True)
    sums = np.add.reduceat(product[order], begins, axis=0)
    sums = np.add.reduceat(sums[:, order], begins, axis=1)
    small = np.zeros((count, count))
    small[np.ix_(present, present)] = sums
    found: Array = other.tables[axis] @ small
    return found


def _weighted(
    one: Term, other: Term, axis: int, index: Index, matrix: Array, weight: Array
) -> Array:
    """Function by function of ``other``: a product of (points, pairs of the other axes' functions) with those of B."""
    rest = [b for b in range(len(index)) if b != axis]
    sizes = [one.tables[b].shape[1] for b in rest]
    summed = np.moveaxis(weight, axis, 0)
    for b in rest:
        # The next axis of points is summed over; pairs of functions come last.
        t, u = one.tables[b], other.tables[b]
        summed = np.tensordot(summed, u[:, :, None] * t[:, None, :], axes=(1, 0))
    count = int(np.prod(sizes))
    pairs = len(rest)
    order = [0, *range(1, 2 * pairs, 2), *range(2, 2 * pairs + 1, 2)]
    summed = summed.transpose(order).reshape(-1, count * count)
    flat = np.ravel_multi_index(tuple(index[rest]), tuple(sizes))
    along, own = index[axis], one.tables[axis].shape[1]
    found = np.zeros(one.tables[axis].shape)
    for i in np.unique(along):
        members = np.flatnonzero(along == i)
        picked = np.zeros((count, count, own))
        picked[flat[members][:, None], flat, along] = matrix[members]
        found += other.tables[axis][:, i, None] * (summed @ picked.reshape(-1, own))
    return found
