"""`Kronecker`: a lazy Kronecker product of covariance matrices, with or without noise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from fourfold.gp._decomposition import Decomposition, decompose
from fourfold.gp._info import SolveInfo
from fourfold.gp._matrix import KroneckerMatrix
from fourfold.gp._observed import count_of, masked_logdet, masked_system, observed_only, tolerance
from fourfold.gp._sampling import draw
from fourfold.gp._system import System
from fourfold.gp._tensors import like
from fourfold.gp._toeplitz_system import ToeplitzSystem

__all__ = ["Kronecker"]


class Kronecker(KroneckerMatrix):
    """The matrix ``K = K_1 (x) K_2 (x) ... (x) K_d``, never formed.

    Vectors have N = n_1 n_2 ... n_d entries in C order (the last factor's index runs fastest): they are what
    ``field.reshape(-1)`` makes of a field on the grid. Methods that take a vector ``y`` take it flat, of shape
    (..., N), or as a grid, (..., n_1, ..., n_d), and give results in the shape that came in. Leading dimensions of
    ``y`` beyond the batch of ``K`` are more right-hand sides.

    Parameters
    ----------
    factors : sequence of arrays, tensors or `Toeplitz`
        ``K_k`` of shape (..., n_k, n_k), float32 or float64, all of one kind of array and one dtype. Leading
        dimensions are a batch and broadcast. For ``@``, `to_dense`, `diagonal` and `transpose` factors may be
        rectangular and need not be symmetric; everything else uses the symmetric part ``(K_k + K_k')/2`` and refuses
        factors whose entries across the diagonal differ by more than 1e-5 of the largest entry (1e-2 in float32).
    jitter : float, optional
        Added to the diagonal of every factor, relative to the mean of that diagonal. By default nothing is added.

    Attributes
    ----------
    sizes : tuple of int
        ``n_1, ..., n_d`` (of the columns, if rectangular).
    batch_shape : tuple of int
    jitter : tuple
        What was added to each factor's diagonal: numbers, or arrays of the shape of its batch.

    Raises
    ------
    TypeError, ValueError
        Factors of mixed kinds, dtypes or shapes that do not fit.
    """

    def __init__(self, factors: Sequence[Any], *, jitter: float = 0.0) -> None:
        super().__init__(factors, jitter=jitter)
        self._remembered_system: tuple[tuple[float, ...], ToeplitzSystem] | None = None
        self._remembered: dict[bool, tuple[tuple[int, ...], Decomposition]] = {}

    # --- solves ----------------------------------------------------------------------------------------------------

    def solve(
        self,
        y: Any,
        noise: Any = None,
        *,
        mask: Any = None,
        tol: float | None = None,
        max_iter: int = 1000,
        return_info: bool = False,
    ) -> Any:
        """``K^-1 y``, or ``(K + S)^-1 y`` with noise.

        Without noise by a Cholesky decomposition of every factor (`Toeplitz` factors that need no gradient: by Durbin's
        recursion where it is accurate); with noise by their eigendecompositions. The cost is of the order of
        ``sum n_k^3 + N sum n_k``. With a mask, or with noise that differs from point to point, by preconditioned
        conjugate gradients.

        Parameters
        ----------
        y : array or tensor of shape (..., N) or (..., n_1, ..., n_d)
        noise : None, number, array of the shape of the batch, list of d vectors, or array of the shape of the grid
            The variance s of independent noise, ``S = s 1``; or vectors ``s_k`` of shape (..., n_k) for
            ``S = diag(s_1 (x) ... (x) s_d)``; or a variance for every point, of shape (N,) or (n_1, ..., n_d).
        mask : array or tensor of bool of shape (N,) or (n_1, ..., n_d), optional
            True where y was observed. The result is the solution for the observed points alone, and 0 elsewhere;
            y is not looked at elsewhere. Needs a Kronecker without batch.
        tol, max_iter : float, int
            Of conjugate gradients: the relative residual to reach (by default 1e-10, in float32 1e-5), and the most
            steps.
        return_info : bool
            Return (x, `SolveInfo`).

        Returns
        -------
        array or tensor of the kind and shape of y
            Differentiable with respect to the factors, the noise and y; with a mask or noise for every point not
            (`inv_quad_logdet` is).

        Raises
        ------
        NotPositiveDefiniteError
            A factor without noise, or the whole matrix with it, is not positive definite.
        ConvergenceError
            Conjugate gradients did not reach ``tol``.
        """
        _, flat, grid = self._data(y, mask)
        masked = masked_system(self, noise, mask)
        if masked is not None:
            rows = flat.reshape(-1, flat.shape[-1])
            x, steps, residual = masked.solve(
                observed_only(rows, masked),
                tolerance(tol, self.dtype),
                count_of("max_iter", max_iter),
            )
            x = x.reshape(flat.shape)
            info = SolveInfo(
                ("conjugate gradients",), jitter=self.jitter, iterations=steps, residual=residual
            )
        else:
            system = System(self, noise, flat.shape[:-1])
            x = system.solve(flat)
            info = system.info()
        result = like(self._unflatten(x, grid), isinstance(y, np.ndarray) and not x.requires_grad)
        return (result, info) if return_info else result

    def logdet(
        self,
        noise: Any = None,
        *,
        mask: Any = None,
        method: str = "auto",
        probes: int = 32,
        steps: int = 200,
        rng: Any = 0,
        return_info: bool = False,
    ) -> Any:
        """The logarithm of ``det K``, or of ``det (K + S)``, of the shape of the batch.

        Nothing is clamped: eigenvalues are products of the factors' own. Parameters and errors as in `solve`, and:

        Parameters
        ----------
        method : {"auto", "exact", "dense", "lanczos"}
            For masks and noise that differs from point to point. ``"exact"``: by a low-rank correction, for one
            variance (the cost is a solve for every missing point); ``"dense"``: by the dense matrix of the observed
            points; ``"lanczos"``: stochastic Lanczos quadrature, for noise > 0, with a 95 % confidence interval.
            ``"auto"``: dense up to 1000 observed points, exact up to 1 % or 2000 missing ones, whichever is less,
            else lanczos.
        probes, steps, rng
            Of the quadrature: random vectors, most Lanczos steps for each, and where the random numbers come from
            (as in `sample`; by default always the same ones, so that the result is a smooth function).
        """
        masked = masked_system(self, noise, mask)
        if masked is not None:
            logdet, info = masked_logdet(masked, method, probes, steps, rng, None, 1000)
        else:
            system = System(self, noise, ())
            empty = self._tensors[0].new_empty(*system.split.core, 0, math.prod(self.sizes))
            _, logdet = system.inv_quad_logdet(empty.movedim(-2, 0))
            info = system.info()
        return (self._scalar(logdet), info) if return_info else self._scalar(logdet)

    def inv_quad_logdet(
        self,
        y: Any,
        noise: Any = None,
        *,
        mask: Any = None,
        method: str = "auto",
        probes: int = 32,
        steps: int = 200,
        rng: Any = 0,
        tol: float | None = None,
        max_iter: int = 1000,
        return_info: bool = False,
    ) -> tuple[Any, ...]:
        """``y'(K + S)^-1 y`` and ``log det (K + S)`` in one go.

        Returns
        -------
        inv_quad : of the shape of y without its last axis (of the grid: without the last d), broadcast with the batch
        logdet : of the shape of the batch
        info : `SolveInfo`, with ``return_info``

        Parameters and errors as in `solve` and `logdet`. Both are differentiable, with a mask and with noise for every
        point, too; the gradient of a stochastic log-determinant is an unbiased estimate of its own.
        """
        _, flat, _ = self._data(y, mask)
        masked = masked_system(self, noise, mask)
        if masked is not None:
            rows = observed_only(flat.reshape(-1, flat.shape[-1]), masked)
            limit = count_of("max_iter", max_iter)
            x, count, residual = masked.solve(rows, tolerance(tol, self.dtype), limit)
            # Equal to y'A^-1 y at the solution, with its gradient, and an error of second order in that of x.
            quad = 2 * (rows * x).sum(-1) - (x * masked.multiply(x)).sum(-1)
            quad = quad.reshape(flat.shape[:-1])
            logdet, info = masked_logdet(masked, method, probes, steps, rng, tol, limit)
            ways = ("conjugate gradients", *info.ways)
            info = dataclasses.replace(
                info, ways=ways, residual=residual, iterations=max(count, info.iterations)
            )
        else:
            system = System(self, noise, flat.shape[:-1])
            quad, logdet = system.inv_quad_logdet(flat)
            info = system.info()
        results = self._scalar(quad), self._scalar(logdet)
        return (*results, info) if return_info else results

    def eigh(self) -> list[tuple[Any, Any]]:
        """Eigenvalues (..., n_k), in no order, and eigenvectors, in the columns of (..., n_k, n_k), of every factor.

        Not differentiable. Computed once and remembered.
        """
        dec = self._decomposition(noise=True)
        results = []
        for k in range(self.ndim):
            batch = self._batch_of(k)
            n = self.sizes[k]
            values = dec.values[k].reshape(*batch, n)
            vectors = dec.matrices[k].mT.reshape(*batch, n, n)
            results.append((like(values, self._numpy), like(vectors, self._numpy)))
        return results

    def cholesky(self) -> list[Any]:
        """The lower triangular ``L_k`` (..., n_k, n_k) with ``K_k = L_k L_k'``.

        Not differentiable. Computed once and remembered.

        Raises
        ------
        NotPositiveDefiniteError
            A factor is not positive definite.
        """
        dec = self._decomposition(noise=False)
        return [
            like(m.reshape(*self._batch_of(k), *m.shape[-2:]), self._numpy)
            for k, m in enumerate(dec.matrices)
        ]

    def sample(self, count: int, rng: Any = None, *, noise: Any = None) -> Any:
        """Draws from N(0, K + S), of shape (count, *batch_shape, N).

        ``L z`` with the Cholesky factors of the factors, and noise added.

        Parameters
        ----------
        count : int
        rng : None, int, numpy.random.Generator or torch.Generator
            Where the random numbers come from; an int is a seed.
        noise
            As in `solve`.
        """
        return draw(self, count, rng, noise)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _solve_plain(self, rows: Tensor, noise: Tensor | None) -> Tensor:
        """``(K + s)^-1`` of rows (count, N), with gradients where they are enabled."""
        return System(self, noise, rows.shape[:-1]).solve(rows)

    def _logdet_plain(self, noise: Tensor | None) -> Tensor:
        system = System(self, noise, ())
        empty = self._tensors[0].new_empty(0, math.prod(self.sizes))
        return system.inv_quad_logdet(empty)[1]

    def _decomposition(self, *, noise: bool) -> Decomposition:
        """Of the factors as they are, each with its own batch; remembered until a factor changes."""
        self._require_square("this")
        versions = tuple(t._version for t in self._tensors)
        if noise not in self._remembered or self._remembered[noise][0] != versions:
            flat = [
                self._dense(k).detach().resolve_neg().reshape(-1, n, n).contiguous()
                for k, n in enumerate(self.sizes)
            ]
            dec = decompose(flat, self._toeplitz, noise=noise)
            self._remembered[noise] = versions, dec
        return self._remembered[noise][1]
