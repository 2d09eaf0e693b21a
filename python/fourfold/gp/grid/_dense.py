"""A grid with holes and few observations: by the Cholesky factor of their dense covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse

from fourfold.errors import NotPositiveDefiniteError
from fourfold.gp._info import PredictInfo
from fourfold.gp.grid._complete import Gradient
from fourfold.gp.grid._state import State
from fourfold.gp.grid._targets import Target

__all__ = ["DENSE", "DenseSystem"]

DENSE = 3000
"""Up to this many observed points this is both exact and faster than the ways for more."""

Array = npt.NDArray[np.float64]


class DenseSystem:
    """``A = P (K + diag s) P'``, P the rows of the identity at the observed points; vectors are 0 elsewhere.

    Raises `NotPositiveDefiniteError`.
    """

    interval: tuple[float, float] | None = None
    ways: tuple[str, ...] = ("dense cholesky",)

    def __init__(self, state: State, mask: npt.NDArray[np.bool_]) -> None:
        self.state, self._total = state, mask.size
        self._seen = np.flatnonzero(mask)
        self._at = np.unravel_index(self._seen, state.sizes)
        self._factors = [
            kernel(axis.points) for axis, kernel in zip(state.axes, state.kernels, strict=True)
        ]
        matrix = self._product(range(len(self._factors)))
        noise = state.noise
        matrix[np.diag_indices(self._seen.size)] += (
            noise if isinstance(noise, float) else noise[self._seen]
        )
        try:
            self._lower = scipy.linalg.cholesky(matrix, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            smallest = float(np.linalg.eigvalsh(matrix)[0])
            raise NotPositiveDefiniteError(
                "the covariance of the observed points with its noise is not positive definite: its smallest "
                f"eigenvalue is {smallest:.3g}; give more noise",
                smallest_eigenvalue=smallest,
            ) from None
        self.logdet = 2 * float(np.log(np.diag(self._lower)).sum())

    def solve(self, rows: Array) -> Array:
        """``A^-1`` of rows (c, N), 0 at the missing points."""
        result = np.zeros(rows.shape)
        right = rows[:, self._seen].T
        result[:, self._seen] = scipy.linalg.cho_solve((self._lower, True), right).T
        return result

    def forms(self, rows: Array) -> Array:
        """Quadratic forms (c,)."""
        return np.asarray((self.solve(rows) * rows).sum(axis=1))

    def evaluate(self, rows: Array, weights: Array, copies: int) -> tuple[Array, Gradient]:
        """Quadratic forms (c,), and the gradient of ``sum(weights * forms) + copies log det A``.

        With ``M = copies A^-1 - sum_c weight_c a_c a_c'``, ``a = A^-1 y``, the gradient of K_k is M times the other
        factors, entry by entry, summed over the observations that share their indices along k.
        """
        solved = self.solve(rows)[:, self._seen]
        quads = (solved * rows[:, self._seen]).sum(axis=1)
        middle, _ = scipy.linalg.lapack.dpotri(self._lower, lower=1)
        middle = copies * (np.tril(middle) + np.tril(middle, -1).T)
        middle -= (solved.T * weights) @ solved
        gradients = []
        for k, (i, n) in enumerate(zip(self._at, self.state.sizes, strict=True)):
            others = [j for j in range(len(self._at)) if j != k]
            scaled = middle * self._product(others) if others else middle
            select = scipy.sparse.csr_array((np.ones(i.size), (i, np.arange(i.size))), (n, i.size))
            gradients.append(select @ (select @ scaled).T)
        by_noise = float(np.trace(middle)) if isinstance(self.state.noise, float) else 0.0
        return quads, (gradients, by_noise)

    def inverse_diagonal(self) -> Array:
        """The diagonal of ``A^-1`` at the observed points, 0 elsewhere, (N,)."""
        result = np.zeros(self._total)
        identity = np.eye(self._seen.size)
        inverse = scipy.linalg.solve_triangular(self._lower, identity, lower=True)
        result[self._seen] = (inverse**2).sum(axis=0)
        return result

    def variances(self, target: Target, orders: Sequence[int]) -> tuple[Array, PredictInfo]:
        """Posterior variances of a derivative at the target, (m,), not yet checked."""
        reductions: list[Array] = [np.empty(0)]
        for rows in target.rows(self.state.crosses(target, orders)):
            right = rows[:, self._seen].T
            half = scipy.linalg.solve_triangular(self._lower, right, lower=True)
            reductions.append((half**2).sum(axis=0))
        return self.state.prior(orders) - np.concatenate(reductions), PredictInfo(self.ways)

    def _product(self, modes: Sequence[int]) -> Array:
        """Entry by entry, of these factors between all observations, (count, count)."""
        result = np.ones(())
        for k in modes:
            i = self._at[k]
            result = result * self._factors[k][i[:, None], i]
        return result
