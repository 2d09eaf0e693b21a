"""A grid without holes and one variance of noise: everything by decompositions of the factors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg
import torch

from fourfold.gp import _algebra, _kernel
from fourfold.gp._decomposition import expanded
from fourfold.gp._info import PredictInfo
from fourfold.gp.grid._state import State
from fourfold.gp.grid._targets import Scattered, Target, at_nodes

__all__ = ["CompleteSystem", "Gradient"]

Array = npt.NDArray[np.float64]

Gradient = tuple[list[Array], float]
"""By the covariance of every axis, and by the noise."""


class CompleteSystem:
    """``A = K + s``; with s = 0 ``A = K`` by Cholesky factors.

    Raises `NotPositiveDefiniteError`.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        assert isinstance(state.noise, float)
        self._noise = state.noise
        self._scalar = torch.tensor([state.noise], dtype=torch.float64) if state.noise > 0 else None
        with torch.no_grad():
            dec = state.kronecker._decomposition(noise=self._scalar is not None)
        self._dec = expanded(dec, 1)
        self.logdet = float(_algebra.logdet_of(self._dec, self._scalar, 1))
        self.ways: tuple[str, ...] = ("cholesky" if self._scalar is None else "eigendecomposition",)
        self.interval: tuple[float, float] | None = None

    def solve(self, rows: Array) -> Array:
        """``A^-1`` of rows (c, N)."""
        data = _rows(rows)
        x, _ = _algebra.reduce_data(self._dec, self._scalar, data, quad=False)
        return np.asarray(_algebra.restore_data(self._dec, x)[0].numpy())

    def forms(self, rows: Array) -> Array:
        """Quadratic forms (c,)."""
        return np.asarray((self.solve(rows) * rows).sum(axis=1))

    def evaluate(self, rows: Array, weights: Array, copies: int) -> tuple[Array, Gradient]:
        """Quadratic forms (c,), and the gradient of ``sum(weights * forms) + copies log det A``."""
        x, quad = _algebra.reduce_data(self._dec, self._scalar, _rows(rows))
        factors, noise, _ = _algebra.inv_quad_logdet_backward(
            torch.from_numpy(weights)[None],
            torch.tensor([float(copies)], dtype=torch.float64),
            self._dec,
            self._scalar,
            x,
            [True] * len(self.state.sizes),
            False,
        )
        gradients = [f[0].numpy() for f in factors if f is not None]
        return quad[0].numpy(), (gradients, 0.0 if noise is None else float(noise))

    def multiply(self, rows: Array) -> Array:
        """``A`` times rows (c, N)."""
        return self.state.smooth(rows) + self._noise * rows

    def inverse_diagonal(self) -> Array:
        """The diagonal of ``A^-1``, (N,)."""
        values, vectors = self._values, self._vectors
        if not values:
            diagonals = []
            for lower in vectors:
                inverse = scipy.linalg.solve_triangular(lower, np.eye(len(lower)), lower=True)
                diagonals.append((inverse**2).sum(axis=0))
            return _outer(diagonals)
        squares = [torch.from_numpy(v**2)[None] for v in vectors]
        spectrum = torch.from_numpy(1 / self._spectrum)[None, None]
        return _kernel.mode_products(squares, spectrum, transposed=True)[0, 0].numpy()

    def variances(self, target: Target, orders: Sequence[int]) -> tuple[Array, PredictInfo]:
        """Posterior variances of a derivative at the target, (m,), not yet checked."""
        nodes = at_nodes(target, self.state.axes)
        if self._scalar is None:
            return self._interpolation(target, orders, nodes), PredictInfo(("differences",))
        if any(orders):
            return self._difference(target, orders), PredictInfo(("differences",))
        # A point has nodes in all dimensions, or it is off the grid.
        if isinstance(target, Scattered):
            on = np.all(np.stack(nodes) >= 0, axis=0)
            result = np.empty(on.shape)
            points = target.points()
            ways = []
            if on.any():
                result[on] = self._squares(Scattered(points[on]), [i[on] for i in nodes])
                ways.append("sums of squares")
            if not on.all():
                result[~on] = self._difference(Scattered(points[~on]), orders)
                ways.append("differences")
            return result, PredictInfo(tuple(ways))
        if all((i >= 0).all() for i in nodes):
            return self._squares(target, nodes), PredictInfo(("sums of squares",))
        return self._difference(target, orders), PredictInfo(("differences",))

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _vectors(self) -> list[Array]:
        """Eigenvectors in rows, or Cholesky factors."""
        return [m[0].numpy() for m in self._dec.matrices]

    @property
    def _values(self) -> list[Array]:
        return [v[0].numpy() for v in self._dec.values]

    @property
    def _spectrum(self) -> Array:
        return _outer(self._values) + self._noise

    def _squares(self, target: Target, nodes: Sequence[npt.NDArray[np.intp]]) -> Array:
        matrices = [
            v[:, i].T ** 2 * values
            for v, values, i in zip(self._vectors, self._values, nodes, strict=True)
        ]
        kept: Array = target.contract(1 / self._spectrum[None], matrices)[0]
        return self._noise * kept

    def _difference(self, target: Target, orders: Sequence[int]) -> Array:
        crosses = self.state.crosses(target, orders)
        matrices = [(c @ v.T) ** 2 for c, v in zip(crosses, self._vectors, strict=True)]
        explained: Array = target.contract(1 / self._spectrum[None], matrices)[0]
        return self.state.prior(orders) - explained

    def _interpolation(
        self, target: Target, orders: Sequence[int], nodes: Sequence[npt.NDArray[np.intp]]
    ) -> Array:
        """``prod p_k - prod q_k = sum_k (prod_{j<k} p_j) (p_k - q_k) (prod_{j>k} q_j)``, one dimension at a time."""
        priors = self.state.priors(orders)
        explained, left = [], []
        for cross, lower, prior, order, node in zip(
            self.state.crosses(target, orders), self._vectors, priors, orders, nodes, strict=True
        ):
            half = scipy.linalg.solve_triangular(lower, cross.T, lower=True)
            q = (half**2).sum(axis=0)
            if order == 0:
                q[node >= 0] = prior
            explained.append(q)
            left.append(prior - q)
        total = np.zeros(math.prod(target.shape))
        for k in range(len(priors)):
            before = [np.full_like(q, p) for q, p in zip(explained[:k], priors[:k], strict=True)]
            total += target.outer([*before, left[k], *explained[k + 1 :]])
        return total


def _rows(rows: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows))[None]


def _outer(vectors: Sequence[Array]) -> Array:
    result = vectors[0]
    for vector in vectors[1:]:
        result = np.multiply.outer(result, vector)
    return result.reshape(-1)
