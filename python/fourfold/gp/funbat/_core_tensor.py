"""What joins the modes: nothing to be learnt (CP), or a Gaussian core tensor (Tucker).

Both turn the sums over entries into a message to a mode's functions, and into the expected sum of squared errors.
"""

from __future__ import annotations

import itertools
import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp.funbat._kernel import (
    columns_times_columns,
    invert,
    packed_size,
    rows_times_rows,
)

__all__ = ["Core", "CpCore", "TuckerCore", "pair_weights"]

Array = npt.NDArray[np.float64]


def pair_weights(rank: int) -> Array:
    """How often each entry of a packed matrix stands in the whole one: 1 on the diagonal, else 2."""
    rows, columns = np.triu_indices(rank)
    return np.where(rows == columns, 1.0, 2.0)


class Core(Protocol):
    """The part of the posterior that is not a mode's."""

    mean: Array
    covariance: Array | None
    divergence: float

    def message(self, mode: int, first: Array, second: Array) -> tuple[Array, Array]:
        """Shift (T, R) and packed precision (T, R (R+1)/2) for unit noise precision."""
        ...

    def update(
        self,
        mode: int,
        first: Array,
        second: Array,
        mean: Array,
        moment: Array,
        noise_precision: float,
    ) -> tuple[float, float]:
        """Take in the new moments of a mode; returns E[y'f] and E[f'f]."""
        ...


class CpCore:
    """``f = sum_r prod_k u_kr``."""

    def __init__(self, rank: int) -> None:
        self.covariance: Array | None = None
        self.divergence = 0.0
        self.mean: Array = np.ones(rank)
        self._weights = pair_weights(rank)

    def message(self, mode: int, first: Array, second: Array) -> tuple[Array, Array]:
        return first, second

    def update(
        self,
        mode: int,
        first: Array,
        second: Array,
        mean: Array,
        moment: Array,
        noise_precision: float,
    ) -> tuple[float, float]:
        return float(np.sum(mean * first)), float(np.sum(moment * second, axis=0) @ self._weights)


class TuckerCore:
    """``f = sum_r w_r prod_k u_k,rk`` with ``w ~ N(0, variance)``, and ``q(w)`` a Gaussian of all its P entries."""

    def __init__(self, ranks: tuple[int, ...], variance: float) -> None:
        self.ranks = ranks
        self.size = math.prod(ranks)
        self.variance = variance
        self.mean: Array = np.zeros(self.size)
        self.covariance: Array | None = variance * np.eye(self.size)
        self.divergence = 0.0
        self._weights = [pair_weights(r) for r in ranks]
        # Index arrays: packed axes of all modes into the P x P matrix, and back.
        self._tensor = np.arange(self.size).reshape(ranks)
        self._pairs = [np.triu_indices(r) for r in ranks]
        self._grid = np.ix_(*[np.arange(packed_size(r)) for r in ranks])
        self._lookup = []
        for k, r in enumerate(ranks):
            square = np.zeros((r, r), dtype=np.intp)
            rows, columns = self._pairs[k]
            square[rows, columns] = square[columns, rows] = np.arange(rows.size)
            shape = [1] * (2 * len(ranks))
            shape[k] = shape[len(ranks) + k] = r
            self._lookup.append(square.reshape(shape))

    def _symmetrised(self, matrix: Array) -> Array:
        """Packed E with <matrix, M_1 (x) ... (x) M_K> = sum E m_1 (x) ... (x) m_K for packed m of symmetric M."""
        total: Array | None = None
        for swap in itertools.product((0, 1), repeat=len(self.ranks)):
            rows = self._tensor[
                tuple(p[s][g] for p, s, g in zip(self._pairs, swap, self._grid, strict=True))
            ]
            columns = self._tensor[
                tuple(p[1 - s][g] for p, s, g in zip(self._pairs, swap, self._grid, strict=True))
            ]
            part = matrix[rows, columns]
            total = part if total is None else total + part
        assert total is not None
        # A pair of equal ranks was counted twice.
        for k, weights in enumerate(self._weights):
            shape = [1] * len(self.ranks)
            shape[k] = weights.size
            total = total * (weights / 2).reshape(shape)
        return total

    def _unpacked(self, mode: int, packed: Array) -> Array:
        """The P x P matrix of products of second moments; axes of ``packed``: this mode, then the others."""
        moved = np.moveaxis(packed, 0, mode)
        return np.ascontiguousarray(moved[tuple(self._lookup)].reshape(self.size, self.size))

    def message(self, mode: int, first: Array, second: Array) -> tuple[Array, Array]:
        rank = self.ranks[mode]
        weights = np.moveaxis(self.mean.reshape(self.ranks), mode, 0).reshape(rank, -1)
        shift = rows_times_rows(first, np.ascontiguousarray(weights))
        assert self.covariance is not None
        moments = self._symmetrised(self.covariance + np.outer(self.mean, self.mean))
        rows = np.moveaxis(moments, mode, 0).reshape(packed_size(rank), -1)
        return shift, rows_times_rows(
            second, np.ascontiguousarray(rows / self._weights[mode][:, None])
        )

    def update(
        self,
        mode: int,
        first: Array,
        second: Array,
        mean: Array,
        moment: Array,
        noise_precision: float,
    ) -> tuple[float, float]:
        others = [r for k, r in enumerate(self.ranks) if k != mode]
        products = columns_times_columns(mean, first).reshape(self.ranks[mode], *others)
        pull = np.moveaxis(products, 0, mode).reshape(-1)
        packed = columns_times_columns(moment, second).reshape(
            packed_size(self.ranks[mode]), *[packed_size(r) for r in others]
        )
        gram = self._unpacked(mode, packed)
        found = invert(noise_precision * gram + np.eye(self.size) / self.variance)
        if isinstance(found, int):
            raise NotPositiveDefiniteError(
                f"the precision of the core tensor is not positive definite at pivot {found}; "
                "the noise is too small for these ranks",
                pivot=found,
                smallest_eigenvalue=float(np.linalg.eigvalsh(gram)[0]),
            )
        covariance, logdet = found
        self.covariance = covariance
        self.mean = noise_precision * np.sum(covariance * pull, axis=1)
        squares = float(np.sum(self.mean**2) + np.trace(covariance))
        # The prior's variance of largest bound, in closed form; then the divergence from that prior.
        self.variance = squares / self.size
        self.divergence = 0.5 * (self.size * math.log(self.variance) + logdet)
        moment = covariance + np.outer(self.mean, self.mean)
        return float(np.sum(self.mean * pull)), float(np.sum(gram * moment))
