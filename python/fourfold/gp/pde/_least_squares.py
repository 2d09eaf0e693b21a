"""Conditioning an expansion on linear functionals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fourfold.errors import ConvergenceError, NotPositiveDefiniteError
from fourfold.gp.pde._rows import Rows

__all__ = ["Conditioned"]

Array = npt.NDArray[np.float64]

_LARGEST_SHIFT = 1e-6
_MOST_REFINEMENTS = 200
_ACCURACY = 1e-12


class Conditioned:
    """Posterior of standard normal weights z given ``A z + noise = y`` with noise variance ``jitter``.

    The mean minimises ``|y - A z|^2 + jitter |z|^2``. ``A' A + jitter``, scaled to unit diagonal, is decomposed by
    Cholesky; as forming it squares the condition number, the mean is then refined by conjugate gradients on the
    least-squares problem itself, with the factor as preconditioner.

    Attributes
    ----------
    mean : ndarray, (R,)
    variance : float
        The most likely amplitude of the process.
    shift : float
        What had to be added to the unit diagonal for Cholesky to succeed; 0 mostly.
    refinements : int
        Steps of conjugate gradients.
    residual : list of ndarray
        ``y - A mean``, block by block.
    misfit : float
        ``|y - A mean| / |y|`` in the scaled rows.
    """

    def __init__(self, rows: Sequence[Rows], jitter: float, start: Array | None = None) -> None:
        self.rows, self.jitter = list(rows), jitter
        size = self.rows[0].expansion.size
        normal = np.zeros((size, size))
        for part in self.rows:
            part.add_normal_matrix(normal)
        normal[np.diag_indices(size)] += jitter
        self._scale = np.sqrt(np.diag(normal))
        normal /= self._scale[:, None]
        normal /= self._scale
        self._lower, self.shift = _cholesky(normal)
        self.mean, self.residual, self.refinements = self._refined(start)
        squares = float(sum(np.vdot(r, r) for r in self.residual))
        total = float(sum(np.vdot(part.y, part.y) for part in self.rows))
        self.misfit = float(np.sqrt(squares / total)) if total else 0.0
        self.count = sum(part.y.size for part in self.rows)
        self.quadratic = squares / jitter + float(self.mean @ self.mean)
        self.variance = self.quadratic / self.count

    @property
    def log_marginal_likelihood(self) -> float:
        """``log p(y)`` of the unscaled right-hand sides at the most likely amplitude."""
        m, size = self.count, self.mean.size
        logdet = 2 * float(np.log(np.diag(self._lower)).sum() + np.log(self._scale).sum())
        logdet += (m - size) * float(np.log(self.jitter))
        logdet += 2 * float(sum(part.y.size * np.log(part.scale) for part in self.rows))
        with np.errstate(divide="ignore"):
            return -0.5 * float(m * np.log(2 * np.pi * self.variance) + logdet + m)

    def normal_inverse(self) -> Array:
        """``(A' A + jitter)^-1``, (R, R)."""
        inverse, _ = scipy.linalg.lapack.dpotri(self._lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        inverse /= self._scale[:, None]
        inverse /= self._scale
        found: Array = inverse
        return found

    def deviations(self, functions: Array) -> Array:
        """Posterior standard deviations of ``functions @ z``, (p, R) to (p,): roots of sums of squares."""
        half = scipy.linalg.solve_triangular(
            self._lower, (functions / self._scale).T, lower=True, check_finite=False
        )
        found: Array = np.sqrt(self.jitter * self.variance) * np.linalg.norm(half, axis=0)
        return found

    def _preconditioned(self, v: Array) -> Array:
        found = scipy.linalg.cho_solve((self._lower, True), v / self._scale, check_finite=False)
        solved: Array = found / self._scale
        return solved

    def _gradient(self, residual: list[Array], z: Array) -> Array:
        gradient: Array = -self.jitter * z
        for part, r in zip(self.rows, residual, strict=True):
            gradient = gradient + part.adjoint(r)
        return gradient

    def _refined(self, start: Array | None) -> tuple[Array, list[Array], int]:
        z = np.zeros(self.rows[0].expansion.size)
        residual = [part.y for part in self.rows]
        gradient = self._gradient(residual, z)
        step = self._preconditioned(gradient)
        size = first = float(gradient @ step)
        if start is not None:
            z = start
            residual = [part.y - part.apply(z) for part in self.rows]
            gradient = self._gradient(residual, z)
            step = self._preconditioned(gradient)
            size = float(gradient @ step)
        direction = step
        made = 0
        # The size of a gradient in the preconditioner's norm is what the objective can still fall by.
        while size > _ACCURACY**2 * first:
            if made == _MOST_REFINEMENTS:
                raise ConvergenceError(
                    f"conditioning reached {np.sqrt(size / first):.1e} of {_ACCURACY:.0e} after {made} refinements; "
                    "raise jitter",
                    iterations=made,
                    residual=float(np.sqrt(size / first)),
                )
            images = [part.apply(direction) for part in self.rows]
            curvature = float(sum(np.vdot(i, i) for i in images))
            length = size / (curvature + self.jitter * float(direction @ direction))
            z = z + length * direction
            residual = [r - length * i for r, i in zip(residual, images, strict=True)]
            gradient = self._gradient(residual, z)
            step = self._preconditioned(gradient)
            before, size = size, float(gradient @ step)
            direction = step + size / before * direction
            made += 1
        return z, residual, made


def _cholesky(matrix: Array) -> tuple[Array, float]:
    """Lower factor of a matrix with unit diagonal, which it overwrites, and the shift that it took."""
    shift = 0.0
    while True:
        try:
            return scipy.linalg.cholesky(matrix, lower=True, check_finite=False), shift
        except scipy.linalg.LinAlgError:
            more = 10 * shift if shift else 1e-15
            if more > _LARGEST_SHIFT * 1.01:
                raise NotPositiveDefiniteError(
                    f"the normal equations are not positive definite even with {shift:.0e} on their diagonal; "
                    "use fewer points or shorter length-scales",
                    smallest_eigenvalue=float(np.linalg.eigvalsh(matrix)[0]),
                ) from None
            matrix[np.diag_indices(matrix.shape[0])] += more - shift
            shift = more
